/** How long one action takes by libmtf's calls: a policy's network by mtf_act, also with the policy
 * acquired from a slot and released, by the plain forward pass, and the time that merely reading
 * its weights takes; and mtf_fuse of 1,000 candidates with the best 50 of them.
 *
 *    act HIDDEN FOLDER [calls, default 200000]
 *
 *  One thread, pinned to the last CPU; every call gets another of 1,024 states. FOLDER receives the
 * same policy (policy.safetensors), states.f32 and actions.f32, so that a rival computes the same.
 * One JSON object. */
#define _GNU_SOURCE
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/actor.h"
#include "client/face.h"
#include "client/policy.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/rng.h"

enum { STATE = 64, ACTION = 10, STATES = 1024, CANDIDATES = 1000, PREDICTIONS = 5, BEST = 50 };

static const char ACTIONS[] =
    "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 "
    "valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 positive.bias=0.01..0.51 "
    "negative.bias=0.01..0.51";

typedef struct bench {
    mtf_policy *policy; /* the slot's */
    mtf_slot *slot;
    float *states, *actions, *predictions, *scores;
    double *ns;
    size_t calls;
    volatile float sink; /* so that nothing measured is optimised away */
} bench;

/** The size of weights that training starts from; a normaliser that is not the identity. */
static void fill(mtf_policy *policy, mtf_rng *rng)
{
    for (uint32_t l = 0; l < policy->layer_count; l++) {
        const mtf_policy_layer *layer = &policy->layers[l];
        const double scale = sqrt(2.0 / layer->inputs);
        for (size_t i = 0; i < (size_t)layer->inputs * layer->outputs; i++)
            layer->weight[i] = (float)(scale * mtf_rng_normal(rng));
        for (uint32_t i = 0; i < layer->outputs; i++)
            layer->bias[i] = (float)(0.1 * mtf_rng_normal(rng));
    }
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        policy->mean[i] = (float)mtf_rng_normal(rng);
        policy->deviation[i] = (float)(0.5 + mtf_rng_uniform(rng));
    }
}

static mtf_status set_up(bench *b, uint32_t hidden, mtf_err *err)
{
    const uint32_t widths[] = {STATE, hidden, hidden, ACTION};
    mtf_action_table table;
    mtf_rng rng = mtf_rng_of(1, 1);
    const mtf_status status = mtf_action_table_parse(&table, ACTIONS, err);
    if (status) return status;
    b->policy = mtf_policy_new(widths, 3, &table);
    b->states = malloc(sizeof(float) * STATES * STATE);
    b->actions = malloc(sizeof(float) * STATES * ACTION);
    b->predictions = malloc(sizeof(float) * STATES * PREDICTIONS);
    b->scores = malloc(sizeof(float) * CANDIDATES);
    b->ns = malloc(sizeof(double) * b->calls);
    if (!b->policy || !b->states || !b->actions || !b->predictions || !b->scores || !b->ns)
        return mtf_fail(err, MTF_NOMEM, "act: out of memory");
    fill(b->policy, &rng);
    for (size_t i = 0; i < STATES * STATE; i++) b->states[i] = (float)mtf_rng_normal(&rng);
    for (size_t i = 0; i < STATES * PREDICTIONS; i++)
        b->predictions[i] = (float)mtf_rng_uniform(&rng);
    b->policy->actor = mtf_actor_new(b->policy);
    b->slot = mtf_slot_new();
    if (!b->policy->actor || !b->slot) return mtf_fail(err, MTF_NOMEM, "act: out of memory");
    return mtf_slot_put(b->slot, b->policy, err);
}

typedef void call_fn(bench *b, size_t i);

static void by_actor(bench *b, size_t i)
{
    mtf_act(b->policy, b->states + i % STATES * STATE, b->actions + i % STATES * ACTION);
}

static void by_slot(bench *b, size_t i)
{
    const mtf_policy *policy = mtf_slot_acquire(b->slot);
    mtf_act(policy, b->states + i % STATES * STATE, b->actions + i % STATES * ACTION);
    mtf_slot_release(b->slot, policy);
}

static void by_reference(bench *b, size_t i)
{
    float action[ACTION];
    mtf_policy_act(b->policy, b->states + i % STATES * STATE, action);
    b->sink = action[0];
}

