#include "ops/families.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/** A counter of ours: where it is in its struct, and what it is called. */
typedef struct counted {
    size_t offset;
    mtf_metric metric;
} counted;

static void put_rows(mtf_exposition *out, const void *counts, const counted *rows, size_t count,
                     const mtf_label *labels, size_t label_count)
{
    for (size_t i = 0; i < count; i++) {
        const void *counter = (const char *)counts + rows[i].offset;
        mtf_exposition_put(out, &rows[i].metric, labels, label_count,
                           (double)mtf_counter_get(counter));
    }
}
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* -- the program -------------------------------------------------- */

/** Wall-clock seconds at which this process started, by the kernel; NaN where it does not tell. */
static double start_seconds(void)
{
    char text[1024];
    unsigned long long ticks = 0, boot_s = 0;
    FILE *stat = fopen("/proc/self/stat", "r");
    if (stat && fgets(text, sizeof text, stat)) {
        const char *at = strrchr(text, ')'); /* the name before it may hold anything */
        if (!at || sscanf(at + 1,
                          " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                          "%*d %*d %llu",
                          &ticks) != 1)
            ticks = 0;
    }
    if (stat) fclose(stat);
    FILE *boot = fopen("/proc/stat", "r");
    while (boot && fgets(text, sizeof text, boot))
        if (sscanf(text, "btime %llu", &boot_s) == 1) break;
    if (boot) fclose(boot);
    if (!ticks || !boot_s) return (double)NAN;
    return (double)boot_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    const bool told = statm && fscanf(statm, "%*d %ld", &pages) == 1;
    if (statm) fclose(statm);
    return told ? (double)pages * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void mtf_families_program(mtf_exposition *out, const char *version, const char *librdkafka)
{
    static const mtf_metric build = {"mtf_build_info", MTF_METRIC_GAUGE,
                                     "always 1; what this program was built from and runs with"};
    static const mtf_metric start = {"process_start_time_seconds", MTF_METRIC_GAUGE,
                                     "when this process started, seconds since the epoch"};
    static const mtf_metric cpu = {"process_cpu_seconds_total", MTF_METRIC_COUNTER,
                                   "processor time this process has used"};
    static const mtf_metric memory = {"process_resident_memory_bytes", MTF_METRIC_GAUGE,
                                      "memory of this process that is in RAM"};
    const mtf_label labels[] = {{"version", version}, {"librdkafka", librdkafka}};
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    mtf_exposition_put(out, &build, labels, 2, 1);
    mtf_exposition_put(out, &start, NULL, 0, start_seconds());
    mtf_exposition_put(out, &cpu, NULL, 0, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    mtf_exposition_put(out, &memory, NULL, 0, resident_bytes());
}

/* -- stages ------------------------------------------------------- */

void mtf_families_sessionize(mtf_exposition *out, const mtf_sessionize_counters *counters,
                             const char *member)
{
    const mtf_label label = {"member", member};
    for (int i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        const mtf_sessionize_counter counter = (mtf_sessionize_counter)i;
        const bool gauge = counter == MTF_SESSIONIZE_HELD || counter == MTF_SESSIONIZE_OPEN;
        char name[MTF_METRIC_NAME_CHARS];
        snprintf(name, sizeof name, "mtf_sessionize_%s%s", mtf_sessionize_counter_name(counter),
                 gauge ? "" : "_total");
        const mtf_metric metric = {name, gauge ? MTF_METRIC_GAUGE : MTF_METRIC_COUNTER,
                                   mtf_sessionize_counter_help(counter)};
        mtf_exposition_put(out, &metric, &label, member ? 1 : 0,
                           (double)mtf_sessionize_get(counters, counter));
    }
}

void mtf_families_learn(mtf_exposition *out, const mtf_learn_metrics *metrics)
{
#define ROW(field, name, kind, help)                                                               \
    {                                                                                              \
        offsetof(mtf_learn_metrics, field),                                                        \
        {                                                                                          \
            "mtf_learn_" name, MTF_METRIC_##kind, help                                             \
        }                                                                                          \
    }
    static const counted rows[] = {
        ROW(records, "records_total", COUNTER, "session records read"),
        ROW(sessions, "sessions_total", COUNTER, "sessions stored"),
        ROW(rows, "rows_total", COUNTER, "transitions stored"),
        ROW(duplicates, "duplicates_total", COUNTER, "session records that were stored already"),
        ROW(bad, "bad_total", COUNTER, "session records that cannot be used: dead letters"),
        ROW(lost, "lost_total", COUNTER, "records gone before they were read, accepted as lost"),
        ROW(commits, "commits_total", COUNTER, "synced writes of rows with their positions"),
        ROW(rounds, "rounds_ended", GAUGE, "rounds this store has seen the end of"),
        ROW(champion, "champion", GAUGE, "policy version whose rows are collected, 0 for none"),
    };
#undef ROW
    put_rows(out, metrics, rows, COUNT(rows), NULL, 0);
}

/* -- policies ----------------------------------------------------- */

void mtf_policy_metrics_head(mtf_policy_metrics *metrics, int64_t version, int64_t created_ms)
{
    atomic_store_explicit(&metrics->version, version, memory_order_relaxed);
    atomic_store_explicit(&metrics->created_ms, created_ms, memory_order_relaxed);
}

void mtf_policy_metrics_trial(mtf_policy_metrics *metrics, int64_t canary, int64_t shadow)
{
    atomic_store_explicit(&metrics->canary, canary, memory_order_relaxed);
    atomic_store_explicit(&metrics->shadow, shadow, memory_order_relaxed);
}

void mtf_policy_metrics_refused(mtf_policy_metrics *metrics, int64_t refused)
{
    atomic_store_explicit(&metrics->refused, refused, memory_order_relaxed);
}

void mtf_policy_metrics_round(mtf_policy_metrics *metrics, const mtf_round_report *report)
{
    mtf_counter_add(&metrics->verdicts[report->verdict.kind], 1);
    atomic_store_explicit(&metrics->value, report->evidence.value, memory_order_relaxed);
    atomic_store_explicit(&metrics->value_z, report->evidence.value_z, memory_order_relaxed);
    atomic_store_explicit(&metrics->train_seconds, report->train_seconds, memory_order_relaxed);
}

void mtf_families_leader(mtf_exposition *out, bool standby)
{
    static const mtf_metric leading = {
        "mtf_learn_leading", MTF_METRIC_GAUGE,
        "1: this learner trains and publishes; 0: another one does, or will when it has joined"};
    mtf_exposition_put(out, &leading, NULL, 0, standby ? 0 : 1);
}

static void put_trial(mtf_exposition *out, const mtf_metric *metric, mtf_label policy,
                      const char *stage, const mtf_counter *version)
{
    const mtf_label labels[] = {policy, {"stage", stage}};
    mtf_exposition_put(out, metric, labels, 2, (double)mtf_counter_get(version));
}

void mtf_families_policy(mtf_exposition *out, const mtf_policy_metrics *metrics, const char *name,
                         int64_t now_ms)
{
    static const mtf_metric version = {"mtf_policy_version", MTF_METRIC_GAUGE,
                                       "version of the served policy, 0 for none"};
    static const mtf_metric trial = {
        "mtf_policy_trial_version", MTF_METRIC_GAUGE,
        "version on trial in this stage (gate.stages), 0 for none; no round begins meanwhile"};
    static const mtf_metric age = {"mtf_policy_age_seconds", MTF_METRIC_GAUGE,
                                   "since the served policy was made, NaN for none"};
    static const mtf_metric refused = {
        "mtf_policy_refused_total", MTF_METRIC_COUNTER,
        "records of the policy topics that were no usable policies, unsigned and altered ones "
        "among them; each was logged as policy.refused"};
    static const mtf_metric rounds = {"mtf_rounds_total", MTF_METRIC_COUNTER,
                                      "rounds that this process ended, by the gate's verdict"};
    static const mtf_metric value = {"mtf_round_value", MTF_METRIC_GAUGE,
                                     "the last round's estimated gain over the policy that logged"};
    static const mtf_metric value_z = {"mtf_round_value_z", MTF_METRIC_GAUGE,
                                       "that gain in standard errors; gate.z must be reached"};
    static const mtf_metric seconds = {"mtf_round_train_seconds", MTF_METRIC_GAUGE,
                                       "how long the last round trained"};
    const mtf_label policy = {"policy", name};
    const int64_t created_ms = mtf_counter_get(&metrics->created_ms);
    mtf_exposition_put(out, &version, &policy, 1, (double)mtf_counter_get(&metrics->version));
    put_trial(out, &trial, policy, "canary", &metrics->canary);
    put_trial(out, &trial, policy, "shadow", &metrics->shadow);
    mtf_exposition_put(out, &age, &policy, 1,
                       created_ms ? (double)(now_ms - created_ms) / 1000 : (double)NAN);
    mtf_exposition_put(out, &refused, &policy, 1, (double)mtf_counter_get(&metrics->refused));
    for (int kind = 0; kind <= MTF_VERDICT_REJECT; kind++) {
        const mtf_label labels[] = {policy, {"verdict", mtf_verdict_text((mtf_verdict_kind)kind)}};
        mtf_exposition_put(out, &rounds, labels, 2,
                           (double)mtf_counter_get(&metrics->verdicts[kind]));
    }
    mtf_exposition_put(out, &value, &policy, 1, atomic_load(&metrics->value));
    mtf_exposition_put(out, &value_z, &policy, 1, atomic_load(&metrics->value_z));
    mtf_exposition_put(out, &seconds, &policy, 1, atomic_load(&metrics->train_seconds));
}

/* -- Kafka -------------------------------------------------------- */

void mtf_families_kafka_source(mtf_exposition *out, const mtf_kafka_source_counts *counts,
                               const char *topic, const char *member)
{
#define ROW(field, name, kind, help)                                                               \
    {                                                                                              \
        offsetof(mtf_kafka_source_counts, field),                                                  \
        {                                                                                          \
            "mtf_kafka_source_" name, MTF_METRIC_##kind, help                                      \
        }                                                                                          \
    }
    static const counted rows[] = {
        ROW(messages, "messages_total", COUNTER, "records handed to the stage, re-reads included"),
        ROW(bytes, "bytes_total", COUNTER, "their keys and values"),
        ROW(gaps, "gaps_total", COUNTER, "offsets asked for that never came"),
        ROW(rebalances, "rebalances_total", COUNTER, "assignments taken"),
        ROW(partitions, "partitions", GAUGE, "partitions that are ours now"),
    };
#undef ROW
    const mtf_label labels[] = {{"topic", topic}, {"member", member}};
    put_rows(out, counts, rows, COUNT(rows), labels, member ? 2 : 1);
}

typedef struct partition_view {
    mtf_exposition *out;
    int64_t (*end)(const void *arg, int32_t partition);
    const void *arg;
    const char *topic, *member;
} partition_view;

static void put_partition(void *arg, const mtf_board_row *row)
{
    static const mtf_metric lag = {
        "mtf_kafka_consumer_lag", MTF_METRIC_GAUGE,
        "offsets between the next to be read and the end that the brokers told last"};
    static const mtf_metric watermark = {
        "mtf_sessionize_watermark_timestamp_seconds", MTF_METRIC_GAUGE,
        "event time up to which sessions were closed, less gap and grace"};
    const partition_view *view = arg;
    char partition[16];
    snprintf(partition, sizeof partition, "%d", (int)row->partition);
    const mtf_label labels[] = {
        {"topic", view->topic}, {"partition", partition}, {"member", view->member}};
    const size_t label_count = view->member ? 3 : 2;
    const int64_t end = view->end(view->arg, row->partition);
    if (end >= 0 && row->next_offset >= 0)
        mtf_exposition_put(view->out, &lag, labels, label_count,
                           end > row->next_offset ? (double)(end - row->next_offset) : 0);
    if (row->watermark_ms != MTF_BOARD_NO_WATERMARK)
        mtf_exposition_put(view->out, &watermark, labels, label_count,
                           (double)row->watermark_ms / 1000);
}

void mtf_families_partitions(mtf_exposition *out, mtf_board *board,
                             int64_t (*end)(const void *arg, int32_t partition), const void *arg,
                             const char *topic, const char *member)
{
    partition_view view = {out, end, arg, topic, member};
    mtf_board_read(board, put_partition, &view);
}

void mtf_families_kafka_sink(mtf_exposition *out, const mtf_kafka_sink_counts *counts,
                             const char *stage, const char *member)
{
#define ROW(field, name, kind, help)                                                               \
    {                                                                                              \
        offsetof(mtf_kafka_sink_counts, field),                                                    \
        {                                                                                          \
            "mtf_kafka_sink_" name, MTF_METRIC_##kind, help                                        \
        }                                                                                          \
    }
    static const counted rows[] = {
        ROW(produced, "produced_total", COUNTER, "records given to the client library"),
        ROW(acked, "acked_total", COUNTER, "records the brokers acknowledged"),
        ROW(failed, "failed_total", COUNTER, "records that were not delivered"),
        ROW(bytes, "bytes_total", COUNTER, "keys and values of the produced"),
    };
#undef ROW
    const mtf_label labels[] = {{"stage", stage}, {"member", member}};
    put_rows(out, counts, rows, COUNT(rows), labels, member ? 2 : 1);
}
