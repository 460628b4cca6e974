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

void mtf_normaliser_narrow(const mtf_normaliser *normaliser, const mtf_row_shape *shape,
                           float *mean, float *deviation)
{
    const size_t S = mtf_row_user_dim(shape), D = mtf_row_item_dim(shape), first = S + shape->list;
    memcpy(mean, normaliser->mean, S * sizeof *mean);
    memcpy(deviation, normaliser->deviation, S * sizeof *deviation);
    memcpy(mean + S, normaliser->mean + first, D * sizeof *mean);
    memcpy(deviation + S, normaliser->deviation + first, D * sizeof *deviation);
}

void mtf_normaliser_widen(mtf_normaliser *normaliser, const mtf_row_shape *shape, const float *mean,
                          const float *deviation)
{
    const size_t S = mtf_row_user_dim(shape), D = mtf_row_item_dim(shape);
    memcpy(normaliser->mean, mean, S * sizeof *mean);
    memcpy(normaliser->deviation, deviation, S * sizeof *deviation);
    for (size_t j = 0; j < shape->list; j++) {
        const size_t at = S + shape->list + j * D;
        normaliser->mean[S + j] = 0; /* masks stay */
        normaliser->deviation[S + j] = 1;
        memcpy(normaliser->mean + at, mean + S, D * sizeof *mean);
        memcpy(normaliser->deviation + at, deviation + S, D * sizeof *deviation);
    }
}

MTF_CLONES void mtf_normalise(const mtf_normaliser *normaliser, const float *state, float *x)
{
    for (uint32_t i = 0; i < normaliser->state_dim; i++) {
        const float v = (state[i] - normaliser->mean[i]) / normaliser->deviation[i];
        x[i] = isfinite(v) ? v : 0;
    }
}

/** Running sums: mean and sum of squares about it (Welford) of some numbers. */
typedef struct moments {
    double count, *mean, *square;
} moments;

static double moments_deviation(const moments *sums, size_t i)
{
    const double deviation = sums->count > 1 ? sqrt(sums->square[i] / sums->count) : 0;
    return deviation > DEVIATION_MIN ? deviation : 1;
}

static void moments_step(moments *sums, size_t i, double x)
{
    const double delta = x - sums->mean[i];
    sums->mean[i] += delta / sums->count;
    sums->square[i] += delta * (x - sums->mean[i]);
}

/** What a survey sums up: of rows, the user's features, the reward and its parts; of their items,
 *  what an item is known by. */
typedef struct tally {
    uint32_t user_dim, item_dim, list, parts;
    moments rows, items;
    double *block; /* owns the above */
} tally;

static mtf_status tally_init(tally *sums, const mtf_row_shape *shape, const mtf_reward *reward,
                             mtf_err *err)
{
    *sums = (tally){mtf_row_user_dim(shape), mtf_row_item_dim(shape), shape->list, reward->groups,
                    .block = NULL};
    const size_t rows = (size_t)sums->user_dim + 1 + sums->parts, items = sums->item_dim;
    sums->block = calloc(2 * (rows + items), sizeof *sums->block);
    if (!sums->block) return mtf_fail(err, MTF_NOMEM, "no memory to survey a round's rows");
    sums->rows.mean = sums->block;
    sums->rows.square = sums->block + rows;
    sums->items.mean = sums->block + 2 * rows;
    sums->items.square = sums->items.mean + items;
    return MTF_OK;
}

static void tally_add(tally *sums, const mtf_row_shape *shape, const mtf_reward *reward,
                      const mtf_row *row)
{
    const uint32_t S = sums->user_dim, D = sums->item_dim;
    double parts[MTF_GROUPS_MAX];
    sums->rows.count++;
    for (uint32_t i = 0; i < S; i++) moments_step(&sums->rows, i, (double)row->s[i]);
    moments_step(&sums->rows, S, mtf_row_reward(shape, reward, row));
    mtf_row_parts(shape, reward, row, parts);
    for (uint32_t g = 0; g < sums->parts; g++) moments_step(&sums->rows, S + 1 + g, parts[g]);
    for (uint32_t j = 0; j < sums->list; j++) {
        if (row->s[S + j] == 0) continue;
        const float *item = row->s + S + sums->list + (size_t)j * D;
        sums->items.count++;
        for (uint32_t i = 0; i < D; i++) moments_step(&sums->items, i, (double)item[i]);
    }
}

/** Every place of a list has the same: an item is the same item wherever it stands. Masks stay. */
static void tally_normaliser(const tally *sums, mtf_normaliser *normaliser)
{
    const uint32_t S = sums->user_dim, D = sums->item_dim;
    for (uint32_t i = 0; i < S; i++) {
        normaliser->mean[i] = (float)sums->rows.mean[i];
        normaliser->deviation[i] = (float)moments_deviation(&sums->rows, i);
    }
    for (uint32_t j = 0; j < sums->list; j++) {
        normaliser->mean[S + j] = 0;
        normaliser->deviation[S + j] = 1;
        for (uint32_t i = 0; i < D; i++) {
            const size_t at = S + sums->list + (size_t)j * D + i;
            normaliser->mean[at] = (float)sums->items.mean[i];
            normaliser->deviation[at] = (float)moments_deviation(&sums->items, i);
        }
    }
}

static bool has_width(const mtf_row *row, uint32_t action_dim)
{
    for (uint32_t d = 0; d < action_dim; d++)
        if (row->upper[d] - row->lower[d] > WIDTH_MIN) return true;
    return false;
}

static mtf_status survey_row(const mtf_row_shape *shape, const mtf_selection *selection,
                             const mtf_reward *reward, mtf_span value, mtf_row *row, bool *owed,
                             mtf_survey *survey, tally *sums, mtf_err *err)
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
    tally_add(sums, shape, reward, row);
    return MTF_OK;
}

mtf_status mtf_survey_make(const mtf_store *store, const mtf_selection *selection,
                           const mtf_reward *reward, mtf_survey *survey, mtf_normaliser *normaliser,
                           mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    mtf_row row = {0};
    bool owed = false; /* the next state of `row` */
    tally sums;
    mtf_store_cursor *cursor =
        mtf_store_scan(store, selection->day_first, selection->day_last, 0, 1);
    mtf_status status = tally_init(&sums, &shape, reward, err);
    *survey = (mtf_survey){0};
    if (status == MTF_OK && !cursor)
        status = mtf_fail(err, MTF_NOMEM, "no memory to survey a round's rows");
    if (status) goto done;
    mtf_span value;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        status = survey_row(&shape, selection, reward, value, &row, &owed, survey, &sums, err);
        if (status) goto done;
    }
    if (status != MTF_CLOSED) goto done;
    status = MTF_OK;
    survey->states += owed;
    survey->reward_mean = sums.rows.mean[sums.user_dim];
    survey->reward_deviation = moments_deviation(&sums.rows, sums.user_dim);
    for (uint32_t g = 0; g < reward->groups; g++)
        survey->part_deviations[g] = moments_deviation(&sums.rows, sums.user_dim + 1 + g);
    if (normaliser) tally_normaliser(&sums, normaliser);
done:
    mtf_store_cursor_close(cursor);
    mtf_row_fini(&row);
    free(sums.block);
    return status;
}
