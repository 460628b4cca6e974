/* Goal: a run depends on nothing but its inputs: not on the number of threads, not on being stopped
 * and resumed; and rounds, scales, restarts and the export do what the interface says. Method: runs
 * that must agree bit for bit, and hostile checkpoints. */
#include "learner/integrated.h"
#include "learner/learner_fixture.h"

#include <string.h>

static const mtf_algorithm_ops *const ops = &mtf_integrated_ops;

/* Steps on batches drawn by the step's number alone. */
static void train(mtf_algorithm *algorithm, uint64_t first, uint64_t count,
                  mtf_step_metrics *metrics)
{
    mtf_batch *batch = fixture_batch_new(&algorithm->config);
    for (uint64_t k = first; k < first + count; k++) {
        mtf_rng rng = mtf_rng_of(77, k);
        fixture_batch_fill(batch, &rng, 0.3);
        mtf_err err = {0};
        mtf_assert_ok(ops->step(algorithm, batch, metrics, &err), &err);
        assert_true(metrics->finite);
    }
    fixture_batch_free(batch);
}

static void begin(mtf_algorithm *algorithm, double scale)
{
    mtf_err err = {0};
    mtf_assert_ok(ops->begin_round(algorithm, scale, true, &err), &err);
}

static mtf_buf saved(const mtf_algorithm *algorithm)
{
    mtf_buf out = {0};
    ops->save(algorithm, &out);
    assert_false(out.failed);
    return out;
}

static void assert_same_state(const mtf_algorithm *a, const mtf_algorithm *b)
{
    mtf_buf one = saved(a), two = saved(b);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    mtf_buf_fini(&one);
    mtf_buf_fini(&two);
}

static void check_threads(const mtf_gemm *gemm)
{
    mtf_algorithm_config config = fixture_config();
    config.gemm = gemm;
    config.batch = 150; /* three chunks of rows, the last one short */
    config.critics = 7;
    config.target_every = 4;
    mtf_algorithm *one = fixture_open(&config);
    mtf_step_metrics first, other;
    begin(one, 0.7);
    train(one, 0, 20, &first);
    for (uint32_t threads = 2; threads <= 4; threads++) {
        config.threads = threads;
        mtf_algorithm *many = fixture_open(&config);
        begin(many, 0.7);
        train(many, 0, 20, &other);
        assert_memory_equal(&first, &other, offsetof(mtf_step_metrics, finite));
        assert_same_state(one, many);
        ops->close(many);
    }
    ops->close(one);
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    check_threads(NULL);
    check_threads(&mtf_gemm_openblas);
    if (mtf_gemm_bf16()) check_threads(mtf_gemm_bf16());
}

static void check_resume(const mtf_gemm *gemm)
{
    mtf_algorithm_config config = fixture_config();
    config.gemm = gemm;
    config.target_every = 5;
    mtf_algorithm *whole = fixture_open(&config);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    begin(whole, 0.3);
    train(whole, 0, 13, &metrics);
    mtf_buf bytes = saved(whole);
    config.seed = 4711; /* nothing of the new instance's own start may remain */
    config.threads = 2;
    mtf_algorithm *resumed = fixture_open(&config);
    mtf_assert_ok(ops->load(resumed, mtf_buf_span(&bytes), &err), &err);
    train(whole, 13, 17, &metrics);
    train(resumed, 13, 17, &metrics);
    assert_same_state(whole, resumed);
    mtf_buf_fini(&bytes);
    ops->close(whole);
    ops->close(resumed);
}

static void resumed_run_equals_the_uninterrupted_one(void **state)
{
    (void)state;
    check_resume(NULL);
    check_resume(&mtf_gemm_openblas);
    if (mtf_gemm_bf16()) check_resume(mtf_gemm_bf16());
}

static void bf16_changes_neither_the_checkpoint_nor_the_actions(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    mtf_algorithm *exact = fixture_open(&config);
    config.gemm = mtf_gemm_bf16();
    mtf_algorithm *rounded = fixture_open(&config);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    begin(rounded, 0.3);
    train(rounded, 0, 10, &metrics);
    mtf_buf bytes = saved(rounded);
    mtf_assert_ok(ops->load(exact, mtf_buf_span(&bytes), &err), &err);
    assert_same_state(exact, rounded);
    float s[5] = {0.3f, -1.0f, 0.7f, 2.0f, -0.1f}, a[3], again[3];
    ops->act(rounded, 1, s, a);
    ops->act(exact, 1, s, again);
    assert_memory_equal(a, again, sizeof a); /* the exported actor's, in float32 */
    mtf_buf_fini(&bytes);
    ops->close(exact);
    ops->close(rounded);
}

