/** Goal: what a request calls takes no memory from the heap. Method: the linker sends this
 * program's malloc, calloc, realloc and aligned_alloc through counters (CMakeLists.txt, --wrap);
 * every call that mtf.h says does not allocate is made with the count held. */
#include "client/face.h"

#include "client/sample_policy.h"
#include "support/mtf_test.h"

static uint64_t taken;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    taken++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    taken++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    taken++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    taken++;
    return __real_aligned_alloc(alignment, size);
}

enum { S = 7, A = 4, P = 2, N = 300 };

static mtf_policy *served(void)
{
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *made = sample_policy(1, S, 16), *policy;
    mtf_assert_ok(mtf_policy_encode(made, &record, &err), &err);
    mtf_assert_ok(mtf_policy_read(record.data, record.size, NULL, &policy, &err), &err);
    mtf_policy_free(made);
    mtf_buf_fini(&record);
    return policy;
}

static void log_event(mtf_event_builder *builder, const float *state, const float *action)
{
    const void *bytes;
    size_t size;
    mtf_event_begin(builder, "event", "user", 5, "session");
    mtf_event_request(builder, 1, MTF_BUCKET_BASELINE, state, S, action, action, NULL, NULL, A, 1);
    for (int i = 0; i < N; i++) {
        mtf_event_item(builder, "item", state, P, state, S);
        mtf_event_signal(builder, "watch", i);
    }
    mtf_assert_ok(mtf_event_finish(builder, &bytes, &size, NULL), NULL);
}

static void the_counters_count(void **state)
{
    (void)state;
    const uint64_t before = taken;
    mtf_policy *policy = served();
    assert_true(taken > before + 2);
    mtf_policy_free(policy);
}

static void a_request_takes_no_memory(void **state)
{
    (void)state;
    mtf_policy *policy = served();
    mtf_state_schema *schema;
    mtf_err err = {0};
    mtf_assert_ok(mtf_state_schema_parse(
                      "a=number b=onehot(x,y) c=top(1,x,y) d=history(mean,count)", &schema, &err),
                  &err);
    assert_int_equal(mtf_state_schema_dim(schema), S);
    mtf_state *gathered = mtf_state_new(schema);
    mtf_event_builder *builder = mtf_event_builder_new();
    mtf_slot *slot = mtf_slot_new();
    float features[S] = {0}, baseline[A] = {0}, action[A], lower[A], upper[A], scores[N];
    static float predictions[N * P];
    uint32_t best[50];
    double power[P], bias[P];
    mtf_assert_ok(mtf_slot_put(slot, policy, &err), &err);
    log_event(builder, features,
              baseline); /* the largest event so far: it sizes the builder, ... */
    log_event(builder, features, baseline); /* ... whose arena is of one block from here on */
    const uint64_t before = taken;
    for (int request = 0; request < 100; request++) {
        const mtf_policy *held = mtf_slot_acquire(slot);
        mtf_state_begin(gathered, 1000);
        mtf_assert_ok(mtf_state_number(gathered, 0, request, &err), &err);
        mtf_assert_ok(mtf_state_category(gathered, 1, "y", &err), &err);
        mtf_assert_ok(mtf_state_interest(gathered, 2, "x", 2, &err), &err);
        for (int i = 0; i < 150; i++)
            mtf_assert_ok(mtf_state_behaviour(gathered, 3, i, request, &err), &err);
        mtf_state_make(gathered, features);
        mtf_act(held, features, baseline);
        (void)mtf_explore(held, 1, "request", baseline, action, lower, upper);
        (void)mtf_explore_normal(held, 1, "request", 0.2F, baseline, action, lower, upper);
        mtf_fusion_weights(held, action, power, bias);
        mtf_assert_ok(mtf_fuse(held, action, predictions, N, scores, &err), &err);
        mtf_top_k(scores, N, 50, best);
        log_event(builder, features, baseline);
        mtf_slot_release(slot, held);
    }
    assert_int_equal(taken, before);
    mtf_slot_free(slot);
    mtf_event_builder_free(builder);
    mtf_state_free(gathered);
    mtf_state_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counters_count),
        cmocka_unit_test(a_request_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
