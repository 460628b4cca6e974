/* Goal: every kernel does what its comment says. Method: compare with the obvious loops in float64,
 * on sizes below, at and above the vector lanes and with rows further apart than they are long. */
#include "learner/kernels.h"

#include "core/rng.h"
#include "learner/kernels_avx512.h"
#include "support/mtf_test.h"

#include <string.h>

#define TOLERANCE 1e-5

static const size_t sizes[] = {1, 3, 15, 16, 17, 40};
#define SIZE_COUNT    (sizeof sizes / sizeof sizes[0])
#define SIZE_MAX_USED 40

static float *random_floats(mtf_rng *rng, size_t count)
{
    float *x = malloc((count + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++) x[i] = (float)(2.0 * mtf_rng_uniform(rng) - 1.0);
    return x;
}

typedef void (*matmul)(float *, size_t, const float *, size_t, const float *, size_t, size_t,
                       size_t, size_t);

/* Element (i,j) of what the product with these transposes should be. */
static double product(const float *x, size_t ldx, bool x_turned, const float *w, size_t ldw,
                      bool w_turned, size_t i, size_t j, size_t depth)
{
    double sum = 0.0;
    for (size_t k = 0; k < depth; k++) {
        const float left = x_turned ? x[k * ldx + i] : x[i * ldx + k];
        const float right = w_turned ? w[j * ldw + k] : w[k * ldw + j];
        sum += (double)left * (double)right;
    }
    return sum;
}

static void check_matmul(mtf_rng *rng, matmul fn, bool x_turned, bool w_turned, size_t m, size_t n,
                         size_t k)
{
    const size_t ldx = (x_turned ? m : k) + 2, ldw = (w_turned ? k : n) + 3, ldy = n + 1;
    float *x = random_floats(rng, (x_turned ? k : m) * ldx);
    float *w = random_floats(rng, (w_turned ? n : k) * ldw);
    float *y = random_floats(rng, m * ldy);
    const float beyond = y[n]; /* between the rows: not ours to touch */
    fn(y, ldy, x, ldx, w, ldw, m, n, k);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            mtf_assert_close((double)y[i * ldy + j],
                             product(x, ldx, x_turned, w, ldw, w_turned, i, j, k), TOLERANCE,
                             TOLERANCE);
        }
    }
    assert_memory_equal(&y[n], &beyond, sizeof beyond);
    free(x), free(w), free(y);
}

static void matrix_products_respect_transposes_and_row_distances(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(1), 0);
    for (size_t a = 0; a < SIZE_COUNT; a++) {
        for (size_t b = 0; b < SIZE_COUNT; b++) {
            check_matmul(&rng, mtf_matmul_nt, false, true, sizes[a], sizes[b], 7);
            check_matmul(&rng, mtf_matmul_nn, false, false, sizes[a], 5, sizes[b]);
            check_matmul(&rng, mtf_matmul_tn, true, false, 9, sizes[a], sizes[b]);
        }
    }
}

static void bias_relu_and_the_head_on_top_do_their_arithmetic(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(2), 0);
    for (size_t k = 0; k < SIZE_COUNT; k++) {
        const size_t cols = sizes[k], rows = 3;
        float *y = random_floats(&rng, rows * cols), *bias = random_floats(&rng, cols);
        float *w = random_floats(&rng, cols), *other = malloc(rows * cols * sizeof *other);
        float q[3];
        assert_non_null(other);
        memcpy(other, y, rows * cols * sizeof *y);
        mtf_bias_relu(y, bias, rows, cols);
        mtf_head(q, y, w, 0.25f, rows, cols);
        for (size_t b = 0; b < rows; b++) {
            double expected = 0.25;
            for (size_t j = 0; j < cols; j++) {
                const float unit = fmaxf(0.0f, other[b * cols + j] + bias[j]);
                assert_true(y[b * cols + j] == unit);
                expected += (double)unit * (double)w[j];
            }
            mtf_assert_close((double)q[b], expected, TOLERANCE, TOLERANCE);
        }
        free(y), free(bias), free(w), free(other);
    }
}

static void a_nan_passes_the_relu_the_head_and_the_largest(void **state)
{
    (void)state;
    float y[2] = {NAN, -1.0f}, q;
    const float zero[2] = {0.0f, 0.0f};
    mtf_bias_relu(y, zero, 1, 2);
    assert_true(isnan(y[0]) && y[1] == 0.0f);
    mtf_head(&q, y, zero, 0.0f, 1, 2);
    assert_true(isnan(q));
    float many[33] = {0};
    for (size_t i = 0; i < 33; i++) {
        many[i] = NAN;
        assert_true(isnan(mtf_abs_max(many, 33)));
        many[i] = 1.0f;
    }
}

