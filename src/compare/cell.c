#include "compare/cell.h"

#include <inttypes.h>
#include <stdlib.h>

#include "compare/learner.h"
#include "compare/searcher.h"
#include "core/clock.h"
#include "learner/export.h"
#include "learner/train.h"
#include "sim/tune.h"

/** A cell being run. */
typedef struct running {
    mtf_compare_bench *bench;
    const mtf_compare_cell *cell;
    mtf_settings settings; /* the row's, with the cell's seed and steps */
    mtf_compare_result *result;
} running;

/* -- what a result depends on ------------------------------------ */

static uint32_t trainings(const mtf_compare_cell *cell)
{
    return cell->data == MTF_COMPARE_PROGRESSIVE ? (uint32_t)cell->row->settings.compare_rounds : 1;
}

/** The row's settings as the cell trains with them. */
static mtf_status cell_settings(const mtf_compare_cell *cell, mtf_settings *out, mtf_err *err)
{
    const mtf_status status = mtf_settings_copy(&cell->row->settings, out, err);
    if (status) return status;
    const int64_t steps = out->compare_steps / trainings(cell);
    out->learner_steps = steps > 0 ? steps : 1;
    out->learner_seed = (int64_t)cell->seed;
    return MTF_OK;
}

static bool uses_logs(const mtf_compare_cell *cell)
{
    return cell->data == MTF_COMPARE_GAUSSIAN || cell->data == MTF_COMPARE_BOX;
}

static bool starts_at_reference(const mtf_compare_bench *bench)
{
    return strcmp(bench->settings->compare_start, "reference") == 0;
}

/** What is explored round first. */
static void start_words(const mtf_compare_bench *bench, mtf_buf *of)
{
    const mtf_settings *s = &bench->reference->settings;
    if (!starts_at_reference(bench)) return;
    mtf_buf_printf(of,
                   "from %s of world %016" PRIx64 ", %" PRId64 " sessions x %" PRId64 ", %" PRId64
                   " an action, ",
                   bench->reference->algorithm, bench->reference->world, s->compare_sessions,
                   s->compare_rounds, s->compare_each);
}

/** Of whatever is gathered: where from, how much, and what makes sessions of it. */
static void logs_words(const mtf_compare_bench *bench, const mtf_compare_cell *cell, mtf_buf *of)
{
    const mtf_settings *s = &cell->row->settings;
    start_words(bench, of);
    if (s->compare_shuffle_rewards && cell->data != MTF_COMPARE_LIVE)
        mtf_buf_printf(of, "shuffled, ");
    if (s->policy_list > 0)
        mtf_buf_printf(of, "lists of %" PRId64 " x %" PRId64 "%s%s, ", s->policy_list,
                       s->policy_item_features, cell->items ? ", noise " : "",
                       cell->items ? s->policy_item_noise : "");
    mtf_buf_printf(of,
                   "data %s, seed %" PRIu64 ", world %016" PRIx64 ", %" PRId64 " users, %" PRId64
                   " sessions x %" PRId64 ", box %.17g, sigma %.17g, "
                   "sessionize %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s",
                   mtf_compare_data_name(cell->data), cell->seed, cell->row->world,
                   s->compare_users, s->compare_sessions, s->compare_rounds, s->policy_box,
                   cell->data == MTF_COMPARE_GAUSSIAN ? s->compare_sigma : 0, s->sessionize_gap_ms,
                   s->sessionize_grace_ms, s->sessionize_max_duration_ms,
                   s->sessionize_out_of_orderness_ms, s->sessionize_max_events,
                   s->sessionize_aggregators);
}

mtf_status mtf_compare_cell_words(const mtf_compare_bench *bench, const mtf_compare_cell *cell,
                                  mtf_buf *of, mtf_err *err)
{
    const mtf_settings *settings = bench->settings;
    const mtf_settings *row = &cell->row->settings;
    mtf_settings own = {0};
    const mtf_status status = cell_settings(cell, &own, err);
    if (status) return status;
    mtf_buf_printf(of, "cell 1, %s, ", cell->row->algorithm);
    logs_words(bench, cell, of);
    if (!cell->row->search)
        mtf_buf_printf(of, ", training %016" PRIx64, mtf_train_settings_hash(&own));
    if (cell->data == MTF_COMPARE_PROGRESSIVE && row->compare_gate)
        mtf_buf_printf(of, ", gate %.17g %.17g %" PRId64, row->gate_z, row->gate_outside_max,
                       row->gate_bootstrap);
    if (cell->data == MTF_COMPARE_LIVE)
        mtf_buf_printf(of, ", each %" PRId64, row->compare_each);
    else if (cell->row->search)
        mtf_buf_printf(of, ", points %" PRId64 ", fit %" PRId64 ", gamma %.17g",
                       row->compare_points, row->compare_fit_steps, row->learner_gamma);
    mtf_buf_printf(of,
                   ", judged on world %016" PRIx64 ", %" PRId64 " users, %" PRId64 " days, box "
                   "%.17g",
                   bench->world, settings->compare_test_users, settings->compare_days,
                   settings->policy_box);
    mtf_buf_put_u8(of, 0);
    of->size -= !of->failed;
    mtf_settings_fini(&own);
    return of->failed ? mtf_fail(err, MTF_NOMEM, "no memory for a cell's words") : MTF_OK;
}

