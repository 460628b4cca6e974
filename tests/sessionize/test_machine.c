/** Goal: the state machine does what the design's six rules say, and a crash at any offset, any
 *  number of times, changes neither its state nor its output. Method: random logs through it and
 *  through a slow model written from the rules' words (oracle.c); at every commit point the
 * metadata is parsed back, the log replayed, and state, next metadata and all later output compared
 * with those of a machine that never stopped. Then the streams that broke earlier designs, by name.
 *  MTF_TEST_SEED and MTF_TEST_STREAMS change the defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "oracle.h"
#include "sessionize/emit.h"
#include "stream.h"

#define FUNCTION UINT64_C(0x0123456789abcdef)

/** A machine with what it printed: the oracle's lines. */
struct run {
    const struct stream *stream;
    mtf_machine_config config;
    mtf_aggregators aggregators;
    mtf_machine *machine;
    mtf_keeper *keeper; /* of all runs */
    mtf_arena arena;
    mtf_buf out;
    int64_t dropped;
    bool silent; /* nothing may come out now */
};

static mtf_status print_closed(void *self, const mtf_activity *activity, int64_t headless_ms,
                               mtf_err *err)
{
    struct run *run = self;
    const mtf_emit_config config = {run->config.gap_ms, run->config.max_duration_ms,
                                    &run->aggregators};
    mtf_emission emission;
    assert_false(run->silent);
    mtf_arena_reset(&run->arena);
    const mtf_status status = mtf_emit(&config, activity, headless_ms, &run->arena, &emission, err);
    if (status != MTF_OK) return status;
    for (uint32_t i = 0; i < emission.session_count; i++)
        stream_print_session(&emission.sessions[i], emission.event_counts[i], &run->out);
    for (uint32_t i = 0; i < emission.aside_count; i++) {
        const mtf_record *record = emission.asides[i].record;
        mtf_buf_printf(&run->out, "aside %.*s %.*s %s\n", (int)record->key.size,
                       (const char *)record->key.data, (int)record->value.size,
                       (const char *)record->value.data,
                       emission.asides[i].reason == MTF_ASIDE_NO_REQUEST ? "no_request"
                                                                         : "double_signal");
    }
    return MTF_OK;
}

static void run_init(struct run *run, const struct stream *stream, const mtf_machine_config *config)
{
    mtf_err err;
    static mtf_keeper keeper;
    *run = (struct run){.stream = stream, .config = *config, .keeper = &keeper};
    assert_int_equal(mtf_aggregators_init(&run->aggregators, STREAM_AGGREGATORS, &err), MTF_OK);
}

static void run_at(struct run *run, const mtf_place *place, int64_t first_offset)
{
    const mtf_machine_output output = {run, print_closed};
    mtf_machine_free(run->machine);
    run->machine = mtf_machine_new(&run->config, &output, run->keeper, place, first_offset);
    assert_non_null(run->machine);
}

static void run_fini(struct run *run)
{
    mtf_machine_free(run->machine);
    mtf_aggregators_fini(&run->aggregators);
    mtf_arena_fini(&run->arena);
    mtf_buf_fini(&run->out);
}

/** One record, without the jump before it. */
static void feed(struct run *run, int offset)
{
    const struct sample *sample = &run->stream->data[offset];
    mtf_machine *machine = run->machine;
    struct input input;
    mtf_fate fate;
    mtf_err err;
    if (sample->bad) {
        mtf_machine_skip(machine, offset);
        return;
    }
    stream_input(sample, offset, &input);
    assert_int_equal(mtf_machine_record(machine, &input.message, &input.event, &fate, &err),
                     MTF_OK);
    if (machine->replaying) return;
    if (fate == MTF_FATE_FUTURE) mtf_buf_printf(&run->out, "future %s\n", sample->id);
    if (fate == MTF_FATE_LATE) mtf_buf_printf(&run->out, "late %s\n", sample->id);
    if (fate == MTF_FATE_NO_REQUEST) mtf_buf_printf(&run->out, "no_request %s\n", sample->id);
    run->dropped += machine->drops.duplicates + machine->drops.over_cap;
    machine->drops = (mtf_drops){0};
}

