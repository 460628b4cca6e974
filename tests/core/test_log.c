/** Goal: one event is one line, its level decides whether it is written, and JSON lines parse.
 *  Method: log into a pipe and read it. */
#include "support/mtf_test.h"

#include "core/log.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS 4
#define LINES   200

/** What was written to fds[0] since, as text; closes both ends. */
static void drain(int fds[2], char *text, size_t size)
{
    close(fds[1]);
    size_t used = 0;
    for (ssize_t got = 1; got > 0; used += (size_t)got) {
        got = read(fds[0], text + used, size - 1 - used);
        assert_true(got >= 0);
    }
    text[used] = '\0';
    close(fds[0]);
}

static void lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    int fds[2];
    char text[1000];
    assert_int_equal(pipe(fds), 0);
    const mtf_log log = {MTF_LOG_WARN, false, fds[1]};
    mtf_log_line(&log, MTF_LOG_INFO, "test.info", "a=%d", 1);
    mtf_log_line(&log, MTF_LOG_WARN, "test.warn", "a=%d b=%s", 2, "x");
    mtf_log_line(&log, MTF_LOG_ERROR, "test.error", "a=%d", 3);
    mtf_log_line(NULL, MTF_LOG_ERROR, "test.silent", "a=%d", 4);
    drain(fds, text, sizeof text);
    char *second = strchr(text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    assert_memory_equal(text, "ts=20", 5);
    assert_string_equal(strstr(text, " level="), " level=warn msg=test.warn a=2 b=x");
    assert_string_equal(strstr(second, " level="), " level=error msg=test.error a=3\n");
}

static void json_lines_escape_what_json_must(void **state)
{
    (void)state;
    int fds[2];
    char text[1000];
    assert_int_equal(pipe(fds), 0);
    const mtf_log log = {MTF_LOG_INFO, true, fds[1]};
    mtf_log_line(&log, MTF_LOG_INFO, "test.json", "path=\"a\\b\"\nnext=%c", 1);
    drain(fds, text, sizeof text);
    assert_string_equal(strstr(text, ",\"level\""), ",\"level\":\"info\",\"msg\":\"test.json\","
                                                    "\"fields\":\"path=\\\"a\\\\b\\\" next= \"}\n");
}

static void long_events_stay_one_whole_line(void **state)
{
    (void)state;
    char words[5000], text[8000];
    memset(words, '"', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    for (int json = 0; json < 2; json++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        const mtf_log log = {MTF_LOG_INFO, json != 0, fds[1]};
        mtf_log_line(&log, MTF_LOG_INFO, "test.long", "%s", words);
        drain(fds, text, sizeof text);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        if (json) assert_string_equal(text + strlen(text) - 4, "\"\"}\n");
    }
}

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++) mtf_log_line(arg, MTF_LOG_INFO, "test.thread", "end=yes");
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    static char text[THREADS * LINES * 100];
    int fds[2];
    pthread_t threads[THREADS];
    assert_int_equal(pipe(fds), 0);
    mtf_log log = {MTF_LOG_INFO, false, fds[1]};
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &log), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    drain(fds, text, sizeof text);
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = '\0';
        assert_memory_equal(line, "ts=20", 5);
        assert_string_equal(strstr(line, " level"), " level=info msg=test.thread end=yes");
    }
    assert_int_equal(lines, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(json_lines_escape_what_json_must),
        cmocka_unit_test(long_events_stay_one_whole_line),
        cmocka_unit_test(threads_do_not_mix_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
