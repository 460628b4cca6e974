/** Goal: a signed record is told from an unsigned, an altered and a stranger's one, whatever byte
 *  was touched; and no process starts with keys its own readers would refuse. Method: records
 *  signed with keys of temporary PEM files, every bit flipped, every cut; each wrong key file;
 *  check_policy.py verifies one with none of our code. */
#include "support/mtf_test.h"

#include <pthread.h>
#include <unistd.h>

#include "client/key_files.h"
#include "client/policy_keys.h"
#include "client/sample_policy.h"

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    char key[3][2 * MTF_TEST_PATH], pub[3][2 * MTF_TEST_PATH];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_test_folder(f->folder);
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "k%d", i);
        key_files_make(f->folder, name, (uint8_t)(i + 1));
        snprintf(f->key[i], sizeof f->key[i], "%s/%s.key", f->folder, name);
        snprintf(f->pub[i], sizeof f->pub[i], "%s/%s.pub", f->folder, name);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    mtf_test_folder_remove(((fixture *)*state)->folder);
    free(*state);
    return 0;
}

static mtf_policy_keys *keys_of(const char *key, const char *pub, bool writes)
{
    mtf_policy_keys *keys;
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_keys_open(key, pub, writes, &keys, &err), &err);
    return keys;
}

/** The words of the refusal, until the next call's. */
static const char *refusal(const char *key, const char *pub, bool writes)
{
    static mtf_err err;
    mtf_policy_keys *keys;
    assert_int_equal(mtf_policy_keys_open(key, pub, writes, &keys, &err), MTF_INVALID);
    assert_null(keys);
    return err.msg;
}

static void sign(const mtf_policy_keys *keys, uint64_t seed, mtf_buf *record)
{
    mtf_err err = {0};
    mtf_policy *policy = sample_policy(seed, 3, 4);
    mtf_assert_ok(mtf_policy_encode_signed(policy, keys, record, &err), &err);
    mtf_policy_free(policy);
}

static mtf_status verify(const mtf_policy_keys *keys, const mtf_buf *record, const char *reason)
{
    mtf_err err = {0};
    const mtf_status status = mtf_policy_verify(keys, mtf_buf_span(record), &err);
    if (reason && !strstr(err.msg, reason)) {
        print_error("\"%s\" does not say \"%s\"\n", err.msg, reason);
        fail();
    }
    return status;
}

/** Two records of one policy behind one another, as no caller's buffer need be empty. */
static void a_signed_record_verifies_decodes_and_is_the_same_each_time(void **state)
{
    fixture *f = *state;
    mtf_policy_keys *keys = keys_of(f->key[0], f->pub[0], true);
    mtf_buf record = {0}, plain = {0}, again = {0};
    mtf_policy *policy;
    mtf_err err = {0};
    mtf_buf_put(&record, "before", 6);
    sign(keys, 7, &record);
    sign(NULL, 7, &plain);
    assert_int_equal(record.size, 6 + plain.size + 66);
    assert_memory_equal(record.data + 6, plain.data, plain.size - 1);
    const mtf_span signed_record = {record.data + 6, record.size - 6};
    mtf_assert_ok(mtf_policy_verify(keys, signed_record, &err), &err);
    mtf_assert_ok(mtf_policy_decode(signed_record, &policy, &err), &err);
    assert_true(policy->is_signed);
    sign(keys, 7, &again);
    assert_int_equal(again.size, signed_record.size);
    assert_memory_equal(again.data, signed_record.data, again.size);
    mtf_buf_clear(&again);
    mtf_policy *copy = mtf_policy_clone(policy);
    mtf_assert_ok(mtf_policy_encode_as_read(copy, &again, &err), &err);
    assert_int_equal(again.size, signed_record.size);
    assert_memory_equal(again.data, signed_record.data, again.size);
    mtf_policy_free(policy);
    mtf_policy_free(copy);
    mtf_buf_fini(&record);
    mtf_buf_fini(&plain);
    mtf_buf_fini(&again);
    mtf_policy_keys_free(keys);
}

