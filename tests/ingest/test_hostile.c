/** Goal: no bytes whatever make the decoder read past them, loop, leak or take memory without
 * bound. Method: 200,000 records cut short at random lengths and 200,000 damaged ones, for several
 * writers' schemas, with the process's memory watched (the sanitizers see the rest); lengths chosen
 * to hurt. */
#include "ingest/test.h"

#include "ingest/decoder.h"
#include "core/encode.h"
#include "ingest/evolve.h"
#include "ingest/plan.h"
#include "ingest/random_value.h"
#include "ingest/samples.h"
#include "ingest/schemas.h"

#include <sys/resource.h>

#define SEED     7411u
#define WRITERS  40
#define MESSAGES 5000 /* of each writer */
#define REPEATS  10   /* of each record */

#ifdef __has_feature
#define SANITIZED __has_feature(address_sanitizer)
#elif defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
/* The address sanitizer keeps 256 MiB of what was freed, but finds every leak by itself. */
#define GROWTH_KIB_MAX (SANITIZED ? 400 << 10 : 32 << 10)

static long resident_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/** What is done to a record before it is decoded. */
typedef void spoiler(mtf_rng *rng, mtf_buf *bytes);

/** Keeps fewer bytes, from none to all but the last. */
static void truncate_record(mtf_rng *rng, mtf_buf *bytes)
{
    bytes->size = mtf_rng_below(rng, bytes->size);
}

/** Cut, flip, overwrite or replace. */
static void damage(mtf_rng *rng, mtf_buf *bytes)
{
    const uint64_t how = mtf_rng_below(rng, 4);
    const size_t body = MTF_AVRO_FRAME_BYTES;
    if (bytes->size <= body) return;
    if (how == 0) {
        bytes->size = body + mtf_rng_below(rng, bytes->size - body);
        return;
    }
    const uint64_t changes = how == 3 ? bytes->size : 1 + mtf_rng_below(rng, 4);
    for (uint64_t i = 0; i < changes; i++) {
        const size_t at = body + mtf_rng_below(rng, bytes->size - body);
        const unsigned flipped = bytes->data[at] ^ 1u << mtf_rng_below(rng, 8);
        bytes->data[at] = (uint8_t)(how == 1 ? flipped : mtf_rng_next(rng));
    }
}

/** A decoder that knows random relatives of a schema. */
static mtf_decoder *open_decoder(mtf_rng *rng, const char *text, mtf_schema *writers[WRITERS])
{
    mtf_decoder *decoder;
    json_t *schema = json_loads(text, 0, NULL);
    assert_int_equal(mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, NULL), MTF_OK);
    for (int i = 0; i < WRITERS; i++) {
        uint64_t fingerprint;
        json_t *evolved = mtf_evolve(rng, schema);
        char *json = json_dumps(evolved, 0);
        assert_int_equal(mtf_decoder_add(decoder, json, strlen(json), &fingerprint, NULL), MTF_OK);
        assert_int_equal(mtf_schema_parse(json, strlen(json), &writers[i], NULL), MTF_OK);
        free(json);
        json_decref(evolved);
    }
    json_decref(schema);
    return decoder;
}

/** Decodes WRITERS * MESSAGES spoiled records; how many were refused. Fails if memory grows. */
static int decode_spoiled(uint64_t stream, spoiler *spoil)
{
    mtf_rng rng = mtf_rng_of(SEED, stream);
    mtf_schema *writers[WRITERS];
    mtf_decoder *decoder = open_decoder(&rng, mtf_schema_event, writers);
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_buf whole = {0}, bytes = {0};
    mtf_arena arena = {0};
    int refused = 0;
    long resident = 0;
    for (int i = 0; i < WRITERS * MESSAGES; i++) {
        mtf_event event;
        mtf_err err = {0};
        if (i % REPEATS == 0) {
            const mtf_schema *writer = writers[i / REPEATS % WRITERS];
            mtf_buf_clear(&whole);
            mtf_avro_put_frame(&whole, writer->fingerprint);
            mtf_random_value(&rng, writer->root, 0, &whole);
        }
        mtf_buf_clear(&bytes);
        mtf_buf_put(&bytes, whole.data, whole.size);
        spoil(&rng, &bytes);
        mtf_arena_reset(&arena);
        const mtf_status status =
            events.decode(events.self, mtf_buf_span(&bytes), &arena, &event, &err);
        if (status != MTF_OK && status != MTF_SKIP)
            fail_msg("seed %u message %d: %s", SEED, i, err.msg);
        refused += status == MTF_SKIP;
        if (i == WRITERS * MESSAGES / 10) resident = resident_kib();
    }
    if (resident_kib() > resident + GROWTH_KIB_MAX) {
        fail_msg("seed %u: grew from %ld KiB to %ld", SEED, resident, resident_kib());
    }
    for (int i = 0; i < WRITERS; i++) mtf_schema_free(writers[i]);
    mtf_arena_fini(&arena);
    mtf_buf_fini(&whole);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
    return refused;
}

