/** What was committed is there after a restart, what was not is not, and a store made for something
 *  else is refused with the way out. On small stores in a folder of the test's own. */
#include "data_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "learner/store_copy.h"
#include "learner/store_inside.h"
#include "learner/store_lock.h"
#include "learner/verify.h"

static const data_world world = {
    .seed = 1, .slope = {1, 0}, .noise = 0.1, .half_width = 0.15f, .version = 5};

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
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

static int64_t scan(const mtf_store *store, uint32_t first, uint32_t last, uint32_t slice,
                    uint32_t slices)
{
    int64_t rows = 0;
    mtf_span value;
    mtf_err err = {0};
    mtf_status status;
    mtf_store_cursor *cursor = mtf_store_scan(store, first, last, slice, slices);
    assert_non_null(cursor);
    while ((status = mtf_store_next(cursor, &value, &err)) == MTF_OK) rows++;
    assert_int_equal(status, MTF_CLOSED);
    mtf_store_cursor_close(cursor);
    return rows;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/** A learner's start, in a process of its own: 0 once it had the store. */
static int open_in_turn(const mtf_settings *settings)
{
    mtf_store *store;
    mtf_err err = {0};
    mtf_status status;
    const mtf_store_identity identity = {data_shape(), "valid watch", settings->policy_actions,
                                         settings->policy_name, ""};
    while ((status = mtf_store_open(settings->store_path, &identity, false, &store, &err)) ==
           MTF_FENCED)
        nap();
    if (status) fprintf(stderr, "start: %s\n", err.msg);
    mtf_store_close(store);
    return (int)status;
}

/** First of all tests here: a process that has threads of RocksDB cannot be forked. */
static void learners_that_start_at_once_make_one_store(void **state)
{
    enum { TURNS = 10, LEARNERS = 4 };
    fixture *f = *state;
    mtf_err err = {0};
    for (int turn = 0; turn < TURNS; turn++) {
        pid_t pids[LEARNERS];
        for (int i = 0; i < LEARNERS; i++) {
            pids[i] = fork();
            assert_true(pids[i] >= 0);
            if (pids[i] == 0) _exit(open_in_turn(&f->settings));
        }
        for (int i = 0; i < LEARNERS; i++) {
            int ended = -1;
            assert_int_equal(waitpid(pids[i], &ended, 0), pids[i]);
            assert_int_equal(ended, 0);
        }
        mtf_assert_ok(mtf_folder_remove(f->settings.store_path, &err), &err);
    }
}

static void the_holder_is_known_also_to_itself(void **state)
{
    fixture *f = *state;
    const char *path = f->settings.store_path;
    mtf_store *second;
    mtf_err err = {0};
    assert_int_equal(mtf_store_holder(path), 0);
    mtf_store *store = data_store(&f->settings);
    for (int i = 0; i < 2; i++) { /* asking lets go of nothing */
        assert_int_equal(mtf_store_holder(path), getpid());
        assert_int_equal(mtf_store_open(path, NULL, false, &second, &err), MTF_FENCED);
    }
    mtf_store_close(store);
    assert_int_equal(mtf_store_holder(path), 0);
}

static void committed_rows_positions_and_counts_survive(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    const int64_t rows = data_fill(store, &f->settings, &world, 0, 50);
    mtf_store_totals_of(store)->bad = 3; /* not committed: gone */
    data_session made;
    data_session_make(&world, 99, &made);
    data_session_store(store, &f->settings, &made.session, 99);
    mtf_store_close(store);

    store = data_store(&f->settings);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows);
    size_t count;
    const mtf_store_position *positions = mtf_store_positions(store, &count);
    assert_int_equal(count, 1);
    assert_int_equal(positions[0].next, 50);
    assert_int_equal(positions[0].last, 49);
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    assert_int_equal(count, 1);
    assert_int_equal(counts[0].version, 5);
    assert_int_equal(counts[0].rows, rows);
    assert_int_equal(counts[0].sessions, 50);
    assert_int_equal(counts[0].day_first, 100);
    assert_int_equal(mtf_store_totals_of(store)->rows, rows);
    assert_int_equal(mtf_store_totals_of(store)->bad, 0);
    mtf_store_close(store);
}

