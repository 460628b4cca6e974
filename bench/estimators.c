/** Are the estimators of learner/scorecard.h right, and are their 95 % intervals? Each of many runs
 *  explores the simulator afresh and estimates what a policy is worth; the truth is worked out on
 *  the simulator itself (tests/learner/known_truth.h).
 *
 *    estimators [--runs 200] [--users 1000] [--dims 10] [--move 0.06] [--half-width 0.15]
 *               [--draws 400] [--refits 0] [--steps 0] [--rate 1e-4] [--batch 512]
 *               [--truth-users 30000] [--threads 2] [--seed 1] [--file PATH]
 *
 *  --steps 0 leaves out whatever needs a network (the doubly robust estimator and fitted Q); with
 *  --refits below 2 fitted Q has no interval. A GAUC's truth is its value on truth-users users.
 *  With --file, truths and finished runs are kept there, and a study that was stopped goes on.
 *  Prints a table, then a JSON line for each bias (in units of the metric) and each coverage. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/known_truth.h"

#define RUNS_MAX 10000
#define LINE     4096 /* of the file: a run */

typedef struct study {
    double runs, users, dims, move, half_width, draws, refits, steps, rate, batch, truth_users,
        threads, seed;
    const char *file;
} study;

/** Of one metric over the runs. */
typedef struct record {
    char name[40];
    known_value truth;
    double runs, sum, square, width, intervals, held;
} record;

/** What is known so far. */
typedef struct results {
    record records[MTF_SCORES_MAX];
    size_t count;
    bool done[RUNS_MAX];
    double finished, support, effective, rows, outside;
    FILE *file; /* NULL: nothing is kept */
} results;

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
        if (strcmp(argv[i], "--file") == 0 && i + 1 < argc) {
            s->file = argv[i + 1];
            continue;
        }
        while (k < sizeof options / sizeof *options && strcmp(options[k].name, argv[i]) != 0) k++;
        if (k == sizeof options / sizeof *options || i + 1 == argc) return false;
        *options[k].to = strtod(argv[i + 1], NULL);
    }
    return s->runs >= 1 && s->runs <= RUNS_MAX;
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

/* -- what is known, and the file that keeps it ------------------- */

static record *record_of(results *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->records[i].name, name) == 0) return &all->records[i];
    return NULL;
}

static void add_truth(results *all, const char *name, double value, double se)
{
    if (all->count == MTF_SCORES_MAX) return;
    record *fresh = &all->records[all->count++];
    *fresh = (record){.truth = {value, se}};
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
}

static void note(record *of, double value, double low, double high)
{
    if (!isfinite(value)) return;
    of->runs++;
    of->sum += value;
    of->square += value * value;
    if (!isfinite(low)) return;
    of->intervals++;
    of->width += high - low;
    of->held += low <= of->truth.value && of->truth.value <= high;
}

static void note_run(results *all, unsigned n, double support, double effective, double rows,
                     double outside)
{
    all->done[n] = true;
    all->finished++;
    all->support += support, all->effective += effective;
    all->rows += rows, all->outside += outside;
}

static void settings_line(const study *s, char line[LINE])
{
    snprintf(line, LINE,
             "study users %g dims %g move %g half-width %g draws %g refits %g steps %g rate %g "
             "batch %g truth-users %g seed %g\n",
             s->users, s->dims, s->move, s->half_width, s->draws, s->refits, s->steps, s->rate,
             s->batch, s->truth_users, s->seed);
}

/** "truth NAME VALUE SE" or "run N SUPPORT EFFECTIVE ROWS OUTSIDE {NAME VALUE LOW HIGH} end"; what
 * a kill cut short is neither. */
static void read_line(results *all, char *line)
{
    char *rest = NULL, name[40];
    double x[4];
    if (sscanf(line, "truth %39s %lf %lf", name, &x[0], &x[1]) == 3)
        add_truth(all, name, x[0], x[1]);
    if (strncmp(line, "run ", 4) != 0 || !strstr(line, " end\n")) return;
    const unsigned long n = strtoul(line + 4, &rest, 10);
    for (int k = 0; k < 4; k++) x[k] = strtod(rest, &rest);
    if (n >= RUNS_MAX || all->done[n]) return;
    note_run(all, (unsigned)n, x[0], x[1], x[2], x[3]);
    for (int used; sscanf(rest, "%39s %lf %lf %lf%n", name, &x[0], &x[1], &x[2], &used) == 4;
         rest += used) {
        record *r = record_of(all, name);
        if (r) note(r, x[0], x[1], x[2]);
    }
}

