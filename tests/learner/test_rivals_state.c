/* Goal: what the learners to compare with promise alike: a run depends neither on the number of
 * threads nor on being stopped and resumed; rounds, scales, restarts, export and refusals are those
 * of the interface. Method: the same tests for each of them, runs that must agree bit for bit, and
 * hostile checkpoints. */
#include "learner/learner_fixture.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <string.h>

static const mtf_algorithm_ops *const rivals[] = {&mtf_td3bc_ops, &mtf_iql_ops, &mtf_cql_sac_ops,
                                                  &mtf_batchrl_ops};
enum { RIVALS = sizeof rivals / sizeof rivals[0] };

/* For the body of a test, `ops` each of them in turn. */
#define EACH_RIVAL(ops)                                                                            \
    for (size_t r_ = 0; r_ < RIVALS; r_++)                                                         \
        for (const mtf_algorithm_ops *ops = rivals[r_]; ops; ops = NULL)

static mtf_algorithm *open_rival(const mtf_algorithm_ops *ops, const mtf_algorithm_config *config)
{
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_assert_ok(ops->open(config, &algorithm, &err), &err);
    return algorithm;
}

static void begin(const mtf_algorithm_ops *ops, mtf_algorithm *algorithm, double scale)
{
    mtf_err err = {0};
    mtf_assert_ok(ops->begin_round(algorithm, scale, true, &err), &err);
}

/* Steps on batches drawn by the step's number alone. */
static void train(const mtf_algorithm_ops *ops, mtf_algorithm *algorithm, uint64_t first,
                  uint64_t count, mtf_step_metrics *metrics)
{
    mtf_batch *batch = fixture_batch_new(&algorithm->config);
    for (uint64_t k = first; k < first + count; k++) {
        mtf_rng rng = mtf_rng_of(77, k);
        fixture_batch_fill(batch, &rng, 0.5);
        mtf_err err = {0};
        mtf_assert_ok(ops->step(algorithm, batch, metrics, &err), &err);
        assert_true(metrics->finite);
    }
    fixture_batch_free(batch);
}

static mtf_buf saved(const mtf_algorithm_ops *ops, const mtf_algorithm *algorithm)
{
    mtf_buf out = {0};
    ops->save(algorithm, &out);
    assert_false(out.failed);
    return out;
}

static void assert_same_state(const mtf_algorithm_ops *ops, const mtf_algorithm *a,
                              const mtf_algorithm *b)
{
    mtf_buf one = saved(ops, a), two = saved(ops, b);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    mtf_buf_fini(&one);
    mtf_buf_fini(&two);
}

/* A trained one. */
static mtf_algorithm *trained(const mtf_algorithm_ops *ops, const mtf_algorithm_config *config,
                              uint64_t steps)
{
    mtf_step_metrics metrics;
    mtf_algorithm *algorithm = open_rival(ops, config);
    begin(ops, algorithm, 0.7);
    train(ops, algorithm, 0, steps, &metrics);
    return algorithm;
}

static void each_is_found_by_its_name(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        mtf_algorithm_config config = fixture_config();
        assert_ptr_equal(mtf_algorithm_find(ops->name), ops);
        ops->configure(&config);
        assert_int_equal(config.critics, 2);
        assert_true((ops->actor == NULL) == (ops->set_actor == NULL));
    }
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    const mtf_gemm *const gemms[] = {NULL, mtf_gemm_bf16()};
    EACH_RIVAL(ops)
    {
        for (size_t g = 0; g < 2 && (g == 0 || gemms[g]); g++) {
            mtf_algorithm_config config = fixture_config();
            config.gemm = gemms[g], config.target_every = 4;
            mtf_algorithm *one = trained(ops, &config, 20);
            for (uint32_t threads = 2; threads <= 3; threads++) {
                config.threads = threads;
                mtf_algorithm *many = trained(ops, &config, 20);
                assert_same_state(ops, one, many);
                ops->close(many);
            }
            ops->close(one);
        }
    }
}

