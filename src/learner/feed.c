/** Training batches from memory: see feed.h. A row in memory is the decoded row's block, the states
 *  normalised, then r, done and weight:
 *  | s S | s2 S | a A | bp A | lower A | upper A | bp2 A | lower2 A | upper2 A | r | done | weight
 * | */
#include "learner/feed.h"

#include <stdlib.h>

#include "core/rng.h"

#define TAIL   3 /* r, done, weight */
#define PASSES 4 /* over a slice at most */
#define AHEAD  8 /* rows of a batch whose memory is asked for before it is needed */
#define LINE   64

struct mtf_feed {
    const mtf_store *store;
    mtf_feed_config config;
    mtf_row_shape shape;
    uint32_t slices, slice;  /* slice: in memory; slices when none is */
    uint64_t steps_of_slice; /* that a slice serves */
    size_t row_floats;
    float *rows; /* (row_capacity, row_floats) */
    size_t row_count, row_capacity;
    mtf_batch batch;
    float *batch_block;
    size_t *drawn; /* (batch,) rows of the batch, in floats */
};

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for the training feed: lower learner.feed_mb");
}

static mtf_status make_batch(mtf_feed *feed, mtf_err *err)
{
    const size_t B = feed->config.batch, S = feed->shape.state_dim, A = feed->shape.action_dim;
    float *at = malloc(B * (2 * S + 7 * A + TAIL) * sizeof *at);
    feed->batch_block = at;
    feed->drawn = malloc(B * sizeof *feed->drawn);
    if (!at || !feed->drawn) return no_memory(err);
    mtf_batch *batch = &feed->batch;
    *batch = (mtf_batch){
        .rows = B, .state_dim = feed->shape.state_dim, .action_dim = feed->shape.action_dim};
    batch->s = at, at += B * S;
    batch->s2 = at, at += B * S;
    float **wide[] = {&batch->a,   &batch->bp,     &batch->lower, &batch->upper,
                      &batch->bp2, &batch->lower2, &batch->upper2};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++, at += B * A) *wide[i] = at;
    batch->r = at, at += B;
    batch->done = at, at += B;
    batch->weight = at;
    return MTF_OK;
}

/** How often a slice is drawn over before the next one is loaded: so often that the round sees
 * every slice, so that reading the store costs a round of many steps no more than one of few. */
static uint64_t passes_of(const mtf_feed_config *config)
{
    const uint64_t over = config->steps * config->batch / (uint64_t)config->rows;
    return over < 1 ? 1 : over > PASSES ? PASSES : over;
}

mtf_status mtf_feed_open(const mtf_store *store, const mtf_feed_config *config, mtf_feed **out,
                         mtf_err *err)
{
    MTF_ASSERT(config->rows > 0);
    mtf_feed *feed = calloc(1, sizeof *feed);
    if (!feed) return no_memory(err);
    feed->store = store;
    feed->config = *config;
    feed->shape = mtf_store_shape(store);
    feed->row_floats =
        2 * (size_t)feed->shape.state_dim + 7 * (size_t)feed->shape.action_dim + TAIL;
    /* A slice's share of rows varies by chance: leave a twentieth. */
    const double bytes = (double)config->rows * (double)(feed->row_floats * sizeof(float));
    const double slices = bytes / (double)config->bytes_max;
    feed->slices = slices <= 1 ? 1 : (uint32_t)(slices * 1.05) + 1;
    feed->slice = feed->slices;
    const uint64_t slice_rows = (uint64_t)config->rows / feed->slices + 1;
    feed->steps_of_slice = (passes_of(config) * slice_rows + config->batch - 1) / config->batch;
    const mtf_status status = make_batch(feed, err);
    if (status) {
        mtf_feed_close(feed);
        feed = NULL;
    }
    *out = feed;
    return status;
}

void mtf_feed_close(mtf_feed *feed)
{
    if (!feed) return;
    free(feed->rows);
    free(feed->batch_block);
    free(feed->drawn);
    free(feed);
}

uint64_t mtf_feed_steps_per_load(const mtf_feed *feed)
{
    return feed->slices == 1 ? UINT64_MAX : feed->steps_of_slice;
}

