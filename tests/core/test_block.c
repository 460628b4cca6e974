/* Goal: a block of any size lies on a cache line, a large one on a huge page, and all of it can be
 * written. Method: sizes round the limits, for the sanitizers. */
#include "core/block.h"

#include "support/mtf_test.h"

#include <string.h>

static void blocks_are_aligned_and_whole(void **state)
{
    (void)state;
    const size_t huge = (size_t)2 << 20;
    const size_t sizes[] = {0, 1, 63, 64, 65, huge - 1, huge, huge + 1, 3 * huge};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = mtf_block_new(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (sizes[i] < huge ? 64 : huge), 0);
        memset(block, 1, sizes[i]);
        free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
