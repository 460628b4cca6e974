/** Goal: pieces are aligned, never overlap, and a reset makes room again without growing.
 *  Method: random sizes, each piece filled with its own byte and checked at the end. */
#include "support/mtf_test.h"

#include "core/arena.h"
#include "core/rng.h"

#define PIECES 2000

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(3), 0);
    mtf_arena arena = {0};
    uint8_t *pieces[PIECES];
    size_t sizes[PIECES];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            sizes[i] = mtf_rng_below(&rng, i % 100 == 0 ? 100000 : 200);
            pieces[i] = mtf_arena_take(&arena, sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)(i & 0xff), sizes[i]);
        }
        for (size_t i = 0; i < PIECES; i++) {
            for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], i & 0xff);
        }
        mtf_arena_reset(&arena);
    }
    mtf_arena_fini(&arena);
}

static void a_reset_arena_reuses_its_largest_block(void **state)
{
    (void)state;
    mtf_arena arena = {0};
    for (int i = 0; i < 100; i++) assert_non_null(mtf_arena_take(&arena, 1000));
    mtf_arena_reset(&arena);
    const mtf_arena_block *kept = arena.blocks;
    void *first = mtf_arena_take(&arena, 50000);
    assert_ptr_equal(arena.blocks, kept);
    mtf_arena_reset(&arena);
    assert_ptr_equal(mtf_arena_take(&arena, 8), first);
    mtf_arena_fini(&arena);
}

static void nothing_and_too_much_are_answered(void **state)
{
    (void)state;
    mtf_arena arena = {0};
    assert_non_null(mtf_arena_take(&arena, 0));
    assert_null(mtf_arena_take(&arena, SIZE_MAX));
    assert_null(mtf_arena_take(&arena, SIZE_MAX / 4 + 1));
    assert_non_null(mtf_arena_take(&arena, 16));
    mtf_arena_fini(&arena);
    mtf_arena_fini(&arena);
    mtf_arena_reset(&arena);
    assert_null(arena.blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(a_reset_arena_reuses_its_largest_block),
        cmocka_unit_test(nothing_and_too_much_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
