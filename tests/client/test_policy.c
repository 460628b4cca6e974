/** Goal: a policy acts as its network says, always within [-1,1], and its table is read strictly.
 *  Method: a brute-force forward pass in double, hostile states, and settings right and wrong. */
#include "support/mtf_test.h"

#include "client/sample_policy.h"
#include "core/settings.h"

#include "core/hash.h"

#include <float.h>

#define ANNA 18.256053 /* % below which no canary of version 7 serves this user */

static void a_new_policy_acts_zero_everywhere(void **state)
{
    (void)state;
    mtf_action_table table;
    const uint32_t widths[] = {3, 5, 4};
    mtf_assert_ok(mtf_action_table_parse(&table, SAMPLE_ACTIONS, NULL), NULL);
    mtf_policy *policy = mtf_policy_new(widths, 2, &table);
    float action[4] = {9, 9, 9, 9};
    mtf_policy_act(policy, (float[]){1e30F, -5, NAN}, action);
    for (int d = 0; d < 4; d++) assert_true(action[d] == 0);
    assert_string_equal(policy->info.stage, "live");
    assert_string_equal(policy->info.verdict, "hold");
    mtf_policy_free(policy);
}

static void a_constant_policy_takes_its_action_whatever_the_state(void **state)
{
    (void)state;
    mtf_action_table table;
    const float wanted[4] = {1, -1, 0.3F, -0.9999F};
    float action[4];
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, SAMPLE_ACTIONS, NULL), NULL);
    mtf_policy *made = mtf_policy_constant(3, &table, wanted), *policy;
    assert_non_null(made);
    snprintf(made->info.name, sizeof made->info.name, "constant");
    made->info.version = 1;
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err); /* as it is served */
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&record), &policy, &err), &err);
    const float states[][3] = {{0, 0, 0}, {1e30F, -5, NAN}, {-3, FLT_MAX, INFINITY}};
    for (size_t i = 0; i < 3; i++) {
        mtf_policy_act(policy, states[i], action);
        for (int d = 0; d < 4; d++) mtf_assert_close(action[d], wanted[d], 0, 1e-6);
    }
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
    mtf_policy_free(made);
}

/* Formula by formula, in double, without regard for speed. */
static void act_slowly(const mtf_policy *policy, const float *features, double *action)
{
    double x[512], y[512];
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        x[i] = isfinite(features[i])
                   ? ((double)features[i] - policy->mean[i]) / policy->deviation[i]
                   : 0;
    }
    for (uint32_t l = 0; l < policy->layer_count; l++) {
        const mtf_policy_layer *layer = &policy->layers[l];
        for (uint32_t o = 0; o < layer->outputs; o++) {
            y[o] = layer->bias[o];
            for (uint32_t i = 0; i < layer->inputs; i++)
                y[o] += layer->weight[o * layer->inputs + i] * x[i];
            if (l + 1 < policy->layer_count && y[o] < 0) y[o] = 0;
        }
        memcpy(x, y, layer->outputs * sizeof y[0]);
    }
    for (uint32_t d = 0; d < policy->action_dim; d++) action[d] = tanh(y[d]);
}

static void the_forward_pass_is_the_networks(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(11);
    /* widths round the eight rows taken at once, and far from them */
    static const uint32_t hidden[] = {1, 7, 8, 9, 64, 130};
    for (size_t h = 0; h < sizeof hidden / sizeof hidden[0]; h++) {
        mtf_policy *policy = sample_policy(seed + h, 33, hidden[h]);
        mtf_rng rng = mtf_rng_of(seed, h);
        for (int n = 0; n < 50; n++) {
            float features[33], action[4];
            double expected[4];
            for (int i = 0; i < 33; i++) features[i] = (float)(4 * mtf_rng_normal(&rng));
            if (n % 3 == 0) features[n % 33] = NAN;
            mtf_policy_act(policy, features, action);
            act_slowly(policy, features, expected);
            for (int d = 0; d < 4; d++) mtf_assert_close(action[d], expected[d], 0, 2e-5);
        }
        mtf_policy_free(policy);
    }
}

static void a_missing_feature_counts_as_its_mean(void **state)
{
    (void)state;
    mtf_policy *policy = sample_policy(5, 6, 16);
    float known[6] = {1, 2, 3, 4, 5, 6}, missing[6] = {1, 2, 3, 4, 5, 6}, a[4], b[4];
    known[2] = policy->mean[2], known[5] = policy->mean[5];
    missing[2] = NAN, missing[5] = -INFINITY;
    mtf_policy_act(policy, known, a);
    mtf_policy_act(policy, missing, b);
    assert_memory_equal(a, b, sizeof a);
    mtf_policy_free(policy);
}

