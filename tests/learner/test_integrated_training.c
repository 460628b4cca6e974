/* Goal: what the learner does over many steps. It is DDPG when its own terms are switched off; with
 * gamma 0 it finds a known optimum inside the box, and outside settles where penalty and slope
 * balance; and only rounds carry it further than one box. Method: a small DDPG of its own in
 * float64, and reward surfaces with known answers. */
#include "learner/integrated.h"
#include "learner/learner_fixture.h"

#include <string.h>

static const mtf_algorithm_ops *const ops = &mtf_integrated_ops;

/* ---- A plain DDPG (Lillicrap et al., arXiv:1509.02971), one row at a time. ---- */

#define WEIGHTS_MAX 1024

typedef struct ddpg_net {
    double w[WEIGHTS_MAX], slow[WEIGHTS_MAX], m[WEIGHTS_MAX], v[WEIGHTS_MAX], g[WEIGHTS_MAX];
} ddpg_net;

/* Adds dy . dy/dw to g and writes dy . dy/dx to dx (inputs), for one row. */
static void ddpg_back(const mtf_mlp *mlp, const double *w, const double *x, const double *dy,
                      double *g, double *dx)
{
    const size_t in = mlp->inputs, h = mlp->hidden, out = mlp->outputs;
    const size_t widths[4] = {in, h, h, out};
    double unit[3][64], y[64], delta[64], below[64];
    memcpy(unit[0], x, in * sizeof *x);
    plain_forward(mlp, w, x, unit[1], unit[2], y);
    memcpy(delta, dy, out * sizeof *dy);
    size_t at = plain_count(mlp);
    for (size_t layer = 3; layer-- > 0;) {
        const size_t rows = widths[layer + 1], cols = widths[layer];
        const size_t bias = at - rows, weight = bias - rows * cols;
        for (size_t i = 0; i < cols; i++) below[i] = 0.0;
        for (size_t o = 0; o < rows; o++) {
            g[bias + o] += delta[o];
            for (size_t i = 0; i < cols; i++) {
                g[weight + o * cols + i] += delta[o] * unit[layer][i];
                below[i] += delta[o] * w[weight + o * cols + i];
            }
        }
        for (size_t i = 0; i < cols; i++) {
            delta[i] = layer > 0 && !(unit[layer][i] > 0.0) ? 0.0 : below[i];
        }
        at = weight;
    }
    memcpy(dx, delta, in * sizeof *dx);
}

static void ddpg_adam(ddpg_net *net, size_t count, double rate, int t)
{
    for (size_t i = 0; i < count; i++) {
        net->m[i] = 0.9 * net->m[i] + 0.1 * net->g[i];
        net->v[i] = 0.999 * net->v[i] + 0.001 * net->g[i] * net->g[i];
        net->w[i] -=
            rate * (net->m[i] / (1 - pow(0.9, t))) / (sqrt(net->v[i] / (1 - pow(0.999, t))) + 1e-8);
    }
}

static void ddpg_mu(const mtf_mlp *actor, const double *w, const double *s, double *a)
{
    plain_forward(actor, w, s, NULL, NULL, a);
    for (size_t d = 0; d < actor->outputs; d++) a[d] = tanh(a[d]);
}

typedef struct ddpg_loss {
    double critic, actor;
} ddpg_loss;

