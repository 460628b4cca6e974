/* A round: sessions begin at drawn times and run side by side; a heap by (time, session) gives the
 * next event of them all. */
#include "sim/serve.h"

#include <stdlib.h>

#include "core/rng.h"
#include "core/session.h"
#include "sim/draw.h"

#define DAY_MS      86400000
#define POOL_COUNT  4096 /* outcomes that the shuffled control draws from */
#define POOL_STREAM 0x5b0ff1e
#define NO_BUCKET   INT64_MIN

/* A session under way. Its next event: a request (at 0), the feedback of item at - 1, or, with
 * outcome.leaves and no feedback left, its end. */
typedef struct active {
    int64_t next_ms, request_ms, last_bucket;
    uint32_t at, step;
    sim_names names;
    sim_visit visit;
    sim_outcome outcome; /* as logged */
    uint64_t items[SIM_SHOWN];
} active;

typedef struct sim_start {
    int64_t time_ms;
    uint32_t session;
} sim_start;

/* A policy that was asked, and where each item has its own action the actor of it, owned. */
typedef struct sim_known {
    const mtf_policy *policy;
    int64_t version;
    mtf_actor *items;
} sim_known;

typedef struct sim_round {
    const mtf_sim *sim;
    const mtf_sim_service *service;
    mtf_sim_counts *counts;
    uint32_t number;
    sim_start *starts;
    active **heap;
    uint32_t heap_count;
    sim_outcome *pool; /* NULL: not shuffled */
    mtf_rng pool_rng;
    sim_served served;
    sim_event event;
    sim_known policy, canary;
    sim_server server; /* of the request at hand */
} sim_round;

static bool earlier(const active *a, const active *b)
{
    return a->next_ms != b->next_ms ? a->next_ms < b->next_ms : a->names.session < b->names.session;
}

static void heap_push(sim_round *round, active *session)
{
    uint32_t at = round->heap_count++;
    for (; at > 0 && earlier(session, round->heap[(at - 1) / 2]); at = (at - 1) / 2)
        round->heap[at] = round->heap[(at - 1) / 2];
    round->heap[at] = session;
}

static active *heap_pop(sim_round *round)
{
    active *first = round->heap[0], *last = round->heap[--round->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= round->heap_count) break;
        if (child + 1 < round->heap_count && earlier(round->heap[child + 1], round->heap[child]))
            child++;
        if (!earlier(round->heap[child], last)) break;
        round->heap[at] = round->heap[child];
        at = child;
    }
    round->heap[at] = last;
    return first;
}

static int by_time(const void *left, const void *right)
{
    const sim_start *a = left, *b = right;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    return a->session < b->session ? -1 : a->session > b->session;
}

/* Session i is user i mod users in slot i / users: in a slot she comes at a drawn time, early
 * enough that the longest visit and the separation fit behind it. */
static void draw_starts(sim_round *round)
{
    const mtf_sim *sim = round->sim;
    const int64_t begin = sim->config.start_ms + (int64_t)round->number * sim->config.span_ms;
    const double room = (double)(sim->slot_ms - sim_visit_ms_max() - sim->config.separation_ms);
    const uint64_t key = sim_key(sim_key(sim->config.seed, 2), round->number);
    for (uint32_t i = 0; i < sim->config.sessions; i++) {
        const int64_t jitter = (int64_t)(room * (double)sim_uniform(key, i));
        round->starts[i] =
            (sim_start){begin + (int64_t)(i / sim->config.users) * sim->slot_ms + jitter, i};
    }
    qsort(round->starts, sim->config.sessions, sizeof *round->starts, by_time);
}

static active *session_new(const sim_round *round, const sim_start *start)
{
    const mtf_sim *sim = round->sim;
    active *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;
    const uint32_t user = start->session % sim->config.users,
                   slot = start->session / sim->config.users;
    session->next_ms = start->time_ms;
    session->last_bucket = NO_BUCKET;
    session->names =
        (sim_names){sim->config.seed, round->number, start->session, user, sim->config.session_ids};
    sim_user_init(&session->visit.user, &sim->world, sim->config.seed, user);
    sim_visit_begin(&session->visit, (uint64_t)round->number * sim->slots + slot,
                    (float)(start->time_ms % DAY_MS) / (float)DAY_MS);
    return session;
}

