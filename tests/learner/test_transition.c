/** A session becomes the rows the learner may trust: next states, true ends against cuts, boxes,
 * and bytes that decode to the same or not at all. By examples and by truncating at every length.
 */
#include "data_fixture.h"

static const data_world world = {
    .seed = 7, .slope = {1, -1}, .noise = 0.1, .half_width = 0.15f, .version = 3};
static const uint32_t two_or_more = 2;

/** A session of at least two steps. */
static void make_long(data_session *made)
{
    uint64_t index = 0;
    do data_session_make(&world, index++, made);
    while (made->session.step_count < two_or_more);
}

static void make_row(const mtf_session *session, uint32_t index, mtf_row *row)
{
    const mtf_row_shape shape = data_shape();
    mtf_reward reward;
    mtf_err err = {0};
    mtf_assert_ok(mtf_reward_parse(&reward, "valid=1 watch=0.5", "", &err), &err);
    mtf_assert_ok(mtf_row_make(&shape, &reward, 0.15, session, index, 2, 77, row, &err), &err);
}

static void inner_steps_carry_the_next_state_and_its_box(void **state)
{
    (void)state;
    data_session made;
    mtf_row row = {0};
    make_long(&made);
    make_row(&made.session, 0, &row);
    assert_false(row.h.done || row.h.truncated);
    assert_memory_equal(row.s, made.steps[0].request.state.data, DATA_S * sizeof(float));
    assert_memory_equal(row.s2, made.steps[1].request.state.data, DATA_S * sizeof(float));
    assert_memory_equal(row.bp2, made.steps[1].request.baseline_action.data,
                        DATA_A * sizeof(float));
    assert_memory_equal(row.lower2, made.steps[1].request.lower.data, DATA_A * sizeof(float));
    assert_memory_equal(row.upper2, made.steps[1].request.upper.data, DATA_A * sizeof(float));
    assert_int_equal(row.h.offset, 77);
    assert_int_equal(row.h.partition, 2);
    assert_int_equal(row.h.version, 3);
    mtf_row_fini(&row);
}

