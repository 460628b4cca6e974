/** Goal: a cap bucket is the floor its header promises. Method: buckets against 128-bit floor
 *  division. */
#include "support/mtf_test.h"

#include "core/hash.h"
#include "core/rng.h"
#include "core/session.h"

static void a_bucket_is_a_floor_for_any_time(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(10), 0);
    const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    for (int i = 0; i < 20000; i++) {
        char user[16];
        const int size = snprintf(user, sizeof user, "u%" PRIu64, mtf_rng_below(&rng, 100000));
        const int64_t duration_ms = 1 + (int64_t)mtf_rng_below(&rng, 700000000);
        const int64_t time_ms =
            i < 7000 ? edges[i % 7] : (int64_t)(mtf_rng_next(&rng) >> mtf_rng_below(&rng, 64));
        const int64_t bucket =
            mtf_session_bucket((mtf_str){user, (uint32_t)size}, time_ms, duration_ms);
        __extension__ typedef __int128 wide;
        const wide shifted =
            (wide)time_ms + (int64_t)(mtf_hash64(user, (size_t)size) % (uint64_t)duration_ms);
        const wide within = shifted - (wide)bucket * duration_ms;
        assert_true(within >= 0 && within < duration_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_is_a_floor_for_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
