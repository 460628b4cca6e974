/** A learner between two gradient steps, as one file: written whole or not at all, checked when
 * read.
 *
 *  | "MTFCKPT1" | u64 settings | i64 round | i64 parent | u64 step | u64 steps | f64 reward scale |
 *  | health: f64 ... | u32 S | mean S | deviation S | u64 n | algorithm n | XXH3-128 of all before
 * | */
#ifndef MTF_CHECKPOINT_H
#define MTF_CHECKPOINT_H

#include "learner/feed.h"

/** What a round's training showed so far. Means are exponential, over some 100 steps. */
typedef struct mtf_health {
    double q_abs_max; /* of the round */
    double spread, phi, outside, critic_loss, actor_loss, q_mean;
    bool finite;
} mtf_health;

#define MTF_CHECKPOINT_ID_CHARS 33 /* XXH3-128 of the file, hex, and the NUL */

/** Zeroed memory is a valid empty one. */
typedef struct mtf_checkpoint {
    uint64_t settings;     /* hash of what training depends on: another hash does not resume it */
    int64_t round, parent; /* parent: the version whose data it trains on */
    uint64_t step, steps;  /* steps done of the round's; equal: trained */
    double reward_scale;
    mtf_health health;
    mtf_normaliser normaliser;
    mtf_buf algorithm;                /* what ops->save gave */
    char id[MTF_CHECKPOINT_ID_CHARS]; /* set by save and load */
} mtf_checkpoint;

void mtf_checkpoint_fini(mtf_checkpoint *checkpoint);
/** MTF_IO: the old file stays. */
mtf_status mtf_checkpoint_save(mtf_checkpoint *checkpoint, const char *path,
                               mtf_err *err) MTF_NODISCARD;
/** The bytes of one. MTF_CORRUPT: not a whole checkpoint; *checkpoint is then empty. */
mtf_status mtf_checkpoint_decode(mtf_checkpoint *checkpoint, mtf_span bytes,
                                 mtf_err *err) MTF_NODISCARD;
/** MTF_SKIP: no such file; MTF_CORRUPT: not a whole checkpoint; on both *checkpoint is empty. */
mtf_status mtf_checkpoint_load(mtf_checkpoint *checkpoint, const char *path,
                               mtf_err *err) MTF_NODISCARD;

#endif
