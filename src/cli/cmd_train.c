/** `mtf train FILE.avro ... --out POLICY`: one round of learning on what files hold, by the round's
 *  own steps: survey, training with checkpoints, evaluation, gate, record. No Kafka: the record is
 *  written to a file whatever the verdict, which it carries. */
#include "cli/cli.h"
#include "cli/cmd_policy.h"
#include "cli/logged_version.h"
#include "cli/train_rows.h"
#include "core/file.h"
#include "core/progress.h"
#include "learner/export.h"
#include "learner/rounds.h"
#include "publish/gate.h"
#include "publish/policy_states.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct train_options {
    const char *out, *checkpoint, *state, *parent;
    int64_t logged;
} train_options;

typedef struct training {
    mtf_cli *cli;
    const train_options *options;
    mtf_buf folder; /* NUL-terminated */
    mtf_reward reward;
    mtf_action_table table;
    char states[17]; /* the id of policy.state, "": not set */
    mtf_policy_keys *keys;
    mtf_store *store;
    mtf_policy *parent; /* of --parent, or a stand-in that has the version that logged */
    mtf_rounds *rounds;
    mtf_progress progress;
    /* what came of it */
    bool judged;          /* there is a record, or of a learner without one a checkpoint */
    mtf_policy_info info; /* its record's; of a learner without a record its numbers alone */
    mtf_round_report report;
} training;

/* -- what the round asks ----------------------------------------- */

static mtf_status hook_head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    const training *t = arg;
    *champion = mtf_policy_clone(t->parent);
    *newest_version = t->parent->info.version;
    return *champion ? MTF_OK : mtf_fail(err, MTF_NOMEM, "train: out of memory");
}

static bool hook_due(void *arg, int64_t sessions)
{
    (void)arg, (void)sessions;
    return true;
}

static mtf_status hook_gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                            mtf_verdict *verdict, mtf_err *err)
{
    training *t = arg;
    const mtf_gate_config gate = mtf_gate_config_of(&t->cli->settings);
    mtf_policy_info *info = candidate ? &candidate->info : &t->info;
    (void)err;
    mtf_gate_decide(&gate, evidence, verdict);
    mtf_gate_record(evidence, info);
    mtf_gate_record_verdict(&gate, verdict, info);
    t->judged = !candidate; /* a record must first be written */
    return MTF_OK;
}

static mtf_status hook_publish(void *arg, mtf_policy *candidate, mtf_err *err)
{
    training *t = arg;
    mtf_buf record = {0};
    memcpy(candidate->info.state_schema, t->states, sizeof t->states);
    mtf_status status = mtf_policy_encode_signed(candidate, t->keys, &record, err);
    if (status == MTF_OK) status = mtf_file_replace(t->options->out, mtf_buf_span(&record), err);
    t->info = candidate->info;
    t->judged = true;
    mtf_buf_fini(&record);
    return status;
}

static void hook_progress(void *arg, const char *what, int64_t done, int64_t total)
{
    training *t = arg;
    if (!t->progress.what || strcmp(t->progress.what, what) != 0)
        mtf_progress_begin(&t->progress, what, strcmp(what, "train") == 0 ? "steps" : "fits", total,
                           false);
    mtf_progress_at(&t->progress, done);
    if (done == total) mtf_progress_end(&t->progress, done);
}

static void hook_report(void *arg, const mtf_round_report *report)
{
    ((training *)arg)->report = *report;
}

/* -- the round --------------------------------------------------- */

static mtf_status check(const mtf_cli *cli, const train_options *o, mtf_err *err)
{
    if (cli->word_count == 0)
        return mtf_fail(err, MTF_INVALID,
                        "train: name the Avro files of events or sessions (`mtf simulate --out "
                        "FILE` writes one, scripts/transitions-to-avro.py makes one of arrays)");
    if (o->parent && o->logged >= 0)
        return mtf_fail(err, MTF_INVALID,
                        "train: --parent trains on what its own version explored: leave --logged "
                        "away");
    const mtf_algorithm_ops *ops = mtf_algorithm_find(cli->settings.learner_algorithm);
    const bool recorded = ops && ops->actor;
    if (recorded && !o->out)
        return mtf_fail(err, MTF_INVALID, "train: say with --out FILE where the policy goes");
    if (!recorded && o->out)
        return mtf_fail(err, MTF_INVALID,
                        "train: --out: the policy of %s is a search, which no policy record can "
                        "hold: leave --out away, and keep what it learns with --checkpoint FILE",
                        cli->settings.learner_algorithm);
    if (!recorded && !o->checkpoint)
        return mtf_fail(err, MTF_INVALID,
                        "train: say with --checkpoint FILE where what %s learns goes",
                        cli->settings.learner_algorithm);
    return MTF_OK;
}

