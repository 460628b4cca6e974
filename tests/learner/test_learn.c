/** The stage takes every session once, whatever comes: restarts, repeats, bad records, gaps,
 * another topic under the same name. With a source in memory, real store and rounds. */
#include "learner/learn.h"

#include "data_fixture.h"

enum { RECORDS_MAX = 4000, PARTITIONS = 2 };

static const data_world world = {
    .seed = 9, .slope = {1, 0}, .noise = 0.1, .half_width = 0.15f, .version = 1};

/** A record's value is "<world's session number>", or text no decoder takes. */
typedef struct record {
    int32_t partition;
    int64_t offset;
    bool delivered;
    char value[24];
} record;

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    record records[RECORDS_MAX];
    int count;
    int partitions;
    int64_t first[PARTITIONS], end[PARTITIONS];
    bool transactions; /* offsets have gaps */
    /* Of the ranges asked for so many get an answer, then so many none, then all. */
    int answered[PARTITIONS], unanswered[PARTITIONS];
    bool awaited[PARTITIONS]; /* asked for without an answer, and not started since */
    /* the source */
    int assigned; /* partitions */
    int at;       /* records before it are delivered */
    int64_t started_at[PARTITIONS];
    int32_t first_taken; /* the first record's partition, -1: none yet */
    /* what came out */
    char letters[8][40]; /* "<reason> <value>" */
    int letter_count, letters_committed, begun;
    bool brokers_hang; /* stopped, the letters' commit gives up */
    mtf_policy *head;
    int reports;
    data_session decoded;
    bool accept_loss;
    atomic_bool stop;
    int64_t stop_at; /* step of training */
} fixture;

static bool is_silent(const fixture *f)
{
    for (int i = 0; i < f->partitions; i++)
        if (f->awaited[i]) return true;
    return false;
}

static mtf_status poll(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    fixture *f = self;
    (void)timeout_ms, (void)err;
    if (f->assigned < f->partitions) {
        input->kind = MTF_INPUT_ASSIGN;
        input->partition = f->assigned++;
        f->started_at[input->partition] = -1;
        return MTF_OK;
    }
    while (f->at < f->count && f->records[f->at].delivered) f->at++;
    if (f->at == f->count && is_silent(f)) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        return MTF_AGAIN;
    }
    if (f->at == f->count) return MTF_CLOSED;
    record *r = &f->records[f->at];
    assert_true(f->started_at[r->partition] >= 0);
    r->delivered = true;
    if (f->first_taken < 0) f->first_taken = r->partition;
    input->kind = MTF_INPUT_MESSAGE;
    input->partition = r->partition;
    input->message = (mtf_message){.topic = mtf_str_of("mtf.sessions"),
                                   .partition = r->partition,
                                   .offset = r->offset,
                                   .value = {(const uint8_t *)r->value, strlen(r->value)}};
    return MTF_OK;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    fixture *f = self;
    (void)err;
    f->started_at[partition] = offset;
    f->awaited[partition] = false;
    f->at = 0;
    for (int i = 0; i < f->count; i++)
        if (f->records[i].partition == partition)
            f->records[i].delivered = f->records[i].offset < offset;
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    fixture *f = self;
    if (f->answered[partition] > 0) {
        f->answered[partition]--;
    } else if (f->unanswered[partition] > 0) {
        f->unanswered[partition]--;
        f->awaited[partition] = true;
        return mtf_fail(err, MTF_AGAIN, "offsets of %d: Broker: Leader not available", partition);
    }
    *first = f->first[partition];
    *end = f->end[partition];
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
    (void)positions;
    assert_int_equal(count, 0);
    if (f->brokers_hang) {
        atomic_store(&f->stop, true);
        return mtf_fail(err, MTF_AGAIN, "stopped with 1 records not acknowledged");
    }
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

static void progress(void *arg, const char *what, int64_t done, int64_t total)
{
    fixture *f = arg;
    (void)what, (void)total;
    if (done == f->stop_at) atomic_store(&f->stop, true);
}

static void add_to(fixture *f, int32_t partition, const char *value)
{
    assert_true(f->count < RECORDS_MAX);
    record *r = &f->records[f->count++];
    r->partition = partition;
    r->offset = f->end[partition]++;
    r->delivered = false;
    snprintf(r->value, sizeof r->value, "%s", value);
}

static void add(fixture *f, const char *value)
{
    add_to(f, 0, value);
}

/** The topic deleted and made again, empty. */
static void make_anew(fixture *f)
{
    f->count = 0;
    f->end[0] = 0;
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
        .hooks = {.arg = f,
                  .head = head,
                  .gate = gate,
                  .publish = publish,
                  .progress = progress,
                  .report = report},
        .stop = &f->stop,
        .accept_loss = f->accept_loss,
        .continuous = !f->transactions,
    };
    mtf_learn *learn;
    mtf_err open_err = {0};
    mtf_assert_ok(mtf_learn_open(&config, &learn, &open_err), &open_err);
    f->assigned = f->at = 0;
    f->first_taken = -1;
    for (int i = 0; i < f->count; i++) f->records[i].delivered = true; /* until started */
    atomic_store(&f->stop, false);
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
    f->partitions = 1;
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
    assert_int_equal(f->started_at[0], 0);
    add_sessions(f, 150, 50);
    add_sessions(f, 190, 20); /* ten of them repeated */
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at[0], 149); /* the last record again, to recognise the topic */
    assert_int_equal(totals.sessions, 210);
    assert_int_equal(totals.duplicates, 10);
    assert_int_equal(totals.records, 220);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.records, 220);
    assert_int_equal(totals.records, totals.sessions + totals.duplicates + totals.bad);
}

