#include "core/arena.h"

#include <stdlib.h>

#define ALIGNMENT         16u
#define FIRST_BLOCK_BYTES (16u << 10)

struct mtf_arena_block {
    mtf_arena_block *next;
    size_t capacity;
    _Alignas(ALIGNMENT) uint8_t data[];
};

void *mtf_arena_take(mtf_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4) return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    mtf_arena_block *block = arena->blocks;
    if (!block || size > block->capacity - arena->used) {
        size_t capacity = block ? 2 * block->capacity : FIRST_BLOCK_BYTES;
        while (capacity < size) capacity *= 2;
        block = malloc(sizeof *block + capacity);
        if (!block) return NULL;
        *block = (mtf_arena_block){arena->blocks, capacity};
        arena->blocks = block;
        arena->used = 0;
    }
    void *at = block->data + arena->used;
    arena->used += size;
    return at;
}

static void free_from(mtf_arena_block *block)
{
    while (block) {
        mtf_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void mtf_arena_reset(mtf_arena *arena)
{
    if (arena->blocks) {
        free_from(arena->blocks->next);
        arena->blocks->next = NULL;
    }
    arena->used = 0;
}

void mtf_arena_fini(mtf_arena *arena)
{
    free_from(arena->blocks);
    *arena = (mtf_arena){0};
}
