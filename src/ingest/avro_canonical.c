/** The parsing canonical form: attributes that do not change the wire format are left out, what
 * stays is in one order and without spaces, names are full. Names and symbols were checked to be
 * letters, digits, _ and dots when the schema was parsed, so nothing needs escaping. */
#include "ingest/avro_schema.h"

#include <stdlib.h>

/** written: by node index, whether a named type is already in out. */
static void put_node(const mtf_schema_node *node, uint8_t *written, mtf_buf *out);

static void put_fields(const mtf_schema_node *node, uint8_t *written, mtf_buf *out)
{
    mtf_buf_printf(out, "\"fields\":[");
    for (uint32_t i = 0; i < node->count; i++) {
        mtf_buf_printf(out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", node->fields[i].name);
        put_node(node->fields[i].type, written, out);
        mtf_buf_put_u8(out, '}');
    }
    mtf_buf_put_u8(out, ']');
}

static void put_named(const mtf_schema_node *node, uint8_t *written, mtf_buf *out)
{
    if (written[node->index]) {
        mtf_buf_printf(out, "\"%s\"", node->name);
        return;
    }
    written[node->index] = 1;
    mtf_buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\",", node->name,
                   mtf_schema_type_name(node->type));
    if (node->type == MTF_SCHEMA_RECORD) {
        put_fields(node, written, out);
    } else if (node->type == MTF_SCHEMA_FIXED) {
        mtf_buf_printf(out, "\"size\":%u", (unsigned)node->size);
    } else {
        mtf_buf_printf(out, "\"symbols\":[");
        for (uint32_t i = 0; i < node->count; i++) {
            mtf_buf_printf(out, "%s\"%s\"", i ? "," : "", node->symbols[i]);
        }
        mtf_buf_put_u8(out, ']');
    }
    mtf_buf_put_u8(out, '}');
}

static void put_node(const mtf_schema_node *node, uint8_t *written, mtf_buf *out)
{
    switch (node->type) {
    case MTF_SCHEMA_RECORD:
    case MTF_SCHEMA_ENUM:
    case MTF_SCHEMA_FIXED:
        put_named(node, written, out);
        break;
    case MTF_SCHEMA_ARRAY:
    case MTF_SCHEMA_MAP:
        mtf_buf_printf(out, "{\"type\":\"%s\",\"%s\":", mtf_schema_type_name(node->type),
                       node->type == MTF_SCHEMA_ARRAY ? "items" : "values");
        put_node(node->nodes[0], written, out);
        mtf_buf_put_u8(out, '}');
        break;
    case MTF_SCHEMA_UNION:
        for (uint32_t i = 0; i < node->count; i++) {
            mtf_buf_put_u8(out, i ? ',' : '[');
            put_node(node->nodes[i], written, out);
        }
        mtf_buf_put_u8(out, ']');
        break;
    default:
        mtf_buf_printf(out, "\"%s\"", mtf_schema_type_name(node->type));
        break;
    }
}

mtf_status mtf_schema_canonical(const mtf_schema *schema, const mtf_schema_node *node, mtf_buf *out,
                                mtf_err *err)
{
    uint8_t *written = calloc(schema->node_count, 1);
    if (written) put_node(node, written, out);
    const bool done = written && !out->failed;
    free(written);
    return done ? MTF_OK : mtf_fail(err, MTF_NOMEM, "schema: out of memory");
}
