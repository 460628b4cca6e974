/** Goal: a policy is trained on and served with states of one meaning, or the difference is named.
 *  Method: the setting against records with the same schema, another and none. */
#include "client/face.h"

#include "client/sample_policy.h"
#include "publish/policy_diff.h"
#include "publish/policy_states.h"
#include "support/mtf_test.h"

static void the_setting_makes_the_id_that_services_have(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_state_schema *schema;
    mtf_err err = {0};
    char id[17] = "x";
    mtf_assert_ok(mtf_settings_init(&settings, &err), &err);
    mtf_assert_ok(mtf_policy_states_id(&settings, id, &err), &err);
    assert_string_equal(id, "");
    mtf_assert_ok(mtf_settings_set(&settings, "policy.state_dim", "3", "test", &err), &err);
    mtf_assert_ok(
        mtf_settings_set(&settings, "policy.state", "age=number sex=onehot(f,m)", "test", &err),
        &err);
    mtf_assert_ok(mtf_policy_states_id(&settings, id, &err), &err);
    mtf_assert_ok(mtf_state_schema_parse(" age=number\nsex=onehot(f,m)", &schema, &err), &err);
    assert_string_equal(id, mtf_state_schema_id(schema));
    mtf_state_schema_free(schema);
    mtf_assert_ok(mtf_settings_set(&settings, "policy.state_dim", "4", "test", &err), &err);
    assert_int_equal(mtf_policy_states_id(&settings, id, &err), MTF_INVALID);
    assert_string_equal(err.msg, "policy.state: its fields make 3 floats, policy.state_dim is 4: "
                                 "set that to 3");
    mtf_assert_ok(mtf_settings_set(&settings, "policy.state", "age=nmber", "test", &err), &err);
    assert_int_equal(mtf_policy_states_id(&settings, id, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "policy.state: state schema: field 1"));
    mtf_settings_fini(&settings);
}

static void another_schema_than_the_settings_is_named(void **state)
{
    (void)state;
    mtf_policy *policy = sample_policy(1, 3, 4), *other = sample_policy(2, 3, 4);
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_states_check("", policy, &err), &err);
    mtf_assert_ok(mtf_policy_states_check("0123456789abcdef", policy, &err), &err);
    snprintf(policy->info.state_schema, 17, "0123456789abcdef");
    mtf_assert_ok(mtf_policy_states_check("0123456789abcdef", policy, &err), &err);
    assert_int_equal(mtf_policy_states_check("0123456789abcdee", policy, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "0123456789abcdef"));
    assert_non_null(strstr(err.msg, "policy.state is 0123456789abcdee"));
    assert_int_equal(mtf_policy_states_check("", policy, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "policy.state is not set"));
    /* and what may serve in the place of what */
    assert_true(mtf_policy_same_shape(policy, other));
    snprintf(other->info.state_schema, 17, "0123456789abcdef");
    assert_true(mtf_policy_same_shape(policy, other));
    snprintf(other->info.state_schema, 17, "0123456789abcdee");
    assert_false(mtf_policy_same_shape(policy, other));
    mtf_policy_free(policy);
    mtf_policy_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_setting_makes_the_id_that_services_have),
        cmocka_unit_test(another_schema_than_the_settings_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
