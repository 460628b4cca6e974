#include "core/validate.h"

#include <math.h>

#define ACTION_MAX (1.0f + 1e-6f) /* actions are in [-1,1] up to the rounding of producers */

static mtf_status invalid(mtf_err *err, const char *field, const char *what)
{
    return mtf_fail(err, MTF_SKIP, "invalid: %s: %s", field, what);
}

#define BOX_SLACK 1e-5f /* an explored action is in its box up to the same */

/** By the bits, so that the loop has no branch. */
static bool all_finite(mtf_floats values)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < values.count; i++) {
        uint32_t bits;
        memcpy(&bits, &values.data[i], 4);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

/** False for NaN too. */
static bool all_actions(mtf_floats values)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < values.count; i++) bad |= !(fabsf(values.data[i]) <= ACTION_MAX);
    return !bad;
}

static mtf_status check_signals(mtf_signals signals, mtf_err *err)
{
    for (uint32_t i = 0; i < signals.count; i++) {
        if (signals.data[i].name.size == 0) return invalid(err, "signals", "one has no name");
        if (!isfinite(signals.data[i].value))
            return invalid(err, "signals", "a value is not finite");
    }
    return MTF_OK;
}

static mtf_status check_items(const mtf_request *request, mtf_err *err)
{
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        if (item->item_id.size == 0) return invalid(err, "item_id", "empty");
        if (!all_finite(item->predictions)) return invalid(err, "predictions", "not finite");
        if (!all_finite(item->features)) return invalid(err, "features", "not finite");
        const mtf_status status = check_signals(item->signals, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

static mtf_status check_box(const mtf_request *request, mtf_err *err)
{
    const mtf_floats lower = request->lower, upper = request->upper;
    if (lower.count != upper.count || (lower.count && lower.count != request->action.count)) {
        return mtf_fail(err, MTF_SKIP, "invalid: lower, upper: %u and %u offsets for %u actions",
                        (unsigned)lower.count, (unsigned)upper.count,
                        (unsigned)request->action.count);
    }
    if (!all_finite(lower) || !all_finite(upper)) return invalid(err, "lower, upper", "not finite");
    for (uint32_t i = 0; i < lower.count; i++) {
        if (lower.data[i] > upper.data[i])
            return invalid(err, "lower, upper", "the box is inside out");
    }
    return MTF_OK;
}

/** Where an action was drawn from the logged box it lies in it: the value check's weights say so.
 */
static mtf_status check_explored(const mtf_request *request, mtf_err *err)
{
    if (request->bucket != MTF_BUCKET_EXPLORE) return MTF_OK;
    for (uint32_t i = 0; i < request->lower.count; i++) {
        const float offset = request->action.data[i] - request->baseline_action.data[i];
        if (offset < request->lower.data[i] - BOX_SLACK ||
            offset > request->upper.data[i] + BOX_SLACK)
            return invalid(err, "action", "explored outside its box");
    }
    return MTF_OK;
}

static mtf_status check_length(const char *field, mtf_floats values, uint32_t wanted, mtf_err *err)
{
    if (wanted == 0 || values.count == wanted) return MTF_OK;
    return mtf_fail(err, MTF_SKIP, "invalid: %s: %u floats, %u wanted", field,
                    (unsigned)values.count, (unsigned)wanted);
}

static mtf_status check_request(const mtf_request *request, mtf_dims dims, mtf_err *err)
{
    if (request->baseline_action.count != request->action.count) {
        return mtf_fail(err, MTF_SKIP, "invalid: baseline_action: %u floats for %u actions",
                        (unsigned)request->baseline_action.count, (unsigned)request->action.count);
    }
    mtf_status status = check_length("state", request->state, dims.state, err);
    const uint32_t given = request->action.count;
    const bool each = dims.per_item && given == (uint64_t)dims.action * request->item_count;
    if (status == MTF_OK && !each)
        status = check_length("action", request->action, dims.action, err);
    if (status != MTF_OK) return status;
    if (!all_finite(request->state)) return invalid(err, "state", "not finite");
    if (!all_actions(request->action)) return invalid(err, "action", "outside [-1,1]");
    if (!all_actions(request->baseline_action))
        return invalid(err, "baseline_action", "outside [-1,1]");
    if (!(request->sample_weight > 0) || !isfinite(request->sample_weight)) {
        return invalid(err, "sample_weight", "not a positive number");
    }
    status = check_box(request, err);
    if (status == MTF_OK) status = check_explored(request, err);
    return status == MTF_OK ? check_items(request, err) : status;
}

mtf_status mtf_event_validate(const mtf_event *event, mtf_dims dims, mtf_err *err)
{
    if (event->event_id.size == 0) return invalid(err, "event_id", "empty");
    if (event->user_id.size == 0) return invalid(err, "user_id", "empty");
    if (event->event_time_ms <= 0) return invalid(err, "event_time_ms", "not positive");
    switch (event->kind) {
    case MTF_EVENT_REQUEST:
        return check_request(&event->body.request, dims, err);
    case MTF_EVENT_FEEDBACK:
        if (event->body.feedback.request_id.size == 0) return invalid(err, "request_id", "empty");
        if (event->body.feedback.request_time_ms <= 0)
            return invalid(err, "request_time_ms", "not positive");
        if (event->body.feedback.item_id.size == 0) return invalid(err, "item_id", "empty");
        return check_signals(event->body.feedback.signals, err);
    case MTF_EVENT_SESSION_END:
        break;
    }
    return MTF_OK;
}

mtf_status mtf_session_validate(const mtf_session *session, mtf_dims dims, mtf_err *err)
{
    if (session->user_id.size == 0) return invalid(err, "user_id", "empty");
    if (session->started_ms <= 0 || session->ended_ms < session->started_ms) {
        return invalid(err, "started_ms, ended_ms", "not positive or in the wrong order");
    }
    if (session->part >= session->parts) return invalid(err, "part", "not below parts");
    for (uint32_t i = 0; i < session->step_count; i++) {
        const mtf_step *step = &session->steps[i];
        if (step->event_id.size == 0) return invalid(err, "event_id", "empty");
        if (step->time_ms <= 0) return invalid(err, "time_ms", "not positive");
        const mtf_status status = check_request(&step->request, dims, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}
