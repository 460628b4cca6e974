/** Goal: bytes that are no usable record go to the dead-letter topic unchanged, with headers that
 *  say where they were and why, and the process goes on; too many in a row stop it with 65. Method:
 *  records put as they are on mock brokers, good ones among them, and the topic read back. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "client/policy.h"
#include "core/clock.h"

#include <math.h>

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

/** What a hostile or broken producer sends, and where it must end: a reason of a dead letter or of
 *  the late topic, or NULL for an event that is good all the same. */
typedef enum hostile {
    GOOD,
    A_YEAR_AHEAD,
    JUST_WITHIN_THE_FUTURE,
    YEARS_BACK,
    NO_TIME,
    BEFORE_THE_EPOCH,
    NAN_STATE,
    INFINITE_FEATURE,
    NAN_ACTION,
    GIANT_ACTION,
    OUTSIDE_THE_BOX,
    WRONG_DIMS,
    DOUBLED_ID,
    STRAY_FEEDBACK,
    NO_KEY,
    OTHER_KEY,
    NO_USER,
    ENDLESS_USER,
    UNKNOWN_SCHEMA,
    POISON,
    MAXIMAL_POISON,
    HOSTILES
} hostile;

static const struct {
    const char *reason, *words;
    bool late;
} fates[HOSTILES] = {
    [A_YEAR_AHEAD] = {"future_ts", "future_ts: event time 31", false},
    [YEARS_BACK] = {"late", "after their session closed", true},
    [NO_TIME] = {"invalid", "event_time_ms: not positive", false},
    [BEFORE_THE_EPOCH] = {"invalid", "event_time_ms: not positive", false},
    [NAN_STATE] = {"invalid", "state: not finite", false},
    [INFINITE_FEATURE] = {"invalid", "features: not finite", false},
    [NAN_ACTION] = {"invalid", "action: outside [-1,1]", false},
    [GIANT_ACTION] = {"invalid", "action: outside [-1,1]", false},
    [OUTSIDE_THE_BOX] = {"invalid", "action: explored outside its box", false},
    [WRONG_DIMS] = {"invalid", "state: 63 floats, 64 wanted", false},
    [STRAY_FEEDBACK] = {"no_request", "feedback", true},
    [NO_USER] = {"invalid", "user_id: empty", false},
    [ENDLESS_USER] = {"invalid", "user_id: longer than 4096 bytes", false},
    [UNKNOWN_SCHEMA] = {"unknown_schema", "schema.directory", false},
    [POISON] = {"decode", "no single-object frame", false},
    [MAXIMAL_POISON] = {"decode", "no single-object frame", false},
};
#define MAXIMAL_BYTES 990000 /* with key and overhead, what a producer's defaults let through */
#define CUT_BYTES     983616 /* what a dead letter with its headers may hold */

/** The record of one, and its key. */
static void make_hostile(hostile how, int64_t now_ms, mtf_buf *bytes, mtf_span *key)
{
    static char endless[5000];
    static uint8_t poison[MAXIMAL_BYTES];
    const int64_t year_ms = INT64_C(365) * 86400000;
    float state[64] = {0}, action[10] = {0}, baseline[10] = {0}, low[10], high[10],
          features[1] = {0};
    mtf_item item = {.item_id = mtf_str_of("item"), .features = {features, 1}};
    char id[20];
    snprintf(id, sizeof id, "event-%d", how == DOUBLED_ID ? GOOD : (int)how);
    for (int i = 0; i < 10; i++) low[i] = -(high[i] = 0.15F);
    mtf_event event = {.event_id = mtf_str_of(id),
                       .user_id = mtf_str_of("user"),
                       .event_time_ms = now_ms,
                       .body.request = {.policy_version = 1,
                                        .state = {state, 64},
                                        .action = {action, 10},
                                        .baseline_action = {baseline, 10},
                                        .lower = {low, 10},
                                        .upper = {high, 10},
                                        .sample_weight = 1,
                                        .items = &item,
                                        .item_count = 1}};
    *key = (mtf_span){(const uint8_t *)"user", 4};
    memset(endless, 'u', sizeof endless);
    // clang-format off
    switch (how) {
    case A_YEAR_AHEAD: event.event_time_ms += year_ms; break;
    case JUST_WITHIN_THE_FUTURE: event.event_time_ms += 299000; break;
    case YEARS_BACK: event.event_time_ms -= 3 * year_ms; break;
    case NO_TIME: event.event_time_ms = 0; break;
    case BEFORE_THE_EPOCH: event.event_time_ms = -now_ms; break;
    case NAN_STATE: state[63] = NAN; break;
    case INFINITE_FEATURE: features[0] = INFINITY; break;
    case NAN_ACTION: action[9] = NAN; break;
    case GIANT_ACTION: action[0] = 1e30F; break;
    case OUTSIDE_THE_BOX: action[3] = 0.2F; break;
    case WRONG_DIMS: event.body.request.state.count = 63; break;
    case STRAY_FEEDBACK:
        event.user_id = mtf_str_of("nobody");
        event.kind = MTF_EVENT_FEEDBACK;
        event.body.feedback = (mtf_feedback){mtf_str_of("gone"), now_ms, mtf_str_of("item"), {0}};
        break;
    case NO_KEY: *key = (mtf_span){0}; break;
    case OTHER_KEY: *key = (mtf_span){(const uint8_t *)"another", 7}; break;
    case NO_USER: event.user_id.size = 0; break;
    case ENDLESS_USER: event.user_id = (mtf_str){endless, sizeof endless}; break;
    case POISON: case MAXIMAL_POISON:
        mtf_buf_put(bytes, poison, how == POISON ? 100 : sizeof poison);
        return;
    default: break;
    }
    // clang-format on
    mtf_assert_ok(mtf_event_encode(&event, bytes, NULL), NULL);
    if (how == UNKNOWN_SCHEMA) bytes->data[5] ^= 0xff;
}

