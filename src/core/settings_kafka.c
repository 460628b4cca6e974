/** librdkafka's properties in the settings: kept as text and handed over as they are. A secret may
 *  stand in a file of its own. */
#include "core/settings_table.h"

#include "core/file.h"

#include <stdlib.h>

/** librdkafka's names are of these; what else comes here is a slip in the file. */
#define NAME_CHARS            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define SECRET_FILE_BYTES_MAX 65536u

/** Replaces the property or appends it; takes value over, also when it fails. */
static mtf_status put_property(mtf_settings *settings, mtf_kafka_scope scope, const char *name,
                               char *value, const char *where, mtf_err *err)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        mtf_kafka_property *property = &settings->kafka[i];
        if (property->scope != scope || strcmp(property->name, name) != 0) continue;
        free(property->value);
        property->value = value;
        return MTF_OK;
    }
    mtf_kafka_property *more =
        realloc(settings->kafka, (settings->kafka_count + 1) * sizeof *settings->kafka);
    if (more) settings->kafka = more;
    char *copy = more ? strdup(name) : NULL;
    if (!copy) {
        free(value);
        return mtf_fail(err, MTF_NOMEM, "%s: kafka.%.60s: out of memory", where, name);
    }
    more[settings->kafka_count++] = (mtf_kafka_property){scope, copy, value};
    return MTF_OK;
}

/** The file's text without the line end; the caller frees *text. */
static mtf_status read_secret(const char *path, const char *key, const char *where, char **text,
                              mtf_err *err)
{
    mtf_buf content = {0};
    mtf_err cause = {0};
    mtf_status status = mtf_file_read(path, SECRET_FILE_BYTES_MAX, &content, &cause);
    size_t size = content.size;
    while (size && (content.data[size - 1] == '\n' || content.data[size - 1] == '\r')) size--;
    if (status != MTF_OK) {
        status = mtf_fail(err, MTF_INVALID, "%s: kafka.%.60s: %s", where, key, cause.msg);
    } else if (size == 0) {
        status = mtf_fail(err, MTF_INVALID, "%s: kafka.%.60s: %s is empty", where, key, path);
    } else if (memchr(content.data, '\0', size)) {
        status =
            mtf_fail(err, MTF_INVALID, "%s: kafka.%.60s: %s holds a NUL byte", where, key, path);
    } else {
        *text = strndup((const char *)content.data, size);
        if (!*text) status = mtf_fail(err, MTF_NOMEM, "%s: out of memory", where);
    }
    mtf_buf_fini(&content);
    return status;
}

static bool is_file_name(const char *name)
{
    const size_t size = strlen(name);
    return size > 5 && strcmp(name + size - 5, "_file") == 0;
}

bool mtf_settings_gives_secret(const char *key)
{
    if (strncmp(key, "kafka.", 6) != 0) return false;
    return mtf_settings_secret(key + 6) && !is_file_name(key);
}

mtf_status mtf_settings_set_property(mtf_settings *settings, const char *key, const char *value,
                                     const char *where, mtf_err *err)
{
    mtf_kafka_scope scope = MTF_KAFKA_BOTH;
    const char *name = key;
    if (strncmp(key, "consumer.", 9) == 0) scope = MTF_KAFKA_CONSUMER, name += 9;
    if (strncmp(key, "producer.", 9) == 0) scope = MTF_KAFKA_PRODUCER, name += 9;
    const size_t size = strlen(name);
    char stem[MTF_SETTINGS_KEY_CHARS];
    if (size == 0 || size >= sizeof stem || name[0] == '.' || strspn(name, NAME_CHARS) < size)
        return mtf_fail(err, MTF_INVALID, "%s: kafka.%.60s is no property's name", where, key);

    memcpy(stem, name, size + 1);
    char *text = NULL;
    if (is_file_name(name) && mtf_settings_secret(name)) {
        stem[size - 5] = '\0';
        const mtf_status status = read_secret(value, key, where, &text, err);
        if (status != MTF_OK) return status;
    } else {
        text = strdup(value);
        if (!text) return mtf_fail(err, MTF_NOMEM, "%s: out of memory", where);
    }
    return put_property(settings, scope, stem, text, where, err);
}