static ddpg_loss ddpg_step(const mtf_algorithm *like, ddpg_net *actor, ddpg_net *critic,
                           const mtf_batch *batch, int t)
{
    const mtf_mlp *pi = &like->actor_mlp, *q = &like->critic_mlp;
    const size_t S = batch->state_dim, A = batch->action_dim;
    const double share = 1.0 / (double)batch->rows;
    ddpg_loss loss = {0};
    double x[64], dx[64], value, slope;
    memset(critic->g, 0, sizeof critic->g);
    memset(actor->g, 0, sizeof actor->g);
    for (size_t b = 0; b < batch->rows; b++) {
        for (size_t i = 0; i < S; i++) x[i] = (double)batch->s2[b * S + i];
        ddpg_mu(pi, actor->slow, x, x + S);
        plain_forward(q, critic->slow, x, NULL, NULL, &value);
        const double y = (double)batch->r[b] + 0.9 * (1.0 - (double)batch->done[b]) * value;
        for (size_t i = 0; i < S; i++) x[i] = (double)batch->s[b * S + i];
        for (size_t d = 0; d < A; d++) x[S + d] = (double)batch->a[b * A + d];
        plain_forward(q, critic->w, x, NULL, NULL, &value);
        loss.critic += share * (value - y) * (value - y);
        slope = 2.0 * share * (value - y);
        ddpg_back(q, critic->w, x, &slope, critic->g, dx);
    }
    ddpg_adam(critic, plain_count(q), like->config.critic_lr, t);
    for (size_t b = 0; b < batch->rows; b++) {
        double unused[WEIGHTS_MAX] = {0}, da[64];
        for (size_t i = 0; i < S; i++) x[i] = (double)batch->s[b * S + i];
        ddpg_mu(pi, actor->w, x, x + S);
        plain_forward(q, critic->w, x, NULL, NULL, &value);
        loss.actor -= share * value;
        slope = -share;
        ddpg_back(q, critic->w, x, &slope, unused, dx);
        for (size_t d = 0; d < A; d++) da[d] = dx[S + d] * (1.0 - x[S + d] * x[S + d]);
        ddpg_back(pi, actor->w, x, da, actor->g, dx);
    }
    ddpg_adam(actor, plain_count(pi), like->config.actor_lr, t);
    const double w = like->config.soft_update;
    for (size_t i = 0; i < WEIGHTS_MAX; i++) {
        actor->slow[i] = w * actor->w[i] + (1 - w) * actor->slow[i];
        critic->slow[i] = w * critic->w[i] + (1 - w) * critic->slow[i];
    }
    return loss;
}

static void without_its_own_terms_it_is_ddpg_step_for_step(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    config.critics = 1, config.eta = 0, config.lambda = 0, config.delta = 0;
    config.target = MTF_TARGET_LITERAL, config.penalty = MTF_PENALTY_NONE;
    config.target_every = 1, config.soft_update = 0.05, config.lr_final = 1.0;
    config.actor_clip = 0, config.critic_clip = 0;
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_batch *batch = fixture_batch_new(&config);
    ddpg_net *nets = calloc(2, sizeof *nets);
    mtf_err err = {0};
    assert_non_null(nets);
    assert_true(plain_count(&algorithm->critic_mlp) <= WEIGHTS_MAX);
    mtf_assert_ok(ops->begin_round(algorithm, 1.0, true, &err), &err);
    plain_from(&algorithm->actor_mlp, algorithm->actor.weights, nets[0].w);
    plain_from(&algorithm->critic_mlp, algorithm->critics[0].weights, nets[1].w);
    for (size_t k = 0; k < 2; k++) memcpy(nets[k].slow, nets[k].w, sizeof nets[k].slow);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(31), 0);
    for (int t = 1; t <= 60; t++) {
        fixture_batch_fill(batch, &rng, 0.5);
        for (size_t b = 0; b < batch->rows; b++) batch->weight[b] = 1.0f;
        mtf_step_metrics metrics;
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        const ddpg_loss expected = ddpg_step(algorithm, &nets[0], &nets[1], batch, t);
        mtf_assert_close(metrics.critic_loss, expected.critic, 1e-4, 1e-6);
        mtf_assert_close(metrics.actor_loss, expected.actor, 1e-4, 1e-5);
        const float *s = batch->s;
        float a[3];
        double x[5], mu[3];
        for (size_t i = 0; i < 5; i++) x[i] = (double)s[i];
        ops->act(algorithm, 1, s, a);
        ddpg_mu(&algorithm->actor_mlp, nets[0].w, x, mu);
        for (size_t d = 0; d < 3; d++) mtf_assert_close((double)a[d], mu[d], 1e-3, 1e-5);
    }
    free(nets);
    fixture_batch_free(batch);
    ops->close(algorithm);
}

/* ---- Reward surfaces with known answers, one-step sessions: gamma does not matter. ---- */

static mtf_algorithm_config surface_config(void)
{
    mtf_algorithm_config config = fixture_config();
    config.state_dim = 2, config.action_dim = 2, config.hidden = 32, config.batch = 64;
    config.critics = 2, config.gamma = 0.0, config.actor_lr = 2e-3, config.critic_lr = 1e-2;
    return config;
}

typedef struct reward_surface {
    double optimum[2]; /* of -|a - optimum|^2 */
    double centre[2];  /* of the box, half-width 0.15 */
} reward_surface;

