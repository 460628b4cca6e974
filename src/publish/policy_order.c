#include "publish/policy_order.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "publish/policy_diff.h"

const char *mtf_policy_order_text(mtf_policy_order_kind kind)
{
    static const char *const words[] = {"rollback", "promote", "freeze",
                                        "thaw",     "canary",  "withdraw"};
    return words[kind];
}

bool mtf_policy_order_names_version(mtf_policy_order_kind kind)
{
    return kind == MTF_POLICY_ROLLBACK || kind == MTF_POLICY_PROMOTE || kind == MTF_POLICY_CANARY;
}

void mtf_policy_order_fini(mtf_policy_order *order)
{
    mtf_policy_free(order->made);
    order->made = NULL;
}

/** The version whose network (and checkpoint) a policy has: its own, or an older one's. */
static int64_t payload_of(const mtf_policy_info *info)
{
    const double of = mtf_policy_get_number(info, "payload_of");
    return isnan(of) ? info->version : (int64_t)of;
}

/** The version of the order, from the history, if it may be served. */
static mtf_status find_version(const mtf_policy_order *order, const mtf_policy_standing *standing,
                               const mtf_policy **found, mtf_err *err)
{
    const mtf_policy_ledger *ledger = standing->ledger;
    const mtf_policy *policy = ledger->kept, *head = standing->head;
    if (!policy) {
        return mtf_fail(err, MTF_INVALID,
                        "the history has no version %" PRId64 " of %s%s; `mtf policy list "
                        "--history` shows what there is",
                        order->version, ledger->name,
                        ledger->refused ? " that can be used (some records were refused, see the "
                                          "log)"
                                        : "");
    }
    const bool served = strcmp(policy->info.verdict, "promote") == 0;
    if (order->kind == MTF_POLICY_ROLLBACK && !served) {
        return mtf_fail(err, MTF_INVALID,
                        "version %" PRId64 " was never served (verdict %s); if it shall be: "
                        "mtf policy promote --version %" PRId64,
                        order->version, policy->info.verdict, order->version);
    }
    if (order->kind == MTF_POLICY_PROMOTE && served) {
        return mtf_fail(err, MTF_INVALID,
                        "version %" PRId64 " has been promoted already; to serve it again: "
                        "mtf policy rollback --version %" PRId64,
                        order->version, order->version);
    }
    if (order->kind == MTF_POLICY_CANARY && standing->canary) {
        return mtf_fail(err, MTF_INVALID,
                        "version %" PRId64 " is the canary already; mtf policy withdraw ends it",
                        standing->canary->info.version);
    }
    if (head && payload_of(&head->info) == payload_of(&policy->info)) {
        return mtf_fail(err, MTF_INVALID,
                        "the network of version %" PRId64 " is what version %" PRId64
                        ", the head, serves: nothing to do",
                        order->version, head->info.version);
    }
    if (head && !mtf_policy_same_shape(head, policy)) {
        return mtf_fail(err, MTF_INVALID,
                        "version %" PRId64 " takes %u states and %u actions of another table than "
                        "the served version %" PRId64 "; serving code could not use it",
                        order->version, policy->state_dim, policy->action_dim, head->info.version);
    }
    *found = policy;
    return MTF_OK;
}

/** The policy on trial, if it is the one the order is of. */
static mtf_status find_trial(const mtf_policy_order *order, const mtf_policy_standing *standing,
                             const mtf_policy **trial, mtf_err *err)
{
    const char *name = standing->ledger->name;
    *trial = standing->canary ? standing->canary : standing->shadow;
    if (!*trial)
        return mtf_fail(err, MTF_INVALID, "policy %s has neither canary nor shadow: nothing to %s",
                        name, mtf_policy_order_text(order->kind));
    if (order->if_trial == 0 || order->if_trial == (*trial)->info.version) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "the %s is version %" PRId64 ", not %" PRId64 ": nothing was done",
                    (*trial)->info.stage, (*trial)->info.version, order->if_trial);
}

/** Whose network the new version has; NULL with MTF_OK: it is so already. */
static mtf_status find_origin(const mtf_policy_order *order, const mtf_policy_standing *standing,
                              const mtf_policy **origin, mtf_err *err)
{
    const mtf_policy *head = standing->head;
    const int64_t at = head ? head->info.version : 0;
    *origin = NULL;
    if (order->if_head && order->if_head != at) {
        return mtf_fail(err, MTF_INVALID,
                        "the head is version %" PRId64 ", not %" PRId64
                        " (--if-head): nothing was done",
                        at, order->if_head);
    }
    if (order->kind == MTF_POLICY_WITHDRAW) return find_trial(order, standing, origin, err);
    if (order->if_trial) {
        const mtf_status status = find_trial(order, standing, origin, err);
        if (status) return status;
        *origin = NULL;
    }
    if (mtf_policy_order_names_version(order->kind))
        return find_version(order, standing, origin, err);
    if (!head) {
        return mtf_fail(err, MTF_INVALID, "no policy %s is served: there is nothing to %s",
                        standing->ledger->name, mtf_policy_order_text(order->kind));
    }
    const float box = order->kind == MTF_POLICY_FREEZE ? 0 : (float)order->box;
    if (head->info.box != box) *origin = head;
    return MTF_OK;
}

