/** Goal: a policy record carries a policy whole, is the schema's, and anything else is refused.
 *  Method: round trips; the schema file read anew; every cut, every flipped bit, and policies and
 *  records each wrong in one way. check_policy.py is the same from outside. */
#include "support/mtf_test.h"

#include <jansson.h>

#include "client/record.h"
#include "client/safetensors.h"
#include "client/sample_policy.h"
#include "core/avro.h"

static void encode(const mtf_policy *policy, mtf_buf *record)
{
    mtf_err err = {0};
    mtf_buf_clear(record);
    mtf_assert_ok(mtf_policy_encode(policy, record, &err), &err);
}

static mtf_policy *decode(const mtf_buf *record)
{
    mtf_err err = {0};
    mtf_policy *policy;
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(record), &policy, &err), &err);
    return policy;
}

static void a_record_carries_the_policy_whole(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_policy *policy = sample_policy(1, 64, 32);
    encode(policy, &record);
    mtf_policy *back = decode(&record);
    assert_int_equal(back->block_count, policy->block_count);
    assert_memory_equal(back->block, policy->block, policy->block_count * sizeof(float));
    assert_memory_equal(&back->table, &policy->table, sizeof policy->table);
    assert_memory_equal(&back->info, &policy->info, sizeof policy->info);
    assert_int_equal(back->layer_count, 3);
    mtf_policy_free(policy);
    mtf_policy_free(back);
    mtf_buf_fini(&record);
}

static void exporting_again_gives_the_same_bytes(void **state)
{
    (void)state;
    mtf_buf first = {0}, second = {0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        mtf_policy *policy = sample_policy(seed, 5 + (uint32_t)seed, 12);
        encode(policy, &first);
        mtf_policy *back = decode(&first), *copy = mtf_policy_clone(back);
        encode(copy, &second);
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        mtf_policy_free(policy);
        mtf_policy_free(back);
        mtf_policy_free(copy);
    }
    mtf_buf_fini(&first);
    mtf_buf_fini(&second);
}

static void a_number_that_was_not_measured_stays_nan(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_policy *policy = sample_policy(1, 3, 4);
    mtf_policy_set_number(&policy->info, "value_z", NAN);
    encode(policy, &record);
    mtf_policy *back = decode(&record);
    assert_int_equal(back->info.number_count, 3);
    assert_true(isnan(back->info.numbers[2].value));
    mtf_policy_free(policy);
    mtf_policy_free(back);
    mtf_buf_fini(&record);
}

/* Avro's Parsing Canonical Form: of each schema only name (full), type, fields, symbols, items,
 * size, in this order, without blanks. policy.avsc has one namespace, mtf. */
static void put_canonical(mtf_buf *out, const json_t *schema)
{
    size_t index;
    json_t *part;
    if (json_is_string(schema)) {
        mtf_buf_printf(out, "\"%s\"", json_string_value(schema));
    } else if (json_is_array(schema)) {
        mtf_buf_printf(out, "[");
        json_array_foreach(schema, index, part)
        {
            if (index) mtf_buf_printf(out, ",");
            put_canonical(out, part);
        }
        mtf_buf_printf(out, "]");
    } else {
        const json_t *type = json_object_get(schema, "type");
        const bool named = json_object_get(schema, "name") && !json_is_object(type);
        mtf_buf_printf(out, "{");
        if (named)
            mtf_buf_printf(out, "\"name\":\"mtf.%s\",",
                           json_string_value(json_object_get(schema, "name")));
        mtf_buf_printf(out, "\"type\":");
        put_canonical(out, type);
        static const char *const rest[] = {"fields", "symbols", "items"};
        for (size_t i = 0; i < 3; i++) {
            const json_t *value = json_object_get(schema, rest[i]);
            if (!value) continue;
            mtf_buf_printf(out, ",\"%s\":", rest[i]);
            if (i > 0) {
                put_canonical(out, value);
                continue;
            }
            json_array_foreach(value, index, part)
            {
                mtf_buf_printf(out, "%s{\"name\":\"%s\",\"type\":", index ? "," : "[",
                               json_string_value(json_object_get(part, "name")));
                put_canonical(out, json_object_get(part, "type"));
                mtf_buf_printf(out, "}");
            }
            mtf_buf_printf(out, "]");
        }
        const json_t *size = json_object_get(schema, "size");
        if (size) mtf_buf_printf(out, ",\"size\":%d", (int)json_integer_value(size));
        mtf_buf_printf(out, "}");
    }
}

