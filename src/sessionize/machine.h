/** The pure state machine of one input partition: (event, append time, offset) in, closed
 *  activities out. It reads no clock; nothing but the records, the idle jumps and the configuration
 *  decides. One thread.
 *
 *                 +------- open ------+
 *    record ----> | touches activity? | --yes--> join (merge, extend, keep / duplicate / over cap)
 *       |         +-------------------+ --no---> a request opens one unless late; else no_request
 *       +--> W rises --> every activity with end + gap + grace < W closes  (before the join)
 *
 *  Recovery: mtf_machine_place is what a commit must carry; mtf_machine_new with that place gives a
 *  machine that replays: fed [S, L) again it closes silently, applies the idle jumps at their
 *  offsets, and after mtf_machine_go_live equals the one that never stopped. */
#ifndef MTF_SESSIONIZE_MACHINE_H
#define MTF_SESSIONIZE_MACHINE_H

#include "sessionize/metadata.h"
#include "sessionize/open_set.h"

/** Goes into the function hash: raise it with any change of what a log of records gives. */
#define MTF_MACHINE_VERSION 1

typedef struct mtf_machine_config {
    int64_t gap_ms;              /* inactivity that ends a session */
    int64_t grace_ms;            /* wait for late events after the gap */
    int64_t out_of_orderness_ms; /* the watermark stays so far behind the newest event */
    int64_t max_future_ms;       /* further ahead of its append time an event is refused */
    int64_t max_duration_ms;     /* aligned cap */
    uint32_t max_events;         /* content kept of one activity */
} mtf_machine_config;

/** What became of a record. */
typedef enum mtf_fate {
    MTF_FATE_KEPT,       /* in an activity */
    MTF_FATE_DUPLICATE,  /* joined, its id was there already: content dropped */
    MTF_FATE_OVER_CAP,   /* joined a full activity: content dropped */
    MTF_FATE_LATE,       /* a request whose session is over: late topic */
    MTF_FATE_NO_REQUEST, /* a feedback or end that touches nothing: late topic */
    MTF_FATE_FUTURE,     /* ahead of its append time: dead letter; W did not move */
    MTF_FATE_TIME_RANGE, /* a time no clock gives: dead letter; W did not move */
} mtf_fate;

/** Takes a closed activity: borrowed until it returns. Its failure is the machine's, which is then
 *  fit only to be freed. Never called in a replay. */
typedef struct mtf_machine_output {
    void *self;
    mtf_status (*closed)(void *self, const mtf_activity *activity, int64_t headless_ms,
                         mtf_err *err);
} mtf_machine_output;

typedef struct mtf_machine {
    mtf_machine_config config;
    mtf_machine_output output;
    mtf_keeper *keeper; /* of all activities */
    mtf_open_set open;
    int64_t watermark_ms; /* W */
    int64_t next_offset;  /* L */
    int64_t headless_ms;  /* H of mtf_place */

    mtf_jump jumps[MTF_JUMPS_MAX]; /* past S, rising */
    uint32_t jump_count;
    bool jump_fresh;      /* no record since the last jump ... */
    int64_t jump_base_ms; /* ... before which W was this */

    bool replaying;
    int64_t live_offset, live_watermark_ms; /* L and W of the place that is replayed to */
    uint32_t jumps_replayed;

    int64_t bad_in_a_row;      /* dead letters just before L */
    int64_t live_bad_in_a_row; /* of the place that is replayed to */

    mtf_schema_since schemas[MTF_SCHEMAS_MAX]; /* of records since S; offset: the first one's */
    int64_t schemas_last[MTF_SCHEMAS_MAX];     /* the last one's */
    uint32_t schema_count;

    int64_t kept;    /* records in open activities */
    mtf_drops drops; /* since the caller last zeroed it */
} mtf_machine;

/** A machine at a place, to be fed from first_offset on: place->safe_offset, or later when the log
 *  no longer goes back so far. Replays unless that is place->next_offset or later. What is open is
 *  kept in `keeper`, which is borrowed and may be other machines' too. NULL when out of memory. */
mtf_machine *mtf_machine_new(const mtf_machine_config *config, const mtf_machine_output *output,
                             mtf_keeper *keeper, const mtf_place *place, int64_t first_offset);
void mtf_machine_free(mtf_machine *machine);

/** One record, in offset order. Event, key and value are copied where needed.
 *  MTF_NOMEM, or what output->closed returned. */
mtf_status mtf_machine_record(mtf_machine *machine, const mtf_message *message,
                              const mtf_event *event, mtf_fate *fate, mtf_err *err) MTF_NODISCARD;
/** What becomes of a record whatever is open: MTF_FATE_FUTURE, MTF_FATE_TIME_RANGE, or
 *  MTF_FATE_KEPT where that is not yet said. */
mtf_fate mtf_machine_vet(const mtf_machine *machine, const mtf_message *message,
                         const mtf_event *event);
/** To be asked of each record that decoded, before it is given to the machine: whether it counts,
 *  decoded by that schema (codec.h). In a replay, if it did then; live, unless what is open was
 *  already decoded by MTF_SCHEMAS_MAX others. A record that does not is a dead letter. */
bool mtf_machine_admit(mtf_machine *machine, uint64_t schema, int64_t offset);
/** A dead letter, because it did not decode or by mtf_machine_vet or _admit: only the offset moves.
 */
void mtf_machine_skip(mtf_machine *machine, int64_t offset);

/** What a record of this user's will read begins to be fetched, step by step (0, 1, 2), with some
 *  time between; see open_set.h. A hint: any user, or none, does no harm. */
void mtf_machine_expect(const mtf_machine *machine, uint64_t user_hash, int step);

/** The earliest watermark that closes something; INT64_MAX when nothing is open. */
int64_t mtf_machine_due_ms(mtf_machine *machine);
/** The watermark that closes everything; MTF_WATERMARK_NONE when nothing is open. */
int64_t mtf_machine_done_ms(const mtf_machine *machine);
/** Whether the metadata has room for a jump to watermark_ms now. One that closes everything needs
 *  none, so a partition that stays quiet always closes in the end. Not in a replay. */
bool mtf_machine_can_jump(mtf_machine *machine, int64_t watermark_ms);
/** Moves W to watermark_ms at the next offset, unless it is there already, and closes. There must
 *  be room. Fails as record. Not in a replay. */
mtf_status mtf_machine_jump(mtf_machine *machine, int64_t watermark_ms, mtf_err *err) MTF_NODISCARD;

/** Ends a replay: the jumps left are applied. False when the watermark is not the one the place
 *  named, so the log no longer holds (or decodes to) what was committed; the later one is taken. */
bool mtf_machine_go_live(mtf_machine *machine);

/** What a commit at this moment must carry. Not in a replay. */
void mtf_machine_place(mtf_machine *machine, mtf_place *place);

/** Hash of everything that changes what a log gives; decoder names the decoder and its version,
 *  aggregators the canonical text of theirs. */
uint64_t mtf_machine_function(const mtf_machine_config *config, const char *aggregators,
                              const char *decoder);

#endif
