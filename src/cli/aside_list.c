#include "cli/aside_list.h"

#include "cli/json_text.h"
#include "cli/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

size_t aside_options_table(aside_options *o, bool any_topic, mtf_option table[ASIDE_OPTION_COUNT])
{
    size_t count = 0;
    table[count++] = (mtf_option){"--from",
                                  MTF_OPTION_TEXT,
                                  &o->from,
                                  0,
                                  0,
                                  "TIME",
                                  "set aside at or after: 2026-03-01T12:00Z or ms; default: all"};
    table[count++] =
        (mtf_option){"--to", MTF_OPTION_TEXT, &o->to, 0, 0, "TIME", "and before; default: now"};
    table[count++] = (mtf_option){"--reason",
                                  MTF_OPTION_TEXT,
                                  &o->reason,
                                  0,
                                  0,
                                  "R",
                                  "only this reason; list's summary names them"};
    table[count++] = (mtf_option){"--limit",
                                  MTF_OPTION_INT,
                                  &o->limit,
                                  0,
                                  1e15,
                                  "N",
                                  "list prints so many at most; the summary counts all"};
    table[count++] = (mtf_option){
        "--payload", MTF_OPTION_FLAG, &o->payload, 0, 0, NULL, "list: key and value too, in hex"};
    table[count++] = (mtf_option){"--dry-run",
                                  MTF_OPTION_FLAG,
                                  &o->dry_run,
                                  0,
                                  0,
                                  NULL,
                                  "replay: only say what it would do (the default)"};
    table[count++] =
        (mtf_option){"--execute", MTF_OPTION_FLAG, &o->execute, 0, 0, NULL, "replay: do it"};
    if (any_topic)
        table[count++] = (mtf_option){"--any-topic",
                                      MTF_OPTION_FLAG,
                                      &o->any_topic,
                                      0,
                                      0,
                                      NULL,
                                      "replay: also to topics other than topics.exploration"};
    return count;
}

mtf_status aside_options_read(const mtf_cli *cli, const char *command, const aside_options *o,
                              aside_filter *filter, bool *replay, mtf_err *err)
{
    const char *word = cli->word_count == 1 ? cli->words[0] : "";
    *filter = (aside_filter){0, INT64_MAX, o->reason};
    *replay = strcmp(word, "replay") == 0;
    if (!*replay && strcmp(word, "list") != 0)
        return mtf_fail(err, MTF_INVALID, "%s: say list or replay", command);
    if (!*replay && (o->execute || o->dry_run || o->any_topic))
        return mtf_fail(err, MTF_INVALID,
                        "%s list: --dry-run, --execute and --any-topic are of "
                        "replay",
                        command);
    if (*replay && o->payload)
        return mtf_fail(err, MTF_INVALID, "%s replay: --payload is of list", command);
    if (o->execute && o->dry_run)
        return mtf_fail(err, MTF_INVALID, "%s replay: --dry-run or --execute, not both", command);
    mtf_status status = MTF_OK;
    if (o->from) status = times_parse("--from", o->from, &filter->from_ms, err);
    if (status == MTF_OK && o->to) status = times_parse("--to", o->to, &filter->to_ms, err);
    if (status == MTF_OK && filter->from_ms >= filter->to_ms)
        status = mtf_fail(err, MTF_INVALID, "--from %s is not before --to %s", o->from, o->to);
    return status;
}

static void copy_text(char *out, size_t size, mtf_str text)
{
    const size_t count = text.size < size ? text.size : size - 1;
    for (size_t i = 0; i < count; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        out[i] = (char)(c < 32 || c == 127 ? '?' : c); /* nobody's terminal is ours to command */
    }
    out[count] = '\0';
}

void aside_reasons_add(aside_reasons *reasons, mtf_str stage, mtf_str reason)
{
    char s[24], r[32];
    size_t i = 0;
    copy_text(s, sizeof s, stage);
    copy_text(r, sizeof r, reason);
    while (i < reasons->count &&
           (strcmp(reasons->rows[i].stage, s) != 0 || strcmp(reasons->rows[i].reason, r) != 0))
        i++;
    if (i == ASIDE_REASONS_MAX) {
        i = ASIDE_REASONS_MAX - 1;
        snprintf(reasons->rows[i].stage, sizeof s, "(others)");
        snprintf(reasons->rows[i].reason, sizeof r, "(others)");
    } else if (i == reasons->count) {
        reasons->count++;
        memcpy(reasons->rows[i].stage, s, sizeof s);
        memcpy(reasons->rows[i].reason, r, sizeof r);
    }
    reasons->rows[i].count++;
}

