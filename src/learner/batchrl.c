/* BatchRL-MTF (arXiv:2208.04560), which is BCQ (Fujimoto et al., arXiv:1812.02900): only actions
 * like the logged ones are ever valued. A conditional variational autoencoder learns to make such
 * actions, and a second network to move them a little, by at most batchrl.perturbation.
 *
 *    generator   : mean( (1/A) |D(s, z) - a|^2 + KL/2 ), z ~ N(m, e^l), (m, l) = E(s, a),
 *                  KL = -1/2 mean over z's dimensions of (1 + 2l - m^2 - e^2l)
 *    candidate k : a_k = clip(a + perturbation tanh(X(s, a)), +-1), a = D(s, z_k),
 *                  z_k standard normal, clipped to +-latent_clip
 *    critics     : towards r + gamma (1 - done) max_k min_j Q'_j(s', a_k), with X's target
 *    X           : mean( -Q_1(s, a_k) ), one candidate a row, its a held fixed
 *
 *  The policy that acts takes the candidate of the largest Q_1. Its z_k are the same in every
 * state, so that it is a function of the state; that function is a search, no network of a policy
 * record, so it can be evaluated but not served. */
#include "learner/kernels.h"
#include "learner/rival.h"
#include "learner/rivals.h"

#include <math.h>
#include <string.h>

#define LOG_DEVIATION_MIN -4.0f
#define LOG_DEVIATION_MAX 15.0f
#define ACT_STREAM        0x6261746368616374u /* of the z_k that act: no step's draws */

enum { ENCODER = MTF_RIVAL_OWN, DECODER };          /* E, D; X is the actor */
enum { GENERATE, CANDIDATES_NEXT, CANDIDATE_HERE }; /* the draws' uses */
/* scratch; many = the most candidates at a time, Z = 2A latent dimensions */
enum {
    CODE,     /* (B,2Z): m, l */
    D_CODE,   /* (B,2Z) */
    NORMALS,  /* (many,Z) */
    X_LATENT, /* (many,ldz): [s|z] */
    D_LATENT, /* (B,Z) */
    X_MANY,   /* (many,ldx): [s|a] */
    RAW,      /* (many,A): of the decoder or X, before tanh */
    D_RAW,    /* (B,A) */
    Q_MANY,   /* (many,) of each critic */
};

static size_t latents_of(const mtf_algorithm_config *config)
{
    return 2 * (size_t)config->action_dim;
}

static size_t ldz_of(const mtf_algorithm_config *config)
{
    return (config->state_dim + latents_of(config) + 15) / 16 * 16;
}

static void batchrl_configure(mtf_algorithm_config *config)
{
    mtf_rival_configure(config);
    config->gamma = config->batchrl.gamma;
    config->soft_update = config->batchrl.soft_update;
    config->target_every = config->batchrl.target_every;
    config->actor_lr = config->batchrl.perturbation_lr;
    config->critic_lr = config->batchrl.critic_lr;
}

static mtf_status check_own(const mtf_algorithm_config *config, mtf_err *err)
{
    const mtf_algorithm_rule rules[] = {
        {"batchrl.perturbation", config->batchrl.perturbation, 0, 2},
        {"batchrl.latent_clip", config->batchrl.latent_clip, 0, 1e9},
        {"batchrl.candidates", config->batchrl.candidates, 1, 10000},
        {"batchrl.act_candidates", config->batchrl.act_candidates, 1, 10000},
        {"batchrl.gamma", config->batchrl.gamma, 0, 1},
        {"batchrl.soft_update", config->batchrl.soft_update, 0, 1},
        {"batchrl.target_every", config->batchrl.target_every, 1, UINT32_MAX},
        {"batchrl.generator_lr", config->batchrl.generator_lr, 0, 10},
        {"batchrl.perturbation_lr", config->batchrl.perturbation_lr, 0, 10},
        {"batchrl.critic_lr", config->batchrl.critic_lr, 0, 10},
    };
    return mtf_algorithm_check(rules, sizeof rules / sizeof rules[0], err);
}

