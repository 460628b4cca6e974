#include "learner/store_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "learner/store_lock.h"
#include "learner/store_meta.h"

#define BATCH_BYTES (1 << 20)

/** Appends the meta value of key; MTF_SKIP: there is none. */
static mtf_status get_meta(const mtf_store *store, mtf_span key, mtf_buf *value, mtf_err *err)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(
        store->db, store->reads, mtf_store_meta(store), (const char *)key.data, key.size, &text);
    if (text) return mtf_store_rocks_fail(store->path, "read", text, err);
    if (!slice) return mtf_fail(err, MTF_SKIP, "store %s: no such entry", store->path);
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(slice, &size);
    mtf_buf_put(value, data, size);
    rocksdb_pinnableslice_destroy(slice);
    return value->failed ? mtf_store_no_memory(err) : MTF_OK;
}

void mtf_store_batch_meta(const mtf_store *store, rocksdb_writebatch_t *batch, mtf_span key,
                          mtf_span value)
{
    rocksdb_writebatch_put_cf(batch, mtf_store_meta(store), (const char *)key.data, key.size,
                              (const char *)value.data, value.size);
}

static mtf_status put_meta(mtf_store *store, mtf_span key, mtf_span value, mtf_err *err)
{
    char *text = NULL;
    rocksdb_put_cf(store->db, store->synced, mtf_store_meta(store), (const char *)key.data,
                   key.size, (const char *)value.data, value.size, &text);
    return text ? mtf_store_rocks_fail(store->path, "write", text, err) : MTF_OK;
}

/** An older format that this one contains becomes this one, so that an older program, which cannot
 *  read what is put now, says so when it opens the store. */
static mtf_status check_format(mtf_store *store, mtf_span key, mtf_err *err)
{
    bool older;
    char *text = (char *)store->identity.data;
    const mtf_status status = mtf_store_identity_format(store->path, text, &older, err);
    if (status || !older || store->lock < 0) return status;
    return put_meta(store, key, (mtf_span){store->identity.data, strlen(text)}, err);
}

static mtf_status check_identity(mtf_store *store, const mtf_store_identity *identity, mtf_err *err)
{
    const mtf_span key = {(const uint8_t *)MTF_STORE_SHAPE, strlen(MTF_STORE_SHAPE)};
    mtf_buf wanted = {0};
    if (identity) mtf_store_identity_print(identity, &wanted);
    mtf_buf_put_u8(&wanted, 0);
    mtf_status status =
        wanted.failed ? mtf_store_no_memory(err) : get_meta(store, key, &store->identity, err);
    if (status == MTF_SKIP)
        status = mtf_fail(err, MTF_CORRUPT, "store %s: its shape row is gone: `mtf store restore`",
                          store->path);
    mtf_buf_put_u8(&store->identity, 0);
    if (status == MTF_OK && store->identity.failed) status = mtf_store_no_memory(err);
    if (status == MTF_OK) status = check_format(store, key, err);
    if (status == MTF_OK && identity)
        status = mtf_store_identity_check(store->path, (const char *)store->identity.data,
                                          (const char *)wanted.data, err);
    if (status == MTF_OK)
        status = mtf_store_identity_shape((const char *)store->identity.data, &store->shape, err);
    mtf_buf_fini(&wanted);
    return status;
}

/** The element of a growing array that a load or a put needs next: zeroed, or NULL. */
static void *grow(void *array, size_t *count, size_t size)
{
    char *more = realloc(array, (*count + 1) * size);
    if (!more) return NULL;
    memset(more + *count * size, 0, size);
    (*count)++;
    return more;
}

static mtf_store_position *new_position(mtf_store *store)
{
    mtf_store_position *more =
        grow(store->positions, &store->position_count, sizeof *store->positions);
    if (!more) return NULL;
    store->positions = more;
    return &more[store->position_count - 1];
}

static mtf_store_count *new_count(mtf_store *store)
{
    mtf_store_count *more = grow(store->counts, &store->count_count, sizeof *store->counts);
    if (!more) return NULL;
    store->counts = more;
    return &more[store->count_count - 1];
}

