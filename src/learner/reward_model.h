/** The doubly robust estimator of importance.h with networks as its models of the reward: the
 *  squared error of r on state and action (fqe.h with gamma 0), averaged over draws of the smoothed
 *  policy where that is asked for.
 *
 *  Where the logged boxes hold only a part of the policy (support), the rest is the model's word,
 * and the model's own error is what counts: its interval is made of both, of the judged users drawn
 *  anew under one model, and of models fitted anew (mtf_estimate_widen). What a network of this
 * kind cannot say at all, beyond the box, shows in neither. */
#ifndef MTF_REWARD_MODEL_H
#define MTF_REWARD_MODEL_H

#include "learner/fqe.h"
#include "learner/importance.h"

typedef struct mtf_reward_model_config {
    const mtf_cohort *judged; /* all of it */
    const mtf_fold *folds;    /* that judge each logged row of it once */
    size_t fold_count;
    mtf_smoothing smoothing;
    double cap;         /* of importance weights */
    mtf_fqe_config fqe; /* its gamma and alpha are not used */
    int64_t draws;
    uint32_t refits; /* fewer than two: the interval knows nothing of the model's error */
    uint64_t seed;
} mtf_reward_model_config;

/** A function of config alone. Errors are mtf_fqe_fit's. */
mtf_status mtf_reward_model_judge(const mtf_reward_model_config *config, const mtf_fits *fits,
                                  mtf_one_step *out, mtf_err *err) MTF_NODISCARD;

#endif
