/** Goal: `mtf simulate --search` says what a search came to and leaves a policy that verifies and
 *  serves; what cannot be searched is named. Method: the program itself; no broker. */
#include "cli/program.h"

#include <jansson.h>

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

static void a_search_leaves_a_policy_that_serves(void **state)
{
    (void)state;
    char record[2 * MTF_TEST_PATH], events[2 * MTF_TEST_PATH];
    program p;
    json_error_t error;
    snprintf(record, sizeof record, "%s/es.policy", folder);
    snprintf(events, sizeof events, "%s/events.avro", folder);
    program_start(&p, folder, "simulate", "--search", "es", "--sessions", "2000", "--each", "40",
                  "--write", record);
    program_end(&p);
    program_said(&p, 0, "\"method\":\"es\"", "\"actions\":50,\"sessions\":2000");
    json_t *line = json_loads(program_text(&p.out), 0, &error);
    if (!line) fail_msg("%s in: %s", error.text, program_text(&p.out));
    assert_int_equal(json_array_size(json_object_get(line, "action")), 10);
    assert_true(json_number_value(json_object_get(line, "of_the_way")) > 0);
    json_decref(line);
    program_free(&p);
    program_check(folder, ARGS("policy", "verify", record), 0, "");
    program_check(folder, ARGS("simulate", "--sessions", "20", "--out", events, "--policy", record),
                  0, "\"policy_version\":1");
}

static void what_cannot_be_searched_is_named(void **state)
{
    (void)state;
    program_check(folder, ARGS("simulate", "--search", "annealing"), 64,
                  "there is no method \"annealing\"; there are constant grid es bo");
    program_check(folder, ARGS("simulate", "--search", "bo", "--sessions", "5000"), 64,
                  "bo begins with 22 actions");
    program_check(folder, ARGS("simulate", "--search", "constant", "--write", "/nowhere/es.policy"),
                  74, "/nowhere/es.policy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_leaves_a_policy_that_serves),
        cmocka_unit_test(what_cannot_be_searched_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