mtf_store_day *mtf_store_day_of(mtf_store *store, uint32_t day, bool make)
{
    for (size_t i = store->day_count; i-- > 0;) /* the newest is asked for most */
        if (store->days[i].day == day) return &store->days[i];
    if (!make) return NULL;
    mtf_store_day *more = grow(store->days, &store->day_count, sizeof *store->days);
    if (!more) return NULL;
    store->days = more;
    more[store->day_count - 1].day = day;
    return &more[store->day_count - 1];
}

static mtf_status load_entry(mtf_store *store, mtf_span key, mtf_span value, mtf_err *err)
{
    bool whole = true;
    if (key.data[0] == 'p') {
        mtf_store_position *position = new_position(store);
        if (!position) return mtf_store_no_memory(err);
        whole = mtf_store_position_decode(key, value, position);
    } else if (key.data[0] == 'n') {
        mtf_store_count *count = new_count(store);
        if (!count) return mtf_store_no_memory(err);
        whole = mtf_store_count_decode(key, value, count);
    } else if (key.data[0] == 'd') {
        mtf_store_day stored;
        whole = mtf_store_day_decode(key, value, &stored);
        mtf_store_day *day = mtf_store_day_of(store, whole ? stored.day : 0, true);
        if (!day) return mtf_store_no_memory(err);
        *day = stored;
    } else if (key.data[0] == 'c') {
        whole = mtf_store_totals_decode(value, &store->totals);
    }
    if (whole) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT, "store %.200s: a meta row '%c' is damaged: " MTF_STORE_REMEDY,
                    store->path, key.data[0]);
}

static mtf_status load_meta(mtf_store *store, mtf_err *err)
{
    mtf_status status = MTF_OK;
    rocksdb_iterator_t *at =
        rocksdb_create_iterator_cf(store->db, store->reads, mtf_store_meta(store));
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at) && status == MTF_OK;
         rocksdb_iter_next(at)) {
        mtf_span key, value;
        key.data = (const uint8_t *)rocksdb_iter_key(at, &key.size);
        value.data = (const uint8_t *)rocksdb_iter_value(at, &value.size);
        if (key.size) status = load_entry(store, key, value, err);
    }
    char *text = NULL;
    rocksdb_iter_get_error(at, &text);
    if (text && status == MTF_OK) status = mtf_store_rocks_fail(store->path, "read", text, err);
    rocksdb_iter_destroy(at);
    return status;
}

mtf_status mtf_store_open(const char *path, const mtf_store_identity *identity, bool read_only,
                          mtf_store **out, mtf_err *err)
{
    mtf_store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (!store || !copy) {
        free(store);
        free(copy);
        return mtf_store_no_memory(err);
    }
    store->path = copy;
    store->lock = -1;
    mtf_status status = mtf_store_open_database(store, identity, read_only, err);
    if (status) goto done;
    store->reads = rocksdb_readoptions_create();
    store->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->synced, 1);
    store->batch = rocksdb_writebatch_wi_create(BATCH_BYTES, 1);
    status = check_identity(store, identity, err);
    if (status == MTF_OK) status = load_meta(store, err);
done:
    if (status) {
        mtf_store_close(store);
        store = NULL;
    }
    *out = store;
    return status;
}

void mtf_store_close(mtf_store *store)
{
    if (!store) return;
    if (store->batch) rocksdb_writebatch_wi_destroy(store->batch);
    if (store->synced) rocksdb_writeoptions_destroy(store->synced);
    if (store->reads) rocksdb_readoptions_destroy(store->reads);
    for (int i = 0; store->db && i < STORE_FAMILIES; i++) /* before the database: it asserts that */
        rocksdb_column_family_handle_destroy(store->families[i]);
    if (store->db) rocksdb_close(store->db);
    if (store->options) rocksdb_options_destroy(store->options);
    mtf_store_unlock(store->lock);
    mtf_buf_fini(&store->identity);
    mtf_buf_fini(&store->entry);
    free(store->positions);
    free(store->counts);
    free(store->days);
    free(store->path);
    free(store);
}

