/** `mtf store stats`: what the learner's store holds, read without disturbing a learner. */
#include "cli/cli.h"
#include "learner/store.h"

#include <stdio.h>
#include <string.h>

static const char *const bucket_names[] = {"explore", "baseline", "control"};

static void print_text(const mtf_store *store, const mtf_store_totals *totals)
{
    uint64_t rows, bytes;
    mtf_store_live(store, &rows, &bytes);
    printf("store %s\n%s", mtf_store_path(store), mtf_store_identity_text(store));
    printf("records read  %lld\nsessions      %lld\ntransitions   %lld\n  truncated   "
           "%lld\nduplicates    %lld\n"
           "bad records   %lld\nrows now      %llu\nbytes on disk %llu\n\n",
           (long long)totals->records, (long long)totals->sessions, (long long)totals->rows,
           (long long)totals->truncated, (long long)totals->duplicates, (long long)totals->bad,
           (unsigned long long)rows, (unsigned long long)bytes);
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    printf("%10s  %-9s %12s %12s %14s\n", "version", "bucket", "sessions", "transitions", "bytes");
    for (size_t i = 0; i < count; i++) {
        printf("%10lld  %-9s %12lld %12lld %14lld\n", (long long)counts[i].version,
               bucket_names[counts[i].bucket], (long long)counts[i].sessions,
               (long long)counts[i].rows, (long long)counts[i].bytes);
    }
    const mtf_store_position *positions = mtf_store_positions(store, &count);
    printf("\n%10s %14s\n", "partition", "next offset");
    for (size_t i = 0; i < count; i++)
        printf("%10d %14lld\n", positions[i].partition, (long long)positions[i].next);
}

static void print_json(const mtf_store *store, const mtf_store_totals *totals)
{
    uint64_t rows, bytes;
    mtf_store_live(store, &rows, &bytes);
    printf("{\"records\":%lld,\"sessions\":%lld,\"transitions\":%lld,\"truncated\":%lld,"
           "\"duplicates\":%lld,"
           "\"bad\":%lld,\"rows\":%llu,\"bytes\":%llu,\"versions\":[",
           (long long)totals->records, (long long)totals->sessions, (long long)totals->rows,
           (long long)totals->truncated, (long long)totals->duplicates, (long long)totals->bad,
           (unsigned long long)rows, (unsigned long long)bytes);
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    for (size_t i = 0; i < count; i++) {
        printf("%s{\"version\":%lld,\"bucket\":\"%s\",\"sessions\":%lld,\"transitions\":%lld}",
               i ? "," : "", (long long)counts[i].version, bucket_names[counts[i].bucket],
               (long long)counts[i].sessions, (long long)counts[i].rows);
    }
    printf("],\"positions\":[");
    const mtf_store_position *positions = mtf_store_positions(store, &count);
    for (size_t i = 0; i < count; i++) {
        printf("%s{\"partition\":%d,\"next\":%lld}", i ? "," : "", positions[i].partition,
               (long long)positions[i].next);
    }
    printf("]}\n");
}

int mtf_command_store(mtf_cli *cli, int argc, char **argv)
{
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "store stats [--json]", NULL, 0, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    mtf_store *store = NULL;
    if (cli->word_count != 1 || strcmp(cli->words[0], "stats") != 0) {
        status = mtf_fail(&err, MTF_INVALID, "store: say stats");
    } else {
        status = mtf_store_open(cli->settings.store_path, NULL, true, &store, &err);
    }
    if (status == MTF_OK) (cli->json ? print_json : print_text)(store, mtf_store_totals_of(store));
    mtf_store_close(store);
    return mtf_cli_exit(status, &err);
}
