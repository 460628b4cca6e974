/** What a running stage shows of itself to other threads, apart from its counters: that its loop
 *  moves, and where its partitions stand. The stage writes its rows at most once per commit
 *  interval, so the lock costs nothing where records flow. */
#ifndef MTF_BOARD_H
#define MTF_BOARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/status.h"

#define MTF_BOARD_NO_WATERMARK INT64_MIN

typedef struct mtf_board_row {
    int32_t partition;
    bool recovering;      /* not started yet, or being replayed */
    int64_t next_offset;  /* the next to be read */
    int64_t watermark_ms; /* in the events' time; MTF_BOARD_NO_WATERMARK: none (yet) */
} mtf_board_row;

typedef struct mtf_board {
    _Atomic int64_t beat_ms; /* monotonic, of the last step; 0: not begun */
    pthread_mutex_t lock;    /* guards the rest */
    mtf_board_row *rows;
    size_t count, capacity;
} mtf_board;

void mtf_board_init(mtf_board *board);
void mtf_board_fini(mtf_board *board);

/** The loop moved. now_ms: monotonic. */
static inline void mtf_board_beat(mtf_board *board, int64_t now_ms)
{
    atomic_store_explicit(&board->beat_ms, now_ms, memory_order_relaxed);
}
/** How long ago that was; 0 before the first beat. Any thread. */
int64_t mtf_board_still_ms(const mtf_board *board, int64_t now_ms);

/** Replaces all rows: begin, put each, end. The lock is held between. Rows there is no memory for
 *  are not shown. */
void mtf_board_begin(mtf_board *board);
void mtf_board_put(mtf_board *board, mtf_board_row row);
void mtf_board_end(mtf_board *board);
/** Each row in turn, under the lock: fn must be short. Any thread. */
void mtf_board_read(mtf_board *board, void (*fn)(void *arg, const mtf_board_row *row), void *arg);

#endif
