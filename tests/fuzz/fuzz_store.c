/** Any bytes as what the learner's store holds: the first byte says which. What decodes encodes
 *  again, and that decodes to the same. */
#include "core/hash.h"
#include "fuzz/fuzz.h"
#include "learner/round_state.h"
#include "learner/store_meta.h"
#include "learner/transition.h"

/** As it is, and with the checksum that it should have. */
static void round_state(mtf_span bytes)
{
    mtf_round_state state;
    mtf_buf summed = {0}, once = {0}, twice = {0};
    if (mtf_round_state_decode(&state, bytes)) mtf_round_state_fini(&state);
    mtf_buf_put(&summed, bytes.data, bytes.size);
    mtf_buf_put_u64_le(&summed, mtf_hash64(bytes.data, bytes.size));
    if (mtf_round_state_decode(&state, mtf_buf_span(&summed))) {
        mtf_round_state_encode(&state, &once);
        MTF_ASSERT(once.size == summed.size);
        mtf_round_state_fini(&state);
        MTF_ASSERT(mtf_round_state_decode(&state, mtf_buf_span(&once)));
        mtf_round_state_encode(&state, &twice);
        fuzz_same(&once, &twice);
        mtf_round_state_fini(&state);
    }
    mtf_buf_fini(&summed);
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
}

static void row(mtf_span bytes)
{
    const mtf_row_shape shape = {2, 1, 1, 1, 0, 0};
    mtf_row_header header;
    mtf_row made = {0};
    mtf_buf once = {0}, twice = {0};
    const bool peeked = mtf_row_peek(bytes, &header, NULL) == MTF_OK;
    if (mtf_row_decode(&shape, bytes, &made, NULL) == MTF_OK) {
        MTF_ASSERT(peeked && header.items == made.h.items);
        mtf_row_encode(&shape, &made, &once);
        MTF_ASSERT(header.followed || once.size == bytes.size);
        MTF_ASSERT(mtf_row_decode(&shape, mtf_buf_span(&once), &made, NULL) == MTF_OK);
        mtf_row_encode(&shape, &made, &twice);
        fuzz_same(&once, &twice);
    }
    mtf_row_fini(&made);
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
}

/** What a store's entry hands out as a row's bytes decodes, and nothing lies outside of it. */
static void entry(mtf_span bytes)
{
    const mtf_row_shape shape = {2, 1, 1, 1, 0, 0};
    mtf_row made = {0};
    mtf_span one;
    size_t at = 0;
    while (mtf_entry_next(&shape, bytes, &at, &one, NULL) == MTF_OK)
        MTF_ASSERT(mtf_row_decode(&shape, one, &made, NULL) == MTF_OK);
    MTF_ASSERT(at <= bytes.size);
    mtf_row_fini(&made);
}

/** Keys and values of the meta family; a key's length is the first byte. */
static void meta(int kind, mtf_span bytes)
{
    mtf_reader in = mtf_reader_of(bytes);
    const size_t key_size = mtf_reader_u8(&in);
    const uint8_t *start = mtf_reader_take(&in, key_size);
    if (!start) return;
    const mtf_span key = {start, key_size}, value = {in.at, mtf_reader_left(&in)};
    mtf_store_position position;
    mtf_store_count count;
    mtf_store_day day;
    mtf_store_totals totals;
    mtf_buf key_out = {0}, value_out = {0};
    if (kind == 2 && mtf_store_position_decode(key, value, &position)) {
        mtf_store_position_encode(&position, &key_out, &value_out);
        MTF_ASSERT(
            mtf_store_position_decode(mtf_buf_span(&key_out), mtf_buf_span(&value_out), &position));
    }
    if (kind == 3 && mtf_store_count_decode(key, value, &count)) {
        mtf_store_count_encode(&count, &key_out, &value_out);
        MTF_ASSERT(
            mtf_store_count_decode(mtf_buf_span(&key_out), mtf_buf_span(&value_out), &count));
    }
    if (kind == 4 && mtf_store_day_decode(key, value, &day)) {
        mtf_store_day_encode(&day, &key_out, &value_out);
        MTF_ASSERT(mtf_store_day_decode(mtf_buf_span(&key_out), mtf_buf_span(&value_out), &day));
    }
    if (kind == 5 && mtf_store_totals_decode(value, &totals)) {
        mtf_store_totals_encode(&totals, &value_out);
        MTF_ASSERT(mtf_store_totals_decode(mtf_buf_span(&value_out), &totals));
    }
    mtf_buf_fini(&key_out);
    mtf_buf_fini(&value_out);
}

static void identity(mtf_span bytes)
{
    mtf_row_shape shape;
    mtf_err err = {0};
    char *text = fuzz_text(bytes.data, bytes.size);
    MTF_ASSERT(mtf_store_identity_shape(text, &shape, &err) == MTF_OK || err.msg[0] != '\0');
    MTF_ASSERT(mtf_store_identity_check("store", text, text, NULL) == MTF_OK);
    MTF_ASSERT(mtf_store_identity_check("store", text, "state_dim: 64\n", &err) == MTF_OK ||
               err.msg[0] != '\0');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const int kind = data[0] % 7;
    const mtf_span bytes = {data + 1, size - 1};
    if (kind == 0) round_state(bytes);
    if (kind == 1) row(bytes);
    if (kind == 1) entry(bytes);
    if (kind >= 2 && kind <= 5) meta(kind, bytes);
    if (kind == 6) identity(bytes);
    return 0;
}
