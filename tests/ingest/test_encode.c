/** Goal: our records are byte for byte what another Avro library writes, and come back as they
 * were. Method: fixed records against fastavro's bytes (golden/, made by golden.py), random
 * sessions through encode, size and decode. */
#include "ingest/test.h"

#include "ingest/decoder.h"
#include "core/encode.h"
#include "ingest/samples.h"

static mtf_decoder *open_decoder(void)
{
    const mtf_decoder_config config = {.framing = MTF_FRAMING_SINGLE_OBJECT};
    mtf_decoder *decoder;
    assert_int_equal(mtf_decoder_open(&config, &decoder, NULL), MTF_OK);
    return decoder;
}

static void assert_bytes(const mtf_buf *ours, const char *golden)
{
    mtf_buf theirs = read_golden(golden);
    assert_int_equal(ours->size, theirs.size);
    assert_memory_equal(ours->data, theirs.data, theirs.size);
    mtf_buf_fini(&theirs);
}

static void events_are_fastavros_bytes(void **state)
{
    (void)state;
    const struct {
        mtf_event event;
        const char *golden;
    } rows[] = {{mtf_sample_request(), "request.bin"},
                {mtf_sample_feedback(), "feedback.bin"},
                {mtf_sample_end(), "end.bin"}};
    for (size_t i = 0; i < 3; i++) {
        mtf_buf bytes = {0};
        assert_int_equal(mtf_event_encode(&rows[i].event, &bytes, NULL), MTF_OK);
        assert_bytes(&bytes, rows[i].golden);
        mtf_buf_fini(&bytes);
    }
}

static void session_is_fastavros_bytes(void **state)
{
    (void)state;
    mtf_buf bytes = {0};
    const mtf_session session = mtf_sample_session();
    assert_int_equal(mtf_session_encode(&session, &bytes, NULL), MTF_OK);
    assert_bytes(&bytes, "session.bin");
    assert_int_equal(mtf_session_encoded_bytes(&session), bytes.size);
    mtf_buf_fini(&bytes);
}

static void decoding_gives_back_what_was_encoded(void **state)
{
    (void)state;
    const char *const names[] = {"request.bin", "feedback.bin", "end.bin", "session.bin"};
    mtf_decoder *decoder = open_decoder();
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    for (size_t i = 0; i < 4; i++) {
        mtf_buf bytes = read_golden(names[i]), again = {0};
        mtf_arena arena = {0};
        mtf_err err = {0};
        mtf_event event;
        mtf_session session;
        if (i < 3) {
            if (events.decode(events.self, mtf_buf_span(&bytes), &arena, &event, &err) != MTF_OK)
                fail_msg("%s", err.msg);
            assert_int_equal(mtf_event_encode(&event, &again, NULL), MTF_OK);
        } else {
            if (sessions.decode(sessions.self, mtf_buf_span(&bytes), &arena, &session, &err) !=
                MTF_OK) {
                fail_msg("%s", err.msg);
            }
            assert_int_equal(mtf_session_encode(&session, &again, NULL), MTF_OK);
        }
        assert_int_equal(again.size, bytes.size);
        assert_memory_equal(again.data, bytes.data, bytes.size);
        mtf_arena_fini(&arena);
        mtf_buf_fini(&bytes);
        mtf_buf_fini(&again);
    }
    mtf_decoder_close(decoder);
}

static void decoded_fields_are_the_samples(void **state)
{
    (void)state;
    mtf_decoder *decoder = open_decoder();
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_buf bytes = read_golden("request.bin");
    mtf_arena arena = {0};
    mtf_event event;
    const mtf_event want = mtf_sample_request();
    assert_int_equal(events.decode(events.self, mtf_buf_span(&bytes), &arena, &event, NULL),
                     MTF_OK);
    assert_true(mtf_str_equal(event.event_id, want.event_id) &&
                mtf_str_equal(event.user_id, want.user_id) &&
                mtf_str_equal(event.session_id, want.session_id));
    assert_int_equal(event.event_time_ms, want.event_time_ms);
    assert_int_equal(event.kind, MTF_EVENT_REQUEST);
    const mtf_request *got = &event.body.request, *request = &want.body.request;
    assert_int_equal(got->policy_version, 300);
    assert_int_equal(got->bucket, MTF_BUCKET_BASELINE);
    assert_int_equal(got->state.count, 4);
    assert_memory_equal(got->state.data, request->state.data, 16);
    assert_memory_equal(got->upper.data, request->upper.data, 8);
    assert_true(got->sample_weight == 2.5f);
    assert_int_equal(got->item_count, 2);
    assert_true(mtf_str_is(got->items[0].signals.data[1].name, "positive"));
    assert_true(got->items[0].signals.data[0].value == 12.5);
    assert_int_equal(got->items[1].signals.count, 0);
    mtf_arena_fini(&arena);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

/** A number of any varint length. */
static int64_t any_long(mtf_rng *rng)
{
    return (int64_t)(mtf_rng_next(rng) >> mtf_rng_below(rng, 63)) - 1;
}

static void encoded_size_is_foretold(void **state)
{
    (void)state;
    const uint64_t seed = 20240417;
    static const char text[20000];
    static const float numbers[3000];
    mtf_rng rng = mtf_rng_of(seed, 0);
    for (int round = 0; round < 500; round++) {
        mtf_session session = mtf_sample_session();
        mtf_step steps[70];
        session.step_count = (uint32_t)mtf_rng_below(&rng, 70);
        session.steps = steps;
        session.started_ms = any_long(&rng);
        session.user_id = (mtf_str){text, (uint32_t)mtf_rng_below(&rng, sizeof text)};
        session.parts = (uint32_t)(any_long(&rng) & INT32_MAX);
        for (uint32_t i = 0; i < session.step_count; i++) {
            steps[i] = mtf_sample_session().steps[i % 2];
            steps[i].time_ms = any_long(&rng);
            steps[i].request.policy_version = any_long(&rng);
            steps[i].request.state = (mtf_floats){numbers, (uint32_t)mtf_rng_below(&rng, 3000)};
        }
        mtf_buf bytes = {0};
        assert_int_equal(mtf_session_encode(&session, &bytes, NULL), MTF_OK);
        if (bytes.size != mtf_session_encoded_bytes(&session)) {
            fail_msg("seed %llu round %d: %zu bytes, %zu foretold", (unsigned long long)seed, round,
                     bytes.size, mtf_session_encoded_bytes(&session));
        }
        mtf_buf_fini(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_fastavros_bytes),
        cmocka_unit_test(session_is_fastavros_bytes),
        cmocka_unit_test(decoding_gives_back_what_was_encoded),
        cmocka_unit_test(decoded_fields_are_the_samples),
        cmocka_unit_test(encoded_size_is_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
