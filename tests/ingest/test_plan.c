/** Goal: each rule of resolution, alone. Method: small writers' schemas against small ones of ours
 * and a structure of every kind of member, bytes written by hand. */
#include "ingest/test.h"

#include "ingest/plan.h"

typedef struct thing {
    mtf_str name;
    int64_t whole;
    double real;
    uint32_t colour;
    mtf_floats floats;
} thing;

static const mtf_member rows[] = {
    {"name", MTF_MEMBER_STR, offsetof(thing, name), 0, NULL, 0},
    {"whole", MTF_MEMBER_LONG, offsetof(thing, whole), 0, NULL, 0},
    {"real", MTF_MEMBER_DOUBLE, offsetof(thing, real), 0, NULL, 0},
    {"colour", MTF_MEMBER_ENUM, offsetof(thing, colour), 0, NULL, 0},
    {"floats", MTF_MEMBER_FLOATS, offsetof(thing, floats), 0, NULL, 0},
};
static const mtf_shape shape = {sizeof(thing), rows, 5};

static const char ours[] =
    "{'type':'record','name':'Thing','fields':["
    "{'name':'name','type':'string','aliases':['label'],'default':'none'},"
    "{'name':'whole','type':'long','default':-3},"
    "{'name':'real','type':'double','default':0.5},"
    "{'name':'colour','type':{'type':'enum','name':'Colour','symbols':['red','green','other'],'"
    "default':'other'},"
    " 'default':'green'},"
    "{'name':'floats','type':{'type':'array','items':'float'},'default':[1,2]}]}";

/** JSON with ' for ". */
static mtf_schema *parse(const char *text)
{
    char quoted[4000];
    size_t size = 0;
    mtf_schema *schema;
    mtf_err err = {0};
    for (; text[size]; size++) quoted[size] = text[size] == '\'' ? '"' : text[size];
    if (mtf_schema_parse(quoted, size, &schema, &err) != MTF_OK) fail_msg("%s: %s", err.msg, text);
    return schema;
}

/** One record by a writer's schema; the words of a refusal in err. */
typedef struct fixture {
    mtf_schema *writer, *reader;
    mtf_plan *plan;
    mtf_arena arena;
    thing thing;
    mtf_err err;
} fixture;

static mtf_status read_thing(fixture *f, const char *fields, const mtf_buf *bytes)
{
    char text[3000];
    snprintf(text, sizeof text, "{'type':'record','name':'Theirs','fields':[%s]}", fields);
    *f = (fixture){.writer = parse(text), .reader = parse(ours)};
    mtf_status status = mtf_plan_compile(f->writer, f->reader, &shape, &f->plan, &f->err);
    if (status != MTF_OK) return status;
    mtf_reader reader = mtf_reader_of(mtf_buf_span(bytes));
    status = mtf_plan_run(f->plan, &reader, &f->arena, &f->thing, &f->err);
    if (status == MTF_OK) assert_int_equal(mtf_reader_left(&reader), 0);
    return status;
}

static void close_fixture(fixture *f)
{
    mtf_plan_free(f->plan);
    mtf_schema_free(f->writer);
    mtf_schema_free(f->reader);
    mtf_arena_fini(&f->arena);
}

static mtf_buf bytes_of(const char *bytes, size_t size)
{
    mtf_buf buf = {0};
    mtf_buf_put(&buf, bytes, size);
    return buf;
}

#define BYTES(literal) bytes_of(literal, sizeof(literal) - 1)

