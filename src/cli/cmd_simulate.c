/** `mtf simulate`: the simulated recommender. It serves the policy of the topic, explores round it,
 * and logs to the exploration topic; or writes a file; or describes what can be reached in its
 * world; or searches it for one action for everybody. */
#include "cli/cli.h"
#include "cli/sim_feed.h"
#include "cli/sim_search.h"
#include "cli/stages.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/progress.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_sink.h"
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct simulate_options {
    int64_t rounds, sessions, users, seed, start_ms, span_ms, wait_s, partitions, each;
    double box, sigma, baseline_share;
    const char *explore, *out, *policy, *write, *search;
    bool describe, separate, session_ids, shuffle, items, value;
} simulate_options;

/** A running simulation. */
typedef struct simulation {
    mtf_cli *cli;
    const simulate_options *options;
    mtf_sim *sim;
    sim_feed feed;
    mtf_sink sink;
    policy_head head;         /* with Kafka */
    const mtf_policy *policy; /* serves; the head's, or: */
    mtf_policy *own;          /* with a file */
    int64_t requests, sessions;
    mtf_progress progress;
} simulation;

static mtf_status open_sim(const mtf_cli *cli, const simulate_options *o, mtf_sim **sim,
                           mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    mtf_sim_config config = mtf_sim_config_default();
    config.seed = (uint64_t)o->seed;
    config.sessions = (uint32_t)o->sessions;
    config.users = (uint32_t)(o->users ? o->users : (o->sessions + 2) / 3);
    if (strcmp(o->explore, "box") == 0) {
        config.explore = MTF_SIM_EXPLORE_BOX;
    } else if (strcmp(o->explore, "gaussian") == 0) {
        config.explore = MTF_SIM_EXPLORE_GAUSSIAN;
    } else if (strcmp(o->explore, "none") == 0) {
        config.explore = MTF_SIM_EXPLORE_NONE;
    } else {
        return mtf_fail(err, MTF_INVALID, "--explore %s: say box, gaussian or none", o->explore);
    }
    config.box = o->box;
    config.sigma = o->sigma;
    config.baseline_share = o->baseline_share;
    config.feedback_separate = o->separate;
    config.session_ids = o->session_ids;
    config.shuffle_rewards = o->shuffle;
    config.items = o->items;
    config.item_noise_shared = strcmp(s->policy_item_noise, "shared") == 0;
    config.span_ms = o->span_ms;
    /* All rounds lie in the past, so that no event is ahead of the broker's clock. */
    config.start_ms =
        o->start_ms ? o->start_ms : mtf_clock_wall_ms() - (o->rounds + 1) * o->span_ms;
    config.separation_ms = 2 * (s->sessionize_gap_ms + s->sessionize_grace_ms);
    config.max_duration_ms = s->sessionize_max_duration_ms;
    config.actions = s->policy_actions;
    config.reward_weights = s->reward_weights;
    config.reward_clip = s->reward_clip;
    return mtf_sim_open(&config, sim, err);
}

static const mtf_policy *service_policy(void *self)
{
    simulation *run = self;
    /* Follow the topic now and then, as a ranking service would: a new policy serves at once. */
    if (!run->own && ++run->requests % 512 == 0) {
        mtf_err err;
        if (mtf_kafka_follower_poll(run->head.follower, 0, &err) != MTF_OK) {
            mtf_log_line(&run->cli->log, MTF_LOG_WARN, "policy.follow", "err=\"%s\"", err.msg);
        }
        run->policy = mtf_policy_book_find(&run->head.book, run->head.name, 0);
    }
    return run->policy;
}

static const mtf_policy *service_canary(void *self)
{
    simulation *run = self;
    char key[MTF_POLICY_KEY_CHARS];
    if (run->own) return NULL;
    snprintf(key, sizeof key, "%s#canary", run->head.name);
    return mtf_policy_book_find(&run->head.book, key, 0);
}

