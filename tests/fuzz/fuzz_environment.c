/** Lines of NAME=VALUE as the environment, and each as a --set. What is refused says why. */
#include "core/settings.h"
#include "fuzz/fuzz.h"

#define VARIABLES_MAX 64

static size_t split(char *text, char *lines[VARIABLES_MAX + 1])
{
    size_t count = 0;
    for (char *line = text; line && count < VARIABLES_MAX;) {
        char *end = strchr(line, '\n');
        if (end) *end = '\0';
        lines[count++] = line;
        line = end ? end + 1 : NULL;
    }
    lines[count] = NULL;
    return count;
}

/** As `--set key=value` has it. */
static void set(mtf_settings *settings, char *line)
{
    mtf_err err = {0};
    char *equals = strchr(line, '=');
    if (!equals) return;
    *equals = '\0';
    MTF_ASSERT(mtf_settings_set(settings, line, equals + 1, "--set", &err) == MTF_OK ||
               err.msg[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines[VARIABLES_MAX + 1];
    char *text = fuzz_text(data, size);
    const size_t count = split(text, lines);
    mtf_settings settings = {0};
    mtf_err err = {0};
    mtf_buf printed = {0};
    MTF_ASSERT(mtf_settings_init(&settings, NULL) == MTF_OK);
    MTF_ASSERT(mtf_settings_environment(&settings, lines, &err) == MTF_OK || err.msg[0] != '\0');
    for (size_t i = 0; i < count; i++) set(&settings, lines[i]);
    mtf_settings_print(&settings, &printed);
    mtf_buf_fini(&printed);
    mtf_settings_fini(&settings);
    free(text);
    return 0;
}
