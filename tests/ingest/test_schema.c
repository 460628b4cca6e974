/** Goal: our schemas mean what the other side's Avro library thinks they mean. Method: canonical
 * forms and fingerprints against fastavro's (`python3 tests/ingest/golden.py make` prints them),
 * the rules of the specification on what is no schema, and what schemas/README.md promises of ours.
 */
#include "ingest/test.h"

#include "ingest/avro_schema.h"
#include "ingest/schemas.h"

static mtf_schema *parse(const char *text)
{
    mtf_schema *schema;
    mtf_err err = {0};
    if (mtf_schema_parse(text, strlen(text), &schema, &err) != MTF_OK) fail_msg("%s", err.msg);
    return schema;
}

static void built_in_fingerprints_are_those_of_the_schemas(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint64_t fingerprint;
    } rows[] = {{mtf_schema_event, MTF_FINGERPRINT_EVENT},
                {mtf_schema_session, MTF_FINGERPRINT_SESSION},
                {mtf_schema_policy, MTF_FINGERPRINT_POLICY},
                {mtf_schema_replay, MTF_FINGERPRINT_REPLAY}};
    for (size_t i = 0; i < 4; i++) {
        mtf_schema *schema = parse(rows[i].text);
        if (schema->fingerprint != rows[i].fingerprint) {
            fail_msg(
                "schema %zu has fingerprint 0x%016llx: correct schemas.h, check it with golden.py",
                i, (unsigned long long)schema->fingerprint);
        }
        mtf_schema_free(schema);
    }
}

static void canonical_form_is_fastavros(void **state)
{
    (void)state;
    const struct {
        const char *text, *canonical;
        uint64_t fingerprint;
    } rows[] = {
        {"\"int\"", "\"int\"", 0x7275d51a3f395c8fu},
        {"{\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}", "\"long\"",
         0xd054e14493f41db7u},
        {"{\"type\": \"fixed\", \"size\": 16, \"namespace\": \"a.b\", \"name\": \"F\", "
         "\"aliases\": [\"G\"]}",
         "{\"name\":\"a.b.F\",\"type\":\"fixed\",\"size\":16}", 0x1a642d4806ad71d1u},
        {"{\"type\": \"enum\", \"name\": \"x.E\", \"namespace\": \"ignored\", \"symbols\": [\"A\", "
         "\"B\"],"
         " \"default\": \"A\", \"doc\": \"d\"}",
         "{\"name\":\"x.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}", 0x38f689438911457fu},
        {"{\"type\": \"record\", \"name\": \"R\", \"namespace\": \"n\", \"doc\": \"d\", "
         "\"fields\": ["
         "{\"default\": 1, \"type\": \"int\", \"name\": \"i\"},"
         "{\"name\": \"next\", \"type\": [\"null\", \"R\"], \"default\": null},"
         "{\"name\": \"m\", \"type\": {\"values\": {\"type\": \"array\", \"items\": {\"type\": "
         "\"bytes\"}},"
         " \"type\": \"map\"}},"
         "{\"name\": \"o\", \"type\": {\"name\": \"other.O\", \"type\": \"record\", \"fields\": "
         "[{\"name\": \"e\","
         " \"type\": {\"type\": \"enum\", \"name\": \"E\", \"symbols\": [\"Z\"]}}]}},"
         "{\"name\": \"again\", \"type\": \"other.E\"}]}",
         "{\"name\":\"n.R\",\"type\":\"record\",\"fields\":[{\"name\":\"i\",\"type\":\"int\"},"
         "{\"name\":\"next\",\"type\":[\"null\",\"n.R\"]},"
         "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":"
         "\"bytes\"}}},"
         "{\"name\":\"o\",\"type\":{\"name\":\"other.O\",\"type\":\"record\",\"fields\":[{\"name\":"
         "\"e\","
         "\"type\":{\"name\":\"other.E\",\"type\":\"enum\",\"symbols\":[\"Z\"]}}]}},"
         "{\"name\":\"again\",\"type\":\"other.E\"}]}",
         0xa33f40134f994aeeu},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mtf_schema *schema = parse(rows[i].text);
        mtf_buf canonical = {0};
        assert_int_equal(mtf_schema_canonical(schema, schema->root, &canonical, NULL), MTF_OK);
        mtf_buf_put_u8(&canonical, 0);
        assert_string_equal((char *)canonical.data, rows[i].canonical);
        assert_true(schema->fingerprint == rows[i].fingerprint);
        mtf_buf_fini(&canonical);
        mtf_schema_free(schema);
    }
}

