/* Goal: our products in float32 are chains of fused multiply-adds in the order of k, to the bit,
 * with what a layer does around them, and touch nothing but their matrices; those in bfloat16 are
 * of the operands rounded to nearest, ties to even, summed in float32; and nobody gets either on a
 * CPU without. Method: fmaf in a loop, at every size to beyond two tiles, matrices ending where
 * memory does; float64 loops over operands rounded by bit arithmetic, at sizes round the lanes,
 * tiles and blocks. */
#include "learner/gemm.h"

#include "core/rng.h"
#include "learner/kernels.h"
#include "support/mtf_test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* Random floats with a page behind them that nobody may touch. */
typedef struct guarded {
    char *pages;
    size_t bytes, page;
} guarded;

static guarded guarded_open(mtf_rng *rng, size_t floats)
{
    guarded of = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    of.bytes = (floats * sizeof(float) + of.page - 1) / of.page * of.page;
    of.pages = aligned_alloc(of.page, of.bytes + of.page);
    assert_non_null(of.pages);
    float *x = (float *)(void *)of.pages;
    for (size_t i = 0; i < of.bytes / sizeof *x; i++)
        x[i] = (float)(2.0 * mtf_rng_uniform(rng) - 1.0);
    assert_int_equal(mprotect(of.pages + of.bytes, of.page, PROT_NONE), 0);
    return of;
}

static void guarded_close(guarded *of)
{
    assert_int_equal(mprotect(of->pages + of->bytes, of->page, PROT_READ | PROT_WRITE), 0);
    free(of->pages);
}

/* The last `rows` rows of `cols`, each `ld` from the next, and not a float behind. */
static float *guarded_matrix(const guarded *of, size_t rows, size_t cols, size_t ld)
{
    const size_t floats = (rows - 1) * ld + cols;
    assert_true(floats * sizeof(float) <= of->bytes);
    return (float *)(void *)(of->pages + of->bytes) - floats;
}

static void check_chains(const guarded space[3], const kind *of, size_t m, size_t n, size_t k)
{
    const size_t x_cols = of->x_turned ? m : k, x_rows = of->x_turned ? k : m;
    const size_t w_cols = of->w_turned ? k : n, w_rows = of->w_turned ? n : k;
    const size_t ldx = x_cols + m % 3, ldw = w_cols + n % 4, ldy = n + k % 2;
    const float untouched = 7;
    float *x = guarded_matrix(&space[0], x_rows, x_cols, ldx);
    float *w = guarded_matrix(&space[1], w_rows, w_cols, ldw);
    float *y = guarded_matrix(&space[2], m, n, ldy);
    y[-1] = untouched;
    for (size_t i = 0; i < (m - 1) * ldy + n; i++) y[i] = untouched;
    of->product(y, ldy, x, ldx, w, ldw, m, n, k);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float chain = 0;
            for (size_t d = 0; d < k; d++) {
                chain = fmaf(of->x_turned ? x[d * ldx + i] : x[i * ldx + d],
                             of->w_turned ? w[j * ldw + d] : w[d * ldw + j], chain);
            }
            assert_true(y[i * ldy + j] == chain);
        }
        if (ldy > n && i + 1 < m) assert_true(y[i * ldy + n] == untouched);
    }
    assert_true(y[-1] == untouched);
}

static void check_layer(const guarded *space, const mtf_gemm *gemm, size_t m, size_t n, size_t k)
{
    const size_t ldx = k + m % 3, ldw = k + n % 4;
    const float *x = guarded_matrix(&space[0], m, k, ldx);
    const float *w = guarded_matrix(&space[1], n, k, ldw);
    const float *bias = guarded_matrix(&space[3], 1, n, n);
    float *y = guarded_matrix(&space[2], m, n, n);
    mtf_gemm_layer(gemm, y, x, ldx, w, ldw, bias, m, n, k, NULL);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float chain = bias[j];
            for (size_t d = 0; d < k; d++) chain = fmaf(x[i * ldx + d], w[j * ldw + d], chain);
            assert_true(y[i * n + j] == fmaxf(chain, 0));
        }
    }
}

