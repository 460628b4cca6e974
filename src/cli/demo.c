#include "cli/demo.h"

#include "ingest/kafka_sink.h"

#include <stdlib.h>
#include <string.h>

/* -- the stages' threads ------------------------------------------------------------------------
 */

static void *run_sessionize(void *arg)
{
    demo_loop *loop = arg;
    loop->sessionize_status = sessionize_stage_run(&loop->sessionize, &loop->sessionize_err);
    atomic_fetch_add(&loop->ended, 1);
    return NULL;
}

static void *run_learn(void *arg)
{
    demo_loop *loop = arg;
    loop->learn_status = learn_stage_run(&loop->learn, &loop->learn_err);
    atomic_fetch_add(&loop->ended, 1);
    return NULL;
}

static bool watch_due(void *arg, int64_t sessions)
{
    demo_loop *loop = arg;
    return sessions >= atomic_load(&loop->due_sessions);
}

static void watch_progress(void *arg, const char *what, int64_t done, int64_t total)
{
    demo_loop *loop = arg;
    if (strcmp(what, "train") != 0) return;
    if (done <= 1) mtf_progress_begin(&loop->training, what, "steps", total, loop->config.quiet);
    if (done < total) mtf_progress_at(&loop->training, done);
    if (done == total) mtf_progress_end(&loop->training, done);
}

static void watch_report(void *arg, const mtf_round_report *report)
{
    demo_loop *loop = arg;
    atomic_store(&loop->due_sessions, DEMO_NOT_DUE);
    pthread_mutex_lock(&loop->lock);
    loop->report = *report;
    loop->reported++;
    pthread_mutex_unlock(&loop->lock);
}

/* -- opening ------------------------------------------------------------------------------------
 */

static mtf_status open_brokers(demo_loop *loop, mtf_err *err)
{
    mtf_settings *s = loop->config.settings;
    const mtf_kafka_mock_topic topics[] = {
        {s->topics_exploration, DEMO_PARTITIONS},
        {s->topics_sessions, DEMO_PARTITIONS},
        {s->topics_late, 1},
        {s->topics_dead_letter, 1},
        {s->topics_policy, 1},
        {s->topics_policy_history, 1},
    };
    const mtf_status status =
        mtf_kafka_mock_open(topics, sizeof topics / sizeof *topics, &loop->mock, err);
    if (status != MTF_OK) return status;
    return mtf_settings_set(s, "kafka.bootstrap_servers", mtf_kafka_mock_bootstrap(loop->mock),
                            "demo", err);
}

mtf_status demo_loop_open(const demo_loop_config *config, demo_loop **out, mtf_err *err)
{
    demo_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return mtf_fail(err, MTF_NOMEM, "no memory for the demo");
    *out = loop;
    loop->config = *config;
    loop->context = (stage_context){config->settings, config->log, config->stop, true};
    atomic_init(&loop->due_sessions, DEMO_NOT_DUE);
    pthread_mutex_init(&loop->lock, NULL);
    loop->feed = (sim_feed){
        .settings = config->settings, .sink = &loop->sink, .partitions = DEMO_PARTITIONS};
    const learn_watch watch = {loop, watch_due, watch_progress, watch_report};
    mtf_status status = open_brokers(loop, err);
    if (status == MTF_OK)
        status = sessionize_stage_open(&loop->sessionize, &loop->context, false, err);
    if (status == MTF_OK)
        status = learn_stage_open(&loop->learn, &loop->context, &watch, false, err);
    if (status == MTF_OK)
        status = mtf_kafka_sink_open(config->settings, config->log, NULL, &loop->sink, err);
    if (status == MTF_OK) status = policy_head_open(&loop->head, &loop->context, false, err);
    void *(*const run[])(void *) = {run_sessionize, run_learn};
    for (; status == MTF_OK && loop->thread_count < 2; loop->thread_count++) {
        if (pthread_create(&loop->threads[loop->thread_count], NULL, run[loop->thread_count],
                           loop) != 0) {
            status = mtf_fail(err, MTF_NOMEM, "cannot start a thread");
            break;
        }
    }
    return status;
}

mtf_status demo_loop_close(demo_loop *loop, mtf_status status, mtf_err *err)
{
    atomic_store(loop->config.stop, true);
    for (int i = 0; i < loop->thread_count; i++) pthread_join(loop->threads[i], NULL);
    /* A stage's own failure says more than that it stopped. */
    if (loop->sessionize_status != MTF_OK) {
        status = loop->sessionize_status;
        if (err) *err = loop->sessionize_err;
    } else if (loop->learn_status != MTF_OK) {
        status = loop->learn_status;
        if (err) *err = loop->learn_err;
    }
    policy_head_close(&loop->head);
    if (loop->sink.close) loop->sink.close(loop->sink.self);
    learn_stage_close(&loop->learn);
    sessionize_stage_close(&loop->sessionize);
    if (loop->mock) mtf_kafka_mock_close(loop->mock);
    pthread_mutex_destroy(&loop->lock);
    sim_feed_fini(&loop->feed);
    free(loop);
    return status;
}
