#include "learner/learner_fixture.h"

#include <string.h>

mtf_algorithm_config fixture_config(void)
{
    return (mtf_algorithm_config){
        .state_dim = 5,
        .action_dim = 3,
        .hidden = 16,
        .critics = 4,
        .batch = 32,
        .threads = 1,
        .target_every = 15,
        .seed = 7,
        .steps = 100,
        .gamma = 0.9,
        .eta = 1.2,
        .beta = 0.3,
        .lambda = 0.2,
        .delta = 0.5,
        .soft_update = 0.08,
        .actor_lr = 3e-4,
        .critic_lr = 1e-3,
        .lr_final = 0.05,
        .actor_clip = 10.0,
        .critic_clip = 100.0,
        .penalty = MTF_PENALTY_EXPM1,
        .target = MTF_TARGET_DISCOUNT,
        .td3bc = {.alpha = 2.5, .noise = 0.2, .noise_clip = 0.5, .policy_every = 2},
        .batchrl = {.perturbation = 0.15,
                    .latent_clip = 0.5,
                    .gamma = 0.9,
                    .soft_update = 0.08,
                    .generator_lr = 1e-3,
                    .perturbation_lr = 3e-4,
                    .critic_lr = 1e-3,
                    .candidates = 3,
                    .act_candidates = 20,
                    .target_every = 4},
        .enhanced = {.critics = 4},
        .cql_sac = {.weight = 5.0, .actions = 3},
        .iql = {.expectile = 0.7, .beta = 3.0, .weight_max = 100.0},
    };
}

mtf_algorithm *fixture_open(const mtf_algorithm_config *config)
{
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(mtf_algorithm_find("integrated")->open(config, &algorithm, &err), &err);
    return algorithm;
}

static float *zeros(size_t count)
{
    float *block = calloc(count, sizeof *block);
    assert_non_null(block);
    return block;
}

mtf_batch *fixture_batch_new(const mtf_algorithm_config *config)
{
    const size_t rows = config->batch, states = rows * config->state_dim;
    const size_t actions = rows * config->action_dim;
    mtf_batch *batch = malloc(sizeof *batch);
    assert_non_null(batch);
    *batch = (mtf_batch){rows,
                         config->state_dim,
                         config->action_dim,
                         zeros(states),
                         zeros(actions),
                         zeros(actions),
                         zeros(actions),
                         zeros(actions),
                         zeros(rows),
                         zeros(states),
                         zeros(actions),
                         zeros(actions),
                         zeros(actions),
                         zeros(rows),
                         zeros(rows),
                         0,
                         NULL};
    for (size_t b = 0; b < rows; b++) batch->weight[b] = 1.0f;
    return batch;
}

void fixture_batch_free(mtf_batch *batch)
{
    float *const blocks[] = {batch->s,      batch->a,      batch->bp,   batch->lower,
                             batch->upper,  batch->r,      batch->s2,   batch->bp2,
                             batch->lower2, batch->upper2, batch->done, batch->weight};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) free(blocks[i]);
    free(batch);
}

double fixture_uniform(mtf_rng *rng, double low, double high)
{
    return low + (high - low) * mtf_rng_uniform(rng);
}

static void fill(mtf_rng *rng, float *out, size_t count, double low, double high)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)fixture_uniform(rng, low, high);
}

static void fill_box(mtf_rng *rng, size_t count, double reach, float *bp, float *lower,
                     float *upper)
{
    fill(rng, bp, count, -reach, reach);
    for (size_t i = 0; i < count; i++) {
        const uint64_t kind = mtf_rng_below(rng, 10);
        lower[i] = kind == 0 ? 0.0f : kind == 1 ? -0.001f : -0.15f;
        upper[i] = kind == 0 ? 0.0f : kind == 1 ? 0.001f : 0.15f;
    }
}

