#include "ops/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct mtf_family {
    char name[MTF_METRIC_NAME_CHARS], help[200];
    mtf_metric_kind kind;
    mtf_buf labels; /* the first sample's names, ", " between */
    mtf_buf samples;
} mtf_family;

void mtf_exposition_fini(mtf_exposition *out)
{
    for (size_t i = 0; i < out->count; i++) {
        mtf_buf_fini(&out->families[i].labels);
        mtf_buf_fini(&out->families[i].samples);
    }
    free(out->families);
    *out = (mtf_exposition){0};
}

static void check_name(const mtf_metric *metric)
{
    const size_t size = strlen(metric->name);
    MTF_ASSERT(size > 0 && size < MTF_METRIC_NAME_CHARS);
    MTF_ASSERT(strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_0123456789") == size);
    const bool total = size > 6 && strcmp(metric->name + size - 6, "_total") == 0;
    MTF_ASSERT(total == (metric->kind == MTF_METRIC_COUNTER));
}

/** The family of this name, made if it is new; NULL: no memory. */
static mtf_family *family_of(mtf_exposition *out, const mtf_metric *metric, const mtf_label *labels,
                             size_t label_count)
{
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->families[i].name, metric->name) != 0) continue;
        MTF_ASSERT(out->families[i].kind == metric->kind);
        return &out->families[i];
    }
    check_name(metric);
    if (out->count == out->capacity) {
        const size_t capacity = out->capacity ? 2 * out->capacity : 64;
        mtf_family *families = realloc(out->families, capacity * sizeof *families);
        if (!families) return NULL;
        out->families = families;
        out->capacity = capacity;
    }
    mtf_family *family = &out->families[out->count++];
    *family = (mtf_family){.kind = metric->kind};
    snprintf(family->name, sizeof family->name, "%s", metric->name);
    MTF_ASSERT(strlen(metric->help) < sizeof family->help && !strchr(metric->help, '\n'));
    snprintf(family->help, sizeof family->help, "%s", metric->help);
    for (size_t i = 0; i < label_count; i++)
        mtf_buf_printf(&family->labels, "%s%s", i ? ", " : "", labels[i].name);
    return family;
}

static void put_escaped(mtf_buf *text, const char *value)
{
    for (const char *at = value; *at; at++) {
        if (*at == '\n') {
            mtf_buf_put(text, "\\n", 2);
            continue;
        }
        if (*at == '\\' || *at == '"') mtf_buf_put_u8(text, '\\');
        mtf_buf_put_u8(text, (uint8_t)*at);
    }
}

/** Whole numbers as such, as long as a double holds them. */
static void put_value(mtf_buf *text, double value)
{
    if (isnan(value))
        mtf_buf_printf(text, "NaN");
    else if (isinf(value))
        mtf_buf_printf(text, value > 0 ? "+Inf" : "-Inf");
    else if (value == floor(value) && fabs(value) < 9007199254740992.0)
        mtf_buf_printf(text, "%" PRId64, (int64_t)value);
    else
        mtf_buf_printf(text, "%.17g", value);
}

void mtf_exposition_put(mtf_exposition *out, const mtf_metric *metric, const mtf_label *labels,
                        size_t label_count, double value)
{
    mtf_family *family = family_of(out, metric, labels, label_count);
    if (!family) {
        out->failed = true;
        return;
    }
    mtf_buf *text = &family->samples;
    mtf_buf_printf(text, "%s", family->name);
    for (size_t i = 0; i < label_count; i++) {
        mtf_buf_printf(text, "%c%s=\"", i ? ',' : '{', labels[i].name);
        put_escaped(text, labels[i].value);
        mtf_buf_put_u8(text, '"');
    }
    mtf_buf_printf(text, "%s", label_count ? "} " : " ");
    put_value(text, value);
    mtf_buf_put_u8(text, '\n');
}

static const char *kind_text(mtf_metric_kind kind)
{
    return kind == MTF_METRIC_COUNTER ? "counter" : "gauge";
}

/** MTF_OK, or MTF_NOMEM with text cut back to `size`. */
static mtf_status settle(const mtf_exposition *out, mtf_buf *text, size_t size, mtf_err *err)
{
    bool failed = out->failed || text->failed;
    for (size_t i = 0; i < out->count; i++)
        failed |= out->families[i].labels.failed || out->families[i].samples.failed;
    if (!failed) return MTF_OK;
    text->size = size;
    return mtf_fail(err, MTF_NOMEM, "metrics: out of memory");
}

mtf_status mtf_exposition_render(const mtf_exposition *out, mtf_buf *text, mtf_err *err)
{
    const size_t size = text->size;
    for (size_t i = 0; i < out->count; i++) {
        const mtf_family *family = &out->families[i];
        mtf_buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                       family->name, kind_text(family->kind));
        mtf_buf_put(text, family->samples.data, family->samples.size);
    }
    return settle(out, text, size, err);
}

mtf_status mtf_exposition_table(const mtf_exposition *out, mtf_buf *text, mtf_err *err)
{
    const size_t size = text->size;
    mtf_buf_printf(text, "| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < out->count; i++) {
        const mtf_family *family = &out->families[i];
        mtf_buf_printf(text, "| `%s` | %s | %.*s | %s |\n", family->name, kind_text(family->kind),
                       (int)family->labels.size,
                       family->labels.size ? (const char *)family->labels.data : "", family->help);
    }
    return settle(out, text, size, err);
}
