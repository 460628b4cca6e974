/** Goal: every class of error of the transactional calls comes out as the status that the stages
 * act upon, nothing counts that was not committed, and after what passes the next unit is
 * committed. Method: mock brokers that are told to refuse single requests (they know no isolation,
 * which is for the tests on a real broker). */
#include "ingest/kafka_fixture.h"
#include "ingest/kafka_transaction.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define TOPIC "numbers"

/** Kafka's keys of requests. */
enum {
    PRODUCE = 0,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END = 26,
    OFFSET_COMMIT = 28,
};

typedef struct place {
    kafka_fixture fixture;
    mtf_kafka_source *handle; /* a member that owns the topic's one partition */
    mtf_source source;
} place;

static int setup(void **state)
{
    static place p;
    fixture_open(&p.fixture, TOPIC, 1);
    fixture_set(&p.fixture.settings, "kafka.reconnect.backoff.max.ms", "100");
    p.source = fixture_source(&p.fixture.settings, TOPIC, "one", true, &p.handle);
    start_all(&p.source, 1);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    p->source.close(p->source.self);
    fixture_close(&p->fixture);
    return 0;
}

static mtf_status open_sink(const place *p, const atomic_bool *stop, mtf_sink *sink, mtf_err *err)
{
    const mtf_kafka_sink_config config = {
        .source = p->handle, .transactional_id = "test", .stop = stop};
    return mtf_kafka_sink_open(&p->fixture.settings, NULL, &config, sink, err);
}

/** A record and a position; the first status that is not OK. */
static mtf_status run_unit(const mtf_sink *sink, mtf_err *err)
{
    const mtf_position position = {0, 7, "metadata"};
    mtf_status status = sink->begin(sink->self, err);
    if (!status)
        status = sink->put(sink->self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, err);
    return status ? status : sink->commit(sink->self, &position, 1, err);
}

/** As the stages do: what is to be given up is aborted, and a later unit is committed. Not always
 *  the next: librdkafka may notice only then that the failure has cost it its sequence numbers. */
static void goes_on(const mtf_sink *sink)
{
    mtf_err err;
    mtf_status status = MTF_AGAIN;
    for (int tries = 0; tries < 3 && status == MTF_AGAIN; tries++) {
        mtf_assert_ok(sink->abort(sink->self, &err), &err);
        status = run_unit(sink, &err);
    }
    mtf_assert_ok(status, &err);
}

typedef struct refusal {
    int api;
    rd_kafka_resp_err_t code;
    mtf_status status;
    const char *words; /* of the error's text */
} refusal;

static void push(const place *p, int api, rd_kafka_resp_err_t code, int times)
{
    for (int i = 0; i < times; i++)
        rd_kafka_mock_push_request_errors(mtf_kafka_mock_cluster(p->fixture.mock), (int16_t)api, 1,
                                          code);
}

static void check_refusal(const place *p, const mtf_sink *sink, const refusal *expected)
{
    mtf_err err;
    push(p, expected->api, expected->code, 1);
    const mtf_status status = run_unit(sink, &err);
    if (status != expected->status || !strstr(err.msg, expected->words))
        fail_msg("%s of request %d: status %d, %s", rd_kafka_err2name(expected->code),
                 expected->api, (int)status, err.msg);
}

static void what_passes_is_tried_again(void **state)
{
    static const refusal cases[] = {
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, MTF_OK, ""},
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, MTF_OK, ""},
        {PRODUCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, MTF_OK, ""},
        {PRODUCE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, MTF_OK, ""},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, MTF_OK, ""},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, MTF_OK, ""},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, MTF_OK, ""},
        {END, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, MTF_OK, ""},
        {END, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, MTF_OK, ""},
        {END, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, MTF_OK, ""},
    };
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    push(p, INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 1);
    mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        push(p, cases[i].api, cases[i].code, 2);
        mtf_assert_ok(run_unit(&sink, &err), &err);
    }
    sink.close(sink.self);
}

static void what_needs_an_abort_is_given_up_and_the_next_unit_is_committed(void **state)
{
    static const refusal cases[] = {
        {PRODUCE, RD_KAFKA_RESP_ERR_INVALID_RECORD, MTF_AGAIN, "write to " TOPIC},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_UNKNOWN, MTF_AGAIN, "positions in a transaction of test"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, MTF_AGAIN, "member"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, MTF_AGAIN, "generation"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_UNKNOWN, MTF_AGAIN, "positions in a transaction of test"},
        {END, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, MTF_AGAIN, "commit of a transaction of test"},
        {END, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, MTF_AGAIN, "commit of a transaction"},
        {END, RD_KAFKA_RESP_ERR_UNKNOWN, MTF_AGAIN, "commit of a transaction of test"},
    };
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refusal(p, &sink, &cases[i]);
        goes_on(&sink);
    }
    sink.close(sink.self);
}

