#include "ops/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "ops/address.h"

#define CONNECTIONS_MAX   64
#define CONNECTION_BYTES  16384 /* of one connection: its request line and headers at most */
#define CONNECTION_IDLE_S 5
#define LISTEN_BACKLOG    64

struct mtf_http {
    struct MHD_Daemon *daemon;
    const char *version;
    int port;
    pthread_mutex_t lock; /* guards the parts, and is held while their functions run */
    mtf_http_part parts[MTF_HTTP_PARTS];
    size_t part_count;
};

/* -- answers ------------------------------------------------------ */

typedef struct reply {
    unsigned code;
    const char *type;
    mtf_buf body;
} reply;

#define TEXT "text/plain; charset=utf-8"

static void answer_metrics(mtf_http *http, reply *r)
{
    mtf_exposition out = {0};
    mtf_err err = {0};
    for (size_t i = 0; i < http->part_count; i++)
        if (http->parts[i].collect) http->parts[i].collect(http->parts[i].arg, &out);
    r->type = "text/plain; version=0.0.4; charset=utf-8";
    if (mtf_exposition_render(&out, &r->body, &err)) {
        r->code = MHD_HTTP_INTERNAL_SERVER_ERROR;
        r->type = TEXT;
        mtf_buf_printf(&r->body, "%s\n", err.msg);
    }
    mtf_exposition_fini(&out);
}

static void settle_reasons(reply *r)
{
    r->code = r->body.size ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
    if (!r->body.size) mtf_buf_printf(&r->body, "ok\n");
}

static void answer_health(mtf_http *http, reply *r)
{
    for (size_t i = 0; i < http->part_count; i++)
        if (http->parts[i].stalled) http->parts[i].stalled(http->parts[i].arg, &r->body);
    settle_reasons(r);
}

static void answer_ready(mtf_http *http, reply *r)
{
    if (http->part_count == 0) mtf_buf_printf(&r->body, "starting\n");
    for (size_t i = 0; i < http->part_count; i++)
        if (http->parts[i].unready) http->parts[i].unready(http->parts[i].arg, &r->body);
    settle_reasons(r);
}

static void answer_version(mtf_http *http, reply *r)
{
    r->type = "application/json";
    mtf_buf_printf(&r->body, "%s", http->version);
}

static const struct route {
    const char *path;
    void (*answer)(mtf_http *http, reply *r);
} routes[] = {
    {"/metrics", answer_metrics}, {"/healthz", answer_health}, {"/ping", answer_health},
    {"/readyz", answer_ready},    {"/ready", answer_ready},    {"/version", answer_version},
};
#define ROUTES (sizeof routes / sizeof *routes)

static void answer_path(mtf_http *http, const char *path, reply *r)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (strcmp(routes[i].path, path) != 0) continue;
        pthread_mutex_lock(&http->lock);
        routes[i].answer(http, r);
        pthread_mutex_unlock(&http->lock);
        return;
    }
    r->code = MHD_HTTP_NOT_FOUND;
    mtf_buf_printf(&r->body, "nothing here; there is");
    for (size_t i = 0; i < ROUTES; i++) mtf_buf_printf(&r->body, " %s", routes[i].path);
    mtf_buf_put_u8(&r->body, '\n');
}

/** Hands the reply to the library, which closes the connection after it: whatever else the other
 *  side had to say is not read. */
static enum MHD_Result send_reply(struct MHD_Connection *connection, reply *r)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        r->body.failed ? 0 : r->body.size, r->body.data, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (r->code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(
        connection, r->body.failed ? MHD_HTTP_INTERNAL_SERVER_ERROR : r->code, response);
    MHD_destroy_response(response);
    return result;
}

/** Called by the library as soon as a request's headers are there; a body is never waited for. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size, (void)state;
    reply r = {.code = MHD_HTTP_OK, .type = TEXT};
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        answer_path(arg, path, &r);
    } else {
        r.code = MHD_HTTP_METHOD_NOT_ALLOWED;
        mtf_buf_printf(&r.body, "GET and HEAD only\n");
    }
    const enum MHD_Result result = send_reply(connection, &r);
    mtf_buf_fini(&r.body);
    return result;
}

/* -- open and close ----------------------------------------------- */

static mtf_status listen_on(const mtf_http_config *config, int *fd, int *port, mtf_err *err)
{
    struct sockaddr_storage address;
    socklen_t size;
    const int on = 1, off = 0;
    const mtf_status status = mtf_address_parse(config->bind, config->port, &address, &size, err);
    if (status) return status;
    *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return mtf_fail(err, MTF_INVALID, "http.bind: socket: %s", strerror(errno));
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6) setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(*fd, (const struct sockaddr *)&address, size) || listen(*fd, LISTEN_BACKLOG)) {
        const int error = errno;
        if (error == EADDRINUSE)
            return mtf_fail(err, MTF_INVALID,
                            "http.port: %d is taken on %s; set another, or 0 for no HTTP",
                            config->port, config->bind);
        return mtf_fail(err, MTF_INVALID, "%s: cannot listen on %s port %d: %s",
                        error == EADDRNOTAVAIL ? "http.bind" : "http.port", config->bind,
                        config->port, strerror(error));
    }
    if (getsockname(*fd, (struct sockaddr *)&address, &size))
        return mtf_fail(err, MTF_INVALID, "http.port: %s", strerror(errno));
    *port = mtf_address_port(&address);
    return MTF_OK;
}

/** What the library has to say is about the other side's requests. */
static void no_log(void *arg, const char *format, va_list arguments)
{
    (void)arg, (void)format, (void)arguments;
}

/** Its thread takes no signals: those are the main thread's. */
static struct MHD_Daemon *start(mtf_http *http, int fd)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, http, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

mtf_status mtf_http_open(const mtf_http_config *config, mtf_http **http, mtf_err *err)
{
    int fd = -1;
    *http = NULL;
    mtf_http *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "http: out of memory");
    made->version = config->version;
    pthread_mutex_init(&made->lock, NULL);
    mtf_status status = listen_on(config, &fd, &made->port, err);
    if (!status) {
        made->daemon = start(made, fd);
        if (made->daemon)
            fd = -1; /* the daemon closes it */
        else
            status = mtf_fail(err, MTF_NOMEM, "http: cannot start its thread");
    }
    if (fd >= 0) close(fd);
    if (status) {
        mtf_http_close(made);
        return status;
    }
    *http = made;
    return MTF_OK;
}

void mtf_http_close(mtf_http *http)
{
    if (!http) return;
    if (http->daemon) MHD_stop_daemon(http->daemon);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

int mtf_http_port(const mtf_http *http)
{
    return http->port;
}

void mtf_http_add(mtf_http *http, const mtf_http_part *part)
{
    pthread_mutex_lock(&http->lock);
    MTF_ASSERT(http->part_count < MTF_HTTP_PARTS);
    http->parts[http->part_count++] = *part;
    pthread_mutex_unlock(&http->lock);
}

void mtf_http_remove(mtf_http *http, const void *arg)
{
    pthread_mutex_lock(&http->lock);
    size_t kept = 0;
    for (size_t i = 0; i < http->part_count; i++)
        if (http->parts[i].arg != arg) http->parts[kept++] = http->parts[i];
    http->part_count = kept;
    pthread_mutex_unlock(&http->lock);
}
