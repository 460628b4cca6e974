/** Goal: a flipped bit anywhere in a store is an error with words or has no effect; never a crash,
 *  never other data taken for good. Method: one store with files of every kind (tables of two
 *  flushes, a live log, a manifest, checkpoints, a round's state); copies of it with one bit
 * flipped at a seeded place, each verified, read and opened to go on. What is read must be what was
 *  written, or, where the end of a log was hit, the store of an earlier commit: then the topic has
 *  the rest. */
#include "data_fixture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "learner/checkpoint.h"
#include "learner/round_state.h"
#include "learner/store_inside.h"
#include "learner/verify.h"

enum { TRIALS = 200, COMMITS_MAX = 16, FILES_MAX = 64 };

static const data_world world = {
    .seed = 3, .slope = {1, 0}, .noise = 0.1, .half_width = 0.15f, .version = 2};

typedef struct fixture {
    char folder[MTF_TEST_PATH], whole[2 * MTF_TEST_PATH], copy[2 * MTF_TEST_PATH];
    mtf_settings settings;
    uint64_t commits[COMMITS_MAX]; /* what the store read like after each */
    int commit_count;
} fixture;

/** Everything a learner reads from it, as one number. */
static mtf_status read_all(mtf_store *store, uint64_t *digest, mtf_err *err)
{
    mtf_buf all = {0};
    mtf_span value;
    mtf_round_state state = {0};
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    assert_non_null(cursor);
    mtf_status status;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK)
        mtf_buf_put(&all, value.data, value.size);
    mtf_store_cursor_close(cursor);
    if (status == MTF_CLOSED) status = mtf_round_state_load(&state, store, err);
    if (status == MTF_OK) {
        size_t count;
        const mtf_store_position *positions = mtf_store_positions(store, &count);
        for (size_t i = 0; i < count; i++) mtf_buf_printf(&all, "%" PRId64 " ", positions[i].next);
        const mtf_store_totals *totals = mtf_store_totals_of(store);
        mtf_buf_printf(&all, "%" PRId64 " %" PRId64 " %d", totals->rows, totals->sessions,
                       (int)state.round);
        assert_false(all.failed);
        *digest = mtf_hash64(all.data, all.size);
    }
    mtf_round_state_fini(&state);
    mtf_buf_fini(&all);
    return status;
}

static void note_commit(fixture *f, mtf_store *store)
{
    mtf_err err = {0};
    assert_true(f->commit_count < COMMITS_MAX);
    mtf_assert_ok(read_all(store, &f->commits[f->commit_count++], &err), &err);
}

static void put_checkpoint(fixture *f, const char *name)
{
    char path[3 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_checkpoint checkpoint = {.round = 1, .parent = 2, .step = 5, .steps = 10};
    mtf_assert_ok(mtf_normaliser_init(&checkpoint.normaliser, DATA_S, &err), &err);
    for (int i = 0; i < 500; i++) mtf_buf_put_u32_le(&checkpoint.algorithm, (uint32_t)i);
    snprintf(path, sizeof path, "%s/checkpoints/%s", f->settings.store_path, name);
    mtf_assert_ok(mtf_checkpoint_save(&checkpoint, path, &err), &err);
    mtf_checkpoint_fini(&checkpoint);
}

static void make_whole(fixture *f)
{
    mtf_err err = {0};
    uint64_t at = 0;
    for (int generation = 0; generation < 3; generation++) { /* reopened: logs become tables */
        mtf_store *store = data_store(&f->settings);
        note_commit(f, store);
        for (int commit = 0; commit < 3; commit++, at += 20) {
            data_fill(store, &f->settings, &world, at, 20);
            note_commit(f, store);
        }
        mtf_round_state state = {.phase = MTF_ROUND_TRAINING, .round = generation + 1};
        mtf_assert_ok(mtf_round_state_cut(&state, store, &err), &err);
        mtf_assert_ok(mtf_round_state_save(&state, store, &err), &err);
        mtf_round_state_fini(&state);
        note_commit(f, store);
        mtf_store_close(store);
    }
    put_checkpoint(f, "candidate");
    put_checkpoint(f, "v2");
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    snprintf(f->whole, sizeof f->whole, "%s", f->settings.store_path);
    snprintf(f->copy, sizeof f->copy, "%s/copy", f->folder);
    make_whole(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mtf_settings_fini(&f->settings);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

/** Paths below the store of its files that hold something; how many. */
static int list_files(const fixture *f, const char *part, char names[FILES_MAX][MTF_TEST_PATH],
                      int count)
{
    char path[3 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/%s", f->whole, part);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        struct stat info;
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "LOG", 3) == 0) continue;
        assert_true(count < FILES_MAX);
        snprintf(names[count], MTF_TEST_PATH, "%s/%.100s", part, entry->d_name);
        snprintf(path, sizeof path, "%s/%.200s", f->whole, names[count]);
        assert_int_equal(stat(path, &info), 0);
        count += info.st_size > 0;
    }
    closedir(folder);
    return count;
}

/** The whole store again, of links: RocksDB replaces and removes files, but writes to none. */
static void make_copy(const fixture *f)
{
    static const char *const parts[] = {"db", "checkpoints"};
    char path[4 * MTF_TEST_PATH], from[4 * MTF_TEST_PATH], names[FILES_MAX][MTF_TEST_PATH];
    mtf_err err = {0};
    int count = 0;
    mtf_assert_ok(mtf_folder_remove(f->copy, &err), &err);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f->copy, parts[i]);
        mtf_assert_ok(mtf_folder_make(path, &err), &err);
        count = list_files(f, parts[i], names, count);
    }
    for (int i = 0; i < count; i++) {
        snprintf(from, sizeof from, "%s/%.200s", f->whole, names[i]);
        snprintf(path, sizeof path, "%s/%.200s", f->copy, names[i]);
        assert_int_equal(link(from, path), 0);
    }
}

