/** Goal: bytes that are no usable record go to the dead-letter topic unchanged, with headers that
 *  say where they were and why, and the process goes on; too many in a row stop it with 65. Method:
 *  records put as they are on mock brokers, good ones among them, and the topic read back. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "client/policy.h"
#include "core/clock.h"

#define BAD_COUNT 6

/** What was put, and why it must be refused. */
typedef struct bad_record {
    mtf_buf bytes;
    const char *reason;
} bad_record;

typedef struct letters {
    bad_record records[BAD_COUNT];
    const char *topic, *stage;
} letters;

static void check_letter(void *arg, int index, const rd_kafka_message_t *message)
{
    const letters *expected = arg;
    const bad_record *one = &expected->records[index];
    char offset[20], size[20];
    /* A good record was put before each bad one. */
    snprintf(offset, sizeof offset, "%d", 2 * index + 1);
    snprintf(size, sizeof size, "%zu", one->bytes.size);
    assert_int_equal(message->len, one->bytes.size);
    if (message->len) assert_memory_equal(message->payload, one->bytes.data, message->len);
    assert_int_equal(message->key_len, 4);
    assert_memory_equal(message->key, "user", 4);
    assert_string_equal(brokers_header(message, "__mtf.errors.topic"), expected->topic);
    assert_string_equal(brokers_header(message, "__mtf.errors.partition"), "0");
    assert_string_equal(brokers_header(message, "__mtf.errors.offset"), offset);
    assert_string_equal(brokers_header(message, "__mtf.errors.reason"), one->reason);
    assert_true(strlen(brokers_header(message, "__mtf.errors.message")) > 5);
    assert_true(strlen(brokers_header(message, "__mtf.errors.stage")) > 2);
    assert_true(atoll(brokers_header(message, "__mtf.errors.timestamp")) > 0);
}

/** Six ways to be bad, from a good record and one of three floats as state. */
static void make_bad(letters *all, const mtf_buf *good, const mtf_buf *narrow)
{
    static const char *const reasons[BAD_COUNT] = {"decode",         "decode",  "decode",
                                                   "unknown_schema", "invalid", "decode"};
    static const uint8_t garbage[] = {0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    mtf_buf *bytes[BAD_COUNT];
    for (int i = 0; i < BAD_COUNT; i++) {
        all->records[i] = (bad_record){.reason = reasons[i]};
        bytes[i] = &all->records[i].bytes;
    }
    mtf_buf_put(bytes[0], good->data, good->size / 2); /* cut in two */
    mtf_buf_put(bytes[1], good->data, good->size - 1); /* one byte short */
    mtf_buf_put(bytes[2], garbage, sizeof garbage);    /* no frame */
    mtf_buf_put(bytes[3], good->data, good->size);     /* another schema's fingerprint */
    bytes[3]->data[5] ^= 0xff;
    mtf_buf_put(bytes[4], narrow->data, narrow->size); /* the right schema, other dimensions */
    mtf_buf_put(bytes[5], good->data, good->size);     /* something behind it */
    mtf_buf_put_u8(bytes[5], 0);
}

static void free_bad(letters *all)
{
    for (int i = 0; i < BAD_COUNT; i++) mtf_buf_fini(&all->records[i].bytes);
}

static void check_session(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index;
    assert_int_equal(message->key_len, 4);
    assert_memory_equal(message->key, "user", 4);
}

static void bad_events_become_dead_letters_and_the_sessionizer_goes_on(void **state)
{
    (void)state;
    brokers b;
    program p;
    letters all = {.topic = "mtf.exploration"};
    mtf_buf good = {0}, narrow = {0};
    const int64_t now_ms = mtf_clock_wall_ms();
    brokers_open(&b, NULL, "sessionize.gap_ms: 1000\nsessionize.grace_ms: 0\n");
    request_event("narrow", now_ms - 60000, 3, &narrow);
    request_event("good", now_ms - 60000, 64, &good);
    make_bad(&all, &good, &narrow);
    for (int i = 0; i < BAD_COUNT; i++) {
        char id[20];
        snprintf(id, sizeof id, "good-%d", i);
        mtf_buf_clear(&good);
        request_event(id, now_ms - 60000 + i, 64, &good);
        brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&good));
        brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&all.records[i].bytes));
    }
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    brokers_read(&b, "mtf.dead-letter", BAD_COUNT, check_letter, &all);
    /* It still works: one more event, a minute later, closes the session of the good ones. */
    mtf_buf_clear(&good);
    request_event("last", now_ms, 64, &good);
    brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&good));
    brokers_read(&b, "mtf.sessions", 1, check_session, NULL);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=13", "session_events=6", "session_records=1", "dead_decode=4",
                 "dead_unknown_schema=1", "dead_invalid=1");
    program_free(&p);
    mtf_buf_fini(&good);
    mtf_buf_fini(&narrow);
    free_bad(&all);
    brokers_close(&b);
}

