/** Goal: what the mock brokers cannot show of the source, the sink and the client holds on a real
 * Apache Kafka: stamps, static members, kills, fencing, lost members, compacted topics. Method: the
 * broker of broker.sh, whose address is in $MTF_TEST_KAFKA/bootstrap; members in processes of their
 * own (this program with arguments) where they are to be killed. */
#include "ingest/kafka_member.h"
#include "kafka/real_broker.h"

#include "ingest/kafka_admin.h"
#include "ingest/kafka_follow.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static mtf_settings settings;

static int setup(void **state)
{
    (void)state;
    return real_settings(&settings);
}

static int teardown(void **state)
{
    (void)state;
    mtf_settings_fini(&settings);
    return 0;
}

/** real_topic of these settings. */
static void make_topic(char topic[60], const char *what, int partitions, const char *key,
                       const char *value)
{
    real_topic(&settings, topic, what, partitions, key, value);
}

static void the_settings_of_topics_are_told(void **state)
{
    (void)state;
    char append[60], compacted[60];
    mtf_kafka_client *client;
    mtf_err err;
    make_topic(append, "append", 2, "message.timestamp.type", "LogAppendTime");
    make_topic(compacted, "compacted", 1, "cleanup.policy", "compact,delete");
    mtf_kafka_topic topics[] = {{.name = append}, {.name = compacted}, {.name = "no-such-topic"}};
    mtf_assert_ok(mtf_kafka_client_open(&settings, NULL, NULL, true, NULL, &client, &err), &err);
    assert_string_equal(mtf_kafka_client_cluster(client), "4L6g3nShT-eMCtK--X86sw");
    mtf_assert_ok(mtf_kafka_admin_topics(client, topics, 3, false, &err), &err);
    assert_int_equal(topics[0].partitions, 2);
    assert_int_equal(topics[0].replication, 1);
    assert_true(topics[0].told && topics[1].told);
    assert_string_equal(topics[0].values[MTF_KAFKA_TOPIC_STAMPS], "LogAppendTime");
    assert_string_equal(topics[0].values[MTF_KAFKA_TOPIC_CLEANUP], "delete");
    assert_string_equal(topics[0].values[MTF_KAFKA_TOPIC_RETENTION_MS], "604800000");
    assert_string_equal(topics[1].values[MTF_KAFKA_TOPIC_CLEANUP], "compact,delete");
    assert_int_equal(topics[2].partitions, 0);
    assert_false(topics[2].told);
    mtf_kafka_client_close(client);
}

/** Both until each owns half, or the first alone until it owns all. */
static void settle(member *one, member *two, int *seen, int each)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    while ((one->owned != each || (two && two->owned != each)) &&
           mtf_clock_mono_ns() < deadline_ns) {
        member_step(one, seen);
        if (two) member_step(two, seen);
    }
    assert_int_equal(one->owned, each);
    if (two) assert_int_equal(two->owned, each);
}

static void read_until(member *one, member *two, int *seen, int total)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    for (int count = 0; count < total && mtf_clock_mono_ns() < deadline_ns;) {
        member_step(one, seen);
        if (two) member_step(two, seen);
        count = 0;
        for (int i = 0; i < total; i++) count += seen[i] > 0;
    }
}

static void a_second_member_takes_half_with_nothing_lost_or_doubled(void **state)
{
    (void)state;
    enum { RECORDS = 2000 };
    char topic[60];
    static int seen[RECORDS];
    member one, two;
    make_topic(topic, "halves", 4, "message.timestamp.type", "LogAppendTime");
    member_open(&one, &settings, topic, "halves-one");
    put_numbers(&one.sink, topic, 0, RECORDS / 2);
    settle(&one, NULL, seen, 4);
    for (int i = 0; i < 200; i++) member_step(&one, seen); /* some, not all */
    member_open(&two, &settings, topic, "halves-two");
    settle(&one, &two, seen, 2);
    assert_int_equal(one.revokes, 4);
    assert_int_equal(one.refused + one.lost + two.refused + two.lost, 0);
    put_numbers(&two.sink, topic, RECORDS / 2, RECORDS);
    read_until(&one, &two, seen, RECORDS);
    for (int i = 0; i < RECORDS; i++) assert_int_equal(seen[i], 1);
    member_close(&two);
    member_close(&one);
}

