/** Estimates with their errors by user. Rows of a user, and of a session above all, are not
 *  independent: what is drawn anew is whole users, with replacement (the bootstrap of clusters;
 *  Efron and Tibshirani, An Introduction to the Bootstrap, chapters 8 and 13).
 *
 *  A figure is a function of sums over users, so that a draw costs an addition a user and nothing
 *  is estimated twice. Draw number k draws the same users for every figure of a seed: figures are
 *  paired. All of it is a function of its arguments alone; any thread may. */
#ifndef MTF_BOOTSTRAP_H
#define MTF_BOOTSTRAP_H

#include "core/status.h"

/** A figure of data and how far off it may be. What was not measured is NaN. */
typedef struct mtf_estimate {
    double value;
    double low, high;    /* of its 95 % interval */
    double se, z;        /* standard error; value / se, 0 where se is 0 */
    int64_t rows, users; /* that it was made of */
} mtf_estimate;

/** All NaN, of no rows. */
mtf_estimate mtf_estimate_none(void);

#define MTF_SUMS 6

/** What each user adds to a figure's sums. */
typedef struct mtf_sums {
    size_t users;             /* 0 .. users - 1, some of them without a row */
    double (*sums)[MTF_SUMS]; /* (users,) */
    uint32_t *rows;           /* (users,) */
} mtf_sums;

mtf_status mtf_sums_init(mtf_sums *sums, size_t users, mtf_err *err) MTF_NODISCARD;
/** Zeroed memory is fine. */
void mtf_sums_fini(mtf_sums *sums);
/** Counts a row of a user's; the caller adds what it brings to the sums returned. */
double *mtf_sums_row(mtf_sums *sums, uint32_t user);

/** A figure from the sums over all drawn users; NaN where it is not defined. */
typedef double (*mtf_figure)(const double sums[MTF_SUMS]);

/** sums[0] / sums[1]: a weighted mean. */
double mtf_figure_mean(const double sums[MTF_SUMS]);
/** (sums[0] - sums[2]) / sums[1]: a paired difference of two of them. */
double mtf_figure_difference(const double sums[MTF_SUMS]);

/** The figure of all users that have a row, its standard error over the draws, and its percentile
 *  interval. No draws, fewer than two such users, or a figure that more than one draw in a hundred
 *  does not define: no error and no interval. */
mtf_status mtf_bootstrap(const mtf_sums *sums, mtf_figure figure, int64_t draws, uint64_t seed,
                         mtf_estimate *out, mtf_err *err) MTF_NODISCARD;

/** count (users,) out: how often draw number `draw` takes each user, `users` times in all. */
void mtf_bootstrap_draw(size_t users, uint64_t seed, uint64_t draw, uint32_t *count);

/** The standard error and interval of `value` from a few refits (count,) of what made it, each on
 *  users of its own draw: too few for percentiles, hence Student's t. NaN below two. */
void mtf_estimate_refitted(double value, const double *refits, size_t count, mtf_estimate *out);

/** Widens an estimate's error and interval by what its model may be off: refits (count,) are its
 *  values on the same rows by models that were fitted anew, each on users of its own draw, none of
 *  them judged. The two errors are independent. Fewer than two refits change nothing. */
void mtf_estimate_widen(mtf_estimate *estimate, const double *refits, size_t count);

#endif
