#include "learner/rounds_inside.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/file.h"
#include "learner/export.h"
#include "learner/store_copy.h"

#define CHECKPOINTS_KEPT 3 /* of champions, for rollbacks */

static mtf_status check_settings(const mtf_settings *settings, mtf_err *err)
{
    const char *warm = settings->learner_warm_start;
    if (strcmp(warm, "all") != 0 && strcmp(warm, "actor") != 0 && strcmp(warm, "none") != 0)
        return mtf_fail(err, MTF_INVALID, "learner.warm_start: \"%s\" is not all, actor or none",
                        warm);
    return MTF_OK;
}

mtf_status mtf_rounds_open(const mtf_rounds_config *config, mtf_rounds **out, mtf_err *err)
{
    const mtf_settings *settings = config->settings;
    mtf_rounds *rounds = calloc(1, sizeof *rounds);
    if (!rounds) return mtf_fail(err, MTF_NOMEM, "no memory for the rounds");
    rounds->config = *config;
    rounds->settings_hash = mtf_train_settings_hash(settings);
    rounds->ops = mtf_algorithm_find(settings->learner_algorithm);
    mtf_status status = check_settings(settings, err);
    if (status == MTF_OK && rounds->ops && !rounds->ops->actor && !config->unserved)
        status = mtf_fail(err, MTF_INVALID,
                          "learner.algorithm: the policy of %s is a search, which no policy record "
                          "can hold; it can be compared, not served: choose another",
                          rounds->ops->name);
    if (status == MTF_OK)
        status = mtf_train_algorithm_config(settings, config->table->count,
                                            &rounds->algorithm_config, err);
    if (status == MTF_OK) {
        const mtf_row_shape shape = mtf_store_shape(config->store);
        mtf_train_set_shape(&rounds->algorithm_config, &shape);
    }
    if (status == MTF_OK) status = mtf_round_state_load(&rounds->state, config->store, err);
    if (status) {
        mtf_rounds_close(rounds);
        rounds = NULL;
    }
    *out = rounds;
    return status;
}

void mtf_rounds_close(mtf_rounds *rounds)
{
    if (!rounds) return;
    mtf_round_forget(rounds);
    mtf_round_state_fini(&rounds->state);
    mtf_policy_free(rounds->champion);
    mtf_policy_free(rounds->trial);
    free(rounds);
}

int64_t mtf_rounds_ended(const mtf_rounds *rounds)
{
    return rounds->ended;
}

bool mtf_rounds_under_way(const mtf_rounds *rounds)
{
    return rounds->state.phase != MTF_ROUND_COLLECT;
}

bool mtf_rounds_lead(const mtf_rounds *rounds)
{
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    return !hooks->leads || hooks->leads(hooks->arg);
}

void mtf_rounds_answer(mtf_store *store, const mtf_log *log)
{
    mtf_err err = {0};
    const mtf_status status = mtf_store_answer(store, &err);
    if (status == MTF_CLOSED)
        mtf_log_line(log, MTF_LOG_INFO, "store.snapshot", "path=%s", mtf_store_path(store));
    else if (status)
        mtf_log_line(log, MTF_LOG_WARN, "store.snapshot", "failed=\"%s\"", err.msg);
}

int64_t mtf_rounds_champion(const mtf_rounds *rounds)
{
    return rounds->champion ? rounds->champion->info.version : 0;
}

int64_t mtf_rounds_on_trial(const mtf_rounds *rounds)
{
    return rounds->trial ? rounds->trial->info.version : 0;
}

/* -- the champion ------------------------------------------------ */

