/** Long work shows a bar on a terminal and plain lines elsewhere. One thread. */
#ifndef MTF_PROGRESS_H
#define MTF_PROGRESS_H

#include "core/status.h"

typedef struct mtf_progress {
    const char *what, *unit;
    int64_t total, started_ns, shown_ns;
    bool terminal, silent;
    int width;
} mtf_progress;

/** what and unit live as long as the bar; to stderr. */
void mtf_progress_begin(mtf_progress *progress, const char *what, const char *unit, int64_t total,
                        bool silent);
/** Shows at most ten times a second on a terminal, every ten seconds elsewhere. */
void mtf_progress_at(mtf_progress *progress, int64_t done);
void mtf_progress_end(mtf_progress *progress, int64_t done);

#endif
