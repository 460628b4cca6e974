/** The machine: runs a plan over the bytes of one record. The reader keeps its own failure; what is
 *  not the bytes' fault (a branch or symbol of the writer's that we do not know, a limit) is
 * `cause`. */
#include "core/avro.h"
#include "ingest/plan_ops.h"

typedef enum failure {
    MALFORMED,
    UNKNOWN_BRANCH,
    UNKNOWN_SYMBOL,
    TOO_DEEP,
    TOO_LARGE,
    NO_MEMORY
} failure;

typedef struct machine {
    const mtf_plan *plan;
    mtf_reader reader;
    mtf_arena *arena;
    size_t memory_left; /* of MTF_PLAN_MEMORY_MAX */
    failure cause;
    const char *what; /* the field where it failed */
} machine;

static bool run(machine *m, uint32_t block, uint8_t *base, unsigned depth);

static bool fail(machine *m, failure cause)
{
    m->cause = cause;
    m->reader.failed = true;
    return false;
}

/** One byte is by far the usual size of lengths, counts and branches. */
static inline int64_t next_long(mtf_reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80 && !reader->failed) {
        const uint8_t byte = *reader->at++;
        return (int64_t)(byte >> 1) ^ -(int64_t)(byte & 1);
    }
    return mtf_avro_long(reader);
}

static inline mtf_str next_text(mtf_reader *reader)
{
    const int64_t size = next_long(reader);
    if (reader->failed || size < 0 || (uint64_t)size > mtf_reader_left(reader) ||
        size > UINT32_MAX) {
        reader->failed = true;
        return (mtf_str){0};
    }
    const mtf_str text = {(const char *)reader->at, (uint32_t)size};
    reader->at += size;
    return text;
}

/** Room for `more` items after `used` in an array of *capacity; the first block of an array is
 *  usually all of it and gets just its room, further ones double. NULL: failed. */
static void *grow(machine *m, void *items, uint32_t used, uint32_t *capacity, uint64_t more,
                  size_t size)
{
    uint64_t wanted = used + more;
    if (wanted <= *capacity) return items;
    if (used && wanted < 2 * (uint64_t)*capacity) wanted = 2 * (uint64_t)*capacity;
    if (wanted > m->memory_left / size || wanted > UINT32_MAX) {
        fail(m, TOO_LARGE);
        return NULL;
    }
    m->memory_left -= wanted * size;
    void *grown = mtf_arena_take(m->arena, wanted * size);
    if (!grown) {
        fail(m, NO_MEMORY);
        return NULL;
    }
    if (used) memcpy(grown, items, used * size);
    *capacity = (uint32_t)wanted;
    return grown;
}

/** `count` floats off the wire in one go; the caller has checked that they are there. */
static void copy_floats(mtf_reader *reader, float *values, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(values, reader->at, 4 * count);
    reader->at += 4 * count;
#else
    mtf_reader_f32_le(reader, values, count);
#endif
}

static bool run_floats(machine *m, const mtf_op *op, uint8_t *base)
{
    mtf_reader *reader = &m->reader;
    float *values = NULL;
    uint32_t used = 0, capacity = 0;
    for (uint64_t more; (more = mtf_avro_block(reader, op->bytes_min)) != 0;) {
        values = grow(m, values, used, &capacity, more, sizeof *values);
        if (!values) return false;
        if (op->code == MTF_OP_FLOATS) {
            copy_floats(reader, values + used, more);
        } else {
            for (uint64_t i = 0; i < more; i++) values[used + i] = (float)next_long(reader);
        }
        used += (uint32_t)more;
    }
    *(mtf_floats *)(void *)(base + op->offset) = (mtf_floats){values, used};
    return true;
}

static bool run_records(machine *m, const mtf_op *op, uint8_t *base, unsigned depth)
{
    uint8_t *items = NULL;
    uint32_t used = 0, capacity = 0;
    for (uint64_t more; (more = mtf_avro_block(&m->reader, op->bytes_min)) != 0;) {
        items = grow(m, items, used, &capacity, more, op->size);
        if (!items) return false;
        for (uint64_t i = 0; i < more; i++, used++) {
            if (!run(m, op->block, items + (size_t)used * op->size, depth + 1)) return false;
        }
    }
    void *const first = items;
    memcpy(base + op->offset, &first, sizeof first);
    memcpy(base + op->beside, &used, sizeof used);
    return true;
}

