/** Goal: libmtf's calls (mtf.h) refuse what must not be served, and act, explore and fuse as the
 *  formulas say. Method: records made here, damaged and signed; the plain forward pass; a histogram
 *  for each density; formula 1 as it is printed, in double. */
#include "client/face.h"

#include "client/key_files.h"
#include "client/policy_keys.h"
#include "client/sample_policy.h"

#include <float.h>

/* sample_policy's record, read as a service reads it; `box` and `actions` unless 0 and NULL. */
static mtf_policy *served(uint64_t seed, uint32_t state_dim, float box)
{
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *made = sample_policy(seed, state_dim, 16), *policy;
    made->info.box = box;
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err);
    mtf_assert_ok(mtf_policy_read(record.data, record.size, NULL, &policy, &err), &err);
    mtf_policy_free(made);
    mtf_buf_fini(&record);
    return policy;
}

static void a_record_says_who_it_is(void **state)
{
    (void)state;
    mtf_policy *policy = served(1, 5, 0.15F);
    assert_string_equal(mtf_policy_name(policy), "sample");
    assert_string_equal(mtf_policy_stage(policy), "live");
    assert_string_equal(mtf_policy_algorithm(policy), "integrated");
    assert_string_equal(mtf_policy_state_schema(policy), "");
    assert_int_equal(mtf_policy_version(policy), 3);
    assert_int_equal(mtf_policy_parent(policy), 2);
    assert_int_equal(mtf_policy_created_ms(policy), 1700000000123);
    assert_int_equal(mtf_policy_state_dim(policy), 5);
    assert_int_equal(mtf_policy_action_dim(policy), 4);
    assert_int_equal(mtf_policy_prediction_count(policy), 2);
    assert_string_equal(mtf_policy_prediction(policy, 0), "valid");
    assert_string_equal(mtf_policy_prediction(policy, 1), "watch");
    assert_true(mtf_policy_box(policy) == 0.15F && !mtf_policy_is_signed(policy));
    assert_true(mtf_policy_figure(policy, "gate.z") == 2.1);
    assert_true(isnan(mtf_policy_figure(policy, "nothing")));
    mtf_policy_free(policy);
}

static void no_byte_of_a_record_can_change(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *made = sample_policy(2, 3, 4), *policy;
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err);
    for (size_t cut = 0; cut < record.size; cut += 7) {
        assert_int_equal(mtf_policy_read(record.data, cut, NULL, &policy, &err), MTF_CORRUPT);
        assert_null(policy);
    }
    assert_int_equal(mtf_policy_read(NULL, 0, NULL, &policy, &err), MTF_CORRUPT);
    uint8_t *weights = record.data + record.size / 2; /* in the payload: its sha256 tells */
    *weights ^= 4;
    assert_int_equal(mtf_policy_read(record.data, record.size, NULL, &policy, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "sample version 3"));
    mtf_policy_free(made);
    mtf_buf_fini(&record);
}

static void keys_ask_for_a_signature_of_theirs(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], signing[2 * MTF_TEST_PATH], public[2 * MTF_TEST_PATH],
        path[2 * MTF_TEST_PATH];
    mtf_buf unsigned_record = {0}, record = {0};
    mtf_err err = {0};
    mtf_policy_keys *writers = NULL, *keys = NULL;
    mtf_policy *made = sample_policy(3, 3, 4), *policy;
    mtf_test_folder(folder);
    key_files_make(folder, "ours", 1);
    snprintf(signing, sizeof signing, "%s/ours.key", folder);
    snprintf(public, sizeof public, "%s/ours.pub", folder);
    snprintf(path, sizeof path, "%s/record", folder);
    mtf_assert_ok(mtf_policy_keys_open(signing, NULL, true, &writers, &err), &err);
    mtf_assert_ok(mtf_policy_keys_read(public, &keys, &err), &err);
    mtf_assert_ok(mtf_policy_encode(made, &unsigned_record, &err), &err);
    mtf_assert_ok(mtf_policy_encode_signed(made, writers, &record, &err), &err);
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&record), &err), &err);
    mtf_assert_ok(mtf_policy_read_file(path, keys, &policy, &err), &err);
    assert_true(mtf_policy_is_signed(policy));
    mtf_policy_free(policy);
    assert_int_equal(
        mtf_policy_read(unsigned_record.data, unsigned_record.size, keys, &policy, &err),
        MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "unsigned"));
    record.data[record.size - 1] ^= 1;
    assert_int_equal(mtf_policy_read(record.data, record.size, keys, &policy, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "bad_signature"));
    mtf_policy_keys_free(keys);
    assert_int_equal(mtf_policy_keys_read("", &keys, &err), MTF_INVALID);
    assert_null(keys);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(mtf_policy_read_file(path, NULL, &policy, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, path));
    mtf_policy_keys_free(writers);
    mtf_policy_free(made);
    mtf_buf_fini(&record);
    mtf_buf_fini(&unsigned_record);
    mtf_test_folder_remove(folder);
}

