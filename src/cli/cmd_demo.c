/** `mtf demo`: the closed loop with no server to install. What it proves and what it does not is in
 *  the README: the brokers are librdkafka's mock ones, delivery is at-least-once, users are
 * simulated. */
#include "cli/cli.h"
#include "cli/demo.h"
#include "cli/demo_report.h"
#include "core/clock.h"
#include "core/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct demo_options {
    int64_t rounds, sessions, seed, evaluate;
    const char *json, *control;
    bool items, quiet;
} demo_options;

/** The preset "demo-1". Settings from a file, the environment or --set win over it. */
static const char *const preset[] = {
    "log.level",
    "warn",
    "learner.hidden",
    "64",
    "learner.critics",
    "24",
    "learner.steps",
    "3000",
    "gate.fqe_refits", /* no interval: a round takes seconds */
    "0",
    "sessionize.allow_create_time",
    "true",
    "sessionize.commit_interval_ms",
    "50",
    "sessionize.delivery", /* mock brokers have no real transactions */
    "at-least-once",
    "sessionize.idle_timeout_ms",
    "0",
    "sessionize.instance",
    "demo",
    "store.commit_interval_ms",
    "50",
    "topics.leader", /* one learner, brokers of its own */
    "",
    "kafka.producer.linger.ms",
    "5",
    NULL,
};
#define PRESET_NAME "demo-1"
/* Evaluation users are of another seed than those of the rounds. */
#define EVALUATION_SEED 0x6d7466u

static mtf_status open_sim(const mtf_cli *cli, const demo_options *o, mtf_sim **sim, mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    mtf_sim_config config = mtf_sim_config_default();
    config.seed = (uint64_t)o->seed;
    config.sessions = (uint32_t)o->sessions;
    config.users = (uint32_t)(o->sessions + 2) / 3;
    config.explore = MTF_SIM_EXPLORE_BOX;
    config.box = -1;                          /* as the served policy says */
    config.start_ms = INT64_C(1767225600000); /* 2026-01-01: simulated time, no clock is read */
    config.separation_ms = 2 * (s->sessionize_gap_ms + s->sessionize_grace_ms);
    config.max_duration_ms = s->sessionize_max_duration_ms;
    config.actions = s->policy_actions;
    config.reward_weights = s->reward_weights;
    config.reward_clip = s->reward_clip;
    config.items = o->items;
    config.item_noise_shared = strcmp(s->policy_item_noise, "shared") == 0;
    if (strcmp(o->control, "shuffled-rewards") == 0) {
        config.shuffle_rewards = true;
    } else if (strcmp(o->control, "none") != 0 && strcmp(o->control, "no-exploration") != 0) {
        return mtf_fail(err, MTF_INVALID,
                        "--control %s: say none, no-exploration or shuffled-rewards", o->control);
    }
    return mtf_sim_open(&config, sim, err);
}

static mtf_status evaluate(const mtf_sim *sim, const mtf_policy *policy, const demo_options *o,
                           demo_value *value, mtf_err *err)
{
    mtf_sim_value v;
    const uint64_t seed = EVALUATION_SEED + (uint64_t)o->seed * 1000003u;
    const mtf_status status =
        mtf_sim_evaluate(sim, policy, (uint32_t)o->evaluate, seed, 2, NULL, &v, err);
    if (status == MTF_OK) *value = (demo_value){v.mean, v.low, v.high};
    return status;
}

static void fill_round(demo_round *row, const demo_outcome *outcome)
{
    const mtf_round_report *r = &outcome->report;
    row->sessions = outcome->simulated.sessions;
    row->transitions = outcome->simulated.requests;
    row->gauc_baseline = r->evaluation.gauc_baseline;
    row->gauc_policy = r->evaluation.gauc_policy;
    row->outside_box = r->outside_box;
    row->critic_spread = r->critic_spread;
    row->train_seconds = r->train_seconds;
    row->simulate_seconds = outcome->simulate_seconds;
    row->ingest_events_per_second = (double)outcome->simulated.events / outcome->simulate_seconds;
    snprintf(row->verdict, sizeof row->verdict, "%s", mtf_verdict_text(r->verdict.kind));
    snprintf(row->reason, sizeof row->reason, "%s", r->verdict.reason);
}

