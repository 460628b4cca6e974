/** The metric families, all of them; docs/metrics.md is made from here. Counters of a stage are
 *  since its process started. Reading never waits for a stage. */
#ifndef MTF_OPS_FAMILIES_H
#define MTF_OPS_FAMILIES_H

#include "core/board.h"
#include "ingest/kafka_sink.h"
#include "ingest/kafka_source.h"
#include "learner/learn.h"
#include "ops/exposition.h"
#include "sessionize/counters.h"

/** What a round and the policy topic told last; written by the learner's thread. */
typedef struct mtf_policy_metrics {
    mtf_counter version, created_ms; /* of the head of the policy topic; 0: none seen */
    mtf_counter refused;             /* records of both policy topics */
    mtf_counter canary, shadow;      /* versions on trial; 0: none */
    mtf_counter verdicts[MTF_VERDICT_REJECT + 1];
    _Atomic double value, value_z, train_seconds; /* of the last round that was judged */
} mtf_policy_metrics;

void mtf_policy_metrics_head(mtf_policy_metrics *metrics, int64_t version, int64_t created_ms);
/** What is on trial, as last read; 0: nothing. */
void mtf_policy_metrics_trial(mtf_policy_metrics *metrics, int64_t canary, int64_t shadow);
/** refused: so far, in all. */
void mtf_policy_metrics_refused(mtf_policy_metrics *metrics, int64_t refused);
void mtf_policy_metrics_round(mtf_policy_metrics *metrics, const mtf_round_report *report);

void mtf_families_program(mtf_exposition *out, const char *version, const char *librdkafka);
/** member: of sessionize.threads, NULL when there is one. */
void mtf_families_sessionize(mtf_exposition *out, const mtf_sessionize_counters *counters,
                             const char *member);
void mtf_families_learn(mtf_exposition *out, const mtf_learn_metrics *metrics);
/** standby: it waits for another learner to end. */
void mtf_families_leader(mtf_exposition *out, bool standby);
void mtf_families_policy(mtf_exposition *out, const mtf_policy_metrics *metrics, const char *name,
                         int64_t now_ms);
void mtf_families_kafka_source(mtf_exposition *out, const mtf_kafka_source_counts *counts,
                               const char *topic, const char *member);
/** Of each row: how far it is from the end, which `end` knows (-1: not yet), and its watermark if
 * it has one. A partition that moves between members of a process may be seen at both for a moment.
 */
void mtf_families_partitions(mtf_exposition *out, mtf_board *board,
                             int64_t (*end)(const void *arg, int32_t partition), const void *arg,
                             const char *topic, const char *member);
void mtf_families_kafka_sink(mtf_exposition *out, const mtf_kafka_sink_counts *counts,
                             const char *stage, const char *member);

#endif
