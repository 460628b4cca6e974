/* Conservative Q-learning over a soft actor-critic (Kumar et al., arXiv:2006.04779, form H with
 * importance sampling; Haarnoja et al., arXiv:1812.05905).
 *
 *    critic i   : mean( (Q_i(s, a) - y)^2 + weight (logsumexp_j(Q_i(s, a_j) - log p_j) - Q_i(s, a))
 * ) y          = r + gamma (1 - done) min_i Q'_i(s', a'), a' ~ pi(s') actor      : mean( alpha log
 * pi(a|s) - min_i Q_i(s, a) ), a ~ pi(s), with the new critics temperature: mean( -log alpha (log
 * pi(a|s) - A) )
 *
 *  The a_j are cql_sac.actions draws each of a uniform over the row's box, of pi(s) and of pi(s'),
 *  all valued at s; p_j is the density of each. The box is widened to hold the logged action, which
 *  other exploration leaves outside it, and to 0.01 where it is narrower.
 *
 *  pi is tanh of a Gaussian whose means and log deviations the actor gives. Densities are taken
 *  from the number before tanh, so that they are finite for actions next to +-1 too. The policy
 *  that acts is tanh of the mean. */
#include "learner/kernels.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <math.h>

#define LOG_DEVIATION_MIN -5.0f
#define LOG_DEVIATION_MAX 2.0f
#define HALF_LOG_2PI      0.91893853f
#define LOG_2             0.69314718f
#define WIDTH_MIN         0.01f

enum { UNIFORM, HERE, NEXT, PROPOSALS };    /* where the a_j come from, and the draws' uses */
enum { TARGET = PROPOSALS, ACTOR_OF_STEP }; /* further uses */
/* scratch; many = (3 actions + 1) B rows: the batch's own, then those of each proposal's draws */
enum {
    X_MANY,  /* (many,ldx) */
    DENSITY, /* (3 actions,B): log p_j */
    Q_MANY,  /* (many,) of each critic */
    DQ_MANY = Q_MANY + 2,
    NOISE = DQ_MANY + 2, /* (B,A) standard normals */
    HEAD,                /* (B,2A): means, log deviations */
    D_HEAD,
    LIKELY, /* (B,) log pi(a|s) */
};

static size_t samples_of(const mtf_algorithm_config *config)
{
    return (size_t)PROPOSALS * config->cql_sac.actions;
}

static mtf_status cql_sac_open(const mtf_algorithm_config *config, mtf_algorithm **out,
                               mtf_err *err)
{
    const size_t rows = config->batch, samples = samples_of(config) * rows, many = samples + rows;
    const uint32_t states = config->state_dim, actions = config->action_dim;
    const mtf_rival_shape critic = {states + actions, 1, 1.0, true, many};
    const mtf_rival_plan plan = {
        .net_count = 3,
        .nets = {critic, critic, {states, 2 * actions, 0.1, false, rows}},
        .loose = 1,
        .scratch = {[X_MANY] = many * mtf_rival_ldx(config),
                    [DENSITY] = samples,
                    [Q_MANY] = many,
                    [Q_MANY + 1] = many,
                    [DQ_MANY] = many,
                    [DQ_MANY + 1] = many,
                    [NOISE] = rows * actions,
                    [HEAD] = rows * 2 * actions,
                    [D_HEAD] = rows * 2 * actions,
                    [LIKELY] = rows},
    };
    const mtf_algorithm_rule rules[] = {
        {"cql_sac.weight", config->cql_sac.weight, 0, 1e9},
        {"cql_sac.actions", config->cql_sac.actions, 1, 1000},
    };
    *out = NULL;
    const mtf_status status = mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
    return status ? status : mtf_rival_open(&mtf_cql_sac_ops, &plan, config, out, err);
}

static float level_of(float raw)
{
    return fminf(fmaxf(raw, LOG_DEVIATION_MIN), LOG_DEVIATION_MAX);
}

/* An action (A) of the policy whose head is given, by standard normals (A); returns its log
 * density. With e = exp(-2|u|), tanh |u| = (1 - e) / (1 + e), and
 * log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + e)). */
static float draw(const float *head, const float *noise, size_t actions, float *action)
{
    float density = 0.0f;
    for (size_t d = 0; d < actions; d++) {
        const float level = level_of(head[actions + d]);
        const float u = head[d] + expf(level) * noise[d], size = fabsf(u), e = expf(-2.0f * size);
        action[d] = copysignf((1.0f - e) / (1.0f + e), u);
        density -= 0.5f * noise[d] * noise[d] + level + HALF_LOG_2PI;
        density -= 2.0f * (LOG_2 - size - logf(1.0f + e));
    }
    return density;
}

