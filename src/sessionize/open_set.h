/** The open activities of one partition, three ways at once:
 *    - by (user, bucket): a hash table, its chains running through the activities;
 *    - by end: a heap of four children whose keys may be too early, never too late. An activity
 * that grows is not moved; its key is corrected when it comes to the top. So an event that extends
 * costs no heap work, and the top still closes in (end, first offset) order, which no history
 * changes;
 *    - by first offset: a list, oldest first, whose head is the safe offset of recovery.
 *  The set frees nothing but itself. */
#ifndef MTF_SESSIONIZE_OPEN_SET_H
#define MTF_SESSIONIZE_OPEN_SET_H

#include "sessionize/activity.h"

typedef struct mtf_open_end {
    int64_t end_ms; /* <= activity->end_ms */
    mtf_activity *activity;
} mtf_open_end;

/** Zeroed memory is a valid empty set. */
typedef struct mtf_open_set {
    mtf_activity **chains; /* chain_count of them, a power of two */
    size_t chain_count;
    mtf_open_end *heap;
    size_t count, heap_capacity;
    mtf_activity *oldest, *newest;
} mtf_open_set;

/** Frees the set and every activity in it. */
void mtf_open_set_fini(mtf_open_set *set, mtf_keeper *keeper);
/** activity->first_offset must be past those of all in the set. MTF_NOMEM. */
mtf_status mtf_open_set_add(mtf_open_set *set, mtf_activity *activity, mtf_err *err) MTF_NODISCARD;
void mtf_open_set_remove(mtf_open_set *set, mtf_activity *activity);
/** Begin to fetch what a lookup will read, a step each, since each reads what the one before has
 *  fetched: the chain's head, the first activity, where that one's records are noted. With time
 *  between the steps (that of an event's other work) a lookup waits for no memory. */
void mtf_open_set_prefetch_chain(const mtf_open_set *set, uint64_t hash);
void mtf_open_set_prefetch_first(const mtf_open_set *set, uint64_t hash);
void mtf_open_set_prefetch_records(const mtf_open_set *set, uint64_t hash);
/** The first activity whose chain holds `hash`; follow ->chain, others may stand in between. */
mtf_activity *mtf_open_set_chain(const mtf_open_set *set, uint64_t hash);
/** Of those that end before limit_ms the first to end, the first opened on a tie; NULL for none. */
mtf_activity *mtf_open_set_before(mtf_open_set *set, int64_t limit_ms);

#endif
