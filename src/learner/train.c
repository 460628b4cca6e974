#include "learner/train.h"

#include <math.h>
#include <stdio.h>

#include "core/hash.h"

#define HEALTH_RATE 0.01 /* of the exponential means: some 100 steps */

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

/** The sections of the learners to compare with. */
static void set_rivals(const mtf_settings *settings, mtf_algorithm_config *config)
{
    config->td3bc.alpha = settings->td3bc_alpha;
    config->td3bc.noise = settings->td3bc_noise;
    config->td3bc.noise_clip = settings->td3bc_noise_clip;
    config->td3bc.policy_every = (uint32_t)settings->td3bc_policy_every;
    config->iql.expectile = settings->iql_expectile;
    config->iql.beta = settings->iql_beta;
    config->iql.weight_max = settings->iql_weight_max;
    config->cql_sac.weight = settings->cql_sac_weight;
    config->cql_sac.actions = (uint32_t)settings->cql_sac_actions;
    config->batchrl.perturbation = settings->batchrl_perturbation;
    config->batchrl.latent_clip = settings->batchrl_latent_clip;
    config->batchrl.gamma = settings->batchrl_gamma;
    config->batchrl.soft_update = settings->batchrl_soft_update;
    config->batchrl.generator_lr = settings->batchrl_generator_lr;
    config->batchrl.perturbation_lr = settings->batchrl_perturbation_lr;
    config->batchrl.critic_lr = settings->batchrl_critic_lr;
    config->batchrl.candidates = (uint32_t)settings->batchrl_candidates;
    config->batchrl.act_candidates = (uint32_t)settings->batchrl_act_candidates;
    config->batchrl.target_every = (uint32_t)settings->batchrl_target_every;
    config->enhanced.critics = (uint32_t)settings->enhanced_critics;
}

mtf_row_shape mtf_train_row_shape(const mtf_settings *settings, uint32_t action_dim,
                                  uint32_t prediction_count, uint32_t signal_count)
{
    return mtf_row_shape_of((uint32_t)settings->policy_state_dim, action_dim, prediction_count,
                            signal_count, (uint32_t)settings->policy_list,
                            (uint32_t)settings->policy_item_features);
}

void mtf_train_set_shape(mtf_algorithm_config *config, const mtf_row_shape *shape)
{
    config->list = shape->list;
    config->item_dim = mtf_row_item_dim(shape);
    config->state_dim = shape->state_dim;
    config->action_dim = shape->action_dim;
}

/** An action per item, or one for all: as the rows are. */
static mtf_status check_lists(const mtf_settings *settings, const mtf_algorithm_ops *ops,
                              mtf_err *err)
{
    if ((settings->policy_list > 0) == ops->per_item) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    ops->per_item
                        ? "learner.algorithm %s takes an action per item: set policy.list to the "
                          "longest list that is shown"
                        : "learner.algorithm %s takes one action a request: set policy.list to 0, "
                          "or learner.algorithm to enhanced",
                    ops->name);
}

/** Groups of critics, by the parts of the reward. */
static mtf_status set_groups(const mtf_settings *settings, mtf_algorithm_config *config,
                             mtf_err *err)
{
    mtf_reward reward;
    mtf_status status =
        mtf_reward_parse(&reward, settings->reward_weights, settings->reward_clip, err);
    if (status == MTF_OK) status = mtf_reward_group(&reward, settings->reward_groups, err);
    if (status) return status;
    config->groups = reward.groups;
    memcpy(config->group_weights, reward.group_weights, sizeof config->group_weights);
    return MTF_OK;
}

