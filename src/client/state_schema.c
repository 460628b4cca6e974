/* Reads a state schema's text (mtf.h has the grammar) into the table that state.c walks. */
#include "client/state_inside.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/policy.h"
#include "client/record.h"
#include "core/hash.h"

#define BLANKS " \t\r\n"

static const char *const kind_names[] = {"number", "onehot", "bucket", "flush", "top", "history"};
static const char *const pool_names[] = {"count", "mean", "decayed", "recency"};

/* One field on its way in; `wrong` names the first thing amiss. */
typedef struct parser {
    mtf_state_schema *schema;
    mtf_state_field *field;
    const char *wrong;
} parser;

static void refuse(parser *at, const char *wrong)
{
    if (!at->wrong) at->wrong = wrong;
}

static double parse_number(parser *at, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value)) refuse(at, "a number is malformed");
    return value;
}

/* ---- arguments of each kind -------------------------------------------------------------- */

static void take_word(parser *at, const char *text)
{
    mtf_state_schema *schema = at->schema;
    if (!*text) refuse(at, "a category is empty");
    if (schema->word_count == MTF_STATE_MAX)
        refuse(at, "the schema has more than 4096 categories");
    else
        schema->words[schema->word_count++] = (mtf_state_word){text, at->field->list++};
}

static void take_edge(parser *at, const char *text)
{
    mtf_state_schema *schema = at->schema;
    const double edge = parse_number(at, text);
    if (at->field->list && !(edge > schema->edges[schema->edge_count - 1]))
        refuse(at, "a bucket's edges do not ascend");
    if (schema->edge_count == MTF_STATE_MAX)
        refuse(at, "the schema has more than 4096 edges");
    else
        schema->edges[schema->edge_count++] = edge, at->field->list++;
}

/* "count" or "decayed=3600" */
static void take_pooling(parser *at, char *text)
{
    mtf_state_schema *schema = at->schema;
    mtf_state_pooling pooling = {.pool = MTF_STATE_COUNT};
    char *equals = strchr(text, '=');
    if (equals) *equals++ = '\0';
    uint32_t pool = 0;
    while (pool < 4 && strcmp(text, pool_names[pool]) != 0) pool++;
    if (pool == 4) refuse(at, "a pooling is none of count, mean, decayed=S, recency=S");
    pooling.pool = (mtf_state_pool)(pool % 4);
    if ((pooling.pool >= MTF_STATE_DECAYED) != (equals != NULL))
        refuse(at, "decayed and recency take their half-life in seconds, count and mean nothing");
    if (equals) pooling.half_life_s = parse_number(at, equals);
    if (equals && !(pooling.half_life_s > 0)) refuse(at, "a half-life is not above 0");
    if (schema->pooling_count == MTF_STATE_MAX)
        refuse(at, "the schema has more than 4096 poolings");
    else
        schema->poolings[schema->pooling_count++] = pooling, at->field->list++;
}

static void take_only_number(parser *at, const char *text, uint32_t index)
{
    if (index > 0) refuse(at, "it takes one number");
    at->field->number = parse_number(at, text);
}

static void take_argument(parser *at, char *text, uint32_t index)
{
    switch (at->field->kind) {
    case MTF_STATE_NUMBER:
    case MTF_STATE_FLUSH:
        take_only_number(at, text, index);
        break;
    case MTF_STATE_ONEHOT:
        take_word(at, text);
        break;
    case MTF_STATE_BUCKET:
        take_edge(at, text);
        break;
    case MTF_STATE_TOP:
        if (index == 0)
            take_only_number(at, text, index);
        else
            take_word(at, text);
        break;
    case MTF_STATE_HISTORY:
        take_pooling(at, text);
        break;
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const mtf_state_word *)a)->text, ((const mtf_state_word *)b)->text);
}

static void sort_words(parser *at)
{
    mtf_state_word *words = at->schema->words + at->field->first;
    qsort(words, at->field->list, sizeof *words, by_text);
    for (uint32_t i = 1; i < at->field->list; i++)
        if (strcmp(words[i - 1].text, words[i].text) == 0) refuse(at, "a category is there twice");
}

/* Checks the whole field and gives it its floats. */
static void close_field(parser *at)
{
    mtf_state_field *field = at->field;
    const bool lists = field->kind != MTF_STATE_NUMBER && field->kind != MTF_STATE_FLUSH;
    field->width = lists ? field->list : 1;
    if (lists && field->list == 0) refuse(at, "its list is empty");
    if (field->kind == MTF_STATE_BUCKET) field->width++;
    if (field->kind == MTF_STATE_NUMBER && fabs(field->number) > 1e30)
        refuse(at, "its default is beyond 1e30");
    if (field->kind == MTF_STATE_FLUSH && !(field->number > 0))
        refuse(at, "flush takes its cap, above 0");
    if (field->kind == MTF_STATE_TOP && !(field->number >= 1 && field->number <= MTF_STATE_MAX &&
                                          floor(field->number) == field->number))
        refuse(at, "top takes a whole number k first, then the categories");
    if (field->kind == MTF_STATE_HISTORY) field->history = at->schema->history_count++;
    if (field->kind == MTF_STATE_ONEHOT || field->kind == MTF_STATE_TOP) sort_words(at);
    if (field->width > MTF_STATE_MAX - at->schema->dim)
        refuse(at, "the state would have more than 4096 floats");
    field->at = at->schema->dim;
    if (!at->wrong) at->schema->dim += field->width;
}

/* ---- fields ------------------------------------------------------------------------------ */

static bool is_name(const char *text)
{
    static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const size_t size = strlen(text);
    return size > 0 && size < MTF_STATE_NAME_CHARS && strspn(text, signs) == size;
}

