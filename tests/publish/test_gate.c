/** Goal: only good evidence promotes, and the first failing check is named with its number and
 * limit. Method: good evidence spoiled one figure at a time, at, below and above each limit. */
#include "support/mtf_test.h"

#include "publish/gate.h"

static const mtf_gate_config CONFIG = {.z = 1,
                                       .part_z = 3,
                                       .skill_z = 3,
                                       .phi_min = 0.5,
                                       .outside_max = 0.05,
                                       .gauc_loss_max = 0.005,
                                       .min_transitions = 2000,
                                       .reward_sense = true};

static mtf_evidence good(void)
{
    return (mtf_evidence){
        .finite = true,
        .test_vectors_ok = true,
        .q_abs_max = 12,
        .q_limit = 40,
        .spread = 0.3,
        .reward_scale = 2,
        .phi_mean = 0.97,
        .outside_share = 0.01,
        .heldout_rows = 8000,
        .heldout_users = 900,
        .exploring = true,
        .value = 0.4,
        .value_se = 0.2,
        .value_z = 2,
        .skill = 0.1,
        .skill_z = 9,
        .gauc_gain = 0.004,
        .gauc_gain_high = 0.009,
        .consumed_gain = 0.5,
    };
}

static void good_evidence_is_promoted(void **state)
{
    (void)state;
    const mtf_evidence evidence = good();
    mtf_verdict verdict;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
    assert_string_equal(verdict.reason, "value: value_z is 2, at least 1");
}

#define ROW_DOUBLE(field, passes_at, fails_at, missing_ok, kind, reason)                           \
    {                                                                                              \
        offsetof(mtf_evidence, field), passes_at, fails_at, missing_ok, kind, reason               \
    }

static void each_figure_fails_just_past_its_limit(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        double passes_at, fails_at;
        bool missing_ok;
        mtf_verdict_kind kind;
        const char *reason;
    } rows[] = {
        ROW_DOUBLE(q_abs_max, 40, 40.01, false, MTF_VERDICT_REJECT,
                   "health: q_abs_max is 40.01, above 40"),
        ROW_DOUBLE(spread, 2e-4, 1.9e-4, true, MTF_VERDICT_REJECT,
                   "health: spread/reward_scale is 9.5e-05, below 0.0001"),
        ROW_DOUBLE(spread, 20, 20.2, true, MTF_VERDICT_REJECT,
                   "health: spread/reward_scale is 10.1, above 10"),
        ROW_DOUBLE(phi_mean, 0.5, 0.49, false, MTF_VERDICT_HOLD,
                   "health: phi_mean is 0.49, below 0.5"),
        ROW_DOUBLE(outside_share, 0.05, 0.051, false, MTF_VERDICT_REJECT,
                   "support: outside_share is 0.051, above 0.05"),
        ROW_DOUBLE(skill_z, 3, 2.9, false, MTF_VERDICT_HOLD, "skill: skill_z is 2.9, below 3"),
        ROW_DOUBLE(consumed_gain, 0, -0.1, false, MTF_VERDICT_REJECT,
                   "reward: consumed_gain is -0.1, below 0"),
        ROW_DOUBLE(gauc_gain_high, -0.005, -0.0051, true, MTF_VERDICT_HOLD,
                   "ranking: gauc_gain_high is -0.0051, below -0.005"),
        ROW_DOUBLE(value_z, 1, 0.99, false, MTF_VERDICT_HOLD, "value: value_z is 0.99, below 1"),
        ROW_DOUBLE(part_z[MTF_PART_LIGHT], -3, -3.1, true, MTF_VERDICT_HOLD,
                   "part: light_z is -3.1, below -3"),
        ROW_DOUBLE(part_z[MTF_PART_HEAVY], -3, -3.1, true, MTF_VERDICT_HOLD,
                   "part: heavy_z is -3.1, below -3"),
        ROW_DOUBLE(part_z[MTF_PART_FIRST], -3, -3.1, true, MTF_VERDICT_HOLD,
                   "part: first_z is -3.1, below -3"),
        ROW_DOUBLE(part_z[MTF_PART_LATER], -3, -3.1, true, MTF_VERDICT_HOLD,
                   "part: later_z is -3.1, below -3"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mtf_evidence evidence = good();
        mtf_verdict verdict;
        double *figure = (double *)(void *)((char *)&evidence + rows[i].offset);
        *figure = rows[i].passes_at;
        mtf_gate_decide(&CONFIG, &evidence, &verdict);
        assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
        *figure = rows[i].fails_at;
        mtf_gate_decide(&CONFIG, &evidence, &verdict);
        assert_int_equal(verdict.kind, rows[i].kind);
        assert_string_equal(verdict.reason, rows[i].reason);
        *figure = NAN;
        mtf_gate_decide(&CONFIG, &evidence, &verdict);
        assert_int_equal(verdict.kind, rows[i].missing_ok ? MTF_VERDICT_PROMOTE : rows[i].kind);
        assert_true(rows[i].missing_ok || strstr(verdict.reason, "could not be measured"));
    }
}

