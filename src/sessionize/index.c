#include "sessionize/index.h"

#include "core/hash.h"

/** Up to so many a scan is quicker. */
#define SCAN_MAX 16u

static mtf_str name_at(const void *array, size_t stride, uint32_t place)
{
    return *(const mtf_str *)(const void *)((const char *)array + stride * place);
}

/** The slot of a name, or the free one where it would go. */
static uint32_t *slot_of(const mtf_index *index, const void *array, size_t stride, mtf_str name)
{
    const uint32_t mask = index->slot_count - 1;
    uint32_t at = (uint32_t)mtf_hash64(name.data, name.size) & mask;
    while (index->slots[at] && !mtf_str_equal(name_at(array, stride, index->slots[at] - 1), name))
        at = (at + 1) & mask;
    return &index->slots[at];
}

/** Room for `count` names, at most half full. */
static bool reserve(mtf_index *index, mtf_arena *arena, uint32_t count)
{
    if (index->slot_count / 2 >= count) return true;
    uint32_t slot_count = 8 * SCAN_MAX;
    while (slot_count / 2 < count) slot_count *= 2;
    index->slots = mtf_arena_take(arena, sizeof *index->slots * slot_count);
    if (!index->slots) return false;
    memset(index->slots, 0, sizeof *index->slots * slot_count);
    index->slot_count = slot_count;
    index->indexed = 0;
    return true;
}

uint32_t mtf_index_find(mtf_index *index, mtf_arena *arena, const void *array, size_t stride,
                        uint32_t count, mtf_str name)
{
    if (count <= SCAN_MAX) {
        uint32_t place = 0;
        while (place < count && !mtf_str_equal(name_at(array, stride, place), name)) place++;
        return place;
    }
    if (!reserve(index, arena, count)) return MTF_INDEX_FAILED;
    for (; index->indexed < count; index->indexed++) {
        uint32_t *slot = slot_of(index, array, stride, name_at(array, stride, index->indexed));
        if (!*slot) *slot = index->indexed + 1; /* of two alike the first counts */
    }
    const uint32_t found = *slot_of(index, array, stride, name);
    return found ? found - 1 : count;
}
