/** What is compared: the rows of an experiment (setting compare.rows) and the designs that each
 *  stands in. A cell is a row in a design, for one seed. */
#ifndef MTF_COMPARE_PLAN_H
#define MTF_COMPARE_PLAN_H

#include "core/settings.h"

#define MTF_COMPARE_ROWS_MAX 200
#define MTF_COMPARE_NAME     60

/** What a cell learns from. */
typedef enum mtf_compare_data {
    MTF_COMPARE_LIVE,       /* a search: what it tries is served */
    MTF_COMPARE_GAUSSIAN,   /* all rounds round the initial policy, one training */
    MTF_COMPARE_BOX,        /* the same; formula 3's box */
    MTF_COMPARE_PROGRESSIVE /* a training after each round, explored round by what came of it */
} mtf_compare_data;

typedef enum mtf_compare_design {
    MTF_COMPARE_PAPER, /* learners: Gaussian logs unless the row says otherwise; searches: live */
    MTF_COMPARE_FAIR,  /* all on the same box logs, searches too */
    MTF_COMPARE_ROUNDS /* "progressive": all learners that can be served, each in its own rounds */
} mtf_compare_design;
#define MTF_COMPARE_DESIGNS 3

typedef struct mtf_compare_row {
    char name[MTF_COMPARE_NAME], algorithm[40];
    bool search;           /* one action for everybody, by search/search.h */
    bool serves;           /* its policy can be exported, hence explored round */
    mtf_compare_data data; /* in the paper's design */
    bool in[MTF_COMPARE_DESIGNS];
    mtf_settings settings; /* the experiment's with the row's changes */
    uint64_t world;        /* of them (mtf_compare_world) */
} mtf_compare_row;

typedef struct mtf_compare_plan {
    mtf_compare_row *rows;
    size_t count;
    size_t reference; /* of the rows */
    uint64_t world;   /* of the experiment's settings */
} mtf_compare_plan;

/** Reads settings->compare_rows. MTF_INVALID names the row, the word and the remedy, or the setting
 *  that does not fit the simulator. Fini also then. */
mtf_status mtf_compare_plan_init(mtf_compare_plan *plan, const mtf_settings *settings,
                                 mtf_err *err) MTF_NODISCARD;
void mtf_compare_plan_fini(mtf_compare_plan *plan);

const char *mtf_compare_design_name(mtf_compare_design design);
const char *mtf_compare_data_name(mtf_compare_data data);
/** What the row learns from in the design. */
mtf_compare_data mtf_compare_data_in(const mtf_compare_row *row, mtf_compare_design design);

#endif
