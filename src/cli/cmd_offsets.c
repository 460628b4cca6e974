/** `mtf offsets show|reset`: where the sessionizers' group stands, and where it shall go on. */
#include "cli/cli.h"
#include "cli/json_text.h"
#include "cli/offsets.h"
#include "cli/times.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct offsets_options {
    const char *to_datetime;
    bool to_earliest, execute;
} offsets_options;

static const char *const kinds[] = {"none", "clean", "place", "other-settings", "damaged"};

static bool is_placed(const offsets_part *part)
{
    return part->kind == OFFSETS_PLACE || part->kind == OFFSETS_FOREIGN;
}

/** "-" for the watermark of a log that was not read yet. */
static void watermark_text(const offsets_part *part, char text[32])
{
    if (is_placed(part) && part->place.watermark_ms > 0)
        times_print(part->place.watermark_ms, text);
    else
        snprintf(text, 32, "-");
}

static void number_text(int64_t value, char text[24])
{
    if (value < 0)
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, "%" PRId64, value);
}

static void put_group(const offsets_view *view, mtf_buf *out)
{
    const mtf_kafka_group *group = &view->group;
    mtf_buf_printf(out, "group %s on %s: ", view->settings->sessionize_group,
                   view->settings->topics_exploration);
    if (!group->told)
        mtf_buf_printf(out, "who is in it the brokers do not tell (%s)\n", group->untold);
    else if (strcmp(group->state, "Dead") == 0) /* Kafka's word for one that never was */
        mtf_buf_printf(out, "nobody has joined it yet\n");
    else
        mtf_buf_printf(out, "%s, %" PRId32 " members%s%s%s\n", group->state, group->members,
                       group->members ? " (" : "", group->names, group->members ? ")" : "");
}

/* -- show --------------------------------------------------------- */

static void put_note(const offsets_part *part, int32_t partition, mtf_buf *out)
{
    const mtf_place *place = &part->place;
    mtf_buf note = {0};
    if (part->kind == OFFSETS_NONE)
        mtf_buf_printf(&note, " no commit: a start reads from the first record;");
    if (part->kind == OFFSETS_CLEAN)
        mtf_buf_printf(&note, " no metadata: a start begins clean, with no session open;");
    if (part->kind == OFFSETS_FOREIGN)
        mtf_buf_printf(&note, " made under other settings of sessionize: a start refuses it until "
                              "--accept-config-change;");
    if (part->kind == OFFSETS_DAMAGED)
        mtf_buf_printf(&note,
                       " metadata that is no commit of a sessionizer (%s): a start refuses "
                       "it until --accept-config-change;",
                       part->wrong);
    if (part->committed > part->end)
        mtf_buf_printf(&note, " the log ends before the commit: it was cut short or made anew;");
    if (part->committed >= 0 && part->committed < part->first)
        mtf_buf_printf(&note, " retention removed %" PRId64 " records that were never read;",
                       part->first - part->committed);
    else if (is_placed(part) && place->safe_offset < part->first)
        mtf_buf_printf(&note, " retention removed the heads of sessions that are open;");
    if (is_placed(part) && place->bad_in_a_row)
        mtf_buf_printf(&note, " the last %" PRId64 " records before it were dead letters;",
                       place->bad_in_a_row);
    if (note.size)
        mtf_buf_printf(out, "%" PRId32 ":%.*s\n", partition, (int)note.size - 1,
                       (const char *)note.data);
    mtf_buf_fini(&note);
}

