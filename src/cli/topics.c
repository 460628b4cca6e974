#include "cli/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_MS INT64_C(86400000)

enum {
    SPARE_DAYS = 7,      /* that the sessionizers may be away, in what is made */
    ASIDE_DAYS = 7,      /* that what was set aside is kept, in what is made */
    BATCH_BYTES = 48588, /* a batch may be so much larger than its one record: Kafka's own margin */
    BROKERS_BYTES = 1048588, /* max.message.bytes where nobody set it */
};

const char *topic_name(const mtf_settings *s, topic_role role)
{
    const char *const names[] = {
        s->topics_exploration, s->topics_sessions,       s->topics_late,  s->topics_dead_letter,
        s->topics_policy,      s->topics_policy_history, s->topics_leader};
    return names[role];
}

/** The log must go back to where the oldest open session began, when a sessionizer starts. */
static int64_t longest_session_ms(const mtf_settings *s)
{
    return s->sessionize_max_duration_ms + s->sessionize_gap_ms + s->sessionize_grace_ms +
           s->sessionize_max_future_ms;
}

static bool has_records(topic_role role)
{
    return role != TOPIC_LEADER;
}

static bool is_policies(topic_role role)
{
    return role == TOPIC_POLICY || role == TOPIC_POLICY_HISTORY;
}

static int64_t retention_ms(const mtf_settings *s, topic_role role)
{
    if (role == TOPIC_EXPLORATION) return longest_session_ms(s) + SPARE_DAYS * DAY_MS;
    if (role == TOPIC_SESSIONS) return s->store_retention_days * DAY_MS;
    return role == TOPIC_POLICY_HISTORY ? -1 : ASIDE_DAYS * DAY_MS;
}

static void put(mtf_kafka_topic *plan, mtf_kafka_topic_setting setting, int64_t value)
{
    snprintf(plan->values[setting], sizeof plan->values[setting], "%" PRId64, value);
}

mtf_status topic_plan(const mtf_settings *s, topic_role role, const topic_sizes *sizes,
                      mtf_kafka_topic *plan, mtf_err *err)
{
    int64_t bytes;
    const mtf_status status = mtf_kafka_message_bytes(s, &bytes, err);
    if (status != MTF_OK) return status;
    const bool wide = role == TOPIC_EXPLORATION || role == TOPIC_SESSIONS;
    *plan = (mtf_kafka_topic){.name = topic_name(s, role),
                              .partitions = wide ? sizes->partitions : 1,
                              .replication = sizes->replication};
    if (!has_records(role)) return MTF_OK;
    snprintf(plan->values[MTF_KAFKA_TOPIC_CLEANUP], sizeof plan->values[0], "%s",
             role == TOPIC_POLICY ? "compact" : "delete");
    if (role != TOPIC_POLICY) put(plan, MTF_KAFKA_TOPIC_RETENTION_MS, retention_ms(s, role));
    if (wide || role == TOPIC_POLICY_HISTORY) put(plan, MTF_KAFKA_TOPIC_RETENTION_BYTES, -1);
    if (role == TOPIC_EXPLORATION && !s->sessionize_allow_create_time)
        snprintf(plan->values[MTF_KAFKA_TOPIC_STAMPS], sizeof plan->values[0], "LogAppendTime");
    bytes += BATCH_BYTES;
    put(plan, MTF_KAFKA_TOPIC_MESSAGE_BYTES, bytes > BROKERS_BYTES ? bytes : BROKERS_BYTES);
    if (sizes->replication > 0) put(plan, MTF_KAFKA_TOPIC_IN_SYNC, sizes->replication >= 3 ? 2 : 1);
    return MTF_OK;
}

/* -- judging ------------------------------------------------------ */

typedef struct judgement {
    const mtf_settings *settings;
    topic_role role;
    const mtf_kafka_topic *is;
    mtf_kafka_topic plan;
    topic_finding_fn *fn;
    void *arg;
} judgement;

