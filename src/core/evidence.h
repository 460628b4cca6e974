/** What the learner measured about a candidate policy, and what the gate answers. Plain numbers, so
 *  that the learner that measures and the gate that decides need not know each other. */
#ifndef MTF_EVIDENCE_H
#define MTF_EVIDENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/** Parts of the held-out rows on which a candidate must not be worse, whatever it is worth on the
 *  whole: users of few and of many rows (up to the median, and beyond), a session's first request
 *  and its later ones. */
typedef enum mtf_part {
    MTF_PART_LIGHT,
    MTF_PART_HEAVY,
    MTF_PART_FIRST,
    MTF_PART_LATER,
    MTF_PARTS
} mtf_part;

/** Every number is NaN where it could not be measured. Values are in reward units. "Held out" rows
 *  belong to users no training ever sees. */
typedef struct mtf_evidence {
    /* integrity */
    bool finite;          /* every loss and weight of the round stayed finite */
    bool test_vectors_ok; /* the encoded record decodes and acts as the trained actor does */
    /* health of the critics */
    double q_abs_max;    /* largest |Q(s, mu(s))| of the round */
    double q_limit;      /* what |Q| may not exceed: 1.2 r_max / (1 - gamma) */
    double spread;       /* mean over states of the critics' standard deviation at mu(s) */
    double reward_scale; /* standard deviation of r over the training rows: spread's unit */
    double phi_mean;     /* mean phi of formula 6 at the end of training */
    /* support */
    double outside_share; /* of held-out action dimensions: mu outside the row's box by > 0.05 */
    /* data */
    int64_t heldout_rows, heldout_users;
    bool exploring; /* the rows carry boxes of non-zero width */
    /* value: the first-order box estimator (spec: mean((G - b) sum 12 (a - mid)(mu - bp)/width^2)),
     * the gain of the candidate over the policy that logged, discounted return to go per row */
    double value, value_se, value_z; /* se: bootstrap by user */
    /* the same of each part alone; NaN of fewer than 30 users */
    double part_value[MTF_PARTS], part_z[MTF_PARTS];
    /* skill: correlation of the critics' Q(s,a) with G on held-out rows */
    double skill, skill_z;
    /* ranking: how much better the candidate ranks what was shown than the policy that logged,
     * weighted GAUC by user, paired; and the 95 % interval's upper end. NaN where no user has both
     * consumed and left items */
    double gauc_gain, gauc_gain_high;
    /* sense of the reward: what an item validly consumed brings above the mean item, held out */
    double consumed_gain;
    /* importance weighting (NCIS), the one-step gain over what was served, beside value: no check
     */
    double ncis_gain, ncis_gain_se;
    double ncis_support; /* share of the smoothed candidate inside the logged boxes */
    /* fitted Q evaluation, also beside value: what a session would bring under the candidate,
     * discounted, and its gain over what it brought; se NaN without refits */
    double fqe_value, fqe_gain, fqe_gain_se;
    char alarm[160]; /* a training alarm in words, "" when none */
} mtf_evidence;

/** Nothing measured. */
static inline mtf_evidence mtf_evidence_none(void)
{
    const double nan = (double)NAN;
    mtf_evidence none = {.q_abs_max = nan,
                         .q_limit = nan,
                         .spread = nan,
                         .reward_scale = nan,
                         .phi_mean = nan,
                         .outside_share = nan,
                         .value = nan,
                         .value_se = nan,
                         .value_z = nan,
                         .skill = nan,
                         .skill_z = nan,
                         .gauc_gain = nan,
                         .gauc_gain_high = nan,
                         .consumed_gain = nan,
                         .ncis_gain = nan,
                         .ncis_gain_se = nan,
                         .ncis_support = nan,
                         .fqe_value = nan,
                         .fqe_gain = nan,
                         .fqe_gain_se = nan};
    for (int part = 0; part < MTF_PARTS; part++) none.part_value[part] = none.part_z[part] = nan;
    return none;
}

typedef enum mtf_verdict_kind {
    MTF_VERDICT_PROMOTE,
    MTF_VERDICT_CANARY, /* it passed, and is on trial: for a few users, or for none yet */
    MTF_VERDICT_HOLD,
    MTF_VERDICT_REJECT
} mtf_verdict_kind;

typedef struct mtf_verdict {
    mtf_verdict_kind kind;
    char reason[200]; /* a word or two ("value", "no_exploration", "parent_changed"), then why */
} mtf_verdict;

/** "promote", "canary", "hold", "reject": the words of the policy record. */
static inline const char *mtf_verdict_text(mtf_verdict_kind kind)
{
    static const char *const words[] = {"promote", "canary", "hold", "reject"};
    return words[kind];
}

#endif