static void the_fingerprint_is_the_schema_files(void **state)
{
    (void)state;
    json_error_t error;
    mtf_buf canonical = {0}, record = {0};
    json_t *schema = json_load_file(MTF_SOURCE_DIR "/schemas/policy.avsc", 0, &error);
    if (!schema) fail_msg("schemas/policy.avsc line %d: %s", error.line, error.text);
    put_canonical(&canonical, schema);
    assert_true(mtf_avro_crc64(canonical.data, canonical.size) == MTF_POLICY_FINGERPRINT);
    mtf_policy *policy = sample_policy(1, 3, 4);
    encode(policy, &record);
    assert_true(mtf_load_u64_le(record.data + 2) == MTF_POLICY_FINGERPRINT);
    mtf_policy_free(policy);
    mtf_buf_fini(&canonical);
    mtf_buf_fini(&record);
    json_decref(schema);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_policy *policy = sample_policy(2, 3, 4), *back;
    encode(policy, &record);
    for (size_t size = 0; size < record.size; size++) {
        mtf_err err = {0};
        uint8_t *copy =
            malloc(size ? size : 1); /* its own block, so that a sanitizer sees a byte too far */
        memcpy(copy, record.data, size);
        assert_int_equal(mtf_policy_decode((mtf_span){copy, size}, &back, &err), MTF_CORRUPT);
        assert_null(back);
        assert_true(err.msg[0] != '\0');
        free(copy);
    }
    mtf_buf_put_u8(&record, 0);
    assert_int_equal(mtf_policy_decode(mtf_buf_span(&record), &back, NULL), MTF_CORRUPT);
    mtf_policy_free(policy);
    mtf_buf_fini(&record);
}

/* A flipped bit in a text, a number or the low bits of a test vector is another good record; what
 * passes must be whole, act within the range and go out again. */
static void a_flipped_bit_never_makes_an_unservable_policy(void **state)
{
    (void)state;
    mtf_buf record = {0}, again = {0};
    mtf_policy *policy = sample_policy(2, 3, 4), *back;
    encode(policy, &record);
    mtf_policy_safetensors(policy, &again, NULL) == MTF_OK ? (void)0 : fail();
    const uint8_t *payload = NULL;
    for (size_t i = 0; !payload; i++) {
        if (memcmp(record.data + i, again.data, again.size) == 0) payload = record.data + i;
    }
    const size_t payload_bytes = again.size;
    unsigned refused = 0;
    for (size_t bit = 0; bit < 8 * record.size; bit++) {
        uint8_t *byte = &record.data[bit / 8];
        *byte ^= (uint8_t)(1U << bit % 8);
        const mtf_status status = mtf_policy_decode(mtf_buf_span(&record), &back, NULL);
        if (status) {
            assert_int_equal(status, MTF_CORRUPT);
            refused++;
        } else {
            assert_false(byte >= payload && byte < payload + payload_bytes);
            mtf_buf_clear(&again);
            mtf_assert_ok(mtf_policy_encode(back, &again, NULL), NULL);
            mtf_policy_free(back);
        }
        *byte ^= (uint8_t)(1U << bit % 8);
    }
    assert_true(refused > 8 * (payload_bytes + 32 + 10));
    mtf_policy_free(policy);
    mtf_buf_fini(&record);
    mtf_buf_fini(&again);
}

