/** The books of an audit: what the log says must be on the output topics, what is there, and what
 *  the difference means. Ids and hashes only, never payloads: AUDIT_SESSION_BYTES a session record
 *  and AUDIT_ASIDE_BYTES a record set aside, index included.
 *
 *  Two runs over one log may rightly cut sessions in two ways: the live one moved its watermark by
 *  the wall clock while a partition was quiet, and nothing in the log says when. Then events that
 *  the recomputation keeps are late, or one session of it is two. Nothing is lost by that, and the
 *  books can tell: they explain the differences of a user whose steps, each once, are all in the
 *  user's sessions or on the late topic. Signals of such a session are not compared. Where every
 *  step is where it should be but the content differs, only a late record of that user explains it.
 *  A session that is there twice is never explained. */
#ifndef MTF_CLI_AUDIT_BOOK_H
#define MTF_CLI_AUDIT_BOOK_H

#include "core/session.h"

#define AUDIT_SESSION_BYTES 160
#define AUDIT_ASIDE_BYTES   90

/** What the recomputation says about a record of the output. */
typedef enum audit_scope {
    AUDIT_BEFORE, /* put out before the window, or it may lack what was not read: not judged */
    AUDIT_JUDGED, /* put out by a record of the window */
    AUDIT_OPEN,   /* of a session still open at the window's end: may be there or not */
} audit_scope;

typedef enum audit_kind { AUDIT_LATE, AUDIT_DEAD, AUDIT_SESSION } audit_kind;

typedef struct audit_book audit_book;

/** NULL when out of memory. */
audit_book *audit_book_new(void);
void audit_book_free(audit_book *book);

/** A session record the log asks for; bytes: its encoding. partition: of the log. MTF_NOMEM. */
mtf_status audit_expect_session(audit_book *book, const mtf_session *session, mtf_span bytes,
                                audit_scope scope, int32_t partition, mtf_err *err) MTF_NODISCARD;
/** One that is there, and where. MTF_NOMEM. */
mtf_status audit_find_session(audit_book *book, const mtf_session *session, mtf_span bytes,
                              int32_t partition, int64_t offset, mtf_err *err) MTF_NODISCARD;

/** A late record or a dead letter of the log's record at (partition, offset). MTF_NOMEM. */
mtf_status audit_expect_aside(audit_book *book, audit_kind kind, int32_t partition, int64_t offset,
                              audit_scope scope, mtf_err *err) MTF_NODISCARD;
/** One that is there. of_window: its origin is among the records of the window. event: decoded, or
 *  NULL. of_decoder: it is there because it did not decode. MTF_NOMEM. */
mtf_status audit_find_aside(audit_book *book, audit_kind kind, int32_t partition, int64_t offset,
                            bool of_window, bool of_decoder, const mtf_event *event,
                            mtf_err *err) MTF_NODISCARD;
/** Whether a dead letter of it is there because it did not decode. */
bool audit_was_undecodable(const audit_book *book, int32_t partition, int64_t offset);

typedef struct audit_rules {
    bool idle_jumps;        /* the live run may have moved its watermark */
    int64_t judged_from_ms; /* a session that starts at or before it may be of unread records */
    int64_t judged_to_ms;   /* one that starts at or after it may be of records past the window */
} audit_rules;

typedef struct audit_tally {
    int64_t expected, found;                         /* of the window; found: as expected */
    int64_t missing, doubled, different, unexpected; /* the differences */
    int64_t explained, not_judged;
} audit_tally;

typedef enum audit_problem {
    AUDIT_MISSING,
    AUDIT_DOUBLED,
    AUDIT_DIFFERENT,
    AUDIT_UNEXPECTED,
} audit_problem;

/** A difference that nothing explains. */
typedef struct audit_difference {
    audit_kind kind;
    audit_problem problem;
    int32_t
        partition;  /* late, dead: the origin; session: in the log, -1 where it is not asked for */
    int64_t offset; /* late, dead: the origin */
    uint8_t session_id[16];
    uint32_t part;
    int64_t started_ms;
    int64_t times_expected, times_found;
    int64_t steps_expected, steps_found;
    int32_t found_partition; /* session: where it is (the last one), -1 for nowhere */
    int64_t found_offset;
} audit_difference;

typedef struct audit_verdict {
    audit_tally of[3];        /* by audit_kind */
    int64_t difference_count; /* all of them */
    audit_difference *listed; /* the first `limit` */
    size_t listed_count;
} audit_verdict;

/** Once, after everything was expected and found. *verdict is to be released. MTF_NOMEM. */
mtf_status audit_judge(audit_book *book, const audit_rules *rules, size_t limit,
                       audit_verdict *verdict, mtf_err *err) MTF_NODISCARD;
void audit_verdict_fini(audit_verdict *verdict);

#endif
