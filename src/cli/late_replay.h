/** `mtf late replay`: sessions of the events that came too late for theirs.
 *
 *  Put back they would be late again; so the same machine runs over them, each user's in order of
 *  event time, and the sessions go to the sessions topic in transactions with the marks that say
 *  which late records are done (aside_topic.h). The sessions are marked truncated at both ends, and
 *  a learner that has one of the id already keeps that. Feedback whose request is not among them
 *  stays as it is, counted.
 *
 *  Memory: about 256 MB of events at a time; when the topic holds more, users are taken by hash in
 *  several passes. */
#ifndef MTF_CLI_LATE_REPLAY_H
#define MTF_CLI_LATE_REPLAY_H

#include "cli/aside_list.h"

/** Prints what it did, or would do. MTF_CLOSED: stopped; what was committed is marked. */
mtf_status late_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                       mtf_err *err) MTF_NODISCARD;

#endif
