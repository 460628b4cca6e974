/** Settings by name: the table's rows, setting one with its checks. librdkafka's
 *  properties are settings_kafka.c, the environment settings_env.c, YAML settings_yaml.c, print
 *  and docs settings_show.c. */
#include "core/settings_table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMITS_I(v, lo, hi) .limits.integer = {v, lo, hi}
#define LIMITS_B(v, lo, hi) .limits.integer = {v, lo, hi}
#define LIMITS_F(v, lo, hi) .limits.real = {v, lo, hi}
#define LIMITS_S(v, lo, hi) .limits.integer = {0, lo, hi}, .text = (v)

static const mtf_setting rows[] = {
#define X(section, name, type, v, lo, hi, unit_, help_)                                            \
    {.key = #section "." #name,                                                                    \
     .unit = (unit_),                                                                              \
     .help = (help_),                                                                              \
     .kind = MTF_SETTING_##type,                                                                   \
     .offset = offsetof(mtf_settings, section##_##name),                                           \
     LIMITS_##type(v, lo, hi)},
    MTF_SETTINGS_MAP(X)
#undef X
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

/** What a text must look like beyond its length. */
static const struct rule {
    const char *key;
    bool pairs;          /* "name=text name=text ..." */
    const char *choices; /* the words allowed (of pairs: as their text), NULL for any */
    bool count;          /* also allowed: a whole number from 1 */
} rules[] = {
    {"schema.framing", false, "single-object confluent raw", false},
    {"sessionize.delivery", false, "exactly-once at-least-once", false},
    {"sessionize.aggregators", true, "sum max last first", false},
    {"reward.weights", true, NULL, false},
    {"reward.clip", true, NULL, false},
    {"policy.actions", true, NULL, false},
    {"policy.item_noise", false, "item shared", false},
    {"learner.algorithm", false, "integrated ddpg td3bc iql cql_sac batchrl enhanced", false},
    {"learner.precision", false, "float32 bf16", false},
    {"learner.penalty", false, "expm1 printed none", false},
    {"learner.target", false, "discount literal additive clip", false},
    {"learner.warm_start", false, "all actor none", false},
    {"learner.train_window", false, "champion all", true},
    {"gate.stages", false, "live canary shadow shadow-canary", false},
    {"compare.start", false, "zero reference", false},
    {"log.level", false, "error warn info debug", false},
};

const mtf_setting *mtf_settings_rows(size_t *count)
{
    *count = ROW_COUNT;
    return rows;
}

static const struct rule *rule_of(const mtf_setting *row)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].key, row->key) == 0) return &rules[i];
    }
    return NULL;
}

const char *mtf_settings_choices(const mtf_setting *row)
{
    const struct rule *rule = rule_of(row);
    return rule && !rule->pairs ? rule->choices : NULL;
}

bool mtf_settings_count(const mtf_setting *row)
{
    const struct rule *rule = rule_of(row);
    return rule && rule->count;
}

bool mtf_settings_secret(const char *name)
{
    /* "word" also for a password misspelt; JAAS and OAUTHBEARER configurations and Kerberos'
     * command may hold one inside. */
    static const char *const words[] = {"pass",     "word", "secret",     "token",
                                        "key",      "jaas", "credential", "oauthbearer.config",
                                        "kinit.cmd"};
    const size_t size = strlen(name);
    const char path[] = ".location"; /* where a key lies is no secret */
    const size_t path_size = sizeof path - 1;
    if (size > path_size && strcmp(name + size - path_size, path) == 0) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(name, words[i])) return true;
    }
    return false;
}

/* ---- unknown names ---------------------------------------------------------------------- */

/** Edits (insert, delete, replace) that turn a into b; both shorter than MTF_SETTINGS_KEY_CHARS. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t line[MTF_SETTINGS_KEY_CHARS];
    const size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++) line[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = line[0];
        line[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            const size_t replaced = diagonal + (a[i] != b[j]);
            const size_t shorter = line[j] < line[j + 1] ? line[j] : line[j + 1];
            diagonal = line[j + 1];
            line[j + 1] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return line[width];
}

const mtf_setting *mtf_settings_nearest(const char *key)
{
    const char *dot = strrchr(key, '.');
    const char *name = dot ? dot + 1 : key;
    if (strlen(key) >= MTF_SETTINGS_KEY_CHARS) return NULL;
    const mtf_setting *best = NULL;
    size_t best_edits = strlen(key) / 3 + 1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const bool same_name = strcmp(strchr(rows[i].key, '.') + 1, name) == 0;
        const bool begins = dot && dot[1] && strncmp(rows[i].key, key, strlen(key)) == 0;
        const size_t edits = same_name || begins ? 1 : edit_distance(key, rows[i].key);
        if (edits < best_edits) best = &rows[i], best_edits = edits;
    }
    return best;
}

static mtf_status unknown(const char *key, const char *where, mtf_err *err)
{
    const mtf_setting *near = mtf_settings_nearest(key);
    if (!near) {
        return mtf_fail(err, MTF_INVALID,
                        "%s: unknown setting %.60s; `mtf config docs` lists all of them", where,
                        key);
    }
    return mtf_fail(err, MTF_INVALID, "%s: unknown setting %.60s; did you mean %s?", where, key,
                    near->key);
}

/* ---- one value --------------------------------------------------------------------------- */

