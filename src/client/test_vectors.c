/* The states that a policy record proves itself with. A loader in another language sums in another
 * order, so a state far out, where sums of thousands cancel, would make it differ by more than the
 * tolerance although it is right. Each state is therefore drawn towards the mean until float and
 * double arithmetic agree to a fifth of the tolerance. */
#include "client/record.h"

#include <float.h>
#include <math.h>

#include "core/rng.h"

#define AGREEMENT    (MTF_POLICY_TOLERANCE / 5)
#define HALVINGS_MAX 40
#define DRAW_KEY     0x6d74662d74657374u /* "mtf-test" */
#define FAR          1000.0              /* deviations */

/* mtf_policy_act in double. */
static void act_in_double(const mtf_policy *policy, const float *state, double *action)
{
    double x[MTF_POLICY_WIDTH_MAX], y[MTF_POLICY_WIDTH_MAX];
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        x[i] = ((double)state[i] - policy->mean[i]) / policy->deviation[i];
    }
    for (uint32_t l = 0; l < policy->layer_count; l++) {
        const mtf_policy_layer *layer = &policy->layers[l];
        for (uint32_t o = 0; o < layer->outputs; o++) {
            const float *w = layer->weight + (size_t)o * layer->inputs;
            y[o] = layer->bias[o];
            for (uint32_t i = 0; i < layer->inputs; i++) y[o] += w[i] * x[i];
        }
        for (uint32_t o = 0; o < layer->outputs; o++) x[o] = fmax(y[o], 0);
    }
    for (uint32_t i = 0; i < policy->action_dim; i++) action[i] = tanh(y[i]);
}

static bool arithmetics_agree(const mtf_policy *policy, const float *state, const float *action)
{
    double exact[MTF_POLICY_ACTIONS_MAX];
    act_in_double(policy, state, exact);
    for (uint32_t i = 0; i < policy->action_dim; i++) {
        if (!(fabs(exact[i] - action[i]) <= AGREEMENT)) return false;
    }
    return true;
}

/* Feature i of the state that vector `index` starts from. */
static double wanted(const mtf_policy *policy, uint32_t index, uint32_t i, mtf_rng *rng)
{
    const double mean = policy->mean[i], deviation = policy->deviation[i];
    switch (index) {
    case 0:
        return 0;
    case 1:
        return mean; /* what a wholly missing state counts as */
    case 2:
        return mean + FAR * deviation;
    case 3:
        return mean - FAR * deviation;
    case 4:
        return mean + (i % 2 ? -FAR : FAR) * deviation;
    case 5:
        return 1;
    default:
        return mean + mtf_rng_normal(rng) * deviation * (index % 2 ? 1 : 3);
    }
}

void mtf_test_vector_make(const mtf_policy *policy, uint32_t index, float *state, float *action)
{
    double closer = 1;
    for (int halvings = 0; halvings <= HALVINGS_MAX; halvings++, closer /= 2) {
        mtf_rng rng = mtf_rng_of(DRAW_KEY, index);
        for (uint32_t i = 0; i < policy->state_dim; i++) {
            const double mean = policy->mean[i];
            const double feature = mean + closer * (wanted(policy, index, i, &rng) - mean);
            state[i] = (float)fmax(-FLT_MAX, fmin(FLT_MAX, feature));
        }
        mtf_policy_act(policy, state, action);
        if (arithmetics_agree(policy, state, action)) return;
    }
}
