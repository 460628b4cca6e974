#include "learner/rounds_inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "learner/export.h"

#define TRAINING_ROWS_MAX 50000 /* the baseline's regression needs no more */
#define VECTOR_ROWS       16    /* held-out states on which record and actor must agree */
#define VECTOR_ERROR      1e-4f

/** The trained actor as a policy; the record's words without verdict and numbers. */
static mtf_status make_candidate(const mtf_rounds *rounds, mtf_policy **out, mtf_err *err)
{
    mtf_policy *policy;
    const mtf_row_shape shape = mtf_store_shape(rounds->config.store);
    const mtf_status status =
        mtf_export_actor(rounds->ops, rounds->algorithm, &rounds->checkpoint.normaliser, &shape,
                         rounds->config.table, &policy, err);
    if (status) return status;
    const mtf_settings *settings = rounds->config.settings;
    mtf_policy_info *info = &policy->info;
    snprintf(info->name, sizeof info->name, "%s", settings->policy_name);
    snprintf(info->stage, sizeof info->stage, "live");
    snprintf(info->algorithm, sizeof info->algorithm, "%s", rounds->ops->name);
    snprintf(info->parent_checkpoint, sizeof info->parent_checkpoint, "%s",
             rounds->state.parent_checkpoint);
    info->version = rounds->state.version;
    info->parent = rounds->state.parent;
    info->round = rounds->state.round;
    info->created_ms = mtf_clock_wall_ms();
    info->box = (float)settings->policy_box;
    for (uint32_t i = 0; i < rounds->state.cut_count && i < MTF_POLICY_OFFSETS_MAX; i++)
        info->offsets[info->offset_count++] =
            (mtf_policy_offset){rounds->state.cut[i].partition, rounds->state.cut[i].next};
    *out = policy;
    return MTF_OK;
}

/** What the policy says of item j of a row with normalised state s: raw again, as served. */
static void served_action(const mtf_policy *policy, const mtf_cohort *cohort, const float *s,
                          uint32_t j, float *action)
{
    const size_t S = cohort->user_dim, own = policy->state_dim - S;
    float state[MTF_POLICY_WIDTH_MAX];
    memcpy(state, s, S * sizeof *state);
    if (own) memcpy(state + S, s + S + cohort->list + j * own, own * sizeof *state);
    for (size_t k = 0; k < policy->state_dim; k++)
        state[k] = state[k] * policy->deviation[k] + policy->mean[k];
    mtf_policy_act(policy, state, action);
}

/** Does the encoded record decode, and act on held-out states as the trained actor does? */
static bool record_holds(const mtf_rounds *rounds, const mtf_policy *candidate,
                         const mtf_cohort *heldout)
{
    const size_t rows = heldout->rows < VECTOR_ROWS ? heldout->rows : VECTOR_ROWS;
    const uint32_t items = heldout->list ? heldout->list : 1, A = candidate->action_dim;
    mtf_buf record = {0};
    mtf_policy *served = NULL;
    float *mine = malloc((rows + 1) * heldout->action_dim * sizeof *mine);
    float *theirs = malloc(A * sizeof *theirs);
    bool holds = mine && theirs && mtf_policy_encode(candidate, &record, NULL) == MTF_OK &&
                 mtf_policy_decode(mtf_buf_span(&record), &served, NULL) == MTF_OK;
    if (holds) rounds->ops->act(rounds->algorithm, rows, heldout->s, mine);
    for (size_t i = 0; holds && i < rows * items; i++) {
        const float *s = heldout->s + i / items * heldout->state_dim;
        served_action(served, heldout, s, (uint32_t)(i % items), theirs);
        for (size_t d = 0; d < A; d++) holds &= fabsf(theirs[d] - mine[i * A + d]) < VECTOR_ERROR;
    }
    mtf_policy_free(served);
    mtf_buf_fini(&record);
    free(mine);
    free(theirs);
    return holds;
}

