/** The operations of a plan; private to plan*.c. */
#ifndef MTF_INGEST_PLAN_OPS_H
#define MTF_INGEST_PLAN_OPS_H

#include "ingest/plan.h"

#define MTF_PLAN_NONE UINT32_MAX /* no block, no symbol */

typedef enum mtf_op_code {
    MTF_OP_END,          /* of a block */
    MTF_OP_SKIP_BYTES,   /* size bytes */
    MTF_OP_SKIP_LONG,    /* int, long, enum */
    MTF_OP_SKIP_TEXT,    /* string, bytes */
    MTF_OP_SKIP_ITEMS,   /* array: runs block for each item; NONE when items take no bytes */
    MTF_OP_SKIP_ENTRIES, /* map: a key, then block, for each entry */
    MTF_OP_CALL,         /* runs block on the structure at offset */
    MTF_OP_UNION,        /* reads a branch, runs table[first + branch] */
    MTF_OP_TAG,          /* stores size, the index of the chosen branch, at offset */
    MTF_OP_DEFAULT,      /* runs block on the default bytes [first, first + size) */
    MTF_OP_STR,
    MTF_OP_NULL_STR, /* reads nothing */
    MTF_OP_LONG,
    MTF_OP_UINT,
    MTF_OP_FLOAT,
    MTF_OP_FLOAT_OF_LONG,
    MTF_OP_DOUBLE,
    MTF_OP_DOUBLE_OF_FLOAT,
    MTF_OP_DOUBLE_OF_LONG,
    MTF_OP_BOOL,
    MTF_OP_ENUM,  /* stores table[first + symbol] */
    MTF_OP_FIXED, /* size bytes */
    MTF_OP_FLOATS,
    MTF_OP_FLOATS_OF_LONG,
    MTF_OP_RECORDS, /* runs block for each item of size bytes; count at beside */
    MTF_OP_RAW      /* runs block, stores the bytes it passed */
} mtf_op_code;

typedef struct mtf_op {
    mtf_op_code code;
    uint32_t offset; /* in the structure */
    uint32_t beside; /* offset of a count */
    uint32_t size;
    uint32_t block;
    uint32_t first, count; /* of the plan's table, or of its default bytes */
    uint32_t bytes_min;    /* of an item or entry */
    const char *what;      /* our field's name, for error texts */
} mtf_op;

typedef struct mtf_block {
    mtf_op *ops;
    uint32_t count, capacity;
} mtf_block;

struct mtf_plan {
    mtf_block *blocks;
    uint32_t block_count, block_capacity;
    uint32_t *table; /* unions: branch -> block; enums: writer's symbol -> our value */
    uint32_t table_count, table_capacity;
    uint32_t op_count;
    uint32_t root;    /* block of the record */
    size_t size;      /* of the structure */
    mtf_buf defaults; /* encoded by our schema */
};

/** The state of one compilation. */
typedef struct mtf_plan_compiler {
    mtf_plan *plan;
    const mtf_schema *writer, *reader;
    uint32_t *record_blocks; /* (writer node, reader node) -> block of the pair, or NONE */
    uint32_t *skip_blocks;   /* writer node -> block that skips it, or NONE */
    mtf_err *err;
} mtf_plan_compiler;

/** A new empty block, or NONE when out of memory or beyond MTF_PLAN_OPS_MAX. */
uint32_t mtf_plan_new_block(mtf_plan_compiler *c);
mtf_status mtf_plan_emit(mtf_plan_compiler *c, uint32_t block, mtf_op op);
/** Reserves entries of the table, all NONE; their index in *first. */
mtf_status mtf_plan_reserve(mtf_plan_compiler *c, uint32_t count, uint32_t *first);

/** Appends to the block what passes over a value of the writer's. */
mtf_status mtf_plan_skip(mtf_plan_compiler *c, uint32_t block, const mtf_schema_node *writer);
/** The block that passes over one value, made at the first call for a node. */
mtf_status mtf_plan_skip_block(mtf_plan_compiler *c, const mtf_schema_node *writer,
                               uint32_t *block);

#endif
