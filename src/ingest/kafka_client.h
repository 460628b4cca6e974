/** A Kafka client that neither reads nor writes records: are the brokers there, are the topics as
 * the stages need them, what do they hold. One thread. */
#ifndef MTF_INGEST_KAFKA_CLIENT_H
#define MTF_INGEST_KAFKA_CLIENT_H

#include <stdatomic.h>

#include "core/log.h"
#include "core/settings.h"

typedef struct mtf_kafka_client mtf_kafka_client;

/** Connects, and waits for a broker to answer: with fail_fast 10 s at most (less when every broker
 *  refuses), else until one does, with a log line every 5 s. group: whose offsets to ask for later,
 *  or NULL. stop (may be NULL) ends this wait and later ones. Both are borrowed until close.
 *  MTF_BROKER: none answered; MTF_CLOSED: stopped; MTF_INVALID: a kafka setting is refused. */
mtf_status mtf_kafka_client_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *group, bool fail_fast, const atomic_bool *stop,
                                 mtf_kafka_client **client, mtf_err *err) MTF_NODISCARD;
void mtf_kafka_client_close(mtf_kafka_client *client);

/** The cluster's id, "" when the brokers do not tell; valid until close. */
const char *mtf_kafka_client_cluster(const mtf_kafka_client *client);

/** Partition count, > 0. MTF_INVALID: no such topic, as the brokers said for some seconds, with the
 *  command that makes it. */
mtf_status mtf_kafka_client_partitions(mtf_kafka_client *client, const char *topic, int32_t *count,
                                       mtf_err *err) MTF_NODISCARD;

/** Of each partition 0..count-1 the first offset stamped at or after time_ms; the end where there
 * is none. Brokers that cannot look times up (the mock ones): the first offset kept, so that a
 * reader must look at the stamps too. MTF_AGAIN: the brokers do not answer. */
mtf_status mtf_kafka_client_offsets_at(mtf_kafka_client *client, const char *topic, int32_t count,
                                       const int64_t *times_ms, int64_t *offsets,
                                       mtf_err *err) MTF_NODISCARD;
/** First kept and end offset of each partition 0..count-1; what an open transaction wrote is past
 *  the end. MTF_AGAIN: the brokers do not answer. */
mtf_status mtf_kafka_client_ranges(mtf_kafka_client *client, const char *topic, int32_t count,
                                   int64_t *firsts, int64_t *ends, mtf_err *err) MTF_NODISCARD;

/** The group's committed offsets of partitions 0..count-1, -1 for none.
 *  MTF_AGAIN: a transaction is pending or the coordinator is away. MTF_INVALID: a permission. */
mtf_status mtf_kafka_client_committed(mtf_kafka_client *client, const char *topic, int32_t count,
                                      int64_t *offsets, mtf_err *err) MTF_NODISCARD;

/** The same, and what was committed beside each: appended to metadata[partition], not
 *  NUL-terminated; the caller's to release. */
mtf_status mtf_kafka_client_commits(mtf_kafka_client *client, const char *topic, int32_t count,
                                    int64_t *offsets, mtf_buf *metadata,
                                    mtf_err *err) MTF_NODISCARD;

/** Whether librdkafka takes every kafka.* property, without asking a broker. MTF_INVALID names the
 *  one it refuses. */
mtf_status mtf_kafka_settings_check(const mtf_settings *settings, mtf_err *err) MTF_NODISCARD;
/** The largest record a producer of these settings sends, key and headers included. MTF_INVALID: a
 *  property is refused. */
mtf_status mtf_kafka_message_bytes(const mtf_settings *settings, int64_t *bytes,
                                   mtf_err *err) MTF_NODISCARD;
/** librdkafka's version, as text. */
const char *mtf_kafka_version(void);
/** The partition our sinks put a key into, of so many (murmur2, as Java's clients do). */
int32_t mtf_kafka_partition_of(mtf_str key, int32_t partitions);

#endif
