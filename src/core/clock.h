/** The two clocks. Nothing that decides about data reads either: data time comes from records. */
#ifndef MTF_CLOCK_H
#define MTF_CLOCK_H

#include <stdint.h>

/** Wall clock, ms since the epoch. */
int64_t mtf_clock_wall_ms(void);
/** Monotonic, ns from an arbitrary start: for durations and timeouts. */
int64_t mtf_clock_mono_ns(void);
/** The same in milliseconds, up to a few (a tick of the kernel's) behind: for loops that look with
 *  every record, at a fifth of the cost. */
int64_t mtf_clock_coarse_ms(void);

#endif
