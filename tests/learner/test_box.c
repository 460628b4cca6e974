/* Goal: the penalty (formula 5) pulls inward, the printed one is caught pushing outward, phi and
 * the additive term fall from 1 and rise from 0 as an action leaves the box. Method: one dimension
 * swept across the box, slopes against central differences, and the frozen and narrow corner cases.
 */
#include "learner/box.h"
#include "support/mtf_test.h"

#define BETA 0.3f

static const float bp = 0.2f, lower = -0.15f, upper = 0.15f;
static const mtf_box one = {1, BETA, &bp, &lower, &upper};
static const double kappa = 0.3 * 0.3;

static double penalty_at(mtf_penalty penalty, double action, double *slope)
{
    const float a = (float)action;
    float bent;
    const float d = mtf_box_penalty(&one, penalty, &a, &bent, NULL, NULL);
    if (slope != NULL) *slope = (double)bent;
    return (double)d;
}

/* The four properties a penalty owes: 0 up to the edge, continuous there, rising outside, its slope
 * pointing outward (so that descent goes inward). */
typedef struct properties {
    bool zero_inside, continuous, rising, inward;
} properties;

static properties examine(mtf_penalty penalty)
{
    properties p = {true, true, true, true};
    const double low = 0.05, high = 0.35, step = 1e-3;
    for (double a = low + 1e-6; a < high; a += step) {
        double slope;
        p.zero_inside = p.zero_inside && penalty_at(penalty, a, &slope) == 0.0 && slope == 0.0;
    }
    p.continuous = penalty_at(penalty, high + 1e-5, NULL) < 1e-3 &&
                   penalty_at(penalty, low - 1e-5, NULL) < 1e-3;
    for (double out = step; out < 1.0; out += step) {
        double above, below;
        const double d_above = penalty_at(penalty, high + out, &above);
        const double d_below = penalty_at(penalty, low - out, &below);
        p.rising = p.rising && d_above > penalty_at(penalty, high + out - step / 2, NULL) &&
                   d_below > penalty_at(penalty, low - out + step / 2, NULL);
        p.inward = p.inward && above > 0.0 && below < 0.0;
    }
    return p;
}

static void penalty_is_zero_inside_continuous_rising_and_pulls_inward(void **state)
{
    (void)state;
    const properties p = examine(MTF_PENALTY_EXPM1);
    assert_true(p.zero_inside && p.continuous && p.rising && p.inward);
}

static void printed_penalty_jumps_falls_and_pushes_outward(void **state)
{
    (void)state;
    const properties p = examine(MTF_PENALTY_PRINTED);
    assert_true(p.zero_inside);
    assert_false(p.continuous || p.rising || p.inward);
    mtf_assert_close(penalty_at(MTF_PENALTY_PRINTED, 0.35 + kappa, NULL), exp(-1.0), 1e-4, 0);
}

static void penalty_has_the_stated_values(void **state)
{
    (void)state;
    double slope;
    mtf_assert_close(penalty_at(MTF_PENALTY_EXPM1, 0.35 + kappa, &slope), expm1(1.0), 1e-4, 0);
    mtf_assert_close(slope, exp(1.0) / kappa, 1e-4, 0);
    /* Beyond 5 kappa it goes on in a straight line. */
    mtf_assert_close(penalty_at(MTF_PENALTY_EXPM1, 0.35 + 7 * kappa, &slope),
                     expm1(5.0) + 2.0 * exp(5.0), 1e-4, 0);
    mtf_assert_close(slope, exp(5.0) / kappa, 1e-4, 0);
    assert_true(penalty_at(MTF_PENALTY_NONE, 0.9, &slope) == 0.0 && slope == 0.0);
}

static void slopes_equal_central_differences(void **state)
{
    (void)state;
    const double half = 5e-4; /* as float32 allows */
    for (mtf_penalty penalty = MTF_PENALTY_EXPM1; penalty <= MTF_PENALTY_NONE; penalty++) {
        for (double a = -0.9; a < 1.0; a += 0.0213) {
            if (fabs(a - 0.05) < 2 * half || fabs(a - 0.35) < 2 * half) continue;
            double slope;
            penalty_at(penalty, a, &slope);
            const double rise =
                penalty_at(penalty, a + half, NULL) - penalty_at(penalty, a - half, NULL);
            mtf_assert_close(slope, rise / (2 * half), 5e-3, 5e-3);
        }
    }
}

static void dimensions_add_up_and_frozen_ones_do_not_count(void **state)
{
    (void)state;
    /* Outside above, inside, outside below, frozen and far off, narrow (kappa at its floor). */
    const float base[5] = {0, 0, 0, 0, 0}, low[5] = {-0.15f, -0.15f, -0.15f, 0, -0.001f};
    const float high[5] = {0.15f, 0.15f, 0.15f, 0, 0.001f};
    const float action[5] = {0.15f + 0.09f, 0.1f, -0.15f - 0.045f, 0.7f, 0.004f};
    const mtf_box box = {5, BETA, base, low, high};
    float slope[5];
    uint32_t outside = 10, open = 20;
    const double d =
        (double)mtf_box_penalty(&box, MTF_PENALTY_EXPM1, action, slope, &outside, &open);
    mtf_assert_close(d, expm1(1.0) + expm1(0.5) + expm1(1.0), 1e-4, 0);
    assert_int_equal(outside, 13);
    assert_int_equal(open, 24);
    assert_true(slope[0] > 0 && slope[1] == 0 && slope[2] < 0 && slope[3] == 0 && slope[4] > 0);
    mtf_assert_close((double)slope[4], exp(1.0) / (0.3 * 0.01), 1e-3, 0);
    mtf_assert_close((double)mtf_box_phi(&box, action), exp(-2.5), 1e-4, 0);
    mtf_assert_close((double)mtf_box_loss(&box, action), 3 - exp(-1.0) - exp(-0.5) - exp(-1.0),
                     1e-4, 0);
    float clamped[5];
    for (size_t d2 = 0; d2 < 5; d2++) clamped[d2] = action[d2];
    mtf_box_clamp(&box, clamped);
    const float expected[5] = {0.15f, 0.1f, -0.15f, 0.0f, 0.001f};
    assert_memory_equal(clamped, expected, sizeof expected);
    assert_true(mtf_box_phi(&box, clamped) == 1.0f && mtf_box_loss(&box, clamped) == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penalty_is_zero_inside_continuous_rising_and_pulls_inward),
        cmocka_unit_test(printed_penalty_jumps_falls_and_pushes_outward),
        cmocka_unit_test(penalty_has_the_stated_values),
        cmocka_unit_test(slopes_equal_central_differences),
        cmocka_unit_test(dimensions_add_up_and_frozen_ones_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
