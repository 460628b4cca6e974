/** How several values of one signal of one item become one: watch time comes as cumulative
 *  heartbeats (max), likes as counts (sum), switches as their last state. */
#ifndef MTF_SESSIONIZE_AGGREGATE_H
#define MTF_SESSIONIZE_AGGREGATE_H

#include "core/event.h"

typedef enum mtf_aggregator {
    MTF_AGGREGATE_LAST, /* what a signal without a rule gets */
    MTF_AGGREGATE_FIRST,
    MTF_AGGREGATE_SUM,
    MTF_AGGREGATE_MAX,
} mtf_aggregator;

typedef struct mtf_aggregate_rule {
    mtf_str name; /* within mtf_aggregators.text */
    mtf_aggregator how;
} mtf_aggregate_rule;

/** Zeroed memory is a valid empty one: last for every signal. */
typedef struct mtf_aggregators {
    mtf_aggregate_rule *rules; /* by name */
    uint32_t count;
    char *text;      /* owned copy of the setting */
    char *canonical; /* "name=how ..." by name: equal rules give equal text */
} mtf_aggregators;

/** Parses the setting sessionize.aggregators: "name=sum|max|last|first ...". MTF_INVALID names the
 *  pair, MTF_NOMEM. fini also after a failure. */
mtf_status mtf_aggregators_init(mtf_aggregators *aggregators, const char *text,
                                mtf_err *err) MTF_NODISCARD;
void mtf_aggregators_fini(mtf_aggregators *aggregators);

/** Folds another value of a signal into what is known of it. Sums stay finite. */
void mtf_aggregate(const mtf_aggregators *aggregators, mtf_signal *known, double value);

#endif
