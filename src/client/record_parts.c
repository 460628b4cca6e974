/* What writer and reader of the policy record agree on. */
#include "client/record.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "core/hash.h"

const mtf_symbols mtf_policy_stages = {{"live", "canary", "shadow"}, 3};
const mtf_symbols mtf_policy_verdicts = {{"promote", "canary", "hold", "reject"}, 4};

void mtf_state_schema_hash(const mtf_policy *policy, char text[17])
{
    char meaning[80];
    int size = snprintf(meaning, sizeof meaning, "float[%" PRIu32 "]", mtf_policy_user_dim(policy));
    if (policy->per_item)
        size += snprintf(meaning + size, sizeof meaning - (size_t)size,
                         " item[%" PRIu32 "] predictions[%" PRIu32 "]", policy->item_features,
                         policy->table.prediction_count);
    snprintf(text, 17, "%016" PRIx64, mtf_hash64(meaning, (size_t)size));
}

bool mtf_record_sha256(mtf_span bytes, uint8_t digest[32])
{
    return EVP_Digest(bytes.data, bytes.size, digest, NULL, EVP_sha256(), NULL) == 1;
}

bool mtf_record_is_text(mtf_str text)
{
    const uint8_t *at = (const uint8_t *)text.data, *end = at + text.size;
    while (at < end) {
        const uint8_t lead = *at++;
        const unsigned more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0x20 || lead == 0x7f || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4)
            return false;
        if (end - at < (ptrdiff_t)more) return false;
        if (more == 2 && ((lead == 0xe0 && *at < 0xa0) || (lead == 0xed && *at > 0x9f)))
            return false;
        if (more == 3 && ((lead == 0xf0 && *at < 0x90) || (lead == 0xf4 && *at > 0x8f)))
            return false;
        for (unsigned i = 0; i < more; i++, at++) {
            if ((*at & 0xc0) != 0x80) return false;
        }
    }
    return true;
}

const char *mtf_record_table_fault(const mtf_action_table *table)
{
    bool seen[MTF_POLICY_ACTIONS_MAX][2] = {{false}};
    const char *names[MTF_POLICY_ACTIONS_MAX] = {NULL};
    if (table->count == 0) return "there is no action";
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        const uint32_t index = dim->prediction_index;
        if (index >= table->prediction_count || index >= MTF_POLICY_ACTIONS_MAX) {
            return "a prediction index is out of range";
        }
        if (names[index] && strcmp(names[index], dim->prediction) != 0)
            return "an index has two predictions";
        if (seen[index][dim->bias]) return "a prediction has two dimensions of a kind";
        if (!isfinite(dim->low) || !isfinite(dim->high) || dim->low > dim->high) {
            return "a range is not finite and ascending";
        }
        names[index] = dim->prediction;
        seen[index][dim->bias] = true;
    }
    for (uint32_t p = 0; p < table->prediction_count; p++) {
        if (p >= MTF_POLICY_ACTIONS_MAX || !names[p]) return "a prediction has no dimension";
        for (uint32_t q = 0; q < p; q++) {
            if (strcmp(names[p], names[q]) == 0) return "two predictions have one name";
        }
    }
    return NULL;
}

const char *mtf_record_prediction(const mtf_action_table *table, uint32_t index)
{
    uint32_t d = 0;
    while (table->dims[d].prediction_index != index) d++;
    return table->dims[d].prediction;
}

const char *mtf_record_fault(const mtf_policy *policy)
{
    const mtf_policy_info *info = &policy->info;
    if (!info->name[0]) return "the name is empty";
    if (info->version < 1) return "the version is below 1";
    if (!(info->box >= 0 && info->box <= 1)) return "the box is not in 0..1";
    return mtf_record_table_fault(&policy->table);
}
