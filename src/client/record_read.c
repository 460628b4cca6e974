/* Reads the policy record from bytes that may be hostile; what passes can be served. Fields come in
 * the order of schemas/policy.avsc. */
#include "client/record.h"

#include <inttypes.h>
#include <math.h>

#include "core/avro.h"

#define TEST_VECTORS_MAX 256u /* bounds the work that a hostile record can ask for */

/* A record on its way in. `field` is where the reader is; `wrong` names the first thing that is
 * well-formed Avro and yet no policy. */
typedef struct loader {
    mtf_reader in;
    const char *field, *wrong;
    mtf_policy_info info;
    mtf_action_table table;
    uint32_t state_dim;
    mtf_span payload;
} loader;

/* Where reading goes on; where it failed stays. */
static void enter(loader *from, const char *field)
{
    if (!from->in.failed) from->field = field;
}

static void refuse(loader *from, const char *wrong)
{
    if (!from->in.failed) from->wrong = wrong;
    from->in.failed = true;
}

static void take_text(loader *from, char *text, size_t capacity)
{
    const mtf_str taken = mtf_avro_str(&from->in);
    if (from->in.failed) return;
    if (taken.size >= capacity)
        refuse(from, "the text is too long");
    else if (!mtf_record_is_text(taken))
        refuse(from, "the text is not clean UTF-8");
    else
        memcpy(text, taken.data, taken.size), text[taken.size] = '\0';
}

static uint32_t take_index(loader *from, uint32_t count)
{
    const int64_t index = mtf_avro_long(&from->in);
    if (index >= 0 && index < count) return (uint32_t)index;
    refuse(from, "the number is out of range");
    return 0;
}

static void take_symbol(loader *from, const mtf_symbols *symbols, char *text)
{
    const char *symbol = symbols->names[take_index(from, symbols->count)];
    memcpy(text, symbol, strlen(symbol) + 1);
}

/* The rest of an array whose items take at least `bytes_min`: true while another item follows;
 * *left counts down the block. */
static bool take_item(loader *from, uint64_t *left, size_t bytes_min, uint32_t have,
                      uint32_t have_max)
{
    if (*left == 0) *left = mtf_avro_block(&from->in, bytes_min);
    if (*left == 0 || from->in.failed) return false;
    if (have == have_max) refuse(from, "there are too many");
    --*left;
    return !from->in.failed;
}

/* An array of exactly `count` floats. */
static void take_floats(loader *from, float *values, uint32_t count)
{
    uint64_t have = 0, more;
    while ((more = mtf_avro_block(&from->in, 4)) > 0) {
        if (more > count - have) {
            refuse(from, "an array is too long");
            return;
        }
        mtf_reader_f32_le(&from->in, values + have, (size_t)more);
        have += more;
    }
    if (have != count) refuse(from, "an array is too short");
}

static void take_table(loader *from)
{
    mtf_action_table *table = &from->table;
    uint64_t left = 0;
    enter(from, "actions");
    while (take_item(from, &left, 11, table->count, MTF_POLICY_ACTIONS_MAX)) {
        mtf_action_dim *dim = &table->dims[table->count++];
        take_text(from, dim->prediction, sizeof dim->prediction);
        dim->bias = take_index(from, 2) == 1;
        dim->prediction_index = take_index(from, MTF_POLICY_ACTIONS_MAX);
        dim->low = mtf_avro_float(&from->in);
        dim->high = mtf_avro_float(&from->in);
        if (table->prediction_count <= dim->prediction_index)
            table->prediction_count = dim->prediction_index + 1;
    }
    const char *fault = from->in.failed ? NULL : mtf_record_table_fault(table);
    if (fault) refuse(from, fault);
    enter(from, "prediction_names");
    uint32_t count = 0;
    while (take_item(from, &left, 1, count, table->prediction_count)) {
        char name[sizeof table->dims[0].prediction];
        take_text(from, name, sizeof name);
        if (!from->in.failed && strcmp(name, mtf_record_prediction(table, count)) != 0) {
            refuse(from, "a name is not the actions' name");
        }
        count++;
    }
    if (count != table->prediction_count) refuse(from, "they are not the actions' predictions");
}

/* training_offsets .. metrics */
static void take_origin(loader *from)
{
    mtf_policy_info *info = &from->info;
    uint64_t left = 0;
    enter(from, "training_offsets");
    while (take_item(from, &left, 2, info->offset_count, MTF_POLICY_OFFSETS_MAX)) {
        mtf_policy_offset *offset = &info->offsets[info->offset_count++];
        offset->partition = (int32_t)take_index(from, INT32_MAX);
        offset->offset = mtf_avro_long(&from->in);
    }
    enter(from, "parent_checkpoint");
    take_text(from, info->parent_checkpoint, sizeof info->parent_checkpoint);
    enter(from, "metrics");
    while (take_item(from, &left, 9, info->number_count, MTF_POLICY_NUMBERS_MAX)) {
        mtf_policy_number *number = &info->numbers[info->number_count++];
        take_text(from, number->name, sizeof number->name);
        number->value = mtf_avro_double(&from->in);
    }
}

