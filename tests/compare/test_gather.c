/** Goal: what is simulated is what is stored, and an A/B test says what users did. Method: a round
 *  of the simulator through the sessionizer's machine into a store, its rows added up again; users'
 *  days under an actor against the simulator's own evaluation. */
#include "support/mtf_test.h"

#include <math.h>

#include "compare/gather.h"

enum { USERS = 60, SESSIONS = 180 };

typedef struct fixture {
    mtf_settings settings;
    mtf_sim *sim;
    mtf_policy *policy; /* action 0 */
    mtf_scratch scratch;
} fixture;

static void open_fixture(fixture *f, mtf_sim_explore explore)
{
    mtf_err err = {0};
    const float zero[MTF_SIM_ACTIONS] = {0};
    mtf_action_table table;
    mtf_sim_config config = mtf_sim_config_default();
    *f = (fixture){0};
    config.users = USERS, config.sessions = SESSIONS, config.explore = explore;
    mtf_assert_ok(mtf_settings_init(&f->settings, &err), &err);
    mtf_assert_ok(mtf_sim_open(&config, &f->sim, &err), &err);
    mtf_assert_ok(mtf_action_table_parse(&table, f->settings.policy_actions, &err), &err);
    f->policy = mtf_policy_constant(MTF_SIM_STATE, &table, zero);
    assert_non_null(f->policy);
    f->policy->info.version = 1;
    f->policy->info.box = 0.15f;
    mtf_assert_ok(
        mtf_scratch_open(&f->scratch, &f->settings, table.count, table.prediction_count, &err),
        &err);
}

static void close_fixture(fixture *f)
{
    mtf_scratch_close(&f->scratch);
    mtf_policy_free(f->policy);
    mtf_sim_close(f->sim);
    mtf_settings_fini(&f->settings);
}

static mtf_gathered gather(fixture *f, uint32_t rounds)
{
    mtf_err err = {0};
    const mtf_gather config = {.settings = &f->settings, .sim = f->sim, .policy = f->policy};
    mtf_gathered out = {0};
    for (uint32_t r = 0; r < rounds; r++)
        mtf_assert_ok(mtf_gather_round(&config, r, &f->scratch, &out, &err), &err);
    return out;
}

/** Of all rows: how many, and their rewards' sum. */
static int64_t add_up(const fixture *f, double *reward, int64_t *ended)
{
    mtf_err err = {0};
    const mtf_row_shape shape = mtf_store_shape(f->scratch.store);
    mtf_store_cursor *cursor = mtf_store_scan(f->scratch.store, 0, UINT32_MAX, 0, 1);
    mtf_row row = {0};
    mtf_span value;
    int64_t rows = 0;
    *reward = 0, *ended = 0;
    while (mtf_store_next(cursor, &value, &err) == MTF_OK) {
        mtf_assert_ok(mtf_row_decode(&shape, value, &row, &err), &err);
        *reward += mtf_row_reward(&shape, &f->scratch.reward, &row);
        *ended += row.h.done;
        rows++;
    }
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return rows;
}

static void every_simulated_request_is_a_row(void **state)
{
    (void)state;
    fixture f;
    double reward;
    int64_t ended;
    open_fixture(&f, MTF_SIM_EXPLORE_BOX);
    const mtf_gathered out = gather(&f, 2);
    assert_int_equal(out.sessions, 2 * SESSIONS);
    assert_int_equal(add_up(&f, &reward, &ended), out.requests);
    assert_in_range(ended, 2 * SESSIONS - 5, 2 * SESSIONS); /* but those cut at the cap */
    assert_int_equal(f.scratch.bad + f.scratch.duplicates, 0);
    mtf_assert_close(reward, out.reward, 1e-9, 0);
    close_fixture(&f);
}

static int64_t beyond(const mtf_gathered *out, double edge)
{
    int64_t count = 0;
    for (int b = 0; b < MTF_NOISE_BINS; b++)
        if (fabs(b - (MTF_NOISE_BINS - 1) / 2.0) * MTF_NOISE_STEP > edge) count += out->noise[b];
    return count;
}

static void noise_is_where_it_was_drawn(void **state)
{
    (void)state;
    fixture box, gaussian;
    open_fixture(&box, MTF_SIM_EXPLORE_BOX);
    open_fixture(&gaussian, MTF_SIM_EXPLORE_GAUSSIAN);
    const mtf_gathered in = gather(&box, 1), out = gather(&gaussian, 1);
    const double all = (double)(out.requests * MTF_SIM_ACTIONS);
    assert_int_equal(beyond(&in, 0.161), 0);
    mtf_assert_close((double)beyond(&in, -1), (double)(in.requests * MTF_SIM_ACTIONS), 0, 0);
    /* Half a bin beyond 0.16: 0.17 / 0.2 standard deviations. */
    mtf_assert_close((double)beyond(&out, 0.161) / all, 0.395, 0.1, 0);
    close_fixture(&box);
    close_fixture(&gaussian);
}

static void days_are_what_the_simulator_says(void **state)
{
    (void)state;
    enum { MANY = 1500, VISITS = 3, DAYS = 2 };
    static mtf_sim_days first[MANY], again[MANY];
    fixture f;
    mtf_err err = {0};
    mtf_sim_value value;
    double valid = 0, watch = 0, worth = 0;
    open_fixture(&f, MTF_SIM_EXPLORE_NONE);
    const mtf_sim_actor actor = mtf_sim_actor_of(f.policy);
    mtf_assert_ok(mtf_sim_live(f.sim, &actor, MANY, VISITS, DAYS, NULL, first, &err), &err);
    mtf_assert_ok(mtf_sim_live(f.sim, &actor, MANY / 3, VISITS, DAYS, NULL, again, &err), &err);
    assert_memory_equal(first, again, MANY / 3 * sizeof *first); /* whoever else visits */
    mtf_assert_ok(mtf_sim_evaluate(f.sim, f.policy, 6000, 5, 1, NULL, &value, &err), &err);
    for (int u = 0; u < MANY; u++) {
        valid += (double)first[u].valid / MANY, watch += (double)first[u].watch / MANY;
        worth += (double)first[u].value / MANY;
    }
    const double lists = VISITS * value.session_requests * MTF_SIM_SHOWN;
    mtf_assert_close(worth, value.mean, 0.05, 0);
    mtf_assert_close(valid, lists * value.behaviours[0], 0.05, 0);
    mtf_assert_close(watch, lists * value.behaviours[1], 0.05, 0);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_simulated_request_is_a_row),
        cmocka_unit_test(noise_is_where_it_was_drawn),
        cmocka_unit_test(days_are_what_the_simulator_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
