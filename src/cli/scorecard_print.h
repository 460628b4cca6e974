/** A scorecard for people, and as JSON. */
#ifndef MTF_SCORECARD_PRINT_H
#define MTF_SCORECARD_PRINT_H

#include "client/policy.h"
#include "learner/scorecard.h"

typedef struct scorecard_about {
    const mtf_policy *policy;
    int64_t logged; /* the version whose exploration it was judged on */
    const mtf_cohort *judged;
    double gamma;
} scorecard_about;

/** To standard output. */
void scorecard_print_text(const scorecard_about *about, const mtf_scorecard *card);
/** One object on one line; what was not measured is null. */
void scorecard_print_json(const scorecard_about *about, const mtf_scorecard *card);

#endif
