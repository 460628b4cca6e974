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
    policy_writer *writer = arg;
    mtf_err why = {0};
    const mtf_status status =
        mtf_policy_ledger_add(&writer->ledger, message->key, message->value, &why);
    if (status == MTF_SKIP) {
        mtf_log_line(writer->context->log, MTF_LOG_WARN, "policy.refused",
                     "topic=%.*s partition=%d offset=%" PRId64 " reason=\"%s\"",
                     (int)message->topic.size, message->topic.data, message->partition,
                     message->offset, why.msg);
        return MTF_OK;
    }
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

mtf_status policy_writer_open(policy_writer *writer, const stage_context *context, int64_t wanted,
                              mtf_err *err)
{
    const mtf_settings *s = context->settings;
    *writer =
        (policy_writer){.context = context, .ledger = {.name = s->policy_name, .wanted = wanted}};
    mtf_status status = mtf_policy_keys_open(s->policy_signing_key_file, s->policy_public_key_file,
                                             true, &writer->keys, err);
    writer->ledger.keys = writer->keys;
    if (status == MTF_OK) status = policy_head_open(&writer->live, context, false, err);
    if (status) return status;
    return mtf_kafka_follower_open(s, context->log, s->topics_policy_history, take_history, writer,
                                   &writer->history, err);
}

void policy_writer_close(policy_writer *writer)
{
    if (writer->history) mtf_kafka_follower_close(writer->history);
    policy_head_close(&writer->live);
    mtf_policy_ledger_fini(&writer->ledger);
    mtf_policy_keys_free(writer->keys);
    *writer = (policy_writer){0};
}

/** The head of <name>#<stage>. */
static const mtf_policy *trial_at(const policy_head *live, const char *stage)
{
    char key[MTF_POLICY_KEY_CHARS];
    snprintf(key, sizeof key, "%s#%s", live->name, stage);
    return mtf_policy_book_find(&live->book, key, 0);
}

mtf_policy_standing policy_writer_standing(const policy_writer *writer)
{
    const policy_head *live = &writer->live;
    return (mtf_policy_standing){.head = mtf_policy_book_find(&live->book, live->name, 0),
                                 .canary = trial_at(live, "canary"),
                                 .shadow = trial_at(live, "shadow"),
                                 .ledger = &writer->ledger};
}

mtf_status policy_writer_read(policy_writer *writer, mtf_policy_standing *standing, mtf_err *err)
{
    mtf_status status = mtf_kafka_follower_catch_up(writer->live.follower, READ_MS, err);
    if (status == MTF_OK) status = mtf_kafka_follower_catch_up(writer->history, READ_MS, err);
    if (status == MTF_OK) *standing = policy_writer_standing(writer);
    return status;
}

/* -- writing ----------------------------------------------------- */

/** Whoever opens a producer under this id fences the one before it. Without transactions nobody is
 *  fenced, and the topics are only compared. */
static mtf_status open_sink(void *arg, mtf_sink *sink, mtf_err *err)
{
    policy_writer *writer = arg;
    const mtf_settings *s = writer->context->settings;
    char id[200];
    snprintf(id, sizeof id, "mtf-policy-%s", s->policy_name);
    const bool exactly = strcmp(s->sessionize_delivery, "exactly-once") == 0;
    const mtf_kafka_sink_config config = {.transactional_id = exactly ? id : NULL,
                                          .stop = writer->context->stop,
                                          .board = writer->board};
    const mtf_status status =
        writer->leader ? mtf_kafka_leader_confirm(writer->leader, err) : MTF_OK;
    return status ? status : mtf_kafka_sink_open(s, writer->context->log, &config, sink, err);
}

static mtf_status read_standing(void *arg, mtf_policy_standing *standing, mtf_err *err)
{
    return policy_writer_read(arg, standing, err);
}

/** Longer each time, and not as long as the other writer waits. */
static void wait_for_others(void *arg, int attempt)
{
    const policy_writer *writer = arg;
    const int64_t base_ms = (int64_t)WAIT_MS << attempt;
    const int64_t ms = base_ms + mtf_clock_mono_ns() / 1000 % base_ms;
    mtf_log_line(writer->context->log, MTF_LOG_WARN, "policy.again", "attempt=%d wait_ms=%" PRId64,
                 attempt + 1, ms);
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void log_draft(const policy_writer *writer, const mtf_policy_draft *draft)
{
    if (!draft->policy) return;
    const mtf_policy_info *info = &draft->policy->info;
    const bool published =
        draft->history || draft->live || draft->drop_canary || draft->drop_shadow;
    mtf_log_line(writer->context->log, MTF_LOG_INFO,
                 published ? "policy.published" : "policy.there",
                 "name=%s version=%" PRId64 " parent=%" PRId64
                 " stage=%s verdict=%s live=%s box=%g reason=\"%s\"",
                 info->name, info->version, info->parent, info->stage, info->verdict,
                 draft->live ? "true" : "false", (double)info->box, info->reason);
}

mtf_status policy_writer_write(policy_writer *writer, mtf_policy_decide_fn decide, void *arg,
                               mtf_policy_draft *draft, mtf_err *err)
{
    const mtf_settings *s = writer->context->settings;
    const mtf_policy_writer tools = {.arg = writer,
                                     .open = open_sink,
                                     .read = read_standing,
                                     .wait = wait_for_others,
                                     .topics = {s->topics_policy, s->topics_policy_history},
                                     .keys = writer->keys};
    const mtf_status status = mtf_policy_write(&tools, decide, arg, draft, err);
    if (status == MTF_OK) log_draft(writer, draft);
    return status;
}
