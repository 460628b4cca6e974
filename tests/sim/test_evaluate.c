/** Goal: values are means over sessions with honest intervals, paired on common random numbers,
 *  the same for any thread count; the committed reference belongs to this world, and in it it pays
 *  to look ahead and to treat users apart. Method: evaluations against each other, repeated ones
 * for coverage, and wrong configurations. */
#include "support/mtf_test.h"

#include "sim/sim.h"

static const float middle[MTF_SIM_ACTIONS] = {0};

static mtf_sim *open_default(void)
{
    const mtf_sim_config config = mtf_sim_config_default();
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    return sim;
}

static void any_thread_count_gives_the_same_bits(void **state)
{
    (void)state;
    enum { N = 1001 };
    float one[N], three[N];
    mtf_sim_value a, b;
    mtf_err err = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, N, 5, 1, one, &a, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, N, 5, 3, three, &b, &err), &err);
    assert_memory_equal(one, three, sizeof one);
    assert_memory_equal(&a, &b, sizeof a);
    mtf_sim_close(sim);
}

static void a_policy_of_zeros_is_action_zero(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_sim_value a, b;
    mtf_err err = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_action_table_parse(&table, mtf_sim_config_default().actions, &err), &err);
    mtf_policy *policy =
        mtf_policy_new((const uint32_t[]){MTF_SIM_STATE, 8, MTF_SIM_ACTIONS}, 2, &table);
    assert_non_null(policy);
    mtf_assert_ok(mtf_sim_evaluate(sim, policy, 2000, 5, 2, NULL, &a, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, 2000, 5, 2, NULL, &b, &err), &err);
    assert_memory_equal(&a, &b, sizeof a);
    mtf_policy_free(policy);
    policy = mtf_policy_new((const uint32_t[]){3, MTF_SIM_ACTIONS}, 1, &table);
    assert_non_null(policy);
    assert_int_equal(mtf_sim_evaluate(sim, policy, 2000, 5, 2, NULL, &a, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "maps 3 features"));
    mtf_policy_free(policy);
    mtf_sim_close(sim);
}

static void intervals_cover_the_value_as_often_as_they_say(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(100);
    mtf_sim_value truth, value;
    mtf_err err = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, 60000, seed, 2, NULL, &truth, &err), &err);
    int covered = 0;
    enum { REPEATS = 300 };
    for (uint64_t i = 1; i <= REPEATS; i++) {
        mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, 100, seed + i, 1, NULL, &value, &err),
                      &err);
        covered += value.low <= truth.mean && truth.mean <= value.high;
    }
    print_message("covered %d of %d\n", covered, REPEATS);
    assert_in_range(covered, REPEATS * 89 / 100, REPEATS * 99 / 100);
    mtf_sim_close(sim);
}

static void pairing_narrows_a_difference(void **state)
{
    (void)state;
    enum { N = 4000 };
    static float a[N], b[N];
    float moved[MTF_SIM_ACTIONS] = {0};
    moved[3] = 0.05F;
    mtf_sim_value va, vb;
    mtf_err err = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, N, 5, 2, a, &va, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate_action(sim, moved, N, 5, 2, b, &vb, &err), &err);
    const mtf_sim_gain gain = mtf_sim_paired(a, b, N);
    mtf_assert_close(gain.mean, vb.mean - va.mean, 1e-6, 1e-6);
    assert_true(gain.high - gain.low < 0.7 * (va.high - va.low)); /* unpaired: 1.41 times as wide */
    const mtf_sim_gain none = mtf_sim_paired(a, a, N);
    assert_true(none.mean == 0 && none.low == 0 && none.high == 0);
    mtf_sim_close(sim);
}

static void the_committed_reference_is_of_this_world_and_fair(void **state)
{
    (void)state;
    mtf_sim_reference reference;
    mtf_sim_value value;
    mtf_err err = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_sim_reference_get(sim, &reference, &err), &err);
    assert_true(reference.best_personalised.low >= 1.10 * reference.best_constant.high);
    assert_true(reference.best_personalised.low >= 1.03 * reference.best_myopic.high);
    assert_true(reference.best_constant.low > reference.initial.high);
    mtf_assert_close(reference.initial.session_requests, 3.5, 0, 0.25);
    mtf_assert_ok(
        mtf_sim_evaluate_action(sim, middle, 40000, mtf_test_seed(8), 2, NULL, &value, &err), &err);
    mtf_assert_close(value.mean, reference.initial.mean, 0, 2.5 * (value.high - value.mean));
    mtf_sim_close(sim);
}

