/** Goal: what the writer writes the reader gives back, and no other bytes pass.
 *  Method: round trips, hand-made headers each wrong in one way, every cut of a good file. */
#include "support/mtf_test.h"

#include "client/safetensors.h"

/* A file of this header (padded) and `data_bytes` bytes counting up. */
static void build(mtf_buf *file, const char *header, size_t data_bytes)
{
    mtf_buf_clear(file);
    mtf_buf_put_u64_le(file, strlen(header));
    mtf_buf_put(file, header, strlen(header));
    for (size_t i = 0; i < data_bytes; i++) mtf_buf_put_u8(file, (uint8_t)i);
}

static void a_file_comes_back(void **state)
{
    (void)state;
    static const uint8_t bytes[40] = {1, 2, 3};
    const mtf_tensor_file file = {
        .tensors = {{"first", 2, {2, 3}, {bytes, 24}},
                    {"second.bias", 1, {4, 1}, {bytes + 24, 16}}},
        .tensor_count = 2,
        .notes = {{"format", "test"}, {"empty", ""}},
        .note_count = 2,
    };
    mtf_buf out = {0};
    mtf_tensor_file back;
    mtf_err err = {0};
    mtf_safetensors_write(&file, &out);
    assert_int_equal(mtf_load_u64_le(out.data) % 8, 0);
    mtf_assert_ok(mtf_safetensors_read(mtf_buf_span(&out), &back, &err), &err);
    assert_int_equal(back.tensor_count, 2);
    assert_string_equal(back.tensors[0].name, "first");
    assert_memory_equal(back.tensors[0].data.data, bytes, 24);
    const mtf_tensor *second = mtf_safetensors_find(&back, "second.bias");
    assert_int_equal(second->rank, 1);
    assert_int_equal(second->shape[0], 4);
    assert_string_equal(mtf_safetensors_note(&back, "format"), "test");
    assert_string_equal(mtf_safetensors_note(&back, "empty"), "");
    assert_null(mtf_safetensors_note(&back, "form"));
    assert_null(mtf_safetensors_find(&back, "firs"));
    mtf_buf_fini(&out);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_tensor_file back;
    build(&out, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    mtf_assert_ok(mtf_safetensors_read(mtf_buf_span(&out), &back, NULL), NULL);
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *copy =
            malloc(size ? size : 1); /* its own block, so that a sanitizer sees a byte too far */
        memcpy(copy, out.data, size);
        assert_int_equal(mtf_safetensors_read((mtf_span){copy, size}, &back, NULL), MTF_CORRUPT);
        free(copy);
    }
    mtf_buf_fini(&out);
}

#define TENSOR(name, shape, offsets)                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void other_writers_order_and_blanks_are_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{" TENSOR("b", "[1]", "[4,8]") "," TENSOR("a", "[1,1]", "[0,4]") "}",
        " { \"a\" : { \"data_offsets\" : [ 0 , 8 ] ,\n\"shape\":[1,2],\t\"dtype\":\"F32\" } , "
        "\"__metadata__\" : { } } ",
        "{\"__metadata__\":{\"x\":\"y\"}," TENSOR("a", "[2]", "[0,8]") "}     ",
    };
    mtf_buf out = {0};
    mtf_tensor_file back;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mtf_err err = {0};
        build(&out, good[i], 8);
        mtf_assert_ok(mtf_safetensors_read(mtf_buf_span(&out), &back, &err), &err);
        assert_string_equal(back.tensors[0].name, "a"); /* in the order of the data */
        assert_int_equal(back.tensors[0].data.data[1], 1);
    }
    mtf_buf_fini(&out);
}

