/** Goal: `mtf train` makes a policy of files alone: the same one from the same files, also when it
 *  was interrupted, and says what does not fit. Method: events of `simulate --out`, tiny networks;
 *  checkpoints hold everything that was learned, so equal bytes are equal trainings. */
#include "cli/program.h"
#include "client/policy.h"

#include <jansson.h>
#include <signal.h>
#include <unistd.h>

static char folder[MTF_TEST_PATH], events[2 * MTF_TEST_PATH], out[2 * MTF_TEST_PATH],
    kept[2 * MTF_TEST_PATH], kept_again[2 * MTF_TEST_PATH], rest[2 * MTF_TEST_PATH];

#define TINY                                                                                       \
    "--set", "learner.hidden=8", "--set", "learner.batch=16", "--set", "learner.critics=2",        \
        "--set", "learner.threads=1", "--set", "gate.bootstrap=10", "--set",                       \
        "gate.min_transitions=10", "--set", "gate.fqe_steps=20", "--set", "gate.fqe_refits=1"
#define OPEN_GATE                                                                                  \
    "--set", "gate.z=-10", "--set", "gate.skill_z=-10", "--set", "gate.gauc_loss_max=1"

static void make_path(char path[2 * MTF_TEST_PATH], const char *name)
{
    snprintf(path, 2 * MTF_TEST_PATH, "%s/%s", folder, name);
}

static int make_folder(void **state)
{
    (void)state;
    mtf_test_folder(folder);
    make_path(events, "events.avro");
    make_path(out, "out.policy");
    make_path(kept, "kept");
    make_path(kept_again, "kept-again");
    make_path(rest, "out.policy.state");
    program_check(folder,
                  ARGS("simulate", "--sessions", "900", "--seed", "3", "--start-ms",
                       "1767225600000", "--out", events),
                  0, "\"sessions\":900");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

static json_t *train(const char *const *arguments)
{
    program p;
    json_error_t error;
    program_start_to(&p, folder, NULL, arguments);
    program_end(&p);
    program_said(&p, 0, "{");
    json_t *found = json_loads(program_text(&p.out), 0, &error);
    if (!found) fail_msg("%s in: %s", error.text, program_text(&p.out));
    program_free(&p);
    return found;
}

static int64_t whole(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) fail_msg("%s is no whole number", name);
    return json_integer_value(value);
}

static void assert_same_files(const char *one, const char *other)
{
    mtf_buf a = {0}, b = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_file_read(one, 1 << 24, &a, &err), &err);
    mtf_assert_ok(mtf_file_read(other, 1 << 24, &b, &err), &err);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    mtf_buf_fini(&a);
    mtf_buf_fini(&b);
}

static void files_become_a_policy(void **state)
{
    (void)state;
    json_t *found = train(ARGS("train", events, "--out", out, "--checkpoint", kept, "--steps",
                               "100", "--seed", "5", "--json", TINY));
    assert_int_equal(whole(found, "steps"), 100);
    assert_int_equal(whole(found, "seed"), 5);
    assert_int_equal(whole(found, "logged_version"), 1);
    assert_int_equal(whole(found, "version"), 2);
    assert_true(whole(found, "transitions") > 1000 && whole(found, "heldout_rows") > 10);
    assert_string_equal(json_string_value(json_object_get(found, "algorithm")), "integrated");
    assert_string_equal(json_string_value(json_object_get(found, "verdict")), "hold");
    const json_t *numbers = json_object_get(found, "numbers");
    assert_true(json_is_real(json_object_get(numbers, "gate.value_z")));
    assert_true(json_is_real(json_object_get(numbers, "train.reward_scale")));
    json_decref(found);
    assert_int_not_equal(access(rest, F_OK), 0); /* nothing is left behind */
    program_check(folder, ARGS("policy", "verify", out), 0, "integrated", "hold");
    program_check(folder,
                  ARGS("evaluate", "--policy", out, "--users", "all", "--steps", "0", "--draws",
                       "20", events),
                  0, "judged on what version 1 explored");
    json_decref(train(ARGS("train", events, "--out", out, "--checkpoint", kept_again, "--steps",
                           "100", "--seed", "5", "--json", TINY)));
    assert_same_files(kept, kept_again);
}

