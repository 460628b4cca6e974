#include "learner/reward.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "core/settings.h"

#define NO_LABEL      UINT32_MAX
#define VALID_WATCH_S 10.0 /* arXiv:2404.17589: a valid consumption is watched more than 10 s */

static uint32_t find(const mtf_reward *reward, mtf_str name)
{
    uint32_t i = 0;
    while (i < reward->count && !mtf_str_is(name, reward->terms[i].name)) i++;
    return i;
}

/** A finite number that fills the whole text. */
static bool number(mtf_str text, double *value)
{
    char copy[64], *end;
    if (text.size == 0 || text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    *value = strtod(copy, &end);
    return *end == 0 && isfinite(*value);
}

static mtf_status bad_pair(mtf_err *err, const char *setting, mtf_str name, const char *why)
{
    return mtf_fail(err, MTF_INVALID, "%s: \"%.*s\": %s", setting, (int)name.size, name.data, why);
}

static mtf_status parse_weights(mtf_reward *reward, const char *weights, mtf_err *err)
{
    static const char *setting = "reward.weights";
    const char *at = weights;
    mtf_str name, text;
    while (mtf_settings_pair(&at, &name, &text)) {
        if (reward->count == MTF_REWARD_TERMS_MAX)
            return bad_pair(err, setting, name, "more than 32 signals");
        mtf_reward_term *term = &reward->terms[reward->count];
        if (name.size >= sizeof term->name)
            return bad_pair(err, setting, name, "longer than 47 bytes");
        if (find(reward, name) < reward->count) return bad_pair(err, setting, name, "given twice");
        if (!number(text, &term->weight))
            return bad_pair(err, setting, name, "its weight is not a finite number");
        memcpy(term->name, name.data, name.size);
        reward->count++;
    }
    if (*at) return mtf_fail(err, MTF_INVALID, "%s: not signal=weight at \"%s\"", setting, at);
    if (reward->count == 0) return mtf_fail(err, MTF_INVALID, "%s: no signal is named", setting);
    return MTF_OK;
}

static mtf_status parse_clips(mtf_reward *reward, const char *clip, mtf_err *err)
{
    static const char *setting = "reward.clip";
    const char *at = clip;
    mtf_str name, text;
    while (mtf_settings_pair(&at, &name, &text)) {
        const uint32_t i = find(reward, name);
        if (i == reward->count)
            return bad_pair(err, setting, name, "has no weight in reward.weights");
        double limit;
        if (!number(text, &limit) || limit <= 0)
            return bad_pair(err, setting, name, "its limit is not a number above 0");
        if (reward->terms[i].clip > 0) return bad_pair(err, setting, name, "given twice");
        reward->terms[i].clip = limit;
    }
    if (*at) return mtf_fail(err, MTF_INVALID, "%s: not signal=limit at \"%s\"", setting, at);
    return MTF_OK;
}

mtf_status mtf_reward_parse(mtf_reward *reward, const char *weights, const char *clip, mtf_err *err)
{
    *reward = (mtf_reward){.label = NO_LABEL};
    mtf_status status = parse_weights(reward, weights, err);
    if (status == MTF_OK) status = parse_clips(reward, clip, err);
    if (status) return status;
    const uint32_t valid = find(reward, mtf_str_of("valid")),
                   watch = find(reward, mtf_str_of("watch"));
    if (valid < reward->count) {
        reward->label = valid;
    } else if (watch < reward->count) {
        reward->label = watch;
        reward->threshold = VALID_WATCH_S;
    }
    return MTF_OK;
}

/* The next word of *at up to a blank or a bar, which is a word of its own; false: there is none. */
static bool next_word(const char **at, mtf_str *word)
{
    static const char blank[] = " \t\n,", stop[] = " \t\n,|";
    const char *start = *at + strspn(*at, blank);
    const size_t size = *start == '|' ? 1 : strcspn(start, stop);
    *at = start + size;
    *word = (mtf_str){start, (uint32_t)size};
    return size > 0;
}

static mtf_status group_word(mtf_reward *reward, mtf_str word, uint32_t group, bool *taken,
                             mtf_err *err)
{
    static const char setting[] = "reward.groups", weight[] = "weight=";
    const uint32_t prefix = sizeof weight - 1;
    if (word.size > prefix && memcmp(word.data, weight, prefix) == 0) {
        const mtf_str text = {word.data + prefix, word.size - prefix};
        double *value = &reward->group_weights[group];
        if (!number(text, value) || *value < 0)
            return bad_pair(err, setting, word, "not a number of at least 0");
        return MTF_OK;
    }
    const uint32_t i = find(reward, word);
    if (i == reward->count) return bad_pair(err, setting, word, "has no weight in reward.weights");
    if (taken[i]) return bad_pair(err, setting, word, "given twice");
    taken[i] = true;
    reward->terms[i].group = group;
    return MTF_OK;
}

/* Every group has a signal, every signal a group. */
static mtf_status check_groups(const mtf_reward *reward, const bool *taken, mtf_err *err)
{
    uint32_t members[MTF_GROUPS_MAX] = {0};
    for (uint32_t i = 0; i < reward->count; i++) {
        if (!taken[i])
            return bad_pair(err, "reward.groups", mtf_str_of(reward->terms[i].name),
                            "is in no group: each signal of reward.weights must be in one");
        members[reward->terms[i].group]++;
    }
    for (uint32_t g = 0; g < reward->groups; g++)
        if (members[g] == 0)
            return mtf_fail(err, MTF_INVALID, "reward.groups: group %u names no signal", g + 1);
    return MTF_OK;
}

mtf_status mtf_reward_group(mtf_reward *reward, const char *groups, mtf_err *err)
{
    bool taken[MTF_REWARD_TERMS_MAX] = {false};
    mtf_str word;
    reward->groups = 0;
    const char *at = groups;
    if (!next_word(&at, &word)) return MTF_OK;
    for (uint32_t g = 0; g < MTF_GROUPS_MAX; g++) reward->group_weights[g] = 1;
    uint32_t group = 0;
    for (at = groups; next_word(&at, &word);) {
        if (!mtf_str_is(word, "|")) {
            const mtf_status status = group_word(reward, word, group, taken, err);
            if (status) return status;
        } else if (++group == MTF_GROUPS_MAX) {
            return mtf_fail(err, MTF_INVALID, "reward.groups: more than %d groups", MTF_GROUPS_MAX);
        }
    }
    reward->groups = group + 1;
    const mtf_status status = check_groups(reward, taken, err);
    if (status == MTF_OK && reward->groups == 1) reward->groups = 0;
    return status;
}

void mtf_reward_signals(const mtf_reward *reward, const mtf_signals *signals, float *values)
{
    memset(values, 0, reward->count * sizeof *values);
    for (uint32_t i = 0; i < signals->count; i++) {
        const uint32_t k = find(reward, signals->data[i].name);
        if (k == reward->count) continue;
        const double value = signals->data[i].value;
        values[k] = (float)fmin(fmax(value, -FLT_MAX), FLT_MAX);
    }
}

static double weighed(const mtf_reward_term *term, float raw)
{
    double value = raw;
    if (term->clip > 0) value = fmin(fmax(value, -term->clip), term->clip);
    return term->weight * value;
}

double mtf_reward_item(const mtf_reward *reward, const float *values)
{
    double sum = 0;
    for (uint32_t k = 0; k < reward->count; k++) sum += weighed(&reward->terms[k], values[k]);
    return sum;
}

void mtf_reward_item_parts(const mtf_reward *reward, const float *values, double *parts)
{
    for (uint32_t k = 0; k < reward->count; k++)
        parts[reward->terms[k].group] += weighed(&reward->terms[k], values[k]);
}

bool mtf_reward_label(const mtf_reward *reward, const float *values)
{
    if (reward->label == NO_LABEL) return mtf_reward_item(reward, values) > 0;
    return values[reward->label] > reward->threshold;
}

double mtf_reward_bound(const mtf_reward *reward, uint32_t items)
{
    double bound = 0;
    for (uint32_t k = 0; k < reward->count; k++) {
        const mtf_reward_term *term = &reward->terms[k];
        bound += fabs(term->weight) * (term->clip > 0 ? term->clip : 1);
    }
    return bound * items;
}

void mtf_reward_names(const mtf_reward *reward, mtf_buf *out)
{
    for (uint32_t k = 0; k < reward->count; k++)
        mtf_buf_printf(out, "%s%s", k ? " " : "", reward->terms[k].name);
}

mtf_status mtf_reward_order(mtf_reward *reward, mtf_str names, mtf_err *err)
{
    mtf_reward ordered = *reward;
    ordered.count = 0;
    ordered.label = NO_LABEL;
    for (const char *at = names.data, *end = at + names.size; at < end;) {
        const char *stop = memchr(at, ' ', (size_t)(end - at));
        const mtf_str name = {at, (uint32_t)((stop ? stop : end) - at)};
        const uint32_t i = find(reward, name);
        if (i == reward->count || ordered.count == reward->count)
            return bad_pair(
                err, "reward.weights", name,
                "the store's rows have it; name it, with a weight of 0 if it should not "
                "count");
        if (i == reward->label) ordered.label = ordered.count;
        ordered.terms[ordered.count++] = reward->terms[i];
        at += name.size + 1;
    }
    for (uint32_t i = 0; i < reward->count; i++)
        if (find(&ordered, mtf_str_of(reward->terms[i].name)) == ordered.count)
            return bad_pair(
                err, "reward.weights", mtf_str_of(reward->terms[i].name),
                "the store's rows do not have it: they keep the signals that were named "
                "when the store was made");
    *reward = ordered;
    return MTF_OK;
}
