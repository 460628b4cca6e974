/** A cell of the comparison: a row in a design, for one seed, from its data to its figures. */
#ifndef MTF_COMPARE_CELL_H
#define MTF_COMPARE_CELL_H

#include "compare/plan.h"
#include "compare/test_users.h"

/** Sessions gathered round the initial policy, that several cells learn from. */
typedef struct mtf_compare_logs {
    mtf_buf of; /* what they depend on; empty: there are none */
    mtf_scratch scratch;
    mtf_gathered served;
} mtf_compare_logs;

/** What the cells of a run share: whatever the last one used is kept for the next. Zeroed memory,
 *  then the first five; settings are the experiment's, for what is the same for all rows. */
typedef struct mtf_compare_bench {
    const mtf_settings *settings;
    const mtf_compare_row *reference;
    uint64_t world;               /* of settings (mtf_compare_world) */
    bool lists;                   /* a row has an action for each item */
    const atomic_bool *stop;      /* may be NULL */
    uint64_t seed;                /* of the next two */
    float start[MTF_SIM_ACTIONS]; /* of the initial policy */
    mtf_test_users test;
    mtf_compare_logs logs;
    /** Called between steps, with a share done in [0,1]; may be NULL. */
    void (*progress)(void *arg, double share);
    void *arg;
} mtf_compare_bench;

void mtf_compare_bench_fini(mtf_compare_bench *bench);

typedef struct mtf_compare_cell {
    const mtf_compare_row *row;
    mtf_compare_data data;
    uint64_t seed; /* from 1 */
    bool items;    /* each item is explored round an action of its own, not all round one */
} mtf_compare_cell;

/** Appends all that the cell's result depends on, as words with a NUL behind them: equal words,
 *  equal result. MTF_NOMEM. */
mtf_status mtf_compare_cell_words(const mtf_compare_bench *bench, const mtf_compare_cell *cell,
                                  mtf_buf *of, mtf_err *err) MTF_NODISCARD;
/** A function of the words, but for the seconds. result: the caller's to fini, also after a
 *  failure. MTF_CLOSED: told to stop. */
mtf_status mtf_compare_cell_run(mtf_compare_bench *bench, const mtf_compare_cell *cell,
                                mtf_compare_result *result, mtf_err *err) MTF_NODISCARD;

#endif
