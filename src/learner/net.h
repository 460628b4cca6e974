/** A network in training: its weights, their slow copy and Adam's moments, four blocks of one
 *  layout; and what every learner does with one. */
#ifndef MTF_LEARNER_NET_H
#define MTF_LEARNER_NET_H

#include "core/bytes.h"
#include "learner/mlp.h"

typedef struct mtf_net {
    float *weights, *target, *m, *v;
} mtf_net;

/** Hands out consecutive pieces of one block, each on its own cache line; without a block it only
 *  counts. Zeroed memory is one that counts. */
typedef struct mtf_carver {
    float *block;
    size_t used;
} mtf_carver;

float *mtf_carve(mtf_carver *from, size_t count);
void mtf_carve_net(mtf_carver *from, size_t size, mtf_net *net);
void mtf_carve_space(mtf_carver *from, size_t rows, const mtf_mlp *mlp, mtf_mlp_space *space);
/** A zeroed block of what `counted` counted, the caller's to free; NULL: no memory. */
float *mtf_carver_block(const mtf_carver *counted);

/** Draws the weights (mtf_mlp_init); the target the same, no moments. */
void mtf_net_start(const mtf_mlp *mlp, mtf_net *net, mtf_rng rng, double last_scale);
void mtf_net_reset_moments(const mtf_mlp *mlp, mtf_net *net);
/** Outputs times factor, of weights and target: values in units of another reward scale. */
void mtf_net_rescale(const mtf_mlp *mlp, mtf_net *net, float factor);
/** Weights, target, m, v, each tensor by tensor. Little-endian. */
void mtf_net_save(const mtf_mlp *mlp, const mtf_net *net, mtf_buf *out);
/** The same back; a number that is not finite fails the reader. */
void mtf_net_load(const mtf_mlp *mlp, mtf_net *net, mtf_reader *reader);
/** The layers up to the first `outputs` outputs, as mtf_algorithm_ops' actor() gives them. */
uint32_t mtf_net_layers(const mtf_mlp *mlp, const mtf_net *net, uint32_t outputs,
                        uint32_t widths[5], const float *weights[4], const float *biases[4]);
/** The same taken: weights, the target the same, no moments; further outputs stay as they are.
 *  MTF_INVALID: they are another network's; says which, and changes nothing. */
mtf_status mtf_net_set_layers(const mtf_mlp *mlp, mtf_net *net, uint32_t outputs, uint32_t layers,
                              const uint32_t *widths, const float *const *weights,
                              const float *const *biases, mtf_err *err) MTF_NODISCARD;

#endif
