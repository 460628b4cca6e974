/** Goal: the server says what its parts say, and no request can hurt it: none gets an answer it
 *  should not, none keeps it from answering the next. Method: a server on a free port, asked with
 *  mtf_http_get and with bytes of our own choice. */
#include "ops/http.h"
#include "support/mtf_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCAL "127.0.0.1"

typedef struct part {
    const char *stalled, *unready;
    atomic_int collected;
} part;

static void collect(void *arg, mtf_exposition *out)
{
    static const mtf_metric metric = {"mtf_x_asked_total", MTF_METRIC_COUNTER, "how often"};
    part *p = arg;
    mtf_exposition_put(out, &metric, NULL, 0, atomic_fetch_add(&p->collected, 1) + 1);
}

static void stalled(void *arg, mtf_buf *reasons)
{
    const part *p = arg;
    mtf_buf_printf(reasons, "%s", p->stalled);
}

static void unready(void *arg, mtf_buf *reasons)
{
    const part *p = arg;
    mtf_buf_printf(reasons, "%s", p->unready);
}

static mtf_http *open_http(void)
{
    const mtf_http_config config = {.bind = LOCAL, .version = "{\"mtf\":\"1\"}\n"};
    mtf_http *http;
    mtf_err err = {0};
    mtf_assert_ok(mtf_http_open(&config, &http, &err), &err);
    return http;
}

static void add(mtf_http *http, part *p)
{
    const mtf_http_part made = {p, collect, stalled, unready};
    mtf_http_add(http, &made);
}

static void check(const mtf_http *http, const char *path, int code, const char *words)
{
    mtf_buf body = {0};
    mtf_err err = {0};
    int got = 0;
    mtf_assert_ok(mtf_http_get(LOCAL, mtf_http_port(http), path, 20000, &got, &body, &err), &err);
    mtf_buf_put_u8(&body, '\0');
    assert_int_equal(got, code);
    assert_string_equal((const char *)body.data, words);
    mtf_buf_fini(&body);
}

/** Sends these bytes on a connection of its own. */
static int say(const mtf_http *http, const void *bytes, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)mtf_http_port(http))};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(AF_INET, LOCAL, &to.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    /* A server that has heard enough may have closed already. */
    if (send(fd, bytes, size, MSG_NOSIGNAL) < 0) print_message("the server closed early\n");
    return fd;
}

/** What comes until the server closes, up to 4095 bytes; a server that stays silent fails. */
static void hear(int fd, char answer[4096])
{
    size_t size = 0;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    for (;;) {
        assert_int_equal(poll(&one, 1, 20000), 1);
        const ssize_t got = recv(fd, answer + size, 4095 - size, 0);
        if (got <= 0) break;
        size += (size_t)got;
    }
    answer[size] = '\0';
    close(fd);
}

static void check_said(const mtf_http *http, const char *request, const char *status)
{
    char answer[4096];
    hear(say(http, request, strlen(request)), answer);
    if (strncmp(answer, status, strlen(status)) != 0) {
        print_error("'%s' is answered by '%s', expected '%s'\n", request, answer, status);
        fail();
    }
}

static void health_is_the_loops_and_readiness_the_parts(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    part a = {"", "", 0}, b = {"", "", 0};
    check(http, "/healthz", 200, "ok\n");
    check(http, "/readyz", 503, "starting\n");
    add(http, &a);
    add(http, &b);
    check(http, "/readyz", 200, "ok\n");
    check(http, "/ready", 200, "ok\n");
    mtf_http_remove(http, &b);
    b.unready = "b: no broker\n";
    add(http, &b);
    check(http, "/readyz", 503, "b: no broker\n");
    check(http, "/healthz", 200, "ok\n");
    mtf_http_remove(http, &a);
    a = (part){"a: stands still\n", "a: replaying\n", 0};
    add(http, &a);
    check(http, "/healthz", 503, "a: stands still\n");
    check(http, "/ping", 503, "a: stands still\n");
    check(http, "/ready", 503, "b: no broker\na: replaying\n");
    mtf_http_close(http);
}

static void metrics_are_collected_anew_for_each_request(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    part a = {"", "", 0};
    check(http, "/metrics", 200, "");
    add(http, &a);
#define PAGE                                                                                       \
    "# HELP mtf_x_asked_total how often\n# TYPE mtf_x_asked_total counter\nmtf_x_asked_total "
    check(http, "/metrics", 200, PAGE "1\n");
    check(http, "/metrics?name=x", 200, PAGE "2\n");
    mtf_http_remove(http, &a);
    check(http, "/metrics", 200, "");
    assert_int_equal(atomic_load(&a.collected), 2);
    mtf_http_close(http);
}

