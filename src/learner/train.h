/** The gradient steps of one round, from wherever its checkpoint says they stand. */
#ifndef MTF_TRAIN_H
#define MTF_TRAIN_H

#include "core/settings.h"
#include "learner/algorithm.h"
#include "learner/checkpoint.h"

/** Of the settings, as learner.algorithm takes them (its ops' configure). MTF_INVALID:
 *  learner.algorithm, penalty, target or precision is none of its words, or this machine lacks the
 *  precision. */
mtf_status mtf_train_algorithm_config(const mtf_settings *settings, uint32_t action_dim,
                                      mtf_algorithm_config *config, mtf_err *err) MTF_NODISCARD;
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
