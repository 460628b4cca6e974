#include "learner/verify.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

#include "learner/evaluate.h"
#include "learner/round_state.h"
#include "learner/store_lock.h"

#define TRIES 5 /* beside a learner, whose files come and go while the store is being opened */

static mtf_status check_rows(const mtf_store *store, mtf_verified *found, mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    if (!cursor) return mtf_fail(err, MTF_NOMEM, "no memory to verify the store");
    mtf_row row = {0};
    mtf_span value;
    mtf_err why = {0};
    mtf_status status;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        found->rows++;
        status = mtf_row_decode(&shape, value, &row, &why);
        if (status == MTF_OK) continue;
        mtf_fail(err, status, "store %.90s: %.120s: " MTF_STORE_REMEDY, mtf_store_path(store),
                 why.msg);
        break;
    }
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static mtf_status check_totals(const mtf_store *store, const mtf_verified *found, mtf_err *err)
{
    const mtf_store_totals *t = &found->totals;
    const int64_t rows = t->rows - t->expired - t->forgotten;
    if (rows == found->rows) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT,
                    "store %.90s: %lld rows, its totals say %lld: " MTF_STORE_REMEDY,
                    mtf_store_path(store), (long long)found->rows, (long long)rows);
}

static mtf_status check_round(mtf_store *store, mtf_verified *found, mtf_err *err)
{
    static const char *const phases[] = {"collect", "training", "trained", "gated", "published"};
    mtf_round_state state = {0};
    mtf_policy *policy = NULL;
    mtf_err why = {0};
    mtf_status status = mtf_round_state_load(&state, store, err);
    if (status) return status;
    found->round = state.round;
    found->phase = phases[state.phase];
    if (state.record.size) status = mtf_policy_decode(mtf_buf_span(&state.record), &policy, &why);
    if (status)
        mtf_fail(err, MTF_CORRUPT,
                 "store %.90s: the policy record of round %lld: %.120s: " MTF_STORE_REMEDY,
                 mtf_store_path(store), (long long)state.round, why.msg);
    mtf_policy_free(policy);
    mtf_round_state_fini(&state);
    return status;
}

/** MTF_SKIP: replaced under our eyes. */
static mtf_status check_file(const char *path, const char *name, mtf_err *err)
{
    mtf_buf file = {0};
    mtf_checkpoint checkpoint = {0};
    mtf_err why = {0};
    mtf_buf_printf(&file, "%s/checkpoints/%s", path, name);
    if (file.failed) return mtf_fail(err, MTF_NOMEM, "no memory for a path");
    mtf_status status = mtf_checkpoint_load(&checkpoint, (const char *)file.data, &why);
    if (status == MTF_SKIP) status = MTF_OK;
    if (status)
        mtf_fail(err, status, "%.250s: remove it: %s", why.msg,
                 name[0] == 'v' ? "the critics start cold in the next round"
                                : "the round starts its training again");
    mtf_checkpoint_fini(&checkpoint);
    mtf_buf_fini(&file);
    return status;
}

static mtf_status check_checkpoints(const char *path, mtf_verified *found, mtf_err *err)
{
    mtf_buf folder = {0};
    mtf_buf_printf(&folder, "%s/checkpoints", path);
    DIR *entries = folder.failed ? NULL : opendir((const char *)folder.data);
    mtf_buf_fini(&folder);
    if (!entries) return MTF_OK; /* a store that never had a round */
    mtf_status status = MTF_OK;
    const struct dirent *entry;
    while (status == MTF_OK && (entry = readdir(entries))) {
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".tmp")) continue;
        status = check_file(path, entry->d_name, err);
        found->checkpoints++;
    }
    closedir(entries);
    return status;
}

static mtf_status verify_once(const char *path, mtf_verified *found, mtf_err *err)
{
    size_t count;
    mtf_store *store = NULL;
    *found = (mtf_verified){0};
    mtf_status status = mtf_store_open(path, NULL, true, &store, err);
    if (status) return status;
    found->totals = *mtf_store_totals_of(store);
    mtf_store_positions(store, &count);
    found->positions = (int64_t)count;
    mtf_store_days(store, &count);
    found->days = (int64_t)count;
    status = check_rows(store, found, err);
    if (status == MTF_OK) status = check_totals(store, found, err);
    if (status == MTF_OK) status = mtf_store_check_files(store, &found->files, err);
    if (status == MTF_OK) status = check_round(store, found, err);
    mtf_store_close(store);
    return status ? status : check_checkpoints(path, found, err);
}

mtf_status mtf_store_verify(const char *path, mtf_verified *found, mtf_err *err)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    mtf_status status = verify_once(path, found, err);
    for (int i = 1; i < TRIES && status != MTF_OK && mtf_store_holder(path); i++) {
        nanosleep(&pause, NULL);
        status = verify_once(path, found, err);
    }
    return status;
}
