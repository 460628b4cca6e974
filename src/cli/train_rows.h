/** The folder that `mtf train` works in: the rows of its files in a learner's store, with the
 * round's checkpoints, so that a run that was interrupted goes on.
 *
 *    <folder>/rows         whole: its rows are those of the files (blob "input" says of which)
 *    <folder>/rows.filling on the way there; one that is found is of a run that was cut short */
#ifndef MTF_CLI_TRAIN_ROWS_H
#define MTF_CLI_TRAIN_ROWS_H

#include "cli/cli.h"
#include "learner/store.h"

/** Opens the folder's store; reads the command's files into it unless they are there. MTF_INVALID:
 *  they were other files, or read under other settings. MTF_CLOSED: told to stop. Others: of the
 *  files and the store. */
mtf_status train_rows_open(mtf_cli *cli, const char *folder, mtf_store **store,
                           mtf_err *err) MTF_NODISCARD;
/** Removes what train_rows_open made, and the folder unless something else is in it. */
mtf_status train_rows_remove(const char *folder, mtf_err *err) MTF_NODISCARD;

#endif
