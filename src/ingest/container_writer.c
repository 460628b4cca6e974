#include "core/avro.h"
#include "core/hash.h"
#include "ingest/container.h"
#include "core/encode.h"
#include "ingest/schemas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_BYTES (64u << 10) /* a block is written when its records reach this */
#define SYNC_BYTES  16u

struct mtf_container_writer {
    FILE *stream;
    mtf_buf path; /* NUL-terminated, for error texts */
    mtf_buf records, packed;
    uint64_t record_count; /* in records */
    bool deflate;
    uint8_t sync[SYNC_BYTES];
};

static mtf_status no_memory(const mtf_container_writer *writer, mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", (const char *)writer->path.data);
}

static mtf_status write_all(mtf_container_writer *writer, const mtf_buf *bytes, mtf_err *err)
{
    if (bytes->failed) return no_memory(writer, err);
    if (fwrite(bytes->data, 1, bytes->size, writer->stream) == bytes->size) return MTF_OK;
    return mtf_fail(err, MTF_IO, "write %.250s: %s", (const char *)writer->path.data,
                    strerror(errno));
}

/** The marker has to differ from what a record may hold by chance, not from other files': a hash of
 *  the schema and the path will do, and makes the same file from the same input. */
static mtf_status write_header(mtf_container_writer *writer, const char *path, mtf_err *err)
{
    const mtf_str parts[] = {mtf_str_of(mtf_schema_replay), mtf_str_of(path)};
    mtf_buf head = {0};
    mtf_hash128(writer->sync, parts, 2);
    mtf_buf_put(&head, "Obj\x01", 4);
    mtf_avro_put_long(&head, 2);
    mtf_avro_put_str(&head, mtf_str_of("avro.schema"));
    mtf_avro_put_str(&head, mtf_str_of(mtf_schema_replay));
    mtf_avro_put_str(&head, mtf_str_of("avro.codec"));
    mtf_avro_put_str(&head, mtf_str_of(writer->deflate ? "deflate" : "null"));
    mtf_avro_put_long(&head, 0);
    mtf_buf_put(&head, writer->sync, SYNC_BYTES);
    const mtf_status status = write_all(writer, &head, err);
    mtf_buf_fini(&head);
    return status;
}

/** Frees; what is not flushed by then is lost. */
static void release(mtf_container_writer *writer)
{
    if (!writer) return;
    if (writer->stream) fclose(writer->stream);
    mtf_buf_fini(&writer->path);
    mtf_buf_fini(&writer->records);
    mtf_buf_fini(&writer->packed);
    free(writer);
}

mtf_status mtf_container_writer_open(const char *path, bool deflate, mtf_container_writer **writer,
                                     mtf_err *err)
{
    mtf_status status;
    mtf_container_writer *made = calloc(1, sizeof *made);
    *writer = NULL;
    if (!made) return mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", path);
    made->deflate = deflate;
    mtf_buf_put(&made->path, path, strlen(path) + 1);
    if (made->path.failed) {
        status = mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", path);
        goto done;
    }
    made->stream = fopen(path, "wb");
    if (!made->stream) {
        status = mtf_fail(err, MTF_IO, "create %.250s: %s", path, strerror(errno));
        goto done;
    }
    status = write_header(made, path, err);
    if (status != MTF_OK) goto done;
    *writer = made;
    made = NULL;
done:
    release(made);
    return status;
}

/** Raw deflate of the records into packed. */
static mtf_status deflate_block(mtf_container_writer *writer, mtf_err *err)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return no_memory(writer, err);
    }
    const size_t room = deflateBound(&z, (uLong)writer->records.size);
    mtf_buf_clear(&writer->packed);
    z.next_out = mtf_buf_extend(&writer->packed, room);
    if (z.next_out) {
        z.avail_out = (uInt)room;
        z.next_in = writer->records.data;
        z.avail_in = (uInt)writer->records.size;
        const int result = deflate(&z, Z_FINISH);
        MTF_ASSERT(result == Z_STREAM_END); /* deflateBound gave room for all of it */
        writer->packed.size -= z.avail_out;
    }
    deflateEnd(&z);
    return writer->packed.failed ? no_memory(writer, err) : MTF_OK;
}

static mtf_status write_block(mtf_container_writer *writer, mtf_err *err)
{
    mtf_buf head = {0};
    mtf_status status = MTF_OK;
    if (writer->record_count == 0) return MTF_OK;
    if (writer->deflate) status = deflate_block(writer, err);
    mtf_buf *body = writer->deflate ? &writer->packed : &writer->records;
    if (status == MTF_OK) {
        mtf_avro_put_long(&head, (int64_t)writer->record_count);
        mtf_avro_put_long(&head, (int64_t)body->size);
        mtf_buf_put(body, writer->sync, SYNC_BYTES);
        status = write_all(writer, &head, err);
    }
    if (status == MTF_OK) status = write_all(writer, body, err);
    mtf_buf_fini(&head);
    mtf_buf_clear(&writer->records);
    writer->record_count = 0;
    return status;
}

mtf_status mtf_container_writer_append(mtf_container_writer *writer, int32_t partition,
                                       int64_t offset, int64_t append_time_ms,
                                       const mtf_event *event, mtf_err *err)
{
    mtf_avro_put_long(&writer->records, partition);
    mtf_avro_put_long(&writer->records, offset);
    mtf_avro_put_long(&writer->records, append_time_ms);
    mtf_event_put(event, &writer->records);
    writer->record_count++;
    if (writer->records.failed) return no_memory(writer, err);
    return writer->records.size >= BLOCK_BYTES ? write_block(writer, err) : MTF_OK;
}

mtf_status mtf_container_writer_close(mtf_container_writer *writer, mtf_err *err)
{
    if (!writer) return MTF_OK;
    mtf_status status = write_block(writer, err);
    if (status == MTF_OK && (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0)) {
        status = mtf_fail(err, MTF_IO, "write %.250s: %s", (const char *)writer->path.data,
                          strerror(errno));
    }
    release(writer);
    return status;
}
