/** Goal: whatever a policy topic holds, the book gives the right head of each key.
 *  Method: records in all orders that a topic can have them, tombstones, garbage; random streams
 *  against a plain array. */
#include "support/mtf_test.h"

#include "client/key_files.h"
#include "client/sample_policy.h"
#include "publish/policy_book.h"
#include "publish/policy_ledger.h"

static void make_record(const char *name, const char *stage, const char *verdict, int64_t version,
                        mtf_buf *record)
{
    mtf_policy *policy = sample_policy((uint64_t)version, 3, 4);
    mtf_err err = {0};
    snprintf(policy->info.name, sizeof policy->info.name, "%s", name);
    snprintf(policy->info.stage, sizeof policy->info.stage, "%s", stage);
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "%s", verdict);
    policy->info.version = version;
    mtf_buf_clear(record);
    mtf_assert_ok(mtf_policy_encode(policy, record, &err), &err);
    mtf_policy_free(policy);
}

static mtf_status add(mtf_policy_book *book, const char *key, mtf_span value, mtf_err *err)
{
    return mtf_policy_book_add(book, (mtf_span){(const uint8_t *)key, strlen(key)}, value, err);
}

static void add_version(mtf_policy_book *book, const char *name, int64_t version)
{
    mtf_buf record = {0};
    mtf_err err = {0};
    make_record(name, "live", "promote", version, &record);
    mtf_assert_ok(add(book, name, mtf_buf_span(&record), &err), &err);
    mtf_buf_fini(&record);
}

static int64_t head(const mtf_policy_book *book, const char *key)
{
    const mtf_policy *policy = mtf_policy_book_find(book, key, 0);
    return policy ? policy->info.version : 0;
}

static void the_newest_version_of_each_key_is_its_head(void **state)
{
    (void)state;
    mtf_policy_book book = {0};
    assert_int_equal(head(&book, "a"), 0);
    add_version(&book, "b", 5);
    add_version(&book, "a", 1);
    add_version(&book, "a", 3);
    add_version(&book, "a", 2); /* comes late: passed over */
    assert_int_equal(book.count, 2);
    assert_int_equal(head(&book, "a"), 3);
    assert_int_equal(head(&book, "b"), 5);
    assert_string_equal(book.entries[0].key, "a");
    assert_null(mtf_policy_book_find(&book, "a", 2));
    mtf_policy_book_fini(&book);
}

static void a_tombstone_takes_its_key_only(void **state)
{
    (void)state;
    mtf_policy_book book = {0};
    mtf_buf record = {0};
    add_version(&book, "a", 1);
    make_record("a", "canary", "canary", 2, &record);
    mtf_assert_ok(add(&book, "a#canary", mtf_buf_span(&record), NULL), NULL);
    assert_int_equal(head(&book, "a#canary"), 2);
    mtf_assert_ok(add(&book, "a#canary", (mtf_span){0}, NULL), NULL);
    mtf_assert_ok(add(&book, "nobody", (mtf_span){0}, NULL), NULL);
    assert_int_equal(book.count, 1);
    assert_int_equal(head(&book, "a"), 1);
    assert_int_equal(head(&book, "a#canary"), 0);
    mtf_policy_book_fini(&book);
    mtf_buf_fini(&record);
}

