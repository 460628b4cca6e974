#include "ingest/kafka_admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "ingest/kafka_common.h"

enum {
    CALL_MS = 10000,   /* one question */
    CREATE_MS = 30000, /* brokers wait so long for a new topic to be everywhere */
    NAMED_MEMBERS = 3,
};

const char *mtf_kafka_topic_setting_name(mtf_kafka_topic_setting setting)
{
    static const char *const names[] = {
#define X(row, name) name,
        MTF_KAFKA_TOPIC_SETTINGS(X)
#undef X
    };
    return names[setting];
}

/* -- one admin question ------------------------------------------- */

/** Brokers with an admin API name a controller that is among them; the mock ones name none, and
 *  librdkafka would wait for it in vain. Only said no to when surely so. */
static bool has_controller(const mtf_kafka_handle *handle)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(handle->rk, 0, NULL, &metadata, CALL_MS)) return true;
    const int32_t controller = rd_kafka_controllerid(handle->rk, 1000);
    bool found = controller < 0;
    for (int i = 0; i < metadata->broker_cnt; i++) found |= metadata->brokers[i].id == controller;
    rd_kafka_metadata_destroy(metadata);
    return found;
}

/** What librdkafka wants for a question: a queue for the answer, and how long to wait. */
typedef struct question {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *answer;
} question;

static mtf_status question_open(question *q, const mtf_kafka_handle *handle,
                                rd_kafka_admin_op_t kind, int timeout_ms, mtf_err *err)
{
    char words[128];
    *q = (question){.queue = rd_kafka_queue_new(handle->rk),
                    .options = rd_kafka_AdminOptions_new(handle->rk, kind)};
    if (!q->queue || !q->options) return mtf_fail(err, MTF_NOMEM, "kafka admin: out of memory");
    if (rd_kafka_AdminOptions_set_request_timeout(q->options, timeout_ms, words, sizeof words))
        return mtf_fail(err, MTF_INVALID, "kafka admin: %s", words);
    return MTF_OK;
}

/** The code of the answer as a whole. */
static rd_kafka_resp_err_t question_wait(question *q, int timeout_ms)
{
    q->answer = rd_kafka_queue_poll(q->queue, timeout_ms + 1000);
    return q->answer ? rd_kafka_event_error(q->answer) : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static void question_close(question *q)
{
    if (q->answer) rd_kafka_event_destroy(q->answer);
    if (q->options) rd_kafka_AdminOptions_destroy(q->options);
    if (q->queue) rd_kafka_queue_destroy(q->queue);
}

/* -- topics ------------------------------------------------------- */

/** All topics and brokers; the caller destroys it. */
static mtf_status list(const mtf_kafka_handle *handle, const struct rd_kafka_metadata **metadata,
                       mtf_err *err)
{
    const rd_kafka_resp_err_t code = rd_kafka_metadata(handle->rk, 1, NULL, metadata, CALL_MS);
    return code ? mtf_kafka_fail(handle, code, err, "list of topics") : MTF_OK;
}

static const rd_kafka_metadata_topic_t *find(const struct rd_kafka_metadata *metadata,
                                             const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0) return &metadata->topics[i];
    return NULL;
}

mtf_status mtf_kafka_admin_brokers(mtf_kafka_client *client, int32_t *count, mtf_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    const mtf_status status = list(mtf_kafka_client_handle(client), &metadata, err);
    if (status) return status;
    *count = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    return MTF_OK;
}

static void take_shape(mtf_kafka_topic *topic, const struct rd_kafka_metadata *metadata)
{
    const rd_kafka_metadata_topic_t *found = find(metadata, topic->name);
    topic->partitions = found ? found->partition_cnt : 0;
    topic->replication = 0;
    for (int i = 0; i < topic->partitions; i++) {
        const int copies = found->partitions[i].replica_cnt;
        if (i == 0 || copies < topic->replication) topic->replication = copies;
    }
}

static void not_told(mtf_kafka_topic *topic, const char *why)
{
    topic->told = false;
    snprintf(topic->untold, sizeof topic->untold, "%s", why);
}

