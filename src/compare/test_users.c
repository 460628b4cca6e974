#include "compare/test_users.h"

#include <stdlib.h>

#include "learner/gauc.h"

#define TEST_SEED (UINT64_C(1) << 32) /* above any seed that is learned on */
#define DRAWS     200                 /* of the bootstrap */
#define VISITS    3                   /* a day */

void mtf_compare_set_lists(mtf_settings *settings, bool lists)
{
    settings->policy_list = lists ? MTF_SIM_SHOWN : 0;
    settings->policy_item_features = lists && settings->compare_items ? MTF_SIM_FEATURES : 0;
}

mtf_status mtf_compare_sim(const mtf_settings *s, mtf_sim_explore explore, bool shuffle,
                           uint64_t seed, uint32_t users, uint32_t sessions, mtf_sim **sim,
                           mtf_err *err)
{
    mtf_sim_config config = mtf_sim_config_default();
    config.seed = seed;
    config.users = users;
    config.sessions = sessions;
    config.explore = explore;
    config.shuffle_rewards = shuffle;
    config.box = s->policy_box;
    config.sigma = s->compare_sigma;
    config.separation_ms = 2 * (s->sessionize_gap_ms + s->sessionize_grace_ms);
    config.max_duration_ms = s->sessionize_max_duration_ms;
    config.items = s->compare_items;
    config.item_noise_shared = strcmp(s->policy_item_noise, "shared") == 0;
    config.actions = s->policy_actions;
    config.reward_weights = s->reward_weights;
    config.reward_clip = s->reward_clip;
    return mtf_sim_open(&config, sim, err);
}

mtf_status mtf_compare_world(const mtf_settings *settings, uint64_t *hash, mtf_err *err)
{
    mtf_sim *sim;
    if (settings->policy_state_dim != MTF_SIM_STATE)
        return mtf_fail(err, MTF_INVALID, "policy.state_dim: the simulator's states have %d",
                        MTF_SIM_STATE);
    const mtf_status status =
        mtf_compare_sim(settings, MTF_SIM_EXPLORE_BOX, false, 1, 1, 1, &sim, err);
    if (status) return status;
    *hash = mtf_sim_world_hash(sim);
    mtf_sim_close(sim);
    return MTF_OK;
}

mtf_policy *mtf_compare_initial(const mtf_settings *settings, const mtf_action_table *table,
                                const float *action, bool items)
{
    const uint32_t features = (uint32_t)settings->policy_item_features;
    const uint32_t own = items ? features + table->prediction_count : 0;
    mtf_policy *policy = mtf_policy_constant(MTF_SIM_STATE + own, table, action);
    if (!policy) return NULL;
    if (items) mtf_policy_set_items(policy, features);
    policy->info.version = 1;
    policy->info.box = (float)settings->policy_box;
    return policy;
}

/** All rows of the scratch, their states as they came. */
static mtf_status load_shown(const mtf_scratch *logs, mtf_cohort *shown, mtf_err *err)
{
    mtf_normaliser raw;
    size_t cut_count;
    const mtf_store_position *cut = mtf_store_positions(logs->store, &cut_count);
    mtf_selection selection = {.version = 1, .cut = cut, .cut_count = cut_count};
    mtf_status status = mtf_normaliser_init(&raw, logs->shape.state_dim, err);
    if (status) return status;
    for (uint32_t i = 0; i < raw.state_dim; i++) raw.mean[i] = 0, raw.deviation[i] = 1;
    const bool found = mtf_selection_days(&selection, logs->store);
    MTF_ASSERT(found);
    const mtf_cohort_config config = {.selection = &selection,
                                      .reward = &logs->reward,
                                      .normaliser = &raw,
                                      .gamma = 1,
                                      .rows_max = INT64_MAX,
                                      .rows = logs->rows};
    status = mtf_cohort_load(logs->store, &config, shown, err);
    mtf_normaliser_fini(&raw);
    return status;
}

/** What users are shown round the initial policy, in rows of the settings' kind. */
static mtf_status gather_shown(const mtf_test_users *test, const mtf_settings *settings,
                               const mtf_policy *initial, const atomic_bool *stop,
                               mtf_cohort *shown, mtf_err *err)
{
    mtf_scratch logs;
    mtf_gathered gathered = {0};
    const mtf_gather gather = {settings, test->sim, initial, stop};
    mtf_status status =
        mtf_scratch_open(&logs, settings, test->table.count, test->table.prediction_count, err);
    if (status == MTF_OK) status = mtf_gather_round(&gather, 0, &logs, &gathered, err);
    if (status == MTF_OK) status = load_shown(&logs, shown, err);
    mtf_scratch_close(&logs);
    return status;
}

