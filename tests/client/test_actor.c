/** Goal: an actor computes what its policy computes, with every instruction set.
 *  Method: networks of odd and even widths against mtf_policy_act, the plain forward pass; missing
 *  and absurd features; actions that fill their array to the last float.
 */
#include "support/mtf_test.h"

#include "client/actor.h"
#include "core/rng.h"

#include <math.h>

enum { STATES = 200, GUARD = 12345 };

/** Weights of the size that training starts from, which keeps activations and actions of order 1.
 */
static mtf_policy *policy_of(const uint32_t *widths, uint32_t layer_count, uint64_t seed)
{
    mtf_action_table table = {.count = widths[layer_count], .prediction_count = 1};
    mtf_policy *policy = mtf_policy_new(widths, layer_count, &table);
    mtf_rng rng = mtf_rng_of(seed, 3);
    assert_non_null(policy);
    for (uint32_t l = 0; l < layer_count; l++) {
        const mtf_policy_layer *layer = &policy->layers[l];
        const double scale = 1 / sqrt((double)layer->inputs);
        for (size_t i = 0; i < (size_t)layer->inputs * layer->outputs; i++)
            layer->weight[i] = (float)(scale * mtf_rng_normal(&rng));
        for (uint32_t i = 0; i < layer->outputs; i++)
            layer->bias[i] = (float)(0.3 * mtf_rng_normal(&rng));
    }
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        policy->mean[i] = (float)mtf_rng_normal(&rng);
        policy->deviation[i] = (float)(0.5 + mtf_rng_uniform(&rng));
    }
    return policy;
}

static void check_states(const mtf_policy *policy, const mtf_actor *actor, uint64_t seed)
{
    mtf_rng rng = mtf_rng_of(seed, 4);
    float *state = malloc(policy->state_dim * sizeof *state);
    float expected[MTF_POLICY_ACTIONS_MAX], action[MTF_POLICY_ACTIONS_MAX + 1];
    for (int n = 0; n < STATES; n++) {
        for (uint32_t i = 0; i < policy->state_dim; i++) {
            state[i] = policy->mean[i] + policy->deviation[i] * (float)mtf_rng_normal(&rng);
            if (n % 3 == 1 && mtf_rng_below(&rng, 4) == 0) state[i] = NAN;
        }
        action[policy->action_dim] = GUARD;
        mtf_policy_act(policy, state, expected);
        mtf_actor_run(actor, state, action);
        for (uint32_t d = 0; d < policy->action_dim; d++)
            mtf_assert_close(action[d], expected[d], 0, policy->state_dim > 256 ? 1e-5 : 1e-6);
        assert_true(action[policy->action_dim] == GUARD);
    }
    free(state);
}

static void every_instruction_set_computes_the_policy(void **state)
{
    (void)state;
    static const struct {
        uint32_t layers, widths[MTF_POLICY_LAYERS_MAX + 1];
    } shapes[] = {
        {3, {64, 128, 128, 10}}, {3, {64, 256, 256, 10}},
        {3, {1, 1, 1, 1}},       {1, {7, 64}},
        {2, {65, 63, 17}},       {4, {33, 96, 31, 80, 5}},
        {2, {4096, 64, 2}},      {3, {3, 200, 16, 32}},
    };
    const uint64_t seed = mtf_test_seed(11);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        mtf_policy *policy = policy_of(shapes[s].widths, shapes[s].layers, seed + s);
        for (int simd = MTF_SIMD_PORTABLE; simd <= (int)mtf_simd_best(); simd++) {
            mtf_actor *actor = mtf_actor_new_for(policy, (mtf_simd)simd);
            assert_non_null(actor);
            assert_int_equal(mtf_actor_simd(actor), simd);
            check_states(policy, actor, seed);
            mtf_actor_free(actor);
        }
        mtf_policy_free(policy);
    }
}

/** Infinite features count as missing. Sums beyond float's range are infinite or not by how they
 * are rounded on the way; whatever they are, an action is a number in its range. */
