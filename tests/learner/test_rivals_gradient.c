/* Goal: the gradients of the learners to compare with are those of their losses. Method: each loss
 * written once more, plainly and in float64, and differentiated by central differences in every
 * weight; what a loss takes as given (targets, noise, weights of rows) is read from the learner,
 * and held against PyTorch by test_golden_rivals. Steps at rate 0 leave the weights where they are.
 */
#include "learner/learner_fixture.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <string.h>

#define TOLERANCE 5e-4

typedef struct plain_case {
    mtf_algorithm *rival;
    mtf_batch *batch;
    double *nets[MTF_RIVAL_NETS_MAX];
    double loose[16];
} plain_case;

/* The loss of one network, or of the loose numbers: NETS_MAX. */
typedef double (*plain_loss)(const plain_case *plain, uint32_t net);

static plain_case setup(const mtf_algorithm_ops *ops, mtf_algorithm_config config, uint64_t seed)
{
    plain_case plain = {.batch = fixture_batch_new(&config)};
    mtf_rng rng = mtf_rng_of(seed, 0);
    mtf_step_metrics metrics;
    mtf_err err = {0};
    config.actor_lr = config.critic_lr = 0.0;
    config.batchrl.generator_lr = config.batchrl.perturbation_lr = config.batchrl.critic_lr = 0.0;
    mtf_assert_ok(ops->open(&config, &plain.rival, &err), &err);
    mtf_assert_ok(ops->begin_round(plain.rival, 0.5, true, &err), &err);
    fixture_batch_fill(plain.batch, &rng, 0.5);
    for (uint32_t i = 0; i < plain.rival->net_count; i++) { /* targets of their own */
        mtf_rival_net *net = &plain.rival->nets[i];
        mtf_mlp_init(&net->mlp, net->net.weights, &rng, 1.0);
        mtf_mlp_init(&net->mlp, net->net.target, &rng, 1.0);
    }
    for (size_t i = 0; i < plain.rival->loose_count; i++)
        plain.rival->loose.weights[i] = (float)fixture_uniform(&rng, -1, 0);
    mtf_assert_ok(ops->step(plain.rival, plain.batch, &metrics, &err), &err);
    assert_true(metrics.finite);
    for (uint32_t i = 0; i < plain.rival->net_count; i++) {
        const mtf_rival_net *net = &plain.rival->nets[i];
        plain.nets[i] = calloc(plain_count(&net->mlp), sizeof **plain.nets);
        assert_non_null(plain.nets[i]);
        plain_from(&net->mlp, net->net.weights, plain.nets[i]);
    }
    for (size_t i = 0; i < plain.rival->loose_count; i++)
        plain.loose[i] = (double)plain.rival->loose.weights[i];
    return plain;
}

static void teardown(plain_case *plain)
{
    for (uint32_t i = 0; i < plain->rival->net_count; i++) free(plain->nets[i]);
    fixture_batch_free(plain->batch);
    mtf_rival_close(plain->rival);
}

static double slope_at(const plain_case *plain, plain_loss loss, uint32_t net, double *weight)
{
    const double kept = *weight, half = 1e-6;
    *weight = kept + half;
    const double more = loss(plain, net);
    *weight = kept - half;
    const double less = loss(plain, net);
    *weight = kept;
    return (more - less) / (2 * half);
}

static void compare_net(plain_case *plain, plain_loss loss, uint32_t index)
{
    const mtf_rival_net *net = &plain->rival->nets[index];
    double *weight = plain->nets[index];
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &net->mlp.tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        const float *gradient = net->gradient + tensor->offset;
        double largest = 0.0;
        for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)gradient[i]));
        assert_true(largest > 0.0);
        for (size_t i = 0; i < count; i++)
            mtf_assert_close((double)gradient[i], slope_at(plain, loss, index, weight++), TOLERANCE,
                             TOLERANCE * largest);
    }
    mtf_assert_close(net->loss, loss(plain, index), 1e-4, 1e-5);
}

