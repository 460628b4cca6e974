/** The learner against Kafka: sessions in, policies out, the gate between. */
#include "cli/stages.h"
#include "cli/topics.h"
#include "core/clock.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_sink.h"
#include "publish/policy_order.h"
#include "publish/policy_states.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STANDBY_LOG_S 30

const mtf_learn *learn_stage_loop(const learn_stage *stage)
{
    return atomic_load(&stage->loop);
}

bool learn_stage_stands_by(const learn_stage *stage)
{
    if (!atomic_load(&stage->loop)) return true;
    if (stage->context->settings->topics_leader[0] == '\0') return false;
    const mtf_kafka_leader *leader = atomic_load(&stage->leader);
    return !leader || !mtf_kafka_leader_leads(leader);
}

static bool hook_leads(void *arg)
{
    const mtf_kafka_leader *leader = atomic_load(&((const learn_stage *)arg)->leader);
    return leader && mtf_kafka_leader_leads(leader);
}

static mtf_status hook_head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    learn_stage *stage = arg;
    mtf_policy_standing standing;
    *champion = NULL;
    const mtf_status status = policy_writer_read(&stage->writer, &standing, err);
    if (status != MTF_OK) return status;
    mtf_policy_metrics_refused(&stage->policies,
                               stage->writer.live.book.refused + stage->writer.ledger.refused);
    if (!standing.head && stage->writer.live.refused > 0) {
        return mtf_fail(err, MTF_CORRUPT,
                        "topic %s: every record of policy %s was refused (see policy.refused), so "
                        "its last version is unknown and no first one is published; where all are "
                        "unsigned, have one signed (docs/security.md), else put a good one back "
                        "(mtf policy rollback), or give the policy another name",
                        stage->context->settings->topics_policy, stage->writer.live.name);
    }
    *newest_version = mtf_policy_standing_newest(&standing);
    if (!standing.head) return MTF_OK;
    mtf_policy_metrics_head(&stage->policies, standing.head->info.version,
                            standing.head->info.created_ms);
    const mtf_status fits = mtf_policy_states_check(stage->states, standing.head, err);
    if (fits != MTF_OK) return fits;
    *champion = mtf_policy_clone(standing.head);
    return *champion ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for the served policy");
}

static mtf_status hook_gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                            mtf_verdict *verdict, mtf_err *err)
{
    const learn_stage *stage = arg;
    (void)err;
    mtf_gate_decide(&stage->gate, evidence, verdict);
    mtf_gate_record(evidence, &candidate->info);
    mtf_gate_record_verdict(&stage->gate, verdict, &candidate->info);
    return MTF_OK;
}

static mtf_status hook_publish(void *arg, mtf_policy *candidate, mtf_err *err)
{
    learn_stage *stage = arg;
    mtf_policy_draft draft;
    memcpy(candidate->info.state_schema, stage->states, sizeof stage->states);
    const mtf_status status =
        policy_writer_write(&stage->writer, mtf_policy_decide_candidate, candidate, &draft, err);
    if (status == MTF_OK && draft.live && strcmp(candidate->info.stage, "live") == 0)
        mtf_policy_metrics_head(&stage->policies, candidate->info.version,
                                candidate->info.created_ms);
    return status;
}

/** What hook_head read last. */
static mtf_status hook_trial(void *arg, mtf_policy **trial, mtf_err *err)
{
    learn_stage *stage = arg;
    const mtf_policy_standing standing = policy_writer_standing(&stage->writer);
    const mtf_policy *canary = standing.canary, *shadow = standing.shadow;
    const mtf_policy *found = canary ? canary : shadow;
    mtf_policy_metrics_trial(&stage->policies, canary ? canary->info.version : 0,
                             shadow ? shadow->info.version : 0);
    *trial = found ? mtf_policy_clone(found) : NULL;
    return *trial || !found ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for a policy on trial");
}

