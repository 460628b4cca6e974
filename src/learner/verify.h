/** Reads all of a store, or of a backup, and holds it against every checksum there is. */
#ifndef MTF_LEARNER_VERIFY_H
#define MTF_LEARNER_VERIFY_H

#include "learner/store.h"

/** What was found whole. */
typedef struct mtf_verified {
    int64_t rows, days, files; /* files: of RocksDB */
    int64_t positions, checkpoints;
    int64_t round;     /* the last one's number */
    const char *phase; /* where it stands, in a word */
    mtf_store_totals totals;
} mtf_verified;

/** Works beside a learner that holds the store. MTF_CORRUPT: what is damaged, where, and the way
 *  out. MTF_INVALID: there is no store. */
mtf_status mtf_store_verify(const char *path, mtf_verified *found, mtf_err *err) MTF_NODISCARD;

#endif
