/** `mtf simulate --search METHOD`: one action for everybody, searched on the simulated recommender.
 */
#ifndef MTF_CLI_SIM_SEARCH_H
#define MTF_CLI_SIM_SEARCH_H

#include "cli/cli.h"
#include "sim/sim.h"

typedef struct sim_search_options {
    const char *method;     /* of search/search.h */
    int64_t sessions, each; /* in all; an action */
    int64_t seed;
    const char *write; /* where the policy's record goes; NULL: nowhere */
} sim_search_options;

/** Searches, values what was found on fresh users, prints a JSON line, writes the policy's record
 *  (unsigned, version 1). MTF_CLOSED: stopped before its end. */
mtf_status sim_search(const mtf_cli *cli, const mtf_sim *sim, const sim_search_options *options,
                      mtf_err *err) MTF_NODISCARD;

#endif
