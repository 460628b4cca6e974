#include "cli/demo.h"

#include "core/clock.h"

#include <time.h>

/* A mock partition keeps 5 MiB; an event is about 1 kB, a session about 4 kB. So many may be
 * between two stages, spread over the partitions by the hash of the user. */
#define EVENTS_UNDER_WAY   24000
#define SESSIONS_UNDER_WAY 6000
#define STALL_SECONDS      120

/* -- waiting ------------------------------------------------------------------------------------
 */

/** A wait that ends when nothing has moved for STALL_SECONDS. */
typedef struct patience {
    const char *what;
    int64_t seen, since_ns;
} patience;

static mtf_status wait_a_little(demo_loop *loop, patience *p, int64_t progress, mtf_err *err)
{
    const int64_t now = mtf_clock_mono_ns();
    if (atomic_load(loop->config.stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
    if (atomic_load(&loop->ended))
        return mtf_fail(err, MTF_CORRUPT, "a stage ended while the demo was %s", p->what);
    if (progress != p->seen || p->since_ns == 0) {
        p->seen = progress;
        p->since_ns = now;
    }
    if (now - p->since_ns > (int64_t)STALL_SECONDS * 1000000000) {
        return mtf_fail(
            err, MTF_CORRUPT,
            "nothing has moved for %d s while the demo was %s; --set log.level=info says more",
            STALL_SECONDS, p->what);
    }
    const struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
    return MTF_OK;
}

static int64_t counted(const demo_loop *loop, mtf_sessionize_counter counter)
{
    mtf_sessionize_counters sum;
    sessionize_stage_count(&loop->sessionize, &sum);
    return mtf_sessionize_get(&sum, counter);
}

static int64_t events_read(const demo_loop *loop)
{
    return counted(loop, MTF_SESSIONIZE_IN);
}

static int64_t sessions_put(const demo_loop *loop)
{
    return counted(loop, MTF_SESSIONIZE_PARTS);
}

int64_t demo_loop_stored(const demo_loop *loop)
{
    return mtf_counter_get(&mtf_learn_metrics_of(loop->learn.loop)->sessions);
}

/** The brokers drop what is not read in time, so the recommender waits for its readers. */
static mtf_status wait_for_readers(demo_loop *loop, mtf_err *err)
{
    patience p = {.what = "waiting for the stages to read"};
    mtf_status status = MTF_OK;
    while (status == MTF_OK && (loop->feed.events - events_read(loop) > EVENTS_UNDER_WAY ||
                                sessions_put(loop) - demo_loop_stored(loop) > SESSIONS_UNDER_WAY)) {
        status = wait_a_little(loop, &p, events_read(loop) + demo_loop_stored(loop), err);
    }
    return status;
}

static mtf_status wait_for_store(demo_loop *loop, mtf_err *err)
{
    patience p = {.what = "waiting for the last sessions to be stored"};
    mtf_status status = MTF_OK;
    while (status == MTF_OK &&
           (events_read(loop) < loop->feed.events || demo_loop_stored(loop) < sessions_put(loop) ||
            demo_loop_stored(loop) < loop->sessions_expected)) {
        status = wait_a_little(loop, &p, events_read(loop) + demo_loop_stored(loop), err);
    }
    if (status == MTF_OK && demo_loop_stored(loop) != loop->sessions_expected) {
        return mtf_fail(err, MTF_CORRUPT,
                        "%lld sessions were simulated, cuts at the cap included, but %lld stored",
                        (long long)loop->sessions_expected, (long long)demo_loop_stored(loop));
    }
    return status;
}

static mtf_status wait_for_report(demo_loop *loop, int64_t reported_before,
                                  mtf_round_report *report, mtf_err *err)
{
    patience p = {.what = "waiting for the learner's round"};
    for (;;) {
        pthread_mutex_lock(&loop->lock);
        const bool there = loop->reported > reported_before;
        if (there) *report = loop->report;
        pthread_mutex_unlock(&loop->lock);
        if (there) return MTF_OK;
        p.since_ns = mtf_clock_mono_ns(); /* training takes as long as it takes */
        const mtf_status status = wait_a_little(loop, &p, 0, err);
        if (status != MTF_OK) return status;
    }
}

/* -- a round ------------------------------------------------------------------------------------
 */

static const mtf_policy *service_policy(void *self)
{
    return ((demo_loop *)self)->policy;
}

static mtf_status service_emit(void *self, const mtf_event *event, mtf_err *err)
{
    demo_loop *loop = self;
    if (event->kind == MTF_EVENT_SESSION_END)
        mtf_progress_at(&loop->simulating, ++loop->sessions_done);
    mtf_status status = sim_feed_put(&loop->feed, event, err);
    if (status == MTF_OK && loop->feed.events % 256 == 0) status = wait_for_readers(loop, err);
    return status;
}

static mtf_status simulate(demo_loop *loop, uint32_t round, mtf_sim_counts *counts, mtf_err *err)
{
    const mtf_sim_service service = {.self = loop, .policy = service_policy, .emit = service_emit};
    mtf_status status = loop->sink.begin(loop->sink.self, err);
    if (status == MTF_OK)
        status = mtf_sim_run_round(loop->config.sim, round, &service, counts, err);
    if (status == MTF_OK) status = sim_feed_clocks(&loop->feed, counts->last_ms, err);
    if (status == MTF_OK) status = loop->sink.commit(loop->sink.self, NULL, 0, err);
    return status;
}

mtf_status demo_loop_policy(demo_loop *loop, const mtf_policy **policy, mtf_err *err)
{
    patience p = {.what = "waiting for the first policy"};
    mtf_status status = policy_head_read(&loop->head, policy, err);
    while (status == MTF_OK && !*policy) {
        status = wait_a_little(loop, &p, 0, err);
        if (status == MTF_OK) status = policy_head_read(&loop->head, policy, err);
    }
    return status;
}

mtf_status demo_loop_round(demo_loop *loop, uint32_t round, demo_outcome *outcome, mtf_err *err)
{
    const int64_t started_ns = mtf_clock_mono_ns(),
                  reported = loop->reported; /* no round is under way */
    *outcome = (demo_outcome){0};
    mtf_status status = demo_loop_policy(loop, &loop->policy, err);
    if (status != MTF_OK) return status;
    loop->sessions_done = 0;
    mtf_progress_begin(&loop->simulating, "simulate and ingest", "sessions", loop->config.sessions,
                       loop->config.quiet);
    status = simulate(loop, round, &outcome->simulated, err);
    if (status != MTF_OK) return status;
    loop->sessions_expected += outcome->simulated.sessions + outcome->simulated.cap_cuts;
    status = wait_for_store(loop, err);
    if (status != MTF_OK) return status;
    mtf_progress_end(&loop->simulating, loop->sessions_done);
    outcome->simulate_seconds = (double)(mtf_clock_mono_ns() - started_ns) / 1e9;
    atomic_store(&loop->due_sessions, outcome->simulated.sessions + outcome->simulated.cap_cuts);
    return wait_for_report(loop, reported, &outcome->report, err);
}
