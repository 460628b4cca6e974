/** Goal: Avro's primitives as its specification writes them, and a reader that no bytes can fool.
 *  Method: the specification's examples, round trips of edges and random values, hostile bytes, and
 *  fingerprints that fastavro computed. */
#include "support/mtf_test.h"

#include "core/avro.h"
#include "core/rng.h"

static mtf_reader reading(const void *data, size_t size)
{
    return mtf_reader_of((mtf_span){data, size});
}

static void longs_are_zigzag_varints(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        size_t size;
        uint8_t wire[10];
    } cases[] = {
        {0, 1, {0}},
        {-1, 1, {1}},
        {1, 1, {2}},
        {-64, 1, {0x7f}},
        {64, 2, {0x80, 0x01}},
        {INT64_MAX, 10, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
        {INT64_MIN, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mtf_buf buf = {0};
        mtf_avro_put_long(&buf, cases[i].value);
        assert_int_equal(buf.size, cases[i].size);
        assert_memory_equal(buf.data, cases[i].wire, cases[i].size);
        mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
        assert_true(mtf_avro_long(&reader) == cases[i].value);
        assert_false(reader.failed);
        mtf_buf_fini(&buf);
    }
}

static void random_longs_come_back(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(1), 0);
    mtf_buf buf = {0};
    for (int i = 0; i < 20000; i++) {
        const int64_t value = (int64_t)(mtf_rng_next(&rng) >> mtf_rng_below(&rng, 64));
        mtf_buf_clear(&buf);
        mtf_avro_put_long(&buf, value);
        mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
        assert_true(mtf_avro_long(&reader) == value);
        assert_true(!reader.failed && mtf_reader_left(&reader) == 0);
    }
    mtf_buf_fini(&buf);
}

static void overlong_and_cut_varints_fail(void **state)
{
    (void)state;
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                     0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t bit_64[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
    static const uint8_t cut[] = {0x80, 0x80};
    mtf_reader reader = reading(eleven, sizeof eleven);
    assert_int_equal(mtf_avro_long(&reader), 0);
    assert_true(reader.failed);
    reader = reading(bit_64, sizeof bit_64);
    mtf_avro_long(&reader);
    assert_true(reader.failed);
    reader = reading(cut, sizeof cut);
    mtf_avro_long(&reader);
    assert_true(reader.failed);
}

static void other_primitives_come_back(void **state)
{
    (void)state;
    mtf_buf buf = {0};
    mtf_avro_put_float(&buf, -1.25f);
    mtf_avro_put_double(&buf, 0.1);
    mtf_avro_put_boolean(&buf, true);
    mtf_avro_put_str(&buf, mtf_str_of("foo"));
    mtf_avro_put_bytes(&buf, NULL, 0);
    const uint8_t text[] = {0x06, 'f', 'o', 'o'}; /* the specification's example */
    assert_memory_equal(buf.data + 13, text, sizeof text);
    mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
    assert_true(mtf_avro_float(&reader) == -1.25f);
    assert_true(mtf_avro_double(&reader) == 0.1);
    assert_true(mtf_avro_boolean(&reader));
    assert_true(mtf_str_is(mtf_avro_str(&reader), "foo"));
    assert_int_equal(mtf_avro_bytes(&reader).size, 0);
    assert_true(!reader.failed && mtf_reader_left(&reader) == 0);
    mtf_buf_fini(&buf);
}

static void lengths_that_lie_fail(void **state)
{
    (void)state;
    static const uint8_t longer[] = {0x08, 'f', 'o', 'o'};
    static const uint8_t negative[] = {0x01, 'f'};
    static const uint8_t huge[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'f'};
    static const uint8_t two[] = {0x02};
    mtf_reader reader = reading(longer, sizeof longer);
    assert_int_equal(mtf_avro_str(&reader).size, 0);
    assert_true(reader.failed);
    reader = reading(negative, sizeof negative);
    assert_null(mtf_avro_bytes(&reader).data);
    assert_true(reader.failed);
    reader = reading(huge, sizeof huge);
    assert_null(mtf_avro_bytes(&reader).data);
    assert_true(reader.failed);
    reader = reading(two, sizeof two);
    mtf_avro_boolean(&reader);
    assert_true(reader.failed);
}

static void float_arrays_are_one_block(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3};
    mtf_buf buf = {0};
    mtf_avro_put_floats(&buf, (mtf_floats){values, 3});
    mtf_avro_put_floats(&buf, (mtf_floats){0});
    assert_int_equal(buf.size, 1 + 12 + 1 + 1);
    mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
    assert_int_equal(mtf_avro_block(&reader, 4), 3);
    for (int i = 1; i <= 3; i++) assert_true(mtf_avro_float(&reader) == (float)i);
    assert_int_equal(mtf_avro_block(&reader, 4), 0);
    assert_int_equal(mtf_avro_block(&reader, 4), 0);
    assert_true(!reader.failed && mtf_reader_left(&reader) == 0);
    mtf_buf_fini(&buf);
}

