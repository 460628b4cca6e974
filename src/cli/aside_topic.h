/** The late and the dead-letter topic as the operator's commands read and mark them.
 *
 *  What was replayed is marked in the topic itself: a small record says which offsets of its
 *  partition are done. It goes out in one transaction with what was put back, so that whatever
 *  happens a record is replayed once; and since it stands behind the records it is about, retention
 *  never takes it first. So every selection (a reason, a time) can be replayed at any time, in any
 *  order, which one committed offset per group could not say. */
#ifndef MTF_CLI_ASIDE_TOPIC_H
#define MTF_CLI_ASIDE_TOPIC_H

#include "cli/aside_marks.h"
#include "cli/stages.h"
#include "core/aside.h"

#define ASIDE_HEADERS_MAX 64

/** Which records a command is about. Times are those of the record in the topic read: when it was
 *  set aside. */
typedef struct aside_filter {
    int64_t from_ms, to_ms; /* [from, to) */
    const char *reason;     /* NULL: every one */
} aside_filter;

/** One record of the topic; all of it borrowed until the callback returns. */
typedef struct aside_record {
    mtf_message message;
    mtf_header headers[ASIDE_HEADERS_MAX];
    size_t header_count;
    bool foreign; /* without our headers: origin says nothing */
    mtf_origin origin;
    bool replayed; /* by a run before this one */
} aside_record;

typedef struct aside_topic {
    const stage_context *context;
    const char *name;
    aside_filter filter;
    mtf_kafka_stretch *stretches; /* from the filter's from_ms to the end at the opening */
    int32_t partition_count;
    aside_marks marks; /* before this pass */
    aside_marks fresh; /* made in this pass */
} aside_topic;

/** Waits for a broker and notes where the topic ends now. *topic is the caller's to close also
 * after a failure. MTF_CLOSED: stopped. */
mtf_status aside_topic_open(aside_topic *topic, const stage_context *context, const char *name,
                            const aside_filter *filter, mtf_err *err) MTF_NODISCARD;
/** Reads which of its records were replayed (one pass). MTF_CLOSED: stopped; MTF_CORRUPT: a mark
 *  that is none. */
mtf_status aside_topic_read_marks(aside_topic *topic, mtf_err *err) MTF_NODISCARD;
void aside_topic_close(aside_topic *topic);

/** Whether a reader wants more of the records. */
typedef mtf_status (*aside_fn)(void *arg, const aside_record *record, mtf_err *err);

/** Another pass: every record that the filter lets through, up to the end noted at the opening, in
 *  each partition's order, replayed before this pass or not. A foreign record has no reason: a
 * filter with one leaves it out. MTF_CLOSED: stopped; else what fn returned. */
mtf_status aside_topic_each(aside_topic *topic, aside_fn fn, void *arg, mtf_err *err) MTF_NODISCARD;

/** Puts the records that say these are done; for the sink's open unit. Sorts them. */
mtf_status aside_topic_put_marks(const aside_topic *topic, mtf_sink *sink, aside_marks *done,
                                 mtf_err *err) MTF_NODISCARD;
/** They are committed: later passes know them as replayed. Empties done. */
mtf_status aside_topic_note_marks(aside_topic *topic, aside_marks *done,
                                  mtf_err *err) MTF_NODISCARD;

#endif
