/** Goal: what becomes of a version once it serves, end to end: one that does harm is rolled back, a
 *  canary serves its users and becomes the head, and the topics say why. Method: mock brokers, a
 *  round on the first simulated day whose gate is wide open, and a second day. */
#include "cli/one_round.h"

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
        cmocka_unit_test(a_promoted_version_that_does_harm_is_rolled_back_and_the_topics_say_why),
        cmocka_unit_test(a_canary_serves_its_users_and_becomes_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
