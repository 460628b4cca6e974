#include "learner/adam.h"

#include "learner/clones.h"

#include <math.h>

#define BETA1   0.9
#define BETA2   0.999
#define EPSILON 1e-8

typedef struct adam_factors {
    float shrink, beta1, beta2, fresh1, fresh2, rate, root2, epsilon;
} adam_factors;

MTF_CLONES static void adam_loop(float *restrict w, float *restrict m, float *restrict v,
                                 const float *restrict gradient, size_t count,
                                 const adam_factors *f)
{
    const adam_factors c = *f;
    for (size_t i = 0; i < count; i++) {
        const float g = gradient[i] * c.shrink;
        m[i] = c.beta1 * m[i] + c.fresh1 * g;
        v[i] = c.beta2 * v[i] + c.fresh2 * (g * g);
        w[i] -= c.rate * m[i] / (sqrtf(v[i]) * c.root2 + c.epsilon);
    }
}

void mtf_adam_step(float *w, float *m, float *v, const float *gradient, size_t count, double rate,
                   double shrink, uint64_t t)
{
    const adam_factors factors = {
        .shrink = (float)shrink,
        .beta1 = (float)BETA1,
        .beta2 = (float)BETA2,
        .fresh1 = (float)(1.0 - BETA1),
        .fresh2 = (float)(1.0 - BETA2),
        .rate = (float)(rate / (1.0 - pow(BETA1, (double)t))),
        .root2 = (float)(1.0 / sqrt(1.0 - pow(BETA2, (double)t))),
        .epsilon = (float)EPSILON,
    };
    adam_loop(w, m, v, gradient, count, &factors);
}

double mtf_cosine_rate(double rate, double final, uint64_t step, uint64_t steps)
{
    const double done = step < steps ? (double)step / (double)steps : 1.0;
    return rate * (final + (1.0 - final) * 0.5 * (1.0 + cos(3.141592653589793 * done)));
}

double mtf_clip_factor(double norm, double limit)
{
    return limit > 0.0 && norm > limit ? limit / norm : 1.0;
}