static void jump(struct run *run, int offset)
{
    mtf_machine *machine = run->machine;
    const int64_t by_ms = run->stream->data[offset].jump_ms;
    mtf_err err;
    if (by_ms == 0 || machine->watermark_ms == MTF_WATERMARK_NONE) return;
    assert_int_equal(mtf_machine_jump(machine, machine->watermark_ms + by_ms, &err), MTF_OK);
}

/** Commit points: before and after the jump of each offset, and at the end. */
static int point_count(const struct stream *stream)
{
    return 2 * stream->count + 1;
}

/** From commit point a to b. */
static void advance(struct run *run, int a, int b)
{
    for (int point = a; point < b; point++) {
        if (point % 2 == 0)
            jump(run, point / 2);
        else
            feed(run, point / 2);
    }
}

static void metadata(struct run *run, char text[MTF_METADATA_BYTES_MAX + 1])
{
    mtf_place place;
    mtf_machine_place(run->machine, &place);
    mtf_place_print(&place, FUNCTION, text);
}

/** Everything the machine knows. */
static void print_state(struct run *run, mtf_buf *out)
{
    char text[MTF_METADATA_BYTES_MAX + 1];
    metadata(run, text);
    mtf_buf_printf(out, "%s kept %lld\n", text, (long long)run->machine->kept);
    mtf_arena_reset(&run->arena);
    for (const mtf_activity *a = run->machine->open.oldest; a; a = a->newer) {
        mtf_buf_printf(out, "%.*s bucket %lld %lld-%lld first %lld before %lld over %lld:",
                       (int)mtf_activity_user(a).size, mtf_activity_user(a).data,
                       (long long)a->bucket, (long long)a->start_ms, (long long)a->end_ms,
                       (long long)a->first_offset, (long long)a->w_before_ms,
                       (long long)a->over_cap_from_ms);
        for (uint32_t i = 0; i < a->records.count; i++) {
            mtf_record record;
            assert_true(mtf_record_unpack(&record, a->records.pieces[i], mtf_activity_user(a),
                                          &run->arena));
            mtf_buf_printf(out, " %.*s@%lld#%lld+%zu", (int)record.event.event_id.size,
                           record.event.event_id.data, (long long)record.place_ms,
                           (long long)record.offset, record.value.size);
        }
        mtf_buf_printf(out, "\n");
        assert_true(a->end_ms + run->config.gap_ms + run->config.grace_ms >=
                    run->machine->watermark_ms);
    }
    mtf_buf_put_u8(out, 0);
}

/** Recovers from metadata; stop_at >= 0 gives up when so many records are replayed. */
static void recover(struct run *run, const char *text, int stop_at)
{
    mtf_place place;
    uint64_t function;
    mtf_err err;
    assert_int_equal(mtf_place_parse(text, &place, &function, &err), MTF_OK);
    assert_true(function == FUNCTION);
    run_at(run, &place, place.safe_offset);
    if (!run->machine->replaying) return;
    run->silent = true;
    for (int o = (int)place.safe_offset; o < place.next_offset && stop_at-- != 0; o++) feed(run, o);
    if (stop_at >= 0 || run->machine->next_offset == place.next_offset)
        assert_true(mtf_machine_go_live(run->machine));
    run->silent = false;
}

static void explain(const struct stream *stream, uint64_t seed, int index, int point,
                    const char *what, const mtf_buf *a, const mtf_buf *b)
{
    mtf_buf text = {0};
    stream_print(stream, &text);
    mtf_buf_put_u8(&text, 0);
    fail_msg("%s: seed %llu stream %d commit point %d\n%s--- is\n%.*s\n--- should be\n%.*s", what,
             (unsigned long long)seed, index, point, (const char *)text.data, (int)a->size,
             (const char *)a->data, (int)b->size, (const char *)b->data);
}

