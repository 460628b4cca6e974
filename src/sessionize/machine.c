#include "sessionize/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/session.h"

/** Closes every activity with end + gap + grace < W, the earliest end first. */
static mtf_status close_due(mtf_machine *machine, mtf_err *err)
{
    const mtf_machine_config *config = &machine->config;
    const int64_t limit_ms = machine->watermark_ms - config->gap_ms - config->grace_ms;
    mtf_activity *activity;
    while ((activity = mtf_open_set_before(&machine->open, limit_ms))) {
        mtf_status status = MTF_OK;
        mtf_open_set_remove(&machine->open, activity);
        machine->kept -= activity->records.count;
        if (!machine->replaying)
            status =
                machine->output.closed(machine->output.self, activity, machine->headless_ms, err);
        mtf_activity_free(activity, machine->keeper);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

/** close_due of a machine that replays: it is silent, so it cannot fail. */
static void close_silently(mtf_machine *machine)
{
    MTF_ASSERT(machine->replaying);
    const mtf_status status = close_due(machine, NULL);
    MTF_ASSERT(status == MTF_OK);
}

static void raise_watermark(mtf_machine *machine, int64_t watermark_ms)
{
    if (watermark_ms > machine->watermark_ms) machine->watermark_ms = watermark_ms;
}

/** Applies the recorded jumps up to and at `offset`, which come before its record. */
static void replay_jumps(mtf_machine *machine, int64_t offset)
{
    while (machine->jumps_replayed < machine->jump_count &&
           machine->jumps[machine->jumps_replayed].offset <= offset) {
        const mtf_jump *jump = &machine->jumps[machine->jumps_replayed++];
        machine->jump_fresh = true;
        machine->jump_base_ms = machine->watermark_ms;
        raise_watermark(machine, jump->watermark_ms);
        close_silently(machine);
    }
}

mtf_machine *mtf_machine_new(const mtf_machine_config *config, const mtf_machine_output *output,
                             mtf_keeper *keeper, const mtf_place *place, int64_t first_offset)
{
    mtf_machine *machine = malloc(sizeof *machine);
    if (!machine) return NULL;
    *machine = (mtf_machine){
        .config = *config,
        .output = *output,
        .keeper = keeper,
        .next_offset = first_offset,
        .headless_ms = first_offset > place->safe_offset ? MTF_HEADLESS_OPEN : place->headless_ms,
        .replaying = first_offset < place->next_offset,
        .live_offset = place->next_offset,
        .live_watermark_ms = place->watermark_ms,
        .live_bad_in_a_row = place->bad_in_a_row,
        .bad_in_a_row = first_offset < place->next_offset ? 0 : place->bad_in_a_row,
    };
    machine->watermark_ms = machine->replaying ? place->safe_watermark_ms : place->watermark_ms;
    if (machine->replaying) {
        memcpy(machine->jumps, place->jumps, sizeof place->jumps);
        machine->jump_count = place->jump_count;
        machine->schema_count = place->schema_count;
        for (uint32_t i = 0; i < place->schema_count; i++) {
            machine->schemas[i] = place->schemas[i];
            machine->schemas_last[i] = -1; /* the replay shows it */
        }
    }
    return machine;
}

void mtf_machine_free(mtf_machine *machine)
{
    if (!machine) return;
    mtf_open_set_fini(&machine->open, machine->keeper);
    free(machine);
}

static void advance(mtf_machine *machine, int64_t offset)
{
    MTF_ASSERT(offset >= machine->next_offset);
    MTF_ASSERT(!machine->replaying || offset < machine->live_offset);
    machine->next_offset = offset + 1;
}

void mtf_machine_skip(mtf_machine *machine, int64_t offset)
{
    advance(machine, offset);
    machine->bad_in_a_row++;
}

static bool in_range(int64_t time_ms)
{
    return time_ms > -MTF_TIME_LIMIT_MS / 2 && time_ms < MTF_TIME_LIMIT_MS / 2;
}

/** A jump that the very next record overtakes changed nothing: what it closed closes now, before
 *  the record is placed. It is forgotten, so that the metadata stays short. */
static void forget_overtaken_jump(mtf_machine *machine, int64_t watermark_ms)
{
    if (!machine->jump_fresh) return;
    machine->jump_fresh = false;
    if (machine->replaying || watermark_ms <= machine->watermark_ms) return;
    machine->watermark_ms = machine->jump_base_ms;
    machine->jump_count--;
}

/** Where the log's head is lost, whatever began before the newest event that can have been lost
 *  may lack its own. */
static void mark_headless(mtf_machine *machine)
{
    if (machine->headless_ms != MTF_HEADLESS_OPEN) return;
    int64_t newest_ms = machine->watermark_ms;
    if (machine->live_watermark_ms > newest_ms) newest_ms = machine->live_watermark_ms;
    machine->headless_ms =
        newest_ms + machine->config.out_of_orderness_ms + machine->config.max_future_ms;
}

static bool touches(const mtf_activity *activity, int64_t place_ms, int64_t gap_ms)
{
    return place_ms >= activity->start_ms - gap_ms && place_ms <= activity->end_ms + gap_ms;
}

/** All activities of (user, bucket) that place_ms touches, merged into the one opened first; NULL
 *  when there is none. */
static mtf_status find_touching(mtf_machine *machine, uint64_t hash, int64_t bucket, mtf_str user,
                                int64_t place_ms, mtf_activity **found, mtf_err *err)
{
    mtf_activity *next = mtf_open_set_chain(&machine->open, hash);
    *found = NULL;
    while (next) {
        mtf_activity *activity = next, *other = *found;
        next = activity->chain;
        if (activity->hash != hash || activity->bucket != bucket ||
            !mtf_str_equal(mtf_activity_user(activity), user) ||
            !touches(activity, place_ms, machine->config.gap_ms))
            continue;
        *found = activity;
        if (!other) continue;
        if (other->first_offset < activity->first_offset) {
            *found = other;
            other = activity;
        }
        const mtf_drops before = machine->drops;
        mtf_open_set_remove(&machine->open, other);
        const mtf_status status = mtf_activity_absorb(
            *found, other, machine->keeper, machine->config.max_events, &machine->drops, err);
        if (status != MTF_OK) return status;
        machine->kept -= machine->drops.duplicates - before.duplicates;
        machine->kept -= machine->drops.over_cap - before.over_cap;
    }
    return MTF_OK;
}

static mtf_status keep(mtf_machine *machine, mtf_activity *activity, const mtf_message *message,
                       const mtf_event *event, mtf_err *err)
{
    const mtf_status status = mtf_activity_append(activity, machine->keeper, message, event, err);
    if (status == MTF_OK) machine->kept++;
    return status;
}

/** The record joins: it extends the interval, also when its content is then dropped. */
static mtf_status join(mtf_machine *machine, mtf_activity *activity, const mtf_message *message,
                       const mtf_event *event, int64_t place_ms, mtf_fate *fate, mtf_err *err)
{
    if (place_ms < activity->start_ms) activity->start_ms = place_ms;
    if (place_ms > activity->end_ms) activity->end_ms = place_ms;
    if (mtf_activity_has(activity, event->event_id)) {
        machine->drops.duplicates++;
        *fate = MTF_FATE_DUPLICATE;
        return MTF_OK;
    }
    if (activity->records.count >= machine->config.max_events) {
        mtf_activity_drop_over_cap(activity, place_ms);
        machine->drops.over_cap++;
        *fate = MTF_FATE_OVER_CAP;
        return MTF_OK;
    }
    *fate = MTF_FATE_KEPT;
    return keep(machine, activity, message, event, err);
}

static mtf_status open_activity(mtf_machine *machine, uint64_t hash, int64_t bucket,
                                const mtf_message *message, const mtf_event *event,
                                int64_t place_ms, int64_t w_before_ms, mtf_err *err)
{
    mtf_activity *activity = mtf_activity_new(machine->keeper, event->user_id, hash, bucket,
                                              place_ms, message->offset, w_before_ms);
    if (!activity) return mtf_fail(err, MTF_NOMEM, "no memory for a new session");
    mtf_status status = keep(machine, activity, message, event, err);
    if (status == MTF_OK) status = mtf_open_set_add(&machine->open, activity, err);
    if (status != MTF_OK) mtf_activity_free(activity, machine->keeper);
    return status;
}

mtf_fate mtf_machine_vet(const mtf_machine *machine, const mtf_message *message,
                         const mtf_event *event)
{
    const int64_t append_ms = message->timestamp_ms, time_ms = event->event_time_ms;
    if (!in_range(time_ms) || !in_range(append_ms) || !in_range(mtf_event_place_ms(event)))
        return MTF_FATE_TIME_RANGE;
    return time_ms > append_ms + machine->config.max_future_ms ? MTF_FATE_FUTURE : MTF_FATE_KEPT;
}

mtf_status mtf_machine_record(mtf_machine *machine, const mtf_message *message,
                              const mtf_event *event, mtf_fate *fate, mtf_err *err)
{
    const mtf_machine_config *config = &machine->config;
    const int64_t append_ms = message->timestamp_ms, time_ms = event->event_time_ms;
    const int64_t place_ms = mtf_event_place_ms(event);
    if (machine->replaying) replay_jumps(machine, message->offset);
    *fate = mtf_machine_vet(machine, message, event);
    if (*fate != MTF_FATE_KEPT) {
        mtf_machine_skip(machine, message->offset);
        return MTF_OK;
    }
    advance(machine, message->offset);
    machine->bad_in_a_row = 0;
    const mtf_str user = event->user_id;
    const int64_t bucket = mtf_session_bucket(user, place_ms, config->max_duration_ms);
    const uint64_t hash = mtf_hash64(user.data, user.size);
    mtf_open_set_prefetch_chain(&machine->open, hash);

    const int64_t newest_ms = time_ms < append_ms ? time_ms : append_ms;
    forget_overtaken_jump(machine, newest_ms - config->out_of_orderness_ms);
    const int64_t w_before_ms = machine->watermark_ms;
    raise_watermark(machine, newest_ms - config->out_of_orderness_ms);
    mark_headless(machine);
    mtf_status status = close_due(machine, err);
    if (status != MTF_OK) return status;

    mtf_activity *activity;
    status = find_touching(machine, hash, bucket, user, place_ms, &activity, err);
    if (status != MTF_OK) return status;
    if (activity) return join(machine, activity, message, event, place_ms, fate, err);
    if (event->kind != MTF_EVENT_REQUEST) {
        *fate = MTF_FATE_NO_REQUEST;
        return MTF_OK;
    }
    if (place_ms + config->gap_ms + config->grace_ms < machine->watermark_ms) {
        *fate = MTF_FATE_LATE;
        return MTF_OK;
    }
    *fate = MTF_FATE_KEPT;
    return open_activity(machine, hash, bucket, message, event, place_ms, w_before_ms, err);
}

void mtf_machine_expect(const mtf_machine *machine, uint64_t user_hash, int step)
{
    static void (*const steps[])(const mtf_open_set *, uint64_t) = {
        mtf_open_set_prefetch_chain, mtf_open_set_prefetch_first, mtf_open_set_prefetch_records};
    steps[step](&machine->open, user_hash);
}

int64_t mtf_machine_due_ms(mtf_machine *machine)
{
    const mtf_activity *first = mtf_open_set_before(&machine->open, INT64_MAX);
    if (!first) return INT64_MAX;
    return first->end_ms + machine->config.gap_ms + machine->config.grace_ms + 1;
}

int64_t mtf_machine_done_ms(const mtf_machine *machine)
{
    int64_t done_ms = MTF_WATERMARK_NONE;
    for (const mtf_activity *a = machine->open.oldest; a; a = a->newer) {
        const int64_t due_ms = a->end_ms + machine->config.gap_ms + machine->config.grace_ms + 1;
        if (due_ms > done_ms) done_ms = due_ms;
    }
    return done_ms;
}

static int64_t safe_offset_of(const mtf_machine *machine)
{
    const mtf_activity *oldest = machine->open.oldest;
    return oldest ? oldest->first_offset : machine->next_offset;
}

/** Forgets the schemas that no record since the safe offset is of. */
static void prune_schemas(mtf_machine *machine)
{
    const int64_t safe_offset = safe_offset_of(machine);
    uint32_t left = 0;
    for (uint32_t i = 0; i < machine->schema_count; i++) {
        if (machine->schemas_last[i] < safe_offset) continue;
        machine->schemas[left] = machine->schemas[i];
        machine->schemas_last[left++] = machine->schemas_last[i];
    }
    machine->schema_count = left;
}

/** Its index, schema_count when it is not among them. */
static uint32_t find_schema(const mtf_machine *machine, uint64_t schema)
{
    uint32_t i = 0;
    while (i < machine->schema_count && machine->schemas[i].schema != schema) i++;
    return i;
}

bool mtf_machine_admit(mtf_machine *machine, uint64_t schema, int64_t offset)
{
    if (schema == 0) return true;
    uint32_t i = find_schema(machine, schema);
    const bool known = i < machine->schema_count;
    if (machine->replaying && (!known || offset < machine->schemas[i].offset)) return false;
    if (!known) {
        if (i == MTF_SCHEMAS_MAX) prune_schemas(machine);
        if (machine->schema_count == MTF_SCHEMAS_MAX) return false;
        i = machine->schema_count++;
        machine->schemas[i] = (mtf_schema_since){schema, offset};
    }
    machine->schemas_last[i] = offset;
    return true;
}

/** Forgets the jumps that the watermark at the safe offset holds already. */
static void prune_jumps(mtf_machine *machine)
{
    const int64_t safe_offset = safe_offset_of(machine);
    uint32_t gone = 0;
    while (gone < machine->jump_count && machine->jumps[gone].offset <= safe_offset) gone++;
    machine->jump_count -= gone;
    memmove(machine->jumps, machine->jumps + gone, sizeof *machine->jumps * machine->jump_count);
    if (machine->jump_count == 0) machine->jump_fresh = false;
}

/** The recorded jump at the next offset, NULL for none. */
static mtf_jump *jump_here(mtf_machine *machine)
{
    mtf_jump *last = machine->jump_count ? &machine->jumps[machine->jump_count - 1] : NULL;
    return last && last->offset == machine->next_offset ? last : NULL;
}

bool mtf_machine_can_jump(mtf_machine *machine, int64_t watermark_ms)
{
    MTF_ASSERT(!machine->replaying);
    prune_jumps(machine);
    return machine->jump_count < MTF_JUMPS_MAX || jump_here(machine) ||
           watermark_ms >= mtf_machine_done_ms(machine);
}

mtf_status mtf_machine_jump(mtf_machine *machine, int64_t watermark_ms, mtf_err *err)
{
    MTF_ASSERT(watermark_ms < MTF_TIME_LIMIT_MS);
    MTF_ASSERT(mtf_machine_can_jump(machine, watermark_ms));
    if (watermark_ms <= machine->watermark_ms) return MTF_OK;
    mtf_jump *here = jump_here(machine);
    if (here) {
        here->watermark_ms = watermark_ms;
    } else if (machine->jump_count < MTF_JUMPS_MAX) {
        machine->jumps[machine->jump_count++] = (mtf_jump){machine->next_offset, watermark_ms};
        machine->jump_fresh = true;
        machine->jump_base_ms = machine->watermark_ms;
    } /* else nothing stays open: the safe offset moves here, past the jump */
    machine->watermark_ms = watermark_ms;
    const mtf_status status = close_due(machine, err);
    prune_jumps(machine);
    return status;
}

bool mtf_machine_go_live(mtf_machine *machine)
{
    MTF_ASSERT(machine->replaying);
    replay_jumps(machine, machine->live_offset);
    const bool matches = machine->watermark_ms == machine->live_watermark_ms;
    raise_watermark(machine, machine->live_watermark_ms);
    close_silently(machine);
    machine->next_offset = machine->live_offset;
    machine->bad_in_a_row = machine->live_bad_in_a_row;
    machine->replaying = false;
    prune_jumps(machine);
    machine->drops = (mtf_drops){0};
    return matches;
}

void mtf_machine_place(mtf_machine *machine, mtf_place *place)
{
    MTF_ASSERT(!machine->replaying);
    prune_jumps(machine);
    prune_schemas(machine);
    const mtf_activity *oldest = machine->open.oldest;
    *place = (mtf_place){
        .next_offset = machine->next_offset,
        .watermark_ms = machine->watermark_ms,
        .safe_offset = safe_offset_of(machine),
        .safe_watermark_ms = oldest ? oldest->w_before_ms : machine->watermark_ms,
        .headless_ms = machine->headless_ms,
        .jump_count = machine->jump_count,
        .bad_in_a_row = machine->bad_in_a_row,
        .schema_count = machine->schema_count,
    };
    memcpy(place->jumps, machine->jumps, sizeof *place->jumps * machine->jump_count);
    for (uint32_t i = 0; i < place->schema_count; i++) {
        mtf_schema_since *since = &place->schemas[i];
        *since = machine->schemas[i];
        if (since->offset < place->safe_offset) since->offset = place->safe_offset;
    }
}

uint64_t mtf_machine_function(const mtf_machine_config *config, const char *aggregators,
                              const char *decoder)
{
    char numbers[200];
    snprintf(numbers, sizeof numbers,
             "machine=%d gap=%" PRId64 " grace=%" PRId64 " out_of_orderness=%" PRId64
             " max_future=%" PRId64 " max_duration=%" PRId64 " max_events=%" PRIu32,
             MTF_MACHINE_VERSION, config->gap_ms, config->grace_ms, config->out_of_orderness_ms,
             config->max_future_ms, config->max_duration_ms, config->max_events);
    const mtf_str parts[] = {mtf_str_of(numbers), mtf_str_of(aggregators), mtf_str_of(decoder)};
    uint8_t hash[16];
    mtf_hash128(hash, parts, 3);
    return mtf_load_u64_be(hash);
}
