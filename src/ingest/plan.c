/** The compiler: walks the writer's schema beside ours and emits, in the writer's order, what
 * reads, skips or fills in each field. Recursion is bounded by our schema, which is not recursive.
 */
#include "ingest/plan_ops.h"

#include <stdlib.h>

#define FIELDS_MAX 32u /* of one record of ours */

static mtf_status compile_value(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer,
                                const mtf_schema_node *reader, const mtf_member *member);

static mtf_status no_memory(mtf_plan_compiler *c)
{
    return mtf_fail(c->err, MTF_NOMEM, "schema: out of memory");
}

/** Room for one more of size bytes in a growing array; false when out of memory. */
static bool grow(void **data, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    const uint32_t wanted = *capacity ? 2 * *capacity : 8;
    void *grown = realloc(*data, wanted * size);
    if (!grown) return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

uint32_t mtf_plan_new_block(mtf_plan_compiler *c)
{
    mtf_plan *plan = c->plan;
    void *blocks = plan->blocks;
    const bool room = grow(&blocks, plan->block_count, &plan->block_capacity, sizeof *plan->blocks);
    plan->blocks = blocks;
    if (!room) return MTF_PLAN_NONE;
    plan->blocks[plan->block_count] = (mtf_block){0};
    return plan->block_count++;
}

mtf_status mtf_plan_emit(mtf_plan_compiler *c, uint32_t block, mtf_op op)
{
    mtf_block *into = &c->plan->blocks[block];
    if (++c->plan->op_count > MTF_PLAN_OPS_MAX) {
        return mtf_fail(c->err, MTF_INVALID, "schema: the plan to read it takes over %u steps",
                        MTF_PLAN_OPS_MAX);
    }
    void *ops = into->ops;
    const bool room = grow(&ops, into->count, &into->capacity, sizeof *into->ops);
    into->ops = ops;
    if (!room) return no_memory(c);
    into->ops[into->count++] = op;
    return MTF_OK;
}

mtf_status mtf_plan_reserve(mtf_plan_compiler *c, uint32_t count, uint32_t *first)
{
    mtf_plan *plan = c->plan;
    *first = plan->table_count;
    for (uint32_t i = 0; i < count; i++) {
        void *table = plan->table;
        const bool room =
            grow(&table, plan->table_count, &plan->table_capacity, sizeof *plan->table);
        plan->table = table;
        if (!room) return no_memory(c);
        plan->table[plan->table_count++] = MTF_PLAN_NONE;
    }
    return MTF_OK;
}

static mtf_status mismatch(mtf_plan_compiler *c, const mtf_schema_node *writer,
                           const mtf_schema_node *reader, const char *what)
{
    return mtf_fail(c->err, MTF_INVALID, "schema: %.100s: the writer's %s cannot be read as %s",
                    what, mtf_schema_type_name(writer->type), mtf_schema_type_name(reader->type));
}

static bool alias_is(const json_t *aliases, const char *name)
{
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        const char *alias = json_string_value(json_array_get(aliases, i));
        if (alias && strcmp(mtf_schema_short_name(alias), mtf_schema_short_name(name)) == 0)
            return true;
    }
    return false;
}

static bool same_name(const mtf_schema_node *writer, const mtf_schema_node *reader)
{
    return !reader->name ||
           strcmp(mtf_schema_short_name(writer->name), mtf_schema_short_name(reader->name)) == 0 ||
           alias_is(reader->aliases, writer->name);
}

static bool promotes(mtf_schema_type writer, mtf_schema_type reader)
{
    switch (writer) {
    case MTF_SCHEMA_INT:
        return reader >= MTF_SCHEMA_LONG && reader <= MTF_SCHEMA_DOUBLE;
    case MTF_SCHEMA_LONG:
        return reader == MTF_SCHEMA_FLOAT || reader == MTF_SCHEMA_DOUBLE;
    case MTF_SCHEMA_FLOAT:
        return reader == MTF_SCHEMA_DOUBLE;
    case MTF_SCHEMA_STRING:
        return reader == MTF_SCHEMA_BYTES;
    case MTF_SCHEMA_BYTES:
        return reader == MTF_SCHEMA_STRING;
    default:
        return false;
    }
}

/** The branch of our union that a writer's type goes to: its own type and name first, then by
 *  promotion; -1 for none. */
static int pick_branch(const mtf_schema_node *writer, const mtf_schema_node *reader)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        if (writer->type == reader->nodes[i]->type && same_name(writer, reader->nodes[i]))
            return (int)i;
    }
    for (uint32_t i = 0; i < reader->count; i++) {
        if (promotes(writer->type, reader->nodes[i]->type)) return (int)i;
    }
    return -1;
}

