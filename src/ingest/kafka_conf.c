/** A librdkafka configuration from the settings: our defaults, then the operator's `kafka.*`
 *  properties over them, except the few that the stages' correctness hangs on. */
#include "ingest/kafka_common.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct pair {
    const char *name, *value;
} pair;

/** Defaults an operator may override. */
static const pair both_defaults[] = {
    {"client.id", "mtf"},
    {"socket.nagle.disable", "true"}, /* 40 ms less a request on some networks */
    {"socket.keepalive.enable", "true"},
    {"allow.auto.create.topics", "false"},
};
static const pair consumer_defaults[] = {
    {"session.timeout.ms", "45000"},
    {"max.poll.interval.ms", "300000"},
    {"fetch.min.bytes", "65536"},
    {"fetch.wait.max.ms", "100"},
    {"fetch.message.max.bytes", "4194304"},
    /* Bounds the prefetch, over all partitions. Before librdkafka 2.2 a full queue is looked at
     * again only when the broker's thread next wakes, up to a second later: what fits in is what a
     * second brings. */
    {"queued.max.messages.kbytes", "262144"},
    {"queued.min.messages", "1000000"}, /* a partition: by bytes alone */
    {"check.crcs", "true"},
};
/** Of newer libraries: how long a full queue is left alone, a second if nobody says. */
static const pair consumer_newer[] = {{"fetch.queue.backoff.ms", "20"}};
static const pair producer_defaults[] = {
    {"linger.ms", "50"},
    {"batch.size", "1000000"},
    {"compression.type", "lz4"},
    {"message.timeout.ms",
     "60000"}, /* below max.poll.interval.ms: a commit that waits must end first */
    {"queue.buffering.max.kbytes", "131072"},
};
/** Over these, for a producer of transactions. A record gives up before its transaction does, a
 *  transaction before its readers have waited for long. */
static const pair transaction_defaults[] = {
    {"transaction.timeout.ms", "30000"},
    {"message.timeout.ms", "25000"},
    {"socket.timeout.ms", "10000"}, /* of one request; what is asked again must not wait for ever */
    {"retry.backoff.ms", "5"},      /* 100 would be waited after each commit */
};

/** Ours alone: positions are committed with the output they belong to, what was aborted is never
 *  read, a lost position is never jumped over silently, a user's records meet in one partition,
 *  and 2.0.2's cooperative assignors lose assignments. */
