/** Goal: what `mtf policy list|show` prints says what the record says.
 *  Method: the JSON parsed again; the lines searched. */
#include "support/mtf_test.h"

#include <jansson.h>

#include "client/sample_policy.h"
#include "publish/policy_view.h"

static void the_json_says_what_the_record_says(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_err err = {0};
    json_error_t error;
    mtf_policy *policy = sample_policy(1, 3, 8);
    policy->sha256[0] = 0xab;
    mtf_policy_set_number(&policy->info, "unknown", NAN);
    mtf_assert_ok(mtf_policy_to_json(policy, &out, &err), &err);
    json_t *json = json_loadb((char *)out.data, out.size, JSON_REJECT_DUPLICATES, &error);
    if (!json) fail_msg("%s", error.text);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "sample");
    assert_int_equal(json_integer_value(json_object_get(json, "version")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "created_ms")), 1700000000123);
    assert_string_equal(json_string_value(json_object_get(json, "created")),
                        "2023-11-14T22:13:20Z");
    assert_string_equal(json_string_value(json_object_get(json, "reason")), policy->info.reason);
    assert_memory_equal(json_string_value(json_object_get(json, "sha256")), "ab00", 4);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(json, "layers"), 1)), 8);
    assert_int_equal(json_array_size(json_object_get(json, "actions")), 4);
    json_t *action = json_array_get(json_object_get(json, "actions"), 3);
    assert_string_equal(json_string_value(json_object_get(action, "kind")), "bias");
    assert_true(json_real_value(json_object_get(action, "high")) == (double)0.51F);
    json_t *metrics = json_object_get(json, "metrics");
    assert_true(json_real_value(json_object_get(metrics, "q_mean")) == -1.25);
    assert_true(json_is_null(json_object_get(metrics, "unknown")));
    json_t *offset = json_array_get(json_object_get(json, "training_offsets"), 2);
    assert_int_equal(json_integer_value(json_object_get(offset, "offset")), 2017);
    json_decref(json);
    mtf_policy_free(policy);
    mtf_buf_fini(&out);
}

static void the_lines_say_what_the_record_says(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_policy *policy = sample_policy(1, 3, 8);
    snprintf(policy->info.stage, sizeof policy->info.stage, "canary");
    mtf_policy_list_head(&out);
    mtf_policy_list_line(policy, &out);
    const char *line = strchr((char *)out.data, '\n') + 1;
    assert_memory_equal(line, "sample#canary ", 14);
    assert_non_null(
        strstr(line, "       3       2     2 promote   0.150 2023-11-14T22:13:20Z z 2.10"));
    mtf_buf_clear(&out);
    mtf_policy_to_text(policy, &out);
    static const char *const wanted[] = {"version            3\n", "layers             3-8-8-4\n",
                                         "action 3           watch.bias 0.01..0.51\n",
                                         "partition 1 offset 1017\n",
                                         "gate.z                         2.1\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!strstr((char *)out.data, wanted[i]))
            fail_msg("no \"%s\" in\n%s", wanted[i], (char *)out.data);
    }
    mtf_policy_free(policy);
    mtf_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_json_says_what_the_record_says),
        cmocka_unit_test(the_lines_say_what_the_record_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