static bool same_bytes(const mtf_buf *a, const mtf_buf *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/** The machine that never stops, with what it knew at each commit point. */
struct history {
    struct run run;
    mtf_buf state[2 * STREAM_MAX + 1];
    char metadata[2 * STREAM_MAX + 1][256];
    size_t out_size[2 * STREAM_MAX + 1];
};

static void history_init(struct history *history, const struct stream *stream,
                         const mtf_machine_config *config)
{
    const mtf_place clean = mtf_place_clean(0);
    char text[MTF_METADATA_BYTES_MAX + 1];
    memset(history, 0, sizeof *history);
    run_init(&history->run, stream, config);
    run_at(&history->run, &clean, 0);
    for (int point = 0; point < point_count(stream); point++) {
        if (point) advance(&history->run, point - 1, point);
        print_state(&history->run, &history->state[point]);
        metadata(&history->run, text);
        assert_true(strlen(text) < sizeof history->metadata[point]);
        memcpy(history->metadata[point], text, strlen(text) + 1);
        history->out_size[point] = history->run.out.size;
    }
    mtf_buf_printf(&history->run.out, "open %lld dropped %lld\n",
                   (long long)history->run.machine->kept, (long long)history->run.dropped);
}

static void history_fini(struct history *history)
{
    for (int point = 0; point < point_count(history->run.stream); point++)
        mtf_buf_fini(&history->state[point]);
    run_fini(&history->run);
}

/** A crash at one commit point: the same state, and the same output ever after. */
static void check_crash(const struct history *history, int point, uint64_t seed, int index)
{
    const struct stream *stream = history->run.stream;
    const size_t before = history->out_size[point];
    struct run run;
    mtf_buf state = {0};
    run_init(&run, stream, &history->run.config);
    recover(&run, history->metadata[point], -1);
    assert_int_equal(run.out.size, 0);
    print_state(&run, &state);
    if (!same_bytes(&state, &history->state[point]))
        explain(stream, seed, index, point, "recovered state", &state, &history->state[point]);
    advance(&run, point, point_count(stream) - 1);
    const mtf_buf rest = {.data = history->run.out.data + before,
                          .size = history->out_size[point_count(stream) - 1] - before};
    if (!same_bytes(&run.out, &rest))
        explain(stream, seed, index, point, "output after recovery", &run.out, &rest);
    mtf_buf_fini(&state);
    run_fini(&run);
}

/** Crashes again and again, also in the middle of a replay; output since the last commit is lost
 *  with the crash, as an aborted transaction's is. */
static void check_crashes(const struct history *history, mtf_rng *rng, uint64_t seed, int index)
{
    const struct stream *stream = history->run.stream;
    const int last = point_count(stream) - 1;
    struct run run;
    run_init(&run, stream, &history->run.config);
    for (int point = 0; point < last;) {
        const size_t committed = run.out.size;
        const int until = point + 1 + (int)mtf_rng_below(rng, (uint64_t)(last - point));
        if (mtf_rng_uniform(rng) < .5)
            recover(&run, history->metadata[point], (int)mtf_rng_below(rng, 8));
        recover(&run, history->metadata[point], -1);
        advance(&run, point, until);
        if (mtf_rng_uniform(rng) < .5)
            point = until; /* committed; the next turn crashes all the same */
        else
            run.out.size = committed;
    }
    const mtf_buf all = {.data = history->run.out.data, .size = history->out_size[last]};
    if (!same_bytes(&run.out, &all))
        explain(stream, seed, index, last, "output with crashes", &run.out, &all);
    run_fini(&run);
}

static void check_stream(const struct stream *stream, const mtf_machine_config *config,
                         uint64_t seed, int index)
{
    struct history history;
    mtf_buf expected = {0};
    mtf_rng rng = mtf_rng_of(seed, (uint64_t)index + (UINT64_C(1) << 40));
    history_init(&history, stream, config);
    oracle_run(stream, config, &expected);
    if (!same_bytes(&history.run.out, &expected))
        explain(stream, seed, index, -1, "output against the model", &history.run.out, &expected);
    for (int point = 0; point < point_count(stream); point++)
        check_crash(&history, point, seed, index);
    check_crashes(&history, &rng, seed, index);
    mtf_buf_fini(&expected);
    history_fini(&history);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void any_stream_any_crash_same_state_same_output(void **state)
{
    (void)state;
    const uint64_t seed = number_from_environment("MTF_TEST_SEED", 1);
    const int count = (int)number_from_environment("MTF_TEST_STREAMS", 6000);
    for (int i = 0; i < count; i++) {
        mtf_machine_config config = stream_config();
        config.max_events = (uint32_t)(2 + i % 5);
        mtf_rng rng = mtf_rng_of(seed, (uint64_t)i);
        struct stream stream;
        stream_random(&stream, &rng);
        check_stream(&stream, &config, seed, i);
    }
    print_message("%d streams from seed %llu\n", count, (unsigned long long)seed);
}

/* ---- the streams that broke earlier designs ---- */

static struct sample at(mtf_event_kind kind, const char *user, const char *id, int64_t time_ms)
{
    struct sample s = {.kind = kind, .time_ms = time_ms, .append_ms = time_ms};
    snprintf(s.user, sizeof s.user, "%s", user);
    snprintf(s.id, sizeof s.id, "%s", id);
    return s;
}

static struct sample request(const char *user, const char *id, int64_t time_ms)
{
    return at(MTF_EVENT_REQUEST, user, id, time_ms);
}

static struct sample feedback(const char *user, const char *id, const char *request_id,
                              int64_t request_time_ms, int64_t time_ms)
{
    struct sample s = at(MTF_EVENT_FEEDBACK, user, id, time_ms);
    snprintf(s.request_id, sizeof s.request_id, "%s", request_id);
    s.request_time_ms = request_time_ms;
    return s;
}

/** Never cut by the cap, which these streams are not about. */
static mtf_machine_config named_config(uint32_t max_events)
{
    mtf_machine_config config = stream_config();
    config.max_duration_ms = INT64_C(1) << 40;
    config.max_events = max_events;
    config.max_future_ms = 1000;
    return config;
}

/** Every commit point against oracle and replay; after `crash` records the safe offset is `safe`.
 */
static void check_named(const struct stream *stream, const mtf_machine_config *config, int crash,
                        int64_t safe)
{
    const mtf_place clean = mtf_place_clean(0);
    struct run run;
    mtf_place place;
    check_stream(stream, config, 0, 0);
    run_init(&run, stream, config);
    run_at(&run, &clean, 0);
    advance(&run, 0, 2 * crash);
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.next_offset, crash);
    assert_int_equal(place.safe_offset, safe);
    run_fini(&run);
}

static void a_bridge_merges_what_it_touches(void **state)
{
    (void)state;
    const mtf_machine_config config = named_config(6);
    const struct stream stream = {{request("u", "r0", -23), request("u", "r1", 12),
                                   request("u", "r2", 43), request("u", "r3", 38),
                                   request("v", "r4", 79)},
                                  5};
    check_named(&stream, &config, 5, 1);
}

static void over_cap_content_extends(void **state)
{
    (void)state;
    const mtf_machine_config config = named_config(3);
    const struct stream stream = {{request("u", "r0", 21), request("u", "r1", 29),
                                   request("u", "r2", 38), request("v", "r3", 54),
                                   request("u", "r4", 59), request("v", "r5", 81)},
                                  6};
    check_named(&stream, &config, 6, 0);
}

static void a_duplicate_extends(void **state)
{
    (void)state;
    const mtf_machine_config config = named_config(6);
    const struct stream stream = {{request("u", "r0", 2), request("v", "r1", 3),
                                   request("v", "r2", 18), request("u", "r0", 20),
                                   request("u", "r0", 51)},
                                  5};
    check_named(&stream, &config, 5, 0);
}

static void an_end_closes_nothing(void **state)
{
    (void)state;
    const mtf_machine_config config = named_config(6);
    const struct stream stream = {{request("u", "r0", 21), at(MTF_EVENT_SESSION_END, "u", "e1", 58),
                                   request("v", "r2", 46), request("u", "r3", 46),
                                   request("v", "r4", 79), request("u", "r5", 63)},
                                  6};
    check_named(&stream, &config, 5, 0);
}

static void feedback_and_end_decide_nothing(void **state)
{
    (void)state;
    const mtf_machine_config config = named_config(6);
    const struct stream stream = {
        {request("u", "r0", 1), request("v", "r1", 0), at(MTF_EVENT_SESSION_END, "u", "e2", 10),
         feedback("u", "f3", "r0", 1, 4), feedback("v", "f4", "r1", 0, 23)},
        5};
    check_named(&stream, &config, 5, 0);
}

/* ---- single rules ---- */

static mtf_fate fate_of(mtf_machine *machine, struct sample sample)
{
    struct input input;
    mtf_fate fate;
    mtf_err err;
    stream_input(&sample, machine->next_offset, &input);
    assert_int_equal(mtf_machine_record(machine, &input.message, &input.event, &fate, &err),
                     MTF_OK);
    return fate;
}

static void setup_run(struct run *run, uint32_t max_events)
{
    static const struct stream none;
    const mtf_machine_config config = named_config(max_events);
    const mtf_place clean = mtf_place_clean(0);
    run_init(run, &none, &config);
    run_at(run, &clean, 0);
}

static void a_future_record_is_refused_and_moves_nothing(void **state)
{
    (void)state;
    struct run run;
    setup_run(&run, 6);
    struct sample s = request("u", "r0", 1100);
    s.append_ms = 100;
    assert_int_equal(fate_of(run.machine, s), MTF_FATE_KEPT); /* just within max_future */
    assert_int_equal(run.machine->watermark_ms, 95);          /* follows the append time */
    s = request("v", "r1", 1101);
    s.append_ms = 100;
    assert_int_equal(fate_of(run.machine, s), MTF_FATE_FUTURE);
    assert_int_equal(run.machine->watermark_ms, 95);
    run_fini(&run);
}

static void times_no_clock_gives_are_refused(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MAX, MTF_TIME_LIMIT_MS, -MTF_TIME_LIMIT_MS};
    struct run run;
    setup_run(&run, 6);
    for (int i = 0; i < 4; i++) {
        struct sample s = request("u", "r0", times[i]);
        assert_int_equal(fate_of(run.machine, s), MTF_FATE_TIME_RANGE);
        s.time_ms = 1;
        assert_int_equal(fate_of(run.machine, s), MTF_FATE_TIME_RANGE);
        s = feedback("u", "f0", "r0", times[i], 10);
        assert_int_equal(fate_of(run.machine, s), MTF_FATE_TIME_RANGE);
    }
    assert_int_equal(run.machine->watermark_ms, MTF_WATERMARK_NONE);
    run_fini(&run);
}

