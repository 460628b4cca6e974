/** The command line: options common to all subcommands, the command's own table, and settings. */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/** What was read before settings are applied in their order. */
typedef struct command_line {
    const char *file;
    const char *pairs[256]; /* of --set */
    size_t pair_count;
    bool help;
} command_line;

static mtf_status set_option(const mtf_option *option, const char *text, mtf_err *err)
{
    char *end = NULL;
    errno = 0;
    switch (option->kind) {
    case MTF_OPTION_FLAG:
        *(bool *)option->target = true;
        return MTF_OK;
    case MTF_OPTION_TEXT:
        *(const char **)option->target = text;
        return MTF_OK;
    case MTF_OPTION_INT: {
        const long long value = strtoll(text, &end, 10);
        if (errno || end == text || *end || (double)value < option->min ||
            (double)value > option->max)
            break;
        *(int64_t *)option->target = value;
        return MTF_OK;
    }
    case MTF_OPTION_NUMBER: {
        const double value = strtod(text, &end);
        if (errno || end == text || *end || !(value >= option->min && value <= option->max)) break;
        *(double *)option->target = value;
        return MTF_OK;
    }
    }
    return mtf_fail(err, MTF_INVALID, "%s: '%s' is not a number in %.15g..%.15g", option->name,
                    text, option->min, option->max);
}

static const mtf_option *find(const mtf_option *options, size_t count, const char *name,
                              size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    }
    return NULL;
}

static mtf_status read_words(mtf_cli *cli, command_line *line, int argc, char **argv,
                             const mtf_option *options, size_t option_count, mtf_err *err)
{
    const mtf_option common[] = {
        {.name = "-c", .kind = MTF_OPTION_TEXT, .target = &line->file},
        {.name = "--config", .kind = MTF_OPTION_TEXT, .target = &line->file},
        {.name = "--set", .kind = MTF_OPTION_TEXT, .target = NULL},
        {.name = "--json", .kind = MTF_OPTION_FLAG, .target = &cli->json},
        {.name = "--fail-fast", .kind = MTF_OPTION_FLAG, .target = &cli->fail_fast},
        {.name = "--help", .kind = MTF_OPTION_FLAG, .target = &line->help},
        {.name = "-h", .kind = MTF_OPTION_FLAG, .target = &line->help},
    };
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            cli->words[cli->word_count++] = argv[i];
            continue;
        }
        const char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        const size_t size = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        /* The command's own options come first: `demo --json FILE` takes a value. */
        const mtf_option *option = find(options, option_count, argv[i], size);
        if (!option) option = find(common, sizeof common / sizeof *common, argv[i], size);
        if (!option)
            return mtf_fail(err, MTF_INVALID, "no option '%s'; --help lists them", argv[i]);
        const char *text = equals ? equals + 1 : NULL;
        if (option->kind == MTF_OPTION_FLAG && text) {
            return mtf_fail(err, MTF_INVALID, "%s takes no value", option->name);
        }
        if (option->kind != MTF_OPTION_FLAG && !text) {
            if (++i == argc) return mtf_fail(err, MTF_INVALID, "%s wants a value", option->name);
            text = argv[i];
        }
        if (option->target) {
            const mtf_status status = set_option(option, text, err);
            if (status != MTF_OK) return status;
        } else if (line->pair_count < sizeof line->pairs / sizeof *line->pairs) {
            line->pairs[line->pair_count++] = text;
        } else {
            return mtf_fail(err, MTF_INVALID, "too many --set; put them into a file and use -c");
        }
    }
    return MTF_OK;
}

static mtf_status set_pair(mtf_settings *settings, const char *pair, mtf_err *err)
{
    const char *equals = strchr(pair, '=');
    if (!equals) { /* what is behind the name may be a secret */
        const int name = (int)strspn(pair, "abcdefghijklmnopqrstuvwxyz_.");
        return mtf_fail(err, MTF_INVALID, "--set: '%.*s%s' is not section.key=value",
                        name < 100 ? name : 100, pair, pair[name] ? "..." : "");
    }
    char key[300];
    if ((size_t)(equals - pair) >= sizeof key)
        return mtf_fail(err, MTF_INVALID, "--set: the key is too long");
    memcpy(key, pair, (size_t)(equals - pair));
    key[equals - pair] = '\0';
    return mtf_settings_set(settings, key, equals + 1, "--set", err);
}

