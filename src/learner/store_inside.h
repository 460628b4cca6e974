/** Inside of the store, for its own files: store.c is opening, batches and what is kept in memory,
 *  store_open.c RocksDB's settings and its words for failures, store_lock.c who may open it,
 * store_rows.c scanning and deleting rows, store_copy.c snapshots. */
#ifndef MTF_STORE_INSIDE_H
#define MTF_STORE_INSIDE_H

#include <rocksdb/c.h>

#include "learner/store.h"

#define STORE_FAMILIES 2

struct mtf_store {
    char *path;
    int lock;         /* -1: read only */
    mtf_buf identity; /* text, NUL-terminated */
    mtf_row_shape shape;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[STORE_FAMILIES]; /* rows, meta */
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *synced;
    rocksdb_readoptions_t *reads;
    rocksdb_writebatch_wi_t *batch; /* indexed, so that a session doubled within it is seen */
    size_t batch_rows;
    mtf_buf entry; /* the session being put: not in the batch yet; empty: none */
    size_t entry_last;
    uint8_t entry_key[MTF_ROW_KEY_BYTES], entry_session[16];
    uint32_t entry_part;
    mtf_store_position *positions;
    size_t position_count;
    mtf_store_count *counts;
    size_t count_count;
    mtf_store_day *days;
    size_t day_count;
    mtf_store_totals totals;
    int64_t asked_ns; /* when a snapshot was last looked for */
};

static inline rocksdb_column_family_handle_t *mtf_store_rows(const mtf_store *store)
{
    return store->families[0];
}
static inline rocksdb_column_family_handle_t *mtf_store_meta(const mtf_store *store)
{
    return store->families[1];
}

/** Takes RocksDB's error text (freed) into err: MTF_CORRUPT or MTF_IO, the file and the remedy. */
mtf_status mtf_store_rocks_fail(const char *path, const char *what, char *text, mtf_err *err);
mtf_status mtf_store_no_memory(mtf_err *err);
/** Opens <path>/db into store->db; makes it first when it is missing, whole or not at all, and not
 *  read_only. identity, of a new one: may be NULL, then a missing one is MTF_INVALID. */
mtf_status mtf_store_open_database(mtf_store *store, const mtf_store_identity *identity,
                                   bool read_only, mtf_err *err) MTF_NODISCARD;
/** The day's entry, made when it is missing and wanted; else NULL. */
mtf_store_day *mtf_store_day_of(mtf_store *store, uint32_t day, bool make);
/** An entry of the meta family, into a batch that is no index. */
void mtf_store_batch_meta(const mtf_store *store, rocksdb_writebatch_t *batch, mtf_span key,
                          mtf_span value);

#endif
