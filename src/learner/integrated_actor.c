/* Formula 4: the actor's loss over all critics, its gradient, and the step's metrics. */
#include "learner/adam.h"
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define VARIANCE_FLOOR 1e-8f /* keeps the disagreement's gradient finite when all critics agree */

void mtf_actor_act(const mtf_algorithm *algorithm, const float *weights, size_t rows,
                   const float *s, size_t lds, const mtf_mlp_space *space, float *a, size_t lda)
{
    mtf_mlp_forward(&algorithm->actor_mlp, weights, rows, s, lds, space, a, lda);
    mtf_tanh(a, lda, rows, algorithm->config.action_dim);
}

mtf_mlp_space mtf_actor_space(const mtf_algorithm *algorithm, size_t first)
{
    const mtf_mlp_space *all = &algorithm->actor_space;
    const size_t at = first * algorithm->config.hidden;
    return (mtf_mlp_space){
        .h1 = all->h1 + at, .h2 = all->h2 + at, .d1 = all->d1 + at, .d2 = all->d2 + at};
}

double mtf_group_share(const mtf_algorithm *algorithm, uint32_t group)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const double weight = config->groups ? config->group_weights[group] : 1.0;
    return weight * (algorithm->group_scales[group] / algorithm->reward_scale);
}

/* Mean and standard deviation over a group's critics for rows first .. first+rows. */
static void ensemble(mtf_algorithm *algorithm, uint32_t group, size_t first, size_t rows)
{
    const size_t all = algorithm->batch->rows;
    const uint32_t m = algorithm->config.critics, end = (group + 1) * m;
    const float share = 1.0f / (float)m;
    float *mean = algorithm->q_mean + group * all + first;
    float *std = algorithm->q_std + group * all + first;
    memset(mean, 0, rows * sizeof *mean);
    memset(std, 0, rows * sizeof *std);
    for (uint32_t i = group * m; i < end; i++) {
        const float *q = algorithm->q_policy + i * all + first;
        for (size_t b = 0; b < rows; b++) mean[b] += q[b];
    }
    for (size_t b = 0; b < rows; b++) mean[b] *= share;
    for (uint32_t i = group * m; i < end; i++) {
        const float *q = algorithm->q_policy + i * all + first;
        for (size_t b = 0; b < rows; b++) std[b] += (q[b] - mean[b]) * (q[b] - mean[b]);
    }
    for (size_t b = 0; b < rows; b++) std[b] = sqrtf(std[b] * share + VARIANCE_FLOOR);
}

/* d_action = d loss / d mu(s): the critics' slopes, each with what formula 4 makes of its value,
 * d/dQ_i c_g (-mean + lambda std) = c_g (-1 + lambda (Q_i - mean) / std) / m, and the box
 * penalty's.
 */
static void action_gradient(mtf_algorithm *algorithm, size_t first, size_t rows)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const size_t all = algorithm->batch->rows, actions = config->action_dim;
    const float share = 1.0f / (float)config->critics, lambda = (float)config->lambda;
    const float eta = (float)config->eta;
    float *c = algorithm->coefficient + first;
    float *out = algorithm->d_action + first * actions;
    const float *bent = algorithm->penalty_slope + first * actions;
    for (size_t k = 0; k < rows * actions; k++) out[k] = eta * bent[k];
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
        const uint32_t group = i / config->critics;
        const float part = (float)mtf_group_share(algorithm, group);
        const float *q = algorithm->q_policy + i * all + first;
        const float *slope = algorithm->slope + (i * all + first) * actions;
        const float *mean = algorithm->q_mean + group * all + first;
        const float *std = algorithm->q_std + group * all + first;
        for (size_t b = 0; b < rows; b++)
            c[b] = part * share * (lambda * (q[b] - mean[b]) / std[b] - 1.0f);
        mtf_add_rows(out, c, slope, rows, actions);
    }
    const float *weight = algorithm->batch->weight + first;
    for (size_t b = 0; b < rows; b++) mtf_scale(out + b * actions, weight[b] / (float)all, actions);
}

