/** The slow model: design "Sessions", rules 1 to 6, written from its words with no thought of
 * speed. It keeps every record that joined, works out the activities anew at each step, and prints
 * what must come out, a line per session, late record and dead letter, in order. */
#ifndef TESTS_SESSIONIZE_ORACLE_H
#define TESTS_SESSIONIZE_ORACLE_H

#include "sessionize/stream.h"

/** Appends the lines of the whole stream and a last one: "open <kept> dropped <records>". */
void oracle_run(const struct stream *stream, const mtf_machine_config *config, mtf_buf *out);

#endif
