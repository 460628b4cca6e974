/** Goal: whoever writes at the same time, each served version's parent is the served version before
 *  it, no candidate is published twice, and no number is used twice. Method: topics in memory whose
 *  sink is fenced, loses answers or halves of units, with other writers coming between. */
#include "publish/writer_fixture.h"

static mtf_status publish(writer_fixture *f, mtf_policy *candidate, mtf_policy_draft *draft)
{
    mtf_err err = {0};
    const mtf_policy_writer writer = fixture_writer(f);
    return mtf_policy_write(&writer, mtf_policy_decide_candidate, candidate, draft, &err);
}

static void publish_ok(writer_fixture *f, mtf_policy *candidate)
{
    mtf_policy_draft draft;
    assert_int_equal(publish(f, candidate, &draft), MTF_OK);
}

/** Versions 1 and 2 served, 2 the head. */
static void open_two(writer_fixture *f)
{
    fixture_init(f, 0);
    fixture_has(f, 1, 1, 0, "promote");
    fixture_has(f, 2, 2, 1, "promote");
    f->topics[0] = '\0';
}

static void the_first_policy_is_published_with_no_head(void **state)
{
    (void)state;
    writer_fixture f;
    fixture_init(&f, 0);
    mtf_policy *first = fixture_policy(1, 1, 0, "promote");
    publish_ok(&f, first);
    assert_string_equal(f.topics, "history:1(promote) sample:1(promote) ");
    publish_ok(&f, first);
    assert_string_equal(f.topics, "history:1(promote) sample:1(promote) ");
    mtf_policy_free(first);
    fixture_fini(&f);
}

static void a_child_of_the_head_is_served_and_a_hold_goes_to_the_history_only(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    mtf_policy *held = fixture_policy(3, 3, 2, "hold"), *child = fixture_policy(4, 4, 2, "promote");
    publish_ok(&f, held);
    publish_ok(&f, child);
    assert_string_equal(f.topics, "history:3(hold) history:4(promote) sample:4(promote) ");
    assert_int_equal(fixture_head(&f)->info.parent, 2);
    assert_int_equal(f.waits, 0);
    mtf_policy_free(held);
    mtf_policy_free(child);
    fixture_fini(&f);
}

static void a_round_that_comes_too_late_is_held_and_says_so(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    mtf_policy *late = fixture_policy(3, 3, 1, "promote");
    publish_ok(&f, late);
    assert_string_equal(f.topics, "history:3(hold) ");
    assert_string_equal(late->info.verdict, "hold");
    assert_string_equal(late->info.reason,
                        "parent_changed: the head is version 2, this round started from version 1");
    assert_string_equal(mtf_policy_ledger_find(&f.ledger, 3)->reason, late->info.reason);
    mtf_policy_free(late);
    fixture_fini(&f);
}

static void a_candidate_without_any_head_is_held_unless_it_is_the_first(void **state)
{
    (void)state;
    writer_fixture f;
    fixture_init(&f, 0);
    mtf_policy *orphan = fixture_policy(3, 3, 2, "promote");
    publish_ok(&f, orphan);
    assert_string_equal(f.topics, "history:3(hold) ");
    mtf_policy_free(orphan);
    fixture_fini(&f);
}

static void what_is_published_is_not_published_again_whatever_its_verdict(void **state)
{
    (void)state;
    static const char *const verdicts[] = {"promote", "hold", "reject"};
    for (size_t i = 0; i < 3; i++) {
        writer_fixture f;
        char once[2000];
        open_two(&f);
        mtf_policy *one = fixture_policy(3, 3, 2, verdicts[i]);
        mtf_policy *again = fixture_policy(3, 3, 2, verdicts[i]);
        publish_ok(&f, one);
        memcpy(once, f.topics, sizeof once);
        publish_ok(&f, again);
        assert_string_equal(f.topics, once);
        assert_string_equal(again->info.verdict, verdicts[i]);
        mtf_policy_free(one);
        mtf_policy_free(again);
        fixture_fini(&f);
    }
}