static void absurd_numbers_give_an_action_all_the_same(void **state)
{
    (void)state;
    static const uint32_t widths[] = {2, 3, 3};
    for (int simd = MTF_SIMD_PORTABLE; simd <= (int)mtf_simd_best(); simd++) {
        mtf_policy *policy = policy_of(widths, 2, 5);
        mtf_actor *mild = mtf_actor_new_for(policy, (mtf_simd)simd);
        for (int i = 0; i < 9; i++) policy->layers[1].weight[i] = i % 2 ? -3e38F : 3e38F;
        for (int i = 0; i < 6; i++) policy->layers[0].weight[i] = 1e30F;
        mtf_actor *wild = mtf_actor_new_for(policy, (mtf_simd)simd);
        const float states[][2] = {{INFINITY, 1}, {-INFINITY, NAN}, {1e38F, 1e38F},
                                   {50, -50},     {0, 0},           {3e38F, -3e38F}};
        for (size_t n = 0; n < sizeof states / sizeof *states; n++) {
            float action[3];
            mtf_actor_run(wild, states[n], action);
            for (int d = 0; d < 3; d++) assert_true(action[d] >= -1 && action[d] <= 1);
        }
        float missing[3], infinite[3];
        mtf_actor_run(mild, (const float[]){NAN, NAN}, missing);
        mtf_actor_run(mild, (const float[]){INFINITY, -INFINITY}, infinite);
        assert_memory_equal(missing, infinite, sizeof missing);
        mtf_actor_free(mild);
        mtf_actor_free(wild);
        mtf_policy_free(policy);
    }
}

/** The last layer's bias alone reaches the output: tanh over its whole range. */
static void the_squashing_is_exact_to_2e_7(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 64};
    mtf_policy *policy = policy_of(widths, 1, 9);
    for (int o = 0; o < 64; o++) policy->layers[0].weight[o] = 1;
    for (int o = 0; o < 64; o++) policy->layers[0].bias[o] = (float)(o - 32) / 64;
    policy->mean[0] = 0, policy->deviation[0] = 1;
    for (int simd = MTF_SIMD_PORTABLE; simd <= (int)mtf_simd_best(); simd++) {
        mtf_actor *actor = mtf_actor_new_for(policy, (mtf_simd)simd);
        for (float at = -100; at<100; at += at> - 12 && at < 12 ? 0.01F : 1) {
            float action[64];
            mtf_actor_run(actor, &at, action);
            for (int o = 0; o < 64; o++)
                mtf_assert_close(action[o], tanh((double)(policy->layers[0].bias[o] + at)), 0,
                                 2e-7);
        }
        mtf_actor_free(actor);
    }
    mtf_policy_free(policy);
}

/* Items one by one through the plain pass, at their places behind the user's features. */
static void items_act_as_their_states_do(void **state)
{
    (void)state;
    static const struct {
        uint32_t widths[4], layers, features;
    } cases[] = {{{69, 128, 128, 10}, 3, 0},
                 {{24, 33, 7, 4}, 3, 3},
                 {{9, 20, 3, 0}, 2, 6},
                 {{5, 2, 0, 0}, 1, 2},
                 {{3, 2, 0, 0}, 1, 2}};
    enum { ITEMS = 17 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        mtf_policy *policy = policy_of(cases[c].widths, cases[c].layers, c);
        const uint32_t F = cases[c].features, A = policy->action_dim;
        mtf_rng rng = mtf_rng_of(c, 5);
        float user[128], features[ITEMS * 8], predictions[ITEMS], expected[ITEMS * 10];
        float actions[ITEMS * 10 + 1];
        mtf_policy_set_items(policy, F);
        for (int i = 0; i < 128; i++) user[i] = (float)mtf_rng_normal(&rng);
        for (int i = 0; i < ITEMS * 8; i++) features[i] = (float)mtf_rng_normal(&rng);
        for (int i = 0; i < ITEMS; i++) predictions[i] = (float)mtf_rng_uniform(&rng);
        features[0] = NAN; /* missing */
        mtf_policy_act_items(policy, user, ITEMS, features, predictions, expected);
        for (uint32_t item = 0; item < ITEMS; item++) {
            float seen[128], alone[10];
            const uint32_t S = mtf_policy_user_dim(policy);
            memcpy(seen, user, S * sizeof *seen);
            memcpy(seen + S, features + item * F, F * sizeof *seen);
            seen[S + F] = predictions[item];
            mtf_policy_act(policy, seen, alone);
            assert_memory_equal(alone, expected + item * A, A * sizeof *alone);
        }
        for (int simd = 0; simd <= MTF_SIMD_AVX512; simd++) {
            mtf_actor *actor = mtf_actor_new_for(policy, (mtf_simd)simd);
            assert_non_null(actor);
            actions[ITEMS * A] = GUARD;
            mtf_actor_run_items(actor, user, ITEMS, features, predictions, actions);
            for (uint32_t i = 0; i < ITEMS * A; i++)
                mtf_assert_close(actions[i], expected[i], 0, 1e-6);
            assert_true(actions[ITEMS * A] == GUARD);
            mtf_actor_free(actor);
        }
        mtf_policy_free(policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_computes_the_policy),
        cmocka_unit_test(absurd_numbers_give_an_action_all_the_same),
        cmocka_unit_test(the_squashing_is_exact_to_2e_7),
        cmocka_unit_test(items_act_as_their_states_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
