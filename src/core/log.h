/** Lines for operators: `key=value` (or JSON) on stderr. Never per record, never payloads. */
#ifndef MTF_LOG_H
#define MTF_LOG_H

#include "core/status.h"

typedef enum mtf_log_level {
    MTF_LOG_ERROR,
    MTF_LOG_WARN,
    MTF_LOG_INFO,
    MTF_LOG_DEBUG
} mtf_log_level;

typedef struct mtf_log {
    mtf_log_level level; /* lines above it are dropped */
    bool json;
    int fd; /* 2 for stderr */
} mtf_log;

/** One line: time, level, what ("kafka.rebalance"), then "key=value key=value" from fmt.
 *  log may be NULL (silent). Thread-safe: a line is one write. */
void mtf_log_line(const mtf_log *log, mtf_log_level level, const char *what, const char *fmt, ...)
    MTF_PRINTF(4, 5);

#endif
