/** Goal: where items matter, an action for each item is worth more than any action for all, and
 * what is logged of it is what was served; where they do not, nothing has changed. Method: policies
 * made by hand, whose effect is known, and every event of a round looked at. */
#include "support/mtf_test.h"

#include <string.h>

#include "sim/live.h"

static mtf_sim *open_sim(bool items, bool shared)
{
    mtf_sim_config config = mtf_sim_config_default();
    mtf_sim *sim;
    mtf_err err = {0};
    config.items = items, config.item_noise_shared = shared;
    config.sessions = 60, config.users = 20;
    config.baseline_share = 0.2;
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    return sim;
}

/* One layer: every action is tanh(bias_d + slope_d * the item's first feature). slope NULL: zeros.
 */
static mtf_policy *item_policy(uint32_t features, const float *slope)
{
    mtf_action_table table;
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, mtf_sim_config_default().actions, &err), &err);
    const uint32_t inputs = MTF_SIM_STATE + features + MTF_SIM_BEHAVIOURS;
    mtf_policy *policy = mtf_policy_new((const uint32_t[]){inputs, MTF_SIM_ACTIONS}, 1, &table);
    assert_non_null(policy);
    mtf_policy_set_items(policy, features);
    for (uint32_t d = 0; slope != NULL && d < MTF_SIM_ACTIONS; d++)
        policy->layers[0].weight[(size_t)d * inputs + MTF_SIM_STATE] = slope[d];
    policy->info.version = 1;
    policy->info.box = 0.15F;
    return policy;
}

/* Predictions lie below 1: more weight on their logs, and less bias, is a lower score. */
static const float down[MTF_SIM_ACTIONS] = {1, 1, 1, 1, 1, -1, -1, -1, -1, 1};

static void an_action_per_item_of_zeros_is_one_of_zeros_for_all(void **state)
{
    (void)state;
    static const float middle[MTF_SIM_ACTIONS] = {0};
    mtf_sim_value a, b;
    mtf_err err = {0};
    for (int items = 0; items < 2; items++) {
        mtf_sim *sim = open_sim(items, false);
        mtf_policy *policy = item_policy(items ? MTF_SIM_FEATURES : 0, NULL);
        mtf_assert_ok(mtf_sim_evaluate(sim, policy, 2000, 5, 2, NULL, &a, &err), &err);
        mtf_assert_ok(mtf_sim_evaluate_action(sim, middle, 2000, 5, 2, NULL, &b, &err), &err);
        mtf_assert_close(a.mean, b.mean, 2e-3, 0); /* but for ties within the rounding */
        mtf_policy_free(policy);
        mtf_sim_close(sim);
    }
}

/* The A/B test on whole days is another loop. */
static void days_are_the_same_by_either(void **state)
{
    (void)state;
    enum { USERS = 300 };
    static const float up[MTF_SIM_ACTIONS] = {-1, -1, -1, -1, -1, 1, 1, 1, 1, -1};
    mtf_sim_days by_item[USERS], by_one[USERS], told[USERS];
    double means[3] = {0};
    mtf_err err = {0};
    mtf_sim *sim = open_sim(true, false);
    mtf_policy *policy = item_policy(MTF_SIM_FEATURES, NULL);
    mtf_policy *knows = item_policy(MTF_SIM_FEATURES, up), *other = item_policy(0, NULL);
    mtf_policy *one =
        mtf_policy_new((const uint32_t[]){MTF_SIM_STATE, MTF_SIM_ACTIONS}, 1, &policy->table);
    const mtf_sim_actor actors[] = {mtf_sim_actor_of(policy), mtf_sim_actor_of(one),
                                    mtf_sim_actor_of(knows), mtf_sim_actor_of(other)};
    mtf_assert_ok(mtf_sim_live(sim, &actors[0], USERS, 3, 2, NULL, by_item, &err), &err);
    mtf_assert_ok(mtf_sim_live(sim, &actors[1], USERS, 3, 2, NULL, by_one, &err), &err);
    mtf_assert_ok(mtf_sim_live(sim, &actors[2], USERS, 3, 2, NULL, told, &err), &err);
    for (int u = 0; u < USERS; u++)
        means[0] += by_item[u].value, means[1] += by_one[u].value, means[2] += told[u].value;
    mtf_assert_close(means[0], means[1], 5e-3, 0);
    assert_true(fabs(means[2] - means[0]) > 0.05 * fabs(means[0]));
    assert_int_equal(mtf_sim_live(sim, &actors[3], USERS, 3, 2, NULL, told, &err), MTF_INVALID);
    mtf_policy_free(policy), mtf_policy_free(knows), mtf_policy_free(other), mtf_policy_free(one);
    mtf_sim_close(sim);
}