/** As an operator's order, but only where this process leads. */
static mtf_status hook_order(void *arg, const mtf_round_order *what, mtf_err *err)
{
    static const mtf_policy_order_kind kinds[] = {
        [MTF_ORDER_ROLLBACK] = MTF_POLICY_ROLLBACK,
        [MTF_ORDER_CANARY] = MTF_POLICY_CANARY,
        [MTF_ORDER_PROMOTE] = MTF_POLICY_PROMOTE,
        [MTF_ORDER_WITHDRAW] = MTF_POLICY_WITHDRAW,
    };
    learn_stage *stage = arg;
    mtf_policy_order order = {.kind = kinds[what->kind],
                              .version = what->version,
                              .if_head = what->head,
                              .if_trial = what->trial,
                              .by_gate = true,
                              .percent = stage->gate.canary_percent,
                              .reason = what->reason,
                              .numbers = what->numbers,
                              .number_count = what->number_count,
                              .now_ms = mtf_clock_wall_ms()};
    policy_writer writer = {0};
    mtf_policy_draft draft;
    mtf_status status = policy_writer_open(&writer, stage->context, what->version, err);
    writer.leader = stage->writer.leader;
    writer.board = stage->writer.board;
    if (status == MTF_OK)
        status = policy_writer_write(&writer, mtf_policy_order_decide, &order, &draft, err);
    if (status == MTF_OK && draft.live && strcmp(draft.policy->info.stage, "live") == 0)
        mtf_policy_metrics_head(&stage->policies, draft.policy->info.version,
                                draft.policy->info.created_ms);
    policy_writer_close(&writer);
    mtf_policy_order_fini(&order);
    return status;
}

static bool hook_due(void *arg, int64_t sessions)
{
    learn_stage *stage = arg;
    return stage->watch.due(stage->watch.arg, sessions);
}

static void hook_progress(void *arg, const char *what, int64_t done, int64_t total)
{
    learn_stage *stage = arg;
    mtf_board_beat(&stage->board,
                   mtf_clock_mono_ns() / 1000000); /* a long round is no standstill */
    if (stage->watch.progress) stage->watch.progress(stage->watch.arg, what, done, total);
}

static void hook_report(void *arg, const mtf_round_report *report)
{
    learn_stage *stage = arg;
    mtf_policy_metrics_round(&stage->policies, report);
    mtf_log_line(stage->context->log, MTF_LOG_INFO, "round.end",
                 "round=%lld parent=%lld candidate=%lld verdict=%s reason=\"%s\" cold_start=%d "
                 "sessions=%lld "
                 "transitions=%lld "
                 "heldout_rows=%lld value=%.4g value_se=%.4g value_z=%.3g ncis_gain=%.4g "
                 "fqe_gain=%.4g skill_z=%.3g "
                 "outside=%.4f phi=%.3f "
                 "gauc_baseline=%.4f gauc_policy=%.4f train_s=%.1f evaluate_s=%.1f",
                 (long long)report->round, (long long)report->parent, (long long)report->version,
                 mtf_verdict_text(report->verdict.kind), report->verdict.reason, report->cold,
                 (long long)report->sessions, (long long)report->transitions,
                 (long long)report->heldout_rows, report->evidence.value, report->evidence.value_se,
                 report->evidence.value_z, report->evidence.ncis_gain, report->evidence.fqe_gain,
                 report->evidence.skill_z, report->outside_box, report->phi,
                 report->evaluation.gauc_baseline, report->evaluation.gauc_policy,
                 report->train_seconds, report->evaluate_seconds);
    if (stage->watch.report) stage->watch.report(stage->watch.arg, report);
}

