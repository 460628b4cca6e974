#include "compare/learner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "learner/evaluate.h"
#include "learner/export.h"
#include "learner/train.h"

#define ACT_ROWS       256 /* that are asked for at once */
#define CHECK_ROWS_MAX 50000
#define START_MAX      0.95f /* an action nearer to the edge has next to no slope to learn by */

/** The actor's last bias such that small weights give about `start`. */
static mtf_status start_at(mtf_compare_learner *learner, const float *start, mtf_err *err)
{
    uint32_t widths[5];
    const float *weights[4], *biases[4];
    const uint32_t actions = mtf_row_item_actions(&learner->shape);
    if (!learner->ops->actor) return MTF_OK;
    const uint32_t layers = learner->ops->actor(learner->algorithm, widths, weights, biases);
    float *bias = malloc(actions * sizeof *bias);
    if (!bias) return mtf_fail(err, MTF_NOMEM, "no memory for an actor");
    for (uint32_t d = 0; d < actions; d++)
        bias[d] = atanhf(fmaxf(-START_MAX, fminf(START_MAX, start[d])));
    biases[layers - 1] = bias;
    const mtf_status status =
        learner->ops->set_actor(learner->algorithm, layers, widths, weights, biases, err);
    free(bias);
    return status;
}

mtf_status mtf_compare_learner_init(mtf_compare_learner *learner, const mtf_settings *settings,
                                    const mtf_action_table *table, const float *start, mtf_err *err)
{
    *learner = (mtf_compare_learner){.settings = settings,
                                     .ops = mtf_algorithm_find(settings->learner_algorithm)};
    mtf_status status = mtf_train_algorithm_config(settings, table->count, &learner->config, err);
    if (status) return status;
    learner->table = table;
    learner->shape = mtf_train_row_shape(settings, table->count, table->prediction_count, 0);
    mtf_train_set_shape(&learner->config, &learner->shape);
    status = mtf_normaliser_init(&learner->normaliser, learner->config.state_dim, err);
    learner->states = malloc(ACT_ROWS * learner->config.state_dim * sizeof(float));
    if (status == MTF_OK && !learner->states) status = mtf_fail(err, MTF_NOMEM, "no memory to act");
    if (status == MTF_OK) status = learner->ops->open(&learner->config, &learner->algorithm, err);
    return status ? status : start_at(learner, start, err);
}

void mtf_compare_learner_fini(mtf_compare_learner *learner)
{
    if (learner->algorithm) learner->ops->close(learner->algorithm);
    mtf_normaliser_fini(&learner->normaliser);
    mtf_policy_free(learner->served);
    free(learner->states);
    *learner = (mtf_compare_learner){0};
}

static bool stopped(void *arg)
{
    const mtf_compare_learner *learner = arg;
    return learner->stop && atomic_load(learner->stop);
}

static void progress(void *arg, int64_t done, int64_t total)
{
    const mtf_compare_learner *learner = arg;
    if (learner->progress) learner->progress(learner->arg, done, total);
}

/** Its own, in parts or whole, whoever's logs these were first. */
static mtf_status read_reward(const mtf_compare_learner *learner, const mtf_scratch *logs,
                              mtf_reward *reward, mtf_err *err)
{
    const mtf_settings *s = learner->settings;
    mtf_status status = mtf_reward_parse(reward, s->reward_weights, s->reward_clip, err);
    if (status == MTF_OK) status = mtf_reward_group(reward, s->reward_groups, err);
    return status ? status : mtf_reward_order(reward, mtf_store_signals(logs->store), err);
}

static mtf_status take_steps(mtf_compare_learner *learner, const mtf_scratch *logs,
                             const mtf_reward *reward, const mtf_selection *selection,
                             const mtf_survey *survey, char alarm[160], mtf_err *err)
{
    mtf_feed *feed = NULL;
    mtf_checkpoint checkpoint = {.steps = learner->config.steps};
    char path[sizeof logs->folder + 16];
    const mtf_feed_config feed_config = {
        .selection = *selection,
        .reward = reward,
        .normaliser = &learner->normaliser,
        .rows = survey->rows,
        .states = survey->states,
        .bytes_max = (size_t)learner->settings->learner_feed_mb << 20,
        .seed = learner->config.seed,
        .round = (uint64_t)selection->version,
        .batch = learner->config.batch,
        .steps = learner->config.steps,
    };
    snprintf(path, sizeof path, "%s/candidate", logs->folder);
    mtf_status status = mtf_feed_open(logs->store, &feed_config, &feed, err);
    const mtf_train_config config = {.ops = learner->ops,
                                     .algorithm = learner->algorithm,
                                     .feed = feed,
                                     .path = path,
                                     .checkpoint_every = UINT64_MAX,
                                     .q_limit = HUGE_VAL, /* no alarm: what comes of it is shown */
                                     .arg = learner,
                                     .stopped = stopped,
                                     .progress = progress};
    if (status == MTF_OK) status = mtf_train(&config, &checkpoint, alarm, err);
    mtf_feed_close(feed);
    mtf_checkpoint_fini(&checkpoint);
    return status;
}

