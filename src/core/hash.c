#include "core/hash.h"

#define XXH_INLINE_ALL /* the state lives on our stack, and small keys hash faster */
#include <xxhash.h>

uint64_t mtf_hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

void mtf_hash128(uint8_t out[16], const mtf_str *parts, size_t count)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        uint8_t length[4];
        mtf_store_u32_le(length, parts[i].size);
        XXH3_128bits_update(&state, length, sizeof length);
        XXH3_128bits_update(&state, parts[i].data, parts[i].size);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(out, canonical.digest, 16);
}
