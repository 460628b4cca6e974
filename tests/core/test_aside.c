/** Goal: what mtf_set_aside writes is what mtf_origin_read reads, and nothing else is taken for it.
 *  Method: a sink that keeps the headers; then each header left out or spoiled in turn. */
#include "core/aside.h"
#include "support/mtf_test.h"

typedef struct kept {
    mtf_header headers[16];
    char names[16][64], values[16][200];
    size_t count, key_bytes, value_bytes;
} kept;

static mtf_status keep(void *self, const char *topic, mtf_span key, mtf_span value,
                       const mtf_header *headers, size_t count, int64_t timestamp_ms, mtf_err *err)
{
    kept *k = self;
    (void)topic, (void)timestamp_ms, (void)err;
    k->count = count;
    k->key_bytes = key.size;
    k->value_bytes = value.size;
    for (size_t i = 0; i < count; i++) {
        memcpy(k->names[i], headers[i].name.data, headers[i].name.size);
        memcpy(k->values[i], headers[i].value.data, headers[i].value.size);
        k->headers[i] = (mtf_header){{k->names[i], headers[i].name.size},
                                     {(const uint8_t *)k->values[i], headers[i].value.size}};
    }
    return MTF_OK;
}

static void set_aside(kept *k, size_t value_bytes_max)
{
    static const uint8_t value[100];
    mtf_err err = {0};
    mtf_sink sink = {.self = k, .put = keep, .value_bytes_max = value_bytes_max};
    const mtf_message message = {.topic = mtf_str_of("mtf.exploration"),
                                 .partition = 3,
                                 .offset = INT64_C(9007199254740993),
                                 .timestamp_ms = 1700000000123,
                                 .key = {value, 4},
                                 .value = {value, sizeof value}};
    *k = (kept){0};
    mtf_assert_ok(
        mtf_set_aside(&sink, "mtf.late", &message, "sessionize", "late", "too late", &err), &err);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    kept k;
    mtf_origin origin;
    set_aside(&k, 1000);
    assert_true(mtf_origin_read(k.headers, k.count, &origin));
    assert_true(mtf_str_is(origin.topic, "mtf.exploration"));
    assert_true(mtf_str_is(origin.stage, "sessionize"));
    assert_true(mtf_str_is(origin.reason, "late"));
    assert_true(mtf_str_is(origin.words, "too late"));
    assert_int_equal(origin.partition, 3);
    assert_int_equal(origin.offset, INT64_C(9007199254740993));
    assert_int_equal(origin.timestamp_ms, 1700000000123);
    assert_int_equal(origin.original_bytes, -1);
    assert_int_equal(k.value_bytes, 100);
}

static void a_cut_value_says_its_size(void **state)
{
    (void)state;
    kept k;
    mtf_origin origin;
    set_aside(&k, 60);
    assert_int_equal(k.value_bytes, 60);
    assert_true(mtf_origin_read(k.headers, k.count, &origin));
    assert_int_equal(origin.original_bytes, 100);
}

static void a_record_without_our_headers_is_not_ours(void **state)
{
    (void)state;
    static const char *const needed[] = {"topic",     "partition", "offset",
                                         "timestamp", "stage",     "reason"};
    static const char *const spoiled[] = {"", "-1", "12x", "99999999999999999999"};
    kept k;
    mtf_origin origin;
    assert_false(mtf_origin_read(NULL, 0, &origin));
    set_aside(&k, 60);
    for (size_t i = 0; i < k.count; i++) {
        const char *name = strrchr(k.names[i], '.') + 1;
        bool is_needed = false;
        for (size_t n = 0; n < sizeof needed / sizeof *needed; n++)
            is_needed = is_needed || strcmp(name, needed[n]) == 0;
        const mtf_header whole = k.headers[i];
        k.headers[i].name.size--; /* another name */
        assert_int_equal(mtf_origin_read(k.headers, k.count, &origin), !is_needed);
        k.headers[i] = whole;
        if (strcmp(name, "partition") != 0 && strcmp(name, "offset") != 0 &&
            strcmp(name, "timestamp") != 0 && strcmp(name, "original_bytes") != 0)
            continue;
        for (size_t s = 0; s < sizeof spoiled / sizeof *spoiled; s++) {
            k.headers[i].value = (mtf_span){(const uint8_t *)spoiled[s], strlen(spoiled[s])};
            assert_false(mtf_origin_read(k.headers, k.count, &origin));
        }
        k.headers[i] = whole;
    }
    assert_true(mtf_origin_read(k.headers, k.count, &origin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_cut_value_says_its_size),
        cmocka_unit_test(a_record_without_our_headers_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
