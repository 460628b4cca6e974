/* Goal: every loss, every gradient and whole training runs equal PyTorch's in float64. Method: the
 * file tests/golden/integrated.txt (made by make_integrated.py beside it) holds networks, batches
 * and what autograd and torch.optim.Adam make of them; the learner is given the same and compared,
 * per tensor, for each penalty and target, with our own products and with those of OpenBLAS that
 * stand in for them on other CPUs. */
#include "learner/integrated.h"
#include "support/mtf_test.h"

#include <string.h>

#define GOLDEN       MTF_SOURCE_DIR "/tests/golden/integrated.txt"
#define ENTRIES_MAX  1024
#define BYTES_MAX    (1 << 20)
#define GRADIENT_TOL 2e-4 /* float32 against float64, relative to the tensor's largest element */
#define TRAIN_TOL    2e-3 /* after STEPS updates, each of which magnifies rounding a little */

typedef struct golden_entry {
    char name[64];
    size_t count;
    double *values;
} golden_entry;

typedef struct golden {
    golden_entry entries[ENTRIES_MAX];
    size_t count;
} golden;

static void golden_free(golden *file)
{
    for (size_t i = 0; i < file->count; i++) free(file->entries[i].values);
    free(file);
}

static golden *golden_read(void)
{
    FILE *in = fopen(GOLDEN, "r");
    assert_non_null(in);
    golden *file = calloc(1, sizeof *file);
    assert_non_null(file);
    golden_entry *entry = file->entries;
    while (fscanf(in, "%63s %zu", entry->name, &entry->count) == 2) {
        assert_in_range(entry->count, 1, BYTES_MAX);
        entry->values = calloc(entry->count, sizeof *entry->values);
        assert_non_null(entry->values);
        for (size_t i = 0; i < entry->count; i++) {
            assert_int_equal(fscanf(in, "%lf", &entry->values[i]), 1);
        }
        entry++, file->count++;
        assert_in_range(file->count, 1, ENTRIES_MAX - 1);
    }
    assert_int_equal(fclose(in), 0);
    return file;
}

/* The entry of that name, which must have `count` numbers (any, if 0). */
static const double *find(const golden *file, size_t count, const char *fmt, ...) MTF_PRINTF(3, 4);
static const double *find(const golden *file, size_t count, const char *fmt, ...)
{
    char name[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->entries[i].name, name) != 0) continue;
        if (count != 0) assert_int_equal(file->entries[i].count, count);
        return file->entries[i].values;
    }
    fail_msg("%s is not in %s", name, GOLDEN);
    return NULL;
}

static const char *const penalties[] = {"expm1", "printed", "none"};
static const char *const targets[] = {"discount", "literal", "additive", "clip"};

static mtf_algorithm_config golden_config(const golden *file, unsigned penalty, unsigned target)
{
    const double *size = find(file, 7, "sizes"), *set = find(file, 13, "settings");
    return (mtf_algorithm_config){.state_dim = (uint32_t)size[0],
                                  .action_dim = (uint32_t)size[1],
                                  .hidden = (uint32_t)size[2],
                                  .critics = (uint32_t)size[3],
                                  .batch = (uint32_t)size[4],
                                  .threads = 1,
                                  .target_every = (uint32_t)set[6],
                                  .seed = 1,
                                  .steps = (uint64_t)size[6],
                                  .gamma = set[0],
                                  .eta = set[1],
                                  .beta = set[2],
                                  .lambda = set[3],
                                  .delta = set[4],
                                  .soft_update = set[5],
                                  .actor_lr = set[8],
                                  .critic_lr = set[9],
                                  .lr_final = set[10],
                                  .actor_clip = set[11],
                                  .critic_clip = set[12],
                                  .penalty = penalty,
                                  .target = target};
}

static void load_block(const golden *file, const mtf_mlp *mlp, float *block, const char *name)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        const double *values = find(file, count, "%s.%s", name, tensor->name);
        for (size_t i = 0; i < count; i++) block[tensor->offset + i] = (float)values[i];
    }
}

/* A learner with the file's networks, in the first round at the file's reward scale. */
static mtf_algorithm *open_golden(const golden *file, const mtf_gemm *gemm, unsigned penalty,
                                  unsigned target)
{
    const mtf_algorithm_config config = golden_config(file, penalty, target);
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(mtf_integrated_ops.open(&config, &algorithm, &err), &err);
    algorithm->actor_mlp.gemm = algorithm->critic_mlp.gemm = gemm;
    mtf_assert_ok(
        mtf_integrated_ops.begin_round(algorithm, find(file, 13, "settings")[7], true, &err), &err);
    load_block(file, &algorithm->actor_mlp, algorithm->actor.weights, "actor");
    load_block(file, &algorithm->actor_mlp, algorithm->actor.target, "actor'");
    for (uint32_t i = 0; i < config.critics; i++) {
        char name[32];
        snprintf(name, sizeof name, "critic%u", i);
        load_block(file, &algorithm->critic_mlp, algorithm->critics[i].weights, name);
        snprintf(name, sizeof name, "critic%u'", i);
        load_block(file, &algorithm->critic_mlp, algorithm->critics[i].target, name);
    }
    return algorithm;
}

#define BLOCKS(X)                                                                                  \
    X(s, S)                                                                                        \
    X(a, A)                                                                                        \
    X(bp, A)                                                                                       \
    X(lower, A)                                                                                    \
    X(upper, A) X(r, 1) X(s2, S) X(bp2, A) X(lower2, A) X(upper2, A) X(done, 1) X(weight, 1)

static float *batch_block(const golden *file, unsigned index, const char *name, size_t count)
{
    const double *values = find(file, count, "batch%u.%s", index, name);
    float *block = calloc(count, sizeof *block);
    assert_non_null(block);
    for (size_t i = 0; i < count; i++) block[i] = (float)values[i];
    return block;
}

