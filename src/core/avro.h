/** Avro's binary primitives (Avro 1.11 specification, "Binary Encoding") and single-object framing:
 *  the writer appends to a growing buffer, the reader checks every length against the bytes left.
 */
#ifndef MTF_AVRO_H
#define MTF_AVRO_H

#include "core/bytes.h"

void mtf_avro_put_long(mtf_buf *buf, int64_t value); /* also int, union branch, block count */
void mtf_avro_put_float(mtf_buf *buf, float value);
void mtf_avro_put_double(mtf_buf *buf, double value);
void mtf_avro_put_bytes(mtf_buf *buf, const void *data, size_t size); /* also string */
static inline void mtf_avro_put_str(mtf_buf *buf, mtf_str text)
{
    mtf_avro_put_bytes(buf, text.data, text.size);
}
static inline void mtf_avro_put_boolean(mtf_buf *buf, bool value)
{
    mtf_buf_put_u8(buf, value);
}
/** A whole array<float>: one block (none when empty) and the closing 0. */
void mtf_avro_put_floats(mtf_buf *buf, mtf_floats values);

/** Each sets reader->failed on missing bytes or an overlong varint and returns 0 / empty. */
int64_t mtf_avro_long(mtf_reader *reader);
float mtf_avro_float(mtf_reader *reader);
double mtf_avro_double(mtf_reader *reader);
bool mtf_avro_boolean(mtf_reader *reader);
/** bytes or string, borrowed from the reader's memory. */
mtf_span mtf_avro_bytes(mtf_reader *reader);
mtf_str mtf_avro_str(mtf_reader *reader);
/** The count of the next block of an array or map; 0 at its end. A negative count's byte size is
 *  read and checked. Fails when count * item_bytes_min exceeds the bytes left, or, for items of
 *  no bytes, when count exceeds 1e6. */
uint64_t mtf_avro_block(mtf_reader *reader, size_t item_bytes_min);

#define MTF_AVRO_FRAME_BYTES 10
/** Single-object frame: C3 01 and the little-endian CRC-64-AVRO of the schema's canonical form. */
void mtf_avro_put_frame(mtf_buf *buf, uint64_t fingerprint);
/** Takes the frame off; false (reader failed) when it is not one. */
bool mtf_avro_frame(mtf_reader *reader, uint64_t *fingerprint);
/** CRC-64-AVRO (Rabin) of bytes. */
uint64_t mtf_avro_crc64(const void *data, size_t size);

#endif
