/** `mtf config check|print|docs`. */
#include "cli/cli.h"
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

int mtf_command_config(mtf_cli *cli, int argc, char **argv)
{
    mtf_err err = {0};
    mtf_buf out = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "config check|print|docs [-c FILE]", NULL, 0, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    if (strcmp(what, "check") == 0) {
        status = check(&cli->settings, &err);
        if (status == MTF_OK) printf("settings are valid\n");
        return mtf_cli_exit(status, &err);
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
