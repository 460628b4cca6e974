/** Goal: one setting by name is set within its type and range, or refused with words that name the
 *  place, the setting, the value and what would be right.
 *  Method: a table of values, good and bad, for every type; the rows themselves are checked too. */
#include "support/mtf_test.h"

#include "core/settings_table.h"

static int init(void **state)
{
    mtf_settings *settings = malloc(sizeof *settings);
    *state = settings;
    return settings && mtf_settings_init(settings, NULL) == MTF_OK ? 0 : -1;
}

static int fini(void **state)
{
    mtf_settings_fini(*state);
    free(*state);
    return 0;
}

static void refuses(mtf_settings *settings, const char *key, const char *value, const char *words)
{
    mtf_err err = {0};
    assert_int_equal(mtf_settings_set(settings, key, value, "--set", &err), MTF_INVALID);
    assert_string_equal(err.msg, words);
}

static void takes(mtf_settings *settings, const char *key, const char *value)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_settings_set(settings, key, value, "--set", &err), &err);
}

static void defaults_are_the_tables(void **state)
{
    const mtf_settings *settings = *state;
    assert_int_equal(settings->sessionize_gap_ms, 1800000);
    assert_true(settings->learner_gamma == 0.9);
    assert_true(settings->learner_reset_optimizer);
    assert_false(settings->log_json);
    assert_string_equal(settings->topics_exploration, "mtf.exploration");
    assert_string_equal(settings->kafka_bootstrap_servers, "");
    assert_int_equal(settings->kafka_count, 0);
}

static void rows_are_sound_and_their_defaults_pass_their_own_checks(void **state)
{
    mtf_settings *settings = *state;
    size_t count;
    const mtf_setting *rows = mtf_settings_rows(&count);
    char name[MTF_SETTINGS_KEY_CHARS], other[MTF_SETTINGS_KEY_CHARS];
    for (size_t i = 0; i < count; i++) {
        mtf_settings_environment_name(rows[i].key, name);
        for (size_t k = 0; k < i; k++) {
            mtf_settings_environment_name(rows[k].key, other);
            assert_string_not_equal(name, other);
        }
        assert_true(strlen(rows[i].help) > 0);
        if (rows[i].kind == MTF_SETTING_F) {
            assert_true(rows[i].limits.real.value >= rows[i].limits.real.min);
            assert_true(rows[i].limits.real.value <= rows[i].limits.real.max);
        } else if (rows[i].kind == MTF_SETTING_S) {
            takes(settings, rows[i].key, rows[i].text);
        } else {
            assert_true(rows[i].limits.integer.value >= rows[i].limits.integer.min);
            assert_true(rows[i].limits.integer.value <= rows[i].limits.integer.max);
        }
    }
}

static void whole_numbers_keep_to_their_range(void **state)
{
    mtf_settings *settings = *state;
    takes(settings, "sessionize.gap_ms", "1000");
    assert_int_equal(settings->sessionize_gap_ms, 1000);
    takes(settings, "sessionize.gap_ms", "86400000");
    takes(settings, "learner.seed", "9223372036854775807");
    assert_true(settings->learner_seed == INT64_MAX);
    refuses(settings, "sessionize.gap_ms", "999",
            "--set: sessionize.gap_ms: 999 is outside 1000..86400000 ms");
    refuses(settings, "sessionize.gap_ms", "86400001",
            "--set: sessionize.gap_ms: 86400001 is outside 1000..86400000 ms");
    refuses(settings, "learner.seed", "9223372036854775808",
            "--set: learner.seed: 9223372036854775808 is outside 0..9223372036854775807");
    static const char *const wrong[] = {"", "30m", "1e6", "1.5", " 2000", "2000 ", "0x7d0", "yes"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char words[200];
        snprintf(words, sizeof words,
                 "--set: sessionize.gap_ms: '%s' is not a whole number in 1000..86400000 ms",
                 wrong[i]);
        refuses(settings, "sessionize.gap_ms", wrong[i], words);
    }
    assert_int_equal(settings->sessionize_gap_ms, 86400000);
}

