/** Goal: with a key no event leaves the decoder with its raw user id, one person stays one person,
 *  and the hash is the one anybody can compute who has the key. Method: hashes of an independent
 *  program (openssl dgst), the golden records through decoders with and without a key, wrong files.
 */
#include "ingest/test.h"

#include "ingest/decoder.h"
#include "ingest/samples.h"
#include "ingest/user_key.h"
#include "support/mtf_test.h"

#include <sys/stat.h>
#include <unistd.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void key_file(char path[2 * MTF_TEST_PATH], const char *folder, const char *text)
{
    mtf_test_file(path, folder, "user.key", text);
    assert_int_equal(chmod(path, 0600), 0);
}

static mtf_user_key *open_key(const char *path)
{
    mtf_user_key *key;
    mtf_err err = {0};
    mtf_assert_ok(mtf_user_key_open(path, &key, &err), &err);
    return key;
}

/** printf %s ID | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY, the first 32 digits. */
static void a_hash_is_half_of_hmac_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *id, *hash;
    } cases[] = {{"user-1", "c49dc017978a22e182445ec29fd48df8"},
                 {"", "d38b42096d80f45f826b44a9d5607de7"},
                 {"\xc3\xa4\xe2\x82\xac", "abf064eeef551d739b3786e542ea4bd0"}};
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH], hash[MTF_USER_HASH_CHARS + 1] = "";
    mtf_test_folder(folder);
    key_file(path, folder, KEY "\n");
    mtf_user_key *key = open_key(path);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            mtf_assert_ok(mtf_user_key_hash(key, mtf_str_of(cases[i].id), hash, NULL), NULL);
            assert_string_equal(hash, cases[i].hash);
        }
    }
    mtf_user_key_close(key);
    mtf_test_folder_remove(folder);
}

static void keys_have_names_that_are_not_the_keys(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_test_folder(folder);
    key_file(path, folder, KEY);
    mtf_user_key *one = open_key(path), *same = open_key(path);
    key_file(path, folder, "ff" KEY "\r\n");
    mtf_user_key *other = open_key(path);
    assert_int_equal(strlen(mtf_user_key_name(one)), 16);
    assert_string_equal(mtf_user_key_name(one), mtf_user_key_name(same));
    assert_string_not_equal(mtf_user_key_name(one), mtf_user_key_name(other));
    assert_null(strstr(KEY, mtf_user_key_name(one)));
    mtf_user_key_close(one);
    mtf_user_key_close(same);
    mtf_user_key_close(other);
    mtf_user_key *none;
    mtf_assert_ok(mtf_user_key_open("", &none, NULL), NULL);
    assert_null(none);
    mtf_user_key_close(none);
    mtf_test_folder_remove(folder);
}

static void a_wrong_key_file_is_refused_and_not_quoted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "00112233445566778899aabbccddee",    /* 15 bytes */
        "00112233445566778899aabbccddeeff0", /* an odd digit */
        "00112233445566778899aabbccddeeXY",  "0x112233445566778899aabbccddeeff", KEY KEY KEY,
        "0011223344556677 8899aabbccddeeff",
    };
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_user_key *key;
    mtf_err err = {0};
    mtf_test_folder(folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        key_file(path, folder, texts[i]);
        assert_int_equal(mtf_user_key_open(path, &key, &err), MTF_INVALID);
        assert_null(key);
        assert_non_null(strstr(err.msg, "privacy.user_key_file"));
        assert_null(strstr(err.msg, "2233"));
    }
    key_file(path, folder, KEY);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(mtf_user_key_open(path, &key, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "chmod o-rwx"));
    mtf_test_folder_remove(folder);
}

static void decode_golden(const char *key_path, const char *name, char user[64], char decoder[64])
{
    mtf_decoder *made;
    mtf_err err = {0};
    mtf_event event;
    mtf_arena arena = {0};
    mtf_buf bytes = read_golden(name);
    mtf_assert_ok(mtf_decoder_open(&(mtf_decoder_config){.user_key_file = key_path}, &made, &err),
                  &err);
    const mtf_event_decoder events = mtf_decoder_events(made);
    mtf_assert_ok(events.decode(events.self, mtf_buf_span(&bytes), &arena, &event, &err), &err);
    snprintf(user, 64, "%.*s", (int)event.user_id.size, event.user_id.data);
    snprintf(decoder, 64, "%s", mtf_decoder_name(made));
    mtf_arena_fini(&arena);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(made);
}

/** Feedback finds its request, and a session its end, only if all three are hashed alike. */
static void every_kind_of_event_is_hashed_and_the_function_has_another_name(void **state)
{
    (void)state;
    static const char *const names[] = {"request.bin", "feedback.bin", "end.bin"};
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH], plain[64], hashed[64], wanted[64] = "";
    char without[64], with[64];
    mtf_test_folder(folder);
    key_file(path, folder, KEY);
    mtf_user_key *key = open_key(path);
    for (size_t i = 0; i < 3; i++) {
        decode_golden(NULL, names[i], plain, without);
        decode_golden(path, names[i], hashed, with);
        mtf_assert_ok(mtf_user_key_hash(key, mtf_str_of(plain), wanted, NULL), NULL);
        assert_string_equal(hashed, wanted);
        assert_string_equal(without, "avro-2 framing 0 dims 0 0");
        assert_non_null(strstr(with, mtf_user_key_name(key)));
    }
    mtf_user_key_close(key);
    mtf_test_folder_remove(folder);
}

/** The learner reads sessions whose ids are hashes already. */
static void a_session_s_user_is_left_alone(void **state)
{
    (void)state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_decoder *decoder;
    mtf_err err = {0};
    mtf_session session;
    mtf_arena arena = {0};
    mtf_buf bytes = read_golden("session.bin");
    mtf_test_folder(folder);
    key_file(path, folder, KEY);
    mtf_assert_ok(mtf_decoder_open(&(mtf_decoder_config){.user_key_file = path}, &decoder, &err),
                  &err);
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    mtf_assert_ok(sessions.decode(sessions.self, mtf_buf_span(&bytes), &arena, &session, &err),
                  &err);
    assert_true(mtf_str_equal(session.user_id, mtf_sample_session().user_id));
    mtf_arena_fini(&arena);
    mtf_buf_fini(&bytes);
    mtf_decoder_close(decoder);
    mtf_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_is_half_of_hmac_sha256),
        cmocka_unit_test(keys_have_names_that_are_not_the_keys),
        cmocka_unit_test(a_wrong_key_file_is_refused_and_not_quoted),
        cmocka_unit_test(every_kind_of_event_is_hashed_and_the_function_has_another_name),
        cmocka_unit_test(a_session_s_user_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