static mtf_status run_round(demo_loop *loop, const mtf_sim *sim, const demo_options *o,
                            demo_report *report, mtf_err *err)
{
    const mtf_policy *policy;
    demo_outcome outcome;
    demo_round *row = &report->rounds[report->round_count];
    *row = (demo_round){.round = report->round_count + 1};
    mtf_status status = demo_loop_policy(loop, &policy, err);
    if (status != MTF_OK) return status;
    const int64_t served = policy->info.version;
    /* The same users and draws every time: only the first champion and a new one need evaluating.
     */
    if (report->round_count > 0) {
        row->baseline = row[-1].policy;
    } else {
        status = evaluate(sim, policy, o, &row->baseline, err);
    }
    if (status == MTF_OK)
        status = demo_loop_round(loop, (uint32_t)report->round_count, &outcome, err);
    if (status != MTF_OK) return status;
    fill_round(row, &outcome);
    report->sessions_simulated += outcome.simulated.sessions;
    report->cap_cuts += outcome.simulated.cap_cuts;
    report->sessions_stored = demo_loop_stored(loop);
    status = demo_loop_policy(loop, &policy, err);
    if (status != MTF_OK) return status;
    const int64_t started_ns = mtf_clock_mono_ns();
    row->policy_version = policy->info.version;
    row->policy = row->baseline;
    if (policy->info.version != served) status = evaluate(sim, policy, o, &row->policy, err);
    row->evaluate_seconds = (double)(mtf_clock_mono_ns() - started_ns) / 1e9;
    if (status == MTF_OK) report->round_count++;
    return status;
}

static mtf_status run_rounds(mtf_cli *cli, const mtf_sim *sim, const demo_options *o,
                             demo_report *report, mtf_err *err)
{
    demo_loop *loop = NULL;
    const demo_loop_config config = {&cli->settings, &cli->log, cli->stop, sim,
                                     o->sessions,    o->quiet};
    mtf_status status = demo_loop_open(&config, &loop, err);
    if (status == MTF_OK) demo_print_head(stdout);
    for (int64_t round = 0; status == MTF_OK && round < o->rounds; round++) {
        status = run_round(loop, sim, o, report, err);
        if (status == MTF_OK) demo_print_round(stdout, report, &report->rounds[round]);
    }
    return loop ? demo_loop_close(loop, status, err) : status;
}

/** The store and everything else on disk lives in a temporary folder for the demo's time. */
static mtf_status with_folder(mtf_cli *cli, const mtf_sim *sim, const demo_options *o,
                              demo_report *report, mtf_err *err)
{
    const char *parent = getenv("TMPDIR");
    char folder[3000], store[3100];
    snprintf(folder, sizeof folder, "%s/mtf-demo-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        return mtf_fail(err, MTF_IO, "cannot make a folder like %s; set TMPDIR to another place",
                        folder);
    snprintf(store, sizeof store, "%s/store", folder);
    mtf_status status = mtf_settings_set(&cli->settings, "store.path", store, "demo", err);
    if (status == MTF_OK) status = run_rounds(cli, sim, o, report, err);
    mtf_err removal;
    if (mtf_folder_remove(folder, &removal) != MTF_OK) fprintf(stderr, "mtf: %s\n", removal.msg);
    return status;
}

/** Before minutes of work, not after them. */
static mtf_status check_writable(const char *path, mtf_err *err)
{
    FILE *file = fopen(path, "a");
    if (!file) return mtf_fail(err, MTF_IO, "--json %s: %s", path, strerror(errno));
    fclose(file);
    return MTF_OK;
}

/** What check_writable made and nothing was written to. */
static void remove_if_empty(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0) unlink(path);
}

/** What can be reached, as far as it was ever searched for: not where items matter. */
static mtf_status read_reference(const mtf_sim *sim, const demo_options *o,
                                 demo_reference *reference, mtf_err *err)
{
    const double nan = (double)NAN;
    mtf_sim_reference known;
    *reference = (demo_reference){nan, nan, nan, nan};
    if (o->items) return MTF_OK;
    const mtf_status status = mtf_sim_reference_get(sim, &known, err);
    if (status == MTF_OK)
        *reference = (demo_reference){known.initial.mean, known.best_constant.mean,
                                      known.best_personalised.mean, known.best_myopic.mean};
    return status;
}

