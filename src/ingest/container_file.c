#include "ingest/container_file.h"

#include "core/avro.h"
#include "ingest/avro_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define HEADER_BYTES_MAX (MTF_SCHEMA_BYTES_MAX + (64u << 10))
#define SYNC_BYTES       16u

struct mtf_container_file {
    FILE *stream;
    mtf_buf path;             /* NUL-terminated, for error texts */
    mtf_buf schema;           /* JSON */
    mtf_buf packed, unpacked; /* of the current block */
    bool deflate;
    uint8_t sync[SYNC_BYTES];
    long first_block; /* its place in the file */
};

static const char *path_of(const mtf_container_file *file)
{
    return (const char *)file->path.data;
}

static mtf_status corrupt(const mtf_container_file *file, const char *what, mtf_err *err)
{
    return mtf_fail(err, MTF_CORRUPT, "%.250s: %s", path_of(file), what);
}

static mtf_status no_memory(const mtf_container_file *file, mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", path_of(file));
}

/** Magic, metadata map, sync marker. */
static mtf_status parse_header(mtf_container_file *file, mtf_reader *reader, mtf_err *err)
{
    const uint8_t *magic = mtf_reader_take(reader, 4);
    if (!magic || memcmp(magic, "Obj\x01", 4) != 0)
        return corrupt(file, "no Avro container file", err);
    for (uint64_t count; (count = mtf_avro_block(reader, 2)) != 0;) {
        for (uint64_t i = 0; i < count && !reader->failed; i++) {
            const mtf_str key = mtf_avro_str(reader);
            const mtf_span value = mtf_avro_bytes(reader);
            if (mtf_str_is(key, "avro.schema")) {
                mtf_buf_clear(&file->schema);
                mtf_buf_put(&file->schema, value.data, value.size);
            } else if (mtf_str_is(key, "avro.codec") && !reader->failed) {
                const mtf_str codec = {(const char *)value.data, (uint32_t)value.size};
                file->deflate = mtf_str_is(codec, "deflate");
                if (!file->deflate && !mtf_str_is(codec, "null")) {
                    return corrupt(file,
                                   "its codec is neither null nor deflate; write it again with one",
                                   err);
                }
            }
        }
    }
    const uint8_t *sync = mtf_reader_take(reader, SYNC_BYTES);
    if (!sync) return corrupt(file, "its header is malformed or over 1 MiB", err);
    memcpy(file->sync, sync, SYNC_BYTES);
    if (file->schema.failed) return no_memory(file, err);
    return file->schema.size ? MTF_OK : corrupt(file, "it names no schema", err);
}

static mtf_status read_header(mtf_container_file *file, mtf_err *err)
{
    mtf_buf bytes = {0};
    mtf_status status;
    uint8_t *header = mtf_buf_extend(&bytes, HEADER_BYTES_MAX);
    if (!header) {
        status = no_memory(file, err);
    } else {
        const size_t size = fread(header, 1, HEADER_BYTES_MAX, file->stream);
        mtf_reader reader = mtf_reader_of((mtf_span){header, size});
        status = parse_header(file, &reader, err);
        file->first_block = (long)(size - mtf_reader_left(&reader));
    }
    mtf_buf_fini(&bytes);
    return status == MTF_OK ? mtf_container_file_rewind(file, err) : status;
}

mtf_status mtf_container_file_open(const char *path, mtf_container_file **file, mtf_err *err)
{
    mtf_status status;
    mtf_container_file *made = calloc(1, sizeof *made);
    *file = NULL;
    if (!made) return mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", path);
    mtf_buf_put(&made->path, path, strlen(path) + 1);
    if (made->path.failed) {
        status = mtf_fail(err, MTF_NOMEM, "%.250s: out of memory", path);
        goto done;
    }
    made->stream = fopen(path, "rb");
    if (!made->stream) {
        status = mtf_fail(err, errno == ENOENT ? MTF_INVALID : MTF_IO, "open %.250s: %s", path,
                          strerror(errno));
        goto done;
    }
    status = read_header(made, err);
    if (status != MTF_OK) goto done;
    *file = made;
    made = NULL;
done:
    mtf_container_file_close(made);
    return status;
}

