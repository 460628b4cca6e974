#include "ingest/kafka_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "ingest/kafka_rebalance.h"

enum {
    CALL_MS = 10000, /* one question to the brokers */
    ASKED_AGAIN_MS = 1000,
    RETRY_MS = 100,   /* between two of the same */
    WIDEN_MS = 60000, /* a source without a group looks for new partitions this often */
};

/** First and end offsets, asked again while the brokers are between leaders, as just after a topic
 *  is made or a broker starts; MTF_AGAIN after ask_ms of that. Who has to poll waits less, and may
 *  ask for many partitions in a row. */
static mtf_status ask_range(const mtf_kafka_source *source, int32_t partition, int64_t *first,
                            int64_t *end, mtf_err *err)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)source->ask_ms * 1000000;
    for (;;) {
        const rd_kafka_resp_err_t code =
            mtf_kafka_range(&source->handle, source->topic, partition, source->ask_ms, first, end);
        if (!code) return MTF_OK;
        const mtf_status status = mtf_kafka_fail(&source->handle, code, err, "offsets of %s/%d",
                                                 source->topic, partition);
        if (status != MTF_AGAIN || mtf_clock_mono_ns() >= deadline_ns) return status;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    }
}

/** Mid-stream "out of range": a real loss unless the log still has the position (librdkafka also
 *  reports failed offset queries so); then reading just starts again from it. */
static mtf_status lost_position(mtf_kafka_source *source, const rd_kafka_message_t *message,
                                mtf_err *err)
{
    int64_t first = 0, end = 0;
    mtf_kafka_part *part = &source->parts[message->partition];
    mtf_status status = ask_range(source, message->partition, &first, &end, err);
    if (status == MTF_OK && first <= part->next && part->next <= end) status = MTF_AGAIN;
    /* librdkafka reads no further by itself: to it the position is bad until it is told one. */
    if (status == MTF_AGAIN) source->stale = true;
    if (status) return status;
    if (part->next < first && source->count_gaps)
        mtf_counter_add(&source->counts.gaps, first - part->next);
    return mtf_fail(
        err, MTF_CORRUPT, "%s/%d: offset %lld is not in the log, which holds %lld to %lld: %s",
        source->topic, message->partition, (long long)part->next, (long long)first, (long long)end,
        part->next < first ? "retention removed it before it was read"
                           : "the log was cut short or made anew");
}

/** Errors that come in the place of a message. */
static mtf_status on_error(mtf_kafka_source *source, const rd_kafka_message_t *message,
                           mtf_err *err)
{
    const bool known = message->partition >= 0 && message->partition < source->part_count;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && known) {
        return source->parts[message->partition].started ? lost_position(source, message, err)
                                                         : MTF_AGAIN;
    }
    const mtf_status status = mtf_kafka_fail(&source->handle, message->err, err, "read %s/%d",
                                             source->topic, message->partition);
    if (status == MTF_AGAIN) {
        mtf_log_line(source->handle.log, MTF_LOG_WARN, "kafka.read",
                     "topic=%s partition=%d reason=\"%s\"", source->topic, message->partition,
                     rd_kafka_message_errstr(message));
    }
    return status;
}

/** Whether the log goes on behind an end: read_committed stops where a transaction began that has
 *  not ended. The log's own end came with the fetch that ended here. */
static bool more_behind(const mtf_kafka_source *source, const rd_kafka_message_t *message)
{
    int64_t first = 0, end = 0;
    return !rd_kafka_get_watermark_offsets(source->handle.rk, source->topic, message->partition,
                                           &first, &end) &&
           end > message->offset;
}

/** A message or an end of partition as an input; MTF_AGAIN when it is not for the stage. */
static mtf_status hand_out(mtf_kafka_source *source, const rd_kafka_message_t *message,
                           mtf_input *input)
{
    mtf_kafka_part *part = &source->parts[message->partition];
    if (!part->started || message->offset < part->next)
        return MTF_AGAIN; /* fetched before a start or revoke */
    input->partition = message->partition;
    input->message = (mtf_message){.topic = mtf_str_of(source->topic),
                                   .partition = message->partition,
                                   .offset = message->offset};
    if (message->err) {
        input->kind = MTF_INPUT_END;
        input->pending = more_behind(source, message);
        return MTF_OK;
    }
    input->kind = MTF_INPUT_MESSAGE;
    input->message.timestamp_ms = rd_kafka_message_timestamp(message, NULL);
    input->message.key = (mtf_span){message->key, message->key_len};
    input->message.value = (mtf_span){message->payload, message->len};
    if (source->count_gaps) mtf_counter_add(&source->counts.gaps, message->offset - part->next);
    mtf_counter_add(&source->counts.messages, 1);
    mtf_counter_add(&source->counts.bytes, (int64_t)(message->key_len + message->len));
    part->next = message->offset + 1;
    input->next_key = (mtf_span){0};
    if (source->handed < source->taken && !source->batch[source->handed]->err) {
        const rd_kafka_message_t *next = source->batch[source->handed];
        input->next_partition = next->partition;
        input->next_key = (mtf_span){next->key, next->key_len};
    }
    return MTF_OK;
}

