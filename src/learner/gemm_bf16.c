/* Products of bfloat16 with sums in float32, for CPUs with AVX-512 BF16.
 *
 * Its instruction adds two products to each of 16 float32 lanes, so both operands are packed by
 * pairs along k. A block holds up to 256 lanes (columns of y, or rows) in panels of 16:
 *
 *    panel 0:  pair 0 of lanes 0..15 | pair 1 of lanes 0..15 | ...
 *    panel 1:  pair 0 of lanes 16..31 | ...
 *
 * where a pair is the elements 2p and 2p + 1 along k as one 32-bit word, and what lies beyond the
 * matrix is zero. A tile of y is 8 rows by 32 columns: for each pair, two words of the right
 * operand's panels times each of 8 words of the left one's. */
#include "learner/gemm.h"

#if defined(__x86_64__)

#include "learner/lanes.h"

#define BF16        __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define BF16_INLINE BF16 __attribute__((always_inline)) static inline

enum { LANES = MTF_LANES, BLOCK_LANES = 256, BLOCK_K = 256, TILE_ROWS = 8, TILE_WIDE = 2 * LANES };

typedef struct operand {
    const float *x;
    size_t ld;
    bool along; /* element (k, lane) is x[lane ld + k], else x[k ld + lane] */
} operand;

typedef struct block {
    _Alignas(64) uint32_t words[BLOCK_LANES * BLOCK_K / 2];
} block;

/* Rows of x are k: two of them, element by element in turn. */
BF16 static void pack_across(uint32_t *out, const float *x, size_t ld, size_t lanes, size_t k)
{
    const __m512i in_turn =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        const __mmask16 inside = mtf_lanes_first(lanes - lane);
        for (size_t at = 0; at < k; at += 2, out += LANES) {
            const float *row = x + at * ld + lane;
            const bool both = at + 1 < k;
            const __mmask16 second = (__mmask16)(both ? inside : 0);
            const __m512 even = _mm512_maskz_loadu_ps(inside, row);
            const __m512 odd = _mm512_maskz_loadu_ps(second, both ? row + ld : row);
            const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
            _mm512_store_si512(out, _mm512_permutexvar_epi16(in_turn, halves));
        }
    }
}

/* Rows of x are lanes: 32 elements of 16 rows at a time, turned. */
BF16 static void pack_along(uint32_t *out, const float *x, size_t ld, size_t lanes, size_t k)
{
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        for (size_t at = 0; at < k; at += 2 * LANES) {
            const size_t left = k - at, pairs = (left + 1) / 2;
            const __mmask16 low = mtf_lanes_first(left),
                            high = mtf_lanes_first(left > LANES ? left - LANES : 0);
            __m512i row[LANES];
            for (size_t i = 0; i < LANES; i++) {
                const bool inside = lane + i < lanes;
                const float *from = inside ? x + (lane + i) * ld + at : x;
                const __m512 upper =
                    _mm512_maskz_loadu_ps((__mmask16)(inside ? high : 0), from + LANES);
                const __m512 lower = _mm512_maskz_loadu_ps((__mmask16)(inside ? low : 0), from);
                row[i] = (__m512i)_mm512_cvtne2ps_pbh(upper, lower);
            }
            mtf_lanes_turn(row);
            for (size_t i = 0; i < LANES; i++) {
                if (i < pairs) _mm512_store_si512(out + i * LANES, row[i]);
            }
            out += (pairs < LANES ? pairs : LANES) * LANES;
        }
    }
}

/* `lanes` from lane `lane` on, `k` from `at` on. */
static void pack(block *to, const operand *of, size_t lane, size_t lanes, size_t at, size_t k)
{
    if (of->along)
        pack_along(to->words, of->x + lane * of->ld + at, of->ld, lanes, k);
    else
        pack_across(to->words, of->x + at * of->ld + lane, of->ld, lanes, k);
}

