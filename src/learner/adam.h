/** Adam over one block of floats, with the constants and the convention of PyTorch (Kingma and Ba,
 *  arXiv:1412.6980, eps outside the square root), and the round's learning rate. */
#ifndef MTF_LEARNER_ADAM_H
#define MTF_LEARNER_ADAM_H

#include "core/status.h"

/** One update: w, m, v (count) in place from gradient (count) times `shrink` (the clip's factor).
 *  t counts from 1. */
void mtf_adam_step(float *w, float *m, float *v, const float *gradient, size_t count, double rate,
                   double shrink, uint64_t t);

/** Cosine decay of `rate` to `rate * final` over `steps`; step counts from 0. */
double mtf_cosine_rate(double rate, double final, uint64_t step, uint64_t steps);

/** The factor that brings a gradient of this norm to at most `limit`; 1 when it is, or limit <= 0.
 */
double mtf_clip_factor(double norm, double limit);

#endif
