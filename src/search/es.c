/* `es`: CMA-ES in the unit cube. At the cube's sides points are mirrored (search.c), and the
 * strategy goes on with where they lay before: it sees the objective continued by its mirror image,
 * which is as continuous as the objective is, needs no penalty to tune, and leaves the distribution
 * undistorted; a best point on a side is the top of a ridge there. A step so long that mirroring
 * makes it uniform is of no use: sigma sqrt(largest eigenvalue) is kept below the cube's side. */
#include <math.h>
#include <stdlib.h>

#include "search/cmaes.h"
#include "search/inside.h"

static mtf_status open_es(mtf_search *search, mtf_err *err)
{
    mtf_cmaes *es = malloc(sizeof *es);
    if (!es) return mtf_fail(err, MTF_NOMEM, "search: no memory for es");
    search->self = es;
    return mtf_cmaes_init(es, search->dims, search->start, search->spread, err);
}

static void close_es(mtf_search *search)
{
    if (search->self) mtf_cmaes_fini(search->self);
    free(search->self);
}

static uint32_t batch(const mtf_search *search)
{
    return ((const mtf_cmaes *)search->self)->lambda;
}

static mtf_status ask(mtf_search *search, double *points, mtf_err *err)
{
    (void)err;
    mtf_cmaes_sample(search->self, search->seed, points);
    return MTF_OK;
}

static mtf_status tell(mtf_search *search, uint32_t first, mtf_err *err)
{
    mtf_cmaes *es = search->self;
    const mtf_status status =
        mtf_cmaes_update(es, search->u + (size_t)first * search->dims, search->value + first, err);
    if (status == MTF_OK) es->sigma = fmin(es->sigma, 1 / es->d[es->n - 1]);
    return status;
}

static mtf_status best(mtf_search *search, double *point, mtf_err *err)
{
    (void)err;
    const mtf_cmaes *es = search->self;
    memcpy(point, es->mean, es->n * sizeof *point);
    return MTF_OK;
}

const mtf_search_method_ops mtf_search_es_ops = {.name = "es",
                                                 .dims_max = MTF_SEARCH_DIMS_MAX,
                                                 .open = open_es,
                                                 .close = close_es,
                                                 .batch = batch,
                                                 .ask = ask,
                                                 .tell = tell,
                                                 .best = best};
