/** Goal: a decoder finds the writer's schema by each framing, and lets nothing through that a stage
 *  could not trust. Method: golden records under the three framings and broken frames; a table of
 *  records that are well formed and wrong. */
#include "ingest/test.h"

#include "ingest/decoder.h"
#include "core/encode.h"
#include "ingest/samples.h"
#include "ingest/schemas.h"

#include <math.h>

static mtf_decoder *open_decoder(const mtf_decoder_config *config)
{
    mtf_decoder *decoder;
    mtf_err err = {0};
    if (mtf_decoder_open(config, &decoder, &err) != MTF_OK) fail_msg("%s", err.msg);
    return decoder;
}

static mtf_status decode_event(mtf_decoder *decoder, const mtf_buf *bytes, mtf_err *err)
{
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_arena arena = {0};
    mtf_event event;
    const mtf_status status = events.decode(events.self, mtf_buf_span(bytes), &arena, &event, err);
    if (status == MTF_OK) assert_true(mtf_str_is(event.event_id, "e-1"));
    mtf_arena_fini(&arena);
    return status;
}

/** The sample request behind another head. */
static mtf_buf reframed(const void *head, size_t size)
{
    mtf_buf golden = read_golden("request.bin"), bytes = {0};
    mtf_buf_put(&bytes, head, size);
    mtf_buf_put(&bytes, golden.data + MTF_AVRO_FRAME_BYTES, golden.size - MTF_AVRO_FRAME_BYTES);
    mtf_buf_fini(&golden);
    return bytes;
}

static uint64_t schema_of(mtf_decoder *decoder, const mtf_buf *bytes)
{
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    return events.schema(events.self, mtf_buf_span(bytes));
}

/** words: of the refusal, NULL for none. */
static void assert_needs(mtf_decoder *decoder, uint64_t schema, const char *words)
{
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_err err = {0};
    assert_int_equal(events.need(events.self, schema, &err), words ? MTF_INVALID : MTF_OK);
    if (words && !strstr(err.msg, words)) fail_msg("\"%s\" lacks \"%s\"", err.msg, words);
}

static void assert_skips(mtf_decoder *decoder, const mtf_buf *bytes, const char *reason)
{
    mtf_err err = {0};
    assert_int_equal(decode_event(decoder, bytes, &err), MTF_SKIP);
    if (strncmp(err.msg, reason, strlen(reason)) != 0)
        fail_msg("\"%s\" is not %s", err.msg, reason);
}

static void write_schema(const char *folder, const char *name, const char *text)
{
    char path[300];
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mtf_file_replace(path, (mtf_span){(const uint8_t *)text, strlen(text)}, &err) != MTF_OK)
        fail_msg("%s", err.msg);
}

