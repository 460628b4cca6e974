/* Goal: the learner with an action per item does what lists ask for: values of items add up to a
 * list's, items that are not there count for nothing, a list of one is the default learner, and
 * where the best action depends on the item it finds each item's. Method: losses written once more
 * in float64 and differentiated, runs that must agree bit for bit, and a task of known answer. */
#include "learner/integrated.h"
#include "learner/learner_fixture.h"

#include <string.h>

#include "learner/kernels.h"

enum { LIST = 3, USER = 2, OWN = 2, ACTION = 2 };

static const mtf_algorithm_ops *const ops = &mtf_enhanced_ops;

static mtf_algorithm_config list_config(void)
{
    mtf_algorithm_config config = fixture_config();
    config.list = LIST, config.item_dim = OWN;
    config.state_dim = USER + LIST * (1 + OWN), config.action_dim = LIST * ACTION;
    config.groups = 2;
    config.group_weights[0] = 1.0, config.group_weights[1] = 0.5;
    config.enhanced.critics = config.critics = 2;
    config.target_every = 4;
    return config;
}

static mtf_algorithm *list_open(const mtf_algorithm_config *config)
{
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(ops->open(config, &algorithm, &err), &err);
    if (config->groups)
        mtf_assert_ok(ops->scale_groups(algorithm, (double[]){0.4, 0.6}, &err), &err);
    mtf_assert_ok(ops->begin_round(algorithm, 0.5, true, &err), &err);
    return algorithm;
}

/* 1 to LIST items a row; what lies in the places behind them is `junk`. */
static void set_masks(mtf_batch *batch, mtf_rng *rng, float junk)
{
    for (size_t b = 0; b < batch->rows; b++) {
        float *const states[] = {batch->s + b * batch->state_dim, batch->s2 + b * batch->state_dim};
        float *const sides[][4] = {
            {batch->bp, batch->lower, batch->upper, batch->a},
            {batch->bp2, batch->lower2, batch->upper2, batch->bp2},
        };
        for (int next = 0; next < 2; next++) {
            const uint64_t items = 1 + mtf_rng_below(rng, LIST);
            for (uint64_t j = 0; j < LIST; j++) {
                states[next][USER + j] = j < items && !(next && batch->done[b] != 0.0f) ? 1 : 0;
                if (j < items) continue;
                for (int k = 0; k < OWN; k++)
                    states[next][USER + LIST + j * OWN + (uint64_t)k] = junk;
                for (int k = 0; k < 4 * ACTION; k++)
                    sides[next][k / ACTION]
                         [b * LIST * ACTION + j * ACTION + (uint64_t)(k % ACTION)] =
                             k / ACTION == 2 ? junk + 0.15f : junk;
            }
        }
    }
}

static mtf_batch *list_batch(const mtf_algorithm_config *config, uint64_t seed, float junk)
{
    mtf_batch *batch = fixture_batch_new(config);
    mtf_rng rng = mtf_rng_of(seed, 0), masks = mtf_rng_of(seed, 1);
    fixture_batch_fill(batch, &rng, 0.3);
    set_masks(batch, &masks, junk);
    if (config->groups == 0) return batch;
    batch->groups = config->groups;
    batch->parts = calloc(batch->rows * config->groups, sizeof *batch->parts);
    assert_non_null(batch->parts);
    for (size_t i = 0; i < batch->rows * config->groups; i++)
        batch->parts[i] = (float)fixture_uniform(&rng, -1, 1);
    return batch;
}

static void list_batch_free(mtf_batch *batch)
{
    free(batch->parts);
    fixture_batch_free(batch);
}

static void list_train(mtf_algorithm *algorithm, uint64_t first, uint64_t count, float junk)
{
    for (uint64_t step = first; step < first + count; step++) {
        mtf_batch *batch = list_batch(&algorithm->config, 900 + step, junk);
        mtf_step_metrics metrics;
        mtf_err err = {0};
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite && metrics.phi_mean > 0 && metrics.phi_mean <= 1);
        list_batch_free(batch);
    }
}

static mtf_buf saved(const mtf_algorithm *algorithm)
{
    mtf_buf out = {0};
    ops->save(algorithm, &out);
    assert_false(out.failed);
    return out;
}

static void assert_same(const mtf_algorithm *a, const mtf_algorithm *b)
{
    mtf_buf one = saved(a), two = saved(b);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    mtf_buf_fini(&one), mtf_buf_fini(&two);
}

