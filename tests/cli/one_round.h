/** One tiny round of the whole program: a simulator, `mtf run` and mock brokers. */
#ifndef MTF_TEST_ONE_ROUND_H
#define MTF_TEST_ONE_ROUND_H

#include "cli/brokers.h"

#include <jansson.h>

#define ROUND                                                                                      \
    "round.min_sessions: 500\nround.max_rounds: 1\nlearner.steps: 60\nlearner.hidden: 16\n"        \
    "learner.critics: 4\nlearner.batch: 64\ngate.bootstrap: 20\ngate.fqe_steps: 20\n"              \
    "gate.fqe_refits: 0\n"
#define OPEN_GATE                                                                                  \
    "gate.min_transitions: 1\ngate.z: -10\ngate.skill_z: -10\ngate.phi_min: 0\n"                   \
    "gate.outside_max: 1\ngate.gauc_loss_max: 1\ngate.part_z: 100\n"

#define FIRST_DAY  "1700000000000"
#define SECOND_DAY "1700172800000" /* after the first one's last session has closed */

/** The simulator serves 600 sessions to a `run` of one round, and both end well. */
static inline void run_round(brokers *b, const char *settings, const char *verdict)
{
    program run, simulator;
    brokers_open(b, NULL, settings);
    program_start(&run, b->folder, "run", "-c", b->config);
    program_start(&simulator, b->folder, "simulate", "-c", b->config, "--sessions", "600", "--seed",
                  "5", "--value", "--start-ms", FIRST_DAY);
    program_end(&simulator);
    program_said(&simulator, 0, "\"policy_version\":1", "\"sessions\":600", "\"value\":{\"mean\":");
    program_end(&run);
    program_said(&run, 0, "sessionize.end", "learn.end", "msg=round.end", verdict,
                 "duplicates=0 bad=0 lost=0", "rounds=1");
    program_free(&run);
    program_free(&simulator);
}

/** A policy by `mtf policy show --json`. */
static inline json_t *show(const brokers *b, const char *version)
{
    program p;
    program_start(&p, b->folder, "policy", "show", "--json", "-c", b->config, "--version", version);
    program_end(&p);
    program_said(&p, 0, "{");
    json_t *policy = json_loads(program_text(&p.out), 0, NULL);
    assert_non_null(policy);
    program_free(&p);
    return policy;
}

#endif
