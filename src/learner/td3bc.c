/* TD3+BC (Fujimoto and Gu, arXiv:2106.06860): TD3 whose actor is also drawn to the logged actions.
 *
 *    y     = r + gamma (1 - done) min_j Q'_j(s', clip(mu'(s') + clip(noise, +-c), +-1))
 *    actor : mean( -l Q_1(s, mu(s)) + (1/A) |mu(s) - a|^2 ),  l = alpha / mean|Q_1(s, mu(s))|
 *
 *  l is a number, not differentiated. The actor moves every td3bc.policy_every steps. */
#include "learner/kernels.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <math.h>

#define Q_FLOOR 1e-6 /* of mean|Q|: fresh critics may be 0 */

enum { NOISE, D_ACTION }; /* scratch, (B,A) each */

static mtf_status td3bc_open(const mtf_algorithm_config *config, mtf_algorithm **out, mtf_err *err)
{
    const size_t rows = config->batch;
    const uint32_t states = config->state_dim, actions = config->action_dim;
    const mtf_rival_shape critic = {states + actions, 1, 1.0, true, rows};
    const mtf_rival_plan plan = {
        .net_count = 3,
        .nets = {critic, critic, {states, actions, 0.1, false, rows}},
        .scratch = {[NOISE] = rows * actions, [D_ACTION] = rows * actions},
    };
    const mtf_algorithm_rule rules[] = {
        {"td3bc.alpha", config->td3bc.alpha, 0, 1e9},
        {"td3bc.noise", config->td3bc.noise, 0, 1e9},
        {"td3bc.noise_clip", config->td3bc.noise_clip, 0, 1e9},
        {"td3bc.policy_every", config->td3bc.policy_every, 1, UINT32_MAX},
    };
    *out = NULL;
    const mtf_status status = mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
    return status ? status : mtf_rival_open(&mtf_td3bc_ops, &plan, config, out, err);
}

static float clamp(float x, float limit)
{
    return fminf(fmaxf(x, -limit), limit);
}

static void make_targets(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const size_t rows = rival->batch->rows, actions = config->action_dim;
    const float deviation = (float)config->td3bc.noise, limit = (float)config->td3bc.noise_clip;
    float *noise = rival->scratch[NOISE];
    mtf_rng draws = mtf_rival_draws(rival, 0);
    mtf_rival_normals(&draws, noise, rows * actions);
    mtf_rival_act_at(rival, true, rival->x_next, rival->scratch[D_ACTION]);
    for (size_t b = 0; b < rows; b++) {
        float *a = rival->x_next + b * rival->ldx + config->state_dim;
        for (size_t d = 0; d < actions; d++)
            a[d] = clamp(a[d] + clamp(deviation * noise[b * actions + d], limit), 1.0f);
    }
    mtf_rival_critics(rival, true, rows, rival->x_next, rival->q);
    for (size_t b = 0; b < rows; b++) rival->y[b] = fminf(rival->q[0][b], rival->q[1][b]);
    mtf_rival_bootstrap(rival, rival->y);
}

/* The actor's loss, and into D_ACTION its slope before tanh, after mtf_rival_judge. */
static void actor_loss(mtf_algorithm *rival)
{
    const mtf_batch *batch = rival->batch;
    const size_t rows = batch->rows, states = batch->state_dim, actions = batch->action_dim;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    const float *q = rival->q[0], *slope = rival->slope[0];
    float *d_action = rival->scratch[D_ACTION];
    double size = 0.0, value = 0.0, distance = 0.0;
    for (size_t b = 0; b < rows; b++) {
        size += (double)batch->weight[b] * fabs((double)q[b]) / (double)rows;
        value += (double)batch->weight[b] * (double)q[b] / (double)rows;
    }
    const double pull = rival->config.td3bc.alpha / fmax(size, Q_FLOOR);
    for (size_t b = 0; b < rows; b++) {
        const float *mu = rival->x_policy + b * rival->ldx + states;
        const float share = batch->weight[b] / (float)rows;
        for (size_t d = 0; d < actions; d++) {
            const size_t at = b * actions + d;
            const float miss = mu[d] - batch->a[at];
            const float rise = 2.0f / (float)actions * miss - (float)pull * slope[at];
            distance += (double)(share * miss * miss);
            d_action[at] = share * rise * (1.0f - mu[d] * mu[d]);
        }
    }
    actor->loss = distance / (double)actions - pull * value;
}

static void move_actor(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    actor->norm = 0.0; /* of a step without */
    if ((rival->step + 1) % config->td3bc.policy_every != 0) return;
    mtf_mlp_backward(&actor->mlp, actor->net.weights, batch->rows, batch->s, batch->state_dim,
                     &actor->space, rival->scratch[D_ACTION], actor->gradient);
    mtf_rival_update(rival, MTF_RIVAL_ACTOR, config->actor_lr, config->actor_clip);
}

static mtf_status td3bc_step(mtf_algorithm *rival, const mtf_batch *batch,
                             mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_status status = mtf_rival_begin(rival, batch, err);
    if (status != MTF_OK) return status;
    make_targets(rival);
    mtf_rival_regress(rival);
    mtf_rival_act_at(rival, false, rival->x_policy, rival->scratch[D_ACTION]);
    mtf_rival_judge(rival, 1);
    actor_loss(rival);
    move_actor(rival);
    mtf_rival_finish(rival, MTF_RIVAL_ACTOR + 1, metrics);
    return MTF_OK;
}

const mtf_algorithm_ops mtf_td3bc_ops = {
    .name = "td3bc",
    .configure = mtf_rival_configure,
    .open = td3bc_open,
    .close = mtf_rival_close,
    .begin_round = mtf_rival_begin_round,
    .step = td3bc_step,
    .act = mtf_rival_act,
    .value = mtf_rival_value,
    .save = mtf_rival_save,
    .load = mtf_rival_load,
    .actor = mtf_rival_actor,
    .set_actor = mtf_rival_set_actor,
    .reinit = mtf_rival_reinit,
};
