/** Exploration events for bench/ingest, from a seed, into a topic that exists.
 *
 *    events BOOTSTRAP TOPIC EVENTS USERS [COMPRESSION, default lz4]
 *
 *  Requests of about 480 bytes, 64 random floats of state in each, which no codec makes smaller.
 * All users take turns; each has a session of 20 requests half a minute apart, and the next one 45
 * minutes after the beginning of that. At the end come a few events of other users, later than all:
 * they close every session, and stay open. Event times begin with 2026, so that every run makes the
 * same bytes. Prints {"sessions", "events", "digest"} of the sessions that are to come of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "digest.h"
#include "core/encode.h"
#include "ingest/kafka_sink.h"

enum { STATE = 64, ACTION = 10, PREDICTIONS = 5, A_SESSION = 20, CLOSERS = 64 };
#define START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define STEP_MS  30000
#define ROUND_MS (45 * 60000)
#define CAP_MS   (6 * 3600000) /* sessionize.max_duration_ms */

typedef struct maker {
    const char *topic;
    mtf_sink sink;
    mtf_event event;
    mtf_item item;
    float floats[STATE + 4 * ACTION + PREDICTIONS];
    char user[32], id[32], session[48];
    mtf_buf record;
    bench_digest digest;
} maker;

static void set_up_event(maker *m)
{
    static const float sides[] = {0, 0, -0.15F, 0.15F};
    mtf_request *request = &m->event.body.request;
    mtf_floats *const actions[] = {&request->action, &request->baseline_action, &request->lower,
                                   &request->upper};
    float *at = m->floats;
    request->state = (mtf_floats){at, STATE};
    at += STATE;
    for (int block = 0; block < 4; block++) {
        *actions[block] = (mtf_floats){at, ACTION};
        for (int d = 0; d < ACTION; d++) *at++ = sides[block];
    }
    m->item = (mtf_item){.item_id = mtf_str_of("item-1"), .predictions = {at, PREDICTIONS}};
    m->event.kind = MTF_EVENT_REQUEST;
    request->policy_version = 1;
    request->sample_weight = 1;
    request->items = &m->item;
    request->item_count = 1;
}

static mtf_status send(maker *m, const char *user, uint64_t number, int64_t time_ms, mtf_err *err)
{
    mtf_rng rng = mtf_rng_of(11, number);
    for (int i = 0; i < STATE; i++) m->floats[i] = (float)(2 * mtf_rng_uniform(&rng) - 1);
    for (int i = 0; i < ACTION; i++)
        m->floats[STATE + i] = (float)(0.3 * mtf_rng_uniform(&rng) - 0.15);
    for (int i = 0; i < PREDICTIONS; i++)
        m->floats[STATE + 4 * ACTION + i] = (float)mtf_rng_uniform(&rng);
    snprintf(m->id, sizeof m->id, "request-%" PRIu64, number);
    m->event.user_id = mtf_str_of(user);
    m->event.event_id = mtf_str_of(m->id);
    m->event.event_time_ms = time_ms;
    mtf_buf_clear(&m->record);
    const mtf_status status = mtf_event_encode(&m->event, &m->record, err);
    if (status) return status;
    return m->sink.put(m->sink.self, m->topic, (mtf_span){(const uint8_t *)user, strlen(user)},
                       mtf_buf_span(&m->record), NULL, 0, 0, err);
}

/** The next user whose sessions the sessionizer's cap leaves whole: the rivals know no cap. */
static uint64_t next_user(uint64_t number)
{
    char user[32];
    for (;; number++) {
        snprintf(user, sizeof user, "user-%07" PRIu64, number);
        const mtf_str name = mtf_str_of(user);
        bool whole = true;
        for (int64_t at = START_MS; at < START_MS + CAP_MS && whole; at += ROUND_MS) {
            whole = mtf_session_bucket(name, at, CAP_MS) ==
                    mtf_session_bucket(name, at + ROUND_MS * 2 / 3, CAP_MS);
        }
        if (whole) return number;
    }
}

static mtf_status make_all(maker *m, uint64_t events, uint64_t users, mtf_err *err)
{
    uint64_t *numbers = calloc(users, sizeof *numbers);
    uint64_t *sums = calloc(users, sizeof *sums);
    mtf_status status =
        numbers && sums ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for the users");
    for (uint64_t u = 0, next = 0; u < users && !status; u++, next++)
        next = numbers[u] = next_user(next);
    const uint64_t steps = events / users;
    for (uint64_t i = 0; i < steps * users && !status; i++) {
        const uint64_t step = i / users, u = i % users;
        const int64_t round = (int64_t)(step / A_SESSION), turn = (int64_t)(step % A_SESSION);
        snprintf(m->user, sizeof m->user, "user-%07" PRIu64, numbers[u]);
        status = send(m, m->user, i,
                      START_MS + round * ROUND_MS + turn * STEP_MS + (int64_t)(u % STEP_MS), err);
        bench_digest_event(&sums[u], &m->event);
        if (turn == A_SESSION - 1) bench_digest_session(&m->digest, &sums[u], A_SESSION);
    }
    const int64_t end_ms = START_MS + (int64_t)(steps / A_SESSION + 1) * ROUND_MS;
    for (uint64_t i = 0; i < CLOSERS && !status; i++) {
        snprintf(m->user, sizeof m->user, "closer-%" PRIu64, i);
        status = send(m, m->user, steps * users + i, end_ms, err);
    }
    free(numbers);
    free(sums);
    return status;
}

static mtf_status run(maker *m, char **words, uint64_t events, uint64_t users, mtf_err *err)
{
    mtf_settings settings = {0};
    mtf_status status = mtf_settings_init(&settings, err);
    if (!status)
        status = mtf_settings_set(&settings, "kafka.bootstrap_servers", words[1], "bench", err);
    if (!status)
        status = mtf_settings_set(&settings, "kafka.producer.compression.type",
                                  words[5] ? words[5] : "lz4", "bench", err);
    if (!status) status = mtf_kafka_sink_open(&settings, NULL, NULL, &m->sink, err);
    if (!status) {
        status = m->sink.begin(m->sink.self, err);
        if (!status) status = make_all(m, events, users, err);
        if (!status) status = m->sink.commit(m->sink.self, NULL, 0, err);
        m->sink.close(m->sink.self);
    }
    mtf_settings_fini(&settings);
    return status;
}

int main(int argc, char **argv)
{
    mtf_err err = {0};
    const uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    const uint64_t users = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    if (argc > 6 || users < 1 || events < users * A_SESSION || events % (users * A_SESSION) != 0) {
        fprintf(stderr,
                "usage: events BOOTSTRAP TOPIC EVENTS USERS [COMPRESSION]; EVENTS a multiple "
                "of %d * USERS\n",
                A_SESSION);
        return 64;
    }
    maker m = {.topic = argv[2]};
    set_up_event(&m);
    const mtf_status status = run(&m, argv, events, users, &err);
    mtf_buf_fini(&m.record);
    if (status) {
        fprintf(stderr, "events: %s\n", err.msg);
        return 1;
    }
    bench_digest_print(&m.digest);
    return 0;
}
