/** Goal: `mtf dlq replay` and `mtf late replay` put back what can go back, once, say what cannot
 * and why, and do nothing at all unless told to. Method: set-aside records on mock brokers, as the
 *  stages put them; topics read back. What only transactions give is tested on a real broker. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "core/aside.h"
#include "core/clock.h"
#include "ingest/decoder.h"

#define DLQ  "mtf.dead-letter"
#define LATE "mtf.late"

/** Sets one aside as a stage does. value_bytes_max below the size cuts it. */
static void put_aside(brokers *b, const char *to, const char *from, int64_t offset,
                      const char *stage, const char *reason, mtf_span value, size_t value_bytes_max)
{
    mtf_err err = {0};
    mtf_sink sink = b->sink;
    const mtf_message message = {.topic = mtf_str_of(from),
                                 .partition = 0,
                                 .offset = offset,
                                 .timestamp_ms = mtf_clock_wall_ms(),
                                 .key = {(const uint8_t *)"user", 4},
                                 .value = value};
    sink.value_bytes_max = value_bytes_max;
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(mtf_set_aside(&sink, to, &message, stage, reason, "words", &err), &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
}

static mtf_span garbage(void)
{
    return (mtf_span){(const uint8_t *)"garbage!!!!", 11};
}

typedef struct expected_replays {
    const mtf_buf *values;
    const char *const *places;
} expected_replays;

static void check_replayed(void *arg, int index, const rd_kafka_message_t *message)
{
    const expected_replays *e = arg;
    rd_kafka_headers_t *headers = NULL;
    assert_int_equal(message->len, e->values[index].size);
    assert_memory_equal(message->payload, e->values[index].data, message->len);
    assert_int_equal(message->key_len, 4);
    assert_memory_equal(message->key, "user", 4);
    assert_string_equal(brokers_header(message, "__mtf.replayed"), e->places[index]);
    assert_int_equal(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_header_cnt(headers), 1);
}

static void dead_letters_go_back_once_and_by_any_selection(void **state)
{
    (void)state;
    brokers b;
    mtf_buf values[3] = {{0}}, future = {0}, session = {0};
    const int64_t now_ms = mtf_clock_wall_ms();
    brokers_open(&b, NULL, "");
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "e%d", i);
        request_event(id, now_ms - 1000, 64, &values[i]);
    }
    request_event("future", now_ms + 3600000, 64, &future);
    one_step_session(7, 64, &session);
    put_aside(&b, DLQ, "mtf.exploration", 10, "decode", "unknown_schema", mtf_buf_span(&values[0]),
              SIZE_MAX);
    put_aside(&b, DLQ, "mtf.exploration", 11, "decode", "decode", garbage(), SIZE_MAX);
    put_aside(&b, DLQ, "mtf.exploration", 12, "sessionize", "future_ts", mtf_buf_span(&future),
              SIZE_MAX);
    put_aside(&b, DLQ, "mtf.exploration", 13, "sessionize", "future_ts", mtf_buf_span(&values[1]),
              SIZE_MAX);
    put_aside(&b, DLQ, "mtf.exploration", 14, "decode", "decode", mtf_buf_span(&values[1]), 50);
    put_aside(&b, DLQ, "mtf.sessions", 15, "learn", "unknown_schema", mtf_buf_span(&session),
              SIZE_MAX);
    brokers_put(&b, DLQ, "user", garbage());
    put_aside(&b, DLQ, "mtf.exploration", 16, "decode", "unknown_schema", mtf_buf_span(&values[2]),
              SIZE_MAX);

    program_check(b.folder, ARGS("dlq", "replay", "-c", b.config), 0, "would put 3 records back",
                  "--execute", "1 too large", DLQ "/0@4", "1 would be refused again", DLQ "/0@1",
                  "1 still ahead of the clock", DLQ "/0@2", "--any-topic", "1 without our headers");
    /* That was a dry run; now one reason, then the rest, then nothing is left. */
    program_check(b.folder,
                  ARGS("dlq", "replay", "--reason", "future_ts", "--execute", "-c", b.config), 0,
                  "put 1 records back", "1 still ahead of the clock");
    program_check(b.folder, ARGS("dlq", "list", "-c", b.config), 0, "8 records, 1 replayed before",
                  "[replayed] words");
    program_check(
        b.folder, ARGS("dlq", "replay", "--execute", "--json", "-c", b.config), 0,
        "{\"executed\":true,\"replayed\":2,\"replayed_before\":1,\"cut\":1,\"too_large\":0,"
        "\"oversize\":0,\"still_bad\":1,\"still_future\":1,\"of_sessions\":1,"
        "\"other_topics\":0,\"foreign\":1,\"reasons\":{\"unknown_schema\":2},"
        "\"not_replayed\":[{\"partition\":0,"
        "\"offset\":1,\"why\":\"still_bad\"}");
    program_check(b.folder, ARGS("dlq", "replay", "--execute", "-c", b.config), 0,
                  "put 0 records back", "3 replayed before");
    const char *const places[] = {"0/13", "0/10", "0/16"};
    const mtf_buf order[] = {values[1], values[0], values[2]};
    expected_replays expected = {order, places};
    brokers_read(&b, "mtf.exploration", 3, check_replayed, &expected);
    brokers_count(&b, "mtf.exploration", 3);

    program_check(b.folder, ARGS("dlq", "replay", "--any-topic", "--execute", "-c", b.config), 0,
                  "put 1 records back", "learn       unknown_schema");
    const char *const session_places[] = {"0/15"};
    expected = (expected_replays){&session, session_places};
    brokers_read(&b, "mtf.sessions", 1, check_replayed, &expected);
    brokers_count(&b, "mtf.exploration", 3);
    for (int i = 0; i < 3; i++) mtf_buf_fini(&values[i]);
    mtf_buf_fini(&future);
    mtf_buf_fini(&session);
    brokers_close(&b);
}

