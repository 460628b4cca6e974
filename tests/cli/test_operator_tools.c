/** Goal: an operator's commands say what is there, change nothing unless told to, and name what is
 *  wrong with the way out. Method: the program on mock brokers, which know no admin API; what only
 * a real broker shows is in tests/kafka/operators.py. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include <jansson.h>

static const char *const topics[] = {"mtf.exploration", "mtf.sessions", "mtf.late",
                                     "mtf.dead-letter", "mtf.policy",   "mtf.policy-history"};

static json_t *json_of(program *p)
{
    json_error_t error;
    program_end(p);
    json_t *root = json_loads(program_text(&p->out), 0, &error);
    if (!root)
        fail_msg("no JSON (%s): %s%s", error.text, program_text(&p->out), program_text(&p->err));
    return root;
}

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

/* -- sessions ----------------------------------------------------- */

static void put_sessions(brokers *b)
{
    mtf_buf session = {0};
    for (uint8_t id = 1; id <= 2; id++) {
        mtf_buf_clear(&session);
        one_step_session(id, 64, &session);
        brokers_put(b, "mtf.sessions", "user", mtf_buf_span(&session));
    }
    brokers_put(b, "mtf.sessions", "other", (mtf_span){(const uint8_t *)"garbage", 7});
    mtf_buf_fini(&session);
}

static void tail_shows_what_is_there_by_user(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    put_sessions(&b);
    program_check(b.folder,
                  ARGS("sessions", "tail", "--from", "2026-01-01", "--to-end", "-c", b.config), 0,
                  "1970-01-01T00:00:01.000Z user=user session=01000000", "session=02000000",
                  "end=end_event steps=1 items=1 policy=1",
                  "mtf.sessions/0@2: ", "1 records are no sessions that can be read");
    program_start(&p, b.folder, "sessions", "tail", "--from", "2026-01-01", "--to-end", "--json",
                  "--user", "user", "--limit", "1", "-c", b.config);
    json_t *root = json_of(&p);
    program_said(&p, 0, "\"steps\":[");
    assert_string_equal(text(root, "user_id"), "user");
    json_decref(root);
    program_free(&p);
    program_start(&p, b.folder, "sessions", "tail", "--from", "2026-01-01", "--to-end", "--user",
                  "nobody", "-c", b.config);
    program_end(&p);
    program_said(&p, 0, "");
    assert_string_equal(program_text(&p.out), "");
    program_free(&p);
    brokers_close(&b);
}

static void tail_follows_what_comes(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    put_sessions(&b);
    program_start(&p, b.folder, "sessions", "tail", "--limit", "2", "-c", b.config);
    program_until(&p, "msg=sessions.follow topic=mtf.sessions partitions=1");
    put_sessions(&b);
    program_end(&p);
    program_said(&p, 0, "session=01000000", "session=02000000");
    program_free(&p);
    program_start(&p, b.folder, "sessions", "tail", "-c", b.config);
    program_until(&p, "msg=sessions.follow");
    assert_int_equal(kill(p.pid, SIGINT), 0); /* as one leaves a tail */
    program_end(&p);
    program_said(&p, 0, "");
    program_free(&p);
    program_check(b.folder, ARGS("sessions", "-c", b.config), 64, "sessions: say tail");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_that_are_there_are_left_as_they_are),
        cmocka_unit_test(a_topic_that_cannot_be_made_is_named),
        cmocka_unit_test(tail_shows_what_is_there_by_user),
        cmocka_unit_test(tail_follows_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
