/** `mtf reward show|suggest`: what the reward's weights come to on the stored rows, and which ones
 *  the data speak for. Both read the learner's store, beside a learner too, and change nothing. */
#include "cli/cli.h"
#include "cli/json_text.h"
#include "learner/reward_study.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 1000000 /* more are sampled by user */

typedef struct reward_options {
    const char *time, *by;
    int64_t seed;
} reward_options;

static mtf_status study_store(const mtf_settings *s, mtf_reward_study *study, mtf_err *err)
{
    mtf_reward reward;
    mtf_store *store = NULL;
    mtf_status status = mtf_reward_parse(&reward, s->reward_weights, s->reward_clip, err);
    if (status == MTF_OK) status = mtf_store_open(s->store_path, NULL, true, &store, err);
    if (status == MTF_OK) status = mtf_reward_study_make(store, &reward, ROWS_MAX, study, err);
    if (status == MTF_OK && study->requests == 0)
        status = mtf_fail(err, MTF_INVALID, "store %s has no rows yet", s->store_path);
    mtf_store_close(store);
    return status;
}

static void print_source(const mtf_reward_study *study, const char *path)
{
    printf("store %s: %zu users, %lld requests, %lld items", path, study->users,
           (long long)study->requests, (long long)study->items);
    if (study->share > 1) printf(" (one user in %u)", study->share);
    printf("\n\n");
}

/** `{"name":...,"weight":...` of a signal, open for more. */
static void json_signal(const mtf_reward_term *term, bool first)
{
    mtf_buf name = {0};
    json_text_put(&name, mtf_str_of(term->name));
    printf("%s{\"name\":%.*s,\"weight\":%.9g", first ? "" : ",", (int)name.size,
           (const char *)name.data, term->weight);
    mtf_buf_fini(&name);
}

/** A number of JSON, which has no NaN. */
static void json_number(const char *name, double value)
{
    printf(isfinite(value) ? ",\"%s\":%.6g" : ",\"%s\":null", name, value);
}

static void json_interval(const char *name, const mtf_estimate *interval)
{
    printf(",\"%s\":", name);
    if (!isfinite(interval->value) || !isfinite(interval->low)) {
        printf("null");
        return;
    }
    printf("{\"value\":%.6g,\"ci\":[%.6g,%.6g]}", interval->value, interval->low, interval->high);
}

/* -- show -------------------------------------------------------- */

static void show_text(const mtf_reward_study *study, const double *weights)
{
    printf("%-16s %9s %9s %11s %11s %8s %8s %10s %8s\n", "signal", "weight", "clip", "a request",
           "deviation", "present", "clipped", "adds", "share");
    for (uint32_t k = 0; k < study->terms; k++) {
        const mtf_reward_term *term = &study->reward.terms[k];
        printf("%-16s %9.4g %9.4g %11.5g %11.5g %7.2f%% %7.2f%% %10.4g %7.1f%%\n", term->name,
               term->weight, term->clip, study->mean[k], sqrt(study->covariance[k][k]),
               100 * study->present[k], 100 * study->clipped[k], weights[k] * study->mean[k],
               100 * mtf_reward_share(study, weights, k));
    }
    printf("\na request: mean of the sum over its items, winsorised. present, clipped: shares of "
           "items. adds: to the mean\nreward of a request. share: of its variance, which is what "
           "learning goes by. clip 0: none.\n");
}

static void show_json(const mtf_reward_study *study, const double *weights)
{
    for (uint32_t k = 0; k < study->terms; k++) {
        const mtf_reward_term *term = &study->reward.terms[k];
        json_signal(term, k == 0);
        printf(",\"clip\":%.9g", term->clip);
        json_number("mean", study->mean[k]);
        json_number("deviation", sqrt(study->covariance[k][k]));
        json_number("present", study->present[k]);
        json_number("clipped", study->clipped[k]);
        json_number("adds", weights[k] * study->mean[k]);
        json_number("share", mtf_reward_share(study, weights, k));
        printf("}");
    }
}

static mtf_status show(mtf_cli *cli, const reward_options *o, mtf_err *err)
{
    (void)o;
    mtf_reward_study study = {0};
    double weights[MTF_REWARD_TERMS_MAX], mean = 0;
    const mtf_status status = study_store(&cli->settings, &study, err);
    if (status) return status;
    for (uint32_t k = 0; k < study.terms; k++) {
        weights[k] = study.reward.terms[k].weight;
        mean += weights[k] * study.mean[k];
    }
    const double deviation = mtf_reward_deviation(&study, weights);
    if (cli->json) {
        printf("{\"users\":%zu,\"requests\":%lld,\"items\":%lld,\"share_of_users\":%.6g,"
               "\"reward\":{\"mean\":%.6g,\"deviation\":%.6g},\"signals\":[",
               study.users, (long long)study.requests, (long long)study.items, 1.0 / study.share,
               mean, deviation);
        show_json(&study, weights);
        printf("]}\n");
    } else {
        print_source(&study, cli->settings.store_path);
        show_text(&study, weights);
        printf("\nreward of a request: mean %.5g, deviation %.5g\n", mean, deviation);
    }
    mtf_reward_study_fini(&study);
    return MTF_OK;
}

/* -- suggest ----------------------------------------------------- */

/** All that suggest prints. */
typedef struct suggestion {
    mtf_estimate totals[MTF_REWARD_TERMS_MAX], rates[MTF_REWARD_TERMS_MAX],
        weights[MTF_REWARD_TERMS_MAX];
} suggestion;