static void no_state_leads_out_of_the_range(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(3);
    const float extremes[] = {FLT_MAX, -FLT_MAX, INFINITY, NAN, 1e38F, -1e38F, FLT_MIN, 0};
    mtf_rng rng = mtf_rng_of(seed, 0);
    mtf_policy *policy = sample_policy(seed, 20, 24);
    for (int n = 0; n < 2000; n++) {
        float features[20], action[4];
        for (int i = 0; i < 20; i++) features[i] = extremes[mtf_rng_below(&rng, 8)];
        mtf_policy_act(policy, features, action);
        for (int d = 0; d < 4; d++) assert_true(action[d] >= -1 && action[d] <= 1);
    }
    mtf_policy_free(policy);
}

static void a_clone_shares_nothing(void **state)
{
    (void)state;
    mtf_policy *policy = sample_policy(8, 4, 8), *copy = mtf_policy_clone(policy);
    float before[4], after[4], features[4] = {1, -1, 2, 0.5F};
    mtf_policy_act(policy, features, before);
    for (size_t i = 0; i < policy->block_count; i++) policy->block[i] = 0.5F;
    mtf_policy_act(copy, features, after);
    assert_memory_equal(before, after, sizeof before);
    assert_string_equal(copy->info.name, "sample");
    assert_int_equal(copy->info.offset_count, 3);
    mtf_policy_free(policy);
    mtf_policy_free(copy);
    mtf_policy_free(NULL);
}

static void a_number_is_added_once_and_replaced(void **state)
{
    (void)state;
    mtf_policy_info info = {0};
    mtf_policy_set_number(&info, "value", 1);
    mtf_policy_set_number(&info, "value_z", 2);
    mtf_policy_set_number(&info, "value", 3);
    assert_int_equal(info.number_count, 2);
    assert_true(mtf_policy_get_number(&info, "value") == 3);
    assert_true(mtf_policy_get_number(&info, "value_z") == 2);
    assert_true(isnan(mtf_policy_get_number(&info, "valu")));
}

/** Serving code in another language does the same: XXH3-128 of (length, bytes) of "7" and the user,
 *  the first 53 bits of the canonical digest over 2^53, by Python's xxhash. */
static void a_canary_serves_its_share_of_users_by_lot(void **state)
{
    (void)state;
    enum { USERS = 100000 };
    mtf_policy *canary = sample_policy(1, 3, 4), *next = sample_policy(1, 3, 4);
    int served = 0, both = 0, of_the_other = 0, held_out = 0;
    canary->info.version = 7, next->info.version = 8;
    assert_false(mtf_policy_canary_serves(canary, mtf_str_of("anna"))); /* without a share */
    mtf_policy_set_number(&canary->info, MTF_CANARY_PERCENT, ANNA + 0.001);
    assert_true(mtf_policy_canary_serves(canary, mtf_str_of("anna")));
    mtf_policy_set_number(&canary->info, MTF_CANARY_PERCENT, ANNA - 0.001);
    assert_false(mtf_policy_canary_serves(canary, mtf_str_of("anna")));
    mtf_policy_set_number(&canary->info, MTF_CANARY_PERCENT, 5);
    mtf_policy_set_number(&next->info, MTF_CANARY_PERCENT, 5);
    for (int i = 0; i < USERS; i++) {
        char user[24];
        snprintf(user, sizeof user, "user-%d", i);
        const bool serves = mtf_policy_canary_serves(canary, mtf_str_of(user));
        const bool other = mtf_policy_canary_serves(next, mtf_str_of(user));
        served += serves, of_the_other += other, both += serves && other;
        held_out += serves && mtf_hash64(user, strlen(user)) % 100 < 10; /* as the gate's users */
    }
    const double sd = sqrt(0.05 * 0.95 * USERS);
    mtf_assert_close(served, 0.05 * USERS, 0, 4 * sd);
    mtf_assert_close(of_the_other, 0.05 * USERS, 0, 4 * sd);
    mtf_assert_close(both, 0.05 * 0.05 * USERS, 0, 4 * sqrt(0.0025 * USERS)); /* drawn anew */
    mtf_assert_close(held_out, 0.1 * served, 0, 4 * sqrt(0.09 * served));
    mtf_policy_free(canary);
    mtf_policy_free(next);
}

