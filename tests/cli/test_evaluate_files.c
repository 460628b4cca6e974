/** Goal: a policy in a file is judged on what a file of events holds, without brokers: every metric
 *  with its interval, the same on the same input, and words for what does not fit. Method: events
 * of `simulate --out`, policies made here; the policy that logged gains exactly nothing over
 * itself. What the figures are worth is tests/learner/test_known_truth.c's. */
#include "cli/program.h"
#include "client/policy.h"

#include <jansson.h>

static char folder[MTF_TEST_PATH], events[2 * MTF_TEST_PATH], same[2 * MTF_TEST_PATH],
    other[2 * MTF_TEST_PATH], small[2 * MTF_TEST_PATH];

static const char actions[] =
    "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 "
    "valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 positive.bias=0.01..0.51 "
    "negative.bias=0.01..0.51";

/** A policy of one layer that takes tanh(bias) in every dimension. */
static void write_policy(const char *path, uint32_t state_dim, float bias)
{
    const uint32_t widths[] = {state_dim, 10};
    mtf_action_table table;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, actions, &err), &err);
    mtf_policy *policy = mtf_policy_new(widths, 1, &table);
    assert_non_null(policy);
    snprintf(policy->info.name, sizeof policy->info.name, "mtf");
    policy->info.version = 2;
    policy->info.parent = 1;
    for (int d = 0; d < 10; d++) policy->layers[0].bias[d] = bias;
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&record), &err), &err);
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
}

static int make_folder(void **state)
{
    (void)state;
    mtf_test_folder(folder);
    snprintf(events, sizeof events, "%s/events.avro", folder);
    snprintf(same, sizeof same, "%s/same.policy", folder);
    snprintf(other, sizeof other, "%s/other.policy", folder);
    snprintf(small, sizeof small, "%s/small.policy", folder);
    program_check(folder,
                  ARGS("simulate", "--sessions", "900", "--seed", "3", "--baseline-share", "0.1",
                       "--start-ms", "1767225600000", "--out", events),
                  0, "\"sessions\":900");
    write_policy(same, 64, 0);
    write_policy(other, 64, 0.05f);
    write_policy(small, 8, 0);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

/** The JSON of an evaluation; the caller's. */
static json_t *evaluate(const char *policy, const char *users)
{
    program p;
    program_start(&p, folder, "evaluate", "--policy", policy, "--users", users, "--json", "--steps",
                  "60", "--refits", "2", "--draws", "60", events);
    program_end(&p);
    if (p.code != 0) fail_msg("%d: %s", p.code, program_text(&p.err));
    json_error_t error;
    json_t *found = json_loads(program_text(&p.out), 0, &error);
    if (!found) fail_msg("%s in: %s", error.text, program_text(&p.out));
    program_free(&p);
    return found;
}

static double number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value)) fail_msg("%s is no number", name);
    return json_number_value(value);
}

static const json_t *score(const json_t *found, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(found, "metrics"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) return one;
    }
    fail_msg("no metric %s", name);
    return NULL;
}

static void every_metric_comes_with_its_interval(void **state)
{
    (void)state;
    json_t *found = evaluate(other, "all"), *again = evaluate(other, "all");
    assert_true(json_equal(found, again));
    size_t i;
    const json_t *one;
    assert_int_equal(json_array_size(json_object_get(found, "metrics")), 18);
    json_array_foreach(json_object_get(found, "metrics"), i, one)
    {
        assert_true(number(one, "low") < number(one, "value"));
        assert_true(number(one, "value") < number(one, "high"));
        assert_true(number(one, "se") > 0 && number(one, "users") <= 300);
    }
    mtf_assert_close(number(found, "logged_version"), 1, 0, 0);
    mtf_assert_close(number(found, "users"), 300, 0, 0);
    assert_true(number(found, "unexplored") > 0.05 * number(found, "requests"));
    mtf_assert_close(json_number_value(json_array_get(json_object_get(found, "drift"), 3)),
                     tanh(0.05), 1e-4, 0);
    mtf_assert_close(number(found, "support"), pow(1 - tanh(0.05) / 0.3, 10), 1e-3, 0);
    json_decref(found);
    json_decref(again);
}

static void heldout_users_are_a_share_of_all(void **state)
{
    (void)state;
    json_t *found = evaluate(other, "heldout");
    assert_in_range((long)number(found, "users"), 15, 50); /* a tenth of 300, by hash */
    json_decref(found);
}

static void the_policy_that_logged_gains_nothing(void **state)
{
    (void)state;
    json_t *found = evaluate(same, "all");
    mtf_assert_close(number(score(found, "first_order.gain"), "value"), 0, 0, 0);
    mtf_assert_close(number(score(found, "gauc.user.gain"), "value"), 0, 0, 0);
    mtf_assert_close(number(score(found, "gauc.request.gain"), "high"), 0, 0, 0);
    mtf_assert_close(number(score(found, "ncis.gain"), "value"), 0, 0, 1e-6); /* weights all 1 */
    mtf_assert_close(number(found, "support"), 1, 1e-5, 0);
    mtf_assert_close(number(found, "effective_requests"), number(found, "requests"), 1e-5, 0);
    json_decref(found);
}

static void people_get_a_table(void **state)
{
    (void)state;
    program_check(folder,
                  ARGS("evaluate", "--policy", other, "--users", "all", "--steps", "0", "--draws",
                       "20", events),
                  0, "gauc.request.gain");
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    program_check(folder, ARGS("evaluate", events), 64, "say which policy");
    program_check(folder, ARGS("evaluate", "--policy", other, "--version", "2", events), 64,
                  "say which policy");
    program_check(folder, ARGS("evaluate", "--policy", "absent", events), 64, "open absent");
    program_check(folder, ARGS("evaluate", "--policy", events, events), 65, "policy record");
    program_check(folder, ARGS("evaluate", "--policy", other, "absent.avro"), 64, "absent.avro");
    program_check(folder, ARGS("evaluate", "--policy", small, events), 64, "another recommender's");
    program_check(folder, ARGS("evaluate", "--policy", other, "--logged", "7", events), 65,
                  "nothing explored under version 7");
    program_check(folder, ARGS("evaluate", "--policy", other, "--users", "some", events), 64,
                  "say heldout or all");
    program_check(folder, ARGS("evaluate", "--policy", other, "--gauc-mean", "x", events), 64,
                  "say impressions");
    program_check(folder,
                  ARGS("evaluate", "--policy", other, "--set", "policy.state_dim=3", events), 65,
                  "the files hold no session that fits the settings");
    program_check(folder, ARGS("evaluate", "--policy", other), 64, "store");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_comes_with_its_interval),
        cmocka_unit_test(heldout_users_are_a_share_of_all),
        cmocka_unit_test(the_policy_that_logged_gains_nothing),
        cmocka_unit_test(people_get_a_table),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
