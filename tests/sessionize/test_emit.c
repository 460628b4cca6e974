/** Goal: each rule of emission, alone: cuts, ids, inheritance, feedback, aggregation, truncation,
 *  session ids, parts. Method: activities made by hand, sessions compared as lines of text; the
 *  model's property test covers the combinations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/hash.h"
#include "sessionize/emit.h"
#include "sessionize/parts.h"
#include "stream.h"

#define GAP 30
#define CAP (INT64_C(1) << 40)

struct fixture {
    mtf_aggregators aggregators;
    mtf_arena arena;
    mtf_keeper keeper;
    mtf_activity *activity;
    mtf_emission emission;
    mtf_buf text;
    int64_t cap_ms, headless_ms;
};

static void init(struct fixture *f)
{
    mtf_err err;
    *f = (struct fixture){.cap_ms = CAP, .headless_ms = MTF_WATERMARK_NONE};
    assert_int_equal(mtf_aggregators_init(&f->aggregators, STREAM_AGGREGATORS, &err), MTF_OK);
}

static void fini(struct fixture *f)
{
    mtf_activity_free(f->activity, &f->keeper);
    mtf_keeper_fini(&f->keeper);
    mtf_aggregators_fini(&f->aggregators);
    mtf_arena_fini(&f->arena);
    mtf_buf_fini(&f->text);
}

/** Adds a record to the activity, which it extends. */
static void add(struct fixture *f, struct sample s)
{
    struct input in;
    mtf_err err;
    stream_input(&s, f->activity ? f->activity->records.count : 0, &in);
    const int64_t place_ms = s.kind == MTF_EVENT_FEEDBACK ? s.request_time_ms : s.time_ms;
    if (!f->activity)
        f->activity = mtf_activity_new(&f->keeper, in.event.user_id, 1,
                                       mtf_session_bucket(in.event.user_id, place_ms, f->cap_ms),
                                       place_ms, 0, 0);
    if (place_ms < f->activity->start_ms) f->activity->start_ms = place_ms;
    if (place_ms > f->activity->end_ms) f->activity->end_ms = place_ms;
    assert_int_equal(mtf_activity_append(f->activity, &f->keeper, &in.message, &in.event, &err),
                     MTF_OK);
}

/** What comes out, a line per session (ids left out) and record set aside. */
static const char *emitted(struct fixture *f)
{
    const mtf_emit_config config = {GAP, f->cap_ms, &f->aggregators};
    mtf_buf line = {0};
    mtf_err err;
    mtf_arena_reset(&f->arena);
    mtf_buf_clear(&f->text);
    assert_int_equal(mtf_emit(&config, f->activity, f->headless_ms, &f->arena, &f->emission, &err),
                     MTF_OK);
    for (uint32_t i = 0; i < f->emission.session_count; i++) {
        mtf_buf_clear(&line);
        stream_print_session(&f->emission.sessions[i], f->emission.event_counts[i], &line);
        const size_t id_end = strlen("session u ") + 33; /* "session u <32 hex> " */
        mtf_buf_put(&f->text, line.data + id_end, line.size - id_end);
    }
    for (uint32_t i = 0; i < f->emission.aside_count; i++)
        mtf_buf_printf(&f->text, "aside record %s\n",
                       f->emission.asides[i].reason == MTF_ASIDE_NO_REQUEST ? "no_request"
                                                                            : "double_signal");
    mtf_buf_put_u8(&f->text, 0);
    mtf_buf_fini(&line);
    return (const char *)f->text.data;
}

static struct sample at(mtf_event_kind kind, const char *id, int64_t time_ms, const char *session)
{
    struct sample s = {.kind = kind, .user = "u", .time_ms = time_ms, .append_ms = time_ms};
    snprintf(s.id, sizeof s.id, "%s", id);
    snprintf(s.session_id, sizeof s.session_id, "%s", session);
    return s;
}

static struct sample request(const char *id, int64_t time_ms, const char *session)
{
    return at(MTF_EVENT_REQUEST, id, time_ms, session);
}

