/* What outlives a step: starting a round, starting anew, and the checkpoint's bytes. */
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define SAVE_MAGIC   0x4946544du /* "MTFI" */
#define SAVE_LIST    0x4546544du /* "MTFE": an action per item */
#define SAVE_VERSION 1u
#define SAVE_GROUPS  2u /* the version with groups of critics */

static void put_number(mtf_buf *out, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    mtf_buf_put_u64_le(out, bits);
}

/* A scale that is none fails the reader. */
static void read_scale(mtf_reader *reader, double *scale)
{
    const uint64_t bits = mtf_reader_u64_le(reader);
    memcpy(scale, &bits, sizeof bits);
    if (!isfinite(*scale) || *scale <= 0.0) reader->failed = true;
}

void mtf_integrated_reinit(mtf_algorithm *algorithm, uint64_t seed, bool actor, bool critics)
{
    if (actor) {
        /* A tenth in the last layer: the first actions lie near 0, away from tanh's flat ends. */
        mtf_net_start(&algorithm->actor_mlp, &algorithm->actor, mtf_rng_of(seed, 0), 0.1);
        algorithm->actor_t = 0;
    }
    if (critics) {
        for (uint32_t i = 0; i < algorithm->critic_count; i++) {
            mtf_net_start(&algorithm->critic_mlp, &algorithm->critics[i], mtf_rng_of(seed, 1 + i),
                          1.0);
        }
        algorithm->critic_t = 0;
        algorithm->critics_fresh = true;
    }
}

mtf_status mtf_integrated_set_actor(mtf_algorithm *algorithm, uint32_t layers,
                                    const uint32_t *widths, const float *const *weights,
                                    const float *const *biases, mtf_err *err)
{
    const mtf_status status =
        mtf_net_set_layers(&algorithm->actor_mlp, &algorithm->actor, algorithm->actions, layers,
                           widths, weights, biases, err);
    if (status == MTF_OK) algorithm->actor_t = 0;
    return status;
}

mtf_status mtf_integrated_scale_groups(mtf_algorithm *algorithm, const double *scales, mtf_err *err)
{
    for (uint32_t g = 0; g < algorithm->config.groups; g++) {
        if (!isfinite(scales[g]) || scales[g] <= 0.0)
            return mtf_fail(err, MTF_INVALID,
                            "the scale of part %u of the reward is %g: it must be positive", g,
                            scales[g]);
    }
    memcpy(algorithm->next_scales, scales, algorithm->config.groups * sizeof *scales);
    return MTF_OK;
}

mtf_status mtf_integrated_begin_round(mtf_algorithm *algorithm, double reward_scale,
                                      bool reset_optimizer, mtf_err *err)
{
    if (!isfinite(reward_scale) || reward_scale <= 0.0) {
        return mtf_fail(err, MTF_INVALID, "the reward scale is %g: it must be positive",
                        reward_scale);
    }
    const uint32_t m = algorithm->config.critics;
    for (uint32_t g = 0; g < algorithm->groups; g++) {
        const double scale =
            algorithm->next_scales[g] > 0.0 ? algorithm->next_scales[g] : reward_scale;
        const float factor = (float)(algorithm->group_scales[g] / scale);
        for (uint32_t i = g * m; i < (g + 1) * m && !algorithm->critics_fresh; i++)
            mtf_net_rescale(&algorithm->critic_mlp, &algorithm->critics[i], factor);
        algorithm->group_scales[g] = scale;
        algorithm->next_scales[g] = 0.0;
    }
    algorithm->reward_scale = reward_scale;
    algorithm->critics_fresh = false;
    algorithm->step = 0;
    if (!reset_optimizer) return MTF_OK;
    mtf_net_reset_moments(&algorithm->actor_mlp, &algorithm->actor);
    for (uint32_t i = 0; i < algorithm->critic_count; i++) {
        mtf_net_reset_moments(&algorithm->critic_mlp, &algorithm->critics[i]);
    }
    algorithm->actor_t = algorithm->critic_t = 0;
    return MTF_OK;
}

/* magic, version, S, A (of an item, where each has its own action), H, m (u32); step, both Adam
 * counts, scale's bits, fresh (u64); of version 2 q and each group's scale's bits (u64); then the
 * actor and each critic: weights, target, m, v, each tensor by tensor. Little-endian. */
