/* Goal: every loss, every gradient and whole training runs equal PyTorch's in float64. Method: the
 * file tests/golden/integrated.txt (made by make_integrated.py beside it) holds networks, batches
 * and what autograd and torch.optim.Adam make of them; the learner is given the same and compared,
 * per tensor, for each penalty and target, with our own products and with those of OpenBLAS that
 * stand in for them on other CPUs. */
#include "learner/golden_fixture.h"
#include "learner/integrated.h"

#include <string.h>

#define GOLDEN       MTF_SOURCE_DIR "/tests/golden/integrated.txt"
#define GRADIENT_TOL 2e-4 /* float32 against float64, relative to the tensor's largest element */
#define TRAIN_TOL    2e-3 /* after STEPS updates, each of which magnifies rounding a little */

static const char *const penalties[] = {"expm1", "printed", "none"};
static const char *const targets[] = {"discount", "literal", "additive", "clip"};

static mtf_algorithm_config golden_config(const golden *file, unsigned penalty, unsigned target)
{
    const double *size = golden_find(file, 7, "sizes"), *set = golden_find(file, 13, "settings");
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
        mtf_integrated_ops.begin_round(algorithm, golden_find(file, 13, "settings")[7], true, &err),
        &err);
    golden_block(file, &algorithm->actor_mlp, algorithm->actor.weights, "actor");
    golden_block(file, &algorithm->actor_mlp, algorithm->actor.target, "actor'");
    for (uint32_t i = 0; i < config.critics; i++) {
        char name[32];
        snprintf(name, sizeof name, "critic%u", i);
        golden_block(file, &algorithm->critic_mlp, algorithm->critics[i].weights, name);
        snprintf(name, sizeof name, "critic%u'", i);
        golden_block(file, &algorithm->critic_mlp, algorithm->critics[i].target, name);
    }
    return algorithm;
}

static mtf_batch batch_of(const golden *file, size_t index)
{
    const double *size = golden_find(file, 7, "sizes");
    char name[32];
    snprintf(name, sizeof name, "batch%zu", index);
    return golden_batch(file, name, (size_t)size[4], (uint32_t)size[0], (uint32_t)size[1]);
}

static void compare_case(const golden *file, const mtf_gemm *gemm, unsigned penalty,
                         unsigned target)
{
    mtf_algorithm *algorithm = open_golden(file, gemm, penalty, target);
    mtf_batch batch = batch_of(file, 0);
    const uint32_t critics = algorithm->config.critics;
    char name[64];
    algorithm->batch = &batch;
    mtf_integrated_prepare(algorithm, 0);
    for (uint32_t i = 0; i < critics; i++) {
        snprintf(name, sizeof name, "%s.%s.critic%u", penalties[penalty], targets[target], i);
        mtf_critic_gradient(algorithm, i, 0);
        mtf_assert_close(algorithm->results[i].loss, golden_find(file, 1, "%s.loss", name)[0], 1e-5,
                         1e-7);
        golden_compare(file, &algorithm->critic_mlp, algorithm->workers[0].gradient, GRADIENT_TOL,
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
                     golden_find(file, 1, "%s.loss", name)[0], 1e-5, 1e-6);
    golden_compare(file, &algorithm->actor_mlp, algorithm->actor_gradients, GRADIENT_TOL, name);
    golden_batch_free(&batch);
    mtf_integrated_ops.close(algorithm);
}

static void losses_and_gradients_equal_autograd_for_every_penalty_and_target(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
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
    const double *size = golden_find(file, 7, "sizes");
    const size_t batches = (size_t)size[5], steps = (size_t)size[6];
    const double scale = algorithm->reward_scale;
    char name[64];
    snprintf(name, sizeof name, "train.%s.%s", penalties[penalty], targets[target]);
    const double *losses = golden_find(file, 2 * steps, "%s.losses", name);
    for (size_t k = 0; k < steps; k++) {
        mtf_batch batch = batch_of(file, k % batches);
        mtf_step_metrics metrics;
        mtf_err err = {0};
        mtf_assert_ok(mtf_integrated_ops.step(algorithm, &batch, &metrics, &err), &err);
        mtf_assert_close(metrics.critic_loss / (scale * scale), losses[2 * k], TRAIN_TOL, 1e-5);
        mtf_assert_close(metrics.actor_loss / scale, losses[2 * k + 1], TRAIN_TOL, 1e-4);
        assert_true(metrics.finite);
        golden_batch_free(&batch);
    }
    strcat(name, ".actor");
    golden_compare(file, &algorithm->actor_mlp, algorithm->actor.weights, TRAIN_TOL, name);
    strcat(name, "'");
    golden_compare(file, &algorithm->actor_mlp, algorithm->actor.target, TRAIN_TOL, name);
    mtf_integrated_ops.close(algorithm);
}

static void training_equals_pytorch_step_for_step(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
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
