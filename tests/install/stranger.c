/* A service outside the tree, in C99 and C++11 alike: reads a signed record, serves one request
 * over a slot, writes its event. Usage: stranger RECORD PUBLIC_KEYS */
#include <mtf.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 3

static int fail(const char *what, mtf_status status, const mtf_err *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, mtf_status_text(status), err->msg);
    return 1;
}

static int serve(mtf_slot *slot, mtf_event_builder *builder)
{
    static float state[MTF_STATE_MAX], predictions[ITEMS * MTF_ACTION_MAX];
    float baseline[MTF_ACTION_MAX], action[MTF_ACTION_MAX], lower[MTF_ACTION_MAX],
        upper[MTF_ACTION_MAX], scores[ITEMS];
    uint32_t order[ITEMS], i;
    const void *bytes = NULL;
    size_t size = 0;
    mtf_err err;
    mtf_status status;
    const mtf_policy *policy = mtf_slot_acquire(slot);
    const uint32_t S = mtf_policy_state_dim(policy), A = mtf_policy_action_dim(policy),
                   P = mtf_policy_prediction_count(policy);
    for (i = 0; i < S; i++) state[i] = (float)i / 10;
    for (i = 0; i < ITEMS * P; i++) predictions[i] = (float)(i + 1) / 10;
    mtf_act(policy, state, baseline);
    double density = mtf_explore(policy, 42, "request-1", baseline, action, lower, upper);
    status = mtf_fuse(policy, action, predictions, ITEMS, scores, &err);
    if (status != MTF_OK) return fail("fuse", status, &err);
    mtf_top_k(scores, ITEMS, ITEMS, order);
    mtf_event_begin(builder, "request-1", "user-1", 1700000000000, NULL);
    mtf_event_request(builder, mtf_policy_version(policy), MTF_BUCKET_EXPLORE, state, S, action,
                      baseline, lower, upper, A, 1);
    for (i = 0; i < ITEMS; i++) {
        char id[16];
        snprintf(id, sizeof id, "item-%u", (unsigned)order[i]);
        mtf_event_item(builder, id, predictions + order[i] * P, P, NULL, 0);
    }
    status = mtf_event_finish(builder, &bytes, &size, &err);
    if (status != MTF_OK) return fail("event", status, &err);
    printf("policy %s version %lld, %s: first item %u, log-density %.3f, event of %u bytes\n",
           mtf_policy_name(policy), (long long)mtf_policy_version(policy),
           mtf_policy_is_signed(policy) ? "signed" : "unsigned", (unsigned)order[0], density,
           (unsigned)size);
    mtf_slot_release(slot, policy);
    return 0;
}

int main(int argc, char **argv)
{
    mtf_policy_keys *keys = NULL;
    mtf_policy *policy = NULL;
    mtf_err err;
    mtf_status status;
    int code;
    if (argc != 3) return 64;
    if (strncmp(mtf_version(), "0.1.", 4) != 0) return 70;
    status = mtf_policy_keys_read(argv[2], &keys, &err);
    if (status != MTF_OK) return fail("keys", status, &err);
    status = mtf_policy_read_file(argv[1], keys, &policy, &err);
    mtf_policy_keys_free(keys);
    if (status != MTF_OK) return fail("policy", status, &err);
    mtf_slot *slot = mtf_slot_new();
    mtf_event_builder *builder = mtf_event_builder_new();
    if (!slot || !builder) return 70;
    status = mtf_slot_put(slot, policy, &err);
    if (status != MTF_OK) return fail("slot", status, &err);
    code = serve(slot, builder);
    mtf_event_builder_free(builder);
    mtf_slot_free(slot);
    return code;
}