/* After check_layer, whose y it must be that the head stands on. */
static void check_top(const guarded *space, const mtf_gemm *gemm, size_t m, size_t n, size_t k)
{
    const size_t ldx = k + m % 3, ldw = k + n % 4;
    const float *x = guarded_matrix(&space[0], m, k, ldx);
    const float *w = guarded_matrix(&space[1], n, k, ldw);
    const float *bias = guarded_matrix(&space[3], 1, n, n);
    const float *head = guarded_matrix(&space[4], 1, n, n);
    float *y = guarded_matrix(&space[2], m, n, n), *q = guarded_matrix(&space[5], 1, m, m);
    float *units = malloc(m * n * sizeof *units), *first_q = malloc(m * sizeof *q);
    assert_true(units != NULL && first_q != NULL);
    memcpy(units, y, m * n * sizeof *units);
    for (int leaves = MTF_TOP_UNITS; leaves <= MTF_TOP_NOTHING; leaves++) {
        const mtf_top top = {q, head, -0.75f, (mtf_top_leaves)leaves};
        q[-1] = y[-1] = 7;
        mtf_gemm_top(gemm, &top, y, x, ldx, w, ldw, bias, m, n, k, NULL);
        assert_true(q[-1] == 7 && y[-1] == 7);
        if (leaves == MTF_TOP_UNITS) {
            assert_memory_equal(y, units, m * n * sizeof *y);
            memcpy(first_q, q, m * sizeof *q);
        }
        assert_memory_equal(q, first_q, m * sizeof *q); /* whatever is left */
        for (size_t i = 0; i < m; i++) {
            double sum = -0.75, size = 0.75;
            for (size_t j = 0; j < n; j++) {
                const float unit = units[i * n + j];
                sum += (double)unit * (double)head[j];
                size += fabs((double)unit * (double)head[j]);
                if (leaves == MTF_TOP_SLOPE) assert_true(y[i * n + j] == (unit > 0 ? head[j] : 0));
            }
            mtf_assert_close((double)q[i], sum, 0, 1e-6 * size);
        }
    }
    /* A row's value does not depend on the rows around it. */
    const mtf_top last = {q, head, -0.75f, MTF_TOP_NOTHING};
    mtf_gemm_top(gemm, &last, y, x + (m - 1) * ldx, ldx, w, ldw, bias, 1, n, k, NULL);
    assert_true(q[0] == first_q[m - 1]);
    free(units), free(first_q);
}

static void check_back(const guarded *space, const mtf_gemm *gemm, size_t m, size_t n, size_t k)
{
    const float *dy = guarded_matrix(&space[0], m, k, k);
    const float *w = guarded_matrix(&space[1], k, n, n);
    const float *x = guarded_matrix(&space[3], m, n, n);
    float *dx = guarded_matrix(&space[2], m, n, n);
    float *sums = (n + k) % 3 ? guarded_matrix(&space[4], 1, n, n) : NULL;
    mtf_gemm_back(gemm, dx, sums, dy, w, x, m, n, k, NULL);
    for (size_t j = 0; j < n; j++) {
        float total = 0;
        for (size_t i = 0; i < m; i++) {
            float chain = 0;
            for (size_t d = 0; d < k; d++) chain = fmaf(dy[i * k + d], w[d * n + j], chain);
            assert_true(dx[i * n + j] == (x[i * n + j] > 0 ? chain : 0));
            total += dx[i * n + j];
        }
        if (sums != NULL) assert_true(sums[j] == total);
    }
}