/* The control: this outcome goes into the pool, a random earlier one is logged instead. */
static void shuffle(sim_round *round, uint32_t step, sim_outcome *outcome)
{
    const uint64_t at = mtf_rng_below(&round->pool_rng, POOL_COUNT);
    const sim_outcome own = *outcome;
    *outcome = round->pool[at];
    round->pool[at] = own;
    outcome->leaves = outcome->leaves || step + 1 == SIM_STEPS_MAX;
}

/* Requests are served by this policy from now on, `known` being the last one in its role. */
static mtf_status serve_by(sim_round *round, sim_known *known, const mtf_policy *policy,
                           mtf_err *err)
{
    const mtf_status status = sim_policy_fits(round->sim, policy, err);
    if (status != MTF_OK) return status;
    const bool same = known->policy == policy && known->version == policy->info.version;
    if (!same) {
        mtf_actor_free(known->items);
        *known = (sim_known){policy, policy->info.version,
                             policy->per_item ? mtf_actor_new(policy) : NULL};
    }
    round->server = (sim_server){policy, known->items};
    if (policy->per_item && known->items == NULL)
        return mtf_fail(err, MTF_NOMEM, "simulate: no memory for the policy's actor");
    return MTF_OK;
}

/* Asks for the policy of the user's next request. */
static mtf_status next_policy(sim_round *round, uint32_t user, mtf_err *err)
{
    const mtf_sim_service *service = round->service;
    char user_id[SIM_USER_ID_CHARS];
    const mtf_policy *policy = service->policy(service->self);
    const mtf_policy *canary = service->canary ? service->canary(service->self) : NULL;
    MTF_ASSERT(policy != NULL);
    sim_user_id(user_id, user);
    if (canary && mtf_policy_canary_serves(canary, mtf_str_of(user_id)))
        return serve_by(round, &round->canary, canary, err);
    return serve_by(round, &round->policy, policy, err);
}

/* Outcomes of users who are nowhere logged. */
static mtf_status fill_pool(sim_round *round, mtf_err *err)
{
    const mtf_sim *sim = round->sim;
    const mtf_status status = next_policy(round, sim->config.users, err);
    if (status != MTF_OK) return status;
    sim_visit visit;
    bool leaves = true;
    for (uint32_t i = 0, user = sim->config.users; i < POOL_COUNT; i++) {
        if (leaves) {
            sim_user_init(&visit.user, &sim->world, sim->config.seed, user++);
            sim_visit_begin(&visit, round->number, 0.5f);
        }
        const sim_names names = {sim->config.seed, round->number, sim->config.sessions, user,
                                 false};
        sim_request_id(round->event.request_id, &names, i);
        sim_serve(sim, &round->server, &visit, mtf_str_of(round->event.request_id), &round->served);
        sim_visit_answer(&visit, &sim->world, &round->served.list, &round->pool[i]);
        sim_visit_note(&visit, &round->pool[i]);
        leaves = round->pool[i].leaves;
    }
    return MTF_OK;
}

static mtf_status emit(sim_round *round, const active *session, mtf_err *err)
{
    round->counts->events++;
    round->counts->last_ms = session->next_ms;
    return round->service->emit(round->service->self, &round->event.event, err);
}

static void count_request(sim_round *round, active *session)
{
    const int64_t bucket = mtf_session_bucket(round->event.event.user_id, session->next_ms,
                                              round->sim->config.max_duration_ms);
    round->counts->requests++;
    if (session->last_bucket != NO_BUCKET && bucket != session->last_bucket)
        round->counts->cap_cuts++;
    session->last_bucket = bucket;
}

static mtf_status serve_request(sim_round *round, active *session, mtf_err *err)
{
    const mtf_sim *sim = round->sim;
    mtf_status status = next_policy(round, session->names.user, err);
    if (status != MTF_OK) return status;
    session->step = session->visit.step;
    session->request_ms = session->next_ms;
    sim_request_id(round->event.request_id, &session->names, session->step);
    sim_serve(sim, &round->server, &session->visit, mtf_str_of(round->event.request_id),
              &round->served);
    sim_visit_answer(&session->visit, &sim->world, &round->served.list, &session->outcome);
    if (round->pool != NULL) shuffle(round, session->step, &session->outcome);
    sim_visit_note(&session->visit, &session->outcome);
    for (uint32_t i = 0; i < SIM_SHOWN; i++)
        session->items[i] = sim_item_key(&round->served.list, i);
    const bool joined = !sim->config.feedback_separate;
    sim_event_request(&round->event, &session->names, session->step, session->next_ms,
                      &round->served, sim->config.items ? SIM_FEATURES : 0,
                      joined ? &session->outcome : NULL);
    count_request(round, session);
    status = emit(round, session, err);
    session->at = joined ? SIM_SHOWN + 1 : 1;
    return status;
}

