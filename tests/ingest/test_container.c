/** Goal: a replay file gives the stages what the topic gave, in both directions between us and
 * another Avro library, and a damaged file is an error and nothing worse. Method: files of fastavro
 * (golden/, an older schema, both codecs), files of our own (left for golden.py check), truncations
 * and 5,000 damages of files. */
#include "ingest/test.h"

#include "ingest/container.h"
#include "ingest/container_file.h"
#include "ingest/samples.h"

static mtf_decoder *open_decoder(void)
{
    mtf_decoder *decoder;
    assert_int_equal(mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, NULL), MTF_OK);
    return decoder;
}

static mtf_source open_source(const char *const *paths, size_t count, mtf_decoder *decoder)
{
    mtf_source source;
    mtf_err err = {0};
    if (mtf_container_source(paths, count, "events", decoder, &source, &err) != MTF_OK)
        fail_msg("%s", err.msg);
    return source;
}

static void expect(const mtf_source *source, mtf_input_kind kind, int32_t partition,
                   mtf_input *input)
{
    mtf_err err = {0};
    if (source->poll(source->self, 0, input, &err) != MTF_OK) fail_msg("%s", err.msg);
    assert_int_equal(input->kind, kind);
    assert_int_equal(input->partition, partition);
}

static void expect_message(const mtf_source *source, int32_t partition, int64_t offset,
                           mtf_input *input)
{
    expect(source, MTF_INPUT_MESSAGE, partition, input);
    assert_int_equal(input->message.partition, partition);
    assert_int_equal(input->message.offset, offset);
}

/** The rows of golden.py: partition i % 2, offset 10 + i / 2, append time 1700000010000 + i. */
static void expect_rows(const mtf_source *source, mtf_decoder *decoder)
{
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    const char *const ids[] = {"e-1", "e-2", "e-3"};
    mtf_input input;
    for (int32_t p = 0; p < 2; p++) {
        int64_t first, end;
        expect(source, MTF_INPUT_ASSIGN, p, &input);
        assert_int_equal(input.committed_offset, -1);
        assert_int_equal(source->range(source->self, p, &first, &end, NULL), MTF_OK);
        assert_int_equal(first, 10);
        assert_int_equal(end, 13);
    }
    assert_int_equal(source->poll(source->self, 0, &input, NULL),
                     MTF_AGAIN); /* nothing is started */
    for (int32_t p = 0; p < 2; p++)
        assert_int_equal(source->start(source->self, p, 0, NULL), MTF_OK);
    for (int i = 0; i < 6; i++) {
        mtf_arena arena = {0};
        mtf_event event;
        mtf_err err = {0};
        expect_message(source, i % 2, 10 + i / 2, &input);
        assert_int_equal(input.message.timestamp_ms, 1700000010000 + i);
        assert_true(mtf_str_is(input.message.topic, "events"));
        if (events.decode(events.self, input.message.value, &arena, &event, &err) != MTF_OK)
            fail_msg("%s", err.msg);
        assert_true(mtf_str_is(event.event_id, ids[i % 3]));
        mtf_arena_fini(&arena);
    }
    for (int32_t p = 0; p < 2; p++) expect(source, MTF_INPUT_END, p, &input);
    assert_int_equal(source->poll(source->self, 0, &input, NULL), MTF_CLOSED);
}

static void fastavros_files_are_read(void **state)
{
    (void)state;
    const char *const paths[] = {MTF_SOURCE_DIR "/tests/ingest/golden/replay-null.avro",
                                 MTF_SOURCE_DIR "/tests/ingest/golden/replay-deflate.avro"};
    for (int i = 0; i < 2; i++) {
        mtf_decoder *decoder = open_decoder();
        mtf_source source = open_source(&paths[i], 1, decoder);
        expect_rows(&source, decoder);
        source.close(source.self);
        mtf_decoder_close(decoder);
    }
}