/** A late round published as a hold, then a crash: its record still says promote. */
static void a_repeated_late_round_learns_what_became_of_it(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    open_two(&f);
    mtf_policy *late = fixture_policy(3, 2, 1, "promote"); /* its number was used meanwhile, too */
    mtf_policy *again = fixture_policy(3, 2, 1, "promote");
    publish_ok(&f, late);
    assert_int_equal(late->info.version, 3);
    assert_string_equal(f.topics, "history:3(hold) ");
    assert_int_equal(publish(&f, again, &draft), MTF_OK);
    assert_string_equal(f.topics, "history:3(hold) ");
    assert_false(draft.history || draft.live || draft.drop_canary);
    assert_int_equal(again->info.version, 3);
    assert_string_equal(again->info.verdict, "hold");
    assert_string_equal(again->info.reason, late->info.reason);
    mtf_policy_free(late);
    mtf_policy_free(again);
    fixture_fini(&f);
}

static void a_repeated_round_whose_service_is_over_is_not_served_again(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    mtf_policy *again = fixture_policy(2, 2, 1, "promote");
    fixture_has(&f, 3, 3, 2, "promote");
    f.topics[0] = '\0';
    publish_ok(&f, again);
    assert_string_equal(f.topics, "");
    assert_int_equal(fixture_head(&f)->info.version, 3);
    mtf_policy_free(again);
    fixture_fini(&f);
}

static void a_number_that_was_used_meanwhile_becomes_the_next_free_one(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    fixture_has(&f, 7, 3, 2, "hold"); /* another learner's */
    f.topics[0] = '\0';
    mtf_policy *child = fixture_policy(4, 3, 2, "promote");
    publish_ok(&f, child);
    assert_int_equal(child->info.version, 4);
    assert_string_equal(f.topics, "history:4(promote) sample:4(promote) ");
    mtf_policy_free(child);
    fixture_fini(&f);
}

static void others_publish_three(writer_fixture *f)
{
    fixture_has(f, 9, 3, 2, "promote");
    f->meanwhile = NULL;
}

static void a_fenced_writer_starts_over_and_sees_the_others_head(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    f.commits_fail = 1;
    f.commit_status = MTF_FENCED;
    f.meanwhile = others_publish_three;
    mtf_policy *child = fixture_policy(3, 3, 2, "promote");
    publish_ok(&f, child);
    assert_string_equal(f.topics, "history:3(promote) sample:3(promote) history:4(hold) ");
    assert_int_equal(child->info.version, 4);
    assert_string_equal(child->info.verdict, "hold");
    assert_int_equal(f.waits, 1);
    assert_int_equal(f.taken, 2);
    mtf_policy_free(child);
    fixture_fini(&f);
}

static void one_that_is_always_fenced_waits_for_another_time(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    open_two(&f);
    f.commits_fail = 100;
    f.commit_status = MTF_FENCED;
    mtf_policy *child = fixture_policy(3, 3, 2, "promote");
    assert_int_equal(publish(&f, child, &draft), MTF_AGAIN);
    assert_string_equal(f.topics, "");
    assert_in_range(f.taken, 2, 10);
    mtf_policy_free(child);
    fixture_fini(&f);
}

static void who_may_not_write_now_does_not_try(void **state)
{
    (void)state;
    writer_fixture f;
    mtf_policy_draft draft;
    open_two(&f);
    f.take_status = MTF_AGAIN;
    mtf_policy *child = fixture_policy(3, 3, 2, "promote");
    assert_int_equal(publish(&f, child, &draft), MTF_AGAIN);
    assert_int_equal(f.waits, 0);
    f.take_status = MTF_INVALID; /* no permission: no retry mends it */
    assert_int_equal(publish(&f, child, &draft), MTF_INVALID);
    assert_int_equal(f.waits, 0);
    mtf_policy_free(child);
    fixture_fini(&f);
}

/** At least once: of a unit whose answer was lost, both, none or one half may have come through. */
static void a_lost_answer_publishes_what_is_missing_and_nothing_twice(void **state)
{
    (void)state;
    for (int halves = 0; halves < 4; halves++) {
        writer_fixture f;
        open_two(&f);
        f.commits_fail = 1;
        f.commit_status = MTF_AGAIN;
        f.history_hears = halves & 1;
        f.live_hears = halves & 2;
        mtf_policy *child = fixture_policy(3, 3, 2, "promote");
        publish_ok(&f, child);
        assert_string_equal(f.topics, halves == 2 ? "sample:3(promote) history:3(promote) "
                                                  : "history:3(promote) sample:3(promote) ");
        assert_string_equal(child->info.verdict, "promote");
        mtf_policy_free(child);
        fixture_fini(&f);
    }
}

