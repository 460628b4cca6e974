#include "core/avro.h"

#define BARE_ITEMS_MAX 1000000u /* of items that take no bytes, such as null */

void mtf_avro_put_long(mtf_buf *buf, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    uint8_t bytes[10];
    size_t size = 0;
    while (zigzag > 0x7f) {
        bytes[size++] = (uint8_t)(zigzag | 0x80);
        zigzag >>= 7;
    }
    bytes[size++] = (uint8_t)zigzag;
    mtf_buf_put(buf, bytes, size);
}

void mtf_avro_put_float(mtf_buf *buf, float value)
{
    mtf_buf_put_f32_le(buf, &value, 1);
}

void mtf_avro_put_double(mtf_buf *buf, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    mtf_buf_put_u64_le(buf, bits);
}

void mtf_avro_put_bytes(mtf_buf *buf, const void *data, size_t size)
{
    mtf_avro_put_long(buf, (int64_t)size);
    mtf_buf_put(buf, data, size);
}

void mtf_avro_put_floats(mtf_buf *buf, mtf_floats values)
{
    if (values.count) {
        mtf_avro_put_long(buf, values.count);
        mtf_buf_put_f32_le(buf, values.data, values.count);
    }
    mtf_avro_put_long(buf, 0);
}

int64_t mtf_avro_long(mtf_reader *reader)
{
    uint64_t zigzag = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t byte = mtf_reader_u8(reader);
        if (reader->failed) return 0;
        if (shift == 63 && byte > 1) break; /* more than 64 bits */
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    }
    reader->failed = true;
    return 0;
}

float mtf_avro_float(mtf_reader *reader)
{
    float value;
    mtf_reader_f32_le(reader, &value, 1);
    return value;
}

double mtf_avro_double(mtf_reader *reader)
{
    const uint64_t bits = mtf_reader_u64_le(reader);
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

bool mtf_avro_boolean(mtf_reader *reader)
{
    const uint8_t byte = mtf_reader_u8(reader);
    if (byte > 1) reader->failed = true;
    return byte == 1;
}

mtf_span mtf_avro_bytes(mtf_reader *reader)
{
    const int64_t size = mtf_avro_long(reader);
    if (size < 0) reader->failed = true;
    const uint8_t *data = reader->failed ? NULL : mtf_reader_take(reader, (size_t)size);
    return data ? (mtf_span){data, (size_t)size} : (mtf_span){0};
}

mtf_str mtf_avro_str(mtf_reader *reader)
{
    const mtf_span bytes = mtf_avro_bytes(reader);
    if (bytes.size > UINT32_MAX) {
        reader->failed = true;
        return (mtf_str){0};
    }
    return (mtf_str){(const char *)bytes.data, (uint32_t)bytes.size};
}

uint64_t mtf_avro_block(mtf_reader *reader, size_t item_bytes_min)
{
    const int64_t count = mtf_avro_long(reader);
    if (reader->failed || count == 0) return 0;
    if (count < 0) {
        const int64_t bytes = mtf_avro_long(reader);
        if (bytes < 0 || (uint64_t)bytes > mtf_reader_left(reader)) reader->failed = true;
    }
    const uint64_t items = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    const uint64_t items_max =
        item_bytes_min ? mtf_reader_left(reader) / item_bytes_min : BARE_ITEMS_MAX;
    if (items > items_max) reader->failed = true;
    return reader->failed ? 0 : items;
}

void mtf_avro_put_frame(mtf_buf *buf, uint64_t fingerprint)
{
    mtf_buf_put_u8(buf, 0xc3);
    mtf_buf_put_u8(buf, 0x01);
    mtf_buf_put_u64_le(buf, fingerprint);
}

bool mtf_avro_frame(mtf_reader *reader, uint64_t *fingerprint)
{
    const uint8_t first = mtf_reader_u8(reader), second = mtf_reader_u8(reader);
    if (first != 0xc3 || second != 0x01) reader->failed = true;
    *fingerprint = mtf_reader_u64_le(reader);
    return !reader->failed;
}

uint64_t mtf_avro_crc64(const void *data, size_t size)
{
    const uint64_t empty = 0xc15d213aa4d7a795u;
    const uint8_t *bytes = data;
    uint64_t crc = empty;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (empty & (0 - (crc & 1)));
    }
    return crc;
}
