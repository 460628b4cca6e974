/** An Avro schema as a tree, parsed from JSON with the checks of the Avro 1.11 specification that
 *  matter to a decoder. Named types are shared, so a recursive type makes a cycle. */
#ifndef MTF_INGEST_AVRO_SCHEMA_H
#define MTF_INGEST_AVRO_SCHEMA_H

#include "core/arena.h"
#include "core/bytes.h"

#include <jansson.h>

#define MTF_SCHEMA_BYTES_MAX (1u << 20)
#define MTF_SCHEMA_NODES_MAX 4000u
#define MTF_SCHEMA_DEPTH_MAX 64u

typedef enum mtf_schema_type {
    MTF_SCHEMA_NULL,
    MTF_SCHEMA_BOOLEAN,
    MTF_SCHEMA_INT,
    MTF_SCHEMA_LONG,
    MTF_SCHEMA_FLOAT,
    MTF_SCHEMA_DOUBLE,
    MTF_SCHEMA_BYTES,
    MTF_SCHEMA_STRING,
    MTF_SCHEMA_RECORD,
    MTF_SCHEMA_ENUM,
    MTF_SCHEMA_FIXED,
    MTF_SCHEMA_ARRAY,
    MTF_SCHEMA_MAP,
    MTF_SCHEMA_UNION
} mtf_schema_type;

typedef struct mtf_schema_node mtf_schema_node;

typedef struct mtf_schema_field {
    const char *name;
    const json_t *aliases;  /* array of strings, or NULL */
    const json_t *fallback; /* the default, or NULL */
    mtf_schema_node *type;
} mtf_schema_field;

struct mtf_schema_node {
    mtf_schema_type type;
    uint32_t index;           /* of the node in its schema */
    const char *name;         /* full name of a record, enum or fixed */
    const json_t *aliases;    /* of a named type, or NULL */
    mtf_schema_field *fields; /* record */
    mtf_schema_node **nodes;  /* union: branches; array: [0] items; map: [0] values */
    const char **symbols;     /* enum */
    uint32_t count;           /* of fields, nodes or symbols */
    int32_t fallback_symbol;  /* enum: index of its default, -1 for none */
    uint32_t size;            /* fixed */
    uint32_t bytes_min;       /* no value takes fewer bytes; capped at 2^20 */
    bool bare;                /* every value takes 0 bytes: null and what is made of it */
};

typedef struct mtf_schema {
    json_t *json;
    mtf_arena arena; /* nodes */
    mtf_schema_node *root;
    uint32_t node_count;
    uint64_t fingerprint; /* CRC-64-AVRO of the canonical form */
} mtf_schema;

/** MTF_INVALID: not an Avro schema, or beyond the limits above; the words name the place.
 *  Free with mtf_schema_free (takes NULL). Immutable once parsed. */
mtf_status mtf_schema_parse(const char *text, size_t size, mtf_schema **schema,
                            mtf_err *err) MTF_NODISCARD;
void mtf_schema_free(mtf_schema *schema);

/** Appends the parsing canonical form ("Transforming into Parsing Canonical Form" in the
 *  specification) of one node; named types are written out where they first come. */
mtf_status mtf_schema_canonical(const mtf_schema *schema, const mtf_schema_node *node, mtf_buf *out,
                                mtf_err *err) MTF_NODISCARD;

/** Appends the binary encoding of a field's JSON default for its type. MTF_INVALID: no value of it.
 */
mtf_status mtf_schema_put_default(const mtf_schema_node *node, const json_t *value, mtf_buf *out,
                                  mtf_err *err) MTF_NODISCARD;

/** The part of a full name after its last dot. */
const char *mtf_schema_short_name(const char *name);
/** The word of a type ("record"). */
const char *mtf_schema_type_name(mtf_schema_type type);

#endif