static mtf_status batchrl_open(const mtf_algorithm_config *given, mtf_algorithm **out, mtf_err *err)
{
    mtf_algorithm_config config = *given;
    *out = NULL;
    const mtf_status status = check_own(&config, err);
    if (status != MTF_OK) return status;
    batchrl_configure(&config);
    const uint32_t states = config.state_dim, actions = config.action_dim;
    const uint32_t latents = (uint32_t)latents_of(&config);
    const size_t rows = config.batch, asked = config.batchrl.act_candidates;
    const size_t drawn = rows * config.batchrl.candidates, many = drawn > asked ? drawn : asked;
    const mtf_rival_shape critic = {states + actions, 1, 1.0, true, many};
    const mtf_rival_plan plan = {
        .net_count = 5,
        .nets = {critic,
                 critic,
                 {states + actions, actions, 0.1, false, many},
                 {states + actions, 2 * latents, 1.0, false, rows},
                 {states + latents, actions, 1.0, false, many}},
        .scratch = {[CODE] = rows * 2 * latents,
                    [D_CODE] = rows * 2 * latents,
                    [NORMALS] = many * latents,
                    [X_LATENT] = many * ldz_of(&config),
                    [D_LATENT] = rows * latents,
                    [X_MANY] = many * mtf_rival_ldx(&config),
                    [RAW] = many * actions,
                    [D_RAW] = rows * actions,
                    [Q_MANY] = many,
                    [Q_MANY + 1] = many},
    };
    return mtf_rival_open(&mtf_batchrl_ops, &plan, &config, out, err);
}

static float clamp(float x, float low, float high)
{
    return fminf(fmaxf(x, low), high);
}

/* ---- the generator ---- */

/* Row b's z, from CODE and NORMALS. */
static void draw_latent(mtf_algorithm *rival, size_t b)
{
    const size_t latents = latents_of(&rival->config);
    const float *code = rival->scratch[CODE] + b * 2 * latents;
    const float *noise = rival->scratch[NORMALS] + b * latents;
    float *x = rival->scratch[X_LATENT] + b * ldz_of(&rival->config);
    memcpy(x, rival->batch->s + b * rival->config.state_dim, rival->config.state_dim * sizeof *x);
    for (size_t l = 0; l < latents; l++) {
        const float level = clamp(code[latents + l], LOG_DEVIATION_MIN, LOG_DEVIATION_MAX);
        x[rival->config.state_dim + l] = code[l] + expf(level) * noise[l];
    }
}

/* What row b's reconstruction adds to the loss, and its slopes before tanh. */
static double reconstruct_row(mtf_algorithm *rival, size_t b)
{
    const size_t actions = rival->config.action_dim;
    const float share = rival->batch->weight[b] / (float)(rival->batch->rows * actions);
    double loss = 0.0;
    for (size_t at = b * actions; at < (b + 1) * actions; at++) {
        const float made = tanhf(rival->scratch[RAW][at]), miss = made - rival->batch->a[at];
        loss += (double)(share * miss * miss);
        rival->scratch[D_RAW][at] = 2.0f * share * miss * (1.0f - made * made);
    }
    return loss;
}

/* What row b's code adds to the loss, and its slopes, those of the reconstruction included. */
static double code_row(mtf_algorithm *rival, size_t b)
{
    const size_t latents = latents_of(&rival->config);
    const float *code = rival->scratch[CODE] + b * 2 * latents;
    const float *noise = rival->scratch[NORMALS] + b * latents;
    const float *through = rival->scratch[D_LATENT] + b * latents;
    float *out = rival->scratch[D_CODE] + b * 2 * latents;
    const float share = 0.5f * rival->batch->weight[b] / (float)(rival->batch->rows * latents);
    double loss = 0.0;
    for (size_t l = 0; l < latents; l++) {
        const float mean = code[l], raw = code[latents + l];
        const float level = clamp(raw, LOG_DEVIATION_MIN, LOG_DEVIATION_MAX);
        const float deviation = expf(level), variance = deviation * deviation;
        loss -= 0.5 * (double)share * (double)(1.0f + 2.0f * level - mean * mean - variance);
        out[l] = through[l] + share * mean;
        out[latents + l] =
            raw == level ? through[l] * deviation * noise[l] + share * (variance - 1.0f) : 0.0f;
    }
    return loss;
}

