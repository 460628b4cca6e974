/** Memory that is taken in small pieces and given back all at once: one decoded record or batch.
 *  Zeroed memory is a valid empty arena. Not thread-safe; one per thread. */
#ifndef MTF_ARENA_H
#define MTF_ARENA_H

#include "core/status.h"

typedef struct mtf_arena_block mtf_arena_block;

typedef struct mtf_arena {
    mtf_arena_block *blocks; /* newest first; the newest is the largest */
    size_t used;             /* of the newest block */
} mtf_arena;

/** `size` bytes aligned to 16, uninitialised, valid until reset or fini; NULL when the heap is
 *  exhausted. size may be 0. */
void *mtf_arena_take(mtf_arena *arena, size_t size);
/** Forgets everything taken; keeps the largest block. */
void mtf_arena_reset(mtf_arena *arena);
void mtf_arena_fini(mtf_arena *arena);

#endif
