/** Goal: a round's events are what a sessionizer and a learner can rely on: ordered, unique,
 * closed, apart, inside their boxes, reproducible, and counted right; the controls take away what
 * they say. Method: rounds recorded event by event and looked at from outside; everything hidden
 * stays unseen. */
#include "support/mtf_test.h"

#include "core/hash.h"
#include "core/rng.h"
#include "sim/sim.h"

#define GAP_MS 1800000

/* What is kept of an event. */
typedef struct event_note {
    mtf_event_kind kind;
    mtf_bucket bucket;
    int64_t time_ms, version;
    uint64_t id, user, about; /* hashes; about: a feedback's request */
    int64_t about_ms;
    double reward,
        along; /* along: (action - baseline) / box, summed in the direction of `better` */
} event_note;

typedef struct event_recorder {
    const mtf_policy *policies[2]; /* the second serves once `switch_at` requests were asked for */
    int64_t switch_at, asked;
    event_note *notes;
    size_t count, capacity;
    uint64_t digest;
} event_recorder;

/* The way to better lists, dimension by dimension: found by the search, common to all users. */
static const double better[MTF_SIM_ACTIONS] = {-1, -1, -1, 1, -1, 1, 1, 1, -1, -1};

static const mtf_policy *policy_of(void *self)
{
    event_recorder *recorder = self;
    return recorder->policies[recorder->asked++ >= recorder->switch_at];
}

static double reward_of(const mtf_signals *signals)
{
    double reward = 0;
    for (uint32_t i = 0; i < signals->count; i++) {
        const mtf_signal *signal = &signals->data[i];
        assert_true(signal->value > 0);
        if (mtf_str_is(signal->name, "valid")) reward += signal->value;
        if (mtf_str_is(signal->name, "watch")) reward += 0.02 * signal->value;
        if (mtf_str_is(signal->name, "finish")) reward += 0.5 * signal->value;
        if (mtf_str_is(signal->name, "positive")) reward += 2 * signal->value;
        if (mtf_str_is(signal->name, "negative")) reward -= 2 * signal->value;
    }
    return reward;
}

static void check_request(const mtf_request *request, event_note *note)
{
    assert_int_equal(request->state.count, MTF_SIM_STATE);
    assert_int_equal(request->action.count, MTF_SIM_ACTIONS);
    assert_int_equal(request->baseline_action.count, MTF_SIM_ACTIONS);
    assert_int_equal(request->item_count, MTF_SIM_SHOWN);
    for (uint32_t i = 0; i < MTF_SIM_STATE; i++) assert_true(isfinite(request->state.data[i]));
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
        const double action = request->action.data[d], base = request->baseline_action.data[d];
        assert_true(action >= -1 && action <= 1);
        note->along += better[d] * (action - base);
        if (request->lower.count == 0) continue;
        const double lower = request->lower.data[d], upper = request->upper.data[d];
        assert_true(base + lower >= -1 && base + upper <= 1 && lower <= 0 && upper >= 0 &&
                    upper <= 0.15 + 1e-6);
        assert_true(action >= base + lower && action <= base + upper);
        if (request->bucket == MTF_BUCKET_BASELINE)
            assert_true(lower == 0 && upper == 0 && action == base);
    }
    for (uint32_t i = 0; i < request->item_count; i++) {
        assert_int_equal(request->items[i].predictions.count, MTF_SIM_BEHAVIOURS);
        note->reward += reward_of(&request->items[i].signals);
        for (uint32_t j = 0; j < i; j++)
            assert_false(mtf_str_equal(request->items[i].item_id, request->items[j].item_id));
    }
    note->bucket = request->bucket;
    note->version = request->policy_version;
}

