/** What is wrong with a stage, as lines for /healthz and /readyz. Each appends a line, or nothing
 * when all is well. Any thread. */
#ifndef MTF_OPS_HEALTH_H
#define MTF_OPS_HEALTH_H

#include "core/board.h"
#include "core/bytes.h"
#include "ingest/kafka_source.h"

/** Liveness: the loop has not moved for more than limit_ms. A loop that has not begun is well. */
void mtf_health_stalled(const mtf_board *board, const char *stage, int64_t now_ms, int64_t limit_ms,
                        mtf_buf *reasons);
/** Readiness: no assignment was taken yet. An empty one counts: there are more members than
 *  partitions, and this one stands by. */
void mtf_health_unassigned(const mtf_kafka_source_counts *counts, const char *stage,
                           mtf_buf *reasons);
/** Readiness: partitions that are not live yet. */
void mtf_health_recovering(mtf_board *board, const char *stage, mtf_buf *reasons);

#endif
