/** A version that does worse than its parent is told from one that does not, whatever the hour they
 *  served in. Method: sessions of a known world in a real store, under two versions whose rewards
 *  differ by what the test says. */
#include "data_fixture.h"

#include "learner/served.h"

enum { PARENT = 1, CHILD = 2, DAY = 1440 /* sessions: one a minute */ };

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_reward reward;
    mtf_store *store;
    int64_t offset;
    bool other_users; /* of serve() */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    f->reward = data_reward(&f->settings);
    f->store = data_store(&f->settings);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mtf_store_close(f->store);
    mtf_settings_fini(&f->settings);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

/** Sessions first .. first + count - 1 of minutes since day 100, under a version. A request brings
 *  `more` than it would, and from 18:00 on, UTC, everybody's brings `evening` more. */
static void put(fixture *f, int64_t version, uint64_t first, uint64_t count, double more,
                double evening)
{
    const data_world world = {.seed = 9, .noise = 0.3, .half_width = 0.15f, .version = version};
    for (uint64_t i = first; i < first + count; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        const bool late = i % DAY >= 18 * 60;
        for (uint32_t k = 0; k < made.session.step_count; k++)
            made.signals[k][0][0].value += more + (late ? evening : 0);
        if (f->other_users) made.user[0] = 'o', made.session.session_id[0] ^= 0xff;
        data_session_store(f->store, &f->settings, &made.session, f->offset++);
    }
}

static void commit(fixture *f)
{
    mtf_err err = {0};
    const mtf_store_position position = {.next = f->offset, .last = f->offset - 1};
    mtf_assert_ok(mtf_store_set_position(f->store, &position, &err), &err);
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
}

static void serve(fixture *f, int64_t version, uint64_t first, uint64_t count, double more,
                  double evening)
{
    put(f, version, first, count, more, evening);
    commit(f);
}

/** The same minutes, but other users than serve()'s. */
static void serve_users(fixture *f, int64_t version, uint64_t first, uint64_t count, double more)
{
    f->other_users = true;
    serve(f, version, first, count, more, 0);
    f->other_users = false;
}

static mtf_served compare_as(const fixture *f, int64_t parent, int64_t child, uint32_t days,
                             bool side_by_side)
{
    const mtf_served_config config = {.store = f->store,
                                      .reward = &f->reward,
                                      .child = child,
                                      .parent = parent,
                                      .days = days,
                                      .side_by_side = side_by_side,
                                      .sessions_max = 1000000,
                                      .draws = 200,
                                      .seed = 1};
    mtf_err err = {0};
    mtf_served out;
    mtf_assert_ok(mtf_served_compare(&config, &out, &err), &err);
    return out;
}

static mtf_served compare(const fixture *f, uint32_t days)
{
    return compare_as(f, PARENT, CHILD, days, false);
}

static mtf_served compare_hours(const fixture *f)
{
    return compare_as(f, PARENT, CHILD, 7, true);
}

static const mtf_served_limits LIMITS = {.z = 3, .fall = 0.05, .sessions = 500, .overlap = 0.9};

static void an_equal_child_is_none_the_worse(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 0, 0);
    serve(f, CHILD, DAY, DAY, 0, 0);
    const mtf_served served = compare(f, 7);
    assert_int_equal(served.child_sessions, DAY);
    assert_int_equal(served.parent_sessions, DAY);
    mtf_assert_close(served.overlap, 1, 0, 0);
    mtf_assert_close(served.difference.value, 0, 0, 4 * served.difference.se);
    assert_true(served.difference.se > 0 && served.difference.se < 0.2);
    mtf_assert_close(served.difference.value, served.child.value - served.parent.value, 0, 1e-9);
    mtf_assert_close(served.parent.value, 3.5, 0, 0.3); /* requests a session, of 1 each */
    assert_false(mtf_served_worse(&served, &LIMITS));
}

static void a_worse_child_is_told_by_value_error_and_amount(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 0, 0);
    serve(f, CHILD, DAY, DAY, -0.4, 0);
    const mtf_served served = compare(f, 7);
    mtf_assert_close(served.difference.value, -0.4 * 3.5, 0, 4 * served.difference.se);
    assert_true(served.difference.z < -6);
    assert_true(mtf_served_worse(&served, &LIMITS));
    mtf_served_limits limits = LIMITS;
    limits.z = 1000;
    assert_false(mtf_served_worse(&served, &limits));
    limits = LIMITS, limits.fall = 0.9;
    assert_false(mtf_served_worse(&served, &limits));
    limits = LIMITS, limits.sessions = DAY + 1;
    assert_false(mtf_served_worse(&served, &limits));
}

/* The evening brings less to everybody, and the child has had little else yet. */
static void the_hour_of_the_day_is_not_the_childs_fault(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 0, -0.8);
    serve(f, CHILD, DAY + 17 * 60, 7 * 60, 0, -0.8);
    const mtf_served served = compare(f, 7);
    assert_int_equal(served.child_sessions, 7 * 60);
    assert_int_equal(served.parent_sessions, 7 * 60);
    mtf_assert_close(served.difference.value, 0, 0, 4 * served.difference.se);
    assert_true(served.parent.value < 2); /* the evening's, not the day's */
}