/** Puts other bytes into a file of the copy alone. */
static void put_bytes(const char *path, const uint8_t *data, size_t size)
{
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void flip(const char *path, mtf_rng *rng, char where[100])
{
    mtf_buf bytes = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_file_read(path, 1 << 26, &bytes, &err), &err);
    const uint64_t at = mtf_rng_below(rng, bytes.size), bit = mtf_rng_below(rng, 8);
    bytes.data[at] ^= (uint8_t)(1u << bit);
    snprintf(where, 100, "byte %" PRIu64 " of %zu, bit %" PRIu64, at, bytes.size, bit);
    put_bytes(path, bytes.data, bytes.size);
    mtf_buf_fini(&bytes);
}

static bool is_damage(mtf_status status, const mtf_err *err, const char *what)
{
    if (status == MTF_OK) return false;
    if (status != MTF_CORRUPT && status != MTF_IO) fail_msg("%s: %s", what, err->msg);
    if (!strstr(err->msg, "copy")) fail_msg("%s: no path in: %s", what, err->msg);
    if (status == MTF_CORRUPT && !strstr(err->msg, "restore") && !strstr(err->msg, "remove it"))
        fail_msg("%s: no remedy in: %s", what, err->msg);
    return true;
}

/** 0: an error; 1: all there; 2: an earlier commit. */
static int read_copy(const fixture *f, bool read_only, const char *what)
{
    mtf_store *store = NULL;
    mtf_err err = {0};
    uint64_t digest = 0;
    mtf_status status = mtf_store_open(f->copy, NULL, read_only, &store, &err);
    if (status == MTF_OK) status = read_all(store, &digest, &err);
    mtf_store_close(store);
    if (is_damage(status, &err, what)) return 0;
    for (int i = f->commit_count; i-- > 0;)
        if (digest == f->commits[i]) return i + 1 == f->commit_count ? 1 : 2;
    fail_msg("%s: data that was never committed is read as good", what);
    return 0;
}

static void a_flipped_bit_is_found_or_changes_nothing(void **state)
{
    fixture *f = *state;
    char names[FILES_MAX][MTF_TEST_PATH], path[4 * MTF_TEST_PATH], where[100], what[500];
    mtf_rng rng = mtf_rng_of(mtf_test_seed(1), 0);
    int count = list_files(f, "db", names, 0), outcomes[3] = {0}, found_by_verify = 0;
    count = list_files(f, "checkpoints", names, count);
    assert_true(count >= 7);
    for (int trial = 0; trial < TRIALS; trial++) {
        mtf_err err = {0};
        mtf_verified found;
        const char *name = names[trial % count];
        make_copy(f);
        snprintf(path, sizeof path, "%s/%.200s", f->copy, name);
        flip(path, &rng, where);
        snprintf(what, sizeof what, "%.200s, %s", name, where);
        const bool damaged = is_damage(mtf_store_verify(f->copy, &found, &err), &err, what);
        found_by_verify += damaged;
        if (strncmp(name, "checkpoints", 11) == 0 && !damaged)
            fail_msg("%s: not found in a checkpoint", what);
        const int seen = read_copy(f, true, what);
        if (seen == 0 && !damaged) fail_msg("%s: found by reading, not by verify", what);
        const int again = read_copy(f, false, what);
        outcomes[again]++;
        if (again == 2 && !strstr(name, ".log") && !strstr(name, "MANIFEST"))
            fail_msg("%s: an earlier commit, though no log was hit", what);
    }
    print_message("%d bits flipped in %d files: %d errors, %d without effect, %d to an earlier "
                  "commit; verify found %d\n",
                  TRIALS, count, outcomes[0], outcomes[1], outcomes[2], found_by_verify);
    assert_true(found_by_verify > TRIALS / 2);
    assert_true(outcomes[2] * 50 <= TRIALS); /* only where a log seems to end: its last block */
}