/* One action a row into x's action columns (B,ldx), by HEAD; density (B,) unless NULL. */
static void draw_rows(mtf_algorithm *rival, mtf_rng *draws, float *x, float *density)
{
    const size_t actions = rival->config.action_dim, rows = rival->batch->rows;
    float *noise = rival->scratch[NOISE];
    mtf_rival_normals(draws, noise, rows * actions);
    for (size_t b = 0; b < rows; b++) {
        const float likely = draw(rival->scratch[HEAD] + b * 2 * actions, noise + b * actions,
                                  actions, x + b * rival->ldx + rival->config.state_dim);
        if (density) density[b] = likely;
    }
}

/* HEAD at s or, next, at s'. */
static void head_at(mtf_algorithm *rival, bool next)
{
    const mtf_batch *batch = rival->batch;
    mtf_rival_forward(rival, MTF_RIVAL_ACTOR, false, batch->rows, next ? batch->s2 : batch->s,
                      batch->state_dim, rival->scratch[HEAD]);
}

static void make_targets(mtf_algorithm *rival)
{
    const size_t rows = rival->batch->rows;
    mtf_rng draws = mtf_rival_draws(rival, TARGET);
    head_at(rival, true);
    draw_rows(rival, &draws, rival->x_next, NULL);
    mtf_rival_critics(rival, true, rows, rival->x_next, rival->q);
    for (size_t b = 0; b < rows; b++) rival->y[b] = fminf(rival->q[0][b], rival->q[1][b]);
    mtf_rival_bootstrap(rival, rival->y);
}

/* The row's uniform proposal: an action (A); returns its log density. */
static float draw_uniform(const mtf_batch *batch, size_t b, mtf_rng *draws, float *action)
{
    float density = 0.0f;
    for (size_t d = 0; d < batch->action_dim; d++) {
        const size_t at = b * batch->action_dim + d;
        const float a = batch->a[at];
        const float low = fminf(batch->bp[at] + batch->lower[at], a);
        const float high = fmaxf(batch->bp[at] + batch->upper[at], a);
        const float width = fmaxf(high - low, WIDTH_MIN), middle = 0.5f * (low + high);
        action[d] = middle + width * ((float)mtf_rng_uniform(draws) - 0.5f);
        density -= logf(width);
    }
    return density;
}

/* X_MANY and DENSITY: the batch's rows, then each proposal's draws, one of all rows after another.
 */
static void propose(mtf_algorithm *rival)
{
    const mtf_batch *batch = rival->batch;
    const size_t rows = batch->rows, ldx = rival->ldx, states = batch->state_dim;
    float *x = rival->scratch[X_MANY], *density = rival->scratch[DENSITY];
    mtf_rival_fill(rival, x, rows, batch->s, batch->a);
    for (uint32_t proposal = 0; proposal < PROPOSALS; proposal++) {
        mtf_rng draws = mtf_rival_draws(rival, proposal);
        if (proposal != UNIFORM) head_at(rival, proposal == NEXT);
        for (uint32_t k = 0; k < rival->config.cql_sac.actions; k++, density += rows) {
            x += rows * ldx;
            mtf_rival_fill(rival, x, rows, batch->s, NULL);
            if (proposal != UNIFORM) {
                draw_rows(rival, &draws, x, density);
                continue;
            }
            for (size_t b = 0; b < rows; b++)
                density[b] = draw_uniform(batch, b, &draws, x + b * ldx + states);
        }
    }
}

/* logsumexp of row b's draws for these values (many,), and into dq (many,) factor times its slopes.
 */
static double soft_maximum(const mtf_algorithm *rival, size_t b, const float *q, float factor,
                           float *dq)
{
    const size_t rows = rival->batch->rows, samples = samples_of(&rival->config);
    const float *density = rival->scratch[DENSITY];
    float largest = -INFINITY, sum = 0.0f;
    for (size_t j = 0; j < samples; j++)
        largest = fmaxf(largest, q[(j + 1) * rows + b] - density[j * rows + b]);
    for (size_t j = 0; j < samples; j++) {
        const size_t at = (j + 1) * rows + b;
        dq[at] = expf(q[at] - density[j * rows + b] - largest);
        sum += dq[at];
    }
    for (size_t j = 0; j < samples; j++) dq[(j + 1) * rows + b] *= factor / sum;
    return (double)largest + log((double)sum);
}

