/** Rows on their way out: scans, each held against what was put, and deletions. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/hash.h"
#include "learner/store_inside.h"
#include "learner/store_meta.h"

#define READAHEAD    ((size_t)2 << 20)
#define DELETE_ROWS  4096 /* of a user's, in a synced batch */
#define FORCE_BOTTOM 2    /* BottommostLevelCompaction::kForce */

struct mtf_store_cursor {
    char *path; /* of the store */
    mtf_row_shape shape;
    mtf_span entry; /* the iterator's; its rows from next_row on are to come */
    size_t next_row;
    rocksdb_iterator_t *iterator;
    uint32_t day, day_last;
    uint64_t hash_first, hash_last; /* of the slice, both within */
    bool fresh;                     /* the iterator does not stand on a row yet */
    mtf_store_day *wanted, *seen;   /* (days,) NULL: not a scan that sees whole days */
    size_t days, at;
    uint32_t day_first;
};

static mtf_status bad_entry(const char *path, const mtf_err *why, mtf_status status, mtf_err *err)
{
    return mtf_fail(err, status, "store %.90s: %.130s: " MTF_STORE_REMEDY, path, why->msg);
}

/** Takes what the days must hold; a scan that goes on while rows are put sees those of now. */
static bool expect_days(mtf_store_cursor *cursor, const mtf_store *store)
{
    cursor->days = store->day_count;
    cursor->wanted = calloc(cursor->days + 1, 2 * sizeof *cursor->wanted);
    if (!cursor->wanted) return false;
    cursor->seen = cursor->wanted + cursor->days;
    if (cursor->days) memcpy(cursor->wanted, store->days, cursor->days * sizeof *cursor->wanted);
    return true;
}

mtf_store_cursor *mtf_store_scan(const mtf_store *store, uint32_t day_first, uint32_t day_last,
                                 uint32_t slice, uint32_t slices)
{
    MTF_ASSERT(slice < slices);
    mtf_store_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor) return NULL;
    cursor->path = strdup(store->path);
    if (!cursor->path || (slices == 1 && store->batch_rows == 0 && !expect_days(cursor, store))) {
        mtf_store_cursor_close(cursor);
        return NULL;
    }
    const uint64_t width = UINT64_MAX / slices;
    cursor->hash_first = slice * width;
    cursor->shape = store->shape;
    cursor->hash_last = slice + 1 == slices ? UINT64_MAX : (slice + 1) * width - 1;
    cursor->day = cursor->day_first = day_first;
    cursor->day_last = day_last;
    cursor->fresh = true;
    rocksdb_readoptions_t *reads = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(reads, 1);
    rocksdb_readoptions_set_fill_cache(reads, 0);
    rocksdb_readoptions_set_readahead_size(reads, READAHEAD);
    cursor->iterator = rocksdb_create_iterator_cf(store->db, reads, mtf_store_rows(store));
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

static mtf_status day_differs(const mtf_store_cursor *cursor, uint32_t day, int64_t wanted,
                              int64_t seen, mtf_err *err)
{
    return mtf_fail(
        err, MTF_CORRUPT,
        "store %.90s: day %u holds %lld rows, of %lld that were put%s: " MTF_STORE_REMEDY,
        cursor->path, day, (long long)seen, (long long)wanted,
        seen == wanted ? ", with other contents" : "");
}

/** Its rows are counted as they are read. */
static mtf_status count_entry(mtf_store_cursor *cursor, uint32_t day, mtf_err *err)
{
    if (!cursor->wanted) return MTF_OK;
    for (size_t tried = 0; tried < cursor->days; tried++) {
        const size_t i = (cursor->at + tried) % cursor->days;
        if (cursor->wanted[i].day != day) continue;
        cursor->at = i;
        cursor->seen[i].sum += mtf_hash64(cursor->entry.data, cursor->entry.size);
        return MTF_OK;
    }
    return day_differs(cursor, day, 0, 1, err);
}

