/** Goal: the event builder's records are byte for byte those of schemas/ as fastavro writes them
 *  (tests/ingest/golden, made by golden.py), decode with the stages' decoder, and what the stages
 *  would set aside is refused. Method: fixed records, random ones and back, calls out of turn. */
#include "client/face.h"

#include "core/rng.h"
#include "ingest/decoder.h"
#include "ingest/samples.h"
#include "ingest/test.h"

/* The sample event by the builder's calls. */
static void replay(mtf_event_builder *builder, const mtf_event *event)
{
    char id[64], user[64], session[64];
    snprintf(id, sizeof id, "%.*s", (int)event->event_id.size, event->event_id.data);
    snprintf(user, sizeof user, "%.*s", (int)event->user_id.size, event->user_id.data);
    snprintf(session, sizeof session, "%.*s", (int)event->session_id.size,
             event->session_id.data ? event->session_id.data : "");
    mtf_event_begin(builder, id, user, event->event_time_ms,
                    event->session_id.data ? session : NULL);
    const mtf_request *request = &event->body.request;
    const mtf_feedback *feedback = &event->body.feedback;
    char text[64], other[64];
    mtf_signals signals = {0};
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        mtf_event_request(builder, request->policy_version, request->bucket, request->state.data,
                          request->state.count, request->action.data, request->baseline_action.data,
                          request->lower.data, request->upper.data, request->action.count,
                          request->sample_weight);
        break;
    case MTF_EVENT_FEEDBACK:
        snprintf(text, sizeof text, "%.*s", (int)feedback->request_id.size,
                 feedback->request_id.data);
        snprintf(other, sizeof other, "%.*s", (int)feedback->item_id.size, feedback->item_id.data);
        mtf_event_feedback(builder, text, feedback->request_time_ms, other);
        signals = feedback->signals;
        break;
    case MTF_EVENT_SESSION_END:
        snprintf(text, sizeof text, "%.*s", (int)event->body.end_reason.size,
                 event->body.end_reason.data);
        mtf_event_session_end(builder, text);
        break;
    }
    const uint32_t items = event->kind == MTF_EVENT_REQUEST ? request->item_count : 0;
    for (uint32_t i = 0; i <= items; i++) {
        if (i < items) {
            const mtf_item *item = &request->items[i];
            snprintf(text, sizeof text, "%.*s", (int)item->item_id.size, item->item_id.data);
            mtf_event_item(builder, text, item->predictions.data, item->predictions.count,
                           item->features.data, item->features.count);
            signals = item->signals;
        }
        for (uint32_t k = 0; k < signals.count; k++) {
            snprintf(other, sizeof other, "%.*s", (int)signals.data[k].name.size,
                     signals.data[k].name.data);
            mtf_event_signal(builder, other, signals.data[k].value);
        }
        signals = (mtf_signals){0};
    }
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
    mtf_event_builder *builder = mtf_event_builder_new();
    for (size_t i = 0; i < 6; i++) { /* each twice: nothing of the one before is left */
        const void *bytes;
        size_t size;
        mtf_err err = {0};
        mtf_buf golden = read_golden(rows[i % 3].golden);
        replay(builder, &rows[i % 3].event);
        mtf_assert_ok(mtf_event_finish(builder, &bytes, &size, &err), &err);
        assert_int_equal(size, golden.size);
        assert_memory_equal(bytes, golden.data, size);
        mtf_buf_fini(&golden);
    }
    mtf_event_builder_free(builder);
}