/* y (rows,cols), as much of it as the tile holds, = or += a^T b. The last panel may stand alone. */
BF16_INLINE void tile(float *y, size_t ldy, const uint32_t *a, const uint32_t *b, size_t pairs,
                      size_t rows, size_t cols, bool add, const int wide)
{
    __m512 sum[TILE_ROWS][2];
    for (int i = 0; i < TILE_ROWS; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t p = 0; p < pairs; p++) {
        const uint32_t *right = b + p * LANES;
        __m512bh word[2];
        for (int v = 0; v < wide; v++)
            word[v] = (__m512bh)_mm512_load_si512(right + (size_t)v * pairs * LANES);
        for (int i = 0; i < TILE_ROWS; i++) {
            const __m512bh left = (__m512bh)_mm512_set1_epi32((int)a[p * LANES + (size_t)i]);
            for (int v = 0; v < wide; v++) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], left, word[v]);
        }
    }
    for (size_t i = 0; i < TILE_ROWS; i++) {
        for (int v = 0; v < wide; v++) {
            const __mmask16 inside = mtf_lanes_first(i < rows ? cols - (size_t)v * LANES : 0);
            float *to = y + i * ldy + (size_t)v * LANES;
            const __m512 before = _mm512_maskz_loadu_ps((__mmask16)(add ? inside : 0), to);
            _mm512_mask_storeu_ps(to, inside, _mm512_add_ps(before, sum[i][v]));
        }
    }
}

/* y (m,n) = or += a^T b, of packed blocks. */
BF16 static void multiply(float *y, size_t ldy, const uint32_t *a, const uint32_t *b, size_t m,
                          size_t n, size_t pairs, bool add)
{
    for (size_t j = 0; j < n; j += TILE_WIDE) {
        const uint32_t *right = b + j * pairs;
        for (size_t i = 0; i < m; i += TILE_ROWS) {
            const uint32_t *left = a + i / LANES * pairs * LANES + i % LANES;
            if (n - j > LANES)
                tile(y + i * ldy + j, ldy, left, right, pairs, m - i, n - j, add, 2);
            else
                tile(y + i * ldy + j, ldy, left, right, pairs, m - i, n - j, add, 1);
        }
    }
}

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

static void product(float *y, size_t ldy, const operand *left, const operand *right, size_t m,
                    size_t n, size_t k)
{
    block a, b; /* 256 KiB of stack; k = 0 goes through once and gives zeros */
    for (size_t j = 0; j < n; j += BLOCK_LANES) {
        const size_t cols = at_most(n - j, BLOCK_LANES);
        size_t at = 0;
        do {
            const size_t deep = at_most(k - at, BLOCK_K);
            pack(&b, right, j, cols, at, deep);
            for (size_t i = 0; i < m; i += BLOCK_LANES) {
                const size_t rows = at_most(m - i, BLOCK_LANES);
                pack(&a, left, i, rows, at, deep);
                multiply(y + i * ldy + j, ldy, a.words, b.words, rows, cols, (deep + 1) / 2,
                         at > 0);
            }
            at += deep;
        } while (at < k);
    }
}

static void product_nt(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product(y, ldy, &(operand){x, ldx, true}, &(operand){w, ldw, true}, m, n, k);
}

static void product_nn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product(y, ldy, &(operand){x, ldx, true}, &(operand){w, ldw, false}, m, n, k);
}

static void product_tn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product(y, ldy, &(operand){x, ldx, false}, &(operand){w, ldw, false}, m, n, k);
}

const mtf_gemm *mtf_gemm_bf16(void)
{
    static const mtf_gemm gemm = {.nt = product_nt, .nn = product_nn, .tn = product_tn};
    __builtin_cpu_init();
    const bool able = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
    return able ? &gemm : NULL;
}

#else

const mtf_gemm *mtf_gemm_bf16(void)
{
    return NULL;
}

#endif
