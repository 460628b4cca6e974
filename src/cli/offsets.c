#include "cli/offsets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/** What commits are made under now. */
static mtf_status function_of_now(const stage_context *context, uint64_t *function, mtf_err *err)
{
    mtf_decoder *decoder = NULL;
    mtf_status status = stage_decoder_open(context->settings, STAGE_TOPIC_EVENTS, &decoder, err);
    if (status != MTF_OK) return status;
    const mtf_sessionize_config config = stage_sessionize_config(context, decoder);
    status = mtf_sessionize_function(&config, function, err);
    mtf_decoder_close(decoder);
    return status;
}

static void damaged(offsets_part *part, const char *why)
{
    part->kind = OFFSETS_DAMAGED;
    snprintf(part->wrong, sizeof part->wrong, "%.199s", why);
}

/** metadata: NUL-terminated. */
static void read_metadata(offsets_part *part, const char *metadata, uint64_t function)
{
    uint64_t under = 0;
    mtf_err why = {0};
    part->kind = part->committed < 0 ? OFFSETS_NONE : OFFSETS_CLEAN;
    if (part->committed < 0 || !metadata[0]) return;
    if (mtf_place_parse(metadata, &part->place, &under, &why) != MTF_OK)
        damaged(part, why.msg);
    else if (part->place.next_offset != part->committed)
        damaged(part, "it is of another offset");
    else
        part->kind = under == function ? OFFSETS_PLACE : OFFSETS_FOREIGN;
}

/** numbers: three for each partition; metadata: one for each. */
static mtf_status ask(offsets_view *view, int64_t *numbers, mtf_buf *metadata, uint64_t function,
                      mtf_err *err)
{
    const char *topic = view->settings->topics_exploration;
    const int32_t count = view->count;
    int64_t *firsts = numbers, *ends = numbers + count, *committed = numbers + 2 * count;
    mtf_status status =
        mtf_kafka_client_commits(view->client, topic, count, committed, metadata, err);
    if (status == MTF_OK)
        status = mtf_kafka_client_ranges(view->client, topic, count, firsts, ends, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++) {
        view->parts[i] = (offsets_part){
            .first = firsts[i], .end = ends[i], .committed = committed[i], .target = -1};
        mtf_buf_put_u8(&metadata[i], 0);
        if (metadata[i].failed) return mtf_fail(err, MTF_NOMEM, "no memory for a commit");
        read_metadata(&view->parts[i], (const char *)metadata[i].data, function);
    }
    return status;
}

static mtf_status ask_all(offsets_view *view, uint64_t function, mtf_err *err)
{
    const size_t count = (size_t)view->count;
    int64_t *numbers = calloc(count, 3 * sizeof *numbers);
    mtf_buf *metadata = calloc(count, sizeof *metadata);
    const mtf_status status = numbers && metadata
                                  ? ask(view, numbers, metadata, function, err)
                                  : mtf_fail(err, MTF_NOMEM, "no memory for %zu partitions", count);
    for (size_t i = 0; metadata && i < count; i++) mtf_buf_fini(&metadata[i]);
    free(metadata);
    free(numbers);
    return status;
}

mtf_status offsets_open(offsets_view *view, const stage_context *context, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    uint64_t function = 0;
    *view = (offsets_view){.settings = s};
    mtf_status status = function_of_now(context, &function, err);
    if (status == MTF_OK)
        status = mtf_kafka_client_open(s, context->log, s->sessionize_group, context->fail_fast,
                                       context->stop, &view->client, err);
    if (status == MTF_OK)
        status =
            mtf_kafka_client_partitions(view->client, s->topics_exploration, &view->count, err);
    if (status == MTF_OK)
        status = mtf_kafka_admin_group(view->client, s->sessionize_group, &view->group, err);
    if (status != MTF_OK) return status;
    view->parts = calloc((size_t)view->count, sizeof *view->parts);
    if (!view->parts) return mtf_fail(err, MTF_NOMEM, "no memory for the partitions");
    return ask_all(view, function, err);
}

void offsets_close(offsets_view *view)
{
    mtf_kafka_client_close(view->client);
    free(view->parts);
    *view = (offsets_view){0};
}

int64_t offsets_lag(const offsets_part *part)
{
    const int64_t next = part->committed > part->first ? part->committed : part->first;
    return part->end > next ? part->end - next : 0;
}

int64_t offsets_open_from(const offsets_part *part)
{
    const bool placed = part->kind == OFFSETS_PLACE || part->kind == OFFSETS_FOREIGN;
    return placed ? part->place.safe_offset : part->committed;
}

mtf_status offsets_aim(offsets_view *view, int64_t time_ms, mtf_err *err)
{
    const int32_t count = view->count;
    int64_t *numbers = calloc((size_t)count, 2 * sizeof *numbers);
    if (!numbers) return mtf_fail(err, MTF_NOMEM, "no memory for %" PRId32 " partitions", count);
    int64_t *times_ms = numbers, *offsets = numbers + count;
    mtf_status status = MTF_OK;
    for (int32_t i = 0; i < count; i++) times_ms[i] = time_ms;
    if (time_ms >= 0)
        status = mtf_kafka_client_offsets_at(view->client, view->settings->topics_exploration,
                                             count, times_ms, offsets, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++)
        view->parts[i].target = time_ms >= 0 ? offsets[i] : view->parts[i].first;
    free(numbers);
    return status;
}

mtf_status offsets_reset(offsets_view *view, mtf_err *err)
{
    const mtf_settings *s = view->settings;
    const int32_t count = view->count;
    if (view->group.told && view->group.members > 0)
        return mtf_fail(err, MTF_INVALID,
                        "group %.60s has %" PRId32
                        " members (%.150s): stop the sessionizers first; "
                        "one that was killed is missed after session.timeout.ms",
                        s->sessionize_group, view->group.members, view->group.names);
    int64_t *numbers = calloc((size_t)count, 2 * sizeof *numbers);
    if (!numbers) return mtf_fail(err, MTF_NOMEM, "no memory for %" PRId32 " partitions", count);
    int64_t *targets = numbers, *now = numbers + count;
    for (int32_t i = 0; i < count; i++) targets[i] = view->parts[i].target;
    mtf_status status =
        mtf_kafka_admin_commit(view->client, s->topics_exploration, count, targets, err);
    if (status == MTF_OK)
        status = mtf_kafka_client_committed(view->client, s->topics_exploration, count, now, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++)
        if (now[i] != targets[i])
            status = mtf_fail(err, MTF_BROKER,
                              "%s/%" PRId32 ": committed is %" PRId64 ", not %" PRId64
                              " as was asked: did a sessionizer start meanwhile?",
                              s->topics_exploration, i, now[i], targets[i]);
    free(numbers);
    return status;
}
