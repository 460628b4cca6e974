/** Records out of a Kafka topic, as an mtf_source: as a member of a consumer group, or all
 * partitions of a topic for oneself. One thread. */
#ifndef MTF_INGEST_KAFKA_SOURCE_H
#define MTF_INGEST_KAFKA_SOURCE_H

#include "core/log.h"
#include "core/metrics.h"
#include "core/pipe.h"
#include "core/settings.h"

typedef struct mtf_kafka_source mtf_kafka_source;

/** Written by the source's thread. */
typedef struct mtf_kafka_source_counts {
    mtf_counter messages, bytes; /* handed out; bytes of keys and values */
    mtf_counter gaps;            /* offsets that were asked for and never came, see count_gaps */
    mtf_counter rebalances;      /* assignments taken */
    mtf_counter partitions;      /* ours now */
} mtf_kafka_source_counts;

typedef struct mtf_kafka_source_config {
    const char *topic, *group;
    /** Static member name; NULL: not a member, takes all partitions of the topic itself (and those
     *  added later). "": the host's name. */
    const char *instance;
    /** Count jumps of offsets. Only for topics that are neither compacted nor transactional: there
     *  offsets are continuous. */
    bool count_gaps;
    /** Not a member, and yet a stage that polls and asks again: range says MTF_AGAIN after a second
     *  without an answer, not after ten. */
    bool asks_again;
} mtf_kafka_source_config;

/** Does not wait for the brokers; mtf_kafka_client_open does. The topic must exist.
 *  MTF_INVALID: a setting is refused, no such topic; MTF_AGAIN: the brokers do not answer. */
mtf_status mtf_kafka_source_open(const mtf_settings *settings, const mtf_log *log,
                                 const mtf_kafka_source_config *config, mtf_kafka_source **source,
                                 mtf_err *err) MTF_NODISCARD;

/** Its functions; close() frees it. Beyond mtf_source's words:
 *  - poll: an END input has its offset in message.offset. MTF_CORRUPT: the position was lost (the
 *    topic's retention overtook us, or a checksum failed): never a silent jump. MTF_FENCED: another
 *    process runs under our instance. MTF_BROKER: fatal. Without a group every partition is
 *    assigned by the first polls, committed_offset -1.
 *  - start takes effect at the next poll; starting several between two polls costs one fetch.
 *  - pause forgets what was prefetched and reads it again at resume. */
mtf_source mtf_kafka_source_pipe(mtf_kafka_source *source);

/** What a process is called among its like: the setting's text, or where that is empty the host's
 *  name. MTF_INVALID: the host has none. */
enum { MTF_KAFKA_INSTANCE_CHARS = 256 };
mtf_status mtf_kafka_instance(const char *setting, char name[MTF_KAFKA_INSTANCE_CHARS],
                              mtf_err *err) MTF_NODISCARD;

/** Where the partition ends, as the last fetch told (-1: none has yet): the offset of the next
 * record to come, or with read_committed of the first that is not committed. Asks no broker; any
 * thread. */
int64_t mtf_kafka_source_end(const mtf_kafka_source *source, int32_t partition);
/** Whether a broker answers within timeout_ms; any thread. */
bool mtf_kafka_source_reaches(const mtf_kafka_source *source, int timeout_ms);

/** Valid until close; other threads may read the counters. */
const mtf_kafka_source_counts *mtf_kafka_source_counters(const mtf_kafka_source *source);

#endif
