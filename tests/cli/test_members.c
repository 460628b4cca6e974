/** Goal: one process runs several members of the group, each under a name of its own, and ends
 *  with the first that fails; a commit of other settings is refused until it is accepted. Method:
 * the program on mock brokers. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "core/clock.h"

static void take_none(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

static void threads_are_members_of_the_group_under_names_of_their_own(void **state)
{
    (void)state;
    brokers b;
    program p;
    brokers_open(&b, NULL, "sessionize.threads: 3\n");
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    program_until(&p, "event=assign partitions=1");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "msg=sessionize.member instance=test-0", "instance=test-1",
                 "instance=test-2", "msg=sessionize.end");
    program_free(&p);
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

static void changed_settings_are_refused_until_accepted(void **state)
{
    (void)state;
    static const char *const commands[] = {"sessionize", "run"};
    brokers b;
    program p;
    mtf_buf event = {0};
    brokers_open(&b, NULL, "");
    request_event("request", mtf_clock_wall_ms(), 64, &event);
    brokers_put(&b, "mtf.exploration", "user", mtf_buf_span(&event));
    brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    program_start(&p, b.folder, "sessionize", "-c", b.config);
    brokers_read(&b, "mtf.dead-letter", 1, take_none, NULL);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "records_in=2", "events_held=1");
    program_free(&p);
    for (int i = 0; i < 2; i++)
        program_check(b.folder, ARGS(commands[i], "-c", b.config, "--set", "sessionize.grace_ms=1"),
                      64, "commit at offset 2: ", "grace_ms", "--accept-config-change");
    program_start(&p, b.folder, "run", "-c", b.config, "--set", "sessionize.grace_ms=1",
                  "--accept-config-change");
    program_until(&p, "msg=sessionize.start ");
    brokers_put(&b, "mtf.exploration", "user", (mtf_span){(const uint8_t *)"garbage!!!!", 11});
    brokers_read(&b, "mtf.dead-letter", 2, take_none, NULL);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "clean_starts=1", "open_from=0 records_at_most=2 ");
    program_free(&p);
    /* Now the commit is of those settings. */
    program_check(b.folder, ARGS("sessionize", "-c", b.config), 64, "commit at offset 3: ");
    mtf_buf_fini(&event);
    brokers_close(&b);
}

static void two_groups_share_no_transactional_id(void **state)
{
    (void)state;
    static const char *const rows[][3] = {{"mtf-sessionize", "y-z", "id=mtf-sessionize-y-z\n"},
                                          {"x", "y-z", "id=x:y-z\n"},
                                          {"x-y", "z", "id=x-y:z\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        brokers b;
        program p;
        char group[60], instance[60];
        brokers_open(&b, NULL, "");
        snprintf(group, sizeof group, "sessionize.group=%s", rows[i][0]);
        snprintf(instance, sizeof instance, "sessionize.instance=%s", rows[i][1]);
        program_start(&p, b.folder, "sessionize", "-c", b.config, "--set", group, "--set", instance,
                      "--set", "sessionize.delivery=exactly-once");
        program_until(&p, rows[i][2]);
        assert_int_equal(kill(p.pid, SIGKILL), 0);
        program_end(&p);
        program_free(&p);
        brokers_close(&b);
    }
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("sessionize", "-c", b.config, "--set", "sessionize.instance=y:z"),
                  64, "sessionize.instance: ", "y:z", "take another name");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_members_of_the_group_under_names_of_their_own),
        cmocka_unit_test(a_member_that_fails_stops_the_others),
        cmocka_unit_test(changed_settings_are_refused_until_accepted),
        cmocka_unit_test(two_groups_share_no_transactional_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
