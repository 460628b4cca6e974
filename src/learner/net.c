#include "learner/net.h"

#include "core/block.h"
#include "learner/kernels.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN_FLOATS 16 /* a cache line */

float *mtf_carve(mtf_carver *from, size_t count)
{
    float *piece = from->block == NULL ? NULL : from->block + from->used;
    from->used += (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

void mtf_carve_net(mtf_carver *from, size_t size, mtf_net *net)
{
    net->weights = mtf_carve(from, size);
    net->target = mtf_carve(from, size);
    net->m = mtf_carve(from, size);
    net->v = mtf_carve(from, size);
}

void mtf_carve_space(mtf_carver *from, size_t rows, const mtf_mlp *mlp, mtf_mlp_space *space)
{
    const size_t units = rows * mlp->hidden;
    space->h1 = mtf_carve(from, units);
    space->h2 = mtf_carve(from, units);
    space->d1 = mtf_carve(from, units);
    space->d2 = mlp->outputs == 1 ? NULL : mtf_carve(from, units);
}

float *mtf_carver_block(const mtf_carver *counted)
{
    const size_t bytes = counted->used * sizeof(float);
    float *block = mtf_block_new(bytes);
    if (block != NULL) memset(block, 0, bytes);
    return block;
}

void mtf_net_reset_moments(const mtf_mlp *mlp, mtf_net *net)
{
    memset(net->m, 0, mlp->size * sizeof *net->m);
    memset(net->v, 0, mlp->size * sizeof *net->v);
}

void mtf_net_start(const mtf_mlp *mlp, mtf_net *net, mtf_rng rng, double last_scale)
{
    mtf_mlp_init(mlp, net->weights, &rng, last_scale);
    memcpy(net->target, net->weights, mlp->size * sizeof *net->target);
    mtf_net_reset_moments(mlp, net);
}

/* The last layer is linear, so it alone changes. */
static void rescale(const mtf_mlp *mlp, float *block, float factor)
{
    mtf_scale(mtf_mlp_at(mlp, block, MTF_MLP_w3), factor, (size_t)mlp->outputs * mlp->hidden);
    mtf_scale(mtf_mlp_at(mlp, block, MTF_MLP_b3), factor, mlp->outputs);
}

void mtf_net_rescale(const mtf_mlp *mlp, mtf_net *net, float factor)
{
    rescale(mlp, net->weights, factor);
    rescale(mlp, net->target, factor);
}

void mtf_net_save(const mtf_mlp *mlp, const mtf_net *net, mtf_buf *out)
{
    const float *const blocks[] = {net->weights, net->target, net->m, net->v};
    for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) {
        for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
            const mtf_tensor *tensor = &mlp->tensors[t];
            mtf_buf_put_f32_le(out, blocks[k] + tensor->offset, tensor->rows * tensor->cols);
        }
    }
}

void mtf_net_load(const mtf_mlp *mlp, mtf_net *net, mtf_reader *reader)
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

uint32_t mtf_net_layers(const mtf_mlp *mlp, const mtf_net *net, uint32_t outputs,
                        uint32_t widths[5], const float *weights[4], const float *biases[4])
{
    MTF_ASSERT(outputs <= mlp->outputs);
    for (uint32_t layer = 0; layer < 3; layer++) {
        const mtf_mlp_index weight = (mtf_mlp_index)(MTF_MLP_w1 + 2 * layer);
        widths[layer] = (uint32_t)mlp->tensors[weight].cols;
        weights[layer] = mtf_mlp_in(mlp, net->weights, weight);
        biases[layer] = mtf_mlp_in(mlp, net->weights, (mtf_mlp_index)(weight + 1));
    }
    widths[3] = outputs;
    return 3;
}

mtf_status mtf_net_set_layers(const mtf_mlp *mlp, mtf_net *net, uint32_t outputs, uint32_t layers,
                              const uint32_t *widths, const float *const *weights,
                              const float *const *biases, mtf_err *err)
{
    const uint32_t wanted[] = {mlp->inputs, mlp->hidden, mlp->hidden, outputs};
    MTF_ASSERT(outputs <= mlp->outputs);
    if (layers != 3)
        return mtf_fail(err, MTF_INVALID, "the policy has %u layers, the learner's actor has 3",
                        layers);
    if (memcmp(widths, wanted, sizeof wanted) != 0)
        return mtf_fail(err, MTF_INVALID,
                        "the policy's layers are %u-%u-%u-%u wide, the settings (learner.hidden, "
                        "policy.state_dim, policy.actions) say %u-%u-%u-%u",
                        widths[0], widths[1], widths[2], widths[3], wanted[0], wanted[1], wanted[2],
                        wanted[3]);
    for (uint32_t layer = 0; layer < layers; layer++) {
        const mtf_mlp_index index = (mtf_mlp_index)(MTF_MLP_w1 + 2 * layer);
        const size_t rows = widths[layer + 1], cols = widths[layer];
        memcpy(mtf_mlp_at(mlp, net->weights, index), weights[layer],
               rows * cols * sizeof *net->weights);
        memcpy(mtf_mlp_at(mlp, net->weights, (mtf_mlp_index)(index + 1)), biases[layer],
               rows * sizeof *net->weights);
    }
    memcpy(net->target, net->weights, mlp->size * sizeof *net->target);
    mtf_net_reset_moments(mlp, net);
    return MTF_OK;
}
