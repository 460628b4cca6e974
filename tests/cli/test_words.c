/** Goal: whoever mistypes a command, an option or a setting is told the thing, the place and the
 *  remedy, with exit code 64; and help, settings and their page say what the program takes. Method:
 *  the program itself, its words and codes; no broker. */
#include "cli/program.h"

static char folder[MTF_TEST_PATH];

static int make_folder(void **state)
{
    (void)state;
    mtf_test_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    mtf_test_folder_remove(folder);
    return 0;
}

/** `config check` of a file with this text says so, naming the file and the line. */
static void check_file(const char *text, const char *line, const char *words)
{
    char path[2 * MTF_TEST_PATH], place[3 * MTF_TEST_PATH];
    mtf_test_file(path, folder, "bad.yaml", text);
    snprintf(place, sizeof place, "%s:%s: ", path, line);
    program_check(folder, ARGS("config", "check", "-c", path), 64, place, words);
}

static void a_bad_line_of_a_file_is_named_with_its_file_and_line(void **state)
{
    (void)state;
    check_file("sessionize:\n  gap_mss: 5000\n", "2",
               "unknown setting sessionize.gap_mss; did you mean sessionize.gap_ms?");
    check_file("log:\n  level: info\nsessionize:\n  gap_ms: soon\n", "4",
               "sessionize.gap_ms: 'soon' is not a whole number in 1000..86400000 ms");
    check_file("gate.z: 1000\n", "1", "gate.z: 1000 is outside -10..10");
    check_file("store:\n  path: [a, b]\n", "2", "wants one value");
    check_file("gate:\n  z: 1\n  z: 2\n", "3", "given twice");
    check_file("log:\n  json: perhaps\n", "2", "log.json");
    check_file("learner:\n  penalty: expm2\n", "2", "learner.penalty");
    check_file("gate:\n - {\n", "3", "not YAML");
}

static void a_settings_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    program_check(folder, ARGS("config", "check", "-c", "no-such.yaml"), 64, "no-such.yaml",
                  "No such file");
}

static void a_bad_set_is_an_error(void **state)
{
    (void)state;
    program_check(folder, ARGS("config", "check", "--set", "gate.zz=1"), 64,
                  "--set: unknown setting gate.zz", "did you mean gate.z?");
    program_check(folder, ARGS("config", "check", "--set", "gate.z"), 64,
                  "'gate.z' is not section.key=value");
    program_check(folder, ARGS("config", "check", "--set=gate.bootstrap=many"), 64,
                  "--set: gate.bootstrap: 'many' is not a whole number");
    program_check(folder, ARGS("config", "check", "--set", "gate.bootstrap=9"), 64,
                  "gate.bootstrap: 9 is outside 10..100000");
}

static void a_bad_environment_is_an_error(void **state)
{
    (void)state;
    setenv("MTF_GATE_ZZ", "1", 1);
    program_check(folder, ARGS("config", "check"), 64, "MTF_GATE_ZZ", "did you mean MTF_GATE_Z?");
    unsetenv("MTF_GATE_ZZ");
    setenv("MTF_GATE_Z", "much", 1);
    program_check(folder, ARGS("config", "check"), 64,
                  "MTF_GATE_Z: gate.z: 'much' is not a number");
    /* --set comes after the environment, so it cannot make up for a bad one. */
    program_check(folder, ARGS("config", "check", "--set", "gate.z=1"), 64, "MTF_GATE_Z");
    setenv("MTF_GATE_Z", "3", 1);
    program_check(folder, ARGS("config", "print"), 0, "  z: 3\n");
    program_check(folder, ARGS("config", "print", "--set", "gate.z=4"), 0, "  z: 4\n");
    unsetenv("MTF_GATE_Z");
}