static mtf_batch load_batch(const golden *file, unsigned index)
{
    const double *size = find(file, 7, "sizes");
    const size_t S = (size_t)size[0], A = (size_t)size[1], rows = (size_t)size[4];
    mtf_batch batch = {.rows = rows, .state_dim = (uint32_t)S, .action_dim = (uint32_t)A};
#define X(name, width) batch.name = batch_block(file, index, #name, rows * (width));
    BLOCKS(X)
#undef X
    return batch;
}

static void free_batch(mtf_batch *batch)
{
#define X(name, width) free(batch->name);
    BLOCKS(X)
#undef X
}

/* Each tensor within tolerance, relative to its largest element. */
static void compare_block(const golden *file, const mtf_mlp *mlp, const float *block,
                          double tolerance, const char *name)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        const double *expected = find(file, count, "%s.%s", name, tensor->name);
        double largest = 0.0;
        for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
        for (size_t i = 0; i < count; i++) {
            const double actual = (double)block[tensor->offset + i];
            if (fabs(actual - expected[i]) <= tolerance * (largest + 1e-6)) continue;
            fail_msg("%s.%s[%zu] is %.9g, expected %.9g", name, tensor->name, i, actual,
                     expected[i]);
        }
    }
}

static void compare_case(const golden *file, const mtf_gemm *gemm, unsigned penalty,
                         unsigned target)
{
    mtf_algorithm *algorithm = open_golden(file, gemm, penalty, target);
    mtf_batch batch = load_batch(file, 0);
    const uint32_t critics = algorithm->config.critics;
    char name[64];
    algorithm->batch = &batch;
    mtf_integrated_prepare(algorithm, 0);
    for (uint32_t i = 0; i < critics; i++) {
        snprintf(name, sizeof name, "%s.%s.critic%u", penalties[penalty], targets[target], i);
        mtf_critic_gradient(algorithm, i, 0);
        mtf_assert_close(algorithm->results[i].loss, find(file, 1, "%s.loss", name)[0], 1e-5, 1e-7);
        compare_block(file, &algorithm->critic_mlp, algorithm->workers[0].gradient, GRADIENT_TOL,
                      name);
        mtf_critic_policy(algorithm, i, 0);
    }
    assert_int_equal(algorithm->chunk_count, 1);
    mtf_actor_gradient(algorithm, 0);
    mtf_actor_gather(algorithm);
    mtf_step_metrics metrics;
    mtf_integrated_metrics(algorithm, &metrics);
    snprintf(name, sizeof name, "%s.%s.actor", penalties[penalty], targets[target]);
    mtf_assert_close(metrics.actor_loss / algorithm->reward_scale,
                     find(file, 1, "%s.loss", name)[0], 1e-5, 1e-6);
    compare_block(file, &algorithm->actor_mlp, algorithm->actor_gradients, GRADIENT_TOL, name);
    free_batch(&batch);
    mtf_integrated_ops.close(algorithm);
}

static void losses_and_gradients_equal_autograd_for_every_penalty_and_target(void **state)
{
    (void)state;
    golden *file = golden_read();
    for (unsigned i = 0; i < 3 * 4; i++) {
        compare_case(file, mtf_gemm_float32(), i / 4, i % 4);
        compare_case(file, &mtf_gemm_openblas, i / 4, i % 4);
    }
    golden_free(file);
}

static void compare_training(const golden *file, const mtf_gemm *gemm, unsigned penalty,
                             unsigned target)
{
    mtf_algorithm *algorithm = open_golden(file, gemm, penalty, target);
    const double *size = find(file, 7, "sizes");
    const size_t batches = (size_t)size[5], steps = (size_t)size[6];
    const double scale = algorithm->reward_scale;
    char name[64];
    snprintf(name, sizeof name, "train.%s.%s", penalties[penalty], targets[target]);
    const double *losses = find(file, 2 * steps, "%s.losses", name);
    for (size_t k = 0; k < steps; k++) {
        mtf_batch batch = load_batch(file, (unsigned)(k % batches));
        mtf_step_metrics metrics;
        mtf_err err = {0};
        mtf_assert_ok(mtf_integrated_ops.step(algorithm, &batch, &metrics, &err), &err);
        mtf_assert_close(metrics.critic_loss / (scale * scale), losses[2 * k], TRAIN_TOL, 1e-5);
        mtf_assert_close(metrics.actor_loss / scale, losses[2 * k + 1], TRAIN_TOL, 1e-4);
        assert_true(metrics.finite);
        free_batch(&batch);
    }
    strcat(name, ".actor");
    compare_block(file, &algorithm->actor_mlp, algorithm->actor.weights, TRAIN_TOL, name);
    strcat(name, "'");
    compare_block(file, &algorithm->actor_mlp, algorithm->actor.target, TRAIN_TOL, name);
    mtf_integrated_ops.close(algorithm);
}

static void training_equals_pytorch_step_for_step(void **state)
{
    (void)state;
    golden *file = golden_read();
    const mtf_gemm *const gemms[] = {mtf_gemm_float32(), &mtf_gemm_openblas};
    for (size_t i = 0; i < 2; i++) {
        compare_training(file, gemms[i], MTF_PENALTY_EXPM1, MTF_TARGET_DISCOUNT);
        compare_training(file, gemms[i], MTF_PENALTY_NONE, MTF_TARGET_ADDITIVE);
        compare_training(file, gemms[i], MTF_PENALTY_PRINTED, MTF_TARGET_CLIP);
    }
    golden_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_gradients_equal_autograd_for_every_penalty_and_target),
        cmocka_unit_test(training_equals_pytorch_step_for_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
