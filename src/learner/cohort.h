/** The rows of some users in memory, session by session: what policies are judged on (held-out
 *  users) and what the judge's models are fitted on (training users). */
#ifndef MTF_COHORT_H
#define MTF_COHORT_H

#include "learner/feed.h"

/** N rows, sorted by user, session and step. Item blocks hold row i's items from item_first[i] up
 *  to item_first[i + 1]. The state after row i is that of row i + 1 where next[i], there is none
 *  where done[i], and else it is not known. */
typedef struct mtf_cohort {
    uint32_t state_dim, action_dim, prediction_count;
    uint32_t list;     /* > 0: a row's action is its items', each its own (learner/transition.h) */
    uint32_t user_dim; /* of state_dim, what is the user's: the first ones */
    size_t rows, users, sessions, items;
    float *s;                      /* (N,S) normalised */
    float *a, *bp, *lower, *upper; /* (N,A) */
    float *mu;                     /* (N,A) what config.act says; zero without it */
    float *weight;                 /* (N,) sample weights */
    double *r;                     /* (N,) one-step reward, formula 2 */
    double *g;                     /* (N,) discounted return to go within the session */
    bool *logged;                  /* (N,) explored by the version asked for */
    bool *eligible;                /* (N,) logged, and g is whole */
    bool *first, *next, *done;     /* (N,) begins its session; is followed; ends it truly */
    int64_t *version;              /* (N,) of the policy that served it */
    uint32_t *user, *session;      /* (N,) 0 .. users - 1, 0 .. sessions - 1, ascending */
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
    /** A policy: its action (A) for a raw state (S). May be NULL. */
    void (*act)(const void *policy, const float *state, float *action);
    const void *policy;
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
