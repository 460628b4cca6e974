/** What an event costs the sessionizer, and an open session its memory, by how many sessions are
 * open: decoding, the state machine, emission and encoding, from records in memory to records that
 * are dropped.
 *
 *    sessionize OPEN [events a session, default 20] [events, default 3000000] [partitions, default
 * 1]
 *
 *  OPEN users take turns, in an order that has nothing to do with memory; after its
 * last event a user makes place for a new one, and the session closes a gap later. Events are
 * requests of about 480 bytes with 64 features. Making an event is timed beforehand and not
 * counted. Then the stage is made anew, as after a crash: recovery_cpu_s is what rebuilding its
 * state takes, from the records since the safe offset (of one partition only). One JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rng.h"
#include "ingest/decoder.h"
#include "core/encode.h"
#include "sessionize/loop.h"

enum { STATE = 64, ACTION = 10, ITEMS = 1, PREDICTIONS = 5, PARTITIONS_MAX = 1024 };
#define START_MS INT64_C(1767225600000) /* 2026-01-01 */

typedef struct supply {
    uint64_t open, a_session, partitions, total, given;
    uint64_t told;  /* partitions assigned so far */
    uint64_t named; /* the last event whose user is in users */
    int64_t next[PARTITIONS_MAX];
    mtf_event event;
    mtf_item items[ITEMS];
    float floats[STATE + 4 * ACTION + ITEMS * PREDICTIONS];
    char users[2][32], id[32]; /* of this event and of the next, by its number */
    const char *user;
    mtf_buf record;
    uint64_t bytes;
    int64_t committed; /* -1: never */
    char metadata[4097];
} supply;

/** The i-th of `open` users in turn: an odd factor walks them in an order without neighbours. */
static uint64_t seat_of(const supply *s, uint64_t turn)
{
    return turn % s->open * UINT64_C(0x9E3779B1) % s->open;
}

/** Whose event number `i` is. */
static void name_user(supply *s, uint64_t i)
{
    const uint64_t seat = seat_of(s, i), round = i / s->open + seat % s->a_session;
    snprintf(s->users[i % 2], sizeof s->users[i % 2], "user-%llu-%llu", (unsigned long long)seat,
             (unsigned long long)(round / s->a_session));
    s->named = i;
}

/** Event number `i`: round i / open of the seat whose turn it is. Sessions are staggered by seat.
 */
static mtf_status make(supply *s, uint64_t i, mtf_err *err)
{
    if (i == 0 || i != s->named) name_user(s, i);
    name_user(s, i + 1);
    s->user = s->users[i % 2];
    snprintf(s->id, sizeof s->id, "e%llu", (unsigned long long)i);
    s->event.user_id = mtf_str_of(s->user);
    s->event.event_id = mtf_str_of(s->id);
    s->event.event_time_ms = START_MS + (int64_t)i;
    s->floats[i % STATE] = (float)(i % 1000);
    mtf_buf_clear(&s->record);
    return mtf_event_encode(&s->event, &s->record, err);
}

static mtf_status poll_supply(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    supply *s = self;
    (void)timeout_ms;
    if (s->told < s->partitions) {
        *input = (mtf_input){.kind = MTF_INPUT_ASSIGN,
                             .partition = (int32_t)s->told++,
                             .committed_offset = s->committed};
        memcpy(input->metadata, s->metadata, sizeof s->metadata);
        return MTF_OK;
    }
    if (s->given == s->total) return MTF_CLOSED;
    const mtf_status status = make(s, s->given, err);
    if (status) return status;
    input->kind = MTF_INPUT_MESSAGE;
    input->partition = (int32_t)(seat_of(s, s->given) % s->partitions);
    input->message = (mtf_message){.topic = {"bench", 5},
                                   .partition = input->partition,
                                   .offset = s->next[input->partition]++,
                                   .timestamp_ms = s->event.event_time_ms,
                                   .key = {(const uint8_t *)s->user, strlen(s->user)},
                                   .value = mtf_buf_span(&s->record)};
    s->bytes += s->record.size;
    s->given++;
    const char *next = s->users[s->given % 2];
    input->next_partition = (int32_t)(seat_of(s, s->given) % s->partitions);
    input->next_key = (mtf_span){(const uint8_t *)next, strlen(next)};
    return MTF_OK;
}

