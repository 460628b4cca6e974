/** Goal: a state is what its schema says, every float finite, and bad input is named.
 *  Method: the header's example by hand; each grammar fault; histories against a slow model. */
#include "client/face.h"

#include "client/sample_policy.h"
#include "support/mtf_test.h"

#include <float.h>

#define EXAMPLE                                                                                    \
    "age=number(30) gender=onehot(f,m)\n hour=bucket(6,12,18) flush=flush(20)\t"                   \
    "topics=top(3,sport,news,music,film) watch=history(count,mean,decayed=3600,recency=86400)"

static mtf_state_schema *parse(const char *text)
{
    mtf_state_schema *schema;
    mtf_err err = {0};
    mtf_assert_ok(mtf_state_schema_parse(text, &schema, &err), &err);
    return schema;
}

static uint32_t field(const mtf_state_schema *schema, const char *name)
{
    const uint32_t index = mtf_state_schema_field(schema, name);
    assert_int_not_equal(index, MTF_STATE_NO_FIELD);
    return index;
}

static void assert_floats(const float *actual, const float *expected, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fabsf(actual[i] - expected[i]) > 1e-6F)
            fail_msg("float %u is %g, expected %g", i, (double)actual[i], (double)expected[i]);
    }
}

static void the_headers_example(void **state)
{
    (void)state;
    enum { S = 1 + 2 + 4 + 1 + 4 + 4 };
    mtf_state_schema *schema = parse(EXAMPLE);
    assert_int_equal(mtf_state_schema_dim(schema), S);
    mtf_state *one = mtf_state_new(schema);
    float out[S];
    mtf_state_make(one, out);
    const float empty[S] = {30};
    assert_floats(out, empty, S);
    mtf_err err = {0};
    mtf_state_begin(one, 10000000);
    mtf_assert_ok(mtf_state_number(one, field(schema, "age"), 41, &err), &err);
    mtf_assert_ok(mtf_state_category(one, field(schema, "gender"), "m", &err), &err);
    mtf_assert_ok(mtf_state_number(one, field(schema, "hour"), 12, &err), &err);
    mtf_assert_ok(mtf_state_number(one, field(schema, "flush"), 5, &err), &err);
    const uint32_t topics = field(schema, "topics"), watch = field(schema, "watch");
    mtf_assert_ok(mtf_state_interest(one, topics, "film", 2, &err), &err);
    mtf_assert_ok(mtf_state_interest(one, topics, "news", 1, &err), &err);
    mtf_assert_ok(mtf_state_interest(one, topics, "sport", 3, &err), &err);
    mtf_assert_ok(mtf_state_interest(one, topics, "news", 4, &err), &err);
    mtf_assert_ok(mtf_state_interest(one, topics, "music", 0.5, &err), &err);
    mtf_assert_ok(mtf_state_behaviour(one, watch, 10000000 - 3600000, 10, &err), &err);
    mtf_assert_ok(mtf_state_behaviour(one, watch, 10000000 - 7200000, 4, &err), &err);
    mtf_state_make(one, out);
    const float full[S] = {41,  0,   1, 0,   0,     1, 0, 0.25F,
                           .3F, .5F, 0, .2F, 0.02F, 7, 6, (float)exp2(-3600.0 / 86400)};
    assert_floats(out, full, S);
    mtf_state_begin(one, 10000000);
    mtf_state_make(one, out);
    assert_floats(out, empty, S); /* forgotten */
    mtf_state_free(one);
    mtf_state_free(NULL);
    mtf_state_schema_free(schema);
}

static void an_id_is_the_meaning_without_blanks(void **state)
{
    (void)state;
    mtf_state_schema *a = parse("x=number y=onehot(b,a)"),
                     *b = parse("\n x=number\t\ty=onehot(b,a) "),
                     *c = parse("x=number y=onehot(a,b)");
    assert_string_equal(mtf_state_schema_id(a), mtf_state_schema_id(b));
    assert_string_not_equal(mtf_state_schema_id(a), mtf_state_schema_id(c));
    assert_int_equal(strlen(mtf_state_schema_id(a)), 16);
    assert_int_equal(mtf_state_schema_field(a, "z"), MTF_STATE_NO_FIELD);
    mtf_state_schema_free(a);
    mtf_state_schema_free(b);
    mtf_state_schema_free(c);
}

