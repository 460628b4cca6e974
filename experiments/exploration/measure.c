/** What the two explorations of arXiv:2404.17589 are worth, measured: the box of formula 3 against
 *  Gaussian noise on the action. Prints JSON lines; run.py makes the README's tables of them.
 *
 *    measure density             where the actions fall, by arithmetic and by drawing
 *    measure lost [POLICY]       what exploring costs users, round action 0 or a policy record
 *    measure curve SEED [STEPS]  what a learner makes of so many sessions of either */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/explore.h"
#include "core/file.h"
#include "core/rng.h"
#include "learner/train.h"
#include "sim/draw.h"
#include "sim/sim_private.h"

enum { A = MTF_SIM_ACTIONS, S = MTF_SIM_STATE, VISITS = 3 };
#define HALF  0.15f /* of the paper's box */
#define SIGMA 0.2f  /* of its rival */
#define PI    3.14159265358979323846

typedef enum noise_kind { NOISE_NONE, NOISE_BOX, NOISE_GAUSSIAN } noise_kind;

/** How actions are spread round the policy's; size: half-width or standard deviation. */
typedef struct noise {
    noise_kind kind;
    float size;
} noise;

static const char *name_of(noise_kind kind)
{
    static const char *const names[] = {"none", "box", "gaussian"};
    return names[kind];
}

static void explore(const noise *by, uint64_t seed, mtf_str id, const float *baseline,
                    float *action)
{
    float lower[A], upper[A];
    memcpy(action, baseline, A * sizeof *action);
    if (by->kind == NOISE_GAUSSIAN) mtf_explore_gaussian(seed, id, A, baseline, by->size, action);
    if (by->kind != NOISE_BOX) return;
    mtf_box_clip(A, baseline, by->size, lower, upper);
    mtf_explore_box(seed, id, A, baseline, lower, upper, action);
}

/* -- where the actions fall -------------------------------------- */

enum { DRAWS = 2000000 };

/** Of one draw of ten dimensions. */
typedef struct spread {
    double inside_all, inside, distance, square, absolute, clipped, edge;
} spread;

static void add_draw(const float *action, const float *baseline, spread *to)
{
    double square = 0;
    int inside = 0;
    for (int d = 0; d < A; d++) {
        const double off = fabs((double)action[d] - (double)baseline[d]);
        square += off * off;
        to->absolute += off / A;
        inside += off <= (double)HALF;
        to->edge += (off > (double)HALF - 0.005 && off <= (double)HALF) / (double)A;
        to->clipped += (fabsf(action[d]) >= 1) / (double)A;
    }
    to->inside += inside / (double)A;
    to->inside_all += inside == A;
    to->square += square;
    to->distance += sqrt(square);
}

static spread draw_all(const noise *by, float baseline_value, double *inside_all_se)
{
    spread sum = {0};
    float baseline[A], action[A];
    for (int d = 0; d < A; d++) baseline[d] = baseline_value;
    for (int i = 0; i < DRAWS; i++) {
        char id[24];
        snprintf(id, sizeof id, "%d", i);
        explore(by, 1, mtf_str_of(id), baseline, action);
        add_draw(action, baseline, &sum);
    }
    double *fields = (double *)&sum;
    for (size_t k = 0; k < sizeof sum / sizeof *fields; k++) fields[k] /= DRAWS;
    *inside_all_se = sqrt(sum.inside_all * (1 - sum.inside_all) / DRAWS);
    return sum;
}