static void compare_loose(plain_case *plain, plain_loss loss)
{
    for (size_t i = 0; i < plain->rival->loose_count; i++)
        mtf_assert_close((double)plain->rival->loose_gradient[i],
                         slope_at(plain, loss, MTF_RIVAL_NETS_MAX, &plain->loose[i]), TOLERANCE,
                         TOLERANCE);
}

/* Network's output (outputs,) at [s|rest], by the plain weights. */
static void plain_net(const plain_case *plain, uint32_t net, const float *s, const double *rest,
                      double *y)
{
    const mtf_mlp *mlp = &plain->rival->nets[net].mlp;
    const size_t states = plain->batch->state_dim;
    double x[64];
    for (size_t i = 0; i < states; i++) x[i] = (double)s[i];
    for (size_t i = states; i < mlp->inputs; i++) x[i] = rest[i - states];
    plain_forward(mlp, plain->nets[net], x, NULL, NULL, y);
}

static double plain_q(const plain_case *plain, uint32_t critic, const float *s, const double *a)
{
    double q;
    plain_net(plain, critic, s, a, &q);
    return q;
}

/* Row b's, of the batch; and weight over B. */
static const float *state_of(const plain_case *plain, size_t b)
{
    return plain->batch->s + b * plain->batch->state_dim;
}
static void action_of(const plain_case *plain, size_t b, double *a)
{
    const size_t actions = plain->batch->action_dim;
    for (size_t d = 0; d < actions; d++) a[d] = (double)plain->batch->a[b * actions + d];
}
static double share_of(const plain_case *plain, size_t b)
{
    return (double)plain->batch->weight[b] / (double)plain->batch->rows;
}

static double regression_loss(const plain_case *plain, uint32_t critic)
{
    double loss = 0.0, a[16];
    for (size_t b = 0; b < plain->batch->rows; b++) {
        action_of(plain, b, a);
        const double miss =
            plain_q(plain, critic, state_of(plain, b), a) - (double)plain->rival->y[b];
        loss += share_of(plain, b) * miss * miss;
    }
    return loss;
}

/* ---- td3bc ---- */

static double td3bc_loss(const plain_case *plain, uint32_t net)
{
    const size_t actions = plain->batch->action_dim;
    double size = 0.0, loss = 0.0, a[16], mu[16];
    if (net != MTF_RIVAL_ACTOR) return regression_loss(plain, net);
    for (size_t b = 0; b < plain->batch->rows; b++) /* a number: of the learner's own actions */
        size += share_of(plain, b) * fabs((double)plain->rival->q[0][b]);
    for (size_t b = 0; b < plain->batch->rows; b++) {
        double distance = 0.0;
        action_of(plain, b, a);
        plain_net(plain, MTF_RIVAL_ACTOR, state_of(plain, b), NULL, mu);
        for (size_t d = 0; d < actions; d++) {
            mu[d] = tanh(mu[d]);
            distance += (mu[d] - a[d]) * (mu[d] - a[d]) / (double)actions;
        }
        const double q = plain_q(plain, MTF_RIVAL_Q1, state_of(plain, b), mu);
        loss += share_of(plain, b) * (distance - plain->rival->config.td3bc.alpha / size * q);
    }
    return loss;
}

static void gradients_of_td3bc_equal_central_differences(void **state)
{
    (void)state;
    mtf_algorithm_config config = fixture_config();
    config.td3bc.policy_every = 1;
    plain_case plain = setup(&mtf_td3bc_ops, config, mtf_test_seed(71));
    for (uint32_t i = 0; i < plain.rival->net_count; i++) compare_net(&plain, td3bc_loss, i);
    teardown(&plain);
}

/* ---- iql ---- */

