/** Goal: sessions in an Avro container come out as they went in, bad ones are told from a damaged
 *  file, and events are not taken for sessions. Method: containers made here, byte by byte, of
 *  sessions as the sessionizer encodes them, and one of fastavro's; every truncation of one. */
#include "ingest/test.h"

#include "core/file.h"
#include "ingest/avro_schema.h"
#include "ingest/container.h"
#include "core/encode.h"
#include "ingest/samples.h"
#include "ingest/schemas.h"
#include "ingest/session_file.h"

#include <stdio.h>

#define FRAME 10 /* of a single-object message */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/mtf-session-file-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_err err;
    return mtf_folder_remove(folder, &err) == MTF_OK ? 0 : 1;
}

static void put_long(mtf_buf *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag > 127; zigzag >>= 7) mtf_buf_put_u8(out, (uint8_t)(zigzag | 128));
    mtf_buf_put_u8(out, (uint8_t)zigzag);
}

static void put_bytes(mtf_buf *out, const void *data, size_t size)
{
    put_long(out, (int64_t)size);
    mtf_buf_put(out, data, size);
}

/** A container of one block of records that are all `record`, count times. */
static void write_container(const char *path, const char *schema, mtf_span record, int64_t count)
{
    static const uint8_t sync[16] = "0123456789abcdef";
    mtf_buf out = {0};
    mtf_err err = {0};
    mtf_buf_put(&out, "Obj\1", 4);
    put_long(&out, 1);
    put_bytes(&out, "avro.schema", 11);
    put_bytes(&out, schema, strlen(schema));
    put_long(&out, 0);
    mtf_buf_put(&out, sync, sizeof sync);
    put_long(&out, count);
    put_long(&out, count * (int64_t)record.size);
    for (int64_t i = 0; i < count; i++) mtf_buf_put(&out, record.data, record.size);
    mtf_buf_put(&out, sync, sizeof sync);
    if (mtf_file_replace(path, mtf_buf_span(&out), &err) != MTF_OK) fail_msg("%s", err.msg);
    mtf_buf_fini(&out);
}

/** The sample session without its frame. */
static mtf_buf sample_bytes(void)
{
    const mtf_session session = mtf_sample_session();
    mtf_buf framed = {0}, bare = {0};
    mtf_err err = {0};
    if (mtf_session_encode(&session, &framed, &err) != MTF_OK) fail_msg("%s", err.msg);
    mtf_buf_put(&bare, framed.data + FRAME, framed.size - FRAME);
    mtf_buf_fini(&framed);
    return bare;
}

static mtf_session_file *open_file(const char *path, mtf_dims dims)
{
    mtf_session_file *file;
    mtf_err err = {0};
    if (mtf_session_file_open(path, dims, &file, &err) != MTF_OK) fail_msg("%s", err.msg);
    return file;
}

static void sessions_come_out_as_they_went_in(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/sessions.avro", folder);
    mtf_buf bytes = sample_bytes(), again = {0};
    write_container(path, mtf_schema_session, mtf_buf_span(&bytes), 3);
    bool sessions;
    mtf_err err = {0};
    assert_int_equal(mtf_session_file_is(path, &sessions, &err), MTF_OK);
    assert_true(sessions);
    mtf_session_file *file = open_file(path, (mtf_dims){0});
    for (int i = 0; i < 3; i++) {
        mtf_session session;
        if (mtf_session_file_next(file, &session, &err) != MTF_OK) fail_msg("%s", err.msg);
        mtf_buf_clear(&again);
        assert_int_equal(mtf_session_encode(&session, &again, &err), MTF_OK);
        assert_int_equal(again.size, bytes.size + FRAME);
        assert_memory_equal(again.data + FRAME, bytes.data, bytes.size);
    }
    mtf_session session;
    assert_int_equal(mtf_session_file_next(file, &session, &err), MTF_CLOSED);
    mtf_session_file_close(file);
    mtf_buf_fini(&bytes);
    mtf_buf_fini(&again);
}

/** golden.py's: the sample three times, with a field more. */
static void another_library_and_a_later_schema_are_read(void **state)
{
    (void)state;
    mtf_buf bytes = sample_bytes(), again = {0};
    mtf_err err = {0};
    mtf_session session;
    mtf_session_file *file =
        open_file(MTF_SOURCE_DIR "/tests/ingest/golden/sessions-deflate.avro", (mtf_dims){0});
    for (int i = 0; i < 3; i++) {
        if (mtf_session_file_next(file, &session, &err) != MTF_OK) fail_msg("%s", err.msg);
        mtf_buf_clear(&again);
        assert_int_equal(mtf_session_encode(&session, &again, &err), MTF_OK);
        assert_memory_equal(again.data + FRAME, bytes.data, bytes.size);
    }
    assert_int_equal(mtf_session_file_next(file, &session, &err), MTF_CLOSED);
    mtf_session_file_close(file);
    mtf_buf_fini(&bytes);
    mtf_buf_fini(&again);
}