void aside_reasons_json(const aside_reasons *reasons, mtf_buf *out)
{
    bool first = true;
    mtf_buf_put_u8(out, '{');
    for (size_t i = 0; i < reasons->count; i++) {
        int64_t count = 0;
        bool told = false;
        for (size_t k = 0; k < reasons->count; k++) {
            if (strcmp(reasons->rows[k].reason, reasons->rows[i].reason) != 0) continue;
            told = told || k < i;
            count += reasons->rows[k].count;
        }
        if (told) continue;
        if (!first) mtf_buf_put_u8(out, ',');
        first = false;
        json_text_put(out, mtf_str_of(reasons->rows[i].reason));
        mtf_buf_printf(out, ":%" PRId64, count);
    }
    mtf_buf_put_u8(out, '}');
}

typedef struct listing {
    const char *topic;
    const aside_options *options;
    bool json;
    int64_t records, listed, foreign, replayed, cut;
    aside_reasons reasons;
    mtf_buf line;
} listing;

static void put_hex(mtf_buf *out, mtf_span bytes)
{
    char *text = mtf_buf_extend(out, 2 * bytes.size + 1);
    if (!text) return;
    mtf_hex(text, bytes.data, bytes.size);
    out->size--; /* the NUL */
}

static void put_json(listing *l, const aside_record *record)
{
    const mtf_message *m = &record->message;
    const mtf_origin *o = &record->origin;
    mtf_buf *out = &l->line;
    char time[32];
    times_print(m->timestamp_ms, time);
    mtf_buf_printf(out,
                   "{\"time\":\"%s\",\"time_ms\":%" PRId64 ",\"partition\":%" PRId32
                   ",\"offset\":%" PRId64 ",\"key_bytes\":%zu,\"bytes\":%zu,\"replayed\":%s,"
                   "\"foreign\":%s",
                   time, m->timestamp_ms, m->partition, m->offset, m->key.size, m->value.size,
                   record->replayed ? "true" : "false", record->foreign ? "true" : "false");
    if (!record->foreign) {
        mtf_buf_printf(out, ",\"origin\":{\"topic\":");
        json_text_put(out, o->topic);
        mtf_buf_printf(out,
                       ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"time_ms\":%" PRId64
                       "},\"stage\":",
                       o->partition, o->offset, o->timestamp_ms);
        json_text_put(out, o->stage);
        mtf_buf_printf(out, ",\"reason\":");
        json_text_put(out, o->reason);
        mtf_buf_printf(out, ",\"message\":");
        json_text_put(out, o->words);
        mtf_buf_printf(out, ",\"cut\":%s", o->original_bytes >= 0 ? "true" : "false");
        if (o->original_bytes >= 0)
            mtf_buf_printf(out, ",\"original_bytes\":%" PRId64, o->original_bytes);
    }
    if (l->options->payload) {
        mtf_buf_printf(out, ",\"key\":\"");
        put_hex(out, m->key);
        mtf_buf_printf(out, "\",\"value\":\"");
        put_hex(out, m->value);
        mtf_buf_put_u8(out, '"');
    }
    mtf_buf_printf(out, "}\n");
}

