/** What every learning algorithm is fed: rows of transitions as float blocks. */
#ifndef MTF_LEARNER_BATCH_H
#define MTF_LEARNER_BATCH_H

#include "core/status.h"

#define MTF_GROUPS_MAX 8 /* parts of a reward: setting reward.groups */

/** B rows. s, s2 are normalised (and finite); r is raw formula-2 reward. lower/upper are offsets
 *  from the baseline action of the same row. s2, bp2, lower2, upper2 are zero where done is 1. */
typedef struct mtf_batch {
    size_t rows;
    uint32_t state_dim, action_dim;
    float *s;        /* (B,S) */
    float *a;        /* (B,A) */
    float *bp;       /* (B,A) baseline action */
    float *lower;    /* (B,A) */
    float *upper;    /* (B,A) */
    float *r;        /* (B,) */
    float *s2;       /* (B,S) */
    float *bp2;      /* (B,A) */
    float *lower2;   /* (B,A) */
    float *upper2;   /* (B,A) */
    float *done;     /* (B,) 1: the session truly ended with this row */
    float *weight;   /* (B,) sample weight, 1 by default */
    uint32_t groups; /* q, of reward.groups; 0: the reward is of one part */
    float *parts;    /* (B,q) raw, they add up to r; NULL where q is 0 */
} mtf_batch;

#endif
