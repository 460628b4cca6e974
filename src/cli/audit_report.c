#include "cli/audit_report.h"

#include "cli/times.h"

#include <inttypes.h>
#include <stdio.h>

/** What went in and came out nowhere: 0, or the stage has a bug. */
static int64_t imbalance(const audit_report *report)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < report->partition_count; i++) {
        const int64_t one = audit_sheet_imbalance(&report->sheets[i]);
        sum += one < 0 ? -one : one;
    }
    return sum;
}

int64_t audit_report_differences(const audit_report *report)
{
    return report->verdict.difference_count + report->found.unreadable + (imbalance(report) != 0);
}

static const char *const kind_names[] = {"late", "dead_letters", "sessions"};
static const char *const problem_names[] = {"missing", "doubled", "different", "unexpected"};

static void put_difference(const audit_difference *d, const mtf_settings *s, bool json,
                           mtf_buf *out)
{
    char id[33], time[32];
    mtf_hex(id, d->session_id, sizeof d->session_id);
    times_print(d->started_ms, time);
    if (d->kind != AUDIT_SESSION) {
        mtf_buf_printf(out,
                       json ? "{\"kind\":\"%s\",\"problem\":\"%s\",\"partition\":%" PRId32
                              ",\"offset\":%" PRId64 ",\"expected\":%" PRId64 ",\"found\":%" PRId64
                              "}"
                            : "  %s %s: partition %" PRId32 " offset %" PRId64 ": expected %" PRId64
                              ", found %" PRId64 "\n",
                       kind_names[d->kind], problem_names[d->problem], d->partition, d->offset,
                       d->times_expected, d->times_found);
    } else if (json) {
        mtf_buf_printf(
            out,
            "{\"kind\":\"sessions\",\"problem\":\"%s\",\"session_id\":\"%s\",\"part\":%" PRIu32
            ",\"partition\":%" PRId32 ",\"started\":\"%s\",\"expected\":%" PRId64
            ",\"found\":%" PRId64 ",\"steps_expected\":%" PRId64 ",\"steps_found\":%" PRId64
            ",\"found_partition\":%" PRId32 ",\"found_offset\":%" PRId64 "}",
            problem_names[d->problem], id, d->part, d->partition, time, d->times_expected,
            d->times_found, d->steps_expected, d->steps_found, d->found_partition,
            d->found_partition < 0 ? -1 : d->found_offset);
    } else {
        mtf_buf_printf(out,
                       "  session %s: %s part %" PRIu32 ", started %s: expected %" PRId64
                       " (%" PRId64 " steps), found %" PRId64 " (%" PRId64 " steps)",
                       problem_names[d->problem], id, d->part, time, d->times_expected,
                       d->steps_expected, d->times_found, d->steps_found);
        if (d->partition >= 0)
            mtf_buf_printf(out, "; of %s/%" PRId32, s->topics_exploration, d->partition);
        if (d->found_partition >= 0)
            mtf_buf_printf(out, "; at %s/%" PRId32 "@%" PRId64, s->topics_sessions,
                           d->found_partition, d->found_offset);
        mtf_buf_put_u8(out, '\n');
    }
}

static void put_sheet(const audit_sheet *s, mtf_buf *out)
{
    mtf_buf_printf(out,
                   "%12" PRId64 " + %12" PRId64 " = %12" PRId64 " + %10" PRId64 " + %10" PRId64
                   " + %10" PRId64 " + %10" PRId64 " + %10" PRId64 " + %12" PRId64,
                   s->open_before, s->records, s->session_events, s->late, s->dead, s->duplicates,
                   s->over_cap, s->too_large, s->open_after);
}

static void add_sheet(audit_sheet *sum, const audit_sheet *one)
{
    sum->open_before += one->open_before;
    sum->records += one->records;
    sum->session_events += one->session_events;
    sum->late += one->late;
    sum->dead += one->dead;
    sum->duplicates += one->duplicates;
    sum->over_cap += one->over_cap;
    sum->too_large += one->too_large;
    sum->open_after += one->open_after;
    sum->left_out += one->left_out;
    sum->decodes_now += one->decodes_now;
}

static void put_partitions(const audit_report *report, const audit_sheet *sum, mtf_buf *out)
{
    mtf_buf_printf(out,
                   "%9s %12s %12s  %12s + %12s = %12s + %10s + %10s + %10s + %10s + %10s + %12s\n",
                   "partition", "from", "to", "open before", "records", "in sessions", "late",
                   "dead", "duplicates", "over cap", "too large", "open after");
    for (int32_t i = 0; i < report->partition_count; i++) {
        mtf_buf_printf(out, "%9" PRId32 " %12" PRId64 " %12" PRId64 "  ", i,
                       report->windows[i].from, report->windows[i].to);
        put_sheet(&report->sheets[i], out);
        mtf_buf_printf(out, "%s\n",
                       audit_sheet_imbalance(&report->sheets[i]) ? "  DOES NOT ADD UP" : "");
    }
    mtf_buf_printf(out, "%9s %12s %12s  ", "all", "", "");
    put_sheet(sum, out);
    mtf_buf_printf(out, "\n\n");
}

