#include "sessionize/stream.h"

#include <stdio.h>

mtf_machine_config stream_config(void)
{
    return (mtf_machine_config){
        .gap_ms = 30,
        .grace_ms = 2,
        .out_of_orderness_ms = 5,
        .max_future_ms = 20,
        .max_duration_ms = 200,
        .max_events = 6,
    };
}

static int64_t pick(mtf_rng *rng, const int64_t *choices, size_t count)
{
    return choices[mtf_rng_below(rng, count)];
}
#define PICK(rng, ...)                                                                             \
    pick(rng, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static void random_signals(struct sample *s, mtf_rng *rng, double share)
{
    s->signal_count = mtf_rng_uniform(rng) < share ? 1 + (int)mtf_rng_below(rng, 2) : 0;
    for (int i = 0; i < 2 && i < s->signal_count; i++) {
        s->names[i] = (char)('w' + mtf_rng_below(rng, 4));
        s->values[i] = (double)mtf_rng_below(rng, 9);
    }
}

static void random_sample(struct stream *stream, int64_t now_ms, mtf_rng *rng)
{
    struct sample *s = &stream->data[stream->count];
    const int index = stream->count;
    const double p = mtf_rng_uniform(rng);
    const struct sample *earlier =
        index ? &stream->data[mtf_rng_below(rng, (uint64_t)index)] : NULL;
    if (earlier && p < .12) {
        *s = *earlier; /* the producer sent it again */
    } else {
        *s = (struct sample){.kind = MTF_EVENT_REQUEST};
        snprintf(s->user, sizeof s->user, "u%d", (int)mtf_rng_below(rng, 3));
        s->time_ms = now_ms - PICK(rng, 0, 0, 0, 2, 6, 15, 40, 90);
        if (mtf_rng_uniform(rng) < .5)
            snprintf(s->session_id, sizeof s->session_id, "s%d", (int)mtf_rng_below(rng, 2));
        if (earlier && p < .32) {
            s->kind = MTF_EVENT_FEEDBACK;
            memcpy(s->user, earlier->user, sizeof s->user);
            memcpy(s->request_id, earlier->id, sizeof s->id);
            s->request_time_ms = earlier->time_ms;
            s->item = (int)PICK(rng, 0, 0, 0, 1, 1, 2);
            random_signals(s, rng, 1);
        } else if (p < .42) {
            s->kind = MTF_EVENT_SESSION_END;
        } else {
            if (p < .46) s->time_ms = now_ms + PICK(rng, 15, 25, 500); /* a fast clock */
            random_signals(s, rng, .3);
        }
        snprintf(s->id, sizeof s->id, "%c%d", "rfe"[s->kind], index);
    }
    s->append_ms = now_ms + (int64_t)mtf_rng_below(rng, 4);
    s->bad = mtf_rng_uniform(rng) < .03;
    s->jump_ms = mtf_rng_uniform(rng) < .1 ? PICK(rng, 5, 20, 60) : 0;
    stream->count++;
}

void stream_random(struct stream *stream, mtf_rng *rng)
{
    const uint64_t count = 5 + mtf_rng_below(rng, STREAM_MAX - 5);
    int64_t now_ms = (int64_t)mtf_rng_below(rng, 400);
    stream->count = 0;
    for (uint64_t i = 0; i < count; i++) {
        now_ms += PICK(rng, 0, 1, 3, 8, 20, 45);
        random_sample(stream, now_ms, rng);
    }
}

void stream_input(const struct sample *s, int64_t offset, struct input *in)
{
    static const char *const item_ids[] = {"a", "b", "c"};
    static char names[4] = {'w', 'x', 'y', 'z'};
    *in = (struct input){
        .message = {.topic = mtf_str_of("mtf.exploration"),
                    .offset = offset,
                    .timestamp_ms = s->append_ms,
                    .key = {(const uint8_t *)s->user, strlen(s->user)},
                    .value = {(const uint8_t *)s->id, strlen(s->id)}},
        .event = {.event_id = mtf_str_of(s->id),
                  .user_id = mtf_str_of(s->user),
                  .event_time_ms = s->time_ms,
                  .session_id = s->session_id[0] ? mtf_str_of(s->session_id) : (mtf_str){0},
                  .kind = s->kind},
    };
    for (int i = 0; i < s->signal_count; i++)
        in->signals[i] = (mtf_signal){{&names[s->names[i] - 'w'], 1}, s->values[i]};
    const mtf_signals signals = {in->signals, (uint32_t)s->signal_count};
    switch (s->kind) {
    case MTF_EVENT_REQUEST:
        in->items[0] = (mtf_item){.item_id = mtf_str_of("a"), .signals = signals};
        in->items[1] = (mtf_item){.item_id = mtf_str_of("b")};
        in->event.body.request = (mtf_request){.items = in->items, .item_count = 2};
        break;
    case MTF_EVENT_FEEDBACK:
        in->event.body.feedback = (mtf_feedback){mtf_str_of(s->request_id), s->request_time_ms,
                                                 mtf_str_of(item_ids[s->item]), signals};
        break;
    case MTF_EVENT_SESSION_END:
        in->event.body.end_reason = mtf_str_of("left");
        break;
    }
}

void stream_print(const struct stream *stream, mtf_buf *out)
{
    for (int i = 0; i < stream->count; i++) {
        const struct sample *s = &stream->data[i];
        mtf_buf_printf(out, "%3d: %s %s@%lld append %lld", i, s->user, s->id, (long long)s->time_ms,
                       (long long)s->append_ms);
        if (s->kind == MTF_EVENT_FEEDBACK)
            mtf_buf_printf(out, " to %s@%lld item %d", s->request_id, (long long)s->request_time_ms,
                           s->item);
        for (int k = 0; k < s->signal_count; k++)
            mtf_buf_printf(out, " %c=%g", s->names[k], s->values[k]);
        mtf_buf_printf(out, "%s%s%s", s->session_id[0] ? " session " : "", s->session_id,
                       s->bad ? " BAD" : "");
        if (s->jump_ms) mtf_buf_printf(out, " after a jump of %lld", (long long)s->jump_ms);
        mtf_buf_printf(out, "\n");
    }
}

void stream_print_session(const mtf_session *session, uint32_t event_count, mtf_buf *out)
{
    static const char *const end_names[] = {"end_event", "gap", "cap", "id_change"};
    char hex[33];
    mtf_hex(hex, session->session_id, 16);
    mtf_buf_printf(out, "session %.*s %s %lld-%lld %s%s%s events %u:", (int)session->user_id.size,
                   session->user_id.data, hex, (long long)session->started_ms,
                   (long long)session->ended_ms, end_names[session->end_reason],
                   session->truncated_head ? " head" : "", session->truncated_tail ? " tail" : "",
                   event_count);
    for (uint32_t i = 0; i < session->step_count; i++) {
        const mtf_step *step = &session->steps[i];
        mtf_buf_printf(out, " [%.*s@%lld", (int)step->event_id.size, step->event_id.data,
                       (long long)step->time_ms);
        for (uint32_t k = 0; k < step->request.item_count; k++) {
            const mtf_item *item = &step->request.items[k];
            mtf_buf_printf(out, " %.*s", (int)item->item_id.size, item->item_id.data);
            for (uint32_t n = 0; n < item->signals.count; n++)
                mtf_buf_printf(out, " %.*s=%g", (int)item->signals.data[n].name.size,
                               item->signals.data[n].name.data, item->signals.data[n].value);
        }
        mtf_buf_printf(out, "]");
    }
    mtf_buf_printf(out, "\n");
}
