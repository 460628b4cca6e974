/** Goal: a clone owns everything it shows, and a cap bucket is the floor its header promises.
 *  Method: clone events of each kind, destroy the originals, compare; buckets against 128-bit floor
 *  division. */
#include "support/mtf_test.h"

#include "core/hash.h"
#include "core/rng.h"
#include "core/session.h"

/** Everything an original event borrows, so that a test can destroy it. */
struct original {
    char text[64];
    float floats[6];
    mtf_signal signals[2];
    mtf_item items[2];
    mtf_event event;
};

static mtf_str piece(struct original *original, size_t from, uint32_t size)
{
    return (mtf_str){original->text + from, size};
}

static mtf_floats some(struct original *original, uint32_t from, uint32_t count)
{
    return (mtf_floats){original->floats + from, count};
}

static void fill(struct original *original)
{
    *original = (struct original){.text = "event-1 user-1 session-1 item-1 watch like",
                                  .floats = {1, 2, 3, 4, 5, 6}};
    original->signals[0] = (mtf_signal){piece(original, 32, 5), 2.5};
    original->signals[1] = (mtf_signal){piece(original, 38, 4), 1};
    original->items[0] = (mtf_item){.item_id = piece(original, 25, 6),
                                    .predictions = some(original, 0, 5),
                                    .features = some(original, 5, 1),
                                    .signals = {original->signals, 2}};
    original->items[1] = (mtf_item){.item_id = piece(original, 25, 5)};
    original->event = (mtf_event){.event_id = piece(original, 0, 7),
                                  .user_id = piece(original, 8, 6),
                                  .event_time_ms = 1234567890123};
}

static void a_cloned_request_outlives_its_original(void **state)
{
    (void)state;
    struct original original;
    fill(&original);
    original.event.kind = MTF_EVENT_REQUEST;
    original.event.session_id = piece(&original, 15, 9);
    original.event.body.request = (mtf_request){.policy_version = 9,
                                                .bucket = MTF_BUCKET_CONTROL,
                                                .state = some(&original, 0, 6),
                                                .action = some(&original, 1, 2),
                                                .baseline_action = some(&original, 2, 2),
                                                .sample_weight = 0.5f,
                                                .items = original.items,
                                                .item_count = 2};
    mtf_event *clone = mtf_event_clone(&original.event);
    assert_non_null(clone);
    memset(&original, 0xa5, sizeof original);
    assert_true(mtf_str_is(clone->event_id, "event-1") && mtf_str_is(clone->user_id, "user-1"));
    assert_true(mtf_str_is(clone->session_id, "session-1"));
    assert_true(clone->event_time_ms == 1234567890123);
    const mtf_request *request = &clone->body.request;
    assert_true(request->policy_version == 9 && request->bucket == MTF_BUCKET_CONTROL);
    assert_true(request->state.count == 6 && request->state.data[5] == 6);
    assert_true(request->action.count == 2 && request->action.data[0] == 2);
    assert_true(request->baseline_action.data[0] == 3 && request->sample_weight == 0.5f);
    assert_true(request->lower.count == 0 && request->upper.count == 0);
    assert_int_equal(request->item_count, 2);
    const mtf_item *item = &request->items[0];
    assert_true(mtf_str_is(item->item_id, "item-1"));
    assert_true(item->predictions.count == 5 && item->predictions.data[4] == 5);
    assert_true(item->features.count == 1 && item->features.data[0] == 6);
    assert_int_equal(item->signals.count, 2);
    assert_true(mtf_str_is(item->signals.data[0].name, "watch"));
    assert_true(item->signals.data[0].value == 2.5);
    assert_true(mtf_str_is(item->signals.data[1].name, "like"));
    assert_true(mtf_str_is(request->items[1].item_id, "item-"));
    free(clone);
}

static void cloned_feedback_and_ends_outlive_theirs(void **state)
{
    (void)state;
    struct original original;
    fill(&original);
    original.event.kind = MTF_EVENT_FEEDBACK;
    original.event.body.feedback = (mtf_feedback){.request_id = piece(&original, 0, 5),
                                                  .request_time_ms = 7,
                                                  .item_id = piece(&original, 25, 6),
                                                  .signals = {original.signals, 2}};
    mtf_event *feedback = mtf_event_clone(&original.event);
    original.event.kind = MTF_EVENT_SESSION_END;
    original.event.body.end_reason = piece(&original, 15, 7);
    mtf_event *end = mtf_event_clone(&original.event);
    assert_non_null(feedback);
    assert_non_null(end);
    memset(&original, 0xa5, sizeof original);
    assert_true(mtf_str_is(feedback->body.feedback.request_id, "event"));
    assert_true(mtf_str_is(feedback->body.feedback.item_id, "item-1"));
    assert_true(feedback->body.feedback.request_time_ms == 7);
    assert_true(mtf_str_is(feedback->body.feedback.signals.data[1].name, "like"));
    assert_null(feedback->session_id.data);
    assert_true(mtf_str_is(end->body.end_reason, "session"));
    free(feedback);
    free(end);
}

static void a_clone_takes_the_bytes_it_says(void **state)
{
    (void)state;
    struct original original;
    fill(&original);
    original.event.kind = MTF_EVENT_FEEDBACK;
    original.event.body.feedback = (mtf_feedback){.signals = {original.signals, 2}};
    const size_t without = mtf_event_bytes(&original.event);
    original.event.session_id = piece(&original, 15, 9);
    assert_in_range(mtf_event_bytes(&original.event), without + 1,
                    without + 9 + 16); /* padding may give way */
    mtf_event *clone = mtf_event_clone(&original.event);
    assert_int_equal(mtf_event_bytes(clone), mtf_event_bytes(&original.event));
    free(clone);
}

static void a_bucket_is_a_floor_for_any_time(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(10), 0);
    const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    for (int i = 0; i < 20000; i++) {
        char user[16];
        const int size = snprintf(user, sizeof user, "u%" PRIu64, mtf_rng_below(&rng, 100000));
        const int64_t duration_ms = 1 + (int64_t)mtf_rng_below(&rng, 700000000);
        const int64_t time_ms =
            i < 7000 ? edges[i % 7] : (int64_t)(mtf_rng_next(&rng) >> mtf_rng_below(&rng, 64));
        const int64_t bucket =
            mtf_session_bucket((mtf_str){user, (uint32_t)size}, time_ms, duration_ms);
        __extension__ typedef __int128 wide;
        const wide shifted =
            (wide)time_ms + (int64_t)(mtf_hash64(user, (size_t)size) % (uint64_t)duration_ms);
        const wide within = shifted - (wide)bucket * duration_ms;
        assert_true(within >= 0 && within < duration_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cloned_request_outlives_its_original),
        cmocka_unit_test(cloned_feedback_and_ends_outlive_theirs),
        cmocka_unit_test(a_clone_takes_the_bytes_it_says),
        cmocka_unit_test(a_bucket_is_a_floor_for_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
