#include "learner/store.h"

#include <stdio.h>
#include <stdlib.h>

#include <rocksdb/c.h>

#include "core/file.h"
#include "learner/store_meta.h"

#define FAMILIES      2
#define BATCH_BYTES   (1 << 20)
#define CACHE_BYTES   ((size_t)64 << 20)
#define BUFFER_BYTES  ((size_t)64 << 20)
#define BUFFERS_BYTES ((size_t)192 << 20) /* of all column families together */
#define WAL_BYTES     ((uint64_t)256 << 20)
#define LOG_FILES     5
#define LOG_BYTES     ((size_t)4 << 20)
#define INFO_LOG_WARN 2

struct mtf_store {
    char *path;
    mtf_buf identity; /* text, NUL-terminated */
    mtf_row_shape shape;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[FAMILIES]; /* rows, meta */
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *synced;
    rocksdb_readoptions_t *reads;
    rocksdb_writebatch_wi_t *batch; /* indexed, so that a session doubled within it is seen */
    size_t batch_rows;
    mtf_store_position *positions;
    size_t position_count;
    mtf_store_count *counts;
    size_t count_count;
    mtf_store_totals totals;
};

struct mtf_store_cursor {
    rocksdb_iterator_t *iterator;
    uint32_t day, day_last;
    uint64_t hash_first, hash_last; /* of the slice, both within */
    bool fresh;                     /* the iterator does not stand on a row yet */
};

/** Takes RocksDB's error text (freed) into err. */
static mtf_status rocks_fail(const char *path, const char *what, char *text, mtf_err *err)
{
    const char *remedy = "";
    mtf_status status = MTF_IO;
    if (strstr(text, "No space left")) {
        remedy = ": free space on that disk, then start again (nothing half-written is used)";
    } else if (strstr(text, "lock")) {
        remedy = ": another learner uses it; stop that one, or set another store.path";
    } else if (strstr(text, "Corruption")) {
        status = MTF_CORRUPT;
        remedy = ": move the folder away; the learner rebuilds it from the sessions topic";
    }
    mtf_fail(err, status, "store %.120s: %s: %.140s%s", path, what, text, remedy);
    rocksdb_free(text);
    return status;
}

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "store: out of memory");
}

/** Bounded memory and files whatever the store's size. */
static rocksdb_options_t *make_options(bool read_only)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, !read_only);
    rocksdb_options_set_create_missing_column_families(options, !read_only);
    rocksdb_options_set_write_buffer_size(options, BUFFER_BYTES);
    rocksdb_options_set_db_write_buffer_size(options, BUFFERS_BYTES);
    rocksdb_options_set_max_total_wal_size(options, WAL_BYTES);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, 256);
    rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES);
    rocksdb_options_set_max_log_file_size(options, LOG_BYTES);
    rocksdb_options_set_info_log_level(options, INFO_LOG_WARN);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_block_size(table, 16384); /* scans, and few gets */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(table);
    return options;
}

static mtf_status open_database(mtf_store *store, bool read_only, mtf_err *err)
{
    const char *names[FAMILIES] = {"default", "meta"};
    mtf_buf folder = {0};
    mtf_buf_printf(&folder, "%s/checkpoints", store->path);
    mtf_status status = folder.failed ? no_memory(err) : MTF_OK;
    if (status == MTF_OK && !read_only) status = mtf_folder_make((const char *)folder.data, err);
    mtf_buf_clear(&folder);
    mtf_buf_printf(&folder, "%s/db", store->path);
    if (status == MTF_OK && folder.failed) status = no_memory(err);
    if (status) goto done;

    store->options = make_options(read_only);
    const rocksdb_options_t *options[FAMILIES] = {store->options, store->options};
    char *text = NULL;
    const char *name = (const char *)folder.data;
    store->db = read_only
                    ? rocksdb_open_for_read_only_column_families(
                          store->options, name, FAMILIES, names, options, store->families, 0, &text)
                    : rocksdb_open_column_families(store->options, name, FAMILIES, names, options,
                                                   store->families, &text);
    if (text) {
        store->db = NULL;
        status = rocks_fail(store->path, read_only ? "open to read" : "open", text, err);
    }
done:
    mtf_buf_fini(&folder);
    return status;
}