typedef void (*spoil_fn)(mtf_policy *policy);

static void spoil_weight(mtf_policy *policy)
{
    policy->layers[1].weight[2] = NAN;
}
static void spoil_bias(mtf_policy *policy)
{
    policy->layers[2].bias[0] = INFINITY;
}
static void spoil_deviation(mtf_policy *policy)
{
    policy->deviation[0] = 0;
}
static void spoil_name(mtf_policy *policy)
{
    policy->info.name[0] = '\0';
}
static void spoil_text(mtf_policy *policy)
{
    snprintf(policy->info.reason, sizeof policy->info.reason, "a\xc3(");
}
static void spoil_verdict(mtf_policy *policy)
{
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "maybe");
}
static void spoil_stage(mtf_policy *policy)
{
    policy->info.stage[0] = '\0';
}
static void spoil_version(mtf_policy *policy)
{
    policy->info.version = 0;
}
static void spoil_box(mtf_policy *policy)
{
    policy->info.box = NAN;
}
static void spoil_range(mtf_policy *policy)
{
    policy->table.dims[1].high = -1;
}
static void spoil_index(mtf_policy *policy)
{
    policy->table.dims[1].prediction_index = 2;
}
static void spoil_kind(mtf_policy *policy)
{
    policy->table.dims[2].bias = false;
}
static void spoil_prediction(mtf_policy *policy)
{
    for (int d = 0; d < 4; d++) snprintf(policy->table.dims[d].prediction, 48, "same");
}

static void what_no_record_may_say_is_not_written(void **state)
{
    (void)state;
    static const struct {
        spoil_fn spoil;
        const char *words;
    } cases[] = {
        {spoil_weight, "not finite"},
        {spoil_bias, "not finite"},
        {spoil_deviation, "deviation"},
        {spoil_name, "name is empty"},
        {spoil_text, "reason is not text"},
        {spoil_verdict, "verdict"},
        {spoil_stage, "stage"},
        {spoil_version, "version is below 1"},
        {spoil_box, "box"},
        {spoil_range, "range"},
        {spoil_index, "index"},
        {spoil_kind, "two dimensions of a kind"},
        {spoil_prediction, "one name"},
    };
    mtf_buf record = {0};
    mtf_buf_put_u8(&record, 42);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mtf_policy *policy = sample_policy(i, 3, 4);
        mtf_err err = {0};
        cases[i].spoil(policy);
        assert_int_equal(mtf_policy_encode(policy, &record, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i].words)) fail_msg("%s: %s", cases[i].words, err.msg);
        assert_int_equal(record.size, 1); /* what stood before is untouched */
        mtf_policy_free(policy);
    }
    mtf_buf_fini(&record);
}

static void a_record_too_large_for_a_broker_is_not_written(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *policy = sample_policy(1, 400, 420);
    assert_int_equal(mtf_policy_encode(policy, &record, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "narrower"));
    mtf_policy_free(policy);
    mtf_buf_fini(&record);
}

/* Cuts the record's last field but one, the test vectors, and writes one vector less or another. */
static void a_network_that_does_not_reproduce_its_vectors_is_refused(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *policy = sample_policy(4, 3, 4), *back;
    encode(policy, &record);
    /* the end: 4 floats of the last action, array end, vectors' end, signature null */
    uint8_t *last = record.data + record.size - 3 - 4;
    uint32_t bits = mtf_load_u32_le(last);
    float value;
    memcpy(&value, &bits, 4);
    value += 2e-5F;
    memcpy(&bits, &value, 4);
    mtf_store_u32_le(last, bits);
    assert_int_equal(mtf_policy_decode(mtf_buf_span(&record), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "does not reproduce"));
    /* a vector: count 3, 12 bytes, 0, count 4, 16 bytes, 0; the block's count stands before the 16
     */
    encode(policy, &record);
    const size_t vector = 1 + 12 + 1 + 1 + 16 + 1;
    uint8_t *count = record.data + record.size - 2 - 16 * vector - 1;
    assert_int_equal(*count, 32); /* zigzag 16 */
    *count = 30;
    mtf_buf shorter = {0};
    mtf_buf_put(&shorter, record.data, record.size - 2 - vector);
    mtf_buf_put(&shorter, "\0", 2);
    assert_int_equal(mtf_policy_decode(mtf_buf_span(&shorter), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "too few"));
    mtf_policy_free(policy);
    mtf_buf_fini(&record);
    mtf_buf_fini(&shorter);
}

