/** Synthetic transitions of the default dimensions, for benchmarks of the store and the learner. */
#ifndef MTF_BENCH_ROWS_H
#define MTF_BENCH_ROWS_H

#include "learner/store.h"

enum {
    BENCH_STATE = 64,
    BENCH_ACTION = 10,
    BENCH_PREDICTIONS = 5,
    BENCH_SIGNALS = 5,
    BENCH_ITEMS = 4,  /* of a request */
    BENCH_STEPS = 10, /* of a session */
};

mtf_row_shape bench_row_shape(void);
/** Opens or makes the store of that shape at path. */
mtf_status bench_store_open(const char *path, mtf_store **store, mtf_err *err) MTF_NODISCARD;

/** Sessions one after another, each with its rows; zeroed memory is a maker at its beginning. */
typedef struct bench_maker {
    uint64_t session;
    mtf_row row;
    mtf_buf value;
} bench_maker;

/** Puts the rows of the next session, explored under version 1, as one record of partition
 *  (session % 4); the caller commits. */
mtf_status bench_put_session(bench_maker *maker, mtf_store *store, mtf_err *err) MTF_NODISCARD;
void bench_maker_fini(bench_maker *maker);

#endif