/** missing: the broker that answers does not know it. */
static void take_values(mtf_kafka_topic *topic, const rd_kafka_ConfigResource_t *resource,
                        bool *missing)
{
    size_t count = 0;
    const rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    *missing |= code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code) {
        not_told(topic, rd_kafka_err2str(code));
        return;
    }
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        for (int k = 0; value && k < MTF_KAFKA_TOPIC_SETTING_COUNT; k++)
            if (strcmp(rd_kafka_ConfigEntry_name(entries[i]),
                       mtf_kafka_topic_setting_name((mtf_kafka_topic_setting)k)) == 0)
                snprintf(topic->values[k], sizeof topic->values[k], "%s", value);
    }
    topic->told = true;
    topic->untold[0] = '\0';
}

/** The answer's resources by name: brokers give them in any order. */
static void take_answer(mtf_kafka_topic *topics, size_t count, rd_kafka_event_t *answer,
                        bool *missing)
{
    size_t told = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer), &told);
    for (size_t i = 0; i < told; i++)
        for (size_t k = 0; k < count; k++)
            if (strcmp(rd_kafka_ConfigResource_name(resources[i]), topics[k].name) == 0)
                take_values(&topics[k], resources[i], missing);
}

/** Of the topics that are there. */
static mtf_status ask_values(const mtf_kafka_handle *handle, mtf_kafka_topic *topics, size_t count,
                             bool *missing, mtf_err *err)
{
    size_t asked = 0;
    question q;
    rd_kafka_ConfigResource_t **resources = calloc(count + 1, sizeof(void *));
    if (!resources) return mtf_fail(err, MTF_NOMEM, "kafka admin: out of memory");
    for (size_t i = 0; i < count; i++)
        if (topics[i].partitions > 0)
            resources[asked++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
    mtf_status status = question_open(&q, handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, CALL_MS, err);
    if (status == MTF_OK && asked > 0) {
        rd_kafka_DescribeConfigs(handle->rk, resources, asked, q.options, q.queue);
        const rd_kafka_resp_err_t code = question_wait(&q, CALL_MS);
        for (size_t i = 0; code && i < count; i++) not_told(&topics[i], rd_kafka_err2str(code));
        if (!code) take_answer(topics, count, q.answer, missing);
    }
    question_close(&q);
    rd_kafka_ConfigResource_destroy_array(resources, asked);
    free(resources);
    return status;
}

static mtf_status ask_topics(const mtf_kafka_handle *handle, mtf_kafka_topic *topics, size_t count,
                             bool *missing, mtf_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    const mtf_status status = list(handle, &metadata, err);
    if (status) return status;
    const bool askable = has_controller(handle);
    *missing = false;
    for (size_t i = 0; i < count; i++) {
        take_shape(&topics[i], metadata);
        topics[i].asked = askable;
        memset(topics[i].values, 0, sizeof topics[i].values);
        not_told(&topics[i], "the brokers do not answer such questions");
        *missing |= topics[i].partitions == 0;
    }
    rd_kafka_metadata_destroy(metadata);
    return askable ? ask_values(handle, topics, count, missing, err) : MTF_OK;
}

mtf_status mtf_kafka_admin_topics(mtf_kafka_client *client, mtf_kafka_topic *topics, size_t count,
                                  bool all_there, mtf_err *err)
{
    const mtf_kafka_handle *handle = mtf_kafka_client_handle(client);
    bool missing;
    mtf_status status = ask_topics(handle, topics, count, &missing, err);
    for (int i = 1; status == MTF_OK && missing && all_there && mtf_kafka_ask_again(i, NULL); i++)
        status = ask_topics(handle, topics, count, &missing, err);
    return status;
}

/** The answer about the one topic. */
static mtf_status take_created(const mtf_kafka_handle *handle, const mtf_kafka_topic *topic,
                               rd_kafka_event_t *answer, mtf_err *err)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &count);
    if (count != 1) return mtf_fail(err, MTF_BROKER, "topic %s: no answer about it", topic->name);
    const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    const char *words = rd_kafka_topic_result_error_string(results[0]);
    if (!code) return MTF_OK;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return mtf_fail(err, MTF_SKIP, "topic %s is there", topic->name);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
        return mtf_fail(err, MTF_INVALID,
                        "topic %s cannot be created: %s; this user needs the operation Create on "
                        "it: docs/security.md, \"Permissions\"",
                        topic->name, rd_kafka_err2str(code));
    if (mtf_kafka_status(code) == MTF_AGAIN)
        return mtf_kafka_fail(handle, code, err, "creating topic %s", topic->name);
    return mtf_fail(err, MTF_INVALID, "topic %s cannot be created: %s", topic->name,
                    words && words[0] ? words : rd_kafka_err2str(code));
}

