/** An activity: a gap-merged interval of one user within one cap bucket, and the records it keeps.
 *
 *  Invariants
 *    - two activities of one (user, bucket) are more than a gap apart;
 *    - records are in offset order; the first is the request that opened the activity;
 *    - records are the first max_events distinct event ids, by offset, of all that joined.
 *  The last one holds however activities were merged, because an id among the first n of a union is
 *  among the first n of its own part: content is a pure function of the records that joined. */
#ifndef MTF_SESSIONIZE_ACTIVITY_H
#define MTF_SESSIONIZE_ACTIVITY_H

#include "sessionize/record.h"

/** What activities and their records are kept in. Zeroed memory is a valid empty one. */
typedef struct mtf_keeper {
    mtf_slabs slabs;
    mtf_buf scratch; /* a record being packed */
} mtf_keeper;

/** Records in offset order with a lookup by event id. Zeroed memory is a valid empty one. */
typedef struct mtf_records {
    uint8_t **pieces; /* packed records */
    uint32_t *tags;   /* of their event ids; in the memory of pieces */
    uint32_t *slots;  /* index + 1 by tag; NULL while count is small enough to scan */
    uint32_t count, capacity, slot_count;
} mtf_records;

/** No record was dropped for max_events. */
#define MTF_NO_OVER_CAP INT64_MAX

typedef struct mtf_activity mtf_activity;
struct mtf_activity {
    /* What a lookup reads stands together: at a million open ones every line is a cache miss. */
    uint64_t hash;       /* of the user */
    mtf_activity *chain; /* of the open set that holds it (open_set.h) */
    int64_t bucket;      /* mtf_session_bucket of every place in it */
    int64_t start_ms, end_ms;
    mtf_records records;

    int64_t first_offset;     /* of the record that opened it */
    int64_t w_before_ms;      /* watermark just before that record */
    int64_t over_cap_from_ms; /* earliest place dropped for max_events, or MTF_NO_OVER_CAP */

    mtf_activity *older, *newer; /* of the open set */
    size_t heap_index;

    uint32_t user_size;
    char user[]; /* its id */
};

/** What merging or adding did to records that were or would have been kept. */
typedef struct mtf_drops {
    int64_t duplicates, over_cap;
} mtf_drops;

/** Borrowed from the activity. */
static inline mtf_str mtf_activity_user(const mtf_activity *activity)
{
    return (mtf_str){activity->user, activity->user_size};
}

void mtf_keeper_fini(mtf_keeper *keeper);

/** An activity of one place, without records yet; NULL when out of memory. It and all it holds are
 *  the keeper's, that of every call with it. */
mtf_activity *mtf_activity_new(mtf_keeper *keeper, mtf_str user, uint64_t hash, int64_t bucket,
                               int64_t place_ms, int64_t offset, int64_t w_before_ms);
void mtf_activity_free(mtf_activity *activity, mtf_keeper *keeper);

bool mtf_activity_has(const mtf_activity *activity, mtf_str event_id);
/** Packs and appends a record whose id is not there yet. MTF_NOMEM. */
mtf_status mtf_activity_append(mtf_activity *activity, mtf_keeper *keeper,
                               const mtf_message *message, const mtf_event *event,
                               mtf_err *err) MTF_NODISCARD;
/** Notes that a record at place_ms joined but is over the cap. */
void mtf_activity_drop_over_cap(mtf_activity *activity, int64_t place_ms);
/** Merges `other` in: its interval, and its records by offset. Frees `other` in every case.
 *  MTF_NOMEM leaves the activity as it was. */
mtf_status mtf_activity_absorb(mtf_activity *activity, mtf_activity *other, mtf_keeper *keeper,
                               uint32_t max_events, mtf_drops *drops, mtf_err *err) MTF_NODISCARD;

#endif
