/* Goal: layout, initialisation, forward and backward of a network are right for one output and for
 * several. Method: a plain float64 network, and central differences of it for every weight. */
#include "learner/mlp.h"

#include "learner/kernels.h"
#include "learner/learner_fixture.h"

#include <string.h>

enum { INPUTS = 7, HIDDEN = 20, ROWS = 9, LDX = 11 };

typedef struct mlp_fixture {
    mtf_mlp mlp;
    mtf_mlp_space space;
    float *block, *gradient, x[ROWS * LDX], y[ROWS * 4], dy[ROWS * 4];
    float h[4][ROWS * HIDDEN];
} mlp_fixture;

static mlp_fixture *setup(mtf_rng *rng, uint32_t outputs)
{
    mlp_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    mtf_mlp_layout(&f->mlp, INPUTS, HIDDEN, outputs);
    f->block = calloc(f->mlp.size, sizeof *f->block);
    f->gradient = calloc(f->mlp.size, sizeof *f->gradient);
    assert_true(f->block != NULL && f->gradient != NULL);
    f->space = (mtf_mlp_space){.h1 = f->h[0], .h2 = f->h[1], .d1 = f->h[2], .d2 = f->h[3]};
    mtf_mlp_init(&f->mlp, f->block, rng, 1.0);
    for (size_t i = 0; i < ROWS * LDX; i++) f->x[i] = (float)fixture_uniform(rng, -1, 1);
    for (size_t i = 0; i < ROWS * outputs; i++) f->dy[i] = (float)fixture_uniform(rng, -1, 1);
    mtf_mlp_forward(&f->mlp, f->block, ROWS, f->x, LDX, &f->space, f->y, outputs);
    return f;
}

static void teardown(mlp_fixture *f)
{
    free(f->block), free(f->gradient), free(f);
}

/* sum dy . y over rows, whose gradient mtf_mlp_backward gives. */
static double plain_loss(const mlp_fixture *f, const double *plain)
{
    double loss = 0.0;
    for (size_t b = 0; b < ROWS; b++) {
        double x[INPUTS], y[4];
        for (size_t i = 0; i < INPUTS; i++) x[i] = (double)f->x[b * LDX + i];
        plain_forward(&f->mlp, plain, x, NULL, NULL, y);
        for (size_t o = 0; o < f->mlp.outputs; o++) {
            loss += y[o] * (double)f->dy[b * f->mlp.outputs + o];
        }
    }
    return loss;
}

static void tensors_lie_apart_on_cache_lines(void **state)
{
    (void)state;
    mtf_mlp mlp;
    mtf_mlp_layout(&mlp, 5, 3, 2);
    const size_t rows[] = {3, 3, 3, 3, 2, 2}, cols[] = {5, 1, 3, 1, 3, 1};
    const char *const names[] = {"w1", "b1", "w2", "b2", "w3", "b3"};
    size_t end = 0;
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        assert_string_equal(mlp.tensors[t].name, names[t]);
        assert_int_equal(mlp.tensors[t].rows, rows[t]);
        assert_int_equal(mlp.tensors[t].cols, cols[t]);
        assert_int_equal(mlp.tensors[t].offset % 16, 0);
        assert_true(mlp.tensors[t].offset >= end);
        end = mlp.tensors[t].offset + rows[t] * cols[t];
    }
    assert_true(mlp.size >= end);
}

static void initial_weights_fill_their_range(void **state)
{
    (void)state;
    mtf_mlp mlp;
    mtf_mlp_layout(&mlp, 16, 64, 8);
    float *block = calloc(mlp.size, sizeof *block);
    assert_non_null(block);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(6), 3);
    mtf_mlp_init(&mlp, block, &rng, 0.1);
    const double bounds[] = {0.25, 0.25, 0.125, 0.125, 0.0125, 0.0125};
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const size_t count = mlp.tensors[t].rows * mlp.tensors[t].cols;
        double largest = 0.0, sum = 0.0;
        for (size_t i = 0; i < count; i++) {
            const double w = (double)block[mlp.tensors[t].offset + i];
            largest = fmax(largest, fabs(w)), sum += w;
        }
        assert_true(largest <= bounds[t] && largest > 0.5 * bounds[t]);
        assert_true(fabs(sum) < 4.0 * bounds[t] * sqrt((double)count / 3.0));
    }
    free(block);
}

static void forward_equals_the_plain_network(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(7), 0);
    for (uint32_t outputs = 1; outputs <= 4; outputs++) {
        mlp_fixture *f = setup(&rng, outputs);
        double *plain = calloc(plain_count(&f->mlp), sizeof *plain);
        assert_non_null(plain);
        plain_from(&f->mlp, f->block, plain);
        for (size_t b = 0; b < ROWS; b++) {
            double x[INPUTS], y[4];
            for (size_t i = 0; i < INPUTS; i++) x[i] = (double)f->x[b * LDX + i];
            plain_forward(&f->mlp, plain, x, NULL, NULL, y);
            for (size_t o = 0; o < outputs; o++) {
                mtf_assert_close((double)f->y[b * outputs + o], y[o], 1e-5, 1e-6);
            }
        }
        free(plain);
        teardown(f);
    }
}

