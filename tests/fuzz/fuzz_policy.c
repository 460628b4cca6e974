/* libFuzzer's entry: the bytes as a policy record, and as its payload (a sha256 stands before the
 * payload inside a record, which no mutation gets past). What is accepted must be servable: it
 * encodes again, and that decodes to the same. */
#include "client/record.h"
#include "client/sample_policy.h"
#include "fuzz/fuzz.h"

static void check_round_trip(const mtf_policy *policy)
{
    mtf_buf record = {0};
    mtf_policy *back = NULL;
    MTF_ASSERT(mtf_policy_encode(policy, &record, NULL) == MTF_OK);
    MTF_ASSERT(mtf_policy_decode(mtf_buf_span(&record), &back, NULL) == MTF_OK);
    MTF_ASSERT(back->block_count == policy->block_count);
    MTF_ASSERT(memcmp(back->block, policy->block, policy->block_count * sizeof(float)) == 0);
    mtf_policy_free(back);
    mtf_buf_fini(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mtf_policy *policy;
    mtf_action_table table;
    mtf_err err = {0};
    if (mtf_policy_decode((mtf_span){data, size}, &policy, &err) == MTF_OK)
        check_round_trip(policy);
    else
        MTF_ASSERT(err.msg[0] != '\0' && policy == NULL);
    mtf_policy_free(policy);
    MTF_ASSERT(mtf_action_table_parse(&table, SAMPLE_ACTIONS, NULL) == MTF_OK);
    if (mtf_payload_read((mtf_span){data, size}, &table, &policy, &err) == MTF_OK) {
        float action[MTF_POLICY_ACTIONS_MAX], state[MTF_POLICY_WIDTH_MAX] = {0};
        mtf_policy_act(policy, state, action);
        for (uint32_t d = 0; d < policy->action_dim; d++)
            MTF_ASSERT(action[d] >= -1 && action[d] <= 1);
    }
    mtf_policy_free(policy);
    return 0;
}
