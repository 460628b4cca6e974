/** Goal: `mtf demo` ends well on a small scale, its JSON holds what was promised, the counts agree,
 *  one seed gives the same values twice, and without exploration no round is promoted. Method: the
 *  demo as a user runs it, its JSON read back; whether a policy improves needs its full size and is
 *  asked of the full demo. */
#include "cli/program.h"

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

/** Runs the small demo; its report. */
static json_t *run_demo(const char *name, const char *control)
{
    char path[2 * MTF_TEST_PATH];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    program_check(folder,
                  ARGS("demo", "--rounds", "2", "--sessions", "3000", "--evaluate", "20000",
                       "--seed", "4", "--set", "learner.steps=200", "--control", control, "--json",
                       path),
                  0, "2 rounds of 3000 sessions", "sessions: 6000 simulated");
    json_t *report = json_load_file(path, 0, &error);
    if (!report) fail_msg("%s: %s", path, error.text);
    return report;
}

/** The object has these members and no other (NULL ends the names). */
static void assert_members(const json_t *object, const char *const *names)
{
    size_t count = 0;
    assert_true(json_is_object(object));
    for (; names[count]; count++) {
        if (!json_object_get(object, names[count])) fail_msg("no member %s", names[count]);
    }
    assert_int_equal(json_object_size(object), count);
}

static const json_t *at(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!value) fail_msg("no member %s", name);
    return value;
}

static double real_at(const json_t *object, const char *name)
{
    const json_t *value = at(object, name);
    if (!json_is_number(value)) fail_msg("%s is no number", name);
    return json_number_value(value);
}

/** A mean within its interval. */
static void assert_value(const json_t *value)
{
    assert_members(value, ARGS("mean", "ci"));
    const json_t *interval = at(value, "ci");
    assert_int_equal(json_array_size(interval), 2);
    const double low = json_number_value(json_array_get(interval, 0));
    const double high = json_number_value(json_array_get(interval, 1));
    assert_true(low < real_at(value, "mean") && real_at(value, "mean") < high);
}

static void assert_round(const json_t *round, int number)
{
    assert_members(round,
                   ARGS("round", "policy_version", "sessions", "transitions", "value", "gauc",
                        "outside_box", "critic_spread", "gate", "reason", "train_seconds",
                        "ingest_events_per_second", "simulate_seconds", "evaluate_seconds"));
    assert_int_equal(json_integer_value(at(round, "round")), number);
    assert_int_equal(json_integer_value(at(round, "sessions")), 3000);
    assert_true(json_integer_value(at(round, "transitions")) > 3000);
    assert_true(json_integer_value(at(round, "policy_version")) >= 1);
    assert_members(at(round, "value"), ARGS("baseline", "policy"));
    assert_value(at(at(round, "value"), "baseline"));
    assert_value(at(at(round, "value"), "policy"));
    assert_members(at(round, "gauc"), ARGS("baseline", "policy"));
    assert_true(json_is_string(at(round, "gate")));
    assert_true(real_at(round, "train_seconds") > 0);
    assert_true(real_at(round, "ingest_events_per_second") > 0);
    assert_true(real_at(round, "outside_box") >= 0);
    assert_true(real_at(round, "critic_spread") >= 0);
}

static void assert_report(const json_t *report)
{
    assert_members(report, ARGS("rounds", "reference", "preset", "control", "seed",
                                "reconciliation", "gap_closed", "total_seconds"));
    const json_t *rounds = at(report, "rounds"), *reference = at(report, "reference"),
                 *counts = at(report, "reconciliation");
    assert_int_equal(json_array_size(rounds), 2);
    for (int i = 0; i < 2; i++) assert_round(json_array_get(rounds, (size_t)i), i + 1);
    assert_members(reference, ARGS("initial", "best_constant", "best_personalised", "best_myopic"));
    assert_string_equal(json_string_value(at(report, "preset")), "demo-1");
    assert_int_equal(json_integer_value(at(counts, "simulated")), 6000);
    assert_int_equal(json_integer_value(at(counts, "stored")),
                     6000 + json_integer_value(at(counts, "cap_cuts")));
    const json_t *last = at(at(json_array_get(rounds, 1), "value"), "policy");
    const double gap = (real_at(last, "mean") - real_at(reference, "initial")) /
                       (real_at(reference, "best_personalised") - real_at(reference, "initial"));
    mtf_assert_close(real_at(report, "gap_closed"), gap, 1e-6, 1e-6);
}

/** Takes out what a clock measured. */
static void drop_times(json_t *report)
{
    static const char *const times[] = {"train_seconds", "ingest_events_per_second",
                                        "simulate_seconds", "evaluate_seconds"};
    size_t i;
    json_t *round;
    json_object_del(report, "total_seconds");
    json_array_foreach(json_object_get(report, "rounds"), i, round)
    {
        for (size_t k = 0; k < sizeof times / sizeof *times; k++) json_object_del(round, times[k]);
    }
}

static void the_report_holds_what_was_promised_and_is_the_same_twice(void **state)
{
    (void)state;
    json_t *first = run_demo("first", "none"), *second = run_demo("second", "none");
    assert_report(first);
    assert_report(second);
    drop_times(first);
    drop_times(second);
    if (!json_equal(first, second)) {
        char *a = json_dumps(first, JSON_INDENT(1)), *b = json_dumps(second, JSON_INDENT(1));
        print_error("one seed, two reports:\n%s\n%s\n", a, b);
        free(a);
        free(b);
        fail();
    }
    json_decref(first);
    json_decref(second);
}

static void without_exploration_every_round_is_held_and_says_why(void **state)
{
    (void)state;
    json_t *report = run_demo("control", "no-exploration");
    size_t i;
    json_t *round;
    assert_string_equal(json_string_value(at(report, "control")), "no-exploration");
    json_array_foreach(json_object_get(report, "rounds"), i, round)
    {
        const char *reason = json_string_value(at(round, "reason"));
        assert_string_equal(json_string_value(at(round, "gate")), "hold");
        if (!strstr(reason, "explor"))
            fail_msg("the reason says nothing of exploration: %s", reason);
        assert_int_equal(json_integer_value(at(round, "policy_version")), 1);
    }
    json_decref(report);
}

static void a_stopped_demo_ends_and_leaves_no_folder(void **state)
{
    (void)state;
    program p;
    char temporary[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    snprintf(temporary, sizeof temporary, "%s/tmp", folder);
    mtf_assert_ok(mtf_folder_make(temporary, &err), &err);
    setenv("TMPDIR", temporary, 1);
    char json[2 * MTF_TEST_PATH];
    snprintf(json, sizeof json, "%s/stopped.json", folder);
    program_start(&p, folder, "demo", "--sessions", "2000000", "--set", "log.level=info", "--json",
                  json);
    unsetenv("TMPDIR");
    program_until(&p, "msg=policy.initial");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    program_end(&p);
    program_said(&p, 1, "mtf demo: ");
    assert_int_equal(access(json, F_OK), -1); /* no script takes it for a report */
    program_free(&p);
    assert_int_equal(remove(temporary), 0); /* an empty folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_holds_what_was_promised_and_is_the_same_twice),
        cmocka_unit_test(without_exploration_every_round_is_held_and_says_why),
        cmocka_unit_test(a_stopped_demo_ends_and_leaves_no_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
