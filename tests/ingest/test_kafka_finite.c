/** Goal: a finite source gives the records of its stretches, each once and with its headers, and
 *  then says that it is drained, also while the topic grows. Method: mock brokers. */
#include "ingest/kafka_fixture.h"

#include "ingest/kafka_client.h"
#include "ingest/kafka_finite.h"

#define TOPIC "numbers"

/** Reads to the end; seen[partition] counts, next[partition] must come next. */
static void drain(const mtf_source *source, int64_t *next, int *seen)
{
    mtf_err err = {0};
    mtf_input input;
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    for (;;) {
        const mtf_status status = source->poll(source->self, 100, &input, &err);
        if (status == MTF_CLOSED) return;
        assert_true(mtf_clock_mono_ns() < deadline_ns);
        if (status == MTF_AGAIN) continue;
        mtf_assert_ok(status, &err);
        if (input.kind == MTF_INPUT_ASSIGN) {
            start_at(source, input.partition, next[input.partition]);
            continue;
        }
        assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
        assert_int_equal(input.message.offset, next[input.partition]++);
        seen[input.partition]++;
    }
}

static void only_the_stretch_is_read(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    mtf_source source;
    mtf_kafka_client *client;
    const int64_t times[4] = {1500, 1500, 1500, 1500};
    int64_t firsts[4], ends[4], at[4];
    fixture_open(&fixture, TOPIC, 4);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 2000);
    mtf_assert_ok(mtf_kafka_client_open(&fixture.settings, NULL, NULL, true, NULL, &client, &err),
                  &err);
    mtf_assert_ok(mtf_kafka_client_ranges(client, TOPIC, 4, firsts, ends, &err), &err);
    assert_int_equal(ends[0] + ends[1] + ends[2] + ends[3], 2000);
    /* These brokers do not look times up: then it is all there is. */
    mtf_assert_ok(mtf_kafka_client_offsets_at(client, TOPIC, 4, times, at, &err), &err);
    assert_memory_equal(at, firsts, sizeof at);
    mtf_kafka_client_close(client);

    const mtf_kafka_stretch stretches[] = {
        {0, 10, ends[0]}, {1, 20, 25}, {2, 5, 5}, {3, ends[3], ends[3]}};
    mtf_assert_ok(
        mtf_kafka_finite_open(&fixture.settings, NULL, TOPIC, stretches, 4, &source, &err), &err);
    put_numbers(&sink, TOPIC, 2000, 3000); /* behind the ends */
    int64_t next[4] = {10, 20, 0, 0};
    int seen[4] = {0};
    drain(&source, next, seen);
    assert_int_equal(seen[0], ends[0] - 10);
    assert_int_equal(seen[1], 5);
    assert_int_equal(seen[2] + seen[3], 0);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void headers_come_with_the_record(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    mtf_source source;
    mtf_input input;
    mtf_header headers[2];
    const mtf_header three[] = {{mtf_str_of("a"), {(const uint8_t *)"1", 1}},
                                {mtf_str_of("b"), {(const uint8_t *)"x\0y", 3}},
                                {mtf_str_of("a"), {(const uint8_t *)"", 0}}};
    fixture_open(&fixture, TOPIC, 1);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("v"), three, 3, 0, &err),
                  &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("v"), NULL, 0, 0, &err),
                  &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    const mtf_kafka_stretch all = {0, 0, 2};
    mtf_assert_ok(mtf_kafka_finite_open(&fixture.settings, NULL, TOPIC, &all, 1, &source, &err),
                  &err);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
    assert_int_equal(source.headers(source.self, headers, 2), 0);
    start_at(&source, 0, 0);
    next_input(&source, &input);
    assert_int_equal(source.headers(source.self, headers, 2), 3);
    assert_true(mtf_str_is(headers[0].name, "a"));
    assert_int_equal(headers[1].value.size, 3);
    assert_memory_equal(headers[1].value.data, "x\0y", 3);
    next_input(&source, &input);
    assert_int_equal(source.headers(source.self, headers, 2), 0);
    assert_int_equal(source.poll(source.self, 100, &input, &err), MTF_CLOSED);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void an_empty_stretch_is_drained_at_once(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_err err;
    mtf_source source;
    mtf_input input;
    fixture_open(&fixture, TOPIC, 1);
    const mtf_kafka_stretch none = {0, 0, 0};
    mtf_assert_ok(mtf_kafka_finite_open(&fixture.settings, NULL, TOPIC, &none, 1, &source, &err),
                  &err);
    assert_int_equal(source.poll(source.self, 100, &input, &err), MTF_CLOSED);
    source.close(source.self);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_stretch_is_read),
        cmocka_unit_test(headers_come_with_the_record),
        cmocka_unit_test(an_empty_stretch_is_drained_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
