/** Goal: hashes are XXH3 with unambiguous joining, the same on every machine for ever.
 *  Method: known answers from the Python package xxhash 3 over the documented bytes. */
#include "support/mtf_test.h"

#include "core/hash.h"

static void assert_hash128(const mtf_str *parts, size_t count, const char *expected)
{
    uint8_t hash[16];
    char text[33];
    mtf_hash128(hash, parts, count);
    mtf_hex(text, hash, sizeof hash);
    assert_string_equal(text, expected);
}

static void hash128_gives_the_known_answers(void **state)
{
    (void)state;
    static char a[300], b[1000];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    const mtf_str empty = {0};
    const mtf_str ids[] = {mtf_str_of("user-1"), mtf_str_of("event-1")};
    const mtf_str shifted[] = {mtf_str_of("user-1e"), mtf_str_of("vent-1")};
    const mtf_str longer[] = {{a, sizeof a}, {b, sizeof b}};
    assert_hash128(NULL, 0, "99aa06d3014798d86001c324468d497f");
    assert_hash128(&empty, 1, "2a33816ed7e0c373dbe563c737220b65");
    assert_hash128(ids, 2, "bd4a4be6644ab88f8017386255d28f86");
    assert_hash128(shifted, 2, "d7d32f11d3ad5156acc75e1bf2a380ff");
    assert_hash128(longer, 2, "224209e5160aa20d6ad2b5c8d273985e");
}

static void hash64_gives_the_known_answers(void **state)
{
    (void)state;
    assert_true(mtf_hash64("", 0) == 0x2d06800538d394c2u);
    assert_true(mtf_hash64("user-1", 6) == 0x7c7615c11438e5c9u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash128_gives_the_known_answers),
        cmocka_unit_test(hash64_gives_the_known_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
