/** The exploration box as the losses see it: how far outside an action lies (arXiv:2404.17589,
 *  formula 5) and how much a target there still counts. Excess x >= 0 is measured in
 *  kappa = beta max(upper - lower, 0.01); a dimension of zero width is frozen and never outside. */
#ifndef MTF_LEARNER_BOX_H
#define MTF_LEARNER_BOX_H

#include "learner/algorithm.h"

/** One row's box: bp baseline action (A), lower and upper offsets from it (A). */
typedef struct mtf_box {
    uint32_t count;
    float beta;
    const float *bp, *lower, *upper;
} mtf_box;

/** MTF_PENALTY_*. */
typedef int mtf_penalty;

/** d at action (A), and slope (A) = its derivative unless NULL; counts of dimensions outside and of
 *  those with a width are added to *outside and *open unless NULL.
 *  EXPM1: sum of expm1(min(x/kappa, 5)), continued linearly. PRINTED: sum over dimensions outside
 * of exp(-x/kappa), the paper's formula, which pushes outward; for study. NONE: 0. */
float mtf_box_penalty(const mtf_box *box, mtf_penalty penalty, const float *action, float *slope,
                      uint32_t *outside, uint32_t *open);
/** phi = exp(-sum x/kappa): what is left of a positive target value. */
float mtf_box_phi(const mtf_box *box, const float *action);
/** sum of (1 - exp(-x/kappa)): the additive target's penalty. */
float mtf_box_loss(const mtf_box *box, const float *action);
/** The action clipped into the box, in place. */
void mtf_box_clamp(const mtf_box *box, float *action);

#endif
