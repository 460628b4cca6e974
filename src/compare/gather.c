#include "compare/gather.h"

#include <inttypes.h>
#include <math.h>

#include "sessionize/emit.h"
#include "sessionize/loop.h"

/** A round under way. */
typedef struct stream {
    const mtf_gather *gather;
    mtf_scratch *into;
    mtf_gathered *out;
    mtf_emit_config emit;
    mtf_aggregators aggregators;
    mtf_keeper keeper;
    mtf_machine *machine;
    mtf_arena arena;
    int64_t offset;
    float rewards[MTF_REWARD_TERMS_MAX];
} stream;

static mtf_status closed(void *self, const mtf_activity *activity, int64_t headless_ms,
                         mtf_err *err)
{
    stream *st = self;
    mtf_emission emission;
    mtf_arena_reset(&st->arena);
    mtf_status status = mtf_emit(&st->emit, activity, headless_ms, &st->arena, &emission, err);
    for (uint32_t i = 0; status == MTF_OK && i < emission.session_count; i++)
        status = mtf_scratch_put(st->into, &emission.sessions[i], err);
    return status;
}

static void count_request(stream *st, const mtf_request *request)
{
    const mtf_reward *reward = &st->into->reward;
    st->out->requests++;
    for (uint32_t i = 0; i < request->item_count; i++) {
        mtf_reward_signals(reward, &request->items[i].signals, st->rewards);
        st->out->reward += mtf_reward_item(reward, st->rewards);
    }
    for (uint32_t d = 0; d < request->action.count; d++) {
        const double off = (double)(request->action.data[d] - request->baseline_action.data[d]);
        const double bin = floor(off / MTF_NOISE_STEP + 0.5 * MTF_NOISE_BINS);
        if (bin >= 0 && bin < MTF_NOISE_BINS) st->out->noise[(int)bin]++;
    }
}

static const mtf_policy *serving(void *self)
{
    return ((stream *)self)->gather->policy;
}

static mtf_status take(void *self, const mtf_event *event, mtf_err *err)
{
    stream *st = self;
    mtf_fate fate;
    const mtf_message message = {
        .offset = st->offset++,
        .timestamp_ms = event->event_time_ms,
        .key = {(const uint8_t *)event->user_id.data, event->user_id.size},
    };
    if (st->gather->stop && atomic_load(st->gather->stop))
        return mtf_fail(err, MTF_CLOSED, "stopped");
    if (event->kind == MTF_EVENT_REQUEST) count_request(st, &event->body.request);
    return mtf_machine_record(st->machine, &message, event, &fate, err);
}

static mtf_status open_stream(stream *st, mtf_err *err)
{
    const mtf_sessionize_config config = mtf_sessionize_config_of(st->gather->settings);
    const mtf_machine_output output = {st, closed};
    const mtf_place place = mtf_place_clean(0);
    const mtf_status status = mtf_aggregators_init(&st->aggregators, config.aggregators, err);
    if (status) return status;
    st->emit =
        (mtf_emit_config){config.machine.gap_ms, config.machine.max_duration_ms, &st->aggregators};
    st->machine = mtf_machine_new(&config.machine, &output, &st->keeper, &place, 0);
    return st->machine ? MTF_OK : mtf_fail(err, MTF_NOMEM, "no memory to make sessions");
}

/** What is still open closes; then every session is in the store. */
static mtf_status end_round(stream *st, int64_t before, const mtf_sim_counts *counts, mtf_err *err)
{
    mtf_status status = MTF_OK;
    const int64_t done_ms = mtf_machine_done_ms(st->machine);
    if (done_ms != MTF_WATERMARK_NONE) status = mtf_machine_jump(st->machine, done_ms, err);
    if (status == MTF_OK) status = mtf_scratch_settle(st->into, err);
    if (status) return status;
    const int64_t stored = st->into->sessions - before,
                  expected = counts->sessions + counts->cap_cuts;
    if (stored != expected)
        return mtf_fail(
            err, MTF_CORRUPT,
            "%" PRId64 " sessions were simulated, cuts at the cap included, but %" PRId64 " stored",
            expected, stored);
    return MTF_OK;
}

mtf_status mtf_gather_round(const mtf_gather *gather, uint32_t round, mtf_scratch *into,
                            mtf_gathered *out, mtf_err *err)
{
    stream st = {.gather = gather, .into = into, .out = out};
    const mtf_sim_service service = {.self = &st, .policy = serving, .emit = take};
    const int64_t before = into->sessions;
    mtf_sim_counts counts;
    mtf_status status = open_stream(&st, err);
    if (status == MTF_OK) status = mtf_sim_run_round(gather->sim, round, &service, &counts, err);
    if (status == MTF_OK) {
        out->sessions += counts.sessions;
        status = end_round(&st, before, &counts, err);
    }
    mtf_machine_free(st.machine);
    mtf_keeper_fini(&st.keeper);
    mtf_aggregators_fini(&st.aggregators);
    mtf_arena_fini(&st.arena);
    return status;
}
