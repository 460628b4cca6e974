/** The rows of some users in memory, session by session: what policies are judged on (held-out
 *  users) and what the judge's baseline is fitted on (training users). */
#ifndef MTF_COHORT_H
#define MTF_COHORT_H

#include "learner/feed.h"

/** N rows, sorted by user, session and step. Item blocks hold row i's items from item_first[i] up
 * to item_first[i + 1]. */
typedef struct mtf_cohort {
    uint32_t state_dim, action_dim, prediction_count;
    size_t rows, users, sessions, items;
    float *s;                      /* (N,S) normalised */
    float *a, *bp, *lower, *upper; /* (N,A) */
    float *weight;                 /* (N,) sample weights */
    double *g;                     /* (N,) discounted return to go within the session */
    bool *eligible;                /* (N,) explored by the champion, and g is whole */
    uint32_t *user;                /* (N,) 0 .. users - 1, ascending */
    size_t *item_first;            /* (N + 1,) */
    float *predictions;            /* (items,P) */
    float *item_reward;            /* (items,) */
    bool *item_label;              /* (items,) validly consumed */
} mtf_cohort;

typedef struct mtf_cohort_config {
    const mtf_selection *selection;
    const mtf_reward *reward;
    const mtf_normaliser *normaliser;
    double gamma;
    bool heldout;     /* held-out users, else the others */
    int64_t rows_max; /* about: fewer users are taken, by hash, where there are more rows */
    int64_t rows;     /* that all such users have together, from the survey */
} mtf_cohort_config;

/** g of a row whose session's end is unknown (cut, or below retention) is incomplete: not eligible.
 */
mtf_status mtf_cohort_load(const mtf_store *store, const mtf_cohort_config *config,
                           mtf_cohort *cohort, mtf_err *err) MTF_NODISCARD;
/** Room for that many rows and items, zeroed. */
mtf_status mtf_cohort_init(mtf_cohort *cohort, const mtf_row_shape *shape, size_t rows,
                           size_t items, mtf_err *err) MTF_NODISCARD;
void mtf_cohort_fini(mtf_cohort *cohort);

#endif
