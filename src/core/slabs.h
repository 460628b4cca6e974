/** Memory for many things that come and go in any order: pieces of any size, next to no bytes
 *  beside them, all of it given back at once at the end.
 *
 *    chunk, 2 MiB, a huge page:        | slab | slab | slab | ...
 *    slab, 64 KiB, pieces of one size: | head | piece | piece | ...
 *
 *  A slab whose pieces have all been given back serves any other size. Chunks stay until fini; the
 *  first is of small pages, so that little takes little. Zeroed memory is a valid empty one. Not
 *  thread-safe. */
#ifndef MTF_SLABS_H
#define MTF_SLABS_H

#include "core/status.h"

#define MTF_SLAB_CLASSES   112
#define MTF_SLAB_PIECE_MAX 4096u /* bytes; larger ones are the heap's own */

typedef struct mtf_slab mtf_slab;
typedef struct mtf_slab_chunk mtf_slab_chunk;
typedef struct mtf_slab_large mtf_slab_large;

typedef struct mtf_slabs {
    mtf_slab *partial[MTF_SLAB_CLASSES]; /* slabs with room, by the size of their pieces */
    mtf_slab *empty;                     /* slabs without pieces */
    mtf_slab_chunk *chunks;              /* newest first */
    size_t chunk_count;
    mtf_slab_large *larges;
} mtf_slabs;

/** `size` bytes aligned to 16, uninitialised; NULL when there is no memory. size may be 0. */
void *mtf_slabs_take(mtf_slabs *slabs, size_t size);
/** Gives a piece back; of its size only counts whether it is over MTF_SLAB_PIECE_MAX. Takes NULL.
 */
void mtf_slabs_give(mtf_slabs *slabs, void *piece, size_t size);
/** Frees every piece. */
void mtf_slabs_fini(mtf_slabs *slabs);

#endif