static void a_partition_without_an_answer_keeps_no_other_waiting(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    f->partitions = 2;
    for (int i = 0; i < 20; i++) {
        char value[24];
        snprintf(value, sizeof value, "%d", i);
        add_to(f, i % 2, value);
    }
    f->unanswered[0] = 3;
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->unanswered[0], 0);
    assert_int_equal(totals.sessions, 20);
    assert_int_equal(f->first_taken, 1); /* the other's first record came first */
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

static void a_stop_while_letters_are_under_way_is_no_failure(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add(f, "1");
    add(f, "garbage");
    f->brokers_hang = true;
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->letters_committed, 0);
    assert_int_equal(totals.records, 0);
    f->brokers_hang = false;
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.records, 2);
    assert_int_equal(totals.bad, 1);
    assert_int_equal(f->letters_committed, f->letter_count);
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

/** Each start has what is left of the allowance, not a fresh one, also over commits between. */
static void bad_records_in_a_row_are_counted_over_restarts(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    data_set(&f->settings, "errors.max_consecutive", "4");
    add(f, "1");
    add(f, "x");
    mtf_assert_ok(run(f, NULL, &err), &err);
    add(f, "x");
    mtf_assert_ok(run(f, NULL, &err), &err);
    for (int i = 0; i < 3; i++) add(f, "x");
    add(f, "2");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(f, &totals, &err), MTF_CORRUPT);
        assert_non_null(
            strstr(err.msg, "4 bad sessions in a row, the last at partition 0 offset 4:"));
        assert_int_equal(totals.records, 4);
        assert_int_equal(totals.bad, 3);
        assert_int_equal(f->letter_count, 3); /* nothing doubled, nothing drained */
        assert_int_equal(f->letters_committed, 3);
    }
    data_set(&f->settings, "errors.max_consecutive", "100");
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 2);
    assert_int_equal(totals.bad, 5);
    assert_int_equal(f->letter_count, 5);
    data_set(&f->settings, "errors.max_consecutive", "2"); /* a good one ended the row */
    add(f, "x");
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.bad, 6);
}

static void bad_records_are_counted_by_partition(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    f->partitions = 2;
    data_set(&f->settings, "errors.max_consecutive", "3");
    for (int i = 0; i < 4; i++) add_to(f, i % 2, "x");
    mtf_assert_ok(run(f, NULL, &err), &err); /* two in a row of each */
    add_to(f, 0, "1");                       /* ends the row of partition 0 alone */
    add_to(f, 1, "x");
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "partition 1 offset 2"));
}

static void a_loss_before_the_bad_record_too_many_is_counted_once(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    data_set(&f->settings, "errors.max_consecutive", "1");
    add(f, "1");
    f->end[0] += 5;
    add(f, "x");
    f->accept_loss = true;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(f, &totals, &err), MTF_CORRUPT);
        assert_non_null(strstr(err.msg, "offset 6"));
        assert_int_equal(totals.lost, 5);
    }
}

static void a_gap_stops_unless_loss_is_accepted(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add_sessions(f, 0, 10);
    f->end[0] += 5;
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
    f->first[0] = 10; /* the last record is gone, but nothing after it */
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 20);
    add_sessions(f, 20, 10);
    f->first[0] = 25;
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
    make_anew(f);
    add_sessions(f, 500, 20);
    assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
    assert_non_null(strstr(err.msg, "another record"));
    make_anew(f);
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

/** Oldest and number of rows stored. */
static int64_t rows_stored(fixture *f, int64_t *oldest_ms)
{
    mtf_err err = {0};
    mtf_store *store = data_store(&f->settings);
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    mtf_span value;
    int64_t rows = 0;
    *oldest_ms = INT64_MAX;
    while (mtf_store_next(cursor, &value, &err) == MTF_OK) {
        mtf_row_header header;
        mtf_assert_ok(mtf_row_peek(value, &header, &err), &err);
        if (header.time_ms < *oldest_ms) *oldest_ms = header.time_ms;
        rows++;
    }
    mtf_store_cursor_close(cursor);
    mtf_store_close(store);
    return rows;
}

static void old_days_are_deleted(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    data_set(&f->settings, "store.retention_days", "1");
    add_sessions(f, 0, 10);    /* day 100 */
    add_sessions(f, 1500, 10); /* a session a minute: day 101 */
    mtf_assert_ok(run(f, NULL, &err), &err);
    int64_t oldest;
    assert_true(rows_stored(f, &oldest) > 0);
    assert_true(oldest >= 101 * (int64_t)MTF_DAY_MS);
}

