#include "sessionize/activity.h"

/** Up to so many records a scan of hashes beats a table. */
#define SCAN_MAX 32u
#define GROW_MIN 4u

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void mtf_keeper_fini(mtf_keeper *keeper)
{
    mtf_slabs_fini(&keeper->slabs);
    mtf_buf_fini(&keeper->scratch);
}

static bool is_at(const mtf_records *records, uint32_t index, uint32_t tag, mtf_str event_id)
{
    return records->tags[index] == tag &&
           mtf_str_equal(mtf_record_peek(records->pieces[index]).event_id, event_id);
}

static bool records_have(const mtf_records *records, uint32_t tag, mtf_str event_id)
{
    if (!records->slots) {
        for (uint32_t i = 0; i < records->count; i++)
            if (is_at(records, i, tag, event_id)) return true;
        return false;
    }
    const uint32_t mask = records->slot_count - 1;
    for (uint32_t at = tag & mask; records->slots[at]; at = (at + 1) & mask)
        if (is_at(records, records->slots[at] - 1, tag, event_id)) return true;
    return false;
}

static void slot_insert(mtf_records *records, uint32_t index)
{
    const uint32_t mask = records->slot_count - 1;
    uint32_t at = records->tags[index] & mask;
    while (records->slots[at]) at = (at + 1) & mask;
    records->slots[at] = index + 1;
}

static size_t pieces_bytes(uint32_t capacity)
{
    return (sizeof(uint8_t *) + sizeof(uint32_t)) * (size_t)capacity;
}

static size_t slots_bytes(uint32_t slot_count)
{
    return sizeof(uint32_t) * (size_t)slot_count;
}

/** A table at most half full with `capacity` records in it. */
static bool slots_grow(mtf_records *records, mtf_slabs *slabs, uint32_t capacity)
{
    if (records->slot_count / 2 >= capacity) return true;
    uint32_t slot_count = 4 * SCAN_MAX;
    while (slot_count / 2 < capacity) slot_count *= 2;
    uint32_t *slots = mtf_slabs_take(slabs, slots_bytes(slot_count));
    if (!slots) return false;
    memset(slots, 0, slots_bytes(slot_count));
    mtf_slabs_give(slabs, records->slots, slots_bytes(records->slot_count));
    records->slots = slots;
    records->slot_count = slot_count;
    for (uint32_t i = 0; i < records->count; i++) slot_insert(records, i);
    return true;
}

/** Room for `capacity` records and, past SCAN_MAX, a table. */
static bool records_reserve(mtf_records *records, mtf_slabs *slabs, uint32_t capacity)
{
    if (capacity <= records->capacity) return true;
    if (capacity > SCAN_MAX && !slots_grow(records, slabs, capacity)) return false;
    uint8_t **pieces = mtf_slabs_take(slabs, pieces_bytes(capacity));
    if (!pieces) return false;
    uint32_t *tags = (uint32_t *)(void *)(pieces + capacity);
    if (records->count) {
        memcpy(pieces, records->pieces, sizeof(uint8_t *) * records->count);
        memcpy(tags, records->tags, sizeof *tags * records->count);
    }
    mtf_slabs_give(slabs, records->pieces, pieces_bytes(records->capacity));
    records->pieces = pieces;
    records->tags = tags;
    records->capacity = capacity;
    return true;
}

/** There must be room. */
static void records_push(mtf_records *records, uint8_t *piece, uint32_t tag)
{
    MTF_ASSERT(records->count < records->capacity);
    records->pieces[records->count] = piece;
    records->tags[records->count] = tag;
    if (records->slots) slot_insert(records, records->count);
    records->count++;
}

static void records_fini(mtf_records *records, mtf_slabs *slabs)
{
    for (uint32_t i = 0; i < records->count; i++) mtf_record_free(records->pieces[i], slabs);
    mtf_slabs_give(slabs, records->pieces, pieces_bytes(records->capacity));
    mtf_slabs_give(slabs, records->slots, slots_bytes(records->slot_count));
    *records = (mtf_records){0};
}