static void *field(mtf_settings *settings, const mtf_setting *row)
{
    return (char *)settings + row->offset;
}

/** "ms" -> " ms", "" -> "", for the end of a message. */
static const char *blank(const char *unit)
{
    return unit[0] ? " " : "";
}

static mtf_status set_integer(int64_t *at, const mtf_setting *row, const char *value,
                              const char *where, mtf_err *err)
{
    const int64_t min = row->limits.integer.min, max = row->limits.integer.max;
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (end == value || *end || isspace((unsigned char)value[0])) {
        return mtf_fail(err, MTF_INVALID,
                        "%s: %s: '%.60s' is not a whole number in %" PRId64 "..%" PRId64 "%s%s",
                        where, row->key, value, min, max, blank(row->unit), row->unit);
    }
    if (errno == ERANGE || number < min || number > max) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: %.60s is outside %" PRId64 "..%" PRId64 "%s%s",
                        where, row->key, value, min, max, blank(row->unit), row->unit);
    }
    *at = number;
    return MTF_OK;
}

static mtf_status set_real(double *at, const mtf_setting *row, const char *value, const char *where,
                           mtf_err *err)
{
    const double min = row->limits.real.min, max = row->limits.real.max;
    char *end = NULL;
    const double number = strtod(value, &end);
    /* strtod also takes blanks, hexadecimal, inf and nan. */
    if (end == value || *end || strspn(value, "0123456789+-.eE") != strlen(value)) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: '%.60s' is not a number in %g..%g%s%s", where,
                        row->key, value, min, max, blank(row->unit), row->unit);
    }
    if (!isfinite(number) || number < min || number > max) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: %.60s is outside %g..%g%s%s", where, row->key,
                        value, min, max, blank(row->unit), row->unit);
    }
    *at = number;
    return MTF_OK;
}

static mtf_status set_boolean(bool *at, const mtf_setting *row, const char *value,
                              const char *where, mtf_err *err)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (size_t i = 0; i < 8; i++) {
        if (strcmp(words[i / 4][i % 4], value) == 0) {
            *at = i / 4;
            return MTF_OK;
        }
    }
    return mtf_fail(err, MTF_INVALID,
                    "%s: %s: '%.60s' is not one of true, false, yes, no, on, off, 1, 0", where,
                    row->key, value);
}

static bool is_choice(const char *choices, mtf_str word)
{
    while (*choices) {
        const size_t size = strcspn(choices, " ");
        if (word.size == size && memcmp(choices, word.data, size) == 0) return true;
        choices += size;
        if (*choices) choices++;
    }
    return false;
}

/** "1", "25", at most 9 digits. */
static bool is_count(const char *text)
{
    const size_t size = strspn(text, "0123456789");
    return text[0] >= '1' && size <= 9 && text[size] == '\0';
}

static mtf_status not_a_choice(const struct rule *rule, mtf_str word, const char *where,
                               mtf_err *err)
{
    return mtf_fail(err, MTF_INVALID, "%s: %s: '%.*s' is not one of: %s%s", where, rule->key,
                    word.size < 60 ? (int)word.size : 60, word.data, rule->choices,
                    rule->count ? ", and no whole number from 1" : "");
}

static mtf_status check_text(const struct rule *rule, const char *value, const char *where,
                             mtf_err *err)
{
    mtf_str name, text = mtf_str_of(value);
    if (!rule->pairs) {
        if (rule->count && is_count(value)) return MTF_OK;
        return is_choice(rule->choices, text) ? MTF_OK : not_a_choice(rule, text, where, err);
    }
    const char *at = value;
    while (mtf_settings_pair(&at, &name, &text)) {
        if (rule->choices && !is_choice(rule->choices, text)) {
            return not_a_choice(rule, text, where, err);
        }
    }
    if (*at) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: '%.60s' is not name=text[ name=text...]", where,
                        rule->key, at);
    }
    return MTF_OK;
}

