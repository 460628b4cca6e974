/* Values on the true simulator: fresh users, one session each, no noise. Sessions are dealt to
 * threads in blocks; sums are taken block by block in order, so that the thread count changes no
 * bit. */
#include "sim/sim_private.h"

#include "client/explore.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sim/draw.h"

#define BLOCK_SESSIONS 256
#define THREADS_MAX    64

/* A block's sums, and where in the user numbers its sessions come from. */
typedef struct block_sums {
    double requests, behaviours[SIM_BEHAVIOURS];
} block_sums;

typedef struct sim_job {
    const mtf_sim *sim;
    const sim_actor *actor;
    uint32_t sessions, block_count;
    uint64_t seed;
    float *values;      /* (sessions) */
    block_sums *blocks; /* (block_count) */
    atomic_uint next;   /* block to be taken */
} sim_job;

void sim_rank_items(const mtf_sim *sim, const mtf_actor *items, const sim_visit *visit,
                    const float *state, sim_list *list)
{
    sim_candidates candidates;
    float actions[SIM_CANDIDATES][MTF_SIM_ACTIONS], scores[SIM_CANDIDATES];
    sim_visit_candidates(visit, &sim->world, list);
    sim_candidates_of(list, &candidates);
    mtf_actor_run_items(items, state, SIM_CANDIDATES, candidates.features,
                        candidates.predictions[0], actions[0]);
    mtf_table_fuse_items(&sim->table, actions[0], candidates.predictions[0], SIM_CANDIDATES,
                         scores);
    sim_list_take(list, scores);
}

static float play(const sim_job *job, sim_visit *visit, block_sums *sums)
{
    const mtf_sim *sim = job->sim;
    const sim_actor *actor = job->actor;
    sim_list list;
    sim_outcome outcome = {.leaves = false};
    float state[SIM_STATE], chosen[MTF_SIM_ACTIONS];
    const float *action = actor->policy != NULL ? chosen : actor->actions[visit->user.type];
    double value = 0;
    sim_visit_begin(visit, 0, sim_uniform(visit->user.key, SIM_USER_HOUR));
    while (!outcome.leaves && visit->step < actor->steps_max) {
        if (actor->policy != NULL) sim_visit_state(visit, &sim->world, state);
        if (actor->items != NULL) {
            sim_rank_items(sim, actor->items, visit, state, &list);
        } else {
            if (actor->policy != NULL) mtf_policy_act(actor->policy, state, chosen);
            sim_visit_rank(visit, &sim->world, &sim->table, action, &list);
        }
        sim_visit_answer(visit, &sim->world, &list, &outcome);
        sim_visit_note(visit, &outcome);
        value += sim_reward(sim, &outcome);
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) sums->behaviours[b] += visit->last[b];
    }
    sums->requests += visit->step;
    return (float)value;
}

/* A block draws from user numbers of its own; one type only: the first of that type. */
static void play_block(const sim_job *job, uint32_t block)
{
    uint64_t number = (uint64_t)block << 32;
    const uint32_t first = block * BLOCK_SESSIONS;
    const uint32_t end =
        job->sessions - first < BLOCK_SESSIONS ? job->sessions : first + BLOCK_SESSIONS;
    for (uint32_t at = first; at < end; at++) {
        sim_visit visit;
        do {
            sim_user_init(&visit.user, &job->sim->world, job->seed, number++);
        } while (job->actor->only_type >= 0 && visit.user.type != (uint32_t)job->actor->only_type);
        job->values[at] = play(job, &visit, &job->blocks[block]);
    }
}

static void *work(void *arg)
{
    sim_job *job = arg;
    for (uint32_t block; (block = atomic_fetch_add(&job->next, 1)) < job->block_count;)
        play_block(job, block);
    return NULL;
}

static void summarise(const sim_job *job, mtf_sim_value *value)
{
    double sum = 0, squares = 0, requests = 0;
    for (uint32_t i = 0; i < job->sessions; i++) sum += job->values[i];
    const double mean = sum / job->sessions;
    for (uint32_t i = 0; i < job->sessions; i++)
        squares += (job->values[i] - mean) * (job->values[i] - mean);
    const double half = 1.96 * sqrt(squares / (job->sessions - 1.0) / job->sessions);
    *value = (mtf_sim_value){.mean = mean, .low = mean - half, .high = mean + half};
    for (uint32_t i = 0; i < job->block_count; i++) {
        requests += job->blocks[i].requests;
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
            value->behaviours[b] += job->blocks[i].behaviours[b];
    }
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) value->behaviours[b] /= requests;
    value->session_requests = requests / job->sessions;
}

