/** Goal: a group's partitions and positions move between members with nothing lost: positions and
 * their metadata come back, a revoke is told before it happens, every record is read by someone.
 *  Method: mock brokers and real members with 3 s sessions (the mock waits so long at each join).
 */
#include "ingest/kafka_member.h"

#include "ingest/kafka_client.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <unistd.h>

#define TOPIC "numbers"

static void commit_at(const mtf_sink *sink, int32_t partition, int64_t offset, const char *metadata)
{
    mtf_err err;
    const mtf_position position = {partition, offset, metadata};
    mtf_assert_ok(sink->begin(sink->self, &err), &err);
    mtf_assert_ok(sink->commit(sink->self, &position, 1, &err), &err);
}

static void positions_and_metadata_come_back(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_kafka_client *client;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    int64_t offsets[2];
    char longest[4098];
    fixture_open(&fixture, TOPIC, 2);
    memset(longest, 'm', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    mtf_source source = fixture_source(&fixture.settings, TOPIC, "one", true, &handle);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL,
                                      &(mtf_kafka_sink_config){.source = handle}, &sink, &err),
                  &err);
    put_numbers(&sink, TOPIC, 0, 40);
    start_all(&source, 2);

    const mtf_position too_long = {0, 7, longest}, not_ascii = {0, 7, "caf\xc3\xa9"};
    assert_int_equal(sink.commit(sink.self, &too_long, 1, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "4097"));
    assert_int_equal(sink.commit(sink.self, &not_ascii, 1, &err), MTF_INVALID);
    longest[4096] = '\0';
    commit_at(&sink, 0, 7, longest);
    commit_at(&sink, 1, 3, NULL);
    for (int i = 0; i < 2; i++) { /* as after a unit was given up */
        char metadata[4097];
        int64_t offset;
        mtf_assert_ok(source.committed(source.self, i, &offset, metadata, &err), &err);
        assert_int_equal(offset, i ? 3 : 7);
        assert_string_equal(metadata, i ? "" : longest);
    }
    sink.close(sink.self);
    source.close(source.self);

    mtf_assert_ok(mtf_kafka_client_open(&fixture.settings, NULL, TOPIC, true, NULL, &client, &err),
                  &err);
    mtf_assert_ok(mtf_kafka_client_committed(client, TOPIC, 2, offsets, &err), &err);
    assert_int_equal(offsets[0], 7);
    assert_int_equal(offsets[1], 3);
    mtf_kafka_client_close(client);

    source = fixture_source(&fixture.settings, TOPIC, "one", true, &handle);
    for (int i = 0; i < 2; i++) {
        next_input(&source, &input);
        assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
        assert_int_equal(input.committed_offset, input.partition == 0 ? 7 : 3);
        assert_string_equal(input.metadata, input.partition == 0 ? longest : "");
        start_at(&source, input.partition, input.committed_offset);
    }
    for (int i = 0; i < 30; i++) {
        next_event(&source, &input);
        assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
    }
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(handle)->gaps), 0);
    source.close(source.self);
    fixture_close(&fixture);
}

static void a_stop_ends_the_wait_for_a_commit(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_err err = {0};
    atomic_bool stop = true;
    const mtf_position position = {0, 7, NULL};
    fixture_open(&fixture, TOPIC, 1);
    mtf_source source = fixture_source(&fixture.settings, TOPIC, "one", true, &handle);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL,
                                      &(mtf_kafka_sink_config){.source = handle, .stop = &stop},
                                      &sink, &err),
                  &err);
    put_numbers(&sink, TOPIC, 0, 10);
    start_all(&source, 1);
    commit_at(&sink, 0, 3, NULL); /* answered: a stop does not hasten it */
    rd_kafka_mock_broker_set_rtt(mtf_kafka_mock_cluster(fixture.mock), 1, 40000);
    const int64_t started_ns = mtf_clock_mono_ns();
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    assert_int_equal(sink.commit(sink.self, &position, 1, &err), MTF_AGAIN);
    assert_string_equal(err.msg, "commit positions of " TOPIC ": stopped before the answer");
    assert_true(mtf_clock_mono_ns() - started_ns < INT64_C(20000000000));
    mtf_assert_ok(sink.abort(sink.self, &err), &err);
    rd_kafka_mock_broker_set_rtt(mtf_kafka_mock_cluster(fixture.mock), 1, 0);
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(fixture.mock), 1);
    sink.close(sink.self);
    source.close(source.self);
    fixture_close(&fixture);
}

