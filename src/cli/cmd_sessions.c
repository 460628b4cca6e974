/** `mtf sessions tail`: the sessions topic as it grows, decoded. */
#include "cli/cli.h"
#include "cli/session_json.h"
#include "cli/stages.h"
#include "cli/times.h"
#include "ingest/user_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 200 };

typedef struct tail_options {
    const char *user, *from;
    int64_t limit;
    bool to_end;
} tail_options;

typedef struct tail {
    const mtf_cli *cli;
    const tail_options *options;
    mtf_decoder *decoder;
    mtf_session_decoder sessions;
    mtf_kafka_client *client;
    mtf_source source;
    char user[300]; /* as sessions carry it; "": all */
    int32_t count;
    int64_t *first, *end; /* of each partition: where reading begins, and ended at the opening */
    int32_t left;         /* partitions that are not read to that end */
    mtf_arena arena;
    mtf_buf text;
    int64_t shown, bad;
} tail;

/** As the sessionizers write it: hashed, where there is a key. */
static mtf_status name_user(tail *t, mtf_err *err)
{
    const char *id = t->options->user;
    char hash[MTF_USER_HASH_CHARS];
    mtf_user_key *key = NULL;
    if (!id) return MTF_OK;
    if (!id[0] || strlen(id) >= sizeof t->user)
        return mtf_fail(err, MTF_INVALID, "--user: an id of 1 to %zu bytes", sizeof t->user - 1);
    mtf_status status = mtf_user_key_open(t->cli->settings.privacy_user_key_file, &key, err);
    if (status == MTF_OK && key) status = mtf_user_key_hash(key, mtf_str_of(id), hash, err);
    if (status == MTF_OK)
        snprintf(t->user, sizeof t->user, "%.*s", key ? (int)sizeof hash : (int)strlen(id),
                 key ? hash : id);
    mtf_user_key_close(key);
    return status;
}

/** From the given time, or where each partition ends now. */
static mtf_status find_places(tail *t, int64_t from_ms, mtf_err *err)
{
    const char *topic = t->cli->settings.topics_sessions;
    mtf_status status = mtf_kafka_client_partitions(t->client, topic, &t->count, err);
    if (status != MTF_OK) return status;
    const size_t n = (size_t)t->count;
    t->first = calloc(n, 3 * sizeof *t->first);
    if (!t->first) return mtf_fail(err, MTF_NOMEM, "no memory for %zu partitions", n);
    t->end = t->first + n;
    int64_t *times_ms = t->end + n;
    for (size_t i = 0; i < n; i++) times_ms[i] = from_ms;
    status = mtf_kafka_client_ranges(t->client, topic, t->count, t->first, t->end, err);
    if (status == MTF_OK && from_ms >= 0)
        status = mtf_kafka_client_offsets_at(t->client, topic, t->count, times_ms, t->first, err);
    for (size_t i = 0; status == MTF_OK && i < n; i++) {
        if (from_ms < 0) t->first[i] = t->end[i];
        t->left += t->first[i] < t->end[i];
    }
    return status;
}

static void put_line(const mtf_session *session, mtf_buf *out)
{
    static const char *const reasons[] = {"end_event", "gap", "cap", "id_change"};
    char started[32], id[33];
    int64_t items = 0;
    times_print(session->started_ms, started);
    mtf_hex(id, session->session_id, sizeof session->session_id);
    for (uint32_t i = 0; i < session->step_count; i++)
        items += session->steps[i].request.item_count;
    mtf_buf_printf(out,
                   "%s user=%.*s session=%s seconds=%.3f end=%s steps=%" PRIu32 " items=%" PRId64,
                   started, (int)session->user_id.size, session->user_id.data, id,
                   (double)(session->ended_ms - session->started_ms) / 1000,
                   reasons[session->end_reason], session->step_count, items);
    if (session->step_count)
        mtf_buf_printf(out, " policy=%lld", (long long)session->steps[0].request.policy_version);
    if (session->parts > 1)
        mtf_buf_printf(out, " part=%" PRIu32 "/%" PRIu32, session->part + 1, session->parts);
    mtf_buf_printf(out, "%s%s\n", session->truncated_head ? " truncated_head" : "",
                   session->truncated_tail ? " truncated_tail" : "");
}

/** A record of the topic, if it is one of the user's. */
static mtf_status take(tail *t, const mtf_message *message, mtf_err *err)
{
    mtf_session session;
    mtf_err why = {0};
    const mtf_str key = {(const char *)message->key.data, (uint32_t)message->key.size};
    if (t->user[0] && !mtf_str_is(key, t->user)) return MTF_OK;
    mtf_arena_reset(&t->arena);
    mtf_buf_clear(&t->text);
    const mtf_status status =
        t->sessions.decode(t->sessions.self, message->value, &t->arena, &session, &why);
    if (status == MTF_SKIP) {
        t->bad++;
        fprintf(stderr, "mtf: %s/%" PRId32 "@%" PRId64 ": %s\n", t->cli->settings.topics_sessions,
                message->partition, message->offset, why.msg);
        return MTF_OK;
    }
    if (status != MTF_OK) return mtf_fail(err, status, "%s", why.msg);
    if (t->cli->json)
        session_json_put(&session, &t->text);
    else
        put_line(&session, &t->text);
    if (t->text.failed) return mtf_fail(err, MTF_NOMEM, "no memory to print a session");
    t->shown++;
    if (fwrite(t->text.data, 1, t->text.size, stdout) != t->text.size || fflush(stdout) != 0)
        return mtf_fail(err, MTF_CLOSED, "nobody reads the output"); /* main says it if a disk */
    return MTF_OK;
}

