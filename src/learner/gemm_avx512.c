/* Products in float32 for CPUs with AVX-512, made for a learner's step: there OpenBLAS spends much
 * of its time packing both operands of products that take microseconds.
 *
 * A tile of y, up to 14 rows by 32 columns, stays in 28 of the 32 registers while k goes by:
 *
 *              w (k, 32):  two loads
 *    x (14, k) 14 broadcasts; 28 multiply-adds, two of which take as long as two loads
 *
 * x is read where it lies. w is copied to a panel of 32 columns, zeros beyond its edge, when its
 * rows are y's columns, and when enough rows of y read it to pay for that.
 *
 * Each element of y is one chain of fused multiply-adds in the order of k, which goes on where it
 * was when k is cut into blocks: what tiles and blocks surround it changes nothing. A layer's
 * chains start at the bias; the ReLU, or its slope and the sums over rows, come before a tile is
 * stored, and a head's products with it go straight from the registers, too: a head adds up the
 * lanes of 32 columns, and these sums in order. */
#include "learner/gemm.h"

#if defined(__x86_64__)

#include "learner/lanes.h"

#include <string.h>

#define AVX512 __attribute__((target("avx512f")))

enum { LANES = MTF_LANES, TILE_ROWS = 14, TILE_VECTORS = 2, TILE_COLUMNS = TILE_VECTORS * LANES };
enum { BLOCK_K = 256 };      /* a panel of w is 32 KiB then, and stays in the first cache */
enum { COPY_ROWS = 128 };    /* from so many rows of y on, w is copied for them */
enum { AHEAD = 16 * LANES }; /* floats fetched ahead with a tile, which takes longer */

typedef struct operand {
    const float *x;
    size_t ld;
    bool turned; /* x lies with its rows and columns swapped */
} operand;

/* What else is done to y (m, n), dense, before and after the product. */
typedef struct around {
    const float *bias; /* (n,) where chains start; NULL: at 0 */
    bool relu;
    const float *gate;  /* (m, n): y is 0 where this is not above 0; NULL: nowhere */
    float *sums;        /* (n,) += over rows; or NULL */
    const mtf_top *top; /* of y; or NULL */
    size_t column;      /* of y, where these begin */
    mtf_ahead *ahead;   /* or NULL */
} around;

/* What tiles are compiled for, so that each has but the loads and registers that it needs. */
typedef enum tiling {
    PLAIN,
    TURNED, /* x is; nothing around it */
    TOPPED, /* a head on it */
} tiling;

/* Rows of y, and a panel of its columns: = or += x w. */
typedef struct panel {
    float *y;
    size_t ldy;
    const float *x; /* element (i, k) at x[i ldx + k], turned: x[k ldx + i] */
    size_t ldx;
    const float *w; /* (depth, columns), readable up to whole vectors */
    size_t ldw;
    size_t rows, columns, depth;
    bool add;
    around around; /* from the panel's first column on, what is due at this depth */
} panel;

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

/* A tile's sums, as many rows and vectors as it has: all loops over them are unrolled. */
typedef struct registers {
    __m512 of[TILE_ROWS][TILE_VECTORS];
} registers;

/* Vector v of `vectors` in a row, of which the last may be cut. */
MTF_LANES_INLINE __m512 load(const float *row, int v, int vectors, __mmask16 edge)
{
    row += v * LANES;
    return v + 1 < vectors ? _mm512_loadu_ps(row) : _mm512_maskz_loadu_ps(edge, row);
}

MTF_LANES_INLINE void store(float *row, int v, int vectors, __mmask16 edge, __m512 value)
{
    row += v * LANES;
    if (v + 1 < vectors)
        _mm512_storeu_ps(row, value);
    else
        _mm512_mask_storeu_ps(row, edge, value);
}

