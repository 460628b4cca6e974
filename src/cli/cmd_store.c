/** `mtf store stats|rows|verify|backup|restore|forget`: what the learner's store holds, whether it
 * is whole, and copies of it. The first four work beside a learner. */
#include "cli/cli.h"
#include "cli/store_rows.h"
#include "ingest/user_key.h"
#include "learner/store_copy.h"
#include "learner/store_lock.h"
#include "learner/verify.h"

#include <stdlib.h>
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
           "bad records   %lld\nexpired       %lld\nforgotten     %lld\nrows now      %llu\nbytes "
           "on disk %llu\n\n",
           (long long)totals->records, (long long)totals->sessions, (long long)totals->rows,
           (long long)totals->truncated, (long long)totals->duplicates, (long long)totals->bad,
           (long long)totals->expired, (long long)totals->forgotten, (unsigned long long)rows,
           (unsigned long long)bytes);
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
           "\"bad\":%lld,\"lost\":%lld,\"expired\":%lld,\"forgotten\":%lld,\"rows\":%llu,\"bytes\":"
           "%llu,\"versions\":[",
           (long long)totals->records, (long long)totals->sessions, (long long)totals->rows,
           (long long)totals->truncated, (long long)totals->duplicates, (long long)totals->bad,
           (long long)totals->lost, (long long)totals->expired, (long long)totals->forgotten,
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

typedef struct store_options {
    const char *to, *from, *user;
    bool force, dry_run;
    int64_t wait_s;
} store_options;

static mtf_status stats(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    (void)options;
    mtf_store *store = NULL;
    const mtf_status status = mtf_store_open(cli->settings.store_path, NULL, true, &store, err);
    if (status == MTF_OK) (cli->json ? print_json : print_text)(store, mtf_store_totals_of(store));
    mtf_store_close(store);
    return status;
}

static mtf_status rows(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    (void)options;
    mtf_store *store = NULL;
    mtf_status status = mtf_store_open(cli->settings.store_path, NULL, true, &store, err);
    if (status == MTF_OK) status = store_rows_print(store, &cli->settings, err);
    mtf_store_close(store);
    return status;
}

static void print_verified(const char *path, const mtf_verified *found, bool json)
{
    if (!json) printf("%s is whole: ", path);
    printf(json ? "{\"whole\":true,\"rows\":%lld,\"days\":%lld,\"files\":%lld,"
                  "\"positions\":%lld,\"checkpoints\":%lld,\"round\":%lld,\"phase\":\"%s\"}\n"
                : "rows=%lld days=%lld files=%lld positions=%lld checkpoints=%lld round=%lld "
                  "phase=%s\n",
           (long long)found->rows, (long long)found->days, (long long)found->files,
           (long long)found->positions, (long long)found->checkpoints, (long long)found->round,
           found->phase);
}

static mtf_status verify_and_print(const mtf_cli *cli, const char *path, mtf_err *err)
{
    mtf_verified found;
    const mtf_status status = mtf_store_verify(path, &found, err);
    if (status == MTF_OK) print_verified(path, &found, cli->json);
    return status;
}

static mtf_status verify(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    return verify_and_print(cli, options->from ? options->from : cli->settings.store_path, err);
}

/** A backup that was never read is none. */
static mtf_status backup(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    if (!options->to) return mtf_fail(err, MTF_INVALID, "store backup: say where to with --to DIR");
    const mtf_status status = mtf_store_backup(cli->settings.store_path, options->to,
                                               options->wait_s * 1000, cli->stop, err);
    return status ? status : verify_and_print(cli, options->to, err);
}

static mtf_status restore(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    if (!options->from)
        return mtf_fail(err, MTF_INVALID, "store restore: say what with --from DIR");
    mtf_verified found;
    const char *path = cli->settings.store_path;
    mtf_status status = mtf_store_verify(options->from, &found, err);
    if (status == MTF_OK) status = mtf_store_restore(path, options->from, options->force, err);
    if (status == MTF_OK) print_verified(path, &found, cli->json);
    return status;
}

/** The user's own id as rows carry it: hashed with the key, where ids are hashed as they are read.
 */
static mtf_status row_user(const mtf_cli *cli, const char *id, uint64_t *user, mtf_err *err)
{
    char hash[MTF_USER_HASH_CHARS];
    mtf_user_key *key = NULL;
    mtf_status status = mtf_user_key_open(cli->settings.privacy_user_key_file, &key, err);
    if (status == MTF_OK && key) status = mtf_user_key_hash(key, mtf_str_of(id), hash, err);
    if (status == MTF_OK) *user = mtf_row_user(key ? (mtf_str){hash, sizeof hash} : mtf_str_of(id));
    mtf_user_key_close(key);
    return status;
}

