/** Avro container files of sessions (schemas/session.avsc, or what resolves to it), as whoever
 * keeps a copy of the sessions topic writes them. */
#ifndef MTF_INGEST_SESSION_FILE_H
#define MTF_INGEST_SESSION_FILE_H

#include "core/validate.h"

typedef struct mtf_session_file mtf_session_file;

/** *sessions: whether the file's schema says that it holds sessions (a record named Session, or
 * with a field "steps"), and not events. Errors as mtf_session_file_open. */
mtf_status mtf_session_file_is(const char *path, bool *sessions, mtf_err *err) MTF_NODISCARD;

/** MTF_INVALID: no such file, or its schema does not resolve to a session; MTF_CORRUPT: no
 * container file; MTF_IO. Name the file. */
mtf_status mtf_session_file_open(const char *path, mtf_dims dims, mtf_session_file **file,
                                 mtf_err *err) MTF_NODISCARD;
void mtf_session_file_close(mtf_session_file *file);
/** The next session, borrowed until the next call. MTF_CLOSED: there is none. MTF_SKIP: it is none
 *  that a stage may trust ("invalid: ..."); the next call goes on after it. MTF_CORRUPT: the file
 * is damaged there. MTF_IO, MTF_NOMEM. */
mtf_status mtf_session_file_next(mtf_session_file *file, mtf_session *session,
                                 mtf_err *err) MTF_NODISCARD;

#endif
