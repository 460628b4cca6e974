/** `mtf config check|print|docs`. */
#include "cli/cli.h"
#include "cli/connect_check.h"
#include "cli/stages.h"

#include <stdio.h>
#include <string.h>

static int put(mtf_buf *out)
{
    mtf_err err = {0};
    const mtf_status status =
        out->failed ? mtf_fail(&err, MTF_NOMEM, "out of memory showing the settings") : MTF_OK;
    if (status == MTF_OK) fwrite(out->data, 1, out->size, stdout);
    mtf_buf_fini(out);
    return mtf_cli_exit(status, &err);
}

/** Of every role; a process that signs must be able to read what it writes. */
static mtf_status check(const mtf_settings *settings, mtf_err *err)
{
    const mtf_status status = stage_settings_check(settings, STAGE_TOPIC_EVENTS, err);
    if (status != MTF_OK) return status;
    return stage_keys_check(settings, settings->policy_signing_key_file[0] != '\0', err);
}

typedef struct config_options {
    bool connect;
    const char *role; /* NULL: all */
} config_options;

static mtf_status roles_of(const char *name, connect_roles *roles, mtf_err *err)
{
    *roles = CONNECT_BOTH;
    if (!name || strcmp(name, "run") == 0) return MTF_OK;
    *roles = strcmp(name, "learn") == 0 ? CONNECT_LEARN : CONNECT_SESSIONIZE;
    if (*roles == CONNECT_LEARN || strcmp(name, "sessionize") == 0) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "--for %.60s: say sessionize, learn or run", name);
}

static mtf_status check_and_connect(const mtf_cli *cli, const config_options *o, mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    connect_roles roles;
    mtf_buf out = {0};
    mtf_status status = roles_of(o->role, &roles, err);
    if (status == MTF_OK) status = check(&cli->settings, err);
    if (status != MTF_OK) return status;
    if (!o->connect) {
        printf("settings are valid\n");
        return MTF_OK;
    }
    if (!cli->json) printf("ok       settings: valid\n");
    status = connect_check(&context, roles, cli->json, &out, err);
    if (status == MTF_OK && out.failed)
        status = mtf_fail(err, MTF_NOMEM, "out of memory telling of the brokers");
    if (out.size) fwrite(out.data, 1, out.size, stdout);
    mtf_buf_fini(&out);
    return status;
}

int mtf_command_config(mtf_cli *cli, int argc, char **argv)
{
    config_options o = {0};
    const mtf_option options[] = {
        {"--connect", MTF_OPTION_FLAG, &o.connect, 0, 0, NULL,
         "of check: ask the brokers, too: are the topics as they should be, may this user work"},
        {"--for", MTF_OPTION_TEXT, &o.role, 0, 0, "STAGE",
         "of check --connect: what this user runs, sessionize, learn or run (both, the default)"},
    };
    mtf_err err = {0};
    mtf_buf out = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "config check|print|docs [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    if (strcmp(what, "check") == 0) {
        status = check_and_connect(cli, &o, &err);
        return mtf_cli_exit_work(status, &err);
    }
    if (strcmp(what, "print") == 0) {
        mtf_settings_print(&cli->settings, &out);
        return put(&out);
    }
    if (strcmp(what, "docs") == 0) {
        mtf_settings_docs(&out);
        return put(&out);
    }
    mtf_fail(&err, MTF_INVALID, "config: say check, print or docs");
    return mtf_cli_exit(MTF_INVALID, &err);
}
