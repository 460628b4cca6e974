/** Goal: pieces are aligned, stay as they were written while others come and go, and
 *  memory that was given back serves again, also other sizes. Method: random takes and gives, every
 *  piece filled with a byte of its own; chunks where sizes change. */
#include "support/mtf_test.h"

#include <stdlib.h>

#include "core/slabs.h"
#include "core/rng.h"

enum { PIECES = 3000 };

struct piece {
    uint8_t *at;
    size_t size;
    uint8_t byte;
};

static void check(const struct piece *piece)
{
    for (size_t i = 0; i < piece->size; i++) assert_int_equal(piece->at[i], piece->byte);
}

static size_t random_size(mtf_rng *rng)
{
    const size_t limits[] = {1, 40, 600, 1100, MTF_SLAB_PIECE_MAX + 1, 20000};
    return mtf_rng_below(rng, limits[mtf_rng_below(rng, 6)]);
}

static void pieces_keep_what_is_written(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(1), 0);
    mtf_slabs slabs = {0};
    struct piece *pieces = calloc(PIECES, sizeof *pieces);
    assert_non_null(pieces);
    for (int round = 0; round < 40000; round++) {
        struct piece *piece = &pieces[mtf_rng_below(&rng, PIECES)];
        if (piece->at) {
            check(piece);
            mtf_slabs_give(&slabs, piece->at, piece->size);
            *piece = (struct piece){0};
            continue;
        }
        *piece = (struct piece){.size = random_size(&rng), .byte = (uint8_t)round};
        piece->at = mtf_slabs_take(&slabs, piece->size);
        assert_non_null(piece->at);
        assert_int_equal((uintptr_t)piece->at % 16, 0);
        if (piece->size) memset(piece->at, piece->byte, piece->size);
    }
    for (int i = 0; i < PIECES; i += 2) { /* the others are left to fini */
        if (!pieces[i].at) continue;
        check(&pieces[i]);
        mtf_slabs_give(&slabs, pieces[i].at, pieces[i].size);
    }
    mtf_slabs_give(&slabs, NULL, 7);
    mtf_slabs_fini(&slabs);
    free(pieces);
}

static void the_edges_of_sizes_are_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,    1,    15,   16,   17,   1008, 1009, 1023,
                                   1024, 1025, 1088, 1089, 4032, 4095, 4096, 4097};
    mtf_slabs slabs = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct piece a = {mtf_slabs_take(&slabs, sizes[i]), sizes[i], 0xaa};
        struct piece b = {mtf_slabs_take(&slabs, sizes[i]), sizes[i], 0xbb};
        assert_true(a.at && b.at && a.at != b.at);
        memset(a.at, a.byte, a.size);
        memset(b.at, b.byte, b.size);
        check(&a);
        mtf_slabs_give(&slabs, a.at, a.size);
        check(&b);
        mtf_slabs_give(&slabs, b.at, b.size);
    }
    mtf_slabs_fini(&slabs);
}

static void what_is_given_back_serves_other_sizes(void **state)
{
    (void)state;
    enum { BYTES = 20 << 20 };
    mtf_slabs slabs = {0};
    size_t most = 0;
    for (size_t size = 100; size <= 3000; size += 290) {
        const size_t count = BYTES / size;
        void **pieces = calloc(count, sizeof *pieces);
        assert_non_null(pieces);
        for (size_t i = 0; i < count; i++) {
            pieces[i] = mtf_slabs_take(&slabs, size);
            assert_non_null(pieces[i]);
        }
        const size_t chunks = slabs.chunk_count;
        if (!most) most = chunks + chunks / 8; /* sizes are rounded, slabs end in a rest */
        assert_true(chunks <= most);
        for (size_t i = 0; i < count; i++) mtf_slabs_give(&slabs, pieces[i], size);
        free(pieces);
    }
    assert_true(most >= BYTES / (2 << 20));
    mtf_slabs_fini(&slabs);
    assert_null(slabs.chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_keep_what_is_written),
        cmocka_unit_test(the_edges_of_sizes_are_whole),
        cmocka_unit_test(what_is_given_back_serves_other_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
