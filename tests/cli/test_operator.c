/** Goal: whoever asks a running program over HTTP is told the truth: alive while the brokers are
 *  away, ready once it works, every metric that the page of metrics names and no other, no secret.
 *  Method: the program against mock brokers, asked as an operator asks. */
#include "cli/brokers.h"
#include "cli/requests.h"

#include "core/clock.h"
#include "ops/http.h"

#include <arpa/inet.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** A port that nobody has at the moment. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/** The answer's body, NUL-terminated, to be freed; 0 when nobody answers. */
static int ask(int port, const char *path, mtf_buf *body)
{
    int code = 0;
    mtf_err err;
    mtf_buf_clear(body);
    if (mtf_http_get("127.0.0.1", port, path, 20000, &code, body, &err) != MTF_OK) code = 0;
    mtf_buf_put_u8(body, '\0');
    return code;
}

static void until(int port, const char *path, int code, const char *words)
{
    mtf_buf body = {0};
    const int64_t started_ns = mtf_clock_mono_ns();
    while (ask(port, path, &body) != code || !strstr(program_text(&body), words)) {
        if (mtf_clock_mono_ns() - started_ns > PROGRAM_WAIT_MS * INT64_C(1000000))
            fail_msg("%s never said %d '%s': %s", path, code, words, program_text(&body));
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    mtf_buf_fini(&body);
}

static void while_the_brokers_are_away_it_is_alive_and_not_ready(void **state)
{
    (void)state;
    brokers b;
    program p, second;
    char more[100], port[20];
    snprintf(port, sizeof port, "%d", free_port());
    snprintf(more, sizeof more, "http.port: %s\n", port);
    brokers_open(&b, NULL, more);
    program_start(&p, b.folder, "learn", "-c", b.config, "--set",
                  "kafka.bootstrap_servers=127.0.0.1:1");
    program_until(&p, "msg=kafka.wait brokers=127.0.0.1:1");
    program_check(b.folder, ARGS("healthcheck", "-c", b.config), 0, "ok\n");
    program_check(b.folder, ARGS("healthcheck", "-c", b.config, "--ready"), 1,
                  "starting: waiting for the brokers");
    program_start(&second, b.folder, "sessionize", "-c", b.config);
    program_end(&second);
    program_said(&second, 64, "http.port: ", port, " is taken on 127.0.0.1; set another");
    program_free(&second);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "msg=http.listen bind=127.0.0.1 port=", port);
    program_free(&p);
    program_check(b.folder, ARGS("healthcheck", "-c", b.config), 1, "Connection refused");
    brokers_close(&b);
}

/** Each family of the text is on the page and each of the page in the text. */
static void assert_page(const char *text)
{
    mtf_buf page = {0};
    mtf_err err = {0};
    int families = 0, lines = 0;
    mtf_assert_ok(mtf_file_read(MTF_SOURCE_DIR "/docs/metrics.md", 1 << 20, &page, &err), &err);
    mtf_buf_put_u8(&page, '\0');
    for (const char *at = text; (at = strstr(at, "# TYPE ")); families++) {
        char name[100], kind[20], line[200];
        assert_int_equal(sscanf(at, "# TYPE %99s %19s", name, kind), 2);
        snprintf(line, sizeof line, "\n| `%s` | %s |", name, kind);
        if (!strstr(program_text(&page), line)) fail_msg("docs/metrics.md has no %s", name);
        at++;
    }
    for (const char *at = program_text(&page); (at = strstr(at, "\n| `")); at++)
        lines += at[4] != '/'; /* not the table of paths */
    assert_int_equal(families, lines);
    mtf_buf_fini(&page);
}

static void a_running_program_shows_all_its_metrics_and_no_secret(void **state)
{
    (void)state;
    brokers b;
    program p;
    mtf_buf body = {0}, event = {0};
    char more[200];
    const int port = free_port();
    snprintf(more, sizeof more, "http.port: %d\nkafka.sasl.password: swordfish\n", port);
    brokers_open(&b, NULL, more);
    program_start(&p, b.folder, "run", "-c", b.config);
    until(port, "/readyz", 200, "ok\n");
    program_check(b.folder, ARGS("healthcheck", "-c", b.config, "--ready"), 0, "ok\n");
    brokers_put(&b, "mtf.exploration", "u", (mtf_span){(const uint8_t *)"garbage", 7});
    until(port, "/metrics", 200, "\nmtf_sessionize_dead_decode_total 1\n");
    request_event("event", mtf_clock_wall_ms() - 1000, 64, &event);
    brokers_put(&b, "mtf.exploration", "u", mtf_buf_span(&event));
    until(port, "/metrics", 200, "\nmtf_sessionize_watermark_timestamp_seconds{");
    until(port, "/metrics", 200,
          "\nmtf_kafka_consumer_lag{topic=\"mtf.exploration\",partition=\"0\"} 0\n");
    assert_int_equal(ask(port, "/metrics", &body), 200);
    assert_page(program_text(&body));
    assert_non_null(strstr(program_text(&body), "\nmtf_sessionize_records_in_total 2\n"));
    assert_non_null(strstr(program_text(&body),
                           "\nmtf_kafka_source_messages_total{topic=\"mtf.exploration\"} 2\n"));
    assert_non_null(strstr(program_text(&body), "\nmtf_policy_version{policy=\"default\"} 1\n"));
    assert_non_null(strstr(program_text(&body),
                           "\nmtf_policy_trial_version{policy=\"default\",stage=\"canary\"} 0\n"));
    assert_null(strstr(program_text(&body), "swordfish"));
    assert_int_equal(ask(port, "/version", &body), 200);
    assert_non_null(strstr(program_text(&body), "{\"mtf\":\""));
    assert_null(strstr(program_text(&body), "swordfish"));
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "http.listen");
    program_free(&p);
    mtf_buf_fini(&body);
    mtf_buf_fini(&event);
    brokers_close(&b);
}

/** No answer for longer than http.stalled_ms while a commit waits: the loop waits, it does not
 * hang. */
static void brokers_that_go_away_are_no_reason_to_restart_it(void **state)
{
    (void)state;
    brokers b;
    program p;
    mtf_buf body = {0};
    char more[200];
    const int port = free_port();
    snprintf(more, sizeof more, "http.port: %d\nhttp.stalled_ms: 1000\n", port);
    brokers_open(&b, NULL, more);
    program_start(&p, b.folder, "sessionize", "-c", b.config, "--set",
                  "sessionize.commit_interval_ms=2000", "--set",
                  "kafka.consumer.session.timeout.ms=45000"); /* longer than they are away */
    until(port, "/readyz", 200, "ok\n");
    brokers_put(&b, "mtf.exploration", "u", (mtf_span){(const uint8_t *)"garbage", 7});
    until(port, "/metrics", 200,
          "\nmtf_kafka_source_messages_total{topic=\"mtf.exploration\"} 1\n");
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(b.mock), 1);
    until(port, "/readyz", 503, "sessionize: no broker answers\n");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(port, "/healthz", &body), 200);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    rd_kafka_mock_broker_set_up(mtf_kafka_mock_cluster(b.mock), 1);
    until(port, "/readyz", 200, "ok\n");
    until(port, "/metrics", 200, "\nmtf_sessionize_dead_decode_total 1\n");
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    program_end(&p);
    program_said(&p, 0, "sessionize.end");
    program_free(&p);
    mtf_buf_fini(&body);
    brokers_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_the_brokers_are_away_it_is_alive_and_not_ready),
        cmocka_unit_test(brokers_that_go_away_are_no_reason_to_restart_it),
        cmocka_unit_test(a_running_program_shows_all_its_metrics_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