void audit_report_text(const audit_report *report, const mtf_settings *s, mtf_buf *out)
{
    audit_sheet sum = {0};
    int64_t unread = 0;
    for (int32_t i = 0; i < report->partition_count; i++) {
        add_sheet(&sum, &report->sheets[i]);
        unread += report->windows[i].unread;
    }
    put_partitions(report, &sum, out);
    mtf_buf_printf(out, "%-14s %12s %12s %10s %10s %10s %10s %10s %10s\n", "", "expected", "found",
                   "missing", "doubled", "different", "unexpected", "explained", "not judged");
    for (int i = AUDIT_SESSION; i >= 0; i--) {
        const audit_tally *t = &report->verdict.of[i];
        mtf_buf_printf(out,
                       "%-14s %12" PRId64 " %12" PRId64 " %10" PRId64 " %10" PRId64 " %10" PRId64
                       " %10" PRId64 " %10" PRId64 " %10" PRId64 "\n",
                       kind_names[i], t->expected, t->found, t->missing, t->doubled, t->different,
                       t->unexpected, t->explained, t->not_judged);
    }
    mtf_buf_printf(out,
                   "\nnot yet read by %s: %" PRId64 " records; left out by rule (may have begun "
                   "before what was read): %" PRId64 "\n",
                   s->sessionize_group, unread, sum.left_out);
    mtf_buf_printf(out,
                   "beside these: %" PRId64 " session records of replays, %" PRId64
                   " dead letters that decode today, %" PRId64
                   " set aside of other topics, %" PRId64 " foreign\n",
                   report->found.replays, sum.decodes_now, report->found.other_topics,
                   report->found.foreign);
    mtf_buf_put(out, report->notes.data, report->notes.size);
    const int64_t count = audit_report_differences(report);
    if (count == 0) {
        mtf_buf_printf(out, "audit: all accounted for\n");
        return;
    }
    mtf_buf_printf(out, "audit: %" PRId64 " differences\n", count);
    for (size_t i = 0; i < report->verdict.listed_count; i++)
        put_difference(&report->verdict.listed[i], s, false, out);
    if ((int64_t)report->verdict.listed_count < report->verdict.difference_count)
        mtf_buf_printf(out, "  ... and %" PRId64 " more; --limit shows more\n",
                       report->verdict.difference_count - (int64_t)report->verdict.listed_count);
}

static void put_sheet_json(const audit_sheet *s, mtf_buf *out)
{
    mtf_buf_printf(out,
                   "\"open_before\":%" PRId64 ",\"records\":%" PRId64 ",\"session_events\":%" PRId64
                   ",\"late\":%" PRId64 ",\"dead\":%" PRId64 ",\"duplicates\":%" PRId64
                   ",\"over_cap\":%" PRId64 ",\"too_large\":%" PRId64 ",\"open_after\":%" PRId64
                   ",\"left_out\":%" PRId64 ",\"decodes_now\":%" PRId64,
                   s->open_before, s->records, s->session_events, s->late, s->dead, s->duplicates,
                   s->over_cap, s->too_large, s->open_after, s->left_out, s->decodes_now);
}

void audit_report_json(const audit_report *report, const mtf_settings *s, mtf_buf *out)
{
    mtf_buf_printf(out, "{\"ok\":%s,\"difference_count\":%" PRId64 ",\"partitions\":[",
                   audit_report_differences(report) ? "false" : "true",
                   audit_report_differences(report));
    for (int32_t i = 0; i < report->partition_count; i++) {
        mtf_buf_printf(out,
                       "%s{\"partition\":%" PRId32 ",\"from\":%" PRId64 ",\"to\":%" PRId64
                       ",\"unread\":%" PRId64 ",",
                       i ? "," : "", i, report->windows[i].from, report->windows[i].to,
                       report->windows[i].unread);
        put_sheet_json(&report->sheets[i], out);
        mtf_buf_put_u8(out, '}');
    }
    mtf_buf_put_u8(out, ']');
    for (int i = 0; i < 3; i++) {
        const audit_tally *t = &report->verdict.of[i];
        mtf_buf_printf(out,
                       ",\"%s\":{\"expected\":%" PRId64 ",\"found\":%" PRId64
                       ",\"missing\":%" PRId64 ",\"doubled\":%" PRId64 ",\"different\":%" PRId64
                       ",\"unexpected\":%" PRId64 ",\"explained\":%" PRId64
                       ",\"not_judged\":%" PRId64 "}",
                       kind_names[i], t->expected, t->found, t->missing, t->doubled, t->different,
                       t->unexpected, t->explained, t->not_judged);
    }
    mtf_buf_printf(out,
                   ",\"imbalance\":%" PRId64 ",\"unreadable\":%" PRId64 ",\"replays\":%" PRId64
                   ",\"other_topics\":%" PRId64 ",\"foreign\":%" PRId64 ",\"differences\":[",
                   imbalance(report), report->found.unreadable, report->found.replays,
                   report->found.other_topics, report->found.foreign);
    for (size_t i = 0; i < report->verdict.listed_count; i++) {
        if (i) mtf_buf_put_u8(out, ',');
        put_difference(&report->verdict.listed[i], s, true, out);
    }
    mtf_buf_printf(out, "]}\n");
}
