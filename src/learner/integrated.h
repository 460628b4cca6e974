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
 * group, and with one group it is formula 4 to the last bit.
 *
 *  Lists (EnhancedRL, arXiv:2409.11678; learner `enhanced`): a row has l items, each with a state
 * and an action of its own, so that everything per state above is per item, B l of them, and
 *    - Q_list,i = sum_j Q_i(s_j, a_j), y_i = r + gamma (1-done) sum_j phi_j Q'_i(s'_j, mu'(s'_j)),
 *    - the actor's loss is -(1/l) sum_j Q(s_j) + eta sum_j d_j + lambda sum_j std_j,
 *  with sums over the items that there are. One action a row is l = 1, to the last bit. */
#ifndef MTF_LEARNER_INTEGRATED_H
#define MTF_LEARNER_INTEGRATED_H

#include "learner/algorithm.h"
#include "learner/box.h"
#include "learner/net.h"
#include "learner/pool.h"

extern const mtf_algorithm_ops mtf_integrated_ops;
/** The same with one critic and none of its own terms, whatever the settings say of them. */
extern const mtf_algorithm_ops mtf_ddpg_ops;
/** The default learner with an action per item: enhanced.c. */
extern const mtf_algorithm_ops mtf_enhanced_ops;

/** The scratch of one thread. */
typedef struct mtf_worker_space {
    mtf_mlp_space space; /* B l rows */
    float *q, *dq;       /* (B l,) two values of each item, which become losses and slopes */
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
    uint32_t items;                     /* l; 1: one action a row */
    uint32_t states, actions;           /* of an item: what the actor sees and gives */
    uint32_t user_dim;                  /* of states: what the items of a row share */
    double next_scales[MTF_GROUPS_MAX]; /* of the next begin_round; 0: the round's */

    /* The step at hand. */
    const mtf_batch *batch; /* borrowed */
    size_t value_rows;      /* of the value() call at hand */
    double actor_rate, critic_rate;
    size_t chunk_rows;
    uint32_t chunk_count;
    size_t ldx;                        /* of the three inputs, S + A rounded up */
    float *x_data, *x_next, *x_policy; /* (B l,ldx): [s|a], [s'|mu'(s')], [s|mu(s)] */
    float *there, *there_next;         /* (B l,) 1: there is such an item, at s, at s' */
    float *reward;                     /* (q,B) scaled */
    float *keep;                       /* (B,) gamma (1 - done) */
    float *discount;                   /* (B l,) what multiplies a positive target value */
    float *shift;                      /* (B l,) what the additive target takes off */
    float *phi;                        /* (B l,) 1 where done */
    float *literal;                    /* (B,) the printed target's penalty term, of all items */
    mtf_mlp_space actor_space;         /* B l rows */
    float *q_policy;                   /* (q m,B l) Q_i(s, mu(s)) */
    float *slope;                      /* (q m,B l,A) dQ_i/da there */
    float *q_mean, *q_std;             /* (q,B l) over the critics of a group */
    float *penalty, *penalty_slope;    /* (B l,), (B l,A) formula 5 */
    uint32_t *outside, *open; /* (B l,) action dimensions outside the box, of non-zero width */
    float *coefficient;       /* (q m,B l) of each critic's slope in the actor's */
    float *d_action;          /* (B l,A) */
    float *actor_gradients;   /* (chunks, actor block); the sum ends in the first */
    double actor_norm;
    mtf_critic_result *results; /* (q m,) */
    mtf_worker_space *workers;  /* one per thread */
};

/** a (count,A) = tanh of the actor `weights` at s (count,states). */
void mtf_integrated_mu(const mtf_algorithm *algorithm, const float *weights, size_t count,
                       const float *s, size_t lds, const mtf_mlp_space *space, float *a,
                       size_t lda);
/** The actor's scratch from item `first` on. */
mtf_mlp_space mtf_actor_space(const mtf_algorithm *algorithm, size_t first);
/** The state (states,) of item j of a row's s, to x; returns 1 if there is such an item, else 0. */
float mtf_item_state(const mtf_algorithm *algorithm, const float *s, uint32_t j, float *x);
/** What the actor sees from item `first` on: s itself, or where items share a row the input x. */
const float *mtf_actor_inputs(const mtf_algorithm *algorithm, const float *s, const float *x,
                              size_t first, size_t *ld);
/** Sections of a step, by piece of work; `worker` names the scratch. */
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

/** The parts of the ops table that every learner of this kind has. */
mtf_status mtf_integrated_open(const mtf_algorithm_config *config, mtf_algorithm **algorithm,
                               mtf_err *err);
void mtf_integrated_close(mtf_algorithm *algorithm);
mtf_status mtf_integrated_step(mtf_algorithm *algorithm, const mtf_batch *batch,
                               mtf_step_metrics *metrics, mtf_err *err);
void mtf_integrated_act(mtf_algorithm *algorithm, size_t rows, const float *s, float *a);
void mtf_integrated_value(mtf_algorithm *algorithm, size_t rows, const float *s, const float *a,
                          float *q);
uint32_t mtf_integrated_actor(const mtf_algorithm *algorithm, uint32_t widths[5],
                              const float *weights[4], const float *biases[4]);
/** Those that integrated_state.c holds. */
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
