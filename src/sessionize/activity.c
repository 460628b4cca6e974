#include "sessionize/activity.h"

#include <stdlib.h>

#include "core/hash.h"

/** Up to so many records a scan of hashes beats a table. */
#define SCAN_MAX 32u

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

mtf_status mtf_record_init(mtf_record *record, const mtf_message *message, const mtf_event *event,
                           int64_t place_ms, mtf_err *err)
{
    *record = (mtf_record){
        .event = mtf_event_clone(event),
        .id_hash = mtf_hash64(event->event_id.data, event->event_id.size),
        .place_ms = place_ms,
        .offset = message->offset,
        .append_ms = message->timestamp_ms,
        .key_size = (uint32_t)message->key.size,
        .value_size = (uint32_t)message->value.size,
    };
    const bool keep_raw = event->kind != MTF_EVENT_REQUEST;
    const size_t raw_size = message->key.size + message->value.size;
    if (keep_raw) record->raw = malloc(raw_size ? raw_size : 1);
    if (!record->event || (keep_raw && !record->raw)) {
        mtf_record_fini(record);
        return mtf_fail(err, MTF_NOMEM, "no memory for an event of %zu bytes",
                        mtf_event_bytes(event) + raw_size);
    }
    if (keep_raw) {
        if (message->key.size) memcpy(record->raw, message->key.data, message->key.size);
        if (message->value.size)
            memcpy(record->raw + message->key.size, message->value.data, message->value.size);
    }
    return MTF_OK;
}

void mtf_record_fini(mtf_record *record)
{
    free(record->event);
    free(record->raw);
    *record = (mtf_record){0};
}

static bool same_id(const mtf_record *record, uint64_t hash, mtf_str event_id)
{
    return record->id_hash == hash && mtf_str_equal(record->event->event_id, event_id);
}

static bool records_have(const mtf_records *records, uint64_t hash, mtf_str event_id)
{
    if (!records->slots) {
        for (uint32_t i = 0; i < records->count; i++)
            if (same_id(&records->data[i], hash, event_id)) return true;
        return false;
    }
    const uint32_t mask = records->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; records->slots[at]; at = (at + 1) & mask)
        if (same_id(&records->data[records->slots[at] - 1], hash, event_id)) return true;
    return false;
}

static void slot_insert(mtf_records *records, uint32_t index)
{
    const uint32_t mask = records->slot_count - 1;
    uint32_t at = (uint32_t)records->data[index].id_hash & mask;
    while (records->slots[at]) at = (at + 1) & mask;
    records->slots[at] = index + 1;
}

/** Room for `capacity` records and, past SCAN_MAX, a table at most half full. */
static bool records_reserve(mtf_records *records, uint32_t capacity)
{
    if (capacity <= records->capacity) return true;
    mtf_record *data = realloc(records->data, sizeof *data * capacity);
    if (!data) return false;
    records->data = data;
    if (capacity > SCAN_MAX) {
        uint32_t slot_count = 2 * SCAN_MAX;
        while (slot_count < 2 * capacity) slot_count *= 2;
        uint32_t *slots = calloc(slot_count, sizeof *slots);
        if (!slots) return false;
        free(records->slots);
        records->slots = slots;
        records->slot_count = slot_count;
        for (uint32_t i = 0; i < records->count; i++) slot_insert(records, i);
    }
    records->capacity = capacity;
    return true;
}

/** The record is the list's afterwards; there must be room. */
static void records_push(mtf_records *records, const mtf_record *record)
{
    MTF_ASSERT(records->count < records->capacity);
    records->data[records->count] = *record;
    if (records->slots) slot_insert(records, records->count);
    records->count++;
}

static void records_fini(mtf_records *records)
{
    for (uint32_t i = 0; i < records->count; i++) mtf_record_fini(&records->data[i]);
    free(records->data);
    free(records->slots);
    *records = (mtf_records){0};
}

mtf_activity *mtf_activity_new(mtf_str user, uint64_t hash, int64_t bucket, int64_t place_ms,
                               int64_t offset, int64_t w_before_ms)
{
    mtf_activity *activity = malloc(sizeof *activity + user.size);
    if (!activity) return NULL;
    *activity = (mtf_activity){
        .hash = hash,
        .bucket = bucket,
        .start_ms = place_ms,
        .end_ms = place_ms,
        .first_offset = offset,
        .w_before_ms = w_before_ms,
        .over_cap_from_ms = MTF_NO_OVER_CAP,
        .user_size = user.size,
    };
    if (user.size) memcpy(activity->user, user.data, user.size);
    return activity;
}

void mtf_activity_free(mtf_activity *activity)
{
    if (!activity) return;
    records_fini(&activity->records);
    free(activity);
}

bool mtf_activity_has(const mtf_activity *activity, mtf_str event_id)
{
    return records_have(&activity->records, mtf_hash64(event_id.data, event_id.size), event_id);
}

mtf_status mtf_activity_append(mtf_activity *activity, const mtf_record *record, mtf_err *err)
{
    mtf_records *records = &activity->records;
    if (records->count == records->capacity &&
        !records_reserve(records, records->capacity ? 2 * records->capacity : 2))
        return mtf_fail(err, MTF_NOMEM, "no memory for record %u of an activity", records->count);
    records_push(records, record);
    return MTF_OK;
}

void mtf_activity_drop_over_cap(mtf_activity *activity, int64_t place_ms)
{
    activity->over_cap_from_ms = min_ms(activity->over_cap_from_ms, place_ms);
}

mtf_status mtf_activity_absorb(mtf_activity *activity, mtf_activity *other, uint32_t max_events,
                               mtf_drops *drops, mtf_err *err)
{
    mtf_records *a = &activity->records, *b = &other->records, merged = {0};
    const uint64_t both = (uint64_t)a->count + b->count;
    if (!records_reserve(&merged, both < max_events ? (uint32_t)both : max_events)) {
        records_fini(&merged);
        mtf_activity_free(other);
        return mtf_fail(err, MTF_NOMEM, "no memory to merge two activities of %llu records",
                        (unsigned long long)both);
    }
    activity->start_ms = min_ms(activity->start_ms, other->start_ms);
    activity->end_ms = max_ms(activity->end_ms, other->end_ms);
    activity->over_cap_from_ms = min_ms(activity->over_cap_from_ms, other->over_cap_from_ms);
    for (uint32_t i = 0, j = 0; i < a->count || j < b->count;) {
        const bool from_a =
            j == b->count || (i < a->count && a->data[i].offset < b->data[j].offset);
        mtf_record *next = from_a ? &a->data[i++] : &b->data[j++];
        if (records_have(&merged, next->id_hash, next->event->event_id)) {
            drops->duplicates++;
            mtf_record_fini(next);
        } else if (merged.count == max_events) {
            drops->over_cap++;
            mtf_activity_drop_over_cap(activity, next->place_ms);
            mtf_record_fini(next);
        } else {
            records_push(&merged, next);
        }
    }
    a->count = b->count = 0; /* all moved or released above */
    records_fini(a);
    *a = merged;
    mtf_activity_free(other);
    return MTF_OK;
}