/** At the end: MTF_CLOSED, unless a day is not what was put. */
static mtf_status close_count(const mtf_store_cursor *cursor, mtf_err *err)
{
    for (size_t i = 0; cursor->wanted && i < cursor->days; i++) {
        const mtf_store_day *wanted = &cursor->wanted[i], *seen = &cursor->seen[i];
        if (wanted->day < cursor->day_first || wanted->day > cursor->day_last) continue;
        if (wanted->rows != seen->rows || wanted->sum != seen->sum)
            return day_differs(cursor, wanted->day, wanted->rows, seen->rows, err);
    }
    return MTF_CLOSED;
}

static mtf_status next_entry(mtf_store_cursor *cursor, uint32_t *day, mtf_err *err)
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
            return mtf_fail(err, MTF_CORRUPT,
                            "store %.90s: a row's key has %zu bytes: " MTF_STORE_REMEDY,
                            cursor->path, size);
        *day = mtf_load_u32_be(key);
        const uint64_t hash = mtf_load_u64_be(key + 4);
        if (*day > cursor->day_last) return MTF_CLOSED;
        if (hash > cursor->hash_last) { /* past the slice in this day: on to the next one */
            if (*day == UINT32_MAX) return MTF_CLOSED;
            cursor->day = *day + 1;
            seek(cursor);
        } else if (hash < cursor->hash_first) {
            cursor->day = *day;
            seek(cursor);
        } else {
            cursor->entry.data =
                (const uint8_t *)rocksdb_iter_value(cursor->iterator, &cursor->entry.size);
            cursor->next_row = 0;
            return MTF_OK;
        }
    }
    char *text = NULL;
    rocksdb_iter_get_error(cursor->iterator, &text);
    return text ? mtf_store_rocks_fail(cursor->path, "scan", text, err) : MTF_CLOSED;
}

mtf_status mtf_store_next(mtf_store_cursor *cursor, mtf_span *value, mtf_err *err)
{
    mtf_err why = {0};
    for (;;) {
        mtf_status status =
            mtf_entry_next(&cursor->shape, cursor->entry, &cursor->next_row, value, &why);
        if (status == MTF_OK && cursor->wanted) cursor->seen[cursor->at].rows++;
        if (status == MTF_OK) return MTF_OK;
        if (status != MTF_CLOSED) return bad_entry(cursor->path, &why, status, err);
        uint32_t day = 0;
        status = next_entry(cursor, &day, err);
        if (status == MTF_OK) status = count_entry(cursor, day, err);
        if (status) return status == MTF_CLOSED ? close_count(cursor, err) : status;
    }
}

void mtf_store_cursor_close(mtf_store_cursor *cursor)
{
    if (!cursor) return;
    if (cursor->iterator) rocksdb_iter_destroy(cursor->iterator);
    free(cursor->wanted);
    free(cursor->path);
    free(cursor);
}

mtf_status mtf_store_check_files(const mtf_store *store, int64_t *files, mtf_err *err)
{
    const rocksdb_livefiles_t *live = rocksdb_livefiles(store->db);
    mtf_status status = MTF_OK;
    *files = rocksdb_livefiles_count(live);
    for (int i = 0; i < *files && status == MTF_OK; i++) {
        size_t size;
        char *text = NULL;
        const char *key = rocksdb_livefiles_smallestkey(live, i, &size);
        const bool meta = strcmp(rocksdb_livefiles_column_family_name(live, i), "meta") == 0;
        rocksdb_pinnableslice_t *slice =
            rocksdb_get_pinned_cf(store->db, store->reads, store->families[meta], key, size, &text);
        rocksdb_pinnableslice_destroy(slice);
        if (text)
            status = mtf_store_rocks_fail(store->path, rocksdb_livefiles_name(live, i), text, err);
    }
    rocksdb_livefiles_destroy(live);
    return status;
}

/* -- deleting ---------------------------------------------------- */

static void put_day(const mtf_store *store, rocksdb_writebatch_t *batch, const mtf_store_day *day,
                    bool *failed)
{
    mtf_buf key = {0}, value = {0};
    mtf_store_day_encode(day, &key, &value);
    *failed |= key.failed || value.failed;
    if (!*failed && day->rows)
        mtf_store_batch_meta(store, batch, mtf_buf_span(&key), mtf_buf_span(&value));
    else if (!*failed)
        rocksdb_writebatch_delete_cf(batch, mtf_store_meta(store), (const char *)key.data,
                                     key.size);
    mtf_buf_fini(&key);
    mtf_buf_fini(&value);
}

