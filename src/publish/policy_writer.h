/** The one way policies are written, for rounds and for operators alike: open a producer (which
 *  fences every other writer), read both topics to their ends, decide with the head in hand,
 *  publish in one transaction, close the producer. So every live version's parent is the live
 *  version before it, whoever writes at the same time, and nothing is published twice. */
#ifndef MTF_POLICY_WRITER_H
#define MTF_POLICY_WRITER_H

#include "publish/policy_ledger.h"
#include "publish/publish.h"

/** What the topics say of one policy, at their ends. Borrowed from whoever read them. */
typedef struct mtf_policy_standing {
    const mtf_policy *head;   /* served; NULL: none */
    const mtf_policy *canary; /* served to a few; NULL: none */
    const mtf_policy *shadow; /* served to nobody; NULL: none */
    const mtf_policy_ledger *ledger;
} mtf_policy_standing;

/** The policy that stands where one of this stage would; NULL: none. */
const mtf_policy *mtf_policy_standing_at(const mtf_policy_standing *standing, const char *stage);
/** The largest version number ever used, 0: none. */
int64_t mtf_policy_standing_newest(const mtf_policy_standing *standing);

/** The writer's tools. */
typedef struct mtf_policy_writer {
    void *arg;
    /** A sink of its own, which fences the others'; closed after the try. MTF_AGAIN: may
     *  not write now. */
    mtf_status (*open)(void *arg, mtf_sink *sink, mtf_err *err);
    /** Valid until the next read. */
    mtf_status (*read)(void *arg, mtf_policy_standing *standing, mtf_err *err);
    /** Waits before the attempt-th try (from 1) after being fenced. */
    void (*wait)(void *arg, int attempt);
    mtf_policy_topics topics;
    const mtf_policy_keys *keys; /* that sign; may be NULL */
} mtf_policy_writer;

/** Decides what to publish. Called again, with another standing, if another writer came between.
 * What the draft borrows must live until the next call or the end. */
typedef mtf_status (*mtf_policy_decide_fn)(void *arg, const mtf_policy_standing *standing,
                                           mtf_policy_draft *draft, mtf_err *err);

/** MTF_OK: what *draft says is on the topics, and was put there (by this call) if any part of it is
 *  true. MTF_AGAIN: open said so, or the others or the brokers left no chance in a few tries;
 *  nothing is half done. Others: of decide, and those that no retry mends. */
mtf_status mtf_policy_write(const mtf_policy_writer *writer, mtf_policy_decide_fn decide, void *arg,
                            mtf_policy_draft *draft, mtf_err *err) MTF_NODISCARD;

/** A new head ends what was on trial against the old one: the draft drops canary and shadow. */
void mtf_policy_draft_ends_trials(const mtf_policy_standing *standing, mtf_policy_draft *draft);

/** Decides for a round's candidate; arg is its mtf_policy, which afterwards says what the topics
 *  say. A promotion whose parent is no longer the head becomes a hold, parent_changed; so does a
 *  trial, also where another policy is on trial already. A candidate
 *  that is on the topics already is not published again, whatever its version there; a half of it
 *  that is missing is. A number that was used meanwhile becomes the next free one. While the head
 * is frozen (box 0) so is its successor: only an operator thaws. */
mtf_status mtf_policy_decide_candidate(void *arg, const mtf_policy_standing *standing,
                                       mtf_policy_draft *draft, mtf_err *err);

#endif