static struct sample end(const char *id, int64_t time_ms, const char *session)
{
    return at(MTF_EVENT_SESSION_END, id, time_ms, session);
}

static struct sample feedback(const char *id, const char *request_id, int item, char name,
                              double value, int64_t time_ms)
{
    struct sample s = at(MTF_EVENT_FEEDBACK, id, time_ms, "");
    snprintf(s.request_id, sizeof s.request_id, "%s", request_id);
    s.request_time_ms = 10;
    s.item = item;
    s.signal_count = 1;
    s.names[0] = name;
    s.values[0] = value;
    return s;
}

static void requests_are_sorted_by_time_and_id(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r3", 20, ""));
    add(&f, request("r2", 10, ""));
    add(&f, request("r1", 20, ""));
    assert_string_equal(emitted(&f), "10-20 gap events 3: [r2@10 a b] [r1@20 a b] [r3@20 a b]\n");
    fini(&f);
}

static void an_end_cuts(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    add(&f, end("e2", 12, ""));
    add(&f, request("r3", 14, ""));
    assert_string_equal(emitted(&f), "10-12 end_event events 2: [r1@10 a b]\n"
                                     "14-14 gap events 1: [r3@14 a b]\n");
    fini(&f);
}

static void another_id_cuts_and_null_inherits_the_nearest_earlier(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, "")); /* leading null: the first id there is */
    add(&f, request("r2", 11, "s1"));
    add(&f, request("r3", 12, "")); /* s1 */
    add(&f, request("r4", 13, "s2"));
    add(&f, request("r5", 14, "")); /* s2 */
    assert_string_equal(emitted(&f),
                        "10-12 id_change events 3: [r1@10 a b] [r2@11 a b] [r3@12 a b]\n"
                        "13-14 gap events 2: [r4@13 a b] [r5@14 a b]\n");
    fini(&f);
}

static void interleaved_ids_are_two_sessions(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, "s1"));
    add(&f, request("r2", 11, "s2"));
    add(&f, request("r3", 12, "s1"));
    add(&f, request("r4", 13, "s2"));
    assert_string_equal(emitted(&f), "10-12 id_change events 2: [r1@10 a b] [r3@12 a b]\n"
                                     "11-13 gap events 2: [r2@11 a b] [r4@13 a b]\n");
    fini(&f);
}

static void an_end_closes_its_own_id_only(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, "s1"));
    add(&f, request("r2", 11, "s2"));
    add(&f, end("e3", 12, "s1"));
    add(&f, request("r4", 13, "s2"));
    add(&f, request("r5", 14, "s1")); /* a new session under an ended id */
    assert_string_equal(emitted(&f), "10-12 end_event events 2: [r1@10 a b]\n"
                                     "11-13 id_change events 2: [r2@11 a b] [r4@13 a b]\n"
                                     "14-14 gap events 1: [r5@14 a b]\n");
    fini(&f);
}

static void an_end_without_requests_is_set_aside(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    add(&f, end("e2", 12, ""));
    add(&f, end("e3", 13, ""));
    assert_string_equal(emitted(&f), "10-12 end_event events 2: [r1@10 a b]\n"
                                     "aside record no_request\n");
    assert_int_equal(f.emission.asides[0].record->offset, 2);
    fini(&f);
}

static void feedback_goes_to_its_item_wherever_it_stands(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, "s1"));
    add(&f, request("r2", 11, "s2"));
    add(&f, end("e3", 12, "s1"));
    add(&f, feedback("f4", "r1", 0, 'w', 3, 90));
    add(&f, feedback("f5", "r2", 1, 'w', 4, 91));
    assert_string_equal(emitted(&f), "10-12 end_event events 3: [r1@10 a w=3 b]\n"
                                     "11-11 gap events 2: [r2@11 a b w=4]\n");
    fini(&f);
}

