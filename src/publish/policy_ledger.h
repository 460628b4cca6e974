/** What the history topic says of one policy: a line for every version ever published under its
 *  name, whatever became of it, and whole the one that was asked for. Zeroed memory with a name is
 * a valid empty ledger. Not thread-safe. */
#ifndef MTF_POLICY_LEDGER_H
#define MTF_POLICY_LEDGER_H

#include "client/policy_keys.h"

/** A version without its network. */
typedef struct mtf_policy_line {
    int64_t version, parent, round, created_ms;
    char verdict[16], reason[200];
    uint8_t weights[16]; /* XXH3-128 of normaliser and layers: what makes two policies the same */
} mtf_policy_line;

typedef struct mtf_policy_ledger {
    const char *name;            /* borrowed; records of other names are passed over */
    const mtf_policy_keys *keys; /* borrowed; those that verify refuse unsigned records */
    int64_t wanted;              /* keep this version whole; 0: none */
    mtf_policy *kept;            /* it, once seen; owned */
    mtf_policy_line *lines;      /* in the topic's order */
    size_t count, capacity;
    int64_t newest;  /* the largest version, 0: none */
    int64_t refused; /* records under the name that were no usable policies */
} mtf_policy_ledger;

void mtf_policy_ledger_fini(mtf_policy_ledger *ledger);

/** Takes the topic's next record. MTF_SKIP: refused and counted, the words say why. MTF_NOMEM. */
mtf_status mtf_policy_ledger_add(mtf_policy_ledger *ledger, mtf_span key, mtf_span value,
                                 mtf_err *err) MTF_NODISCARD;
/** The line of a version, borrowed until the next add; NULL: there is none. */
const mtf_policy_line *mtf_policy_ledger_find(const mtf_policy_ledger *ledger, int64_t version);
/** The line of this very candidate, under whatever version: the same network of the same round from
 *  the same parent. NULL: it was never published. */
const mtf_policy_line *mtf_policy_ledger_find_same(const mtf_policy_ledger *ledger,
                                                   const mtf_policy *candidate);

/** Is this very record there: version, network, time and reason? */
bool mtf_policy_ledger_has(const mtf_policy_ledger *ledger, const mtf_policy *policy);

#endif
