#include "learner/integrated.h"

#include "learner/adam.h"
#include "learner/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ROWS_MIN 64 /* below, a matrix product is mostly overhead */
#define CHUNKS_MAX     8
#define ALIGN_FLOATS   16

/* The settings that must hold for the arithmetic to make sense. */
static mtf_status check(const mtf_algorithm_config *config, mtf_err *err)
{
    const mtf_algorithm_rule rules[] = {
        {"state dimension", config->state_dim, 1, 65536},
        {"action dimension", config->action_dim, 1, 65536},
        {"learner.hidden", config->hidden, 1, 8192},
        {"learner.critics", config->critics, 1, 1024},
        {"groups of reward.groups", config->groups, 0, MTF_GROUPS_MAX},
        {"policy.list", config->list, 0, 1024},
        {"learner.batch", config->batch, 1, 1 << 20},
        {"learner.target_every", config->target_every, 1, UINT32_MAX},
        {"learner.steps", (double)config->steps, 1, 1e15},
        {"learner.gamma", config->gamma, 0, 1},
        {"learner.eta", config->eta, 0, 1e9},
        {"learner.beta", config->beta, 1e-6, 1e6},
        {"learner.lambda", config->lambda, 0, 1e9},
        {"learner.delta", config->delta, 0, 1e9},
        {"learner.soft_update", config->soft_update, 0, 1},
        {"learner.actor_lr", config->actor_lr, 0, 10},
        {"learner.critic_lr", config->critic_lr, 0, 10},
        {"learner.lr_final", config->lr_final, 0, 1},
        {"learner.actor_clip", config->actor_clip, 0, 1e30},
        {"learner.critic_clip", config->critic_clip, 0, 1e30},
        {"learner.penalty", config->penalty, MTF_PENALTY_EXPM1, MTF_PENALTY_NONE},
        {"learner.target", config->target, MTF_TARGET_DISCOUNT, MTF_TARGET_CLIP},
    };
    const uint64_t shared = (uint64_t)config->list * (config->item_dim + (uint64_t)1);
    if (config->list && (config->state_dim < shared || config->action_dim % config->list != 0))
        return mtf_fail(err, MTF_INVALID,
                        "lists of %u items of %u floats do not fit states of %u and actions of %u",
                        config->list, config->item_dim, config->state_dim, config->action_dim);
    const mtf_status status = mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
    for (uint32_t g = 0; status == MTF_OK && g < config->groups; g++) {
        const mtf_algorithm_rule rule = {"a weight of reward.groups", config->group_weights[g], 0,
                                         1e9};
        const mtf_status bad = mtf_algorithm_check(&rule, 1, err);
        if (bad != MTF_OK) return bad;
    }
    return status;
}

static void carve_all(mtf_algorithm *algorithm, mtf_carver *from)
{
    const size_t m = algorithm->critic_count;
    const size_t rows = (size_t)algorithm->config.batch * algorithm->items;
    const size_t actions = algorithm->actions;
    float **const inputs[] = {&algorithm->x_data, &algorithm->x_next, &algorithm->x_policy};
    float **const columns[] = {&algorithm->there,    &algorithm->there_next, &algorithm->keep,
                               &algorithm->discount, &algorithm->shift,      &algorithm->phi,
                               &algorithm->literal,  &algorithm->penalty};
    float **const grouped[] = {&algorithm->reward, &algorithm->q_mean, &algorithm->q_std};
    mtf_carve_net(from, algorithm->actor_mlp.size, &algorithm->actor);
    for (size_t i = 0; i < m; i++) {
        mtf_carve_net(from, algorithm->critic_mlp.size, &algorithm->critics[i]);
    }
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        *inputs[i] = mtf_carve(from, rows * algorithm->ldx);
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        *columns[i] = mtf_carve(from, rows);
    }
    for (size_t i = 0; i < sizeof grouped / sizeof grouped[0]; i++) {
        *grouped[i] = mtf_carve(from, algorithm->groups * rows);
    }
    mtf_carve_space(from, rows, &algorithm->actor_mlp, &algorithm->actor_space);
    algorithm->q_policy = mtf_carve(from, m * rows);
    algorithm->slope = mtf_carve(from, m * rows * actions);
    algorithm->coefficient = mtf_carve(from, m * rows);
    algorithm->penalty_slope = mtf_carve(from, rows * actions);
    algorithm->d_action = mtf_carve(from, rows * actions);
    algorithm->actor_gradients =
        mtf_carve(from, algorithm->chunk_count * algorithm->actor_mlp.size);
    for (uint32_t t = 0; t < algorithm->config.threads; t++) {
        mtf_worker_space *worker = &algorithm->workers[t];
        mtf_carve_space(from, rows, &algorithm->critic_mlp, &worker->space);
        worker->space.ahead = &worker->ahead;
        worker->q = mtf_carve(from, rows);
        worker->dq = mtf_carve(from, rows);
        worker->gradient = mtf_carve(from, algorithm->critic_mlp.size);
    }
}

