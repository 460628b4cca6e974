/** A few threads that share out the items of one job after another, for jobs of microseconds to
 *  milliseconds: they spin a little for the next job and then park. Used by one thread at a time.
 */
#ifndef MTF_LEARNER_POOL_H
#define MTF_LEARNER_POOL_H

#include "core/status.h"

typedef struct mtf_pool mtf_pool;

/** Called once per item, on any thread. worker, 0 .. threads-1, names the thread's scratch space.
 */
typedef void (*mtf_pool_fn)(void *arg, uint32_t item, uint32_t worker);

/** The caller's thread is worker 0, so threads-1 are started. MTF_INVALID: threads is 0 or above
 *  64; MTF_NOMEM: no memory or no thread. */
mtf_status mtf_pool_new(mtf_pool **pool, uint32_t threads, mtf_err *err) MTF_NODISCARD;
void mtf_pool_free(mtf_pool *pool);
uint32_t mtf_pool_threads(const mtf_pool *pool);

/** Runs fn for every item below count and returns when all are done. What an item wrote is then
 *  visible. Which thread runs an item is not fixed: an item's result must not depend on it. */
void mtf_pool_run(mtf_pool *pool, uint32_t count, mtf_pool_fn fn, void *arg);

#endif
