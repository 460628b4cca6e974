/** Writes seeds for the targets whose inputs are our own binary state: FOLDER/checkpoint and
 *  FOLDER/store. Usage: fuzz_state_corpus FOLDER */
#include "core/file.h"
#include "fuzz/fuzz_checkpoint.h"
#include "learner/checkpoint.h"
#include "learner/round_state.h"
#include "learner/store_meta.h"
#include "learner/transition.h"

#include <stdio.h>
#include <stdlib.h>

static void check(mtf_status status, const mtf_err *err)
{
    if (status == MTF_OK) return;
    fprintf(stderr, "%s\n", err->msg);
    exit(EXIT_FAILURE);
}

static void write_seed(const char *folder, const char *name, mtf_span bytes)
{
    char path[1000];
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check(mtf_file_replace(path, bytes, &err), &err);
}

/** A whole file; its body, whose checksum the target adds; the algorithm's part alone. */
static void write_checkpoints(const char *folder)
{
    const mtf_algorithm_ops *ops = mtf_algorithm_find("integrated");
    const mtf_algorithm_config config = fuzz_learner();
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    char path[1000];
    mtf_buf bytes = {0};
    mtf_checkpoint checkpoint = {.settings = 42,
                                 .round = 3,
                                 .parent = 2,
                                 .step = 100,
                                 .steps = 300,
                                 .reward_scale = 1.5,
                                 .health = {.q_abs_max = 9, .finite = true}};
    check(ops->open(&config, &algorithm, &err), &err);
    ops->save(algorithm, &checkpoint.algorithm);
    check(mtf_normaliser_init(&checkpoint.normaliser, config.state_dim, &err), &err);
    snprintf(path, sizeof path, "%s/file", folder);
    check(mtf_checkpoint_save(&checkpoint, path, &err), &err);
    check(mtf_file_read(path, 1 << 20, &bytes, &err), &err);
    write_seed(folder, "body", (mtf_span){bytes.data, bytes.size - 16});
    write_seed(folder, "cut", (mtf_span){bytes.data, bytes.size / 2});
    write_seed(folder, "algorithm", mtf_buf_span(&checkpoint.algorithm));
    mtf_buf_fini(&bytes);
    mtf_checkpoint_fini(&checkpoint);
    ops->close(algorithm);
}

/** The part of a learner to compare with. */
static void write_rival(const char *folder)
{
    const mtf_algorithm_ops *ops = mtf_algorithm_find("iql");
    const mtf_algorithm_config config = fuzz_learner();
    mtf_algorithm *algorithm;
    mtf_err err = {0};
    mtf_buf bytes = {0};
    check(ops->open(&config, &algorithm, &err), &err);
    ops->save(algorithm, &bytes);
    write_seed(folder, "iql", mtf_buf_span(&bytes));
    mtf_buf_fini(&bytes);
    ops->close(algorithm);
}

static void put_meta(const char *folder, const char *name, uint8_t kind, const mtf_buf *key,
                     const mtf_buf *value)
{
    mtf_buf seed = {0};
    mtf_buf_put_u8(&seed, kind);
    mtf_buf_put_u8(&seed, (uint8_t)key->size);
    mtf_buf_put(&seed, key->data, key->size);
    mtf_buf_put(&seed, value->data, value->size);
    write_seed(folder, name, mtf_buf_span(&seed));
    mtf_buf_fini(&seed);
}

static void write_meta(const char *folder)
{
    const mtf_store_position position = {.partition = 3, .next = 100, .last = 99, .last_hash = 7};
    const mtf_store_count count = {.version = 2, .bucket = MTF_BUCKET_EXPLORE, .rows = 10};
    const mtf_store_day day = {.day = 20000, .rows = 10, .sum = 99};
    const mtf_store_totals totals = {.records = 12, .sessions = 10, .rows = 30};
    mtf_buf key[4] = {0}, value[4] = {0};
    mtf_store_position_encode(&position, &key[0], &value[0]);
    mtf_store_count_encode(&count, &key[1], &value[1]);
    mtf_store_day_encode(&day, &key[2], &value[2]);
    mtf_store_totals_encode(&totals, &value[3]);
    static const char *const names[] = {"position", "count", "day", "totals"};
    for (int i = 0; i < 4; i++) {
        put_meta(folder, names[i], (uint8_t)(2 + i), &key[i], &value[i]);
        mtf_buf_fini(&key[i]);
        mtf_buf_fini(&value[i]);
    }
}

