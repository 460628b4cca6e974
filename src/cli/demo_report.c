#include "cli/demo_report.h"

#include "core/file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static double gap_at(const demo_report *report, double value)
{
    const demo_reference *r = &report->reference;
    return (value - r->initial) / (r->best_personalised - r->initial);
}

double demo_gap_closed(const demo_report *report)
{
    if (report->round_count == 0) return NAN;
    return gap_at(report, report->rounds[report->round_count - 1].policy.mean);
}

void demo_print_head(FILE *out)
{
    fprintf(out, "\n%5s %9s %11s  %-28s %-22s %6s %6s %5s %6s  %s\n", "round", "sessions",
            "transitions", "reward per session (95 %)", "baseline", "gap", "gauc", "out", "train",
            "gate");
}

/** "54%", "0.3%"; "-" where it was not measured; no "-0%". */
static const char *percent(char text[16], double share, int digits)
{
    const double unit = digits ? 0.001 : 0.01;
    if (!isfinite(share)) return "-";
    if (fabs(share) < unit / 2) share = 0;
    snprintf(text, 16, "%.*f%%", digits, 100 * share);
    return text;
}

void demo_print_round(FILE *out, const demo_report *report, const demo_round *round)
{
    char policy[40], baseline[40], gap[16], outside[16];
    snprintf(policy, sizeof policy, "%.3f [%.3f, %.3f]", round->policy.mean, round->policy.low,
             round->policy.high);
    snprintf(baseline, sizeof baseline, "%.3f [%.3f, %.3f]", round->baseline.mean,
             round->baseline.low, round->baseline.high);
    fprintf(out, "%5lld %9lld %11lld  %-28s %-22s %6s %6.3f %5s %5.1fs  %s: %s\n",
            (long long)round->round, (long long)round->sessions, (long long)round->transitions,
            policy, baseline, percent(gap, gap_at(report, round->policy.mean), 0),
            round->gauc_policy, percent(outside, round->outside_box, 1), round->train_seconds,
            round->verdict, round->reason);
    fflush(out);
}

void demo_print_end(FILE *out, const demo_report *report)
{
    const demo_reference *r = &report->reference;
    if (isfinite(r->initial))
        fprintf(
            out,
            "\nreference values of this world (`mtf simulate --describe`): start %.3f, best myopic "
            "%.3f, best "
            "constant %.3f, best personalised %.3f\n",
            r->initial, r->best_myopic, r->best_constant, r->best_personalised);
    fprintf(out, "sessions: %lld simulated, %lld stored (%lld of them cut at the cap)\n",
            (long long)report->sessions_simulated, (long long)report->sessions_stored,
            (long long)report->cap_cuts);
    if (!isfinite(r->initial)) {
        fprintf(out, "there is no reference of what this world allows; %.0f s\n",
                report->total_seconds);
        return;
    }
    fprintf(out,
            "the policy closed %.0f %% of the gap between the start and the best personalised "
            "policy, in %.0f s\n",
            100 * demo_gap_closed(report), report->total_seconds);
}

/** A real, or null where it was not measured. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *value_json(const demo_value *value)
{
    return json_pack("{s:o, s:[o,o]}", "mean", number(value->mean), "ci", number(value->low),
                     number(value->high));
}

static json_t *round_json(const demo_round *round)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:{s:o, s:o}, s:{s:o, s:o}, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}",
        "round", (json_int_t)round->round, "policy_version", (json_int_t)round->policy_version,
        "sessions", (json_int_t)round->sessions, "transitions", (json_int_t)round->transitions,
        "value", "baseline", value_json(&round->baseline), "policy", value_json(&round->policy),
        "gauc", "baseline", number(round->gauc_baseline), "policy", number(round->gauc_policy),
        "outside_box", number(round->outside_box), "critic_spread", number(round->critic_spread),
        "gate", round->verdict, "reason", round->reason, "train_seconds",
        number(round->train_seconds), "ingest_events_per_second",
        number(round->ingest_events_per_second), "simulate_seconds",
        number(round->simulate_seconds), "evaluate_seconds", number(round->evaluate_seconds));
}

mtf_status demo_write_json(const char *path, const demo_report *report, mtf_err *err)
{
    const demo_reference *r = &report->reference;
    json_t *rounds = json_array();
    for (int i = 0; i < report->round_count; i++)
        json_array_append_new(rounds, round_json(&report->rounds[i]));
    json_t *root = json_pack(
        "{s:o, s:{s:o, s:o, s:o, s:o}, s:s, s:s, s:I, s:{s:I, s:I, s:I}, s:o, s:o}", "rounds",
        rounds, "reference", "initial", number(r->initial), "best_constant",
        number(r->best_constant), "best_personalised", number(r->best_personalised), "best_myopic",
        number(r->best_myopic), "preset", report->preset, "control", report->control, "seed",
        (json_int_t)report->seed, "reconciliation", "simulated",
        (json_int_t)report->sessions_simulated, "stored", (json_int_t)report->sessions_stored,
        "cap_cuts", (json_int_t)report->cap_cuts, "gap_closed", number(demo_gap_closed(report)),
        "total_seconds", number(report->total_seconds));
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    mtf_status status = MTF_OK;
    if (!text) {
        status = mtf_fail(err, MTF_NOMEM, "out of memory writing %s", path);
    } else {
        status = mtf_file_replace(path, (mtf_span){(const uint8_t *)text, strlen(text)}, err);
    }
    free(text);
    json_decref(root);
    return status;
}