static mtf_status record(void *self, const mtf_event *event, mtf_err *err)
{
    (void)err;
    event_recorder *recorder = self;
    if (recorder->count == recorder->capacity) {
        recorder->capacity = 2 * recorder->capacity + 1024;
        recorder->notes = realloc(recorder->notes, recorder->capacity * sizeof *recorder->notes);
        assert_non_null(recorder->notes);
    }
    event_note *note = &recorder->notes[recorder->count++];
    *note = (event_note){.kind = event->kind, .time_ms = event->event_time_ms};
    note->id = mtf_hash64(event->event_id.data, event->event_id.size);
    note->user = mtf_hash64(event->user_id.data, event->user_id.size);
    assert_int_equal(event->user_id.data[0], 'u');
    if (event->kind == MTF_EVENT_REQUEST) {
        check_request(&event->body.request, note);
        recorder->digest ^=
            mtf_hash64(event->body.request.state.data, MTF_SIM_STATE * sizeof(float)) * 3;
        recorder->digest ^=
            mtf_hash64(event->body.request.action.data, MTF_SIM_ACTIONS * sizeof(float)) * 5;
    } else if (event->kind == MTF_EVENT_FEEDBACK) {
        const mtf_feedback *feedback = &event->body.feedback;
        note->about = mtf_hash64(feedback->request_id.data, feedback->request_id.size);
        note->about_ms = feedback->request_time_ms;
        note->reward = reward_of(&feedback->signals);
    }
    const double seen[2] = {(double)note->time_ms, note->reward};
    recorder->digest = recorder->digest * 31 + (note->id ^ mtf_hash64(seen, sizeof seen));
    return MTF_OK;
}

static mtf_policy *policy_make(int64_t version, bool random, uint64_t seed)
{
    mtf_action_table table;
    mtf_err err = {0};
    mtf_assert_ok(mtf_action_table_parse(&table, mtf_sim_config_default().actions, &err), &err);
    mtf_policy *policy =
        mtf_policy_new((const uint32_t[]){MTF_SIM_STATE, 16, MTF_SIM_ACTIONS}, 2, &table);
    assert_non_null(policy);
    mtf_rng rng = mtf_rng_of(seed, 1);
    for (uint32_t l = 0; random && l < policy->layer_count; l++) {
        const mtf_policy_layer *layer = &policy->layers[l];
        for (uint32_t i = 0; i < layer->inputs * layer->outputs; i++)
            layer->weight[i] = (float)(0.4 * mtf_rng_normal(&rng));
    }
    policy->info.version = version;
    policy->info.box = 0.15F;
    return policy;
}

static mtf_sim_config small(uint64_t seed)
{
    mtf_sim_config config = mtf_sim_config_default();
    config.seed = seed;
    config.sessions = 3000;
    config.users = 1100;
    return config;
}

/* Runs rounds [0, rounds) into a fresh recorder; counts are of the last. */
static event_recorder run(const mtf_sim_config *config, uint32_t rounds, bool random_policy,
                          mtf_sim_counts *counts)
{
    mtf_policy *policy = policy_make(4, random_policy, 77);
    event_recorder recorder = {.policies = {policy, policy}, .switch_at = INT64_MAX};
    const mtf_sim_service service = {.self = &recorder, .policy = policy_of, .emit = record};
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(config, &sim, &err), &err);
    for (uint32_t round = 0; round < rounds; round++)
        mtf_assert_ok(mtf_sim_run_round(sim, round, &service, counts, &err), &err);
    mtf_sim_close(sim);
    mtf_policy_free(policy);
    return recorder;
}

static int by_user(const void *left, const void *right)
{
    const event_note *a = left, *b = right;
    if (a->user != b->user) return a->user < b->user ? -1 : 1;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    return 0;
}

