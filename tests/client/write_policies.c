/* Writes policy records into a folder for check_policy.py: each twice, so that it can see that the
 * bytes are the same; the last one signed. Usage: write_policies FOLDER SIGNING_KEY */
#include "client/policy_keys.h"
#include "client/sample_policy.h"
#include "core/file.h"

#include <stdlib.h>

static mtf_status write_policy(const char *folder, const char *name, const mtf_policy *policy,
                               const mtf_policy_keys *keys, mtf_err *err)
{
    char path[1024];
    mtf_buf record = {0};
    mtf_status status = mtf_policy_encode_signed(policy, keys, &record, err);
    snprintf(path, sizeof path, "%s/%s.policy", folder, name);
    if (!status) status = mtf_file_replace(path, mtf_buf_span(&record), err);
    mtf_buf_fini(&record);
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t state_dim, hidden;
    } sizes[] = {{3, 4}, {64, 64}, {64, 128}, {257, 31}, {12, 8}};
    const uint64_t count = sizeof sizes / sizeof sizes[0];
    mtf_policy_keys *keys = NULL;
    mtf_err err = {0};
    if (argc != 3) return 64;
    mtf_status status = mtf_policy_keys_open(argv[2], NULL, true, &keys, &err);
    for (uint64_t i = 0; i < count && status == MTF_OK; i++) {
        for (int again = 0; again < 2 && status == MTF_OK; again++) {
            char name[40];
            snprintf(name, sizeof name, "%d-%d", (int)i, again);
            mtf_policy *policy = sample_policy(i, sizes[i].state_dim, sizes[i].hidden);
            status = policy
                         ? write_policy(argv[1], name, policy, i + 1 == count ? keys : NULL, &err)
                         : MTF_NOMEM;
            mtf_policy_free(policy);
        }
    }
    mtf_policy_keys_free(keys);
    if (status == MTF_OK) return 0;
    fprintf(stderr, "write_policies: %s: %s\n", mtf_status_text(status), err.msg);
    return 70;
}
