/** What feeding costs a gradient step. */
#ifndef MTF_BENCH_FED_H
#define MTF_BENCH_FED_H

#include "core/settings.h"
#include "learner/store.h"

/** Feeds the default learner (of the settings: H, threads, steps of a round) from the store, as a
 *  round does, through the whole life of a slice: its draws, and the load of the next one
 * meanwhile. Prints members of a JSON object, each with a comma before it. */
mtf_status bench_fed(const mtf_store *store, const mtf_settings *settings,
                     mtf_err *err) MTF_NODISCARD;

#endif
