/** What an administrator asks of the brokers through a client (kafka_client.h): how topics are set,
 *  new topics, who is in a group, and where a group goes on. One thread. */
#ifndef MTF_INGEST_KAFKA_ADMIN_H
#define MTF_INGEST_KAFKA_ADMIN_H

#include "ingest/kafka_client.h"

/** The settings of a topic that matter to us: row, the brokers' name of it. */
#define MTF_KAFKA_TOPIC_SETTINGS(X)                                                                \
    X(CLEANUP, "cleanup.policy")                                                                   \
    X(RETENTION_MS, "retention.ms")                                                                \
    X(RETENTION_BYTES, "retention.bytes")                                                          \
    X(STAMPS, "message.timestamp.type")                                                            \
    X(MESSAGE_BYTES, "max.message.bytes")                                                          \
    X(IN_SYNC, "min.insync.replicas")

typedef enum mtf_kafka_topic_setting {
#define X(row, name) MTF_KAFKA_TOPIC_##row,
    MTF_KAFKA_TOPIC_SETTINGS(X)
#undef X
        MTF_KAFKA_TOPIC_SETTING_COUNT
} mtf_kafka_topic_setting;

enum { MTF_KAFKA_TOPIC_VALUE_CHARS = 48 };

/** A topic as it is, or as it shall be made. */
typedef struct mtf_kafka_topic {
    const char *name;    /* borrowed */
    int32_t partitions;  /* 0: there is none, or none that we may see */
    int32_t replication; /* of its partition with the fewest copies */
    bool asked;          /* these brokers know the question for values; mock ones do not */
    bool told;           /* they told them */
    char untold[120];    /* else why not */
    char values[MTF_KAFKA_TOPIC_SETTING_COUNT][MTF_KAFKA_TOPIC_VALUE_CHARS]; /* "": not set */
} mtf_kafka_topic;

/** The brokers' name of a setting. */
const char *mtf_kafka_topic_setting_name(mtf_kafka_topic_setting setting);

/** How many brokers there are. MTF_AGAIN: they do not answer. */
mtf_status mtf_kafka_admin_brokers(mtf_kafka_client *client, int32_t *count,
                                   mtf_err *err) MTF_NODISCARD;
/** Fills all but the names, in two questions however many topics there are. all_there: they are
 *  known to be, so a broker that is a little behind is asked again, for some seconds. Settings that
 *  the brokers do not tell (a permission; mock ones have no such question) are no failure: see
 * told. MTF_AGAIN: the brokers do not answer. */
mtf_status mtf_kafka_admin_topics(mtf_kafka_client *client, mtf_kafka_topic *topics, size_t count,
                                  bool all_there, mtf_err *err) MTF_NODISCARD;
/** Makes a topic with these partitions, replication and values, or with dry_run only asks the
 *  brokers whether they would. MTF_SKIP: it is there already, and stays as it is; MTF_INVALID:
 *  refused, with the brokers' words; MTF_AGAIN, MTF_BROKER. */
mtf_status mtf_kafka_admin_create(mtf_kafka_client *client, const mtf_kafka_topic *topic,
                                  bool dry_run, mtf_err *err) MTF_NODISCARD;
/** What kafka-reassign-partitions.sh wants to be told, so that each partition has `replication`
 *  copies and keeps those it has, the first ones first. */
mtf_status mtf_kafka_admin_reassignment(mtf_kafka_client *client, const char *topic,
                                        int32_t replication, mtf_buf *json,
                                        mtf_err *err) MTF_NODISCARD;

/** Who is in a consumer group. */
typedef struct mtf_kafka_group {
    bool told;        /* the brokers told; mock ones know no such question */
    char untold[120]; /* else why not */
    char state[32];   /* as brokers say: Empty, Stable, ... */
    int32_t members;
    char names[200]; /* of the first few: instance or client, and host */
} mtf_kafka_group;
mtf_status mtf_kafka_admin_group(mtf_kafka_client *client, const char *name, mtf_kafka_group *group,
                                 mtf_err *err) MTF_NODISCARD;

/** Commits these offsets of partitions 0..count-1 (-1: leaves that partition's alone) for the
 *  client's group, with empty metadata. MTF_INVALID: the group has members, or no permission. */
mtf_status mtf_kafka_admin_commit(mtf_kafka_client *client, const char *topic, int32_t count,
                                  const int64_t *offsets, mtf_err *err) MTF_NODISCARD;

#endif
