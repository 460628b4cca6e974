/** Goal: a learner never works on a store that is another's, of other dimensions or no folder, and
 *  says the way out; what the store holds can be shown while a learner works. Method: learners on
 *  mock brokers and one store, the second with something changed. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include <jansson.h>

static void ignore_record(void *arg, int index, const rd_kafka_message_t *message)
{
    (void)arg, (void)index, (void)message;
}

/** Sessions of ids first..first+count-1, then one that cannot be read. */
static void put_sessions(brokers *b, int first, int count)
{
    mtf_buf session = {0};
    for (int i = 0; i < count; i++) {
        mtf_buf_clear(&session);
        one_step_session((uint8_t)(first + i), 64, &session);
        brokers_put(b, "mtf.sessions", "user", mtf_buf_span(&session));
    }
    brokers_put(b, "mtf.sessions", "user", (mtf_span){(const uint8_t *)"garbage", 7});
    mtf_buf_fini(&session);
}

/** A learner that has read what put_sessions put last: its dead letter is `letters`-th. */
static void start_learner(program *p, brokers *b, int letters)
{
    program_start(p, b->folder, "learn", "-c", b->config);
    brokers_read(b, "mtf.dead-letter", letters, ignore_record, NULL);
}

static void stop_learner(program *p, const char *counts)
{
    assert_int_equal(kill(p->pid, SIGTERM), 0);
    program_end(p);
    program_said(p, 0, counts);
    program_free(p);
}

static void open_stored(brokers *b)
{
    program p;
    brokers_open(b, NULL, "");
    put_sessions(b, 1, 5);
    start_learner(&p, b, 1);
    stop_learner(&p, "learn.end records=6 sessions=5 transitions=5 duplicates=0 bad=1");
}

static void a_store_of_other_dimensions_or_meaning_is_refused_with_the_way_out(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "policy.state_dim=63",
        "policy.name=other",
        "reward.weights=valid=1 watch=0.02 finish=0.5 positive=2",
        "policy.actions=valid.pow=0..2 watch.pow=0..2 valid.bias=0.01..0.51",
    };
    brokers b;
    open_stored(&b);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        program_check(b.folder, ARGS("learn", "-c", b.config, "--set", changes[i]), 64, b.folder,
                      "was made with", "set a new store.path (a new generation)");
    program_check(b.folder, ARGS("run", "-c", b.config, "--set", "policy.state_dim=63"), 64,
                  "was made with");
    brokers_close(&b);
}

static void a_policy_of_states_of_another_meaning_stops_the_learner(void **state)
{
    (void)state;
    static const char names[] = "policy.state=age=number sex=onehot(f)";
    static const char other[] = "policy.state=sex=onehot(f) age=number";
    brokers b;
    program p;
    brokers_open(&b, NULL, "policy.state_dim: 2\n");
    program_check(b.folder,
                  ARGS("learn", "-c", b.config, "--set", names, "--set", "policy.state_dim=3"), 64,
                  "policy.state: its fields make 2 floats, policy.state_dim is 3");
    program_start(&p, b.folder, "learn", "-c", b.config, "--set", names);
    program_until(&p, "msg=policy.initial");
    stop_learner(&p, "learn.end");
    program_check(b.folder, ARGS("policy", "show", "-c", b.config), 0, "state schema       ");
    program_check(b.folder, ARGS("learn", "-c", b.config, "--set", other), 64,
                  "policy default version 1 takes states of schema", "under another policy.name");
    program_check(b.folder, ARGS("learn", "-c", b.config), 64, "policy.state is not set");
    brokers_close(&b);
}

static void a_second_learner_on_the_store_waits_for_it_or_fails_fast(void **state)
{
    (void)state;
    brokers b;
    program p, second, third;
    brokers_open(&b, NULL, "");
    put_sessions(&b, 1, 2);
    start_learner(&p, &b, 1);
    program_check(b.folder, ARGS("learn", "-c", b.config, "--fail-fast"), 70, b.folder,
                  "another learner uses it; stop that one, or set another store.path");
    program_start(&second, b.folder, "learn", "-c", b.config);
    program_until(&second, "msg=learn.standby state=cold waited_s=0");
    program_start(&third, b.folder, "learn", "-c", b.config);
    program_until(&third, "msg=learn.standby state=cold waited_s=0");
    stop_learner(&third, "learn.standby");
    stop_learner(&p, "sessions=2");
    put_sessions(&b, 3, 3); /* the second goes on where the first stopped */
    brokers_read(&b, "mtf.dead-letter", 2, ignore_record, NULL);
    stop_learner(&second, "learn.end records=4 sessions=3 transitions=3 duplicates=0 bad=1");
    brokers_close(&b);
}