static void fuse_and_choose(bench *b, size_t i)
{
    uint32_t best[BEST];
    const mtf_status status = mtf_fuse(b->policy, b->actions + i % STATES * ACTION, b->predictions,
                                       CANDIDATES, b->scores, NULL);
    mtf_top_k(b->scores, CANDIDATES, BEST, best);
    b->sink = (float)(best[0] + status);
}

#if defined(__x86_64__) && !defined(__clang__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static float
sum_of(const float *numbers, size_t count)
{
    enum { LANES = 128 }; /* enough of them to hide each addition */
    float sum[LANES] = {0}, total = 0;
    for (size_t i = 0; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += numbers[i + (size_t)k];
    for (int k = 0; k < LANES; k++) total += sum[k];
    return total;
}

/** As many bytes as one act reads when no input is 0. */
static void read_weights(bench *b, size_t i)
{
    (void)i;
    b->sink = sum_of(b->policy->block, b->policy->block_count);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Times every call by itself, after a tenth of them unmeasured. */
static void measure(bench *b, const char *name, size_t calls, call_fn *call)
{
    for (size_t i = 0; i < calls / 10; i++) call(b, i);
    const int64_t began_ns = mtf_clock_mono_ns();
    for (size_t i = 0; i < calls; i++) call(b, i);
    const double seconds = 1e-9 * (double)(mtf_clock_mono_ns() - began_ns);
    for (size_t i = 0; i < calls; i++) {
        const int64_t at_ns = mtf_clock_mono_ns();
        call(b, i);
        b->ns[i] = (double)(mtf_clock_mono_ns() - at_ns);
    }
    qsort(b->ns, calls, sizeof *b->ns, ascending);
    printf("\"%s\": {\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"per_s\": %.0f}, ",
           name, 1e-3 * b->ns[calls / 2], 1e-3 * b->ns[calls * 99 / 100],
           1e-3 * b->ns[calls * 999 / 1000], (double)calls / seconds);
}

static mtf_status save(const bench *b, const char *folder, mtf_err *err)
{
    mtf_buf path = {0}, payload = {0};
    const struct {
        const char *name;
        mtf_span bytes;
    } files[] = {
        {"states.f32", {(const uint8_t *)b->states, sizeof(float) * STATES * STATE}},
        {"actions.f32", {(const uint8_t *)b->actions, sizeof(float) * STATES * ACTION}},
    };
    mtf_status status = mtf_policy_safetensors(b->policy, &payload, err);
    mtf_buf_printf(&path, "%s/policy.safetensors", folder);
    if (!status) status = mtf_file_replace((const char *)path.data, mtf_buf_span(&payload), err);
    for (size_t i = 0; i < 2 && !status; i++) {
        mtf_buf_clear(&path);
        mtf_buf_printf(&path, "%s/%s", folder, files[i].name);
        status = mtf_file_replace((const char *)path.data, files[i].bytes, err);
    }
    mtf_buf_fini(&path);
    mtf_buf_fini(&payload);
    return status;
}

int main(int argc, char **argv)
{
    bench b = {.calls = argc > 3 ? strtoull(argv[3], NULL, 10) : 200000};
    mtf_err err = {0};
    cpu_set_t last;
    if (argc < 3 || b.calls < 1000) {
        fprintf(stderr, "usage: act HIDDEN FOLDER [calls, at least 1000]\n");
        return 64;
    }
    CPU_ZERO(&last);
    CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
    const bool pinned = sched_setaffinity(0, sizeof last, &last) == 0;
    mtf_status status = set_up(&b, (uint32_t)atoi(argv[1]), &err);
    if (status == MTF_OK) {
        printf("{\"simd\": \"%s\", \"pinned\": %s, ",
               mtf_simd_text(mtf_actor_simd(b.policy->actor)), pinned ? "true" : "false");
        measure(&b, "actor", b.calls, by_actor);
        measure(&b, "served", b.calls, by_slot);
        measure(&b, "reference", b.calls / 10, by_reference);
        measure(&b, "weights_read", b.calls, read_weights);
        measure(&b, "fuse_top", b.calls / 20, fuse_and_choose);
        printf("\"weight_bytes\": %zu}\n", b.policy->block_count * sizeof(float));
        status = save(&b, argv[2], &err);
    }
    if (status) fprintf(stderr, "act: %s\n", err.msg);
    mtf_slot_free(b.slot); /* and the policy */
    free(b.states), free(b.actions), free(b.predictions), free(b.scores), free(b.ns);
    return status ? 1 : 0;
}
