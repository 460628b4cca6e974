/** A checkpoint comes back bit for bit, and a damaged one never does. By flipping every byte and by
 *  cutting at every length. */
#include "learner/checkpoint.h"

#include "support/mtf_test.h"

static void make(mtf_checkpoint *checkpoint)
{
    mtf_err err = {0};
    *checkpoint = (mtf_checkpoint){
        .settings = 42,
        .round = 3,
        .parent = 7,
        .step = 100,
        .steps = 300,
        .reward_scale = 1.5,
        .health = {.q_abs_max = 9, .spread = 0.25, .phi = 0.75, .finite = true},
    };
    mtf_assert_ok(mtf_normaliser_init(&checkpoint->normaliser, 2, &err), &err);
    checkpoint->normaliser.mean[1] = -3;
    checkpoint->normaliser.deviation[0] = 0.1f;
    mtf_buf_put(&checkpoint->algorithm, "weights", 7);
}

static void it_comes_back_as_it_was(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[MTF_TEST_PATH + 8];
    mtf_checkpoint saved, back;
    mtf_err err = {0};
    mtf_test_folder(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    make(&saved);
    mtf_assert_ok(mtf_checkpoint_save(&saved, path, &err), &err);
    mtf_assert_ok(mtf_checkpoint_load(&back, path, &err), &err);
    assert_true(back.settings == 42 && back.round == 3 && back.parent == 7);
    assert_true(back.step == 100 && back.steps == 300 && back.reward_scale == 1.5);
    assert_true(back.health.q_abs_max == 9 && back.health.spread == 0.25 && back.health.finite);
    assert_true(back.normaliser.mean[1] == -3 && back.normaliser.deviation[0] == 0.1f);
    assert_int_equal(back.algorithm.size, 7);
    assert_memory_equal(back.algorithm.data, "weights", 7);
    assert_string_equal(back.id, saved.id);
    assert_int_equal(strlen(back.id), 32);
    mtf_checkpoint_fini(&saved);
    mtf_checkpoint_fini(&back);
    mtf_test_folder_remove(folder);
}

static void damage_is_seen(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[MTF_TEST_PATH + 8];
    mtf_checkpoint saved, back;
    mtf_err err = {0};
    mtf_buf file = {0};
    mtf_test_folder(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(mtf_checkpoint_load(&back, path, &err), MTF_SKIP);
    make(&saved);
    mtf_assert_ok(mtf_checkpoint_save(&saved, path, &err), &err);
    mtf_assert_ok(mtf_file_read(path, 1 << 20, &file, &err), &err);
    for (size_t i = 0; i < 2 * file.size; i++) {
        mtf_span damaged = mtf_buf_span(&file);
        const bool flip = i < file.size;
        if (flip)
            file.data[i] ^= 4;
        else
            damaged.size = i - file.size;
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(damaged.data, 1, damaged.size, out), damaged.size);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(mtf_checkpoint_load(&back, path, &err), MTF_CORRUPT);
        assert_null(back.algorithm.data);
        if (flip) file.data[i] ^= 4;
    }
    mtf_buf_fini(&file);
    mtf_checkpoint_fini(&saved);
    mtf_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back_as_it_was),
        cmocka_unit_test(damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