static void density(void)
{
    const noise kinds[] = {{NOISE_BOX, HALF}, {NOISE_GAUSSIAN, SIGMA}};
    const double z = (double)HALF / (double)SIGMA, width = 2 * (double)HALF;
    const double share = erf(z / sqrt(2)), edge = exp(-z * z / 2) / ((double)SIGMA * sqrt(2 * PI));
    double se;
    printf("{\"part\":\"accounts\",\"range\":%.6g,\"range10\":%.6g,\"mean\":%.6g,\"mean10\":%.6g,"
           "\"worst\":%.6g,\"worst10\":%.6g}\n",
           3 * (double)SIGMA / width, pow(3 * (double)SIGMA / width, A), 1 / share,
           pow(1 / share, A), 1 / width / edge, pow(1 / width / edge, A));
    const float baselines[] = {0, 0.75f, 0.95f};
    for (size_t b = 0; b < sizeof baselines / sizeof *baselines; b++) {
        for (int k = 0; k < 2; k++) {
            const spread found = draw_all(&kinds[k], baselines[b], &se);
            printf("{\"part\":\"spread\",\"noise\":\"%s\",\"baseline\":%g,\"draws\":%d,"
                   "\"inside\":%.6g,\"inside_all\":%.6g,\"inside_all_se\":%.3g,\"distance\":%.6g,"
                   "\"deviation\":%.6g,\"absolute\":%.6g,\"clipped\":%.6g,\"edge_density\":%.6g}\n",
                   name_of(kinds[k].kind), (double)baselines[b], DRAWS, found.inside,
                   found.inside_all, se, found.distance, sqrt(found.square / A), found.absolute,
                   found.clipped, found.edge / 0.01);
        }
    }
}

/* -- sessions ---------------------------------------------------- */

/** Transitions side by side, in the order of their sessions. */
typedef struct rows {
    size_t count, capacity;
    float *s, *a, *bp, *lower, *upper, *r; /* (count, ...) */
    bool *done;
} rows;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "measure: %s\n", what);
    exit(1);
}

static void *more(void *old, size_t count, size_t size)
{
    void *block = realloc(old, count * size);
    if (!block) fail("out of memory");
    return block;
}

static void grow(rows *to)
{
    if (to->count < to->capacity) return;
    const size_t n = to->capacity = to->capacity ? 2 * to->capacity : 4096;
    to->s = more(to->s, n * S, sizeof(float));
    to->r = more(to->r, n, sizeof(float));
    to->done = more(to->done, n, sizeof(bool));
    float **const actions[] = {&to->a, &to->bp, &to->lower, &to->upper};
    for (size_t i = 0; i < 4; i++) *actions[i] = more(*actions[i], n * A, sizeof(float));
}