static rocksdb_column_family_handle_t *rows_of(const mtf_store *store)
{
    return store->families[0];
}
static rocksdb_column_family_handle_t *meta_of(const mtf_store *store)
{
    return store->families[1];
}

/** Appends the meta value of key; MTF_SKIP: there is none. */
static mtf_status get_meta(const mtf_store *store, mtf_span key, mtf_buf *value, mtf_err *err)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(store->db, store->reads, meta_of(store),
                                                           (const char *)key.data, key.size, &text);
    if (text) return rocks_fail(store->path, "read", text, err);
    if (!slice) return mtf_fail(err, MTF_SKIP, "store %s: no such entry", store->path);
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(slice, &size);
    mtf_buf_put(value, data, size);
    rocksdb_pinnableslice_destroy(slice);
    return value->failed ? no_memory(err) : MTF_OK;
}

static mtf_status put_meta(mtf_store *store, mtf_span key, mtf_span value, mtf_err *err)
{
    char *text = NULL;
    rocksdb_put_cf(store->db, store->synced, meta_of(store), (const char *)key.data, key.size,
                   (const char *)value.data, value.size, &text);
    return text ? rocks_fail(store->path, "write", text, err) : MTF_OK;
}

static mtf_status check_identity(mtf_store *store, const mtf_store_identity *identity,
                                 bool read_only, mtf_err *err)
{
    static const uint8_t name[] = "shape";
    const mtf_span key = {name, 5};
    mtf_buf wanted = {0};
    if (identity) mtf_store_identity_print(identity, &wanted);
    mtf_status status =
        wanted.failed ? no_memory(err) : get_meta(store, key, &store->identity, err);
    if (status == MTF_SKIP && identity && !read_only) {
        mtf_buf_put(&store->identity, wanted.data, wanted.size);
        status = put_meta(store, key, mtf_buf_span(&wanted), err);
    } else if (status == MTF_SKIP) {
        status = mtf_fail(err, MTF_INVALID, "store %s is empty", store->path);
    }
    mtf_buf_put_u8(&store->identity, 0);
    if (status == MTF_OK && store->identity.failed) status = no_memory(err);
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

static mtf_status load_entry(mtf_store *store, mtf_span key, mtf_span value, mtf_err *err)
{
    bool whole = true;
    if (key.data[0] == 'p') {
        mtf_store_position *position = new_position(store);
        if (!position) return no_memory(err);
        whole = mtf_store_position_decode(key, value, position);
    } else if (key.data[0] == 'n') {
        mtf_store_count *count = new_count(store);
        if (!count) return no_memory(err);
        whole = mtf_store_count_decode(key, value, count);
    } else if (key.data[0] == 'c') {
        whole = mtf_store_totals_decode(value, &store->totals);
    }
    if (whole) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT, "store %s: a meta row '%c' is damaged: move the folder away",
                    store->path, key.data[0]);
}

static mtf_status load_meta(mtf_store *store, mtf_err *err)
{
    mtf_status status = MTF_OK;
    rocksdb_iterator_t *at = rocksdb_create_iterator_cf(store->db, store->reads, meta_of(store));
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at) && status == MTF_OK;
         rocksdb_iter_next(at)) {
        mtf_span key, value;
        key.data = (const uint8_t *)rocksdb_iter_key(at, &key.size);
        value.data = (const uint8_t *)rocksdb_iter_value(at, &value.size);
        if (key.size) status = load_entry(store, key, value, err);
    }
    char *text = NULL;
    rocksdb_iter_get_error(at, &text);
    if (text && status == MTF_OK) status = rocks_fail(store->path, "read", text, err);
    rocksdb_iter_destroy(at);
    return status;
}

