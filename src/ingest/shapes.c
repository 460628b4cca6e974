/** The rows of mtf_event and mtf_session; names are those of schemas/. */
#include "core/session.h"
#include "ingest/shape.h"

#define COUNT(rows) (uint32_t)(sizeof(rows) / sizeof *(rows))
#define SHAPE(type, rows)                                                                          \
    {                                                                                              \
        sizeof(type), rows, COUNT(rows)                                                            \
    }
#define PLAIN(type, name, kind)                                                                    \
    {                                                                                              \
#name, MTF_MEMBER_##kind, offsetof(type, name), 0, NULL, 0                                 \
    }
#define RECORDS(type, name, data, n, of)                                                           \
    {                                                                                              \
#name, MTF_MEMBER_RECORDS, offsetof(type, data), offsetof(type, n), of, 1                  \
    }

_Static_assert(sizeof(mtf_bucket) == 4 && sizeof(mtf_end_reason) == 4 &&
                   sizeof(mtf_event_kind) == 4,
               "the plan writes enums as 4 bytes");

static const mtf_member signal_rows[] = {PLAIN(mtf_signal, name, STR),
                                         PLAIN(mtf_signal, value, DOUBLE)};
static const mtf_shape signal_shape = SHAPE(mtf_signal, signal_rows);

static const mtf_member item_rows[] = {
    PLAIN(mtf_item, item_id, STR),
    PLAIN(mtf_item, predictions, FLOATS),
    PLAIN(mtf_item, features, FLOATS),
    RECORDS(mtf_item, signals, signals.data, signals.count, &signal_shape),
};
static const mtf_shape item_shape = SHAPE(mtf_item, item_rows);

static const mtf_member request_rows[] = {
    PLAIN(mtf_request, policy_version, LONG),
    PLAIN(mtf_request, bucket, ENUM),
    PLAIN(mtf_request, state, FLOATS),
    PLAIN(mtf_request, action, FLOATS),
    PLAIN(mtf_request, baseline_action, FLOATS),
    PLAIN(mtf_request, lower, FLOATS),
    PLAIN(mtf_request, upper, FLOATS),
    PLAIN(mtf_request, sample_weight, FLOAT),
    RECORDS(mtf_request, items, items, item_count, &item_shape),
};

static const mtf_member feedback_rows[] = {
    PLAIN(mtf_feedback, request_id, STR),
    PLAIN(mtf_feedback, request_time_ms, LONG),
    PLAIN(mtf_feedback, item_id, STR),
    RECORDS(mtf_feedback, signals, signals.data, signals.count, &signal_shape),
};

static const mtf_member session_end_rows[] = {{"reason", MTF_MEMBER_STR, 0, 0, NULL, 0}};

/* In the order of mtf_event_kind, which is that of the schema's branches. */
static const mtf_shape body_shapes[] = {
    SHAPE(mtf_request, request_rows),
    SHAPE(mtf_feedback, feedback_rows),
    SHAPE(mtf_str, session_end_rows),
};

static const mtf_member event_rows[] = {
    PLAIN(mtf_event, event_id, STR),
    PLAIN(mtf_event, user_id, STR),
    PLAIN(mtf_event, event_time_ms, LONG),
    PLAIN(mtf_event, session_id, STR),
    {"body", MTF_MEMBER_CHOICE, offsetof(mtf_event, body), offsetof(mtf_event, kind), body_shapes,
     COUNT(body_shapes)},
};
const mtf_shape mtf_shape_event = SHAPE(mtf_event, event_rows);

static const mtf_member step_rows[] = {
    PLAIN(mtf_step, event_id, STR),
    PLAIN(mtf_step, time_ms, LONG),
    {"request", MTF_MEMBER_RECORD, offsetof(mtf_step, request), 0, body_shapes, 1},
};
static const mtf_shape step_shape = SHAPE(mtf_step, step_rows);

static const mtf_member session_rows[] = {
    PLAIN(mtf_session, session_id, FIXED),
    PLAIN(mtf_session, user_id, STR),
    PLAIN(mtf_session, started_ms, LONG),
    PLAIN(mtf_session, ended_ms, LONG),
    PLAIN(mtf_session, end_reason, ENUM),
    PLAIN(mtf_session, truncated_head, BOOL),
    PLAIN(mtf_session, truncated_tail, BOOL),
    PLAIN(mtf_session, part, UINT),
    PLAIN(mtf_session, parts, UINT),
    RECORDS(mtf_session, steps, steps, step_count, &step_shape),
};
const mtf_shape mtf_shape_session = SHAPE(mtf_session, session_rows);

static const mtf_member replay_rows[] = {
    PLAIN(mtf_replay_row, partition, LONG),
    PLAIN(mtf_replay_row, offset, LONG),
    PLAIN(mtf_replay_row, append_time_ms, LONG),
    PLAIN(mtf_replay_row, event, RAW),
};
const mtf_shape mtf_shape_replay = SHAPE(mtf_replay_row, replay_rows);
