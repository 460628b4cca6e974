/** A round trains on exactly the rows it may, normalised as the survey says, in batches that depend
 *  on the step alone. Counted against a plain walk over the sessions that were stored. */
#include "data_fixture.h"

#include "core/hash.h"
#include "learner/cohort.h"
#include "learner/slice.h"
#include "learner/store_inside.h"

static const data_world world = {
    .seed = 3, .slope = {1, 0}, .noise = 0.2, .half_width = 0.15f, .version = 5};

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_reward reward;
    mtf_store *store;
    mtf_store_position cut;
    mtf_selection selection;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    f->reward = data_reward(&f->settings);
    f->store = data_store(&f->settings);
    f->cut = (mtf_store_position){.partition = 0, .next = INT64_MAX};
    f->selection = (mtf_selection){.version = 5,
                                   .holdout_percent = 10,
                                   .cut = &f->cut,
                                   .cut_count = 1,
                                   .day_last = UINT32_MAX};
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

static mtf_survey survey(fixture *f, mtf_normaliser *normaliser)
{
    mtf_survey found;
    mtf_err err = {0};
    mtf_assert_ok(mtf_survey_make(f->store, &f->selection, &f->reward, &found, normaliser, &err),
                  &err);
    return found;
}

static bool is_heldout(const data_session *made)
{
    return mtf_hash64(made->user, strlen(made->user)) % 100 < 10;
}

/** Rows of sessions [first, limit) of users held out or not. */
static int64_t count_rows(const data_world *of, uint64_t first, uint64_t limit, bool heldout)
{
    int64_t rows = 0;
    for (uint64_t i = first; i < limit; i++) {
        data_session made;
        data_session_make(of, i, &made);
        if (is_heldout(&made) == heldout) rows += made.session.step_count;
    }
    return rows;
}

static void only_the_champions_explored_rows_below_the_cut_train(void **state)
{
    fixture *f = *state;
    data_world old = world, control = world;
    old.version = 4;
    control.bucket = MTF_BUCKET_CONTROL;
    data_fill(f->store, &f->settings, &world, 0, 300);
    data_fill(f->store, &f->settings, &old, 300, 100);
    const int64_t unexplored = count_rows(&control, 400, 500, false);
    data_fill(f->store, &f->settings, &control, 400, 100);
    f->cut.next = 450;
    mtf_survey found = survey(f, NULL);
    assert_int_equal(found.rows, count_rows(&world, 0, 300, false));
    assert_true(found.unexplored > 0 && found.unexplored < unexplored);
    assert_int_equal(found.older, 0);
    const int64_t unexplored_found = found.unexplored;
    assert_int_equal(found.heldout_rows,
                     count_rows(&world, 0, 300, true) + count_rows(&control, 400, 450, true));
    f->cut.next = 200;
    found = survey(f, NULL);
    assert_int_equal(found.rows, count_rows(&world, 0, 200, false));
    f->cut.next = 450;
    f->selection.reach = INT64_MAX;
    const mtf_survey wide = survey(f, NULL);
    assert_int_equal(wide.rows, count_rows(&world, 0, 400, false));
    assert_int_equal(wide.older, count_rows(&old, 300, 400, false));
    /* what is judged stays the champion's */
    assert_int_equal(wide.heldout_rows,
                     count_rows(&world, 0, 300, true) + count_rows(&control, 400, 450, true));
    assert_int_equal(wide.unexplored, unexplored_found);
    f->selection.reach = 1;
    assert_int_equal(survey(f, NULL).rows, wide.rows);
    f->selection.version = 6, f->selection.reach = 1;
    found = survey(f, NULL);
    assert_int_equal(found.rows, count_rows(&world, 0, 300, false));
    assert_int_equal(found.older, found.rows);
    assert_false(found.exploring);                            /* the champion's own rows do not */
    f->selection.version = 4, f->selection.reach = INT64_MAX; /* never a newer one */
    assert_int_equal(survey(f, NULL).rows, count_rows(&old, 300, 400, false));
    f->selection.version = 5;
    f->cut.partition = 1; /* a partition not in the cut gives nothing */
    assert_int_equal(survey(f, NULL).rows, 0);
}