/** Once in rows of requests and, if there are lists, once more in rows of those. */
static mtf_status gather_both(mtf_test_users *test, bool lists, const float *start,
                              const atomic_bool *stop, mtf_err *err)
{
    mtf_settings own;
    mtf_status status = mtf_settings_copy(test->settings, &own, err);
    if (status) return status;
    mtf_policy *initial = mtf_compare_initial(&own, &test->table, start, false);
    if (!initial) status = mtf_fail(err, MTF_NOMEM, "no memory for a policy");
    mtf_compare_set_lists(&own, false);
    if (status == MTF_OK) status = gather_shown(test, &own, initial, stop, &test->shown, err);
    mtf_compare_set_lists(&own, true);
    if (status == MTF_OK && lists)
        status = gather_shown(test, &own, initial, stop, &test->lists, err);
    mtf_policy_free(initial);
    mtf_settings_fini(&own);
    return status;
}

mtf_status mtf_test_users_open(mtf_test_users *test, const mtf_settings *settings, bool lists,
                               const float *start, uint64_t seed, const atomic_bool *stop,
                               mtf_err *err)
{
    const uint32_t users = (uint32_t)settings->compare_test_users;
    *test = (mtf_test_users){.settings = settings};
    mtf_status status = mtf_action_table_parse(&test->table, settings->policy_actions, err);
    if (status == MTF_OK)
        status = mtf_compare_sim(settings, MTF_SIM_EXPLORE_BOX, false, TEST_SEED + seed, users,
                                 VISITS * users, &test->sim, err);
    if (status == MTF_OK) status = gather_both(test, lists, start, stop, err);
    if (status) return status;
    const size_t numbers = test->shown.rows * MTF_SIM_ACTIONS * (lists ? MTF_SIM_SHOWN : 1);
    test->actions = malloc((numbers + 1) * sizeof *test->actions);
    return test->actions ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for the test users");
}

void mtf_test_users_close(mtf_test_users *test)
{
    if (test->sim) mtf_sim_close(test->sim);
    mtf_cohort_fini(&test->shown);
    mtf_cohort_fini(&test->lists);
    free(test->actions);
    *test = (mtf_test_users){0};
}

/** test->actions = the policy's for each item of lists. */
static void act_on_items(mtf_test_users *test, const mtf_policy *policy)
{
    const mtf_cohort *lists = &test->lists;
    const size_t S = lists->user_dim, own = policy->state_dim - S, A = MTF_SIM_ACTIONS;
    float state[MTF_POLICY_WIDTH_MAX];
    MTF_ASSERT(lists->rows > 0 && S + lists->list * (1 + own) == lists->state_dim);
    for (size_t i = 0; i < lists->rows; i++) {
        const float *s = lists->s + i * lists->state_dim;
        memcpy(state, s, S * sizeof *state);
        for (size_t j = 0; j < lists->list; j++) {
            memcpy(state + S, s + S + lists->list + j * own, own * sizeof *state);
            mtf_policy_act(policy, state, test->actions + (i * lists->list + j) * A);
        }
    }
}

/** test->actions = the actor's on what was shown, in the rows that are returned. */
static const mtf_cohort *act_on_shown(mtf_test_users *test, const mtf_sim_actor *actor)
{
    const mtf_cohort *shown = &test->shown;
    if (!actor->items) {
        actor->act(actor->self, shown->rows, shown->s, test->actions);
        return shown;
    }
    act_on_items(test, actor->items);
    return &test->lists;
}

void mtf_test_users_drift(mtf_test_users *test, const mtf_sim_actor *actor,
                          double drift[MTF_SIM_ACTIONS])
{
    const mtf_cohort *shown = act_on_shown(test, actor);
    const size_t count = shown->rows * (shown->list ? shown->list : 1);
    memset(drift, 0, MTF_SIM_ACTIONS * sizeof *drift);
    for (size_t i = 0; i < count; i++) /* every simulated list is full */
        for (size_t d = 0; d < MTF_SIM_ACTIONS; d++)
            drift[d] += (double)test->actions[i * MTF_SIM_ACTIONS + d] / (double)count;
}

mtf_status mtf_test_users_judge(mtf_test_users *test, const mtf_sim_actor *actor,
                                const atomic_bool *stop, mtf_compare_result *result, mtf_err *err)
{
    const mtf_cohort *shown = act_on_shown(test, actor);
    const mtf_gauc_options options = {.group = MTF_GAUC_USER};
    mtf_gauc_figures gauc;
    mtf_status status = mtf_gauc_make(shown, &test->table, test->actions, shown->bp, &options,
                                      DRAWS, 1, &gauc, err);
    if (status) return status;
    result->gauc = gauc.policy.value;
    result->gauc_low = gauc.policy.low, result->gauc_high = gauc.policy.high;
    result->users = (uint32_t)test->settings->compare_test_users;
    result->days = calloc(result->users, sizeof *result->days);
    if (!result->days) return mtf_fail(err, MTF_NOMEM, "no memory for the test users");
    return mtf_sim_live(test->sim, actor, result->users, VISITS,
                        (uint32_t)test->settings->compare_days, stop, result->days, err);
}
