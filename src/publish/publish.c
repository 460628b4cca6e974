#include "publish/publish.h"

#include <inttypes.h>
#include <stdio.h>

void mtf_policy_key(const mtf_policy_info *info, char key[MTF_POLICY_KEY_CHARS])
{
    const bool live = strcmp(info->stage, "live") == 0;
    _Static_assert(MTF_POLICY_KEY_CHARS >= sizeof info->name + sizeof info->stage, "a key fits");
    snprintf(key, MTF_POLICY_KEY_CHARS, "%s%s%s", info->name, live ? "" : "#",
             live ? "" : info->stage);
}

bool mtf_policy_is_servable(const mtf_policy_info *info)
{
    return strcmp(info->verdict, "promote") == 0 || strcmp(info->verdict, "canary") == 0;
}

static mtf_span span_of(const char *text)
{
    return (mtf_span){(const uint8_t *)text, strlen(text)};
}

mtf_status mtf_policy_publish(const mtf_policy *policy, const mtf_policy_keys *keys,
                              const mtf_policy_topics *topics, mtf_sink *sink, mtf_err *err)
{
    char key[MTF_POLICY_KEY_CHARS];
    mtf_buf record = {0};
    bool begun = false;
    mtf_policy_key(&policy->info, key);
    mtf_status status = mtf_policy_encode_signed(policy, keys, &record, err);
    if (status) goto done;
    status = sink->begin(sink->self, err);
    if (status) goto done;
    begun = true;
    status = sink->put(sink->self, topics->history, span_of(policy->info.name),
                       mtf_buf_span(&record), NULL, 0, 0, err);
    if (!status && mtf_policy_is_servable(&policy->info)) {
        status = sink->put(sink->self, topics->live, span_of(key), mtf_buf_span(&record), NULL, 0,
                           0, err);
    }
    if (!status) status = sink->commit(sink->self, NULL, 0, err);
done:
    if (status && begun) {
        const mtf_status aborted = sink->abort(sink->self, NULL);
        (void)aborted; /* the first failure is the one to report */
    }
    mtf_buf_fini(&record);
    return status;
}

static bool is_same(const mtf_policy *a, const mtf_policy *b)
{
    return a->info.version == b->info.version && a->info.parent == b->info.parent &&
           a->block_count == b->block_count &&
           memcmp(a->block, b->block, a->block_count * sizeof(float)) == 0;
}

void mtf_policy_compare(const mtf_policy *head, const mtf_policy *candidate, mtf_verdict *verdict)
{
    const int64_t head_version = head ? head->info.version : 0;
    if (verdict->kind != MTF_VERDICT_PROMOTE || head_version == candidate->info.parent) return;
    if (head && is_same(head, candidate)) return;
    verdict->kind = MTF_VERDICT_HOLD;
    snprintf(verdict->reason, sizeof verdict->reason,
             "parent_changed: the head is version %" PRId64
             ", this round started from version %" PRId64,
             head_version, candidate->info.parent);
}
