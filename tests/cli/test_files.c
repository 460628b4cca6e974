/** Goal: files of events or of sessions in, sessions out, with exact counts and the same bytes
 * every time; broken, missing and unwritable files end with words and the right code. Method:
 * `simulate --out` makes events whose counts it reports, `replay` reads them; then damaged copies.
 * No broker. */
#include "cli/program.h"

#include <jansson.h>
#include <sys/stat.h>

static char folder[MTF_TEST_PATH], events[2 * MTF_TEST_PATH];

static int make_folder(void **state)
{
    (void)state;
    mtf_test_folder(folder);
    snprintf(events, sizeof events, "%s/events.avro", folder);
    program_check(folder,
                  ARGS("simulate", "--sessions", "800", "--seed", "3", "--start-ms",
                       "1767225600000", "--out", events),
                  0, "\"sessions\":800");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

/** An integer of the JSON line that `simulate` prints a round. */
static long count_of(const program *p, const char *name)
{
    json_error_t error;
    json_t *line = json_loads(program_text(&p->out), 0, &error);
    if (!line) fail_msg("%s in: %s", error.text, program_text(&p->out));
    const json_t *value = json_object_get(line, name);
    assert_true(json_is_integer(value));
    const long count = (long)json_integer_value(value);
    json_decref(line);
    return count;
}

/** Reads `sessions` JSON lines; the number of steps in them. */
static long count_steps(const char *lines, long sessions)
{
    long steps = 0;
    for (; *lines; sessions--) {
        const size_t size = strcspn(lines, "\n");
        json_error_t error;
        json_t *session = json_loadb(lines, size, 0, &error);
        if (!session) fail_msg("%s in: %.*s", error.text, (int)size, lines);
        assert_int_equal(json_string_length(json_object_get(session, "session_id")), 32);
        steps += (long)json_array_size(json_object_get(session, "steps"));
        json_decref(session);
        lines += size + (lines[size] == '\n');
    }
    assert_int_equal(sessions, 0);
    return steps;
}

/** simulate with these further options, replay, and every count agrees. */
static void round_trip(const char *const *simulate_arguments, const char *path, int partitions)
{
    program simulated, replayed;
    char words[200];
    program_start_to(&simulated, folder, NULL, simulate_arguments);
    program_end(&simulated);
    program_said(&simulated, 0, "\"round\":1");
    program_start(&replayed, folder, "replay", path, "--out", "-");
    program_end(&replayed);
    /* A session cut at its cap is two; ends after such a cut find no session, nor do the clock
     * events, one a partition, that move time on past the last session. */
    const long sessions = count_of(&simulated, "sessions") + count_of(&simulated, "cap_cuts");
    snprintf(words, sizeof words, "replay: %ld events, %ld session records, %ld set aside",
             count_of(&simulated, "events") + partitions, sessions,
             count_of(&simulated, "late_ends") + partitions);
    program_said(&replayed, 0, words);
    assert_int_equal(count_steps(program_text(&replayed.out), sessions),
                     count_of(&simulated, "requests"));
    program_free(&simulated);
    program_free(&replayed);
}

static void every_simulated_session_and_request_comes_out_of_replay(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/trip.avro", folder);
    round_trip(ARGS("simulate", "--sessions", "1500", "--seed", "9", "--out", path), path, 4);
    round_trip(ARGS("simulate", "--sessions", "700", "--seed", "4", "--out", path, "--partitions",
                    "1", "--separate-feedback"),
               path, 1);
    round_trip(ARGS("simulate", "--sessions", "700", "--seed", "5", "--out", path, "--explore",
                    "gaussian", "--session-ids"),
               path, 4);
}

static void the_same_seed_gives_the_same_bytes_of_sessions(void **state)
{
    (void)state;
    static const char *const seeds[] = {"7", "7", "8"};
    mtf_buf sessions[3] = {{0}};
    char path[2 * MTF_TEST_PATH], out[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/seed.avro", folder);
    snprintf(out, sizeof out, "%s/seed.json", folder);
    for (int i = 0; i < 3; i++) {
        program_check(folder,
                      ARGS("simulate", "--sessions", "300", "--seed", seeds[i], "--out", path,
                           "--start-ms", "1767225600000"),
                      0, "\"sessions\":300");
        program_check(folder, ARGS("replay", path, "--out", out), 0, "replay: ");
        mtf_assert_ok(mtf_file_read(out, 1 << 28, &sessions[i], &err), &err);
    }
    assert_true(sessions[0].size > 100000);
    assert_int_equal(sessions[0].size, sessions[1].size);
    assert_memory_equal(sessions[0].data, sessions[1].data, sessions[0].size);
    assert_true(sessions[0].size != sessions[2].size ||
                memcmp(sessions[0].data, sessions[2].data, sessions[0].size) != 0);
    for (int i = 0; i < 3; i++) mtf_buf_fini(&sessions[i]);
}

/** A copy of the events with `size` bytes (0: all), the byte `flip` from its end inverted (0:
 * none). */
static void damaged_copy(char path[2 * MTF_TEST_PATH], size_t size, size_t flip)
{
    mtf_err err = {0};
    mtf_buf bytes = {0};
    snprintf(path, 2 * MTF_TEST_PATH, "%s/damaged.avro", folder);
    mtf_assert_ok(mtf_file_read(events, 1 << 28, &bytes, &err), &err);
    assert_true(size <= bytes.size);
    if (size) bytes.size = size;
    if (flip) bytes.data[bytes.size - flip] = (uint8_t)~bytes.data[bytes.size - flip];
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&bytes), &err), &err);
    mtf_buf_fini(&bytes);
}