static void a_long_list_decodes_as_it_was_built(void **state)
{
    (void)state;
    const mtf_decoder_config config = {.framing = MTF_FRAMING_SINGLE_OBJECT};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(31), 0);
    mtf_decoder *decoder;
    mtf_arena arena = {0};
    mtf_event event;
    mtf_err err = {0};
    mtf_assert_ok(mtf_decoder_open(&config, &decoder, &err), &err);
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_event_builder *builder = mtf_event_builder_new();
    for (uint32_t items = 0; items < 400; items += 57) {
        const void *bytes;
        size_t size;
        const float features[2] = {0.5F, 1}, action[1] = {0.1F}, baseline[1] = {0};
        uint64_t signal_count = 0;
        mtf_event_begin(builder, "e", "u", 5, NULL);
        mtf_event_request(builder, 7, MTF_BUCKET_CONTROL, features, 2, action, baseline, NULL, NULL,
                          1, 1);
        mtf_rng again = rng;
        for (uint32_t i = 0; i < items; i++) {
            char id[16];
            snprintf(id, sizeof id, "i%u", i);
            mtf_event_item(builder, id, features, 2, NULL, 0);
            for (uint64_t k = mtf_rng_below(&rng, 4); k > 0; k--, signal_count++)
                mtf_event_signal(builder, "watch", i + 0.25 * (double)k);
        }
        mtf_assert_ok(mtf_event_finish(builder, &bytes, &size, &err), &err);
        mtf_assert_ok(events.decode(events.self, (mtf_span){bytes, size}, &arena, &event, &err),
                      &err);
        assert_int_equal(event.body.request.item_count, items);
        assert_int_equal(event.body.request.lower.count, 0);
        for (uint32_t i = 0; i < items; i++) {
            const mtf_item *item = &event.body.request.items[i];
            char id[16];
            snprintf(id, sizeof id, "i%u", i);
            assert_true(mtf_str_is(item->item_id, id));
            assert_int_equal(item->signals.count, mtf_rng_below(&again, 4));
            for (uint32_t k = 0; k < item->signals.count; k++)
                assert_true(item->signals.data[k].value == i + 0.25 * (item->signals.count - k));
            signal_count -= item->signals.count;
        }
        assert_int_equal(signal_count, 0);
        mtf_arena_reset(&arena);
    }
    mtf_event_builder_free(builder);
    mtf_arena_fini(&arena);
    mtf_decoder_close(decoder);
}

static void assert_refused(mtf_event_builder *builder, const char *words)
{
    const void *bytes;
    size_t size;
    mtf_err err = {0};
    assert_int_equal(mtf_event_finish(builder, &bytes, &size, &err), MTF_INVALID);
    if (!strstr(err.msg, words)) fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    assert_int_equal(mtf_event_finish(builder, &bytes, &size, NULL), MTF_INVALID);
}

static void what_sessionize_would_set_aside_is_refused(void **state)
{
    (void)state;
    const float one[1] = {0.5F}, nan[1] = {NAN}, far[1] = {1.5F}, box[1] = {0.1F};
    mtf_event_builder *b = mtf_event_builder_new();
    assert_refused(b, "empty");
    mtf_event_request(b, 1, MTF_BUCKET_EXPLORE, one, 1, one, one, NULL, NULL, 1, 1);
    assert_refused(b, "mtf_event_begin");
    mtf_event_begin(b, "", "u", 5, NULL);
    mtf_event_session_end(b, "");
    assert_refused(b, "event_id");
    mtf_event_begin(b, NULL, "u", 5, NULL);
    mtf_event_session_end(b, "");
    assert_refused(b, "event_id is NULL");
    mtf_event_begin(b, "e", "u", 0, NULL);
    mtf_event_session_end(b, "");
    assert_refused(b, "event_time_ms");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_item(b, "i", one, 1, NULL, 0);
    assert_refused(b, "belongs to a request");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_EXPLORE, one, 1, one, one, NULL, NULL, 1, 1);
    mtf_event_signal(b, "watch", 1);
    assert_refused(b, "a signal belongs to");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_session_end(b, "");
    mtf_event_feedback(b, "r", 4, "i");
    assert_refused(b, "one of them, once");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_feedback(b, "r", 4, "i");
    mtf_event_signal(b, "watch", INFINITY);
    assert_refused(b, "signals");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, (mtf_bucket)7, one, 1, one, one, NULL, NULL, 1, 1);
    assert_refused(b, "bucket");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_BASELINE, nan, 1, one, one, NULL, NULL, 1, 1);
    assert_refused(b, "state");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_BASELINE, one, 1, far, one, NULL, NULL, 1, 1);
    assert_refused(b, "action");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_BASELINE, one, 1, one, one, NULL, box, 1, 1);
    assert_refused(b, "lower, upper");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_BASELINE, NULL, 1, one, one, NULL, NULL, 1, 1);
    assert_refused(b, "state: a request has one");
    mtf_event_begin(b, "e", "u", 5, NULL);
    mtf_event_request(b, 1, MTF_BUCKET_BASELINE, one, 1, one, NULL, NULL, NULL, 1, 1);
    assert_refused(b, "baseline_action: a request has both");
    mtf_event_begin(b, "e", "u", 5, NULL); /* and none of that sticks */
    mtf_event_session_end(b, "left");
    const void *bytes;
    size_t size;
    mtf_assert_ok(mtf_event_finish(b, &bytes, &size, NULL), NULL);
    mtf_event_builder_free(b);
    mtf_event_builder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_fastavros_bytes),
        cmocka_unit_test(a_long_list_decodes_as_it_was_built),
        cmocka_unit_test(what_sessionize_would_set_aside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