static void feedback(const char *id, const char *request, int64_t request_ms, int64_t time_ms,
                     mtf_buf *out)
{
    mtf_err err = {0};
    mtf_signal signal = {mtf_str_of("watch"), 7};
    const mtf_event event = {.event_id = mtf_str_of(id),
                             .user_id = mtf_str_of("user"),
                             .event_time_ms = time_ms,
                             .kind = MTF_EVENT_FEEDBACK,
                             .body.feedback = {.request_id = mtf_str_of(request),
                                               .request_time_ms = request_ms,
                                               .item_id = mtf_str_of("item"),
                                               .signals = {&signal, 1}}};
    mtf_assert_ok(mtf_event_encode(&event, out, &err), &err);
}

/** As the sessionizer puts them: a request without its bytes, feedback with them. Whoever raises
 * the limits afterwards must not believe that they go back. */
static void events_of_a_step_too_large_stay_and_it_is_said_where_they_are(void **state)
{
    (void)state;
    brokers b;
    mtf_buf request = {0}, told = {0};
    brokers_open(&b, NULL, "");
    request_event("r", mtf_clock_wall_ms() - 1000, 64, &request);
    feedback("f", "r", mtf_clock_wall_ms() - 1000, mtf_clock_wall_ms() - 900, &told);
    put_aside(&b, DLQ, "mtf.exploration", 20, "sessionize", "too_large", mtf_buf_span(&request), 0);
    put_aside(&b, DLQ, "mtf.exploration", 21, "sessionize", "too_large", mtf_buf_span(&told),
              SIZE_MAX);
    program_check(
        b.folder, ARGS("dlq", "replay", "--execute", "-c", b.config), 0, "put 0 records back",
        "not replayed: 2 of sessions with a step that no record can hold", DLQ "/0@0", DLQ "/0@1");
    program_check(b.folder, ARGS("dlq", "replay", "--execute", "--json", "-c", b.config), 0,
                  "\"replayed\":0,\"replayed_before\":0,\"cut\":0,\"too_large\":2,\"oversize\":0");
    brokers_count(&b, "mtf.exploration", 0);
    mtf_buf_fini(&request);
    mtf_buf_fini(&told);
    brokers_close(&b);
}

static void a_letter_larger_than_the_producer_may_send_holds_no_other_up(void **state)
{
    (void)state;
    static uint8_t zeros[60000]; /* not an event, but of a topic that is not ours to judge */
    brokers b;
    brokers_open(&b, NULL, "");
    put_aside(&b, DLQ, "mtf.late", 30, "decode", "decode", (mtf_span){zeros, sizeof zeros},
              SIZE_MAX);
    put_aside(&b, DLQ, "mtf.late", 31, "decode", "decode", garbage(), SIZE_MAX);
    program_check(b.folder,
                  ARGS("dlq", "replay", "--any-topic", "--execute", "-c", b.config, "--set",
                       "kafka.producer.message.max.bytes=50000"),
                  0, "put 1 records back",
                  "not replayed: 1 larger than kafka.producer.message.max.bytes allows",
                  DLQ "/0@0");
    program_check(b.folder, ARGS("dlq", "replay", "--any-topic", "--execute", "-c", b.config), 0,
                  "put 1 records back", "1 replayed before");
    brokers_count(&b, "mtf.late", 2);
    brokers_close(&b);
}

