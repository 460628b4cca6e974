/** Goal: a commit says OK only when every record of its unit is in the log. Method: mock brokers
 * that are told to refuse produce requests, for a while or for good. */
#include "ingest/kafka_fixture.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define TOPIC   "numbers"
#define PRODUCE 0 /* Kafka's api key */

static void passing_errors_are_retried(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    fixture_set(&fixture.settings, "kafka.producer.retry.backoff.ms", "10");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    rd_kafka_mock_push_request_errors(mtf_kafka_mock_cluster(fixture.mock), PRODUCE, 3,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    put_numbers(&sink, TOPIC, 0, 100);
    const mtf_kafka_sink_counts *counts = mtf_kafka_sink_counters(&sink);
    assert_int_equal(mtf_counter_get(&counts->produced), 100);
    assert_int_equal(mtf_counter_get(&counts->acked), 100);
    assert_int_equal(mtf_counter_get(&counts->failed), 0);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void records_that_expire_fail_the_commit_and_only_that_one(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    fixture_set(&fixture.settings, "kafka.producer.message.timeout.ms", "4000");
    fixture_set(&fixture.settings, "kafka.reconnect.backoff.max.ms", "100");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 10);
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(fixture.mock), 1);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("v"), NULL, 0, 0, &err),
                  &err);
    assert_int_equal(sink.commit(sink.self, NULL, 0, &err), MTF_AGAIN);
    assert_non_null(strstr(err.msg, "write to " TOPIC));
    mtf_assert_ok(sink.abort(sink.self, &err), &err);
    assert_int_equal(mtf_counter_get(&mtf_kafka_sink_counters(&sink)->failed), 1);
    rd_kafka_mock_broker_set_up(mtf_kafka_mock_cluster(fixture.mock), 1);
    mtf_status status = MTF_AGAIN; /* the connection comes back in its own time */
    for (int i = 0; i < 20 && status == MTF_AGAIN; i++) {
        mtf_assert_ok(sink.begin(sink.self, &err), &err);
        mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("v"), NULL, 0, 0, &err),
                      &err);
        status = sink.commit(sink.self, NULL, 0, &err);
    }
    mtf_assert_ok(status, &err);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void a_refusal_fails_the_commit(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    rd_kafka_mock_push_request_errors(mtf_kafka_mock_cluster(fixture.mock), PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("v"), NULL, 0, 0, &err),
                  &err);
    assert_int_equal(sink.commit(sink.self, NULL, 0, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "authorization"));
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void a_record_too_large_is_refused_at_once(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    fixture_set(&fixture.settings, "kafka.producer.message.max.bytes", "100000");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    uint8_t *value = calloc(1, 100001);
    assert_non_null(value);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    assert_int_equal(
        sink.put(sink.self, TOPIC, text_span("k"), (mtf_span){value, 100001}, NULL, 0, 0, &err),
        MTF_NOMEM);
    assert_string_equal(err.msg, "record of 100002 bytes for " TOPIC
                                 ": kafka.producer.message.max.bytes is 100000");
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"),
                           (mtf_span){value, sink.value_bytes_max}, NULL, 0, 0, &err),
                  &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    free(value);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void a_full_queue_waits_for_the_brokers(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 4);
    fixture_set(&fixture.settings, "kafka.producer.queue.buffering.max.messages", "50");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 3000);
    assert_int_equal(mtf_counter_get(&mtf_kafka_sink_counters(&sink)->acked), 3000);
    sink.close(sink.self);
    fixture_close(&fixture);
}

enum { LARGE = 100000 };

/** A sink of a queue of 1 MiB, into which no broker acknowledges; *value is LARGE bytes. */
static void open_stuck(kafka_fixture *fixture, const mtf_kafka_sink_config *config, mtf_sink *sink,
                       uint8_t **value)
{
    mtf_err err;
    fixture_open(fixture, TOPIC, 1);
    fixture_set(&fixture->settings, "kafka.producer.queue.buffering.max.kbytes", "1024");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture->settings, NULL, config, sink, &err), &err);
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(fixture->mock), 1);
    *value = calloc(1, LARGE);
    assert_non_null(*value);
    mtf_assert_ok(sink->begin(sink->self, &err), &err);
}

static mtf_status put_large(const mtf_sink *sink, uint8_t *value, mtf_err *err)
{
    return sink->put(sink->self, TOPIC, text_span("k"), (mtf_span){value, LARGE}, NULL, 0, 0, err);
}

static void a_queue_full_of_bytes_is_full(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    uint8_t *value;
    open_stuck(&fixture, NULL, &sink, &value);
    assert_true(sink.fill(sink.self) == 0);
    for (int i = 0; i < 9; i++) mtf_assert_ok(put_large(&sink, value, &err), &err);
    const double full = sink.fill(sink.self);
    if (full < 0.85 || full > 0.87) fail_msg("9 of 10.5 records that fit: %g", full);
    rd_kafka_mock_broker_set_up(mtf_kafka_mock_cluster(fixture.mock), 1);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    assert_true(sink.fill(sink.self) == 0);
    free(value);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void a_stop_ends_the_wait_for_a_full_queue(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err = {0};
    uint8_t *value;
    atomic_bool stop = true;
    mtf_board board;
    mtf_status status = MTF_OK;
    mtf_board_init(&board);
    open_stuck(&fixture, &(mtf_kafka_sink_config){.stop = &stop, .board = &board}, &sink, &value);
    for (int i = 0; i < 20 && status == MTF_OK; i++) status = put_large(&sink, value, &err);
    assert_int_equal(status, MTF_AGAIN); /* and not the failure of message.timeout.ms */
    assert_non_null(strstr(err.msg, "write to " TOPIC ": stopped with 1"));
    assert_true(mtf_board_still_ms(&board, mtf_clock_mono_ns() / 1000000 + 1) >
                0); /* it was beaten */
    mtf_assert_ok(sink.abort(sink.self, &err), &err);
    free(value);
    sink.close(sink.self);
    mtf_board_fini(&board);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passing_errors_are_retried),
        cmocka_unit_test(records_that_expire_fail_the_commit_and_only_that_one),
        cmocka_unit_test(a_refusal_fails_the_commit),
        cmocka_unit_test(a_record_too_large_is_refused_at_once),
        cmocka_unit_test(a_full_queue_waits_for_the_brokers),
        cmocka_unit_test(a_queue_full_of_bytes_is_full),
        cmocka_unit_test(a_stop_ends_the_wait_for_a_full_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