static mtf_status apply_settings(mtf_cli *cli, const command_line *line, const char *const *preset,
                                 mtf_err *err)
{
    mtf_status status = mtf_settings_init(&cli->settings, err);
    for (; status == MTF_OK && preset && preset[0]; preset += 2) {
        status = mtf_settings_set(&cli->settings, preset[0], preset[1], "preset", err);
    }
    if (status == MTF_OK && line->file) status = mtf_settings_load(&cli->settings, line->file, err);
    if (status == MTF_OK) status = mtf_settings_environment(&cli->settings, environ, err);
    for (size_t i = 0; status == MTF_OK && i < line->pair_count; i++) {
        status = set_pair(&cli->settings, line->pairs[i], err);
    }
    return status;
}

/** Arguments of a process are there for every user of the machine to see. */
static void warn_of_secret(const mtf_log *log, const char *pair)
{
    char key[300] = "";
    memcpy(key, pair, strcspn(pair, "=")); /* fits: it was a setting's name */
    if (!mtf_settings_gives_secret(key)) return;
    mtf_log_line(
        log, MTF_LOG_WARN, "settings.exposed",
        "key=%s reason=\"a secret on the command line: anyone on this machine can read it; "
        "use %s_file\"",
        key, key);
}

static void print_help(const char *usage, const mtf_option *options, size_t count)
{
    printf("usage: mtf %s\n\n", usage);
    for (size_t i = 0; i < count; i++) {
        char head[80];
        snprintf(head, sizeof head, "%s %s", options[i].name,
                 options[i].value ? options[i].value : "");
        printf("  %-26s %s\n", head, options[i].help);
    }
    printf("  %-26s %s\n  %-26s %s\n  %-26s %s\n", "-c, --config FILE", "settings file (YAML)",
           "--set section.key=value", "one setting; wins over file and environment", "--fail-fast",
           "leave when no broker answers");
    if (!find(options, count, "--json", strlen("--json")))
        printf("  %-26s %s\n", "--json", "listings as JSON");
    printf("  %-26s %s\n", "-h, --help", "this text");
}

mtf_status mtf_cli_read(mtf_cli *cli, int argc, char **argv, const char *usage,
                        const mtf_option *options, size_t option_count, const char *const *preset,
                        mtf_err *err)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    command_line line = {0};
    cli->words = calloc((size_t)argc + 1, sizeof *cli->words);
    if (!cli->words) return mtf_fail(err, MTF_NOMEM, "out of memory reading the command line");
    mtf_status status = read_words(cli, &line, argc, argv, options, option_count, err);
    if (status != MTF_OK) return status;
    if (line.help) {
        print_help(usage, options, option_count);
        return MTF_CLOSED;
    }
    status = apply_settings(cli, &line, preset, err);
    if (status != MTF_OK) return status;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(cli->settings.log_level, levels[i]) == 0) cli->log.level = (mtf_log_level)i;
    }
    cli->log.json = cli->settings.log_json;
    for (size_t i = 0; i < line.pair_count; i++) warn_of_secret(&cli->log, line.pairs[i]);
    atomic_store(cli->shutdown_ms, cli->settings.shutdown_timeout_ms);
    return MTF_OK;
}

mtf_status mtf_cli_no_words(const mtf_cli *cli, mtf_err *err)
{
    if (cli->word_count == 0) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "'%.200s' is not expected here; a settings file goes behind -c, and --help "
                    "lists the options",
                    cli->words[0]);
}

int mtf_cli_exit(mtf_status status, const mtf_err *err)
{
    if (status == MTF_OK || status == MTF_CLOSED) return MTF_EXIT_OK;
    fprintf(stderr, "mtf: %s\n", err && err->msg[0] ? err->msg : mtf_status_text(status));
    switch (status) {
    case MTF_INVALID:
        return MTF_EXIT_USAGE;
    case MTF_SKIP:
    case MTF_CORRUPT:
        return MTF_EXIT_DATA;
    case MTF_BROKER:
    case MTF_AGAIN: /* brokers that stayed busy until someone lost patience */
        return MTF_EXIT_BROKER;
    case MTF_IO:
        return MTF_EXIT_DISK;
    default:
        return MTF_EXIT_INTERNAL;
    }
}

int mtf_cli_exit_work(mtf_status status, const mtf_err *err)
{
    if (status != MTF_CLOSED) return mtf_cli_exit(status, err);
    fprintf(stderr, "mtf: %s\n", err && err->msg[0] ? err->msg : "stopped before the end");
    return MTF_EXIT_FAILED;
}
