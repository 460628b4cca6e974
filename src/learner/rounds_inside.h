/** Inside of the rounds, for their own three files: rounds.c is the state machine, round_train.c
 * and round_judge.c the two long parts, round_watch.c what becomes of a version that was promoted.
 */
#ifndef MTF_ROUNDS_INSIDE_H
#define MTF_ROUNDS_INSIDE_H

#include "learner/round_state.h"
#include "learner/rounds.h"
#include "learner/train.h"

struct mtf_rounds {
    mtf_rounds_config config;
    const mtf_algorithm_ops *ops;
    mtf_algorithm_config algorithm_config;
    uint64_t settings_hash;
    mtf_round_state state;
    mtf_policy *champion;   /* as last read; NULL: not yet */
    int64_t newest_version; /* ever used under our name, as last read */
    int64_t ended;
    /* round_watch.c: a version, its sessions at the next look, and why it is to be rolled back; "":
     * it is not. */
    int64_t watched, look_at;
    char worse[120];

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
/** Compares the champion with its parent as both were served, once rollback.sessions of each are
 *  there and again whenever the champion's have doubled, and has it rolled back where it does
 * worse. Only what the gate promoted: what an operator ordered, or was brought back, is left. No
 * champion is left in memory when there may be another head. */
mtf_status mtf_round_watch(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;
/** Evaluates the trained actor and asks the gate. state.record (empty if it cannot be encoded) and
 *  state.servable out. */
mtf_status mtf_round_judge(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;

#endif
