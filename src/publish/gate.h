/** The gate between training and serving: every check must pass, else the old policy stays. Adding
 * a check is adding a row to the table in gate.c. */
#ifndef MTF_PUBLISH_GATE_H
#define MTF_PUBLISH_GATE_H

#include "client/policy.h"
#include "core/evidence.h"
#include "core/settings.h"

/** Section `gate` of the settings. */
typedef struct mtf_gate_config {
    double z, part_z, skill_z, phi_min, outside_max, gauc_loss_max;
    int64_t min_transitions;
    bool reward_sense;     /* ask for the sense of the reward */
    const char *stage;     /* where what passes goes first: live, canary or shadow; NULL: live */
    double canary_percent; /* of users, where that is canary */
} mtf_gate_config;

mtf_gate_config mtf_gate_config_of(const mtf_settings *settings);

/** Promote (canary, where the first stage is not live), or hold or reject with the first failing
 * check, its number and its limit as the reason. A number that could not be measured (NaN) fails
 * its check; three may be missing: the critics' spread, since a single critic has none, the
 * ranking, since items need no labels, and a part of users, since it may be empty. */
void mtf_gate_decide(const mtf_gate_config *config, const mtf_evidence *evidence,
                     mtf_verdict *verdict);

/** Writes every figure of the evidence into the record's numbers, as "gate.<name>". */
void mtf_gate_record(const mtf_evidence *evidence, mtf_policy_info *info);
/** Writes the verdict, and the stage that it leads to, into the record. */
void mtf_gate_record_verdict(const mtf_gate_config *config, const mtf_verdict *verdict,
                             mtf_policy_info *info);

#endif
