/** What the stored signals say about formula 2's weights: how large each behaviour is, what it adds
 *  to the reward, and how it goes with the time a user spends. Reads a store; changes nothing.
 *
 *  The paper takes its weights from the correlation of each behaviour with the user's total time
 *  and gives no more. Here, over users:
 *    totals  corr(sum of the behaviour, total time): the paper's words. Whoever comes more often
 * has more of everything, dislikes too, so that all of these come out high. rates   corr(behaviour
 * per request, total time): what goes with staying, apart from it. A suggested weight is the
 * correlation over the behaviour's standard deviation in a request, so that behaviours count by
 * their correlation and not by their unit; 0 where the interval does not tell the correlation from
 * 0. All are scaled so that the reward of a request keeps its standard deviation. A correlation is
 * no cause: the weights stay the user's decision. */
#ifndef MTF_REWARD_STUDY_H
#define MTF_REWARD_STUDY_H

#include "learner/bootstrap.h"
#include "learner/reward.h"
#include "learner/store.h"

#define MTF_REWARD_USERS_MIN 10

typedef struct mtf_reward_study {
    mtf_reward reward;       /* its terms in the store's order */
    uint32_t terms;          /* of it */
    uint32_t share;          /* one user in `share` was taken, by hash */
    int64_t requests, items; /* of the users taken */
    size_t users;
    double *totals; /* (users, terms + 1): a user's sum of each behaviour, winsorised; requests */
    double mean[MTF_REWARD_TERMS_MAX]; /* of a request's sum over its items, winsorised */
    double covariance[MTF_REWARD_TERMS_MAX][MTF_REWARD_TERMS_MAX];
    double present[MTF_REWARD_TERMS_MAX], clipped[MTF_REWARD_TERMS_MAX]; /* shares of items: not 0;
                                                                            beyond reward.clip */
} mtf_reward_study;

/** One pass over the store, of all versions and buckets; about rows_max rows are taken, by user.
 *  MTF_INVALID: the store's signals are not the reward's, whose order does not matter. MTF_CORRUPT,
 *  MTF_NOMEM. */
mtf_status mtf_reward_study_make(const mtf_store *store, const mtf_reward *reward, int64_t rows_max,
                                 mtf_reward_study *study, mtf_err *err) MTF_NODISCARD;
void mtf_reward_study_fini(mtf_reward_study *study);

/** out (terms,): of each behaviour with the sum of behaviour `time`, with its interval by user; NaN
 *  where one of both does not vary. MTF_INVALID: fewer than MTF_REWARD_USERS_MIN users. */
mtf_status mtf_reward_correlations(const mtf_reward_study *study, uint32_t time, bool rates,
                                   int64_t draws, uint64_t seed, mtf_estimate *out,
                                   mtf_err *err) MTF_NODISCARD;
/** weights (terms,) out. All 0 when no correlation is told from 0. */
void mtf_reward_suggest(const mtf_reward_study *study, const mtf_estimate *correlations,
                        mtf_estimate *weights);
/** Standard deviation of a request's reward under these weights (terms,). */
double mtf_reward_deviation(const mtf_reward_study *study, const double *weights);
/** Behaviour k's share of the variance of a request's reward: its covariance with the reward over
 *  the variance; shares sum to 1, and one that works against the others is negative. NaN where the
 *  reward does not vary. */
double mtf_reward_share(const mtf_reward_study *study, const double *weights, uint32_t k);

#endif
