/** What an operator may have done with policies: `mtf policy rollback|promote|freeze|thaw`. Each is
 *  a record under a new version, whose parent is the head and whose network is an old one, byte for
 *  byte; the number payload_of says whose (and so whose checkpoint training goes on from). */
#ifndef MTF_POLICY_ORDER_H
#define MTF_POLICY_ORDER_H

#include "publish/policy_writer.h"

typedef enum mtf_policy_order_kind {
    MTF_POLICY_ROLLBACK, /* a version that was served is served again; numbers rollback_of */
    MTF_POLICY_PROMOTE,  /* a held or rejected candidate, or the canary, is served to all */
    MTF_POLICY_FREEZE,   /* the head with box 0: nobody explores any more */
    MTF_POLICY_THAW,     /* the head with a box again */
} mtf_policy_order_kind;

typedef struct mtf_policy_order {
    mtf_policy_order_kind kind;
    int64_t version;    /* of rollback and promote; the ledger keeps it (its `wanted`) */
    int64_t if_head;    /* only if the head is this version; 0: whatever it is */
    double box;         /* of thaw, > 0 */
    const char *reason; /* the operator's words, or "" */
    int64_t now_ms;
    mtf_policy *made; /* what the last decision made; owned, NULL at first */
} mtf_policy_order;

/** An mtf_policy_decide_fn; arg is the order. An empty draft: it is so already (then draft->policy
 *  is the head). MTF_INVALID: it must not be done, the words say why and what to do instead.
 *  Rollback and promote leave the box as the head has it: they neither freeze nor thaw. */
mtf_status mtf_policy_order_decide(void *arg, const mtf_policy_standing *standing,
                                   mtf_policy_draft *draft, mtf_err *err);
void mtf_policy_order_fini(mtf_policy_order *order);
/** "rollback", "promote", "freeze", "thaw". */
const char *mtf_policy_order_text(mtf_policy_order_kind kind);

#endif
