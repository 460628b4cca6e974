#include "cli/sim_feed.h"

#include "core/encode.h"
#include "ingest/kafka_client.h"

#include <stdio.h>

mtf_status sim_feed_put(sim_feed *feed, const mtf_event *event, mtf_err *err)
{
    mtf_status status;
    if (feed->file) {
        const int32_t partition = mtf_kafka_partition_of(event->user_id, feed->partitions);
        status = mtf_container_writer_append(feed->file, partition, feed->offsets[partition]++,
                                             event->event_time_ms, event, err);
    } else {
        const mtf_span key = {(const uint8_t *)event->user_id.data, event->user_id.size};
        mtf_buf_clear(&feed->record);
        status = mtf_event_encode(event, &feed->record, err);
        if (status != MTF_OK) return status;
        status = feed->sink->put(feed->sink->self, feed->settings->topics_exploration, key,
                                 mtf_buf_span(&feed->record), NULL, 0, event->event_time_ms, err);
    }
    if (status == MTF_OK) feed->events++;
    return status;
}

mtf_status sim_feed_clocks(sim_feed *feed, int64_t last_ms, mtf_err *err)
{
    const mtf_settings *s = feed->settings;
    const int64_t time_ms = last_ms + s->sessionize_gap_ms + s->sessionize_grace_ms +
                            s->sessionize_out_of_orderness_ms + 1;
    bool done[SIM_FEED_PARTITIONS_MAX] = {false};
    int32_t left = feed->partitions;
    MTF_ASSERT(left > 0 && left <= SIM_FEED_PARTITIONS_MAX);
    for (int i = 0; left > 0; i++) {
        char user[32], id[64];
        snprintf(user, sizeof user, "clock-%d", i);
        const int32_t partition = mtf_kafka_partition_of(mtf_str_of(user), feed->partitions);
        if (done[partition]) continue;
        done[partition] = true;
        left--;
        snprintf(id, sizeof id, "%s-%lld", user, (long long)time_ms);
        const mtf_event event = {.event_id = mtf_str_of(id),
                                 .user_id = mtf_str_of(user),
                                 .event_time_ms = time_ms,
                                 .kind = MTF_EVENT_SESSION_END,
                                 .body.end_reason = mtf_str_of("clock")};
        const mtf_status status = sim_feed_put(feed, &event, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

void sim_feed_fini(sim_feed *feed)
{
    mtf_buf_fini(&feed->record);
}
