/** Which rows a round uses, and what they look like: see feed.h. */
#include <math.h>
#include <stdlib.h>

#include "learner/clones.h"
#include "learner/slice.h"

#define DEVIATION_MIN 1e-4 /* a feature that varies less is a constant: not blown up */
#define WIDTH_MIN     1e-6f

static bool within_reach(const mtf_selection *selection, int64_t version)
{
    return version <= selection->version && version >= selection->version - selection->reach;
}

/** Of a partition that `since` does not name nothing is known. */
static bool is_since(const mtf_selection *selection, const mtf_row_header *header)
{
    for (size_t i = 0; i < selection->since_count; i++)
        if (selection->since[i].partition == header->partition)
            return header->offset >= selection->since[i].next;
    return false;
}

bool mtf_selection_has(const mtf_selection *selection, const mtf_row_header *header)
{
    if (!within_reach(selection, header->version)) return false;
    if (selection->since && !is_since(selection, header)) return false;
    for (size_t i = 0; i < selection->cut_count; i++)
        if (selection->cut[i].partition == header->partition)
            return header->offset < selection->cut[i].next;
    return false;
}

bool mtf_held_out(const mtf_selection *selection, uint64_t user)
{
    return user % 100 < (uint64_t)selection->holdout_percent;
}

bool mtf_selection_trains(const mtf_selection *selection, const mtf_row_header *header)
{
    return mtf_selection_has(selection, header) && header->bucket == MTF_BUCKET_EXPLORE &&
           !header->truncated && !mtf_held_out(selection, header->user);
}

bool mtf_selection_days(mtf_selection *selection, const mtf_store *store)
{
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    selection->day_first = UINT32_MAX;
    selection->day_last = 0;
    for (size_t i = 0; i < count; i++) {
        if (!within_reach(selection, counts[i].version)) continue;
        if (counts[i].day_first < selection->day_first) selection->day_first = counts[i].day_first;
        if (counts[i].day_last > selection->day_last) selection->day_last = counts[i].day_last;
    }
    return selection->day_first <= selection->day_last;
}

mtf_status mtf_normaliser_init(mtf_normaliser *normaliser, uint32_t state_dim, mtf_err *err)
{
    normaliser->state_dim = state_dim;
    normaliser->mean = calloc(2 * (size_t)state_dim, sizeof *normaliser->mean);
    if (!normaliser->mean) return mtf_fail(err, MTF_NOMEM, "no memory for a normaliser");
    normaliser->deviation = normaliser->mean + state_dim;
    for (uint32_t i = 0; i < state_dim; i++) normaliser->deviation[i] = 1;
    return MTF_OK;
}

void mtf_normaliser_fini(mtf_normaliser *normaliser)
{
    free(normaliser->mean);
    *normaliser = (mtf_normaliser){0};
}

MTF_CLONES void mtf_normalise(const mtf_normaliser *normaliser, const float *state, float *x)
{
    for (uint32_t i = 0; i < normaliser->state_dim; i++) {
        const float v = (state[i] - normaliser->mean[i]) / normaliser->deviation[i];
        x[i] = isfinite(v) ? v : 0;
    }
}

/** Running sums: mean and sum of squares about it (Welford), of each feature, of the reward and of
 *  its parts. */
typedef struct moments {
    double count, *mean, *square; /* (S + 1 + q,): the reward, then its parts last */
} moments;

/** rewards (1 + parts,) */
static void moments_add(moments *sums, const float *state, uint32_t state_dim,
                        const double *rewards, uint32_t parts)
{
    sums->count++;
    for (uint32_t i = 0; i <= state_dim + parts; i++) {
        const double x = i < state_dim ? (double)state[i] : rewards[i - state_dim];
        const double delta = x - sums->mean[i];
        sums->mean[i] += delta / sums->count;
        sums->square[i] += delta * (x - sums->mean[i]);
    }
}

static double moments_deviation(const moments *sums, uint32_t i)
{
    const double deviation = sums->count > 1 ? sqrt(sums->square[i] / sums->count) : 0;
    return deviation > DEVIATION_MIN ? deviation : 1;
}

static bool has_width(const mtf_row *row, uint32_t action_dim)
{
    for (uint32_t d = 0; d < action_dim; d++)
        if (row->upper[d] - row->lower[d] > WIDTH_MIN) return true;
    return false;
}

static mtf_status survey_row(const mtf_row_shape *shape, const mtf_selection *selection,
                             const mtf_reward *reward, mtf_span value, mtf_row *row, bool *owed,
                             mtf_survey *survey, moments *sums, mtf_err *err)
{
    mtf_row_header header;
    mtf_status status = mtf_row_peek(value, &header, err);
    if (status) return status;
    const bool trains = mtf_selection_trains(selection, &header);
    survey->states += mtf_slice_apart(*owed, &row->h, trains);
    *owed = trains && !header.done;
    if (!mtf_selection_has(selection, &header)) return MTF_OK;
    const bool champions = header.version == selection->version;
    if (!trains) {
        if (!champions) return MTF_OK;
        if (mtf_held_out(selection, header.user))
            survey->heldout_rows++;
        else if (header.bucket != MTF_BUCKET_EXPLORE)
            survey->unexplored++;
        else
            survey->truncated++;
        return MTF_OK;
    }
    status = mtf_row_decode(shape, value, row, err);
    if (status) return status;
    survey->rows++;
    survey->states++;
    survey->older += !champions;
    if (row->h.items > survey->items_max) survey->items_max = row->h.items;
    if (champions && !survey->exploring) survey->exploring = has_width(row, shape->action_dim);
    double rewards[1 + MTF_GROUPS_MAX] = {mtf_row_reward(shape, reward, row)};
    mtf_row_parts(shape, reward, row, rewards + 1);
    moments_add(sums, row->s, shape->state_dim, rewards, reward->groups);
    return MTF_OK;
}

mtf_status mtf_survey_make(const mtf_store *store, const mtf_selection *selection,
                           const mtf_reward *reward, mtf_survey *survey, mtf_normaliser *normaliser,
                           mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    const uint32_t S = shape.state_dim;
    mtf_row row = {0};
    bool owed = false; /* the next state of `row` */
    const size_t count = (size_t)S + 1 + reward->groups;
    moments sums = {.mean = calloc(2 * count, sizeof *sums.mean)};
    mtf_store_cursor *cursor =
        mtf_store_scan(store, selection->day_first, selection->day_last, 0, 1);
    mtf_status status = MTF_OK;
    *survey = (mtf_survey){0};
    if (!sums.mean || !cursor) {
        status = mtf_fail(err, MTF_NOMEM, "no memory to survey a round's rows");
        goto done;
    }
    sums.square = sums.mean + count;
    mtf_span value;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        status = survey_row(&shape, selection, reward, value, &row, &owed, survey, &sums, err);
        if (status) goto done;
    }
    if (status != MTF_CLOSED) goto done;
    status = MTF_OK;
    survey->states += owed;
    survey->reward_mean = sums.mean[S];
    survey->reward_deviation = moments_deviation(&sums, S);
    for (uint32_t g = 0; g < reward->groups; g++)
        survey->part_deviations[g] = moments_deviation(&sums, S + 1 + g);
    for (uint32_t i = 0; normaliser && i < S; i++) {
        normaliser->mean[i] = (float)sums.mean[i];
        normaliser->deviation[i] = (float)moments_deviation(&sums, i);
    }
done:
    mtf_store_cursor_close(cursor);
    mtf_row_fini(&row);
    free(sums.mean);
    return status;
}
