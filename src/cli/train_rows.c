#include "cli/train_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file_store.h"
#include "core/file.h"
#include "learner/reward.h"

#define INPUT_BLOB "input"

/** What the rows depend on: the files, as a file system knows them, and the settings by which they
 *  become rows. Weights and clips of the reward are not among them: rows keep signals. */
static mtf_status describe_input(const mtf_cli *cli, mtf_buf *out, mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    mtf_reward reward;
    const mtf_status status = mtf_reward_parse(&reward, s->reward_weights, s->reward_clip, err);
    if (status) return status;
    for (int i = 0; i < cli->word_count; i++) {
        struct stat about;
        if (stat(cli->words[i], &about) != 0)
            return mtf_fail(err, MTF_INVALID, "train: %s: %s", cli->words[i], strerror(errno));
        mtf_buf_printf(out, "%s %" PRIdMAX " %" PRIdMAX ".%09ld\n", cli->words[i],
                       (intmax_t)about.st_size, (intmax_t)about.st_mtim.tv_sec,
                       about.st_mtim.tv_nsec);
    }
    mtf_reward_names(&reward, out);
    mtf_buf_printf(out, "\n%" PRId64 " %" PRId64 " %" PRId64 " %s %s %.17g\n", s->policy_state_dim,
                   s->policy_list, s->policy_item_features, s->policy_name, s->policy_actions,
                   s->policy_box);
    mtf_buf_printf(
        out,
        "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n%s\n%s\n%s\n",
        s->sessionize_gap_ms, s->sessionize_grace_ms, s->sessionize_out_of_orderness_ms,
        s->sessionize_max_future_ms, s->sessionize_max_duration_ms, s->sessionize_max_events,
        s->sessionize_aggregators, s->schema_directory, s->privacy_user_key_file);
    return out->failed ? mtf_fail(err, MTF_NOMEM, "train: out of memory") : MTF_OK;
}

/** Reads the files into a store at `filling`, which then becomes the one at `path`. */
static mtf_status fill(mtf_cli *cli, const char *filling, const char *path, const mtf_buf *input,
                       mtf_err *err)
{
    file_store made = {0};
    mtf_status status = mtf_folder_remove(filling, err);
    if (status == MTF_OK) status = file_store_fill(cli, "train", filling, &made, err);
    if (status == MTF_OK)
        status = mtf_store_put_blob(made.store, INPUT_BLOB, mtf_buf_span(input), err);
    file_store_close(&made);
    return status ? status : mtf_file_move(filling, path, err);
}

static mtf_status check_input(mtf_store *store, const char *folder, const mtf_buf *input,
                              mtf_err *err)
{
    mtf_buf stored = {0};
    mtf_status status = mtf_store_get_blob(store, INPUT_BLOB, &stored, err);
    if (status == MTF_SKIP ||
        (status == MTF_OK &&
         (stored.size != input->size || memcmp(stored.data, input->data, input->size) != 0)))
        status = mtf_fail(err, MTF_INVALID,
                          "train: %.150s holds an interrupted run of other files or settings: give "
                          "it those, remove the folder, or name another with --state",
                          folder);
    mtf_buf_fini(&stored);
    return status;
}

mtf_status train_rows_open(mtf_cli *cli, const char *folder, mtf_store **store, mtf_err *err)
{
    mtf_buf path = {0}, filling = {0}, input = {0};
    struct stat about;
    mtf_buf_printf(&path, "%s/rows", folder);
    mtf_buf_printf(&filling, "%s/rows.filling", folder);
    mtf_status status = path.failed || filling.failed
                            ? mtf_fail(err, MTF_NOMEM, "train: out of memory")
                            : describe_input(cli, &input, err);
    if (status == MTF_OK) status = mtf_folder_make(folder, err);
    if (status) goto done;
    const char *at = (const char *)path.data;
    if (stat(at, &about) != 0) status = fill(cli, (const char *)filling.data, at, &input, err);
    if (status == MTF_OK) status = mtf_store_open(at, NULL, false, store, err);
    if (status == MTF_OK) status = check_input(*store, folder, &input, err);
done:
    mtf_buf_fini(&path);
    mtf_buf_fini(&filling);
    mtf_buf_fini(&input);
    return status;
}

mtf_status train_rows_remove(const char *folder, mtf_err *err)
{
    static const char *const made[] = {"rows", "rows.filling"};
    mtf_status status = MTF_OK;
    for (size_t i = 0; i < 2 && status == MTF_OK; i++) {
        mtf_buf path = {0};
        mtf_buf_printf(&path, "%s/%s", folder, made[i]);
        status = path.failed ? mtf_fail(err, MTF_NOMEM, "train: out of memory")
                             : mtf_folder_remove((const char *)path.data, err);
        mtf_buf_fini(&path);
    }
    if (status == MTF_OK) rmdir(folder); /* fails where it is not empty */
    return status;
}
