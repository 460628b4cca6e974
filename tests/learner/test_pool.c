/* Goal: every item of every job runs exactly once and its writes are visible afterwards, whether
 * the threads were spinning or parked. Method: jobs of many sizes over 1 to 4 threads, with plain
 * (not atomic) writes, so that the thread sanitizer is a witness. */
#include "learner/pool.h"
#include "support/mtf_test.h"

#include <string.h>
#include <time.h>

#define ITEMS_MAX 100

typedef struct pool_job {
    uint32_t runs[ITEMS_MAX], threads;
    uint64_t work[ITEMS_MAX];
    bool worker_out_of_range;
} pool_job;

static void run_item(void *arg, uint32_t item, uint32_t worker)
{
    pool_job *job = arg;
    job->runs[item]++;
    for (uint32_t k = 0; k < 50 * (item % 7); k++) job->work[item] += k * job->work[item] + item;
    if (worker >= job->threads) job->worker_out_of_range = true;
}

static void every_item_runs_once(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        mtf_pool *pool;
        mtf_err err = {0};
        mtf_assert_ok(mtf_pool_new(&pool, threads, &err), &err);
        assert_int_equal(mtf_pool_threads(pool), threads);
        for (uint32_t round = 0; round < 500; round++) {
            pool_job job = {.threads = threads};
            const uint32_t count = round % (ITEMS_MAX + 1);
            mtf_pool_run(pool, count, run_item, &job);
            for (uint32_t i = 0; i < ITEMS_MAX; i++) assert_int_equal(job.runs[i], i < count);
            assert_false(job.worker_out_of_range);
        }
        mtf_pool_free(pool);
    }
}

static void parked_threads_wake_up(void **state)
{
    (void)state;
    mtf_pool *pool;
    mtf_err err = {0};
    mtf_assert_ok(mtf_pool_new(&pool, 3, &err), &err);
    for (int round = 0; round < 5; round++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL); /* longer than they spin */
        pool_job job = {.threads = 3};
        mtf_pool_run(pool, ITEMS_MAX, run_item, &job);
        for (uint32_t i = 0; i < ITEMS_MAX; i++) assert_int_equal(job.runs[i], 1);
    }
    mtf_pool_free(pool);
}

static void meet(void *arg, uint32_t item, uint32_t worker)
{
    (void)arg, (void)item, (void)worker;
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* A slow item makes the caller park in its turn. */
static void caller_waits_for_slow_items(void **state)
{
    (void)state;
    mtf_pool *pool;
    mtf_err err = {0};
    mtf_assert_ok(mtf_pool_new(&pool, 2, &err), &err);
    mtf_pool_run(pool, 3, meet, NULL);
    pool_job job = {.threads = 2};
    mtf_pool_run(pool, 2, run_item, &job);
    assert_int_equal(job.runs[0] + job.runs[1], 2);
    mtf_pool_free(pool);
}

static void thread_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    mtf_pool *pool;
    mtf_err err = {0};
    assert_int_equal(mtf_pool_new(&pool, 0, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "learner.threads"));
    assert_int_equal(mtf_pool_new(&pool, 65, &err), MTF_INVALID);
    assert_null(pool);
    mtf_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(parked_threads_wake_up),
        cmocka_unit_test(caller_waits_for_slow_items),
        cmocka_unit_test(thread_counts_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