static void single_object_names_the_schema_by_fingerprint(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    mtf_buf bytes = read_golden("request.bin");
    assert_int_equal(decode_event(decoder, &bytes, NULL), MTF_OK);
    bytes.data[5] ^= 1;
    assert_skips(decoder, &bytes, "unknown_schema: fingerprint ");
    bytes.data[0] = 0;
    assert_skips(decoder, &bytes, "decode: ");
    bytes.size = 4;
    assert_skips(decoder, &bytes, "decode: ");
    assert_skips(decoder, &(mtf_buf){0}, "decode: no value");
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

static void a_record_of_another_kind_is_a_schema_mismatch(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    mtf_buf bytes = read_golden("session.bin");
    assert_skips(decoder, &bytes, "schema: ");
    assert_skips(decoder, &bytes, "schema: "); /* from the kept refusal */
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

static void bytes_after_the_record_are_refused(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    mtf_buf bytes = read_golden("request.bin");
    mtf_buf_put_u8(&bytes, 0);
    assert_skips(decoder, &bytes, "decode: 1 bytes after");
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

static void confluent_names_the_schema_by_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/mtf-schemas-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_schema(folder, "7001.avsc", mtf_schema_event);
    write_schema(folder, "readme.txt", "no schema");
    mtf_decoder *decoder =
        open_decoder(&(mtf_decoder_config){.directory = folder, .framing = MTF_FRAMING_CONFLUENT});
    mtf_buf bytes = reframed("\x00\x00\x00\x1b\x59", 5);
    assert_int_equal(decode_event(decoder, &bytes, NULL), MTF_OK);
    bytes.data[4] = 0x5a;
    assert_skips(decoder, &bytes, "unknown_schema: id 7002");
    bytes.data[0] = 1;
    assert_skips(decoder, &bytes, "decode: ");
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);

    write_schema(folder, "broken.avsc", "{");
    mtf_decoder_config config = {.directory = folder};
    mtf_err err = {0};
    assert_int_equal(mtf_decoder_open(&config, &decoder, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "broken.avsc"));
    assert_int_equal(mtf_folder_remove(folder, &err), MTF_OK);
    assert_int_equal(mtf_decoder_open(&config, &decoder, &err), MTF_INVALID);
}

static void raw_takes_the_pinned_schema(void **state)
{
    (void)state;
    const char *path = MTF_SOURCE_DIR "/schemas/exploration-event.avsc";
    mtf_decoder *decoder =
        open_decoder(&(mtf_decoder_config){.framing = MTF_FRAMING_RAW, .pinned = path});
    mtf_buf bytes = reframed("", 0);
    assert_int_equal(decode_event(decoder, &bytes, NULL), MTF_OK);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
    mtf_err err = {0};
    assert_int_equal(
        mtf_decoder_open(&(mtf_decoder_config){.framing = MTF_FRAMING_RAW}, &decoder, &err),
        MTF_INVALID);
    assert_non_null(strstr(err.msg, "schema.pinned"));
}

static void an_added_schema_is_found(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"Mine\",\"fields\":[{\"name\":\"event_id\",\"type\":"
        "\"string\"},"
        "{\"name\":\"user_id\",\"type\":\"string\"},{\"name\":\"event_time_ms\",\"type\":\"int\"},"
        "{\"name\":\"body\",\"type\":{\"type\":\"record\",\"name\":\"SessionEnd\",\"fields\":[]}}]"
        "}";
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    uint64_t fingerprint, again;
    assert_int_equal(mtf_decoder_add(decoder, text, sizeof text - 1, &fingerprint, NULL), MTF_OK);
    assert_int_equal(mtf_decoder_add(decoder, text, sizeof text - 1, &again, NULL), MTF_OK);
    assert_true(fingerprint == again);
    mtf_buf bytes = {0};
    mtf_avro_put_frame(&bytes, fingerprint);
    mtf_buf_put(&bytes,
                "\x06"
                "e-1\x02u\x02",
                7);
    assert_int_equal(decode_event(decoder, &bytes, NULL), MTF_OK);
    assert_true(schema_of(decoder, &bytes) == fingerprint);
    assert_needs(decoder, fingerprint, NULL);
    assert_needs(decoder, fingerprint ^ 1, "is gone from schema.directory or changed");
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

/** The name changes with whatever changes what a record says, and is needed by that alone. */
static void schemas_have_names(void **state)
{
    (void)state;
    char folder[] = "/tmp/mtf-schemas-XXXXXX", path[300];
    assert_non_null(mkdtemp(folder));
    mtf_err err = {0};
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    mtf_buf bytes = read_golden("request.bin");
    assert_int_equal(schema_of(decoder, &bytes), 0); /* built in */
    assert_int_equal(schema_of(decoder, &(mtf_buf){0}), 0);
    mtf_decoder_close(decoder);
    mtf_buf_fini(&bytes);

    const mtf_framing framings[] = {MTF_FRAMING_CONFLUENT, MTF_FRAMING_RAW};
    const char *const gone[] = {"7001.avsc is gone from schema.directory or changed",
                                "schema.pinned was of fingerprint "};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/7001.avsc", folder);
        const mtf_decoder_config config = {
            .directory = folder, .framing = framings[i], .pinned = path};
        write_schema(folder, "7001.avsc", mtf_schema_event);
        write_schema(folder, "7002.avsc", mtf_schema_event);
        bytes = i ? reframed("", 0) : reframed("\x00\x00\x00\x1b\x59", 5);
        decoder = open_decoder(&config);
        const uint64_t name = schema_of(decoder, &bytes);
        assert_true(name != 0);
        assert_needs(decoder, name, NULL);
        assert_needs(decoder, name ^ 1, gone[i]);
        if (i == 0) bytes.data[4] = 0x5a;
        assert_int_equal(schema_of(decoder, &bytes) == name, i); /* another id, another name */
        mtf_decoder_close(decoder);
        write_schema(folder, "7001.avsc", mtf_schema_session);
        decoder = open_decoder(&config);
        assert_needs(decoder, name, gone[i]);
        if (i == 0) bytes.data[4] = 0x59;
        assert_true(schema_of(decoder, &bytes) != name);
        mtf_decoder_close(decoder);
        mtf_buf_fini(&bytes);
    }
    assert_int_equal(mtf_folder_remove(folder, &err), MTF_OK);
}

static void framing_names_are_checked(void **state)
{
    (void)state;
    mtf_framing framing;
    mtf_err err = {0};
    assert_int_equal(mtf_framing_parse("confluent", &framing, &err), MTF_OK);
    assert_int_equal(framing, MTF_FRAMING_CONFLUENT);
    assert_int_equal(mtf_framing_parse("auto", &framing, &err), MTF_INVALID);
    assert_string_equal(err.msg,
                        "schema.framing: \"auto\" is none of single-object, confluent, raw");
}

typedef enum change {
    NO_EVENT_ID,
    NO_USER,
    NO_TIME,
    NAN_STATE,
    LONG_ACTION,
    BIG_ACTION,
    NAN_ACTION,
    BIG_BASELINE,
    NO_UPPER,
    SHORT_BOX,
    INFINITE_LOWER,
    INSIDE_OUT,
    ABOVE_BOX,
    BELOW_BOX,
    NO_WEIGHT,
    INFINITE_WEIGHT,
    NO_ITEM_ID,
    NAN_PREDICTION,
    NAN_FEATURE,
    NAN_SIGNAL,
    NAMELESS_SIGNAL,
    CHANGES
} change;

/** The sample request, broken in one place; floats and items point into the buffers given. */
static mtf_event broken(change how, float floats[4], mtf_item item[1], mtf_signal signal[1])
{
    mtf_event event = mtf_sample_request();
    mtf_request *request = &event.body.request;
    for (int i = 0; i < 4; i++) floats[i] = 0;
    item[0] = request->items[0];
    signal[0] = item[0].signals.data[0];
    item[0].signals = (mtf_signals){signal, 1};
    request->items = item;
    request->item_count = 1;
    // clang-format off
    switch (how) {
    case NO_EVENT_ID: event.event_id.size = 0; break;
    case NO_USER: event.user_id.size = 0; break;
    case NO_TIME: event.event_time_ms = 0; break;
    case NAN_STATE: floats[3] = NAN; request->state = (mtf_floats){floats, 4}; break;
    case LONG_ACTION: request->action = (mtf_floats){floats, 3}; break;
    case BIG_ACTION: floats[1] = 1.00001f; request->action = (mtf_floats){floats, 2}; break;
    case NAN_ACTION: floats[1] = NAN; request->action = (mtf_floats){floats, 2}; break;
    case BIG_BASELINE: floats[0] = -1.5f; request->baseline_action = (mtf_floats){floats, 2}; break;
    case NO_UPPER: request->upper.count = 0; break;
    case SHORT_BOX: request->lower.count = request->upper.count = 1; break;
    case INFINITE_LOWER: floats[0] = -INFINITY; request->lower = (mtf_floats){floats, 2}; break;
    case INSIDE_OUT: floats[0] = 0.5f; request->lower = (mtf_floats){floats, 2}; break;
    case ABOVE_BOX: request->bucket = MTF_BUCKET_EXPLORE; floats[0] = 0.21f; floats[1] = -0.9f; request->action = (mtf_floats){floats, 2}; break;
    case BELOW_BOX: request->bucket = MTF_BUCKET_EXPLORE; floats[0] = -0.11f; floats[1] = -0.9f; request->action = (mtf_floats){floats, 2}; break;
    case NO_WEIGHT: request->sample_weight = 0; break;
    case INFINITE_WEIGHT: request->sample_weight = INFINITY; break;
    case NO_ITEM_ID: item[0].item_id.size = 0; break;
    case NAN_PREDICTION: floats[0] = NAN; item[0].predictions = (mtf_floats){floats, 3}; break;
    case NAN_FEATURE: floats[0] = NAN; item[0].features = (mtf_floats){floats, 1}; break;
    case NAN_SIGNAL: signal[0].value = (double)NAN; break;
    case NAMELESS_SIGNAL: signal[0].name.size = 0; break;
    case CHANGES: break;
    }
    // clang-format on
    return event;
}

static void wrong_requests_are_invalid(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){.dims = {.state = 4, .action = 2}});
    for (int how = 0; how <= CHANGES; how++) {
        float floats[4];
        mtf_item item[1];
        mtf_signal signal[1];
        mtf_buf bytes = {0};
        mtf_err err = {0};
        const mtf_event event = broken((change)how, floats, item, signal);
        assert_int_equal(mtf_event_encode(&event, &bytes, NULL), MTF_OK);
        if (how == CHANGES) {
            assert_int_equal(decode_event(decoder, &bytes, &err), MTF_OK);
        } else if (decode_event(decoder, &bytes, &err) != MTF_SKIP ||
                   memcmp(err.msg, "invalid: ", 9) != 0) {
            fail_msg("change %d: \"%s\"", how, err.msg);
        }
        mtf_buf_fini(&bytes);
    }
    mtf_decoder_close(decoder);
}

