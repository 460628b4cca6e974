/** What becomes of a version that serves, or is to: is it worse than its parent? */
#include "learner/rounds_inside.h"
#include "learner/served.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define OVERLAP_MIN  0.9     /* of its sessions: in hours in which the parent served, too */
#define SESSIONS_MAX 1000000 /* that are compared */
#define EARLY        8       /* a canary is looked at from canary.sessions / EARLY on */
#define UNSERVED     4       /* times the sessions it needs should have come to it */

/** Sessions of a version, but for the control group's. */
static int64_t sessions_of(const mtf_store *store, int64_t version)
{
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    int64_t sessions = 0;
    for (size_t i = 0; i < count; i++)
        if (counts[i].version == version && counts[i].bucket != MTF_BUCKET_CONTROL)
            sessions += counts[i].sessions;
    return sessions;
}

static bool is_canary(const mtf_policy *trial)
{
    return strcmp(trial->info.stage, "canary") == 0;
}

/** What is known of another version is forgotten. */
static void begin_look(const mtf_rounds *rounds, const mtf_policy *policy, int64_t least,
                       mtf_round_look *look)
{
    if (look->version == policy->info.version) return;
    look->version = policy->info.version;
    look->at = least;
    look->since = sessions_of(rounds->config.store, rounds->champion->info.version);
}

/** The order that follows, to be done by and by. */
static mtf_round_order *give(mtf_rounds *rounds, mtf_round_order_kind kind, int64_t version)
{
    const mtf_policy *trial = rounds->trial;
    const bool of_trial = kind != MTF_ORDER_ROLLBACK;
    rounds->ordered = true;
    rounds->order = (mtf_round_order){.kind = kind,
                                      .version = version,
                                      .head = rounds->champion->info.version,
                                      .trial = of_trial ? trial->info.version : 0};
    return &rounds->order;
}

static void add_number(mtf_round_order *order, const char *name, double value)
{
    mtf_policy_number *number = &order->numbers[order->number_count++];
    snprintf(number->name, sizeof number->name, "%s", name);
    number->value = value;
}

/* -- versions as they were served -------------------------------- */

/** A version against the one it was to be better than. */
static mtf_status compare(const mtf_rounds *rounds, int64_t child, int64_t parent,
                          bool side_by_side, mtf_served *served, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const mtf_served_config config = {
        .store = rounds->config.store,
        .reward = rounds->config.reward,
        .child = child,
        .parent = parent,
        .days = (uint32_t)settings->rollback_days,
        .side_by_side = side_by_side,
        .sessions_max = SESSIONS_MAX,
        .draws = settings->gate_bootstrap,
        .seed = (uint64_t)settings->learner_seed,
    };
    const mtf_status status = mtf_served_compare(&config, served, err);
    if (status) return status;
    mtf_log_line(rounds->config.log, MTF_LOG_INFO, "policy.compared",
                 "version=%" PRId64 " parent=%" PRId64 " side_by_side=%d sessions=%" PRId64
                 " parent_sessions=%" PRId64
                 " reward=%.4g parent_reward=%.4g difference=%.4g se=%.3g z=%.3g overlap=%.2f",
                 child, parent, side_by_side, served->child_sessions, served->parent_sessions,
                 served->child.value, served->parent.value, served->difference.value,
                 served->difference.se, served->difference.z, served->overlap);
    return MTF_OK;
}

/** Did the gate put it where it is? */
static bool is_promoted_candidate(const mtf_policy_info *info)
{
    return info->parent > 0 && (isnan(mtf_policy_get_number(info, MTF_PAYLOAD_OF)) ||
                                mtf_policy_get_number(info, MTF_POLICY_BY_GATE) == 1);
}

