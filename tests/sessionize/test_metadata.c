/** Goal: what a commit carries comes back exactly, always fits, and nothing else is ever taken for
 *  it. Method: random places there and back, the largest one, and hostile text: random bytes, cut
 *  and altered metadata, and altered metadata whose checksum was made to match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/hash.h"
#include "core/rng.h"
#include "sessionize/metadata.h"

#define SEED 1

static int64_t between(mtf_rng *rng, int64_t low, int64_t high)
{
    return low + (int64_t)mtf_rng_below(rng, (uint64_t)(high - low + 1));
}

static mtf_place random_place(mtf_rng *rng)
{
    mtf_place place = {.safe_offset = between(rng, 0, INT64_C(1) << 40),
                       .safe_watermark_ms = between(rng, MTF_WATERMARK_NONE, INT64_C(1) << 41),
                       .headless_ms = between(rng, MTF_WATERMARK_NONE, MTF_HEADLESS_OPEN)};
    const uint32_t jumps = (uint32_t)mtf_rng_below(rng, MTF_JUMPS_MAX + 1);
    mtf_jump at = {place.safe_offset, place.safe_watermark_ms};
    for (; place.jump_count < jumps; place.jump_count++) {
        at.offset += between(rng, 1, 1 << 20);
        at.watermark_ms += between(rng, 1, 1 << 20);
        place.jumps[place.jump_count] = at;
    }
    place.next_offset = at.offset + between(rng, 0, 9);
    place.watermark_ms = at.watermark_ms + between(rng, 0, 9);
    if (mtf_rng_below(rng, 2)) place.bad_in_a_row = between(rng, 0, INT64_C(1) << 40);
    const uint32_t schemas = (uint32_t)mtf_rng_below(rng, MTF_SCHEMAS_MAX + 1);
    int64_t since = place.safe_offset;
    for (; place.schema_count < schemas && since < place.next_offset; place.schema_count++) {
        place.schemas[place.schema_count] = (mtf_schema_since){mtf_rng_next(rng), since};
        since += between(rng, 0, (place.next_offset - since + 7) / 8);
    }
    return place;
}

static void assert_same(const mtf_place *a, const mtf_place *b)
{
    assert_int_equal(a->next_offset, b->next_offset);
    assert_int_equal(a->watermark_ms, b->watermark_ms);
    assert_int_equal(a->safe_offset, b->safe_offset);
    assert_int_equal(a->safe_watermark_ms, b->safe_watermark_ms);
    assert_int_equal(a->headless_ms, b->headless_ms);
    assert_int_equal(a->jump_count, b->jump_count);
    assert_int_equal(a->bad_in_a_row, b->bad_in_a_row);
    assert_int_equal(a->schema_count, b->schema_count);
    for (uint32_t i = 0; i < a->schema_count; i++) {
        assert_true(a->schemas[i].schema == b->schemas[i].schema);
        assert_int_equal(a->schemas[i].offset, b->schemas[i].offset);
    }
    for (uint32_t i = 0; i < a->jump_count; i++) {
        assert_int_equal(a->jumps[i].offset, b->jumps[i].offset);
        assert_int_equal(a->jumps[i].watermark_ms, b->jumps[i].watermark_ms);
    }
}

static void places_come_back(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(SEED, 0);
    for (int i = 0; i < 2000; i++) {
        const mtf_place place = random_place(&rng);
        const uint64_t function = mtf_rng_next(&rng);
        char text[MTF_METADATA_BYTES_MAX + 1];
        mtf_place back;
        uint64_t function_back;
        mtf_err err;
        mtf_place_print(&place, function, text);
        for (const char *c = text; *c; c++) assert_in_range(*c, 32, 126);
        assert_int_equal(mtf_place_parse(text, &back, &function_back, &err), MTF_OK);
        assert_true(function_back == function);
        assert_same(&place, &back);
    }
}

static void the_largest_place_fits(void **state)
{
    (void)state;
    const int64_t offset_step = INT64_C(999999999999999999) / MTF_JUMPS_MAX;
    mtf_place place = {.safe_offset = 0,
                       .safe_watermark_ms = MTF_WATERMARK_NONE,
                       .headless_ms = MTF_WATERMARK_NONE,
                       .jump_count = MTF_JUMPS_MAX};
    mtf_jump at = {0, MTF_WATERMARK_NONE};
    for (int i = 0; i < MTF_JUMPS_MAX; i++) {
        at.offset += offset_step;
        at.watermark_ms += 2 * (MTF_TIME_LIMIT_MS / MTF_JUMPS_MAX);
        place.jumps[i] = at;
    }
    place.next_offset = at.offset;
    place.watermark_ms = MTF_TIME_LIMIT_MS;
    place.bad_in_a_row = INT64_C(999999999999999999);
    place.schema_count = MTF_SCHEMAS_MAX;
    for (int i = 0; i < MTF_SCHEMAS_MAX; i++)
        place.schemas[i] = (mtf_schema_since){UINT64_MAX, place.next_offset - 1};
    char text[MTF_METADATA_BYTES_MAX + 1];
    mtf_place back;
    uint64_t function;
    mtf_err err;
    mtf_place_print(&place, UINT64_MAX, text);
    assert_in_range(strlen(text), 3000, MTF_METADATA_BYTES_MAX);
    assert_int_equal(mtf_place_parse(text, &back, &function, &err), MTF_OK);
    assert_same(&place, &back);
}

static void a_clean_start_is_headless_but_at_the_beginning(void **state)
{
    (void)state;
    assert_int_equal(mtf_place_clean(0).headless_ms, MTF_WATERMARK_NONE);
    assert_int_equal(mtf_place_clean(1).headless_ms, MTF_HEADLESS_OPEN);
    assert_int_equal(mtf_place_clean(7).next_offset, 7);
    assert_int_equal(mtf_place_clean(7).safe_offset, 7);
}

static void refuse(const char *text, const char *words)
{
    mtf_place place;
    uint64_t function;
    mtf_err err = {0};
    if (mtf_place_parse(text, &place, &function, &err) != MTF_INVALID || !strstr(err.msg, words))
        fail_msg("\"%s\": wanted words \"%s\", got \"%s\"", text, words, err.msg);
}

/** body and the checksum that makes it whole. */
static void refuse_checked(const char *body, const char *words)
{
    char text[MTF_METADATA_BYTES_MAX + 100];
    snprintf(text, sizeof text, "%s %016llx", body,
             (unsigned long long)mtf_hash64(body, strlen(body)));
    refuse(text, words);
}

