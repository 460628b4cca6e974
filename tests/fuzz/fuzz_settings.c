/** Any bytes as a settings file. What is taken, printed and taken again prints the same; what is
 *  refused says why. */
#include "core/settings.h"
#include "fuzz/fuzz.h"

static mtf_status parse(mtf_span text, mtf_buf *printed)
{
    mtf_settings settings = {0};
    mtf_err err = {0};
    MTF_ASSERT(mtf_settings_init(&settings, NULL) == MTF_OK);
    const mtf_status status = mtf_settings_parse(&settings, text, "file.yaml", &err);
    MTF_ASSERT(status == MTF_OK || err.msg[0] != '\0');
    mtf_settings_print(&settings, printed); /* also of one that was refused half way */
    mtf_settings_fini(&settings);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mtf_buf once = {0}, twice = {0};
    if (parse((mtf_span){data, size}, &once) == MTF_OK) {
        MTF_ASSERT(parse(mtf_buf_span(&once), &twice) == MTF_OK);
        fuzz_same(&once, &twice);
    }
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
    return 0;
}
