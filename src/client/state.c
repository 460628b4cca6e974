/* Gathers a request's features and lays them out by the schema. All memory is taken when the state
 * is made: a value a field, a weight a category, 100 behaviours a history. */
#include "client/state_inside.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define BEHAVIOURS MTF_STATE_BEHAVIOUR_MAX

typedef struct behaviour {
    int64_t time_ms;
    double value;
} behaviour;

typedef struct history {
    uint32_t count;
    behaviour newest[BEHAVIOURS]; /* in no order */
} history;

struct mtf_state {
    const mtf_state_schema *schema;
    int64_t now_ms;
    double *values;  /* a field; NaN: missing. Of a onehot: which float */
    double *weights; /* a category of the schema's words: of top fields */
    history *histories;
};

mtf_state *mtf_state_new(const mtf_state_schema *schema)
{
    mtf_state *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    state->schema = schema;
    state->values = calloc(schema->field_count, sizeof *state->values);
    state->weights = calloc(schema->word_count + (size_t)1, sizeof *state->weights);
    state->histories = calloc(schema->history_count + (size_t)1, sizeof *state->histories);
    if (!state->values || !state->weights || !state->histories) {
        mtf_state_free(state);
        return NULL;
    }
    mtf_state_begin(state, 0);
    return state;
}

void mtf_state_free(mtf_state *state)
{
    if (!state) return;
    free(state->values);
    free(state->weights);
    free(state->histories);
    free(state);
}

void mtf_state_begin(mtf_state *state, int64_t now_ms)
{
    const mtf_state_schema *schema = state->schema;
    state->now_ms = now_ms;
    for (uint32_t i = 0; i < schema->field_count; i++) state->values[i] = NAN;
    memset(state->weights, 0, schema->word_count * sizeof *state->weights);
    for (uint32_t i = 0; i < schema->history_count; i++) state->histories[i].count = 0;
}

/* ---- inputs ------------------------------------------------------------------------------ */

/* The field, NULL with words in err when there is none of that index or it is not of such a kind.
 */
static const mtf_state_field *find_field(const mtf_state *state, uint32_t field, unsigned kinds,
                                         const char *takes, mtf_err *err)
{
    if (field >= state->schema->field_count) {
        (void)mtf_fail(err, MTF_INVALID, "state: there is no field %u: the schema has %u", field,
                       state->schema->field_count);
        return NULL;
    }
    const mtf_state_field *found = &state->schema->fields[field];
    if (kinds >> found->kind & 1) return found;
    (void)mtf_fail(err, MTF_INVALID, "state: field %s takes no %s", found->name, takes);
    return NULL;
}

static mtf_status skip_number(const mtf_state_field *field, const char *what, double value,
                              mtf_err *err)
{
    return mtf_fail(err, MTF_SKIP, "state: field %s: %s %g left out", field->name, what, value);
}

/* Its place among the field's categories, NULL when it is none of them. */
static const mtf_state_word *find_word(const mtf_state *state, const mtf_state_field *field,
                                       const char *text, mtf_err *err)
{
    const mtf_state_word *words = state->schema->words + field->first;
    uint32_t low = 0, high = field->list;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = strcmp(text, words[middle].text);
        if (order == 0) return &words[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    (void)mtf_fail(err, MTF_SKIP,
                   "state: field %s: category \"%.60s\" is not in its list, left out", field->name,
                   text);
    return NULL;
}

mtf_status mtf_state_number(mtf_state *state, uint32_t field, double value, mtf_err *err)
{
    const unsigned kinds = 1u << MTF_STATE_NUMBER | 1u << MTF_STATE_BUCKET | 1u << MTF_STATE_FLUSH;
    const mtf_state_field *to = find_field(state, field, kinds, "number", err);
    if (!to) return MTF_INVALID;
    if (!isfinite(value) || (to->kind == MTF_STATE_FLUSH && value < 0))
        return skip_number(to, "value", value, err);
    state->values[field] = value;
    return MTF_OK;
}

mtf_status mtf_state_category(mtf_state *state, uint32_t field, const char *value, mtf_err *err)
{
    const mtf_state_field *to = find_field(state, field, 1u << MTF_STATE_ONEHOT, "category", err);
    if (!to) return MTF_INVALID;
    const mtf_state_word *word = find_word(state, to, value, err);
    if (!word) return MTF_SKIP;
    state->values[field] = word->index;
    return MTF_OK;
}

mtf_status mtf_state_interest(mtf_state *state, uint32_t field, const char *category, double weight,
                              mtf_err *err)
{
    const mtf_state_field *to = find_field(state, field, 1u << MTF_STATE_TOP, "interest", err);
    if (!to) return MTF_INVALID;
    if (!(weight >= 0 && weight <= FLT_MAX)) return skip_number(to, "weight", weight, err);
    const mtf_state_word *word = find_word(state, to, category, err);
    if (!word) return MTF_SKIP;
    state->weights[to->first + word->index] += weight;
    return MTF_OK;
}

mtf_status mtf_state_behaviour(mtf_state *state, uint32_t field, int64_t time_ms, double value,
                               mtf_err *err)
{
    const mtf_state_field *to = find_field(state, field, 1u << MTF_STATE_HISTORY, "behaviour", err);
    if (!to) return MTF_INVALID;
    if (!(fabs(value) <= FLT_MAX)) return skip_number(to, "a behaviour's value", value, err);
    history *past = &state->histories[to->history];
    if (past->count < BEHAVIOURS) {
        past->newest[past->count++] = (behaviour){time_ms, value};
        return MTF_OK;
    }
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < BEHAVIOURS; i++)
        if (past->newest[i].time_ms < past->newest[oldest].time_ms) oldest = i;
    if (time_ms > past->newest[oldest].time_ms) past->newest[oldest] = (behaviour){time_ms, value};
    return MTF_OK;
}

