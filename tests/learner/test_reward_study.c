/** The reward's tools say what the rows hold: sums counted by hand, correlations against their
 *  formula and a known truth, intervals that cover as often as they say, weights whose meaning is
 *  stated. Rows of a made-up world in a real store, and studies made up whole. */
#include "data_fixture.h"

#include "learner/reward_study.h"

/** Session `index` of the usual world, its items' signals set to what the caller says. */
typedef void signals_fn(uint64_t user, uint32_t step, uint32_t item, double *valid, double *watch);

static mtf_store *fill(mtf_settings *settings, signals_fn *signals, uint64_t sessions)
{
    const data_world world = {.seed = 5, .noise = 0.1, .half_width = 0.15f, .version = 1};
    mtf_store *store = data_store(settings);
    mtf_err err = {0};
    for (uint64_t i = 0; i < sessions; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        for (uint32_t s = 0; s < made.session.step_count; s++) {
            for (uint32_t k = 0; k < 2; k++) {
                double valid, watch;
                signals(i / 3, s, k, &valid, &watch);
                made.signals[s][k][0] = (mtf_signal){mtf_str_of("valid"), valid};
                made.signals[s][k][1] = (mtf_signal){mtf_str_of("watch"), watch};
            }
        }
        data_session_store(store, settings, &made.session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(store, &err), &err);
    return store;
}

static void with_store(signals_fn *signals, uint64_t sessions, const char *weights,
                       int64_t rows_max, mtf_reward_study *study)
{
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_err err = {0};
    mtf_test_folder(folder);
    data_settings(&settings, folder);
    mtf_store *store = fill(&settings, signals, sessions);
    data_set(&settings, "reward.weights", weights);
    const mtf_reward reward = data_reward(&settings);
    mtf_assert_ok(mtf_reward_study_make(store, &reward, rows_max, study, &err), &err);
    mtf_store_close(store);
    mtf_settings_fini(&settings);
    mtf_test_folder_remove(folder);
}

static void simple(uint64_t user, uint32_t step, uint32_t item, double *valid, double *watch)
{
    *valid = (user + step) % 2 && item == 0;
    *watch = item == 0 ? 1 + step : user % 4 == 0 ? 5 : 0; /* clip 2 */
}

static void sums_and_shares_are_those_of_the_rows(void **state)
{
    (void)state;
    enum { SESSIONS = 60 };
    mtf_reward_study study;
    with_store(simple, SESSIONS, "valid=1 watch=0.5", 1000000, &study);
    assert_int_equal(study.users, SESSIONS / 3);
    assert_true(study.share == 1 && study.terms == 2);
    assert_int_equal(study.items, 2 * study.requests);
    /* The same again, straight from the sessions. */
    const data_world world = {.seed = 5, .noise = 0.1, .half_width = 0.15f, .version = 1};
    double n = 0, sum[2] = {0}, product[2][2] = {{0}}, present[2] = {0}, clipped = 0;
    double users[SESSIONS / 3][3] = {{0}}, seen = 0;
    for (uint64_t i = 0; i < SESSIONS; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        for (uint32_t s = 0; s < made.session.step_count; s++) {
            double request[2] = {0};
            for (uint32_t k = 0; k < 2; k++) {
                double valid, watch;
                simple(i / 3, s, k, &valid, &watch);
                request[0] += valid, request[1] += fmin(watch, 2);
                present[0] += valid != 0, present[1] += watch != 0, clipped += watch > 2;
            }
            n++;
            for (int a = 0; a < 2; a++) {
                sum[a] += request[a];
                users[i / 3][a] += request[a];
                for (int b = 0; b < 2; b++) product[a][b] += request[a] * request[b];
            }
            users[i / 3][2]++;
        }
    }
    assert_int_equal(study.requests, (int64_t)n);
    for (int a = 0; a < 2; a++) {
        mtf_assert_close(study.mean[a], sum[a] / n, 1e-12, 0);
        mtf_assert_close(study.present[a], present[a] / (2 * n), 1e-12, 0);
        for (int b = 0; b < 2; b++)
            mtf_assert_close(study.covariance[a][b], product[a][b] / n - sum[a] * sum[b] / n / n,
                             1e-9, 1e-12);
    }
    mtf_assert_close(study.clipped[1], clipped / (2 * n), 1e-12, 0);
    mtf_assert_close(study.clipped[0], 0, 0, 0);
    /* Users come in the order of their hashes: each of ours must be there once. */
    for (size_t u = 0; u < SESSIONS / 3; u++)
        for (size_t v = 0; v < study.users; v++)
            seen += study.totals[v * 3] == users[u][0] && study.totals[v * 3 + 1] == users[u][1] &&
                    study.totals[v * 3 + 2] == users[u][2];
    assert_true(seen >= SESSIONS / 3);
    const double weights[] = {1, 0.5};
    const double variance =
        study.covariance[0][0] + study.covariance[0][1] + 0.25 * study.covariance[1][1];
    mtf_assert_close(mtf_reward_deviation(&study, weights), sqrt(variance), 1e-12, 0);
    mtf_assert_close(mtf_reward_share(&study, weights, 0) + mtf_reward_share(&study, weights, 1), 1,
                     1e-12, 0);
    mtf_reward_study_fini(&study);
}

static void the_order_of_the_settings_does_not_matter(void **state)
{
    (void)state;
    mtf_reward_study one, two;
    with_store(simple, 60, "valid=1 watch=0.5", 1000000, &one);
    with_store(simple, 60, "watch=0.5 valid=1", 1000000, &two);
    assert_string_equal(two.reward.terms[0].name, "valid");
    assert_int_equal(two.reward.label, 0);
    mtf_assert_close(two.reward.terms[1].weight, 0.5, 0, 0);
    mtf_assert_close(two.reward.terms[1].clip, 2, 0, 0);
    assert_memory_equal(one.mean, two.mean, sizeof one.mean);
    assert_memory_equal(one.covariance, two.covariance, sizeof one.covariance);
    mtf_reward_study_fini(&one);
    mtf_reward_study_fini(&two);
}

static void other_signals_than_the_stores_are_named(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_reward_study study;
    mtf_err err = {0};
    static const char *const cases[][2] = {
        {"valid=1", "\"watch\": the store's rows have it; name it, with a weight of 0"},
        {"valid=1 watch=1 like=1", "\"like\": the store's rows do not have it"},
        {"valid=1 like=1", "\"watch\""},
    };
    mtf_test_folder(folder);
    data_settings(&settings, folder);
    mtf_store *store = fill(&settings, simple, 6);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_reward reward;
        mtf_assert_ok(mtf_reward_parse(&reward, cases[i][0], "", &err), &err);
        assert_int_equal(mtf_reward_study_make(store, &reward, 100, &study, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i][1])) fail_msg("'%s' lacks '%s'", err.msg, cases[i][1]);
    }
    mtf_store_close(store);
    mtf_settings_fini(&settings);
    mtf_test_folder_remove(folder);
}

