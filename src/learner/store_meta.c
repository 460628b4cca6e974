#include "learner/store_meta.h"

#include <inttypes.h>
#include <stdio.h>

#define STORE_FORMAT 3 /* an entry is the rows of a session and day; of 2 it was one row */

void mtf_store_identity_print(const mtf_store_identity *identity, mtf_buf *out)
{
    const mtf_row_shape *shape = &identity->shape;
    mtf_buf_printf(out, "format: %d\n", STORE_FORMAT);
    mtf_buf_printf(out, "policy: %s\n", identity->policy);
    mtf_buf_printf(out, "cluster: %s\n", identity->cluster_id);
    mtf_buf_printf(out, "state_dim: %" PRIu32 "\n", shape->state_dim);
    mtf_buf_printf(out, "action_dim: %" PRIu32 "\n", shape->action_dim);
    mtf_buf_printf(out, "predictions: %" PRIu32 "\n", shape->prediction_count);
    mtf_buf_printf(out, "signal_count: %" PRIu32 "\n", shape->signal_count);
    mtf_buf_printf(out, "signals: %s\n", identity->signals);
    mtf_buf_printf(out, "actions: %s\n", identity->actions);
    if (shape->list == 0) return;
    mtf_buf_printf(out, "list: %" PRIu32 "\n", shape->list);
    mtf_buf_printf(out, "item_features: %" PRIu32 "\n", shape->feature_count);
}

mtf_status mtf_store_identity_format(const char *path, char *text, bool *older, mtf_err *err)
{
    static const char format[] = "format: ", old = '2';
    char *at = text + strlen(format);
    const size_t line = strcspn(text, "\n");
    *older = false;
    if (strncmp(text, format, strlen(format)) == 0 && line == strlen(format) + 1) {
        *older = *at == old;
        if (*older) *at = '0' + STORE_FORMAT;
        if (*at == '0' + STORE_FORMAT) return MTF_OK;
    }
    return mtf_fail(err, MTF_INVALID,
                    "store %.100s is of \"%.*s\", this program reads formats 2 and %d: use the "
                    "program that made it, or set a new store.path, and the learner builds it anew "
                    "from the topics",
                    path, (int)(line < 40 ? line : 40), text, STORE_FORMAT);
}

mtf_str mtf_store_identity_line(const char *text, const char *name)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\n%s: ", name);
    const char *at = strstr(text, pattern);
    if (!at) return (mtf_str){0};
    at += strlen(pattern);
    return (mtf_str){at, (uint32_t)strcspn(at, "\n")};
}

static bool line_number(const char *text, const char *name, uint32_t *value)
{
    const mtf_str line = mtf_store_identity_line(text, name);
    return line.size && sscanf(line.data, "%" SCNu32, value) == 1;
}

mtf_status mtf_store_identity_shape(const char *text, mtf_row_shape *shape, mtf_err *err)
{
    const bool whole = line_number(text, "state_dim", &shape->state_dim) &&
                       line_number(text, "action_dim", &shape->action_dim) &&
                       line_number(text, "predictions", &shape->prediction_count) &&
                       line_number(text, "signal_count", &shape->signal_count);
    shape->list = shape->feature_count = 0;
    const bool lists = mtf_store_identity_line(text, "list").size > 0;
    const bool whole_lists = !lists || (line_number(text, "list", &shape->list) &&
                                        line_number(text, "item_features", &shape->feature_count));
    if (whole && whole_lists) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT, "the store's shape row is damaged");
}

mtf_status mtf_store_identity_check(const char *path, const char *stored, const char *wanted,
                                    mtf_err *err)
{
    while (*stored && *wanted) {
        const size_t a = strcspn(stored, "\n"), b = strcspn(wanted, "\n");
        if (a != b || memcmp(stored, wanted, a) != 0)
            return mtf_fail(
                err, MTF_INVALID,
                "store %.100s was made with \"%.*s\", the settings say \"%.*s\": set a new "
                "store.path (a new generation), run it beside the old one, then cut over",
                path, (int)(a < 80 ? a : 80), stored, (int)(b < 80 ? b : 80), wanted);
        stored += a + (stored[a] == '\n');
        wanted += b + (wanted[b] == '\n');
    }
    if (*stored || *wanted)
        return mtf_fail(
            err, MTF_INVALID,
            "store %.100s was made %s policy.list, the settings say otherwise: set a new "
            "store.path (a new generation), run it beside the old one, then cut over",
            path, *stored ? "with" : "without");
    return MTF_OK;
}

