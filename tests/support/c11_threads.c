/** The C11 threads calls that librdkafka makes, by pthreads. ThreadSanitizer crashes in a thread
 * that glibc's thrd_create made, because it intercepts pthread_create only. Linked into programs of
 *  MTF_SANITIZE=thread builds that use Kafka, these take the place of glibc's. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits its place");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits its place");

#define EXPORT __attribute__((visibility("default")))

typedef struct start {
    thrd_start_t fn;
    void *arg;
} start;

static void *run(void *arg)
{
    const start s = *(start *)arg;
    free(arg);
    return (void *)(intptr_t)s.fn(s.arg);
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
    start *s = malloc(sizeof *s);
    if (!s) return thrd_nomem;
    *s = (start){fn, arg};
    if (pthread_create(thread, NULL, run, s) == 0) return thrd_success;
    free(s);
    return thrd_error;
}

EXPORT int thrd_join(thrd_t thread, int *result)
{
    void *value = NULL;
    if (pthread_join(thread, &value)) return thrd_error;
    if (result) *result = (int)(intptr_t)value;
    return thrd_success;
}

EXPORT int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    const int code = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return code ? thrd_error : thrd_success;
}

EXPORT void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

EXPORT int mtx_lock(mtx_t *mutex)
{
    return pthread_mutex_lock((pthread_mutex_t *)mutex) ? thrd_error : thrd_success;
}

EXPORT int mtx_unlock(mtx_t *mutex)
{
    return pthread_mutex_unlock((pthread_mutex_t *)mutex) ? thrd_error : thrd_success;
}

EXPORT int cnd_init(cnd_t *condition)
{
    return pthread_cond_init((pthread_cond_t *)condition, NULL) ? thrd_error : thrd_success;
}

EXPORT void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

EXPORT int cnd_signal(cnd_t *condition)
{
    return pthread_cond_signal((pthread_cond_t *)condition) ? thrd_error : thrd_success;
}

EXPORT int cnd_broadcast(cnd_t *condition)
{
    return pthread_cond_broadcast((pthread_cond_t *)condition) ? thrd_error : thrd_success;
}

EXPORT int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    const int code = pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex);
    return code ? thrd_error : thrd_success;
}

EXPORT int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    const int code =
        pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return code == ETIMEDOUT ? thrd_timedout : code ? thrd_error : thrd_success;
}
