/** Splits a session that is too large for one record: halves of its steps, until each part's
 *  encoding fits. A pure function of the session and the limit. */
#ifndef MTF_SESSIONIZE_PARTS_H
#define MTF_SESSIONIZE_PARTS_H

#include "core/codec.h"

/** Takes an encoded record; its bytes are borrowed until it returns. */
typedef mtf_status (*mtf_part_fn)(void *self, const mtf_session *part, mtf_span record,
                                  mtf_err *err);

/** Encodes the session into scratch and hands it, or its parts in turn, to `take`. The cuts are
 *  marked truncated, since a part alone does not know its neighbours; a reader that joins parts
 *  takes the first's head and the last's tail. Nothing is handed over when a single step exceeds
 *  the limit: MTF_SKIP. Else MTF_NOMEM or what take returned. */
mtf_status mtf_session_parts(const mtf_session *session, mtf_session_encode_fn encode,
                             size_t value_bytes_max, mtf_buf *scratch, mtf_arena *arena,
                             mtf_part_fn take, void *self, mtf_err *err) MTF_NODISCARD;

#endif