static void make_evidence(mtf_rounds *rounds, bool record_ok)
{
    mtf_round_report *report = &rounds->report;
    const mtf_health *health = &rounds->checkpoint.health;
    const mtf_evaluation *evaluation = &report->evaluation;
    report->evidence = (mtf_evidence){
        .finite = health->finite,
        .test_vectors_ok = record_ok,
        .q_abs_max = health->q_abs_max,
        .q_limit = mtf_round_q_limit(rounds),
        .spread = rounds->algorithm_config.critics > 1 ? health->spread : (double)NAN,
        .reward_scale = rounds->checkpoint.reward_scale,
        .phi_mean = health->phi,
        .outside_share = evaluation->first_order.outside_share,
        .heldout_rows = evaluation->first_order.rows,
        .heldout_users = evaluation->first_order.users,
        .exploring = rounds->survey.exploring,
        .value = evaluation->first_order.gain.value,
        .value_se = evaluation->first_order.gain.se,
        .value_z = evaluation->first_order.gain.z,
        .skill = evaluation->skill.value,
        .skill_z = evaluation->skill.z,
        .gauc_gain = evaluation->gauc_gain.value,
        .gauc_gain_high = evaluation->gauc_gain.high,
        .consumed_gain = evaluation->consumed_gain,
        .ncis_gain = evaluation->ncis.gain.value,
        .ncis_gain_se = evaluation->ncis.gain.se,
        .ncis_support = evaluation->ncis.support,
        .fqe_value = evaluation->fqe.value.value,
        .fqe_gain = evaluation->fqe.gain.value,
        .fqe_gain_se = evaluation->fqe.gain.se,
    };
    for (mtf_part part = 0; part < MTF_PARTS; part++) {
        report->evidence.part_value[part] = evaluation->parts[part].value;
        report->evidence.part_z[part] = evaluation->parts[part].z;
    }
    report->heldout_rows = evaluation->first_order.rows;
    report->heldout_users = evaluation->first_order.users;
    report->outside_box = evaluation->first_order.outside_share;
    report->critic_spread = health->spread;
    report->phi = health->phi;
    report->reward_scale = rounds->checkpoint.reward_scale;
}

/** Numbers of the record beside the gate's own. */
static void set_numbers(const mtf_rounds *rounds, mtf_policy_info *info)
{
    const mtf_round_report *report = &rounds->report;
    const mtf_evaluation *evaluation = &report->evaluation;
    const mtf_health *health = &rounds->checkpoint.health;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"round.sessions", (double)report->sessions},
        {"round.transitions", (double)report->transitions},
        {"round.truncated", (double)report->truncated},
        {"cold_start", report->cold},
        {"train.seconds", report->train_seconds},
        {"train.critic_loss", health->critic_loss},
        {"train.actor_loss", health->actor_loss},
        {"train.q_mean", health->q_mean},
        {"train.reward_scale", rounds->checkpoint.reward_scale},
        {"gauc.baseline", evaluation->gauc_baseline},
        {"gauc.policy", evaluation->gauc_policy},
        {"gauc.request.baseline", evaluation->gauc_baseline_request},
        {"gauc.request.policy", evaluation->gauc_policy_request},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        mtf_policy_set_number(info, numbers[i].name, numbers[i].value);
    for (uint32_t d = 0; d < report->action_dim && d < 20; d++) { /* room for the gate's numbers */
        char name[32];
        snprintf(name, sizeof name, "drift.%u", d);
        mtf_policy_set_number(info, name, evaluation->first_order.drift[d]);
        snprintf(name, sizeof name, "effect.%u", d);
        mtf_policy_set_number(info, name, evaluation->first_order.effect[d]);
    }
}

static mtf_status load_cohorts(mtf_rounds *rounds, mtf_cohort *heldout, mtf_cohort *training,
                               mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(rounds->config.store);
    const int64_t row_bytes = 4 * (shape.state_dim + 4 * (int64_t)shape.action_dim) + 512;
    /* What a candidate is worth is asked of the champion's rows, whatever it trained on. */
    mtf_selection champions = rounds->selection;
    champions.reach = 0;
    if (!mtf_selection_days(&champions, rounds->config.store))
        return mtf_fail(err, MTF_CORRUPT, "store %s: the champion's rows are gone (retention?)",
                        mtf_store_path(rounds->config.store));
    const mtf_survey *survey = &rounds->survey;
    mtf_cohort_config config = {
        .selection = &champions,
        .reward = rounds->config.reward,
        .normaliser = &rounds->checkpoint.normaliser,
        .gamma = rounds->algorithm_config.gamma,
        .heldout = true,
        .rows_max = (rounds->config.settings->learner_feed_mb << 20) / 2 / row_bytes,
        .rows = survey->heldout_rows,
    };
    mtf_status status = mtf_cohort_load(rounds->config.store, &config, heldout, err);
    if (status) return status;
    config.heldout = false;
    config.rows_max = TRAINING_ROWS_MAX;
    config.rows = survey->rows - survey->older + survey->truncated + survey->unexplored;
    return mtf_cohort_load(rounds->config.store, &config, training, err);
}