static void opening_leaves_no_files_behind(void **state)
{
    fixture *f = *state;
    char path[MTF_TEST_PATH + 20];
    int count = 0;
    const struct dirent *entry;
    for (int i = 0; i < 3; i++) mtf_store_close(data_store(&f->settings));
    snprintf(path, sizeof path, "%s/db", f->settings.store_path);
    DIR *files = opendir(path);
    assert_non_null(files);
    while ((entry = readdir(files))) count += strstr(entry->d_name, ".dbtmp") != NULL;
    closedir(files);
    assert_int_equal(count, 0);
}

static void a_stored_session_is_seen_in_the_batch_and_after(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    mtf_err err = {0};
    data_session made;
    uint8_t key[MTF_ROW_KEY_BYTES];
    bool has;
    data_session_make(&world, 0, &made);
    mtf_row_key(&made.session, 0, key);
    mtf_assert_ok(mtf_store_has(store, key, &has, &err), &err);
    assert_false(has);
    data_session_store(store, &f->settings, &made.session, 0);
    mtf_assert_ok(mtf_store_has(store, key, &has, &err), &err);
    assert_true(has);
    mtf_assert_ok(mtf_store_commit(store, &err), &err);
    assert_int_equal(mtf_store_pending(store), 0);
    mtf_assert_ok(mtf_store_has(store, key, &has, &err), &err);
    assert_true(has);
    mtf_store_close(store);
}

static void another_identity_is_refused_by_its_line(void **state)
{
    fixture *f = *state;
    mtf_store_close(data_store(&f->settings));
    const mtf_row_shape shape = data_shape(), wider = {DATA_S + 1, DATA_A, DATA_P, DATA_K, 0, 0};
    const char *actions = f->settings.policy_actions, *policy = f->settings.policy_name;
    const struct {
        mtf_store_identity identity;
        const char *word;
    } cases[] = {
        {{wider, "valid watch", actions, policy, ""}, "state_dim: 5"},
        {{shape, "watch valid", actions, policy, ""}, "signals: watch valid"},
        {{shape, "valid watch", "x.pow=0..3 y.pow=0..2", policy, ""}, "actions: x.pow=0..3"},
        {{shape, "valid watch", actions, "other", ""}, "policy: other"},
        {{shape, "valid watch", actions, policy, "another"}, "cluster: another"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mtf_store *store;
        mtf_err err = {0};
        assert_int_equal(
            mtf_store_open(f->settings.store_path, &cases[i].identity, false, &store, &err),
            MTF_INVALID);
        assert_null(store);
        assert_non_null(strstr(err.msg, cases[i].word));
        assert_non_null(strstr(err.msg, "store.path"));
    }
}

/** Rows of two sessions in turn: each is an entry of its own, as all were in format 2. */
static int64_t put_in_turn(mtf_store *store, const mtf_settings *settings, uint64_t index)
{
    data_session made[2];
    mtf_session one[2];
    mtf_err err = {0};
    mtf_row row = {0};
    mtf_buf value = {0};
    int64_t rows = 0;
    const mtf_row_shape shape = data_shape();
    const mtf_reward reward = data_reward(settings);
    for (uint64_t i = 0; i < 2; i++) {
        data_session_make(&world, index + i, &made[i]);
        one[i] = made[i].session;
    }
    for (uint32_t step = 0; step < DATA_STEPS_MAX; step++) {
        for (int i = 0; i < 2; i++) {
            uint8_t key[MTF_ROW_KEY_BYTES];
            if (step >= one[i].step_count) continue;
            mtf_assert_ok(mtf_row_make(&shape, &reward, 0.15, &one[i], step, 0, 0, &row, &err),
                          &err);
            mtf_buf_clear(&value);
            mtf_row_encode(&shape, &row, &value);
            mtf_row_key(&one[i], step, key);
            mtf_assert_ok(mtf_store_put_row(store, key, &row.h, mtf_buf_span(&value), &err), &err);
            rows++;
        }
    }
    mtf_assert_ok(mtf_store_commit(store, &err), &err);
    mtf_buf_fini(&value);
    mtf_row_fini(&row);
    return rows;
}

static void say_format(mtf_store *store, char digit)
{
    char *text = NULL;
    store->identity.data[strlen("format: ")] = (uint8_t)digit;
    const char *words = mtf_store_identity_text(store);
    rocksdb_put_cf(store->db, store->synced, mtf_store_meta(store), "shape", 5, words,
                   strlen(words), &text);
    assert_null(text);
    mtf_store_close(store);
}

static void a_store_of_format_2_is_read_and_goes_on_as_format_3(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store *store = data_store(&f->settings);
    int64_t rows = put_in_turn(store, &f->settings, 0);
    say_format(store, '2');
    mtf_verified found;
    mtf_assert_ok(mtf_store_verify(f->settings.store_path, &found, &err), &err);
    assert_int_equal(found.rows, rows);

    store = data_store(&f->settings);
    data_session made;
    uint8_t key[MTF_ROW_KEY_BYTES];
    bool has;
    data_session_make(&world, 1, &made);
    mtf_row_key(&made.session, 0, key);
    mtf_assert_ok(mtf_store_has(store, key, &has, &err), &err);
    assert_true(has);
    rows += data_fill(store, &f->settings, &world, 100, 20);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows);
    mtf_store_close(store);

    mtf_assert_ok(mtf_store_open(f->settings.store_path, NULL, true, &store, &err), &err);
    size_t size;
    char *text = NULL;
    char *stored =
        rocksdb_get_cf(store->db, store->reads, mtf_store_meta(store), "shape", 5, &size, &text);
    assert_null(text);
    assert_memory_equal(stored, "format: 3\n", 10);
    rocksdb_free(stored);
    mtf_store_close(store);
}