static void truncated_rows_are_left_out_and_counted(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    for (uint64_t i = 0; i < 40; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        made.session.truncated_tail = i % 2;
        data_session_store(f->store, &f->settings, &made.session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    int64_t truncated = 0;
    for (uint64_t i = 1; i < 40; i += 2) {
        data_session made;
        data_session_make(&world, i, &made);
        truncated += !is_heldout(&made);
    }
    const mtf_survey found = survey(f, NULL);
    assert_int_equal(found.truncated, truncated);
    assert_int_equal(found.rows, count_rows(&world, 0, 40, false) - truncated);
}

static void the_survey_measures_states_rewards_and_boxes(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_fill(f->store, &f->settings, &world, 0, 2000);
    const mtf_survey found = survey(f, &normaliser);
    assert_true(found.exploring);
    assert_int_equal(found.items_max, 2);
    mtf_assert_close(found.reward_mean, 1, 0, 0.05);
    /* var = 0.5^2 + 0.2^2 + 0.15^2 / 3 */
    mtf_assert_close(found.reward_deviation, sqrt(0.25 + 0.04 + 0.0075), 0.05, 0);
    for (int k = 0; k < DATA_S; k++) {
        mtf_assert_close((double)normaliser.mean[k], 0, 0, 0.06);
        mtf_assert_close((double)normaliser.deviation[k], 1, 0, 0.06);
    }
    const float state_in[DATA_S] = {normaliser.mean[0], NAN, INFINITY, 1};
    float x[DATA_S];
    mtf_normalise(&normaliser, state_in, x);
    assert_true(x[0] == 0 && x[1] == 0 && x[2] == 0 && x[3] != 0);
    mtf_normaliser_fini(&normaliser);
}

static void a_world_without_boxes_does_not_explore(void **state)
{
    fixture *f = *state;
    data_world still = world;
    still.half_width = 0;
    data_fill(f->store, &f->settings, &still, 0, 100);
    assert_false(survey(f, NULL).exploring);
}

static void a_constant_feature_is_not_blown_up(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    for (uint64_t i = 0; i < 30; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        for (uint32_t k = 0; k < made.session.step_count; k++) made.floats[k][2] = 0.25f;
        data_session_store(f->store, &f->settings, &made.session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    survey(f, &normaliser);
    assert_true(normaliser.mean[2] == 0.25f && normaliser.deviation[2] == 1);
    mtf_normaliser_fini(&normaliser);
}

/** A feed over everything, normalised by a fixed normaliser. */
static mtf_feed *open_feed(fixture *f, const mtf_normaliser *normaliser, size_t bytes_max,
                           uint64_t round, uint64_t steps)
{
    const mtf_survey found = survey(f, NULL);
    const mtf_feed_config config = {
        .selection = f->selection,
        .reward = &f->reward,
        .normaliser = normaliser,
        .rows = found.rows,
        .states = found.states,
        .bytes_max = bytes_max,
        .seed = 11,
        .round = round,
        .batch = 16,
        .steps = steps,
    };
    mtf_feed *feed;
    mtf_err err = {0};
    mtf_assert_ok(mtf_feed_open(f->store, &config, &feed, &err), &err);
    return feed;
}

static const mtf_batch *batch_at(mtf_feed *feed, uint64_t step)
{
    const mtf_batch *batch;
    mtf_err err = {0};
    mtf_assert_ok(mtf_feed_batch(feed, step, &batch, &err), &err);
    return batch;
}

static uint64_t digest(const mtf_batch *batch)
{
    const size_t floats = batch->rows * (2 * DATA_S + 7 * DATA_A + 3);
    return mtf_hash64(batch->s, floats * sizeof(float)); /* s is the start of the batch's block */
}

static void a_batch_depends_on_seed_round_and_step_alone(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_fill(f->store, &f->settings, &world, 0, 200);
    for (size_t bytes_max = 1 << 20; bytes_max >= 1 << 13; bytes_max >>= 7) {
        enum { STEPS = 120 };
        uint64_t digests[STEPS];
        mtf_feed *feed = open_feed(f, &normaliser, bytes_max, 1, STEPS);
        for (uint64_t step = 0; step < STEPS; step++) digests[step] = digest(batch_at(feed, step));
        mtf_feed_close(feed);
        feed = open_feed(f, &normaliser, bytes_max, 1, STEPS);
        for (uint64_t step = STEPS; step-- > 0;) /* out of turn */
            assert_true(digest(batch_at(feed, step)) == digests[step]);
        mtf_feed_close(feed);
        feed = open_feed(f, &normaliser, bytes_max, 2, STEPS);
        assert_true(digest(batch_at(feed, 0)) != digests[0]);
        assert_true(digests[0] != digests[1]);
        mtf_feed_close(feed);
    }
    mtf_normaliser_fini(&normaliser);
}

enum { UNEVEN = 60 };

/** Sessions of which some run over midnight, and some have requests that did not explore: rows that
 *  train stand before rows that do not, and before none of their day. */
static void fill_uneven(fixture *f, data_session made[UNEVEN])
{
    mtf_err err = {0};
    for (uint64_t i = 0; i < UNEVEN; i++) {
        data_session_make(&world, i, &made[i]);
        for (uint32_t t = 0; t < made[i].session.step_count; t++) {
            mtf_step *step = &made[i].steps[t];
            if (i % 5 == 0) step->time_ms = (int64_t)101 * MTF_DAY_MS + 1000 * ((int64_t)t - 2);
            if (i % 2 && (i + t) % 3 == 0) step->request.bucket = MTF_BUCKET_CONTROL;
        }
        data_session_store(f->store, &f->settings, &made[i].session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
}

/** A batch's row is what was stored of step t. */
static void check_row(const mtf_batch *batch, size_t b, const data_session *made, uint32_t t)
{
    const mtf_request *request = &made->steps[t].request;
    const bool last = t + 1 == made->session.step_count;
    assert_true(batch->done[b] == (last ? 1 : 0));
    mtf_assert_close((double)batch->r[b], made->signals[t][0][0].value, 1e-6, 1e-6);
    assert_true(batch->weight[b] == 1);
    for (size_t k = 0; k < DATA_S; k++) {
        const double s = ((double)request->state.data[k] - 2) / 4;
        const double s2 = last ? 0 : ((double)made->steps[t + 1].request.state.data[k] - 2) / 4;
        mtf_assert_close((double)batch->s[b * DATA_S + k], s, 1e-5, 1e-6);
        mtf_assert_close((double)batch->s2[b * DATA_S + k], s2, 1e-5, 1e-6);
    }
    for (size_t d = 0; d < DATA_A; d++) {
        const float bp2 = last ? 0 : made->steps[t + 1].request.baseline_action.data[d];
        assert_true(batch->bp[b * DATA_A + d] == request->baseline_action.data[d]);
        assert_true(batch->bp2[b * DATA_A + d] == bp2);
        assert_true(batch->lower[b * DATA_A + d] == -0.15f);
        assert_true(batch->upper[b * DATA_A + d] == 0.15f);
        assert_true(batch->lower2[b * DATA_A + d] == (last ? 0 : -0.15f));
        assert_true(batch->upper2[b * DATA_A + d] == (last ? 0 : 0.15f));
    }
}

/** Which rows come up in `STEPS` batches; every one is checked against its source. */
static void rows_arrive_whole_and_all_of_them(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    enum { STEPS = 400 };
    static data_session made[UNEVEN];
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    for (int k = 0; k < DATA_S; k++) normaliser.mean[k] = 2, normaliser.deviation[k] = 4;
    fill_uneven(f, made);
    mtf_feed *feed = open_feed(f, &normaliser, 4096, 1, STEPS); /* many slices */
    bool seen[UNEVEN][DATA_STEPS_MAX] = {{0}};
    for (uint64_t step = 0; step < STEPS; step++) {
        const mtf_batch *batch = batch_at(feed, step);
        for (size_t b = 0; b < batch->rows; b++) {
            bool found = false;
            for (int i = 0; i < UNEVEN && !found; i++)
                for (uint32_t t = 0; t < made[i].session.step_count && !found; t++) {
                    const float *action = made[i].steps[t].request.action.data;
                    if (memcmp(batch->a + b * DATA_A, action, DATA_A * sizeof(float))) continue;
                    found = seen[i][t] = true;
                    check_row(batch, b, &made[i], t);
                }
            assert_true(found);
        }
    }
    for (int i = 0; i < UNEVEN; i++)
        for (uint32_t t = 0; t < made[i].session.step_count; t++)
            assert_int_equal(seen[i][t], !is_heldout(&made[i]) &&
                                             made[i].steps[t].request.bucket == MTF_BUCKET_EXPLORE);
    mtf_feed_close(feed);
    mtf_normaliser_fini(&normaliser);
}

/* Each part of the reward, and the deviation it is scaled by. */
static void parts_of_the_reward_arrive_with_the_whole(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    mtf_assert_ok(mtf_reward_parse(&f->reward, "valid=1 watch=0.25", "", &err), &err);
    mtf_assert_ok(mtf_reward_group(&f->reward, "watch | valid", &err), &err);
    data_session made;
    for (uint64_t i = 0; i < UNEVEN; i++) {
        data_session_make(&world, i, &made);
        for (uint32_t t = 0; t < made.session.step_count; t++)
            for (int k = 0; k < 2; k++)
                made.signals[t][k][1] = (mtf_signal){mtf_str_of("watch"), (double)(t + 1)};
        data_session_store(f->store, &f->settings, &made.session, (int64_t)i);
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    const mtf_survey found = survey(f, NULL);
    mtf_feed *feed = open_feed(f, &normaliser, 4096, 1, 50); /* many slices */
    double square[2] = {0}, sum[2] = {0}, rows = 0;
    for (uint64_t step = 0; step < 50; step++) {
        const mtf_batch *batch = batch_at(feed, step);
        assert_int_equal(batch->groups, 2);
        for (size_t b = 0; b < batch->rows; b++, rows++) {
            const double first = (double)batch->parts[2 * b],
                         second = (double)batch->parts[2 * b + 1];
            mtf_assert_close(first + second, (double)batch->r[b], 1e-5, 1e-6);
            const double steps = first / 0.5; /* 0.25 of two items' t + 1 */
            mtf_assert_close(steps, (double)(int)(steps + 0.5), 1e-5, 0);
            sum[0] += first, square[0] += first * first;
            sum[1] += second, square[1] += second * second;
        }
    }
    for (int g = 0; g < 2; g++) { /* drawn with replacement */
        const double mean = sum[g] / rows, deviation = sqrt(square[g] / rows - mean * mean);
        mtf_assert_close(found.part_deviations[g], deviation, 0.1, 0);
    }
    mtf_feed_close(feed);
    mtf_normaliser_fini(&normaliser);
}

static void a_slice_holds_each_state_once_as_surveyed(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_slice slice;
    static data_session made[UNEVEN];
    atomic_bool stop = false;
    const mtf_row_shape shape = data_shape();
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    fill_uneven(f, made);
    int64_t trained = 0, apart = 0; /* next states that no trained row of that day brings */
    for (int i = 0; i < UNEVEN; i++)
        for (uint32_t t = 0; t < made[i].session.step_count; t++) {
            const mtf_step *step = &made[i].steps[t], *next = step + 1;
            if (is_heldout(&made[i]) || step->request.bucket != MTF_BUCKET_EXPLORE) continue;
            trained++;
            if (t + 1 == made[i].session.step_count) continue;
            apart += next->request.bucket != MTF_BUCKET_EXPLORE ||
                     step->time_ms / MTF_DAY_MS != next->time_ms / MTF_DAY_MS;
        }
    assert_true(apart > 5);
    const mtf_survey found = survey(f, NULL);
    assert_int_equal(found.rows, trained);
    assert_int_equal(found.states, trained + apart);
    const mtf_feed_config config = {
        .selection = f->selection, .reward = &f->reward, .normaliser = &normaliser};
    mtf_assert_ok(mtf_slice_init(&slice, &shape, 0, 1, 1, &err), &err); /* it grows */
    for (int i = 0; i < 3; i++) {
        mtf_store_cursor *cursor = mtf_store_scan(f->store, 0, UINT32_MAX, 0, 1);
        assert_non_null(cursor);
        atomic_store(&stop, i == 1);
        assert_int_equal(mtf_slice_load(&slice, cursor, &config, &stop, &err),
                         i == 1 ? MTF_CLOSED : MTF_OK);
        mtf_store_cursor_close(cursor);
        assert_int_equal(slice.row_count, i == 1 ? 0 : trained);
        assert_int_equal(slice.state_count, i == 1 ? 0 : trained + apart);
    }
    mtf_slice_fini(&slice);
    mtf_normaliser_fini(&normaliser);
}

/** The first entry in the second half of the hashes loses its last byte. */
static void cut_an_entry(fixture *f)
{
    rocksdb_iterator_t *at =
        rocksdb_create_iterator_cf(f->store->db, f->store->reads, mtf_store_rows(f->store));
    char *text = NULL;
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        size_t key_size, size;
        const char *key = rocksdb_iter_key(at, &key_size), *value = rocksdb_iter_value(at, &size);
        if ((uint8_t)key[4] < 0x80) continue;
        rocksdb_put_cf(f->store->db, f->store->synced, mtf_store_rows(f->store), key, key_size,
                       value, size - 1, &text);
        assert_null(text);
        break;
    }
    rocksdb_iter_destroy(at);
}

static void an_error_of_the_load_ahead_comes_with_the_step_that_needs_it(void **state)
{
    fixture *f = *state;
    enum { STEPS = 1000 };
    const mtf_batch *batch;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_fill(f->store, &f->settings, &world, 0, 200);
    mtf_feed *feed = open_feed(f, &normaliser, 1 << 13, 1, STEPS);
    cut_an_entry(f);
    const uint64_t serves = mtf_feed_steps_per_load(feed);
    uint64_t step = 0;
    while (step < STEPS && mtf_feed_batch(feed, step, &batch, &err) == MTF_OK) step++;
    assert_true(step > serves && step < STEPS && step % serves == 0);
    assert_int_equal(err.status, MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "`mtf store restore`"));
    err = (mtf_err){0};
    assert_int_equal(mtf_feed_batch(feed, step, &batch, &err), MTF_CORRUPT); /* tried again */
    assert_non_null(strstr(err.msg, "`mtf store restore`"));
    mtf_assert_ok(mtf_feed_batch(feed, step - 1, &batch, &err), &err); /* the others are whole */
    mtf_feed_close(feed);
    mtf_normaliser_fini(&normaliser);
}

static void a_feed_closes_while_it_loads_ahead(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_fill(f->store, &f->settings, &world, 0, 500);
    for (uint64_t step = 0; step < 20; step++) {
        mtf_feed *feed = open_feed(f, &normaliser, 1 << 15, 1, 10000);
        batch_at(feed, step * mtf_feed_steps_per_load(feed));
        if (step % 2) batch_at(feed, 0); /* out of turn */
        mtf_feed_close(feed);
    }
    mtf_normaliser_fini(&normaliser);
}

/** How many different rows the steps [0, steps) of a feed draw. */
static size_t count_different(mtf_feed *feed, uint64_t steps)
{
    enum { ROWS = 4096 };
    static float seen[ROWS][DATA_A];
    size_t count = 0;
    for (uint64_t step = 0; step < steps; step++) {
        const mtf_batch *batch = batch_at(feed, step);
        for (size_t b = 0; b < batch->rows; b++) {
            const float *a = batch->a + b * DATA_A;
            size_t i = 0;
            while (i < count && memcmp(seen[i], a, sizeof seen[i]) != 0) i++;
            assert_true(i < ROWS);
            if (i == count) memcpy(seen[count++], a, sizeof seen[0]);
        }
    }
    return count;
}

static void a_long_round_draws_a_slice_over_before_it_loads_the_next(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_fill(f->store, &f->settings, &world, 0, 400);
    const uint64_t rows = (uint64_t)survey(f, NULL).rows, once = rows / 16 + 1;
    const size_t bytes_max = rows * (2 * DATA_S + 7 * DATA_A + 3) * sizeof(float) / 6; /* slices */
    mtf_feed *feed = open_feed(f, &normaliser, bytes_max, 1, once);
    const size_t brief = count_different(feed, once / 2);
    mtf_feed_close(feed);
    feed = open_feed(f, &normaliser, bytes_max, 1, 4 * once);
    const size_t slow = count_different(feed, once / 2), all = count_different(feed, 4 * once);
    mtf_feed_close(feed);
    assert_true(slow < rows / 5 && brief > rows / 4); /* one slice; three of seven and a half */
    assert_true(all > rows * 9 / 10);
    feed = open_feed(f, &normaliser, bytes_max, 1, 400 * once); /* still no more than four */
    assert_int_equal(count_different(feed, 4 * once), all);
    mtf_feed_close(feed);
    mtf_normaliser_fini(&normaliser);
}

/** A policy that says what it saw. */
static void act_as_the_state(const void *policy, const float *state, float *action)
{
    const float *factor = policy;
    for (int d = 0; d < DATA_A; d++) action[d] = *factor * state[d];
}

static mtf_cohort load(fixture *f, const mtf_normaliser *normaliser, bool heldout, int64_t rows_max)
{
    const mtf_survey found = survey(f, NULL);
    const float factor = 0.5f;
    const mtf_cohort_config config = {
        .act = act_as_the_state,
        .policy = &factor,
        .selection = &f->selection,
        .reward = &f->reward,
        .normaliser = normaliser,
        .gamma = 0.5,
        .heldout = heldout,
        .rows_max = rows_max,
        .rows = heldout ? found.heldout_rows : found.rows,
    };
    mtf_cohort cohort;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_load(f->store, &config, &cohort, &err), &err);
    return cohort;
}

static void cohorts_hold_whole_sessions_with_returns_to_go(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    enum { SESSIONS = 300 };
    int64_t rows = 0, eligible = 0;
    double sum = 0;
    for (uint64_t i = 0; i < SESSIONS; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        made.session.truncated_tail = i % 5 == 0;
        data_session_store(f->store, &f->settings, &made.session, (int64_t)i);
        if (!is_heldout(&made)) continue;
        rows += made.session.step_count;
        if (made.session.truncated_tail) continue;
        eligible += made.session.step_count;
        double g = 0;
        for (uint32_t t = made.session.step_count; t-- > 0;) {
            g = made.signals[t][0][0].value + 0.5 * g;
            sum += g;
        }
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    mtf_cohort cohort = load(f, &normaliser, true, 1000000);
    assert_int_equal(cohort.rows, rows);
    assert_int_equal(cohort.items, 2 * rows);
    assert_int_equal(cohort.item_first[cohort.rows], cohort.items);
    int64_t whole = 0, cut = 0;
    for (size_t i = 0; i < cohort.rows; i++) {
        assert_true(cohort.logged[i] && cohort.version[i] == world.version);
        assert_int_equal(cohort.first[i], i == 0 || cohort.session[i] != cohort.session[i - 1]);
        assert_false(cohort.next[i] && (cohort.done[i] || cohort.first[i + 1]));
        mtf_assert_close(cohort.g[i], cohort.r[i] + (cohort.next[i] ? 0.5 * cohort.g[i + 1] : 0),
                         1e-12, 0);
        for (size_t d = 0; d < DATA_A; d++) /* the normaliser changes nothing */
            mtf_assert_close(cohort.mu[i * DATA_A + d], 0.5f * cohort.s[i * DATA_S + d], 0, 0);
        whole += cohort.done[i];
        cut += !cohort.done[i] && !cohort.next[i];
        if (!cohort.eligible[i]) continue;
        eligible--;
        sum -= cohort.g[i];
        assert_true(i == 0 || cohort.user[i] - cohort.user[i - 1] <= 1);
    }
    assert_int_equal(whole + cut, cohort.sessions);
    assert_true(whole > 2 * cut && cut > 0);
    assert_int_equal(eligible, 0);
    mtf_assert_close(sum, 0, 0, 1e-3);
    mtf_cohort_fini(&cohort);

    mtf_cohort all = load(f, &normaliser, false, 1000000), some = load(f, &normaliser, false, 200);
    assert_true(some.rows < all.rows / 2 && some.rows > 0);
    assert_true(some.users < all.users);
    mtf_cohort_fini(&all);
    mtf_cohort_fini(&some);
    mtf_normaliser_fini(&normaliser);
}

static void parts_of_a_split_session_make_one_return(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    mtf_assert_ok(mtf_normaliser_init(&normaliser, DATA_S, &err), &err);
    data_session made;
    uint64_t index = 0;
    do data_session_make(&world, index++, &made);
    while (made.session.step_count < 3 || !is_heldout(&made));
    double g[DATA_STEPS_MAX + 1] = {0};
    for (uint32_t t = made.session.step_count; t-- > 0;)
        g[t] = made.signals[t][0][0].value + 0.5 * g[t + 1];
    mtf_session first = made.session, second = made.session;
    first.parts = second.parts = 2;
    first.step_count = 1;
    second.part = 1;
    second.steps = made.session.steps + 1;
    second.step_count = made.session.step_count - 1;
    data_session_store(f->store, &f->settings, &first, 0);
    data_session_store(f->store, &f->settings, &second, 1);
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    size_t count;
    assert_int_equal(mtf_store_counts(f->store, &count)[0].sessions, 1);
    mtf_cohort cohort = load(f, &normaliser, true, 1000000);
    assert_int_equal(cohort.rows, made.session.step_count);
    assert_int_equal(cohort.sessions, 1);
    for (size_t i = 0; i < cohort.rows; i++) {
        assert_true(cohort.eligible[i]);
        assert_int_equal(cohort.first[i], i == 0);
        assert_int_equal(cohort.next[i], i + 1 < cohort.rows);
        mtf_assert_close(cohort.g[i], g[i], 1e-6, 1e-6);
    }
    mtf_cohort_fini(&cohort);
    mtf_normaliser_fini(&normaliser);
}

/* -- an action per item -- */

enum { LIST = 3 };

/** A store of lists: requests of 2 items with no features but their predictions, some of 1. */
static mtf_store *list_store(fixture *f, const mtf_row_shape *shape, double sums[DATA_P][2],
                             double *items)
{
    mtf_store_close(f->store);
    f->store = NULL;
    char path[MTF_TEST_PATH + 10];
    snprintf(path, sizeof path, "%s/lists", f->folder);
    const mtf_store_identity identity = {*shape, "valid watch", f->settings.policy_actions,
                                         f->settings.policy_name, ""};
    mtf_err err = {0};
    mtf_row row = {0};
    mtf_buf value = {0};
    mtf_assert_ok(mtf_store_open(path, &identity, false, &f->store, &err), &err);
    for (uint64_t i = 0; i < 100; i++) {
        data_session made;
        data_session_make(&world, i, &made);
        for (uint32_t t = 0; t < made.session.step_count; t++) {
            uint8_t key[MTF_ROW_KEY_BYTES];
            mtf_request *request = &made.steps[t].request;
            request->item_count = 1 + (uint32_t)((i + t) % 2);
            for (uint32_t j = 0; j < request->item_count && !is_heldout(&made); j++, ++*items)
                for (int p = 0; p < DATA_P; p++) {
                    const double x = (double)request->items[j].predictions.data[p];
                    sums[p][0] += x, sums[p][1] += x * x;
                }
            mtf_buf_clear(&value);
            mtf_assert_ok(
                mtf_row_make(shape, &f->reward, 0.15, &made.session, t, 0, (int64_t)i, &row, &err),
                &err);
            mtf_row_encode(shape, &row, &value);
            mtf_row_key(&made.session, t, key);
            mtf_assert_ok(mtf_store_put_row(f->store, key, &row.h, mtf_buf_span(&value), &err),
                          &err);
        }
    }
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    mtf_row_fini(&row);
    mtf_buf_fini(&value);
    return f->store;
}

static void an_item_is_normalised_alike_wherever_it_stands(void **state)
{
    fixture *f = *state;
    const mtf_row_shape shape = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, 0);
    mtf_err err = {0};
    mtf_normaliser normaliser = {0};
    double sums[DATA_P][2] = {{0}}, items = 0;
    list_store(f, &shape, sums, &items);
    mtf_assert_ok(mtf_normaliser_init(&normaliser, shape.state_dim, &err), &err);
    survey(f, &normaliser);
    for (uint32_t j = 0; j < LIST; j++) {
        assert_true(normaliser.mean[DATA_S + j] == 0 && normaliser.deviation[DATA_S + j] == 1);
        for (uint32_t p = 0; p < DATA_P; p++) {
            const size_t at = DATA_S + LIST + j * DATA_P + p;
            const double mean = sums[p][0] / items;
            mtf_assert_close((double)normaliser.mean[at], mean, 1e-5, 1e-6);
            mtf_assert_close((double)normaliser.deviation[at],
                             sqrt(sums[p][1] / items - mean * mean), 1e-4, 0);
        }
    }
    mtf_feed *feed = open_feed(f, &normaliser, 1 << 20, 1, 20);
    bool shorter = false;
    for (uint64_t step = 0; step < 20; step++) {
        const mtf_batch *batch = batch_at(feed, step);
        assert_int_equal(batch->state_dim, shape.state_dim);
        assert_int_equal(batch->action_dim, LIST * DATA_A);
        for (size_t b = 0; b < batch->rows; b++) {
            const float *masks = batch->s + b * shape.state_dim + DATA_S;
            assert_true(masks[0] == 1 && masks[2] == 0);
            shorter |= masks[1] == 0;
            if (batch->done[b] != 0) assert_true(masks[0] == 1);
        }
    }
    assert_true(shorter);
    mtf_feed_close(feed);
    mtf_normaliser_fini(&normaliser);
}

/* Stores that know of lists and stores that do not are not each other's. */
static void a_store_of_lists_is_no_store_without(void **state)
{
    fixture *f = *state;
    const mtf_row_shape shape = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, 0);
    double sums[DATA_P][2] = {{0}}, items = 0;
    list_store(f, &shape, sums, &items);
    const mtf_row_shape found = mtf_store_shape(f->store);
    assert_int_equal(found.list, LIST);
    mtf_store_close(f->store);
    char path[MTF_TEST_PATH + 10];
    snprintf(path, sizeof path, "%s/lists", f->folder);
    mtf_err err = {0};
    mtf_store *store;
    /* Of the same sizes, by chance, and without lists. */
    mtf_row_shape flat = shape;
    flat.list = flat.feature_count = 0;
    const mtf_store_identity identity = {flat, "valid watch", f->settings.policy_actions,
                                         f->settings.policy_name, ""};
    assert_int_equal(mtf_store_open(path, &identity, false, &store, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "with policy.list"));
    mtf_assert_ok(mtf_store_open(path, NULL, true, &f->store, &err), &err);
    const mtf_row_shape again = mtf_store_shape(f->store);
    assert_int_equal(again.list, LIST);
    assert_int_equal(again.state_dim, shape.state_dim);
}

int main(void)
{
    // clang-format off
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_champions_explored_rows_below_the_cut_train, set_up, tear_down),
        cmocka_unit_test_setup_teardown(truncated_rows_are_left_out_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_survey_measures_states_rewards_and_boxes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_world_without_boxes_does_not_explore, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_constant_feature_is_not_blown_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_depends_on_seed_round_and_step_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_round_draws_a_slice_over_before_it_loads_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rows_arrive_whole_and_all_of_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_the_reward_arrive_with_the_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slice_holds_each_state_once_as_surveyed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_the_load_ahead_comes_with_the_step_that_needs_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_feed_closes_while_it_loads_ahead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cohorts_hold_whole_sessions_with_returns_to_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_a_split_session_make_one_return, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_item_is_normalised_alike_wherever_it_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_of_lists_is_no_store_without, set_up, tear_down),
    };
    // clang-format on
    return cmocka_run_group_tests(tests, NULL, NULL);
}