/** Whoever rewrites the store needs it alone. */
static mtf_status check_unused(const char *path, const char *what, mtf_err *err)
{
    const pid_t holder = mtf_store_holder(path);
    if (!holder) return MTF_OK;
    return mtf_fail(err, MTF_IO,
                    "store %.200s: a learner (process %ld) uses it; stop it, %s, start it", path,
                    (long)holder, what);
}

static mtf_status compact(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    (void)options;
    const char *path = cli->settings.store_path;
    mtf_store *store = NULL;
    uint64_t rows, before = 0, after = 0;
    mtf_status status = check_unused(path, "compact", err);
    if (status == MTF_OK) status = mtf_store_open(path, NULL, false, &store, err);
    if (status == MTF_OK) mtf_store_live(store, &rows, &before);
    if (status == MTF_OK) status = mtf_store_compact(store, err);
    if (status == MTF_OK) mtf_store_live(store, &rows, &after);
    mtf_store_close(store);
    if (status == MTF_OK)
        printf(cli->json ? "{\"rows\":%llu,\"bytes_before\":%llu,\"bytes_after\":%llu}\n"
                         : "rows=%llu bytes_before=%llu bytes_after=%llu\n",
               (unsigned long long)rows, (unsigned long long)before, (unsigned long long)after);
    return status;
}

static mtf_status forget(mtf_cli *cli, const store_options *options, mtf_err *err)
{
    if (!options->user || !options->user[0])
        return mtf_fail(err, MTF_INVALID, "store forget: say whom with --user ID");
    const char *path = cli->settings.store_path;
    uint64_t user;
    mtf_store *store = NULL;
    mtf_store_forgotten gone;
    mtf_status status = options->dry_run ? MTF_OK : check_unused(path, "forget", err);
    if (status == MTF_OK) status = row_user(cli, options->user, &user, err);
    if (status == MTF_OK) status = mtf_store_open(path, NULL, options->dry_run, &store, err);
    if (status == MTF_OK) status = mtf_store_forget_user(store, user, options->dry_run, &gone, err);
    mtf_store_close(store);
    if (status == MTF_OK)
        printf(cli->json ? "{\"transitions\":%lld,\"sessions\":%lld,\"deleted\":%s}\n"
                         : "transitions=%lld sessions=%lld deleted=%s\n",
               (long long)gone.rows, (long long)gone.sessions, options->dry_run ? "false" : "true");
    if (status == MTF_OK && gone.rows == 0)
        fprintf(stderr,
                "mtf: store forget: nothing of this user is here; where the sessionizers hash "
                "user ids, privacy.user_key_file must be theirs\n");
    return status;
}

static const struct word {
    const char *name;
    mtf_status (*run)(mtf_cli *cli, const store_options *options, mtf_err *err);
} words[] = {{"stats", stats},     {"rows", rows},     {"verify", verify},  {"backup", backup},
             {"restore", restore}, {"forget", forget}, {"compact", compact}};

int mtf_command_store(mtf_cli *cli, int argc, char **argv)
{
    store_options o = {.wait_s = 600};
    const mtf_option options[] = {
        {"--to", MTF_OPTION_TEXT, &o.to, 0, 0, "DIR", "of backup: the folder it makes"},
        {"--from", MTF_OPTION_TEXT, &o.from, 0, 0, "DIR",
         "of restore, and of verify: a backup's folder"},
        {"--force", MTF_OPTION_FLAG, &o.force, 0, 0, NULL,
         "of restore: in place of the store that is there"},
        {"--wait", MTF_OPTION_INT, &o.wait_s, 0, 86400, "S",
         "of backup: seconds to wait for a learner's answer; default 600"},
        {"--user", MTF_OPTION_TEXT, &o.user, 0, 0, "ID",
         "of forget: whose transitions are deleted; backups made before still hold them"},
        {"--dry-run", MTF_OPTION_FLAG, &o.dry_run, 0, 0, NULL, "of forget: only count"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(
        cli, argc, argv, "store stats|rows|verify|backup|restore|forget|compact [options]", options,
        sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].name, what) == 0)
            return mtf_cli_exit_work(words[i].run(cli, &o, &err), &err);
    status = mtf_fail(&err, MTF_INVALID,
                      "store: say stats, rows, verify, backup, restore, forget or compact");
    return mtf_cli_exit(status, &err);
}