static mtf_status watch_champion(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const mtf_policy_info *info = &rounds->champion->info;
    const int64_t least = settings->rollback_sessions;
    if (least == 0 || !is_promoted_candidate(info)) return MTF_OK;
    const int64_t sessions = sessions_of(rounds->config.store, info->version);
    begin_look(rounds, rounds->champion, least, &rounds->served);
    if (sessions < rounds->served.at) return MTF_OK;
    const mtf_served_limits limits = {.z = settings->rollback_z,
                                      .fall = settings->rollback_fall,
                                      .sessions = least,
                                      .overlap = OVERLAP_MIN};
    mtf_served served;
    const mtf_status status = compare(rounds, info->version, info->parent, false, &served, err);
    if (status) return status;
    rounds->served.at = 2 * sessions;
    if (!mtf_served_worse(&served, &limits)) return MTF_OK;
    mtf_round_order *order = give(rounds, MTF_ORDER_ROLLBACK, info->parent);
    snprintf(order->reason, sizeof order->reason,
             "version %" PRId64 " brings %.4g a session, its parent %.4g (z %.1f)", info->version,
             served.child.value, served.parent.value, served.difference.z);
    return MTF_OK;
}

/* -- on trial ---------------------------------------------------- */

static void say_served(const mtf_served *served, mtf_round_order *order)
{
    snprintf(order->reason, sizeof order->reason,
             "%" PRId64 " sessions bring %.4g each, the parent's %" PRId64 " %.4g (z %.2f)",
             served->child_sessions, served->child.value, served->parent_sessions,
             served->parent.value, served->difference.z);
    add_number(order, "canary.sessions", (double)served->child_sessions);
    add_number(order, "canary.reward", served->child.value);
    add_number(order, "canary.parent_reward", served->parent.value);
    add_number(order, "canary.difference", served->difference.value);
    add_number(order, "canary.difference_se", served->difference.se);
    add_number(order, "canary.difference_z", served->difference.z);
}

/** Of the head, since what is on trial was first seen. */
static int64_t heads_sessions(const mtf_rounds *rounds)
{
    const int64_t head = rounds->champion->info.version;
    return sessions_of(rounds->config.store, head) - rounds->tried.since;
}

/** Whether the canary should have had its sessions long ago. */
static bool goes_unserved(const mtf_rounds *rounds, int64_t sessions)
{
    const int64_t wanted = rounds->config.settings->canary_sessions;
    const double percent = mtf_policy_get_number(&rounds->trial->info, MTF_CANARY_PERCENT);
    const double due = (double)heads_sessions(rounds) * percent / (100 - percent);
    return sessions < wanted && !(due < (double)(UNSERVED * wanted));
}

static mtf_status watch_canary(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const int64_t version = rounds->trial->info.version, wanted = settings->canary_sessions;
    const int64_t sessions = sessions_of(rounds->config.store, version);
    begin_look(rounds, rounds->trial, wanted / EARLY + 1, &rounds->tried);
    if (goes_unserved(rounds, sessions)) {
        mtf_round_order *order = give(rounds, MTF_ORDER_WITHDRAW, version);
        snprintf(order->reason, sizeof order->reason,
                 "not served: %" PRId64 " sessions while the head had %" PRId64, sessions,
                 heads_sessions(rounds));
        return MTF_OK;
    }
    if (sessions < rounds->tried.at) return MTF_OK;
    mtf_served served;
    const mtf_status status =
        compare(rounds, version, rounds->champion->info.version, true, &served, err);
    if (status) return status;
    const bool last = sessions >= wanted;
    rounds->tried.at = 2 * sessions < wanted ? 2 * sessions : wanted;
    const double z = served.difference.z; /* NaN passes no limit, and proves no harm */
    if (last)
        say_served(&served,
                   give(rounds, z >= settings->canary_z ? MTF_ORDER_PROMOTE : MTF_ORDER_WITHDRAW,
                        version));
    else if (z <= -settings->rollback_z)
        say_served(&served, give(rounds, MTF_ORDER_WITHDRAW, version));
    return MTF_OK;
}

/** Of the head, since the round that made the shadow was cut. */
static int64_t fresh_sessions(const mtf_rounds *rounds)
{
    const mtf_round_state *state = &rounds->state;
    const int64_t head = rounds->champion->info.version;
    const int64_t all = sessions_of(rounds->config.store, head);
    return state->parent == head && state->sessions < all ? all - state->sessions : all;
}

