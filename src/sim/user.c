#include "sim/visit.h"

#include "sim/draw.h"

/* Indices of draws within a user's, a visit's and a request's stream; list.c has the request's
 * others. */
enum {
    USER_TYPE,
    USER_GROUP,
    USER_ACTIVITY,
    USER_PATIENCE,
    USER_TRAITS,
    USER_PROFILE = 16,
    USER_HABITS = 80
}; /* SIM_USER_HOUR: visit.h */
enum { VISIT_ABSENCE = 1000 };
enum { STATE_PROFILE = 2000, STATE_TEMPER = 2100, STATE_NETWORK };

void sim_user_init(sim_user *user, const sim_world *world, uint64_t seed, uint64_t number)
{
    const uint64_t key = sim_key(sim_key(seed, 1), number);
    *user = (sim_user){.key = key};
    float u = sim_uniform(key, USER_TYPE);
    while (user->type + 1 < SIM_TYPES && u >= world->types[user->type].share)
        u -= world->types[user->type++].share;
    const float *centre =
        world->types[user->type].centre[sim_uniform(key, USER_GROUP) < world->second_share];
    user->activity = 0.2f * sim_normal(key, USER_ACTIVITY);
    user->patience = world->temper_start + world->temper_spread * sim_normal(key, USER_PATIENCE);
    float traits[SIM_TRAITS];
    for (uint32_t d = 0; d < SIM_TRAITS; d++) {
        const float noise = sim_normal(key, USER_TRAITS + d);
        traits[d] = d < 3 ? centre[d] + world->spread * noise : noise;
    }
    for (uint32_t j = 0; j < SIM_PROFILE; j++) {
        float sum = world->profile_bias[j];
        for (uint32_t d = 0; d < SIM_TRAITS; d++) sum += world->profile_weight[j][d] * traits[d];
        user->profile[j] = sim_tanh(sum) + world->profile_noise * sim_normal(key, USER_PROFILE + j);
    }
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
        user->habits[b] = user->activity + 0.5f * sim_normal(key, USER_HABITS + b);
}

void sim_visit_begin(sim_visit *visit, uint64_t number, float hour)
{
    visit->key = sim_key(visit->user.key, number);
    visit->temper = visit->user.patience;
    visit->step = 0;
    visit->hour = hour;
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) visit->last[b] = visit->sum[b] = 0.0f;
}

/* A wave of period 1 made of parabolas: 0, 1, 0, -1 at 0, 1/4, 1/2, 3/4. */
static float wave(float x)
{
    const float t = x - (float)(int32_t)x;
    return t < 0.5f ? 16.0f * t * (0.5f - t) : -16.0f * (t - 0.5f) * (1.0f - t);
}

void sim_visit_state(const sim_visit *visit, const sim_world *world, float *state)
{
    static const float scale[SIM_BEHAVIOURS] = {2.0f, 0.05f, 3.0f, 8.0f, 12.0f};
    const uint64_t key = sim_key(visit->key, visit->step);
    const sim_user *user = &visit->user;
    for (uint32_t j = 0; j < SIM_PROFILE; j++)
        state[j] = user->profile[j] + world->request_noise * sim_normal(key, STATE_PROFILE + j);
    float *recent = state + SIM_PROFILE;
    const float step = (float)visit->step, lists = visit->step == 0 ? 1.0f : step;
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
        recent[b] = scale[b] * visit->last[b];
        recent[5 + b] = scale[b] * visit->sum[b] / lists;
        recent[10 + b] = user->habits[b];
    }
    recent[15] = step < 12.0f ? step / 4.0f : 3.0f;
    recent[16] = 1.0f / (1.0f + step);
    recent[17] = wave(visit->hour);
    recent[18] = wave(visit->hour + 0.25f);
    recent[19] = visit->temper + 0.4f * sim_normal(key, STATE_TEMPER);
    recent[20] =
        sim_normal(visit->key, VISIT_ABSENCE);   /* days since the last visit, in units of spread */
    recent[21] = sim_normal(key, STATE_NETWORK); /* the network's speed */
}

void sim_visit_note(sim_visit *visit, const sim_outcome *outcome)
{
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < SIM_SHOWN; i++) sum += outcome->values[i][b];
        visit->last[b] = sum / SIM_SHOWN;
        visit->sum[b] += visit->last[b];
    }
}
