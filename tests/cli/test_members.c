/** Goal: one process runs several members of the group, each under a name of its own, counts them
 *  together, and ends with the first that fails. Method: the program on mock brokers. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "core/clock.h"

static void take_none(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

static void threads_are_members_of_the_group_and_are_counted_together(void **state)
{
    (void)state;
    brokers b;
    program p;
    mtf_buf event = {0};
    brokers_open(&b, NULL, "sessionize.threads: 3\n");
    for (int i = 0; i < 5; i++) {
        char id[20];
        snprintf(id, sizeof id, "request-%d", i);
        mtf_buf_clear(&event);
        request_event(id, mtf_clock_wall_ms(), 64, &event);
        brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&event));
    }
    brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    program_until(&p, "event=assign partitions=1");
    program_until(&p, "event=assign partitions=0");
    brokers_read(&b, "mtf.dead-letter", 1, take_none, NULL); /* all was read */
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=6", "events_held=5", "open=1", "dead_decode=1");
    program_free(&p);
    mtf_buf_fini(&event);
    brokers_close(&b);
}

static void a_member_that_fails_stops_the_others(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "sessionize.threads: 2\nerrors.max_consecutive: 1\n");
    brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_check(b.folder, ARGS("sessionize", "-c", b.config), 65, "1 bad ", "instance=test-",
                  "msg=sessionize.end");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_members_of_the_group_and_are_counted_together),
        cmocka_unit_test(a_member_that_fails_stops_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