/** Whether a branch of the writer's union may be read at all; the others are refused record by
 * record. */
static bool readable(const mtf_schema_node *writer, const mtf_schema_node *reader)
{
    if (reader->type == MTF_SCHEMA_UNION) return pick_branch(writer, reader) >= 0;
    return (writer->type == reader->type && same_name(writer, reader)) ||
           promotes(writer->type, reader->type);
}

/** Which field of the writer's fills ours: by name, else by one of our aliases; -1 for none. */
static int find_source(const mtf_schema_node *writer, const mtf_schema_field *field)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        if (strcmp(writer->fields[i].name, field->name) == 0) return (int)i;
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        if (alias_is(field->aliases, writer->fields[i].name)) return (int)i;
    }
    return -1;
}

/** A field the writer does not have: its default, encoded by our schema, read by our schema. */
static mtf_status compile_default(mtf_plan_compiler *c, uint32_t block,
                                  const mtf_schema_field *field, const mtf_member *member)
{
    if (!field->fallback) {
        return mtf_fail(c->err, MTF_INVALID,
                        "schema: the writer has no field %.100s, which has no default",
                        field->name);
    }
    mtf_buf *defaults = &c->plan->defaults;
    mtf_op op = {.code = MTF_OP_DEFAULT, .first = (uint32_t)defaults->size, .what = member->name};
    mtf_status status = mtf_schema_put_default(field->type, field->fallback, defaults, c->err);
    if (status != MTF_OK) return status;
    op.size = (uint32_t)defaults->size - op.first;
    op.block = mtf_plan_new_block(c);
    if (op.block == MTF_PLAN_NONE) return no_memory(c);

    /* Pairs of our own nodes: another memory than that of (writer, reader) pairs. */
    const size_t pairs = (size_t)c->reader->node_count * c->reader->node_count;
    mtf_plan_compiler own = {c->plan,
                             c->reader,
                             c->reader,
                             malloc(pairs * sizeof(uint32_t)),
                             malloc(c->reader->node_count * sizeof(uint32_t)),
                             c->err};
    if (own.record_blocks && own.skip_blocks) {
        memset(own.record_blocks, 0xff, pairs * sizeof(uint32_t));
        memset(own.skip_blocks, 0xff, c->reader->node_count * sizeof(uint32_t));
        status = compile_value(&own, op.block, field->type, field->type, member);
    } else {
        status = no_memory(c);
    }
    free(own.record_blocks);
    free(own.skip_blocks);
    if (status == MTF_OK)
        status = mtf_plan_emit(c, op.block, (mtf_op){.code = MTF_OP_END, .what = op.what});
    return status == MTF_OK ? mtf_plan_emit(c, block, op) : status;
}

static mtf_status compile_fields(mtf_plan_compiler *c, uint32_t block,
                                 const mtf_schema_node *writer, const mtf_schema_node *reader,
                                 const mtf_shape *shape)
{
    int source[FIELDS_MAX]; /* our field -> the writer's, or -1 */
    MTF_ASSERT(reader->count <= FIELDS_MAX);
    for (uint32_t i = 0; i < reader->count; i++)
        source[i] = find_source(writer, &reader->fields[i]);

    mtf_status status = MTF_OK;
    for (uint32_t i = 0; status == MTF_OK && i < writer->count; i++) {
        uint32_t mine = 0;
        while (mine < reader->count && source[mine] != (int)i) mine++;
        if (mine == reader->count) {
            status = mtf_plan_skip(c, block, writer->fields[i].type);
        } else {
            const mtf_schema_field *field = &reader->fields[mine];
            status = compile_value(c, block, writer->fields[i].type, field->type,
                                   mtf_shape_find(shape, field->name));
        }
    }
    for (uint32_t i = 0; status == MTF_OK && i < reader->count; i++) {
        const mtf_schema_field *field = &reader->fields[i];
        if (source[i] < 0)
            status = compile_default(c, block, field, mtf_shape_find(shape, field->name));
    }
    return status;
}

/** The block that reads a record of the writer's into the shape; one per pair of records. */
static mtf_status compile_record(mtf_plan_compiler *c, const mtf_schema_node *writer,
                                 const mtf_schema_node *reader, const mtf_shape *shape,
                                 uint32_t *block)
{
    uint32_t *known =
        &c->record_blocks[(size_t)writer->index * c->reader->node_count + reader->index];
    if (*known != MTF_PLAN_NONE) {
        *block = *known;
        return MTF_OK;
    }
    *block = mtf_plan_new_block(c);
    if (*block == MTF_PLAN_NONE) return no_memory(c);
    const mtf_status status = compile_fields(c, *block, writer, reader, shape);
    if (status != MTF_OK) return status;
    *known = *block;
    return mtf_plan_emit(c, *block, (mtf_op){.code = MTF_OP_END, .what = reader->name});
}