static void name_field(parser *at, const char *name, const char *kind)
{
    mtf_state_schema *schema = at->schema;
    uint32_t k = 0;
    if (!is_name(name)) {
        refuse(at, "a name is of at most 47 letters, digits, _, - and .");
        return;
    }
    if (mtf_state_schema_field(schema, name) != MTF_STATE_NO_FIELD)
        refuse(at, "the name is there twice");
    memcpy(at->field->name, name, strlen(name) + 1);
    while (k < 6 && strcmp(kind, kind_names[k]) != 0) k++;
    if (k == 6) refuse(at, "its kind is none of number, onehot, bucket, flush, top, history");
    at->field->kind = (mtf_state_kind)(k % 6);
    at->field->first = at->field->kind == MTF_STATE_BUCKET    ? schema->edge_count
                       : at->field->kind == MTF_STATE_HISTORY ? schema->pooling_count
                                                              : schema->word_count;
}

/* name=kind or name=kind(argument,...), cut up in place. */
static void parse_field(parser *at, char *text)
{
    char *kind = strchr(text, '='), *arguments = kind ? strchr(kind, '(') : NULL;
    const size_t size = strlen(text);
    if (!kind || (arguments && text[size - 1] != ')')) {
        refuse(at, "it is not name=kind or name=kind(argument,...), without blanks");
        return;
    }
    *kind++ = '\0';
    if (arguments) *arguments++ = '\0', text[size - 1] = '\0';
    name_field(at, text, kind);
    for (uint32_t i = 0; arguments && !at->wrong; i++) {
        char *comma = strchr(arguments, ',');
        if (comma) *comma++ = '\0';
        take_argument(at, arguments, i);
        arguments = comma;
    }
    if (!at->wrong) close_field(at);
}

static mtf_status parse_fields(mtf_state_schema *schema, const char *text, mtf_err *err)
{
    mtf_buf meaning = {0}; /* the fields with one blank between */
    char *cut = schema->text;
    for (;;) {
        text += strspn(text, BLANKS), cut += strspn(cut, BLANKS);
        const size_t size = strcspn(text, BLANKS);
        if (size == 0) break;
        parser at = {schema, &schema->fields[schema->field_count], NULL};
        const bool more = cut[size] != '\0';
        cut[size] = '\0';
        if (schema->field_count == MTF_STATE_FIELDS_MAX)
            at.wrong = "it is one field more than 256";
        else
            parse_field(&at, cut);
        if (at.wrong) {
            mtf_buf_fini(&meaning);
            return mtf_fail(err, MTF_INVALID, "state schema: field %u, \"%.*s\": %s",
                            schema->field_count + 1, (int)(size < 100 ? size : 100), text,
                            at.wrong);
        }
        if (schema->field_count++) mtf_buf_put_u8(&meaning, ' ');
        mtf_buf_put(&meaning, text, size);
        text += size, cut += size + more;
    }
    if (!meaning.failed) {
        (void)snprintf(schema->id, sizeof schema->id, "%016" PRIx64,
                       mtf_hash64(meaning.data, meaning.size));
    }
    const bool failed = meaning.failed;
    mtf_buf_fini(&meaning);
    if (failed) return mtf_fail(err, MTF_NOMEM, "state schema: out of memory");
    if (schema->dim == 0) return mtf_fail(err, MTF_INVALID, "state schema: it names no field");
    return MTF_OK;
}

mtf_status mtf_state_schema_parse(const char *text, mtf_state_schema **schema, mtf_err *err)
{
    const size_t size = strlen(text) + 1;
    mtf_state_schema *made = calloc(1, sizeof *made);
    *schema = NULL;
    if (made) made->text = malloc(size);
    if (made) made->fields = calloc(MTF_STATE_FIELDS_MAX, sizeof *made->fields);
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* 0.5, never 0,5 */
    mtf_status status = MTF_OK;
    if (!made || !made->text || !made->fields || !plain)
        status = mtf_fail(err, MTF_NOMEM, "state schema: out of memory");
    if (status == MTF_OK) {
        const locale_t callers = uselocale(plain);
        memcpy(made->text, text, size);
        status = parse_fields(made, text, err);
        uselocale(callers);
    }
    if (plain) freelocale(plain);
    if (status == MTF_OK)
        *schema = made;
    else
        mtf_state_schema_free(made);
    return status;
}

void mtf_state_schema_free(mtf_state_schema *schema)
{
    if (!schema) return;
    free(schema->text);
    free(schema->fields);
    free(schema);
}

uint32_t mtf_state_schema_dim(const mtf_state_schema *schema)
{
    return schema->dim;
}

const char *mtf_state_schema_id(const mtf_state_schema *schema)
{
    return schema->id;
}

uint32_t mtf_state_schema_field(const mtf_state_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) return i;
    }
    return MTF_STATE_NO_FIELD;
}

mtf_status mtf_state_schema_check(const mtf_state_schema *schema, const mtf_policy *policy,
                                  mtf_err *err)
{
    const char *theirs = policy->info.state_schema;
    const uint32_t dim = mtf_policy_user_dim(policy);
    if (schema->dim != dim) {
        return mtf_fail(err, MTF_INVALID,
                        "policy %s version %" PRId64 " takes states of %u floats, this service's "
                        "schema makes %u",
                        policy->info.name, policy->info.version, dim, schema->dim);
    }
    if (!theirs[0] || strcmp(theirs, schema->id) == 0) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "policy %s version %" PRId64 " was trained on states of schema %s, this "
                    "service makes schema %s: give both the same text",
                    policy->info.name, policy->info.version, theirs, schema->id);
}
