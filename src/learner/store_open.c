/** How RocksDB is set up, made and opened, and its failures in our words. */
#include "learner/store_inside.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"
#include "learner/store_copy.h"
#include "learner/store_lock.h"
#include "learner/store_meta.h"

#define CACHE_BYTES   ((size_t)64 << 20)
#define BUFFER_BYTES  ((size_t)64 << 20)
#define BUFFERS_BYTES ((size_t)192 << 20) /* of all column families together */
#define MEMORY_FILTER 0.001 /* of BUFFER_BYTES: a session that is new is looked for in vain */
/* Keys begin with the day. A first level that holds a day and its neighbour passes whole days on
 * without writing them again; merging eight flushes at once halves what the day itself costs. */
#define FRESH_FILES 8
#define DAY_BYTES   ((uint64_t)1 << 30)
#define WAL_BYTES   ((uint64_t)256 << 20)
#define LOG_FILES   2
/* Above every level: RocksDB 7.8's own log aborts the process on a full disk (an assertion, on in
 * Debian's build), and what matters comes back as an error's words. */
#define INFO_LOG_NONE 6
/* kTolerateCorruptedTailRecords: a record cut short at the log's end is what a crash leaves, and
 * was never acknowledged; a bad one anywhere else is damage, and an error. */
#define WAL_RECOVERY 0

/** text without every "<path>/", so that the file's name fits. */
static void shorten(char *text, const char *path)
{
    const size_t size = strlen(path);
    for (char *at = text; size && (at = strstr(at, path));) {
        char *rest = at + size + (at[size] == '/');
        memmove(at, rest, strlen(rest) + 1);
    }
}

mtf_status mtf_store_rocks_fail(const char *path, const char *what, char *text, mtf_err *err)
{
    static const char *const damage[] = {"Corruption", "Invalid argument", "No such file",
                                         "Not implemented"};
    const char *remedy = "";
    mtf_status status = MTF_IO;
    shorten(text, path);
    if (strstr(text, "No space left")) {
        remedy = ": free space on that disk, then start again (nothing half-written is used)";
    } else if (strstr(text, "lock file") || strstr(text, "lock hold")) {
        status = MTF_FENCED;
        remedy = ": another learner uses it; stop that one, or set another store.path";
    } else {
        for (size_t i = 0; i < sizeof damage / sizeof *damage; i++)
            if (strstr(text, damage[i])) status = MTF_CORRUPT;
        if (status == MTF_CORRUPT) remedy = ": " MTF_STORE_REMEDY;
    }
    mtf_fail(err, status, "store %.90s: %s: %.130s%s", path, what, text, remedy);
    rocksdb_free(text);
    return status;
}

mtf_status mtf_store_no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "store: out of memory");
}

/** Bounded memory and files whatever the store's size. */
static rocksdb_options_t *make_options(bool create, bool read_only)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, create);
    rocksdb_options_set_create_missing_column_families(options, create);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_wal_recovery_mode(options, WAL_RECOVERY);
    rocksdb_options_set_write_buffer_size(options, BUFFER_BYTES);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMORY_FILTER);
    rocksdb_options_set_memtable_whole_key_filtering(options, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, FRESH_FILES);
    rocksdb_options_set_max_bytes_for_level_base(options, DAY_BYTES);
    rocksdb_options_set_db_write_buffer_size(options, BUFFERS_BYTES);
    rocksdb_options_set_max_total_wal_size(options, WAL_BYTES);
    rocksdb_options_set_max_background_jobs(options, 2);
    /* A reader beside a learner holds every file open: the learner may delete them. */
    rocksdb_options_set_max_open_files(options, read_only ? -1 : 256);
    rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES);
    rocksdb_options_set_info_log_level(options, INFO_LOG_NONE);
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

/** Away with what each open to write leaves: the options' file is written beside its place, refused
 *  by RocksDB itself because it has no name for INFO_LOG_NONE, and kept. Nobody reads it. */
static void remove_options(const char *folder)
{
    static const char begin[] = "OPTIONS-", end[] = ".dbtmp";
    DIR *files = opendir(folder);
    const struct dirent *entry;
    while (files && (entry = readdir(files))) {
        const size_t size = strlen(entry->d_name);
        if (strncmp(entry->d_name, begin, sizeof begin - 1) == 0 && size >= sizeof end &&
            strcmp(entry->d_name + size - (sizeof end - 1), end) == 0)
            unlinkat(dirfd(files), entry->d_name, 0); /* if not now, then at the next open */
    }
    if (files) closedir(files);
}

