/** One gradient step of the default learner: by itself, with its data fed from RocksDB, in bfloat16
 * where the CPU has it, and the time that its floating-point operations would take at the speed of
 * a large sgemm, all in one run.
 *
 *    learner HIDDEN THREADS FOLDER [steps, default 300] [rows, default 100000]
 *
 *  24 critics, batch 256, state 64, action 10; the median of the steps, a tenth of them before
 * unmeasured. FOLDER is a scratch folder for the store. One JSON object; bf16_step_ms is 0 where
 * the CPU has no bfloat16. */
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/settings.h"
#include "learner/blas_core.h"
#include "learner/feed.h"
#include "learner/train.h"
#include "rows.h"

enum { CRITICS = 24, BATCH = 256, CUBE = 1024, CUBE_TIMES = 12, THREADS_MAX = 16, TURN = 10 };

/* -- the limit --------------------------------------------------- */

typedef struct cube {
    float *a, *b, *c;
} cube;

static void *multiply(void *arg)
{
    const cube *m = arg;
    for (int i = 0; i < CUBE_TIMES; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, CUBE, CUBE, CUBE, 1, m->a, CUBE,
                    m->b, CUBE, 0, m->c, CUBE);
    return NULL;
}

/** FLOP/s of `threads` products of 1024-cubes side by side, each on one thread. */
static double sgemm_rate(uint32_t threads)
{
    cube cubes[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    for (uint32_t t = 0; t < threads; t++) {
        float **const parts[] = {&cubes[t].a, &cubes[t].b, &cubes[t].c};
        for (int i = 0; i < 3; i++) {
            *parts[i] = aligned_alloc(64, sizeof(float) * CUBE * CUBE);
            if (!*parts[i]) exit(1);
            for (int k = 0; k < CUBE * CUBE; k++) (*parts[i])[k] = 1e-3F * (float)(k % 1000);
        }
        multiply(&cubes[t]); /* warm */
    }
    const int64_t began_ns = mtf_clock_mono_ns();
    for (uint32_t t = 0; t < threads; t++) {
        if (pthread_create(&ids[t], NULL, multiply, &cubes[t])) exit(1);
    }
    for (uint32_t t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    const double seconds = 1e-9 * (double)(mtf_clock_mono_ns() - began_ns);
    for (uint32_t t = 0; t < threads; t++) free(cubes[t].a), free(cubes[t].b), free(cubes[t].c);
    return 2.0 * CUBE * CUBE * CUBE * CUBE_TIMES * threads / seconds;
}

/** Multiplications and additions of matrix products in a step; everything else is not counted. */
static double step_flop(uint32_t hidden)
{
    const double S = BENCH_STATE, A = BENCH_ACTION, H = hidden, B = BATCH;
    const double critic = (S + A) * H + H * H + H, actor = S * H + H * H + H * A;
    const double to_hidden = H * H + H, to_action = H + H * H + H * A;
    /* target, online, weights' gradient, inputs' gradient; then Q at mu(s) and its slope */
    const double per_critic = 3 * critic + to_hidden + critic + to_action;
    const double actors = 2 * actor + actor + (H * A + H * H);
    return 2 * B * (CRITICS * per_critic + actors);
}

/* -- the step ---------------------------------------------------- */

typedef struct bench {
    mtf_settings settings;
    mtf_reward reward;
    mtf_store *store;
    mtf_normaliser normaliser;
    mtf_feed *feed;
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithms[2]; /* in float32; in bf16, NULL where the CPU cannot */
    double *ms;                   /* of the steps at hand */
} bench;

static mtf_status fill_store(bench *b, const char *folder, int64_t rows, mtf_err *err)
{
    bench_maker maker = {0};
    mtf_status status = bench_store_open(folder, &b->store, err);
    for (int64_t n = 0; n < rows && !status; n += BENCH_STEPS) {
        status = bench_put_session(&maker, b->store, err);
        if (!status && n % 10000 == 0) status = mtf_store_commit(b->store, err);
    }
    if (!status) status = mtf_store_commit(b->store, err);
    bench_maker_fini(&maker);
    return status;
}

static mtf_status open_feed(bench *b, mtf_err *err)
{
    size_t count;
    mtf_survey survey;
    mtf_feed_config config = {.reward = &b->reward,
                              .normaliser = &b->normaliser,
                              .bytes_max = (size_t)1 << 30,
                              .seed = 1,
                              .round = 1,
                              .batch = BATCH};
    config.selection = (mtf_selection){.version = 1, .reach = 1, .holdout_percent = 10};
    config.selection.cut = mtf_store_positions(b->store, &count);
    config.selection.cut_count = count;
    if (!mtf_selection_days(&config.selection, b->store))
        return mtf_fail(err, MTF_INVALID, "bench: the store has no rows");
    mtf_status status = mtf_normaliser_init(&b->normaliser, BENCH_STATE, err);
    if (!status)
        status =
            mtf_survey_make(b->store, &config.selection, &b->reward, &survey, &b->normaliser, err);
    config.rows = survey.rows;
    config.states = survey.states;
    return status ? status : mtf_feed_open(b->store, &config, &b->feed, err);
}

static mtf_status set_up(bench *b, uint32_t hidden, uint32_t threads, const char *folder,
                         int64_t rows, mtf_err *err)
{
    mtf_algorithm_config config;
    mtf_status status = mtf_settings_init(&b->settings, err);
    if (status) return status;
    b->settings.learner_hidden = hidden;
    b->settings.learner_threads = threads;
    status = mtf_reward_parse(&b->reward, b->settings.reward_weights, b->settings.reward_clip, err);
    if (!status) status = fill_store(b, folder, rows, err);
    if (!status) status = open_feed(b, err);
    if (!status) status = mtf_train_algorithm_config(&b->settings, BENCH_ACTION, &config, err);
    b->ops = mtf_algorithm_find("integrated");
    if (!status) status = b->ops->open(&config, &b->algorithms[0], err);
    if (!status) status = b->ops->begin_round(b->algorithms[0], 1, true, err);
    config.gemm = mtf_gemm_bf16();
    if (status || !config.gemm) return status;
    status = b->ops->open(&config, &b->algorithms[1], err);
    return status ? status : b->ops->begin_round(b->algorithms[1], 1, true, err);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Median ms of a step of each of `turns` algorithms, which take turns of ten steps so that the
 *  machine's noise meets all; the batch from the feed within the time or made before it. */
static mtf_status steps(bench *b, mtf_algorithm *const *algorithms, uint64_t turns, uint64_t count,
                        bool with_feed, double *medians, mtf_err *err)
{
    mtf_step_metrics metrics;
    const mtf_batch *batch = NULL;
    mtf_status status = MTF_OK;
    const uint64_t warm = (count / 100 + 1) * TURN, rounds = (warm + count + TURN - 1) / TURN;
    for (uint64_t i = 0; i < rounds * turns * TURN && !status; i++) {
        const uint64_t turn = i / TURN % turns, nth = i / TURN / turns * TURN + i % TURN;
        if (!with_feed) status = mtf_feed_batch(b->feed, i, &batch, err);
        const int64_t began_ns = mtf_clock_mono_ns();
        if (!status && with_feed) status = mtf_feed_batch(b->feed, i, &batch, err);
        if (!status) status = b->ops->step(algorithms[turn], batch, &metrics, err);
        const double ms = 1e-6 * (double)(mtf_clock_mono_ns() - began_ns);
        if (nth >= warm && nth < warm + count) b->ms[turn * count + nth - warm] = ms;
        if (!status && !metrics.finite)
            status = mtf_fail(err, MTF_CORRUPT, "bench: the learner diverged");
    }
    for (uint64_t turn = 0; turn < turns; turn++) {
        qsort(b->ms + turn * count, count, sizeof *b->ms, ascending);
        medians[turn] = b->ms[turn * count + count / 2];
    }
    return status;
}

/** Median ms of drawing a batch. */
static mtf_status feeds(bench *b, uint64_t count, double *median, mtf_err *err)
{
    mtf_status status = MTF_OK;
    for (uint64_t i = 0; i < count && !status; i++) {
        const mtf_batch *batch;
        const int64_t began_ns = mtf_clock_mono_ns();
        status = mtf_feed_batch(b->feed, 1000000 + i, &batch, err);
        b->ms[i] = 1e-6 * (double)(mtf_clock_mono_ns() - began_ns);
    }
    qsort(b->ms, count, sizeof *b->ms, ascending);
    *median = b->ms[count / 2];
    return status;
}

int main(int argc, char **argv)
{
    const char *core = mtf_blas_core_fix(argv);
    const uint32_t hidden = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    const uint32_t threads = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;
    const uint64_t count = argc > 4 ? strtoull(argv[4], NULL, 10) : 300;
    const int64_t rows = argc > 5 ? strtoll(argv[5], NULL, 10) : 100000;
    if (argc < 4 || hidden < 8 || threads < 1 || threads > THREADS_MAX || count < 10) {
        fprintf(stderr, "usage: learner HIDDEN THREADS FOLDER [steps] [rows]\n");
        return 64;
    }
    bench b = {.ms = malloc(2 * sizeof(double) * count)};
    mtf_err err = {0};
    double step[2] = {0}, fed = 0, feed = 0;
    mtf_status status = b.ms ? set_up(&b, hidden, threads, argv[3], rows, &err) : MTF_NOMEM;
    const double before = sgemm_rate(threads);
    const uint64_t turns = b.algorithms[1] ? 2 : 1;
    if (!status) status = steps(&b, b.algorithms, turns, count, false, step, &err);
    if (!status) status = steps(&b, b.algorithms, 1, count, true, &fed, &err);
    if (!status) status = feeds(&b, count, &feed, &err);
    const double after = sgemm_rate(threads), rate = before > after ? before : after;
    if (status)
        fprintf(stderr, "learner: %s\n", err.msg);
    else
        printf("{\"core\": \"%s\", \"step_ms\": %.4f, \"bf16_step_ms\": %.4f, "
               "\"step_and_feed_ms\": %.4f, \"feed_ms\": %.5f, "
               "\"sgemm_gflops\": %.1f, \"step_gflop\": %.4f, \"limit_ms\": %.4f}\n",
               core, step[0], step[1], fed, feed, 1e-9 * rate, 1e-9 * step_flop(hidden),
               1e3 * step_flop(hidden) / rate);
    for (uint64_t i = 0; i < turns; i++)
        if (b.algorithms[i]) b.ops->close(b.algorithms[i]);
    mtf_feed_close(b.feed);
    mtf_normaliser_fini(&b.normaliser);
    mtf_store_close(b.store);
    mtf_settings_fini(&b.settings);
    free(b.ms);
    return status ? 1 : 0;
}
