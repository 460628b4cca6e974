/* Gathers an event from flat calls and writes it with the stages' own encoder, after the check that
 * they would make. Text and floats are copied to an arena that is reset by the next event; items
 * and signals stand in arrays that keep their memory. */
#include "client/face.h"

#include <stdlib.h>

#include "core/encode.h"
#include "core/validate.h"

struct mtf_event_builder {
    mtf_arena arena;
    mtf_buf bytes;
    mtf_event event;
    bool begun, has_body;
    mtf_item *items;
    size_t item_capacity;
    mtf_signal *signals; /* of all items one after another; an item's `data` is set at the end */
    uint32_t *signal_owners; /* the item's index of each */
    uint32_t signal_count;
    size_t signal_capacity;
    mtf_err wrong; /* the first thing amiss; status MTF_OK: nothing */
};

mtf_event_builder *mtf_event_builder_new(void)
{
    return calloc(1, sizeof(mtf_event_builder));
}

void mtf_event_builder_free(mtf_event_builder *builder)
{
    if (!builder) return;
    mtf_arena_fini(&builder->arena);
    mtf_buf_fini(&builder->bytes);
    free(builder->items);
    free(builder->signals);
    free(builder->signal_owners);
    free(builder);
}

/* ---- copies ------------------------------------------------------------------------------ */

static void refuse(mtf_event_builder *builder, const char *what)
{
    if (!builder->wrong.status) (void)mtf_fail(&builder->wrong, MTF_INVALID, "event: %s", what);
}

static void no_memory(mtf_event_builder *builder)
{
    if (!builder->wrong.status) (void)mtf_fail(&builder->wrong, MTF_NOMEM, "event: out of memory");
}

static void *copy(mtf_event_builder *builder, const void *data, size_t size)
{
    void *at = mtf_arena_take(&builder->arena, size ? size : 1);
    if (!at)
        no_memory(builder);
    else if (size)
        memcpy(at, data, size);
    return at;
}

static mtf_str copy_text(mtf_event_builder *builder, const char *text, const char *field)
{
    if (!text) {
        if (!builder->wrong.status)
            (void)mtf_fail(&builder->wrong, MTF_INVALID, "event: %s is NULL", field);
        return (mtf_str){NULL, 0};
    }
    const mtf_str from = mtf_str_of(text);
    const char *at = copy(builder, text, from.size);
    return (mtf_str){at, at ? from.size : 0};
}

static mtf_floats copy_floats(mtf_event_builder *builder, const float *values, uint32_t count)
{
    if (!values || count == 0) return (mtf_floats){NULL, 0};
    const float *at = copy(builder, values, count * sizeof *values);
    return (mtf_floats){at, at ? count : 0};
}

/* Room for one more of `size` bytes in *array; false when out of memory. */
static bool grow(mtf_event_builder *builder, void **array, size_t *capacity, size_t count,
                 size_t size)
{
    if (count < *capacity) return true;
    const size_t more = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(*array, more * size);
    if (!grown) {
        no_memory(builder);
        return false;
    }
    *array = grown;
    *capacity = more;
    return true;
}

/* ---- the calls --------------------------------------------------------------------------- */

void mtf_event_begin(mtf_event_builder *builder, const char *event_id, const char *user_id,
                     int64_t event_time_ms, const char *session_id)
{
    mtf_arena_reset(&builder->arena);
    mtf_buf_clear(&builder->bytes);
    builder->event = (mtf_event){0};
    builder->wrong = (mtf_err){0};
    builder->signal_count = 0;
    builder->has_body = false;
    builder->begun = true;
    builder->event.event_id = copy_text(builder, event_id, "event_id");
    builder->event.user_id = copy_text(builder, user_id, "user_id");
    builder->event.event_time_ms = event_time_ms;
    if (session_id) builder->event.session_id = copy_text(builder, session_id, "session_id");
}

/* An event has one body. */
static bool take_body(mtf_event_builder *builder, mtf_event_kind kind)
{
    if (!builder->begun) refuse(builder, "mtf_event_begin comes first");
    if (builder->has_body)
        refuse(builder, "it is a request, a feedback or a session end: one of them, once");
    builder->has_body = true;
    builder->event.kind = kind;
    return builder->wrong.status == MTF_OK;
}

void mtf_event_request(mtf_event_builder *builder, int64_t policy_version, mtf_bucket bucket,
                       const float *state, uint32_t state_dim, const float *action,
                       const float *baseline, const float *lower, const float *upper,
                       uint32_t action_dim, float sample_weight)
{
    if (!take_body(builder, MTF_EVENT_REQUEST)) return;
    if (bucket < MTF_BUCKET_EXPLORE || bucket > MTF_BUCKET_CONTROL)
        refuse(builder, "bucket: none of explore, baseline, control");
    if (!state || state_dim == 0) refuse(builder, "state: a request has one");
    if (!action || !baseline || action_dim == 0)
        refuse(builder, "action, baseline_action: a request has both");
    builder->event.body.request = (mtf_request){
        .policy_version = policy_version,
        .bucket = bucket,
        .state = copy_floats(builder, state, state_dim),
        .action = copy_floats(builder, action, action_dim),
        .baseline_action = copy_floats(builder, baseline, action_dim),
        .lower = copy_floats(builder, lower, action_dim),
        .upper = copy_floats(builder, upper, action_dim),
        .sample_weight = sample_weight,
    };
}

