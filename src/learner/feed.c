/** Training batches from memory: see feed.h. */
#include "learner/feed.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/rng.h"
#include "learner/slice.h"

#define PASSES 4 /* over a slice at most */
#define AHEAD  8 /* rows of a batch whose memory is asked for before it is needed */
#define LINE   64

/** The load of a slice. While it runs, all but `stop` is its thread's. */
typedef struct slice_load {
    const mtf_feed_config *config;
    uint32_t number; /* of the slice */
    mtf_store_cursor *cursor;
    mtf_slice slice;
    mtf_status status;
    mtf_err err;
    atomic_bool stop;
} slice_load;

struct mtf_feed {
    const mtf_store *store;
    mtf_feed_config config;
    mtf_row_shape shape;
    uint32_t slices, number; /* number: of the slice to draw from; slices when there is none */
    uint64_t steps_of_slice; /* that a slice serves */
    mtf_slice slice;         /* to draw from */
    slice_load load;         /* of the one after it */
    pthread_t loader;
    bool loading; /* the loader runs, or was not joined yet */
    mtf_batch batch;
    float *batch_block;
    const float **drawn; /* (batch,) states of the batch */
};

static mtf_status make_batch(mtf_feed *feed, mtf_err *err)
{
    const size_t B = feed->config.batch, S = feed->shape.state_dim, A = feed->shape.action_dim;
    const uint32_t q = feed->config.reward->groups;
    float *at = malloc(B * (2 * S + 7 * A + 3 + q) * sizeof *at);
    feed->batch_block = at;
    feed->drawn = malloc(B * sizeof *feed->drawn);
    if (!at || !feed->drawn) return mtf_fail(err, MTF_NOMEM, "no memory for a training batch");
    mtf_batch *batch = &feed->batch;
    *batch = (mtf_batch){.rows = B,
                         .state_dim = feed->shape.state_dim,
                         .action_dim = feed->shape.action_dim,
                         .groups = q};
    batch->s = at, at += B * S;
    batch->s2 = at, at += B * S;
    float **wide[] = {&batch->a,   &batch->bp,     &batch->lower, &batch->upper,
                      &batch->bp2, &batch->lower2, &batch->upper2};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++, at += B * A) *wide[i] = at;
    batch->r = at, at += B;
    batch->done = at, at += B;
    batch->weight = at, at += B;
    batch->parts = q ? at : NULL;
    return MTF_OK;
}

/** How often a slice is drawn over before the next one is loaded: so often that the round sees
 * every slice, so that reading the store costs a round of many steps no more than one of few. */
static uint64_t passes_of(const mtf_feed_config *config)
{
    const uint64_t over = config->steps * config->batch / (uint64_t)config->rows;
    return over < 1 ? 1 : over > PASSES ? PASSES : over;
}

/** One slice, or so many that the one drawn from and the one being loaded fit; a slice's share of
 *  rows varies by chance: leave a twentieth. */
static uint32_t slices_of(const mtf_feed_config *config, const mtf_row_shape *shape)
{
    const double bytes = mtf_slice_bytes(shape, config->reward->groups, (double)config->states,
                                         (double)config->rows);
    const double slices = bytes / (double)config->bytes_max;
    return slices <= 1 ? 1 : (uint32_t)(2 * slices * 1.05) + 1;
}

mtf_status mtf_feed_open(const mtf_store *store, const mtf_feed_config *config, mtf_feed **out,
                         mtf_err *err)
{
    MTF_ASSERT(config->rows > 0 && config->states >= config->rows);
    *out = NULL;
    mtf_feed *feed = calloc(1, sizeof *feed);
    if (!feed) return mtf_fail(err, MTF_NOMEM, "no memory for the training feed");
    feed->store = store;
    feed->config = *config;
    feed->shape = mtf_store_shape(store);
    feed->slices = slices_of(config, &feed->shape);
    feed->number = feed->slices;
    feed->load.config = &feed->config;
    const uint32_t parts = config->reward->groups;
    const size_t rows = (size_t)config->rows / feed->slices + 1,
                 states = (size_t)config->states / feed->slices + 1;
    feed->steps_of_slice = (passes_of(config) * rows + config->batch - 1) / config->batch;
    feed->load.number = feed->slices;
    mtf_status status = make_batch(feed, err);
    if (status == MTF_OK)
        status = mtf_slice_init(&feed->load.slice, &feed->shape, parts, states, rows, err);
    if (status == MTF_OK && feed->slices > 1)
        status = mtf_slice_init(&feed->slice, &feed->shape, parts, states, rows, err);
    if (status)
        mtf_feed_close(feed);
    else
        *out = feed;
    return status;
}

/** Waits for the loader, if there is one. */
static void join(mtf_feed *feed)
{
    if (feed->loading) pthread_join(feed->loader, NULL);
    feed->loading = false;
}

void mtf_feed_close(mtf_feed *feed)
{
    if (!feed) return;
    atomic_store(&feed->load.stop, true);
    join(feed);
    mtf_slice_fini(&feed->slice);
    mtf_slice_fini(&feed->load.slice);
    free(feed->batch_block);
    free(feed->drawn);
    free(feed);
}

uint64_t mtf_feed_steps_per_load(const mtf_feed *feed)
{
    return feed->slices == 1 ? UINT64_MAX : feed->steps_of_slice;
}

