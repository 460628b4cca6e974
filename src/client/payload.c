/* The payload of a policy record: normaliser and actor as a safetensors file, names in sorted
 * order.
 *
 *   actor.<i>.bias [out]   actor.<i>.weight [out,in]   normaliser.deviation [S]   normaliser.mean
 * [S]
 *
 * x = (state - mean) / deviation, then ReLU between the layers and tanh after the last.
 *
 * A policy with an action per item says so by another format, "mtf-policy-items", which a reader
 * that knows of none refuses, and by how many of a state's last features are the item's,
 * item_features, before its predictions. */
#include "client/record.h"

#include <math.h>
#include <stdio.h>

#include "client/safetensors.h"

static const mtf_tensor_note NOTES[] = {{"activation", "relu"}, {"output", "tanh"}};
#define NOTE_COUNT   (sizeof NOTES / sizeof NOTES[0])
#define ONE_ACTION   "mtf-policy"
#define ITEM_ACTIONS "mtf-policy-items"

static void add_note(mtf_tensor_file *file, const char *name, const char *text)
{
    mtf_tensor_note *note = &file->notes[file->note_count++];
    snprintf(note->name, sizeof note->name, "%s", name);
    snprintf(note->text, sizeof note->text, "%s", text);
}

/* By name, as ever. */
static void add_notes(const mtf_policy *policy, mtf_tensor_file *file)
{
    char count[16];
    add_note(file, NOTES[0].name, NOTES[0].text);
    add_note(file, "format", policy->per_item ? ITEM_ACTIONS : ONE_ACTION);
    snprintf(count, sizeof count, "%u", policy->item_features);
    if (policy->per_item) add_note(file, "item_features", count);
    add_note(file, NOTES[1].name, NOTES[1].text);
}

/* Where each tensor of the payload lives in a policy. */
typedef struct place {
    char name[MTF_TENSOR_NAME_CHARS];
    uint32_t rank, shape[2];
    float *values;
} place;

#define PLACES_MAX (2 + 2 * MTF_POLICY_LAYERS_MAX)

_Static_assert(PLACES_MAX <= MTF_TENSORS_MAX, "a policy's tensors fit a tensor file");

static size_t place_floats(const place *at)
{
    return (size_t)at->shape[0] * at->shape[1];
}

static uint32_t list_places(const mtf_policy *policy, place places[PLACES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < policy->layer_count; i++) {
        const mtf_policy_layer *layer = &policy->layers[i];
        place *bias = &places[count++], *weight = &places[count++];
        *bias = (place){.rank = 1, .shape = {layer->outputs, 1}, .values = layer->bias};
        snprintf(bias->name, sizeof bias->name, "actor.%u.bias", i);
        *weight =
            (place){.rank = 2, .shape = {layer->outputs, layer->inputs}, .values = layer->weight};
        snprintf(weight->name, sizeof weight->name, "actor.%u.weight", i);
    }
    const uint32_t S = policy->state_dim;
    places[count++] = (place){"normaliser.deviation", 1, {S, 1}, policy->deviation};
    places[count++] = (place){"normaliser.mean", 1, {S, 1}, policy->mean};
    return count;
}

/* Why the numbers cannot be served, or NULL. */
static const char *find_fault(const mtf_policy *policy)
{
    for (size_t i = 0; i < policy->block_count; i++) {
        if (!isfinite(policy->block[i])) return "a weight or a normaliser's number is not finite";
    }
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        if (!(policy->deviation[i] > 0)) return "a normaliser's deviation is not above 0";
    }
    return NULL;
}

mtf_status mtf_policy_safetensors(const mtf_policy *policy, mtf_buf *payload, mtf_err *err)
{
    place places[PLACES_MAX];
    mtf_tensor_file file = {0};
    mtf_buf floats = {0};
    const char *fault = find_fault(policy);
    if (fault) return mtf_fail(err, MTF_INVALID, "policy %s: %s", policy->info.name, fault);
    add_notes(policy, &file);
    file.tensor_count = list_places(policy, places);
    for (uint32_t i = 0; i < file.tensor_count; i++) {
        mtf_buf_put_f32_le(&floats, places[i].values, place_floats(&places[i]));
    }
    const uint8_t *at = floats.data;
    for (uint32_t i = 0; i < file.tensor_count && !floats.failed; i++) {
        mtf_tensor *tensor = &file.tensors[i];
        *tensor = (mtf_tensor){.rank = places[i].rank, .data = {at, 4 * place_floats(&places[i])}};
        memcpy(tensor->name, places[i].name, sizeof tensor->name);
        memcpy(tensor->shape, places[i].shape, sizeof tensor->shape);
        at += tensor->data.size;
    }
    if (!floats.failed) mtf_safetensors_write(&file, payload);
    const bool failed = floats.failed || payload->failed;
    mtf_buf_fini(&floats);
    return failed ? mtf_fail(err, MTF_NOMEM, "policy %s: out of memory", policy->info.name)
                  : MTF_OK;
}

