/** Small events and sessions that the program takes, for tests that spoil them. */
#ifndef MTF_TEST_REQUESTS_H
#define MTF_TEST_REQUESTS_H

#include "core/encode.h"
#include "support/mtf_test.h"

/** Appends a framed request of a user: state_dim zeros as state, 10 zeros as action, one item. */
static inline void request_event(const char *id, int64_t time_ms, uint32_t state_dim, mtf_buf *out)
{
    static const float zeros[64];
    mtf_err err = {0};
    mtf_item item = {.item_id = mtf_str_of("item"), .predictions = {zeros, 5}};
    const mtf_event event = {
        .event_id = mtf_str_of(id),
        .user_id = mtf_str_of("user"),
        .event_time_ms = time_ms,
        .kind = MTF_EVENT_REQUEST,
        .body.request = {.policy_version = 1,
                         .state = {zeros, state_dim},
                         .action = {zeros, 10},
                         .baseline_action = {zeros, 10},
                         .sample_weight = 1,
                         .items = &item,
                         .item_count = 1},
    };
    mtf_assert_ok(mtf_event_encode(&event, out, &err), &err);
}

/** Appends a framed session of one such request. */
static inline void one_step_session(uint8_t id, uint32_t state_dim, mtf_buf *out)
{
    static const float zeros[64];
    mtf_err err = {0};
    mtf_item item = {.item_id = mtf_str_of("item"), .predictions = {zeros, 5}};
    mtf_step step = {.event_id = mtf_str_of("event"),
                     .time_ms = 1000,
                     .request = {.policy_version = 1,
                                 .state = {zeros, state_dim},
                                 .action = {zeros, 10},
                                 .baseline_action = {zeros, 10},
                                 .sample_weight = 1,
                                 .items = &item,
                                 .item_count = 1}};
    const mtf_session session = {.session_id = {id},
                                 .user_id = mtf_str_of("user"),
                                 .started_ms = 1000,
                                 .ended_ms = 1000,
                                 .end_reason = MTF_END_EVENT,
                                 .parts = 1,
                                 .steps = &step,
                                 .step_count = 1};
    mtf_assert_ok(mtf_session_encode(&session, out, &err), &err);
}

#endif