static bool take_memory(mtf_algorithm *algorithm)
{
    const size_t m = algorithm->critic_count;
    const size_t rows = (size_t)algorithm->config.batch * algorithm->items;
    algorithm->critics = calloc(m, sizeof *algorithm->critics);
    algorithm->results = calloc(m, sizeof *algorithm->results);
    algorithm->workers = calloc(algorithm->config.threads, sizeof *algorithm->workers);
    algorithm->outside = calloc(rows, sizeof *algorithm->outside);
    algorithm->open = calloc(rows, sizeof *algorithm->open);
    if (algorithm->critics == NULL || algorithm->results == NULL || algorithm->workers == NULL ||
        algorithm->outside == NULL || algorithm->open == NULL) {
        return false;
    }
    mtf_carver from = {0};
    carve_all(algorithm, &from);
    algorithm->block = mtf_carver_block(&from);
    if (algorithm->block == NULL) return false;
    from = (mtf_carver){algorithm->block, 0};
    carve_all(algorithm, &from);
    return true;
}

void mtf_integrated_close(mtf_algorithm *algorithm)
{
    if (algorithm == NULL) return;
    mtf_pool_free(algorithm->pool);
    free(algorithm->block);
    free(algorithm->critics);
    free(algorithm->results);
    free(algorithm->workers);
    free(algorithm->outside);
    free(algorithm->open);
    free(algorithm);
}

/* How many there are of what. */
static void lay_out(mtf_algorithm *algorithm)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const uint32_t list = config->list;
    algorithm->groups = config->groups ? config->groups : 1;
    algorithm->critic_count = algorithm->groups * config->critics;
    algorithm->items = list ? list : 1;
    algorithm->user_dim = config->state_dim - list * (config->item_dim + 1);
    algorithm->states = algorithm->user_dim + (list ? config->item_dim : 0);
    algorithm->actions = config->action_dim / algorithm->items;
}

