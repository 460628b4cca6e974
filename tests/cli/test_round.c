/** Goal: the roles work together end to end: a simulator serves and logs, `mtf run` makes sessions,
 *  stores transitions, trains a round and publishes its verdict, and the policies can be listed,
 *  shown, exported, evaluated and served again. Method: mock brokers, one tiny round that the gate
 * must hold (too few held-out rows), one that it must promote (a gate set wide open). */
#include "cli/brokers.h"

#include <jansson.h>

#define ROUND                                                                                      \
    "round.min_sessions: 500\nround.max_rounds: 1\nlearner.steps: 60\nlearner.hidden: 16\n"        \
    "learner.critics: 4\nlearner.batch: 64\ngate.bootstrap: 20\n"
#define OPEN_GATE                                                                                  \
    "gate.min_transitions: 1\ngate.z: -10\ngate.skill_z: -10\ngate.phi_min: 0\n"                   \
    "gate.outside_max: 1\ngate.gauc_loss_max: 1\ngate.part_z: 100\n"

#define FIRST_DAY  "1700000000000"
#define SECOND_DAY "1700172800000" /* after the first one's last session has closed */

/** The simulator serves 600 sessions to a `run` of one round, and both end well. */
static void run_round(brokers *b, const char *settings, const char *verdict)
{
    program run, simulator;
    brokers_open(b, NULL, settings);
    program_start(&run, b->folder, "run", "-c", b->config);
    program_start(&simulator, b->folder, "simulate", "-c", b->config, "--sessions", "600", "--seed",
                  "5", "--value", "--start-ms", FIRST_DAY);
    program_end(&simulator);
    program_said(&simulator, 0, "\"policy_version\":1", "\"sessions\":600", "\"value\":{\"mean\":");
    program_end(&run);
    program_said(&run, 0, "sessionize.end", "learn.end", "msg=round.end", verdict,
                 "duplicates=0 bad=0 lost=0", "rounds=1");
    program_free(&run);
    program_free(&simulator);
}

/** A policy by `mtf policy show --json`. */
static json_t *show(const brokers *b, const char *version)
{
    program p;
    program_start(&p, b->folder, "policy", "show", "--json", "-c", b->config, "--version", version);
    program_end(&p);
    program_said(&p, 0, "{");
    json_t *policy = json_loads(program_text(&p.out), 0, NULL);
    assert_non_null(policy);
    program_free(&p);
    return policy;
}

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

/** The second day's users get random actions, so that version 2 does far worse than its parent. */
static void a_promoted_version_that_does_harm_is_rolled_back_and_the_topics_say_why(void **state)
{
    (void)state;
    brokers b;
    program run, simulator;
    run_round(&b, ROUND OPEN_GATE "rollback.sessions: 400\nrollback.z: 2\nrollback.fall: 0.05\n",
              "verdict=promote");
    program_start(&run, b.folder, "run", "-c", b.config, "--set", "round.max_rounds=0", "--set",
                  "round.min_sessions=100000");
    program_start(&simulator, b.folder, "simulate", "-c", b.config, "--sessions", "600", "--seed",
                  "6", "--explore", "gaussian", "--sigma", "2", "--start-ms", SECOND_DAY);
    program_end(&simulator);
    program_said(&simulator, 0, "\"policy_version\":2");
    program_until(&run, "rollback to version 1: version 2 brings ");
    assert_int_equal(kill(run.pid, SIGTERM), 0);
    program_end(&run);
    program_said(&run, 0, "msg=policy.compared", "side_by_side=0",
                 "name=default version=3 parent=2 stage=live verdict=promote live=true");
    json_t *third = show(&b, "3");
    const json_t *numbers = json_object_get(third, "metrics");
    assert_int_equal((int)json_number_value(json_object_get(numbers, "rollback_of")), 1);
    assert_int_equal((int)json_number_value(json_object_get(numbers, "payload_of")), 1);
    json_decref(third);
    program_check(b.folder, ARGS("policy", "list", "-c", b.config), 0,
                  "rollback to version 1: version 2 brings ");
    program_free(&run);
    program_free(&simulator);
    brokers_close(&b);
}

/** The first day's candidate passes a wide gate and goes on trial; on the second day it serves half
 *  of the users, and whatever they bring is enough. */
static void a_canary_serves_its_users_and_becomes_the_head(void **state)
{
    (void)state;
    brokers b;
    program run, simulator;
    run_round(&b,
              ROUND OPEN_GATE "gate.stages: canary\ncanary.percent: 50\ncanary.sessions: 200\n"
                              "canary.z: -100\nrollback.z: 100\n",
              "verdict=canary");
    program_check(b.folder, ARGS("policy", "list", "-c", b.config), 0, "default#canary");
    json_t *canary = show(&b, "2");
    assert_string_equal(json_string_value(json_object_get(canary, "stage")), "canary");
    assert_int_equal((int)json_number_value(
                         json_object_get(json_object_get(canary, "metrics"), "canary.percent")),
                     50);
    json_decref(canary);
    program_start(&run, b.folder, "run", "-c", b.config, "--set", "round.max_rounds=0", "--set",
                  "round.min_sessions=100000");
    program_start(&simulator, b.folder, "simulate", "-c", b.config, "--sessions", "600", "--seed",
                  "6", "--start-ms", SECOND_DAY);
    program_end(&simulator);
    program_said(&simulator, 0, "\"policy_version\":1");
    program_until(&run, "promoted from version 2, verdict canary: ");
    assert_int_equal(kill(run.pid, SIGTERM), 0);
    program_end(&run);
    program_said(&run, 0, "msg=policy.compared", "side_by_side=1",
                 "version=3 parent=1 stage=live verdict=promote live=true");
    program_check(b.folder, ARGS("policy", "show", "-c", b.config), 0, "version            3",
                  "canary.difference_z");
    program_start(&simulator, b.folder, "policy", "list", "-c", b.config);
    program_end(&simulator);
    assert_null(strstr(program_text(&simulator.out), "default#canary"));
    program_free(&run);
    program_free(&simulator);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_with_little_data_is_held_and_only_the_history_knows_it),
        cmocka_unit_test(a_promoted_version_that_does_harm_is_rolled_back_and_the_topics_say_why),
        cmocka_unit_test(a_canary_serves_its_users_and_becomes_the_head),
        cmocka_unit_test(a_promoted_round_is_served_exported_and_served_from_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
