/** What an operator may ask over HTTP, GET and HEAD only:
 *
 *     /metrics           the exposition
 *     /healthz, /ping    200 while every stage's loop moves, brokers or no brokers; else 503, why
 *     /readyz, /ready    200 when every part can do its work; else 503 and a line per reason
 *     /version           JSON
 *
 *  One thread of its own. A request costs bounded memory and time, changes nothing, and sees no
 *  settings. No authentication, no TLS: bind it to loopback or to a network you trust. */
#ifndef MTF_OPS_HTTP_H
#define MTF_OPS_HTTP_H

#include "ops/exposition.h"

/** What a part of the program lets be seen. Any function may be NULL. They are called on the
 *  server's thread, one at a time, between add and remove; they read atomics or take a short lock,
 *  and never call back into the server. */
typedef struct mtf_http_part {
    void *arg;
    void (*collect)(void *arg, mtf_exposition *out);
    void (*stalled)(void *arg, mtf_buf *reasons); /* a line for each loop that stands still */
    void (*unready)(void *arg, mtf_buf *reasons); /* a line for each thing that is missing */
} mtf_http_part;

#define MTF_HTTP_PARTS 8

typedef struct mtf_http_config {
    const char *bind;    /* an address, not a name: 127.0.0.1, 0.0.0.0, ::1, :: (v6 and v4) */
    int port;            /* 0: any free one */
    const char *version; /* answer to /version, borrowed until close */
} mtf_http_config;

typedef struct mtf_http mtf_http;

/** Listens and answers until close; not ready until it has a part. MTF_INVALID names http.bind or
 *  http.port: no such address here, the port is taken or not ours to take. */
mtf_status mtf_http_open(const mtf_http_config *config, mtf_http **http,
                         mtf_err *err) MTF_NODISCARD;
/** Waits for the request under way. */
void mtf_http_close(mtf_http *http);
int mtf_http_port(const mtf_http *http);

/** Any thread. part is copied, part->arg borrowed until it is removed. */
void mtf_http_add(mtf_http *http, const mtf_http_part *part);
/** After it returns, no function of the part is running or will be called. */
void mtf_http_remove(mtf_http *http, const void *arg);

/** One GET to a literal address; body is appended, 1 MiB at most. MTF_BROKER: nobody answers
 *  there, or not within timeout_ms; MTF_INVALID: not an address; MTF_CORRUPT: not HTTP. */
mtf_status mtf_http_get(const char *address, int port, const char *path, int timeout_ms, int *code,
                        mtf_buf *body, mtf_err *err) MTF_NODISCARD;

#endif