static mtf_status demo(mtf_cli *cli, const demo_options *o, mtf_err *err)
{
    mtf_sim *sim = NULL;
    demo_report *report = calloc(1, sizeof *report);
    if (!report) return mtf_fail(err, MTF_NOMEM, "no memory for the report");
    const int64_t started_ns = mtf_clock_mono_ns();
    char seed[32];
    snprintf(seed, sizeof seed, "%lld", (long long)o->seed);
    mtf_status status = mtf_settings_set(&cli->settings, "learner.seed", seed, "--seed", err);
    if (status == MTF_OK && strcmp(o->control, "no-exploration") == 0) {
        status = mtf_settings_set(&cli->settings, "policy.box", "0", "--control", err);
    }
    if (status == MTF_OK && o->json) status = check_writable(o->json, err);
    if (status == MTF_OK) status = open_sim(cli, o, &sim, err);
    if (status == MTF_OK) status = read_reference(sim, o, &report->reference, err);
    if (status == MTF_OK) {
        printf("mtf demo: simulated users, librdkafka's in-process mock brokers, at-least-once "
               "delivery; everything "
               "else is what runs in production.\n%lld rounds of %lld sessions, seed %lld, "
               "preset " PRESET_NAME ", OpenBLAS core %s\n",
               (long long)o->rounds, (long long)o->sessions, (long long)o->seed, cli->blas_core);
        report->preset = PRESET_NAME;
        report->control = o->control;
        report->seed = o->seed;
        status = with_folder(cli, sim, o, report, err);
    }
    report->total_seconds = (double)(mtf_clock_mono_ns() - started_ns) / 1e9;
    if (status == MTF_OK) demo_print_end(stdout, report);
    if (status == MTF_OK && o->json) status = demo_write_json(o->json, report, err);
    if (status != MTF_OK && o->json) remove_if_empty(o->json);
    if (sim) mtf_sim_close(sim);
    free(report);
    return status;
}

int mtf_command_demo(mtf_cli *cli, int argc, char **argv)
{
    demo_options o = {
        .rounds = 5, .sessions = 90000, .seed = 1, .evaluate = 100000, .control = "none"};
    const mtf_option options[] = {
        {"--rounds", MTF_OPTION_INT, &o.rounds, 1, DEMO_ROUNDS_MAX, "N", "rounds, default 5"},
        {"--sessions", MTF_OPTION_INT, &o.sessions, 10, 10000000, "N",
         "sessions a round, default 90000"},
        {"--seed", MTF_OPTION_INT, &o.seed, 0, 1e9, "S", "of users, draws and training, default 1"},
        {"--evaluate", MTF_OPTION_INT, &o.evaluate, 100, 10000000, "N",
         "fresh sessions a policy is valued on"},
        {"--json", MTF_OPTION_TEXT, &o.json, 0, 0, "FILE", "write the report as JSON"},
        {"--control", MTF_OPTION_TEXT, &o.control, 0, 0, "C",
         "none | no-exploration | shuffled-rewards: null controls that must not improve"},
        {"--items", MTF_OPTION_FLAG, &o.items, 0, 0, NULL,
         "users for whom the best weights depend on the item: learner.algorithm=enhanced, "
         "policy.list=5, policy.item_features=4"},
        {"--quiet", MTF_OPTION_FLAG, &o.quiet, 0, 0, NULL, "no progress bars"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "demo [options]", options,
                                     sizeof options / sizeof *options, preset, &err);
    if (status == MTF_OK && cli->word_count > 0) {
        status = mtf_fail(&err, MTF_INVALID, "demo: '%s' is not expected here", cli->words[0]);
    }
    if (status == MTF_OK && strcmp(cli->settings.gate_stages, "live") != 0)
        status = mtf_fail(&err, MTF_INVALID,
                          "demo: gate.stages is %s, and the demo serves all users one policy; try "
                          "stages with `mtf run` and `mtf simulate`",
                          cli->settings.gate_stages);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    status = demo(cli, &o, &err);
    if (status != MTF_CLOSED) return mtf_cli_exit(status, &err);
    fprintf(stderr, "mtf demo: stopped before its end; no report is written\n");
    return MTF_EXIT_FAILED;
}