/* The widths that the tensors' shapes tell; 0 layers when they make no network. */
static uint32_t find_widths(const mtf_tensor_file *file, uint32_t widths[MTF_POLICY_LAYERS_MAX + 1])
{
    uint32_t layers = 0;
    const mtf_tensor *tensor = mtf_safetensors_find(file, "normaliser.mean");
    if (!tensor || tensor->shape[0] > MTF_POLICY_WIDTH_MAX) return 0;
    widths[0] = tensor->shape[0];
    while (layers < MTF_POLICY_LAYERS_MAX) {
        char name[MTF_TENSOR_NAME_CHARS];
        snprintf(name, sizeof name, "actor.%u.weight", layers);
        tensor = mtf_safetensors_find(file, name);
        if (!tensor) break;
        if (tensor->shape[0] > MTF_POLICY_WIDTH_MAX) return 0;
        widths[++layers] = tensor->shape[0];
    }
    return layers;
}

static mtf_status copy_tensors(mtf_policy *policy, const mtf_tensor_file *file, mtf_err *err)
{
    place places[PLACES_MAX];
    const uint32_t count = list_places(policy, places);
    if (count != file->tensor_count) {
        return mtf_fail(err, MTF_CORRUPT, "payload: %u tensors where a policy of %u layers has %u",
                        file->tensor_count, policy->layer_count, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const mtf_tensor *tensor = mtf_safetensors_find(file, places[i].name);
        if (!tensor || tensor->rank != places[i].rank || tensor->shape[0] != places[i].shape[0] ||
            tensor->shape[1] != places[i].shape[1]) {
            return mtf_fail(err, MTF_CORRUPT,
                            "payload: tensor %s is missing or not of shape [%u,%u]", places[i].name,
                            places[i].shape[0], places[i].shape[1]);
        }
        mtf_reader reader = mtf_reader_of(tensor->data);
        mtf_reader_f32_le(&reader, places[i].values, place_floats(&places[i]));
    }
    const char *fault = find_fault(policy);
    return fault ? mtf_fail(err, MTF_CORRUPT, "payload: %s", fault) : MTF_OK;
}

static mtf_status wrong_note(const char *name, const char *text, const char *known, mtf_err *err)
{
    return mtf_fail(err, MTF_CORRUPT, "payload: __metadata__ %s is %s where this build knows %s",
                    name, text ? text : "missing", known);
}

/* *per_item, *features: what the notes say. */
static mtf_status read_notes(const mtf_tensor_file *file, bool *per_item, uint32_t *features,
                             mtf_err *err)
{
    for (size_t i = 0; i < NOTE_COUNT; i++) {
        const char *text = mtf_safetensors_note(file, NOTES[i].name);
        if (!text || strcmp(text, NOTES[i].text) != 0)
            return wrong_note(NOTES[i].name, text, NOTES[i].text, err);
    }
    const char *format = mtf_safetensors_note(file, "format");
    *features = 0;
    *per_item = format && strcmp(format, ITEM_ACTIONS) == 0;
    if (!*per_item) {
        if (format && strcmp(format, ONE_ACTION) == 0) return MTF_OK;
        return wrong_note("format", format, ONE_ACTION " and " ITEM_ACTIONS, err);
    }
    const char *count = mtf_safetensors_note(file, "item_features");
    for (const char *at = count; at && *at >= '0' && *at <= '9' && at < count + 4; at++) {
        *features = *features * 10 + (uint32_t)(*at - '0');
        if (at[1] == '\0') return MTF_OK;
    }
    return wrong_note("item_features", count, "a number", err);
}

mtf_status mtf_payload_read(mtf_span payload, const mtf_action_table *table, mtf_policy **policy,
                            mtf_err *err)
{
    mtf_tensor_file file;
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1];
    *policy = NULL;
    mtf_status status = mtf_safetensors_read(payload, &file, err);
    if (status) return status;
    bool per_item = false;
    uint32_t features = 0;
    status = read_notes(&file, &per_item, &features, err);
    if (status) return status;
    const uint32_t layers = find_widths(&file, widths);
    if (layers == 0 || widths[layers] != table->count) {
        return mtf_fail(
            err, MTF_CORRUPT,
            "payload: its tensors are no network of at most %d layers, each at most %d wide, "
            "that ends in the action table's %u dimensions",
            MTF_POLICY_LAYERS_MAX, MTF_POLICY_WIDTH_MAX, table->count);
    }
    if (per_item && widths[0] < features + table->prediction_count)
        return mtf_fail(
            err, MTF_CORRUPT,
            "payload: a state of %u floats has no room for an item's %u features and %u "
            "predictions",
            widths[0], features, table->prediction_count);
    *policy = mtf_policy_new(widths, layers, table);
    if (!*policy) return mtf_fail(err, MTF_NOMEM, "payload: out of memory");
    if (per_item) mtf_policy_set_items(*policy, features);
    status = copy_tensors(*policy, &file, err);
    if (status) {
        mtf_policy_free(*policy);
        *policy = NULL;
    }
    return status;
}