static void commands_options_and_values_that_are_wrong_are_usage_errors(void **state)
{
    (void)state;
    const char *const none[] = {NULL};
    program_check(folder, none, 64, "usage: mtf COMMAND");
    program_check(folder, ARGS("frobnicate"), 64, "no command 'frobnicate'", "usage: mtf COMMAND");
    program_check(folder, ARGS("version", "--frobnicate"), 64, "no option '--frobnicate'",
                  "--help lists them");
    program_check(folder, ARGS("config", "check", "--set"), 64, "--set wants a value");
    program_check(folder, ARGS("learn", "--accept-loss=yes"), 64, "--accept-loss takes no value");
    program_check(folder, ARGS("simulate", "--sessions", "few"), 64,
                  "--sessions: 'few' is not a number in 1..1000000000");
    program_check(folder, ARGS("simulate", "--explore", "far", "--out", "x"), 64,
                  "--explore far: say box, gaussian or none");
    program_check(folder, ARGS("demo", "--rounds=0"), 64, "--rounds: '0' is not a number in 1..");
    program_check(folder, ARGS("demo", "--control", "luck"), 64, "--control luck: say none");
    program_check(folder, ARGS("config", "chek"), 64, "say check, print or docs");
    program_check(folder, ARGS("store"), 64, "store: say stats");
    program_check(folder, ARGS("policy", "burn"), 64,
                  "policy: say list, show, diff, export, verify, rollback");
    program_check(folder, ARGS("replay"), 64, "replay: name the Avro files");
}

