#include "sessionize/oracle.h"

#include <stdlib.h>

#include "core/hash.h"

/** A record that joined and is not yet emitted. */
struct joined {
    const struct sample *s;
    int offset;
    int64_t place, bucket;
};

struct model {
    const mtf_machine_config *config;
    struct joined records[STREAM_MAX];
    int count;
    int dropped;
    int64_t w;
    mtf_buf *out;
};

/** An interval of records within gap of each other: which of the model's, and from where to where.
 */
struct interval {
    int members[STREAM_MAX]; /* by offset */
    int count, first_offset;
    int64_t start, end;
};

static int64_t shift_of(const char *user, int64_t cap)
{
    return (int64_t)(mtf_hash64(user, strlen(user)) % (uint64_t)cap);
}

static int64_t bucket_of(const char *user, int64_t t, int64_t cap)
{
    const int64_t x = t + shift_of(user, cap);
    return x >= 0 ? x / cap : -((cap - 1 - x) / cap);
}

/** The interval that record `seed` is in: everything reachable by steps of at most a gap. */
static struct interval interval_of(const struct model *m, int seed)
{
    const struct joined *r = m->records;
    bool in[STREAM_MAX] = {0};
    in[seed] = true;
    for (bool grew = true; grew;) {
        grew = false;
        for (int i = 0; i < m->count; i++)
            for (int k = 0; k < m->count && !in[i]; k++)
                if (in[k] && !strcmp(r[i].s->user, r[k].s->user) && r[i].bucket == r[k].bucket &&
                    llabs(r[i].place - r[k].place) <= m->config->gap_ms)
                    in[i] = grew = true;
    }
    struct interval found = {
        .first_offset = r[seed].offset, .start = r[seed].place, .end = r[seed].place};
    for (int i = 0; i < m->count; i++) {
        if (!in[i]) continue;
        found.members[found.count++] = i;
        if (r[i].place < found.start) found.start = r[i].place;
        if (r[i].place > found.end) found.end = r[i].place;
        if (r[i].offset < found.first_offset) found.first_offset = r[i].offset;
    }
    return found;
}

/* ---- rule 5: what a closed interval becomes ---- */

struct closed {
    const struct interval *interval;
    const char *user;
    struct joined kept[STREAM_MAX]; /* sorted by (event time, id) */
    int kept_count;
    int64_t dropped_from; /* earliest place of what max_events dropped */
    int64_t bucket;
};