/** MTF_INVALID: librdkafka refuses it. */
static mtf_status describe_new(const mtf_kafka_topic *topic, rd_kafka_NewTopic_t **made,
                               mtf_err *err)
{
    char words[200] = "";
    *made = rd_kafka_NewTopic_new(topic->name, topic->partitions, topic->replication, words,
                                  sizeof words);
    if (!*made)
        return mtf_fail(err, MTF_INVALID, "topic %s cannot be created: %s", topic->name, words);
    for (int i = 0; i < MTF_KAFKA_TOPIC_SETTING_COUNT; i++) {
        if (!topic->values[i][0]) continue;
        if (rd_kafka_NewTopic_set_config(
                *made, mtf_kafka_topic_setting_name((mtf_kafka_topic_setting)i), topic->values[i]))
            return mtf_fail(err, MTF_NOMEM, "kafka admin: out of memory");
    }
    return MTF_OK;
}

mtf_status mtf_kafka_admin_create(mtf_kafka_client *client, const mtf_kafka_topic *topic,
                                  bool dry_run, mtf_err *err)
{
    const mtf_kafka_handle *handle = mtf_kafka_client_handle(client);
    char words[128];
    question q = {0};
    rd_kafka_NewTopic_t *made = NULL;
    if (!has_controller(handle))
        return mtf_fail(err, MTF_INVALID,
                        "topic %s cannot be created: these brokers have no admin API", topic->name);
    mtf_status status = describe_new(topic, &made, err);
    if (status == MTF_OK)
        status = question_open(&q, handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, CREATE_MS, err);
    if (status == MTF_OK && dry_run)
        rd_kafka_AdminOptions_set_validate_only(q.options, 1, words, sizeof words);
    else if (status == MTF_OK)
        rd_kafka_AdminOptions_set_operation_timeout(q.options, CREATE_MS, words, sizeof words);
    if (status == MTF_OK) {
        rd_kafka_CreateTopics(handle->rk, &made, 1, q.options, q.queue);
        const rd_kafka_resp_err_t code = question_wait(&q, CREATE_MS);
        status = code ? mtf_kafka_fail(handle, code, err, "creating topic %s", topic->name)
                      : take_created(handle, topic, q.answer, err);
    }
    question_close(&q);
    if (made) rd_kafka_NewTopic_destroy(made);
    return status;
}

/** A partition's copies: those it has, then the brokers after its first one, in turn. */
static void put_copies(const rd_kafka_metadata_partition_t *partition,
                       const struct rd_kafka_metadata *metadata, int32_t wanted, mtf_buf *json)
{
    int count = 0;
    for (; count < partition->replica_cnt && count < wanted; count++)
        mtf_buf_printf(json, "%s%d", count ? "," : "", partition->replicas[count]);
    for (int i = 0; i < metadata->broker_cnt && count < wanted; i++) {
        const int32_t id = metadata->brokers[(i + partition->id) % metadata->broker_cnt].id;
        bool has = false;
        for (int k = 0; k < partition->replica_cnt; k++) has |= partition->replicas[k] == id;
        if (!has) mtf_buf_printf(json, "%s%d", count++ ? "," : "", id);
    }
}