static void closing_and_lateness_begin_just_past_gap_and_grace(void **state)
{
    (void)state;
    struct run run;
    setup_run(&run, 6);
    fate_of(run.machine, request("u", "r0", 0));
    fate_of(run.machine, request("v", "r1", 37)); /* W = 32 = 0 + gap + grace */
    assert_int_equal(run.machine->open.count, 2);
    assert_int_equal(mtf_machine_due_ms(run.machine), 33);
    assert_int_equal(fate_of(run.machine, request("w", "r2", 0)), MTF_FATE_KEPT);
    assert_int_equal(fate_of(run.machine, request("x", "r3", -1)), MTF_FATE_LATE);
    fate_of(run.machine, request("v", "r4", 38)); /* W = 33 */
    assert_int_equal(run.machine->open.count, 1);
    run_fini(&run);
}

static void a_merge_keeps_the_first_by_offset(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int64_t time_ms;
    } records[] = {{"r0", 0}, {"r1", 60}, {"r2", 61}, {"r2", 1}, {"r4", 2}, {"r5", 30}};
    struct run run;
    setup_run(&run, 3);
    for (int i = 0; i < 6; i++) {
        struct sample s = request("u", records[i].id, records[i].time_ms);
        s.append_ms = 0;                                          /* W stands still */
        if (i == 5) assert_int_equal(run.machine->open.count, 2); /* r5 bridges them */
        fate_of(run.machine, s);
    }
    assert_int_equal(run.machine->open.count, 1);
    const mtf_activity *merged = run.machine->open.oldest;
    assert_int_equal(merged->records.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mtf_record_peek(merged->records.pieces[i]).offset, i);
    assert_int_equal(run.machine->drops.duplicates, 1); /* the later r2 */
    assert_int_equal(run.machine->drops.over_cap, 2);   /* r4, kept until then, and r5 */
    assert_int_equal(run.machine->kept, 3);
    assert_int_equal(merged->over_cap_from_ms, 2);
    run_fini(&run);
}