/** Topics are there, and as they should be; copies the cluster's id. */
static mtf_status check_cluster(const stage_context *context, char *cluster, size_t cluster_size,
                                mtf_err *err)
{
    static const topic_role roles[] = {TOPIC_SESSIONS, TOPIC_POLICY, TOPIC_POLICY_HISTORY,
                                       TOPIC_DEAD_LETTER, TOPIC_LEADER};
    enum { COUNT = sizeof roles / sizeof *roles };
    const size_t count = COUNT - (context->settings->topics_leader[0] == '\0');
    const char *names[COUNT];
    mtf_kafka_client *client = NULL;
    for (size_t i = 0; i < count; i++) names[i] = topic_name(context->settings, roles[i]);
    mtf_status status = stage_client_open(context, names, count, &client, err);
    if (status == MTF_OK) status = topics_check(context, client, roles, count, err);
    if (status == MTF_OK) snprintf(cluster, cluster_size, "%s", mtf_kafka_client_cluster(client));
    mtf_kafka_client_close(client);
    return status;
}

static mtf_status open_pipes(learn_stage *stage, mtf_err *err)
{
    const mtf_settings *s = stage->context->settings;
    /* A transaction leaves an offset without a record behind. */
    const bool continuous = strcmp(s->sessionize_delivery, "at-least-once") == 0;
    const mtf_kafka_source_config config = {.topic = s->topics_sessions,
                                            .group = s->learner_group,
                                            .count_gaps = continuous,
                                            .asks_again = true};
    mtf_kafka_source *kafka = NULL;
    mtf_status status = stage_decoder_open(s, STAGE_SESSIONS, &stage->decoder, err);
    if (status == MTF_OK)
        status = mtf_kafka_source_open(s, stage->context->log, &config, &kafka, err);
    if (status != MTF_OK) return status;
    stage->sessions = mtf_decoder_sessions(stage->decoder);
    stage->source = mtf_kafka_source_pipe(kafka);
    const mtf_kafka_sink_config letters = {.stop = stage->context->stop, .board = &stage->board};
    status = mtf_kafka_sink_open(s, stage->context->log, &letters, &stage->dead_letters, err);
    if (status == MTF_OK) status = policy_writer_open(&stage->writer, stage->context, 0, err);
    stage->writer.board = &stage->board;
    return status;
}

/** MTF_FENCED: another process has the store. */
static mtf_status open_loop(learn_stage *stage, mtf_err *err)
{
    const mtf_settings *s = stage->context->settings;
    const bool alone = s->topics_leader[0] == '\0';
    const mtf_learn_config config = {
        .settings = s,
        .source = &stage->source,
        .decoder = &stage->sessions,
        .dead_letters = &stage->dead_letters,
        .cluster_id = stage->cluster,
        .hooks = {.arg = stage,
                  .leads = alone ? NULL : hook_leads,
                  .head = hook_head,
                  .gate = hook_gate,
                  .publish = hook_publish,
                  .trial = hook_trial,
                  .order = hook_order,
                  .due = stage->watch.due ? hook_due : NULL,
                  .progress = hook_progress,
                  .report = hook_report},
        .log = stage->context->log,
        .board = &stage->board,
        .stop = stage->context->stop,
        .accept_loss = stage->accept_loss,
        .continuous = strcmp(s->sessionize_delivery, "at-least-once") == 0,
    };
    mtf_learn *loop = NULL;
    const mtf_status status = mtf_learn_open(&config, &loop, err);
    atomic_store(&stage->loop, loop);
    return status;
}