static void an_explored_action_may_round_past_its_box(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    const float edge[] = {0.05f + 0.15f, -1.0f}, beyond[] = {0.21f, -0.9f};
    for (int bucket = MTF_BUCKET_EXPLORE; bucket <= MTF_BUCKET_CONTROL; bucket++) {
        mtf_event event = mtf_sample_request(); /* its box is -0.15 to 0.15, 0 to 0.15 */
        event.body.request.bucket = (mtf_bucket)bucket;
        for (int i = 0; i < 2; i++) {
            mtf_buf bytes = {0};
            mtf_err err = {0};
            event.body.request.action = (mtf_floats){i ? beyond : edge, 2};
            assert_int_equal(mtf_event_encode(&event, &bytes, NULL), MTF_OK);
            const bool good = i == 0 || bucket != MTF_BUCKET_EXPLORE;
            assert_int_equal(decode_event(decoder, &bytes, &err), good ? MTF_OK : MTF_SKIP);
            if (!good) assert_string_equal(err.msg, "invalid: action: explored outside its box");
            mtf_buf_fini(&bytes);
        }
    }
    mtf_decoder_close(decoder);
}

static void dimensions_are_held_to_the_policys(void **state)
{
    (void)state;
    const mtf_dims wrong[] = {{3, 2, false}, {4, 3, false}};
    mtf_buf bytes = read_golden("request.bin");
    for (int i = 0; i < 2; i++) {
        mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){.dims = wrong[i]});
        assert_skips(decoder, &bytes,
                     i ? "invalid: action: 2 floats, 3 wanted"
                       : "invalid: state: 4 floats, 3 wanted");
        mtf_decoder_close(decoder);
    }
    mtf_buf_fini(&bytes);
}