static void going_back_through_head_and_relu_gives_slopes_and_sums(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(3), 0);
    enum { ROWS = 4 };
    for (size_t k = 0; k < SIZE_COUNT; k++) {
        const size_t cols = sizes[k];
        float *y = random_floats(&rng, ROWS * cols), *w = random_floats(&rng, cols);
        float *dy = random_floats(&rng, ROWS * cols), *slope = random_floats(&rng, ROWS * cols);
        float dq[ROWS] = {0.5f, -1.0f, 0.0f, 2.0f}, dw[SIZE_MAX_USED], dbias[SIZE_MAX_USED];
        float again[SIZE_MAX_USED], sums[SIZE_MAX_USED];
        for (size_t i = 0; i < ROWS * cols; i++) slope[i] = dy[i] = y[i] = fmaxf(y[i], 0.0f);
        assert_true(mtf_head_backward(dy, dw, dbias, dq, w, ROWS, cols) == 1.5f);
        mtf_head_slope(slope, w, ROWS, cols);
        for (size_t j = 0; j < cols; j++) {
            double dw_sum = 0.0, dbias_sum = 0.0;
            for (size_t b = 0; b < ROWS; b++) {
                const float unit = y[b * cols + j];
                assert_true(slope[b * cols + j] == (unit > 0.0f ? w[j] : 0.0f));
                mtf_assert_close((double)dy[b * cols + j],
                                 (double)dq[b] * (unit > 0.0f ? (double)w[j] : 0.0), TOLERANCE, 0);
                dw_sum += (double)dq[b] * (double)unit;
                dbias_sum += (double)dy[b * cols + j];
            }
            mtf_assert_close((double)dw[j], dw_sum, TOLERANCE, TOLERANCE);
            mtf_assert_close((double)dbias[j], dbias_sum, TOLERANCE, TOLERANCE);
        }
        /* On values already masked, the two ReLU passes change nothing and sum the same. */
        mtf_relu_backward(dy, again, y, ROWS, cols);
        mtf_column_sums(sums, dy, ROWS, cols);
        assert_memory_equal(again, dbias, cols * sizeof *again);
        assert_memory_equal(sums, dbias, cols * sizeof *sums);
        memcpy(dy, slope, ROWS * cols * sizeof *dy);
        for (size_t i = 0; i < ROWS * cols; i++) slope[i] = 3.0f;
        mtf_relu_mask(slope, y, ROWS, cols);
        for (size_t i = 0; i < ROWS * cols; i++)
            assert_true(slope[i] == (y[i] > 0.0f ? 3.0f : 0.0f));
        free(y), free(w), free(dy), free(slope);
    }
}

static void rows_are_added_by_their_factors_one_after_another(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(11), 0);
    enum { ROWS = 3, COUNT = 4, APART = 5, ALL = (COUNT - 1) * APART + ROWS };
    float *factor = random_floats(&rng, ALL);
    for (size_t k = 0; k < SIZE_COUNT; k++) {
        const size_t cols = sizes[k];
        float *x = random_floats(&rng, ALL * cols), *y = random_floats(&rng, ROWS * cols);
        float *before = malloc((ROWS * cols + 1) * sizeof *before);
        assert_non_null(before);
        memcpy(before, y, ROWS * cols * sizeof *y);
        mtf_add_rows(y, factor, x, ROWS, cols, COUNT, APART);
        for (size_t b = 0; b < ROWS; b++) {
            for (size_t j = 0; j < cols; j++) {
                float sum = before[b * cols + j];
                for (size_t i = 0; i < COUNT; i++)
                    sum += factor[i * APART + b] * x[(i * APART + b) * cols + j];
                assert_true(y[b * cols + j] == sum);
            }
        }
        free(x), free(y), free(before);
    }
    free(factor);
}

/* Numbers that are not finite as well. */
static void every_cpu_gives_the_same_bits(void **state)
{
    (void)state;
    if (!mtf_avx512_able()) skip();
    mtf_rng rng = mtf_rng_of(mtf_test_seed(12), 0);
    enum { ROWS = 9, COUNT = 2 };
    for (size_t cols = 1; cols <= 150; cols++) {
        float *y = random_floats(&rng, ROWS * cols), *w = random_floats(&rng, cols);
        float *more = random_floats(&rng, COUNT * ROWS * cols), *dq = random_floats(&rng, ROWS * 2);
        float *same = malloc(ROWS * cols * sizeof *same), *sums = malloc(4 * cols * sizeof *sums);
        assert_true(same != NULL && sums != NULL);
        y[0] = NAN, y[ROWS * cols - 1] = INFINITY;
        memcpy(same, y, ROWS * cols * sizeof *y);
        mtf_avx512_add_rows(y, dq, more, ROWS, cols, COUNT, ROWS);
        mtf_plain_add_rows(same, dq, more, ROWS, cols, COUNT, ROWS);
        assert_memory_equal(y, same, ROWS * cols * sizeof *y);
        const float dc = mtf_avx512_head_backward(y, sums, sums + cols, dq, w, ROWS, cols);
        assert_true(dc == mtf_plain_head_backward(same, sums + 2 * cols, sums + 3 * cols, dq, w,
                                                  ROWS, cols));
        assert_memory_equal(y, same, ROWS * cols * sizeof *y);
        assert_memory_equal(sums, sums + 2 * cols, 2 * cols * sizeof *sums);
        free(y), free(w), free(more), free(dq), free(same), free(sums);
    }
}