static void show_text(const offsets_view *view, mtf_buf *out)
{
    int64_t lag = 0;
    put_group(view, out);
    mtf_buf_printf(out, "%9s %12s %12s %12s %12s %12s %10s  %s\n", "partition", "first",
                   "committed", "end", "lag", "open from", "replays", "watermark");
    for (int32_t i = 0; i < view->count; i++) {
        const offsets_part *part = &view->parts[i];
        const int64_t from = offsets_open_from(part);
        char committed[24], open_from[24], watermark[32];
        number_text(part->committed, committed);
        number_text(from, open_from);
        watermark_text(part, watermark);
        mtf_buf_printf(out,
                       "%9" PRId32 " %12" PRId64 " %12s %12" PRId64 " %12" PRId64 " %12s %10" PRId64
                       "  %s\n",
                       i, part->first, committed, part->end, offsets_lag(part), open_from,
                       part->committed < 0 ? 0 : part->committed - from, watermark);
        lag += offsets_lag(part);
    }
    mtf_buf_printf(out, "lag %" PRId64 "\n", lag);
    for (int32_t i = 0; i < view->count; i++) put_note(&view->parts[i], i, out);
    mtf_buf_printf(out,
                   "committed: the next record to read. open from: the first record of a session "
                   "that is still open;\n"
                   "a start reads the records from there to committed again, silently (replays). "
                   "watermark: sessions whose\n"
                   "last event is gap_ms + grace_ms before it are out.\n");
}

static void show_json(const offsets_view *view, mtf_buf *out)
{
    mtf_buf_printf(out, "{\"group\":");
    json_text_put(out, mtf_str_of(view->settings->sessionize_group));
    mtf_buf_printf(out, ",\"topic\":");
    json_text_put(out, mtf_str_of(view->settings->topics_exploration));
    if (view->group.told)
        mtf_buf_printf(out, ",\"state\":\"%s\",\"members\":%" PRId32, view->group.state,
                       view->group.members);
    mtf_buf_printf(out, ",\"partitions\":[");
    for (int32_t i = 0; i < view->count; i++) {
        const offsets_part *part = &view->parts[i];
        mtf_buf_printf(out,
                       "%s{\"partition\":%" PRId32 ",\"first\":%" PRId64 ",\"committed\":%" PRId64
                       ",\"end\":%" PRId64 ",\"lag\":%" PRId64 ",\"metadata\":\"%s\"",
                       i ? "," : "", i, part->first, part->committed, part->end, offsets_lag(part),
                       kinds[part->kind]);
        if (is_placed(part))
            mtf_buf_printf(
                out,
                ",\"open_from\":%" PRId64 ",\"watermark_ms\":%" PRId64 ",\"bad_in_a_row\":%" PRId64,
                part->place.safe_offset, part->place.watermark_ms, part->place.bad_in_a_row);
        if (part->target >= 0) mtf_buf_printf(out, ",\"target\":%" PRId64, part->target);
        mtf_buf_put_u8(out, '}');
    }
    mtf_buf_printf(out, "]");
}

/* -- reset -------------------------------------------------------- */

static const char consequences[] =
    "Each starts clean at its target, with no session open: one that began before is cut there, "
    "and "
    "marked truncated_head.\n"
    "Exactly once holds from there on, not across the reset: what is read again goes out again.\n"
    "- A session that began after the target has the session_id it had: the learner skips it while "
    "the store has its rows\n"
    "  (mtf_learn_duplicates_total), other readers know it by session_id and part.\n"
    "- One that is cut at the target has a new session_id: its steps are then stored twice, and "
    "known by their event_id.\n"
    "- Late events and dead letters are set aside again: known by the origin in their headers.\n";

static void put_plan(const offsets_view *view, mtf_buf *out)
{
    int64_t again = 0, skipped = 0;
    put_group(view, out);
    mtf_buf_printf(out, "%9s %12s %12s  %s\n", "partition", "committed", "target",
                   "what that does");
    for (int32_t i = 0; i < view->count; i++) {
        const offsets_part *part = &view->parts[i];
        const int64_t from = part->committed < 0 ? part->first : part->committed;
        char committed[24];
        number_text(part->committed, committed);
        mtf_buf_printf(out, "%9" PRId32 " %12s %12" PRId64 "  ", i, committed, part->target);
        if (part->target < from)
            mtf_buf_printf(out, "%" PRId64 " records are read again\n", from - part->target);
        else if (part->target > from)
            mtf_buf_printf(out, "%" PRId64 " records are never read\n", part->target - from);
        else
            mtf_buf_printf(out, "the same place, but clean\n");
        *(part->target < from ? &again : &skipped) +=
            part->target < from ? from - part->target : part->target - from;
    }
    mtf_buf_printf(out, "%" PRId64 " records again, %" PRId64 " never\n%s", again, skipped,
                   consequences);
}

