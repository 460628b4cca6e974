/* Formula 6: what a critic is trained on, and the critic's part of a step. */
#include "learner/adam.h"
#include "learner/clones.h"
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

float mtf_item_state(const mtf_algorithm *algorithm, const float *s, uint32_t j, float *x)
{
    const size_t user = algorithm->user_dim, list = algorithm->config.list;
    const size_t own = algorithm->config.item_dim;
    memcpy(x, s, user * sizeof *x);
    if (list == 0) return 1.0f;
    memcpy(x + user, s + user + list + j * own, own * sizeof *x);
    return s[user + j] != 0.0f ? 1.0f : 0.0f;
}

const float *mtf_actor_inputs(const mtf_algorithm *algorithm, const float *s, const float *x,
                              size_t first, size_t *ld)
{
    const bool alone = algorithm->config.list == 0;
    *ld = alone ? algorithm->states : algorithm->ldx;
    return (alone ? s : x) + first * *ld;
}

/* The inputs of row b's items, but the actor's actions. */
static void fill_row(mtf_algorithm *algorithm, size_t b)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t ldx = algorithm->ldx, states = algorithm->states, actions = algorithm->actions;
    const float *s = batch->s + b * batch->state_dim, *s2 = batch->s2 + b * batch->state_dim;
    for (uint32_t j = 0; j < algorithm->items; j++) {
        const size_t k = b * algorithm->items + j;
        float *data = algorithm->x_data + k * ldx;
        algorithm->there[k] = mtf_item_state(algorithm, s, j, data);
        memcpy(algorithm->x_policy + k * ldx, data, states * sizeof *data);
        memcpy(data + states, batch->a + k * actions, actions * sizeof *data);
        algorithm->there_next[k] = mtf_item_state(algorithm, s2, j, algorithm->x_next + k * ldx);
    }
}

static void scale_reward(mtf_algorithm *algorithm, size_t b)
{
    const mtf_batch *batch = algorithm->batch;
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        const float part =
            algorithm->config.groups ? batch->parts[b * algorithm->groups + g] : batch->r[b];
        algorithm->reward[g * batch->rows + b] = (float)((double)part / algorithm->group_scales[g]);
    }
    algorithm->keep[b] = batch->done[b] != 0.0f ? 0.0f : (float)algorithm->config.gamma;
    algorithm->literal[b] = 0.0f;
}

/* The target's box terms of item k, at mu'(s') and the box logged at s'. */
static void prepare_target(mtf_algorithm *algorithm, size_t k)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const mtf_batch *batch = algorithm->batch;
    const size_t at = k * algorithm->actions;
    const bool none = batch->done[k / algorithm->items] != 0.0f || algorithm->there_next[k] == 0.0f;
    float *action = algorithm->x_next + k * algorithm->ldx + algorithm->states;
    const mtf_box box = {algorithm->actions, (float)config->beta, batch->bp2 + at,
                         batch->lower2 + at, batch->upper2 + at};
    algorithm->phi[k] = none ? 1.0f : mtf_box_phi(&box, action);
    algorithm->discount[k] = config->target == MTF_TARGET_DISCOUNT ? algorithm->phi[k] : 1.0f;
    algorithm->shift[k] = 0.0f;
    if (none) return;
    if (config->target == MTF_TARGET_ADDITIVE) {
        algorithm->shift[k] = (float)config->delta * mtf_box_loss(&box, action);
    } else if (config->target == MTF_TARGET_LITERAL) {
        algorithm->literal[k / algorithm->items] +=
            (float)config->delta *
            mtf_box_penalty(&box, (int)config->penalty, action, NULL, NULL, NULL);
    } else if (config->target == MTF_TARGET_CLIP) {
        mtf_box_clamp(&box, action);
    }
}

void mtf_integrated_prepare(mtf_algorithm *algorithm, uint32_t chunk)
{
    const mtf_batch *batch = algorithm->batch;
    const size_t states = algorithm->states, ldx = algorithm->ldx, items = algorithm->items;
    const size_t from = chunk * algorithm->chunk_rows, left = batch->rows - from;
    const size_t rows = left < algorithm->chunk_rows ? left : algorithm->chunk_rows;
    const size_t first = from * items, count = rows * items; /* in items */
    const mtf_mlp_space space = mtf_actor_space(algorithm, first);
    for (size_t b = from; b < from + rows; b++) {
        fill_row(algorithm, b);
        scale_reward(algorithm, b);
    }
    size_t ld;
    const float *next = mtf_actor_inputs(algorithm, batch->s2, algorithm->x_next, first, &ld);
    mtf_integrated_mu(algorithm, algorithm->actor.target, count, next, ld, &space,
                      algorithm->x_next + first * ldx + states, ldx);
    /* Last, because the actor's backward pass wants these activations. */
    const float *here = mtf_actor_inputs(algorithm, batch->s, algorithm->x_policy, first, &ld);
    mtf_integrated_mu(algorithm, algorithm->actor.weights, count, here, ld, &space,
                      algorithm->x_policy + first * ldx + states, ldx);
    for (size_t k = first; k < first + count; k++) prepare_target(algorithm, k);
}