/** Length of the first of the brokers: one is enough for a command. */
static int first_broker(const mtf_settings *settings)
{
    return (int)strcspn(settings->kafka_bootstrap_servers, ",");
}

/** remedy NULL: setting the brokers' setting to what is wanted. */
static void found(const judgement *j, topic_level level, const char *setting, const char *is,
                  const char *wants, const char *why, const char *remedy)
{
    mtf_buf command = {0};
    if (!remedy)
        mtf_buf_printf(&command,
                       "kafka-configs.sh --bootstrap-server %.*s --alter --entity-type topics "
                       "--entity-name %s --add-config %s=%s",
                       first_broker(j->settings), j->settings->kafka_bootstrap_servers, j->is->name,
                       setting, wants);
    mtf_buf_put_u8(&command, 0);
    const topic_finding finding = {
        j->role, level, j->is->name, setting,
        is,      wants, why,         remedy ? remedy : (const char *)command.data};
    if (!command.failed) j->fn(j->arg, &finding);
    mtf_buf_fini(&command);
}

/** A value that the brokers told; "" where they did not, or do not know the setting. */
static const char *told(const judgement *j, mtf_kafka_topic_setting setting)
{
    return j->is->told ? j->is->values[setting] : "";
}

static void value_found(const judgement *j, topic_level level, mtf_kafka_topic_setting setting,
                        const char *why)
{
    found(j, level, mtf_kafka_topic_setting_name(setting), told(j, setting),
          j->plan.values[setting], why, NULL);
}

static void judge_cleanup(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_CLEANUP);
    const char *wants = j->plan.values[MTF_KAFKA_TOPIC_CLEANUP];
    if (!is[0] || !wants[0] || strcmp(is, wants) == 0) return;
    if (j->role == TOPIC_POLICY)
        value_found(j, TOPIC_WARNED, MTF_KAFKA_TOPIC_CLEANUP,
                    "retention removes the policy that serves");
    else if (strstr(is, "compact"))
        value_found(j, TOPIC_REFUSED, MTF_KAFKA_TOPIC_CLEANUP,
                    "compaction keeps one record of each key and removes the others");
}

static void judge_retention_ms(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_RETENTION_MS);
    const int64_t value = strtoll(is, NULL, 10);
    if (!is[0] || value < 0) return;
    if (j->role == TOPIC_EXPLORATION && value < longest_session_ms(j->settings))
        value_found(j, TOPIC_WARNED, MTF_KAFKA_TOPIC_RETENTION_MS,
                    "shorter than sessionize.max_duration_ms + gap_ms + grace_ms + max_future_ms: "
                    "sessions that are open when a sessionizer starts again lose their heads");
    if (j->role == TOPIC_SESSIONS && value < retention_ms(j->settings, j->role))
        value_found(j, TOPIC_NOTED, MTF_KAFKA_TOPIC_RETENTION_MS,
                    "shorter than store.retention_days: a lost store is not rebuilt whole");
    if (j->role == TOPIC_POLICY_HISTORY)
        value_found(j, TOPIC_WARNED, MTF_KAFKA_TOPIC_RETENTION_MS,
                    "versions that are gone cannot be rolled back to");
}

static void judge_retention_bytes(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_RETENTION_BYTES);
    if (!is[0] || strtoll(is, NULL, 10) < 0) return;
    if (j->role == TOPIC_POLICY_HISTORY)
        value_found(j, TOPIC_WARNED, MTF_KAFKA_TOPIC_RETENTION_BYTES,
                    "versions that are gone cannot be rolled back to");
    else if (j->plan.values[MTF_KAFKA_TOPIC_RETENTION_BYTES][0])
        value_found(j, TOPIC_NOTED, MTF_KAFKA_TOPIC_RETENTION_BYTES,
                    "a busy day removes records before retention.ms does");
}

