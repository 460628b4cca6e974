#include "learner/mlp.h"

#include "learner/kernels.h"

#include <math.h>
#include <string.h>

#define ALIGN_FLOATS 16 /* a cache line */

void mtf_mlp_layout(mtf_mlp *mlp, uint32_t inputs, uint32_t hidden, uint32_t outputs)
{
    *mlp = (mtf_mlp){
        .inputs = inputs, .hidden = hidden, .outputs = outputs, .gemm = mtf_gemm_float32()};
    size_t at = 0;
#define X(label, row_count, col_count)                                                             \
    mlp->tensors[MTF_MLP_##label] = (mtf_tensor){#label, row_count, col_count, at};                \
    at += ((size_t)(row_count) * (col_count) + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    MTF_MLP_TENSORS(X)
#undef X
    mlp->size = at;
}

void mtf_mlp_init(const mtf_mlp *mlp, float *block, mtf_rng *rng, double last_scale)
{
    memset(block, 0, mlp->size * sizeof *block);
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t fan_in = t < MTF_MLP_w2 ? mlp->inputs : mlp->hidden;
        double bound = 1.0 / sqrt((double)fan_in);
        if (t >= MTF_MLP_w3) bound *= last_scale;
        for (size_t i = 0; i < tensor->rows * tensor->cols; i++) {
            block[tensor->offset + i] = (float)(bound * (2.0 * mtf_rng_uniform(rng) - 1.0));
        }
    }
}

static void first_layer(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                        size_t ldx, const mtf_mlp_space *space)
{
    mtf_gemm_layer(mlp->gemm, space->h1, x, ldx, mtf_mlp_in(mlp, block, MTF_MLP_w1), mlp->inputs,
                   mtf_mlp_in(mlp, block, MTF_MLP_b1), rows, mlp->hidden, mlp->inputs,
                   space->ahead);
}

/* With one output, y; `leaves` of the second layer in h2. */
static void forward_one(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                        size_t ldx, const mtf_mlp_space *space, float *y, mtf_top_leaves leaves)
{
    const size_t h = mlp->hidden;
    const mtf_top top = {y, mtf_mlp_in(mlp, block, MTF_MLP_w3), *mtf_mlp_in(mlp, block, MTF_MLP_b3),
                         leaves};
    MTF_ASSERT(mlp->outputs == 1);
    first_layer(mlp, block, rows, x, ldx, space);
    mtf_gemm_top(mlp->gemm, &top, space->h2, space->h1, h, mtf_mlp_in(mlp, block, MTF_MLP_w2), h,
                 mtf_mlp_in(mlp, block, MTF_MLP_b2), rows, h, h, space->ahead);
}

void mtf_mlp_value(const mtf_mlp *mlp, const float *block, size_t rows, const float *x, size_t ldx,
                   const mtf_mlp_space *space, float *y)
{
    forward_one(mlp, block, rows, x, ldx, space, y, MTF_TOP_NOTHING);
}

void mtf_mlp_forward(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                     size_t ldx, const mtf_mlp_space *space, float *y, size_t ldy)
{
    const size_t h = mlp->hidden;
    if (mlp->outputs == 1 && ldy == 1) {
        forward_one(mlp, block, rows, x, ldx, space, y, MTF_TOP_UNITS);
        return;
    }
    first_layer(mlp, block, rows, x, ldx, space);
    mtf_gemm_layer(mlp->gemm, space->h2, space->h1, h, mtf_mlp_in(mlp, block, MTF_MLP_w2), h,
                   mtf_mlp_in(mlp, block, MTF_MLP_b2), rows, h, h, space->ahead);
    mlp->gemm->nt(y, ldy, space->h2, h, mtf_mlp_in(mlp, block, MTF_MLP_w3), h, rows, mlp->outputs,
                  h);
    mtf_bias_add(y, ldy, mtf_mlp_in(mlp, block, MTF_MLP_b3), rows, mlp->outputs);
}

void mtf_mlp_backward(const mtf_mlp *mlp, const float *block, size_t rows, const float *x,
                      size_t ldx, const mtf_mlp_space *space, const float *dy, float *gradient)
{
    const size_t h = mlp->hidden, outputs = mlp->outputs;
    const float *w3 = mtf_mlp_in(mlp, block, MTF_MLP_w3);
    float *dw3 = mtf_mlp_at(mlp, gradient, MTF_MLP_w3),
          *db3 = mtf_mlp_at(mlp, gradient, MTF_MLP_b3);
    float *db2 = mtf_mlp_at(mlp, gradient, MTF_MLP_b2);
    float *d2 = outputs == 1 ? space->h2 : space->d2;
    if (outputs == 1) {
        *db3 = mtf_head_backward(d2, dw3, db2, dy, w3, rows, h);
    } else {
        mtf_column_sums(db3, dy, rows, outputs);
        mlp->gemm->tn(dw3, h, dy, outputs, space->h2, h, outputs, h, rows);
        mtf_gemm_back(mlp->gemm, d2, db2, dy, w3, space->h2, rows, h, outputs, space->ahead);
    }
    mlp->gemm->tn(mtf_mlp_at(mlp, gradient, MTF_MLP_w2), h, d2, h, space->h1, h, h, h, rows);
    mtf_gemm_back(mlp->gemm, space->d1, mtf_mlp_at(mlp, gradient, MTF_MLP_b1), d2,
                  mtf_mlp_in(mlp, block, MTF_MLP_w2), space->h1, rows, h, h, space->ahead);
    mlp->gemm->tn(mtf_mlp_at(mlp, gradient, MTF_MLP_w1), mlp->inputs, space->d1, h, x, ldx, h,
                  mlp->inputs, rows);
}

void mtf_mlp_backward_inputs(const mtf_mlp *mlp, const float *block, size_t rows,
                             const mtf_mlp_space *space, size_t first, size_t count, float *dx)
{
    MTF_ASSERT(first + count <= mlp->inputs);
    mlp->gemm->nn(dx, count, space->d1, mlp->hidden, mtf_mlp_in(mlp, block, MTF_MLP_w1) + first,
                  mlp->inputs, rows, count, mlp->hidden);
}

void mtf_mlp_slope(const mtf_mlp *mlp, const float *block, size_t rows, const float *x, size_t ldx,
                   const mtf_mlp_space *space, float *y, size_t first, size_t count, float *slope)
{
    const size_t h = mlp->hidden;
    forward_one(mlp, block, rows, x, ldx, space, y, MTF_TOP_SLOPE);
    mtf_gemm_back(mlp->gemm, space->d1, NULL, space->h2, mtf_mlp_in(mlp, block, MTF_MLP_w2),
                  space->h1, rows, h, h, space->ahead);
    mtf_mlp_backward_inputs(mlp, block, rows, space, first, count, slope);
}