static void our_layers_start_at_the_bias_and_end_with_relu_its_slope_and_sums(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_avx512();
    if (gemm == NULL) skip();
    mtf_rng rng = mtf_rng_of(mtf_test_seed(93), 0);
    guarded space[6];
    for (int i = 0; i < 6; i++) space[i] = guarded_open(&rng, 150 * 530);
    for (size_t m = 1; m <= 40; m++) {
        for (size_t n = 1; n <= 40; n++) {
            check_layer(space, gemm, m, n, 1 + (23 * m + 29 * n) % 40);
            check_top(space, gemm, m, n, 1 + (23 * m + 29 * n) % 40);
            check_back(space, gemm, m, n, 1 + (29 * m + 23 * n) % 40);
        }
    }
    static const size_t sizes[][3] = {{131, 64, 74}, {140, 70, 256}, {29, 33, 257}, {15, 5, 513}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_layer(space, gemm, sizes[i][0], sizes[i][1], sizes[i][2]);
        check_top(space, gemm, sizes[i][0], sizes[i][1], sizes[i][2]);
        check_back(space, gemm, sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    for (int i = 0; i < 6; i++) guarded_close(&space[i]);
}

/* By and by: not all at once, no further than told, and with the same results. */
static void our_layers_fetch_what_lies_ahead(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_avx512();
    if (gemm == NULL) skip();
    enum { M = 56, N = 40, K = 9, AHEAD = 1 << 14 };
    mtf_rng rng = mtf_rng_of(mtf_test_seed(95), 0);
    float *x = random_floats(&rng, M * K), *w = random_floats(&rng, N * K);
    float *bias = random_floats(&rng, N), *later = random_floats(&rng, AHEAD);
    float y[M * N], expected[M * N], dx[M * K], expected_dx[M * K];
    mtf_ahead ahead = {later, later + AHEAD};
    mtf_gemm_layer(gemm, expected, x, K, w, K, bias, M, N, K, NULL);
    mtf_gemm_layer(gemm, y, x, K, w, K, bias, M, N, K, &ahead);
    assert_memory_equal(y, expected, sizeof y);
    assert_true(ahead.at > later && ahead.at < ahead.end);
    const float *then = ahead.at;
    mtf_gemm_back(gemm, expected_dx, NULL, y, w, x, M, K, N, NULL);
    mtf_gemm_back(gemm, dx, NULL, y, w, x, M, K, N, &ahead);
    assert_memory_equal(dx, expected_dx, sizeof dx);
    assert_true(ahead.at > then && ahead.at < ahead.end);
    for (int i = 0; i < 100; i++) mtf_gemm_layer(gemm, y, x, K, w, K, bias, M, N, K, &ahead);
    assert_ptr_equal(ahead.at, ahead.end);
    free(x), free(w), free(bias), free(later);
}

/* With those that know no layers: a product and the kernels behind it. */
static void layers_of_the_others_are_products_and_kernels(void **state)
{
    (void)state;
    enum { M = 5, N = 18, K = 7 };
    mtf_rng rng = mtf_rng_of(mtf_test_seed(94), 0);
    float *x = random_floats(&rng, M * K), *w = random_floats(&rng, N * K);
    float *bias = random_floats(&rng, N), *of = random_floats(&rng, M * N);
    float y[M * N], expected[M * N], sums[N], expected_sums[N], q[M], expected_q[M];
    const mtf_top tops[] = {{q, of, 0.5f, MTF_TOP_UNITS}, {q, of, 0.5f, MTF_TOP_SLOPE}};
    const mtf_gemm *const gemms[] = {&mtf_gemm_openblas, mtf_gemm_bf16()};
    for (size_t g = 0; g < 2 && gemms[g] != NULL; g++) {
        mtf_gemm_layer(gemms[g], y, x, K, w, K, bias, M, N, K, NULL);
        gemms[g]->nt(expected, N, x, K, w, K, M, N, K);
        mtf_bias_relu(expected, bias, M, N);
        assert_memory_equal(y, expected, sizeof y);
        mtf_head(expected_q, expected, of, 0.5f, M, N);
        for (int t = 0; t < 2; t++) {
            memset(q, 1, sizeof q);
            mtf_gemm_top(gemms[g], &tops[t], y, x, K, w, K, bias, M, N, K, NULL);
            assert_memory_equal(q, expected_q, sizeof q);
            if (t > 0) mtf_head_slope(expected, of, M, N);
            assert_memory_equal(y, expected, sizeof y);
        }
        mtf_gemm_back(gemms[g], y, sums, x, w, of, M, N, K, NULL);
        gemms[g]->nn(expected, N, x, K, w, N, M, N, K);
        mtf_relu_backward(expected, expected_sums, of, M, N);
        assert_memory_equal(y, expected, sizeof y);
        assert_memory_equal(sums, expected_sums, sizeof sums);
        memset(y, 1, sizeof y);
        mtf_gemm_back(gemms[g], y, NULL, x, w, of, M, N, K, NULL);
        assert_memory_equal(y, expected, sizeof y);
    }
    free(x), free(w), free(bias), free(of);
}

static void our_products_are_chains_in_the_order_of_k(void **state)
{
    (void)state;
    const mtf_gemm *gemm = mtf_gemm_avx512();
    if (gemm == NULL) skip();
    enum { FLOATS = 300 * 310 };
    const kind kinds[] = {
        {gemm->nt, false, true}, {gemm->nn, false, false}, {gemm->tn, true, false}};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(92), 0);
    guarded space[3];
    for (int i = 0; i < 3; i++) space[i] = guarded_open(&rng, FLOATS);
    for (size_t m = 1; m <= 70; m++) {
        for (size_t n = 1; n <= 70; n++)
            check_chains(space, &kinds[(m + n) % 3], m, n, 1 + (23 * m + 29 * n) % 70);
    }
    static const size_t sizes[][3] = {{256, 64, 74},  {128, 74, 256}, {257, 10, 255},
                                      {131, 33, 257}, {140, 16, 31},  {15, 128, 256},
                                      {9, 48, 513},   {129, 256, 70}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t of = 0; of < 3; of++)
            check_chains(space, &kinds[of], sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    for (int i = 0; i < 3; i++) guarded_close(&space[i]);
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

static void check_nothing_and_broken(const mtf_gemm *gemm)
{
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
    mtf_gemm_layer(gemm, y, x, 1, w, 1, w, 2, 1, 1, NULL);
    assert_true(isnan(y[0]) && isinf(y[1]));
    float q[2];
    mtf_gemm_top(gemm, &(mtf_top){q, w, 0, MTF_TOP_SLOPE}, y, x, 1, w, 1, w, 2, 1, 1, NULL);
    assert_true(isnan(q[0]) && isinf(q[1]) && y[0] == 0 && y[1] == 1);
}

static void nothing_to_add_gives_zeros_and_broken_numbers_get_through(void **state)
{
    (void)state;
    if (mtf_gemm_avx512()) check_nothing_and_broken(mtf_gemm_avx512());
    if (mtf_gemm_bf16()) check_nothing_and_broken(mtf_gemm_bf16());
}

static void float32_is_ours_or_else_openblas(void **state)
{
    (void)state;
    const mtf_gemm *gemm = NULL, *own = mtf_gemm_avx512();
    const mtf_gemm *expected = own ? own : &mtf_gemm_openblas;
    mtf_err err = {0};
    assert_ptr_equal(mtf_gemm_float32(), expected);
    mtf_assert_ok(mtf_gemm_choose("float32", mtf_gemm_bf16(), &gemm, &err), &err);
    assert_ptr_equal(gemm, expected);
    mtf_assert_ok(mtf_gemm_choose("float32", NULL, &gemm, &err), &err);
    assert_ptr_equal(gemm, expected);
    gemm = &mtf_gemm_openblas;
    assert_true(gemm->nt == mtf_matmul_nt && gemm->nn == mtf_matmul_nn &&
                gemm->tn == mtf_matmul_tn);
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
        cmocka_unit_test(our_products_are_chains_in_the_order_of_k),
        cmocka_unit_test(our_layers_start_at_the_bias_and_end_with_relu_its_slope_and_sums),
        cmocka_unit_test(our_layers_fetch_what_lies_ahead),
        cmocka_unit_test(layers_of_the_others_are_products_and_kernels),
        cmocka_unit_test(products_are_those_of_rounded_operands),
        cmocka_unit_test(rounding_is_to_nearest_and_ties_to_even),
        cmocka_unit_test(nothing_to_add_gives_zeros_and_broken_numbers_get_through),
        cmocka_unit_test(float32_is_ours_or_else_openblas),
        cmocka_unit_test(bf16_is_refused_where_the_cpu_lacks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
