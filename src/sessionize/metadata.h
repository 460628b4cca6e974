/** The metadata string of an offset commit: all that recovery needs beside the log itself.
 *
 *    mtf1 <function> <L> <W> <S> <wS> <H> <n> +<offset>:+<watermark> ... [!<bad>]
 *        @<schema>+<since> ... <checksum>
 *
 *  One line of ASCII, single spaces, decimal numbers but for the two hashes (hex). L is the next
 *  offset to read, W the watermark there; S the first record of a still open activity (L if there
 *  is none), wS the watermark just before it; then the idle jumps past S up to L, each as its
 *  distance from the jump before (from S and wS for the first). H: activities that begin within a
 *  gap of it or before may have lost their head, because the log was entered in the middle.
 *  bad, where it is not 0: how many bad records in a row stand before L. Then the writers' schemas
 *  that records of [S, L) were decoded by (hex; codec.h), each since so many offsets past S: a
 * record of another schema, or before that, was a dead letter, whatever schemas there are today.
 * Whatever the state, it fits in MTF_METADATA_BYTES_MAX. */
#ifndef MTF_SESSIONIZE_METADATA_H
#define MTF_SESSIONIZE_METADATA_H

#include "core/bytes.h"

#define MTF_METADATA_BYTES_MAX 4096
/** Times and watermarks lie strictly within +-MTF_TIME_LIMIT_MS, so that sums of a few never
 *  overflow; the watermark of a log not yet read is its negative. */
#define MTF_TIME_LIMIT_MS  (INT64_C(1) << 53)
#define MTF_WATERMARK_NONE (-MTF_TIME_LIMIT_MS)
#define MTF_JUMPS_MAX      80
#define MTF_SCHEMAS_MAX    16
/** Headless until the first record says what time it is. */
#define MTF_HEADLESS_OPEN MTF_TIME_LIMIT_MS

/** A quiet partition's watermark was moved to watermark_ms when `offset` was the next to read. */
typedef struct mtf_jump {
    int64_t offset, watermark_ms;
} mtf_jump;

/** Records of the schema count from the offset on. */
typedef struct mtf_schema_since {
    uint64_t schema;
    int64_t offset;
} mtf_schema_since;

typedef struct mtf_place {
    int64_t next_offset;           /* L */
    int64_t watermark_ms;          /* W */
    int64_t safe_offset;           /* S <= L */
    int64_t safe_watermark_ms;     /* wS <= W */
    int64_t headless_ms;           /* H, MTF_WATERMARK_NONE for none */
    mtf_jump jumps[MTF_JUMPS_MAX]; /* S < offset <= L and wS < watermark <= W, both rising */
    uint32_t jump_count;
    int64_t bad_in_a_row;                      /* dead letters just before L */
    mtf_schema_since schemas[MTF_SCHEMAS_MAX]; /* S <= offset < L, never falling */
    uint32_t schema_count;
} mtf_place;

/** A start without state at `offset`: nothing open, no watermark; headless unless it is 0. */
mtf_place mtf_place_clean(int64_t offset);

/** text holds MTF_METADATA_BYTES_MAX + 1 chars. */
void mtf_place_print(const mtf_place *place, uint64_t function,
                     char text[MTF_METADATA_BYTES_MAX + 1]);
/** Text nobody need trust -> *place and the function hash it was made under. MTF_INVALID says what
 *  is wrong with it; *place is then undefined. */
mtf_status mtf_place_parse(const char *text, mtf_place *place, uint64_t *function,
                           mtf_err *err) MTF_NODISCARD;

#endif
