/** Counters and gauges with Prometheus names. A set belongs to one stage and is written by its one
 *  thread; others may read (relaxed atomics). */
#ifndef MTF_METRICS_H
#define MTF_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic int64_t mtf_counter;

static inline void mtf_counter_add(mtf_counter *counter, int64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}
static inline int64_t mtf_counter_get(const mtf_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
