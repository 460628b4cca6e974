#include "ingest/kafka_transaction.h"

#include <time.h>

#include "core/clock.h"
#include "ingest/kafka_rebalance.h"

enum {
    METADATA_MS = 5000,
    SLICE_MS = 1000,    /* between two looks at `stop` */
    RETRY_MS = 100,     /* after an error that came at once */
    OFFSETS_MS = 10000, /* librdkafka tries again by itself for so long */
    STOP_MS = 3000,     /* an answer is waited for so long after `stop` */
};

static int64_t now_ns(void)
{
    return mtf_clock_mono_ns();
}

static bool is_stopped(const mtf_kafka_transaction *t)
{
    return t->stop && atomic_load(t->stop);
}

mtf_status mtf_kafka_transaction_settle(const mtf_kafka_transaction *t, rd_kafka_error_t *error,
                                        const char *what, mtf_err *err)
{
    if (!error) return MTF_OK;
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    const bool fatal = rd_kafka_error_is_fatal(error) ||
                       rd_kafka_fatal_error(t->handle->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
    const bool passes =
        !fatal && (rd_kafka_error_txn_requires_abort(error) || rd_kafka_error_is_retriable(error));
    const char *id = t->handle->transactional_id;
    char remedy[MTF_KAFKA_REMEDY_CHARS];
    mtf_kafka_remedy(t->handle, code, remedy, sizeof remedy);
    mtf_status status = mtf_kafka_fail(t->handle, code, err, "%s of %s", what, id);
    if (passes && status == MTF_BROKER) status = MTF_AGAIN;
    if (!passes && status == MTF_AGAIN) status = MTF_BROKER;
    if (!fatal)
        status = mtf_fail(err, status, "%s of %.100s: %.*s%s", what, id, remedy[0] ? 120 : 280,
                          rd_kafka_error_string(error), remedy);
    rd_kafka_error_destroy(error);
    return status;
}

typedef rd_kafka_error_t *(*call_fn)(rd_kafka_t *rk, int timeout_ms);

/** The same call again while it may pass. The error that stays, or NULL. */
static rd_kafka_error_t *insist(const mtf_kafka_transaction *t, call_fn call, const char *what,
                                int64_t deadline_ns)
{
    int64_t stopped_ns = 0, told_ns = now_ns();
    for (;;) {
        rd_kafka_error_t *error = call(t->handle->rk, SLICE_MS);
        if (!error || rd_kafka_error_txn_requires_abort(error) ||
            !rd_kafka_error_is_retriable(error))
            return error;
        if (t->board) mtf_board_beat(t->board, now_ns() / 1000000);
        if (is_stopped(t) && stopped_ns == 0) stopped_ns = now_ns();
        if (now_ns() >= deadline_ns ||
            (stopped_ns && now_ns() - stopped_ns >= (int64_t)STOP_MS * 1000000))
            return error;
        if (now_ns() - told_ns >= (int64_t)5 * SLICE_MS * 1000000) {
            told_ns = now_ns();
            mtf_log_line(t->handle->log, MTF_LOG_WARN, "kafka.transaction",
                         "id=%s call=%s retry=true reason=\"%s\"", t->handle->transactional_id,
                         what, rd_kafka_error_string(error));
        }
        rd_kafka_error_destroy(error);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    }
}

mtf_status mtf_kafka_transaction_init(mtf_kafka_transaction *t, mtf_err *err)
{
    /* Without metadata the first transaction waits a second for it. Whether it came is told by what
     * follows. */
    const struct rd_kafka_metadata *metadata = NULL;
    if (!rd_kafka_metadata(t->handle->rk, 1, NULL, &metadata, METADATA_MS))
        rd_kafka_metadata_destroy(metadata);
    const int64_t deadline_ns = now_ns() + 2 * t->timeout_ms * 1000000;
    rd_kafka_error_t *error = insist(t, rd_kafka_init_transactions, "init", deadline_ns);
    const bool stopped = error && rd_kafka_error_is_retriable(error) && is_stopped(t);
    const mtf_status status = mtf_kafka_transaction_settle(t, error, "transactions", err);
    if (!stopped) return status;
    return mtf_fail(err, MTF_CLOSED, "transactions of %s: stopped before the brokers answered",
                    t->handle->transactional_id);
}

mtf_status mtf_kafka_transaction_begin(mtf_kafka_transaction *t, mtf_err *err)
{
    MTF_ASSERT(!t->open);
    if (t->stuck) {
        return mtf_fail(err, MTF_BROKER,
                        "begin of a transaction of %s: the end of the last one was not answered; "
                        "the next start asks the brokers what came of it",
                        t->handle->transactional_id);
    }
    const mtf_status status = mtf_kafka_transaction_settle(
        t, rd_kafka_begin_transaction(t->handle->rk), "begin of a transaction", err);
    t->open = status == MTF_OK;
    t->deadline_ns = now_ns() + t->timeout_ms * 1000000;
    return status;
}

/** One request with these positions is as good as two of them, so it may be sent again; but it
 * cannot be resumed, and nothing may follow one whose answer is not known but an abort. */
static rd_kafka_error_t *send_offsets(const mtf_kafka_transaction *t,
                                      const rd_kafka_topic_partition_list_t *list,
                                      const rd_kafka_consumer_group_metadata_t *member)
{
    for (;;) {
        rd_kafka_error_t *error =
            rd_kafka_send_offsets_to_transaction(t->handle->rk, list, member, OFFSETS_MS);
        if (!error || rd_kafka_error_txn_requires_abort(error) ||
            !rd_kafka_error_is_retriable(error) || is_stopped(t) || now_ns() >= t->deadline_ns)
            return error;
        rd_kafka_error_destroy(error);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    }
}

mtf_status mtf_kafka_transaction_offsets(mtf_kafka_transaction *t, mtf_kafka_source *source,
                                         const mtf_position *positions, size_t count, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    const mtf_status status = mtf_kafka_positions(source, positions, count, &list, err);
    if (status) return status;
    MTF_ASSERT(source->membership); /* else it has told of no partition */
    rd_kafka_error_t *error = send_offsets(t, list, source->membership);
    rd_kafka_topic_partition_list_destroy(list);
    return mtf_kafka_transaction_settle(t, error, "positions in a transaction", err);
}

mtf_status mtf_kafka_transaction_commit(mtf_kafka_transaction *t, mtf_err *err)
{
    MTF_ASSERT(t->open);
    rd_kafka_error_t *error = insist(t, rd_kafka_commit_transaction, "commit", INT64_MAX);
    t->stuck = error && rd_kafka_error_is_retriable(error);
    if (!error || t->stuck) t->open = false;
    return mtf_kafka_transaction_settle(t, error, "commit of a transaction", err);
}

mtf_status mtf_kafka_transaction_abort(mtf_kafka_transaction *t, int64_t patience_ms, mtf_err *err)
{
    if (!t->open) return MTF_OK;
    const int64_t deadline_ns =
        patience_ms == INT64_MAX ? INT64_MAX : now_ns() + patience_ms * 1000000;
    rd_kafka_error_t *error = insist(t, rd_kafka_abort_transaction, "abort", deadline_ns);
    t->stuck = error && rd_kafka_error_is_retriable(error);
    t->open = false;
    return mtf_kafka_transaction_settle(t, error, "abort of a transaction", err);
}