static void knowing_the_item_is_worth_more_than_any_action_for_all(void **state)
{
    (void)state;
    mtf_sim_value one, each, against;
    mtf_err err = {0};
    mtf_sim *sim = open_sim(true, false);
    mtf_policy *zero = item_policy(MTF_SIM_FEATURES, NULL);
    mtf_policy *knows = item_policy(MTF_SIM_FEATURES, down);
    float up[MTF_SIM_ACTIONS];
    for (int d = 0; d < MTF_SIM_ACTIONS; d++) up[d] = -down[d];
    mtf_policy *fooled = item_policy(MTF_SIM_FEATURES, up);
    mtf_assert_ok(mtf_sim_evaluate(sim, zero, 4000, 5, 2, NULL, &one, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate(sim, knows, 4000, 5, 2, NULL, &each, &err), &err);
    mtf_assert_ok(mtf_sim_evaluate(sim, fooled, 4000, 5, 2, NULL, &against, &err), &err);
    print_message("for all %.3f, each its own %.3f, the wrong way %.3f\n", one.mean, each.mean,
                  against.mean);
    assert_true(each.low > 1.3 * one.high && against.high < one.low);
    mtf_policy_free(zero), mtf_policy_free(knows), mtf_policy_free(fooled);
    mtf_sim_close(sim);
}

static void a_world_with_items_is_another_world(void **state)
{
    (void)state;
    mtf_sim *without = open_sim(false, false), *with = open_sim(true, false);
    mtf_sim_reference reference;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_reference_get(without, &reference, &err), &err);
    assert_true(mtf_sim_world_hash(with) != mtf_sim_world_hash(without));
    assert_int_equal(mtf_sim_reference_get(with, &reference, &err), MTF_INVALID);
    mtf_sim_close(without), mtf_sim_close(with);
}

static void policies_of_other_items_are_refused(void **state)
{
    (void)state;
    mtf_sim *without = open_sim(false, false), *with = open_sim(true, false);
    mtf_policy *of_four = item_policy(MTF_SIM_FEATURES, NULL), *of_none = item_policy(0, NULL);
    mtf_sim_value value;
    mtf_err err = {0};
    assert_int_equal(mtf_sim_evaluate(without, of_four, 10, 5, 1, NULL, &value, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "4 features"));
    assert_int_equal(mtf_sim_evaluate(with, of_none, 10, 5, 1, NULL, &value, &err), MTF_INVALID);
    mtf_policy_free(of_four), mtf_policy_free(of_none);
    mtf_sim_close(without), mtf_sim_close(with);
}

/* -- what is logged -- */

typedef struct watcher {
    const mtf_policy *policy;
    bool shared;
    int requests, explored, apart; /* apart: items whose draws differ */
} watcher;

static const mtf_policy *the_policy(void *self)
{
    return ((watcher *)self)->policy;
}

static void check_item(const watcher *w, const mtf_request *request, uint32_t i, double *places)
{
    const mtf_item *item = &request->items[i];
    float baseline[MTF_SIM_ACTIONS];
    assert_int_equal(item->features.count, MTF_SIM_FEATURES);
    mtf_policy_act_items(w->policy, request->state.data, 1, item->features.data,
                         item->predictions.data, baseline);
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
        const uint32_t at = i * MTF_SIM_ACTIONS + d;
        const double bp = request->baseline_action.data[at], low = request->lower.data[at];
        const double high = request->upper.data[at], a = request->action.data[at];
        mtf_assert_close(bp, baseline[d], 0, 1e-6);
        assert_true(low <= 0 && high >= 0 && bp + low >= -1 && bp + high <= 1);
        assert_true(a >= bp + low - 1e-7 && a <= bp + high + 1e-7);
        places[d] = high > low ? (a - bp - low) / (high - low) : 0;
        if (request->bucket == MTF_BUCKET_BASELINE) assert_true(a == bp && low == 0 && high == 0);
    }
}

static mtf_status look(void *self, const mtf_event *event, mtf_err *err)
{
    (void)err;
    watcher *w = self;
    if (event->kind != MTF_EVENT_REQUEST) return MTF_OK;
    const mtf_request *request = &event->body.request;
    assert_int_equal(request->item_count, MTF_SIM_SHOWN);
    assert_int_equal(request->action.count, MTF_SIM_SHOWN * MTF_SIM_ACTIONS);
    assert_int_equal(request->lower.count, MTF_SIM_SHOWN * MTF_SIM_ACTIONS);
    double first[MTF_SIM_ACTIONS], places[MTF_SIM_ACTIONS];
    for (uint32_t i = 0; i < MTF_SIM_SHOWN; i++) {
        check_item(w, request, i, i == 0 ? first : places);
        if (i == 0) continue;
        const bool same = fabs(first[3] - places[3]) < 1e-4 && fabs(first[7] - places[7]) < 1e-4;
        w->apart += !same;
        if (w->shared) assert_true(same);
    }
    w->requests++;
    w->explored += request->bucket == MTF_BUCKET_EXPLORE;
    return MTF_OK;
}

static void what_is_logged_of_each_item_is_what_was_served(void **state)
{
    (void)state;
    mtf_policy *policy = item_policy(MTF_SIM_FEATURES, down);
    for (int shared = 0; shared < 2; shared++) {
        mtf_sim *sim = open_sim(true, shared);
        watcher w = {.policy = policy, .shared = shared};
        const mtf_sim_service service = {.self = &w, .policy = the_policy, .emit = look};
        mtf_sim_counts counts;
        mtf_err err = {0};
        mtf_assert_ok(mtf_sim_run_round(sim, 0, &service, &counts, &err), &err);
        assert_int_equal(w.requests, counts.requests);
        assert_true(w.explored > 0 && w.explored < w.requests);
        if (!shared) assert_true(w.apart > 3 * w.explored);
        mtf_sim_close(sim);
    }
    mtf_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_action_per_item_of_zeros_is_one_of_zeros_for_all),
        cmocka_unit_test(days_are_the_same_by_either),
        cmocka_unit_test(knowing_the_item_is_worth_more_than_any_action_for_all),
        cmocka_unit_test(a_world_with_items_is_another_world),
        cmocka_unit_test(policies_of_other_items_are_refused),
        cmocka_unit_test(what_is_logged_of_each_item_is_what_was_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
