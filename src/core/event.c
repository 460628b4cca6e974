#include "core/event.h"

#include <stdlib.h>

/** Where a clone's pieces go: with base NULL it only counts. */
typedef struct packer {
    uint8_t *base;
    size_t used;
} packer;

static void *place(packer *p, const void *data, size_t size, size_t alignment)
{
    p->used = (p->used + alignment - 1) & ~(alignment - 1);
    void *at = p->base ? p->base + p->used : NULL;
    p->used += size;
    if (at && size) memcpy(at, data, size);
    return at;
}

static mtf_str place_str(packer *p, mtf_str text)
{
    if (!text.data) return text;
    return (mtf_str){place(p, text.data, text.size, 1), text.size};
}

static mtf_floats place_floats(packer *p, mtf_floats floats)
{
    if (!floats.count) return (mtf_floats){0};
    return (mtf_floats){place(p, floats.data, sizeof(float) * floats.count, _Alignof(float)),
                        floats.count};
}

static mtf_signals place_signals(packer *p, mtf_signals signals)
{
    if (!signals.count) return (mtf_signals){0};
    mtf_signal *data = place(p, signals.data, sizeof *data * signals.count, _Alignof(mtf_signal));
    for (uint32_t i = 0; i < signals.count; i++) {
        const mtf_str name = place_str(p, signals.data[i].name);
        if (data) data[i].name = name;
    }
    return (mtf_signals){data, signals.count};
}

static void place_request(packer *p, const mtf_request *from, mtf_request *to)
{
    to->state = place_floats(p, from->state);
    to->action = place_floats(p, from->action);
    to->baseline_action = place_floats(p, from->baseline_action);
    to->lower = place_floats(p, from->lower);
    to->upper = place_floats(p, from->upper);
    to->items = NULL;
    if (!from->item_count) return;
    to->items = place(p, from->items, sizeof *to->items * from->item_count, _Alignof(mtf_item));
    for (uint32_t i = 0; i < from->item_count; i++) {
        const mtf_item *item = &from->items[i];
        const mtf_item copy = {
            .item_id = place_str(p, item->item_id),
            .predictions = place_floats(p, item->predictions),
            .features = place_floats(p, item->features),
            .signals = place_signals(p, item->signals),
        };
        if (to->items) to->items[i] = copy;
    }
}

static void pack(packer *p, const mtf_event *event)
{
    mtf_event copy = *event;
    mtf_event *at = place(p, event, sizeof *event, _Alignof(mtf_event));
    copy.event_id = place_str(p, event->event_id);
    copy.user_id = place_str(p, event->user_id);
    copy.session_id = place_str(p, event->session_id);
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        place_request(p, &event->body.request, &copy.body.request);
        break;
    case MTF_EVENT_FEEDBACK:
        copy.body.feedback.request_id = place_str(p, event->body.feedback.request_id);
        copy.body.feedback.item_id = place_str(p, event->body.feedback.item_id);
        copy.body.feedback.signals = place_signals(p, event->body.feedback.signals);
        break;
    case MTF_EVENT_SESSION_END:
        copy.body.end_reason = place_str(p, event->body.end_reason);
        break;
    }
    if (at) *at = copy;
}

size_t mtf_event_bytes(const mtf_event *event)
{
    packer p = {0};
    pack(&p, event);
    return p.used;
}

mtf_event *mtf_event_clone(const mtf_event *event)
{
    packer p = {malloc(mtf_event_bytes(event)), 0};
    if (!p.base) return NULL;
    pack(&p, event);
    return (mtf_event *)(void *)p.base;
}
