/** Inside of the default learner, IntegratedRL-MTF (arXiv:2404.17589, formulas 4 to 6), for its own
 *  files and its tests; everyone else goes through mtf_algorithm_find("integrated").
 *
 *  A step is three parallel sections over items whose results do not depend on the thread:
 *
 *    prepare   row chunks   inputs of the critics, mu(s), mu'(s'), phi, rewards / scale
 *    critics   critics      target, loss, gradient, Adam, soft update; then, with the new weights,
 *                           Q_i(s, mu(s)) and its slope along the action
 *    actor     row chunks   formula 4 over all critics, gradient of the actor
 *
 *  and a short tail on the caller's thread: the chunks' gradients added in order, Adam, metrics.
 *  The actor's gradient is linear in each critic's slope, so that a critic is visited once, while
 *  its weights are in the cache.
 *
 *  Groups (UnifiedRL, v6 of arXiv:2404.17589): critics g m .. (g + 1) m predict part g of the
 * reward, each part divided by a scale of its own, its deviation over the round's rows. The actor
 * sees Q = sum_g c_g mean_g,   std = sum_g c_g std_g,   c_g = weight_g scale_g / scale, mean and
 * standard deviation over the m critics of a group: with weights of 1 that is the value of the
 * whole reward in units of the round's scale, so that eta and lambda mean what they mean with one
 * group, and with one group it is formula 4 to the last bit. */
#ifndef MTF_LEARNER_INTEGRATED_H
#define MTF_LEARNER_INTEGRATED_H

#include "learner/algorithm.h"
#include "learner/box.h"
#include "learner/net.h"
#include "learner/pool.h"

extern const mtf_algorithm_ops mtf_integrated_ops;
/** The same with one critic and none of its own terms, whatever the settings say of them. */
extern const mtf_algorithm_ops mtf_ddpg_ops;

/** The scratch of one thread. */
typedef struct mtf_worker_space {
    mtf_mlp_space space; /* batch rows */
    float *q, *dq;       /* (B,) two values of each row, which become its loss and slope */
    float *gradient;     /* a critic's block */
    mtf_ahead ahead;     /* of space */
} mtf_worker_space;

typedef struct mtf_critic_result {
    double loss; /* mean over the batch, in scaled rewards */
    double gradient_norm, q_abs_max;
} mtf_critic_result;

struct mtf_algorithm {
    mtf_algorithm_config config;
    mtf_mlp actor_mlp, critic_mlp;
    mtf_pool *pool;
    float *block; /* owns every float below */

    /* What a checkpoint holds. */
    mtf_net actor, *critics;    /* (q m,), group by group */
    uint64_t step;              /* of the round: schedule and soft updates */
    uint64_t actor_t, critic_t; /* Adam's counts */
    double reward_scale;
    double group_scales[MTF_GROUPS_MAX]; /* what each group's critics learn in */
    bool critics_fresh; /* not yet trained: the scale they learn in is still free */

    uint32_t groups, critic_count;      /* q, q m */
    double next_scales[MTF_GROUPS_MAX]; /* of the next begin_round; 0: the round's */

    /* The step at hand. */
    const mtf_batch *batch; /* borrowed */
    size_t value_rows;      /* of the value() call at hand */
    double actor_rate, critic_rate;
    size_t chunk_rows;
    uint32_t chunk_count;
    size_t ldx;                        /* of the three inputs, S + A rounded up */
    float *x_data, *x_next, *x_policy; /* (B,ldx): [s|a], [s'|mu'(s')], [s|mu(s)] */
    float *reward;                     /* (q,B) scaled */
    float *keep;                       /* (B,) gamma (1 - done) */
    float *discount;                   /* (B,) what multiplies a positive target value */
    float *shift;                      /* (B,) what the additive target takes off */
    float *phi;                        /* (B,) 1 where done */
    float *literal;                    /* (B,) the printed target's penalty term */
    mtf_mlp_space actor_space;         /* B rows */
    float *q_policy;                   /* (q m,B) Q_i(s, mu(s)) */
    float *slope;                      /* (q m,B,A) dQ_i/da there */
    float *q_mean, *q_std;             /* (q,B) over the critics of a group */
    float *penalty, *penalty_slope;    /* (B,), (B,A) formula 5 */
    uint32_t *outside, *open; /* (B,) action dimensions outside the box, of non-zero width */
    float *coefficient;       /* (B,) scratch of an actor chunk */
    float *d_action;          /* (B,A) */
    float *actor_gradients;   /* (chunks, actor block); the sum ends in the first */
    double actor_norm;
    mtf_critic_result *results; /* (q m,) */
    mtf_worker_space *workers;  /* one per thread */
};

/** a (rows,A) = tanh of the actor `weights` at s (rows,S). */
void mtf_actor_act(const mtf_algorithm *algorithm, const float *weights, size_t rows,
                   const float *s, size_t lds, const mtf_mlp_space *space, float *a, size_t lda);
/** The actor's scratch from row `first` on. */
mtf_mlp_space mtf_actor_space(const mtf_algorithm *algorithm, size_t first);
/** Sections of a step, by item; `worker` names the scratch. */
void mtf_integrated_prepare(mtf_algorithm *algorithm, uint32_t chunk);
/** Formula 6: critic i's loss and gradient (into the worker's block). */
void mtf_critic_gradient(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker);
/** Clip, Adam, and the soft update when it is due. */
void mtf_critic_update(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker);
/** Q_i(s, mu(s)) and its slope. */
void mtf_critic_policy(mtf_algorithm *algorithm, uint32_t critic, uint32_t worker);
/** Formula 4's gradient over a chunk of rows, after every critic's policy section. */
void mtf_actor_gradient(mtf_algorithm *algorithm, uint32_t chunk);
/** Adds the chunks' gradients and takes the norm. */
void mtf_actor_gather(mtf_algorithm *algorithm);
void mtf_actor_update(mtf_algorithm *algorithm);
/** c_g: what the actor's loss multiplies the mean and the disagreement of a group with. */
double mtf_group_share(const mtf_algorithm *algorithm, uint32_t group);
/** Whether this step, once counted, moves the targets. */
bool mtf_integrated_targets_due(const mtf_algorithm *algorithm);
void mtf_integrated_metrics(const mtf_algorithm *algorithm, mtf_step_metrics *metrics);

/** The parts of the ops table that integrated_state.c holds. */
mtf_status mtf_integrated_begin_round(mtf_algorithm *algorithm, double reward_scale,
                                      bool reset_optimizer, mtf_err *err);
mtf_status mtf_integrated_scale_groups(mtf_algorithm *algorithm, const double *scales,
                                       mtf_err *err);
void mtf_integrated_save(const mtf_algorithm *algorithm, mtf_buf *out);
mtf_status mtf_integrated_load(mtf_algorithm *algorithm, mtf_span saved, mtf_err *err);
mtf_status mtf_integrated_set_actor(mtf_algorithm *algorithm, uint32_t layers,
                                    const uint32_t *widths, const float *const *weights,
                                    const float *const *biases, mtf_err *err);
void mtf_integrated_reinit(mtf_algorithm *algorithm, uint64_t seed, bool actor, bool critics);

#endif
