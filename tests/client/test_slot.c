/** Goal: policies are swapped under readers that never see a freed or half a policy, never wait,
 *  and leak nothing. Method: eight threads act while a thousand policies are put; every policy's
 *  action is its version, so that a wrong one shows. The sanitizers watch (asan, tsan presets). */
#include "client/face.h"

#include "client/actor.h"
#include "client/policy.h"
#include "support/mtf_test.h"

#include <pthread.h>
#include <stdatomic.h>

#define VERSIONS 1000
#define THREADS  8

static float action_of(int64_t version)
{
    return (float)version / (2 * VERSIONS);
}

/* A policy that takes action_of(its version) in every dimension. */
static mtf_policy *make(int64_t version)
{
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "a.pow=0..1 b.pow=0..1", NULL), NULL);
    const float value = action_of(version), action[] = {value, value};
    mtf_policy *policy = mtf_policy_constant(3, &table, action);
    assert_non_null(policy);
    policy->info.version = version;
    policy->actor = mtf_actor_new(policy);
    assert_non_null(policy->actor);
    return policy;
}

typedef struct reader {
    pthread_t thread;
    mtf_slot *slot;
    atomic_bool *stop;
    _Atomic int64_t *seen; /* the newest version that any reader acted on */
    uint64_t acts, changes, wrong;
} reader;

/* What a request does. cmocka's assertions do not work in other threads: wrong things are counted.
 */
static void *act(void *arg)
{
    reader *own = arg;
    int64_t newest = 0;
    while (!atomic_load(own->stop) || own->acts == 0) {
        const float features[3] = {1, 2, 3};
        float action[2];
        const mtf_policy *policy = mtf_slot_acquire(own->slot);
        if (!policy) continue;
        mtf_act(policy, features, action);
        const int64_t version = mtf_policy_version(policy);
        own->wrong += !(fabsf(action[0] - action_of(version)) < 1e-5F && action[1] == action[0]);
        own->wrong += version < newest; /* one writer: never back */
        own->changes += version != newest;
        newest = version;
        mtf_slot_release(own->slot, policy);
        atomic_store(own->seen, version);
        own->acts++;
    }
    return NULL;
}

static void a_thousand_swaps_under_eight_readers(void **state)
{
    (void)state;
    atomic_bool stop = false;
    _Atomic int64_t seen = 0;
    mtf_slot *slot = mtf_slot_new();
    reader readers[THREADS];
    uint64_t refused = 0, acts = 0, changes = 0;
    assert_non_null(slot);
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (reader){.slot = slot, .stop = &stop, .seen = &seen};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, act, &readers[i]), 0);
    }
    for (int64_t version = 1; version <= VERSIONS; version++) {
        mtf_policy *policy = make(version);
        mtf_status status;
        while ((status = mtf_slot_put(slot, policy, NULL)) == MTF_AGAIN) {
            refused++; /* eight readers, descheduled while each holds another version */
            sched_yield();
        }
        assert_int_equal(status, MTF_OK);
        while (version % 4 == 0 && atomic_load(&seen) != version) sched_yield();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        acts += readers[i].acts, changes += readers[i].changes;
    }
    print_message("%" PRIu64 " acts saw %" PRIu64 " changes, %" PRIu64 " puts had to wait\n", acts,
                  changes, refused);
    assert_true(acts >= THREADS && changes >= VERSIONS / 4);
    mtf_slot_free(slot);
}

/* Several writers; the readers hold two at a time. */
static void *put_some(void *arg)
{
    reader *own = arg;
    for (int64_t version = 1; version <= VERSIONS / 4; version++) {
        mtf_policy *policy = make(version);
        while (mtf_slot_put(own->slot, policy, NULL) == MTF_AGAIN) sched_yield();
        const mtf_policy *first = mtf_slot_acquire(own->slot),
                         *second = mtf_slot_acquire(own->slot);
        own->wrong += mtf_policy_version(first) < 1 || mtf_policy_version(second) > VERSIONS;
        mtf_slot_release(own->slot, first);
        mtf_slot_release(own->slot, second);
    }
    return NULL;
}

static void writers_take_turns(void **state)
{
    (void)state;
    mtf_slot *slot = mtf_slot_new();
    reader writers[4];
    for (int i = 0; i < 4; i++) {
        writers[i] = (reader){.slot = slot};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, put_some, &writers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].wrong, 0);
    }
    mtf_slot_free(slot);
}

static void what_is_held_stays_and_the_cells_are_bounded(void **state)
{
    (void)state;
    mtf_slot *slot = mtf_slot_new();
    const mtf_policy *held[MTF_SLOT_CELLS];
    mtf_err err = {0};
    assert_null(mtf_slot_acquire(slot));
    mtf_slot_release(slot, NULL);
    for (int i = 0; i < MTF_SLOT_CELLS; i++) {
        mtf_assert_ok(mtf_slot_put(slot, make(i + 1), &err), &err);
        held[i] = mtf_slot_acquire(slot);
        assert_int_equal(mtf_policy_version(held[i]), i + 1);
    }
    mtf_policy *more = make(50);
    assert_int_equal(mtf_slot_put(slot, more, &err), MTF_AGAIN);
    assert_non_null(strstr(err.msg, "release"));
    for (int i = 0; i < MTF_SLOT_CELLS; i++) /* whole, though long replaced */
        assert_int_equal(mtf_policy_version(held[i]), i + 1);
    mtf_slot_release(slot, held[3]);
    mtf_assert_ok(mtf_slot_put(slot, more, &err), &err);
    held[3] = mtf_slot_acquire(slot);
    assert_ptr_equal(held[3], more);
    for (int i = 0; i < MTF_SLOT_CELLS; i++) mtf_slot_release(slot, held[i]);
    mtf_slot_free(slot);
    mtf_slot_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_swaps_under_eight_readers),
        cmocka_unit_test(writers_take_turns),
        cmocka_unit_test(what_is_held_stays_and_the_cells_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
