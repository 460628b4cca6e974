/** Goal: the stage keeps its word to source and sink: exactly the right output whatever crashes,
 *  aborts, rebalances or has left the log, every record accounted for, and clear words where it
 *  stops. Method: a broker in memory with atomic units (memory.c); first random logs under random
 *  faults against the same logs without any, then each situation alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "memory.h"
#include "sessionize/stage.h"

#define SEED 1

struct bench {
    struct memory memory;
    mtf_event_decoder decoder;
    mtf_sessionize_config config;
    mtf_sessionize *stage;
    mtf_session_encode_fn encode;
    int64_t now_ms, tick_ms; /* the clock, and how far each look at it moves it */
    mtf_err err;
};

static int64_t clock_of(void *arg)
{
    struct bench *b = arg;
    return b->now_ms += b->tick_ms;
}

static void open_stage(struct bench *b)
{
    b->decoder = memory_decoder(&b->memory);
    b->config.now_arg = b;
    assert_int_equal(mtf_sessionize_open(&b->config, &b->memory.source, &b->memory.sink,
                                         &b->decoder, b->encode, &b->stage, &b->err),
                     MTF_OK);
}

static void init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    memory_init(&b->memory);
    b->encode = memory_encode;
    b->config = (mtf_sessionize_config){
        .machine = stream_config(),
        .aggregators = STREAM_AGGREGATORS,
        .decoder = "samples",
        .sessions_topic = "sessions",
        .late_topic = "late",
        .dead_letter_topic = "dead",
        .commit_interval_ms = 1000,
        .now_ms = clock_of,
    };
    b->config.machine.max_duration_ms = INT64_C(1) << 40;
    open_stage(b);
}

static void fini(struct bench *b)
{
    mtf_sessionize_close(b->stage);
    memory_fini(&b->memory);
}

/** The process dies and comes back. */
static void crash(struct bench *b)
{
    mtf_sessionize_close(b->stage);
    memory_crash(&b->memory);
    open_stage(b);
}

static int64_t count(const struct bench *b, mtf_sessionize_counter counter)
{
    return mtf_sessionize_get(mtf_sessionize_count(b->stage), counter);
}

/** Steps until the source has nothing new; nothing is ever out of balance. */
static void settle(struct bench *b)
{
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(mtf_sessionize_step(b->stage, 0, &b->err), MTF_OK);
        assert_int_equal(mtf_sessionize_imbalance(mtf_sessionize_count(b->stage)), 0);
        bool quiet = b->memory.control_count == 0;
        for (int p = 0; p < MEMORY_PARTITIONS; p++) {
            const struct memory_partition *part = &b->memory.partitions[p];
            quiet = quiet && (!part->assigned || (part->started && part->told_end));
        }
        if (quiet) return;
    }
    fail_msg("the stage does not settle");
}

/** Settles, then commits. */
static void settle_and_commit(struct bench *b)
{
    settle(b);
    assert_int_equal(mtf_sessionize_commit(b->stage, &b->err), MTF_OK);
    assert_int_equal(mtf_sessionize_imbalance(mtf_sessionize_count(b->stage)), 0);
}

static void assign(struct bench *b, int partition)
{
    memory_control(&b->memory, MTF_INPUT_ASSIGN, partition);
}

static void produce(struct bench *b, int partition, mtf_event_kind kind, const char *user,
                    const char *id, int64_t time_ms)
{
    struct sample s = {.kind = kind, .time_ms = time_ms, .append_ms = time_ms};
    assert_true(strlen(user) < sizeof s.user && strlen(id) < sizeof s.id);
    memcpy(s.user, user, strlen(user));
    memcpy(s.id, id, strlen(id));
    memory_append_sample(&b->memory, partition, &s);
}

static void request(struct bench *b, const char *user, const char *id, int64_t time_ms)
{
    produce(b, 0, MTF_EVENT_REQUEST, user, id, time_ms);
}

static int lines_with(struct bench *b, const char *words)
{
    int found = 0;
    for (const char *at = memory_out(&b->memory); at && (at = strstr(at, words)); at++) found++;
    return found;
}

static int log_lines(FILE *file, const char *words)
{
    char line[4000];
    int found = 0;
    rewind(file);
    while (fgets(line, sizeof line, file)) found += strstr(line, words) != NULL;
    return found;
}

/* ---- random faults ---- */

/** The lines of one partition's users, in order. */
static void lines_of(struct memory *memory, int partition, mtf_buf *lines)
{
    mtf_buf_clear(lines);
    for (const char *at = memory_out(memory); at && *at;) {
        const char *end = strchr(at, '\n');
        const char *key = strchr(at, ' ') + 1;
        const char *from = strstr(at, "__mtf.errors.partition=");
        const int of =
            from && from < end ? from[strlen("__mtf.errors.partition=")] - '0' : (key[1] - '0') / 3;
        if (of == partition) mtf_buf_put(lines, at, (size_t)(end + 1 - at));
        at = end + 1;
    }
}

static void run_to_the_end(struct bench *b)
{
    atomic_bool stop = false;
    b->memory.finite = true;
    assert_int_equal(mtf_sessionize_run(b->stage, &stop, &b->err), MTF_OK);
    assert_int_equal(mtf_sessionize_imbalance(mtf_sessionize_count(b->stage)), 0);
    assert_int_equal(count(b, MTF_SESSIONIZE_HELD), 0); /* all is closed */
    assert_int_equal(count(b, MTF_SESSIONIZE_OPEN), 0);
}

static void random_fault(struct bench *b, mtf_rng *rng)
{
    struct memory *m = &b->memory;
    const int partition = (int)mtf_rng_below(rng, MEMORY_PARTITIONS);
    const bool assigned = m->partitions[partition].assigned && m->control_count == 0;
    switch (mtf_rng_below(rng, 60)) {
    case 0:
        crash(b);
        break;
    case 1:
        m->fail_status = MTF_AGAIN;
        m->fail_put = 1 + (int64_t)mtf_rng_below(rng, 3);
        break;
    case 2:
        m->fail_status = MTF_AGAIN;
        m->fail_commit = 1;
        m->fail_applied = mtf_rng_below(rng, 2);
        break;
    case 3:
        if (assigned) memory_control(m, MTF_INPUT_REVOKE, partition);
        break;
    case 4:
        if (assigned) memory_control(m, MTF_INPUT_LOST, partition);
        break;
    case 5:
        m->range_again = m->committed_again = 1;
        break;
    case 10:
        for (int p = 0; p < MEMORY_PARTITIONS; p++) /* an eager rebalance; much comes back */
            if (m->partitions[p].assigned && m->control_count == p)
                memory_control(m, MTF_INPUT_REVOKE, p);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        b->now_ms += b->config.commit_interval_ms;
        break;
    case 11:
    case 12:
    case 13:
        b->now_ms += 10000; /* past the pause after any number of aborts */
        break;
    default:
        break;
    }
    for (int p = 0; p < MEMORY_PARTITIONS; p++)
        if (!m->partitions[p].assigned && m->control_count < 8 && mtf_rng_below(rng, 4) == 0) {
            bool queued = false;
            for (int i = 0; i < m->control_count; i++)
                queued = queued || m->control[i].partition == p;
            if (!queued) assign(b, p);
        }
}

