#include "cli/operator.h"

#include "core/clock.h"
#include "ingest/kafka_sink.h"
#include "ops/families.h"
#include "ops/health.h"

#include <stdio.h>

/** Readiness asks the brokers at most so often, and waits so long: probes must not be a load. */
#define BROKER_ASK_MS    10000
#define BROKER_ANSWER_MS 1000

void operator_version(const mtf_cli *cli, bool json, mtf_buf *out)
{
    const char *core = cli->blas_core ? cli->blas_core : "unknown";
    if (json) {
        mtf_buf_printf(out,
                       "{\"mtf\":\"%s\",\"librdkafka\":\"%s\",\"blas_core\":\"%s\","
                       "\"compiler\":\"%s\"}\n",
                       MTF_VERSION, mtf_kafka_version(), core, __VERSION__);
    } else {
        mtf_buf_printf(out, "mtf %s\nlibrdkafka %s\nOpenBLAS core %s\ncompiler %s\n", MTF_VERSION,
                       mtf_kafka_version(), core, __VERSION__);
    }
}

/* -- the program -------------------------------------------------- */

static void collect_program(void *arg, mtf_exposition *out)
{
    (void)arg;
    mtf_families_program(out, MTF_VERSION, mtf_kafka_version());
}

static void unready_program(void *arg, mtf_buf *reasons)
{
    const operator_view *view = arg;
    if (!atomic_load(&view->running))
        mtf_buf_printf(reasons, "starting: waiting for the brokers and the topics to be there\n");
}

/* -- the stages --------------------------------------------------- */

static void stalled(const operator_view *view, const mtf_board *board, const char *stage,
                    mtf_buf *reasons)
{
    mtf_health_stalled(board, stage, mtf_clock_mono_ns() / 1000000, view->settings->http_stalled_ms,
                       reasons);
}

static void unready(operator_view *view, mtf_board *board, const mtf_kafka_source *source,
                    const char *stage, mtf_buf *reasons)
{
    const int64_t now_ms = mtf_clock_mono_ns() / 1000000;
    if (now_ms >= view->asked_ms + BROKER_ASK_MS || view->asked_ms == 0) {
        view->reached = mtf_kafka_source_reaches(source, BROKER_ANSWER_MS);
        view->asked_ms = now_ms;
    }
    if (!view->reached) mtf_buf_printf(reasons, "%s: no broker answers\n", stage);
    mtf_health_unassigned(mtf_kafka_source_counters(source), stage, reasons);
    mtf_health_recovering(board, stage, reasons);
}

static int64_t end_of(const void *arg, int32_t partition)
{
    return mtf_kafka_source_end(arg, partition);
}

static void collect_sessionize(void *arg, mtf_exposition *out)
{
    const operator_view *view = arg;
    const sessionize_stage *stage = view->sessionize;
    const char *topic = view->settings->topics_exploration;
    for (int i = 0; i < stage->count; i++) {
        const sessionize_look look = sessionize_stage_look(stage, i);
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        const char *member = stage->count > 1 ? name : NULL;
        mtf_families_sessionize(out, look.counters, member);
        mtf_families_kafka_source(out, mtf_kafka_source_counters(look.source), topic, member);
        mtf_families_kafka_sink(out, mtf_kafka_sink_counters(look.sink), "sessionize", member);
        mtf_families_partitions(out, look.board, end_of, look.source, topic, member);
    }
}

static void stalled_sessionize(void *arg, mtf_buf *reasons)
{
    const operator_view *view = arg;
    for (int i = 0; i < view->sessionize->count; i++)
        stalled(view, sessionize_stage_look(view->sessionize, i).board, "sessionize", reasons);
}

static void unready_sessionize(void *arg, mtf_buf *reasons)
{
    operator_view *view = arg;
    for (int i = 0; i < view->sessionize->count; i++) {
        const sessionize_look look = sessionize_stage_look(view->sessionize, i);
        unready(view, look.board, look.source, "sessionize", reasons);
    }
}

static void collect_learn(void *arg, mtf_exposition *out)
{
    const operator_view *view = arg;
    learn_stage *stage = view->learn;
    const mtf_settings *s = view->settings;
    const mtf_learn *loop = learn_stage_loop(stage);
    if (loop) mtf_families_learn(out, mtf_learn_metrics_of(loop));
    mtf_families_leader(out, learn_stage_stands_by(stage));
    mtf_families_policy(out, &stage->policies, s->policy_name, mtf_clock_wall_ms());
    mtf_families_kafka_source(out, mtf_kafka_source_counters(stage->source.self),
                              s->topics_sessions, NULL);
    mtf_families_kafka_sink(out, mtf_kafka_sink_counters(&stage->dead_letters), "learn", NULL);
    mtf_families_partitions(out, &stage->board, end_of, stage->source.self, s->topics_sessions,
                            NULL);
}

static void stalled_learn(void *arg, mtf_buf *reasons)
{
    const operator_view *view = arg;
    stalled(view, &view->learn->board, "learn", reasons);
}

static void unready_learn(void *arg, mtf_buf *reasons)
{
    operator_view *view = arg;
    if (!learn_stage_loop(view->learn)) return; /* fit for what it is: a cold standby */
    unready(view, &view->learn->board, view->learn->source.self, "learn", reasons);
}

/* -- open and close ----------------------------------------------- */

static void add(operator_view *view, void (*collect)(void *arg, mtf_exposition *out),
                void (*stall)(void *arg, mtf_buf *reasons),
                void (*unfit)(void *arg, mtf_buf *reasons))
{
    const mtf_http_part part = {view, collect, stall, unfit};
    mtf_http_add(view->http, &part);
}

mtf_status operator_open(operator_view *view, const mtf_cli *cli, mtf_err *err)
{
    *view = (operator_view){.settings = &cli->settings};
    if (cli->settings.http_port == 0) return MTF_OK;
    operator_version(cli, true, &view->version);
    mtf_buf_put_u8(&view->version, '\0');
    if (view->version.failed) return mtf_fail(err, MTF_NOMEM, "http: out of memory");
    const mtf_http_config config = {.bind = cli->settings.http_bind,
                                    .port = (int)cli->settings.http_port,
                                    .version = (const char *)view->version.data};
    const mtf_status status = mtf_http_open(&config, &view->http, err);
    if (status != MTF_OK) return status;
    add(view, collect_program, NULL, unready_program);
    mtf_log_line(&cli->log, MTF_LOG_INFO, "http.listen", "bind=%s port=%d", config.bind,
                 config.port);
    return MTF_OK;
}

void operator_close(operator_view *view)
{
    mtf_http_close(view->http);
    mtf_buf_fini(&view->version);
    *view = (operator_view){0};
}

void operator_sessionize(operator_view *view, const sessionize_stage *stage)
{
    if (!view->http) return;
    view->sessionize = stage;
    add(view, collect_sessionize, stalled_sessionize, unready_sessionize);
    atomic_store(&view->running, true);
}

void operator_learn(operator_view *view, learn_stage *stage)
{
    if (!view->http) return;
    view->learn = stage;
    add(view, collect_learn, stalled_learn, unready_learn);
    atomic_store(&view->running, true);
}