mtf_status mtf_store_open(const char *path, const mtf_store_identity *identity, bool read_only,
                          mtf_store **out, mtf_err *err)
{
    MTF_ASSERT(identity || read_only);
    mtf_store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (!store || !copy) {
        free(store);
        free(copy);
        return no_memory(err);
    }
    store->path = copy;
    mtf_status status = open_database(store, read_only, err);
    if (status) goto done;
    store->reads = rocksdb_readoptions_create();
    store->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->synced, 1);
    store->batch = rocksdb_writebatch_wi_create(BATCH_BYTES, 1);
    status = check_identity(store, identity, read_only, err);
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
    for (int i = 0; store->db && i < FAMILIES; i++) /* before the database: it asserts that */
        rocksdb_column_family_handle_destroy(store->families[i]);
    if (store->db) rocksdb_close(store->db);
    if (store->options) rocksdb_options_destroy(store->options);
    mtf_buf_fini(&store->identity);
    free(store->positions);
    free(store->counts);
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

mtf_status mtf_store_has(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES], bool *has,
                         mtf_err *err)
{
    char *text = NULL;
    size_t size = 0;
    char *value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
        store->batch, store->db, store->reads, rows_of(store), (const char *)key, MTF_ROW_KEY_BYTES,
        &size, &text);
    if (text) return rocks_fail(store->path, "read", text, err);
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

mtf_status mtf_store_put_row(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES],
                             const mtf_row_header *header, mtf_span value, mtf_err *err)
{
    mtf_store_count *count = count_of(store, header->version, header->bucket);
    if (!count) return no_memory(err);
    rocksdb_writebatch_wi_put_cf(store->batch, rows_of(store), (const char *)key, MTF_ROW_KEY_BYTES,
                                 (const char *)value.data, value.size);
    store->batch_rows++;
    const uint32_t day = mtf_load_u32_be(key);
    const int64_t session = header->step == 0 && header->part == 0;
    const int64_t bytes = (int64_t)(MTF_ROW_KEY_BYTES + value.size);
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
    if (!fresh) return no_memory(err);
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
        rocksdb_writebatch_wi_put_cf(store->batch, meta_of(store), (const char *)key->data,
                                     key->size, (const char *)value->data, value->size);
    mtf_buf_clear(key);
    mtf_buf_clear(value);
}