/* ---- output ------------------------------------------------------------------------------ */

static float to_float(double value)
{
    return (float)fmax(-FLT_MAX, fmin(FLT_MAX, value));
}

static double age_s(const mtf_state *state, const behaviour *one)
{
    return fmax(0, ((double)state->now_ms - (double)one->time_ms) / 1000);
}

static double pool(const mtf_state *state, const history *past, const mtf_state_pooling *pooling)
{
    double sum = 0;
    for (uint32_t i = 0; i < past->count; i++) {
        const behaviour *one = &past->newest[i];
        const double halvings =
            pooling->half_life_s > 0 ? age_s(state, one) / pooling->half_life_s : 0;
        switch (pooling->pool) {
        case MTF_STATE_COUNT:
            sum += 1.0 / BEHAVIOURS;
            break;
        case MTF_STATE_MEAN:
            sum += one->value / past->count;
            break;
        case MTF_STATE_DECAYED:
            sum += one->value * exp2(-halvings);
            break;
        case MTF_STATE_RECENCY:
            sum = fmax(sum, exp2(-halvings));
            break;
        }
    }
    return sum;
}

/* out (width), zeros: the shares of the k heaviest, the lower index first on ties. */
static void put_top(const mtf_state_field *field, const double *weights, float *out)
{
    double total = 0;
    uint32_t best = 0;
    for (uint32_t n = 0; n < (uint32_t)field->number && best < field->width; n++) {
        best = field->width;
        for (uint32_t i = 0; i < field->width; i++) {
            const bool taken = out[i] > 0;
            if (!taken && weights[i] > 0 && (best == field->width || weights[i] > weights[best]))
                best = i;
        }
        if (best < field->width) out[best] = 1, total += weights[best];
    }
    for (uint32_t i = 0; i < field->width; i++)
        if (out[i] > 0) out[i] = to_float(weights[i] / total);
}

static uint32_t bucket_of(const mtf_state_schema *schema, const mtf_state_field *field,
                          double value)
{
    uint32_t bucket = 0;
    while (bucket < field->list && value >= schema->edges[field->first + bucket]) bucket++;
    return bucket;
}

void mtf_state_make(const mtf_state *state, float *out)
{
    const mtf_state_schema *schema = state->schema;
    memset(out, 0, schema->dim * sizeof *out);
    for (uint32_t f = 0; f < schema->field_count; f++) {
        const mtf_state_field *field = &schema->fields[f];
        const double value = state->values[f];
        const bool missing = isnan(value);
        float *to = out + field->at;
        switch (field->kind) {
        case MTF_STATE_NUMBER:
            *to = to_float(missing ? field->number : value);
            break;
        case MTF_STATE_FLUSH:
            *to = missing ? 0 : to_float(fmin(value, field->number) / field->number);
            break;
        case MTF_STATE_ONEHOT:
            if (!missing) to[(uint32_t)value] = 1;
            break;
        case MTF_STATE_BUCKET:
            if (!missing) to[bucket_of(schema, field, value)] = 1;
            break;
        case MTF_STATE_TOP:
            put_top(field, state->weights + field->first, to);
            break;
        case MTF_STATE_HISTORY:
            for (uint32_t i = 0; i < field->list; i++) {
                to[i] = to_float(pool(state, &state->histories[field->history],
                                      &schema->poolings[field->first + i]));
            }
            break;
        }
    }
}