static mtf_status open_folder(mtf_store *store, const char *folder, bool create, bool read_only,
                              mtf_err *err)
{
    const char *names[STORE_FAMILIES] = {"default", "meta"};
    store->options = make_options(create, read_only);
    const rocksdb_options_t *options[STORE_FAMILIES] = {store->options, store->options};
    char *text = NULL;
    store->db =
        read_only
            ? rocksdb_open_for_read_only_column_families(store->options, folder, STORE_FAMILIES,
                                                         names, options, store->families, 0, &text)
            : rocksdb_open_column_families(store->options, folder, STORE_FAMILIES, names, options,
                                           store->families, &text);
    if (!text && !read_only) remove_options(folder);
    if (!text) return MTF_OK;
    store->db = NULL;
    rocksdb_options_destroy(store->options);
    store->options = NULL;
    return mtf_store_rocks_fail(store->path, read_only ? "open to read" : "open", text, err);
}

static void close_folder(mtf_store *store)
{
    for (int i = 0; i < STORE_FAMILIES; i++) /* before the database: it asserts that */
        rocksdb_column_family_handle_destroy(store->families[i]);
    rocksdb_close(store->db);
    rocksdb_options_destroy(store->options);
    store->db = NULL;
    store->options = NULL;
}

static mtf_status put_identity(mtf_store *store, const mtf_store_identity *identity, mtf_err *err)
{
    mtf_buf text = {0};
    char *failure = NULL;
    rocksdb_writeoptions_t *synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(synced, 1);
    mtf_store_identity_print(identity, &text);
    mtf_status status = text.failed ? mtf_store_no_memory(err) : MTF_OK;
    if (status == MTF_OK)
        rocksdb_put_cf(store->db, synced, mtf_store_meta(store), MTF_STORE_SHAPE,
                       strlen(MTF_STORE_SHAPE), (const char *)text.data, text.size, &failure);
    if (failure) status = mtf_store_rocks_fail(store->path, "write", failure, err);
    rocksdb_writeoptions_destroy(synced);
    mtf_buf_fini(&text);
    return status;
}

/** Beside its place, then renamed: a folder `db` was once whole, so that nothing missing from it is
 *  ever made anew in silence. */
static mtf_status make_database(mtf_store *store, const mtf_store_identity *identity,
                                const char *folder, mtf_err *err)
{
    mtf_buf fresh = {0};
    mtf_buf_printf(&fresh, "%s.new", folder);
    if (fresh.failed) return mtf_store_no_memory(err);
    const char *name = (const char *)fresh.data;
    mtf_status status = mtf_folder_remove(name, err);
    if (status == MTF_OK) status = open_folder(store, name, true, false, err);
    if (status == MTF_OK) {
        status = put_identity(store, identity, err);
        close_folder(store);
    }
    if (status == MTF_OK) status = mtf_file_move(name, folder, err);
    mtf_buf_fini(&fresh);
    return status;
}

static bool is_there(const char *path, const char *name)
{
    mtf_buf text = {0};
    mtf_buf_printf(&text, "%s/%s", path, name);
    const bool there = !text.failed && access((const char *)text.data, F_OK) == 0;
    mtf_buf_fini(&text);
    return there;
}

static mtf_status no_store(const mtf_store *store, mtf_err *err)
{
    return mtf_fail(err, MTF_INVALID,
                    "no store at %.200s: store.path says where it is, and `mtf learn` makes it",
                    store->path);
}

/** To write: locks the store, then finishes what a crash left, and makes what is missing. */
static mtf_status prepare(mtf_store *store, const mtf_store_identity *identity, const char *db,
                          mtf_err *err)
{
    mtf_buf checkpoints = {0};
    mtf_buf_printf(&checkpoints, "%s/checkpoints", store->path);
    mtf_status status = checkpoints.failed ? mtf_store_no_memory(err) : MTF_OK;
    if (status == MTF_OK && identity) status = mtf_folder_make(store->path, err);
    if (status == MTF_OK) status = mtf_store_lock(store->path, &store->lock, err);
    if (status == MTF_OK && identity) status = mtf_folder_make((const char *)checkpoints.data, err);
    if (status == MTF_OK) status = mtf_store_finish_restore(store->path, err);
    if (status == MTF_OK && identity && access(db, F_OK) != 0)
        status = make_database(store, identity, db, err);
    mtf_buf_fini(&checkpoints);
    return status;
}

mtf_status mtf_store_open_database(mtf_store *store, const mtf_store_identity *identity,
                                   bool read_only, mtf_err *err)
{
    mtf_buf folder = {0};
    if (!is_there(store->path, "db") && (read_only || !identity) &&
        (read_only || !is_there(store->path, "restore")))
        return no_store(store, err);
    mtf_buf_printf(&folder, "%s/db", store->path);
    const char *db = (const char *)folder.data;
    mtf_status status = folder.failed ? mtf_store_no_memory(err) : MTF_OK;
    if (status == MTF_OK && !read_only) status = prepare(store, identity, db, err);
    if (status == MTF_OK) status = open_folder(store, db, false, read_only, err);
    mtf_buf_fini(&folder);
    return status;
}
