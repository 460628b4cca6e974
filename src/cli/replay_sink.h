/** The sink of `mtf dlq replay` and `mtf late replay`: what is put out, and the marks of what it
 * was made from, in one transaction after the other. */
#ifndef MTF_CLI_REPLAY_SINK_H
#define MTF_CLI_REPLAY_SINK_H

#include "cli/aside_topic.h"

/** On every record that was put back: where it was before, "<partition>/<offset>". */
#define REPLAYED_HEADER "__mtf.replayed"

typedef struct replay_sink {
    mtf_sink sink;    /* for put, between begin and commit */
    aside_marks done; /* of the open unit */
    bool begun;
    int64_t committed; /* places marked so far */
} replay_sink;

/** Under the transactional id "<command>-<topic>", unless `sessionize.delivery` is at-least-once; a
 *  run of the command over the same topic that is still going is fenced, and what it left open is
 *  aborted. */
mtf_status replay_sink_open(replay_sink *sink, const stage_context *context, const char *command,
                            const char *topic, mtf_err *err) MTF_NODISCARD;
/** Takes a zeroed one. */
void replay_sink_close(replay_sink *sink);
/** Opens a unit unless one is open. */
mtf_status replay_sink_begin(replay_sink *sink, mtf_err *err) MTF_NODISCARD;
/** This record of the topic is done with by the open unit. */
mtf_status replay_sink_done(replay_sink *sink, int32_t partition, int64_t offset,
                            mtf_err *err) MTF_NODISCARD;
/** Whether the unit holds as much as one should. */
bool replay_sink_is_full(const replay_sink *sink);
/** Marks what is done and commits, if a unit is open; then the topic's marks have it, too.
 *  MTF_AGAIN: abort, and make another pass. */
mtf_status replay_sink_commit(replay_sink *sink, aside_topic *topic, mtf_err *err) MTF_NODISCARD;
void replay_sink_abort(replay_sink *sink);

#endif
