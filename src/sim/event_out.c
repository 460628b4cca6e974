/* Events as a recommender's logging would write them. Nothing hidden passes through here. */
#include "sim/serve.h"

#include <inttypes.h>
#include <stdio.h>

#include "sim/draw.h"

void sim_user_id(char text[SIM_USER_ID_CHARS], uint32_t user)
{
    (void)snprintf(text, SIM_USER_ID_CHARS, "u%" PRIu32, user);
}

void sim_request_id(char text[64], const sim_names *names, uint32_t step)
{
    (void)snprintf(text, 64, "%" PRIx64 "-%" PRIu32 "-%" PRIu32 "-%" PRIu32, names->seed,
                   names->round, names->session, step);
}

uint64_t sim_item_key(const sim_list *list, uint32_t i)
{
    return sim_key(list->key, 800 + list->shown[i]);
}

static mtf_str item_id(sim_event *out, uint32_t i, uint64_t item)
{
    (void)snprintf(out->item_ids[i], sizeof out->item_ids[i], "i%016" PRIx64, item);
    return mtf_str_of(out->item_ids[i]);
}

static void head(sim_event *out, const sim_names *names, int64_t time_ms, mtf_event_kind kind)
{
    sim_user_id(out->user_id, names->user);
    (void)snprintf(out->session_id, sizeof out->session_id, "%" PRIx64 "-%" PRIu32 "-%" PRIu32,
                   names->seed, names->round, names->session);
    out->event = (mtf_event){
        .event_id = mtf_str_of(out->event_id),
        .user_id = mtf_str_of(out->user_id),
        .event_time_ms = time_ms,
        .session_id = names->session_ids ? mtf_str_of(out->session_id) : (mtf_str){NULL, 0},
        .kind = kind,
    };
}

/* What happened; what did not is not logged. */
static mtf_signals signals_of(sim_event *out, uint32_t i, const sim_outcome *outcome)
{
    uint32_t count = 0;
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
        if (outcome->values[i][b] <= 0) continue;
        out->signals[i][count++] =
            (mtf_signal){mtf_str_of(sim_behaviour_name(b)), outcome->values[i][b]};
    }
    return (mtf_signals){out->signals[i], count};
}

void sim_event_request(sim_event *out, const sim_names *names, uint32_t step, int64_t time_ms,
                       const sim_served *served, uint32_t features, const sim_outcome *outcome)
{
    sim_request_id(out->event_id, names, step);
    head(out, names, time_ms, MTF_EVENT_REQUEST);
    for (uint32_t i = 0; i < SIM_SHOWN; i++) {
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
            out->predictions[i][b] = served->list.predictions[b][served->list.shown[i]];
        memcpy(out->features[i], served->list.features[served->list.shown[i]],
               features * sizeof out->features[i][0]);
        out->items[i] = (mtf_item){
            .item_id = item_id(out, i, sim_item_key(&served->list, i)),
            .predictions = {out->predictions[i], SIM_BEHAVIOURS},
            .features = {out->features[i], features},
            .signals = outcome != NULL ? signals_of(out, i, outcome) : (mtf_signals){NULL, 0},
        };
    }
    out->event.body.request = (mtf_request){
        .policy_version = served->policy_version,
        .bucket = served->bucket,
        .state = {served->state, SIM_STATE},
        .action = {served->action, served->action_count},
        .baseline_action = {served->baseline, served->action_count},
        .lower = {served->lower, served->bound_count},
        .upper = {served->upper, served->bound_count},
        .sample_weight = 1,
        .items = out->items,
        .item_count = SIM_SHOWN,
    };
}

void sim_event_feedback(sim_event *out, const sim_names *names, uint32_t step, int64_t time_ms,
                        int64_t request_ms, uint32_t i, uint64_t item, const sim_outcome *outcome)
{
    sim_request_id(out->request_id, names, step);
    (void)snprintf(out->event_id, sizeof out->event_id, "%.58s-f%c", out->request_id,
                   '0' + (char)i);
    head(out, names, time_ms, MTF_EVENT_FEEDBACK);
    out->event.body.feedback = (mtf_feedback){
        .request_id = mtf_str_of(out->request_id),
        .request_time_ms = request_ms,
        .item_id = item_id(out, i, item),
        .signals = signals_of(out, i, outcome),
    };
}

void sim_event_end(sim_event *out, const sim_names *names, int64_t time_ms)
{
    (void)snprintf(out->event_id, sizeof out->event_id, "%" PRIx64 "-%" PRIu32 "-%" PRIu32 "-end",
                   names->seed, names->round, names->session);
    head(out, names, time_ms, MTF_EVENT_SESSION_END);
    out->event.body.end_reason = mtf_str_of("left");
}