static void check_hostile(void *arg, int index, const rd_kafka_message_t *message)
{
    const bool late = *(const bool *)arg;
    int how = 0; /* the index-th that belongs here: order is kept */
    for (int seen = -1; how < HOSTILES; how++) {
        if (fates[how].reason && fates[how].late == late && ++seen == index) break;
    }
    assert_string_equal(brokers_header(message, "__mtf.errors.reason"), fates[how].reason);
    assert_non_null(strstr(brokers_header(message, "__mtf.errors.message"), fates[how].words));
    assert_string_equal(brokers_header(message, "__mtf.errors.topic"), "mtf.exploration");
    assert_int_equal(atoi(brokers_header(message, "__mtf.errors.offset")), how);
    if (how != MAXIMAL_POISON) return;
    assert_int_equal(message->len, CUT_BYTES);
    assert_int_equal(atoi(brokers_header(message, "__mtf.errors.original_bytes")), MAXIMAL_BYTES);
}

static void whatever_is_sent_has_a_reason_a_counter_and_a_place(void **state)
{
    (void)state;
    brokers b;
    program p;
    mtf_err err;
    const int64_t now_ms = mtf_clock_wall_ms();
    int dead = 0, late = 0;
    brokers_open(&b, NULL, "");
    for (int how = 0; how < HOSTILES; how++) {
        mtf_buf bytes = {0};
        mtf_span key;
        make_hostile((hostile)how, now_ms, &bytes, &key);
        mtf_assert_ok(b.sink.begin(b.sink.self, &err), &err);
        mtf_assert_ok(b.sink.put(b.sink.self, "mtf.exploration", key, mtf_buf_span(&bytes), NULL, 0,
                                 now_ms, &err),
                      &err);
        mtf_assert_ok(b.sink.commit(b.sink.self, NULL, 0, &err), &err);
        mtf_buf_fini(&bytes);
        if (fates[how].reason) ++*(fates[how].late ? &late : &dead);
    }
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    brokers_read(&b, "mtf.dead-letter", dead, check_hostile, &(bool){false});
    brokers_read(&b, "mtf.late", late, check_hostile, &(bool){true});
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=21 ", "late=1 ", "late_no_request=1 ", "dead_decode=2 ",
                 "dead_unknown_schema=1 ", "dead_invalid=10 ", "dead_future_ts=1 ", "duplicates=1 ",
                 "events_held=4 ", "stray_keys=3 ", "msg=sessionize.stray_key");
    program_free(&p);
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
        cmocka_unit_test(whatever_is_sent_has_a_reason_a_counter_and_a_place),
        cmocka_unit_test(bad_sessions_become_dead_letters_and_the_learner_goes_on),
        cmocka_unit_test(too_many_bad_records_in_a_row_stop_the_stage_with_65),
        cmocka_unit_test(a_corrupt_policy_is_refused_with_words_and_the_older_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
