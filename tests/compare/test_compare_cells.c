/** Goal: a comparison is a function of its settings, goes on where it was stopped, and makes anew
 *  only what a change concerns. Method: a tiny world, stopped after each cell in turn. */
#include "support/mtf_test.h"

#include <dirent.h>
#include <string.h>

#include "compare/compare.h"

/* Of two seeds: constant once, es, iql, ddpg and integrated in two designs. */
enum { CELLS = 2 * 9 };

/** A run that may be stopped before a cell. */
typedef struct run {
    mtf_settings settings;
    atomic_bool stop;
    size_t stop_at; /* number of the cell that is stopped; 0: none */
    size_t known, made;
} run;

static void set(run *r, const char *key, const char *value)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_settings_set(&r->settings, key, value, "test", &err), &err);
}

static void open_run(run *r)
{
    mtf_err err = {0};
    static const char *const pairs[][2] = {
        {"compare.rows",
         "constant: compare.each=2\nes: compare.each=4 compare.points=20\niql\nddpg\n"
         "integrated: data=progressive"},
        {"compare.reference", "constant"},
        {"compare.seeds", "2"},
        {"compare.users", "30"},
        {"compare.sessions", "60"},
        {"compare.rounds", "2"},
        {"compare.steps", "8"},
        {"compare.fit_steps", "5"},
        {"compare.test_users", "20"},
        {"compare.days", "1"},
        {"learner.hidden", "8"},
        {"learner.critics", "2"},
        {"learner.batch", "16"},
        {"learner.feed_mb", "16"},
        {"gate.z", "-10"}, /* every round serves */
        {"gate.outside_max", "1"},
    };
    *r = (run){0};
    mtf_assert_ok(mtf_settings_init(&r->settings, &err), &err);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) set(r, pairs[i][0], pairs[i][1]);
}

static void begin(void *arg, const mtf_compare_cell *cell, size_t number, size_t count, bool known)
{
    run *r = arg;
    (void)cell;
    (void)count;
    r->known += known, r->made += !known;
    if (number == r->stop_at) atomic_store(&r->stop, true);
}

/** The table; the caller's to fini. Its rows are gone. */
static mtf_compare_table table_of(run *r)
{
    mtf_err err = {0};
    mtf_compare_plan plan;
    mtf_compare_table table;
    mtf_assert_ok(mtf_compare_plan_init(&plan, &r->settings, &err), &err);
    const mtf_compare_config config = {.settings = &r->settings, .plan = &plan};
    mtf_assert_ok(mtf_compare_run(&config, &table, &err), &err);
    mtf_compare_plan_fini(&plan);
    return table;
}

/** The table as JSON, without the seconds; *status out. */
static mtf_buf compare(run *r, const char *state, mtf_status *status)
{
    mtf_err err = {0};
    mtf_compare_plan plan;
    mtf_compare_table table;
    mtf_buf json = {0};
    mtf_assert_ok(mtf_compare_plan_init(&plan, &r->settings, &err), &err);
    const mtf_compare_config config = {.settings = &r->settings,
                                       .plan = &plan,
                                       .state = state,
                                       .stop = &r->stop,
                                       .begin = begin,
                                       .arg = r};
    *status = mtf_compare_run(&config, &table, &err);
    if (*status != MTF_OK && *status != MTF_CLOSED && *status != MTF_CORRUPT)
        fail_msg("%s", err.msg);
    if (*status == MTF_CORRUPT) assert_non_null(strstr(err.msg, "delete it"));
    for (size_t i = 0; i < table.count; i++) table.lines[i].train_seconds = 0;
    if (*status == MTF_OK) mtf_compare_table_json(&table, &json);
    mtf_buf_put_u8(&json, 0);
    mtf_compare_table_fini(&table);
    mtf_compare_plan_fini(&plan);
    return json;
}

static mtf_buf whole(const char *state)
{
    run r;
    mtf_status status;
    open_run(&r);
    const mtf_buf json = compare(&r, state, &status);
    assert_int_equal(status, MTF_OK);
    mtf_settings_fini(&r.settings);
    return json;
}

static void the_same_settings_give_the_same_table(void **state)
{
    (void)state;
    mtf_status status;
    run r;
    mtf_buf first = whole(NULL);
    open_run(&r);
    r.settings.learner_threads = 1;
    mtf_buf again = compare(&r, NULL, &status);
    assert_string_equal((const char *)first.data, (const char *)again.data);
    assert_non_null(strstr((const char *)first.data, "\"integrated\""));
    mtf_settings_fini(&r.settings);
    mtf_buf_fini(&first);
    mtf_buf_fini(&again);
}