/* next (count,), Q'_i(s', mu'(s')) of items: in place, what the target takes of it. */
MTF_CLONES static void bootstrap(float *restrict next, const float *discount, const float *shift,
                                 size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const float later = next[k] > 0.0f ? next[k] * discount[k] : next[k];
        next[k] = later - shift[k];
    }
}

/* q (B l,) of items: in place, (B,) its sums over those that are there. */
static void fold(const mtf_algorithm *algorithm, const float *there, float *q)
{
    const size_t items = algorithm->items;
    if (algorithm->config.list == 0) return;
    for (size_t b = 0; b < algorithm->batch->rows; b++) {
        float sum = 0.0f;
        for (size_t k = b * items; k < (b + 1) * items; k++) sum += there[k] * q[k];
        q[b] = sum;
    }
}

/* The other way: dq (B,), slopes along sums, to (B l,), along what was summed. */
static void unfold(const mtf_algorithm *algorithm, const float *there, float *dq)
{
    const size_t items = algorithm->items;
    if (algorithm->config.list == 0) return;
    for (size_t b = algorithm->batch->rows; b-- > 0;) {
        const float slope = dq[b];
        for (size_t k = b * items; k < (b + 1) * items; k++) dq[k] = slope * there[k];
    }
}

/* What a row's loss and its slope need besides its two values. */
typedef struct terms {
    const float *reward, *keep, *literal, *weight;
} terms;

/* From q (B,) = Q_i(s, a) and next (B,), what the target takes of Q'_i(s', mu'(s')): q = the rows'
 * shares of the loss, next = their slopes along Q_i. */
MTF_CLONES static void losses(float *restrict q, float *restrict next, const terms *of, size_t rows)
{
    const terms t = *of;
    const float share = 1.0f / (float)rows;
    for (size_t b = 0; b < rows; b++) {
        const float target = t.reward[b] + t.keep[b] * next[b];
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
    const size_t rows = batch->rows, count = rows * algorithm->items, ldx = algorithm->ldx;
    const float *reward = algorithm->reward + critic / algorithm->config.critics * rows;
    const terms of = {reward, algorithm->keep, algorithm->literal, batch->weight};
    own->ahead = (mtf_ahead){net->weights, net->weights + mlp->size};
    mtf_mlp_value(mlp, net->target, count, algorithm->x_next, ldx, &own->space, own->dq);
    bootstrap(own->dq, algorithm->discount, algorithm->shift, count);
    fold(algorithm, algorithm->there_next, own->dq);
    own->ahead = (mtf_ahead){net->m, net->v + mlp->size}; /* one behind the other */
    mtf_mlp_forward(mlp, net->weights, count, algorithm->x_data, ldx, &own->space, own->q, 1);
    fold(algorithm, algorithm->there, own->q);
    losses(own->q, own->dq, &of, rows);
    result->loss = mtf_sum(own->q, rows);
    unfold(algorithm, algorithm->there, own->dq);
    mtf_mlp_backward(mlp, net->weights, count, algorithm->x_data, ldx, &own->space, own->dq,
                     own->gradient);
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

/* The largest |Q_i| of a row, from q (B l,) of its items; room (B l,). */
static double largest_value(const mtf_algorithm *algorithm, const float *q, float *room)
{
    const size_t rows = algorithm->batch->rows;
    if (algorithm->config.list == 0) return (double)mtf_abs_max(q, rows);
    memcpy(room, q, rows * algorithm->items * sizeof *room);
    fold(algorithm, algorithm->there, room);
    return (double)mtf_abs_max(room, rows);
}

void mtf_critic_policy(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker)
{
    const mtf_mlp *mlp = &algorithm->critic_mlp;
    const float *weights = algorithm->critics[critic].weights;
    mtf_worker_space *own = &algorithm->workers[worker];
    const size_t count = algorithm->batch->rows * algorithm->items, actions = algorithm->actions;
    float *q = algorithm->q_policy + critic * count;
    /* This worker's next critic, if the others are as fast. */
    const uint32_t next = critic + algorithm->config.threads;
    if (next < algorithm->critic_count) {
        const float *target = algorithm->critics[next].target;
        own->ahead = (mtf_ahead){target, target + mlp->size};
    }
    mtf_mlp_slope(mlp, weights, count, algorithm->x_policy, algorithm->ldx, &own->space, q,
                  algorithm->states, actions, algorithm->slope + critic * count * actions);
    algorithm->results[critic].q_abs_max = largest_value(algorithm, q, own->q);
}