/** A network of zeros, so that every action is the middle of its range. */
static mtf_status publish_first(mtf_rounds *rounds, int64_t version, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const mtf_algorithm_config *config = &rounds->algorithm_config;
    const mtf_row_shape shape = mtf_store_shape(rounds->config.store);
    const uint32_t widths[] = {mtf_row_user_dim(&shape) + mtf_row_item_dim(&shape), config->hidden,
                               config->hidden, mtf_row_item_actions(&shape)};
    mtf_policy *policy = mtf_export_zeros(&shape, rounds->config.table, widths, 3);
    if (!policy) return mtf_fail(err, MTF_NOMEM, "no memory for the first policy");
    mtf_policy_info *info = &policy->info;
    info->version = version;
    info->created_ms = mtf_clock_wall_ms();
    info->box = (float)settings->policy_box;
    snprintf(info->name, sizeof info->name, "%s", settings->policy_name);
    snprintf(info->stage, sizeof info->stage, "live");
    snprintf(info->algorithm, sizeof info->algorithm, MTF_INITIAL_ALGORITHM);
    snprintf(info->verdict, sizeof info->verdict, "promote");
    snprintf(info->reason, sizeof info->reason, "initial: there was no policy");
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    const mtf_status status = hooks->publish(hooks->arg, policy, err);
    if (status == MTF_OK)
        mtf_log_line(rounds->config.log, MTF_LOG_INFO, "policy.initial", "version=%" PRId64,
                     policy->info.version);
    mtf_policy_free(policy);
    return status;
}

/** The head becomes the champion, NULL where there is none. */
static mtf_status read_head(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    mtf_policy *head = NULL, *trial = NULL;
    mtf_status status = hooks->head(hooks->arg, &head, &rounds->newest_version, err);
    if (status == MTF_OK && hooks->trial) status = hooks->trial(hooks->arg, &trial, err);
    if (status) {
        mtf_policy_free(head);
        return status;
    }
    if (!trial || trial->info.version != mtf_rounds_on_trial(rounds)) rounds->reread_at = 0;
    mtf_policy_free(rounds->champion);
    mtf_policy_free(rounds->trial);
    rounds->champion = head;
    rounds->trial = trial;
    return MTF_OK;
}

/** Reads the head again; makes the first policy when there is none. */
static mtf_status refresh_champion(mtf_rounds *rounds, mtf_err *err)
{
    mtf_status status = read_head(rounds, err);
    if (status || rounds->champion) return status;
    status = publish_first(rounds, rounds->newest_version + 1, err);
    if (status == MTF_OK) status = read_head(rounds, err);
    if (status || rounds->champion) return status;
    return mtf_fail(err, MTF_AGAIN, "the first policy is published, but not yet to be read");
}

/* -- COLLECT ----------------------------------------------------- */

/** Sessions under the champion: explored ones, or all if none was. newer: rows of a later version
 *  than it and what is on trial are there, so that what is in memory is old. */
static int64_t sessions_of(const mtf_rounds *rounds, bool *newer)
{
    const int64_t version = rounds->champion->info.version;
    const int64_t trial = mtf_rounds_on_trial(rounds);
    int64_t explored = 0, all = 0;
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(rounds->config.store, &count);
    *newer = false;
    for (size_t i = 0; i < count; i++) {
        *newer |= counts[i].version > (trial > version ? trial : version);
        if (counts[i].version != version) continue;
        all += counts[i].sessions;
        if (counts[i].bucket == MTF_BUCKET_EXPLORE) explored += counts[i].sessions;
    }
    return explored ? explored : all;
}

static bool is_due(const mtf_rounds *rounds, int64_t sessions)
{
    if (rounds->trial) return false; /* its rows would be nobody's once it is promoted */
    const mtf_round_state *state = &rounds->state;
    const bool held = state->round > 0 && state->parent == rounds->champion->info.version;
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    const int64_t fresh = sessions - (held ? state->sessions : 0);
    if (hooks->due) return hooks->due(hooks->arg, fresh);
    return fresh >= rounds->config.settings->round_min_sessions;
}

