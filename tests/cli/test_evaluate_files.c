/** Goal: a policy in a file is judged on what a file of events holds, without brokers: every metric
 *  with its interval, the same on the same input, and words for what does not fit. Method: events
 * of `simulate --out`, policies made here; the policy that logged gains exactly nothing over
 * itself. What the figures are worth is tests/learner/test_known_truth.c's. */
#include "cli/program.h"
#include "client/policy.h"
#include "learner/data_fixture.h"

#include <jansson.h>

static char folder[MTF_TEST_PATH], events[2 * MTF_TEST_PATH], same[2 * MTF_TEST_PATH],
    other[2 * MTF_TEST_PATH], small[2 * MTF_TEST_PATH];

static const char actions[] =
    "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 "
    "valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 positive.bias=0.01..0.51 "
    "negative.bias=0.01..0.51";

/** A policy of one layer that takes tanh(bias) in every dimension. */
static void write_policy_for(const char *path, const char *dims, uint32_t state_dim, float bias)
{
    mtf_action_table table;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, dims, &err), &err);
    const uint32_t widths[] = {state_dim, table.count};
    mtf_policy *policy = mtf_policy_new(widths, 1, &table);
    assert_non_null(policy);
    snprintf(policy->info.name, sizeof policy->info.name, "mtf");
    policy->info.version = 2;
    policy->info.parent = 1;
    for (uint32_t d = 0; d < table.count; d++) policy->layers[0].bias[d] = bias;
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&record), &err), &err);
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
}

static void write_policy(const char *path, uint32_t state_dim, float bias)
{
    write_policy_for(path, actions, state_dim, bias);
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

/** The JSON of an evaluation on these rows; the caller's. */
static json_t *evaluate_on(const char *policy, const char *users, const char *option,
                           const char *rows)
{
    program p;
    program_start(&p, folder, "evaluate", "--policy", policy, "--users", users, "--json", "--steps",
                  "60", "--refits", "2", "--draws", "60", option, rows);
    program_end(&p);
    if (p.code != 0) fail_msg("%d: %s", p.code, program_text(&p.err));
    json_error_t error;
    json_t *found = json_loads(program_text(&p.out), 0, &error);
    if (!found) fail_msg("%s in: %s", error.text, program_text(&p.out));
    program_free(&p);
    return found;
}

static json_t *evaluate(const char *policy, const char *users)
{
    return evaluate_on(policy, users, "--seed=1", events);
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

/** Rewards of the store's world are 1 + s_0 / 2 + slope . action: what moving by 0.1 gains at one
 *  step is known. Two versions explored; the policy's parent is judged on unless told otherwise. */
static void a_store_is_read_as_well(void **state)
{
    (void)state;
    mtf_settings settings;
    char config[2 * MTF_TEST_PATH], text[1024], policy[2 * MTF_TEST_PATH];
    data_settings(&settings, folder);
    data_world world = {.seed = 1,
                        .slope = {2, -1},
                        .noise = 0.1,
                        .half_width = 0.15f,
                        .version = 1,
                        .start_ms = 1767225600000};
    mtf_store *store = data_store(&settings);
    data_fill(store, &settings, &world, 0, 1500);
    world.version = 3;
    data_fill(store, &settings, &world, 1500, 300);
    mtf_store_close(store);
    snprintf(text, sizeof text,
             "store: {path: %s}\npolicy: {state_dim: 4, actions: '%s', box: 0.15}\n"
             "reward: {weights: '%s', clip: '%s'}\nlearner: {gamma: 0.5}\n",
             settings.store_path, settings.policy_actions, settings.reward_weights,
             settings.reward_clip);
    mtf_test_file(config, folder, "store.yaml", text);
    snprintf(policy, sizeof policy, "%s/store.policy", folder);
    write_policy_for(policy, settings.policy_actions, 4, 0.1f);
    json_t *found = evaluate_on(policy, "all", "-c", config);
    mtf_assert_close(number(found, "logged_version"), 1, 0, 0);
    mtf_assert_close(number(found, "sessions"), 1500, 0, 0);
    const json_t *gain = score(found, "first_order.gain");
    mtf_assert_close(number(gain, "value"), 2 * tanh(0.1) - tanh(0.1), 0, 5 * number(gain, "se"));
    assert_true(number(gain, "se") < 0.02);
    json_decref(found);
    program_check(
        folder, ARGS("evaluate", "--policy", policy, "-c", config, "--logged", "3", "--steps", "0"),
        0, "judged on what version 3 explored");
    mtf_settings_fini(&settings);
}

static void people_get_a_table(void **state)
{
    (void)state;
    program_check(folder,
                  ARGS("evaluate", "--policy", other, "--users", "all", "--steps", "0", "--draws",
                       "20", events),
                  0, "gauc.request.gain");
}

static void too_little_data_is_said(void **state)
{
    (void)state;
    char few[2 * MTF_TEST_PATH];
    snprintf(few, sizeof few, "%s/few.avro", folder);
    program_check(folder,
                  ARGS("simulate", "--sessions", "2", "--users", "1", "--seed", "3", "--start-ms",
                       "1767225600000", "--out", few),
                  0, "\"sessions\":2");
    program_check(folder, ARGS("evaluate", "--policy", other, few), 65,
                  "with --users all every user counts");
    program_check(folder,
                  ARGS("evaluate", "--policy", other, "--users", "all", "--steps", "20", few), 65,
                  "fitted Q evaluation: no explored row");
    program_check(folder,
                  ARGS("evaluate", "--policy", other, "--users", "all", "--steps", "0", few), 0,
                  "nan"); /* one user: values, and no interval */
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
        cmocka_unit_test(a_store_is_read_as_well),
        cmocka_unit_test(people_get_a_table),
        cmocka_unit_test(too_little_data_is_said),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