static mtf_status check_reset(const offsets_options *o, int64_t *time_ms, mtf_err *err)
{
    *time_ms = -1;
    if (o->to_earliest == (o->to_datetime != NULL))
        return mtf_fail(err, MTF_INVALID,
                        "offsets reset: say where to, with --to-datetime TIME or --to-earliest");
    return o->to_datetime ? times_parse("--to-datetime", o->to_datetime, time_ms, err) : MTF_OK;
}

static mtf_status reset(const mtf_cli *cli, const offsets_options *o, offsets_view *view,
                        int64_t time_ms, mtf_buf *out, mtf_err *err)
{
    mtf_status status = offsets_aim(view, time_ms, err);
    if (status != MTF_OK) return status;
    if (o->execute) status = offsets_reset(view, err);
    if (status != MTF_OK) return status;
    if (cli->json) {
        show_json(view, out);
        mtf_buf_printf(out, ",\"done\":%s}\n", o->execute ? "true" : "false");
        return MTF_OK;
    }
    put_plan(view, out);
    mtf_buf_printf(out, o->execute ? "done; start the sessionizers\n"
                                   : "a dry run: nothing was changed; --execute does it, once the "
                                     "sessionizers are stopped\n");
    return MTF_OK;
}

static mtf_status run(const mtf_cli *cli, const offsets_options *o, bool resets, mtf_buf *out,
                      mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    offsets_view view = {0};
    int64_t time_ms = -1;
    mtf_status status = resets ? check_reset(o, &time_ms, err) : MTF_OK;
    if (status != MTF_OK) return status;
    status = offsets_open(&view, &context, err);
    if (status == MTF_OK && resets) status = reset(cli, o, &view, time_ms, out, err);
    if (status == MTF_OK && !resets) {
        (cli->json ? show_json : show_text)(&view, out);
        if (cli->json) mtf_buf_printf(out, "}\n");
    }
    offsets_close(&view);
    return status;
}

int mtf_command_offsets(mtf_cli *cli, int argc, char **argv)
{
    offsets_options o = {0};
    const mtf_option options[] = {
        {"--to-datetime", MTF_OPTION_TEXT, &o.to_datetime, 0, 0, "TIME",
         "of reset: to the first record appended at or after it (UTC)"},
        {"--to-earliest", MTF_OPTION_FLAG, &o.to_earliest, 0, 0, NULL,
         "of reset: to the first record that the log has"},
        {"--execute", MTF_OPTION_FLAG, &o.execute, 0, 0, NULL,
         "of reset: do it; without, only say what would be"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "offsets show|reset [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    const bool resets = strcmp(what, "reset") == 0;
    mtf_buf out = {0};
    if (!resets && strcmp(what, "show") != 0)
        status = mtf_fail(&err, MTF_INVALID, "offsets: say show or reset");
    else if (!resets && (o.to_datetime || o.to_earliest || o.execute))
        status = mtf_fail(&err, MTF_INVALID,
                          "offsets show: --to-datetime, --to-earliest and --execute are of reset");
    else
        status = run(cli, &o, resets, &out, &err);
    if (status == MTF_OK && out.failed)
        status = mtf_fail(&err, MTF_NOMEM, "out of memory telling of offsets");
    if (status == MTF_OK && out.size) fwrite(out.data, 1, out.size, stdout);
    mtf_buf_fini(&out);
    return mtf_cli_exit_work(status, &err);
}