mtf_status mtf_store_commit(mtf_store *store, mtf_err *err)
{
    mtf_buf key = {0}, value = {0};
    bool failed = false;
    for (size_t i = 0; i < store->position_count; i++) {
        mtf_store_position_encode(&store->positions[i], &key, &value);
        batch_meta(store, &key, &value, &failed);
    }
    for (size_t i = 0; i < store->count_count; i++) {
        mtf_store_count_encode(&store->counts[i], &key, &value);
        batch_meta(store, &key, &value, &failed);
    }
    mtf_buf_put_u8(&key, 'c');
    mtf_store_totals_encode(&store->totals, &value);
    batch_meta(store, &key, &value, &failed);
    mtf_buf_fini(&key);
    mtf_buf_fini(&value);
    if (failed) return no_memory(err);

    char *text = NULL;
    rocksdb_write_writebatch_wi(store->db, store->synced, store->batch, &text);
    rocksdb_writebatch_wi_clear(store->batch);
    store->batch_rows = 0;
    return text ? rocks_fail(store->path, "write", text, err) : MTF_OK;
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

void mtf_store_live(const mtf_store *store, uint64_t *rows, uint64_t *bytes)
{
    *rows = *bytes = 0;
    rocksdb_property_int_cf(store->db, rows_of(store), "rocksdb.estimate-num-keys", rows);
    rocksdb_property_int_cf(store->db, rows_of(store), "rocksdb.total-sst-files-size", bytes);
}

mtf_status mtf_store_forget_before(mtf_store *store, uint32_t day, mtf_err *err)
{
    char first[MTF_ROW_KEY_BYTES] = {0}, limit[MTF_ROW_KEY_BYTES] = {0}, *text = NULL;
    mtf_store_u32_be((uint8_t *)limit, day);
    rocksdb_delete_range_cf(store->db, store->synced, rows_of(store), first, sizeof first, limit,
                            sizeof limit, &text);
    return text ? rocks_fail(store->path, "delete old days", text, err) : MTF_OK;
}

mtf_status mtf_store_put_blob(mtf_store *store, const char *name, mtf_span value, mtf_err *err)
{
    mtf_buf key = {0};
    mtf_buf_printf(&key, "b%s", name);
    const mtf_status status =
        key.failed ? no_memory(err) : put_meta(store, mtf_buf_span(&key), value, err);
    mtf_buf_fini(&key);
    return status;
}

mtf_status mtf_store_get_blob(mtf_store *store, const char *name, mtf_buf *value, mtf_err *err)
{
    mtf_buf key = {0};
    mtf_buf_printf(&key, "b%s", name);
    const mtf_status status =
        key.failed ? no_memory(err) : get_meta(store, mtf_buf_span(&key), value, err);
    mtf_buf_fini(&key);
    return status;
}

mtf_store_cursor *mtf_store_scan(const mtf_store *store, uint32_t day_first, uint32_t day_last,
                                 uint32_t slice, uint32_t slices)
{
    MTF_ASSERT(slice < slices);
    mtf_store_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor) return NULL;
    const uint64_t width = UINT64_MAX / slices;
    cursor->hash_first = slice * width;
    cursor->hash_last = slice + 1 == slices ? UINT64_MAX : (slice + 1) * width - 1;
    cursor->day = day_first;
    cursor->day_last = day_last;
    cursor->fresh = true;
    rocksdb_readoptions_t *reads = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(reads, 0);
    rocksdb_readoptions_set_readahead_size(reads, 2 << 20);
    cursor->iterator = rocksdb_create_iterator_cf(store->db, reads, rows_of(store));
    rocksdb_readoptions_destroy(reads);
    return cursor;
}

/** To the first row at or past the slice's start of cursor->day. */
static void seek(mtf_store_cursor *cursor)
{
    uint8_t key[MTF_ROW_KEY_BYTES];
    mtf_store_u32_be(key, cursor->day);
    mtf_store_u64_be(key + 4, cursor->hash_first);
    rocksdb_iter_seek(cursor->iterator, (const char *)key, sizeof key);
}

mtf_status mtf_store_next(mtf_store_cursor *cursor, mtf_span *value, mtf_err *err)
{
    if (cursor->fresh) {
        seek(cursor);
        cursor->fresh = false;
    } else if (rocksdb_iter_valid(cursor->iterator)) {
        rocksdb_iter_next(cursor->iterator);
    }
    while (rocksdb_iter_valid(cursor->iterator)) {
        size_t size;
        const uint8_t *key = (const uint8_t *)rocksdb_iter_key(cursor->iterator, &size);
        if (size != MTF_ROW_KEY_BYTES)
            return mtf_fail(err, MTF_CORRUPT, "store: a row's key has %zu bytes", size);
        const uint32_t day = mtf_load_u32_be(key);
        const uint64_t hash = mtf_load_u64_be(key + 4);
        if (day > cursor->day_last) return MTF_CLOSED;
        if (hash > cursor->hash_last) { /* past the slice in this day: on to the next one */
            if (day == UINT32_MAX) return MTF_CLOSED;
            cursor->day = day + 1;
            seek(cursor);
        } else if (hash < cursor->hash_first) {
            cursor->day = day;
            seek(cursor);
        } else {
            value->data = (const uint8_t *)rocksdb_iter_value(cursor->iterator, &value->size);
            return MTF_OK;
        }
    }
    char *text = NULL;
    rocksdb_iter_get_error(cursor->iterator, &text);
    return text ? rocks_fail("rows", "scan", text, err) : MTF_CLOSED;
}

void mtf_store_cursor_close(mtf_store_cursor *cursor)
{
    if (!cursor) return;
    rocksdb_iter_destroy(cursor->iterator);
    free(cursor);
}
