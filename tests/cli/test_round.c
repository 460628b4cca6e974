/** Goal: the roles work together end to end: a simulator serves and logs, `mtf run` makes sessions,
 *  stores transitions, trains a round and publishes its verdict, and the policies can be listed,
 *  shown, exported, evaluated and served again. Method: mock brokers, one tiny round that the gate
 * must hold (too few held-out rows), one that it must promote (a gate set wide open). */
#include "cli/one_round.h"

static void a_round_with_little_data_is_held_and_only_the_history_knows_it(void **state)
{
    (void)state;
    brokers b;
    program p;
    run_round(&b, ROUND, "verdict=hold");
    program_start(&p, b.folder, "policy", "list", "--json", "-c", b.config);
    program_end(&p);
    program_said(&p, 0, "\"version\":1");
    assert_null(strstr(program_text(&p.out), "\"version\":2"));
    program_free(&p);
    program_check(b.folder, ARGS("policy", "list", "--history", "-c", b.config), 0, "default",
                  "promote", "hold");
    program_check(b.folder, ARGS("policy", "list", "--history", "--json", "-c", b.config), 0,
                  "\"version\":1", "\"version\":2");
    json_t *held = show(&b, "2");
    assert_int_equal(json_integer_value(json_object_get(held, "parent")), 1);
    json_decref(held);
    program_check(b.folder, ARGS("policy", "show", "-c", b.config, "--version", "9"), 64,
                  "no policy 'default' of version 9");
    program_check(b.folder, ARGS("policy", "show", "-c", b.config, "--name", "other"), 64,
                  "no policy 'other'");
    program_check(b.folder, ARGS("store", "stats", "-c", b.config), 0, "duplicates    0",
                  "bad records   0", "1  explore");
    brokers_close(&b);
}

static void a_promoted_round_is_served_exported_and_served_from_the_file(void **state)
{
    (void)state;
    brokers b;
    mtf_err err = {0};
    mtf_buf payload = {0};
    char record[2 * MTF_TEST_PATH], tensors[2 * MTF_TEST_PATH], events[2 * MTF_TEST_PATH];
    run_round(&b, ROUND OPEN_GATE, "verdict=promote");
    snprintf(record, sizeof record, "%s/policy.record", b.folder);
    snprintf(tensors, sizeof tensors, "%s/policy.safetensors", b.folder);
    snprintf(events, sizeof events, "%s/events.avro", b.folder);
    program_check(b.folder, ARGS("policy", "show", "-c", b.config), 0, "version            2",
                  "verdict            promote");
    program_check(b.folder,
                  ARGS("policy", "export", "-c", b.config, "--out", record, "--format", "record"),
                  0, "");
    program_check(b.folder,
                  ARGS("simulate", "--sessions", "20", "--out", events, "--policy", record), 0,
                  "\"policy_version\":2");
    program_check(
        b.folder,
        ARGS("evaluate", "-c", b.config, "--version", "2", "--steps", "0", "--draws", "20"), 0,
        "policy default version 2, judged on what version 1 explored", "first_order.gain");
    program_check(b.folder, ARGS("evaluate", "-c", b.config, "--version", "9"), 64,
                  "no policy 'default' of version 9");
    program_check(b.folder, ARGS("policy", "export", "-c", b.config, "--out", tensors), 0, "");
    mtf_assert_ok(mtf_file_read(tensors, 1 << 20, &payload, &err), &err);
    assert_true(payload.size > 1000);
    assert_int_equal(payload.data[8], '{'); /* after the header's length, its JSON */
    mtf_buf_fini(&payload);
    program_check(b.folder, ARGS("policy", "export", "-c", b.config, "--out", "/dev/full"), 74,
                  "/dev/full", "No space left");
    program_check(b.folder, ARGS("policy", "export", "-c", b.config, "--out", "/no/such/folder/x"),
                  74, "/no/such/folder/x");
    program_check(b.folder,
                  ARGS("simulate", "--sessions", "20", "--out", events, "--policy", tensors), 65,
                  tensors);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_with_little_data_is_held_and_only_the_history_knows_it),
        cmocka_unit_test(a_promoted_round_is_served_exported_and_served_from_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
