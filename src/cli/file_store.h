/** A learner's store made of files of events or sessions, in a folder of its own: for commands that
 *  work on transitions without Kafka. */
#ifndef MTF_CLI_FILE_STORE_H
#define MTF_CLI_FILE_STORE_H

#include "cli/cli.h"
#include "learner/scratch.h"

typedef mtf_scratch file_store;

/** The events of the command's words as rows, as `mtf learn` would store their sessions. Says on
 *  stderr what was left out. MTF_SKIP: no session fits the settings; says why the last did not.
 *  Others: of the files, and of the store. Close it also then. */
mtf_status file_store_make(mtf_cli *cli, const char *command, file_store *made,
                           mtf_err *err) MTF_NODISCARD;
/** The same at a path of the caller's, where there is no store yet and which stays. */
mtf_status file_store_fill(mtf_cli *cli, const char *command, const char *path, file_store *made,
                           mtf_err *err) MTF_NODISCARD;
/** Removes the folder of file_store_make. */
void file_store_close(file_store *made);

#endif
