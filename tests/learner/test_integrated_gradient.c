/* Goal: the gradients of formulas 4 and 6 are those of the formulas, critics do not touch each
 * other, and the corner cases stay finite. Method: the losses written once more, plainly and in
 * float64, and differentiated by central differences in every weight of every tensor. */
#include "learner/integrated.h"
#include "learner/learner_fixture.h"

#include "learner/kernels.h"

#include <string.h>

#define TOLERANCE 3e-4

/* ---- The losses, plainly. ---- */

typedef struct plain_case {
    const mtf_algorithm *algorithm;
    const mtf_batch *batch;
    double *actor, *critics[8], targets[8][64]; /* y_i per row */
} plain_case;

static double *plain_copy(const mtf_mlp *mlp, const float *block)
{
    double *plain = calloc(plain_count(mlp), sizeof *plain);
    assert_non_null(plain);
    plain_from(mlp, block, plain);
    return plain;
}

/* x / kappa of one dimension; 0 when frozen. */
static double plain_excess(const mtf_algorithm *algorithm, double action, float bp, float lower,
                           float upper)
{
    const double low = (double)bp + (double)lower, high = (double)bp + (double)upper;
    if (!(upper > lower)) return 0.0;
    return fmax(0.0, fmax(action - high, low - action)) /
           (algorithm->config.beta * fmax(high - low, 0.01));
}

static double plain_q(const mtf_algorithm *algorithm, const double *critic, const float *s,
                      const double *action)
{
    double x[64], q;
    const size_t states = algorithm->config.state_dim;
    for (size_t i = 0; i < states; i++) x[i] = (double)s[i];
    for (size_t d = 0; d < algorithm->config.action_dim; d++) x[states + d] = action[d];
    plain_forward(&algorithm->critic_mlp, critic, x, NULL, NULL, &q);
    return q;
}

static void plain_mu(const mtf_algorithm *algorithm, const double *actor, const float *s,
                     double *action)
{
    double x[64];
    for (size_t i = 0; i < algorithm->config.state_dim; i++) x[i] = (double)s[i];
    plain_forward(&algorithm->actor_mlp, actor, x, NULL, NULL, action);
    for (size_t d = 0; d < algorithm->config.action_dim; d++) action[d] = tanh(action[d]);
}

/* Formula 6's y_i with the default target, phi included. */
static void plain_targets(plain_case *plain, uint32_t critic)
{
    const mtf_algorithm *algorithm = plain->algorithm;
    const mtf_batch *batch = plain->batch;
    const size_t actions = batch->action_dim;
    double *actor = plain_copy(&algorithm->actor_mlp, algorithm->actor.target);
    double *target = plain_copy(&algorithm->critic_mlp, algorithm->critics[critic].target);
    for (size_t b = 0; b < batch->rows; b++) {
        const float *s2 = batch->s2 + b * batch->state_dim;
        double action[16], out = 0.0;
        plain_mu(algorithm, actor, s2, action);
        for (size_t d = 0; d < actions; d++) {
            const size_t at = b * actions + d;
            out += plain_excess(algorithm, action[d], batch->bp2[at], batch->lower2[at],
                                batch->upper2[at]);
        }
        double value = plain_q(algorithm, target, s2, action);
        if (value > 0.0) value *= exp(-out);
        plain->targets[critic][b] =
            (double)batch->r[b] / algorithm->reward_scale +
            algorithm->config.gamma * (1.0 - (double)batch->done[b]) * value;
    }
    free(actor), free(target);
}

static double plain_critic_loss(const plain_case *plain, uint32_t critic)
{
    const mtf_batch *batch = plain->batch;
    double loss = 0.0;
    for (size_t b = 0; b < batch->rows; b++) {
        double action[16];
        for (size_t d = 0; d < batch->action_dim; d++) {
            action[d] = (double)batch->a[b * batch->action_dim + d];
        }
        const double miss = plain_q(plain->algorithm, plain->critics[critic],
                                    batch->s + b * batch->state_dim, action) -
                            plain->targets[critic][b];
        loss += (double)batch->weight[b] * miss * miss;
    }
    return loss / (double)batch->rows;
}

