#include "sessionize/open_set.h"

#include "core/block.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS_MIN 64u
#define HEAP_MIN   64u
#define CHILDREN   4u /* of a place in the heap: they stand within two cache lines */

void mtf_open_set_fini(mtf_open_set *set, mtf_keeper *keeper)
{
    for (size_t i = 0; i < set->count; i++) mtf_activity_free(set->heap[i].activity, keeper);
    free(set->chains);
    free(set->heap);
    *set = (mtf_open_set){0};
}

static bool sooner(const mtf_open_end *a, const mtf_open_end *b)
{
    if (a->end_ms != b->end_ms) return a->end_ms < b->end_ms;
    return a->activity->first_offset < b->activity->first_offset;
}

static void heap_put(mtf_open_set *set, size_t at, mtf_open_end end)
{
    set->heap[at] = end;
    end.activity->heap_index = at;
}

static void heap_up(mtf_open_set *set, size_t at, mtf_open_end end)
{
    while (at > 0 && sooner(&end, &set->heap[(at - 1) / CHILDREN])) {
        heap_put(set, at, set->heap[(at - 1) / CHILDREN]);
        at = (at - 1) / CHILDREN;
    }
    heap_put(set, at, end);
}

static void heap_down(mtf_open_set *set, size_t at, mtf_open_end end)
{
    for (size_t child = CHILDREN * at + 1; child < set->count; child = CHILDREN * at + 1) {
        const size_t last = child + CHILDREN < set->count ? child + CHILDREN : set->count;
        for (size_t other = child + 1; other < last; other++)
            if (sooner(&set->heap[other], &set->heap[child])) child = other;
        if (!sooner(&set->heap[child], &end)) break;
        heap_put(set, at, set->heap[child]);
        at = child;
    }
    heap_put(set, at, end);
}

static mtf_activity **chain_of(const mtf_open_set *set, uint64_t hash)
{
    return &set->chains[hash & (set->chain_count - 1)];
}

/** Keeps the table at most half full: a neighbour in the chain is a cache miss. */
static bool chains_grow(mtf_open_set *set)
{
    if (2 * set->count < set->chain_count) return true;
    mtf_open_set grown = *set;
    grown.chain_count = set->chain_count ? 2 * set->chain_count : CHAINS_MIN;
    grown.chains = mtf_block_new(grown.chain_count * sizeof(mtf_activity *));
    if (!grown.chains) return false;
    memset(grown.chains, 0, grown.chain_count * sizeof(mtf_activity *));
    for (mtf_activity *a = set->oldest; a; a = a->newer) {
        mtf_activity **chain = chain_of(&grown, a->hash);
        a->chain = *chain;
        *chain = a;
    }
    free(set->chains);
    *set = grown;
    return true;
}

static bool heap_grow(mtf_open_set *set)
{
    if (set->count < set->heap_capacity) return true;
    const size_t capacity = set->heap_capacity ? 2 * set->heap_capacity : HEAP_MIN;
    mtf_open_end *heap = mtf_block_new(sizeof *heap * capacity);
    if (!heap) return false;
    if (set->count) memcpy(heap, set->heap, sizeof *heap * set->count);
    free(set->heap);
    set->heap = heap;
    set->heap_capacity = capacity;
    return true;
}

mtf_status mtf_open_set_add(mtf_open_set *set, mtf_activity *activity, mtf_err *err)
{
    MTF_ASSERT(!set->newest || set->newest->first_offset < activity->first_offset);
    if (!chains_grow(set) || !heap_grow(set))
        return mtf_fail(err, MTF_NOMEM, "no memory for open session %zu", set->count);
    mtf_activity **chain = chain_of(set, activity->hash);
    activity->chain = *chain;
    *chain = activity;

    activity->older = set->newest;
    activity->newer = NULL;
    *(set->newest ? &set->newest->newer : &set->oldest) = activity;
    set->newest = activity;

    set->count++;
    heap_up(set, set->count - 1, (mtf_open_end){activity->end_ms, activity});
    return MTF_OK;
}

void mtf_open_set_remove(mtf_open_set *set, mtf_activity *activity)
{
    mtf_activity **link = chain_of(set, activity->hash);
    while (*link != activity) link = &(*link)->chain;
    *link = activity->chain;

    *(activity->older ? &activity->older->newer : &set->oldest) = activity->newer;
    *(activity->newer ? &activity->newer->older : &set->newest) = activity->older;

    const size_t at = activity->heap_index;
    const mtf_open_end last = set->heap[--set->count];
    if (last.activity == activity) return;
    if (at > 0 && sooner(&last, &set->heap[(at - 1) / CHILDREN]))
        heap_up(set, at, last);
    else
        heap_down(set, at, last);
}

static void prefetch(const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)from + at);
}

void mtf_open_set_prefetch_chain(const mtf_open_set *set, uint64_t hash)
{
    if (set->chain_count) __builtin_prefetch(chain_of(set, hash));
}

void mtf_open_set_prefetch_first(const mtf_open_set *set, uint64_t hash)
{
    const mtf_activity *first = mtf_open_set_chain(set, hash);
    if (first) prefetch(first, sizeof *first);
}

void mtf_open_set_prefetch_records(const mtf_open_set *set, uint64_t hash)
{
    const mtf_activity *first = mtf_open_set_chain(set, hash);
    if (!first || !first->records.capacity) return;
    /* The tags are scanned; behind the last of the pieces goes the next. */
    prefetch(first->records.pieces + first->records.count, sizeof(uint8_t *));
    prefetch(first->records.tags, sizeof *first->records.tags * (first->records.count + 1));
}

mtf_activity *mtf_open_set_chain(const mtf_open_set *set, uint64_t hash)
{
    return set->chain_count ? *chain_of(set, hash) : NULL;
}

mtf_activity *mtf_open_set_before(mtf_open_set *set, int64_t limit_ms)
{
    while (set->count && set->heap[0].end_ms < limit_ms) {
        mtf_open_end top = set->heap[0];
        if (top.end_ms == top.activity->end_ms) return top.activity;
        top.end_ms = top.activity->end_ms;
        heap_down(set, 0, top);
    }
    return NULL;
}
