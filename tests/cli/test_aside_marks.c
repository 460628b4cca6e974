/** Goal: the places that a marking record names are the places that were replayed, whatever they
 *  are; and a record that is no marking record is refused whole. Method: random sets there and
 *  back, in records cut short; then spoiled texts. */
#include "cli/aside_marks.h"
#include "core/rng.h"
#include "support/mtf_test.h"

#include <string.h>

static void places_come_back(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(11), 0);
    for (int round = 0; round < 200; round++) {
        mtf_err err = {0};
        mtf_buf text = {0};
        aside_marks marks = {0}, back = {0};
        bool in[3][400] = {{false}};
        const uint64_t density = 1 + mtf_rng_below(&rng, 20);
        for (int p = 0; p < 3; p++) {
            for (int i = 399; i >= 0; i--) {
                if (mtf_rng_below(&rng, 20) >= density) continue;
                in[p][i] = true;
                mtf_assert_ok(aside_marks_add(&marks, p, 1000 + i, &err), &err);
            }
        }
        aside_marks_sort(&marks);
        for (size_t at = 0; at < marks.count;) {
            mtf_buf_clear(&text);
            const size_t before = at;
            aside_marks_print(&marks, &at, 1 + mtf_rng_below(&rng, 300), &text);
            assert_true(at > before);
            mtf_assert_ok(aside_marks_parse(&back, mtf_buf_span(&text), &err), &err);
        }
        aside_marks_sort(&back);
        assert_int_equal(back.count, marks.count);
        for (int p = 0; p < 3; p++)
            for (int i = 0; i < 400; i++)
                assert_int_equal(aside_marks_has(&back, p, 1000 + i), in[p][i]);
        assert_false(aside_marks_has(&back, 3, 1000));
        aside_marks_fini(&marks);
        aside_marks_fini(&back);
        mtf_buf_fini(&text);
    }
}

static void ranges_are_short(void **state)
{
    (void)state;
    mtf_err err = {0};
    mtf_buf text = {0};
    aside_marks marks = {0};
    size_t at = 0;
    for (int i = 0; i < 1000; i++) mtf_assert_ok(aside_marks_add(&marks, 7, i, &err), &err);
    mtf_assert_ok(aside_marks_add(&marks, 7, 2000, &err), &err);
    aside_marks_sort(&marks);
    aside_marks_print(&marks, &at, 100000, &text);
    assert_int_equal(at, 1001);
    mtf_buf_put_u8(&text, 0);
    assert_string_equal((const char *)text.data, "7 0-999 2000");
    mtf_buf_fini(&text);
    aside_marks_fini(&marks);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",     "7",    "x 1",  "7 1-", "7 5-5",           "7 5-",         "7 9-5",
        "7  1", "7 1 ", "7 -1", "-7 1", "7 1-99999999999", "99999999999 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mtf_err err = {0};
        aside_marks marks = {0};
        const mtf_span text = {(const uint8_t *)texts[i], strlen(texts[i])};
        if (aside_marks_parse(&marks, text, &err) != MTF_CORRUPT) fail_msg("'%s' passed", texts[i]);
        aside_marks_fini(&marks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_back),
        cmocka_unit_test(ranges_are_short),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