MTF_LANES_INLINE void begin(registers *sum, const panel *of, const float *y, const int rows,
                            const int vectors, __mmask16 edge)
{
    if (of->add) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++, y += of->ldy) {
            for (int v = 0; v < vectors; v++) sum->of[i][v] = load(y, v, vectors, edge);
        }
        return;
    }
    for (int v = 0; v < vectors; v++) {
        const float *bias = of->around.bias;
        const __m512 start = bias ? load(bias, v, vectors, edge) : _mm512_setzero_ps();
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) sum->of[i][v] = start;
    }
}

MTF_LANES_INLINE void end(registers *sum, const panel *of, size_t first, const int rows,
                          const int vectors, __mmask16 edge)
{
    const __m512 zero = _mm512_setzero_ps();
    if (of->around.relu) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            for (int v = 0; v < vectors; v++) /* of a NaN and another, the second */
                sum->of[i][v] = _mm512_max_ps(zero, sum->of[i][v]);
        }
    }
    if (of->around.gate != NULL) {
        const float *gate = of->around.gate + first * of->ldy;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++, gate += of->ldy) {
            for (int v = 0; v < vectors; v++) {
                const __m512 by = load(gate, v, vectors, edge);
                const __mmask16 open = _mm512_cmp_ps_mask(by, zero, _CMP_GT_OQ);
                sum->of[i][v] = _mm512_maskz_mov_ps(open, sum->of[i][v]);
            }
        }
    }
    if (of->around.sums != NULL) {
        for (int v = 0; v < vectors; v++) {
            __m512 total = load(of->around.sums, v, vectors, edge);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) total = _mm512_add_ps(total, sum->of[i][v]);
            store(of->around.sums, v, vectors, edge, total);
        }
    }
}

/* Lane i = the sum over the lanes of row[i]. */
MTF_LANES_INLINE __m512 add_lanes(__m512 row[LANES])
{
    const __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) /* halves */
        row[i] = _mm512_add_ps(_mm512_shuffle_f32x4(row[i], row[i + 8], 0x44),
                               _mm512_shuffle_f32x4(row[i], row[i + 8], 0xee));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) /* quarters, of rows i, i + 8, i + 4 and i + 12 */
        row[i] = _mm512_add_ps(_mm512_shuffle_f32x4(row[i], row[i + 4], 0x88),
                               _mm512_shuffle_f32x4(row[i], row[i + 4], 0xdd));
    for (int i = 0; i < 2; i++) /* pairs */
        row[i] = _mm512_add_ps(_mm512_shuffle_ps(row[i], row[i + 2], 0x44),
                               _mm512_shuffle_ps(row[i], row[i + 2], 0xee));
    const __m512 mixed = _mm512_add_ps(_mm512_shuffle_ps(row[0], row[1], 0x88),
                                       _mm512_shuffle_ps(row[0], row[1], 0xdd));
    return _mm512_permutexvar_ps(order, mixed);
}

/* A tile's part of q (rows,), from its products with the head, whose lanes are still to be added:
 * apart, as both need all registers. */
AVX512 __attribute__((noinline)) static void add_to_q(float *q, const __m512 products[LANES],
                                                      size_t rows, const around *of)
{
    const __mmask16 all = mtf_lanes_first(rows);
    const __m512 before =
        of->column > 0 ? _mm512_maskz_loadu_ps(all, q) : _mm512_set1_ps(of->top->c);
    __m512 row[LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i++) row[i] = products[i];
    _mm512_mask_storeu_ps(q, all, _mm512_add_ps(before, add_lanes(row)));
}

MTF_LANES_INLINE void multiply_head(__m512 products[LANES], const registers *sum, const float *head,
                                    const int rows, const int vectors, __mmask16 edge)
{
    __m512 w[TILE_VECTORS];
    for (int v = 0; v < vectors; v++) w[v] = load(head, v, vectors, edge);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        __m512 product = _mm512_setzero_ps();
        for (int v = 0; v < vectors && i < rows; v++) /* nothing beyond the edge, NaN or not */
            product = v + 1 < vectors ? _mm512_mul_ps(w[v], sum->of[i][v])
                                      : _mm512_mask3_fmadd_ps(w[v], sum->of[i][v], product, edge);
        products[i] = product;
    }
}

