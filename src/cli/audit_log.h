/** The recomputation of an audit: one partition of the exploration topic through the very same
 *  stage, silently, what it would put out noted in the books. */
#ifndef MTF_CLI_AUDIT_LOG_H
#define MTF_CLI_AUDIT_LOG_H

#include "cli/audit_book.h"
#include "cli/stages.h"

/** Records of one partition: [read, from) to know what is open at the window's start, then the
 *  window [from, to). */
typedef struct audit_window {
    int32_t partition;
    int64_t first; /* what the log still has */
    int64_t read, from, to;
    int64_t unread; /* at the window's end, that the group has not committed yet */
    bool more;      /* records behind it, in the log */
    bool clipped;   /* the log may not go back as far as it should be read */
} audit_window;

/** What went in and came out of a window: open_before + records = the others' sum. */
typedef struct audit_sheet {
    int64_t open_before, records;
    int64_t session_events, late, dead, duplicates, over_cap, too_large, open_after;
    int64_t left_out;    /* records put out that may lack what was not read: not judged */
    int64_t decodes_now; /* dead letters of the live run that would decode today */
} audit_sheet;

typedef struct audit_log {
    const stage_context *context;
    mtf_decoder *decoder;
    audit_book *book;
    size_t value_bytes_max; /* of the live run's sink: it decides where sessions are split */
    int64_t judged_from_ms; /* as in audit_rules; moved by every partition */
    int64_t judged_to_ms;
} audit_log;

/** About the watermark of each window's start, never above it, from the last records before it;
 *  INT64_MAX where there are none. MTF_CLOSED: stopped. */
mtf_status audit_log_watermarks(audit_log *log, const audit_window *windows, int32_t count,
                                int64_t *watermarks_ms, mtf_err *err) MTF_NODISCARD;
/** MTF_CLOSED: stopped; else as a source or the stage fails. */
mtf_status audit_log_read(audit_log *log, const audit_window *window, audit_sheet *sheet,
                          mtf_err *err) MTF_NODISCARD;

/** What went in and came out nowhere: 0, or the stage has a bug. */
int64_t audit_sheet_imbalance(const audit_sheet *sheet);

#endif
