/** Where this program reads and writes policies. */
#include "cli/stages.h"

#include "core/clock.h"
#include "ingest/kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    READ_MS = 30000, /* a policy topic is small */
    WAIT_MS = 100,   /* before the second try; doubles */
};

static mtf_status take_history(void *arg, const mtf_message *message, mtf_err *err)
{
    policy_desk *desk = arg;
    mtf_err why = {0};
    const mtf_status status =
        mtf_policy_ledger_add(&desk->ledger, message->key, message->value, &why);
    if (status == MTF_SKIP) {
        mtf_log_line(desk->context->log, MTF_LOG_WARN, "policy.refused",
                     "topic=%.*s partition=%d offset=%" PRId64 " reason=\"%s\"",
                     (int)message->topic.size, message->topic.data, message->partition,
                     message->offset, why.msg);
        return MTF_OK;
    }
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

mtf_status policy_desk_open(policy_desk *desk, const stage_context *context, int64_t wanted,
                            mtf_err *err)
{
    const mtf_settings *s = context->settings;
    *desk = (policy_desk){.context = context, .ledger = {.name = s->policy_name, .wanted = wanted}};
    mtf_status status = mtf_policy_keys_open(s->policy_signing_key_file, s->policy_public_key_file,
                                             true, &desk->keys, err);
    desk->ledger.keys = desk->keys;
    if (status == MTF_OK) status = policy_head_open(&desk->live, context, false, err);
    if (status) return status;
    return mtf_kafka_follower_open(s, context->log, s->topics_policy_history, take_history, desk,
                                   &desk->history, err);
}

void policy_desk_close(policy_desk *desk)
{
    if (desk->history) mtf_kafka_follower_close(desk->history);
    policy_head_close(&desk->live);
    mtf_policy_ledger_fini(&desk->ledger);
    mtf_policy_keys_free(desk->keys);
    *desk = (policy_desk){0};
}

mtf_status policy_desk_read(policy_desk *desk, mtf_policy_shelf *shelf, mtf_err *err)
{
    char canary[MTF_POLICY_KEY_CHARS];
    const policy_head *live = &desk->live;
    mtf_status status = mtf_kafka_follower_catch_up(live->follower, READ_MS, err);
    if (status == MTF_OK) status = mtf_kafka_follower_catch_up(desk->history, READ_MS, err);
    if (status) return status;
    snprintf(canary, sizeof canary, "%s#canary", live->name);
    *shelf = (mtf_policy_shelf){.head = mtf_policy_book_find(&live->book, live->name, 0),
                                .canary = mtf_policy_book_find(&live->book, canary, 0),
                                .ledger = &desk->ledger};
    return MTF_OK;
}

/* -- the pen ------------------------------------------------------------------------------------
 */

/** Whoever opens a producer under this id fences the one before it. Without transactions nobody is
 *  fenced, and the topics are only compared. */
static mtf_status take_pen(void *arg, mtf_sink *sink, mtf_err *err)
{
    policy_desk *desk = arg;
    const mtf_settings *s = desk->context->settings;
    char id[200];
    snprintf(id, sizeof id, "mtf-policy-%s", s->policy_name);
    const bool exactly = strcmp(s->sessionize_delivery, "exactly-once") == 0;
    const mtf_kafka_sink_config config = {
        .transactional_id = exactly ? id : NULL, .stop = desk->context->stop, .board = desk->board};
    const mtf_status status = desk->leader ? mtf_kafka_leader_confirm(desk->leader, err) : MTF_OK;
    return status ? status : mtf_kafka_sink_open(s, desk->context->log, &config, sink, err);
}

static mtf_status read_shelf(void *arg, mtf_policy_shelf *shelf, mtf_err *err)
{
    return policy_desk_read(arg, shelf, err);
}

/** Longer each time, and not as long as the other writer waits. */
static void wait_for_others(void *arg, int attempt)
{
    const policy_desk *desk = arg;
    const int64_t base_ms = (int64_t)WAIT_MS << attempt;
    const int64_t ms = base_ms + mtf_clock_mono_ns() / 1000 % base_ms;
    mtf_log_line(desk->context->log, MTF_LOG_WARN, "policy.again", "attempt=%d wait_ms=%" PRId64,
                 attempt + 1, ms);
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void log_draft(const policy_desk *desk, const mtf_policy_draft *draft)
{
    if (!draft->policy) return;
    const mtf_policy_info *info = &draft->policy->info;
    const bool published = draft->history || draft->live || draft->drop_canary;
    mtf_log_line(desk->context->log, MTF_LOG_INFO, published ? "policy.published" : "policy.there",
                 "name=%s version=%" PRId64 " parent=%" PRId64
                 " verdict=%s live=%s box=%g reason=\"%s\"",
                 info->name, info->version, info->parent, info->verdict,
                 draft->live ? "true" : "false", (double)info->box, info->reason);
}

mtf_status policy_desk_write(policy_desk *desk, mtf_policy_decide_fn decide, void *arg,
                             mtf_policy_draft *draft, mtf_err *err)
{
    const mtf_settings *s = desk->context->settings;
    const mtf_policy_desk tools = {.arg = desk,
                                   .take = take_pen,
                                   .read = read_shelf,
                                   .wait = wait_for_others,
                                   .topics = {s->topics_policy, s->topics_policy_history},
                                   .keys = desk->keys};
    const mtf_status status = mtf_policy_write(&tools, decide, arg, draft, err);
    if (status == MTF_OK) log_draft(desk, draft);
    return status;
}
