/* The parts that the steps of the learners to compare with are made of. */
#include "learner/adam.h"
#include "learner/box.h"
#include "learner/kernels.h"
#include "learner/rival.h"

#include <math.h>
#include <string.h>

#define DRAWS_KEY    0x6d74667269766c73u /* apart from the draws of weights and of the feed */
#define USES         8
#define CRITIC_COUNT 2

mtf_status mtf_rival_begin(mtf_algorithm *rival, const mtf_batch *batch, mtf_err *err)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_status status = mtf_algorithm_check_batch(config, batch, err);
    if (status != MTF_OK) return status;
    rival->denormals = mtf_flush_denormals_begin();
    rival->batch = batch;
    rival->decay = mtf_cosine_rate(1.0, config->lr_final, rival->step, config->steps);
    mtf_rival_fill(rival, rival->x_data, batch->rows, batch->s, batch->a);
    mtf_rival_fill(rival, rival->x_next, batch->rows, batch->s2, NULL);
    mtf_rival_fill(rival, rival->x_policy, batch->rows, batch->s, NULL);
    return MTF_OK;
}

void mtf_rival_fill(const mtf_algorithm *rival, float *x, size_t rows, const float *s,
                    const float *a)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    for (size_t b = 0; b < rows; b++, x += rival->ldx) {
        if (s) memcpy(x, s + b * states, states * sizeof *x);
        if (a) memcpy(x + states, a + b * actions, actions * sizeof *x);
    }
}

mtf_rng mtf_rival_draws(const mtf_algorithm *rival, uint32_t use)
{
    MTF_ASSERT(use < USES);
    return mtf_rng_of(rival->seed ^ DRAWS_KEY, rival->taken * USES + use);
}

void mtf_rival_normals(mtf_rng *rng, float *out, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        const float radius = sqrtf(-2.0f * logf((float)(1.0 - mtf_rng_uniform(rng))));
        const float angle = 6.2831853f * (float)mtf_rng_uniform(rng);
        out[i] = radius * cosf(angle);
        if (i + 1 < count) out[i + 1] = radius * sinf(angle);
    }
}

void mtf_rival_forward(mtf_algorithm *rival, uint32_t index, bool target, size_t rows,
                       const float *x, size_t ldx, float *y)
{
    const mtf_rival_net *net = &rival->nets[index];
    MTF_ASSERT(rows <= net->shape.rows);
    mtf_mlp_forward(&net->mlp, target ? net->net.target : net->net.weights, rows, x, ldx,
                    &net->space, y, net->mlp.outputs);
}

void mtf_rival_act_at(mtf_algorithm *rival, bool target, float *x, float *scratch)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    const size_t rows = rival->batch->rows;
    mtf_rival_forward(rival, MTF_RIVAL_ACTOR, target, rows, x, rival->ldx, scratch);
    for (size_t b = 0; b < rows; b++) {
        for (size_t d = 0; d < actions; d++)
            x[b * rival->ldx + states + d] = tanhf(scratch[b * actions + d]);
    }
}

typedef struct critics_call {
    mtf_algorithm *rival;
    const float *x;
    float *const *q;
    size_t rows;
    uint32_t slopes;
    bool target;
} critics_call;

static void critic_item(void *arg, uint32_t item, uint32_t worker)
{
    const critics_call *call = arg;
    (void)worker;
    mtf_rival_forward(call->rival, item, call->target, call->rows, call->x, call->rival->ldx,
                      call->q[item]);
}

void mtf_rival_critics(mtf_algorithm *rival, bool target, size_t rows, const float *x,
                       float *const q[2])
{
    critics_call call = {.rival = rival, .x = x, .q = q, .rows = rows, .target = target};
    mtf_pool_run(rival->pool, CRITIC_COUNT, critic_item, &call);
}

void mtf_rival_bootstrap(mtf_algorithm *rival, const float *next)
{
    const mtf_batch *batch = rival->batch;
    for (size_t b = 0; b < batch->rows; b++) {
        const float keep = batch->done[b] != 0.0f ? 0.0f : (float)rival->config.gamma;
        rival->y[b] = (float)((double)batch->r[b] / rival->reward_scale) + keep * next[b];
    }
}

static void regress_item(void *arg, uint32_t item, uint32_t worker)
{
    mtf_algorithm *rival = arg;
    const mtf_batch *batch = rival->batch;
    const mtf_algorithm_config *config = &rival->config;
    mtf_rival_net *net = &rival->nets[item];
    float *q = rival->q[item], *dq = rival->dq[item];
    const float share = 1.0f / (float)batch->rows;
    double loss = 0.0;
    (void)worker;
    mtf_rival_forward(rival, item, false, batch->rows, rival->x_data, rival->ldx, q);
    for (size_t b = 0; b < batch->rows; b++) {
        const float miss = q[b] - rival->y[b], weight = batch->weight[b] * share;
        loss += (double)(weight * miss * miss);
        dq[b] = 2.0f * weight * miss;
    }
    mtf_mlp_backward(&net->mlp, net->net.weights, batch->rows, rival->x_data, rival->ldx,
                     &net->space, dq, net->gradient);
    net->loss = loss;
    mtf_rival_update(rival, item, config->critic_lr, config->critic_clip);
}