/* -- its data ---------------------------------------------------- */

static void drop_logs(mtf_compare_logs *logs)
{
    mtf_scratch_close(&logs->scratch);
    mtf_buf_fini(&logs->of);
    *logs = (mtf_compare_logs){0};
}

void mtf_compare_bench_fini(mtf_compare_bench *bench)
{
    drop_logs(&bench->logs);
    mtf_test_users_close(&bench->test);
}

/** What a search tries is served, to as many sessions as the learners' logs have. */
static mtf_status search_live(const mtf_compare_bench *bench, const mtf_compare_row *row,
                              uint64_t seed, mtf_sim_tuned *tuned, mtf_err *err)
{
    const mtf_settings *s = &row->settings;
    mtf_sim *sim = NULL;
    mtf_sim_tune_config config = mtf_sim_tune_config_default(row->algorithm);
    config.sessions_each = (uint32_t)s->compare_each;
    config.sessions = strcmp(config.method, "constant") == 0
                          ? s->compare_each /* which is tried once */
                          : s->compare_sessions * s->compare_rounds;
    config.seed = seed;
    config.threads = (uint32_t)s->learner_threads;
    config.stop = bench->stop;
    mtf_status status =
        mtf_compare_sim(s, MTF_SIM_EXPLORE_NONE, false, seed, (uint32_t)s->compare_users,
                        (uint32_t)s->compare_sessions, &sim, err);
    if (status == MTF_OK) status = mtf_sim_tune(sim, &config, tuned, NULL, err);
    if (sim) mtf_sim_close(sim);
    return status;
}

/** The seed's test users, and the initial policy's action. */
static mtf_status need_test_users(mtf_compare_bench *bench, uint64_t seed, mtf_err *err)
{
    mtf_sim_tuned tuned = {0};
    mtf_status status = MTF_OK;
    if (bench->test.sim && bench->seed == seed) return MTF_OK;
    mtf_test_users_close(&bench->test);
    bench->seed = seed;
    if (starts_at_reference(bench))
        status = search_live(bench, bench->reference, seed, &tuned, err);
    memcpy(bench->start, tuned.action, sizeof bench->start);
    if (status == MTF_OK)
        status = mtf_test_users_open(&bench->test, bench->settings, bench->lists, bench->start,
                                     seed, bench->stop, err);
    if (status) mtf_test_users_close(&bench->test);
    return status;
}

static mtf_status open_sim(const running *run, mtf_sim **sim, mtf_err *err)
{
    const mtf_settings *s = &run->cell->row->settings;
    return mtf_compare_sim(
        s, run->cell->data == MTF_COMPARE_GAUSSIAN ? MTF_SIM_EXPLORE_GAUSSIAN : MTF_SIM_EXPLORE_BOX,
        s->compare_shuffle_rewards, run->cell->seed, (uint32_t)s->compare_users,
        (uint32_t)s->compare_sessions, sim, err);
}

static mtf_status open_scratch(const running *run, mtf_scratch *scratch, mtf_err *err)
{
    const mtf_action_table *table = &run->bench->test.table;
    return mtf_scratch_open(scratch, &run->cell->row->settings, table->count,
                            table->prediction_count, err);
}

/** Rounds [first, end) under the policy into the scratch. */
static mtf_status gather(const running *run, const mtf_policy *policy, uint32_t first, uint32_t end,
                         mtf_scratch *into, mtf_gathered *served, mtf_err *err)
{
    const mtf_settings *s = &run->cell->row->settings;
    mtf_sim *sim = NULL;
    mtf_status status = open_sim(run, &sim, err);
    const mtf_gather how = {s, sim, policy, run->bench->stop};
    for (uint32_t r = first; r < end && status == MTF_OK; r++)
        status = mtf_gather_round(&how, r, into, served, err);
    if (sim) mtf_sim_close(sim);
    return status;
}

