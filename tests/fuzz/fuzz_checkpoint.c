/** Any bytes as a checkpoint, as they are and with the checksum that they should have; then its
 *  algorithm's part, and the bytes themselves, into two learners. What a learner takes it saves
 * again, and takes that. */
#include "core/hash.h"
#include "fuzz/fuzz.h"
#include "fuzz/fuzz_checkpoint.h"
#include "learner/checkpoint.h"

static void load_one(const mtf_algorithm_ops *ops, mtf_algorithm **algorithm, mtf_span saved)
{
    const mtf_algorithm_config config = fuzz_learner();
    mtf_buf once = {0}, twice = {0};
    mtf_err err = {0};
    if (!*algorithm) MTF_ASSERT(ops->open(&config, algorithm, NULL) == MTF_OK);
    if (ops->load(*algorithm, saved, &err) == MTF_OK) {
        ops->save(*algorithm, &once);
        MTF_ASSERT(ops->load(*algorithm, mtf_buf_span(&once), NULL) == MTF_OK);
        ops->save(*algorithm, &twice);
        fuzz_same(&once, &twice);
    } else {
        MTF_ASSERT(err.msg[0] != '\0');
    }
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
}

/** Of those to compare with, the one that keeps all kinds of things in its checkpoint. */
static void load(mtf_span saved)
{
    static mtf_algorithm *integrated, *iql; /* libFuzzer gives a target no other place to keep it */
    load_one(mtf_algorithm_find("integrated"), &integrated, saved);
    load_one(mtf_algorithm_find("iql"), &iql, saved);
}

static void decode(mtf_span bytes)
{
    mtf_checkpoint checkpoint;
    mtf_err err = {0};
    if (mtf_checkpoint_decode(&checkpoint, bytes, &err) == MTF_OK)
        load(mtf_buf_span(&checkpoint.algorithm));
    else
        MTF_ASSERT(err.msg[0] != '\0');
    mtf_checkpoint_fini(&checkpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sum[16];
    mtf_buf summed = {0};
    const mtf_str all = {(const char *)data, (uint32_t)size};
    decode((mtf_span){data, size});
    mtf_hash128(sum, &all, 1);
    mtf_buf_put(&summed, data, size);
    mtf_buf_put(&summed, sum, sizeof sum);
    decode(mtf_buf_span(&summed));
    load((mtf_span){data, size});
    mtf_buf_fini(&summed);
    return 0;
}