static void test_vectors_do_not_hang_on_the_order_of_sums(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(31);
    for (uint64_t n = 0; n < 30; n++) {
        mtf_policy *policy = sample_policy(seed + n, 24, 48);
        for (size_t i = 0; i < policy->block_count; i++) policy->block[i] *= n % 3 ? 1 : 5;
        for (uint32_t v = 0; v < MTF_POLICY_TEST_VECTORS; v++) {
            float features[24], action[4];
            double x[48], y[48];
            mtf_test_vector_make(policy, v, features, action);
            for (int i = 0; i < 24; i++) {
                assert_true(isfinite(features[i]));
                x[i] = (double)((features[i] - policy->mean[i]) / policy->deviation[i]);
            }
            for (uint32_t l = 0; l < 3; l++) { /* sums from the far end, in double */
                const mtf_policy_layer *layer = &policy->layers[l];
                for (uint32_t o = 0; o < layer->outputs; o++) {
                    y[o] = 0;
                    for (uint32_t i = layer->inputs; i-- > 0;)
                        y[o] += layer->weight[o * layer->inputs + i] * x[i];
                    y[o] += layer->bias[o];
                    if (l < 2 && y[o] < 0) y[o] = 0;
                }
                memcpy(x, y, sizeof x);
            }
            for (int d = 0; d < 4; d++)
                mtf_assert_close(action[d], tanh(y[d]), 0, MTF_POLICY_TOLERANCE / 2);
            for (int i = 0; i < 24 && v == 1; i++) assert_true(features[i] == policy->mean[i]);
            for (int i = 0; i < 24 && v == 0 && n == 1; i++) assert_true(features[i] == 0);
        }
        mtf_policy_free(policy);
    }
}

static void another_schema_is_refused_and_the_states_schema_is_kept(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    char hash[17], other[17];
    mtf_policy *policy = sample_policy(6, 3, 4), *back;
    encode(policy, &record);
    record.data[5] ^= 1;
    assert_int_equal(mtf_policy_decode(mtf_buf_span(&record), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "266e3090a511a226"));
    record.data[5] ^= 1;
    mtf_state_schema_hash(policy, hash);
    policy->state_dim = 4;
    mtf_state_schema_hash(policy, other);
    policy->state_dim = 3;
    assert_string_not_equal(hash, other);
    uint8_t *at = record.data;
    while (memcmp(at, hash, 16) != 0) at++;
    memcpy(at, other, 16);
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&record), &back, &err), &err);
    assert_string_equal(back->info.state_schema, other);
    mtf_buf again = {0};
    encode(back, &again);
    assert_int_equal(again.size, record.size);
    assert_memory_equal(again.data, record.data, record.size);
    mtf_policy_free(back);
    mtf_policy_free(policy);
    mtf_buf_fini(&again);
    mtf_buf_fini(&record);
}

/* -- an action per item -- */

enum { ITEM_FEATURES = 3 }; /* beside SAMPLE_ACTIONS' two predictions */

static mtf_policy *item_policy(uint64_t seed)
{
    mtf_policy *policy = sample_policy(seed, 12, 10);
    assert_non_null(policy);
    mtf_policy_set_items(policy, ITEM_FEATURES);
    return policy;
}

