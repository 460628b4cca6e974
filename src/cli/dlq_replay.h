/** `mtf dlq replay`: dead letters back to the topic they came from, once what was wrong is mended.
 *
 *  A dead letter goes back with its bytes, its key and its headers but ours, and __mtf.replayed
 *  says where it was before. What would only come back stays: a record that is cut, or still does
 *  not decode, or is still ahead of the clock. Records go in transactions with the marks that say
 *  they are done (aside_topic.h); with `sessionize.delivery: at-least-once` a crash between the two
 *  puts some of them back twice. */
#ifndef MTF_CLI_DLQ_REPLAY_H
#define MTF_CLI_DLQ_REPLAY_H

#include "cli/aside_list.h"

/** Prints what it did, or would do. MTF_CLOSED: stopped; what was committed is marked. */
mtf_status dlq_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                      mtf_err *err) MTF_NODISCARD;

#endif
