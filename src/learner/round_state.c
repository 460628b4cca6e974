#include "learner/round_state.h"

#include <stdlib.h>

#include "core/hash.h"

#define BLOB   "round"
#define FORMAT 2

void mtf_round_state_fini(mtf_round_state *state)
{
    free(state->cut);
    mtf_buf_fini(&state->record);
    *state = (mtf_round_state){0};
}

mtf_status mtf_round_state_cut(mtf_round_state *state, const mtf_store *store, mtf_err *err)
{
    size_t count;
    const mtf_store_position *positions = mtf_store_positions(store, &count);
    mtf_store_position *cut = malloc((count + 1) * sizeof *cut);
    if (!cut) return mtf_fail(err, MTF_NOMEM, "no memory for a round's cut");
    if (count) memcpy(cut, positions, count * sizeof *cut);
    free(state->cut);
    state->cut = cut;
    state->cut_count = (uint32_t)count;
    return MTF_OK;
}

void mtf_round_state_encode(const mtf_round_state *state, mtf_buf *out)
{
    const size_t start = out->size;
    mtf_buf_put_u8(out, FORMAT);
    mtf_buf_put_u8(out, (uint8_t)state->phase);
    mtf_buf_put_u8(out, state->cold);
    mtf_buf_put_u8(out, state->servable);
    mtf_buf_put_u64_le(out, (uint64_t)state->round);
    mtf_buf_put_u64_le(out, (uint64_t)state->parent);
    mtf_buf_put_u64_le(out, (uint64_t)state->version);
    mtf_buf_put_u64_le(out, (uint64_t)state->sessions);
    mtf_buf_put(out, state->parent_checkpoint, sizeof state->parent_checkpoint);
    mtf_buf_put_u32_le(out, state->cut_count);
    for (uint32_t i = 0; i < state->cut_count; i++) {
        mtf_buf_put_u32_le(out, (uint32_t)state->cut[i].partition);
        mtf_buf_put_u64_le(out, (uint64_t)state->cut[i].next);
    }
    mtf_buf_put(out, state->record.data, state->record.size);
    if (!out->failed) mtf_buf_put_u64_le(out, mtf_hash64(out->data + start, out->size - start));
}

mtf_status mtf_round_state_save(const mtf_round_state *state, mtf_store *store, mtf_err *err)
{
    mtf_buf out = {0};
    mtf_round_state_encode(state, &out);
    const mtf_status status = out.failed
                                  ? mtf_fail(err, MTF_NOMEM, "no memory for the round's state")
                                  : mtf_store_put_blob(store, BLOB, mtf_buf_span(&out), err);
    mtf_buf_fini(&out);
    return status;
}

/** The bytes end with the XXH3-64 of all before. */
static bool read_state(mtf_round_state *state, mtf_span bytes)
{
    if (bytes.size < 8) return false;
    bytes.size -= 8;
    mtf_reader sum = mtf_reader_of((mtf_span){bytes.data + bytes.size, 8}),
               body = mtf_reader_of(bytes);
    mtf_reader *in = &body;
    if (mtf_reader_u64_le(&sum) != mtf_hash64(bytes.data, bytes.size)) return false;
    const uint8_t format = mtf_reader_u8(in), phase = mtf_reader_u8(in);
    state->phase = (mtf_round_phase)phase;
    state->cold = mtf_reader_u8(in);
    state->servable = mtf_reader_u8(in);
    state->round = (int64_t)mtf_reader_u64_le(in);
    state->parent = (int64_t)mtf_reader_u64_le(in);
    state->version = (int64_t)mtf_reader_u64_le(in);
    state->sessions = (int64_t)mtf_reader_u64_le(in);
    const uint8_t *id = mtf_reader_take(in, sizeof state->parent_checkpoint);
    const uint32_t count = mtf_reader_u32_le(in);
    if (in->failed || format != FORMAT || phase > MTF_ROUND_PUBLISHED ||
        id[sizeof state->parent_checkpoint - 1] || count > mtf_reader_left(in) / 12)
        return false;
    memcpy(state->parent_checkpoint, id, sizeof state->parent_checkpoint);
    state->cut = calloc(count + 1, sizeof *state->cut);
    if (!state->cut) return false;
    state->cut_count = count;
    for (uint32_t i = 0; i < count; i++) {
        state->cut[i].partition = (int32_t)mtf_reader_u32_le(in);
        state->cut[i].next = (int64_t)mtf_reader_u64_le(in);
    }
    mtf_buf_put(&state->record, in->at, mtf_reader_left(in));
    return !state->record.failed;
}

bool mtf_round_state_decode(mtf_round_state *state, mtf_span bytes)
{
    *state = (mtf_round_state){0};
    if (read_state(state, bytes)) return true;
    mtf_round_state_fini(state);
    return false;
}

mtf_status mtf_round_state_load(mtf_round_state *state, mtf_store *store, mtf_err *err)
{
    mtf_buf bytes = {0};
    *state = (mtf_round_state){0};
    mtf_status status = mtf_store_get_blob(store, BLOB, &bytes, err);
    if (status == MTF_OK) {
        if (!mtf_round_state_decode(state, mtf_buf_span(&bytes))) {
            status = mtf_fail(err, MTF_CORRUPT,
                              "store %.90s: the state of its rounds is damaged: " MTF_STORE_REMEDY,
                              mtf_store_path(store));
        }
    } else if (status == MTF_SKIP) {
        status = MTF_OK;
    }
    mtf_buf_fini(&bytes);
    return status;
}
