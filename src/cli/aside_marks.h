/** A set of places in a topic, and its text in the records that mark them as done. */
#ifndef MTF_CLI_ASIDE_MARKS_H
#define MTF_CLI_ASIDE_MARKS_H

#include "core/bytes.h"

/** The header that tells such a record from all others; its value is the format's version, "1". */
#define ASIDE_MARK_HEADER "__mtf.errors.replayed"

typedef struct aside_mark {
    int32_t partition;
    int64_t offset;
} aside_mark;

/** 16 bytes a place. Zeroed memory is a valid empty set. */
typedef struct aside_marks {
    aside_mark *data;
    size_t count, capacity;
    bool sorted;
} aside_marks;

void aside_marks_fini(aside_marks *marks);
mtf_status aside_marks_add(aside_marks *marks, int32_t partition, int64_t offset,
                           mtf_err *err) MTF_NODISCARD;
/** By partition and offset; has() wants it sorted. */
void aside_marks_sort(aside_marks *marks);
bool aside_marks_has(const aside_marks *marks, int32_t partition, int64_t offset);

/** Appends places [*at, ...) of sorted marks that are of one partition, as
 *  "<partition> <offset>[-<offset>] ...", one at least and then about `bytes_max`, and moves *at
 *  past them. */
void aside_marks_print(const aside_marks *marks, size_t *at, size_t bytes_max, mtf_buf *out);
/** Adds what aside_marks_print wrote. MTF_CORRUPT: it did not write this. */
mtf_status aside_marks_parse(aside_marks *marks, mtf_span text, mtf_err *err) MTF_NODISCARD;

#endif
