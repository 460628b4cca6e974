/** Goal: an audit names what is missing, doubled, altered or nobody's; explains what idle jumps do
 *  and nothing else; and judges nothing it cannot know. Method: books of a few sessions. */
#include "cli/audit_book.h"
#include "support/mtf_test.h"

#include <string.h>

static const audit_rules all_judged = {true, INT64_MIN, INT64_MAX};

/** A session of a user whose steps have these one-letter ids; its id is the first of them. */
typedef struct small {
    mtf_session session;
    mtf_step steps[8];
    char ids[8][2];
} small;

static const mtf_session *make(small *s, const char *user, const char *steps)
{
    memset(s, 0, sizeof *s);
    s->session.user_id = mtf_str_of(user);
    s->session.steps = s->steps;
    s->session.started_ms = 1000;
    s->session.parts = 1;
    s->session.session_id[0] = (uint8_t)steps[0];
    s->session.session_id[1] = (uint8_t)user[0];
    for (; steps[s->session.step_count]; s->session.step_count++) {
        const uint32_t i = s->session.step_count;
        s->ids[i][0] = steps[i];
        s->steps[i].event_id = mtf_str_of(s->ids[i]);
    }
    return &s->session;
}

static void expect(audit_book *book, const char *user, const char *steps, audit_scope scope)
{
    small s;
    mtf_err err = {0};
    mtf_assert_ok(audit_expect_session(book, make(&s, user, steps),
                                       (mtf_span){(const uint8_t *)steps, strlen(steps)}, scope, 0,
                                       &err),
                  &err);
}

/** content stands for the record's bytes; NULL: as the steps are. */
static void find(audit_book *book, const char *user, const char *steps, const char *content)
{
    small s;
    mtf_err err = {0};
    const char *text = content ? content : steps;
    mtf_assert_ok(audit_find_session(book, make(&s, user, steps),
                                     (mtf_span){(const uint8_t *)text, strlen(text)}, 2, 9, &err),
                  &err);
}

static void late(audit_book *book, int64_t offset, const char *user, const char *id,
                 mtf_event_kind kind)
{
    mtf_err err = {0};
    const mtf_event event = {.user_id = mtf_str_of(user), .event_id = mtf_str_of(id), .kind = kind};
    mtf_assert_ok(audit_find_aside(book, AUDIT_LATE, 0, offset, true, false, &event, &err), &err);
}

/** "sessions kind missing/doubled/different/unexpected explained not-judged" of one kind. */
static void check(audit_book *book, const audit_rules *rules, audit_kind kind, const char *wanted)
{
    char text[200];
    mtf_err err = {0};
    audit_verdict verdict;
    mtf_assert_ok(audit_judge(book, rules, 10, &verdict, &err), &err);
    const audit_tally *t = &verdict.of[kind];
    snprintf(text, sizeof text, "%d of %d: -%d x%d ~%d +%d, explained %d, not judged %d",
             (int)t->found, (int)t->expected, (int)t->missing, (int)t->doubled, (int)t->different,
             (int)t->unexpected, (int)t->explained, (int)t->not_judged);
    assert_string_equal(text, wanted);
    audit_verdict_fini(&verdict);
}

#define BOOK(code)                                                                                 \
    do {                                                                                           \
        audit_book *book = audit_book_new();                                                       \
        assert_non_null(book);                                                                     \
        code;                                                                                      \
        audit_book_free(book);                                                                     \
    } while (0)
#define SESSIONS(rules, wanted) check(book, &(rules), AUDIT_SESSION, wanted)
#define LATES(rules, wanted)    check(book, &(rules), AUDIT_LATE, wanted)

