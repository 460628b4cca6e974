/** `mtf run`: the sessionizer and the learner in one process, each on its own thread. If one fails,
 *  both stop: a half that works would only hide the other. */
#include "cli/cli.h"
#include "cli/operator.h"

#include <pthread.h>

typedef struct worker {
    sessionize_stage stage;
    mtf_status status;
    mtf_err err;
} worker;

static void *run_sessionize(void *arg)
{
    worker *w = arg;
    w->status = sessionize_stage_run(&w->stage, &w->err);
    return NULL;
}

int mtf_command_run(mtf_cli *cli, int argc, char **argv)
{
    bool accept_config_change = false, accept_loss = false;
    const mtf_option options[] = {STAGE_ACCEPT_CONFIG_CHANGE(accept_config_change),
                                  STAGE_ACCEPT_LOSS(accept_loss)};
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "run -c FILE [--accept-config-change] [--accept-loss]",
                     options, 2, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const stage_context context = {&cli->settings, &cli->log, cli->stop, cli->fail_fast};
    worker w = {0};
    learn_stage learn = {0};
    pthread_t thread;
    bool started = false;
    operator_view view;
    status = operator_open(&view, cli, &err);
    if (status == MTF_OK)
        status = sessionize_stage_open(&w.stage, &context, accept_config_change, &err);
    if (status == MTF_OK) status = learn_stage_open(&learn, &context, NULL, accept_loss, &err);
    if (status == MTF_OK) {
        operator_sessionize(&view, &w.stage);
        operator_learn(&view, &learn);
        started = pthread_create(&thread, NULL, run_sessionize, &w) == 0;
        status = started ? learn_stage_run(&learn, &err)
                         : mtf_fail(&err, MTF_NOMEM, "cannot start a thread");
        atomic_store(cli->stop, true);
    }
    if (started) pthread_join(thread, NULL);
    operator_close(&view);
    learn_stage_close(&learn);
    sessionize_stage_close(&w.stage);
    return w.status != MTF_OK ? mtf_cli_exit(w.status, &w.err) : mtf_cli_exit(status, &err);
}