static void an_action_for_each_item_is_none_for_all(void **state)
{
    (void)state;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *made = sample_policy(5, 9, 4), *policy;
    mtf_policy_set_items(made, 3);
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err);
    assert_int_equal(mtf_policy_read(record.data, record.size, NULL, &policy, &err), MTF_INVALID);
    assert_null(policy);
    assert_non_null(strstr(err.msg, "sample version 3 has an action for each item"));
    mtf_policy_free(made);
    mtf_buf_fini(&record);
}

static void acting_is_the_plain_forward_pass(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(4), 0);
    mtf_policy *policy = served(4, 9, 0.15F);
    for (int n = 0; n < 1000; n++) {
        float features[9], fast[4], plain[4];
        for (int i = 0; i < 9; i++)
            features[i] =
                n % 50 == i ? NAN
                            : policy->mean[i] + policy->deviation[i] * (float)mtf_rng_normal(&rng);
        mtf_act(policy, features, fast);
        mtf_policy_act(policy, features, plain);
        for (int d = 0; d < 4; d++) mtf_assert_close(fast[d], plain[d], 0, 2e-6);
    }
    mtf_policy_free(policy);
}

static void box_exploration_is_uniform_and_its_density_the_histograms(void **state)
{
    (void)state;
    enum { BINS = 20, DRAWS = 100000 };
    const uint64_t seed = mtf_test_seed(5);
    const float baseline[4] = {0.9F, -0.2F, -1, 0.3F};
    mtf_policy *policy = served(5, 3, 0.15F);
    float action[4], lower[4], upper[4], again[4];
    int counts[4][BINS] = {{0}};
    double log_density = 0;
    for (int n = 0; n < DRAWS; n++) {
        char request[24];
        snprintf(request, sizeof request, "r%d", n);
        log_density = mtf_explore(policy, seed, request, baseline, action, lower, upper);
        for (int d = 0; d < 4; d++) {
            const double low = (double)baseline[d] + lower[d], width = (double)upper[d] - lower[d];
            assert_true(low >= -1 && low + width <= 1);
            assert_true(action[d] >= low && action[d] <= low + width);
            counts[d][(int)fmin(BINS - 1, (action[d] - low) / width * BINS)]++;
        }
        if (n % 1000) continue;
        assert_true(mtf_explore(policy, seed, request, baseline, again, lower, upper) ==
                    log_density);
        assert_memory_equal(again, action, sizeof action);
    }
    double from_counts = 0;
    for (int d = 0; d < 4; d++) {
        const double bin = ((double)upper[d] - lower[d]) / BINS;
        double chi2 = 0;
        for (int b = 0; b < BINS; b++)
            chi2 += pow(counts[d][b] - DRAWS / (double)BINS, 2) * BINS / DRAWS;
        assert_true(chi2 < 60); /* 19 degrees of freedom: one seed in 300,000 lies above */
        from_counts += log(counts[d][BINS / 2] / (DRAWS * bin));
    }
    mtf_assert_close(log_density, from_counts, 0, 4 * 6 / sqrt(DRAWS / (double)BINS));
    mtf_policy_free(policy);
}

/* The draw's histogram against exp(log-density) at each bin's middle: sigma wide enough for the
 * edge to matter, and no atom on it. */
