/** Are the estimators of learner/scorecard.h right, and are their 95 % intervals? Each of
 * many runs explores the simulator afresh and estimates what a policy is worth; the truth is worked
 * out on the simulator itself (tests/learner/known_truth.h).
 *
 *    estimators [--runs 200] [--users 1000] [--dims 10] [--move 0.06] [--half-width 0.15]
 *               [--draws 400] [--refits 0] [--steps 0] [--rate 1e-3] [--batch 128]
 *               [--truth-users 30000] [--threads 2] [--seed 1]
 *
 *  --steps 0 leaves out whatever needs a network (the doubly robust estimator and fitted Q); with
 *  --refits below 2 fitted Q has no interval. A GAUC's truth is its value on truth-users users.
 *  Prints a table, then a JSON line for each bias (in units of the metric) and each coverage. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/known_truth.h"

typedef struct study {
    double runs, users, dims, move, half_width, draws, refits, steps, rate, batch, truth_users,
        threads, seed;
} study;

/** Of one metric over the runs. */
typedef struct record {
    const char *name;
    known_value truth;
    bool known;
    double runs, sum, square, width, intervals, held;
} record;

static int fail(const mtf_err *err)
{
    fprintf(stderr, "estimators: %s\n", err->msg);
    return 1;
}

static bool read_options(study *s, int argc, char **argv)
{
    const struct {
        const char *name;
        double *to;
    } options[] = {{"--runs", &s->runs},
                   {"--users", &s->users},
                   {"--dims", &s->dims},
                   {"--move", &s->move},
                   {"--half-width", &s->half_width},
                   {"--draws", &s->draws},
                   {"--refits", &s->refits},
                   {"--steps", &s->steps},
                   {"--rate", &s->rate},
                   {"--batch", &s->batch},
                   {"--truth-users", &s->truth_users},
                   {"--threads", &s->threads},
                   {"--seed", &s->seed}};
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < sizeof options / sizeof *options && strcmp(options[k].name, argv[i]) != 0) k++;
        if (k == sizeof options / sizeof *options || i + 1 == argc) return false;
        *options[k].to = strtod(argv[i + 1], NULL);
    }
    return true;
}

static mtf_status estimate(const study *s, const known_world *world, uint64_t seed, uint32_t users,
                           bool networks, mtf_pool *pool, mtf_scorecard *out, mtf_err *err)
{
    mtf_cohort cohort;
    mtf_status status = known_cohort(world, seed, users, &cohort, err);
    if (status) return status;
    mtf_scorecard_config config = {.judged = &cohort,
                                   .table = &world->table,
                                   .smoothing = {.half_width = world->half_width},
                                   .cap = 1e6,
                                   .draws = (int64_t)s->draws,
                                   .refits = (uint32_t)s->refits,
                                   .fqe = mtf_fqe_config_default(),
                                   .seed = seed,
                                   .fits = {.pool = pool}};
    config.fqe.steps = networks ? (uint64_t)s->steps : 0;
    config.fqe.rate = s->rate;
    config.fqe.batch = (uint32_t)s->batch;
    config.fqe.alpha = MTF_FQE_ALPHA;
    config.fqe.gamma = world->gamma;
    status = mtf_scorecard_make(&config, out, err);
    mtf_cohort_fini(&cohort);
    return status;
}

static void note(record *of, const mtf_estimate *estimate)
{
    if (!isfinite(estimate->value)) return;
    of->runs++;
    of->sum += estimate->value;
    of->square += estimate->value * estimate->value;
    if (!isfinite(estimate->low)) return;
    of->intervals++;
    of->width += estimate->high - estimate->low;
    of->held += estimate->low <= of->truth.value && of->truth.value <= estimate->high;
}

