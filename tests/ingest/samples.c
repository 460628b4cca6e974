#include "ingest/samples.h"

#define FLOATS(values)                                                                             \
    {                                                                                              \
        values, sizeof(values) / sizeof *(values)                                                  \
    }
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const float state[] = {0.5f, -1.25f, 3e-8f, 1e30f};
static const float action[] = {0.1f, -0.9f};
static const float baseline[] = {0.05f, -1.0f};
static const float lower[] = {-0.15f, 0.0f};
static const float upper[] = {0.15f, 0.15f};
static const float predictions[] = {0.25f, 0.75f, 0.125f};
static const float features[] = {7.0f};

static mtf_signal first_signals[] = {{TEXT("watch"), 12.5}, {TEXT("positive"), 1.0}};
static mtf_signal feedback_signals[] = {{TEXT("watch"), 1e-3}};
static mtf_item items[] = {
    {TEXT("video-1"), FLOATS(predictions), FLOATS(features), {first_signals, 2}},
    {TEXT("video-2"), FLOATS(predictions), {0}, {0}},
};

static mtf_request request(void)
{
    return (mtf_request){.policy_version = 300,
                         .bucket = MTF_BUCKET_BASELINE,
                         .state = FLOATS(state),
                         .action = FLOATS(action),
                         .baseline_action = FLOATS(baseline),
                         .lower = FLOATS(lower),
                         .upper = FLOATS(upper),
                         .sample_weight = 2.5f,
                         .items = items,
                         .item_count = 2};
}

mtf_event mtf_sample_request(void)
{
    return (mtf_event){TEXT("e-1"), TEXT("user \xc3\xa4"), 1700000000123,
                       TEXT("s-9"), MTF_EVENT_REQUEST,     {.request = request()}};
}

mtf_event mtf_sample_feedback(void)
{
    return (mtf_event){
        TEXT("e-2"),
        TEXT("user \xc3\xa4"),
        1700000005000,
        {0},
        MTF_EVENT_FEEDBACK,
        {.feedback = {TEXT("e-1"), 1700000000123, TEXT("video-2"), {feedback_signals, 1}}}};
}

mtf_event mtf_sample_end(void)
{
    return (mtf_event){TEXT("e-3"), TEXT("user \xc3\xa4"), 1700000009000,
                       {0},         MTF_EVENT_SESSION_END, {.end_reason = TEXT("left")}};
}

mtf_session mtf_sample_session(void)
{
    static mtf_step steps[2];
    steps[0] = (mtf_step){TEXT("e-1"), 1700000000123, request()};
    steps[1] = (mtf_step){TEXT("e-4"), 1700000030000, request()};
    steps[1].request.lower = steps[1].request.upper = (mtf_floats){0};
    steps[1].request.item_count = 0;
    mtf_session session = {.user_id = TEXT("user \xc3\xa4"),
                           .started_ms = 1700000000123,
                           .ended_ms = 1700000031000,
                           .end_reason = MTF_END_CAP,
                           .truncated_tail = true,
                           .part = 1,
                           .parts = 3,
                           .steps = steps,
                           .step_count = 2};
    for (uint8_t i = 0; i < 16; i++) session.session_id[i] = (uint8_t)(16 * i + i);
    return session;
}
