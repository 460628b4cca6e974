#include "rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "core/session.h"

#define START_MS   INT64_C(1767225600000) /* 2026-01-01 */
#define SESSION_MS 864                    /* 100,000 sessions a day of data */
#define USERS      50000
#define HALF_WIDTH 0.15F

mtf_row_shape bench_row_shape(void)
{
    return (mtf_row_shape){BENCH_STATE, BENCH_ACTION, BENCH_PREDICTIONS, BENCH_SIGNALS, 0, 0};
}

mtf_status bench_store_open(const char *path, mtf_store **store, mtf_err *err)
{
    const mtf_store_identity identity = {.shape = bench_row_shape(),
                                         .signals = "valid watch finish positive negative",
                                         .actions = "bench",
                                         .policy = "bench",
                                         .cluster_id = ""};
    return mtf_store_open(path, &identity, false, store, err);
}

static mtf_status grow(mtf_row *row, mtf_err *err)
{
    enum { S = BENCH_STATE, A = BENCH_ACTION, N = BENCH_ITEMS };
    if (row->block) return MTF_OK;
    row->block_count = 2 * S + 7 * A + N * (BENCH_PREDICTIONS + BENCH_SIGNALS);
    float *at = row->block = calloc(row->block_count, sizeof(float));
    if (!at) return mtf_fail(err, MTF_NOMEM, "bench: out of memory");
    row->s = at, at += S;
    row->s2 = at, at += S;
    float **const actions[] = {&row->a,   &row->bp,     &row->lower, &row->upper,
                               &row->bp2, &row->lower2, &row->upper2};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) *actions[i] = at, at += A;
    row->predictions = at, at += (size_t)N * BENCH_PREDICTIONS;
    row->signals = at;
    return MTF_OK;
}

static void fill(mtf_row *row, uint64_t session, uint32_t step, mtf_rng *rng)
{
    const bool last = step + 1 == BENCH_STEPS;
    memcpy(row->s, row->s2, sizeof(float) * BENCH_STATE);
    for (int i = 0; i < BENCH_STATE; i++) row->s2[i] = last ? 0 : (float)mtf_rng_normal(rng);
    for (int d = 0; d < BENCH_ACTION; d++) {
        row->bp[d] = row->bp2[d] = 0;
        row->lower[d] = row->lower2[d] = -HALF_WIDTH;
        row->upper[d] = row->upper2[d] = HALF_WIDTH;
        row->a[d] = HALF_WIDTH * (float)(2 * mtf_rng_uniform(rng) - 1);
        if (last) row->lower2[d] = row->upper2[d] = 0;
    }
    for (int i = 0; i < BENCH_ITEMS * BENCH_PREDICTIONS; i++)
        row->predictions[i] = (float)mtf_rng_uniform(rng);
    for (int i = 0; i < BENCH_ITEMS * BENCH_SIGNALS; i++)
        row->signals[i] = (float)mtf_rng_uniform(rng);
    row->h = (mtf_row_header){.done = last,
                              .bucket = MTF_BUCKET_EXPLORE,
                              .step = step,
                              .items = BENCH_ITEMS,
                              .user = session % USERS + 1,
                              .version = 1,
                              .time_ms = START_MS + (int64_t)session * SESSION_MS + step * 30000,
                              .offset = (int64_t)(session / 4),
                              .partition = (int32_t)(session % 4),
                              .weight = 1};
    memcpy(row->h.session_id, &session, sizeof session);
}

mtf_status bench_put_session(bench_maker *maker, mtf_store *store, mtf_err *err)
{
    const mtf_row_shape shape = bench_row_shape();
    const uint64_t number = maker->session++;
    mtf_rng rng = mtf_rng_of(7, number);
    mtf_step steps[BENCH_STEPS];
    mtf_session session = {.steps = steps, .step_count = BENCH_STEPS};
    mtf_row *row = &maker->row;
    memcpy(session.session_id, &number, sizeof number);
    mtf_status status = grow(row, err);
    for (int i = 0; i < BENCH_STATE && !status; i++) row->s2[i] = (float)mtf_rng_normal(&rng);
    for (uint32_t step = 0; step < BENCH_STEPS && !status; step++) {
        uint8_t key[MTF_ROW_KEY_BYTES];
        fill(row, number, step, &rng);
        steps[step] = (mtf_step){.time_ms = row->h.time_ms};
        mtf_row_key(&session, step, key);
        mtf_buf_clear(&maker->value);
        mtf_row_encode(&shape, row, &maker->value);
        status = maker->value.failed
                     ? mtf_fail(err, MTF_NOMEM, "bench: out of memory")
                     : mtf_store_put_row(store, key, &row->h, mtf_buf_span(&maker->value), err);
    }
    const mtf_store_position position = {.partition = (int32_t)(number % 4),
                                         .next = (int64_t)(number / 4) + 1,
                                         .last = (int64_t)(number / 4)};
    return status ? status : mtf_store_set_position(store, &position, err);
}

void bench_maker_fini(bench_maker *maker)
{
    free(maker->row.block);
    mtf_buf_fini(&maker->value);
    *maker = (bench_maker){0};
}
