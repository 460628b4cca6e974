/** Goal: topics are made as the stages need them, and whatever differs is judged by what it costs,
 *  with the command that mends it. Method: plans of settings; plans changed in one place, judged.
 */
#include "cli/topics.h"

#include "ingest/kafka_fixture.h"

static mtf_settings settings;

static int setup(void **state)
{
    (void)state;
    fixture_settings(&settings, "one:9092,two:9092");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mtf_settings_fini(&settings);
    return 0;
}

static mtf_kafka_topic plan(topic_role role, topic_sizes sizes)
{
    mtf_kafka_topic topic;
    mtf_err err;
    mtf_assert_ok(topic_plan(&settings, role, &sizes, &topic, &err), &err);
    topic.told = true;
    return topic;
}

/** What was found, as "level setting is->wants" lines, and the last one's remedy. */
typedef struct found {
    char lines[600], remedy[700];
} found;

static void take(void *arg, const topic_finding *finding)
{
    static const char *const levels[] = {"refused", "warned", "noted"};
    found *f = arg;
    const size_t used = strlen(f->lines);
    snprintf(f->lines + used, sizeof f->lines - used, "%s%s %s %s->%s", used ? "; " : "",
             levels[finding->level], finding->setting, finding->is, finding->wants);
    snprintf(f->remedy, sizeof f->remedy, "%s", finding->remedy);
    assert_true(finding->why[0]);
}

static found judge(topic_role role, topic_sizes sizes, const mtf_kafka_topic *is)
{
    found f = {0};
    mtf_err err;
    mtf_assert_ok(topic_judge(&settings, role, &sizes, is, take, &f, &err), &err);
    return f;
}

static const topic_sizes three = {6, 3};

/** One value of a topic that is else as planned. */
static void judged(topic_role role, mtf_kafka_topic_setting setting, const char *value,
                   const char *lines)
{
    mtf_kafka_topic topic = plan(role, three);
    snprintf(topic.values[setting], sizeof topic.values[setting], "%s", value);
    const found f = judge(role, three, &topic);
    assert_string_equal(f.lines, lines);
    if (!lines[0]) return;
    char command[300];
    snprintf(command, sizeof command,
             "kafka-configs.sh --bootstrap-server one:9092 --alter --entity-type topics "
             "--entity-name %s --add-config %s=%s",
             topic.name, mtf_kafka_topic_setting_name(setting), strstr(lines, "->") + 2);
    assert_string_equal(f.remedy, command);
}

static void what_is_planned_differs_in_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < TOPIC_ROLES; i++) {
        const mtf_kafka_topic topic = plan((topic_role)i, three);
        assert_string_equal(judge((topic_role)i, three, &topic).lines, "");
    }
}

static void plans_follow_the_settings(void **state)
{
    (void)state;
    mtf_kafka_topic topic = plan(TOPIC_EXPLORATION, three);
    assert_int_equal(topic.partitions, 6);
    assert_int_equal(topic.replication, 3);
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_STAMPS], "LogAppendTime");
    /* 6 h + 30 min + 1 min + 5 min, and a week. */
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_RETENTION_MS], "628560000");
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_IN_SYNC], "2");
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_MESSAGE_BYTES], "1048588");
    topic = plan(TOPIC_SESSIONS, (topic_sizes){6, 1});
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_RETENTION_MS], "2592000000");
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_IN_SYNC], "1");
    topic = plan(TOPIC_POLICY, three);
    assert_int_equal(topic.partitions, 1);
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_CLEANUP], "compact");
    topic = plan(TOPIC_POLICY_HISTORY, three);
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_RETENTION_MS], "-1");
    fixture_set(&settings, "kafka.producer.message.max.bytes", "5000000");
    fixture_set(&settings, "sessionize.allow_create_time", "true");
    fixture_set(&settings, "store.retention_days", "2");
    assert_string_equal(plan(TOPIC_EXPLORATION, three).values[MTF_KAFKA_TOPIC_STAMPS], "");
    topic = plan(TOPIC_SESSIONS, three);
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_RETENTION_MS], "172800000");
    assert_string_equal(topic.values[MTF_KAFKA_TOPIC_MESSAGE_BYTES], "5048588");
}

static void compaction_is_refused_wherever_it_loses_records(void **state)
{
    (void)state;
    const topic_role roles[] = {TOPIC_EXPLORATION, TOPIC_SESSIONS, TOPIC_LATE, TOPIC_DEAD_LETTER,
                                TOPIC_POLICY_HISTORY};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        judged(roles[i], MTF_KAFKA_TOPIC_CLEANUP, "compact",
               "refused cleanup.policy compact->delete");
        judged(roles[i], MTF_KAFKA_TOPIC_CLEANUP, "compact,delete",
               "refused cleanup.policy compact,delete->delete");
    }
    judged(TOPIC_POLICY, MTF_KAFKA_TOPIC_CLEANUP, "delete",
           "warned cleanup.policy delete->compact");
    judged(TOPIC_LEADER, MTF_KAFKA_TOPIC_CLEANUP, "compact", "");
}