static void a_store_of_a_later_format_is_refused(void **state)
{
    fixture *f = *state;
    say_format(data_store(&f->settings), '9');
    for (int read_only = 0; read_only < 2; read_only++) {
        mtf_store *store;
        mtf_err err = {0};
        assert_int_equal(mtf_store_open(f->settings.store_path, NULL, read_only, &store, &err),
                         MTF_INVALID);
        assert_non_null(strstr(err.msg, "is of \"format: 9\""));
        assert_non_null(strstr(err.msg, "store.path"));
    }
}

static void one_writer_and_any_reader(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings), *second;
    mtf_err err = {0};
    const int64_t rows = data_fill(store, &f->settings, &world, 0, 10);
    const mtf_store_identity identity = {data_shape(), "valid watch", f->settings.policy_actions,
                                         f->settings.policy_name, ""};
    assert_int_equal(mtf_store_open(f->settings.store_path, &identity, false, &second, &err),
                     MTF_FENCED);
    assert_non_null(strstr(err.msg, "another learner"));
    mtf_assert_ok(mtf_store_open(f->settings.store_path, NULL, true, &second, &err), &err);
    assert_int_equal(scan(second, 0, UINT32_MAX, 0, 1), rows);
    assert_int_equal(mtf_store_shape(second).state_dim, DATA_S);
    assert_non_null(strstr(mtf_store_identity_text(second), "policy: default"));
    mtf_store_close(second);
    mtf_store_close(store);
}

static void a_missing_store_is_not_made_by_reading(void **state)
{
    fixture *f = *state;
    mtf_store *store;
    mtf_err err = {0};
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(mtf_store_open(f->settings.store_path, NULL, read_only, &store, &err),
                         MTF_INVALID);
        assert_non_null(strstr(err.msg, f->settings.store_path));
        assert_int_not_equal(access(f->settings.store_path, F_OK), 0);
    }
}