/* -- central differences -- */

typedef struct plain_case {
    const mtf_algorithm *algorithm;
    const mtf_batch *batch;
    double *actor, *critics[4], y[4][64];
} plain_case;

static double *plain_copy(const mtf_mlp *mlp, const float *block)
{
    double *plain = calloc(plain_count(mlp), sizeof *plain);
    assert_non_null(plain);
    plain_from(mlp, block, plain);
    return plain;
}

static bool is_there(const float *s, int j)
{
    return s[USER + j] != 0.0f;
}

/* The state of item j, and behind it room for an action. */
static void plain_state(const float *s, int j, double x[USER + OWN + ACTION])
{
    for (int i = 0; i < USER; i++) x[i] = (double)s[i];
    for (int i = 0; i < OWN; i++) x[USER + i] = (double)s[USER + LIST + j * OWN + i];
}

static void plain_mu(const plain_case *plain, const double *actor, double x[USER + OWN + ACTION])
{
    double out[ACTION];
    plain_forward(&plain->algorithm->actor_mlp, actor, x, NULL, NULL, out);
    for (int d = 0; d < ACTION; d++) x[USER + OWN + d] = tanh(out[d]);
}

static double plain_q(const plain_case *plain, const double *critic, const double *x)
{
    double q;
    plain_forward(&plain->algorithm->critic_mlp, critic, x, NULL, NULL, &q);
    return q;
}

/* The sum over dimensions of f(excess / kappa) at the action behind x. */
static double plain_excess(const plain_case *plain, const double *x, const float *bp,
                           const float *lower, const float *upper, bool penalty)
{
    double sum = 0;
    for (int d = 0; d < ACTION; d++) {
        const double low = (double)bp[d] + (double)lower[d],
                     high = (double)bp[d] + (double)upper[d];
        if (!(upper[d] > lower[d])) continue;
        const double action = x[USER + OWN + d];
        const double z = fmax(0, fmax(action - high, low - action)) /
                         (plain->algorithm->config.beta * fmax(high - low, 0.01));
        sum += !penalty ? z : z > 5 ? expm1(5) + exp(5) * (z - 5) : expm1(z);
    }
    return sum;
}

static void plain_targets(plain_case *plain, uint32_t critic)
{
    const mtf_algorithm *algorithm = plain->algorithm;
    const mtf_batch *batch = plain->batch;
    const uint32_t group = critic / algorithm->config.critics;
    double *actor = plain_copy(&algorithm->actor_mlp, algorithm->actor.target);
    double *target = plain_copy(&algorithm->critic_mlp, algorithm->critics[critic].target);
    for (size_t b = 0; b < batch->rows; b++) {
        const float *s2 = batch->s2 + b * batch->state_dim;
        double sum = 0;
        for (int j = 0; j < LIST; j++) {
            const size_t at = (b * LIST + (size_t)j) * ACTION;
            double x[USER + OWN + ACTION];
            if (!is_there(s2, j)) continue;
            plain_state(s2, j, x);
            plain_mu(plain, actor, x);
            const double q = plain_q(plain, target, x);
            const double out = plain_excess(plain, x, batch->bp2 + at, batch->lower2 + at,
                                            batch->upper2 + at, false);
            sum += q > 0 ? q * exp(-out) : q;
        }
        plain->y[critic][b] =
            (double)batch->parts[b * algorithm->groups + group] / algorithm->group_scales[group] +
            algorithm->config.gamma * (1 - (double)batch->done[b]) * sum;
    }
    free(actor), free(target);
}

static double plain_critic_loss(const plain_case *plain, uint32_t critic)
{
    const mtf_batch *batch = plain->batch;
    double loss = 0;
    for (size_t b = 0; b < batch->rows; b++) {
        const float *s = batch->s + b * batch->state_dim;
        double miss = -plain->y[critic][b];
        for (int j = 0; j < LIST; j++) {
            double x[USER + OWN + ACTION];
            if (!is_there(s, j)) continue;
            plain_state(s, j, x);
            for (int d = 0; d < ACTION; d++)
                x[USER + OWN + d] = (double)batch->a[(b * LIST + (size_t)j) * ACTION + (size_t)d];
            miss += plain_q(plain, plain->critics[critic], x);
        }
        loss += (double)batch->weight[b] * miss * miss;
    }
    return loss / (double)batch->rows;
}

