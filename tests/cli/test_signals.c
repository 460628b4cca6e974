/** Goal: the roles end in order on SIGTERM and SIGINT, and at once on a second signal. Method: each
 *  role on mock brokers; two signals at once are given to a stopped process, so that neither can be
 *  answered before the other has come. */
#include "cli/brokers.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    const char *command, *running; /* what it logs once it runs */
} roles[] = {
    {"sessionize", "msg=sessionize.start"},
    {"learn", "msg=policy.initial"},
    {"run", "msg=policy.initial"},
};
#define ROLE_COUNT (sizeof roles / sizeof *roles)

static void a_signal_ends_every_role_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        brokers b;
        program p;
        brokers_open(&b, NULL, "");
        program_start(&p, b.folder, roles[i].command, "-c", b.config);
        program_until(&p, roles[i].running);
        assert_int_equal(kill(p.pid, i % 2 ? SIGINT : SIGTERM), 0);
        program_end(&p);
        program_said(&p, 0, "end ");
        program_free(&p);
        brokers_close(&b);
    }
}

static void a_second_signal_kills_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        brokers b;
        program p;
        brokers_open(&b, NULL, "");
        program_start(&p, b.folder, roles[i].command, "-c", b.config);
        program_until(&p, roles[i].running);
        assert_int_equal(kill(p.pid, SIGSTOP), 0);
        assert_int_equal(kill(p.pid, SIGTERM), 0);
        assert_int_equal(kill(p.pid, SIGINT), 0);
        assert_int_equal(kill(p.pid, SIGCONT), 0);
        program_end(&p);
        assert_true(p.code == 128 + SIGTERM || p.code == 128 + SIGINT);
        program_free(&p);
        brokers_close(&b);
    }
}

static void take_none(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

static void what_hangs_is_ended_at_the_deadline_with_70(void **state)
{
    (void)state;
    for (int run = 0; run < 2; run++) {
        brokers b;
        program p;
        brokers_open(&b, NULL, "shutdown.timeout_ms: 500\n");
        brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage", 7});
        program_start(&p, b.folder, run ? "run" : "sessionize", "-c", b.config, "--set",
                      "sessionize.commit_interval_ms=60000");
        brokers_read(&b, "mtf.dead-letter", 1, take_none, NULL); /* read, not committed */
        mtf_kafka_mock_close(b.mock);
        b.mock = NULL;
        assert_int_equal(kill(p.pid, SIGTERM), 0); /* the last commit finds no brokers */
        program_end(&p);
        program_said(&p, 70, "msg=shutdown.timeout", "shutdown.timeout_ms");
        program_free(&p);
        brokers_close(&b);
    }
}

static void letters_that_no_broker_takes_do_not_hold_a_learner_up(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "");
    program_start(&p, b.folder, "learn", "-c", b.config, "--set", "log.level=debug", "--set",
                  "kafka.producer.debug=topic");
    program_until(&p, "msg=policy.initial");
    rd_kafka_mock_partition_set_leader(mtf_kafka_mock_cluster(b.mock), "mtf.dead-letter", 0, -1);
    brokers_put(&b, "mtf.sessions", "user", (mtf_span){(const uint8_t *)"garbage", 7});
    program_until(&p, "New local topic: mtf.dead-letter");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "msg=learn.given_up records=1 ", "not acknowledged", "msg=learn.end");
    program_free(&p);
    brokers_close(&b);
}

/** A broker that takes connections and never answers: its socket, and the pair for --set. */
static int open_silent(char pair[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(pair, 64, "kafka.bootstrap_servers=127.0.0.1:%d", ntohs(address.sin_port));
    return listener;
}

/** Nothing was listed and nothing ordered: whoever waits for it must know. */
static void a_command_that_is_stopped_before_its_end_is_no_success(void **state)
{
    (void)state;
    static const char *const commands[][2] = {
        {"policy", "list"}, {"policy", "freeze"}, {"dlq", "list"}};
    char folder[MTF_TEST_PATH], pair[64];
    mtf_test_folder(folder);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        program p;
        const int listener = open_silent(pair);
        program_start(&p, folder, commands[i][0], commands[i][1], "--set", pair);
        const int connection = accept(listener, NULL, NULL); /* it waits for an answer now */
        assert_int_equal(kill(p.pid, SIGTERM), 0);
        program_end(&p);
        program_said(&p, 1, "stopped while waiting for a broker");
        program_free(&p);
        close(connection);
        close(listener);
    }
    mtf_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_ends_every_role_in_order),
        cmocka_unit_test(a_second_signal_kills_at_once),
        cmocka_unit_test(what_hangs_is_ended_at_the_deadline_with_70),
        cmocka_unit_test(a_command_that_is_stopped_before_its_end_is_no_success),
        cmocka_unit_test(letters_that_no_broker_takes_do_not_hold_a_learner_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