/* A weekend: everybody brings less from the child's first day on. Users are split by lot. */
static void side_by_side_a_day_is_nobodys_fault(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 2, 0);
    serve(f, PARENT, DAY, DAY, 0, 0);
    serve_users(f, CHILD, DAY, DAY, -0.4);
    const mtf_served after = compare(f, 7);
    assert_true(after.difference.z < -6); /* the parent's better day counts against the child */
    const mtf_served served = compare_hours(f);
    assert_int_equal(served.child_sessions, DAY);
    assert_int_equal(served.parent_sessions, DAY);
    mtf_assert_close(served.overlap, 1, 0, 0);
    mtf_assert_close(served.difference.value, -0.4 * 3.5, 0, 4 * served.difference.se);
    assert_true(served.difference.value > after.difference.value / 2);
}

/** Side by side, at limits of canary.z: equal versions pass at the rate of a normal, one that
 * brings two standard errors less seldom does. */
static void equal_canaries_pass_at_the_rate_that_the_setting_promises(void **state)
{
    enum { PAIRS = 300, SESSIONS = 300 };
    static const double limits[] = {-1, 0, 1};
    fixture *f = *state;
    int passed[3] = {0}, worse_passed = 0;
    double square = 0;
    for (int n = 0; n < PAIRS; n++) {
        const uint64_t day = (uint64_t)(n + 3000) * DAY;
        const int64_t parent = 100 + 2 * n, child = parent + 1;
        for (uint64_t i = 0; i < 2 * SESSIONS; i += 6) { /* users have three sessions */
            put(f, parent, day + i, 3, 0, 0);
            put(f, child, day + i + 3, 3, 0, 0);
        }
        commit(f);
        const mtf_served served = compare_as(f, parent, child, 0, true);
        const double z = served.difference.z;
        for (int k = 0; k < 3; k++) passed[k] += z >= limits[k];
        worse_passed += z - 2 >= limits[0];
        square += z * z / PAIRS;
    }
    for (int k = 0; k < 3; k++) {
        const double share = 0.5 * erfc(limits[k] / sqrt(2));
        print_message("canary.z %g: %d of %d equal ones pass, %.0f promised; sd of z %.2f\n",
                      limits[k], passed[k], PAIRS, share * PAIRS, sqrt(square));
        mtf_assert_close(passed[k], share * PAIRS, 0, 3 * sqrt(share * (1 - share) * PAIRS));
    }
    mtf_assert_close(worse_passed, 0.159 * PAIRS, 0, 3 * sqrt(0.159 * 0.841 * PAIRS));
}

static void side_by_side_hours_of_another_day_do_not_count(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 0, 0);
    serve_users(f, CHILD, DAY, DAY / 2, 0);
    const mtf_served served = compare_hours(f);
    assert_int_equal(served.child_sessions, 0);
    assert_true(isnan(served.difference.z));
    serve(f, PARENT, DAY + DAY / 4, DAY / 2, 0, 0);
    const mtf_served half = compare_hours(f);
    assert_int_equal(half.child_sessions, DAY / 4);
    assert_int_equal(half.parent_sessions, DAY / 4);
    mtf_assert_close(half.overlap, 0.5, 0, 1e-12);
}

static void hours_that_the_parent_never_served_are_no_evidence(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, 12 * 60, 0, 0);
    serve(f, CHILD, DAY, DAY, -0.4, 0);
    const mtf_served served = compare(f, 7);
    assert_int_equal(served.child_sessions, 12 * 60);
    mtf_assert_close(served.overlap, 0.5, 0, 1e-12);
    assert_true(served.difference.z < -3);
    assert_false(mtf_served_worse(&served, &LIMITS)); /* of half of it only */
}

static void old_days_of_the_parent_are_left_out(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 5, 0);
    serve(f, PARENT, 9 * DAY, DAY, 0, 0);
    serve(f, CHILD, 10 * DAY, DAY, 0, 0);
    assert_int_equal(compare(f, 7).parent_sessions, DAY);
    assert_int_equal(compare(f, 10).parent_sessions, 2 * DAY);
}

static void where_either_served_nobody_nothing_is_said(void **state)
{
    fixture *f = *state;
    mtf_served served = compare(f, 7);
    assert_true(isnan(served.difference.value));
    assert_false(mtf_served_worse(&served, &LIMITS));
    serve(f, PARENT, 0, 100, 0, 0);
    served = compare(f, 7);
    assert_true(isnan(served.difference.value) && served.parent_sessions == 0);
    assert_false(mtf_served_worse(&served, &LIMITS));
}

/* Side by side: the same hours and days, other users; a bad day is everybody's. */
static void a_bad_day_is_not_the_childs_fault_where_both_serve(void **state)
{
    fixture *f = *state;
    serve(f, PARENT, 0, DAY, 0, 0);
    for (uint64_t minute = DAY; minute < 2 * DAY; minute += 6) { /* users have three sessions */
        serve(f, PARENT, minute, 3, -0.8, 0);
        serve(f, CHILD, minute + 3, 3, -0.8, 0);
    }
    const mtf_served served = compare(f, 0);
    assert_int_equal(served.child_sessions, DAY / 2);
    assert_int_equal(served.parent_sessions, DAY / 2); /* of the day that both served */
    mtf_assert_close(served.difference.value, 0, 0, 4 * served.difference.se);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_equal_child_is_none_the_worse),
        TEST(a_worse_child_is_told_by_value_error_and_amount),
        TEST(the_hour_of_the_day_is_not_the_childs_fault),
        TEST(equal_canaries_pass_at_the_rate_that_the_setting_promises),
        TEST(side_by_side_a_day_is_nobodys_fault),
        TEST(side_by_side_hours_of_another_day_do_not_count),
        TEST(hours_that_the_parent_never_served_are_no_evidence),
        TEST(old_days_of_the_parent_are_left_out),
        TEST(where_either_served_nobody_nothing_is_said),
        TEST(a_bad_day_is_not_the_childs_fault_where_both_serve),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
