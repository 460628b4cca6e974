/** Rounds of progressive training: what to do next is a row in the store, so that a killed learner
 *  goes on where it was.
 *
 *    COLLECT --enough sessions--> TRAINING --all steps--> TRAINED --gate--> GATED --publish-->
 * PUBLISHED ^  \--nothing explored: hold                        (a training alarm: rejected,
 * unpublished)  |
 *       '------------------------------------------------------------------------------------------'
 *
 *  A candidate that passes on trial (gate.stages) is published as shadow or canary, and the round
 *  ends as any other. While something is on trial no round begins; what becomes of it is decided
 *  from the rows that come (round_watch.c), and done by an order. Which policy is on trial is what
 *  the policy topic says, so that nothing of it can be lost here.
 *
 *  A round is a function of (cut of offsets, seed, settings, parent's checkpoint): rows past the
 * cut are left out by their source offset. Between GATED and PUBLISHED the record's bytes are
 * stored, so that a crash publishes the same bytes again. After a hold or a reject the champion
 * stays, its data stays, and the next round comes when round.min_sessions more have arrived. */
#ifndef MTF_ROUNDS_H
#define MTF_ROUNDS_H

#include <stdatomic.h>

#include "core/log.h"
#include "core/settings.h"
#include "learner/evaluate.h"

/** One attempt, for people and for the demo's JSON. A number not measured is NaN. */
typedef struct mtf_round_report {
    int64_t round;
    int64_t parent, version; /* champion trained from; candidate, above all before */
    int64_t sessions;        /* under the champion, explored */
    int64_t transitions;     /* trained on */
    int64_t heldout_rows, heldout_users, truncated;
    mtf_verdict verdict;
    mtf_evidence evidence;
    mtf_evaluation evaluation;
    uint32_t action_dim; /* of evaluation's drift and effect */
    double outside_box;  /* held-out action dimensions outside the box by > 0.05 */
    double critic_spread, phi, reward_scale;
    double train_seconds, evaluate_seconds;
    bool cold; /* the champion's checkpoint was not used: new critics, the actor of its record if it
                  fits. The record's number "cold_start" */
} mtf_round_report;

typedef enum mtf_round_order_kind {
    MTF_ORDER_ROLLBACK, /* the head's parent is served again */
    MTF_ORDER_CANARY,   /* the shadow becomes the canary */
    MTF_ORDER_PROMOTE,  /* what is on trial becomes the head */
    MTF_ORDER_WITHDRAW, /* what is on trial is so no longer */
} mtf_round_order_kind;

/** What the rounds want done with a version, and why. */
typedef struct mtf_round_order {
    mtf_round_order_kind kind;
    int64_t version; /* whose network it is about */
    int64_t head;    /* only while this is the head; 0: whatever is */
    int64_t trial;   /* and this on trial; 0: whatever is */
    char reason[120];
    mtf_policy_number numbers[6]; /* for the record */
    uint32_t number_count;
} mtf_round_order;

