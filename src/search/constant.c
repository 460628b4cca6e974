/* `constant`: the start, tried once; what the others have to beat. */
#include "search/inside.h"

static uint32_t batch(const mtf_search *search)
{
    return search->told == 0;
}

static mtf_status ask(mtf_search *search, double *points, mtf_err *err)
{
    (void)err;
    memcpy(points, search->start, search->dims * sizeof *points);
    return MTF_OK;
}

static mtf_status best(mtf_search *search, double *point, mtf_err *err)
{
    (void)err;
    memcpy(point, search->start, search->dims * sizeof *point);
    return MTF_OK;
}

const mtf_search_method_ops mtf_search_constant_ops = {
    .name = "constant", .dims_max = MTF_SEARCH_DIMS_MAX, .batch = batch, .ask = ask, .best = best};