static mtf_status select_rows(const mtf_compare_learner *learner, const mtf_scratch *logs,
                              int64_t version, mtf_selection *selection, mtf_err *err)
{
    size_t cut_count;
    const mtf_store_position *cut = mtf_store_positions(logs->store, &cut_count);
    *selection = (mtf_selection){.version = version,
                                 .holdout_percent = learner->settings->round_holdout_percent,
                                 .cut = cut,
                                 .cut_count = cut_count};
    if (mtf_selection_days(selection, logs->store)) return MTF_OK;
    return mtf_fail(err, MTF_SKIP, "nothing was explored to learn from");
}

mtf_status mtf_compare_learner_train(mtf_compare_learner *learner, const mtf_scratch *logs,
                                     int64_t version, bool *diverged, mtf_err *err)
{
    const int64_t started_ns = mtf_clock_mono_ns();
    mtf_selection selection;
    mtf_survey survey;
    mtf_reward reward;
    char alarm[160] = "";
    mtf_status status = read_reward(learner, logs, &reward, err);
    if (status == MTF_OK) status = select_rows(learner, logs, version, &selection, err);
    if (status) return status;
    status = mtf_survey_make(logs->store, &selection, &reward, &survey,
                             learner->trained ? NULL : &learner->normaliser, err);
    if (status == MTF_OK && survey.rows == 0)
        status = mtf_fail(err, MTF_SKIP, "no row to learn from: compare.sessions are too few");
    if (status == MTF_OK && learner->ops->scale_groups)
        status = learner->ops->scale_groups(learner->algorithm, survey.part_deviations, err);
    if (status == MTF_OK)
        status = learner->ops->begin_round(learner->algorithm, survey.reward_deviation,
                                           learner->settings->learner_reset_optimizer, err);
    learner->trained = true;
    if (status == MTF_OK)
        status = take_steps(learner, logs, &reward, &selection, &survey, alarm, err);
    *diverged = alarm[0] != 0;
    learner->seconds += (double)(mtf_clock_mono_ns() - started_ns) * 1e-9;
    return status;
}

mtf_status mtf_compare_learner_check(mtf_compare_learner *learner, const mtf_scratch *logs,
                                     int64_t version, bool *better, mtf_err *err)
{
    const mtf_settings *s = learner->settings;
    mtf_cohort heldout = {0}, training = {0};
    mtf_evaluation found;
    mtf_selection selection;
    mtf_status status = select_rows(learner, logs, version, &selection, err);
    if (status) return status;
    mtf_cohort_config config = {.selection = &selection,
                                .reward = &logs->reward,
                                .normaliser = &learner->normaliser,
                                .gamma = learner->config.gamma,
                                .heldout = true,
                                .rows_max = CHECK_ROWS_MAX,
                                .rows = logs->rows * s->round_holdout_percent / 100};
    status = mtf_cohort_load(logs->store, &config, &heldout, err);
    config.heldout = false, config.rows = logs->rows - config.rows;
    if (status == MTF_OK) status = mtf_cohort_load(logs->store, &config, &training, err);
    const mtf_evaluation_config evaluation = {.heldout = &heldout,
                                              .training = &training,
                                              .table = learner->table,
                                              .ops = learner->ops,
                                              .algorithm = learner->algorithm,
                                              .half_width = s->policy_box,
                                              .draws = s->gate_bootstrap,
                                              .seed = learner->config.seed + (uint64_t)version};
    if (status == MTF_OK) status = mtf_evaluate(&evaluation, &found, err);
    if (status == MTF_OK)
        *better = found.first_order.gain.z >= s->gate_z &&
                  found.first_order.outside_share <= s->gate_outside_max;
    mtf_cohort_fini(&heldout);
    mtf_cohort_fini(&training);
    return status;
}

static void act(void *self, size_t rows, const float *states, float *actions)
{
    mtf_compare_learner *learner = self;
    const size_t S = learner->config.state_dim, A = learner->config.action_dim;
    for (size_t done = 0; done < rows;) {
        const size_t some = rows - done < ACT_ROWS ? rows - done : ACT_ROWS;
        for (size_t i = 0; i < some; i++)
            mtf_normalise(&learner->normaliser, states + (done + i) * S, learner->states + i * S);
        learner->ops->act(learner->algorithm, some, learner->states, actions + done * A);
        done += some;
    }
}

mtf_status mtf_compare_learner_actor(mtf_compare_learner *learner, mtf_sim_actor *actor,
                                     mtf_err *err)
{
    *actor = (mtf_sim_actor){.self = learner, .act = act};
    if (!learner->ops->per_item) return MTF_OK;
    mtf_policy_free(learner->served);
    learner->served = NULL;
    const mtf_status status =
        mtf_export_actor(learner->ops, learner->algorithm, &learner->normaliser, &learner->shape,
                         learner->table, &learner->served, err);
    if (status == MTF_OK) *actor = mtf_sim_actor_of(learner->served);
    return status;
}
