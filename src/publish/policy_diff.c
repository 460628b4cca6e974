#include "publish/policy_diff.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/rng.h"

#define STATE_STREAM 0x64696666 /* of the states that both are asked at */

/* -- what the networks do ---------------------------------------- */

static bool same_table(const mtf_action_table *a, const mtf_action_table *b)
{
    bool same = a->count == b->count;
    for (uint32_t d = 0; same && d < a->count; d++) {
        const mtf_action_dim *x = &a->dims[d], *y = &b->dims[d];
        same = strcmp(x->prediction, y->prediction) == 0 && x->bias == y->bias &&
               x->low == y->low && x->high == y->high;
    }
    return same;
}

/* Who names no schema takes any floats. */
static bool same_states(const mtf_policy *a, const mtf_policy *b)
{
    const char *x = a->info.state_schema, *y = b->info.state_schema;
    return a->state_dim == b->state_dim && (!x[0] || !y[0] || strcmp(x, y) == 0);
}

bool mtf_policy_same_shape(const mtf_policy *a, const mtf_policy *b)
{
    return same_states(a, b) && a->per_item == b->per_item &&
           a->item_features == b->item_features && same_table(&a->table, &b->table);
}

static bool same_network(const mtf_policy *a, const mtf_policy *b)
{
    bool same = a->layer_count == b->layer_count && a->block_count == b->block_count;
    for (uint32_t i = 0; same && i < a->layer_count; i++)
        same = a->layers[i].outputs == b->layers[i].outputs;
    return same && memcmp(a->block, b->block, a->block_count * sizeof *a->block) == 0;
}

/** Adds what the two do at one state (S); action (2A) is for work. */
static void compare_at(const float *state, float *action, mtf_policy_diff *diff)
{
    const uint32_t A = diff->to->action_dim;
    mtf_policy_act(diff->from, state, action);
    mtf_policy_act(diff->to, state, action + A);
    for (uint32_t d = 0; d < A; d++) {
        const double move = (double)action[A + d] - (double)action[d];
        diff->move[d] += move / MTF_POLICY_DIFF_STATES;
        diff->distance[d] += fabs(move) / MTF_POLICY_DIFF_STATES;
        if (fabs(move) > (double)diff->from->info.box)
            diff->outside += 1.0 / ((double)A * MTF_POLICY_DIFF_STATES);
    }
}

mtf_status mtf_policy_diff_make(const mtf_policy *from, const mtf_policy *to, mtf_policy_diff *diff,
                                mtf_err *err)
{
    *diff = (mtf_policy_diff){.from = from, .to = to};
    diff->comparable = mtf_policy_same_shape(from, to);
    if (!diff->comparable) return MTF_OK;
    diff->same_network = same_network(from, to);
    const uint32_t S = to->state_dim;
    float *state = malloc((S + 2 * (size_t)to->action_dim) * sizeof *state);
    if (!state) return mtf_fail(err, MTF_NOMEM, "out of memory comparing policies");
    for (uint64_t n = 0; n < MTF_POLICY_DIFF_STATES; n++) {
        mtf_rng rng = mtf_rng_of(STATE_STREAM, n);
        for (uint32_t k = 0; k < S; k++)
            state[k] = to->mean[k] + to->deviation[k] * (float)mtf_rng_normal(&rng);
        compare_at(state, state + S, diff);
    }
    free(state);
    return MTF_OK;
}

/* -- words and numbers of the records ---------------------------- */

/** A line of the record that is text, or an integer where text is NULL. */
typedef struct field {
    const char *name, *text;
    int64_t integer;
} field;

#define FIELDS 10

static void fields_of(const mtf_policy *policy, field fields[FIELDS])
{
    const mtf_policy_info *info = &policy->info;
    const field all[FIELDS] = {
        {"name", info->name, 0},
        {"version", NULL, info->version},
        {"parent", NULL, info->parent},
        {"stage", info->stage, 0},
        {"round", NULL, info->round},
        {"algorithm", info->algorithm, 0},
        {"verdict", info->verdict, 0},
        {"reason", info->reason, 0},
        {"state_dim", NULL, policy->state_dim},
        {"action_dim", NULL, policy->action_dim},
    };
    memcpy(fields, all, sizeof all);
}

static bool same_field(const field *a, const field *b)
{
    return a->text ? strcmp(a->text, b->text) == 0 : a->integer == b->integer;
}

/** Equal, or neither is known. */
static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/** Calls fn with every number that differs: those of `to` in its order, then what only `from` has.
 */
