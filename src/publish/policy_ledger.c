#include "publish/policy_ledger.h"

#include <stdlib.h>

#include "core/hash.h"

void mtf_policy_ledger_fini(mtf_policy_ledger *ledger)
{
    mtf_policy_free(ledger->kept);
    free(ledger->lines);
    *ledger = (mtf_policy_ledger){.name = ledger->name, .keys = ledger->keys};
}

static mtf_policy_line line_of(const mtf_policy *policy)
{
    const mtf_policy_info *info = &policy->info;
    const mtf_str block = {(const char *)policy->block,
                           (uint32_t)(policy->block_count * sizeof(float))};
    mtf_policy_line line = {.version = info->version,
                            .parent = info->parent,
                            .round = info->round,
                            .created_ms = info->created_ms};
    _Static_assert(sizeof line.verdict == sizeof info->verdict, "a verdict fits");
    _Static_assert(sizeof line.reason == sizeof info->reason, "a reason fits");
    memcpy(line.verdict, info->verdict, sizeof line.verdict);
    memcpy(line.reason, info->reason, sizeof line.reason);
    mtf_hash128(line.weights, &block, 1);
    return line;
}

static mtf_status append(mtf_policy_ledger *ledger, const mtf_policy *policy, mtf_err *err)
{
    if (ledger->count == ledger->capacity) {
        const size_t capacity = ledger->capacity ? 2 * ledger->capacity : 32;
        mtf_policy_line *lines = realloc(ledger->lines, capacity * sizeof *lines);
        if (!lines) return mtf_fail(err, MTF_NOMEM, "policy history: out of memory");
        ledger->lines = lines;
        ledger->capacity = capacity;
    }
    ledger->lines[ledger->count++] = line_of(policy);
    if (policy->info.version > ledger->newest) ledger->newest = policy->info.version;
    return MTF_OK;
}

mtf_status mtf_policy_ledger_add(mtf_policy_ledger *ledger, mtf_span key, mtf_span value,
                                 mtf_err *err)
{
    mtf_policy *policy = NULL;
    if (key.size != strlen(ledger->name) || memcmp(key.data, ledger->name, key.size) != 0 ||
        !value.data)
        return MTF_OK;
    mtf_status status = mtf_policy_verify(ledger->keys, value, err);
    if (status == MTF_OK) status = mtf_policy_decode(value, &policy, err);
    if (status == MTF_OK && strcmp(policy->info.name, ledger->name) != 0)
        status = mtf_fail(err, MTF_CORRUPT, "policy record: under key %s lies a policy named %s",
                          ledger->name, policy->info.name);
    if (status == MTF_OK) status = append(ledger, policy, err);
    if (status == MTF_OK && policy->info.version == ledger->wanted && !ledger->kept) {
        ledger->kept = policy;
        policy = NULL;
    }
    mtf_policy_free(policy);
    if (status != MTF_CORRUPT) return status;
    ledger->refused++;
    if (err) err->status = MTF_SKIP;
    return MTF_SKIP;
}

const mtf_policy_line *mtf_policy_ledger_find(const mtf_policy_ledger *ledger, int64_t version)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->lines[i].version == version) return &ledger->lines[i];
    return NULL;
}

const mtf_policy_line *mtf_policy_ledger_find_same(const mtf_policy_ledger *ledger,
                                                   const mtf_policy *candidate)
{
    const mtf_policy_line same = line_of(candidate);
    for (size_t i = 0; i < ledger->count; i++) {
        const mtf_policy_line *line = &ledger->lines[i];
        if (line->parent == same.parent && line->round == same.round &&
            memcmp(line->weights, same.weights, sizeof same.weights) == 0)
            return line;
    }
    return NULL;
}

bool mtf_policy_ledger_has(const mtf_policy_ledger *ledger, const mtf_policy *policy)
{
    const mtf_policy_line line = line_of(policy);
    for (size_t i = 0; i < ledger->count; i++) {
        const mtf_policy_line *have = &ledger->lines[i];
        if (have->version == line.version && have->parent == line.parent &&
            have->round == line.round && have->created_ms == line.created_ms &&
            strcmp(have->reason, line.reason) == 0 &&
            memcmp(have->weights, line.weights, sizeof line.weights) == 0)
            return true;
    }
    return false;
}
