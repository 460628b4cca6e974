/** A network inputs-hidden-hidden-outputs with ReLU between and nothing after the last layer. One
 *  network is one block of floats; the tensor table below says where each tensor lies in it. The
 *  optimiser, the checkpoint, the export and the gradient checks all walk this table, and
 * gradients, targets and Adam's moments are blocks of the same layout. */
#ifndef MTF_LEARNER_MLP_H
#define MTF_LEARNER_MLP_H

#include "core/rng.h"
#include "learner/gemm.h"

/** name, rows, columns in terms of inputs, hidden, outputs. Weights are (outputs, inputs). */
#define MTF_MLP_TENSORS(X)                                                                         \
    X(w1, hidden, inputs)                                                                          \
    X(b1, hidden, 1)                                                                               \
    X(w2, hidden, hidden)                                                                          \
    X(b2, hidden, 1)                                                                               \
    X(w3, outputs, hidden)                                                                         \
    X(b3, outputs, 1)

typedef enum mtf_mlp_index {
#define X(name, rows, cols) MTF_MLP_##name,
    MTF_MLP_TENSORS(X)
#undef X
        MTF_MLP_COUNT
} mtf_mlp_index;

typedef struct mtf_tensor {
    const char *name;
    size_t rows, cols, offset; /* offset into the block, in floats, a multiple of 16 */
} mtf_tensor;

typedef struct mtf_mlp {
    uint32_t inputs, hidden, outputs;
    mtf_tensor tensors[MTF_MLP_COUNT];
    size_t size;          /* floats of a block; those between tensors are 0 and stay so */
    const mtf_gemm *gemm; /* what forward, backward and slope multiply with */
} mtf_mlp;

/** In float32; the caller may set another gemm. */
void mtf_mlp_layout(mtf_mlp *mlp, uint32_t inputs, uint32_t hidden, uint32_t outputs);

static inline float *mtf_mlp_at(const mtf_mlp *mlp, float *block, mtf_mlp_index index)
{
    return block + mlp->tensors[index].offset;
}
static inline const float *mtf_mlp_in(const mtf_mlp *mlp, const float *block, mtf_mlp_index index)
{
    return block + mlp->tensors[index].offset;
}

/** Every weight and bias U(+-1/sqrt(inputs of its layer)), the last layer's times last_scale. */
void mtf_mlp_init(const mtf_mlp *mlp, float *block, mtf_rng *rng, double last_scale);

/** The scratch of one pass over up to `rows` rows; borrowed. */
typedef struct mtf_mlp_space {
    float *h1, *h2; /* (rows,hidden) activations, out of forward and into backward */
    float *d1,
        *d2; /* (rows,hidden) their gradients; with one output h2 becomes its own, d2 unused */
    mtf_ahead *ahead; /* what to fetch meanwhile; or NULL */
} mtf_mlp_space;

/** y (rows,outputs) from x (rows,inputs); fills space->h1, h2. */
void mtf_mlp_forward(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                     size_t ldx, const mtf_mlp_space *space, float *y, size_t ldy);
/** The same of one output, y (rows,), for those who want nothing else: space->h1 and h2 are
 * scratch.
 */
void mtf_mlp_value(const mtf_mlp *mlp, const float *block, size_t rows, const float *x, size_t ldx,
                   const mtf_mlp_space *space, float *y);
/** gradient (a block) from dy (rows,outputs), dense, after forward on the same x. */
void mtf_mlp_backward(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                      size_t ldx, const mtf_mlp_space *space, const float *dy, float *gradient);
/** dx (rows,count) over inputs first .. first+count, after backward. */
void mtf_mlp_backward_inputs(const mtf_mlp *mlp, const float *block, size_t rows,
                             const mtf_mlp_space *space, size_t first, size_t count, float *dx);
/** For one output: y (rows,) from x, and slope (rows,count) = dy/dx over inputs first ..
 *  first+count. No weight gradients: the actor's way through a critic. */
void mtf_mlp_slope(const mtf_mlp *mlp, const float *block, size_t rows, const float *x, size_t ldx,
                   const mtf_mlp_space *space, float *y, size_t first, size_t count, float *slope);

#endif