static mtf_status open_settings(training *t, mtf_err *err)
{
    const mtf_settings *s = &t->cli->settings;
    const train_options *o = t->options;
    mtf_status status = mtf_reward_parse(&t->reward, s->reward_weights, s->reward_clip, err);
    if (status == MTF_OK) status = mtf_reward_group(&t->reward, s->reward_groups, err);
    if (status == MTF_OK) status = mtf_action_table_parse(&t->table, s->policy_actions, err);
    if (status == MTF_OK) status = mtf_policy_states_id(s, t->states, err);
    if (status == MTF_OK)
        status = mtf_policy_keys_open(s->policy_signing_key_file, s->policy_public_key_file, true,
                                      &t->keys, err);
    if (status) return status;
    if (o->state)
        mtf_buf_printf(&t->folder, "%s", o->state);
    else
        mtf_buf_printf(&t->folder, "%s.state", o->out ? o->out : o->checkpoint);
    return t->folder.failed ? mtf_fail(err, MTF_NOMEM, "train: out of memory") : MTF_OK;
}

/** The policy that logged: --parent, or one of zeros that only has its version. */
static mtf_status open_parent(training *t, mtf_err *err)
{
    const train_options *o = t->options;
    const mtf_row_shape shape = mtf_store_shape(t->store);
    int64_t version;
    if (o->parent) {
        mtf_status status = policy_file_read(t->cli, o->parent, &t->parent, err);
        if (status) return status;
        if (mtf_policy_user_dim(t->parent) != mtf_row_user_dim(&shape) ||
            t->parent->action_dim != t->table.count)
            return mtf_fail(err, MTF_INVALID,
                            "train: --parent %.150s maps %u features to %u numbers, the settings "
                            "(policy.state_dim, policy.actions) say %u and %u",
                            o->parent, mtf_policy_user_dim(t->parent), t->parent->action_dim,
                            mtf_row_user_dim(&shape), t->table.count);
        if (t->parent->per_item != (shape.list > 0) ||
            t->parent->item_features != shape.feature_count)
            return mtf_fail(
                err, MTF_INVALID,
                "train: --parent %.150s has %s with %u features of an item, the "
                "settings (policy.list, policy.item_features) have it otherwise",
                o->parent, t->parent->per_item ? "an action for each item" : "one action a request",
                t->parent->item_features);
        status = mtf_policy_states_check(t->states, t->parent, err);
        if (status) return status;
        return logged_version(t->store, "train", t->parent->info.version, -1, &version, err);
    }
    const uint32_t widths[] = {mtf_row_user_dim(&shape) + mtf_row_item_dim(&shape), t->table.count};
    const mtf_status status = logged_version(t->store, "train", o->logged, -1, &version, err);
    if (status) return status;
    t->parent = mtf_export_zeros(&shape, &t->table, widths, 1);
    if (!t->parent) return mtf_fail(err, MTF_NOMEM, "train: out of memory");
    t->parent->info.version = version;
    snprintf(t->parent->info.algorithm, sizeof t->parent->info.algorithm, "initial");
    return MTF_OK;
}

static mtf_status run_round(training *t, mtf_err *err)
{
    const mtf_rounds_config config = {
        .settings = &t->cli->settings,
        .reward = &t->reward,
        .table = &t->table,
        .store = t->store,
        .hooks = {.arg = t,
                  .head = hook_head,
                  .gate = hook_gate,
                  .publish = hook_publish,
                  .due = hook_due,
                  .progress = hook_progress,
                  .report = hook_report},
        .log = &t->cli->log,
        .stop = t->cli->stop,
        .unserved = true,
        .checkpoint = t->options->checkpoint,
    };
    mtf_status status = mtf_rounds_open(&config, &t->rounds, err);
    if (status == MTF_OK) status = mtf_rounds_tick(t->rounds, err);
    if (status == MTF_CLOSED)
        return mtf_fail(err, MTF_CLOSED, "train: stopped; the same command goes on from %.200s",
                        (const char *)t->folder.data);
    MTF_ASSERT(status != MTF_OK || mtf_rounds_ended(t->rounds) == 1); /* no hook says "not now" */
    return status;
}

/* -- what is said ------------------------------------------------ */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void print_json(const training *t)
{
    const mtf_settings *s = &t->cli->settings;
    const mtf_round_report *r = &t->report;
    json_t *numbers = json_object();
    for (uint32_t i = 0; i < t->info.number_count; i++)
        json_object_set_new(numbers, t->info.numbers[i].name, number(t->info.numbers[i].value));
    json_t *all =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s?, s:s?, s:f, s:f, s:o}",
                  "algorithm", s->learner_algorithm, "seed", (json_int_t)s->learner_seed, "steps",
                  (json_int_t)s->learner_steps, "logged_version", (json_int_t)r->parent, "version",
                  (json_int_t)r->version, "transitions", (json_int_t)r->transitions, "truncated",
                  (json_int_t)r->truncated, "heldout_rows", (json_int_t)r->heldout_rows, "verdict",
                  mtf_verdict_text(r->verdict.kind), "reason", r->verdict.reason, "record",
                  t->options->out, "checkpoint", t->options->checkpoint, "train_seconds",
                  r->train_seconds, "evaluate_seconds", r->evaluate_seconds, "numbers", numbers);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(all);
}