const char *mtf_store_path(const mtf_store *store)
{
    return store->path;
}

mtf_row_shape mtf_store_shape(const mtf_store *store)
{
    return store->shape;
}

const char *mtf_store_identity_text(const mtf_store *store)
{
    return (const char *)store->identity.data;
}

mtf_str mtf_store_signals(const mtf_store *store)
{
    return mtf_store_identity_line(mtf_store_identity_text(store), "signals");
}

mtf_status mtf_store_has(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES], bool *has,
                         mtf_err *err)
{
    char *text = NULL;
    size_t size = 0;
    *has = store->entry.size && memcmp(store->entry_key, key, MTF_ROW_KEY_BYTES) == 0;
    if (*has) return MTF_OK;
    char *value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
        store->batch, store->db, store->reads, mtf_store_rows(store), (const char *)key,
        MTF_ROW_KEY_BYTES, &size, &text);
    if (text) return mtf_store_rocks_fail(store->path, "read", text, err);
    *has = value != NULL;
    rocksdb_free(value);
    return MTF_OK;
}

static mtf_store_count *count_of(mtf_store *store, int64_t version, mtf_bucket bucket)
{
    for (size_t i = 0; i < store->count_count; i++)
        if (store->counts[i].version == version && store->counts[i].bucket == bucket)
            return &store->counts[i];
    mtf_store_count *count = new_count(store);
    if (!count) return NULL;
    count->version = version;
    count->bucket = bucket;
    count->day_first = UINT32_MAX;
    return count;
}

/** The session being put is whole: into the batch. */
static void close_entry(mtf_store *store)
{
    if (store->entry.size == 0) return;
    rocksdb_writebatch_wi_put_cf(store->batch, mtf_store_rows(store),
                                 (const char *)store->entry_key, MTF_ROW_KEY_BYTES,
                                 (const char *)store->entry.data, store->entry.size);
    mtf_store_day *day = mtf_store_day_of(store, mtf_load_u32_be(store->entry_key), false);
    day->sum += mtf_hash64(store->entry.data, store->entry.size);
    mtf_buf_clear(&store->entry);
}

/** Adds a row to the session being put, or begins the next one with it. What it adds to the bytes
 *  stored, or 0: out of memory. */
static size_t append_row(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES],
                         const mtf_row_header *header, mtf_span value)
{
    const bool more = store->entry.size && store->entry_part == header->part &&
                      memcmp(store->entry_session, header->session_id, 16) == 0 &&
                      memcmp(store->entry_key, key, 4) == 0; /* of the same day */
    if (!more) {
        close_entry(store);
        memcpy(store->entry_key, key, MTF_ROW_KEY_BYTES);
        memcpy(store->entry_session, header->session_id, 16);
        store->entry_part = header->part;
    }
    const size_t before = store->entry.size;
    mtf_entry_append(&store->shape, &store->entry, &store->entry_last, value);
    if (store->entry.failed) return 0;
    return store->entry.size - before + (more ? 0 : MTF_ROW_KEY_BYTES);
}

mtf_status mtf_store_put_row(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES],
                             const mtf_row_header *header, mtf_span value, mtf_err *err)
{
    const uint32_t day = mtf_load_u32_be(key);
    mtf_store_count *count = count_of(store, header->version, header->bucket);
    mtf_store_day *sum = mtf_store_day_of(store, day, true);
    const int64_t bytes = count && sum ? (int64_t)append_row(store, key, header, value) : 0;
    if (bytes == 0) return mtf_store_no_memory(err);
    store->batch_rows++;
    sum->rows++;
    sum->changed = true;
    const int64_t session = header->step == 0 && header->part == 0;
    count->rows++;
    count->sessions += session;
    count->truncated += header->truncated;
    count->bytes += bytes;
    if (day < count->day_first) count->day_first = day;
    if (day > count->day_last) count->day_last = day;
    store->totals.rows++;
    store->totals.sessions += session;
    store->totals.truncated += header->truncated;
    store->totals.bytes += bytes;
    return MTF_OK;
}

