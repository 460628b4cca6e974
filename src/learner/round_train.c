#include "learner/rounds_inside.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/clock.h"

#define CHECKPOINT_EVERY 5000 /* steps */
#define Q_MARGIN         1.2  /* |Q| may stand this far above r_max / (1 - gamma) */

mtf_status mtf_rounds_path(const mtf_rounds *rounds, int64_t version, mtf_buf *path, mtf_err *err)
{
    const char *folder = mtf_store_path(rounds->config.store);
    if (version > 0)
        mtf_buf_printf(path, "%s/checkpoints/v%" PRId64, folder, version);
    else
        mtf_buf_printf(path, "%s/checkpoints/candidate", folder);
    return path->failed ? mtf_fail(err, MTF_NOMEM, "no memory for a path") : MTF_OK;
}

double mtf_round_q_limit(const mtf_rounds *rounds)
{
    const double r_max = mtf_reward_bound(rounds->config.reward, rounds->survey.items_max);
    return Q_MARGIN * r_max / (1 - rounds->algorithm_config.gamma);
}

void mtf_round_forget(mtf_rounds *rounds)
{
    if (rounds->algorithm) rounds->ops->close(rounds->algorithm);
    rounds->algorithm = NULL;
    mtf_checkpoint_fini(&rounds->checkpoint);
    rounds->prepared = false;
}

static mtf_status load_file(const mtf_rounds *rounds, int64_t version, mtf_checkpoint *checkpoint,
                            mtf_err *err)
{
    mtf_buf path = {0};
    mtf_status status = mtf_rounds_path(rounds, version, &path, err);
    if (status == MTF_OK) status = mtf_checkpoint_load(checkpoint, (const char *)path.data, err);
    mtf_buf_fini(&path);
    return status;
}

/** The algorithm anew, with the saved weights if any fit. */
static mtf_status open_algorithm(mtf_rounds *rounds, const mtf_checkpoint *saved, mtf_err *err)
{
    if (rounds->algorithm) rounds->ops->close(rounds->algorithm);
    rounds->algorithm = NULL;
    mtf_status status = rounds->ops->open(&rounds->algorithm_config, &rounds->algorithm, err);
    if (status || !saved) return status;
    return rounds->ops->load(rounds->algorithm, mtf_buf_span(&saved->algorithm), err);
}

/** Goes on with this round's own checkpoint. MTF_SKIP: there is none that fits. */
static mtf_status resume(mtf_rounds *rounds, mtf_err *err)
{
    mtf_checkpoint *checkpoint = &rounds->checkpoint;
    mtf_status status = load_file(rounds, 0, checkpoint, err);
    if (status == MTF_CORRUPT) {
        mtf_log_line(rounds->config.log, MTF_LOG_WARN, "round.resume", "dropped=\"%s\"",
                     err ? err->msg : "");
        status = MTF_SKIP;
    }
    if (status) return status;
    if (checkpoint->round != rounds->state.round || checkpoint->parent != rounds->state.parent ||
        checkpoint->settings != rounds->settings_hash) {
        mtf_checkpoint_fini(checkpoint);
        return mtf_fail(err, MTF_SKIP,
                        "the candidate's checkpoint is of another round or settings");
    }
    return open_algorithm(rounds, checkpoint, err);
}

static bool setting_is(const char *setting, const char *word)
{
    return strcmp(setting, word) == 0;
}

int64_t mtf_rounds_checkpoint_of(const mtf_policy *policy)
{
    const double of = mtf_policy_get_number(&policy->info, MTF_PAYLOAD_OF);
    return of >= 1 ? (int64_t)of : policy->info.version;
}

/** What the champion's checkpoint gives the round: weights (warm_start) and the frozen normaliser.
 *  MTF_SKIP: there is none that fits. */