static void damaged_or_foreign_checkpoints_are_refused(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_buf bytes = saved(algorithm);
    mtf_err err = {0};
    for (size_t cut = 0; cut < bytes.size; cut += 1 + bytes.size / 200) {
        const mtf_span part = {bytes.data, cut};
        assert_int_equal(ops->load(algorithm, part, &err), MTF_CORRUPT);
    }
    mtf_buf_put_u8(&bytes, 0);
    assert_int_equal(ops->load(algorithm, mtf_buf_span(&bytes), &err), MTF_CORRUPT);
    bytes.size--;
    const float nan = NAN;
    uint8_t kept[4];
    memcpy(kept, bytes.data + bytes.size - 4, 4);
    memcpy(bytes.data + bytes.size - 4, &nan, 4);
    assert_int_equal(ops->load(algorithm, mtf_buf_span(&bytes), &err), MTF_CORRUPT);
    memcpy(bytes.data + bytes.size - 4, kept, 4);
    mtf_assert_ok(ops->load(algorithm, mtf_buf_span(&bytes), &err), &err);
    config.hidden = 8;
    mtf_algorithm *narrower = fixture_open(&config);
    assert_int_equal(ops->load(narrower, mtf_buf_span(&bytes), &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "hidden 16"));
    mtf_buf_fini(&bytes);
    ops->close(narrower);
    ops->close(algorithm);
}

/* Mean absolute value of some states and actions, and the rows themselves. */
static void values(mtf_algorithm *algorithm, float q[50])
{
    float s[50 * 5], a[50 * 3];
    mtf_rng rng = mtf_rng_of(5, 5);
    for (size_t i = 0; i < 50 * 5; i++) s[i] = (float)fixture_uniform(&rng, -1, 1);
    for (size_t i = 0; i < 50 * 3; i++) a[i] = (float)fixture_uniform(&rng, -1, 1);
    ops->value(algorithm, 50, s, a, q);
}

static void new_scale_keeps_values_in_reward_units(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_step_metrics metrics;
    float before[50], after[50];
    begin(algorithm, 4.0);
    train(algorithm, 0, 10, &metrics);
    values(algorithm, before);
    const float target =
        mtf_mlp_at(&algorithm->critic_mlp, algorithm->critics[1].target, MTF_MLP_b3)[0];
    begin(algorithm, 0.5);
    values(algorithm, after);
    for (size_t i = 0; i < 50; i++) {
        mtf_assert_close((double)after[i], (double)before[i], 1e-5, 1e-6);
    }
    assert_true(mtf_mlp_at(&algorithm->critic_mlp, algorithm->critics[1].target, MTF_MLP_b3)[0] ==
                8.0f * target);
    assert_int_equal(algorithm->step, 0);
    assert_int_equal(algorithm->critic_t, 0);
    ops->close(algorithm);
}

static void first_scale_leaves_fresh_critics_as_drawn(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *drawn = fixture_open(&config), *begun = fixture_open(&config);
    begin(begun, 100.0);
    fixture_assert_same_block(&drawn->critic_mlp, drawn->critics[2].weights,
                              begun->critics[2].weights);
    mtf_err err = {0};
    assert_int_equal(ops->begin_round(begun, 0.0, true, &err), MTF_INVALID);
    assert_int_equal(ops->begin_round(begun, NAN, true, &err), MTF_INVALID);
    ops->close(drawn);
    ops->close(begun);
}

static void optimizer_state_survives_a_round_only_if_told(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    begin(algorithm, 1.0);
    train(algorithm, 0, 3, &metrics);
    mtf_assert_ok(ops->begin_round(algorithm, 1.0, false, &err), &err);
    assert_int_equal(algorithm->actor_t, 3);
    assert_true(algorithm->actor.v[0] > 0.0f);
    begin(algorithm, 1.0);
    assert_int_equal(algorithm->actor_t, 0);
    for (size_t i = 0; i < algorithm->actor_mlp.size; i++) {
        assert_true(algorithm->actor.m[i] == 0.0f && algorithm->actor.v[i] == 0.0f);
    }
    ops->close(algorithm);
}