static double plain_actor_loss(const plain_case *plain)
{
    const mtf_algorithm *algorithm = plain->algorithm;
    const mtf_batch *batch = plain->batch;
    const double m = algorithm->config.critics;
    double loss = 0.0;
    for (size_t b = 0; b < batch->rows; b++) {
        const float *s = batch->s + b * batch->state_dim;
        double action[16], q[8], mean = 0.0, variance = 0.0, penalty = 0.0;
        plain_mu(algorithm, plain->actor, s, action);
        for (uint32_t i = 0; i < algorithm->config.critics; i++) {
            q[i] = plain_q(algorithm, plain->critics[i], s, action);
            mean += q[i] / m;
        }
        for (uint32_t i = 0; i < algorithm->config.critics; i++) {
            variance += (q[i] - mean) * (q[i] - mean) / m;
        }
        for (size_t d = 0; d < batch->action_dim; d++) {
            const size_t at = b * batch->action_dim + d;
            const double z = plain_excess(algorithm, action[d], batch->bp[at], batch->lower[at],
                                          batch->upper[at]);
            penalty += z > 5.0 ? expm1(5.0) + exp(5.0) * (z - 5.0) : expm1(z);
        }
        loss += (double)batch->weight[b] * (algorithm->config.eta * penalty - mean +
                                            algorithm->config.lambda * sqrt(variance + 1e-8));
    }
    return loss / (double)batch->rows;
}

/* ---- The comparisons. ---- */

typedef struct gradient_fixture {
    mtf_algorithm *algorithm;
    mtf_batch *batch;
} gradient_fixture;

static gradient_fixture setup(uint64_t seed, mtf_algorithm_config config)
{
    gradient_fixture f = {fixture_open(&config), fixture_batch_new(&config)};
    mtf_rng rng = mtf_rng_of(seed, 0);
    fixture_batch_fill(f.batch, &rng, 0.3);
    mtf_err err = {0};
    mtf_assert_ok(mtf_integrated_ops.begin_round(f.algorithm, 0.5, true, &err), &err);
    /* Targets of their own, actions of some size. */
    mtf_mlp_init(&f.algorithm->actor_mlp, f.algorithm->actor.weights, &rng, 1.0);
    mtf_mlp_init(&f.algorithm->actor_mlp, f.algorithm->actor.target, &rng, 1.0);
    for (uint32_t i = 0; i < config.critics; i++) {
        mtf_mlp_init(&f.algorithm->critic_mlp, f.algorithm->critics[i].target, &rng, 1.0);
    }
    f.algorithm->batch = f.batch;
    for (uint32_t c = 0; c < f.algorithm->chunk_count; c++) mtf_integrated_prepare(f.algorithm, c);
    return f;
}

static void teardown(gradient_fixture *f)
{
    mtf_integrated_ops.close(f->algorithm);
    fixture_batch_free(f->batch);
}

static float *critic_gradient(const gradient_fixture *f, uint32_t critic)
{
    const size_t bytes = f->algorithm->critic_mlp.size * sizeof(float);
    float *copy = malloc(bytes);
    assert_non_null(copy);
    mtf_critic_gradient(f->algorithm, critic, 0);
    memcpy(copy, f->algorithm->workers[0].gradient, bytes);
    return copy;
}

static const float *actor_gradient(const gradient_fixture *f)
{
    for (uint32_t i = 0; i < f->algorithm->config.critics; i++)
        mtf_critic_policy(f->algorithm, i, 0);
    for (uint32_t c = 0; c < f->algorithm->chunk_count; c++) mtf_actor_gradient(f->algorithm, c);
    mtf_actor_gather(f->algorithm);
    return f->algorithm->actor_gradients;
}

/* gradient against central differences of loss in the weights `plain`, critic < 0: the actor's. */
static void compare(const plain_case *plain, const mtf_mlp *mlp, double *weights,
                    const float *gradient, int critic)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        double largest = 0.0;
        for (size_t i = 0; i < count; i++) {
            largest = fmax(largest, fabs((double)gradient[tensor->offset + i]));
        }
        assert_true(largest > 0.0);
        for (size_t i = 0; i < count; i++, weights++) {
            const double kept = *weights, half = 1e-6;
            *weights = kept + half;
            const double more =
                critic < 0 ? plain_actor_loss(plain) : plain_critic_loss(plain, (uint32_t)critic);
            *weights = kept - half;
            const double less =
                critic < 0 ? plain_actor_loss(plain) : plain_critic_loss(plain, (uint32_t)critic);
            *weights = kept;
            mtf_assert_close((double)gradient[tensor->offset + i], (more - less) / (2 * half),
                             TOLERANCE, TOLERANCE * largest);
        }
    }
}

