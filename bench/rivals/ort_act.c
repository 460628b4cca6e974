/** ONNX Runtime's C API on one action at a time, as a serving process would call it: one session,
 * one thread, tensors over the caller's memory, no allocation in the loop.
 *
 *    ort_act MODEL STATES ACTIONS [calls, default 200000]
 *
 *  The same measurement as bench/act.c: pinned to the last CPU, another of 1,024 states a call,
 * every call timed by itself. The wheel of PyPI has the library but no header, so what is used of
 * OrtApi, a struct of functions whose order its ABI promises, is named by its slot. One JSON
 * object; "worst" is the largest difference to ACTIONS. */
#define _GNU_SOURCE
#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATE = 64, ACTION = 10, STATES = 1024 };

/* Slots of OrtApi, version 16. */
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_GRAPH_OPTIMIZATION_LEVEL = 23,
    SET_INTRA_OP_THREADS = 24,
    SET_INTER_OP_THREADS = 25,
    CREATE_TENSOR_WITH_DATA = 49,
    CREATE_CPU_MEMORY_INFO = 69,
    ADD_SESSION_CONFIG_ENTRY = 130,
};
enum { API_VERSION = 16, LOG_ERROR = 3, OPTIMIZE_ALL = 99, FLOAT_TENSOR = 1 };

typedef void *ort_status; /* NULL: fine */
typedef struct ort_base {
    void **(*get_api)(uint32_t version);
    const char *(*version)(void);
} ort_base;
extern const ort_base *OrtGetApiBase(void);

#define CALL(slot, ...) ((ort_status(*)(__VA_ARGS__))api[slot])

static void check(void **api, ort_status status)
{
    if (!status) return;
    fprintf(stderr, "ort_act: %s\n", ((const char *(*)(ort_status))api[GET_ERROR_MESSAGE])(status));
    exit(1);
}

static void read_floats(const char *path, float *out, size_t count)
{
    FILE *file = fopen(path, "rb");
    if (!file || fread(out, sizeof *out, count, file) != count) {
        fprintf(stderr, "ort_act: %s has not %zu floats\n", path, count);
        exit(1);
    }
    fclose(file);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *open_session(void **api, const char *model)
{
    void *env, *options, *session;
    check(api, CALL(CREATE_ENV, int, const char *, void **)(LOG_ERROR, "act", &env));
    check(api, CALL(CREATE_SESSION_OPTIONS, void **)(&options));
    check(api, CALL(SET_INTRA_OP_THREADS, void *, int)(options, 1));
    check(api, CALL(SET_INTER_OP_THREADS, void *, int)(options, 1));
    check(api, CALL(SET_GRAPH_OPTIMIZATION_LEVEL, void *, int)(options, OPTIMIZE_ALL));
    check(api, CALL(ADD_SESSION_CONFIG_ENTRY, void *, const char *,
                    const char *)(options, "session.set_denormal_as_zero", "1"));
    check(api, CALL(CREATE_SESSION, void *, const char *, void *, void **)(env, model, options,
                                                                           &session));
    return session;
}

int main(int argc, char **argv)
{
    static float states[STATES * STATE], actions[STATES * ACTION], state[STATE], action[ACTION];
    const int64_t state_shape[] = {1, STATE}, action_shape[] = {1, ACTION};
    const char *const input_name = "state", *const output_name = "action";
    const size_t calls = argc > 4 ? strtoull(argv[4], NULL, 10) : 200000;
    void *memory, *input, *output;
    double worst = 0;
    cpu_set_t last;
    if (argc < 4) return 64;
    void **api = OrtGetApiBase()->get_api(API_VERSION);
    double *ns = malloc(sizeof *ns * calls);
    if (!api || !ns) return 1;
    void *session = open_session(api, argv[1]);
    read_floats(argv[2], states, STATES * STATE);
    read_floats(argv[3], actions, STATES * ACTION);
    check(api, CALL(CREATE_CPU_MEMORY_INFO, int, int, void **)(0, 0, &memory));
    check(api, CALL(CREATE_TENSOR_WITH_DATA, void *, void *, size_t, const int64_t *, size_t, int,
                    void **)(memory, state, sizeof state, state_shape, 2, FLOAT_TENSOR, &input));
    check(api,
          CALL(CREATE_TENSOR_WITH_DATA, void *, void *, size_t, const int64_t *, size_t, int,
               void **)(memory, action, sizeof action, action_shape, 2, FLOAT_TENSOR, &output));
    CPU_ZERO(&last);
    CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
    if (sched_setaffinity(0, sizeof last, &last)) fprintf(stderr, "ort_act: not pinned\n");
    for (size_t i = 0; i < calls + calls / 10; i++) {
        const size_t row = i % STATES;
        const int64_t at_ns = now_ns();
        memcpy(state, states + row * STATE, sizeof state);
        check(api, CALL(RUN, void *, void *, const char *const *, void *const *, size_t,
                        const char *const *, size_t,
                        void **)(session, NULL, &input_name, &input, 1, &output_name, 1, &output));
        if (i < calls) ns[i] = (double)(now_ns() - at_ns);
        for (int d = 0; d < ACTION; d++)
            worst =
                fmax(worst, fabs((double)action[d] - (double)actions[row * ACTION + (size_t)d]));
    }
    qsort(ns, calls, sizeof *ns, ascending);
    printf("{\"version\": \"%s\", \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, "
           "\"worst\": %.3g}\n",
           OrtGetApiBase()->version(), 1e-3 * ns[calls / 2], 1e-3 * ns[calls * 99 / 100],
           1e-3 * ns[calls * 999 / 1000], worst);
    return 0;
}