static mtf_status start_supply(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    supply *s = self;
    (void)err;
    s->next[partition] = offset;
    if (s->partitions == 1) s->given = (uint64_t)offset;
    return MTF_OK;
}

static mtf_status range_supply(void *self, int32_t partition, int64_t *first, int64_t *end,
                               mtf_err *err)
{
    const supply *s = self;
    (void)partition, (void)err;
    *first = 0;
    *end = (int64_t)s->total;
    return MTF_OK;
}

static mtf_status drop_begin(void *self, mtf_err *err)
{
    (void)self, (void)err;
    return MTF_OK;
}

static mtf_status drop_put(void *self, const char *topic, mtf_span key, mtf_span value,
                           const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                           mtf_err *err)
{
    (void)self, (void)topic, (void)key, (void)value, (void)headers, (void)header_count;
    (void)timestamp_ms, (void)err;
    return MTF_OK;
}

static mtf_status keep_commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    supply *s = self;
    (void)err;
    if (count == 0) return MTF_OK;
    s->committed = positions[0].offset;
    snprintf(s->metadata, sizeof s->metadata, "%s", positions[0].metadata);
    return MTF_OK;
}

static void set_up_event(supply *s)
{
    mtf_rng rng = mtf_rng_of(5, 5);
    mtf_request *request = &s->event.body.request;
    float *floats = s->floats;
    mtf_floats *const blocks[] = {&request->state, &request->action, &request->baseline_action,
                                  &request->lower, &request->upper};
    static const uint32_t sizes[] = {STATE, ACTION, ACTION, ACTION, ACTION};
    for (int b = 0; b < 5; b++) {
        *blocks[b] = (mtf_floats){floats, sizes[b]};
        for (uint32_t i = 0; i < sizes[b]; i++)
            *floats++ = (float)(0.1 * mtf_rng_uniform(&rng)) - (b == 3 ? 0.2F : b == 4 ? -0.1F : 0);
    }
    s->event.kind = MTF_EVENT_REQUEST;
    request->policy_version = 1;
    request->sample_weight = 1;
    request->items = s->items;
    request->item_count = ITEMS;
    s->items[0] = (mtf_item){.item_id = mtf_str_of("item-1"), .predictions = {floats, PREDICTIONS}};
}

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_utime.tv_sec + 1e-6 * (double)r.ru_utime.tv_usec +
           (double)r.ru_stime.tv_sec + 1e-6 * (double)r.ru_stime.tv_usec;
}

/** Of this process, in memory. */
static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %zu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/** Steps until `until` events were taken. */
static mtf_status take(mtf_sessionize *stage, const supply *s, uint64_t until, mtf_err *err)
{
    mtf_status status = MTF_OK;
    while (status == MTF_OK && s->given < until) status = mtf_sessionize_step(stage, 0, err);
    return status;
}

/** CPU seconds until a stage that knows nothing is where the last one committed. */
static mtf_status recover(supply *s, mtf_sessionize *stage, double making_s, double *seconds,
                          int64_t *replayed, mtf_err *err)
{
    const double began = cpu_seconds();
    s->told = 0;
    s->given = 0;
    const mtf_status status = take(stage, s, s->total, err);
    *replayed = mtf_sessionize_get(mtf_sessionize_count(stage), MTF_SESSIONIZE_REPLAYED);
    *seconds = cpu_seconds() - began - making_s * (double)*replayed;
    return status;
}