static void a_forgotten_c_before_the_settings_file_is_no_silent_default(void **state)
{
    (void)state;
    static const char *const commands[] = {"run",      "sessionize", "learn",
                                           "simulate", "version",    "demo"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        program_check(folder, ARGS(commands[i], "mtf.yaml"), 64, "'mtf.yaml' is not expected here");
}

static void an_export_that_says_not_where_to_fails_before_any_broker_is_asked(void **state)
{
    (void)state;
    program_check(folder, ARGS("policy", "export", "--set", "kafka.bootstrap_servers=127.0.0.1:1"),
                  64, "say where to with --out FILE");
    program_check(folder,
                  ARGS("policy", "export", "--out", "x", "--format", "zip", "--set",
                       "kafka.bootstrap_servers=127.0.0.1:1"),
                  64, "--format zip: say safetensors or record");
}

static void without_brokers_in_the_settings_the_roles_say_which_setting(void **state)
{
    (void)state;
    static const char *const commands[] = {"run", "sessionize", "learn", "simulate"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        program_check(folder, ARGS(commands[i]), 64, "kafka.bootstrap_servers is empty");
    program_check(folder, ARGS("policy", "list"), 64, "kafka.bootstrap_servers is empty");
}

/** `config check` and every role with this setting say so, and ask no broker: there is none. */
static void refused_everywhere(const char *pair, const char *words)
{
    program_check(folder, ARGS("config", "check", "--set", pair), 64, words);
    static const char *const roles[] = {"sessionize", "learn", "run"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        program_check(folder,
                      ARGS(roles[i], "--fail-fast", "--set", "kafka.bootstrap_servers=127.0.0.1:1",
                           "--set", pair),
                      64, words);
    }
}

static void settings_only_their_parsers_can_judge_are_judged_before_a_broker_is_asked(void **state)
{
    (void)state;
    refused_everywhere("reward.weights=valid=abc watch=1", "reward.weights");
    refused_everywhere("reward.clip=foo=3", "reward.clip");
    refused_everywhere("policy.actions=valid.pow=2..0", "valid.pow=2..0");
    refused_everywhere("policy.actions=valid.bias=-1..0.5", "valid.bias=-1..0.5");
    refused_everywhere("schema.framing=raw", "schema.pinned");
    refused_everywhere("schema.directory=/no/such/folder", "/no/such/folder");
    refused_everywhere("topics.dead_letter=mtf.exploration",
                       "topics.exploration and topics.dead_letter are both \"mtf.exploration\"");
    refused_everywhere("topics.leader=mtf.policy", "topics.policy and topics.leader are both");
    refused_everywhere("kafka.nonsense=3", "kafka.nonsense");
    refused_everywhere("kafka.consumer.nonsense=3", "kafka.consumer.nonsense");
    refused_everywhere("kafka.producer.linger.ms=soon", "linger.ms");
}

static void stats_of_no_store_say_where_one_would_be(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH], pair[3 * MTF_TEST_PATH];
    mtf_test_file(path, folder, "file", "no store");
    snprintf(pair, sizeof pair, "store.path=%s", path);
    program_check(folder, ARGS("store", "stats", "--set", "store.path=nowhere"), 64,
                  "no store at nowhere", "store.path says where", "`mtf learn` makes it");
    program_check(folder, ARGS("store", "stats", "--set", pair), 64, "no store at ", path);
}

static void a_replay_that_sets_all_aside_says_why(void **state)
{
    (void)state;
    char path[2 * MTF_TEST_PATH];
    snprintf(path, sizeof path, "%s/other.avro", folder);
    program_check(folder,
                  ARGS("simulate", "--sessions", "20", "--seed", "1", "--start-ms", "1767225600000",
                       "--out", path),
                  0, "\"sessions\":20", "\"late_ends\":0");
    program_check(folder, ARGS("replay", path), 0, " 4 set aside: late_no_request=4\n");
    program p;
    program_start(&p, folder, "replay", path, "--set", "policy.state_dim=9");
    program_end(&p);
    program_said(&p, 0, " 0 session records, ",
                 " 100 set aside: late_no_request=24 dead_invalid=76\n");
    program_free(&p);
}

static void help_names_every_option(void **state)
{
    (void)state;
    static const struct {
        const char *command, *options[22];
    } all[] = {
        {"demo",
         {"--rounds", "--sessions", "--seed", "--evaluate", "--json FILE", "--control", "--quiet"}},
        {"run", {"--json", "--accept-config-change", "--accept-loss"}},
        {"sessionize", {"--json"}},
        {"learn", {"--accept-loss"}},
        {"simulate", {"--rounds",         "--sessions", "--users",  "--seed",
                      "--explore",        "--box",      "--sigma",  "--separate-feedback",
                      "--baseline-share", "--out",      "--policy", "--session-ids",
                      "--start-ms",       "--span-ms",  "--wait",   "--shuffle-rewards",
                      "--value",          "--describe", "--write",  "--partitions"}},
        {"replay", {"--out"}},
        {"policy",
         {"--history", "--version", "--name", "--out", "--format", "--reason", "--if-head",
          "--json"}},
        {"store", {"stats", "--json"}},
        {"healthcheck", {"--ready"}},
        {"config", {"check", "print", "docs"}},
        {"version", {"--json"}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        program p;
        program_start(&p, folder, all[i].command, "--help");
        program_end(&p);
        program_said(&p, 0, "usage: mtf ", "-c, --config FILE", "--set section.key=value",
                     "--fail-fast", "--help");
        program_assert(&p, 0, all[i].options, __FILE__, __LINE__);
        assert_string_equal(program_text(&p.err), "");
        program_free(&p);
        program_check(folder, ARGS("--help"), 0, all[i].command);
    }
    program_check(folder, ARGS("--help"), 0, "stats | rows | verify | backup | restore | forget");
}

static void version_tells_what_it_runs_with(void **state)
{
    (void)state;
    program_check(folder, ARGS("version"), 0, "mtf ", "librdkafka ", "OpenBLAS core ");
    program_check(folder, ARGS("version", "--json"), 0, "{\"mtf\":\"", "\"librdkafka\":\"");
}

static void healthcheck_without_a_port_or_a_stage_says_so(void **state)
{
    (void)state;
    program_check(folder, ARGS("healthcheck"), 64, "http.port is 0");
    program_check(folder, ARGS("healthcheck", "--set", "http.port=1"), 1,
                  "http://127.0.0.1:1/healthz: Connection refused");
    program_check(folder, ARGS("healthcheck", "--ready", "--set", "http.port=1"), 1, "/readyz: ");
    program_check(folder, ARGS("healthcheck", "--set", "http.port=1", "--set", "http.bind=here"),
                  64, "http.bind: 'here' is not an address");
    program_check(folder, ARGS("learn", "--set", "http.port=9", "--set", "http.bind=here"), 64,
                  "http.bind: 'here' is not an address");
}

static void what_print_prints_is_taken_back(void **state)
{
    (void)state;
    program first, second;
    program_check(folder, ARGS("config", "check"), 0, "settings are valid");
    program_start(&first, folder, "config", "print", "--set", "gate.z=0.1", "--set",
                  "store.path=a \"b\": #c", "--set", "kafka.consumer.fetch.wait.max.ms=7");
    program_end(&first);
    program_said(&first, 0, "  z: 0.1\n", "consumer.fetch.wait.max.ms: \"7\"");
    program_start(&second, folder, "config", "print", "-c", first.out_path);
    program_end(&second);
    program_said(&second, 0, "");
    assert_string_equal(program_text(&first.out), program_text(&second.out));
    program_free(&first);
    program_free(&second);
}

static void print_masks_secrets(void **state)
{
    (void)state;
    program p;
    char path[2 * MTF_TEST_PATH], pair[3 * MTF_TEST_PATH];
    mtf_test_file(path, folder, "secret", "swordfish-of-a-file\n");
    snprintf(pair, sizeof pair, "kafka.ssl.key.password_file=%s", path);
    program_start(&p, folder, "config", "print", "--set", "kafka.sasl.password=swordfish", "--set",
                  pair);
    program_end(&p);
    program_said(&p, 0, "sasl.password: \"***\"", "ssl.key.password: \"***\"");
    assert_null(strstr(program_text(&p.out), "swordfish"));
    program_free(&p);
}

static void the_docs_page_is_the_committed_one(void **state)
{
    (void)state;
    program p;
    mtf_err err = {0};
    mtf_buf page = {0};
    program_start(&p, folder, "config", "docs");
    program_end(&p);
    program_said(&p, 0, "# Settings");
    mtf_assert_ok(mtf_file_read(MTF_SOURCE_DIR "/docs/settings.md", 1 << 20, &page, &err), &err);
    mtf_buf_put_u8(&page, '\0');
    assert_string_equal(program_text(&p.out), program_text(&page));
    mtf_buf_fini(&page);
    program_free(&p);
}

static void output_that_does_not_arrive_is_a_disk_error(void **state)
{
    (void)state;
    const char *const *const all[] = {ARGS("version"), ARGS("config", "docs"),
                                      ARGS("config", "print"), ARGS("--help")};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        program p;
        program_start_to(&p, folder, "/dev/full", all[i]);
        program_end(&p);
        program_said(&p, 74, "cannot write to standard output");
        program_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_line_of_a_file_is_named_with_its_file_and_line),
        cmocka_unit_test(a_settings_file_that_is_not_there_is_named),
        cmocka_unit_test(a_bad_set_is_an_error),
        cmocka_unit_test(a_bad_environment_is_an_error),
        cmocka_unit_test(commands_options_and_values_that_are_wrong_are_usage_errors),
        cmocka_unit_test(a_forgotten_c_before_the_settings_file_is_no_silent_default),
        cmocka_unit_test(an_export_that_says_not_where_to_fails_before_any_broker_is_asked),
        cmocka_unit_test(without_brokers_in_the_settings_the_roles_say_which_setting),
        cmocka_unit_test(settings_only_their_parsers_can_judge_are_judged_before_a_broker_is_asked),
        cmocka_unit_test(stats_of_no_store_say_where_one_would_be),
        cmocka_unit_test(a_replay_that_sets_all_aside_says_why),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(version_tells_what_it_runs_with),
        cmocka_unit_test(healthcheck_without_a_port_or_a_stage_says_so),
        cmocka_unit_test(what_print_prints_is_taken_back),
        cmocka_unit_test(print_masks_secrets),
        cmocka_unit_test(the_docs_page_is_the_committed_one),
        cmocka_unit_test(output_that_does_not_arrive_is_a_disk_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