static void refusals_say_why(void **state)
{
    (void)state;
    char longer[5000];
    memset(longer, '1', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    refuse("", "does not begin");
    refuse("{\"offset\": 3}", "another program or version");
    refuse("mtf2 0123456789abcdef 1 2 3", "another program or version");
    refuse(longer, "longer than 4096");
    refuse("mtf1 0123456789abcdeF 5 9 3 8 0 0", "a number is missing");
    refuse("mtf1 0123456789abcdef 5 9 3 8 0 0 0000000000000000", "checksum");
#define F "mtf1 0123456789abcdef "
    refuse_checked(F "5 9 6 8 0 0", "safe offset");
    refuse_checked(F "5 9 -1 8 0 0", "safe offset");
    refuse_checked(F "5 9 3 10 0 0", "watermark");
    refuse_checked(F "5 9007199254740993 3 8 0 0", "watermark");
    refuse_checked(F "5 9 3 8 0 97", "jumps");
    refuse_checked(F "5 9 3 8 0 -1", "jumps");
    refuse_checked(F "5 9 3 8 0 1", "jumps");
    refuse_checked(F "5 9 3 8 0 1 +3:+1", "jumps"); /* past L */
    refuse_checked(F "5 9 3 8 0 1 +1:+2", "jumps"); /* past W */
    refuse_checked(F "5 9 3 8 0 1 +0:+1", "jumps"); /* at S: it is in wS */
    refuse_checked(F "5 9 3 8 0 1 +1:+0", "jumps");
    refuse_checked(F "9 30 3 8 0 2 +3:+9 +-1:+1", "jumps");
#define A "@0123456789abcdef"
    refuse_checked(F "5 9 3 8 0 0 " A, "schemas");
    refuse_checked(F "5 9 3 8 0 0 " A "+2", "schemas"); /* at L: no record was of it */
    refuse_checked(F "5 9 3 8 0 0 " A "+-1", "schemas");
    refuse_checked(F "5 9 3 8 0 0 " A "+1 " A "+0", "schemas");
    refuse_checked(F "5 9 5 8 0 0 " A "+0", "schemas");
    refuse_checked(F "5 9 3 8 0 0 @123+0", "schemas");
    refuse_checked(F "5 9 3 8 0 0 " A "+0 !3", "checksum");
#define B " " A "+0 " A "+0 " A "+0 " A "+0"
    refuse_checked(F "5 9 3 8 0 0" B B B B " " A "+0", "schemas");
#undef B
#undef A
    refuse_checked(F "5 9 3 8 0 0 ", "checksum");
    refuse_checked(F "5 9 3 8 0 0 +1:+1", "checksum");
    refuse_checked(F "5  9 3 8 0 0", "a number is missing");
    refuse_checked(F "99999999999999999999 9 3 8 0 0", "a number is missing or too long");
#undef F
}

/** Parses, and if it is taken, it prints as itself: nothing is understood in two ways. */
static bool taken(const char *text)
{
    mtf_place place;
    uint64_t function;
    char again[MTF_METADATA_BYTES_MAX + 1];
    mtf_err err = {0};
    if (mtf_place_parse(text, &place, &function, &err) != MTF_OK) {
        assert_true(err.msg[0] != 0);
        return false;
    }
    mtf_place_print(&place, function, again);
    assert_string_equal(again, text);
    return true;
}

static void hostile_text_is_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdef +-:!@mtf1 \n";
    mtf_rng rng = mtf_rng_of(SEED, 1);
    for (int i = 0; i < 100000; i++) {
        char *text = malloc(200); /* exactly as long as needed, for the sanitizer */
        const size_t size = mtf_rng_below(&rng, 199);
        const bool shaped = i % 2;
        for (size_t k = 0; k < size; k++)
            text[k] = shaped ? alphabet[mtf_rng_below(&rng, sizeof alphabet - 1)]
                             : (char)(1 + mtf_rng_below(&rng, 255));
        text[size] = 0;
        if (shaped && size > 5) memcpy(text, "mtf1 ", 5);
        char *exact = realloc(text, size + 1);
        assert_non_null(exact);
        assert_false(taken(exact));
        free(exact);
    }
}

static void altered_metadata_is_refused(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(SEED, 2);
    for (int i = 0; i < 3000; i++) {
        char text[MTF_METADATA_BYTES_MAX + 1];
        mtf_place place = random_place(&rng);
        if (place.jump_count > 3) place.jump_count = 3;
        mtf_place_print(&place, mtf_rng_next(&rng), text);
        const size_t size = strlen(text);
        const size_t at = mtf_rng_below(&rng, size);
        const char before = text[at];
        text[at] = 0; /* cut */
        assert_false(taken(text));
        text[at] = (char)(1 + mtf_rng_below(&rng, 126)); /* altered */
        assert_int_equal(taken(text), text[at] == before);
        /* Altered by one who knows the checksum: taken only if it says one thing. */
        char forged[MTF_METADATA_BYTES_MAX + 1];
        memcpy(forged, text, size - 17);
        snprintf(forged + size - 17, 18, " %016llx",
                 (unsigned long long)mtf_hash64(text, size - 17));
        (void)taken(forged);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_back),
        cmocka_unit_test(the_largest_place_fits),
        cmocka_unit_test(a_clean_start_is_headless_but_at_the_beginning),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(hostile_text_is_refused),
        cmocka_unit_test(altered_metadata_is_refused),
    };
    print_message("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