static void the_sense_of_the_reward_is_not_asked_for_where_the_setting_says_so(void **state)
{
    (void)state;
    const double gains[] = {-1, (double)NAN};
    mtf_gate_config config = CONFIG;
    config.reward_sense = false;
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        mtf_evidence evidence = good();
        mtf_verdict verdict;
        evidence.consumed_gain = gains[i];
        mtf_gate_decide(&config, &evidence, &verdict);
        assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
    }
}

/* A model's word is for people: it may say what it wants. */
static void what_is_reported_beside_the_value_decides_nothing(void **state)
{
    (void)state;
    const double gains[] = {-1e9, (double)NAN};
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        mtf_evidence evidence = good();
        mtf_verdict verdict;
        evidence.fqe_value = evidence.fqe_gain = evidence.fqe_gain_se = gains[i];
        evidence.ncis_gain = evidence.ncis_gain_se = evidence.ncis_support = gains[i];
        mtf_gate_decide(&CONFIG, &evidence, &verdict);
        assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
        mtf_policy_info info = {0};
        mtf_gate_record(&evidence, &info);
        const double kept = mtf_policy_get_number(&info, "gate.fqe_gain");
        assert_true(isnan(gains[i]) ? isnan(kept) : kept == gains[i]);
        assert_true(mtf_policy_get_number(&info, "gate.value") == 0.4);
    }
}

static void a_limit_that_is_not_known_promotes_nothing(void **state)
{
    (void)state;
    mtf_evidence evidence = good();
    mtf_verdict verdict;
    evidence.q_limit = NAN;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_REJECT);
    evidence = good();
    evidence.reward_scale = 0;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_REJECT);
}

static void flags_alarm_and_too_few_rows_are_named(void **state)
{
    (void)state;
    mtf_verdict verdict;
    mtf_evidence evidence = good();
    evidence.heldout_rows = 2000;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
    evidence.heldout_rows = 1999;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_HOLD);
    assert_string_equal(verdict.reason, "data: heldout_rows is 1999, below 2000");

    evidence = good(), evidence.finite = false;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_REJECT);
    assert_string_equal(verdict.reason, "integrity: finite is 0, below 1");

    evidence = good(), evidence.test_vectors_ok = false;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_REJECT);
    assert_non_null(strstr(verdict.reason, "test_vectors_ok"));

    evidence = good(), snprintf(evidence.alarm, sizeof evidence.alarm, "|Q| reached 99 at step 7");
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_REJECT);
    assert_string_equal(verdict.reason, "alarm: |Q| reached 99 at step 7");

    evidence = good(), evidence.exploring = false;
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_HOLD);
    assert_memory_equal(verdict.reason, "no_exploration:", 15);
}