static void unless_told_otherwise_it_multiplies_in_float32(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(10), 0);
    mlp_fixture *f = setup(&rng, 1);
    const mtf_mlp *mlp = &f->mlp;
    float h1[ROWS * HIDDEN], h2[ROWS * HIDDEN], y[ROWS];
    const mtf_top top = {y, mtf_mlp_at(mlp, f->block, MTF_MLP_w3),
                         *mtf_mlp_at(mlp, f->block, MTF_MLP_b3), MTF_TOP_UNITS};
    const mtf_gemm *gemm = mtf_gemm_float32();
    mtf_gemm_layer(gemm, h1, f->x, LDX, mtf_mlp_at(mlp, f->block, MTF_MLP_w1), INPUTS,
                   mtf_mlp_at(mlp, f->block, MTF_MLP_b1), ROWS, HIDDEN, INPUTS, NULL);
    mtf_gemm_top(gemm, &top, h2, h1, HIDDEN, mtf_mlp_at(mlp, f->block, MTF_MLP_w2), HIDDEN,
                 mtf_mlp_at(mlp, f->block, MTF_MLP_b2), ROWS, HIDDEN, HIDDEN, NULL);
    assert_memory_equal(f->y, y, sizeof y); /* bit for bit */
    teardown(f);
}

static void backward_equals_central_differences_in_every_tensor(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(8), 0);
    for (uint32_t outputs = 1; outputs <= 4; outputs += 3) {
        mlp_fixture *f = setup(&rng, outputs);
        double *plain = calloc(plain_count(&f->mlp), sizeof *plain);
        assert_non_null(plain);
        plain_from(&f->mlp, f->block, plain);
        mtf_mlp_backward(&f->mlp, f->block, ROWS, f->x, LDX, &f->space, f->dy, f->gradient);
        double *weight = plain;
        for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
            const mtf_tensor *tensor = &f->mlp.tensors[t];
            for (size_t i = 0; i < tensor->rows * tensor->cols; i++, weight++) {
                const double kept = *weight, half = 1e-6;
                *weight = kept + half;
                const double more = plain_loss(f, plain);
                *weight = kept - half;
                const double less = plain_loss(f, plain);
                *weight = kept;
                mtf_assert_close((double)f->gradient[tensor->offset + i],
                                 (more - less) / (2 * half), 1e-4, 1e-5);
            }
        }
        free(plain);
        teardown(f);
    }
}

static void slope_equals_central_differences_of_the_inputs(void **state)
{
    (void)state;
    enum { FIRST = 4, COUNT = 3 };
    mtf_rng rng = mtf_rng_of(mtf_test_seed(9), 0);
    mlp_fixture *f = setup(&rng, 1);
    double *plain = calloc(plain_count(&f->mlp), sizeof *plain);
    float slope[ROWS * COUNT], y[ROWS];
    assert_non_null(plain);
    plain_from(&f->mlp, f->block, plain);
    mtf_mlp_value(&f->mlp, f->block, ROWS, f->x, LDX, &f->space, y);
    assert_memory_equal(y, f->y, sizeof y);
    mtf_mlp_slope(&f->mlp, f->block, ROWS, f->x, LDX, &f->space, y, FIRST, COUNT, slope);
    assert_memory_equal(y, f->y, sizeof y);
    for (size_t b = 0; b < ROWS; b++) {
        for (size_t k = 0; k < COUNT; k++) {
            double x[INPUTS], more, less;
            for (size_t i = 0; i < INPUTS; i++) x[i] = (double)f->x[b * LDX + i];
            x[FIRST + k] += 1e-6;
            plain_forward(&f->mlp, plain, x, NULL, NULL, &more);
            x[FIRST + k] -= 2e-6;
            plain_forward(&f->mlp, plain, x, NULL, NULL, &less);
            mtf_assert_close((double)slope[b * COUNT + k], (more - less) / 2e-6, 1e-4, 1e-5);
        }
    }
    free(plain);
    teardown(f);
}

/* Of sum dy . y, for several outputs. */
static void input_gradients_equal_central_differences(void **state)
{
    (void)state;
    enum { FIRST = 2, COUNT = 4 };
    mtf_rng rng = mtf_rng_of(mtf_test_seed(10), 0);
    mlp_fixture *f = setup(&rng, 3);
    double *plain = calloc(plain_count(&f->mlp), sizeof *plain);
    float dx[ROWS * COUNT];
    assert_non_null(plain);
    plain_from(&f->mlp, f->block, plain);
    mtf_mlp_backward(&f->mlp, f->block, ROWS, f->x, LDX, &f->space, f->dy, f->gradient);
    mtf_mlp_backward_inputs(&f->mlp, f->block, ROWS, &f->space, FIRST, COUNT, dx);
    for (size_t b = 0; b < ROWS; b++) {
        for (size_t k = 0; k < COUNT; k++) {
            double x[INPUTS], more[3], less[3], expected = 0.0;
            for (size_t i = 0; i < INPUTS; i++) x[i] = (double)f->x[b * LDX + i];
            x[FIRST + k] += 1e-6;
            plain_forward(&f->mlp, plain, x, NULL, NULL, more);
            x[FIRST + k] -= 2e-6;
            plain_forward(&f->mlp, plain, x, NULL, NULL, less);
            for (size_t o = 0; o < 3; o++)
                expected += (double)f->dy[b * 3 + o] * (more[o] - less[o]) / 2e-6;
            mtf_assert_close((double)dx[b * COUNT + k], expected, 1e-4, 1e-5);
        }
    }
    free(plain);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_lie_apart_on_cache_lines),
        cmocka_unit_test(initial_weights_fill_their_range),
        cmocka_unit_test(forward_equals_the_plain_network),
        cmocka_unit_test(unless_told_otherwise_it_multiplies_in_float32),
        cmocka_unit_test(backward_equals_central_differences_in_every_tensor),
        cmocka_unit_test(slope_equals_central_differences_of_the_inputs),
        cmocka_unit_test(input_gradients_equal_central_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
