/** What a method of searching is, for the files of this folder. All of them work in the unit cube:
 *  search.c maps it to the box. A method may propose points beyond the cube's sides; they are
 *  mirrored there, so that its own coordinates know no walls. */
#ifndef MTF_SEARCH_INSIDE_H
#define MTF_SEARCH_INSIDE_H

#include "search/search.h"

typedef struct mtf_search_method_ops {
    const char *name;
    uint32_t dims_max;
    /** Makes search->self, may be NULL. */
    mtf_status (*open)(mtf_search *search, mtf_err *err);
    void (*close)(mtf_search *search);
    /** Points of the next ask. */
    uint32_t (*batch)(const mtf_search *search);
    /** points (batch, dims) out. */
    mtf_status (*ask)(mtf_search *search, double *points, mtf_err *err);
    /** History [first, told) is new: a whole batch. May be NULL. */
    mtf_status (*tell)(mtf_search *search, uint32_t first, mtf_err *err);
    /** point (dims,) out. Something was told. */
    mtf_status (*best)(mtf_search *search, double *point, mtf_err *err);
} mtf_search_method_ops;

extern const mtf_search_method_ops mtf_search_constant_ops, mtf_search_grid_ops, mtf_search_es_ops,
    mtf_search_bo_ops;

struct mtf_search {
    const mtf_search_method_ops *ops;
    uint32_t dims, budget;
    uint64_t seed;
    double spread;
    double *lower, *upper; /* (dims,) */
    double *start;         /* (dims,) in the unit cube */
    uint64_t config_hash;

    double *asked;  /* (MTF_SEARCH_BATCH_MAX, dims) as the method proposed them */
    double *points; /* (MTF_SEARCH_BATCH_MAX, dims) the same in the box */
    uint32_t asked_count;

    uint32_t told, capacity;
    double *u;                /* (told, dims) as the method proposed them */
    double *value, *variance; /* (told,) */
    void *self;
};

/** u mirrored at 0 and 1 into [0,1]. */
double mtf_search_fold(double u);
/** The index of the highest value told. */
uint32_t mtf_search_highest(const mtf_search *search);

#endif
