/** Where a name stands in an array that grows at its end: a scan while it is short, a hash table
 *  beyond. So no content makes emission take longer than in proportion to its size. */
#ifndef MTF_SESSIONIZE_INDEX_H
#define MTF_SESSIONIZE_INDEX_H

#include "core/arena.h"
#include "core/bytes.h"

/** Zeroed memory is a valid empty one. One index, one array. */
typedef struct mtf_index {
    uint32_t *slots; /* place + 1, in the arena */
    uint32_t slot_count, indexed;
} mtf_index;

/** No memory. */
#define MTF_INDEX_FAILED UINT32_MAX

/** The first of `count` elements, `stride` bytes apart, each beginning with its name (an mtf_str),
 *  that has this name; count when none has. Between calls elements may only be appended. */
uint32_t mtf_index_find(mtf_index *index, mtf_arena *arena, const void *array, size_t stride,
                        uint32_t count, mtf_str name);

#endif
