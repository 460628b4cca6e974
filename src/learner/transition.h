/** A transition row: one request of a session and what followed it, as stored. Rewards are not
 *  stored but recomputed from the items' raw signals, so that weights and clips may change.
 *
 *  Bytes, little-endian:
 *  | u8 format=1 | u8 flags | u8 bucket | u8 0 | u32 part | u32 step | u32 items | u64 user |
 *  | i64 version | i64 time_ms | i64 offset | i32 partition | f32 weight | u8 session_id[16] |
 *  | s S | a A | bp A | lower A | upper A | [s2 S | bp2 A | lower2 A | upper2 A] | predictions N*P
 * | | signals N*K |                          the [...] only when the row has a next state
 *
 *  An entry of the store is the rows of one session and day, one after another. A row whose next
 *  state is that of the row after it leaves the [...] out (flag 4), and its bytes are taken to run
 *  on through what they need of that row: to the end of its upper A. So each state is stored once,
 *  and a row's bytes still decode alone.
 *
 *  Where each item has its own action (policy.list l > 0), a row's state is that of its list and
 * its actions, baselines and boxes are its items' in turn:
 *
 *  | user S | masks l, 1: there is such an item | items l x (features F | predictions P) |    (l,A)
 *
 *  zeros where there is no item, so that store and feed need not know. A request that had one
 * action for all its items counts as having given it to each.
 *
 *  The key of an entry is its first row's: | u32 BE day of the step, UTC | u64 BE XXH3-64(session
 *  id, part, step) |, so that a scan of a day is a random order of sessions. */
#ifndef MTF_TRANSITION_H
#define MTF_TRANSITION_H

#include "core/session.h"
#include "learner/reward.h"

#define MTF_ROW_KEY_BYTES 12
#define MTF_ROW_ITEMS_MAX 10000
#define MTF_DAY_MS        86400000

/** What every row of a store shares. */
typedef struct mtf_row_shape {
    uint32_t state_dim, action_dim; /* of a row: of a whole list where there are lists */
    uint32_t prediction_count, signal_count;
    uint32_t list;          /* items of a row at most, each with an action; 0: one action a row */
    uint32_t feature_count; /* F, of an item; 0 without lists */
} mtf_row_shape;

/** The shape of rows with lists (list > 0) of requests with user_dim features of the user and
 *  action_dim numbers an action; with list 0 of those without. */
mtf_row_shape mtf_row_shape_of(uint32_t user_dim, uint32_t action_dim, uint32_t prediction_count,
                               uint32_t signal_count, uint32_t list, uint32_t feature_count);
/** Floats that an item of a list is known by: F + P. */
uint32_t mtf_row_item_dim(const mtf_row_shape *shape);
/** S and A: of a request's state, of an action. */
uint32_t mtf_row_user_dim(const mtf_row_shape *shape);
uint32_t mtf_row_item_actions(const mtf_row_shape *shape);

/** The fixed part of a row. */
typedef struct mtf_row_header {
    bool done; /* the session truly ended with this row: no next state, none to bootstrap from */
    bool truncated; /* the next state is unknown (cap, lost input, end of a part): not trained on */
    bool followed;  /* of stored bytes: the next state is read from the row after it */
    mtf_bucket bucket;
    uint32_t part, step, items;
    uint64_t user; /* XXH3-64 of the user id */
    int64_t version, time_ms;
    int64_t offset; /* of the session record it came from */
    int32_t partition;
    float weight;
    uint8_t session_id[16];
} mtf_row_header;

/** A row in memory. The float blocks are the caller's: see mtf_row_floats. The next state's blocks
 *  are zero where done or truncated. */
typedef struct mtf_row {
    mtf_row_header h;
    float *s, *s2;                 /* (state_dim,) raw */
    float *a, *bp, *lower, *upper; /* (action_dim,) */
    float *bp2, *lower2, *upper2;  /* (A,) */
    float *predictions;            /* (items,P) */
    float *signals;                /* (items,K) raw, the order of reward.weights */
    float *block;                  /* owns the above */
    size_t block_count;
} mtf_row;

void mtf_row_fini(mtf_row *row);

/** Steps with other dimensions than the shape's: MTF_SKIP, "schema: ..." names the field. Nothing
 * of such a session is used. */
mtf_status mtf_session_fits(const mtf_row_shape *shape, const mtf_session *session,
                            mtf_err *err) MTF_NODISCARD;

/** Fills row with step `index` of a session that fits. A step without a box gets
 *  [-half_width, half_width] clipped so that the box stays in [-1,1]. MTF_NOMEM only. */
mtf_status mtf_row_make(const mtf_row_shape *shape, const mtf_reward *reward, double half_width,
                        const mtf_session *session, uint32_t index, int32_t partition,
                        int64_t offset, mtf_row *row, mtf_err *err) MTF_NODISCARD;

/** The user of a row, from the user id of its session as the topic has it. */
uint64_t mtf_row_user(mtf_str user_id);
/** The store key of step `index`. */
void mtf_row_key(const mtf_session *session, uint32_t index, uint8_t key[MTF_ROW_KEY_BYTES]);

/** Appends the row's bytes, which decode alone. Check out->failed. */
void mtf_row_encode(const mtf_row_shape *shape, const mtf_row *row, mtf_buf *out);
/** Only the header, for filters. MTF_CORRUPT: unknown format or too short. */
mtf_status mtf_row_peek(mtf_span value, mtf_row_header *header, mtf_err *err) MTF_NODISCARD;
/** All of it into row, whose block grows as needed. MTF_CORRUPT unless the length is exactly right.
 */
mtf_status mtf_row_decode(const mtf_row_shape *shape, mtf_span value, mtf_row *row,
                          mtf_err *err) MTF_NODISCARD;

/** Appends a row (mtf_row_encode) to an entry whose last row begins at *last (unused while it is
 *  empty), and moves *last on. What the rows before it say of their next state is left out where
 *  this row says it. Check entry->failed. */
void mtf_entry_append(const mtf_row_shape *shape, mtf_buf *entry, size_t *last, mtf_span row);
/** The row at *at, 0 for the first, and moves *at to the one after it. row borrows from entry.
 *  MTF_CLOSED: there is none. MTF_CORRUPT: cut short, or no row. */
mtf_status mtf_entry_next(const mtf_row_shape *shape, mtf_span entry, size_t *at, mtf_span *row,
                          mtf_err *err) MTF_NODISCARD;

/** Formula 2 over the row's items. */
double mtf_row_reward(const mtf_row_shape *shape, const mtf_reward *reward, const mtf_row *row);
/** The same by group: parts (reward->groups,) out. */
void mtf_row_parts(const mtf_row_shape *shape, const mtf_reward *reward, const mtf_row *row,
                   double *parts);

#endif
