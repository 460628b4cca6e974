/* Goal: each learner to compare with finds what it should find in a world whose answer is known: in
 * one step, and in two, of which the second pays for the first step's action, so that only a
 * learner that bootstraps sees it. Method: rewards are a quadratic with its optimum inside the data
 * (uniform within +-0.5); what each learner makes of it, its pull to the data included, is worked
 * out here from its loss. */
#include "learner/learner_fixture.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <string.h>

enum { S = 3, A = 2, PROBES = 64 };
#define REACH 0.5 /* of the data, each way */
#define SCALE 0.5
#define GAMMA 0.9

/* One step: r = 1 - |a - optimum|^2. Two: r = -|a|^2, then 1 + (2/gamma) optimum . a of the step
 * before, whatever the second action; Q of the first is a quadratic with the same optimum. */
typedef struct world {
    bool two_steps;
    double optimum[A];
} world;

static void fill_row(mtf_batch *batch, size_t b, mtf_rng *rng, const world *w)
{
    const bool second = w->two_steps && b % 2 == 1;
    float *s = batch->s + b * S, *s2 = batch->s2 + b * S, *a = batch->a + b * A;
    double reward = second || !w->two_steps ? 1.0 : 0.0;
    s[0] = second ? -1.0f : 1.0f;
    s2[0] = -1.0f;
    for (size_t d = 0; d < A; d++) {
        const double before = fixture_uniform(rng, -REACH, REACH);
        const double here = fixture_uniform(rng, -REACH, REACH);
        s[1 + d] = (float)before;
        s2[1 + d] = a[d] = (float)here;
        batch->lower[b * A + d] = (float)-REACH, batch->upper[b * A + d] = (float)REACH;
        if (second)
            reward += 2.0 / GAMMA * w->optimum[d] * before;
        else if (w->two_steps)
            reward -= here * here;
        else
            reward -= (here - w->optimum[d]) * (here - w->optimum[d]);
    }
    batch->r[b] = (float)reward;
    batch->done[b] = second || !w->two_steps ? 1.0f : 0.0f;
}

static mtf_algorithm_config world_config(void)
{
    mtf_algorithm_config config = fixture_config();
    config.state_dim = S, config.action_dim = A, config.hidden = 64, config.batch = 64;
    config.steps = 2000, config.gamma = GAMMA;
    config.actor_lr = 3e-3, config.critic_lr = 5e-3;
    config.target_every = 5, config.soft_update = 0.2;
    config.batchrl.gamma = GAMMA, config.batchrl.target_every = 5;
    config.batchrl.soft_update = 0.2, config.batchrl.critic_lr = 5e-3;
    config.batchrl.generator_lr = config.batchrl.perturbation_lr = 3e-3;
    return config;
}

static mtf_algorithm *learn(const mtf_algorithm_ops *ops, mtf_algorithm_config config,
                            const world *w)
{
    mtf_algorithm *algorithm;
    mtf_step_metrics metrics;
    mtf_err err = {0};
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(61), 0);
    mtf_assert_ok(ops->open(&config, &algorithm, &err), &err);
    mtf_assert_ok(ops->begin_round(algorithm, SCALE, true, &err), &err);
    for (uint64_t k = 0; k < config.steps; k++) {
        for (size_t b = 0; b < batch->rows; b++) fill_row(batch, b, &rng, w);
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite);
    }
    fixture_batch_free(batch);
    return algorithm;
}

/* The mean action in first steps. */
static void mean_action(const mtf_algorithm_ops *ops, mtf_algorithm *algorithm, double mean[A])
{
    float s[PROBES * S], a[PROBES * A];
    mtf_rng rng = mtf_rng_of(8, 8);
    for (size_t i = 0; i < PROBES * S; i++)
        s[i] = i % S == 0 ? 1.0f : (float)fixture_uniform(&rng, -REACH, REACH);
    ops->act(algorithm, PROBES, s, a);
    memset(mean, 0, A * sizeof *mean);
    for (size_t i = 0; i < PROBES * A; i++) mean[i % A] += (double)a[i] / PROBES;
}

static void check(const mtf_algorithm_ops *ops, const mtf_algorithm_config *config, const world *w,
                  const double expected[A], double tolerance)
{
    double mean[A];
    mtf_algorithm *algorithm = learn(ops, *config, w);
    mean_action(ops, algorithm, mean);
    for (size_t d = 0; d < A; d++) mtf_assert_close(mean[d], expected[d], 0, tolerance);
    ops->close(algorithm);
}

