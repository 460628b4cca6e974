/** From stored rows to training batches: which rows a round may use, what they look like on the
 *  whole, and batches drawn from them. Rows are read by hash-ordered scans into memory
 *  (learner/slice.h), never by random gets. */
#ifndef MTF_FEED_H
#define MTF_FEED_H

#include "learner/batch.h"
#include "learner/store.h"

/** The rows of a round. A row is training data if it was explored, has a next state or a true end,
 *  lies below the cut and is no held-out user's. */
typedef struct mtf_selection {
    int64_t version; /* the champion's, the newest */
    int64_t reach;   /* back to version - reach (setting learner.train_window); 0: no older one */
    int64_t holdout_percent;
    const mtf_store_position *cut; /* borrowed: rows of offset < next of their partition */
    size_t cut_count;
    const mtf_store_position *since; /* borrowed: only rows of offset >= next; NULL: all */
    size_t since_count;
    uint32_t day_first, day_last;
} mtf_selection;

/** A row the round may see at all: below the cut, not before since, and of a version within reach.
 */
bool mtf_selection_has(const mtf_selection *selection, const mtf_row_header *header);
bool mtf_selection_trains(const mtf_selection *selection, const mtf_row_header *header);
/** A fixed share of users, by hash, whom training never sees. */
bool mtf_held_out(const mtf_selection *selection, uint64_t user);
/** The days of the store that hold the selection's rows; false: there are none. */
bool mtf_selection_days(mtf_selection *selection, const mtf_store *store);

/** x = (state - mean) / deviation. Frozen from the first round on: it is part of the policy. */
typedef struct mtf_normaliser {
    uint32_t state_dim;
    float *mean, *deviation; /* (S,); one block, mean first */
} mtf_normaliser;

mtf_status mtf_normaliser_init(mtf_normaliser *normaliser, uint32_t state_dim,
                               mtf_err *err) MTF_NODISCARD;
void mtf_normaliser_fini(mtf_normaliser *normaliser);
/** Of rows with lists: what one item's state is normalised by, mean and deviation (user, item) out,
 * and back to every place of the list. Without lists all of it. */
void mtf_normaliser_narrow(const mtf_normaliser *normaliser, const mtf_row_shape *shape,
                           float *mean, float *deviation);
void mtf_normaliser_widen(mtf_normaliser *normaliser, const mtf_row_shape *shape, const float *mean,
                          const float *deviation);
/** x (S,) out; a non-finite feature counts as the mean. x may be state. */
void mtf_normalise(const mtf_normaliser *normaliser, const float *state, float *x);

/** One pass over a round's rows. */
typedef struct mtf_survey {
    int64_t rows;   /* training rows */
    int64_t states; /* they and those of their next states that are none of them */
    int64_t older;  /* of them: logged under an older version */
    int64_t heldout_rows, unexplored, truncated; /* of the champion's: not trained on, and why */
    double reward_mean, reward_deviation; /* of training rows; the deviation is the reward scale */
    double part_deviations[MTF_GROUPS_MAX]; /* of each of the reward's groups likewise */
    uint32_t items_max;                     /* of a row: bounds |r| */
    bool exploring; /* some training row of the champion's has a box of non-zero width */
} mtf_survey;

/** normaliser, unless NULL: filled from the training rows; a feature that does not vary gets
 *  deviation 1. */
mtf_status mtf_survey_make(const mtf_store *store, const mtf_selection *selection,
                           const mtf_reward *reward, mtf_survey *survey, mtf_normaliser *normaliser,
                           mtf_err *err) MTF_NODISCARD;

typedef struct mtf_feed_config {
    mtf_selection selection;          /* its cut is borrowed for the feed's life */
    const mtf_reward *reward;         /* borrowed */
    const mtf_normaliser *normaliser; /* borrowed */
    int64_t rows, states;             /* of the survey */
    size_t bytes_max;
    uint64_t seed, round;
    size_t batch;
    uint64_t steps; /* gradient steps of the round */
} mtf_feed_config;

typedef struct mtf_feed mtf_feed;

/** Rows that fit bytes_max are loaded once. Otherwise the key hash is cut into slices of which two
 *  fit, each the sessions of a random part of every day; a slice serves until it was drawn once
 *  over, and up to four times in a round so long that it sees every slice all the same; then comes
 *  the next one. That is loaded meanwhile by a thread of the feed's own, which has nothing but its
 *  slice and its cursor until it is joined. The store must not change while the feed is open. */
mtf_status mtf_feed_open(const mtf_store *store, const mtf_feed_config *config, mtf_feed **feed,
                         mtf_err *err) MTF_NODISCARD;
/** Ends a load under way. NULL is fine. */
void mtf_feed_close(mtf_feed *feed);
/** How many steps one reading of the store serves; UINT64_MAX: all of the round. */
uint64_t mtf_feed_steps_per_load(const mtf_feed *feed);
/** The batch of gradient step `step`: a function of (rows, seed, round, steps, step) alone, so that
 *  a resumed round draws what the killed one would have. Borrowed until the next call. From one
 *  thread. An error is that of the load which the step needs, whichever thread did it: MTF_IO,
 *  MTF_CORRUPT (damaged, or the rows are gone), MTF_NOMEM; the next call tries again. */
mtf_status mtf_feed_batch(mtf_feed *feed, uint64_t step, const mtf_batch **batch,
                          mtf_err *err) MTF_NODISCARD;

#endif
