/** Searches for the best point of a box by trying points and reading noisy values: one action for
 *  everybody, found without a model of users or sessions. What the learners are compared with.
 *
 *  A search says which points to try (ask), is told what they were worth (tell), and says which it
 *  holds best. It knows nothing of what a point means. Values are maximised.
 *
 *    constant  its start, once
 *    grid      a full factorial design of at most `budget` points, the middles of equal cells
 *    es        CMA-ES (Hansen, arXiv:1604.00772), from start with a standard deviation of `spread`
 *    bo        a Gaussian process with a Matern-5/2 kernel, a length a dimension, and expected
 *              improvement; starts with 2 (dims + 1) scrambled Sobol points
 *
 *  What to ask is a function of the configuration and of what was told, so that a search is saved
 *  as its history and goes on as if it had never stopped. Another machine may round differently.
 *  One thread at a time. */
#ifndef MTF_SEARCH_SEARCH_H
#define MTF_SEARCH_SEARCH_H

#include "core/bytes.h"

#define MTF_SEARCH_DIMS_MAX  64
#define MTF_SEARCH_BATCH_MAX 64

typedef struct mtf_search_config {
    uint32_t dims;
    const double *lower, *upper; /* (dims,) the box: lower < upper; copied */
    const double *start;         /* (dims,) in the box; NULL: its middle */
    double spread;               /* of es, as a share of the box's width; 0: 0.2 */
    uint32_t budget;             /* of grid: points; 0: 1024 */
    uint64_t seed;
} mtf_search_config;

typedef struct mtf_search mtf_search;

/** MTF_INVALID: no such method, or the box has no inside, or a method's limit (bo: 31 dimensions);
 *  names it. Puts OpenBLAS on one thread, for the whole process, as the learner does. */
mtf_status mtf_search_open(const char *method, const mtf_search_config *config, mtf_search **search,
                           mtf_err *err) MTF_NODISCARD;
/** NULL is fine. */
void mtf_search_close(mtf_search *search);
/** The methods' names, parted by spaces. */
const char *mtf_search_methods(void);

/** How many points the next ask gives, 0: the search is at its end. At most MTF_SEARCH_BATCH_MAX.
 */
uint32_t mtf_search_batch(const mtf_search *search);
/** Points (count, dims) in the box, borrowed until told; the same ones until then. MTF_CLOSED:
 *  there is nothing more to try. MTF_NOMEM. */
mtf_status mtf_search_ask(mtf_search *search, const double **points, uint32_t *count,
                          mtf_err *err) MTF_NODISCARD;
/** What the points of the last ask were worth: values (count,), and the variances (count,) of their
 *  errors; NULL: exact. es goes by their order only; bo weighs each by its variance. MTF_INVALID:
 *  a value is not finite, or a variance negative; nothing is taken. */
mtf_status mtf_search_tell(mtf_search *search, const double *values, const double *variances,
                           mtf_err *err) MTF_NODISCARD;

/** Which trial of a search this is: the point's place among all, and that of its batch's first. */
typedef struct mtf_search_trial {
    const double *point; /* (dims,) */
    uint32_t index, batch;
} mtf_search_trial;

/** What a point is worth: its value, and the variance of the value's error (0: exact). Not MTF_OK
 *  ends the search. On the caller's thread. */
typedef mtf_status mtf_search_objective(void *arg, const mtf_search_trial *trial, double *value,
                                        double *variance, mtf_err *err);

/** Asks, tries and tells until the next batch would make it more than `points` in all, or the
 * search is at its end. MTF_INVALID: not even the first batch fits; or the objective's status. */
mtf_status mtf_search_run(mtf_search *search, uint32_t points, mtf_search_objective *objective,
                          void *arg, mtf_err *err) MTF_NODISCARD;

/** Points told so far. */
uint32_t mtf_search_told(const mtf_search *search);

/** point (dims,) out: what the search holds best; its start before anything was told. es: the mean
 *  of its distribution. bo: the tried point of the highest posterior mean. grid, constant: the
 *  highest value told, which under noise flatters it. Evaluate it afresh to know its worth. */
mtf_status mtf_search_best(mtf_search *search, double *point, mtf_err *err) MTF_NODISCARD;

/** The history, with a hash of the configuration; appended. Check out->failed. */
void mtf_search_save(const mtf_search *search, mtf_buf *out);
/** Into a search just opened. MTF_CORRUPT: damaged. MTF_INVALID: of another method or
 *  configuration. The search is unusable then. */
mtf_status mtf_search_load(mtf_search *search, mtf_span saved, mtf_err *err) MTF_NODISCARD;

#endif