static bool run_skip_items(machine *m, const mtf_op *op, uint8_t *base, unsigned depth)
{
    const bool entries = op->code == MTF_OP_SKIP_ENTRIES;
    for (uint64_t more; (more = mtf_avro_block(&m->reader, op->bytes_min)) != 0;) {
        if (op->block == MTF_PLAN_NONE && !entries) continue;
        for (uint64_t i = 0; i < more; i++) {
            if (entries) next_text(&m->reader);
            if (op->block != MTF_PLAN_NONE && !run(m, op->block, base, depth + 1)) return false;
            if (m->reader.failed) return false;
        }
    }
    return true;
}

static bool run_union(machine *m, const mtf_op *op, uint8_t *base, unsigned depth)
{
    const int64_t branch = next_long(&m->reader);
    if (m->reader.failed || branch < 0 || branch >= op->count) return fail(m, MALFORMED);
    const uint32_t block = m->plan->table[op->first + (uint32_t)branch];
    if (block == MTF_PLAN_NONE) return fail(m, UNKNOWN_BRANCH);
    return run(m, block, base, depth + 1);
}

static bool run_enum(machine *m, const mtf_op *op, uint8_t *base)
{
    const int64_t symbol = next_long(&m->reader);
    if (m->reader.failed || symbol < 0 || symbol >= op->count) return fail(m, MALFORMED);
    const uint32_t value = m->plan->table[op->first + (uint32_t)symbol];
    if (value == MTF_PLAN_NONE) return fail(m, UNKNOWN_SYMBOL);
    memcpy(base + op->offset, &value, sizeof value);
    return true;
}

static bool run_uint(machine *m, const mtf_op *op, uint8_t *base)
{
    const int64_t value = next_long(&m->reader);
    if (value < 0 || value > INT32_MAX) return fail(m, MALFORMED);
    *(uint32_t *)(void *)(base + op->offset) = (uint32_t)value;
    return true;
}

static bool run_default(machine *m, const mtf_op *op, uint8_t *base, unsigned depth)
{
    const mtf_reader record = m->reader;
    m->reader = mtf_reader_of((mtf_span){m->plan->defaults.data + op->first, op->size});
    const bool done = run(m, op->block, base, depth + 1);
    m->reader = record;
    return done;
}

static bool run_raw(machine *m, const mtf_op *op, uint8_t *base, unsigned depth)
{
    const uint8_t *from = m->reader.at;
    if (!run(m, op->block, base, depth + 1)) return false;
    *(mtf_span *)(void *)(base + op->offset) = (mtf_span){from, (size_t)(m->reader.at - from)};
    return true;
}

static bool run_fixed(machine *m, const mtf_op *op, uint8_t *base)
{
    const uint8_t *at = mtf_reader_take(&m->reader, op->size);
    if (at && op->size) memcpy(base + op->offset, at, op->size);
    return at != NULL;
}

/** Every operation that reads one value with no block of its own. */
static bool run_scalar(machine *m, const mtf_op *op, uint8_t *base)
{
    mtf_reader *reader = &m->reader;
    void *to = base + op->offset;
    switch (op->code) {
    case MTF_OP_SKIP_BYTES:
        mtf_reader_take(reader, op->size);
        break;
    case MTF_OP_SKIP_LONG:
        next_long(reader);
        break;
    case MTF_OP_SKIP_TEXT:
        next_text(reader);
        break;
    case MTF_OP_TAG:
        *(uint32_t *)to = op->size;
        break;
    case MTF_OP_STR:
        *(mtf_str *)to = next_text(reader);
        break;
    case MTF_OP_NULL_STR:
        *(mtf_str *)to = (mtf_str){0};
        break;
    case MTF_OP_LONG:
        *(int64_t *)to = next_long(reader);
        break;
    case MTF_OP_UINT:
        return run_uint(m, op, base);
    case MTF_OP_FLOAT:
        *(float *)to = mtf_avro_float(reader);
        break;
    case MTF_OP_FLOAT_OF_LONG:
        *(float *)to = (float)next_long(reader);
        break;
    case MTF_OP_DOUBLE:
        *(double *)to = mtf_avro_double(reader);
        break;
    case MTF_OP_DOUBLE_OF_FLOAT:
        *(double *)to = (double)mtf_avro_float(reader);
        break;
    case MTF_OP_DOUBLE_OF_LONG:
        *(double *)to = (double)next_long(reader);
        break;
    case MTF_OP_BOOL:
        *(bool *)to = mtf_avro_boolean(reader);
        break;
    case MTF_OP_ENUM:
        return run_enum(m, op, base);
    case MTF_OP_FIXED:
        return run_fixed(m, op, base);
    default:
        return run_floats(m, op, base);
    }
    return !reader->failed;
}