static void an_action_may_be_given_for_each_item_where_policies_do(void **state)
{
    (void)state;
    mtf_event event = mtf_sample_request();
    mtf_request *request = &event.body.request;
    float zeros[64] = {0};
    mtf_floats *const sides[] = {&request->action, &request->baseline_action, &request->lower,
                                 &request->upper};
    const uint32_t each = 2 * request->item_count;
    assert_true(request->item_count > 0 && each + 1 < 64);
    for (uint32_t count = each; count <= each + 1; count++) {
        mtf_buf bytes = {0};
        for (int i = 0; i < 4; i++) *sides[i] = (mtf_floats){zeros, count};
        assert_int_equal(mtf_event_encode(&event, &bytes, NULL), MTF_OK);
        for (int per_item = 0; per_item < 2; per_item++) {
            const mtf_dims dims = {.action = 2, .per_item = per_item};
            mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){.dims = dims});
            const bool good = per_item ? count == each : count == 2;
            assert_int_equal(decode_event(decoder, &bytes, NULL), good ? MTF_OK : MTF_SKIP);
            mtf_decoder_close(decoder);
        }
        mtf_buf_fini(&bytes);
    }
}

static void actions_may_round_past_one(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    const float edge[] = {1.0000005f, -1.0000005f};
    mtf_event event = mtf_sample_request();
    event.body.request.action = (mtf_floats){edge, 2};
    mtf_buf bytes = {0};
    assert_int_equal(mtf_event_encode(&event, &bytes, NULL), MTF_OK);
    assert_int_equal(decode_event(decoder, &bytes, NULL), MTF_OK);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

static void wrong_sessions_are_invalid(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder(&(mtf_decoder_config){0});
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    for (int how = 0; how < 6; how++) {
        mtf_session session = mtf_sample_session();
        mtf_buf bytes = {0};
        mtf_arena arena = {0};
        mtf_err err = {0};
        if (how == 0) session.user_id.size = 0;
        if (how == 1) session.ended_ms = session.started_ms - 1;
        if (how == 2) session.part = session.parts;
        if (how == 3) session.steps[1].event_id.size = 0;
        if (how == 4) session.steps[1].request.sample_weight = -1;
        assert_int_equal(mtf_session_encode(&session, &bytes, NULL), MTF_OK);
        const mtf_status status =
            sessions.decode(sessions.self, mtf_buf_span(&bytes), &arena, &session, &err);
        assert_int_equal(status, how == 5 ? MTF_OK : MTF_SKIP);
        if (how < 5) assert_memory_equal(err.msg, "invalid: ", 9);
        mtf_arena_fini(&arena);
        mtf_buf_fini(&bytes);
    }
    mtf_decoder_close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_object_names_the_schema_by_fingerprint),
        cmocka_unit_test(a_record_of_another_kind_is_a_schema_mismatch),
        cmocka_unit_test(bytes_after_the_record_are_refused),
        cmocka_unit_test(confluent_names_the_schema_by_file),
        cmocka_unit_test(raw_takes_the_pinned_schema),
        cmocka_unit_test(an_added_schema_is_found),
        cmocka_unit_test(schemas_have_names),
        cmocka_unit_test(framing_names_are_checked),
        cmocka_unit_test(wrong_requests_are_invalid),
        cmocka_unit_test(an_explored_action_may_round_past_its_box),
        cmocka_unit_test(dimensions_are_held_to_the_policys),
        cmocka_unit_test(an_action_may_be_given_for_each_item_where_policies_do),
        cmocka_unit_test(actions_may_round_past_one),
        cmocka_unit_test(wrong_sessions_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