static void fill_surface(mtf_batch *batch, mtf_rng *rng, const reward_surface *surface)
{
    for (size_t b = 0; b < batch->rows; b++) {
        double reward = 0.0;
        for (size_t d = 0; d < 2; d++) {
            const size_t at = 2 * b + d;
            const double a = surface->centre[d] + fixture_uniform(rng, -0.15, 0.15);
            batch->s[at] = (float)fixture_uniform(rng, -1, 1);
            batch->bp[at] = (float)surface->centre[d];
            batch->lower[at] = -0.15f, batch->upper[at] = 0.15f;
            batch->a[at] = (float)a;
            reward -= (a - surface->optimum[d]) * (a - surface->optimum[d]);
        }
        batch->r[b] = (float)reward;
        batch->done[b] = 1.0f;
    }
}

/* One round of `steps` on this surface, rewards divided by their standard deviation. */
static void train_round(mtf_algorithm *algorithm, mtf_rng *rng, const reward_surface *surface,
                        uint64_t steps)
{
    mtf_batch *batch = fixture_batch_new(&algorithm->config);
    double sum = 0.0, squares = 0.0, count = 0.0;
    mtf_err err = {0};
    for (int k = 0; k < 20; k++) {
        fill_surface(batch, rng, surface);
        for (size_t b = 0; b < batch->rows; b++) {
            const double r = (double)batch->r[b];
            sum += r, squares += r * r, count += 1.0;
        }
    }
    const double scale = sqrt(squares / count - sum / count * (sum / count));
    mtf_assert_ok(ops->begin_round(algorithm, scale, true, &err), &err);
    for (uint64_t k = 0; k < steps; k++) {
        mtf_step_metrics metrics;
        fill_surface(batch, rng, surface);
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite);
    }
    fixture_batch_free(batch);
}

enum { PROBES = 64 };

/* Mean action over random states; the actions themselves unless NULL. */
static void mean_action(mtf_algorithm *algorithm, float *s, float *a, double mean[2])
{
    float own_s[2 * PROBES], own_a[2 * PROBES];
    if (s == NULL) s = own_s, a = own_a;
    mtf_rng rng = mtf_rng_of(8, 8);
    for (size_t i = 0; i < 2 * PROBES; i++) s[i] = (float)fixture_uniform(&rng, -1, 1);
    ops->act(algorithm, PROBES, s, a);
    mean[0] = mean[1] = 0.0;
    for (size_t b = 0; b < PROBES; b++) {
        for (size_t d = 0; d < 2; d++) mean[d] += (double)a[2 * b + d] / PROBES;
    }
}

static void check_optimum(const mtf_gemm *gemm)
{
    mtf_algorithm_config config = surface_config();
    config.gemm = gemm;
    config.steps = 2500;
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(41), 0);
    const reward_surface surface = {.optimum = {0.08, -0.05}};
    double mean[2];
    train_round(algorithm, &rng, &surface, config.steps);
    mean_action(algorithm, NULL, NULL, mean);
    mtf_assert_close(mean[0], 0.08, 0, 0.03);
    mtf_assert_close(mean[1], -0.05, 0, 0.03);
    ops->close(algorithm);
}

static void optimum_inside_the_box_is_found(void **state)
{
    (void)state;
    check_optimum(NULL);
    if (mtf_gemm_bf16()) check_optimum(mtf_gemm_bf16());
}

/* Where the slope g of the (scaled) value meets the penalty's eta/kappa exp(x/kappa). */
static void outside_the_box_the_actor_settles_at_the_equilibrium(void **state)
{
    (void)state;
    mtf_algorithm_config config = surface_config();
    config.eta = 0.05, config.lambda = 0.0, config.steps = 1500;
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(42), 0);
    const reward_surface surface = {.optimum = {0.9, -0.9}};
    float s[2 * PROBES], a[2 * PROBES], shifted[2 * PROBES], more[PROBES], less[PROBES];
    double mean[2];
    train_round(algorithm, &rng, &surface, config.steps);
    mean_action(algorithm, s, a, mean);
    const double kappa = config.beta * 0.3, half = 1e-2;
    for (size_t d = 0; d < 2; d++) {
        double g = 0.0;
        memcpy(shifted, a, sizeof a);
        for (size_t b = 0; b < PROBES; b++) shifted[2 * b + d] += (float)half;
        ops->value(algorithm, PROBES, s, shifted, more);
        for (size_t b = 0; b < PROBES; b++) shifted[2 * b + d] -= (float)(2 * half);
        ops->value(algorithm, PROBES, s, shifted, less);
        for (size_t b = 0; b < PROBES; b++) {
            g += (double)(more[b] - less[b]) / (2 * half) / algorithm->reward_scale / PROBES;
        }
        const double equilibrium = kappa * log(fabs(g) * kappa / config.eta);
        assert_true(equilibrium > 0.05);
        mtf_assert_close(fabs(mean[d]) - 0.15, equilibrium, 0, 0.1 * kappa);
    }
    ops->close(algorithm);
}

