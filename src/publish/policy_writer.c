#include "publish/policy_writer.h"

#include <inttypes.h>
#include <stdio.h>

#define ATTEMPTS 5

int64_t mtf_policy_standing_newest(const mtf_policy_standing *standing)
{
    int64_t newest = standing->ledger->newest;
    if (standing->head && standing->head->info.version > newest)
        newest = standing->head->info.version;
    if (standing->canary && standing->canary->info.version > newest)
        newest = standing->canary->info.version;
    return newest;
}

static bool is_empty(const mtf_policy_draft *draft)
{
    return !draft->history && !draft->live && !draft->drop_canary;
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
    const mtf_policy *policy = draft->policy, *head = standing->head;
    const mtf_policy_line *line = mtf_policy_ledger_find_same(standing->ledger, policy);
    const bool in_history = line && line->version == policy->info.version &&
                            line->created_ms == policy->info.created_ms &&
                            strcmp(line->reason, policy->info.reason) == 0;
    const bool is_head = head && head->info.version == policy->info.version &&
                         head->info.created_ms == policy->info.created_ms &&
                         strcmp(head->info.reason, policy->info.reason) == 0 &&
                         is_same(head, policy);
    if (!in_history && !is_head) return false;
    if (in_history) draft->history = false;
    if (head && head->info.version >= policy->info.version) draft->live = false;
    if (!standing->canary) draft->drop_canary = false;
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

static bool promotes(const char *verdict)
{
    return strcmp(verdict, "promote") == 0;
}

/** The candidate is in the history: what is left to do? False: its line there is of a served life
 *  that is over, and nothing is served, so that it is published anew. */
static bool repeat(mtf_policy *candidate, const mtf_policy_standing *standing,
                   const mtf_policy_line *line, mtf_policy_draft *draft)
{
    const int64_t head = standing->head ? standing->head->info.version : 0;
    const bool half = promotes(line->verdict) && head < line->version;
    const bool newest = line->version == mtf_policy_standing_newest(standing);
    if (half && !newest && !standing->head) return false;
    adopt(candidate, line->version, line->verdict, line->reason);
    draft->live = half && newest && head == candidate->info.parent;
    return true;
}

static void hold_if_late(mtf_policy *candidate, int64_t head)
{
    mtf_policy_info *info = &candidate->info;
    if (!promotes(info->verdict) || head == info->parent) return;
    char reason[sizeof info->reason];
    snprintf(reason, sizeof reason,
             "parent_changed: the head is version %" PRId64
             ", this round started from version %" PRId64,
             head, info->parent);
    adopt(candidate, info->version, "hold", reason);
}

mtf_status mtf_policy_decide_candidate(void *arg, const mtf_policy_standing *standing,
                                       mtf_policy_draft *draft, mtf_err *err)
{
    mtf_policy *candidate = arg;
    const mtf_policy_line *line = mtf_policy_ledger_find_same(standing->ledger, candidate);
    const int64_t newest = mtf_policy_standing_newest(standing);
    (void)err;
    draft->policy = candidate;
    if (standing->head && standing->head->info.box == 0) candidate->info.box = 0;
    if (line && repeat(candidate, standing, line, draft)) return MTF_OK;
    if (!line && standing->head &&
        is_same(standing->head, candidate)) { /* the other half is missing */
        const mtf_policy_info *head = &standing->head->info;
        adopt(candidate, head->version, head->verdict, head->reason);
        draft->history = true;
        return MTF_OK;
    }
    hold_if_late(candidate, standing->head ? standing->head->info.version : 0);
    if (candidate->info.version <= newest) candidate->info.version = newest + 1;
    draft->history = true;
    draft->live = mtf_policy_is_servable(&candidate->info);
    return MTF_OK;
}