static void slices_cut_every_day_into_disjoint_parts(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    data_world days = world;
    int64_t rows = 0;
    for (uint64_t day = 0; day < 3; day++) {
        days.start_ms = (100 + 2 * (int64_t)day) * MTF_DAY_MS; /* days 100, 102, 104 */
        rows += data_fill(store, &f->settings, &days, 1000 * day, 60);
    }
    for (uint32_t slices = 1; slices <= 7; slices += 2) {
        int64_t sum = 0;
        for (uint32_t slice = 0; slice < slices; slice++) {
            const int64_t some = scan(store, 0, UINT32_MAX, slice, slices);
            assert_true(some > 0);
            sum += some;
        }
        assert_int_equal(sum, rows);
    }
    const int64_t first = scan(store, 100, 100, 0, 1), rest = scan(store, 101, 200, 0, 1);
    assert_true(first > 0 && rest > 0);
    assert_int_equal(first + rest, rows);
    mtf_err err = {0};
    mtf_assert_ok(mtf_store_forget_before(store, 101, &err), &err);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rest);
    mtf_store_close(store);
}

static void blobs_are_found_by_name(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    mtf_err err = {0};
    mtf_buf back = {0};
    const mtf_span value = {(const uint8_t *)"\0one", 4};
    assert_int_equal(mtf_store_get_blob(store, "state", &back, &err), MTF_SKIP);
    mtf_assert_ok(mtf_store_put_blob(store, "state", value, &err), &err);
    mtf_store_close(store);
    store = data_store(&f->settings);
    mtf_assert_ok(mtf_store_get_blob(store, "state", &back, &err), &err);
    assert_int_equal(back.size, 4);
    assert_memory_equal(back.data, value.data, 4);
    mtf_buf_fini(&back);
    mtf_store_close(store);
}

/** Bytes of the tables on disk. */
static uint64_t bytes_of(const mtf_store *store)
{
    uint64_t rows, bytes;
    mtf_store_live(store, &rows, &bytes);
    return bytes;
}

static void retention_gives_the_disk_back_and_counts(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    mtf_err err = {0};
    data_world next = world;
    next.start_ms = 200 * (int64_t)MTF_DAY_MS;
    const int64_t old = data_fill(store, &f->settings, &world, 0, 1200);
    const int64_t kept = data_fill(store, &f->settings, &next, 2000, 100);
    mtf_assert_ok(mtf_store_forget_before(store, 50, &err), &err); /* nothing that old */
    assert_int_equal(mtf_store_totals_of(store)->expired, 0);
    mtf_store_close(store);
    store = data_store(&f->settings); /* the log has become a table */
    const uint64_t before = bytes_of(store);
    mtf_assert_ok(mtf_store_forget_before(store, 200, &err), &err);
    assert_true(before > 200000);
    assert_true(bytes_of(store) < before / 4);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), kept);
    assert_int_equal(mtf_store_totals_of(store)->expired, old);
    mtf_store_close(store);
    mtf_verified found;
    mtf_assert_ok(mtf_store_verify(f->settings.store_path, &found, &err), &err);
    assert_int_equal(found.rows, kept);
    assert_int_equal(found.days, 1);
    assert_int_equal(found.totals.rows, old + kept);
}