static mtf_status service_emit(void *self, const mtf_event *event, mtf_err *err)
{
    simulation *run = self;
    if (atomic_load(run->cli->stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
    if (event->kind == MTF_EVENT_SESSION_END) mtf_progress_at(&run->progress, ++run->sessions);
    return sim_feed_put(&run->feed, event, err);
}

static mtf_status simulate_round(simulation *run, uint32_t round, mtf_sim_counts *counts,
                                 mtf_err *err)
{
    const mtf_sim_service service = {
        .self = run, .policy = service_policy, .emit = service_emit, .canary = service_canary};
    mtf_status status = MTF_OK;
    run->sessions = 0;
    mtf_progress_begin(&run->progress, "simulate", "sessions", run->options->sessions, false);
    if (run->feed.sink) status = run->sink.begin(run->sink.self, err);
    if (status == MTF_OK) status = mtf_sim_run_round(run->sim, round, &service, counts, err);
    if (status == MTF_OK) status = sim_feed_clocks(&run->feed, counts->last_ms, err);
    if (status == MTF_OK && run->feed.sink) status = run->sink.commit(run->sink.self, NULL, 0, err);
    if (status == MTF_OK) mtf_progress_end(&run->progress, run->sessions);
    return status;
}

/** What a script reads: a JSON line a round. */
static mtf_status report_round(simulation *run, int64_t round, const mtf_sim_counts *counts,
                               mtf_err *err)
{
    mtf_sim_value value;
    printf("{\"round\":%lld,\"policy_version\":%lld,\"sessions\":%lld,\"requests\":%lld,\"events\":"
           "%lld,"
           "\"cap_cuts\":%lld,\"late_ends\":%lld",
           (long long)round + 1, (long long)run->policy->info.version, (long long)counts->sessions,
           (long long)counts->requests, (long long)counts->events, (long long)counts->cap_cuts,
           (long long)counts->late_ends);
    if (run->options->value) {
        const mtf_status status = mtf_sim_evaluate(
            run->sim, run->policy, 50000, (uint64_t)run->options->seed + 77, 2, NULL, &value, err);
        if (status != MTF_OK) return status;
        printf(",\"value\":{\"mean\":%.6g,\"ci\":[%.6g,%.6g]}", value.mean, value.low, value.high);
    }
    printf("}\n");
    fflush(stdout);
    return MTF_OK;
}

/** Waits for a policy of version above `version`; after wait_s serves the one there is. */
static mtf_status await_policy(simulation *run, int64_t version, mtf_err *err)
{
    const int64_t deadline_ns = mtf_clock_mono_ns() + run->options->wait_s * INT64_C(1000000000);
    for (;;) {
        mtf_status status = mtf_kafka_follower_poll(run->head.follower, 200, err);
        if (status != MTF_OK) return status;
        run->policy = mtf_policy_book_find(&run->head.book, run->head.name, 0);
        if (run->policy && run->policy->info.version > version) return MTF_OK;
        if (atomic_load(run->cli->stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
        if (mtf_clock_mono_ns() < deadline_ns) continue;
        if (run->policy) return MTF_OK;
        return mtf_fail(
            err, MTF_BROKER, "no policy '%s' on %s within %lld s; is `mtf learn` running?",
            run->head.name, run->cli->settings.topics_policy, (long long)run->options->wait_s);
    }
}

static mtf_status run_rounds(simulation *run, mtf_err *err)
{
    mtf_status status = MTF_OK;
    int64_t version = 0;
    for (int64_t round = 0; status == MTF_OK && round < run->options->rounds; round++) {
        mtf_sim_counts counts;
        if (!run->own) status = await_policy(run, version, err);
        if (status == MTF_OK) version = run->policy->info.version;
        if (status == MTF_OK) status = simulate_round(run, (uint32_t)round, &counts, err);
        if (status == MTF_OK) status = report_round(run, round, &counts, err);
    }
    return status;
}

static mtf_status to_kafka(simulation *run, mtf_err *err)
{
    const mtf_settings *s = &run->cli->settings;
    const stage_context context = {s, &run->cli->log, run->cli->stop, run->cli->fail_fast};
    mtf_kafka_client *client = NULL;
    mtf_status status = mtf_kafka_client_open(s, &run->cli->log, NULL, run->cli->fail_fast,
                                              run->cli->stop, &client, err);
    if (status == MTF_OK) {
        status =
            mtf_kafka_client_partitions(client, s->topics_exploration, &run->feed.partitions, err);
    }
    if (client) mtf_kafka_client_close(client);
    if (status == MTF_OK && run->feed.partitions > SIM_FEED_PARTITIONS_MAX) {
        status =
            mtf_fail(err, MTF_INVALID, "topic %s has %d partitions, the simulator knows %d at most",
                     s->topics_exploration, run->feed.partitions, SIM_FEED_PARTITIONS_MAX);
    }
    if (status == MTF_OK) status = policy_head_open(&run->head, &context, false, err);
    /* The newest policy serves from the start, not the oldest that compaction left. */
    if (status == MTF_OK) status = policy_head_read(&run->head, &run->policy, err);
    if (status == MTF_OK) status = mtf_kafka_sink_open(s, &run->cli->log, NULL, &run->sink, err);
    run->feed.sink = &run->sink;
    if (status == MTF_OK) status = run_rounds(run, err);
    if (run->sink.close) run->sink.close(run->sink.self);
    policy_head_close(&run->head);
    return status;
}

/** --policy FILE, held to the same signature as a record of the topic. */
static mtf_status read_policy(simulation *run, mtf_err *err)
{
    const char *path = run->options->policy;
    mtf_policy_keys *keys = NULL;
    mtf_buf record = {0};
    mtf_err why = {0};
    mtf_status status =
        mtf_policy_keys_open(NULL, run->cli->settings.policy_public_key_file, false, &keys, err);
    if (status == MTF_OK)
        status = mtf_file_read(path, 2 * MTF_POLICY_RECORD_BYTES_MAX, &record, err);
    if (status == MTF_OK) {
        status = mtf_policy_verify(keys, mtf_buf_span(&record), &why);
        if (status == MTF_OK) status = mtf_policy_decode(mtf_buf_span(&record), &run->own, &why);
        if (status != MTF_OK) mtf_fail(err, status, "%.180s: %.200s", path, why.msg);
    }
    mtf_buf_fini(&record);
    mtf_policy_keys_free(keys);
    return status;
}

/** The policy of a file, or else the first one: action 0 everywhere. */
static mtf_status own_policy(simulation *run, mtf_err *err)
{
    const mtf_settings *s = &run->cli->settings;
    mtf_action_table table;
    if (run->options->policy) return read_policy(run, err);
    const mtf_status status = mtf_action_table_parse(&table, s->policy_actions, err);
    if (status != MTF_OK) return status;
    const bool per_item = s->policy_list > 0;
    const uint32_t features = (uint32_t)s->policy_item_features;
    const uint32_t own = per_item ? features + table.prediction_count : 0;
    const uint32_t widths[] = {(uint32_t)s->policy_state_dim + own, table.count};
    run->own = mtf_policy_new(widths, 1, &table);
    if (!run->own) return mtf_fail(err, MTF_NOMEM, "no memory for a policy");
    if (per_item) mtf_policy_set_items(run->own, features);
    run->own->info.version = 1;
    run->own->info.box = (float)s->policy_box;
    return MTF_OK;
}

static mtf_status to_file(simulation *run, mtf_err *err)
{
    run->feed.partitions = (int32_t)run->options->partitions;
    mtf_status status = own_policy(run, err);
    run->policy = run->own;
    if (status == MTF_OK)
        status = mtf_container_writer_open(run->options->out, true, &run->feed.file, err);
    if (status == MTF_OK) status = run_rounds(run, err);
    mtf_err closing;
    const mtf_status closed = mtf_container_writer_close(run->feed.file, &closing);
    if (status == MTF_OK && closed != MTF_OK) {
        status = closed;
        *err = closing;
    }
    mtf_policy_free(run->own);
    return status;
}

static void show_search(void *arg, int64_t done, int64_t total)
{
    mtf_progress *progress = arg;
    if (done == 0) mtf_progress_begin(progress, "search", "evaluations", total, false);
    mtf_progress_at(progress, done);
    if (done == total) mtf_progress_end(progress, done);
}

static mtf_status describe(const mtf_cli *cli, const simulate_options *o, const mtf_sim *sim,
                           mtf_err *err)
{
    mtf_progress progress = {.silent = true};
    mtf_sim_search search = mtf_sim_search_default();
    search.progress = show_search;
    search.progress_arg = &progress;
    mtf_sim_reference reference;
    mtf_buf text = {0};
    mtf_status status = mtf_sim_describe(sim, &search, &reference, err);
    if (status == MTF_OK && o->write) {
        mtf_sim_reference_source(&reference, &text);
        status = mtf_file_replace(o->write, mtf_buf_span(&text), err);
        mtf_buf_clear(&text);
    }
    if (status == MTF_OK) {
        (cli->json ? mtf_sim_reference_json : mtf_sim_reference_text)(&reference, &text);
        fwrite(text.data, 1, text.size, stdout);
    }
    mtf_buf_fini(&text);
    return status;
}

int mtf_command_simulate(mtf_cli *cli, int argc, char **argv)
{
    simulate_options o = {.rounds = 1,
                          .sessions = 10000,
                          .seed = 1,
                          .span_ms = 86400000,
                          .wait_s = 600,
                          .partitions = 4,
                          .each = 500,
                          .box = -1,
                          .sigma = 0.2,
                          .explore = "box"};
    const mtf_option options[] = {
        {"--rounds", MTF_OPTION_INT, &o.rounds, 1, 100000, "N",
         "rounds; each waits for a new policy, default 1"},
        {"--sessions", MTF_OPTION_INT, &o.sessions, 1, 1e9, "N", "sessions a round, default 10000"},
        {"--users", MTF_OPTION_INT, &o.users, 0, 1e9, "N", "default a third of the sessions"},
        {"--seed", MTF_OPTION_INT, &o.seed, 0, 1e15, "S",
         "of users and draws; the world is always the same"},
        {"--explore", MTF_OPTION_TEXT, &o.explore, 0, 0, "HOW", "box (default), gaussian or none"},
        {"--box", MTF_OPTION_NUMBER, &o.box, 0, 1, "W",
         "half-width; default what the policy record says"},
        {"--sigma", MTF_OPTION_NUMBER, &o.sigma, 0, 2, "S", "of gaussian exploration, default 0.2"},
        {"--baseline-share", MTF_OPTION_NUMBER, &o.baseline_share, 0, 1, "P",
         "of requests served without noise"},
        {"--separate-feedback", MTF_OPTION_FLAG, &o.separate, 0, 0, NULL,
         "signals as feedback events of their own"},
        {"--session-ids", MTF_OPTION_FLAG, &o.session_ids, 0, 0, NULL, "events carry a session id"},
        {"--shuffle-rewards", MTF_OPTION_FLAG, &o.shuffle, 0, 0, NULL,
         "null control: signals of other requests"},
        {"--items", MTF_OPTION_FLAG, &o.items, 0, 0, NULL,
         "another world: the best weights depend on the item, by its features"},
        {"--start-ms", MTF_OPTION_INT, &o.start_ms, 0, 4e12, "T",
         "time of the first event; default: all in the past"},
        {"--span-ms", MTF_OPTION_INT, &o.span_ms, 3600000, 4e9, "MS",
         "simulated time a round, default a day"},
        {"--wait", MTF_OPTION_INT, &o.wait_s, 0, 1e6, "S",
         "for a new policy before each round, default 600"},
        {"--value", MTF_OPTION_FLAG, &o.value, 0, 0, NULL,
         "also print each policy's true value to fresh users"},
        {"--out", MTF_OPTION_TEXT, &o.out, 0, 0, "FILE",
         "write an Avro container file instead of Kafka"},
        {"--partitions", MTF_OPTION_INT, &o.partitions, 1, SIM_FEED_PARTITIONS_MAX, "N",
         "of the file, default 4"},
        {"--policy", MTF_OPTION_TEXT, &o.policy, 0, 0, "FILE",
         "with --out: the record that serves; default action 0"},
        {"--describe", MTF_OPTION_FLAG, &o.describe, 0, 0, NULL,
         "search this world for what can be reached; minutes"},
        {"--write", MTF_OPTION_TEXT, &o.write, 0, 0, "FILE",
         "with --describe: also as src/sim/reference.inc; with --search: the policy's record"},
        {"--search", MTF_OPTION_TEXT, &o.search, 0, 0, "METHOD",
         "search for one action for everybody: es, bo, grid or constant; costs rounds x sessions"},
        {"--each", MTF_OPTION_INT, &o.each, 2, 1e7, "N",
         "with --search: sessions an action is served to, default 500"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv,
                                     "simulate -c FILE | --out FILE | --describe | --search METHOD",
                                     options, sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    simulation run = {.cli = cli, .options = &o, .feed.settings = &cli->settings};
    status = open_sim(cli, &o, &run.sim, &err);
    if (status == MTF_OK && o.describe) {
        status = describe(cli, &o, run.sim, &err);
    } else if (status == MTF_OK && o.search) {
        const sim_search_options search = {o.search, o.rounds * o.sessions, o.each, o.seed,
                                           o.write};
        status = sim_search(cli, run.sim, &search, &err);
    } else if (status == MTF_OK) {
        status = o.out ? to_file(&run, &err) : to_kafka(&run, &err);
    }
    sim_feed_fini(&run.feed);
    if (run.sim) mtf_sim_close(run.sim);
    return (o.search ? mtf_cli_exit_work : mtf_cli_exit)(status, &err);
}