static void judge_stamps(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_STAMPS);
    const char *wants = j->plan.values[MTF_KAFKA_TOPIC_STAMPS];
    if (!is[0] || !wants[0] || strcmp(is, wants) == 0) return;
    value_found(
        j, TOPIC_REFUSED, MTF_KAFKA_TOPIC_STAMPS,
        "producers' clocks would close sessions; sessionize.allow_create_time accepts that");
}

static void judge_message_bytes(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_MESSAGE_BYTES);
    const int64_t wanted = strtoll(j->plan.values[MTF_KAFKA_TOPIC_MESSAGE_BYTES], NULL, 10);
    if (!is[0] || wanted == 0 || strtoll(is, NULL, 10) >= wanted - BATCH_BYTES) return;
    value_found(j, TOPIC_WARNED, MTF_KAFKA_TOPIC_MESSAGE_BYTES,
                "less than kafka.producer.message.max.bytes: the brokers refuse records that mtf "
                "thinks small enough");
}

static void judge_in_sync(const judgement *j)
{
    const char *is = told(j, MTF_KAFKA_TOPIC_IN_SYNC);
    const int64_t value = strtoll(is, NULL, 10);
    const int32_t copies = j->is->replication;
    char wants[MTF_KAFKA_TOPIC_VALUE_CHARS];
    if (!is[0] || !has_records(j->role) || copies < 2) return;
    snprintf(wants, sizeof wants, "%d", copies >= 3 ? 2 : 1);
    const char *why = NULL;
    if (value >= copies) why = "nothing can be written while one broker is away";
    if (value < 2 && copies >= 3) why = "what one broker alone has acknowledged is lost with it";
    if (why)
        found(j, TOPIC_NOTED, mtf_kafka_topic_setting_name(MTF_KAFKA_TOPIC_IN_SYNC), is, wants, why,
              NULL);
}

/** Partitions can be added, never taken away. */
static void judge_partitions(const judgement *j)
{
    const int32_t is = j->is->partitions, wants = j->plan.partitions;
    const bool one = is_policies(j->role) || j->role == TOPIC_LEADER;
    char is_text[16], wants_text[16], remedy[1400];
    snprintf(is_text, sizeof is_text, "%" PRId32, is);
    snprintf(wants_text, sizeof wants_text, "%" PRId32, wants);
    if (one && is > 1) {
        snprintf(remedy, sizeof remedy, "mtf topics create --set topics.%s=ANOTHER-NAME",
                 j->role == TOPIC_POLICY   ? "policy"
                 : j->role == TOPIC_LEADER ? "leader"
                                           : "policy_history");
        found(j, j->role == TOPIC_LEADER ? TOPIC_REFUSED : TOPIC_NOTED, "partitions", is_text, "1",
              j->role == TOPIC_LEADER ? "several learners would lead, one a partition"
                                      : "versions have an order in one partition only",
              remedy);
    } else if (is < wants && j->role <= TOPIC_SESSIONS) {
        snprintf(remedy, sizeof remedy,
                 "kafka-topics.sh --bootstrap-server %.*s --alter --topic %s --partitions %" PRId32,
                 first_broker(j->settings), j->settings->kafka_bootstrap_servers, j->is->name,
                 wants);
        found(j, TOPIC_NOTED, "partitions", is_text, wants_text,
              j->role == TOPIC_EXPLORATION
                  ? "no more members than partitions can work; partitions that are added move "
                    "users, whose open sessions are then cut in two: do it when few are open"
                  : "fewer than asked for",
              remedy);
    }
}

/** Members without a partition stand idle. */
static void judge_threads(const judgement *j)
{
    char is[16], wants[24], remedy[64];
    if (j->role != TOPIC_EXPLORATION || j->settings->sessionize_threads <= j->is->partitions)
        return;
    snprintf(is, sizeof is, "%" PRId32, j->is->partitions);
    snprintf(wants, sizeof wants, "%" PRId64, j->settings->sessionize_threads);
    snprintf(remedy, sizeof remedy, "mtf sessionize --set sessionize.threads=%" PRId32,
             j->is->partitions);
    found(j, TOPIC_WARNED, "partitions", is, wants,
          "fewer than sessionize.threads: the other threads have nothing to do", remedy);
}

