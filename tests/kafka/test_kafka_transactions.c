/** Goal: on a real Apache Kafka a unit is committed whole or not at all, whoever is killed, fenced
 * or thrown out of the group at whichever step, and nobody waits long for who is gone. Method: the
 *  broker of broker.sh; units whose output is read by an independent, read_committed reader; units
 * in processes of their own (this program with arguments) where they are to be killed. */
#include "kafka/real_broker.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define EACH 10 /* records of a unit */

static mtf_settings settings;

/** A member of a group of one, reading `topic` (of one partition), its output going to `out`. */
typedef struct stage {
    char topic[60], out[60];
    const char *name; /* instance and transactional id */
    mtf_kafka_source *handle;
    mtf_source source;
    mtf_sink sink;
    int64_t committed; /* as the assignment told */
    char metadata[4097];
} stage;

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

static void stage_topics(stage *s, const char *what)
{
    char name[40];
    *s = (stage){0};
    real_topic(&settings, s->topic, what, 1, "message.timestamp.type", "LogAppendTime");
    snprintf(name, sizeof name, "%.20s-out", what);
    real_topic(&settings, s->out, name, 1, "message.timestamp.type", "LogAppendTime");
    s->name = s->topic;
}

static mtf_status stage_open_sink(const stage *s, const mtf_settings *of, mtf_sink *sink,
                                  mtf_err *err)
{
    const mtf_kafka_sink_config config = {.source = s->handle, .transactional_id = s->name};
    return mtf_kafka_sink_open(of, NULL, &config, sink, err);
}

/** In the stages' order: the sink ends what a process before left open, which the positions that
 * the source asks for at its first poll would wait for. */
static void stage_open_with(stage *s, const mtf_settings *for_source, const mtf_settings *for_sink)
{
    mtf_input input;
    mtf_err err;
    s->source = fixture_source(for_source, s->topic, s->name, true, &s->handle);
    mtf_assert_ok(stage_open_sink(s, for_sink, &s->sink, &err), &err);
    next_input(&s->source, &input);
    assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
    s->committed = input.committed_offset;
    snprintf(s->metadata, sizeof s->metadata, "%s", input.metadata);
    /* Nothing is there to be read; but only who reads is a member that the group may lose. */
    start_at(&s->source, 0, 0);
    next_input(&s->source, &input);
    assert_int_equal(input.kind, MTF_INPUT_END);
}

static void stage_open(stage *s)
{
    stage_open_with(s, &settings, &settings);
}

static void stage_close(stage *s)
{
    s->sink.close(s->sink.self);
    s->source.close(s->source.self);
}

/** Begins a unit and puts the numbers first..first+EACH-1. */
static void put_unit(const stage *s, const mtf_sink *sink, int first)
{
    mtf_err err;
    mtf_assert_ok(sink->begin(sink->self, &err), &err);
    for (int i = first; i < first + EACH; i++) {
        char value[20];
        snprintf(value, sizeof value, "%d", i);
        mtf_assert_ok(
            sink->put(sink->self, s->out, text_span("k"), text_span(value), NULL, 0, 0, &err),
            &err);
    }
}

static mtf_status commit_at(const mtf_sink *sink, int64_t offset, const char *metadata,
                            mtf_err *err)
{
    const mtf_position position = {0, offset, metadata};
    return sink->commit(sink->self, &position, 1, err);
}

/** How many committed records the output has, which must be the numbers 0, 1, 2 ...; an open
 *  transaction ends what can be read. */
static int count_out(const stage *s)
{
    mtf_kafka_source *handle;
    mtf_input input;
    const mtf_source source = fixture_source(&settings, s->out, NULL, false, &handle);
    int count = 0;
    start_all(&source, 1);
    for (next_input(&source, &input); input.kind != MTF_INPUT_END; next_input(&source, &input)) {
        assert_int_equal(input.kind, MTF_INPUT_MESSAGE);
        assert_int_equal(number_of(&input.message), count++);
    }
    source.close(source.self);
    return count;
}

