#include "core/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(float) == 4, "floats on disk and on the wire are IEEE 754 binary32");

int mtf_str_compare(mtf_str a, mtf_str b)
{
    const uint32_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

void mtf_buf_fini(mtf_buf *buf)
{
    free(buf->data);
    *buf = (mtf_buf){0};
}

void *mtf_buf_extend(mtf_buf *buf, size_t more)
{
    if (buf->failed) return NULL;
    if (more > buf->capacity - buf->size) {
        size_t capacity = buf->capacity ? buf->capacity : 256;
        while (capacity - buf->size < more) {
            if (capacity > SIZE_MAX / 2) {
                buf->failed = true;
                return NULL;
            }
            capacity *= 2;
        }
        uint8_t *data = realloc(buf->data, capacity);
        if (!data) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    void *at = buf->data + buf->size;
    buf->size += more;
    return at;
}

void mtf_buf_put(mtf_buf *buf, const void *data, size_t size)
{
    if (size == 0) return;
    void *at = mtf_buf_extend(buf, size);
    if (at) memcpy(at, data, size);
}

void mtf_buf_put_u32_le(mtf_buf *buf, uint32_t value)
{
    uint8_t *at = mtf_buf_extend(buf, 4);
    if (at) mtf_store_u32_le(at, value);
}

void mtf_buf_put_u64_le(mtf_buf *buf, uint64_t value)
{
    uint8_t *at = mtf_buf_extend(buf, 8);
    if (at) mtf_store_u64_le(at, value);
}

void mtf_buf_put_f32_le(mtf_buf *buf, const float *values, size_t count)
{
    uint8_t *at = mtf_buf_extend(buf, 4 * count);
    if (!at) return;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (count) memcpy(at, values, 4 * count);
#else
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        mtf_store_u32_le(at + 4 * i, bits);
    }
#endif
}

void mtf_buf_printf(mtf_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size < 0) {
        buf->failed = true;
    } else {
        char *at = mtf_buf_extend(buf, (size_t)size + 1);
        if (at) {
            vsnprintf(at, (size_t)size + 1, fmt, again);
            buf->size--; /* the NUL is there, but not counted */
        }
    }
    va_end(again);
}

void mtf_reader_f32_le(mtf_reader *reader, float *values, size_t count)
{
    const uint8_t *at =
        count <= mtf_reader_left(reader) / 4 ? mtf_reader_take(reader, 4 * count) : NULL;
    if (at) {
        mtf_load_f32_le(values, at, count);
        return;
    }
    reader->failed = true;
    for (size_t i = 0; i < count; i++) values[i] = 0;
}

void mtf_hex(char *text, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * size] = '\0';
}
