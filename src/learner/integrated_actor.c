/* Formula 4: the actor's loss over all critics, its gradient, and the step's metrics. */
#include "learner/adam.h"
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define VARIANCE_FLOOR 1e-8f /* keeps the disagreement's gradient finite when all critics agree */

void mtf_integrated_mu(const mtf_algorithm *algorithm, const float *weights, size_t count,
                       const float *s, size_t lds, const mtf_mlp_space *space, float *a, size_t lda)
{
    mtf_mlp_forward(&algorithm->actor_mlp, weights, count, s, lds, space, a, lda);
    mtf_tanh(a, lda, count, algorithm->actions);
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

static size_t item_count(const mtf_algorithm *algorithm)
{
    return algorithm->batch->rows * algorithm->items;
}

/* Mean and standard deviation over a group's critics for items first .. first+count. */
static void ensemble(mtf_algorithm *algorithm, uint32_t group, size_t first, size_t count)
{
    const size_t all = item_count(algorithm);
    const uint32_t m = algorithm->config.critics, end = (group + 1) * m;
    const float share = 1.0f / (float)m;
    float *mean = algorithm->q_mean + group * all + first;
    float *std = algorithm->q_std + group * all + first;
    memset(mean, 0, count * sizeof *mean);
    memset(std, 0, count * sizeof *std);
    for (uint32_t i = group * m; i < end; i++) {
        const float *q = algorithm->q_policy + i * all + first;
        for (size_t k = 0; k < count; k++) mean[k] += q[k];
    }
    for (size_t k = 0; k < count; k++) mean[k] *= share;
    for (uint32_t i = group * m; i < end; i++) {
        const float *q = algorithm->q_policy + i * all + first;
        for (size_t k = 0; k < count; k++) std[k] += (q[k] - mean[k]) * (q[k] - mean[k]);
    }
    for (size_t k = 0; k < count; k++) std[k] = sqrtf(std[k] * share + VARIANCE_FLOOR);
}

/* d_action = d loss / d mu(s): the critics' slopes, each with what formula 4 makes of its value,
 * d/dQ_i c_g (-mean / l + lambda std) = c_g (-1 / l + lambda (Q_i - mean) / std) / m, and the box
 * penalty's; nothing where there is no item. */
static void action_gradient(mtf_algorithm *algorithm, size_t first, size_t count)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const size_t all = item_count(algorithm), actions = algorithm->actions;
    const float share = 1.0f / (float)config->critics, lambda = (float)config->lambda;
    const float eta = (float)config->eta, pull = 1.0f / (float)algorithm->items;
    float *out = algorithm->d_action + first * actions;
    const float *bent = algorithm->penalty_slope + first * actions;
    for (size_t k = 0; k < count * actions; k++) out[k] = eta * bent[k];
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
        const uint32_t group = i / config->critics;
        const float part = (float)mtf_group_share(algorithm, group);
        const float *q = algorithm->q_policy + i * all + first;
        const float *mean = algorithm->q_mean + group * all + first;
        const float *std = algorithm->q_std + group * all + first;
        float *c = algorithm->coefficient + i * all + first;
        for (size_t k = 0; k < count; k++)
            c[k] = part * share * (lambda * (q[k] - mean[k]) / std[k] - pull);
    }
    mtf_add_rows(out, algorithm->coefficient + first, algorithm->slope + first * actions, count,
                 actions, algorithm->critic_count, all);
    for (size_t k = 0; k < count; k++) {
        const size_t b = (first + k) / algorithm->items;
        const float weight = algorithm->batch->weight[b] * algorithm->there[first + k];
        mtf_scale(out + k * actions, weight / (float)algorithm->batch->rows, actions);
    }
}

/* Formula 5 of item k: nothing where there is none. */
static void item_penalty(mtf_algorithm *algorithm, size_t k)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t at = k * algorithm->actions;
    const float *action = algorithm->x_policy + k * algorithm->ldx + algorithm->states;
    const mtf_box box = {algorithm->actions, (float)algorithm->config.beta, batch->bp + at,
                         batch->lower + at, batch->upper + at};
    algorithm->outside[k] = algorithm->open[k] = 0;
    algorithm->penalty[k] = 0.0f;
    memset(algorithm->penalty_slope + at, 0, algorithm->actions * sizeof(float));
    if (algorithm->there[k] == 0.0f) return;
    algorithm->penalty[k] =
        mtf_box_penalty(&box, (int)algorithm->config.penalty, action, algorithm->penalty_slope + at,
                        &algorithm->outside[k], &algorithm->open[k]);
}