static void thousands_of_ids_are_told_apart(void **state)
{
    (void)state;
    struct run run;
    setup_run(&run, 3000);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2500; i++) {
            struct sample s = request("u", "", 100);
            snprintf(s.id, sizeof s.id, "r%d", i);
            assert_int_equal(fate_of(run.machine, s), round ? MTF_FATE_DUPLICATE : MTF_FATE_KEPT);
        }
    assert_int_equal(run.machine->kept, 2500);
    run_fini(&run);
}

static void a_jump_the_next_record_overtakes_is_forgotten(void **state)
{
    (void)state;
    struct run run;
    mtf_place place;
    mtf_err err;
    setup_run(&run, 6);
    fate_of(run.machine, request("u", "r0", 0));
    fate_of(run.machine, request("v", "r1", 30));
    assert_int_equal(mtf_machine_jump(run.machine, 40, &err), MTF_OK); /* closes u */
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, 1);
    fate_of(run.machine, request("w", "r2", 50)); /* W = 45 > 40 */
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, 0);
    assert_int_equal(mtf_machine_jump(run.machine, 50, &err), MTF_OK);
    fate_of(run.machine, request("w", "r3", 50)); /* W stays 50: the jump decides on */
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, 1);
    run_fini(&run);
}

static void jumps_at_one_offset_are_one(void **state)
{
    (void)state;
    struct run run;
    mtf_place place;
    mtf_err err;
    setup_run(&run, 6);
    fate_of(run.machine, request("u", "r0", 100));
    for (int w = 100; w < 130; w++)
        assert_int_equal(mtf_machine_jump(run.machine, w, &err), MTF_OK);
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, 1);
    assert_int_equal(place.jumps[0].watermark_ms, 129);
    run_fini(&run);
}

