/** Where simulated events go: the exploration topic, or a container file. */
#ifndef MTF_CLI_SIM_FEED_H
#define MTF_CLI_SIM_FEED_H

#include "core/pipe.h"
#include "core/settings.h"
#include "ingest/container.h"

#define SIM_FEED_PARTITIONS_MAX 1024

/** One thread. The first three are the caller's to set; the rest zero. */
typedef struct sim_feed {
    const mtf_settings *settings;
    mtf_sink *sink;             /* of the topic, between begin and commit; or NULL and */
    mtf_container_writer *file; /* a file */
    int32_t partitions;         /* of the topic, or as the file shall have it */
    mtf_buf record;             /* sim_feed_fini frees it */
    int64_t events;             /* put so far */
    int64_t offsets[SIM_FEED_PARTITIONS_MAX]; /* next, of a file */
} sim_feed;

/** The event's own time is its timestamp, for brokers that take it. */
mtf_status sim_feed_put(sim_feed *feed, const mtf_event *event, mtf_err *err) MTF_NODISCARD;

/** Time goes on after the last session: in every partition an end event of a user who has no
 * session moves the watermark past gap and grace. The sessionizer sets it aside as late. */
mtf_status sim_feed_clocks(sim_feed *feed, int64_t last_ms, mtf_err *err) MTF_NODISCARD;
void sim_feed_fini(sim_feed *feed);

#endif