static void reinit_starts_anew_only_what_it_is_told(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *trained = fixture_open(&config), *kept = fixture_open(&config);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    begin(trained, 2.0);
    train(trained, 0, 5, &metrics);
    mtf_buf bytes = saved(trained);
    mtf_assert_ok(ops->load(kept, mtf_buf_span(&bytes), &err), &err);
    const size_t critic_bytes = trained->critic_mlp.size * sizeof(float);
    ops->reinit(trained, 1234, false, true);
    fixture_assert_same_block(&trained->actor_mlp, trained->actor.weights, kept->actor.weights);
    assert_memory_not_equal(trained->critics[0].weights, kept->critics[0].weights, critic_bytes);
    assert_memory_not_equal(trained->critics[0].weights, trained->critics[1].weights, critic_bytes);
    fixture_assert_same_block(&trained->critic_mlp, trained->critics[0].weights,
                              trained->critics[0].target);
    ops->reinit(kept, 1234, true, false);
    assert_memory_not_equal(trained->actor.weights, kept->actor.weights,
                            trained->actor_mlp.size * sizeof(float));
    assert_int_equal(kept->actor_t, 0);
    assert_int_equal(kept->critic_t, 5);
    mtf_buf_fini(&bytes);
    ops->close(trained);
    ops->close(kept);
}

static void exported_layers_act_as_the_learner_does(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_step_metrics metrics;
    begin(algorithm, 1.0);
    train(algorithm, 0, 30, &metrics);
    uint32_t widths[5];
    const float *weights[4], *biases[4];
    assert_int_equal(ops->actor(algorithm, widths, weights, biases), 3);
    const uint32_t expected[] = {5, 16, 16, 3};
    assert_memory_equal(widths, expected, sizeof expected);
    enum { ROWS = 75 }; /* more than a batch: acts in pieces */
    float s[ROWS * 5], a[ROWS * 3];
    mtf_rng rng = mtf_rng_of(mtf_test_seed(21), 0);
    for (size_t i = 0; i < ROWS * 5; i++) s[i] = (float)fixture_uniform(&rng, -2, 2);
    ops->act(algorithm, ROWS, s, a);
    for (size_t b = 0; b < ROWS; b++) {
        double x[16], y[16];
        for (size_t i = 0; i < 5; i++) x[i] = (double)s[b * 5 + i];
        for (uint32_t layer = 0; layer < 3; layer++) {
            for (uint32_t o = 0; o < widths[layer + 1]; o++) {
                y[o] = (double)biases[layer][o];
                for (uint32_t i = 0; i < widths[layer]; i++) {
                    y[o] += (double)weights[layer][o * widths[layer] + i] * x[i];
                }
            }
            for (uint32_t o = 0; o < widths[layer + 1]; o++)
                x[o] = layer < 2 ? fmax(y[o], 0) : y[o];
        }
        for (size_t d = 0; d < 3; d++) {
            mtf_assert_close((double)a[b * 3 + d], tanh(x[d]), 1e-5, 1e-6);
        }
    }
    ops->close(algorithm);
}

static void an_actor_given_by_its_layers_is_that_actor_at_rest(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    mtf_algorithm *trained = fixture_open(&config), *fresh;
    mtf_err err = {0};
    uint32_t widths[5];
    const float *weights[4], *biases[4];
    begin(trained, 1.0);
    mtf_step_metrics metrics;
    train(trained, 0, 20, &metrics);
    const uint32_t layers = ops->actor(trained, widths, weights, biases);
    config.seed = 99;
    fresh = fixture_open(&config);
    mtf_algorithm *drawn = fixture_open(&config);
    mtf_assert_ok(ops->set_actor(fresh, layers, widths, weights, biases, &err), &err);
    fixture_assert_same_block(&fresh->actor_mlp, fresh->actor.weights, trained->actor.weights);
    fixture_assert_same_block(&fresh->actor_mlp, fresh->actor.target, trained->actor.weights);
    fixture_assert_same_block(&fresh->actor_mlp, fresh->actor.m, drawn->actor.m);
    fixture_assert_same_block(&fresh->critic_mlp, fresh->critics[1].weights,
                              drawn->critics[1].weights);
    for (int i = 0; i < 4; i++) { /* each width off by one, then a layer less */
        uint32_t other[5];
        memcpy(other, widths, sizeof other);
        other[i]++;
        assert_int_equal(ops->set_actor(fresh, layers, other, weights, biases, &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "learner.hidden"));
    }
    assert_int_equal(ops->set_actor(fresh, 2, widths, weights, biases, &err), MTF_INVALID);
    fixture_assert_same_block(&fresh->actor_mlp, fresh->actor.weights, trained->actor.weights);
    ops->close(trained);
    ops->close(fresh);
    ops->close(drawn);
}