static int by_id(const void *left, const void *right)
{
    const event_note *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void assert_ids_are_unique(event_recorder *recorder)
{
    qsort(recorder->notes, recorder->count, sizeof *recorder->notes, by_id);
    for (size_t i = 1; i < recorder->count; i++)
        assert_true(recorder->notes[i].id != recorder->notes[i - 1].id);
}

static void one_seed_gives_one_stream_another_another(void **state)
{
    (void)state;
    mtf_sim_counts counts;
    const mtf_sim_config first = small(1), second = small(2);
    event_recorder a = run(&first, 1, true, &counts), b = run(&first, 1, true, &counts),
                   c = run(&second, 1, true, &counts);
    assert_int_equal(a.count, b.count);
    assert_true(a.digest == b.digest);
    assert_true(a.digest != c.digest);
    free(a.notes);
    free(b.notes);
    free(c.notes);
}

static void events_come_in_order_and_sessions_are_closed_and_apart(void **state)
{
    (void)state;
    mtf_sim_counts counts;
    const mtf_sim_config config = small(mtf_test_seed(3));
    event_recorder recorder = run(&config, 2, true, &counts);
    for (size_t i = 1; i < recorder.count; i++)
        assert_true(recorder.notes[i].time_ms >= recorder.notes[i - 1].time_ms);
    assert_true(recorder.notes[0].time_ms >= config.start_ms);
    assert_true(counts.last_ms == recorder.notes[recorder.count - 1].time_ms);
    assert_true(counts.last_ms < config.start_ms + 2 * config.span_ms);
    qsort(recorder.notes, recorder.count, sizeof *recorder.notes, by_user);
    int64_t sessions = 0;
    for (size_t i = 0; i < recorder.count; i++) {
        const event_note *note = &recorder.notes[i],
                         *before = i > 0 && note[-1].user == note->user ? note - 1 : NULL;
        const bool begins = before == NULL || before->kind == MTF_EVENT_SESSION_END;
        sessions += begins;
        if (begins) assert_int_equal(note->kind, MTF_EVENT_REQUEST);
        if (before != NULL && begins)
            assert_true(note->time_ms - before->time_ms >= config.separation_ms);
        if (before != NULL && !begins) assert_true(note->time_ms - before->time_ms < GAP_MS);
        if (i + 1 == recorder.count || note[1].user != note->user)
            assert_int_equal(note->kind, MTF_EVENT_SESSION_END);
    }
    assert_int_equal(sessions, 2 * config.sessions);
    assert_ids_are_unique(&recorder);
    free(recorder.notes);
}

/* As a sessionizer will: one record per session and cap bucket that holds a request. */
static void cuts_at_the_cap_are_counted(void **state)
{
    (void)state;
    mtf_sim_counts counts;
    mtf_sim_config config = small(mtf_test_seed(4));
    config.max_duration_ms = 3600000; /* short, so that many are cut */
    config.users = config.sessions;   /* one session a user: no separation to look for */
    event_recorder recorder = run(&config, 1, false, &counts);
    qsort(recorder.notes, recorder.count, sizeof *recorder.notes, by_user);
    int64_t records = 0, requests = 0, late = 0, bucket = 0;
    uint64_t user = 0;
    for (size_t i = 0; i < recorder.count; i++) {
        const event_note *note = &recorder.notes[i];
        const int64_t at = (note->time_ms + (int64_t)(note->user % 3600000)) / 3600000;
        if (note->kind == MTF_EVENT_SESSION_END) {
            late += at != bucket;
            continue;
        }
        requests++;
        records += note->user != user || at != bucket;
        user = note->user, bucket = at;
    }
    assert_int_equal(counts.sessions, config.sessions);
    assert_int_equal(counts.requests, requests);
    assert_int_equal(counts.events, recorder.count);
    assert_int_equal(counts.sessions + counts.cap_cuts, records);
    assert_int_equal(counts.late_ends, late);
    assert_true(counts.cap_cuts > 50 && counts.late_ends > 10);
    free(recorder.notes);
}

static void separate_feedback_says_what_joined_signals_say(void **state)
{
    (void)state;
    mtf_sim_counts joined_counts, counts;
    mtf_sim_config config = small(mtf_test_seed(5));
    event_recorder joined = run(&config, 1, true, &joined_counts);
    config.feedback_separate = true;
    event_recorder apart = run(&config, 1, true, &counts);
    assert_int_equal(counts.requests, joined_counts.requests);
    assert_int_equal(counts.events, joined_counts.events + MTF_SIM_SHOWN * counts.requests);
    double rewards[2] = {0, 0};
    for (size_t i = 0; i < joined.count; i++) rewards[0] += joined.notes[i].reward;
    for (size_t i = 1; i < apart.count; i++)
        assert_true(apart.notes[i].time_ms >= apart.notes[i - 1].time_ms);
    assert_ids_are_unique(&apart);
    for (size_t i = 0; i < apart.count; i++) {
        const event_note *note = &apart.notes[i];
        rewards[1] += note->reward;
        if (note->kind == MTF_EVENT_REQUEST) assert_true(note->reward == 0);
        if (note->kind != MTF_EVENT_FEEDBACK) continue;
        const event_note key = {.id = note->about};
        const event_note *request = bsearch(&key, apart.notes, apart.count, sizeof key, by_id);
        assert_non_null(request);
        assert_true(request->time_ms == note->about_ms && request->user == note->user &&
                    request->time_ms < note->time_ms);
    }
    mtf_assert_close(rewards[1], rewards[0], 1e-9, 0);
    free(joined.notes);
    free(apart.notes);
}

static void some_requests_are_served_without_noise(void **state)
{
    (void)state;
    mtf_sim_counts counts;
    mtf_sim_config config = small(mtf_test_seed(6));
    config.baseline_share = 0.2;
    event_recorder recorder = run(&config, 1, true, &counts);
    double baseline = 0;
    for (size_t i = 0; i < recorder.count; i++)
        baseline += recorder.notes[i].kind == MTF_EVENT_REQUEST &&
                    recorder.notes[i].bucket == MTF_BUCKET_BASELINE;
    mtf_assert_close(baseline / (double)counts.requests, 0.2, 0, 0.025);
    free(recorder.notes);
    config.explore = MTF_SIM_EXPLORE_NONE;
    recorder = run(&config, 1, true, &counts);
    for (size_t i = 0; i < recorder.count; i++) {
        if (recorder.notes[i].kind == MTF_EVENT_REQUEST)
            assert_int_equal(recorder.notes[i].bucket, MTF_BUCKET_BASELINE);
        assert_true(recorder.notes[i].along == 0);
    }
    free(recorder.notes);
    config.explore = MTF_SIM_EXPLORE_GAUSSIAN;
    config.baseline_share = 0;
    recorder = run(&config, 1, false, &counts);
    double squares = 0;
    for (size_t i = 0; i < recorder.count; i++)
        squares += recorder.notes[i].along * recorder.notes[i].along;
    mtf_assert_close(squares / (double)counts.requests, MTF_SIM_ACTIONS * 0.04, 0.1, 0);
    free(recorder.notes);
}

static void a_new_policy_serves_from_its_first_request(void **state)
{
    (void)state;
    const mtf_sim_config config = small(mtf_test_seed(7));
    mtf_policy *old = policy_make(1, false, 0), *new = policy_make(2, true, 5);
    event_recorder recorder = {.policies = {old, new}, .switch_at = 1000};
    const mtf_sim_service service = {.self = &recorder, .policy = policy_of, .emit = record};
    mtf_sim_counts counts;
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    mtf_assert_ok(mtf_sim_run_round(sim, 0, &service, &counts, &err), &err);
    int64_t request = 0;
    for (size_t i = 0; i < recorder.count; i++)
        if (recorder.notes[i].kind == MTF_EVENT_REQUEST)
            assert_int_equal(recorder.notes[i].version, request++ < 1000 ? 1 : 2);
    mtf_sim_close(sim);
    mtf_policy_free(old);
    mtf_policy_free(new);
    free(recorder.notes);
}

static const mtf_policy *canary_of(void *self)
{
    const event_recorder *recorder = self;
    return recorder->policies[1];
}

static void a_canary_serves_its_share_of_users_and_always_the_same(void **state)
{
    (void)state;
    mtf_sim_config config = small(mtf_test_seed(8));
    mtf_policy *head = policy_make(1, false, 0), *canary = policy_make(2, true, 5);
    mtf_policy_set_number(&canary->info, MTF_CANARY_PERCENT, 30);
    event_recorder recorder = {.policies = {head, canary}, .switch_at = INT64_MAX};
    const mtf_sim_service service = {
        .self = &recorder, .policy = policy_of, .emit = record, .canary = canary_of};
    mtf_sim_counts counts;
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    mtf_assert_ok(mtf_sim_run_round(sim, 0, &service, &counts, &err), &err);
    mtf_sim_close(sim);
    double users = 0, served = 0;
    for (uint32_t user = 0; user < config.users; user++) {
        char id[24];
        snprintf(id, sizeof id, "u%u", user);
        const int64_t version = mtf_policy_canary_serves(canary, mtf_str_of(id)) ? 2 : 1;
        users++, served += version == 2;
        const uint64_t hash = mtf_hash64(id, strlen(id));
        for (size_t i = 0; i < recorder.count; i++)
            if (recorder.notes[i].kind == MTF_EVENT_REQUEST && recorder.notes[i].user == hash)
                assert_int_equal(recorder.notes[i].version, version);
    }
    mtf_assert_close(served / users, 0.3, 0, 4 * sqrt(0.3 * 0.7 / users));
    mtf_policy_free(head);
    mtf_policy_free(canary);
    free(recorder.notes);
}

static mtf_status refuse(void *self, const mtf_event *event, mtf_err *err)
{
    (void)self, (void)event;
    return mtf_fail(err, MTF_BROKER, "the topic is gone");
}

static void a_failing_sink_ends_the_round(void **state)
{
    (void)state;
    const mtf_sim_config config = small(1);
    mtf_policy *policy = policy_make(1, false, 0);
    event_recorder recorder = {.policies = {policy, policy}, .switch_at = INT64_MAX};
    const mtf_sim_service service = {.self = &recorder, .policy = policy_of, .emit = refuse};
    mtf_sim_counts counts;
    mtf_sim *sim;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sim_open(&config, &sim, &err), &err);
    assert_int_equal(mtf_sim_run_round(sim, 0, &service, &counts, &err), MTF_BROKER);
    assert_string_equal(err.msg, "the topic is gone");
    mtf_sim_close(sim);
    mtf_policy_free(policy);
}

