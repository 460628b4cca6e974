#include "ingest/kafka_sink.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/kafka_rebalance.h"

enum {
    QUEUE_WAIT_MS = 100,
    FLUSH_MS = 500,
    OVERHEAD_BYTES = 16384, /* left of message.max.bytes for key and headers */
    POLL_EVERY = 64,        /* puts between two looks at delivery reports */
};

typedef struct kafka_sink {
    mtf_kafka_handle handle;
    mtf_kafka_source *source;
    size_t message_bytes_max, queue_messages_max;
    uintptr_t unit; /* counts begin..commit; a record carries it as its opaque */
    uint32_t puts;
    rd_kafka_resp_err_t failure; /* the unit's first delivery failure */
    char failed_topic[250];
    mtf_kafka_sink_counts counts;
} kafka_sink;

/** Inside rd_kafka_poll and rd_kafka_flush. A report of an older, aborted unit does not concern
 * this one. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    kafka_sink *sink = ((mtf_kafka_handle *)opaque)->owner;
    (void)rk;
    if (!message->err) {
        mtf_counter_add(&sink->counts.acked, 1);
        return;
    }
    mtf_counter_add(&sink->counts.failed, 1);
    if ((uintptr_t)message->_private != sink->unit || sink->failure) return;
    sink->failure = message->err;
    snprintf(sink->failed_topic, sizeof sink->failed_topic, "%s",
             rd_kafka_topic_name(message->rkt));
}

static mtf_status begin(void *self, mtf_err *err)
{
    kafka_sink *sink = self;
    (void)err;
    sink->unit++;
    sink->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    return MTF_OK;
}

static mtf_status headers_of(const mtf_header *headers, size_t count, rd_kafka_headers_t **list,
                             mtf_err *err)
{
    *list = count > 0 ? rd_kafka_headers_new(count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_resp_err_t code =
            rd_kafka_header_add(*list, headers[i].name.data, (ssize_t)headers[i].name.size,
                                headers[i].value.data, (ssize_t)headers[i].value.size);
        if (code) {
            rd_kafka_headers_destroy(*list);
            *list = NULL;
            return mtf_fail(err, MTF_INVALID, "header %zu: %s", i, rd_kafka_err2str(code));
        }
    }
    return MTF_OK;
}

static mtf_status put(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    kafka_sink *sink = self;
    rd_kafka_headers_t *list = NULL;
    rd_kafka_resp_err_t code;
    size_t bytes = key.size + value.size;
    for (size_t i = 0; i < header_count; i++)
        bytes += headers[i].name.size + headers[i].value.size + 16;
    if (bytes > sink->message_bytes_max) {
        return mtf_fail(err, MTF_NOMEM,
                        "record of %zu bytes for %s: kafka.producer.message.max.bytes is %zu",
                        bytes, topic, sink->message_bytes_max);
    }
    const mtf_status status = headers_of(headers, header_count, &list, err);
    if (status) return status;
    if (++sink->puts % POLL_EVERY == 0) rd_kafka_poll(sink->handle.rk, 0);
    do {
        /* Without the RD_KAFKA_V_ macros, which need a GNU extension; librdkafka copies all but the
         * headers, which it owns on success only. */
        code = rd_kafka_producev(sink->handle.rk, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_KEY,
                                 (const void *)key.data, key.size, RD_KAFKA_VTYPE_VALUE,
                                 (const void *)value.data, value.size, RD_KAFKA_VTYPE_MSGFLAGS,
                                 (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_TIMESTAMP, timestamp_ms,
                                 RD_KAFKA_VTYPE_OPAQUE, (void *)sink->unit, RD_KAFKA_VTYPE_HEADERS,
                                 list, RD_KAFKA_VTYPE_END);
        /* Full: wait for acknowledgements; message.timeout.ms empties it at the latest. */
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) rd_kafka_poll(sink->handle.rk, QUEUE_WAIT_MS);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code) {
        if (list) rd_kafka_headers_destroy(list);
        return mtf_kafka_fail(&sink->handle, code, err, "write to %s", topic);
    }
    mtf_counter_add(&sink->counts.produced, 1);
    mtf_counter_add(&sink->counts.bytes, (int64_t)bytes);
    return MTF_OK;
}