/* Repairs what fails, check by check: the reasons come in the order that the header promises. */
static void the_first_failing_check_is_the_reason(void **state)
{
    (void)state;
    mtf_evidence evidence = {.alarm = "an alarm",
                             .q_abs_max = 99,
                             .spread = NAN,
                             .outside_share = 1,
                             .gauc_gain_high = -1,
                             .consumed_gain = -1,
                             .part_z = {-9}};
    const mtf_evidence repaired = good();
    mtf_verdict verdict;
#define REPAIR(reason_start, field)                                                                \
    mtf_gate_decide(&CONFIG, &evidence, &verdict);                                                 \
    assert_memory_equal(verdict.reason, reason_start, strlen(reason_start));                       \
    memcpy(&evidence.field, &repaired.field, sizeof evidence.field);
    REPAIR("no_exploration: exploring", exploring)
    REPAIR("data: heldout_rows", heldout_rows)
    REPAIR("integrity: finite", finite)
    REPAIR("integrity: test_vectors_ok", test_vectors_ok)
    REPAIR("reward: consumed_gain", consumed_gain)
    REPAIR("alarm: an alarm", alarm)
    evidence.q_limit = repaired.q_limit;
    REPAIR("health: q_abs_max", q_abs_max)
    evidence.reward_scale = repaired.reward_scale;
    REPAIR("health: phi_mean", phi_mean)
    REPAIR("support: outside_share", outside_share)
    REPAIR("skill: skill_z", skill_z)
    REPAIR("ranking: gauc_gain_high", gauc_gain_high)
    REPAIR("value: value_z", value_z)
    REPAIR("part: light_z", part_z)
#undef REPAIR
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    assert_int_equal(verdict.kind, MTF_VERDICT_PROMOTE);
}

static void limits_come_from_the_settings(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_err err = {0};
    mtf_assert_ok(mtf_settings_init(&settings, &err), &err);
    mtf_gate_config config = mtf_gate_config_of(&settings);
    assert_true(config.z == CONFIG.z && config.part_z == CONFIG.part_z &&
                config.skill_z == CONFIG.skill_z && config.phi_min == CONFIG.phi_min &&
                config.outside_max == CONFIG.outside_max &&
                config.gauc_loss_max == CONFIG.gauc_loss_max &&
                config.min_transitions == CONFIG.min_transitions &&
                config.reward_sense == CONFIG.reward_sense);
    mtf_assert_ok(mtf_settings_set(&settings, "gate.z", "2.5", "test", &err), &err);
    config = mtf_gate_config_of(&settings);
    const mtf_evidence evidence = good();
    mtf_verdict verdict;
    mtf_gate_decide(&config, &evidence, &verdict);
    assert_string_equal(verdict.reason, "value: value_z is 2, below 2.5");
    mtf_settings_fini(&settings);
}

static void every_figure_and_the_verdict_enter_the_record(void **state)
{
    (void)state;
    mtf_policy_info info = {0};
    mtf_evidence evidence = good();
    mtf_verdict verdict;
    evidence.skill = NAN;
    mtf_gate_record(&evidence, &info);
    mtf_gate_record(&evidence, &info); /* again: replaced, not added */
    assert_int_equal(info.number_count, 33);
    assert_true(mtf_policy_get_number(&info, "gate.value_z") == 2);
    assert_true(mtf_policy_get_number(&info, "gate.heldout_rows") == 8000);
    assert_true(mtf_policy_get_number(&info, "gate.exploring") == 1);
    assert_true(isnan(mtf_policy_get_number(&info, "gate.skill")));
    mtf_gate_decide(&CONFIG, &evidence, &verdict);
    mtf_gate_record_verdict(&CONFIG, &verdict, &info);
    assert_string_equal(info.verdict, "promote");
    assert_string_equal(info.reason, verdict.reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_evidence_is_promoted),
        cmocka_unit_test(each_figure_fails_just_past_its_limit),
        cmocka_unit_test(the_sense_of_the_reward_is_not_asked_for_where_the_setting_says_so),
        cmocka_unit_test(what_is_reported_beside_the_value_decides_nothing),
        cmocka_unit_test(a_limit_that_is_not_known_promotes_nothing),
        cmocka_unit_test(flags_alarm_and_too_few_rows_are_named),
        cmocka_unit_test(the_first_failing_check_is_the_reason),
        cmocka_unit_test(limits_come_from_the_settings),
        cmocka_unit_test(every_figure_and_the_verdict_enter_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
