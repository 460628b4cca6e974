/** The exploration event (schemas/exploration-event.avsc) as the stages see it, decoded. All text
 *  and arrays are borrowed from whoever made it: the arena it was decoded into, mostly. */
#ifndef MTF_EVENT_H
#define MTF_EVENT_H

#include "core/arena.h"
#include "core/bytes.h"

/** One behaviour of one item: watch seconds, a like, ... What it means is settings' business. */
typedef struct mtf_signal {
    mtf_str name;
    double value;
} mtf_signal;

typedef struct mtf_signals {
    mtf_signal *data;
    uint32_t count;
} mtf_signals;

/** An item that was shown: the multi-task model's predictions for it and what the user did. */
typedef struct mtf_item {
    mtf_str item_id;
    mtf_floats predictions; /* P, the order of the action table's prediction indices */
    mtf_floats features;    /* F, may be empty */
    mtf_signals signals;    /* joined at the source, or empty */
} mtf_item;

typedef enum mtf_event_kind {
    MTF_EVENT_REQUEST,
    MTF_EVENT_FEEDBACK,
    MTF_EVENT_SESSION_END
} mtf_event_kind;

typedef enum mtf_bucket { MTF_BUCKET_EXPLORE, MTF_BUCKET_BASELINE, MTF_BUCKET_CONTROL } mtf_bucket;

/** One served request. Offsets lower/upper are relative to baseline_action and already clipped so
 *  that the box stays in [-1,1]; empty = the configured box. action = baseline_action + noise. */
typedef struct mtf_request {
    int64_t policy_version;
    mtf_bucket bucket;
    mtf_floats state;           /* S, what the policy saw */
    mtf_floats action;          /* A in [-1,1] */
    mtf_floats baseline_action; /* A in [-1,1] */
    mtf_floats lower, upper;    /* A or empty */
    float sample_weight;        /* 1 unless the producer sampled */
    mtf_item *items;
    uint32_t item_count;
} mtf_request;

typedef struct mtf_feedback {
    mtf_str request_id;      /* the request's event_id */
    int64_t request_time_ms; /* the request's event_time_ms: routes this to its session */
    mtf_str item_id;
    mtf_signals signals;
} mtf_feedback;

typedef struct mtf_event {
    mtf_str event_id, user_id;
    int64_t event_time_ms; /* the serving host's clock */
    mtf_str session_id;    /* data NULL when the producer gave none */
    mtf_event_kind kind;
    union {
        mtf_request request;
        mtf_feedback feedback;
        mtf_str end_reason;
    } body;
} mtf_event;

#endif
