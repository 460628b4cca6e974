/** Follows a small topic, such as mtf.policy: from its first record to its end, and then what
 * comes. A callback gets every record. One thread. */
#ifndef MTF_INGEST_KAFKA_FOLLOW_H
#define MTF_INGEST_KAFKA_FOLLOW_H

#include "core/log.h"
#include "core/pipe.h"
#include "core/settings.h"

/** On the thread that polls; message is borrowed for the call (value.data NULL: a tombstone). A
 * status other than MTF_OK ends the poll and is what it returns; the record counts as seen. */
typedef mtf_status (*mtf_kafka_record_fn)(void *arg, const mtf_message *message, mtf_err *err);

typedef struct mtf_kafka_follower mtf_kafka_follower;

/** Partition by partition in order of offsets; key order across partitions is not kept.
 *  MTF_INVALID: no such topic, a setting is refused. */
mtf_status mtf_kafka_follower_open(const mtf_settings *settings, const mtf_log *log,
                                   const char *topic, mtf_kafka_record_fn fn, void *arg,
                                   mtf_kafka_follower **follower, mtf_err *err) MTF_NODISCARD;
/** Reads up to the topic's end of this moment. MTF_AGAIN: not reached within timeout_ms. */
mtf_status mtf_kafka_follower_catch_up(mtf_kafka_follower *follower, int timeout_ms,
                                       mtf_err *err) MTF_NODISCARD;
/** Reads what is new: waits timeout_ms at most for the first record, then takes those at hand.
 * MTF_OK also when nothing came. */
mtf_status mtf_kafka_follower_poll(mtf_kafka_follower *follower, int timeout_ms,
                                   mtf_err *err) MTF_NODISCARD;
void mtf_kafka_follower_close(mtf_kafka_follower *follower);

#endif
