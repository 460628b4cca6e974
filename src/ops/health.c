#include "ops/health.h"

void mtf_health_stalled(const mtf_board *board, const char *stage, int64_t now_ms, int64_t limit_ms,
                        mtf_buf *reasons)
{
    const int64_t still_ms = mtf_board_still_ms(board, now_ms);
    if (still_ms > limit_ms)
        mtf_buf_printf(reasons, "%s: its loop has not moved for %lld s\n", stage,
                       (long long)still_ms / 1000);
}

void mtf_health_unassigned(const mtf_kafka_source_counts *counts, const char *stage,
                           mtf_buf *reasons)
{
    if (mtf_counter_get(&counts->rebalances) == 0)
        mtf_buf_printf(reasons, "%s: no partitions were assigned yet\n", stage);
}

static void count_recovering(void *arg, const mtf_board_row *row)
{
    *(long long *)arg += row->recovering;
}

void mtf_health_recovering(mtf_board *board, const char *stage, mtf_buf *reasons)
{
    long long count = 0;
    mtf_board_read(board, count_recovering, &count);
    if (count)
        mtf_buf_printf(reasons, "%s: %lld partitions are being rebuilt from the log\n", stage,
                       count);
}