static void resumed_run_equals_the_uninterrupted_one(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        mtf_algorithm_config config = fixture_config();
        mtf_step_metrics here, there;
        mtf_err err = {0};
        config.target_every = 5;
        mtf_algorithm *whole = trained(ops, &config, 13);
        mtf_buf bytes = saved(ops, whole);
        config.seed = 4711; /* nothing of the new instance's own start may remain */
        mtf_algorithm *resumed = open_rival(ops, &config);
        mtf_assert_ok(ops->load(resumed, mtf_buf_span(&bytes), &err), &err);
        assert_same_state(ops, whole, resumed);
        train(ops, whole, 13, 17, &here);
        train(ops, resumed, 13, 17, &there);
        assert_same_state(ops, whole, resumed);
        assert_memory_equal(&here, &there, offsetof(mtf_step_metrics, finite));
        mtf_buf_fini(&bytes);
        ops->close(whole);
        ops->close(resumed);
    }
}

/* A second round does not repeat the first one's noise. */
static void draws_go_on_from_round_to_round(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        mtf_algorithm *algorithm = trained(ops, &config, 3);
        mtf_rng before = mtf_rival_draws(algorithm, 0);
        begin(ops, algorithm, 0.7);
        mtf_rng after = mtf_rival_draws(algorithm, 0);
        assert_int_equal(algorithm->step, 0);
        assert_true(mtf_rng_next(&before) == mtf_rng_next(&after));
        algorithm->taken = 0;
        mtf_rng again = mtf_rival_draws(algorithm, 0);
        assert_true(mtf_rng_next(&after) != mtf_rng_next(&again));
        ops->close(algorithm);
    }
}

static void damaged_or_foreign_checkpoints_are_refused(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        mtf_algorithm_config config = fixture_config();
        mtf_algorithm *algorithm = trained(ops, &config, 2);
        mtf_buf bytes = saved(ops, algorithm);
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
        bytes.data[8] ^= 1; /* another algorithm's name */
        assert_int_equal(ops->load(algorithm, mtf_buf_span(&bytes), &err), MTF_CORRUPT);
        assert_non_null(strstr(err.msg, ops->name));
        bytes.data[8] ^= 1;
        mtf_assert_ok(ops->load(algorithm, mtf_buf_span(&bytes), &err), &err);
        config.hidden = 8;
        mtf_algorithm *narrower = open_rival(ops, &config);
        assert_int_equal(ops->load(narrower, mtf_buf_span(&bytes), &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "hidden 16"));
        mtf_buf_fini(&bytes);
        ops->close(narrower);
        ops->close(algorithm);
    }
}

static void values(const mtf_algorithm_ops *ops, mtf_algorithm *algorithm, float q[50])
{
    float s[50 * 5], a[50 * 3];
    mtf_rng rng = mtf_rng_of(5, 5);
    for (size_t i = 0; i < 50 * 5; i++) s[i] = (float)fixture_uniform(&rng, -1, 1);
    for (size_t i = 0; i < 50 * 3; i++) a[i] = (float)fixture_uniform(&rng, -1, 1);
    ops->value(algorithm, 50, s, a, q);
}

static void value_is_the_critics_mean_in_reward_units(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        mtf_algorithm *algorithm = open_rival(ops, &config);
        float q[50];
        begin(ops, algorithm, 3.0);
        values(ops, algorithm, q); /* 50 rows in pieces of 32 */
        mtf_rng rng = mtf_rng_of(5, 5);
        double x[50][8], plain[2048], one, two;
        for (size_t b = 0; b < 50; b++) {
            for (size_t i = 0; i < 5; i++) x[b][i] = (double)(float)fixture_uniform(&rng, -1, 1);
        }
        const mtf_rival_net *nets = algorithm->nets;
        for (size_t b = 0; b < 50; b++) {
            for (size_t i = 5; i < 8; i++) x[b][i] = (double)(float)fixture_uniform(&rng, -1, 1);
            plain_from(&nets[0].mlp, nets[0].net.weights, plain);
            plain_forward(&nets[0].mlp, plain, x[b], NULL, NULL, &one);
            plain_from(&nets[1].mlp, nets[1].net.weights, plain);
            plain_forward(&nets[1].mlp, plain, x[b], NULL, NULL, &two);
            mtf_assert_close((double)q[b], 1.5 * (one + two), 1e-5, 1e-6);
        }
        ops->close(algorithm);
    }
}

