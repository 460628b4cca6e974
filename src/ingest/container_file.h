/** Reading one Avro object container file ("Object Container Files" of the specification; codecs
 * null and deflate), block by block. Hostile files are errors: nothing is read past, nothing leaks,
 * and no block takes over MTF_CONTAINER_BLOCK_MAX bytes, packed or unpacked. */
#ifndef MTF_INGEST_CONTAINER_FILE_H
#define MTF_INGEST_CONTAINER_FILE_H

#include "core/bytes.h"

#define MTF_CONTAINER_BLOCK_MAX (64u << 20)

typedef struct mtf_container_file mtf_container_file;

/** MTF_INVALID: no such file; MTF_CORRUPT: no container file, or a codec we do not know; MTF_IO. */
mtf_status mtf_container_file_open(const char *path, mtf_container_file **file,
                                   mtf_err *err) MTF_NODISCARD;
void mtf_container_file_close(mtf_container_file *file);

/** The writer's schema as JSON; as long as the file is open. */
mtf_span mtf_container_file_schema(const mtf_container_file *file);
/** The next block's records, unpacked; until the next call. MTF_CLOSED at the end of the file. */
mtf_status mtf_container_file_block(mtf_container_file *file, uint64_t *record_count,
                                    mtf_span *records, mtf_err *err) MTF_NODISCARD;
/** Back to the first block. */
mtf_status mtf_container_file_rewind(mtf_container_file *file, mtf_err *err) MTF_NODISCARD;

#endif