static void move_generator(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const size_t rows = rival->batch->rows, latents = latents_of(config), ldz = ldz_of(config);
    mtf_rival_net *encoder = &rival->nets[ENCODER], *decoder = &rival->nets[DECODER];
    mtf_rng draws = mtf_rival_draws(rival, GENERATE);
    double loss = 0.0;
    mtf_rival_normals(&draws, rival->scratch[NORMALS], rows * latents);
    mtf_rival_forward(rival, ENCODER, false, rows, rival->x_data, rival->ldx, rival->scratch[CODE]);
    for (size_t b = 0; b < rows; b++) draw_latent(rival, b);
    mtf_rival_forward(rival, DECODER, false, rows, rival->scratch[X_LATENT], ldz,
                      rival->scratch[RAW]);
    for (size_t b = 0; b < rows; b++) loss += reconstruct_row(rival, b);
    mtf_mlp_backward(&decoder->mlp, decoder->net.weights, rows, rival->scratch[X_LATENT], ldz,
                     &decoder->space, rival->scratch[D_RAW], decoder->gradient);
    mtf_mlp_backward_inputs(&decoder->mlp, decoder->net.weights, rows, &decoder->space,
                            config->state_dim, latents, rival->scratch[D_LATENT]);
    for (size_t b = 0; b < rows; b++) loss += code_row(rival, b);
    mtf_mlp_backward(&encoder->mlp, encoder->net.weights, rows, rival->x_data, rival->ldx,
                     &encoder->space, rival->scratch[D_CODE], encoder->gradient);
    encoder->loss = decoder->loss = loss;
    mtf_rival_update(rival, ENCODER, config->batchrl.generator_lr, config->actor_clip);
    mtf_rival_update(rival, DECODER, config->batchrl.generator_lr, config->actor_clip);
}

/* ---- candidates ---- */

/* The z (count,Z) of candidates into NORMALS. */
static void draw_latents(mtf_algorithm *rival, mtf_rng *draws, size_t count)
{
    const float limit = (float)rival->config.batchrl.latent_clip;
    float *z = rival->scratch[NORMALS];
    mtf_rival_normals(draws, z, count * latents_of(&rival->config));
    for (size_t i = 0; i < count * latents_of(&rival->config); i++)
        z[i] = clamp(z[i], -limit, limit);
}

/* Candidate i's inputs from row i of NORMALS and state s (S). */
static void place(mtf_algorithm *rival, size_t i, const float *s)
{
    const size_t states = rival->config.state_dim, latents = latents_of(&rival->config);
    float *x = rival->scratch[X_LATENT] + i * ldz_of(&rival->config);
    memcpy(x, s, states * sizeof *x);
    memcpy(x + states, rival->scratch[NORMALS] + i * latents, latents * sizeof *x);
    memcpy(rival->scratch[X_MANY] + i * rival->ldx, s, states * sizeof *x);
}

/* X_MANY's actions = the decoder's; RAW = X (or its target) of them. */
static void generate(mtf_algorithm *rival, size_t count, bool target)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    float *raw = rival->scratch[RAW], *x = rival->scratch[X_MANY];
    mtf_rival_forward(rival, DECODER, false, count, rival->scratch[X_LATENT],
                      ldz_of(&rival->config), raw);
    for (size_t i = 0; i < count; i++) {
        for (size_t d = 0; d < actions; d++)
            x[i * rival->ldx + states + d] = tanhf(raw[i * actions + d]);
    }
    mtf_rival_forward(rival, MTF_RIVAL_ACTOR, target, count, x, rival->ldx, raw);
}

/* Action d of a candidate before its clip: a plus what X moves it by. */
static float moved(const mtf_algorithm *rival, size_t i, size_t d)
{
    const float a = rival->scratch[X_MANY][i * rival->ldx + rival->config.state_dim + d];
    const float raw = rival->scratch[RAW][i * rival->config.action_dim + d];
    return a + (float)rival->config.batchrl.perturbation * tanhf(raw);
}

/* The candidates themselves into the action columns of x (count,ldx), which may be X_MANY. */
static void move(const mtf_algorithm *rival, size_t count, float *x)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t d = 0; d < rival->config.action_dim; d++)
            x[i * rival->ldx + rival->config.state_dim + d] =
                clamp(moved(rival, i, d), -1.0f, 1.0f);
    }
}