static int by_time(const void *a, const void *b)
{
    const struct sample *x = ((const struct joined *)a)->s, *y = ((const struct joined *)b)->s;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

/** The first max_events distinct ids by offset are content. */
static struct closed content_of(const struct model *m, const struct interval *interval)
{
    struct closed c = {.interval = interval, .dropped_from = INT64_MAX};
    for (int i = 0; i < interval->count; i++) {
        const struct joined *r = &m->records[interval->members[i]];
        bool known = false;
        for (int k = 0; k < c.kept_count; k++) known = known || !strcmp(c.kept[k].s->id, r->s->id);
        if (!known && c.kept_count < (int)m->config->max_events) {
            c.kept[c.kept_count++] = *r;
        } else if (!known && r->place < c.dropped_from) {
            c.dropped_from = r->place;
        }
        c.user = r->s->user;
        c.bucket = r->bucket;
    }
    qsort(c.kept, (size_t)c.kept_count, sizeof *c.kept, by_time);
    return c;
}

static bool is_feedback(const struct joined *r)
{
    return r->s->kind == MTF_EVENT_FEEDBACK;
}

/** Own id, else the nearest earlier one, else the first later one. */
static const char *id_of(const struct closed *c, int at)
{
    for (int i = at; i >= 0; i--)
        if (!is_feedback(&c->kept[i]) && c->kept[i].s->session_id[0])
            return c->kept[i].s->session_id;
    for (int i = at; i < c->kept_count; i++)
        if (!is_feedback(&c->kept[i]) && c->kept[i].s->session_id[0])
            return c->kept[i].s->session_id;
    return "";
}

/** Two records share a session when they share the id and as many ends of it came before both. */
static int ends_before(const struct closed *c, int at)
{
    int ends = 0;
    for (int i = 0; i < at; i++)
        ends += c->kept[i].s->kind == MTF_EVENT_SESSION_END && !strcmp(id_of(c, i), id_of(c, at));
    return ends;
}

static bool same_session(const struct closed *c, int a, int b)
{
    return !strcmp(id_of(c, a), id_of(c, b)) && ends_before(c, a) == ends_before(c, b);
}

/** Index of the request that a feedback belongs to, or -1. */
static int request_of(const struct closed *c, const struct sample *f)
{
    for (int i = 0; i < c->kept_count; i++)
        if (c->kept[i].s->kind == MTF_EVENT_REQUEST && f->item < 2 &&
            !strcmp(c->kept[i].s->id, f->request_id))
            return i;
    return -1;
}

static bool came_joined(const struct sample *request, const struct sample *f)
{
    for (int i = 0; f->item == 0 && i < f->signal_count; i++)
        for (int k = 0; k < request->signal_count; k++)
            if (f->names[i] == request->names[k]) return true;
    return false;
}

static bool taken(const struct closed *c, int feedback)
{
    const struct sample *f = c->kept[feedback].s;
    const int request = request_of(c, f);
    return request >= 0 && !came_joined(c->kept[request].s, f);
}

static void print_item(const struct closed *c, int request, int item, mtf_buf *out)
{
    const struct sample *r = c->kept[request].s;
    char names[4];
    double values[4];
    int count = 0;
    for (int i = -1; i < c->kept_count; i++) { /* -1: what came joined */
        const struct sample *s = i < 0 ? r : c->kept[i].s;
        if (i < 0 ? item != 0 : !is_feedback(&c->kept[i])) continue;
        if (i >= 0 && (s->item != item || request_of(c, s) != request || !taken(c, i))) continue;
        for (int k = 0; k < s->signal_count; k++) {
            int at = 0;
            while (at < count && names[at] != s->names[k]) at++;
            if (at == count) {
                names[count] = s->names[k];
                values[count++] = s->values[k];
            } else if (s->names[k] == 'x') {
                values[at] += s->values[k];
            } else if (s->names[k] == 'y') {
                values[at] = s->values[k] > values[at] ? s->values[k] : values[at];
            } else if (s->names[k] == 'w') {
                values[at] = s->values[k];
            }
        }
    }
    mtf_buf_printf(out, " %c", "ab"[item]);
    for (int i = 0; i < count; i++) mtf_buf_printf(out, " %c=%g", names[i], values[i]);
}

static void print_session(const struct model *m, const struct closed *c, int first)
{
    const int64_t cap = m->config->max_duration_ms, gap = m->config->gap_ms;
    const int64_t bucket_start = c->bucket * cap - shift_of(c->user, cap);
    int last = first, events = 0, first_of_all = 0;
    bool ended = false, other_follows = false;
    while (is_feedback(&c->kept[first_of_all])) first_of_all++;
    for (int i = first; i < c->kept_count; i++) {
        if (is_feedback(&c->kept[i])) continue;
        if (!same_session(c, i, first)) continue;
        last = i;
        events++;
        ended = c->kept[i].s->kind == MTF_EVENT_SESSION_END;
    }
    for (int i = last + 1; i < c->kept_count; i++)
        other_follows = other_follows || c->kept[i].s->kind == MTF_EVENT_REQUEST;
    for (int i = 0; i < c->kept_count; i++)
        events += is_feedback(&c->kept[i]) && taken(c, i) &&
                  same_session(c, request_of(c, c->kept[i].s), first);
    const bool at_cap = bucket_start + cap - c->interval->end <= gap;
    const char *reason = ended ? "end_event" : other_follows ? "id_change" : at_cap ? "cap" : "gap";
    const bool head = first == first_of_all && c->interval->start - bucket_start < gap;
    const bool lost =
        c->dropped_from < INT64_MAX && (!ended || c->dropped_from <= c->kept[last].s->time_ms);
    const mtf_str parts[] = {mtf_str_of(c->user), mtf_str_of(c->kept[first].s->id)};
    uint8_t id[16];
    char hex[33];
    mtf_hash128(id, parts, 2);
    mtf_hex(hex, id, 16);
    mtf_buf_printf(m->out, "session %s %s %lld-%lld %s%s%s events %d:", c->user, hex,
                   (long long)c->kept[first].s->time_ms, (long long)c->kept[last].s->time_ms,
                   reason, head ? " head" : "", !strcmp(reason, "cap") || lost ? " tail" : "",
                   events);
    for (int i = first; i < c->kept_count; i++) {
        if (c->kept[i].s->kind != MTF_EVENT_REQUEST || !same_session(c, i, first)) continue;
        mtf_buf_printf(m->out, " [%s@%lld", c->kept[i].s->id, (long long)c->kept[i].s->time_ms);
        print_item(c, i, 0, m->out);
        print_item(c, i, 1, m->out);
        mtf_buf_printf(m->out, "]");
    }
    mtf_buf_printf(m->out, "\n");
}

static bool has_request(const struct closed *c, int member)
{
    for (int i = 0; i < c->kept_count; i++)
        if (c->kept[i].s->kind == MTF_EVENT_REQUEST && same_session(c, i, member)) return true;
    return false;
}

static void print_closed(struct model *m, const struct interval *interval)
{
    const struct closed c = content_of(m, interval);
    for (int i = 0; i < c.kept_count; i++) {
        bool starts = !is_feedback(&c.kept[i]) && has_request(&c, i);
        for (int k = 0; k < i && starts; k++)
            starts = is_feedback(&c.kept[k]) || !same_session(&c, k, i);
        if (starts) print_session(m, &c, i);
    }
    for (int o = 0; o < STREAM_MAX; o++)
        for (int i = 0; i < c.kept_count; i++) {
            const struct joined *r = &c.kept[i];
            if (r->offset != o || r->s->kind == MTF_EVENT_REQUEST) continue;
            if (is_feedback(r) ? request_of(&c, r->s) < 0 : !has_request(&c, i))
                mtf_buf_printf(m->out, "aside %s %s no_request\n", r->s->user, r->s->id);
            else if (is_feedback(r) && !taken(&c, i))
                mtf_buf_printf(m->out, "aside %s %s double_signal\n", r->s->user, r->s->id);
        }
    m->dropped += interval->count - c.kept_count;
}

/* ---- rules 1 to 4 and 6 ---- */

/** Closes what W allows, the earliest end first, the first opened on a tie. */
static void close_intervals(struct model *m)
{
    for (;;) {
        struct interval next = {.end = INT64_MAX};
        for (int i = 0; i < m->count; i++) {
            const struct interval at = interval_of(m, i);
            if (at.end + m->config->gap_ms + m->config->grace_ms >= m->w) continue;
            if (at.end < next.end || (at.end == next.end && at.first_offset < next.first_offset))
                next = at;
        }
        if (next.count == 0) return;
        print_closed(m, &next);
        for (int i = next.count - 1; i >= 0; i--) {
            const int gone = next.members[i];
            m->count--;
            memmove(&m->records[gone], &m->records[gone + 1],
                    sizeof *m->records * (size_t)(m->count - gone));
        }
    }
}

static void raise(struct model *m, int64_t w)
{
    if (w > m->w) m->w = w;
    close_intervals(m);
}

static void take(struct model *m, const struct sample *s, int offset)
{
    const mtf_machine_config *c = m->config;
    if (s->time_ms > s->append_ms + c->max_future_ms) {
        mtf_buf_printf(m->out, "future %s\n", s->id);
        return;
    }
    raise(m, (s->time_ms < s->append_ms ? s->time_ms : s->append_ms) - c->out_of_orderness_ms);
    const int64_t place = s->kind == MTF_EVENT_FEEDBACK ? s->request_time_ms : s->time_ms;
    const int64_t bucket = bucket_of(s->user, place, c->max_duration_ms);
    bool touches = false;
    for (int i = 0; i < m->count; i++) {
        const struct joined *r = &m->records[i];
        touches = touches || (!strcmp(r->s->user, s->user) && r->bucket == bucket &&
                              llabs(r->place - place) <= c->gap_ms);
    }
    /* Within gap of an interval is within gap of one of its records or inside it, and inside it no
     * two neighbours are more than a gap apart. */
    if (!touches && s->kind != MTF_EVENT_REQUEST)
        mtf_buf_printf(m->out, "no_request %s\n", s->id);
    else if (!touches && place + c->gap_ms + c->grace_ms < m->w)
        mtf_buf_printf(m->out, "late %s\n", s->id);
    else
        m->records[m->count++] = (struct joined){s, offset, place, bucket};
}

void oracle_run(const struct stream *stream, const mtf_machine_config *config, mtf_buf *out)
{
    struct model m = {.config = config, .w = INT64_MIN / 2, .out = out};
    for (int o = 0; o < stream->count; o++) {
        const struct sample *s = &stream->data[o];
        if (s->jump_ms && m.w > INT64_MIN / 2) raise(&m, m.w + s->jump_ms);
        if (!s->bad) take(&m, s, o);
    }
    /* What is still open holds its first max_events ids each; count by closing a copy silently. */
    mtf_buf discard = {0};
    int open = m.count, dropped = m.dropped;
    m.out = &discard;
    m.w = INT64_MAX;
    close_intervals(&m);
    open -= m.dropped - dropped;
    mtf_buf_fini(&discard);
    mtf_buf_printf(out, "open %d dropped %d\n", open, m.dropped);
}
