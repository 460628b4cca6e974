/** The one interface of all learning algorithms. An instance is used by one thread; inside, it may
 *  split its work over its own threads, with results that do not depend on their number. */
#ifndef MTF_LEARNER_ALGORITHM_H
#define MTF_LEARNER_ALGORITHM_H

#include "core/bytes.h"
#include "learner/batch.h"
#include "learner/gemm.h"

/** Hyper-parameters: section `learner` of the settings and the algorithm's own, plus the
 *  dimensions. */
typedef struct mtf_algorithm_config {
    uint32_t state_dim, action_dim, hidden, critics, batch, threads, target_every;
    uint64_t seed, steps; /* steps of a round: the cosine schedule's length */
    double gamma, eta, beta, lambda, delta, soft_update;
    double actor_lr, critic_lr, lr_final, actor_clip, critic_clip;
    enum { MTF_PENALTY_EXPM1, MTF_PENALTY_PRINTED, MTF_PENALTY_NONE } penalty;
    enum { MTF_TARGET_DISCOUNT, MTF_TARGET_LITERAL, MTF_TARGET_ADDITIVE, MTF_TARGET_CLIP } target;
    const mtf_gemm *gemm; /* of the critics, nearly all of a step; NULL: float32 */
    /* Groups of critics (integrated): each has `critics` of its own, which predict its part of the
     * reward; 0: one group, of the whole reward. */
    uint32_t groups;
    double group_weights[MTF_GROUPS_MAX]; /* of a group's values to the actor */
    /* An action per item (enhanced): a row is a list of at most `list` items, each known by
     * item_dim floats; its state is | user | list masks, 1: there is such an item | (list,item_dim)
     * |, its action (list,A), and state_dim and action_dim are of all that. list 0: one action a
     * row. */
    uint32_t list, item_dim;
    /* What one learner alone reads: the section of its name, and docs/learning.md. */
    struct {
        double alpha, noise, noise_clip;
        uint32_t policy_every;
    } td3bc;
    struct {
        double expectile, beta, weight_max;
    } iql;
    struct {
        double weight;
        uint32_t actions;
    } cql_sac;
    struct {
        uint32_t critics;
    } enhanced;
    struct {
        double perturbation, latent_clip, gamma, soft_update;
        double generator_lr, perturbation_lr, critic_lr;
        uint32_t candidates, act_candidates, target_every;
    } batchrl;
} mtf_algorithm_config;

/** Of the last step. Values are in reward units (the reward scale is undone). */
typedef struct mtf_step_metrics {
    double critic_loss;       /* summed over critics, mean over the batch */
    double actor_loss;        /* formula 4; of another learner: its own, not in reward units */
    double q_mean, q_abs_max; /* of Q_i(s, mu(s)); mu(s): what the step trained the policy at */
    double critic_spread;     /* mean over the batch of the critics' standard deviation at mu(s) */
    double penalty;           /* mean d, formula 5 */
    double phi_mean;          /* mean over the batch of phi at s' (1 where done) */
    double outside;           /* share of action dimensions of mu(s) outside the row's box */
    double actor_grad_norm, critic_grad_norm; /* before clipping; the largest critic's */
    bool finite; /* false: a loss or weight is NaN or infinite; stop the round */
} mtf_step_metrics;

typedef struct mtf_algorithm mtf_algorithm;

typedef struct mtf_algorithm_ops {
    const char *name;
    bool per_item; /* takes rows of lists, and no others: config.list > 0 */
    /** Sets what the algorithm does not leave to the settings of all (ddpg: one critic, no
     *  penalty); open does the same to its copy. NULL: nothing. */
    void (*configure)(mtf_algorithm_config *config);
    mtf_status (*open)(const mtf_algorithm_config *config, mtf_algorithm **algorithm, mtf_err *err);
    void (*close)(mtf_algorithm *algorithm);
    /** Starts a round: reward_scale divides rewards (critics' output layers are rescaled by old/new
     *  on a warm start), step counter and schedule at 0; resets Adam if told to. */
    mtf_status (*begin_round)(mtf_algorithm *algorithm, double reward_scale, bool reset_optimizer,
                              mtf_err *err);
    /** Says in which scales the groups of critics learn from the next begin_round on,
     * (config.groups,) the deviation of each part of the reward; without it, in the round's. NULL
     * where there are no groups. MTF_INVALID: one is not positive. */
    mtf_status (*scale_groups)(mtf_algorithm *algorithm, const double *scales, mtf_err *err);
    /** One gradient step. batch->rows == config.batch. */
    mtf_status (*step)(mtf_algorithm *algorithm, const mtf_batch *batch, mtf_step_metrics *metrics,
                       mtf_err *err);
    /** a (B,A) out from normalised s (B,S). */
    void (*act)(mtf_algorithm *algorithm, size_t rows, const float *s, float *a);
    /** q (B,) out: mean over critics of Q_i(s,a), in reward units. */
    void (*value)(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a, float *q);
    /** Everything a bit-for-bit resume needs: nets, targets, moments, counters, reward scale. */
    void (*save)(const mtf_algorithm *algorithm, mtf_buf *out);
    /** The same back. MTF_CORRUPT or MTF_INVALID (other dimensions) leaves the instance unusable.
     */
    mtf_status (*load)(mtf_algorithm *algorithm, mtf_span saved, mtf_err *err);
    /** The actor's layers for export (of | user | one item | to its action where per_item): widths
     * (layer_count + 1) and, in turn, each layer's weight (outputs, inputs) and bias, borrowed
     * until the next step. At most 4 layers, ReLU between, tanh on top: act() for everybody else.
     * NULL, and set_actor too, where what the policy does is no such network: it can be evaluated,
     * not served. */
    uint32_t (*actor)(const mtf_algorithm *algorithm, uint32_t widths[5], const float *weights[4],
                      const float *biases[4]);
    /** Takes an actor from layers as actor() gives them: weights, its target the same, no moments.
     *  MTF_INVALID: they are another network's; says which, and changes nothing. */
    mtf_status (*set_actor)(mtf_algorithm *algorithm, uint32_t layers, const uint32_t *widths,
                            const float *const *weights, const float *const *biases, mtf_err *err);
    /** Starts the actor anew from the given seed (warm_start none), or the critics (warm_start
     * actor). */
    void (*reinit)(mtf_algorithm *algorithm, uint64_t seed, bool actor, bool critics);
} mtf_algorithm_ops;

/** By name ("integrated"); NULL when there is none. */
const mtf_algorithm_ops *mtf_algorithm_find(const char *name);

/** MTF_INVALID: the batch has not the sizes of config; says which. */
mtf_status mtf_algorithm_check_batch(const mtf_algorithm_config *config, const mtf_batch *batch,
                                     mtf_err *err) MTF_NODISCARD;

/** A setting and what it must be within for the arithmetic to make sense. */
typedef struct mtf_algorithm_rule {
    const char *name;
    double value, low, high;
} mtf_algorithm_rule;

/** MTF_INVALID: names the first rule that is broken. */
mtf_status mtf_algorithm_check(const mtf_algorithm_rule *rules, size_t count,
                               mtf_err *err) MTF_NODISCARD;

#endif