static void only_a_true_end_is_done(void **state)
{
    (void)state;
    const struct {
        mtf_end_reason reason;
        bool tail;
        uint32_t part, parts;
        bool done;
    } cases[] = {
        {MTF_END_GAP, false, 0, 1, true},       {MTF_END_EVENT, false, 0, 1, true},
        {MTF_END_ID_CHANGE, false, 0, 1, true}, {MTF_END_CAP, false, 0, 1, false},
        {MTF_END_GAP, true, 0, 1, false},       {MTF_END_GAP, false, 0, 2, false},
        {MTF_END_GAP, false, 1, 2, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        data_session made;
        mtf_row row = {0};
        make_long(&made);
        made.session.end_reason = cases[i].reason;
        made.session.truncated_tail = cases[i].tail;
        made.session.part = cases[i].part;
        made.session.parts = cases[i].parts;
        make_row(&made.session, made.session.step_count - 1, &row);
        assert_int_equal(row.h.done, cases[i].done);
        assert_int_equal(row.h.truncated, !cases[i].done);
        for (int k = 0; k < DATA_S; k++) assert_true(row.s2[k] == 0);
        make_row(&made.session, 0, &row);
        assert_false(row.h.done || row.h.truncated);
        mtf_row_fini(&row);
    }
}

static void a_missing_box_is_the_configured_one_within_the_range(void **state)
{
    (void)state;
    data_session made;
    mtf_row row = {0};
    make_long(&made);
    mtf_request *request = &made.steps[0].request;
    const float bp[DATA_A] = {0.95f, -1};
    request->lower.count = request->upper.count = 0;
    request->baseline_action.data = bp;
    make_row(&made.session, 0, &row);
    mtf_assert_close((double)row.lower[0], -0.15, 0, 1e-6);
    mtf_assert_close((double)row.upper[0], 0.05, 0, 1e-6);
    assert_true(row.lower[1] == 0);
    mtf_assert_close((double)row.upper[1], 0.15, 0, 1e-6);
    mtf_row_fini(&row);
}

static void other_dimensions_are_refused_by_field(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    for (int field = 0; field < 6; field++) {
        data_session made;
        mtf_err err = {0};
        make_long(&made);
        assert_int_equal(mtf_session_fits(&shape, &made.session, &err), MTF_OK);
        mtf_request *request = &made.steps[1].request;
        const char *names[] = {"state", "action", "baseline_action",
                               "lower", "upper",  "predictions"};
        mtf_floats *fields[] = {&request->state, &request->action, &request->baseline_action,
                                &request->lower, &request->upper,  &request->items[1].predictions};
        fields[field]->count = 1;
        assert_int_equal(mtf_session_fits(&shape, &made.session, &err), MTF_SKIP);
        assert_non_null(strstr(err.msg, names[field]));
        assert_int_equal(strncmp(err.msg, "schema: ", 8), 0);
    }
}

static void bytes_come_back_whole_or_not_at_all(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    data_session made;
    make_long(&made);
    for (uint32_t i = 0; i < made.session.step_count; i++) {
        mtf_row row = {0}, back = {0};
        mtf_buf bytes = {0}, again = {0};
        make_row(&made.session, i, &row);
        mtf_row_encode(&shape, &row, &bytes);
        mtf_err err = {0};
        mtf_assert_ok(mtf_row_decode(&shape, mtf_buf_span(&bytes), &back, &err), &err);
        mtf_row_encode(&shape, &back, &again);
        assert_int_equal(bytes.size, again.size);
        assert_memory_equal(bytes.data, again.data, bytes.size);
        for (size_t size = 0; size < bytes.size; size++) {
            uint8_t *exact = malloc(size ? size : 1); /* so that a sanitizer sees an overrun */
            assert_non_null(exact);
            memcpy(exact, bytes.data, size);
            assert_int_equal(mtf_row_decode(&shape, (mtf_span){exact, size}, &back, NULL),
                             MTF_CORRUPT);
            free(exact);
        }
        mtf_buf_put_u8(&bytes, 0);
        assert_int_equal(mtf_row_decode(&shape, mtf_buf_span(&bytes), &back, NULL), MTF_CORRUPT);
        bytes.data[0] = 9; /* another format */
        assert_int_equal(mtf_row_decode(&shape, mtf_buf_span(&bytes), &back, NULL), MTF_CORRUPT);
        mtf_row_fini(&row);
        mtf_row_fini(&back);
        mtf_buf_fini(&bytes);
        mtf_buf_fini(&again);
    }
}

/** The rows of a session as one entry, their spans alone in `whole`. */
static void make_entry(const mtf_session *session, mtf_buf *entry, mtf_buf whole[])
{
    const mtf_row_shape shape = data_shape();
    mtf_row row = {0};
    size_t last = 0;
    for (uint32_t i = 0; i < session->step_count; i++) {
        make_row(session, i, &row);
        mtf_buf_clear(&whole[i]);
        mtf_row_encode(&shape, &row, &whole[i]);
        mtf_entry_append(&shape, entry, &last, mtf_buf_span(&whole[i]));
        assert_false(entry->failed);
    }
    mtf_row_fini(&row);
}

static void rows_of_an_entry_share_states_and_come_back_alone(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    const size_t next = (DATA_S + 3 * DATA_A) * sizeof(float);
    data_session made;
    mtf_buf entry = {0}, whole[DATA_STEPS_MAX] = {0};
    make_long(&made);
    make_entry(&made.session, &entry, whole);
    size_t bytes = 0, at = 0;
    for (uint32_t i = 0; i < made.session.step_count; i++) bytes += whole[i].size;
    assert_int_equal(entry.size, bytes - (made.session.step_count - 1) * next);
    for (uint32_t i = 0; i < made.session.step_count; i++) {
        mtf_row row = {0};
        mtf_span span;
        mtf_buf again = {0};
        mtf_err err = {0};
        mtf_assert_ok(mtf_entry_next(&shape, mtf_buf_span(&entry), &at, &span, &err), &err);
        uint8_t *exact = malloc(span.size); /* so that a sanitizer sees an overrun */
        assert_non_null(exact);
        memcpy(exact, span.data, span.size);
        mtf_assert_ok(mtf_row_decode(&shape, (mtf_span){exact, span.size}, &row, &err), &err);
        mtf_row_encode(&shape, &row, &again);
        assert_int_equal(again.size, whole[i].size);
        assert_memory_equal(again.data, whole[i].data, again.size);
        free(exact);
        mtf_row_fini(&row);
        mtf_buf_fini(&again);
    }
    mtf_span none;
    assert_int_equal(mtf_entry_next(&shape, mtf_buf_span(&entry), &at, &none, NULL), MTF_CLOSED);
    for (int i = 0; i < DATA_STEPS_MAX; i++) mtf_buf_fini(&whole[i]);
    mtf_buf_fini(&entry);
}

static void a_next_state_that_differs_is_kept(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    data_session made;
    mtf_row row = {0};
    mtf_buf entry = {0}, first = {0}, second = {0};
    size_t last = 0;
    make_long(&made);
    make_row(&made.session, 0, &row);
    mtf_row_encode(&shape, &row, &first);
    make_row(&made.session, 1, &row);
    row.upper[DATA_A - 1] += 0.5f; /* the last float of what the first row says of it */
    mtf_row_encode(&shape, &row, &second);
    mtf_entry_append(&shape, &entry, &last, mtf_buf_span(&first));
    mtf_entry_append(&shape, &entry, &last, mtf_buf_span(&second));
    assert_int_equal(entry.size, first.size + second.size);
    assert_memory_equal(entry.data, first.data, first.size);
    assert_memory_equal(entry.data + first.size, second.data, second.size);
    mtf_buf_fini(&entry);
    mtf_buf_fini(&first);
    mtf_buf_fini(&second);
    mtf_row_fini(&row);
}

static void an_entry_cut_short_is_damage(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    data_session made;
    mtf_buf entry = {0}, whole[DATA_STEPS_MAX] = {0};
    make_long(&made);
    make_entry(&made.session, &entry, whole);
    for (size_t size = 1; size < entry.size; size++) {
        uint8_t *exact = malloc(size);
        assert_non_null(exact);
        memcpy(exact, entry.data, size);
        mtf_span row;
        mtf_err err = {0};
        size_t at = 0;
        mtf_status status = MTF_OK;
        while (status == MTF_OK)
            status = mtf_entry_next(&shape, (mtf_span){exact, size}, &at, &row, &err);
        assert_int_equal(status, MTF_CORRUPT);
        free(exact);
    }
    for (int i = 0; i < DATA_STEPS_MAX; i++) mtf_buf_fini(&whole[i]);
    mtf_buf_fini(&entry);
}

static void rewards_follow_the_weights_of_the_day(void **state)
{
    (void)state;
    const mtf_row_shape shape = data_shape();
    data_session made;
    mtf_row row = {0};
    mtf_reward doubled;
    mtf_err err = {0};
    make_long(&made);
    make_row(&made.session, 0, &row);
    mtf_assert_ok(mtf_reward_parse(&doubled, "valid=2 watch=0", "", &err), &err);
    mtf_assert_close(mtf_row_reward(&shape, &doubled, &row), 2 * made.signals[0][0][0].value, 1e-6,
                     0);
    mtf_row_fini(&row);
}

static void keys_tell_days_steps_and_parts_apart(void **state)
{
    (void)state;
    data_session made;
    uint8_t a[MTF_ROW_KEY_BYTES], b[MTF_ROW_KEY_BYTES];
    make_long(&made);
    mtf_row_key(&made.session, 0, a);
    assert_int_equal(mtf_load_u32_be(a), 100);
    mtf_row_key(&made.session, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    made.session.part = 1;
    mtf_row_key(&made.session, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    made.session.part = 0;
    made.session.session_id[15] ^= 1;
    mtf_row_key(&made.session, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* -- an action per item -- */

enum { LIST = 3, F = 2 };

/* Requests of 2 items and the last of 1, each item with features; actions once or for each item. */
static void make_lists(data_session *made, float features[][2][F], float actions[][4][2 * DATA_A],
                       bool per_item)
{
    make_long(made);
    for (uint32_t t = 0; t < made->session.step_count; t++) {
        mtf_request *request = &made->steps[t].request;
        mtf_floats *const sides[] = {&request->action, &request->baseline_action, &request->lower,
                                     &request->upper};
        if (t + 1 == made->session.step_count) request->item_count = 1;
        for (uint32_t i = 0; i < 2; i++) {
            for (int k = 0; k < F; k++) features[t][i][k] = (float)(100 * t + 10 * i) + (float)k;
            made->items[t][i].features = (mtf_floats){features[t][i], F};
        }
        for (int side = 0; side < 4 && per_item; side++) {
            for (uint32_t d = 0; d < 2 * DATA_A; d++)
                actions[t][side][d] = (float)(side == 2 ? -1 : 1) * 0.01f * (float)(d + 1);
            *sides[side] = (mtf_floats){actions[t][side], request->item_count * DATA_A};
        }
    }
}

static void check_list(const data_session *made, uint32_t t, const float *s, const float *bp,
                       bool per_item)
{
    const mtf_request *request = &made->steps[t].request;
    for (int k = 0; k < DATA_S; k++) assert_true(s[k] == request->state.data[k]);
    for (uint32_t j = 0; j < LIST; j++) {
        const bool there = j < request->item_count;
        const float *item = s + DATA_S + LIST + j * (F + DATA_P);
        assert_true(s[DATA_S + j] == (there ? 1 : 0));
        for (uint32_t k = 0; k < F + DATA_P; k++) {
            const float wanted = !there  ? 0
                                 : k < F ? request->items[j].features.data[k]
                                         : request->items[j].predictions.data[k - F];
            assert_true(item[k] == wanted);
        }
        for (uint32_t d = 0; d < DATA_A; d++) {
            const uint32_t from = per_item ? j * DATA_A + d : d;
            assert_true(bp[j * DATA_A + d] == (there ? request->baseline_action.data[from] : 0));
        }
    }
}

static void lists_are_states_of_their_items(void **state)
{
    (void)state;
    const mtf_row_shape shape = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, F);
    assert_int_equal(shape.state_dim, DATA_S + LIST * (1 + F + DATA_P));
    assert_int_equal(shape.action_dim, LIST * DATA_A);
    assert_int_equal(mtf_row_user_dim(&shape), DATA_S);
    assert_int_equal(mtf_row_item_actions(&shape), DATA_A);
    for (int per_item = 0; per_item < 2; per_item++) {
        data_session made;
        float features[DATA_STEPS_MAX][2][F], actions[DATA_STEPS_MAX][4][2 * DATA_A];
        mtf_reward reward;
        mtf_row row = {0}, back = {0};
        mtf_buf value = {0}, entry = {0};
        mtf_err err = {0};
        size_t last = 0, at = 0;
        make_lists(&made, features, actions, per_item);
        mtf_assert_ok(mtf_reward_parse(&reward, "valid=1 watch=0.5", "", &err), &err);
        mtf_assert_ok(mtf_session_fits(&shape, &made.session, &err), &err);
        const uint32_t steps = made.session.step_count;
        for (uint32_t t = 0; t < steps; t++) {
            mtf_assert_ok(mtf_row_make(&shape, &reward, 0.15, &made.session, t, 0, 1, &row, &err),
                          &err);
            check_list(&made, t, row.s, row.bp, per_item);
            if (t + 1 < steps) check_list(&made, t + 1, row.s2, row.bp2, per_item);
            mtf_buf_clear(&value);
            mtf_row_encode(&shape, &row, &value);
            mtf_entry_append(&shape, &entry, &last, mtf_buf_span(&value));
        }
        for (uint32_t t = 0; t < steps; t++) { /* and back from the store's bytes */
            mtf_span bytes;
            mtf_assert_ok(mtf_entry_next(&shape, mtf_buf_span(&entry), &at, &bytes, &err), &err);
            mtf_assert_ok(mtf_row_decode(&shape, bytes, &back, &err), &err);
            check_list(&made, t, back.s, back.bp, per_item);
            if (t + 1 < steps) check_list(&made, t + 1, back.s2, back.bp2, per_item);
        }
        mtf_row_fini(&row), mtf_row_fini(&back);
        mtf_buf_fini(&value), mtf_buf_fini(&entry);
    }
}

static void lists_that_do_not_fit_are_refused_by_field(void **state)
{
    (void)state;
    const mtf_row_shape shape = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, F);
    data_session made;
    float features[DATA_STEPS_MAX][2][F], actions[DATA_STEPS_MAX][4][2 * DATA_A];
    mtf_err err = {0};
    make_lists(&made, features, actions, true);
    made.items[1][0].features.count = 1;
    assert_int_equal(mtf_session_fits(&shape, &made.session, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "policy.item_features"));
    make_lists(&made, features, actions, true);
    made.steps[0].request.action.count = DATA_A + 1;
    assert_int_equal(mtf_session_fits(&shape, &made.session, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "action"));
    make_lists(&made, features, actions, true);
    made.steps[0].request.lower.count = DATA_A;
    made.steps[0].request.upper.count = DATA_A;
    assert_int_equal(mtf_session_fits(&shape, &made.session, &err), MTF_SKIP);
    const mtf_row_shape shorter = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, 1, F);
    make_lists(&made, features, actions, true);
    assert_int_equal(mtf_session_fits(&shorter, &made.session, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "policy.list"));
    /* A store without lists does not know of an action per item: refused, not misread. */
    const mtf_row_shape plain = data_shape();
    assert_int_equal(mtf_session_fits(&plain, &made.session, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "action (policy.actions)"));
}

static void a_list_without_a_box_gets_the_configured_one_round_each_item(void **state)
{
    (void)state;
    const mtf_row_shape shape = mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, F);
    data_session made;
    float features[DATA_STEPS_MAX][2][F], actions[DATA_STEPS_MAX][4][2 * DATA_A];
    mtf_reward reward;
    mtf_row row = {0};
    mtf_err err = {0};
    make_lists(&made, features, actions, true);
    mtf_request *request = &made.steps[0].request;
    request->lower.count = request->upper.count = 0;
    actions[0][1][DATA_A] = 0.95f; /* of the second item */
    mtf_assert_ok(mtf_reward_parse(&reward, "valid=1 watch=0.5", "", &err), &err);
    mtf_assert_ok(mtf_row_make(&shape, &reward, 0.15, &made.session, 0, 0, 1, &row, &err), &err);
    mtf_assert_close((double)row.upper[0], 0.15, 1e-6, 0);
    mtf_assert_close((double)row.upper[DATA_A], 0.05, 1e-5, 0);
    mtf_assert_close((double)row.lower[DATA_A], -0.15, 1e-6, 0);
    for (int d = 2 * DATA_A; d < LIST * DATA_A; d++)
        assert_true(row.lower[d] == 0 && row.upper[d] == 0 && row.bp[d] == 0);
    mtf_row_fini(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_steps_carry_the_next_state_and_its_box),
        cmocka_unit_test(only_a_true_end_is_done),
        cmocka_unit_test(a_missing_box_is_the_configured_one_within_the_range),
        cmocka_unit_test(other_dimensions_are_refused_by_field),
        cmocka_unit_test(bytes_come_back_whole_or_not_at_all),
        cmocka_unit_test(rows_of_an_entry_share_states_and_come_back_alone),
        cmocka_unit_test(a_next_state_that_differs_is_kept),
        cmocka_unit_test(an_entry_cut_short_is_damage),
        cmocka_unit_test(rewards_follow_the_weights_of_the_day),
        cmocka_unit_test(keys_tell_days_steps_and_parts_apart),
        cmocka_unit_test(lists_are_states_of_their_items),
        cmocka_unit_test(lists_that_do_not_fit_are_refused_by_field),
        cmocka_unit_test(a_list_without_a_box_gets_the_configured_one_round_each_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