static void fits_progress(void *arg, int64_t done, int64_t total)
{
    const mtf_round_hooks *hooks = &((const mtf_rounds *)arg)->config.hooks;
    if (hooks->progress) hooks->progress(hooks->arg, "evaluate", done, total);
}

static mtf_status evaluate(mtf_rounds *rounds, const mtf_cohort *heldout,
                           const mtf_cohort *training, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    const uint64_t seed = (uint64_t)settings->learner_seed + (uint64_t)rounds->state.round;
    mtf_pool *pool = NULL;
    mtf_evaluation_config config = {
        .heldout = heldout,
        .training = training,
        .table = rounds->config.table,
        .ops = rounds->ops,
        .algorithm = rounds->algorithm,
        .half_width = settings->policy_box,
        .fqe = mtf_fqe_config_default(),
        .fqe_refits = (uint32_t)settings->gate_fqe_refits,
        .draws = settings->gate_bootstrap,
        .seed = seed,
    };
    config.fqe.steps = (uint64_t)settings->gate_fqe_steps;
    config.fqe.gamma = rounds->algorithm_config.gamma;
    config.fqe.seed = seed;
    config.fqe.stop = rounds->config.stop;
    mtf_status status = mtf_pool_new(&pool, (uint32_t)settings->learner_threads, err);
    config.fits = (mtf_fits){pool, fits_progress, rounds};
    if (status == MTF_OK) status = mtf_evaluate(&config, &rounds->report.evaluation, err);
    mtf_pool_free(pool);
    return status;
}

mtf_status mtf_round_judge(mtf_rounds *rounds, mtf_err *err)
{
    const int64_t started_ns = mtf_clock_mono_ns();
    const mtf_round_hooks *hooks = &rounds->config.hooks;
    mtf_round_report *report = &rounds->report;
    mtf_cohort heldout = {0}, training = {0};
    mtf_policy *candidate = NULL;
    mtf_status status = load_cohorts(rounds, &heldout, &training, err);
    if (status) goto done;
    const bool servable = rounds->ops->actor != NULL;
    status = evaluate(rounds, &heldout, &training, err);
    if (status == MTF_OK && servable) status = make_candidate(rounds, &candidate, err);
    if (status) goto done;
    make_evidence(rounds, servable && record_holds(rounds, candidate, &heldout));
    if (servable) set_numbers(rounds, &candidate->info);
    status = hooks->gate(hooks->arg, &report->evidence, candidate, &report->verdict, err);
    if (status) goto done;
    mtf_buf_clear(&rounds->state.record);
    rounds->state.servable = false;
    if (!servable) { /* whatever the gate says, as below */
        report->verdict = (mtf_verdict){MTF_VERDICT_HOLD, "unserved: the policy is a search, which "
                                                          "no policy record can hold"};
        goto done;
    }
    if (!report->evidence.test_vectors_ok) /* whatever the gate says: there is nothing to serve */
        report->verdict = (mtf_verdict){MTF_VERDICT_REJECT, "integrity: the record does not hold"};
    rounds->state.servable = report->verdict.kind <= MTF_VERDICT_CANARY;
    snprintf(candidate->info.verdict, sizeof candidate->info.verdict, "%s",
             mtf_verdict_text(report->verdict.kind));
    snprintf(candidate->info.reason, sizeof candidate->info.reason, "%s", report->verdict.reason);
    if (report->evidence.test_vectors_ok)
        status = mtf_policy_encode(candidate, &rounds->state.record, err);
done:
    report->evaluate_seconds = (double)(mtf_clock_mono_ns() - started_ns) * 1e-9;
    mtf_policy_free(candidate);
    mtf_cohort_fini(&heldout);
    mtf_cohort_fini(&training);
    return status;
}
