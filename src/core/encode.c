#include "core/encode.h"

#include "core/avro.h"
#include "core/fingerprints.h"

static void put_signals(mtf_signals signals, mtf_buf *out)
{
    if (signals.count) mtf_avro_put_long(out, signals.count);
    for (uint32_t i = 0; i < signals.count; i++) {
        mtf_avro_put_str(out, signals.data[i].name);
        mtf_avro_put_double(out, signals.data[i].value);
    }
    mtf_avro_put_long(out, 0);
}

static void put_request(const mtf_request *request, mtf_buf *out)
{
    mtf_avro_put_long(out, request->policy_version);
    mtf_avro_put_long(out, request->bucket);
    mtf_avro_put_floats(out, request->state);
    mtf_avro_put_floats(out, request->action);
    mtf_avro_put_floats(out, request->baseline_action);
    mtf_avro_put_floats(out, request->lower);
    mtf_avro_put_floats(out, request->upper);
    mtf_avro_put_float(out, request->sample_weight);
    if (request->item_count) mtf_avro_put_long(out, request->item_count);
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        mtf_avro_put_str(out, item->item_id);
        mtf_avro_put_floats(out, item->predictions);
        mtf_avro_put_floats(out, item->features);
        put_signals(item->signals, out);
    }
    mtf_avro_put_long(out, 0);
}

static void put_feedback(const mtf_feedback *feedback, mtf_buf *out)
{
    mtf_avro_put_str(out, feedback->request_id);
    mtf_avro_put_long(out, feedback->request_time_ms);
    mtf_avro_put_str(out, feedback->item_id);
    put_signals(feedback->signals, out);
}

void mtf_event_put(const mtf_event *event, mtf_buf *out)
{
    mtf_avro_put_str(out, event->event_id);
    mtf_avro_put_str(out, event->user_id);
    mtf_avro_put_long(out, event->event_time_ms);
    mtf_avro_put_long(out, event->session_id.data != NULL);
    if (event->session_id.data) mtf_avro_put_str(out, event->session_id);
    mtf_avro_put_long(out, event->kind);
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        put_request(&event->body.request, out);
        break;
    case MTF_EVENT_FEEDBACK:
        put_feedback(&event->body.feedback, out);
        break;
    case MTF_EVENT_SESSION_END:
        mtf_avro_put_str(out, event->body.end_reason);
        break;
    }
}

mtf_status mtf_event_encode(const mtf_event *event, mtf_buf *out, mtf_err *err)
{
    mtf_avro_put_frame(out, MTF_FINGERPRINT_EVENT);
    mtf_event_put(event, out);
    return out->failed ? mtf_fail(err, MTF_NOMEM, "encode: out of memory for an event") : MTF_OK;
}

mtf_status mtf_session_encode(const mtf_session *session, mtf_buf *out, mtf_err *err)
{
    mtf_avro_put_frame(out, MTF_FINGERPRINT_SESSION);
    mtf_buf_put(out, session->session_id, sizeof session->session_id);
    mtf_avro_put_str(out, session->user_id);
    mtf_avro_put_long(out, session->started_ms);
    mtf_avro_put_long(out, session->ended_ms);
    mtf_avro_put_long(out, session->end_reason);
    mtf_avro_put_boolean(out, session->truncated_head);
    mtf_avro_put_boolean(out, session->truncated_tail);
    mtf_avro_put_long(out, session->part);
    mtf_avro_put_long(out, session->parts);
    if (session->step_count) mtf_avro_put_long(out, session->step_count);
    for (uint32_t i = 0; i < session->step_count; i++) {
        mtf_avro_put_str(out, session->steps[i].event_id);
        mtf_avro_put_long(out, session->steps[i].time_ms);
        put_request(&session->steps[i].request, out);
    }
    mtf_avro_put_long(out, 0);
    return out->failed ? mtf_fail(err, MTF_NOMEM, "encode: out of memory for a session") : MTF_OK;
}

/** Bytes of a zigzag varint. */
static size_t long_bytes(int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    size_t bytes = 1;
    while (zigzag >>= 7) bytes++;
    return bytes;
}

static size_t text_bytes(mtf_str text)
{
    return long_bytes(text.size) + text.size;
}

/** An array's block count, if it has a block, and closing 0. */
static size_t count_bytes(uint32_t count)
{
    return (count ? long_bytes(count) : 0) + 1;
}

static size_t floats_bytes(mtf_floats values)
{
    return count_bytes(values.count) + 4 * (size_t)values.count;
}

size_t mtf_step_encoded_bytes(const mtf_step *step)
{
    const mtf_request *request = &step->request;
    size_t bytes = text_bytes(step->event_id) + long_bytes(step->time_ms) +
                   long_bytes(request->policy_version) + long_bytes(request->bucket) +
                   floats_bytes(request->state) + floats_bytes(request->action) +
                   floats_bytes(request->baseline_action) + floats_bytes(request->lower) +
                   floats_bytes(request->upper) + 4 + count_bytes(request->item_count);
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        bytes += text_bytes(item->item_id) + floats_bytes(item->predictions) +
                 floats_bytes(item->features) + count_bytes(item->signals.count);
        for (uint32_t k = 0; k < item->signals.count; k++)
            bytes += text_bytes(item->signals.data[k].name) + 8;
    }
    return bytes;
}

size_t mtf_session_encoded_bytes(const mtf_session *session)
{
    size_t bytes = MTF_AVRO_FRAME_BYTES + sizeof session->session_id +
                   text_bytes(session->user_id) + long_bytes(session->started_ms) +
                   long_bytes(session->ended_ms) + long_bytes(session->end_reason) + 2 +
                   long_bytes(session->part) + long_bytes(session->parts) +
                   count_bytes(session->step_count);
    for (uint32_t i = 0; i < session->step_count; i++)
        bytes += mtf_step_encoded_bytes(&session->steps[i]);
    return bytes;
}
