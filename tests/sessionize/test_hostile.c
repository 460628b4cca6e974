/** Goal: no content makes the sessionizer slow, large or stuck. Method: what a hostile producer can
 *  pile up in one session, each at a size where work that grows with the square would take minutes;
 *  the bounds are CPU seconds many times above what linear work takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sessionize/emit.h"
#include "sessionize/machine.h"

#define MANY        100000u
#define CPU_SECONDS 8.0

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static mtf_str numbered(mtf_arena *arena, const char *what, uint32_t i)
{
    char *text = mtf_arena_take(arena, 24);
    assert_non_null(text);
    return (mtf_str){text, (uint32_t)snprintf(text, 24, "%s%u", what, (unsigned)i)};
}

struct pile {
    mtf_arena texts, emitted;
    mtf_keeper keeper;
    mtf_activity *activity;
    mtf_aggregators aggregators;
    mtf_emission emission;
};

static void pile_init(struct pile *p)
{
    mtf_err err;
    *p = (struct pile){0};
    p->activity = mtf_activity_new(&p->keeper, mtf_str_of("u"), 1, 0, 1, 0, 0);
    assert_int_equal(mtf_aggregators_init(&p->aggregators, "s=sum", &err), MTF_OK);
}

static void pile_add(struct pile *p, const mtf_event *event)
{
    mtf_err err;
    const mtf_message message = {.offset = p->activity->records.count, .timestamp_ms = 1};
    assert_int_equal(mtf_activity_append(p->activity, &p->keeper, &message, event, &err), MTF_OK);
}

/** Emits within the bound, then frees. */
static void pile_emit(struct pile *p, uint32_t sessions, uint32_t asides)
{
    mtf_err err;
    const mtf_emit_config config = {
        .gap_ms = 30, .max_duration_ms = INT64_C(1) << 40, .aggregators = &p->aggregators};
    const double started = cpu_seconds();
    assert_int_equal(
        mtf_emit(&config, p->activity, MTF_WATERMARK_NONE, &p->emitted, &p->emission, &err),
        MTF_OK);
    assert_true(cpu_seconds() - started < CPU_SECONDS);
    assert_int_equal(p->emission.session_count, sessions);
    assert_int_equal(p->emission.aside_count, asides);
}

static void pile_fini(struct pile *p)
{
    mtf_activity_free(p->activity, &p->keeper);
    mtf_keeper_fini(&p->keeper);
    mtf_aggregators_fini(&p->aggregators);
    mtf_arena_fini(&p->texts);
    mtf_arena_fini(&p->emitted);
}

static mtf_event request_of(mtf_str id, mtf_item *items, uint32_t item_count)
{
    return (mtf_event){.event_id = id,
                       .user_id = mtf_str_of("u"),
                       .event_time_ms = 1,
                       .kind = MTF_EVENT_REQUEST,
                       .body.request = {.items = items, .item_count = item_count}};
}

static mtf_event feedback_of(mtf_str id, mtf_str item_id, mtf_signals signals)
{
    return (mtf_event){.event_id = id,
                       .user_id = mtf_str_of("u"),
                       .event_time_ms = 1,
                       .kind = MTF_EVENT_FEEDBACK,
                       .body.feedback = {.request_id = mtf_str_of("r"),
                                         .request_time_ms = 1,
                                         .item_id = item_id,
                                         .signals = signals}};
}

static void a_session_id_for_every_event(void **state)
{
    (void)state;
    struct pile p;
    pile_init(&p);
    for (uint32_t i = 0; i < MANY; i++) {
        mtf_event event = request_of(numbered(&p.texts, "r", i), NULL, 0);
        event.session_id = numbered(&p.texts, "s", i);
        pile_add(&p, &event);
    }
    pile_emit(&p, MANY, 0);
    pile_fini(&p);
}

