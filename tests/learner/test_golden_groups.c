/* Goal: with groups of critics, and with an action per item, too, every loss, every gradient and
 * whole training runs equal PyTorch's in float64. Method: as test_golden.c, by
 * tests/golden/make_groups.py: two groups of two critics, each with its part of the reward, its
 * scale and its weight. */
#include "learner/golden_fixture.h"
#include "learner/integrated.h"

#include <string.h>

#define GRADIENT_TOL 2e-4 /* float32 against float64, relative to the tensor's largest element */
#define TRAIN_TOL    2e-3 /* after STEPS updates, each of which magnifies rounding a little */

static const char *const penalties[] = {"expm1", "printed", "none"};
static const char *const targets[] = {"discount", "literal", "additive", "clip"};

typedef struct golden_set {
    golden *file;
    const mtf_algorithm_ops *ops;
} golden_set;

static mtf_algorithm_config golden_config(const golden *file, unsigned penalty, unsigned target)
{
    const double *size = golden_find(file, 10, "sizes"), *set = golden_find(file, 13, "settings");
    const double *weights = golden_find(file, 2, "weights");
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
                                  .target = target,
                                  .groups = (uint32_t)size[7],
                                  .group_weights = {weights[0], weights[1]},
                                  .list = (uint32_t)size[8],
                                  .item_dim = (uint32_t)size[9],
                                  .enhanced.critics = (uint32_t)size[3]};
}

/* A learner with the file's networks, in the first round at the file's scales. */
static mtf_algorithm *open_golden(const golden_set *set, unsigned penalty, unsigned target)
{
    const golden *file = set->file;
    const mtf_algorithm_config config = golden_config(file, penalty, target);
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(set->ops->open(&config, &algorithm, &err), &err);
    mtf_assert_ok(set->ops->scale_groups(algorithm, golden_find(file, 2, "scales"), &err), &err);
    const double scale = golden_find(file, 13, "settings")[7];
    mtf_assert_ok(set->ops->begin_round(algorithm, scale, true, &err), &err);
    golden_block(file, &algorithm->actor_mlp, algorithm->actor.weights, "actor");
    golden_block(file, &algorithm->actor_mlp, algorithm->actor.target, "actor'");
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
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
    const double *size = golden_find(file, 10, "sizes");
    char name[32];
    snprintf(name, sizeof name, "batch%zu", index);
    return golden_batch(file, name, (size_t)size[4], (uint32_t)size[0], (uint32_t)size[1]);
}

static void compare_case(const golden_set *set, unsigned penalty, unsigned target)
{
    const golden *file = set->file;
    mtf_algorithm *algorithm = open_golden(set, penalty, target);
    mtf_batch batch = batch_of(file, 0);
    char name[64];
    algorithm->batch = &batch;
    mtf_integrated_prepare(algorithm, 0);
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
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
    set->ops->close(algorithm);
}

static void losses_and_gradients_equal_autograd(void **state)
{
    for (unsigned target = 0; target < 4; target++) compare_case(*state, MTF_PENALTY_EXPM1, target);
    compare_case(*state, MTF_PENALTY_PRINTED, MTF_TARGET_DISCOUNT);
    compare_case(*state, MTF_PENALTY_NONE, MTF_TARGET_ADDITIVE);
}

static void compare_training(const golden_set *set, unsigned penalty, unsigned target)
{
    const golden *file = set->file;
    mtf_algorithm *algorithm = open_golden(set, penalty, target);
    const double *size = golden_find(file, 10, "sizes");
    const size_t batches = (size_t)size[5], steps = (size_t)size[6];
    char name[64];
    snprintf(name, sizeof name, "train.%s.%s", penalties[penalty], targets[target]);
    const double *losses = golden_find(file, 2 * steps, "%s.losses", name);
    for (size_t k = 0; k < steps; k++) {
        mtf_batch batch = batch_of(file, k % batches);
        mtf_step_metrics metrics;
        mtf_err err = {0};
        mtf_assert_ok(set->ops->step(algorithm, &batch, &metrics, &err), &err);
        mtf_assert_close(metrics.critic_loss, losses[2 * k], TRAIN_TOL, 1e-5);
        mtf_assert_close(metrics.actor_loss, losses[2 * k + 1], TRAIN_TOL, 2e-4);
        assert_true(metrics.finite);
        golden_batch_free(&batch);
    }
    strcat(name, ".actor");
    golden_compare(file, &algorithm->actor_mlp, algorithm->actor.weights, TRAIN_TOL, name);
    strcat(name, "'");
    golden_compare(file, &algorithm->actor_mlp, algorithm->actor.target, TRAIN_TOL, name);
    set->ops->close(algorithm);
}

static void training_equals_pytorch_step_for_step(void **state)
{
    compare_training(*state, MTF_PENALTY_EXPM1, MTF_TARGET_DISCOUNT);
    compare_training(*state, MTF_PENALTY_NONE, MTF_TARGET_ADDITIVE);
    compare_training(*state, MTF_PENALTY_PRINTED, MTF_TARGET_CLIP);
}

static int read_groups(void **state)
{
    static golden_set set;
    set = (golden_set){golden_read(MTF_SOURCE_DIR "/tests/golden/groups.txt"), &mtf_integrated_ops};
    *state = &set;
    return 0;
}

static int read_enhanced(void **state)
{
    static golden_set set;
    set = (golden_set){golden_read(MTF_SOURCE_DIR "/tests/golden/enhanced.txt"), &mtf_enhanced_ops};
    *state = &set;
    return 0;
}

static int let_go(void **state)
{
    golden_set *set = *state;
    golden_free(set->file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_gradients_equal_autograd),
        cmocka_unit_test(training_equals_pytorch_step_for_step),
    };
    return cmocka_run_group_tests_name("groups", tests, read_groups, let_go) +
           cmocka_run_group_tests_name("enhanced", tests, read_enhanced, let_go);
}
