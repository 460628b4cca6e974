/** Goal: what an operator orders is a new version of an old network, its parent the head, or is
 *  refused with the reason and what to do instead. Method: topics in memory. */
#include "publish/writer_fixture.h"
#include "publish/policy_order.h"

static mtf_status give(writer_fixture *f, mtf_policy_order *order, mtf_policy_draft *draft,
                       mtf_err *err)
{
    const mtf_policy_writer writer = fixture_writer(f);
    return mtf_policy_write(&writer, mtf_policy_order_decide, order, draft, err);
}

/** 1 and 2 served, 3 held, 4 the head, 5 rejected. `wanted` is kept. */
static void open_five(writer_fixture *f, int64_t wanted)
{
    fixture_init(f, wanted);
    fixture_has(f, 1, 1, 0, "promote");
    fixture_has(f, 2, 2, 1, "promote");
    fixture_has(f, 3, 3, 2, "hold");
    fixture_has(f, 4, 4, 2, "promote");
    fixture_has(f, 5, 5, 4, "reject");
    f->topics[0] = '\0';
}

static double number(const mtf_policy *policy, const char *name)
{
    return mtf_policy_get_number(&policy->info, name);
}

static void assert_same_network(const mtf_policy *policy, uint64_t seed)
{
    mtf_policy *of = sample_policy(seed, 3, 4);
    assert_int_equal(policy->block_count, of->block_count);
    assert_memory_equal(policy->block, of->block, of->block_count * sizeof(float));
    mtf_policy_free(of);
}

static void a_rollback_serves_an_old_network_under_a_new_version(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 2);
    mtf_policy_order order = {
        .kind = MTF_POLICY_ROLLBACK, .version = 2, .reason = "clicks fell", .now_ms = 77};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:6(promote) sample:6(promote) ");
    const mtf_policy *head = fixture_head(&f);
    assert_int_equal(head->info.parent, 4);
    assert_int_equal(head->info.created_ms, 77);
    assert_string_equal(head->info.reason, "rollback to version 2: clicks fell");
    assert_int_equal((int)number(head, "rollback_of"), 2);
    assert_int_equal((int)number(head, "payload_of"), 2);
    assert_same_network(head, 2);

    order.version = 2; /* and again: it is served already */
    assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
    assert_non_null(
        strstr(err.msg, "the network of version 2 is what version 6, the head, serves"));
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void a_rollback_to_a_rollback_names_the_version_that_was_trained(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 7);
    mtf_policy *back = fixture_policy(2, 6, 4, "promote");
    mtf_policy_set_number(&back->info, "payload_of", 2);
    fixture_publish(&f, back);
    fixture_has(&f, 8, 8, 6, "promote");
    back->info.version = 7;
    back->info.parent = 8;
    fixture_publish(&f, back);
    fixture_has(&f, 9, 9, 7, "promote");
    mtf_policy_order order = {.kind = MTF_POLICY_ROLLBACK, .version = 7, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_int_equal(fixture_head(&f)->info.version, 10);
    assert_int_equal((int)number(fixture_head(&f), "rollback_of"), 2);
    assert_string_equal(fixture_head(&f)->info.reason, "rollback to version 7");
    mtf_policy_free(back);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void what_must_not_be_done_is_refused_with_what_to_do_instead(void **state)
{
    (void)state;
    static const struct {
        mtf_policy_order order;
        const char *words;
    } cases[] = {
        {{.kind = MTF_POLICY_ROLLBACK, .version = 4}, "version 4, the head, serves"},
        {{.kind = MTF_POLICY_ROLLBACK, .version = 9}, "no version 9 of sample"},
        {{.kind = MTF_POLICY_ROLLBACK, .version = 3}, "mtf policy promote --version 3"},
        {{.kind = MTF_POLICY_ROLLBACK, .version = 5}, "verdict reject"},
        {{.kind = MTF_POLICY_PROMOTE, .version = 2}, "mtf policy rollback --version 2"},
        {{.kind = MTF_POLICY_PROMOTE, .version = 9}, "mtf policy list --history"},
        {{.kind = MTF_POLICY_ROLLBACK, .version = 2, .if_head = 3}, "the head is version 4, not 3"},
        {{.kind = MTF_POLICY_FREEZE, .if_head = 2}, "(--if-head): nothing was done"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_fixture f;
        mtf_policy_draft draft;
        mtf_err err = {0};
        mtf_policy_order order = cases[i].order;
        order.reason = "";
        open_five(&f, order.version);
        assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i].words)) fail_msg("case %zu: %s", i, err.msg);
        assert_string_equal(f.topics, "");
        mtf_policy_order_fini(&order);
        fixture_fini(&f);
    }
}