static void feedback_for_every_item_of_a_long_list(void **state)
{
    (void)state;
    struct pile p;
    mtf_signal signal = {mtf_str_of("s"), 1};
    pile_init(&p);
    mtf_item *items = calloc(MANY, sizeof *items);
    assert_non_null(items);
    for (uint32_t i = 0; i < MANY; i++) items[i].item_id = numbered(&p.texts, "i", i);
    items[7].item_id = items[3].item_id; /* of two alike the first takes the feedback */
    const mtf_event request = request_of(mtf_str_of("r"), items, MANY);
    pile_add(&p, &request);
    for (uint32_t i = 0; i < MANY; i++) {
        const mtf_event event =
            feedback_of(numbered(&p.texts, "f", i), items[i].item_id, (mtf_signals){&signal, 1});
        pile_add(&p, &event);
    }
    const mtf_event stray =
        feedback_of(mtf_str_of("f"), mtf_str_of("x"), (mtf_signals){&signal, 1});
    pile_add(&p, &stray);
    pile_emit(&p, 1, 1);
    const mtf_item *out = p.emission.sessions[0].steps[0].request.items;
    assert_true(out[3].signals.data[0].value == 2 && out[7].signals.count == 0);
    assert_true(out[MANY - 1].signals.data[0].value == 1);
    free(items);
    pile_fini(&p);
}

static void names_without_end_for_one_items_signals(void **state)
{
    (void)state;
    struct pile p;
    mtf_signal *signals = calloc(MANY, sizeof *signals);
    assert_non_null(signals);
    pile_init(&p);
    for (uint32_t i = 0; i < MANY; i++) signals[i] = (mtf_signal){numbered(&p.texts, "n", i), i};
    mtf_item item = {.item_id = mtf_str_of("i"), .signals = {signals, MANY / 2}};
    const mtf_event request = request_of(mtf_str_of("r"), &item, 1);
    pile_add(&p, &request);
    for (uint32_t i = 0; i < 500; i++) { /* a thousand new names each, then one that came joined */
        const uint32_t first = MANY / 2 + i % 50 * 1000, count = 1000;
        const mtf_event event = feedback_of(numbered(&p.texts, "f", i), item.item_id,
                                            (mtf_signals){signals + first, count});
        pile_add(&p, &event);
    }
    const mtf_event doubled =
        feedback_of(mtf_str_of("g"), item.item_id, (mtf_signals){signals + MANY / 2 - 1, 2});
    pile_add(&p, &doubled);
    pile_emit(&p, 1, 1);
    assert_int_equal(p.emission.asides[0].reason, MTF_ASIDE_DOUBLE_SIGNAL);
    assert_int_equal(p.emission.sessions[0].steps[0].request.items[0].signals.count, MANY);
    free(signals);
    pile_fini(&p);
}

struct closed {
    uint32_t count, records;
    mtf_keeper keeper;
};

static mtf_status take_closed(void *self, const mtf_activity *activity, int64_t headless_ms,
                              mtf_err *err)
{
    struct closed *closed = self;
    (void)headless_ms, (void)err;
    closed->count++;
    closed->records += activity->records.count;
    return MTF_OK;
}

static mtf_machine *machine_of(struct closed *closed, uint32_t max_events)
{
    const mtf_machine_config config = {.gap_ms = 1800000,
                                       .grace_ms = 60000,
                                       .out_of_orderness_ms = 5000,
                                       .max_future_ms = 300000,
                                       .max_duration_ms = 21600000,
                                       .max_events = max_events};
    const mtf_machine_output output = {closed, take_closed};
    const mtf_place place = mtf_place_clean(0);
    mtf_machine *machine = mtf_machine_new(&config, &output, &closed->keeper, &place, 0);
    assert_non_null(machine);
    return machine;
}