void mtf_actor_gradient(mtf_algorithm *algorithm, uint32_t chunk)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t actions = algorithm->actions, items = algorithm->items;
    const size_t from = chunk * algorithm->chunk_rows, left = batch->rows - from;
    const size_t rows = left < algorithm->chunk_rows ? left : algorithm->chunk_rows;
    const size_t first = from * items, count = rows * items;
    const mtf_mlp_space space = mtf_actor_space(algorithm, first);
    for (size_t k = first; k < first + count; k++) item_penalty(algorithm, k);
    for (uint32_t g = 0; g < algorithm->groups; g++) ensemble(algorithm, g, first, count);
    action_gradient(algorithm, first, count);
    for (size_t k = first; k < first + count; k++) { /* back through tanh */
        const float *action = algorithm->x_policy + k * algorithm->ldx + algorithm->states;
        float *d = algorithm->d_action + k * actions;
        for (size_t i = 0; i < actions; i++) d[i] *= 1.0f - action[i] * action[i];
    }
    size_t ld;
    const float *in = mtf_actor_inputs(algorithm, batch->s, algorithm->x_policy, first, &ld);
    mtf_mlp_backward(&algorithm->actor_mlp, algorithm->actor.weights, count, in, ld, &space,
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

/* What row b brings to the metrics, summed over its items. */
typedef struct row_sums {
    double value, spread, penalty, phi, outside, open;
} row_sums;

static row_sums sum_row(const mtf_algorithm *algorithm, const double *share, size_t b)
{
    const size_t all = item_count(algorithm), items = algorithm->items;
    row_sums sums = {0};
    double phi = 0.0, next = 0.0;
    for (size_t k = b * items; k < (b + 1) * items; k++) {
        const double there = (double)algorithm->there[k];
        const double there_next = (double)algorithm->there_next[k];
        for (uint32_t g = 0; g < algorithm->groups; g++) {
            sums.value += there * (share[g] * (double)algorithm->q_mean[g * all + k]);
            sums.spread += there * (share[g] * (double)algorithm->q_std[g * all + k]);
        }
        sums.penalty += (double)algorithm->penalty[k];
        sums.outside += algorithm->outside[k];
        sums.open += algorithm->open[k];
        phi += there_next * (double)algorithm->phi[k];
        next += there_next;
    }
    sums.phi = next > 0.0 ? phi / next : 1.0;
    return sums;
}

void mtf_integrated_metrics(const mtf_algorithm *algorithm, mtf_step_metrics *metrics)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const mtf_batch *batch = algorithm->batch;
    const double rows = (double)batch->rows, scale = algorithm->reward_scale;
    double actor_loss = 0.0, share[MTF_GROUPS_MAX];
    row_sums all = {0};
    for (uint32_t g = 0; g < algorithm->groups; g++) share[g] = mtf_group_share(algorithm, g);
    for (size_t b = 0; b < batch->rows; b++) {
        const row_sums row = sum_row(algorithm, share, b);
        actor_loss +=
            (double)batch->weight[b] * (config->eta * row.penalty + config->lambda * row.spread -
                                        row.value / (double)algorithm->items);
        all.value += row.value;
        all.spread += row.spread;
        all.penalty += row.penalty;
        all.phi += row.phi;
        all.outside += row.outside;
        all.open += row.open;
    }
    *metrics = (mtf_step_metrics){
        .actor_loss = actor_loss / rows * scale,
        .q_mean = all.value / rows * scale,
        .critic_spread = all.spread / rows * scale,
        .penalty = all.penalty / rows,
        .phi_mean = all.phi / rows,
        .outside = all.open > 0.0 ? all.outside / all.open : 0.0,
        .actor_grad_norm = algorithm->actor_norm,
    };
    critics_metrics(algorithm, metrics);
    /* Weights stay finite as long as gradients are, and a NaN anywhere reaches a loss or a norm. */
    metrics->finite &= isfinite(actor_loss) && isfinite(algorithm->actor_norm);
}