/** librdkafka takes an abort; but no later unit would fare better, so the stage is told to stop. */
static void what_will_never_pass_is_told_as_such(void **state)
{
    static const refusal cases[] = {
        {PRODUCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, MTF_INVALID, "write to " TOPIC},
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, MTF_INVALID, "authoriz"},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, MTF_INVALID, "authoriz"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, MTF_INVALID,
         "lacks an ACL on the group " TOPIC},
        {PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, MTF_INVALID, "raise the topic's max."},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, MTF_INVALID, "metadata"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, MTF_FENCED,
         "another process runs under the same name"},
    };
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
        check_refusal(p, &sink, &cases[i]);
        mtf_assert_ok(sink.abort(sink.self, &err), &err);
        sink.close(sink.self);
    }
}

static void what_is_fatal_stops_the_sink_for_good(void **state)
{
    static const refusal cases[] = {
        {PRODUCE, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, MTF_FENCED, "same name"},
        {ADD_PARTITIONS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, MTF_FENCED, "same name"},
        {ADD_OFFSETS, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, MTF_FENCED, "same name"},
        {OFFSET_COMMIT, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, MTF_FENCED, "same name"},
        {END, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, MTF_FENCED, "transaction.timeout.ms"},
        {END, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, MTF_BROKER, "commit of a transaction of test"},
        {END, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, MTF_INVALID, "authoriz"},
    };
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
        check_refusal(p, &sink, &cases[i]);
        assert_int_not_equal(sink.abort(sink.self, &err), MTF_OK);
        assert_int_not_equal(sink.begin(sink.self, &err), MTF_OK);
        sink.close(sink.self);
        rd_kafka_mock_clear_request_errors(mtf_kafka_mock_cluster(p->fixture.mock),
                                           (int16_t)cases[i].api);
    }
}

static void an_id_that_is_refused_fails_the_open(void **state)
{
    static const refusal cases[] = {
        {INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, MTF_INVALID,
         "transactions of test"},
        {INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, MTF_INVALID,
         "transactions of test"},
    };
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        push(p, cases[i].api, cases[i].code, 1);
        assert_int_equal(open_sink(p, NULL, &sink, &err), cases[i].status);
        assert_non_null(strstr(err.msg, cases[i].words));
    }
}

static void a_unit_may_be_empty_or_aborted_at_any_point(void **state)
{
    const place *p = *state;
    const mtf_position position = {0, 7, "metadata"};
    mtf_sink sink;
    mtf_err err;
    mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.abort(sink.self, &err), &err);
    mtf_assert_ok(sink.abort(sink.self, &err), &err); /* none is open: nothing to do */
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.commit(sink.self, &position, 1, &err), &err); /* positions alone */
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, &err),
                  &err);
    goes_on(&sink);
    mtf_assert_ok(sink.begin(sink.self, &err), &err); /* and left open: close aborts it */
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, &err),
                  &err);
    sink.close(sink.self);
}

static void a_failed_transaction_takes_no_more_records(void **state)
{
    const place *p = *state;
    mtf_sink sink;
    mtf_err err;
    mtf_status status = MTF_OK;
    mtf_assert_ok(open_sink(p, NULL, &sink, &err), &err);
    push(p, PRODUCE, RD_KAFKA_RESP_ERR_INVALID_RECORD, 1);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    while (status == MTF_OK && mtf_clock_mono_ns() < deadline_ns)
        status = sink.put(sink.self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, &err);
    assert_int_equal(status, MTF_AGAIN);
    assert_non_null(strstr(err.msg, "the transaction has failed"));
    goes_on(&sink);
    sink.close(sink.self);
}

/** Brokers that answer nothing: all of them are away. */
static void set_brokers(const place *p, bool up)
{
    rd_kafka_mock_cluster_t *cluster = mtf_kafka_mock_cluster(p->fixture.mock);
    if (up)
        rd_kafka_mock_broker_set_up(cluster, 1);
    else
        rd_kafka_mock_broker_set_down(cluster, 1);
}

static void a_commit_waits_for_its_answer_until_it_is_stopped(void **state)
{
    const place *p = *state;
    const mtf_position position = {0, 7, "metadata"};
    atomic_bool stop = false;
    mtf_sink sink;
    mtf_err err;
    mtf_assert_ok(open_sink(p, &stop, &sink, &err), &err);
    mtf_assert_ok(run_unit(&sink, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, &err),
                  &err);
    push(p, END, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 100000); /* it never answers */
    atomic_store(&stop, true);
    const int64_t started_ns = mtf_clock_mono_ns();
    assert_int_equal(sink.commit(sink.self, &position, 1, &err), MTF_AGAIN);
    assert_true(mtf_clock_mono_ns() - started_ns < 15 * INT64_C(1000000000));
    mtf_assert_ok(sink.abort(sink.self, &err), &err); /* nothing that could be taken back */
    /* Whether it was committed is not known, so nothing may follow. */
    assert_int_equal(sink.begin(sink.self, &err), MTF_BROKER);
    assert_non_null(strstr(err.msg, "was not answered"));
    rd_kafka_mock_clear_request_errors(mtf_kafka_mock_cluster(p->fixture.mock), END);
    sink.close(sink.self);
}

