#include "cli/file_store.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/file_sessions.h"
#include "client/policy.h"

static mtf_status take(void *arg, const mtf_session *session, mtf_err *err)
{
    return mtf_scratch_put(arg, session, err);
}

static mtf_status settle(void *arg, mtf_err *err)
{
    return mtf_scratch_settle(arg, err);
}

static mtf_status fill(mtf_cli *cli, const char *command, const char *path, file_store *made,
                       mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    const file_sessions to = {made, take, settle};
    mtf_action_table table;
    *made = (file_store){0};
    mtf_status status = mtf_action_table_parse(&table, s->policy_actions, err);
    if (status == MTF_OK)
        status = path ? mtf_scratch_open_at(made, path, s, table.count, table.prediction_count, err)
                      : mtf_scratch_open(made, s, table.count, table.prediction_count, err);
    if (status == MTF_OK) status = file_sessions_read(cli, command, &to, err);
    if (status == MTF_OK) status = mtf_scratch_settle(made, err);
    if (made->bad + made->duplicates > 0)
        fprintf(stderr,
                "%s: %" PRId64 " sessions that the settings do not fit and %" PRId64
                " that were there already are left out%s%.160s\n",
                command, made->bad, made->duplicates, made->bad ? "; " : "", made->why.msg);
    if (status == MTF_OK && made->rows == 0)
        status = mtf_fail(err, MTF_SKIP,
                          "%s: the files hold no session that fits the settings (policy.state_dim, "
                          "policy.actions, reward.weights)%s%.160s",
                          command, made->bad ? ": " : "", made->why.msg);
    return status;
}

mtf_status file_store_make(mtf_cli *cli, const char *command, file_store *made, mtf_err *err)
{
    return fill(cli, command, NULL, made, err);
}

mtf_status file_store_fill(mtf_cli *cli, const char *command, const char *path, file_store *made,
                           mtf_err *err)
{
    return fill(cli, command, path, made, err);
}

void file_store_close(file_store *made)
{
    mtf_scratch_close(made);
}
