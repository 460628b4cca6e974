/** Where the sessionizers' group stands on the exploration topic: read, and put elsewhere. */
#ifndef MTF_CLI_OFFSETS_H
#define MTF_CLI_OFFSETS_H

#include "cli/stages.h"
#include "ingest/kafka_admin.h"

/** What a commit says beside its offset. */
typedef enum offsets_kind {
    OFFSETS_NONE,    /* no commit: reading begins at the first record */
    OFFSETS_CLEAN,   /* no metadata, as after a reset: it goes on there with nothing open */
    OFFSETS_PLACE,   /* a place (sessionize/metadata.h) under the settings of now */
    OFFSETS_FOREIGN, /* a place under other settings: refused at the start until accepted */
    OFFSETS_DAMAGED, /* metadata that is no place of this offset */
} offsets_kind;

typedef struct offsets_part {
    int64_t first, end; /* of the log */
    int64_t committed;  /* -1: none */
    int64_t target;     /* of a reset */
    offsets_kind kind;
    mtf_place place; /* of OFFSETS_PLACE and OFFSETS_FOREIGN */
    char wrong[200]; /* of OFFSETS_DAMAGED: what is wrong with it */
} offsets_part;

typedef struct offsets_view {
    const mtf_settings *settings;
    mtf_kafka_client *client;
    mtf_kafka_group group;
    offsets_part *parts;
    int32_t count;
} offsets_view;

/** Asks the brokers. *view is the caller's to close also after a failure. */
mtf_status offsets_open(offsets_view *view, const stage_context *context,
                        mtf_err *err) MTF_NODISCARD;
void offsets_close(offsets_view *view);

/** Records that are not read yet. */
int64_t offsets_lag(const offsets_part *part);
/** Where a start reads from, so as to know again what is open; <= committed. */
int64_t offsets_open_from(const offsets_part *part);

/** Fills the targets: the first record that the log has, or (time_ms >= 0) the first that was
 *  appended at or after a time; the end where there is none. */
mtf_status offsets_aim(offsets_view *view, int64_t time_ms, mtf_err *err) MTF_NODISCARD;
/** Commits the targets, as clean starts. MTF_INVALID: the group has members; they are named.
 *  MTF_BROKER: the brokers say otherwise afterwards. */
mtf_status offsets_reset(offsets_view *view, mtf_err *err) MTF_NODISCARD;

#endif