static mtf_fate feed(mtf_machine *machine, const char *user, int64_t time_ms)
{
    char id[24];
    mtf_err err;
    mtf_fate fate;
    const int64_t offset = machine->next_offset;
    snprintf(id, sizeof id, "%lld", (long long)offset);
    mtf_event event = request_of(mtf_str_of(id), NULL, 0);
    event.user_id = mtf_str_of(user);
    event.event_time_ms = time_ms;
    const mtf_message message = {.offset = offset, .timestamp_ms = time_ms};
    assert_int_equal(mtf_machine_record(machine, &message, &event, &fate, &err), MTF_OK);
    return fate;
}

/** To the second. */
static int64_t bucket_start_ms(const char *user, int64_t cap_ms)
{
    int64_t at_ms = 50000000000;
    const int64_t bucket = mtf_session_bucket(mtf_str_of(user), at_ms, cap_ms);
    while (mtf_session_bucket(mtf_str_of(user), at_ms, cap_ms) == bucket) at_ms += 1000;
    return at_ms;
}

static void a_user_with_a_million_events(void **state)
{
    (void)state;
    struct closed closed = {0};
    mtf_machine *machine = machine_of(&closed, 2000);
    const double started = cpu_seconds();
    const int64_t start_ms = bucket_start_ms("u", machine->config.max_duration_ms);
    for (int64_t i = 0; i < 1000000; i++) {
        const mtf_fate fate = feed(machine, "u", start_ms + i);
        assert_int_equal(fate, i < 2000 ? MTF_FATE_KEPT : MTF_FATE_OVER_CAP);
        assert_true(machine->kept <= 2000);
    }
    assert_true(cpu_seconds() - started < CPU_SECONDS);
    assert_int_equal(machine->open.count, 1);
    assert_int_equal(machine->drops.over_cap, 998000);
    mtf_machine_free(machine);
    mtf_keeper_fini(&closed.keeper);
}

static void a_record_costs_the_same_however_many_its_session_holds(void **state)
{
    (void)state;
    struct closed closed = {0};
    mtf_machine *machine = machine_of(&closed, 1000000);
    const double started = cpu_seconds();
    const int64_t start_ms = bucket_start_ms("u", machine->config.max_duration_ms);
    for (uint32_t i = 0; i < 2 * MANY; i++)
        assert_int_equal(feed(machine, "u", start_ms + i), MTF_FATE_KEPT);
    assert_true(cpu_seconds() - started < CPU_SECONDS);
    assert_int_equal(machine->kept, 2 * MANY);
    mtf_machine_free(machine);
    mtf_keeper_fini(&closed.keeper);
}

static void a_session_without_end_is_cut_and_pins_recovery_for_a_cap_at_most(void **state)
{
    (void)state;
    enum { STEP_MS = 60000, DAYS = 5 };
    struct closed closed = {0};
    mtf_machine *machine = machine_of(&closed, 2000);
    const int64_t cap_ms = machine->config.max_duration_ms;
    const int64_t longest =
        (cap_ms + machine->config.gap_ms + machine->config.grace_ms + 5000) / STEP_MS + 2;
    for (int64_t i = 0; i < DAYS * 24 * 60; i++) {
        mtf_place place;
        feed(machine, "bot", 50000000000 + i * STEP_MS);
        mtf_machine_place(machine, &place);
        assert_true(place.next_offset - place.safe_offset <= longest);
    }
    assert_in_range(closed.count, DAYS * 4 - 1, DAYS * 4 + 1); /* four caps of six hours a day */
    assert_int_equal(closed.records + machine->kept, DAYS * 24 * 60);
    mtf_machine_free(machine);
    mtf_keeper_fini(&closed.keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_id_for_every_event),
        cmocka_unit_test(feedback_for_every_item_of_a_long_list),
        cmocka_unit_test(names_without_end_for_one_items_signals),
        cmocka_unit_test(a_user_with_a_million_events),
        cmocka_unit_test(a_record_costs_the_same_however_many_its_session_holds),
        cmocka_unit_test(a_session_without_end_is_cut_and_pins_recovery_for_a_cap_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
