/** Goal: a comparison of two policies says what changed, nothing else, and what the networks do.
 *  Method: a policy against a copy of it that was changed in known ways. */
#include "support/mtf_test.h"

#include <jansson.h>

#include "client/sample_policy.h"
#include "publish/policy_diff.h"

static char *text_of(const mtf_policy *from, const mtf_policy *to, mtf_buf *out)
{
    mtf_policy_diff diff;
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_diff_make(from, to, &diff, &err), &err);
    mtf_policy_diff_text(&diff, out);
    mtf_buf_put_u8(out, 0);
    return (char *)out->data;
}

static void equal_policies_differ_in_nothing(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_policy *policy = sample_policy(1, 3, 8);
    mtf_policy_set_number(&policy->info, "unknown", NAN);
    mtf_policy *copy = mtf_policy_clone(policy);
    assert_string_equal(text_of(policy, copy, &out), "the network is the same\n");
    mtf_policy_free(copy);
    mtf_policy_free(policy);
    mtf_buf_fini(&out);
}

static void words_and_numbers_that_changed_are_lines(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_policy *from = sample_policy(1, 3, 8), *to = mtf_policy_clone(from);
    snprintf(to->info.verdict, sizeof to->info.verdict, "hold");
    to->info.version = 4;
    to->info.box = 0.05F;
    mtf_policy_set_number(&to->info, "gate.z", 0.5);
    mtf_policy_set_number(&to->info, "new", 7);
    mtf_policy_set_number(&from->info, "old", 8);
    assert_string_equal(text_of(from, to, &out), "version                        3 -> 4\n"
                                                 "verdict                        promote -> hold\n"
                                                 "box                            0.15 -> 0.05\n"
                                                 "gate.z                         2.1 -> 0.5\n"
                                                 "new                            - -> 7\n"
                                                 "old                            8 -> -\n"
                                                 "the network is the same\n");
    mtf_policy_free(from);
    mtf_policy_free(to);
    mtf_buf_fini(&out);
}

/** A network of one layer whose action is tanh(bias): it moves by a known step everywhere. */
static mtf_policy *constant_policy(const float bias[4])
{
    mtf_policy *policy = sample_policy(1, 3, 8), *made;
    const uint32_t widths[] = {3, 4};
    made = mtf_policy_new(widths, 1, &policy->table);
    assert_non_null(made);
    memcpy(made->layers[0].bias, bias, 4 * sizeof *bias);
    made->info = policy->info;
    mtf_policy_free(policy);
    return made;
}

static void what_the_networks_do_is_compared_at_states(void **state)
{
    (void)state;
    mtf_policy_diff diff;
    mtf_err err = {0};
    mtf_policy *from = constant_policy((float[]){0, 0, 0, 0});
    mtf_policy *to = constant_policy((float[]){0.1f, -0.2f, 0, 0});
    mtf_assert_ok(mtf_policy_diff_make(from, to, &diff, &err), &err);
    assert_true(diff.comparable && !diff.same_network);
    mtf_assert_close(diff.move[0], tanh(0.1), 0, 1e-5);
    mtf_assert_close(diff.move[1], tanh(-0.2), 0, 1e-5);
    mtf_assert_close(diff.distance[1], tanh(0.2), 0, 1e-5);
    mtf_assert_close(diff.move[2], 0, 0, 0);
    mtf_assert_close(diff.outside, 0.25, 0, 1e-9); /* 0.197 > 0.15, the box */
    /* Where it goes both ways, the mean says nothing and the distance does. */
    to->layers[0].weight[2 * 3] = 1;
    mtf_assert_ok(mtf_policy_diff_make(from, to, &diff, &err), &err);
    mtf_assert_close(diff.move[2], 0, 0, 0.1);
    assert_true(diff.distance[2] > 0.4);
    mtf_policy_free(from);
    mtf_policy_free(to);
}

static void another_action_table_is_said_and_not_compared(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_err err = {0};
    mtf_policy_diff diff;
    mtf_policy *from = sample_policy(1, 3, 8), *to = mtf_policy_clone(from);
    to->table.dims[1].high = 5;
    assert_non_null(strstr(text_of(from, to, &out), "the action table differs"));
    mtf_buf_clear(&out);
    mtf_assert_ok(mtf_policy_diff_make(from, to, &diff, &err), &err);
    mtf_assert_ok(mtf_policy_diff_json(&diff, &out, &err), &err);
    json_t *json = json_loadb((char *)out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_is_null(json_object_get(json, "actions")));
    assert_true(json_is_null(json_object_get(json, "outside")));
    assert_int_equal(json_object_size(json_object_get(json, "fields")), 0);
    json_decref(json);
    mtf_policy_free(from);
    mtf_policy_free(to);
    mtf_buf_fini(&out);
}

static void the_json_has_old_and_new(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_err err = {0};
    mtf_policy_diff diff;
    mtf_policy *from = sample_policy(1, 3, 8), *to = sample_policy(2, 3, 8);
    to->info.version = 4;
    mtf_policy_set_number(&to->info, "new", 7);
    mtf_assert_ok(mtf_policy_diff_make(from, to, &diff, &err), &err);
    mtf_assert_ok(mtf_policy_diff_json(&diff, &out, &err), &err);
    json_t *json = json_loadb((char *)out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "from")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "to")), 4);
    const json_t *version = json_object_get(json_object_get(json, "fields"), "version");
    assert_int_equal(json_integer_value(json_array_get(version, 1)), 4);
    const json_t *added = json_object_get(json_object_get(json, "metrics"), "new");
    assert_true(json_is_null(json_array_get(added, 0)));
    assert_true(json_real_value(json_array_get(added, 1)) == 7);
    assert_true(json_is_false(json_object_get(json, "same_network")));
    const json_t *action = json_array_get(json_object_get(json, "actions"), 3);
    assert_true(json_real_value(json_object_get(action, "distance")) == diff.distance[3]);
    json_decref(json);
    mtf_policy_free(from);
    mtf_policy_free(to);
    mtf_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_policies_differ_in_nothing),
        cmocka_unit_test(words_and_numbers_that_changed_are_lines),
        cmocka_unit_test(what_the_networks_do_is_compared_at_states),
        cmocka_unit_test(another_action_table_is_said_and_not_compared),
        cmocka_unit_test(the_json_has_old_and_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
