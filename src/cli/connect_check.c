#include "cli/connect_check.h"

#include "cli/json_text.h"
#include "cli/topics.h"
#include "core/clock.h"
#include "ingest/kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_MS = 15000, POLL_MS = 200 };

/** What is asked, and of which stage. */
typedef struct connect_run {
    const stage_context *context;
    connect_roles roles;
    bool json;
    mtf_kafka_client *client;
    mtf_kafka_topic topics[TOPIC_ROLES];
    mtf_buf *out;
    int lines;
    mtf_status status; /* of the first failure */
    mtf_err *err;
} connect_run;

/* -- telling ------------------------------------------------------ */

/** state: ok, note, warning, failed. */
static void tell(connect_run *run, const char *state, const char *what, const char *words)
{
    if (run->json) {
        mtf_buf_printf(run->out, "%s{\"state\":\"%s\",\"what\":", run->lines ? "," : "", state);
        json_text_put(run->out, mtf_str_of(what));
        mtf_buf_printf(run->out, ",\"words\":");
        json_text_put(run->out, mtf_str_of(words));
        mtf_buf_put_u8(run->out, '}');
    } else {
        mtf_buf_printf(run->out, "%-8s %s: %s\n", state, what, words);
    }
    run->lines++;
}

/** True when it is well; else tells, and notes the first. */
static bool passed(connect_run *run, mtf_status status, const char *what, const mtf_err *why)
{
    if (status == MTF_OK) return true;
    if (status == MTF_AGAIN) status = MTF_BROKER;
    tell(run, "failed", what, why->msg);
    if (run->status == MTF_OK)
        run->status = mtf_fail(run->err, status, "%.60s: %.330s", what, why->msg);
    return false;
}

/* -- topics ------------------------------------------------------- */

static bool concerns(const connect_run *run, topic_role role)
{
    const bool sessionizers = role <= TOPIC_DEAD_LETTER;
    const bool learners = role == TOPIC_SESSIONS || role >= TOPIC_DEAD_LETTER;
    if (role == TOPIC_LEADER && !run->context->settings->topics_leader[0]) return false;
    return (sessionizers && run->roles & CONNECT_SESSIONIZE) ||
           (learners && run->roles & CONNECT_LEARN);
}

static void tell_finding(void *arg, const topic_finding *f)
{
    static const char *const states[] = {"failed", "warning", "note"};
    connect_run *run = arg;
    mtf_err why = {0};
    if (!f->remedy[0]) return; /* of replication: mtf topics create tells it */
    (void)mtf_fail(&why, MTF_INVALID, "%s is %s, not %s: %s; %s", f->setting, f->is, f->wants,
                   f->why, f->remedy);
    if (f->level == TOPIC_REFUSED)
        (void)passed(run, MTF_INVALID, f->topic, &why);
    else
        tell(run, states[f->level], f->topic, why.msg);
}

static void check_topic(connect_run *run, topic_role role)
{
    const mtf_kafka_topic *topic = &run->topics[role];
    const topic_sizes sizes = {0};
    mtf_err why = {0};
    char words[200];
    if (topic->partitions == 0) {
        (void)mtf_fail(&why, MTF_INVALID,
                       "it does not exist, or this user may not describe it: `mtf topics create`, "
                       "or docs/security.md, \"Permissions\"");
        (void)passed(run, MTF_INVALID, topic->name, &why);
        return;
    }
    snprintf(words, sizeof words, "%" PRId32 " partitions, replication %" PRId32 "%s%s",
             topic->partitions, topic->replication,
             topic->told ? "" : "; its settings are not told: ", topic->told ? "" : topic->untold);
    tell(run, topic->told ? "ok" : "warning", topic->name, words);
    (void)passed(run,
                 topic_judge(run->context->settings, role, &sizes, topic, tell_finding, run, &why),
                 topic->name, &why);
}

/** The last record of a partition that has any; nothing (end 0) where none has. */
static mtf_status find_last(connect_run *run, const mtf_kafka_topic *topic, mtf_kafka_stretch *last,
                            mtf_err *err)
{
    const int32_t count = topic->partitions;
    int64_t *firsts = calloc((size_t)count, 2 * sizeof *firsts);
    if (!firsts) return mtf_fail(err, MTF_NOMEM, "no memory for %" PRId32 " partitions", count);
    int64_t *ends = firsts + count;
    const mtf_status status =
        mtf_kafka_client_ranges(run->client, topic->name, count, firsts, ends, err);
    *last = (mtf_kafka_stretch){0};
    for (int32_t i = 0; status == MTF_OK && i < count; i++)
        if (ends[i] > firsts[i]) *last = (mtf_kafka_stretch){i, ends[i] - 1, ends[i]};
    free(firsts);
    return status;
}

