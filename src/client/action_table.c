/* Reads the setting policy.actions: which prediction's pow or bias each action dimension is, and
 * the real range that [-1,1] maps to. */
#include "client/policy.h"

#include <math.h>
#include <stdlib.h>

#define PAIR_CHARS_MAX 160

static uint32_t prediction_index(mtf_action_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->dims[i].prediction, name) == 0) return table->dims[i].prediction_index;
    }
    return table->prediction_count++;
}

static bool parse_number(const char *text, float *value)
{
    char *end;
    *value = strtof(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

/* Splits "watch.bias=0.01..0.5" in place; false when it is not of that form. */
static bool parse_pair(char *pair, mtf_action_dim *dim)
{
    char *equals = strchr(pair, '=');
    if (!equals) return false;
    *equals = '\0';
    char *kind = strrchr(pair, '.'), *high = strstr(equals + 1, "..");
    if (!kind || kind == pair || !high) return false;
    *kind++ = '\0';
    *high = '\0';
    high += 2;
    dim->bias = strcmp(kind, "bias") == 0;
    if (!dim->bias && strcmp(kind, "pow") != 0) return false;
    if (strlen(pair) >= sizeof dim->prediction) return false;
    memcpy(dim->prediction, pair, strlen(pair) + 1);
    return parse_number(equals + 1, &dim->low) && parse_number(high, &dim->high) &&
           dim->low <= dim->high;
}

static mtf_status add_pair(mtf_action_table *table, mtf_str text, mtf_err *err)
{
    char pair[PAIR_CHARS_MAX];
    mtf_action_dim dim = {0};
    if (table->count == MTF_POLICY_ACTIONS_MAX) {
        return mtf_fail(err, MTF_INVALID, "action table: more than %d dimensions",
                        MTF_POLICY_ACTIONS_MAX);
    }
    const uint32_t size = text.size < PAIR_CHARS_MAX ? text.size : PAIR_CHARS_MAX - 1;
    memcpy(pair, text.data, size);
    pair[size] = '\0';
    if (size != text.size || !parse_pair(pair, &dim)) {
        return mtf_fail(
            err, MTF_INVALID,
            "action table: \"%.*s\" is not <prediction>.pow=<low>..<high> or "
            "<prediction>.bias=<low>..<high> with low <= high and a name below 48 bytes",
            (int)size, text.data);
    }
    if (dim.bias && dim.low < 0) { /* arXiv:2404.17589, formula 1: a power of prediction + bias */
        return mtf_fail(err, MTF_INVALID,
                        "action table: \"%.*s\" goes below 0, and a prediction near 0 plus such a "
                        "bias has no power: let a bias begin at 0 or above",
                        (int)size, text.data);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const mtf_action_dim *other = &table->dims[i];
        if (strcmp(other->prediction, dim.prediction) == 0 && other->bias == dim.bias) {
            return mtf_fail(err, MTF_INVALID, "action table: %s.%s is there twice", dim.prediction,
                            dim.bias ? "bias" : "pow");
        }
    }
    dim.prediction_index = prediction_index(table, dim.prediction);
    table->dims[table->count++] = dim;
    return MTF_OK;
}

mtf_status mtf_action_table_parse(mtf_action_table *table, const char *text, mtf_err *err)
{
    *table = (mtf_action_table){0};
    for (;;) {
        text += strspn(text, " ,\t\r\n");
        const size_t size = strcspn(text, " ,\t\r\n");
        if (size == 0) break;
        const mtf_status status = add_pair(table, (mtf_str){text, (uint32_t)size}, err);
        if (status) return status;
        text += size;
    }
    if (table->count == 0) return mtf_fail(err, MTF_INVALID, "action table: it names no dimension");
    return MTF_OK;
}
