/* What outlives a step: starting a round, starting anew, and the checkpoint's bytes. */
#include "learner/integrated.h"
#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define SAVE_MAGIC   0x4946544du /* "MTFI" */
#define SAVE_VERSION 1u

static void start_net(const mtf_mlp *mlp, mtf_net *net, mtf_rng rng, double last_scale)
{
    mtf_mlp_init(mlp, net->weights, &rng, last_scale);
    memcpy(net->target, net->weights, mlp->size * sizeof *net->target);
    memset(net->m, 0, mlp->size * sizeof *net->m);
    memset(net->v, 0, mlp->size * sizeof *net->v);
}

void mtf_integrated_reinit(mtf_algorithm *algorithm, uint64_t seed, bool actor, bool critics)
{
    if (actor) {
        /* A tenth in the last layer: the first actions lie near 0, away from tanh's flat ends. */
        start_net(&algorithm->actor_mlp, &algorithm->actor, mtf_rng_of(seed, 0), 0.1);
        algorithm->actor_t = 0;
    }
    if (critics) {
        for (uint32_t i = 0; i < algorithm->config.critics; i++) {
            start_net(&algorithm->critic_mlp, &algorithm->critics[i], mtf_rng_of(seed, 1 + i), 1.0);
        }
        algorithm->critic_t = 0;
        algorithm->critics_fresh = true;
    }
}

mtf_status mtf_integrated_set_actor(mtf_algorithm *algorithm, uint32_t layers,
                                    const uint32_t *widths, const float *const *weights,
                                    const float *const *biases, mtf_err *err)
{
    const mtf_mlp *mlp = &algorithm->actor_mlp;
    const uint32_t wanted[] = {mlp->inputs, mlp->hidden, mlp->hidden, mlp->outputs};
    if (layers != 3)
        return mtf_fail(err, MTF_INVALID, "the policy has %u layers, the learner's actor has 3",
                        layers);
    if (memcmp(widths, wanted, sizeof wanted) != 0)
        return mtf_fail(err, MTF_INVALID,
                        "the policy's layers are %u-%u-%u-%u wide, the settings (learner.hidden, "
                        "policy.state_dim, policy.actions) say %u-%u-%u-%u",
                        widths[0], widths[1], widths[2], widths[3], wanted[0], wanted[1], wanted[2],
                        wanted[3]);
    mtf_net *actor = &algorithm->actor;
    for (uint32_t layer = 0; layer < layers; layer++) {
        const mtf_mlp_index index = (mtf_mlp_index)(MTF_MLP_w1 + 2 * layer);
        const mtf_tensor *weight = &mlp->tensors[index], *bias = &mlp->tensors[index + 1];
        memcpy(actor->weights + weight->offset, weights[layer],
               weight->rows * weight->cols * sizeof *actor->weights);
        memcpy(actor->weights + bias->offset, biases[layer],
               bias->rows * bias->cols * sizeof *actor->weights);
    }
    memcpy(actor->target, actor->weights, mlp->size * sizeof *actor->target);
    memset(actor->m, 0, mlp->size * sizeof *actor->m);
    memset(actor->v, 0, mlp->size * sizeof *actor->v);
    algorithm->actor_t = 0;
    return MTF_OK;
}

/* Values in units of the new scale: the last layer is linear, so it alone changes. */
static void rescale(const mtf_mlp *mlp, float *block, float factor)
{
    mtf_scale(mtf_mlp_at(mlp, block, MTF_MLP_w3), factor, mlp->hidden);
    mtf_scale(mtf_mlp_at(mlp, block, MTF_MLP_b3), factor, 1);
}

static void reset_moments(const mtf_mlp *mlp, mtf_net *net)
{
    memset(net->m, 0, mlp->size * sizeof *net->m);
    memset(net->v, 0, mlp->size * sizeof *net->v);
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
        rescale(&algorithm->critic_mlp, algorithm->critics[i].weights, factor);
        rescale(&algorithm->critic_mlp, algorithm->critics[i].target, factor);
    }
    algorithm->reward_scale = reward_scale;
    algorithm->critics_fresh = false;
    algorithm->step = 0;
    if (!reset_optimizer) return MTF_OK;
    reset_moments(&algorithm->actor_mlp, &algorithm->actor);
    for (uint32_t i = 0; i < algorithm->config.critics; i++) {
        reset_moments(&algorithm->critic_mlp, &algorithm->critics[i]);
    }
    algorithm->actor_t = algorithm->critic_t = 0;
    return MTF_OK;
}

static void save_net(const mtf_mlp *mlp, const mtf_net *net, mtf_buf *out)
{
    const float *const blocks[] = {net->weights, net->target, net->m, net->v};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
            const mtf_tensor *tensor = &mlp->tensors[t];
            mtf_buf_put_f32_le(out, blocks[k] + tensor->offset, tensor->rows * tensor->cols);
        }
    }
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
    save_net(&algorithm->actor_mlp, &algorithm->actor, out);
    for (uint32_t i = 0; i < config->critics; i++) {
        save_net(&algorithm->critic_mlp, &algorithm->critics[i], out);
    }
}

static void load_net(const mtf_mlp *mlp, mtf_net *net, mtf_reader *reader)
{
    float *const blocks[] = {net->weights, net->target, net->m, net->v};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
            const mtf_tensor *tensor = &mlp->tensors[t];
            const size_t count = tensor->rows * tensor->cols;
            mtf_reader_f32_le(reader, blocks[k] + tensor->offset, count);
            if (!mtf_all_finite(blocks[k] + tensor->offset, count)) reader->failed = true;
        }
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
    load_net(&algorithm->actor_mlp, &algorithm->actor, &reader);
    for (uint32_t i = 0; i < config->critics; i++) {
        load_net(&algorithm->critic_mlp, &algorithm->critics[i], &reader);
    }
    if (reader.failed || mtf_reader_left(&reader) != 0 || !isfinite(algorithm->reward_scale) ||
        algorithm->reward_scale <= 0.0) {
        return mtf_fail(err, MTF_CORRUPT,
                        "the checkpoint of algorithm integrated is cut, too long or "
                        "not finite: use an earlier one");
    }
    return MTF_OK;
}
