#include "ingest/kafka_mock.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

struct mtf_kafka_mock {
    rd_kafka_t *rk; /* an idle producer: the brokers live in its threads */
    rd_kafka_mock_cluster_t *cluster;
};

static mtf_status fill(mtf_kafka_mock *mock, const mtf_kafka_mock_topic *topics, size_t count,
                       mtf_err *err)
{
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL,
                      0); /* it would warn that it has no brokers to connect to */
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    if (!mock->rk) {
        rd_kafka_conf_destroy(conf);
        return mtf_fail(err, MTF_BROKER, "mock brokers: %s", words);
    }
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, 1);
    if (!mock->cluster)
        return mtf_fail(err, MTF_BROKER, "mock brokers: cannot listen on localhost");
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(mock->cluster, topics[i].name, topics[i].partitions, 1);
        if (code)
            return mtf_fail(err, MTF_BROKER, "mock topic %s: %s", topics[i].name,
                            rd_kafka_err2str(code));
    }
    return MTF_OK;
}

mtf_status mtf_kafka_mock_open(const mtf_kafka_mock_topic *topics, size_t count,
                               mtf_kafka_mock **mock, mtf_err *err)
{
    *mock = calloc(1, sizeof **mock);
    if (!*mock) return mtf_fail(err, MTF_NOMEM, "mock brokers: out of memory");
    const mtf_status status = fill(*mock, topics, count, err);
    if (status) {
        mtf_kafka_mock_close(*mock);
        *mock = NULL;
    }
    return status;
}

void mtf_kafka_mock_close(mtf_kafka_mock *mock)
{
    if (!mock) return;
    if (mock->cluster) rd_kafka_mock_cluster_destroy(mock->cluster);
    if (mock->rk) rd_kafka_destroy(mock->rk);
    free(mock);
}

const char *mtf_kafka_mock_bootstrap(const mtf_kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

struct rd_kafka_mock_cluster_s *mtf_kafka_mock_cluster(mtf_kafka_mock *mock)
{
    return mock->cluster;
}
