/** What came of a cell, and its file: JSON, so that a comparison that was stopped goes on. */
#ifndef MTF_COMPARE_RESULT_H
#define MTF_COMPARE_RESULT_H

#include "compare/gather.h"

typedef struct mtf_compare_result {
    double gauc, gauc_low, gauc_high; /* weighted, by user; bootstrap interval by user */
    double train_seconds;             /* of learning or searching, not of simulating */
    mtf_gathered served;              /* while it learned */
    bool diverged;    /* a weight became infinite: judged as it was before that training */
    int64_t promoted; /* trainings that served next: where it learned in rounds */
    uint32_t users, rounds;
    mtf_sim_days *days;               /* (users,) of the A/B test */
    double (*drift)[MTF_SIM_ACTIONS]; /* (rounds,) mean action on test states after each training;
                                         of a search: what it found */
} mtf_compare_result;

/** Zeroed memory is fine. */
void mtf_compare_result_fini(mtf_compare_result *result);
/** Replaces the file. of: all that the result depends on, in words. */
mtf_status mtf_compare_result_save(const mtf_compare_result *result, const char *path,
                                   const char *of, mtf_err *err) MTF_NODISCARD;
/** MTF_SKIP: there is no such file. MTF_CORRUPT: it is not a result, or of something else; names it
 *  and the remedy. The caller's to fini. */
mtf_status mtf_compare_result_load(mtf_compare_result *result, const char *path, const char *of,
                                   mtf_err *err) MTF_NODISCARD;

#endif
