#include "learner/transition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define FORMAT    1
#define DONE      1u
#define TRUNCATED 2u
#define FOLLOWED  4u

#define HEADER_BYTES ((size_t)72)
#define FLAGS_AT     1

void mtf_row_fini(mtf_row *row)
{
    free(row->block);
    *row = (mtf_row){0};
}

static bool has_next(const mtf_row_header *h)
{
    return !h->done && !h->truncated;
}

/** Points the row's blocks into one of enough floats. */
static mtf_status lay_out(const mtf_row_shape *shape, mtf_row *row, mtf_err *err)
{
    const size_t S = shape->state_dim, A = shape->action_dim, items = row->h.items;
    const size_t need = 2 * S + 7 * A + items * (shape->prediction_count + shape->signal_count);
    if (need > row->block_count) {
        float *block = realloc(row->block, need * sizeof *block);
        if (!block)
            return mtf_fail(err, MTF_NOMEM, "no memory for a transition of %zu floats", need);
        row->block = block;
        row->block_count = need;
    }
    row->s = row->block, row->s2 = row->s + S;
    row->a = row->s2 + S, row->bp = row->a + A, row->lower = row->bp + A,
    row->upper = row->lower + A;
    row->bp2 = row->upper + A, row->lower2 = row->bp2 + A, row->upper2 = row->lower2 + A;
    row->predictions = row->upper2 + A;
    row->signals = row->predictions + items * shape->prediction_count;
    return MTF_OK;
}

mtf_row_shape mtf_row_shape_of(uint32_t user_dim, uint32_t action_dim, uint32_t prediction_count,
                               uint32_t signal_count, uint32_t list, uint32_t feature_count)
{
    mtf_row_shape shape = {user_dim, action_dim, prediction_count, signal_count, list, 0};
    if (list == 0) return shape;
    shape.feature_count = feature_count;
    shape.state_dim += list * (1 + feature_count + prediction_count);
    shape.action_dim *= list;
    return shape;
}

uint32_t mtf_row_item_dim(const mtf_row_shape *shape)
{
    return shape->list ? shape->feature_count + shape->prediction_count : 0;
}

uint32_t mtf_row_user_dim(const mtf_row_shape *shape)
{
    return shape->state_dim - shape->list * (1 + mtf_row_item_dim(shape));
}

uint32_t mtf_row_item_actions(const mtf_row_shape *shape)
{
    return shape->list ? shape->action_dim / shape->list : shape->action_dim;
}

static bool floats_fit(mtf_floats floats, uint32_t count, bool or_empty)
{
    return floats.count == count || (or_empty && floats.count == 0);
}

/** The name of what is wrong with the items of a list, or NULL. */
static const char *items_misfit(const mtf_row_shape *shape, const mtf_request *request)
{
    const uint32_t most = shape->list ? shape->list : MTF_ROW_ITEMS_MAX;
    if (request->item_count > most)
        return shape->list ? "items (more than policy.list)" : "items (more than 10,000)";
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        if (!floats_fit(item->predictions, shape->prediction_count, false))
            return "predictions (policy.actions)";
        if (shape->list && !floats_fit(item->features, shape->feature_count, false))
            return "features (policy.item_features)";
    }
    return NULL;
}

/** The name of the first field of a step that has other dimensions, or NULL. */
static const char *misfit(const mtf_row_shape *shape, const mtf_request *request)
{
    const uint32_t A = mtf_row_item_actions(shape), given = request->action.count;
    const bool per_item = shape->list && given == A * request->item_count;
    if (!floats_fit(request->state, mtf_row_user_dim(shape), false))
        return "state (policy.state_dim)";
    if (given != A && !per_item)
        return shape->list ? "action (policy.actions, once or for each item)"
                           : "action (policy.actions)";
    if (!floats_fit(request->baseline_action, given, false))
        return "baseline_action (policy.actions)";
    if (!floats_fit(request->lower, given, true)) return "lower";
    if (!floats_fit(request->upper, given, true) || request->lower.count != request->upper.count)
        return "upper";
    return items_misfit(shape, request);
}

mtf_status mtf_session_fits(const mtf_row_shape *shape, const mtf_session *session, mtf_err *err)
{
    if (session->step_count == 0) return mtf_fail(err, MTF_SKIP, "invalid: a session of no steps");
    for (uint32_t i = 0; i < session->step_count; i++) {
        const char *field = misfit(shape, &session->steps[i].request);
        if (field)
            return mtf_fail(err, MTF_SKIP,
                            "schema: step %u: %s has other dimensions than the settings", i, field);
        if (session->steps[i].time_ms < 0)
            return mtf_fail(err, MTF_SKIP, "invalid: step %u is before 1970", i);
    }
    return MTF_OK;
}

