/** XXH3 hashes with the length prefixes that make joined fields unambiguous. */
#ifndef MTF_HASH_H
#define MTF_HASH_H

#include "core/bytes.h"

/** XXH3-64 of the bytes, seed 0. The hash of a user id everywhere (sampling, held-out split). */
uint64_t mtf_hash64(const void *data, size_t size);

/** XXH3-128 of (u32-le length, bytes) of each part in turn, canonical (big-endian) bytes. */
void mtf_hash128(uint8_t out[16], const mtf_str *parts, size_t count);

#endif
