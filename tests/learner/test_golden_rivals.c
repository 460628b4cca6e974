/* Goal: every loss, every gradient and whole training runs of the learners to compare with equal
 * PyTorch's in float64. Method: the files tests/golden/rivals_*.txt (made by make_rivals.py beside
 * them) hold networks, batches and what autograd and torch.optim.Adam make of them; the learner is
 * given the same, draws the same noise, and is compared in every tensor. */
#include "learner/golden_fixture.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <string.h>

#define GRADIENT_TOL 3e-4 /* float32 against float64, relative to the tensor's largest element */
#define TRAIN_TOL    5e-3 /* after all updates, each of which magnifies rounding a little */

typedef struct rival_case {
    const mtf_algorithm_ops *ops;
    golden *file;
    mtf_algorithm *rival;
    size_t batches, steps;
} rival_case;

static double own(const golden *file, const char *name)
{
    return golden_find(file, 1, "own.%s", name)[0];
}

static void set_td3bc(const golden *file, mtf_algorithm_config *config)
{
    config->td3bc.alpha = own(file, "alpha");
    config->td3bc.noise = own(file, "noise");
    config->td3bc.noise_clip = own(file, "noise_clip");
    config->td3bc.policy_every = (uint32_t)own(file, "policy_every");
}

static void set_iql(const golden *file, mtf_algorithm_config *config)
{
    config->iql.expectile = own(file, "expectile");
    config->iql.beta = own(file, "beta");
    config->iql.weight_max = own(file, "weight_max");
}

static void set_cql_sac(const golden *file, mtf_algorithm_config *config)
{
    config->cql_sac.weight = own(file, "weight");
    config->cql_sac.actions = (uint32_t)own(file, "actions");
}

static void set_batchrl(const golden *file, mtf_algorithm_config *config)
{
    config->batchrl.perturbation = own(file, "perturbation");
    config->batchrl.latent_clip = own(file, "latent_clip");
    config->batchrl.candidates = (uint32_t)own(file, "candidates");
    config->batchrl.act_candidates = 1;
    config->batchrl.gamma = config->gamma;
    config->batchrl.soft_update = config->soft_update;
    config->batchrl.target_every = config->target_every;
    config->batchrl.generator_lr = own(file, "generator_lr");
    config->batchrl.perturbation_lr = config->actor_lr;
    config->batchrl.critic_lr = config->critic_lr;
}

static mtf_algorithm_config golden_config(const golden *file)
{
    const double *size = golden_find(file, 7, "sizes"), *set = golden_find(file, 9, "settings");
    return (mtf_algorithm_config){.state_dim = (uint32_t)size[0],
                                  .action_dim = (uint32_t)size[1],
                                  .hidden = (uint32_t)size[2],
                                  .batch = (uint32_t)size[3],
                                  .steps = (uint64_t)size[5],
                                  .seed = (uint64_t)size[6],
                                  .threads = 2,
                                  .beta = 0.3,
                                  .gamma = set[0],
                                  .soft_update = set[1],
                                  .target_every = (uint32_t)set[2],
                                  .actor_lr = set[4],
                                  .critic_lr = set[5],
                                  .lr_final = set[6],
                                  .actor_clip = set[7],
                                  .critic_clip = set[8]};
}

/* A learner with the file's networks, in the first round at the file's reward scale. */
static void open_case(rival_case *c, const mtf_algorithm_config *config)
{
    char name[32];
    mtf_err err = {0};
    mtf_assert_ok(c->ops->open(config, &c->rival, &err), &err);
    mtf_assert_ok(c->ops->begin_round(c->rival, golden_find(c->file, 9, "settings")[3], true, &err),
                  &err);
    for (uint32_t i = 0; i < c->rival->net_count; i++) {
        mtf_rival_net *net = &c->rival->nets[i];
        snprintf(name, sizeof name, "net%u", i);
        golden_block(c->file, &net->mlp, net->net.weights, name);
        snprintf(name, sizeof name, "net%u'", i);
        golden_block(c->file, &net->mlp, net->net.target, name);
    }
    const size_t loose = c->rival->loose_count;
    const double *values = loose ? golden_find(c->file, loose, "loose") : NULL;
    for (size_t i = 0; i < loose; i++) c->rival->loose.weights[i] = (float)values[i];
}

