#include "learner/reward_study.h"

#include <math.h>
#include <stdlib.h>

#include "core/rng.h"

#define USER_SAMPLING 0x72657764 /* the rng stream that picks users */

/** Sums of neighbouring rows of one user, before users are put together. */
typedef struct piece {
    uint64_t user;
    size_t at; /* of its sums */
} piece;

typedef struct pieces {
    piece *data;
    double *sums; /* (count, terms + 1) */
    size_t count, capacity;
} pieces;

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for the users' sums");
}

void mtf_reward_study_fini(mtf_reward_study *study)
{
    free(study->totals);
    *study = (mtf_reward_study){0};
}

/* -- one pass over the rows -------------------------------------- */

static mtf_status grow(pieces *all, size_t width, mtf_err *err)
{
    if (all->count < all->capacity) return MTF_OK;
    const size_t capacity = all->capacity ? 2 * all->capacity : 1024;
    piece *data = realloc(all->data, capacity * sizeof *data);
    if (data) all->data = data;
    double *sums = realloc(all->sums, capacity * width * sizeof *sums);
    if (sums) all->sums = sums;
    if (!data || !sums) return no_memory(err);
    all->capacity = capacity;
    return MTF_OK;
}

/** sums (terms,) out: the row's, winsorised; and counts of its items. */
static void sum_row(const mtf_row *row, mtf_reward_study *study, double *sums)
{
    memset(sums, 0, study->terms * sizeof *sums);
    for (uint32_t i = 0; i < row->h.items; i++) {
        for (uint32_t k = 0; k < study->terms; k++) {
            const double clip = study->reward.terms[k].clip;
            const double value = (double)row->signals[(size_t)i * study->terms + k];
            const bool beyond = clip > 0 && fabs(value) > clip;
            sums[k] += beyond ? copysign(clip, value) : value;
            study->present[k] += value != 0;
            study->clipped[k] += beyond;
        }
    }
    study->items += row->h.items;
}

/** Welford's running mean and sums of products. */
static void add_moments(mtf_reward_study *study, const double *sums)
{
    double before[MTF_REWARD_TERMS_MAX];
    study->requests++;
    for (uint32_t k = 0; k < study->terms; k++) {
        before[k] = sums[k] - study->mean[k];
        study->mean[k] += before[k] / (double)study->requests;
    }
    for (uint32_t j = 0; j < study->terms; j++)
        for (uint32_t k = 0; k < study->terms; k++)
            study->covariance[j][k] += before[j] * (sums[k] - study->mean[k]);
}

static mtf_status add_row(const mtf_row_shape *shape, mtf_span value, mtf_row *row,
                          mtf_reward_study *study, pieces *all, mtf_err *err)
{
    const size_t width = study->terms + (size_t)1;
    double sums[MTF_REWARD_TERMS_MAX];
    mtf_row_header header;
    mtf_status status = mtf_row_peek(value, &header, err);
    if (status || mtf_rng_bits(header.user, USER_SAMPLING, 0) % study->share != 0) return status;
    status = mtf_row_decode(shape, value, row, err);
    if (status == MTF_OK) status = grow(all, width, err);
    if (status) return status;
    sum_row(row, study, sums);
    add_moments(study, sums);
    if (all->count == 0 || all->data[all->count - 1].user != header.user) {
        memset(all->sums + all->count * width, 0, width * sizeof *all->sums);
        all->data[all->count] = (piece){header.user, all->count};
        all->count++;
    }
    double *at = all->sums + (all->count - 1) * width;
    for (uint32_t k = 0; k < study->terms; k++) at[k] += sums[k];
    at[study->terms]++;
    return MTF_OK;
}