static void the_default_table_is_five_exponents_and_five_biases(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_action_table table;
    mtf_err err = {0};
    mtf_assert_ok(mtf_settings_init(&settings, &err), &err);
    mtf_assert_ok(mtf_action_table_parse(&table, settings.policy_actions, &err), &err);
    assert_int_equal(table.count, 10);
    assert_int_equal(table.prediction_count, 5);
    assert_string_equal(table.dims[9].prediction, "negative");
    assert_true(table.dims[9].bias);
    assert_int_equal(table.dims[9].prediction_index, 4);
    assert_true(table.dims[4].low == -2 && table.dims[4].high == 0 && !table.dims[4].bias);
    mtf_settings_fini(&settings);
}

static void names_may_hold_dots_and_numbers_may_lack_zeros(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_err err = {0};
    mtf_assert_ok(
        mtf_action_table_parse(&table, " b.v2.pow=-.5...5,a.pow=1..1 b.v2.bias=1e-3..2 ", &err),
        &err);
    assert_int_equal(table.count, 3);
    assert_string_equal(table.dims[0].prediction, "b.v2");
    assert_true(table.dims[0].low == -0.5F && table.dims[0].high == 0.5F);
    assert_int_equal(table.dims[1].prediction_index, 1);
    assert_int_equal(table.dims[2].prediction_index, 0);
}

static void a_wrong_pair_is_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "watch.pow",         "watch=0..1",
        ".pow=0..1",         "watch.pow=0",
        "watch.pow=0.1",     "watch.power=0..1",
        "watch.pow=1..0",    "watch.pow=0..x",
        "watch.pow=nan..1",  "watch.pow=0..inf",
        "watch.pow=0..1..2", "watch.pow=0..1e99",
        "watch.pow=..",      "a-name-that-is-far-too-long-for-a-prediction-and-goes-on.pow=0..1",
    };
    mtf_action_table table;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[200];
        mtf_err err = {0};
        snprintf(text, sizeof text, "valid.pow=0..1 %s", wrong[i]);
        assert_int_equal(mtf_action_table_parse(&table, text, &err), MTF_INVALID);
        if (!strstr(err.msg, wrong[i])) fail_msg("%s: %s", wrong[i], err.msg);
    }
    mtf_err err = {0};
    assert_int_equal(mtf_action_table_parse(&table, "a.pow=0..1 a.pow=0..2", &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "a.pow is there twice"));
    assert_int_equal(mtf_action_table_parse(&table, " , ", &err), MTF_INVALID);
    assert_int_equal(mtf_action_table_parse(&table, "a.pow=-1..1 a.bias=-0.1..0.5", &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "\"a.bias=-0.1..0.5\" goes below 0"));
    mtf_assert_ok(mtf_action_table_parse(&table, "a.pow=-1..1 a.bias=0..0.5", &err), &err);
}

static void more_actions_than_fit_are_refused(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_buf text = {0};
    for (int i = 0; i < MTF_POLICY_ACTIONS_MAX; i++) mtf_buf_printf(&text, "p%d.pow=0..1 ", i);
    mtf_assert_ok(mtf_action_table_parse(&table, (char *)text.data, NULL), NULL);
    mtf_buf_printf(&text, "one.pow=0..1");
    assert_int_equal(mtf_action_table_parse(&table, (char *)text.data, NULL), MTF_INVALID);
    mtf_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_policy_acts_zero_everywhere),
        cmocka_unit_test(a_constant_policy_takes_its_action_whatever_the_state),
        cmocka_unit_test(the_forward_pass_is_the_networks),
        cmocka_unit_test(a_missing_feature_counts_as_its_mean),
        cmocka_unit_test(no_state_leads_out_of_the_range),
        cmocka_unit_test(a_clone_shares_nothing),
        cmocka_unit_test(a_number_is_added_once_and_replaced),
        cmocka_unit_test(a_canary_serves_its_share_of_users_by_lot),
        cmocka_unit_test(the_default_table_is_five_exponents_and_five_biases),
        cmocka_unit_test(names_may_hold_dots_and_numbers_may_lack_zeros),
        cmocka_unit_test(a_wrong_pair_is_named),
        cmocka_unit_test(more_actions_than_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