static const pair consumer_owned[] = {
    {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},      {"partition.assignment.strategy", "range"},
};
static const pair producer_owned[] = {
    {"partitioner", "murmur2_random"}, /* as Java's: a key lands in one partition whoever writes */
    {"acks", "all"},
    {"enable.idempotence", "true"},
    {"delivery.report.only.error", "false"}, /* what is under way is counted by the reports */
};
/** Set by settings of our own, each handle for itself. */
static const pair named_elsewhere[] = {
    {"bootstrap.servers", "kafka.bootstrap_servers"},
    {"metadata.broker.list", "kafka.bootstrap_servers"},
    {"group.id", "sessionize.group"},
    {"group.instance.id", "sessionize.instance"},
    {"transactional.id", "sessionize.delivery and sessionize.instance"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const scope_prefixes[] = {"", "consumer.", "producer."};

static mtf_log_level level_of(int syslog_level)
{
    if (syslog_level <= 3) return MTF_LOG_ERROR;
    if (syslog_level == 4) return MTF_LOG_WARN;
    return syslog_level <= 6 ? MTF_LOG_INFO : MTF_LOG_DEBUG;
}

/** From any of librdkafka's threads. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const mtf_kafka_handle *handle = rd_kafka_opaque(rk);
    /* Said of every connection to the mock brokers, which know no such switch and create nothing.
     */
    const bool expected = strcmp(facility, "AUTOCREATE") == 0;
    mtf_log_line(handle->log, expected ? MTF_LOG_DEBUG : level_of(level), "kafka.client",
                 "role=%s facility=%s text=\"%s\"", handle->role, facility, text);
}

/** On the polling thread. Errors pass unless fatal; librdkafka goes on trying by itself. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    mtf_kafka_handle *handle = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        handle->all_down = true;
    else
        snprintf(handle->reason, sizeof handle->reason, "%s", reason);
    mtf_log_line(handle->log, MTF_LOG_WARN, "kafka.error", "role=%s code=%s reason=\"%s\"",
                 handle->role, rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
}

mtf_status mtf_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                              mtf_err *err)
{
    char words[256];
    if (rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
        return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "kafka property %s: %s", name, words);
}

mtf_status mtf_kafka_conf_number(const rd_kafka_conf_t *conf, const char *name, int64_t *value,
                                 mtf_err *err)
{
    char text[32];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
        return mtf_fail(err, MTF_INVALID, "kafka property %s cannot be read", name);
    *value = strtoll(text, NULL, 10);
    return MTF_OK;
}

static mtf_status set_all(rd_kafka_conf_t *conf, const pair *pairs, size_t count, mtf_err *err)
{
    for (size_t i = 0; i < count; i++) {
        mtf_status status = mtf_kafka_conf_set(conf, pairs[i].name, pairs[i].value, err);
        if (status) return status;
    }
    return MTF_OK;
}

/** As set_all, but a library that does not know the property goes without. */
static mtf_status set_known(rd_kafka_conf_t *conf, const pair *pairs, size_t count, mtf_err *err)
{
    for (size_t i = 0; i < count; i++) {
        char words[256];
        const rd_kafka_conf_res_t set =
            rd_kafka_conf_set(conf, pairs[i].name, pairs[i].value, words, sizeof words);
        if (set == RD_KAFKA_CONF_INVALID)
            return mtf_fail(err, MTF_INVALID, "kafka property %s: %s", pairs[i].name, words);
    }
    return MTF_OK;
}

static const pair *find(const pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, name) == 0) return &pairs[i];
    }
    return NULL;
}

/** One property of the operator's, with librdkafka's own words if it refuses. */
static mtf_status pass_through(rd_kafka_conf_t *conf, const mtf_kafka_property *property,
                               mtf_err *err)
{
    char words[256];
    const char *prefix = scope_prefixes[property->scope];
    const pair *owned = find(consumer_owned, COUNT(consumer_owned), property->name);
    if (!owned) owned = find(producer_owned, COUNT(producer_owned), property->name);
    if (owned) {
        return mtf_fail(err, MTF_INVALID, "kafka.%s%s: mtf needs it at %s; remove the setting",
                        prefix, property->name, owned->value);
    }
    const pair *named = find(named_elsewhere, COUNT(named_elsewhere), property->name);
    if (named) {
        return mtf_fail(err, MTF_INVALID, "kafka.%s%s: set %s instead", prefix, property->name,
                        named->value);
    }
    if (rd_kafka_conf_set(conf, property->name, property->value, words, sizeof words) ==
        RD_KAFKA_CONF_OK) {
        return MTF_OK;
    }
    if (mtf_settings_secret(property->name) && strstr(words, property->value)) {
        return mtf_fail(err, MTF_INVALID,
                        "kafka.%s%s: librdkafka refuses its value, which is secret", prefix,
                        property->name);
    }
    return mtf_fail(err, MTF_INVALID, "kafka.%s%s: %s", prefix, property->name, words);
}

/** What a transaction's times must be to each other, where an operator set them. */
static mtf_status check_transaction(const mtf_settings *settings, const rd_kafka_conf_t *conf,
                                    mtf_err *err)
{
    int64_t timeout_ms = 0, message_ms = 0, socket_ms = 0;
    mtf_status status = mtf_kafka_conf_number(conf, "transaction.timeout.ms", &timeout_ms, err);
    if (!status) status = mtf_kafka_conf_number(conf, "message.timeout.ms", &message_ms, err);
    if (!status) status = mtf_kafka_conf_number(conf, "socket.timeout.ms", &socket_ms, err);
    if (status) return status;
    if (message_ms <= 0 || message_ms >= timeout_ms) {
        return mtf_fail(err, MTF_INVALID,
                        "kafka.producer.message.timeout.ms is %lld%s, and must be below "
                        "kafka.producer.transaction.timeout.ms, %lld: a record must give up before "
                        "its transaction does",
                        (long long)message_ms, message_ms ? "" : " (for ever)",
                        (long long)timeout_ms);
    }
    if (socket_ms > timeout_ms) {
        return mtf_fail(err, MTF_INVALID,
                        "kafka.producer.socket.timeout.ms is %lld, and must not be above "
                        "kafka.producer.transaction.timeout.ms, %lld",
                        (long long)socket_ms, (long long)timeout_ms);
    }
    if (settings->sessionize_commit_interval_ms >= timeout_ms) {
        return mtf_fail(err, MTF_INVALID,
                        "sessionize.commit_interval_ms is %lld, and must be below "
                        "kafka.producer.transaction.timeout.ms, %lld: the brokers abort what is "
                        "open for longer",
                        (long long)settings->sessionize_commit_interval_ms, (long long)timeout_ms);
    }
    return MTF_OK;
}

