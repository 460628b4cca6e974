/** How each topic of the settings must be, once: what `mtf topics create` makes, and what it, `mtf
 *  config check --connect` and the stages at their start hold existing topics against. */
#ifndef MTF_CLI_TOPICS_H
#define MTF_CLI_TOPICS_H

#include "cli/stages.h"
#include "ingest/kafka_admin.h"

typedef enum topic_role {
    TOPIC_EXPLORATION,
    TOPIC_SESSIONS,
    TOPIC_LATE,
    TOPIC_DEAD_LETTER,
    TOPIC_POLICY,
    TOPIC_POLICY_HISTORY,
    TOPIC_LEADER, /* the last: it may have no name, then there is none */
    TOPIC_ROLES
} topic_role;

/** How many to make, and so what replication and min.insync.replicas should be. */
typedef struct topic_sizes {
    int32_t partitions;  /* of exploration and sessions; 0: existing ones are right as they are */
    int32_t replication; /* 0: as partitions */
} topic_sizes;

/** The name the settings give it; "" for a leader's topic that is not wanted. */
const char *topic_name(const mtf_settings *settings, topic_role role);

/** The topic as it should be made. MTF_INVALID: a kafka.* property is refused. */
mtf_status topic_plan(const mtf_settings *settings, topic_role role, const topic_sizes *sizes,
                      mtf_kafka_topic *plan, mtf_err *err) MTF_NODISCARD;

/** How bad a difference is: a stage refuses to start; it starts and warns; it says nothing, since
 *  that is about comfort, or about a broker that fails some day. */
typedef enum topic_level { TOPIC_REFUSED, TOPIC_WARNED, TOPIC_NOTED } topic_level;

/** Something that is not as it should be; text is borrowed for the call. */
typedef struct topic_finding {
    topic_role role;
    topic_level level;
    const char *topic, *setting; /* "partitions" and "replication" beside the brokers' own names */
    const char *is, *wants;
    const char *why;    /* what happens if it stays so */
    const char *remedy; /* a command, or "" for replication: see topic_judge */
} topic_finding;
typedef void topic_finding_fn(void *arg, const topic_finding *finding);

/** Gives every finding about a topic that is there; says nothing about values the brokers did not
 *  tell. The remedy of a replication is the caller's (mtf_kafka_admin_reassignment): it needs to
 *  know the brokers. MTF_INVALID as topic_plan. */
mtf_status topic_judge(const mtf_settings *settings, topic_role role, const topic_sizes *sizes,
                       const mtf_kafka_topic *is, topic_finding_fn *fn, void *arg,
                       mtf_err *err) MTF_NODISCARD;

/** At the start of a stage whose topics are there: refuses what would lose records, with the
 *  command that mends it, and warns of what may. One log line says what brokers did not tell.
 *  MTF_INVALID; MTF_AGAIN: the brokers do not answer. */
mtf_status topics_check(const stage_context *context, mtf_kafka_client *client,
                        const topic_role *roles, size_t count, mtf_err *err) MTF_NODISCARD;

#endif
