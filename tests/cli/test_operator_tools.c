/** Goal: an operator's commands say what is there, change nothing unless told to, and name what is
 *  wrong with the way out. Method: the program on mock brokers, which know no admin API; what only
 * a real broker shows is in tests/kafka/operators.py. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "core/clock.h"

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

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) fail_msg("no number %s", name);
    return json_integer_value(value);
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

/* -- offsets ------------------------------------------------------ */

static void take_none(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

/** A sessionizer has read an event, whose session is open, and a dead letter. */
static void sessionize(brokers *b)
{
    program p;
    mtf_buf event = {0};
    brokers_open(b, NULL, "");
    request_event("request", mtf_clock_wall_ms(), 64, &event);
    brokers_put(b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    brokers_put(b, "mtf.exploration", "user", mtf_buf_span(&event));
    brokers_put(b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_start(&p, b->folder, "sessionize", "-c", b->config);
    brokers_read(b, "mtf.dead-letter", 2, take_none, NULL);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=3", "events_held=1");
    program_free(&p);
    brokers_put(b, "mtf.exploration", "user", mtf_buf_span(&event));
    mtf_buf_fini(&event);
}

/** Partition 0 of `offsets WORD --json`; *root is the caller's. */
static const json_t *partition(brokers *b, const char *const *arguments, json_t **root)
{
    program p;
    program_start_to(&p, b->folder, NULL, arguments);
    *root = json_of(&p);
    assert_int_equal(p.code, 0);
    program_free(&p);
    return json_array_get(json_object_get(*root, "partitions"), 0);
}

static void show_says_what_the_commit_means(void **state)
{
    (void)state;
    brokers b;
    json_t *root;
    sessionize(&b);
    program_check(b.folder, ARGS("offsets", "show", "-c", b.config), 0,
                  "group mtf-sessionize on mtf.exploration", "lag 1\n",
                  "0: the last 1 records before it were dead letters", "replays");
    const json_t *part = partition(&b, ARGS("offsets", "show", "--json", "-c", b.config), &root);
    assert_int_equal(number(part, "committed"), 3);
    assert_int_equal(number(part, "end"), 4);
    assert_int_equal(number(part, "lag"), 1);
    assert_int_equal(number(part, "open_from"), 1);
    assert_string_equal(text(part, "metadata"), "place");
    assert_in_range(number(part, "watermark_ms"), mtf_clock_wall_ms() - 3600000,
                    mtf_clock_wall_ms());
    json_decref(root);
    program_check(b.folder,
                  ARGS("offsets", "show", "-c", b.config, "--set", "sessionize.grace_ms=1"), 0,
                  "0: made under other settings of sessionize", "--accept-config-change");
    program_check(b.folder,
                  ARGS("offsets", "show", "-c", b.config, "--set", "sessionize.group=nobody"), 0,
                  "0: no commit: a start reads from the first record", "lag 4\n");
    brokers_close(&b);
}

/** As another tool's commit, of a group that nobody has joined. */
static void commit(const brokers *b, int64_t offset, const char *metadata)
{
    char words[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", mtf_kafka_mock_bootstrap(b->mock), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "mtf-sessionize", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *place =
        rd_kafka_topic_partition_list_add(list, "mtf.exploration", 0);
    place->offset = offset;
    place->metadata = strdup(metadata); /* the list's to free */
    place->metadata_size = strlen(metadata);
    assert_int_equal(rd_kafka_commit(rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void a_reset_is_dry_until_it_is_told_to_execute(void **state)
{
    (void)state;
    brokers b;
    program p;
    json_t *root;
    mtf_buf event = {0};
    brokers_open(&b, NULL, "");
    request_event("request", mtf_clock_wall_ms(), 64, &event);
    for (int i = 0; i < 3; i++) brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&event));
    mtf_buf_fini(&event);
    commit(&b, 2, "junk");
    program_check(b.folder, ARGS("offsets", "show", "-c", b.config), 0, "lag 1\n",
                  "0: metadata that is no commit of a sessionizer (", "--accept-config-change");
    program_check(b.folder, ARGS("offsets", "reset", "--to-earliest", "-c", b.config), 0,
                  "2 records are read again", "truncated_head", "session_id",
                  "a dry run: nothing was changed");
    const json_t *part = partition(&b, ARGS("offsets", "show", "--json", "-c", b.config), &root);
    assert_int_equal(number(part, "committed"), 2);
    assert_string_equal(text(part, "metadata"), "damaged");
    json_decref(root);
    program_check(b.folder, ARGS("offsets", "reset", "--to-earliest", "--execute", "-c", b.config),
                  0, "done; start the sessionizers");
    part = partition(&b, ARGS("offsets", "show", "--json", "-c", b.config), &root);
    assert_int_equal(number(part, "committed"), 0);
    assert_string_equal(text(part, "metadata"), "clean");
    json_decref(root);
    /* And a sessionizer takes it so: it reads all again. */
    brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    brokers_read(&b, "mtf.dead-letter", 1, take_none, NULL);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=4", "duplicates=2");
    program_free(&p);
    brokers_close(&b);
}

/** The mock brokers call a group that ever had members one that has some. */
static void a_reset_of_a_group_with_members_is_refused(void **state)
{
    (void)state;
    brokers b;
    json_t *root;
    sessionize(&b);
    program_check(b.folder, ARGS("offsets", "reset", "--to-earliest", "--execute", "-c", b.config),
                  64, "group mtf-sessionize has members", "stop them first");
    const json_t *part = partition(&b, ARGS("offsets", "show", "--json", "-c", b.config), &root);
    assert_int_equal(number(part, "committed"), 3);
    assert_string_equal(text(part, "metadata"), "place");
    json_decref(root);
    brokers_close(&b);
}

static void a_reset_without_a_target_is_refused(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("offsets", "reset", "-c", b.config), 64,
                  "offsets reset: say where to, with --to-datetime TIME or --to-earliest");
    program_check(b.folder, ARGS("offsets", "reset", "--to-datetime", "soon", "-c", b.config), 64,
                  "--to-datetime");
    program_check(
        b.folder,
        ARGS("offsets", "reset", "--to-earliest", "--to-datetime", "2026-01-01", "-c", b.config),
        64, "--to-datetime TIME or --to-earliest");
    program_check(b.folder, ARGS("offsets", "show", "--execute", "-c", b.config), 64,
                  "are of reset");
    program_check(b.folder, ARGS("offsets", "-c", b.config), 64, "offsets: say show or reset");
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

/* -- config check --connect --------------------------------------- */

static void config_check_asks_the_brokers(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("config", "check", "--connect", "-c", b.config), 0,
                  "ok       brokers: 1 in cluster", "mtf.exploration: 1 partitions, replication 1",
                  "reading mtf.sessions: nothing is there yet", "group mtf-sessionize",
                  "policy default: none serves yet");
    put_sessions(&b);
    program_start(&p, b.folder, "config", "check", "--connect", "--json", "--for", "learn", "-c",
                  b.config);
    json_t *root = json_of(&p);
    program_said(&p, 0, "reading mtf.sessions\",\"words\":\"a record came");
    assert_null(strstr(program_text(&p.out), "mtf.exploration"));
    assert_true(json_is_true(json_object_get(root, "ok")));
    json_decref(root);
    program_free(&p);
    program_check(b.folder, ARGS("config", "check", "--for", "all", "-c", b.config), 64,
                  "--for all: say sessionize, learn or run");
    brokers_close(&b);
}

static void config_check_names_what_is_missing_and_goes_on(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, "mtf.late", "");
    program_check(b.folder, ARGS("config", "check", "--connect", "-c", b.config), 64,
                  "failed   mtf.late: it does not exist", "mtf topics create",
                  "ok       policy default: none serves yet");
    program_check(b.folder,
                  ARGS("config", "check", "--connect", "-c", b.config, "--set",
                       "kafka.bootstrap_servers=127.0.0.1:1"),
                  69, "failed   brokers: no broker answers at 127.0.0.1:1");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_that_are_there_are_left_as_they_are),
        cmocka_unit_test(a_topic_that_cannot_be_made_is_named),
        cmocka_unit_test(show_says_what_the_commit_means),
        cmocka_unit_test(a_reset_is_dry_until_it_is_told_to_execute),
        cmocka_unit_test(a_reset_of_a_group_with_members_is_refused),
        cmocka_unit_test(a_reset_without_a_target_is_refused),
        cmocka_unit_test(tail_shows_what_is_there_by_user),
        cmocka_unit_test(tail_follows_what_comes),
        cmocka_unit_test(config_check_asks_the_brokers),
        cmocka_unit_test(config_check_names_what_is_missing_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