static void rows_free(rows *of)
{
    void *const all[] = {of->s, of->a, of->bp, of->lower, of->upper, of->r, of->done};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/** One request; whoever logs Gaussian noise logs no box, and the configured one is taken. */
static bool serve(const mtf_sim *sim, const mtf_policy *policy, const noise *by, uint64_t seed,
                  sim_visit *visit, double *reward, rows *to)
{
    float state[S], baseline[A], action[A];
    sim_list list;
    sim_outcome outcome;
    char id[48];
    snprintf(id, sizeof id, "%016" PRIx64 ".%u", visit->key, visit->step);
    sim_visit_state(visit, &sim->world, state);
    mtf_policy_act(policy, state, baseline);
    explore(by, seed, mtf_str_of(id), baseline, action);
    sim_visit_rank(visit, &sim->world, &sim->table, action, &list);
    sim_visit_answer(visit, &sim->world, &list, &outcome);
    sim_visit_note(visit, &outcome);
    *reward = sim_reward(sim, &outcome);
    if (!to) return !outcome.leaves;
    grow(to);
    const size_t i = to->count++;
    memcpy(to->s + i * S, state, sizeof state);
    memcpy(to->a + i * A, action, sizeof action);
    memcpy(to->bp + i * A, baseline, sizeof baseline);
    mtf_box_clip(A, baseline, by->kind == NOISE_BOX ? by->size : HALF, to->lower + i * A,
                 to->upper + i * A);
    to->r[i] = (float)*reward;
    to->done[i] = outcome.leaves;
    return !outcome.leaves;
}

/** A user's sessions; returns their mean undiscounted reward. */
static double play(const mtf_sim *sim, const mtf_policy *policy, const noise *by, uint64_t seed,
                   uint32_t user, rows *to)
{
    double sum = 0;
    for (uint32_t number = 0; number < VISITS; number++) {
        sim_visit visit;
        sim_user_init(&visit.user, &sim->world, seed, user);
        sim_visit_begin(&visit, number,
                        sim_uniform(sim_key(visit.user.key, SIM_USER_HOUR), number));
        for (bool stays = true; stays;) {
            double reward;
            stays = serve(sim, policy, by, seed + 1000, &visit, &reward, to);
            sum += reward;
        }
    }
    return sum / VISITS;
}

/* -- what exploring costs ---------------------------------------- */

enum { LOST_USERS = 20000 };

static mtf_policy *read_policy(const char *path)
{
    mtf_buf bytes = {0};
    mtf_policy *policy = NULL;
    mtf_err err = {0};
    if (mtf_file_read(path, 4000000, &bytes, &err) ||
        mtf_policy_decode(mtf_buf_span(&bytes), &policy, &err))
        fail(err.msg);
    mtf_buf_fini(&bytes);
    return policy;
}

static mtf_policy *zero_policy(const mtf_sim *sim)
{
    const uint32_t widths[] = {S, A};
    mtf_policy *policy = mtf_policy_new(widths, 1, &sim->table);
    if (!policy) fail("out of memory");
    return policy;
}

/** The same users, candidates and luck with and without noise, user by user. */
static void lost(const mtf_sim *sim, const char *path)
{
    const noise none = {NOISE_NONE, 0};
    const float same = HALF / sqrtf(3), wide = SIGMA * sqrtf(3); /* of the same variance */
    const noise kinds[] = {
        {NOISE_BOX, HALF}, {NOISE_GAUSSIAN, SIGMA}, {NOISE_GAUSSIAN, same}, {NOISE_BOX, wide}};
    mtf_policy *policy = path ? read_policy(path) : zero_policy(sim);
    float *quiet = more(NULL, LOST_USERS, sizeof *quiet), *noisy = more(NULL, LOST_USERS, 4);
    double mean = 0;
    for (uint32_t user = 0; user < LOST_USERS; user++)
        mean += (double)(quiet[user] = (float)play(sim, policy, &none, 5, user, NULL)) / LOST_USERS;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (uint32_t user = 0; user < LOST_USERS; user++)
            noisy[user] = (float)play(sim, policy, &kinds[k], 5, user, NULL);
        const mtf_sim_gain gain = mtf_sim_paired(quiet, noisy, LOST_USERS);
        printf(
            "{\"part\":\"lost\",\"baseline\":\"%s\",\"noise\":\"%s\",\"size\":%.4g,"
            "\"deviation\":%.4g,\"users\":%d,\"reward\":%.6g,\"gain\":%.5g,\"ci\":[%.5g,%.5g]}\n",
            path ? "policy" : "zero", name_of(kinds[k].kind), (double)kinds[k].size,
            (double)kinds[k].size / (kinds[k].kind == NOISE_BOX ? sqrt(3) : 1), LOST_USERS, mean,
            gain.mean, gain.low, gain.high);
        fflush(stdout);
    }
    mtf_policy_free(policy);
    free(quiet);
    free(noisy);
}

/* -- what a learner makes of it ---------------------------------- */

enum { TEST_SESSIONS = 20000 };

typedef struct batch_space {
    mtf_batch batch;
    float mean[S], deviation[S];
} batch_space;

static void learn_normaliser(const rows *data, batch_space *space)
{
    for (int k = 0; k < S; k++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < data->count; i++) sum += (double)data->s[i * S + (size_t)k];
        const double mean = sum / (double)data->count;
        for (size_t i = 0; i < data->count; i++) {
            const double off = (double)data->s[i * S + (size_t)k] - mean;
            square += off * off;
        }
        const double deviation = sqrt(square / (double)data->count);
        space->mean[k] = (float)mean;
        space->deviation[k] = deviation > 1e-4 ? (float)deviation : 1;
    }
}