static void positions_and_long_metadata_come_back(void **state)
{
    (void)state;
    char topic[60], metadata[4097];
    member one;
    mtf_input input;
    mtf_err err;
    int seen[10] = {0};
    int64_t committed;
    mtf_kafka_client *client;
    memset(metadata, 'm', sizeof metadata - 1);
    metadata[sizeof metadata - 1] = '\0';
    make_topic(topic, "metadata", 1, "message.timestamp.type", "LogAppendTime");
    member_open(&one, &settings, topic, "metadata-one");
    put_numbers(&one.sink, topic, 0, 10);
    settle(&one, NULL, seen, 1);
    const mtf_position position = {0, 4, metadata};
    mtf_assert_ok(one.sink.commit(one.sink.self, &position, 1, &err), &err);
    member_close(&one);
    mtf_assert_ok(mtf_kafka_client_open(&settings, NULL, topic, true, NULL, &client, &err), &err);
    mtf_assert_ok(mtf_kafka_client_committed(client, topic, 1, &committed, &err), &err);
    assert_int_equal(committed, 4);
    mtf_kafka_client_close(client);
    member_open(&one, &settings, topic, "metadata-one");
    next_input(&one.source, &input);
    assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
    assert_int_equal(input.committed_offset, 4);
    assert_string_equal(input.metadata, metadata);
    start_at(&one.source, 0, 4);
    next_input(&one.source, &input);
    assert_int_equal(number_of(&input.message), 4);
    /* The producer's stamp was 1004: the broker's clock replaced it. */
    assert_true(input.message.timestamp_ms > 1600000000000);
    member_close(&one);
}

/** This program again, as a member that writes one byte to stdout once it owns partitions, then
 * polls until it is killed or alone. */
static pid_t spawn_member(const char *topic, const char *instance, const char *max_poll_ms)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "member", topic, instance, max_poll_ms, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static int be_member(const char *topic, const char *instance, const char *max_poll_ms)
{
    member me;
    int seen[100] = {0};
    if (setup(NULL)) return 1;
    fixture_set(&settings, "kafka.consumer.max.poll.interval.ms", max_poll_ms);
    member_open(&me, &settings, topic, instance);
    const pid_t parent = getppid();
    for (bool told = false; getppid() == parent;) {
        member_step(&me, seen);
        if (me.owned > 0 && !told) told = write(STDOUT_FILENO, "x", 1) == 1;
    }
    return 0;
}