/** Where the output's log ends, with what nobody may see yet. */
static int64_t end_of_log(const stage *s)
{
    char words[200];
    int64_t first, end;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", settings.kafka_bootstrap_servers, NULL, 0);
    rd_kafka_conf_set(conf, "isolation.level", "read_uncommitted", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    assert_non_null(rk);
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    rd_kafka_resp_err_t code; /* a topic just made has no leader yet */
    do code = rd_kafka_query_watermark_offsets(rk, s->out, 0, &first, &end, 5000);
    while (code && mtf_clock_mono_ns() < deadline_ns);
    if (code) fail_msg("end of %s: %s", s->out, rd_kafka_err2str(code));
    rd_kafka_destroy(rk);
    return end;
}

/** As put_unit; then all of it is in the log. */
static void put_unit_in_log(const stage *s, const mtf_sink *sink, int first)
{
    const int64_t wanted = end_of_log(s) + EACH;
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    put_unit(s, sink, first);
    while (end_of_log(s) < wanted)
        if (mtf_clock_mono_ns() > deadline_ns) fail_msg("the records do not come into the log");
}

static void status_is(mtf_status status, mtf_status expected, const mtf_err *err)
{
    if (status != expected) fail_msg("status %d: %s", (int)status, err->msg);
}

static void wait_ms(int ms)
{
    const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&span, NULL);
}

static void a_commit_is_of_output_and_positions_together(void **state)
{
    (void)state;
    stage s;
    mtf_err err;
    char longest[4097];
    stage_topics(&s, "atomic");
    stage_open(&s);
    assert_int_equal(s.committed, -1);
    for (size_t i = 0; i < sizeof longest - 1; i++) longest[i] = (char)('!' + i % 94);
    longest[sizeof longest - 1] = '\0';
    put_unit_in_log(&s, &s.sink, 0);
    assert_int_equal(count_out(&s), 0);
    mtf_assert_ok(commit_at(&s.sink, 4711, longest, &err), &err);
    assert_int_equal(count_out(&s), EACH);
    stage_close(&s);
    stage_open(&s); /* it reads what another client would */
    assert_int_equal(s.committed, 4711);
    assert_string_equal(s.metadata, longest);

    /* Positions alone, and a unit right after another. */
    mtf_assert_ok(s.sink.begin(s.sink.self, &err), &err);
    mtf_assert_ok(commit_at(&s.sink, 4712, "", &err), &err);
    put_unit(&s, &s.sink, EACH);
    mtf_assert_ok(commit_at(&s.sink, 4713, "x", &err), &err);
    assert_int_equal(count_out(&s), 2 * EACH);
    stage_close(&s);
    stage_open(&s);
    assert_int_equal(s.committed, 4713);
    assert_string_equal(s.metadata, "x");
    stage_close(&s);
}

static void an_abort_leaves_nothing(void **state)
{
    (void)state;
    stage s;
    mtf_err err;
    stage_topics(&s, "abort");
    stage_open(&s);
    put_unit(&s, &s.sink, 0);
    mtf_assert_ok(commit_at(&s.sink, 1, "one", &err), &err);
    put_unit_in_log(&s, &s.sink, 500); /* count_out would not take these numbers */
    mtf_assert_ok(s.sink.abort(s.sink.self, &err), &err);
    assert_int_equal(count_out(&s), EACH);
    put_unit(&s, &s.sink, EACH);
    mtf_assert_ok(commit_at(&s.sink, 2, "two", &err), &err);
    put_unit_in_log(&s, &s.sink, 500);
    stage_close(&s); /* aborts what is open: readers need not wait for its timeout */
    assert_int_equal(count_out(&s), 2 * EACH);
    stage_open(&s);
    assert_int_equal(s.committed, 2);
    assert_string_equal(s.metadata, "two");
    stage_close(&s);
}

