#include "cli/store_rows.h"

#include <stdio.h>

static const char *const bucket_names[] = {"explore", "baseline", "control"};

static void print_floats(const char *name, const float *values, uint32_t count)
{
    printf(",\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++) printf("%s%.9g", i ? "," : "", (double)values[i]);
    putchar(']');
}

static void print_row(const mtf_row_shape *shape, const mtf_reward *reward, const mtf_row *row)
{
    const mtf_row_header *h = &row->h;
    printf("{\"session\":\"");
    for (size_t i = 0; i < sizeof h->session_id; i++) printf("%02x", h->session_id[i]);
    printf("\",\"part\":%u,\"step\":%u,\"time_ms\":%lld,\"user\":\"%016llx\",\"partition\":%d,"
           "\"offset\":%lld,\"version\":%lld,\"bucket\":\"%s\",\"weight\":%.9g,\"items\":%u,"
           "\"done\":%s,\"truncated\":%s,\"reward\":%.17g",
           h->part, h->step, (long long)h->time_ms, (unsigned long long)h->user, h->partition,
           (long long)h->offset, (long long)h->version, bucket_names[h->bucket], (double)h->weight,
           h->items, h->done ? "true" : "false", h->truncated ? "true" : "false",
           mtf_row_reward(shape, reward, row));
    print_floats("state", row->s, shape->state_dim);
    print_floats("action", row->a, shape->action_dim);
    print_floats("baseline_action", row->bp, shape->action_dim);
    print_floats("lower", row->lower, shape->action_dim);
    print_floats("upper", row->upper, shape->action_dim);
    if (!h->done && !h->truncated) print_floats("next_state", row->s2, shape->state_dim);
    printf("}\n");
}

mtf_status store_rows_print(const mtf_store *store, const mtf_settings *settings, mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    mtf_reward reward;
    mtf_status status =
        mtf_reward_parse(&reward, settings->reward_weights, settings->reward_clip, err);
    if (status != MTF_OK) return status;
    status = mtf_reward_order(&reward, mtf_store_signals(store), err);
    if (status != MTF_OK) return status;
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    if (!cursor) return mtf_fail(err, MTF_NOMEM, "store rows: no memory for a scan");
    mtf_row row = {0};
    mtf_span value;
    while (status == MTF_OK && (status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        status = mtf_row_decode(&shape, value, &row, err);
        if (status == MTF_OK) print_row(&shape, &reward, &row);
        if (ferror(stdout)) status = mtf_fail(err, MTF_IO, "store rows: the output is closed");
    }
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return status == MTF_CLOSED ? MTF_OK : status;
}