static void a_store_path_that_cannot_be_a_folder_is_a_disk_error(void **state)
{
    (void)state;
    brokers b;
    char path[2 * MTF_TEST_PATH], pair[3 * MTF_TEST_PATH];
    brokers_open(&b, NULL, "");
    mtf_test_file(path, b.folder, "file", "no store");
    snprintf(pair, sizeof pair, "store.path=%s", path);
    program_check(b.folder, ARGS("learn", "-c", b.config, "--set", pair), 74, path);
    program_check(b.folder, ARGS("learn", "-c", b.config, "--set", "store.path=/proc/mtf/store"),
                  74, "/proc/mtf");
    brokers_close(&b);
}

static void a_restart_goes_on_and_doubles_are_counted_once(void **state)
{
    (void)state;
    brokers b;
    program p;
    open_stored(&b);
    put_sessions(&b, 4, 4); /* 4 and 5 are known */
    start_learner(&p, &b, 2);
    stop_learner(&p, "learn.end records=5 sessions=2 transitions=2 duplicates=2 bad=1");
    brokers_close(&b);
}

/** Rows hold signals, not rewards: with other weights for them the learner goes on where it was. */
static void other_weights_of_the_same_signals_are_no_other_store(void **state)
{
    (void)state;
    brokers b;
    program p;
    open_stored(&b);
    put_sessions(&b, 6, 1);
    program_start(&p, b.folder, "learn", "-c", b.config, "--set",
                  "reward.weights=valid=0.5 watch=0 finish=3 positive=2 negative=-9");
    brokers_read(&b, "mtf.dead-letter", 2, ignore_record, NULL);
    stop_learner(&p, "learn.end records=2 sessions=1 transitions=1 duplicates=0 bad=1");
    brokers_close(&b);
}

/** Value of a number in the store's JSON. */
static long number_of(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    assert_true(json_is_integer(value));
    return (long)json_integer_value(value);
}

static void stats_show_what_is_stored_also_while_a_learner_works(void **state)
{
    (void)state;
    brokers b;
    program learner, stats;
    char pair[3 * MTF_TEST_PATH];
    brokers_open(&b, NULL, "");
    put_sessions(&b, 1, 5);
    start_learner(&learner, &b, 1);
    program_until(&learner, "msg=policy.initial"); /* the loop runs */
    snprintf(pair, sizeof pair, "store.path=%s/store", b.folder);
    program_start(&stats, b.folder, "store", "stats", "--json", "--set", pair);
    program_end(&stats);
    program_said(&stats, 0, "{");
    program_free(&stats);
    stop_learner(&learner, "sessions=5");
    program_check(b.folder, ARGS("store", "stats", "--set", pair), 0, "records read  6",
                  "sessions      5", "transitions   5", "bad records   1", "explore", "state_dim");
    program_check(b.folder, ARGS("store", "rows", "--set", pair), 0, "{\"session\":\"",
                  "\"part\":0,\"step\":0,",
                  "\"done\":true,\"truncated\":false,\"reward\":", "\"state\":[");
    program_start(&stats, b.folder, "store", "stats", "--json", "-c", b.config);
    program_end(&stats);
    json_t *root = json_loads(program_text(&stats.out), 0, NULL);
    assert_non_null(root);
    assert_int_equal(number_of(root, "records"), 6);
    assert_int_equal(number_of(root, "sessions"), 5);
    assert_int_equal(number_of(root, "transitions"), 5);
    assert_int_equal(number_of(root, "bad"), 1);
    const json_t *version = json_array_get(json_object_get(root, "versions"), 0);
    assert_int_equal(number_of(version, "version"), 1);
    assert_int_equal(number_of(version, "sessions"), 5);
    const json_t *position = json_array_get(json_object_get(root, "positions"), 0);
    assert_int_equal(number_of(position, "next"), 6);
    json_decref(root);
    program_free(&stats);
    brokers_close(&b);
}

