/* `grid`: every dimension is cut into equal cells, as many as the budget allows; the points are the
 * cells' middles, so that no point of the box is further than half a cell from one. In ten
 * dimensions even 1024 points are two a dimension: that is what a grid can do there. */
#include "search/inside.h"

#include <stdlib.h>

typedef struct grid {
    uint32_t points;   /* of the whole design */
    uint32_t levels[]; /* (dims,) */
} grid;

/** Dimensions gain a level in turn while the design fits the budget. */
static void lay_out(grid *g, uint32_t dims, uint32_t budget)
{
    for (uint32_t d = 0; d < dims; d++) g->levels[d] = 1;
    g->points = 1;
    for (bool grown = true; grown;) {
        grown = false;
        for (uint32_t d = 0; d < dims; d++) {
            const uint64_t points = (uint64_t)g->points / g->levels[d] * (g->levels[d] + 1);
            if (points > budget) return;
            g->points = (uint32_t)points;
            g->levels[d]++;
            grown = true;
        }
    }
}

static mtf_status open_grid(mtf_search *search, mtf_err *err)
{
    grid *g = calloc(1, sizeof *g + search->dims * sizeof *g->levels);
    if (!g) return mtf_fail(err, MTF_NOMEM, "search: no memory for a grid");
    lay_out(g, search->dims, search->budget);
    search->self = g;
    return MTF_OK;
}

static void close_grid(mtf_search *search)
{
    free(search->self);
}

static uint32_t batch(const mtf_search *search)
{
    const grid *g = search->self;
    const uint32_t left = g->points - search->told;
    return left < MTF_SEARCH_BATCH_MAX ? left : MTF_SEARCH_BATCH_MAX;
}

/* Point i in mixed radix, the first dimension turning fastest. */
static mtf_status ask(mtf_search *search, double *points, mtf_err *err)
{
    (void)err;
    const grid *g = search->self;
    const uint32_t count = batch(search), n = search->dims;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rest = search->told + i;
        for (uint32_t d = 0; d < n; d++) {
            points[i * n + d] = (rest % g->levels[d] + 0.5) / g->levels[d];
            rest /= g->levels[d];
        }
    }
    return MTF_OK;
}

static mtf_status best(mtf_search *search, double *point, mtf_err *err)
{
    (void)err;
    const size_t n = search->dims;
    memcpy(point, search->u + mtf_search_highest(search) * n, n * sizeof *point);
    return MTF_OK;
}

const mtf_search_method_ops mtf_search_grid_ops = {.name = "grid",
                                                   .dims_max = MTF_SEARCH_DIMS_MAX,
                                                   .open = open_grid,
                                                   .close = close_grid,
                                                   .batch = batch,
                                                   .ask = ask,
                                                   .best = best};