static void gaussian_density_is_the_histograms(void **state)
{
    (void)state;
    enum { BINS = 20, DRAWS = 200000 };
    const uint64_t seed = mtf_test_seed(6);
    const float baseline[4] = {0.8F, 0, 0, 0};
    const float sigma = 0.5F;
    mtf_policy *policy = served(6, 3, 0.15F);
    float action[4], lower[4], upper[4];
    int counts[BINS] = {0};
    double density[BINS] = {0}, total = 0;
    for (int n = 0; n < DRAWS; n++) {
        char request[24];
        snprintf(request, sizeof request, "r%d", n);
        const double all =
            mtf_explore_normal(policy, seed, request, sigma, baseline, action, lower, upper);
        /* the others' parts, round 0, taken off again */
        double rest = 0;
        const double inside = erf(1 / (sigma * sqrt(2)));
        for (int d = 1; d < 4; d++)
            rest += -log(sigma * sqrt(2 * 3.14159265358979) * inside) -
                    0.5 * pow((double)action[d] / sigma, 2);
        for (int d = 0; d < 4; d++) assert_true(action[d] >= -1 && action[d] <= 1);
        const int bin = (int)fmin(BINS - 1, (action[0] + 1.0) / 2 * BINS);
        counts[bin]++;
        density[bin] += exp(all - rest);
    }
    for (int b = 0; b < BINS; b++) {
        if (counts[b] < 100) continue;
        const double expected = density[b] / counts[b] * 2 / BINS;
        mtf_assert_close(counts[b] / (double)DRAWS, expected, 0.02, 6 * sqrt(expected / DRAWS));
        total += expected;
    }
    mtf_assert_close(total, 1, 0.02, 0);
    assert_true(lower[1] == -1 && upper[1] == 1 && upper[0] <= 0.2F);
    mtf_policy_free(policy);
}

static void an_operators_stop_and_no_sigma_stop_exploration(void **state)
{
    (void)state;
    const float baseline[4] = {0.8F, -1, 1, 0}, nothing[4] = {0};
    float action[4], lower[4], upper[4];
    mtf_policy *stopped = served(7, 3, 0), *policy = served(7, 3, 0.1F);
    assert_true(mtf_explore(stopped, 1, "r", baseline, action, lower, upper) == 0);
    assert_memory_equal(action, baseline, sizeof action);
    assert_memory_equal(lower, nothing, sizeof lower);
    assert_true(mtf_explore_normal(stopped, 1, "r", 0.2F, baseline, action, lower, upper) == 0);
    assert_memory_equal(action, baseline, sizeof action);
    const float sigmas[] = {0, -1, NAN};
    for (int i = 0; i < 3; i++) {
        memset(action, 1, sizeof action);
        assert_true(mtf_explore_normal(policy, 1, "r", sigmas[i], baseline, action, lower, upper) ==
                    0);
        assert_memory_equal(action, baseline, sizeof action);
    }
    assert_true(
        isfinite(mtf_explore_normal(policy, 1, "r", INFINITY, baseline, action, lower, upper)));
    mtf_policy_free(stopped);
    mtf_policy_free(policy);
}

/* Formula 1 as printed, in logs only where the product would leave double's range. */
static double brute(const double *power, const double *bias, const float *predictions, uint32_t P)
{
    double score = 0;
    for (uint32_t p = 0; p < P; p++) {
        const double factor = predictions[p] + bias[p];
        score += power[p] * log(factor > 0 ? factor : 1e-9);
    }
    return score;
}

static mtf_policy *with_table(const char *actions)
{
    mtf_action_table table;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *policy;
    mtf_assert_ok(mtf_action_table_parse(&table, actions, &err), &err);
    const uint32_t widths[] = {2, table.count};
    mtf_policy *made = mtf_policy_new(widths, 1, &table);
    snprintf(made->info.name, sizeof made->info.name, "t");
    made->info.version = 1;
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err);
    mtf_assert_ok(mtf_policy_read(record.data, record.size, NULL, &policy, &err), &err);
    mtf_policy_free(made);
    mtf_buf_fini(&record);
    return policy;
}

