/** Avro container files of events -> sessions, by the same machine as on Kafka, or files of
 * sessions as they are: what `mtf replay` prints and `mtf evaluate` reads. */
#ifndef MTF_CLI_FILE_SESSIONS_H
#define MTF_CLI_FILE_SESSIONS_H

#include "cli/cli.h"
#include "core/session.h"

/** Who gets the sessions; one thread. */
typedef struct file_sessions {
    void *arg;
    /** A session, borrowed for the call. NULL: they are only counted. */
    mtf_status (*take)(void *arg, const mtf_session *session, mtf_err *err);
    /** Now and then and at the end: what was taken is to stay. May be NULL. */
    mtf_status (*settle)(void *arg, mtf_err *err);
} file_sessions;

/** Reads the files that the command was given as words to their ends, all of events or all of
 *  sessions. Prints what came of them to stderr, as "<command>: 9 events, 1 session records, 2 set
 *  aside: late=1 dead_invalid=1". Errors: of the files, of `to`, MTF_CORRUPT where counts do not
 * add up. MTF_CLOSED: told to stop. */
mtf_status file_sessions_read(mtf_cli *cli, const char *command, const file_sessions *to,
                              mtf_err *err) MTF_NODISCARD;

#endif
