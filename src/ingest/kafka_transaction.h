/** The transactions of one producer: librdkafka's calls, every class of their errors made a status.
 *  Private to kafka_*.c. One thread, the sink's.
 *
 *     closed --begin--> open --commit--> closed
 *                        |  \--commit or abort without an answer (stopped)--> stuck, the end
 *                        +--offsets or commit fails--> open, to be aborted
 *                        +--abort--> closed
 *
 *  An error is one of four kinds:
 *  - it may pass: the same call again, until its deadline. A commit or an abort has none: once it
 *    is on its way librdkafka takes no other call, and the brokers' answer decides.
 *  - abort required: MTF_AGAIN, unless its code says that it will never pass (as MTF_INVALID does).
 *  - fatal: MTF_FENCED, MTF_INVALID (no permission) or MTF_BROKER.
 *  - any other: as fatal.
 *
 *  A commit that is refused is not committed. Were it, because an answer was lost on the way, the
 *  abort that follows would be refused with INVALID_TXN_STATE, which is fatal; the next start then
 *  reads what the brokers have. */
#ifndef MTF_INGEST_KAFKA_TRANSACTION_H
#define MTF_INGEST_KAFKA_TRANSACTION_H

#include <stdatomic.h>

#include "core/board.h"
#include "core/pipe.h"
#include "ingest/kafka_common.h"
#include "ingest/kafka_source.h"

typedef struct mtf_kafka_transaction {
    const mtf_kafka_handle *handle;
    const atomic_bool *stop; /* ends waits; may be NULL */
    mtf_board *board;        /* beaten during waits; may be NULL */
    int64_t timeout_ms;      /* transaction.timeout.ms */
    int64_t deadline_ns;     /* when the open one's timeout is over */
    bool open;
    bool stuck; /* the last commit or abort was not answered: librdkafka takes no other call */
} mtf_kafka_transaction;

/** What a call's error means, of the kinds above; MTF_OK for none. Takes the error, fills err. */
mtf_status mtf_kafka_transaction_settle(const mtf_kafka_transaction *transaction,
                                        rd_kafka_error_t *error, const char *what, mtf_err *err);
/** Makes the handle's transactional id ours: fences an older producer, aborts what it left open.
 *  MTF_AGAIN: no answer within twice the timeout, or stopped. */
mtf_status mtf_kafka_transaction_init(mtf_kafka_transaction *transaction, mtf_err *err);
/** Asks no broker. */
mtf_status mtf_kafka_transaction_begin(mtf_kafka_transaction *transaction, mtf_err *err);
/** Adds positions of the source's group, under the generation that gave it its partitions: a member
 *  that was thrown out is refused. MTF_AGAIN: abort. */
mtf_status mtf_kafka_transaction_offsets(mtf_kafka_transaction *transaction,
                                         mtf_kafka_source *source, const mtf_position *positions,
                                         size_t count, mtf_err *err);
/** Waits for all records and the brokers' word. MTF_AGAIN: not committed, abort; or stopped before
 *  the answer came. */
mtf_status mtf_kafka_transaction_commit(mtf_kafka_transaction *transaction, mtf_err *err);
/** Of an open one; nothing otherwise. MTF_AGAIN: stopped, or patience over, before the answer came;
 *  the brokers abort it when its timeout is over, or at the next init. */
mtf_status mtf_kafka_transaction_abort(mtf_kafka_transaction *transaction, int64_t patience_ms,
                                       mtf_err *err);

#endif
