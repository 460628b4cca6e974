/** Goal: a file is replaced whole or not at all, and folders are made and removed whole.
 *  Method: do it in a temporary folder, with a reader thread beside the writer for atomicity. */
#include "support/mtf_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENT_BYTES 50000
#define REPLACEMENTS  60

static void what_was_replaced_reads_back(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_buf buf = {0};
    mtf_test_folder(folder);
    mtf_test_file(path, folder, "file", "old");
    mtf_assert_ok(mtf_file_replace(path, (mtf_span){(const uint8_t *)"new\0er", 6}, &err), &err);
    mtf_buf_put(&buf, "before ", 7);
    mtf_assert_ok(mtf_file_read(path, 6, &buf, &err), &err);
    assert_int_equal(buf.size, 13);
    assert_memory_equal(buf.data, "before new\0er", 13);
    strcat(path, ".tmp");
    assert_int_not_equal(access(path, F_OK), 0);
    mtf_buf_fini(&buf);
    mtf_test_folder_remove(folder);
}

static void reading_says_what_is_wrong(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_buf buf = {0};
    mtf_test_folder(folder);
    mtf_test_file(path, folder, "file", "1234567");
    assert_int_equal(mtf_file_read(path, 6, &buf, &err), MTF_IO);
    assert_non_null(strstr(err.msg, "larger than 6 bytes"));
    assert_int_equal(mtf_file_read(folder, 6, &buf, &err), MTF_IO);
    strcat(path, "-missing");
    assert_int_equal(mtf_file_read(path, 6, &buf, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, path));
    mtf_buf_fini(&buf);
    mtf_test_folder_remove(folder);
}