void mtf_integrated_save(const mtf_algorithm *algorithm, mtf_buf *out)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const uint32_t head[] = {config->list ? SAVE_LIST : SAVE_MAGIC,
                             config->groups ? SAVE_GROUPS : SAVE_VERSION,
                             algorithm->states,
                             algorithm->actions,
                             config->hidden,
                             config->critics};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) mtf_buf_put_u32_le(out, head[i]);
    mtf_buf_put_u64_le(out, algorithm->step);
    mtf_buf_put_u64_le(out, algorithm->actor_t);
    mtf_buf_put_u64_le(out, algorithm->critic_t);
    put_number(out, algorithm->reward_scale);
    mtf_buf_put_u64_le(out, algorithm->critics_fresh);
    if (config->groups) mtf_buf_put_u64_le(out, config->groups);
    for (uint32_t g = 0; g < config->groups; g++) put_number(out, algorithm->group_scales[g]);
    mtf_net_save(&algorithm->actor_mlp, &algorithm->actor, out);
    for (uint32_t i = 0; i < algorithm->critic_count; i++)
        mtf_net_save(&algorithm->critic_mlp, &algorithm->critics[i], out);
}

static mtf_status read_head(const mtf_algorithm *algorithm, mtf_reader *reader, mtf_err *err)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const uint32_t magic = mtf_reader_u32_le(reader), version = mtf_reader_u32_le(reader);
    const char *name = config->list ? mtf_enhanced_ops.name : mtf_integrated_ops.name;
    if (magic != (config->list ? SAVE_LIST : SAVE_MAGIC) ||
        (version != SAVE_VERSION && version != SAVE_GROUPS))
        return mtf_fail(err, MTF_CORRUPT, "not a checkpoint of algorithm %s, version %u or %u",
                        name, SAVE_VERSION, SAVE_GROUPS);
    if ((version == SAVE_GROUPS) != (config->groups > 0))
        return mtf_fail(err, MTF_INVALID,
                        "the checkpoint is %s groups of critics, the settings (reward.groups) say "
                        "otherwise: restore the settings or start from no checkpoint",
                        version == SAVE_GROUPS ? "of" : "without");
    uint32_t dims[4];
    for (size_t i = 0; i < 4; i++) dims[i] = mtf_reader_u32_le(reader);
    if (reader->failed || (dims[0] == algorithm->states && dims[1] == algorithm->actions &&
                           dims[2] == config->hidden && dims[3] == config->critics))
        return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "the checkpoint has %u states, %u actions, hidden %u, %u critics; the settings "
                    "say %u, %u, %u, %u: restore the settings or start from no checkpoint",
                    dims[0], dims[1], dims[2], dims[3], algorithm->states, algorithm->actions,
                    config->hidden, config->critics);
}

/* What each group learns in: with one group the round's scale. */
static mtf_status read_groups(mtf_algorithm *algorithm, mtf_reader *reader, mtf_err *err)
{
    const uint32_t groups = algorithm->config.groups;
    algorithm->group_scales[0] = algorithm->reward_scale;
    if (groups == 0) return MTF_OK;
    const uint64_t saved = mtf_reader_u64_le(reader);
    if (!reader->failed && saved != groups)
        return mtf_fail(err, MTF_INVALID,
                        "the checkpoint has %llu groups of critics, reward.groups says %u: restore "
                        "the settings or start from no checkpoint",
                        (unsigned long long)saved, groups);
    for (uint32_t g = 0; g < groups; g++) read_scale(reader, &algorithm->group_scales[g]);
    return MTF_OK;
}

mtf_status mtf_integrated_load(mtf_algorithm *algorithm, mtf_span saved, mtf_err *err)
{
    mtf_reader reader = mtf_reader_of(saved);
    mtf_status status = read_head(algorithm, &reader, err);
    if (status != MTF_OK) return status;
    algorithm->step = mtf_reader_u64_le(&reader);
    algorithm->actor_t = mtf_reader_u64_le(&reader);
    algorithm->critic_t = mtf_reader_u64_le(&reader);
    read_scale(&reader, &algorithm->reward_scale);
    algorithm->critics_fresh = mtf_reader_u64_le(&reader) != 0;
    status = read_groups(algorithm, &reader, err);
    if (status != MTF_OK) return status;
    mtf_net_load(&algorithm->actor_mlp, &algorithm->actor, &reader);
    for (uint32_t i = 0; i < algorithm->critic_count; i++)
        mtf_net_load(&algorithm->critic_mlp, &algorithm->critics[i], &reader);
    if (reader.failed || mtf_reader_left(&reader) != 0)
        return mtf_fail(err, MTF_CORRUPT,
                        "the checkpoint of algorithm %s is cut, too long or not finite: use an "
                        "earlier one",
                        algorithm->config.list ? mtf_enhanced_ops.name : mtf_integrated_ops.name);
    return MTF_OK;
}
