#include "sessionize/emit.h"

#include <stdlib.h>

#include "core/hash.h"
#include "sessionize/index.h"

/** A session in the making: requests of one id up to an end. An end closes its draft, so it is the
 *  last record there, and a draft without requests is a lone end. */
typedef struct draft {
    uint32_t first, last; /* into order */
    uint32_t requests, events;
    uint32_t session; /* its index once there is one */
    bool ended;
    mtf_step *steps; /* `requests` of them once placed */
} draft;

/** A producer's session id and its draft that is still open, index + 1. */
typedef struct open_id {
    mtf_str id;
    uint32_t draft;
} open_id;

/** What is known of an item's signals beside their values. */
typedef struct item_names {
    mtf_index index;
    uint32_t joined; /* the first so many came with the request */
} item_names;

/** Where a request went, to be found by its event id. */
typedef struct target {
    const mtf_event *event;
    mtf_step *step;
    draft *owner;
    mtf_index items;
    item_names *names; /* of each item */
} target;

_Static_assert(offsetof(mtf_item, item_id) == 0 && offsetof(mtf_signal, name) == 0 &&
                   offsetof(open_id, id) == 0,
               "what an mtf_index is of begins with its name");

/** Records fetched before they are unpacked: they lie where memory was free when they came. */
#define AHEAD 4u

enum { IN_SESSION = 0 }; /* else 1 + mtf_aside_reason */

typedef struct plan {
    const mtf_emit_config *config;
    const mtf_activity *activity;
    mtf_arena *arena;
    mtf_record *records;         /* the activity's, unpacked */
    const mtf_record **order;    /* requests and ends by (event time, event id) */
    const mtf_record **feedback; /* the same of feedback */
    uint32_t order_count, feedback_count, draft_count, target_count;
    uint32_t last_request; /* into order */
    uint32_t *draft_of;    /* of each of order */
    mtf_index ids;
    draft *drafts;
    target *targets;  /* by event id */
    uint8_t *outcome; /* of each record of the activity */
    draft **owner;    /* the same, NULL where none takes it */
} plan;

static int by_time_and_id(const void *a, const void *b)
{
    const mtf_event *x = &(*(const mtf_record *const *)a)->event;
    const mtf_event *y = &(*(const mtf_record *const *)b)->event;
    if (x->event_time_ms != y->event_time_ms) return x->event_time_ms < y->event_time_ms ? -1 : 1;
    return mtf_str_compare(x->event_id, y->event_id);
}

static int by_event_id(const void *a, const void *b)
{
    return mtf_str_compare(((const target *)a)->event->event_id,
                           ((const target *)b)->event->event_id);
}

static bool plan_init(plan *p, const mtf_emit_config *config, const mtf_activity *activity,
                      mtf_arena *arena)
{
    const uint32_t count = activity->records.count;
    *p = (plan){
        .config = config,
        .activity = activity,
        .arena = arena,
        .records = mtf_arena_take(arena, sizeof *p->records * count),
        .order = mtf_arena_take(arena, sizeof *p->order * count),
        .feedback = mtf_arena_take(arena, sizeof *p->feedback * count),
        .draft_of = mtf_arena_take(arena, sizeof *p->draft_of * count),
        .drafts = mtf_arena_take(arena, sizeof *p->drafts * count),
        .targets = mtf_arena_take(arena, sizeof *p->targets * count),
        .outcome = mtf_arena_take(arena, count),
        .owner = mtf_arena_take(arena, sizeof(draft *) * count),
    };
    if (!p->records || !p->order || !p->feedback || !p->draft_of || !p->drafts || !p->targets ||
        !p->outcome || !p->owner)
        return false;
    memset(p->outcome, IN_SESSION, count);
    for (uint32_t i = 0; i < count; i++) p->owner[i] = NULL;
    for (uint32_t i = 0; i < count; i++) {
        mtf_record *record = &p->records[i];
        if (i + AHEAD < count) mtf_record_prefetch(activity->records.pieces[i + AHEAD]);
        if (!mtf_record_unpack(record, activity->records.pieces[i], mtf_activity_user(activity),
                               arena))
            return false;
        if (record->event.kind == MTF_EVENT_FEEDBACK)
            p->feedback[p->feedback_count++] = record;
        else
            p->order[p->order_count++] = record;
    }
    qsort(p->order, p->order_count, sizeof *p->order, by_time_and_id);
    qsort(p->feedback, p->feedback_count, sizeof *p->feedback, by_time_and_id);
    return true;
}

static void set_aside(plan *p, const mtf_record *record, mtf_aside_reason reason)
{
    p->outcome[record - p->records] = (uint8_t)(1 + reason);
}

/** Which id's drafts a record belongs to: its own, or the nearest earlier one's; NULL when out of
 *  memory. */
static open_id *resolve_id(plan *p, open_id *ids, uint32_t *id_count, open_id *current, mtf_str id)
{
    if (!id.data && current) return current;
    const uint32_t place = mtf_index_find(&p->ids, p->arena, ids, sizeof *ids, *id_count, id);
    if (place == MTF_INDEX_FAILED) return NULL;
    if (place == *id_count) ids[(*id_count)++] = (open_id){id, 0};
    return &ids[place];
}