static void what_is_no_schema_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "7",
        "null",
        "[]",
        "{}",
        "\"nonesuch\"",
        "{\"type\": \"record\", \"name\": \"R\"}",
        "{\"type\": \"record\", \"fields\": []}",
        "{\"type\": \"record\", \"name\": \"1R\", \"fields\": []}",
        "{\"type\": \"record\", \"name\": \"a..R\", \"fields\": []}",
        "{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\"}]}",
        "{\"type\": \"record\", \"name\": \"R\", \"fields\": [7]}",
        "{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\", \"type\": \"int\"},"
        "{\"name\": \"a\", \"type\": \"int\"}]}",
        "{\"type\": \"enum\", \"name\": \"E\", \"symbols\": []}",
        "{\"type\": \"enum\", \"name\": \"E\", \"symbols\": [\"a b\"]}",
        "{\"type\": \"fixed\", \"name\": \"F\", \"size\": -1}",
        "{\"type\": \"fixed\", \"name\": \"F\", \"size\": 1e3}",
        "{\"type\": \"array\"}",
        "{\"type\": \"map\", \"values\": \"nonesuch\"}",
        "{\"type\": \"union\"}",
        "[[\"int\"], \"null\"]",
        "[{\"type\": \"fixed\", \"name\": \"F\", \"size\": 1}, {\"type\": \"fixed\", \"name\": "
        "\"F\", \"size\": 1}]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mtf_schema *schema;
        mtf_err err = {0};
        if (mtf_schema_parse(texts[i], strlen(texts[i]), &schema, &err) != MTF_INVALID)
            fail_msg("%s", texts[i]);
        assert_null(schema);
        assert_memory_equal(err.msg, "schema: ", 8);
    }
}

static void limits_of_depth_and_size_are_errors(void **state)
{
    (void)state;
    mtf_buf text = {0};
    mtf_schema *schema;
    mtf_err err = {0};
    for (int i = 0; i < 1000; i++) mtf_buf_printf(&text, "{\"type\":\"array\",\"items\":");
    mtf_buf_printf(&text, "\"int\"");
    for (int i = 0; i < 1000; i++) mtf_buf_printf(&text, "}");
    assert_int_equal(mtf_schema_parse((char *)text.data, text.size, &schema, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "deeper than 64 levels"));

    mtf_buf_clear(&text);
    for (int i = 0; i < 5000; i++) mtf_buf_printf(&text, "%s\"int\"", i ? "," : "[");
    mtf_buf_printf(&text, "]");
    assert_int_equal(mtf_schema_parse((char *)text.data, text.size, &schema, &err), MTF_INVALID);

    mtf_buf_extend(&text, MTF_SCHEMA_BYTES_MAX);
    assert_int_equal(mtf_schema_parse((char *)text.data, text.size, &schema, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "the limit is"));
    mtf_buf_fini(&text);
}

static void recursive_and_empty_types_are_measured(void **state)
{
    (void)state;
    mtf_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":["
              "{\"name\":\"a\",\"type\":[\"null\",\"R\"]},"
              "{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":\"R\"}},"
              "{\"name\":\"c\",\"type\":\"null\"},"
              "{\"name\":\"d\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":5}},"
              "{\"name\":\"e\",\"type\":{\"type\":\"record\",\"name\":\"N\",\"fields\":["
              "{\"name\":\"n\",\"type\":\"null\"}]}}]}");
    assert_int_equal(schema->root->bytes_min, 1 + 1 + 0 + 5 + 0);
    assert_false(schema->root->bare);
    assert_true(schema->root->fields[2].type->bare);
    assert_true(schema->root->fields[4].type->bare);
    mtf_schema_free(schema);
}

static void every_field_of_ours_is_documented(void **state)
{
    (void)state;
    const char *const texts[] = {mtf_schema_event, mtf_schema_session, mtf_schema_policy,
                                 mtf_schema_replay};
    for (size_t i = 0; i < 4; i++) {
        mtf_schema *schema = parse(texts[i]);
        const json_t *fields = json_object_get(schema->json, "fields"), *field;
        size_t k;
        json_array_foreach(fields, k, field)
        {
            if (!json_string_length(json_object_get(field, "doc"))) {
                fail_msg("%s", json_string_value(json_object_get(field, "name")));
            }
        }
        mtf_schema_free(schema);
    }
}

static void replay_holds_the_event_schema(void **state)
{
    (void)state;
    mtf_schema *replay = parse(mtf_schema_replay), *event = parse(mtf_schema_event);
    const json_t *field = json_array_get(json_object_get(replay->json, "fields"), 3);
    assert_true(json_equal(json_object_get(field, "type"), event->json));
    mtf_schema_free(replay);
    mtf_schema_free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_fingerprints_are_those_of_the_schemas),
        cmocka_unit_test(canonical_form_is_fastavros),
        cmocka_unit_test(what_is_no_schema_is_refused),
        cmocka_unit_test(limits_of_depth_and_size_are_errors),
        cmocka_unit_test(recursive_and_empty_types_are_measured),
        cmocka_unit_test(every_field_of_ours_is_documented),
        cmocka_unit_test(replay_holds_the_event_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
