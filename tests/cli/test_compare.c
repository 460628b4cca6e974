/** Goal: `mtf compare --quick` ends with a row for every algorithm, in JSON, CSV and Markdown, of
 *  finite figures and ordered intervals; killed, it goes on with what was finished; bad experiments
 *  are refused with words. Method: the program as a user runs it. Who is better, nobody asks here:
 *  that wants the full experiment. */
#include "cli/program.h"

#include <dirent.h>
#include <jansson.h>
#include <unistd.h>

static char folder[MTF_TEST_PATH];

static int make_folder(void **state)
{
    (void)state;
    mtf_test_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

/** A world that takes a few seconds; the rows are --quick's. */
#define TINY                                                                                       \
    "compare", "--quick", "--set", "compare.users=100", "--set", "compare.sessions=500", "--set",  \
        "compare.steps=40", "--set", "compare.test_users=60"

static json_t *rows_of(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    json_t *rows = json_incref(json_object_get(root, "rows"));
    assert_true(json_is_array(rows));
    json_decref(root);
    return rows;
}

static double number_at(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    if (!json_is_number(value))
        fail_msg("%s of %s is no number", name,
                 json_string_value(json_object_get(row, "algorithm")));
    return json_number_value(value);
}

/** A finite figure in its own finite interval. */
static void assert_interval(const json_t *row, const char *name)
{
    char ci[60];
    snprintf(ci, sizeof ci, "%s_ci", name);
    const json_t *pair = json_object_get(row, ci);
    const json_t *low = json_array_get(pair, 0), *high = json_array_get(pair, 1);
    const double value = number_at(row, name);
    assert_int_equal(json_array_size(pair), 2);
    assert_true(json_is_number(low) && json_is_number(high));
    if (!(json_number_value(low) <= value && value <= json_number_value(high)))
        fail_msg("%s of %s: %g is not within %g and %g", name,
                 json_string_value(json_object_get(row, "algorithm")), value,
                 json_number_value(low), json_number_value(high));
}

static const json_t *find(const json_t *rows, const char *algorithm, const char *design)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(row, "algorithm")), algorithm) == 0 &&
            strcmp(json_string_value(json_object_get(row, "design")), design) == 0)
            return row;
    }
    fail_msg("no row of %s in design %s", algorithm, design);
    return NULL;
}

static void every_algorithm_has_its_row(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"es",
                                             "bo",
                                             "grid",
                                             "constant",
                                             "ddpg",
                                             "td3bc",
                                             "cql_sac",
                                             "iql",
                                             "batchrl",
                                             "integrated",
                                             "integrated in groups",
                                             "enhanced"};
    char json[2 * MTF_TEST_PATH], csv[2 * MTF_TEST_PATH];
    program p;
    mtf_buf text = {0};
    mtf_err err = {0};
    snprintf(json, sizeof json, "%s/table.json", folder);
    snprintf(csv, sizeof csv, "%s/table.csv", folder);
    program_start(&p, folder, "compare", "--quick", "--json", json, "--csv", csv);
    program_end(&p);
    program_said(&p, 0, "| paper | es |", "| fair | batchrl |",
                 "| paper | integrated without PTM |");
    json_t *rows = rows_of(json);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        find(rows, algorithms[i], "paper");
        find(rows, algorithms[i], "fair");
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        assert_interval(row, "gauc");
        assert_interval(row, "valid_consumption");
        assert_interval(row, "duration");
        assert_interval(row, "value");
        assert_in_range((int)number_at(row, "seeds"), 1, 1);
        assert_true(number_at(row, "train_seconds") >= 0);
        assert_int_equal((int)number_at(row, "diverged"), 0);
    }
    /* One action for everybody, found by trying, beats the one nobody chose, by far. */
    assert_true(number_at(find(rows, "constant", "paper"), "valid_consumption") < -5);
    mtf_assert_ok(mtf_file_read(csv, 1 << 20, &text, &err), &err);
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++) lines += text.data[i] == '\n';
    assert_int_equal(lines, json_array_size(rows) + 1);
    mtf_buf_fini(&text);
    json_decref(rows);
    program_free(&p);
}

static void assert_svg(const char *name)
{
    char path[3 * MTF_TEST_PATH];
    mtf_buf text = {0};
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/plots/%s.svg", folder, name);
    mtf_assert_ok(mtf_file_read(path, 1 << 22, &text, &err), &err);
    mtf_buf_put_u8(&text, 0);
    if (!strstr(program_text(&text), "</svg>")) fail_msg("%s is no whole figure", path);
    mtf_buf_fini(&text);
}

