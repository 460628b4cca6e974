/** `mtf store rows`: every stored transition as a JSON line, for people and other programs. */
#ifndef MTF_STORE_ROWS_H
#define MTF_STORE_ROWS_H

#include "core/settings.h"
#include "learner/store.h"

/** All rows of the store in key order, one JSON object a line on standard output: where the row is
 *  from, formula 2's reward by the settings of now, and its float blocks. MTF_IO: the output is
 *  closed; others are the scan's. */
mtf_status store_rows_print(const mtf_store *store, const mtf_settings *settings,
                            mtf_err *err) MTF_NODISCARD;

#endif