static void an_action_per_item_survives_the_record(void **state)
{
    (void)state;
    mtf_buf record = {0}, again = {0};
    mtf_err err = {0};
    mtf_policy *policy = item_policy(8), *back;
    assert_int_equal(mtf_policy_user_dim(policy), 12 - ITEM_FEATURES - 2);
    encode(policy, &record);
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&record), &back, &err), &err);
    assert_true(back->per_item);
    assert_int_equal(back->item_features, ITEM_FEATURES);
    mtf_policy *copy = mtf_policy_clone(back);
    assert_non_null(copy);
    encode(copy, &again);
    assert_int_equal(again.size, record.size);
    assert_memory_equal(again.data, record.data, record.size);
    mtf_policy_free(policy), mtf_policy_free(back), mtf_policy_free(copy);
    mtf_buf_fini(&record), mtf_buf_fini(&again);
}

/* A client that knows of one action a request reads the format and knows none of this name. */
static void clients_that_know_one_action_refuse_it(void **state)
{
    (void)state;
    mtf_policy *policy = item_policy(9), *plain = sample_policy(9, 12, 10);
    mtf_policy *user = sample_policy(9, 12 - ITEM_FEATURES - 2, 10);
    char of_items[17], of_state[17], of_user[17];
    mtf_state_schema_hash(policy, of_items);
    mtf_state_schema_hash(plain, of_state);
    mtf_state_schema_hash(user, of_user);
    assert_string_not_equal(of_items, of_state);
    assert_string_not_equal(of_items, of_user);
    mtf_buf payload = {0};
    mtf_tensor_file file;
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_safetensors(policy, &payload, &err), &err);
    mtf_assert_ok(mtf_safetensors_read(mtf_buf_span(&payload), &file, &err), &err);
    assert_string_equal(mtf_safetensors_note(&file, "format"), "mtf-policy-items");
    mtf_policy_free(policy), mtf_policy_free(plain), mtf_policy_free(user);
    mtf_buf_fini(&payload);
}

/* Of one action for all items by its hash, of one for each by its payload, it is neither. */
static void a_payload_of_items_under_another_meaning_is_refused(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *policy = item_policy(10), *plain = sample_policy(10, 12, 10), *back;
    char hash[17], other[17];
    encode(policy, &record);
    mtf_state_schema_hash(policy, hash);
    mtf_state_schema_hash(plain, other);
    uint8_t *at = record.data;
    while (memcmp(at, hash, 16) != 0) at++;
    memcpy(at, other, 16);
    assert_int_equal(mtf_policy_decode(mtf_buf_span(&record), &back, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "state_schema_hash"));
    mtf_policy_free(policy), mtf_policy_free(plain);
    /* The schema of the users' states says nothing of items. */
    memcpy(at, "0123456789abcdef", 16);
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&record), &back, &err), &err);
    assert_true(back->per_item);
    assert_string_equal(back->info.state_schema, "0123456789abcdef");
    mtf_policy_free(back);
    mtf_buf_fini(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_carries_the_policy_whole),
        cmocka_unit_test(exporting_again_gives_the_same_bytes),
        cmocka_unit_test(a_number_that_was_not_measured_stays_nan),
        cmocka_unit_test(the_fingerprint_is_the_schema_files),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_flipped_bit_never_makes_an_unservable_policy),
        cmocka_unit_test(what_no_record_may_say_is_not_written),
        cmocka_unit_test(a_record_too_large_for_a_broker_is_not_written),
        cmocka_unit_test(a_network_that_does_not_reproduce_its_vectors_is_refused),
        cmocka_unit_test(test_vectors_do_not_hang_on_the_order_of_sums),
        cmocka_unit_test(another_schema_is_refused_and_the_states_schema_is_kept),
        cmocka_unit_test(an_action_per_item_survives_the_record),
        cmocka_unit_test(clients_that_know_one_action_refuse_it),
        cmocka_unit_test(a_payload_of_items_under_another_meaning_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
