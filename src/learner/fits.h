/** Models that judge users they were not fitted on, and many fits of them side by side. */
#ifndef MTF_FITS_H
#define MTF_FITS_H

#include "learner/cohort.h"
#include "learner/pool.h"

/** Models fitted on the rows of `fit` judge those of `judged`. The two have no user in common: they
 *  are two cohorts, or two views of one (equal `user`), which then are drawn anew together. */
typedef struct mtf_fold {
    const mtf_cohort *fit, *judged;
} mtf_fold;

/** How often each user of fold->fit (judged: of fold->judged) counts in refit number `refit`; NULL
 *  with MTF_OK for number 0, which is the fit on all. The caller's to free. */
mtf_status mtf_fold_times(const mtf_fold *fold, bool judged, uint64_t seed, uint32_t refit,
                          uint32_t **times, mtf_err *err) MTF_NODISCARD;

/** What fits run on. */
typedef struct mtf_fits {
    mtf_pool *pool;
    void (*progress)(void *arg, int64_t done,
                     int64_t total); /* from the caller's thread; or NULL */
    void *progress_arg;
} mtf_fits;

/** Called once for each number, on any thread; results must not depend on which. */
typedef mtf_status (*mtf_fit_fn)(void *arg, uint32_t number, mtf_err *err);

/** fn for the numbers below count. Of those that fail, the lowest number's status; none is begun
 *  after it is seen. MTF_NOMEM. */
mtf_status mtf_fits_run(const mtf_fits *fits, uint32_t count, mtf_fit_fn fn, void *arg,
                        mtf_err *err) MTF_NODISCARD;

#endif