/** Cuts the order into drafts: rules 1 and 2 of emit.h. */
static bool make_drafts(plan *p)
{
    open_id *ids = mtf_arena_take(p->arena, sizeof *ids * (p->order_count + 1)), *current = NULL;
    uint32_t id_count = 0, lead = 0;
    if (!ids) return false;
    while (lead < p->order_count && !p->order[lead]->event.session_id.data) lead++;
    const mtf_str leading_id =
        lead < p->order_count ? p->order[lead]->event.session_id : (mtf_str){0};
    for (uint32_t i = 0; i < p->order_count; i++) {
        const mtf_event *event = &p->order[i]->event;
        current = resolve_id(p, ids, &id_count, current, i < lead ? leading_id : event->session_id);
        if (!current) return false;
        if (current->draft == 0) {
            p->drafts[p->draft_count++] = (draft){.first = i};
            current->draft = p->draft_count;
        }
        p->draft_of[i] = current->draft - 1;
        draft *d = &p->drafts[current->draft - 1];
        d->last = i;
        d->events++;
        if (event->kind == MTF_EVENT_REQUEST) {
            d->requests++;
            p->last_request = i;
        } else {
            d->ended = true;
            current->draft = 0;
        }
    }
    return true;
}

/** Appends a signal; grows by doubling, so a count that is no power of two has room. */
static bool append_signal(mtf_arena *arena, mtf_signals *signals, const mtf_signal *signal)
{
    const uint32_t count = signals->count;
    if ((count & (count - 1)) == 0) {
        mtf_signal *data = mtf_arena_take(arena, sizeof *data * (count ? 2 * (size_t)count : 1));
        if (!data) return false;
        if (count) memcpy(data, signals->data, sizeof *data * count);
        signals->data = data;
    }
    signals->data[signals->count++] = *signal;
    return true;
}

static uint32_t find_signal(plan *p, const mtf_signals *among, item_names *names, mtf_str name)
{
    return mtf_index_find(&names->index, p->arena, among->data, sizeof *among->data, among->count,
                          name);
}

static bool fold(plan *p, mtf_signals *into, item_names *names, const mtf_signals *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const mtf_signal *signal = &from->data[i];
        const uint32_t place = find_signal(p, into, names, signal->name);
        if (place == MTF_INDEX_FAILED) return false;
        if (place < into->count)
            mtf_aggregate(p->config->aggregators, &into->data[place], signal->value);
        else if (!append_signal(p->arena, into, signal))
            return false;
    }
    return true;
}

/** A request's step, its items ours to write and the signals that came joined folded in. */
static bool make_step(plan *p, const mtf_event *event, draft *owner, mtf_step *step)
{
    *step = (mtf_step){event->event_id, event->event_time_ms, event->body.request};
    mtf_request *request = &step->request;
    mtf_item *items = mtf_arena_take(p->arena, sizeof *items * request->item_count);
    item_names *names = mtf_arena_take(p->arena, sizeof *names * request->item_count);
    if (!items || !names) return false;
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_signals joined = request->items[i].signals;
        items[i] = request->items[i];
        items[i].signals = (mtf_signals){0};
        names[i] = (item_names){0};
        if (!fold(p, &items[i].signals, &names[i], &joined)) return false;
        names[i].joined = items[i].signals.count;
    }
    request->items = items;
    p->targets[p->target_count++] = (target){event, step, owner, {0}, names};
    return true;
}

static bool make_steps(plan *p)
{
    for (uint32_t i = 0; i < p->draft_count; i++) {
        draft *d = &p->drafts[i];
        d->steps = mtf_arena_take(p->arena, sizeof *d->steps * d->requests);
        if (!d->steps) return false;
        d->requests = 0; /* counted again as they are placed */
    }
    for (uint32_t i = 0; i < p->order_count; i++) {
        const mtf_event *event = &p->order[i]->event;
        draft *d = &p->drafts[p->draft_of[i]];
        p->owner[p->order[i] - p->records] = d;
        if (event->kind != MTF_EVENT_REQUEST) {
            if (d->requests == 0) set_aside(p, p->order[i], MTF_ASIDE_NO_REQUEST);
            continue;
        }
        mtf_step *step = &d->steps[d->requests++];
        if (!make_step(p, event, d, step)) return false;
    }
    qsort(p->targets, p->target_count, sizeof *p->targets, by_event_id);
    return true;
}

