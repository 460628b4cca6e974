#include "ingest/avro_schema.h"

#include "core/avro.h"

#include <stdlib.h>

#define BYTES_MIN_CAP  (1u << 20)
#define NAME_BYTES_MAX 1000u

/** The state of one parse. */
typedef struct parser {
    mtf_schema *schema;
    json_t *names; /* full name -> index into named */
    mtf_schema_node **named;
    size_t named_count, named_capacity;
    mtf_err *err;
} parser;

static const char *const type_names[] = {"null",   "boolean", "int",    "long",   "float",
                                         "double", "bytes",   "string", "record", "enum",
                                         "fixed",  "array",   "map",    "union"};

static mtf_status parse_node(parser *p, const json_t *json, const char *space, unsigned depth,
                             mtf_schema_node **node);

const char *mtf_schema_type_name(mtf_schema_type type)
{
    return type_names[type];
}

const char *mtf_schema_short_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static void *take(parser *p, size_t size)
{
    void *at = mtf_arena_take(&p->schema->arena, size);
    if (at) memset(at, 0, size);
    return at;
}

static bool name_valid(const char *name)
{
    const char *c = name;
    for (; *c; c++) {
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
        const bool first = c == name || c[-1] == '.';
        const bool digit = *c >= '0' && *c <= '9';
        if (!letter && !(digit && !first) && !(*c == '.' && !first)) return false;
    }
    return c != name && c[-1] != '.' && (size_t)(c - name) <= NAME_BYTES_MAX;
}

/** A text attribute, or NULL. */
static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static const json_t *aliases_of(const json_t *json)
{
    const json_t *aliases = json_object_get(json, "aliases");
    return json_is_array(aliases) ? aliases : NULL;
}

/** space.name, or name where it has dots or there is no space; from the arena. NULL: out of memory.
 */
static const char *full_name(parser *p, const char *name, const char *space)
{
    if (strchr(name, '.') || !space || !*space) space = NULL;
    const size_t space_size = space ? strlen(space) + 1 : 0, size = strlen(name) + 1;
    char *full = mtf_arena_take(&p->schema->arena, space_size + size);
    if (!full) return NULL;
    if (space) {
        memcpy(full, space, space_size - 1);
        full[space_size - 1] = '.';
    }
    memcpy(full + space_size, name, size);
    return full;
}

/** The namespace of a full name, from the arena; "" for none. */
static const char *space_of(parser *p, const char *full)
{
    const char *dot = strrchr(full, '.');
    const size_t size = dot ? (size_t)(dot - full) : 0;
    char *space = take(p, size + 1);
    if (space) memcpy(space, full, size);
    return space;
}

static mtf_status no_memory(parser *p)
{
    return mtf_fail(p->err, MTF_NOMEM, "schema: out of memory");
}

static mtf_schema_node *new_node(parser *p, mtf_schema_type type)
{
    mtf_schema_node *node = take(p, sizeof *node);
    if (!node) return NULL;
    node->type = type;
    node->index = p->schema->node_count++;
    node->fallback_symbol = -1;
    return node;
}

/** A type by its word: a primitive, or a named type that came before. */
static mtf_status parse_reference(parser *p, const char *word, const char *space,
                                  mtf_schema_node **node)
{
    for (int type = MTF_SCHEMA_NULL; type <= MTF_SCHEMA_STRING; type++) {
        if (strcmp(word, type_names[type]) == 0) {
            *node = new_node(p, (mtf_schema_type)type);
            return *node ? MTF_OK : no_memory(p);
        }
    }
    const char *full = full_name(p, word, space);
    if (!full) return no_memory(p);
    const json_t *index = json_object_get(p->names, full);
    if (!index) {
        return mtf_fail(p->err, MTF_INVALID, "schema: type %.100s is not defined before its use",
                        word);
    }
    *node = p->named[json_integer_value(index)];
    return MTF_OK;
}

/** Names a record, enum or fixed and makes it known to what follows. */
static mtf_status parse_name(parser *p, const json_t *json, const char *space,
                             mtf_schema_node *node)
{
    const char *name = text_of(json, "name"), *own_space = text_of(json, "namespace");
    if (!name || !name_valid(name) || (own_space && *own_space && !name_valid(own_space))) {
        return mtf_fail(p->err, MTF_INVALID, "schema: a %s without a valid name",
                        type_names[node->type]);
    }
    node->name = full_name(p, name, own_space ? own_space : space);
    node->aliases = aliases_of(json);
    if (!node->name) return no_memory(p);
    if (json_object_get(p->names, node->name)) {
        return mtf_fail(p->err, MTF_INVALID, "schema: type %.100s is defined twice", node->name);
    }
    if (p->named_count == p->named_capacity) {
        const size_t capacity = p->named_capacity ? 2 * p->named_capacity : 16;
        mtf_schema_node **named = realloc(p->named, capacity * sizeof *named);
        if (!named) return no_memory(p);
        p->named = named;
        p->named_capacity = capacity;
    }
    p->named[p->named_count] = node;
    json_t *index = json_integer((json_int_t)p->named_count++);
    return json_object_set_new(p->names, node->name, index) == 0 ? MTF_OK : no_memory(p);
}

