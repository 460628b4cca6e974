#include "search/inside.h"

#include <math.h>
#include <stdlib.h>

#include "core/hash.h"
#include "search/linear.h"

#define MAGIC          0x4854464du /* "MTFH" */
#define FORMAT         1
#define BUDGET_DEFAULT 1024
#define SPREAD_DEFAULT 0.2

static const mtf_search_method_ops *const methods[] = {
    &mtf_search_constant_ops, &mtf_search_grid_ops, &mtf_search_es_ops, &mtf_search_bo_ops};

double mtf_search_fold(double u)
{
    const double in_period = u - 2 * floor(u / 2); /* [0,2) */
    return in_period <= 1 ? in_period : 2 - in_period;
}

static void to_box(const mtf_search *search, const double *u, double *point)
{
    for (uint32_t d = 0; d < search->dims; d++) {
        const double low = search->lower[d], high = search->upper[d];
        point[d] = fmin(high, low + mtf_search_fold(u[d]) * (high - low));
    }
}

/* -- opening ----------------------------------------------------- */

static const mtf_search_method_ops *find(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
    return NULL;
}

const char *mtf_search_methods(void)
{
    return "constant grid es bo";
}

static mtf_status check(const char *method, const mtf_search_config *config, mtf_err *err)
{
    const mtf_search_method_ops *ops = find(method);
    if (!ops)
        return mtf_fail(err, MTF_INVALID, "search: there is no method \"%s\"; there are %s", method,
                        mtf_search_methods());
    if (config->dims == 0 || config->dims > ops->dims_max)
        return mtf_fail(err, MTF_INVALID, "search: %s takes 1 to %u dimensions, not %u", method,
                        ops->dims_max, config->dims);
    for (uint32_t d = 0; d < config->dims; d++) {
        const double low = config->lower[d], high = config->upper[d];
        if (!(isfinite(low) && isfinite(high) && low < high))
            return mtf_fail(err, MTF_INVALID, "search: dimension %u has no inside: [%g, %g]", d,
                            low, high);
        if (config->start && !(config->start[d] >= low && config->start[d] <= high))
            return mtf_fail(err, MTF_INVALID,
                            "search: the start %g of dimension %u is not in [%g, %g]",
                            config->start[d], d, low, high);
    }
    if (!(config->spread >= 0 && config->spread <= 1))
        return mtf_fail(err, MTF_INVALID, "search: a spread of %g is not a share of the box",
                        config->spread);
    return MTF_OK;
}

/** What a saved history must agree with: everything but the name of the method. */
static uint64_t hash_config(const mtf_search *search)
{
    mtf_buf text = {0};
    mtf_buf_put_u32_le(&text, search->dims);
    mtf_buf_put_u32_le(&text, search->budget);
    mtf_buf_put_u64_le(&text, search->seed);
    mtf_buf_put(&text, &search->spread, sizeof search->spread);
    mtf_buf_put(&text, search->lower, search->dims * sizeof *search->lower);
    mtf_buf_put(&text, search->upper, search->dims * sizeof *search->upper);
    mtf_buf_put(&text, search->start, search->dims * sizeof *search->start);
    const uint64_t hash = text.failed ? 0 : mtf_hash64(text.data, text.size);
    mtf_buf_fini(&text);
    return hash;
}

static mtf_status make(mtf_search *search, const mtf_search_config *config, mtf_err *err)
{
    const size_t n = config->dims, batch = MTF_SEARCH_BATCH_MAX;
    double *block = calloc(3 * n + 2 * batch * n, sizeof *block);
    if (!block) return mtf_fail(err, MTF_NOMEM, "search: no memory");
    search->lower = block, search->upper = block + n, search->start = block + 2 * n;
    search->asked = block + 3 * n, search->points = search->asked + batch * n;
    memcpy(search->lower, config->lower, n * sizeof *block);
    memcpy(search->upper, config->upper, n * sizeof *block);
    for (size_t d = 0; d < n; d++) {
        const double low = config->lower[d], high = config->upper[d];
        search->start[d] = config->start ? (config->start[d] - low) / (high - low) : 0.5;
    }
    search->config_hash = hash_config(search);
    return search->ops->open ? search->ops->open(search, err) : MTF_OK;
}

mtf_status mtf_search_open(const char *method, const mtf_search_config *config, mtf_search **out,
                           mtf_err *err)
{
    *out = NULL;
    mtf_status status = check(method, config, err);
    if (status) return status;
    mtf_search *search = calloc(1, sizeof *search);
    if (!search) return mtf_fail(err, MTF_NOMEM, "search: no memory");
    mtf_linear_one_thread();
    search->ops = find(method);
    search->dims = config->dims;
    search->seed = config->seed;
    search->budget = config->budget ? config->budget : BUDGET_DEFAULT;
    search->spread = config->spread > 0 ? config->spread : SPREAD_DEFAULT;
    status = make(search, config, err);
    if (status) {
        mtf_search_close(search);
        return status;
    }
    *out = search;
    return MTF_OK;
}

