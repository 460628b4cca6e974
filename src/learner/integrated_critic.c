/* Formula 6: what a critic is trained on, and the critic's part of a step. */
#include "learner/adam.h"
#include "learner/clones.h"
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

/* The target's box terms of one row, at mu'(s') and the box logged at s'. */
static void prepare_target(mtf_algorithm *algorithm, size_t b)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const mtf_batch *batch = algorithm->batch;
    const size_t at = b * config->action_dim;
    const bool done = batch->done[b] != 0.0f;
    float *action = algorithm->x_next + b * algorithm->ldx + config->state_dim;
    const mtf_box box = {config->action_dim, (float)config->beta, batch->bp2 + at,
                         batch->lower2 + at, batch->upper2 + at};
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        const float part = config->groups ? batch->parts[b * config->groups + g] : batch->r[b];
        algorithm->reward[g * batch->rows + b] = (float)((double)part / algorithm->group_scales[g]);
    }
    algorithm->keep[b] = done ? 0.0f : (float)config->gamma;
    algorithm->phi[b] = done ? 1.0f : mtf_box_phi(&box, action);
    algorithm->discount[b] = config->target == MTF_TARGET_DISCOUNT ? algorithm->phi[b] : 1.0f;
    algorithm->shift[b] = 0.0f;
    algorithm->literal[b] = 0.0f;
    if (done) return;
    if (config->target == MTF_TARGET_ADDITIVE) {
        algorithm->shift[b] = (float)config->delta * mtf_box_loss(&box, action);
    } else if (config->target == MTF_TARGET_LITERAL) {
        algorithm->literal[b] = (float)config->delta * mtf_box_penalty(&box, (int)config->penalty,
                                                                       action, NULL, NULL, NULL);
    } else if (config->target == MTF_TARGET_CLIP) {
        mtf_box_clamp(&box, action);
    }
}

void mtf_integrated_prepare(mtf_algorithm *algorithm, uint32_t chunk)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t states = batch->state_dim, actions = batch->action_dim, ldx = algorithm->ldx;
    const size_t first = chunk * algorithm->chunk_rows;
    const size_t left = batch->rows - first;
    const size_t rows = left < algorithm->chunk_rows ? left : algorithm->chunk_rows;
    const mtf_mlp_space space = mtf_actor_space(algorithm, first);
    for (size_t b = first; b < first + rows; b++) {
        float *data = algorithm->x_data + b * ldx;
        memcpy(data, batch->s + b * states, states * sizeof *data);
        memcpy(data + states, batch->a + b * actions, actions * sizeof *data);
        memcpy(algorithm->x_next + b * ldx, batch->s2 + b * states, states * sizeof *data);
        memcpy(algorithm->x_policy + b * ldx, batch->s + b * states, states * sizeof *data);
    }
    mtf_actor_act(algorithm, algorithm->actor.target, rows, batch->s2 + first * states, states,
                  &space, algorithm->x_next + first * ldx + states, ldx);
    /* Last, because the actor's backward pass wants these activations. */
    mtf_actor_act(algorithm, algorithm->actor.weights, rows, batch->s + first * states, states,
                  &space, algorithm->x_policy + first * ldx + states, ldx);
    for (size_t b = first; b < first + rows; b++) prepare_target(algorithm, b);
}

/* What a row's loss and its slope need besides its two values. */
typedef struct terms {
    const float *reward, *keep, *discount, *shift, *literal, *weight;
} terms;

/* From q (B,) = Q_i(s, a) and next (B,) = Q'_i(s', mu'(s')): q = the rows' shares of the loss,
 * next = their slopes along Q_i. */
MTF_CLONES static void losses(float *restrict q, float *restrict next, const terms *of, size_t rows)
{
    const terms t = *of;
    const float share = 1.0f / (float)rows;
    for (size_t b = 0; b < rows; b++) {
        const float later = next[b] > 0.0f ? next[b] * t.discount[b] : next[b];
        const float target = t.reward[b] + t.keep[b] * (later - t.shift[b]);
        const float miss = q[b] - target, weight = t.weight[b] * share;
        q[b] = weight * miss * miss + weight * t.literal[b];
        next[b] = 2.0f * weight * miss;
    }
}

void mtf_critic_gradient(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker)
{
    const mtf_batch *batch = algorithm->batch;
    const mtf_mlp *mlp = &algorithm->critic_mlp;
    const mtf_net *net = &algorithm->critics[critic];
    mtf_worker_space *own = &algorithm->workers[worker];
    mtf_critic_result *result = &algorithm->results[critic];
    const size_t rows = batch->rows;
    const float *reward = algorithm->reward + critic / algorithm->config.critics * rows;
    const terms of = {reward,           algorithm->keep,    algorithm->discount,
                      algorithm->shift, algorithm->literal, batch->weight};
    own->ahead = (mtf_ahead){net->weights, net->weights + mlp->size};
    mtf_mlp_forward(mlp, net->target, rows, algorithm->x_next, algorithm->ldx, &own->space, own->dq,
                    1);
    own->ahead = (mtf_ahead){net->m, net->v + mlp->size}; /* one behind the other */
    mtf_mlp_forward(mlp, net->weights, rows, algorithm->x_data, algorithm->ldx, &own->space, own->q,
                    1);
    losses(own->q, own->dq, &of, rows);
    result->loss = mtf_sum(own->q, rows);
    mtf_mlp_backward(mlp, net->weights, rows, algorithm->x_data, algorithm->ldx, &own->space,
                     own->dq, own->gradient);
    result->gradient_norm = sqrt(mtf_sum_squares(own->gradient, mlp->size));
}

void mtf_critic_update(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const size_t size = algorithm->critic_mlp.size;
    const mtf_net *net = &algorithm->critics[critic];
    const double norm = algorithm->results[critic].gradient_norm;
    mtf_adam_step(net->weights, net->m, net->v, algorithm->workers[worker].gradient, size,
                  algorithm->critic_rate, mtf_clip_factor(norm, config->critic_clip),
                  algorithm->critic_t);
    if (mtf_integrated_targets_due(algorithm)) {
        mtf_approach(net->target, net->weights, (float)config->soft_update, size);
    }
}

void mtf_critic_policy(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker)
{
    const mtf_mlp *mlp = &algorithm->critic_mlp;
    const float *weights = algorithm->critics[critic].weights;
    const mtf_mlp_space *space = &algorithm->workers[worker].space;
    const size_t rows = algorithm->batch->rows, actions = algorithm->config.action_dim;
    float *q = algorithm->q_policy + critic * rows;
    /* This worker's next critic, if the others are as fast. */
    const uint32_t next = critic + algorithm->config.threads;
    if (next < algorithm->critic_count) {
        const float *target = algorithm->critics[next].target;
        algorithm->workers[worker].ahead = (mtf_ahead){target, target + mlp->size};
    }
    mtf_mlp_forward(mlp, weights, rows, algorithm->x_policy, algorithm->ldx, space, q, 1);
    mtf_mlp_slope(mlp, weights, rows, space, algorithm->config.state_dim, actions,
                  algorithm->slope + critic * rows * actions);
    algorithm->results[critic].q_abs_max = (double)mtf_abs_max(q, rows);
}