static void new_scale_keeps_values_in_reward_units(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        mtf_algorithm *drawn = open_rival(ops, &config), *algorithm = trained(ops, &config, 10);
        float before[50], after[50];
        mtf_err err = {0};
        values(ops, algorithm, before);
        begin(ops, algorithm, 0.1);
        values(ops, algorithm, after);
        for (size_t i = 0; i < 50; i++)
            mtf_assert_close((double)after[i], (double)before[i], 1e-5, 1e-6);
        assert_int_equal(algorithm->nets[MTF_RIVAL_Q1].t, 0);
        /* The first scale leaves fresh critics as drawn. */
        mtf_algorithm *begun = open_rival(ops, &config);
        begin(ops, begun, 100.0);
        for (uint32_t i = 0; i < begun->net_count; i++)
            fixture_assert_same_block(&begun->nets[i].mlp, begun->nets[i].net.weights,
                                      drawn->nets[i].net.weights);
        assert_int_equal(ops->begin_round(begun, 0.0, true, &err), MTF_INVALID);
        assert_int_equal(ops->begin_round(begun, NAN, true, &err), MTF_INVALID);
        ops->close(begun);
        ops->close(drawn);
        ops->close(algorithm);
    }
}

static void optimizer_state_survives_a_round_only_if_told(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        mtf_algorithm *algorithm = trained(ops, &config, 4);
        mtf_err err = {0};
        mtf_assert_ok(ops->begin_round(algorithm, 0.7, false, &err), &err);
        for (uint32_t i = 0; i < algorithm->net_count; i++) {
            assert_true(algorithm->nets[i].t > 0);
            assert_true(algorithm->nets[i].net.v[0] != 0.0f || i == MTF_RIVAL_ACTOR);
        }
        begin(ops, algorithm, 0.7);
        for (uint32_t i = 0; i < algorithm->net_count; i++) {
            const mtf_rival_net *net = &algorithm->nets[i];
            assert_int_equal(net->t, 0);
            for (size_t k = 0; k < net->mlp.size; k++)
                assert_true(net->net.m[k] == 0.0f && net->net.v[k] == 0.0f);
        }
        for (size_t k = 0; k < algorithm->loose_count; k++)
            assert_true(algorithm->loose.m[k] == 0.0f && algorithm->loose.v[k] == 0.0f);
        assert_int_equal(algorithm->loose_t, 0);
        ops->close(algorithm);
    }
}

static void reinit_starts_anew_only_what_it_is_told(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        for (int actor = 0; actor < 2; actor++) {
            mtf_algorithm *kept = trained(ops, &config, 5), *anew = trained(ops, &config, 5);
            ops->reinit(anew, 1234, actor, !actor);
            for (uint32_t i = 0; i < kept->net_count; i++) {
                const mtf_rival_net *a = &kept->nets[i], *b = &anew->nets[i];
                const bool changed = a->shape.value ? !actor : actor;
                if (!changed) {
                    fixture_assert_same_block(&a->mlp, a->net.weights, b->net.weights);
                    assert_int_equal(a->t, b->t);
                } else {
                    assert_memory_not_equal(a->net.weights, b->net.weights,
                                            a->mlp.size * sizeof(float));
                    fixture_assert_same_block(&b->mlp, b->net.weights, b->net.target);
                    assert_int_equal(b->t, 0);
                }
            }
            assert_memory_not_equal(anew->nets[0].net.weights, anew->nets[1].net.weights,
                                    anew->nets[0].mlp.size * sizeof(float));
            ops->close(kept);
            ops->close(anew);
        }
    }
}