/** Is the text in any file of <store>/db? */
static bool on_disk(const fixture *f, mtf_span bytes)
{
    char path[2 * MTF_TEST_PATH], file[4 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/db", f->settings.store_path);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    const struct dirent *entry;
    bool found = false;
    while ((entry = readdir(folder))) {
        mtf_buf content = {0};
        mtf_err err = {0};
        if (entry->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%.200s", path, entry->d_name);
        mtf_assert_ok(mtf_file_read(file, 1 << 26, &content, &err), &err);
        for (size_t i = 0; i + bytes.size <= content.size && !found; i++)
            found = memcmp(content.data + i, bytes.data, bytes.size) == 0;
        mtf_buf_fini(&content);
    }
    closedir(folder);
    return found;
}

static void a_forgotten_user_leaves_rows_files_and_the_round(void **state)
{
    fixture *f = *state;
    mtf_store *store = data_store(&f->settings);
    mtf_err err = {0};
    mtf_store_forgotten gone;
    char candidate[2 * MTF_TEST_PATH];
    data_session theirs, others;
    const int64_t rows = data_fill(store, &f->settings, &world, 0, 60);
    mtf_test_file(candidate, f->settings.store_path, "checkpoints/candidate", "of a round");
    data_session_make(&world, 13, &theirs); /* user 4: sessions 12, 13, 14 */
    data_session_make(&world, 15, &others);
    const mtf_span id = {theirs.session.session_id, 16}, other = {others.session.session_id, 16};
    const uint64_t user = mtf_row_user(theirs.session.user_id);
    assert_true(on_disk(f, id) && on_disk(f, other));

    mtf_assert_ok(mtf_store_forget_user(store, user, true, &gone, &err), &err);
    assert_int_equal(gone.sessions, 3);
    const int64_t theirs_rows = gone.rows;
    assert_true(theirs_rows >= 3);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows);
    assert_int_equal(access(candidate, F_OK), 0);

    mtf_assert_ok(mtf_store_forget_user(store, user, false, &gone, &err), &err);
    assert_int_equal(gone.rows, theirs_rows);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows - theirs_rows);
    assert_int_not_equal(access(candidate, F_OK), 0);
    assert_int_equal(mtf_store_totals_of(store)->forgotten, theirs_rows);
    assert_int_equal(mtf_store_totals_of(store)->rows, rows);
    mtf_store_close(store);
    assert_false(on_disk(f, id));
    assert_true(on_disk(f, other)); /* the search finds what is there */

    mtf_verified found;
    mtf_assert_ok(mtf_store_verify(f->settings.store_path, &found, &err), &err);
    assert_int_equal(found.rows, rows - theirs_rows);
    store = data_store(&f->settings);
    mtf_assert_ok(mtf_store_forget_user(store, user, false, &gone, &err), &err);
    assert_int_equal(gone.rows, 0);
    mtf_store_close(store);
}

static void a_backup_is_whole_and_comes_back(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_verified found;
    char to[2 * MTF_TEST_PATH], file[2 * MTF_TEST_PATH], stale[3 * MTF_TEST_PATH];
    const char *path = f->settings.store_path;
    snprintf(to, sizeof to, "%s/backup", f->folder);
    mtf_store *store = data_store(&f->settings);
    const int64_t rows = data_fill(store, &f->settings, &world, 0, 50);
    atomic_bool stop =
        true; /* while it waits for the holder, who is this process and says nothing */
    assert_int_equal(mtf_store_backup(path, to, 1000, &stop, &err), MTF_CLOSED);
    mtf_store_close(store);
    /* Left by a backup that was killed: in nobody's way. */
    snprintf(stale, sizeof stale, "%s/snapshot/db", path);
    mtf_assert_ok(mtf_folder_make(stale, &err), &err);
    snprintf(stale, sizeof stale, "%s.tmp/db", to);
    mtf_assert_ok(mtf_folder_make(stale, &err), &err);

    mtf_assert_ok(mtf_store_backup(path, to, 1000, NULL, &err), &err);
    mtf_assert_ok(mtf_store_verify(to, &found, &err), &err);
    assert_int_equal(found.rows, rows);
    assert_int_equal(mtf_store_backup(path, to, 1000, NULL, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "is there"));
    snprintf(stale, sizeof stale, "%s/snapshot", path);
    assert_int_not_equal(access(stale, F_OK), 0);

    store = data_store(&f->settings); /* it goes on, then goes bad */
    data_fill(store, &f->settings, &world, 50, 50);
    mtf_store_close(store);
    mtf_test_file(file, path, "db/CURRENT", "nonsense");
    assert_int_equal(mtf_store_verify(path, &found, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "mtf store restore"));
    assert_int_equal(mtf_store_restore(path, to, false, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "--force"));
    assert_int_equal(mtf_store_restore(path, path, true, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "the store itself"));
    mtf_assert_ok(mtf_store_restore(path, to, true, &err), &err);
    mtf_assert_ok(mtf_store_verify(path, &found, &err), &err);
    assert_int_equal(found.rows, rows);
    store = data_store(&f->settings);
    assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows);
    mtf_store_close(store);
}