static const world one_step = {false, {0.35, -0.25}}, two_steps = {true, {0.3, -0.2}};

/* Where alpha/mean|Q| times the value's slope and the pull to the data's mean, 0, balance:
 *  (alpha / mean|Q|) (mu - optimum) + mu / A = 0; mean|Q| is itself a function of mu. */
static void td3bc_answer(const world *w, double alpha, double mu[A])
{
    double size = 1.0;
    for (int k = 0; k < 100; k++) {
        double distance = 0.0, square = 0.0;
        for (size_t d = 0; d < A; d++) {
            mu[d] = alpha / size * w->optimum[d] / (alpha / size + 1.0 / A);
            distance += (mu[d] - w->optimum[d]) * (mu[d] - w->optimum[d]);
            square += w->optimum[d] * w->optimum[d];
        }
        size = w->two_steps ? 0.5 * (GAMMA + square - distance) + 0.5 : 1.0 - distance;
    }
}

static void td3bc_balances_value_and_data(void **state)
{
    (void)state;
    const world *const worlds[] = {&one_step, &two_steps};
    for (size_t k = 0; k < 2; k++) {
        mtf_algorithm_config config = world_config();
        double expected[A];
        config.td3bc.alpha = 1.0;
        td3bc_answer(worlds[k], config.td3bc.alpha, expected);
        const double share = expected[0] / worlds[k]->optimum[0];
        assert_true(share > 0.5 && share < 0.8);
        check(&mtf_td3bc_ops, &config, worlds[k], expected, 0.06);
    }
}

static void td3bc_without_value_is_the_datas_mean(void **state)
{
    (void)state;
    mtf_algorithm_config config = world_config();
    const double data[A] = {0, 0};
    config.td3bc.alpha = 0.0, config.steps = 1000;
    check(&mtf_td3bc_ops, &config, &one_step, data, 0.03);
}

/* Imitation of data uniform within +-REACH with weights exp(beta Q / scale), Q = -(a - optimum)^2:
 * the mean of that density, dimension by dimension, by quadrature. */
static void iql_answer(const world *w, double beta, double mu[A])
{
    enum { POINTS = 2001 };
    for (size_t d = 0; d < A; d++) {
        double mass = 0.0, moment = 0.0;
        for (int i = 0; i < POINTS; i++) {
            const double a = REACH * (2.0 * i / (POINTS - 1) - 1.0), miss = a - w->optimum[d];
            const double weight = exp(-beta / SCALE * miss * miss);
            mass += weight, moment += weight * a;
        }
        mu[d] = moment / mass;
    }
}

static void iql_imitates_by_advantage(void **state)
{
    (void)state;
    const world *const worlds[] = {&one_step, &two_steps};
    const double betas[] = {3.0, 10.0};
    for (size_t k = 0; k < 4; k++) {
        mtf_algorithm_config config = world_config();
        double expected[A];
        config.iql.beta = betas[k / 2], config.iql.weight_max = 1e6;
        iql_answer(worlds[k % 2], config.iql.beta, expected);
        check(&mtf_iql_ops, &config, worlds[k % 2], expected, 0.05);
    }
}

/* Without its conservative term it is a soft actor-critic. */
static void cql_sac_without_its_weight_finds_the_optimum(void **state)
{
    (void)state;
    const world *const worlds[] = {&one_step, &two_steps};
    for (size_t k = 0; k < 2; k++) {
        mtf_algorithm_config config = world_config();
        config.cql_sac.weight = 0.0, config.cql_sac.actions = 1;
        check(&mtf_cql_sac_ops, &config, worlds[k], worlds[k]->optimum, 0.05);
    }
}

/* With it, what no data speaks for is not taken for good: the optimum is outside the data, and the
 * value, continued, says so; the policy goes towards it and stays where the data is. */
static void cql_sac_with_its_weight_stays_with_the_data(void **state)
{
    (void)state;
    const world outside = {false, {0.9, -0.9}};
    for (int conservative = 0; conservative < 2; conservative++) {
        mtf_algorithm_config config = world_config();
        double mean[A];
        if (!conservative) config.cql_sac.weight = 0.0, config.cql_sac.actions = 1;
        mtf_algorithm *algorithm = learn(&mtf_cql_sac_ops, config, &outside);
        mean_action(&mtf_cql_sac_ops, algorithm, mean);
        for (size_t d = 0; d < A; d++) {
            const double towards = d == 0 ? mean[d] : -mean[d];
            assert_true(towards > 0.1);
            assert_true(conservative ? towards < REACH : towards > REACH + 0.25);
        }
        mtf_cql_sac_ops.close(algorithm);
    }
}

