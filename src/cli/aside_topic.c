#include "cli/aside_topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

enum {
    POLL_MS = 200,
    STALL_MS = 60000,        /* nothing comes though the end is not reached */
    MARK_BYTES_MAX = 100000, /* of one marking record, about */
};

/** Every record from the first of the stretches on; `mark`: it says what was replayed. */
typedef mtf_status (*raw_fn)(void *arg, aside_record *record, const mtf_header *mark, mtf_err *err);

static mtf_status read_record(const mtf_source *source, const mtf_input *input, raw_fn fn,
                              void *arg, mtf_err *err)
{
    aside_record record = {.message = input->message};
    const mtf_header *mark = NULL;
    record.header_count = source->headers(source->self, record.headers, ASIDE_HEADERS_MAX);
    if (record.header_count > ASIDE_HEADERS_MAX) record.header_count = ASIDE_HEADERS_MAX;
    record.foreign = !mtf_origin_read(record.headers, record.header_count, &record.origin);
    for (size_t i = 0; record.foreign && i < record.header_count; i++)
        if (mtf_str_is(record.headers[i].name, ASIDE_MARK_HEADER)) mark = &record.headers[i];
    return fn(arg, &record, mark, err);
}

static mtf_status read_all(const aside_topic *topic, raw_fn fn, void *arg, mtf_err *err)
{
    const stage_context *context = topic->context;
    mtf_source source = {0};
    mtf_input input;
    int64_t heard_ns = mtf_clock_mono_ns();
    mtf_status status =
        mtf_kafka_finite_open(context->settings, context->log, topic->name, topic->stretches,
                              (size_t)topic->partition_count, &source, err);
    while (status == MTF_OK) {
        if (atomic_load(context->stop)) {
            status = mtf_fail(err, MTF_CLOSED, "stopped while reading %s", topic->name);
            break;
        }
        status = source.poll(source.self, POLL_MS, &input, err);
        if (status == MTF_CLOSED) break;
        if (status == MTF_AGAIN) {
            const bool stalled = mtf_clock_mono_ns() - heard_ns > STALL_MS * INT64_C(1000000);
            status = stalled ? mtf_fail(err, MTF_BROKER, "%s: nothing more came for %d s",
                                        topic->name, STALL_MS / 1000)
                             : MTF_OK;
            continue;
        }
        if (status != MTF_OK) break;
        heard_ns = mtf_clock_mono_ns();
        if (input.kind == MTF_INPUT_ASSIGN)
            status = source.start(source.self, input.partition,
                                  topic->stretches[input.partition].first, err);
        else if (input.kind == MTF_INPUT_MESSAGE)
            status = read_record(&source, &input, fn, arg, err);
    }
    if (source.close) source.close(source.self);
    if (status == MTF_CLOSED && !atomic_load(context->stop)) return MTF_OK; /* drained */
    return status;
}

static mtf_status take_mark(void *arg, aside_record *record, const mtf_header *mark, mtf_err *err)
{
    aside_topic *topic = arg;
    mtf_err why = {0};
    if (!mark) return MTF_OK;
    const mtf_status status = aside_marks_parse(&topic->marks, record->message.value, &why);
    if (status == MTF_OK) return MTF_OK;
    return mtf_fail(err, status, "%s/%" PRId32 "@%" PRId64 ": %s", topic->name,
                    record->message.partition, record->message.offset, why.msg);
}

/** From the filter's time to the end as it is now. */
static mtf_status find_stretches(aside_topic *topic, mtf_kafka_client *client, mtf_err *err)
{
    const int32_t count = topic->partition_count;
    topic->stretches = calloc((size_t)count, sizeof *topic->stretches);
    int64_t *numbers = calloc((size_t)count, 4 * sizeof *numbers);
    if (!topic->stretches || !numbers) {
        free(numbers);
        return mtf_fail(err, MTF_NOMEM, "no memory for %" PRId32 " partitions", count);
    }
    int64_t *firsts = numbers, *ends = numbers + count, *from = numbers + 2 * count;
    int64_t *times_ms = numbers + 3 * count;
    for (int32_t i = 0; i < count; i++) times_ms[i] = topic->filter.from_ms;
    mtf_status status = mtf_kafka_client_ranges(client, topic->name, count, firsts, ends, err);
    if (status == MTF_OK && topic->filter.from_ms > 0)
        status = mtf_kafka_client_offsets_at(client, topic->name, count, times_ms, from, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++)
        topic->stretches[i] =
            (mtf_kafka_stretch){i, topic->filter.from_ms > 0 ? from[i] : firsts[i], ends[i]};
    free(numbers);
    return status;
}