static void what_is_no_servable_policy_is_refused_in_words_and_counted(void **state)
{
    (void)state;
    mtf_policy_book book = {0};
    mtf_buf record = {0};
    mtf_err err = {0};
    char long_key[200];
    add_version(&book, "a", 1);
    make_record("a", "live", "promote", 2, &record);
    record.data[record.size - 8] ^= 0x40; /* a test vector's action */
    assert_int_equal(add(&book, "a", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_int_equal(err.status, MTF_SKIP);
    assert_non_null(strstr(err.msg, "test_vectors"));
    make_record("b", "live", "promote", 2, &record);
    assert_int_equal(add(&book, "a", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "under key a lies version 2 of b"));
    make_record("a", "live", "hold", 2, &record);
    assert_int_equal(add(&book, "a", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "not servable"));
    assert_int_equal(add(&book, "a", (mtf_span){(const uint8_t *)"", 0}, &err), MTF_SKIP);
    memset(long_key, 'k', sizeof long_key), long_key[199] = '\0';
    assert_int_equal(add(&book, long_key, mtf_buf_span(&record), &err), MTF_SKIP);
    assert_int_equal(add(&book, "", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_int_equal(book.refused, 6);
    assert_int_equal(head(&book, "a"), 1); /* the last good one stays */
    mtf_policy_book_fini(&book);
    mtf_buf_fini(&record);
}

static void the_history_keeps_every_version_and_verdict(void **state)
{
    (void)state;
    mtf_policy_book book = {.every_version = true};
    mtf_buf record = {0};
    add_version(&book, "a", 1);
    add_version(&book, "b", 1);
    add_version(&book, "a", 3);
    make_record("a", "live", "hold", 2, &record);
    mtf_assert_ok(add(&book, "a", mtf_buf_span(&record), NULL), NULL);
    mtf_assert_ok(add(&book, "a", mtf_buf_span(&record), NULL), NULL); /* published twice */
    mtf_assert_ok(add(&book, "a", (mtf_span){0}, NULL), NULL); /* history knows no tombstones */
    make_record("a", "canary", "canary", 4, &record);
    mtf_assert_ok(add(&book, "a", mtf_buf_span(&record), NULL), NULL);
    assert_int_equal(book.count, 5);
    for (int i = 0; i < 4; i++) assert_int_equal(book.entries[i].policy->info.version, i + 1);
    assert_string_equal(mtf_policy_book_find(&book, "a", 2)->info.verdict, "hold");
    assert_int_equal(head(&book, "a"), 4);
    assert_null(mtf_policy_book_find(&book, "a", 9));
    mtf_policy_book_fini(&book);
    mtf_buf_fini(&record);
}

static void random_topics_give_the_heads_a_plain_array_gives(void **state)
{
    (void)state;
    static const char *const names[] = {"p", "q", "pp", "a", "z"};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(41), 0);
    for (int n = 0; n < 30; n++) {
        mtf_policy_book book = {0};
        int64_t heads[5] = {0};
        for (int i = 0; i < 40; i++) {
            const uint64_t which = mtf_rng_below(&rng, 5);
            const int64_t version = 1 + (int64_t)mtf_rng_below(&rng, 30);
            if (mtf_rng_below(&rng, 6) == 0) {
                mtf_assert_ok(add(&book, names[which], (mtf_span){0}, NULL), NULL);
                heads[which] = 0;
            } else {
                add_version(&book, names[which], version);
                if (version > heads[which]) heads[which] = version;
            }
        }
        for (int i = 0; i < 5; i++) assert_int_equal(head(&book, names[i]), heads[i]);
        for (size_t i = 1; i < book.count; i++) {
            assert_true(strcmp(book.entries[i - 1].key, book.entries[i].key) < 0);
        }
        mtf_policy_book_fini(&book);
    }
}

/** The history's reader, too. */
static mtf_status tell(mtf_policy_ledger *ledger, const mtf_buf *record, mtf_err *err)
{
    const mtf_span key = {(const uint8_t *)ledger->name, strlen(ledger->name)};
    return mtf_policy_ledger_add(ledger, key, mtf_buf_span(record), err);
}

/** A topic of good records, an unsigned one, an altered one, and a signed one under another key. */
static void with_a_public_key_only_its_records_count(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2][2 * MTF_TEST_PATH];
    mtf_policy_keys *keys;
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_test_folder(folder);
    key_files_make(folder, "k", 1);
    snprintf(path[0], sizeof path[0], "%s/k.key", folder);
    snprintf(path[1], sizeof path[1], "%s/k.pub", folder);
    mtf_assert_ok(mtf_policy_keys_open(path[0], path[1], true, &keys, &err), &err);
    mtf_policy_book book = {.keys = keys};
    mtf_policy_ledger ledger = {.name = "sample", .keys = keys};
    for (int64_t version = 1; version <= 2; version++) {
        mtf_policy *policy = sample_policy((uint64_t)version, 3, 4);
        policy->info.version = version;
        mtf_buf_clear(&record);
        mtf_assert_ok(mtf_policy_encode_signed(policy, keys, &record, &err), &err);
        mtf_assert_ok(add(&book, "sample", mtf_buf_span(&record), &err), &err);
        mtf_assert_ok(tell(&ledger, &record, &err), &err);
        mtf_policy_free(policy);
    }
    record.data[11 + strlen("sample")] += 2; /* version 3, its signature left */
    assert_int_equal(add(&book, "sample", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "bad_signature"));
    assert_int_equal(book.unverified, 1);
    assert_int_equal(tell(&ledger, &record, &err), MTF_SKIP);
    record.data[11 + strlen("sample")] -= 2;
    assert_int_equal(add(&book, "other", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_int_equal(book.unverified, 1); /* it verifies, and is refused for its key */
    make_record("sample", "live", "promote", 9, &record);
    assert_int_equal(add(&book, "sample", mtf_buf_span(&record), &err), MTF_SKIP);
    assert_non_null(strstr(err.msg, "unsigned"));
    assert_int_equal(book.unverified, 2);
    assert_int_equal(tell(&ledger, &record, &err), MTF_SKIP);
    assert_int_equal(ledger.count, 2);
    mtf_policy_ledger_fini(&ledger);
    assert_int_equal(book.refused, 3);
    assert_int_equal(head(&book, "sample"), 2);
    mtf_policy_book_fini(&book);
    mtf_policy_keys_free(keys);
    mtf_buf_fini(&record);
    mtf_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_version_of_each_key_is_its_head),
        cmocka_unit_test(a_tombstone_takes_its_key_only),
        cmocka_unit_test(what_is_no_servable_policy_is_refused_in_words_and_counted),
        cmocka_unit_test(the_history_keeps_every_version_and_verdict),
        cmocka_unit_test(with_a_public_key_only_its_records_count),
        cmocka_unit_test(random_topics_give_the_heads_a_plain_array_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