static void print_text(const training *t)
{
    const mtf_settings *s = &t->cli->settings;
    const mtf_round_report *r = &t->report;
    printf("%s: %lld steps on %lld transitions of version %lld; %lld rows held out, %lld truncated "
           "and left out\n",
           s->learner_algorithm, (long long)s->learner_steps, (long long)r->transitions,
           (long long)r->parent, (long long)r->heldout_rows, (long long)r->truncated);
    printf("verdict: %s: %s\n", mtf_verdict_text(r->verdict.kind), r->verdict.reason);
    for (uint32_t i = 0; i < t->info.number_count; i++)
        printf("  %-30s %.6g\n", t->info.numbers[i].name, t->info.numbers[i].value);
    if (t->options->out) printf("record: %s\n", t->options->out);
    if (t->options->checkpoint) printf("checkpoint: %s\n", t->options->checkpoint);
}

static mtf_status train(training *t, mtf_err *err)
{
    mtf_status status = open_settings(t, err);
    if (status == MTF_OK)
        status = train_rows_open(t->cli, (const char *)t->folder.data, &t->store, err);
    if (status == MTF_OK) status = open_parent(t, err);
    if (status == MTF_OK) status = run_round(t, err);
    if (status) return status;
    if (!t->judged)
        return mtf_fail(err, MTF_SKIP, "train: no policy came of it: %s", t->report.verdict.reason);
    (t->cli->json ? print_json : print_text)(t);
    return MTF_OK;
}

/** The folder goes once the round has ended, whatever its verdict. */
static mtf_status close_all(training *t, mtf_status status, mtf_err *err)
{
    const bool ended = t->rounds && mtf_rounds_ended(t->rounds) > 0;
    mtf_rounds_close(t->rounds);
    mtf_store_close(t->store);
    mtf_policy_free(t->parent);
    mtf_policy_keys_free(t->keys);
    if (ended) {
        mtf_err why = {0};
        const mtf_status removed = train_rows_remove((const char *)t->folder.data, &why);
        if (status == MTF_OK && removed) status = mtf_fail(err, removed, "%s", why.msg);
    }
    mtf_buf_fini(&t->folder);
    return status;
}

int mtf_command_train(mtf_cli *cli, int argc, char **argv)
{
    train_options o = {.logged = -1};
    const char *algorithm = NULL, *steps = NULL, *seed = NULL;
    const mtf_option options[] = {
        {"--out", MTF_OPTION_TEXT, &o.out, 0, 0, "FILE", "where the policy record goes"},
        {"--checkpoint", MTF_OPTION_TEXT, &o.checkpoint, 0, 0, "FILE",
         "also keep everything that was learned, critics included"},
        {"--state", MTF_OPTION_TEXT, &o.state, 0, 0, "DIR",
         "rows and checkpoints while it works: the same command goes on after an interruption; "
         "default FILE.state, removed at the end"},
        {"--parent", MTF_OPTION_TEXT, &o.parent, 0, 0, "FILE",
         "the policy that logged, a record: training goes on from its network"},
        {"--logged", MTF_OPTION_INT, &o.logged, 0, 1e15, "V",
         "train on what was explored under it; default the newest, and with --parent its own"},
        {"--algorithm", MTF_OPTION_TEXT, &algorithm, 0, 0, "NAME", "the setting learner.algorithm"},
        {"--steps", MTF_OPTION_TEXT, &steps, 0, 0, "N", "the setting learner.steps"},
        {"--seed", MTF_OPTION_TEXT, &seed, 0, 0, "S", "the setting learner.seed"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "train FILE.avro ... --out POLICY", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_OK && algorithm)
        status =
            mtf_settings_set(&cli->settings, "learner.algorithm", algorithm, "--algorithm", &err);
    if (status == MTF_OK && steps)
        status = mtf_settings_set(&cli->settings, "learner.steps", steps, "--steps", &err);
    if (status == MTF_OK && seed)
        status = mtf_settings_set(&cli->settings, "learner.seed", seed, "--seed", &err);
    if (status == MTF_OK) status = check(cli, &o, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    training t = {.cli = cli, .options = &o};
    status = train(&t, &err);
    status = close_all(&t, status, &err);
    return mtf_cli_exit_work(status, &err);
}