static void people_read_verdict_and_evidence(void **state)
{
    (void)state;
    program_check(folder, ARGS("train", events, "--out", out, "--steps", "20", TINY), 0,
                  "integrated: 20 steps on", "verdict: hold: ", "gate.heldout_users",
                  "record: ", "train: 20 of 20 steps (100 %)", "evaluate: 2 of 2 fits (100 %)");
}

/** As on a topic: who puts the record on one puts it where the settings say. */
static void what_passes_is_for_the_first_stage(void **state)
{
    (void)state;
    program_check(folder, ARGS("train", events, "--out", out, "--steps", "20", TINY, OPEN_GATE), 0,
                  "verdict: promote: ");
    program_check(folder,
                  ARGS("train", events, "--out", out, "--steps", "20", TINY, OPEN_GATE, "--set",
                       "gate.stages=canary", "--set", "canary.percent=7"),
                  0, "verdict: canary: ");
    program_check(folder, ARGS("policy", "verify", out), 0, "stage              canary",
                  "verdict            canary", "canary.percent                 7");
}

static void an_interrupted_training_goes_on(void **state)
{
    (void)state;
    program p;
    const char *const once[] = {"train",   events,  "--out",       out,     "--checkpoint", kept,
                                "--steps", "40000", "--algorithm", "td3bc", TINY,           NULL};
    const char *const twice[] = {"train",        events,     "--out",   out,
                                 "--checkpoint", kept_again, "--steps", "40000",
                                 "--algorithm",  "td3bc",    TINY,      NULL};
    program_check(folder, once, 0, "td3bc: 40000 steps on");
    program_start_to(&p, folder, NULL, twice);
    program_until(&p, "round.begin");
    kill(p.pid, SIGTERM);
    program_end(&p);
    program_said(&p, 1, "the same command goes on from");
    program_free(&p);
    assert_int_equal(access(rest, F_OK), 0);

    program_check(folder, ARGS("train", events, "--out", out, "--set", "policy.box=0.1", TINY), 64,
                  "of other files or settings");
    program_start_to(&p, folder, NULL, twice);
    program_end(&p);
    program_said(&p, 0, "td3bc: 40000 steps on");
    assert_null(strstr(program_text(&p.err), "session records")); /* the files are not read again */
    program_free(&p);
    assert_same_files(kept, kept_again);
    assert_int_not_equal(access(rest, F_OK), 0);
}

/** Cut short while it read: what is there is no whole store. */
static void a_filling_that_was_cut_short_begins_again(void **state)
{
    (void)state;
    char filling[3 * MTF_TEST_PATH], stray[4 * MTF_TEST_PATH];
    mtf_err err = {0};
    snprintf(filling, sizeof filling, "%s/rows.filling", rest);
    snprintf(stray, sizeof stray, "%s/CURRENT", filling);
    mtf_assert_ok(mtf_folder_make(filling, &err), &err);
    mtf_assert_ok(mtf_file_replace(stray, (mtf_span){(const uint8_t *)"x", 1}, &err), &err);
    program_check(folder, ARGS("train", events, "--out", out, "--steps", "20", TINY), 0,
                  "verdict: hold: ");
    assert_int_not_equal(access(rest, F_OK), 0);
}

/** A folder somebody has things in is no folder to remove. */
static void only_what_was_made_is_removed(void **state)
{
    (void)state;
    char own[3 * MTF_TEST_PATH], theirs[4 * MTF_TEST_PATH], rows[4 * MTF_TEST_PATH];
    mtf_err err = {0};
    snprintf(own, sizeof own, "%s/mine", folder);
    snprintf(theirs, sizeof theirs, "%s/notes", own);
    snprintf(rows, sizeof rows, "%s/rows", own);
    mtf_assert_ok(mtf_folder_make(own, &err), &err);
    mtf_assert_ok(mtf_file_replace(theirs, (mtf_span){(const uint8_t *)"x", 1}, &err), &err);
    program_check(folder,
                  ARGS("train", events, "--out", out, "--state", own, "--steps", "20", TINY), 0,
                  "verdict: hold: ");
    assert_int_equal(access(theirs, F_OK), 0);
    assert_int_not_equal(access(rows, F_OK), 0);
}