/** `next` is where the partition stands: behind its end of the opening, or on it, it is done. */
static void reach(tail *t, int32_t partition, int64_t next)
{
    if (partition >= t->count || t->first[partition] >= t->end[partition]) return;
    t->first[partition] = next;
    t->left -= next >= t->end[partition];
}

static mtf_status step(tail *t, mtf_err *err)
{
    mtf_input input;
    mtf_status status = t->source.poll(t->source.self, POLL_MS, &input, err);
    if (status == MTF_AGAIN) return MTF_OK;
    if (status != MTF_OK) return status;
    if (input.kind == MTF_INPUT_ASSIGN) /* one that is new since the opening: from its start */
        return t->source.start(t->source.self, input.partition,
                               input.partition < t->count ? t->first[input.partition] : 0, err);
    if (input.kind == MTF_INPUT_END) reach(t, input.partition, input.message.offset);
    if (input.kind != MTF_INPUT_MESSAGE) return MTF_OK;
    const bool within =
        input.partition < t->count && input.message.offset < t->end[input.partition];
    if (within || !t->options->to_end) status = take(t, &input.message, err);
    reach(t, input.partition, input.message.offset + 1);
    return status;
}

static bool goes_on(const tail *t)
{
    if (atomic_load(t->cli->stop)) return false;
    if (t->options->limit > 0 && t->shown >= t->options->limit) return false;
    return !t->options->to_end || t->left > 0;
}

static mtf_status follow(tail *t, int64_t from_ms, mtf_err *err)
{
    const mtf_settings *s = &t->cli->settings;
    const stage_context context = {s, &t->cli->log, t->cli->stop, true};
    /* Every handle that assigns needs a group's name; nothing is ever committed to this one. */
    const mtf_kafka_source_config config = {.topic = s->topics_sessions, .group = "mtf-read"};
    mtf_kafka_source *source = NULL;
    mtf_status status = name_user(t, err);
    if (status == MTF_OK) status = stage_decoder_open(s, STAGE_SESSIONS, &t->decoder, err);
    if (status == MTF_OK) status = stage_client_open(&context, NULL, 0, &t->client, err);
    if (status == MTF_OK) status = find_places(t, from_ms, err);
    if (status == MTF_OK) status = mtf_kafka_source_open(s, &t->cli->log, &config, &source, err);
    if (status != MTF_OK) return status;
    t->source = mtf_kafka_source_pipe(source);
    t->sessions = mtf_decoder_sessions(t->decoder);
    mtf_log_line(&t->cli->log, MTF_LOG_INFO, "sessions.follow", "topic=%s partitions=%" PRId32,
                 s->topics_sessions, t->count);
    while (status == MTF_OK && goes_on(t)) status = step(t, err);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static void close_tail(tail *t)
{
    if (t->source.close) t->source.close(t->source.self);
    mtf_kafka_client_close(t->client);
    mtf_decoder_close(t->decoder);
    mtf_arena_fini(&t->arena);
    mtf_buf_fini(&t->text);
    free(t->first);
}

int mtf_command_sessions(mtf_cli *cli, int argc, char **argv)
{
    tail_options o = {0};
    const mtf_option options[] = {
        {"--user", MTF_OPTION_TEXT, &o.user, 0, 0, "ID",
         "only this user's; where ids are hashed, privacy.user_key_file must be the sessionizers'"},
        {"--from", MTF_OPTION_TEXT, &o.from, 0, 0, "TIME",
         "from the first session appended at or after it (UTC); default: what comes from now on"},
        {"--to-end", MTF_OPTION_FLAG, &o.to_end, 0, 0, NULL,
         "leave at the end that the topic has now, instead of waiting for more"},
        {"--limit", MTF_OPTION_INT, &o.limit, 1, 1e15, "N", "leave after so many sessions"},
    };
    mtf_err err = {0};
    int64_t from_ms = -1;
    mtf_status status = mtf_cli_read(cli, argc, argv, "sessions tail [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    if (cli->word_count != 1 || strcmp(cli->words[0], "tail") != 0)
        status = mtf_fail(&err, MTF_INVALID, "sessions: say tail");
    if (status == MTF_OK && o.from) status = times_parse("--from", o.from, &from_ms, &err);
    tail t = {.cli = cli, .options = &o};
    if (status == MTF_OK) status = follow(&t, from_ms, &err);
    if (t.bad)
        fprintf(stderr, "mtf: %" PRId64 " records are no sessions that can be read\n", t.bad);
    close_tail(&t);
    return mtf_cli_exit(status, &err);
}
