#include "ingest/kafka_follow.h"

#include <stdlib.h>

#include "core/clock.h"
#include "ingest/kafka_source.h"

struct mtf_kafka_follower {
    mtf_source source;
    mtf_kafka_record_fn fn;
    void *arg;
    int64_t *next; /* by partition: offset after the last record or end seen, -1 before the start */
    int32_t count;
};

/** Starts a newly told partition at its first kept record: a concrete offset, since librdkafka
 * takes half a second to look up a logical one. */
static mtf_status on_assign(mtf_kafka_follower *follower, int32_t partition, mtf_err *err)
{
    int64_t first = 0, end = 0;
    if (partition >= follower->count) {
        int64_t *next = realloc(follower->next, (size_t)(partition + 1) * sizeof *next);
        if (!next) return mtf_fail(err, MTF_NOMEM, "kafka follower: out of memory");
        for (int32_t i = follower->count; i <= partition; i++) next[i] = -1;
        follower->next = next;
        follower->count = partition + 1;
    }
    mtf_status status = follower->source.range(follower->source.self, partition, &first, &end, err);
    if (!status) status = follower->source.start(follower->source.self, partition, first, err);
    if (!status) follower->next[partition] = first;
    return status;
}

/** One input. MTF_AGAIN: none came. */
static mtf_status step(mtf_kafka_follower *follower, int timeout_ms, mtf_err *err)
{
    mtf_input input;
    mtf_status status = follower->source.poll(follower->source.self, timeout_ms, &input, err);
    if (status) return status;
    switch (input.kind) {
    case MTF_INPUT_ASSIGN:
        return on_assign(follower, input.partition, err);
    case MTF_INPUT_END:
        follower->next[input.partition] = input.message.offset;
        return MTF_OK;
    case MTF_INPUT_MESSAGE:
        follower->next[input.partition] = input.message.offset + 1;
        status = follower->fn(follower->arg, &input.message, err);
        return status;
    case MTF_INPUT_REVOKE:
    case MTF_INPUT_LOST:
        break; /* not without a group */
    }
    return MTF_OK;
}

mtf_status mtf_kafka_follower_open(const mtf_settings *settings, const mtf_log *log,
                                   const char *topic, mtf_kafka_record_fn fn, void *arg,
                                   mtf_kafka_follower **follower, mtf_err *err)
{
    mtf_kafka_source *source = NULL;
    *follower = NULL;
    mtf_kafka_follower *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "kafka follower: out of memory");
    made->fn = fn;
    made->arg = arg;
    /* Every handle that assigns needs a group's name; nothing is ever committed to this one. */
    const mtf_kafka_source_config config = {.topic = topic, .group = "mtf-follow"};
    mtf_status status = mtf_kafka_source_open(settings, log, &config, &source, err);
    if (status) {
        free(made);
        return status;
    }
    made->source = mtf_kafka_source_pipe(source);
    /* The first poll that tells no partition comes after all were told. */
    while (!status && mtf_kafka_source_counters(source)->rebalances == 0) {
        status = step(made, 0, err);
        if (status == MTF_AGAIN) status = MTF_OK;
    }
    if (status) {
        mtf_kafka_follower_close(made);
        return status;
    }
    *follower = made;
    return MTF_OK;
}

mtf_status mtf_kafka_follower_catch_up(mtf_kafka_follower *follower, int timeout_ms, mtf_err *err)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    for (int32_t i = 0; i < follower->count; i++) {
        int64_t first = 0, end = 0;
        mtf_status status = follower->source.range(follower->source.self, i, &first, &end, err);
        while (!status && follower->next[i] < end) {
            status = step(follower, 100, err);
            if (status == MTF_AGAIN) status = MTF_OK;
            if (!status && follower->next[i] < end && mtf_clock_mono_ns() > deadline_ns) {
                return mtf_fail(err, MTF_AGAIN,
                                "partition %d: read to offset %lld of %lld in %d ms", i,
                                (long long)follower->next[i], (long long)end, timeout_ms);
            }
        }
        if (status) return status;
    }
    return MTF_OK;
}

mtf_status mtf_kafka_follower_poll(mtf_kafka_follower *follower, int timeout_ms, mtf_err *err)
{
    mtf_status status = step(follower, timeout_ms, err);
    while (status == MTF_OK) status = step(follower, 0, err);
    return status == MTF_AGAIN ? MTF_OK : status;
}

void mtf_kafka_follower_close(mtf_kafka_follower *follower)
{
    if (!follower) return;
    follower->source.close(follower->source.self);
    free(follower->next);
    free(follower);
}
