/** The store's meta column family as bytes: identity text, positions, counts. No RocksDB here. */
#ifndef MTF_STORE_META_H
#define MTF_STORE_META_H

#include "learner/store.h"

#define MTF_STORE_SHAPE "shape" /* the identity's key */

/** The identity as "name: text" lines. */
void mtf_store_identity_print(const mtf_store_identity *identity, mtf_buf *out);
/** Format 2, an entry for every row, is a case of today's: its line is made today's, *older says
 * so. MTF_INVALID: any other format. */
mtf_status mtf_store_identity_format(const char *path, char *text, bool *older,
                                     mtf_err *err) MTF_NODISCARD;
/** The shape back from such text. MTF_CORRUPT when a line is missing. */
mtf_status mtf_store_identity_shape(const char *text, mtf_row_shape *shape,
                                    mtf_err *err) MTF_NODISCARD;
/** The text of a line; empty when it is not there. */
mtf_str mtf_store_identity_line(const char *text, const char *name);
/** MTF_INVALID with the first line that differs, and the way out. */
mtf_status mtf_store_identity_check(const char *path, const char *stored, const char *wanted,
                                    mtf_err *err) MTF_NODISCARD;

void mtf_store_position_encode(const mtf_store_position *position, mtf_buf *key, mtf_buf *value);
bool mtf_store_position_decode(mtf_span key, mtf_span value, mtf_store_position *position);
void mtf_store_count_encode(const mtf_store_count *count, mtf_buf *key, mtf_buf *value);
bool mtf_store_count_decode(mtf_span key, mtf_span value, mtf_store_count *count);
void mtf_store_day_encode(const mtf_store_day *day, mtf_buf *key, mtf_buf *value);
bool mtf_store_day_decode(mtf_span key, mtf_span value, mtf_store_day *day);
void mtf_store_totals_encode(const mtf_store_totals *totals, mtf_buf *value);
bool mtf_store_totals_decode(mtf_span value, mtf_store_totals *totals);

#endif