/** Killed between the parts of a restore: the next open finishes it. */
static void a_restore_cut_short_is_finished_by_the_next_open(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    char to[2 * MTF_TEST_PATH], ready[2 * MTF_TEST_PATH], old[2 * MTF_TEST_PATH];
    const char *path = f->settings.store_path;
    snprintf(to, sizeof to, "%s/backup", f->folder);
    snprintf(ready, sizeof ready, "%s/restore", path);
    snprintf(old, sizeof old, "%s/db", path);
    mtf_store *store = data_store(&f->settings);
    const int64_t rows = data_fill(store, &f->settings, &world, 0, 50);
    mtf_store_close(store);
    mtf_assert_ok(mtf_store_backup(path, to, 1000, NULL, &err), &err);
    for (int removed = 0; removed < 2; removed++) {
        store = data_store(&f->settings);
        data_fill(store, &f->settings, &world, 50, 50);
        mtf_store_close(store);
        mtf_assert_ok(mtf_folder_copy(to, ready, &err), &err);
        if (removed) mtf_assert_ok(mtf_folder_remove(old, &err), &err);
        store = data_store(&f->settings);
        assert_int_equal(scan(store, 0, UINT32_MAX, 0, 1), rows);
        mtf_store_close(store);
        assert_int_not_equal(access(ready, F_OK), 0);
    }
}

typedef struct restoring {
    const char *path, *from;
    atomic_bool done;
    mtf_status status;
    mtf_err err;
} restoring;

static void *restore(void *arg)
{
    restoring *r = arg;
    r->status = mtf_store_restore(r->path, r->from, true, &r->err);
    atomic_store(&r->done, true);
    return NULL;
}

static void nobody_opens_a_store_that_is_being_restored(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    char to[2 * MTF_TEST_PATH], large[3 * MTF_TEST_PATH], copy[2 * MTF_TEST_PATH];
    const char *path = f->settings.store_path;
    mtf_store *store = data_store(&f->settings);
    pthread_t thread;
    snprintf(to, sizeof to, "%s/backup", f->folder);
    snprintf(large, sizeof large, "%s/checkpoints/large", to);
    snprintf(copy, sizeof copy, "%s/restore.tmp", path);
    mtf_store_close(store);
    mtf_assert_ok(mtf_store_backup(path, to, 1000, NULL, &err), &err);
    FILE *file = fopen(large, "w"); /* so that copying takes its time */
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 128 << 20), 0);
    assert_int_equal(fclose(file), 0);

    restoring r = {.path = path, .from = to};
    assert_int_equal(pthread_create(&thread, NULL, restore, &r), 0);
    while (access(copy, F_OK) != 0 && !atomic_load(&r.done)) nap();
    const mtf_status status = mtf_store_open(path, NULL, false, &store, &err);
    mtf_store_close(store);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, MTF_FENCED);
    mtf_assert_ok(r.status, &r.err);
    store = data_store(&f->settings);
    assert_int_equal(mtf_store_restore(path, to, true, &err), MTF_IO);
    assert_non_null(strstr(err.msg, "stop it first"));
    mtf_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(learners_that_start_at_once_make_one_store, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_holder_is_known_also_to_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_opens_a_store_that_is_being_restored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(committed_rows_positions_and_counts_survive, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stored_session_is_seen_in_the_batch_and_after, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(opening_leaves_no_files_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_identity_is_refused_by_its_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_of_format_2_is_read_and_goes_on_as_format_3, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_store_of_a_later_format_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_writer_and_any_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_store_is_not_made_by_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slices_cut_every_day_into_disjoint_parts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(blobs_are_found_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(retention_gives_the_disk_back_and_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_forgotten_user_leaves_rows_files_and_the_round, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_backup_is_whole_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restore_cut_short_is_finished_by_the_next_open, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