/** Partitions added to the topic since the last look. */
static mtf_status widen(mtf_kafka_source *source, mtf_err *err)
{
    int32_t count = 0;
    const int64_t now_ns = mtf_clock_mono_ns();
    if (source->grouped || now_ns - source->widened_ns < (int64_t)WIDEN_MS * 1000000) return MTF_OK;
    source->widened_ns = now_ns;
    /* Brokers that do not answer now will at the next look. */
    if (mtf_kafka_partition_count(&source->handle, source->topic, CALL_MS, &count, NULL))
        return MTF_OK;
    return mtf_kafka_take(source, count, err);
}

static void drop_batch(mtf_kafka_source *source)
{
    while (source->handed < source->taken)
        rd_kafka_message_destroy(source->batch[source->handed++]);
}

/** The next of a batch, which costs a lock and looks at the clock once for all of it; a batch waits
 *  for its last, so what is not there is waited for alone. NULL: nothing came, or a rebalance,
 * after which what came with it is no longer ours. */
static rd_kafka_message_t *next_message(mtf_kafka_source *source, int timeout_ms)
{
    if (source->handed == source->taken) {
        const ssize_t count =
            rd_kafka_consume_batch_queue(source->queue, 0, source->batch, MTF_KAFKA_BATCH);
        source->handed = 0;
        source->taken = count > 0 ? (size_t)count : 0;
        if (source->step != MTF_KAFKA_NONE) drop_batch(source);
        if (source->step == MTF_KAFKA_NONE && source->taken == 0)
            return rd_kafka_consumer_poll(source->handle.rk, timeout_ms);
    }
    return source->handed < source->taken ? source->batch[source->handed++] : NULL;
}

static mtf_status poll_source(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    mtf_kafka_source *source = self;
    if (source->lent) rd_kafka_message_destroy(source->lent);
    source->lent = NULL;
    mtf_status status = mtf_kafka_rebalance(source, timeout_ms, input, err);
    if (status != MTF_CLOSED) return status;
    if (source->stale) drop_batch(source);
    status = source->stale && source->held ? mtf_kafka_apply(source, err) : MTF_OK;
    if (status) return status;

    rd_kafka_message_t *message = next_message(source, timeout_ms);
    if (!message) {
        if (rd_kafka_fatal_error(source->handle.rk, NULL, 0)) {
            return mtf_kafka_fail(&source->handle, RD_KAFKA_RESP_ERR__FATAL, err, "read %s",
                                  source->topic);
        }
        status = source->step == MTF_KAFKA_NONE ? widen(source, err) : MTF_OK;
        return status ? status : MTF_AGAIN;
    }
    /* Whatever comes after a revoke's callback is no longer ours; what was started meanwhile will
     * be read again from its position. */
    if (source->step != MTF_KAFKA_NONE)
        status = MTF_AGAIN;
    else if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        status = on_error(source, message, err);
    else
        status = hand_out(source, message, input);
    if (status == MTF_OK)
        source->lent = message;
    else
        rd_kafka_message_destroy(message);
    return status;
}

static mtf_status start_partition(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    mtf_kafka_source *source = self;
    MTF_ASSERT(offset >= 0);
    if (partition < 0 || partition >= source->part_count || !source->parts[partition].ours) {
        return mtf_fail(err, MTF_INVALID, "start %s/%d: the partition is not assigned to us",
                        source->topic, partition);
    }
    source->parts[partition].started = true;
    source->parts[partition].next = offset;
    source->stale = true;
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    return ask_range(self, partition, first, end, err);
}

static mtf_status committed(void *self, int32_t partition, int64_t *offset, char *metadata,
                            mtf_err *err)
{
    return mtf_kafka_committed(self, partition, offset, metadata, err);
}

static mtf_status pause_all(void *self, bool paused, mtf_err *err)
{
    mtf_kafka_source *source = self;
    (void)err;
    if (source->paused != paused) source->stale = true;
    source->paused = paused;
    return MTF_OK;
}

static void close_source(void *self)
{
    mtf_kafka_source *source = self;
    if (!source) return;
    if (source->lent) rd_kafka_message_destroy(source->lent);
    drop_batch(source);
    if (source->queue) rd_kafka_queue_destroy(source->queue);
    if (source->handle.rk) {
        /* A rebalance that was told is answered now, or close would wait for it for ever. One that
         * was not told yet is not: close tells it when nobody takes a second answer any more, and
         * would wait for that. */
        source->closing = true;
        if (!source->grouped || source->step != MTF_KAFKA_NONE) mtf_kafka_assign(source, NULL);
        rd_kafka_consumer_close(source->handle.rk);
        if (source->change) rd_kafka_topic_partition_list_destroy(source->change);
        if (source->membership) rd_kafka_consumer_group_metadata_destroy(source->membership);
        rd_kafka_destroy(source->handle.rk);
    }
    free(source->parts);
    free(source);
}