/** Reads it: only that asks for the right to read. */
static mtf_status read_last(connect_run *run, topic_role role, bool *any, mtf_err *err)
{
    const mtf_kafka_topic *topic = &run->topics[role];
    mtf_kafka_stretch last;
    mtf_source source = {0};
    mtf_input input;
    mtf_status status = find_last(run, topic, &last, err);
    *any = last.end > 0;
    if (status != MTF_OK || !*any) return status;
    status = mtf_kafka_finite_open(run->context->settings, run->context->log, topic->name, &last, 1,
                                   &source, err);
    const int64_t deadline_ns = mtf_clock_mono_ns() + READ_MS * INT64_C(1000000);
    while (status == MTF_OK || status == MTF_AGAIN) {
        if (atomic_load(run->context->stop) || mtf_clock_mono_ns() > deadline_ns) {
            status = mtf_fail(err, MTF_BROKER, "nothing came in %d s", READ_MS / 1000);
            break;
        }
        status = source.poll(source.self, POLL_MS, &input, err);
        if (status == MTF_OK && input.kind == MTF_INPUT_ASSIGN)
            status = source.start(source.self, input.partition, last.first, err);
    }
    if (source.close) source.close(source.self);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static void check_reading(connect_run *run, topic_role role)
{
    char what[300];
    bool any;
    mtf_err why = {0};
    if (run->topics[role].partitions == 0) return;
    snprintf(what, sizeof what, "reading %s", run->topics[role].name);
    if (passed(run, read_last(run, role, &any, &why), what, &why))
        tell(run, any ? "ok" : "note", what,
             any ? "a record came" : "nothing is there yet, so the right to was not asked for");
}

/* -- groups and transactional ids --------------------------------- */

static void check_group(connect_run *run)
{
    const mtf_settings *s = run->context->settings;
    int64_t committed[1];
    char what[300];
    mtf_err why = {0};
    if (run->topics[TOPIC_EXPLORATION].partitions == 0) return;
    snprintf(what, sizeof what, "group %s", s->sessionize_group);
    if (passed(run,
               mtf_kafka_client_committed(run->client, s->topics_exploration, 1, committed, &why),
               what, &why))
        tell(run, "ok", what, committed[0] < 0 ? "it has no commit yet" : "its commits are told");
}

/** Under an id that no stage has: asking under a stage's own would fence it. */
static void check_transactions(connect_run *run, const char *id)
{
    const stage_context *context = run->context;
    const mtf_kafka_sink_config config = {.transactional_id = id, .stop = context->stop};
    char what[300];
    mtf_err why = {0};
    mtf_sink sink = {0};
    snprintf(what, sizeof what, "transactional id %s", id);
    if (passed(run, mtf_kafka_sink_open(context->settings, context->log, &config, &sink, &why),
               what, &why))
        tell(run, "ok", what, "the brokers give transactions under such ids");
    if (sink.close) sink.close(sink.self);
}

static void check_sessionize_transactions(connect_run *run)
{
    const char *group = run->context->settings->sessionize_group;
    char id[300];
    snprintf(id, sizeof id, "%s%sconfig-check", group,
             strcmp(group, "mtf-sessionize") == 0 ? "-" : ":");
    check_transactions(run, id);
}

/* -- the policy --------------------------------------------------- */

static void check_policy(connect_run *run)
{
    const mtf_settings *s = run->context->settings;
    policy_head head = {0};
    const mtf_policy *policy = NULL;
    char what[300], words[200];
    mtf_err why = {0};
    if (run->topics[TOPIC_POLICY].partitions == 0) return;
    snprintf(what, sizeof what, "policy %s", s->policy_name);
    mtf_status status = policy_head_open(&head, run->context, false, &why);
    if (status == MTF_OK) status = policy_head_read(&head, &policy, &why);
    if (passed(run, status, what, &why)) {
        if (policy)
            snprintf(words, sizeof words, "version %lld serves", (long long)policy->info.version);
        else
            snprintf(words, sizeof words, "none serves yet");
        tell(run, "ok", what, words);
        snprintf(words, sizeof words, "%lld records of it are refused: see policy.refused",
                 (long long)head.refused);
        if (head.refused) tell(run, "warning", what, words);
    }
    policy_head_close(&head);
}

/* -- all ---------------------------------------------------------- */

static bool reach_brokers(connect_run *run)
{
    const mtf_settings *s = run->context->settings;
    mtf_err why = {0};
    int32_t brokers = 0;
    char words[200];
    mtf_status status = mtf_kafka_client_open(s, run->context->log, s->sessionize_group, true,
                                              run->context->stop, &run->client, &why);
    if (status == MTF_OK) status = mtf_kafka_admin_brokers(run->client, &brokers, &why);
    if (!passed(run, status, "brokers", &why)) return false;
    snprintf(words, sizeof words, "%" PRId32 " in cluster %s", brokers,
             mtf_kafka_client_cluster(run->client));
    tell(run, "ok", "brokers", words);
    for (int i = 0; i < TOPIC_ROLES; i++)
        run->topics[i] = (mtf_kafka_topic){.name = topic_name(s, (topic_role)i)};
    status = mtf_kafka_admin_topics(run->client, run->topics,
                                    TOPIC_ROLES - (s->topics_leader[0] == '\0'), false, &why);
    return passed(run, status, "topics", &why);
}

static void check_all(connect_run *run)
{
    const mtf_settings *s = run->context->settings;
    const bool transactions = strcmp(s->sessionize_delivery, "exactly-once") == 0;
    if (!reach_brokers(run)) return;
    for (int i = 0; i < TOPIC_ROLES; i++)
        if (concerns(run, (topic_role)i)) check_topic(run, (topic_role)i);
    if (run->roles & CONNECT_SESSIONIZE) {
        check_reading(run, TOPIC_EXPLORATION);
        check_group(run);
        if (transactions) check_sessionize_transactions(run);
    }
    if (run->roles & CONNECT_LEARN) {
        check_reading(run, TOPIC_SESSIONS);
        check_policy(run);
        if (transactions) check_transactions(run, "mtf-policy-config-check");
    }
}

mtf_status connect_check(const stage_context *context, connect_roles roles, bool json, mtf_buf *out,
                         mtf_err *err)
{
    connect_run run = {.context = context, .roles = roles, .json = json, .out = out, .err = err};
    if (json) mtf_buf_printf(out, "{\"checks\":[");
    check_all(&run);
    if (json) mtf_buf_printf(out, "],\"ok\":%s}\n", run.status == MTF_OK ? "true" : "false");
    mtf_kafka_client_close(run.client);
    return run.status;
}
