/** What the Kafka tests share: mock brokers with settings that point at them, a producer of
 * numbered records, and loops that poll a source until something came. */
#ifndef MTF_KAFKA_FIXTURE_H
#define MTF_KAFKA_FIXTURE_H

#include "support/mtf_test.h"

#include "core/clock.h"
#include "ingest/kafka_mock.h"
#include "ingest/kafka_sink.h"
#include "ingest/kafka_source.h"

/** A wait that ends a hung test with words; nothing is asserted about times. */
#define WAIT_MS 60000

typedef struct kafka_fixture {
    mtf_kafka_mock *mock;
    mtf_settings settings;
} kafka_fixture;

static inline void fixture_settings(mtf_settings *settings, const char *bootstrap)
{
    mtf_err err;
    memset(settings, 0, sizeof *settings);
    mtf_assert_ok(mtf_settings_init(settings, &err), &err);
    mtf_assert_ok(mtf_settings_set(settings, "kafka.bootstrap_servers", bootstrap, "test", &err),
                  &err);
}

static inline void fixture_set(mtf_settings *settings, const char *key, const char *value)
{
    mtf_err err;
    mtf_assert_ok(mtf_settings_set(settings, key, value, "test", &err), &err);
}

static inline void fixture_open(kafka_fixture *fixture, const char *topic, int partitions)
{
    mtf_err err;
    const mtf_kafka_mock_topic topics[] = {{topic, partitions}};
    mtf_assert_ok(mtf_kafka_mock_open(topics, 1, &fixture->mock, &err), &err);
    fixture_settings(&fixture->settings, mtf_kafka_mock_bootstrap(fixture->mock));
    fixture_set(&fixture->settings, "kafka.producer.linger.ms", "1");
    fixture_set(&fixture->settings, "kafka.consumer.session.timeout.ms", "3000");
    fixture_set(&fixture->settings, "kafka.consumer.heartbeat.interval.ms", "300");
    fixture_set(&fixture->settings, "kafka.consumer.fetch.wait.max.ms", "10");
}

static inline void fixture_close(kafka_fixture *fixture)
{
    mtf_settings_fini(&fixture->settings);
    mtf_kafka_mock_close(fixture->mock);
}

/** A source of its own partitions, or (instance set) a member of the group of
 *  the topic's name. */
static inline mtf_source fixture_source(const mtf_settings *settings, const char *topic,
                                        const char *instance, bool count_gaps,
                                        mtf_kafka_source **handle)
{
    mtf_err err;
    const mtf_kafka_source_config config = {
        .topic = topic, .group = topic, .instance = instance, .count_gaps = count_gaps};
    mtf_assert_ok(mtf_kafka_source_open(settings, NULL, &config, handle, &err), &err);
    return mtf_kafka_source_pipe(*handle);
}

/** The next input, whatever it is. */
static inline void next_input(const mtf_source *source, mtf_input *input)
{
    mtf_err err;
    const int64_t deadline_ns = mtf_clock_mono_ns() + (int64_t)WAIT_MS * 1000000;
    mtf_status status = MTF_AGAIN;
    while (status == MTF_AGAIN && mtf_clock_mono_ns() < deadline_ns) {
        status = source->poll(source->self, 100, input, &err);
    }
    mtf_assert_ok(status, &err);
}

/** The next input but the ends of partitions. */
static inline void next_event(const mtf_source *source, mtf_input *input)
{
    do next_input(source, input);
    while (input->kind == MTF_INPUT_END);
}

static inline void start_at(const mtf_source *source, int32_t partition, int64_t offset)
{
    mtf_err err;
    mtf_assert_ok(source->start(source->self, partition, offset, &err), &err);
}

/** Takes `count` ASSIGN inputs, starting each partition at its commit, or at 0. */
static inline void start_all(const mtf_source *source, int count)
{
    mtf_input input;
    for (int i = 0; i < count; i++) {
        next_input(source, &input);
        assert_int_equal(input.kind, MTF_INPUT_ASSIGN);
        start_at(source, input.partition, input.committed_offset < 0 ? 0 : input.committed_offset);
    }
}

static inline mtf_span text_span(const char *text)
{
    return (mtf_span){(const uint8_t *)text, strlen(text)};
}

/** Records "key<i>" -> "<i>" for i in from..to-1, acknowledged. */
static inline void put_numbers(const mtf_sink *sink, const char *topic, int from, int to)
{
    mtf_err err;
    mtf_assert_ok(sink->begin(sink->self, &err), &err);
    for (int i = from; i < to; i++) {
        char key[20], value[20];
        snprintf(key, sizeof key, "key%d", i);
        snprintf(value, sizeof value, "%d", i);
        mtf_assert_ok(
            sink->put(sink->self, topic, text_span(key), text_span(value), NULL, 0, 1000 + i, &err),
            &err);
    }
    mtf_assert_ok(sink->commit(sink->self, NULL, 0, &err), &err);
}

/** A record's number, as put_numbers wrote it. */
static inline int number_of(const mtf_message *message)
{
    char text[20] = "";
    assert_in_range(message->value.size, 1, sizeof text - 1);
    memcpy(text, message->value.data, message->value.size);
    return atoi(text);
}

#endif
