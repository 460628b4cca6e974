/** A store filled with sessions without Kafka, in a temporary folder of its own or at a path where
 * it is kept. One thread. */
#ifndef MTF_SCRATCH_H
#define MTF_SCRATCH_H

#include "core/settings.h"
#include "learner/store.h"

typedef struct mtf_scratch {
    mtf_store *store;
    char folder[300]; /* temporary; "": none, or gone */
    int64_t sessions, rows;
    int64_t duplicates, bad; /* session records stored already; not of this shape */
    mtf_err why;             /* the last bad session's */
    /* of its own: */
    const mtf_settings *settings;
    mtf_reward reward;
    mtf_row_shape shape;
    mtf_row row;
    mtf_buf value;
    int64_t offset;
} mtf_scratch;

/** An empty one, under $TMPDIR or /tmp, for sessions of these settings (borrowed for its life) and
 *  so many action dimensions and predictions. Close it also after a failure. */
mtf_status mtf_scratch_open(mtf_scratch *scratch, const mtf_settings *settings, uint32_t actions,
                            uint32_t predictions, mtf_err *err) MTF_NODISCARD;
/** The same at a path of the caller's, where there is no store yet and which stays. */
mtf_status mtf_scratch_open_at(mtf_scratch *scratch, const char *path, const mtf_settings *settings,
                               uint32_t actions, uint32_t predictions, mtf_err *err) MTF_NODISCARD;
/** A session record's rows, as `mtf learn` would store them; one that does not fit, or is there
 *  already, is counted. */
mtf_status mtf_scratch_put(mtf_scratch *scratch, const mtf_session *session,
                           mtf_err *err) MTF_NODISCARD;
/** What was put can be scanned from now on. */
mtf_status mtf_scratch_settle(mtf_scratch *scratch, mtf_err *err) MTF_NODISCARD;
/** Removes the temporary folder; left where that fails, and stderr says so. Zeroed memory is fine.
 */
void mtf_scratch_close(mtf_scratch *scratch);

#endif