static void a_large_store_is_sampled_by_whole_users(void **state)
{
    (void)state;
    mtf_reward_study all, some;
    with_store(simple, 300, "valid=1 watch=0.5", 1000000, &all);
    with_store(simple, 300, "valid=1 watch=0.5", all.requests / 4, &some);
    assert_true(some.share == 5 || some.share == 4);
    assert_in_range(some.users, 5, 50); /* of 100 */
    for (size_t u = 0; u < some.users; u++) {
        bool found = false;
        for (size_t v = 0; v < all.users && !found; v++)
            found = memcmp(some.totals + u * 3, all.totals + v * 3, 3 * sizeof(double)) == 0;
        assert_true(found);
    }
    mtf_reward_study_fini(&all);
    mtf_reward_study_fini(&some);
}

/* -- made-up studies --------------------------------------------- */

enum { BEHAVIOURS = 4 }; /* time, liked, disliked, noise */

/** Users whose activity differs by far; per request, liking goes with staying and disliking
 *  against it. */
static mtf_reward_study make_up(uint64_t seed, size_t users, double strength)
{
    mtf_reward_study study = {.terms = BEHAVIOURS, .share = 1, .users = users};
    mtf_rng rng = mtf_rng_of(seed, 1);
    study.totals = calloc(users, (BEHAVIOURS + 1) * sizeof *study.totals);
    assert_non_null(study.totals);
    for (size_t u = 0; u < users; u++) {
        double *total = study.totals + u * (BEHAVIOURS + 1);
        const double taste = mtf_rng_normal(&rng);
        const double requests = floor(exp(3 + 0.8 * mtf_rng_normal(&rng) + strength * taste)) + 1;
        total[0] = requests * 20;
        total[1] = requests * (3 + taste + mtf_rng_normal(&rng));
        total[2] = requests * (3 - taste + mtf_rng_normal(&rng));
        total[3] = requests * (3 + mtf_rng_normal(&rng));
        total[4] = requests;
    }
    const char *const names[] = {"watch", "like", "hide", "noise"};
    study.reward.count = BEHAVIOURS;
    for (size_t k = 0; k < BEHAVIOURS; k++) {
        snprintf(study.reward.terms[k].name, sizeof study.reward.terms[k].name, "%s", names[k]);
        study.reward.terms[k].weight = 1;
        study.covariance[k][k] = 1 + (double)k;
    }
    return study;
}

static void correlations_are_pearsons(void **state)
{
    (void)state;
    mtf_estimate c[BEHAVIOURS];
    mtf_err err = {0};
    mtf_reward_study study = make_up(mtf_test_seed(31), 400, 0.5);
    for (int rates = 0; rates < 2; rates++) {
        mtf_assert_ok(mtf_reward_correlations(&study, 0, rates, 100, 1, c, &err), &err);
        for (size_t k = 1; k < BEHAVIOURS; k++) {
            double mx = 0, mt = 0, xx = 0, tt = 0, xt = 0;
            for (size_t u = 0; u < study.users; u++) {
                const double *t = study.totals + u * 5;
                mx += t[k] / (rates ? t[4] : 1) / 400, mt += t[0] / 400;
            }
            for (size_t u = 0; u < study.users; u++) {
                const double *t = study.totals + u * 5;
                const double x = t[k] / (rates ? t[4] : 1) - mx, y = t[0] - mt;
                xx += x * x, tt += y * y, xt += x * y;
            }
            mtf_assert_close(c[k].value, xt / sqrt(xx * tt), 1e-9, 1e-12);
            assert_true(c[k].low < c[k].value && c[k].value < c[k].high);
        }
    }
    mtf_reward_study_fini(&study);
}