static mtf_status write_reason(const mtf_policy_order *order, const mtf_policy_info *origin,
                               mtf_policy_info *info, mtf_err *err)
{
    char what[80];
    switch (order->kind) {
    case MTF_POLICY_ROLLBACK:
        snprintf(what, sizeof what, "rollback to version %" PRId64, origin->version);
        break;
    case MTF_POLICY_PROMOTE:
        snprintf(what, sizeof what, "promoted %s version %" PRId64 ", verdict %s",
                 order->by_gate ? "from" : "by hand from", origin->version, origin->verdict);
        break;
    case MTF_POLICY_CANARY:
        snprintf(what, sizeof what, "canary of version %" PRId64, origin->version);
        break;
    case MTF_POLICY_WITHDRAW:
        snprintf(what, sizeof what, "%s of version %" PRId64 " withdrawn", origin->stage,
                 origin->version);
        break;
    case MTF_POLICY_FREEZE:
    case MTF_POLICY_THAW:
        snprintf(what, sizeof what, "%s of version %" PRId64, mtf_policy_order_text(order->kind),
                 origin->version);
        break;
    }
    const int size = snprintf(info->reason, sizeof info->reason, "%s%s%s", what,
                              order->reason[0] ? ": " : "", order->reason);
    if ((size_t)size < sizeof info->reason) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "--reason is too long by %d bytes",
                    size + 1 - (int)sizeof info->reason);
}

static mtf_status write_numbers(const mtf_policy_order *order, const mtf_policy_info *origin,
                                mtf_policy_info *info, mtf_err *err)
{
    const uint32_t more = 3 + order->number_count;
    if (info->number_count + more > MTF_POLICY_NUMBERS_MAX)
        return mtf_fail(err, MTF_INVALID, "version %" PRId64 " has no room for %u numbers more",
                        origin->version, more);
    const bool promotes = order->by_gate && order->kind == MTF_POLICY_PROMOTE;
    const double of = (double)payload_of(origin);
    mtf_policy_set_number(info, "payload_of", of);
    if (order->kind == MTF_POLICY_ROLLBACK) mtf_policy_set_number(info, "rollback_of", of);
    if (order->kind == MTF_POLICY_PROMOTE) mtf_policy_set_number(info, "promoted_from", of);
    if (order->kind == MTF_POLICY_CANARY)
        mtf_policy_set_number(info, MTF_CANARY_PERCENT, order->percent);
    if (promotes || !isnan(mtf_policy_get_number(info, MTF_POLICY_BY_GATE)))
        mtf_policy_set_number(info, MTF_POLICY_BY_GATE, promotes);
    for (uint32_t i = 0; i < order->number_count; i++)
        mtf_policy_set_number(info, order->numbers[i].name, order->numbers[i].value);
    return MTF_OK;
}

/** Which traffic the record is for, and under which verdict. */
static void set_stage(const mtf_policy_order *order, const char *stage, mtf_policy_info *info)
{
    const bool canary = order->kind == MTF_POLICY_CANARY;
    const bool withdrawn = order->kind == MTF_POLICY_WITHDRAW;
    const char *verdict = canary ? "canary" : withdrawn ? "reject" : "promote";
    snprintf(info->stage, sizeof info->stage, "%s", canary ? "canary" : withdrawn ? stage : "live");
    snprintf(info->verdict, sizeof info->verdict, "%s", verdict);
}

static float box_of(const mtf_policy_order *order, const mtf_policy *head, const mtf_policy *origin)
{
    if (order->kind == MTF_POLICY_FREEZE) return 0;
    if (order->kind == MTF_POLICY_THAW) return (float)order->box;
    return head ? head->info.box : origin->info.box;
}

static mtf_status make(mtf_policy_order *order, const mtf_policy_standing *standing,
                       const mtf_policy *origin, mtf_err *err)
{
    order->made = mtf_policy_clone(origin);
    if (!order->made) return mtf_fail(err, MTF_NOMEM, "no memory for a policy");
    mtf_policy_info *info = &order->made->info;
    info->version = mtf_policy_standing_newest(standing) + 1;
    info->parent = standing->head ? standing->head->info.version : 0;
    info->created_ms = order->now_ms;
    info->box = box_of(order, standing->head, origin);
    set_stage(order, origin->info.stage, info);
    const mtf_status status = write_reason(order, &origin->info, info, err);
    return status ? status : write_numbers(order, &origin->info, info, err);
}

mtf_status mtf_policy_order_decide(void *arg, const mtf_policy_standing *standing,
                                   mtf_policy_draft *draft, mtf_err *err)
{
    mtf_policy_order *order = arg;
    const mtf_policy *origin;
    mtf_policy_order_fini(order);
    mtf_status status = find_origin(order, standing, &origin, err);
    if (status) return status;
    if (!origin) {
        draft->policy = standing->head;
        return MTF_OK;
    }
    status = make(order, standing, origin, err);
    if (status) return status;
    *draft = (mtf_policy_draft){
        .policy = order->made, .history = true, .live = order->kind != MTF_POLICY_WITHDRAW};
    if (order->kind != MTF_POLICY_CANARY)
        mtf_policy_draft_ends_trials(standing, draft);
    else
        draft->drop_shadow = standing->shadow != NULL;
    return MTF_OK;
}
