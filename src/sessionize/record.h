/** A record of an open session: packed while it waits, unpacked to be emitted. Packed it takes
 *  about the bytes it came in, without its user and the frame; no schema is needed to unpack it.
 *
 *    piece:  | u32 n, large | n floats | offset | append | kind | times | key, bytes as they came |
 * id |
 * ...
 *
 *  Numbers are varints. The bytes as they came are kept of all but requests, whose are needed no
 *  more, and what the event takes from them is kept as a reference into them. */
#ifndef MTF_SESSIONIZE_RECORD_H
#define MTF_SESSIONIZE_RECORD_H

#include "core/event.h"
#include "core/pipe.h"
#include "core/slabs.h"

/** An unpacked record. */
typedef struct mtf_record {
    mtf_event event;
    int64_t place_ms; /* mtf_event_place_ms */
    int64_t offset, append_ms;
    mtf_span key;   /* the user id where there was none */
    mtf_span value; /* as it came; of a request only its size */
} mtf_record;

/** What a packed record tells at once. */
typedef struct mtf_record_head {
    int64_t place_ms, offset;
    mtf_str event_id; /* borrowed from the piece */
} mtf_record_head;

/** Where a record stands in time: its event time; a feedback's request's time. */
int64_t mtf_event_place_ms(const mtf_event *event);
uint32_t mtf_record_tag(mtf_str event_id);

/** Copies everything, by way of `scratch`; the piece is of the slabs. MTF_NOMEM. */
mtf_status mtf_record_pack(uint8_t **piece, mtf_slabs *slabs, mtf_buf *scratch,
                           const mtf_message *message, const mtf_event *event,
                           mtf_err *err) MTF_NODISCARD;
void mtf_record_free(uint8_t *piece, mtf_slabs *slabs);

/** Begins to fetch a piece that will be unpacked soon. */
void mtf_record_prefetch(const uint8_t *piece);

mtf_record_head mtf_record_peek(const uint8_t *piece);
/** Text and floats are borrowed from the piece and from `user`, which is the event's; arrays are
 * the arena's. False when out of memory. */
bool mtf_record_unpack(mtf_record *record, const uint8_t *piece, mtf_str user, mtf_arena *arena);

#endif
