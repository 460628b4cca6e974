/** A search's cell: one action for everybody, by what served users bring, or by what logs say. */
#ifndef MTF_COMPARE_SEARCHER_H
#define MTF_COMPARE_SEARCHER_H

#include <stdatomic.h>

#include "learner/scratch.h"
#include "sim/sim.h"

/** The best action (A) by the doubtful word of logs: explored round the initial policy, `start`
 * (A), in a box, under version 1. An action is worth the mean over logged states of Q(s, a), a
 * network fitted to the logging policy's own returns (fqe.h): what a session brings from a request
 * on that takes the action once and goes on as logged. Only actions within the box round the
 * initial policy are tried: beyond it the network guesses. So the answer is right to first order,
 * for steps that are small; what taking the action at every request does to the states it meets, Q
 * does not know. */
mtf_status mtf_compare_search_logs(const mtf_settings *settings, const mtf_scratch *logs,
                                   const char *method, const float *start, uint64_t seed,
                                   const atomic_bool *stop, float action[MTF_SIM_ACTIONS],
                                   mtf_err *err) MTF_NODISCARD;

#endif
