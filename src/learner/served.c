#include "learner/served.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define HOURS         24
#define HOUR_MS       3600000
#define USER_SAMPLING 0x73657276 /* the rng stream that picks users */

typedef struct visit {
    uint64_t user;
    double reward;
    uint32_t hour;
    bool child;
} visit;

typedef struct visits {
    visit *all;
    size_t count, capacity;
    double *hours[2];    /* (hour_count,) sessions of parent, child */
    uint32_t hour_count; /* of the day, or of all days that are looked at */
    uint32_t day_first;
} visits;

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory to compare served versions");
}

/* -- reading sessions -------------------------------------------- */

/** What is asked of the store: days, and one user in `share`. */
typedef struct request {
    uint32_t day_first, day_last;
    uint64_t share;
} request;

/** False: one of the two has no rows. */
static bool make_request(const mtf_served_config *config, request *out)
{
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(config->store, &count);
    uint32_t first[2] = {UINT32_MAX, UINT32_MAX}, last[2] = {0};
    int64_t sessions = 0;
    for (size_t i = 0; i < count; i++) {
        const bool child = counts[i].version == config->child;
        if (!child && counts[i].version != config->parent) continue;
        if (counts[i].bucket == MTF_BUCKET_CONTROL || counts[i].rows == 0) continue;
        if (counts[i].day_first < first[child]) first[child] = counts[i].day_first;
        if (counts[i].day_last > last[child]) last[child] = counts[i].day_last;
        sessions += counts[i].sessions;
    }
    if (first[0] == UINT32_MAX || first[1] == UINT32_MAX) return false;
    const uint32_t days = config->side_by_side ? 0 : config->days;
    const uint32_t before = first[1] > days ? first[1] - days : 0;
    out->day_first = first[0] > before ? first[0] : before;
    if (out->day_first > first[1]) out->day_first = first[1];
    out->day_last = last[1]; /* what the parent serves after the child has gone says nothing */
    out->share = sessions > config->sessions_max
                     ? (uint64_t)((sessions + config->sessions_max - 1) / config->sessions_max)
                     : 1;
    return true;
}

static mtf_status begin_visit(const mtf_served_config *config, const mtf_row_header *header,
                              visits *to, mtf_err *err)
{
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity : 1024;
        visit *all = realloc(to->all, capacity * sizeof *all);
        if (!all) return no_memory(err);
        to->all = all;
        to->capacity = capacity;
    }
    const bool child = header->version == config->child;
    const int64_t since_ms = header->time_ms - (int64_t)to->day_first * MTF_DAY_MS;
    const uint32_t hour = (uint32_t)(since_ms / HOUR_MS % to->hour_count);
    to->all[to->count++] = (visit){.user = header->user, .hour = hour, .child = child};
    to->hours[child][hour]++;
    return MTF_OK;
}

static mtf_status init_visits(const mtf_served_config *config, const request *asked, visits *to,
                              mtf_err *err)
{
    const uint32_t days = asked->day_last - asked->day_first + 1;
    *to = (visits){.hour_count = config->side_by_side ? days * HOURS : HOURS,
                   .day_first = asked->day_first};
    for (int child = 0; child < 2; child++) {
        to->hours[child] = calloc(to->hour_count, sizeof *to->hours[child]);
        if (!to->hours[child]) return no_memory(err);
    }
    return MTF_OK;
}

static void fini_visits(visits *of)
{
    free(of->all);
    free(of->hours[0]);
    free(of->hours[1]);
}

static bool takes(const mtf_served_config *config, const request *asked,
                  const mtf_row_header *header)
{
    return (header->version == config->child || header->version == config->parent) &&
           header->bucket != MTF_BUCKET_CONTROL && header->time_ms >= 0 &&
           mtf_rng_bits(header->user, USER_SAMPLING, 0) % asked->share == 0;
}