static void a_key_file_is_read_whole_and_only_if_it_is_guarded(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    uint8_t bytes[8] = {0};
    size_t size = 99;
    mtf_err err = {0};
    mtf_test_folder(folder);
    mtf_test_file(path, folder, "key", "12345678");
    assert_int_equal(chmod(path, 0640), 0);
    mtf_assert_ok(mtf_file_read_key(path, bytes, 8, &size, &err), &err);
    assert_int_equal(size, 8);
    assert_memory_equal(bytes, "12345678", 8);
    assert_int_equal(mtf_file_read_key(path, bytes, 7, &size, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "larger than 7 bytes"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(mtf_file_read_key(path, bytes, 8, &size, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "mode 644"));
    assert_int_equal(mtf_file_read_key(folder, bytes, 8, &size, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "is a folder"));
    mtf_test_file(path, folder, "empty", "");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(mtf_file_read_key(path, bytes, 8, &size, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "is empty"));
    strcat(path, "-missing");
    assert_int_equal(mtf_file_read_key(path, bytes, 8, &size, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "No such file"));
    mtf_test_folder_remove(folder);
}

static void a_failed_replace_leaves_the_old_file(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH], blocker[3 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_buf buf = {0};
    mtf_test_folder(folder);
    mtf_test_file(path, folder, "file", "old");
    snprintf(blocker, sizeof blocker, "%s.tmp", path);
    assert_int_equal(mkdir(blocker, 0755), 0); /* so the temporary file cannot be made */
    assert_int_equal(mtf_file_replace(path, (mtf_span){(const uint8_t *)"new", 3}, &err), MTF_IO);
    assert_non_null(strstr(err.msg, ".tmp"));
    mtf_assert_ok(mtf_file_read(path, 100, &buf, &err), &err);
    assert_memory_equal(buf.data, "old", 3);
    mtf_buf_fini(&buf);
    mtf_test_folder_remove(folder);
}

struct reading {
    const char *path;
    _Atomic bool stop;
    int reads, torn;
};

static void *read_until_stopped(void *arg)
{
    struct reading *reading = arg;
    mtf_buf buf = {0};
    do {
        mtf_buf_clear(&buf);
        bool whole = mtf_file_read(reading->path, CONTENT_BYTES, &buf, NULL) == MTF_OK &&
                     buf.size == CONTENT_BYTES;
        for (size_t i = 0; whole && i < buf.size; i++) whole = buf.data[i] == buf.data[0];
        reading->torn += !whole;
        reading->reads++;
    } while (!atomic_load(&reading->stop));
    mtf_buf_fini(&buf);
    return NULL;
}

static void a_device_is_written_to_and_never_replaced(void **state)
{
    (void)state;
    struct stat before, after;
    mtf_err err = {0};
    const mtf_span text = {(const uint8_t *)"text", 4};
    assert_int_equal(stat("/dev/full", &before), 0);
    assert_int_equal(mtf_file_replace("/dev/full", text, &err), MTF_IO);
    assert_non_null(strstr(err.msg, "/dev/full: No space left"));
    mtf_assert_ok(mtf_file_replace("/dev/null", text, &err), &err);
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_true(S_ISCHR(after.st_mode));
}

static void a_reader_never_sees_half_a_file(void **state)
{
    (void)state;
    static uint8_t content[CONTENT_BYTES];
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_test_folder(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    mtf_assert_ok(mtf_file_replace(path, (mtf_span){content, sizeof content}, &err), &err);
    struct reading reading = {.path = path};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_until_stopped, &reading), 0);
    mtf_status status = MTF_OK;
    for (int i = 0; i < REPLACEMENTS && status == MTF_OK; i++) {
        memset(content, i, sizeof content);
        status = mtf_file_replace(path, (mtf_span){content, sizeof content}, &err);
    }
    atomic_store(&reading.stop, true);
    pthread_join(thread, NULL);
    mtf_assert_ok(status, &err);
    assert_true(reading.reads > 0);
    assert_int_equal(reading.torn, 0);
    mtf_test_folder_remove(folder);
}

static void folders_are_made_and_removed_whole(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], deep[2 * MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_test_folder(folder);
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    mtf_assert_ok(mtf_folder_make(deep, &err), &err);
    mtf_assert_ok(mtf_folder_make(deep, &err), &err);
    mtf_test_file(path, folder, "a/b/c/file", "content");
    assert_int_equal(mtf_folder_make(path, &err), MTF_IO);
    assert_non_null(strstr(err.msg, "in the way"));
    strcat(path, "/below");
    assert_int_equal(mtf_folder_make(path, &err), MTF_IO);
    assert_int_equal(mtf_folder_make("", &err), MTF_INVALID);
    mtf_assert_ok(mtf_folder_remove(folder, &err), &err);
    assert_int_not_equal(access(folder, F_OK), 0);
    mtf_assert_ok(mtf_folder_remove(folder, &err), &err);
}

static void removing_a_folder_spares_what_links_point_to(void **state)
{
    (void)state;
    char kept[MTF_TEST_PATH], gone[MTF_TEST_PATH], path[2 * MTF_TEST_PATH], link[2 * MTF_TEST_PATH];
    mtf_test_folder(kept);
    mtf_test_folder(gone);
    mtf_test_file(path, kept, "file", "precious");
    snprintf(link, sizeof link, "%s/link", gone);
    assert_int_equal(symlink(kept, link), 0);
    mtf_test_folder_remove(gone);
    assert_int_equal(access(path, F_OK), 0);
    mtf_test_folder_remove(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_replaced_reads_back),
        cmocka_unit_test(reading_says_what_is_wrong),
        cmocka_unit_test(a_key_file_is_read_whole_and_only_if_it_is_guarded),
        cmocka_unit_test(a_failed_replace_leaves_the_old_file),
        cmocka_unit_test(a_device_is_written_to_and_never_replaced),
        cmocka_unit_test(a_reader_never_sees_half_a_file),
        cmocka_unit_test(folders_are_made_and_removed_whole),
        cmocka_unit_test(removing_a_folder_spares_what_links_point_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
