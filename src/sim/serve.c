#include "sim/serve.h"

#include "client/explore.h"
#include "sim/draw.h"

#define DRAW_BUCKET 1001 /* index in the request's stream; list.c and user.c have the others */

/* One action for all candidates. */
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

static void serve_one(const mtf_sim *sim, const mtf_policy *policy, const sim_visit *visit,
                      double half_width, mtf_str request_id, sim_served *served)
{
    served->action_count = MTF_SIM_ACTIONS;
    mtf_policy_act(policy, served->state, served->baseline);
    if (served->bucket == MTF_BUCKET_EXPLORE) {
        served->bound_count = 0;
        explore(sim, half_width, request_id, served);
    } else {
        served->bound_count = MTF_SIM_ACTIONS; /* a box of zero width */
        memcpy(served->action, served->baseline, MTF_SIM_ACTIONS * sizeof(float));
        memset(served->lower, 0, MTF_SIM_ACTIONS * sizeof(float));
        memset(served->upper, 0, MTF_SIM_ACTIONS * sizeof(float));
    }
    sim_visit_rank(visit, &sim->world, &sim->table, served->action, &served->list);
}

/* Every candidate's action and its box. */
typedef struct sim_choices {
    float baseline[SIM_CANDIDATES][MTF_SIM_ACTIONS], action[SIM_CANDIDATES][MTF_SIM_ACTIONS];
    float lower[SIM_CANDIDATES][MTF_SIM_ACTIONS], upper[SIM_CANDIDATES][MTF_SIM_ACTIONS];
} sim_choices;

static void explore_items(const mtf_sim *sim, double half_width, mtf_str request_id,
                          sim_choices *choices)
{
    const mtf_sim_config *config = &sim->config;
    mtf_explore_boxes(config->seed, request_id, SIM_CANDIDATES, MTF_SIM_ACTIONS,
                      choices->baseline[0], (float)half_width, config->item_noise_shared,
                      choices->lower[0], choices->upper[0], choices->action[0]);
    if (config->explore != MTF_SIM_EXPLORE_GAUSSIAN) return;
    const uint32_t drawn = config->item_noise_shared ? 1 : SIM_CANDIDATES;
    mtf_explore_gaussian(config->seed, request_id, drawn * MTF_SIM_ACTIONS, choices->baseline[0],
                         (float)config->sigma, choices->action[0]);
    for (uint32_t c = drawn; c < SIM_CANDIDATES; c++)
        for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
            const float noise = choices->action[0][d] - choices->baseline[0][d];
            const float wanted = choices->baseline[c][d] + noise;
            choices->action[c][d] = wanted < -1 ? -1 : wanted > 1 ? 1 : wanted;
        }
}

/* An action for each candidate; logged are those of the items shown. */
static void serve_items(const mtf_sim *sim, const sim_server *server, const sim_visit *visit,
                        double half_width, mtf_str request_id, sim_served *served)
{
    sim_choices choices;
    sim_candidates candidates;
    float scores[SIM_CANDIDATES];
    sim_visit_candidates(visit, &sim->world, &served->list);
    sim_candidates_of(&served->list, &candidates);
    mtf_actor_run_items(server->items, served->state, SIM_CANDIDATES, candidates.features,
                        candidates.predictions[0], choices.baseline[0]);
    const bool explores = served->bucket == MTF_BUCKET_EXPLORE;
    explore_items(sim, explores ? half_width : 0, request_id, &choices);
    if (!explores) memcpy(choices.action, choices.baseline, sizeof choices.action);
    mtf_table_fuse_items(&sim->table, choices.action[0], candidates.predictions[0], SIM_CANDIDATES,
                         scores);
    sim_list_take(&served->list, scores);
    const bool boxed = !explores || sim->config.explore == MTF_SIM_EXPLORE_BOX;
    served->action_count = SIM_LOGGED;
    served->bound_count = boxed ? SIM_LOGGED : 0;
    for (uint32_t i = 0; i < SIM_SHOWN; i++) {
        const uint32_t c = served->list.shown[i], at = i * MTF_SIM_ACTIONS;
        memcpy(served->baseline + at, choices.baseline[c], sizeof choices.baseline[c]);
        memcpy(served->action + at, choices.action[c], sizeof choices.action[c]);
        memcpy(served->lower + at, choices.lower[c], sizeof choices.lower[c]);
        memcpy(served->upper + at, choices.upper[c], sizeof choices.upper[c]);
    }
}

void sim_serve(const mtf_sim *sim, const sim_server *server, const sim_visit *visit,
               mtf_str request_id, sim_served *served)
{
    const mtf_sim_config *config = &sim->config;
    const mtf_policy *policy = server->policy;
    const double half_width = config->box < 0 ? policy->info.box : config->box;
    const float u = sim_uniform(sim_key(visit->key, visit->step), DRAW_BUCKET);
    const bool baseline = config->explore == MTF_SIM_EXPLORE_NONE || u < config->baseline_share;
    served->policy_version = policy->info.version;
    served->bucket = baseline ? MTF_BUCKET_BASELINE : MTF_BUCKET_EXPLORE;
    sim_visit_state(visit, &sim->world, served->state);
    if (server->items)
        serve_items(sim, server, visit, half_width, request_id, served);
    else
        serve_one(sim, policy, visit, half_width, request_id, served);
}
