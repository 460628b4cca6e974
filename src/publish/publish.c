#include "publish/publish.h"

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

static mtf_status put(mtf_sink *sink, const char *topic, const char *key, mtf_span value,
                      mtf_err *err)
{
    const mtf_span name = {(const uint8_t *)key, strlen(key)};
    return sink->put(sink->self, topic, name, value, NULL, 0, 0, err);
}

static mtf_status drop(const char *name, const char *stage, const mtf_policy_topics *topics,
                       mtf_sink *sink, mtf_err *err)
{
    const mtf_span tombstone = {NULL, 0};
    char key[MTF_POLICY_KEY_CHARS];
    snprintf(key, sizeof key, "%s#%s", name, stage);
    return put(sink, topics->live, key, tombstone, err);
}

static mtf_status put_all(const mtf_policy_draft *draft, const mtf_policy_topics *topics,
                          mtf_sink *sink, mtf_span record, mtf_err *err)
{
    const mtf_policy_info *info = &draft->policy->info;
    char key[MTF_POLICY_KEY_CHARS];
    mtf_status status = MTF_OK;
    mtf_policy_key(info, key);
    if (draft->history) status = put(sink, topics->history, info->name, record, err);
    if (!status && draft->live) status = put(sink, topics->live, key, record, err);
    if (!status && draft->drop_canary) status = drop(info->name, "canary", topics, sink, err);
    if (!status && draft->drop_shadow) status = drop(info->name, "shadow", topics, sink, err);
    return status;
}

mtf_status mtf_policy_publish(const mtf_policy_draft *draft, const mtf_policy_keys *keys,
                              const mtf_policy_topics *topics, mtf_sink *sink, mtf_err *err)
{
    mtf_buf record = {0};
    bool begun = false;
    mtf_status status = mtf_policy_encode_signed(draft->policy, keys, &record, err);
    if (status) goto done;
    status = sink->begin(sink->self, err);
    if (status) goto done;
    begun = true;
    status = put_all(draft, topics, sink, mtf_buf_span(&record), err);
    if (!status) status = sink->commit(sink->self, NULL, 0, err);
done:
    if (status && begun) {
        const mtf_status aborted = sink->abort(sink->self, NULL);
        (void)aborted; /* the first failure is the one to report */
    }
    mtf_buf_fini(&record);
    return status;
}