static void fill(struct bench *b, uint64_t index)
{
    for (int p = 0; p < MEMORY_PARTITIONS; p++) {
        mtf_rng rng = mtf_rng_of(SEED, index * MEMORY_PARTITIONS + (uint64_t)p);
        struct stream stream;
        stream_random(&stream, &rng);
        for (int i = 0; i < stream.count; i++) {
            stream.data[i].user[1] = (char)(stream.data[i].user[1] + 3 * p);
            const uint64_t schema = mtf_rng_below(&rng, 8); /* most are by the first two */
            if (stream.data[i].bad || schema > 4)
                memory_append_sample(&b->memory, p, &stream.data[i]);
            else
                memory_append_by(&b->memory, p, "ababc"[schema], &stream.data[i]);
        }
    }
}

static void faults_change_nothing_that_comes_out(void **state)
{
    (void)state;
    int64_t aborts = 0, replayed = 0, kept = 0;
    for (uint64_t index = 0; index < 300; index++) {
        struct bench calm, rough;
        mtf_rng rng = mtf_rng_of(SEED + 1, index);
        init(&calm);
        init(&rough);
        calm.config.machine.max_duration_ms = rough.config.machine.max_duration_ms = 200;
        calm.config.close_at_end = rough.config.close_at_end = true;
        calm.config.commit_interval_ms = 1; /* a clock that stands still: one commit, at the end */
        calm.memory.schemas = rough.memory.schemas = "ab"; /* c is never there */
        crash(&calm);
        crash(&rough);
        fill(&calm, index);
        fill(&rough, index);
        for (int p = 0; p < MEMORY_PARTITIONS; p++) assign(&calm, p);
        run_to_the_end(&calm);
        for (int i = 0; i < 400; i++) {
            random_fault(&rough, &rng);
            const mtf_status status = mtf_sessionize_step(rough.stage, 0, &rough.err);
            if (status != MTF_OK) fail_msg("stream %d: %s", (int)index, rough.err.msg);
            assert_int_equal(mtf_sessionize_imbalance(mtf_sessionize_count(rough.stage)), 0);
        }
        rough.memory.fail_put = rough.memory.fail_commit = rough.memory.range_again = 0;
        rough.memory.committed_again = 0;
        rough.tick_ms = 1000;
        for (int p = 0; p < MEMORY_PARTITIONS; p++)
            if (!rough.memory.partitions[p].assigned && rough.memory.control_count == 0)
                assign(&rough, p);
        settle(&rough);
        for (int p = 0; p < MEMORY_PARTITIONS; p++)
            if (!rough.memory.partitions[p].assigned) assign(&rough, p);
        settle(&rough);
        aborts += count(&rough, MTF_SESSIONIZE_ABORTS);
        replayed += count(&rough, MTF_SESSIONIZE_REPLAYED);
        kept += count(&rough, MTF_SESSIONIZE_STATES_KEPT);
        run_to_the_end(&rough);
        for (int p = 0; p < MEMORY_PARTITIONS; p++) {
            mtf_buf wanted = {0}, got = {0};
            lines_of(&calm.memory, p, &wanted);
            lines_of(&rough.memory, p, &got);
            if (wanted.size != got.size || memcmp(wanted.data, got.data, got.size) != 0)
                fail_msg("seed %d stream %d partition %d\n--- is\n%.*s--- should be\n%.*s", SEED,
                         (int)index, p, (int)got.size, (const char *)got.data, (int)wanted.size,
                         (const char *)wanted.data);
            mtf_buf_fini(&wanted);
            mtf_buf_fini(&got);
        }
        fini(&calm);
        fini(&rough);
    }
    assert_true(aborts > 100 && replayed > 1000 && kept > 100); /* the faults did happen */
}

/* ---- assign, revoke, lost ---- */

static void a_new_group_starts_at_the_first_offset(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "u", "r1", 10);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OPEN), 1);
    assert_int_equal(b.memory.partitions[0].committed, 2);
    fini(&b);
}

static void a_commit_is_replayed_silently_and_the_session_comes_out_once(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100); /* closes u */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    crash(&b);
    request(&b, "v", "r2", 110);
    request(&b, "w", "r3", 200); /* closes v */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 1); /* from S = r1 */
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 1);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(lines_with(&b, "[r1@100 a b] [r2@110 a b]"), 1);
    fini(&b);
}

static void revoke_commits_and_keeps_the_state_until_the_next_assignment(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    settle(&b);
    assert_int_equal(b.memory.commits, 0);
    memory_control(&b.memory, MTF_INPUT_REVOKE, 0);
    settle(&b);
    assert_int_equal(b.memory.commits, 1);
    assert_int_equal(b.memory.partitions[0].committed, 2);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 1);
    assign(&b, 1); /* the assignment does not name 0 */
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OPEN), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RELEASED), 1);
    fini(&b);
}

/** Two partitions with an open session each, committed, then revoked. */
static void init_revoked(struct bench *b)
{
    init(b);
    for (int p = 0; p < 2; p++) {
        produce(b, p, MTF_EVENT_REQUEST, p ? "v" : "u", "r0", 0);
        produce(b, p, MTF_EVENT_REQUEST, p ? "v" : "u", "r1", 10);
        assign(b, p);
    }
    settle(b);
    memory_control(&b->memory, MTF_INPUT_REVOKE, 0);
    memory_control(&b->memory, MTF_INPUT_REVOKE, 1);
    settle(b);
    assert_int_equal(b->memory.commits, 1); /* the second had nothing left to commit */
}

static void what_comes_back_under_its_commit_goes_on_without_a_replay(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    request(&b, "u", "r2", 20);
    request(&b, "w", "r3", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RELEASED), 2); /* partition 1 */
    assert_int_equal(lines_with(&b, "[r0@0 a b] [r1@10 a b] [r2@20 a b]"), 1);
    assign(&b, 1); /* too late: it was dropped, and is read again */
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 2);
    fini(&b);
}

static void both_of_a_burst_come_back(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    b.memory.range_again = 1; /* the first is not started yet when the second is told */
    b.tick_ms = 50;
    assign(&b, 1);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 4);
    fini(&b);
}

static void state_of_a_partition_that_another_member_moved_on_is_dropped(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    request(&b, "u", "r2", 20);
    mtf_sessionize *first = b.stage;
    open_stage(&b); /* another member */
    assign(&b, 0);
    settle_and_commit(&b);
    mtf_sessionize_close(b.stage);
    b.memory.partitions[0].assigned = false;
    b.stage = first;
    request(&b, "w", "r3", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 3);
    assert_int_equal(lines_with(&b, "[r0@0 a b] [r1@10 a b] [r2@20 a b]"), 1);
    fini(&b);
}

