#include "publish/policy_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "publish/publish.h"

static void format_time(int64_t ms, char text[32])
{
    struct tm tm;
    const time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &tm) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *actions_to_json(const mtf_action_table *table)
{
    json_t *actions = json_array();
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        json_array_append_new(actions,
                              json_pack("{s:s, s:s, s:i, s:f, s:f}", "prediction", dim->prediction,
                                        "kind", dim->bias ? "bias" : "pow", "prediction_index",
                                        (int)dim->prediction_index, "low", (double)dim->low, "high",
                                        (double)dim->high));
    }
    return actions;
}

static json_t *layers_to_json(const mtf_policy *policy)
{
    json_t *layers = json_array();
    json_array_append_new(layers, json_integer(policy->state_dim));
    for (uint32_t i = 0; i < policy->layer_count; i++) {
        json_array_append_new(layers, json_integer(policy->layers[i].outputs));
    }
    return layers;
}

static json_t *offsets_to_json(const mtf_policy_info *info)
{
    json_t *offsets = json_array();
    for (uint32_t i = 0; i < info->offset_count; i++) {
        json_array_append_new(offsets,
                              json_pack("{s:i, s:I}", "partition", (int)info->offsets[i].partition,
                                        "offset", (json_int_t)info->offsets[i].offset));
    }
    return offsets;
}

static json_t *numbers_to_json(const mtf_policy_info *info)
{
    json_t *numbers = json_object();
    for (uint32_t i = 0; i < info->number_count; i++) {
        json_object_set_new(numbers, info->numbers[i].name, real_or_null(info->numbers[i].value));
    }
    return numbers;
}

mtf_status mtf_policy_to_json(const mtf_policy *policy, mtf_buf *out, mtf_err *err)
{
    const mtf_policy_info *info = &policy->info;
    char key[MTF_POLICY_KEY_CHARS], created[32], sha256[65];
    mtf_policy_key(info, key);
    format_time(info->created_ms, created);
    mtf_hex(sha256, policy->sha256, sizeof policy->sha256);
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:I, s:s, s:f, s:s, s:s, s:s, s:s, s:i, "
                  "s:s, s:b, s:b, s:i, s:o, s:o, s:o, s:o}",
                  "key", key, "name", info->name, "version", (json_int_t)info->version, "parent",
                  (json_int_t)info->parent, "stage", info->stage, "round", (json_int_t)info->round,
                  "algorithm", info->algorithm, "created_ms", (json_int_t)info->created_ms,
                  "created", created, "box", (double)info->box, "verdict", info->verdict, "reason",
                  info->reason, "parent_checkpoint", info->parent_checkpoint, "sha256", sha256,
                  "state_dim", (int)policy->state_dim, "state_schema", info->state_schema, "signed",
                  (int)policy->is_signed, "per_item", (int)policy->per_item, "item_features",
                  (int)policy->item_features, "layers", layers_to_json(policy), "actions",
                  actions_to_json(&policy->table), "training_offsets", offsets_to_json(info),
                  "metrics", numbers_to_json(info));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) mtf_buf_put(out, text, strlen(text));
    const bool failed = !text || out->failed;
    free(text);
    json_decref(json);
    return failed ? mtf_fail(err, MTF_NOMEM, "policy %s: out of memory for its JSON", info->name)
                  : MTF_OK;
}

void mtf_policy_list_head(mtf_buf *out)
{
    mtf_buf_printf(out, "%-24s %7s %7s %5s %-8s %6s %-20s %s\n", "KEY", "VERSION", "PARENT",
                   "ROUND", "VERDICT", "BOX", "CREATED", "REASON");
}

void mtf_policy_list_line(const mtf_policy *policy, mtf_buf *out)
{
    const mtf_policy_info *info = &policy->info;
    char key[MTF_POLICY_KEY_CHARS], created[32];
    mtf_policy_key(info, key);
    format_time(info->created_ms, created);
    mtf_buf_printf(out, "%-24s %7" PRId64 " %7" PRId64 " %5" PRId64 " %-8s %6.3f %-20s %s\n", key,
                   info->version, info->parent, info->round, info->verdict, (double)info->box,
                   created, info->reason);
}

void mtf_policy_to_text(const mtf_policy *policy, mtf_buf *out)
{
    const mtf_policy_info *info = &policy->info;
    char created[32], sha256[65];
    format_time(info->created_ms, created);
    mtf_hex(sha256, policy->sha256, sizeof policy->sha256);
    mtf_buf_printf(out, "name               %s\nstage              %s\n", info->name, info->stage);
    mtf_buf_printf(out, "version            %" PRId64 "\nparent             %" PRId64 "\n",
                   info->version, info->parent);
    mtf_buf_printf(out, "round              %" PRId64 "\nalgorithm          %s\n", info->round,
                   info->algorithm);
    mtf_buf_printf(out, "created            %s\nbox                %g\n", created,
                   (double)info->box);
    mtf_buf_printf(out, "verdict            %s\nreason             %s\n", info->verdict,
                   info->reason);
    mtf_buf_printf(out, "parent checkpoint  %s\nsha256             %s\n", info->parent_checkpoint,
                   sha256);
    mtf_buf_printf(out, "signed             %s\n", policy->is_signed ? "yes" : "no");
    mtf_buf_printf(out, "state schema       %s\n",
                   info->state_schema[0] ? info->state_schema : "any floats");
    if (policy->per_item)
        mtf_buf_printf(out, "action per item    user %u, item %u, predictions %u\n",
                       mtf_policy_user_dim(policy), policy->item_features,
                       policy->table.prediction_count);
    mtf_buf_printf(out, "layers             %u", policy->state_dim);
    for (uint32_t i = 0; i < policy->layer_count; i++)
        mtf_buf_printf(out, "-%u", policy->layers[i].outputs);
    mtf_buf_printf(out, "\n");
    for (uint32_t d = 0; d < policy->table.count; d++) {
        const mtf_action_dim *dim = &policy->table.dims[d];
        mtf_buf_printf(out, "action %-11u %s.%s %g..%g\n", d, dim->prediction,
                       dim->bias ? "bias" : "pow", (double)dim->low, (double)dim->high);
    }
    for (uint32_t i = 0; i < info->offset_count; i++) {
        mtf_buf_printf(out, "trained before     partition %" PRId32 " offset %" PRId64 "\n",
                       info->offsets[i].partition, info->offsets[i].offset);
    }
    for (uint32_t i = 0; i < info->number_count; i++) {
        mtf_buf_printf(out, "%-30s %.6g\n", info->numbers[i].name, info->numbers[i].value);
    }
}