static void of_two_under_one_id_the_later_goes_on(void **state)
{
    (void)state;
    stage s;
    mtf_sink second;
    mtf_err err;
    stage_topics(&s, "fence");
    stage_open(&s);
    put_unit_in_log(&s, &s.sink, 500);
    mtf_assert_ok(stage_open_sink(&s, &settings, &second, &err), &err);
    put_unit(&s, &second, 0);
    mtf_assert_ok(commit_at(&second, 1, "second", &err), &err);
    status_is(commit_at(&s.sink, 2, "first", &err), MTF_FENCED, &err);
    assert_non_null(strstr(err.msg, "another process runs under the same name"));
    assert_int_equal(s.sink.abort(s.sink.self, &err), MTF_FENCED);
    assert_int_equal(s.sink.begin(s.sink.self, &err), MTF_FENCED);
    put_unit(&s, &second, EACH);
    mtf_assert_ok(commit_at(&second, 3, "second", &err), &err);
    second.close(second.self);
    stage_close(&s);
    assert_int_equal(count_out(&s), 2 * EACH);
    stage_open(&s);
    assert_int_equal(s.committed, 3);
    stage_close(&s);
}

/** This program again: one unit, from where the group is to one further. */
static int spawn_unit(const stage *s, const char *fault_point)
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (fault_point) setenv("MTF_FAULT_POINT", fault_point, 1);
        execl("/proc/self/exe", "unit", s->topic, s->out, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int be_unit(const char *topic, const char *out)
{
    stage s = {0};
    mtf_err err;
    if (setup(NULL)) return 1;
    snprintf(s.topic, sizeof s.topic, "%s", topic);
    snprintf(s.out, sizeof s.out, "%s", out);
    s.name = s.topic;
    stage_open(&s);
    const int64_t next = s.committed < 0 ? 1 : s.committed + 1;
    put_unit(&s, &s.sink, (int)(next - 1) * EACH);
    mtf_assert_ok(commit_at(&s.sink, next, "unit", &err), &err);
    stage_close(&s);
    mtf_settings_fini(&settings);
    return 0;
}

static void a_kill_at_any_point_loses_and_doubles_nothing(void **state)
{
    static const struct {
        const char *point;
        bool committed;
    } cases[] = {
        {"sessionize.begin", false},  {"sessionize.put", false},      {"sessionize.offsets", false},
        {"sessionize.commit", false}, {"sessionize.committed", true},
    };
    (void)state;
    stage s;
    int units = 0;
    stage_topics(&s, "kill");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status = spawn_unit(&s, cases[i].point);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        units += cases[i].committed;
        assert_int_equal(count_out(&s), units * EACH);
        const int64_t started_ns = mtf_clock_mono_ns();
        assert_int_equal(spawn_unit(&s, NULL), 0);
        units++;
        const int64_t took_ms = (mtf_clock_mono_ns() - started_ns) / 1000000;
        print_message("after a kill at %s the next unit took %lld ms\n", cases[i].point,
                      (long long)took_ms);
        assert_true(took_ms < 10000); /* of its own id it need not wait 30 s for the timeout */
        assert_int_equal(count_out(&s), units * EACH);
    }
    stage_open(&s);
    assert_int_equal(s.committed, units);
    stage_close(&s);
}

/** The group goes on without a member that did not poll: what it then puts out must not count. */
static void a_member_that_was_thrown_out_commits_nothing(void **state)
{
    (void)state;
    stage s, taker;
    mtf_input input;
    mtf_err err;
    mtf_settings slow;
    stage_topics(&s, "zombie");
    fixture_settings(&slow, settings.kafka_bootstrap_servers);
    fixture_set(&slow, "kafka.consumer.session.timeout.ms", "6000");
    fixture_set(&slow, "kafka.consumer.max.poll.interval.ms", "6000");
    stage_open_with(&s, &slow, &settings);
    put_unit_in_log(&s, &s.sink, 500);

    taker = s; /* another process of the group, with names of its own */
    char name[70];
    snprintf(name, sizeof name, "%s-taker", s.topic);
    taker.name = name;
    /* Waits until the group gave the first one up, at the largest max.poll.interval.ms of all. */
    stage_open_with(&taker, &slow, &settings);
    put_unit(&taker, &taker.sink, 0);
    mtf_assert_ok(commit_at(&taker.sink, 1, "taker", &err), &err);

    status_is(commit_at(&s.sink, 700, "zombie", &err), MTF_AGAIN, &err);
    print_message("the zombie was told: %s\n", err.msg);
    mtf_assert_ok(s.sink.abort(s.sink.self, &err), &err);
    assert_int_equal(count_out(&s), EACH);

    /* It is told that it goes (the rebalance had begun before it was given up) or went, and is a
     * member again once it polls. */
    next_input(&s.source, &input);
    assert_true(input.kind == MTF_INPUT_REVOKE || input.kind == MTF_INPUT_LOST);
    stage_close(&taker);
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    mtf_status status = MTF_AGAIN;
    while ((status == MTF_AGAIN || input.kind != MTF_INPUT_ASSIGN) &&
           mtf_clock_mono_ns() < deadline_ns)
        status = s.source.poll(s.source.self, 100, &input, &err);
    mtf_assert_ok(status, &err);
    assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
    assert_int_equal(input.committed_offset, 1);
    put_unit(&s, &s.sink, EACH);
    mtf_assert_ok(commit_at(&s.sink, 2, "back", &err), &err);
    assert_int_equal(count_out(&s), 2 * EACH);
    stage_close(&s);
    mtf_settings_fini(&slow);
}