static void a_second_member_takes_half_and_nothing_is_lost(void **state)
{
    (void)state;
    enum { RECORDS = 400 };
    kafka_fixture fixture;
    member one, two;
    int seen[RECORDS] = {0};
    fixture_open(&fixture, TOPIC, 4);
    member_open(&one, &fixture.settings, TOPIC, "one");
    put_numbers(&one.sink, TOPIC, 0, RECORDS / 2);
    while (one.owned < 4) member_step(&one, seen);
    for (int i = 0; i < 60; i++) member_step(&one, seen); /* some, not all */
    member_open(&two, &fixture.settings, TOPIC, "two");
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    while ((one.owned != 2 || two.owned != 2) && mtf_clock_mono_ns() < deadline_ns) {
        member_step(&one, seen);
        member_step(&two, seen);
    }
    assert_int_equal(one.owned, 2);
    assert_int_equal(two.owned, 2);
    assert_true(one.revokes + one.lost >= 4);
    put_numbers(&two.sink, TOPIC, RECORDS / 2, RECORDS);
    int total = 0;
    while (total < RECORDS && mtf_clock_mono_ns() < deadline_ns) {
        member_step(&one, seen);
        member_step(&two, seen);
        total = 0;
        for (int i = 0; i < RECORDS; i++) total += seen[i] > 0;
    }
    const int again = one.refused + one.lost + two.refused + two.lost;
    for (int i = 0; i < RECORDS; i++) assert_in_range(seen[i], 1, 1 + again);
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(one.handle)->gaps), 0);
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(two.handle)->partitions), 2);
    member_close(&two);
    member_close(&one);
    fixture_close(&fixture);
}

static int64_t ms_since(int64_t started_ns)
{
    return (mtf_clock_mono_ns() - started_ns) / 1000000;
}

/** librdkafka's own call for a partition's range would wait for ever. */
static void brokers_that_are_gone_hold_a_member_up_for_seconds_only(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_input input;
    mtf_err err;
    int64_t first, end;
    fixture_open(&fixture, TOPIC, 1);
    const mtf_source source = fixture_source(&fixture.settings, TOPIC, "one", true, &handle);
    start_all(&source, 1);
    next_input(&source, &input);
    assert_int_equal(input.kind, MTF_INPUT_END);
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(fixture.mock), 1);
    int64_t started_ns = mtf_clock_mono_ns();
    assert_int_equal(source.range(source.self, 0, &first, &end, &err), MTF_AGAIN);
    assert_true(ms_since(started_ns) < 5000);
    started_ns = mtf_clock_mono_ns();
    source.close(source.self);
    assert_true(ms_since(started_ns) < 5000);
    fixture_close(&fixture);
}

/** The coordinator keeps the positions back (as for a pending transaction) while the group gives
 * the member up: it must end as a member that reads everything. */
static void a_member_given_up_while_it_waits_for_positions_comes_back(void **state)
{
    enum { RECORDS = 50, OFFSET_FETCH = 9, HEARTBEAT = 12 };
    (void)state;
    kafka_fixture fixture;
    member one;
    mtf_input input;
    mtf_err err;
    int seen[RECORDS] = {0};
    fixture_open(&fixture, TOPIC, 2);
    rd_kafka_mock_cluster_t *cluster = mtf_kafka_mock_cluster(fixture.mock);
    for (int i = 0; i < 10000; i++)
        rd_kafka_mock_push_request_errors(cluster, OFFSET_FETCH, 1,
                                          RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    member_open(&one, &fixture.settings, TOPIC, "one");
    put_numbers(&one.sink, TOPIC, 0, RECORDS);
    /* The mock's first join takes 3 s; then positions are waited for. */
    const int64_t started_ns = mtf_clock_mono_ns();
    while (ms_since(started_ns) < 5000)
        assert_int_equal(one.source.poll(one.source.self, 100, &input, &err), MTF_AGAIN);
    rd_kafka_mock_push_request_errors(cluster, HEARTBEAT, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    while (ms_since(started_ns) < 7000)
        assert_int_equal(one.source.poll(one.source.self, 100, &input, &err), MTF_AGAIN);
    rd_kafka_mock_clear_request_errors(cluster, OFFSET_FETCH);
    int total = 0;
    while (total < RECORDS && ms_since(started_ns) < WAIT_MS) {
        member_step(&one, seen);
        total = 0;
        for (int i = 0; i < RECORDS; i++) total += seen[i] > 0;
    }
    assert_int_equal(total, RECORDS);
    assert_int_equal(one.owned, 2);
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(one.handle)->partitions), 2);
    member_close(&one);
    fixture_close(&fixture);
}

