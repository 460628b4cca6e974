#include "ingest/random_value.h"

#include "core/avro.h"

#define DEPTH_MAX 12u /* below it, arrays are empty and unions null if they can */

static void put_text(mtf_rng *rng, mtf_buf *out)
{
    uint8_t text[200];
    const size_t size = mtf_rng_below(rng, mtf_rng_below(rng, 8) ? 12 : sizeof text);
    for (size_t i = 0; i < size; i++) text[i] = (uint8_t)('a' + mtf_rng_below(rng, 26));
    mtf_avro_put_bytes(out, text, size);
}

static void put_blocks(mtf_rng *rng, const mtf_schema_node *node, unsigned depth, mtf_buf *out)
{
    const uint64_t blocks = depth > DEPTH_MAX ? 0 : mtf_rng_below(rng, 3);
    for (uint64_t b = 0; b < blocks; b++) {
        mtf_buf body = {0};
        const int64_t count = 1 + (int64_t)mtf_rng_below(rng, 5);
        for (int64_t i = 0; i < count; i++) {
            if (node->type == MTF_SCHEMA_MAP) put_text(rng, &body);
            mtf_random_value(rng, node->nodes[0], depth + 1, &body);
        }
        if (mtf_rng_below(rng, 2)) {
            mtf_avro_put_long(out, count);
        } else {
            mtf_avro_put_long(out, -count);
            mtf_avro_put_long(out, (int64_t)body.size);
        }
        mtf_buf_put(out, body.data, body.size);
        mtf_buf_fini(&body);
    }
    mtf_avro_put_long(out, 0);
}

static bool never(const mtf_schema_node *node)
{
    return node->name && strncmp(mtf_schema_short_name(node->name), "Never", 5) == 0;
}

static void put_union(mtf_rng *rng, const mtf_schema_node *node, unsigned depth, mtf_buf *out)
{
    uint64_t branch;
    do {
        branch = mtf_rng_below(rng, node->count);
    } while (never(node->nodes[branch]));
    for (uint32_t i = 0; depth > DEPTH_MAX && i < node->count; i++) {
        if (node->nodes[i]->type == MTF_SCHEMA_NULL) branch = i;
    }
    mtf_avro_put_long(out, (int64_t)branch);
    mtf_random_value(rng, node->nodes[branch], depth + 1, out);
}

static void put_enum(mtf_rng *rng, const mtf_schema_node *node, mtf_buf *out)
{
    uint64_t symbol;
    do {
        symbol = mtf_rng_below(rng, node->count);
    } while (strncmp(node->symbols[symbol], "NEVER_", 6) == 0);
    mtf_avro_put_long(out, (int64_t)symbol);
}

void mtf_random_value(mtf_rng *rng, const mtf_schema_node *node, unsigned depth, mtf_buf *out)
{
    switch (node->type) {
    case MTF_SCHEMA_NULL:
        break;
    case MTF_SCHEMA_BOOLEAN:
        mtf_avro_put_boolean(out, mtf_rng_below(rng, 2));
        break;
    case MTF_SCHEMA_INT:
        mtf_avro_put_long(out, (int64_t)(mtf_rng_next(rng) >> (33 + mtf_rng_below(rng, 31))));
        break;
    case MTF_SCHEMA_LONG:
        mtf_avro_put_long(out, (int64_t)mtf_rng_next(rng) >> mtf_rng_below(rng, 64));
        break;
    case MTF_SCHEMA_FLOAT:
        mtf_avro_put_float(out, (float)mtf_rng_normal(rng));
        break;
    case MTF_SCHEMA_DOUBLE:
        mtf_avro_put_double(out, mtf_rng_normal(rng));
        break;
    case MTF_SCHEMA_BYTES:
    case MTF_SCHEMA_STRING:
        put_text(rng, out);
        break;
    case MTF_SCHEMA_FIXED:
        for (uint32_t i = 0; i < node->size; i++)
            mtf_buf_put_u8(out, (uint8_t)mtf_rng_below(rng, 256));
        break;
    case MTF_SCHEMA_ENUM:
        put_enum(rng, node, out);
        break;
    case MTF_SCHEMA_ARRAY:
    case MTF_SCHEMA_MAP:
        put_blocks(rng, node, depth, out);
        break;
    case MTF_SCHEMA_UNION:
        put_union(rng, node, depth, out);
        break;
    case MTF_SCHEMA_RECORD:
        for (uint32_t i = 0; i < node->count; i++)
            mtf_random_value(rng, node->fields[i].type, depth + 1, out);
        break;
    }
}
