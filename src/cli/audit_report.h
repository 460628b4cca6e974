/** What an audit says, as a page for a person and as one JSON object. */
#ifndef MTF_CLI_AUDIT_REPORT_H
#define MTF_CLI_AUDIT_REPORT_H

#include "cli/audit_log.h"

/** Beside what is compared. */
typedef struct audit_found {
    int64_t replays;      /* session records of `mtf late replay` or `mtf dlq replay` */
    int64_t unreadable;   /* session records that do not decode: differences */
    int64_t other_topics; /* set aside of other topics: the learner's dead letters */
    int64_t foreign;      /* set aside without our headers */
} audit_found;

typedef struct audit_report {
    int32_t partition_count;
    audit_window *windows; /* by partition */
    audit_sheet *sheets;
    audit_found found;
    audit_verdict verdict;
    mtf_buf notes; /* lines of what limits the audit */
} audit_report;

/** 0: all is accounted for. */
int64_t audit_report_differences(const audit_report *report);
void audit_report_text(const audit_report *report, const mtf_settings *settings, mtf_buf *out);
void audit_report_json(const audit_report *report, const mtf_settings *settings, mtf_buf *out);

#endif
