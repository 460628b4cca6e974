/** Goal: records come back as they were written, from where they were asked for, each once and in
 * order, however partitions are started, moved and paused. Method: mock brokers, a source without a
 * group. */
#include "ingest/kafka_fixture.h"

#include "core/rng.h"
#include "ingest/kafka_follow.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#define TOPIC "numbers"

static void records_come_back_whole(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    const mtf_header header = {mtf_str_of("reason"), {(const uint8_t *)"late", 4}};
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(
        sink.put(sink.self, TOPIC, text_span("u1"), text_span("a\x01z"), &header, 1, 1234567, &err),
        &err);
    mtf_assert_ok(
        sink.put(sink.self, TOPIC, text_span("u1"), (mtf_span){0}, NULL, 0, 1234568, &err), &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    assert_int_equal(mtf_counter_get(&mtf_kafka_sink_counters(&sink)->acked), 2);

    const mtf_source source = fixture_source(&fixture.settings, TOPIC, NULL, true, &handle);
    start_all(&source, 1);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
    assert_int_equal(input.message.offset, 0);
    assert_int_equal(input.message.timestamp_ms, 1234567);
    assert_true(mtf_str_is(input.message.topic, TOPIC));
    assert_int_equal(input.message.key.size, 2);
    assert_memory_equal(input.message.key.data, "u1", 2);
    assert_int_equal(input.message.value.size, 3);
    assert_memory_equal(input.message.value.data, "a\x01z", 3);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
    assert_null(input.message.value.data); /* a tombstone */
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_END);
    assert_int_equal(input.message.offset, 2);
    put_numbers(&sink, TOPIC, 0, 1);
    next_input(&source, &input);
    assert_int_equal(number_of(&input.message), 0);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_END); /* each new end is told */
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void nothing_flows_before_start(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    int64_t first, end;
    fixture_open(&fixture, TOPIC, 2);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 100);
    const mtf_source source = fixture_source(&fixture.settings, TOPIC, NULL, true, &handle);
    assert_int_equal(source.start(source.self, 0, 0, &err), MTF_INVALID); /* not assigned yet */
    for (int32_t i = 0; i < 2; i++) {
        next_input(&source, &input);
        assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
        assert_int_equal(input.partition, i);
        assert_int_equal(input.committed_offset, -1);
        assert_string_equal(input.metadata, "");
    }
    assert_int_equal(source.poll(source.self, 300, &input, &err), MTF_AGAIN);
    mtf_assert_ok(source.range(source.self, 1, &first, &end, &err), &err);
    assert_int_equal(first, 0);
    assert_in_range(end, 1, 99);
    start_at(&source, 1, end - 1);
    next_input(&source, &input);
    assert_int_equal(input.partition, 1);
    assert_int_equal(input.message.offset, end - 1);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_END);
    assert_int_equal(source.poll(source.self, 300, &input, &err), MTF_AGAIN); /* 0 still waits */
    start_at(&source, 0, 0);
    next_event(&source, &input);
    assert_int_equal(input.partition, 0);
    assert_int_equal(input.message.offset, 0);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

/** Every message after a start is the one asked for or its successor: a message that was fetched
 * for an older position must never slip through. */
static void random_moves_and_pauses_keep_the_order(void **state)
{
    (void)state;
    enum { RECORDS = 3000, PARTITIONS = 2, MOVES = 150 };
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    int64_t next[PARTITIONS] = {0}, first, end[PARTITIONS], read = 0;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(20), 0);
    fixture_open(&fixture, TOPIC, PARTITIONS);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, RECORDS);
    const mtf_source source = fixture_source(&fixture.settings, TOPIC, NULL, true, &handle);
    start_all(&source, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        mtf_assert_ok(source.range(source.self, i, &first, &end[i], &err), &err);
    }
    for (int move = 0; move < MOVES; move++) {
        for (uint64_t reads = mtf_rng_below(&rng, 60); reads > 0; reads--) {
            const mtf_status status = source.poll(source.self, 5, &input, &err);
            if (status == MTF_AGAIN) continue;
            mtf_assert_ok(status, &err);
            if (input.kind == MTF_INPUT_END) {
                assert_int_equal(next[input.partition], end[input.partition]);
                continue;
            }
            assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
            assert_int_equal(input.message.offset, next[input.partition]++);
            read++;
        }
        const int32_t partition = (int32_t)mtf_rng_below(&rng, PARTITIONS);
        if (mtf_rng_below(&rng, 4) == 0) {
            mtf_assert_ok(source.pause(source.self, true, &err), &err);
            assert_int_equal(source.poll(source.self, 2, &input, &err), MTF_AGAIN);
            if (mtf_rng_below(&rng, 2) == 0) {
                next[partition] = (int64_t)mtf_rng_below(&rng, (uint64_t)end[partition]);
                start_at(&source, partition, next[partition]);
                assert_int_equal(source.poll(source.self, 2, &input, &err), MTF_AGAIN);
            }
            mtf_assert_ok(source.pause(source.self, false, &err), &err);
        } else {
            next[partition] = (int64_t)mtf_rng_below(&rng, (uint64_t)end[partition]);
            start_at(&source, partition, next[partition]);
        }
    }
    assert_true(read > MOVES);
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(handle)->gaps), 0);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

/** A broker says "out of range" of a position that is there by now, and is gone before it can be
 *  asked about it. */
