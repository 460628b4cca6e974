/** Whose exploration a command works on. */
#ifndef MTF_CLI_LOGGED_VERSION_H
#define MTF_CLI_LOGGED_VERSION_H

#include "learner/store.h"

/** The version that explored in this store: `asked`, or where that is negative `parent`'s, or the
 *  newest that did. MTF_SKIP: none, or not that one. */
mtf_status logged_version(const mtf_store *store, const char *command, int64_t asked,
                          int64_t parent, int64_t *version, mtf_err *err) MTF_NODISCARD;

#endif