static mtf_status find_time(const mtf_reward_study *study, const char *name, uint32_t *time,
                            mtf_err *err)
{
    for (*time = 0; *time < study->terms; ++*time)
        if (strcmp(study->reward.terms[*time].name, name) == 0) return MTF_OK;
    return mtf_fail(
        err, MTF_INVALID,
        "--time %s: the store's rows have no such signal; name the one that is the time "
        "a user spends",
        name);
}

static mtf_status suggest_weights(const mtf_cli *cli, const reward_options *o,
                                  const mtf_reward_study *study, suggestion *out, mtf_err *err)
{
    uint32_t time;
    const int64_t draws = cli->settings.gate_bootstrap;
    const uint64_t seed = (uint64_t)o->seed;
    mtf_status status = find_time(study, o->time, &time, err);
    if (status == MTF_OK)
        status = mtf_reward_correlations(study, time, false, draws, seed, out->totals, err);
    if (status == MTF_OK)
        status = mtf_reward_correlations(study, time, true, draws, seed, out->rates, err);
    if (status) return status;
    mtf_reward_suggest(study, strcmp(o->by, "totals") == 0 ? out->totals : out->rates,
                       out->weights);
    return MTF_OK;
}

/** The suggested weights as the setting has them. */
static void print_weights(const mtf_reward_study *study, const suggestion *s)
{
    mtf_buf text = {0}, quoted = {0};
    for (uint32_t k = 0; k < study->terms; k++)
        mtf_buf_printf(&text, "%s%s=%.4g", k ? " " : "", study->reward.terms[k].name,
                       s->weights[k].value);
    json_text_put(&quoted, (mtf_str){(const char *)text.data, (uint32_t)text.size});
    printf("%.*s", (int)quoted.size, (const char *)quoted.data);
    mtf_buf_fini(&text);
    mtf_buf_fini(&quoted);
}

static void print_interval(const mtf_estimate *interval)
{
    if (isfinite(interval->value)) {
        printf("  %7.4f [%7.4f, %7.4f]", interval->value, interval->low, interval->high);
    } else {
        printf("  %7s %18s", "-", "does not vary");
    }
}

static void suggest_text(const mtf_reward_study *study, const reward_options *o,
                         const suggestion *s)
{
    printf("correlation over users with the total of %s, and its 95 %% interval\n\n%-16s  %-26s  "
           "%-26s %9s  %s\n",
           o->time, "signal", "totals", "rates (per request)", "weight", "suggested");
    for (uint32_t k = 0; k < study->terms; k++) {
        const mtf_estimate *w = &s->weights[k];
        printf("%-16s", study->reward.terms[k].name);
        print_interval(&s->totals[k]);
        print_interval(&s->rates[k]);
        printf(" %9.4g  %.4g [%.4g, %.4g]\n", study->reward.terms[k].weight, w->value, w->low,
               w->high);
    }
    printf("\nBy %s. 0: not told from none. A correlation is no cause; look at the signs before "
           "you take them.\n\nreward.weights: ",
           o->by);
    print_weights(study, s);
    printf("\n");
}

static void suggest_json(const mtf_reward_study *study, const reward_options *o,
                         const suggestion *s)
{
    printf("{\"users\":%zu,\"requests\":%lld,\"share_of_users\":%.6g,\"time\":\"%s\",\"by\":\"%s\","
           "\"signals\":[",
           study->users, (long long)study->requests, 1.0 / study->share, o->time, o->by);
    for (uint32_t k = 0; k < study->terms; k++) {
        json_signal(&study->reward.terms[k], k == 0);
        json_interval("totals", &s->totals[k]);
        json_interval("rates", &s->rates[k]);
        json_interval("suggested", &s->weights[k]);
        printf("}");
    }
    printf("],\"weights\":");
    print_weights(study, s);
    printf("}\n");
}

static mtf_status suggest(mtf_cli *cli, const reward_options *o, mtf_err *err)
{
    mtf_reward_study study = {0};
    suggestion s;
    if (strcmp(o->by, "rates") != 0 && strcmp(o->by, "totals") != 0)
        return mtf_fail(err, MTF_INVALID, "--by %s: say rates or totals", o->by);
    mtf_status status = study_store(&cli->settings, &study, err);
    if (status == MTF_OK) status = suggest_weights(cli, o, &study, &s, err);
    if (status == MTF_OK && !cli->json) print_source(&study, cli->settings.store_path);
    if (status == MTF_OK) (cli->json ? suggest_json : suggest_text)(&study, o, &s);
    mtf_reward_study_fini(&study);
    return status;
}

int mtf_command_reward(mtf_cli *cli, int argc, char **argv)
{
    reward_options o = {.time = "watch", .by = "rates", .seed = 1};
    const mtf_option options[] = {
        {"--time", MTF_OPTION_TEXT, &o.time, 0, 0, "SIGNAL",
         "of suggest: the time a user spends, default watch"},
        {"--by", MTF_OPTION_TEXT, &o.by, 0, 0, "WHAT",
         "of suggest: rates (behaviour per request; default) or totals (the paper's words; whoever "
         "comes more often has more of everything)"},
        {"--seed", MTF_OPTION_INT, &o.seed, 0, 1e15, "S",
         "of suggest: of the bootstrap, default 1"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "reward show|suggest [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    if (strcmp(what, "show") == 0)
        status = show(cli, &o, &err);
    else if (strcmp(what, "suggest") == 0)
        status = suggest(cli, &o, &err);
    else
        status = mtf_fail(&err, MTF_INVALID, "reward: say show or suggest");
    return mtf_cli_exit(status, &err);
}