/** Also where nobody took over: of an empty group brokers take positions from who is no member. */
static void a_member_that_left_commits_nothing_though_the_group_is_empty(void **state)
{
    (void)state;
    stage s;
    mtf_err err;
    mtf_settings slow;
    stage_topics(&s, "empty");
    fixture_settings(&slow, settings.kafka_bootstrap_servers);
    fixture_set(&slow, "kafka.consumer.session.timeout.ms", "6000");
    fixture_set(&slow, "kafka.consumer.max.poll.interval.ms", "6000");
    stage_open_with(&s, &slow, &settings);
    put_unit(&s, &s.sink, 500);
    wait_ms(20000); /* it leaves after 6 s, and the brokers give it up after another 6 */
    status_is(commit_at(&s.sink, 700, "zombie", &err), MTF_AGAIN, &err);
    mtf_assert_ok(s.sink.abort(s.sink.self, &err), &err);
    stage_close(&s);
    assert_int_equal(count_out(&s), 0);
    stage_open(&s);
    assert_int_equal(s.committed, -1);
    stage_close(&s);
    mtf_settings_fini(&slow);
}

static void a_transaction_that_outlives_its_timeout_is_gone(void **state)
{
    (void)state;
    stage s;
    mtf_err err;
    mtf_settings brief;
    stage_topics(&s, "timeout");
    fixture_settings(&brief, settings.kafka_bootstrap_servers);
    fixture_set(&brief, "kafka.producer.transaction.timeout.ms", "2000");
    fixture_set(&brief, "kafka.producer.message.timeout.ms", "1500");
    fixture_set(&brief, "kafka.producer.socket.timeout.ms", "2000");
    stage_open_with(&s, &settings, &brief);
    put_unit_in_log(&s, &s.sink, 500);
    /* The brokers look for such every 10 s. */
    wait_ms(14000);
    status_is(commit_at(&s.sink, 700, "late", &err), MTF_FENCED, &err);
    assert_non_null(strstr(err.msg, "stood still for longer than transaction.timeout.ms"));
    s.sink.close(s.sink.self);
    assert_int_equal(count_out(&s), 0);
    mtf_assert_ok(stage_open_sink(&s, &settings, &s.sink, &err), &err); /* the restart */
    put_unit(&s, &s.sink, 0);
    mtf_assert_ok(commit_at(&s.sink, 1, "again", &err), &err);
    assert_int_equal(count_out(&s), EACH);
    stage_close(&s);
    mtf_settings_fini(&brief);
}

int main(int argc, char **argv)
{
    if (argc == 3) return be_unit(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_of_output_and_positions_together),
        cmocka_unit_test(an_abort_leaves_nothing),
        cmocka_unit_test(of_two_under_one_id_the_later_goes_on),
        cmocka_unit_test(a_kill_at_any_point_loses_and_doubles_nothing),
        cmocka_unit_test(a_member_that_was_thrown_out_commits_nothing),
        cmocka_unit_test(a_member_that_left_commits_nothing_though_the_group_is_empty),
        cmocka_unit_test(a_transaction_that_outlives_its_timeout_is_gone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
