/** The gradient steps of one round, from wherever its checkpoint says they stand. */
#ifndef MTF_TRAIN_H
#define MTF_TRAIN_H

#include "core/settings.h"
#include "learner/algorithm.h"
#include "learner/checkpoint.h"

/** Of the settings, as learner.algorithm takes them (its ops' configure); action_dim: of one
 * action. Then mtf_train_set_shape. MTF_INVALID: learner.algorithm, penalty, target or precision is
 * none of its words, this machine lacks the precision, or policy.list is not for the algorithm. */
mtf_status mtf_train_algorithm_config(const mtf_settings *settings, uint32_t action_dim,
                                      mtf_algorithm_config *config, mtf_err *err) MTF_NODISCARD;
/** The shape of a store's rows, of these settings and of the action table and the reward in them.
 */
mtf_row_shape mtf_train_row_shape(const mtf_settings *settings, uint32_t action_dim,
                                  uint32_t prediction_count, uint32_t signal_count);
/** The dimensions of such rows: for a learner with an action per item, which has no others. */
void mtf_train_set_shape(mtf_algorithm_config *config, const mtf_row_shape *shape);
/** Hash of every setting that a round's result depends on. */
uint64_t mtf_train_settings_hash(const mtf_settings *settings);

typedef struct mtf_train_config {
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithm; /* stands at checkpoint->step */
    mtf_feed *feed;
    const char *path;           /* where checkpoints go */
    uint64_t checkpoint_every;  /* steps */
    double q_limit;             /* |Q| above it ends the round with an alarm */
    void *arg;                  /* of the two */
    bool (*stopped)(void *arg); /* may be NULL; asked before every step */
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL; after every step */
} mtf_train_config;

/** Takes steps until checkpoint->steps; saves on the way and at the end. checkpoint is the round's
 *  state, kept current. alarm (160 chars) out: "" or why the round must be thrown away (then
 * MTF_OK). MTF_CLOSED: told to stop; saved, and resumes bit for bit. */
mtf_status mtf_train(const mtf_train_config *config, mtf_checkpoint *checkpoint, char alarm[160],
                     mtf_err *err) MTF_NODISCARD;

#endif
