#include "cli/session_json.h"

#include "cli/json_text.h"

#include <math.h>

static const char *const end_reasons[] = {"end_event", "gap", "cap", "id_change"};
static const char *const buckets[] = {"explore", "baseline", "control"};

static void put_number(mtf_buf *out, double value)
{
    if (isfinite(value)) {
        mtf_buf_printf(out, "%.9g", value);
    } else {
        mtf_buf_printf(out, "null");
    }
}

static void put_floats(mtf_buf *out, const char *name, mtf_floats floats)
{
    mtf_buf_printf(out, ",\"%s\":[", name);
    for (uint32_t i = 0; i < floats.count; i++) {
        if (i) mtf_buf_put_u8(out, ',');
        put_number(out, (double)floats.data[i]);
    }
    mtf_buf_put_u8(out, ']');
}

static void put_item(mtf_buf *out, const mtf_item *item)
{
    mtf_buf_printf(out, "{\"item_id\":");
    json_text_put(out, item->item_id);
    put_floats(out, "predictions", item->predictions);
    put_floats(out, "features", item->features);
    mtf_buf_printf(out, ",\"signals\":{");
    for (uint32_t i = 0; i < item->signals.count; i++) {
        if (i) mtf_buf_put_u8(out, ',');
        json_text_put(out, item->signals.data[i].name);
        mtf_buf_put_u8(out, ':');
        put_number(out, item->signals.data[i].value);
    }
    mtf_buf_printf(out, "}}");
}

static void put_step(mtf_buf *out, const mtf_step *step)
{
    const mtf_request *request = &step->request;
    mtf_buf_printf(out, "{\"event_id\":");
    json_text_put(out, step->event_id);
    mtf_buf_printf(
        out, ",\"time_ms\":%lld,\"policy_version\":%lld,\"bucket\":\"%s\",\"sample_weight\":",
        (long long)step->time_ms, (long long)request->policy_version, buckets[request->bucket]);
    put_number(out, (double)request->sample_weight);
    put_floats(out, "state", request->state);
    put_floats(out, "action", request->action);
    put_floats(out, "baseline_action", request->baseline_action);
    put_floats(out, "lower", request->lower);
    put_floats(out, "upper", request->upper);
    mtf_buf_printf(out, ",\"items\":[");
    for (uint32_t i = 0; i < request->item_count; i++) {
        if (i) mtf_buf_put_u8(out, ',');
        put_item(out, &request->items[i]);
    }
    mtf_buf_printf(out, "]}");
}

void session_json_put(const mtf_session *session, mtf_buf *out)
{
    char id[33];
    mtf_hex(id, session->session_id, sizeof session->session_id);
    mtf_buf_printf(out, "{\"session_id\":\"%s\",\"user_id\":", id);
    json_text_put(out, session->user_id);
    mtf_buf_printf(
        out,
        ",\"started_ms\":%lld,\"ended_ms\":%lld,\"end_reason\":\"%s\",\"truncated_head\":%s,"
        "\"truncated_tail\":%s,\"part\":%u,\"parts\":%u,\"steps\":[",
        (long long)session->started_ms, (long long)session->ended_ms,
        end_reasons[session->end_reason], session->truncated_head ? "true" : "false",
        session->truncated_tail ? "true" : "false", session->part, session->parts);
    for (uint32_t i = 0; i < session->step_count; i++) {
        if (i) mtf_buf_put_u8(out, ',');
        put_step(out, &session->steps[i]);
    }
    mtf_buf_printf(out, "]}\n");
}