static void another_topic_under_the_store_stops_the_learner_until_the_loss_is_accepted(void **state)
{
    (void)state;
    brokers b;
    program p;
    mtf_buf session = {0};
    open_stored(&b);
    /* A topic of its own stands for one that was deleted and made anew. */
    one_step_session(20, 64, &session);
    brokers_put(&b, "mtf.late", "user", mtf_buf_span(&session));
    brokers_put(&b, "mtf.late", "user", (mtf_span){(const uint8_t *)"garbage", 7});
    static const char sessions[] = "topics.sessions=mtf.late", late[] = "topics.late=mtf.sessions";
    program_check(b.folder, ARGS("learn", "-c", b.config, "--set", sessions, "--set", late), 65,
                  "sessions partition 0, store position 6", "it was made anew", "--accept-loss");
    program_start(&p, b.folder, "run", "-c", b.config, "--set", sessions, "--set", late,
                  "--accept-loss");
    brokers_read(&b, "mtf.dead-letter", 2, ignore_record, NULL);
    stop_learner(&p, "learn.end records=2 sessions=1");
    mtf_buf_fini(&session);
    brokers_close(&b);
}

static void another_cluster_under_the_store_is_refused(void **state)
{
    (void)state;
    brokers old, fresh;
    char pair[3 * MTF_TEST_PATH];
    open_stored(&old);
    brokers_open(&fresh, NULL, "");
    snprintf(pair, sizeof pair, "store.path=%s/store", old.folder);
    program_check(fresh.folder, ARGS("learn", "-c", fresh.config, "--set", pair), 64,
                  "was made with \"cluster: ", "set a new store.path");
    brokers_close(&fresh);
    brokers_close(&old);
}

static void a_store_is_verified_and_backed_up_while_a_learner_works(void **state)
{
    (void)state;
    brokers b;
    program learner;
    char store[3 * MTF_TEST_PATH], backup[2 * MTF_TEST_PATH];
    brokers_open(&b, NULL, "");
    snprintf(store, sizeof store, "store.path=%s/store", b.folder);
    snprintf(backup, sizeof backup, "%s/backup", b.folder);
    put_sessions(&b, 1, 5);
    start_learner(&learner, &b, 1);
    program_until(&learner, "msg=policy.initial"); /* the loop runs */
    program_check(b.folder, ARGS("store", "verify", "--set", store), 0, "is whole: rows=");
    program_check(b.folder, ARGS("store", "forget", "--user", "user", "--set", store), 74,
                  "a learner (process", "stop it, forget, start it");
    program_check(b.folder, ARGS("store", "compact", "--set", store), 74, "a learner (process",
                  "stop it, compact, start it");
    program_check(b.folder, ARGS("store", "backup", "--to", backup, "--set", store), 0,
                  "is whole: rows=");
    program_check(b.folder, ARGS("store", "restore", "--from", backup, "--force", "--set", store),
                  74, "a learner (process", "stop it first");
    put_sessions(&b, 6, 3);
    brokers_read(&b, "mtf.dead-letter", 2, ignore_record, NULL);
    stop_learner(&learner, "sessions=8");
    program_check(b.folder, ARGS("store", "verify", "--json", "--set", store), 0, "\"rows\":8,");

    /* The backup is of a moment before; what came since is read again. */
    program_check(b.folder, ARGS("store", "restore", "--from", backup, "--set", store), 64,
                  "--force");
    program_check(b.folder, ARGS("store", "restore", "--from", backup, "--force", "--set", store),
                  0, "is whole: rows=");
    program_start(&learner, b.folder, "learn", "-c", b.config);
    program_again_until(b.folder, ARGS("store", "stats", "--json", "--set", store),
                        "\"records\":10,");
    stop_learner(&learner, "learn.end");
    program_check(b.folder, ARGS("store", "verify", "--json", "--set", store), 0, "\"rows\":8,");
    brokers_close(&b);
}