/** Above every version seen: ours, the head's, and whatever the history has. */
static int64_t next_version(const mtf_rounds *rounds)
{
    int64_t newest = rounds->state.version;
    if (newest < rounds->champion->info.version) newest = rounds->champion->info.version;
    if (newest < rounds->newest_version) newest = rounds->newest_version;
    return newest + 1;
}

/** What an operator does to a trial makes no rows by which it could be noticed. */
static mtf_status reread_trial(mtf_rounds *rounds, mtf_err *err)
{
    bool newer;
    const int64_t sessions = sessions_of(rounds, &newer);
    if (!rounds->trial || sessions < rounds->reread_at) return MTF_OK;
    const mtf_status status = refresh_champion(rounds, err);
    rounds->reread_at = sessions + sessions / 10 + 1;
    return status;
}

/** Cuts the data of a new round if one is due. */
static mtf_status collect(mtf_rounds *rounds, bool *due, mtf_err *err)
{
    bool newer;
    mtf_status status = MTF_OK;
    *due = false;
    if (rounds->champion) status = reread_trial(rounds, err);
    if (status == MTF_OK && rounds->champion) status = mtf_round_watch(rounds, err);
    if (status == MTF_OK && !rounds->champion) status = refresh_champion(rounds, err);
    if (status) return status;
    int64_t sessions = sessions_of(rounds, &newer);
    if (!newer && !is_due(rounds, sessions)) return MTF_OK;
    status = refresh_champion(rounds, err);
    if (status) return status;
    sessions = sessions_of(rounds, &newer);
    if (!is_due(rounds, sessions)) return MTF_OK;

    mtf_round_state *state = &rounds->state;
    status = mtf_round_state_cut(state, rounds->config.store, err);
    if (status) return status;
    state->phase = MTF_ROUND_TRAINING;
    /* A new store goes on counting where the champion's learner stood. */
    if (state->round < rounds->champion->info.round) state->round = rounds->champion->info.round;
    state->round++;
    state->parent = rounds->champion->info.version;
    state->version = next_version(rounds);
    state->sessions = sessions;
    state->cold = false;
    state->servable = false;
    state->parent_checkpoint[0] = 0;
    mtf_buf_clear(&state->record);
    *due = true;
    mtf_log_line(rounds->config.log, MTF_LOG_INFO, "round.begin",
                 "round=%" PRId64 " parent=%" PRId64 " sessions=%" PRId64, state->round,
                 state->parent, sessions);
    return mtf_round_state_save(state, rounds->config.store, err);
}

/* -- TRAINING, TRAINED ------------------------------------------- */

static void begin_report(mtf_rounds *rounds)
{
    const double nan = (double)NAN;
    const mtf_round_state *state = &rounds->state;
    const mtf_row_shape shape = mtf_store_shape(rounds->config.store);
    rounds->report = (mtf_round_report){
        .round = state->round,
        .parent = state->parent,
        .version = state->version,
        .sessions = state->sessions,
        .action_dim = mtf_row_item_actions(&shape),
        .evidence = mtf_evidence_none(),
        .evaluation = mtf_evaluation_none(),
        .outside_box = nan,
        .critic_spread = nan,
        .phi = nan,
        .reward_scale = nan,
    };
}

static mtf_status move_to(mtf_rounds *rounds, mtf_round_phase phase, mtf_err *err)
{
    rounds->state.phase = phase;
    return mtf_round_state_save(&rounds->state, rounds->config.store, err);
}

/** Ends the round with nothing to publish. */
static mtf_status end_unpublished(mtf_rounds *rounds, mtf_verdict_kind kind, const char *reason,
                                  mtf_err *err)
{
    rounds->report.verdict.kind = kind;
    snprintf(rounds->report.verdict.reason, sizeof rounds->report.verdict.reason, "%.199s", reason);
    rounds->state.servable = false;
    mtf_buf_clear(&rounds->state.record);
    return move_to(rounds, MTF_ROUND_PUBLISHED, err);
}

