/** The whole comparison: every row of a plan in its designs, for every seed. What was finished is
 *  kept in a folder, so that a run that was stopped goes on, and a changed setting makes only its
 *  own cells anew. */
#ifndef MTF_COMPARE_H
#define MTF_COMPARE_H

#include "compare/table.h"

typedef struct mtf_compare_config {
    const mtf_settings *settings; /* borrowed, as all here */
    const mtf_compare_plan *plan;
    const char *state;       /* folder, made; NULL: nothing is kept */
    const atomic_bool *stop; /* may be NULL */
    /** May be NULL. A cell is about to run, or to be read (known); then shares of it done. */
    void (*begin)(void *arg, const mtf_compare_cell *cell, size_t number, size_t count, bool known);
    void (*progress)(void *arg, double share);
    void *arg;
} mtf_compare_config;

/** table: the caller's to fini, also after a failure. MTF_CLOSED: told to stop, finished cells are
 *  kept. MTF_CORRUPT: a file of the folder is damaged. Others say which cell they are of. */
mtf_status mtf_compare_run(const mtf_compare_config *config, mtf_compare_table *table,
                           mtf_err *err) MTF_NODISCARD;

#endif
