#include "core/aside.h"

#include <inttypes.h>
#include <stdio.h>

static mtf_header header(const char *name, const char *text)
{
    return (mtf_header){mtf_str_of(name), {(const uint8_t *)text, strlen(text)}};
}

mtf_status mtf_set_aside(mtf_sink *sink, const char *topic, const mtf_message *message,
                         const char *stage, const char *reason, const char *words, mtf_err *err)
{
    char partition[16], offset[24], timestamp[24], original_bytes[24];
    snprintf(partition, sizeof partition, "%" PRId32, message->partition);
    snprintf(offset, sizeof offset, "%" PRId64, message->offset);
    snprintf(timestamp, sizeof timestamp, "%" PRId64, message->timestamp_ms);
    snprintf(original_bytes, sizeof original_bytes, "%zu", message->value.size);
    const mtf_header headers[] = {
        {mtf_str_of(MTF_ERRORS_PREFIX "topic"),
         {(const uint8_t *)message->topic.data, message->topic.size}},
        header(MTF_ERRORS_PREFIX "partition", partition),
        header(MTF_ERRORS_PREFIX "offset", offset),
        header(MTF_ERRORS_PREFIX "timestamp", timestamp),
        header(MTF_ERRORS_PREFIX "stage", stage),
        header(MTF_ERRORS_PREFIX "reason", reason),
        header(MTF_ERRORS_PREFIX "message", words),
        header(MTF_ERRORS_PREFIX "original_bytes", original_bytes),
    };
    const size_t header_count = sizeof headers / sizeof *headers;
    mtf_span key = message->key, value = message->value;
    const bool gone = value.size > 0 && !value.data;
    const bool cut = gone || value.size > sink->value_bytes_max || key.size > MTF_KEY_BYTES_MAX;
    if (gone) value = (mtf_span){(const uint8_t *)"", 0};
    if (value.size > sink->value_bytes_max) value.size = sink->value_bytes_max;
    if (key.size > MTF_KEY_BYTES_MAX) key.size = MTF_KEY_BYTES_MAX;
    return sink->put(sink->self, topic, key, value, headers, cut ? header_count : header_count - 1,
                     0, err);
}

/** A header's text by the part of its name after the prefix; data NULL: there is none. */
static mtf_str text_of(const mtf_header *headers, size_t count, const char *name)
{
    const size_t prefix = strlen(MTF_ERRORS_PREFIX);
    for (size_t i = 0; i < count; i++) {
        const mtf_str *full = &headers[i].name;
        if (full->size > prefix && memcmp(full->data, MTF_ERRORS_PREFIX, prefix) == 0 &&
            mtf_str_is((mtf_str){full->data + prefix, full->size - (uint32_t)prefix}, name))
            return (mtf_str){(const char *)headers[i].value.data, (uint32_t)headers[i].value.size};
    }
    return (mtf_str){0};
}

/** A whole number in [0, max]. */
static bool number_of(mtf_str text, int64_t max, int64_t *number)
{
    *number = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if (c < '0' || c > '9' || *number > (max - (c - '0')) / 10) return false;
        *number = 10 * *number + (c - '0');
    }
    return text.size > 0;
}

bool mtf_origin_read(const mtf_header *headers, size_t count, mtf_origin *origin)
{
    int64_t partition = 0;
    const mtf_str bytes = text_of(headers, count, "original_bytes");
    *origin = (mtf_origin){
        .topic = text_of(headers, count, "topic"),
        .stage = text_of(headers, count, "stage"),
        .reason = text_of(headers, count, "reason"),
        .words = text_of(headers, count, "message"),
        .original_bytes = -1,
    };
    if (!origin->topic.size || !origin->stage.size || !origin->reason.size ||
        !number_of(text_of(headers, count, "partition"), INT32_MAX, &partition) ||
        !number_of(text_of(headers, count, "offset"), INT64_MAX, &origin->offset) ||
        !number_of(text_of(headers, count, "timestamp"), INT64_MAX, &origin->timestamp_ms) ||
        (bytes.data && !number_of(bytes, INT64_MAX, &origin->original_bytes)))
        return false;
    origin->partition = (int32_t)partition;
    return true;
}
