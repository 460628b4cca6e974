/** `mtf evaluate --policy FILE | --version V [FILE.avro ...]`: what a policy is worth, estimated
 * from what another one explored: rows of the learner's store, or of files of events. */
#include "cli/cli.h"
#include "cli/cmd_policy.h"
#include "cli/file_store.h"
#include "cli/logged_version.h"
#include "cli/scorecard_print.h"
#include "core/progress.h"

#include <stdlib.h>
#include <string.h>

typedef struct evaluate_options {
    const char *policy, *users, *mean;
    int64_t version, logged, draws, refits, steps, seed;
    double half_width, cap, rate;
    bool plain;
} evaluate_options;

/** Everything that is opened on the way. */
typedef struct evaluation {
    mtf_cli *cli;
    const evaluate_options *options;
    mtf_policy *own;          /* of a file */
    policy_head head;         /* of the topic */
    const mtf_policy *policy; /* one of them */
    file_store files;
    mtf_store *stored;      /* the settings' */
    const mtf_store *store; /* one of them */
    mtf_reward reward;
    mtf_selection selection;
    mtf_store_position *cut;
    mtf_survey survey;
    mtf_normaliser normaliser;
    mtf_cohort judged, training;
    mtf_pool *pool;
    mtf_progress progress;
} evaluation;

static mtf_status check(const evaluate_options *o, mtf_err *err)
{
    if ((o->policy != NULL) == (o->version > 0))
        return mtf_fail(err, MTF_INVALID,
                        "evaluate: say which policy: --policy FILE (a record, `mtf policy export "
                        "--format record`) or --version V of the policy topic");
    if (strcmp(o->users, "heldout") != 0 && strcmp(o->users, "all") != 0)
        return mtf_fail(err, MTF_INVALID, "--users %s: say heldout or all", o->users);
    if (strcmp(o->mean, "impressions") != 0 && strcmp(o->mean, "weights") != 0 &&
        strcmp(o->mean, "equal") != 0)
        return mtf_fail(err, MTF_INVALID, "--gauc-mean %s: say impressions, weights or equal",
                        o->mean);
    return MTF_OK;
}

/* -- what is opened ---------------------------------------------- */

static mtf_status open_policy(evaluation *e, mtf_err *err)
{
    const evaluate_options *o = e->options;
    mtf_status status = o->policy ? policy_file_read(e->cli, o->policy, &e->own, err)
                                  : policy_topic_read(e->cli, true, &e->head, err);
    if (status) return status;
    const char *name = e->cli->settings.policy_name;
    e->policy = o->policy ? e->own : mtf_policy_book_find(&e->head.book, name, o->version);
    if (e->policy) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "no policy '%s' of version %lld; `mtf policy list --history` shows what there "
                    "is",
                    name, (long long)o->version);
}

static mtf_status open_store(evaluation *e, mtf_err *err)
{
    const mtf_settings *s = &e->cli->settings;
    const bool of_files = e->cli->word_count > 0;
    mtf_status status = of_files ? file_store_make(e->cli, "evaluate", &e->files, err)
                                 : mtf_store_open(s->store_path, NULL, true, &e->stored, err);
    if (status == MTF_OK)
        status = mtf_reward_parse(&e->reward, s->reward_weights, s->reward_clip, err);
    if (status) return status;
    e->store = of_files ? e->files.store : e->stored;
    const mtf_row_shape shape = mtf_store_shape(e->store);
    const mtf_policy *policy = e->policy;
    if (shape.signal_count != e->reward.count)
        return mtf_fail(err, MTF_INVALID,
                        "evaluate: the rows have %u signals and reward.weights names %u; use the "
                        "settings the store was made with",
                        shape.signal_count, e->reward.count);
    if (mtf_row_user_dim(&shape) == mtf_policy_user_dim(policy) &&
        mtf_row_item_actions(&shape) == policy->action_dim &&
        shape.prediction_count == policy->table.prediction_count &&
        (shape.list > 0) == policy->per_item && shape.feature_count == policy->item_features)
        return MTF_OK;
    if ((shape.list > 0) != policy->per_item)
        return mtf_fail(err, MTF_INVALID,
                        "evaluate: the policy has %s and the rows have %s (policy.list)",
                        policy->per_item ? "an action for each item" : "one action a request",
                        policy->per_item ? "one action a request" : "an action for each item");
    return mtf_fail(err, MTF_INVALID,
                    "evaluate: the policy maps %u features to %u numbers over %u predictions, the "
                    "rows have %u, %u and %u: it is another recommender's",
                    mtf_policy_user_dim(policy), policy->action_dim, policy->table.prediction_count,
                    mtf_row_user_dim(&shape), mtf_row_item_actions(&shape), shape.prediction_count);
}