static void fusion_is_formula_1_in_double(void **state)
{
    (void)state;
    enum { P = 3, N = 50 };
    const char *const tables[] = {"a.pow=0..2 b.pow=-1..1 c.pow=0..3 a.bias=0..0.5 c.bias=0..1",
                                  "a.pow=0..1e6 b.pow=-1e6..0 c.pow=1e5..1e7",
                                  "c.bias=0..1e-3 b.bias=0..0 a.bias=1..1"};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(8), 0);
    for (int t = 0; t < 3; t++) {
        mtf_policy *policy = with_table(tables[t]);
        const uint32_t A = mtf_policy_action_dim(policy);
        assert_int_equal(mtf_policy_prediction_count(policy), P);
        for (int n = 0; n < 200; n++) {
            float action[8], predictions[N * P], scores[N];
            double power[P], bias[P], expected[N];
            uint32_t best[N];
            for (uint32_t d = 0; d < A; d++)
                action[d] = n == 0 ? -1 : n == 1 ? 1 : (float)(2 * mtf_rng_uniform(&rng) - 1);
            for (int i = 0; i < N * P; i++)
                predictions[i] = mtf_rng_below(&rng, 5) ? (float)mtf_rng_uniform(&rng) : 0;
            memcpy(predictions + 4 * P, predictions + 9 * P, P * sizeof(float)); /* a tie */
            mtf_assert_ok(mtf_fuse(policy, action, predictions, N, scores, NULL), NULL);
            mtf_fusion_weights(policy, action, power, bias);
            for (int i = 0; i < N; i++) {
                expected[i] = brute(power, bias, predictions + i * P, P);
                mtf_assert_close(scores[i], expected[i], 1e-6, 1e-6);
            }
            mtf_top_k(scores, N, N, best);
            for (int i = 1; i < N; i++) { /* in the order of the exact scores, up to float's bits */
                const double worse = expected[best[i]], better = expected[best[i - 1]];
                assert_true(better >= worse - 2e-7 * fabs(worse) - 1e-7);
                assert_true(scores[best[i]] < scores[best[i - 1]] || best[i] > best[i - 1]);
            }
        }
        mtf_policy_free(policy);
    }
}

static void what_formula_1_does_not_take_is_refused_by_name(void **state)
{
    (void)state;
    mtf_policy *policy = with_table("watch.pow=0..2 like.pow=0..2");
    const float wrong[] = {-0.25F, NAN, INFINITY, -INFINITY, -FLT_MIN};
    float predictions[6] = {0.1F, 0.2F, 0, -0.0F, 0.5F, FLT_MAX}, scores[3] = {7, 7, 7};
    float action[2] = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_fuse(policy, action, predictions, 3, scores, &err), &err);
    mtf_assert_ok(mtf_fuse(policy, action, NULL, 0, NULL, &err), &err);
    assert_true(scores[1] == (float)(2 * log(1e-9)));
    for (int i = 0; i < 5; i++) {
        const float before[3] = {scores[0], scores[1], scores[2]};
        predictions[3] = wrong[i];
        assert_int_equal(mtf_fuse(policy, action, predictions, 3, scores, &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "item 1: prediction like"));
        assert_memory_equal(scores, before, sizeof before);
    }
    predictions[3] = 0;
    action[1] = 1.5F;
    assert_int_equal(mtf_fuse(policy, action, predictions, 3, scores, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "action[1] is 1.5"));
    action[1] = NAN;
    assert_int_equal(mtf_fuse(policy, action, predictions, 3, scores, NULL), MTF_INVALID);
    mtf_policy_free(policy);
}

static void the_version_is_the_headers(void **state)
{
    (void)state;
    char text[24];
    snprintf(text, sizeof text, "%d.%d.%d", MTF_VERSION_MAJOR, MTF_VERSION_MINOR,
             MTF_VERSION_PATCH);
    assert_string_equal(mtf_version(), text);
    assert_string_equal(mtf_version(), MTF_PROJECT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_says_who_it_is),
        cmocka_unit_test(no_byte_of_a_record_can_change),
        cmocka_unit_test(keys_ask_for_a_signature_of_theirs),
        cmocka_unit_test(an_action_for_each_item_is_none_for_all),
        cmocka_unit_test(acting_is_the_plain_forward_pass),
        cmocka_unit_test(box_exploration_is_uniform_and_its_density_the_histograms),
        cmocka_unit_test(gaussian_density_is_the_histograms),
        cmocka_unit_test(an_operators_stop_and_no_sigma_stop_exploration),
        cmocka_unit_test(fusion_is_formula_1_in_double),
        cmocka_unit_test(what_formula_1_does_not_take_is_refused_by_name),
        cmocka_unit_test(the_version_is_the_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