static void differences_of_sessions_are_told(void **state)
{
    (void)state;
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         SESSIONS(all_judged, "1 of 1: -0 x0 ~0 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED);
         SESSIONS(all_judged, "0 of 1: -1 x0 ~0 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         find(book, "u", "ab", NULL);
         SESSIONS(all_judged, "1 of 1: -0 x1 ~0 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "ab", "altered");
         SESSIONS(all_judged, "0 of 1: -0 x0 ~1 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "a", NULL);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~1 +0, explained 0, not judged 0"));
    BOOK(find(book, "u", "ab", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +1, explained 0, not judged 0"));
    /* An idle jump puts out what the log has not closed: that is judged as far as it can be. */
    BOOK(expect(book, "u", "ab", AUDIT_OPEN); find(book, "u", "ab", NULL);
         find(book, "u", "ab", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x1 ~0 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_OPEN); find(book, "u", "a", NULL);
         find(book, "u", "ab", NULL); find(book, "u", "a", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x1 ~0 +0, explained 0, not judged 0"));
}

static void a_difference_says_which_and_where(void **state)
{
    (void)state;
    mtf_err err = {0};
    audit_verdict verdict;
    audit_book *book = audit_book_new();
    expect(book, "u", "ab", AUDIT_JUDGED);
    find(book, "u", "abc", NULL);
    mtf_assert_ok(audit_judge(book, &all_judged, 10, &verdict, &err), &err);
    assert_int_equal(verdict.difference_count, 1);
    assert_int_equal(verdict.listed_count, 1);
    const audit_difference *d = &verdict.listed[0];
    assert_int_equal(d->kind, AUDIT_SESSION);
    assert_int_equal(d->problem, AUDIT_DIFFERENT);
    assert_int_equal(d->session_id[0], 'a');
    assert_int_equal(d->partition, 0);
    assert_int_equal(d->steps_expected, 2);
    assert_int_equal(d->steps_found, 3);
    assert_int_equal(d->found_partition, 2);
    assert_int_equal(d->found_offset, 9);
    audit_verdict_fini(&verdict);
    mtf_assert_ok(audit_judge(book, &all_judged, 0, &verdict, &err), &err);
    assert_int_equal(verdict.difference_count, 1);
    assert_int_equal(verdict.listed_count, 0);
    audit_verdict_fini(&verdict);
    audit_book_free(book);
}

static void what_an_idle_jump_cut_is_explained(void **state)
{
    (void)state;
    const audit_rules no_jumps = {false, INT64_MIN, INT64_MAX};
    /* One session is two. */
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         find(book, "u", "c", NULL);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~0 +0, explained 2, not judged 0"));
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         find(book, "u", "c", NULL);
         SESSIONS(no_jumps, "0 of 1: -0 x0 ~1 +1, explained 0, not judged 0"));
    /* Its end is late. */
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         late(book, 7, "u", "c", MTF_EVENT_REQUEST);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~0 +0, explained 1, not judged 0");
         LATES(all_judged, "0 of 0: -0 x0 ~0 +0, explained 1, not judged 0"));
    /* All of it is. */
    BOOK(expect(book, "u", "a", AUDIT_JUDGED); late(book, 7, "u", "a", MTF_EVENT_REQUEST);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~0 +0, explained 1, not judged 0"));
    /* Its feedback is: the steps are the same, their signals not. */
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "ab", "without a signal");
         late(book, 7, "u", "f", MTF_EVENT_FEEDBACK);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~0 +0, explained 1, not judged 0"));
}

static void nothing_else_is_explained(void **state)
{
    (void)state;
    /* A step is gone. */
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "a", NULL);
         find(book, "u", "c", NULL);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~1 +1, explained 0, not judged 0"));
    /* Another stands in its place. */
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "abd", NULL);
         late(book, 7, "u", "f", MTF_EVENT_FEEDBACK);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~1 +0, explained 0, not judged 0"));
    /* It is late, and in its session too. */
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         late(book, 7, "u", "b", MTF_EVENT_REQUEST);
         LATES(all_judged, "0 of 0: -0 x0 ~0 +1, explained 0, not judged 0"));
    /* It is another user's that is late. */
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); find(book, "u", "a", NULL);
         late(book, 7, "v", "b", MTF_EVENT_REQUEST);
         SESSIONS(all_judged, "0 of 1: -0 x0 ~1 +0, explained 0, not judged 0");
         LATES(all_judged, "0 of 0: -0 x0 ~0 +1, explained 0, not judged 0"));
    /* A session is there twice. */
    BOOK(expect(book, "u", "abc", AUDIT_JUDGED); find(book, "u", "ab", NULL);
         find(book, "u", "ab", NULL); late(book, 7, "u", "c", MTF_EVENT_REQUEST);
         SESSIONS(all_judged, "1 of 1: -0 x1 ~0 +0, explained 0, not judged 0"));
}