mtf_status mtf_store_set_position(mtf_store *store, const mtf_store_position *position,
                                  mtf_err *err)
{
    for (size_t i = 0; i < store->position_count; i++)
        if (store->positions[i].partition == position->partition) {
            store->positions[i] = *position;
            return MTF_OK;
        }
    mtf_store_position *fresh = new_position(store);
    if (!fresh) return mtf_store_no_memory(err);
    *fresh = *position;
    return MTF_OK;
}

mtf_store_totals *mtf_store_totals_of(mtf_store *store)
{
    return &store->totals;
}

/** Moves key and value into the batch; empties both. */
static void batch_meta(mtf_store *store, mtf_buf *key, mtf_buf *value, bool *failed)
{
    *failed |= key->failed || value->failed;
    if (!*failed)
        rocksdb_writebatch_wi_put_cf(store->batch, mtf_store_meta(store), (const char *)key->data,
                                     key->size, (const char *)value->data, value->size);
    mtf_buf_clear(key);
    mtf_buf_clear(value);
}

mtf_status mtf_store_commit(mtf_store *store, mtf_err *err)
{
    mtf_buf key = {0}, value = {0};
    bool failed = store->entry.failed;
    close_entry(store);
    for (size_t i = 0; i < store->position_count; i++) {
        mtf_store_position_encode(&store->positions[i], &key, &value);
        batch_meta(store, &key, &value, &failed);
    }
    for (size_t i = 0; i < store->count_count; i++) {
        mtf_store_count_encode(&store->counts[i], &key, &value);
        batch_meta(store, &key, &value, &failed);
    }
    for (size_t i = 0; i < store->day_count; i++) {
        if (!store->days[i].changed) continue;
        mtf_store_day_encode(&store->days[i], &key, &value);
        batch_meta(store, &key, &value, &failed);
        store->days[i].changed = false;
    }
    mtf_buf_put_u8(&key, 'c');
    mtf_store_totals_encode(&store->totals, &value);
    batch_meta(store, &key, &value, &failed);
    mtf_buf_fini(&key);
    mtf_buf_fini(&value);
    if (failed) return mtf_store_no_memory(err);

    char *text = NULL;
    rocksdb_write_writebatch_wi(store->db, store->synced, store->batch, &text);
    rocksdb_writebatch_wi_clear(store->batch);
    store->batch_rows = 0;
    return text ? mtf_store_rocks_fail(store->path, "write", text, err) : MTF_OK;
}

size_t mtf_store_pending(const mtf_store *store)
{
    return store->batch_rows;
}

const mtf_store_position *mtf_store_positions(const mtf_store *store, size_t *count)
{
    *count = store->position_count;
    return store->positions;
}

const mtf_store_count *mtf_store_counts(const mtf_store *store, size_t *count)
{
    *count = store->count_count;
    return store->counts;
}

const mtf_store_day *mtf_store_days(const mtf_store *store, size_t *count)
{
    *count = store->day_count;
    return store->days;
}

void mtf_store_live(const mtf_store *store, uint64_t *rows, uint64_t *bytes)
{
    *rows = *bytes = 0;
    for (size_t i = 0; i < store->day_count; i++) *rows += (uint64_t)store->days[i].rows;
    rocksdb_property_int_cf(store->db, mtf_store_rows(store), "rocksdb.total-sst-files-size",
                            bytes);
}

mtf_status mtf_store_put_blob(mtf_store *store, const char *name, mtf_span value, mtf_err *err)
{
    mtf_buf key = {0};
    mtf_buf_printf(&key, "b%s", name);
    const mtf_status status =
        key.failed ? mtf_store_no_memory(err) : put_meta(store, mtf_buf_span(&key), value, err);
    mtf_buf_fini(&key);
    return status;
}

mtf_status mtf_store_get_blob(mtf_store *store, const char *name, mtf_buf *value, mtf_err *err)
{
    mtf_buf key = {0};
    mtf_buf_printf(&key, "b%s", name);
    const mtf_status status =
        key.failed ? mtf_store_no_memory(err) : get_meta(store, mtf_buf_span(&key), value, err);
    mtf_buf_fini(&key);
    return status;
}