static void feedback_without_its_request_or_item_is_set_aside(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    add(&f, feedback("f2", "r9", 0, 'w', 3, 20));
    add(&f, feedback("f3", "r1", 2, 'w', 3, 20)); /* item c */
    assert_string_equal(emitted(&f), "10-10 gap events 1: [r1@10 a b]\n"
                                     "aside record no_request\naside record no_request\n");
    const mtf_record *aside = f.emission.asides[0].record; /* key and value unchanged */
    assert_memory_equal(aside->key.data, "u", aside->key.size);
    assert_memory_equal(aside->value.data, "f2", aside->value.size);
    assert_true(aside->key.size == 1 && aside->value.size == 2);
    fini(&f);
}

static void a_signal_from_both_sources_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct sample r = request("r1", 10, "");
    r.signal_count = 1;
    r.names[0] = 'w';
    r.values[0] = 7;
    add(&f, r);
    add(&f, feedback("f2", "r1", 0, 'w', 3, 20));
    add(&f, feedback("f3", "r1", 0, 'x', 3, 20)); /* another signal of the item: fine */
    add(&f, feedback("f4", "r1", 1, 'w', 3, 20)); /* the same of another item: fine */
    assert_string_equal(emitted(&f), "10-10 gap events 3: [r1@10 a w=7 x=3 b w=3]\n"
                                     "aside record double_signal\n");
    fini(&f);
}

static void signals_aggregate_in_order_of_their_own_time_and_id(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    static const char names[] = {'x', 'y', 'z', 'w'}; /* sum, max, first, last */
    for (int i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "f%d3", i);
        add(&f, feedback(id, "r1", 0, names[i], 2, 50)); /* the last by id */
        snprintf(id, sizeof id, "f%d2", i);
        add(&f, feedback(id, "r1", 0, names[i], 5, 50));
        snprintf(id, sizeof id, "f%d9", i);
        add(&f, feedback(id, "r1", 0, names[i], 1, 40)); /* the first by time */
    }
    assert_string_equal(emitted(&f), "10-10 gap events 13: [r1@10 a x=8 y=5 z=1 w=2 b]\n");
    fini(&f);
}

static void sums_stay_finite(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    add(&f, feedback("f2", "r1", 0, 'x', 1.5e308, 20));
    add(&f, feedback("f3", "r1", 0, 'x', 1.5e308, 21));
    emitted(&f);
    const double sum = f.emission.sessions[0].steps[0].request.items[0].signals.data[0].value;
    assert_true(sum > 1.7e308 && sum < (double)INFINITY);
    fini(&f);
}

