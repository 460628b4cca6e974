/** Simulated sessions on their way into a store, within one process: the simulator's events, the
 *  sessionizer's own machine, the learner's rows. No Kafka. */
#ifndef MTF_COMPARE_GATHER_H
#define MTF_COMPARE_GATHER_H

#include "learner/scratch.h"
#include "sim/live.h"

#define MTF_NOISE_BINS 81 /* of explored less baseline action; the middle one is about 0 */
#define MTF_NOISE_STEP 0.02

/** What was served meanwhile. Sums; zero it before the first round. */
typedef struct mtf_gathered {
    int64_t sessions, requests;
    double reward;                 /* formula 2, of all requests */
    int64_t noise[MTF_NOISE_BINS]; /* action dimensions, by how far they were from the baseline */
} mtf_gathered;

typedef struct mtf_gather {
    const mtf_settings *settings; /* of the sessionizer */
    const mtf_sim *sim;
    const mtf_policy *policy; /* serves, and is explored round */
    const atomic_bool *stop;  /* may be NULL */
} mtf_gather;

/** Round number `round` of the simulator into the store, all its sessions closed and settled; adds
 *  to *out. MTF_CORRUPT: not every simulated session was stored. MTF_CLOSED: told to stop. */
mtf_status mtf_gather_round(const mtf_gather *gather, uint32_t round, mtf_scratch *into,
                            mtf_gathered *out, mtf_err *err) MTF_NODISCARD;

#endif
