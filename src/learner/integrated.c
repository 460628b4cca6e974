#include "learner/integrated.h"

#include "core/block.h"
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
    const struct {
        const char *name;
        double value, low, high;
    } rules[] = {
        {"state dimension", config->state_dim, 1, 65536},
        {"action dimension", config->action_dim, 1, 1024},
        {"learner.hidden", config->hidden, 1, 8192},
        {"learner.critics", config->critics, 1, 1024},
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
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!(rules[i].value >= rules[i].low && rules[i].value <= rules[i].high)) {
            return mtf_fail(err, MTF_INVALID, "%s is %g: must be within %g and %g", rules[i].name,
                            rules[i].value, rules[i].low, rules[i].high);
        }
    }
    return MTF_OK;
}

/* Hands out consecutive pieces of one block, each on its own cache line; without a block it only
 * counts. */
typedef struct memory {
    float *block;
    size_t used;
} memory;

static float *carve(memory *from, size_t count)
{
    float *piece = from->block == NULL ? NULL : from->block + from->used;
    from->used += (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

static void carve_net(memory *from, size_t size, mtf_net *net)
{
    net->weights = carve(from, size);
    net->target = carve(from, size);
    net->m = carve(from, size);
    net->v = carve(from, size);
}

static void carve_space(memory *from, size_t rows, const mtf_mlp *mlp, mtf_mlp_space *space)
{
    const size_t units = rows * mlp->hidden;
    space->h1 = carve(from, units);
    space->h2 = carve(from, units);
    space->d1 = carve(from, units);
    space->d2 = mlp->outputs == 1 ? NULL : carve(from, units);
}

static void carve_all(mtf_algorithm *algorithm, memory *from)
{
    const size_t m = algorithm->config.critics, rows = algorithm->config.batch;
    const size_t actions = algorithm->config.action_dim;
    float **const inputs[] = {&algorithm->x_data, &algorithm->x_next, &algorithm->x_policy};
    float **const columns[] = {&algorithm->reward,     &algorithm->keep,  &algorithm->discount,
                               &algorithm->shift,      &algorithm->phi,   &algorithm->literal,
                               &algorithm->q_mean,     &algorithm->q_std, &algorithm->penalty,
                               &algorithm->coefficient};
    carve_net(from, algorithm->actor_mlp.size, &algorithm->actor);
    for (size_t i = 0; i < m; i++) {
        carve_net(from, algorithm->critic_mlp.size, &algorithm->critics[i]);
    }
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        *inputs[i] = carve(from, rows * algorithm->ldx);
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        *columns[i] = carve(from, rows);
    }
    carve_space(from, rows, &algorithm->actor_mlp, &algorithm->actor_space);
    algorithm->q_policy = carve(from, m * rows);
    algorithm->slope = carve(from, m * rows * actions);
    algorithm->penalty_slope = carve(from, rows * actions);
    algorithm->d_action = carve(from, rows * actions);
    algorithm->actor_gradients = carve(from, algorithm->chunk_count * algorithm->actor_mlp.size);
    for (uint32_t t = 0; t < algorithm->config.threads; t++) {
        mtf_worker_space *worker = &algorithm->workers[t];
        carve_space(from, rows, &algorithm->critic_mlp, &worker->space);
        worker->space.ahead = &worker->ahead;
        worker->q = carve(from, rows);
        worker->dq = carve(from, rows);
        worker->gradient = carve(from, algorithm->critic_mlp.size);
    }
}

static bool take_memory(mtf_algorithm *algorithm)
{
    const size_t m = algorithm->config.critics, rows = algorithm->config.batch;
    algorithm->critics = calloc(m, sizeof *algorithm->critics);
    algorithm->results = calloc(m, sizeof *algorithm->results);
    algorithm->workers = calloc(algorithm->config.threads, sizeof *algorithm->workers);
    algorithm->outside = calloc(rows, sizeof *algorithm->outside);
    algorithm->open = calloc(rows, sizeof *algorithm->open);
    if (algorithm->critics == NULL || algorithm->results == NULL || algorithm->workers == NULL ||
        algorithm->outside == NULL || algorithm->open == NULL) {
        return false;
    }
    memory from = {0};
    carve_all(algorithm, &from);
    const size_t bytes = from.used * sizeof *algorithm->block;
    algorithm->block = mtf_block_new(bytes);
    if (algorithm->block == NULL) return false;
    memset(algorithm->block, 0, bytes);
    from.block = algorithm->block, from.used = 0;
    carve_all(algorithm, &from);
    return true;
}

static void integrated_close(mtf_algorithm *algorithm)
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

static mtf_status integrated_open(const mtf_algorithm_config *config, mtf_algorithm **out,
                                  mtf_err *err)
{
    *out = NULL;
    mtf_status status = check(config, err);
    if (status != MTF_OK) return status;
    mtf_algorithm *algorithm = calloc(1, sizeof *algorithm);
    if (algorithm == NULL) goto no_memory;
    algorithm->config = *config;
    const uint32_t input_dim = config->state_dim + config->action_dim;
    mtf_mlp_layout(&algorithm->actor_mlp, config->state_dim, config->hidden, config->action_dim);
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
        integrated_close(algorithm);
        return status;
    }
    if (!take_memory(algorithm)) goto no_memory;
    mtf_integrated_reinit(algorithm, config->seed, true, true);
    algorithm->reward_scale = 1.0;
    *out = algorithm;
    return MTF_OK;
no_memory:
    integrated_close(algorithm);
    return mtf_fail(err, MTF_NOMEM, "no memory for %u critics of width %u: lower learner.critics",
                    config->critics, config->hidden);
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

static mtf_status integrated_step(mtf_algorithm *algorithm, const mtf_batch *batch,
                                  mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_algorithm_config *config = &algorithm->config;
    if (batch->rows != config->batch || batch->state_dim != config->state_dim ||
        batch->action_dim != config->action_dim) {
        return mtf_fail(err, MTF_INVALID,
                        "a batch of %zu rows, %u states, %u actions given to a learner opened for "
                        "%u, %u, %u",
                        batch->rows, batch->state_dim, batch->action_dim, config->batch,
                        config->state_dim, config->action_dim);
    }
    const unsigned before = mtf_flush_denormals_begin();
    algorithm->batch = batch;
    algorithm->actor_rate =
        mtf_cosine_rate(config->actor_lr, config->lr_final, algorithm->step, config->steps);
    algorithm->critic_rate =
        mtf_cosine_rate(config->critic_lr, config->lr_final, algorithm->step, config->steps);
    mtf_pool_run(algorithm->pool, algorithm->chunk_count, prepare_item, algorithm);
    algorithm->critic_t++;
    mtf_pool_run(algorithm->pool, config->critics, critic_item, algorithm);
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

static void integrated_act(mtf_algorithm *algorithm, size_t rows, const float *s, float *a)
{
    const size_t states = algorithm->config.state_dim, actions = algorithm->config.action_dim;
    const unsigned before = mtf_flush_denormals_begin();
    for (size_t done = 0; done < rows;) {
        const size_t some =
            rows - done < algorithm->config.batch ? rows - done : algorithm->config.batch;
        mtf_actor_act(algorithm, algorithm->actor.weights, some, s + done * states, states,
                      &algorithm->actor_space, a + done * actions, actions);
        done += some;
    }
    mtf_flush_denormals_end(before);
}

static void value_item(void *arg, uint32_t item, uint32_t worker)
{
    const mtf_algorithm *algorithm = arg;
    const size_t rows = algorithm->value_rows;
    mtf_mlp_forward(&algorithm->critic_mlp, algorithm->critics[item].weights, rows,
                    algorithm->x_data, algorithm->ldx, &algorithm->workers[worker].space,
                    algorithm->q_policy + item * rows, 1);
}

/* q (rows,) of one piece of at most a batch. */
static void value_piece(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a,
                        float *q)
{
    const size_t states = algorithm->config.state_dim, actions = algorithm->config.action_dim;
    const uint32_t critics = algorithm->config.critics;
    for (size_t b = 0; b < rows; b++) {
        float *row = algorithm->x_data + b * algorithm->ldx;
        memcpy(row, s + b * states, states * sizeof *row);
        memcpy(row + states, a + b * actions, actions * sizeof *row);
    }
    algorithm->value_rows = rows;
    mtf_pool_run(algorithm->pool, critics, value_item, algorithm);
    for (size_t b = 0; b < rows; b++) {
        double sum = 0.0;
        for (uint32_t i = 0; i < critics; i++) sum += (double)algorithm->q_policy[i * rows + b];
        q[b] = (float)(sum / critics * algorithm->reward_scale);
    }
}

static void integrated_value(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a,
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

static uint32_t integrated_actor(const mtf_algorithm *algorithm, uint32_t widths[5],
                                 const float *weights[4], const float *biases[4])
{
    const mtf_mlp *mlp = &algorithm->actor_mlp;
    for (uint32_t layer = 0; layer < 3; layer++) {
        const mtf_mlp_index weight = (mtf_mlp_index)(MTF_MLP_w1 + 2 * layer);
        widths[layer] = (uint32_t)mlp->tensors[weight].cols;
        weights[layer] = mtf_mlp_in(mlp, algorithm->actor.weights, weight);
        biases[layer] = mtf_mlp_in(mlp, algorithm->actor.weights, (mtf_mlp_index)(weight + 1));
    }
    widths[3] = mlp->outputs;
    return 3;
}

const mtf_algorithm_ops mtf_integrated_ops = {
    .name = "integrated",
    .open = integrated_open,
    .close = integrated_close,
    .begin_round = mtf_integrated_begin_round,
    .step = integrated_step,
    .act = integrated_act,
    .value = integrated_value,
    .save = mtf_integrated_save,
    .load = mtf_integrated_load,
    .actor = integrated_actor,
    .set_actor = mtf_integrated_set_actor,
    .reinit = mtf_integrated_reinit,
};