static void each_number(const mtf_policy_diff *diff,
                        void (*fn)(void *arg, const char *name, double from, double to), void *arg)
{
    const mtf_policy_info *from = &diff->from->info, *to = &diff->to->info;
    if (from->box != to->box) fn(arg, "box", (double)from->box, (double)to->box);
    for (uint32_t i = 0; i < to->number_count; i++) {
        const double before = mtf_policy_get_number(from, to->numbers[i].name);
        if (!same_number(before, to->numbers[i].value))
            fn(arg, to->numbers[i].name, before, to->numbers[i].value);
    }
    for (uint32_t i = 0; i < from->number_count; i++) {
        const double after = mtf_policy_get_number(to, from->numbers[i].name);
        if (isnan(after) && !isnan(from->numbers[i].value))
            fn(arg, from->numbers[i].name, from->numbers[i].value, after);
    }
}

/* -- for people -------------------------------------------------- */

static void put_field(mtf_buf *out, const field *of)
{
    if (of->text)
        mtf_buf_printf(out, "%s", of->text[0] ? of->text : "-");
    else
        mtf_buf_printf(out, "%" PRId64, of->integer);
}

static void put_number(mtf_buf *out, double value)
{
    if (isnan(value))
        mtf_buf_printf(out, "-");
    else
        mtf_buf_printf(out, "%.6g", value);
}

static void number_line(void *arg, const char *name, double from, double to)
{
    mtf_buf *out = arg;
    mtf_buf_printf(out, "%-30s ", name);
    put_number(out, from);
    mtf_buf_printf(out, " -> ");
    put_number(out, to);
    mtf_buf_put_u8(out, '\n');
}

static void action_lines(const mtf_policy_diff *diff, mtf_buf *out)
{
    if (!diff->comparable) {
        mtf_buf_printf(out, "the state or the action table differs: what they do cannot be "
                            "compared\n");
        return;
    }
    if (diff->same_network) {
        mtf_buf_printf(out, "the network is the same\n");
        return;
    }
    for (uint32_t d = 0; d < diff->to->action_dim; d++) {
        const mtf_action_dim *dim = &diff->to->table.dims[d];
        mtf_buf_printf(out, "action %-3u %s.%s moves by %+.4f on the whole, %.4f at a state\n", d,
                       dim->prediction, dim->bias ? "bias" : "pow", diff->move[d],
                       diff->distance[d]);
    }
    mtf_buf_printf(out, "outside the older one's box %.2f %%\n", 100 * diff->outside);
}

void mtf_policy_diff_text(const mtf_policy_diff *diff, mtf_buf *out)
{
    field from[FIELDS], to[FIELDS];
    fields_of(diff->from, from);
    fields_of(diff->to, to);
    for (size_t i = 0; i < FIELDS; i++) {
        if (same_field(&from[i], &to[i])) continue;
        mtf_buf_printf(out, "%-30s ", to[i].name);
        put_field(out, &from[i]);
        mtf_buf_printf(out, " -> ");
        put_field(out, &to[i]);
        mtf_buf_put_u8(out, '\n');
    }
    each_number(diff, number_line, out);
    action_lines(diff, out);
}

/* -- for programs ------------------------------------------------ */

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *field_json(const field *of)
{
    return of->text ? json_string(of->text) : json_integer((json_int_t)of->integer);
}

static void number_json(void *arg, const char *name, double from, double to)
{
    json_object_set_new(arg, name, json_pack("[o,o]", real_or_null(from), real_or_null(to)));
}

static json_t *actions_json(const mtf_policy_diff *diff)
{
    if (!diff->comparable) return json_null();
    json_t *actions = json_array();
    for (uint32_t d = 0; d < diff->to->action_dim; d++) {
        const mtf_action_dim *dim = &diff->to->table.dims[d];
        json_array_append_new(actions,
                              json_pack("{s:s, s:s, s:f, s:f}", "prediction", dim->prediction,
                                        "kind", dim->bias ? "bias" : "pow", "move", diff->move[d],
                                        "distance", diff->distance[d]));
    }
    return actions;
}

mtf_status mtf_policy_diff_json(const mtf_policy_diff *diff, mtf_buf *out, mtf_err *err)
{
    field from[FIELDS], to[FIELDS];
    json_t *fields = json_object(), *numbers = json_object();
    fields_of(diff->from, from);
    fields_of(diff->to, to);
    for (size_t i = 0; i < FIELDS; i++) {
        if (!same_field(&from[i], &to[i]))
            json_object_set_new(fields, to[i].name,
                                json_pack("[o,o]", field_json(&from[i]), field_json(&to[i])));
    }
    each_number(diff, number_json, numbers);
    json_t *json = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "from", (json_int_t)diff->from->info.version, "to",
        (json_int_t)diff->to->info.version, "fields", fields, "metrics", numbers, "same_network",
        diff->comparable ? json_boolean(diff->same_network) : json_null(), "actions",
        actions_json(diff), "outside", diff->comparable ? json_real(diff->outside) : json_null());
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) mtf_buf_put(out, text, strlen(text));
    const bool failed = !text || out->failed;
    free(text);
    json_decref(json);
    return failed ? mtf_fail(err, MTF_NOMEM, "out of memory comparing policies") : MTF_OK;
}