/** Rules 3 and 4 of emit.h for one feedback; false when out of memory. */
static bool join_feedback(plan *p, const mtf_record *record)
{
    const mtf_feedback *feedback = &record->event.body.feedback;
    const mtf_event wanted = {.event_id = feedback->request_id};
    const target key = {.event = &wanted};
    target *found = bsearch(&key, p->targets, p->target_count, sizeof *p->targets, by_event_id);
    const mtf_item *items = found ? found->step->request.items : NULL;
    const uint32_t item_count = found ? found->step->request.item_count : 0;
    const uint32_t item = item_count ? mtf_index_find(&found->items, p->arena, items, sizeof *items,
                                                      item_count, feedback->item_id)
                                     : 0;
    if (item == MTF_INDEX_FAILED) return false;
    if (item == item_count) {
        set_aside(p, record, MTF_ASIDE_NO_REQUEST);
        return true;
    }
    mtf_signals *signals = &found->step->request.items[item].signals;
    item_names *names = &found->names[item];
    bool shared = false;
    for (uint32_t i = 0; i < feedback->signals.count && !shared; i++) {
        const uint32_t place = find_signal(p, signals, names, feedback->signals.data[i].name);
        if (place == MTF_INDEX_FAILED) return false;
        shared = place < names->joined;
    }
    if (shared) {
        set_aside(p, record, MTF_ASIDE_DOUBLE_SIGNAL);
        return true;
    }
    found->owner->events++;
    p->owner[record - p->records] = found->owner;
    return fold(p, signals, names, &feedback->signals);
}

static mtf_end_reason end_reason(const plan *p, const draft *d)
{
    const mtf_activity *activity = p->activity;
    if (d->ended) return MTF_END_EVENT;
    if (d->last < p->last_request) return MTF_END_ID_CHANGE;
    const int64_t reach_ms = activity->end_ms + p->config->gap_ms;
    const bool capped = mtf_session_bucket(mtf_activity_user(activity), reach_ms,
                                           p->config->max_duration_ms) != activity->bucket;
    return capped ? MTF_END_CAP : MTF_END_GAP;
}

/** Whether what came before the activity may be missing. */
static bool head_missing(const plan *p, int64_t headless_ms)
{
    const mtf_activity *activity = p->activity;
    const int64_t reach_ms = activity->start_ms - p->config->gap_ms;
    return reach_ms <= headless_ms ||
           mtf_session_bucket(mtf_activity_user(activity), reach_ms, p->config->max_duration_ms) !=
               activity->bucket;
}

static mtf_session make_session(const plan *p, const draft *d, int64_t headless_ms)
{
    const mtf_event *first = &p->order[d->first]->event, *last = &p->order[d->last]->event;
    const int64_t over_cap_from_ms = p->activity->over_cap_from_ms;
    mtf_session session = {
        .user_id = first->user_id,
        .started_ms = first->event_time_ms,
        .ended_ms = last->event_time_ms,
        .end_reason = end_reason(p, d),
        .truncated_head = d->first == 0 && head_missing(p, headless_ms),
        .parts = 1,
        .steps = d->steps,
        .step_count = d->requests,
    };
    const bool over_cap =
        over_cap_from_ms != MTF_NO_OVER_CAP && (!d->ended || over_cap_from_ms <= session.ended_ms);
    session.truncated_tail = session.end_reason == MTF_END_CAP || over_cap;
    const mtf_str id_of[] = {first->user_id, first->event_id};
    mtf_hash128(session.session_id, id_of, 2);
    return session;
}

mtf_status mtf_emit(const mtf_emit_config *config, const mtf_activity *activity,
                    int64_t headless_ms, mtf_arena *arena, mtf_emission *emission, mtf_err *err)
{
    plan p;
    *emission = (mtf_emission){0};
    bool fits = plan_init(&p, config, activity, arena) && make_drafts(&p) && make_steps(&p);
    for (uint32_t i = 0; fits && i < p.feedback_count; i++) fits = join_feedback(&p, p.feedback[i]);
    if (fits) {
        emission->sessions = mtf_arena_take(arena, sizeof(mtf_session) * p.draft_count);
        emission->event_counts = mtf_arena_take(arena, sizeof(uint32_t) * p.draft_count);
        emission->session_of = mtf_arena_take(arena, sizeof(uint32_t) * activity->records.count);
        emission->asides = mtf_arena_take(arena, sizeof(mtf_aside) * activity->records.count);
    }
    if (!emission->sessions || !emission->event_counts || !emission->session_of ||
        !emission->asides)
        return mtf_fail(err, MTF_NOMEM, "no memory to emit an activity of %u records",
                        activity->records.count);

    emission->records = p.records;
    for (uint32_t i = 0; i < p.draft_count; i++) {
        draft *d = &p.drafts[i];
        if (d->requests == 0) continue;
        d->session = emission->session_count;
        emission->event_counts[emission->session_count] = d->events;
        emission->sessions[emission->session_count++] = make_session(&p, d, headless_ms);
    }
    for (uint32_t i = 0; i < activity->records.count; i++) {
        const bool aside = p.outcome[i] != IN_SESSION;
        emission->session_of[i] = aside ? MTF_NO_SESSION : p.owner[i]->session;
        if (aside)
            emission->asides[emission->aside_count++] =
                (mtf_aside){&p.records[i], (mtf_aside_reason)(p.outcome[i] - 1)};
    }
    return MTF_OK;
}