/** The policy that the cell begins with; the caller's. */
static mtf_status open_initial(const running *run, mtf_policy **policy, mtf_err *err)
{
    const mtf_compare_bench *bench = run->bench;
    *policy =
        mtf_compare_initial(&run->settings, &bench->test.table, bench->start, run->cell->items);
    return *policy ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory for a policy");
}

/** The logs that the cell learns from: the last cell's, if it learned from the same. */
static mtf_status need_logs(const running *run, mtf_err *err)
{
    mtf_compare_logs *logs = &run->bench->logs;
    mtf_buf of = {0};
    logs_words(run->bench, run->cell, &of);
    if (of.size > 0 && logs->of.size == of.size && memcmp(logs->of.data, of.data, of.size) == 0) {
        mtf_buf_fini(&of);
        return MTF_OK;
    }
    drop_logs(logs);
    mtf_policy *initial;
    mtf_status status = open_initial(run, &initial, err);
    if (status == MTF_OK) status = open_scratch(run, &logs->scratch, err);
    if (status == MTF_OK)
        status = gather(run, initial, 0, (uint32_t)run->settings.compare_rounds, &logs->scratch,
                        &logs->served, err);
    mtf_policy_free(initial);
    if (status) drop_logs(logs);
    if (status == MTF_OK)
        logs->of = of;
    else
        mtf_buf_fini(&of);
    return status;
}

/** What it does on test states, after one more training. */
static mtf_status note_drift(const running *run, const mtf_sim_actor *actor, mtf_err *err)
{
    mtf_compare_result *result = run->result;
    double(*drift)[MTF_SIM_ACTIONS] =
        realloc(result->drift, (result->rounds + 1) * sizeof *result->drift);
    if (!drift) return mtf_fail(err, MTF_NOMEM, "no memory for a round's drift");
    result->drift = drift;
    mtf_test_users_drift(&run->bench->test, actor, drift[result->rounds++]);
    return MTF_OK;
}

/* -- searches ---------------------------------------------------- */

static mtf_status judge_action(const running *run, const float *action, mtf_err *err)
{
    mtf_test_users *test = &run->bench->test;
    mtf_policy *policy = mtf_policy_constant(MTF_SIM_STATE, &test->table, action);
    if (!policy) return mtf_fail(err, MTF_NOMEM, "no memory for a policy");
    const mtf_sim_actor actor = mtf_sim_actor_of(policy);
    mtf_status status = note_drift(run, &actor, err);
    if (status == MTF_OK)
        status = mtf_test_users_judge(test, &actor, run->bench->stop, run->result, err);
    mtf_policy_free(policy);
    return status;
}

static mtf_status run_search(running *run, mtf_err *err)
{
    float action[MTF_SIM_ACTIONS];
    const mtf_compare_cell *cell = run->cell;
    mtf_status status = uses_logs(cell) ? need_logs(run, err) : MTF_OK;
    const int64_t started_ns = mtf_clock_mono_ns();
    if (status == MTF_OK && uses_logs(cell)) {
        run->result->served = run->bench->logs.served;
        status =
            mtf_compare_search_logs(&run->settings, &run->bench->logs.scratch, cell->row->algorithm,
                                    run->bench->start, cell->seed, run->bench->stop, action, err);
    } else if (status == MTF_OK) {
        mtf_sim_tuned tuned;
        status = search_live(run->bench, cell->row, cell->seed, &tuned, err);
        memcpy(action, tuned.action, sizeof action);
        run->result->served.sessions = tuned.sessions;
        run->result->served.reward = tuned.mean * (double)tuned.sessions;
    }
    run->result->train_seconds = (double)(mtf_clock_mono_ns() - started_ns) * 1e-9;
    return status ? status : judge_action(run, action, err);
}

/* -- learners ---------------------------------------------------- */

static void show_steps(void *arg, int64_t done, int64_t total)
{
    const running *run = arg;
    const double trained = run->result->rounds + (double)done / (double)total;
    if (run->bench->progress) run->bench->progress(run->bench->arg, trained / trainings(run->cell));
}

static mtf_status note_learner(const running *run, mtf_compare_learner *learner, mtf_err *err)
{
    mtf_sim_actor actor;
    const mtf_status status = mtf_compare_learner_actor(learner, &actor, err);
    return status ? status : note_drift(run, &actor, err);
}

/** The policy that is explored round next, in place of *policy. */
static mtf_status export_policy(const running *run, const mtf_compare_learner *learner,
                                mtf_policy **policy, mtf_err *err)
{
    mtf_policy *next = NULL;
    const mtf_status status =
        mtf_export_actor(learner->ops, learner->algorithm, &learner->normaliser, &learner->shape,
                         learner->table, &next, err);
    if (status) return status;
    next->info.version = (*policy)->info.version + 1;
    next->info.box = (float)run->settings.policy_box;
    mtf_policy_free(*policy);
    *policy = next;
    return MTF_OK;
}

