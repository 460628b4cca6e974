/** What fuzz targets share: libFuzzer's entry, and an input as text. */
#ifndef MTF_TESTS_FUZZ_H
#define MTF_TESTS_FUZZ_H

#include "core/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A NUL-terminated copy in a block of its own, so that a sanitizer sees a read past it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    MTF_ASSERT(text);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/** Bytes that are the same. */
static inline void fuzz_same(const mtf_buf *a, const mtf_buf *b)
{
    MTF_ASSERT(!a->failed && !b->failed);
    MTF_ASSERT(a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0));
}

#endif
