/* Writes and reads safetensors files. The JSON reader below knows just the shape such a header has:
 * objects of plain strings, and arrays of up to two unsigned integers. */
#include "client/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES_MAX 65536u /* ours take some 700 */

void mtf_safetensors_write(const mtf_tensor_file *file, mtf_buf *out)
{
    mtf_buf header = {0};
    size_t offset = 0;
    mtf_buf_printf(&header, "{\"__metadata__\":{");
    for (uint32_t i = 0; i < file->note_count; i++) {
        mtf_buf_printf(&header, "%s\"%s\":\"%s\"", i ? "," : "", file->notes[i].name,
                       file->notes[i].text);
    }
    mtf_buf_printf(&header, "}");
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        const mtf_tensor *tensor = &file->tensors[i];
        mtf_buf_printf(&header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%" PRIu32, tensor->name,
                       tensor->shape[0]);
        if (tensor->rank == 2) mtf_buf_printf(&header, ",%" PRIu32, tensor->shape[1]);
        mtf_buf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", offset,
                       offset + tensor->data.size);
        offset += tensor->data.size;
    }
    mtf_buf_printf(&header, "}");
    while (header.size % 8 && !header.failed) mtf_buf_put_u8(&header, ' ');
    mtf_buf_put_u64_le(out, header.size);
    mtf_buf_put(out, header.data, header.size);
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        mtf_buf_put(out, file->tensors[i].data.data, file->tensors[i].data.size);
    }
    out->failed = out->failed || header.failed;
    mtf_buf_fini(&header);
}

/* A cursor over the header; once `wrong` is set (the first thing amiss, in words), reads give
 * nothing more. */
typedef struct json {
    const char *start, *at, *end;
    const char *wrong;
} json;

static void refuse(json *in, const char *wrong)
{
    if (!in->wrong) in->wrong = wrong;
}

static void skip_blanks(json *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) {
        in->at++;
    }
}

/* Takes the next sign if it is that one. */
static bool take(json *in, char sign)
{
    skip_blanks(in);
    if (in->wrong || in->at == in->end || *in->at != sign) return false;
    in->at++;
    return true;
}

static void expect(json *in, char sign, const char *wrong)
{
    if (!take(in, sign)) refuse(in, wrong);
}

/* A string of at most MTF_TENSOR_NAME_CHARS - 1 printable ASCII characters without escapes. */
static void read_string(json *in, char text[MTF_TENSOR_NAME_CHARS])
{
    size_t size = 0;
    expect(in, '"', "a string is missing");
    while (!in->wrong && in->at < in->end && *in->at != '"') {
        if (*in->at < ' ' || *in->at > '~' || *in->at == '\\')
            refuse(in, "a string holds an escape or is not ASCII");
        else if (size == MTF_TENSOR_NAME_CHARS - 1)
            refuse(in, "a string is too long");
        else
            text[size++] = *in->at++;
    }
    text[size] = '\0';
    expect(in, '"', "a string does not end");
}

static uint64_t read_number(json *in)
{
    uint64_t value = 0;
    skip_blanks(in);
    const char *first = in->at;
    while (!in->wrong && in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        if (in->at - first >= 15)
            refuse(in, "a number is too large");
        else
            value = value * 10 + (uint64_t)(*in->at++ - '0');
    }
    if (in->at == first)
        refuse(in, "a number is missing");
    else if (*first == '0' && in->at - first > 1)
        refuse(in, "a number starts with 0");
    return value;
}

/* An array of one or two numbers; returns how many. */
static uint32_t read_numbers(json *in, uint64_t numbers[2])
{
    uint32_t count = 0;
    expect(in, '[', "an array is missing");
    do {
        if (count == 2)
            refuse(in, "an array has more than two numbers");
        else
            numbers[count++] = read_number(in);
    } while (!in->wrong && take(in, ','));
    expect(in, ']', "an array does not end");
    return in->wrong ? 0 : count;
}

static void read_notes(json *in, mtf_tensor_file *file)
{
    expect(in, '{', "__metadata__ is not an object");
    if (take(in, '}')) return;
    do {
        if (file->note_count == MTF_TENSOR_METADATA_MAX) {
            refuse(in, "__metadata__ has too many entries");
            break;
        }
        mtf_tensor_note *note = &file->notes[file->note_count];
        read_string(in, note->name);
        expect(in, ':', "a ':' is missing");
        read_string(in, note->text);
        if (mtf_safetensors_note(file, note->name)) refuse(in, "__metadata__ has an entry twice");
        file->note_count++;
    } while (!in->wrong && take(in, ','));
    expect(in, '}', "__metadata__ does not end");
}