static double plain_item_loss(const plain_case *plain, const double *x)
{
    const mtf_algorithm *algorithm = plain->algorithm;
    const mtf_algorithm_config *config = &algorithm->config;
    const uint32_t m = config->critics;
    double loss = 0;
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        const double share =
            config->group_weights[g] * algorithm->group_scales[g] / algorithm->reward_scale;
        double q[4], mean = 0, variance = 0;
        for (uint32_t i = 0; i < m; i++) {
            q[i] = plain_q(plain, plain->critics[g * m + i], x);
            mean += q[i] / m;
        }
        for (uint32_t i = 0; i < m; i++) variance += (q[i] - mean) * (q[i] - mean) / m;
        loss += share * (config->lambda * sqrt(variance + 1e-8) - mean / LIST);
    }
    return loss;
}

static double plain_actor_loss(const plain_case *plain)
{
    const mtf_batch *batch = plain->batch;
    double loss = 0;
    for (size_t b = 0; b < batch->rows; b++) {
        const float *s = batch->s + b * batch->state_dim;
        for (int j = 0; j < LIST; j++) {
            const size_t at = (b * LIST + (size_t)j) * ACTION;
            double x[USER + OWN + ACTION];
            if (!is_there(s, j)) continue;
            plain_state(s, j, x);
            plain_mu(plain, plain->actor, x);
            const double d =
                plain_excess(plain, x, batch->bp + at, batch->lower + at, batch->upper + at, true);
            loss += (double)batch->weight[b] *
                    (plain->algorithm->config.eta * d + plain_item_loss(plain, x));
        }
    }
    return loss / (double)batch->rows;
}

static double plain_loss(const plain_case *plain, int critic)
{
    return critic < 0 ? plain_actor_loss(plain) : plain_critic_loss(plain, (uint32_t)critic);
}

static void compare(const plain_case *plain, const mtf_mlp *mlp, double *weights,
                    const float *gradient, int critic)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        double largest = 0;
        for (size_t i = 0; i < count; i++)
            largest = fmax(largest, fabs((double)gradient[tensor->offset + i]));
        assert_true(largest > 0);
        for (size_t i = 0; i < count; i++, weights++) {
            const double kept = *weights, half = 1e-6;
            *weights = kept + half;
            const double more = plain_loss(plain, critic);
            *weights = kept - half;
            const double less = plain_loss(plain, critic);
            *weights = kept;
            mtf_assert_close((double)gradient[tensor->offset + i], (more - less) / (2 * half), 5e-4,
                             5e-4 * largest);
        }
    }
}

static void every_gradient_equals_central_differences(void **state)
{
    (void)state;
    const mtf_algorithm_config config = list_config();
    mtf_algorithm *algorithm = list_open(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(61), 2);
    mtf_mlp_init(&algorithm->actor_mlp, algorithm->actor.weights, &rng, 1.0);
    mtf_mlp_init(&algorithm->actor_mlp, algorithm->actor.target, &rng, 1.0);
    for (uint32_t i = 0; i < algorithm->critic_count; i++)
        mtf_mlp_init(&algorithm->critic_mlp, algorithm->critics[i].target, &rng, 1.0);
    mtf_batch *batch = list_batch(&config, mtf_test_seed(61), 0.0f);
    plain_case plain = {.algorithm = algorithm, .batch = batch};
    algorithm->batch = batch;
    mtf_integrated_prepare(algorithm, 0);
    plain.actor = plain_copy(&algorithm->actor_mlp, algorithm->actor.weights);
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
        plain.critics[i] = plain_copy(&algorithm->critic_mlp, algorithm->critics[i].weights);
        plain_targets(&plain, i);
    }
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
        mtf_critic_gradient(algorithm, i, 0);
        mtf_assert_close(algorithm->results[i].loss, plain_critic_loss(&plain, i), 1e-5, 1e-6);
        compare(&plain, &algorithm->critic_mlp, plain.critics[i], algorithm->workers[0].gradient,
                (int)i);
        mtf_critic_policy(algorithm, i, 0);
    }
    assert_int_equal(algorithm->chunk_count, 1);
    mtf_actor_gradient(algorithm, 0);
    mtf_actor_gather(algorithm);
    compare(&plain, &algorithm->actor_mlp, plain.actor, algorithm->actor_gradients, -1);
    mtf_step_metrics metrics;
    mtf_integrated_metrics(algorithm, &metrics);
    mtf_assert_close(metrics.actor_loss / algorithm->reward_scale, plain_actor_loss(&plain), 1e-5,
                     1e-5);
    free(plain.actor);
    for (uint32_t i = 0; i < algorithm->critic_count; i++) free(plain.critics[i]);
    list_batch_free(batch);
    ops->close(algorithm);
}