/** Writes a batch of deletions with what the days and totals then are. Takes the batch. */
static mtf_status write_deletions(mtf_store *store, rocksdb_writebatch_t *batch, bool failed,
                                  mtf_err *err)
{
    static const uint8_t name[] = "c";
    char *text = NULL;
    mtf_buf value = {0};
    mtf_store_totals_encode(&store->totals, &value);
    failed |= value.failed;
    if (!failed) {
        mtf_store_batch_meta(store, batch, (mtf_span){name, 1}, mtf_buf_span(&value));
        rocksdb_write(store->db, store->synced, batch, &text);
    }
    rocksdb_writebatch_destroy(batch);
    mtf_buf_fini(&value);
    if (failed) return mtf_store_no_memory(err);
    return text ? mtf_store_rocks_fail(store->path, "delete rows", text, err) : MTF_OK;
}

/** Rewrites the files of these days, so that what was deleted leaves the disk. */
static mtf_status compact(mtf_store *store, uint32_t day_first, uint32_t day_limit, mtf_err *err)
{
    char first[MTF_ROW_KEY_BYTES] = {0}, limit[MTF_ROW_KEY_BYTES] = {0}, *text = NULL;
    mtf_store_u32_be((uint8_t *)first, day_first);
    mtf_store_u32_be((uint8_t *)limit, day_limit);
    rocksdb_compactoptions_t *how = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_bottommost_level_compaction(how, FORCE_BOTTOM);
    rocksdb_compact_range_cf_opt(store->db, mtf_store_rows(store), how, first, sizeof first, limit,
                                 sizeof limit);
    rocksdb_compactoptions_destroy(how);
    /* The logs that still hold the rows go once every family is flushed past them. */
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    for (int i = 0; i < STORE_FAMILIES && !text; i++)
        rocksdb_flush_cf(store->db, flush, store->families[i], &text);
    rocksdb_flushoptions_destroy(flush);
    return text ? mtf_store_rocks_fail(store->path, "flush", text, err) : MTF_OK;
}

mtf_status mtf_store_forget_before(mtf_store *store, uint32_t day, mtf_err *err)
{
    MTF_ASSERT(store->batch_rows == 0);
    char first[MTF_ROW_KEY_BYTES] = {0}, limit[MTF_ROW_KEY_BYTES] = {0};
    mtf_store_u32_be((uint8_t *)limit, day);
    bool failed = false;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_writebatch_delete_range_cf(batch, mtf_store_rows(store), first, sizeof first, limit,
                                       sizeof limit);
    size_t kept = 0;
    int64_t expired = 0;
    for (size_t i = 0; i < store->day_count; i++) {
        mtf_store_day *old = &store->days[i];
        if (old->day >= day) {
            store->days[kept++] = *old;
            continue;
        }
        expired += old->rows;
        old->rows = 0;
        put_day(store, batch, old, &failed);
    }
    store->day_count = kept;
    store->totals.expired += expired;
    if (expired == 0) { /* nothing there: no reason to write */
        rocksdb_writebatch_destroy(batch);
        return MTF_OK;
    }
    const mtf_status status = write_deletions(store, batch, failed, err);
    return status ? status : compact(store, 0, day, err);
}

/** Whose an entry is, and of how many rows. */
static mtf_status look_into(const mtf_store *store, mtf_span entry, mtf_row_header *first,
                            int64_t *rows, mtf_err *err)
{
    mtf_err why = {0};
    mtf_span row;
    size_t at = 0;
    mtf_status status = mtf_row_peek(entry, first, &why);
    for (*rows = 0; status == MTF_OK; (*rows)++)
        status = mtf_entry_next(&store->shape, entry, &at, &row, &why);
    if (status != MTF_CLOSED) return bad_entry(store->path, &why, status, err);
    --*rows;
    return MTF_OK;
}