void mtf_search_close(mtf_search *search)
{
    if (!search) return;
    if (search->ops->close) search->ops->close(search);
    free(search->lower); /* the whole block */
    free(search->u);
    free(search->value);
    free(search->variance);
    free(search);
}

/* -- asking and telling ------------------------------------------ */

uint32_t mtf_search_batch(const mtf_search *search)
{
    return search->ops->batch(search);
}

mtf_status mtf_search_ask(mtf_search *search, const double **points, uint32_t *count, mtf_err *err)
{
    if (search->asked_count == 0) {
        const uint32_t batch = mtf_search_batch(search);
        MTF_ASSERT(batch <= MTF_SEARCH_BATCH_MAX);
        if (batch == 0)
            return mtf_fail(err, MTF_CLOSED, "search: %s has tried all it has", search->ops->name);
        const mtf_status status = search->ops->ask(search, search->asked, err);
        if (status) return status;
        const size_t n = search->dims;
        for (uint32_t i = 0; i < batch; i++)
            to_box(search, search->asked + i * n, search->points + i * n);
        search->asked_count = batch;
    }
    *points = search->points;
    *count = search->asked_count;
    return MTF_OK;
}

static mtf_status reserve(mtf_search *search, uint32_t more, mtf_err *err)
{
    const size_t need = (size_t)search->told + more, n = search->dims;
    if (need <= search->capacity) return MTF_OK;
    const size_t capacity = need < 64 ? 64 : 2 * need;
    if (capacity > UINT32_MAX) return mtf_fail(err, MTF_NOMEM, "search: too long a history");
    double **const blocks[] = {&search->u, &search->value, &search->variance};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        double *block = realloc(*blocks[i], capacity * (i == 0 ? n : 1) * sizeof *block);
        if (!block) return mtf_fail(err, MTF_NOMEM, "search: no memory for %zu points", capacity);
        *blocks[i] = block;
    }
    search->capacity = (uint32_t)capacity;
    return MTF_OK;
}

/** Takes a batch into the history; u (count, dims). */
static mtf_status take(mtf_search *search, uint32_t count, const double *u, const double *values,
                       const double *variances, mtf_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const double variance = variances ? variances[i] : 0;
        if (!isfinite(values[i]) || !isfinite(variance) || variance < 0)
            return mtf_fail(err, MTF_INVALID,
                            "search: point %u was told a value of %g with a variance of %g", i,
                            values[i], variance);
    }
    mtf_status status = reserve(search, count, err);
    if (status) return status;
    const uint32_t first = search->told;
    memcpy(search->u + (size_t)first * search->dims, u, count * search->dims * sizeof *u);
    memcpy(search->value + first, values, count * sizeof *values);
    for (uint32_t i = 0; i < count; i++) search->variance[first + i] = variances ? variances[i] : 0;
    search->told += count;
    status = search->ops->tell ? search->ops->tell(search, first, err) : MTF_OK;
    if (status) search->told = first;
    return status;
}

mtf_status mtf_search_tell(mtf_search *search, const double *values, const double *variances,
                           mtf_err *err)
{
    MTF_ASSERT(search->asked_count > 0); /* ask first */
    const mtf_status status =
        take(search, search->asked_count, search->asked, values, variances, err);
    if (status == MTF_OK) search->asked_count = 0;
    return status;
}

static mtf_status try_batch(mtf_search *search, mtf_search_objective *objective, void *arg,
                            mtf_err *err)
{
    const double *points;
    double values[MTF_SEARCH_BATCH_MAX], variances[MTF_SEARCH_BATCH_MAX];
    uint32_t count;
    mtf_status status = mtf_search_ask(search, &points, &count, err);
    for (uint32_t i = 0; status == MTF_OK && i < count; i++) {
        const mtf_search_trial trial = {points + (size_t)i * search->dims, search->told + i,
                                        search->told};
        status = objective(arg, &trial, &values[i], &variances[i], err);
    }
    return status ? status : mtf_search_tell(search, values, variances, err);
}

mtf_status mtf_search_run(mtf_search *search, uint32_t points, mtf_search_objective *objective,
                          void *arg, mtf_err *err)
{
    mtf_status status = MTF_OK;
    if (search->told == 0 && mtf_search_batch(search) > points)
        return mtf_fail(err, MTF_INVALID, "search: %s begins with %u points, more than %u",
                        search->ops->name, mtf_search_batch(search), points);
    for (;;) {
        const uint32_t batch = mtf_search_batch(search);
        if (status || batch == 0 || (uint64_t)search->told + batch > points) return status;
        status = try_batch(search, objective, arg, err);
    }
}

uint32_t mtf_search_told(const mtf_search *search)
{
    return search->told;
}

