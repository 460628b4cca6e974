/** What the learners to compare with share (td3bc, iql, cql_sac, batchrl). Each is a plan, which is
 *  a table of its networks and of its scratch, and a step; memory, start, rounds, checkpoint, value
 *  and export follow from the plan. For their own files and tests; everyone else goes through
 *  mtf_algorithm_find().
 *
 *  Common ground, all as in the default learner: losses are means over the batch of weighted rows,
 *  summed over the two critics; rewards are divided by the round's scale; a gradient is clipped per
 *  network; rates decay by a cosine; targets approach every learner.target_every steps. The box is
 *  measured, and changes nothing.
 *
 *  The two critics are worked on side by side, each by one thread, and everything else by the
 *  caller's, so that results do not depend on the number of threads. A random draw is a function of
 *  (seed, steps ever taken, place), so that a resumed run makes the draws of an uninterrupted one.
 */
#ifndef MTF_LEARNER_RIVAL_H
#define MTF_LEARNER_RIVAL_H

#include "learner/algorithm.h"
#include "learner/net.h"
#include "learner/pool.h"

/** The networks of a plan: two critics (S+A -> 1), what the policy trains, and up to two more. */
enum { MTF_RIVAL_Q1, MTF_RIVAL_Q2, MTF_RIVAL_ACTOR, MTF_RIVAL_OWN, MTF_RIVAL_NETS_MAX = 5 };
enum { MTF_RIVAL_SCRATCH_MAX = 12 };

typedef struct mtf_rival_shape {
    uint32_t inputs, outputs;
    double last_scale; /* of the first weights */
    bool value;  /* predicts scaled rewards: rescaled with them, and started with the critics */
    size_t rows; /* of its scratch, at least the batch's */
} mtf_rival_shape;

/** Zeroed, then filled by the algorithm. */
typedef struct mtf_rival_plan {
    uint32_t net_count;
    mtf_rival_shape nets[MTF_RIVAL_NETS_MAX];
    size_t loose;                          /* learnt numbers outside networks */
    size_t scratch[MTF_RIVAL_SCRATCH_MAX]; /* floats of each own piece */
} mtf_rival_plan;

/** One network in training. */
typedef struct mtf_rival_net {
    mtf_rival_shape shape;
    mtf_mlp mlp;
    mtf_net net;
    mtf_mlp_space space;
    float *gradient;   /* a block */
    uint64_t t;        /* Adam's count */
    double loss, norm; /* of the last step: mean over the batch; the gradient's, before clipping */
} mtf_rival_net;

struct mtf_algorithm {
    mtf_algorithm_config config;
    const mtf_algorithm_ops *ops;
    mtf_pool *pool;
    float *block; /* owns every float below */

    /* What a checkpoint holds. */
    mtf_rival_net nets[MTF_RIVAL_NETS_MAX];
    uint32_t net_count;
    mtf_net loose; /* no target */
    size_t loose_count;
    uint64_t loose_t;
    uint64_t seed;  /* of the draws */
    uint64_t step;  /* of the round: rates and targets */
    uint64_t taken; /* ever: draws */
    double reward_scale;
    bool values_fresh; /* not yet trained: the scale they learn in is still free */

    /* The step at hand. */
    const mtf_batch *batch;            /* borrowed */
    double decay;                      /* of the rates */
    unsigned denormals;                /* as they were */
    size_t ldx;                        /* of the three inputs: mtf_rival_ldx */
    float *x_data, *x_next, *x_policy; /* (B,ldx): [s|a], [s'|a'], [s|the policy's action] */
    float *q[2];                       /* (B,) of each critic: scratch, then at x_policy */
    float *slope[2];                   /* (B,A) dQ/da there */
    float *y;                          /* (B,) what the critics are trained on */
    float *dq[2];                      /* (B,) d loss / dQ */
    float *loose_gradient;             /* (loose,) */
    float *scratch[MTF_RIVAL_SCRATCH_MAX];
};

/** Floats from row to row of a critic's input: S + A, rounded up to a cache line. */
static inline size_t mtf_rival_ldx(const mtf_algorithm_config *config)
{
    return ((size_t)config->state_dim + config->action_dim + 15) / 16 * 16;
}