static void every_gradient_equals_central_differences(void **state)
{
    (void)state;
    gradient_fixture f = setup(mtf_test_seed(11), fixture_config());
    plain_case plain = {.algorithm = f.algorithm, .batch = f.batch};
    const uint32_t m = f.algorithm->config.critics;
    plain.actor = plain_copy(&f.algorithm->actor_mlp, f.algorithm->actor.weights);
    for (uint32_t i = 0; i < m; i++) {
        plain.critics[i] = plain_copy(&f.algorithm->critic_mlp, f.algorithm->critics[i].weights);
        plain_targets(&plain, i);
    }
    for (uint32_t i = 0; i < m; i++) {
        float *gradient = critic_gradient(&f, i);
        mtf_assert_close(f.algorithm->results[i].loss, plain_critic_loss(&plain, i), 1e-5, 1e-6);
        compare(&plain, &f.algorithm->critic_mlp, plain.critics[i], gradient, (int)i);
        free(gradient);
    }
    compare(&plain, &f.algorithm->actor_mlp, plain.actor, actor_gradient(&f), -1);
    mtf_step_metrics metrics;
    mtf_integrated_metrics(f.algorithm, &metrics);
    mtf_assert_close(metrics.actor_loss / f.algorithm->reward_scale, plain_actor_loss(&plain), 1e-5,
                     1e-5);
    free(plain.actor);
    for (uint32_t i = 0; i < m; i++) free(plain.critics[i]);
    teardown(&f);
}

/* Losses are summed over critics, never averaged, and each has its own target. */
static void changing_one_critic_changes_no_other_gradient(void **state)
{
    (void)state;
    gradient_fixture f = setup(mtf_test_seed(12), fixture_config());
    const mtf_mlp *mlp = &f.algorithm->critic_mlp;
    float *before[4];
    for (uint32_t i = 0; i < 4; i++) before[i] = critic_gradient(&f, i);
    mtf_rng rng = mtf_rng_of(99, 0);
    mtf_mlp_init(mlp, f.algorithm->critics[3].weights, &rng, 1.0);
    mtf_mlp_init(mlp, f.algorithm->critics[3].target, &rng, 1.0);
    for (uint32_t i = 0; i < 4; i++) {
        float *after = critic_gradient(&f, i);
        if (i == 3) assert_memory_not_equal(after, before[i], mlp->size * sizeof *after);
        if (i != 3) fixture_assert_same_block(mlp, after, before[i]);
        free(after), free(before[i]);
    }
    teardown(&f);
}

static void printed_targets_penalty_moves_the_loss_and_no_gradient(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(13);
    mtf_algorithm_config config = fixture_config();
    config.target = MTF_TARGET_LITERAL;
    config.delta = 0.0;
    gradient_fixture plain = setup(seed, config);
    config.delta = 0.5;
    gradient_fixture literal = setup(seed, config);
    for (uint32_t i = 0; i < config.critics; i++) {
        float *without = critic_gradient(&plain, i), *with = critic_gradient(&literal, i);
        fixture_assert_same_block(&plain.algorithm->critic_mlp, without, with);
        assert_true(literal.algorithm->results[i].loss > plain.algorithm->results[i].loss + 1e-3);
        free(without), free(with);
    }
    teardown(&plain);
    teardown(&literal);
}

static void disagreement_of_equal_critics_has_a_finite_gradient(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(14);
    mtf_algorithm_config config = fixture_config();
    gradient_fixture with = setup(seed, config);
    config.lambda = 0.0;
    gradient_fixture without = setup(seed, config);
    const gradient_fixture *const both[] = {&with, &without};
    for (size_t k = 0; k < 2; k++) {
        mtf_algorithm *algorithm = both[k]->algorithm;
        for (uint32_t i = 1; i < config.critics; i++) {
            memcpy(algorithm->critics[i].weights, algorithm->critics[0].weights,
                   algorithm->critic_mlp.size * sizeof(float));
        }
        assert_true(mtf_all_finite(actor_gradient(both[k]), algorithm->actor_mlp.size));
    }
    const size_t size = with.algorithm->actor_mlp.size;
    for (size_t i = 0; i < size; i++) { /* and, all agreeing, it is none */
        mtf_assert_close((double)with.algorithm->actor_gradients[i],
                         (double)without.algorithm->actor_gradients[i], 1e-3, 1e-4);
    }
    mtf_step_metrics metrics;
    mtf_integrated_metrics(with.algorithm, &metrics);
    mtf_assert_close(metrics.critic_spread / with.algorithm->reward_scale, 1e-4, 1e-2, 0);
    teardown(&with);
    teardown(&without);
}

/* A batch repeated five times, in three chunks the last of which is short, has the same mean. */
static void chunks_of_rows_add_up_to_the_whole_batch(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(16);
    mtf_algorithm_config config = fixture_config();
    gradient_fixture once = setup(seed, config);
    config.batch *= 5;
    gradient_fixture often = setup(seed, config);
    assert_int_equal(once.algorithm->chunk_count, 1);
    assert_int_equal(often.algorithm->chunk_count, 3);
    fixture_batch_repeat(often.batch, once.batch);
    const gradient_fixture *const both[] = {&once, &often};
    for (size_t k = 0; k < 2; k++) {
        mtf_algorithm *algorithm = both[k]->algorithm;
        memcpy(algorithm->actor.weights, once.algorithm->actor.weights,
               algorithm->actor_mlp.size * sizeof(float));
        for (uint32_t c = 0; c < algorithm->chunk_count; c++) mtf_integrated_prepare(algorithm, c);
        actor_gradient(both[k]);
    }
    const double norm = once.algorithm->actor_norm;
    for (size_t i = 0; i < once.algorithm->actor_mlp.size; i++) {
        mtf_assert_close((double)often.algorithm->actor_gradients[i],
                         (double)once.algorithm->actor_gradients[i], 0, 1e-5 * norm);
    }
    mtf_assert_close(often.algorithm->actor_norm, norm, 1e-5, 0);
    teardown(&once);
    teardown(&often);
}

