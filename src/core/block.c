#define _DEFAULT_SOURCE /* madvise */
#include "core/block.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)
#define LINE       64

void *mtf_block_new(size_t bytes)
{
    const size_t unit = bytes < HUGE_BYTES ? LINE : HUGE_BYTES;
    const size_t whole = (bytes / unit + 1) * unit;
    void *block = aligned_alloc(unit, whole);
#ifdef MADV_HUGEPAGE
    if (block && unit == HUGE_BYTES) madvise(block, whole, MADV_HUGEPAGE); /* advice: may fail */
#endif
    return block;
}