/** | user | masks | items | of a request, or the state alone where there are no lists. */
static void copy_state(const mtf_row_shape *shape, const mtf_request *request, float *s)
{
    const size_t S = request->state.count, F = shape->feature_count, D = mtf_row_item_dim(shape);
    memset(s, 0, shape->state_dim * sizeof *s);
    memcpy(s, request->state.data, S * sizeof *s);
    for (uint32_t i = 0; i < request->item_count && shape->list; i++) {
        const mtf_item *item = &request->items[i];
        float *at = s + S + shape->list + i * D;
        s[S + i] = 1;
        if (F) memcpy(at, item->features.data, F * sizeof *at);
        memcpy(at + F, item->predictions.data, (D - F) * sizeof *at);
    }
}

/** Actions of a request as a row has them: those of each item, zeros where there is none. */
static void copy_actions(const mtf_row_shape *shape, const mtf_request *request, mtf_floats given,
                         float *out)
{
    const size_t A = mtf_row_item_actions(shape);
    const bool one = given.count == A; /* for all */
    if (shape->list == 0) {
        memcpy(out, given.data, A * sizeof *out);
        return;
    }
    memset(out, 0, shape->action_dim * sizeof *out);
    for (uint32_t i = 0; i < request->item_count; i++)
        memcpy(out + i * A, given.data + (one ? 0 : i * A), A * sizeof *out);
}

/** What one step knows of state, baseline and box; the logged box or the configured one. */
static void copy_side(const mtf_row_shape *shape, double half_width, const mtf_request *request,
                      float *s, float *bp, float *lower, float *upper)
{
    const uint32_t there =
        shape->list ? request->item_count * mtf_row_item_actions(shape) : shape->action_dim;
    copy_state(shape, request, s);
    copy_actions(shape, request, request->baseline_action, bp);
    if (request->lower.count) {
        copy_actions(shape, request, request->lower, lower);
        copy_actions(shape, request, request->upper, upper);
        return;
    }
    const float h = (float)half_width;
    memset(lower, 0, shape->action_dim * sizeof *lower);
    memset(upper, 0, shape->action_dim * sizeof *upper);
    for (uint32_t d = 0; d < there; d++) {
        lower[d] = fminf(0, fmaxf(-h, -1 - bp[d]));
        upper[d] = fmaxf(0, fminf(h, 1 - bp[d]));
    }
}

/** Does the session truly end with its last step? */
static bool ends_truly(const mtf_session *session)
{
    return !session->truncated_tail && session->end_reason != MTF_END_CAP &&
           session->part + 1 >= session->parts;
}

mtf_status mtf_row_make(const mtf_row_shape *shape, const mtf_reward *reward, double half_width,
                        const mtf_session *session, uint32_t index, int32_t partition,
                        int64_t offset, mtf_row *row, mtf_err *err)
{
    const mtf_step *step = &session->steps[index];
    const mtf_request *request = &step->request;
    const bool last = index + 1 == session->step_count;
    row->h = (mtf_row_header){
        .done = last && ends_truly(session),
        .truncated = last && !ends_truly(session),
        .bucket = request->bucket,
        .part = session->part,
        .step = index,
        .items = request->item_count,
        .user = mtf_row_user(session->user_id),
        .version = request->policy_version,
        .time_ms = step->time_ms,
        .offset = offset,
        .partition = partition,
        .weight = request->sample_weight,
    };
    memcpy(row->h.session_id, session->session_id, 16);
    const mtf_status status = lay_out(shape, row, err);
    if (status) return status;

    copy_side(shape, half_width, request, row->s, row->bp, row->lower, row->upper);
    copy_actions(shape, request, request->action, row->a);
    if (last) {
        memset(row->s2, 0, shape->state_dim * sizeof *row->s2);
        memset(row->bp2, 0, 3 * shape->action_dim * sizeof *row->bp2);
    } else {
        copy_side(shape, half_width, &session->steps[index + 1].request, row->s2, row->bp2,
                  row->lower2, row->upper2);
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        const mtf_item *item = &request->items[i];
        memcpy(row->predictions + (size_t)i * shape->prediction_count, item->predictions.data,
               shape->prediction_count * sizeof *row->predictions);
        mtf_reward_signals(reward, &item->signals, row->signals + (size_t)i * shape->signal_count);
    }
    return MTF_OK;
}

uint64_t mtf_row_user(mtf_str user_id)
{
    return mtf_hash64(user_id.data, user_id.size);
}

