#include "ingest/kafka_sink.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/fault.h"
#include "ingest/kafka_rebalance.h"
#include "ingest/kafka_transaction.h"

enum {
    QUEUE_WAIT_MS = 100,
    FLUSH_MS = 500,
    STOP_MS = 3000,         /* acknowledgements are waited for so long after `stop` */
    OVERHEAD_BYTES = 16384, /* left of message.max.bytes for key and headers */
    POLL_EVERY = 64,        /* puts between two looks at delivery reports */
};

typedef struct kafka_sink {
    mtf_kafka_handle handle;
    mtf_kafka_source *source;
    const atomic_bool *stop;
    bool armed; /* it has the sessionizer's fault points, and the environment names one */
    mtf_board *board;
    char *transactional_id; /* NULL: at least once */
    mtf_kafka_transaction transaction;
    size_t message_bytes_max, queue_messages_max, queue_bytes_max;
    /* Not yet reported. Our own count: librdkafka's takes three locks, and is asked for with every
     * record that is read. */
    size_t queue_messages, queue_bytes; /* the bytes of keys and values */
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
    sink->queue_messages--;
    sink->queue_bytes -= message->key_len + message->len;
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

/** Only the sessionizer's sink has a source; the names of the points are its. */
static void fault_point(const kafka_sink *sink, const char *name)
{
    if (sink->armed) mtf_fault_point(name);
}

static void new_unit(kafka_sink *sink)
{
    sink->unit++;
    sink->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
}

static mtf_status begin(void *self, mtf_err *err)
{
    kafka_sink *sink = self;
    fault_point(sink, "sessionize.begin");
    new_unit(sink);
    return sink->transactional_id ? mtf_kafka_transaction_begin(&sink->transaction, err) : MTF_OK;
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

/** Between two looks at the brokers: beats the board. False once `stop` has been set for STOP_MS;
 *  *stopped_ns, 0 at first, is since when it is. */
static bool goes_on(const kafka_sink *sink, int64_t *stopped_ns)
{
    const int64_t now_ns = mtf_clock_mono_ns();
    if (sink->board) mtf_board_beat(sink->board, now_ns / 1000000);
    if (!sink->stop || !atomic_load(sink->stop)) return true;
    if (*stopped_ns == 0) *stopped_ns = now_ns;
    return now_ns - *stopped_ns < (int64_t)STOP_MS * 1000000;
}

static mtf_status put(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    kafka_sink *sink = self;
    rd_kafka_headers_t *list = NULL;
    rd_kafka_resp_err_t code;
    int64_t stopped_ns = 0;
    bool full;
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
        full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        if (full) rd_kafka_poll(sink->handle.rk, QUEUE_WAIT_MS);
    } while (full && goes_on(sink, &stopped_ns));
    if (code) {
        if (list) rd_kafka_headers_destroy(list);
        if (full)
            return mtf_fail(err, MTF_AGAIN, "write to %s: stopped with %d records not acknowledged",
                            topic, rd_kafka_outq_len(sink->handle.rk));
        if (code == RD_KAFKA_RESP_ERR__STATE && sink->transaction.open)
            return mtf_fail(err, MTF_AGAIN, "write to %s: the transaction has failed", topic);
        return mtf_kafka_fail(&sink->handle, code, err, "write to %s", topic);
    }
    sink->queue_messages++;
    sink->queue_bytes += key.size + value.size;
    mtf_counter_add(&sink->counts.produced, 1);
    mtf_counter_add(&sink->counts.bytes, (int64_t)bytes);
    fault_point(sink, "sessionize.put");
    return MTF_OK;
}

/** Waits until every record is acknowledged or given up, MTF_OK either way. */
static mtf_status drain(const kafka_sink *sink, mtf_err *err)
{
    int64_t stopped_ns = 0;
    while (rd_kafka_flush(sink->handle.rk, FLUSH_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        if (!goes_on(sink, &stopped_ns))
            return mtf_fail(err, MTF_AGAIN, "stopped with %d records not acknowledged",
                            rd_kafka_outq_len(sink->handle.rk));
    }
    return MTF_OK;
}

/** The first record that was given up, unless it was for the sake of another. */
static mtf_status check_delivery(const kafka_sink *sink, mtf_err *err)
{
    const rd_kafka_resp_err_t code = sink->failure;
    if (!code || code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        return MTF_OK; /* a transaction's next call has the reason */
    const mtf_status status =
        mtf_kafka_fail(&sink->handle, code, err, "write to %s", sink->failed_topic);
    const bool fatal = rd_kafka_fatal_error(sink->handle.rk, NULL, 0) != 0;
    return status == MTF_BROKER && sink->transactional_id && !fatal ? MTF_AGAIN : status;
}

static bool wait_for_positions(void *arg, int64_t *stopped_ns)
{
    return goes_on(arg, stopped_ns);
}

static mtf_status commit_transaction(kafka_sink *sink, const mtf_position *positions, size_t count,
                                     mtf_err *err)
{
    mtf_status status = MTF_OK;
    if (count > 0)
        status =
            mtf_kafka_transaction_offsets(&sink->transaction, sink->source, positions, count, err);
    mtf_fault_point(sink->source ? "sessionize.commit" : "learn.publish");
    return status ? status : mtf_kafka_transaction_commit(&sink->transaction, err);
}

static mtf_status commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    kafka_sink *sink = self;
    MTF_ASSERT(count == 0 || sink->source);
    mtf_status status = drain(sink, err);
    if (!status) status = check_delivery(sink, err);
    if (status) return status;
    fault_point(sink, "sessionize.offsets");
    if (sink->transactional_id)
        status = commit_transaction(sink, positions, count, err);
    else if (count > 0)
        status = mtf_kafka_commit(sink->source, positions, count, wait_for_positions, sink, err);
    if (!status) fault_point(sink, "sessionize.committed");
    return status;
}

/** At least once there is nothing to take back: a new unit no longer listens to the old one's
 *  reports. */
static mtf_status abort_unit(void *self, mtf_err *err)
{
    kafka_sink *sink = self;
    new_unit(sink);
    return sink->transactional_id ? mtf_kafka_transaction_abort(&sink->transaction, INT64_MAX, err)
                                  : MTF_OK;
}

static void close_sink(void *self)
{
    kafka_sink *sink = self;
    if (!sink) return;
    if (sink->handle.rk) {
        /* Left open, a transaction would keep its readers waiting until its timeout. */
        const mtf_status aborted = mtf_kafka_transaction_abort(&sink->transaction, STOP_MS, NULL);
        (void)aborted;
        /* What is not committed is given up: do not wait for brokers that may be gone. */
        rd_kafka_purge(sink->handle.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(sink->handle.rk, FLUSH_MS);
        rd_kafka_destroy(sink->handle.rk);
    }
    free(sink->transactional_id);
    free(sink);
}

static double fill(void *self)
{
    const kafka_sink *sink = self;
    const double messages = (double)sink->queue_messages / (double)sink->queue_messages_max;
    const double bytes = (double)sink->queue_bytes / (double)sink->queue_bytes_max;
    return messages > bytes ? messages : bytes;
}

/** librdkafka's limits, as the operator may have set them. A queue without a limit of records (0)
 * is bounded by its bytes; then the records' default stands for it. */
static mtf_status read_limits(kafka_sink *sink, const rd_kafka_conf_t *conf, mtf_err *err)
{
    int64_t bytes = 0, messages = 0, kbytes = 0;
    mtf_status status = mtf_kafka_conf_number(conf, "message.max.bytes", &bytes, err);
    if (!status)
        status = mtf_kafka_conf_number(conf, "queue.buffering.max.messages", &messages, err);
    if (!status) status = mtf_kafka_conf_number(conf, "queue.buffering.max.kbytes", &kbytes, err);
    if (!status && sink->transactional_id)
        status = mtf_kafka_conf_number(conf, "transaction.timeout.ms",
                                       &sink->transaction.timeout_ms, err);
    sink->message_bytes_max = (size_t)bytes;
    sink->queue_bytes_max = (size_t)kbytes * 1024;
    sink->queue_messages_max = messages > 0 ? (size_t)messages : 100000;
    if (status == MTF_OK && sink->message_bytes_max < (size_t)2 * OVERHEAD_BYTES) {
        return mtf_fail(err, MTF_INVALID, "kafka.producer.message.max.bytes: %zu is below %d",
                        sink->message_bytes_max, 2 * OVERHEAD_BYTES);
    }
    return status;
}

static mtf_status open_producer(kafka_sink *sink, const mtf_settings *settings, mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    mtf_status status = mtf_kafka_conf(settings, MTF_KAFKA_PRODUCER, &sink->handle, &conf, err);
    if (!status) status = read_limits(sink, conf, err);
    if (!status) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        status = mtf_kafka_handle_open(&sink->handle, RD_KAFKA_PRODUCER, &conf, err);
    }
    if (conf) rd_kafka_conf_destroy(conf);
    if (!status && sink->transactional_id)
        status = mtf_kafka_transaction_init(&sink->transaction, err);
    return status;
}

mtf_status mtf_kafka_sink_open(const mtf_settings *settings, const mtf_log *log,
                               const mtf_kafka_sink_config *config, mtf_sink *sink, mtf_err *err)
{
    const mtf_kafka_sink_config none = {0};
    if (!config) config = &none;
    kafka_sink *made = calloc(1, sizeof *made);
    char *id = config->transactional_id ? strdup(config->transactional_id) : NULL;
    if (!made || (config->transactional_id && !id)) {
        free(made);
        free(id);
        return mtf_fail(err, MTF_NOMEM, "kafka sink: out of memory");
    }
    made->source = config->source;
    made->armed = config->source && mtf_fault_armed();
    made->stop = config->stop;
    made->board = config->board;
    made->transactional_id = id;
    made->handle = (mtf_kafka_handle){.log = log,
                                      .role = "producer",
                                      .owner = made,
                                      .transactional_id = id,
                                      .group = config->source ? config->source->group : NULL};
    made->transaction = (mtf_kafka_transaction){
        .handle = &made->handle, .stop = config->stop, .board = config->board};
    const mtf_status status = open_producer(made, settings, err);
    if (status) {
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
