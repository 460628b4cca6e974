/** The other end: one request, for `mtf healthcheck` and the tests. The server closes after its
 *  answer, so an answer is what comes until the end of the stream. */
#include "ops/http.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "ops/address.h"

#define ANSWER_BYTES_MAX (1 << 20)

/** The socket is not blocking: whatever is not possible now waits here. */
static mtf_status wait_for(int fd, short events, int64_t until_ns, mtf_err *err)
{
    const int64_t left_ms = (until_ns - mtf_clock_mono_ns()) / 1000000;
    struct pollfd one = {.fd = fd, .events = events};
    if (left_ms > 0 && poll(&one, 1, (int)left_ms) == 1) return MTF_OK;
    return mtf_fail(err, MTF_BROKER, "no answer in time");
}

static mtf_status connect_to(const char *address, int port, int64_t until_ns, int *fd, mtf_err *err)
{
    struct sockaddr_storage to;
    socklen_t size;
    mtf_status status = mtf_address_parse(address, port, &to, &size, err);
    if (status) return status;
    *fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return mtf_fail(err, MTF_BROKER, "socket: %s", strerror(errno));
    if (connect(*fd, (const struct sockaddr *)&to, size) == 0) return MTF_OK;
    int error = errno;
    if (error == EINPROGRESS) {
        status = wait_for(*fd, POLLOUT, until_ns, err);
        if (status) return status;
        socklen_t error_size = sizeof error;
        if (getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &error_size)) error = errno;
    }
    return error ? mtf_fail(err, MTF_BROKER, "%s", strerror(error)) : MTF_OK;
}

static mtf_status ask(int fd, const char *path, int64_t until_ns, mtf_err *err)
{
    mtf_buf request = {0};
    mtf_buf_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                   path);
    mtf_status status = request.failed ? mtf_fail(err, MTF_NOMEM, "out of memory")
                                       : wait_for(fd, POLLOUT, until_ns, err);
    /* So few bytes fit a fresh socket's buffer at once. */
    if (!status && send(fd, request.data, request.size, MSG_NOSIGNAL) != (ssize_t)request.size)
        status = mtf_fail(err, MTF_BROKER, "send: %s", strerror(errno));
    mtf_buf_fini(&request);
    return status;
}

static mtf_status take(int fd, int64_t until_ns, mtf_buf *answer, mtf_err *err)
{
    while (answer->size < ANSWER_BYTES_MAX) {
        char piece[4096];
        const mtf_status status = wait_for(fd, POLLIN, until_ns, err);
        if (status) return status;
        const ssize_t size = recv(fd, piece, sizeof piece, 0);
        if (size == 0) return answer->failed ? mtf_fail(err, MTF_NOMEM, "out of memory") : MTF_OK;
        if (size < 0 && errno != EAGAIN && errno != EINTR)
            return mtf_fail(err, MTF_BROKER, "receive: %s", strerror(errno));
        if (size > 0) mtf_buf_put(answer, piece, (size_t)size);
    }
    return mtf_fail(err, MTF_CORRUPT, "the answer is over %d bytes", ANSWER_BYTES_MAX);
}

static mtf_status split(mtf_buf *answer, int *code, mtf_buf *body, mtf_err *err)
{
    mtf_buf_put_u8(answer, '\0');
    if (answer->failed) return mtf_fail(err, MTF_NOMEM, "out of memory");
    const char *text = (const char *)answer->data;
    const char *end = strstr(text, "\r\n\r\n");
    if (sscanf(text, "HTTP/1.%*[01] %3d", code) != 1 || !end)
        return mtf_fail(err, MTF_CORRUPT, "the answer is not HTTP");
    const size_t head = (size_t)(end + 4 - text);
    mtf_buf_put(body, text + head, answer->size - 1 - head);
    return body->failed ? mtf_fail(err, MTF_NOMEM, "out of memory") : MTF_OK;
}

mtf_status mtf_http_get(const char *address, int port, const char *path, int timeout_ms, int *code,
                        mtf_buf *body, mtf_err *err)
{
    const int64_t until_ns = mtf_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    mtf_err why = {0};
    mtf_buf answer = {0};
    int fd = -1;
    mtf_status status = connect_to(address, port, until_ns, &fd, &why);
    if (!status) status = ask(fd, path, until_ns, &why);
    if (!status) status = take(fd, until_ns, &answer, &why);
    if (!status) status = split(&answer, code, body, &why);
    if (fd >= 0) close(fd);
    mtf_buf_fini(&answer);
    if (!status) return MTF_OK;
    return mtf_fail(err, status, "http://%.100s:%d%.100s: %.150s", address, port, path, why.msg);
}