static void a_forgotten_user_is_counted_and_gone(void **state)
{
    (void)state;
    brokers b;
    char store[3 * MTF_TEST_PATH];
    open_stored(&b);
    snprintf(store, sizeof store, "store.path=%s/store", b.folder);
    program_check(b.folder, ARGS("store", "forget", "--set", store), 64, "--user");
    program_check(b.folder, ARGS("store", "forget", "--user", "other", "--set", store), 0,
                  "transitions=0 sessions=0", "privacy.user_key_file must be theirs");
    program_check(b.folder, ARGS("store", "forget", "--user", "user", "--dry-run", "--set", store),
                  0, "transitions=5 sessions=5 deleted=false");
    program_check(b.folder, ARGS("store", "forget", "--user", "user", "--json", "--set", store), 0,
                  "{\"transitions\":5,\"sessions\":5,\"deleted\":true}");
    program_check(b.folder, ARGS("store", "stats", "--set", store), 0, "forgotten     5",
                  "rows now      0", "sessions      5");
    program_check(b.folder, ARGS("store", "verify", "--set", store), 0, "rows=0");
    brokers_close(&b);
}

/** Two sizes out of what `store compact --json` printed. */
static void compact(const brokers *b, const char *store, int64_t *before, int64_t *after)
{
    program p;
    program_start(&p, b->folder, "store", "compact", "--json", "--set", store);
    program_end(&p);
    program_said(&p, 0, "{\"rows\":");
    json_t *root = json_loads(program_text(&p.out), 0, NULL);
    assert_non_null(root);
    *before = json_integer_value(json_object_get(root, "bytes_before"));
    *after = json_integer_value(json_object_get(root, "bytes_after"));
    json_decref(root);
    program_free(&p);
}

static void a_compacted_store_has_its_rows_and_nothing_else(void **state)
{
    (void)state;
    brokers b;
    char store[3 * MTF_TEST_PATH];
    int64_t before, after;
    open_stored(&b);
    snprintf(store, sizeof store, "store.path=%s/store", b.folder);
    compact(&b, store, &before, &after);
    assert_true(before > 0 && after > 0);
    program_check(b.folder, ARGS("store", "verify", "--set", store), 0, "rows=5");
    program_check(b.folder, ARGS("store", "forget", "--user", "user", "--set", store), 0,
                  "deleted=true");
    compact(&b, store, &before, &after);
    assert_int_equal(after, 0);
    program_check(b.folder, ARGS("store", "compact", "--set", "store.path=no-such-store"), 64,
                  "no-such-store");
    brokers_close(&b);
}

static void a_damaged_store_is_an_error_with_file_and_remedy(void **state)
{
    (void)state;
    brokers b;
    char store[3 * MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    open_stored(&b);
    snprintf(store, sizeof store, "store.path=%s/store", b.folder);
    mtf_test_file(path, b.folder, "store/db/CURRENT", "MANIFEST-999999\n");
    program_check(b.folder, ARGS("store", "verify", "--set", store), 65, "MANIFEST-999999",
                  "mtf store restore");
    program_check(b.folder, ARGS("learn", "-c", b.config), 65, "MANIFEST-999999",
                  "mtf store restore", "builds it anew from the topics");
    program_check(b.folder, ARGS("store", "restore", "--from", b.folder, "--set", store), 64,
                  "no store at");
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_of_other_dimensions_or_meaning_is_refused_with_the_way_out),
        cmocka_unit_test(a_policy_of_states_of_another_meaning_stops_the_learner),
        cmocka_unit_test(a_second_learner_on_the_store_waits_for_it_or_fails_fast),
        cmocka_unit_test(a_store_path_that_cannot_be_a_folder_is_a_disk_error),
        cmocka_unit_test(a_restart_goes_on_and_doubles_are_counted_once),
        cmocka_unit_test(other_weights_of_the_same_signals_are_no_other_store),
        cmocka_unit_test(stats_show_what_is_stored_also_while_a_learner_works),
        cmocka_unit_test(
            another_topic_under_the_store_stops_the_learner_until_the_loss_is_accepted),
        cmocka_unit_test(another_cluster_under_the_store_is_refused),
        cmocka_unit_test(a_store_is_verified_and_backed_up_while_a_learner_works),
        cmocka_unit_test(a_forgotten_user_is_counted_and_gone),
        cmocka_unit_test(a_compacted_store_has_its_rows_and_nothing_else),
        cmocka_unit_test(a_damaged_store_is_an_error_with_file_and_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