static void past_the_cap_only_a_jump_that_closes_all_is_made(void **state)
{
    (void)state;
    char text[MTF_METADATA_BYTES_MAX + 1];
    struct run run;
    mtf_place place;
    mtf_err err;
    setup_run(&run, 1000);
    fate_of(run.machine, request("u", "r0", 0));
    for (int i = 1; i <= MTF_JUMPS_MAX + 5; i++) {
        /* Each record keeps u open, and its time lies behind the watermark the jump made. */
        const int64_t watermark_ms = 10 * i + 1;
        const bool can = mtf_machine_can_jump(run.machine, watermark_ms);
        assert_int_equal(can, i <= MTF_JUMPS_MAX);
        if (can) assert_int_equal(mtf_machine_jump(run.machine, watermark_ms, &err), MTF_OK);
        struct sample s = request("u", "", 10 * i);
        snprintf(s.id, sizeof s.id, "s%d", i);
        s.append_ms = 10 * i - 10;
        fate_of(run.machine, s);
    }
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, MTF_JUMPS_MAX);
    mtf_place_print(&place, FUNCTION, text);
    mtf_place again;
    uint64_t function;
    assert_int_equal(mtf_place_parse(text, &again, &function, &err), MTF_OK);

    assert_false(mtf_machine_can_jump(run.machine, mtf_machine_done_ms(run.machine) - 1));
    assert_int_equal(mtf_machine_jump(run.machine, mtf_machine_done_ms(run.machine), &err), MTF_OK);
    assert_int_equal(run.machine->open.count, 0);
    mtf_machine_place(run.machine, &place);
    assert_int_equal(place.jump_count, 0);
    assert_int_equal(place.safe_offset, place.next_offset);
    run_fini(&run);
}

