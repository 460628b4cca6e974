/** `mtf learn`: sessions -> transitions -> rounds -> policies. */
#include "cli/cli.h"
#include "cli/operator.h"

int mtf_command_learn(mtf_cli *cli, int argc, char **argv)
{
    bool accept_loss = false;
    const mtf_option options[] = {STAGE_ACCEPT_LOSS(accept_loss)};
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "learn -c FILE [--accept-loss]", options, 1, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    mtf_log_line(&cli->log, MTF_LOG_INFO, "learn.start", "blas_core=%s", cli->blas_core);
    const stage_context context = {&cli->settings, &cli->log, cli->stop, cli->fail_fast};
    learn_stage stage = {0};
    operator_view view;
    status = operator_open(&view, cli, &err);
    if (status == MTF_OK) status = learn_stage_open(&stage, &context, NULL, accept_loss, &err);
    if (status == MTF_OK) {
        operator_learn(&view, &stage);
        status = learn_stage_run(&stage, &err);
    }
    operator_close(&view);
    learn_stage_close(&stage);
    return mtf_cli_exit(status, &err);
}
