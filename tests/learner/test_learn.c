/** The stage takes every session once, whatever comes: restarts, repeats, bad records, gaps,
 * another topic under the same name. With a source in memory of one partition, real store and
 * rounds. */
#include "learner/learn.h"

#include "data_fixture.h"

enum { RECORDS_MAX = 2000 };

static const data_world world = {
    .seed = 9, .slope = {1, 0}, .noise = 0.1, .half_width = 0.15f, .version = 1};

/** A record's value is "<world's session number>", or text no decoder takes. */
typedef struct record {
    int64_t offset;
    char value[24];
} record;

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    record records[RECORDS_MAX];
    int count;
    int64_t first, end; /* of the topic */
    /* the source */
    bool assigned;
    int at; /* next record */
    int64_t started_at;
    /* what came out */
    char letters[8][40]; /* "<reason> <value>" */
    int letter_count, letters_committed, begun;
    mtf_policy *head;
    int reports;
    data_session decoded;
    bool accept_loss;
} fixture;

static mtf_status poll(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    fixture *f = self;
    (void)timeout_ms, (void)err;
    if (!f->assigned) {
        f->assigned = true;
        f->started_at = -1;
        input->kind = MTF_INPUT_ASSIGN;
        input->partition = 0;
        return MTF_OK;
    }
    assert_true(f->started_at >= 0);
    if (f->at == f->count) return MTF_CLOSED;
    const record *r = &f->records[f->at++];
    input->kind = MTF_INPUT_MESSAGE;
    input->partition = 0;
    input->message = (mtf_message){.topic = mtf_str_of("mtf.sessions"),
                                   .offset = r->offset,
                                   .value = {(const uint8_t *)r->value, strlen(r->value)}};
    return MTF_OK;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    fixture *f = self;
    (void)partition, (void)err;
    f->started_at = offset;
    f->at = 0;
    while (f->at < f->count && f->records[f->at].offset < offset) f->at++;
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    const fixture *f = self;
    (void)partition, (void)err;
    *first = f->first;
    *end = f->end;
    return MTF_OK;
}

static mtf_status decode(void *self, mtf_span value, mtf_arena *arena, mtf_session *session,
                         mtf_err *err)
{
    fixture *f = self;
    (void)arena;
    char text[24] = {0};
    memcpy(text, value.data, value.size);
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    if (*end) return mtf_fail(err, MTF_SKIP, "decode: no session");
    data_session_make(&world, number, &f->decoded);
    if (number == 1000) f->decoded.steps[0].request.state.count = 3;
    *session = f->decoded.session;
    return MTF_OK;
}

static mtf_status sink_begin(void *self, mtf_err *err)
{
    fixture *f = self;
    (void)err;
    f->begun++;
    return MTF_OK;
}

static mtf_status sink_commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    fixture *f = self;
    (void)positions, (void)err;
    assert_int_equal(count, 0);
    f->letters_committed = f->letter_count;
    return MTF_OK;
}

static mtf_span header_of(const mtf_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (mtf_str_is(headers[i].name, name)) return headers[i].value;
    fail_msg("no header %s", name);
    return (mtf_span){0};
}

static mtf_status sink_put(void *self, const char *topic, mtf_span key, mtf_span value,
                           const mtf_header *headers, size_t count, int64_t timestamp_ms,
                           mtf_err *err)
{
    fixture *f = self;
    (void)key, (void)timestamp_ms, (void)err;
    assert_string_equal(topic, "mtf.dead-letter");
    const mtf_span stage = header_of(headers, count, "__mtf.errors.stage");
    const mtf_span reason = header_of(headers, count, "__mtf.errors.reason");
    assert_int_equal(stage.size, 5);
    assert_memory_equal(stage.data, "learn", 5);
    assert_true(f->letter_count < 8);
    snprintf(f->letters[f->letter_count++], sizeof f->letters[0], "%.*s %.*s", (int)reason.size,
             (const char *)reason.data, (int)value.size, (const char *)value.data);
    return MTF_OK;
}

static mtf_status head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    fixture *f = arg;
    (void)err;
    *newest_version = 0;
    *champion = f->head ? mtf_policy_clone(f->head) : NULL;
    return MTF_OK;
}

static mtf_status gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err)
{
    (void)arg, (void)evidence, (void)candidate, (void)err;
    *verdict = (mtf_verdict){MTF_VERDICT_PROMOTE, "test"};
    return MTF_OK;
}

static mtf_status publish(void *arg, mtf_policy *policy, mtf_err *err)
{
    fixture *f = arg;
    (void)err;
    if (strcmp(policy->info.verdict, "promote") != 0) return MTF_OK;
    mtf_policy_free(f->head);
    f->head = mtf_policy_clone(policy);
    return MTF_OK;
}

static void report(void *arg, const mtf_round_report *of)
{
    fixture *f = arg;
    f->reports++;
    assert_int_equal(of->round, f->reports);
}

static void add(fixture *f, const char *value)
{
    assert_true(f->count < RECORDS_MAX);
    record *r = &f->records[f->count++];
    r->offset = f->end++;
    snprintf(r->value, sizeof r->value, "%s", value);
}

static void add_sessions(fixture *f, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        char value[24];
        snprintf(value, sizeof value, "%" PRIu64, i);
        add(f, value);
    }
}

/** Runs the stage over what is there; returns run's status with words in err. Totals and positions
 *  of the store afterwards out. */
