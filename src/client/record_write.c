/* Writes the policy record: schemas/policy.avsc as an Avro single-object message, by hand, in the
 * order of the schema's fields. */
#include "client/record.h"

#include <inttypes.h>

#include "core/avro.h"

/* A record on its way out; `wrong` names the first thing that no record may say. */
typedef struct writer {
    mtf_buf *out;
    const char *wrong;
} writer;

static void put_text(writer *to, const char *text, const char *wrong)
{
    if (!mtf_record_is_text(mtf_str_of(text)) && !to->wrong) to->wrong = wrong;
    mtf_avro_put_str(to->out, mtf_str_of(text));
}

static void put_symbol(writer *to, const char *text, const mtf_symbols *symbols, const char *wrong)
{
    uint32_t index = 0;
    while (index < symbols->count && strcmp(symbols->names[index], text) != 0) index++;
    if (index == symbols->count && !to->wrong) to->wrong = wrong;
    mtf_avro_put_long(to->out, index);
}

/* The count that opens an array's only block; an empty one has just its end. */
static void put_count(mtf_buf *out, uint32_t count)
{
    if (count) mtf_avro_put_long(out, count);
}

static void put_table(writer *to, const mtf_action_table *table)
{
    put_count(to->out, table->count);
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        put_text(to, dim->prediction, "a prediction's name is not text");
        mtf_avro_put_long(to->out, dim->bias);
        mtf_avro_put_long(to->out, dim->prediction_index);
        mtf_avro_put_float(to->out, dim->low);
        mtf_avro_put_float(to->out, dim->high);
    }
    mtf_avro_put_long(to->out, 0);
    put_count(to->out, table->prediction_count);
    for (uint32_t p = 0; p < table->prediction_count; p++) {
        put_text(to, mtf_record_prediction(table, p), "a prediction's name is not text");
    }
    mtf_avro_put_long(to->out, 0);
}

/* name .. reason, the fields before the payload. */
static void put_info(writer *to, const mtf_policy *policy)
{
    const mtf_policy_info *info = &policy->info;
    mtf_buf *out = to->out;
    char hash[17];
    mtf_state_schema_hash(policy, hash);
    if (info->state_schema[0]) memcpy(hash, info->state_schema, sizeof hash);
    put_text(to, info->name, "the name is not text");
    mtf_avro_put_long(out, info->version);
    mtf_avro_put_long(out, info->parent);
    put_symbol(to, info->stage, &mtf_policy_stages, "the stage is not live, canary or shadow");
    mtf_avro_put_long(out, info->round);
    put_text(to, info->algorithm, "the algorithm is not text");
    mtf_avro_put_long(out, info->created_ms);
    mtf_avro_put_long(out, policy->state_dim);
    put_text(to, hash, "the state schema's hash is not text");
    put_table(to, &policy->table);
    mtf_avro_put_float(out, info->box);
    put_count(out, info->offset_count);
    for (uint32_t i = 0; i < info->offset_count; i++) {
        mtf_avro_put_long(out, info->offsets[i].partition);
        mtf_avro_put_long(out, info->offsets[i].offset);
    }
    mtf_avro_put_long(out, 0);
    put_text(to, info->parent_checkpoint, "the parent checkpoint is not text");
    put_count(out, info->number_count);
    for (uint32_t i = 0; i < info->number_count; i++) {
        put_text(to, info->numbers[i].name, "a number's name is not text");
        mtf_avro_put_double(out, info->numbers[i].value);
    }
    mtf_avro_put_long(out, 0);
    put_symbol(to, info->verdict, &mtf_policy_verdicts,
               "the verdict is not promote, canary, hold or reject");
    put_text(to, info->reason, "the reason is not text");
}

static void put_test_vectors(mtf_buf *out, const mtf_policy *policy)
{
    float state[MTF_POLICY_WIDTH_MAX], action[MTF_POLICY_ACTIONS_MAX];
    put_count(out, MTF_POLICY_TEST_VECTORS);
    for (uint32_t i = 0; i < MTF_POLICY_TEST_VECTORS; i++) {
        mtf_test_vector_make(policy, i, state, action);
        mtf_avro_put_floats(out, (mtf_floats){state, policy->state_dim});
        mtf_avro_put_floats(out, (mtf_floats){action, policy->action_dim});
    }
    mtf_avro_put_long(out, 0);
}

mtf_status mtf_policy_encode(const mtf_policy *policy, mtf_buf *record, mtf_err *err)
{
    const size_t start = record->size;
    mtf_buf payload = {0};
    uint8_t digest[32];
    writer to = {record, mtf_record_fault(policy)};
    mtf_status status = mtf_policy_safetensors(policy, &payload, err);
    if (status || to.wrong) goto done;
    mtf_avro_put_frame(record, MTF_POLICY_FINGERPRINT);
    put_info(&to, policy);
    mtf_avro_put_str(record, mtf_str_of(MTF_POLICY_FORMAT));
    mtf_avro_put_bytes(record, payload.data, payload.size);
    mtf_avro_put_long(record, 0); /* onnx: null */
    if (!mtf_record_sha256(mtf_buf_span(&payload), digest)) record->failed = true;
    mtf_buf_put(record, digest, sizeof digest);
    put_test_vectors(record, policy);
    mtf_avro_put_long(record, 0); /* signature: null */
done:
    if (!status && to.wrong) {
        status = mtf_fail(err, MTF_INVALID, "policy %s version %" PRId64 ": %s", policy->info.name,
                          policy->info.version, to.wrong);
    } else if (!status && record->failed) {
        status = mtf_fail(err, MTF_NOMEM, "policy %s: out of memory", policy->info.name);
    } else if (!status && record->size - start > MTF_POLICY_RECORD_BYTES_MAX) {
        status = mtf_fail(
            err, MTF_INVALID,
            "policy %s: its record takes %zu bytes, more than the %d a broker surely takes; "
            "make the actor's layers narrower",
            policy->info.name, record->size - start, MTF_POLICY_RECORD_BYTES_MAX);
    }
    if (status) record->size = start;
    mtf_buf_fini(&payload);
    return status;
}
