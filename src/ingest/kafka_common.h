/** What the Kafka adapters share: a librdkafka handle with its log lines and errors routed to us,
 * its configuration from the settings, and the meaning of its error codes. Private to kafka_*.c:
 * nobody else includes librdkafka. */
#ifndef MTF_INGEST_KAFKA_COMMON_H
#define MTF_INGEST_KAFKA_COMMON_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "core/log.h"
#include "core/settings.h"

/** A librdkafka handle and what its callbacks told us. At a stable address: it is the callbacks'
 *  opaque. The log callback comes from librdkafka's threads and reads `log` only; the others run
 *  inside poll calls, on the owner's thread. */
typedef struct mtf_kafka_handle {
    rd_kafka_t *rk;
    const mtf_log *log;
    const char *role;             /* consumer | producer | client, for log lines */
    void *owner;                  /* for the owner's own callbacks */
    const char *transactional_id; /* of a producer of transactions, for its configuration */
    const char *group;            /* of a consumer, for words; may be NULL */
    bool all_down;                /* no broker answers, as far as the last error event said */
    char reason[200];             /* text of the last error event */
} mtf_kafka_handle;

/** A configuration with our defaults, the settings' brokers and pass-through properties, and the
 *  callbacks that fill `handle`. MTF_INVALID names the setting that librdkafka refused. */
mtf_status mtf_kafka_conf(const mtf_settings *settings, mtf_kafka_scope scope,
                          mtf_kafka_handle *handle, rd_kafka_conf_t **conf,
                          mtf_err *err) MTF_NODISCARD;
/** Sets one property of ours. */
mtf_status mtf_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                              mtf_err *err) MTF_NODISCARD;
/** A number as it is set now. */
mtf_status mtf_kafka_conf_number(const rd_kafka_conf_t *conf, const char *name, int64_t *value,
                                 mtf_err *err) MTF_NODISCARD;
/** Makes the handle; takes *conf and leaves NULL, whatever comes of it. */
mtf_status mtf_kafka_handle_open(mtf_kafka_handle *handle, rd_kafka_type_t type,
                                 rd_kafka_conf_t **conf, mtf_err *err) MTF_NODISCARD;

/** What a librdkafka code asks of us: OK; AGAIN (wait, or give the unit up and go on); FENCED;
 * INVALID (authorization, unknown topic, unsupported, larger than brokers take); CORRUPT (out of
 * range, bad bytes); BROKER for the rest. */
mtf_status mtf_kafka_status(rd_kafka_resp_err_t code);
/** What the person on call can do about it, beyond what librdkafka says: "; ...", or nothing. */
#define MTF_KAFKA_REMEDY_CHARS 200
void mtf_kafka_remedy(const mtf_kafka_handle *handle, rd_kafka_resp_err_t code, char *text,
                      size_t size);
/** Fills err with "<what>: <librdkafka's words>", and the remedy; a fatal error of the handle goes
 * first. */
mtf_status mtf_kafka_fail(const mtf_kafka_handle *handle, rd_kafka_resp_err_t code, mtf_err *err,
                          const char *fmt, ...) MTF_PRINTF(4, 5);

/** First and end offsets of a partition, within timeout_ms. (rd_kafka_query_watermark_offsets of
 *  2.0.2 never returns when the brokers are gone.) */
rd_kafka_resp_err_t mtf_kafka_range(const mtf_kafka_handle *handle, const char *topic,
                                    int32_t partition, int timeout_ms, int64_t *first,
                                    int64_t *end);

/** Joins the handle's group for this one topic. */
mtf_status mtf_kafka_subscribe(mtf_kafka_handle *handle, const char *topic,
                               mtf_err *err) MTF_NODISCARD;

/** Partition count of a topic (> 0). MTF_INVALID: no such topic, and the command that makes it.
 *  MTF_AGAIN: the brokers did not say within timeout_ms. */
mtf_status mtf_kafka_partition_count(mtf_kafka_handle *handle, const char *topic, int timeout_ms,
                                     int32_t *count, mtf_err *err) MTF_NODISCARD;

/** A broker that is a little behind, as just after its start or a topic's, does not know a topic
 *  that is there: "unknown" is believed when it was said for MTF_KAFKA_BEHIND_MS. Waits for the
 * next question, the attempt-th (from 1); false when it is to be believed, or *stop (may be NULL).
 */
#define MTF_KAFKA_BEHIND_MS 3000
bool mtf_kafka_ask_again(int attempt, const atomic_bool *stop);
/** mtf_kafka_partition_count, asked again so. */
mtf_status mtf_kafka_find_topic(mtf_kafka_handle *handle, const char *topic, int timeout_ms,
                                const atomic_bool *stop, int32_t *count,
                                mtf_err *err) MTF_NODISCARD;

struct mtf_kafka_client;
/** A client's own handle, for what else is asked through it (kafka_admin.c). */
mtf_kafka_handle *mtf_kafka_client_handle(struct mtf_kafka_client *client);

#endif