/* Logged actions at the ends of the range, and a policy far beyond them. */
static void cql_sac_stays_finite_at_the_ends_of_the_range(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm;
    mtf_step_metrics metrics;
    mtf_err err = {0};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(62), 0);
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_assert_ok(mtf_cql_sac_ops.open(&config, &algorithm, &err), &err);
    mtf_assert_ok(mtf_cql_sac_ops.begin_round(algorithm, 1.0, true, &err), &err);
    mtf_rival_net *actor = &algorithm->nets[MTF_RIVAL_ACTOR];
    for (size_t i = 0; i < actor->mlp.size; i++) actor->net.weights[i] *= 300.0f;
    for (int k = 0; k < 200; k++) {
        fixture_batch_fill(batch, &rng, 0.3);
        for (size_t i = 0; i < batch->rows * config.action_dim; i++)
            batch->a[i] = batch->bp[i] = i % 3 == 0 ? -1.0f : 1.0f;
        mtf_assert_ok(mtf_cql_sac_ops.step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite);
        if (k == 0) assert_true(fabs((double)algorithm->x_policy[config.state_dim]) == 1.0);
    }
    fixture_batch_free(batch);
    mtf_cql_sac_ops.close(algorithm);
}

/* Here the data's spread is too small for the generator to tell its parts apart at the price of the
 * KL term: it makes the mean, 0, and only the perturbation moves that. */
static void batchrl_moves_the_generated_action_as_far_as_it_may(void **state)
{
    (void)state;
    const mtf_algorithm_config config = world_config();
    const double farthest[A] = {config.batchrl.perturbation, -config.batchrl.perturbation};
    check(&mtf_batchrl_ops, &config, &one_step, farthest, 0.04);
    check(&mtf_batchrl_ops, &config, &two_steps, farthest, 0.04); /* myopic, it would stay at 0 */
}

/* Actions in two heaps, which are worth telling apart: the better one is taken, not their mean. */
static void batchrl_takes_the_better_of_two_heaps(void **state)
{
    (void)state;
    mtf_algorithm_config config = world_config();
    mtf_algorithm *algorithm;
    mtf_step_metrics metrics;
    mtf_err err = {0};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(63), 0);
    mtf_batch *batch = fixture_batch_new(&config);
    double mean[A];
    mtf_assert_ok(mtf_batchrl_ops.open(&config, &algorithm, &err), &err);
    mtf_assert_ok(mtf_batchrl_ops.begin_round(algorithm, SCALE, true, &err), &err);
    for (uint64_t k = 0; k < config.steps; k++) {
        for (size_t b = 0; b < batch->rows; b++) {
            const double heap = mtf_rng_below(&rng, 2) ? 0.8 : -0.8;
            fill_row(batch, b, &rng, &one_step);
            for (size_t d = 0; d < A; d++)
                batch->a[b * A + d] = (float)(heap + fixture_uniform(&rng, -0.05, 0.05));
            batch->r[b] = heap > 0 ? 0.0f : 1.0f;
        }
        mtf_assert_ok(mtf_batchrl_ops.step(algorithm, batch, &metrics, &err), &err);
    }
    mean_action(&mtf_batchrl_ops, algorithm, mean);
    for (size_t d = 0; d < A; d++) assert_true(mean[d] < -0.7);
    fixture_batch_free(batch);
    mtf_batchrl_ops.close(algorithm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(td3bc_balances_value_and_data),
        cmocka_unit_test(td3bc_without_value_is_the_datas_mean),
        cmocka_unit_test(iql_imitates_by_advantage),
        cmocka_unit_test(cql_sac_without_its_weight_finds_the_optimum),
        cmocka_unit_test(cql_sac_with_its_weight_stays_with_the_data),
        cmocka_unit_test(cql_sac_stays_finite_at_the_ends_of_the_range),
        cmocka_unit_test(batchrl_moves_the_generated_action_as_far_as_it_may),
        cmocka_unit_test(batchrl_takes_the_better_of_two_heaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