uint32_t mtf_search_highest(const mtf_search *search)
{
    uint32_t highest = 0;
    for (uint32_t i = 1; i < search->told; i++)
        if (search->value[i] > search->value[highest]) highest = i;
    return highest;
}

mtf_status mtf_search_best(mtf_search *search, double *point, mtf_err *err)
{
    double u[MTF_SEARCH_DIMS_MAX];
    memcpy(u, search->start, search->dims * sizeof *u);
    const mtf_status status = search->told ? search->ops->best(search, u, err) : MTF_OK;
    if (status == MTF_OK) to_box(search, u, point);
    return status;
}

/* -- saving ------------------------------------------------------
 * | u32 magic | u32 format | u8 name size, name | u64 hash of the configuration | u32 dims |
 * | u32 told | u told * dims | value told | variance told | u64 hash of all before |, the floats as
 * the bits of doubles, all little-endian. */

static void put_doubles(mtf_buf *out, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        mtf_buf_put_u64_le(out, bits);
    }
}

static void read_doubles(mtf_reader *in, double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = mtf_reader_u64_le(in);
        memcpy(&values[i], &bits, sizeof bits);
    }
}

void mtf_search_save(const mtf_search *search, mtf_buf *out)
{
    const size_t begin = out->size, name = strlen(search->ops->name);
    mtf_buf_put_u32_le(out, MAGIC);
    mtf_buf_put_u32_le(out, FORMAT);
    mtf_buf_put_u8(out, (uint8_t)name);
    mtf_buf_put(out, search->ops->name, name);
    mtf_buf_put_u64_le(out, search->config_hash);
    mtf_buf_put_u32_le(out, search->dims);
    mtf_buf_put_u32_le(out, search->told);
    put_doubles(out, search->u, (size_t)search->told * search->dims);
    put_doubles(out, search->value, search->told);
    put_doubles(out, search->variance, search->told);
    if (!out->failed) mtf_buf_put_u64_le(out, mtf_hash64(out->data + begin, out->size - begin));
}

static mtf_status corrupt(mtf_err *err)
{
    return mtf_fail(err, MTF_CORRUPT, "a saved search is damaged; begin it anew");
}

/** The head of a saved search that is whole: *told points follow. */
static mtf_status read_head(const mtf_search *search, mtf_span saved, mtf_reader *in,
                            uint32_t *told, mtf_err *err)
{
    if (saved.size < 8) return corrupt(err);
    const size_t body = saved.size - 8;
    if (mtf_load_u64_le(saved.data + body) != mtf_hash64(saved.data, body)) return corrupt(err);
    *in = mtf_reader_of((mtf_span){saved.data, body});
    if (mtf_reader_u32_le(in) != MAGIC || mtf_reader_u32_le(in) != FORMAT) return corrupt(err);
    const uint8_t size = mtf_reader_u8(in);
    const char *name = (const char *)mtf_reader_take(in, size);
    const uint64_t hash = mtf_reader_u64_le(in);
    const uint32_t dims = mtf_reader_u32_le(in);
    *told = mtf_reader_u32_le(in);
    if (in->failed) return corrupt(err);
    if (!mtf_str_is((mtf_str){name, size}, search->ops->name) || hash != search->config_hash)
        return mtf_fail(
            err, MTF_INVALID,
            "a saved search is of method %.*s or of another box, start, budget or seed; "
            "begin anew, or search with what it was begun with",
            (int)size, name);
    if (dims != search->dims || mtf_reader_left(in) != (size_t)*told * (dims + 2) * 8)
        return corrupt(err);
    return MTF_OK;
}

/** Tells it all again, batch by batch. */
static mtf_status replay(mtf_search *search, uint32_t told, const double *u, const double *value,
                         const double *variance, mtf_err *err)
{
    mtf_status status = MTF_OK;
    while (status == MTF_OK && search->told < told) {
        const uint32_t at = search->told, batch = mtf_search_batch(search);
        if (batch == 0 || batch > told - at) return corrupt(err);
        status = take(search, batch, u + (size_t)at * search->dims, value + at, variance + at, err);
    }
    return status == MTF_INVALID ? corrupt(err) : status;
}

mtf_status mtf_search_load(mtf_search *search, mtf_span saved, mtf_err *err)
{
    MTF_ASSERT(search->told == 0 && search->asked_count == 0);
    mtf_reader in = {0};
    uint32_t told = 0;
    mtf_status status = read_head(search, saved, &in, &told, err);
    if (status || told == 0) return status;
    const size_t n = search->dims;
    double *block = malloc((n + 2) * told * sizeof *block);
    if (!block) return mtf_fail(err, MTF_NOMEM, "search: no memory for %u points", told);
    read_doubles(&in, block, (n + 2) * told);
    for (size_t i = 0; i < n * told; i++)
        if (!isfinite(block[i])) status = corrupt(err);
    if (status == MTF_OK)
        status = replay(search, told, block, block + n * told, block + (n + 1) * told, err);
    free(block);
    return status;
}