static void a_position_that_cannot_be_asked_about_is_read_on(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    rd_kafka_mock_cluster_t *cluster = mtf_kafka_mock_cluster(fixture.mock);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 5);
    const mtf_kafka_source_config config = {.topic = TOPIC, .group = TOPIC, .asks_again = true};
    mtf_assert_ok(mtf_kafka_source_open(&fixture.settings, NULL, &config, &handle, &err), &err);
    const mtf_source source = mtf_kafka_source_pipe(handle);
    next_input(&source, &input);
    start_at(&source, 0, 10);
    assert_int_equal(source.poll(source.self, 0, &input, &err), MTF_AGAIN);
    sleep(1); /* it has been told */
    put_numbers(&sink, TOPIC, 5, 20);
    rd_kafka_mock_partition_set_leader(cluster, TOPIC, 0, -1);
    const int64_t started_ns = mtf_clock_mono_ns();
    while (mtf_clock_mono_ns() - started_ns < 2500000000)
        assert_int_equal(source.poll(source.self, 100, &input, &err), MTF_AGAIN);
    rd_kafka_mock_partition_set_leader(cluster, TOPIC, 0, 1);
    next_event(&source, &input);
    assert_int_equal(input.message.offset, 10);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

/** The mock keeps 5 MiB a partition and drops the oldest silently, as retention does. */
static void a_position_that_retention_took_is_an_error(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    int64_t first, end;
    static char noise[60000];
    mtf_rng rng = mtf_rng_of(1, 1);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)mtf_rng_next(&rng);
    fixture_open(&fixture, TOPIC, 1);
    fixture_set(&fixture.settings, "kafka.producer.compression.type", "none");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 10);
    const mtf_source source = fixture_source(&fixture.settings, TOPIC, NULL, true, &handle);
    start_all(&source, 1);
    for (int i = 0; i < 10; i++) next_input(&source, &input);
    mtf_assert_ok(source.pause(source.self, true, &err), &err);
    assert_int_equal(source.poll(source.self, 0, &input, &err), MTF_AGAIN);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    for (int i = 0; i < 200; i++) {
        const mtf_span value = {(const uint8_t *)noise, sizeof noise};
        mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), value, NULL, 0, 0, &err), &err);
    }
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    mtf_assert_ok(source.range(source.self, 0, &first, &end, &err), &err);
    assert_true(first > 10);
    mtf_assert_ok(source.pause(source.self, false, &err), &err);
    mtf_status status = MTF_AGAIN;
    for (int i = 0; i < 600 && status == MTF_AGAIN; i++)
        status = source.poll(source.self, 100, &input, &err);
    assert_int_equal(status, MTF_CORRUPT);
    assert_non_null(strstr(err.msg, TOPIC "/0: offset 10 is not in the log"));
    assert_non_null(strstr(err.msg, "retention"));
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(handle)->gaps), first - 10);
    start_at(&source, 0, first); /* the caller may accept the loss */
    next_input(&source, &input);
    assert_int_equal(input.message.offset, first);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

typedef struct seen {
    int count, tombstones;
    int64_t last_offset;
} seen;

static mtf_status note(void *arg, const mtf_message *message, mtf_err *err)
{
    seen *notes = arg;
    if (message->value.size == 3 && memcmp(message->value.data, "bad", 3) == 0) {
        return mtf_fail(err, MTF_CORRUPT, "bad record");
    }
    notes->count++;
    notes->tombstones += message->value.data == NULL;
    notes->last_offset = message->offset;
    return MTF_OK;
}

static void a_follower_reads_all_and_then_what_comes(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_follower *follower;
    mtf_sink sink;
    mtf_err err;
    seen notes = {0};
    fixture_open(&fixture, TOPIC, 3);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    mtf_assert_ok(
        mtf_kafka_follower_open(&fixture.settings, NULL, TOPIC, note, &notes, &follower, &err),
        &err);
    mtf_assert_ok(mtf_kafka_follower_catch_up(follower, WAIT_MS, &err),
                  &err); /* an empty topic has an end */
    assert_int_equal(notes.count, 0);
    put_numbers(&sink, TOPIC, 0, 500);
    mtf_assert_ok(mtf_kafka_follower_catch_up(follower, WAIT_MS, &err), &err);
    assert_int_equal(notes.count, 500);
    put_numbers(&sink, TOPIC, 500, 501);
    for (int i = 0; i < 600 && notes.count == 500; i++) {
        mtf_assert_ok(mtf_kafka_follower_poll(follower, 100, &err), &err);
    }
    assert_int_equal(notes.count, 501);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("bad"), NULL, 0, 0, &err),
                  &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), (mtf_span){0}, NULL, 0, 0, &err),
                  &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    assert_int_equal(mtf_kafka_follower_catch_up(follower, WAIT_MS, &err),
                     MTF_CORRUPT); /* fn's word */
    mtf_assert_ok(mtf_kafka_follower_catch_up(follower, WAIT_MS, &err), &err);
    assert_int_equal(notes.tombstones, 1);
    mtf_kafka_follower_close(follower);
    sink.close(sink.self);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_whole),
        cmocka_unit_test(nothing_flows_before_start),
        cmocka_unit_test(random_moves_and_pauses_keep_the_order),
        cmocka_unit_test(a_position_that_cannot_be_asked_about_is_read_on),
        cmocka_unit_test(a_position_that_retention_took_is_an_error),
        cmocka_unit_test(a_follower_reads_all_and_then_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
