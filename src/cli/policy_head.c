/** Policies, as the policy topics have them. */
#include "cli/stages.h"

static mtf_status take_record(void *arg, const mtf_message *message, mtf_err *err)
{
    policy_head *head = arg;
    mtf_err why = {0};
    const mtf_status status = mtf_policy_book_add(&head->book, message->key, message->value, &why);
    if (status == MTF_SKIP) {
        head->refused += mtf_str_is(
            (mtf_str){(const char *)message->key.data, (uint32_t)message->key.size}, head->name);
        mtf_log_line(head->log, MTF_LOG_WARN, "policy.refused",
                     "topic=%.*s partition=%d offset=%lld reason=\"%s\"", (int)message->topic.size,
                     message->topic.data, message->partition, (long long)message->offset, why.msg);
        return MTF_OK;
    }
    if (status != MTF_OK && err) *err = why;
    return status;
}

mtf_status policy_head_open(policy_head *head, const stage_context *context, bool history,
                            mtf_err *err)
{
    const mtf_settings *s = context->settings;
    *head =
        (policy_head){.log = context->log, .name = s->policy_name, .book.every_version = history};
    const mtf_status status =
        mtf_policy_keys_open(NULL, s->policy_public_key_file, false, &head->keys, err);
    if (status != MTF_OK) return status;
    head->book.keys = head->keys;
    return mtf_kafka_follower_open(s, context->log,
                                   history ? s->topics_policy_history : s->topics_policy,
                                   take_record, head, &head->follower, err);
}

mtf_status policy_head_read(policy_head *head, const mtf_policy **policy, mtf_err *err)
{
    *policy = NULL;
    mtf_status status = mtf_kafka_follower_catch_up(head->follower, 30000, err);
    if (status == MTF_AGAIN) {
        status = mtf_fail(err, MTF_BROKER,
                          "the policy topic was not read to its end within 30 s; try again");
    }
    if (status == MTF_OK) *policy = mtf_policy_book_find(&head->book, head->name, 0);
    return status;
}

void policy_head_close(policy_head *head)
{
    if (head->follower) mtf_kafka_follower_close(head->follower);
    mtf_policy_book_fini(&head->book);
    mtf_policy_keys_free(head->keys);
    *head = (policy_head){0};
}
