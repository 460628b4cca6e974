/** What every subcommand is given, and how it reads its command line. One file per subcommand. */
#ifndef MTF_CLI_H
#define MTF_CLI_H

#include "core/log.h"
#include "core/settings.h"

#include <stdatomic.h>

/** sysexits-like, the whole program's contract (README "Exit codes"). */
enum {
    MTF_EXIT_OK = 0,
    MTF_EXIT_FAILED = 1, /* the work was stopped before its end */
    MTF_EXIT_USAGE = 64,
    MTF_EXIT_DATA = 65,
    MTF_EXIT_BROKER = 69,
    MTF_EXIT_INTERNAL = 70,
    MTF_EXIT_DISK = 74,
};

typedef struct mtf_cli {
    mtf_settings settings;
    mtf_log log;
    atomic_bool *stop;            /* set by SIGINT and SIGTERM; a second signal kills */
    _Atomic int64_t *shutdown_ms; /* how long after the first; set once settings are read */
    const char *blas_core;
    bool json;      /* --json */
    bool fail_fast; /* --fail-fast: an unreachable broker ends the program */
    char **words;   /* arguments that are no options, after the subcommand */
    int word_count;
} mtf_cli;

typedef enum mtf_option_kind {
    MTF_OPTION_FLAG,
    MTF_OPTION_TEXT,
    MTF_OPTION_INT,
    MTF_OPTION_NUMBER
} mtf_option_kind;

/** One option of a subcommand; target is bool*, const char**, int64_t* or double* by kind. */
typedef struct mtf_option {
    const char *name; /* "--rounds" */
    mtf_option_kind kind;
    void *target;
    double min, max; /* of numbers */
    const char *value, *help;
} mtf_option;

/** Reads options common to all (-c FILE, --set k=v, --json, --fail-fast, --help) and the command's
 *  own, then settings in their order: defaults, preset (pairs of key, value; may be NULL), file,
 *  environment, --set. MTF_CLOSED: help was asked for and printed. */
mtf_status mtf_cli_read(mtf_cli *cli, int argc, char **argv, const char *usage,
                        const mtf_option *options, size_t option_count, const char *const *preset,
                        mtf_err *err) MTF_NODISCARD;

/** MTF_INVALID if there are words: a command without any was given some. */
mtf_status mtf_cli_no_words(const mtf_cli *cli, mtf_err *err) MTF_NODISCARD;

/** The exit code of a status, after the error was printed to stderr (or MTF_EXIT_OK). */
int mtf_cli_exit(mtf_status status, const mtf_err *err);
/** The same for a command whose work has an end: MTF_CLOSED, a stop before it, is no success. */
int mtf_cli_exit_work(mtf_status status, const mtf_err *err);

typedef int mtf_command_fn(mtf_cli *cli, int argc, char **argv);
mtf_command_fn mtf_command_reward;
mtf_command_fn mtf_command_train;
mtf_command_fn mtf_command_compare;
mtf_command_fn mtf_command_audit, mtf_command_dlq, mtf_command_late;
mtf_command_fn mtf_command_topics, mtf_command_offsets, mtf_command_sessions;
mtf_command_fn mtf_command_config, mtf_command_demo, mtf_command_evaluate, mtf_command_healthcheck,
    mtf_command_learn, mtf_command_policy, mtf_command_replay, mtf_command_run,
    mtf_command_sessionize, mtf_command_simulate, mtf_command_store, mtf_command_version;

#endif
