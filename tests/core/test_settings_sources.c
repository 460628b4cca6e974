/** Goal: settings from a YAML file and the environment, errors with file and line, and what is
 *  printed reads back as the same settings.
 *  Method: small files in a temporary folder, made-up environments, one round trip. */
#include "support/mtf_test.h"

#include "core/rng.h"
#include "core/settings_table.h"

struct place {
    mtf_settings settings;
    char folder[MTF_TEST_PATH], path[2 * MTF_TEST_PATH];
};

static int init(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place) return -1;
    mtf_test_folder(place->folder);
    *state = place;
    return mtf_settings_init(&place->settings, NULL) == MTF_OK ? 0 : -1;
}

static int fini(void **state)
{
    struct place *place = *state;
    mtf_settings_fini(&place->settings);
    mtf_test_folder_remove(place->folder);
    free(place);
    return 0;
}

static void loads(struct place *place, const char *yaml)
{
    mtf_err err = {0};
    mtf_test_file(place->path, place->folder, "mtf.yaml", yaml);
    mtf_assert_ok(mtf_settings_load(&place->settings, place->path, &err), &err);
}

/** Loading yaml fails with "<path>:<words>". */
static void refuses(struct place *place, const char *yaml, const char *words)
{
    mtf_err err = {0};
    char expected[1000];
    mtf_test_file(place->path, place->folder, "mtf.yaml", yaml);
    assert_int_equal(mtf_settings_load(&place->settings, place->path, &err), MTF_INVALID);
    snprintf(expected, sizeof expected, "%s:%s", place->path, words);
    assert_string_equal(err.msg, expected);
}

static void sections_are_read(void **state)
{
    struct place *place = *state;
    loads(place, "# comment\n"
                 "sessionize:\n"
                 "  gap_ms: 5000\n"
                 "  instance: \"host 1\"\n"
                 "learner: {gamma: 0.5, reset_optimizer: no}\n"
                 "schema.directory: ~\n"
                 "reward:\n");
    assert_int_equal(place->settings.sessionize_gap_ms, 5000);
    assert_string_equal(place->settings.sessionize_instance, "host 1");
    assert_true(place->settings.learner_gamma == 0.5);
    assert_false(place->settings.learner_reset_optimizer);
    assert_string_equal(place->settings.schema_directory, "");
}

static void nothing_is_a_valid_file(void **state)
{
    struct place *place = *state;
    loads(place, "");
    loads(place, "# only a comment\n");
    loads(place, "---\n");
}

static void kafka_may_be_nested_or_flat(void **state)
{
    struct place *place = *state;
    loads(place, "kafka:\n"
                 "  bootstrap:\n"
                 "    servers: a:1,b:2\n"
                 "  security.protocol: ssl\n"
                 "  ssl:\n"
                 "    ca.location: /ca.pem\n"
                 "  consumer:\n"
                 "    fetch:\n"
                 "      min.bytes: 7\n");
    const mtf_settings *settings = &place->settings;
    assert_string_equal(settings->kafka_bootstrap_servers, "a:1,b:2");
    assert_int_equal(settings->kafka_count, 3);
    assert_string_equal(settings->kafka[1].name, "ssl.ca.location");
    assert_string_equal(settings->kafka[2].name, "fetch.min.bytes");
    assert_int_equal(settings->kafka[2].scope, MTF_KAFKA_CONSUMER);
    assert_string_equal(settings->kafka[2].value, "7");
}