static void a_wrong_header_is_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *header, *words;
    } wrong[] = {
        {"", "cannot hold a header"},
        {"[]", "not an object"},
        {"{}", "a string is missing"},
        {"{" TENSOR("a", "[2]", "[0,8]") "", "does not end"},
        {"{" TENSOR("a", "[2]", "[0,8]") "}x", "goes on after its end"},
        {"{" TENSOR("a", "[2]", "[0,8]") ",}", "a string is missing"},
        {"{" TENSOR("a", "[2]", "[0,8]") "," TENSOR("a", "[2]", "[0,8]") "}", "there twice"},
        {"{" TENSOR("a", "[2]", "[0,8]") "," TENSOR("b", "[2]", "[0,8]") "}", "overlaps"},
        {"{" TENSOR("a", "[1]", "[0,4]") "}", "bytes after the last tensor"},
        {"{" TENSOR("a", "[1]", "[4,8]") "}", "gap"},
        {"{" TENSOR("a", "[3]", "[0,12]") "}", "leave the file"},
        {"{" TENSOR("a", "[2]", "[8,0]") "}", "leave the file"},
        {"{" TENSOR("a", "[3]", "[0,8]") "}", "do not fit the shape"},
        {"{" TENSOR("a", "[0]", "[0,0]") "}", "do not fit the shape"},
        {"{" TENSOR("a", "[4294967296,4294967296]", "[0,0]") "}", "do not fit the shape"},
        {"{" TENSOR("a", "[4611686018427387904,2]", "[0,0]") "}", "too large"},
        {"{" TENSOR("a", "[2]", "[0,8,8]") "}", "more than two"},
        {"{" TENSOR("a", "[1,1,2]", "[0,8]") "}", "more than two"},
        {"{" TENSOR("a", "[2]", "[0]") "}", "not two numbers"},
        {"{" TENSOR("a", "[]", "[0,8]") "}", "number is missing"},
        {"{" TENSOR("a", "[-2]", "[0,8]") "}", "number is missing"},
        {"{" TENSOR("a", "[02]", "[0,8]") "}", "starts with 0"},
        {"{" TENSOR("a", "2", "[0,8]") "}", "array is missing"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "not F32"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "lacks"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", "unknown key"},
        {"{\"a\":1}", "not an object"},
        {"{\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "escape"},
        {"{\"a\xc3\xa4\":{}}", "not ASCII"},
        {"{\"a-name-of-forty-eight-bytes-is-one-more-than-fits\":{}}", "too long"},
        {"{\"__metadata__\":{\"a\":1}}", "string is missing"},
        {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"b\"}}", "entry twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__ is there twice"},
        {"{\"__metadata__\":{\"a\":\"b\",}}", "string is missing"},
        {"{\"__metadata__\":{\"a\":\"b\"", "__metadata__ does not end"},
    };
    mtf_buf out = {0};
    mtf_tensor_file back;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mtf_err err = {0};
        build(&out, wrong[i].header, 8);
        assert_int_equal(mtf_safetensors_read(mtf_buf_span(&out), &back, &err), MTF_CORRUPT);
        if (!strstr(err.msg, wrong[i].words)) fail_msg("%s: %s", wrong[i].header, err.msg);
    }
    mtf_buf_fini(&out);
}

static void too_many_tensors_or_notes_are_refused(void **state)
{
    (void)state;
    mtf_buf header = {0}, out = {0};
    mtf_tensor_file back;
    mtf_err err = {0};
    mtf_buf_printf(&header, "{\"__metadata__\":{\"n\":\"\"");
    for (int i = 0; i < MTF_TENSOR_METADATA_MAX; i++) mtf_buf_printf(&header, ",\"n%d\":\"\"", i);
    mtf_buf_printf(&header, "}}");
    build(&out, (char *)header.data, 0);
    assert_int_equal(mtf_safetensors_read(mtf_buf_span(&out), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "too many"));
    mtf_buf_clear(&header);
    for (int i = 0; i <= MTF_TENSORS_MAX; i++) {
        mtf_buf_printf(&header,
                       "%c\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                       i ? ',' : '{', i, 4 * i, 4 * i + 4);
    }
    mtf_buf_printf(&header, "}");
    build(&out, (char *)header.data, 4 * (MTF_TENSORS_MAX + 1));
    assert_int_equal(mtf_safetensors_read(mtf_buf_span(&out), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "too many"));
    mtf_buf_fini(&header);
    mtf_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_back),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(other_writers_order_and_blanks_are_read),
        cmocka_unit_test(a_wrong_header_is_refused_in_words),
        cmocka_unit_test(too_many_tensors_or_notes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