static void state_is_dropped_where_an_operator_reset_the_metadata(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    b.memory.partitions[0].metadata[0] = 0; /* the same offset: start clean there */
    request(&b, "u", "r2", 20);
    request(&b, "w", "r3", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(lines_with(&b, "gap head events 1: [r2@20"), 1);
    fini(&b);
}

static void state_is_dropped_where_an_operator_reset_the_offset(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    assign(&b, 0);
    settle(&b); /* nothing there: no commit, no metadata */
    memory_control(&b.memory, MTF_INPUT_REVOKE, 0);
    settle(&b);
    request(&b, "u", "r0", 0);
    request(&b, "u", "r1", 10);
    b.memory.partitions[0].committed = 1;
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 1);
    fini(&b);
}

static void what_is_lost_is_not_kept(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle_and_commit(&b);
    memory_control(&b.memory, MTF_INPUT_LOST, 0);
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 0);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 1);
    fini(&b);
}

static void a_commit_given_up_at_revoke_keeps_nothing(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    assign(&b, 1);
    settle(&b);
    b.memory.fail_commit = 1;
    b.memory.fail_status = MTF_AGAIN;
    memory_control(&b.memory, MTF_INPUT_REVOKE, 0);
    memory_control(&b.memory, MTF_INPUT_REVOKE, 1);
    settle(&b);
    assert_int_equal(b.memory.aborts, 1);
    assert_int_equal(b.memory.commits, 0);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 1);
    fini(&b);
}

static void an_abort_drops_what_is_parked(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    const mtf_err why = {.msg = "for the test"};
    assert_int_equal(mtf_stage_give_up(b.stage, &why, &b.err), MTF_OK);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 0);
    fini(&b);
}

static void a_replay_that_is_revoked_goes_on_where_it_was(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        request(&b, "u", id, i / 2); /* six are kept, all are replayed */
    }
    assign(&b, 0);
    settle_and_commit(&b);
    crash(&b);
    assign(&b, 0);
    while (count(&b, MTF_SESSIONIZE_REPLAYED) < 4)
        assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    memory_control(&b.memory, MTF_INPUT_REVOKE, 0);
    settle(&b);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 10);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 6);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HEADS_LOST), 0);
    fini(&b);
}

static void parked_state_ends_with_time_where_no_assignment_comes(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    b.now_ms += 300000;
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 4);
    b.now_ms++;
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RELEASED), 4);
    fini(&b);
}

static void parked_state_whose_log_moved_on_is_dropped(void **state)
{
    (void)state;
    struct bench b;
    init_revoked(&b);
    request(&b, "u", "r2", 20);
    request(&b, "u", "r3", 30);
    memory_trim(&b.memory, 0, 3); /* r2 was never read */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_STATES_KEPT), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OFFSETS_LOST), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HEADS_LOST), 1);
    fini(&b);
}

static void lost_commits_nothing_and_the_others_are_read_again(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    for (int p = 0; p < 2; p++) {
        produce(&b, p, MTF_EVENT_REQUEST, p ? "v" : "u", "r0", 0);
        produce(&b, p, MTF_EVENT_REQUEST, "w", "r1", 100);
        assign(&b, p);
    }
    settle(&b);
    memory_control(&b.memory, MTF_INPUT_LOST, 0);
    settle(&b);
    assert_int_equal(b.memory.commits, 0);
    assert_int_equal(b.memory.aborts, 1);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 0); /* its new owner's */
    assert_int_equal(lines_with(&b, "sessions v"), 1);
    assert_int_equal(b.memory.partitions[0].committed, -1);
    assert_int_equal(b.memory.partitions[1].committed, 2);
    fini(&b);
}

static void two_lost_partitions_are_not_started_in_between(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    for (int p = 0; p < 2; p++) {
        produce(&b, p, MTF_EVENT_REQUEST, "u", "r0", 0);
        assign(&b, p);
    }
    settle(&b);
    memory_control(&b.memory, MTF_INPUT_LOST, 0);
    memory_control(&b.memory, MTF_INPUT_LOST, 1);
    b.memory.partitions[1].assigned = false; /* start() would fail already */
    settle(&b);
    assert_int_equal(b.memory.commits, 0);
    fini(&b);
}

/* ---- where to start ---- */

static void empty_metadata_starts_clean_at_the_commit(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "u", "r1", 10);
    request(&b, "v", "r2", 2000);
    b.memory.partitions[0].committed = 1;
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    assert_int_equal(lines_with(&b, "gap head events 1: [r1@10"), 1); /* r0 is not known to it */
    fini(&b);
}

static void another_function_is_refused_unless_accepted(void **state)
{
    (void)state;
    struct bench b;
    FILE *file = tmpfile();
    assert_non_null(file);
    const mtf_log log = {.level = MTF_LOG_WARN, .fd = fileno(file)};
    init(&b);
    b.config.log = &log;
    request(&b, "v", "r0", 0);
    request(&b, "u", "r1", 100);
    request(&b, "u", "r2", 101);
    assign(&b, 0);
    settle_and_commit(&b);
    request(&b, "u", "r3", 110);
    b.config.machine.gap_ms++;
    crash(&b);
    assign(&b, 0);
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_INVALID);
    assert_non_null(strstr(b.err.msg, "partition 0, commit at offset 3"));
    assert_non_null(strstr(b.err.msg, "gap_ms"));
    assert_non_null(strstr(b.err.msg, "--accept-config-change"));
    assert_non_null(strstr(b.err.msg, "are lost")); /* nothing is cut off */
    b.config.accept_function = true;
    crash(&b);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 1); /* from L on */
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_CLEAN_STARTS), 1);
    assert_int_equal(log_lines(file, "open_from=1 records_at_most=2 "), 1);
    crash(&b); /* the commit is of the new settings now */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_CLEAN_STARTS), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 1);
    fini(&b);
    fclose(file);
}

/** A request by a schema of its own. */
static void request_by(struct bench *b, char schema, const char *user, const char *id,
                       int64_t time_ms)
{
    struct sample s = {.kind = MTF_EVENT_REQUEST, .time_ms = time_ms, .append_ms = time_ms};
    assert_true(strlen(user) < sizeof s.user && strlen(id) < sizeof s.id);
    memcpy(s.user, user, strlen(user));
    memcpy(s.id, id, strlen(id));
    memory_append_by(&b->memory, 0, schema, &s);
}

/** A restart with other schemas. */
static void restart_with(struct bench *b, const char *schemas)
{
    b->memory.schemas = schemas;
    crash(b);
    assign(b, 0);
}

/** A dead letter that its schema's coming would mend: it goes back by `mtf dlq replay`, once. */
static void a_schema_that_came_later_is_not_known_to_a_replay(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    assign(&b, 0);
    request(&b, "u", "r1", 100);
    request_by(&b, 'a', "u", "r2", 101);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "dead "), 1);

    restart_with(&b, "a");
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 1); /* r2 stays what it was */
    request_by(&b, 'a', "u", "r3", 102);
    settle_and_commit(&b);

    for (int i = 0; i < 2; i++) { /* r3 counts from now on, and r2 still does not */
        restart_with(&b, "a");
        settle(&b);
        b.memory.fail_status = MTF_AGAIN; /* nor after an abort */
        b.memory.fail_commit = 1;
        assert_int_equal(mtf_sessionize_commit(b.stage, &b.err), MTF_AGAIN);
        settle_and_commit(&b);
        assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 6);
        assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 2);
    }
    request_by(&b, 'a', "u", "r2", 103); /* put back */
    request(&b, "w", "r4", 500);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DUPLICATES), 0);
    assert_int_equal(lines_with(&b, "[r1@100 a b] [r3@102 a b] [r2@103 a b]"), 1);
    assert_int_equal(lines_with(&b, "dead "), 1);
    fini(&b);
}