mtf_status learn_stage_open(learn_stage *stage, const stage_context *context,
                            const learn_watch *watch, bool accept_loss, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    mtf_err why = {0};
    *stage = (learn_stage){
        .context = context, .gate = mtf_gate_config_of(s), .accept_loss = accept_loss};
    mtf_board_init(&stage->board);
    if (watch) stage->watch = *watch;
    mtf_status status = stage_settings_check(s, STAGE_SESSIONS, err);
    if (status == MTF_OK) status = mtf_policy_states_id(s, stage->states, err);
    if (status == MTF_OK) status = stage_keys_check(s, true, err);
    if (status == MTF_OK)
        status = check_cluster(context, stage->cluster, sizeof stage->cluster, err);
    if (status == MTF_OK) status = open_pipes(stage, err);
    if (status != MTF_OK) return status;
    status = open_loop(stage, &why);
    if (status == MTF_FENCED && !context->fail_fast) return MTF_OK; /* run waits for the store */
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

/* -- standing by --------------------------------------------------------------------------------
 */

/** A second, or until stop. False: stop. */
static bool wait_a_second(const learn_stage *stage)
{
    for (int i = 0; i < 10 && !atomic_load(stage->context->stop); i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    return !atomic_load(stage->context->stop);
}

/** Until the process that has the store has ended. MTF_CLOSED: stopped before. */
static mtf_status wait_for_store(learn_stage *stage, mtf_err *err)
{
    mtf_err why = {0};
    mtf_status status = stage->loop ? MTF_OK : MTF_FENCED;
    for (int waited_s = 0; status == MTF_FENCED; waited_s++) {
        if (waited_s % STANDBY_LOG_S == 0)
            mtf_log_line(stage->context->log, MTF_LOG_INFO, "learn.standby",
                         "state=cold waited_s=%d reason=\"another process has the store %s\"",
                         waited_s, stage->context->settings->store_path);
        if (!wait_a_second(stage)) return MTF_CLOSED;
        status = open_loop(stage, &why);
    }
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

/** Joins those of whom one leads. MTF_CLOSED: stopped before the brokers answered. */
static mtf_status join_leaders(learn_stage *stage, mtf_err *err)
{
    const mtf_settings *s = stage->context->settings;
    mtf_err why = {0};
    mtf_kafka_leader *leader = NULL;
    mtf_status status = MTF_AGAIN;
    if (s->topics_leader[0] == '\0') return MTF_OK;
    while (status == MTF_AGAIN) {
        status = mtf_kafka_leader_open(s, stage->context->log, s->topics_leader, s->learner_group,
                                       &leader, &why);
        if (status == MTF_AGAIN && !wait_a_second(stage)) return MTF_CLOSED;
    }
    stage->writer.leader = leader;
    atomic_store(&stage->leader, leader);
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

mtf_status learn_stage_run(learn_stage *stage, mtf_err *err)
{
    mtf_status status = wait_for_store(stage, err);
    if (status == MTF_OK) status = join_leaders(stage, err);
    if (status == MTF_OK) status = mtf_learn_run(stage->loop, err);
    if (status == MTF_CLOSED) status = MTF_OK;
    if (!stage->loop) return status;
    const mtf_learn_metrics *m = mtf_learn_metrics_of(stage->loop);
    mtf_log_line(stage->context->log, MTF_LOG_INFO, "learn.end",
                 "records=%lld sessions=%lld transitions=%lld duplicates=%lld bad=%lld lost=%lld "
                 "commits=%lld "
                 "rounds=%lld champion=%lld",
                 (long long)mtf_counter_get(&m->records), (long long)mtf_counter_get(&m->sessions),
                 (long long)mtf_counter_get(&m->rows), (long long)mtf_counter_get(&m->duplicates),
                 (long long)mtf_counter_get(&m->bad), (long long)mtf_counter_get(&m->lost),
                 (long long)mtf_counter_get(&m->commits), (long long)mtf_counter_get(&m->rounds),
                 (long long)mtf_counter_get(&m->champion));
    return status;
}

void learn_stage_close(learn_stage *stage)
{
    mtf_kafka_leader_close(stage->leader);
    mtf_learn_close(stage->loop);
    policy_writer_close(&stage->writer);
    if (stage->dead_letters.close) stage->dead_letters.close(stage->dead_letters.self);
    if (stage->source.close) stage->source.close(stage->source.self);
    mtf_decoder_close(stage->decoder);
    mtf_board_fini(&stage->board);
    *stage = (learn_stage){0};
}