mtf_status mtf_train_algorithm_config(const mtf_settings *settings, uint32_t action_dim,
                                      mtf_algorithm_config *config, mtf_err *err)
{
    const mtf_algorithm_ops *ops = mtf_algorithm_find(settings->learner_algorithm);
    if (!ops)
        return mtf_fail(err, MTF_INVALID, "learner.algorithm: there is no \"%s\"",
                        settings->learner_algorithm);
    *config = (mtf_algorithm_config){
        .state_dim = (uint32_t)settings->policy_state_dim,
        .action_dim = action_dim,
        .hidden = (uint32_t)settings->learner_hidden,
        .critics = (uint32_t)settings->learner_critics,
        .batch = (uint32_t)settings->learner_batch,
        .threads = (uint32_t)settings->learner_threads,
        .target_every = (uint32_t)settings->learner_target_every,
        .seed = (uint64_t)settings->learner_seed,
        .steps = (uint64_t)settings->learner_steps,
        .gamma = settings->learner_gamma,
        .eta = settings->learner_eta,
        .beta = settings->learner_beta,
        .lambda = settings->learner_lambda,
        .delta = settings->learner_delta,
        .soft_update = settings->learner_soft_update,
        .actor_lr = settings->learner_actor_lr,
        .critic_lr = settings->learner_critic_lr,
        .lr_final = settings->learner_lr_final,
        .actor_clip = settings->learner_actor_clip,
        .critic_clip = settings->learner_critic_clip,
    };
    const char *penalty = settings->learner_penalty, *target = settings->learner_target;
    if (is(penalty, "expm1"))
        config->penalty = MTF_PENALTY_EXPM1;
    else if (is(penalty, "printed"))
        config->penalty = MTF_PENALTY_PRINTED;
    else if (is(penalty, "none"))
        config->penalty = MTF_PENALTY_NONE;
    else
        return mtf_fail(err, MTF_INVALID, "learner.penalty: \"%s\" is not expm1, printed or none",
                        penalty);
    if (is(target, "discount"))
        config->target = MTF_TARGET_DISCOUNT;
    else if (is(target, "literal"))
        config->target = MTF_TARGET_LITERAL;
    else if (is(target, "additive"))
        config->target = MTF_TARGET_ADDITIVE;
    else if (is(target, "clip"))
        config->target = MTF_TARGET_CLIP;
    else
        return mtf_fail(err, MTF_INVALID,
                        "learner.target: \"%s\" is not discount, literal, additive or clip",
                        target);
    set_rivals(settings, config);
    mtf_status status = set_groups(settings, config, err);
    if (status == MTF_OK) status = check_lists(settings, ops, err);
    if (status) return status;
    if (ops->configure) ops->configure(config);
    return mtf_gemm_choose(settings->learner_precision, mtf_gemm_bf16(), &config->gemm, err);
}

/** The settings of one learner, on which no round of another depends. */
static mtf_str own_numbers(const mtf_settings *s, double numbers[10])
{
    size_t count = 0;
    const char *name = s->learner_algorithm;
#define ADD(algorithm, value)                                                                      \
    if (is(name, algorithm)) numbers[count++] = (double)(value);
    ADD("td3bc", s->td3bc_alpha)
    ADD("td3bc", s->td3bc_noise)
    ADD("td3bc", s->td3bc_noise_clip)
    ADD("td3bc", s->td3bc_policy_every)
    ADD("iql", s->iql_expectile)
    ADD("iql", s->iql_beta)
    ADD("iql", s->iql_weight_max)
    ADD("cql_sac", s->cql_sac_weight)
    ADD("cql_sac", s->cql_sac_actions)
    ADD("batchrl", s->batchrl_perturbation)
    ADD("batchrl", s->batchrl_latent_clip)
    ADD("batchrl", s->batchrl_candidates)
    ADD("batchrl", s->batchrl_act_candidates)
    ADD("batchrl", s->batchrl_gamma)
    ADD("batchrl", s->batchrl_soft_update)
    ADD("batchrl", s->batchrl_target_every)
    ADD("batchrl", s->batchrl_generator_lr)
    ADD("batchrl", s->batchrl_perturbation_lr)
    ADD("batchrl", s->batchrl_critic_lr)
    ADD("enhanced", s->enhanced_critics)
    ADD("enhanced", s->policy_list)
    ADD("enhanced", s->policy_item_features)
#undef ADD
    return (mtf_str){(const char *)numbers, (uint32_t)(count * sizeof *numbers)};
}