/* z of the correlation between the step towards better lists and what a request led to: its reward,
 * and how many requests of the session came after it. */
static void evidence(event_recorder *recorder, double z[2])
{
    qsort(recorder->notes, recorder->count, sizeof *recorder->notes, by_user);
    double n = 0, mean[2] = {0, 0}, cross[2] = {0, 0}, square[2] = {0, 0}, along = 0;
    for (int pass = 0; pass < 2; pass++) {
        double after = 0;
        for (size_t i = recorder->count; i-- > 0;) {
            const event_note *note = &recorder->notes[i];
            if (note->kind == MTF_EVENT_SESSION_END) after = 0;
            if (note->kind != MTF_EVENT_REQUEST) continue;
            const double what[2] = {note->reward, after++};
            if (pass == 0) n++, along += note->along * note->along;
            for (int k = 0; k < 2; k++) {
                const double rest = what[k] - mean[k] / n;
                if (pass == 0) mean[k] += what[k];
                if (pass == 1) cross[k] += note->along * rest, square[k] += rest * rest;
            }
        }
    }
    for (int k = 0; k < 2; k++) z[k] = cross[k] / sqrt(along * square[k] / n);
}

static void shuffled_rewards_know_nothing_of_actions(void **state)
{
    (void)state;
    mtf_sim_counts counts;
    mtf_sim_config config = mtf_sim_config_default();
    config.sessions = 40000;
    config.users = 40000;
    config.seed = mtf_test_seed(9);
    double honest[2], shuffled[2];
    event_recorder recorder = run(&config, 1, false, &counts);
    evidence(&recorder, honest);
    free(recorder.notes);
    config.shuffle_rewards = true;
    recorder = run(&config, 1, false, &counts);
    evidence(&recorder, shuffled);
    free(recorder.notes);
    print_message("z of reward and of requests after: honest %.1f %.1f, shuffled %.1f %.1f\n",
                  honest[0], honest[1], shuffled[0], shuffled[1]);
    assert_true(honest[0] > 7 && honest[1] > 2.5);
    assert_true(fabs(shuffled[0]) < 4 && fabs(shuffled[1]) < 4);
    mtf_assert_close((double)counts.requests / (double)counts.sessions, 3.5, 0, 0.6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_gives_one_stream_another_another),
        cmocka_unit_test(events_come_in_order_and_sessions_are_closed_and_apart),
        cmocka_unit_test(cuts_at_the_cap_are_counted),
        cmocka_unit_test(separate_feedback_says_what_joined_signals_say),
        cmocka_unit_test(some_requests_are_served_without_noise),
        cmocka_unit_test(a_canary_serves_its_share_of_users_and_always_the_same),
        cmocka_unit_test(a_new_policy_serves_from_its_first_request),
        cmocka_unit_test(a_failing_sink_ends_the_round),
        cmocka_unit_test(shuffled_rewards_know_nothing_of_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
