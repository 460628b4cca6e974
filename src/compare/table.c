#include "compare/table.h"

#include <math.h>
#include <stdlib.h>

#define DRAWS 1000 /* of the bootstrap of one seed's users */

mtf_estimate mtf_compare_mean(double *values, uint32_t count)
{
    mtf_estimate out = mtf_estimate_none();
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += values[i];
    const double mean = sum / count;
    for (uint32_t i = 0; i < count; i++) /* as far off as a mean of so many is */
        values[i] = (values[i] - mean) / sqrt((double)count);
    mtf_estimate_refitted(mean, values, count, &out);
    return out;
}

/* -- figures of one seed ----------------------------------------- */

static double valid_of(const mtf_sim_days *days)
{
    return (double)days->valid;
}

static double watch_of(const mtf_sim_days *days)
{
    return (double)days->watch;
}

static double value_of(const mtf_sim_days *days)
{
    return (double)days->value;
}

typedef double (*field)(const mtf_sim_days *days);

static double mean_of(const mtf_compare_result *result, field of)
{
    double sum = 0;
    for (uint32_t u = 0; u < result->users; u++) sum += of(&result->days[u]);
    return sum / result->users;
}

static double percent(double mine, double reference)
{
    return 100 * (mine / reference - 1);
}

static double figure_percent(const double sums[MTF_SUMS])
{
    return percent(sums[0], sums[1]);
}

/** Of one seed: percent over the reference (NULL: the mean itself), interval by user. */
static mtf_status by_user(const mtf_compare_result *result, const mtf_compare_result *reference,
                          field of, mtf_estimate *out, mtf_err *err)
{
    mtf_sums sums;
    mtf_status status = mtf_sums_init(&sums, result->users, err);
    if (status) return status;
    for (uint32_t u = 0; u < result->users; u++) {
        double *sum = mtf_sums_row(&sums, u);
        sum[0] = of(&result->days[u]);
        sum[1] = reference ? of(&reference->days[u]) : 1;
    }
    status = mtf_bootstrap(&sums, reference ? figure_percent : mtf_figure_mean, DRAWS, 1, out, err);
    mtf_sums_fini(&sums);
    return status;
}

/* -- over seeds -------------------------------------------------- */

static mtf_status over_seeds(const mtf_compare_result *const *results,
                             const mtf_compare_result *const *references, uint32_t seeds, field of,
                             mtf_estimate *out, mtf_err *err)
{
    double *values;
    if (seeds == 1) return by_user(results[0], references ? references[0] : NULL, of, out, err);
    values = malloc(seeds * sizeof *values);
    if (!values) return mtf_fail(err, MTF_NOMEM, "no memory for the table");
    for (uint32_t i = 0; i < seeds; i++) {
        values[i] = mean_of(results[i], of);
        if (references) values[i] = percent(values[i], mean_of(references[i], of));
    }
    *out = mtf_compare_mean(values, seeds);
    free(values);
    return MTF_OK;
}

static mtf_status gauc_over_seeds(const mtf_compare_result *const *results, uint32_t seeds,
                                  mtf_estimate *out, mtf_err *err)
{
    if (seeds == 1) {
        *out = mtf_estimate_none();
        out->value = results[0]->gauc;
        out->low = results[0]->gauc_low, out->high = results[0]->gauc_high;
        return MTF_OK;
    }
    double *values = malloc(seeds * sizeof *values);
    if (!values) return mtf_fail(err, MTF_NOMEM, "no memory for the table");
    for (uint32_t i = 0; i < seeds; i++) values[i] = results[i]->gauc;
    *out = mtf_compare_mean(values, seeds);
    free(values);
    return MTF_OK;
}

static mtf_status mean_drift(const mtf_compare_result *const *results, uint32_t seeds,
                             mtf_compare_line *line, mtf_err *err)
{
    uint32_t whole = 0;
    line->rounds = 0;
    for (uint32_t i = 0; i < seeds; i++)
        if (results[i]->rounds > line->rounds) line->rounds = results[i]->rounds;
    line->drift = calloc(line->rounds + 1, sizeof *line->drift);
    if (!line->drift) return mtf_fail(err, MTF_NOMEM, "no memory for the table");
    for (uint32_t i = 0; i < seeds; i++) whole += results[i]->rounds == line->rounds;
    for (uint32_t i = 0; i < seeds; i++)
        for (uint32_t r = 0; results[i]->rounds == line->rounds && r < line->rounds; r++)
            for (int d = 0; d < MTF_SIM_ACTIONS; d++)
                line->drift[r][d] += results[i]->drift[r][d] / whole;
    return MTF_OK;
}

mtf_status mtf_compare_line_make(const mtf_compare_result *const *results,
                                 const mtf_compare_result *const *references, uint32_t seeds,
                                 mtf_compare_line *line, mtf_err *err)
{
    double reward = 0, sessions = 0;
    line->seeds = seeds;
    for (uint32_t i = 0; i < seeds; i++) {
        const mtf_compare_result *result = results[i];
        MTF_ASSERT(result->users == references[i]->users);
        line->diverged += result->diverged;
        line->valid_day += mean_of(result, valid_of) / seeds;
        line->watch_day += mean_of(result, watch_of) / seeds;
        line->train_seconds += result->train_seconds / seeds;
        line->promoted += (double)result->promoted / seeds;
        reward += result->served.reward, sessions += (double)result->served.sessions;
        for (int b = 0; b < MTF_NOISE_BINS; b++) line->noise[b] += result->served.noise[b];
    }
    line->sessions = sessions / seeds;
    line->learning_value = reward / sessions;
    mtf_status status = gauc_over_seeds(results, seeds, &line->gauc, err);
    if (status == MTF_OK)
        status = over_seeds(results, references, seeds, valid_of, &line->valid, err);
    if (status == MTF_OK)
        status = over_seeds(results, references, seeds, watch_of, &line->duration, err);
    if (status == MTF_OK) status = over_seeds(results, NULL, seeds, value_of, &line->value, err);
    return status ? status : mean_drift(results, seeds, line, err);
}

void mtf_compare_table_fini(mtf_compare_table *table)
{
    for (size_t i = 0; table->lines && i < table->count; i++) free(table->lines[i].drift);
    free(table->lines);
    *table = (mtf_compare_table){0};
}