static mtf_status select_rows(evaluation *e, mtf_err *err)
{
    size_t count;
    const mtf_store_position *positions = mtf_store_positions(e->store, &count);
    mtf_status status = logged_version(e->store, "evaluate", e->options->logged,
                                       e->policy->info.parent, &e->selection.version, err);
    if (status) return status;
    e->cut = calloc(count + 1, sizeof *e->cut);
    if (!e->cut) return mtf_fail(err, MTF_NOMEM, "evaluate: out of memory");
    memcpy(e->cut, positions, count * sizeof *e->cut);
    const bool all = strcmp(e->options->users, "all") == 0;
    e->selection.cut = e->cut;
    e->selection.cut_count = count;
    e->selection.holdout_percent = all ? 0 : e->cli->settings.round_holdout_percent;
    if (!mtf_selection_days(&e->selection, e->store))
        return mtf_fail(err, MTF_SKIP, "evaluate: the rows of version %lld are gone (retention)",
                        (long long)e->selection.version);
    status = mtf_normaliser_init(&e->normaliser, mtf_store_shape(e->store).state_dim, err);
    if (status == MTF_OK)
        status =
            mtf_survey_make(e->store, &e->selection, &e->reward, &e->survey, &e->normaliser, err);
    return status;
}

/** A policy on rows of this shape. */
typedef struct row_actor {
    const mtf_policy *policy;
    mtf_row_shape shape;
} row_actor;

/** What it says of a row: of each item, where each has its own action. */
static void act(const void *arg, const float *state, float *action)
{
    const row_actor *actor = arg;
    const uint32_t list = actor->shape.list, A = actor->policy->action_dim;
    const size_t S = mtf_row_user_dim(&actor->shape), D = mtf_row_item_dim(&actor->shape);
    float seen[MTF_POLICY_WIDTH_MAX];
    if (list == 0) mtf_policy_act(actor->policy, state, action);
    memcpy(seen, state, S * sizeof *seen);
    for (size_t j = 0; j < list; j++) {
        memcpy(seen + S, state + S + list + j * D, D * sizeof *seen);
        mtf_policy_act(actor->policy, seen, action + j * A);
    }
}

/** Held-out users are judged by models of the others; with --users all there are no others. */
static mtf_status load_cohorts(evaluation *e, mtf_err *err)
{
    const mtf_settings *s = &e->cli->settings;
    const mtf_row_shape shape = mtf_store_shape(e->store);
    const int64_t row_bytes = 4 * (shape.state_dim + 5 * (int64_t)shape.action_dim) + 512;
    const row_actor actor = {e->policy, shape};
    const bool apart = e->selection.holdout_percent > 0;
    const mtf_survey *survey = &e->survey;
    const int64_t others = survey->rows + survey->truncated + survey->unexplored;
    mtf_cohort_config config = {
        .selection = &e->selection,
        .reward = &e->reward,
        .normaliser = &e->normaliser,
        .gamma = s->learner_gamma,
        .heldout = apart,
        .rows_max = (s->learner_feed_mb << 20) / 2 / row_bytes,
        .rows = apart ? survey->heldout_rows : others,
        .act = act,
        .policy = &actor,
    };
    mtf_status status = mtf_cohort_load(e->store, &config, &e->judged, err);
    if (status || !apart) return status;
    config.heldout = false;
    config.rows = others;
    return mtf_cohort_load(e->store, &config, &e->training, err);
}

/* -- the scorecard ----------------------------------------------- */

static void show_fits(void *arg, int64_t done, int64_t total)
{
    evaluation *e = arg;
    if (done <= (int64_t)mtf_pool_threads(e->pool))
        mtf_progress_begin(&e->progress, "evaluate", "fits", total, false);
    mtf_progress_at(&e->progress, done);
    if (done == total) mtf_progress_end(&e->progress, done);
}

static mtf_gauc_mean mean_of(const char *word)
{
    return strcmp(word, "equal") == 0     ? MTF_GAUC_EQUAL
           : strcmp(word, "weights") == 0 ? MTF_GAUC_WEIGHTS
                                          : MTF_GAUC_IMPRESSIONS;
}

