/* Implicit Q-learning (Kostrikov et al., arXiv:2110.06169): values of logged actions only, and a
 * policy that imitates the better of them. In turn, each with what the one before has become:
 *
 *    V      : mean( |tau - 1(u < 0)| u^2 ),  u = min_j Q'_j(s, a) - V(s)
 *    actor  : mean( min(exp(beta (min_j Q'_j(s, a) - V(s))), weight_max) * -log pi(a|s) )
 *    critics: towards r + gamma (1 - done) V(s')
 *
 *  pi is a Gaussian round tanh of the actor, not squashed; its log deviations are numbers of their
 *  own, the same in every state. The policy that acts is its mean. */
#include "learner/kernels.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <math.h>
#include <string.h>

/* Also where dimensions that never vary in the data come to rest. */
#define LOG_DEVIATION_MIN -5.0f
#define LOG_DEVIATION_MAX 2.0f
#define HALF_LOG_2PI      0.9189385332046727

enum { VALUE_NET = MTF_RIVAL_OWN };
enum { Q_DATA, VALUE, D_VALUE, D_ACTION }; /* scratch: (B,) three times, (B,A) */

static mtf_status iql_open(const mtf_algorithm_config *config, mtf_algorithm **out, mtf_err *err)
{
    const size_t rows = config->batch;
    const uint32_t states = config->state_dim, actions = config->action_dim;
    const mtf_rival_shape critic = {states + actions, 1, 1.0, true, rows};
    const mtf_rival_plan plan = {
        .net_count = 4,
        .nets = {critic, critic, {states, actions, 0.1, false, rows}, {states, 1, 1.0, true, rows}},
        .loose = actions,
        .scratch = {[Q_DATA] = rows, [VALUE] = rows, [D_VALUE] = rows, [D_ACTION] = rows * actions},
    };
    const mtf_algorithm_rule rules[] = {
        {"iql.expectile", config->iql.expectile, 0.0, 1.0},
        {"iql.beta", config->iql.beta, 0, 1e9},
        {"iql.weight_max", config->iql.weight_max, 1e-9, 1e30},
    };
    *out = NULL;
    const mtf_status status = mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
    return status ? status : mtf_rival_open(&mtf_iql_ops, &plan, config, out, err);
}

/* Q_DATA = min_j Q'_j(s, a). */
static void value_data(mtf_algorithm *rival)
{
    const size_t rows = rival->batch->rows;
    mtf_rival_critics(rival, true, rows, rival->x_data, rival->q);
    for (size_t b = 0; b < rows; b++)
        rival->scratch[Q_DATA][b] = fminf(rival->q[0][b], rival->q[1][b]);
}

static void move_value(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    mtf_rival_net *net = &rival->nets[VALUE_NET];
    const float tau = (float)config->iql.expectile;
    float *v = rival->scratch[VALUE], *dv = rival->scratch[D_VALUE];
    double loss = 0.0;
    mtf_rival_forward(rival, VALUE_NET, false, batch->rows, batch->s, batch->state_dim, v);
    for (size_t b = 0; b < batch->rows; b++) {
        const float u = rival->scratch[Q_DATA][b] - v[b];
        const float side = u < 0.0f ? 1.0f - tau : tau;
        const float weight = batch->weight[b] / (float)batch->rows * side;
        loss += (double)(weight * u * u);
        dv[b] = -2.0f * weight * u;
    }
    net->loss = loss;
    mtf_mlp_backward(&net->mlp, net->net.weights, batch->rows, batch->s, batch->state_dim,
                     &net->space, dv, net->gradient);
    mtf_rival_update(rival, VALUE_NET, config->critic_lr, config->critic_clip);
}

/* What row b adds to the actor's loss, and its slopes before tanh and along the log deviations. */
static double imitate_row(mtf_algorithm *rival, size_t b)
{
    const mtf_algorithm_config *config = &rival->config;
    const size_t actions = config->action_dim;
    const float better = rival->scratch[Q_DATA][b] - rival->scratch[VALUE][b];
    const float push = fminf(expf((float)config->iql.beta * better), (float)config->iql.weight_max);
    const float weight = rival->batch->weight[b] / (float)rival->batch->rows * push;
    const float *mu = rival->x_policy + b * rival->ldx + config->state_dim;
    const float *a = rival->batch->a + b * actions;
    double unlikely = 0.0; /* -log pi(a|s) */
    for (size_t d = 0; d < actions; d++) {
        const float raw = rival->loose.weights[d];
        const float level = fminf(fmaxf(raw, LOG_DEVIATION_MIN), LOG_DEVIATION_MAX);
        const float z = (a[d] - mu[d]) * expf(-level);
        unlikely += 0.5 * (double)(z * z) + (double)level + HALF_LOG_2PI;
        rival->scratch[D_ACTION][b * actions + d] =
            -weight * z * expf(-level) * (1.0f - mu[d] * mu[d]);
        if (raw == level) rival->loose_gradient[d] += weight * (1.0f - z * z);
    }
    return (double)weight * unlikely;
}

static void move_actor(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    mtf_rival_forward(rival, VALUE_NET, false, batch->rows, batch->s, batch->state_dim,
                      rival->scratch[VALUE]);
    mtf_rival_act_at(rival, false, rival->x_policy, rival->scratch[D_ACTION]);
    memset(rival->loose_gradient, 0, rival->loose_count * sizeof *rival->loose_gradient);
    actor->loss = 0.0;
    for (size_t b = 0; b < batch->rows; b++) actor->loss += imitate_row(rival, b);
    mtf_mlp_backward(&actor->mlp, actor->net.weights, batch->rows, batch->s, batch->state_dim,
                     &actor->space, rival->scratch[D_ACTION], actor->gradient);
    mtf_rival_update(rival, MTF_RIVAL_ACTOR, config->actor_lr, config->actor_clip);
    mtf_rival_update_loose(rival, config->actor_lr, config->actor_clip);
}

static mtf_status iql_step(mtf_algorithm *rival, const mtf_batch *batch, mtf_step_metrics *metrics,
                           mtf_err *err)
{
    const mtf_status status = mtf_rival_begin(rival, batch, err);
    if (status != MTF_OK) return status;
    value_data(rival);
    move_value(rival);
    move_actor(rival);
    mtf_rival_forward(rival, VALUE_NET, false, batch->rows, batch->s2, batch->state_dim,
                      rival->scratch[VALUE]);
    mtf_rival_bootstrap(rival, rival->scratch[VALUE]);
    mtf_rival_regress(rival);
    mtf_rival_judge(rival, 0);
    mtf_rival_finish(rival, MTF_RIVAL_Q2 + 1, metrics);
    return MTF_OK;
}

const mtf_algorithm_ops mtf_iql_ops = {
    .name = "iql",
    .configure = mtf_rival_configure,
    .open = iql_open,
    .close = mtf_rival_close,
    .begin_round = mtf_rival_begin_round,
    .step = iql_step,
    .act = mtf_rival_act,
    .value = mtf_rival_value,
    .save = mtf_rival_save,
    .load = mtf_rival_load,
    .actor = mtf_rival_actor,
    .set_actor = mtf_rival_set_actor,
    .reinit = mtf_rival_reinit,
};