static void figures_are_drawn(void **state)
{
    (void)state;
    char plots[2 * MTF_TEST_PATH], script[3 * MTF_TEST_PATH];
    mtf_buf text = {0};
    mtf_err err = {0};
    snprintf(plots, sizeof plots, "%s/plots", folder);
    snprintf(script, sizeof script, "%s/users.gp", plots);
    setenv("PATH", "/nowhere", 1);
    program p;
    program_start(&p, folder, TINY, "--plots", plots);
    program_end(&p);
    program_said(&p, 64, "| fair | iql |", "gnuplot is not installed");
    program_free(&p);
    unsetenv("PATH"); /* the system's own */
    mtf_assert_ok(mtf_file_read(script, 1 << 20, &text, &err), &err);
    mtf_buf_fini(&text);
    if (access("/usr/bin/gnuplot", X_OK) != 0) skip(); /* scripts/deps.sh --test installs it */
    program_check(folder, ARGS(TINY, "--plots", plots), 0, "| fair | iql |");
    assert_svg("gauc");
    assert_svg("users");
    assert_svg("drift");
    assert_svg("exploration");
}

static size_t count_files(const char *path)
{
    size_t count = 0;
    DIR *all = opendir(path);
    if (!all) return 0;
    for (const struct dirent *one; (one = readdir(all));)
        count +=
            strlen(one->d_name) > 5 && strcmp(one->d_name + strlen(one->d_name) - 5, ".json") == 0;
    closedir(all);
    return count;
}

/** The rows without their seconds, as text; the caller's to free. */
static char *without_seconds(const char *path)
{
    json_t *rows = rows_of(path);
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_del(json_array_get(rows, i), "train_seconds");
    char *text = json_dumps(rows, JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    json_decref(rows);
    return text;
}

static void killed_it_goes_on(void **state)
{
    (void)state;
    char kept[2 * MTF_TEST_PATH], whole[2 * MTF_TEST_PATH], resumed[2 * MTF_TEST_PATH];
    program p;
    snprintf(kept, sizeof kept, "%s/state", folder);
    snprintf(whole, sizeof whole, "%s/whole.json", folder);
    snprintf(resumed, sizeof resumed, "%s/resumed.json", folder);
    program_start(&p, folder, TINY, "--state", kept);
    program_until(&p, "6 of ");
    kill(p.pid, SIGKILL);
    program_end(&p);
    assert_int_equal(p.code, 128 + SIGKILL);
    program_free(&p);
    const size_t finished = count_files(kept);
    assert_in_range(finished, 5, 18);
    program_start(&p, folder, TINY, "--state", kept, "--json", resumed);
    program_end(&p);
    program_said(&p, 0, "| fair | integrated |");
    char first[20];
    snprintf(first, sizeof first, "%zu of ", finished + 1);
    assert_non_null(strstr(program_text(&p.err), first));
    assert_int_not_equal(strncmp(program_text(&p.err), "1 of ", 5), 0);
    program_free(&p);
    program_check(folder, ARGS(TINY, "--json", whole), 0, "| fair | integrated |");
    char *a = without_seconds(resumed), *b = without_seconds(whole);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void stopped_it_says_so(void **state)
{
    (void)state;
    program p;
    program_start(&p, folder, TINY);
    program_until(&p, "3 of ");
    kill(p.pid, SIGINT);
    program_end(&p);
    program_said(&p, 1, "compare: stopped at ", "with --state DIR what is finished would be kept");
    program_free(&p);
}

static void bad_experiments_are_refused(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH];
    mtf_test_file(path, folder, "bad.yaml", "compare:\n  rows: |\n    es\n    iql: iql.betaa=3\n");
    program_check(folder, ARGS("compare"), 64, "compare.rows: nothing to compare");
    program_check(folder, ARGS("compare", "-c", path), 64,
                  "compare.rows: iql: unknown setting iql.betaa; did you mean iql.beta?");
    program_check(folder, ARGS("compare", "--quick", "--set", "compare.start=here"), 64,
                  "compare.start: 'here' is not one of: zero reference");
    program_check(folder, ARGS("compare", "--quick", "--set", "policy.state_dim=8"), 64,
                  "policy.state_dim");
    program_check(folder, ARGS("compare", "--quick", "table.csv"), 64,
                  "'table.csv' is not expected");
    program_check(folder, ARGS("compare", "--quick", "--state", "/proc/nowhere"), 74,
                  "/proc/nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_has_its_row), cmocka_unit_test(killed_it_goes_on),
        cmocka_unit_test(stopped_it_says_so),          cmocka_unit_test(figures_are_drawn),
        cmocka_unit_test(bad_experiments_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
