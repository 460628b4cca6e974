/** The comparison as a table: a line a row and design, over its seeds.
 *
 *  Differences are of pairs: a row and the reference, on the same users, candidates and luck. With
 *  several seeds a figure is the mean over them, and its interval Student's t of the seeds'
 *  (differences): users, noise and networks are all drawn anew with the seed, so it knows of all
 *  three. With one seed it is the bootstrap's by user: it knows of users only. */
#ifndef MTF_COMPARE_TABLE_H
#define MTF_COMPARE_TABLE_H

#include "compare/cell.h"
#include "learner/bootstrap.h"

typedef struct mtf_compare_line {
    const mtf_compare_row *row;
    mtf_compare_design design;
    uint32_t seeds, diverged;     /* of these, whose training came to numbers that are none */
    mtf_estimate gauc;            /* weighted, by user */
    mtf_estimate valid, duration; /* consumed, watched a day: % more than the reference's users */
    mtf_estimate value;           /* of a session: undiscounted reward */
    double valid_day, watch_day;  /* items; seconds */
    double learning_value;        /* of a session served while it learned */
    double train_seconds, sessions, promoted; /* means over seeds */
    uint32_t rounds;
    double (*drift)[MTF_SIM_ACTIONS]; /* (rounds,) means over seeds, of those that have all */
    int64_t noise[MTF_NOISE_BINS];    /* over all seeds */
} mtf_compare_line;

typedef struct mtf_compare_table {
    mtf_compare_line *lines;
    size_t count;
    const char *reference;
} mtf_compare_table;

/** line->row and design are the caller's. results and references (seeds,), of equal seeds. */
mtf_status mtf_compare_line_make(const mtf_compare_result *const *results,
                                 const mtf_compare_result *const *references, uint32_t seeds,
                                 mtf_compare_line *line, mtf_err *err) MTF_NODISCARD;
/** The mean and Student's t interval of values (count,), which are overwritten; of one, no
 * interval.
 */
mtf_estimate mtf_compare_mean(double *values, uint32_t count);
void mtf_compare_table_fini(mtf_compare_table *table);

/** For people; for programs; for spreadsheets. Check out->failed. */
void mtf_compare_table_markdown(const mtf_compare_table *table, mtf_buf *out);
void mtf_compare_table_json(const mtf_compare_table *table, mtf_buf *out);
void mtf_compare_table_csv(const mtf_compare_table *table, mtf_buf *out);

#endif