static void open_batch(size_t B, batch_space *space)
{
    mtf_batch *batch = &space->batch;
    *batch = (mtf_batch){.rows = B, .state_dim = S, .action_dim = A};
    float **const actions[] = {&batch->a,   &batch->bp,     &batch->lower, &batch->upper,
                               &batch->bp2, &batch->lower2, &batch->upper2};
    float **const scalars[] = {&batch->r, &batch->done, &batch->weight};
    batch->s = more(NULL, B * S, sizeof(float));
    batch->s2 = more(NULL, B * S, sizeof(float));
    for (size_t i = 0; i < 7; i++) *actions[i] = more(NULL, B * A, sizeof(float));
    for (size_t i = 0; i < 3; i++) *scalars[i] = more(NULL, B, sizeof(float));
}

static void close_batch(mtf_batch *batch)
{
    float *const all[] = {batch->s,      batch->s2,    batch->a,    batch->bp,
                          batch->lower,  batch->upper, batch->bp2,  batch->lower2,
                          batch->upper2, batch->r,     batch->done, batch->weight};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void put_state(const batch_space *space, const float *raw, float *to)
{
    for (int k = 0; k < S; k++) to[k] = (raw[k] - space->mean[k]) / space->deviation[k];
}

static void draw_batch(const rows *data, uint64_t seed, uint64_t step, batch_space *space)
{
    mtf_batch *batch = &space->batch;
    mtf_rng rng = mtf_rng_of(seed, step);
    for (size_t b = 0; b < batch->rows; b++) {
        const size_t i = (size_t)mtf_rng_below(&rng, data->count), at = b * A;
        const bool done = data->done[i];
        const size_t n = done ? i : i + 1, bytes = A * sizeof(float);
        put_state(space, data->s + i * S, batch->s + b * S);
        put_state(space, data->s + n * S, batch->s2 + b * S);
        memcpy(batch->a + at, data->a + i * A, bytes);
        memcpy(batch->bp + at, data->bp + i * A, bytes);
        memcpy(batch->lower + at, data->lower + i * A, bytes);
        memcpy(batch->upper + at, data->upper + i * A, bytes);
        memcpy(batch->bp2 + at, data->bp + n * A, bytes);
        memcpy(batch->lower2 + at, data->lower + n * A, bytes);
        memcpy(batch->upper2 + at, data->upper + n * A, bytes);
        batch->r[b] = data->r[i];
        batch->done[b] = done;
        batch->weight[b] = 1;
    }
}

static double reward_deviation(const rows *data)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < data->count; i++)
        sum += (double)data->r[i], square += (double)data->r[i] * (double)data->r[i];
    const double n = (double)data->count;
    return sqrt(square / n - sum / n * (sum / n));
}

static mtf_policy *make_policy(const mtf_sim *sim, const mtf_algorithm_ops *ops,
                               const mtf_algorithm *algorithm, const batch_space *space)
{
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1];
    const float *weights[MTF_POLICY_LAYERS_MAX], *biases[MTF_POLICY_LAYERS_MAX];
    const uint32_t layers = ops->actor(algorithm, widths, weights, biases);
    mtf_policy *policy = mtf_policy_new(widths, layers, &sim->table);
    if (!policy) fail("out of memory");
    memcpy(policy->mean, space->mean, sizeof space->mean);
    memcpy(policy->deviation, space->deviation, sizeof space->deviation);
    for (uint32_t i = 0; i < layers; i++) {
        mtf_policy_layer *layer = &policy->layers[i];
        memcpy(layer->weight, weights[i], (size_t)layer->inputs * layer->outputs * sizeof(float));
        memcpy(layer->bias, biases[i], layer->outputs * sizeof(float));
    }
    return policy;
}