void mtf_actor_gradient(mtf_algorithm *algorithm, uint32_t chunk)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t actions = batch->action_dim, states = batch->state_dim;
    const size_t first = chunk * algorithm->chunk_rows, left = batch->rows - first;
    const size_t rows = left < algorithm->chunk_rows ? left : algorithm->chunk_rows;
    const mtf_mlp_space space = mtf_actor_space(algorithm, first);
    for (size_t b = first; b < first + rows; b++) {
        const float *action = algorithm->x_policy + b * algorithm->ldx + states;
        const mtf_box box = {(uint32_t)actions, (float)algorithm->config.beta,
                             batch->bp + b * actions, batch->lower + b * actions,
                             batch->upper + b * actions};
        algorithm->outside[b] = algorithm->open[b] = 0;
        algorithm->penalty[b] = mtf_box_penalty(&box, (int)algorithm->config.penalty, action,
                                                algorithm->penalty_slope + b * actions,
                                                &algorithm->outside[b], &algorithm->open[b]);
    }
    for (uint32_t g = 0; g < algorithm->groups; g++) ensemble(algorithm, g, first, rows);
    action_gradient(algorithm, first, rows);
    for (size_t b = first; b < first + rows; b++) { /* back through tanh */
        const float *action = algorithm->x_policy + b * algorithm->ldx + states;
        float *d = algorithm->d_action + b * actions;
        for (size_t k = 0; k < actions; k++) d[k] *= 1.0f - action[k] * action[k];
    }
    mtf_mlp_backward(&algorithm->actor_mlp, algorithm->actor.weights, rows,
                     batch->s + first * states, states, &space,
                     algorithm->d_action + first * actions,
                     algorithm->actor_gradients + chunk * algorithm->actor_mlp.size);
}

void mtf_actor_gather(mtf_algorithm *algorithm)
{
    const size_t size = algorithm->actor_mlp.size;
    float *sum = algorithm->actor_gradients;
    for (uint32_t c = 1; c < algorithm->chunk_count; c++) mtf_add(sum, sum + c * size, size);
    algorithm->actor_norm = sqrt(mtf_sum_squares(sum, size));
}

void mtf_actor_update(mtf_algorithm *algorithm)
{
    const mtf_net *net = &algorithm->actor;
    const size_t size = algorithm->actor_mlp.size;
    mtf_adam_step(
        net->weights, net->m, net->v, algorithm->actor_gradients, size, algorithm->actor_rate,
        mtf_clip_factor(algorithm->actor_norm, algorithm->config.actor_clip), algorithm->actor_t);
    if (mtf_integrated_targets_due(algorithm)) {
        mtf_approach(net->target, net->weights, (float)algorithm->config.soft_update, size);
    }
}

/* Losses in the reward units of each critic's group, and the largest of what has one. */
static void critics_metrics(const mtf_algorithm *algorithm, mtf_step_metrics *metrics)
{
    const uint32_t m = algorithm->config.critics;
    double norms = 0.0;
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        const double scale = algorithm->group_scales[g];
        double loss = 0.0, q_abs_max = 0.0;
        for (uint32_t i = g * m; i < (g + 1) * m; i++) {
            const mtf_critic_result *result = &algorithm->results[i];
            loss += result->loss;
            norms += result->gradient_norm;
            metrics->critic_grad_norm = fmax(metrics->critic_grad_norm, result->gradient_norm);
            q_abs_max = fmax(q_abs_max, result->q_abs_max);
        }
        metrics->critic_loss += loss * scale * scale;
        metrics->q_abs_max = fmax(metrics->q_abs_max, q_abs_max * scale);
    }
    metrics->finite = isfinite(metrics->critic_loss) && isfinite(norms);
}

void mtf_integrated_metrics(const mtf_algorithm *algorithm, mtf_step_metrics *metrics)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const mtf_batch *batch = algorithm->batch;
    const double rows = (double)batch->rows, scale = algorithm->reward_scale;
    double actor_loss = 0.0, means = 0.0, spread = 0.0, penalty = 0.0, phi = 0.0;
    double outside = 0.0, open = 0.0, share[MTF_GROUPS_MAX];
    for (uint32_t g = 0; g < algorithm->groups; g++) share[g] = mtf_group_share(algorithm, g);
    for (size_t b = 0; b < batch->rows; b++) {
        const double d = (double)algorithm->penalty[b];
        double mean = 0.0, std = 0.0;
        for (uint32_t g = 0; g < algorithm->groups; g++) {
            mean += share[g] * (double)algorithm->q_mean[g * batch->rows + b];
            std += share[g] * (double)algorithm->q_std[g * batch->rows + b];
        }
        actor_loss += (double)batch->weight[b] * (config->eta * d + config->lambda * std - mean);
        means += mean;
        spread += std;
        penalty += d;
        phi += (double)algorithm->phi[b];
        outside += algorithm->outside[b];
        open += algorithm->open[b];
    }
    *metrics = (mtf_step_metrics){
        .actor_loss = actor_loss / rows * scale,
        .q_mean = means / rows * scale,
        .critic_spread = spread / rows * scale,
        .penalty = penalty / rows,
        .phi_mean = phi / rows,
        .outside = open > 0.0 ? outside / open : 0.0,
        .actor_grad_norm = algorithm->actor_norm,
    };
    critics_metrics(algorithm, metrics);
    /* Weights stay finite as long as gradients are, and a NaN anywhere reaches a loss or a norm. */
    metrics->finite &= isfinite(actor_loss) && isfinite(algorithm->actor_norm);
}