static size_t headers_of_lent(void *self, mtf_header *headers, size_t capacity)
{
    const mtf_kafka_source *source = self;
    rd_kafka_headers_t *list = NULL;
    const char *name;
    const void *value;
    size_t count = 0, size;
    if (!source->lent || rd_kafka_message_headers(source->lent, &list)) return 0;
    for (; !rd_kafka_header_get_all(list, count, &name, &value, &size); count++) {
        if (count < capacity) headers[count] = (mtf_header){mtf_str_of(name), {value, size}};
    }
    return count;
}

mtf_source mtf_kafka_source_pipe(mtf_kafka_source *source)
{
    return (mtf_source){source,    poll_source,  start_partition, range,
                        pause_all, close_source, committed,       headers_of_lent};
}

int64_t mtf_kafka_source_end(const mtf_kafka_source *source, int32_t partition)
{
    int64_t first = -1, end = -1;
    const rd_kafka_resp_err_t code =
        rd_kafka_get_watermark_offsets(source->handle.rk, source->topic, partition, &first, &end);
    return code || end < 0 ? -1 : end;
}

bool mtf_kafka_source_reaches(const mtf_kafka_source *source, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(source->handle.rk, 0, NULL, &metadata, timeout_ms)) return false;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

const mtf_kafka_source_counts *mtf_kafka_source_counters(const mtf_kafka_source *source)
{
    return &source->counts;
}

mtf_status mtf_kafka_instance(const char *setting, char name[MTF_KAFKA_INSTANCE_CHARS],
                              mtf_err *err)
{
    snprintf(name, MTF_KAFKA_INSTANCE_CHARS, "%s", setting);
    if (name[0] == '\0') {
        if (gethostname(name, MTF_KAFKA_INSTANCE_CHARS) != 0) name[0] = '\0';
        name[MTF_KAFKA_INSTANCE_CHARS - 1] = '\0';
    }
    if (name[0] != '\0') return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "sessionize.instance is empty and the host has no name: set it");
}

/** Group, static member name and the callback. */
static mtf_status set_membership(rd_kafka_conf_t *conf, const mtf_kafka_source_config *config,
                                 mtf_err *err)
{
    char instance[MTF_KAFKA_INSTANCE_CHARS];
    mtf_status status = mtf_kafka_conf_set(conf, "group.id", config->group, err);
    if (status || !config->instance) return status;
    rd_kafka_conf_set_rebalance_cb(conf, mtf_kafka_on_rebalance);
    status = mtf_kafka_instance(config->instance, instance, err);
    return status ? status : mtf_kafka_conf_set(conf, "group.instance.id", instance, err);
}

/** Joins the group, or takes all partitions. */
static mtf_status enter(mtf_kafka_source *source, mtf_err *err)
{
    int32_t count = 0;
    mtf_status status =
        mtf_kafka_find_topic(&source->handle, source->topic, CALL_MS, NULL, &count, err);
    if (status) return status;
    rd_kafka_poll_set_consumer(source->handle.rk);
    source->queue = rd_kafka_queue_get_consumer(source->handle.rk);
    if (!source->grouped) return mtf_kafka_take(source, count, err);
    return mtf_kafka_subscribe(&source->handle, source->topic, err);
}

mtf_status mtf_kafka_source_open(const mtf_settings *settings, const mtf_log *log,
                                 const mtf_kafka_source_config *config, mtf_kafka_source **source,
                                 mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    *source = NULL;
    mtf_kafka_source *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "kafka source: out of memory");
    made->handle = (mtf_kafka_handle){.log = log, .role = "consumer", .owner = made};
    made->grouped = config->instance != NULL;
    made->count_gaps = config->count_gaps;
    made->ask_ms = made->grouped || config->asks_again ? ASKED_AGAIN_MS : CALL_MS;
    made->widened_ns = mtf_clock_mono_ns();
    snprintf(made->topic, sizeof made->topic, "%s", config->topic);
    snprintf(made->group, sizeof made->group, "%s", config->group);
    made->handle.group = made->group;
    mtf_status status = mtf_kafka_conf(settings, MTF_KAFKA_CONSUMER, &made->handle, &conf, err);
    if (!status) status = set_membership(conf, config, err);
    if (!status) status = mtf_kafka_handle_open(&made->handle, RD_KAFKA_CONSUMER, &conf, err);
    if (!status) status = enter(made, err);
    if (status) {
        if (conf) rd_kafka_conf_destroy(conf);
        close_source(made);
        return status;
    }
    *source = made;
    return MTF_OK;
}
