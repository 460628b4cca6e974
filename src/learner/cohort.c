#include "learner/cohort.h"

#include <stdlib.h>

#include "core/rng.h"

#define USER_SAMPLING 0x75736572 /* the rng stream that picks users */

/** A row's place in its session, and where its bytes are while all are collected. */
typedef struct place {
    mtf_row_header h;
    size_t at, size;
} place;

typedef struct collection {
    place *places;
    size_t count, capacity;
    mtf_buf bytes;
    size_t items;
} collection;

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for the rows to judge a policy on");
}

void mtf_cohort_fini(mtf_cohort *cohort)
{
    free(cohort->s);
    free(cohort->a);
    free(cohort->weight);
    free(cohort->r);
    free(cohort->logged);
    free(cohort->version);
    free(cohort->user);
    free(cohort->item_first);
    free(cohort->predictions);
    free(cohort->item_reward);
    free(cohort->item_label);
    *cohort = (mtf_cohort){0};
}

mtf_status mtf_cohort_init(mtf_cohort *cohort, const mtf_row_shape *shape, size_t rows,
                           size_t items, mtf_err *err)
{
    const size_t n = rows ? rows : 1, A = shape->action_dim, m = items ? items : 1;
    *cohort = (mtf_cohort){
        .state_dim = shape->state_dim,
        .action_dim = shape->action_dim,
        .prediction_count = shape->prediction_count,
        .list = shape->list,
        .user_dim = mtf_row_user_dim(shape),
        .rows = rows,
        .items = items,
        .s = calloc(n * shape->state_dim, sizeof(float)),
        .a = calloc(n * A * 5, sizeof(float)),
        .weight = calloc(n, sizeof(float)),
        .r = calloc(n * 2, sizeof(double)),
        .logged = calloc(n * 5, sizeof(bool)),
        .version = calloc(n, sizeof(int64_t)),
        .user = calloc(n * 2, sizeof(uint32_t)),
        .item_first = calloc(n + 1, sizeof(size_t)),
        .predictions = calloc(m * (shape->prediction_count + 1), sizeof(float)),
        .item_reward = calloc(m, sizeof(float)),
        .item_label = calloc(m, sizeof(bool)),
    };
    if (!cohort->s || !cohort->a || !cohort->weight || !cohort->r || !cohort->logged ||
        !cohort->version || !cohort->user || !cohort->item_first || !cohort->predictions ||
        !cohort->item_reward || !cohort->item_label) {
        mtf_cohort_fini(cohort);
        return no_memory(err);
    }
    cohort->bp = cohort->a + n * A;
    cohort->lower = cohort->bp + n * A;
    cohort->upper = cohort->lower + n * A;
    cohort->mu = cohort->upper + n * A;
    cohort->g = cohort->r + n;
    cohort->eligible = cohort->logged + n;
    cohort->first = cohort->eligible + n;
    cohort->next = cohort->first + n;
    cohort->done = cohort->next + n;
    cohort->session = cohort->user + n;
    return MTF_OK;
}

static int by_user_session_step(const void *left, const void *right)
{
    const mtf_row_header *a = &((const place *)left)->h, *b = &((const place *)right)->h;
    if (a->user != b->user) return a->user < b->user ? -1 : 1;
    const int id = memcmp(a->session_id, b->session_id, 16);
    if (id) return id;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return (a->step > b->step) - (a->step < b->step);
}

static bool same_session(const mtf_row_header *a, const mtf_row_header *b)
{
    return a->user == b->user && memcmp(a->session_id, b->session_id, 16) == 0;
}

/** Is b the step right after a? */
static bool follows(const mtf_row_header *a, const mtf_row_header *b)
{
    if (!same_session(a, b)) return false;
    return a->part == b->part ? b->step == a->step + 1 : b->part == a->part + 1 && b->step == 0;
}

static mtf_status collect_row(const mtf_cohort_config *config, uint64_t share, mtf_span value,
                              collection *all, mtf_err *err)
{
    mtf_row_header header;
    const mtf_status status = mtf_row_peek(value, &header, err);
    if (status) return status;
    /* Later versions too: a session under which the policy changed still needs its whole return. */
    mtf_selection wider = *config->selection;
    if (header.version > wider.version) wider.version = header.version;
    if (!mtf_selection_has(&wider, &header) ||
        mtf_held_out(config->selection, header.user) != config->heldout ||
        mtf_rng_bits(header.user, USER_SAMPLING, 0) % share != 0)
        return MTF_OK;
    if (all->count == all->capacity) {
        const size_t capacity = all->capacity ? 2 * all->capacity : 1024;
        place *places = realloc(all->places, capacity * sizeof *places);
        if (!places) return no_memory(err);
        all->places = places;
        all->capacity = capacity;
    }
    all->places[all->count++] = (place){header, all->bytes.size, value.size};
    all->items += header.items;
    mtf_buf_put(&all->bytes, value.data, value.size);
    return all->bytes.failed ? no_memory(err) : MTF_OK;
}