static mtf_status fill(const mtf_settings *settings, mtf_kafka_scope scope,
                       const char *transactional_id, rd_kafka_conf_t *conf, mtf_err *err)
{
    const bool producer = scope == MTF_KAFKA_PRODUCER;
    mtf_status status =
        mtf_kafka_conf_set(conf, "bootstrap.servers", settings->kafka_bootstrap_servers, err);
    if (!status) status = set_all(conf, both_defaults, COUNT(both_defaults), err);
    if (!status) {
        status = producer ? set_all(conf, producer_defaults, COUNT(producer_defaults), err)
                          : set_all(conf, consumer_defaults, COUNT(consumer_defaults), err);
    }
    if (!status && !producer) status = set_known(conf, consumer_newer, COUNT(consumer_newer), err);
    if (!status && transactional_id) {
        status = set_all(conf, transaction_defaults, COUNT(transaction_defaults), err);
        if (!status) status = mtf_kafka_conf_set(conf, "transactional.id", transactional_id, err);
    }
    /* First the common properties, then the scope's own, so that the narrower wins. */
    const mtf_kafka_scope passes[] = {MTF_KAFKA_BOTH, scope};
    for (size_t pass = 0; pass < 2 && !status; pass++) {
        for (size_t i = 0; i < settings->kafka_count && !status; i++) {
            if (settings->kafka[i].scope == passes[pass])
                status = pass_through(conf, &settings->kafka[i], err);
        }
    }
    if (!status) {
        status = producer ? set_all(conf, producer_owned, COUNT(producer_owned), err)
                          : set_all(conf, consumer_owned, COUNT(consumer_owned), err);
    }
    if (!status && transactional_id) status = check_transaction(settings, conf, err);
    return status;
}

mtf_status mtf_kafka_conf(const mtf_settings *settings, mtf_kafka_scope scope,
                          mtf_kafka_handle *handle, rd_kafka_conf_t **conf, mtf_err *err)
{
    MTF_ASSERT(scope == MTF_KAFKA_PRODUCER ||
               (scope == MTF_KAFKA_CONSUMER && !handle->transactional_id));
    *conf = NULL;
    if (settings->kafka_bootstrap_servers[0] == '\0') {
        return mtf_fail(
            err, MTF_INVALID,
            "kafka.bootstrap_servers is empty: name the brokers, host:port[,host:port...]");
    }
    rd_kafka_conf_t *made = rd_kafka_conf_new();
    mtf_status status = fill(settings, scope, handle->transactional_id, made, err);
    if (status) {
        rd_kafka_conf_destroy(made);
        return status;
    }
    rd_kafka_conf_set_opaque(made, handle);
    rd_kafka_conf_set_log_cb(made, on_log);
    rd_kafka_conf_set_error_cb(made, on_error);
    *conf = made;
    return MTF_OK;
}

mtf_status mtf_kafka_handle_open(mtf_kafka_handle *handle, rd_kafka_type_t type,
                                 rd_kafka_conf_t **conf, mtf_err *err)
{
    char words[256];
    handle->rk = rd_kafka_new(type, *conf, words, sizeof words);
    if (!handle->rk) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
        return mtf_fail(err, MTF_INVALID, "kafka settings: %s", words);
    }
    *conf = NULL; /* the handle owns it now */
    return MTF_OK;
}
