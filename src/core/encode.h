/** Writing our own records: single-object frame, our schema, the bytes that any Avro library writes
 *  (arrays in one block). */
#ifndef MTF_ENCODE_H
#define MTF_ENCODE_H

#include "core/codec.h"

/** Both append to out; MTF_NOMEM only. On failure out keeps a part: clear it. */
mtf_status mtf_event_encode(const mtf_event *event, mtf_buf *out, mtf_err *err) MTF_NODISCARD;
mtf_status mtf_session_encode(const mtf_session *session, mtf_buf *out, mtf_err *err) MTF_NODISCARD;

/** What mtf_session_encode would append: with and without its steps' part, for whoever splits. The
 *  count of steps is a varint, so a session of k steps takes head + sum of steps + at most 10. */
size_t mtf_session_encoded_bytes(const mtf_session *session);
size_t mtf_step_encoded_bytes(const mtf_step *step);

/** The event without its frame, as it stands in a container file. */
void mtf_event_put(const mtf_event *event, mtf_buf *out);

#endif