/** A user's rows of about DELETE_ROWS, from where the iterator stands, into the batch. */
static mtf_status delete_some(mtf_store *store, rocksdb_iterator_t *at, uint64_t user, bool dry_run,
                              mtf_store_forgotten *forgotten, mtf_err *err)
{
    bool failed = false;
    mtf_status status = MTF_OK;
    int64_t rows = 0;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (; rocksdb_iter_valid(at) && rows < DELETE_ROWS && status == MTF_OK;
         rocksdb_iter_next(at)) {
        mtf_row_header header;
        mtf_span key, value;
        int64_t more;
        key.data = (const uint8_t *)rocksdb_iter_key(at, &key.size);
        value.data = (const uint8_t *)rocksdb_iter_value(at, &value.size);
        status = look_into(store, value, &header, &more, err);
        if (status || header.user != user) continue;
        mtf_store_day *day = mtf_store_day_of(store, mtf_load_u32_be(key.data), false);
        if (!day) {
            status =
                mtf_fail(err, MTF_CORRUPT,
                         "store %.90s: a row's day was never put: " MTF_STORE_REMEDY, store->path);
            break;
        }
        rows += more;
        forgotten->rows += more;
        forgotten->sessions += header.step == 0 && header.part == 0;
        if (dry_run) continue;
        rocksdb_writebatch_delete_cf(batch, mtf_store_rows(store), (const char *)key.data,
                                     key.size);
        day->rows -= more;
        day->sum -= mtf_hash64(value.data, value.size);
        day->changed = true;
    }
    store->totals.forgotten += dry_run ? 0 : rows;
    for (size_t i = 0; i < store->day_count; i++) {
        if (!store->days[i].changed) continue;
        put_day(store, batch, &store->days[i], &failed);
        store->days[i].changed = false;
    }
    if (status == MTF_OK && rows && !dry_run) return write_deletions(store, batch, failed, err);
    rocksdb_writebatch_destroy(batch);
    return status;
}

/** A round under way was to see the rows: without its checkpoint it starts again. */
static mtf_status drop_candidate(const mtf_store *store, mtf_err *err)
{
    mtf_buf path = {0};
    mtf_buf_printf(&path, "%s/checkpoints/candidate", store->path);
    if (path.failed) return mtf_store_no_memory(err);
    unlink((const char *)path.data); /* often there is none */
    mtf_buf_fini(&path);
    return MTF_OK;
}

mtf_status mtf_store_forget_user(mtf_store *store, uint64_t user, bool dry_run,
                                 mtf_store_forgotten *forgotten, mtf_err *err)
{
    MTF_ASSERT(store->batch_rows == 0);
    *forgotten = (mtf_store_forgotten){0};
    mtf_status status = dry_run ? MTF_OK : drop_candidate(store, err);
    if (status) return status;
    rocksdb_readoptions_t *reads = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(reads, 1);
    rocksdb_readoptions_set_fill_cache(reads, 0);
    rocksdb_readoptions_set_readahead_size(reads, READAHEAD);
    rocksdb_iterator_t *at = rocksdb_create_iterator_cf(store->db, reads, mtf_store_rows(store));
    rocksdb_readoptions_destroy(reads);
    rocksdb_iter_seek_to_first(at);
    while (status == MTF_OK && rocksdb_iter_valid(at))
        status = delete_some(store, at, user, dry_run, forgotten, err);
    char *text = NULL;
    rocksdb_iter_get_error(at, &text);
    if (text && status == MTF_OK) {
        status = mtf_store_rocks_fail(store->path, "scan", text, err);
    } else {
        rocksdb_free(text);
    }
    rocksdb_iter_destroy(at);
    if (status || dry_run || forgotten->rows == 0) return status;
    return compact(store, 0, UINT32_MAX, err);
}

mtf_status mtf_store_compact(mtf_store *store, mtf_err *err)
{
    MTF_ASSERT(store->batch_rows == 0);
    const mtf_status status = compact(store, 0, UINT32_MAX, err);
    if (status == MTF_OK)
        rocksdb_compact_range_cf(store->db, mtf_store_meta(store), NULL, 0, NULL, 0);
    return status;
}
