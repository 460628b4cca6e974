/** Records that cannot go on: to the late or the dead-letter topic, bytes unchanged, with headers
 *  that say where they came from and why they are here; and those headers read back. */
#ifndef MTF_ASIDE_H
#define MTF_ASIDE_H

#include "core/pipe.h"

/** The longest key written; a longer user id makes an event invalid. */
#define MTF_KEY_BYTES_MAX 4096

/** Every header of ours begins so. */
#define MTF_ERRORS_PREFIX "__mtf.errors."

/** Puts the message to `topic` under __mtf.errors.{topic, partition, offset, timestamp, stage,
 *  reason, message}. A value that the sink can never take is cut, and a key over MTF_KEY_BYTES_MAX;
 *  then __mtf.errors.original_bytes says how long the value was. A value with a size and no data is
 *  one that is not at hand: cut to nothing. */
mtf_status mtf_set_aside(mtf_sink *sink, const char *topic, const mtf_message *message,
                         const char *stage, const char *reason, const char *words,
                         mtf_err *err) MTF_NODISCARD;

/** What the headers of a record that was set aside say. Text is borrowed from them. */
typedef struct mtf_origin {
    mtf_str topic, stage, reason, words;
    int32_t partition;
    int64_t offset, timestamp_ms;
    int64_t original_bytes; /* of a value that was cut; -1: it is whole */
} mtf_origin;

/** False when the record is not one of ours: a header is missing, or is no number where one must
 *  be. */
bool mtf_origin_read(const mtf_header *headers, size_t count, mtf_origin *origin);

#endif
