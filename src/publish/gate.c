#include "publish/gate.h"

#include <math.h>
#include <stdio.h>

/* The critics' disagreement at mu(s), in standard deviations of one request's reward. Below: they
 * have become one critic, and the pessimism of formula 4 of arXiv:2404.17589 is gone. Above: they
 * say nothing about the return any more, which at gamma 0.9 spreads over a few such deviations. */
#define SPREAD_MIN 1e-4
#define SPREAD_MAX 10.0

typedef enum side { AT_LEAST, AT_MOST } side;

typedef struct gate_check {
    const char *name, *measure;
    mtf_verdict_kind severity; /* when it fails */
    double value;
    side side;
    double limit;
    bool optional; /* a missing value passes */
} gate_check;

mtf_gate_config mtf_gate_config_of(const mtf_settings *settings)
{
    return (mtf_gate_config){
        .z = settings->gate_z,
        .part_z = settings->gate_part_z,
        .skill_z = settings->gate_skill_z,
        .phi_min = settings->gate_phi_min,
        .outside_max = settings->gate_outside_max,
        .gauc_loss_max = settings->gate_gauc_loss_max,
        .min_transitions = settings->gate_min_transitions,
        .reward_sense = settings->gate_reward_sense,
        .stage =
            strncmp(settings->gate_stages, "shadow", 6) == 0 ? "shadow" : settings->gate_stages,
        .canary_percent = settings->canary_percent,
    };
}

static bool passes(const gate_check *check)
{
    if (isnan(check->value)) return check->optional;
    return check->side == AT_LEAST ? check->value >= check->limit : check->value <= check->limit;
}

static void set_reason(mtf_verdict *verdict, const gate_check *check, const char *alarm)
{
    verdict->kind = check->severity;
    if (alarm[0]) {
        snprintf(verdict->reason, sizeof verdict->reason, "%s: %s", check->name, alarm);
    } else if (isnan(check->value)) {
        snprintf(verdict->reason, sizeof verdict->reason, "%s: %s could not be measured",
                 check->name, check->measure);
    } else {
        snprintf(verdict->reason, sizeof verdict->reason, "%s: %s is %.4g, %s %.4g", check->name,
                 check->measure, check->value, check->side == AT_LEAST ? "below" : "above",
                 check->limit);
    }
}

static bool is_trial(const mtf_gate_config *config)
{
    return config->stage && strcmp(config->stage, "live") != 0;
}

void mtf_gate_decide(const mtf_gate_config *config, const mtf_evidence *evidence,
                     mtf_verdict *verdict)
{
    const mtf_gate_config *c = config;
    const mtf_evidence *e = evidence;
    const mtf_verdict_kind hold = MTF_VERDICT_HOLD, reject = MTF_VERDICT_REJECT;
    const double spread = e->spread / e->reward_scale;
    const double consumed_gain = c->reward_sense ? e->consumed_gain : 0;
    /* Whether there was anything to learn from comes first: without it no later number means
     * anything. Hold: more data may change it. Reject: this candidate is unfit to serve. */
    // clang-format off
    const gate_check checks[] = {
        {"no_exploration", "exploring",           hold,   e->exploring,            AT_LEAST, 1, false},
        {"data",           "heldout_rows",        hold,   (double)e->heldout_rows, AT_LEAST, (double)c->min_transitions, false},
        {"integrity",      "finite",              reject, e->finite,               AT_LEAST, 1, false},
        {"integrity",      "test_vectors_ok",     reject, e->test_vectors_ok,      AT_LEAST, 1, false},
        {"reward",         "consumed_gain",       reject, consumed_gain,           AT_LEAST, 0, false},
        {"alarm",          "alarms",              reject, e->alarm[0] != '\0',     AT_MOST,  0, false},
        {"health",         "q_abs_max",           reject, e->q_abs_max,            AT_MOST,  e->q_limit, false},
        {"health",         "spread/reward_scale", reject, spread,                  AT_LEAST, SPREAD_MIN, true},
        {"health",         "spread/reward_scale", reject, spread,                  AT_MOST,  SPREAD_MAX, true},
        {"health",         "phi_mean",            hold,   e->phi_mean,             AT_LEAST, c->phi_min, false},
        {"support",        "outside_share",       reject, e->outside_share,        AT_MOST,  c->outside_max, false},
        {"skill",          "skill_z",             hold,   e->skill_z,              AT_LEAST, c->skill_z, false},
        {"ranking",        "gauc_gain_high",      hold,   e->gauc_gain_high,       AT_LEAST, -c->gauc_loss_max, true},
        {"value",          "value_z",             hold,   e->value_z,              AT_LEAST, c->z, false},
        {"part",           "light_z",             hold,   e->part_z[MTF_PART_LIGHT], AT_LEAST, -c->part_z, true},
        {"part",           "heavy_z",             hold,   e->part_z[MTF_PART_HEAVY], AT_LEAST, -c->part_z, true},
        {"part",           "first_z",             hold,   e->part_z[MTF_PART_FIRST], AT_LEAST, -c->part_z, true},
        {"part",           "later_z",             hold,   e->part_z[MTF_PART_LATER], AT_LEAST, -c->part_z, true},
    };
    // clang-format on
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (passes(&checks[i])) continue;
        set_reason(verdict, &checks[i], strcmp(checks[i].name, "alarm") == 0 ? e->alarm : "");
        return;
    }
    verdict->kind = is_trial(c) ? MTF_VERDICT_CANARY : MTF_VERDICT_PROMOTE;
    snprintf(verdict->reason, sizeof verdict->reason, "value: value_z is %.4g, at least %.4g",
             e->value_z, c->z);
}

