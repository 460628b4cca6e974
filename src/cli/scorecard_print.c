#include "cli/scorecard_print.h"

#include "cli/json_text.h"

#include <math.h>
#include <stdio.h>

/** Rows of the version judged on that are not judged, and why. */
typedef struct left_out {
    int64_t unexplored, cut;
} left_out;

static left_out count_left_out(const scorecard_about *about)
{
    const mtf_cohort *judged = about->judged;
    left_out out = {0};
    for (size_t i = 0; i < judged->rows; i++) {
        if (judged->version[i] != about->logged) continue;
        out.unexplored += !judged->logged[i];
        out.cut += judged->logged[i] && !judged->eligible[i];
    }
    return out;
}

void scorecard_print_text(const scorecard_about *about, const mtf_scorecard *card)
{
    const left_out out = count_left_out(about);
    const mtf_policy_info *info = &about->policy->info;
    printf("policy %s version %lld, judged on what version %lld explored\n"
           "%lld requests of %lld sessions of %lld users; left out: %lld requests that were not "
           "explored;\n%lld of sessions whose end is not known count for single requests only\n",
           info->name, (long long)info->version, (long long)about->logged, (long long)card->rows,
           (long long)card->sessions, (long long)card->users, (long long)out.unexplored,
           (long long)out.cut);
    printf(
        "%.1f %% of the policy's action dimensions lie outside the box by more than 0.05\n"
        "importance weights: the boxes hold %.1f %% of the smoothed policy, %.0f requests count\n"
        "GAUC: %lld users and %lld requests have no pair to rank; returns: discounted by %g\n\n",
        100 * card->outside_share, 100 * card->support, card->effective,
        (long long)card->gauc_skipped_users, (long long)card->gauc_skipped_requests, about->gamma);
    printf("%-22s %10s  %22s %9s %6s %8s %8s  %s\n", "metric", "value", "95 % interval", "se", "z",
           "of", "users", "what");
    for (size_t i = 0; i < card->count; i++) {
        const mtf_estimate *e = &card->scores[i].estimate;
        printf("%-22s %10.5g  %10.5g .. %8.5g %9.3g %6.2f %8lld %8lld  %s\n", card->scores[i].name,
               e->value, e->low, e->high, e->se, e->z, (long long)e->rows, (long long)e->users,
               card->scores[i].what);
    }
}

static void put_number(mtf_buf *out, const char *name, double value)
{
    mtf_buf_printf(out, isfinite(value) ? ",\"%s\":%.9g" : ",\"%s\":null", name, value);
}

static void put_numbers(mtf_buf *out, const char *name, const double *values, uint32_t count)
{
    mtf_buf_printf(out, ",\"%s\":[", name);
    for (uint32_t d = 0; d < count; d++)
        mtf_buf_printf(out, isfinite(values[d]) ? "%s%.9g" : "%snull", d ? "," : "", values[d]);
    mtf_buf_put_u8(out, ']');
}

static void put_metric(mtf_buf *out, const mtf_score *metric)
{
    const mtf_estimate *e = &metric->estimate;
    mtf_buf_printf(out, "{\"name\":\"%s\"", metric->name);
    put_number(out, "value", e->value);
    put_number(out, "low", e->low);
    put_number(out, "high", e->high);
    put_number(out, "se", e->se);
    put_number(out, "z", e->z);
    mtf_buf_printf(out, ",\"rows\":%lld,\"users\":%lld}", (long long)e->rows, (long long)e->users);
}

void scorecard_print_json(const scorecard_about *about, const mtf_scorecard *card)
{
    const left_out out = count_left_out(about);
    const mtf_policy_info *info = &about->policy->info;
    mtf_buf line = {0};
    mtf_buf_printf(&line, "{\"policy\":");
    json_text_put(&line, mtf_str_of(info->name));
    mtf_buf_printf(&line,
                   ",\"version\":%lld,\"logged_version\":%lld,\"requests\":%lld,\"sessions\":%lld,"
                   "\"users\":%lld,\"unexplored\":%lld,\"cut\":%lld,\"gauc_skipped_users\":%lld,"
                   "\"gauc_skipped_requests\":%lld",
                   (long long)info->version, (long long)about->logged, (long long)card->rows,
                   (long long)card->sessions, (long long)card->users, (long long)out.unexplored,
                   (long long)out.cut, (long long)card->gauc_skipped_users,
                   (long long)card->gauc_skipped_requests);
    put_number(&line, "gamma", about->gamma);
    put_number(&line, "outside_share", card->outside_share);
    put_number(&line, "support", card->support);
    put_number(&line, "effective_requests", card->effective);
    put_numbers(&line, "drift", card->drift, card->action_dim);
    put_numbers(&line, "effect", card->effect, card->action_dim);
    mtf_buf_printf(&line, ",\"metrics\":[");
    for (size_t i = 0; i < card->count; i++) {
        if (i) mtf_buf_put_u8(&line, ',');
        put_metric(&line, &card->scores[i]);
    }
    mtf_buf_printf(&line, "]}\n");
    fwrite(line.data, 1, line.size, stdout);
    mtf_buf_fini(&line);
}