static void a_policy_that_is_a_search_is_kept_as_its_checkpoint(void **state)
{
    (void)state;
    json_t *found = train(ARGS("train", events, "--algorithm", "batchrl", "--checkpoint", kept,
                               "--steps", "20", "--json", TINY));
    assert_non_null(strstr(json_string_value(json_object_get(found, "reason")), "unserved: "));
    assert_true(json_is_null(json_object_get(found, "record")));
    assert_true(json_is_real(json_object_get(json_object_get(found, "numbers"), "gate.value_z")));
    json_decref(found);
    assert_int_equal(access(kept, F_OK), 0);
    program_check(folder, ARGS("train", events, "--algorithm", "batchrl", "--out", out), 64,
                  "leave --out away");
    program_check(folder, ARGS("train", events, "--algorithm", "batchrl"), 64, "--checkpoint FILE");
}

/** A policy of version `version` with one layer of `state_dim` features. */
static void write_parent(const char *path, int64_t version, uint32_t state_dim)
{
    static const char actions[] =
        "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 "
        "valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 "
        "positive.bias=0.01..0.51 negative.bias=0.01..0.51";
    mtf_action_table table;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, actions, &err), &err);
    const uint32_t widths[] = {state_dim, 8, 8, table.count};
    mtf_policy *policy = mtf_policy_new(widths, 3, &table);
    assert_non_null(policy);
    snprintf(policy->info.name, sizeof policy->info.name, "default");
    policy->info.version = version;
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&record), &err), &err);
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
}

static void training_goes_on_from_the_policy_that_logged(void **state)
{
    (void)state;
    char parent[2 * MTF_TEST_PATH];
    make_path(parent, "parent.policy");
    write_parent(parent, 1, 64);
    program_check(folder,
                  ARGS("train", events, "--out", out, "--parent", parent, "--steps", "20", TINY), 0,
                  "actor=record critics=new");
    program_check(folder,
                  ARGS("train", events, "--out", out, "--parent", parent, "--logged", "1", TINY),
                  64, "leave --logged away");
    write_parent(parent, 1, 8);
    program_check(folder, ARGS("train", events, "--out", out, "--parent", parent, TINY), 64,
                  "maps 8 features to 10 numbers");
    write_parent(parent, 4, 64);
    program_check(folder, ARGS("train", events, "--out", out, "--parent", parent, TINY), 65,
                  "nothing explored under version 4");
}

/** policy.state=f0=number ... of `count` fields, as an argument of --set. */
static void make_states(char argument[1024], int count)
{
    int size = snprintf(argument, 1024, "policy.state=");
    for (int i = 0; i < count; i++)
        size += snprintf(argument + size, 1024 - (size_t)size, "f%d=number ", i);
}

static void the_record_says_what_its_states_mean(void **state)
{
    (void)state;
    char parent[2 * MTF_TEST_PATH], states[1024], fewer[1024];
    make_path(parent, "states.policy");
    make_states(states, 64);
    make_states(fewer, 63);
    program_check(folder, ARGS("train", events, "--out", parent, "--set", fewer, TINY), 64,
                  "its fields make 63 floats");
    program_check(
        folder,
        ARGS("train", events, "--out", parent, "--steps", "20", "--set", states, TINY, OPEN_GATE),
        0, "verdict: promote: ");
    mtf_buf record = {0};
    mtf_policy *policy;
    mtf_err err = {0};
    mtf_assert_ok(mtf_file_read(parent, 1 << 24, &record, &err), &err);
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&record), &policy, &err), &err);
    assert_int_equal(strlen(policy->info.state_schema), 16);
    policy->info.version = 1; /* as if it had logged */
    mtf_buf_clear(&record);
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    mtf_assert_ok(mtf_file_replace(parent, mtf_buf_span(&record), &err), &err);
    program_check(folder, ARGS("train", events, "--out", out, "--parent", parent, TINY), 64,
                  policy->info.state_schema, "policy.state is not set");
    program_check(folder,
                  ARGS("train", events, "--out", out, "--parent", parent, "--steps", "20", "--set",
                       states, TINY),
                  0, "actor=record critics=new");
    program_check(folder, ARGS("policy", "verify", out), 0, policy->info.state_schema);
    mtf_policy_free(policy);
    mtf_buf_fini(&record);
}