/** The same when the process was killed, and its next life publishes the candidate again. */
static void a_crash_in_the_midst_publishes_what_is_missing_and_nothing_twice(void **state)
{
    (void)state;
    for (int halves = 0; halves < 4; halves++) {
        writer_fixture f;
        mtf_policy_draft draft;
        open_two(&f);
        f.commits_fail = 1;
        f.commit_status = MTF_INVALID; /* ends the first life */
        f.history_hears = halves & 1;
        f.live_hears = halves & 2;
        mtf_policy *child = fixture_policy(3, 3, 2, "promote");
        mtf_policy *again = fixture_policy(3, 3, 2, "promote");
        assert_int_equal(publish(&f, child, &draft), MTF_INVALID);
        publish_ok(&f, again);
        assert_string_equal(f.topics, halves == 2 ? "sample:3(promote) history:3(promote) "
                                                  : "history:3(promote) sample:3(promote) ");
        assert_int_equal(again->info.version, 3);
        mtf_policy_free(child);
        mtf_policy_free(again);
        fixture_fini(&f);
    }
}

static mtf_policy *trial_policy(uint64_t seed, int64_t version, int64_t parent, const char *stage)
{
    mtf_policy *policy = fixture_policy(seed, version, parent, "canary");
    snprintf(policy->info.stage, sizeof policy->info.stage, "%s", stage);
    return policy;
}

static void a_candidate_on_trial_leaves_the_head_and_is_alone(void **state)
{
    (void)state;
    static const struct {
        const char *stage, *topics;
    } cases[] = {{"canary", "history:3(canary) sample#canary:3(canary) "},
                 {"shadow", "history:3(canary) sample#shadow:3(canary) "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_fixture f;
        open_two(&f);
        mtf_policy *first = trial_policy(3, 3, 2, cases[i].stage);
        mtf_policy *again = trial_policy(3, 3, 2, cases[i].stage);
        mtf_policy *second = trial_policy(4, 4, 2, "canary");
        mtf_policy *late = trial_policy(5, 5, 1, "canary");
        publish_ok(&f, first);
        assert_string_equal(f.topics, cases[i].topics);
        publish_ok(&f, again);
        assert_string_equal(f.topics, cases[i].topics);
        assert_int_equal(fixture_head(&f)->info.version, 2);
        f.topics[0] = '\0';
        publish_ok(&f, second);
        publish_ok(&f, late);
        assert_string_equal(f.topics, "history:4(hold) history:5(hold) ");
        assert_memory_equal(second->info.reason, "trial: version 3 is the ", 24);
        assert_memory_equal(late->info.reason, "parent_changed: the head is version 2", 37);
        f.topics[0] = '\0';
        mtf_policy *child = fixture_policy(6, 6, 2, "promote");
        publish_ok(&f, child);
        assert_null(mtf_policy_book_find(&f.live, "sample#canary", 0));
        assert_null(mtf_policy_book_find(&f.live, "sample#shadow", 0));
        publish_ok(&f, again); /* a crashed learner's next life: it was withdrawn meanwhile */
        assert_null(mtf_policy_book_find(&f.live, "sample#canary", 0));
        mtf_policy *all[] = {first, again, second, late, child};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) mtf_policy_free(all[k]);
        fixture_fini(&f);
    }
}

static void a_crash_in_the_midst_of_a_trials_publication_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int halves = 0; halves < 4; halves++) {
        writer_fixture f;
        mtf_policy_draft draft;
        open_two(&f);
        f.commits_fail = 1;
        f.commit_status = MTF_INVALID; /* ends the first life */
        f.history_hears = halves & 1;
        f.live_hears = halves & 2;
        mtf_policy *one = trial_policy(3, 3, 2, "canary"), *again = trial_policy(3, 3, 2, "canary");
        assert_int_equal(publish(&f, one, &draft), MTF_INVALID);
        publish_ok(&f, again);
        assert_string_equal(f.topics, halves == 2 ? "sample#canary:3(canary) history:3(canary) "
                                                  : "history:3(canary) sample#canary:3(canary) ");
        assert_string_equal(again->info.verdict, "canary");
        mtf_policy_free(one);
        mtf_policy_free(again);
        fixture_fini(&f);
    }
}