void fixture_batch_fill(mtf_batch *batch, mtf_rng *rng, double reach)
{
    const size_t rows = batch->rows, states = batch->state_dim, actions = batch->action_dim;
    fill(rng, batch->s, rows * states, -2, 2);
    fill(rng, batch->s2, rows * states, -2, 2);
    fill(rng, batch->r, rows, -1, 1);
    fill(rng, batch->weight, rows, 0.5, 1.5);
    fill_box(rng, rows * actions, reach, batch->bp, batch->lower, batch->upper);
    fill_box(rng, rows * actions, reach, batch->bp2, batch->lower2, batch->upper2);
    for (size_t i = 0; i < rows * actions; i++) {
        batch->a[i] = batch->bp[i] +
                      (float)fixture_uniform(rng, (double)batch->lower[i], (double)batch->upper[i]);
    }
    for (size_t b = 0; b < rows; b++) {
        batch->done[b] = mtf_rng_below(rng, 8) == 0 ? 1.0f : 0.0f;
        if (batch->done[b] == 0.0f) continue;
        memset(batch->s2 + b * states, 0, states * sizeof *batch->s2);
        memset(batch->bp2 + b * actions, 0, actions * sizeof *batch->bp2);
        memset(batch->lower2 + b * actions, 0, actions * sizeof *batch->lower2);
        memset(batch->upper2 + b * actions, 0, actions * sizeof *batch->upper2);
    }
}

static void repeat(float *out, const float *part, size_t count, size_t part_count)
{
    for (size_t i = 0; i < count; i++) out[i] = part[i % part_count];
}

void fixture_batch_repeat(mtf_batch *batch, const mtf_batch *part)
{
    const size_t S = part->state_dim, A = part->action_dim, n = batch->rows, k = part->rows;
    repeat(batch->s, part->s, n * S, k * S), repeat(batch->a, part->a, n * A, k * A);
    repeat(batch->bp, part->bp, n * A, k * A), repeat(batch->lower, part->lower, n * A, k * A);
    repeat(batch->upper, part->upper, n * A, k * A), repeat(batch->r, part->r, n, k);
    repeat(batch->s2, part->s2, n * S, k * S), repeat(batch->bp2, part->bp2, n * A, k * A);
    repeat(batch->lower2, part->lower2, n * A, k * A);
    repeat(batch->upper2, part->upper2, n * A, k * A);
    repeat(batch->done, part->done, n, k), repeat(batch->weight, part->weight, n, k);
}

void fixture_assert_same_block(const mtf_mlp *mlp, const float *a, const float *b)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        assert_memory_equal(a + tensor->offset, b + tensor->offset,
                            tensor->rows * tensor->cols * sizeof *a);
    }
}

size_t plain_count(const mtf_mlp *mlp)
{
    size_t count = 0;
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        count += mlp->tensors[t].rows * mlp->tensors[t].cols;
    }
    return count;
}

void plain_from(const mtf_mlp *mlp, const float *block, double *plain)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        for (size_t i = 0; i < tensor->rows * tensor->cols; i++) {
            *plain++ = (double)block[tensor->offset + i];
        }
    }
}

/* Reads a layer off the front of *plain and moves past it. */
static void plain_layer(const double **plain, size_t outputs, size_t inputs, const double *x,
                        double *y)
{
    const double *weight = *plain, *bias = weight + outputs * inputs;
    for (size_t o = 0; o < outputs; o++) {
        y[o] = bias[o];
        for (size_t i = 0; i < inputs; i++) y[o] += weight[o * inputs + i] * x[i];
    }
    *plain = bias + outputs;
}

void plain_forward(const mtf_mlp *mlp, const double *plain, const double *x, double *h1, double *h2,
                   double *y)
{
    double own[2][64];
    assert_in_range(mlp->hidden, 1, 64);
    if (h1 == NULL) h1 = own[0];
    if (h2 == NULL) h2 = own[1];
    plain_layer(&plain, mlp->hidden, mlp->inputs, x, h1);
    for (size_t j = 0; j < mlp->hidden; j++) h1[j] = fmax(h1[j], 0.0);
    plain_layer(&plain, mlp->hidden, mlp->hidden, h1, h2);
    for (size_t j = 0; j < mlp->hidden; j++) h2[j] = fmax(h2[j], 0.0);
    plain_layer(&plain, mlp->outputs, mlp->hidden, h2, y);
}
