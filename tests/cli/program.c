#include "cli/program.h"

#include "core/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_BYTES_MAX ((size_t)256 << 20)

extern char **environ;

void program_start_to(program *p, const char *folder, const char *out_path,
                      const char *const *arguments)
{
    static int started; /* the tests are one thread; files of one folder get names of their own */
    char *argv[64] = {(char *)(intptr_t)MTF_PROGRAM};
    size_t count = 1;
    *p = (program){0};
    for (; arguments[count - 1]; count++) {
        assert_in_range(count, 1, sizeof argv / sizeof *argv - 2);
        argv[count] = (char *)(intptr_t)arguments[count - 1];
    }
    snprintf(p->out_path, sizeof p->out_path, "%s/%d.out", folder, started);
    if (out_path) snprintf(p->out_path, sizeof p->out_path, "%s", out_path);
    snprintf(p->err_path, sizeof p->err_path, "%s/%d.err", folder, started++);
    posix_spawn_file_actions_t files;
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&files, 1, p->out_path, flags, 0644), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&files, 2, p->err_path, flags, 0644), 0);
    assert_int_equal(posix_spawn(&p->pid, MTF_PROGRAM, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
}

static void read_text(const char *path, mtf_buf *text)
{
    mtf_err err = {0};
    mtf_buf_clear(text);
    if (strncmp(path, "/dev/", 5) != 0)
        mtf_assert_ok(mtf_file_read(path, OUTPUT_BYTES_MAX, text, &err), &err);
    mtf_buf_put_u8(text, '\0');
    assert_false(text->failed);
}

/** True once it has ended; its code is set then. */
static bool has_ended(program *p)
{
    int state;
    const pid_t pid = waitpid(p->pid, &state, WNOHANG);
    assert_int_not_equal(pid, -1);
    if (pid == 0) return false;
    p->pid = 0;
    p->code = WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
    read_text(p->out_path, &p->out);
    read_text(p->err_path, &p->err);
    return true;
}

static void pause_ms(long ms)
{
    const struct timespec pause = {0, ms * 1000000};
    nanosleep(&pause, NULL);
}

static void give_up(program *p, const char *what)
{
    if (p->pid) {
        kill(p->pid, SIGKILL);
        while (!has_ended(p)) pause_ms(10);
    }
    fail_msg("%s; exit code %d\nstandard error:\n%s", what, p->code, program_text(&p->err));
}

void program_end(program *p)
{
    const int64_t started_ns = mtf_clock_mono_ns();
    while (p->pid && !has_ended(p)) {
        if (mtf_clock_mono_ns() - started_ns > PROGRAM_WAIT_MS * INT64_C(1000000))
            give_up(p, "the program did not end");
        pause_ms(5);
    }
}

void program_until(program *p, const char *text)
{
    const int64_t started_ns = mtf_clock_mono_ns();
    mtf_buf so_far = {0};
    bool found = false, ended = false;
    while (!found) {
        ended = has_ended(p);
        read_text(p->err_path, &so_far);
        found = strstr(program_text(&so_far), text) != NULL;
        if (!found && ended) give_up(p, "the program ended before it said the expected");
        if (mtf_clock_mono_ns() - started_ns > PROGRAM_WAIT_MS * INT64_C(1000000))
            give_up(p, "the program did not say the expected");
        if (!found) pause_ms(20);
    }
    mtf_buf_fini(&so_far);
}

void program_free(program *p)
{
    mtf_buf_fini(&p->out);
    mtf_buf_fini(&p->err);
}

void program_again_until(const char *folder, const char *const *arguments, const char *text)
{
    const int64_t until_ns = mtf_clock_mono_ns() + PROGRAM_WAIT_MS * INT64_C(1000000);
    for (;;) {
        program p;
        program_start_to(&p, folder, NULL, arguments);
        program_end(&p);
        const bool there = strstr(program_text(&p.out), text) != NULL;
        if (!there && mtf_clock_mono_ns() > until_ns) give_up(&p, text);
        program_free(&p);
        if (there) return;
        pause_ms(100);
    }
}

void program_assert(const program *p, int code, const char *const *texts, const char *file,
                    int line)
{
    bool right = p->code == code;
    for (; *texts; texts++) {
        const bool found =
            strstr(program_text(&p->out), *texts) || strstr(program_text(&p->err), *texts);
        if (!found) print_error("not said: %s\n", *texts);
        right = right && found;
    }
    if (right) return;
    print_error("exit code %d, expected %d\nstandard output:\n%.4000s\nstandard error:\n%.8000s\n",
                p->code, code, program_text(&p->out), program_text(&p->err));
    _fail(file, line);
}
