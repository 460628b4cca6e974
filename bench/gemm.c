/** The matrix products of one critic's gradient step, by OpenBLAS and by our own in float32 and in
 * bfloat16, each on as many threads as told, side by side on data that stays in the cache as it
 * does in a step.
 *
 *    gemm [threads, default 1] [hidden, default 256] [rounds, default 200]
 *
 *  Batch 256, state 64, action 10. The median of the rounds, which take turns. JSON lines; what the
 *  CPU lacks is 0. */
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "learner/blas_core.h"
#include "learner/gemm.h"
#include "learner/kernels.h"

enum { BATCH = 256, STATE = 64, ACTION = 10, INPUTS = STATE + ACTION, LDX = 80, THREADS_MAX = 16 };
enum { NT, NN, TN };
enum { OPENBLAS, FLOAT32, BF16, GEMMS };

typedef struct shape {
    const char *name;
    int kind, times; /* in a critic's step */
    size_t m, n, k, ldx, ldw;
} shape;

typedef struct work {
    const shape *shape;
    float *x, *w, *y;
    int rounds;
    double *us[GEMMS]; /* of a round */
} work;

static void multiply(const mtf_gemm *gemm, const work *job)
{
    const shape *s = job->shape;
    const mtf_matmul of[] = {gemm->nt, gemm->nn, gemm->tn};
    of[s->kind](job->y, s->n, job->x, s->ldx, job->w, s->ldw, s->m, s->n, s->k);
}

static void *run(void *arg)
{
    const work *job = arg;
    const mtf_gemm *const gemms[GEMMS] = {&mtf_gemm_openblas, mtf_gemm_avx512(), mtf_gemm_bf16()};
    for (int r = -job->rounds / 10; r < job->rounds; r++) {
        for (int g = 0; g < GEMMS; g++) {
            if (gemms[g] == NULL) continue;
            const int64_t began_ns = mtf_clock_mono_ns();
            multiply(gemms[g], job);
            if (r >= 0) job->us[g][r] = 1e-3 * (double)(mtf_clock_mono_ns() - began_ns);
        }
    }
    return NULL;
}

static void *need(size_t bytes)
{
    void *block = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (block == NULL) exit(1);
    return block;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Mean over the threads of their median microseconds. */
static void measure(const shape *s, int threads, int rounds, double us[GEMMS])
{
    work jobs[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    const size_t rows = s->k > BATCH ? s->k : BATCH, wide = s->ldx > s->ldw ? s->ldx : s->ldw;
    const size_t floats = (s->n > rows ? s->n : rows) * wide;
    for (int t = 0; t < threads; t++) {
        jobs[t] = (work){s, need(4 * floats), need(4 * floats), need(4 * s->m * s->n), rounds, {0}};
        for (int g = 0; g < GEMMS; g++) {
            jobs[t].us[g] = need(sizeof(double) * (size_t)rounds);
            memset(jobs[t].us[g], 0, sizeof(double) * (size_t)rounds);
        }
        for (size_t i = 0; i < floats; i++) {
            jobs[t].x[i] = 1e-3F * (float)(i % 1000) - 0.5F;
            jobs[t].w[i] = 1e-3F * (float)(i % 997) - 0.5F;
        }
    }
    for (int t = 0; t < threads; t++) {
        if (pthread_create(&ids[t], NULL, run, &jobs[t])) exit(1);
    }
    memset(us, 0, sizeof(double) * GEMMS);
    for (int t = 0; t < threads; t++) {
        pthread_join(ids[t], NULL);
        for (int g = 0; g < GEMMS; g++) {
            qsort(jobs[t].us[g], (size_t)rounds, sizeof(double), ascending);
            us[g] += jobs[t].us[g][rounds / 2] / threads;
            free(jobs[t].us[g]);
        }
        free(jobs[t].x), free(jobs[t].w), free(jobs[t].y);
    }
}

static double share(double of, double by)
{
    return by > 0 ? of / by : 0;
}

static void print(const char *name, int threads, const double us[GEMMS], double flop)
{
    printf("{\"bench\": \"gemm\", \"product\": \"%s\", \"threads\": %d, \"openblas_us\": %.1f, "
           "\"float32_us\": %.1f, \"bf16_us\": %.1f, \"openblas_gflops\": %.0f, "
           "\"float32_gflops\": %.0f, \"bf16_gflops\": %.0f, \"float32_over_openblas\": %.2f, "
           "\"bf16_over_float32\": %.2f}\n",
           name, threads, us[OPENBLAS], us[FLOAT32], us[BF16], 1e-3 * share(flop, us[OPENBLAS]),
           1e-3 * share(flop, us[FLOAT32]), 1e-3 * share(flop, us[BF16]),
           share(us[OPENBLAS], us[FLOAT32]), share(us[FLOAT32], us[BF16]));
}

int main(int argc, char **argv)
{
    mtf_blas_core_fix(argv);
    const int threads = argc > 1 ? atoi(argv[1]) : 1, rounds = argc > 3 ? atoi(argv[3]) : 200;
    const int hidden = argc > 2 ? atoi(argv[2]) : 256;
    if (threads < 1 || threads > THREADS_MAX || hidden < 1 || rounds < 10) {
        fprintf(stderr, "usage: gemm [threads] [hidden] [rounds]\n");
        return 64;
    }
    mtf_matmul_one_thread();
    const size_t h = (size_t)hidden;
    const shape shapes[] = {
        {"layer 1 forward", NT, 3, BATCH, h, INPUTS, LDX, INPUTS},
        {"layer 2 forward", NT, 3, BATCH, h, h, h, h},
        {"layer 2 weights' gradient", TN, 1, h, h, BATCH, h, h},
        {"layer 2 inputs' gradient", NN, 2, BATCH, h, h, h, h},
        {"layer 1 weights' gradient", TN, 1, h, INPUTS, BATCH, h, LDX},
        {"slope along the action", NN, 1, BATCH, ACTION, h, h, INPUTS},
    };
    double all_us[GEMMS] = {0}, all_flop = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        const double flop = 2.0 * (double)s->m * (double)s->n * (double)s->k;
        double us[GEMMS];
        measure(s, threads, rounds, us);
        print(s->name, threads, us, flop);
        for (int g = 0; g < GEMMS; g++) all_us[g] += s->times * us[g];
        all_flop += s->times * flop;
    }
    print("all of a critic's step", threads, all_us, all_flop);
    return 0;
}
