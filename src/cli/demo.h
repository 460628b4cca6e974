/** The closed loop in one process: mock brokers, sessionizer and learner on threads of their own,
 * and the simulated recommender on the caller's. */
#ifndef MTF_CLI_DEMO_H
#define MTF_CLI_DEMO_H

#include "cli/sim_feed.h"
#include "cli/stages.h"
#include "core/progress.h"
#include "ingest/kafka_mock.h"
#include "sim/sim.h"

#include <pthread.h>

#define DEMO_PARTITIONS 16
#define DEMO_NOT_DUE    INT64_MAX

typedef struct demo_loop_config {
    mtf_settings *settings; /* kafka.bootstrap_servers is set here; borrowed */
    const mtf_log *log;
    atomic_bool *stop;
    const mtf_sim *sim;
    int64_t sessions; /* of a round, for the bar */
    bool quiet;       /* no progress bars */
} demo_loop_config;

/** One thread simulates; `lock` and the atomics are all it shares with the stages. */
typedef struct demo_loop {
    demo_loop_config config;
    stage_context context;
    mtf_kafka_mock *mock;
    sessionize_stage sessionize;
    learn_stage learn;
    policy_head head;
    mtf_sink sink;
    pthread_t threads[2];
    int thread_count;
    mtf_status sessionize_status, learn_status;
    mtf_err sessionize_err, learn_err;
    _Atomic int ended; /* stages that have returned */

    _Atomic int64_t due_sessions; /* the learner's round starts at so many new ones */
    pthread_mutex_t lock;         /* guards report, reported */
    mtf_round_report report;
    int64_t reported;
    mtf_progress training; /* learner's thread */

    const mtf_policy *policy; /* serves the round */
    sim_feed feed;
    int64_t sessions_expected; /* over all rounds */
    mtf_progress simulating;
    int64_t sessions_done; /* of the round under way */
} demo_loop;

/** What a round of the loop came to. */
typedef struct demo_outcome {
    mtf_sim_counts simulated;
    mtf_round_report report;
    double simulate_seconds; /* simulated, gone through Kafka and both stages, and stored */
} demo_outcome;

mtf_status demo_loop_open(const demo_loop_config *config, demo_loop **loop,
                          mtf_err *err) MTF_NODISCARD;
/** Simulates round `round` under the served policy, waits until every session is stored, then for
 * the learner's round. MTF_CORRUPT: sessions were lost or doubled on the way. */
mtf_status demo_loop_round(demo_loop *loop, uint32_t round, demo_outcome *outcome,
                           mtf_err *err) MTF_NODISCARD;
/** The served policy, borrowed until the next round. */
mtf_status demo_loop_policy(demo_loop *loop, const mtf_policy **policy, mtf_err *err) MTF_NODISCARD;
/** Session records stored so far. */
int64_t demo_loop_stored(const demo_loop *loop);
/** Stops the stages; the first failure of theirs, if status is MTF_OK. */
mtf_status demo_loop_close(demo_loop *loop, mtf_status status, mtf_err *err) MTF_NODISCARD;

#endif