static void value_is_the_critics_mean_in_reward_units(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    begin(algorithm, 3.0);
    float q[50];
    values(algorithm, q); /* 50 rows in pieces of 32 */
    mtf_rng rng = mtf_rng_of(5, 5);
    double x[50][8], expected[50] = {0};
    for (size_t b = 0; b < 50; b++) {
        for (size_t i = 0; i < 5; i++) x[b][i] = (double)(float)fixture_uniform(&rng, -1, 1);
    }
    for (size_t b = 0; b < 50; b++) {
        for (size_t i = 5; i < 8; i++) x[b][i] = (double)(float)fixture_uniform(&rng, -1, 1);
    }
    double plain[2048];
    assert_in_range(plain_count(&algorithm->critic_mlp), 1, 2048);
    for (uint32_t i = 0; i < config.critics; i++) {
        plain_from(&algorithm->critic_mlp, algorithm->critics[i].weights, plain);
        for (size_t b = 0; b < 50; b++) {
            double one;
            plain_forward(&algorithm->critic_mlp, plain, x[b], NULL, NULL, &one);
            expected[b] += 3.0 * one / config.critics;
        }
    }
    for (size_t b = 0; b < 50; b++) mtf_assert_close((double)q[b], expected[b], 1e-5, 1e-6);
    ops->close(algorithm);
}

static void metrics_are_in_reward_units(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    mtf_algorithm *one = fixture_open(&config), *ten = fixture_open(&config);
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(22), 0);
    fixture_batch_fill(batch, &rng, 0.3);
    mtf_step_metrics small, large;
    mtf_err err = {0};
    begin(one, 1.0);
    begin(ten, 8.0);
    mtf_assert_ok(ops->step(one, batch, &small, &err), &err);
    for (size_t b = 0; b < batch->rows; b++) batch->r[b] *= 8.0f;
    mtf_assert_ok(ops->step(ten, batch, &large, &err), &err);
    assert_true(large.q_mean == 8.0 * small.q_mean && large.q_abs_max == 8.0 * small.q_abs_max);
    assert_true(large.critic_spread == 8.0 * small.critic_spread);
    assert_true(large.critic_loss == 64.0 * small.critic_loss);
    assert_true(large.phi_mean == small.phi_mean && large.outside == small.outside);
    assert_true(small.phi_mean > 0.0 && small.phi_mean < 1.0);
    assert_true(small.outside > 0.0 && small.outside < 1.0);
    assert_true(small.q_abs_max >= fabs(small.q_mean) && small.critic_spread > 0.0);
    fixture_batch_free(batch);
    ops->close(one);
    ops->close(ten);
}

static void broken_numbers_are_reported_at_once(void **state)
{
    (void)state;
    const mtf_algorithm_config config = fixture_config();
    for (int where = 0; where < 5; where++) {
        mtf_algorithm *algorithm = fixture_open(&config);
        mtf_batch *batch = fixture_batch_new(&config);
        mtf_rng rng = mtf_rng_of(23, 0);
        fixture_batch_fill(batch, &rng, 0.3);
        begin(algorithm, 1.0);
        if (where == 0) batch->r[3] = NAN;
        if (where == 1) batch->r[3] = 3e38f;
        if (where == 2) algorithm->critics[2].weights[7] = NAN;
        if (where == 3) algorithm->actor.weights[7] = NAN;
        if (where == 4) algorithm->critics[1].target[7] = NAN;
        mtf_step_metrics metrics;
        mtf_err err = {0};
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_false(metrics.finite);
        fixture_batch_free(batch);
        ops->close(algorithm);
    }
}

static void wrong_settings_and_batches_are_refused_by_name(void **state)
{
    (void)state;
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_algorithm_config config = fixture_config();
    config.hidden = 0;
    assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "learner.hidden"));
    config = fixture_config();
    config.beta = NAN;
    assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
    config = fixture_config();
    config.threads = 0;
    assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
    assert_null(algorithm);
    config = fixture_config();
    algorithm = fixture_open(&config);
    config.batch = 31;
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_step_metrics metrics;
    assert_int_equal(ops->step(algorithm, batch, &metrics, &err), MTF_INVALID);
    fixture_batch_free(batch);
    ops->close(algorithm);
    ops->close(NULL);
}