static mtf_status run(supply *s, uint64_t warm, mtf_err *err)
{
    mtf_source source = {
        .self = s, .poll = poll_supply, .start = start_supply, .range = range_supply};
    mtf_sink sink = {.self = s,
                     .begin = drop_begin,
                     .put = drop_put,
                     .commit = keep_commit,
                     .abort = drop_begin,
                     .value_bytes_max = 1000000};
    mtf_settings settings = {0};
    mtf_decoder *decoder = NULL;
    mtf_sessionize *stage = NULL;
    const mtf_decoder_config codec = {.dims = {.state = STATE, .action = ACTION}};
    mtf_status status = mtf_settings_init(&settings, err);
    if (!status) status = mtf_decoder_open(&codec, &decoder, err);
    mtf_sessionize_config config = mtf_sessionize_config_of(&settings);
    /* An event a millisecond: a session's events are `open` ms apart. */
    config.machine.gap_ms = (int64_t)(s->open + s->open / 2);
    config.machine.grace_ms = config.machine.out_of_orderness_ms = 0;
    config.machine.max_duration_ms = INT64_C(1) << 45;
    const mtf_event_decoder events = status ? (mtf_event_decoder){0} : mtf_decoder_events(decoder);
    const size_t before = resident_bytes();
    if (!status)
        status =
            mtf_sessionize_open(&config, &source, &sink, &events, mtf_session_encode, &stage, err);
    if (!status) status = take(stage, s, warm, err);
    const double began_cpu = cpu_seconds(), began = 1e-9 * (double)mtf_clock_mono_ns();
    if (!status) status = take(stage, s, s->total, err);
    const double cpu = cpu_seconds() - began_cpu, wall = 1e-9 * (double)mtf_clock_mono_ns() - began;
    if (!status) status = mtf_sessionize_commit(stage, err);
    const size_t held = resident_bytes() - before;
    supply spare = *s;
    spare.record = (mtf_buf){0};
    const double making_from = cpu_seconds();
    for (uint64_t i = warm; i < s->total && !status; i++) status = make(&spare, i, err);
    const double making = cpu_seconds() - making_from;
    mtf_buf_fini(&spare.record);
    if (!status) {
        const mtf_sessionize_counters *counts = mtf_sessionize_count(stage);
        const double open = (double)mtf_sessionize_get(counts, MTF_SESSIONIZE_OPEN);
        const double events_held = (double)mtf_sessionize_get(counts, MTF_SESSIONIZE_HELD);
        const double count = (double)(s->total - warm);
        const double bytes = (double)s->bytes / (double)s->given;
        printf("{\"open_sessions\": %.0f, \"events_held\": %.0f, \"ns_per_event\": %.0f, "
               "\"events_per_s\": %.0f, "
               "\"event_bytes\": %.0f, \"bytes_per_open_session\": %.0f, "
               "\"own_bytes_per_open_session\": %.0f, "
               "\"making_ns\": %.0f, \"wall_s\": %.2f",
               open, events_held, 1e9 * (cpu - making) / count, count / (cpu - making), bytes,
               (double)held / open, bytes * events_held / open, 1e9 * making / count, wall);
        if (s->partitions == 1) {
            double recovery_s = 0;
            int64_t replayed = 0;
            mtf_sessionize_close(stage);
            status = mtf_sessionize_open(&config, &source, &sink, &events, mtf_session_encode,
                                         &stage, err);
            if (!status) status = recover(s, stage, making / count, &recovery_s, &replayed, err);
            printf(", \"replayed_events\": %lld, \"recovery_cpu_s\": %.2f", (long long)replayed,
                   recovery_s);
        }
        printf("}\n");
    }
    if (stage) mtf_sessionize_close(stage);
    mtf_decoder_close(decoder);
    mtf_settings_fini(&settings);
    return status;
}

int main(int argc, char **argv)
{
    mtf_err err = {0};
    supply s = {.open = argc > 1 ? strtoull(argv[1], NULL, 10) : 0,
                .a_session = argc > 2 ? strtoull(argv[2], NULL, 10) : 20,
                .partitions = argc > 4 ? strtoull(argv[4], NULL, 10) : 1,
                .committed = -1};
    const uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 3000000;
    if (s.open < 1 || s.a_session < 1 || events < 1 || s.partitions < 1 ||
        s.partitions > PARTITIONS_MAX) {
        fprintf(stderr, "usage: sessionize OPEN [events a session] [events] [partitions]\n");
        return 64;
    }
    /* Until as many sessions close as open: twice a session's length, at least one. */
    const uint64_t warm = s.open * (s.a_session + s.a_session / 4 + 2);
    s.total = warm + events;
    set_up_event(&s);
    const mtf_status status = run(&s, warm, &err);
    if (status) fprintf(stderr, "sessionize: %s\n", err.msg);
    mtf_buf_fini(&s.record);
    return status ? 1 : 0;
}
