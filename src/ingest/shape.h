/** Where a schema's fields live in our structures: one table per record, one row per field. The
 * plan compiler walks a table beside the schema it belongs to; nothing else knows offsets. */
#ifndef MTF_INGEST_SHAPE_H
#define MTF_INGEST_SHAPE_H

#include "ingest/avro_schema.h"

typedef enum mtf_member_kind {
    MTF_MEMBER_STR,     /* mtf_str: string, bytes, or a union of null and those (null: data NULL) */
    MTF_MEMBER_LONG,    /* int64_t: int or long */
    MTF_MEMBER_UINT,    /* uint32_t: int; negative values are malformed */
    MTF_MEMBER_FLOAT,   /* float */
    MTF_MEMBER_DOUBLE,  /* double */
    MTF_MEMBER_BOOL,    /* bool: boolean */
    MTF_MEMBER_ENUM,    /* a C enum of 4 bytes, constants in the order of our symbols */
    MTF_MEMBER_FIXED,   /* uint8_t[size]: fixed */
    MTF_MEMBER_FLOATS,  /* mtf_floats: array of float */
    MTF_MEMBER_RECORD,  /* a struct in place: record */
    MTF_MEMBER_RECORDS, /* pointer to structs and uint32_t count: array of record */
    MTF_MEMBER_CHOICE,  /* C union and a C enum of 4 bytes: union of records in the enum's order */
    MTF_MEMBER_RAW      /* mtf_span: any type, its encoding as it is */
} mtf_member_kind;

typedef struct mtf_shape mtf_shape;

typedef struct mtf_member {
    const char *name; /* of the field in our schema */
    mtf_member_kind kind;
    size_t offset;
    size_t beside;           /* offset of the count (RECORDS) or the enum (CHOICE) */
    const mtf_shape *shapes; /* RECORD, RECORDS: one; CHOICE: one per branch */
    uint32_t shape_count;
} mtf_member;

struct mtf_shape {
    size_t size; /* of the struct */
    const mtf_member *members;
    uint32_t member_count;
};

/** The row of a field; NULL when there is none. */
const mtf_member *mtf_shape_find(const mtf_shape *shape, const char *name);
/** Whether every field has a row that can hold it and every row has its field. MTF_INVALID names
 * the field. The schema must not be recursive. */
mtf_status mtf_shape_check(const mtf_shape *shape, const mtf_schema_node *record,
                           mtf_err *err) MTF_NODISCARD;

/** A record of a replay file (schemas/replay-event.avsc). */
typedef struct mtf_replay_row {
    int64_t partition, offset, append_time_ms;
    mtf_span event; /* encoded by the file's schema */
} mtf_replay_row;

extern const mtf_shape mtf_shape_event;   /* mtf_event */
extern const mtf_shape mtf_shape_session; /* mtf_session */
extern const mtf_shape mtf_shape_replay;  /* mtf_replay_row */

#endif
