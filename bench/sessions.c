/** Reads a topic of sessions to its end and prints what they hold, as digest.h says it.
 *
 *    sessions BOOTSTRAP TOPIC ours      mtf's sessions
 *    sessions BOOTSTRAP TOPIC joined    events joined as bytes, each with a length of 4 bytes
 * (big-endian) before it */
#include <stdio.h>
#include <stdlib.h>

#include "digest.h"
#include "ingest/decoder.h"
#include "ingest/kafka_follow.h"

typedef struct reader {
    mtf_event_decoder events;
    mtf_session_decoder sessions;
    mtf_arena arena;
    bench_digest digest;
} reader;

static mtf_status read_ours(void *arg, const mtf_message *message, mtf_err *err)
{
    reader *r = arg;
    mtf_session session;
    uint64_t sum = 0;
    mtf_arena_reset(&r->arena);
    const mtf_status status =
        r->sessions.decode(r->sessions.self, message->value, &r->arena, &session, err);
    if (status) return status;
    if (session.parts != 1) return mtf_fail(err, MTF_INVALID, "a session in parts");
    for (uint32_t i = 0; i < session.step_count; i++) {
        const mtf_step *step = &session.steps[i];
        bench_digest_request(&sum, session.user_id, step->event_id, step->time_ms, &step->request);
    }
    bench_digest_session(&r->digest, &sum, session.step_count);
    return MTF_OK;
}

static mtf_status read_joined(void *arg, const mtf_message *message, mtf_err *err)
{
    reader *r = arg;
    mtf_span rest = message->value;
    uint64_t sum = 0, count = 0;
    for (; rest.size > 0; count++) {
        mtf_event event;
        const uint8_t *head = rest.data;
        size_t size = SIZE_MAX;
        if (rest.size >= 4)
            size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (size > rest.size - 4) return mtf_fail(err, MTF_INVALID, "a joined record is cut short");
        mtf_arena_reset(&r->arena);
        const mtf_status status =
            r->events.decode(r->events.self, (mtf_span){head + 4, size}, &r->arena, &event, err);
        if (status) return status;
        bench_digest_event(&sum, &event);
        rest = (mtf_span){head + 4 + size, rest.size - 4 - size};
    }
    bench_digest_session(&r->digest, &sum, count);
    return MTF_OK;
}

static mtf_status run(reader *r, char **words, mtf_err *err)
{
    mtf_settings settings = {0};
    mtf_decoder *decoder = NULL;
    mtf_kafka_follower *follower = NULL;
    const bool ours = strcmp(words[3], "ours") == 0;
    mtf_status status = mtf_settings_init(&settings, err);
    if (!status)
        status = mtf_settings_set(&settings, "kafka.bootstrap_servers", words[1], "bench", err);
    if (!status) status = mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, err);
    if (!status) {
        r->events = mtf_decoder_events(decoder);
        r->sessions = mtf_decoder_sessions(decoder);
        status = mtf_kafka_follower_open(&settings, NULL, words[2], ours ? read_ours : read_joined,
                                         r, &follower, err);
    }
    if (!status) status = mtf_kafka_follower_catch_up(follower, 120000, err);
    if (follower) mtf_kafka_follower_close(follower);
    mtf_arena_fini(&r->arena);
    mtf_decoder_close(decoder);
    mtf_settings_fini(&settings);
    return status;
}

int main(int argc, char **argv)
{
    mtf_err err = {0};
    reader r = {0};
    if (argc != 4 || (strcmp(argv[3], "ours") != 0 && strcmp(argv[3], "joined") != 0)) {
        fprintf(stderr, "usage: sessions BOOTSTRAP TOPIC ours|joined\n");
        return 64;
    }
    const mtf_status status = run(&r, argv, &err);
    if (status) {
        fprintf(stderr, "sessions: %s\n", err.msg);
        return 1;
    }
    bench_digest_print(&r.digest);
    return 0;
}