static void an_unsigned_record_is_refused_only_where_a_public_key_is_set(void **state)
{
    fixture *f = *state;
    mtf_policy_keys *reader = keys_of(NULL, f->pub[0], false);
    mtf_policy_keys *signer = keys_of(f->key[0], "", true);
    mtf_buf record = {0}, empty = {0};
    sign(reader, 1, &record); /* a reader signs nothing */
    assert_int_equal(verify(reader, &record, "policy record: unsigned: "), MTF_CORRUPT);
    assert_int_equal(verify(reader, &empty, "policy record: unsigned: "), MTF_CORRUPT);
    assert_int_equal(verify(signer, &record, NULL), MTF_OK);
    assert_int_equal(verify(NULL, &record, NULL), MTF_OK);
    assert_true(mtf_policy_keys_sign(signer) && !mtf_policy_keys_verify(signer));
    assert_true(!mtf_policy_keys_sign(reader) && mtf_policy_keys_verify(reader));
    assert_true(!mtf_policy_keys_sign(NULL) && !mtf_policy_keys_verify(NULL));
    mtf_buf_fini(&record);
    mtf_policy_keys_free(reader);
    mtf_policy_keys_free(signer);
}

/** The signature covers the whole record: version, box and verdict as much as the payload. */
static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    fixture *f = *state;
    mtf_policy_keys *keys = keys_of(f->key[0], f->pub[0], true);
    mtf_buf record = {0};
    sign(keys, 1, &record);
    for (size_t i = 0; i < record.size; i++) {
        const uint8_t bit = (uint8_t)(1u << (i % 8));
        record.data[i] ^= bit;
        if (verify(keys, &record, NULL) != MTF_CORRUPT) {
            print_error("byte %zu of %zu, bit %d\n", i, record.size, (int)bit);
            fail();
        }
        record.data[i] ^= bit;
    }
    const size_t size = record.size;
    for (size_t cut = 1; cut < 200; cut++) {
        record.size = size - cut;
        assert_int_equal(verify(keys, &record, NULL), MTF_CORRUPT);
    }
    record.size = size;
    mtf_buf_put_u8(&record, 0);
    assert_int_equal(verify(keys, &record, NULL), MTF_CORRUPT);
    mtf_buf_fini(&record);
    mtf_policy_keys_free(keys);
}

static void a_stranger_s_signature_is_refused_by_name(void **state)
{
    fixture *f = *state;
    mtf_policy_keys *stranger = keys_of(f->key[1], NULL, true);
    mtf_policy_keys *reader = keys_of(NULL, f->pub[0], false);
    mtf_buf record = {0};
    sign(stranger, 1, &record);
    assert_int_equal(verify(reader, &record, "policy record: bad_signature: "), MTF_CORRUPT);
    mtf_buf_fini(&record);
    mtf_policy_keys_free(stranger);
    mtf_policy_keys_free(reader);
}

/** Rotation: readers take both keys, then the signer changes, then the old key goes. */
static void any_of_several_public_keys_may_verify(void **state)
{
    fixture *f = *state;
    char both[2 * MTF_TEST_PATH];
    mtf_buf text = {0}, old = {0}, new = {0};
    mtf_err err = {0};
    for (int i = 0; i < 2; i++) {
        mtf_assert_ok(mtf_file_read(f->pub[i], 1000, &text, &err), &err);
        mtf_buf_put(&text, "\n", 1);
    }
    mtf_buf_put_u8(&text, 0);
    mtf_test_file(both, f->folder, "both.pub", (const char *)text.data);
    mtf_policy_keys *reader = keys_of(NULL, both, false);
    mtf_policy_keys *first = keys_of(f->key[0], both, true);
    mtf_policy_keys *second = keys_of(f->key[1], both, true);
    sign(first, 1, &old);
    sign(second, 1, &new);
    assert_int_equal(verify(reader, &old, NULL), MTF_OK);
    assert_int_equal(verify(reader, &new, NULL), MTF_OK);
    mtf_buf_fini(&text);
    mtf_buf_fini(&old);
    mtf_buf_fini(&new);
    mtf_policy_keys_free(reader);
    mtf_policy_keys_free(first);
    mtf_policy_keys_free(second);
}

static void keys_that_would_refuse_their_own_records_are_refused_at_start(void **state)
{
    fixture *f = *state;
    assert_non_null(strstr(refusal("", f->pub[0], true), "policy.signing_key_file is not"));
    const char *words = refusal(f->key[0], f->pub[1], true);
    assert_non_null(strstr(words, "does not hold the public half"));
    assert_non_null(strstr(words, f->pub[1]));
    /* A reader asks for no signing key, so it may be another's or out of reach. */
    mtf_policy_keys_free(keys_of("/nonexistent", f->pub[1], false));
    assert_null(keys_of(f->key[0], "", false));
    assert_null(keys_of(NULL, NULL, true));
}

