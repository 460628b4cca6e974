/** Goal: `mtf reward show` and `suggest` say what a store's rows come to, in words and in JSON,
 * with weights that can be put into the settings as they are, and name what is wrong with a store,
 * a setting or an option. Method: the program on a store that the test fills; no broker. */
#include "cli/program.h"
#include "learner/data_fixture.h"

#include <jansson.h>

static char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];

#define STORE_SETTINGS "-c", path

static int make_store(void **state)
{
    (void)state;
    const data_world world = {.seed = 5, .noise = 0.1, .half_width = 0.15f, .version = 1};
    mtf_settings settings;
    mtf_err err = {0};
    char text[1024];
    mtf_test_folder(folder);
    data_settings(&settings, folder);
    mtf_store *store = data_store(&settings);
    for (uint64_t i = 0; i < 600; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        for (uint32_t s = 0; s < made.session.step_count; s++)
            for (uint32_t k = 0; k < 2; k++) /* watched in proportion, beyond the clip at times */
                made.signals[s][k][1] =
                    (mtf_signal){mtf_str_of("watch"),
                                 fmax(0, made.signals[s][k][0].value + (double)(i / 3 % 3) - 0.5)};
        data_session_store(store, &settings, &made.session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(store, &err), &err);
    mtf_store_close(store);
    snprintf(text, sizeof text,
             "store.path: %s/store\npolicy.state_dim: 4\npolicy.actions: x.pow=0..2 y.pow=0..2\n"
             "reward.weights: valid=1 watch=0.5\nreward.clip: valid=8 watch=2\n",
             folder);
    mtf_test_file(path, folder, "mtf.yaml", text);
    mtf_settings_fini(&settings);
    return 0;
}

static int remove_store(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

static json_t *read_json(const char *const *arguments)
{
    program p;
    json_error_t error;
    program_start_to(&p, folder, NULL, arguments);
    program_end(&p);
    program_said(&p, 0, "{");
    json_t *root = json_loads(program_text(&p.out), 0, &error);
    if (!root) fail_msg("%s in: %s", error.text, program_text(&p.out));
    program_free(&p);
    return root;
}

static double number_at(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value)) fail_msg("%s is no number", name);
    return json_number_value(value);
}

static void show_adds_up(void **state)
{
    (void)state;
    json_t *root = read_json(ARGS("reward", "show", "--json", STORE_SETTINGS));
    const json_t *signals = json_object_get(root, "signals"),
                 *reward = json_object_get(root, "reward");
    double adds = 0, share = 0;
    assert_int_equal(json_array_size(signals), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *signal = json_array_get(signals, i);
        adds += number_at(signal, "adds");
        share += number_at(signal, "share");
        mtf_assert_close(number_at(signal, "adds"),
                         number_at(signal, "weight") * number_at(signal, "mean"), 1e-4, 0);
    }
    assert_string_equal(json_string_value(json_object_get(json_array_get(signals, 1), "name")),
                        "watch");
    assert_true(number_at(json_array_get(signals, 1), "clipped") > 0);
    mtf_assert_close(adds, number_at(reward, "mean"), 1e-4, 0);
    mtf_assert_close(share, 1, 1e-4, 0);
    mtf_assert_close(number_at(root, "users"), 200, 0, 0);
    json_decref(root);
    program_check(folder, ARGS("reward", "show", STORE_SETTINGS), 0, "200 users", "watch",
                  "reward of a request: mean");
}

static void suggested_weights_can_be_set_as_they_are(void **state)
{
    (void)state;
    char pair[300];
    json_t *root = read_json(ARGS("reward", "suggest", "--json", STORE_SETTINGS)), *then;
    const json_t *valid = json_array_get(json_object_get(root, "signals"), 0);
    const json_t *rates = json_object_get(valid, "rates");
    const double low = json_number_value(json_array_get(json_object_get(rates, "ci"), 0));
    assert_true(low < number_at(rates, "value") && number_at(rates, "value") <= 1);
    const char *weights = json_string_value(json_object_get(root, "weights"));
    assert_non_null(weights);
    assert_non_null(strstr(weights, "valid="));
    snprintf(pair, sizeof pair, "reward.weights=%s", weights);
    json_t *now = read_json(ARGS("reward", "show", "--json", STORE_SETTINGS));
    then = read_json(ARGS("reward", "show", "--json", STORE_SETTINGS, "--set", pair));
    mtf_assert_close(number_at(json_object_get(then, "reward"), "deviation"),
                     number_at(json_object_get(now, "reward"), "deviation"), 1e-3, 0);
    json_decref(root);
    json_decref(now);
    json_decref(then);
    program_check(folder, ARGS("reward", "suggest", STORE_SETTINGS), 0,
                  "reward.weights: \"valid=", "By rates.", "A correlation is no cause");
    program_check(folder, ARGS("reward", "suggest", "--by", "totals", STORE_SETTINGS), 0,
                  "By totals.");
}

static void one_seed_suggests_the_same(void **state)
{
    (void)state;
    json_t *one = read_json(ARGS("reward", "suggest", "--json", STORE_SETTINGS)),
           *two = read_json(ARGS("reward", "suggest", "--json", STORE_SETTINGS)),
           *other = read_json(ARGS("reward", "suggest", "--json", "--seed", "2", STORE_SETTINGS));
    assert_true(json_equal(one, two));
    assert_false(json_equal(one, other));
    json_decref(one);
    json_decref(two);
    json_decref(other);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    program_check(folder, ARGS("reward", STORE_SETTINGS), 64, "say show or suggest");
    program_check(folder, ARGS("reward", "explain", STORE_SETTINGS), 64, "say show or suggest");
    program_check(folder, ARGS("reward", "suggest", "--by", "sums", STORE_SETTINGS), 64,
                  "--by sums: say rates or totals");
    program_check(folder, ARGS("reward", "suggest", "--time", "dwell", STORE_SETTINGS), 64,
                  "--time dwell: the store's rows have no such signal");
    program_check(folder, ARGS("reward", "show", "--set", "store.path=/nowhere/store"), 64,
                  "/nowhere/store");
    program_check(folder,
                  ARGS("reward", "show", STORE_SETTINGS, "--set", "reward.weights=valid=1 like=1",
                       "--set", "reward.clip="),
                  64, "\"watch\": the store's rows have it; name it, with a weight of 0");
    program_check(folder,
                  ARGS("store", "rows", STORE_SETTINGS, "--set", "reward.weights=valid=1", "--set",
                       "reward.clip="),
                  64, "\"watch\": the store's rows have it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_adds_up),
        cmocka_unit_test(suggested_weights_can_be_set_as_they_are),
        cmocka_unit_test(one_seed_suggests_the_same),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, make_store, remove_store);
}