MTF_LANES_INLINE void store_slope(float *y, const panel *of, const registers *sum, const int rows,
                                  const int vectors, __mmask16 edge)
{
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, y += of->ldy) {
        for (int v = 0; v < vectors; v++) {
            const __m512 w = load(of->around.top->w + of->around.column, v, vectors, edge);
            const __mmask16 open =
                _mm512_cmp_ps_mask(sum->of[i][v], _mm512_setzero_ps(), _CMP_GT_OQ);
            store(y, v, vectors, edge, _mm512_maskz_mov_ps(open, w));
        }
    }
}

MTF_LANES_INLINE void tile(const panel *of, size_t first, const int rows, const int vectors,
                           const tiling way)
{
    const size_t row = way == TURNED ? 1 : of->ldx, step = way == TURNED ? of->ldx : 1;
    const float *x = of->x + first * row, *w = of->w;
    float *y = of->y + first * of->ldy;
    const __mmask16 edge = mtf_lanes_first(of->columns - (size_t)(vectors - 1) * LANES);
    registers sum;
    begin(&sum, of, y, rows, vectors, edge);
    for (size_t k = of->depth; k > 0; k--, x += step, w += of->ldw) {
        __m512 right[TILE_VECTORS];
        for (int v = 0; v < vectors; v++) right[v] = _mm512_loadu_ps(w + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const __m512 left = _mm512_set1_ps(x[(size_t)i * row]);
            for (int v = 0; v < vectors; v++)
                sum.of[i][v] = _mm512_fmadd_ps(left, right[v], sum.of[i][v]);
        }
    }
    if (way != TURNED) end(&sum, of, first, rows, vectors, edge);
    if (way == TOPPED && of->around.top->leaves == MTF_TOP_SLOPE)
        store_slope(y, of, &sum, rows, vectors, edge);
    if (way != TOPPED || of->around.top->leaves == MTF_TOP_UNITS) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++, y += of->ldy) {
            for (int v = 0; v < vectors; v++) store(y, v, vectors, edge, sum.of[i][v]);
        }
    }
    if (way == TOPPED) {
        __m512 products[LANES];
        const around *all = &of->around;
        multiply_head(products, &sum, all->top->w + all->column, rows, vectors, edge);
        add_to_q(all->top->q + first, products, (size_t)rows, all);
    }
}

static inline void fetch(mtf_ahead *ahead)
{
    if (ahead == NULL) return;
    for (int i = 0; i < AHEAD && ahead->at < ahead->end; i += LANES, ahead->at += LANES)
        __builtin_prefetch(ahead->at, 0, 2);
}

MTF_LANES_INLINE void tiles(const panel *of, const int vectors, const tiling way)
{
    size_t at = 0;
    for (; at + TILE_ROWS <= of->rows; at += TILE_ROWS) {
        fetch(of->around.ahead);
        tile(of, at, TILE_ROWS, vectors, way);
    }
    if (at + 12 <= of->rows) tile(of, at, 12, vectors, way), at += 12;
    if (at + 10 <= of->rows) tile(of, at, 10, vectors, way), at += 10;
    if (at + 8 <= of->rows) tile(of, at, 8, vectors, way), at += 8;
    if (at + 6 <= of->rows) tile(of, at, 6, vectors, way), at += 6;
    if (at + 4 <= of->rows) tile(of, at, 4, vectors, way), at += 4;
    if (at + 2 <= of->rows) tile(of, at, 2, vectors, way), at += 2;
    if (at < of->rows) tile(of, at, 1, vectors, way);
}

/* Functions of their own: one for all would share its registers among their loops. */
AVX512 __attribute__((noinline)) static void multiply_plain(const panel *of)
{
    if (of->columns <= LANES)
        tiles(of, 1, PLAIN);
    else
        tiles(of, 2, PLAIN);
}

AVX512 __attribute__((noinline)) static void multiply_turned(const panel *of)
{
    if (of->columns <= LANES)
        tiles(of, 1, TURNED);
    else
        tiles(of, 2, TURNED);
}