/** What the file knows; what comes is appended to it. */
static mtf_status open_file(const study *s, results *all, mtf_err *err)
{
    char line[LINE] = "\n", settings[LINE];
    if (!s->file) return MTF_OK;
    settings_line(s, settings);
    all->file = fopen(s->file, "a+");
    if (!all->file) return mtf_fail(err, MTF_IO, "open %.200s", s->file);
    rewind(all->file);
    if (!fgets(line, sizeof line, all->file))
        fputs(settings, all->file);
    else if (strcmp(line, settings) != 0)
        return mtf_fail(err, MTF_INVALID, "%.100s is of another study: %.250s", s->file, line);
    while (fgets(line, sizeof line, all->file)) read_line(all, line);
    if (!strchr(line, '\n')) fputc('\n', all->file);
    return MTF_OK;
}

static void keep_run(results *all, unsigned n, const mtf_scorecard *found)
{
    note_run(all, n, found->support, found->effective, (double)found->rows, found->outside_share);
    if (all->file)
        fprintf(all->file, "run %u %.9g %.9g %.9g %.9g", n, found->support, found->effective,
                (double)found->rows, found->outside_share);
    for (size_t i = 0; i < found->count; i++) {
        const mtf_estimate *e = &found->scores[i].estimate;
        record *r = record_of(all, found->scores[i].name);
        if (!r) continue;
        note(r, e->value, e->low, e->high);
        if (all->file) fprintf(all->file, " %s %.9g %.9g %.9g", r->name, e->value, e->low, e->high);
    }
    if (!all->file) return;
    fprintf(all->file, " end\n");
    fflush(all->file);
}

/* -- the table --------------------------------------------------- */

static void print(const record *records, size_t count, const study *s)
{
    printf("%-22s %10s %8s %10s %10s %9s %9s %9s %5s\n", "metric", "truth", "(error)", "mean",
           "bias", "(error)", "deviation", "half 95%", "held");
    for (size_t i = 0; i < count; i++) {
        const record *r = &records[i];
        if (r->runs < 2) continue;
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
        if (r->runs < 2) continue;
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

/** Truths of all metrics. */
static mtf_status find_truths(const study *s, const known_world *world, const mtf_scorecard *sample,
                              mtf_pool *pool, results *all, mtf_err *err)
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
    for (size_t i = 0; status == MTF_OK && i < sample->count; i++) {
        known_value known;
        const char *name = sample->scores[i].name;
        const mtf_estimate *wide = mtf_scorecard_find(&large, name);
        if (!known_truth_find(&truth, name, &known)) known = (known_value){wide->value, wide->se};
        add_truth(all, name, known.value, known.se);
        if (all->file) fprintf(all->file, "truth %s %.9g %.9g\n", name, known.value, known.se);
    }
    return status;
}

static mtf_status run(const study *s, const known_world *world, mtf_pool *pool, results *all,
                      mtf_err *err)
{
    mtf_status status = open_file(s, all, err);
    for (unsigned n = 0; n < (unsigned)s->runs && status == MTF_OK; n++) {
        mtf_scorecard found;
        if (all->done[n]) continue;
        status = estimate(s, world, (uint64_t)(s->seed * 1e6 + n), (uint32_t)s->users, true, pool,
                          &found, err);
        if (status == MTF_OK && all->count == 0)
            status = find_truths(s, world, &found, pool, all, err);
        if (status == MTF_OK) keep_run(all, n, &found);
    }
    if (status) return status;
    const double n = all->finished;
    printf("%g runs of %g users, %.0f rows; %g dimensions explored, policy moves %g, smoothed by "
           "%g: support %.3f, %.0f effective rows, %.3f outside\n",
           n, s->users, all->rows / n, s->dims, s->move, s->half_width, all->support / n,
           all->effective / n, all->outside / n);
    print(all->records, all->count, s);
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
               .rate = 1e-4,
               .batch = 512,
               .truth_users = 30000,
               .threads = 2,
               .seed = 1};
    known_world world = {0};
    results *all = calloc(1, sizeof *all);
    mtf_pool *pool = NULL;
    mtf_err err = {0};
    if (!all || !read_options(&s, argc, argv)) {
        fprintf(stderr, "estimators: an option with a number each; the head of bench/estimators.c "
                        "lists them\n");
        return 64;
    }
    mtf_status status = known_world_open(&world, (uint32_t)s.dims, s.move, s.half_width, &err);
    if (status == MTF_OK) status = mtf_pool_new(&pool, (uint32_t)s.threads, &err);
    if (status == MTF_OK) status = run(&s, &world, pool, all, &err);
    if (all->file) fclose(all->file);
    free(all);
    mtf_pool_free(pool);
    known_world_close(&world);
    return status == MTF_OK ? 0 : fail(&err);
}
