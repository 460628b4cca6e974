#include "data_fixture.h"

#include "core/hash.h"

#define DAY_100_MS (100 * (int64_t)MTF_DAY_MS)

void data_set(mtf_settings *settings, const char *key, const char *value)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_settings_set(settings, key, value, "test", &err), &err);
}

void data_settings(mtf_settings *settings, const char *folder)
{
    mtf_err err = {0};
    char path[MTF_TEST_PATH + 10];
    snprintf(path, sizeof path, "%s/store", folder);
    *settings = (mtf_settings){0};
    mtf_assert_ok(mtf_settings_init(settings, &err), &err);
    const char *pairs[][2] = {
        {"store.path", path},
        {"policy.state_dim", "4"},
        {"policy.actions", "x.pow=0..2 y.pow=0..2"},
        {"reward.weights", "valid=1 watch=0.5"},
        {"reward.clip", "valid=8 watch=2"},
        {"round.min_sessions", "300"},
        {"learner.hidden", "8"},
        {"learner.critics", "2"},
        {"learner.batch", "32"},
        {"learner.steps", "120"},
        {"learner.threads", "1"},
        {"learner.gamma", "0.5"},
        {"gate.bootstrap", "50"},
        {"gate.fqe_steps", "20"},
        {"gate.fqe_refits", "0"},
        {"store.commit_rows", "100"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        data_set(settings, pairs[i][0], pairs[i][1]);
}

mtf_reward data_reward(const mtf_settings *settings)
{
    mtf_reward reward;
    mtf_err err = {0};
    mtf_assert_ok(mtf_reward_parse(&reward, settings->reward_weights, settings->reward_clip, &err),
                  &err);
    return reward;
}

mtf_row_shape data_shape(void)
{
    return (mtf_row_shape){DATA_S, DATA_A, DATA_P, DATA_K, 0, 0};
}

mtf_store *data_store(const mtf_settings *settings)
{
    mtf_err err = {0};
    mtf_store *store;
    const mtf_store_identity identity = {data_shape(), "valid watch", settings->policy_actions,
                                         settings->policy_name, ""};
    mtf_assert_ok(mtf_store_open(settings->store_path, &identity, false, &store, &err), &err);
    return store;
}

static void make_step(const data_world *world, mtf_rng *rng, uint32_t i, data_session *out)
{
    mtf_step *step = &out->steps[i];
    float *at = out->floats[i], *state = at, *action = state + DATA_S, *bp = action + DATA_A;
    float *lower = bp + DATA_A, *upper = lower + DATA_A, *predictions = upper + DATA_A;
    double reward = 1 + world->noise * mtf_rng_normal(rng);
    for (int k = 0; k < DATA_S; k++) state[k] = (float)mtf_rng_normal(rng);
    reward += 0.5 * (double)state[0];
    for (int d = 0; d < DATA_A; d++) {
        bp[d] = world->bp ? world->bp[d] : 0;
        lower[d] = -world->half_width;
        upper[d] = world->half_width;
        action[d] = bp[d] + world->half_width * (float)(2 * mtf_rng_uniform(rng) - 1);
        reward += world->slope[d] * (double)action[d];
    }
    for (int p = 0; p < 2 * DATA_P; p++) predictions[p] = (float)mtf_rng_uniform(rng);
    *step = (mtf_step){
        .event_id = mtf_str_of("event"),
        .time_ms = out->session.started_ms + 1000 * (int64_t)i,
        .request = {.policy_version = world->version,
                    .bucket = world->bucket,
                    .state = {state, DATA_S},
                    .action = {action, DATA_A},
                    .baseline_action = {bp, DATA_A},
                    .lower = {lower, DATA_A},
                    .upper = {upper, DATA_A},
                    .sample_weight = 1,
                    .items = out->items[i],
                    .item_count = 2},
    };
    for (int k = 0; k < 2; k++) {
        mtf_signal *signals = out->signals[i][k];
        signals[0] = (mtf_signal){mtf_str_of("valid"), k == 0 ? reward : 0};
        signals[1] = (mtf_signal){mtf_str_of("unweighted"), 7};
        out->items[i][k] = (mtf_item){.item_id = mtf_str_of("item"),
                                      .predictions = {predictions + k * DATA_P, DATA_P},
                                      .signals = {signals, DATA_K}};
    }
}

void data_session_make(const data_world *world, uint64_t index, data_session *out)
{
    mtf_rng rng = mtf_rng_of(world->seed, index);
    snprintf(out->user, sizeof out->user, "user-%" PRIu64, index / 3);
    char name[64];
    snprintf(name, sizeof name, "%" PRIu64 "/%" PRIu64, world->seed, index);
    const mtf_str part = mtf_str_of(name);
    const uint32_t steps = 1 + (uint32_t)mtf_rng_below(&rng, 6);
    const int64_t start_ms = world->start_ms ? world->start_ms : DAY_100_MS;
    out->session = (mtf_session){
        .user_id = mtf_str_of(out->user),
        .started_ms = start_ms + (int64_t)index * 60000,
        .end_reason = MTF_END_GAP,
        .parts = 1,
        .steps = out->steps,
        .step_count = steps,
    };
    mtf_hash128(out->session.session_id, &part, 1);
    out->session.ended_ms = out->session.started_ms + 1000 * (int64_t)steps;
    for (uint32_t i = 0; i < steps; i++) make_step(world, &rng, i, out);
}

void data_session_store(mtf_store *store, const mtf_settings *settings, const mtf_session *session,
                        int64_t offset)
{
    const mtf_row_shape shape = data_shape();
    const mtf_reward reward = data_reward(settings);
    mtf_err err = {0};
    mtf_row row = {0};
    mtf_buf value = {0};
    for (uint32_t i = 0; i < session->step_count; i++) {
        uint8_t key[MTF_ROW_KEY_BYTES];
        mtf_assert_ok(mtf_row_make(&shape, &reward, 0.15, session, i, 0, offset, &row, &err), &err);
        mtf_buf_clear(&value);
        mtf_row_encode(&shape, &row, &value);
        mtf_row_key(session, i, key);
        mtf_assert_ok(mtf_store_put_row(store, key, &row.h, mtf_buf_span(&value), &err), &err);
    }
    mtf_buf_fini(&value);
    mtf_row_fini(&row);
}

int64_t data_fill(mtf_store *store, const mtf_settings *settings, const data_world *world,
                  uint64_t first, uint64_t count)
{
    mtf_err err = {0};
    int64_t rows = 0;
    for (uint64_t i = first; i < first + count; i++) {
        data_session made;
        data_session_make(world, i, &made);
        data_session_store(store, settings, &made.session, (int64_t)i);
        rows += made.session.step_count;
    }
    const mtf_store_position position = {.next = (int64_t)(first + count),
                                         .last = (int64_t)(first + count) - 1};
    mtf_assert_ok(mtf_store_set_position(store, &position, &err), &err);
    mtf_assert_ok(mtf_store_commit(store, &err), &err);
    return rows;
}
