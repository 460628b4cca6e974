/** Writes the seed corpus of fuzz_decode: records that pass validation (the samples of
 * tests/ingest) and a few random ones of each of its schemas. Usage: fuzz_corpus
 * tests/fuzz/corpus/decode */
#include "core/file.h"
#include "fuzz/fuzz_decode.h"
#include "core/encode.h"
#include "ingest/random_value.h"
#include "ingest/samples.h"
#include "ingest/schemas.h"

#include <stdio.h>

static int write_input(const char *folder, const char *name, int number, const mtf_buf *input)
{
    char path[4096];
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/%s-%d", folder, name, number);
    if (mtf_file_replace(path, mtf_buf_span(input), &err) == MTF_OK) return 0;
    fprintf(stderr, "%s\n", err.msg);
    return 1;
}

/** The samples: behind the schema's number, without their frames. */
static int write_samples(const char *folder)
{
    const mtf_event events[] = {mtf_sample_request(), mtf_sample_feedback(), mtf_sample_end()};
    const mtf_session session = mtf_sample_session();
    mtf_buf input = {0}, framed = {0};
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        mtf_buf_clear(&input);
        mtf_buf_clear(&framed);
        mtf_buf_put_u8(&input, i == 3);
        failed |= (i < 3 ? mtf_event_encode(&events[i], &framed, NULL)
                         : mtf_session_encode(&session, &framed, NULL)) != MTF_OK;
        mtf_buf_put(&input, framed.data + 10, framed.size - 10);
        failed |= write_input(folder, "sample", i, &input);
    }
    mtf_buf_fini(&input);
    mtf_buf_fini(&framed);
    return failed;
}

static int write_random(const char *folder, uint8_t number, const char *text)
{
    mtf_rng rng = mtf_rng_of(61, number);
    mtf_schema *schema;
    mtf_buf input = {0};
    int failed = 0;
    if (mtf_schema_parse(text, strlen(text), &schema, NULL) != MTF_OK) return 1;
    for (int i = 0; i < 4; i++) {
        char name[20];
        do {
            mtf_buf_clear(&input);
            mtf_buf_put_u8(&input, number);
            mtf_random_value(&rng, schema->root, 0, &input);
        } while (input.size > 2000);
        snprintf(name, sizeof name, "schema%u", (unsigned)number);
        failed |= write_input(folder, name, i, &input);
    }
    mtf_schema_free(schema);
    mtf_buf_fini(&input);
    return failed;
}

int main(int argc, char **argv)
{
    mtf_err err = {0};
    int failed = argc != 2 || mtf_folder_make(argv[1], &err) != MTF_OK || write_samples(argv[1]);
    for (uint8_t i = 0; !failed && i < MTF_FUZZ_WRITERS; i++) {
        const char *text = i == 0   ? mtf_schema_event
                           : i == 1 ? mtf_schema_session
                                    : mtf_fuzz_schemas[i - 2];
        failed = write_random(argv[1], i, text);
    }
    if (failed) fprintf(stderr, "usage: %s FOLDER (%s)\n", argv[0], err.msg);
    return failed;
}
