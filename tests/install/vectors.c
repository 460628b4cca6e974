/* What libmtf gives for fixed inputs, bit by bit, for a binding in another language to compare with
 * on the same machine. Usage: vectors RECORD (write_policies makes some)
 *
 * Row r = 0..9 has the state whose feature i is ((31 r + 17 i) mod 64 - 32) / 8, the request id
 * "request-<r>" and the seed 42 + r. Item n = 0..19 has predictions p: ((13 n + 7 p) mod 32) / 32.
 * A line is a name and values in hex: of a float's bits 8 digits, a double's 16, an index's 8, and
 * bytes as they are:
 *
 *    act BASELINE   explore ACTION LOWER UPPER DENSITY   normal (sigma 0.25) likewise
 *    weights POWER BIAS (of the explored action)   fuse SCORES   top 5 INDICES
 *    event BYTES (the explored request at time 1700000000000 + r of user "user-<r>" with items in
 *    the order of the top 5, each with a signal "watch" of its index)
 *
 * and after the rows `state FLOATS` of the schema and inputs below, and `schema ID`. */
#include <mtf.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROWS  10
#define ITEMS 20
#define TOP   5

static const char SCHEMA[] =
    "age=number(30) sex=onehot(f,m) hour=bucket(6,12,18) flush=flush(20) top=top(2,a,b,c) "
    "watch=history(count,mean,decayed=3600,recency=86400)";

static void put_floats(const float *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        printf(" %08" PRIx32, bits);
    }
}

static void put_doubles(const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        printf(" %016" PRIx64, bits);
    }
}

static int put_event(mtf_event_builder *builder, const mtf_policy *policy, int row,
                     const char *request, const float *state, const float *baseline,
                     const float *action, const float *lower, const float *upper,
                     const float *predictions, const uint32_t *best)
{
    const uint32_t P = mtf_policy_prediction_count(policy);
    const void *bytes;
    size_t size;
    char user[24];
    snprintf(user, sizeof user, "user-%d", row);
    mtf_event_begin(builder, request, user, INT64_C(1700000000000) + row, NULL);
    mtf_event_request(builder, mtf_policy_version(policy), MTF_BUCKET_EXPLORE, state,
                      mtf_policy_state_dim(policy), action, baseline, lower, upper,
                      mtf_policy_action_dim(policy), 1);
    for (uint32_t i = 0; i < TOP; i++) {
        char item[24];
        snprintf(item, sizeof item, "item-%" PRIu32, best[i]);
        mtf_event_item(builder, item, predictions + best[i] * P, P, NULL, 0);
        mtf_event_signal(builder, "watch", best[i]);
    }
    if (mtf_event_finish(builder, &bytes, &size, NULL) != MTF_OK) return 1;
    printf("event ");
    for (size_t i = 0; i < size; i++) printf("%02x", ((const unsigned char *)bytes)[i]);
    printf("\n");
    return 0;
}

static int put_row(mtf_event_builder *builder, const mtf_policy *policy, int row)
{
    static float state[MTF_STATE_MAX], predictions[ITEMS * MTF_ACTION_MAX];
    float baseline[MTF_ACTION_MAX], action[MTF_ACTION_MAX], lower[MTF_ACTION_MAX],
        upper[MTF_ACTION_MAX], noisy[MTF_ACTION_MAX], least[MTF_ACTION_MAX], most[MTF_ACTION_MAX],
        scores[ITEMS];
    double power[MTF_ACTION_MAX], bias[MTF_ACTION_MAX];
    uint32_t best[TOP];
    char request[24];
    const uint32_t S = mtf_policy_state_dim(policy), A = mtf_policy_action_dim(policy),
                   P = mtf_policy_prediction_count(policy);
    const uint64_t seed = 42 + (uint64_t)row;
    snprintf(request, sizeof request, "request-%d", row);
    for (uint32_t i = 0; i < S; i++)
        state[i] = (float)((int)((31 * (uint32_t)row + 17 * i) % 64) - 32) / 8;
    for (uint32_t n = 0; n < ITEMS; n++)
        for (uint32_t p = 0; p < P; p++)
            predictions[n * P + p] = (float)((13 * n + 7 * p) % 32) / 32;
    mtf_act(policy, state, baseline);
    printf("act"), put_floats(baseline, A);
    const double density = mtf_explore(policy, seed, request, baseline, action, lower, upper);
    printf("\nexplore"), put_floats(action, A), put_floats(lower, A), put_floats(upper, A);
    put_doubles(&density, 1);
    const double other =
        mtf_explore_normal(policy, seed, request, 0.25F, baseline, noisy, least, most);
    printf("\nnormal"), put_floats(noisy, A), put_floats(least, A), put_floats(most, A);
    put_doubles(&other, 1);
    mtf_fusion_weights(policy, action, power, bias);
    printf("\nweights"), put_doubles(power, P), put_doubles(bias, P);
    if (mtf_fuse(policy, action, predictions, ITEMS, scores, NULL) != MTF_OK) return 1;
    printf("\nfuse"), put_floats(scores, ITEMS);
    mtf_top_k(scores, ITEMS, TOP, best);
    printf("\ntop");
    for (int i = 0; i < TOP; i++) printf(" %08" PRIx32, best[i]);
    printf("\n");
    return put_event(builder, policy, row, request, state, baseline, action, lower, upper,
                     predictions, best);
}

static int put_state(void)
{
    float out[64];
    mtf_state_schema *schema;
    int wrong = 0;
    if (mtf_state_schema_parse(SCHEMA, &schema, NULL) != MTF_OK) return 1;
    mtf_state *state = mtf_state_new(schema);
    if (!state || mtf_state_schema_dim(schema) > 64) return 1;
    mtf_state_begin(state, 1000000000);
    wrong |= mtf_state_number(state, mtf_state_schema_field(schema, "hour"), 13.5, NULL) != MTF_OK;
    wrong |= mtf_state_number(state, mtf_state_schema_field(schema, "flush"), 7, NULL) != MTF_OK;
    wrong |= mtf_state_category(state, mtf_state_schema_field(schema, "sex"), "m", NULL) != MTF_OK;
    const uint32_t top = mtf_state_schema_field(schema, "top"),
                   watch = mtf_state_schema_field(schema, "watch");
    wrong |= mtf_state_interest(state, top, "c", 0.3, NULL) != MTF_OK;
    wrong |= mtf_state_interest(state, top, "a", 0.1, NULL) != MTF_OK;
    wrong |= mtf_state_interest(state, top, "b", 0.2, NULL) != MTF_OK;
    for (int i = 0; i < 120; i++)
        wrong |= mtf_state_behaviour(state, watch, 1000000000 - 7000 * i, 0.1 * i, NULL) != MTF_OK;
    mtf_state_make(state, out);
    printf("state"), put_floats(out, mtf_state_schema_dim(schema));
    printf("\nschema %s\n", mtf_state_schema_id(schema));
    mtf_state_free(state);
    mtf_state_schema_free(schema);
    return wrong;
}

int main(int argc, char **argv)
{
    mtf_policy *policy;
    mtf_err err;
    if (argc != 2) return 64;
    if (mtf_policy_read_file(argv[1], NULL, &policy, &err) != MTF_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 65;
    }
    mtf_event_builder *builder = mtf_event_builder_new();
    int wrong = !builder;
    for (int row = 0; row < ROWS && !wrong; row++) wrong = put_row(builder, policy, row);
    if (!wrong) wrong = put_state();
    mtf_event_builder_free(builder);
    mtf_policy_free(policy);
    return wrong ? 70 : 0;
}