static void what_cannot_be_known_is_not_judged(void **state)
{
    (void)state;
    const audit_rules from = {true, 1000, INT64_MAX}, to = {true, INT64_MIN, 1000};
    BOOK(expect(book, "u", "ab", AUDIT_OPEN);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 0"));
    BOOK(expect(book, "u", "ab", AUDIT_OPEN); find(book, "u", "a", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    /* Twice under its id, but not the same: of the window, and of what came after. */
    BOOK(expect(book, "u", "ab", AUDIT_OPEN); find(book, "u", "ab", NULL);
         find(book, "u", "a", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    BOOK(expect(book, "u", "ab", AUDIT_OPEN); find(book, "u", "b", NULL);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    BOOK(expect(book, "u", "ab", AUDIT_BEFORE);
         SESSIONS(all_judged, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    BOOK(find(book, "u", "ab", NULL);
         SESSIONS(from, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    BOOK(find(book, "u", "ab", NULL);
         SESSIONS(to, "0 of 0: -0 x0 ~0 +0, explained 0, not judged 1"));
    /* A lost session is lost, also of a user who is here again. */
    BOOK(expect(book, "u", "ab", AUDIT_JUDGED); expect(book, "u", "x", AUDIT_OPEN);
         SESSIONS(all_judged, "0 of 1: -1 x0 ~0 +0, explained 0, not judged 0"));
}

static void aside(audit_book *book, int64_t offset, audit_scope scope, int found)
{
    mtf_err err = {0};
    mtf_assert_ok(audit_expect_aside(book, AUDIT_DEAD, 1, offset, scope, &err), &err);
    for (int i = 0; i < found; i++)
        mtf_assert_ok(audit_find_aside(book, AUDIT_DEAD, 1, offset, true, true, NULL, &err), &err);
}

static void records_set_aside_are_matched_by_origin(void **state)
{
    (void)state;
    mtf_err err = {0};
    BOOK(aside(book, 1, AUDIT_JUDGED, 1); aside(book, 2, AUDIT_JUDGED, 0);
         aside(book, 3, AUDIT_JUDGED, 2); aside(book, 4, AUDIT_BEFORE, 0);
         aside(book, 5, AUDIT_OPEN, 1);
         mtf_assert_ok(audit_find_aside(book, AUDIT_DEAD, 2, 1, true, false, NULL, &err), &err);
         mtf_assert_ok(audit_find_aside(book, AUDIT_DEAD, 2, 9, false, false, NULL, &err), &err);
         check(book, &all_judged, AUDIT_DEAD, "2 of 3: -1 x1 ~0 +1, explained 0, not judged 0");
         assert_true(audit_was_undecodable(book, 1, 1));
         assert_false(audit_was_undecodable(book, 1, 2)); /* expected, not found */
         assert_false(audit_was_undecodable(book, 2, 1)); /* it decoded */
         assert_false(audit_was_undecodable(book, 7, 7)));
}

static void many_ids_are_kept_apart(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    mtf_err err = {0};
    small s;
    audit_book *book = audit_book_new();
    mtf_session session = *make(&s, "u", "a");
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            mtf_store_u32_le(session.session_id + 5, i / 2);
            session.part = i % 2;
            const mtf_span bytes = {session.session_id, 16};
            mtf_assert_ok(pass ? audit_find_session(book, &session, bytes, 0, i, &err)
                               : audit_expect_session(book, &session, bytes, AUDIT_JUDGED, 0, &err),
                          &err);
        }
    }
    SESSIONS(all_judged, "100000 of 100000: -0 x0 ~0 +0, explained 0, not judged 0");
    audit_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_of_sessions_are_told),
        cmocka_unit_test(a_difference_says_which_and_where),
        cmocka_unit_test(what_an_idle_jump_cut_is_explained),
        cmocka_unit_test(nothing_else_is_explained),
        cmocka_unit_test(what_cannot_be_known_is_not_judged),
        cmocka_unit_test(records_set_aside_are_matched_by_origin),
        cmocka_unit_test(many_ids_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