void mtf_event_item(mtf_event_builder *builder, const char *item_id, const float *predictions,
                    uint32_t prediction_count, const float *features, uint32_t feature_count)
{
    if (!builder->has_body || builder->event.kind != MTF_EVENT_REQUEST)
        refuse(builder, "an item belongs to a request: call mtf_event_request before it");
    if (builder->wrong.status) return;
    mtf_request *request = &builder->event.body.request;
    void *items = builder->items;
    const bool grown =
        grow(builder, &items, &builder->item_capacity, request->item_count, sizeof(mtf_item));
    builder->items = items;
    if (!grown) return;
    builder->items[request->item_count++] = (mtf_item){
        .item_id = copy_text(builder, item_id, "item_id"),
        .predictions = copy_floats(builder, predictions, prediction_count),
        .features = copy_floats(builder, features, feature_count),
    };
}

void mtf_event_feedback(mtf_event_builder *builder, const char *request_id, int64_t request_time_ms,
                        const char *item_id)
{
    if (!take_body(builder, MTF_EVENT_FEEDBACK)) return;
    builder->event.body.feedback = (mtf_feedback){
        .request_id = copy_text(builder, request_id, "request_id"),
        .request_time_ms = request_time_ms,
        .item_id = copy_text(builder, item_id, "item_id"),
    };
}

void mtf_event_signal(mtf_event_builder *builder, const char *name, double value)
{
    const bool request = builder->has_body && builder->event.kind == MTF_EVENT_REQUEST;
    const uint32_t items = request ? builder->event.body.request.item_count : 0;
    if (!(request ? items > 0 : builder->has_body && builder->event.kind == MTF_EVENT_FEEDBACK))
        refuse(builder, "a signal belongs to an item or a feedback: there is none yet");
    if (builder->wrong.status) return;
    void *signals = builder->signals, *owners = builder->signal_owners;
    size_t capacity = builder->signal_capacity;
    const bool both = grow(builder, &signals, &capacity, builder->signal_count, sizeof(mtf_signal));
    builder->signals = signals;
    if (!both) return;
    capacity = builder->signal_capacity;
    const bool grown = grow(builder, &owners, &capacity, builder->signal_count, sizeof(uint32_t));
    builder->signal_owners = owners;
    if (!grown) return;
    builder->signal_capacity = capacity;
    builder->signal_owners[builder->signal_count] = request ? items - 1 : 0;
    builder->signals[builder->signal_count++] =
        (mtf_signal){copy_text(builder, name, "a signal's name"), value};
}

void mtf_event_session_end(mtf_event_builder *builder, const char *reason)
{
    if (!take_body(builder, MTF_EVENT_SESSION_END)) return;
    builder->event.body.end_reason = copy_text(builder, reason, "reason");
}

/* ---- the end ----------------------------------------------------------------------------- */

/* Signals stand in their owners' order: each owner's are a run of the array. */
static void hand_out(mtf_event_builder *builder)
{
    if (builder->event.kind == MTF_EVENT_FEEDBACK) {
        builder->event.body.feedback.signals =
            (mtf_signals){builder->signals, builder->signal_count};
    }
    if (builder->event.kind != MTF_EVENT_REQUEST) return;
    for (uint32_t i = 0; i < builder->signal_count; i++) {
        mtf_signals *of = &builder->items[builder->signal_owners[i]].signals;
        if (of->count++ == 0) of->data = builder->signals + i;
    }
    builder->event.body.request.items = builder->items;
}

mtf_status mtf_event_finish(mtf_event_builder *builder, const void **bytes, size_t *size,
                            mtf_err *err)
{
    if (!builder->has_body) refuse(builder, "it is empty: begin it and say what happened");
    if (!builder->wrong.status) {
        mtf_err why = {0};
        hand_out(builder);
        if (mtf_event_validate(&builder->event, (mtf_dims){0}, &why) != MTF_OK)
            (void)mtf_fail(&builder->wrong, MTF_INVALID, "event: %s", why.msg);
    }
    const mtf_err wrong = builder->wrong;
    builder->begun = builder->has_body = false;
    builder->wrong = (mtf_err){0};
    if (wrong.status) return mtf_fail(err, wrong.status, "%s", wrong.msg);
    const mtf_status status = mtf_event_encode(&builder->event, &builder->bytes, err);
    if (status != MTF_OK) return status;
    *bytes = builder->bytes.data;
    *size = builder->bytes.size;
    return MTF_OK;
}