static mtf_status parse_record(parser *p, const json_t *json, const char *space, unsigned depth,
                               mtf_schema_node *node)
{
    mtf_status status = parse_name(p, json, space, node);
    if (status != MTF_OK) return status;
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields)) {
        return mtf_fail(p->err, MTF_INVALID, "schema: record %.100s has no fields array",
                        node->name);
    }
    const char *inner_space = space_of(p, node->name);
    const uint32_t count = (uint32_t)json_array_size(fields);
    node->fields = take(p, count * sizeof *node->fields);
    json_t *seen = json_object();
    if (!inner_space || !node->fields || !seen) status = no_memory(p);
    for (uint32_t i = 0; status == MTF_OK && i < count; i++) {
        const json_t *from = json_array_get(fields, i);
        mtf_schema_field *field = &node->fields[i];
        *field = (mtf_schema_field){text_of(from, "name"), aliases_of(from),
                                    json_object_get(from, "default"), NULL};
        if (!field->name || !name_valid(field->name) || json_object_get(seen, field->name)) {
            status =
                mtf_fail(p->err, MTF_INVALID, "schema: field %u of %.100s has no name of its own",
                         (unsigned)i, node->name);
        } else if (json_object_set_new(seen, field->name, json_true()) != 0) {
            status = no_memory(p);
        } else {
            status =
                parse_node(p, json_object_get(from, "type"), inner_space, depth + 1, &field->type);
        }
    }
    node->count = count;
    json_decref(seen);
    return status;
}

static mtf_status parse_enum(parser *p, const json_t *json, const char *space,
                             mtf_schema_node *node)
{
    const mtf_status status = parse_name(p, json, space, node);
    if (status != MTF_OK) return status;
    const json_t *symbols = json_object_get(json, "symbols");
    const char *fallback = text_of(json, "default");
    node->count = (uint32_t)json_array_size(symbols);
    node->symbols = take(p, node->count * sizeof *node->symbols);
    if (!node->symbols) return no_memory(p);
    if (node->count == 0 || node->count > MTF_SCHEMA_NODES_MAX) {
        return mtf_fail(p->err, MTF_INVALID, "schema: enum %.100s has %u symbols", node->name,
                        (unsigned)node->count);
    }
    for (uint32_t i = 0; i < node->count; i++) {
        node->symbols[i] = json_string_value(json_array_get(symbols, i));
        if (!node->symbols[i] || !name_valid(node->symbols[i])) {
            return mtf_fail(p->err, MTF_INVALID, "schema: symbol %u of enum %.100s is no name",
                            (unsigned)i, node->name);
        }
        if (fallback && strcmp(fallback, node->symbols[i]) == 0) node->fallback_symbol = (int32_t)i;
    }
    return MTF_OK;
}

static mtf_status parse_fixed(parser *p, const json_t *json, const char *space,
                              mtf_schema_node *node)
{
    const mtf_status status = parse_name(p, json, space, node);
    if (status != MTF_OK) return status;
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > INT32_MAX) {
        return mtf_fail(p->err, MTF_INVALID, "schema: fixed %.100s has no valid size", node->name);
    }
    node->size = (uint32_t)json_integer_value(size);
    return MTF_OK;
}

static mtf_status parse_inner(parser *p, const json_t *json, const char *key, const char *space,
                              unsigned depth, mtf_schema_node *node)
{
    node->count = 1;
    node->nodes = take(p, sizeof *node->nodes);
    if (!node->nodes) return no_memory(p);
    return parse_node(p, json_object_get(json, key), space, depth + 1, &node->nodes[0]);
}

static mtf_status parse_union(parser *p, const json_t *json, const char *space, unsigned depth,
                              mtf_schema_node *node)
{
    node->count = (uint32_t)json_array_size(json);
    node->nodes = take(p, node->count * sizeof *node->nodes);
    if (!node->nodes) return no_memory(p);
    if (node->count == 0) return mtf_fail(p->err, MTF_INVALID, "schema: a union without branches");
    for (uint32_t i = 0; i < node->count; i++) {
        const mtf_status status =
            parse_node(p, json_array_get(json, i), space, depth + 1, &node->nodes[i]);
        if (status != MTF_OK) return status;
        if (node->nodes[i]->type == MTF_SCHEMA_UNION) {
            return mtf_fail(p->err, MTF_INVALID, "schema: a union directly inside a union");
        }
    }
    return MTF_OK;
}

