/* Goal: ddpg is DDPG (Lillicrap et al., arXiv:1509.02971), bit for bit. Method: DDPG written down
 * once more, line by line, on the learner's kernels, and compared in every weight after every step
 * of a run in which sessions end, gradients are clipped and targets move; and whatever the settings
 * say of penalties and critics, it stays that. */
#include "learner/integrated.h"
#include "learner/adam.h"
#include "learner/kernels.h"
#include "learner/learner_fixture.h"

#include <string.h>

enum { B = 32, S = 5, A = 3, H = 16, BLOCK = 1024, STEPS = 60 };

typedef struct plain_net {
    mtf_mlp mlp;
    float weights[BLOCK], target[BLOCK], m[BLOCK], v[BLOCK], gradient[BLOCK];
} plain_net;

typedef struct plain_ddpg {
    plain_net actor, critic;
    float h1[B * H], h2[B * H], d1[B * H], d2[B * H];
    float x[B * (S + A)], q[B], y[B], dq[B], slope[B * A], da[B * A], mu[B * A];
} plain_ddpg;

static mtf_mlp_space scratch(plain_ddpg *plain)
{
    return (mtf_mlp_space){.h1 = plain->h1, .h2 = plain->h2, .d1 = plain->d1, .d2 = plain->d2};
}

static void fill_x(plain_ddpg *plain, const float *s, const float *a)
{
    for (size_t b = 0; b < B; b++) {
        memcpy(plain->x + b * (S + A), s + b * S, S * sizeof *s);
        memcpy(plain->x + b * (S + A) + S, a + b * A, A * sizeof *a);
    }
}

static void q_of(plain_ddpg *plain, const float *weights, const float *s, const float *a, float *q)
{
    const mtf_mlp_space space = scratch(plain);
    fill_x(plain, s, a);
    mtf_mlp_forward(&plain->critic.mlp, weights, B, plain->x, S + A, &space, q, 1);
}

static void mu_of(plain_ddpg *plain, const float *weights, const float *s)
{
    const mtf_mlp_space space = scratch(plain);
    mtf_mlp_forward(&plain->actor.mlp, weights, B, s, S, &space, plain->mu, A);
    mtf_tanh(plain->mu, A, B, A);
}

static void plain_update(plain_net *net, double rate, double clip, uint64_t t)
{
    const double norm = sqrt(mtf_sum_squares(net->gradient, net->mlp.size));
    mtf_adam_step(net->weights, net->m, net->v, net->gradient, net->mlp.size, rate,
                  mtf_clip_factor(norm, clip), t);
}

static void plain_step(plain_ddpg *plain, const mtf_algorithm_config *config,
                       const mtf_batch *batch, uint64_t t)
{
    plain_net *actor = &plain->actor, *critic = &plain->critic;
    const mtf_mlp_space space = scratch(plain);
    const double decay = mtf_cosine_rate(1.0, config->lr_final, t - 1, config->steps);
    /* y = r + gamma (1 - done) Q'(s', mu'(s')) */
    mu_of(plain, actor->target, batch->s2);
    q_of(plain, critic->target, batch->s2, plain->mu, plain->y);
    for (size_t b = 0; b < B; b++)
        plain->y[b] =
            batch->r[b] + (batch->done[b] != 0.0f ? 0.0f : (float)config->gamma * plain->y[b]);
    /* The critic descends mean (Q(s, a) - y)^2. */
    q_of(plain, critic->weights, batch->s, batch->a, plain->q);
    for (size_t b = 0; b < B; b++) plain->dq[b] = 2.0f / B * (plain->q[b] - plain->y[b]);
    mtf_mlp_backward(&critic->mlp, critic->weights, B, plain->x, S + A, &space, plain->dq,
                     critic->gradient);
    plain_update(critic, config->critic_lr * decay, config->critic_clip, t);
    /* The actor ascends mean Q(s, mu(s)) of the new critic. */
    mu_of(plain, actor->weights, batch->s);
    fill_x(plain, batch->s, plain->mu);
    mtf_mlp_slope(&critic->mlp, critic->weights, B, plain->x, S + A, &space, plain->q, S, A,
                  plain->slope);
    for (size_t i = 0; i < B * A; i++)
        plain->da[i] = -plain->slope[i] / B * (1.0f - plain->mu[i] * plain->mu[i]);
    mu_of(plain, actor->weights, batch->s); /* its activations again */
    mtf_mlp_backward(&actor->mlp, actor->weights, B, batch->s, S, &space, plain->da,
                     actor->gradient);
    plain_update(actor, config->actor_lr * decay, config->actor_clip, t);
    if (t % config->target_every != 0) return;
    mtf_approach(actor->target, actor->weights, (float)config->soft_update, actor->mlp.size);
    mtf_approach(critic->target, critic->weights, (float)config->soft_update, critic->mlp.size);
}