static void step(const rival_case *c, size_t batch_index)
{
    const mtf_algorithm_config *config = &c->rival->config;
    char name[32];
    mtf_step_metrics metrics;
    mtf_err err = {0};
    snprintf(name, sizeof name, "batch%zu", batch_index);
    mtf_batch batch =
        golden_batch(c->file, name, config->batch, config->state_dim, config->action_dim);
    mtf_assert_ok(c->ops->step(c->rival, &batch, &metrics, &err), &err);
    assert_true(metrics.finite);
    golden_batch_free(&batch);
}

static void compare_loose(const rival_case *c, const float *actual, double tolerance,
                          const char *name)
{
    const size_t count = c->rival->loose_count;
    const double *expected = count ? golden_find(c->file, count, "%s", name) : NULL;
    for (size_t i = 0; i < count; i++)
        mtf_assert_close((double)actual[i], expected[i], tolerance, tolerance);
}

/* The second step of a run at rate 0: every loss and gradient. */
static void compare_gradients(rival_case *c, mtf_algorithm_config config)
{
    char name[32];
    config.actor_lr = config.critic_lr = 0.0;
    config.batchrl.generator_lr = config.batchrl.perturbation_lr = config.batchrl.critic_lr = 0.0;
    open_case(c, &config);
    c->rival->step = c->rival->taken = 1;
    step(c, 0);
    for (uint32_t i = 0; i < c->rival->net_count; i++) {
        const mtf_rival_net *net = &c->rival->nets[i];
        snprintf(name, sizeof name, "step.net%u", i);
        mtf_assert_close(net->loss, golden_find(c->file, 1, "%s.loss", name)[0], 1e-5, 1e-6);
        golden_compare(c->file, &net->mlp, net->gradient, GRADIENT_TOL, name);
    }
    compare_loose(c, c->rival->loose_gradient, GRADIENT_TOL, "step.loose");
    c->ops->close(c->rival);
}

static void compare_training(rival_case *c, const mtf_algorithm_config *config)
{
    char name[32];
    open_case(c, config);
    for (size_t k = 0; k < c->steps; k++) step(c, k % c->batches);
    for (uint32_t i = 0; i < c->rival->net_count; i++) {
        const mtf_rival_net *net = &c->rival->nets[i];
        snprintf(name, sizeof name, "train.net%u", i);
        golden_compare(c->file, &net->mlp, net->net.weights, TRAIN_TOL, name);
        snprintf(name, sizeof name, "train.net%u'", i);
        if (golden_has(c->file, "%s.w1", name))
            golden_compare(c->file, &net->mlp, net->net.target, TRAIN_TOL, name);
    }
    compare_loose(c, c->rival->loose.weights, TRAIN_TOL, "train.loose");
    c->ops->close(c->rival);
}

static void check(const mtf_algorithm_ops *ops,
                  void (*set)(const golden *file, mtf_algorithm_config *config))
{
    char path[300];
    snprintf(path, sizeof path, MTF_SOURCE_DIR "/tests/golden/rivals_%s.txt", ops->name);
    rival_case c = {.ops = ops, .file = golden_read(path)};
    const double *size = golden_find(c.file, 7, "sizes");
    c.batches = (size_t)size[4], c.steps = (size_t)size[5];
    mtf_algorithm_config config = golden_config(c.file);
    set(c.file, &config);
    compare_gradients(&c, config);
    compare_training(&c, &config);
    golden_free(c.file);
}

static void td3bc_equals_pytorch(void **state)
{
    (void)state;
    check(&mtf_td3bc_ops, set_td3bc);
}

static void iql_equals_pytorch(void **state)
{
    (void)state;
    check(&mtf_iql_ops, set_iql);
}

static void cql_sac_equals_pytorch(void **state)
{
    (void)state;
    check(&mtf_cql_sac_ops, set_cql_sac);
}

static void batchrl_equals_pytorch(void **state)
{
    (void)state;
    check(&mtf_batchrl_ops, set_batchrl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(td3bc_equals_pytorch),
        cmocka_unit_test(iql_equals_pytorch),
        cmocka_unit_test(cql_sac_equals_pytorch),
        cmocka_unit_test(batchrl_equals_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
