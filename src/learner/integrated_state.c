/* What outlives a step: starting a round, starting anew, and the checkpoint's bytes. */
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define SAVE_MAGIC   0x4946544du /* "MTFI" */
#define SAVE_VERSION 1u

void mtf_integrated_reinit(mtf_algorithm *algorithm, uint64_t seed, bool actor, bool critics)
{
    if (actor) {
        /* A tenth in the last layer: the first actions lie near 0, away from tanh's flat ends. */
        mtf_net_start(&algorithm->actor_mlp, &algorithm->actor, mtf_rng_of(seed, 0), 0.1);
        algorithm->actor_t = 0;
    }
    if (critics) {
        for (uint32_t i = 0; i < algorithm->config.critics; i++) {
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
        mtf_net_set_layers(&algorithm->actor_mlp, &algorithm->actor, algorithm->config.action_dim,
                           layers, widths, weights, biases, err);
    if (status == MTF_OK) algorithm->actor_t = 0;
    return status;
}

mtf_status mtf_integrated_begin_round(mtf_algorithm *algorithm, double reward_scale,
                                      bool reset_optimizer, mtf_err *err)
{
    if (!isfinite(reward_scale) || reward_scale <= 0.0) {
        return mtf_fail(err, MTF_INVALID, "the reward scale is %g: it must be positive",
                        reward_scale);
    }
    const float factor = (float)(algorithm->reward_scale / reward_scale);
    for (uint32_t i = 0; i < algorithm->config.critics && !algorithm->critics_fresh; i++) {
        mtf_net_rescale(&algorithm->critic_mlp, &algorithm->critics[i], factor);
    }
    algorithm->reward_scale = reward_scale;
    algorithm->critics_fresh = false;
    algorithm->step = 0;
    if (!reset_optimizer) return MTF_OK;
    mtf_net_reset_moments(&algorithm->actor_mlp, &algorithm->actor);
    for (uint32_t i = 0; i < algorithm->config.critics; i++) {
        mtf_net_reset_moments(&algorithm->critic_mlp, &algorithm->critics[i]);
    }
    algorithm->actor_t = algorithm->critic_t = 0;
    return MTF_OK;
}

/* magic, version, S, A, H, m (u32); step, both Adam counts, scale's bits, fresh (u64); then the
 * actor and each critic: weights, target, m, v, each tensor by tensor. Little-endian. */
void mtf_integrated_save(const mtf_algorithm *algorithm, mtf_buf *out)
{
    const mtf_algorithm_config *config = &algorithm->config;
    const uint32_t head[] = {SAVE_MAGIC,         SAVE_VERSION,   config->state_dim,
                             config->action_dim, config->hidden, config->critics};
    uint64_t scale_bits;
    memcpy(&scale_bits, &algorithm->reward_scale, sizeof scale_bits);
    const uint64_t counts[] = {algorithm->step, algorithm->actor_t, algorithm->critic_t, scale_bits,
                               algorithm->critics_fresh};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) mtf_buf_put_u32_le(out, head[i]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        mtf_buf_put_u64_le(out, counts[i]);
    mtf_net_save(&algorithm->actor_mlp, &algorithm->actor, out);
    for (uint32_t i = 0; i < config->critics; i++) {
        mtf_net_save(&algorithm->critic_mlp, &algorithm->critics[i], out);
    }
}

mtf_status mtf_integrated_load(mtf_algorithm *algorithm, mtf_span saved, mtf_err *err)
{
    const mtf_algorithm_config *config = &algorithm->config;
    mtf_reader reader = mtf_reader_of(saved);
    if (mtf_reader_u32_le(&reader) != SAVE_MAGIC || mtf_reader_u32_le(&reader) != SAVE_VERSION) {
        return mtf_fail(err, MTF_CORRUPT, "not a checkpoint of algorithm integrated, version %u",
                        SAVE_VERSION);
    }
    uint32_t dims[4];
    for (size_t i = 0; i < 4; i++) dims[i] = mtf_reader_u32_le(&reader);
    if (!reader.failed && (dims[0] != config->state_dim || dims[1] != config->action_dim ||
                           dims[2] != config->hidden || dims[3] != config->critics)) {
        return mtf_fail(
            err, MTF_INVALID,
            "the checkpoint has %u states, %u actions, hidden %u, %u critics; the settings "
            "say %u, %u, %u, %u: restore the settings or start from no checkpoint",
            dims[0], dims[1], dims[2], dims[3], config->state_dim, config->action_dim,
            config->hidden, config->critics);
    }
    algorithm->step = mtf_reader_u64_le(&reader);
    algorithm->actor_t = mtf_reader_u64_le(&reader);
    algorithm->critic_t = mtf_reader_u64_le(&reader);
    const uint64_t scale_bits = mtf_reader_u64_le(&reader);
    memcpy(&algorithm->reward_scale, &scale_bits, sizeof scale_bits);
    algorithm->critics_fresh = mtf_reader_u64_le(&reader) != 0;
    mtf_net_load(&algorithm->actor_mlp, &algorithm->actor, &reader);
    for (uint32_t i = 0; i < config->critics; i++) {
        mtf_net_load(&algorithm->critic_mlp, &algorithm->critics[i], &reader);
    }
    if (reader.failed || mtf_reader_left(&reader) != 0 || !isfinite(algorithm->reward_scale) ||
        algorithm->reward_scale <= 0.0) {
        return mtf_fail(err, MTF_CORRUPT,
                        "the checkpoint of algorithm integrated is cut, too long or "
                        "not finite: use an earlier one");
    }
    return MTF_OK;
}
