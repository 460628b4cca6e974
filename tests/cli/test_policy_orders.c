/** Goal: an operator can roll back, promote, freeze and thaw by one command each, is told what was
 *  done and what follows, and is refused with the remedy. Method: mock brokers with policies put by
 *  the test. (They know no fencing: who wins among writers is tested on a real broker.) */
#include "cli/brokers.h"

#include <jansson.h>

#include "client/key_files.h"
#include "client/sample_policy.h"

/** Version `version` of the policy "sample", its network by the number. */
static void put_policy(brokers *b, int64_t version, int64_t parent, const char *verdict,
                       const char *stage)
{
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_policy *policy = sample_policy((uint64_t)version, 3, 4);
    policy->info.version = version;
    policy->info.parent = parent;
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "%s", verdict);
    snprintf(policy->info.stage, sizeof policy->info.stage, "%s", stage);
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    brokers_put(b, "mtf.policy-history", "sample", mtf_buf_span(&record));
    if (strcmp(verdict, "promote") == 0)
        brokers_put(b, "mtf.policy", "sample", mtf_buf_span(&record));
    if (strcmp(verdict, "canary") == 0)
        brokers_put(b, "mtf.policy", "sample#canary", mtf_buf_span(&record));
    mtf_buf_fini(&record);
    mtf_policy_free(policy);
}

/** 1 and 2 served, 3 held, 4 a canary. */
static void open_four(brokers *b)
{
    brokers_open(b, NULL, "policy.name: sample\n");
    put_policy(b, 1, 0, "promote", "live");
    put_policy(b, 2, 1, "promote", "live");
    put_policy(b, 3, 2, "hold", "live");
    put_policy(b, 4, 2, "canary", "canary");
}

/** What `mtf policy ARGUMENTS --json` prints. */
static json_t *policy_json(const brokers *b, const char *what, const char *option,
                           const char *value)
{
    program p;
    if (option)
        program_start(&p, b->folder, "policy", what, "--json", "-c", b->config, option, value);
    else
        program_start(&p, b->folder, "policy", what, "--json", "-c", b->config);
    program_end(&p);
    program_said(&p, 0, "{");
    json_t *json = json_loads(program_text(&p.out), 0, NULL);
    assert_non_null(json);
    program_free(&p);
    return json;
}

static long number_of(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    assert_true(json_is_integer(value));
    return (long)json_integer_value(value);
}

static void check_head(const brokers *b, int version, int parent, double box)
{
    json_t *head = policy_json(b, "show", NULL, NULL);
    assert_int_equal(number_of(head, "version"), version);
    assert_int_equal(number_of(head, "parent"), parent);
    mtf_assert_close(json_real_value(json_object_get(head, "box")), box, 0, 1e-6);
    json_decref(head);
}

static void a_rollback_is_served_under_a_new_version_and_says_what_follows(void **state)
{
    (void)state;
    brokers b;
    open_four(&b);
    program_check(b.folder,
                  ARGS("policy", "rollback", "-c", b.config, "--version", "1", "--reason",
                       "clicks fell", "--if-head", "2"),
                  0, "policy sample: version 5 is served now", "rollback to version 1: clicks fell",
                  "network    of version 1", "parent     2",
                  "A round that was under way from version 2 ends as a hold (parent_changed)",
                  "msg=policy.published");
    check_head(&b, 5, 2, 0.15);
    program_check(b.folder, ARGS("policy", "rollback", "-c", b.config, "--version", "1"), 64,
                  "the network of version 1 is what version 5, the head, serves");
    json_t *did = policy_json(&b, "rollback", "--version", "2");
    assert_string_equal(json_string_value(json_object_get(did, "did")), "rollback");
    assert_true(json_is_true(json_object_get(did, "published")));
    assert_int_equal(number_of(did, "version"), 6);
    assert_int_equal(number_of(did, "parent"), 5);
    assert_int_equal(number_of(did, "payload_of"), 2);
    json_decref(did);
    check_head(&b, 6, 5, 0.15);
    program_check(b.folder, ARGS("policy", "list", "--history", "-c", b.config), 0,
                  "rollback to version 1: clicks fell", "rollback to version 2");
    brokers_close(&b);
}