static void the_version_and_the_content_types_are_said(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    char answer[4096];
    static const char version[] = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char metrics[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    check(http, "/version", 200, "{\"mtf\":\"1\"}\n");
    hear(say(http, version, sizeof version - 1), answer);
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    hear(say(http, metrics, sizeof metrics - 1), answer);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    mtf_http_close(http);
}

static void head_says_the_same_without_a_body(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    char answer[4096];
    static const char head[] = "HEAD /version HTTP/1.1\r\nHost: x\r\n\r\n";
    hear(say(http, head, sizeof head - 1), answer);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    assert_non_null(strstr(answer, "Content-Length: 12\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    mtf_http_close(http);
}

static void other_paths_and_methods_are_refused(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    check(http, "/", 404,
          "nothing here; there is /metrics /healthz /ping /readyz /ready /version\n");
    check_said(http, "GET /metrics/../etc HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404");
    check_said(http, "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404");
    check_said(http, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405");
    check_said(http, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405");
    mtf_http_close(http);
}

static void a_body_is_not_waited_for(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    check_said(http, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
               "HTTP/1.1 405");
    check_said(http, "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
               "HTTP/1.1 405");
    check_said(http, "GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
               "HTTP/1.1 200");
    check(http, "/healthz", 200, "ok\n");
    mtf_http_close(http);
}

static void what_is_no_request_or_too_long_is_cut_off(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    char answer[4096];
    mtf_buf request = {0};
    check_said(http, "\x16\x03\x01\x02\r\n\r\n", "");
    mtf_buf_printf(&request, "GET /");
    for (int i = 0; i < 200000; i++) mtf_buf_put_u8(&request, 'a');
    hear(say(http, request.data, request.size), answer);
    mtf_buf_clear(&request);
    mtf_buf_printf(&request, "GET /metrics HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 20000; i++) mtf_buf_printf(&request, "X-%d: y\r\n", i);
    hear(say(http, request.data, request.size), answer);
    assert_null(strstr(answer, " 200 "));
    check(http, "/healthz", 200, "ok\n");
    mtf_buf_fini(&request);
    mtf_http_close(http);
}

/** More silent connections than it takes at a time: they are dropped, and then it answers. */
static void those_who_say_nothing_are_dropped(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    int fds[80];
    for (int i = 0; i < 80; i++) fds[i] = say(http, "GET", 3);
    check(http, "/healthz", 200, "ok\n");
    for (int i = 0; i < 80; i++) close(fds[i]);
    mtf_http_close(http);
}

static void an_address_or_port_that_cannot_be_had_names_its_setting(void **state)
{
    (void)state;
    mtf_http *http = open_http(), *second;
    mtf_err err = {0};
    char words[200];
    mtf_http_config config = {.bind = LOCAL, .port = mtf_http_port(http), .version = ""};
    assert_int_equal(mtf_http_open(&config, &second, &err), MTF_INVALID);
    snprintf(words, sizeof words,
             "http.port: %d is taken on 127.0.0.1; set another, or 0 for no HTTP", config.port);
    assert_string_equal(err.msg, words);
    assert_null(second);
    config = (mtf_http_config){.bind = "localhost", .version = ""};
    assert_int_equal(mtf_http_open(&config, &second, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "http.bind: 'localhost' is not an address"));
    config.bind = "203.0.113.7"; /* of nobody's machine: RFC 5737 */
    assert_int_equal(mtf_http_open(&config, &second, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "http.bind: cannot listen on 203.0.113.7"));
    mtf_http_close(http);
}

static void nobody_there_is_told_from_a_wrong_address(void **state)
{
    (void)state;
    mtf_http *http = open_http();
    const int port = mtf_http_port(http);
    int code;
    mtf_buf body = {0};
    mtf_err err = {0};
    mtf_http_close(http);
    assert_int_equal(mtf_http_get(LOCAL, port, "/healthz", 2000, &code, &body, &err), MTF_BROKER);
    assert_non_null(strstr(err.msg, "Connection refused"));
    assert_int_equal(mtf_http_get("here", port, "/healthz", 2000, &code, &body, &err), MTF_INVALID);
    mtf_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_is_the_loops_and_readiness_the_parts),
        cmocka_unit_test(metrics_are_collected_anew_for_each_request),
        cmocka_unit_test(the_version_and_the_content_types_are_said),
        cmocka_unit_test(head_says_the_same_without_a_body),
        cmocka_unit_test(other_paths_and_methods_are_refused),
        cmocka_unit_test(a_body_is_not_waited_for),
        cmocka_unit_test(what_is_no_request_or_too_long_is_cut_off),
        cmocka_unit_test(those_who_say_nothing_are_dropped),
        cmocka_unit_test(an_address_or_port_that_cannot_be_had_names_its_setting),
        cmocka_unit_test(nobody_there_is_told_from_a_wrong_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