static void a_schema_of_what_is_open_must_not_go(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.memory.schemas = "ab";
    assign(&b, 0);
    request_by(&b, 'b', "v", "r0", 0);
    request_by(&b, 'a', "u", "r1", 100); /* closes v: b may go */
    settle_and_commit(&b);
    restart_with(&b, "a");
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 1);

    restart_with(&b, "b");
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_INVALID);
    assert_non_null(strstr(b.err.msg, "partition 0, commit at offset 2: a schema that its open "
                                      "sessions were read with is not here: schema a is gone; put "
                                      "it back"));
    assert_non_null(strstr(b.err.msg, "--accept-config-change"));
    assert_non_null(strstr(b.err.msg, "are lost")); /* nothing is cut off */
    b.config.accept_function = true;
    restart_with(&b, "b");
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_CLEAN_STARTS), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    b.config.accept_function = false;

    restart_with(&b, "a");
    request_by(&b, 'a', "w", "r2", 500); /* once its sessions are closed, it may */
    request(&b, "x", "r3", 600);
    settle_and_commit(&b);
    restart_with(&b, "");
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_RESTORED), 1);
    fini(&b);
}

static void more_schemas_than_a_commit_names_are_dead_letters(void **state)
{
    (void)state;
    struct bench b;
    char id[8];
    init(&b);
    b.memory.schemas = "abcdefghijklmnopqrst";
    assign(&b, 0);
    for (int i = 0; i < MTF_SCHEMAS_MAX + 2; i++) {
        snprintf(id, sizeof id, "r%d", i);
        request_by(&b, (char)('a' + i), "u", id, 100 + i);
    }
    request_by(&b, 'a', "u", "again", 120);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "dead "), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA), 2);
    assert_int_equal(lines_with(&b, "mtf dlq replay"), 2);
    restart_with(&b, b.memory.schemas);
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), MTF_SCHEMAS_MAX + 3);
    request_by(&b, 't', "w", "still", 130);
    request(&b, "w", "first", 500); /* u closes, and there is room */
    request_by(&b, 't', "w", "more", 501);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA), 1);
    fini(&b);
}

static void metadata_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "u", "r1", 0);
    b.memory.partitions[0].committed = 1;
    snprintf(b.memory.partitions[0].metadata, 10, "NO");
    assign(&b, 0);
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_INVALID);
    assert_non_null(strstr(b.err.msg, "another program"));

    crash(&b); /* and metadata of another offset */
    b.memory.partitions[0].committed = -1;
    b.memory.partitions[0].metadata[0] = 0;
    assign(&b, 0);
    settle_and_commit(&b);
    b.memory.partitions[0].committed = 1;
    crash(&b);
    assign(&b, 0);
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_INVALID);
    assert_non_null(strstr(b.err.msg, "its metadata is of offset 2"));
    fini(&b);
}

static void a_commit_past_the_log_is_corrupt(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    b.memory.partitions[0].committed = 2;
    assign(&b, 0);
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_CORRUPT);
    assert_non_null(strstr(b.err.msg, "the log ends at 1"));
    fini(&b);
}

/** u opened at 0 and v at 100 are committed; what is left of the log begins at `first`. */
static void restart_after_retention(struct bench *b, int64_t first)
{
    init(b);
    request(b, "u", "r0", 100);
    request(b, "v", "r1", 101);
    request(b, "u", "r2", 102);
    assign(b, 0);
    settle_and_commit(b);
    request(b, "w", "r3", 103);
    request(b, "x", "r4", 2000);
    memory_trim(&b->memory, 0, first);
    crash(b);
    assign(b, 0);
}

static void a_safe_offset_gone_by_retention_starts_at_the_logs_start(void **state)
{
    (void)state;
    struct bench b;
    restart_after_retention(&b, 1);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HEADS_LOST), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OFFSETS_LOST), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 2);
    assert_int_equal(lines_with(&b, "gap head events 1: [r2@102 a b]"), 1);
    assert_int_equal(lines_with(&b, "gap head events 1: [r1@101 a b]"), 1);
    fini(&b);
}

static void a_commit_gone_by_retention_counts_what_was_never_read(void **state)
{
    (void)state;
    struct bench b;
    restart_after_retention(&b, 4);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HEADS_LOST), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OFFSETS_LOST), 1); /* r3 */
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 1);
    fini(&b);
}

static void retention_faster_than_the_question_is_seen_at_the_first_record(void **state)
{
    (void)state;
    struct bench b;
    restart_after_retention(&b, 1);
    b.memory.jump_to_kept = true; /* range still says 0 */
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HEADS_LOST), 1);
    assert_int_equal(lines_with(&b, "gap head events 1: [r2@102 a b]"), 1);
    fini(&b);
}

static void a_rebuild_that_falls_short_is_counted_and_goes_on_from_the_commit(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 2000);
    request(&b, "v", "r1", 1999);
    assign(&b, 0);
    settle_and_commit(&b);
    memory_trim(&b.memory, 0, 1); /* what had moved the watermark */
    crash(&b);
    request(&b, "w", "r2", 1000); /* late by the committed watermark, and by no other */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_MISMATCHES), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_LATE), 1);
    fini(&b);
}

static void a_source_without_an_answer_is_asked_again(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    b.memory.range_again = 3;
    b.tick_ms = 50;
    assign(&b, 0);
    settle_and_commit(&b);
    assert_true(b.memory.poll_count > 8); /* it goes on polling, and does not ask at every poll */
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 1);
    fini(&b);
}

/* ---- units ---- */

static void a_crash_between_put_and_commit_doubles_nothing(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    settle(&b);
    assert_int_equal(b.memory.puts, 1); /* put, not committed */
    crash(&b);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(b.memory.puts, 2);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    fini(&b);
}

static void a_commit_that_fails_for_now_is_given_up_and_read_again(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    settle(&b);
    b.memory.fail_commit = 1;
    b.memory.fail_status = MTF_AGAIN;
    assert_int_equal(mtf_sessionize_commit(b.stage, &b.err), MTF_AGAIN);
    assert_int_equal(b.memory.aborts, 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 0);
    settle(&b);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_IN), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_ABORTS), 1);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    fini(&b);
}

static void a_commit_that_went_through_unheard_is_not_done_twice(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    settle(&b);
    b.memory.fail_commit = 1;
    b.memory.fail_applied = true;
    b.memory.fail_status = MTF_AGAIN;
    assert_int_equal(mtf_sessionize_commit(b.stage, &b.err), MTF_AGAIN);
    b.memory.committed_again = 2; /* and the brokers take their time to tell */
    b.tick_ms = 50;
    while (mtf_stage_find(b.stage, 0)->pending)
        assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_REPLAYED), 1); /* r1, from the commit's S */
    fini(&b);
}

