/** Settings from environment variables: MTF_SECTION_NAME, and MTF_KAFKA_... for librdkafka's. */
#include "core/settings_table.h"

#include <ctype.h>
#include <stdio.h>

void mtf_settings_environment_name(const char *key, char *name)
{
    size_t size = (size_t)snprintf(name, MTF_SETTINGS_KEY_CHARS, "MTF_%s", key);
    MTF_ASSERT(size < MTF_SETTINGS_KEY_CHARS);
    for (size_t i = 0; i < size; i++) {
        name[i] = name[i] == '.' ? '_' : (char)toupper((unsigned char)name[i]);
    }
}

/** Names that begin with MTF_ and are no settings: test hooks, and the learner's mark that it chose
 *  the BLAS core. */
static bool is_reserved(const char *name)
{
    return strcmp(name, "MTF_FAULT_POINT") == 0 || strcmp(name, "MTF_BLAS_CORE") == 0 ||
           strncmp(name, "MTF_TEST_", 9) == 0;
}

/** KAFKA_SSL_CA_LOCATION -> kafka.ssl.ca.location, KAFKA_SASL_PASSWORD_FILE ->
 *  kafka.sasl.password_file; two underscores stand for one. key is as long as name. */
static void property_key(const char *name, char *key)
{
    size_t size = 0;
    for (; *name; name++) {
        const bool doubled = name[0] == '_' && name[1] == '_';
        key[size++] = doubled ? '_' : *name == '_' ? '.' : (char)tolower((unsigned char)*name);
        if (doubled) name++;
    }
    key[size] = '\0';
    if (size > 5 && strcmp(key + size - 5, ".file") == 0) key[size - 5] = '_';
}

static mtf_status set_variable(mtf_settings *settings, const char *name, const char *value,
                               mtf_err *err)
{
    char spelt[MTF_SETTINGS_KEY_CHARS];
    size_t count;
    const mtf_setting *rows = mtf_settings_rows(&count);
    for (size_t i = 0; i < count; i++) {
        mtf_settings_environment_name(rows[i].key, spelt);
        if (strcmp(spelt, name) != 0) continue;
        return mtf_settings_set(settings, rows[i].key, value, name, err);
    }
    char key[MTF_SETTINGS_KEY_CHARS];
    property_key(name + strlen("MTF_"), key);
    if (strncmp(key, "kafka.", 6) == 0) {
        return mtf_settings_set(settings, key, value, name, err);
    }
    const mtf_setting *near = mtf_settings_nearest(key);
    if (!near) {
        return mtf_fail(err, MTF_INVALID,
                        "environment: %s sets nothing; `mtf config docs` lists all names", name);
    }
    mtf_settings_environment_name(near->key, spelt);
    return mtf_fail(err, MTF_INVALID, "environment: %s sets nothing; did you mean %s?", name,
                    spelt);
}

mtf_status mtf_settings_environment(mtf_settings *settings, char *const *environ, mtf_err *err)
{
    for (; *environ; environ++) {
        const char *entry = *environ;
        if (strncmp(entry, "MTF_", 4) != 0) continue;
        const size_t size = strcspn(entry, "=");
        char name[MTF_SETTINGS_KEY_CHARS];
        if (!entry[size]) continue;
        if (size >= sizeof name) {
            return mtf_fail(err, MTF_INVALID, "environment: %.60s... sets nothing", entry);
        }
        memcpy(name, entry, size);
        name[size] = '\0';
        if (is_reserved(name)) continue;
        const mtf_status status = set_variable(settings, name, entry + size + 1, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}
