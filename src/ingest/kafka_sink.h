/** Records into Kafka, as an mtf_sink. At least once: commit waits until every record is
 *  acknowledged, then commits the positions to the source's group. Or, under a transactional id,
 *  exactly once: a unit is a transaction of its records and positions. One thread, the source's. */
#ifndef MTF_INGEST_KAFKA_SINK_H
#define MTF_INGEST_KAFKA_SINK_H

#include <stdatomic.h>

#include "core/board.h"
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
    /** NULL: at least once. Else the name that fences: of two producers under one id only the later
     *  goes on, and what the earlier left open is aborted. Copied. */
    const char *transactional_id;
    /** Ends waits for brokers that do not answer, within seconds; may be NULL. It must outlive the
     *  sink. */
    const atomic_bool *stop;
    /** Beaten while commit and abort wait for the brokers: a stage that waits is no stage that
     * hangs. May be NULL; it must outlive the sink. */
    mtf_board *board;
} mtf_kafka_sink_config;

/** Before the source's first poll: its positions wait for what an earlier process of our
 *  transactional id left open, which this ends. config NULL: all of it absent. MTF_INVALID: a
 * setting is refused, or no permission. With a transactional id it waits for its coordinator:
 * MTF_AGAIN: none within twice transaction.timeout.ms; MTF_CLOSED: *stop before. Then the
 * functions:
 *  - begin asks no broker.
 *  - put waits while the queue is full, of records or of bytes, until after *stop. MTF_NOMEM: too
 * large for kafka.message.max.bytes. MTF_AGAIN: the transaction failed already, or still full.
 *  - commit waits until all records are acknowledged or given up, message.timeout.ms at most.
 *    MTF_AGAIN: not everything is durable, or the group moved on: abort, and read again from the
 *    committed position. Else as mtf_kafka_source's poll. Of a transaction, then for the brokers'
 *    answer, however long that takes (MTF_AGAIN without one only after *stop: then nobody knows,
 * and begin refuses). MTF_FENCED: another producer has the id.
 *  - abort cannot take back what was sent at least once; readers know records by their ids. That of
 * a transaction can, and waits for the brokers as commit does. */
mtf_status mtf_kafka_sink_open(const mtf_settings *settings, const mtf_log *log,
                               const mtf_kafka_sink_config *config, mtf_sink *sink,
                               mtf_err *err) MTF_NODISCARD;

/** Of a sink made by mtf_kafka_sink_open; valid until its close. */
const mtf_kafka_sink_counts *mtf_kafka_sink_counters(const mtf_sink *sink);

#endif