static void aborts_without_end_are_paused_counted_and_hardly_told(void **state)
{
    (void)state;
    struct bench b;
    FILE *file = tmpfile();
    assert_non_null(file);
    const mtf_log log = {.level = MTF_LOG_INFO, .fd = fileno(file)};
    init(&b);
    b.config.log = &log;
    b.config.commit_interval_ms = 1000000;
    crash(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    b.tick_ms = 10;
    b.memory.fail_status = MTF_AGAIN;
    for (int i = 0; i < 10000; i++) { /* 100 seconds */
        b.memory.fail_put = 1;
        assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    }
    assert_int_equal(b.memory.poll_count, 10000);
    /* 0, 100, 200 ... 6,400 ms, then every 10 s */
    assert_in_range(count(&b, MTF_SESSIONIZE_ABORTS), 14, 20);
    assert_int_equal(log_lines(file, "msg=sessionize.abort in_a_row="), 5); /* 1, 2, 4, 8, 16 */
    b.memory.fail_put = 0;
    b.tick_ms = 1000;
    while (mtf_stage_find(b.stage, 0)->pending)
        assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(log_lines(file, "msg=sessionize.recovered"), 1);
    b.tick_ms = 0;
    request(&b, "w", "r2", 200); /* the next abort is a first one again */
    settle(&b);
    b.memory.fail_commit = 1;
    assert_int_equal(mtf_sessionize_commit(b.stage, &b.err), MTF_AGAIN);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions v"), 1);
    fini(&b);
    fclose(file);
}

static void a_partition_without_an_answer_keeps_no_other_waiting(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.tick_ms = 500;
    for (int p = 0; p < MEMORY_PARTITIONS; p++) assign(&b, p);
    b.memory.partitions[0].silent = true;
    for (int i = 0; i < 40; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    assert_true(mtf_stage_find(b.stage, 0)->pending);
    assert_false(mtf_stage_find(b.stage, 1)->pending);
    assert_false(mtf_stage_find(b.stage, 2)->pending);
    b.memory.partitions[0].silent = false;
    for (int i = 0; i < 10; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    assert_false(mtf_stage_find(b.stage, 0)->pending);
    fini(&b);
}

static void a_partition_without_an_answer_is_told_every_five_seconds(void **state)
{
    (void)state;
    struct bench b;
    FILE *file = tmpfile();
    assert_non_null(file);
    const mtf_log log = {.level = MTF_LOG_WARN, .fd = fileno(file)};
    init(&b);
    b.config.log = &log;
    crash(&b);
    b.tick_ms = 100;
    for (int p = 0; p < MEMORY_PARTITIONS; p++) assign(&b, p);
    b.memory.partitions[0].silent = true;
    for (int i = 0; i < 47; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    assert_int_equal(log_lines(file, "msg=sessionize.wait"), 0);
    for (int i = 0; i < 160; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    assert_int_equal(log_lines(file, "msg=sessionize.wait partition=0 waited_ms="), 4);
    assert_int_equal(log_lines(file, "reason=\"partition 0 does not answer\""), 4);
    b.memory.partitions[0].silent = false;
    for (int i = 0; i < 10; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    memory_control(&b.memory, MTF_INPUT_REVOKE, 0);
    assign(&b, 0);
    b.memory.partitions[0].silent = true; /* another wait is counted from its own beginning */
    for (int i = 0; i < 47; i++) assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    assert_int_equal(log_lines(file, "msg=sessionize.wait"), 4);
    fini(&b);
    fclose(file);
}

static void a_partition_that_may_be_new_is_told(void **state)
{
    (void)state;
    struct bench b;
    FILE *file = tmpfile();
    assert_non_null(file);
    const mtf_log log = {.level = MTF_LOG_WARN, .fd = fileno(file)};
    init(&b);
    b.config.log = &log;
    crash(&b);
    assign(&b, 1); /* a group that begins */
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(log_lines(file, "msg=sessionize.new_partition"), 0);
    assign(&b, 2);
    settle_and_commit(&b);
    assert_int_equal(log_lines(file, "msg=sessionize.new_partition partition=2"), 1);
    crash(&b);
    for (int p = 0; p < 2; p++) assign(&b, p);
    settle_and_commit(&b);
    assert_int_equal(log_lines(file, "msg=sessionize.new_partition partition=0"), 0);
    fini(&b);
    fclose(file);
}

static void a_fenced_sink_stops_the_stage(void **state)
{
    (void)state;
    struct bench b;
    atomic_bool stop = false;
    init(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100);
    assign(&b, 0);
    b.memory.fail_put = 1;
    b.memory.fail_status = MTF_FENCED;
    assert_int_equal(mtf_sessionize_run(b.stage, &stop, &b.err), MTF_FENCED);
    assert_string_equal(b.err.msg, "put fails");
    assert_int_equal(b.memory.aborts, 1);
    assert_int_equal(b.memory.commits, 0);
    fini(&b);
}

static void commits_come_at_the_interval_and_only_when_something_changed(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle(&b);
    b.now_ms = 999;
    settle(&b);
    assert_int_equal(b.memory.commits, 0);
    b.now_ms = 1000;
    settle(&b);
    assert_int_equal(b.memory.commits, 1);
    b.now_ms = 5000;
    settle(&b);
    assert_int_equal(b.memory.commits, 1);
    fini(&b);
}

static void a_full_sink_pauses_the_source_until_it_has_room(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle(&b);
    b.memory.fill = 0.9;
    request(&b, "u", "r1", 1);
    const int64_t polls = b.memory.poll_count;
    settle(&b);
    assert_true(b.memory.paused);
    assert_true(b.memory.poll_count > polls); /* a paused member goes on polling */
    b.memory.fill = 0.5;                      /* not yet: it would pause again at once */
    settle(&b);
    assert_true(b.memory.paused);
    assert_int_equal(b.memory.partitions[0].next, 1);
    b.memory.fill = 0.1;
    settle(&b);
    assert_false(b.memory.paused);
    assert_int_equal(b.memory.partitions[0].next, 2);
    fini(&b);
}

static void stop_commits_and_leaves_sessions_open(void **state)
{
    (void)state;
    struct bench b;
    atomic_bool stop = true;
    init(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle(&b);
    assert_int_equal(mtf_sessionize_run(b.stage, &stop, &b.err), MTF_OK);
    assert_int_equal(b.memory.commits, 1);
    assert_int_equal(b.memory.partitions[0].committed, 1);
    assert_int_equal(lines_with(&b, "sessions u"), 0);
    fini(&b);
}

static void a_drained_source_closes_all_only_if_asked(void **state)
{
    (void)state;
    for (int close = 0; close < 2; close++) {
        struct bench b;
        atomic_bool stop = false;
        init(&b);
        b.config.close_at_end = close;
        crash(&b);
        request(&b, "u", "r0", 0);
        request(&b, "v", "r1", 1);
        b.memory.finite = true;
        assign(&b, 0);
        assert_int_equal(mtf_sessionize_run(b.stage, &stop, &b.err), MTF_OK);
        assert_int_equal(b.memory.commits, 1);
        assert_int_equal(lines_with(&b, "sessions "), close ? 2 : 0);
        fini(&b);
    }
}

/* ---- idle jumps ---- */

static void a_quiet_partition_closes_by_the_wall_clock(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.idle_timeout_ms = 20;
    b.config.commit_interval_ms = 1;
    crash(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 20);
    assign(&b, 0);
    settle(&b); /* W = 15, u may close at 33, v at 53 */
    b.now_ms = 17;
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 0);
    b.now_ms = 18; /* due, but before the idle timeout */
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 0);
    b.now_ms = 20;
    settle(&b);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(lines_with(&b, "sessions v"), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 1);
    const int64_t commits = b.memory.commits;
    b.now_ms = 30; /* closes nothing: no jump, no commit */
    settle(&b);
    assert_int_equal(b.memory.commits, commits);

    crash(&b); /* the jump is in the metadata */
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions u"), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_MISMATCHES), 0);
    b.now_ms += 20; /* W was 35 */
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "sessions v"), 1);
    fini(&b);
}

static void no_jump_without_the_end_or_with_the_timeout_off(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.idle_timeout_ms = 20;
    b.config.commit_interval_ms = 1;
    crash(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    while (!b.memory.partitions[0].started)
        assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK);
    b.memory.partitions[0].told_end = true;
    assert_int_equal(mtf_sessionize_step(b.stage, 0, &b.err), MTF_OK); /* r0 */
    b.memory.partitions[0].told_end = true;                            /* the end is kept back */
    b.now_ms = 1000;
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 0);
    b.memory.partitions[0].told_end = false;
    settle(&b);
    b.now_ms = 1001;
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 1);
    fini(&b);

    init(&b);
    b.config.commit_interval_ms = 1;
    crash(&b);
    request(&b, "u", "r0", 0);
    assign(&b, 0);
    settle(&b);
    b.now_ms = 1000000;
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 0);
    fini(&b);
}

