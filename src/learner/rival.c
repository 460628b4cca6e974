/* Memory of the learners to compare with, and how they act, value and are exported. */
#include "learner/rival.h"

#include "learner/kernels.h"

#include <stdlib.h>
#include <string.h>

static mtf_status check(const mtf_algorithm_config *config, mtf_err *err)
{
    const mtf_algorithm_rule rules[] = {
        {"state dimension", config->state_dim, 1, 65536},
        {"action dimension", config->action_dim, 1, 1024},
        {"learner.hidden", config->hidden, 1, 8192},
        {"learner.batch", config->batch, 1, 1 << 20},
        {"learner.target_every", config->target_every, 1, UINT32_MAX},
        {"learner.steps", (double)config->steps, 1, 1e15},
        {"learner.gamma", config->gamma, 0, 1},
        {"learner.beta", config->beta, 1e-6, 1e6},
        {"learner.soft_update", config->soft_update, 0, 1},
        {"learner.actor_lr", config->actor_lr, 0, 10},
        {"learner.critic_lr", config->critic_lr, 0, 10},
        {"learner.lr_final", config->lr_final, 0, 1},
        {"learner.actor_clip", config->actor_clip, 0, 1e30},
        {"learner.critic_clip", config->critic_clip, 0, 1e30},
    };
    return mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
}

static void carve_all(mtf_algorithm *rival, const mtf_rival_plan *plan, mtf_carver *from)
{
    const size_t rows = rival->config.batch, actions = rival->config.action_dim;
    float **const inputs[] = {&rival->x_data, &rival->x_next, &rival->x_policy};
    for (uint32_t i = 0; i < rival->net_count; i++) {
        mtf_rival_net *net = &rival->nets[i];
        mtf_carve_net(from, net->mlp.size, &net->net);
        mtf_carve_space(from, net->shape.rows, &net->mlp, &net->space);
        net->gradient = mtf_carve(from, net->mlp.size);
    }
    rival->loose.weights = mtf_carve(from, plan->loose);
    rival->loose.m = mtf_carve(from, plan->loose);
    rival->loose.v = mtf_carve(from, plan->loose);
    rival->loose_gradient = mtf_carve(from, plan->loose);
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        *inputs[i] = mtf_carve(from, rows * rival->ldx);
    for (size_t i = 0; i < 2; i++) {
        rival->q[i] = mtf_carve(from, rows);
        rival->dq[i] = mtf_carve(from, rows);
        rival->slope[i] = mtf_carve(from, rows * actions);
    }
    rival->y = mtf_carve(from, rows);
    for (size_t i = 0; i < MTF_RIVAL_SCRATCH_MAX; i++)
        rival->scratch[i] = mtf_carve(from, plan->scratch[i]);
}

static bool take_memory(mtf_algorithm *rival, const mtf_rival_plan *plan)
{
    mtf_carver from = {0};
    carve_all(rival, plan, &from);
    rival->block = mtf_carver_block(&from);
    if (rival->block == NULL) return false;
    from = (mtf_carver){rival->block, 0};
    carve_all(rival, plan, &from);
    return true;
}

static void lay_out(mtf_algorithm *rival, const mtf_rival_plan *plan)
{
    const mtf_algorithm_config *config = &rival->config;
    rival->net_count = plan->net_count;
    rival->loose_count = plan->loose;
    rival->ldx = mtf_rival_ldx(config);
    for (uint32_t i = 0; i < plan->net_count; i++) {
        mtf_rival_net *net = &rival->nets[i];
        net->shape = plan->nets[i];
        MTF_ASSERT(net->shape.rows >= config->batch);
        mtf_mlp_layout(&net->mlp, net->shape.inputs, config->hidden, net->shape.outputs);
        if (config->gemm && net->shape.value) net->mlp.gemm = config->gemm;
    }
}

void mtf_rival_close(mtf_algorithm *rival)
{
    if (rival == NULL) return;
    mtf_pool_free(rival->pool);
    free(rival->block);
    free(rival);
}

mtf_status mtf_rival_open(const mtf_algorithm_ops *ops, const mtf_rival_plan *plan,
                          const mtf_algorithm_config *config, mtf_algorithm **out, mtf_err *err)
{
    *out = NULL;
    mtf_status status = check(config, err);
    if (status != MTF_OK) return status;
    mtf_algorithm *rival = calloc(1, sizeof *rival);
    if (rival == NULL) goto no_memory;
    rival->config = *config;
    rival->ops = ops;
    lay_out(rival, plan);
    mtf_matmul_one_thread();
    status = mtf_pool_new(&rival->pool, config->threads, err);
    if (status != MTF_OK) {
        mtf_rival_close(rival);
        return status;
    }
    if (!take_memory(rival, plan)) goto no_memory;
    rival->seed = config->seed;
    rival->reward_scale = 1.0;
    mtf_rival_reinit(rival, config->seed, true, true);
    *out = rival;
    return MTF_OK;
no_memory:
    mtf_rival_close(rival);
    return mtf_fail(err, MTF_NOMEM,
                    "no memory for %s, batch %u, width %u: lower learner.batch or learner.hidden",
                    ops->name, config->batch, config->hidden);
}

void mtf_rival_act(mtf_algorithm *rival, size_t rows, const float *s, float *a)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    mtf_mlp mean = actor->mlp; /* the same network with its first outputs alone */
    mean.outputs = (uint32_t)actions;
    const unsigned before = mtf_flush_denormals_begin();
    for (size_t done = 0; done < rows;) {
        const size_t some = rows - done < rival->config.batch ? rows - done : rival->config.batch;
        float *out = a + done * actions;
        mtf_mlp_forward(&mean, actor->net.weights, some, s + done * states, states, &actor->space,
                        out, actions);
        mtf_tanh(out, actions, some, actions);
        done += some;
    }
    mtf_flush_denormals_end(before);
}

void mtf_rival_value(mtf_algorithm *rival, size_t rows, const float *s, const float *a, float *q)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    const unsigned before = mtf_flush_denormals_begin();
    for (size_t done = 0; done < rows;) {
        const size_t some = rows - done < rival->config.batch ? rows - done : rival->config.batch;
        mtf_rival_fill(rival, rival->x_data, some, s + done * states, a + done * actions);
        mtf_rival_critics(rival, false, some, rival->x_data, rival->q);
        for (size_t b = 0; b < some; b++) {
            const double sum = (double)rival->q[0][b] + (double)rival->q[1][b];
            q[done + b] = (float)(0.5 * sum * rival->reward_scale);
        }
        done += some;
    }
    mtf_flush_denormals_end(before);
}

uint32_t mtf_rival_actor(const mtf_algorithm *rival, uint32_t widths[5], const float *weights[4],
                         const float *biases[4])
{
    const mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    return mtf_net_layers(&actor->mlp, &actor->net, rival->config.action_dim, widths, weights,
                          biases);
}

mtf_status mtf_rival_set_actor(mtf_algorithm *rival, uint32_t layers, const uint32_t *widths,
                               const float *const *weights, const float *const *biases,
                               mtf_err *err)
{
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    const mtf_status status = mtf_net_set_layers(&actor->mlp, &actor->net, rival->config.action_dim,
                                                 layers, widths, weights, biases, err);
    if (status == MTF_OK) actor->t = 0;
    return status;
}
