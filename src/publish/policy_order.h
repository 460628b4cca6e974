/** What an operator, or the learner once it knows how a version does, may have done with policies:
 *  `mtf policy rollback|promote|canary|withdraw|freeze|thaw`. Each is a record under a new version,
 *  whose parent is the head and whose network is an old one, byte for byte; the number payload_of
 *  says whose (and so whose checkpoint training goes on from). All but canary and withdraw make a
 *  new head, and so end what is on trial against the old one. */
#ifndef MTF_POLICY_ORDER_H
#define MTF_POLICY_ORDER_H

#include "publish/policy_writer.h"

typedef enum mtf_policy_order_kind {
    MTF_POLICY_ROLLBACK, /* a version that was served is served again; numbers rollback_of */
    MTF_POLICY_PROMOTE,  /* a held or rejected candidate, or the canary, is served to all */
    MTF_POLICY_FREEZE,   /* the head with box 0: nobody explores any more */
    MTF_POLICY_THAW,     /* the head with a box again */
    MTF_POLICY_CANARY,   /* a version of the history, or the shadow, is served to a few */
    MTF_POLICY_WITHDRAW, /* the canary or shadow no longer is; its record, verdict reject, is for
                            the history only */
} mtf_policy_order_kind;

typedef struct mtf_policy_order {
    mtf_policy_order_kind kind;
    int64_t version;  /* of rollback, promote, canary; the ledger keeps it (its `wanted`) */
    int64_t if_head;  /* only if the head is this version; 0: whatever it is */
    int64_t if_trial; /* of promote, canary, withdraw: only if the canary or shadow is this version;
                         0: whatever it is */
    bool by_gate;     /* the learner's own decision: its promotion may be rolled back by it, too
                         (MTF_POLICY_BY_GATE) */
    double percent;   /* of canary, > 0: the share of users */
    double box;       /* of thaw, > 0 */
    const char *reason;               /* the operator's words, or "" */
    const mtf_policy_number *numbers; /* to be put into the record; may be NULL */
    uint32_t number_count;
    int64_t now_ms;
    mtf_policy *made; /* what the last decision made; owned, NULL at first */
} mtf_policy_order;

/** An mtf_policy_decide_fn; arg is the order. An empty draft: it is so already (then draft->policy
 *  is the head). MTF_INVALID: it must not be done, the words say why and what to do instead.
 *  Rollback and promote leave the box as the head has it: they neither freeze nor thaw. */
mtf_status mtf_policy_order_decide(void *arg, const mtf_policy_standing *standing,
                                   mtf_policy_draft *draft, mtf_err *err);
void mtf_policy_order_fini(mtf_policy_order *order);
/** "rollback", "promote", "freeze", "thaw", "canary", "withdraw". */
const char *mtf_policy_order_text(mtf_policy_order_kind kind);

/** Is it of a version that must be named: rollback, promote, canary? */
bool mtf_policy_order_names_version(mtf_policy_order_kind kind);

#endif