/** Trains on what was explored round *policy; a better one takes its place. *fresh: it did. What
 *  the check does not pass is taken back. */
static mtf_status train_round(const running *run, mtf_compare_learner *learner,
                              const mtf_scratch *logs, mtf_policy **policy, bool *fresh,
                              mtf_err *err)
{
    const int64_t version = (*policy)->info.version;
    mtf_buf before = {0};
    learner->ops->save(learner->algorithm, &before);
    *fresh = true;
    mtf_status status =
        mtf_compare_learner_train(learner, logs, version, &run->result->diverged, err);
    if (status == MTF_OK && !run->result->diverged && run->settings.compare_gate)
        status = mtf_compare_learner_check(learner, logs, version, fresh, err);
    if (status == MTF_OK && !*fresh)
        status = before.failed ? mtf_fail(err, MTF_NOMEM, "no memory to take a round back")
                               : learner->ops->load(learner->algorithm, mtf_buf_span(&before), err);
    mtf_buf_fini(&before);
    if (status == MTF_OK && !run->result->diverged) status = note_learner(run, learner, err);
    if (status == MTF_OK && *fresh && !run->result->diverged)
        status = export_policy(run, learner, policy, err);
    return status;
}

/** Explore for a round, train, and again; *policy out: the last one. */
static mtf_status learn_in_rounds(const running *run, mtf_compare_learner *learner,
                                  mtf_policy **policy, mtf_err *err)
{
    mtf_status status = MTF_OK;
    mtf_scratch scratch = {0};
    const uint32_t rounds = trainings(run->cell);
    bool fresh = true;
    for (uint32_t r = 0; r < rounds && status == MTF_OK && !run->result->diverged; r++) {
        if (fresh) {
            mtf_scratch_close(&scratch);
            status = open_scratch(run, &scratch, err);
        }
        if (status == MTF_OK)
            status = gather(run, *policy, r, r + 1, &scratch, &run->result->served, err);
        if (status == MTF_OK) status = train_round(run, learner, &scratch, policy, &fresh, err);
        run->result->promoted += status == MTF_OK && fresh && !run->result->diverged;
    }
    mtf_scratch_close(&scratch);
    return status;
}

static mtf_status learn_once(const running *run, mtf_compare_learner *learner, mtf_err *err)
{
    mtf_status status = need_logs(run, err);
    if (status) return status;
    run->result->served = run->bench->logs.served;
    status = mtf_compare_learner_train(learner, &run->bench->logs.scratch, 1,
                                       &run->result->diverged, err);
    return status || run->result->diverged ? status : note_learner(run, learner, err);
}

static mtf_status run_learner(running *run, mtf_err *err)
{
    mtf_test_users *test = &run->bench->test;
    mtf_compare_learner learner = {0};
    mtf_policy *policy;
    mtf_status status = open_initial(run, &policy, err);
    if (status == MTF_OK)
        status = mtf_compare_learner_init(&learner, &run->settings, &test->table, run->bench->start,
                                          err);
    learner.stop = run->bench->stop;
    learner.progress = show_steps, learner.arg = run;
    if (status == MTF_OK)
        status = uses_logs(run->cell) ? learn_once(run, &learner, err)
                                      : learn_in_rounds(run, &learner, &policy, err);
    run->result->train_seconds = learner.seconds;
    mtf_sim_actor actor = {0};
    if (status == MTF_OK && run->result->diverged) actor = mtf_sim_actor_of(policy);
    if (status == MTF_OK && !run->result->diverged)
        status = mtf_compare_learner_actor(&learner, &actor, err);
    if (status == MTF_OK)
        status = mtf_test_users_judge(test, &actor, run->bench->stop, run->result, err);
    mtf_compare_learner_fini(&learner);
    mtf_policy_free(policy);
    return status;
}

mtf_status mtf_compare_cell_run(mtf_compare_bench *bench, const mtf_compare_cell *cell,
                                mtf_compare_result *result, mtf_err *err)
{
    running run = {.bench = bench, .cell = cell, .result = result};
    *result = (mtf_compare_result){0};
    mtf_status status = need_test_users(bench, cell->seed, err);
    if (status == MTF_OK) status = cell_settings(cell, &run.settings, err);
    if (status == MTF_OK) status = (cell->row->search ? run_search : run_learner)(&run, err);
    mtf_settings_fini(&run.settings);
    return status;
}