static void a_session_of_other_dims_is_skipped(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/sessions.avro", folder);
    mtf_buf bytes = sample_bytes();
    write_container(path, mtf_schema_session, mtf_buf_span(&bytes), 2);
    mtf_session_file *file = open_file(path, (mtf_dims){.state = 999});
    mtf_session session;
    mtf_err err = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mtf_session_file_next(file, &session, &err), MTF_SKIP);
        assert_non_null(strstr(err.msg, "invalid: "));
    }
    assert_int_equal(mtf_session_file_next(file, &session, &err), MTF_CLOSED);
    mtf_session_file_close(file);
    mtf_buf_fini(&bytes);
}

static void events_are_no_sessions(void **state)
{
    (void)state;
    char path[128];
    bool sessions = true;
    mtf_err err = {0};
    mtf_container_writer *writer;
    mtf_session_file *file;
    snprintf(path, sizeof path, "%s/events.avro", folder);
    assert_int_equal(mtf_container_writer_open(path, false, &writer, &err), MTF_OK);
    const mtf_event event = mtf_sample_request();
    assert_int_equal(mtf_container_writer_append(writer, 0, 0, 1, &event, &err), MTF_OK);
    assert_int_equal(mtf_container_writer_close(writer, &err), MTF_OK);
    assert_int_equal(mtf_session_file_is(path, &sessions, &err), MTF_OK);
    assert_false(sessions);
    assert_int_equal(mtf_session_file_open(path, (mtf_dims){0}, &file, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "events.avro: schema: "));
    write_container(path, "\"long\"", (mtf_span){(const uint8_t *)"\2", 1}, 1);
    assert_int_equal(mtf_session_file_is(path, &sessions, &err), MTF_OK);
    assert_false(sessions);
    assert_int_equal(mtf_session_file_is("absent.avro", &sessions, &err), MTF_INVALID);
}

/** Whatever is cut off, and whatever byte of the sessions is another: an error or other sessions,
 *  never more than there were, and the sanitizers see the rest. */
static void a_damaged_file_is_an_error_and_nothing_worse(void **state)
{
    (void)state;
    char path[128], cut[128];
    snprintf(path, sizeof path, "%s/sessions.avro", folder);
    snprintf(cut, sizeof cut, "%s/cut.avro", folder);
    mtf_buf bytes = sample_bytes(), whole = {0};
    mtf_err err = {0};
    write_container(path, mtf_schema_session, mtf_buf_span(&bytes), 2);
    assert_int_equal(mtf_file_read(path, 1 << 20, &whole, &err), MTF_OK);
    mtf_buf counts = {0}; /* of the block, before its records */
    put_long(&counts, 2);
    put_long(&counts, 2 * (int64_t)bytes.size);
    const size_t head = whole.size - 16 - 2 * bytes.size - counts.size;
    mtf_buf_fini(&counts);
    size_t errors = 0;
    for (size_t i = 0; i < 2 * (whole.size - head); i++) {
        const size_t at = head + i / 2;
        mtf_span damaged = mtf_buf_span(&whole);
        whole.data[at] ^= i % 2 ? 0x55 : 0;
        if (i % 2 == 0) damaged.size = at;
        assert_int_equal(mtf_file_replace(cut, damaged, &err), MTF_OK);
        mtf_session_file *file = open_file(cut, (mtf_dims){0});
        mtf_session session;
        mtf_status status = MTF_OK;
        int read = 0;
        while (status == MTF_OK || status == MTF_SKIP) {
            status = mtf_session_file_next(file, &session, &err);
            assert_true(status == MTF_OK || status == MTF_SKIP || status == MTF_CLOSED ||
                        status == MTF_CORRUPT);
            assert_true(++read <= 3);
        }
        errors += status == MTF_CORRUPT;
        mtf_session_file_close(file);
        whole.data[at] ^= i % 2 ? 0x55 : 0;
    }
    assert_true(errors > whole.size - head); /* every cut, and much of the rest */
    mtf_buf_fini(&bytes);
    mtf_buf_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_come_out_as_they_went_in),
        cmocka_unit_test(another_library_and_a_later_schema_are_read),
        cmocka_unit_test(a_session_of_other_dims_is_skipped),
        cmocka_unit_test(events_are_no_sessions),
        cmocka_unit_test(a_damaged_file_is_an_error_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