static void missing_fields_take_our_defaults(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = BYTES("\x01");
    assert_int_equal(read_thing(&f, "{'name':'other','type':'int'}", &bytes), MTF_OK);
    assert_true(mtf_str_is(f.thing.name, "none"));
    assert_int_equal(f.thing.whole, -3);
    assert_true(f.thing.real == 0.5);
    assert_int_equal(f.thing.colour, 1);
    assert_int_equal(f.thing.floats.count, 2);
    assert_true(f.thing.floats.data[0] == 1.0f && f.thing.floats.data[1] == 2.0f);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void a_writers_old_name_is_found_by_our_alias(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = BYTES("\x04hi");
    assert_int_equal(read_thing(&f, "{'name':'label','type':'bytes'}", &bytes), MTF_OK);
    assert_true(mtf_str_is(f.thing.name, "hi"));
    close_fixture(&f);
    mtf_buf_fini(&bytes);
    /* The name itself comes before the alias. */
    bytes = BYTES("\x02"
                  "a\x02"
                  "b");
    assert_int_equal(
        read_thing(&f, "{'name':'label','type':'string'},{'name':'name','type':'string'}", &bytes),
        MTF_OK);
    assert_true(mtf_str_is(f.thing.name, "b"));
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void numbers_are_promoted(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = BYTES("\x0d\x00\x00\x80\x3e\x03\x04\x08\x01\x00");
    assert_int_equal(read_thing(&f,
                                "{'name':'whole','type':'int'},{'name':'real','type':'float'},"
                                "{'name':'floats','type':{'type':'array','items':'int'}}",
                                &bytes),
                     MTF_OK);
    assert_int_equal(f.thing.whole, -7);
    assert_true(f.thing.real == 0.25);
    assert_int_equal(f.thing.floats.count, 2);
    assert_true(f.thing.floats.data[0] == 4.0f && f.thing.floats.data[1] == -1.0f);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void arrays_come_in_several_blocks(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = {0};
    float number = 0;
    for (int block = 0; block < 20000;
         block++) { /* so many that copying at each would be refused */
        const int64_t count = 1 + block % 3;
        mtf_avro_put_long(&bytes, block % 2 ? count : -count);
        if (block % 2 == 0) mtf_avro_put_long(&bytes, 4 * count);
        for (int64_t i = 0; i < count; i++) mtf_avro_put_float(&bytes, number++);
    }
    mtf_avro_put_long(&bytes, 0);
    assert_int_equal(
        read_thing(&f, "{'name':'floats','type':{'type':'array','items':'float'}}", &bytes),
        MTF_OK);
    assert_int_equal(f.thing.floats.count, (uint32_t)number);
    for (uint32_t i = 0; i < f.thing.floats.count; i++)
        assert_true(f.thing.floats.data[i] == (float)i);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void unknown_symbols_become_our_default_symbol(void **state)
{
    (void)state;
    fixture f;
    const char *fields =
        "{'name':'colour','type':{'type':'enum','name':'C','symbols':['blue','green','red']}}";
    static const uint32_t want[] = {2, 1, 0};
    for (uint8_t symbol = 0; symbol < 3; symbol++) {
        mtf_buf bytes = {0};
        mtf_avro_put_long(&bytes, symbol);
        assert_int_equal(read_thing(&f, fields, &bytes), MTF_OK);
        assert_int_equal(f.thing.colour, want[symbol]);
        close_fixture(&f);
        mtf_buf_fini(&bytes);
    }
    mtf_buf bytes = BYTES("\x06");
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_SKIP);
    assert_memory_equal(f.err.msg, "decode: colour: ", 16);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void unions_of_the_writer_are_read_branch_by_branch(void **state)
{
    (void)state;
    fixture f;
    const char *fields = "{'name':'whole','type':['null','int','string','long']}";
    mtf_buf bytes = BYTES("\x02\x08");
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_OK);
    assert_int_equal(f.thing.whole, 4);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
    bytes = BYTES("\x04\x00");
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_SKIP);
    assert_memory_equal(f.err.msg, "schema: whole: ", 15);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
    bytes = BYTES("\x08");
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_SKIP);
    assert_memory_equal(f.err.msg, "decode: whole: ", 15);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void every_type_is_skipped(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = {0};
    mtf_avro_put_boolean(&bytes, true);
    mtf_buf_put(&bytes, "12345", 5); /* fixed */
    mtf_avro_put_long(&bytes, -2);   /* map of arrays of null: 2 entries, 10 bytes */
    mtf_avro_put_long(&bytes, 10);
    mtf_buf_put(&bytes, "\x02k\x80\x89\x7a\x00\x02l\x02\x00", 10); /* of 1,000,000 and 1 nulls */
    mtf_avro_put_long(&bytes, 0);
    mtf_buf_put(&bytes, "\x02\x06\x02\x02\x00\x02\x08\x00\x00\x00\x00", 11); /* a tree of lists */
    mtf_avro_put_long(&bytes, 21);                                           /* whole */
    assert_int_equal(
        read_thing(&f,
                   "{'name':'a','type':'boolean'},{'name':'b','type':{'type':'fixed','name':'F','"
                   "size':5}},"
                   "{'name':'c','type':{'type':'map','values':{'type':'array','items':'null'}}},"
                   "{'name':'d','type':['null',{'type':'record','name':'L','fields':["
                   "{'name':'v','type':'int'},{'name':'t','type':{'type':'array','items':'L'}},"
                   "{'name':'n','type':['null','L']}]}]},"
                   "{'name':'e','type':{'type':'record','name':'E','fields':[]}},"
                   "{'name':'whole','type':'long'}",
                   &bytes),
        MTF_OK);
    assert_int_equal(f.thing.whole, 21);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

static void what_cannot_be_read_is_refused_once_for_all(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "{'name':'whole','type':'float'}",
        "{'name':'whole','type':'string'}",
        "{'name':'real','type':'bytes'}",
        "{'name':'name','type':'int'}",
        "{'name':'colour','type':'string'}",
        "{'name':'floats','type':{'type':'array','items':'double'}}",
        "{'name':'floats','type':{'type':'map','values':'float'}}",
        "{'name':'whole','type':['null','string']}",
    };
    mtf_buf bytes = {0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        fixture f;
        assert_int_equal(read_thing(&f, fields[i], &bytes), MTF_INVALID);
        assert_memory_equal(f.err.msg, "schema: ", 8);
        assert_null(f.plan);
        close_fixture(&f);
    }
}

static void a_recursive_value_of_no_end_is_cut_at_the_depth_limit(void **state)
{
    (void)state;
    fixture f;
    mtf_buf bytes = {0};
    const char *fields = "{'name':'a','type':{'type':'record','name':'L','fields':[{'name':'n','"
                         "type':['null','L']}]}}";
    for (int i = 0; i < 90; i++) mtf_buf_put_u8(&bytes, 2);
    mtf_buf_put_u8(&bytes, 0);
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_OK);
    close_fixture(&f);
    mtf_buf_clear(&bytes);
    for (int i = 0; i < 10000; i++) mtf_buf_put_u8(&bytes, 2);
    assert_int_equal(read_thing(&f, fields, &bytes), MTF_SKIP);
    assert_non_null(strstr(f.err.msg, "nested deeper"));
    close_fixture(&f);
    mtf_buf_clear(&bytes);
    assert_int_equal(
        read_thing(
            &f,
            "{'name':'a','type':{'type':'record','name':'L','fields':[{'name':'n','type':'L'}]}}",
            &bytes),
        MTF_SKIP);
    close_fixture(&f);
    mtf_buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_fields_take_our_defaults),
        cmocka_unit_test(a_writers_old_name_is_found_by_our_alias),
        cmocka_unit_test(numbers_are_promoted),
        cmocka_unit_test(arrays_come_in_several_blocks),
        cmocka_unit_test(unknown_symbols_become_our_default_symbol),
        cmocka_unit_test(unions_of_the_writer_are_read_branch_by_branch),
        cmocka_unit_test(every_type_is_skipped),
        cmocka_unit_test(what_cannot_be_read_is_refused_once_for_all),
        cmocka_unit_test(a_recursive_value_of_no_end_is_cut_at_the_depth_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