void mtf_gate_record(const mtf_evidence *evidence, mtf_policy_info *info)
{
    const mtf_evidence *e = evidence;
    const struct {
        const char *name;
        double value;
    } figures[] = {
        {"gate.finite", e->finite},
        {"gate.test_vectors_ok", e->test_vectors_ok},
        {"gate.q_abs_max", e->q_abs_max},
        {"gate.q_limit", e->q_limit},
        {"gate.spread", e->spread},
        {"gate.reward_scale", e->reward_scale},
        {"gate.phi_mean", e->phi_mean},
        {"gate.outside_share", e->outside_share},
        {"gate.heldout_rows", (double)e->heldout_rows},
        {"gate.heldout_users", (double)e->heldout_users},
        {"gate.exploring", e->exploring},
        {"gate.value", e->value},
        {"gate.value_se", e->value_se},
        {"gate.value_z", e->value_z},
        {"gate.skill", e->skill},
        {"gate.skill_z", e->skill_z},
        {"gate.gauc_gain", e->gauc_gain},
        {"gate.gauc_gain_high", e->gauc_gain_high},
        {"gate.consumed_gain", e->consumed_gain},
        {"gate.light", e->part_value[MTF_PART_LIGHT]},
        {"gate.light_z", e->part_z[MTF_PART_LIGHT]},
        {"gate.heavy", e->part_value[MTF_PART_HEAVY]},
        {"gate.heavy_z", e->part_z[MTF_PART_HEAVY]},
        {"gate.first", e->part_value[MTF_PART_FIRST]},
        {"gate.first_z", e->part_z[MTF_PART_FIRST]},
        {"gate.later", e->part_value[MTF_PART_LATER]},
        {"gate.later_z", e->part_z[MTF_PART_LATER]},
        {"gate.ncis_gain", e->ncis_gain},
        {"gate.ncis_gain_se", e->ncis_gain_se},
        {"gate.ncis_support", e->ncis_support},
        {"gate.fqe_value", e->fqe_value},
        {"gate.fqe_gain", e->fqe_gain},
        {"gate.fqe_gain_se", e->fqe_gain_se},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        mtf_policy_set_number(info, figures[i].name, figures[i].value);
    }
}

void mtf_gate_record_verdict(const mtf_gate_config *config, const mtf_verdict *verdict,
                             mtf_policy_info *info)
{
    _Static_assert(sizeof info->reason == sizeof verdict->reason, "a reason fits the record");
    snprintf(info->verdict, sizeof info->verdict, "%s", mtf_verdict_text(verdict->kind));
    memcpy(info->reason, verdict->reason, sizeof info->reason);
    if (verdict->kind != MTF_VERDICT_CANARY) return;
    snprintf(info->stage, sizeof info->stage, "%s", config->stage);
    if (strcmp(config->stage, "canary") == 0)
        mtf_policy_set_number(info, MTF_CANARY_PERCENT, config->canary_percent);
}