static void a_wrong_key_file_is_refused_in_words(void **state)
{
    fixture *f = *state;
    char path[2 * MTF_TEST_PATH];
    assert_non_null(strstr(refusal("/nonexistent", "", true), "No such file"));
    assert_non_null(strstr(refusal(f->folder, "", true), "is a folder"));
    assert_non_null(strstr(refusal(NULL, f->folder, false), "policy.public_key_file"));
    assert_non_null(strstr(refusal(NULL, f->key[0], false), "holds no public key"));
    assert_int_equal(chmod(f->pub[0], 0600), 0);
    assert_non_null(strstr(refusal(f->pub[0], "", true), "no unencrypted private key"));
    assert_int_equal(chmod(f->key[0], 0604), 0);
    assert_non_null(strstr(refusal(f->key[0], "", true), "chmod o-rwx"));
    mtf_test_file(path, f->folder, "empty", "");
    assert_int_equal(chmod(path, 0600), 0);
    assert_non_null(strstr(refusal(path, "", true), "is empty"));
    assert_non_null(strstr(refusal("", path, false), "holds no public key"));
    mtf_test_file(path, f->folder, "broken",
                  "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n");
    assert_non_null(strstr(refusal("", path, false), "key 1 is malformed"));
    /* An encrypted key must not wait for someone to type on a terminal. */
    mtf_test_file(path, f->folder, "encrypted",
                  "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                  "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhzpE2eQTjXIwICCAAw\n"
                  "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEF1jLY3TBVkzKoTTqmeXUUUEQNsS\n"
                  "lXyX0wVhLkKuXDL8dsFJTh2ygSb0pB8CRhvU1q0cGyrEIWaT6LUGFmmCi1vVEoLD\n"
                  "qGBQdjY5Zw4hgnXKcRo=\n"
                  "-----END ENCRYPTED PRIVATE KEY-----\n");
    assert_int_equal(chmod(path, 0600), 0);
    assert_non_null(strstr(refusal(path, "", true), "no unencrypted private key"));
}

static void a_key_of_another_kind_is_refused_by_its_name(void **state)
{
    fixture *f = *state;
    char path[2 * MTF_TEST_PATH];
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(key);
    snprintf(path, sizeof path, "%s/ec", f->folder);
    FILE *file = fopen(path, "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_non_null(strstr(refusal(path, "", true), "of type EC"));
    assert_non_null(strstr(refusal("", path, false), "of type EC"));
    EVP_PKEY_free(key);
}

typedef struct user {
    const mtf_policy_keys *keys;
    const mtf_buf *record;
    int wrong;
} user;

static void *use_keys(void *arg)
{
    user *u = arg;
    for (int i = 0; i < 50; i++) {
        mtf_buf mine = {0};
        sign(u->keys, 1, &mine);
        u->wrong += mine.size != u->record->size ||
                    memcmp(mine.data, u->record->data, mine.size) != 0 ||
                    mtf_policy_verify(u->keys, mtf_buf_span(&mine), NULL) != MTF_OK;
        mtf_buf_fini(&mine);
    }
    return NULL;
}

static void many_threads_may_use_one_set_of_keys(void **state)
{
    fixture *f = *state;
    mtf_policy_keys *keys = keys_of(f->key[2], f->pub[2], true);
    mtf_buf record = {0};
    sign(keys, 1, &record);
    pthread_t threads[4];
    user users[4];
    for (int i = 0; i < 4; i++) {
        users[i] = (user){keys, &record, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, use_keys, &users[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(users[i].wrong, 0);
    }
    mtf_buf_fini(&record);
    mtf_policy_keys_free(keys);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_signed_record_verifies_decodes_and_is_the_same_each_time),
        T(an_unsigned_record_is_refused_only_where_a_public_key_is_set),
        T(every_flipped_bit_and_every_cut_is_refused),
        T(a_stranger_s_signature_is_refused_by_name),
        T(any_of_several_public_keys_may_verify),
        T(keys_that_would_refuse_their_own_records_are_refused_at_start),
        T(a_wrong_key_file_is_refused_in_words),
        T(a_key_of_another_kind_is_refused_by_its_name),
        T(many_threads_may_use_one_set_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
