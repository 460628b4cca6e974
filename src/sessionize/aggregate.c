#include "sessionize/aggregate.h"

#include <float.h>
#include <stdlib.h>

#include "core/settings.h"

static const char *const how_names[] = {
    [MTF_AGGREGATE_LAST] = "last",
    [MTF_AGGREGATE_FIRST] = "first",
    [MTF_AGGREGATE_SUM] = "sum",
    [MTF_AGGREGATE_MAX] = "max",
};

static bool how_parse(mtf_str text, mtf_aggregator *how)
{
    for (int i = 0; i < (int)(sizeof how_names / sizeof *how_names); i++)
        if (mtf_str_is(text, how_names[i])) {
            *how = (mtf_aggregator)i;
            return true;
        }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return mtf_str_compare(((const mtf_aggregate_rule *)a)->name,
                           ((const mtf_aggregate_rule *)b)->name);
}

static mtf_status parse_rules(mtf_aggregators *aggregators, mtf_err *err)
{
    const char *at = aggregators->text;
    mtf_aggregate_rule rule;
    mtf_str how;
    while (mtf_settings_pair(&at, &rule.name, &how)) {
        if (!how_parse(how, &rule.how))
            return mtf_fail(err, MTF_INVALID,
                            "sessionize.aggregators: %.*s=%.*s: want sum, max, last or first",
                            (int)rule.name.size, rule.name.data, (int)how.size, how.data);
        aggregators->rules[aggregators->count++] = rule;
    }
    if (*at)
        return mtf_fail(err, MTF_INVALID,
                        "sessionize.aggregators: \"%.40s\": want name=sum|max|last|first", at);
    qsort(aggregators->rules, aggregators->count, sizeof *aggregators->rules, by_name);
    for (uint32_t i = 1; i < aggregators->count; i++) {
        const mtf_str name = aggregators->rules[i].name;
        if (mtf_str_equal(name, aggregators->rules[i - 1].name))
            return mtf_fail(err, MTF_INVALID, "sessionize.aggregators: %.*s is named twice",
                            (int)name.size, name.data);
    }
    return MTF_OK;
}

/** A pair keeps its length, and each needs at most one separator. */
static void print_rules(mtf_aggregators *aggregators)
{
    char *at = aggregators->canonical;
    for (uint32_t i = 0; i < aggregators->count; i++) {
        const mtf_aggregate_rule *rule = &aggregators->rules[i];
        if (i) *at++ = ' ';
        memcpy(at, rule->name.data, rule->name.size);
        at += rule->name.size;
        *at++ = '=';
        const size_t size = strlen(how_names[rule->how]);
        memcpy(at, how_names[rule->how], size);
        at += size;
    }
    *at = 0;
}

mtf_status mtf_aggregators_init(mtf_aggregators *aggregators, const char *text, mtf_err *err)
{
    const size_t size = strlen(text) + 1;
    *aggregators = (mtf_aggregators){
        .rules = malloc(sizeof(mtf_aggregate_rule) * (size / 3 + 1)), /* "a=b" at least */
        .text = malloc(size),
        .canonical = malloc(size),
    };
    if (!aggregators->rules || !aggregators->text || !aggregators->canonical)
        return mtf_fail(err, MTF_NOMEM, "no memory for sessionize.aggregators");
    memcpy(aggregators->text, text, size);
    const mtf_status status = parse_rules(aggregators, err);
    if (status == MTF_OK) print_rules(aggregators);
    return status;
}

void mtf_aggregators_fini(mtf_aggregators *aggregators)
{
    free(aggregators->rules);
    free(aggregators->text);
    free(aggregators->canonical);
    *aggregators = (mtf_aggregators){0};
}

static mtf_aggregator how_of(const mtf_aggregators *aggregators, mtf_str name)
{
    for (uint32_t i = 0; i < aggregators->count; i++)
        if (mtf_str_equal(aggregators->rules[i].name, name)) return aggregators->rules[i].how;
    return MTF_AGGREGATE_LAST;
}

static double clamp(double value)
{
    return value > DBL_MAX ? DBL_MAX : value < -DBL_MAX ? -DBL_MAX : value;
}

void mtf_aggregate(const mtf_aggregators *aggregators, mtf_signal *known, double value)
{
    switch (how_of(aggregators, known->name)) {
    case MTF_AGGREGATE_LAST:
        known->value = value;
        break;
    case MTF_AGGREGATE_FIRST:
        break;
    case MTF_AGGREGATE_SUM:
        known->value = clamp(known->value + value);
        break;
    case MTF_AGGREGATE_MAX:
        if (value > known->value) known->value = value;
        break;
    }
}