static mtf_status watch_shadow(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const int64_t version = rounds->trial->info.version;
    const int64_t sessions = fresh_sessions(rounds);
    begin_look(rounds, rounds->trial, settings->shadow_sessions, &rounds->tried);
    if (sessions < rounds->tried.at) return MTF_OK;
    mtf_first_order found;
    const mtf_status status = mtf_round_shadow(rounds, &found, err);
    if (status) return status;
    mtf_log_line(rounds->config.log, MTF_LOG_INFO, "policy.shadow",
                 "version=%" PRId64 " sessions=%" PRId64 " rows=%" PRId64 " users=%" PRId64
                 " value=%.4g se=%.3g z=%.3g outside=%.4f",
                 version, sessions, found.rows, found.users, found.gain.value, found.gain.se,
                 found.gain.z, found.outside_share);
    rounds->tried.at = 2 * sessions;
    if (found.rows < settings->gate_min_transitions) return MTF_OK; /* no new ones yet */
    const bool passes = found.gain.z >= settings->shadow_z;
    const bool canary = strcmp(settings->gate_stages, "shadow-canary") == 0;
    mtf_round_order *order = give(rounds,
                                  !passes  ? MTF_ORDER_WITHDRAW
                                  : canary ? MTF_ORDER_CANARY
                                           : MTF_ORDER_PROMOTE,
                                  version);
    snprintf(order->reason, sizeof order->reason,
             "%" PRId64 " rows newer than its training: value_z is %.4g, %s %.4g", found.rows,
             found.gain.z, passes ? "at least" : "below", settings->shadow_z);
    add_number(order, "shadow.rows", (double)found.rows);
    add_number(order, "shadow.value", found.gain.value);
    add_number(order, "shadow.value_se", found.gain.se);
    add_number(order, "shadow.value_z", found.gain.z);
    return MTF_OK;
}

static mtf_status watch_trial(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_policy *trial = rounds->trial;
    const int64_t head = rounds->champion->info.version;
    if (rounds->refused_trial == trial->info.version && rounds->refused_head == head)
        return MTF_OK; /* the log has said why; an operator may withdraw it */
    if (trial->info.parent == head)
        return is_canary(trial) ? watch_canary(rounds, err) : watch_shadow(rounds, err);
    mtf_round_order *order = give(rounds, MTF_ORDER_WITHDRAW, trial->info.version);
    snprintf(order->reason, sizeof order->reason,
             "parent_changed: the head is version %" PRId64 ", its parent version %" PRId64, head,
             trial->info.parent);
    return MTF_OK;
}

/** MTF_AGAIN: not now; the order is kept. */
static mtf_status carry_out(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    const mtf_round_order *order = &rounds->order;
    mtf_err why = {0};
    const mtf_status status = hooks->order(hooks->arg, order, &why);
    if (status && status != MTF_INVALID) return mtf_fail(err, status, "%s", why.msg);
    if (status) {
        rounds->refused_trial = order->trial;
        rounds->refused_head = order->head;
        mtf_log_line(rounds->config.log, MTF_LOG_WARN, "policy.not_ordered",
                     "head=%" PRId64 " version=%" PRId64 " why=\"%.200s\"", order->head,
                     order->version, why.msg);
    }
    rounds->ordered = false; /* done, or not to be done */
    mtf_policy_free(rounds->champion);
    mtf_policy_free(rounds->trial);
    rounds->champion = rounds->trial = NULL;
    return MTF_OK;
}

mtf_status mtf_round_watch(mtf_rounds *rounds, mtf_err *err)
{
    mtf_status status = MTF_OK;
    if (!rounds->config.hooks.order) return MTF_OK;
    if (!rounds->ordered) status = watch_champion(rounds, err);
    if (status == MTF_OK && !rounds->ordered && rounds->trial) status = watch_trial(rounds, err);
    return status == MTF_OK && rounds->ordered ? carry_out(rounds, err) : status;
}
