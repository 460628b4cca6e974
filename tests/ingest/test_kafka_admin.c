/** Goal: what brokers do not tell is no answer that anybody waits for or takes for one, and the
 *  copies asked for begin with those there are. Method: mock brokers, which have no admin API. */
#include "ingest/kafka_fixture.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "ingest/kafka_admin.h"

#define TOPIC "numbers"

/** Three brokers with a topic of three partitions; the mock ones copy each to all of them. */
typedef struct cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *brokers;
    mtf_settings settings;
    mtf_kafka_client *client;
} cluster;

static void cluster_open(cluster *c)
{
    mtf_err err;
    char words[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    assert_non_null(c->rk);
    c->brokers = rd_kafka_mock_cluster_new(c->rk, 3);
    assert_int_equal(rd_kafka_mock_topic_create(c->brokers, TOPIC, 3, 3), 0);
    fixture_settings(&c->settings, rd_kafka_mock_cluster_bootstraps(c->brokers));
    mtf_assert_ok(mtf_kafka_client_open(&c->settings, NULL, "group", true, NULL, &c->client, &err),
                  &err);
}

static void cluster_close(cluster *c)
{
    mtf_kafka_client_close(c->client);
    mtf_settings_fini(&c->settings);
    rd_kafka_mock_cluster_destroy(c->brokers);
    rd_kafka_destroy(c->rk);
}

static void what_is_not_told_is_said_so(void **state)
{
    (void)state;
    cluster c;
    mtf_err err;
    int32_t brokers = 0;
    mtf_kafka_group group;
    mtf_kafka_topic topics[] = {{.name = TOPIC}, {.name = "nowhere"}};
    cluster_open(&c);
    mtf_assert_ok(mtf_kafka_admin_brokers(c.client, &brokers, &err), &err);
    assert_int_equal(brokers, 3);
    mtf_assert_ok(mtf_kafka_admin_topics(c.client, topics, 2, false, &err), &err);
    assert_int_equal(topics[0].partitions, 3);
    assert_int_equal(topics[0].replication, 3);
    assert_int_equal(topics[1].partitions, 0);
    for (int i = 0; i < 2; i++) {
        assert_false(topics[i].asked || topics[i].told);
        assert_non_null(strstr(topics[i].untold, "do not answer"));
        assert_string_equal(topics[i].values[MTF_KAFKA_TOPIC_CLEANUP], "");
    }
    mtf_assert_ok(mtf_kafka_admin_group(c.client, "group", &group, &err), &err);
    assert_false(group.told);
    assert_int_equal(group.members, 0);
    const mtf_kafka_topic made = {.name = "made", .partitions = 1, .replication = 1};
    assert_int_equal(mtf_kafka_admin_create(c.client, &made, false, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "topic made cannot be created: these brokers have no admin"));
    cluster_close(&c);
}

/** Where the brokers of the `partition`-th are listed, "[1,2,3]...", in what is to be reassigned.
 */
static const char *copies_of(const mtf_buf *json, int partition)
{
    const char *at = (const char *)json->data;
    for (int i = 0; i <= partition; i++) {
        at = strstr(at, "\"replicas\":");
        assert_non_null(at);
        at += strlen("\"replicas\":");
    }
    return at;
}

static void reassign(const cluster *c, int32_t replication, mtf_buf *json)
{
    mtf_err err;
    mtf_assert_ok(mtf_kafka_admin_reassignment(c->client, TOPIC, replication, json, &err), &err);
    mtf_buf_put_u8(json, 0);
}

static void copies_that_stay_keep_their_order(void **state)
{
    (void)state;
    cluster c;
    mtf_buf one = {0}, three = {0};
    cluster_open(&c);
    reassign(&c, 1, &one);
    reassign(&c, 3, &three);
    assert_non_null(strstr((const char *)one.data,
                           "{\"version\":1,\"partitions\":[{\"topic\":\"numbers\",\"partition\":"));
    for (int i = 0; i < 3; i++) {
        int had, first, second, third;
        assert_int_equal(sscanf(copies_of(&one, i), "[%d]", &had), 1);
        assert_int_equal(sscanf(copies_of(&three, i), "[%d,%d,%d]", &first, &second, &third), 3);
        assert_int_equal(first, had); /* its leader stays */
        assert_int_equal((1 << first) + (1 << second) + (1 << third), 2 + 4 + 8); /* 1, 2 and 3 */
    }
    mtf_buf_fini(&one);
    mtf_buf_fini(&three);
    cluster_close(&c);
}

static void a_commit_leaves_what_it_does_not_name(void **state)
{
    (void)state;
    cluster c;
    mtf_err err;
    const int64_t first[] = {1, 2, 3}, second[] = {-1, 7, -1}, nothing[] = {-1, -1, -1};
    int64_t now[3];
    mtf_buf metadata[3] = {0};
    cluster_open(&c);
    mtf_assert_ok(mtf_kafka_admin_commit(c.client, TOPIC, 3, nothing, &err), &err);
    mtf_assert_ok(mtf_kafka_admin_commit(c.client, TOPIC, 3, first, &err), &err);
    mtf_assert_ok(mtf_kafka_admin_commit(c.client, TOPIC, 3, second, &err), &err);
    mtf_assert_ok(mtf_kafka_client_commits(c.client, TOPIC, 3, now, metadata, &err), &err);
    assert_int_equal(now[0], 1);
    assert_int_equal(now[1], 7);
    assert_int_equal(now[2], 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(metadata[i].size, 0);
        mtf_buf_fini(&metadata[i]);
    }
    cluster_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_told_is_said_so),
        cmocka_unit_test(copies_that_stay_keep_their_order),
        cmocka_unit_test(a_commit_leaves_what_it_does_not_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
