/** Goal: a servable policy reaches both topics in one commit, any other the history only.
 *  Method: a sink that notes every call and fails at the one it is told to. */
#include "support/mtf_test.h"

#include "client/key_files.h"
#include "client/sample_policy.h"
#include "publish/publish.h"

typedef struct notes {
    char calls[400];
    int count, fail_at; /* the call that fails, from 1; 0: none */
    mtf_buf values[2];
    int puts;
} notes;

static mtf_status note(notes *to, const char *call, mtf_err *err)
{
    const size_t used = strlen(to->calls);
    snprintf(to->calls + used, sizeof to->calls - used, "%s ", call);
    return ++to->count == to->fail_at ? mtf_fail(err, MTF_BROKER, "told to fail") : MTF_OK;
}

static mtf_status begin(void *self, mtf_err *err)
{
    return note(self, "begin", err);
}

static mtf_status put(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    notes *to = self;
    char call[160];
    assert_true(headers == NULL && header_count == 0 && timestamp_ms == 0);
    snprintf(call, sizeof call, "%s/%.*s", topic, (int)key.size, (const char *)key.data);
    const mtf_status status = note(to, call, err);
    if (!status) mtf_buf_put(&to->values[to->puts++], value.data, value.size);
    return status;
}

static mtf_status commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    assert_true(positions == NULL && count == 0);
    return note(self, "commit", err);
}

static mtf_status give_up(void *self, mtf_err *err)
{
    (void)err;
    notes *to = self;
    const size_t used = strlen(to->calls);
    snprintf(to->calls + used, sizeof to->calls - used, "abort ");
    return MTF_OK;
}

static const mtf_policy_topics TOPICS = {"live", "history"};

static mtf_sink sink_to(notes *to)
{
    return (mtf_sink){.self = to, .begin = begin, .put = put, .commit = commit, .abort = give_up};
}

static void verdict_and_stage_decide_topic_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *verdict, *stage, *calls;
    } cases[] = {
        {"promote", "live", "begin history/sample live/sample commit "},
        {"canary", "canary", "begin history/sample live/sample#canary commit "},
        {"canary", "shadow", "begin history/sample live/sample#shadow commit "},
        {"hold", "live", "begin history/sample commit "},
        {"reject", "live", "begin history/sample commit "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        notes to = {0};
        mtf_sink sink = sink_to(&to);
        mtf_err err = {0};
        mtf_policy *policy = sample_policy(i, 3, 4), *back;
        memset(policy->info.verdict, 0,
               sizeof policy->info.verdict); /* all of it is compared below */
        snprintf(policy->info.verdict, sizeof policy->info.verdict, "%s", cases[i].verdict);
        snprintf(policy->info.stage, sizeof policy->info.stage, "%s", cases[i].stage);
        const mtf_policy_draft draft = {
            .policy = policy, .history = true, .live = mtf_policy_is_servable(&policy->info)};
        mtf_assert_ok(mtf_policy_publish(&draft, NULL, &TOPICS, &sink, &err), &err);
        assert_string_equal(to.calls, cases[i].calls);
        for (int v = 0; v < to.puts; v++) {
            mtf_assert_ok(mtf_policy_decode(mtf_buf_span(&to.values[v]), &back, &err), &err);
            assert_memory_equal(&back->info, &policy->info, sizeof policy->info);
            mtf_policy_free(back);
            mtf_buf_fini(&to.values[v]);
        }
        mtf_policy_free(policy);
    }
}

static void with_a_signing_key_both_topics_get_the_signed_record(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2][2 * MTF_TEST_PATH];
    notes to = {0};
    mtf_sink sink = sink_to(&to);
    mtf_err err = {0};
    mtf_policy_keys *keys;
    mtf_test_folder(folder);
    key_files_make(folder, "k", 1);
    snprintf(path[0], sizeof path[0], "%s/k.key", folder);
    snprintf(path[1], sizeof path[1], "%s/k.pub", folder);
    mtf_assert_ok(mtf_policy_keys_open(path[0], path[1], true, &keys, &err), &err);
    mtf_policy *policy = sample_policy(1, 3, 4);
    const mtf_policy_draft draft = {.policy = policy, .history = true, .live = true};
    mtf_assert_ok(mtf_policy_publish(&draft, keys, &TOPICS, &sink, &err), &err);
    assert_int_equal(to.puts, 2);
    for (int v = 0; v < to.puts; v++) {
        mtf_assert_ok(mtf_policy_verify(keys, mtf_buf_span(&to.values[v]), &err), &err);
        mtf_buf_fini(&to.values[v]);
    }
    mtf_policy_free(policy);
    mtf_policy_keys_free(keys);
    mtf_test_folder_remove(folder);
}

static void any_failure_aborts_and_is_reported(void **state)
{
    (void)state;
    for (int fail_at = 1; fail_at <= 4; fail_at++) {
        notes to = {.fail_at = fail_at};
        mtf_sink sink = sink_to(&to);
        mtf_err err = {0};
        mtf_policy *policy = sample_policy(1, 3, 4);
        const mtf_policy_draft draft = {.policy = policy, .history = true, .live = true};
        assert_int_equal(mtf_policy_publish(&draft, NULL, &TOPICS, &sink, &err), MTF_BROKER);
        assert_string_equal(err.msg, "told to fail");
        assert_int_equal(to.count, fail_at);
        assert_true((strstr(to.calls, "abort") != NULL) ==
                    (fail_at > 1)); /* nothing begun: nothing to abort */
        for (int v = 0; v < 2; v++) mtf_buf_fini(&to.values[v]);
        mtf_policy_free(policy);
    }
}

static void a_policy_that_no_record_can_hold_touches_no_topic(void **state)
{
    (void)state;
    notes to = {0};
    mtf_sink sink = sink_to(&to);
    mtf_policy *policy = sample_policy(1, 3, 4);
    policy->mean[0] = NAN;
    const mtf_policy_draft draft = {.policy = policy, .history = true};
    assert_int_equal(mtf_policy_publish(&draft, NULL, &TOPICS, &sink, NULL), MTF_INVALID);
    assert_string_equal(to.calls, "");
    mtf_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_and_stage_decide_topic_and_key),
        cmocka_unit_test(with_a_signing_key_both_topics_get_the_signed_record),
        cmocka_unit_test(any_failure_aborts_and_is_reported),
        cmocka_unit_test(a_policy_that_no_record_can_hold_touches_no_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