/** librdkafka's assign() never returns from the callback of an assignment in close: #4884. */
static void a_member_closed_before_it_was_told_of_a_rebalance_ends(void **state)
{
    (void)state;
    kafka_fixture fixture;
    static int seen[40];
    member first, second;
    fixture_open(&fixture, TOPIC, 2);
    member_open(&first, &fixture.settings, TOPIC, "first");
    sleep(4);
    const int64_t started_ns = mtf_clock_mono_ns();
    member_close(&first); /* an assignment waits for its poll */

    member_open(&first, &fixture.settings, TOPIC, "first");
    while (first.owned < 2) member_step(&first, seen);
    for (int i = 0; i < 10; i++) member_step(&first, seen);
    member_open(&second, &fixture.settings, TOPIC, "second");
    sleep(2);
    member_close(&first); /* a revocation does */
    member_close(&second);
    assert_in_range(ms_since(started_ns), 0, 20000);
    fixture_close(&fixture);
}

static void a_member_without_a_partition_is_a_member(void **state)
{
    enum { RECORDS = 20 };
    (void)state;
    kafka_fixture fixture;
    member one, two;
    int seen[RECORDS] = {0};
    fixture_open(&fixture, TOPIC, 1);
    member_open(&one, &fixture.settings, TOPIC, "one");
    member_open(&two, &fixture.settings, TOPIC, "two");
    const mtf_counter *told[] = {&mtf_kafka_source_counters(one.handle)->rebalances,
                                 &mtf_kafka_source_counters(two.handle)->rebalances};
    const int64_t started_ns = mtf_clock_mono_ns();
    while ((mtf_counter_get(told[0]) == 0 || mtf_counter_get(told[1]) == 0 ||
            one.owned + two.owned != 1) &&
           ms_since(started_ns) < WAIT_MS) {
        member_step(&one, seen);
        member_step(&two, seen);
    }
    assert_int_equal(one.owned + two.owned, 1);
    member *const owner = one.owned ? &one : &two, *const other = one.owned ? &two : &one;
    member_close(owner); /* and the one that had none takes over */
    put_numbers(&other->sink, TOPIC, 0, RECORDS);
    while (seen[RECORDS - 1] == 0 && ms_since(started_ns) < WAIT_MS) member_step(other, seen);
    for (int i = 0; i < RECORDS; i++) assert_int_equal(seen[i], 1);
    member_close(other);
    fixture_close(&fixture);
}

#define KNOWN   RD_KAFKA_RESP_ERR_NO_ERROR
#define UNKNOWN RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART

static void *make_known_soon(void *arg)
{
    const kafka_fixture *fixture = arg;
    nanosleep(&(struct timespec){.tv_nsec = 700000000}, NULL);
    rd_kafka_mock_topic_set_error(mtf_kafka_mock_cluster(fixture->mock), TOPIC, KNOWN);
    return NULL;
}

/** Brokers that are behind do not know a topic that is there. */
static void a_topic_is_missing_only_if_it_stays_so(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    pthread_t thread;
    fixture_open(&fixture, TOPIC, 1);
    rd_kafka_mock_cluster_t *cluster = mtf_kafka_mock_cluster(fixture.mock);
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, TOPIC, 0, 1);
    rd_kafka_mock_topic_set_error(cluster, TOPIC, UNKNOWN);
    assert_int_equal(pthread_create(&thread, NULL, make_known_soon, &fixture), 0);
    const mtf_source source = fixture_source(&fixture.settings, TOPIC, "one", true, &handle);
    pthread_join(thread, NULL);
    start_all(&source, 1);
    next_event(&source, &input);
    assert_int_equal(number_of(&input.message), 0);
    source.close(source.self);
    sink.close(sink.self);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_and_metadata_come_back),
        cmocka_unit_test(a_stop_ends_the_wait_for_a_commit),
        cmocka_unit_test(a_second_member_takes_half_and_nothing_is_lost),
        cmocka_unit_test(brokers_that_are_gone_hold_a_member_up_for_seconds_only),
        cmocka_unit_test(a_member_given_up_while_it_waits_for_positions_comes_back),
        cmocka_unit_test(a_member_closed_before_it_was_told_of_a_rebalance_ends),
        cmocka_unit_test(a_member_without_a_partition_is_a_member),
        cmocka_unit_test(a_topic_is_missing_only_if_it_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