static void errors_name_file_and_line(void **state)
{
    struct place *place = *state;
    refuses(place, "sessionize:\n  gap_ms: 1000\n  gap: 5\n",
            "3: unknown setting sessionize.gap; did you mean sessionize.gap_ms?");
    refuses(place, "\nsessionize:\n  gap_ms: soon\n",
            "3: sessionize.gap_ms: 'soon' is not a whole number in 1000..86400000 ms");
    refuses(place, "gate:\n  z: 11\n", "2: gate.z: 11 is outside -10..10");
    refuses(place, "log:\n  level: loud\n",
            "2: log.level: 'loud' is not one of: error warn info debug");
    refuses(place, "bogus:\n", "1: unknown setting bogus; `mtf config docs` lists all of them");
    refuses(place, "bogus:\n  name: 1\n",
            "2: unknown setting bogus.name; did you mean policy.name?");
    refuses(place, "learner: 5\n", "1: learner: wants a section, with name: value lines below");
    refuses(place, "just words\n", "1: wants sections: name: and values below");
    refuses(place, "kafka:\n  bootstrap_servers: [a, b]\n",
            "2: kafka.bootstrap_servers: wants one value, not a list; put it in quotes");
    refuses(place, "gate:\n  z: 1\n  bootstrap: 10\n  z: 2\n", "4: gate.z: is given twice");
    refuses(place, "gate:\n  [a]: 1\n", "2: gate: a key must be plain text");
    refuses(place, "gate: {z: 1}\n---\ngate: {z: 2}\n", "3: a second document; one file holds one");
    refuses(place, "store:\n  path: \"a\\0b\"\n", "2: store.path: the value holds a NUL byte");
    refuses(place, "kafka: &a\n  b: *a\n", "1: kafka.b.b.b.b.b.b.b.b.b.b: nested too deep");
}

static void broken_yaml_is_said_to_be(void **state)
{
    struct place *place = *state;
    mtf_err err = {0};
    mtf_test_file(place->path, place->folder, "mtf.yaml", "gate:\n  z: [1\n");
    assert_int_equal(mtf_settings_load(&place->settings, place->path, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "mtf.yaml:3: not YAML: "));
    mtf_test_file(place->path, place->folder, "mtf.yaml", "gate:\n\tz: 1\n");
    assert_int_equal(mtf_settings_load(&place->settings, place->path, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "mtf.yaml:2: not YAML: "));
    assert_int_equal(mtf_settings_load(&place->settings, "/no/such.yaml", &err), MTF_INVALID);
    assert_string_equal(err.msg, "open /no/such.yaml: No such file or directory");
}

static void aliases_cannot_multiply_without_bound(void **state)
{
    struct place *place = *state;
    mtf_buf yaml = {0};
    mtf_err err = {0};
    mtf_buf_printf(&yaml, "kafka:\n");
    for (int level = 0; level < 8; level++) {
        mtf_buf_printf(&yaml, "  l%d: &l%d {", level, level);
        for (int i = 0; i < 10; i++) {
            if (level) mtf_buf_printf(&yaml, "k%d: *l%d, ", i, level - 1);
            if (!level) mtf_buf_printf(&yaml, "k%d: v, ", i);
        }
        mtf_buf_printf(&yaml, "}\n");
    }
    mtf_buf_put_u8(&yaml, '\0');
    mtf_test_file(place->path, place->folder, "mtf.yaml", (const char *)yaml.data);
    assert_int_equal(mtf_settings_load(&place->settings, place->path, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "too many settings"));
    mtf_buf_fini(&yaml);
}

static void mangled_files_are_refused_or_read_but_never_crash(void **state)
{
    struct place *place = *state;
    static const char good[] =
        "kafka:\n  bootstrap_servers: \"a:1\"\n  consumer: {fetch.min.bytes: 7}\n"
        "sessionize:\n  gap_ms: 5000\nreward: &r {weights: \"a=1 b=2\"}\n";
    static const char letters[] = ":{}[]&*!|>'\"%@`#-\n \t\\,?a0\x80";
    mtf_rng rng = mtf_rng_of(mtf_test_seed(9), 0);
    int refused = 0;
    for (int round = 0; round < 500; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (int i = 0; i < 3; i++) {
            text[mtf_rng_below(&rng, sizeof good - 1)] =
                letters[mtf_rng_below(&rng, sizeof letters - 1)];
        }
        mtf_err err = {0};
        mtf_test_file(place->path, place->folder, "mtf.yaml", text);
        const mtf_status status = mtf_settings_load(&place->settings, place->path, &err);
        assert_true(status == MTF_OK || status == MTF_INVALID);
        if (status != MTF_OK) assert_non_null(strstr(err.msg, "mtf.yaml:"));
        refused += status != MTF_OK;
    }
    assert_true(refused > 0);
}

