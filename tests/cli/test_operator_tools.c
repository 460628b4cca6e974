/** Goal: an operator's commands say what is there, change nothing unless told to, and name what is
 *  wrong with the way out. Method: the program on mock brokers, which know no admin API; what only
 * a real broker shows is in tests/kafka/operators.py. */
#include "cli/brokers.h"

#include <jansson.h>

static const char *const topics[] = {"mtf.exploration", "mtf.sessions", "mtf.late",
                                     "mtf.dead-letter", "mtf.policy",   "mtf.policy-history"};

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    if (!value) fail_msg("no text %s", name);
    return value;
}

/* -- topics ------------------------------------------------------- */

static void topics_that_are_there_are_left_as_they_are(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("topics", "create", "-c", b.config), 0, "mtf.exploration is there",
                  "the brokers do not tell its settings", "0 created, 0 differ");
    program p;
    program_start(&p, b.folder, "topics", "create", "--json", "-c", b.config);
    program_end(&p);
    const char *line = program_text(&p.out);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        json_t *topic = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(topic);
        assert_string_equal(text(topic, "topic"), topics[i]);
        assert_string_equal(text(topic, "state"), "there");
        assert_true(json_is_false(json_object_get(topic, "told")));
        json_decref(topic);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
    program_free(&p);
    brokers_close(&b);
}

static void a_topic_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, "mtf.late", "");
    program_check(b.folder, ARGS("topics", "create", "-c", b.config), 64, "mtf.sessions is there",
                  "topic mtf.late cannot be created: these brokers have no admin API");
    program_check(b.folder, ARGS("topics", "create", "-c", b.config, "--replication", "2"), 64,
                  "--replication 2: there are 1 brokers");
    program_check(b.folder, ARGS("topics", "delete", "-c", b.config), 64, "topics: say create");
    program_check(b.folder,
                  ARGS("topics", "create", "-c", b.config, "--set", "topics.late=mtf.policy"), 64,
                  "topics.late and topics.policy are both \"mtf.policy\"");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_that_are_there_are_left_as_they_are),
        cmocka_unit_test(a_topic_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
