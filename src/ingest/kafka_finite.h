/** A stretch of a topic as a finite source: of each partition the records of [first, end), then
 *  MTF_CLOSED. For whoever reads what is there now and leaves: listings, replays, audits. */
#ifndef MTF_INGEST_KAFKA_FINITE_H
#define MTF_INGEST_KAFKA_FINITE_H

#include "core/log.h"
#include "core/pipe.h"
#include "core/settings.h"

/** Of one partition; nothing is read where first >= end. */
typedef struct mtf_kafka_stretch {
    int32_t partition;
    int64_t first, end;
} mtf_kafka_stretch;

/** Copies the stretches, at most one a partition. Joins no group and commits nothing. As a source:
 *  an ASSIGN per stretch that has anything, committed_offset -1; range() gives the stretch; records
 *  flow once it is started, at first or later; no END. Offsets may be missing (transactions leave
 *  such gaps). MTF_CORRUPT from poll: retention removed what was to be read. */
mtf_status mtf_kafka_finite_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *topic, const mtf_kafka_stretch *stretches,
                                 size_t count, mtf_source *source, mtf_err *err) MTF_NODISCARD;

#endif
