#include "sessionize/record.h"

#include "core/hash.h"

/** More than the varints of a record, of an item or of a signal take. */
#define RECORD_BYTES 192u
#define ITEM_BYTES   40u
#define SIGNAL_BYTES 24u
#define TEXT_BYTES   16u
#define HEAD_BYTES   sizeof(uint32_t)

enum { TEXT_NULL = 0 }; /* else 1 + (size << 1 | whether it lies in the bytes as they came) */

int64_t mtf_event_place_ms(const mtf_event *event)
{
    return event->kind == MTF_EVENT_FEEDBACK ? event->body.feedback.request_time_ms
                                             : event->event_time_ms;
}

uint32_t mtf_record_tag(mtf_str event_id)
{
    return (uint32_t)mtf_hash64(event_id.data, event_id.size);
}

/** Where the next byte goes; there is room for all of them. */
typedef struct packer {
    uint8_t *at;
    mtf_span value; /* the record's as it came, where it is kept */
} packer;

typedef struct unpacker {
    const uint8_t *at;
    const float *floats; /* the next */
    const uint8_t *value;
    mtf_arena *arena;
    bool failed; /* no memory */
} unpacker;

static void put_number(packer *p, uint64_t number)
{
    for (; number > 0x7f; number >>= 7) *p->at++ = (uint8_t)(number | 0x80);
    *p->at++ = (uint8_t)number;
}

static uint64_t get_number(unpacker *u)
{
    uint64_t number = *u->at++;
    if (number < 0x80) return number;
    number &= 0x7f;
    for (unsigned shift = 7;; shift += 7) {
        const uint64_t byte = *u->at++;
        number |= (byte & 0x7f) << shift;
        if (byte < 0x80) return number;
    }
}

/** A number near zero, on either side, or the distance of two times. */
static void put_signed(packer *p, uint64_t number)
{
    put_number(p, number << 1 ^ (0 - (number >> 63)));
}

static uint64_t get_signed(unpacker *u)
{
    const uint64_t zigzag = get_number(u);
    return zigzag >> 1 ^ (0 - (zigzag & 1));
}

static void put_bytes(packer *p, const void *data, size_t size)
{
    if (size) memcpy(p->at, data, size);
    p->at += size;
}

static void put_text(packer *p, mtf_str text)
{
    if (!text.data) {
        put_number(p, TEXT_NULL);
        return;
    }
    const uintptr_t from = (uintptr_t)p->value.data, at = (uintptr_t)text.data;
    const bool within = p->value.data && at >= from && at + text.size <= from + p->value.size;
    put_number(p, 1 + ((uint64_t)text.size << 1 | within));
    if (within)
        put_number(p, at - from);
    else
        put_bytes(p, text.data, text.size);
}

static mtf_str get_text(unpacker *u)
{
    const uint64_t code = get_number(u);
    if (code == TEXT_NULL) return (mtf_str){0};
    mtf_str text = {(const char *)u->at, (uint32_t)((code - 1) >> 1)};
    if ((code - 1) & 1)
        text.data = (const char *)u->value + get_number(u);
    else
        u->at += text.size;
    return text;
}

static void put_floats(packer *p, mtf_floats floats)
{
    put_bytes(p, floats.data, sizeof(float) * floats.count);
}

static mtf_floats get_floats(unpacker *u)
{
    const mtf_floats floats = {u->floats, (uint32_t)get_number(u)};
    u->floats += floats.count;
    return floats.count ? floats : (mtf_floats){0};
}

static void put_signals(packer *p, mtf_signals signals)
{
    put_number(p, signals.count);
    for (uint32_t i = 0; i < signals.count; i++) {
        put_text(p, signals.data[i].name);
        put_bytes(p, &signals.data[i].value, sizeof signals.data[i].value);
    }
}

static mtf_signals get_signals(unpacker *u)
{
    mtf_signals signals = {.count = (uint32_t)get_number(u)};
    if (signals.count == 0) return signals;
    signals.data = mtf_arena_take(u->arena, sizeof *signals.data * signals.count);
    if (!signals.data) {
        u->failed = true;
        return (mtf_signals){0};
    }
    for (uint32_t i = 0; i < signals.count; i++) {
        signals.data[i].name = get_text(u);
        memcpy(&signals.data[i].value, u->at, sizeof signals.data[i].value);
        u->at += sizeof signals.data[i].value;
    }
    return signals;
}

