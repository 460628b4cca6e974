#include "core/board.h"

#include <stdlib.h>

void mtf_board_init(mtf_board *board)
{
    *board = (mtf_board){0};
    pthread_mutex_init(&board->lock, NULL);
}

void mtf_board_fini(mtf_board *board)
{
    pthread_mutex_destroy(&board->lock);
    free(board->rows);
    board->rows = NULL;
    board->count = board->capacity = 0;
}

int64_t mtf_board_still_ms(const mtf_board *board, int64_t now_ms)
{
    const int64_t beat_ms = atomic_load_explicit(&board->beat_ms, memory_order_relaxed);
    return beat_ms == 0 || now_ms < beat_ms ? 0 : now_ms - beat_ms;
}

void mtf_board_begin(mtf_board *board)
{
    pthread_mutex_lock(&board->lock);
    board->count = 0;
}

void mtf_board_put(mtf_board *board, mtf_board_row row)
{
    if (board->count == board->capacity) {
        const size_t capacity = board->capacity ? 2 * board->capacity : 16;
        mtf_board_row *rows = realloc(board->rows, capacity * sizeof *rows);
        if (!rows) return;
        board->rows = rows;
        board->capacity = capacity;
    }
    board->rows[board->count++] = row;
}

void mtf_board_end(mtf_board *board)
{
    pthread_mutex_unlock(&board->lock);
}

void mtf_board_read(mtf_board *board, void (*fn)(void *arg, const mtf_board_row *row), void *arg)
{
    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < board->count; i++) fn(arg, &board->rows[i]);
    pthread_mutex_unlock(&board->lock);
}