static void each_fault_of_a_schema_is_named(void **state)
{
    (void)state;
    const struct {
        const char *text, *words;
    } rows[] = {
        {"", "names no field"},
        {"age", "field 1, \"age\""},
        {"ok=number age=numbr", "field 2, \"age=numbr\": its kind"},
        {"a=number a=flush(3)", "there twice"},
        {"a!=number", "a name is of"},
        {"=number", "a name is of"},
        {"a=number(1,2)", "one number"},
        {"a=number(x)", "malformed"},
        {"a=number(1e300)", "1e30"},
        {"a=number(", "name=kind"},
        {"a=number(inf)", "malformed"},
        {"a=flush", "cap"},
        {"a=flush(0)", "cap"},
        {"a=onehot", "list is empty"},
        {"a=onehot(x,,y)", "empty"},
        {"a=onehot(x,y,x)", "twice"},
        {"a=bucket(3,2)", "ascend"},
        {"a=bucket(3,3)", "ascend"},
        {"a=bucket()", "malformed"},
        {"a=top(x,y)", "malformed"},
        {"a=top(0,y)", "whole number"},
        {"a=top(1.5,y)", "whole number"},
        {"a=top(3)", "list is empty"},
        {"a=history", "list is empty"},
        {"a=history(sum)", "none of count"},
        {"a=history(mean=3)", "half-life"},
        {"a=history(decayed)", "half-life"},
        {"a=history(recency=0)", "not above 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mtf_state_schema *schema;
        mtf_err err = {0};
        assert_int_equal(mtf_state_schema_parse(rows[i].text, &schema, &err), MTF_INVALID);
        assert_null(schema);
        if (!strstr(err.msg, rows[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, err.msg, rows[i].words);
    }
    mtf_buf text = {0}; /* 257 fields; then one of 4097 floats */
    mtf_state_schema *schema;
    mtf_err err = {0};
    for (int i = 0; i < 257; i++) mtf_buf_printf(&text, "f%d=number ", i);
    mtf_buf_put_u8(&text, 0);
    assert_int_equal(mtf_state_schema_parse((char *)text.data, &schema, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "256"));
    mtf_buf_clear(&text);
    mtf_buf_printf(&text, "a=bucket(0");
    for (int i = 1; i < 4096; i++) mtf_buf_printf(&text, ",%d", i);
    mtf_buf_printf(&text, ")");
    mtf_buf_put_u8(&text, 0);
    assert_int_equal(mtf_state_schema_parse((char *)text.data, &schema, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "4096"));
    mtf_buf_fini(&text);
}

static void bad_input_is_left_out_and_named(void **state)
{
    (void)state;
    mtf_state_schema *schema = parse(EXAMPLE);
    mtf_state *one = mtf_state_new(schema);
    mtf_err err = {0};
    const uint32_t age = field(schema, "age"), gender = field(schema, "gender"),
                   topics = field(schema, "topics"), watch = field(schema, "watch");
    assert_int_equal(mtf_state_number(one, age, NAN, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "field age"));
    assert_int_equal(mtf_state_number(one, field(schema, "flush"), -1, &err), MTF_SKIP);
    assert_int_equal(mtf_state_category(one, gender, "robot", &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "field gender: category \"robot\""));
    assert_int_equal(mtf_state_interest(one, topics, "chess", 1, &err), MTF_SKIP);
    assert_int_equal(mtf_state_interest(one, topics, "news", -1, &err), MTF_SKIP);
    assert_int_equal(mtf_state_behaviour(one, watch, 1, INFINITY, &err), MTF_SKIP);
    assert_int_equal(mtf_state_number(one, gender, 1, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "field gender takes no number"));
    assert_int_equal(mtf_state_category(one, age, "f", &err), MTF_INVALID);
    assert_int_equal(mtf_state_behaviour(one, topics, 1, 1, &err), MTF_INVALID);
    assert_int_equal(mtf_state_interest(one, watch, "news", 1, &err), MTF_INVALID);
    assert_int_equal(mtf_state_number(one, MTF_STATE_NO_FIELD, 1, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "no field"));
    float out[16];
    mtf_state_make(one, out);
    const float empty[16] = {30};
    assert_floats(out, empty, 16);
    mtf_state_free(one);
    mtf_state_schema_free(schema);
}

/* The hundred newest of up to 300 behaviours in any order, by sorting. Times are distinct. */
static void histories_are_capped_at_the_newest_hundred(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(41), 0);
    mtf_state_schema *schema = parse("h=history(decayed=60,count,recency=60,mean)");
    mtf_state *one = mtf_state_new(schema);
    for (int n = 0; n < 200; n++) {
        enum { MOST = 300 };
        const uint32_t count = (uint32_t)mtf_rng_below(&rng, MOST + 1);
        double values[MOST];
        int64_t times[MOST];
        const int64_t now = 400000;
        mtf_state_begin(one, now);
        for (uint32_t i = 0; i < count; i++) { /* a permutation of multiples of a second */
            times[i] = 1000 * (int64_t)((i * 7 + (uint32_t)n) % MOST) + 100000;
            values[i] = mtf_rng_normal(&rng);
            mtf_assert_ok(mtf_state_behaviour(one, 0, times[i], values[i], NULL), NULL);
        }
        double decayed = 0, mean = 0, kept = 0, newest = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t newer = 0;
            for (uint32_t j = 0; j < count; j++) newer += times[j] > times[i];
            if (newer >= MTF_STATE_BEHAVIOUR_MAX) continue;
            const double weight = exp2(-(double)(now - times[i]) / 60000);
            kept++, mean += values[i], decayed += weight * values[i];
            newest = fmax(newest, weight);
        }
        float out[4];
        mtf_state_make(one, out);
        mtf_assert_close(out[0], decayed, 1e-5, 1e-6);
        mtf_assert_close(out[1], kept / 100, 1e-6, 0);
        mtf_assert_close(out[2], newest, 1e-6, 0);
        mtf_assert_close(out[3], kept > 0 ? mean / kept : 0, 1e-5, 1e-6);
    }
    mtf_state_begin(one, 0); /* a serving host's clock behind another's */
    mtf_assert_ok(mtf_state_behaviour(one, 0, 5000, 2, NULL), NULL);
    float out[4];
    mtf_state_make(one, out);
    assert_true(out[0] == 2 && out[2] == 1);
    mtf_state_free(one);
    mtf_state_schema_free(schema);
}

static void every_float_is_finite(void **state)
{
    (void)state;
    mtf_state_schema *schema =
        parse("n=number f=flush(1e-300) t=top(2,a,b) h=history(mean,decayed=1e-300,recency=1e300)");
    mtf_state *one = mtf_state_new(schema);
    float out[7];
    mtf_state_begin(one, INT64_MAX);
    mtf_assert_ok(mtf_state_number(one, 0, -DBL_MAX, NULL), NULL);
    mtf_assert_ok(mtf_state_number(one, 1, DBL_MAX, NULL), NULL);
    for (int i = 0; i < 1000; i++)
        mtf_assert_ok(mtf_state_interest(one, 2, i % 2 ? "a" : "b", FLT_MAX, NULL), NULL);
    for (int i = 0; i < 120; i++)
        mtf_assert_ok(mtf_state_behaviour(one, 3, i % 3 ? INT64_MIN : INT64_MAX, FLT_MAX, NULL),
                      NULL);
    mtf_state_make(one, out);
    for (int i = 0; i < 7; i++) assert_true(isfinite(out[i]));
    assert_true(out[0] == -FLT_MAX && out[1] == 1);
    mtf_assert_close(out[2], 0.5, 1e-6, 0);
    mtf_state_free(one);
    mtf_state_schema_free(schema);
}

static void a_policy_of_other_states_is_refused(void **state)
{
    (void)state;
    mtf_state_schema *three = parse("a=number b=number c=number"),
                     *two = parse("a=number b=number");
    mtf_policy *policy = sample_policy(1, 3, 4);
    mtf_err err = {0};
    mtf_assert_ok(mtf_state_schema_check(three, policy, &err), &err); /* it names none */
    assert_int_equal(mtf_state_schema_check(two, policy, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "3 floats"));
    memcpy(policy->info.state_schema, mtf_state_schema_id(three), 17);
    mtf_assert_ok(mtf_state_schema_check(three, policy, &err), &err);
    policy->info.state_schema[0] ^= 1;
    assert_int_equal(mtf_state_schema_check(three, policy, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, mtf_state_schema_id(three)));
    mtf_policy_free(policy);
    mtf_state_schema_free(three);
    mtf_state_schema_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_headers_example),
        cmocka_unit_test(an_id_is_the_meaning_without_blanks),
        cmocka_unit_test(each_fault_of_a_schema_is_named),
        cmocka_unit_test(bad_input_is_left_out_and_named),
        cmocka_unit_test(histories_are_capped_at_the_newest_hundred),
        cmocka_unit_test(every_float_is_finite),
        cmocka_unit_test(a_policy_of_other_states_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
