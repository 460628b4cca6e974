#include "learner/slice.h"

#include "core/block.h"

#include <stdlib.h>

#define TAIL 3 /* r, done, weight */

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for the training feed: lower learner.feed_mb");
}

/** Makes room for one more item of `size` bytes; false: out of memory. */
static bool make_room(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return true;
    const size_t more = *capacity + *capacity / 8 + 1;
    void *block = mtf_block_new(more * size);
    if (!block) return false;
    memcpy(block, *items, count * size);
    free(*items);
    *items = block;
    *capacity = more;
    return true;
}

static size_t state_floats(const mtf_row_shape *shape, uint32_t parts)
{
    return shape->state_dim + 4 * (size_t)shape->action_dim + TAIL + parts;
}

double mtf_slice_bytes(const mtf_row_shape *shape, uint32_t parts, double states, double rows)
{
    return states * (double)(state_floats(shape, parts) * sizeof(float)) +
           rows * (double)sizeof(uint32_t);
}

mtf_status mtf_slice_init(mtf_slice *slice, const mtf_row_shape *shape, uint32_t parts,
                          size_t states, size_t rows, mtf_err *err)
{
    *slice = (mtf_slice){.shape = *shape,
                         .parts = parts,
                         .floats = state_floats(shape, parts),
                         .state_capacity = states + 1,
                         .row_capacity = rows + 1};
    slice->states = mtf_block_new(slice->state_capacity * slice->floats * sizeof *slice->states);
    slice->rows = mtf_block_new(slice->row_capacity * sizeof *slice->rows);
    return slice->states && slice->rows ? MTF_OK : no_memory(err);
}

void mtf_slice_fini(mtf_slice *slice)
{
    free(slice->states);
    free(slice->rows);
    *slice = (mtf_slice){0};
}

static float *new_state(mtf_slice *slice)
{
    void *states = slice->states;
    const bool room = make_room(&states, &slice->state_capacity, slice->state_count,
                                slice->floats * sizeof *slice->states);
    slice->states = states;
    return room ? slice->states + slice->state_count++ * slice->floats : NULL;
}

static mtf_status add_row(mtf_slice *slice, const mtf_feed_config *config, const mtf_row *row,
                          mtf_err *err)
{
    const size_t S = slice->shape.state_dim, A = slice->shape.action_dim;
    void *rows = slice->rows;
    const bool room = make_room(&rows, &slice->row_capacity, slice->row_count, sizeof *slice->rows);
    slice->rows = rows;
    float *at = room ? new_state(slice) : NULL;
    if (!at) return no_memory(err);
    slice->rows[slice->row_count++] = (uint32_t)(slice->state_count - 1);
    mtf_normalise(config->normaliser, row->s, at);
    memcpy(at + S, row->a, 4 * A * sizeof *at); /* a, bp, lower, upper lie side by side */
    at += S + 4 * A;
    at[0] = (float)mtf_row_reward(&slice->shape, config->reward, row);
    at[1] = row->h.done ? 1 : 0;
    at[2] = row->h.weight;
    double parts[MTF_GROUPS_MAX];
    mtf_row_parts(&slice->shape, config->reward, row, parts);
    for (uint32_t g = 0; g < slice->parts; g++) at[TAIL + g] = (float)parts[g];
    return MTF_OK;
}

/** The next state of a row, where no row that trains brings it. */
static mtf_status add_next(mtf_slice *slice, const mtf_normaliser *normaliser, const mtf_row *row,
                           mtf_err *err)
{
    const size_t S = slice->shape.state_dim, A = slice->shape.action_dim;
    float *at = new_state(slice);
    if (!at) return no_memory(err);
    mtf_normalise(normaliser, row->s2, at);
    memset(at + S, 0, A * sizeof *at);
    memcpy(at + S + A, row->bp2, 3 * A * sizeof *at); /* bp2, lower2, upper2 as well */
    memset(at + S + 4 * A, 0, (TAIL + slice->parts) * sizeof *at);
    return MTF_OK;
}

mtf_status mtf_slice_load(mtf_slice *slice, mtf_store_cursor *cursor, const mtf_feed_config *config,
                          const atomic_bool *stop, mtf_err *err)
{
    mtf_row row = {0};
    mtf_span value;
    mtf_status status;
    bool owed = false; /* the next state of `row`, the one just read */
    slice->state_count = slice->row_count = 0;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        mtf_row_header header;
        status = atomic_load_explicit(stop, memory_order_relaxed)
                     ? MTF_CLOSED
                     : mtf_row_peek(value, &header, err);
        if (status) goto done;
        const bool trains = mtf_selection_trains(&config->selection, &header);
        if (mtf_slice_apart(owed, &row.h, trains))
            status = add_next(slice, config->normaliser, &row, err);
        if (status == MTF_OK && trains) status = mtf_row_decode(&slice->shape, value, &row, err);
        if (status == MTF_OK && trains) status = add_row(slice, config, &row, err);
        if (status) goto done;
        owed = trains && !header.done;
    }
    if (status == MTF_CLOSED)
        status = owed ? add_next(slice, config->normaliser, &row, err) : MTF_OK;
done:
    mtf_row_fini(&row);
    return status;
}