/* {"dtype":"F32","shape":[..],"data_offsets":[begin,end]}, in any order. */
static void read_tensor(json *in, mtf_tensor *tensor, mtf_span data)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    unsigned seen = 0;
    uint64_t shape[2] = {1, 1}, offsets[2] = {0, 0};
    expect(in, '{', "a tensor is not an object");
    do {
        char key[MTF_TENSOR_NAME_CHARS], text[MTF_TENSOR_NAME_CHARS];
        unsigned is = 0;
        read_string(in, key);
        expect(in, ':', "a ':' is missing");
        if (in->wrong) return;
        if (strcmp(key, "dtype") == 0) {
            is = DTYPE;
            read_string(in, text);
            if (strcmp(text, "F32") != 0) refuse(in, "a dtype is not F32");
        } else if (strcmp(key, "shape") == 0) {
            is = SHAPE;
            tensor->rank = read_numbers(in, shape);
        } else if (strcmp(key, "data_offsets") == 0) {
            is = OFFSETS;
            if (read_numbers(in, offsets) != 2) refuse(in, "data_offsets are not two numbers");
        } else {
            refuse(in, "a tensor has an unknown key");
        }
        if (seen & is) refuse(in, "a tensor has a key twice");
        seen |= is;
    } while (!in->wrong && take(in, ','));
    expect(in, '}', "a tensor does not end");
    if (seen != (DTYPE | SHAPE | OFFSETS))
        refuse(in, "a tensor lacks dtype, shape or data_offsets");
    if (offsets[0] > offsets[1] || offsets[1] > data.size)
        refuse(in, "data_offsets leave the file");
    if (shape[0] > UINT32_MAX || shape[1] > UINT32_MAX || shape[0] == 0 || shape[1] == 0 ||
        shape[0] > data.size / 4 / shape[1] || shape[0] * shape[1] * 4 != offsets[1] - offsets[0]) {
        refuse(in, "data_offsets do not fit the shape");
    }
    if (in->wrong) return;
    tensor->shape[0] = (uint32_t)shape[0];
    tensor->shape[1] = (uint32_t)shape[1];
    tensor->data = (mtf_span){data.data + offsets[0], (size_t)(offsets[1] - offsets[0])};
}

static void read_header(json *in, mtf_tensor_file *file, mtf_span data)
{
    bool noted = false;
    expect(in, '{', "the header is not an object");
    do {
        char name[MTF_TENSOR_NAME_CHARS];
        read_string(in, name);
        expect(in, ':', "a ':' is missing");
        if (in->wrong) return;
        if (strcmp(name, "__metadata__") == 0) {
            if (noted) refuse(in, "__metadata__ is there twice");
            noted = true;
            read_notes(in, file);
        } else if (file->tensor_count == MTF_TENSORS_MAX) {
            refuse(in, "there are too many tensors");
        } else if (mtf_safetensors_find(file, name)) {
            refuse(in, "a tensor is there twice");
        } else {
            mtf_tensor *tensor = &file->tensors[file->tensor_count];
            memcpy(tensor->name, name, sizeof name);
            read_tensor(in, tensor, data);
            file->tensor_count++;
        }
    } while (!in->wrong && take(in, ','));
    expect(in, '}', "the header does not end");
    skip_blanks(in);
    if (in->at != in->end) refuse(in, "the header goes on after its end");
}

static int by_place(const void *a, const void *b)
{
    const uint8_t *x = ((const mtf_tensor *)a)->data.data, *y = ((const mtf_tensor *)b)->data.data;
    return (x > y) - (x < y);
}

mtf_status mtf_safetensors_read(mtf_span bytes, mtf_tensor_file *file, mtf_err *err)
{
    *file = (mtf_tensor_file){0};
    mtf_reader reader = mtf_reader_of(bytes);
    const uint64_t size = mtf_reader_u64_le(&reader);
    if (reader.failed || size == 0 || size > HEADER_BYTES_MAX || size > mtf_reader_left(&reader)) {
        return mtf_fail(err, MTF_CORRUPT,
                        "safetensors: %zu bytes cannot hold a header of %" PRIu64 " (limit %u)",
                        bytes.size, size, HEADER_BYTES_MAX);
    }
    const char *header = (const char *)mtf_reader_take(&reader, (size_t)size);
    const mtf_span data = {reader.at, mtf_reader_left(&reader)};
    json in = {header, header, header + size, NULL};
    read_header(&in, file, data);
    if (in.wrong) {
        return mtf_fail(err, MTF_CORRUPT, "safetensors: header byte %td: %s", in.at - in.start,
                        in.wrong);
    }
    qsort(file->tensors, file->tensor_count, sizeof file->tensors[0], by_place);
    const uint8_t *next = data.data;
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        if (file->tensors[i].data.data != next) {
            return mtf_fail(err, MTF_CORRUPT,
                            "safetensors: tensor %s overlaps or leaves a gap before it",
                            file->tensors[i].name);
        }
        next += file->tensors[i].data.size;
    }
    if (next != data.data + data.size) {
        return mtf_fail(err, MTF_CORRUPT, "safetensors: %td bytes after the last tensor",
                        data.data + data.size - next);
    }
    return MTF_OK;
}

const mtf_tensor *mtf_safetensors_find(const mtf_tensor_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}

const char *mtf_safetensors_note(const mtf_tensor_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->note_count; i++) {
        if (strcmp(file->notes[i].name, name) == 0) return file->notes[i].text;
    }
    return NULL;
}