mtf_activity *mtf_activity_new(mtf_keeper *keeper, mtf_str user, uint64_t hash, int64_t bucket,
                               int64_t place_ms, int64_t offset, int64_t w_before_ms)
{
    mtf_activity *activity = mtf_slabs_take(&keeper->slabs, sizeof *activity + user.size);
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

void mtf_activity_free(mtf_activity *activity, mtf_keeper *keeper)
{
    if (!activity) return;
    records_fini(&activity->records, &keeper->slabs);
    mtf_slabs_give(&keeper->slabs, activity, sizeof *activity + activity->user_size);
}

bool mtf_activity_has(const mtf_activity *activity, mtf_str event_id)
{
    return records_have(&activity->records, mtf_record_tag(event_id), event_id);
}

mtf_status mtf_activity_append(mtf_activity *activity, mtf_keeper *keeper,
                               const mtf_message *message, const mtf_event *event, mtf_err *err)
{
    mtf_records *records = &activity->records;
    uint8_t *piece;
    /* By a quarter: half the room stays unused in few, and what is copied is 16 bytes a record. */
    const uint32_t more = records->capacity < 4 * GROW_MIN ? GROW_MIN : records->capacity / 4;
    if (records->count == records->capacity &&
        !records_reserve(records, &keeper->slabs, records->capacity + more))
        return mtf_fail(err, MTF_NOMEM, "no memory for record %u of an activity", records->count);
    const mtf_status status =
        mtf_record_pack(&piece, &keeper->slabs, &keeper->scratch, message, event, err);
    if (status == MTF_OK) records_push(records, piece, mtf_record_tag(event->event_id));
    return status;
}

void mtf_activity_drop_over_cap(mtf_activity *activity, int64_t place_ms)
{
    activity->over_cap_from_ms = min_ms(activity->over_cap_from_ms, place_ms);
}

mtf_status mtf_activity_absorb(mtf_activity *activity, mtf_activity *other, mtf_keeper *keeper,
                               uint32_t max_events, mtf_drops *drops, mtf_err *err)
{
    mtf_records *a = &activity->records, *b = &other->records, merged = {0};
    mtf_slabs *slabs = &keeper->slabs;
    const uint64_t both = (uint64_t)a->count + b->count;
    if (!records_reserve(&merged, slabs, both < max_events ? (uint32_t)both : max_events)) {
        records_fini(&merged, slabs);
        mtf_activity_free(other, keeper);
        return mtf_fail(err, MTF_NOMEM, "no memory to merge two activities of %llu records",
                        (unsigned long long)both);
    }
    activity->start_ms = min_ms(activity->start_ms, other->start_ms);
    activity->end_ms = max_ms(activity->end_ms, other->end_ms);
    activity->over_cap_from_ms = min_ms(activity->over_cap_from_ms, other->over_cap_from_ms);
    for (uint32_t i = 0, j = 0; i < a->count || j < b->count;) {
        const bool from_a =
            j == b->count || (i < a->count && mtf_record_peek(a->pieces[i]).offset <
                                                  mtf_record_peek(b->pieces[j]).offset);
        const uint32_t tag = from_a ? a->tags[i] : b->tags[j];
        uint8_t *piece = from_a ? a->pieces[i++] : b->pieces[j++];
        const mtf_record_head head = mtf_record_peek(piece);
        if (records_have(&merged, tag, head.event_id)) {
            drops->duplicates++;
            mtf_record_free(piece, slabs);
        } else if (merged.count == max_events) {
            drops->over_cap++;
            mtf_activity_drop_over_cap(activity, head.place_ms);
            mtf_record_free(piece, slabs);
        } else {
            records_push(&merged, piece, tag);
        }
    }
    a->count = b->count = 0; /* all moved or released above */
    records_fini(a, slabs);
    *a = merged;
    mtf_activity_free(other, keeper);
    return MTF_OK;
}