static void *run_load(void *arg)
{
    slice_load *load = arg;
    load->status =
        mtf_slice_load(&load->slice, load->cursor, load->config, &load->stop, &load->err);
    mtf_store_cursor_close(load->cursor);
    return NULL;
}

/** Opens the scan of the load of a slice. */
static mtf_status begin_load(mtf_feed *feed, uint32_t number, mtf_err *err)
{
    slice_load *load = &feed->load;
    const mtf_selection *selection = &feed->config.selection;
    load->number = feed->slices;
    load->cursor = mtf_store_scan(feed->store, selection->day_first, selection->day_last, number,
                                  feed->slices);
    if (!load->cursor) return mtf_fail(err, MTF_NOMEM, "no memory to read training rows");
    load->number = number;
    atomic_store(&load->stop, false);
    return MTF_OK;
}

/** Makes a slice the one to draw from: the loader's, or one that is loaded here and now. */
static mtf_status turn_to(mtf_feed *feed, uint32_t number, mtf_err *err)
{
    slice_load *load = &feed->load;
    if (load->number != number) { /* the first one, or one out of turn */
        atomic_store(&load->stop, true);
        join(feed);
        const mtf_status status = begin_load(feed, number, err);
        if (status) return status;
        run_load(load);
    }
    join(feed);
    load->number = feed->slices;
    if (load->status) {
        if (err) *err = load->err;
        return load->status;
    }
    if (load->slice.row_count == 0)
        return mtf_fail(err, MTF_CORRUPT, "store %s: rows of the round are gone (retention?)",
                        mtf_store_path(feed->store));
    const mtf_slice drawn = feed->slice;
    feed->slice = load->slice;
    load->slice = drawn;
    feed->number = number;
    return MTF_OK;
}

/** Has the slice after this step's loaded, if the round comes to it. Where that cannot begin, the
 *  step that needs the slice loads it, and says what is wrong. */
static void load_ahead(mtf_feed *feed, uint64_t step)
{
    const uint64_t turn = step / feed->steps_of_slice + 1;
    if (feed->slices == 1 || turn * feed->steps_of_slice >= feed->config.steps) return;
    if (begin_load(feed, (uint32_t)(turn % feed->slices), NULL)) return;
    feed->loading = pthread_create(&feed->loader, NULL, run_load, &feed->load) == 0;
    if (feed->loading) return;
    mtf_store_cursor_close(feed->load.cursor);
    feed->load.number = feed->slices;
}

/** Rows drawn at random come from memory: the wait for one is spent on those before it. */
static void ask_for(const float *state, size_t floats)
{
    const uintptr_t at = (uintptr_t)state;
    for (size_t i = 0; i < floats * sizeof *state; i += LINE)
        __builtin_prefetch((const void *)(at + i));
}

/** state: a row's, its next one behind it unless it is done. */
static void gather(mtf_batch *batch, size_t b, const float *state, size_t floats)
{
    const size_t S = batch->state_dim, A = batch->action_dim;
    const float *tail = state + S + 4 * A, *sides = state + S, *next = state + floats;
    float *const side[] = {batch->a, batch->bp, batch->lower, batch->upper};
    float *const next_side[] = {batch->bp2, batch->lower2, batch->upper2};
    const bool done = tail[1] != 0;
    memcpy(batch->s + b * S, state, S * sizeof *state);
    for (size_t i = 0; i < 4; i++) memcpy(side[i] + b * A, sides + i * A, A * sizeof *state);
    batch->r[b] = tail[0];
    batch->done[b] = tail[1];
    batch->weight[b] = tail[2];
    for (uint32_t g = 0; g < batch->groups; g++) batch->parts[b * batch->groups + g] = tail[3 + g];
    if (done) {
        memset(batch->s2 + b * S, 0, S * sizeof *state);
        for (size_t i = 0; i < 3; i++) memset(next_side[i] + b * A, 0, A * sizeof *state);
        return;
    }
    memcpy(batch->s2 + b * S, next, S * sizeof *state);
    for (size_t i = 0; i < 3; i++)
        memcpy(next_side[i] + b * A, next + S + (i + 1) * A, A * sizeof *state);
}

mtf_status mtf_feed_batch(mtf_feed *feed, uint64_t step, const mtf_batch **batch, mtf_err *err)
{
    const uint32_t number = (uint32_t)(step / feed->steps_of_slice % feed->slices);
    if (number != feed->number) {
        const mtf_status status = turn_to(feed, number, err);
        if (status) return status;
        load_ahead(feed, step);
    }
    const mtf_slice *slice = &feed->slice;
    const size_t B = feed->config.batch, floats = slice->floats;
    mtf_rng rng = {feed->config.seed, feed->config.round, step * B};
    for (size_t b = 0; b < B; b++)
        feed->drawn[b] =
            slice->states + slice->rows[mtf_rng_below(&rng, slice->row_count)] * floats;
    for (size_t b = 0; b < B + AHEAD; b++) {
        if (b < B) ask_for(feed->drawn[b], 2 * floats);
        if (b >= AHEAD) gather(&feed->batch, b - AHEAD, feed->drawn[b - AHEAD], floats);
    }
    *batch = &feed->batch;
    return MTF_OK;
}