void mtf_row_key(const mtf_session *session, uint32_t index, uint8_t key[MTF_ROW_KEY_BYTES])
{
    uint8_t name[24];
    memcpy(name, session->session_id, 16);
    mtf_store_u32_le(name + 16, session->part);
    mtf_store_u32_le(name + 20, index);
    mtf_store_u32_be(key, (uint32_t)(session->steps[index].time_ms / MTF_DAY_MS));
    mtf_store_u64_be(key + 4, mtf_hash64(name, sizeof name));
}

void mtf_row_encode(const mtf_row_shape *shape, const mtf_row *row, mtf_buf *out)
{
    const mtf_row_header *h = &row->h;
    const size_t S = shape->state_dim, A = shape->action_dim;
    mtf_buf_put_u8(out, FORMAT);
    mtf_buf_put_u8(out, (uint8_t)((h->done ? DONE : 0) | (h->truncated ? TRUNCATED : 0)));
    mtf_buf_put_u8(out, (uint8_t)h->bucket);
    mtf_buf_put_u8(out, 0);
    mtf_buf_put_u32_le(out, h->part);
    mtf_buf_put_u32_le(out, h->step);
    mtf_buf_put_u32_le(out, h->items);
    mtf_buf_put_u64_le(out, h->user);
    mtf_buf_put_u64_le(out, (uint64_t)h->version);
    mtf_buf_put_u64_le(out, (uint64_t)h->time_ms);
    mtf_buf_put_u64_le(out, (uint64_t)h->offset);
    mtf_buf_put_u32_le(out, (uint32_t)h->partition);
    mtf_buf_put_f32_le(out, &h->weight, 1);
    mtf_buf_put(out, h->session_id, 16);
    mtf_buf_put_f32_le(out, row->s, S);
    mtf_buf_put_f32_le(out, row->a, 4 * A); /* a, bp, lower, upper lie side by side */
    if (has_next(h)) {
        mtf_buf_put_f32_le(out, row->s2, S);
        mtf_buf_put_f32_le(out, row->bp2, 3 * A);
    }
    mtf_buf_put_f32_le(out, row->predictions, (size_t)h->items * shape->prediction_count);
    mtf_buf_put_f32_le(out, row->signals, (size_t)h->items * shape->signal_count);
}

static mtf_status read_header(mtf_reader *in, mtf_row_header *h, mtf_err *err)
{
    const uint8_t *at = mtf_reader_take(in, HEADER_BYTES);
    if (!at) return mtf_fail(err, MTF_CORRUPT, "a stored transition is shorter than its header");
    *h = (mtf_row_header){
        .done = at[FLAGS_AT] & DONE,
        .truncated = at[FLAGS_AT] & TRUNCATED,
        .followed = at[FLAGS_AT] & FOLLOWED,
        .bucket = (mtf_bucket)at[2],
        .part = mtf_load_u32_le(at + 4),
        .step = mtf_load_u32_le(at + 8),
        .items = mtf_load_u32_le(at + 12),
        .user = mtf_load_u64_le(at + 16),
        .version = (int64_t)mtf_load_u64_le(at + 24),
        .time_ms = (int64_t)mtf_load_u64_le(at + 32),
        .offset = (int64_t)mtf_load_u64_le(at + 40),
        .partition = (int32_t)mtf_load_u32_le(at + 48),
    };
    mtf_load_f32_le(&h->weight, at + 52, 1);
    memcpy(h->session_id, at + 56, 16);
    if (at[0] != FORMAT || h->bucket > MTF_BUCKET_CONTROL || h->items > MTF_ROW_ITEMS_MAX ||
        (h->followed && !has_next(h)))
        return mtf_fail(err, MTF_CORRUPT, "a stored transition has no valid header (format %u)",
                        at[0]);
    return MTF_OK;
}

mtf_status mtf_row_peek(mtf_span value, mtf_row_header *header, mtf_err *err)
{
    mtf_reader in = mtf_reader_of(value);
    return read_header(&in, header, err);
}