/** What rounds need of the outside; cli supplies it. Called on the learner's thread. */
typedef struct mtf_round_hooks {
    void *arg;
    /** May this process train and publish? Cheap: asked before every phase and training step. When
     *  it says no, a round under way stops where a signal would stop it, checkpoint kept, and goes
     *  on (or is taken up anew, if the head has moved) when it says yes again. NULL: always. */
    bool (*leads)(void *arg);
    /** The newest servable policy of our name, the caller's to free; NULL with MTF_OK: none yet.
     *  *newest_version: the largest version number ever used under our name, whatever became of it
     *  (0: none): a candidate's number is above it, also where an operator or another learner used
     *  some up. */
    mtf_status (*head)(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err);
    /** Decides; may add numbers to the candidate's record. candidate NULL: it has none, and the
     *  verdict is not to promote whatever this says (config.unserved). */
    mtf_status (*gate)(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err);
    /** Compares and sets: to the history and, if its verdict is to promote and its parent is still
     *  the head, the policy topic; durable when it returns. Doing it again with the same candidate
     *  publishes nothing twice. *candidate then says what the topics say: a promotion that came too
     *  late has become a hold, parent_changed; its version is another if its own was used
     * meanwhile. MTF_AGAIN: not now (this process leads no longer, or the brokers are away); the
     * round stays as it is and the next tick asks again. */
    mtf_status (*publish)(void *arg, mtf_policy *candidate, mtf_err *err);
    /** What was on trial under our name when head() was called last, the caller's to free; NULL
     * with MTF_OK: nothing. NULL: nothing ever is. */
    mtf_status (*trial)(void *arg, mtf_policy **trial, mtf_err *err);
    /** Has it done; durable when it returns. MTF_INVALID: it must not be done, the head is another
     *  by now, say. MTF_AGAIN: not now. NULL: only operators give orders. */
    mtf_status (*order)(void *arg, const mtf_round_order *order, mtf_err *err);
    /** Is a round due, so many sessions having come under the champion (or since its last hold)?
     *  NULL: round.min_sessions decides. */
    bool (*due)(void *arg, int64_t sessions);
    /** After each step of the long parts, "train" and "evaluate" (fits); may be NULL. */
    void (*progress)(void *arg, const char *what, int64_t done, int64_t total);
    /** After each round; may be NULL. */
    void (*report)(void *arg, const mtf_round_report *report);
} mtf_round_hooks;

typedef struct mtf_rounds_config {
    const mtf_settings *settings; /* borrowed, as all here */
    const mtf_reward *reward;
    const mtf_action_table *table;
    mtf_store *store;
    mtf_round_hooks hooks;
    const mtf_log *log;        /* may be NULL */
    const atomic_bool *stop;   /* may be NULL */
    uint64_t checkpoint_every; /* steps; 0: 5000 */
    bool unserved; /* also learners whose policy no record can hold: their rounds end with a hold,
                      and what they learned is the checkpoint */
    const char *checkpoint; /* where every judged candidate's goes as well, whatever the verdict;
                               may be NULL */
} mtf_rounds_config;

typedef struct mtf_rounds mtf_rounds;

/** Reads where the rounds stand. MTF_INVALID: settings that do not fit each other, or a learner
 *  whose policy no record can hold. */
mtf_status mtf_rounds_open(const mtf_rounds_config *config, mtf_rounds **rounds,
                           mtf_err *err) MTF_NODISCARD;
void mtf_rounds_close(mtf_rounds *rounds);
/** Does what is due, a whole round if need be; cheap when nothing is. Call with no open batch in
 * the store. MTF_CLOSED: told to stop in training or judging, saved. Other failures: nothing is
 * lost, call again. Does nothing where this process does not lead.
 */
mtf_status mtf_rounds_tick(mtf_rounds *rounds, mtf_err *err) MTF_NODISCARD;
/** Is a round begun and not ended? Then the rows of its cut must stay as they are. */
bool mtf_rounds_under_way(const mtf_rounds *rounds);
/** The rows of the round under way are no longer those of its cut: ends one that is in training
 *  with a hold, for this reason. */
mtf_status mtf_rounds_give_up(mtf_rounds *rounds, const char *reason, mtf_err *err) MTF_NODISCARD;
/** Makes the snapshot that a backup may have asked for (learner/store_copy.h), and logs it. Cheap;
 *  training calls it on its own. */
void mtf_rounds_answer(mtf_store *store, const mtf_log *log);
/** Rounds ended since open, whatever their verdict. */
int64_t mtf_rounds_ended(const mtf_rounds *rounds);
/** The version on trial as last read, 0: none. */
int64_t mtf_rounds_on_trial(const mtf_rounds *rounds);
/** The champion's version, 0 before the first tick. */
int64_t mtf_rounds_champion(const mtf_rounds *rounds);

#endif
