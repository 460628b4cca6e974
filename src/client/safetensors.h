/** The safetensors file format as far as a policy needs it: F32 tensors and a map of short texts.
 *
 *    | u64 LE: header bytes | header: JSON, padded with spaces to a multiple of 8 | tensors' bytes
 * |
 *
 *  The reader takes hostile bytes. It refuses what other readers merely warn of: an escaped string,
 *  an unknown key, a type other than F32, tensors that overlap or leave gaps. */
#ifndef MTF_CLIENT_SAFETENSORS_H
#define MTF_CLIENT_SAFETENSORS_H

#include "core/bytes.h"

#define MTF_TENSORS_MAX         16
#define MTF_TENSOR_NAME_CHARS   48
#define MTF_TENSOR_METADATA_MAX 8

/** One F32 tensor; rank 1: shape[0] floats, rank 2: shape[0] x shape[1], row-major. */
typedef struct mtf_tensor {
    char name[MTF_TENSOR_NAME_CHARS];
    uint32_t rank, shape[2];
    mtf_span data; /* little-endian floats; borrowed from the file (read) or the caller (write) */
} mtf_tensor;

typedef struct mtf_tensor_note {
    char name[MTF_TENSOR_NAME_CHARS], text[MTF_TENSOR_NAME_CHARS];
} mtf_tensor_note;

typedef struct mtf_tensor_file {
    mtf_tensor tensors[MTF_TENSORS_MAX];
    uint32_t tensor_count;
    mtf_tensor_note notes[MTF_TENSOR_METADATA_MAX]; /* __metadata__ */
    uint32_t note_count;
} mtf_tensor_file;

/** Appends the file; tensors and notes are written in the order they stand. Names must need no
 *  escape. */
void mtf_safetensors_write(const mtf_tensor_file *file, mtf_buf *out);

/** Tensors come back in the order of their data. MTF_CORRUPT says what is wrong and where. */
mtf_status mtf_safetensors_read(mtf_span bytes, mtf_tensor_file *file, mtf_err *err) MTF_NODISCARD;

/** NULL when there is none of that name. */
const mtf_tensor *mtf_safetensors_find(const mtf_tensor_file *file, const char *name);
const char *mtf_safetensors_note(const mtf_tensor_file *file, const char *name);

#endif
