/** Plans for what we do not want: any type, however nested. */
#include "ingest/plan_ops.h"

static const char skipped[] = "a skipped field";

static mtf_status skip_union(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer)
{
    uint32_t first;
    mtf_status status = mtf_plan_reserve(c, writer->count, &first);
    for (uint32_t i = 0; status == MTF_OK && i < writer->count; i++) {
        uint32_t branch;
        status = mtf_plan_skip_block(c, writer->nodes[i], &branch);
        if (status == MTF_OK) c->plan->table[first + i] = branch;
    }
    if (status != MTF_OK) return status;
    return mtf_plan_emit(
        c, block,
        (mtf_op){.code = MTF_OP_UNION, .first = first, .count = writer->count, .what = skipped});
}

static mtf_status skip_items(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer)
{
    const mtf_schema_node *item = writer->nodes[0];
    const bool map = writer->type == MTF_SCHEMA_MAP;
    uint32_t inner = MTF_PLAN_NONE;
    if (!item->bare) {
        const mtf_status status = mtf_plan_skip_block(c, item, &inner);
        if (status != MTF_OK) return status;
    }
    return mtf_plan_emit(c, block,
                         (mtf_op){.code = map ? MTF_OP_SKIP_ENTRIES : MTF_OP_SKIP_ITEMS,
                                  .block = inner,
                                  .bytes_min = item->bytes_min + (map ? 1 : 0),
                                  .what = skipped});
}

mtf_status mtf_plan_skip(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer)
{
    if (writer->bare) return MTF_OK;
    mtf_op op = {.what = skipped};
    switch (writer->type) {
    case MTF_SCHEMA_BOOLEAN:
    case MTF_SCHEMA_FLOAT:
    case MTF_SCHEMA_DOUBLE:
    case MTF_SCHEMA_FIXED:
        op.code = MTF_OP_SKIP_BYTES;
        op.size = writer->type == MTF_SCHEMA_FIXED ? writer->size : writer->bytes_min;
        break;
    case MTF_SCHEMA_INT:
    case MTF_SCHEMA_LONG:
    case MTF_SCHEMA_ENUM:
        op.code = MTF_OP_SKIP_LONG;
        break;
    case MTF_SCHEMA_BYTES:
    case MTF_SCHEMA_STRING:
        op.code = MTF_OP_SKIP_TEXT;
        break;
    case MTF_SCHEMA_ARRAY:
    case MTF_SCHEMA_MAP:
        return skip_items(c, block, writer);
    case MTF_SCHEMA_UNION:
        return skip_union(c, block, writer);
    default: {
        op.code = MTF_OP_CALL;
        const mtf_status status = mtf_plan_skip_block(c, writer, &op.block);
        if (status != MTF_OK) return status;
    }
    }
    return mtf_plan_emit(c, block, op);
}

mtf_status mtf_plan_skip_block(mtf_plan_compiler *c, const mtf_schema_node *writer, uint32_t *block)
{
    uint32_t *known = &c->skip_blocks[writer->index];
    if (*known != MTF_PLAN_NONE) {
        *block = *known;
        return MTF_OK;
    }
    *block = *known =
        mtf_plan_new_block(c); /* known before its fields: a recursive type calls it */
    if (*block == MTF_PLAN_NONE) return mtf_fail(c->err, MTF_NOMEM, "schema: out of memory");
    mtf_status status = MTF_OK;
    if (writer->type != MTF_SCHEMA_RECORD) {
        status = mtf_plan_skip(c, *block, writer);
    } else {
        for (uint32_t i = 0; status == MTF_OK && i < writer->count; i++) {
            status = mtf_plan_skip(c, *block, writer->fields[i].type);
        }
    }
    if (status != MTF_OK) return status;
    return mtf_plan_emit(c, *block, (mtf_op){.code = MTF_OP_END, .what = skipped});
}
