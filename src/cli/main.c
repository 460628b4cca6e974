/** The program: finds the subcommand, owns the signal flag, turns statuses into exit codes. */
#include "cli/cli.h"
#include "learner/blas_core.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct command {
    const char *name, *help;
    mtf_command_fn *run;
} commands[] = {
    {"demo", "the closed loop on this machine, no server needed", mtf_command_demo},
    {"run", "sessionize and learn in one process", mtf_command_run},
    {"sessionize", "exploration events -> sessions", mtf_command_sessionize},
    {"learn", "sessions -> transitions -> rounds -> policies", mtf_command_learn},
    {"simulate", "a simulated recommender: events to Kafka or to a file", mtf_command_simulate},
    {"train", "files of events or sessions -> a policy record, without Kafka", mtf_command_train},
    {"evaluate", "what a policy is worth, from what another explored", mtf_command_evaluate},
    {"compare", "every learner and search side by side, on the simulator", mtf_command_compare},
    {"replay", "files of events or sessions -> sessions, without Kafka", mtf_command_replay},
    {"policy", "list | show | diff | export | verify | rollback | promote | freeze | thaw",
     mtf_command_policy},
    {"store", "stats | rows | verify | backup | restore | forget | compact: the learner's store",
     mtf_command_store},
    {"reward", "show | suggest: what the weights come to, and which ones the data speak for",
     mtf_command_reward},
    {"healthcheck", "asks a running stage here whether it is well", mtf_command_healthcheck},
    {"audit", "whether every event came out once, from the topics alone", mtf_command_audit},
    {"dlq", "list | replay dead letters", mtf_command_dlq},
    {"late", "list | replay events that came too late", mtf_command_late},
    {"topics", "create: the topics of the settings; how existing ones differ", mtf_command_topics},
    {"offsets", "show | reset: where the sessionizers' group stands", mtf_command_offsets},
    {"sessions", "tail: sessions as they come out", mtf_command_sessions},
    {"config", "check | print | docs of the settings", mtf_command_config},
    {"version", "what this program was built from and runs on", mtf_command_version},
};

/** The mutable globals: a signal handler has no other way to speak to the program. */
static atomic_bool stop_asked, signalled;
static _Atomic int64_t shutdown_ms = 25000; /* until the settings say it */
static timer_t deadline;

/** Async-signal-safe, as all that handlers call. */
static void say(const char *words)
{
    if (write(STDERR_FILENO, words, strlen(words)) < 0) return;
}

static void on_signal(int number)
{
    const int64_t ms = atomic_load(&shutdown_ms);
    const struct itimerspec wait = {.it_value = {ms / 1000, ms % 1000 * 1000000}};
    if (atomic_exchange(&signalled, true)) _exit(128 + number);
    atomic_store(&stop_asked, true);
    timer_settime(deadline, 0, &wait, NULL); /* 0 disarms it */
}

static void on_deadline(int number)
{
    (void)number;
    say("level=error msg=shutdown.timeout reason=\"not ended within shutdown.timeout_ms of the "
        "signal; what was not committed is done again at the next start\"\n");
    _exit(MTF_EXIT_INTERNAL);
}

static bool catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction alarm_action = {.sa_handler = on_deadline};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    sigfillset(&action.sa_mask); /* one handler at a time */
    sigfillset(&alarm_action.sa_mask);
    sigaction(SIGALRM, &alarm_action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &deadline) != 0) return false;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

static void usage(FILE *out)
{
    fprintf(
        out,
        "usage: mtf COMMAND [-c FILE] [--set section.key=value] [--json] [--fail-fast] ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "\n`mtf COMMAND --help` says more; `mtf config docs` lists every setting.\n");
}

/** `mtf ... | head`: whoever read our output has had enough. */
static bool reader_has_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/** What was printed must have arrived: a full disk is no success. */
static int finish(int code)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || reader_has_left()) return code;
    fprintf(stderr, "mtf: cannot write to standard output\n");
    return code == MTF_EXIT_OK ? MTF_EXIT_DISK : code;
}

int main(int argc, char **argv)
{
    mtf_cli cli = {.stop = &stop_asked,
                   .shutdown_ms = &shutdown_ms,
                   .log = {.level = MTF_LOG_INFO, .fd = STDERR_FILENO}};
    if (argc < 2) {
        usage(stderr);
        return MTF_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return finish(MTF_EXIT_OK);
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        cli.blas_core = mtf_blas_core_fix(argv);
        if (!catch_signals()) {
            fprintf(stderr, "mtf: no timer for the deadline of a shutdown: %s\n", strerror(errno));
            return MTF_EXIT_INTERNAL;
        }
        const int code = commands[i].run(&cli, argc - 2, argv + 2);
        mtf_settings_fini(&cli.settings);
        free(cli.words);
        return finish(code);
    }
    fprintf(stderr, "mtf: no command '%s'\n\n", argv[1]);
    usage(stderr);
    return MTF_EXIT_USAGE;
}
