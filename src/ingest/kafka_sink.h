/** Records into Kafka, as an mtf_sink, at least once: commit waits until every record is
 * acknowledged, then commits the positions to the source's group. One thread, the source's. */
#ifndef MTF_INGEST_KAFKA_SINK_H
#define MTF_INGEST_KAFKA_SINK_H

#include "core/log.h"
#include "core/metrics.h"
#include "core/pipe.h"
#include "core/settings.h"
#include "ingest/kafka_source.h"

/** Written by the sink's thread. produced = acked + failed + what is under way. */
typedef struct mtf_kafka_sink_counts {
    mtf_counter produced, acked, failed, bytes;
} mtf_kafka_sink_counts;

typedef struct mtf_kafka_sink_config {
    /** Whose positions commit() commits; it must outlive the sink. NULL: there are none (policies,
     *  the simulator). */
    mtf_kafka_source *source;
} mtf_kafka_sink_config;

/** config NULL: all of it absent. MTF_INVALID: a setting is refused. Then the functions:
 *  - put waits while the queue is full. MTF_NOMEM: too large for kafka.message.max.bytes.
 *  - commit waits for the brokers, message.timeout.ms (60 s) at most. MTF_AGAIN: not everything is
 *    durable, or the group moved on: abort, and read again from the committed position. Else as
 *    mtf_kafka_source's poll.
 *  - abort cannot take back what was sent; readers know records by their ids. */
mtf_status mtf_kafka_sink_open(const mtf_settings *settings, const mtf_log *log,
                               const mtf_kafka_sink_config *config, mtf_sink *sink,
                               mtf_err *err) MTF_NODISCARD;

/** Of a sink made by mtf_kafka_sink_open; valid until its close. */
const mtf_kafka_sink_counts *mtf_kafka_sink_counters(const mtf_sink *sink);

#endif
