#include "publish/policy_writer.h"

#include <inttypes.h>
#include <stdio.h>

#define ATTEMPTS 5

const mtf_policy *mtf_policy_standing_at(const mtf_policy_standing *standing, const char *stage)
{
    if (strcmp(stage, "canary") == 0) return standing->canary;
    return strcmp(stage, "shadow") == 0 ? standing->shadow : standing->head;
}

static int64_t version_of(const mtf_policy *policy)
{
    return policy ? policy->info.version : 0;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t mtf_policy_standing_newest(const mtf_policy_standing *standing)
{
    const int64_t trial = larger(version_of(standing->canary), version_of(standing->shadow));
    return larger(standing->ledger->newest, larger(version_of(standing->head), trial));
}

void mtf_policy_draft_ends_trials(const mtf_policy_standing *standing, mtf_policy_draft *draft)
{
    draft->drop_canary = standing->canary != NULL;
    draft->drop_shadow = standing->shadow != NULL;
}

static bool is_empty(const mtf_policy_draft *draft)
{
    return !draft->history && !draft->live && !draft->drop_canary && !draft->drop_shadow;
}

/** The same network of the same round from the same parent. */
static bool is_same(const mtf_policy *a, const mtf_policy *b)
{
    return a->info.parent == b->info.parent && a->info.round == b->info.round &&
           a->block_count == b->block_count &&
           memcmp(a->block, b->block, a->block_count * sizeof(float)) == 0;
}

/** Takes out of the draft what an earlier try of ours, of which we heard no end, has put on the
 *  topics. Another writer's may differ only in when and why. False: nothing of it is there. */
static bool leave_the_rest(const mtf_policy_standing *standing, mtf_policy_draft *draft)
{
    const mtf_policy *policy = draft->policy;
    const mtf_policy *there = mtf_policy_standing_at(standing, policy->info.stage);
    const bool in_history = mtf_policy_ledger_has(standing->ledger, policy);
    const bool is_there = there && there->info.version == policy->info.version &&
                          there->info.created_ms == policy->info.created_ms &&
                          strcmp(there->info.reason, policy->info.reason) == 0 &&
                          is_same(there, policy);
    if (!in_history && !is_there) return false;
    if (in_history) draft->history = false;
    if (version_of(there) >= policy->info.version) draft->live = false;
    if (!standing->canary) draft->drop_canary = false;
    if (!standing->shadow) draft->drop_shadow = false;
    return true;
}

/** One try, the other writers being fenced. */
static mtf_status try_once(const mtf_policy_writer *writer, mtf_policy_decide_fn decide, void *arg,
                           mtf_sink *sink, mtf_policy_draft *draft, mtf_err *err)
{
    mtf_policy_standing standing;
    mtf_status status = writer->read(writer->arg, &standing, err);
    if (status) return status;
    mtf_policy_draft rest = *draft;
    if (is_empty(draft) || !leave_the_rest(&standing, &rest)) {
        *draft = (mtf_policy_draft){0};
        status = decide(arg, &standing, draft, err);
        rest = *draft;
    }
    if (status || is_empty(&rest)) return status;
    return mtf_policy_publish(&rest, writer->keys, &writer->topics, sink, err);
}

mtf_status mtf_policy_write(const mtf_policy_writer *writer, mtf_policy_decide_fn decide, void *arg,
                            mtf_policy_draft *draft, mtf_err *err)
{
    mtf_err why = {0};
    mtf_status status = MTF_FENCED;
    *draft = (mtf_policy_draft){0};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        mtf_sink sink = {0};
        if (attempt > 0) writer->wait(writer->arg, attempt);
        status = writer->open(writer->arg, &sink, &why);
        if (status == MTF_AGAIN) break;
        if (status == MTF_OK) {
            status = try_once(writer, decide, arg, &sink, draft, &why);
            sink.close(sink.self);
        }
        if (status != MTF_FENCED && status != MTF_AGAIN) break;
    }
    if (status == MTF_OK) return MTF_OK;
    return mtf_fail(err, status == MTF_FENCED ? MTF_AGAIN : status, "%s", why.msg);
}