static void elementwise_kernels_do_their_arithmetic(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(4), 0);
    for (size_t k = 0; k < SIZE_COUNT; k++) {
        const size_t n = sizes[k];
        float *x = random_floats(&rng, n), *y = random_floats(&rng, n), *z = random_floats(&rng, n);
        double squares = 0.0, sum = 0.0;
        float largest = 0.0f;
        for (size_t i = 0; i < n; i++) {
            squares += (double)x[i] * (double)x[i];
            sum += (double)x[i];
            largest = fmaxf(largest, fabsf(x[i]));
        }
        mtf_assert_close(mtf_sum_squares(x, n), squares, TOLERANCE, 0);
        mtf_assert_close(mtf_sum(x, n), sum, 0, 1e-12 * (double)n);
        assert_true(mtf_abs_max(x, n) == largest);
        memcpy(z, y, n * sizeof *z);
        mtf_approach(z, x, 0.25f, n);
        for (size_t i = 0; i < n; i++) {
            mtf_assert_close((double)z[i], 0.25 * (double)x[i] + 0.75 * (double)y[i], 0, 1e-6);
        }
        memcpy(z, y, n * sizeof *z);
        mtf_add(z, x, n), mtf_scale(z, 3.0f, n);
        for (size_t i = 0; i < n; i++) assert_true(z[i] == (y[i] + x[i]) * 3.0f);
        mtf_tanh(x, n, 1, n), mtf_bias_add(x, n, y, 1, n);
        for (size_t i = 0; i < n; i++) assert_true(fabsf(x[i] - y[i]) <= 0.7617f);
        free(x), free(y), free(z);
    }
    float row[4] = {0.5f, 9.0f, -2.0f, 9.0f};
    mtf_tanh(row, 2, 2, 1);
    mtf_assert_close((double)row[0], tanh(0.5), 1e-6, 0);
    mtf_assert_close((double)row[2], tanh(-2.0), 1e-6, 0);
    assert_true(row[1] == 9.0f && row[3] == 9.0f);
}

static void tanh_is_right_everywhere(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static float x[COUNT], y[COUNT];
    double worst = 0.0;
    for (size_t i = 0; i < COUNT; i++) {
        const double size = pow(10.0, -9.0 + 11.0 * (double)i / COUNT); /* to 100 */
        x[i] = y[i] = (float)(i % 2 ? size : -size);
    }
    mtf_tanh(y, COUNT, 1, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        worst = fmax(worst, fabs((double)y[i] / tanh((double)x[i]) - 1.0));
    assert_true(worst < 4e-7);
    float row[] = {INFINITY, -INFINITY, 0.0f, -0.0f, NAN};
    mtf_tanh(row, 5, 1, 5);
    assert_true(row[0] == 1.0f && row[1] == -1.0f && row[2] == 0.0f && row[3] == 0.0f);
    assert_true(signbit(row[3]) && isnan(row[4]));
    for (size_t cols = 1; cols <= 300; cols += 13) { /* wherever a number lies */
        enum { ROWS = 40 };
        const size_t ld = cols + 2;
        float *many = malloc(ROWS * ld * sizeof *many);
        assert_non_null(many);
        memcpy(many, x, ROWS * ld * sizeof *many);
        mtf_tanh(many, ld, ROWS, cols);
        for (size_t i = 0; i < ROWS * ld; i++)
            assert_true(many[i] == (i % ld < cols ? y[i] : x[i]));
        free(many);
    }
}

static void finiteness_is_seen_at_every_place(void **state)
{
    (void)state;
    float x[33] = {0};
    assert_true(mtf_all_finite(x, 33));
    for (size_t i = 0; i < 33; i++) {
        x[i] = i % 2 ? NAN : -INFINITY;
        assert_false(mtf_all_finite(x, 33));
        x[i] = 0.0f;
    }
}

static void denormals_are_flushed_only_in_between(void **state)
{
    (void)state;
    volatile float tiny = 1e-30f, denormal;
    const unsigned before = mtf_flush_denormals_begin();
    denormal = tiny * 1e-10f;
#if defined(__SSE__)
    assert_true(denormal == 0.0f);
#endif
    mtf_flush_denormals_end(before);
    denormal = tiny * 1e-10f;
    assert_true(denormal > 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix_products_respect_transposes_and_row_distances),
        cmocka_unit_test(bias_relu_and_the_head_on_top_do_their_arithmetic),
        cmocka_unit_test(a_nan_passes_the_relu_the_head_and_the_largest),
        cmocka_unit_test(going_back_through_head_and_relu_gives_slopes_and_sums),
        cmocka_unit_test(rows_are_added_by_their_factors_one_after_another),
        cmocka_unit_test(every_cpu_gives_the_same_bits),
        cmocka_unit_test(elementwise_kernels_do_their_arithmetic),
        cmocka_unit_test(tanh_is_right_everywhere),
        cmocka_unit_test(finiteness_is_seen_at_every_place),
        cmocka_unit_test(denormals_are_flushed_only_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
