#include "cli/replay_run.h"

#include "core/fault.h"
#include "ingest/kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES        3 /* passes, when the brokers refuse a transaction */
#define UNIT_RECORDS 1000

static mtf_status open_sink(replay_run *run, const char *command, const char *topic, mtf_err *err)
{
    const mtf_settings *s = run->context.settings;
    const bool exactly_once = strcmp(s->sessionize_delivery, "exactly-once") == 0;
    char id[300]; /* a topic's name has 249 characters at most */
    snprintf(id, sizeof id, "%s-%s", command, topic);
    const mtf_kafka_sink_config config = {
        .transactional_id = exactly_once ? id : NULL,
        .stop = run->context.stop,
    };
    return mtf_kafka_sink_open(s, run->context.log, &config, &run->sink, err);
}

mtf_status replay_run_open(replay_run *run, const mtf_cli *cli, const aside_options *options,
                           const aside_filter *filter, const char *command, const char *topic,
                           mtf_err *err)
{
    *run = (replay_run){
        .cli = cli,
        .options = options,
        .context = {&cli->settings, &cli->log, cli->stop, true},
    };
    mtf_status status = stage_decoder_open(&cli->settings, STAGE_TOPIC_EVENTS, &run->decoder, err);
    /* The sink first: it ends what an earlier run left open, which would hide marks from us. */
    if (status == MTF_OK && options->execute) status = open_sink(run, command, topic, err);
    if (status == MTF_OK) status = aside_topic_open(&run->topic, &run->context, topic, filter, err);
    return status == MTF_OK ? aside_topic_read_marks(&run->topic, err) : status;
}

void replay_run_close(replay_run *run)
{
    if (run->sink.close) run->sink.close(run->sink.self);
    aside_marks_fini(&run->done);
    aside_topic_close(&run->topic);
    mtf_decoder_close(run->decoder);
}

mtf_status replay_run_begin(replay_run *run, mtf_err *err)
{
    if (run->begun) return MTF_OK;
    const mtf_status status = run->sink.begin(run->sink.self, err);
    run->begun = status == MTF_OK;
    return status;
}

mtf_status replay_run_done(replay_run *run, int32_t partition, int64_t offset, mtf_err *err)
{
    return aside_marks_add(&run->done, partition, offset, err);
}

bool replay_run_is_full(const replay_run *run)
{
    return run->done.count >= UNIT_RECORDS;
}

mtf_status replay_run_commit(replay_run *run, mtf_err *err)
{
    if (!run->begun) return MTF_OK;
    mtf_status status = aside_topic_put_marks(&run->topic, &run->sink, &run->done, err);
    if (status == MTF_OK) {
        mtf_fault_point("replay.commit");
        status = run->sink.commit(run->sink.self, NULL, 0, err);
    }
    if (status != MTF_OK) return status;
    mtf_fault_point("replay.committed");
    run->begun = false;
    run->committed += (int64_t)run->done.count;
    return aside_topic_note_marks(&run->topic, &run->done, err);
}

static void give_up(replay_run *run)
{
    aside_marks_fini(&run->done);
    if (!run->begun) return;
    run->begun = false;
    /* What cannot be aborted now is when the next run opens the id. */
    const mtf_status status = run->sink.abort(run->sink.self, NULL);
    (void)status;
}

void replay_run_name(replay_run *run, int32_t partition, int64_t offset, const char *why)
{
    if (run->named_count == sizeof run->named / sizeof *run->named) return;
    run->named[run->named_count].partition = partition;
    run->named[run->named_count].offset = offset;
    run->named[run->named_count++].why = why;
}

void replay_run_named_json(const replay_run *run, mtf_buf *out)
{
    for (size_t i = 0; i < run->named_count; i++)
        mtf_buf_printf(out, "%s{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"why\":\"%s\"}",
                       i ? "," : "[", run->named[i].partition, run->named[i].offset,
                       run->named[i].why);
    mtf_buf_printf(out, "%s", run->named_count ? "]" : "[]");
}

void replay_run_named_text(const replay_run *run, const char *why, int64_t count, const char *words,
                           mtf_buf *out)
{
    if (!count) return;
    mtf_buf_printf(out, "not replayed: %" PRId64 " %s\n", count, words);
    for (size_t i = 0; i < run->named_count; i++)
        if (strcmp(run->named[i].why, why) == 0)
            mtf_buf_printf(out, "    %s/%" PRId32 "@%" PRId64 "\n", run->topic.name,
                           run->named[i].partition, run->named[i].offset);
}

mtf_status replay_run_passes(replay_run *run, mtf_status (*pass)(void *self, mtf_err *err),
                             void (*print)(const void *self, mtf_buf *out), void *self,
                             mtf_err *err)
{
    mtf_status status = MTF_AGAIN;
    mtf_buf out = {0};
    for (int tries = 1; status == MTF_AGAIN && tries <= TRIES; tries++) {
        run->named_count = 0;
        status = pass(self, err);
        if (status != MTF_OK) give_up(run);
        if (status == MTF_AGAIN && tries < TRIES)
            mtf_log_line(&run->cli->log, MTF_LOG_WARN, "aside.replay",
                         "topic=%s retry=true reason=\"%s\"", run->topic.name, err->msg);
    }
    if (status == MTF_OK) {
        print(self, &out);
        fwrite(out.data, 1, out.size, stdout);
    } else if (run->committed) {
        fprintf(stderr, "mtf: %" PRId64 " records of %s are done and marked; run it again\n",
                run->committed, run->topic.name);
    }
    mtf_buf_fini(&out);
    return status;
}