static void put_request_floats(packer *p, const mtf_request *request)
{
    put_floats(p, request->state);
    put_floats(p, request->action);
    put_floats(p, request->baseline_action);
    put_floats(p, request->lower);
    put_floats(p, request->upper);
    for (uint32_t i = 0; i < request->item_count; i++) {
        put_floats(p, request->items[i].predictions);
        put_floats(p, request->items[i].features);
    }
}

static void put_request(packer *p, const mtf_request *request)
{
    put_signed(p, (uint64_t)request->policy_version);
    put_number(p, request->bucket);
    put_number(p, request->state.count);
    put_number(p, request->action.count);
    put_number(p, request->baseline_action.count);
    put_number(p, request->lower.count);
    put_number(p, request->upper.count);
    put_bytes(p, &request->sample_weight, sizeof request->sample_weight);
    put_number(p, request->item_count);
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        put_text(p, item->item_id);
        put_number(p, item->predictions.count);
        put_number(p, item->features.count);
        put_signals(p, item->signals);
    }
}

static void get_request(unpacker *u, mtf_request *request)
{
    *request = (mtf_request){.policy_version = (int64_t)get_signed(u)};
    request->bucket = (mtf_bucket)get_number(u);
    request->state = get_floats(u);
    request->action = get_floats(u);
    request->baseline_action = get_floats(u);
    request->lower = get_floats(u);
    request->upper = get_floats(u);
    memcpy(&request->sample_weight, u->at, sizeof request->sample_weight);
    u->at += sizeof request->sample_weight;
    const uint32_t count = (uint32_t)get_number(u);
    if (count == 0) return;
    request->items = mtf_arena_take(u->arena, sizeof *request->items * count);
    if (!request->items) {
        u->failed = true;
        return;
    }
    request->item_count = count;
    for (uint32_t i = 0; i < count; i++) {
        mtf_item *item = &request->items[i];
        item->item_id = get_text(u);
        item->predictions = get_floats(u);
        item->features = get_floats(u);
        item->signals = get_signals(u);
    }
}

static uint64_t signals_bytes_max(mtf_signals signals)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < signals.count; i++) bytes += SIGNAL_BYTES + signals.data[i].name.size;
    return bytes;
}

static uint64_t request_floats(const mtf_request *request)
{
    uint64_t count = (uint64_t)request->state.count + request->action.count +
                     request->baseline_action.count + request->lower.count + request->upper.count;
    for (uint32_t i = 0; i < request->item_count; i++)
        count += (uint64_t)request->items[i].predictions.count + request->items[i].features.count;
    return count;
}

/** More than the event's texts and varints take. */
static uint64_t event_bytes_max(const mtf_event *event)
{
    uint64_t bytes = RECORD_BYTES + event->event_id.size + (uint64_t)event->session_id.size;
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        for (uint32_t i = 0; i < event->body.request.item_count; i++) {
            const mtf_item *item = &event->body.request.items[i];
            bytes += ITEM_BYTES + item->item_id.size + signals_bytes_max(item->signals);
        }
        return bytes;
    case MTF_EVENT_FEEDBACK:
        return bytes + event->body.feedback.request_id.size + event->body.feedback.item_id.size +
               signals_bytes_max(event->body.feedback.signals);
    case MTF_EVENT_SESSION_END:
        return bytes + event->body.end_reason.size;
    }
    return bytes;
}

static void put_event(packer *p, const mtf_event *event)
{
    put_text(p, event->event_id);
    put_text(p, event->session_id);
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        put_request(p, &event->body.request);
        break;
    case MTF_EVENT_FEEDBACK:
        put_text(p, event->body.feedback.request_id);
        put_text(p, event->body.feedback.item_id);
        put_signals(p, event->body.feedback.signals);
        break;
    case MTF_EVENT_SESSION_END:
        put_text(p, event->body.end_reason);
        break;
    }
}

/** All but the head. */
static void pack(packer *p, const mtf_message *message, const mtf_event *event)
{
    const bool request = event->kind == MTF_EVENT_REQUEST;
    const mtf_str key = {(const char *)message->key.data, (uint32_t)message->key.size};
    p->at += HEAD_BYTES;
    if (request) put_request_floats(p, &event->body.request);
    put_signed(p, (uint64_t)message->offset);
    put_signed(p, (uint64_t)message->timestamp_ms - (uint64_t)event->event_time_ms);
    put_number(p, event->kind);
    put_signed(p, (uint64_t)event->event_time_ms);
    if (event->kind == MTF_EVENT_FEEDBACK)
        put_signed(p,
                   (uint64_t)event->body.feedback.request_time_ms - (uint64_t)event->event_time_ms);
    put_number(p, message->value.size);
    if (!request) {
        const bool other = key.size && !mtf_str_equal(key, event->user_id);
        put_text(p, other ? key : (mtf_str){0});
        put_bytes(p, message->value.data, message->value.size);
        p->value = message->value;
    }
    put_event(p, event);
}