static void judge_replication(const judgement *j)
{
    char is[16], wants[16];
    if (j->is->replication >= j->plan.replication) return;
    snprintf(is, sizeof is, "%" PRId32, j->is->replication);
    snprintf(wants, sizeof wants, "%" PRId32, j->plan.replication);
    found(j, TOPIC_NOTED, "replication", is, wants,
          "what it holds is lost with the brokers that hold it", "");
}

mtf_status topic_judge(const mtf_settings *settings, topic_role role, const topic_sizes *sizes,
                       const mtf_kafka_topic *is, topic_finding_fn *fn, void *arg, mtf_err *err)
{
    judgement j = {.settings = settings, .role = role, .is = is, .fn = fn, .arg = arg};
    const mtf_status status = topic_plan(settings, role, sizes, &j.plan, err);
    if (status != MTF_OK || is->partitions == 0) return status;
    judge_cleanup(&j);
    judge_stamps(&j);
    judge_retention_ms(&j);
    judge_retention_bytes(&j);
    judge_message_bytes(&j);
    judge_partitions(&j);
    judge_threads(&j);
    judge_replication(&j);
    judge_in_sync(&j);
    return MTF_OK;
}

/* -- at the start of a stage -------------------------------------- */

typedef struct start_check {
    const stage_context *context;
    mtf_status status;
    mtf_err *err;
} start_check;

static void at_start(void *arg, const topic_finding *f)
{
    start_check *check = arg;
    if (f->level == TOPIC_NOTED) return;
    if (f->level == TOPIC_REFUSED && check->status == MTF_OK) {
        check->status = mtf_fail(check->err, MTF_INVALID, "topic %.60s: %s is %s, not %s: %s; %s",
                                 f->topic, f->setting, f->is, f->wants, f->why, f->remedy);
        return;
    }
    mtf_log_line(check->context->log, MTF_LOG_WARN, "topics.advice",
                 "topic=%s setting=%s is=%s wants=%s reason=\"%s\" remedy=\"%s\"", f->topic,
                 f->setting, f->is, f->wants, f->why, f->remedy);
}

static void say_untold(const stage_context *context, const mtf_kafka_topic *topics, size_t count)
{
    mtf_buf names = {0};
    const char *why = NULL;
    mtf_log_level level = MTF_LOG_INFO; /* of mock brokers, as was to be expected */
    for (size_t i = 0; i < count; i++) {
        if (topics[i].told) continue;
        mtf_buf_printf(&names, "%s%s", why ? "," : "", topics[i].name);
        why = topics[i].untold;
        if (topics[i].asked) level = MTF_LOG_WARN;
    }
    if (why && !names.failed)
        mtf_log_line(context->log, level, "topics.unchecked",
                     "topics=%.*s reason=\"the brokers do not tell their settings: %s\"",
                     (int)names.size, (const char *)names.data, why);
    mtf_buf_fini(&names);
}

mtf_status topics_check(const stage_context *context, mtf_kafka_client *client,
                        const topic_role *roles, size_t count, mtf_err *err)
{
    mtf_kafka_topic topics[TOPIC_ROLES];
    const topic_sizes sizes = {0};
    start_check check = {context, MTF_OK, err};
    MTF_ASSERT(count <= TOPIC_ROLES);
    for (size_t i = 0; i < count; i++)
        topics[i] = (mtf_kafka_topic){.name = topic_name(context->settings, roles[i])};
    mtf_status status = mtf_kafka_admin_topics(client, topics, count, true, err);
    if (status != MTF_OK) return status;
    say_untold(context, topics, count);
    for (size_t i = 0; status == MTF_OK && i < count; i++)
        status =
            topic_judge(context->settings, roles[i], &sizes, &topics[i], at_start, &check, err);
    return status ? status : check.status;
}
