/** Where the rounds stand, as the store keeps it (blob "round"). */
#ifndef MTF_ROUND_STATE_H
#define MTF_ROUND_STATE_H

#include "learner/checkpoint.h"
#include "learner/store.h"

typedef enum mtf_round_phase {
    MTF_ROUND_COLLECT,
    MTF_ROUND_TRAINING,
    MTF_ROUND_TRAINED,
    MTF_ROUND_GATED,
    MTF_ROUND_PUBLISHED,
} mtf_round_phase;

/** Zeroed memory is the state of a new store. */
typedef struct mtf_round_state {
    mtf_round_phase phase;
    int64_t round;    /* of the attempt under way, or the last one */
    int64_t parent;   /* the champion it trains from */
    int64_t version;  /* its candidate's: above every version seen, so that a held one is used up */
    int64_t sessions; /* explored under the parent, at the cut */
    bool cold;        /* started without the parent's checkpoint */
    char parent_checkpoint[MTF_CHECKPOINT_ID_CHARS];
    mtf_store_position *cut; /* owned */
    uint32_t cut_count;
    bool servable;  /* GATED, PUBLISHED: the verdict is to promote, or to try */
    mtf_buf record; /* GATED: the record's bytes */
} mtf_round_state;

void mtf_round_state_fini(mtf_round_state *state);
/** Sets the cut to where the store has read. */
mtf_status mtf_round_state_cut(mtf_round_state *state, const mtf_store *store,
                               mtf_err *err) MTF_NODISCARD;
/** The blob's bytes: appended; and back, false when they are damaged (*state is then empty). */
void mtf_round_state_encode(const mtf_round_state *state, mtf_buf *out);
bool mtf_round_state_decode(mtf_round_state *state, mtf_span bytes) MTF_NODISCARD;
mtf_status mtf_round_state_save(const mtf_round_state *state, mtf_store *store,
                                mtf_err *err) MTF_NODISCARD;
/** MTF_OK with the state of a new store when there is none. */
mtf_status mtf_round_state_load(mtf_round_state *state, mtf_store *store,
                                mtf_err *err) MTF_NODISCARD;

#endif
