/** `mtf sessionize`: exploration events -> sessions, as members of the consumer group. */
#include "cli/cli.h"
#include "cli/operator.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/** librdkafka's buffers of a megabyte come and go with every fetch and every batch. As it comes,
 * the heap gives them back to the system each time and faults them in again, which is a tenth of
 * all CPU time; it may rather keep them: up to what was in use at once, which the queues bound. */
static void keep_heap(void)
{
#ifdef __GLIBC__
    enum { PAD_BYTES = 32 << 20, KEPT_BYTES = 256 << 20 };
    (void)mallopt(M_MMAP_THRESHOLD, PAD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_TOP_PAD, PAD_BYTES);
#endif
}

int mtf_command_sessionize(mtf_cli *cli, int argc, char **argv)
{
    bool accept_config_change = false;
    const mtf_option options[] = {STAGE_ACCEPT_CONFIG_CHANGE(accept_config_change)};
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "sessionize -c FILE [--accept-config-change]",
                                     options, 1, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const stage_context context = {&cli->settings, &cli->log, cli->stop, cli->fail_fast};
    sessionize_stage stage = {0};
    operator_view view;
    keep_heap();
    status = operator_open(&view, cli, &err);
    if (status == MTF_OK)
        status = sessionize_stage_open(&stage, &context, accept_config_change, &err);
    if (status == MTF_OK) {
        operator_sessionize(&view, &stage);
        status = sessionize_stage_run(&stage, &err);
    }
    operator_close(&view);
    sessionize_stage_close(&stage);
    return mtf_cli_exit(status, &err);
}