static void a_diff_says_what_changed_from_the_parent_or_another(void **state)
{
    (void)state;
    brokers b;
    open_four(&b);
    program_check(b.folder, ARGS("policy", "diff", "-c", b.config, "--version", "3"), 0,
                  "version                        2 -> 3", "parent                         1 -> 2",
                  "verdict                        promote -> hold",
                  "action 3   watch.bias moves by", "outside the older one's box");
    program_check(b.folder,
                  ARGS("policy", "diff", "-c", b.config, "--version", "3", "--against", "1"), 0,
                  "version                        1 -> 3");
    program_check(b.folder, ARGS("policy", "diff", "-c", b.config, "--version", "1"), 64,
                  "version 1 has no parent: say with --against N");
    program_check(b.folder,
                  ARGS("policy", "diff", "-c", b.config, "--version", "3", "--against", "9"), 64,
                  "no policy 'sample' of version 9");
    program_check(b.folder, ARGS("policy", "show", "-c", b.config, "--against", "1"), 64,
                  "policy show: --against is of diff");
    program_check(b.folder, ARGS("policy", "rollback", "-c", b.config, "--version", "1"), 0,
                  "version 5 is served now");
    program_check(b.folder,
                  ARGS("policy", "diff", "-c", b.config, "--version", "5", "--against", "1"), 0,
                  "rollback_of                    - -> 1", "the network is the same");
    json_t *json = policy_json(&b, "diff", "--version", "2");
    assert_int_equal(number_of(json, "from"), 1);
    assert_int_equal(number_of(json, "to"), 2);
    assert_true(json_is_false(json_object_get(json, "same_network")));
    assert_int_equal(json_array_size(json_object_get(json, "actions")), 4);
    json_decref(json);
    brokers_close(&b);
}

static void freeze_stops_exploration_until_thaw(void **state)
{
    (void)state;
    brokers b;
    open_four(&b);
    program_check(b.folder, ARGS("policy", "freeze", "-c", b.config, "--reason", "incident 12"), 0,
                  "version 5 is served now", "freeze of version 2: incident 12", "box        0",
                  "stops exploring");
    check_head(&b, 5, 2, 0);
    program_check(b.folder, ARGS("policy", "freeze", "-c", b.config), 0,
                  "version 5, the head, has box 0 already; nothing was published");
    json_t *did = policy_json(&b, "freeze", "--if-head", "5");
    assert_true(json_is_false(json_object_get(did, "published")));
    json_decref(did);
    check_head(&b, 5, 2, 0);
    program_check(b.folder, ARGS("policy", "thaw", "-c", b.config, "--set", "policy.box=0.1"), 0,
                  "version 6 is served now", "thaw of version 5", "box        0.1");
    check_head(&b, 6, 5, 0.1);
    brokers_close(&b);
}

static void a_held_candidate_and_a_canary_can_be_promoted(void **state)
{
    (void)state;
    brokers b;
    open_four(&b);
    program_check(b.folder, ARGS("policy", "promote", "-c", b.config, "--version", "3"), 0,
                  "version 5 is served now", "promoted by hand from version 3, verdict hold",
                  "canary     no longer served");
    program_check(b.folder, ARGS("policy", "promote", "-c", b.config, "--version", "4"), 0,
                  "version 6 is served now");
    program p;
    program_start(&p, b.folder, "policy", "list", "-c", b.config);
    program_end(&p);
    program_said(&p, 0, "sample ");
    assert_null(strstr(program_text(&p.out), "canary "));
    program_free(&p);
    check_head(&b, 6, 5, 0.15);
    brokers_close(&b);
}

static void a_version_is_tried_on_a_few_and_withdrawn(void **state)
{
    (void)state;
    brokers b;
    open_four(&b);
    program_check(b.folder, ARGS("policy", "canary", "-c", b.config, "--version", "3"), 64,
                  "version 4 is the canary already; mtf policy withdraw ends it");
    program_check(b.folder, ARGS("policy", "withdraw", "-c", b.config, "--reason", "too slow"), 0,
                  "version 5 records it", "canary of version 4 withdrawn: too slow",
                  "canary     no longer served", "gives its users the head again");
    program_check(b.folder, ARGS("policy", "withdraw", "-c", b.config), 64,
                  "has neither canary nor shadow");
    program_check(
        b.folder,
        ARGS("policy", "canary", "-c", b.config, "--version", "3", "--set", "canary.percent=2.5"),
        0, "version 6 is the canary now", "share      2.5 % of users",
        "until then no round begins");
    program_check(b.folder, ARGS("policy", "list", "-c", b.config), 0, "sample#canary");
    json_t *did = policy_json(&b, "withdraw", "--if-head", "2");
    assert_int_equal(number_of(did, "version"), 7);
    assert_true(json_is_true(json_object_get(did, "canary_dropped")));
    json_decref(did);
    check_head(&b, 2, 1, 0.15);
    brokers_close(&b);
}

