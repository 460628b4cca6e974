#include "cli/brokers.h"

#include "core/clock.h"
#include "ingest/kafka_sink.h"

static const char *const topics[] = {"mtf.exploration", "mtf.sessions", "mtf.late",
                                     "mtf.dead-letter", "mtf.policy",   "mtf.policy-history"};

static void write_config(brokers *b, const char *more)
{
    char text[4000];
    const int size =
        snprintf(text, sizeof text,
                 "kafka:\n"
                 "  bootstrap_servers: \"%s\"\n"
                 "  producer.linger.ms: 1\n"
                 /* a mock broker lets a static member back in only when its session is over */
                 "  consumer.session.timeout.ms: 6000\n"
                 "  consumer.heartbeat.interval.ms: 1000\n"
                 "sessionize.allow_create_time: true\n"
                 "sessionize.commit_interval_ms: 50\n"
                 "sessionize.delivery: at-least-once\n" /* the mock has no real transactions */
                 "sessionize.instance: test\n"
                 "store.commit_interval_ms: 50\n"
                 "store.path: \"%s/store\"\n"
                 "topics.leader: \"\"\n%s",
                 mtf_kafka_mock_bootstrap(b->mock), b->folder, more);
    assert_in_range(size, 1, sizeof text - 1);
    mtf_test_file(b->config, b->folder, "mtf.yaml", text);
}

void brokers_open(brokers *b, const char *without, const char *more)
{
    mtf_err err = {0};
    mtf_kafka_mock_topic made[sizeof topics / sizeof *topics];
    size_t count = 0;
    *b = (brokers){0};
    mtf_test_folder(b->folder);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        if (!without || strcmp(topics[i], without) != 0)
            made[count++] = (mtf_kafka_mock_topic){topics[i], 1};
    }
    mtf_assert_ok(mtf_kafka_mock_open(made, count, &b->mock, &err), &err);
    write_config(b, more);
    mtf_assert_ok(mtf_settings_init(&b->settings, &err), &err);
    mtf_assert_ok(mtf_settings_load(&b->settings, b->config, &err), &err);
    mtf_assert_ok(mtf_kafka_sink_open(&b->settings, NULL, NULL, &b->sink, &err), &err);
}

void brokers_close(brokers *b)
{
    b->sink.close(b->sink.self);
    mtf_settings_fini(&b->settings);
    mtf_kafka_mock_close(b->mock);
    mtf_test_folder_remove(b->folder);
}

void brokers_put(brokers *b, const char *topic, const char *key, mtf_span value)
{
    mtf_err err = {0};
    const mtf_span name = {(const uint8_t *)key, strlen(key)};
    mtf_assert_ok(b->sink.begin(b->sink.self, &err), &err);
    mtf_assert_ok(b->sink.put(b->sink.self, topic, name, value, NULL, 0, 0, &err), &err);
    mtf_assert_ok(b->sink.commit(b->sink.self, NULL, 0, &err), &err);
}

static rd_kafka_t *open_consumer(const brokers *b, const char *topic)
{
    char words[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", mtf_kafka_mock_bootstrap(b->mock), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    assert_non_null(rk);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 0;
    assert_int_equal(rd_kafka_assign(rk, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

void brokers_read(brokers *b, const char *topic, int count,
                  void (*take)(void *arg, int index, const rd_kafka_message_t *message), void *arg)
{
    rd_kafka_t *rk = open_consumer(b, topic);
    const int64_t started_ns = mtf_clock_mono_ns();
    for (int seen = 0; seen < count;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message && !message->err) take(arg, seen++, message);
        if (message) rd_kafka_message_destroy(message);
        if (mtf_clock_mono_ns() - started_ns > PROGRAM_WAIT_MS * INT64_C(1000000))
            fail_msg("topic %s: %d of %d records came", topic, seen, count);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

void brokers_count(brokers *b, const char *topic, int64_t count)
{
    int64_t first = 0, end = -1;
    rd_kafka_t *rk = open_consumer(b, topic);
    assert_int_equal(rd_kafka_query_watermark_offsets(rk, topic, 0, &first, &end, PROGRAM_WAIT_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    assert_int_equal(end, count);
}

const char *brokers_header(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t size = 0;
    assert_int_equal(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("no header %s", name);
    return value; /* librdkafka ends it with a NUL */
}
