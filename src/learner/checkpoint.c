#include "learner/checkpoint.h"

#include "core/fault.h"
#include "core/file.h"
#include "core/hash.h"

#define MAGIC     "MTFCKPT1"
#define BYTES_MAX ((size_t)1 << 31)
#define SUM_BYTES 16

static void put_f64(mtf_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    mtf_buf_put_u64_le(out, bits);
}

static double get_f64(mtf_reader *in)
{
    const uint64_t bits = mtf_reader_u64_le(in);
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

void mtf_checkpoint_fini(mtf_checkpoint *checkpoint)
{
    mtf_normaliser_fini(&checkpoint->normaliser);
    mtf_buf_fini(&checkpoint->algorithm);
    *checkpoint = (mtf_checkpoint){0};
}

// clang-format off
#define HEALTH_MAP(X) X(q_abs_max) X(spread) X(phi) X(outside) X(critic_loss) X(actor_loss) X(q_mean)
// clang-format on

static void sum_of(const uint8_t *data, size_t size, uint8_t sum[SUM_BYTES])
{
    const mtf_str part = {(const char *)data, (uint32_t)size};
    mtf_hash128(sum, &part, 1);
}

/** Beside the old one, then in its place. */
static mtf_status write_file(const char *path, mtf_span content, mtf_err *err)
{
    mtf_err why = {0};
    mtf_buf fresh = {0};
    mtf_buf_printf(&fresh, "%s.tmp", path);
    mtf_status status = fresh.failed ? mtf_fail(&why, MTF_NOMEM, "checkpoint %s: no memory", path)
                                     : mtf_file_write_beside(path, content, &why);
    mtf_fault_point("learn.checkpoint");
    if (status == MTF_OK) status = mtf_file_move((const char *)fresh.data, path, &why);
    if (status)
        mtf_fail(err, status,
                 "checkpoint: %.250s: free space on that disk, then start again: the round goes on "
                 "from the last one",
                 why.msg);
    mtf_buf_fini(&fresh);
    return status;
}

mtf_status mtf_checkpoint_save(mtf_checkpoint *checkpoint, const char *path, mtf_err *err)
{
    mtf_buf out = {0};
    const mtf_normaliser *normaliser = &checkpoint->normaliser;
    mtf_buf_put(&out, MAGIC, sizeof MAGIC - 1);
    mtf_buf_put_u64_le(&out, checkpoint->settings);
    mtf_buf_put_u64_le(&out, (uint64_t)checkpoint->round);
    mtf_buf_put_u64_le(&out, (uint64_t)checkpoint->parent);
    mtf_buf_put_u64_le(&out, checkpoint->step);
    mtf_buf_put_u64_le(&out, checkpoint->steps);
    put_f64(&out, checkpoint->reward_scale);
#define X(name) put_f64(&out, checkpoint->health.name);
    HEALTH_MAP(X)
#undef X
    mtf_buf_put_u8(&out, checkpoint->health.finite);
    mtf_buf_put_u32_le(&out, normaliser->state_dim);
    mtf_buf_put_f32_le(&out, normaliser->mean, normaliser->state_dim);
    mtf_buf_put_f32_le(&out, normaliser->deviation, normaliser->state_dim);
    mtf_buf_put_u64_le(&out, checkpoint->algorithm.size);
    mtf_buf_put(&out, checkpoint->algorithm.data, checkpoint->algorithm.size);
    mtf_status status = MTF_OK;
    if (out.failed || checkpoint->algorithm.failed || out.size > BYTES_MAX - SUM_BYTES) {
        status = mtf_fail(err, MTF_NOMEM, "checkpoint %s: out of memory, or above 2 GiB", path);
        goto done;
    }
    uint8_t sum[SUM_BYTES];
    sum_of(out.data, out.size, sum);
    mtf_buf_put(&out, sum, SUM_BYTES);
    if (out.failed) {
        status = mtf_fail(err, MTF_NOMEM, "checkpoint %s: out of memory", path);
        goto done;
    }
    status = write_file(path, mtf_buf_span(&out), err);
    mtf_hex(checkpoint->id, sum, SUM_BYTES);
done:
    mtf_buf_fini(&out);
    return status;
}

static mtf_status read_body(mtf_checkpoint *checkpoint, mtf_reader *in, mtf_err *err)
{
    mtf_reader_take(in, sizeof MAGIC - 1);
    checkpoint->settings = mtf_reader_u64_le(in);
    checkpoint->round = (int64_t)mtf_reader_u64_le(in);
    checkpoint->parent = (int64_t)mtf_reader_u64_le(in);
    checkpoint->step = mtf_reader_u64_le(in);
    checkpoint->steps = mtf_reader_u64_le(in);
    checkpoint->reward_scale = get_f64(in);
#define X(name) checkpoint->health.name = get_f64(in);
    HEALTH_MAP(X)
#undef X
    checkpoint->health.finite = mtf_reader_u8(in);
    const uint32_t state_dim = mtf_reader_u32_le(in);
    if (in->failed || state_dim > mtf_reader_left(in) / 8)
        return mtf_fail(err, MTF_CORRUPT, "its normaliser does not fit");
    const mtf_status status = mtf_normaliser_init(&checkpoint->normaliser, state_dim, err);
    if (status) return status;
    mtf_reader_f32_le(in, checkpoint->normaliser.mean, state_dim);
    mtf_reader_f32_le(in, checkpoint->normaliser.deviation, state_dim);
    const uint64_t size = mtf_reader_u64_le(in);
    if (in->failed || size != mtf_reader_left(in))
        return mtf_fail(err, MTF_CORRUPT, "its length is wrong");
    mtf_buf_put(&checkpoint->algorithm, in->at, size);
    if (checkpoint->algorithm.failed) return mtf_fail(err, MTF_NOMEM, "out of memory");
    return MTF_OK;
}

mtf_status mtf_checkpoint_decode(mtf_checkpoint *checkpoint, mtf_span bytes, mtf_err *err)
{
    uint8_t sum[SUM_BYTES];
    *checkpoint = (mtf_checkpoint){0};
    if (bytes.size < sizeof MAGIC - 1 + SUM_BYTES ||
        memcmp(bytes.data, MAGIC, sizeof MAGIC - 1) != 0)
        return mtf_fail(err, MTF_CORRUPT, "it is no checkpoint");
    const size_t body = bytes.size - SUM_BYTES;
    sum_of(bytes.data, body, sum);
    if (memcmp(sum, bytes.data + body, SUM_BYTES) != 0)
        return mtf_fail(err, MTF_CORRUPT, "its checksum is wrong");
    mtf_reader in = mtf_reader_of((mtf_span){bytes.data, body});
    const mtf_status status = read_body(checkpoint, &in, err);
    if (status)
        mtf_checkpoint_fini(checkpoint);
    else
        mtf_hex(checkpoint->id, sum, SUM_BYTES);
    return status;
}

mtf_status mtf_checkpoint_load(mtf_checkpoint *checkpoint, const char *path, mtf_err *err)
{
    mtf_buf file = {0};
    mtf_err why = {0};
    *checkpoint = (mtf_checkpoint){0};
    mtf_status status = mtf_file_read(path, BYTES_MAX, &file, err);
    if (status == MTF_OK) {
        status = mtf_checkpoint_decode(checkpoint, mtf_buf_span(&file), &why);
        if (status) mtf_fail(err, status, "checkpoint %s: %s", path, why.msg);
    } else if (status == MTF_INVALID) {
        status = mtf_fail(err, MTF_SKIP, "there is no checkpoint %s", path);
    }
    mtf_buf_fini(&file);
    return status;
}
