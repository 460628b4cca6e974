#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#include "core/slabs.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SLAB_BYTES     (64u << 10)
#define CHUNK_BYTES    (2u << 20)
#define FINE_BYTES_MAX 1024u /* up to here pieces' sizes are 16 apart, then 64 */

_Static_assert(FINE_BYTES_MAX / 16 + (MTF_SLAB_PIECE_MAX - FINE_BYTES_MAX) / 64 == MTF_SLAB_CLASSES,
               "a class for each size");

/* Whoever uses a piece that was given back is found out by the sanitizer, as on the heap. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#define HIDE(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SHOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define HIDE(at, size) ((void)(at), (void)(size))
#define SHOW(at, size) ((void)(at), (void)(size))
#endif

/** A piece that was given back. */
typedef struct given {
    struct given *next;
} given;

/** The head of a slab; a slab begins at a multiple of its size. */
struct mtf_slab {
    mtf_slab *next, *previous; /* of the list it is on; of the empty ones only next */
    given *given;
    uint32_t class, piece_bytes;
    uint32_t used;  /* bytes up to which pieces have been taken since it was empty */
    uint32_t taken; /* pieces that are out */
};
#define HEAD_BYTES 64u
_Static_assert(sizeof(mtf_slab) <= HEAD_BYTES, "pieces begin behind the head, aligned");

struct mtf_slab_chunk {
    mtf_slab_chunk *older;
    uint8_t *data;
    uint32_t used; /* bytes made into slabs */
};

/** Stands before a piece that is the heap's own. */
struct mtf_slab_large {
    mtf_slab_large *next, *previous;
};
_Static_assert(sizeof(mtf_slab_large) % 16 == 0, "the piece behind it is aligned");

/** CHUNK_BYTES of fresh memory, aligned to them. */
static uint8_t *map_chunk(bool huge)
{
    uint8_t *mapped =
        mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    const size_t before = (size_t)(0 - (uintptr_t)mapped) & (CHUNK_BYTES - 1);
    if (before) munmap(mapped, before);
    munmap(mapped + before + CHUNK_BYTES, CHUNK_BYTES - before);
    if (huge) (void)madvise(mapped + before, CHUNK_BYTES, MADV_HUGEPAGE); /* if there are any */
    return mapped + before;
}

static mtf_slab *new_slab(mtf_slabs *slabs)
{
    mtf_slab *slab = slabs->empty;
    if (slab) {
        slabs->empty = slab->next;
        return slab;
    }
    mtf_slab_chunk *chunk = slabs->chunks;
    if (!chunk || chunk->used == CHUNK_BYTES) {
        chunk = malloc(sizeof *chunk);
        if (!chunk) return NULL;
        *chunk = (mtf_slab_chunk){.older = slabs->chunks, .data = map_chunk(slabs->chunks != NULL)};
        if (!chunk->data) {
            free(chunk);
            return NULL;
        }
        slabs->chunks = chunk;
        slabs->chunk_count++;
    }
    slab = (mtf_slab *)(void *)(chunk->data + chunk->used);
    chunk->used += SLAB_BYTES;
    return slab;
}

static void link_slab(mtf_slabs *slabs, mtf_slab *slab)
{
    mtf_slab **list = &slabs->partial[slab->class];
    slab->next = *list;
    slab->previous = NULL;
    if (*list) (*list)->previous = slab;
    *list = slab;
}

static void unlink_slab(mtf_slabs *slabs, mtf_slab *slab)
{
    *(slab->previous ? &slab->previous->next : &slabs->partial[slab->class]) = slab->next;
    if (slab->next) slab->next->previous = slab->previous;
}

static bool has_room(const mtf_slab *slab)
{
    return slab->given || slab->used + slab->piece_bytes <= SLAB_BYTES;
}

static void *take_large(mtf_slabs *slabs, size_t size)
{
    mtf_slab_large *large = size < SIZE_MAX / 2 ? malloc(sizeof *large + size) : NULL;
    if (!large) return NULL;
    *large = (mtf_slab_large){.next = slabs->larges};
    if (slabs->larges) slabs->larges->previous = large;
    slabs->larges = large;
    return large + 1;
}

static void give_large(mtf_slabs *slabs, void *piece)
{
    mtf_slab_large *large = (mtf_slab_large *)piece - 1;
    *(large->previous ? &large->previous->next : &slabs->larges) = large->next;
    if (large->next) large->next->previous = large->previous;
    free(large);
}

void *mtf_slabs_take(mtf_slabs *slabs, size_t size)
{
    if (size > MTF_SLAB_PIECE_MAX) return take_large(slabs, size);
    if (size == 0) size = 1;
    const bool fine = size <= FINE_BYTES_MAX;
    const uint32_t step = fine ? 16 : 64;
    const uint32_t piece_bytes = ((uint32_t)size + step - 1) & ~(step - 1);
    const uint32_t class =
        fine ? piece_bytes / 16 - 1 : FINE_BYTES_MAX / 16 + (piece_bytes - FINE_BYTES_MAX) / 64 - 1;
    mtf_slab *slab = slabs->partial[class];
    if (!slab) {
        slab = new_slab(slabs);
        if (!slab) return NULL;
        *slab = (mtf_slab){.class = class, .piece_bytes = piece_bytes, .used = HEAD_BYTES};
        link_slab(slabs, slab);
    }
    uint8_t *piece = (uint8_t *)slab->given;
    if (piece) {
        SHOW(piece, piece_bytes);
        slab->given = slab->given->next;
    } else {
        piece = (uint8_t *)slab + slab->used;
        slab->used += piece_bytes;
        SHOW(piece, piece_bytes);
    }
    slab->taken++;
    if (!has_room(slab)) unlink_slab(slabs, slab);
    HIDE(piece + size, piece_bytes - size);
    return piece;
}

void mtf_slabs_give(mtf_slabs *slabs, void *piece, size_t size)
{
    if (!piece) return;
    if (size > MTF_SLAB_PIECE_MAX) {
        give_large(slabs, piece);
        return;
    }
    const size_t at = (uintptr_t)piece & (SLAB_BYTES - 1);
    mtf_slab *slab = (mtf_slab *)(void *)((uint8_t *)piece - at);
    MTF_ASSERT(slab->taken > 0);
    if (!has_room(slab)) link_slab(slabs, slab);
    SHOW(piece, slab->piece_bytes);
    ((given *)piece)->next = slab->given;
    slab->given = piece;
    HIDE(piece, slab->piece_bytes);
    if (--slab->taken > 0) return;
    unlink_slab(slabs, slab);
    slab->next = slabs->empty;
    slabs->empty = slab;
}

void mtf_slabs_fini(mtf_slabs *slabs)
{
    while (slabs->larges) give_large(slabs, slabs->larges + 1);
    while (slabs->chunks) {
        mtf_slab_chunk *chunk = slabs->chunks;
        slabs->chunks = chunk->older;
        SHOW(chunk->data, CHUNK_BYTES);
        munmap(chunk->data, CHUNK_BYTES);
        free(chunk);
    }
    *slabs = (mtf_slabs){0};
}
