/** What every test includes: cmocka and its headers, floats compared by tolerance, a seed that the
 *  environment can replace, and a folder of its own. MTF_TEST_ONLY=NAME runs that function alone.
 */
#ifndef MTF_TEST_H
#define MTF_TEST_H

#include "core/file.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/** The environment's wish, heard before main. */
__attribute__((constructor)) static void mtf_test_only(void)
{
    cmocka_set_test_filter(getenv("MTF_TEST_ONLY"));
}

/** Fails unless |actual - expected| <= atol + rtol * |expected|; never passes for NaN. */
#define mtf_assert_close(actual, expected, rtol, atol)                                             \
    mtf_test_close((actual), (expected), (rtol), (atol), #actual, __FILE__, __LINE__)

static inline void mtf_test_close(double actual, double expected, double rtol, double atol,
                                  const char *what, const char *file, int line)
{
    if (actual == expected || fabs(actual - expected) <= atol + rtol * fabs(expected)) return;
    print_error("%s is %.17g, expected %.17g within %g relative + %g absolute\n", what, actual,
                expected, rtol, atol);
    _fail(file, line);
}

/** Fails with err's words unless the call returned MTF_OK. */
#define mtf_assert_ok(status, err) mtf_test_ok((status), (err), #status, __FILE__, __LINE__)

static inline void mtf_test_ok(mtf_status status, const mtf_err *err, const char *what,
                               const char *file, int line)
{
    if (status == MTF_OK) return;
    print_error("%s: %s: %s\n", what, mtf_status_text(status), err ? err->msg : "");
    _fail(file, line);
}

/** The seed of a random test: MTF_TEST_SEED if set, else `fixed`. Printed, so that a failure's
 *  output (ctest shows it) tells how to run it again. */
static inline uint64_t mtf_test_seed(uint64_t fixed)
{
    const char *text = getenv("MTF_TEST_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : fixed;
    print_message("seed: MTF_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

#define MTF_TEST_PATH 256

/** Makes an empty folder for one test and writes its path, without a final slash. */
static inline void mtf_test_folder(char path[MTF_TEST_PATH])
{
    const char *base = getenv("TMPDIR");
    const int size = snprintf(path, MTF_TEST_PATH, "%s/mtf-test-XXXXXX", base ? base : "/tmp");
    assert_in_range(size, 1, MTF_TEST_PATH - 1);
    assert_non_null(mkdtemp(path));
}

static inline void mtf_test_folder_remove(const char *path)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_folder_remove(path, &err), &err);
}

/** Writes text to folder/name and its path to `path`. */
static inline void mtf_test_file(char path[2 * MTF_TEST_PATH], const char *folder, const char *name,
                                 const char *text)
{
    snprintf(path, 2 * MTF_TEST_PATH, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_not_equal(fputs(text, file), EOF);
    assert_int_equal(fclose(file), 0);
}

#endif
