#include "learner/pool.h"

#include "learner/kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define SPINS       3000 /* some tens of microseconds: the pause between two jobs of a step */

typedef struct worker {
    mtf_pool *pool;
    uint32_t index;
    pthread_t thread;
} worker;

struct mtf_pool {
    uint32_t threads;
    worker *workers;
    /* The job; written by the caller before `round` moves, read by workers after. */
    mtf_pool_fn fn;
    void *arg;
    uint32_t count;
    bool closing;
    _Alignas(64) _Atomic uint32_t next; /* the next item nobody has */
    _Alignas(64) _Atomic uint32_t busy; /* workers not yet through with this round */
    _Alignas(64) _Atomic uint64_t round;
    pthread_mutex_t lock; /* guards the moves of round and of busy to 0, for those that park */
    pthread_cond_t begun, ended;
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_items(mtf_pool *pool, uint32_t index)
{
    for (;;) {
        const uint32_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= pool->count) return;
        pool->fn(pool->arg, item, index);
    }
}

/* Returns the number of the round after `seen`, once it has begun. */
static uint64_t await_round(mtf_pool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        const uint64_t round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) return round;
        pause_cpu();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->round, memory_order_acquire) == seen) {
        pthread_cond_wait(&pool->begun, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return seen + 1;
}

static void *work(void *arg)
{
    const worker *self = arg;
    mtf_pool *pool = self->pool;
    mtf_flush_denormals_begin();
    for (uint64_t round = 0;;) {
        round = await_round(pool, round);
        if (pool->closing) return NULL;
        take_items(pool, self->index);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->ended);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void begin_round(mtf_pool *pool)
{
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->lock);
}

static void await_end(mtf_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0) return;
        pause_cpu();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->busy, memory_order_acquire) != 0) {
        pthread_cond_wait(&pool->ended, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

void mtf_pool_run(mtf_pool *pool, uint32_t count, mtf_pool_fn fn, void *arg)
{
    pool->fn = fn, pool->arg = arg, pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    const bool alone = pool->threads == 1 || count < 2;
    if (!alone) begin_round(pool);
    take_items(pool, 0);
    if (!alone) await_end(pool);
}

mtf_status mtf_pool_new(mtf_pool **out, uint32_t threads, mtf_err *err)
{
    *out = NULL;
    if (threads == 0 || threads > THREADS_MAX) {
        return mtf_fail(err, MTF_INVALID, "learner.threads is %u: use 1 to %d", threads,
                        THREADS_MAX);
    }
    mtf_pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (pool == NULL) return mtf_fail(err, MTF_NOMEM, "no memory for the learner's threads");
    memset(pool, 0, sizeof *pool);
    pool->threads = 1; /* those that run */
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begun, NULL);
    pthread_cond_init(&pool->ended, NULL);
    pool->workers = calloc(threads, sizeof *pool->workers);
    if (pool->workers == NULL) goto failed;
    for (uint32_t i = 1; i < threads; i++) {
        pool->workers[i] = (worker){.pool = pool, .index = i};
        if (pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]) != 0)
            goto failed;
        pool->threads = i + 1;
    }
    *out = pool;
    return MTF_OK;
failed:
    mtf_pool_free(pool);
    return mtf_fail(err, MTF_NOMEM, "cannot start %u threads: lower learner.threads", threads);
}

void mtf_pool_free(mtf_pool *pool)
{
    if (pool == NULL) return;
    pool->closing = true;
    begin_round(pool);
    for (uint32_t i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->begun);
    pthread_cond_destroy(&pool->ended);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

uint32_t mtf_pool_threads(const mtf_pool *pool)
{
    return pool->threads;
}