static void a_stopped_run_goes_on(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH];
    size_t stops = 0;
    mtf_status status = MTF_CLOSED;
    mtf_buf first = whole(NULL), last = {0};
    mtf_test_folder(folder);
    for (; status == MTF_CLOSED && stops < 40; stops++) {
        run r;
        open_run(&r);
        r.stop_at = stops + 2; /* one cell more is finished each time */
        mtf_buf_fini(&last);
        last = compare(&r, folder, &status);
        assert_int_equal(r.known, stops);
        mtf_settings_fini(&r.settings);
    }
    assert_int_equal(stops, CELLS);
    assert_string_equal((const char *)first.data, (const char *)last.data);
    mtf_test_folder_remove(folder);
    mtf_buf_fini(&first);
    mtf_buf_fini(&last);
}

static size_t made_with(const char *folder, const char *key, const char *value)
{
    run r;
    mtf_err err = {0};
    mtf_status status;
    open_run(&r);
    mtf_assert_ok(mtf_settings_set(&r.settings, key, value, "test", &err), &err);
    mtf_buf json = compare(&r, folder, &status);
    assert_int_equal(status, MTF_OK);
    mtf_buf_fini(&json);
    mtf_settings_fini(&r.settings);
    return r.made;
}

static void a_change_makes_only_its_own_anew(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH];
    mtf_test_folder(folder);
    assert_int_equal(made_with(folder, "log.level", "info"), CELLS);
    assert_int_equal(made_with(folder, "learner.threads", "1"), 0);
    assert_int_equal(made_with(folder, "compare.seeds", "3"), CELLS / 2);
    assert_int_equal(made_with(folder, "iql.beta", "2"), 4);
    assert_int_equal(made_with(folder, "compare.sigma", "0.3"), 4); /* ddpg and iql on such logs */
    assert_int_equal(made_with(folder, "compare.each", "500"), 0);  /* es has its own */
    assert_int_equal(made_with(folder, "compare.shuffle_rewards", "1"), CELLS - 4); /* live ones */
    assert_int_equal(made_with(folder, "compare.test_users", "10"), CELLS);
    mtf_test_folder_remove(folder);
}

/** Round by round, where integrated stands, and how many of its rounds served: at gate.z. */
static mtf_compare_line in_rounds(const char *z, mtf_compare_table *table)
{
    run r;
    open_run(&r);
    set(&r, "compare.rows", "constant: compare.each=2\nintegrated: data=progressive");
    set(&r, "compare.designs", "paper");
    set(&r, "compare.seeds", "1");
    set(&r, "learner.actor_lr", "0.05");
    set(&r, "gate.z", z);
    *table = table_of(&r);
    mtf_settings_fini(&r.settings);
    assert_int_equal(table->count, 2);
    assert_int_equal(table->lines[1].rounds, 2);
    return table->lines[1];
}

static void a_round_that_fails_the_check_is_taken_back(void **state)
{
    (void)state;
    mtf_compare_table kept, back;
    const mtf_compare_line taken = in_rounds("-10", &kept), held = in_rounds("10", &back);
    double moved = 0;
    mtf_assert_close(taken.promoted, 2, 0, 0);
    mtf_assert_close(held.promoted, 0, 0, 0);
    for (int d = 0; d < MTF_SIM_ACTIONS; d++) {
        mtf_assert_close(held.drift[1][d], held.drift[0][d], 0, 0);
        mtf_assert_close(held.drift[1][d], 0, 0, 0.1);
        moved += fabs(taken.drift[1][d] - taken.drift[0][d]);
    }
    assert_true(moved > 0.01);
    mtf_compare_table_fini(&kept);
    mtf_compare_table_fini(&back);
}

