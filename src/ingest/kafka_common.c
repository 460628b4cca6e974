#include "ingest/kafka_common.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

mtf_status mtf_kafka_status(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return MTF_OK;
    /* Another process took the role: never retried. */
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
        return MTF_FENCED;
    /* The group moved on without us, or the brokers are busy: the unit is given up, not the
     * process. */
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__RETRY:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
        return MTF_AGAIN;
    /* Someone must change a setting, a topic or a permission. */
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT: /* above transaction.max.timeout.ms */
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: /* told by brokers: puts are checked before */
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
        return MTF_INVALID;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
        return MTF_CORRUPT;
    default:
        return MTF_BROKER;
    }
}

void mtf_kafka_remedy(const mtf_kafka_handle *handle, rd_kafka_resp_err_t code, char *text,
                      size_t size)
{
    static const char page[] = "docs/security.md, \"Permissions\", has each role's";
    text[0] = '\0';
    if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        snprintf(text, size, "; this user lacks an ACL on the group %.60s: %s",
                 handle->group ? handle->group : "", page);
    else if (code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        snprintf(text, size, "; this user lacks an ACL on the transactional id %.60s: %s",
                 handle->transactional_id ? handle->transactional_id : "", page);
    else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
             code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
        snprintf(text, size, "; this user lacks an ACL: %s", page);
    else if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
             code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        snprintf(text, size,
                 "; the topic takes less than kafka.producer.message.max.bytes: raise the topic's "
                 "max.message.bytes above it, or lower it");
    else if (mtf_kafka_status(code) == MTF_FENCED)
        snprintf(text, size, "; another process runs under the same name%s",
                 handle->transactional_id
                     ? " (give each its own instance), or this one stood still for longer than "
                       "transaction.timeout.ms (start it again)"
                     : ": give each its own instance");
}

mtf_status mtf_kafka_fail(const mtf_kafka_handle *handle, rd_kafka_resp_err_t code, mtf_err *err,
                          const char *fmt, ...)
{
    char what[160], fatal[160], remedy[MTF_KAFKA_REMEDY_CHARS];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(handle->rk, fatal, sizeof fatal);
    mtf_status status = mtf_kafka_status(cause ? cause : code);
    if (cause && status == MTF_AGAIN) status = MTF_BROKER; /* a fatal error never passes */
    mtf_kafka_remedy(handle, cause ? cause : code, remedy, sizeof remedy);
    return mtf_fail(err, status, "%s: %s%s", what, cause ? fatal : rd_kafka_err2str(code), remedy);
}

/** One end of a partition: RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END. */
static rd_kafka_resp_err_t ask_end(const mtf_kafka_handle *handle, const char *topic,
                                   int32_t partition, int64_t which, int timeout_ms,
                                   int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *elem = rd_kafka_topic_partition_list_add(list, topic, partition);
    elem->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(handle->rk, list, timeout_ms);
    if (elem->err) code = elem->err; /* of one without a leader the call says "unknown partition" */
    if (!code && elem->offset < 0) code = RD_KAFKA_RESP_ERR__TIMED_OUT; /* not answered */
    if (!code) *offset = elem->offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/** librdkafka 2.0.2 goes on asking the leader it knows of, also when that one has said that it
 * leads no more: only what it is told here makes it ask another. */
static void find_leaders(const mtf_kafka_handle *handle, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (!rd_kafka_metadata(handle->rk, 1, NULL, &metadata, timeout_ms))
        rd_kafka_metadata_destroy(metadata);
}

rd_kafka_resp_err_t mtf_kafka_range(const mtf_kafka_handle *handle, const char *topic,
                                    int32_t partition, int timeout_ms, int64_t *first, int64_t *end)
{
    rd_kafka_resp_err_t code =
        ask_end(handle, topic, partition, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, first);
    if (!code) code = ask_end(handle, topic, partition, RD_KAFKA_OFFSET_END, timeout_ms, end);
    if (code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
        code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        find_leaders(handle, timeout_ms);
    return code;
}

mtf_status mtf_kafka_subscribe(mtf_kafka_handle *handle, const char *topic, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t code = rd_kafka_subscribe(handle->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? mtf_kafka_fail(handle, code, err, "subscribe to %s", topic) : MTF_OK;
}

/** Lists all topics: asking for one by name would create it on brokers that auto-create. */
mtf_status mtf_kafka_partition_count(mtf_kafka_handle *handle, const char *topic, int timeout_ms,
                                     int32_t *count, mtf_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    *count = 0;
    const rd_kafka_resp_err_t code = rd_kafka_metadata(handle->rk, 1, NULL, &metadata, timeout_ms);
    if (code) return mtf_kafka_fail(handle, code, err, "list of topics");
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            *count = metadata->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    if (*count > 0) return MTF_OK;
    return mtf_fail(
        err, MTF_INVALID,
        "topic %s does not exist, or this user has no ACL to describe it; create it: mtf topics "
        "create, or kafka-topics.sh --bootstrap-server HOST:PORT --create --topic %s "
        "--partitions N",
        topic, topic);
}

bool mtf_kafka_ask_again(int attempt, const atomic_bool *stop)
{
    enum { EACH_MS = 250 };
    if (attempt > MTF_KAFKA_BEHIND_MS / EACH_MS || (stop && atomic_load(stop))) return false;
    nanosleep(&(struct timespec){.tv_nsec = EACH_MS * 1000000}, NULL);
    return true;
}

mtf_status mtf_kafka_find_topic(mtf_kafka_handle *handle, const char *topic, int timeout_ms,
                                const atomic_bool *stop, int32_t *count, mtf_err *err)
{
    mtf_status status = mtf_kafka_partition_count(handle, topic, timeout_ms, count, err);
    for (int i = 1; status == MTF_INVALID && mtf_kafka_ask_again(i, stop); i++)
        status = mtf_kafka_partition_count(handle, topic, timeout_ms, count, err);
    return status;
}
