/** Random logs of every record kind, small enough to check at every offset, and the rules'
 * constants scaled down to them. */
#ifndef TESTS_SESSIONIZE_STREAM_H
#define TESTS_SESSIONIZE_STREAM_H

#include "core/rng.h"
#include "core/session.h"
#include "sessionize/machine.h"

#define STREAM_MAX 44

/** One log record. Text is NUL-terminated; session_id "" is null. */
struct sample {
    mtf_event_kind kind;
    char user[4], id[8], request_id[8], session_id[4];
    int64_t time_ms, request_time_ms, append_ms;
    int64_t jump_ms; /* > 0: the partition was quiet before this record, W moved by so much */
    bool bad;        /* does not decode */
    int item;        /* feedback: which of items "a", "b", or "c", which no request has */
    int signal_count;
    char names[2]; /* request: joined to item "a" */
    double values[2];
};

struct stream {
    struct sample data[STREAM_MAX];
    int count;
};

/** Gap 30, grace 2, out-of-orderness 5, future 20, cap 200, content 6. */
mtf_machine_config stream_config(void);
/** x=sum y=max z=first, others (w) last. */
#define STREAM_AGGREGATORS "x=sum y=max z=first"

/** Shuffled, late, doubled, future, feedback, ends, id changes, over the cap, bad, idle jumps. */
void stream_random(struct stream *stream, mtf_rng *rng);

/** A sample as message and event; they borrow from it and from this. */
struct input {
    mtf_message message;
    mtf_event event;
    mtf_item items[2];
    mtf_signal signals[2];
};
void stream_input(const struct sample *sample, int64_t offset, struct input *input);
/** The oracle's line for a session. */
void stream_print_session(const mtf_session *session, uint32_t event_count, mtf_buf *out);
/** For a failure: the stream as text. */
void stream_print(const struct stream *stream, mtf_buf *out);

#endif
