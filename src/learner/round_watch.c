/** What becomes of a version that was promoted: is it worse than its parent, now that both served?
 */
#include "learner/rounds_inside.h"
#include "learner/served.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define OVERLAP_MIN  0.9     /* of its sessions: in hours of the day that the parent served, too */
#define SESSIONS_MAX 1000000 /* that are compared */

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

/** Did the gate put it where it is? */
static bool is_promoted_candidate(const mtf_policy_info *info)
{
    return info->parent > 0 && isnan(mtf_policy_get_number(info, MTF_PAYLOAD_OF));
}

/** The champion is one that may be rolled back; what is known of another one is forgotten. */
static bool is_watched(mtf_rounds *rounds)
{
    const mtf_policy_info *info = &rounds->champion->info;
    const int64_t least = rounds->config.settings->rollback_sessions;
    if (!rounds->config.hooks.rollback || least == 0 || !is_promoted_candidate(info)) return false;
    if (rounds->watched == info->version) return true;
    rounds->watched = info->version;
    rounds->look_at = least;
    rounds->worse[0] = '\0';
    return true;
}

static void log_look(const mtf_rounds *rounds, const mtf_served *served, bool worse)
{
    mtf_log_line(rounds->config.log, worse ? MTF_LOG_WARN : MTF_LOG_INFO, "policy.compared",
                 "version=%" PRId64 " parent=%" PRId64 " worse=%d sessions=%" PRId64
                 " parent_sessions=%" PRId64
                 " reward=%.4g parent_reward=%.4g difference=%.4g se=%.3g z=%.3g overlap=%.2f",
                 rounds->champion->info.version, rounds->champion->info.parent, worse,
                 served->child_sessions, served->parent_sessions, served->child.value,
                 served->parent.value, served->difference.value, served->difference.se,
                 served->difference.z, served->overlap);
}

/** Compares the two; rounds->worse says what came of it. */
static mtf_status look(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const mtf_policy_info *info = &rounds->champion->info;
    const mtf_served_config config = {
        .store = rounds->config.store,
        .reward = rounds->config.reward,
        .child = info->version,
        .parent = info->parent,
        .days = (uint32_t)settings->rollback_days,
        .sessions_max = SESSIONS_MAX,
        .draws = settings->gate_bootstrap,
        .seed = (uint64_t)settings->learner_seed,
    };
    const mtf_served_limits limits = {.z = settings->rollback_z,
                                      .fall = settings->rollback_fall,
                                      .sessions = settings->rollback_sessions,
                                      .overlap = OVERLAP_MIN};
    mtf_served served;
    const mtf_status status = mtf_served_compare(&config, &served, err);
    if (status) return status;
    const bool worse = mtf_served_worse(&served, &limits);
    log_look(rounds, &served, worse);
    if (worse)
        snprintf(rounds->worse, sizeof rounds->worse,
                 "version %" PRId64 " brings %.4g a session, its parent %.4g (z %.1f)",
                 info->version, served.child.value, served.parent.value, served.difference.z);
    return MTF_OK;
}

static mtf_status roll_back(mtf_rounds *rounds, mtf_err *err)
{
    const mtf_policy_info *info = &rounds->champion->info;
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    mtf_err why = {0};
    const mtf_status status =
        hooks->rollback(hooks->arg, info->version, info->parent, rounds->worse, &why);
    if (status && status != MTF_INVALID) return mtf_fail(err, status, "%s", why.msg);
    if (status)
        mtf_log_line(rounds->config.log, MTF_LOG_WARN, "policy.not_rolled_back",
                     "version=%" PRId64 " why=\"%.200s\"", info->version, why.msg);
    rounds->worse[0] = '\0'; /* done, or not to be done */
    mtf_policy_free(rounds->champion);
    rounds->champion = NULL;
    return MTF_OK;
}

mtf_status mtf_round_watch(mtf_rounds *rounds, mtf_err *err)
{
    if (!is_watched(rounds)) return MTF_OK;
    const int64_t sessions = sessions_of(rounds->config.store, rounds->watched);
    if (!rounds->worse[0] && sessions >= rounds->look_at) {
        const mtf_status status = look(rounds, err);
        if (status) return status;
        rounds->look_at = 2 * sessions;
    }
    return rounds->worse[0] ? roll_back(rounds, err) : MTF_OK;
}
