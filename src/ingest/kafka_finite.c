#include "ingest/kafka_finite.h"

#include <stdlib.h>

#include "ingest/kafka_source.h"

typedef struct finite_part {
    mtf_kafka_stretch stretch;
    bool done;
} finite_part;

typedef struct kafka_finite {
    mtf_source inner;
    finite_part *parts;
    size_t count, left; /* left: not read to their ends */
} kafka_finite;

static finite_part *find(const kafka_finite *finite, int32_t partition)
{
    for (size_t i = 0; i < finite->count; i++)
        if (finite->parts[i].stretch.partition == partition) return &finite->parts[i];
    return NULL;
}

/** `next` is where the partition stands. */
static void reach(kafka_finite *finite, finite_part *part, int64_t next)
{
    if (part->done || next < part->stretch.end) return;
    part->done = true;
    finite->left--;
}

static mtf_status poll_finite(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    kafka_finite *finite = self;
    if (finite->left == 0) return MTF_CLOSED;
    const mtf_status status = finite->inner.poll(finite->inner.self, timeout_ms, input, err);
    if (status != MTF_OK) return status;
    finite_part *part = find(finite, input->partition);
    if (!part || part->done) return MTF_AGAIN; /* not asked for, or past its end */
    const int64_t end = part->stretch.end;
    if (input->kind == MTF_INPUT_END) {
        reach(finite, part, input->message.offset);
        return finite->left == 0 ? MTF_CLOSED : MTF_AGAIN;
    }
    if (input->kind != MTF_INPUT_MESSAGE) return MTF_OK;
    reach(finite, part, input->message.offset + 1);
    if (input->message.offset < end) return MTF_OK;
    return finite->left == 0 ? MTF_CLOSED : MTF_AGAIN;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    const kafka_finite *finite = self;
    return finite->inner.start(finite->inner.self, partition, offset, err);
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    const finite_part *part = find(self, partition);
    if (!part) return mtf_fail(err, MTF_INVALID, "partition %d is not read", partition);
    *first = part->stretch.first;
    *end = part->stretch.end;
    return MTF_OK;
}

static mtf_status pause_all(void *self, bool paused, mtf_err *err)
{
    const kafka_finite *finite = self;
    return finite->inner.pause(finite->inner.self, paused, err);
}

static size_t headers(void *self, mtf_header *list, size_t capacity)
{
    const kafka_finite *finite = self;
    return finite->inner.headers(finite->inner.self, list, capacity);
}

static void close_finite(void *self)
{
    kafka_finite *finite = self;
    if (!finite) return;
    if (finite->inner.close) finite->inner.close(finite->inner.self);
    free(finite->parts);
    free(finite);
}

mtf_status mtf_kafka_finite_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *topic, const mtf_kafka_stretch *stretches,
                                 size_t count, mtf_source *source, mtf_err *err)
{
    /* Every handle that assigns needs a group's name; nothing is ever committed to this one. */
    const mtf_kafka_source_config config = {.topic = topic, .group = "mtf-read"};
    mtf_kafka_source *inner = NULL;
    kafka_finite *made = calloc(1, sizeof *made);
    if (made) made->parts = calloc(count + 1, sizeof *made->parts);
    if (!made || !made->parts) {
        close_finite(made);
        return mtf_fail(err, MTF_NOMEM, "kafka finite source: out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        if (stretches[i].first >= stretches[i].end) continue;
        made->parts[made->count++].stretch = stretches[i];
    }
    made->left = made->count;
    const mtf_status status = mtf_kafka_source_open(settings, log, &config, &inner, err);
    if (status != MTF_OK) {
        close_finite(made);
        return status;
    }
    made->inner = mtf_kafka_source_pipe(inner);
    *source = (mtf_source){.self = made,
                           .poll = poll_finite,
                           .start = start,
                           .range = range,
                           .pause = pause_all,
                           .close = close_finite,
                           .headers = headers};
    return MTF_OK;
}