/* -- groups of critics -- */

static mtf_algorithm_config grouped_config(void)
{
    mtf_algorithm_config config = fixture_config();
    config.groups = 2;
    config.group_weights[0] = 1.0;
    config.group_weights[1] = 0.5;
    config.target_every = 3;
    return config;
}

/* Steps first .. first + count on rows whose reward has two parts. */
static void train_grouped(mtf_algorithm *algorithm, uint64_t first, uint64_t count)
{
    mtf_batch *batch = fixture_batch_new(&algorithm->config);
    batch->groups = 2;
    batch->parts = calloc(2 * batch->rows, sizeof *batch->parts);
    assert_non_null(batch->parts);
    for (uint64_t step = first; step < first + count; step++) {
        mtf_rng rng = mtf_rng_of(77, step);
        mtf_step_metrics metrics;
        mtf_err err = {0};
        fixture_batch_fill(batch, &rng, 0.3);
        for (size_t b = 0; b < batch->rows; b++) {
            batch->parts[2 * b] = (float)fixture_uniform(&rng, -1, 1);
            batch->parts[2 * b + 1] = batch->r[b] - batch->parts[2 * b];
        }
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
    }
    free(batch->parts);
    fixture_batch_free(batch);
}

static void begin_grouped(mtf_algorithm *algorithm, double first, double second)
{
    mtf_err err = {0};
    mtf_assert_ok(ops->scale_groups(algorithm, (double[]){first, second}, &err), &err);
    mtf_assert_ok(ops->begin_round(algorithm, 0.7, true, &err), &err);
}

static void a_run_with_groups_resumes_bit_for_bit(void **state)
{
    (void)state;
    const mtf_algorithm_config config = grouped_config();
    mtf_algorithm *whole = fixture_open(&config), *half = fixture_open(&config);
    begin_grouped(whole, 0.5, 0.25);
    train_grouped(whole, 0, 40);
    begin_grouped(half, 0.5, 0.25);
    train_grouped(half, 0, 17);
    mtf_buf bytes = saved(half);
    mtf_err err = {0};
    mtf_algorithm *resumed = fixture_open(&config);
    mtf_assert_ok(ops->load(resumed, mtf_buf_span(&bytes), &err), &err);
    train_grouped(resumed, 17, 23);
    mtf_buf a = saved(whole), b = saved(resumed);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    for (size_t cut = 0; cut < bytes.size; cut += 1 + bytes.size / 100)
        assert_int_equal(ops->load(resumed, (mtf_span){bytes.data, cut}, &err), MTF_CORRUPT);
    mtf_buf_fini(&a), mtf_buf_fini(&b), mtf_buf_fini(&bytes);
    ops->close(whole), ops->close(half), ops->close(resumed);
}

static void checkpoints_of_other_groups_are_refused(void **state)
{
    (void)state;
    mtf_algorithm_config config = grouped_config(), plain = fixture_config();
    mtf_algorithm *two = fixture_open(&config), *none = fixture_open(&plain);
    config.groups = 3;
    mtf_algorithm *three = fixture_open(&config);
    mtf_buf of_two = saved(two), of_none = saved(none);
    mtf_err err = {0};
    assert_int_equal(ops->load(none, mtf_buf_span(&of_two), &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "reward.groups"));
    assert_int_equal(ops->load(two, mtf_buf_span(&of_none), &err), MTF_INVALID);
    assert_int_equal(ops->load(three, mtf_buf_span(&of_two), &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "2 groups"));
    /* One group has the checkpoint it always had. */
    assert_int_equal(mtf_load_u32_le(of_none.data + 4), 1);
    mtf_buf_fini(&of_two), mtf_buf_fini(&of_none);
    ops->close(two), ops->close(none), ops->close(three);
}