/* Two parts of the reward with optima of their own, weighed 3 to 1: the policy finds the optimum of
 * the weighted sum, which neither part has, and which the plain sum has elsewhere. */
static void groups_pull_by_their_weights(void **state)
{
    (void)state;
    mtf_algorithm_config config = surface_config();
    config.groups = 2, config.steps = 2500;
    config.group_weights[0] = 0.75, config.group_weights[1] = 0.25;
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_batch *batch = fixture_batch_new(&config);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(44), 0);
    const reward_surface surfaces[] = {{.optimum = {0.12, 0.0}}, {.optimum = {-0.12, 0.1}}};
    mtf_err err = {0};
    batch->groups = 2;
    batch->parts = calloc(2 * batch->rows, sizeof *batch->parts);
    assert_non_null(batch->parts);
    /* Deviations of a mean of such squares; the weights are of rewards, whatever the scales. */
    mtf_assert_ok(ops->scale_groups(algorithm, (double[]){0.03, 0.01}, &err), &err);
    mtf_assert_ok(ops->begin_round(algorithm, 0.02, true, &err), &err);
    for (uint64_t k = 0; k < config.steps; k++) {
        mtf_step_metrics metrics;
        fill_surface(batch, &rng, &surfaces[0]);
        for (size_t b = 0; b < batch->rows; b++) {
            batch->r[b] = 0.0f;
            for (size_t g = 0; g < 2; g++) {
                double part = 0.0;
                for (size_t d = 0; d < 2; d++)
                    part -= pow((double)batch->a[2 * b + d] - surfaces[g].optimum[d], 2);
                batch->parts[2 * b + g] = (float)part;
                batch->r[b] += (float)part;
            }
        }
        mtf_assert_ok(ops->step(algorithm, batch, &metrics, &err), &err);
        assert_true(metrics.finite);
    }
    double mean[2];
    mean_action(algorithm, NULL, NULL, mean);
    mtf_assert_close(mean[0], 0.75 * 0.12 - 0.25 * 0.12, 0, 0.03);
    mtf_assert_close(mean[1], 0.25 * 0.1, 0, 0.03);
    free(batch->parts);
    fixture_batch_free(batch);
    ops->close(algorithm);
}

static void rounds(uint32_t count, uint64_t steps, double mean[2])
{
    mtf_algorithm_config config = surface_config();
    config.steps = steps;
    mtf_algorithm *algorithm = fixture_open(&config);
    mtf_rng rng = mtf_rng_of(43, 0);
    reward_surface surface = {.optimum = {0.6, -0.6}};
    for (uint32_t round = 0; round < count; round++) {
        train_round(algorithm, &rng, &surface, steps);
        mean_action(algorithm, NULL, NULL, surface.centre); /* the next baseline */
    }
    memcpy(mean, surface.centre, sizeof surface.centre);
    ops->close(algorithm);
}

static void five_rounds_reach_what_one_box_cannot(void **state)
{
    (void)state;
    double five[2], one[2];
    rounds(5, 1000, five);
    rounds(1, 5000, one); /* as many steps in all */
    for (size_t d = 0; d < 2; d++) {
        const double optimum = d == 0 ? 0.6 : -0.6;
        mtf_assert_close(five[d], optimum, 0, 0.05);
        assert_true(fabs(one[d]) > 0.1 && fabs(one[d]) < 0.25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_its_own_terms_it_is_ddpg_step_for_step),
        cmocka_unit_test(optimum_inside_the_box_is_found),
        cmocka_unit_test(outside_the_box_the_actor_settles_at_the_equilibrium),
        cmocka_unit_test(groups_pull_by_their_weights),
        cmocka_unit_test(five_rounds_reach_what_one_box_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