static void the_environment_sets_what_it_names(void **state)
{
    struct place *place = *state;
    char *const environment[] = {"PATH=/bin",
                                 "MTF_SESSIONIZE_GAP_MS=7000",
                                 "MTF_LOG_LEVEL=warn",
                                 "MTF_KAFKA_BOOTSTRAP_SERVERS=c:3",
                                 "MTF_KAFKA_SASL_USERNAME=me",
                                 "MTF_KAFKA_PRODUCER_LINGER_MS=5",
                                 "MTF_KAFKA_SSL__CA=pem",
                                 "MTF_FAULT_POINT=anything",
                                 "MTF_BLAS_CORE=Haswell",
                                 "MTF_TEST_SEED=3",
                                 "MTFX=1",
                                 NULL};
    mtf_err err = {0};
    const mtf_settings *settings = &place->settings;
    mtf_assert_ok(mtf_settings_environment(&place->settings, environment, &err), &err);
    assert_int_equal(settings->sessionize_gap_ms, 7000);
    assert_string_equal(settings->log_level, "warn");
    assert_string_equal(settings->kafka_bootstrap_servers, "c:3");
    assert_int_equal(settings->kafka_count, 3);
    assert_string_equal(settings->kafka[0].name, "sasl.username");
    assert_int_equal(settings->kafka[1].scope, MTF_KAFKA_PRODUCER);
    assert_string_equal(settings->kafka[1].name, "linger.ms");
    assert_string_equal(settings->kafka[2].name, "ssl_ca");
}

static void environment_refuses(struct place *place, char *variable, const char *words)
{
    char *const environment[] = {variable, NULL};
    mtf_err err = {0};
    assert_int_equal(mtf_settings_environment(&place->settings, environment, &err), MTF_INVALID);
    assert_string_equal(err.msg, words);
}

static void the_environment_refuses_unknown_names_and_bad_values(void **state)
{
    struct place *place = *state;
    environment_refuses(place, "MTF_GATE_Z=11", "MTF_GATE_Z: gate.z: 11 is outside -10..10");
    environment_refuses(
        place, "MTF_SESSIONIZE_GAP=1",
        "environment: MTF_SESSIONIZE_GAP sets nothing; did you mean MTF_SESSIONIZE_GAP_MS?");
    environment_refuses(
        place, "MTF_QQQQQQQQ=1",
        "environment: MTF_QQQQQQQQ sets nothing; `mtf config docs` lists all names");
    environment_refuses(place, "MTF_=1",
                        "environment: MTF_ sets nothing; `mtf config docs` lists all names");
    environment_refuses(place, "MTF_KAFKA_SASL_PASSWORD_FILE=/no/such",
                        "MTF_KAFKA_SASL_PASSWORD_FILE: kafka.sasl.password_file: open /no/such: "
                        "No such file or directory");
    char long_name[400];
    memset(long_name, 'K', sizeof long_name);
    memcpy(long_name, "MTF_", 4);
    memcpy(long_name + sizeof long_name - 3, "=1", 3);
    char *const environment[] = {long_name, NULL};
    assert_int_equal(mtf_settings_environment(&place->settings, environment, NULL), MTF_INVALID);
}

static void print_masks_secrets(void **state)
{
    struct place *place = *state;
    loads(place,
          "kafka:\n  sasl.password: hunter2\n  ssl.key.pem: hunter3\n  ssl.key.location: /k.pem\n"
          "  sasl.username: me\n  oauth.token: hunter4\n  client.secret: hunter5\n"
          "  sasl.kerberos.kinit.cmd: echo hunter6 | kinit me\n");
    mtf_buf out = {0};
    mtf_settings_print(&place->settings, &out);
    mtf_buf_put_u8(&out, '\0');
    assert_false(out.failed);
    const char *text = (const char *)out.data;
    assert_null(strstr(text, "hunter"));
    assert_non_null(strstr(text, "  sasl.password: \"***\"\n"));
    assert_non_null(strstr(text, "  ssl.key.location: \"/k.pem\"\n"));
    assert_non_null(strstr(text, "  sasl.username: \"me\"\n"));
    mtf_buf_fini(&out);
}