static mtf_status commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    kafka_sink *sink = self;
    MTF_ASSERT(count == 0 || sink->source);
    while (rd_kafka_flush(sink->handle.rk, FLUSH_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    }
    if (sink->failure)
        return mtf_kafka_fail(&sink->handle, sink->failure, err, "write to %s", sink->failed_topic);
    return count > 0 ? mtf_kafka_commit(sink->source, positions, count, err) : MTF_OK;
}

/** Nothing to take back: a new unit no longer listens to the old one's reports. */
static mtf_status abort_unit(void *self, mtf_err *err)
{
    return begin(self, err);
}

static void close_sink(void *self)
{
    kafka_sink *sink = self;
    if (!sink) return;
    if (sink->handle.rk) {
        /* What is not committed is given up: do not wait for brokers that may be gone. */
        rd_kafka_purge(sink->handle.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(sink->handle.rk, FLUSH_MS);
        rd_kafka_destroy(sink->handle.rk);
    }
    free(sink);
}

static double fill(void *self)
{
    const kafka_sink *sink = self;
    return (double)rd_kafka_outq_len(sink->handle.rk) / (double)sink->queue_messages_max;
}

static mtf_status read_number(const rd_kafka_conf_t *conf, const char *name, size_t *value,
                              mtf_err *err)
{
    char text[32];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
        return mtf_fail(err, MTF_INVALID, "kafka property %s cannot be read", name);
    *value = (size_t)strtoull(text, NULL, 10);
    return MTF_OK;
}

/** librdkafka's limits, as the operator may have set them. A queue without a limit of records (0)
 * is bounded by its bytes; then the records' default stands for it. */
static mtf_status read_limits(kafka_sink *sink, const rd_kafka_conf_t *conf, mtf_err *err)
{
    mtf_status status = read_number(conf, "message.max.bytes", &sink->message_bytes_max, err);
    if (status == MTF_OK)
        status = read_number(conf, "queue.buffering.max.messages", &sink->queue_messages_max, err);
    if (sink->queue_messages_max == 0) sink->queue_messages_max = 100000;
    if (status == MTF_OK && sink->message_bytes_max < (size_t)2 * OVERHEAD_BYTES) {
        return mtf_fail(err, MTF_INVALID, "kafka.producer.message.max.bytes: %zu is below %d",
                        sink->message_bytes_max, 2 * OVERHEAD_BYTES);
    }
    return status;
}

mtf_status mtf_kafka_sink_open(const mtf_settings *settings, const mtf_log *log,
                               const mtf_kafka_sink_config *config, mtf_sink *sink, mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    kafka_sink *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "kafka sink: out of memory");
    made->handle = (mtf_kafka_handle){.log = log, .role = "producer", .owner = made};
    if (config) made->source = config->source;
    mtf_status status = mtf_kafka_conf(settings, MTF_KAFKA_PRODUCER, &made->handle, &conf, err);
    if (!status) status = read_limits(made, conf, err);
    if (!status) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        status = mtf_kafka_handle_open(&made->handle, RD_KAFKA_PRODUCER, &conf, err);
    }
    if (status) {
        if (conf) rd_kafka_conf_destroy(conf);
        close_sink(made);
        return status;
    }
    *sink = (mtf_sink){made,       begin,      put,
                       commit,     abort_unit, made->message_bytes_max - OVERHEAD_BYTES,
                       close_sink, fill};
    return MTF_OK;
}

const mtf_kafka_sink_counts *mtf_kafka_sink_counters(const mtf_sink *sink)
{
    return &((const kafka_sink *)sink->self)->counts;
}