mtf_status mtf_integrated_open(const mtf_algorithm_config *config, mtf_algorithm **out,
                               mtf_err *err)
{
    *out = NULL;
    mtf_status status = check(config, err);
    if (status != MTF_OK) return status;
    mtf_algorithm *algorithm = calloc(1, sizeof *algorithm);
    if (algorithm == NULL) goto no_memory;
    algorithm->config = *config;
    lay_out(algorithm);
    const uint32_t input_dim = algorithm->states + algorithm->actions;
    mtf_mlp_layout(&algorithm->actor_mlp, algorithm->states, config->hidden, algorithm->actions);
    mtf_mlp_layout(&algorithm->critic_mlp, input_dim, config->hidden, 1);
    if (config->gemm) algorithm->critic_mlp.gemm = config->gemm;
    algorithm->ldx = (input_dim + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    const size_t even = (config->batch + CHUNKS_MAX - 1) / CHUNKS_MAX;
    algorithm->chunk_rows = even > CHUNK_ROWS_MIN ? even : CHUNK_ROWS_MIN;
    algorithm->chunk_count =
        (uint32_t)((config->batch + algorithm->chunk_rows - 1) / algorithm->chunk_rows);
    mtf_matmul_one_thread();
    status = mtf_pool_new(&algorithm->pool, config->threads, err);
    if (status != MTF_OK) {
        mtf_integrated_close(algorithm);
        return status;
    }
    if (!take_memory(algorithm)) goto no_memory;
    mtf_integrated_reinit(algorithm, config->seed, true, true);
    algorithm->reward_scale = 1.0;
    for (uint32_t g = 0; g < algorithm->groups; g++) algorithm->group_scales[g] = 1.0;
    *out = algorithm;
    return MTF_OK;
no_memory:
    mtf_integrated_close(algorithm);
    return mtf_fail(err, MTF_NOMEM, "no memory for %u critics of width %u: lower learner.critics",
                    config->critics * (config->groups ? config->groups : 1), config->hidden);
}

static void prepare_item(void *arg, uint32_t item, uint32_t worker)
{
    (void)worker;
    mtf_integrated_prepare(arg, item);
}

static void critic_item(void *arg, uint32_t item, uint32_t worker)
{
    mtf_critic_gradient(arg, item, worker);
    mtf_critic_update(arg, item, worker);
    mtf_critic_policy(arg, item, worker);
}

static void actor_item(void *arg, uint32_t item, uint32_t worker)
{
    (void)worker;
    mtf_actor_gradient(arg, item);
}

bool mtf_integrated_targets_due(const mtf_algorithm *algorithm)
{
    return (algorithm->step + 1) % algorithm->config.target_every == 0;
}

mtf_status mtf_integrated_step(mtf_algorithm *algorithm, const mtf_batch *batch,
                               mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const mtf_status status = mtf_algorithm_check_batch(config, batch, err);
    if (status != MTF_OK) return status;
    if (config->groups && batch->groups != config->groups)
        return mtf_fail(err, MTF_INVALID,
                        "a batch with %u parts of the reward given to a learner with %u groups of "
                        "critics (reward.groups)",
                        batch->groups, config->groups);
    const unsigned before = mtf_flush_denormals_begin();
    algorithm->batch = batch;
    algorithm->actor_rate =
        mtf_cosine_rate(config->actor_lr, config->lr_final, algorithm->step, config->steps);
    algorithm->critic_rate =
        mtf_cosine_rate(config->critic_lr, config->lr_final, algorithm->step, config->steps);
    mtf_pool_run(algorithm->pool, algorithm->chunk_count, prepare_item, algorithm);
    algorithm->critic_t++;
    mtf_pool_run(algorithm->pool, algorithm->critic_count, critic_item, algorithm);
    mtf_pool_run(algorithm->pool, algorithm->chunk_count, actor_item, algorithm);
    mtf_actor_gather(algorithm);
    algorithm->actor_t++;
    mtf_actor_update(algorithm);
    algorithm->step++;
    mtf_integrated_metrics(algorithm, metrics);
    algorithm->batch = NULL;
    mtf_flush_denormals_end(before);
    return MTF_OK;
}

void mtf_integrated_act(mtf_algorithm *algorithm, size_t rows, const float *s, float *a)
{
    const size_t states = algorithm->config.state_dim, actions = algorithm->actions;
    const size_t items = algorithm->items;
    const unsigned before = mtf_flush_denormals_begin();
    for (size_t done = 0; done < rows;) {
        const size_t some =
            rows - done < algorithm->config.batch ? rows - done : algorithm->config.batch;
        for (size_t k = 0; algorithm->config.list && k < some * items; k++)
            mtf_item_state(algorithm, s + (done + k / items) * states, (uint32_t)(k % items),
                           algorithm->x_policy + k * algorithm->ldx);
        size_t ld;
        const float *in =
            mtf_actor_inputs(algorithm, s + done * states, algorithm->x_policy, 0, &ld);
        mtf_integrated_mu(algorithm, algorithm->actor.weights, some * items, in, ld,
                          &algorithm->actor_space, a + done * items * actions, actions);
        done += some;
    }
    mtf_flush_denormals_end(before);
}

static void value_item(void *arg, uint32_t item, uint32_t worker)
{
    const mtf_algorithm *algorithm = arg;
    const size_t rows = algorithm->value_rows * algorithm->items;
    mtf_mlp_value(&algorithm->critic_mlp, algorithm->critics[item].weights, rows, algorithm->x_data,
                  algorithm->ldx, &algorithm->workers[worker].space,
                  algorithm->q_policy + item * rows);
}

/* The value of the whole reward of row b of q_policy, in reward units. */
static double whole_value(const mtf_algorithm *algorithm, size_t b)
{
    const uint32_t m = algorithm->config.critics;
    const size_t items = algorithm->items, rows = algorithm->value_rows * items;
    double value = 0.0;
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        double sum = 0.0;
        for (uint32_t i = g * m; i < (g + 1) * m; i++) {
            for (size_t k = b * items; k < (b + 1) * items; k++)
                sum += (double)algorithm->there[k] * (double)algorithm->q_policy[i * rows + k];
        }
        value += sum / m * algorithm->group_scales[g];
    }
    return value;
}

