/* Writes policy records into a folder for check_policy.py: each twice, so that it can see that the
 * bytes are the same. */
#include "client/sample_policy.h"
#include "core/file.h"

#include <stdlib.h>

static mtf_status write_policy(const char *folder, const char *name, const mtf_policy *policy,
                               mtf_err *err)
{
    char path[1024];
    mtf_buf record = {0};
    mtf_status status = mtf_policy_encode(policy, &record, err);
    snprintf(path, sizeof path, "%s/%s.policy", folder, name);
    if (!status) status = mtf_file_replace(path, mtf_buf_span(&record), err);
    mtf_buf_fini(&record);
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t state_dim, hidden;
    } sizes[] = {{3, 4}, {64, 64}, {64, 128}, {257, 31}};
    mtf_err err = {0};
    if (argc != 2) return 64;
    for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int again = 0; again < 2; again++) {
            char name[40];
            snprintf(name, sizeof name, "%d-%d", (int)i, again);
            mtf_policy *policy = sample_policy(i, sizes[i].state_dim, sizes[i].hidden);
            const mtf_status status =
                policy ? write_policy(argv[1], name, policy, &err) : MTF_NOMEM;
            mtf_policy_free(policy);
            if (status) {
                fprintf(stderr, "write_policies: %s: %s\n", mtf_status_text(status), err.msg);
                return 70;
            }
        }
    }
    return 0;
}