void mtf_container_file_close(mtf_container_file *file)
{
    if (!file) return;
    if (file->stream) fclose(file->stream);
    mtf_buf_fini(&file->path);
    mtf_buf_fini(&file->schema);
    mtf_buf_fini(&file->packed);
    mtf_buf_fini(&file->unpacked);
    free(file);
}

mtf_span mtf_container_file_schema(const mtf_container_file *file)
{
    return mtf_buf_span(&file->schema);
}

mtf_status mtf_container_file_rewind(mtf_container_file *file, mtf_err *err)
{
    if (fseek(file->stream, file->first_block, SEEK_SET) == 0) return MTF_OK;
    return mtf_fail(err, MTF_IO, "seek in %.250s: %s", path_of(file), strerror(errno));
}

/** A varint off the stream. MTF_CLOSED: the file ends before it. */
static mtf_status read_long(mtf_container_file *file, int64_t *value, mtf_err *err)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (int c = 0x80; (c & 0x80) && size < sizeof bytes;) {
        c = fgetc(file->stream);
        if (c == EOF && ferror(file->stream)) {
            return mtf_fail(err, MTF_IO, "read %.250s: %s", path_of(file), strerror(errno));
        }
        if (c == EOF) return size ? corrupt(file, "it ends inside a block", err) : MTF_CLOSED;
        bytes[size++] = (uint8_t)c;
    }
    mtf_reader reader = mtf_reader_of((mtf_span){bytes, size});
    *value = mtf_avro_long(&reader);
    return reader.failed ? corrupt(file, "a block's head is malformed", err) : MTF_OK;
}

/** Raw deflate (RFC 1951), packed -> unpacked. */
static mtf_status inflate_block(mtf_container_file *file, mtf_err *err)
{
    z_stream z = {0};
    mtf_status status = MTF_OK;
    int result;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return no_memory(file, err);
    mtf_buf_clear(&file->unpacked);
    z.next_in = file->packed.data;
    z.avail_in = (uInt)file->packed.size;
    do {
        const size_t chunk = 64u << 10;
        z.next_out = mtf_buf_extend(&file->unpacked, chunk);
        if (!z.next_out) {
            status = no_memory(file, err);
            break;
        }
        z.avail_out = (uInt)chunk;
        result = inflate(&z, Z_NO_FLUSH);
        file->unpacked.size -= z.avail_out;
        if (result != Z_OK && result != Z_STREAM_END) {
            status = corrupt(file, "a deflated block is malformed", err);
        } else if (file->unpacked.size > MTF_CONTAINER_BLOCK_MAX) {
            status = corrupt(file, "a block unpacks to over 64 MiB", err);
        }
    } while (status == MTF_OK && result != Z_STREAM_END);
    inflateEnd(&z);
    return status;
}

mtf_status mtf_container_file_block(mtf_container_file *file, uint64_t *record_count,
                                    mtf_span *records, mtf_err *err)
{
    int64_t count, size;
    mtf_status status = read_long(file, &count, err);
    if (status != MTF_OK) return status;
    status = read_long(file, &size, err);
    if (status == MTF_CLOSED ||
        (status == MTF_OK && (count < 0 || size < 0 || size > MTF_CONTAINER_BLOCK_MAX))) {
        return corrupt(file, "a block's head is malformed or the block is over 64 MiB", err);
    }
    if (status != MTF_OK) return status;
    mtf_buf_clear(&file->packed);
    uint8_t *packed = mtf_buf_extend(&file->packed, (size_t)size + SYNC_BYTES);
    if (!packed) return no_memory(file, err);
    if (fread(packed, 1, file->packed.size, file->stream) != file->packed.size) {
        return corrupt(file, "it ends inside a block", err);
    }
    if (memcmp(packed + size, file->sync, SYNC_BYTES) != 0) {
        return corrupt(file, "a block's sync marker is not the file's", err);
    }
    file->packed.size = (size_t)size;
    if (file->deflate) status = inflate_block(file, err);
    *record_count = (uint64_t)count;
    *records = mtf_buf_span(file->deflate ? &file->unpacked : &file->packed);
    return status;
}