/* -- a round's candidate ------------------------------------------------------------------------
 */

/** The candidate says what the topics say of it. */
static void adopt(mtf_policy *candidate, int64_t version, const char *verdict, const char *reason)
{
    mtf_policy_info *info = &candidate->info;
    info->version = version;
    snprintf(info->verdict, sizeof info->verdict, "%s", verdict);
    snprintf(info->reason, sizeof info->reason, "%s", reason);
}

static bool is_live(const mtf_policy *candidate)
{
    return strcmp(candidate->info.stage, "live") == 0;
}

/** Whether its verdict there made it servable. */
static bool passed(const mtf_policy_line *line)
{
    return strcmp(line->verdict, "promote") == 0 || strcmp(line->verdict, "canary") == 0;
}

/** What a new head ends. */
static void set_live(const mtf_policy *candidate, const mtf_policy_standing *standing,
                     mtf_policy_draft *draft)
{
    draft->live = true;
    if (is_live(candidate)) mtf_policy_draft_ends_trials(standing, draft);
}

/** The candidate is in the history: what is left to do? False: its line there is of a served life
 *  that is over, and nothing is served, so that it is published anew. */
static bool repeat(mtf_policy *candidate, const mtf_policy_standing *standing,
                   const mtf_policy_line *line, mtf_policy_draft *draft)
{
    const mtf_policy *there = mtf_policy_standing_at(standing, candidate->info.stage);
    const bool half = passed(line) && version_of(there) < line->version;
    const bool newest = line->version == mtf_policy_standing_newest(standing);
    if (half && !newest && !standing->head) return false;
    adopt(candidate, line->version, line->verdict, line->reason);
    if (half && newest && version_of(standing->head) == candidate->info.parent)
        set_live(candidate, standing, draft);
    return true;
}

static void hold_if_late(mtf_policy *candidate, const mtf_policy_standing *standing)
{
    const mtf_policy_info *info = &candidate->info;
    const mtf_policy *trial = standing->canary ? standing->canary : standing->shadow;
    char reason[sizeof info->reason];
    if (!mtf_policy_is_servable(info)) return;
    if (version_of(standing->head) != info->parent)
        snprintf(reason, sizeof reason,
                 "parent_changed: the head is version %" PRId64
                 ", this round started from version %" PRId64,
                 version_of(standing->head), info->parent);
    else if (!is_live(candidate) && trial)
        snprintf(reason, sizeof reason, "trial: version %" PRId64 " is the %s already",
                 trial->info.version, trial->info.stage);
    else
        return;
    adopt(candidate, info->version, "hold", reason);
}

mtf_status mtf_policy_decide_candidate(void *arg, const mtf_policy_standing *standing,
                                       mtf_policy_draft *draft, mtf_err *err)
{
    mtf_policy *candidate = arg;
    const mtf_policy *there = mtf_policy_standing_at(standing, candidate->info.stage);
    const mtf_policy_line *line = mtf_policy_ledger_find_same(standing->ledger, candidate);
    const int64_t newest = mtf_policy_standing_newest(standing);
    (void)err;
    draft->policy = candidate;
    if (standing->head && standing->head->info.box == 0) candidate->info.box = 0;
    if (line && repeat(candidate, standing, line, draft)) return MTF_OK;
    if (!line && there && is_same(there, candidate)) { /* the other half is missing */
        adopt(candidate, there->info.version, there->info.verdict, there->info.reason);
        draft->history = true;
        return MTF_OK;
    }
    hold_if_late(candidate, standing);
    if (candidate->info.version <= newest) candidate->info.version = newest + 1;
    draft->history = true;
    if (mtf_policy_is_servable(&candidate->info)) set_live(candidate, standing, draft);
    return MTF_OK;
}