/** One learner on these rows. */
static mtf_policy *train(const mtf_sim *sim, const char *name, uint64_t steps, uint64_t seed,
                         const rows *data)
{
    mtf_err err = {0};
    mtf_settings settings;
    mtf_algorithm_config config;
    mtf_algorithm *algorithm;
    mtf_step_metrics metrics;
    batch_space space;
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, steps);
    if (mtf_settings_init(&settings, &err) ||
        mtf_settings_set(&settings, "learner.algorithm", name, "measure", &err) ||
        mtf_settings_set(&settings, "learner.hidden", "32", "measure", &err) ||
        mtf_settings_set(&settings, "learner.critics", "8", "measure", &err) ||
        mtf_settings_set(&settings, "learner.steps", number, "measure", &err) ||
        mtf_settings_set(&settings, "learner.threads", "1", "measure", &err) ||
        mtf_train_algorithm_config(&settings, A, &config, &err))
        fail(err.msg);
    config.seed = seed;
    const mtf_algorithm_ops *ops = mtf_algorithm_find(name);
    learn_normaliser(data, &space);
    open_batch(config.batch, &space);
    if (ops->open(&config, &algorithm, &err) ||
        ops->begin_round(algorithm, reward_deviation(data), true, &err))
        fail(err.msg);
    for (uint64_t step = 0; step < steps; step++) {
        draw_batch(data, seed, step, &space);
        if (ops->step(algorithm, &space.batch, &metrics, &err)) fail(err.msg);
    }
    mtf_policy *policy = make_policy(sim, ops, algorithm, &space);
    ops->close(algorithm);
    close_batch(&space.batch);
    mtf_settings_fini(&settings);
    return policy;
}

static void curve(const mtf_sim *sim, uint64_t seed, uint64_t steps)
{
    static const char *const learners[] = {"integrated", "ddpg"};
    static const uint32_t sizes[] = {1000, 3000, 10000, 30000};
    const noise kinds[] = {{NOISE_BOX, HALF}, {NOISE_GAUSSIAN, SIGMA}};
    mtf_policy *zero = zero_policy(sim);
    float *start = more(NULL, TEST_SESSIONS, sizeof *start), *end = more(NULL, TEST_SESSIONS, 4);
    mtf_sim_value value;
    mtf_err err = {0};
    if (mtf_sim_evaluate(sim, zero, TEST_SESSIONS, 99, 1, start, &value, &err)) fail(err.msg);
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        for (size_t k = 0; k < 2; k++) {
            rows data = {0};
            for (uint32_t user = 0; user < sizes[n] / VISITS; user++)
                play(sim, zero, &kinds[k], seed, user, &data);
            for (size_t l = 0; l < 2; l++) {
                mtf_policy *policy = train(sim, learners[l], steps, seed, &data);
                if (mtf_sim_evaluate(sim, policy, TEST_SESSIONS, 99, 1, end, &value, &err))
                    fail(err.msg);
                const mtf_sim_gain gain = mtf_sim_paired(start, end, TEST_SESSIONS);
                printf("{\"part\":\"curve\",\"learner\":\"%s\",\"noise\":\"%s\","
                       "\"sessions\":%u,\"rows\":%zu,\"steps\":%" PRIu64 ",\"seed\":%" PRIu64
                       ",\"value\":%.5g,\"gain\":%.5g,\"ci\":[%.5g,%.5g]}\n",
                       learners[l], name_of(kinds[k].kind), sizes[n], data.count, steps, seed,
                       value.mean, gain.mean, gain.low, gain.high);
                fflush(stdout);
                mtf_policy_free(policy);
            }
            rows_free(&data);
        }
    }
    mtf_policy_free(zero);
    free(start);
    free(end);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    const mtf_sim_config config = mtf_sim_config_default();
    mtf_sim *sim;
    mtf_err err = {0};
    if (mtf_sim_open(&config, &sim, &err)) fail(err.msg);
    if (strcmp(part, "density") == 0)
        density();
    else if (strcmp(part, "lost") == 0)
        lost(sim, argc > 2 ? argv[2] : NULL);
    else if (strcmp(part, "curve") == 0)
        curve(sim, argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
              argc > 3 ? strtoull(argv[3], NULL, 10) : 1500);
    else
        fail("say density, lost [POLICY] or curve SEED [STEPS]");
    mtf_sim_close(sim);
    return 0;
}
