/** Settings from a YAML file: maps nest, their keys joined by dots make the setting's key, so that
 *  `kafka:` may be flat or nested as the operator likes. Sequences, several documents and keys
 *  given twice are errors. */
#include "core/settings_table.h"

#include "core/file.h"

#include <stdio.h>
#include <yaml.h>

#define FILE_BYTES_MAX (1u << 20)
#define NODES_MAX      10000 /* visited; a bound on what aliases can multiply to */
#define DEPTH_MAX      10
#define KEY_CHARS      256

struct loading {
    mtf_settings *settings;
    const char *path;
    yaml_document_t *document;
    int nodes;
};

static mtf_status fail_at(const struct loading *load, const yaml_node_t *node, mtf_err *err,
                          const char *key, const char *words)
{
    return mtf_fail(err, MTF_INVALID, "%.200s:%zu: %.60s%s", load->path, node->start_mark.line + 1,
                    key, words);
}

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/** A scalar's text as a setting takes it: plain null is empty. NULL when it holds a NUL byte. */
static const char *value_text(const yaml_node_t *node)
{
    const char *text = scalar_text(node);
    if (strlen(text) != node->data.scalar.length) return NULL;
    const bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return plain && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0) ? "" : text;
}

static mtf_status walk(struct loading *load, const yaml_node_t *node, const char *key, int depth,
                       mtf_err *err);

static bool is_section(const char *name)
{
    size_t count;
    const mtf_setting *rows = mtf_settings_rows(&count);
    const size_t size = strlen(name);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(rows[i].key, name, size) == 0 && rows[i].key[size] == '.') return true;
    }
    return false;
}

static bool has_earlier(const struct loading *load, const yaml_node_t *map,
                        const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = yaml_document_get_node(load->document, pair->key);
    for (const yaml_node_pair_t *one = map->data.mapping.pairs.start; one < pair; one++) {
        const yaml_node_t *other = yaml_document_get_node(load->document, one->key);
        if (strcmp(scalar_text(key), scalar_text(other)) == 0) return true;
    }
    return false;
}

static mtf_status walk_map(struct loading *load, const yaml_node_t *map, const char *prefix,
                           int depth, mtf_err *err)
{
    const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    for (; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(load->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(load->document, pair->value);
        if (++load->nodes > NODES_MAX) {
            return fail_at(load, name, err, prefix, ": too many settings");
        }
        if (name->type != YAML_SCALAR_NODE) {
            return fail_at(load, name, err, prefix, ": a key must be plain text");
        }
        char key[KEY_CHARS];
        const int size =
            snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", scalar_text(name));
        if (size < 0 || (size_t)size >= sizeof key) {
            return fail_at(load, name, err, scalar_text(name), "...: the name is too long");
        }
        if (has_earlier(load, map, pair)) {
            return fail_at(load, name, err, key, ": is given twice");
        }
        const mtf_status status = walk(load, value, key, depth + 1, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

static mtf_status walk(struct loading *load, const yaml_node_t *node, const char *key, int depth,
                       mtf_err *err)
{
    if (depth > DEPTH_MAX) return fail_at(load, node, err, key, ": nested too deep");
    if (node->type == YAML_MAPPING_NODE) return walk_map(load, node, key, depth, err);
    if (depth == 0) return fail_at(load, node, err, "", "wants sections: name: and values below");
    if (node->type != YAML_SCALAR_NODE) {
        return fail_at(load, node, err, key, ": wants one value, not a list; put it in quotes");
    }
    const char *value = value_text(node);
    if (!value) return fail_at(load, node, err, key, ": the value holds a NUL byte");
    if (depth == 1 && !strchr(key, '.') && is_section(key)) {
        if (!*value) return MTF_OK; /* all its lines are commented out */
        return fail_at(load, node, err, key, ": wants a section, with name: value lines below");
    }
    char where[KEY_CHARS];
    snprintf(where, sizeof where, "%.200s:%zu", load->path, node->start_mark.line + 1);
    return mtf_settings_set(load->settings, key, value, where, err);
}

/** libyaml's words for what it could not read. */
static mtf_status fail_parsing(const yaml_parser_t *parser, const char *path, mtf_err *err)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return mtf_fail(err, MTF_NOMEM, "%s: out of memory", path);
    return mtf_fail(err, MTF_INVALID, "%.200s:%zu: not YAML: %s", path,
                    parser->problem_mark.line + 1,
                    parser->problem ? parser->problem : "unreadable");
}

/** The first document's settings; *root tells whether there was one. */
static mtf_status load_document(mtf_settings *settings, const char *path, yaml_parser_t *parser,
                                bool *root, mtf_err *err)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) return fail_parsing(parser, path, err);
    const yaml_node_t *top = yaml_document_get_root_node(&document);
    mtf_status status = MTF_OK;
    if (top && *root) {
        status = mtf_fail(err, MTF_INVALID, "%.200s:%zu: a second document; one file holds one",
                          path, top->start_mark.line + 1);
    } else if (top) {
        struct loading load = {settings, path, &document, 0};
        const bool empty = top->type == YAML_SCALAR_NODE && !*scalar_text(top);
        if (!empty) status = walk(&load, top, "", 0, err);
    }
    *root = top != NULL;
    yaml_document_delete(&document);
    return status;
}

mtf_status mtf_settings_parse(mtf_settings *settings, mtf_span text, const char *name, mtf_err *err)
{
    yaml_parser_t parser;
    mtf_status status = MTF_OK;
    bool root = false;
    if (!yaml_parser_initialize(&parser))
        return mtf_fail(err, MTF_NOMEM, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, text.size ? text.data : (const uint8_t *)"", text.size);
    do {
        status = load_document(settings, name, &parser, &root, err);
    } while (status == MTF_OK && root);
    yaml_parser_delete(&parser);
    return status;
}

mtf_status mtf_settings_load(mtf_settings *settings, const char *path, mtf_err *err)
{
    mtf_buf content = {0};
    mtf_status status = mtf_file_read(path, FILE_BYTES_MAX, &content, err);
    if (status == MTF_OK) status = mtf_settings_parse(settings, mtf_buf_span(&content), path, err);
    mtf_buf_fini(&content);
    return status;
}
