/** Formula 2 of arXiv:2404.17589: r = sum_i w_i v_i, v_i the behaviour's value summed over the
 * items of the request's list, each item's value winsorised to [-clip, clip] first. */
#ifndef MTF_REWARD_H
#define MTF_REWARD_H

#include "core/event.h"
#include "learner/batch.h"

#define MTF_REWARD_TERMS_MAX 32

typedef struct mtf_reward_term {
    char name[48];
    double weight;
    double clip;    /* of one item's value; 0: not winsorised */
    uint32_t group; /* of reward.groups; 0 without */
} mtf_reward_term;

typedef struct mtf_reward {
    uint32_t count;
    mtf_reward_term terms[MTF_REWARD_TERMS_MAX]; /* the order of a row's signals */
    uint32_t label;   /* the term that labels an item as validly consumed: see mtf_reward_label */
    double threshold; /* its value above this */
    uint32_t groups;  /* parts it is learnt in: mtf_reward_group; 0: one */
    double group_weights[MTF_GROUPS_MAX];
} mtf_reward;

/** Parses settings reward.weights ("valid=1 watch=0.02 ...") and reward.clip ("watch=300 ...").
 *  MTF_INVALID names the pair: no number, doubled, or a clip of a signal without a weight. */
mtf_status mtf_reward_parse(mtf_reward *reward, const char *weights, const char *clip,
                            mtf_err *err) MTF_NODISCARD;

/** Parses setting reward.groups ("watch | weight=0.5 valid finish ...") of a parsed reward: critics
 *  learn each group's part of formula 2 apart (UnifiedRL, v6 of arXiv:2404.17589), and the actor
 *  weighs them. Empty, or one group: none. MTF_INVALID names the word: a signal without a weight in
 *  reward.weights, one in two groups or in none, a group of none, a weight that is negative. */
mtf_status mtf_reward_group(mtf_reward *reward, const char *groups, mtf_err *err) MTF_NODISCARD;

/** values (count,) out: an item's signals in the order of the terms, 0 where it has none. Raw. */
void mtf_reward_signals(const mtf_reward *reward, const mtf_signals *signals, float *values);
/** The reward of one item from its raw values (count,). Formula 2 is linear: a request's reward is
 *  the sum over its items. */
double mtf_reward_item(const mtf_reward *reward, const float *values);
/** Adds each group's share of it to parts (groups,). */
void mtf_reward_item_parts(const mtf_reward *reward, const float *values, double *parts);
/** Was the item validly consumed: signal "valid" above 0, else "watch" above 10 s, else (neither is
 *  weighted) a positive reward. Labels the weighted GAUC. */
bool mtf_reward_label(const mtf_reward *reward, const float *values);
/** The largest |r| that a list of `items` can have. A signal without a clip is taken to be at most
 * 1 per item (likes and other yes-or-no behaviours); set reward.clip for any other. */
double mtf_reward_bound(const mtf_reward *reward, uint32_t items);
/** The names in order, "valid watch ...": what the store's rows depend on. */
void mtf_reward_names(const mtf_reward *reward, mtf_buf *out);
/** Puts the terms into the order of these names, a store's (mtf_store_signals). MTF_INVALID: not
 * the same names; says which is missing where, and the remedy. */
mtf_status mtf_reward_order(mtf_reward *reward, mtf_str names, mtf_err *err) MTF_NODISCARD;

#endif