static void a_log_without_its_head_marks_the_first_sessions(void **state)
{
    (void)state;
    static const struct stream none;
    const mtf_machine_config config = named_config(6);
    mtf_place place = mtf_place_clean(10);
    char text[MTF_METADATA_BYTES_MAX + 1];
    uint64_t function;
    struct run run;
    mtf_err err;
    run_init(&run, &none, &config);
    run_at(&run, &place, 10);
    fate_of(run.machine, request("u", "r0", 0)); /* H = -5 + 5 + 1000 */
    metadata(&run, text);
    assert_int_equal(mtf_place_parse(text, &place, &function, &err), MTF_OK);
    assert_int_equal(place.headless_ms, 1000);
    fate_of(run.machine, request("v", "r1", 1030));
    fate_of(run.machine, request("w", "r2", 1031));
    fate_of(run.machine, request("x", "r3", 2000));
    mtf_buf_put_u8(&run.out, 0);
    const char *out = (const char *)run.out.data;
    assert_non_null(strstr(out, "0-0 gap head events 1: [r0@"));
    assert_non_null(strstr(out, "1030-1030 gap head events 1: [r1@"));
    assert_non_null(strstr(out, "1031-1031 gap events 1: [r2@"));
    run_fini(&run);
}

static void a_replay_without_its_head_takes_the_committed_watermark(void **state)
{
    (void)state;
    static const struct stream none;
    const mtf_machine_config config = named_config(6);
    mtf_place place = {.next_offset = 20,
                       .watermark_ms = 500,
                       .safe_offset = 5,
                       .safe_watermark_ms = 100,
                       .headless_ms = MTF_WATERMARK_NONE};
    struct run run;
    run_init(&run, &none, &config);
    run_at(&run, &place, 12);
    assert_true(run.machine->replaying);
    fate_of(run.machine, request("u", "r0", 490));
    assert_int_equal(run.machine->headless_ms, 1505); /* 500 + 5 + 1000 */
    assert_false(mtf_machine_go_live(run.machine));   /* the record that made 500 is gone */
    assert_int_equal(run.machine->watermark_ms, 500);
    assert_int_equal(run.machine->next_offset, 20);

    run_at(&run, &place, 30); /* all of it is gone */
    assert_false(run.machine->replaying);
    assert_int_equal(run.machine->watermark_ms, 500);
    assert_int_equal(run.machine->next_offset, 30);
    run_fini(&run);
}

static void every_setting_that_decides_changes_the_function_hash(void **state)
{
    (void)state;
    const mtf_machine_config config = stream_config();
    const uint64_t base = mtf_machine_function(&config, "x=sum", "avro1");
    assert_true(mtf_machine_function(&config, "x=sum", "avro1") == base);
    assert_true(mtf_machine_function(&config, "x=max", "avro1") != base);
    assert_true(mtf_machine_function(&config, "x=sum", "avro2") != base);
    mtf_machine_config other = config;
    other.gap_ms++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
    other = config;
    other.grace_ms++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
    other = config;
    other.out_of_orderness_ms++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
    other = config;
    other.max_future_ms++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
    other = config;
    other.max_duration_ms++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
    other = config;
    other.max_events++;
    assert_true(mtf_machine_function(&other, "x=sum", "avro1") != base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bridge_merges_what_it_touches),
        cmocka_unit_test(over_cap_content_extends),
        cmocka_unit_test(a_duplicate_extends),
        cmocka_unit_test(an_end_closes_nothing),
        cmocka_unit_test(feedback_and_end_decide_nothing),
        cmocka_unit_test(a_future_record_is_refused_and_moves_nothing),
        cmocka_unit_test(times_no_clock_gives_are_refused),
        cmocka_unit_test(closing_and_lateness_begin_just_past_gap_and_grace),
        cmocka_unit_test(a_merge_keeps_the_first_by_offset),
        cmocka_unit_test(thousands_of_ids_are_told_apart),
        cmocka_unit_test(a_jump_the_next_record_overtakes_is_forgotten),
        cmocka_unit_test(jumps_at_one_offset_are_one),
        cmocka_unit_test(past_the_cap_only_a_jump_that_closes_all_is_made),
        cmocka_unit_test(a_log_without_its_head_marks_the_first_sessions),
        cmocka_unit_test(a_replay_without_its_head_takes_the_committed_watermark),
        cmocka_unit_test(every_setting_that_decides_changes_the_function_hash),
        cmocka_unit_test(any_stream_any_crash_same_state_same_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