static mtf_status parse_node(parser *p, const json_t *json, const char *space, unsigned depth,
                             mtf_schema_node **node)
{
    if (depth > MTF_SCHEMA_DEPTH_MAX || p->schema->node_count >= MTF_SCHEMA_NODES_MAX) {
        return mtf_fail(p->err, MTF_INVALID,
                        "schema: deeper than %u levels or of more than %u types",
                        MTF_SCHEMA_DEPTH_MAX, MTF_SCHEMA_NODES_MAX);
    }
    if (json_is_string(json)) return parse_reference(p, json_string_value(json), space, node);
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(type) || json_is_array(type))
        return parse_node(p, type, space, depth + 1, node);
    const char *word = json_is_array(json) ? "union" : json_string_value(type);
    if (!word)
        return mtf_fail(p->err, MTF_INVALID, "schema: a type that is no word, object or array");

    mtf_schema_type kind = MTF_SCHEMA_RECORD;
    while (kind <= MTF_SCHEMA_UNION && strcmp(word, type_names[kind]) != 0) kind++;
    if (kind > MTF_SCHEMA_UNION || (kind == MTF_SCHEMA_UNION && !json_is_array(json))) {
        return parse_reference(p, word, space, node);
    }
    *node = new_node(p, kind);
    if (!*node) return no_memory(p);
    switch (kind) {
    case MTF_SCHEMA_RECORD:
        return parse_record(p, json, space, depth, *node);
    case MTF_SCHEMA_ENUM:
        return parse_enum(p, json, space, *node);
    case MTF_SCHEMA_FIXED:
        return parse_fixed(p, json, space, *node);
    case MTF_SCHEMA_ARRAY:
        return parse_inner(p, json, "items", space, depth, *node);
    case MTF_SCHEMA_MAP:
        return parse_inner(p, json, "values", space, depth, *node);
    default:
        return parse_union(p, json, space, depth, *node);
    }
}

/** What measure() has found of each node, by its index. */
typedef enum measured { UNSEEN, OPEN, DONE } measured;

/** Sets bytes_min and bare. A node that is met again while open is recursive: it counts as 0 bytes
 *  (a lower bound) and as not bare (a recursive value of no bytes cannot end). */
static void measure(mtf_schema_node *node, uint8_t *state)
{
    static const uint8_t primitive_min[] = {0, 1, 1, 1, 4, 8, 1, 1};
    if (state[node->index] != UNSEEN) return;
    state[node->index] = OPEN;
    uint32_t least = 0;
    bool bare = false;
    if (node->type <= MTF_SCHEMA_STRING) {
        least = primitive_min[node->type];
        bare = node->type == MTF_SCHEMA_NULL;
    } else if (node->type == MTF_SCHEMA_FIXED) {
        least = node->size;
        bare = least == 0;
    } else if (node->type == MTF_SCHEMA_RECORD) {
        bare = true;
        for (uint32_t i = 0; i < node->count; i++) {
            const mtf_schema_node *inner = node->fields[i].type;
            measure(node->fields[i].type, state);
            if (least < BYTES_MIN_CAP) least += inner->bytes_min;
            bare = bare && inner->bare;
        }
    } else {
        least = BYTES_MIN_CAP;
        for (uint32_t i = 0; node->nodes && i < node->count; i++) {
            measure(node->nodes[i], state);
            if (node->nodes[i]->bytes_min < least) least = node->nodes[i]->bytes_min;
        }
        least = node->type == MTF_SCHEMA_UNION ? least + 1 : 1;
    }
    node->bytes_min = least < BYTES_MIN_CAP ? least : BYTES_MIN_CAP;
    node->bare = bare;
    state[node->index] = DONE;
}

mtf_status mtf_schema_parse(const char *text, size_t size, mtf_schema **schema, mtf_err *err)
{
    json_error_t json_err;
    mtf_buf canonical = {0};
    uint8_t *state = NULL;
    mtf_status status;
    parser p = {calloc(1, sizeof *p.schema), json_object(), NULL, 0, 0, err};
    *schema = NULL;
    if (!p.schema || !p.names) {
        status = no_memory(&p);
        goto done;
    }
    p.schema->json =
        size <= MTF_SCHEMA_BYTES_MAX ? json_loadb(text, size, JSON_DECODE_ANY, &json_err) : NULL;
    if (!p.schema->json) {
        status = size <= MTF_SCHEMA_BYTES_MAX
                     ? mtf_fail(err, MTF_INVALID, "schema: not JSON at line %d", json_err.line)
                     : mtf_fail(err, MTF_INVALID, "schema: %zu bytes, the limit is %u", size,
                                MTF_SCHEMA_BYTES_MAX);
        goto done;
    }
    status = parse_node(&p, p.schema->json, NULL, 0, &p.schema->root);
    if (status != MTF_OK) goto done;
    state = calloc(p.schema->node_count, 1);
    if (!state) {
        status = no_memory(&p);
        goto done;
    }
    measure(p.schema->root, state);
    status = mtf_schema_canonical(p.schema, p.schema->root, &canonical, err);
    if (status != MTF_OK) goto done;
    p.schema->fingerprint = mtf_avro_crc64(canonical.data, canonical.size);
    *schema = p.schema;
    p.schema = NULL;
done:
    free(state);
    mtf_buf_fini(&canonical);
    mtf_schema_free(p.schema);
    json_decref(p.names);
    free(p.named);
    return status;
}

void mtf_schema_free(mtf_schema *schema)
{
    if (!schema) return;
    mtf_arena_fini(&schema->arena);
    json_decref(schema->json);
    free(schema);
}
