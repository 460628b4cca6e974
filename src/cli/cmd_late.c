/** `mtf late list|replay`: events that came after their session closed. */
#include "cli/aside_list.h"
#include "cli/late_replay.h"

int mtf_command_late(mtf_cli *cli, int argc, char **argv)
{
    aside_options o = {.limit = INT64_MAX};
    mtf_option table[ASIDE_OPTION_COUNT];
    const size_t count = aside_options_table(&o, false, table);
    aside_filter filter;
    bool replay;
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "late list|replay [options]", table, count, NULL, &err);
    if (status == MTF_CLOSED) return MTF_EXIT_OK;
    if (status == MTF_OK) status = aside_options_read(cli, "late", &o, &filter, &replay, &err);
    if (status == MTF_OK)
        status = replay ? late_replay(cli, &o, &filter, &err)
                        : aside_list(cli, cli->settings.topics_late, &o, &filter, &err);
    return mtf_cli_exit_work(status, &err);
}
