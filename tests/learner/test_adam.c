/* Goal: the optimiser is PyTorch's Adam, with the round's learning rate. Method: a float64 Adam
 * written from the paper's algorithm, and the schedule's and the clip's fixed points. (Whole runs
 * against PyTorch itself: test_golden.c.) */
#include "learner/adam.h"

#include "core/rng.h"
#include "support/mtf_test.h"

#define COUNT 37

static void updates_follow_the_paper_in_the_torch_convention(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(5), 0);
    float w[COUNT] = {0}, m[COUNT] = {0}, v[COUNT] = {0}, gradient[COUNT];
    double w64[COUNT] = {0}, m64[COUNT] = {0}, v64[COUNT] = {0};
    for (uint64_t t = 1; t <= 50; t++) {
        for (size_t i = 0; i < COUNT; i++) {
            /* Sizes from 1e-9, where eps counts, to 10. */
            gradient[i] =
                (float)((mtf_rng_uniform(&rng) - 0.2) * pow(10.0, (double)(i % 11) - 9.0));
            const double g = 0.5 * (double)gradient[i];
            m64[i] = 0.9 * m64[i] + 0.1 * g;
            v64[i] = 0.999 * v64[i] + 0.001 * g * g;
            const double m_hat = m64[i] / (1.0 - pow(0.9, (double)t));
            const double v_hat = v64[i] / (1.0 - pow(0.999, (double)t));
            w64[i] -= 1e-3 * m_hat / (sqrt(v_hat) + 1e-8);
        }
        mtf_adam_step(w, m, v, gradient, COUNT, 1e-3, 0.5, t);
    }
    for (size_t i = 0; i < COUNT; i++) mtf_assert_close((double)w[i], w64[i], 1e-4, 1e-7);
}

static void zero_gradients_move_nothing(void **state)
{
    (void)state;
    float w[COUNT] = {1.0f}, m[COUNT] = {0}, v[COUNT] = {0};
    const float gradient[COUNT] = {0};
    mtf_adam_step(w, m, v, gradient, COUNT, 0.1, 1.0, 1);
    assert_true(w[0] == 1.0f && w[1] == 0.0f);
}

static void rate_falls_along_a_cosine_to_its_final_share(void **state)
{
    (void)state;
    mtf_assert_close(mtf_cosine_rate(2.0, 0.05, 0, 100), 2.0, 1e-12, 0);
    mtf_assert_close(mtf_cosine_rate(2.0, 0.05, 50, 100), 2.0 * 0.525, 1e-12, 0);
    mtf_assert_close(mtf_cosine_rate(2.0, 0.05, 100, 100), 0.1, 1e-12, 0);
    mtf_assert_close(mtf_cosine_rate(2.0, 0.05, 101, 100), 0.1, 1e-12, 0);
    mtf_assert_close(mtf_cosine_rate(2.0, 1.0, 70, 100), 2.0, 1e-12, 0);
}

static void clip_brings_a_norm_to_its_limit_and_leaves_smaller_ones(void **state)
{
    (void)state;
    assert_true(mtf_clip_factor(20.0, 10.0) == 0.5);
    assert_true(mtf_clip_factor(10.0, 10.0) == 1.0);
    assert_true(mtf_clip_factor(1.0, 10.0) == 1.0);
    assert_true(mtf_clip_factor(1e9, 0.0) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_follow_the_paper_in_the_torch_convention),
        cmocka_unit_test(zero_gradients_move_nothing),
        cmocka_unit_test(rate_falls_along_a_cosine_to_its_final_share),
        cmocka_unit_test(clip_brings_a_norm_to_its_limit_and_leaves_smaller_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