/* Even where a row that ended carries a next state by mistake. */
static void ended_sessions_have_no_next_state(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(17);
    const mtf_algorithm_config config = fixture_config();
    gradient_fixture f = setup(seed, config);
    for (size_t b = 0; b < f.batch->rows; b++) f.batch->done[b] = 1.0f;
    for (size_t i = 0; i < f.batch->rows * config.action_dim; i++) f.batch->bp2[i] = 0.9f;
    mtf_integrated_prepare(f.algorithm, 0);
    for (size_t b = 0; b < f.batch->rows; b++) {
        assert_true(f.algorithm->phi[b] == 1.0f && f.algorithm->keep[b] == 0.0f);
    }
    float *ended = critic_gradient(&f, 0);
    mtf_rng rng = mtf_rng_of(98, 0);
    mtf_mlp_init(&f.algorithm->critic_mlp, f.algorithm->critics[0].target, &rng, 1.0);
    float *other = critic_gradient(&f, 0);
    fixture_assert_same_block(&f.algorithm->critic_mlp, ended, other);
    free(ended), free(other);
    teardown(&f);
}

static void frozen_dimensions_feel_no_penalty(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    gradient_fixture f = setup(mtf_test_seed(15), config);
    const size_t count = config.batch * config.action_dim;
    memset(f.batch->lower, 0, count * sizeof(float));
    memset(f.batch->upper, 0, count * sizeof(float));
    for (size_t i = 0; i < count; i++) f.batch->bp[i] = 0.9f;
    actor_gradient(&f);
    mtf_step_metrics metrics;
    mtf_integrated_metrics(f.algorithm, &metrics);
    assert_true(metrics.penalty == 0.0 && metrics.outside == 0.0);
    for (size_t i = 0; i < count; i++) assert_true(f.algorithm->penalty_slope[i] == 0.0f);
    teardown(&f);
}

/* |a - b| / |b|, Euclidean. */
static double distance(const float *a, const float *b, size_t count)
{
    double miss = 0.0, size = 0.0;
    for (size_t i = 0; i < count; i++) {
        miss += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(miss / size);
}

/* Rounding moves each product by up to 2^-7 of it and some units across zero; the mean over the
 * batch cancels more of the gradient than of that. A wrong gradient would be 1 or more apart. */
static void bf16_gives_nearly_the_gradients_of_float32(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    config.hidden = 64, config.batch = 256;
    const uint64_t seed = mtf_test_seed(38);
    gradient_fixture exact = setup(seed, config);
    config.gemm = mtf_gemm_bf16();
    if (config.gemm == NULL) {
        teardown(&exact);
        skip();
    }
    gradient_fixture rounded = setup(seed, config);
    const size_t weights = exact.algorithm->critic_mlp.size;
    for (uint32_t i = 0; i < config.critics; i++) {
        float *a = critic_gradient(&rounded, i), *b = critic_gradient(&exact, i);
        const double apart = distance(a, b, weights);
        assert_true(apart > 1e-4 && apart < 0.2);
        const double loss = exact.algorithm->results[i].loss;
        mtf_assert_close(rounded.algorithm->results[i].loss, loss, 0.02, 0);
        free(a), free(b);
    }
    actor_gradient(&exact);
    actor_gradient(&rounded);
    const size_t slopes = (size_t)config.critics * config.batch * config.action_dim;
    const double apart = distance(rounded.algorithm->slope, exact.algorithm->slope, slopes);
    assert_true(apart > 1e-4 && apart < 0.2);
    teardown(&exact);
    teardown(&rounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_equals_central_differences),
        cmocka_unit_test(changing_one_critic_changes_no_other_gradient),
        cmocka_unit_test(printed_targets_penalty_moves_the_loss_and_no_gradient),
        cmocka_unit_test(disagreement_of_equal_critics_has_a_finite_gradient),
        cmocka_unit_test(chunks_of_rows_add_up_to_the_whole_batch),
        cmocka_unit_test(ended_sessions_have_no_next_state),
        cmocka_unit_test(frozen_dimensions_feel_no_penalty),
        cmocka_unit_test(bf16_gives_nearly_the_gradients_of_float32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
