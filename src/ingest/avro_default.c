/** JSON defaults as Avro binary, so that a missing field is filled by the same machine that reads a
 *  present one. */
#include "core/avro.h"
#include "ingest/avro_schema.h"

/** bytes and fixed: each character of the JSON string is one byte (code points 0 to 255). */
static bool put_latin1(const json_t *value, mtf_buf *out)
{
    const uint8_t *at = (const uint8_t *)json_string_value(value),
                  *end = at + json_string_length(value);
    for (; at < end; at++) {
        if (*at < 0x80) {
            mtf_buf_put_u8(out, *at);
        } else if (*at <= 0xc3) {
            mtf_buf_put_u8(out, (uint8_t)(*at << 6 | (at[1] & 0x3f)));
            at++;
        } else {
            return false;
        }
    }
    return true;
}

static bool put_bytes(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    mtf_buf bytes = {0};
    bool fits = json_is_string(value) && put_latin1(value, &bytes);
    if (bytes.failed) out->failed = true;
    if (node->type == MTF_SCHEMA_FIXED) {
        fits = fits && bytes.size == node->size;
        mtf_buf_put(out, bytes.data, bytes.size);
    } else {
        mtf_avro_put_bytes(out, bytes.data, bytes.size);
    }
    mtf_buf_fini(&bytes);
    return fits;
}

static bool put_value(const mtf_schema_node *node, const json_t *value, mtf_buf *out);

static bool put_record(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const mtf_schema_field *field = &node->fields[i];
        const json_t *inner = json_object_get(value, field->name);
        if (!inner) inner = field->fallback;
        if (!inner || !put_value(field->type, inner, out)) return false;
    }
    return json_is_object(value);
}

static bool put_array(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    const size_t count = json_array_size(value);
    if (count) mtf_avro_put_long(out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        if (!put_value(node->nodes[0], json_array_get(value, i), out)) return false;
    }
    mtf_avro_put_long(out, 0);
    return json_is_array(value);
}

static bool put_enum(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    const char *symbol = json_string_value(value);
    uint32_t i = 0;
    while (symbol && i < node->count && strcmp(symbol, node->symbols[i]) != 0) i++;
    mtf_avro_put_long(out, i);
    return symbol && i < node->count;
}

static bool put_long(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    const json_int_t number = json_integer_value(value);
    mtf_avro_put_long(out, number);
    return json_is_integer(value) &&
           (node->type == MTF_SCHEMA_LONG || (number >= INT32_MIN && number <= INT32_MAX));
}

static bool put_value(const mtf_schema_node *node, const json_t *value, mtf_buf *out)
{
    switch (node->type) {
    case MTF_SCHEMA_NULL:
        return json_is_null(value);
    case MTF_SCHEMA_BOOLEAN:
        mtf_avro_put_boolean(out, json_is_true(value));
        return json_is_boolean(value);
    case MTF_SCHEMA_INT:
    case MTF_SCHEMA_LONG:
        return put_long(node, value, out);
    case MTF_SCHEMA_FLOAT:
        mtf_avro_put_float(out, (float)json_number_value(value));
        return json_is_number(value);
    case MTF_SCHEMA_DOUBLE:
        mtf_avro_put_double(out, json_number_value(value));
        return json_is_number(value);
    case MTF_SCHEMA_BYTES:
    case MTF_SCHEMA_FIXED:
        return put_bytes(node, value, out);
    case MTF_SCHEMA_STRING:
        mtf_avro_put_bytes(out, json_string_value(value), json_string_length(value));
        return json_is_string(value);
    case MTF_SCHEMA_RECORD:
        return put_record(node, value, out);
    case MTF_SCHEMA_ENUM:
        return put_enum(node, value, out);
    case MTF_SCHEMA_ARRAY:
        return put_array(node, value, out);
    case MTF_SCHEMA_UNION: /* the specification: a union's default is of its first branch */
        mtf_avro_put_long(out, 0);
        return put_value(node->nodes[0], value, out);
    case MTF_SCHEMA_MAP:
        break; /* no structure of ours has one */
    }
    return false;
}

mtf_status mtf_schema_put_default(const mtf_schema_node *node, const json_t *value, mtf_buf *out,
                                  mtf_err *err)
{
    if (!put_value(node, value, out)) {
        return mtf_fail(err, MTF_INVALID, "schema: a default is no %s",
                        mtf_schema_type_name(node->type));
    }
    return out->failed ? mtf_fail(err, MTF_NOMEM, "schema: out of memory") : MTF_OK;
}