/* The layers of the export, applied as everybody else would. */
static void act_by_layers(uint32_t layers, const uint32_t *widths, const float *const *weights,
                          const float *const *biases, const float *s, double *a)
{
    double x[64], y[64];
    for (uint32_t i = 0; i < widths[0]; i++) x[i] = (double)s[i];
    for (uint32_t layer = 0; layer < layers; layer++) {
        const uint32_t inputs = widths[layer], outputs = widths[layer + 1];
        for (uint32_t o = 0; o < outputs; o++) {
            y[o] = (double)biases[layer][o];
            for (uint32_t i = 0; i < inputs; i++)
                y[o] += (double)weights[layer][o * inputs + i] * x[i];
        }
        for (uint32_t o = 0; o < outputs; o++) x[o] = layer + 1 < layers ? fmax(y[o], 0) : y[o];
    }
    for (uint32_t d = 0; d < widths[layers]; d++) a[d] = tanh(x[d]);
}

static void exported_layers_act_as_the_learner_does(void **state)
{
    (void)state;
    enum { ROWS = 75 }; /* more than a batch: acts in pieces */
    EACH_RIVAL(ops)
    {
        if (!ops->actor) continue;
        mtf_algorithm_config config = fixture_config();
        mtf_algorithm *algorithm = trained(ops, &config, 30);
        uint32_t widths[5];
        const float *weights[4], *biases[4];
        const uint32_t expected[] = {5, 16, 16, 3};
        float s[ROWS * 5], a[ROWS * 3];
        double theirs[3];
        assert_int_equal(ops->actor(algorithm, widths, weights, biases), 3);
        assert_memory_equal(widths, expected, sizeof expected);
        mtf_rng rng = mtf_rng_of(mtf_test_seed(21), 0);
        for (size_t i = 0; i < ROWS * 5; i++) s[i] = (float)fixture_uniform(&rng, -2, 2);
        ops->act(algorithm, ROWS, s, a);
        for (size_t b = 0; b < ROWS; b++) {
            act_by_layers(3, widths, weights, biases, s + b * 5, theirs);
            for (size_t d = 0; d < 3; d++)
                mtf_assert_close((double)a[b * 3 + d], theirs[d], 1e-5, 1e-6);
        }
        /* And back: the same actions from another instance. */
        config.seed = 99;
        float again[ROWS * 3];
        mtf_err err = {0};
        mtf_algorithm *fresh = open_rival(ops, &config);
        mtf_assert_ok(ops->set_actor(fresh, 3, widths, weights, biases, &err), &err);
        ops->act(fresh, ROWS, s, again);
        assert_memory_equal(a, again, sizeof a);
        widths[1]++;
        assert_int_equal(ops->set_actor(fresh, 3, widths, weights, biases, &err), MTF_INVALID);
        assert_int_equal(ops->set_actor(fresh, 2, widths, weights, biases, &err), MTF_INVALID);
        ops->close(fresh);
        ops->close(algorithm);
    }
}

static void metrics_are_in_reward_units(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        mtf_algorithm *one = open_rival(ops, &config), *ten = open_rival(ops, &config);
        mtf_batch *batch = fixture_batch_new(&config);
        mtf_rng rng = mtf_rng_of(mtf_test_seed(22), 0);
        mtf_step_metrics small, large;
        mtf_err err = {0};
        fixture_batch_fill(batch, &rng, 0.3);
        begin(ops, one, 1.0);
        begin(ops, ten, 8.0);
        mtf_assert_ok(ops->step(one, batch, &small, &err), &err);
        for (size_t b = 0; b < batch->rows; b++) batch->r[b] *= 8.0f;
        mtf_assert_ok(ops->step(ten, batch, &large, &err), &err);
        assert_true(large.q_mean == 8.0 * small.q_mean && large.q_abs_max == 8.0 * small.q_abs_max);
        assert_true(large.critic_spread == 8.0 * small.critic_spread);
        assert_true(large.critic_loss == 64.0 * small.critic_loss);
        assert_true(large.actor_loss == small.actor_loss && large.outside == small.outside);
        assert_true(small.phi_mean == 1.0);
        assert_true(small.outside > 0.0 && small.outside < 1.0 && small.penalty > 0.0);
        assert_true(small.q_abs_max >= fabs(small.q_mean) && small.critic_spread > 0.0);
        fixture_batch_free(batch);
        ops->close(one);
        ops->close(ten);
    }
}

