/** What a running stage shows an operator: opens the HTTP server by the settings, and tells it what
 *  there is to see. Everything is a no-op while http.port is 0. */
#ifndef MTF_CLI_OPERATOR_H
#define MTF_CLI_OPERATOR_H

#include "cli/cli.h"
#include "cli/stages.h"
#include "ops/http.h"

typedef struct operator_view {
    mtf_http *http; /* NULL: none */
    const mtf_settings *settings;
    mtf_buf version;
    atomic_bool running;                /* a stage is */
    const sessionize_stage *sessionize; /* NULL: not of this process */
    learn_stage *learn;
    int64_t asked_ms; /* the server's thread: when the brokers were asked last, and */
    bool reached;     /* whether one answered */
} operator_view;

/** First of all, so that whoever asks while the brokers are away gets an answer. view stays where
 * it is until closed. */
mtf_status operator_open(operator_view *view, const mtf_cli *cli, mtf_err *err) MTF_NODISCARD;
/** A stage that is open and about to run. Borrowed until operator_close, which comes before the
 *  stage's. */
void operator_sessionize(operator_view *view, const sessionize_stage *stage);
void operator_learn(operator_view *view, learn_stage *stage);
void operator_close(operator_view *view);

/** What `mtf version` and, as JSON, /version say. */
void operator_version(const mtf_cli *cli, bool json, mtf_buf *out);

#endif