static void learning_starts_where_the_reference_ended(void **state)
{
    (void)state;
    run r;
    double away = 0;
    open_run(&r);
    set(&r, "compare.rows",
        "es: compare.each=4 compare.points=20\nintegrated: data=progressive gate.z=10\n"
        "td3bc: compare.steps=1 learner.actor_lr=0");
    set(&r, "compare.reference", "es");
    set(&r, "compare.start", "reference");
    set(&r, "compare.designs", "paper");
    set(&r, "compare.seeds", "1");
    mtf_compare_table table = table_of(&r);
    const mtf_compare_line *es = &table.lines[0];
    for (int d = 0; d < MTF_SIM_ACTIONS; d++) {
        away += fabs(es->drift[0][d]);
        for (size_t i = 1; i < table.count; i++)
            mtf_assert_close(table.lines[i].drift[0][d], es->drift[0][d], 0, 0.15);
    }
    assert_true(away > 0.5);
    mtf_compare_table_fini(&table);
    mtf_settings_fini(&r.settings);
}

/** A figure of each line of these rows, on box logs. */
static void values_of(const char *rows, const char *designs, mtf_compare_table *table)
{
    run r;
    open_run(&r);
    set(&r, "compare.rows", rows);
    set(&r, "compare.designs", designs);
    set(&r, "compare.seeds", "1");
    set(&r, "compare.items", "true");
    set(&r, "learner.actor_lr", "0.05");
    *table = table_of(&r);
    mtf_settings_fini(&r.settings);
}

#define GROUPS                                                                                     \
    "groups: algorithm=integrated data=box reward.groups=\"valid watch finish | positive "         \
    "negative\""

static void learners_of_the_same_logs_have_rewards_of_their_own(void **state)
{
    (void)state;
    mtf_compare_table first, second;
    values_of("constant: compare.each=2\n" GROUPS "\nintegrated: data=box", "paper", &first);
    values_of("constant: compare.each=2\nintegrated: data=box\n" GROUPS, "paper", &second);
    mtf_assert_close(first.lines[1].value.value, second.lines[2].value.value, 0, 0);
    mtf_assert_close(first.lines[2].value.value, second.lines[1].value.value, 0, 0);
    double apart = 0;
    for (int d = 0; d < MTF_SIM_ACTIONS; d++)
        apart += fabs(first.lines[1].drift[0][d] - first.lines[2].drift[0][d]);
    assert_true(apart > 1e-4);
    mtf_compare_table_fini(&first);
    mtf_compare_table_fini(&second);
}

static void items_have_actions_of_their_own(void **state)
{
    (void)state;
    mtf_compare_table table;
    values_of("constant: compare.each=2\nintegrated: data=box\nenhanced: data=box\n"
              "rounds: algorithm=enhanced data=progressive policy.item_noise=shared",
              "paper fair", &table);
    assert_int_equal(table.count, 8);
    const mtf_compare_line *paper = table.lines, *fair = table.lines + 4;
    for (size_t i = 0; i < table.count; i++) {
        assert_true(isfinite(table.lines[i].gauc.value) && isfinite(table.lines[i].value.value));
        assert_int_equal(table.lines[i].diverged, 0);
    }
    assert_int_equal(paper[3].rounds, 2);
    /* Apart, items show other lists than one draw for all; in the fair design all see the same. */
    assert_true(fabs(paper[2].learning_value - paper[1].learning_value) > 1e-3);
    mtf_assert_close(fair[2].learning_value, fair[1].learning_value, 0, 0);
    mtf_assert_close(fair[2].learning_value, paper[1].learning_value, 0, 0);
    mtf_compare_table_fini(&table);
}

static void a_damaged_file_is_named(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH] = "";
    run r;
    mtf_status status;
    mtf_test_folder(folder);
    mtf_buf first = whole(folder);
    DIR *all = opendir(folder);
    assert_non_null(all);
    for (const struct dirent *one; (one = readdir(all));)
        if (strstr(one->d_name, ".json"))
            mtf_test_file(path, folder, one->d_name, "{\"of\":\"something else\"}");
    closedir(all);
    assert_int_not_equal(path[0], 0);
    open_run(&r);
    mtf_buf json = compare(&r, folder, &status);
    assert_int_equal(status, MTF_CORRUPT);
    mtf_settings_fini(&r.settings);
    mtf_buf_fini(&first);
    mtf_buf_fini(&json);
    mtf_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_settings_give_the_same_table),
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(a_change_makes_only_its_own_anew),
        cmocka_unit_test(a_round_that_fails_the_check_is_taken_back),
        cmocka_unit_test(learning_starts_where_the_reference_ended),
        cmocka_unit_test(learners_of_the_same_logs_have_rewards_of_their_own),
        cmocka_unit_test(items_have_actions_of_their_own),
        cmocka_unit_test(a_damaged_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