/** rival.c: the ops every one of them has. */
mtf_status mtf_rival_open(const mtf_algorithm_ops *ops, const mtf_rival_plan *plan,
                          const mtf_algorithm_config *config, mtf_algorithm **out,
                          mtf_err *err) MTF_NODISCARD;
void mtf_rival_close(mtf_algorithm *rival);
/** tanh of the actor's first A outputs. */
void mtf_rival_act(mtf_algorithm *rival, size_t rows, const float *s, float *a);
void mtf_rival_value(mtf_algorithm *rival, size_t rows, const float *s, const float *a, float *q);
uint32_t mtf_rival_actor(const mtf_algorithm *rival, uint32_t widths[5], const float *weights[4],
                         const float *biases[4]);
mtf_status mtf_rival_set_actor(mtf_algorithm *rival, uint32_t layers, const uint32_t *widths,
                               const float *const *weights, const float *const *biases,
                               mtf_err *err);
/** rival_state.c. */
mtf_status mtf_rival_begin_round(mtf_algorithm *rival, double reward_scale, bool reset_optimizer,
                                 mtf_err *err);
void mtf_rival_save(const mtf_algorithm *rival, mtf_buf *out);
mtf_status mtf_rival_load(mtf_algorithm *rival, mtf_span saved, mtf_err *err);
void mtf_rival_reinit(mtf_algorithm *rival, uint64_t seed, bool actor, bool critics);
/** Two critics; the penalty and targets of the default learner do not apply. */
void mtf_rival_configure(mtf_algorithm_config *config);

/** rival_step.c: the parts of a step. */
mtf_status mtf_rival_begin(mtf_algorithm *rival, const mtf_batch *batch,
                           mtf_err *err) MTF_NODISCARD;
/** x (rows,ldx) = [s|a]; columns of a NULL stay as they are. */
void mtf_rival_fill(const mtf_algorithm *rival, float *x, size_t rows, const float *s,
                    const float *a);
/** A place in the draws of this step; `use` < 8 tells apart what they are for. */
mtf_rng mtf_rival_draws(const mtf_algorithm *rival, uint32_t use);
/** Standard normal, two of each two draws (Box-Muller). */
void mtf_rival_normals(mtf_rng *rng, float *out, size_t count);
/** y (rows,outputs) of network `index` at x; its scratch then fits mtf_mlp_backward. */
void mtf_rival_forward(mtf_algorithm *rival, uint32_t index, bool target, size_t rows,
                       const float *x, size_t ldx, float *y);
/** The action columns of x (B,ldx) = tanh of the actor (or its target) at the states there, of an
 *  actor with A outputs; scratch (B,A). */
void mtf_rival_act_at(mtf_algorithm *rival, bool target, float *x, float *scratch);
/** Q1, Q2 (or their targets) at x (rows,ldx). */
void mtf_rival_critics(mtf_algorithm *rival, bool target, size_t rows, const float *x,
                       float *const q[2]);
/** y = r / scale + gamma (1 - done) next; next (B,) may be y. */
void mtf_rival_bootstrap(mtf_algorithm *rival, const float *next);
/** Both critics towards y at x_data, by mean weight (Q - y)^2: gradient, clip, Adam. */
void mtf_rival_regress(mtf_algorithm *rival);
/** q = Q1, Q2 at x_policy, and the slopes along the action of the first `slopes` critics. */
void mtf_rival_judge(mtf_algorithm *rival, uint32_t slopes);
/** Clip and Adam of network `index`, whose gradient stands. */
void mtf_rival_update(mtf_algorithm *rival, uint32_t index, double rate, double clip);
/** The same of the loose numbers; returns their gradient's norm. */
double mtf_rival_update_loose(mtf_algorithm *rival, double rate, double clip);
/** Moves the targets of networks 0 .. count when they are due, counts the step, and says how it
 *  was: after mtf_rival_judge. */
void mtf_rival_finish(mtf_algorithm *rival, uint32_t count, mtf_step_metrics *metrics);

#endif
