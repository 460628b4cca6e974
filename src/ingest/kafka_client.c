#include "ingest/kafka_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "ingest/kafka_common.h"

enum {
    START_MS_MAX = 10000, /* fail-fast gives up then */
    LOG_EVERY_MS = 5000,
    CALL_MS = 10000,   /* one question to the brokers */
    REFUSED_MS = 1000, /* a refused one has been refused by then */
};

struct mtf_kafka_client {
    mtf_kafka_handle handle;
    const atomic_bool *stop; /* may be NULL */
    char cluster[64];
};

/** Which setting the last error event speaks of. librdkafka gives most failures of TLS no code of
 *  their own, so its words are looked at. */
static const char *remedy_of(const char *reason)
{
    static const struct {
        const char *words, *remedy;
    } remedies[] = {
        {"SASL authentication error",
         "check kafka.sasl.mechanism, kafka.sasl.username and the password"},
        {"SASL", "check kafka.sasl.mechanism and kafka.security.protocol"},
        {"certificate verify failed", "kafka.ssl.ca.location must hold the authority that signed "
                                      "the brokers' certificates, which "
                                      "must name the hosts as they are reached"},
        {"alert", "the brokers refuse this client's certificate: check "
                  "kafka.ssl.certificate.location and kafka.ssl.key.location"},
        {"security.protocol", "check kafka.security.protocol against the listener at that port"},
        {"SSL", "check kafka.security.protocol and kafka.ssl.*"},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (strstr(reason, remedies[i].words)) return remedies[i].remedy;
    }
    return "check kafka.bootstrap_servers";
}

static mtf_status no_broker(const mtf_settings *settings, const mtf_kafka_client *client,
                            mtf_err *err)
{
    return mtf_fail(err, MTF_BROKER, "no broker answers at %s%s%s; %s",
                    settings->kafka_bootstrap_servers, client->handle.reason[0] ? ": " : "",
                    client->handle.reason, remedy_of(client->handle.reason));
}

/** Asks for metadata until a broker answers. */
static mtf_status wait_for_broker(mtf_kafka_client *client, const mtf_settings *settings,
                                  bool fail_fast, mtf_err *err)
{
    const int64_t started_ns = mtf_clock_mono_ns();
    int64_t logged_ms = 0;
    for (;;) {
        const struct rd_kafka_metadata *metadata = NULL;
        const rd_kafka_resp_err_t code =
            rd_kafka_metadata(client->handle.rk, 0, NULL, &metadata, 500);
        rd_kafka_poll(client->handle.rk, 0);
        if (!code) {
            rd_kafka_metadata_destroy(metadata);
            return MTF_OK;
        }
        const int64_t waited_ms = (mtf_clock_mono_ns() - started_ns) / 1000000;
        if (client->stop && atomic_load(client->stop))
            return mtf_fail(err, MTF_CLOSED, "stopped while waiting for a broker");
        if (fail_fast && (client->handle.all_down || waited_ms >= START_MS_MAX)) {
            return no_broker(settings, client, err);
        }
        if (waited_ms - logged_ms >= LOG_EVERY_MS) {
            logged_ms = waited_ms;
            mtf_log_line(client->handle.log, MTF_LOG_WARN, "kafka.wait",
                         "brokers=%s waited_ms=%lld reason=\"%s\"",
                         settings->kafka_bootstrap_servers, (long long)waited_ms,
                         client->handle.reason);
        }
    }
}

mtf_status mtf_kafka_client_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *group, bool fail_fast, const atomic_bool *stop,
                                 mtf_kafka_client **client, mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    *client = NULL;
    mtf_kafka_client *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "kafka client: out of memory");
    made->handle.log = log;
    made->handle.role = "client";
    made->handle.group = group;
    made->stop = stop;
    mtf_status status = mtf_kafka_conf(settings, MTF_KAFKA_CONSUMER, &made->handle, &conf, err);
    if (!status && group) status = mtf_kafka_conf_set(conf, "group.id", group, err);
    if (!status) status = mtf_kafka_handle_open(&made->handle, RD_KAFKA_CONSUMER, &conf, err);
    if (!status) status = wait_for_broker(made, settings, fail_fast, err);
    if (status) {
        if (conf) rd_kafka_conf_destroy(conf);
        mtf_kafka_client_close(made);
        return status;
    }
    char *cluster = rd_kafka_clusterid(made->handle.rk, 1000);
    if (cluster) {
        snprintf(made->cluster, sizeof made->cluster, "%s", cluster);
        rd_kafka_mem_free(made->handle.rk, cluster);
    }
    *client = made;
    return MTF_OK;
}

void mtf_kafka_client_close(mtf_kafka_client *client)
{
    if (!client) return;
    if (client->handle.rk) rd_kafka_destroy(client->handle.rk);
    free(client);
}

const char *mtf_kafka_client_cluster(const mtf_kafka_client *client)
{
    return client->cluster;
}

mtf_kafka_handle *mtf_kafka_client_handle(mtf_kafka_client *client)
{
    return &client->handle;
}

mtf_status mtf_kafka_client_partitions(mtf_kafka_client *client, const char *topic, int32_t *count,
                                       mtf_err *err)
{
    return mtf_kafka_find_topic(&client->handle, topic, CALL_MS, client->stop, count, err);
}

mtf_status mtf_kafka_client_ranges(mtf_kafka_client *client, const char *topic, int32_t count,
                                   int64_t *firsts, int64_t *ends, mtf_err *err)
{
    for (int32_t i = 0; i < count; i++) {
        const rd_kafka_resp_err_t code =
            mtf_kafka_range(&client->handle, topic, i, CALL_MS, &firsts[i], &ends[i]);
        if (code) return mtf_kafka_fail(&client->handle, code, err, "offsets of %s/%d", topic, i);
    }
    return MTF_OK;
}

