#include "ingest/evolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One evolution. */
typedef struct evolution {
    mtf_rng *rng;
    json_t *definitions; /* the reader's named types by name */
    json_t *written;     /* name -> true: defined in the writer's by now */
    uint64_t rename_key; /* which records take their alias */
    int extra_count;
} evolution;

static json_t *evolve_type(evolution *e, const json_t *type, bool in_union);

static bool chance(evolution *e, unsigned percent)
{
    return mtf_rng_below(e->rng, 100) < percent;
}

static void shuffle(evolution *e, json_t *array)
{
    for (size_t i = json_array_size(array); i > 1; i--) {
        const size_t k = (size_t)mtf_rng_below(e->rng, i);
        json_t *a = json_incref(json_array_get(array, i - 1)),
               *b = json_incref(json_array_get(array, k));
        json_array_set_new(array, i - 1, b);
        json_array_set_new(array, k, a);
    }
}

static json_t *named(const char *kind, const char *prefix, int number)
{
    char name[40];
    snprintf(name, sizeof name, "%s%d", prefix, number);
    return json_pack("{s:s, s:s}", "type", kind, "name", name);
}

/** A record, enum or fixed that only the writer knows. (No empty fixed: Avro C cannot read an array
 * of it.) */
static json_t *extra_named(evolution *e, const char *prefix, bool recursive)
{
    const int number = e->extra_count++;
    if (!recursive && chance(e, 30)) {
        json_t *type = named("enum", prefix, number);
        json_object_set_new(type, "symbols", json_pack("[s,s]", "ONE", "TWO"));
        return type;
    }
    if (!recursive && chance(e, 30)) {
        json_t *type = named("fixed", prefix, number);
        json_object_set_new(type, "size", json_integer((json_int_t)(1 + mtf_rng_below(e->rng, 9))));
        return type;
    }
    json_t *type = named("record", prefix, number);
    json_t *self = json_object_get(type, "name");
    json_object_set_new(type, "fields",
                        json_pack("[{s:s,s:s},{s:s,s:[s,O]},{s:s,s:{s:s,s:O}}]", "name", "v",
                                  "type", "double", "name", "next", "type", "null", self, "name",
                                  "more", "type", "type", "array", "items", self));
    return type;
}

static json_t *extra_type(evolution *e, int depth)
{
    static const char *const primitives[] = {"null",  "boolean", "int",   "long",
                                             "float", "double",  "bytes", "string"};
    const uint64_t kind = mtf_rng_below(e->rng, depth > 3 ? 8 : 13);
    switch (kind) {
    case 8:
        return json_pack("{s:s, s:o}", "type", "array", "items", extra_type(e, depth + 1));
    case 9:
        return json_pack("{s:s, s:o}", "type", "map", "values", extra_type(e, depth + 1));
    case 10:
        return json_pack("[s, s, o]", "string", "null", extra_named(e, "Extra", false));
    case 11:
        return extra_named(e, "Extra", false);
    case 12:
        return extra_named(e, "Extra", true);
    default:
        return json_string(primitives[kind]);
    }
}

/** A type that promotes to this one, or itself. */
static json_t *demote(evolution *e, const char *type)
{
    static const char *const numbers[] = {"int", "long", "float", "double"};
    const bool text = strcmp(type, "string") == 0, bytes = strcmp(type, "bytes") == 0;
    if (text || bytes) return json_string(chance(e, 30) ? "bytes" : "string");
    for (unsigned i = 1; i < 4; i++) {
        if (strcmp(type, numbers[i]) == 0 && chance(e, 40))
            return json_string(numbers[mtf_rng_below(e->rng, i + 1)]);
    }
    return json_string(type);
}

static json_t *evolve_enum(evolution *e, const json_t *type)
{
    json_t *made = json_deep_copy(type);
    json_t *symbols = json_object_get(made, "symbols");
    const bool fallback = json_object_get(type, "default") != NULL;
    json_array_append_new(symbols, json_string(fallback ? "FRESH_ONE" : "NEVER_SEEN"));
    json_object_del(made, "default");
    shuffle(e, symbols);
    return made;
}

