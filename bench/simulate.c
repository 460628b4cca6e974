/** How many requests a second the simulated recommender serves on one thread, to a sink that does
 *  nothing: what the demo and the load generator can offer at most.
 *
 *    simulate [rounds, default 5] [sessions of a round, default 20000]
 *
 *  The first round warms up and is not counted. One JSON line: the median round, and the extremes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sim/sim.h"

#define ROUNDS_MAX 1000
#define HIDDEN     128 /* the default of learner.hidden */

static const mtf_policy *policy_of(void *self)
{
    return self;
}

static mtf_status drop(void *self, const mtf_event *event, mtf_err *err)
{
    (void)self, (void)event, (void)err;
    return MTF_OK;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Requests a second of each of `count` rounds, sorted. The policy is the initial one: its weights
 *  are zeros, which costs the same arithmetic as any other. */
static mtf_status measure(const mtf_sim_config *config, uint32_t count, double *rates, mtf_err *err)
{
    static const uint32_t widths[] = {MTF_SIM_STATE, HIDDEN, HIDDEN, MTF_SIM_ACTIONS};
    mtf_sim *sim = NULL;
    mtf_policy *policy = NULL;
    mtf_action_table table;
    mtf_status status = mtf_action_table_parse(&table, config->actions, err);
    if (status == MTF_OK) status = mtf_sim_open(config, &sim, err);
    if (status) goto done;
    policy = mtf_policy_new(widths, 3, &table);
    if (!policy) {
        status = mtf_fail(err, MTF_NOMEM, "simulate: out of memory");
        goto done;
    }
    policy->info.version = 1;
    policy->info.box = 0.15F;
    const mtf_sim_service service = {.self = policy, .policy = policy_of, .emit = drop};
    for (uint32_t round = 0; round <= count; round++) {
        mtf_sim_counts counts = {0};
        const int64_t began_ns = mtf_clock_mono_ns();
        status = mtf_sim_run_round(sim, round, &service, &counts, err);
        if (status) goto done;
        const double seconds = 1e-9 * (double)(mtf_clock_mono_ns() - began_ns);
        if (round > 0) rates[round - 1] = (double)counts.requests / seconds;
    }
    qsort(rates, count, sizeof *rates, ascending);
done:
    mtf_policy_free(policy);
    mtf_sim_close(sim);
    return status;
}

int main(int argc, char **argv)
{
    double rates[ROUNDS_MAX];
    mtf_err err = {0};
    mtf_sim_config config = mtf_sim_config_default();
    const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    const long sessions = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;
    if (argc > 3 || rounds < 1 || rounds > ROUNDS_MAX || sessions < 1 || sessions > 10000000) {
        fprintf(stderr, "usage: simulate [rounds, 1 to %d] [sessions of a round]\n", ROUNDS_MAX);
        return 64;
    }
    config.sessions = (uint32_t)sessions;
    config.users = (uint32_t)(sessions + 2) / 3;
    if (measure(&config, (uint32_t)rounds, rates, &err)) {
        fprintf(stderr, "simulate: %s\n", err.msg);
        return 70;
    }
    printf("{\"bench\": \"simulate\", \"figure\": \"requests of a round, one thread\", "
           "\"ours\": %.0f, \"unit\": \"requests/s\", \"low\": %.0f, \"high\": %.0f, "
           "\"rounds\": %ld, \"sessions\": %ld}\n",
           rates[rounds / 2], rates[0], rates[rounds - 1], rounds, sessions);
    return 0;
}