static void another_reward_has_no_reference(void **state)
{
    (void)state;
    mtf_sim_config config = mtf_sim_config_default();
    config.reward_weights = "valid=1 watch=0.03 finish=0.5 positive=2 negative=-2";
    config.seed = 17;
    mtf_sim *sim, *seeded;
    mtf_sim_reference reference;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    assert_int_equal(mtf_sim_reference_get(sim, &reference, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "mtf simulate --describe --write"));
    config.reward_weights =
        mtf_sim_config_default().reward_weights; /* the seed alone changes nothing */
    mtf_assert_ok(mtf_sim_open(&config, &seeded, &err), &err);
    mtf_assert_ok(mtf_sim_reference_get(seeded, &reference, &err), &err);
    mtf_sim_close(sim);
    mtf_sim_close(seeded);
}

static void a_search_finds_better_actions_and_says_how_far_it_is(void **state)
{
    (void)state;
    mtf_sim_search search = mtf_sim_search_default();
    search.sessions = 100, search.generations = 8, search.check_sessions = 4000;
    mtf_sim_reference reference;
    mtf_err err = {0};
    mtf_buf text = {0};
    mtf_sim *sim = open_default();
    mtf_assert_ok(mtf_sim_describe(sim, &search, &reference, &err), &err);
    assert_true(reference.best_constant.low > reference.initial.high);
    assert_true(reference.best_personalised.low > reference.best_constant.high);
    assert_true(reference.best_myopic.high < reference.best_personalised.low);
    mtf_sim_reference_text(&reference, &text);
    mtf_sim_reference_json(&reference, &text);
    mtf_buf_put_u8(&text, 0);
    assert_false(text.failed);
    assert_non_null(strstr((const char *)text.data, "long-sighted over myopic"));
    assert_non_null(strstr((const char *)text.data, "\"best_personalised\":{\"mean\":"));
    mtf_buf_fini(&text);
    mtf_sim_close(sim);
}

static void refuses(const mtf_sim_config *config, const char *words)
{
    mtf_sim *sim;
    mtf_err err = {0};
    assert_int_equal(mtf_sim_open(config, &sim, &err), MTF_INVALID);
    assert_null(sim);
    if (strstr(err.msg, words) == NULL) fail_msg("'%s' does not say '%s'", err.msg, words);
}

static void wrong_configurations_are_refused_with_words(void **state)
{
    (void)state;
    mtf_sim_config config = mtf_sim_config_default();
    config.users = 1000;
    refuses(&config, "take more users or a longer span");
    config = mtf_sim_config_default();
    config.sessions = 0;
    refuses(&config, "at least 1");
    config = mtf_sim_config_default();
    config.separation_ms = 60000;
    refuses(&config, "gap above");
    config = mtf_sim_config_default();
    config.reward_weights = "valid=1 likes=2";
    refuses(&config, "no behaviour 'likes=2'");
    config.reward_weights = "valid=x";
    refuses(&config, "not name=number");
    config = mtf_sim_config_default();
    config.actions = "a.pow=0..1 a.bias=0.1..1";
    refuses(&config, "10 dimensions");
    config = mtf_sim_config_default();
    config.baseline_share = 1.5;
    refuses(&config, "baseline share");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_thread_count_gives_the_same_bits),
        cmocka_unit_test(a_policy_of_zeros_is_action_zero),
        cmocka_unit_test(intervals_cover_the_value_as_often_as_they_say),
        cmocka_unit_test(pairing_narrows_a_difference),
        cmocka_unit_test(the_committed_reference_is_of_this_world_and_fair),
        cmocka_unit_test(another_reward_has_no_reference),
        cmocka_unit_test(a_search_finds_better_actions_and_says_how_far_it_is),
        cmocka_unit_test(wrong_configurations_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