void mtf_store_position_encode(const mtf_store_position *position, mtf_buf *key, mtf_buf *value)
{
    uint8_t partition[4];
    mtf_store_u32_be(partition, (uint32_t)position->partition);
    mtf_buf_put_u8(key, 'p');
    mtf_buf_put(key, partition, 4);
    mtf_buf_put_u64_le(value, (uint64_t)position->next);
    mtf_buf_put_u64_le(value, (uint64_t)position->last);
    mtf_buf_put_u64_le(value, position->last_hash);
    if (position->bad_in_a_row) mtf_buf_put_u64_le(value, (uint64_t)position->bad_in_a_row);
}

bool mtf_store_position_decode(mtf_span key, mtf_span value, mtf_store_position *position)
{
    if (key.size != 5 || (value.size != 24 && value.size != 32)) return false;
    mtf_reader in = mtf_reader_of(value);
    position->partition = (int32_t)mtf_load_u32_be(key.data + 1);
    position->next = (int64_t)mtf_reader_u64_le(&in);
    position->last = (int64_t)mtf_reader_u64_le(&in);
    position->last_hash = mtf_reader_u64_le(&in);
    position->bad_in_a_row = 0;
    if (value.size == 24) return true;
    position->bad_in_a_row = (int64_t)mtf_reader_u64_le(&in);
    return position->bad_in_a_row > 0;
}

void mtf_store_count_encode(const mtf_store_count *count, mtf_buf *key, mtf_buf *value)
{
    uint8_t version[8];
    mtf_store_u64_be(version, (uint64_t)count->version);
    mtf_buf_put_u8(key, 'n');
    mtf_buf_put(key, version, 8);
    mtf_buf_put_u8(key, (uint8_t)count->bucket);
    mtf_buf_put_u64_le(value, (uint64_t)count->rows);
    mtf_buf_put_u64_le(value, (uint64_t)count->sessions);
    mtf_buf_put_u64_le(value, (uint64_t)count->truncated);
    mtf_buf_put_u64_le(value, (uint64_t)count->bytes);
    mtf_buf_put_u32_le(value, count->day_first);
    mtf_buf_put_u32_le(value, count->day_last);
}

bool mtf_store_count_decode(mtf_span key, mtf_span value, mtf_store_count *count)
{
    if (key.size != 10 || value.size != 40 || key.data[9] > MTF_BUCKET_CONTROL) return false;
    mtf_reader in = mtf_reader_of(value);
    count->version = (int64_t)mtf_load_u64_be(key.data + 1);
    count->bucket = (mtf_bucket)key.data[9];
    count->rows = (int64_t)mtf_reader_u64_le(&in);
    count->sessions = (int64_t)mtf_reader_u64_le(&in);
    count->truncated = (int64_t)mtf_reader_u64_le(&in);
    count->bytes = (int64_t)mtf_reader_u64_le(&in);
    count->day_first = mtf_reader_u32_le(&in);
    count->day_last = mtf_reader_u32_le(&in);
    return true;
}

void mtf_store_day_encode(const mtf_store_day *day, mtf_buf *key, mtf_buf *value)
{
    uint8_t number[4];
    mtf_store_u32_be(number, day->day);
    mtf_buf_put_u8(key, 'd');
    mtf_buf_put(key, number, 4);
    mtf_buf_put_u64_le(value, (uint64_t)day->rows);
    mtf_buf_put_u64_le(value, day->sum);
}

bool mtf_store_day_decode(mtf_span key, mtf_span value, mtf_store_day *day)
{
    *day = (mtf_store_day){0};
    if (key.size != 5 || value.size != 16) return false;
    mtf_reader in = mtf_reader_of(value);
    day->day = mtf_load_u32_be(key.data + 1);
    day->rows = (int64_t)mtf_reader_u64_le(&in);
    day->sum = mtf_reader_u64_le(&in);
    return true;
}

#define TOTALS_MAP(X)                                                                              \
    X(records)                                                                                     \
    X(sessions) X(rows) X(truncated) X(bytes) X(duplicates) X(bad) X(lost) X(expired) X(forgotten)

void mtf_store_totals_encode(const mtf_store_totals *totals, mtf_buf *value)
{
#define X(name) mtf_buf_put_u64_le(value, (uint64_t)totals->name);
    TOTALS_MAP(X)
#undef X
}

bool mtf_store_totals_decode(mtf_span value, mtf_store_totals *totals)
{
    mtf_reader in = mtf_reader_of(value);
#define X(name) totals->name = (int64_t)mtf_reader_u64_le(&in);
    TOTALS_MAP(X)
#undef X
    return !in.failed && mtf_reader_left(&in) == 0;
}