static void write_rows(const char *path, bool deflate, int from, int rows)
{
    mtf_container_writer *writer;
    mtf_err err = {0};
    const mtf_event events[] = {mtf_sample_request(), mtf_sample_feedback(), mtf_sample_end()};
    if (mtf_container_writer_open(path, deflate, &writer, &err) != MTF_OK) fail_msg("%s", err.msg);
    for (int i = from; i < from + rows; i++) {
        const mtf_event *event = &events[i % 3];
        assert_int_equal(
            mtf_container_writer_append(writer, i % 2, 10 + i / 2, 1700000010000 + i, event, &err),
            MTF_OK);
    }
    if (mtf_container_writer_close(writer, &err) != MTF_OK) fail_msg("%s", err.msg);
}

static void our_files_are_read(void **state)
{
    (void)state;
    const char *const paths[] = {"written-null.avro", "written-deflate.avro"};
    for (int i = 0; i < 2; i++) {
        mtf_decoder *decoder = open_decoder();
        write_rows(paths[i], i == 1, 0, 6);
        mtf_source source = open_source(&paths[i], 1, decoder);
        expect_rows(&source, decoder);
        source.close(source.self);
        mtf_decoder_close(decoder);
    }
}

static void several_files_of_many_blocks_are_one_stream(void **state)
{
    (void)state;
    const char *const paths[] = {"first.avro", "second.avro"};
    const int half = 3000;
    mtf_decoder *decoder = open_decoder();
    mtf_input input;
    write_rows(paths[0], true, 0, half);
    write_rows(paths[1], false, half, half);
    mtf_source source = open_source(paths, 2, decoder);
    for (int32_t p = 0; p < 2; p++) {
        expect(&source, MTF_INPUT_ASSIGN, p, &input);
        assert_int_equal(source.start(source.self, p, 10, NULL), MTF_OK);
    }
    for (int i = 0; i < 2 * half; i++) expect_message(&source, i % 2, 10 + i / 2, &input);
    for (int32_t p = 0; p < 2; p++) expect(&source, MTF_INPUT_END, p, &input);
    source.close(source.self);

    const char *const twice[] = {paths[1], paths[0]};
    mtf_err err = {0};
    assert_int_equal(mtf_container_source(twice, 2, "events", decoder, &source, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "give the files in order"));
    mtf_decoder_close(decoder);
}

static void a_partition_starts_and_seeks_where_it_is_told(void **state)
{
    (void)state;
    const char *const path = "seek.avro";
    mtf_decoder *decoder = open_decoder();
    mtf_input input;
    write_rows(path, false, 0, 20); /* offsets 10..19 of both */
    mtf_source source = open_source(&path, 1, decoder);
    for (int32_t p = 0; p < 2; p++) expect(&source, MTF_INPUT_ASSIGN, p, &input);
    assert_int_equal(source.start(source.self, 0, 17, NULL), MTF_OK);
    assert_int_equal(source.poll(source.self, 0, &input, NULL), MTF_AGAIN); /* 1 is not started */
    assert_int_equal(source.start(source.self, 1, 18, NULL), MTF_OK);
    expect_message(&source, 0, 17, &input);
    expect_message(&source, 0, 18, &input);
    expect_message(&source, 1, 18, &input);
    assert_int_equal(source.start(source.self, 1, 16, NULL), MTF_OK); /* back, 0 goes on from 19 */
    assert_int_equal(source.pause(source.self, true, NULL), MTF_OK);
    assert_int_equal(source.poll(source.self, 0, &input, NULL), MTF_AGAIN);
    assert_int_equal(source.pause(source.self, false, NULL), MTF_OK);
    for (int64_t offset = 16; offset < 19; offset++) expect_message(&source, 1, offset, &input);
    expect_message(&source, 0, 19, &input);
    expect_message(&source, 1, 19, &input);
    for (int32_t p = 0; p < 2; p++) expect(&source, MTF_INPUT_END, p, &input);
    assert_int_equal(source.poll(source.self, 0, &input, NULL), MTF_CLOSED);
    assert_int_equal(source.start(source.self, 0, 19, NULL), MTF_OK); /* also after the end */
    expect_message(&source, 0, 19, &input);
    expect(&source, MTF_INPUT_END, 0, &input);
    assert_int_equal(source.poll(source.self, 0, &input, NULL), MTF_CLOSED);
    assert_int_equal(source.start(source.self, 2, 0, NULL), MTF_INVALID);
    source.close(source.self);
    mtf_decoder_close(decoder);
}