static mtf_status make_scorecard(evaluation *e, mtf_scorecard *card, mtf_err *err)
{
    const evaluate_options *o = e->options;
    const mtf_settings *s = &e->cli->settings;
    mtf_scorecard_config config = {
        .judged = &e->judged,
        .training = e->selection.holdout_percent > 0 ? &e->training : NULL,
        .table = &e->policy->table,
        .smoothing = {.half_width = o->half_width > 0 ? o->half_width : s->policy_box},
        .cap = o->cap,
        .gauc_mean = mean_of(o->mean),
        .gauc_plain = o->plain,
        .draws = o->draws,
        .refits = (uint32_t)o->refits,
        .fqe = mtf_fqe_config_default(),
        .seed = (uint64_t)o->seed,
        .fits = {e->pool, show_fits, e},
    };
    config.fqe.alpha = MTF_FQE_ALPHA;
    config.fqe.gamma = s->learner_gamma;
    config.fqe.steps = (uint64_t)o->steps;
    config.fqe.rate = o->rate;
    config.fqe.stop = e->cli->stop;
    return mtf_scorecard_make(&config, card, err);
}

static mtf_status evaluate(evaluation *e, mtf_err *err)
{
    mtf_scorecard card;
    mtf_status status = open_policy(e, err);
    if (status == MTF_OK) status = open_store(e, err);
    if (status == MTF_OK) status = select_rows(e, err);
    if (status == MTF_OK) status = load_cohorts(e, err);
    if (status == MTF_OK)
        status = mtf_pool_new(&e->pool, (uint32_t)e->cli->settings.learner_threads, err);
    if (status == MTF_OK) status = make_scorecard(e, &card, err);
    if (status == MTF_SKIP && e->selection.holdout_percent > 0) {
        const mtf_err why = *err;
        status = mtf_fail(err, MTF_SKIP, "%.140s; with --users all every user counts", why.msg);
    }
    if (status) return status;
    const scorecard_about about = {.policy = e->policy,
                                   .logged = e->selection.version,
                                   .judged = &e->judged,
                                   .gamma = e->cli->settings.learner_gamma};
    (e->cli->json ? scorecard_print_json : scorecard_print_text)(&about, &card);
    return MTF_OK;
}

static void close_all(evaluation *e)
{
    mtf_pool_free(e->pool);
    mtf_cohort_fini(&e->judged);
    mtf_cohort_fini(&e->training);
    mtf_normaliser_fini(&e->normaliser);
    free(e->cut);
    mtf_store_close(e->stored);
    file_store_close(&e->files);
    policy_head_close(&e->head);
    mtf_policy_free(e->own);
}

int mtf_command_evaluate(mtf_cli *cli, int argc, char **argv)
{
    evaluate_options o = {.users = "heldout",
                          .mean = "impressions",
                          .logged = -1,
                          .draws = 1000,
                          .refits = 10,
                          .steps = 5000,
                          .seed = 1,
                          .cap = 100,
                          .rate = 1e-4};
    const mtf_option options[] = {
        {"--policy", MTF_OPTION_TEXT, &o.policy, 0, 0, "FILE", "the policy, a record"},
        {"--version", MTF_OPTION_INT, &o.version, 1, 1e15, "V",
         "the policy, of the history topic, which wants Kafka"},
        {"--logged", MTF_OPTION_INT, &o.logged, 0, 1e15, "V",
         "judge on what was explored under it; default the policy's parent, else the newest"},
        {"--users", MTF_OPTION_TEXT, &o.users, 0, 0, "WHO",
         "heldout (default): those no training of this store has seen; all: each half by the "
         "other's models"},
        {"--draws", MTF_OPTION_INT, &o.draws, 2, 100000, "N", "of the bootstrap, default 1000"},
        {"--refits", MTF_OPTION_INT, &o.refits, 0, 1000, "N",
         "of every network, for its intervals, default 10"},
        {"--steps", MTF_OPTION_INT, &o.steps, 0, 1e9, "N",
         "of every fit, default 5000; 0: no metric that needs a network"},
        {"--rate", MTF_OPTION_NUMBER, &o.rate, 1e-9, 1, "R", "of every fit, default 1e-4"},
        {"--half-width", MTF_OPTION_NUMBER, &o.half_width, 0, 1, "H",
         "of the box that smooths the policy for importance weights, default policy.box"},
        {"--cap", MTF_OPTION_NUMBER, &o.cap, 1e-9, 1e30, "C", "of importance weights, default 100"},
        {"--gauc-mean", MTF_OPTION_TEXT, &o.mean, 0, 0, "HOW",
         "what a group counts: impressions (default), weights or equal"},
        {"--gauc-plain", MTF_OPTION_FLAG, &o.plain, 0, 0, NULL,
         "items weigh alike, not by their reward + 1"},
        {"--seed", MTF_OPTION_INT, &o.seed, 0, 1e15, "S", "of draws and fits, default 1"},
    };
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "evaluate --policy FILE | --version V [FILE.avro ...]",
                     options, sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_OK) status = check(&o, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    evaluation e = {.cli = cli, .options = &o};
    status = evaluate(&e, &err);
    close_all(&e);
    return mtf_cli_exit_work(status, &err);
}