static void a_lost_policy_topic_gets_a_first_policy_of_a_new_number(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    mtf_policy_book_fini(&f.live);
    mtf_policy *first = fixture_policy(1, 3, 0, "promote"); /* the history has it as version 1 */
    publish_ok(&f, first);
    assert_string_equal(f.topics, "history:3(promote) sample:3(promote) ");
    mtf_policy_free(first);
    fixture_fini(&f);
}

static void a_frozen_head_has_frozen_children(void **state)
{
    (void)state;
    writer_fixture f;
    open_two(&f);
    mtf_policy *frozen = fixture_policy(2, 3, 2, "promote");
    frozen->info.box = 0;
    fixture_publish(&f, frozen);
    mtf_policy *child = fixture_policy(4, 4, 3, "promote");
    assert_true(child->info.box > 0);
    publish_ok(&f, child);
    assert_int_equal(fixture_head(&f)->info.version, 4);
    assert_true(fixture_head(&f)->info.box == 0);
    mtf_policy_free(frozen);
    mtf_policy_free(child);
    fixture_fini(&f);
}

static void the_ledger_keeps_what_is_wanted_and_refuses_what_is_broken(void **state)
{
    (void)state;
    mtf_policy_ledger ledger = {.name = "sample", .wanted = 2};
    mtf_buf record = {0};
    mtf_err err = {0};
    for (int64_t version = 1; version <= 3; version++) {
        mtf_policy *policy = fixture_policy((uint64_t)version, version, version - 1, "hold");
        mtf_buf_clear(&record);
        mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
        mtf_assert_ok(
            mtf_policy_ledger_add(&ledger, fixture_text("sample"), mtf_buf_span(&record), &err),
            &err);
        mtf_policy_free(policy);
    }
    /* Another's name, a tombstone, and a record cut short. */
    mtf_assert_ok(
        mtf_policy_ledger_add(&ledger, fixture_text("other"), mtf_buf_span(&record), &err), &err);
    mtf_assert_ok(mtf_policy_ledger_add(&ledger, fixture_text("sample"), (mtf_span){NULL, 0}, &err),
                  &err);
    assert_int_equal(mtf_policy_ledger_add(&ledger, fixture_text("sample"),
                                           (mtf_span){record.data, record.size / 2}, &err),
                     MTF_SKIP);
    assert_int_equal(ledger.refused, 1);
    assert_int_equal(ledger.count, 3);
    assert_int_equal(ledger.newest, 3);
    assert_int_equal(ledger.kept->info.version, 2);
    assert_int_equal(mtf_policy_ledger_find(&ledger, 3)->parent, 2);
    assert_null(mtf_policy_ledger_find(&ledger, 4));
    mtf_buf_fini(&record);
    mtf_policy_ledger_fini(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_policy_is_published_with_no_head),
        cmocka_unit_test(a_child_of_the_head_is_served_and_a_hold_goes_to_the_history_only),
        cmocka_unit_test(a_round_that_comes_too_late_is_held_and_says_so),
        cmocka_unit_test(a_candidate_without_any_head_is_held_unless_it_is_the_first),
        cmocka_unit_test(what_is_published_is_not_published_again_whatever_its_verdict),
        cmocka_unit_test(a_repeated_late_round_learns_what_became_of_it),
        cmocka_unit_test(a_repeated_round_whose_service_is_over_is_not_served_again),
        cmocka_unit_test(a_number_that_was_used_meanwhile_becomes_the_next_free_one),
        cmocka_unit_test(a_fenced_writer_starts_over_and_sees_the_others_head),
        cmocka_unit_test(one_that_is_always_fenced_waits_for_another_time),
        cmocka_unit_test(who_may_not_write_now_does_not_try),
        cmocka_unit_test(a_lost_answer_publishes_what_is_missing_and_nothing_twice),
        cmocka_unit_test(a_crash_in_the_midst_publishes_what_is_missing_and_nothing_twice),
        cmocka_unit_test(a_candidate_on_trial_leaves_the_head_and_is_alone),
        cmocka_unit_test(a_crash_in_the_midst_of_a_trials_publication_loses_and_doubles_nothing),
        cmocka_unit_test(a_lost_policy_topic_gets_a_first_policy_of_a_new_number),
        cmocka_unit_test(a_frozen_head_has_frozen_children),
        cmocka_unit_test(the_ledger_keeps_what_is_wanted_and_refuses_what_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
