/** Inside of the rounds, for their own files: rounds.c is the state machine, round_train.c and
 * round_judge.c the two long parts, round_watch.c what becomes of a version that serves, promoted
 * or on trial, round_shadow.c how one does that serves nobody. */
#ifndef MTF_ROUNDS_INSIDE_H
#define MTF_ROUNDS_INSIDE_H

#include "learner/round_state.h"
#include "learner/rounds.h"
#include "learner/train.h"

/** A version that is looked at again when there are so many sessions. */
typedef struct mtf_round_look {
    int64_t version, at;
    int64_t since; /* the champion's sessions when we first saw it */
} mtf_round_look;

struct mtf_rounds {
    mtf_rounds_config config;
    const mtf_algorithm_ops *ops;
    mtf_algorithm_config algorithm_config;
    uint64_t settings_hash;
    mtf_round_state state;
    mtf_policy *champion;   /* as last read; NULL: not yet */
    int64_t newest_version; /* ever used under our name, as last read */
    int64_t ended;
    mtf_policy *trial;            /* as last read with the champion; NULL: nothing is */
    int64_t reread_at;            /* sessions of the champion at which both are read again */
    mtf_round_look served, tried; /* the champion; what is on trial */
    bool ordered;                 /* an order waits to be done: */
    mtf_round_order order;
    int64_t refused_trial, refused_head; /* what the last order that was refused was about */

    /* The round under way; made again from the state and the files after a restart. */
    bool prepared;
    mtf_selection selection;
    mtf_survey survey;
    mtf_checkpoint checkpoint; /* of the candidate */
    mtf_algorithm *algorithm;  /* stands where checkpoint says */
    mtf_round_report report;
};

#define MTF_INITIAL_ALGORITHM "initial"    /* of a record: the network of zeros */
#define MTF_PAYLOAD_OF        "payload_of" /* of a record: the version whose network it has */

/** May this process train and publish? */
bool mtf_rounds_lead(const mtf_rounds *rounds);
/** <store>/checkpoints/candidate, or v<version> for a champion's (version > 0). Appends, with a
 * NUL. */
mtf_status mtf_rounds_path(const mtf_rounds *rounds, int64_t version, mtf_buf *path,
                           mtf_err *err) MTF_NODISCARD;
/** Survey, checkpoint and algorithm of the round of rounds->state; the champion is its parent.
 * MTF_SKIP: there is nothing to train on; err says why, as a verdict's reason. */
mtf_status mtf_round_prepare(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;
/** Forgets what prepare made. */
void mtf_round_forget(mtf_rounds *rounds);
/** Trains to the end of the round. alarm as mtf_train's. */
mtf_status mtf_round_train(mtf_rounds *rounds, char alarm[160], mtf_err *err) MTF_NODISCARD;
/** What |Q| may not exceed. */
double mtf_round_q_limit(const mtf_rounds *rounds);
/** Looks at the versions that serve, each time there are sessions enough, and gives the orders that
 *  follow:
 *  - the champion against its parent, once rollback.sessions of each are there and again whenever
 *    its own have doubled; rolled back where it does worse. Only what the gate promoted: what an
 *    operator ordered, or was brought back, is left.
 *  - a canary against the champion, at canary.sessions of it: promoted or withdrawn; at an eighth,
 * a quarter and a half withdrawn where it clearly does worse. Withdrawn, too, once it should have
 *    served four times as many and did not, or its parent is no longer the head.
 *  - a shadow by what it is worth on rows newer than its training: then canary, promoted or
 *    withdrawn.
 *  No champion is left in memory when there may be another head. */
mtf_status mtf_round_watch(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;
/** The first-order value of the shadow on rows of its parent at or beyond its training's offsets,
 *  all users together. */
mtf_status mtf_round_shadow(const mtf_rounds *rounds, mtf_first_order *out,
                            mtf_err *err) MTF_NODISCARD;
/** The version whose checkpoint a policy's is: a rollback's network is an older one's. */
int64_t mtf_rounds_checkpoint_of(const mtf_policy *policy);
/** Evaluates the trained actor and asks the gate. state.record (empty if it cannot be encoded) and
 *  state.servable out. */
mtf_status mtf_round_judge(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;

#endif
