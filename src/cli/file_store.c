#include "cli/file_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file_sessions.h"
#include "client/policy.h"
#include "core/file.h"

#define PARTITION 0 /* of every row: files have places of their own, which no cut asks for */

typedef struct filler {
    file_store *made;
    const mtf_settings *settings;
    mtf_reward reward;
    mtf_row_shape shape;
    mtf_row row;
    mtf_buf value;
    int64_t offset;
    mtf_err why; /* the last bad session's */
} filler;

static mtf_status put_rows(filler *f, const mtf_session *session, mtf_err *err)
{
    mtf_status status = MTF_OK;
    for (uint32_t i = 0; i < session->step_count && status == MTF_OK; i++) {
        uint8_t key[MTF_ROW_KEY_BYTES];
        status = mtf_row_make(&f->shape, &f->reward, f->settings->policy_box, session, i, PARTITION,
                              f->offset, &f->row, err);
        if (status) break;
        mtf_buf_clear(&f->value);
        mtf_row_encode(&f->shape, &f->row, &f->value);
        if (f->value.failed) return mtf_fail(err, MTF_NOMEM, "no memory for a row");
        mtf_row_key(session, i, key);
        status = mtf_store_put_row(f->made->store, key, &f->row.h, mtf_buf_span(&f->value), err);
        f->made->rows++;
    }
    return status;
}

static mtf_status take(void *arg, const mtf_session *session, mtf_err *err)
{
    filler *f = arg;
    uint8_t first[MTF_ROW_KEY_BYTES];
    bool stored;
    if (mtf_session_fits(&f->shape, session, &f->why) != MTF_OK) {
        f->made->bad++;
        return MTF_OK;
    }
    mtf_row_key(session, 0, first);
    mtf_status status = mtf_store_has(f->made->store, first, &stored, err);
    if (status || stored) {
        f->made->duplicates += stored;
        return status;
    }
    status = put_rows(f, session, err);
    f->made->sessions += session->part == 0;
    f->offset++;
    return status;
}

static mtf_status settle(void *arg, mtf_err *err)
{
    filler *f = arg;
    const mtf_store_position position = {
        .partition = PARTITION, .next = f->offset, .last = f->offset - 1};
    mtf_status status = mtf_store_set_position(f->made->store, &position, err);
    if (status == MTF_OK) status = mtf_store_commit(f->made->store, err);
    return status;
}

static mtf_status open_store(filler *f, const char *path, mtf_err *err)
{
    const mtf_settings *s = f->settings;
    mtf_action_table table;
    mtf_buf names = {0};
    mtf_status status = mtf_reward_parse(&f->reward, s->reward_weights, s->reward_clip, err);
    if (status == MTF_OK) status = mtf_action_table_parse(&table, s->policy_actions, err);
    if (status) return status;
    f->shape = (mtf_row_shape){(uint32_t)s->policy_state_dim, table.count, table.prediction_count,
                               f->reward.count};
    mtf_reward_names(&f->reward, &names);
    const mtf_store_identity identity = {.shape = f->shape,
                                         .signals = (const char *)names.data,
                                         .actions = s->policy_actions,
                                         .policy = s->policy_name,
                                         .cluster_id = ""};
    status = names.failed ? mtf_fail(err, MTF_NOMEM, "out of memory")
                          : mtf_store_open(path, &identity, false, &f->made->store, err);
    mtf_buf_fini(&names);
    return status;
}

static mtf_status make_folder(file_store *made, mtf_err *err)
{
    const char *base = getenv("TMPDIR");
    snprintf(made->folder, sizeof made->folder - 8, "%s/mtf-rows-XXXXXX", base ? base : "/tmp");
    if (mkdtemp(made->folder)) return MTF_OK;
    const mtf_status status = mtf_fail(err, MTF_IO,
                                       "make a folder %.200s: %s; set TMPDIR to one that can be "
                                       "written to",
                                       made->folder, strerror(errno));
    made->folder[0] = 0;
    return status;
}

mtf_status file_store_make(mtf_cli *cli, const char *command, file_store *made, mtf_err *err)
{
    char path[sizeof made->folder];
    *made = (file_store){0};
    const mtf_status status = make_folder(made, err);
    if (status) return status;
    snprintf(path, sizeof path, "%.290s/store", made->folder);
    return file_store_fill(cli, command, path, made, err);
}

mtf_status file_store_fill(mtf_cli *cli, const char *command, const char *path, file_store *made,
                           mtf_err *err)
{
    filler f = {.made = made, .settings = &cli->settings};
    const file_sessions to = {&f, take, settle};
    mtf_status status = open_store(&f, path, err);
    if (status == MTF_OK) status = file_sessions_read(cli, command, &to, err);
    if (status == MTF_OK) status = settle(&f, err);
    if (made->bad + made->duplicates > 0)
        fprintf(stderr,
                "%s: %" PRId64 " sessions that the settings do not fit and %" PRId64
                " that were there already are left out%s%.160s\n",
                command, made->bad, made->duplicates, made->bad ? "; " : "", f.why.msg);
    if (status == MTF_OK && made->rows == 0)
        status = mtf_fail(err, MTF_SKIP,
                          "%s: the files hold no session that fits the settings (policy.state_dim, "
                          "policy.actions, reward.weights)%s%.160s",
                          command, made->bad ? ": " : "", f.why.msg);
    mtf_row_fini(&f.row);
    mtf_buf_fini(&f.value);
    return status;
}

void file_store_close(file_store *made)
{
    mtf_err ignored;
    mtf_store_close(made->store);
    made->store = NULL;
    if (made->folder[0] && mtf_folder_remove(made->folder, &ignored) != MTF_OK)
        fprintf(stderr, "mtf: %s is left behind: %s\n", made->folder, ignored.msg);
    made->folder[0] = 0;
}
