/** What sessions hold, in any order of sessions, so that outputs of different programs compare:
 * their number, their events, and a sum over sessions of a hash of (user, event id, time, state,
 * action) of each event in its order. */
#ifndef MTF_BENCH_DIGEST_H
#define MTF_BENCH_DIGEST_H

#include <inttypes.h>
#include <stdio.h>

#include "core/event.h"
#include "core/hash.h"

typedef struct bench_digest {
    uint64_t sessions, events, sum;
} bench_digest;

static inline uint64_t bench_mix(uint64_t sum, const void *data, size_t size)
{
    const uint64_t both[2] = {sum, mtf_hash64(data, size)};
    return mtf_hash64(both, sizeof both);
}

/** Adds the next request of a session to its sum, 0 at first. */
static inline void bench_digest_request(uint64_t *sum, mtf_str user, mtf_str id, int64_t time_ms,
                                        const mtf_request *request)
{
    *sum = bench_mix(*sum, user.data, user.size);
    *sum = bench_mix(*sum, id.data, id.size);
    *sum = bench_mix(*sum, &time_ms, sizeof time_ms);
    *sum = bench_mix(*sum, request->state.data, sizeof(float) * request->state.count);
    *sum = bench_mix(*sum, request->action.data, sizeof(float) * request->action.count);
}

static inline void bench_digest_event(uint64_t *sum, const mtf_event *event)
{
    bench_digest_request(sum, event->user_id, event->event_id, event->event_time_ms,
                         &event->body.request);
}

/** The session is complete; its sum starts anew. */
static inline void bench_digest_session(bench_digest *digest, uint64_t *sum, uint64_t events)
{
    digest->sessions++;
    digest->events += events;
    digest->sum += *sum;
    *sum = 0;
}

static inline void bench_digest_print(const bench_digest *digest)
{
    printf("{\"sessions\": %" PRIu64 ", \"events\": %" PRIu64 ", \"digest\": \"%016" PRIx64 "\"}\n",
           digest->sessions, digest->events, digest->sum);
}

#endif