/** The champion is read anew at a restart and when this process leads again. */
static mtf_status check_parent(mtf_rounds *rounds, mtf_err *err)
{
    if (rounds->champion) return MTF_OK;
    const mtf_status status = refresh_champion(rounds, err);
    if (status || rounds->champion->info.version == rounds->state.parent) return status;
    char reason[120];
    snprintf(reason, sizeof reason,
             "parent_changed: the head is version %" PRId64 ", trained from %" PRId64,
             rounds->champion->info.version, rounds->state.parent);
    return end_unpublished(rounds, MTF_VERDICT_HOLD, reason, err);
}

mtf_status mtf_rounds_give_up(mtf_rounds *rounds, const char *reason, mtf_err *err)
{
    const mtf_round_phase phase = rounds->state.phase;
    if (phase != MTF_ROUND_TRAINING && phase != MTF_ROUND_TRAINED) return MTF_OK;
    if (rounds->report.round != rounds->state.round) begin_report(rounds);
    mtf_round_forget(rounds);
    return end_unpublished(rounds, MTF_VERDICT_HOLD, reason, err);
}

/** MTF_OK with the round still in TRAINING or TRAINED: it can go on. */
static mtf_status prepare(mtf_rounds *rounds, mtf_err *err)
{
    mtf_err why = {0};
    if (rounds->report.round != rounds->state.round) begin_report(rounds);
    mtf_status status = check_parent(rounds, err);
    if (status || rounds->state.phase == MTF_ROUND_PUBLISHED) return status;
    status = mtf_round_prepare(rounds, &why);
    rounds->report.transitions = rounds->survey.rows;
    rounds->report.truncated = rounds->survey.truncated;
    rounds->report.heldout_rows = rounds->survey.heldout_rows;
    rounds->report.evidence.exploring = rounds->survey.exploring;
    rounds->report.cold = rounds->state.cold;
    if (status == MTF_SKIP) return end_unpublished(rounds, MTF_VERDICT_HOLD, why.msg, err);
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

/** Others train and publish now: what is known of the head, and the memory of training, goes. */
static void stand_by(mtf_rounds *rounds)
{
    mtf_round_forget(rounds);
    mtf_policy_free(rounds->champion);
    mtf_policy_free(rounds->trial);
    rounds->champion = rounds->trial = NULL;
    rounds->ordered = false;
}

static bool told_to_stop(const mtf_rounds *rounds)
{
    return rounds->config.stop && atomic_load(rounds->config.stop);
}

static mtf_status train(mtf_rounds *rounds, mtf_err *err)
{
    char alarm[160];
    mtf_status status = prepare(rounds, err);
    if (status || rounds->state.phase != MTF_ROUND_TRAINING) return status;
    status = mtf_round_train(rounds, alarm, err);
    if (status == MTF_CLOSED && !told_to_stop(rounds)) {
        stand_by(rounds);
        return mtf_fail(err, MTF_AGAIN, "another learner leads; the checkpoint is saved");
    }
    if (status) return status;
    if (!alarm[0]) {
        status = move_to(rounds, MTF_ROUND_TRAINED, err);
        mtf_fault_point("learn.trained");
        return status;
    }
    char reason[200];
    snprintf(reason, sizeof reason, "alarm: %s", alarm);
    mtf_evidence *evidence = &rounds->report.evidence;
    snprintf(evidence->alarm, sizeof evidence->alarm, "%s", alarm);
    evidence->finite = rounds->checkpoint.health.finite;
    evidence->q_abs_max = rounds->checkpoint.health.q_abs_max;
    evidence->q_limit = mtf_round_q_limit(rounds);
    return end_unpublished(rounds, MTF_VERDICT_REJECT, reason, err);
}

/** A copy of the candidate's checkpoint for who asked for one. Repeatable. */
static mtf_status keep_checkpoint(const mtf_rounds *rounds, mtf_err *err)
{
    const char *kept = rounds->config.checkpoint;
    mtf_buf from = {0}, beside = {0};
    if (!kept) return MTF_OK;
    mtf_status status = mtf_rounds_path(rounds, 0, &from, err);
    mtf_buf_printf(&beside, "%s.tmp", kept);
    if (status == MTF_OK && beside.failed)
        status = mtf_fail(err, MTF_NOMEM, "no memory for a path");
    if (status) goto done;
    unlink((const char *)beside.data); /* of a copy that was cut short */
    status = mtf_file_copy((const char *)from.data, (const char *)beside.data, err);
    if (status == MTF_OK) status = mtf_file_move((const char *)beside.data, kept, err);
done:
    mtf_buf_fini(&from);
    mtf_buf_fini(&beside);
    return status;
}

static mtf_status judge(mtf_rounds *rounds, mtf_err *err)
{
    mtf_status status = prepare(rounds, err);
    if (status || rounds->state.phase != MTF_ROUND_TRAINED) return status;
    /* A checkpoint lost between two starts leaves the round at step 0 again. */
    if (rounds->checkpoint.step < rounds->checkpoint.steps)
        return move_to(rounds, MTF_ROUND_TRAINING, err);
    status = mtf_round_judge(rounds, err);
    if (status == MTF_OK) status = keep_checkpoint(rounds, err);
    if (status == MTF_OK) status = move_to(rounds, MTF_ROUND_GATED, err);
    mtf_fault_point("learn.gated");
    return status;
}

/* -- GATED, PUBLISHED -------------------------------------------- */

static mtf_status publish(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    mtf_round_state *state = &rounds->state;
    mtf_policy *candidate = NULL;
    if (rounds->report.round != state->round) {
        begin_report(rounds);
        rounds->report.verdict =
            (mtf_verdict){MTF_VERDICT_HOLD, "restarted: the gate left no record to publish"};
    }
    if (state->record.size == 0) return move_to(rounds, MTF_ROUND_PUBLISHED, err);
    mtf_status status = mtf_policy_decode(mtf_buf_span(&state->record), &candidate, err);
    if (status == MTF_OK) status = hooks->publish(hooks->arg, candidate, err);
    if (status == MTF_OK) status = refresh_champion(rounds, err);
    mtf_fault_point("learn.published");
    if (status) goto done;
    mtf_verdict *verdict = &rounds->report.verdict;
    verdict->kind = MTF_VERDICT_PROMOTE;
    while (strcmp(mtf_verdict_text(verdict->kind), candidate->info.verdict) != 0 &&
           verdict->kind != MTF_VERDICT_REJECT)
        verdict->kind++;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", candidate->info.reason);
    state->servable = verdict->kind <= MTF_VERDICT_CANARY;
    state->version = rounds->report.version = candidate->info.version;
    status = move_to(rounds, MTF_ROUND_PUBLISHED, err);
done:
    mtf_policy_free(candidate);
    return status;
}

/** The version whose checkpoint a file of the folder is; 0: of none. */
static int64_t version_of(const char *file)
{
    char *end;
    const long long version = file[0] == 'v' ? strtoll(file + 1, &end, 10) : 0;
    return version > 0 && *end == '\0' ? version : 0;
}

/** Checkpoints beyond the newest CHECKPOINTS_KEPT go, but for the champion's: candidates that were
 * withdrawn after a trial may all be newer. Versions have gaps: held candidates used theirs up. */
static mtf_status drop_old_checkpoints(mtf_rounds *rounds, mtf_err *err)
{
    mtf_buf path = {0};
    mtf_status status = rounds->champion ? MTF_OK : refresh_champion(rounds, err);
    if (status) return status;
    mtf_buf_printf(&path, "%s/checkpoints", mtf_store_path(rounds->config.store));
    DIR *folder = path.failed ? NULL : opendir((const char *)path.data);
    mtf_buf_fini(&path);
    if (!folder) return mtf_fail(err, MTF_IO, "the checkpoints' folder cannot be listed");
    const int64_t champion = mtf_rounds_checkpoint_of(rounds->champion);
    int64_t kept[CHECKPOINTS_KEPT] = {0}; /* the newest, descending */
    const struct dirent *entry;
    while (status == MTF_OK && (entry = readdir(folder))) {
        int64_t version = version_of(entry->d_name);
        for (int i = 0; i < CHECKPOINTS_KEPT; i++) {
            if (version <= kept[i]) continue;
            const int64_t older = kept[i];
            kept[i] = version;
            version = older;
        }
        if (version == 0 || version == champion) continue;
        status = mtf_rounds_path(rounds, version, &path, err);
        if (status == MTF_OK) unlink((const char *)path.data);
        mtf_buf_fini(&path);
    }
    closedir(folder);
    return status;
}

/** The candidate's checkpoint becomes the champion's, or goes. Repeatable. */
static mtf_status settle_checkpoint(mtf_rounds *rounds, mtf_err *err)
{
    mtf_buf candidate = {0}, champion = {0};
    mtf_status status = mtf_rounds_path(rounds, 0, &candidate, err);
    if (status == MTF_OK) status = mtf_rounds_path(rounds, rounds->state.version, &champion, err);
    if (status) goto done;
    const char *from = (const char *)candidate.data, *to = (const char *)champion.data;
    if (!rounds->state.servable) {
        unlink(from);
    } else if (access(from, F_OK) == 0 && rename(from, to) != 0) {
        status = mtf_fail(err, MTF_IO, "checkpoint %s: cannot be renamed to %s", from, to);
    } else {
        status = drop_old_checkpoints(rounds, err);
    }
done:
    mtf_buf_fini(&candidate);
    mtf_buf_fini(&champion);
    return status;
}

static mtf_status end_round(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    mtf_fault_point("learn.ended");
    mtf_status status = settle_checkpoint(rounds, err);
    if (status) return status;
    mtf_round_forget(rounds);
    mtf_buf_clear(&rounds->state.record);
    status = move_to(rounds, MTF_ROUND_COLLECT, err);
    if (status) return status;
    rounds->ended++;
    const mtf_round_report *report = &rounds->report;
    if (report->round != rounds->state.round) return MTF_OK; /* it was told before a crash */
    if (hooks->report) hooks->report(hooks->arg, report);
    return MTF_OK;
}

/** Not now, says a hook: the next tick asks again. */
static mtf_status wait_for_hooks(const mtf_rounds *rounds, const mtf_err *why)
{
    mtf_log_line(rounds->config.log, MTF_LOG_WARN, "round.wait", "round=%" PRId64 " reason=\"%s\"",
                 rounds->state.round, why ? why->msg : "");
    return MTF_OK;
}

mtf_status mtf_rounds_tick(mtf_rounds *rounds, mtf_err *err)
{
    MTF_ASSERT(mtf_store_pending(rounds->config.store) == 0);
    const int64_t ended = rounds->ended;
    mtf_status status = MTF_OK;
    if (!mtf_rounds_lead(rounds)) stand_by(rounds);
    while (status == MTF_OK && rounds->ended == ended && mtf_rounds_lead(rounds)) {
        bool due = true;
        switch (rounds->state.phase) {
        case MTF_ROUND_COLLECT:
            status = collect(rounds, &due, err);
            break;
        case MTF_ROUND_TRAINING:
            status = train(rounds, err);
            break;
        case MTF_ROUND_TRAINED:
            status = judge(rounds, err);
            break;
        case MTF_ROUND_GATED:
            status = publish(rounds, err);
            break;
        case MTF_ROUND_PUBLISHED:
            status = end_round(rounds, err);
            break;
        }
        if (!due) break;
    }
    return status == MTF_AGAIN ? wait_for_hooks(rounds, err) : status;
}
