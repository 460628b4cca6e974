/** Avro container files of events with their place in the topic (schemas/replay-event.avsc): what
 *  `mtf replay` and backfill read, and what writes them. */
#ifndef MTF_INGEST_CONTAINER_H
#define MTF_INGEST_CONTAINER_H

#include "core/event.h"
#include "core/pipe.h"
#include "ingest/decoder.h"

/** A finite source over files, one after the other, in file order. All are read once here, to learn
 *  the partitions and their ranges and to check that the offsets of a partition only grow.
 *  It gives an ASSIGN per partition (no committed offset), messages, an END per partition,
 * MTF_CLOSED. A message is held back (MTF_AGAIN) until its partition is started. Its value is the
 * event as it stands in the file, in a single-object frame of the file's event schema, which is
 * added to the decoder: open that with MTF_FRAMING_SINGLE_OBJECT. It has no key. paths, topic
 * and decoder outlive the source. MTF_INVALID, MTF_CORRUPT, MTF_IO name the file. */
mtf_status mtf_container_source(const char *const *paths, size_t count, const char *topic,
                                mtf_decoder *decoder, mtf_source *source,
                                mtf_err *err) MTF_NODISCARD;

typedef struct mtf_container_writer mtf_container_writer;

/** Creates (or replaces) the file. */
mtf_status mtf_container_writer_open(const char *path, bool deflate, mtf_container_writer **writer,
                                     mtf_err *err) MTF_NODISCARD;
/** partition in [0, 2^31), offset growing within it. */
mtf_status mtf_container_writer_append(mtf_container_writer *writer, int32_t partition,
                                       int64_t offset, int64_t append_time_ms,
                                       const mtf_event *event, mtf_err *err) MTF_NODISCARD;
/** Writes what is left, fsyncs, frees. The writer is gone also when this fails; takes NULL. */
mtf_status mtf_container_writer_close(mtf_container_writer *writer, mtf_err *err) MTF_NODISCARD;

#endif