static void activity_hides_in_totals_what_rates_show(void **state)
{
    (void)state;
    mtf_estimate totals[BEHAVIOURS], rates[BEHAVIOURS], weights[BEHAVIOURS];
    mtf_err err = {0};
    mtf_reward_study study = make_up(mtf_test_seed(32), 2000, 0.5);
    mtf_assert_ok(mtf_reward_correlations(&study, 0, false, 200, 1, totals, &err), &err);
    mtf_assert_ok(mtf_reward_correlations(&study, 0, true, 200, 1, rates, &err), &err);
    mtf_assert_close(totals[0].value, 1, 1e-9, 0);
    assert_true(isnan(rates[0].value)); /* 20 seconds a request for everybody */
    assert_true(totals[2].low > 0);     /* even hiding goes with coming often */
    assert_true(rates[1].low > 0 && rates[2].high < 0);
    assert_true(rates[3].low < 0 && rates[3].high > 0);
    mtf_reward_suggest(&study, rates, weights);
    assert_true(weights[0].value == 0 && weights[3].value == 0);
    assert_true(weights[1].value > 0 && weights[2].value < 0);
    /* A correlation over the deviation, scaled so that the reward keeps its own. */
    mtf_assert_close(weights[1].value / weights[2].value,
                     rates[1].value / sqrt(2) / (rates[2].value / sqrt(3)), 1e-9, 0);
    const double now[] = {1, 1, 1, 1}, then[] = {0, weights[1].value, weights[2].value, 0};
    mtf_assert_close(mtf_reward_deviation(&study, then), mtf_reward_deviation(&study, now), 1e-9,
                     0);
    mtf_assert_close(weights[1].low / weights[1].value, rates[1].low / rates[1].value, 1e-9, 0);
    mtf_reward_study_fini(&study);
}

static void intervals_cover_the_truth_as_often_as_they_say(void **state)
{
    (void)state;
    enum { WORLDS = 200 };
    const uint64_t seed = mtf_test_seed(33);
    mtf_estimate c[BEHAVIOURS], truth[BEHAVIOURS];
    mtf_err err = {0};
    mtf_reward_study large = make_up(seed, 400000, 0.3);
    mtf_assert_ok(mtf_reward_correlations(&large, 0, true, 1, 1, truth, &err), &err);
    mtf_reward_study_fini(&large);
    int covered = 0;
    for (uint64_t w = 1; w <= WORLDS; w++) {
        mtf_reward_study study = make_up(seed + w, 300, 0.3);
        mtf_assert_ok(mtf_reward_correlations(&study, 0, true, 200, w, c, &err), &err);
        covered += c[1].low <= truth[1].value && truth[1].value <= c[1].high;
        mtf_reward_study_fini(&study);
    }
    print_message("covered %d of %d\n", covered, WORLDS);
    assert_in_range(covered, WORLDS * 87 / 100, WORLDS * 99 / 100);
}

static void nothing_told_from_none_gives_no_weights(void **state)
{
    (void)state;
    mtf_estimate weights[BEHAVIOURS];
    const double nan = (double)NAN;
    const mtf_estimate unsure[BEHAVIOURS] = {{.value = 0.1, .low = -0.1, .high = 0.3},
                                             {.value = nan, .low = nan, .high = nan},
                                             {.value = 0},
                                             {.value = -0.1, .low = -0.2, .high = 0.01}};
    mtf_reward_study study = make_up(1, 20, 0.5);
    mtf_reward_suggest(&study, unsure, weights);
    for (size_t k = 0; k < BEHAVIOURS; k++)
        assert_true(weights[k].value == 0 && weights[k].low == 0 && weights[k].high == 0);
    mtf_reward_study_fini(&study);
}

static void a_handful_of_users_is_refused(void **state)
{
    (void)state;
    mtf_estimate c[BEHAVIOURS];
    mtf_err err = {0};
    mtf_reward_study study = make_up(1, MTF_REWARD_USERS_MIN - 1, 0.5);
    assert_int_equal(mtf_reward_correlations(&study, 0, true, 100, 1, c, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "the store has 9 users"));
    mtf_reward_study_fini(&study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_shares_are_those_of_the_rows),
        cmocka_unit_test(the_order_of_the_settings_does_not_matter),
        cmocka_unit_test(other_signals_than_the_stores_are_named),
        cmocka_unit_test(a_large_store_is_sampled_by_whole_users),
        cmocka_unit_test(correlations_are_pearsons),
        cmocka_unit_test(activity_hides_in_totals_what_rates_show),
        cmocka_unit_test(intervals_cover_the_truth_as_often_as_they_say),
        cmocka_unit_test(nothing_told_from_none_gives_no_weights),
        cmocka_unit_test(a_handful_of_users_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