static mtf_status compile_writer_union(mtf_plan_compiler *c, uint32_t block,
                                       const mtf_schema_node *writer, const mtf_schema_node *reader,
                                       const mtf_member *member)
{
    uint32_t first, read = 0;
    mtf_status status = mtf_plan_reserve(c, writer->count, &first);
    for (uint32_t i = 0; status == MTF_OK && i < writer->count; i++) {
        if (!readable(writer->nodes[i], reader)) continue;
        const uint32_t branch = mtf_plan_new_block(c);
        if (branch == MTF_PLAN_NONE) return no_memory(c);
        c->plan->table[first + i] = branch;
        status = compile_value(c, branch, writer->nodes[i], reader, member);
        if (status == MTF_OK) {
            status = mtf_plan_emit(c, branch, (mtf_op){.code = MTF_OP_END, .what = member->name});
        }
        read++;
    }
    if (status != MTF_OK) return status;
    if (read == 0) return mismatch(c, writer, reader, member->name);
    return mtf_plan_emit(
        c, block,
        (mtf_op){
            .code = MTF_OP_UNION, .first = first, .count = writer->count, .what = member->name});
}

static mtf_status compile_enum(mtf_plan_compiler *c, const mtf_schema_node *writer,
                               const mtf_schema_node *reader, mtf_op *op)
{
    const mtf_status status = mtf_plan_reserve(c, writer->count, &op->first);
    if (status != MTF_OK) return status;
    op->count = writer->count;
    for (uint32_t i = 0; i < writer->count; i++) {
        uint32_t mine = 0;
        while (mine < reader->count && strcmp(writer->symbols[i], reader->symbols[mine]) != 0)
            mine++;
        if (mine == reader->count) mine = (uint32_t)reader->fallback_symbol; /* -1 is NONE */
        c->plan->table[op->first + i] = mine;
    }
    return MTF_OK;
}

/** Numbers: the operation that reads the writer's type into the member; false for none. */
static bool number_op(const mtf_schema_node *writer, const mtf_member *member, mtf_op_code *code)
{
    const mtf_schema_type type = writer->type;
    const bool whole = type == MTF_SCHEMA_INT || type == MTF_SCHEMA_LONG;
    const bool single = type == MTF_SCHEMA_FLOAT;
    switch (member->kind) {
    case MTF_MEMBER_LONG:
        *code = MTF_OP_LONG;
        return whole;
    case MTF_MEMBER_UINT:
        *code = MTF_OP_UINT;
        return type == MTF_SCHEMA_INT;
    case MTF_MEMBER_BOOL:
        *code = MTF_OP_BOOL;
        return type == MTF_SCHEMA_BOOLEAN;
    case MTF_MEMBER_FLOAT:
        *code = whole ? MTF_OP_FLOAT_OF_LONG : MTF_OP_FLOAT;
        return whole || single;
    case MTF_MEMBER_FLOATS:
        *code = whole ? MTF_OP_FLOATS_OF_LONG : MTF_OP_FLOATS;
        return whole || single;
    default:
        *code = whole ? MTF_OP_DOUBLE_OF_LONG : single ? MTF_OP_DOUBLE_OF_FLOAT : MTF_OP_DOUBLE;
        return whole || single || type == MTF_SCHEMA_DOUBLE;
    }
}

/** Both types arrays; the member holds floats or records. */
static mtf_status compile_array(mtf_plan_compiler *c, const mtf_schema_node *writer,
                                const mtf_schema_node *reader, const mtf_member *member, mtf_op *op)
{
    const mtf_schema_node *item = writer->nodes[0];
    op->bytes_min = item->bytes_min;
    if (member->kind == MTF_MEMBER_FLOATS) {
        return number_op(item, member, &op->code)
                   ? MTF_OK
                   : mismatch(c, item, reader->nodes[0], member->name);
    }
    if (item->type != MTF_SCHEMA_RECORD) return mismatch(c, item, reader->nodes[0], member->name);
    op->code = MTF_OP_RECORDS;
    op->size = (uint32_t)member->shapes->size;
    return compile_record(c, item, reader->nodes[0], member->shapes, &op->block);
}

