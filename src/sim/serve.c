#include "sim/serve.h"

#include "client/explore.h"
#include "sim/draw.h"

#define DRAW_BUCKET 1001 /* index in the request's stream; list.c and user.c have the others */

static void explore(const mtf_sim *sim, double half_width, mtf_str request_id, sim_served *served)
{
    const uint64_t seed = sim->config.seed;
    if (sim->config.explore == MTF_SIM_EXPLORE_GAUSSIAN) {
        mtf_explore_gaussian(seed, request_id, MTF_SIM_ACTIONS, served->baseline,
                             (float)sim->config.sigma, served->action);
        return;
    }
    served->bound_count = MTF_SIM_ACTIONS;
    mtf_box_clip(MTF_SIM_ACTIONS, served->baseline, (float)half_width, served->lower,
                 served->upper);
    mtf_explore_box(seed, request_id, MTF_SIM_ACTIONS, served->baseline, served->lower,
                    served->upper, served->action);
}

void sim_serve(const mtf_sim *sim, const mtf_policy *policy, const sim_visit *visit,
               mtf_str request_id, sim_served *served)
{
    const mtf_sim_config *config = &sim->config;
    served->policy_version = policy->info.version;
    sim_visit_state(visit, &sim->world, served->state);
    mtf_policy_act(policy, served->state, served->baseline);
    const float u = sim_uniform(sim_key(visit->key, visit->step), DRAW_BUCKET);
    if (config->explore == MTF_SIM_EXPLORE_NONE || u < config->baseline_share) {
        served->bucket = MTF_BUCKET_BASELINE;
        served->bound_count = MTF_SIM_ACTIONS; /* a box of zero width */
        memcpy(served->action, served->baseline, sizeof served->action);
        memset(served->lower, 0, sizeof served->lower);
        memset(served->upper, 0, sizeof served->upper);
    } else {
        served->bucket = MTF_BUCKET_EXPLORE;
        served->bound_count = 0;
        explore(sim, config->box < 0 ? policy->info.box : config->box, request_id, served);
    }
    sim_visit_rank(visit, &sim->world, &sim->table, served->action, &served->list);
}