static void what_is_no_replay_file_is_named(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder();
    mtf_source source;
    mtf_err err = {0};
    const char *path = "missing.avro";
    assert_int_equal(mtf_container_source(&path, 1, "events", decoder, &source, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, path));
    path = MTF_SOURCE_DIR "/CMakeLists.txt";
    assert_int_equal(mtf_container_source(&path, 1, "events", decoder, &source, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "no Avro container file"));
    mtf_decoder_close(decoder);
}

/** Opens the bytes as a file and reads it to its end or first error. */
static mtf_status read_all(mtf_span bytes, mtf_decoder *decoder)
{
    const char *const path = "damaged.avro";
    mtf_source source;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(bytes.data, 1, bytes.size, file);
    fclose(file);
    const mtf_status status = mtf_container_source(&path, 1, "events", decoder, &source, NULL);
    if (status == MTF_OK) source.close(source.self);
    return status;
}

static void damaged_files_are_corrupt_and_nothing_worse(void **state)
{
    (void)state;
    const uint64_t seed = 90125;
    const char *const names[] = {"replay-null.avro", "replay-deflate.avro"};
    mtf_rng rng = mtf_rng_of(seed, 0);
    mtf_decoder *decoder = open_decoder();
    for (int i = 0; i < 2; i++) {
        mtf_buf whole = read_golden(names[i]), bytes = {0};
        int refused = 0;
        for (size_t size = 0; size < whole.size; size += 7) {
            const mtf_status status = read_all((mtf_span){whole.data, size}, decoder);
            assert_true(status == MTF_CORRUPT || status == MTF_OK); /* OK: cut between blocks */
            refused += status == MTF_CORRUPT;
        }
        assert_true(refused > (int)whole.size / 7 - 20);
        for (int k = 0; k < 2500; k++) {
            mtf_buf_clear(&bytes);
            mtf_buf_put(&bytes, whole.data, whole.size);
            for (uint64_t n = 1 + mtf_rng_below(&rng, 3); n > 0; n--) {
                bytes.data[mtf_rng_below(&rng, bytes.size)] = (uint8_t)mtf_rng_next(&rng);
            }
            const mtf_status status = read_all(mtf_buf_span(&bytes), decoder);
            if (status != MTF_OK && status != MTF_CORRUPT && status != MTF_INVALID) {
                fail_msg("seed %llu damage %d: status %d", (unsigned long long)seed, k,
                         (int)status);
            }
        }
        mtf_buf_fini(&whole);
        mtf_buf_fini(&bytes);
    }
    mtf_decoder_close(decoder);
}

static void a_block_without_the_files_marker_is_corrupt(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder();
    mtf_buf bytes = read_golden("replay-null.avro");
    assert_int_equal(read_all(mtf_buf_span(&bytes), decoder), MTF_OK);
    bytes.data[bytes.size - 1] ^= 1; /* of the last block's sync marker */
    assert_int_equal(read_all(mtf_buf_span(&bytes), decoder), MTF_CORRUPT);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fastavros_files_are_read),
        cmocka_unit_test(our_files_are_read),
        cmocka_unit_test(several_files_of_many_blocks_are_one_stream),
        cmocka_unit_test(a_partition_starts_and_seeks_where_it_is_told),
        cmocka_unit_test(what_is_no_replay_file_is_named),
        cmocka_unit_test(a_block_without_the_files_marker_is_corrupt),
        cmocka_unit_test(damaged_files_are_corrupt_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