static void what_is_printed_reads_back_the_same(void **state)
{
    struct place *place = *state;
    loads(place,
          "kafka: {bootstrap_servers: 'a:1', consumer.a.b: \"x \\\"y\\\" \\\\ \\n\\t: #é\"}\n"
          "learner: {gamma: 0.1234567890123456789, actor_lr: 1e-7, seed: 9223372036854775807}\n"
          "log: {json: on}\nsessionize: {instance: ' spaced '}\n");
    mtf_buf first = {0}, second = {0};
    mtf_settings again;
    mtf_err err = {0};
    mtf_settings_print(&place->settings, &first);
    mtf_buf_put_u8(&first, '\0');
    mtf_assert_ok(mtf_settings_init(&again, &err), &err);
    mtf_test_file(place->path, place->folder, "printed.yaml", (const char *)first.data);
    mtf_assert_ok(mtf_settings_load(&again, place->path, &err), &err);
    assert_true(again.learner_gamma == place->settings.learner_gamma);
    assert_true(again.learner_actor_lr == 1e-7);
    assert_string_equal(again.kafka[0].value, "x \"y\" \\ \n\t: #é");
    mtf_settings_print(&again, &second);
    mtf_buf_put_u8(&second, '\0');
    assert_string_equal((const char *)first.data, (const char *)second.data);
    mtf_settings_fini(&again);
    mtf_buf_fini(&first);
    mtf_buf_fini(&second);
}

static void docs_show_every_setting(void **state)
{
    (void)state;
    mtf_buf out = {0};
    mtf_settings_docs(&out);
    mtf_buf_put_u8(&out, '\0');
    assert_false(out.failed);
    size_t count;
    const mtf_setting *rows = mtf_settings_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char cell[MTF_SETTINGS_KEY_CHARS + 8];
        snprintf(cell, sizeof cell, "\n| `%s` | `", rows[i].key);
        assert_non_null(strstr((const char *)out.data, cell));
    }
    assert_non_null(
        strstr((const char *)out.data,
               "| `gate.z` | `1` | -10 to 10 |  | one-sided z that the value check must "
               "reach | `MTF_GATE_Z` |\n"));
    assert_non_null(
        strstr((const char *)out.data,
               "| `learner.penalty` | `\"expm1\"` | expm1, printed, none |  | expm1 \\| "
               "printed \\| none | `MTF_LEARNER_PENALTY` |\n"));
    mtf_buf_fini(&out);
}

static void the_docs_page_is_up_to_date(void **state)
{
    (void)state;
    const char path[] = MTF_SOURCE_DIR "/docs/settings.md"; /* mtf config docs > docs/settings.md */
    mtf_buf page = {0}, committed = {0};
    mtf_err err = {0};
    mtf_settings_docs(&page);
    mtf_assert_ok(mtf_file_read(path, 1 << 20, &committed, &err), &err);
    mtf_buf_put_u8(&page, '\0');
    mtf_buf_put_u8(&committed, '\0');
    assert_string_equal((const char *)page.data, (const char *)committed.data);
    mtf_buf_fini(&page);
    mtf_buf_fini(&committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sections_are_read, init, fini),
        cmocka_unit_test_setup_teardown(nothing_is_a_valid_file, init, fini),
        cmocka_unit_test_setup_teardown(kafka_may_be_nested_or_flat, init, fini),
        cmocka_unit_test_setup_teardown(errors_name_file_and_line, init, fini),
        cmocka_unit_test_setup_teardown(broken_yaml_is_said_to_be, init, fini),
        cmocka_unit_test_setup_teardown(aliases_cannot_multiply_without_bound, init, fini),
        cmocka_unit_test_setup_teardown(mangled_files_are_refused_or_read_but_never_crash, init,
                                        fini),
        cmocka_unit_test_setup_teardown(the_environment_sets_what_it_names, init, fini),
        cmocka_unit_test_setup_teardown(the_environment_refuses_unknown_names_and_bad_values, init,
                                        fini),
        cmocka_unit_test_setup_teardown(print_masks_secrets, init, fini),
        cmocka_unit_test_setup_teardown(what_is_printed_reads_back_the_same, init, fini),
        cmocka_unit_test(docs_show_every_setting),
        cmocka_unit_test(the_docs_page_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
