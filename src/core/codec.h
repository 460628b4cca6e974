/** How a stage reads and writes records without knowing their encoding: small structs of functions
 *  that ingest implements and cli hands over. */
#ifndef MTF_CODEC_H
#define MTF_CODEC_H

#include "core/session.h"

/** One record's bytes -> *event, its memory from the arena and from the bytes (both borrowed).
 *  MTF_SKIP: a bad record; err->msg is "<reason>: <detail>", reason one of decode, unknown_schema,
 *  schema, invalid (dimensions, non-finite numbers, action out of range, empty ids).
 *
 *  Which schemas there are may differ from one run to the next, and with them which records decode.
 *  So that records can be read again as they were read first, `schema` names what one that decoded
 *  was decoded by: never another schema by the same name; 0 for one that every run has. `need`:
 *  MTF_INVALID, naming the schema, if it is not here. Both are NULL where no run differs. */
typedef struct mtf_event_decoder {
    void *self;
    mtf_status (*decode)(void *self, mtf_span value, mtf_arena *arena, mtf_event *event,
                         mtf_err *err);
    uint64_t (*schema)(void *self, mtf_span value);
    mtf_status (*need)(void *self, uint64_t schema, mtf_err *err);
} mtf_event_decoder;

/** The same for sessions. */
typedef struct mtf_session_decoder {
    void *self;
    mtf_status (*decode)(void *self, mtf_span value, mtf_arena *arena, mtf_session *session,
                         mtf_err *err);
} mtf_session_decoder;

/** Appends a framed record to out. MTF_NOMEM only. */
typedef mtf_status (*mtf_session_encode_fn)(const mtf_session *session, mtf_buf *out, mtf_err *err);
typedef mtf_status (*mtf_event_encode_fn)(const mtf_event *event, mtf_buf *out, mtf_err *err);

#endif