mtf_status mtf_record_pack(uint8_t **piece, mtf_slabs *slabs, mtf_buf *scratch,
                           const mtf_message *message, const mtf_event *event, mtf_err *err)
{
    const bool request = event->kind == MTF_EVENT_REQUEST;
    const uint64_t floats = request ? request_floats(&event->body.request) : 0;
    const uint64_t bytes_max = event_bytes_max(event) + sizeof(float) * floats + TEXT_BYTES +
                               (request ? 0 : message->key.size + message->value.size);
    mtf_buf_clear(scratch);
    packer p = {.at = bytes_max < INT32_MAX ? mtf_buf_extend(scratch, bytes_max) : NULL};
    if (p.at) {
        pack(&p, message, event);
        const size_t size = (size_t)(p.at - scratch->data);
        MTF_ASSERT(size <= bytes_max);
        *piece = mtf_slabs_take(slabs, size);
        if (*piece) {
            const uint32_t head = (uint32_t)floats << 1 | (size > MTF_SLAB_PIECE_MAX);
            memcpy(scratch->data, &head, sizeof head);
            memcpy(*piece, scratch->data, size);
            return MTF_OK;
        }
    }
    return mtf_fail(err, MTF_NOMEM, "no memory for an event of %llu bytes",
                    (unsigned long long)bytes_max);
}

/** Twice the number of floats, and whether the piece is large. */
static uint32_t head_of(const uint8_t *piece)
{
    uint32_t head;
    memcpy(&head, piece, sizeof head);
    return head;
}

void mtf_record_free(uint8_t *piece, mtf_slabs *slabs)
{
    mtf_slabs_give(slabs, piece, head_of(piece) & 1 ? SIZE_MAX : 0);
}

/** Up to the event id. */
static unpacker unpack_head(mtf_record *record, const uint8_t *piece, mtf_str user)
{
    const float *floats = (const float *)(const void *)(piece + HEAD_BYTES);
    unpacker u = {.at = (const uint8_t *)(floats + (head_of(piece) >> 1)), .floats = floats};
    mtf_event *event = &record->event;
    record->offset = (int64_t)get_signed(&u);
    const uint64_t append_after = get_signed(&u);
    event->kind = (mtf_event_kind)get_number(&u);
    const uint64_t time_ms = get_signed(&u);
    event->event_time_ms = (int64_t)time_ms;
    event->user_id = user;
    record->append_ms = (int64_t)(time_ms + append_after);
    if (event->kind == MTF_EVENT_FEEDBACK)
        event->body.feedback.request_time_ms = (int64_t)(time_ms + get_signed(&u));
    record->place_ms = mtf_event_place_ms(event);
    record->key = (mtf_span){(const uint8_t *)user.data, user.size};
    record->value = (mtf_span){NULL, get_number(&u)};
    if (event->kind != MTF_EVENT_REQUEST) {
        const mtf_str key = get_text(&u);
        if (key.data) record->key = (mtf_span){(const uint8_t *)key.data, key.size};
        record->value.data = u.value = u.at;
        u.at += record->value.size;
    }
    event->event_id = get_text(&u);
    return u;
}

void mtf_record_prefetch(const uint8_t *piece)
{
    /* All of a record of usual size. A prefetch past its end harms nothing. */
    for (uint32_t line = 0; line < 8; line++) __builtin_prefetch(piece + 64 * line);
}

mtf_record_head mtf_record_peek(const uint8_t *piece)
{
    mtf_record record;
    (void)unpack_head(&record, piece, (mtf_str){0});
    return (mtf_record_head){record.place_ms, record.offset, record.event.event_id};
}

bool mtf_record_unpack(mtf_record *record, const uint8_t *piece, mtf_str user, mtf_arena *arena)
{
    unpacker u = unpack_head(record, piece, user);
    u.arena = arena;
    mtf_event *event = &record->event;
    event->session_id = get_text(&u);
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        get_request(&u, &event->body.request);
        break;
    case MTF_EVENT_FEEDBACK:
        event->body.feedback.request_id = get_text(&u);
        event->body.feedback.item_id = get_text(&u);
        event->body.feedback.signals = get_signals(&u);
        break;
    case MTF_EVENT_SESSION_END:
        event->body.end_reason = get_text(&u);
        break;
    }
    return !u.failed;
}