void mtf_rival_regress(mtf_algorithm *rival)
{
    mtf_pool_run(rival->pool, CRITIC_COUNT, regress_item, rival);
}

static void judge_item(void *arg, uint32_t item, uint32_t worker)
{
    const critics_call *call = arg;
    mtf_algorithm *rival = call->rival;
    const mtf_rival_net *net = &rival->nets[item];
    const size_t rows = rival->batch->rows, states = rival->config.state_dim;
    (void)worker;
    if (item < call->slopes)
        mtf_mlp_slope(&net->mlp, net->net.weights, rows, rival->x_policy, rival->ldx, &net->space,
                      rival->q[item], states, rival->config.action_dim, rival->slope[item]);
    else
        mtf_rival_forward(rival, item, false, rows, rival->x_policy, rival->ldx, rival->q[item]);
}

void mtf_rival_judge(mtf_algorithm *rival, uint32_t slopes)
{
    critics_call call = {.rival = rival, .slopes = slopes};
    mtf_pool_run(rival->pool, CRITIC_COUNT, judge_item, &call);
}

void mtf_rival_update(mtf_algorithm *rival, uint32_t index, double rate, double clip)
{
    mtf_rival_net *net = &rival->nets[index];
    const size_t size = net->mlp.size;
    net->norm = sqrt(mtf_sum_squares(net->gradient, size));
    mtf_adam_step(net->net.weights, net->net.m, net->net.v, net->gradient, size,
                  rate * rival->decay, mtf_clip_factor(net->norm, clip), ++net->t);
}

double mtf_rival_update_loose(mtf_algorithm *rival, double rate, double clip)
{
    const size_t count = rival->loose_count;
    const double norm = sqrt(mtf_sum_squares(rival->loose_gradient, count));
    mtf_adam_step(rival->loose.weights, rival->loose.m, rival->loose.v, rival->loose_gradient,
                  count, rate * rival->decay, mtf_clip_factor(norm, clip), ++rival->loose_t);
    return norm;
}

/* What the box says of the policy's actions: sum of d; dimensions outside, and of non-zero width.
 */
static double measure_box(const mtf_algorithm *rival, uint32_t *outside, uint32_t *open)
{
    const mtf_batch *batch = rival->batch;
    const mtf_algorithm_config *config = &rival->config;
    double penalty = 0.0;
    for (size_t b = 0; b < batch->rows; b++) {
        const size_t at = b * config->action_dim;
        const mtf_box box = {config->action_dim, (float)config->beta, batch->bp + at,
                             batch->lower + at, batch->upper + at};
        penalty += (double)mtf_box_penalty(&box, (int)config->penalty,
                                           rival->x_policy + b * rival->ldx + config->state_dim,
                                           NULL, outside, open);
    }
    return penalty;
}

static void measure(const mtf_algorithm *rival, mtf_step_metrics *metrics)
{
    const mtf_rival_net *q1 = &rival->nets[MTF_RIVAL_Q1], *q2 = &rival->nets[MTF_RIVAL_Q2];
    const mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    const double rows = (double)rival->batch->rows, scale = rival->reward_scale;
    double mean = 0.0, largest = 0.0, spread = 0.0, sum = 0.0;
    uint32_t outside = 0, open = 0;
    for (size_t b = 0; b < rival->batch->rows; b++) {
        const double one = (double)rival->q[0][b], two = (double)rival->q[1][b];
        mean += 0.5 * (one + two);
        spread += 0.5 * fabs(one - two); /* the standard deviation of two */
        largest = fmax(largest, fmax(fabs(one), fabs(two)));
    }
    for (uint32_t i = 0; i < rival->net_count; i++)
        sum += rival->nets[i].loss + rival->nets[i].norm;
    const double penalty = measure_box(rival, &outside, &open);
    *metrics = (mtf_step_metrics){
        .critic_loss = (q1->loss + q2->loss) * scale * scale,
        .actor_loss = actor->loss,
        .q_mean = mean / rows * scale,
        .q_abs_max = largest * scale,
        .critic_spread = spread / rows * scale,
        .penalty = penalty / rows,
        .phi_mean = 1.0, /* nothing is taken off the bootstrap */
        .outside = open > 0 ? (double)outside / open : 0.0,
        .actor_grad_norm = actor->norm,
        .critic_grad_norm = fmax(q1->norm, q2->norm),
        .finite = isfinite(sum) && isfinite(mean),
    };
}

void mtf_rival_finish(mtf_algorithm *rival, uint32_t count, mtf_step_metrics *metrics)
{
    const mtf_algorithm_config *config = &rival->config;
    rival->step++;
    rival->taken++;
    for (uint32_t i = 0; i < count && rival->step % config->target_every == 0; i++) {
        mtf_rival_net *net = &rival->nets[i];
        mtf_approach(net->net.target, net->net.weights, (float)config->soft_update, net->mlp.size);
    }
    measure(rival, metrics);
    rival->batch = NULL;
    mtf_flush_denormals_end(rival->denormals);
}
