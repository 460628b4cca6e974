/** `mtf healthcheck`: asks the stage that runs with the same settings on this machine, for
 * containers and service managers; no other program is needed. */
#include "cli/cli.h"
#include "ops/http.h"

#include <stdio.h>

#define ANSWER_MS 5000

/** Where a server that listens everywhere is reached from here. */
static const char *local_address(const char *bind)
{
    if (strcmp(bind, "0.0.0.0") == 0) return "127.0.0.1";
    return strcmp(bind, "::") == 0 ? "::1" : bind;
}

static mtf_status ask(const mtf_settings *settings, bool ready, int *code, mtf_buf *body,
                      mtf_err *err)
{
    if (settings->http_port == 0)
        return mtf_fail(err, MTF_INVALID,
                        "healthcheck: http.port is 0, so there is nothing to ask; give the running "
                        "stage and this command the same http.port");
    return mtf_http_get(local_address(settings->http_bind), (int)settings->http_port,
                        ready ? "/readyz" : "/healthz", ANSWER_MS, code, body, err);
}

int mtf_command_healthcheck(mtf_cli *cli, int argc, char **argv)
{
    bool ready = false;
    const mtf_option options[] = {
        {"--ready", MTF_OPTION_FLAG, &ready, 0, 0, NULL,
         "ask whether it can do its work, not only whether it moves"},
    };
    mtf_err err = {0};
    mtf_buf body = {0};
    int code = 0;
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "healthcheck -c FILE [--ready]", options, 1, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status == MTF_OK) status = ask(&cli->settings, ready, &code, &body, &err);
    if (status == MTF_OK && body.size) fwrite(body.data, 1, body.size, stdout);
    mtf_buf_fini(&body);
    if (status == MTF_OK) return code == 200 ? MTF_EXIT_OK : MTF_EXIT_FAILED;
    const int exit_code = mtf_cli_exit(status, &err);
    return exit_code == MTF_EXIT_USAGE || status == MTF_CLOSED ? exit_code : MTF_EXIT_FAILED;
}