static float *new_row(mtf_feed *feed)
{
    if (feed->row_count == feed->row_capacity) {
        const size_t first = (size_t)feed->config.rows / feed->slices + 1;
        const size_t capacity =
            feed->row_capacity ? feed->row_capacity + feed->row_capacity / 8 + 1 : first;
        float *rows = realloc(feed->rows, capacity * feed->row_floats * sizeof *rows);
        if (!rows) return NULL;
        feed->rows = rows;
        feed->row_capacity = capacity;
    }
    return feed->rows + feed->row_count++ * feed->row_floats;
}

static mtf_status load_row(mtf_feed *feed, mtf_span value, mtf_row *row, mtf_err *err)
{
    mtf_row_header header;
    mtf_status status = mtf_row_peek(value, &header, err);
    if (status || !mtf_selection_trains(&feed->config.selection, &header)) return status;
    status = mtf_row_decode(&feed->shape, value, row, err);
    if (status) return status;
    float *at = new_row(feed);
    if (!at) return no_memory(err);
    const size_t S = feed->shape.state_dim, blocks = feed->row_floats - TAIL;
    memcpy(at, row->block, blocks * sizeof *at);
    mtf_normalise(feed->config.normaliser, at, at);
    if (!row->h.done) mtf_normalise(feed->config.normaliser, at + S, at + S);
    at[blocks] = (float)mtf_row_reward(&feed->shape, feed->config.reward, row);
    at[blocks + 1] = row->h.done ? 1 : 0;
    at[blocks + 2] = row->h.weight;
    return MTF_OK;
}

static mtf_status load_slice(mtf_feed *feed, uint32_t slice, mtf_err *err)
{
    const mtf_selection *selection = &feed->config.selection;
    mtf_store_cursor *cursor =
        mtf_store_scan(feed->store, selection->day_first, selection->day_last, slice, feed->slices);
    if (!cursor) return no_memory(err);
    mtf_row row = {0};
    mtf_span value;
    mtf_status status;
    feed->row_count = 0;
    feed->slice = feed->slices; /* until it is whole */
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        status = load_row(feed, value, &row, err);
        if (status) break;
    }
    if (status == MTF_CLOSED) {
        status = feed->row_count ? MTF_OK
                                 : mtf_fail(err, MTF_CORRUPT,
                                            "store %s: rows of the round are gone (retention?)",
                                            mtf_store_path(feed->store));
        feed->slice = slice;
    }
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return status;
}

/** Rows drawn at random come from memory: the wait for one is spent on those before it. */
static void ask_for(const float *row, size_t floats)
{
    const char *at = (const char *)row, *end = (const char *)(row + floats);
    for (; at < end; at += LINE) __builtin_prefetch(at);
}

static void gather(mtf_batch *batch, size_t b, const float *row)
{
    const size_t S = batch->state_dim, A = batch->action_dim;
    const struct {
        float *to;
        size_t count;
    } blocks[] = {{batch->s, S},      {batch->s2, S},    {batch->a, A},    {batch->bp, A},
                  {batch->lower, A},  {batch->upper, A}, {batch->bp2, A},  {batch->lower2, A},
                  {batch->upper2, A}, {batch->r, 1},     {batch->done, 1}, {batch->weight, 1}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        memcpy(blocks[i].to + b * blocks[i].count, row, blocks[i].count * sizeof *row);
        row += blocks[i].count;
    }
}

mtf_status mtf_feed_batch(mtf_feed *feed, uint64_t step, const mtf_batch **batch, mtf_err *err)
{
    const uint32_t slice = (uint32_t)(step / feed->steps_of_slice % feed->slices);
    if (slice != feed->slice) {
        const mtf_status status = load_slice(feed, slice, err);
        if (status) return status;
    }
    const size_t B = feed->config.batch;
    mtf_rng rng = {feed->config.seed, feed->config.round, step * B};
    for (size_t b = 0; b < B; b++)
        feed->drawn[b] = mtf_rng_below(&rng, feed->row_count) * feed->row_floats;
    for (size_t b = 0; b < B + AHEAD; b++) {
        if (b < B) ask_for(feed->rows + feed->drawn[b], feed->row_floats);
        if (b >= AHEAD) gather(&feed->batch, b - AHEAD, feed->rows + feed->drawn[b - AHEAD]);
    }
    *batch = &feed->batch;
    return MTF_OK;
}