/** As the brokers have it: -1 where no record is so young, and always of the mock brokers. */
static mtf_status look_up(mtf_kafka_client *client, const char *topic, int32_t count,
                          const int64_t *times_ms, int64_t *offsets, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset =
            times_ms[i] < 0 ? 0 : times_ms[i];
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->handle.rk, list, CALL_MS);
    for (int i = 0; i < list->cnt && !code; i++) {
        code = list->elems[i].err;
        const int64_t offset = list->elems[i].offset;
        offsets[list->elems[i].partition] = offset < 0 ? -1 : offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code) return mtf_kafka_fail(&client->handle, code, err, "offsets of %s by time", topic);
    return MTF_OK;
}

mtf_status mtf_kafka_client_offsets_at(mtf_kafka_client *client, const char *topic, int32_t count,
                                       const int64_t *times_ms, int64_t *offsets, mtf_err *err)
{
    int64_t *numbers = calloc((size_t)count, 4 * sizeof *numbers);
    if (!numbers) return mtf_fail(err, MTF_NOMEM, "kafka client: out of memory");
    int64_t *firsts = numbers, *ends = numbers + count, *probe = numbers + 2 * count;
    const int64_t *epoch = numbers + 3 * count; /* all 0 */
    mtf_status status = mtf_kafka_client_ranges(client, topic, count, firsts, ends, err);
    if (status == MTF_OK) status = look_up(client, topic, count, times_ms, offsets, err);
    /* Every record is younger than the epoch: who finds none there does not look. */
    if (status == MTF_OK) status = look_up(client, topic, count, epoch, probe, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++) {
        if (offsets[i] < 0) offsets[i] = probe[i] < 0 && firsts[i] < ends[i] ? firsts[i] : ends[i];
        if (offsets[i] > ends[i]) offsets[i] = ends[i];
        if (offsets[i] < firsts[i]) offsets[i] = firsts[i];
    }
    free(numbers);
    return status;
}

/** Asks for the group's commits. librdkafka has no answer for its caller while the brokers refuse
 *  it the group's coordinator; only its error events say so. */
static rd_kafka_resp_err_t ask_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                         int timeout_ms)
{
    rd_kafka_message_t *error;
    rd_kafka_resp_err_t code = rd_kafka_committed(rk, list, timeout_ms);
    while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && (error = rd_kafka_consumer_poll(rk, 0))) {
        if (mtf_kafka_status(error->err) == MTF_INVALID) code = error->err;
        rd_kafka_message_destroy(error);
    }
    return code;
}

mtf_status mtf_kafka_client_commits(mtf_kafka_client *client, const char *topic, int32_t count,
                                    int64_t *offsets, mtf_buf *metadata, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++) rd_kafka_topic_partition_list_add(list, topic, i);
    rd_kafka_resp_err_t code = ask_committed(client->handle.rk, list, REFUSED_MS);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        code = ask_committed(client->handle.rk, list, CALL_MS);
    for (int i = 0; i < list->cnt && !code; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        code = one->err;
        offsets[one->partition] = one->offset < 0 ? -1 : one->offset;
        if (metadata && !code)
            mtf_buf_put(&metadata[one->partition], one->metadata, one->metadata_size);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code) return mtf_kafka_fail(&client->handle, code, err, "committed offsets of %s", topic);
    return MTF_OK;
}

mtf_status mtf_kafka_client_committed(mtf_kafka_client *client, const char *topic, int32_t count,
                                      int64_t *offsets, mtf_err *err)
{
    return mtf_kafka_client_commits(client, topic, count, offsets, NULL, err);
}

const char *mtf_kafka_version(void)
{
    return rd_kafka_version_str();
}

int32_t mtf_kafka_partition_of(mtf_str key, int32_t partitions)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key.data, key.size, partitions, NULL, NULL);
}

mtf_status mtf_kafka_settings_check(const mtf_settings *settings, mtf_err *err)
{
    static const mtf_kafka_scope scopes[] = {MTF_KAFKA_CONSUMER, MTF_KAFKA_PRODUCER};
    char nowhere[] = "localhost";
    mtf_settings named = *settings; /* borrows; never released */
    mtf_kafka_handle handle = {0};
    mtf_status status = MTF_OK;
    if (!named.kafka_bootstrap_servers[0]) named.kafka_bootstrap_servers = nowhere;
    for (size_t i = 0; status == MTF_OK && i < sizeof scopes / sizeof *scopes; i++) {
        rd_kafka_conf_t *conf = NULL;
        if (scopes[i] == MTF_KAFKA_PRODUCER &&
            strcmp(settings->sessionize_delivery, "exactly-once") == 0)
            handle.transactional_id = "check";
        status = mtf_kafka_conf(&named, scopes[i], &handle, &conf, err);
        if (conf) rd_kafka_conf_destroy(conf);
    }
    return status;
}

mtf_status mtf_kafka_message_bytes(const mtf_settings *settings, int64_t *bytes, mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    mtf_kafka_handle handle = {0};
    mtf_status status = mtf_kafka_conf(settings, MTF_KAFKA_PRODUCER, &handle, &conf, err);
    if (status == MTF_OK) status = mtf_kafka_conf_number(conf, "message.max.bytes", bytes, err);
    if (conf) rd_kafka_conf_destroy(conf);
    return status;
}