/* -- lists -- */

static void what_lies_behind_a_short_list_counts_for_nothing(void **state)
{
    (void)state;
    const mtf_algorithm_config config = list_config();
    mtf_algorithm *clean = list_open(&config), *junk = list_open(&config);
    list_train(clean, 0, 30, 0.0f);
    list_train(junk, 0, 30, 0.7f);
    assert_same(clean, junk);
    mtf_batch *a = list_batch(&config, 5, 0.0f), *b = list_batch(&config, 5, 0.7f);
    float q[2][64];
    ops->value(clean, a->rows, a->s, a->a, q[0]);
    ops->value(clean, b->rows, b->s, b->a, q[1]);
    assert_memory_equal(q[0], q[1], a->rows * sizeof(float));
    list_batch_free(a), list_batch_free(b);
    ops->close(clean), ops->close(junk);
}

/* The same rows as lists of one item and as requests: the item's floats behind the user's. */
static void a_list_of_one_is_the_default_learner_bit_for_bit(void **state)
{
    (void)state;
    mtf_algorithm_config plain = fixture_config(), config = plain;
    config.list = 1, config.item_dim = 3;
    config.state_dim = plain.state_dim + 1;
    config.enhanced.critics = plain.critics;
    config.groups = 0;
    mtf_algorithm *one = list_open(&config), *request = fixture_open(&plain);
    mtf_err err = {0};
    mtf_assert_ok(mtf_integrated_ops.begin_round(request, 0.5, true, &err), &err);
    const size_t user = plain.state_dim - config.item_dim;
    mtf_batch *rows = fixture_batch_new(&plain), *lists = fixture_batch_new(&config);
    for (uint64_t step = 0; step < 60; step++) {
        mtf_rng rng = mtf_rng_of(31, step);
        mtf_step_metrics a, b;
        fixture_batch_fill(rows, &rng, 0.3);
        mtf_batch view = *rows;
        view.s = lists->s, view.s2 = lists->s2, view.state_dim = config.state_dim;
        const float *const from[] = {rows->s, rows->s2};
        float *const to[] = {view.s, view.s2};
        for (size_t i = 0; i < 2 * rows->rows; i++) {
            const size_t row = i / 2;
            const float *s = from[i % 2] + row * plain.state_dim;
            float *wide = to[i % 2] + row * config.state_dim;
            memcpy(wide, s, user * sizeof *s);
            wide[user] = i % 2 && rows->done[row] != 0.0f ? 0.0f : 1.0f;
            memcpy(wide + user + 1, s + user, config.item_dim * sizeof *s);
        }
        mtf_assert_ok(mtf_integrated_ops.step(request, rows, &a, &err), &err);
        mtf_assert_ok(ops->step(one, &view, &b, &err), &err);
        assert_true(a.critic_loss == b.critic_loss);
    }
    fixture_assert_same_block(&request->actor_mlp, request->actor.weights, one->actor.weights);
    for (uint32_t i = 0; i < plain.critics; i++)
        fixture_assert_same_block(&request->critic_mlp, request->critics[i].target,
                                  one->critics[i].target);
    fixture_batch_free(rows), fixture_batch_free(lists);
    mtf_integrated_ops.close(request), ops->close(one);
}

static void values_of_items_add_up_to_the_lists(void **state)
{
    (void)state;
    mtf_algorithm_config config = list_config();
    mtf_algorithm *algorithm = list_open(&config);
    list_train(algorithm, 0, 10, 0.0f);
    mtf_batch *batch = list_batch(&config, 6, 0.0f);
    float whole[64], alone[64], sum[64] = {0};
    ops->value(algorithm, batch->rows, batch->s, batch->a, whole);
    for (int j = 0; j < LIST; j++) {
        float *s = calloc(batch->rows * batch->state_dim, sizeof *s);
        assert_non_null(s);
        memcpy(s, batch->s, batch->rows * batch->state_dim * sizeof *s);
        for (size_t b = 0; b < batch->rows; b++)
            for (int k = 0; k < LIST; k++)
                if (k != j) s[b * batch->state_dim + USER + (size_t)k] = 0;
        ops->value(algorithm, batch->rows, s, batch->a, alone);
        for (size_t b = 0; b < batch->rows; b++) sum[b] += alone[b];
        free(s);
    }
    for (size_t b = 0; b < batch->rows; b++)
        mtf_assert_close((double)sum[b], (double)whole[b], 1e-5, 1e-6);
    list_batch_free(batch);
    ops->close(algorithm);
}