/* q (rows,) of one piece of at most a batch. */
static void value_piece(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a,
                        float *q)
{
    const size_t items = algorithm->items, actions = algorithm->actions;
    for (size_t k = 0; k < rows * items; k++) {
        float *row = algorithm->x_data + k * algorithm->ldx;
        algorithm->there[k] = mtf_item_state(algorithm, s + k / items * algorithm->config.state_dim,
                                             (uint32_t)(k % items), row);
        memcpy(row + algorithm->states, a + k * actions, actions * sizeof *row);
    }
    algorithm->value_rows = rows;
    mtf_pool_run(algorithm->pool, algorithm->critic_count, value_item, algorithm);
    for (size_t b = 0; b < rows; b++) q[b] = (float)whole_value(algorithm, b);
}

void mtf_integrated_value(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a,
                          float *q)
{
    const size_t states = algorithm->config.state_dim, actions = algorithm->config.action_dim;
    const unsigned before = mtf_flush_denormals_begin();
    for (size_t done = 0; done < rows;) {
        const size_t some =
            rows - done < algorithm->config.batch ? rows - done : algorithm->config.batch;
        value_piece(algorithm, some, s + done * states, a + done * actions, q + done);
        done += some;
    }
    mtf_flush_denormals_end(before);
}

uint32_t mtf_integrated_actor(const mtf_algorithm *algorithm, uint32_t widths[5],
                              const float *weights[4], const float *biases[4])
{
    return mtf_net_layers(&algorithm->actor_mlp, &algorithm->actor, algorithm->actions, widths,
                          weights, biases);
}

/* DDPG (Lillicrap et al., arXiv:1509.02971): one critic, nothing of the box, nothing of
 * disagreement. */
static void ddpg_configure(mtf_algorithm_config *config)
{
    config->critics = 1;
    config->groups = 0;
    config->eta = config->lambda = config->delta = 0.0;
    config->penalty = MTF_PENALTY_NONE;
    config->target = MTF_TARGET_LITERAL;
}

/* Without lists. */
static mtf_status plain_open(const mtf_algorithm_config *config, mtf_algorithm **out, mtf_err *err)
{
    *out = NULL;
    if (config->list > 0)
        return mtf_fail(err, MTF_INVALID,
                        "the learner takes one action a request: set policy.list to 0, or "
                        "learner.algorithm to enhanced");
    return mtf_integrated_open(config, out, err);
}

static mtf_status ddpg_open(const mtf_algorithm_config *config, mtf_algorithm **out, mtf_err *err)
{
    mtf_algorithm_config own = *config;
    ddpg_configure(&own);
    return plain_open(&own, out, err);
}

static mtf_status ddpg_step(mtf_algorithm *algorithm, const mtf_batch *batch,
                            mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_status status = mtf_integrated_step(algorithm, batch, metrics, err);
    if (status == MTF_OK) metrics->phi_mean = 1.0; /* nothing is taken off the bootstrap */
    return status;
}

// clang-format off
#define SHARED                                                                                     \
    .close = mtf_integrated_close, .begin_round = mtf_integrated_begin_round, .act = mtf_integrated_act,   \
    .value = mtf_integrated_value, .save = mtf_integrated_save, .load = mtf_integrated_load,           \
    .actor = mtf_integrated_actor, .set_actor = mtf_integrated_set_actor,                              \
    .reinit = mtf_integrated_reinit
// clang-format on

const mtf_algorithm_ops mtf_integrated_ops = {.name = "integrated",
                                              .open = plain_open,
                                              .scale_groups = mtf_integrated_scale_groups,
                                              .step = mtf_integrated_step,
                                              SHARED};
const mtf_algorithm_ops mtf_ddpg_ops = {
    .name = "ddpg", .configure = ddpg_configure, .open = ddpg_open, .step = ddpg_step, SHARED};