static void without_brokers_a_stopped_sink_ends_within_seconds(void **state)
{
    const place *p = *state;
    const mtf_position position = {0, 7, "metadata"};
    atomic_bool stop = false;
    mtf_sink sink;
    mtf_err err;
    mtf_assert_ok(open_sink(p, &stop, &sink, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    /* The brokers know of the transaction: some of its records are acknowledged. */
    const mtf_counter *acked = &mtf_kafka_sink_counters(&sink)->acked;
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    while (mtf_counter_get(acked) == 0 && mtf_clock_mono_ns() < deadline_ns)
        mtf_assert_ok(sink.put(sink.self, TOPIC, text_span("k"), text_span("1"), NULL, 0, 0, &err),
                      &err);
    set_brokers(p, false);
    atomic_store(&stop, true);
    const int64_t started_ns = mtf_clock_mono_ns();
    assert_int_equal(sink.commit(sink.self, &position, 1, &err), MTF_AGAIN);
    assert_int_equal(sink.abort(sink.self, &err), MTF_AGAIN);
    sink.close(sink.self);
    const int64_t took_ms = (mtf_clock_mono_ns() - started_ns) / 1000000;
    print_message("stopped without brokers: %lld ms\n", (long long)took_ms);
    assert_true(took_ms < 15000);
    set_brokers(p, true);
}

static void an_open_that_is_stopped_says_so(void **state)
{
    const place *p = *state;
    atomic_bool stop = true;
    mtf_sink sink = {0};
    mtf_err err;
    push(p, INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 100000);
    assert_int_equal(open_sink(p, &stop, &sink, &err), MTF_CLOSED);
    assert_non_null(strstr(err.msg, "stopped before the brokers answered"));
    rd_kafka_mock_clear_request_errors(mtf_kafka_mock_cluster(p->fixture.mock), INIT_PRODUCER_ID);
    mtf_assert_ok(open_sink(p, &stop, &sink, &err), &err); /* they do answer */
    sink.close(sink.self);
}

static void times_that_cannot_work_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } cases[] = {
        {"kafka.producer.message.timeout.ms", "30000",
         "kafka.producer.message.timeout.ms is 30000"},
        {"kafka.producer.message.timeout.ms", "0", "is 0 (for ever), and must be below"},
        {"kafka.producer.transaction.timeout.ms", "20000",
         "below kafka.producer.transaction.timeout.ms, 20000"},
        {"kafka.producer.socket.timeout.ms", "40000", "kafka.producer.socket.timeout.ms is 40000"},
        {"sessionize.commit_interval_ms", "30000", "sessionize.commit_interval_ms is 30000"},
        {"kafka.producer.transactional.id", "mine", "set sessionize.delivery"},
    };
    (void)state;
    mtf_sink sink;
    mtf_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_settings settings;
        fixture_settings(&settings, "localhost:1");
        fixture_set(&settings, cases[i].key, cases[i].value);
        const mtf_kafka_sink_config config = {.transactional_id = "test"};
        assert_int_equal(mtf_kafka_sink_open(&settings, NULL, &config, &sink, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i].words)) fail_msg("%s", err.msg);
        mtf_settings_fini(&settings);
    }
}

static void an_error_of_no_kind_is_taken_for_fatal(void **state)
{
    (void)state;
    char words[64];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), words, sizeof words);
    assert_non_null(rk);
    const mtf_kafka_handle handle = {.rk = rk, .role = "producer", .transactional_id = "test"};
    const mtf_kafka_transaction transaction = {.handle = &handle};
    mtf_err err = {0};
    assert_int_equal(mtf_kafka_transaction_settle(&transaction, NULL, "a call", &err), MTF_OK);
    /* By its code this would pass; but librdkafka says neither "again" nor "abort". */
    rd_kafka_error_t *error = rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "%s", "no answer");
    assert_int_equal(mtf_kafka_transaction_settle(&transaction, error, "a call", &err), MTF_BROKER);
    assert_non_null(strstr(err.msg, "a call of test: no answer"));
    rd_kafka_destroy(rk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(what_needs_an_abort_is_given_up_and_the_next_unit_is_committed),
        cmocka_unit_test(what_will_never_pass_is_told_as_such),
        cmocka_unit_test(what_is_fatal_stops_the_sink_for_good),
        cmocka_unit_test(an_error_of_no_kind_is_taken_for_fatal),
        cmocka_unit_test(an_id_that_is_refused_fails_the_open),
        cmocka_unit_test(a_unit_may_be_empty_or_aborted_at_any_point),
        cmocka_unit_test(a_failed_transaction_takes_no_more_records),
        cmocka_unit_test(a_commit_waits_for_its_answer_until_it_is_stopped),
        cmocka_unit_test(times_that_cannot_work_are_refused),
        cmocka_unit_test(without_brokers_a_stopped_sink_ends_within_seconds),
        cmocka_unit_test(an_open_that_is_stopped_says_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
