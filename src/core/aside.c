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
        {mtf_str_of("__mtf.errors.topic"),
         {(const uint8_t *)message->topic.data, message->topic.size}},
        header("__mtf.errors.partition", partition),
        header("__mtf.errors.offset", offset),
        header("__mtf.errors.timestamp", timestamp),
        header("__mtf.errors.stage", stage),
        header("__mtf.errors.reason", reason),
        header("__mtf.errors.message", words),
        header("__mtf.errors.original_bytes", original_bytes),
    };
    const size_t header_count = sizeof headers / sizeof *headers;
    mtf_span key = message->key, value = message->value;
    const bool cut = value.size > sink->value_bytes_max || key.size > MTF_KEY_BYTES_MAX;
    if (value.size > sink->value_bytes_max) value.size = sink->value_bytes_max;
    if (key.size > MTF_KEY_BYTES_MAX) key.size = MTF_KEY_BYTES_MAX;
    return sink->put(sink->self, topic, key, value, headers, cut ? header_count : header_count - 1,
                     0, err);
}