static mtf_status run(fixture *f, mtf_store_totals *totals, mtf_err *err)
{
    mtf_source source = {.self = f, .poll = poll, .start = start, .range = range};
    mtf_sink sink = {.self = f,
                     .begin = sink_begin,
                     .put = sink_put,
                     .commit = sink_commit,
                     .value_bytes_max = 1000000};
    const mtf_session_decoder decoder = {f, decode};
    const mtf_learn_config config = {
        .settings = &f->settings,
        .source = &source,
        .decoder = &decoder,
        .dead_letters = &sink,
        .cluster_id = "",
        .hooks = {.arg = f, .head = head, .gate = gate, .publish = publish, .report = report},
        .accept_loss = f->accept_loss,
        .continuous = true,
    };
    mtf_learn *learn;
    mtf_err open_err = {0};
    mtf_assert_ok(mtf_learn_open(&config, &learn, &open_err), &open_err);
    f->assigned = false;
    const mtf_status status = mtf_learn_run(learn, err);
    mtf_learn_close(learn);
    if (totals) {
        mtf_store *store = data_store(&f->settings);
        *totals = *mtf_store_totals_of(store);
        mtf_store_close(store);
    }
    return status;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    data_set(&f->settings, "round.min_sessions", "1000");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mtf_policy_free(f->head);
    mtf_settings_fini(&f->settings);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

static void every_session_is_taken_once_across_restarts(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add_sessions(f, 0, 150);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 150);
    assert_int_equal(f->started_at, 0);
    add_sessions(f, 150, 50);
    add_sessions(f, 190, 20); /* ten of them repeated */
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at, 149); /* the last record again, to recognise the topic */
    assert_int_equal(totals.sessions, 210);
    assert_int_equal(totals.duplicates, 10);
    assert_int_equal(totals.records, 220);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.records, 220);
    assert_int_equal(totals.records, totals.sessions + totals.duplicates + totals.bad);
}

static void bad_records_are_set_aside_and_the_rest_goes_on(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add(f, "1");
    add(f, "garbage");
    add(f, "1000"); /* a state of three floats */
    add(f, "2");
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 2);
    assert_int_equal(totals.bad, 2);
    assert_int_equal(f->letter_count, 2);
    assert_int_equal(f->letters_committed, 2);
    assert_string_equal(f->letters[0], "decode garbage");
    assert_string_equal(f->letters[1], "schema 1000");
}

static void too_many_bad_records_in_a_row_stop(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    data_set(&f->settings, "errors.max_consecutive", "3");
    for (int i = 0; i < 5; i++) add(f, i == 2 ? "5" : "x");
    mtf_assert_ok(run(f, NULL, &err), &err); /* never three in a row */
    for (int i = 0; i < 3; i++) add(f, "y");
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "errors.max_consecutive"));
}

static void a_gap_stops_unless_loss_is_accepted(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add_sessions(f, 0, 10);
    f->end += 5;
    add_sessions(f, 10, 10);
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "--accept-loss"));
    f->accept_loss = true;
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.lost, 5);
    assert_int_equal(totals.sessions, 20);
}

static void records_lost_to_retention_stop(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add_sessions(f, 0, 10);
    mtf_assert_ok(run(f, NULL, &err), &err);
    add_sessions(f, 10, 10);
    f->first = 10; /* the last record is gone, but nothing after it */
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 20);
    add_sessions(f, 20, 10);
    f->first = 25;
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "retention"));
    f->accept_loss = true;
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 25);
    assert_int_equal(totals.lost, 5);
}

static void another_topic_under_the_name_stops(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    add_sessions(f, 0, 10);
    mtf_assert_ok(run(f, NULL, &err), &err);
    f->count = 0, f->end = 0;
    add_sessions(f, 500, 20);
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "another record"));
    f->count = 0, f->end = 0;
    add_sessions(f, 500, 5);
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "made anew"));
}

static void rounds_run_between_records_and_end_the_stage(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    data_set(&f->settings, "round.min_sessions", "300");
    data_set(&f->settings, "round.max_rounds", "1");
    add_sessions(f, 0, 600);
    mtf_assert_ok(run(f, NULL, &err), &err);
    assert_int_equal(f->reports, 1);
    assert_true(f->at < f->count); /* left after the round, with records to come */
    assert_int_equal(f->head->info.version, 2);
}

static void old_days_are_deleted(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    data_set(&f->settings, "store.retention_days", "1");
    add_sessions(f, 0, 10);    /* day 100 */
    add_sessions(f, 1500, 10); /* a session a minute: day 101 */
    mtf_assert_ok(run(f, NULL, &err), &err);
    mtf_store *store = data_store(&f->settings);
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    mtf_span value;
    int64_t rows = 0, oldest = INT64_MAX;
    while (mtf_store_next(cursor, &value, &err) == MTF_OK) {
        mtf_row_header header;
        mtf_assert_ok(mtf_row_peek(value, &header, &err), &err);
        if (header.time_ms < oldest) oldest = header.time_ms;
        rows++;
    }
    assert_true(rows > 0);
    assert_true(oldest >= 101 * (int64_t)MTF_DAY_MS);
    mtf_store_cursor_close(cursor);
    mtf_store_close(store);
}

int main(void)
{
    // clang-format off
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_session_is_taken_once_across_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_records_are_set_aside_and_the_rest_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_bad_records_in_a_row_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gap_stops_unless_loss_is_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_lost_to_retention_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_topic_under_the_name_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rounds_run_between_records_and_end_the_stage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_days_are_deleted, set_up, tear_down),
    };
    // clang-format on
    return cmocka_run_group_tests(tests, NULL, NULL);
}
