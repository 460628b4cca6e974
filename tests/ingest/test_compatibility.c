/** Goal: no change to schemas/ locks out what is in the topics, or readers that are a version
 * behind. Method: released/ keeps the schemas as they were; each must be readable by today's and
 * the other way round. A new version is added there when it is released, none is ever changed. */
#include "ingest/test.h"

#include "ingest/plan.h"

#define RELEASES 1

static mtf_schema *load(const char *folder, const char *name)
{
    char path[512];
    mtf_buf text = {0};
    mtf_schema *schema;
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/%s/%s.avsc", MTF_SOURCE_DIR, folder, name);
    if (mtf_file_read(path, 1 << 20, &text, &err) != MTF_OK) fail_msg("%s", err.msg);
    if (mtf_schema_parse((char *)text.data, text.size, &schema, &err) != MTF_OK)
        fail_msg("%s", err.msg);
    mtf_buf_fini(&text);
    return schema;
}

static void assert_readable(const char *name, int release, const mtf_schema *writer,
                            const mtf_schema *reader, const mtf_shape *shape)
{
    mtf_plan *plan;
    mtf_err err = {0};
    if (mtf_plan_compile(writer, reader, shape, &plan, &err) != MTF_OK) {
        fail_msg("%s against release %d: %s", name, release, err.msg);
    }
    mtf_plan_free(plan);
}

static void todays_schemas_read_and_are_read_by_every_release(void **state)
{
    (void)state;
    const struct {
        const char *name;
        const mtf_shape *shape;
    } rows[] = {{"exploration-event", &mtf_shape_event},
                {"session", &mtf_shape_session},
                {"replay-event", &mtf_shape_replay}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mtf_schema *today = load("schemas", rows[i].name);
        for (int release = 1; release <= RELEASES; release++) {
            char folder[100];
            snprintf(folder, sizeof folder, "tests/ingest/released/%d", release);
            mtf_schema *then = load(folder, rows[i].name);
            assert_readable(rows[i].name, release, then, today, rows[i].shape);
            /* The plan looks up only the fields that the reader has: an older reader's are part of
             * today's. */
            assert_readable(rows[i].name, release, today, then, rows[i].shape);
            mtf_schema_free(then);
        }
        mtf_schema_free(today);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(todays_schemas_read_and_are_read_by_every_release)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