static void bad_sessions_become_dead_letters_and_the_learner_goes_on(void **state)
{
    (void)state;
    brokers b;
    program p;
    letters all = {.topic = "mtf.sessions"};
    mtf_buf good = {0}, narrow = {0};
    brokers_open(&b, NULL, "");
    one_step_session(100, 3, &narrow);
    one_step_session(101, 64, &good);
    make_bad(&all, &good, &narrow);
    for (int i = 0; i < BAD_COUNT; i++) {
        mtf_buf_clear(&good);
        one_step_session((uint8_t)(i + 1), 64, &good);
        brokers_put(&b, "mtf.sessions", "user", mtf_buf_span(&good));
        brokers_put(&b, "mtf.sessions", "user", mtf_buf_span(&all.records[i].bytes));
    }
    program_start(&p, b.folder, "learn", "-c", b.config);
    brokers_read(&b, "mtf.dead-letter", BAD_COUNT, check_letter, &all);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "learn.end records=12 sessions=6 transitions=6 duplicates=0 bad=6");
    program_free(&p);
    mtf_buf_fini(&good);
    mtf_buf_fini(&narrow);
    free_bad(&all);
    brokers_close(&b);
}

static void too_many_bad_records_in_a_row_stop_the_stage_with_65(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"sessionize", "mtf.exploration"},
                                           {"learn", "mtf.sessions"},
                                           {"run", "mtf.exploration"},
                                           {"run", "mtf.sessions"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        brokers b;
        brokers_open(&b, NULL, "errors.max_consecutive: 3\n");
        for (int k = 0; k < 3; k++)
            brokers_put(&b, cases[i][1], "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
        program_check(b.folder, ARGS(cases[i][0], "-c", b.config), 65, "3 bad ",
                      "in a row, the last at partition 0 offset 2: ", "errors.max_consecutive",
                      "decode: no single-object frame");
        brokers_close(&b);
    }
}

/** A policy of the settings' dimensions, action 0 everywhere. */
static void put_policy(brokers *b, int64_t version, long flip)
{
    mtf_err err = {0};
    mtf_action_table table;
    mtf_buf record = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, b->settings.policy_actions, &err), &err);
    const uint32_t widths[] = {64, 10};
    mtf_policy *policy = mtf_policy_new(widths, 1, &table);
    assert_non_null(policy);
    snprintf(policy->info.name, sizeof policy->info.name, "default");
    snprintf(policy->info.algorithm, sizeof policy->info.algorithm, "integrated");
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "promote");
    policy->info.version = version;
    policy->info.box = 0.15F;
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    if (flip) record.data[record.size - (size_t)flip] ^= 0x55;
    brokers_put(b, "mtf.policy", "default", mtf_buf_span(&record));
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
}

static void a_corrupt_policy_is_refused_with_words_and_the_older_one_stays(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    put_policy(&b, 5, 0);
    put_policy(&b, 6, 6000); /* within the weights */
    brokers_put(&b, "mtf.policy", "default", (mtf_span){(const uint8_t *)"rubbish", 7});
    program_check(b.folder, ARGS("policy", "show", "-c", b.config), 0, "policy.refused", "offset=1",
                  "offset=2", "reason=\"", "5");
    program_check(b.folder, ARGS("policy", "show", "--json", "-c", b.config), 0, "\"version\":5");
    program_start(&p, b.folder, "learn", "-c", b.config);
    program_until(&p, "policy.refused");
    brokers_put(&b, "mtf.sessions", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_until(&p, "offset=2");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "champion=5");
    program_free(&p);
    program_check(b.folder, ARGS("simulate", "-c", b.config, "--sessions", "20", "--wait", "1"), 0,
                  "policy.refused", "\"policy_version\":5");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_events_become_dead_letters_and_the_sessionizer_goes_on),
        cmocka_unit_test(bad_sessions_become_dead_letters_and_the_learner_goes_on),
        cmocka_unit_test(too_many_bad_records_in_a_row_stop_the_stage_with_65),
        cmocka_unit_test(a_corrupt_policy_is_refused_with_words_and_the_older_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