static void the_cap_truncates_what_it_may_have_cut(void **state)
{
    (void)state;
    const int64_t cap = 1000;
    const int64_t shift = (int64_t)(mtf_hash64("u", 1) % (uint64_t)cap);
    const int64_t start = 5 * cap - shift; /* of bucket 5; the next starts at start + cap */
    static const struct {
        int64_t from, to; /* past the bucket's start */
        const char *flags;
    } cases[] = {
        {GAP, 500, "gap"}, /* the bucket before ends at -1: out of reach */
        {GAP - 1, 500, "gap head"},
        {0, 500, "gap head"},
        {500, cap - GAP - 1, "gap"}, /* the next begins at cap: out of reach */
        {500, cap - GAP, "cap tail"},
        {500, cap - 1, "cap tail"},
        {1, cap - 1, "cap head tail"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char wanted[100];
        init(&f);
        f.cap_ms = cap;
        add(&f, request("r1", start + cases[i].from, ""));
        add(&f, request("r2", start + cases[i].to, ""));
        snprintf(wanted, sizeof wanted, " %s events 2:", cases[i].flags);
        if (!strstr(emitted(&f), wanted)) fail_msg("case %zu: %s", i, emitted(&f));
        fini(&f);
    }
}

static void only_the_ends_of_an_activity_are_cut_by_the_cap(void **state)
{
    (void)state;
    const int64_t cap = 100;
    const int64_t start = 5 * cap - (int64_t)(mtf_hash64("u", 1) % (uint64_t)cap);
    struct fixture f;
    init(&f);
    f.cap_ms = cap;
    add(&f, request("r1", start + 1, "s1"));
    add(&f, end("e2", start + 20, "s1"));
    add(&f, request("r3", start + 40, "s2"));
    add(&f, request("r4", start + 60, "s3"));
    add(&f, request("r5", start + 90, "s3"));
    emitted(&f);
    assert_int_equal(f.emission.session_count, 3);
    const mtf_session *s = f.emission.sessions;
    assert_true(s[0].truncated_head && !s[0].truncated_tail && s[0].end_reason == MTF_END_EVENT);
    assert_false(s[1].truncated_head || s[1].truncated_tail);
    assert_int_equal(s[1].end_reason, MTF_END_ID_CHANGE);
    assert_true(!s[2].truncated_head && s[2].truncated_tail && s[2].end_reason == MTF_END_CAP);
    add(&f, end("e6", start + 99, "s3")); /* a true end, however near the cap */
    emitted(&f);
    assert_int_equal(f.emission.sessions[2].end_reason, MTF_END_EVENT);
    assert_false(f.emission.sessions[2].truncated_tail);
    fini(&f);
}

static void dropped_content_truncates_what_it_may_belong_to(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 10, ""));
    add(&f, end("e2", 12, ""));
    add(&f, request("r3", 14, ""));
    mtf_activity_drop_over_cap(f.activity, 13); /* after the end */
    assert_string_equal(emitted(&f), "10-12 end_event events 2: [r1@10 a b]\n"
                                     "14-14 gap tail events 1: [r3@14 a b]\n");
    mtf_activity_drop_over_cap(f.activity, 12);
    assert_string_equal(emitted(&f), "10-12 end_event tail events 2: [r1@10 a b]\n"
                                     "14-14 gap tail events 1: [r3@14 a b]\n");
    fini(&f);
}

static void a_lost_log_head_marks_the_first_session(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add(&f, request("r1", 100, ""));
    add(&f, end("e2", 101, ""));
    add(&f, request("r3", 102, ""));
    f.headless_ms = 100 - GAP;
    assert_string_equal(emitted(&f), "100-101 end_event head events 2: [r1@100 a b]\n"
                                     "102-102 gap events 1: [r3@102 a b]\n");
    f.headless_ms--;
    assert_string_equal(emitted(&f), "100-101 end_event events 2: [r1@100 a b]\n"
                                     "102-102 gap events 1: [r3@102 a b]\n");
    fini(&f);
}

static void the_session_id_is_of_user_and_first_request(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t id[16];
    const mtf_str parts[] = {mtf_str_of("u"), mtf_str_of("r1")};
    init(&f);
    add(&f, request("r2", 20, ""));
    add(&f, request("r1", 10, ""));
    emitted(&f);
    mtf_hash128(id, parts, 2);
    assert_memory_equal(f.emission.sessions[0].session_id, id, 16);
    fini(&f);
}

static void bad_aggregators_are_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"x=mean", "x=mean"},
                                         {"x", "\"x\""},
                                         {"x=", "\"x=\""},
                                         {"x=sum x=max", "x is named twice"}};
    mtf_aggregators aggregators;
    mtf_err err;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(mtf_aggregators_init(&aggregators, bad[i][0], &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, bad[i][1]));
        mtf_aggregators_fini(&aggregators);
    }
    assert_int_equal(mtf_aggregators_init(&aggregators, " b=max,a=last  ", &err), MTF_OK);
    assert_string_equal(aggregators.canonical, "a=last b=max");
    mtf_aggregators_fini(&aggregators);
    assert_int_equal(mtf_aggregators_init(&aggregators, "", &err), MTF_OK);
    assert_string_equal(aggregators.canonical, "");
    mtf_aggregators_fini(&aggregators);
}

/* ---- parts ---- */

struct parts {
    mtf_session taken[16];
    uint32_t count;
    size_t largest;
};

/** 50 bytes and 100 a step; step "big" takes 1000. */
static mtf_status encode(const mtf_session *session, mtf_buf *out, mtf_err *err)
{
    (void)err;
    size_t size = 50;
    for (uint32_t i = 0; i < session->step_count; i++)
        size += mtf_str_is(session->steps[i].event_id, "big") ? 1000 : 100;
    memset(mtf_buf_extend(out, size), 0, size);
    return MTF_OK;
}

