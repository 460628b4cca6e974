/** librdkafka's in-process mock brokers, for the demo and tests: plain TCP on localhost, so that
 * other processes may join. They keep 5 MiB a partition and drop the oldest silently, know no admin
 * API, and their transactions hide nothing. */
#ifndef MTF_INGEST_KAFKA_MOCK_H
#define MTF_INGEST_KAFKA_MOCK_H

#include "core/status.h"

typedef struct mtf_kafka_mock mtf_kafka_mock;

typedef struct mtf_kafka_mock_topic {
    const char *name;
    int partitions;
} mtf_kafka_mock_topic;

/** One broker with the topics made. MTF_BROKER: it could not listen. */
mtf_status mtf_kafka_mock_open(const mtf_kafka_mock_topic *topics, size_t count,
                               mtf_kafka_mock **mock, mtf_err *err) MTF_NODISCARD;
/** After every client of it is closed. */
void mtf_kafka_mock_close(mtf_kafka_mock *mock);
/** kafka.bootstrap_servers of it; valid until close. */
const char *mtf_kafka_mock_bootstrap(const mtf_kafka_mock *mock);
/** librdkafka's own handle (rdkafka_mock.h), for tests that inject errors. */
struct rd_kafka_mock_cluster_s *mtf_kafka_mock_cluster(mtf_kafka_mock *mock);

#endif
