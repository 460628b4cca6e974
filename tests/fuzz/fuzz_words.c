/** Any text as the settings that have a little language of their own: the first byte says which.
 *  What is taken holds what the rest of the program relies on; what is refused says why. */
#include "client/face.h"
#include "client/policy.h"
#include "fuzz/fuzz.h"
#include "learner/reward.h"
#include "sessionize/aggregate.h"

#include <math.h>

static void action_table(const char *text)
{
    mtf_action_table table;
    mtf_err err = {0};
    if (mtf_action_table_parse(&table, text, &err) != MTF_OK) {
        MTF_ASSERT(err.msg[0] != '\0');
        return;
    }
    MTF_ASSERT(table.count > 0 && table.count <= MTF_POLICY_ACTIONS_MAX);
    MTF_ASSERT(table.prediction_count > 0 && table.prediction_count <= table.count);
    for (uint32_t i = 0; i < table.count; i++) {
        const mtf_action_dim *dim = &table.dims[i];
        MTF_ASSERT(dim->prediction_index < table.prediction_count && dim->prediction[0] != '\0');
        MTF_ASSERT(isfinite(dim->low) && isfinite(dim->high) && dim->low <= dim->high);
    }
}

/** "weights|clip". */
static void reward(char *text)
{
    mtf_reward made;
    mtf_err err = {0};
    char *clip = strchr(text, '|');
    if (clip) *clip++ = '\0';
    if (mtf_reward_parse(&made, text, clip ? clip : "", &err) != MTF_OK) {
        MTF_ASSERT(err.msg[0] != '\0');
        return;
    }
    MTF_ASSERT(made.count > 0 && made.count <= MTF_REWARD_TERMS_MAX);
    for (uint32_t i = 0; i < made.count; i++)
        MTF_ASSERT(isfinite(made.terms[i].weight) && made.terms[i].clip >= 0);
    const float values[MTF_REWARD_TERMS_MAX] = {0}; /* of an item without signals */
    MTF_ASSERT(mtf_reward_item(&made, values) == 0 && !mtf_reward_label(&made, values));
}

static void aggregators(const char *text)
{
    mtf_aggregators made = {0}, again = {0};
    mtf_err err = {0};
    if (mtf_aggregators_init(&made, text, &err) == MTF_OK) {
        MTF_ASSERT(mtf_aggregators_init(&again, made.canonical, NULL) == MTF_OK);
        MTF_ASSERT(strcmp(made.canonical, again.canonical) == 0 && made.count == again.count);
    } else {
        MTF_ASSERT(err.msg[0] != '\0');
    }
    mtf_aggregators_fini(&made);
    mtf_aggregators_fini(&again);
}

/** What parses can be filled and laid out, and every float is finite. */
static void states(const char *text)
{
    mtf_state_schema *schema;
    mtf_err err = {0};
    if (mtf_state_schema_parse(text, &schema, &err) != MTF_OK) {
        MTF_ASSERT(err.msg[0] != '\0' && schema == NULL);
        return;
    }
    const uint32_t dim = mtf_state_schema_dim(schema);
    MTF_ASSERT(dim > 0 && dim <= MTF_STATE_MAX);
    float *out = malloc(dim * sizeof *out);
    mtf_state *state = mtf_state_new(schema);
    MTF_ASSERT(out && state);
    for (uint32_t i = 0; i < MTF_STATE_FIELDS_MAX; i++) {
        const mtf_status number = mtf_state_number(state, i, 1e308, NULL);
        const mtf_status past = mtf_state_behaviour(state, i, -1, 1e30, NULL);
        MTF_ASSERT(number != MTF_OK || past != MTF_OK); /* a field is of one kind */
    }
    mtf_state_make(state, out);
    for (uint32_t i = 0; i < dim; i++) MTF_ASSERT(isfinite(out[i]));
    mtf_state_free(state);
    mtf_state_schema_free(schema);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 'p') action_table(text);
    if (data[0] == 'r') reward(text);
    if (data[0] == 'a') aggregators(text);
    if (data[0] == 's') states(text);
    free(text);
    return 0;
}