static mtf_status take(void *self, const mtf_session *part, mtf_span record, mtf_err *err)
{
    struct parts *parts = self;
    (void)err;
    parts->taken[parts->count++] = *part;
    if (record.size > parts->largest) parts->largest = record.size;
    return MTF_OK;
}

static mtf_status split(mtf_session *session, size_t limit, struct parts *parts)
{
    mtf_buf scratch = {0};
    mtf_arena arena = {0};
    mtf_err err;
    *parts = (struct parts){0};
    const mtf_status status =
        mtf_session_parts(session, encode, limit, &scratch, &arena, take, parts, &err);
    mtf_buf_fini(&scratch);
    mtf_arena_fini(&arena);
    return status;
}

static void a_large_session_comes_in_parts_that_fit(void **state)
{
    (void)state;
    mtf_step steps[10];
    for (int i = 0; i < 10; i++) steps[i] = (mtf_step){.event_id = {"r", 1}, .time_ms = i};
    mtf_session session = {.steps = steps, .step_count = 10, .parts = 1, .truncated_head = true};
    struct parts parts;
    assert_int_equal(split(&session, 1050, &parts), MTF_OK);
    assert_int_equal(parts.count, 1);
    assert_int_equal(parts.taken[0].parts, 1);
    assert_false(parts.taken[0].truncated_tail);

    assert_int_equal(split(&session, 400, &parts), MTF_OK);
    assert_true(parts.count > 1 && parts.largest <= 400);
    int64_t next = 0;
    for (uint32_t i = 0; i < parts.count; i++) {
        const mtf_session *part = &parts.taken[i];
        assert_int_equal(part->part, i);
        assert_int_equal(part->parts, parts.count);
        for (uint32_t k = 0; k < part->step_count; k++)
            assert_int_equal(part->steps[k].time_ms, next++);
        assert_true(part->truncated_head);
        assert_int_equal(part->truncated_tail, i + 1 < parts.count);
    }
    assert_int_equal(next, 10);
}

static void a_step_no_record_holds_takes_the_session_with_it(void **state)
{
    (void)state;
    mtf_step steps[3] = {{.event_id = {"r", 1}}, {.event_id = {"big", 3}}, {.event_id = {"r", 1}}};
    mtf_session session = {.steps = steps, .step_count = 3, .parts = 1};
    struct parts parts;
    assert_int_equal(split(&session, 400, &parts), MTF_SKIP);
    assert_int_equal(parts.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_sorted_by_time_and_id),
        cmocka_unit_test(an_end_cuts),
        cmocka_unit_test(another_id_cuts_and_null_inherits_the_nearest_earlier),
        cmocka_unit_test(interleaved_ids_are_two_sessions),
        cmocka_unit_test(an_end_closes_its_own_id_only),
        cmocka_unit_test(an_end_without_requests_is_set_aside),
        cmocka_unit_test(feedback_goes_to_its_item_wherever_it_stands),
        cmocka_unit_test(feedback_without_its_request_or_item_is_set_aside),
        cmocka_unit_test(a_signal_from_both_sources_is_refused),
        cmocka_unit_test(signals_aggregate_in_order_of_their_own_time_and_id),
        cmocka_unit_test(sums_stay_finite),
        cmocka_unit_test(the_cap_truncates_what_it_may_have_cut),
        cmocka_unit_test(only_the_ends_of_an_activity_are_cut_by_the_cap),
        cmocka_unit_test(dropped_content_truncates_what_it_may_belong_to),
        cmocka_unit_test(a_lost_log_head_marks_the_first_session),
        cmocka_unit_test(the_session_id_is_of_user_and_first_request),
        cmocka_unit_test(bad_aggregators_are_named),
        cmocka_unit_test(a_large_session_comes_in_parts_that_fit),
        cmocka_unit_test(a_step_no_record_holds_takes_the_session_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
