/** Goal: the exposition is Prometheus' text format whatever the values and labels are. Method:
 * small expositions against the text that must come out. An independent parser reads all of the
 * program's families in check_metrics.py. */
#include "ops/exposition.h"
#include "support/mtf_test.h"

static const mtf_metric bad = {"mtf_x_bad_total", MTF_METRIC_COUNTER, "bad things"};
static const mtf_metric open = {"mtf_x_open", MTF_METRIC_GAUGE, "open things"};

static void assert_renders(const mtf_exposition *out, const char *expected)
{
    mtf_buf text = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_exposition_render(out, &text, &err), &err);
    mtf_buf_put_u8(&text, '\0');
    assert_string_equal((const char *)text.data, expected);
    mtf_buf_fini(&text);
}

static void nothing_collected_is_an_empty_page(void **state)
{
    (void)state;
    mtf_exposition out = {0};
    assert_renders(&out, "");
    mtf_exposition_fini(&out);
}

static void a_familys_samples_stand_together_under_one_head(void **state)
{
    (void)state;
    mtf_exposition out = {0};
    const mtf_label first = {"thread", "0"}, second = {"thread", "1"};
    mtf_exposition_put(&out, &bad, &first, 1, 1);
    mtf_exposition_put(&out, &open, NULL, 0, -2);
    mtf_exposition_put(&out, &bad, &second, 1, 3);
    assert_renders(&out, "# HELP mtf_x_bad_total bad things\n"
                         "# TYPE mtf_x_bad_total counter\n"
                         "mtf_x_bad_total{thread=\"0\"} 1\n"
                         "mtf_x_bad_total{thread=\"1\"} 3\n"
                         "# HELP mtf_x_open open things\n"
                         "# TYPE mtf_x_open gauge\n"
                         "mtf_x_open -2\n");
    mtf_exposition_fini(&out);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    mtf_exposition out = {0};
    const mtf_label labels[] = {{"topic", "a\"b\\c\nd"}, {"empty", ""}};
    mtf_exposition_put(&out, &open, labels, 2, 1);
    assert_renders(&out, "# HELP mtf_x_open open things\n"
                         "# TYPE mtf_x_open gauge\n"
                         "mtf_x_open{topic=\"a\\\"b\\\\c\\nd\",empty=\"\"} 1\n");
    mtf_exposition_fini(&out);
}

static void check_value(double value, const char *text)
{
    mtf_exposition out = {0};
    char expected[200];
    snprintf(expected, sizeof expected,
             "# HELP mtf_x_open open things\n# TYPE mtf_x_open gauge\nmtf_x_open %s\n", text);
    mtf_exposition_put(&out, &open, NULL, 0, value);
    assert_renders(&out, expected);
    mtf_exposition_fini(&out);
}

static void values_keep_all_their_digits(void **state)
{
    (void)state;
    check_value(0, "0");
    check_value(9007199254740991.0, "9007199254740991");
    check_value(-1760000000123.0, "-1760000000123");
    check_value(0.25, "0.25");
    check_value(1e300, "1.0000000000000001e+300");
    check_value((double)NAN, "NaN");
    check_value((double)INFINITY, "+Inf");
    check_value(-(double)INFINITY, "-Inf");
}

static void the_table_has_a_line_for_each_family(void **state)
{
    (void)state;
    mtf_exposition out = {0};
    const mtf_label labels[] = {{"topic", "t"}, {"partition", "0"}};
    mtf_buf text = {0};
    mtf_err err = {0};
    mtf_exposition_put(&out, &bad, labels, 2, 1);
    mtf_exposition_put(&out, &open, NULL, 0, 1);
    mtf_assert_ok(mtf_exposition_table(&out, &text, &err), &err);
    mtf_buf_put_u8(&text, '\0');
    assert_string_equal((const char *)text.data,
                        "| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n"
                        "| `mtf_x_bad_total` | counter | topic, partition | bad things |\n"
                        "| `mtf_x_open` | gauge |  | open things |\n");
    mtf_buf_fini(&text);
    mtf_exposition_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_collected_is_an_empty_page),
        cmocka_unit_test(a_familys_samples_stand_together_under_one_head),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(values_keep_all_their_digits),
        cmocka_unit_test(the_table_has_a_line_for_each_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
