#include "cli/sim_search.h"

#include <stdio.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/progress.h"
#include "sim/tune.h"

#define VALUE_SESSIONS 50000
#define VALUE_SEED     77 /* of users that no search has met; as --value */

static void show_progress(void *arg, int64_t done, int64_t total)
{
    (void)total;
    mtf_progress_at(arg, done);
}

static mtf_status write_policy(const mtf_cli *cli, const char *path, mtf_policy *policy,
                               mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    mtf_policy_info *info = &policy->info;
    mtf_buf record = {0};
    info->version = 1;
    info->created_ms = mtf_clock_wall_ms();
    info->box = (float)s->policy_box;
    snprintf(info->name, sizeof info->name, "%s", s->policy_name);
    snprintf(info->reason, sizeof info->reason, "searched on the simulated recommender");
    mtf_status status = mtf_policy_encode(policy, &record, err);
    if (status == MTF_OK) status = mtf_file_replace(path, mtf_buf_span(&record), err);
    mtf_buf_fini(&record);
    return status;
}

static void print_result(const sim_search_options *o, const mtf_sim_tuned *tuned,
                         const mtf_sim_value *value, const mtf_sim_reference *reference)
{
    printf("{\"method\":\"%s\",\"seed\":%lld,\"actions\":%u,\"sessions\":%lld,"
           "\"reward_meanwhile\":%.6g,\"value\":{\"mean\":%.6g,\"ci\":[%.6g,%.6g]}",
           o->method, (long long)o->seed, tuned->points, (long long)tuned->sessions, tuned->mean,
           value->mean, value->low, value->high);
    if (reference) {
        const double from = reference->initial.mean, to = reference->best_constant.mean;
        printf(",\"of_the_way\":%.4f", (value->mean - from) / (to - from));
    }
    printf(",\"action\":[");
    for (int d = 0; d < MTF_SIM_ACTIONS; d++)
        printf("%s%.6g", d ? "," : "", (double)tuned->action[d]);
    printf("]}\n");
}

mtf_status sim_search(const mtf_cli *cli, const mtf_sim *sim, const sim_search_options *o,
                      mtf_err *err)
{
    mtf_progress progress;
    mtf_sim_tuned tuned;
    mtf_sim_value value;
    mtf_sim_reference reference;
    mtf_policy *policy = NULL;
    mtf_sim_tune_config config = mtf_sim_tune_config_default(o->method);
    config.sessions = o->sessions;
    config.sessions_each = (uint32_t)o->each;
    config.seed = (uint64_t)o->seed;
    config.stop = cli->stop;
    config.progress = show_progress;
    config.progress_arg = &progress;
    mtf_progress_begin(&progress, "search", "sessions", o->sessions, false);
    mtf_status status = mtf_sim_tune(sim, &config, &tuned, &policy, err);
    if (status == MTF_OK) mtf_progress_end(&progress, tuned.sessions);
    if (status == MTF_OK)
        status = mtf_sim_evaluate(sim, policy, VALUE_SESSIONS, (uint64_t)o->seed + VALUE_SEED, 2,
                                  NULL, &value, err);
    if (status == MTF_OK && o->write) status = write_policy(cli, o->write, policy, err);
    if (status == MTF_OK) {
        /* Another world, reward or action table has no reference: then there is no share. */
        const bool known = mtf_sim_reference_get(sim, &reference, NULL) == MTF_OK;
        print_result(o, &tuned, &value, known ? &reference : NULL);
    }
    mtf_policy_free(policy);
    return status;
}