/** No record is the beginning of another of its schema: each cut one is refused. */
static void truncated_records_are_all_refused_and_leak_nothing(void **state)
{
    (void)state;
    assert_int_equal(decode_spoiled(1, truncate_record), WRITERS * MESSAGES);
}

static void damaged_records_cost_neither_memory_nor_time(void **state)
{
    (void)state;
    assert_true(decode_spoiled(0, damage) > WRITERS * MESSAGES / 2);
}

/** A session record up to its steps array, then the bytes given. */
static mtf_status decode_tail(const char *tail, size_t size, size_t padding, mtf_err *err)
{
    mtf_decoder *decoder;
    mtf_session session = mtf_sample_session();
    mtf_buf bytes = {0};
    mtf_arena arena = {0};
    session.step_count = 0;
    assert_int_equal(mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, NULL), MTF_OK);
    assert_int_equal(mtf_session_encode(&session, &bytes, NULL), MTF_OK);
    bytes.size--;
    mtf_buf_put(&bytes, tail, size);
    if (padding) memset(mtf_buf_extend(&bytes, padding), 0, padding);
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    const mtf_status status =
        sessions.decode(sessions.self, mtf_buf_span(&bytes), &arena, &session, err);
    mtf_arena_fini(&arena);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
    return status;
}

static void lengths_are_checked_before_they_are_used(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        size_t size;
    } rows[] = {
        {"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},     /* 2^63 - 1 steps */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},     /* -2^63 steps */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03", 10},     /* a varint of 65 bits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* of 11 bytes */
        {"\x02\xfe\xff\xff\xff\x0f", 6},                      /* one step, its id of 2 GiB */
        {"\x02\x01", 2},                                      /* its id of -1 bytes */
        {"\x01\xfe\xff\xff\xff\x0f", 6},                      /* a block that says 2 GiB */
        {"\x01\x01", 2},                                      /* or -1 bytes */
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mtf_err err = {0};
        if (decode_tail(rows[i].tail, rows[i].size, 100, &err) != MTF_SKIP && rows[i].size)
            fail_msg("row %zu", i);
        assert_int_equal(decode_tail(rows[i].tail, rows[i].size, 0, &err), MTF_SKIP);
        assert_memory_equal(err.msg, "decode: ", 8);
    }
}

static void a_record_takes_bounded_memory(void **state)
{
    (void)state;
    mtf_err err = {0};
    /* 600,000 steps of 14 zero bytes, well formed; the structures would take over 64 MiB. */
    assert_int_equal(decode_tail("\x80\x9f\x49", 3, 600000 * 14 + 1, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "bytes of memory"));
    assert_int_equal(decode_tail("", 0, MTF_PLAN_BYTES_MAX, &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "the limit is"));
}

static void items_of_no_bytes_are_not_counted_out(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"W\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":"
        "\"array\",\"items\":"
        "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"n\",\"type\":\"null\"}]}}},"
        "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"user_id\",\"type\":\"string\"},"
        "{\"name\":\"event_time_ms\",\"type\":\"long\"},"
        "{\"name\":\"body\",\"type\":{\"type\":\"record\",\"name\":\"SessionEnd\",\"fields\":[]}}]"
        "}";
    mtf_decoder *decoder;
    uint64_t fingerprint;
    mtf_buf bytes = {0};
    mtf_arena arena = {0};
    mtf_event event;
    assert_int_equal(mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, NULL), MTF_OK);
    assert_int_equal(mtf_decoder_add(decoder, text, sizeof text - 1, &fingerprint, NULL), MTF_OK);
    mtf_avro_put_frame(&bytes, fingerprint);
    /* 200,000 blocks of 1,000,000 items: counting them out would take minutes. */
    for (int i = 0; i < 200000; i++) mtf_avro_put_long(&bytes, 1000000);
    mtf_buf_put(&bytes,
                "\x00\x02"
                "e\x02u\x02",
                6);
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    assert_int_equal(events.decode(events.self, mtf_buf_span(&bytes), &arena, &event, NULL),
                     MTF_OK);
    mtf_arena_fini(&arena);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_records_are_all_refused_and_leak_nothing),
        cmocka_unit_test(damaged_records_cost_neither_memory_nor_time),
        cmocka_unit_test(lengths_are_checked_before_they_are_used),
        cmocka_unit_test(a_record_takes_bounded_memory),
        cmocka_unit_test(items_of_no_bytes_are_not_counted_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