static mtf_status warm(mtf_rounds *rounds, mtf_checkpoint *parent, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const int64_t version = mtf_rounds_checkpoint_of(rounds->champion);
    if (version <= 0) return mtf_fail(err, MTF_SKIP, "no policy logged the rows: no checkpoint");
    mtf_status status = load_file(rounds, version, parent, err);
    if (status == MTF_CORRUPT) status = MTF_SKIP; /* err has said it */
    if (status) return status;
    if (parent->normaliser.state_dim != rounds->algorithm_config.state_dim)
        return mtf_fail(err, MTF_SKIP, "the champion's checkpoint has another state_dim");
    if (setting_is(settings->learner_warm_start, "none")) return open_algorithm(rounds, NULL, err);
    status = open_algorithm(rounds, parent, err);
    if (status == MTF_CORRUPT || status == MTF_INVALID) status = MTF_SKIP;
    if (status == MTF_OK && setting_is(settings->learner_warm_start, "actor"))
        rounds->ops->reinit(rounds->algorithm, (uint64_t)settings->learner_seed, false, true);
    return status;
}

/** What the champion's record gives the round when its checkpoint cannot: the actor, unless
 *  warm_start is none, and the normaliser. The critics start anew. MTF_SKIP: nothing that fits. */
static mtf_status recall(mtf_rounds *rounds, mtf_normaliser *normaliser, mtf_err *err)
{
    const mtf_policy *champion = rounds->champion;
    const float *weights[MTF_POLICY_LAYERS_MAX], *biases[MTF_POLICY_LAYERS_MAX];
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1];
    if (setting_is(champion->info.algorithm, MTF_INITIAL_ALGORITHM))
        return mtf_fail(err, MTF_SKIP, "the champion is the initial policy: nothing was learned");
    const mtf_row_shape shape = mtf_store_shape(rounds->config.store);
    if (mtf_policy_user_dim(champion) != mtf_row_user_dim(&shape) ||
        champion->per_item != (shape.list > 0) || champion->item_features != shape.feature_count)
        return mtf_fail(err, MTF_SKIP, "the champion has another state_dim");
    if (!rounds->ops->set_actor)
        return mtf_fail(err, MTF_SKIP, "%s takes no actor from a record", rounds->ops->name);
    for (uint32_t i = 0; i < champion->layer_count; i++) {
        widths[i] = champion->layers[i].inputs;
        widths[i + 1] = champion->layers[i].outputs;
        weights[i] = champion->layers[i].weight;
        biases[i] = champion->layers[i].bias;
    }
    mtf_status status = open_algorithm(rounds, NULL, err);
    if (status == MTF_OK && !setting_is(rounds->config.settings->learner_warm_start, "none"))
        status = rounds->ops->set_actor(rounds->algorithm, champion->layer_count, widths, weights,
                                        biases, err);
    if (status == MTF_INVALID) status = MTF_SKIP;
    if (status) return status;
    mtf_normaliser_widen(normaliser, &shape, champion->mean, champion->deviation);
    return MTF_OK;
}