mtf_status mtf_row_decode(const mtf_row_shape *shape, mtf_span value, mtf_row *row, mtf_err *err)
{
    mtf_reader in = mtf_reader_of(value);
    mtf_status status = read_header(&in, &row->h, err);
    if (status == MTF_OK) status = lay_out(shape, row, err);
    if (status) return status;
    const size_t S = shape->state_dim, A = shape->action_dim, N = row->h.items;
    mtf_reader_f32_le(&in, row->s, S);
    mtf_reader_f32_le(&in, row->a, 4 * A);
    if (!has_next(&row->h)) {
        memset(row->s2, 0, S * sizeof *row->s2);
        memset(row->bp2, 0, 3 * A * sizeof *row->bp2);
    } else if (!row->h.followed) {
        mtf_reader_f32_le(&in, row->s2, S);
        mtf_reader_f32_le(&in, row->bp2, 3 * A);
    }
    mtf_reader_f32_le(&in, row->predictions, N * shape->prediction_count);
    mtf_reader_f32_le(&in, row->signals, N * shape->signal_count);
    if (row->h.followed) {
        mtf_reader_take(&in, HEADER_BYTES);
        mtf_reader_f32_le(&in, row->s2, S);
        mtf_reader_take(&in, A * sizeof *row->a);
        mtf_reader_f32_le(&in, row->bp2, 3 * A);
    }
    if (in.failed || mtf_reader_left(&in) > 0)
        return mtf_fail(
            err, MTF_CORRUPT,
            "a stored transition has %zu bytes, not what its header says: the store was "
            "written with other dimensions or is damaged",
            value.size);
    return MTF_OK;
}

/* -- entries ----------------------------------------------------- */

/** Header, s, a, bp, lower, upper. */
static size_t head_bytes(const mtf_row_shape *shape)
{
    return HEADER_BYTES + (shape->state_dim + 4 * (size_t)shape->action_dim) * sizeof(float);
}

/** s2, bp2, lower2, upper2. */
static size_t next_bytes(const mtf_row_shape *shape)
{
    return (shape->state_dim + 3 * (size_t)shape->action_dim) * sizeof(float);
}

static size_t items_bytes(const mtf_row_shape *shape, const mtf_row_header *h)
{
    return h->items * ((size_t)shape->prediction_count + shape->signal_count) * sizeof(float);
}

/** Is what a row says of its next state what the row after it says of its own? */
static bool says_the_same(const mtf_row_shape *shape, const uint8_t *row, const uint8_t *after)
{
    const size_t S = shape->state_dim * sizeof(float), A = shape->action_dim * sizeof(float);
    const uint8_t *next = row + head_bytes(shape), *side = after + HEADER_BYTES;
    return memcmp(next, side, S) == 0 && memcmp(next + S, side + S + A, 3 * A) == 0;
}

void mtf_entry_append(const mtf_row_shape *shape, mtf_buf *entry, size_t *last, mtf_span row)
{
    MTF_ASSERT(row.size >= head_bytes(shape));
    mtf_row_header h = {0};
    if (entry->failed) return;
    if (entry->size) {
        uint8_t *before = entry->data + *last;
        const mtf_span bytes = {before, entry->size - *last};
        const mtf_status whole = mtf_row_peek(bytes, &h, NULL);
        MTF_ASSERT(whole == MTF_OK);
        if (has_next(&h) && says_the_same(shape, before, row.data)) {
            uint8_t *next = before + head_bytes(shape);
            memmove(next, next + next_bytes(shape), items_bytes(shape, &h));
            before[FLAGS_AT] |= FOLLOWED;
            entry->size -= next_bytes(shape);
        }
    }
    *last = entry->size;
    mtf_buf_put(entry, row.data, row.size);
}

mtf_status mtf_entry_next(const mtf_row_shape *shape, mtf_span entry, size_t *at, mtf_span *row,
                          mtf_err *err)
{
    mtf_row_header h = {0};
    const mtf_span rest = {entry.data + *at, entry.size - *at};
    if (rest.size == 0) return MTF_CLOSED;
    const mtf_status status = mtf_row_peek(rest, &h, err);
    if (status) return status;
    const bool carries = !h.done && !h.truncated && !h.followed;
    const size_t size =
        head_bytes(shape) + (carries ? next_bytes(shape) : 0) + items_bytes(shape, &h);
    *row = (mtf_span){rest.data, size + (h.followed ? head_bytes(shape) : 0)};
    if (row->size > rest.size)
        return mtf_fail(err, MTF_CORRUPT,
                        "a stored transition of %zu bytes is cut short at %zu: the store was "
                        "written with other dimensions or is damaged",
                        row->size, rest.size);
    *at += size;
    return MTF_OK;
}

double mtf_row_reward(const mtf_row_shape *shape, const mtf_reward *reward, const mtf_row *row)
{
    double sum = 0;
    for (uint32_t i = 0; i < row->h.items; i++)
        sum += mtf_reward_item(reward, row->signals + (size_t)i * shape->signal_count);
    return sum;
}

void mtf_row_parts(const mtf_row_shape *shape, const mtf_reward *reward, const mtf_row *row,
                   double *parts)
{
    memset(parts, 0, reward->groups * sizeof *parts);
    for (uint32_t i = 0; i < row->h.items; i++)
        mtf_reward_item_parts(reward, row->signals + (size_t)i * shape->signal_count, parts);
}