/* As rivals read their own: what the actions are worth, and by how much each is imitated. */
static double iql_loss(const plain_case *plain, uint32_t net)
{
    const mtf_algorithm *rival = plain->rival;
    const float *data = rival->scratch[0];
    double loss = 0.0, a[16], mu[16], v;
    if (net <= MTF_RIVAL_Q2) return regression_loss(plain, net);
    for (size_t b = 0; b < plain->batch->rows; b++) {
        const float *s = state_of(plain, b);
        plain_net(plain, MTF_RIVAL_OWN, s, NULL, &v);
        const double u = (double)data[b] - v;
        if (net == MTF_RIVAL_OWN) {
            loss += share_of(plain, b) * fabs(0.7 - (u < 0)) * u * u;
            continue;
        }
        double unlikely = 0.0;
        action_of(plain, b, a);
        plain_net(plain, MTF_RIVAL_ACTOR, s, NULL, mu);
        for (size_t d = 0; d < plain->batch->action_dim; d++) {
            const double z = (a[d] - tanh(mu[d])) / exp(plain->loose[d]);
            unlikely += 0.5 * z * z + plain->loose[d] + 0.5 * log(2.0 * acos(-1.0));
        }
        loss += share_of(plain, b) * fmin(exp(3.0 * u), 100.0) * unlikely;
    }
    return loss;
}

static void gradients_of_iql_equal_central_differences(void **state)
{
    (void)state;
    plain_case plain = setup(&mtf_iql_ops, fixture_config(), mtf_test_seed(72));
    for (uint32_t i = 0; i < plain.rival->net_count; i++) compare_net(&plain, iql_loss, i);
    compare_loose(&plain, iql_loss);
    teardown(&plain);
}

/* ---- cql_sac ---- */

enum { CQL_X, CQL_DENSITY, CQL_NOISE = 6 }; /* of its scratch */

static double cql_critic_loss(const plain_case *plain, uint32_t critic)
{
    const mtf_algorithm *rival = plain->rival;
    const size_t rows = plain->batch->rows, samples = 3 * rival->config.cql_sac.actions;
    double loss = regression_loss(plain, critic), a[16];
    for (size_t b = 0; b < rows; b++) {
        const float *s = state_of(plain, b);
        double sum = 0.0;
        for (size_t j = 0; j < samples; j++) {
            const float *x = rival->scratch[CQL_X] + ((j + 1) * rows + b) * rival->ldx;
            const double density = (double)rival->scratch[CQL_DENSITY][j * rows + b];
            for (size_t d = 0; d < plain->batch->action_dim; d++)
                a[d] = (double)x[plain->batch->state_dim + d];
            sum += exp(plain_q(plain, critic, s, a) - density);
        }
        action_of(plain, b, a);
        loss += share_of(plain, b) * rival->config.cql_sac.weight *
                (log(sum) - plain_q(plain, critic, s, a));
    }
    return loss;
}

/* The actor's loss; with `temperature`, that of log alpha. */
static double cql_actor_loss(const plain_case *plain, bool temperature)
{
    const size_t actions = plain->batch->action_dim;
    double loss = 0.0, head[32], a[16];
    for (size_t b = 0; b < plain->batch->rows; b++) {
        const float *s = state_of(plain, b);
        double likely = 0.0;
        plain_net(plain, MTF_RIVAL_ACTOR, s, NULL, head);
        for (size_t d = 0; d < actions; d++) {
            const double noise = (double)plain->rival->scratch[CQL_NOISE][b * actions + d];
            const double level = fmin(fmax(head[actions + d], -5.0), 2.0);
            a[d] = tanh(head[d] + exp(level) * noise);
            likely -= 0.5 * noise * noise + level + 0.5 * log(2.0 * acos(-1.0));
            likely -= log(1.0 - a[d] * a[d]);
        }
        if (temperature) {
            loss -= share_of(plain, b) * plain->loose[0] * (likely - (double)actions);
            continue;
        }
        const double one = plain_q(plain, MTF_RIVAL_Q1, s, a);
        const double two = plain_q(plain, MTF_RIVAL_Q2, s, a);
        loss += share_of(plain, b) * (exp(plain->loose[0]) * likely - fmin(one, two));
    }
    return loss;
}