/** The algorithm where the round starts, and the normaliser, which comes filled from the rows. */
static mtf_status begin_algorithm(mtf_rounds *rounds, mtf_checkpoint *parent,
                                  mtf_normaliser *normaliser, mtf_err *err)
{
    mtf_err lost = {0}, why = {0};
    mtf_status status = warm(rounds, parent, &lost);
    rounds->state.cold = status == MTF_SKIP;
    if (status == MTF_OK) {
        memcpy(normaliser->mean, parent->normaliser.mean,
               2 * (size_t)normaliser->state_dim * sizeof(float)); /* one block, mean first */
        return MTF_OK;
    }
    if (status != MTF_SKIP) return mtf_fail(err, status, "%s", lost.msg);
    status = recall(rounds, normaliser, &why);
    mtf_log_line(rounds->config.log, MTF_LOG_WARN, "round.cold",
                 "round=%" PRId64 " parent=%" PRId64 " actor=%s critics=new why=\"%.180s%s%.180s\"",
                 rounds->state.round, rounds->state.parent, status == MTF_OK ? "record" : "new",
                 lost.msg, status == MTF_OK ? "" : "; ", status == MTF_OK ? "" : why.msg);
    if (status == MTF_SKIP) return open_algorithm(rounds, NULL, err);
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

/** Starts the round's training at step 0. */
static mtf_status start(mtf_rounds *rounds, mtf_normaliser *normaliser, mtf_err *err)
{
    mtf_checkpoint parent = {0}, *checkpoint = &rounds->checkpoint;
    mtf_status status = begin_algorithm(rounds, &parent, normaliser, err);
    if (status) goto done;
    *checkpoint = (mtf_checkpoint){
        .settings = rounds->settings_hash,
        .round = rounds->state.round,
        .parent = rounds->state.parent,
        .steps = rounds->algorithm_config.steps,
        .reward_scale = rounds->survey.reward_deviation,
    };
    checkpoint->normaliser = *normaliser;
    *normaliser = (mtf_normaliser){0};
    memcpy(rounds->state.parent_checkpoint, parent.id, sizeof parent.id);
    if (rounds->ops->scale_groups)
        status = rounds->ops->scale_groups(rounds->algorithm, rounds->survey.part_deviations, err);
    if (status) goto done;
    status = rounds->ops->begin_round(rounds->algorithm, checkpoint->reward_scale,
                                      rounds->config.settings->learner_reset_optimizer, err);
    if (status == MTF_OK) status = mtf_round_state_save(&rounds->state, rounds->config.store, err);
done:
    mtf_checkpoint_fini(&parent);
    return status;
}

/** How many versions back learner.train_window goes: champion, all, or the newest K versions with
 *  explored rows. Versions have gaps: held candidates used theirs up. */
static int64_t window_reach(const mtf_rounds *rounds)
{
    const char *window = rounds->config.settings->learner_train_window;
    const int64_t champion = rounds->state.parent;
    if (setting_is(window, "champion")) return 0;
    if (setting_is(window, "all")) return INT64_MAX;
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(rounds->config.store, &count);
    int64_t oldest = champion;
    for (long long left = strtoll(window, NULL, 10); left > 1; left--) {
        int64_t next = INT64_MIN; /* the newest one older than `oldest` */
        for (size_t i = 0; i < count; i++) {
            if (counts[i].bucket != MTF_BUCKET_EXPLORE || counts[i].rows == 0) continue;
            if (counts[i].version < oldest && counts[i].version > next) next = counts[i].version;
        }
        if (next == INT64_MIN) break;
        oldest = next;
    }
    return champion - oldest;
}

/** Against an old box phi dies quickly (formulas 4 and 5 of arXiv:2404.17589). */
static void warn_of_old_boxes(const mtf_rounds *rounds)
{
    const mtf_survey *found = &rounds->survey;
    if (found->older == 0) return;
    mtf_log_line(rounds->config.log, MTF_LOG_WARN, "round.window",
                 "round=%" PRId64 " train_window=%s older_rows=%" PRId64 " rows=%" PRId64
                 " why=\"rows of older versions pull the actor into the boxes they were logged in "
                 "and take its bootstrap (phi) away; learner.train_window=champion is advised\"",
                 rounds->state.round, rounds->config.settings->learner_train_window, found->older,
                 found->rows);
}

static mtf_status survey(mtf_rounds *rounds, mtf_normaliser *normaliser, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    mtf_survey *found = &rounds->survey;
    rounds->selection = (mtf_selection){
        .version = rounds->state.parent,
        .reach = window_reach(rounds),
        .holdout_percent = settings->round_holdout_percent,
        .cut = rounds->state.cut,
        .cut_count = rounds->state.cut_count,
    };
    *found = (mtf_survey){0};
    if (!mtf_selection_days(&rounds->selection, rounds->config.store))
        return mtf_fail(err, MTF_SKIP, "data: no row of version %" PRId64, rounds->state.parent);
    const mtf_status status = mtf_survey_make(rounds->config.store, &rounds->selection,
                                              rounds->config.reward, found, normaliser, err);
    if (status) return status;
    if (found->rows == 0 && found->unexplored == 0)
        return mtf_fail(err, MTF_SKIP, "data: no row to train on, %" PRId64 " truncated",
                        found->truncated);
    if (!found->exploring)
        return mtf_fail(err, MTF_SKIP,
                        "no_exploration: %" PRId64 " explored rows of version %" PRId64
                        ", none with a box of non-zero width",
                        found->rows - found->older, rounds->state.parent);
    warn_of_old_boxes(rounds);
    return MTF_OK;
}

mtf_status mtf_round_prepare(mtf_rounds *rounds, mtf_err *err)
{
    if (rounds->prepared) return MTF_OK;
    mtf_normaliser normaliser = {0};
    mtf_status status = mtf_normaliser_init(&normaliser, rounds->algorithm_config.state_dim, err);
    if (status == MTF_OK) status = survey(rounds, &normaliser, err);
    if (status) goto done;
    status = resume(rounds, err);
    if (status == MTF_SKIP) status = start(rounds, &normaliser, err);
    MTF_ASSERT(status != MTF_SKIP); /* SKIP is the survey's word */
    rounds->prepared = status == MTF_OK;
done:
    mtf_normaliser_fini(&normaliser);
    if (status) mtf_round_forget(rounds);
    return status;
}

static bool stopped(void *arg)
{
    const mtf_rounds *rounds = arg;
    const atomic_bool *stop = rounds->config.stop;
    return (stop && atomic_load(stop)) || !mtf_rounds_lead(rounds);
}

/** Also gives a backup what it asks for: training takes hours. */
static void progress(void *arg, int64_t done, int64_t total)
{
    const mtf_rounds *rounds = arg;
    mtf_rounds_answer(rounds->config.store, rounds->config.log);
    if (rounds->config.hooks.progress)
        rounds->config.hooks.progress(rounds->config.hooks.arg, "train", done, total);
}

mtf_status mtf_round_train(mtf_rounds *rounds, char alarm[160], mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const int64_t started_ns = mtf_clock_mono_ns();
    mtf_buf path = {0};
    mtf_feed *feed = NULL;
    mtf_status status = mtf_rounds_path(rounds, 0, &path, err);
    if (status) goto done;
    const mtf_feed_config feed_config = {
        .selection = rounds->selection,
        .reward = rounds->config.reward,
        .normaliser = &rounds->checkpoint.normaliser,
        .rows = rounds->survey.rows,
        .states = rounds->survey.states,
        .bytes_max = (size_t)settings->learner_feed_mb << 20,
        .seed = (uint64_t)settings->learner_seed,
        .round = (uint64_t)rounds->state.round,
        .batch = rounds->algorithm_config.batch,
        .steps = rounds->checkpoint.steps,
    };
    status = mtf_feed_open(rounds->config.store, &feed_config, &feed, err);
    if (status) goto done;
    const uint64_t every = rounds->config.checkpoint_every;
    const mtf_train_config config = {
        .ops = rounds->ops,
        .algorithm = rounds->algorithm,
        .feed = feed,
        .path = (const char *)path.data,
        .checkpoint_every = every ? every : CHECKPOINT_EVERY,
        .q_limit = mtf_round_q_limit(rounds),
        .arg = rounds,
        .stopped = stopped,
        .progress = progress,
    };
    status = mtf_train(&config, &rounds->checkpoint, alarm, err);
done:
    rounds->report.train_seconds += (double)(mtf_clock_mono_ns() - started_ns) * 1e-9;
    mtf_feed_close(feed);
    mtf_buf_fini(&path);
    return status;
}
