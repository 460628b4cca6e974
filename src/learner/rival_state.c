/* What outlives a step of the learners to compare with: rounds, starting anew, the checkpoint. */
#include "learner/kernels.h"
#include "learner/rival.h"

#include <math.h>
#include <string.h>

#define SAVE_MAGIC   0x5246544du /* "MTFR" */
#define SAVE_VERSION 1u
#define NAME_BYTES   16

void mtf_rival_configure(mtf_algorithm_config *config)
{
    config->critics = 2;
}

static void reset_loose(mtf_algorithm *rival)
{
    const size_t bytes = rival->loose_count * sizeof *rival->loose.m;
    if (bytes == 0) return;
    memset(rival->loose.m, 0, bytes);
    memset(rival->loose.v, 0, bytes);
    rival->loose_t = 0;
}

/* The loose numbers are the policy's: they start at 0 with it. */
void mtf_rival_reinit(mtf_algorithm *rival, uint64_t seed, bool actor, bool critics)
{
    for (uint32_t i = 0; i < rival->net_count; i++) {
        mtf_rival_net *net = &rival->nets[i];
        if (net->shape.value ? !critics : !actor) continue;
        mtf_net_start(&net->mlp, &net->net, mtf_rng_of(seed, i), net->shape.last_scale);
        net->t = 0;
    }
    if (critics) rival->values_fresh = true;
    if (!actor) return;
    if (rival->loose_count)
        memset(rival->loose.weights, 0, rival->loose_count * sizeof *rival->loose.weights);
    reset_loose(rival);
}

mtf_status mtf_rival_begin_round(mtf_algorithm *rival, double reward_scale, bool reset_optimizer,
                                 mtf_err *err)
{
    if (!isfinite(reward_scale) || reward_scale <= 0.0) {
        return mtf_fail(err, MTF_INVALID, "the reward scale is %g: it must be positive",
                        reward_scale);
    }
    const float factor = (float)(rival->reward_scale / reward_scale);
    for (uint32_t i = 0; i < rival->net_count; i++) {
        mtf_rival_net *net = &rival->nets[i];
        if (net->shape.value && !rival->values_fresh) mtf_net_rescale(&net->mlp, &net->net, factor);
        if (!reset_optimizer) continue;
        mtf_net_reset_moments(&net->mlp, &net->net);
        net->t = 0;
    }
    if (reset_optimizer) reset_loose(rival);
    rival->reward_scale = reward_scale;
    rival->values_fresh = false;
    rival->step = 0;
    return MTF_OK;
}

/* magic, version (u32); the algorithm's name (16 bytes); S, A, H, networks, loose numbers (u32);
 * seed, step, steps ever, scale's bits, fresh, Adam's counts of the networks and the loose numbers
 * (u64); each network (mtf_net_save); the loose numbers, their m and v. Little-endian. */
void mtf_rival_save(const mtf_algorithm *rival, mtf_buf *out)
{
    const mtf_algorithm_config *config = &rival->config;
    const uint32_t dims[] = {config->state_dim, config->action_dim, config->hidden,
                             rival->net_count, (uint32_t)rival->loose_count};
    char name[NAME_BYTES] = {0};
    uint64_t scale_bits;
    memcpy(name, rival->ops->name, strlen(rival->ops->name));
    memcpy(&scale_bits, &rival->reward_scale, sizeof scale_bits);
    const uint64_t counts[] = {rival->seed, rival->step, rival->taken, scale_bits,
                               rival->values_fresh};
    mtf_buf_put_u32_le(out, SAVE_MAGIC);
    mtf_buf_put_u32_le(out, SAVE_VERSION);
    mtf_buf_put(out, name, sizeof name);
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) mtf_buf_put_u32_le(out, dims[i]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        mtf_buf_put_u64_le(out, counts[i]);
    for (uint32_t i = 0; i < rival->net_count; i++) mtf_buf_put_u64_le(out, rival->nets[i].t);
    mtf_buf_put_u64_le(out, rival->loose_t);
    for (uint32_t i = 0; i < rival->net_count; i++)
        mtf_net_save(&rival->nets[i].mlp, &rival->nets[i].net, out);
    mtf_buf_put_f32_le(out, rival->loose.weights, rival->loose_count);
    mtf_buf_put_f32_le(out, rival->loose.m, rival->loose_count);
    mtf_buf_put_f32_le(out, rival->loose.v, rival->loose_count);
}

/* Whose it is, and of which sizes. */
static mtf_status load_head(const mtf_algorithm *rival, mtf_reader *reader, mtf_err *err)
{
    const mtf_algorithm_config *config = &rival->config;
    const uint32_t mine[] = {config->state_dim, config->action_dim, config->hidden,
                             rival->net_count, (uint32_t)rival->loose_count};
    uint32_t dims[sizeof mine / sizeof mine[0]];
    char name[NAME_BYTES] = {0};
    memcpy(name, rival->ops->name, strlen(rival->ops->name));
    const bool known =
        mtf_reader_u32_le(reader) == SAVE_MAGIC && mtf_reader_u32_le(reader) == SAVE_VERSION;
    const uint8_t *saved_name = mtf_reader_take(reader, NAME_BYTES);
    if (!known || saved_name == NULL || memcmp(saved_name, name, NAME_BYTES) != 0)
        return mtf_fail(err, MTF_CORRUPT, "not a checkpoint of algorithm %s, version %u",
                        rival->ops->name, SAVE_VERSION);
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) dims[i] = mtf_reader_u32_le(reader);
    if (reader->failed || memcmp(dims, mine, sizeof dims) == 0) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "the checkpoint has %u states, %u actions, hidden %u; the settings say %u, %u, "
                    "%u: restore the settings or start from no checkpoint",
                    dims[0], dims[1], dims[2], mine[0], mine[1], mine[2]);
}

static void load_floats(mtf_reader *reader, float *values, size_t count)
{
    mtf_reader_f32_le(reader, values, count);
    if (!mtf_all_finite(values, count)) reader->failed = true;
}

mtf_status mtf_rival_load(mtf_algorithm *rival, mtf_span saved, mtf_err *err)
{
    mtf_reader reader = mtf_reader_of(saved);
    const mtf_status status = load_head(rival, &reader, err);
    if (status != MTF_OK) return status;
    rival->seed = mtf_reader_u64_le(&reader);
    rival->step = mtf_reader_u64_le(&reader);
    rival->taken = mtf_reader_u64_le(&reader);
    const uint64_t scale_bits = mtf_reader_u64_le(&reader);
    memcpy(&rival->reward_scale, &scale_bits, sizeof scale_bits);
    rival->values_fresh = mtf_reader_u64_le(&reader) != 0;
    for (uint32_t i = 0; i < rival->net_count; i++) rival->nets[i].t = mtf_reader_u64_le(&reader);
    rival->loose_t = mtf_reader_u64_le(&reader);
    for (uint32_t i = 0; i < rival->net_count; i++)
        mtf_net_load(&rival->nets[i].mlp, &rival->nets[i].net, &reader);
    load_floats(&reader, rival->loose.weights, rival->loose_count);
    load_floats(&reader, rival->loose.m, rival->loose_count);
    load_floats(&reader, rival->loose.v, rival->loose_count);
    if (reader.failed || mtf_reader_left(&reader) != 0 || !isfinite(rival->reward_scale) ||
        rival->reward_scale <= 0.0) {
        return mtf_fail(err, MTF_CORRUPT,
                        "the checkpoint of algorithm %s is cut, too long or not finite: use an "
                        "earlier one",
                        rival->ops->name);
    }
    return MTF_OK;
}
