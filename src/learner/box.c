#include "learner/box.h"

#include <math.h>

#define WIDTH_MIN  0.01f
#define EXCESS_CAP 5.0f /* in kappas: beyond, the penalty goes on linearly */

/* x/kappa of dimension d, signed: > 0 above the box, < 0 below, 0 inside or frozen. */
static float excess(const mtf_box *box, const float *action, uint32_t d, float *kappa)
{
    const float width = box->upper[d] - box->lower[d];
    *kappa = box->beta * fmaxf(width, WIDTH_MIN);
    if (!(width > 0.0f)) return 0.0f;
    const float above = action[d] - (box->bp[d] + box->upper[d]);
    const float below = (box->bp[d] + box->lower[d]) - action[d];
    if (above > 0.0f) return above / *kappa;
    return below > 0.0f ? -below / *kappa : 0.0f;
}

float mtf_box_penalty(const mtf_box *box, mtf_penalty penalty, const float *action, float *slope,
                      uint32_t *outside, uint32_t *open)
{
    float sum = 0.0f;
    for (uint32_t d = 0; d < box->count; d++) {
        float kappa;
        const float signed_z = excess(box, action, d, &kappa), z = fabsf(signed_z);
        if (open != NULL) *open += box->upper[d] > box->lower[d];
        if (outside != NULL) *outside += z > 0.0f;
        if (slope != NULL) slope[d] = 0.0f;
        if (z == 0.0f || penalty == MTF_PENALTY_NONE) continue;
        float growth; /* d penalty / dz */
        if (penalty == MTF_PENALTY_PRINTED) {
            growth = -expf(-z);
            sum -= growth;
        } else {
            const float capped = fminf(z, EXCESS_CAP);
            growth = expf(capped);
            sum += expm1f(capped) + growth * (z - capped);
        }
        if (slope != NULL) slope[d] = copysignf(1.0f, signed_z) * growth / kappa;
    }
    return sum;
}

float mtf_box_phi(const mtf_box *box, const float *action)
{
    float sum = 0.0f, kappa;
    for (uint32_t d = 0; d < box->count; d++) sum += fabsf(excess(box, action, d, &kappa));
    return expf(-sum);
}

float mtf_box_loss(const mtf_box *box, const float *action)
{
    float sum = 0.0f, kappa;
    for (uint32_t d = 0; d < box->count; d++) {
        sum -= expm1f(-fabsf(excess(box, action, d, &kappa)));
    }
    return sum;
}

void mtf_box_clamp(const mtf_box *box, float *action)
{
    for (uint32_t d = 0; d < box->count; d++) {
        const float low = box->bp[d] + box->lower[d], high = box->bp[d] + box->upper[d];
        action[d] = fminf(fmaxf(action[d], low), high);
    }
}