static void numbers_keep_to_their_range(void **state)
{
    mtf_settings *settings = *state;
    takes(settings, "gate.z", "-1.5e0");
    assert_true(settings->gate_z == -1.5);
    takes(settings, "learner.gamma", "0");
    takes(settings, "learner.actor_clip", "1e9");
    refuses(settings, "gate.z", "10.01", "--set: gate.z: 10.01 is outside -10..10");
    refuses(settings, "gate.z", "1e999", "--set: gate.z: 1e999 is outside -10..10");
    static const char *const wrong[] = {"", "nan", "inf", "0x1p3", "1,5", " 1", "1 ", "one"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char words[200];
        snprintf(words, sizeof words, "--set: gate.z: '%s' is not a number in -10..10", wrong[i]);
        refuses(settings, "gate.z", wrong[i], words);
    }
    assert_true(settings->gate_z == -1.5);
}

static void booleans_take_eight_words(void **state)
{
    mtf_settings *settings = *state;
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "1", "0"};
    for (size_t i = 0; i < 8; i++) {
        settings->log_json = i % 2 != 0;
        takes(settings, "log.json", words[i]);
        assert_int_equal(settings->log_json, i % 2 == 0);
    }
    refuses(settings, "log.json", "2",
            "--set: log.json: '2' is not one of true, false, yes, no, on, off, 1, 0");
    refuses(settings, "log.json", "",
            "--set: log.json: '' is not one of true, false, yes, no, on, off, 1, 0");
}

static void texts_keep_to_their_length(void **state)
{
    mtf_settings *settings = *state;
    char text[252];
    memset(text, 't', sizeof text);
    text[249] = '\0';
    takes(settings, "topics.late", text);
    assert_string_equal(settings->topics_late, text);
    text[249] = 't', text[250] = '\0';
    refuses(
        settings, "topics.late", text,
        "--set: topics.late: 'tttttttttttttttttttttttttttttt...' is 250 characters, at most 249");
    refuses(settings, "topics.late", "", "--set: topics.late: must not be empty");
    takes(settings, "topics.leader", ""); /* off */
    takes(settings, "schema.directory", "");
}

