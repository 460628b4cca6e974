#include "learner/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define NORMAL_975    1.959963984540054
#define UNDEFINED_MAX 0.01 /* of the draws */
#define UNKNOWN       ((double)NAN)

mtf_estimate mtf_estimate_none(void)
{
    return (mtf_estimate){UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0};
}

mtf_status mtf_sums_init(mtf_sums *sums, size_t users, mtf_err *err)
{
    *sums = (mtf_sums){.users = users,
                       .sums = calloc(users + 1, sizeof *sums->sums),
                       .rows = calloc(users + 1, sizeof *sums->rows)};
    if (sums->sums && sums->rows) return MTF_OK;
    mtf_sums_fini(sums);
    return mtf_fail(err, MTF_NOMEM, "no memory for the sums of %zu users", users);
}

void mtf_sums_fini(mtf_sums *sums)
{
    free(sums->sums);
    free(sums->rows);
    *sums = (mtf_sums){0};
}

double *mtf_sums_row(mtf_sums *sums, uint32_t user)
{
    MTF_ASSERT(user < sums->users);
    sums->rows[user]++;
    return sums->sums[user];
}

double mtf_figure_mean(const double sums[MTF_SUMS])
{
    return sums[0] / sums[1];
}

double mtf_figure_difference(const double sums[MTF_SUMS])
{
    return (sums[0] - sums[2]) / sums[1];
}

void mtf_bootstrap_draw(size_t users, uint64_t seed, uint64_t draw, uint32_t *count)
{
    mtf_rng rng = mtf_rng_of(seed, draw);
    memset(count, 0, users * sizeof *count);
    for (size_t i = 0; i < users; i++) count[mtf_rng_below(&rng, users)]++;
}

/* -- from draws to an error and an interval ---------------------- */

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/** Between the two draws it falls between. */
static double quantile(const double *sorted, size_t count, double share)
{
    const double at = share * (double)(count - 1);
    const size_t below = (size_t)at;
    const double above = below + 1 < count ? sorted[below + 1] : sorted[below];
    return sorted[below] + (at - (double)below) * (above - sorted[below]);
}

static double deviation(const double *values, size_t count)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++) {
        const double delta = values[i] - mean;
        mean += delta / (double)(i + 1);
        square += delta * (values[i] - mean);
    }
    return count > 1 ? sqrt(square / (double)(count - 1)) : UNKNOWN;
}

static void set_error(mtf_estimate *estimate, double se)
{
    estimate->se = se;
    estimate->z = se > 0 ? estimate->value / se : se == 0 ? 0 : UNKNOWN;
}

/** Student's t of 97.5 %: closed forms for one and two degrees of freedom, then the expansion of
 *  Cornish and Fisher about the normal: 0.7 % too small at three, 0.3 % at four. */
static double student_975(double freedom)
{
    if (freedom < 1.5) return 12.706204736;
    if (freedom < 2.5) return 4.302652730;
    const double z = NORMAL_975, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z, f = freedom;
    return z + (z3 + z) / (4 * f) + (5 * z5 + 16 * z3 + 3 * z) / (96 * f * f) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * f * f * f);
}

void mtf_estimate_refitted(double value, const double *refits, size_t count, mtf_estimate *out)
{
    out->value = value;
    const double se = deviation(refits, count);
    set_error(out, se);
    const double half = count > 1 ? student_975((double)(count - 1)) * se : UNKNOWN;
    out->low = value - half;
    out->high = value + half;
}

void mtf_estimate_widen(mtf_estimate *estimate, const double *refits, size_t count)
{
    if (count < 2) return;
    const double model = deviation(refits, count) * student_975((double)(count - 1)) / NORMAL_975;
    const double value = estimate->value, before = estimate->se;
    set_error(estimate, hypot(before, model));
    const double factor = before > 0 ? estimate->se / before : 0;
    const double at_least = before > 0 ? 0 : NORMAL_975 * model; /* no error but the model's */
    estimate->low = value - factor * (value - estimate->low) - at_least;
    estimate->high = value + factor * (estimate->high - value) + at_least;
}

/* -- the draws --------------------------------------------------- */

/** The users that have a row, side by side. */
static size_t compact(const mtf_sums *sums, double (*out)[MTF_SUMS], mtf_estimate *estimate)
{
    size_t users = 0;
    for (size_t u = 0; u < sums->users; u++) {
        if (!sums->rows[u]) continue;
        memcpy(out[users++], sums->sums[u], sizeof *out);
        estimate->rows += sums->rows[u];
    }
    estimate->users = (int64_t)users;
    return users;
}

/** count NULL: each user once. */
static double figure_of(double (*sums)[MTF_SUMS], size_t users, const uint32_t *count,
                        mtf_figure figure)
{
    double total[MTF_SUMS] = {0};
    for (size_t u = 0; u < users; u++) {
        const double times = count ? (double)count[u] : 1;
        for (int k = 0; k < MTF_SUMS; k++) total[k] += times * sums[u][k];
    }
    return figure(total);
}

mtf_status mtf_bootstrap(const mtf_sums *sums, mtf_figure figure, int64_t draws, uint64_t seed,
                         mtf_estimate *out, mtf_err *err)
{
    double(*own)[MTF_SUMS] = malloc((sums->users + 1) * sizeof *own);
    uint32_t *count = malloc((sums->users + 1) * sizeof *count);
    double *values = malloc(((size_t)draws + 1) * sizeof *values);
    mtf_status status = MTF_OK;
    *out = mtf_estimate_none();
    if (!own || !count || !values) {
        status = mtf_fail(err, MTF_NOMEM, "no memory to draw %zu users anew", sums->users);
        goto done;
    }
    const size_t users = compact(sums, own, out);
    if (users > 0) out->value = figure_of(own, users, NULL, figure);
    if (users < 2 || draws < 2) goto done;
    size_t defined = 0;
    for (int64_t draw = 0; draw < draws; draw++) {
        mtf_bootstrap_draw(users, seed, (uint64_t)draw, count);
        const double value = figure_of(own, users, count, figure);
        if (isfinite(value)) values[defined++] = value;
    }
    if ((double)((size_t)draws - defined) > UNDEFINED_MAX * (double)draws) goto done;
    set_error(out, deviation(values, defined));
    qsort(values, defined, sizeof *values, ascending);
    out->low = quantile(values, defined, 0.025);
    out->high = quantile(values, defined, 0.975);
done:
    free(own);
    free(count);
    free(values);
    return status;
}