/* Sets the time of what comes after `at`; items are watched in turn. False: nothing comes. */
static bool schedule(active *session)
{
    if (session->at > SIM_SHOWN + 1) return false;
    if (session->at == SIM_SHOWN + 1) {
        session->next_ms = session->request_ms + sim_pause_ms(&session->outcome);
        if (!session->outcome.leaves) session->at = 0;
        return true;
    }
    float watched = 0.0f;
    for (uint32_t i = 0; i < session->at; i++) watched += session->outcome.values[i][SIM_WATCH];
    session->next_ms = session->request_ms + (int64_t)(1000.0f * watched) + 500 * session->at;
    return true;
}

static mtf_status advance(sim_round *round, active *session, mtf_err *err)
{
    if (session->at == 0) return serve_request(round, session, err);
    if (session->at <= SIM_SHOWN) {
        const uint32_t i = session->at++ - 1;
        sim_event_feedback(&round->event, &session->names, session->step, session->next_ms,
                           session->request_ms, i, session->items[i], &session->outcome);
        return emit(round, session, err);
    }
    sim_event_end(&round->event, &session->names, session->next_ms);
    const int64_t bucket = mtf_session_bucket(round->event.event.user_id, session->next_ms,
                                              round->sim->config.max_duration_ms);
    if (bucket != session->last_bucket) round->counts->late_ends++;
    session->at++;
    return emit(round, session, err);
}

static mtf_status run(sim_round *round, mtf_err *err)
{
    const uint32_t sessions = round->sim->config.sessions;
    for (uint32_t begun = 0; begun < sessions || round->heap_count > 0;) {
        active *session;
        if (begun < sessions &&
            (round->heap_count == 0 || round->starts[begun].time_ms <= round->heap[0]->next_ms)) {
            session = session_new(round, &round->starts[begun++]);
            if (session == NULL) return mtf_fail(err, MTF_NOMEM, "simulate: out of memory");
            round->counts->sessions++;
        } else {
            session = heap_pop(round);
        }
        const mtf_status status = advance(round, session, err);
        if (status != MTF_OK || !schedule(session))
            free(session);
        else
            heap_push(round, session);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

mtf_status mtf_sim_run_round(const mtf_sim *sim, uint32_t number, const mtf_sim_service *service,
                             mtf_sim_counts *counts, mtf_err *err)
{
    mtf_status status = MTF_OK;
    *counts = (mtf_sim_counts){0};
    sim_round *round = calloc(1, sizeof *round);
    if (round == NULL) return mtf_fail(err, MTF_NOMEM, "simulate: out of memory");
    round->sim = sim, round->service = service, round->counts = counts, round->number = number;
    round->starts = malloc(sim->config.sessions * sizeof *round->starts);
    round->heap = malloc(sim->config.sessions * sizeof(active *));
    if (sim->config.shuffle_rewards) round->pool = malloc(POOL_COUNT * sizeof *round->pool);
    if (round->starts == NULL || round->heap == NULL ||
        (sim->config.shuffle_rewards && round->pool == NULL)) {
        status =
            mtf_fail(err, MTF_NOMEM, "simulate: no memory for %u sessions", sim->config.sessions);
        goto done;
    }
    round->pool_rng = mtf_rng_of(sim_key(sim->config.seed, POOL_STREAM), number);
    if (round->pool != NULL) status = fill_pool(round, err);
    draw_starts(round);
    if (status == MTF_OK) status = run(round, err);
done:
    while (round->heap_count > 0) free(round->heap[--round->heap_count]);
    mtf_actor_free(round->policy.items);
    mtf_actor_free(round->canary.items);
    free(round->pool);
    free(round->heap);
    free(round->starts);
    free(round);
    return status;
}