static void print(const record *records, size_t count, const study *s)
{
    printf("%-22s %10s %8s %10s %10s %9s %9s %9s %5s\n", "metric", "truth", "(error)", "mean",
           "bias", "(error)", "deviation", "half 95%", "held");
    for (size_t i = 0; i < count; i++) {
        const record *r = &records[i];
        if (!r->known || r->runs < 2) continue;
        const double mean = r->sum / r->runs;
        const double deviation =
            sqrt(fmax(r->square / r->runs - mean * mean, 0) * r->runs / (r->runs - 1));
        const double error = sqrt(deviation * deviation / r->runs + r->truth.se * r->truth.se);
        printf("%-22s %10.4f %8.4f %10.4f %10.4f %9.4f %9.4f %9.4f ", r->name, r->truth.value,
               r->truth.se, mean, mean - r->truth.value, error, deviation,
               r->intervals > 0 ? r->width / r->intervals / 2 : (double)NAN);
        printf(r->intervals > 0 ? "%5.3f\n" : "    -\n", r->held / r->intervals);
    }
    for (size_t i = 0; i < count; i++) {
        const record *r = &records[i];
        if (!r->known || r->runs < 2) continue;
        printf("{\"bench\":\"estimators\",\"figure\":\"%s bias, %g dims\",\"ours\":%.6g,"
               "\"unit\":\"of truth %.6g\",\"rival\":null,\"limit\":0,\"rival_ratio\":null,"
               "\"limit_ratio\":null}\n",
               r->name, s->dims, r->sum / r->runs - r->truth.value, r->truth.value);
        if (r->intervals > 0)
            printf("{\"bench\":\"estimators\",\"figure\":\"%s coverage, %g dims\",\"ours\":%.4g,"
                   "\"unit\":\"of %g runs\",\"rival\":null,\"limit\":0.95,\"rival_ratio\":null,"
                   "\"limit_ratio\":%.4g}\n",
                   r->name, s->dims, r->held / r->intervals, r->intervals,
                   r->held / r->intervals / 0.95);
    }
}

/** Truths of all metrics that an estimate of this study has. */
static mtf_status find_truths(const study *s, const known_world *world, mtf_pool *pool,
                              record *records, mtf_err *err)
{
    known_truth truth;
    mtf_scorecard large;
    study without = *s;
    without.draws = 200;
    mtf_status status =
        known_truth_make(world, UINT64_C(1) << 40, (uint32_t)s->truth_users, &truth, err);
    if (status == MTF_OK)
        status = estimate(&without, world, (UINT64_C(1) << 40) + 1, (uint32_t)s->truth_users, false,
                          pool, &large, err);
    for (size_t i = 0; status == MTF_OK && i < MTF_SCORES_MAX; i++) {
        record *r = &records[i];
        if (!r->name) continue;
        const mtf_estimate *wide = mtf_scorecard_find(&large, r->name);
        r->known = known_truth_find(&truth, r->name, &r->truth);
        if (!r->known && wide) {
            r->known = true;
            r->truth = (known_value){wide->value, wide->se};
        }
    }
    return status;
}

static mtf_status run(const study *s, const known_world *world, mtf_pool *pool, mtf_err *err)
{
    record records[MTF_SCORES_MAX] = {{0}};
    double support = 0, effective = 0, rows = 0, outside = 0;
    size_t count = 0;
    for (double n = 0; n < s->runs; n++) {
        mtf_scorecard found;
        mtf_status status = estimate(s, world, (uint64_t)(s->seed * 1e6 + n), (uint32_t)s->users,
                                     true, pool, &found, err);
        if (status) return status;
        if (n == 0) {
            count = found.count;
            for (size_t i = 0; i < count; i++) records[i].name = found.scores[i].name;
            status = find_truths(s, world, pool, records, err);
            if (status) return status;
        }
        for (size_t i = 0; i < count; i++) note(&records[i], &found.scores[i].estimate);
        support += found.support / s->runs, effective += found.effective / s->runs;
        rows += (double)found.rows / s->runs, outside += found.outside_share / s->runs;
    }
    printf("%g runs of %g users, %.0f rows; %g dimensions explored, policy moves %g, smoothed by "
           "%g: support %.3f, %.0f effective rows, %.3f outside\n",
           s->runs, s->users, rows, s->dims, s->move, s->half_width, support, effective, outside);
    print(records, count, s);
    return MTF_OK;
}

int main(int argc, char **argv)
{
    study s = {.runs = 200,
               .users = 1000,
               .dims = 10,
               .move = 0.06,
               .half_width = 0.15,
               .draws = 400,
               .rate = 1e-3,
               .batch = 128,
               .truth_users = 30000,
               .threads = 2,
               .seed = 1};
    known_world world = {0};
    mtf_pool *pool = NULL;
    mtf_err err = {0};
    if (!read_options(&s, argc, argv)) {
        fprintf(stderr, "estimators: an option with a number each; the head of bench/estimators.c "
                        "lists them\n");
        return 64;
    }
    mtf_status status = known_world_open(&world, (uint32_t)s.dims, s.move, s.half_width, &err);
    if (status == MTF_OK) status = mtf_pool_new(&pool, (uint32_t)s.threads, &err);
    if (status == MTF_OK) status = run(&s, &world, pool, &err);
    mtf_pool_free(pool);
    known_world_close(&world);
    return status == MTF_OK ? 0 : fail(&err);
}
