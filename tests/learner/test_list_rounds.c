/** A whole round with an action for each item: from stored lists to a published policy that acts on
 *  items, warm and from its record alone. With a real store and learner (tiny), a policy topic in
 *  memory and a gate that lets everything pass. */
#include "data_fixture.h"

#include <unistd.h>

#include "learner/rounds.h"
#include "learner/train.h"

enum { LIST = 3 };

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_reward reward;
    mtf_action_table table;
    mtf_store *store;
    mtf_policy *head;
    mtf_evidence evidence; /* the last */
    mtf_round_report report;
    int reports;
} fixture;

static const data_world world = {
    .seed = 5, .slope = {2, -1}, .noise = 0.1, .half_width = 0.15f, .version = 1};

static mtf_status head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    fixture *f = arg;
    (void)err;
    *champion = f->head ? mtf_policy_clone(f->head) : NULL;
    *newest_version = 0;
    return MTF_OK;
}

static mtf_status gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err)
{
    fixture *f = arg;
    (void)candidate;
    (void)err;
    f->evidence = *evidence;
    *verdict = (mtf_verdict){MTF_VERDICT_PROMOTE, "the test says so"};
    return MTF_OK;
}

static mtf_status publish(void *arg, mtf_policy *policy, mtf_err *err)
{
    fixture *f = arg;
    (void)err;
    mtf_policy_free(f->head);
    f->head = mtf_policy_clone(policy);
    assert_non_null(f->head);
    return MTF_OK;
}

static void report(void *arg, const mtf_round_report *of)
{
    fixture *f = arg;
    f->report = *of;
    f->reports++;
}

static mtf_row_shape list_shape(void)
{
    return mtf_row_shape_of(DATA_S, DATA_A, DATA_P, DATA_K, LIST, 0);
}

/* Requests of 2 items that all had the request's action, round what the head said. */
static void fill(fixture *f, uint64_t first, uint64_t count, const float *bp)
{
    const mtf_row_shape shape = list_shape();
    data_world of = world;
    mtf_err err = {0};
    mtf_row row = {0};
    mtf_buf value = {0};
    of.version = f->head->info.version;
    of.bp = bp;
    for (uint64_t i = first; i < first + count; i++) {
        data_session made;
        data_session_make(&of, i, &made);
        mtf_assert_ok(mtf_session_fits(&shape, &made.session, &err), &err);
        for (uint32_t t = 0; t < made.session.step_count; t++) {
            uint8_t key[MTF_ROW_KEY_BYTES];
            mtf_buf_clear(&value);
            mtf_assert_ok(
                mtf_row_make(&shape, &f->reward, 0.15, &made.session, t, 0, (int64_t)i, &row, &err),
                &err);
            mtf_row_encode(&shape, &row, &value);
            mtf_row_key(&made.session, t, key);
            mtf_assert_ok(mtf_store_put_row(f->store, key, &row.h, mtf_buf_span(&value), &err),
                          &err);
        }
    }
    const mtf_store_position position = {.next = (int64_t)(first + count),
                                         .last = (int64_t)(first + count) - 1};
    mtf_assert_ok(mtf_store_set_position(f->store, &position, &err), &err);
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
    mtf_row_fini(&row);
    mtf_buf_fini(&value);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_err err = {0};
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    data_set(&f->settings, "learner.algorithm", "enhanced");
    data_set(&f->settings, "policy.list", "3");
    data_set(&f->settings, "enhanced.critics", "2");
    data_set(&f->settings, "learner.actor_lr", "0.01");
    data_set(&f->settings, "learner.critic_lr", "0.01");
    data_set(&f->settings, "learner.steps", "400");
    f->reward = data_reward(&f->settings);
    mtf_assert_ok(mtf_action_table_parse(&f->table, f->settings.policy_actions, &err), &err);
    const mtf_store_identity identity = {list_shape(), "valid watch", f->settings.policy_actions,
                                         f->settings.policy_name, ""};
    mtf_assert_ok(mtf_store_open(f->settings.store_path, &identity, false, &f->store, &err), &err);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mtf_store_close(f->store);
    mtf_policy_free(f->head);
    mtf_settings_fini(&f->settings);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

static mtf_rounds *open_rounds(fixture *f)
{
    mtf_rounds *rounds;
    mtf_err err = {0};
    const mtf_rounds_config config = {
        .settings = &f->settings,
        .reward = &f->reward,
        .table = &f->table,
        .store = f->store,
        .hooks = {.arg = f, .head = head, .gate = gate, .publish = publish, .report = report},
    };
    mtf_assert_ok(mtf_rounds_open(&config, &rounds, &err), &err);
    return rounds;
}

static void tick(mtf_rounds *rounds)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_rounds_tick(rounds, &err), &err);
}

