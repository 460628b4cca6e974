/** Goal: text, buffer and reader do what their header says, and a reader never reads past its end.
 *  Method: round trips, then every truncation of what was written. */
#include "support/mtf_test.h"

static void text_compares_as_bytes_then_by_length(void **state)
{
    (void)state;
    assert_true(mtf_str_compare(mtf_str_of("a"), mtf_str_of("b")) < 0);
    assert_true(mtf_str_compare(mtf_str_of("ab"), mtf_str_of("a")) > 0);
    assert_true(mtf_str_compare(mtf_str_of("\xff"), mtf_str_of("a")) > 0);
    assert_int_equal(mtf_str_compare((mtf_str){0}, mtf_str_of("")), 0);
    assert_true(mtf_str_is(mtf_str_of("abc"), "abc"));
    assert_false(mtf_str_is(mtf_str_of("abc"), "abcd"));
    assert_true(mtf_str_equal((mtf_str){0}, mtf_str_of("")));
}

static void put_everything(mtf_buf *buf)
{
    const float floats[] = {1.5f, -0.0f, 3e-40f, INFINITY};
    mtf_buf_put_u8(buf, 0xab);
    mtf_buf_put_u32_le(buf, 0x01020304u);
    mtf_buf_put_u64_le(buf, 0x0102030405060708u);
    mtf_buf_put_f32_le(buf, floats, 4);
    mtf_buf_put(buf, "tail", 4);
}

static void reader_gives_back_what_the_buffer_took(void **state)
{
    (void)state;
    mtf_buf buf = {0};
    put_everything(&buf);
    assert_false(buf.failed);
    const uint8_t wire[] = {0xab, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0xc0, 0x3f};
    assert_memory_equal(buf.data, wire, sizeof wire);
    mtf_reader reader = mtf_reader_of(mtf_buf_span(&buf));
    float floats[4];
    assert_int_equal(mtf_reader_u8(&reader), 0xab);
    assert_int_equal(mtf_reader_u32_le(&reader), 0x01020304u);
    assert_int_equal(mtf_reader_u64_le(&reader), 0x0102030405060708u);
    mtf_reader_f32_le(&reader, floats, 4);
    assert_true(floats[0] == 1.5f && signbit(floats[1]) && floats[2] == 3e-40f && isinf(floats[3]));
    assert_memory_equal(mtf_reader_take(&reader, 4), "tail", 4);
    assert_int_equal(mtf_reader_left(&reader), 0);
    assert_false(reader.failed);
    mtf_buf_fini(&buf);
}

static void every_truncation_fails_once_and_for_all(void **state)
{
    (void)state;
    mtf_buf buf = {0};
    put_everything(&buf);
    for (size_t size = 0; size < buf.size; size++) {
        /* A block of exactly the size, so that a sanitizer sees a read past its end. */
        uint8_t *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, buf.data, size);
        mtf_reader reader = mtf_reader_of((mtf_span){exact, size});
        float floats[4] = {9, 9, 9, 9};
        mtf_reader_u8(&reader);
        mtf_reader_u32_le(&reader);
        mtf_reader_u64_le(&reader);
        mtf_reader_f32_le(&reader, floats, 4);
        mtf_reader_take(&reader, 4);
        assert_true(reader.failed);
        assert_int_equal(mtf_reader_u8(&reader), 0);
        assert_null(mtf_reader_take(&reader, 0));
        free(exact);
    }
    mtf_buf_fini(&buf);
}

static void missing_floats_are_zeros(void **state)
{
    (void)state;
    const uint8_t bytes[7] = {1, 2, 3, 4, 5, 6, 7};
    float floats[2] = {9, 9};
    mtf_reader reader = mtf_reader_of((mtf_span){bytes, sizeof bytes});
    mtf_reader_f32_le(&reader, floats, 2);
    assert_true(reader.failed);
    assert_true(floats[0] == 0 && floats[1] == 0);
}

static void an_absurd_size_fails_and_drops_what_follows(void **state)
{
    (void)state;
    mtf_buf buf = {0};
    mtf_buf_put(&buf, "kept", 4);
    assert_null(mtf_buf_extend(&buf, SIZE_MAX / 2 + 2));
    assert_true(buf.failed);
    mtf_buf_put(&buf, "dropped", 7);
    assert_int_equal(buf.size, 4);
    mtf_buf_clear(&buf);
    mtf_buf_put(&buf, "new", 3);
    assert_false(buf.failed);
    assert_memory_equal(buf.data, "new", 3);
    mtf_buf_fini(&buf);
    assert_null(buf.data);
}

static void printf_appends_without_its_nul(void **state)
{
    (void)state;
    mtf_buf buf = {0};
    for (int i = 0; i < 1000; i++) mtf_buf_printf(&buf, "%d,", i % 10);
    assert_int_equal(buf.size, 2000);
    assert_memory_equal(buf.data + 1996, "8,9,", 4);
    mtf_buf_fini(&buf);
}

static void big_endian_stores_sort_as_numbers(void **state)
{
    (void)state;
    uint8_t small[8], large[8];
    mtf_store_u64_be(small, 0xff);
    mtf_store_u64_be(large, 0x0100000000000000u);
    assert_true(memcmp(small, large, 8) < 0);
    assert_int_equal(mtf_load_u64_be(large), 0x0100000000000000u);
    mtf_store_u64_le(small, 0x1122334455667788u);
    assert_int_equal(small[0], 0x88);
    assert_int_equal(mtf_load_u64_le(small), 0x1122334455667788u);
}

static void hex_is_lower_case_and_terminated(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x9f, 0xff};
    char text[7];
    mtf_hex(text, bytes, 3);
    assert_string_equal(text, "009fff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_compares_as_bytes_then_by_length),
        cmocka_unit_test(reader_gives_back_what_the_buffer_took),
        cmocka_unit_test(every_truncation_fails_once_and_for_all),
        cmocka_unit_test(missing_floats_are_zeros),
        cmocka_unit_test(an_absurd_size_fails_and_drops_what_follows),
        cmocka_unit_test(printf_appends_without_its_nul),
        cmocka_unit_test(big_endian_stores_sort_as_numbers),
        cmocka_unit_test(hex_is_lower_case_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