static double cql_sac_loss(const plain_case *plain, uint32_t net)
{
    if (net <= MTF_RIVAL_Q2) return cql_critic_loss(plain, net);
    return cql_actor_loss(plain, net == MTF_RIVAL_NETS_MAX);
}

static void gradients_of_cql_sac_equal_central_differences(void **state)
{
    (void)state;
    plain_case plain = setup(&mtf_cql_sac_ops, fixture_config(), mtf_test_seed(73));
    for (uint32_t i = 0; i < plain.rival->net_count; i++) compare_net(&plain, cql_sac_loss, i);
    compare_loose(&plain, cql_sac_loss);
    teardown(&plain);
}

/* ---- batchrl ---- */

enum { BCQ_X = 5, BCQ_ENCODER = MTF_RIVAL_OWN, BCQ_DECODER }; /* of its scratch and networks */

static double generator_loss(const plain_case *plain)
{
    const size_t actions = plain->batch->action_dim, latents = 2 * actions;
    mtf_rng draws = mtf_rival_draws(plain->rival, 0);
    float noise[32 * 6];
    double loss = 0.0, a[16], code[32], z[16], made[16];
    assert_true(plain->batch->rows * latents <= sizeof noise / sizeof noise[0]);
    mtf_rival_normals(&draws, noise, plain->batch->rows * latents);
    for (size_t b = 0; b < plain->batch->rows; b++) {
        const float *s = state_of(plain, b);
        double row = 0.0;
        action_of(plain, b, a);
        plain_net(plain, BCQ_ENCODER, s, a, code);
        for (size_t l = 0; l < latents; l++) {
            const double level = fmin(fmax(code[latents + l], -4.0), 15.0);
            z[l] = code[l] + exp(level) * (double)noise[b * latents + l];
            row -=
                0.25 * (1.0 + 2.0 * level - code[l] * code[l] - exp(2.0 * level)) / (double)latents;
        }
        plain_net(plain, BCQ_DECODER, s, z, made);
        for (size_t d = 0; d < actions; d++)
            row += (tanh(made[d]) - a[d]) * (tanh(made[d]) - a[d]) / (double)actions;
        loss += share_of(plain, b) * row;
    }
    return loss;
}

static double perturbation_loss(const plain_case *plain)
{
    const mtf_algorithm *rival = plain->rival;
    const size_t actions = plain->batch->action_dim;
    double loss = 0.0, a[16], bent[16];
    for (size_t b = 0; b < plain->batch->rows; b++) {
        const float *s = state_of(plain, b);
        const float *x = rival->scratch[BCQ_X] + b * rival->ldx + plain->batch->state_dim;
        for (size_t d = 0; d < actions; d++) a[d] = (double)x[d];
        plain_net(plain, MTF_RIVAL_ACTOR, s, a, bent);
        for (size_t d = 0; d < actions; d++)
            a[d] = fmin(fmax(a[d] + 0.15 * tanh(bent[d]), -1.0), 1.0);
        loss -= share_of(plain, b) * plain_q(plain, MTF_RIVAL_Q1, s, a);
    }
    return loss;
}

static double batchrl_loss(const plain_case *plain, uint32_t net)
{
    if (net <= MTF_RIVAL_Q2) return regression_loss(plain, net);
    return net == MTF_RIVAL_ACTOR ? perturbation_loss(plain) : generator_loss(plain);
}

static void gradients_of_batchrl_equal_central_differences(void **state)
{
    (void)state;
    plain_case plain = setup(&mtf_batchrl_ops, fixture_config(), mtf_test_seed(74));
    plain.rival->taken--; /* the draws are those of the step taken */
    for (uint32_t i = 0; i < plain.rival->net_count; i++) compare_net(&plain, batchrl_loss, i);
    teardown(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_td3bc_equal_central_differences),
        cmocka_unit_test(gradients_of_iql_equal_central_differences),
        cmocka_unit_test(gradients_of_cql_sac_equal_central_differences),
        cmocka_unit_test(gradients_of_batchrl_equal_central_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
