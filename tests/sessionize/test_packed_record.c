/** Goal: a packed record is the record, of every kind and with everything that may be missing or
 *  empty, it owns what it shows, and it is no larger than what came. Method: pack records made by
 *  hand, destroy the originals, unpack, compare. */
#include "support/mtf_test.h"

#include "sessionize/record.h"

/** Everything an original borrows, so that a test can destroy it. */
struct original {
    char text[64];
    float floats[8];
    mtf_signal signals[2];
    mtf_item items[2];
    mtf_event event;
    mtf_message message;
};

struct fixture {
    struct original original;
    mtf_slabs slabs;
    mtf_buf scratch;
    mtf_arena arena;
    uint8_t *piece;
    mtf_record record;
};

static mtf_str text_at(struct original *original, size_t from, uint32_t size)
{
    return (mtf_str){original->text + from, size};
}

static mtf_floats some(struct original *original, uint32_t from, uint32_t count)
{
    return (mtf_floats){original->floats + from, count};
}

/** text is the value of all, as if the decoder had left its strings there. */
static void init(struct fixture *f)
{
    *f = (struct fixture){.original = {.text = "event-1 user-1 session-1 item-1 watch like",
                                       .floats = {1, 2, 3, 4, 5, 6, 7, 8}}};
    struct original *o = &f->original;
    o->signals[0] = (mtf_signal){text_at(o, 32, 5), 2.5};
    o->signals[1] = (mtf_signal){mtf_str_of("static"), -1e300};
    o->items[0] = (mtf_item){.item_id = text_at(o, 25, 6),
                             .predictions = some(o, 0, 5),
                             .features = some(o, 5, 3),
                             .signals = {o->signals, 2}};
    o->items[1] = (mtf_item){.item_id = text_at(o, 25, 5)};
    o->event = (mtf_event){
        .event_id = text_at(o, 0, 7), .user_id = text_at(o, 8, 6), .event_time_ms = 1767225600123};
    o->message = (mtf_message){.offset = 123456789012,
                               .timestamp_ms = 1767225600120,
                               .key = {(const uint8_t *)o->text + 8, 6},
                               .value = {(const uint8_t *)o->text, sizeof o->text}};
}

/** Packs, destroys the original, unpacks. */
static const mtf_event *again(struct fixture *f)
{
    mtf_err err;
    assert_int_equal(mtf_record_pack(&f->piece, &f->slabs, &f->scratch, &f->original.message,
                                     &f->original.event, &err),
                     MTF_OK);
    memset(&f->original, 0xa5, sizeof f->original);
    memset(f->scratch.data, 0xa5, f->scratch.capacity);
    assert_true(mtf_record_unpack(&f->record, f->piece, mtf_str_of("user-1"), &f->arena));
    const mtf_record_head head = mtf_record_peek(f->piece);
    assert_int_equal(head.place_ms, f->record.place_ms);
    assert_int_equal(head.offset, f->record.offset);
    assert_true(mtf_str_equal(head.event_id, f->record.event.event_id));
    assert_true(mtf_str_is(f->record.event.user_id, "user-1"));
    return &f->record.event;
}

static void fini(struct fixture *f)
{
    mtf_record_free(f->piece, &f->slabs);
    mtf_slabs_fini(&f->slabs);
    mtf_buf_fini(&f->scratch);
    mtf_arena_fini(&f->arena);
}

static void a_packed_request_outlives_its_original(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct original *o = &f.original;
    o->event.session_id = text_at(o, 15, 9);
    o->event.body.request = (mtf_request){.policy_version = -9,
                                          .bucket = MTF_BUCKET_CONTROL,
                                          .state = some(o, 0, 6),
                                          .action = some(o, 1, 2),
                                          .baseline_action = some(o, 2, 2),
                                          .upper = some(o, 7, 1),
                                          .sample_weight = 0.5f,
                                          .items = o->items,
                                          .item_count = 2};
    const mtf_event *event = again(&f);
    assert_true(mtf_str_is(event->event_id, "event-1"));
    assert_true(mtf_str_is(event->session_id, "session-1"));
    assert_true(event->kind == MTF_EVENT_REQUEST && event->event_time_ms == 1767225600123);
    const mtf_request *request = &event->body.request;
    assert_true(request->policy_version == -9 && request->bucket == MTF_BUCKET_CONTROL);
    assert_true(request->state.count == 6 && request->state.data[5] == 6);
    assert_true(request->action.count == 2 && request->action.data[0] == 2);
    assert_true(request->baseline_action.data[0] == 3 && request->sample_weight == 0.5f);
    assert_true(request->lower.count == 0 && request->upper.count == 1);
    assert_true(request->upper.data[0] == 8);
    assert_int_equal(request->item_count, 2);
    const mtf_item *item = &request->items[0];
    assert_true(mtf_str_is(item->item_id, "item-1"));
    assert_true(item->predictions.count == 5 && item->predictions.data[4] == 5);
    assert_true(item->features.count == 3 && item->features.data[2] == 8);
    assert_int_equal(item->signals.count, 2);
    assert_true(mtf_str_is(item->signals.data[0].name, "watch"));
    assert_true(item->signals.data[0].value == 2.5);
    assert_true(mtf_str_is(item->signals.data[1].name, "static"));
    assert_true(item->signals.data[1].value == -1e300);
    assert_true(mtf_str_is(request->items[1].item_id, "item-"));
    assert_int_equal(f.record.offset, 123456789012);
    assert_int_equal(f.record.append_ms, 1767225600120);
    assert_int_equal(f.record.place_ms, 1767225600123);
    assert_int_equal(f.record.value.size, sizeof o->text);
    assert_null(f.record.value.data); /* a request's bytes are needed no more */
    fini(&f);
}