static int by_user(const void *left, const void *right)
{
    const piece *a = left, *b = right;
    if (a->user != b->user) return a->user < b->user ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/** A user's pieces become one row of totals. */
static mtf_status join_users(pieces *all, mtf_reward_study *study, mtf_err *err)
{
    const size_t width = study->terms + (size_t)1;
    study->totals = calloc(all->count + 1, width * sizeof *study->totals);
    if (!study->totals) return no_memory(err);
    if (all->count) qsort(all->data, all->count, sizeof *all->data, by_user);
    for (size_t i = 0; i < all->count; i++) {
        study->users += i == 0 || all->data[i].user != all->data[i - 1].user;
        double *total = study->totals + (study->users - 1) * width;
        for (size_t k = 0; k < width; k++) total[k] += all->sums[all->data[i].at * width + k];
    }
    return MTF_OK;
}

static void finish(mtf_reward_study *study)
{
    for (uint32_t j = 0; j < study->terms; j++) {
        for (uint32_t k = 0; k < study->terms; k++)
            study->covariance[j][k] /= study->requests ? (double)study->requests : 1;
        study->present[j] /= study->items ? (double)study->items : 1;
        study->clipped[j] /= study->items ? (double)study->items : 1;
    }
}

mtf_status mtf_reward_study_make(const mtf_store *store, const mtf_reward *reward, int64_t rows_max,
                                 mtf_reward_study *study, mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    uint64_t rows, bytes;
    mtf_store_live(store, &rows, &bytes);
    *study = (mtf_reward_study){.reward = *reward, .terms = reward->count, .share = 1};
    mtf_status status = mtf_reward_order(&study->reward, mtf_store_signals(store), err);
    if (status == MTF_OK && reward->count != shape.signal_count)
        status =
            mtf_fail(err, MTF_CORRUPT, "the store's rows have %u signals, but %u names: damaged",
                     shape.signal_count, reward->count);
    if (status) return status;
    if (rows > (uint64_t)rows_max)
        study->share = (uint32_t)((rows + (uint64_t)rows_max - 1) / (uint64_t)rows_max);
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    if (!cursor) return no_memory(err);
    pieces all = {0};
    mtf_row row = {0};
    mtf_span value;
    while (status == MTF_OK && (status = mtf_store_next(cursor, &value, err)) == MTF_OK)
        status = add_row(&shape, value, &row, study, &all, err);
    if (status == MTF_CLOSED) status = join_users(&all, study, err);
    if (status == MTF_OK) finish(study);
    if (status) mtf_reward_study_fini(study);
    free(all.data);
    free(all.sums);
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return status;
}

/* -- correlations ------------------------------------------------ */

/** From sums of 1, x, t, xx, tt, xt over users. */
static double correlation(const double sums[MTF_SUMS])
{
    const double n = sums[0], x = sums[1] / n, t = sums[2] / n;
    const double xx = sums[3] / n - x * x, tt = sums[4] / n - t * t;
    const double least = 1e-12; /* of the whole sample's variance, which is 1: see centre */
    return xx > least && tt > least ? (sums[5] / n - x * t) / sqrt(xx * tt) : (double)NAN;
}

/** values (users, width) of column k to mean 0 and variance 1, so that sums of squares keep their
 *  digits; a column that does not vary becomes 0. */
static void centre(double *values, size_t users, size_t width, size_t k)
{
    double mean = 0, squares = 0;
    for (size_t u = 0; u < users; u++) mean += values[u * width + k] / (double)users;
    for (size_t u = 0; u < users; u++) {
        const double x = values[u * width + k] -= mean;
        squares += x * x / (double)users;
    }
    const double deviation = sqrt(squares);
    const bool varies = deviation > 1e-12 * fabs(mean) && deviation > 0;
    for (size_t u = 0; u < users; u++)
        values[u * width + k] = varies ? values[u * width + k] / deviation : 0;
}

/** (users, terms + 1): each behaviour's totals or rates, and the time, centred. */
static double *columns(const mtf_reward_study *study, uint32_t time, bool rates)
{
    const size_t terms = study->terms, width = terms + 1;
    double *values = malloc(study->users * width * sizeof *values);
    for (size_t u = 0; values && u < study->users; u++) {
        const double *total = study->totals + u * width;
        for (size_t k = 0; k < terms; k++)
            values[u * width + k] = rates ? total[k] / total[terms] : total[k];
        values[u * width + terms] = total[time];
    }
    for (size_t k = 0; values && k < width; k++) centre(values, study->users, width, k);
    return values;
}

mtf_status mtf_reward_correlations(const mtf_reward_study *study, uint32_t time, bool rates,
                                   int64_t draws, uint64_t seed, mtf_estimate *out, mtf_err *err)
{
    const size_t terms = study->terms, width = terms + 1;
    MTF_ASSERT(time < terms && draws > 0);
    if (study->users < MTF_REWARD_USERS_MIN)
        return mtf_fail(err, MTF_INVALID,
                        "the store has %zu users; a correlation over users takes %d at least",
                        study->users, MTF_REWARD_USERS_MIN);
    double *values = columns(study, time, rates);
    mtf_status status = values ? MTF_OK : no_memory(err);
    for (size_t k = 0; status == MTF_OK && k < terms; k++) {
        mtf_sums sums;
        status = mtf_sums_init(&sums, study->users, err);
        if (status) break;
        for (uint32_t u = 0; u < study->users; u++) {
            const double x = values[u * width + k], t = values[u * width + terms];
            const double adds[MTF_SUMS] = {1, x, t, x * x, t * t, x * t};
            memcpy(mtf_sums_row(&sums, u), adds, sizeof adds);
        }
        status = mtf_bootstrap(&sums, correlation, draws, seed, &out[k], err);
        mtf_sums_fini(&sums);
    }
    free(values);
    return status;
}

/* -- weights ----------------------------------------------------- */

double mtf_reward_deviation(const mtf_reward_study *study, const double *weights)
{
    double variance = 0;
    for (uint32_t j = 0; j < study->terms; j++)
        for (uint32_t k = 0; k < study->terms; k++)
            variance += weights[j] * weights[k] * study->covariance[j][k];
    return sqrt(fmax(0, variance));
}

double mtf_reward_share(const mtf_reward_study *study, const double *weights, uint32_t k)
{
    const double deviation = mtf_reward_deviation(study, weights);
    double covariance = 0;
    for (uint32_t j = 0; j < study->terms; j++)
        covariance += weights[j] * weights[k] * study->covariance[j][k];
    return deviation > 0 ? covariance / (deviation * deviation) : (double)NAN;
}

static bool told_from_0(const mtf_estimate *estimate)
{
    return estimate->low > 0 || estimate->high < 0; /* false for NaN */
}

void mtf_reward_suggest(const mtf_reward_study *study, const mtf_estimate *correlations,
                        mtf_estimate *weights)
{
    double now[MTF_REWARD_TERMS_MAX], then[MTF_REWARD_TERMS_MAX], unit[MTF_REWARD_TERMS_MAX];
    for (uint32_t k = 0; k < study->terms; k++) {
        const double deviation = sqrt(study->covariance[k][k]);
        now[k] = study->reward.terms[k].weight;
        unit[k] = deviation > 0 && told_from_0(&correlations[k]) ? 1 / deviation : 0;
        then[k] = unit[k] > 0 ? unit[k] * correlations[k].value : 0;
    }
    const double before = mtf_reward_deviation(study, now),
                 after = mtf_reward_deviation(study, then);
    const double scale = before > 0 && after > 0 ? before / after : 1;
    for (uint32_t k = 0; k < study->terms; k++) {
        const mtf_estimate *c = &correlations[k];
        weights[k] = (mtf_estimate){0};
        if (unit[k] > 0)
            weights[k] = (mtf_estimate){.value = scale * then[k],
                                        .low = scale * unit[k] * c->low,
                                        .high = scale * unit[k] * c->high};
    }
}