static void a_missing_file_is_found(void **state)
{
    fixture *f = *state;
    char names[FILES_MAX][MTF_TEST_PATH], path[4 * MTF_TEST_PATH];
    const int count = list_files(f, "db", names, 0);
    for (int i = 0; i < count; i++) {
        make_copy(f);
        snprintf(path, sizeof path, "%s/%.200s", f->copy, names[i]);
        assert_int_equal(unlink(path), 0);
        const int outcome = read_copy(f, false, names[i]);
        const bool needed =
            strstr(names[i], ".sst") || strstr(names[i], "MANIFEST") || strstr(names[i], "CURRENT");
        if (needed && outcome != 0) fail_msg("%s was removed and is not missed", names[i]);
    }
}

/** Takes the first entry of the rows away, or changes its last byte, by RocksDB's own means: no
 *  checksum of its is wrong. */
static void tamper(const fixture *f, bool change)
{
    mtf_store *store = NULL;
    mtf_err err = {0};
    mtf_assert_ok(mtf_store_open(f->copy, NULL, false, &store, &err), &err);
    char *failure = NULL, value[4096];
    size_t key_size, size;
    rocksdb_iterator_t *at =
        rocksdb_create_iterator_cf(store->db, store->reads, mtf_store_rows(store));
    rocksdb_iter_seek_to_first(at);
    assert_true(rocksdb_iter_valid(at));
    const char *key = rocksdb_iter_key(at, &key_size), *found = rocksdb_iter_value(at, &size);
    assert_in_range(size, 1, sizeof value);
    memcpy(value, found, size);
    value[size - 1] ^= 1;
    if (change)
        rocksdb_put_cf(store->db, store->synced, mtf_store_rows(store), key, key_size, value, size,
                       &failure);
    else
        rocksdb_delete_cf(store->db, store->synced, mtf_store_rows(store), key, key_size, &failure);
    assert_null(failure);
    rocksdb_iter_destroy(at);
    mtf_store_close(store);
}

static void a_row_that_vanished_or_changed_is_found(void **state)
{
    fixture *f = *state;
    for (int change = 0; change < 2; change++) {
        mtf_verified found;
        mtf_err err = {0};
        const char *what = change ? "a changed row" : "a row that vanished";
        make_copy(f);
        tamper(f, change);
        assert_int_equal(read_copy(f, true, what), 0);
        assert_true(is_damage(mtf_store_verify(f->copy, &found, &err), &err, what));
    }
}

/** What kill -9 leaves: the log's end cut anywhere. */
static void a_log_cut_short_is_an_earlier_commit(void **state)
{
    fixture *f = *state;
    char names[FILES_MAX][MTF_TEST_PATH], path[4 * MTF_TEST_PATH];
    mtf_rng rng = mtf_rng_of(mtf_test_seed(2), 1);
    const int count = list_files(f, "db", names, 0);
    int tried = 0;
    for (int i = 0; i < count; i++) {
        if (!strstr(names[i], ".log")) continue;
        for (int trial = 0; trial < 30; trial++, tried++) {
            mtf_err err = {0};
            mtf_buf bytes = {0};
            make_copy(f);
            snprintf(path, sizeof path, "%s/%.200s", f->copy, names[i]);
            mtf_assert_ok(mtf_file_read(path, 1 << 26, &bytes, &err), &err);
            put_bytes(path, bytes.data, mtf_rng_below(&rng, bytes.size));
            mtf_buf_fini(&bytes);
            assert_int_not_equal(read_copy(f, false, names[i]), 0);
        }
    }
    assert_true(tried > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_found_or_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_vanished_or_changed_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_cut_short_is_an_earlier_commit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