static void retention_is_held_against_the_longest_session(void **state)
{
    (void)state;
    const int64_t longest_ms = settings.sessionize_max_duration_ms + settings.sessionize_gap_ms +
                               settings.sessionize_grace_ms + settings.sessionize_max_future_ms;
    char value[32], lines[100];
    snprintf(value, sizeof value, "%lld", (long long)longest_ms);
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_RETENTION_MS, value, "");
    snprintf(value, sizeof value, "%lld", (long long)longest_ms - 1);
    snprintf(lines, sizeof lines, "warned retention.ms %s->628560000", value);
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_RETENTION_MS, value, lines);
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_RETENTION_MS, "-1", "");
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_RETENTION_BYTES, "1000000",
           "noted retention.bytes 1000000->-1");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_RETENTION_MS, "604800000",
           "noted retention.ms 604800000->2592000000");
    judged(TOPIC_LATE, MTF_KAFKA_TOPIC_RETENTION_MS, "1000", "");
    judged(TOPIC_POLICY_HISTORY, MTF_KAFKA_TOPIC_RETENTION_MS, "604800000",
           "warned retention.ms 604800000->-1");
    judged(TOPIC_POLICY_HISTORY, MTF_KAFKA_TOPIC_RETENTION_BYTES, "5",
           "warned retention.bytes 5->-1");
}

static void clocks_sizes_and_copies_are_judged(void **state)
{
    (void)state;
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_STAMPS, "CreateTime",
           "refused message.timestamp.type CreateTime->LogAppendTime");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_STAMPS, "CreateTime", "");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_MESSAGE_BYTES, "999999",
           "warned max.message.bytes 999999->1048588");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_MESSAGE_BYTES, "1000000", "");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_IN_SYNC, "3", "noted min.insync.replicas 3->2");
    judged(TOPIC_SESSIONS, MTF_KAFKA_TOPIC_IN_SYNC, "1", "noted min.insync.replicas 1->2");
    fixture_set(&settings, "sessionize.allow_create_time", "true");
    judged(TOPIC_EXPLORATION, MTF_KAFKA_TOPIC_STAMPS, "CreateTime", "");
}

static void partitions_and_replication_are_judged(void **state)
{
    (void)state;
    mtf_kafka_topic topic = plan(TOPIC_EXPLORATION, three);
    topic.partitions = 4;
    found f = judge(TOPIC_EXPLORATION, three, &topic);
    assert_string_equal(f.lines, "noted partitions 4->6");
    assert_string_equal(f.remedy, "kafka-topics.sh --bootstrap-server one:9092 --alter --topic "
                                  "mtf.exploration --partitions 6");
    assert_string_equal(judge(TOPIC_EXPLORATION, (topic_sizes){0, 0}, &topic).lines, "");
    topic.partitions = 8; /* wider than asked for is no fault, and could not be undone */
    assert_string_equal(judge(TOPIC_EXPLORATION, three, &topic).lines, "");
    topic.replication = 1;
    f = judge(TOPIC_EXPLORATION, three, &topic);
    assert_string_equal(f.lines, "noted replication 1->3");
    assert_string_equal(f.remedy, ""); /* the caller's, who knows the brokers */
    topic = plan(TOPIC_LEADER, three);
    topic.partitions = 2;
    f = judge(TOPIC_LEADER, (topic_sizes){0, 0}, &topic);
    assert_string_equal(f.lines, "refused partitions 2->1");
    assert_string_equal(f.remedy, "mtf topics create --set topics.leader=ANOTHER-NAME");
    topic = plan(TOPIC_POLICY, three);
    topic.partitions = 3;
    assert_string_equal(judge(TOPIC_POLICY, three, &topic).lines, "noted partitions 3->1");
    fixture_set(&settings, "sessionize.threads", "7");
    topic = plan(TOPIC_EXPLORATION, three);
    assert_string_equal(judge(TOPIC_EXPLORATION, three, &topic).lines, "warned partitions 6->7");
}

static void what_was_not_told_is_not_judged(void **state)
{
    (void)state;
    mtf_kafka_topic topic = plan(TOPIC_EXPLORATION, three);
    memset(topic.values, 0, sizeof topic.values);
    topic.told = false;
    assert_string_equal(judge(TOPIC_EXPLORATION, three, &topic).lines, "");
    topic = (mtf_kafka_topic){.name = "gone", .told = true};
    assert_string_equal(judge(TOPIC_SESSIONS, three, &topic).lines, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_planned_differs_in_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(plans_follow_the_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(compaction_is_refused_wherever_it_loses_records, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(retention_is_held_against_the_longest_session, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(clocks_sizes_and_copies_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(partitions_and_replication_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_told_is_not_judged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