/* What the head says of items, on the mean of some. */
static void mean_action(const mtf_policy *policy, float mean[DATA_A])
{
    enum { ITEMS = 50 };
    mtf_rng rng = mtf_rng_of(4, 4);
    memset(mean, 0, DATA_A * sizeof *mean);
    for (int i = 0; i < ITEMS; i++) {
        float user[DATA_S], predictions[DATA_P], action[DATA_A];
        for (int k = 0; k < DATA_S; k++) user[k] = (float)mtf_rng_normal(&rng);
        for (int k = 0; k < DATA_P; k++) predictions[k] = (float)mtf_rng_uniform(&rng);
        mtf_policy_act_items(policy, user, 1, NULL, predictions, action);
        for (int d = 0; d < DATA_A; d++) mean[d] += action[d] / ITEMS;
    }
}

static void a_round_of_lists_publishes_a_policy_that_acts_on_items(void **state)
{
    fixture *f = *state;
    float first[DATA_A], second[DATA_A];
    mtf_rounds *rounds = open_rounds(f);
    tick(rounds); /* the first policy */
    assert_non_null(f->head);
    assert_true(f->head->per_item);
    assert_int_equal(f->head->state_dim, DATA_S + DATA_P);
    assert_int_equal(f->head->action_dim, DATA_A);
    fill(f, 0, 600, NULL);
    tick(rounds);
    assert_int_equal(f->reports, 1);
    assert_true(f->evidence.test_vectors_ok && f->evidence.finite);
    assert_true(f->evidence.value > 0 && isfinite(f->evidence.value_z));
    assert_true(isnan(f->evidence.ncis_gain));
    assert_true(f->report.outside_box < 0.05);
    assert_string_equal(f->head->info.algorithm, "enhanced");
    assert_true(f->head->per_item && f->head->info.version > 1);
    mean_action(f->head, first);
    assert_true(first[0] > 0.05f && first[1] < -0.03f);

    fill(f, 600, 600, first);
    tick(rounds);
    assert_int_equal(f->reports, 2);
    assert_false(f->report.cold);
    mean_action(f->head, second);
    assert_true(second[0] > first[0] + 0.03f);

    /* The checkpoint is lost: the record has the actor and what it normalises by. */
    char path[2 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/checkpoints/v%lld", f->settings.store_path,
             (long long)f->head->info.version);
    assert_int_equal(unlink(path), 0);
    fill(f, 1200, 600, second);
    tick(rounds);
    assert_int_equal(f->reports, 3);
    assert_true(f->report.cold);
    mean_action(f->head, first);
    assert_true(first[0] > second[0]);
    mtf_rounds_close(rounds);
}

static void learners_and_lists_must_fit(void **state)
{
    fixture *f = *state;
    mtf_rounds *rounds;
    mtf_err err = {0};
    const mtf_rounds_config config = {
        .settings = &f->settings, .reward = &f->reward, .table = &f->table, .store = f->store};
    data_set(&f->settings, "learner.algorithm", "integrated");
    assert_int_equal(mtf_rounds_open(&config, &rounds, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "one action a request"));
    data_set(&f->settings, "learner.algorithm", "enhanced");
    data_set(&f->settings, "policy.list", "0");
    assert_int_equal(mtf_rounds_open(&config, &rounds, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "set policy.list"));
}

int main(void)
{
    // clang-format off
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_round_of_lists_publishes_a_policy_that_acts_on_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(learners_and_lists_must_fit, set_up, tear_down),
    };
    // clang-format on
    return cmocka_run_group_tests(tests, NULL, NULL);
}
