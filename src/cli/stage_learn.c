/** The learner against Kafka: sessions in, policies out, the gate between. */
#include "cli/stages.h"
#include "core/clock.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_sink.h"

#include <stdio.h>
#include <string.h>

static mtf_status hook_head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    learn_stage *stage = arg;
    const mtf_policy *policy;
    *newest_version = 0;
    const mtf_status status = policy_head_read(&stage->head, &policy, err);
    *champion = NULL;
    if (status == MTF_OK && !policy && stage->head.refused > 0) {
        return mtf_fail(err, MTF_CORRUPT,
                        "topic %s: every record of policy %s was refused (see policy.refused), so "
                        "its last version is unknown and no first one is published; put a good "
                        "record back, or give the policy another name",
                        stage->context->settings->topics_policy, stage->head.name);
    }
    if (status != MTF_OK || !policy) return status;
    mtf_policy_metrics_head(&stage->policies, policy->info.version, policy->info.created_ms);
    *champion = mtf_policy_clone(policy);
    return *champion ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for the served policy");
}

static mtf_status hook_gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                            mtf_verdict *verdict, mtf_err *err)
{
    learn_stage *stage = arg;
    const mtf_policy *head;
    mtf_gate_decide(&stage->gate, evidence, verdict);
    const mtf_status status = policy_head_read(&stage->head, &head, err);
    if (status != MTF_OK) return status;
    mtf_policy_compare(head, candidate, verdict);
    mtf_gate_record(evidence, &candidate->info);
    mtf_gate_record_verdict(verdict, &candidate->info);
    return MTF_OK;
}

static mtf_status hook_publish(void *arg, mtf_policy *candidate, mtf_err *err)
{
    learn_stage *stage = arg;
    const mtf_policy *head;
    mtf_verdict verdict = {.kind = MTF_VERDICT_PROMOTE};
    const mtf_status status = policy_head_read(&stage->head, &head, err);
    if (status != MTF_OK) return status;
    if (mtf_policy_is_servable(&candidate->info)) {
        mtf_policy_compare(head, candidate, &verdict);
        if (verdict.kind != MTF_VERDICT_PROMOTE)
            mtf_gate_record_verdict(&verdict, &candidate->info);
    }
    const mtf_status published =
        mtf_policy_publish(candidate, stage->keys, &stage->topics, &stage->sink, err);
    if (published == MTF_OK && mtf_policy_is_servable(&candidate->info))
        mtf_policy_metrics_head(&stage->policies, candidate->info.version,
                                candidate->info.created_ms);
    return published;
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
                 "heldout_rows=%lld value=%.4g value_se=%.4g value_z=%.3g skill_z=%.3g "
                 "outside=%.4f phi=%.3f "
                 "gauc_baseline=%.4f gauc_policy=%.4f train_s=%.1f",
                 (long long)report->round, (long long)report->parent, (long long)report->version,
                 mtf_verdict_text(report->verdict.kind), report->verdict.reason, report->cold,
                 (long long)report->sessions, (long long)report->transitions,
                 (long long)report->heldout_rows, report->evidence.value, report->evidence.value_se,
                 report->evidence.value_z, report->evidence.skill_z, report->outside_box,
                 report->phi, report->evaluation.gauc_baseline, report->evaluation.gauc_policy,
                 report->train_seconds);
    if (stage->watch.report) stage->watch.report(stage->watch.arg, report);
}

/** Topics are there; copies the cluster's id. */
static mtf_status check_cluster(const stage_context *context, char *cluster, size_t cluster_size,
                                mtf_err *err)
{
    const mtf_settings *s = context->settings;
    const char *const topics[] = {s->topics_sessions, s->topics_policy, s->topics_policy_history,
                                  s->topics_dead_letter};
    mtf_kafka_client *client = NULL;
    const mtf_status status =
        stage_client_open(context, topics, sizeof topics / sizeof *topics, &client, err);
    if (status == MTF_OK) snprintf(cluster, cluster_size, "%s", mtf_kafka_client_cluster(client));
    mtf_kafka_client_close(client);
    return status;
}

static mtf_status open_pipes(learn_stage *stage, mtf_err *err)
{
    const mtf_settings *s = stage->context->settings;
    /* A transaction leaves an offset without a record behind. */
    const bool continuous = strcmp(s->sessionize_delivery, "at-least-once") == 0;
    const mtf_kafka_source_config config = {
        .topic = s->topics_sessions, .group = s->learner_group, .count_gaps = continuous};
    mtf_kafka_source *kafka = NULL;
    mtf_status status = stage_decoder_open(s, STAGE_SESSIONS, &stage->decoder, err);
    if (status == MTF_OK)
        status = mtf_kafka_source_open(s, stage->context->log, &config, &kafka, err);
    if (status != MTF_OK) return status;
    stage->sessions = mtf_decoder_sessions(stage->decoder);
    stage->source = mtf_kafka_source_pipe(kafka);
    status = mtf_kafka_sink_open(s, stage->context->log, NULL, &stage->sink, err);
    if (status == MTF_OK) status = policy_head_open(&stage->head, stage->context, false, err);
    return status;
}

mtf_status learn_stage_open(learn_stage *stage, const stage_context *context,
                            const learn_watch *watch, bool accept_loss, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    char cluster[200] = "";
    *stage = (learn_stage){.context = context,
                           .gate = mtf_gate_config_of(s),
                           .topics = {s->topics_policy, s->topics_policy_history}};
    mtf_board_init(&stage->board);
    if (watch) stage->watch = *watch;
    mtf_status status = stage_settings_check(s, STAGE_SESSIONS, err);
    if (status == MTF_OK) {
        status = mtf_policy_keys_open(s->policy_signing_key_file, s->policy_public_key_file, true,
                                      &stage->keys, err);
    }
    if (status == MTF_OK) status = check_cluster(context, cluster, sizeof cluster, err);
    if (status == MTF_OK) status = open_pipes(stage, err);
    if (status != MTF_OK) return status;
    const mtf_learn_config config = {
        .settings = s,
        .source = &stage->source,
        .decoder = &stage->sessions,
        .dead_letters = &stage->sink,
        .cluster_id = cluster,
        .hooks = {.arg = stage,
                  .head = hook_head,
                  .gate = hook_gate,
                  .publish = hook_publish,
                  .due = stage->watch.due ? hook_due : NULL,
                  .progress = hook_progress,
                  .report = hook_report},
        .log = context->log,
        .board = &stage->board,
        .stop = context->stop,
        .accept_loss = accept_loss,
        .continuous = strcmp(s->sessionize_delivery, "at-least-once") == 0,
    };
    return mtf_learn_open(&config, &stage->loop, err);
}

mtf_status learn_stage_run(learn_stage *stage, mtf_err *err)
{
    const mtf_status status = mtf_learn_run(stage->loop, err);
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
    mtf_learn_close(stage->loop);
    policy_head_close(&stage->head);
    mtf_policy_keys_free(stage->keys);
    if (stage->sink.close) stage->sink.close(stage->sink.self);
    if (stage->source.close) stage->source.close(stage->source.self);
    mtf_decoder_close(stage->decoder);
    mtf_board_fini(&stage->board);
    *stage = (learn_stage){0};
}
