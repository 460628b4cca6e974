/** A session as one JSON line, for people and scripts. */
#ifndef MTF_CLI_SESSION_JSON_H
#define MTF_CLI_SESSION_JSON_H

#include "core/session.h"

/** Appends the object and a newline; every field of schemas/session.avsc, floats with 9 digits. */
void session_json_put(const mtf_session *session, mtf_buf *out);

#endif
