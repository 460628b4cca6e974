/** Borrowed bytes (mtf_span), text (mtf_str) and floats (mtf_floats), a growing byte buffer, and
 *  fixed-width numbers in the byte order the wire or the disk wants. */
#ifndef MTF_BYTES_H
#define MTF_BYTES_H

#include "core/status.h"

#include <string.h>

/** Borrowed bytes; whoever hands one out says how long it lives. */
typedef struct mtf_span {
    const uint8_t *data;
    size_t size;
} mtf_span;

/** Borrowed UTF-8 text, not NUL-terminated. data may be NULL when size is 0. */
typedef struct mtf_str {
    const char *data;
    uint32_t size;
} mtf_str;

/** Borrowed floats. */
typedef struct mtf_floats {
    const float *data;
    uint32_t count;
} mtf_floats;

static inline mtf_str mtf_str_of(const char *text)
{
    return (mtf_str){text, (uint32_t)strlen(text)};
}
static inline bool mtf_str_equal(mtf_str a, mtf_str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
static inline bool mtf_str_is(mtf_str a, const char *text)
{
    return mtf_str_equal(a, mtf_str_of(text));
}
/** memcmp order, the shorter first on a tie. */
int mtf_str_compare(mtf_str a, mtf_str b);

/** A byte buffer that grows. Zeroed memory is a valid empty one. A failed growth sets `failed`
 *  and drops what follows, so that a writer checks once, at its end. */
typedef struct mtf_buf {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} mtf_buf;

void mtf_buf_fini(mtf_buf *buf);
/** Forgets the content, keeps the memory. */
static inline void mtf_buf_clear(mtf_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}
/** Makes room for `more` bytes and returns where they go (size already advanced), or NULL. */
void *mtf_buf_extend(mtf_buf *buf, size_t more);
void mtf_buf_put(mtf_buf *buf, const void *data, size_t size);
static inline void mtf_buf_put_u8(mtf_buf *buf, uint8_t value)
{
    mtf_buf_put(buf, &value, 1);
}
void mtf_buf_put_u32_le(mtf_buf *buf, uint32_t value);
void mtf_buf_put_u64_le(mtf_buf *buf, uint64_t value);
void mtf_buf_put_f32_le(mtf_buf *buf, const float *values, size_t count);
void mtf_buf_printf(mtf_buf *buf, const char *fmt, ...) MTF_PRINTF(2, 3);
static inline mtf_span mtf_buf_span(const mtf_buf *buf)
{
    return (mtf_span){buf->data, buf->size};
}

static inline void mtf_store_u32_be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8),
    p[3] = (uint8_t)v;
}
static inline void mtf_store_u64_be(uint8_t *p, uint64_t v)
{
    mtf_store_u32_be(p, (uint32_t)(v >> 32));
    mtf_store_u32_be(p + 4, (uint32_t)v);
}
static inline uint32_t mtf_load_u32_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t mtf_load_u64_be(const uint8_t *p)
{
    return (uint64_t)mtf_load_u32_be(p) << 32 | mtf_load_u32_be(p + 4);
}
static inline void mtf_store_u32_le(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16),
    p[3] = (uint8_t)(v >> 24);
}
static inline void mtf_store_u64_le(uint8_t *p, uint64_t v)
{
    mtf_store_u32_le(p, (uint32_t)v);
    mtf_store_u32_le(p + 4, (uint32_t)(v >> 32));
}
static inline uint32_t mtf_load_u32_le(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline uint64_t mtf_load_u64_le(const uint8_t *p)
{
    return (uint64_t)mtf_load_u32_le(p + 4) << 32 | mtf_load_u32_le(p);
}

/** count floats from bytes at any address. */
static inline void mtf_load_f32_le(float *values, const uint8_t *p, size_t count)
{
    _Static_assert(sizeof(float) == 4, "IEEE 754 single precision");
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (count) memcpy(values, p, 4 * count);
#else
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = mtf_load_u32_le(p + 4 * i);
        memcpy(&values[i], &bits, 4);
    }
#endif
}

/** A checked reader over borrowed bytes: once anything is missing, `failed` stays set and every
 *  further read gives zeros, so that a decoder checks once, at its end. */
typedef struct mtf_reader {
    const uint8_t *at, *end;
    bool failed;
} mtf_reader;

static inline mtf_reader mtf_reader_of(mtf_span span)
{
    return (mtf_reader){span.data, span.data ? span.data + span.size : NULL, false};
}
static inline size_t mtf_reader_left(const mtf_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}
/** The next `size` bytes, borrowed, or NULL with `failed` set. */
static inline const uint8_t *mtf_reader_take(mtf_reader *reader, size_t size)
{
    if (reader->failed || size > mtf_reader_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}
static inline uint8_t mtf_reader_u8(mtf_reader *reader)
{
    const uint8_t *at = mtf_reader_take(reader, 1);
    return at ? *at : 0;
}
static inline uint32_t mtf_reader_u32_le(mtf_reader *reader)
{
    const uint8_t *at = mtf_reader_take(reader, 4);
    return at ? mtf_load_u32_le(at) : 0;
}
static inline uint64_t mtf_reader_u64_le(mtf_reader *reader)
{
    const uint8_t *at = mtf_reader_take(reader, 8);
    return at ? mtf_load_u64_le(at) : 0;
}
void mtf_reader_f32_le(mtf_reader *reader, float *values, size_t count);

/** Lower-case hex of `size` bytes into text, which holds 2 * size + 1 chars. */
void mtf_hex(char *text, const uint8_t *data, size_t size);

#endif