static void one_explicit_group_is_the_default_bit_for_bit(void **state)
{
    (void)state;
    const mtf_algorithm_config plain = fixture_config();
    mtf_algorithm_config config = plain;
    config.groups = 1;
    config.group_weights[0] = 1.0;
    mtf_algorithm *none = fixture_open(&plain), *one = fixture_open(&config);
    mtf_batch *batch = fixture_batch_new(&plain);
    mtf_err err = {0};
    mtf_assert_ok(ops->begin_round(none, 0.7, true, &err), &err);
    mtf_assert_ok(ops->scale_groups(one, (double[]){0.7}, &err), &err);
    mtf_assert_ok(ops->begin_round(one, 0.7, true, &err), &err);
    for (uint64_t step = 0; step < 40; step++) {
        mtf_rng rng = mtf_rng_of(78, step);
        mtf_step_metrics a, b;
        fixture_batch_fill(batch, &rng, 0.3);
        mtf_assert_ok(ops->step(none, batch, &a, &err), &err);
        batch->groups = 1;
        batch->parts = batch->r;
        mtf_assert_ok(ops->step(one, batch, &b, &err), &err);
        batch->groups = 0;
        batch->parts = NULL;
        assert_true(a.critic_loss == b.critic_loss && a.actor_loss == b.actor_loss);
        assert_true(a.q_mean == b.q_mean && a.critic_spread == b.critic_spread);
    }
    fixture_assert_same_block(&none->actor_mlp, none->actor.weights, one->actor.weights);
    for (uint32_t i = 0; i < plain.critics; i++) {
        fixture_assert_same_block(&none->critic_mlp, none->critics[i].weights,
                                  one->critics[i].weights);
        fixture_assert_same_block(&none->critic_mlp, none->critics[i].v, one->critics[i].v);
    }
    fixture_batch_free(batch);
    ops->close(none), ops->close(one);
}

static void groups_and_parts_must_fit(void **state)
{
    (void)state;
    mtf_algorithm_config config = grouped_config();
    mtf_algorithm *algorithm = fixture_open(&config), *bad;
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    assert_int_equal(ops->step(algorithm, batch, &metrics, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "0 parts"));
    assert_int_equal(ops->scale_groups(algorithm, (double[]){1, 0}, &err), MTF_INVALID);
    assert_int_equal(ops->scale_groups(algorithm, (double[]){1, NAN}, &err), MTF_INVALID);
    config.group_weights[1] = -1;
    assert_int_equal(ops->open(&config, &bad, &err), MTF_INVALID);
    config.groups = MTF_GROUPS_MAX + 1;
    assert_int_equal(ops->open(&config, &bad, &err), MTF_INVALID);
    fixture_batch_free(batch);
    ops->close(algorithm);
}

/* Another scale of one part changes no value: the critics' heads are rescaled, group by group. */
static void new_scales_of_groups_keep_values_in_reward_units(void **state)
{
    (void)state;
    const mtf_algorithm_config config = grouped_config();
    mtf_algorithm *algorithm = fixture_open(&config);
    float before[50], after[50];
    begin_grouped(algorithm, 0.5, 0.25);
    train_grouped(algorithm, 0, 10);
    values(algorithm, before);
    begin_grouped(algorithm, 0.1, 3.0);
    values(algorithm, after);
    for (int i = 0; i < 50; i++) mtf_assert_close((double)after[i], (double)before[i], 1e-4, 1e-6);
    ops->close(algorithm);
}

static void algorithms_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(mtf_algorithm_find("integrated"), ops);
    assert_ptr_equal(mtf_algorithm_find("ddpg"), &mtf_ddpg_ops);
    assert_null(mtf_algorithm_find("ddpgs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(resumed_run_equals_the_uninterrupted_one),
        cmocka_unit_test(bf16_changes_neither_the_checkpoint_nor_the_actions),
        cmocka_unit_test(damaged_or_foreign_checkpoints_are_refused),
        cmocka_unit_test(new_scale_keeps_values_in_reward_units),
        cmocka_unit_test(first_scale_leaves_fresh_critics_as_drawn),
        cmocka_unit_test(optimizer_state_survives_a_round_only_if_told),
        cmocka_unit_test(reinit_starts_anew_only_what_it_is_told),
        cmocka_unit_test(exported_layers_act_as_the_learner_does),
        cmocka_unit_test(an_actor_given_by_its_layers_is_that_actor_at_rest),
        cmocka_unit_test(value_is_the_critics_mean_in_reward_units),
        cmocka_unit_test(metrics_are_in_reward_units),
        cmocka_unit_test(broken_numbers_are_reported_at_once),
        cmocka_unit_test(wrong_settings_and_batches_are_refused_by_name),
        cmocka_unit_test(a_run_with_groups_resumes_bit_for_bit),
        cmocka_unit_test(checkpoints_of_other_groups_are_refused),
        cmocka_unit_test(one_explicit_group_is_the_default_bit_for_bit),
        cmocka_unit_test(groups_and_parts_must_fit),
        cmocka_unit_test(new_scales_of_groups_keep_values_in_reward_units),
        cmocka_unit_test(algorithms_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