mtf_status mtf_kafka_admin_reassignment(mtf_kafka_client *client, const char *topic,
                                        int32_t replication, mtf_buf *json, mtf_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    const mtf_status status = list(mtf_kafka_client_handle(client), &metadata, err);
    if (status) return status;
    const rd_kafka_metadata_topic_t *found = find(metadata, topic);
    mtf_buf_printf(json, "{\"version\":1,\"partitions\":[");
    for (int i = 0; found && i < found->partition_cnt; i++) {
        mtf_buf_printf(json, "%s{\"topic\":\"%s\",\"partition\":%d,\"replicas\":[", i ? "," : "",
                       topic, found->partitions[i].id);
        put_copies(&found->partitions[i], metadata, replication, json);
        mtf_buf_printf(json, "]}");
    }
    mtf_buf_printf(json, "]}");
    rd_kafka_metadata_destroy(metadata);
    return MTF_OK;
}

/* -- groups ------------------------------------------------------- */

static void take_member(mtf_kafka_group *group, const rd_kafka_MemberDescription_t *member)
{
    const size_t used = strlen(group->names);
    const char *instance = rd_kafka_MemberDescription_group_instance_id(member);
    const char *host = rd_kafka_MemberDescription_host(member);
    snprintf(group->names + used, sizeof group->names - used, "%s%.60s at %.40s", used ? ", " : "",
             instance ? instance : rd_kafka_MemberDescription_client_id(member),
             host[0] == '/' ? host + 1 : host);
}

static void take_group(mtf_kafka_group *group, const rd_kafka_ConsumerGroupDescription_t *found)
{
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(found);
    if (error) {
        snprintf(group->untold, sizeof group->untold, "%s", rd_kafka_error_string(error));
        return;
    }
    group->told = true;
    snprintf(group->state, sizeof group->state, "%s",
             rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(found)));
    group->members = (int32_t)rd_kafka_ConsumerGroupDescription_member_count(found);
    for (int32_t i = 0; i < group->members && i < NAMED_MEMBERS; i++)
        take_member(group, rd_kafka_ConsumerGroupDescription_member(found, (size_t)i));
}

mtf_status mtf_kafka_admin_group(mtf_kafka_client *client, const char *name, mtf_kafka_group *group,
                                 mtf_err *err)
{
    const mtf_kafka_handle *handle = mtf_kafka_client_handle(client);
    question q;
    size_t count = 0;
    *group = (mtf_kafka_group){.untold = "the brokers do not answer such questions"};
    /* librdkafka 2.0.2 locks itself up when brokers do not know the question. */
    if (!has_controller(handle)) return MTF_OK;
    mtf_status status =
        question_open(&q, handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, CALL_MS, err);
    if (status == MTF_OK) {
        rd_kafka_DescribeConsumerGroups(handle->rk, &name, 1, q.options, q.queue);
        const rd_kafka_resp_err_t code = question_wait(&q, CALL_MS);
        if (code) {
            snprintf(group->untold, sizeof group->untold, "%s", rd_kafka_err2str(code));
        } else {
            const rd_kafka_ConsumerGroupDescription_t **groups =
                rd_kafka_DescribeConsumerGroups_result_groups(
                    rd_kafka_event_DescribeConsumerGroups_result(q.answer), &count);
            if (count == 1) take_group(group, groups[0]);
        }
    }
    question_close(&q);
    return status;
}

mtf_status mtf_kafka_admin_commit(mtf_kafka_client *client, const char *topic, int32_t count,
                                  const int64_t *offsets, mtf_err *err)
{
    const mtf_kafka_handle *handle = mtf_kafka_client_handle(client);
    rd_kafka_topic_partition_list_t *positions = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        if (offsets[i] >= 0)
            rd_kafka_topic_partition_list_add(positions, topic, i)->offset = offsets[i];
    rd_kafka_resp_err_t code =
        positions->cnt > 0 ? rd_kafka_commit(handle->rk, positions, 0) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < positions->cnt && !code; i++) code = positions->elems[i].err;
    rd_kafka_topic_partition_list_destroy(positions);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
        code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
        code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
        return mtf_fail(err, MTF_INVALID,
                        "group %s has members: the brokers take no positions of it from others; "
                        "stop them first",
                        handle->group);
    return code ? mtf_kafka_fail(handle, code, err, "commit of group %s", handle->group) : MTF_OK;
}