AVX512 __attribute__((noinline)) static void multiply_topped(const panel *of)
{
    if (of->columns <= LANES)
        tiles(of, 1, TOPPED);
    else
        tiles(of, 2, TOPPED);
}

static void multiply(const panel *of, bool turned)
{
    if (turned)
        multiply_turned(of);
    else if (of->around.top != NULL)
        multiply_topped(of);
    else
        multiply_plain(of);
}

/* w (k, columns) to whole vectors. */
AVX512 static void copy(float *out, const float *w, size_t ldw, size_t columns, size_t depth)
{
    for (size_t k = 0; k < depth; k++, w += ldw) {
        for (size_t j = 0; j < columns; j += LANES, out += LANES)
            _mm512_store_ps(out, _mm512_maskz_loadu_ps(mtf_lanes_first(columns - j), w + j));
    }
}

/* Up to 16 rows and columns of w, turned, to rows `wide` apart. */
MTF_LANES_INLINE void turn(float *out, size_t wide, const float *w, size_t ldw, size_t rows,
                           size_t columns)
{
    const __mmask16 inside = mtf_lanes_first(columns);
    __m512i row[LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i++) {
        const float *from = w + (i < rows ? i * ldw : 0);
        row[i] = _mm512_maskz_loadu_epi32((__mmask16)(i < rows ? inside : 0), from);
    }
    mtf_lanes_turn(row);
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i++) {
        if (i < columns) _mm512_store_si512(out + i * wide, row[i]);
    }
}

/* The same of w (columns, k). */
AVX512 static void copy_turned(float *out, const float *w, size_t ldw, size_t columns, size_t depth)
{
    const size_t wide = columns > LANES ? TILE_COLUMNS : LANES;
    for (size_t j = 0; j < columns; j += LANES) {
        const float *rows = w + j * ldw;
        const size_t some = at_most(columns - j, LANES);
        size_t k = 0;
        for (; some == LANES && k + LANES <= depth; k += LANES)
            turn(out + k * wide + j, wide, rows + k, ldw, LANES, LANES);
        for (; k < depth; k += LANES)
            turn(out + k * wide + j, wide, rows + k, ldw, some, at_most(depth - k, LANES));
    }
}

/* Columns `column` on of w, from `k` on, for the panel; `space` for a copy. */
static void set_right(panel *to, const operand *w, size_t column, size_t k, float *space)
{
    const float *from = w->x + (w->turned ? column * w->ld + k : k * w->ld + column);
    to->w = space;
    to->ldw = to->columns > LANES ? TILE_COLUMNS : LANES;
    if (w->turned) {
        copy_turned(space, from, w->ld, to->columns, to->depth);
    } else if (to->rows >= COPY_ROWS || to->columns % LANES > 0) {
        copy(space, from, w->ld, to->columns, to->depth);
    } else {
        to->w = from;
        to->ldw = w->ld;
    }
}

/* From column j on, what is due before the first of k or after its last. */
static around part_of(const around *all, size_t j, bool begins, bool ends)
{
    return (around){.bias = begins && all->bias ? all->bias + j : NULL,
                    .relu = ends && all->relu,
                    .gate = ends && all->gate ? all->gate + j : NULL,
                    .sums = ends && all->sums ? all->sums + j : NULL,
                    .top = ends ? all->top : NULL,
                    .column = j,
                    .ahead = all->ahead};
}

static void product(float *y, size_t ldy, const operand *x, const operand *w, size_t m, size_t n,
                    size_t k, const around *all)
{
    _Alignas(64) float space[BLOCK_K * TILE_COLUMNS];
    for (size_t j = 0; j < n; j += TILE_COLUMNS) {
        panel of = {.y = y + j,
                    .ldy = ldy,
                    .ldx = x->ld,
                    .rows = m,
                    .columns = at_most(n - j, TILE_COLUMNS)};
        size_t at = 0;
        do { /* k = 0 goes through once and gives zeros */
            of.depth = at_most(k - at, BLOCK_K);
            of.x = x->x + (x->turned ? at * x->ld : at);
            of.add = at > 0;
            of.around = part_of(all, j, at == 0, at + of.depth == k);
            set_right(&of, w, j, at, space);
            multiply(&of, x->turned);
            at += of.depth;
        } while (at < k);
    }
}

