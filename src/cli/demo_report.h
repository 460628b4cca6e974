/** What the demo says of its rounds: a table row as each ends, and the JSON file. */
#ifndef MTF_CLI_DEMO_REPORT_H
#define MTF_CLI_DEMO_REPORT_H

#include "core/status.h"

#include <stdio.h>

#define DEMO_ROUNDS_MAX 100

/** Mean undiscounted formula-2 reward per session of fresh users, and its 95 % interval. */
typedef struct demo_value {
    double mean, low, high;
} demo_value;

typedef struct demo_round {
    int64_t round, policy_version; /* the champion's when the round is over */
    int64_t sessions, transitions; /* simulated in, and stored from, this round */
    demo_value baseline, policy;   /* champions before and after, on the same random numbers */
    double gauc_baseline,
        gauc_policy; /* weighted GAUC by user on held-out logs, policy = candidate */
    double outside_box, critic_spread; /* of the candidate; NaN where nothing was trained */
    char verdict[16], reason[200];
    double train_seconds, simulate_seconds, evaluate_seconds, ingest_events_per_second;
} demo_round;

typedef struct demo_reference {
    double initial, best_constant, best_personalised, best_myopic;
} demo_reference;

typedef struct demo_report {
    const char *preset, *control;
    int64_t seed;
    demo_reference reference;
    demo_round rounds[DEMO_ROUNDS_MAX];
    int round_count;
    int64_t sessions_simulated, sessions_stored, cap_cuts; /* stored = simulated + cut at the cap */
    double total_seconds;
} demo_report;

/** (last - initial) / (best_personalised - initial); NaN before the first round. */
double demo_gap_closed(const demo_report *report);
void demo_print_head(FILE *out);
void demo_print_round(FILE *out, const demo_report *report, const demo_round *round);
void demo_print_end(FILE *out, const demo_report *report);
mtf_status demo_write_json(const char *path, const demo_report *report, mtf_err *err) MTF_NODISCARD;

#endif