static void an_end_before_an_open_transaction_is_no_end(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.idle_timeout_ms = 20;
    b.config.commit_interval_ms = 1;
    crash(&b);
    request(&b, "u", "r0", 0);
    b.memory.end_pending = true;
    assign(&b, 0);
    settle(&b);
    b.now_ms = 1000;
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 0);
    b.memory.end_pending = false; /* the transaction ended: a new end is told */
    b.memory.partitions[0].told_end = false;
    settle(&b);
    b.now_ms = 2000;
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), 1);
    fini(&b);
}

static void jumps_without_room_are_counted_and_told_once_a_minute(void **state)
{
    (void)state;
    struct bench b;
    FILE *file = tmpfile();
    assert_non_null(file);
    const mtf_log log = {.level = MTF_LOG_WARN, .fd = fileno(file)};
    init(&b);
    b.config.log = &log;
    b.config.idle_timeout_ms = 20;
    b.config.commit_interval_ms = 1;
    crash(&b);
    assign(&b, 0);
    for (int i = 0; i < MTF_JUMPS_MAX + 4; i++) {
        char id[2][16];
        snprintf(id[0], sizeof id[0], "v%d", i);
        snprintf(id[1], sizeof id[1], "u%d", i);
        request(&b, id[0], id[0], 30 * i);
        request(&b, "u", id[1], 30 * i + 25); /* stays open: the jumps before are of use */
        settle(&b);
        b.now_ms += 20;
        settle(&b); /* moves W to 30 i + 40, which closes v */
    }
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS), MTF_JUMPS_MAX);
    assert_int_equal(count(&b, MTF_SESSIONIZE_JUMPS_REFUSED), 4);
    assert_int_equal(log_lines(file, "msg=sessionize.jump_refused"), 1);
    crash(&b);
    assign(&b, 0);
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_MISMATCHES), 0);
    b.now_ms += 1000; /* closes all: it needs no room */
    settle(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OPEN), 0);
    fini(&b);
    fclose(file);
}

/* ---- set aside ---- */

static void dead_letters_keep_their_bytes_and_say_why(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    memory_append(&b.memory, 0, "garbage", 7, 77);
    memory_append(&b.memory, 0, "?", 1, 78);
    memory_append(&b.memory, 0, "", 0, 79);
    struct sample s = {.user = "u", .id = "r3", .time_ms = 500, .append_ms = 100};
    memory_append_sample(&b.memory, 0, &s);
    s = (struct sample){.user = "u", .id = "r4", .time_ms = INT64_MIN, .append_ms = 100};
    memory_append_sample(&b.memory, 0, &s);
    assign(&b, 0);
    settle_and_commit(&b);
#define FROM "__mtf.errors.topic=mtf.exploration __mtf.errors.partition=0 __mtf.errors.offset="
    assert_int_equal(lines_with(&b, "dead  " FROM "0 __mtf.errors.timestamp=77 "
                                    "__mtf.errors.stage=decode __mtf.errors.reason=decode "
                                    "__mtf.errors.message=decode: not a sample garbage\n"),
                     1);
    assert_int_equal(lines_with(&b, "reason=unknown_schema __mtf.errors.message=unknown_schema: "
                                    "no such schema ?\n"),
                     1);
    assert_int_equal(lines_with(&b, "__mtf.errors.offset=2 "), 1);
    assert_int_equal(lines_with(&b, "stage=sessionize __mtf.errors.reason=future_ts"), 1);
    assert_int_equal(lines_with(&b, "a time no clock gives {r4}\n"), 1);
    assert_int_equal(lines_with(&b, "{r3}\n"), 1);
    assert_int_equal(lines_with(&b, "original_bytes"), 0);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_DECODE), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_FUTURE), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_INVALID), 1);
    fini(&b);
}

static void a_dead_letter_too_large_is_cut(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.memory.sink.value_bytes_max = 4;
    memory_append(&b.memory, 0, "garbage", 7, 77);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "__mtf.errors.original_bytes=7 garb\n"), 1);
    fini(&b);
}

static void too_many_bad_records_in_a_row_stop_the_stage(void **state)
{
    (void)state;
    struct bench b;
    atomic_bool stop = false;
    init(&b);
    b.config.errors_max_consecutive = 3;
    crash(&b);
    for (int i = 0; i < 2; i++) memory_append(&b.memory, 0, "bad", 3, 1);
    request(&b, "u", "r0", 0); /* one good record makes it start anew */
    for (int i = 0; i < 2; i++) memory_append(&b.memory, 0, "bad", 3, 1);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DEAD_DECODE), 4);
    memory_append(&b.memory, 0, "bad", 3, 1);
    assert_int_equal(mtf_sessionize_run(b.stage, &stop, &b.err), MTF_CORRUPT);
    assert_non_null(strstr(b.err.msg, "3 bad records in a row"));
    assert_non_null(strstr(b.err.msg, "partition 0 offset 5"));
    assert_int_equal(b.memory.partitions[0].committed, 5); /* not past what stopped it */
    fini(&b);
}