static void a_policy_of_unsigned_records_is_signed_by_an_order(void **state)
{
    (void)state;
    brokers b;
    char key[2 * MTF_TEST_PATH + 40], pub[2 * MTF_TEST_PATH + 40];
    open_four(&b);
    key_files_make(b.folder, "k", 1);
    snprintf(key, sizeof key, "policy.signing_key_file=%s/k.key", b.folder);
    snprintf(pub, sizeof pub, "policy.public_key_file=%s/k.pub", b.folder);
    program_check(
        b.folder,
        ARGS("policy", "rollback", "-c", b.config, "--version", "1", "--set", key, "--set", pub),
        64, "policy.refused");
    program_check(b.folder,
                  ARGS("policy", "rollback", "-c", b.config, "--version", "1", "--set", key,
                       "--set", "policy.public_key_file="),
                  0, "version 5 is served now");
    program_check(b.folder, ARGS("policy", "list", "-c", b.config, "--set", pub), 0,
                  "rollback to version 1");
    brokers_close(&b);
}

static void what_makes_no_sense_is_refused_before_any_broker_is_asked(void **state)
{
    (void)state;
    brokers b;
    brokers_open(&b, NULL, "");
    program_check(b.folder, ARGS("policy", "rollback"), 64, "say which with --version N");
    program_check(b.folder, ARGS("policy", "promote"), 64, "say which with --version N");
    program_check(b.folder, ARGS("policy", "freeze", "--version", "3"), 64, "--if-head N");
    program_check(b.folder, ARGS("policy", "thaw", "--set", "policy.box=0"), 64, "policy.box is 0");
    program_check(b.folder, ARGS("policy", "list", "--reason", "none"), 64, "--reason");
    program_check(b.folder, ARGS("policy", "undo"), 64,
                  "rollback, promote, canary, withdraw, freeze or thaw");
    program_check(b.folder, ARGS("policy", "rollback", "5"), 64, "'5' is not expected here");
    program_check(b.folder, ARGS("policy", "freeze", "-c", b.config), 64,
                  "no policy default is served");
    program_check(b.folder, ARGS("policy", "rollback", "-c", b.config, "--version", "1"), 64,
                  "the history has no version 1 of default");
    brokers_close(&b);
}

static void a_record_in_a_file_is_verified(void **state)
{
    (void)state;
    brokers b;
    char path[2 * MTF_TEST_PATH];
    mtf_buf bytes = {0};
    mtf_err err = {0};
    open_four(&b);
    snprintf(path, sizeof path, "%s/record", b.folder);
    program_check(b.folder,
                  ARGS("policy", "export", "-c", b.config, "--version", "3", "--format", "record",
                       "--out", path),
                  0, "");
    program_check(b.folder, ARGS("policy", "verify", path), 0, "version            3",
                  "verdict            hold");
    mtf_assert_ok(mtf_file_read(path, 1 << 20, &bytes, &err), &err);
    bytes.data[bytes.size / 2] ^= 1;
    mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&bytes), &err), &err);
    program_check(b.folder, ARGS("policy", "verify", path), 65, "policy record");
    program_check(b.folder, ARGS("policy", "verify", "/no/such/file"), 64, "/no/such/file");
    program_check(b.folder, ARGS("policy", "verify", "-c", b.config, "--version", "2"), 0,
                  "version            2");
    mtf_buf_fini(&bytes);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_says_what_changed_from_the_parent_or_another),
        cmocka_unit_test(a_rollback_is_served_under_a_new_version_and_says_what_follows),
        cmocka_unit_test(freeze_stops_exploration_until_thaw),
        cmocka_unit_test(a_held_candidate_and_a_canary_can_be_promoted),
        cmocka_unit_test(a_version_is_tried_on_a_few_and_withdrawn),
        cmocka_unit_test(a_policy_of_unsigned_records_is_signed_by_an_order),
        cmocka_unit_test(what_makes_no_sense_is_refused_before_any_broker_is_asked),
        cmocka_unit_test(a_record_in_a_file_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
