/** `mtf version`: the program's version, and the libraries it runs with. */
#include "cli/operator.h"

#include <stdio.h>

int mtf_command_version(mtf_cli *cli, int argc, char **argv)
{
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "version [--json]", NULL, 0, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    mtf_buf text = {0};
    operator_version(cli, cli->json, &text);
    if (text.size) fwrite(text.data, 1, text.size, stdout);
    mtf_buf_fini(&text);
    return MTF_EXIT_OK;
}