static void bad(struct bench *b, int partition)
{
    memory_append(&b->memory, partition, "bad", 3, 1);
}

static void run_until_too_bad(struct bench *b, const char *place)
{
    atomic_bool stop = false;
    assert_int_equal(mtf_sessionize_run(b->stage, &stop, &b->err), MTF_CORRUPT);
    assert_non_null(strstr(b->err.msg, "bad records in a row"));
    assert_non_null(strstr(b->err.msg, place));
    assert_int_equal(mtf_sessionize_imbalance(mtf_sessionize_count(b->stage)), 0);
}

static void
what_came_before_too_many_bad_records_counts_once_however_often_it_is_started(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.errors_max_consecutive = 3;
    crash(&b);
    request(&b, "u", "r0", 0);
    request(&b, "v", "r1", 100); /* closes u */
    for (int i = 0; i < 5; i++) bad(&b, 0);
    assign(&b, 0);
    for (int start = 0; start < 3; start++) {
        run_until_too_bad(&b, "partition 0 offset 4");
        assert_int_equal(b.memory.partitions[0].committed, 4);
        assert_int_equal(b.memory.aborts, 0);
        assert_int_equal(lines_with(&b, "sessions u"), 1);
        assert_int_equal(lines_with(&b, "dead "), 2);
        crash(&b);
        assign(&b, 0);
    }
    b.config.errors_max_consecutive = 0; /* unlimited */
    crash(&b);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "dead "), 5);
    assert_int_equal(b.memory.partitions[0].committed, 7);
    fini(&b);
}

static void bad_records_in_a_row_are_counted_over_commits_crashes_and_aborts(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) { /* with nothing open there is no replay to count in */
        struct bench b;
        init(&b);
        b.config.errors_max_consecutive = 3;
        crash(&b);
        if (open) request(&b, "u", "r0", 0);
        bad(&b, 0);
        assign(&b, 0);
        settle_and_commit(&b);
        crash(&b);
        bad(&b, 0);
        assign(&b, 0);
        settle(&b);
        b.memory.fail_commit = 1;
        b.memory.fail_status = MTF_AGAIN;
        assert_int_equal(mtf_sessionize_commit(b.stage, &b.err), MTF_AGAIN);
        settle_and_commit(&b);
        bad(&b, 0);
        run_until_too_bad(&b, open ? "partition 0 offset 3" : "partition 0 offset 2");
        fini(&b);
    }
}

static void a_good_partition_hides_no_bad_one(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.errors_max_consecutive = 5;
    crash(&b);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        bad(&b, 1);
        request(&b, "u", id, i);
    }
    assign(&b, 0);
    assign(&b, 1);
    run_until_too_bad(&b, "partition 1 offset 4");
    assert_int_equal(b.memory.partitions[1].committed, 4);
    fini(&b);
}

static void dead_letters_of_every_kind_count_in_the_row(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.config.errors_max_consecutive = 4;
    crash(&b);
    bad(&b, 0);
    for (int i = 0; i < 2; i++) {
        struct sample s = {.user = "u", .id = "r", .time_ms = i ? INT64_MIN : 5000};
        memory_append_sample(&b.memory, 0, &s);
    }
    memory_append(&b.memory, 0, "?", 1, 78);
    assign(&b, 0);
    run_until_too_bad(&b, "partition 0 offset 3");
    fini(&b);
}

static void late_records_keep_their_bytes(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    request(&b, "u", "r0", 1000);
    request(&b, "u", "r1", 900);                            /* late */
    produce(&b, 0, MTF_EVENT_SESSION_END, "v", "e2", 1000); /* no request */
    struct sample s = {.kind = MTF_EVENT_FEEDBACK, .user = "u", .id = "f3", .request_id = "rX"};
    s.time_ms = s.append_ms = s.request_time_ms = 1001;
    memory_append_sample(&b.memory, 0, &s); /* joins u, and is found without request at the end */
    request(&b, "w", "r4", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(lines_with(&b, "late u " FROM "1 __mtf.errors.timestamp=900 "), 1);
    assert_int_equal(lines_with(&b, "reason=late __mtf.errors.message=requests after their "
                                    "session closed {r1}\n"),
                     1);
    assert_int_equal(lines_with(&b, "late v " FROM "2 "), 1);
    assert_int_equal(lines_with(&b, "late u " FROM "3 __mtf.errors.timestamp=1001 "
                                    "__mtf.errors.stage=sessionize "
                                    "__mtf.errors.reason=no_request"),
                     1);
    assert_int_equal(lines_with(&b, "{f3}\n"), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_LATE), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_LATE_NO_REQUEST), 2);
    fini(&b);
}

static void duplicates_and_over_cap_are_counted(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i % 8);
        request(&b, "u", id, i); /* r0 to r5 kept, r6 and r7 over the cap, r0 and r1 again */
    }
    request(&b, "v", "r", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_SESSION_EVENTS), 6);
    assert_int_equal(count(&b, MTF_SESSIONIZE_OVER_CAP), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_DUPLICATES), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 1);
    fini(&b);
}

static void keys_that_are_no_user_ids_are_counted_and_told_once_a_minute(void **state)
{
    (void)state;
    static const char *const keys[] = {"u", "v", "uu", NULL};
    for (int i = 0; i < 8; i++) {
        struct bench b;
        FILE *file = tmpfile();
        assert_non_null(file);
        const mtf_log log = {.level = MTF_LOG_WARN, .fd = fileno(file)};
        init(&b);
        b.config.log = &log;
        b.config.keys_are_users = i < 4;
        b.memory.key = keys[i % 4];
        b.now_ms = 1;
        crash(&b);
        request(&b, "u", "r0", 0);
        request(&b, "u", "r1", 1);
        assign(&b, 0);
        settle_and_commit(&b);
        assert_int_equal(count(&b, MTF_SESSIONIZE_STRAY_KEYS), i % 4 && i < 4 ? 2 : 0);
        assert_int_equal(log_lines(file, "msg=sessionize.stray_key"), i % 4 && i < 4);
        assert_int_equal(count(&b, MTF_SESSIONIZE_HELD), 2);
        fini(&b);
        fclose(file);
    }
}

static void a_session_too_large_for_one_record_comes_in_parts(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.memory.sink.value_bytes_max = 120;
    for (int i = 0; i < 6; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        request(&b, "u", id, i);
    }
    request(&b, "v", "r", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    const int parts = lines_with(&b, "sessions u part ");
    assert_true(parts > 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_PARTS), parts);
    assert_int_equal(count(&b, MTF_SESSIONIZE_SESSIONS_GAP), 1);
    for (int i = 0; i < 6; i++) {
        char step[16];
        snprintf(step, sizeof step, "[r%d@%d ", i, i);
        assert_int_equal(lines_with(&b, step), 1);
    }
    fini(&b);
}