static bool run(machine *m, uint32_t block, uint8_t *base, unsigned depth)
{
    if (depth > MTF_PLAN_DEPTH_MAX) return fail(m, TOO_DEEP);
    for (const mtf_op *op = m->plan->blocks[block].ops; op->code != MTF_OP_END; op++) {
        bool done;
        switch (op->code) {
        case MTF_OP_CALL:
            done = run(m, op->block, base + op->offset, depth + 1);
            break;
        case MTF_OP_UNION:
            done = run_union(m, op, base, depth);
            break;
        case MTF_OP_DEFAULT:
            done = run_default(m, op, base, depth);
            break;
        case MTF_OP_SKIP_ITEMS:
        case MTF_OP_SKIP_ENTRIES:
            done = run_skip_items(m, op, base, depth);
            break;
        case MTF_OP_RECORDS:
            done = run_records(m, op, base, depth);
            break;
        case MTF_OP_RAW:
            done = run_raw(m, op, base, depth);
            break;
        default:
            done = run_scalar(m, op, base);
            break;
        }
        if (!done || m->reader.failed) {
            m->reader.failed = true;
            if (!m->what) m->what = op->what; /* the innermost */
            return false;
        }
    }
    return true;
}

static mtf_status explain(const machine *m, const mtf_reader *from, mtf_err *err)
{
    const size_t at = (size_t)(m->reader.at - from->at), size = mtf_reader_left(from);
    switch (m->cause) {
    case UNKNOWN_BRANCH:
        return mtf_fail(err, MTF_SKIP,
                        "schema: %s: a branch of the writer's union that ours does not have",
                        m->what);
    case UNKNOWN_SYMBOL:
        return mtf_fail(err, MTF_SKIP,
                        "schema: %s: a symbol of the writer's enum that ours does not have",
                        m->what);
    case TOO_DEEP:
        return mtf_fail(err, MTF_SKIP, "decode: %s: nested deeper than %u", m->what,
                        MTF_PLAN_DEPTH_MAX);
    case TOO_LARGE:
        return mtf_fail(err, MTF_SKIP, "decode: %s: the record would take over %u bytes of memory",
                        m->what, MTF_PLAN_MEMORY_MAX);
    case NO_MEMORY:
        return mtf_fail(err, MTF_NOMEM, "decode: out of memory");
    default:
        return mtf_fail(err, MTF_SKIP, "decode: %s: malformed or cut short near byte %zu of %zu",
                        m->what, at, size);
    }
}

mtf_status mtf_plan_run(const mtf_plan *plan, mtf_reader *reader, mtf_arena *arena, void *record,
                        mtf_err *err)
{
    if (mtf_reader_left(reader) > MTF_PLAN_BYTES_MAX) {
        return mtf_fail(err, MTF_SKIP, "decode: %zu bytes, the limit is %u",
                        mtf_reader_left(reader), MTF_PLAN_BYTES_MAX);
    }
    machine m = {plan, *reader, arena, MTF_PLAN_MEMORY_MAX, MALFORMED, NULL};
    memset(record, 0, plan->size);
    if (!run(&m, plan->root, record, 0)) return explain(&m, reader, err);
    *reader = m.reader;
    return MTF_OK;
}