static void kill_member(pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void a_killed_static_member_comes_back_without_a_rebalance(void **state)
{
    (void)state;
    char topic[60];
    member one;
    int seen[100] = {0};
    make_topic(topic, "kill", 4, "message.timestamp.type", "LogAppendTime");
    pid_t child = spawn_member(topic, "kill-two", "300000"); /* all four, until one joins */
    member_open(&one, &settings, topic, "kill-one");
    settle(&one, NULL, seen, 2);
    member_step(&one, seen); /* the poll that ends the rebalance, and counts it */
    const int64_t before = mtf_counter_get(&mtf_kafka_source_counters(one.handle)->rebalances);
    kill_member(child);
    child = spawn_member(topic, "kill-two", "300000"); /* within the session timeout */
    for (int i = 0; i < 50; i++) member_step(&one, seen);
    assert_int_equal(mtf_counter_get(&mtf_kafka_source_counters(one.handle)->rebalances), before);
    assert_int_equal(one.owned, 2);
    kill_member(child);
    settle(&one, NULL, seen, 4); /* for good: its partitions come over when its session ends */
    put_numbers(&one.sink, topic, 0, 100);
    read_until(&one, NULL, seen, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    member_close(&one);
}

static void a_second_process_of_the_same_name_fences_the_first(void **state)
{
    (void)state;
    char topic[60];
    member one;
    mtf_input input;
    mtf_err err;
    int seen[10] = {0};
    make_topic(topic, "fence", 1, "message.timestamp.type", "LogAppendTime");
    member_open(&one, &settings, topic, "fence-same");
    settle(&one, NULL, seen, 1);
    const pid_t child = spawn_member(topic, "fence-same", "300000");
    mtf_status status = MTF_AGAIN;
    for (int i = 0; i < 300 && (status == MTF_AGAIN || status == MTF_OK); i++) {
        status = one.source.poll(one.source.self, 100, &input, &err);
    }
    assert_int_equal(status, MTF_FENCED);
    assert_non_null(strstr(err.msg, "same name"));
    const mtf_position position = {0, 0, ""};
    assert_int_equal(one.sink.commit(one.sink.self, &position, 1, &err), MTF_FENCED);
    kill_member(child);
    member_close(&one);
}

static void a_member_that_stopped_polling_is_told_that_it_lost(void **state)
{
    (void)state;
    char topic[60];
    member one;
    mtf_err err;
    int seen[10] = {0};
    make_topic(topic, "lost", 2, "message.timestamp.type", "LogAppendTime");
    mtf_settings slow;
    fixture_settings(&slow, settings.kafka_bootstrap_servers);
    fixture_set(&slow, "kafka.consumer.session.timeout.ms", "6000");
    fixture_set(&slow, "kafka.consumer.max.poll.interval.ms", "6000");
    member_open(&one, &slow, topic, "lost-one");
    settle(&one, NULL, seen, 2);
    const pid_t child =
        spawn_member(topic, "lost-two", "6000"); /* gets partitions once the group gave us up */
    const mtf_position position = {0, 0, ""};
    assert_int_equal(one.sink.commit(one.sink.self, &position, 1, &err), MTF_AGAIN);
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    while (one.lost < 2 && mtf_clock_mono_ns() < deadline_ns) member_step(&one, seen);
    assert_int_equal(one.lost, 2);
    settle(&one, NULL, seen, 1); /* and joins again */
    kill_member(child);
    member_close(&one);
    mtf_settings_fini(&slow);
}

/** As by a paused virtual machine: its session ends, its partitions go, and it comes back. */
static void a_member_that_stood_still_for_longer_than_its_session_comes_back(void **state)
{
    (void)state;
    char topic[60];
    member one;
    int seen[100] = {0};
    make_topic(topic, "still", 4, "message.timestamp.type", "LogAppendTime");
    const pid_t child = spawn_member(topic, "still-two", "300000");
    member_open(&one, &settings, topic, "still-one");
    settle(&one, NULL, seen, 2);
    assert_int_equal(kill(child, SIGSTOP), 0);
    settle(&one, NULL, seen, 4);
    assert_int_equal(kill(child, SIGCONT), 0);
    settle(&one, NULL, seen, 2);
    kill_member(child);
    settle(&one, NULL, seen, 4);
    put_numbers(&one.sink, topic, 0, 100);
    read_until(&one, NULL, seen, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    member_close(&one);
}

static mtf_status count_record(void *arg, const mtf_message *message, mtf_err *err)
{
    (void)err;
    ((int *)arg)[message->value.data == NULL]++;
    return MTF_OK;
}

static void a_compacted_topic_is_read_to_its_end(void **state)
{
    (void)state;
    char topic[60];
    mtf_sink sink;
    mtf_kafka_follower *follower;
    mtf_err err;
    int counts[2] = {0}; /* values, tombstones */
    make_topic(topic, "compact", 1, "cleanup.policy", "compact");
    mtf_assert_ok(mtf_kafka_sink_open(&settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, topic, 0, 20);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    mtf_assert_ok(sink.put(sink.self, topic, text_span("key3"), (mtf_span){0}, NULL, 0, 0, &err),
                  &err);
    mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
    mtf_assert_ok(
        mtf_kafka_follower_open(&settings, NULL, topic, count_record, counts, &follower, &err),
        &err);
    mtf_assert_ok(mtf_kafka_follower_catch_up(follower, WAIT_MS, &err), &err);
    assert_int_equal(counts[0], 20);
    assert_int_equal(counts[1], 1);
    mtf_kafka_follower_close(follower);
    sink.close(sink.self);
}

/** The next END of a source, after `count` messages. */
static bool end_after(const mtf_source *source, int count)
{
    mtf_input input;
    for (;;) {
        next_input(source, &input);
        if (input.kind == MTF_INPUT_MESSAGE) count--;
        if (input.kind == MTF_INPUT_END && count == 0) return input.pending;
    }
}

static void an_end_before_an_open_transaction_says_so(void **state)
{
    (void)state;
    char topic[60];
    mtf_sink plain, sink;
    mtf_kafka_source *handle;
    mtf_err err;
    make_topic(topic, "pending", 1, "retention.ms", "-1");
    mtf_assert_ok(mtf_kafka_sink_open(&settings, NULL, NULL, &plain, &err), &err);
    mtf_assert_ok(mtf_kafka_sink_open(&settings, NULL,
                                      &(mtf_kafka_sink_config){.transactional_id = topic}, &sink,
                                      &err),
                  &err);
    put_numbers(&plain, topic, 0, 3);
    mtf_source source = fixture_source(&settings, topic, NULL, false, &handle);
    start_all(&source, 1);
    assert_false(end_after(&source, 3));
    for (int aborted = 0; aborted < 2; aborted++) {
        mtf_assert_ok(sink.begin(sink.self, &err), &err);
        mtf_assert_ok(sink.put(sink.self, topic, text_span("k"), text_span("7"), NULL, 0, 0, &err),
                      &err);
        sleep(2); /* it is in the log, its transaction open */
        put_numbers(&plain, topic, 4, 5);
        start_at(&source, 0, 0); /* ends are told when a position comes to one */
        assert_true(end_after(&source, aborted ? 5 : 3));
        if (aborted)
            mtf_assert_ok(sink.abort(sink.self, &err), &err);
        else
            mtf_assert_ok(sink.commit(sink.self, NULL, 0, &err), &err);
        assert_false(end_after(&source, aborted ? 1 : 2));
    }
    sink.close(sink.self);
    plain.close(plain.self);
    source.close(source.self);
}

static void a_topic_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    mtf_sink sink;
    mtf_err err;
    const mtf_header header = {mtf_str_of("reason"), {(const uint8_t *)"late", 4}};
    mtf_assert_ok(mtf_kafka_sink_open(&settings, NULL, NULL, &sink, &err), &err);
    mtf_assert_ok(sink.begin(sink.self, &err), &err);
    const mtf_span text = text_span("x");
    mtf_assert_ok(sink.put(sink.self, "nowhere", text, text, &header, 1, 0, &err), &err);
    assert_int_equal(sink.commit(sink.self, NULL, 0, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "write to nowhere"));
    mtf_assert_ok(sink.abort(sink.self, &err), &err);
    /* Now it is known that there is none, and put itself says so. */
    assert_int_equal(sink.put(sink.self, "nowhere", text, text, &header, 1, 0, &err), MTF_INVALID);
    sink.close(sink.self);
}

static void random_moves_keep_the_order(void **state)
{
    (void)state;
    enum { RECORDS = 20000, MOVES = 300 };
    char topic[60];
    mtf_kafka_source *handle;
    mtf_sink sink;
    mtf_input input;
    mtf_err err;
    int64_t next = 0, read = 0;
    make_topic(topic, "moves", 1, "message.timestamp.type", "LogAppendTime");
    mtf_assert_ok(mtf_kafka_sink_open(&settings, NULL, NULL, &sink, &err), &err);
    put_numbers(&sink, topic, 0, RECORDS);
    const mtf_source source = fixture_source(&settings, topic, NULL, true, &handle);
    start_all(&source, 1);
    for (int move = 0; move < MOVES; move++) {
        for (int i = 0; i < 50; i++) {
            const mtf_status status = source.poll(source.self, 20, &input, &err);
            if (status == MTF_AGAIN) continue;
            mtf_assert_ok(status, &err);
            if (input.kind == MTF_INPUT_END) continue;
            assert_int_equal(input.message.offset, next);
            assert_int_equal(number_of(&input.message), next++);
            read++;
        }
        next = (int64_t)move * 7919 % RECORDS;
        start_at(&source, 0, next);
    }
    assert_true(read > MOVES);
    source.close(source.self);
    sink.close(sink.self);
}

int main(int argc, char **argv)
{
    if (argc == 4) return be_member(argv[1], argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_settings_of_topics_are_told),
        cmocka_unit_test(a_second_member_takes_half_with_nothing_lost_or_doubled),
        cmocka_unit_test(positions_and_long_metadata_come_back),
        cmocka_unit_test(a_killed_static_member_comes_back_without_a_rebalance),
        cmocka_unit_test(a_second_process_of_the_same_name_fences_the_first),
        cmocka_unit_test(a_member_that_stopped_polling_is_told_that_it_lost),
        cmocka_unit_test(a_member_that_stood_still_for_longer_than_its_session_comes_back),
        cmocka_unit_test(a_compacted_topic_is_read_to_its_end),
        cmocka_unit_test(an_end_before_an_open_transaction_says_so),
        cmocka_unit_test(a_topic_that_does_not_exist_is_refused),
        cmocka_unit_test(random_moves_keep_the_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
