/** `mtf version`: the program's version, and the libraries it runs with. */
#include "cli/cli.h"
#include "ingest/kafka_client.h"

#include <stdio.h>

int mtf_command_version(mtf_cli *cli, int argc, char **argv)
{
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "version [--json]", NULL, 0, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *format =
        cli->json
            ? "{\"mtf\":\"%s\",\"librdkafka\":\"%s\",\"blas_core\":\"%s\",\"compiler\":\"%s\"}\n"
            : "mtf %s\nlibrdkafka %s\nOpenBLAS core %s\ncompiler %s\n";
    printf(format, MTF_VERSION, mtf_kafka_version(), cli->blas_core ? cli->blas_core : "unknown",
           __VERSION__);
    return MTF_EXIT_OK;
}
