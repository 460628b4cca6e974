/** Goal: what is wrong with brokers, topics or settings is said at the start, in words that help.
 *  Method: mock brokers, and an address where nobody listens. */
#include "ingest/kafka_fixture.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "ingest/kafka_client.h"
#include "ingest/kafka_common.h"

#define TOPIC            "numbers"
#define FIND_COORDINATOR 10 /* ApiKey */

static void an_unreachable_broker_fails_fast(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_kafka_client *client;
    mtf_err err;
    fixture_settings(&settings, "127.0.0.1:1");
    assert_int_equal(mtf_kafka_client_open(&settings, NULL, NULL, true, NULL, &client, &err),
                     MTF_BROKER);
    assert_null(client);
    assert_non_null(strstr(err.msg, "no broker answers at 127.0.0.1:1"));
    assert_non_null(strstr(err.msg, "kafka.bootstrap_servers"));
    mtf_settings_fini(&settings);
}

static void a_wait_for_brokers_can_be_stopped(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_kafka_client *client;
    mtf_err err;
    const atomic_bool stop = true;
    fixture_settings(&settings, "127.0.0.1:1");
    assert_int_equal(mtf_kafka_client_open(&settings, NULL, NULL, false, &stop, &client, &err),
                     MTF_CLOSED);
    mtf_settings_fini(&settings);
}

static void no_brokers_named_is_an_error(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_kafka_client *client;
    mtf_err err;
    fixture_settings(&settings, "");
    assert_int_equal(mtf_kafka_client_open(&settings, NULL, NULL, true, NULL, &client, &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "kafka.bootstrap_servers is empty"));
    mtf_settings_fini(&settings);
}

static void a_full_prefetch_is_soon_looked_at_again_where_that_can_be_said(void **state)
{
    (void)state;
    mtf_settings settings;
    mtf_kafka_handle handle = {0};
    rd_kafka_conf_t *conf = NULL;
    mtf_err err;
    char text[32] = "";
    size_t size = sizeof text;
    fixture_settings(&settings, "127.0.0.1:1");
    assert_int_equal(mtf_kafka_conf(&settings, MTF_KAFKA_CONSUMER, &handle, &conf, &err), MTF_OK);
    const rd_kafka_conf_res_t known =
        rd_kafka_conf_get(conf, "fetch.queue.backoff.ms", text, &size);
    if (rd_kafka_version() >= 0x02020000) assert_int_equal(known, RD_KAFKA_CONF_OK);
    if (known == RD_KAFKA_CONF_OK) assert_string_equal(text, "20");
    rd_kafka_conf_destroy(conf);
    mtf_settings_fini(&settings);
}

static void a_missing_topic_is_named_with_the_command_that_makes_it(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_client *client;
    mtf_kafka_source *source;
    int32_t count;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 3);
    mtf_assert_ok(mtf_kafka_client_open(&fixture.settings, NULL, NULL, true, NULL, &client, &err),
                  &err);
    mtf_assert_ok(mtf_kafka_client_partitions(client, TOPIC, &count, &err), &err);
    assert_int_equal(count, 3);
    for (int i = 0; i < 2; i++) { /* the first question must not create it */
        assert_int_equal(mtf_kafka_client_partitions(client, "nowhere", &count, &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "topic nowhere does not exist"));
        assert_non_null(strstr(err.msg, "--create --topic nowhere"));
    }
    const mtf_kafka_source_config config = {.topic = "nowhere", .group = "test"};
    assert_int_equal(mtf_kafka_source_open(&fixture.settings, NULL, &config, &source, &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "topic nowhere does not exist"));
    mtf_kafka_client_close(client);
    fixture_close(&fixture);
}

static void a_refused_property_is_named_with_librdkafkas_words(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *words;
    } rows[] = {
        {"kafka.no.such.thing", "1", "kafka.no.such.thing: No such configuration property"},
        {"kafka.consumer.fetch.min.bytes", "-5",
         "kafka.consumer.fetch.min.bytes: Configuration property"},
        {"kafka.enable.auto.commit", "true", "kafka.enable.auto.commit: mtf needs it at false"},
        {"kafka.consumer.isolation.level", "read_uncommitted",
         "kafka.consumer.isolation.level: mtf needs it at read_committed"},
        {"kafka.delivery.report.only.error", "true",
         "kafka.delivery.report.only.error: mtf needs it at false"},
        {"kafka.partitioner", "random", "kafka.partitioner: mtf needs it at murmur2_random"},
        {"kafka.consumer.group.id", "x", "kafka.consumer.group.id: set sessionize.group instead"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mtf_settings settings;
        mtf_kafka_client *client;
        mtf_err err;
        fixture_settings(&settings, "127.0.0.1:1");
        fixture_set(&settings, rows[i].key, rows[i].value);
        assert_int_equal(mtf_kafka_client_open(&settings, NULL, NULL, true, NULL, &client, &err),
                         MTF_INVALID);
        if (!strstr(err.msg, rows[i].words)) fail_msg("%s: %s", rows[i].key, err.msg);
        mtf_settings_fini(&settings);
    }
}

static void a_scoped_property_reaches_only_its_scope_and_wins(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_sink sink;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    fixture_set(&fixture.settings, "kafka.producer.message.max.bytes", "50000");
    fixture_set(&fixture.settings, "kafka.message.max.bytes", "70000");
    fixture_set(&fixture.settings, "kafka.consumer.message.max.bytes", "90000");
    mtf_assert_ok(mtf_kafka_sink_open(&fixture.settings, NULL, NULL, &sink, &err), &err);
    assert_int_equal(sink.value_bytes_max, 50000 - 16384);
    sink.close(sink.self);
    fixture_close(&fixture);
}

static void a_group_that_may_not_be_looked_at_is_named_with_the_remedy(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_kafka_client *client;
    int64_t committed;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    for (int i = 0; i < 1000; i++)
        rd_kafka_mock_push_request_errors(mtf_kafka_mock_cluster(fixture.mock), FIND_COORDINATOR, 1,
                                          RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    mtf_assert_ok(
        mtf_kafka_client_open(&fixture.settings, NULL, "watched", true, NULL, &client, &err), &err);
    assert_int_equal(mtf_kafka_client_committed(client, TOPIC, 1, &committed, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "committed offsets of " TOPIC));
    assert_non_null(strstr(err.msg, "lacks an ACL on the group watched: docs/security.md"));
    mtf_kafka_client_close(client);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unreachable_broker_fails_fast),
        cmocka_unit_test(a_wait_for_brokers_can_be_stopped),
        cmocka_unit_test(no_brokers_named_is_an_error),
        cmocka_unit_test(a_full_prefetch_is_soon_looked_at_again_where_that_can_be_said),
        cmocka_unit_test(a_missing_topic_is_named_with_the_command_that_makes_it),
        cmocka_unit_test(a_group_that_may_not_be_looked_at_is_named_with_the_remedy),
        cmocka_unit_test(a_refused_property_is_named_with_librdkafkas_words),
        cmocka_unit_test(a_scoped_property_reaches_only_its_scope_and_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
