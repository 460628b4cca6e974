/** `mtf dlq list|replay`: the dead letters. */
#include "cli/aside_list.h"
#include "cli/dlq_replay.h"

int mtf_command_dlq(mtf_cli *cli, int argc, char **argv)
{
    aside_options o = {.limit = INT64_MAX};
    mtf_option table[ASIDE_OPTION_COUNT];
    const size_t count = aside_options_table(&o, true, table);
    aside_filter filter;
    bool replay;
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "dlq list|replay [options]", table, count, NULL, &err);
    if (status == MTF_CLOSED) return MTF_EXIT_OK;
    if (status == MTF_OK) status = aside_options_read(cli, "dlq", &o, &filter, &replay, &err);
    if (status == MTF_OK)
        status = replay ? dlq_replay(cli, &o, &filter, &err)
                        : aside_list(cli, cli->settings.topics_dead_letter, &o, &filter, &err);
    return mtf_cli_exit_work(status, &err);
}