static void damaged_files_are_data_errors_that_name_the_file(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH];
    mtf_test_file(path, folder, "empty.avro", "");
    program_check(folder, ARGS("replay", path), 65, path, "no Avro container file");
    mtf_test_file(path, folder, "garbage.avro", "Objekt\n\x01 this is none\n");
    program_check(folder, ARGS("replay", path), 65, path, "no Avro container file");
    damaged_copy(path, 100, 0);
    program_check(folder, ARGS("replay", path), 65, path);
    damaged_copy(path, 60000, 0);
    program_check(folder, ARGS("replay", path), 65, path, "ends inside a block");
    damaged_copy(path, 0, 5); /* in the marker after the last block; a block has no checksum */
    program_check(folder, ARGS("replay", path), 65, path);
    /* A good file before the bad one does not help. */
    program_check(folder, ARGS("replay", events, path), 65, path);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    program_check(folder, ARGS("replay", "no-such.avro"), 64, "no-such.avro", "No such file");
    program_check(folder, ARGS("replay", folder), 65, folder, "no Avro container file");
}

static void a_full_or_missing_disk_is_74(void **state)
{
    (void)state;
    program_check(folder, ARGS("replay", events, "--out", "/dev/full"), 74, "/dev/full",
                  "No space left");
    program_check(folder, ARGS("replay", events, "--out", "/no/such/folder/x"), 74,
                  "/no/such/folder/x");
    program_check(folder, ARGS("simulate", "--sessions", "800", "--out", "/dev/full"), 74,
                  "/dev/full", "No space left");
    program_check(folder, ARGS("simulate", "--sessions", "10", "--out", "/no/such/folder/x"), 74,
                  "/no/such/folder/x");
    program p;
    program_start_to(&p, folder, "/dev/full", ARGS("replay", events, "--out", "-"));
    program_end(&p);
    program_said(&p, 74, "No space left");
    program_free(&p);
}

static void replay_with_other_dimensions_sets_every_request_aside(void **state)
{
    (void)state;
    program_check(
        folder,
        ARGS("replay", events, "--set", "policy.state_dim=63", "--set", "errors.max_consecutive=0"),
        0, ", 0 session records, ", "dead_invalid=");
    program_check(
        folder,
        ARGS("replay", events, "--set", "policy.state_dim=63", "--set", "errors.max_consecutive=3"),
        65, "3 bad records in a row", "state", "errors.max_consecutive");
}