static void assert_same_net(const plain_net *plain, const mtf_net *net)
{
    fixture_assert_same_block(&plain->mlp, plain->weights, net->weights);
    fixture_assert_same_block(&plain->mlp, plain->target, net->target);
    fixture_assert_same_block(&plain->mlp, plain->m, net->m);
    fixture_assert_same_block(&plain->mlp, plain->v, net->v);
}

static plain_ddpg *plain_of(const mtf_algorithm *algorithm)
{
    plain_ddpg *plain = calloc(1, sizeof *plain);
    assert_non_null(plain);
    mtf_mlp_layout(&plain->actor.mlp, S, H, A);
    mtf_mlp_layout(&plain->critic.mlp, S + A, H, 1);
    assert_true(plain->actor.mlp.size <= BLOCK && plain->critic.mlp.size <= BLOCK);
    memcpy(plain->actor.weights, algorithm->actor.weights,
           plain->actor.mlp.size * sizeof *plain->actor.weights);
    memcpy(plain->critic.weights, algorithm->critics[0].weights,
           plain->critic.mlp.size * sizeof *plain->critic.weights);
    memcpy(plain->actor.target, plain->actor.weights, sizeof plain->actor.weights);
    memcpy(plain->critic.target, plain->critic.weights, sizeof plain->critic.weights);
    return plain;
}

static void ddpg_is_ddpg_bit_for_bit(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    config.actor_clip = 0.03, config.critic_clip = 0.5; /* now and then */
    config.target_every = 4;
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(mtf_ddpg_ops.open(&config, &algorithm, &err), &err);
    mtf_assert_ok(mtf_ddpg_ops.begin_round(algorithm, 1.0, true, &err), &err);
    plain_ddpg *plain = plain_of(algorithm);
    mtf_batch *batch = fixture_batch_new(&config);
    const uint64_t seed = mtf_test_seed(51);
    uint64_t clipped = 0;
    for (uint64_t t = 1; t <= STEPS; t++) {
        mtf_rng rng = mtf_rng_of(seed, t);
        fixture_batch_fill(batch, &rng, 0.5);
        for (size_t b = 0; b < B; b++) batch->weight[b] = 1.0f;
        mtf_step_metrics metrics;
        mtf_assert_ok(mtf_ddpg_ops.step(algorithm, batch, &metrics, &err), &err);
        plain_step(plain, &config, batch, t);
        assert_true(metrics.phi_mean == 1.0); /* a gate on phi has nothing to say of it */
        assert_same_net(&plain->actor, &algorithm->actor);
        assert_same_net(&plain->critic, &algorithm->critics[0]);
        clipped += metrics.actor_grad_norm > config.actor_clip;
        clipped += metrics.critic_grad_norm > config.critic_clip;
    }
    assert_in_range(clipped, 1, 2 * STEPS - 1); /* the clips were on their way, not always */
    fixture_batch_free(batch);
    free(plain);
    mtf_ddpg_ops.close(algorithm);
}

/* Over steps of one algorithm: what it has become. */
static mtf_buf trained(const mtf_algorithm_ops *ops, const mtf_algorithm_config *config)
{
    mtf_algorithm *algorithm;
    mtf_batch *batch = fixture_batch_new(config);
    mtf_buf out = {0};
    mtf_err err = {0};
    mtf_assert_ok(ops->open(config, &algorithm, &err), &err);
    mtf_assert_ok(ops->begin_round(algorithm, 0.7, true, &err), &err);
    for (uint64_t t = 0; t < 20; t++) {
        mtf_rng rng = mtf_rng_of(78, t);
        mtf_step_metrics metrics;
        fixture_batch_fill(batch, &rng, 0.3);
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
    }
    ops->save(algorithm, &out);
    fixture_batch_free(batch);
    ops->close(algorithm);
    return out;
}

static void settings_of_the_box_and_of_critics_do_not_touch_it(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    mtf_buf ddpg = trained(&mtf_ddpg_ops, &config);
    config.critics = 1, config.eta = 0.0, config.lambda = 0.0, config.delta = 0.0;
    config.target = MTF_TARGET_LITERAL, config.penalty = MTF_PENALTY_NONE;
    mtf_buf integrated = trained(&mtf_integrated_ops, &config);
    assert_int_equal(ddpg.size, integrated.size);
    assert_memory_equal(ddpg.data, integrated.data, ddpg.size);
    config = fixture_config();
    mtf_ddpg_ops.configure(&config);
    assert_int_equal(config.critics, 1);
    mtf_buf_fini(&ddpg);
    mtf_buf_fini(&integrated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ddpg_is_ddpg_bit_for_bit),
        cmocka_unit_test(settings_of_the_box_and_of_critics_do_not_touch_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