static void an_item_acts_alike_wherever_it_stands(void **state)
{
    (void)state;
    mtf_algorithm_config config = list_config();
    mtf_algorithm *algorithm = list_open(&config);
    list_train(algorithm, 0, 10, 0.0f);
    float s[2][USER + LIST * (1 + OWN)] = {
        {0.3f, -0.5f, 1, 1, 1, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f},
        {0.3f, -0.5f, 1, 1, 1, 0.5f, 0.6f, 0.3f, 0.4f, 0.1f, 0.2f}};
    float a[2][LIST * ACTION];
    ops->act(algorithm, 2, s[0], a[0]);
    mtf_assert_close((double)a[0][0], (double)a[1][4], 1e-6, 1e-7);
    mtf_assert_close((double)a[0][5], (double)a[1][1], 1e-6, 1e-7);
    assert_true(fabsf(a[0][0] - a[0][4]) > 1e-6f);
    ops->close(algorithm);
}

/* -- what every learner owes -- */

static void a_stopped_run_resumes_bit_for_bit_on_any_threads(void **state)
{
    (void)state;
    mtf_algorithm_config config = list_config();
    config.batch = 64 * 2 + 10; /* chunks of lists */
    mtf_algorithm *whole = list_open(&config), *half = list_open(&config), *resumed;
    mtf_err err = {0};
    list_train(whole, 0, 25, 0.0f);
    list_train(half, 0, 11, 0.0f);
    mtf_buf bytes = saved(half);
    config.threads = 3;
    resumed = list_open(&config);
    mtf_assert_ok(ops->load(resumed, mtf_buf_span(&bytes), &err), &err);
    list_train(resumed, 11, 14, 0.0f);
    assert_same(whole, resumed);
    for (size_t cut = 0; cut < bytes.size; cut += 1 + bytes.size / 60)
        assert_int_equal(ops->load(resumed, (mtf_span){bytes.data, cut}, &err), MTF_CORRUPT);
    mtf_buf_fini(&bytes);
    ops->close(whole), ops->close(half), ops->close(resumed);
}

static void foreign_checkpoints_and_settings_are_refused(void **state)
{
    (void)state;
    mtf_algorithm_config config = list_config(), plain = fixture_config();
    mtf_algorithm *lists = list_open(&config), *requests = fixture_open(&plain), *none;
    mtf_buf of_requests = {0};
    mtf_err err = {0};
    mtf_integrated_ops.save(requests, &of_requests);
    assert_int_equal(ops->load(lists, mtf_buf_span(&of_requests), &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "algorithm enhanced"));
    assert_int_equal(mtf_integrated_ops.open(&config, &none, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "policy.list"));
    assert_int_equal(mtf_ddpg_ops.open(&config, &none, &err), MTF_INVALID);
    assert_int_equal(ops->open(&plain, &none, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "policy.list"));
    config.action_dim++;
    assert_int_equal(ops->open(&config, &none, &err), MTF_INVALID);
    config = list_config();
    config.state_dim = LIST * (1 + OWN) - 1;
    assert_int_equal(ops->open(&config, &none, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "do not fit"));
    mtf_buf_fini(&of_requests);
    ops->close(lists), mtf_integrated_ops.close(requests);
}

