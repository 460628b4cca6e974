/* Goal: products in bfloat16 are those of the operands rounded to nearest, ties to even, summed in
 * float32; and nobody gets them unasked or on a CPU without. Method: float64 loops over operands
 * rounded by bit arithmetic, at sizes round the lanes, tiles and blocks. */
#include "learner/gemm.h"

#include "core/rng.h"
#include "learner/kernels.h"
#include "support/mtf_test.h"

#include <string.h>

static float rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

static float *random_floats(mtf_rng *rng, size_t count)
{
    float *x = malloc((count + 1) * sizeof *x); /* no more, for the sanitizers */
    assert_non_null(x);
    for (size_t i = 0; i < count; i++) x[i] = (float)(2.0 * mtf_rng_uniform(rng) - 1.0);
    return x;
}

typedef struct kind {
    mtf_matmul product;
    bool x_turned, w_turned;
} kind;

static void check(mtf_rng *rng, const kind *of, size_t m, size_t n, size_t k)
{
    const size_t ldx = (of->x_turned ? m : k) + 2, ldw = (of->w_turned ? k : n) + 3, ldy = n + 1;
    float *x = random_floats(rng, (of->x_turned ? k : m) * ldx);
    float *w = random_floats(rng, (of->w_turned ? n : k) * ldw);
    float *y = random_floats(rng, m * ldy);
    float *before = malloc(m * ldy * sizeof *before);
    assert_non_null(before);
    memcpy(before, y, m * ldy * sizeof *y);
    of->product(y, ldy, x, ldx, w, ldw, m, n, k);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0, exact = 0.0, size = 0.0;
            for (size_t d = 0; d < k; d++) {
                const float left = of->x_turned ? x[d * ldx + i] : x[i * ldx + d];
                const float right = of->w_turned ? w[j * ldw + d] : w[d * ldw + j];
                sum += (double)rounded(left) * (double)rounded(right);
                exact += (double)left * (double)right;
                size += fabs((double)left * (double)right);
            }
            const double got = (double)y[i * ldy + j];
            mtf_assert_close(got, sum, 0, 1e-6 * size);
            mtf_assert_close(got, exact, 0, 0.008 * size);
        }
        assert_true(y[i * ldy + n] == before[i * ldy + n]); /* between rows: not its own */
    }
    free(x), free(w), free(y), free(before);
}

static void products_are_those_of_rounded_operands(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_bf16();
    if (gemm == NULL) skip();
    const kind kinds[] = {
        {gemm->nt, false, true}, {gemm->nn, false, false}, {gemm->tn, true, false}};
    static const size_t sizes[][3] = {{1, 1, 1},    {7, 9, 2},      {8, 16, 31},   {9, 17, 33},
                                      {16, 32, 64}, {23, 49, 74},   {33, 10, 255}, {15, 70, 256},
                                      {17, 5, 257}, {257, 31, 40},  {40, 257, 39}, {256, 256, 10},
                                      {3, 3, 513},  {300, 300, 300}};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(91), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t of = 0; of < 3; of++) {
            check(&rng, &kinds[of], sizes[i][0], sizes[i][1], sizes[i][2]);
        }
    }
}

static void rounding_is_to_nearest_and_ties_to_even(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_bf16();
    if (gemm == NULL) skip();
    /* A step of bfloat16 above 1 is 2^-7. */
    const float step = 0x1p-7f;
    const float given[] = {1 + step / 2, 1 + 3 * step / 2, 1 + step / 2 + 0x1p-20f,
                           1 - 0x1p-20f, -(1 + step / 2),  3.4e38f,
                           1e-41f /* denormal */};
    const float expected[] = {1, 1 + 2 * step, 1 + step, 1, -1, rounded(3.4e38f), 0};
    const float one = 1;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        float y[4];
        gemm->nt(&y[0], 1, &given[i], 1, &one, 1, 1, 1, 1);
        gemm->nt(&y[1], 1, &one, 1, &given[i], 1, 1, 1, 1);
        gemm->nn(&y[2], 1, &one, 1, &given[i], 1, 1, 1, 1);
        gemm->tn(&y[3], 1, &given[i], 1, &one, 1, 1, 1, 1);
        for (size_t of = 0; of < 4; of++) assert_true(y[of] == expected[i]);
    }
}

static void nothing_to_add_gives_zeros_and_broken_numbers_get_through(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_bf16();
    if (gemm == NULL) skip();
    const float x[2] = {NAN, INFINITY}, w[2] = {1, 1};
    float y[3] = {5, 5, 5};
    gemm->nn(y, 2, x, 0, w, 2, 1, 2, 0);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 5);
    gemm->nn(y, 2, x, 0, w, 2, 0, 2, 1);
    gemm->nn(y, 2, x, 1, w, 2, 1, 0, 1);
    assert_true(y[0] == 0 && y[1] == 0);
    gemm->nt(&y[0], 1, &x[0], 1, w, 1, 1, 1, 1);
    gemm->nt(&y[1], 1, &x[1], 1, w, 1, 1, 1, 1);
    assert_true(isnan(y[0]) && isinf(y[1]));
}

static void float32_is_openblas(void **state)
{
    (void)state;
    const mtf_gemm *gemm = NULL;
    mtf_err err = {0};
    mtf_assert_ok(mtf_gemm_choose("float32", mtf_gemm_bf16(), &gemm, &err), &err);
    assert_ptr_equal(gemm, &mtf_gemm_float32);
    assert_true(gemm->nt == mtf_matmul_nt && gemm->nn == mtf_matmul_nn &&
                gemm->tn == mtf_matmul_tn);
    mtf_assert_ok(mtf_gemm_choose("float32", NULL, &gemm, &err), &err);
    assert_ptr_equal(gemm, &mtf_gemm_float32);
}

static void bf16_is_refused_where_the_cpu_lacks_it(void **state)
{
    (void)state;
    static const mtf_gemm some = {0};
    const mtf_gemm *gemm = NULL;
    mtf_err err = {0};
    mtf_assert_ok(mtf_gemm_choose("bf16", &some, &gemm, &err), &err);
    assert_ptr_equal(gemm, &some);
    assert_int_equal(mtf_gemm_choose("bf16", NULL, &gemm, &err), MTF_INVALID);
    assert_string_equal(err.msg, "learner.precision is bf16, but this CPU has no bfloat16 "
                                 "instructions (avx512_bf16): set it to float32");
    assert_int_equal(mtf_gemm_choose("half", &some, &gemm, &err), MTF_INVALID);
    assert_string_equal(err.msg, "learner.precision: \"half\" is not float32 or bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_rounded_operands),
        cmocka_unit_test(rounding_is_to_nearest_and_ties_to_even),
        cmocka_unit_test(nothing_to_add_gives_zeros_and_broken_numbers_get_through),
        cmocka_unit_test(float32_is_openblas),
        cmocka_unit_test(bf16_is_refused_where_the_cpu_lacks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