/** Of so many sessions that writing them takes seconds. */
static void a_replay_that_is_stopped_is_not_done(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH], out[2 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/long.avro", folder);
    snprintf(out, sizeof out, "%s/long.json", folder);
    program_check(folder, ARGS("simulate", "--sessions", "12000", "--out", path), 0, "12000");
    program p;
    program_start(&p, folder, "replay", path, "--out", out);
    program_until(&p, "msg=sessionize.start");
    kill(p.pid, SIGTERM);
    program_end(&p);
    program_said(&p, 1, "replay: stopped before the end of the events");
    program_free(&p);
}

static long count_text(const program *p, const char *text)
{
    long count = 0;
    for (const char *at = program_text(&p->out); (at = strstr(at, text)); at++) count++;
    return count;
}

/** Every request is in a session, as without a key. (Not the same sessions: where a user's caps lie
 *  depends on the hash of the id.) */
static void with_a_user_key_no_session_names_its_user(void **state)
{
    (void)state;
    static const char step[] = "\"policy_version\":", user[] = "\"user_id\":\"";
    char key[2 * MTF_TEST_PATH], pair[3 * MTF_TEST_PATH];
    program plain, hidden;
    mtf_test_file(key, folder, "user.key", "00112233445566778899aabbccddeeff\n");
    assert_int_equal(chmod(key, 0600), 0);
    snprintf(pair, sizeof pair, "privacy.user_key_file=%s", key);
    program_start(&plain, folder, "replay", events, "--out", "-");
    program_end(&plain);
    program_said(&plain, 0, "\"user_id\":\"u");
    program_start(&hidden, folder, "replay", events, "--out", "-", "--set", pair);
    program_end(&hidden);
    program_said(&hidden, 0, user);
    assert_true(count_text(&plain, step) > 800);
    assert_int_equal(count_text(&hidden, step), count_text(&plain, step));
    for (const char *at = program_text(&hidden.out); (at = strstr(at, user));) {
        at += strlen(user);
        assert_int_equal(strcspn(at, "\""), 32);
        assert_int_equal(strspn(at, "0123456789abcdef"), 32);
    }
    program_free(&plain);
    program_free(&hidden);
}

static void a_store_that_is_not_there_is_named(void **state)
{
    (void)state;
    char pair[3 * MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    program_check(folder, ARGS("store", "stats", "--set", "store.path=no-such-store"), 64,
                  "no-such-store");
    mtf_test_file(path, folder, "file", "no store");
    snprintf(pair, sizeof pair, "store.path=%s", path);
    program_check(folder, ARGS("store", "stats", "--set", pair), 64, path);
}

#define GOLDEN MTF_SOURCE_DIR "/tests/ingest/golden/sessions-deflate.avro"

static void files_of_sessions_are_read_as_they_are(void **state)
{
    (void)state;
    const char *dims = "policy.actions=x.pow=0..2 y.pow=0..2 z.pow=0..2";
    program p;
    program_start(&p, folder, "replay", GOLDEN, "--out", "-", "--set", "policy.state_dim=4",
                  "--set", "policy.actions=x.pow=0..2 y.pow=0..2");
    program_end(&p);
    program_said(&p, 0, "replay: 3 session records, 0 that the settings do not fit");
    assert_int_equal(count_steps(program_text(&p.out), 3), 6);
    program_free(&p);
    program_check(folder, ARGS("replay", GOLDEN, "--set", "policy.state_dim=4", "--set", dims), 0,
                  "replay: 0 session records, 3 that the settings do not fit");
    program_check(folder, ARGS("replay", GOLDEN, events), 64, "give files of one kind");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_simulated_session_and_request_comes_out_of_replay),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_of_sessions),
        cmocka_unit_test(damaged_files_are_data_errors_that_name_the_file),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_full_or_missing_disk_is_74),
        cmocka_unit_test(replay_with_other_dimensions_sets_every_request_aside),
        cmocka_unit_test(a_replay_that_is_stopped_is_not_done),
        cmocka_unit_test(with_a_user_key_no_session_names_its_user),
        cmocka_unit_test(a_store_that_is_not_there_is_named),
        cmocka_unit_test(files_of_sessions_are_read_as_they_are),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
