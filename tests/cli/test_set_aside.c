/** Goal: `mtf dlq list` and `mtf late list` tell what was set aside, where it came from and why,
 * and never what is in it unless asked. Method: records put on mock brokers as the stages put them.
 */
#include "cli/brokers.h"

#include "core/aside.h"

#define DLQ "mtf.dead-letter"

static void put_aside(brokers *b, const char *topic, int64_t offset, const char *reason,
                      const char *value, int64_t timestamp_ms)
{
    mtf_err err = {0};
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)offset);
    const char *const fields[][2] = {{"topic", "mtf.exploration"}, {"partition", "0"},
                                     {"offset", number},           {"timestamp", "1772368496789"},
                                     {"stage", "decode"},          {"reason", reason},
                                     {"message", "a \"word\"\x1b"}};
    mtf_header headers[7];
    char names[7][64];
    for (int i = 0; i < 7; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", MTF_ERRORS_PREFIX, fields[i][0]);
        headers[i] = (mtf_header){mtf_str_of(names[i]),
                                  {(const uint8_t *)fields[i][1], strlen(fields[i][1])}};
    }
    mtf_assert_ok(b->sink.begin(b->sink.self, &err), &err);
    mtf_assert_ok(b->sink.put(b->sink.self, topic, (mtf_span){(const uint8_t *)"user-7", 6},
                              (mtf_span){(const uint8_t *)value, strlen(value)}, headers, 7,
                              timestamp_ms, &err),
                  &err);
    mtf_assert_ok(b->sink.commit(b->sink.self, NULL, 0, &err), &err);
}

/** Runs it; fails where the text stands in its output. */
static void check_without(const char *folder, const char *const *arguments, const char *text)
{
    program p;
    program_start_to(&p, folder, NULL, arguments);
    program_end(&p);
    assert_int_equal(p.code, 0);
    assert_null(strstr(program_text(&p.out), text));
    program_free(&p);
}

static void a_listing_tells_origin_and_reason_but_no_payload(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("dlq", "list", "-c", b.config), 0, DLQ ": 0 records");
    put_aside(&b, DLQ, 17, "decode", "secret", 1772368500000);
    put_aside(&b, DLQ, 23, "schema", "secret", 1772368600000);
    put_aside(&b, DLQ, 29, "decode", "secret", 1772368700000);
    brokers_put(&b, DLQ, "user-7", (mtf_span){(const uint8_t *)"secret", 6});
    program_check(b.folder, ARGS("dlq", "list", "-c", b.config), 0, "2026-03-01T12:35:00.000Z",
                  "mtf.exploration/0@17", "mtf.exploration/0@23", "a \"word\"?", "foreign",
                  "4 records, 0 replayed before, 0 cut, 1 foreign", "2  decode      decode",
                  "1  decode      schema");
    check_without(b.folder, ARGS("dlq", "list", "-c", b.config), "736563726574"); /* "secret" */
    check_without(b.folder, ARGS("dlq", "list", "--json", "-c", b.config), "736563726574");
    program_check(b.folder, ARGS("dlq", "list", "--payload", "-c", b.config), 0,
                  "value 736563726574", "key   757365722d37");
    program_check(b.folder, ARGS("dlq", "list", "--json", "--payload", "-c", b.config), 0,
                  "\"origin\":{\"topic\":\"mtf.exploration\",\"partition\":0,\"offset\":17,"
                  "\"time_ms\":1772368496789}",
                  "\"message\":\"a \\\"word\\\"\\u001b\"", "\"value\":\"736563726574\"",
                  "{\"summary\":{\"records\":4,\"listed\":4,\"replayed\":0,\"cut\":0,\"foreign\":1,"
                  "\"reasons\":{\"decode\":2,\"schema\":1}}}");
    brokers_close(&b);
}

static void a_listing_is_narrowed_by_time_reason_and_number(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    for (int i = 0; i < 10; i++)
        put_aside(&b, "mtf.late", i, i % 2 ? "late" : "no_request", "v", 1772368500000 + i * 1000);
    program_check(b.folder, ARGS("late", "list", "--reason", "late", "-c", b.config), 0,
                  "mtf.late: 5 records", "mtf.exploration/0@9");
    check_without(b.folder, ARGS("late", "list", "--reason", "late", "-c", b.config), "no_request");
    program_check(b.folder,
                  ARGS("late", "list", "--from", "2026-03-01T12:35:03Z", "--to", "1772368507000",
                       "-c", b.config),
                  0, "mtf.late: 4 records", "mtf.exploration/0@3", "mtf.exploration/0@6");
    program_check(b.folder, ARGS("late", "list", "--limit", "2", "-c", b.config), 0,
                  "mtf.late: 10 records, 2 listed", "mtf.exploration/0@1");
    check_without(b.folder, ARGS("late", "list", "--limit", "2", "-c", b.config),
                  "mtf.exploration/0@2");
    brokers_close(&b);
}

static void wrong_words_are_refused_before_a_broker_is_asked(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH];
    mtf_test_folder(folder);
    program_check(folder, ARGS("dlq"), 64, "say list or replay");
    program_check(folder, ARGS("late", "lst"), 64, "say list or replay");
    program_check(folder, ARGS("dlq", "list", "--from", "yesterday"), 64, "--from: 'yesterday'");
    program_check(folder, ARGS("dlq", "list", "--from", "2026-03-02", "--to", "2026-03-01"), 64,
                  "is not before");
    program_check(folder, ARGS("dlq", "list", "--execute"), 64, "of replay");
    program_check(folder, ARGS("dlq", "replay", "--execute", "--dry-run"), 64, "not both");
    program_check(folder, ARGS("late", "replay", "--any-topic"), 64, "no option '--any-topic'");
    mtf_test_folder_remove(folder);
}

static void a_missing_topic_is_named_with_the_remedy(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, "mtf.late", "");
    program_check(b.folder, ARGS("late", "list", "-c", b.config), 64, "mtf.late");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_tells_origin_and_reason_but_no_payload),
        cmocka_unit_test(a_listing_is_narrowed_by_time_reason_and_number),
        cmocka_unit_test(wrong_words_are_refused_before_a_broker_is_asked),
        cmocka_unit_test(a_missing_topic_is_named_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