static void packed_feedback_keeps_its_bytes_and_its_place(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct original *o = &f.original;
    o->event.kind = MTF_EVENT_FEEDBACK;
    o->message.key = (mtf_span){(const uint8_t *)o->text + 1, 4};
    o->event.body.feedback = (mtf_feedback){.request_id = text_at(o, 0, 5),
                                            .request_time_ms = -7,
                                            .item_id = mtf_str_of("elsewhere"),
                                            .signals = {o->signals, 2}};
    const mtf_event *event = again(&f);
    const mtf_feedback *feedback = &event->body.feedback;
    assert_true(mtf_str_is(feedback->request_id, "event") && feedback->request_time_ms == -7);
    assert_true(mtf_str_is(feedback->item_id, "elsewhere"));
    assert_int_equal(feedback->signals.count, 2);
    assert_true(mtf_str_is(feedback->signals.data[0].name, "watch"));
    assert_true(mtf_str_is(feedback->signals.data[1].name, "static"));
    assert_null(event->session_id.data);
    assert_int_equal(f.record.place_ms, -7);
    assert_int_equal(f.record.value.size, sizeof o->text);
    assert_memory_equal(f.record.value.data, "event-1 user-1 session-1 item-1 watch like", 43);
    assert_int_equal(f.record.key.size, 4);
    assert_memory_equal(f.record.key.data, "vent", 4);
    fini(&f);
}

static void a_packed_end_without_a_key_takes_its_users(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct original *o = &f.original;
    o->event.kind = MTF_EVENT_SESSION_END;
    o->event.session_id = text_at(o, 3, 0); /* empty, which is not null */
    o->event.body.end_reason = text_at(o, 15, 7);
    o->message.key = (mtf_span){0};
    const mtf_event *event = again(&f);
    assert_true(mtf_str_is(event->body.end_reason, "session"));
    assert_true(event->session_id.data && event->session_id.size == 0);
    assert_int_equal(f.record.key.size, 6);
    assert_memory_equal(f.record.key.data, "user-1", 6);
    fini(&f);
}

static void times_at_the_ends_of_time_come_back(void **state)
{
    (void)state;
    const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 127, 128, INT64_MAX};
    for (int i = 0; i < 64; i++) {
        struct fixture f;
        init(&f);
        f.original.event.kind = MTF_EVENT_FEEDBACK;
        f.original.event.event_time_ms = times[i % 8];
        f.original.message.timestamp_ms = times[i / 8];
        f.original.message.offset = times[i / 8];
        f.original.event.body.feedback = (mtf_feedback){.request_id = mtf_str_of("r"),
                                                        .request_time_ms = times[(i + i / 8) % 8]};
        assert_int_equal(again(&f)->event_time_ms, times[i % 8]);
        assert_int_equal(f.record.append_ms, times[i / 8]);
        assert_int_equal(f.record.offset, times[i / 8]);
        assert_int_equal(f.record.place_ms, times[(i + i / 8) % 8]);
        fini(&f);
    }
}

static void a_large_record_comes_back(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    static float floats[COUNT];
    static mtf_signal signals[COUNT];
    struct fixture f;
    init(&f);
    for (int i = 0; i < COUNT; i++) {
        floats[i] = (float)i;
        signals[i] = (mtf_signal){mtf_str_of("name"), i};
    }
    f.original.items[0].signals = (mtf_signals){signals, COUNT};
    f.original.event.body.request =
        (mtf_request){.state = {floats, COUNT}, .items = f.original.items, .item_count = 2};
    const mtf_request *request = &again(&f)->body.request;
    assert_int_equal(request->state.count, COUNT);
    assert_true(request->state.data[COUNT - 1] == COUNT - 1);
    assert_true(request->items[0].signals.data[COUNT - 1].value == COUNT - 1);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_request_outlives_its_original),
        cmocka_unit_test(packed_feedback_keeps_its_bytes_and_its_place),
        cmocka_unit_test(a_packed_end_without_a_key_takes_its_users),
        cmocka_unit_test(times_at_the_ends_of_time_come_back),
        cmocka_unit_test(a_large_record_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