static mtf_status collect(const mtf_store *store, const mtf_cohort_config *config, collection *all,
                          mtf_err *err)
{
    const mtf_selection *selection = config->selection;
    const uint64_t share =
        config->rows > config->rows_max
            ? (uint64_t)((config->rows + config->rows_max - 1) / config->rows_max)
            : 1;
    /* A session may run past the last day of the champion's rows. */
    const uint32_t day_last = selection->day_last + (selection->day_last < UINT32_MAX);
    mtf_store_cursor *cursor = mtf_store_scan(store, selection->day_first, day_last, 0, 1);
    if (!cursor) return no_memory(err);
    mtf_span value;
    mtf_status status;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) {
        status = collect_row(config, share, value, all, err);
        if (status) break;
    }
    mtf_store_cursor_close(cursor);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static void fill_items(const mtf_cohort_config *config, const mtf_row_shape *shape,
                       const mtf_row *row, size_t first, mtf_cohort *cohort)
{
    memcpy(cohort->predictions + first * shape->prediction_count, row->predictions,
           (size_t)row->h.items * shape->prediction_count * sizeof(float));
    for (uint32_t k = 0; k < row->h.items; k++) {
        const float *signals = row->signals + (size_t)k * shape->signal_count;
        cohort->item_reward[first + k] = (float)mtf_reward_item(config->reward, signals);
        cohort->item_label[first + k] = mtf_reward_label(config->reward, signals);
    }
}

/** Row i of the sorted places. */
static mtf_status fill_row(const mtf_cohort_config *config, const mtf_row_shape *shape,
                           const collection *all, size_t i, mtf_row *row, mtf_cohort *cohort,
                           mtf_err *err)
{
    const place *at = &all->places[i];
    const mtf_span value = {all->bytes.data + at->at, at->size};
    const mtf_status status = mtf_row_decode(shape, value, row, err);
    if (status) return status;
    const size_t A = shape->action_dim, bytes = A * sizeof(float);
    mtf_normalise(config->normaliser, row->s, cohort->s + i * shape->state_dim);
    memcpy(cohort->a + i * A, row->a, bytes);
    memcpy(cohort->bp + i * A, row->bp, bytes);
    memcpy(cohort->lower + i * A, row->lower, bytes);
    memcpy(cohort->upper + i * A, row->upper, bytes);
    if (config->act) config->act(config->policy, row->s, cohort->mu + i * A);
    cohort->weight[i] = row->h.weight;
    cohort->r[i] = mtf_row_reward(shape, config->reward, row);
    cohort->version[i] = row->h.version;
    cohort->first[i] = row->h.part == 0 && row->h.step == 0;
    cohort->done[i] = row->h.done;
    cohort->logged[i] =
        row->h.bucket == MTF_BUCKET_EXPLORE && mtf_selection_has(config->selection, &row->h);
    const bool first = i == 0;
    const bool fresh_user = first || at->h.user != at[-1].h.user;
    cohort->users += fresh_user;
    cohort->user[i] = (uint32_t)(cohort->users - 1);
    cohort->sessions += first || !same_session(&at->h, &at[-1].h);
    cohort->session[i] = (uint32_t)(cohort->sessions - 1);
    cohort->item_first[i + 1] = cohort->item_first[i] + row->h.items;
    fill_items(config, shape, row, cohort->item_first[i], cohort);
    return MTF_OK;
}

/** What follows what, and the returns to go from the sessions' ends backwards. */
static void make_returns(const collection *all, double gamma, mtf_cohort *cohort)
{
    bool whole = false; /* is the return of row i + 1 */
    for (size_t i = cohort->rows; i-- > 0;) {
        const mtf_row_header *h = &all->places[i].h;
        const bool next = i + 1 < cohort->rows && follows(h, &all->places[i + 1].h);
        cohort->next[i] = next;
        cohort->g[i] = cohort->r[i] + (next ? gamma * cohort->g[i + 1] : 0);
        whole = h->done || (next && whole);
        cohort->eligible[i] = cohort->logged[i] && whole;
    }
}

mtf_status mtf_cohort_load(const mtf_store *store, const mtf_cohort_config *config,
                           mtf_cohort *cohort, mtf_err *err)
{
    const mtf_row_shape shape = mtf_store_shape(store);
    collection all = {0};
    mtf_row row = {0};
    *cohort = (mtf_cohort){0};
    mtf_status status = collect(store, config, &all, err);
    if (status == MTF_OK) status = mtf_cohort_init(cohort, &shape, all.count, all.items, err);
    if (status) goto done;
    if (all.count) qsort(all.places, all.count, sizeof *all.places, by_user_session_step);
    for (size_t i = 0; i < all.count && status == MTF_OK; i++)
        status = fill_row(config, &shape, &all, i, &row, cohort, err);
    if (status == MTF_OK) make_returns(&all, config->gamma, cohort);
done:
    if (status) mtf_cohort_fini(cohort);
    mtf_row_fini(&row);
    mtf_buf_fini(&all.bytes);
    free(all.places);
    return status;
}
