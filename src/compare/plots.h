/** The comparison as figures: bars with intervals of the ranking metric and of the A/B test, the
 *  drift of each action dimension over the rounds, the densities of exploration. */
#ifndef MTF_COMPARE_PLOTS_H
#define MTF_COMPARE_PLOTS_H

#include "compare/table.h"

/** Writes <folder>/gauc.gp, users.gp, drift.gp and exploration.gp, which hold their data, and has
 *  gnuplot draw each as an SVG beside it. The folder is made. MTF_INVALID: gnuplot is not there, or
 *  refuses; says what to do; the scripts are. MTF_IO. */
mtf_status mtf_compare_plots(const mtf_compare_table *table, const char *folder,
                             mtf_err *err) MTF_NODISCARD;

#endif