/** Rows of a session and day come one after another. */
static mtf_status read_visits(const mtf_served_config *config, const request *asked, visits *to,
                              mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(config->store);
    mtf_store_cursor *cursor =
        mtf_store_scan(config->store, asked->day_first, asked->day_last, 0, 1);
    if (!cursor) return no_memory(err);
    mtf_row row = {0};
    mtf_span value;
    mtf_status status;
    uint8_t session[16] = {0};
    bool any = false, taken = false; /* a session so far; the one we are in */
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        mtf_row_header header;
        status = mtf_row_peek(value, &header, err);
        if (status) break;
        if (!any || memcmp(session, header.session_id, sizeof session) != 0) {
            memcpy(session, header.session_id, sizeof session);
            any = true;
            taken = takes(config, asked, &header);
            if (taken) status = begin_visit(config, &header, to, err);
            if (status) break;
        }
        if (!taken) continue;
        status = mtf_row_decode(&shape, value, &row, err);
        if (status) break;
        to->all[to->count - 1].reward += mtf_row_reward(&shape, config->reward, &row);
    }
    mtf_row_fini(&row);
    mtf_store_cursor_close(cursor);
    return status == MTF_CLOSED ? MTF_OK : status;
}

/* -- comparing them ---------------------------------------------- */

static int by_user(const void *left, const void *right)
{
    const visit *a = left, *b = right;
    return (a->user > b->user) - (a->user < b->user);
}

/** Of sums of the child's rewards and sessions, and of the parent's, weighted. */
static double parent_figure(const double sums[MTF_SUMS])
{
    return sums[2] / sums[3];
}

static double difference_figure(const double sums[MTF_SUMS])
{
    return sums[0] / sums[1] - sums[2] / sums[3];
}

static void add_visit(const visits *of, const visit *at, double *user, mtf_served *out)
{
    const double parents = of->hours[0][at->hour], children = of->hours[1][at->hour];
    const double weight = at->child ? 1 : children / parents;
    user[at->child ? 0 : 2] += weight * at->reward;
    user[at->child ? 1 : 3] += weight;
    out->child_sessions += at->child;
    out->parent_sessions += !at->child;
}

static mtf_status compare(const mtf_served_config *config, const visits *of, mtf_served *out,
                          mtf_err *err)
{
    mtf_sums sums;
    mtf_status status = mtf_sums_init(&sums, of->count, err);
    double left_out = 0;
    if (status) return status;
    uint32_t user = 0;
    for (size_t i = 0; i < of->count; i++) {
        const visit *at = &of->all[i];
        user += i > 0 && at->user != at[-1].user;
        const bool both = of->hours[0][at->hour] > 0 && of->hours[1][at->hour] > 0;
        if (both)
            add_visit(of, at, mtf_sums_row(&sums, user), out);
        else
            left_out += at->child;
    }
    out->overlap = (double)out->child_sessions / ((double)out->child_sessions + left_out);
    const struct {
        mtf_figure figure;
        mtf_estimate *to;
    } figures[] = {{mtf_figure_mean, &out->child},
                   {parent_figure, &out->parent},
                   {difference_figure, &out->difference}};
    for (size_t k = 0; k < sizeof figures / sizeof *figures && status == MTF_OK; k++)
        status = mtf_bootstrap(&sums, figures[k].figure, config->draws, config->seed, figures[k].to,
                               err);
    mtf_sums_fini(&sums);
    return status;
}

mtf_status mtf_served_compare(const mtf_served_config *config, mtf_served *out, mtf_err *err)
{
    const mtf_estimate none = mtf_estimate_none();
    visits of = {0};
    request asked;
    *out = (mtf_served){.child = none, .parent = none, .difference = none, .overlap = (double)NAN};
    if (!make_request(config, &asked)) return MTF_OK;
    mtf_status status = init_visits(config, &asked, &of, err);
    if (status == MTF_OK) status = read_visits(config, &asked, &of, err);
    if (status == MTF_OK && of.count) {
        qsort(of.all, of.count, sizeof *of.all, by_user);
        status = compare(config, &of, out, err);
    }
    fini_visits(&of);
    return status;
}

bool mtf_served_worse(const mtf_served *served, const mtf_served_limits *limits)
{
    const int64_t sessions = served->child_sessions < served->parent_sessions
                                 ? served->child_sessions
                                 : served->parent_sessions;
    const double parent = served->parent.value;
    return sessions >= limits->sessions && served->overlap >= limits->overlap &&
           served->difference.z <= -limits->z &&
           served->difference.value <= -limits->fall * fabs(parent);
}