/* y (rows, columns), up to 16 of either, from y' with rows 32 apart. */
AVX512 static void turn_out(float *y, size_t ldy, const float *turned, size_t rows, size_t columns)
{
    __m512i row[LANES];
    for (size_t i = 0; i < LANES; i++) row[i] = _mm512_load_si512(turned + i * TILE_COLUMNS);
    mtf_lanes_turn(row);
    for (size_t i = 0; i < rows; i++, y += ldy)
        _mm512_mask_storeu_epi32(y, mtf_lanes_first(columns), row[i]);
}

/* y (m, n), n up to a tile's rows, from y' (n, m) = w' x': so few columns would leave lanes of
 * vectors empty. Each element is the same chain. */
static void product_swapped(float *y, size_t ldy, const operand *x, const operand *w, size_t m,
                            size_t n, size_t k)
{
    const operand left = {w->x, w->ld, !w->turned};
    for (size_t at = 0; at < m; at += TILE_COLUMNS) {
        _Alignas(64) float turned[LANES * TILE_COLUMNS];
        const operand right = {x->x + (x->turned ? at : at * x->ld), x->ld, !x->turned};
        const size_t some = at_most(m - at, TILE_COLUMNS);
        product(turned, TILE_COLUMNS, &left, &right, n, some, k, &(around){0});
        for (size_t i = 0; i < some; i += LANES)
            turn_out(y + (at + i) * ldy, ldy, turned + i, at_most(some - i, LANES), n);
    }
}

static void product_alone(float *y, size_t ldy, const operand *x, const operand *w, size_t m,
                          size_t n, size_t k)
{
    const size_t last = n % TILE_COLUMNS, few = last <= TILE_ROWS && last < m ? last : 0;
    const size_t whole = n - few;
    product(y, ldy, x, w, m, whole, k, &(around){0});
    if (few == 0) return;
    const operand rest = {w->x + (w->turned ? whole * w->ld : whole), w->ld, w->turned};
    product_swapped(y + whole, ldy, x, &rest, m, few, k);
}

static void product_nt(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product_alone(y, ldy, &(operand){x, ldx, false}, &(operand){w, ldw, true}, m, n, k);
}

static void product_nn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product_alone(y, ldy, &(operand){x, ldx, false}, &(operand){w, ldw, false}, m, n, k);
}

static void product_tn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                       size_t m, size_t n, size_t k)
{
    product_alone(y, ldy, &(operand){x, ldx, true}, &(operand){w, ldw, false}, m, n, k);
}

static void layer(float *y, const float *x, size_t ldx, const float *w, size_t ldw,
                  const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead)
{
    product(y, n, &(operand){x, ldx, false}, &(operand){w, ldw, true}, m, n, k,
            &(around){.bias = bias, .relu = true, .ahead = ahead});
}

static void top(const mtf_top *top, float *y, const float *x, size_t ldx, const float *w,
                size_t ldw, const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead)
{
    product(y, n, &(operand){x, ldx, false}, &(operand){w, ldw, true}, m, n, k,
            &(around){.bias = bias, .relu = true, .top = top, .ahead = ahead});
}

static void back(float *dx, float *sums, const float *dy, const float *w, const float *x, size_t m,
                 size_t n, size_t k, mtf_ahead *ahead)
{
    if (sums != NULL) memset(sums, 0, n * sizeof *sums);
    product(dx, n, &(operand){dy, k, false}, &(operand){w, n, false}, m, n, k,
            &(around){.gate = x, .sums = sums, .ahead = ahead});
}

const mtf_gemm *mtf_gemm_avx512(void)
{
    static const mtf_gemm gemm = {product_nt, product_nn, product_tn, layer, top, back};
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") ? &gemm : NULL;
}

#else

const mtf_gemm *mtf_gemm_avx512(void)
{
    return NULL;
}

#endif