static mtf_status long_encode(const mtf_session *session, mtf_buf *out, mtf_err *err)
{
    const uint8_t bytes[300] = {0};
    (void)session, (void)err;
    mtf_buf_put(out, bytes, sizeof bytes);
    return MTF_OK;
}

static void events_of_a_step_no_record_can_hold_are_dead_letters(void **state)
{
    (void)state;
    struct bench b;
    init(&b);
    b.memory.sink.value_bytes_max = 200; /* a sample, but no session: see long_encode */
    b.encode = long_encode;
    crash(&b);
    request(&b, "u", "r0", 0);
    struct sample s = {.kind = MTF_EVENT_FEEDBACK, .user = "u", .id = "f1", .request_id = "r0"};
    s.time_ms = s.append_ms = 1;
    memory_append_sample(&b.memory, 0, &s);
    memcpy(s.id, "f2", 3);
    memcpy(s.request_id, "rX", 3); /* of no session: late, as ever */
    memory_append_sample(&b.memory, 0, &s);
    request(&b, "v", "r1", 2000);
    assign(&b, 0);
    settle_and_commit(&b);
    assert_int_equal(count(&b, MTF_SESSIONIZE_TOO_LARGE), 2);
    assert_int_equal(count(&b, MTF_SESSIONIZE_LATE_NO_REQUEST), 1);
    assert_int_equal(count(&b, MTF_SESSIONIZE_SESSION_EVENTS), 0);
    assert_int_equal(lines_with(&b, "sessions"), 0);
    assert_int_equal(b.memory.partitions[0].committed, 4);
    char request_line[400], size[24];
    snprintf(size, sizeof size, "%zu", sizeof(struct sample));
    snprintf(request_line, sizeof request_line,
             "dead u " FROM "0 __mtf.errors.timestamp=0 __mtf.errors.stage=sessionize "
             "__mtf.errors.reason=too_large __mtf.errors.message=one step of a session takes 300 "
             "bytes, a record holds 200 __mtf.errors.original_bytes=%s \n",
             size);
    assert_int_equal(lines_with(&b, request_line), 1);
    assert_int_equal(lines_with(&b, "dead u " FROM "1 "), 1);
    assert_int_equal(lines_with(&b, "a record holds 200 {f1}\n"), 1);
    assert_int_equal(lines_with(&b, "reason=too_large"), 2);
    assert_int_equal(lines_with(&b, "late u " FROM "2 "), 1);
    fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_group_starts_at_the_first_offset),
        cmocka_unit_test(a_commit_is_replayed_silently_and_the_session_comes_out_once),
        cmocka_unit_test(revoke_commits_and_keeps_the_state_until_the_next_assignment),
        cmocka_unit_test(what_comes_back_under_its_commit_goes_on_without_a_replay),
        cmocka_unit_test(both_of_a_burst_come_back),
        cmocka_unit_test(state_of_a_partition_that_another_member_moved_on_is_dropped),
        cmocka_unit_test(state_is_dropped_where_an_operator_reset_the_metadata),
        cmocka_unit_test(state_is_dropped_where_an_operator_reset_the_offset),
        cmocka_unit_test(what_is_lost_is_not_kept),
        cmocka_unit_test(a_commit_given_up_at_revoke_keeps_nothing),
        cmocka_unit_test(an_abort_drops_what_is_parked),
        cmocka_unit_test(a_replay_that_is_revoked_goes_on_where_it_was),
        cmocka_unit_test(parked_state_ends_with_time_where_no_assignment_comes),
        cmocka_unit_test(parked_state_whose_log_moved_on_is_dropped),
        cmocka_unit_test(lost_commits_nothing_and_the_others_are_read_again),
        cmocka_unit_test(two_lost_partitions_are_not_started_in_between),
        cmocka_unit_test(empty_metadata_starts_clean_at_the_commit),
        cmocka_unit_test(another_function_is_refused_unless_accepted),
        cmocka_unit_test(a_schema_that_came_later_is_not_known_to_a_replay),
        cmocka_unit_test(a_schema_of_what_is_open_must_not_go),
        cmocka_unit_test(more_schemas_than_a_commit_names_are_dead_letters),
        cmocka_unit_test(metadata_that_is_not_ours_is_refused),
        cmocka_unit_test(a_commit_past_the_log_is_corrupt),
        cmocka_unit_test(a_safe_offset_gone_by_retention_starts_at_the_logs_start),
        cmocka_unit_test(a_commit_gone_by_retention_counts_what_was_never_read),
        cmocka_unit_test(retention_faster_than_the_question_is_seen_at_the_first_record),
        cmocka_unit_test(a_rebuild_that_falls_short_is_counted_and_goes_on_from_the_commit),
        cmocka_unit_test(a_source_without_an_answer_is_asked_again),
        cmocka_unit_test(a_crash_between_put_and_commit_doubles_nothing),
        cmocka_unit_test(a_commit_that_fails_for_now_is_given_up_and_read_again),
        cmocka_unit_test(a_commit_that_went_through_unheard_is_not_done_twice),
        cmocka_unit_test(aborts_without_end_are_paused_counted_and_hardly_told),
        cmocka_unit_test(a_partition_without_an_answer_keeps_no_other_waiting),
        cmocka_unit_test(a_partition_without_an_answer_is_told_every_five_seconds),
        cmocka_unit_test(a_partition_that_may_be_new_is_told),
        cmocka_unit_test(a_fenced_sink_stops_the_stage),
        cmocka_unit_test(commits_come_at_the_interval_and_only_when_something_changed),
        cmocka_unit_test(a_full_sink_pauses_the_source_until_it_has_room),
        cmocka_unit_test(stop_commits_and_leaves_sessions_open),
        cmocka_unit_test(a_drained_source_closes_all_only_if_asked),
        cmocka_unit_test(a_quiet_partition_closes_by_the_wall_clock),
        cmocka_unit_test(no_jump_without_the_end_or_with_the_timeout_off),
        cmocka_unit_test(an_end_before_an_open_transaction_is_no_end),
        cmocka_unit_test(jumps_without_room_are_counted_and_told_once_a_minute),
        cmocka_unit_test(dead_letters_keep_their_bytes_and_say_why),
        cmocka_unit_test(a_dead_letter_too_large_is_cut),
        cmocka_unit_test(too_many_bad_records_in_a_row_stop_the_stage),
        cmocka_unit_test(
            what_came_before_too_many_bad_records_counts_once_however_often_it_is_started),
        cmocka_unit_test(bad_records_in_a_row_are_counted_over_commits_crashes_and_aborts),
        cmocka_unit_test(a_good_partition_hides_no_bad_one),
        cmocka_unit_test(dead_letters_of_every_kind_count_in_the_row),
        cmocka_unit_test(late_records_keep_their_bytes),
        cmocka_unit_test(duplicates_and_over_cap_are_counted),
        cmocka_unit_test(keys_that_are_no_user_ids_are_counted_and_told_once_a_minute),
        cmocka_unit_test(a_session_too_large_for_one_record_comes_in_parts),
        cmocka_unit_test(events_of_a_step_no_record_can_hold_are_dead_letters),
        cmocka_unit_test(faults_change_nothing_that_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