static mtf_status set_text(char **at, const mtf_setting *row, const char *value, const char *where,
                           mtf_err *err)
{
    const size_t size = strlen(value);
    if (size < (size_t)row->limits.integer.min) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: must not be empty", where, row->key);
    }
    if (size > (size_t)row->limits.integer.max) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: '%.30s...' is %zu characters, at most %" PRId64,
                        where, row->key, value, size, row->limits.integer.max);
    }
    const struct rule *rule = rule_of(row);
    const mtf_status status = rule ? check_text(rule, value, where, err) : MTF_OK;
    if (status != MTF_OK) return status;
    char *copy = strdup(value);
    if (!copy) return mtf_fail(err, MTF_NOMEM, "%s: %s: out of memory", where, row->key);
    free(*at);
    *at = copy;
    return MTF_OK;
}

static mtf_status set_row(mtf_settings *settings, const mtf_setting *row, const char *value,
                          const char *where, mtf_err *err)
{
    void *at = field(settings, row);
    switch (row->kind) {
    case MTF_SETTING_I:
        return set_integer(at, row, value, where, err);
    case MTF_SETTING_F:
        return set_real(at, row, value, where, err);
    case MTF_SETTING_B:
        return set_boolean(at, row, value, where, err);
    case MTF_SETTING_S:
        return set_text(at, row, value, where, err);
    }
    return MTF_INVALID;
}

/* ---- the whole ------------------------------------------------------------------------------ */

mtf_status mtf_settings_init(mtf_settings *settings, mtf_err *err)
{
    *settings = (mtf_settings){0};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const mtf_setting *row = &rows[i];
        void *at = field(settings, row);
        switch (row->kind) {
        case MTF_SETTING_I:
            *(int64_t *)at = row->limits.integer.value;
            break;
        case MTF_SETTING_F:
            *(double *)at = row->limits.real.value;
            break;
        case MTF_SETTING_B:
            *(bool *)at = row->limits.integer.value != 0;
            break;
        case MTF_SETTING_S:
            *(char **)at = strdup(row->text);
            if (!*(char **)at) {
                mtf_settings_fini(settings);
                return mtf_fail(err, MTF_NOMEM, "settings: out of memory");
            }
            break;
        }
    }
    return MTF_OK;
}

void mtf_settings_fini(mtf_settings *settings)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].kind == MTF_SETTING_S) free(*(char **)field(settings, &rows[i]));
    }
    for (size_t i = 0; i < settings->kafka_count; i++) {
        free(settings->kafka[i].name);
        free(settings->kafka[i].value);
    }
    free(settings->kafka);
    *settings = (mtf_settings){0};
}

mtf_status mtf_settings_copy(const mtf_settings *from, mtf_settings *to, mtf_err *err)
{
    *to = *from;
    to->kafka = NULL, to->kafka_count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == MTF_SETTING_S) *(char **)field(to, &rows[i]) = NULL;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].kind != MTF_SETTING_S) continue;
        char **copy = field(to, &rows[i]);
        const char *const *text = (const void *)((const char *)from + rows[i].offset);
        *copy = strdup(*text);
        if (*copy) continue;
        mtf_settings_fini(to);
        return mtf_fail(err, MTF_NOMEM, "settings: out of memory");
    }
    return MTF_OK;
}

mtf_status mtf_settings_set(mtf_settings *settings, const char *key, const char *value,
                            const char *where, mtf_err *err)
{
    if (strcmp(key, "kafka.bootstrap.servers") == 0) key = "kafka.bootstrap_servers";
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].key, key) == 0) return set_row(settings, &rows[i], value, where, err);
    }
    const size_t prefix = strlen("kafka.");
    if (strncmp(key, "kafka.", prefix) == 0) {
        return mtf_settings_set_property(settings, key + prefix, value, where, err);
    }
    return unknown(key, where, err);
}

bool mtf_settings_pair(const char **at, mtf_str *name, mtf_str *value)
{
    static const char between[] = " ,\t\r\n";
    *at += strspn(*at, between);
    const char *text = *at;
    const size_t size = strcspn(text, between);
    const size_t name_size = strcspn(text, "=");
    if (name_size == 0 || name_size + 1 >= size) return false;
    *name = (mtf_str){text, (uint32_t)name_size};
    *value = (mtf_str){text + name_size + 1, (uint32_t)(size - name_size - 1)};
    *at += size;
    return true;
}
