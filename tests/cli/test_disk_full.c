/** Goal: a learner whose disk is full stops with words and code 74, counts nothing that it could
 * not write, and goes on where it was once there is space. Method: its store on a small tmpfs,
 * which a file of the test fills. Needs the right to mount; skipped without it. */
#include "cli/brokers.h"
#include "cli/program.h"
#include "cli/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

enum { SESSIONS = 200 }; /* session ids are one byte */

static void ignore_record(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

static void put_sessions(brokers *b, int first, int count)
{
    mtf_buf session = {0};
    for (int i = first; i < first + count; i++) {
        mtf_buf_clear(&session);
        one_step_session((uint8_t)i, 64, &session);
        brokers_put(b, "mtf.sessions", "user", mtf_buf_span(&session));
    }
    brokers_put(b, "mtf.sessions", "user", (mtf_span){(const uint8_t *)"garbage", 7});
    mtf_buf_fini(&session);
}

/** Writes until there is no byte left. */
static void fill(const char *path)
{
    static const char zeros[1 << 12];
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(fd >= 0);
    size_t size = sizeof zeros;
    while (size > 0) {
        const ssize_t put = write(fd, zeros, size);
        if (put < 0 && errno == ENOSPC) size /= 2;
        if (put < 0 && errno != ENOSPC) fail_msg("fill %s: %s", path, strerror(errno));
    }
    assert_int_equal(close(fd), 0);
}

static void a_full_disk_stops_the_learner_and_loses_nothing(void **state)
{
    (void)state;
    brokers b;
    program p;
    char disk[2 * MTF_TEST_PATH], filler[3 * MTF_TEST_PATH], store[3 * MTF_TEST_PATH];
    mtf_err err = {0};
    brokers_open(&b, NULL, "");
    snprintf(disk, sizeof disk, "%s/disk", b.folder);
    snprintf(filler, sizeof filler, "%s/filler", disk);
    snprintf(store, sizeof store, "store.path=%s/store", disk);
    mtf_assert_ok(mtf_folder_make(disk, &err), &err);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=24m") != 0) {
        print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
        brokers_close(&b);
        skip();
    }
    put_sessions(&b, 0, 50);
    program_start(&p, b.folder, "learn", "-c", b.config, "--set", store);
    brokers_read(&b, "mtf.dead-letter", 1, ignore_record, NULL);
    program_until(&p, "msg=policy.initial");
    fill(filler);
    put_sessions(&b, 50, SESSIONS - 50);
    program_end(&p); /* by itself */
    program_said(&p, 74, disk, "No space left", "free space on that disk");
    program_free(&p);
    fill(filler); /* the learner gave some back as it ended */
    program_check(b.folder, ARGS("learn", "-c", b.config, "--set", store), 74, disk,
                  "No space left");

    assert_int_equal(unlink(filler), 0);
    program_check(b.folder, ARGS("store", "verify", "--set", store), 0, "is whole");
    program_start(&p, b.folder, "learn", "-c", b.config, "--set", store);
    program_again_until(b.folder, ARGS("store", "stats", "--json", "--set", store),
                        "\"records\":202,");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "learn.end");
    program_free(&p);
    program_check(b.folder, ARGS("store", "stats", "--set", store), 0, "sessions      200",
                  "duplicates    0", "bad records   2", "records read  202");
    assert_int_equal(umount(disk), 0);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_stops_the_learner_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