/* name .. reason */
static void take_info(loader *from)
{
    mtf_policy_info *info = &from->info;
    enter(from, "name");
    take_text(from, info->name, sizeof info->name);
    enter(from, "version");
    info->version = mtf_avro_long(&from->in);
    enter(from, "parent");
    info->parent = mtf_avro_long(&from->in);
    enter(from, "stage");
    take_symbol(from, &mtf_policy_stages, info->stage);
    enter(from, "round");
    info->round = mtf_avro_long(&from->in);
    enter(from, "algorithm");
    take_text(from, info->algorithm, sizeof info->algorithm);
    enter(from, "created_ms");
    info->created_ms = mtf_avro_long(&from->in);
    enter(from, "state_dim");
    from->state_dim = take_index(from, MTF_POLICY_WIDTH_MAX + 1);
    enter(from, "state_schema_hash");
    take_text(from, info->state_schema, sizeof info->state_schema);
    take_table(from);
    enter(from, "box");
    info->box = mtf_avro_float(&from->in);
    take_origin(from);
    enter(from, "verdict");
    take_symbol(from, &mtf_policy_verdicts, info->verdict);
    enter(from, "reason");
    take_text(from, info->reason, sizeof info->reason);
}

/* null is the empty span. */
static mtf_span take_optional_bytes(loader *from, const char *field)
{
    enter(from, field);
    return take_index(from, 2) == 1 ? mtf_avro_bytes(&from->in) : (mtf_span){0};
}

static mtf_status check_payload(loader *from, uint8_t digest[32], mtf_err *err)
{
    char format[sizeof MTF_POLICY_FORMAT] = "";
    enter(from, "format");
    take_text(from, format, sizeof format);
    if (strcmp(format, MTF_POLICY_FORMAT) != 0) refuse(from, "this build reads safetensors only");
    enter(from, "payload");
    from->payload = mtf_avro_bytes(&from->in);
    take_optional_bytes(from, "onnx"); /* this build has no use for it */
    enter(from, "sha256");
    const uint8_t *written = mtf_reader_take(&from->in, 32);
    if (from->in.failed) return MTF_OK; /* reported by the caller, as all of the reader's */
    if (!mtf_record_sha256(from->payload, digest))
        return mtf_fail(err, MTF_NOMEM, "policy record: sha256 failed");
    if (memcmp(written, digest, 32) != 0) refuse(from, "it is not the payload's");
    return MTF_OK;
}

static void check_test_vectors(loader *from, const mtf_policy *policy)
{
    float state[MTF_POLICY_WIDTH_MAX], given[MTF_POLICY_ACTIONS_MAX], ours[MTF_POLICY_ACTIONS_MAX];
    uint64_t left = 0;
    uint32_t count = 0;
    enter(from, "test_vectors");
    while (take_item(from, &left, 2, count, TEST_VECTORS_MAX)) {
        take_floats(from, state, policy->state_dim);
        take_floats(from, given, policy->action_dim);
        if (from->in.failed) return;
        mtf_policy_act(policy, state, ours);
        for (uint32_t d = 0; d < policy->action_dim; d++) {
            if (!(fabs((double)given[d] - ours[d]) <= MTF_POLICY_TOLERANCE)) {
                refuse(from, "the network does not reproduce one");
            }
        }
        count++;
    }
    if (count < MTF_POLICY_TEST_VECTORS) refuse(from, "there are too few");
}

/* What the record says that the state means, if it is no schema, is what the payload takes. */
static void check_meaning(loader *from, mtf_policy *policy)
{
    char *given = policy->info.state_schema, own[17], plain[17];
    const mtf_policy one = {.state_dim = policy->state_dim};
    mtf_state_schema_hash(policy, own);
    mtf_state_schema_hash(&one, plain);
    enter(from, "state_dim");
    if (policy->state_dim != from->state_dim) refuse(from, "the payload takes another state_dim");
    enter(from, "state_schema_hash");
    if (strcmp(given, own) == 0)
        memset(given, 0, sizeof policy->info.state_schema);
    else if (strcmp(given, plain) == 0)
        refuse(from, "the payload has an action per item, such a state one for all");
}

static mtf_status fail_at(const loader *from, mtf_err *err)
{
    return mtf_fail(err, MTF_CORRUPT, "policy record %s version %" PRId64 ", field %s: %s",
                    from->info.name[0] ? from->info.name : "?", from->info.version, from->field,
                    from->wrong ? from->wrong : "bytes are missing or malformed");
}

mtf_status mtf_policy_decode(mtf_span record, mtf_policy **policy, mtf_err *err)
{
    uint64_t fingerprint;
    uint8_t digest[32];
    loader from = {.in = mtf_reader_of(record), .field = "frame"};
    *policy = NULL;
    if (!mtf_avro_frame(&from.in, &fingerprint) || fingerprint != MTF_POLICY_FINGERPRINT) {
        return mtf_fail(err, MTF_CORRUPT,
                        "policy record: it is no single-object message of schema %016" PRIx64
                        ", which this build reads",
                        MTF_POLICY_FINGERPRINT);
    }
    take_info(&from);
    mtf_status status = check_payload(&from, digest, err);
    if (!status && from.in.failed) status = fail_at(&from, err);
    if (!status) status = mtf_payload_read(from.payload, &from.table, policy, err);
    if (status) return status;
    (*policy)->info = from.info;
    memcpy((*policy)->sha256, digest, sizeof digest);
    const char *fault = mtf_record_fault(*policy);
    if (fault) refuse(&from, fault);
    check_meaning(&from, *policy);
    check_test_vectors(&from, *policy);
    const mtf_span signature = take_optional_bytes(&from, "signature");
    (*policy)->is_signed = signature.size == MTF_POLICY_SIGNATURE_BYTES;
    if ((*policy)->is_signed)
        memcpy((*policy)->signature, signature.data, MTF_POLICY_SIGNATURE_BYTES);
    if (mtf_reader_left(&from.in) != 0) refuse(&from, "bytes follow the record");
    if (from.in.failed) {
        status = fail_at(&from, err);
        mtf_policy_free(*policy);
        *policy = NULL;
    }
    return status;
}