static void enumerated_texts_take_only_their_words(void **state)
{
    mtf_settings *settings = *state;
    static const struct {
        const char *key, *good, *choices;
    } cases[] = {
        {"schema.framing", "confluent", "single-object confluent raw"},
        {"sessionize.delivery", "at-least-once", "exactly-once at-least-once"},
        {"learner.algorithm", "ddpg", "integrated ddpg td3bc iql cql_sac batchrl enhanced"},
        {"learner.precision", "bf16", "float32 bf16"},
        {"learner.penalty", "none", "expm1 printed none"},
        {"learner.target", "clip", "discount literal additive clip"},
        {"learner.warm_start", "actor", "all actor none"},
        {"log.level", "debug", "error warn info debug"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char words[200];
        takes(settings, cases[i].key, cases[i].good);
        snprintf(words, sizeof words, "--set: %s: 'a' is not one of: %s", cases[i].key,
                 cases[i].choices);
        refuses(settings, cases[i].key, "a", words);
        snprintf(words, sizeof words, "--set: %s: '%s ' is not one of: %s", cases[i].key,
                 cases[i].good, cases[i].choices);
        char blank_behind[40];
        snprintf(blank_behind, sizeof blank_behind, "%s ", cases[i].good);
        refuses(settings, cases[i].key, blank_behind, words);
    }
}

static void the_training_window_takes_two_words_or_a_count(void **state)
{
    mtf_settings *settings = *state;
    static const char *const good[] = {"all", "1", "25", "999999999", "champion"};
    static const char *const bad[] = {"0", "-1", "K", "2 rounds", "1.5", "01", "1000000000", "al"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        takes(settings, "learner.train_window", good[i]);
        assert_string_equal(settings->learner_train_window, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char words[200];
        snprintf(words, sizeof words,
                 "--set: learner.train_window: '%s' is not one of: champion all, and no whole "
                 "number from 1",
                 bad[i]);
        refuses(settings, "learner.train_window", bad[i], words);
    }
}

static void lists_of_pairs_are_checked(void **state)
{
    mtf_settings *settings = *state;
    takes(settings, "reward.weights", "like=1, watch=0.5\n share=-2 ");
    takes(settings, "reward.clip", "");
    refuses(settings, "reward.weights", "like=1 watch",
            "--set: reward.weights: 'watch' is not name=text[ name=text...]");
    refuses(settings, "sessionize.aggregators", "like=mean",
            "--set: sessionize.aggregators: 'mean' is not one of: sum max last first");
}

static void unknown_names_suggest_the_nearest(void **state)
{
    mtf_settings *settings = *state;
    refuses(settings, "sessionize.gap", "1",
            "--set: unknown setting sessionize.gap; did you mean sessionize.gap_ms?");
    refuses(settings, "session.gap_ms", "1",
            "--set: unknown setting session.gap_ms; did you mean sessionize.gap_ms?");
    refuses(settings, "gap_ms", "1",
            "--set: unknown setting gap_ms; did you mean sessionize.gap_ms?");
    refuses(settings, "lerner.gama", "1",
            "--set: unknown setting lerner.gama; did you mean learner.gamma?");
    refuses(settings, "zzz.qqqqqqqqqq", "1",
            "--set: unknown setting zzz.qqqqqqqqqq; `mtf config docs` lists all of them");
    char long_key[1000];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    mtf_err err = {0};
    assert_int_equal(mtf_settings_set(settings, long_key, "1", "--set", &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "unknown setting kkk"));
    assert_int_equal(mtf_settings_set(settings, "", "1", "--set", NULL), MTF_INVALID);
}

static void kafka_properties_are_kept_by_scope(void **state)
{
    mtf_settings *settings = *state;
    takes(settings, "kafka.bootstrap.servers", "a:1");
    assert_string_equal(settings->kafka_bootstrap_servers, "a:1");
    takes(settings, "kafka.bootstrap_servers", "b:2");
    assert_string_equal(settings->kafka_bootstrap_servers, "b:2");
    assert_int_equal(settings->kafka_count, 0);
    takes(settings, "kafka.security.protocol", "ssl");
    takes(settings, "kafka.consumer.fetch.min.bytes", "1");
    takes(settings, "kafka.producer.fetch.min.bytes", "2");
    takes(settings, "kafka.consumer.fetch.min.bytes", "3");
    assert_int_equal(settings->kafka_count, 3);
    assert_int_equal(settings->kafka[0].scope, MTF_KAFKA_BOTH);
    assert_string_equal(settings->kafka[0].name, "security.protocol");
    assert_int_equal(settings->kafka[1].scope, MTF_KAFKA_CONSUMER);
    assert_string_equal(settings->kafka[1].name, "fetch.min.bytes");
    assert_string_equal(settings->kafka[1].value, "3");
    assert_int_equal(settings->kafka[2].scope, MTF_KAFKA_PRODUCER);
    refuses(settings, "kafka.", "1", "--set: kafka. is no property's name");
    refuses(settings, "kafka.consumer.", "1", "--set: kafka.consumer. is no property's name");
    refuses(settings, "kafka.sasl: mechanism", "1",
            "--set: kafka.sasl: mechanism is no property's name");
}

static void a_secret_may_stand_in_a_file(void **state)
{
    mtf_settings *settings = *state;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_test_folder(folder);
    mtf_test_file(path, folder, "secret", "hunter2\n");
    takes(settings, "kafka.sasl.password_file", path);
    assert_int_equal(settings->kafka_count, 1);
    assert_string_equal(settings->kafka[0].name, "sasl.password");
    assert_string_equal(settings->kafka[0].value, "hunter2");
    assert_int_equal(
        mtf_settings_set(settings, "kafka.sasl.password_file", "/no/such", "x.yaml:3", &err),
        MTF_INVALID);
    assert_string_equal(err.msg, "x.yaml:3: kafka.sasl.password_file: open /no/such: "
                                 "No such file or directory");
    assert_int_equal(
        mtf_settings_set(settings, "kafka.sasl.password_file", folder, "x.yaml:3", &err),
        MTF_INVALID);
    assert_non_null(strstr(err.msg, "Is a directory"));
    mtf_test_file(path, folder, "empty", "\r\n");
    assert_int_equal(mtf_settings_set(settings, "kafka.sasl.password_file", path, "--set", &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "empty is empty"));
    assert_int_equal(mtf_file_replace(path, (mtf_span){(const uint8_t *)"hunter2\0x", 9}, &err),
                     MTF_OK);
    assert_int_equal(mtf_settings_set(settings, "kafka.sasl.password_file", path, "--set", &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "holds a NUL byte"));
    assert_null(strstr(err.msg, "hunter2"));
    assert_string_equal(settings->kafka[0].value, "hunter2"); /* as before */
    mtf_test_folder_remove(folder);
}

static void what_gives_a_secret_is_known_by_its_name(void **state)
{
    (void)state;
    static const char *const given[] = {
        "kafka.sasl.password",    "kafka.producer.ssl.key.pem",           "kafka.sasl.pasword",
        "kafka.sasl.jaas.config", "kafka.sasl.oauthbearer.client.secret",
    };
    static const char *const harmless[] = {
        "kafka.sasl.password_file", "kafka.ssl.key.location",    "kafka.sasl.username",
        "kafka.bootstrap_servers",  "policy.signing_key_file",   "privacy.user_key_file",
        "kafka.sasl.mechanism",     "kafka.ssl.certificate.pem", "kafka.socket.keepalive.enable",
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        assert_true(mtf_settings_gives_secret(given[i]));
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        assert_false(mtf_settings_gives_secret(harmless[i]));
}

static void pairs_are_walked_one_at_a_time(void **state)
{
    (void)state;
    const char *at = "  a=1,b.c=low..high\n=";
    mtf_str name, value;
    assert_true(mtf_settings_pair(&at, &name, &value));
    assert_true(mtf_str_is(name, "a") && mtf_str_is(value, "1"));
    assert_true(mtf_settings_pair(&at, &name, &value));
    assert_true(mtf_str_is(name, "b.c") && mtf_str_is(value, "low..high"));
    assert_false(mtf_settings_pair(&at, &name, &value));
    assert_string_equal(at, "=");
    static const char *const malformed[] = {"a", "a=", "a= 1", "a b=1", "=1"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        at = malformed[i];
        assert_false(mtf_settings_pair(&at, &name, &value));
        assert_string_equal(at, malformed[i]);
    }
    at = " , ";
    assert_false(mtf_settings_pair(&at, &name, &value));
    assert_string_equal(at, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_the_tables, init, fini),
        cmocka_unit_test_setup_teardown(rows_are_sound_and_their_defaults_pass_their_own_checks,
                                        init, fini),
        cmocka_unit_test_setup_teardown(whole_numbers_keep_to_their_range, init, fini),
        cmocka_unit_test_setup_teardown(numbers_keep_to_their_range, init, fini),
        cmocka_unit_test_setup_teardown(booleans_take_eight_words, init, fini),
        cmocka_unit_test_setup_teardown(texts_keep_to_their_length, init, fini),
        cmocka_unit_test_setup_teardown(enumerated_texts_take_only_their_words, init, fini),
        cmocka_unit_test_setup_teardown(the_training_window_takes_two_words_or_a_count, init, fini),
        cmocka_unit_test_setup_teardown(lists_of_pairs_are_checked, init, fini),
        cmocka_unit_test_setup_teardown(unknown_names_suggest_the_nearest, init, fini),
        cmocka_unit_test_setup_teardown(kafka_properties_are_kept_by_scope, init, fini),
        cmocka_unit_test(what_gives_a_secret_is_known_by_its_name),
        cmocka_unit_test_setup_teardown(a_secret_may_stand_in_a_file, init, fini),
        cmocka_unit_test(pairs_are_walked_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