static void put_line(listing *l, const aside_record *record)
{
    const mtf_message *m = &record->message;
    const mtf_origin *o = &record->origin;
    mtf_buf *out = &l->line;
    char time[32], place[300], topic[250], stage[24], reason[32], words[400], bytes[64];
    times_print(m->timestamp_ms, time);
    if (l->listed == 1)
        mtf_buf_printf(out, "%-24s  %-32s  %-10s  %-14s  %12s  %s\n", "set aside", "from", "stage",
                       "reason", "bytes", "message");
    if (record->foreign) {
        mtf_buf_printf(out, "%s  %-32s  %-10s  %-14s  %12zu  %s at %" PRId32 "@%" PRId64 "\n", time,
                       "-", "-", "foreign", m->value.size, "without our headers", m->partition,
                       m->offset);
    } else {
        copy_text(topic, sizeof topic, o->topic);
        copy_text(stage, sizeof stage, o->stage);
        copy_text(reason, sizeof reason, o->reason);
        copy_text(words, sizeof words, o->words);
        snprintf(place, sizeof place, "%s/%" PRId32 "@%" PRId64, topic, o->partition, o->offset);
        if (o->original_bytes >= 0)
            snprintf(bytes, sizeof bytes, "%zu of %" PRId64, m->value.size, o->original_bytes);
        else
            snprintf(bytes, sizeof bytes, "%zu", m->value.size);
        mtf_buf_printf(out, "%s  %-32s  %-10s  %-14s  %12s  %s%s%s\n", time, place, stage, reason,
                       bytes, o->original_bytes >= 0 ? "[cut] " : "",
                       record->replayed ? "[replayed] " : "", words);
    }
    if (!l->options->payload) return;
    mtf_buf_printf(out, "  key   ");
    put_hex(out, m->key);
    mtf_buf_printf(out, "\n  value ");
    put_hex(out, m->value);
    mtf_buf_put_u8(out, '\n');
}

static mtf_status flush_line(listing *l, mtf_err *err)
{
    if (l->line.failed) return mtf_fail(err, MTF_NOMEM, "out of memory printing a record");
    fwrite(l->line.data, 1, l->line.size, stdout);
    mtf_buf_clear(&l->line);
    return MTF_OK;
}

static mtf_status list_record(void *arg, const aside_record *record, mtf_err *err)
{
    listing *l = arg;
    l->records++;
    l->foreign += record->foreign;
    l->replayed += record->replayed;
    if (!record->foreign) {
        l->cut += record->origin.original_bytes >= 0;
        aside_reasons_add(&l->reasons, record->origin.stage, record->origin.reason);
    }
    if (l->listed == l->options->limit) return MTF_OK;
    l->listed++;
    (l->json ? put_json : put_line)(l, record);
    return flush_line(l, err);
}

static void put_summary(listing *l)
{
    mtf_buf *out = &l->line;
    if (l->json) {
        mtf_buf_printf(out,
                       "{\"summary\":{\"records\":%" PRId64 ",\"listed\":%" PRId64
                       ",\"replayed\":%" PRId64 ",\"cut\":%" PRId64 ",\"foreign\":%" PRId64
                       ",\"reasons\":",
                       l->records, l->listed, l->replayed, l->cut, l->foreign);
        aside_reasons_json(&l->reasons, out);
        mtf_buf_printf(out, "}}\n");
        return;
    }
    mtf_buf_printf(out, "%s%s: %" PRId64 " records", l->listed ? "\n" : "", l->topic, l->records);
    if (l->listed < l->records) mtf_buf_printf(out, ", %" PRId64 " listed", l->listed);
    mtf_buf_printf(out, ", %" PRId64 " replayed before, %" PRId64 " cut, %" PRId64 " foreign\n",
                   l->replayed, l->cut, l->foreign);
    for (size_t i = 0; i < l->reasons.count; i++)
        mtf_buf_printf(out, "%12" PRId64 "  %-10s  %s\n", l->reasons.rows[i].count,
                       l->reasons.rows[i].stage, l->reasons.rows[i].reason);
}

mtf_status aside_list(const mtf_cli *cli, const char *name, const aside_options *o,
                      const aside_filter *filter, mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    listing l = {.topic = name, .options = o, .json = cli->json};
    aside_topic topic;
    mtf_status status = aside_topic_open(&topic, &context, name, filter, err);
    if (status == MTF_OK) status = aside_topic_read_marks(&topic, err);
    if (status == MTF_OK) status = aside_topic_each(&topic, list_record, &l, err);
    if (status == MTF_OK) {
        put_summary(&l);
        status = flush_line(&l, err);
    }
    mtf_buf_fini(&l.line);
    aside_topic_close(&topic);
    return status;
}
