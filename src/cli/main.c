/** The program: finds the subcommand, owns the signal flag, turns statuses into exit codes. */
#include "cli/cli.h"
#include "learner/blas_core.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    {"replay", "files of events -> sessions, without Kafka", mtf_command_replay},
    {"policy", "list | show | export policies of the topic", mtf_command_policy},
    {"store", "stats of the learner's store", mtf_command_store},
    {"config", "check | print | docs of the settings", mtf_command_config},
    {"version", "what this program was built from and runs on", mtf_command_version},
};

/** The one mutable global: a signal handler has no other way to speak to the program. */
static atomic_bool stop_asked;

static void on_signal(int number)
{
    if (atomic_exchange(&stop_asked, true)) _exit(128 + number);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
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
    mtf_cli cli = {.stop = &stop_asked, .log = {.level = MTF_LOG_INFO, .fd = STDERR_FILENO}};
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
        catch_signals();
        const int code = commands[i].run(&cli, argc - 2, argv + 2);
        mtf_settings_fini(&cli.settings);
        free(cli.words);
        return finish(code);
    }
    fprintf(stderr, "mtf: no command '%s'\n\n", argv[1]);
    usage(stderr);
    return MTF_EXIT_USAGE;
}