static void a_policy_that_serving_code_could_not_use_is_refused(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    fixture_init(&f, 1);
    mtf_policy *wide = sample_policy(1, 5, 4);
    wide->info.version = 1, wide->info.parent = 0;
    fixture_publish(&f, wide);
    fixture_has(&f, 2, 2, 1, "promote");
    mtf_policy_order order = {.kind = MTF_POLICY_ROLLBACK, .version = 1, .reason = ""};
    assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "version 1 takes 5 states"));
    mtf_policy_free(wide);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void a_held_candidate_is_promoted_under_a_new_version(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 3);
    mtf_policy_order order = {.kind = MTF_POLICY_PROMOTE, .version = 3, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:6(promote) sample:6(promote) ");
    const mtf_policy *head = fixture_head(&f);
    assert_int_equal(head->info.parent, 4);
    assert_string_equal(head->info.reason, "promoted by hand from version 3, verdict hold");
    assert_int_equal((int)number(head, "promoted_from"), 3);
    assert_int_equal((int)number(head, "payload_of"), 3);
    assert_same_network(head, 3);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

/** Version 6, whose parent is the head, on trial. */
static void on_trial(writer_fixture *f, const char *stage)
{
    mtf_policy *trial = fixture_policy(6, 6, 4, "canary");
    snprintf(trial->info.stage, sizeof trial->info.stage, "%s", stage);
    if (strcmp(stage, "canary") == 0) mtf_policy_set_number(&trial->info, MTF_CANARY_PERCENT, 5);
    fixture_publish(f, trial);
    mtf_policy_free(trial);
    f->topics[0] = '\0';
}

/** Whatever becomes the head: nothing is on trial against the old one any more. */
static void a_new_head_ends_what_is_on_trial(void **state)
{
    (void)state;
    static const struct {
        mtf_policy_order_kind kind;
        int64_t version;
        const char *stage, *topics;
    } cases[] = {
        {MTF_POLICY_PROMOTE, 6, "canary", "history:7(promote) sample:7(promote) -sample#canary "},
        {MTF_POLICY_PROMOTE, 6, "shadow", "history:7(promote) sample:7(promote) -sample#shadow "},
        {MTF_POLICY_PROMOTE, 3, "canary", "history:7(promote) sample:7(promote) -sample#canary "},
        {MTF_POLICY_ROLLBACK, 2, "canary", "history:7(promote) sample:7(promote) -sample#canary "},
        {MTF_POLICY_FREEZE, 0, "shadow", "history:7(promote) sample:7(promote) -sample#shadow "},
        {MTF_POLICY_FREEZE, 0, "canary", "history:7(promote) sample:7(promote) -sample#canary "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_fixture f;
        mtf_policy_draft draft;
        mtf_err err = {0};
        open_five(&f, cases[i].version);
        on_trial(&f, cases[i].stage);
        mtf_policy_order order = {.kind = cases[i].kind, .version = cases[i].version, .reason = ""};
        mtf_assert_ok(give(&f, &order, &draft, &err), &err);
        assert_string_equal(f.topics, cases[i].topics);
        assert_string_equal(fixture_head(&f)->info.stage, "live");
        mtf_policy_order_fini(&order);
        fixture_fini(&f);
    }
}

static const mtf_policy *at(const writer_fixture *f, const char *key)
{
    return mtf_policy_book_find(&f->live, key, 0);
}

static void a_shadow_becomes_the_canary_and_the_canary_the_head(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    const mtf_policy_number found = {"shadow.value_z", 2.5};
    open_five(&f, 6);
    on_trial(&f, "shadow");
    mtf_policy_order order = {.kind = MTF_POLICY_CANARY,
                              .version = 6,
                              .if_head = 4,
                              .if_trial = 6,
                              .by_gate = true,
                              .percent = 5,
                              .reason = "it held",
                              .numbers = &found,
                              .number_count = 1};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:7(canary) sample#canary:7(canary) -sample#shadow ");
    assert_int_equal(fixture_head(&f)->info.version, 4);
    const mtf_policy *canary = at(&f, "sample#canary");
    assert_string_equal(canary->info.reason, "canary of version 6: it held");
    assert_int_equal(canary->info.parent, 4);
    assert_true(number(canary, MTF_CANARY_PERCENT) == 5 && number(canary, "payload_of") == 6);
    assert_true(number(canary, "shadow.value_z") == 2.5);
    assert_true(isnan(number(canary, MTF_POLICY_BY_GATE)));
    mtf_policy_order_fini(&order);

    f.ledger.wanted = 7;
    f.topics[0] = '\0';
    mtf_policy *seven = mtf_policy_clone(canary);
    mtf_policy_free(f.ledger.kept);
    f.ledger.kept = seven;
    order = (mtf_policy_order){.kind = MTF_POLICY_PROMOTE,
                               .version = 7,
                               .if_head = 4,
                               .if_trial = 7,
                               .by_gate = true,
                               .reason = "it brings more"};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:8(promote) sample:8(promote) -sample#canary ");
    const mtf_policy *head = fixture_head(&f);
    assert_string_equal(head->info.reason,
                        "promoted from version 7, verdict canary: it brings more");
    assert_string_equal(head->info.stage, "live");
    assert_true(number(head, MTF_POLICY_BY_GATE) == 1 && number(head, "payload_of") == 6);
    assert_same_network(head, 6);
    mtf_policy_order_fini(&order);
    /* An operator's order is nobody's but hers. */
    order = (mtf_policy_order){.kind = MTF_POLICY_FREEZE, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_true(number(fixture_head(&f), MTF_POLICY_BY_GATE) == 0);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void what_is_withdrawn_stays_in_the_history_only(void **state)
{
    (void)state;
    static const char *const stages[] = {"canary", "shadow"};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        writer_fixture f;
        mtf_policy_draft draft;
        mtf_err err = {0};
        char topics[100];
        open_five(&f, 0);
        on_trial(&f, stages[i]);
        mtf_policy_order order = {
            .kind = MTF_POLICY_WITHDRAW, .if_trial = 6, .reason = "it brings less"};
        mtf_assert_ok(give(&f, &order, &draft, &err), &err);
        snprintf(topics, sizeof topics, "history:7(reject) -sample#%s ", stages[i]);
        assert_string_equal(f.topics, topics);
        assert_int_equal(fixture_head(&f)->info.version, 4);
        const mtf_policy_line *line = mtf_policy_ledger_find(&f.ledger, 7);
        snprintf(topics, sizeof topics, "%s of version 6 withdrawn: it brings less", stages[i]);
        assert_string_equal(line->reason, topics);
        assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "neither canary nor shadow"));
        mtf_policy_order_fini(&order);
        fixture_fini(&f);
    }
}

static void an_order_about_another_trial_is_refused(void **state)
{
    (void)state;
    static const struct {
        mtf_policy_order order;
        const char *words;
    } cases[] = {
        {{.kind = MTF_POLICY_WITHDRAW, .if_trial = 5}, "the canary is version 6, not 5"},
        {{.kind = MTF_POLICY_PROMOTE, .version = 3, .if_trial = 5}, "the canary is version 6, not"},
        {{.kind = MTF_POLICY_CANARY, .version = 3, .percent = 5}, "mtf policy withdraw ends it"},
        {{.kind = MTF_POLICY_WITHDRAW, .if_head = 3}, "the head is version 4, not 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_fixture f;
        mtf_policy_draft draft;
        mtf_err err = {0};
        mtf_policy_order order = cases[i].order;
        order.reason = "";
        open_five(&f, order.version);
        on_trial(&f, "canary");
        assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
        if (!strstr(err.msg, cases[i].words)) fail_msg("case %zu: %s", i, err.msg);
        assert_string_equal(f.topics, "");
        mtf_policy_order_fini(&order);
        fixture_fini(&f);
    }
}

/** A commit of which we heard no end is not done again, whichever of its parts came through. */
static void a_withdrawal_that_was_half_heard_is_finished_and_not_doubled(void **state)
{
    (void)state;
    for (int heard = 0; heard < 4; heard++) {
        writer_fixture f;
        mtf_policy_draft draft;
        mtf_err err = {0};
        open_five(&f, 0);
        on_trial(&f, "canary");
        f.commits_fail = 1, f.commit_status = MTF_FENCED;
        f.history_hears = heard & 1, f.live_hears = heard & 2;
        mtf_policy_order order = {.kind = MTF_POLICY_WITHDRAW, .if_trial = 6, .reason = ""};
        const mtf_status status = give(&f, &order, &draft, &err);
        /* Gone from the policy topic and not in the history: not ours to tell from another's. */
        assert_int_equal(status, heard == 2 ? MTF_INVALID : MTF_OK);
        assert_null(at(&f, "sample#canary"));
        int records = 0;
        for (size_t i = 0; i < f.ledger.count; i++) records += f.ledger.lines[i].version > 6;
        assert_int_equal(records, heard == 2 ? 0 : 1);
        mtf_policy_order_fini(&order);
        fixture_fini(&f);
    }
}

static void freeze_and_thaw_change_the_box_only_and_once(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 0);
    mtf_policy_order order = {.kind = MTF_POLICY_FREEZE, .reason = "incident 12"};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_true(fixture_head(&f)->info.box == 0);
    assert_int_equal(fixture_head(&f)->info.parent, 4);
    assert_int_equal((int)number(fixture_head(&f), "payload_of"), 4);
    assert_string_equal(fixture_head(&f)->info.reason, "freeze of version 4: incident 12");
    assert_same_network(fixture_head(&f), 4);
    mtf_assert_ok(give(&f, &order, &draft, &err), &err); /* it is so already */
    assert_false(draft.history || draft.live);
    assert_int_equal(draft.policy->info.version, 6);

    order.kind = MTF_POLICY_THAW;
    order.box = 0.15;
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:6(promote) sample:6(promote) "
                                  "history:7(promote) sample:7(promote) ");
    assert_true(fixture_head(&f)->info.box == 0.15F);
    assert_int_equal((int)number(fixture_head(&f), "payload_of"), 4);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void a_rollback_while_frozen_stays_frozen(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 2);
    mtf_policy_order order = {.kind = MTF_POLICY_FREEZE, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    order.kind = MTF_POLICY_ROLLBACK;
    order.version = 2;
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_int_equal(fixture_head(&f)->info.version, 7);
    assert_true(fixture_head(&f)->info.box == 0);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void a_round_publishes(writer_fixture *f)
{
    fixture_has(f, 9, 6, 4, "promote");
    f->meanwhile = NULL;
}

static void an_order_that_meets_a_round_comes_after_it(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 2);
    f.commits_fail = 1;
    f.commit_status = MTF_FENCED;
    f.meanwhile = a_round_publishes;
    mtf_policy_order order = {.kind = MTF_POLICY_ROLLBACK, .version = 2, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_int_equal(fixture_head(&f)->info.version, 7);
    assert_int_equal(fixture_head(&f)->info.parent, 6);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void another_gives_the_same_order(writer_fixture *f)
{
    mtf_policy *back = fixture_policy(2, 6, 4, "promote");
    mtf_policy_set_number(&back->info, "payload_of", 2);
    fixture_publish(f, back);
    mtf_policy_free(back);
    f->meanwhile = NULL;
}

static void one_of_two_who_give_the_same_order_is_told_that_it_is_done(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 2);
    f.commits_fail = 1;
    f.commit_status = MTF_FENCED;
    f.meanwhile = another_gives_the_same_order;
    mtf_policy_order order = {
        .kind = MTF_POLICY_ROLLBACK, .version = 2, .reason = "mine", .now_ms = 5};
    assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "version 6, the head, serves: nothing to do"));
    assert_string_equal(f.topics, "history:6(promote) sample:6(promote) ");
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void an_order_whose_answer_was_lost_is_done_once(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    open_five(&f, 2);
    f.commits_fail = 1;
    f.commit_status = MTF_AGAIN;
    f.history_hears = f.live_hears = true;
    mtf_policy_order order = {.kind = MTF_POLICY_ROLLBACK, .version = 2, .reason = ""};
    mtf_assert_ok(give(&f, &order, &draft, &err), &err);
    assert_string_equal(f.topics, "history:6(promote) sample:6(promote) ");
    assert_true(draft.history && draft.live);
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

static void a_reason_that_no_record_holds_is_refused(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    mtf_err err = {0};
    char words[400];
    open_five(&f, 2);
    memset(words, 'w', sizeof words);
    words[sizeof words - 1] = '\0';
    mtf_policy_order order = {.kind = MTF_POLICY_ROLLBACK, .version = 2, .reason = words};
    assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "--reason is too long"));
    order.reason = "two\nlines";
    assert_int_equal(give(&f, &order, &draft, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "the reason is not text"));
    assert_string_equal(f.topics, "");
    mtf_policy_order_fini(&order);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollback_serves_an_old_network_under_a_new_version),
        cmocka_unit_test(a_rollback_to_a_rollback_names_the_version_that_was_trained),
        cmocka_unit_test(what_must_not_be_done_is_refused_with_what_to_do_instead),
        cmocka_unit_test(a_policy_that_serving_code_could_not_use_is_refused),
        cmocka_unit_test(a_held_candidate_is_promoted_under_a_new_version),
        cmocka_unit_test(a_new_head_ends_what_is_on_trial),
        cmocka_unit_test(a_shadow_becomes_the_canary_and_the_canary_the_head),
        cmocka_unit_test(what_is_withdrawn_stays_in_the_history_only),
        cmocka_unit_test(an_order_about_another_trial_is_refused),
        cmocka_unit_test(a_withdrawal_that_was_half_heard_is_finished_and_not_doubled),
        cmocka_unit_test(freeze_and_thaw_change_the_box_only_and_once),
        cmocka_unit_test(a_rollback_while_frozen_stays_frozen),
        cmocka_unit_test(an_order_that_meets_a_round_comes_after_it),
        cmocka_unit_test(one_of_two_who_give_the_same_order_is_told_that_it_is_done),
        cmocka_unit_test(an_order_whose_answer_was_lost_is_done_once),
        cmocka_unit_test(a_reason_that_no_record_holds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