/** Enough for many units, and for marks of several records. */
static void many_go_back_in_units(void **state)
{
    (void)state;
    enum { COUNT = 2500 };
    brokers b;
    mtf_err err = {0};
    mtf_buf value = {0};
    brokers_open(&b, NULL, "");
    request_event("one", mtf_clock_wall_ms(), 64, &value);
    mtf_assert_ok(b.sink.begin(b.sink.self, &err), &err);
    for (int i = 0; i < COUNT; i++) {
        const mtf_message message = {.topic = mtf_str_of("mtf.exploration"),
                                     .offset = i,
                                     .timestamp_ms = 1,
                                     .value = mtf_buf_span(&value)};
        mtf_assert_ok(mtf_set_aside(&b.sink, DLQ, &message, "decode", i % 2 ? "schema" : "decode",
                                    "words", &err),
                      &err);
    }
    mtf_assert_ok(b.sink.commit(b.sink.self, NULL, 0, &err), &err);
    program_check(b.folder,
                  ARGS("dlq", "replay", "--reason", "schema", "--execute", "-c", b.config), 0,
                  "put 1250 records back");
    program_check(b.folder, ARGS("dlq", "replay", "--execute", "-c", b.config), 0,
                  "put 1250 records back", "1250 replayed before");
    brokers_count(&b, "mtf.exploration", COUNT);
    mtf_buf_fini(&value);
    brokers_close(&b);
}

static void check_session(void *arg, int index, const rd_kafka_message_t *message)
{
    const brokers *b = arg;
    mtf_err err = {0};
    mtf_decoder *decoder = NULL;
    mtf_arena arena = {0};
    mtf_session session;
    const mtf_decoder_config config = {.dims = {.state = 64, .action = 10}};
    (void)b;
    mtf_assert_ok(mtf_decoder_open(&config, &decoder, &err), &err);
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    mtf_assert_ok(sessions.decode(sessions.self, (mtf_span){message->payload, message->len}, &arena,
                                  &session, &err),
                  &err);
    assert_string_equal(brokers_header(message, "__mtf.replayed"), "late");
    assert_true(session.truncated_head);
    assert_true(session.truncated_tail);
    /* The first session has two steps in order of time, whatever order they came in, and its
     * feedback; the second is an hour later. */
    assert_int_equal(session.step_count, index == 0 ? 2 : 1);
    assert_true(mtf_str_is(session.steps[0].event_id, index == 0 ? "a" : "c"));
    if (index == 0) {
        assert_true(mtf_str_is(session.steps[1].event_id, "b"));
        assert_int_equal(session.steps[1].request.items[0].signals.count, 1);
    }
    mtf_arena_fini(&arena);
    mtf_decoder_close(decoder);
}

static void late_events_become_sessions_once(void **state)
{
    (void)state;
    brokers b;
    mtf_buf value = {0};
    const int64_t t = mtf_clock_wall_ms() - 7200000;
    const struct {
        const char *id, *request;
        int64_t request_ms, time_ms;
        const char *reason;
    } events[] = {
        {"c", NULL, 0, t + 3600000, "late"},
        {"b", NULL, 0, t + 60000, "late"},
        {"f", "b", t + 60000, t + 61000, "no_request"},
        {"a", NULL, 0, t, "late"},
        {"g", "gone", t, t + 1000, "no_request"}, /* its request was not late */
        {"a", NULL, 0, t, "late"},                /* a retry */
    };
    brokers_open(&b, NULL, "");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        mtf_buf_clear(&value);
        if (events[i].request)
            feedback(events[i].id, events[i].request, events[i].request_ms, events[i].time_ms,
                     &value);
        else
            request_event(events[i].id, events[i].time_ms, 64, &value);
        put_aside(&b, LATE, "mtf.exploration", (int64_t)i, "sessionize", events[i].reason,
                  mtf_buf_span(&value), SIZE_MAX);
    }
    put_aside(&b, LATE, "mtf.exploration", 99, "sessionize", "late", garbage(), SIZE_MAX);
    program_check(b.folder, ARGS("late", "replay", "-c", b.config), 0,
                  "would put 2 sessions of 4 events", "5 records", "1 duplicates",
                  "1 feedback and ends whose request", LATE "/0@4", "1 do not decode", LATE "/0@6");
    brokers_count(&b, "mtf.sessions", 0);
    program_check(b.folder, ARGS("late", "replay", "--execute", "-c", b.config), 0,
                  "put 2 sessions of 4 events");
    program_check(b.folder, ARGS("late", "replay", "--execute", "--json", "-c", b.config), 0,
                  "{\"executed\":true,\"replayed\":0,\"sessions\":0", "\"no_request\":1",
                  "\"replayed_before\":5", "\"undecodable\":1");
    brokers_read(&b, "mtf.sessions", 2, check_session, &b);
    brokers_count(&b, "mtf.sessions", 2);
    program_check(b.folder, ARGS("late", "list", "-c", b.config), 0,
                  "7 records, 5 replayed before");
    mtf_buf_fini(&value);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_letters_go_back_once_and_by_any_selection),
        cmocka_unit_test(events_of_a_step_too_large_stay_and_it_is_said_where_they_are),
        cmocka_unit_test(a_letter_larger_than_the_producer_may_send_holds_no_other_up),
        cmocka_unit_test(many_go_back_in_units),
        cmocka_unit_test(late_events_become_sessions_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