static void markers_of_transactions_are_no_lost_records(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    f->transactions = true;
    add_sessions(f, 0, 10);
    f->end[0]++; /* offset 10 */
    mtf_assert_ok(run(f, &totals, &err), &err);
    add_sessions(f, 10, 10);
    f->end[0] += 3; /* 21, and an aborted one */
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at[0], 9);
    assert_int_equal(totals.sessions, 20);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at[0], 20); /* the last record, before the markers */
    f->first[0] = 21;                       /* retention took it, and nothing that was not read */
    add_sessions(f, 20, 5);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(totals.sessions, 25);
    assert_int_equal(totals.records, 25);
    assert_int_equal(totals.lost, 0);
}

static void a_topic_made_anew_is_read_from_its_start(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    add_sessions(f, 0, 20);
    mtf_assert_ok(run(f, NULL, &err), &err);
    for (uint64_t longer = 0; longer < 2; longer++) { /* shorter than what was read, then longer */
        make_anew(f);
        add_sessions(f, 10, 5); /* restored ones */
        add_sessions(f, 100 + 100 * longer, 10 + 40 * longer);
        f->accept_loss = false;
        assert_int_equal(run(f, NULL, &err), MTF_CORRUPT);
        assert_non_null(strstr(err.msg, "--accept-loss"));
        f->accept_loss = true;
        f->answered[0] = (int)longer; /* and where it begins is not told at once */
        f->unanswered[0] = 2;
        mtf_assert_ok(run(f, &totals, &err), &err);
        assert_int_equal(totals.sessions, 20 + 10 + 50 * longer);
        assert_int_equal(totals.duplicates, 5 + 5 * longer);
        f->accept_loss = false;
        mtf_assert_ok(run(f, NULL, &err), &err); /* it is the topic now */
    }
}

static void a_new_partition_is_read_from_its_start(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_store_totals totals;
    char value[24];
    add_sessions(f, 0, 20);
    mtf_assert_ok(run(f, NULL, &err), &err);
    f->partitions = 2;
    for (int i = 100; i < 110; i++) {
        snprintf(value, sizeof value, "%d", i);
        add_to(f, 1, value);
    }
    add_sessions(f, 20, 5);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at[0], 19);
    assert_int_equal(f->started_at[1], 0);
    assert_int_equal(totals.sessions, 35);
    mtf_assert_ok(run(f, &totals, &err), &err);
    assert_int_equal(f->started_at[1], 9);
    assert_int_equal(totals.records, 35);
}

static void retention_waits_for_the_round_under_way(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    int64_t oldest;
    uint8_t undisturbed[32];
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        tear_down(state);
        set_up(state);
        f = *state;
        data_set(&f->settings, "store.retention_days", "1");
        data_set(&f->settings, "round.min_sessions", "300");
        add_sessions(f, 0, 300); /* of day 100 */
        f->stop_at = disturbed ? 50 : -1;
        mtf_assert_ok(run(f, NULL, &err), &err);
        assert_int_equal(f->reports, !disturbed);
        if (disturbed) {
            add_sessions(f, 4500, 200); /* of day 103 */
            mtf_assert_ok(run(f, NULL, &err), &err);
            assert_int_equal(f->reports, 1);
            assert_memory_equal(f->head->sha256, undisturbed, 32);
            assert_true(rows_stored(f, &oldest) > 0);
            assert_true(oldest >= 103 * (int64_t)MTF_DAY_MS);
        }
        memcpy(undisturbed, f->head->sha256, 32);
    }
}

static void a_row_from_a_broken_clock_expires_no_other(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    int64_t oldest;
    data_set(&f->settings, "store.retention_days", "1");
    add_sessions(f, 0, 10);
    add(f, "3000000000"); /* in some 5,700 years */
    mtf_assert_ok(run(f, NULL, &err), &err);
    mtf_assert_ok(run(f, NULL, &err), &err);
    assert_true(rows_stored(f, &oldest) > 10);
    assert_true(oldest < 101 * (int64_t)MTF_DAY_MS);
}

int main(void)
{
    // clang-format off
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_session_is_taken_once_across_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_partition_without_an_answer_keeps_no_other_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_records_are_set_aside_and_the_rest_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_while_letters_are_under_way_is_no_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_bad_records_in_a_row_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_records_in_a_row_are_counted_over_restarts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_records_are_counted_by_partition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loss_before_the_bad_record_too_many_is_counted_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_gap_stops_unless_loss_is_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_lost_to_retention_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_topic_under_the_name_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rounds_run_between_records_and_end_the_stage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(markers_of_transactions_are_no_lost_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_topic_made_anew_is_read_from_its_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_partition_is_read_from_its_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_days_are_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(retention_waits_for_the_round_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_from_a_broken_clock_expires_no_other, set_up, tear_down),
    };
    // clang-format on
    return cmocka_run_group_tests(tests, NULL, NULL);
}
