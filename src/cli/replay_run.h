/** What `mtf dlq replay` and `mtf late replay` share: passes over a topic of what was set aside;
 *  what is put out, and the marks of what it was made from, in one transaction after the other; and
 *  the first few records that stay, named. */
#ifndef MTF_CLI_REPLAY_RUN_H
#define MTF_CLI_REPLAY_RUN_H

#include "cli/aside_list.h"

/** On every record that was put back: where it was before, "<partition>/<offset>". */
#define REPLAYED_HEADER "__mtf.replayed"

typedef struct replay_run {
    const mtf_cli *cli;
    const aside_options *options;
    stage_context context;
    aside_topic topic;
    mtf_decoder *decoder;
    mtf_sink sink;     /* only with --execute: for put, between begin and commit */
    aside_marks done;  /* of the open unit */
    bool begun;        /* a unit is open */
    int64_t committed; /* places marked so far */
    struct {
        int32_t partition;
        int64_t offset;
        const char *why;
    } named[20]; /* of this pass */
    size_t named_count;
} replay_run;

/** Opens the topic and, with --execute, the sink, under the transactional id "<command>-<topic>"
 *  unless `sessionize.delivery` is at-least-once; a run of the command over the same topic that is
 *  still going is fenced, and what it left open is aborted. The run stays where it is, and is the
 *  caller's to close also after a failure. */
mtf_status replay_run_open(replay_run *run, const mtf_cli *cli, const aside_options *options,
                           const aside_filter *filter, const char *command, const char *topic,
                           mtf_err *err) MTF_NODISCARD;
/** Takes a zeroed one. */
void replay_run_close(replay_run *run);

/** Opens a unit unless one is open. */
mtf_status replay_run_begin(replay_run *run, mtf_err *err) MTF_NODISCARD;
/** This record of the topic is done with by the open unit. */
mtf_status replay_run_done(replay_run *run, int32_t partition, int64_t offset,
                           mtf_err *err) MTF_NODISCARD;
/** Whether the unit holds as much as one should. */
bool replay_run_is_full(const replay_run *run);
/** Marks what is done and commits, if a unit is open; then the topic's marks have it, too.
 *  MTF_AGAIN: abort, and make another pass. */
mtf_status replay_run_commit(replay_run *run, mtf_err *err) MTF_NODISCARD;

/** This record stays. `why` is constant text. */
void replay_run_name(replay_run *run, int32_t partition, int64_t offset, const char *why);
/** [{"partition":0,"offset":1,"why":"cut"},...] */
void replay_run_named_json(const replay_run *run, mtf_buf *out);
/** "not replayed: 7 <words>" and the places of those named so; nothing for a count of 0. */
void replay_run_named_text(const replay_run *run, const char *why, int64_t count, const char *words,
                           mtf_buf *out);

/** Calls pass(self), which ends with a commit, until the brokers no longer refuse it (three times
 *  at most); then print(self). Of a failure it says what is done all the same. */
mtf_status replay_run_passes(replay_run *run, mtf_status (*pass)(void *self, mtf_err *err),
                             void (*print)(const void *self, mtf_buf *out), void *self,
                             mtf_err *err) MTF_NODISCARD;

#endif