static void blocks_with_a_byte_size_are_read(void **state)
{
    (void)state;
    static const uint8_t sized[] = {0x03, 0x04, 0x02, 0x04,
                                    0x00}; /* -2 items, 2 bytes: 1, 2; end */
    mtf_reader reader = reading(sized, sizeof sized);
    assert_int_equal(mtf_avro_block(&reader, 1), 2);
    assert_int_equal(mtf_avro_long(&reader), 1);
    assert_int_equal(mtf_avro_long(&reader), 2);
    assert_int_equal(mtf_avro_block(&reader, 1), 0);
    assert_false(reader.failed);
}

static void fails_as_block(const void *data, size_t size, size_t item_bytes_min)
{
    mtf_reader reader = reading(data, size);
    assert_int_equal(mtf_avro_block(&reader, item_bytes_min), 0);
    assert_true(reader.failed);
}

static void hostile_blocks_fail(void **state)
{
    (void)state;
    static const uint8_t most_negative[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 0xff, 0x01, 0x00, 0x00};
    static const uint8_t more_items[] = {0x06, 1, 2};
    static const uint8_t more_bytes[] = {0x01, 0x08, 1, 2};
    static const uint8_t negative_bytes[] = {0x01, 0x01, 1, 2};
    static const uint8_t million_and_one[] = {0x82, 0x89, 0x7a};
    fails_as_block(most_negative, sizeof most_negative, 1);
    fails_as_block(most_negative, sizeof most_negative, 0);
    fails_as_block(more_items, sizeof more_items, 1);
    fails_as_block(more_bytes, sizeof more_bytes, 1);
    fails_as_block(negative_bytes, sizeof negative_bytes, 1);
    fails_as_block(million_and_one, sizeof million_and_one, 0);
    static const uint8_t million[] = {0x80, 0x89, 0x7a};
    mtf_reader reader = reading(million, sizeof million);
    assert_int_equal(mtf_avro_block(&reader, 0), 1000000);
}

static void garbage_never_escapes_its_bytes(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(2), 0);
    for (int round = 0; round < 20000; round++) {
        const size_t size = mtf_rng_below(&rng, 24);
        uint8_t *bytes = malloc(size ? size : 1);
        assert_non_null(bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)mtf_rng_next(&rng);
        mtf_reader reader = reading(bytes, size);
        while (!reader.failed && mtf_reader_left(&reader)) {
            const mtf_span span = mtf_avro_bytes(&reader);
            assert_true(span.size <= size);
            assert_true(mtf_avro_block(&reader, 1) <= size);
        }
        free(bytes);
    }
}

static void fingerprints_are_those_of_fastavro(void **state)
{
    (void)state;
    static const char record[] = "{\"name\":\"t.Pair\",\"type\":\"record\",\"fields\":["
                                 "{\"name\":\"a\",\"type\":\"long\"},{\"name\":\"b\",\"type\":"
                                 "{\"type\":\"array\",\"items\":\"float\"}}]}";
    assert_true(mtf_avro_crc64("", 0) == 0xc15d213aa4d7a795u);
    assert_true(mtf_avro_crc64("\"int\"", 5) == 0x7275d51a3f395c8fu);
    assert_true(mtf_avro_crc64(record, strlen(record)) == 0xea90273b81daa688u);
}

static void frames_carry_the_fingerprint_little_endian(void **state)
{
    (void)state;
    static const uint8_t wire[MTF_AVRO_FRAME_BYTES] = {0xc3, 1, 8, 7, 6, 5, 4, 3, 2, 1};
    mtf_buf buf = {0};
    mtf_avro_put_frame(&buf, 0x0102030405060708u);
    assert_int_equal(buf.size, MTF_AVRO_FRAME_BYTES);
    assert_memory_equal(buf.data, wire, sizeof wire);
    uint64_t fingerprint = 0;
    mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
    assert_true(mtf_avro_frame(&reader, &fingerprint));
    assert_true(fingerprint == 0x0102030405060708u);
    reader = reading(wire, sizeof wire - 1);
    assert_false(mtf_avro_frame(&reader, &fingerprint));
    reader = reading("\0\0\0\0\1rest of it", 15); /* the registry's magic byte and id */
    assert_false(mtf_avro_frame(&reader, &fingerprint));
    mtf_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longs_are_zigzag_varints),
        cmocka_unit_test(random_longs_come_back),
        cmocka_unit_test(overlong_and_cut_varints_fail),
        cmocka_unit_test(other_primitives_come_back),
        cmocka_unit_test(lengths_that_lie_fail),
        cmocka_unit_test(float_arrays_are_one_block),
        cmocka_unit_test(blocks_with_a_byte_size_are_read),
        cmocka_unit_test(hostile_blocks_fail),
        cmocka_unit_test(garbage_never_escapes_its_bytes),
        cmocka_unit_test(fingerprints_are_those_of_fastavro),
        cmocka_unit_test(frames_carry_the_fingerprint_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
