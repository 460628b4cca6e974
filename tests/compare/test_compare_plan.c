/** Goal: an experiment is read as it was meant, or refused with its row, word and remedy. Method:
 *  texts of rows, good and bad. */
#include "support/mtf_test.h"

#include <string.h>

#include "compare/plan.h"
#include "sim/sim.h"

static mtf_status read_plan(const char *rows, const char *designs, mtf_compare_plan *plan,
                            mtf_err *err)
{
    mtf_settings settings;
    mtf_assert_ok(mtf_settings_init(&settings, err), err);
    mtf_assert_ok(mtf_settings_set(&settings, "compare.rows", rows, "test", err), err);
    mtf_assert_ok(mtf_settings_set(&settings, "compare.designs", designs, "test", err), err);
    const mtf_status status = mtf_compare_plan_init(plan, &settings, err);
    mtf_settings_fini(&settings);
    return status;
}

static void rows_are_what_they_say(void **state)
{
    (void)state;
    mtf_compare_plan plan;
    mtf_err err = {0};
    mtf_assert_ok(read_plan("# everybody\n  es: compare.each=70\n\niql\nbatchrl\n"
                            "once, eta 0: algorithm=integrated  data=box learner.eta=0\t"
                            "designs=paper,progressive\n"
                            "integrated: data=progressive",
                            "paper progressive fair", &plan, &err),
                  &err);
    assert_int_equal(plan.count, 5);
    assert_int_equal(plan.reference, 0);
    const mtf_compare_row *es = &plan.rows[0], *iql = &plan.rows[1], *batchrl = &plan.rows[2],
                          *once = &plan.rows[3], *integrated = &plan.rows[4];
    assert_true(es->search);
    assert_int_equal(es->settings.compare_each, 70);
    assert_int_equal(iql->settings.compare_each, 500);
    assert_string_equal(iql->settings.learner_algorithm, "iql");
    assert_string_equal(once->name, "once, eta 0");
    assert_string_equal(once->settings.learner_algorithm, "integrated");
    mtf_assert_close(once->settings.learner_eta, 0, 0, 0);
    assert_false(once->in[MTF_COMPARE_FAIR]);
    assert_true(once->in[MTF_COMPARE_PAPER] && once->in[MTF_COMPARE_ROUNDS]);
    assert_false(batchrl->in[MTF_COMPARE_ROUNDS]); /* nobody can serve its policy */
    assert_int_equal(mtf_compare_data_in(es, MTF_COMPARE_PAPER), MTF_COMPARE_LIVE);
    assert_int_equal(mtf_compare_data_in(es, MTF_COMPARE_ROUNDS), MTF_COMPARE_LIVE);
    assert_int_equal(mtf_compare_data_in(es, MTF_COMPARE_FAIR), MTF_COMPARE_BOX);
    assert_int_equal(mtf_compare_data_in(iql, MTF_COMPARE_PAPER), MTF_COMPARE_GAUSSIAN);
    assert_int_equal(mtf_compare_data_in(iql, MTF_COMPARE_ROUNDS), MTF_COMPARE_PROGRESSIVE);
    assert_int_equal(mtf_compare_data_in(once, MTF_COMPARE_PAPER), MTF_COMPARE_BOX);
    assert_int_equal(mtf_compare_data_in(integrated, MTF_COMPARE_PAPER), MTF_COMPARE_PROGRESSIVE);
    mtf_compare_plan_fini(&plan);
}

static void lists_are_the_simulators_and_quotes_hold_words(void **state)
{
    (void)state;
    mtf_compare_plan plan;
    mtf_err err = {0};
    mtf_assert_ok(read_plan("es\ngroups: algorithm=integrated reward.groups=\"valid watch finish | "
                            "weight=0.5 positive negative\"  learner.eta=0\nenhanced",
                            "paper", &plan, &err),
                  &err);
    assert_string_equal(plan.rows[1].settings.reward_groups,
                        "valid watch finish | weight=0.5 positive negative");
    mtf_assert_close(plan.rows[1].settings.learner_eta, 0, 0, 0);
    assert_int_equal(plan.rows[1].settings.policy_list, 0);
    assert_int_equal(plan.rows[2].settings.policy_list, MTF_SIM_SHOWN);
    assert_int_equal(plan.rows[2].settings.policy_item_features, 0);
    mtf_compare_plan_fini(&plan);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const char *const cases[][3] = {
        {"", "paper", "compare.rows: nothing to compare"},
        {"es\niqll", "paper", "compare.rows: iqll: there is no algorithm 'iqll'"},
        {"es\niql: learner.etaa=1", "paper",
         "compare.rows: iql: unknown setting learner.etaa; did you mean learner.eta?"},
        {"es\niql: iql.expectile=2", "paper",
         "compare.rows: iql: iql.expectile: 2 is outside 0..1"},
        {"es\niql: fast", "paper", "compare.rows: iql: 'fast' is not key=value"},
        {"es\niql: data=boxes", "paper", "data=boxes: is not gaussian, box or progressive"},
        {"es: data=box", "paper", "es searches: in the paper's design it serves what it tries"},
        {"es\nbatchrl: data=progressive", "paper", "cannot be served, hence not explored round"},
        {"es\niql: designs=fare", "paper", "iql: there is no design 'fare'; there are paper, fair"},
        {"es\niql", "papers", "compare.designs: there is no design 'papers'"},
        {"es\niql\niql: iql.beta=1", "paper", "compare.rows: iql: is there twice"},
        {"es\niql: compare.days=3", "paper", "compare.days is the same for all rows"},
        {"es\niql: learner.steps=3", "paper", "compare.steps are what counts"},
        {"iql", "paper", "compare.reference: there is no row 'es'"},
        {"es\niql: reward.weights=\"valid=1", "paper", "compare.rows: iql: a quote has no end"},
        {"es\nintegrated: reward.groups=valid", "paper", "compare.rows: integrated: reward.groups"},
        {"es\nenhanced: policy.list=3", "paper", "policy.list is what the simulator's lists are"},
        {"es\nenhanced: compare.items=true", "paper", "compare.items is the same for all rows"},
        {"es\niql: compare.start=zero", "paper", "compare.start is the same for all rows"},
        {"es: designs=paper\niql", "paper fair",
         "es: is the reference, and not in design fair, where iql is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_compare_plan plan;
        mtf_err err = {0};
        assert_int_equal(read_plan(cases[i][0], cases[i][1], &plan, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i][2])) fail_msg("'%s' said: %s", cases[i][0], err.msg);
        mtf_compare_plan_fini(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_what_they_say),
        cmocka_unit_test(lists_are_the_simulators_and_quotes_hold_words),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
