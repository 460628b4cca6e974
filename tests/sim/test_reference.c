/** Goal: src/sim/reference.inc is what the search finds.
 *  Method: the whole search again (some ten minutes). Values of given actions are the same on every
 *  machine; the search's path may differ where libm's logarithm does, so winners may differ a
 * little. */
#include "support/mtf_test.h"

#include "sim/sim.h"

static void the_search_finds_the_committed_values_again(void **state)
{
    (void)state;
    const mtf_sim_config config = mtf_sim_config_default();
    const mtf_sim_search search = mtf_sim_search_default();
    mtf_sim *sim;
    mtf_sim_reference committed, found;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    mtf_assert_ok(mtf_sim_reference_get(sim, &committed, &err), &err);
    mtf_assert_ok(mtf_sim_describe(sim, &search, &found, &err), &err);
    mtf_assert_close(found.initial.mean, committed.initial.mean, 0, 1e-5);
    mtf_assert_close(found.best_constant.mean, committed.best_constant.mean, 0.005, 0);
    mtf_assert_close(found.best_personalised.mean, committed.best_personalised.mean, 0.005, 0);
    mtf_assert_close(found.best_myopic.mean, committed.best_myopic.mean, 0.01, 0);
    mtf_sim_close(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_the_committed_values_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
