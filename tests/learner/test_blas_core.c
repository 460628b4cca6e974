/* Goal: the program starts anew only when that helps, once, and never against the operator. Method:
 * the decision as a table, and this very executable as a child that calls the fix first in main. */
#include "learner/blas_core.h"
#include "support/mtf_test.h"

#include <string.h>
#include <unistd.h>

static void only_lesser_cores_on_avx512_cpus_are_left(void **state)
{
    (void)state;
    assert_true(mtf_blas_core_is_lesser("Haswell", true, NULL, false));
    assert_true(mtf_blas_core_is_lesser("Zen", true, "", false));
    assert_false(mtf_blas_core_is_lesser("SkylakeX", true, NULL, false));
    assert_false(mtf_blas_core_is_lesser("Cooperlake", true, NULL, false));
    assert_false(mtf_blas_core_is_lesser("SomethingNewer", true, NULL, false));
    assert_false(mtf_blas_core_is_lesser("Haswell", false, NULL, false));
    assert_false(mtf_blas_core_is_lesser("Haswell", true, "Haswell", false));
    assert_false(mtf_blas_core_is_lesser("Haswell", true, NULL, true));
}

/* What the child prints: core, its arguments. */
static void run_child(const char *environment, char line[128])
{
    char self[512], command[1024];
    const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_in_range(size, 1, sizeof self - 1);
    self[size] = '\0';
    snprintf(command, sizeof command,
             "env -u OPENBLAS_CORETYPE -u MTF_BLAS_CORE %s '%s' child one 'two words'", environment,
             self);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_non_null(fgets(line, 128, out));
    assert_int_equal(pclose(out), 0);
}

static void program_ends_up_on_no_lesser_core(void **state)
{
    (void)state;
    char line[128], core[64];
    run_child("", line);
    assert_int_equal(sscanf(line, "%63s", core), 1);
    assert_non_null(strstr(line, " [one] [two words]"));
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        assert_false(mtf_blas_core_is_lesser(core, true, NULL, false));
    }
#endif
}

/* On a machine of whatever CPU: a program that finds itself on lesser kernels. */
static void restart_keeps_arguments_and_happens_once(void **state)
{
    (void)state;
    char line[128];
    run_child("MTF_TEST_RESTART=1", line);
    assert_non_null(strstr(line, " [one] [two words]"));
    assert_non_null(strstr(line, "SkylakeX after Haswell"));
}

static void operators_choice_stays(void **state)
{
    (void)state;
#if defined(__x86_64__)
    char line[128];
    run_child("OPENBLAS_CORETYPE=Haswell", line);
    assert_int_equal(strncmp(line, "Haswell ", 8), 0);
#endif
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "child") == 0) {
        if (getenv("MTF_TEST_RESTART") != NULL && getenv("MTF_BLAS_CORE") == NULL) {
            mtf_blas_core_restart(argv, "Haswell");
        }
        const char *core = mtf_blas_core_fix(argv), *before = getenv("MTF_BLAS_CORE");
        printf("%s [%s] [%s]", core, argv[2], argv[3]);
        if (before != NULL) printf(" %s after %s", getenv("OPENBLAS_CORETYPE"), before);
        printf("\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_lesser_cores_on_avx512_cpus_are_left),
        cmocka_unit_test(program_ends_up_on_no_lesser_core),
        cmocka_unit_test(restart_keeps_arguments_and_happens_once),
        cmocka_unit_test(operators_choice_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
