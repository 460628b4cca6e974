#include "fed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "learner/feed.h"
#include "learner/train.h"

enum { STEPS_MAX = 5000, WARM = 300, VERSION = 1 };

typedef struct bench {
    const mtf_store *store;
    mtf_reward reward;
    mtf_survey survey;
    mtf_normaliser normaliser;
    mtf_feed_config config;
    mtf_feed *feed;
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithm;
    double *draw_ms, *step_ms; /* (STEPS_MAX,) */
} bench;

static double now_ms(void)
{
    return 1e-6 * (double)mtf_clock_mono_ns();
}

static double cpu_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return 1e3 * (double)at.tv_sec + 1e-6 * (double)at.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *ms, uint64_t count)
{
    qsort(ms, count, sizeof *ms, ascending);
    return ms[count / 2];
}

static double mean(const double *ms, uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) sum += ms[i];
    return sum / (double)count;
}

static mtf_status open_feed(bench *b, const mtf_settings *settings, double *survey_ms, mtf_err *err)
{
    size_t count;
    mtf_feed_config *config = &b->config;
    *config = (mtf_feed_config){
        .selection = {.version = VERSION, .reach = 0, .holdout_percent = 10},
        .reward = &b->reward,
        .normaliser = &b->normaliser,
        .bytes_max = (size_t)settings->learner_feed_mb << 20,
        .seed = 1,
        .round = 1,
        .batch = (size_t)settings->learner_batch,
        .steps = (uint64_t)settings->learner_steps,
    };
    mtf_selection *selection = &config->selection;
    selection->cut = mtf_store_positions(b->store, &count);
    selection->cut_count = count;
    mtf_status status =
        mtf_reward_parse(&b->reward, settings->reward_weights, settings->reward_clip, err);
    if (status) return status;
    if (!mtf_selection_days(selection, b->store))
        return mtf_fail(err, MTF_INVALID, "bench: the store has no rows");
    status = mtf_normaliser_init(&b->normaliser, mtf_store_shape(b->store).state_dim, err);
    const double began = now_ms();
    if (!status)
        status = mtf_survey_make(b->store, selection, &b->reward, &b->survey, &b->normaliser, err);
    *survey_ms = now_ms() - began;
    if (status) return status;
    config->rows = b->survey.rows;
    config->states = b->survey.states;
    return mtf_feed_open(b->store, config, &b->feed, err);
}

static mtf_status open_algorithm(bench *b, const mtf_settings *settings, mtf_err *err)
{
    mtf_algorithm_config config;
    mtf_status status =
        mtf_train_algorithm_config(settings, mtf_store_shape(b->store).action_dim, &config, err);
    if (status) return status;
    b->ops = mtf_algorithm_find("integrated");
    status = b->ops->open(&config, &b->algorithm, err);
    return status ? status : b->ops->begin_round(b->algorithm, 1, true, err);
}

/** Steps [first, first + count); fed, or all with one batch. */
static mtf_status train(bench *b, uint64_t first, uint64_t count, bool fed, mtf_err *err)
{
    mtf_step_metrics metrics;
    const mtf_batch *batch;
    mtf_status status = mtf_feed_batch(b->feed, first, &batch, err);
    for (uint64_t i = 0; i < count && !status; i++) {
        const double began = now_ms();
        if (fed) status = mtf_feed_batch(b->feed, first + i, &batch, err);
        const double drawn = now_ms();
        if (!status) status = b->ops->step(b->algorithm, batch, &metrics, err);
        b->draw_ms[i] = drawn - began;
        b->step_ms[i] = now_ms() - drawn;
    }
    return status;
}

/** CPU of the load of a slice, on this thread and out of turn. */
static mtf_status load_alone(bench *b, uint64_t step, double *ms, mtf_err *err)
{
    const mtf_batch *batch;
    b->config.steps = 1; /* nothing is loaded ahead */
    mtf_feed_close(b->feed);
    mtf_status status = mtf_feed_open(b->store, &b->config, &b->feed, err);
    const uint64_t serves = status ? 0 : mtf_feed_steps_per_load(b->feed);
    for (int i = 0; i < 3 && !status; i++) { /* both slices' memory is there with the third */
        if (serves == UINT64_MAX && i > 0) break;
        const double began = cpu_ms();
        status = mtf_feed_batch(b->feed, step + (serves == UINT64_MAX ? 0 : serves) * (uint64_t)i,
                                &batch, err);
        *ms = cpu_ms() - began;
    }
    return status;
}

static mtf_status measure(bench *b, double survey_ms, mtf_err *err)
{
    const mtf_batch *batch;
    const double began = now_ms();
    mtf_status status = mtf_feed_batch(b->feed, 0, &batch, err);
    const double first_ms = now_ms() - began;
    const uint64_t serves = mtf_feed_steps_per_load(b->feed), steps = b->config.steps;
    const uint64_t life = serves < steps ? serves : steps;
    const uint64_t count = life < STEPS_MAX ? life : STEPS_MAX;
    if (!status) status = train(b, 0, WARM, true, err);
    if (!status) status = train(b, serves < steps ? serves : 0, count, true, err);
    const double wait = mean(b->draw_ms, count), fed = mean(b->step_ms, count) + wait;
    const double draw = median(b->draw_ms, count);
    if (!status) status = train(b, serves < steps ? serves : 0, count, false, err);
    const double alone = mean(b->step_ms, count), step = median(b->step_ms, count);
    double load_ms = 0;
    if (!status) status = load_alone(b, 0, &load_ms, err);
    if (status) return status;
    printf(", \"survey_rows_per_s\": %.0f, \"feed_first_s\": %.3f, \"feed_draw_ms\": %.5f, "
           "\"feed_mean_ms\": %.5f, \"feed_load_cpu_ms_per_step\": %.5f, \"step_ms\": %.4f, "
           "\"step_mean_ms\": %.4f, \"fed_step_mean_ms\": %.4f, \"measured_steps\": %llu, "
           "\"steps_a_load\": %llu",
           1e3 * (double)b->survey.rows / survey_ms, 1e-3 * first_ms, draw, wait,
           load_ms / (double)life, step, alone, fed, (unsigned long long)count,
           (unsigned long long)life);
    return MTF_OK;
}

mtf_status bench_fed(const mtf_store *store, const mtf_settings *settings, mtf_err *err)
{
    bench b = {.store = store};
    double survey_ms = 0;
    b.draw_ms = malloc(STEPS_MAX * sizeof *b.draw_ms);
    b.step_ms = malloc(STEPS_MAX * sizeof *b.step_ms);
    mtf_status status = b.draw_ms && b.step_ms ? open_feed(&b, settings, &survey_ms, err)
                                               : mtf_fail(err, MTF_NOMEM, "bench: out of memory");
    if (!status) status = open_algorithm(&b, settings, err);
    if (!status) status = measure(&b, survey_ms, err);
    if (b.algorithm) b.ops->close(b.algorithm);
    mtf_feed_close(b.feed);
    mtf_normaliser_fini(&b.normaliser);
    free(b.draw_ms);
    free(b.step_ms);
    return status;
}