mtf_status aside_topic_open(aside_topic *topic, const stage_context *context, const char *name,
                            const aside_filter *filter, mtf_err *err)
{
    mtf_kafka_client *client = NULL;
    *topic = (aside_topic){.context = context, .name = name, .filter = *filter};
    mtf_status status = stage_client_open(context, NULL, 0, &client, err);
    if (status == MTF_OK)
        status = mtf_kafka_client_partitions(client, name, &topic->partition_count, err);
    if (status == MTF_OK) status = find_stretches(topic, client, err);
    mtf_kafka_client_close(client);
    return status;
}

mtf_status aside_topic_read_marks(aside_topic *topic, mtf_err *err)
{
    return read_all(topic, take_mark, topic, err);
}

void aside_topic_close(aside_topic *topic)
{
    free(topic->stretches);
    aside_marks_fini(&topic->marks);
    aside_marks_fini(&topic->fresh);
    *topic = (aside_topic){0};
}

/** The reader that read_all's records go to, through the filter. */
typedef struct selection {
    const aside_topic *topic;
    aside_fn fn;
    void *arg;
} selection;

static mtf_status select_record(void *arg, aside_record *record, const mtf_header *mark,
                                mtf_err *err)
{
    const selection *s = arg;
    const aside_filter *filter = &s->topic->filter;
    const mtf_message *message = &record->message;
    if (mark || message->timestamp_ms < filter->from_ms || message->timestamp_ms >= filter->to_ms)
        return MTF_OK;
    if (filter->reason && (record->foreign || !mtf_str_is(record->origin.reason, filter->reason)))
        return MTF_OK;
    record->replayed = aside_marks_has(&s->topic->marks, message->partition, message->offset);
    return s->fn(s->arg, record, err);
}

/** Moves all of `from`. */
static mtf_status move_marks(aside_marks *to, aside_marks *from, mtf_err *err)
{
    mtf_status status = MTF_OK;
    for (size_t i = 0; status == MTF_OK && i < from->count; i++)
        status = aside_marks_add(to, from->data[i].partition, from->data[i].offset, err);
    aside_marks_fini(from);
    return status;
}

mtf_status aside_topic_note_marks(aside_topic *topic, aside_marks *done, mtf_err *err)
{
    return move_marks(&topic->fresh, done, err);
}

mtf_status aside_topic_each(aside_topic *topic, aside_fn fn, void *arg, mtf_err *err)
{
    const mtf_status status = move_marks(&topic->marks, &topic->fresh, err);
    if (status != MTF_OK) return status;
    aside_marks_sort(&topic->marks);
    selection s = {topic, fn, arg};
    return read_all(topic, select_record, &s, err);
}

/** A key that our sinks put into this partition. */
static void key_of(int32_t partition, int32_t partition_count, char key[32])
{
    int i = 0;
    do snprintf(key, 32, "mtf-replayed-%d", i++);
    while (mtf_kafka_partition_of(mtf_str_of(key), partition_count) != partition);
}

mtf_status aside_topic_put_marks(const aside_topic *topic, mtf_sink *sink, aside_marks *done,
                                 mtf_err *err)
{
    const mtf_header header = {mtf_str_of(ASIDE_MARK_HEADER), {(const uint8_t *)"1", 1}};
    mtf_status status = MTF_OK;
    mtf_buf text = {0};
    size_t at = 0;
    aside_marks_sort(done);
    while (status == MTF_OK && at < done->count) {
        char key[32];
        key_of(done->data[at].partition, topic->partition_count, key);
        mtf_buf_clear(&text);
        aside_marks_print(done, &at, MARK_BYTES_MAX, &text);
        status = text.failed ? mtf_fail(err, MTF_NOMEM, "no memory to mark what was replayed")
                             : sink->put(sink->self, topic->name,
                                         (mtf_span){(const uint8_t *)key, strlen(key)},
                                         mtf_buf_span(&text), &header, 1, 0, err);
    }
    mtf_buf_fini(&text);
    return status;
}
