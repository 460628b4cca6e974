/** What the tests on a real Apache Kafka share: settings that point at the broker of broker.sh,
 * whose address is in $MTF_TEST_KAFKA/bootstrap, and topics with names of their own. */
#ifndef MTF_REAL_BROKER_H
#define MTF_REAL_BROKER_H

#include "core/file.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_fixture.h"

#include <librdkafka/rdkafka.h>
#include <unistd.h>

/** -1 with words: no broker was named. */
static inline int real_settings(mtf_settings *settings)
{
    char path[500];
    const char *run = getenv("MTF_TEST_KAFKA");
    mtf_buf text = {0};
    mtf_err err;
    if (!run) {
        print_error(
            "MTF_TEST_KAFKA is not set: tests/kafka/broker.sh up RUN, then MTF_TEST_KAFKA=RUN\n");
        return -1;
    }
    snprintf(path, sizeof path, "%s/bootstrap", run);
    mtf_assert_ok(mtf_file_read(path, 100, &text, &err), &err);
    mtf_buf_put_u8(&text, 0);
    text.data[strcspn((char *)text.data, "\n")] = '\0';
    fixture_settings(settings, (const char *)text.data);
    fixture_set(settings, "kafka.producer.linger.ms", "1");
    fixture_set(settings, "kafka.consumer.session.timeout.ms", "6000");
    fixture_set(settings, "kafka.consumer.fetch.wait.max.ms", "10");
    mtf_buf_fini(&text);
    return 0;
}

/** Creating a topic is heard of by the brokers' clients a little later. */
static inline void real_wait_for_topic(const mtf_settings *settings, const char *topic)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    mtf_kafka_client *client;
    mtf_err err;
    int32_t partitions;
    mtf_assert_ok(mtf_kafka_client_open(settings, NULL, NULL, true, NULL, &client, &err), &err);
    mtf_status status;
    do {
        status = mtf_kafka_client_partitions(client, topic, &partitions, &err);
    } while (status != MTF_OK && mtf_clock_mono_ns() < deadline_ns);
    mtf_kafka_client_close(client);
    mtf_assert_ok(status, &err);
}

/** Creates a topic of a name of its own, with one setting; the name is written to `topic`. */
static inline void real_topic(const mtf_settings *settings, char topic[60], const char *what,
                              int partitions, const char *key, const char *value)
{
    char words[200];
    snprintf(topic, 60, "%.25s-%d-%lld", what, (int)getpid(), (long long)mtf_clock_wall_ms());
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", settings->kafka_bootstrap_servers,
                                       words, sizeof words),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    assert_non_null(rk);
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(topic, partitions, 1, words, sizeof words);
    assert_int_equal(rd_kafka_NewTopic_set_config(made, key, value), 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &made, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(made);
    rd_kafka_destroy(rk);
    real_wait_for_topic(settings, topic);
}

#endif