static void write_states(const char *folder)
{
    mtf_store_position cut[2] = {{.partition = 0, .next = 50}, {.partition = 1, .next = 70}};
    mtf_round_state state = {.phase = MTF_ROUND_TRAINING,
                             .round = 3,
                             .parent = 2,
                             .version = 4,
                             .sessions = 1000,
                             .parent_checkpoint = "0123456789abcdef0123456789abcdef",
                             .cut = cut,
                             .cut_count = 2};
    mtf_buf seed = {0};
    mtf_buf_put_u8(&seed, 0);
    mtf_round_state_encode(&state, &seed);
    write_seed(folder, "round-training", mtf_buf_span(&seed));
    mtf_buf_clear(&seed);
    mtf_buf_put_u8(&seed, 0);
    state.phase = MTF_ROUND_GATED;
    mtf_buf_put(&state.record, "a record", 8);
    mtf_round_state_encode(&state, &seed);
    write_seed(folder, "round-gated", mtf_buf_span(&seed));
    mtf_buf_fini(&state.record);
    mtf_buf_fini(&seed);
}

static void write_row(const char *folder)
{
    static const float zeros[2];
    const mtf_row_shape shape = {2, 1, 1, 1, 0, 0};
    mtf_reward reward;
    mtf_row row = {0};
    mtf_buf seed = {0}, entry = {0};
    size_t last = 0;
    mtf_err err = {0};
    check(mtf_reward_parse(&reward, "valid=1", "", &err), &err);
    mtf_item item = {.item_id = mtf_str_of("item"), .predictions = {zeros, 1}};
    mtf_step steps[2];
    for (int i = 0; i < 2; i++)
        steps[i] = (mtf_step){.event_id = mtf_str_of("event"),
                              .time_ms = 1000 + i,
                              .request = {.policy_version = 1,
                                          .state = {zeros, 2},
                                          .action = {zeros, 1},
                                          .baseline_action = {zeros, 1},
                                          .sample_weight = 1,
                                          .items = &item,
                                          .item_count = 1}};
    const mtf_session session = {.user_id = mtf_str_of("user"),
                                 .started_ms = 1000,
                                 .ended_ms = 1001,
                                 .parts = 1,
                                 .steps = steps,
                                 .step_count = 2};
    static const char *const names[] = {"row-next", "row-done"};
    for (uint32_t i = 0; i < 2; i++) {
        mtf_buf_clear(&seed);
        mtf_buf_put_u8(&seed, 1);
        check(mtf_row_make(&shape, &reward, 0.15, &session, i, 0, 7, &row, &err), &err);
        mtf_row_encode(&shape, &row, &seed);
        write_seed(folder, names[i], mtf_buf_span(&seed));
        const mtf_span bytes = {seed.data + 1, seed.size - 1};
        mtf_entry_append(&shape, &entry, &last, bytes);
    }
    mtf_buf_clear(&seed);
    mtf_buf_put_u8(&seed, 1);
    mtf_buf_put(&seed, entry.data, entry.size);
    write_seed(folder, "entry", mtf_buf_span(&seed));
    mtf_buf_fini(&entry);
    mtf_row_fini(&row);
    mtf_buf_fini(&seed);
}

int main(int argc, char **argv)
{
    char folder[900];
    mtf_err err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    snprintf(folder, sizeof folder, "%s/checkpoint", argv[1]);
    check(mtf_folder_make(folder, &err), &err);
    write_checkpoints(folder);
    write_rival(folder);
    snprintf(folder, sizeof folder, "%s/store", argv[1]);
    check(mtf_folder_make(folder, &err), &err);
    write_states(folder);
    write_row(folder);
    write_meta(folder);
    return 0;
}
