#include "sessionize/parts.h"

typedef struct cutter {
    const mtf_session *session;
    mtf_session_encode_fn encode;
    size_t value_bytes_max;
    mtf_buf *scratch;
    uint32_t *ends; /* of the parts found, in steps */
    uint32_t count;
} cutter;

/** Encodes steps [begin, end) as one part into scratch. */
static mtf_status encode_part(const cutter *c, uint32_t begin, uint32_t end, uint32_t part,
                              uint32_t parts, mtf_session *out, mtf_err *err)
{
    *out = *c->session;
    out->steps += begin;
    out->step_count = end - begin;
    out->part = part;
    out->parts = parts;
    out->truncated_head = out->truncated_head || begin > 0;
    out->truncated_tail = out->truncated_tail || end < c->session->step_count;
    mtf_buf_clear(c->scratch);
    return c->encode(out, c->scratch, err);
}

/** Notes where [begin, end) must be cut. Part numbers are not known yet: the largest stand in, so
 *  that the real ones are no longer. */
static mtf_status find_cuts(cutter *c, uint32_t begin, uint32_t end, mtf_err *err)
{
    const uint32_t most = c->session->step_count;
    mtf_session part;
    mtf_status status = encode_part(c, begin, end, most, most, &part, err);
    if (status != MTF_OK) return status;
    if (c->scratch->size <= c->value_bytes_max) {
        c->ends[c->count++] = end;
        return MTF_OK;
    }
    if (end - begin == 1)
        return mtf_fail(err, MTF_SKIP, "one step of a session takes %zu bytes, a record holds %zu",
                        c->scratch->size, c->value_bytes_max);
    const uint32_t middle = begin + (end - begin) / 2;
    status = find_cuts(c, begin, middle, err);
    return status == MTF_OK ? find_cuts(c, middle, end, err) : status;
}

mtf_status mtf_session_parts(const mtf_session *session, mtf_session_encode_fn encode,
                             size_t value_bytes_max, mtf_buf *scratch, mtf_arena *arena,
                             mtf_part_fn take, void *self, mtf_err *err)
{
    cutter c = {session, encode, value_bytes_max, scratch, NULL, 0};
    mtf_session part;
    mtf_status status = encode_part(&c, 0, session->step_count, 0, 1, &part, err);
    if (status != MTF_OK) return status;
    if (scratch->size <= value_bytes_max) return take(self, &part, mtf_buf_span(scratch), err);

    c.ends = mtf_arena_take(arena, sizeof *c.ends * session->step_count);
    if (!c.ends) return mtf_fail(err, MTF_NOMEM, "no memory to split a session");
    status = find_cuts(&c, 0, session->step_count, err);
    for (uint32_t i = 0; status == MTF_OK && i < c.count; i++) {
        status = encode_part(&c, i ? c.ends[i - 1] : 0, c.ends[i], i, c.count, &part, err);
        if (status == MTF_OK) status = take(self, &part, mtf_buf_span(scratch), err);
    }
    return status;
}
