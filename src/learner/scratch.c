#include "learner/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "learner/train.h"

#define PARTITION 0 /* of every row: its source has places of its own, which no cut asks for */

static mtf_status open_store(mtf_scratch *scratch, const char *path, const mtf_settings *settings,
                             uint32_t actions, uint32_t predictions, mtf_err *err)
{
    mtf_buf names = {0};
    scratch->settings = settings;
    mtf_status status =
        mtf_reward_parse(&scratch->reward, settings->reward_weights, settings->reward_clip, err);
    if (status) return status;
    scratch->shape = mtf_train_row_shape(settings, actions, predictions, scratch->reward.count);
    mtf_reward_names(&scratch->reward, &names);
    const mtf_store_identity identity = {.shape = scratch->shape,
                                         .signals = (const char *)names.data,
                                         .actions = settings->policy_actions,
                                         .policy = settings->policy_name,
                                         .cluster_id = ""};
    status = names.failed ? mtf_fail(err, MTF_NOMEM, "out of memory")
                          : mtf_store_open(path, &identity, false, &scratch->store, err);
    mtf_buf_fini(&names);
    return status;
}

mtf_status mtf_scratch_open(mtf_scratch *scratch, const mtf_settings *settings, uint32_t actions,
                            uint32_t predictions, mtf_err *err)
{
    const char *base = getenv("TMPDIR");
    char path[sizeof scratch->folder];
    *scratch = (mtf_scratch){0};
    snprintf(scratch->folder, sizeof scratch->folder - 8, "%s/mtf-rows-XXXXXX",
             base ? base : "/tmp");
    if (!mkdtemp(scratch->folder)) {
        mtf_fail(err, MTF_IO, "make a folder %.200s: %s; set TMPDIR to one that can be written to",
                 scratch->folder, strerror(errno));
        scratch->folder[0] = 0;
        return MTF_IO;
    }
    snprintf(path, sizeof path, "%.290s/store", scratch->folder);
    return open_store(scratch, path, settings, actions, predictions, err);
}

mtf_status mtf_scratch_open_at(mtf_scratch *scratch, const char *path, const mtf_settings *settings,
                               uint32_t actions, uint32_t predictions, mtf_err *err)
{
    *scratch = (mtf_scratch){0};
    return open_store(scratch, path, settings, actions, predictions, err);
}

static mtf_status put_rows(mtf_scratch *scratch, const mtf_session *session, mtf_err *err)
{
    mtf_status status = MTF_OK;
    for (uint32_t i = 0; i < session->step_count && status == MTF_OK; i++) {
        uint8_t key[MTF_ROW_KEY_BYTES];
        status = mtf_row_make(&scratch->shape, &scratch->reward, scratch->settings->policy_box,
                              session, i, PARTITION, scratch->offset, &scratch->row, err);
        if (status) break;
        mtf_buf_clear(&scratch->value);
        mtf_row_encode(&scratch->shape, &scratch->row, &scratch->value);
        if (scratch->value.failed) return mtf_fail(err, MTF_NOMEM, "no memory for a row");
        mtf_row_key(session, i, key);
        status = mtf_store_put_row(scratch->store, key, &scratch->row.h,
                                   mtf_buf_span(&scratch->value), err);
        scratch->rows++;
    }
    return status;
}

mtf_status mtf_scratch_put(mtf_scratch *scratch, const mtf_session *session, mtf_err *err)
{
    uint8_t first[MTF_ROW_KEY_BYTES];
    bool stored;
    if (mtf_session_fits(&scratch->shape, session, &scratch->why) != MTF_OK) {
        scratch->bad++;
        return MTF_OK;
    }
    mtf_row_key(session, 0, first);
    mtf_status status = mtf_store_has(scratch->store, first, &stored, err);
    if (status || stored) {
        scratch->duplicates += stored;
        return status;
    }
    status = put_rows(scratch, session, err);
    scratch->sessions += session->part == 0;
    scratch->offset++;
    return status;
}

mtf_status mtf_scratch_settle(mtf_scratch *scratch, mtf_err *err)
{
    const mtf_store_position position = {
        .partition = PARTITION, .next = scratch->offset, .last = scratch->offset - 1};
    const mtf_status status = mtf_store_set_position(scratch->store, &position, err);
    return status ? status : mtf_store_commit(scratch->store, err);
}

void mtf_scratch_close(mtf_scratch *scratch)
{
    mtf_err ignored;
    mtf_store_close(scratch->store);
    scratch->store = NULL;
    mtf_row_fini(&scratch->row);
    mtf_buf_fini(&scratch->value);
    if (scratch->folder[0] && mtf_folder_remove(scratch->folder, &ignored) != MTF_OK)
        fprintf(stderr, "mtf: %s is left behind: %s\n", scratch->folder, ignored.msg);
    scratch->folder[0] = 0;
}