/** Threads change no result, so they are left out; feed_mb decides how rows are sliced. */
uint64_t mtf_train_settings_hash(const mtf_settings *settings)
{
    const struct mtf_settings *s = settings;
    const int64_t integers[] = {s->policy_state_dim,     s->learner_seed,
                                s->learner_hidden,       s->learner_critics,
                                s->learner_steps,        s->learner_batch,
                                s->learner_target_every, s->learner_reset_optimizer,
                                s->learner_feed_mb,      s->round_holdout_percent};
    const double numbers[] = {s->learner_gamma,      s->learner_eta,        s->learner_beta,
                              s->learner_lambda,     s->learner_delta,      s->learner_soft_update,
                              s->learner_actor_lr,   s->learner_critic_lr,  s->learner_lr_final,
                              s->learner_actor_clip, s->learner_critic_clip};
    double own[10];
    const mtf_str own_part = own_numbers(s, own), groups = mtf_str_of(s->reward_groups);
    mtf_str parts[] = {
        {(const char *)integers, sizeof integers},
        {(const char *)numbers, sizeof numbers},
        mtf_str_of(s->reward_weights),
        mtf_str_of(s->reward_clip),
        mtf_str_of(s->policy_actions),
        mtf_str_of(s->learner_algorithm),
        mtf_str_of(s->learner_penalty),
        mtf_str_of(s->learner_target),
        mtf_str_of(s->learner_warm_start),
        mtf_str_of(s->learner_train_window),
        mtf_str_of(s->learner_precision),
        {0},
        {0},
    };
    size_t count = sizeof parts / sizeof *parts - 2; /* what is not set leaves the hash as it was */
    if (own_part.size) parts[count++] = own_part;
    if (groups.size) parts[count++] = groups;
    uint8_t hash[16];
    mtf_hash128(hash, parts, count);
    return mtf_load_u64_be(hash);
}

static void watch(mtf_health *health, const mtf_step_metrics *metrics, bool first)
{
    const double rate = first ? 1 : HEALTH_RATE;
    health->q_abs_max = fmax(health->q_abs_max, metrics->q_abs_max);
    health->spread += rate * (metrics->critic_spread - health->spread);
    health->phi += rate * (metrics->phi_mean - health->phi);
    health->outside += rate * (metrics->outside - health->outside);
    health->critic_loss += rate * (metrics->critic_loss - health->critic_loss);
    health->actor_loss += rate * (metrics->actor_loss - health->actor_loss);
    health->q_mean += rate * (metrics->q_mean - health->q_mean);
    health->finite = metrics->finite;
}

static mtf_status save(const mtf_train_config *config, mtf_checkpoint *checkpoint, mtf_err *err)
{
    mtf_buf_clear(&checkpoint->algorithm);
    config->ops->save(config->algorithm, &checkpoint->algorithm);
    return mtf_checkpoint_save(checkpoint, config->path, err);
}

mtf_status mtf_train(const mtf_train_config *config, mtf_checkpoint *checkpoint, char alarm[160],
                     mtf_err *err)
{
    alarm[0] = 0;
    while (checkpoint->step < checkpoint->steps) {
        if (config->stopped && config->stopped(config->arg)) {
            const mtf_status status = save(config, checkpoint, err);
            return status ? status : mtf_fail(err, MTF_CLOSED, "stopped in training, step saved");
        }
        const mtf_batch *batch;
        mtf_step_metrics metrics = {0};
        mtf_status status = mtf_feed_batch(config->feed, checkpoint->step, &batch, err);
        if (status == MTF_OK) status = config->ops->step(config->algorithm, batch, &metrics, err);
        if (status) return status;
        watch(&checkpoint->health, &metrics, checkpoint->step == 0);
        checkpoint->step++;
        if (!metrics.finite) {
            snprintf(alarm, 160, "a loss or weight is not finite at step %llu",
                     (unsigned long long)checkpoint->step);
            return MTF_OK;
        }
        if (metrics.q_abs_max > config->q_limit) {
            snprintf(
                alarm, 160,
                "|Q| %.4g is above the limit %.4g at step %llu: clip signals that exceed 1 per "
                "item with reward.clip",
                metrics.q_abs_max, config->q_limit, (unsigned long long)checkpoint->step);
            return MTF_OK;
        }
        if (config->progress)
            config->progress(config->arg, (int64_t)checkpoint->step, (int64_t)checkpoint->steps);
        if (checkpoint->step % config->checkpoint_every == 0 &&
            checkpoint->step < checkpoint->steps) {
            status = save(config, checkpoint, err);
            if (status) return status;
        }
    }
    return save(config, checkpoint, err);
}
