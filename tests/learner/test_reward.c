/** Formula 2 is what the settings say: parsed strictly, winsorised per item, bounded. By examples.
 */
#include "learner/reward.h"

#include "support/mtf_test.h"

static mtf_reward parsed(const char *weights, const char *clip)
{
    mtf_reward reward;
    mtf_err err = {0};
    mtf_assert_ok(mtf_reward_parse(&reward, weights, clip, &err), &err);
    return reward;
}

static void refused(const char *weights, const char *clip, const char *word)
{
    mtf_reward reward;
    mtf_err err = {0};
    assert_int_equal(mtf_reward_parse(&reward, weights, clip, &err), MTF_INVALID);
    if (!strstr(err.msg, word)) fail_msg("\"%s\" does not say \"%s\"", err.msg, word);
}

static void an_item_is_weighed_after_winsorising(void **state)
{
    (void)state;
    const mtf_reward reward = parsed("valid=1 watch=0.02, negative=-2", "watch=300");
    mtf_signal signals[] = {{mtf_str_of("watch"), 36000},
                            {mtf_str_of("negative"), 1},
                            {mtf_str_of("unknown"), 99},
                            {mtf_str_of("valid"), 1}};
    const mtf_signals all = {signals, 4};
    float values[3];
    mtf_reward_signals(&reward, &all, values);
    mtf_assert_close((double)values[1], 36000, 0, 0); /* raw, so that the clip may change later */
    mtf_assert_close(mtf_reward_item(&reward, values), 1 + 0.02 * 300 - 2, 1e-12, 0);
}

static void a_huge_signal_stays_finite(void **state)
{
    (void)state;
    const mtf_reward reward = parsed("watch=1", "watch=300");
    mtf_signal signal = {mtf_str_of("watch"), 1e300};
    const mtf_signals all = {&signal, 1};
    float value;
    mtf_reward_signals(&reward, &all, &value);
    mtf_assert_close(mtf_reward_item(&reward, &value), 300, 0, 0);
}

static void the_label_is_valid_or_ten_seconds_or_a_positive_reward(void **state)
{
    (void)state;
    const mtf_reward valid = parsed("watch=1 valid=1", ""), watch = parsed("watch=1", ""),
                     other = parsed("like=1 hide=-1", "");
    assert_true(mtf_reward_label(&valid, (float[]){0, 1}));
    assert_false(mtf_reward_label(&valid, (float[]){99, 0}));
    assert_false(mtf_reward_label(&watch, (float[]){10}));
    assert_true(mtf_reward_label(&watch, (float[]){10.5f}));
    assert_true(mtf_reward_label(&other, (float[]){1, 0}));
    assert_false(mtf_reward_label(&other, (float[]){1, 1}));
}

static void the_bound_takes_clips_and_one_for_the_rest(void **state)
{
    (void)state;
    const mtf_reward reward = parsed("valid=1 watch=0.02 negative=-2", "watch=300");
    mtf_assert_close(mtf_reward_bound(&reward, 5), 5 * (1 + 6 + 2), 1e-12, 0);
}

static void names_keep_their_order(void **state)
{
    (void)state;
    const mtf_reward reward = parsed("b=1 a=2", "");
    mtf_buf names = {0};
    mtf_reward_names(&reward, &names);
    assert_string_equal((const char *)names.data, "b a");
    mtf_buf_fini(&names);
}

static void bad_settings_are_named(void **state)
{
    (void)state;
    refused("valid=one", "", "valid");
    refused("valid=inf", "", "finite");
    refused("valid=1 valid=2", "", "twice");
    refused("valid", "", "valid");
    refused("", "", "no signal");
    refused("valid=1", "watch=3", "no weight");
    refused("valid=1", "valid=0", "above 0");
    refused("valid=1", "valid=1 valid=2", "twice");
}

static mtf_reward grouped(const char *groups)
{
    mtf_reward reward = parsed("valid=1 watch=0.5 negative=-2", "watch=300");
    mtf_err err = {0};
    mtf_assert_ok(mtf_reward_group(&reward, groups, &err), &err);
    return reward;
}

static void groups_share_out_the_reward(void **state)
{
    (void)state;
    mtf_reward reward = grouped("watch | weight=0.25 valid, negative");
    mtf_err err = {0};
    const float values[] = {1, 400, 2}; /* valid, watch, negative */
    double parts[2] = {0};
    assert_int_equal(reward.groups, 2);
    assert_true(reward.group_weights[0] == 1 && reward.group_weights[1] == 0.25);
    mtf_reward_item_parts(&reward, values, parts);
    mtf_assert_close(parts[0], 150, 1e-12,
                     0); /* a group's weight is the actor's: not in its part */
    mtf_assert_close(parts[1], 1 - 4, 1e-12, 0);
    mtf_assert_close(parts[0] + parts[1], mtf_reward_item(&reward, values), 1e-12, 0);
    mtf_assert_ok(mtf_reward_order(&reward, mtf_str_of("negative watch valid"), &err), &err);
    const float in_order[] = {2, 400, 1};
    double again[2] = {0};
    mtf_reward_item_parts(&reward, in_order, again);
    mtf_assert_close(again[0], parts[0], 1e-12, 0);
    mtf_assert_close(again[1], parts[1], 1e-12, 0);
}

static void one_group_is_none(void **state)
{
    (void)state;
    assert_int_equal(grouped("").groups, 0);
    assert_int_equal(grouped("  ").groups, 0);
    assert_int_equal(grouped("valid watch negative").groups, 0);
}

static void bad_groups_are_named(void **state)
{
    (void)state;
    const char *const cases[][2] = {
        {"watch | valid", "\"negative\": is in no group"},
        {"watch | valid negative | watch", "\"watch\": given twice"},
        {"watch | valid negative like", "\"like\": has no weight"},
        {"watch | | valid negative", "group 2 names no signal"},
        {"watch | valid negative |", "group 3 names no signal"},
        {"weight=-1 watch | valid negative", "\"weight=-1\": not a number"},
        {"weight=x watch | valid negative", "\"weight=x\": not a number"},
        {"a|b|c|d|e|f|g|h|i", "\"a\": has no weight"},
        {"valid|watch|||||||negative", "more than 8 groups"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_reward reward = parsed("valid=1 watch=0.5 negative=-2", "");
        mtf_err err = {0};
        assert_int_equal(mtf_reward_group(&reward, cases[i][0], &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i][1])) fail_msg("\"%s\" lacks \"%s\"", err.msg, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_is_weighed_after_winsorising),
        cmocka_unit_test(a_huge_signal_stays_finite),
        cmocka_unit_test(the_label_is_valid_or_ten_seconds_or_a_positive_reward),
        cmocka_unit_test(the_bound_takes_clips_and_one_for_the_rest),
        cmocka_unit_test(names_keep_their_order),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(groups_share_out_the_reward),
        cmocka_unit_test(one_group_is_none),
        cmocka_unit_test(bad_groups_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