static json_t *evolve_field(evolution *e, const json_t *field)
{
    json_t *made = json_object();
    const json_t *alias = json_array_get(json_object_get(field, "aliases"), 0);
    const bool renamed = alias && chance(e, 20);
    json_object_set(made, "name",
                    renamed ? (json_t *)(uintptr_t)alias : json_object_get(field, "name"));
    json_object_set_new(made, "type", evolve_type(e, json_object_get(field, "type"), false));
    return made;
}

static json_t *evolve_record(evolution *e, const json_t *type)
{
    json_t *made = json_object(), *fields = json_deep_copy(json_object_get(type, "fields")),
           *out = json_array();
    const char *name = json_string_value(json_object_get(type, "name"));
    const json_t *alias = json_array_get(json_object_get(type, "aliases"), 0);
    const bool renamed = alias && (mtf_rng_bits(e->rename_key, 0, strlen(name)) & 3) == 0;
    json_object_set_new(made, "type", json_string("record"));
    json_object_set(made, "name",
                    renamed ? (json_t *)(uintptr_t)alias : json_object_get(type, "name"));
    if (json_object_get(type, "namespace"))
        json_object_set(made, "namespace", json_object_get(type, "namespace"));
    shuffle(e, fields);
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        if (chance(e, 15)) {
            json_t *added = named("", "extra", e->extra_count++);
            json_object_set_new(added, "type", extra_type(e, 0));
            json_array_append_new(out, added);
        }
        if (json_object_get(field, "default") && chance(e, 25)) continue;
        json_array_append_new(out, evolve_field(e, field));
    }
    /* Avro C cannot read an array of records without fields. */
    if (json_array_size(out) == 0)
        json_array_append_new(out, evolve_field(e, json_array_get(fields, 0)));
    json_object_set_new(made, "fields", out);
    json_decref(fields);
    return made;
}

/** A named type: written out where it first comes, then by its name. */
static json_t *evolve_named(evolution *e, const char *name)
{
    const json_t *definition = json_object_get(e->definitions, name);
    const json_t *known = json_object_get(e->written, name);
    if (known) return json_incref((json_t *)(uintptr_t)known);
    const char *kind = json_string_value(json_object_get(definition, "type"));
    json_t *made = strcmp(kind, "record") == 0 ? evolve_record(e, definition)
                   : strcmp(kind, "enum") == 0 ? evolve_enum(e, definition)
                                               : json_deep_copy(definition);
    json_object_set(e->written, name, json_object_get(made, "name"));
    return made;
}

static json_t *evolve_union(evolution *e, const json_t *type)
{
    json_t *branches = json_deep_copy(type), *made = json_array();
    shuffle(e, branches);
    if (json_array_size(type) == 2 && chance(e, 30)) { /* null and text: one of them alone */
        made = (json_decref(made), json_incref(json_array_get(branches, 0)));
        json_decref(branches);
        return made;
    }
    for (size_t i = 0; i < json_array_size(branches); i++) {
        if (chance(e, 10)) json_array_append_new(made, extra_named(e, "Never", true));
        json_array_append_new(made, evolve_type(e, json_array_get(branches, i), true));
    }
    json_decref(branches);
    return made;
}

static json_t *evolve_type(evolution *e, const json_t *type, bool in_union)
{
    json_t *made;
    if (json_is_array(type)) return evolve_union(e, type);
    const char *word =
        json_string_value(json_is_object(type) ? json_object_get(type, "type") : type);
    const char *name = json_string_value(json_object_get(type, "name"));
    if (name || json_object_get(e->definitions, word)) {
        made = evolve_named(e, name ? name : word);
    } else if (strcmp(word, "array") == 0) {
        made = json_pack("{s:s, s:o}", "type", "array", "items",
                         evolve_type(e, json_object_get(type, "items"), true));
    } else {
        made = demote(e, word);
    }
    if (in_union || !chance(e, 10)) return made;
    return chance(e, 50) ? json_pack("[o]", made)
                         : json_pack("[o, o]", extra_named(e, "Never", true), made);
}