/** Chooses a branch of our union for a type of the writer's that is none. */
static mtf_status compile_branch(mtf_plan_compiler *c, uint32_t block,
                                 const mtf_schema_node *writer, const mtf_schema_node *reader,
                                 const mtf_member *member, mtf_op *op)
{
    const int branch = pick_branch(writer, reader);
    if (branch < 0) return mismatch(c, writer, reader, member->name);
    if (member->kind == MTF_MEMBER_STR) {
        op->code = writer->type == MTF_SCHEMA_NULL ? MTF_OP_NULL_STR : MTF_OP_STR;
        return MTF_OK;
    }
    const mtf_op tag = {.code = MTF_OP_TAG,
                        .offset = (uint32_t)member->beside,
                        .size = (uint32_t)branch,
                        .what = member->name};
    const mtf_status status = mtf_plan_emit(c, block, tag);
    op->code = MTF_OP_CALL;
    if (status != MTF_OK) return status;
    return compile_record(c, writer, reader->nodes[branch], &member->shapes[branch], &op->block);
}

static mtf_status compile_value(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer,
                                const mtf_schema_node *reader, const mtf_member *member)
{
    mtf_op op = {.offset = (uint32_t)member->offset,
                 .beside = (uint32_t)member->beside,
                 .what = member->name};
    mtf_status status = MTF_OK;
    bool fits = true;
    if (member->kind == MTF_MEMBER_RAW) {
        op.code = MTF_OP_RAW;
        status = mtf_plan_skip_block(c, writer, &op.block);
    } else if (writer->type == MTF_SCHEMA_UNION) {
        return compile_writer_union(c, block, writer, reader, member);
    } else if (reader->type == MTF_SCHEMA_UNION) {
        status = compile_branch(c, block, writer, reader, member, &op);
    } else if (reader->type == MTF_SCHEMA_STRING || reader->type == MTF_SCHEMA_BYTES) {
        op.code = MTF_OP_STR;
        fits = writer->type == MTF_SCHEMA_STRING || writer->type == MTF_SCHEMA_BYTES;
    } else if (reader->type < MTF_SCHEMA_BYTES) {
        fits = number_op(writer, member, &op.code);
    } else if (writer->type != reader->type) {
        fits = false;
    } else if (reader->type == MTF_SCHEMA_ENUM) {
        op.code = MTF_OP_ENUM;
        status = compile_enum(c, writer, reader, &op);
    } else if (reader->type == MTF_SCHEMA_FIXED) {
        op.code = MTF_OP_FIXED;
        op.size = reader->size;
        fits = writer->size == reader->size;
    } else if (reader->type == MTF_SCHEMA_ARRAY) {
        status = compile_array(c, writer, reader, member, &op);
    } else {
        op.code = MTF_OP_CALL;
        status = compile_record(c, writer, reader, member->shapes, &op.block);
    }
    if (!fits) return mismatch(c, writer, reader, member->name);
    return status == MTF_OK ? mtf_plan_emit(c, block, op) : status;
}

mtf_status mtf_plan_compile(const mtf_schema *writer, const mtf_schema *reader,
                            const mtf_shape *shape, mtf_plan **plan, mtf_err *err)
{
    const size_t pairs = (size_t)writer->node_count * reader->node_count;
    mtf_plan_compiler c = {calloc(1, sizeof **plan),
                           writer,
                           reader,
                           malloc(pairs * sizeof(uint32_t)),
                           malloc(writer->node_count * sizeof(uint32_t)),
                           err};
    mtf_status status;
    *plan = NULL;
    if (!c.plan || !c.record_blocks || !c.skip_blocks) {
        status = no_memory(&c);
        goto done;
    }
    memset(c.record_blocks, 0xff, pairs * sizeof(uint32_t));
    memset(c.skip_blocks, 0xff, writer->node_count * sizeof(uint32_t));
    c.plan->size = shape->size;
    if (writer->root->type != MTF_SCHEMA_RECORD) {
        status = mismatch(&c, writer->root, reader->root, "the whole");
        goto done;
    }
    status = compile_record(&c, writer->root, reader->root, shape, &c.plan->root);
    if (status != MTF_OK) goto done;
    *plan = c.plan;
    c.plan = NULL;
done:
    mtf_plan_free(c.plan);
    free(c.record_blocks);
    free(c.skip_blocks);
    return status;
}

void mtf_plan_free(mtf_plan *plan)
{
    if (!plan) return;
    for (uint32_t i = 0; i < plan->block_count; i++) free(plan->blocks[i].ops);
    free(plan->blocks);
    free(plan->table);
    mtf_buf_fini(&plan->defaults);
    free(plan);
}