static void broken_numbers_are_reported_at_once(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        const mtf_algorithm_config config = fixture_config();
        for (uint32_t where = 0; where < 3; where++) {
            mtf_algorithm *algorithm = open_rival(ops, &config);
            mtf_batch *batch = fixture_batch_new(&config);
            mtf_rng rng = mtf_rng_of(23, 0);
            fixture_batch_fill(batch, &rng, 0.3);
            begin(ops, algorithm, 1.0);
            if (where == 0) batch->r[3] = NAN;
            if (where == 1) batch->r[3] = 3e38f;
            if (where == 2) algorithm->nets[MTF_RIVAL_ACTOR].net.weights[7] = NAN;
            mtf_step_metrics metrics;
            mtf_err err = {0};
            mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
            assert_false(metrics.finite);
            fixture_batch_free(batch);
            ops->close(algorithm);
        }
    }
}

static void wrong_settings_and_batches_are_refused_by_name(void **state)
{
    (void)state;
    EACH_RIVAL(ops)
    {
        mtf_algorithm *algorithm;
        mtf_err err = {0};
        mtf_algorithm_config config = fixture_config();
        config.hidden = 0;
        assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "learner.hidden"));
        assert_null(algorithm);
        config = fixture_config();
        config.threads = 0;
        assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
        assert_null(algorithm);
        config = fixture_config();
        algorithm = open_rival(ops, &config);
        config.batch = 31;
        mtf_batch *batch = fixture_batch_new(&config);
        mtf_step_metrics metrics;
        assert_int_equal(ops->step(algorithm, batch, &metrics, &err), MTF_INVALID);
        fixture_batch_free(batch);
        ops->close(algorithm);
        ops->close(NULL);
    }
}

static void refuses_own(const mtf_algorithm_ops *ops, mtf_algorithm_config config, const char *name)
{
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    assert_int_equal(ops->open(&config, &algorithm, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, name));
    assert_null(algorithm);
}

static void wrong_settings_of_their_own_are_refused_by_name(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    config.td3bc.policy_every = 0;
    refuses_own(&mtf_td3bc_ops, config, "td3bc.policy_every");
    config = fixture_config();
    config.td3bc.alpha = NAN;
    refuses_own(&mtf_td3bc_ops, config, "td3bc.alpha");
    config = fixture_config();
    config.iql.expectile = 1.5;
    refuses_own(&mtf_iql_ops, config, "iql.expectile");
    config = fixture_config();
    config.cql_sac.actions = 0;
    refuses_own(&mtf_cql_sac_ops, config, "cql_sac.actions");
    config = fixture_config();
    config.batchrl.candidates = 0;
    refuses_own(&mtf_batchrl_ops, config, "batchrl.candidates");
    config = fixture_config();
    config.batchrl.gamma = 1.5;
    refuses_own(&mtf_batchrl_ops, config, "batchrl.gamma");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found_by_its_name),
        cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(resumed_run_equals_the_uninterrupted_one),
        cmocka_unit_test(draws_go_on_from_round_to_round),
        cmocka_unit_test(damaged_or_foreign_checkpoints_are_refused),
        cmocka_unit_test(value_is_the_critics_mean_in_reward_units),
        cmocka_unit_test(new_scale_keeps_values_in_reward_units),
        cmocka_unit_test(optimizer_state_survives_a_round_only_if_told),
        cmocka_unit_test(reinit_starts_anew_only_what_it_is_told),
        cmocka_unit_test(exported_layers_act_as_the_learner_does),
        cmocka_unit_test(metrics_are_in_reward_units),
        cmocka_unit_test(broken_numbers_are_reported_at_once),
        cmocka_unit_test(wrong_settings_and_batches_are_refused_by_name),
        cmocka_unit_test(wrong_settings_of_their_own_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
