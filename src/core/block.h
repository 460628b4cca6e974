/** Large blocks of memory. */
#ifndef MTF_CORE_BLOCK_H
#define MTF_CORE_BLOCK_H

#include <stddef.h>

/** `bytes` on a cache line, from 2 MiB on in huge pages where the system has any: a pass over them
 *  needs few translations then. For free(); NULL: no memory. */
void *mtf_block_new(size_t bytes);

#endif