static void parts_of_the_reward_have_critics_of_their_own(void **state)
{
    (void)state;
    const char *const groups = "reward.groups=valid watch | weight=0.5 finish positive negative";
    program_check(folder,
                  ARGS("train", events, "--out", out, "--steps", "20", "--set", groups, TINY), 0,
                  "integrated: 20 steps on", "verdict: hold: ");
}

#define LISTS                                                                                      \
    "--set", "policy.list=5", "--set", "policy.item_features=4", "--set",                          \
        "policy.item_noise=shared", "--set", "learner.algorithm=enhanced"

static void an_action_for_each_item_is_learnt_of_lists(void **state)
{
    (void)state;
    char lists[2 * MTF_TEST_PATH];
    make_path(lists, "lists.avro");
    program_check(folder,
                  ARGS("simulate", "--sessions", "900", "--seed", "3", "--start-ms",
                       "1767225600000", "--items", "--out", lists, LISTS),
                  0, "\"sessions\":900");
    program_check(folder, ARGS("train", lists, "--out", out, "--steps", "20", LISTS, TINY), 0,
                  "enhanced: 20 steps on", "verdict: hold: ");
    program_check(folder, ARGS("policy", "verify", out), 0, "enhanced", "hold");
    program_check(folder, ARGS("train", events, "--out", out, "--parent", out, TINY), 64,
                  "has an action for each item with 4 features of an item");
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    program_check(folder, ARGS("train", "--out", out), 64, "name the Avro files");
    program_check(folder, ARGS("train", events), 64, "--out FILE");
    program_check(folder, ARGS("train", "absent.avro", "--out", out), 64, "absent.avro");
    program_check(folder, ARGS("train", events, "--out", out, "--algorithm", "magic"), 64,
                  "--algorithm: learner.algorithm: 'magic'");
    program_check(folder, ARGS("train", events, "--out", out, "--logged", "9", TINY), 65,
                  "nothing explored under version 9");
    mtf_test_folder_remove(rest);
    program_check(folder, ARGS("train", events, "--out", out, "--set", "policy.state_dim=8", TINY),
                  65, "no session that fits the settings");
    /* an alarm ends the round without a candidate: then there is nothing to write */
    unlink(out);
    program_check(folder,
                  ARGS("train", events, "--out", out, "--set", "learner.critic_lr=1", "--set",
                       "learner.soft_update=1", "--set", "learner.target_every=1", "--steps",
                       "3000", TINY),
                  65, "no policy came of it: alarm: ");
    assert_int_not_equal(access(out, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_become_a_policy),
        cmocka_unit_test(people_read_verdict_and_evidence),
        cmocka_unit_test(what_passes_is_for_the_first_stage),
        cmocka_unit_test(an_interrupted_training_goes_on),
        cmocka_unit_test(a_filling_that_was_cut_short_begins_again),
        cmocka_unit_test(only_what_was_made_is_removed),
        cmocka_unit_test(a_policy_that_is_a_search_is_kept_as_its_checkpoint),
        cmocka_unit_test(training_goes_on_from_the_policy_that_logged),
        cmocka_unit_test(the_record_says_what_its_states_mean),
        cmocka_unit_test(parts_of_the_reward_have_critics_of_their_own),
        cmocka_unit_test(an_action_for_each_item_is_learnt_of_lists),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