mtf_status sim_evaluate(const mtf_sim *sim, const sim_actor *actor, uint32_t sessions,
                        uint64_t seed, uint32_t threads, float *values, mtf_sim_value *value,
                        mtf_err *err)
{
    if (sessions < 2)
        return mtf_fail(err, MTF_INVALID, "simulate: an evaluation needs at least 2 sessions");
    sim_job job = {.sim = sim,
                   .actor = actor,
                   .sessions = sessions,
                   .seed = sim_key(seed, 0xe7a1),
                   .values = values};
    job.block_count = (sessions + BLOCK_SESSIONS - 1) / BLOCK_SESSIONS;
    job.blocks = calloc(job.block_count, sizeof *job.blocks);
    if (values == NULL) job.values = malloc(sessions * sizeof *job.values);
    mtf_status status = MTF_OK;
    if (job.blocks == NULL || job.values == NULL) {
        status = mtf_fail(err, MTF_NOMEM, "simulate: no memory for %u sessions", sessions);
        goto done;
    }
    pthread_t helpers[THREADS_MAX];
    uint32_t started = 0;
    while (started + 1 < threads && started < THREADS_MAX &&
           pthread_create(&helpers[started], NULL, work, &job) == 0)
        started++;
    work(&job); /* this thread alone does it all if no other starts */
    for (uint32_t i = 0; i < started; i++) pthread_join(helpers[i], NULL);
    summarise(&job, value);
done:
    if (values == NULL) free(job.values);
    free(job.blocks);
    return status;
}

mtf_status mtf_sim_evaluate(const mtf_sim *sim, const mtf_policy *policy, uint32_t sessions,
                            uint64_t seed, uint32_t threads, float *values, mtf_sim_value *value,
                            mtf_err *err)
{
    mtf_status status = sim_policy_fits(sim, policy, err);
    if (status != MTF_OK) return status;
    mtf_actor *items = policy->per_item ? mtf_actor_new(policy) : NULL;
    if (policy->per_item && items == NULL)
        return mtf_fail(err, MTF_NOMEM, "simulate: no memory for the policy's actor");
    const sim_actor actor = {
        .policy = policy, .items = items, .only_type = -1, .steps_max = SIM_STEPS_MAX};
    status = sim_evaluate(sim, &actor, sessions, seed, threads, values, value, err);
    mtf_actor_free(items);
    return status;
}

mtf_status mtf_sim_evaluate_action(const mtf_sim *sim, const float *action, uint32_t sessions,
                                   uint64_t seed, uint32_t threads, float *values,
                                   mtf_sim_value *value, mtf_err *err)
{
    sim_actor actor = {.only_type = -1, .steps_max = SIM_STEPS_MAX};
    for (uint32_t k = 0; k < SIM_TYPES; k++)
        memcpy(actor.actions[k], action, sizeof actor.actions[k]);
    return sim_evaluate(sim, &actor, sessions, seed, threads, values, value, err);
}

mtf_sim_gain mtf_sim_paired(const float *a, const float *b, uint32_t count)
{
    MTF_ASSERT(count >= 2);
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++) sum += (double)b[i] - a[i];
    const double mean = sum / count;
    for (uint32_t i = 0; i < count; i++)
        squares += ((double)b[i] - a[i] - mean) * ((double)b[i] - a[i] - mean);
    const double half = 1.96 * sqrt(squares / (count - 1.0) / count);
    return (mtf_sim_gain){mean, mean - half, mean + half};
}

void sim_candidates_of(const sim_list *list, sim_candidates *candidates)
{
    for (uint32_t c = 0; c < SIM_CANDIDATES; c++)
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
            candidates->predictions[c][b] = list->predictions[b][c];
    candidates->features = list->features[0];
}

mtf_status sim_policy_fits(const mtf_sim *sim, const mtf_policy *policy, mtf_err *err)
{
    if (mtf_policy_user_dim(policy) == SIM_STATE && policy->action_dim == MTF_SIM_ACTIONS) {
        const uint32_t features = sim->config.items ? MTF_SIM_FEATURES : 0;
        if (!policy->per_item ||
            (policy->item_features == features && policy->table.prediction_count == SIM_BEHAVIOURS))
            return MTF_OK;
        return mtf_fail(
            err, MTF_INVALID,
            "policy %s version %lld knows an item by %u features and %u predictions; the "
            "simulator's have %u and %u",
            policy->info.name, (long long)policy->info.version, policy->item_features,
            policy->table.prediction_count, features, SIM_BEHAVIOURS);
    }
    return mtf_fail(err, MTF_INVALID,
                    "policy %s version %lld maps %u features to %u numbers; the simulator's states "
                    "have %u, its actions %u",
                    policy->info.name, (long long)policy->info.version, policy->state_dim,
                    policy->action_dim, SIM_STATE, MTF_SIM_ACTIONS);
}
