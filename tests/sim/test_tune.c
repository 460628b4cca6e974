/* Goal: a search on the simulated recommender comes close to the best constant action there is,
 * costs the sessions it says, and leaves a policy that serves that action. Method: searches valued
 * on fresh users, against the committed reference of what one action can reach; counts; wrong
 * configurations. */
#include "support/mtf_test.h"

#include "sim/tune.h"

#include <string.h>

static mtf_sim *open_default(void)
{
    const mtf_sim_config config = mtf_sim_config_default();
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    return sim;
}

/* Searches and returns the share of the way from action 0 to the best constant action. */
static double share_reached(const mtf_sim *sim, const mtf_sim_tune_config *config,
                            mtf_sim_tuned *tuned)
{
    mtf_policy *policy;
    mtf_sim_value value;
    mtf_sim_reference reference;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_tune(sim, config, tuned, &policy, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate(sim, policy, 20000, 99, 2, NULL, &value, &err), &err);
    mtf_assert_ok(mtf_sim_reference_get(sim, &reference, &err), &err);
    assert_string_equal(policy->info.algorithm, config->method);
    mtf_assert_close(mtf_policy_get_number(&policy->info, "search.points"), tuned->points, 0, 0);
    mtf_policy_free(policy);
    const double share = (value.mean - reference.initial.mean) /
                         (reference.best_constant.mean - reference.initial.mean);
    print_message("%s: %u actions, %lld sessions at %.3g each, %.3f of the way\n", config->method,
                  tuned->points, (long long)tuned->sessions, tuned->mean, share);
    return share;
}

static void es_comes_close_to_the_best_constant_action(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("es");
    mtf_sim_tuned tuned;
    config.sessions = 50000, config.sessions_each = 100;
    assert_true(share_reached(sim, &config, &tuned) > 0.9);
    assert_int_equal(tuned.points, 500);
    assert_int_equal(tuned.sessions, 50000);
    assert_true(tuned.mean > 31.2); /* action 0 earns 31.1 */
    mtf_sim_close(sim);
}

static void bo_comes_close_in_few_actions(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("bo");
    mtf_sim_tuned tuned;
    config.sessions = 30000, config.sessions_each = 500;
    assert_true(share_reached(sim, &config, &tuned) > 0.8);
    assert_int_equal(tuned.points, 60);
    mtf_sim_close(sim);
}

static void a_grid_is_beaten_in_ten_dimensions(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("grid");
    mtf_sim_tuned tuned;
    config.sessions = 20480, config.sessions_each = 20;
    const double share = share_reached(sim, &config, &tuned);
    assert_int_equal(tuned.points, 1024);
    assert_true(share > 0.1 && share < 0.9);
    mtf_sim_close(sim);
}

static void a_constant_is_where_it_starts(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("constant");
    const float start[MTF_SIM_ACTIONS] = {0.5F, -0.25F};
    mtf_sim_tuned tuned;
    mtf_err err = {0};
    config.start = start;
    mtf_assert_ok(mtf_sim_tune(sim, &config, &tuned, NULL, &err), &err);
    assert_int_equal(tuned.sessions, 500);
    for (int d = 0; d < MTF_SIM_ACTIONS; d++) mtf_assert_close(tuned.action[d], start[d], 0, 1e-7);
    mtf_sim_close(sim);
}

static void one_seed_gives_one_result_on_any_number_of_threads(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("es");
    mtf_sim_tuned one, three, other, common;
    mtf_err err = {0};
    config.sessions = 6000, config.sessions_each = 50, config.threads = 1;
    mtf_assert_ok(mtf_sim_tune(sim, &config, &one, NULL, &err), &err);
    config.threads = 3;
    mtf_assert_ok(mtf_sim_tune(sim, &config, &three, NULL, &err), &err);
    assert_memory_equal(&one, &three, sizeof one);
    config.common = true;
    mtf_assert_ok(mtf_sim_tune(sim, &config, &common, NULL, &err), &err);
    assert_memory_not_equal(one.action, common.action, sizeof one.action);
    config.common = false, config.seed = 2;
    mtf_assert_ok(mtf_sim_tune(sim, &config, &other, NULL, &err), &err);
    assert_memory_not_equal(one.action, other.action, sizeof one.action);
    mtf_sim_close(sim);
}

static void too_few_sessions_and_stops_are_said(void **state)
{
    (void)state;
    mtf_sim *sim = open_default();
    mtf_sim_tune_config config = mtf_sim_tune_config_default("bo");
    mtf_sim_tuned tuned;
    mtf_err err = {0};
    config.sessions = 10000;
    assert_int_equal(mtf_sim_tune(sim, &config, &tuned, NULL, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "bo begins with 22 actions; 10000 sessions at 500"));
    config.sessions_each = 1;
    assert_int_equal(mtf_sim_tune(sim, &config, &tuned, NULL, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "2 at least"));
    const atomic_bool stop = true;
    config = mtf_sim_tune_config_default("es");
    config.stop = &stop;
    assert_int_equal(mtf_sim_tune(sim, &config, &tuned, NULL, &err), MTF_CLOSED);
    config.method = "cem";
    assert_int_equal(mtf_sim_tune(sim, &config, &tuned, NULL, &err), MTF_INVALID);
    mtf_sim_close(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(es_comes_close_to_the_best_constant_action),
        cmocka_unit_test(bo_comes_close_in_few_actions),
        cmocka_unit_test(a_grid_is_beaten_in_ten_dimensions),
        cmocka_unit_test(a_constant_is_where_it_starts),
        cmocka_unit_test(one_seed_gives_one_result_on_any_number_of_threads),
        cmocka_unit_test(too_few_sessions_and_stops_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
