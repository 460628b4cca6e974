/** The settings table as rows that code can walk; private to the settings files of core. */
#ifndef MTF_SETTINGS_TABLE_H
#define MTF_SETTINGS_TABLE_H

#include "core/settings.h"

#define MTF_SETTINGS_KEY_CHARS 128 /* the longest name or key, its NUL included */

typedef enum mtf_setting_kind {
    MTF_SETTING_I,
    MTF_SETTING_F,
    MTF_SETTING_B,
    MTF_SETTING_S,
} mtf_setting_kind;

typedef struct mtf_setting {
    const char *key; /* "section.name" */
    const char *unit, *help;
    mtf_setting_kind kind;
    size_t offset; /* of the field in mtf_settings */
    union {
        struct {
            int64_t value, min, max;
        } integer; /* I and B; for S: min and max are lengths */
        struct {
            double value, min, max;
        } real; /* F */
    } limits;
    const char *text; /* S: the default */
} mtf_setting;

/** All rows in the order of MTF_SETTINGS_MAP. */
const mtf_setting *mtf_settings_rows(size_t *count);
/** The allowed words of an enumerated text, blank between; NULL for any other setting. */
const char *mtf_settings_choices(const mtf_setting *row);
/** Whether a whole number from 1 is allowed beside the choices. */
bool mtf_settings_count(const mtf_setting *row);
/** The row a misspelt key most likely meant, or NULL: the same name in another section, what
 *  it is the beginning of (a unit left out), else at most a third of the letters wrong. */
const mtf_setting *mtf_settings_nearest(const char *key);
/** key is what follows "kafka.": [consumer.|producer.]name, or a secret's name and "_file", whose
 *  value is then the path of the file that holds the secret. */
mtf_status mtf_settings_set_property(mtf_settings *settings, const char *key, const char *value,
                                     const char *where, mtf_err *err) MTF_NODISCARD;
/** MTF_SESSIONIZE_GAP_MS from sessionize.gap_ms into name, MTF_SETTINGS_KEY_CHARS long. */
void mtf_settings_environment_name(const char *key, char *name);

#endif
