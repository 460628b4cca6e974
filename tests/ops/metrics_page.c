/** Prints docs/metrics.md, or with --text an exposition of every family, for an independent parser.
 *  Made of the program's own families, so the page cannot name what does not exist. */
#include "ops/families.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "# Metrics and health\n\n"
    "With `http.port` set, `mtf sessionize`, `learn` and `run` answer on `http.bind` (loopback "
    "unless "
    "set otherwise),\n"
    "without TLS or passwords, and change nothing:\n\n"
    "| Path | Answer |\n|---|---|\n"
    "| `/healthz`, `/ping` | 200 while every stage's loop moves; 503 and a line for each that has "
    "not "
    "for `http.stalled_ms`. Waiting for brokers, and training, count as moving: an outage restarts "
    "nothing |\n"
    "| `/readyz`, `/ready` | 200 when the brokers answer, partitions were assigned (none of them "
    "is an "
    "assignment too: a standby is ready) and no partition is being rebuilt from the log; else 503 "
    "and "
    "a line for each reason |\n"
    "| `/version` | what the program was built from and runs with, JSON |\n"
    "| `/metrics` | what follows |\n\n"
    "`mtf healthcheck -c FILE [--ready]` asks the stage with the same settings on this machine and "
    "ends with 0 or 1:\n"
    "a container needs no other program for its probes.\n\n## Metrics\n\n"
    "In Prometheus' text format. This page is made by `build/release/tests/ops/metrics_page`; a "
    "test "
    "compares.\n"
    "Counters are since the process started; a restart begins at 0, as Prometheus' `rate()` "
    "expects.\n"
    "What the sessionizer counts is what was committed: work that an abort took back is not in "
    "it.\n"
    "`member` is there when `sessionize.threads` is above 1.\n\n";

static const char tail[] =
    "\n## What to watch\n\n"
    "| Alarm | When | Then |\n|---|---|---|\n"
    "| the stage is down or not ready | `up == 0`, or `/readyz` fails, for 5 minutes | `/readyz` "
    "says "
    "why, line by line |\n"
    "| events are lost | `increase(mtf_kafka_source_gaps_total[1h]) > 0` or "
    "`increase(mtf_sessionize_offsets_lost_total[1h]) > 0` | retention overtook the reader: raise "
    "it, "
    "or add members |\n"
    "| units are given up again and again | `rate(mtf_sessionize_aborts_total[10m]) > "
    "rate(mtf_sessionize_commits_total[10m])` | the log's `sessionize.abort` lines say why |\n"
    "| a producer sends what cannot be used | "
    "`rate({__name__=~\"mtf_sessionize_dead_.*_total\"}[10m]) "
    "> 0` | the headers of the dead letters say why |\n"
    "| many events are late | `rate(mtf_sessionize_late_total[1h]) / "
    "rate(mtf_sessionize_records_in_total[1h]) > 0.01` | raise `sessionize.grace_ms`, or mend the "
    "producer's clock |\n"
    "| learning stands still | `increase(mtf_rounds_total[1d]) == 0` | too few sessions, or a "
    "learner "
    "without its topic |\n"
    "| the gate rejects | `increase(mtf_rounds_total{verdict=\"reject\"}[1d]) > 0` | the log's "
    "`round.end` line says which check |\n\n"
    "Reconciliation: at every commit `records_in + events_restored` equals the sum of "
    "`session_events`, `late`,\n`late_no_request`, `late_double_signal`, every `dead_*`, "
    "`duplicates`, "
    "`over_cap`, `too_large`, `events_held` and\n`events_released` (all `mtf_sessionize_*`). A "
    "scrape "
    "between two counters' updates may be off by one commit.\n";

static int64_t end_of(const void *arg, int32_t partition)
{
    (void)arg;
    return 7 + partition;
}

static void collect(mtf_exposition *out)
{
    mtf_board board;
    static const mtf_sessionize_counters sessionize;
    static const mtf_learn_metrics learn;
    static const mtf_policy_metrics policies;
    static const mtf_kafka_source_counts source;
    static const mtf_kafka_sink_counts sink;
    mtf_families_program(out, "0.0.0", "0.0.0");
    for (int i = 0; i < 2; i++) {
        const char *member = i ? "1" : "0";
        mtf_families_sessionize(out, &sessionize, member);
        mtf_families_kafka_source(out, &source, "mtf.exploration", member);
        mtf_families_kafka_sink(out, &sink, "sessionize", member);
    }
    mtf_families_learn(out, &learn);
    mtf_families_leader(out, false);
    mtf_families_policy(out, &policies, "a \"policy\"\\\n", 0);
    mtf_families_kafka_source(out, &source, "mtf.sessions", NULL);
    mtf_families_kafka_sink(out, &sink, "learn", NULL);
    mtf_board_init(&board);
    mtf_board_begin(&board);
    for (int32_t i = 0; i < 2; i++)
        mtf_board_put(&board, (mtf_board_row){.partition = i, .next_offset = 5, .watermark_ms = 1});
    mtf_board_end(&board);
    mtf_families_partitions(out, &board, end_of, NULL, "mtf.exploration", "0");
    mtf_families_partitions(out, &board, end_of, NULL, "mtf.exploration", "1");
    mtf_families_partitions(out, &board, end_of, NULL, "mtf.sessions", NULL);
    mtf_board_fini(&board);
}

int main(int argc, char **argv)
{
    const bool text = argc == 2 && strcmp(argv[1], "--text") == 0;
    mtf_exposition out = {0};
    mtf_buf page = {0};
    mtf_err err = {0};
    collect(&out);
    if (!text) mtf_buf_printf(&page, "%s", head);
    const mtf_status status =
        text ? mtf_exposition_render(&out, &page, &err) : mtf_exposition_table(&out, &page, &err);
    if (!text) mtf_buf_printf(&page, "%s", tail);
    if (status == MTF_OK) fwrite(page.data, 1, page.size, stdout);
    mtf_buf_fini(&page);
    mtf_exposition_fini(&out);
    return status == MTF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
