/** Goal: brokers that do not answer, topics that are not there and librdkafka settings that are
 *  wrong end the program with words and the right code. Method: a closed port, mock brokers with
 * one topic left out, and settings that librdkafka refuses. */
#include "cli/brokers.h"

#include <librdkafka/rdkafka_mock.h>

static void fail_fast_leaves_with_69_when_no_broker_answers(void **state)
{
    (void)state;
    static const char *const commands[] = {"run", "sessionize", "learn", "simulate"};
    brokers b;
    brokers_open(&b, NULL, "");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        program_check(b.folder,
                      ARGS(commands[i], "-c", b.config, "--set",
                           "kafka.bootstrap_servers=127.0.0.1:1", "--fail-fast"),
                      69, "no broker answers at 127.0.0.1:1", "check kafka.bootstrap_servers");
    program_check(b.folder,
                  ARGS("policy", "list", "--set", "kafka.bootstrap_servers=no-such-host.invalid:9"),
                  69, "no broker answers at no-such-host.invalid:9");
    brokers_close(&b);
}

static void without_fail_fast_it_waits_and_a_signal_ends_the_wait(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    program_start(&p, b.folder, "learn", "-c", b.config, "--set",
                  "kafka.bootstrap_servers=127.0.0.1:1");
    program_until(&p, "msg=kafka.wait brokers=127.0.0.1:1");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "kafka.wait");
    program_free(&p);
    brokers_close(&b);
}

static void a_partition_without_a_leader_is_named_while_it_is_waited_for(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    rd_kafka_mock_partition_set_leader(mtf_kafka_mock_cluster(b.mock), "mtf.exploration", 0, -1);
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    program_until(&p, "msg=sessionize.wait partition=0 waited_ms=");
    rd_kafka_mock_partition_set_leader(mtf_kafka_mock_cluster(b.mock), "mtf.exploration", 0, 1);
    program_until(&p, "msg=sessionize.start partition=0");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "reason=\"offsets of mtf.exploration/0: ");
    program_free(&p);
    brokers_close(&b);
}

static void a_missing_topic_is_named_with_the_command_that_makes_it(void **state)
{
    (void)state;
    static const struct {
        const char *command, *topic;
    } cases[] = {{"sessionize", "mtf.exploration"},
                 {"sessionize", "mtf.sessions"},
                 {"sessionize", "mtf.late"},
                 {"sessionize", "mtf.dead-letter"},
                 {"learn", "mtf.sessions"},
                 {"learn", "mtf.dead-letter"},
                 {"learn", "mtf.policy"},
                 {"learn", "mtf.policy-history"},
                 {"run", "mtf.policy"},
                 {"simulate", "mtf.exploration"},
                 {"simulate", "mtf.policy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        brokers b;
        char words[200];
        brokers_open(&b, cases[i].topic, "");
        snprintf(words, sizeof words, "--create --topic %s --partitions N", cases[i].topic);
        program_check(b.folder, ARGS(cases[i].command, "-c", b.config), 64, cases[i].topic,
                      "does not exist, or this user has no ACL", words);
        brokers_close(&b);
    }
}

static void a_kafka_setting_that_librdkafka_refuses_is_named(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("sessionize", "-c", b.config, "--set", "kafka.no.such.thing=1"),
                  64, "no.such.thing");
    program_check(b.folder,
                  ARGS("learn", "-c", b.config, "--set", "kafka.client.id=" /* none */, "--set",
                       "kafka.consumer.fetch.wait.max.ms=soon"),
                  64, "fetch.wait.max.ms");
    brokers_close(&b);
}

static void an_empty_policy_topic_lists_nothing_and_shows_what_to_do(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("policy", "list", "-c", b.config), 0, "");
    program_check(b.folder, ARGS("policy", "show", "-c", b.config), 64, "no policy 'default'",
                  "mtf policy list --history");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fast_leaves_with_69_when_no_broker_answers),
        cmocka_unit_test(without_fail_fast_it_waits_and_a_signal_ends_the_wait),
        cmocka_unit_test(a_partition_without_a_leader_is_named_while_it_is_waited_for),
        cmocka_unit_test(a_missing_topic_is_named_with_the_command_that_makes_it),
        cmocka_unit_test(a_kafka_setting_that_librdkafka_refuses_is_named),
        cmocka_unit_test(an_empty_policy_topic_lists_nothing_and_shows_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