static void make_targets(mtf_algorithm *rival)
{
    const mtf_batch *batch = rival->batch;
    const size_t rows = batch->rows, count = rows * rival->config.batchrl.candidates;
    float *const q[2] = {rival->scratch[Q_MANY], rival->scratch[Q_MANY + 1]};
    mtf_rng draws = mtf_rival_draws(rival, CANDIDATES_NEXT);
    draw_latents(rival, &draws, count);
    for (size_t i = 0; i < count; i++) place(rival, i, batch->s2 + i % rows * batch->state_dim);
    generate(rival, count, true);
    move(rival, count, rival->scratch[X_MANY]);
    mtf_rival_critics(rival, true, count, rival->scratch[X_MANY], q);
    for (size_t b = 0; b < rows; b++) {
        float best = fminf(q[0][b], q[1][b]);
        for (size_t i = b + rows; i < count; i += rows) best = fmaxf(best, fminf(q[0][i], q[1][i]));
        rival->y[b] = best;
    }
    mtf_rival_bootstrap(rival, rival->y);
}

static void move_perturbation(mtf_algorithm *rival)
{
    const mtf_algorithm_config *config = &rival->config;
    const mtf_batch *batch = rival->batch;
    const size_t rows = batch->rows, actions = config->action_dim;
    mtf_rival_net *actor = &rival->nets[MTF_RIVAL_ACTOR];
    mtf_rng draws = mtf_rival_draws(rival, CANDIDATE_HERE);
    draw_latents(rival, &draws, rows);
    for (size_t b = 0; b < rows; b++) place(rival, b, batch->s + b * batch->state_dim);
    generate(rival, rows, false);
    move(rival, rows, rival->x_policy);
    mtf_rival_judge(rival, 1);
    actor->loss = 0.0;
    for (size_t b = 0; b < rows; b++) {
        const float share = batch->weight[b] / (float)rows;
        actor->loss -= (double)(share * rival->q[0][b]);
        for (size_t d = 0; d < actions; d++) {
            const size_t at = b * actions + d;
            const float bent = tanhf(rival->scratch[RAW][at]);
            const bool inside = fabsf(moved(rival, b, d)) <= 1.0f;
            const float through = (float)config->batchrl.perturbation * (1.0f - bent * bent);
            rival->scratch[D_RAW][at] = inside ? -share * rival->slope[0][at] * through : 0.0f;
        }
    }
    mtf_mlp_backward(&actor->mlp, actor->net.weights, rows, rival->scratch[X_MANY], rival->ldx,
                     &actor->space, rival->scratch[D_RAW], actor->gradient);
    mtf_rival_update(rival, MTF_RIVAL_ACTOR, config->actor_lr, config->actor_clip);
}

static mtf_status batchrl_step(mtf_algorithm *rival, const mtf_batch *batch,
                               mtf_step_metrics *metrics, mtf_err *err)
{
    const mtf_status status = mtf_rival_begin(rival, batch, err);
    if (status != MTF_OK) return status;
    move_generator(rival);
    make_targets(rival);
    mtf_rival_regress(rival);
    move_perturbation(rival);
    mtf_rival_finish(rival, MTF_RIVAL_ACTOR + 1, metrics);
    return MTF_OK;
}

/* One state at a time: its candidates are as many rows as a matrix product likes. */
static void batchrl_act(mtf_algorithm *rival, size_t rows, const float *s, float *a)
{
    const size_t states = rival->config.state_dim, actions = rival->config.action_dim;
    const size_t count = rival->config.batchrl.act_candidates;
    float *x = rival->scratch[X_MANY], *q = rival->scratch[Q_MANY];
    mtf_rng draws = mtf_rng_of(rival->seed, ACT_STREAM);
    const unsigned before = mtf_flush_denormals_begin();
    draw_latents(rival, &draws, count);
    for (size_t b = 0; b < rows; b++) {
        size_t best = 0;
        for (size_t i = 0; i < count; i++) place(rival, i, s + b * states);
        generate(rival, count, false);
        move(rival, count, x);
        mtf_rival_forward(rival, MTF_RIVAL_Q1, false, count, x, rival->ldx, q);
        for (size_t i = 1; i < count; i++) best = q[i] > q[best] ? i : best;
        memcpy(a + b * actions, x + best * rival->ldx + states, actions * sizeof *a);
    }
    mtf_flush_denormals_end(before);
}

const mtf_algorithm_ops mtf_batchrl_ops = {
    .name = "batchrl",
    .configure = batchrl_configure,
    .open = batchrl_open,
    .close = mtf_rival_close,
    .begin_round = mtf_rival_begin_round,
    .step = batchrl_step,
    .act = batchrl_act,
    .value = mtf_rival_value,
    .save = mtf_rival_save,
    .load = mtf_rival_load,
    .reinit = mtf_rival_reinit,
};