/* What serving code gets: layers from | user | item | to the item's action. */
static void exported_layers_act_as_the_learner_does_on_an_item(void **state)
{
    (void)state;
    const mtf_algorithm_config config = list_config();
    mtf_algorithm *algorithm = list_open(&config), *other = list_open(&config);
    uint32_t widths[5];
    const float *weights[4], *biases[4];
    mtf_err err = {0};
    list_train(algorithm, 0, 20, 0.0f);
    const uint32_t layers = ops->actor(algorithm, widths, weights, biases);
    assert_int_equal(layers, 3);
    assert_int_equal(widths[0], USER + OWN);
    assert_int_equal(widths[3], ACTION);
    ops->reinit(other, 99, true, true);
    mtf_assert_ok(ops->set_actor(other, layers, widths, weights, biases, &err), &err);
    mtf_batch *batch = list_batch(&config, 7, 0.0f);
    float mine[64 * LIST * ACTION], theirs[64 * LIST * ACTION];
    ops->act(algorithm, batch->rows, batch->s, mine);
    ops->act(other, batch->rows, batch->s, theirs);
    assert_memory_equal(mine, theirs, batch->rows * LIST * ACTION * sizeof(float));
    double *plain = plain_copy(&algorithm->actor_mlp, algorithm->actor.weights);
    const plain_case from = {.algorithm = algorithm};
    for (size_t b = 0; b < batch->rows; b++)
        for (int j = 0; j < LIST; j++) {
            double x[USER + OWN + ACTION];
            plain_state(batch->s + b * batch->state_dim, j, x);
            plain_mu(&from, plain, x);
            for (int d = 0; d < ACTION; d++)
                mtf_assert_close((double)mine[(b * LIST + (size_t)j) * ACTION + (size_t)d],
                                 x[USER + OWN + d], 1e-5, 1e-6);
        }
    free(plain);
    list_batch_free(batch);
    ops->close(algorithm), ops->close(other);
}

/* A list's reward is the sum over its items of -|a_j - o_j|^2, o_j = +-0.1 by the item's first
 * number: one action for all could at best be 0; each item finds its own. */
static void every_item_finds_its_own_optimum(void **state)
{
    (void)state;
    mtf_algorithm_config config = list_config();
    config.hidden = 32, config.batch = 64, config.gamma = 0.0, config.steps = 3000;
    config.actor_lr = 2e-3, config.critic_lr = 1e-2, config.groups = 0;
    config.enhanced.critics = 2;
    mtf_algorithm *algorithm = list_open(&config);
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(62), 0);
    mtf_err err = {0};
    mtf_assert_ok(ops->begin_round(algorithm, 0.02, true, &err), &err);
    for (uint64_t step = 0; step < config.steps; step++) {
        mtf_step_metrics metrics;
        for (size_t b = 0; b < batch->rows; b++) {
            float *s = batch->s + b * batch->state_dim;
            double reward = 0;
            const uint64_t items = 1 + mtf_rng_below(&rng, LIST);
            for (int i = 0; i < USER; i++) s[i] = (float)fixture_uniform(&rng, -1, 1);
            for (uint64_t j = 0; j < LIST; j++) {
                const float kind = mtf_rng_below(&rng, 2) ? 1.0f : -1.0f;
                s[USER + j] = j < items ? 1.0f : 0.0f;
                s[USER + LIST + OWN * j] = kind;
                s[USER + LIST + OWN * j + 1] = (float)fixture_uniform(&rng, -1, 1);
                for (size_t d = 0; d < ACTION; d++) {
                    const size_t at = (b * LIST + j) * ACTION + d;
                    const double a = fixture_uniform(&rng, -0.15, 0.15);
                    const double miss = a - 0.1 * (double)kind * (d ? -1 : 1);
                    batch->a[at] = (float)a;
                    batch->lower[at] = -0.15f, batch->upper[at] = 0.15f;
                    if (j < items) reward -= miss * miss;
                }
            }
            batch->r[b] = (float)reward;
            batch->done[b] = 1.0f;
        }
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite);
    }
    float a[LIST * ACTION];
    const float s[] = {0.2f, -0.3f, 1, 1, 1, 1, 0.1f, -1, 0.5f, 1, -0.7f};
    ops->act(algorithm, 1, s, a);
    for (int j = 0; j < LIST; j++) {
        const double kind = j == 1 ? -1 : 1;
        mtf_assert_close((double)a[j * ACTION], 0.1 * kind, 0, 0.04);
        mtf_assert_close((double)a[j * ACTION + 1], -0.1 * kind, 0, 0.04);
    }
    fixture_batch_free(batch);
    ops->close(algorithm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_equals_central_differences),
        cmocka_unit_test(what_lies_behind_a_short_list_counts_for_nothing),
        cmocka_unit_test(a_list_of_one_is_the_default_learner_bit_for_bit),
        cmocka_unit_test(values_of_items_add_up_to_the_lists),
        cmocka_unit_test(an_item_acts_alike_wherever_it_stands),
        cmocka_unit_test(a_stopped_run_resumes_bit_for_bit_on_any_threads),
        cmocka_unit_test(foreign_checkpoints_and_settings_are_refused),
        cmocka_unit_test(exported_layers_act_as_the_learner_does_on_an_item),
        cmocka_unit_test(every_item_finds_its_own_optimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
