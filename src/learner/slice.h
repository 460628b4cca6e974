/** A slice of a round's rows in memory, as the training feed draws from it.
 *
 *  A state S is | s S | a A | bp A | lower A | upper A | r | done | weight | parts q |, s
 * normalised, q the groups of the reward. The next state of a row that is not done lies right
 * behind it. Where rows of a session train one after another that is the next row itself, so that
 * each state is here once; else it is a state of its own, with no action or reward, that is never
 * drawn. */
#ifndef MTF_SLICE_H
#define MTF_SLICE_H

#include <stdatomic.h>

#include "learner/feed.h"

typedef struct mtf_slice {
    mtf_row_shape shape;
    uint32_t parts; /* of the reward, if it is learnt in parts */
    size_t floats;  /* of a state */
    float *states;  /* (state_capacity, floats) */
    uint32_t *rows; /* (row_capacity,) the states that are training rows */
    size_t state_count, row_count;
    size_t state_capacity, row_capacity;
} mtf_slice;

/** Empty, with room for about so many; a slice that turns out longer grows. Memory is taken in huge
 *  pages where the system has them: rows are drawn at random. MTF_NOMEM. */
mtf_status mtf_slice_init(mtf_slice *slice, const mtf_row_shape *shape, uint32_t parts,
                          size_t states, size_t rows, mtf_err *err) MTF_NODISCARD;
/** Zeroed memory is fine. */
void mtf_slice_fini(mtf_slice *slice);
/** Bytes that so many take. */
double mtf_slice_bytes(const mtf_row_shape *shape, uint32_t parts, double states, double rows);

/** Replaces what it has with the training rows of a scan, by config's selection, reward and
 *  normaliser. MTF_CLOSED: *stop came true; what there is then is no slice. Others: the scan's, and
 *  MTF_NOMEM. Uses nothing but its arguments, so that any thread may. */
mtf_status mtf_slice_load(mtf_slice *slice, mtf_store_cursor *cursor, const mtf_feed_config *config,
                          const atomic_bool *stop, mtf_err *err) MTF_NODISCARD;

/** last: the training row just read, its next state `owed` if it has one. Is that state another
 *  thing than the row read now, which trains or not? */
static inline bool mtf_slice_apart(bool owed, const mtf_row_header *last, bool trains)
{
    return owed && !(trains && last->followed);
}

#endif