/** Collects named types by their short names. */
static void collect(json_t *definitions, const json_t *type)
{
    size_t i;
    const json_t *inner;
    if (json_is_array(type)) {
        json_array_foreach(type, i, inner) collect(definitions, inner);
    } else if (json_is_object(type)) {
        const char *name = json_string_value(json_object_get(type, "name"));
        if (name && !json_is_object(json_object_get(type, "type"))) {
            json_object_set(definitions, name, (json_t *)(uintptr_t)type);
        }
        json_array_foreach(json_object_get(type, "fields"), i, inner)
            collect(definitions, json_object_get(inner, "type"));
        collect(definitions, json_object_get(type, "items"));
        if (!name) collect(definitions, json_object_get(type, "type"));
    }
}

json_t *mtf_evolve(mtf_rng *rng, const json_t *reader)
{
    evolution e = {rng, json_object(), json_object(), mtf_rng_next(rng), 0};
    collect(e.definitions, reader);
    json_t *made = evolve_named(&e, json_string_value(json_object_get(reader, "name")));
    json_decref(e.definitions);
    json_decref(e.written);
    return made;
}

/** A default for a field of a simple type that has none; NULL: it stays needed. */
static json_t *some_default(const json_t *type)
{
    const char *word =
        json_string_value(json_is_object(type) ? json_object_get(type, "type") : type);
    if (!word) return NULL;
    if (strcmp(word, "string") == 0) return json_string("nobody");
    if (strcmp(word, "long") == 0) return json_integer(-7000000000);
    if (strcmp(word, "int") == 0) return json_integer(3);
    if (strcmp(word, "float") == 0 || strcmp(word, "double") == 0) return json_real(0.75);
    if (strcmp(word, "boolean") == 0) return json_true();
    if (strcmp(word, "fixed") == 0) return json_string("0123456789abcde\u00e4");
    if (strcmp(word, "enum") == 0)
        return json_incref(json_array_get(json_object_get(type, "symbols"), 1));
    const json_t *items = json_object_get(type, "items");
    if (json_is_string(items) && strcmp(json_string_value(items), "float") == 0)
        return json_pack("[f,i]", 1.5, -2);
    return NULL;
}

static void add_variants(json_t *type)
{
    size_t i;
    json_t *inner;
    if (json_is_array(type)) {
        json_array_foreach(type, i, inner) add_variants(inner);
        return;
    }
    if (!json_is_object(type)) return;
    char alias[80];
    const json_t *fields = json_object_get(type, "fields");
    if (fields) {
        snprintf(alias, sizeof alias, "Old%s", json_string_value(json_object_get(type, "name")));
        json_object_set_new(type, "aliases", json_pack("[s]", alias));
    }
    json_array_foreach(fields, i, inner)
    {
        json_t *fallback =
            json_object_get(inner, "default") ? NULL : some_default(json_object_get(inner, "type"));
        snprintf(alias, sizeof alias, "old_%s", json_string_value(json_object_get(inner, "name")));
        json_object_set_new(inner, "aliases", json_pack("[s]", alias));
        if (fallback) json_object_set_new(inner, "default", fallback);
        add_variants(json_object_get(inner, "type"));
    }
    const char *word = json_string_value(json_object_get(type, "type"));
    if (word && strcmp(word, "enum") == 0) {
        json_object_set(type, "default", json_array_get(json_object_get(type, "symbols"), 2));
    }
    add_variants(json_object_get(type, "items"));
}

json_t *mtf_reader_variant(const json_t *schema)
{
    json_t *variant = json_deep_copy(schema);
    add_variants(variant);
    return variant;
}
