/** Goal: whatever a producer's schema of the same family writes, we read what Avro C reads. Method:
 *  random relatives of our schemas (fields added, dropped, shuffled, renamed, demoted, wrapped),
 * random values of them, each record through the plan and through Avro C's generic reader, compared
 * field by field by code that does not share the plan's. */
#include "ingest/test.h"

#include "ingest/evolve.h"
#include "ingest/oracle.h"
#include "ingest/plan.h"
#include "ingest/random_value.h"
#include "ingest/schemas.h"

#include "core/session.h"

#define SEED    20250301u
#define WRITERS 520
#define RECORDS 20 /* of each writer; times two shapes: 20,800 */
#define SHAPES  2

typedef union any_record {
    mtf_event event;
    mtf_session session;
} any_record;

static mtf_schema *schema_of(const json_t *json, char **text)
{
    mtf_schema *schema;
    mtf_err err = {0};
    *text = json_dumps(json, 0);
    if (mtf_schema_parse(*text, strlen(*text), &schema, &err) != MTF_OK)
        fail_msg("%s in %s", err.msg, *text);
    return schema;
}

static void compare_record(const mtf_plan *plan, const mtf_schema *reader, const mtf_shape *shape,
                           mtf_span bytes, avro_value_t *value, const char *where)
{
    any_record record;
    mtf_arena arena = {0};
    mtf_err err = {0};
    const char *field = NULL;
    avro_reader_t theirs = avro_reader_memory((const char *)bytes.data, (int64_t)bytes.size);
    avro_value_reset(value);
    if (avro_value_read(theirs, value) != 0) fail_msg("%s: Avro C: %s", where, avro_strerror());
    mtf_reader ours = mtf_reader_of(bytes);
    if (mtf_plan_run(plan, &ours, &arena, &record, &err) != MTF_OK)
        fail_msg("%s: %s", where, err.msg);
    if (mtf_reader_left(&ours)) fail_msg("%s: %zu bytes left", where, mtf_reader_left(&ours));
    if (!mtf_oracle_agrees(reader->root, shape, &record, value, &field))
        fail_msg("%s: %s differs", where, field);
    avro_reader_free(theirs);
    mtf_arena_fini(&arena);
}

static void compare_writer(mtf_rng *rng, const json_t *reader_json, const mtf_schema *reader,
                           const mtf_shape *shape, int number)
{
    char *text;
    json_t *json = mtf_evolve(rng, reader_json);
    mtf_schema *writer = schema_of(json, &text);
    mtf_plan *plan;
    mtf_err err = {0};
    avro_schema_t theirs;
    avro_value_t value;
    char where[100];
    if (mtf_plan_compile(writer, reader, shape, &plan, &err) != MTF_OK) {
        fail_msg("seed %u writer %d: %s\n%s", SEED, number, err.msg, text);
    }
    if (avro_schema_from_json_length(text, strlen(text), &theirs) != 0)
        fail_msg("Avro C: %s", avro_strerror());
    avro_value_iface_t *iface = avro_generic_class_from_schema(theirs);
    avro_generic_value_new(iface, &value);
    for (int i = 0; i < RECORDS; i++) {
        mtf_buf bytes = {0};
        mtf_random_value(rng, writer->root, 0, &bytes);
        snprintf(where, sizeof where, "seed %u writer %d record %d", SEED, number, i);
        compare_record(plan, reader, shape, mtf_buf_span(&bytes), &value, where);
        mtf_buf_fini(&bytes);
    }
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(theirs);
    mtf_plan_free(plan);
    mtf_schema_free(writer);
    json_decref(json);
    free(text);
}

static void evolved_records_are_read_as_avro_c_reads_them(void **state)
{
    (void)state;
    const char *const texts[SHAPES] = {mtf_schema_event, mtf_schema_session};
    const mtf_shape *const shapes[SHAPES] = {&mtf_shape_event, &mtf_shape_session};
    for (int kind = 0; kind < SHAPES; kind++) {
        mtf_rng rng = mtf_rng_of(SEED, (uint64_t)kind);
        json_t *schema = json_loads(texts[kind], 0, NULL), *variant = mtf_reader_variant(schema);
        char *text;
        mtf_schema *reader = schema_of(variant, &text);
        mtf_err err = {0};
        if (mtf_shape_check(shapes[kind], reader->root, &err) != MTF_OK) fail_msg("%s", err.msg);
        for (int i = 0; i < WRITERS; i++) compare_writer(&rng, variant, reader, shapes[kind], i);
        mtf_schema_free(reader);
        free(text);
        json_decref(schema);
        json_decref(variant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evolved_records_are_read_as_avro_c_reads_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