static void critic_item(void *arg, uint32_t item, uint32_t worker)
{
    mtf_algorithm *rival = arg;
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    const size_t rows = batch->rows, many = (samples_of(config) + 1) * rows;
    const float weight = (float)config->cql_sac.weight;
    const float *x = rival->scratch[X_MANY];
    float *q = rival->scratch[Q_MANY + item], *dq = rival->scratch[DQ_MANY + item];
    mtf_rival_net *net = &rival->nets[item];
    (void)worker;
    mtf_rival_forward(rival, item, false, many, x, rival->ldx, q);
    net->loss = 0.0;
    for (size_t b = 0; b < rows; b++) {
        const float share = batch->weight[b] / (float)rows, miss = q[b] - rival->y[b];
        const double soft = soft_maximum(rival, b, q, share * weight, dq);
        net->loss +=
            (double)(share * miss * miss) + (double)(share * weight) * (soft - (double)q[b]);
        dq[b] = share * (2.0f * miss - weight);
    }
    mtf_mlp_backward(&net->mlp, net->net.weights, many, x, rival->ldx, &net->space, dq,
                     net->gradient);
    mtf_rival_update(rival, item, config->critic_lr, config->critic_clip);
}

/* Loss of the actor and, into D_HEAD, its slopes, for actions drawn by HEAD and NOISE. */
static void actor_loss(mtf_algorithm *rival)
{
    const mtf_batch *batch = rival->batch;
    const size_t actions = batch->action_dim;
    const float alpha = expf(rival->loose.weights[0]);
    double loss = 0.0;
    for (size_t b = 0; b < batch->rows; b++) {
        const uint32_t least = rival->q[1][b] < rival->q[0][b];
        const float share = batch->weight[b] / (float)batch->rows;
        const float *a = rival->x_policy + b * rival->ldx + batch->state_dim;
        const float *slope = rival->slope[least] + b * actions;
        const float *noise = rival->scratch[NOISE] + b * actions;
        const float *raw = rival->scratch[HEAD] + b * 2 * actions + actions;
        float *out = rival->scratch[D_HEAD] + b * 2 * actions;
        loss += (double)share *
                ((double)(alpha * rival->scratch[LIKELY][b]) - (double)rival->q[least][b]);
        for (size_t d = 0; d < actions; d++) {
            /* d log pi / du = 2a; and -1 more along the log deviation, of the Gaussian itself. */
            const float du = share * (2.0f * alpha * a[d] - slope[d] * (1.0f - a[d] * a[d]));
            const float level = level_of(raw[d]);
            out[d] = du;
            out[actions + d] = raw[d] == level ? du * expf(level) * noise[d] - share * alpha : 0.0f;
        }
    }
    rival->nets[MTF_RIVAL_ACTOR].loss = loss;
}

static void move_actor(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    mtf_rng draws = mtf_rival_draws(rival, ACTOR_OF_STEP);
    head_at(rival, false);
    draw_rows(rival, &draws, rival->x_policy, rival->scratch[LIKELY]);
    mtf_rival_judge(rival, 2);
    actor_loss(rival);
    mtf_mlp_backward(&actor->mlp, actor->net.weights, batch->rows, batch->s, batch->state_dim,
                     &actor->space, rival->scratch[D_HEAD], actor->gradient);
    mtf_rival_update(rival, MTF_RIVAL_ACTOR, config->actor_lr, config->actor_clip);
}

/* Towards an entropy of -A, the usual choice. */
static void move_temperature(mtf_algorithm *rival)
{
    const mtf_batch *batch = rival->batch;
    double gradient = 0.0;
    for (size_t b = 0; b < batch->rows; b++) {
        const double above = (double)rival->scratch[LIKELY][b] - (double)batch->action_dim;
        gradient -= (double)batch->weight[b] / (double)batch->rows * above;
    }
    rival->loose_gradient[0] = (float)gradient;
    mtf_rival_update_loose(rival, rival->config.actor_lr, 0.0);
}

static mtf_status cql_sac_step(mtf_algorithm *rival, const mtf_batch *batch,
                               mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_status status = mtf_rival_begin(rival, batch, err);
    if (status != MTF_OK) return status;
    make_targets(rival);
    propose(rival);
    mtf_pool_run(rival->pool, 2, critic_item, rival);
    move_actor(rival);
    move_temperature(rival);
    mtf_rival_finish(rival, MTF_RIVAL_Q2 + 1, metrics);
    return MTF_OK;
}

const mtf_algorithm_ops mtf_cql_sac_ops = {
    .name = "cql_sac",
    .configure = mtf_rival_configure,
    .open = cql_sac_open,
    .close = mtf_rival_close,
    .begin_round = mtf_rival_begin_round,
    .step = cql_sac_step,
    .act = mtf_rival_act,
    .value = mtf_rival_value,
    .save = mtf_rival_save,
    .load = mtf_rival_load,
    .actor = mtf_rival_actor,
    .set_actor = mtf_rival_set_actor,
    .reinit = mtf_rival_reinit,
};
