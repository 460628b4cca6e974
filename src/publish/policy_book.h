/** What a policy topic says, read from its beginning: the head of every key, or every version of
 *  every name. Zeroed memory is a valid empty book of heads. Not thread-safe. */
#ifndef MTF_POLICY_BOOK_H
#define MTF_POLICY_BOOK_H

#include "publish/publish.h"

typedef struct mtf_policy_entry {
    char key[MTF_POLICY_KEY_CHARS];
    mtf_policy *policy; /* owned by the book */
} mtf_policy_entry;

typedef struct mtf_policy_book {
    bool every_version;        /* true: of the history topic */
    mtf_policy_entry *entries; /* by key, then version, ascending */
    size_t count, capacity;
    const mtf_policy_keys
        *keys;          /* borrowed; those that verify refuse unsigned records. May be NULL */
    int64_t refused;    /* records that were no usable policies, */
    int64_t unverified; /* of them unsigned ones and those of a bad signature */
} mtf_policy_book;

void mtf_policy_book_fini(mtf_policy_book *book);

/** Takes the topic's next record, in its order; value.data NULL is a tombstone. An older version
 * than the head is passed over. MTF_SKIP: refused and counted, the words say why; the book is as
 * before. MTF_NOMEM. */
mtf_status mtf_policy_book_add(mtf_policy_book *book, mtf_span key, mtf_span value,
                               mtf_err *err) MTF_NODISCARD;

/** The policy under a key, borrowed until the next add; version 0: the newest. NULL: none. */
const mtf_policy *mtf_policy_book_find(const mtf_policy_book *book, const char *key,
                                       int64_t version);

#endif
