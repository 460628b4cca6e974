/** The rounds go from data to a published policy, hold and say why, and go on after a crash at any
 *  place as if nothing had happened. With a real store and learner (tiny), a policy topic in memory
 *  and a gate that says what the test wants. */
#include "data_fixture.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>
#include "core/hash.h"
#include "learner/round_state.h"
#include "learner/rounds.h"
#include "learner/train.h"

typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_reward reward;
    mtf_action_table table;
    mtf_store *store;
    mtf_rounds *rounds;
    atomic_bool stop;
    mtf_log log; /* warnings, into the file `log` of the folder */
    /* the outside */
    mtf_policy *head, *trial; /* what mtf.policy holds */
    mtf_verdict_kind verdict; /* the gate's answer */
    const char *stage;        /* where it sends a canary */
    int publish_failures;     /* how many publications to fail */
    bool publish_hears;       /* a failed publication came through all the same */
    mtf_status failure;       /* what a failed publication says; MTF_OK: MTF_BROKER */
    bool follows;             /* another learner leads */
    int64_t follow_at;        /* step at which leadership is lost */
    mtf_status order_failure; /* what an order says; MTF_OK: it is done */
    bool order_hears;         /* a failed order is done all the same */
    bool head_moves;          /* someone else publishes while a round trains */
    int64_t newest_version;   /* what the history holds */
    int64_t stop_at, copy_at; /* steps at which to stop, to keep a copy of the checkpoint */
    const char *kept;         /* where the rounds are told to keep checkpoints; then also of
                                 learners without a record */
    /* what happened */
    int publications, served, gated, orders, fits;
    mtf_round_order order;
    int64_t first_step;         /* that was trained; 0: none was */
    uint64_t record_hashes[16]; /* of publications */
    mtf_round_report report;    /* the last */
    int reports;
} fixture;

static const data_world world = {
    .seed = 5, .slope = {2, -1}, .noise = 0.1, .half_width = 0.15f, .version = 1};

static mtf_status head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    fixture *f = arg;
    (void)err;
    *champion = f->head ? mtf_policy_clone(f->head) : NULL;
    *newest_version = f->newest_version;
    return MTF_OK;
}

static void serve(fixture *f, const mtf_policy *policy)
{
    mtf_policy_free(f->head);
    f->head = mtf_policy_clone(policy);
    assert_non_null(f->head);
}

static mtf_status gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err)
{
    fixture *f = arg;
    (void)evidence;
    (void)err;
    f->gated++;
    if (candidate) mtf_policy_set_number(&candidate->info, "test.gate", 1);
    *verdict = (mtf_verdict){f->verdict, "the test says so"};
    if (f->verdict == MTF_VERDICT_CANARY) {
        snprintf(candidate->info.stage, sizeof candidate->info.stage, "%s", f->stage);
        mtf_policy_set_number(&candidate->info, "canary.percent", 20);
    }
    if (f->head_moves) f->head->info.version += 10;
    return MTF_OK;
}

/** Compare and set, as the publisher does it. */
static void compare(const fixture *f, mtf_policy *policy)
{
    const int64_t at = f->head ? f->head->info.version : 0;
    if (at == policy->info.parent || at == policy->info.version) return;
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "hold");
    snprintf(policy->info.reason, sizeof policy->info.reason, "parent_changed: by the test");
}

static mtf_status publish(void *arg, mtf_policy *policy, mtf_err *err)
{
    fixture *f = arg;
    mtf_buf record = {0};
    compare(f, policy);
    const bool servable = strcmp(policy->info.verdict, "promote") == 0;
    mtf_assert_ok(mtf_policy_encode(policy, &record, err), err);
    f->record_hashes[f->publications++] = mtf_hash64(record.data, record.size);
    mtf_buf_fini(&record);
    if (f->publish_failures > 0) {
        f->publish_failures--;
        if (f->publish_hears && servable) serve(f, policy);
        return mtf_fail(err, f->failure ? f->failure : MTF_BROKER, "the test's broker is down");
    }
    f->served += servable;
    if (servable) serve(f, policy);
    if (strcmp(policy->info.verdict, "canary") == 0) {
        assert_null(f->trial);
        f->trial = mtf_policy_clone(policy);
    }
    return MTF_OK;
}

static mtf_status trial(void *arg, mtf_policy **trial, mtf_err *err)
{
    const fixture *f = arg;
    (void)err;
    *trial = f->trial ? mtf_policy_clone(f->trial) : NULL;
    return MTF_OK;
}

static void stage(mtf_policy *policy, const char *stage, int64_t version)
{
    const double of = mtf_policy_get_number(&policy->info, "payload_of");
    if (isnan(of)) mtf_policy_set_number(&policy->info, "payload_of", (double)policy->info.version);
    snprintf(policy->info.stage, sizeof policy->info.stage, "%s", stage);
    policy->info.version = version;
}

/** As an operator's order would be carried out. */
static mtf_status order(void *arg, const mtf_round_order *order, mtf_err *err)
{
    fixture *f = arg;
    f->orders++;
    f->order = *order;
    if (f->order_failure && !f->order_hears)
        return mtf_fail(err, f->order_failure, "the test says so");
    const int64_t newest = f->trial ? f->trial->info.version : f->head->info.version;
    assert_int_equal(order->head, f->head->info.version);
    if (order->kind == MTF_ORDER_ROLLBACK) {
        assert_int_equal(order->version, f->head->info.parent);
        f->head->info.parent = order->head;
        f->head->info.version = newest + 1;
        mtf_policy_set_number(&f->head->info, "payload_of", (double)order->version);
    } else {
        assert_int_equal(order->version, f->trial->info.version);
        assert_int_equal(order->trial, f->trial->info.version);
    }
    if (order->kind == MTF_ORDER_CANARY) {
        stage(f->trial, "canary", newest + 1);
        mtf_policy_set_number(&f->trial->info, "canary.percent", 20);
    } else {
        if (order->kind == MTF_ORDER_PROMOTE) {
            stage(f->trial, "live", newest + 1);
            mtf_policy_set_number(&f->trial->info, "by_gate", 1);
            serve(f, f->trial);
        }
        f->newest_version = newest + 1; /* a withdrawal has a record, too */
        mtf_policy_free(f->trial);
        f->trial = NULL;
    }
    return f->order_failure ? mtf_fail(err, f->order_failure, "its answer is lost") : MTF_OK;
}

static void candidate_path(const fixture *f, char path[2 * MTF_TEST_PATH], const char *name)
{
    snprintf(path, 2 * MTF_TEST_PATH, "%s/checkpoints/%s", f->settings.store_path, name);
}

static void copy_file(const char *from, const char *to)
{
    mtf_buf bytes = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_file_read(from, 1 << 24, &bytes, &err), &err);
    mtf_assert_ok(mtf_file_replace(to, mtf_buf_span(&bytes), &err), &err);
    mtf_buf_fini(&bytes);
}

static bool leads(void *arg)
{
    const fixture *f = arg;
    return !f->follows;
}

static void progress(void *arg, const char *what, int64_t done, int64_t total)
{
    fixture *f = arg;
    if (strcmp(what, "train") != 0) {
        f->fits += strcmp(what, "evaluate") == 0;
        return;
    }
    assert_int_equal(total, f->settings.learner_steps);
    if (f->first_step == 0) f->first_step = done;
    if (done == f->copy_at) {
        char from[2 * MTF_TEST_PATH], to[2 * MTF_TEST_PATH];
        candidate_path(f, from, "candidate");
        candidate_path(f, to, "kept");
        copy_file(from, to);
    }
    if (done == f->follow_at) f->follows = true;
    if (done == f->stop_at) atomic_store(&f->stop, true);
}

static void report(void *arg, const mtf_round_report *of)
{
    fixture *f = arg;
    f->report = *of;
    f->reports++;
}

static void open_rounds(fixture *f)
{
    mtf_err err = {0};
    f->store = data_store(&f->settings);
    const mtf_rounds_config config = {
        .settings = &f->settings,
        .reward = &f->reward,
        .table = &f->table,
        .store = f->store,
        .hooks = {.arg = f,
                  .leads = leads,
                  .head = head,
                  .gate = gate,
                  .publish = publish,
                  .trial = trial,
                  .order = order,
                  .progress = progress,
                  .report = report},
        .log = &f->log,
        .stop = &f->stop,
        .checkpoint_every = 20,
        .unserved = f->kept != NULL,
        .checkpoint = f->kept,
    };
    mtf_assert_ok(mtf_rounds_open(&config, &f->rounds, &err), &err);
}

static void close_rounds(fixture *f)
{
    mtf_rounds_close(f->rounds);
    mtf_store_close(f->store);
    f->rounds = NULL;
    f->store = NULL;
}

static void reopen(fixture *f)
{
    close_rounds(f);
    open_rounds(f);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mtf_err err = {0};
    mtf_test_folder(f->folder);
    char path[2 * MTF_TEST_PATH];
    mtf_test_file(path, f->folder, "log", "");
    f->log = (mtf_log){.level = MTF_LOG_WARN, .fd = open(path, O_WRONLY | O_APPEND)};
    assert_true(f->log.fd >= 0);
    data_settings(&f->settings, f->folder);
    f->reward = data_reward(&f->settings);
    mtf_assert_ok(mtf_action_table_parse(&f->table, f->settings.policy_actions, &err), &err);
    f->verdict = MTF_VERDICT_PROMOTE;
    open_rounds(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_rounds(f);
    mtf_policy_free(f->head);
    mtf_policy_free(f->trial);
    mtf_settings_fini(&f->settings);
    close(f->log.fd);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

static void tick(fixture *f)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_rounds_tick(f->rounds, &err), &err);
}

/** `count` sessions under the version, numbered on. */
static void collect(fixture *f, int64_t version, uint64_t first, uint64_t count)
{
    data_world under = world;
    under.version = version;
    data_fill(f->store, &f->settings, &under, first, count);
}

static void the_first_policy_acts_zero_everywhere(void **state)
{
    fixture *f = *state;
    tick(f);
    assert_non_null(f->head);
    assert_int_equal(f->head->info.version, 1);
    assert_int_equal(f->head->info.parent, 0);
    mtf_assert_close((double)f->head->info.box, 0.15, 0, 1e-6);
    const float s[DATA_S] = {3, -1, 0.5f, 9};
    float a[DATA_A];
    mtf_policy_act(f->head, s, a);
    assert_true(a[0] == 0 && a[1] == 0);
    assert_int_equal(mtf_rounds_champion(f->rounds), 1);
    tick(f);
    reopen(f);
    tick(f);
    assert_int_equal(f->publications, 1); /* once */
}

static void enough_sessions_make_a_round_and_no_fewer(void **state)
{
    fixture *f = *state;
    collect(f, 1, 0, 299);
    tick(f);
    assert_int_equal(f->reports, 0);
    collect(f, 1, 299, 1);
    tick(f);
    assert_int_equal(f->reports, 1);
    assert_int_equal(mtf_rounds_ended(f->rounds), 1);
    const mtf_round_report *r = &f->report;
    assert_true(r->round == 1 && r->parent == 1 && r->version == 2 && r->sessions == 300);
    assert_int_equal(r->verdict.kind, MTF_VERDICT_PROMOTE);
    assert_true(r->transitions > 300 && r->heldout_rows > 0 && r->heldout_users > 0);
    assert_true(r->evidence.exploring && r->evidence.finite && r->evidence.test_vectors_ok);
    assert_true(isfinite(r->evidence.value) && r->evidence.value_se > 0);
    assert_true(isfinite(r->critic_spread) && isfinite(r->phi) && isfinite(r->outside_box));
    assert_true(r->evidence.q_abs_max < r->evidence.q_limit);
    /* per item: valid=1 clipped at 8, watch=0.5 at 2; 2 items; gamma 0.5; margin 1.2 */
    mtf_assert_close(r->evidence.q_limit, 1.2 * 2 * (8 + 1) / 0.5, 1e-12, 0);
    assert_int_equal(f->head->info.version, 2);
    assert_int_equal(f->head->info.parent, 1);
    assert_int_equal(f->head->info.offset_count, 1);
    assert_int_equal(f->head->info.offsets[0].offset, 300);
    assert_string_equal(f->head->info.verdict, "promote");
    mtf_assert_close(mtf_policy_get_number(&f->head->info, "test.gate"), 1, 0, 0);
    tick(f);
    assert_int_equal(f->reports, 1); /* the new champion has no sessions yet */
}

static void a_verdict_reports_fitted_q_as_far_as_the_settings_pay_for_it(void **state)
{
    fixture *f = *state;
    const char *refits[] = {"0", "2"}, *steps[] = {"20", "0"};
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->fits, 1);
    assert_true(isfinite(f->report.evidence.fqe_value) && isfinite(f->report.evidence.fqe_gain));
    assert_true(isnan(f->report.evidence.fqe_gain_se));
    mtf_assert_close(f->report.evidence.fqe_gain, f->report.evaluation.fqe.gain.value, 0, 0);
    for (int i = 0; i < 2; i++) {
        data_set(&f->settings, "gate.fqe_refits", refits[1 - i]);
        data_set(&f->settings, "gate.fqe_steps", steps[i]);
        reopen(f);
        collect(f, 2 + i, 300 * ((uint64_t)i + 1), 300);
        tick(f);
        assert_int_equal(f->reports, 2 + i);
        assert_true(isfinite(f->report.evidence.fqe_gain) == (i == 0));
        assert_true(isfinite(f->report.evidence.fqe_gain_se) == (i == 0));
    }
}

/** Mean drift of dimension 0 of a round's actor, from the baseline's 0. */
static double drift_of_a_round(fixture *f)
{
    const int reports = f->reports;
    tick(f);
    assert_int_equal(f->reports, reports + 1);
    return f->report.evaluation.first_order.drift[0];
}

/** The store keeps signals, not rewards: whoever changes the weights starts the learner again, and
 *  the next round learns the new reward from the rows that are there. */
static void changed_weights_count_from_the_next_round_on_without_reading_again(void **state)
{
    fixture *f = *state;
    size_t count;
    data_set(&f->settings, "learner.steps", "600");
    data_set(&f->settings, "learner.actor_lr", "0.003");
    data_set(&f->settings, "learner.critic_lr", "0.01");
    f->verdict = MTF_VERDICT_HOLD; /* the champion and its rows stay */
    reopen(f);
    collect(f, 1, 0, 2000);
    assert_true(drift_of_a_round(f) > 0.05); /* valid=1: the slope of dimension 0 is 2 */
    const double gain = f->report.evaluation.first_order.gain.value;
    close_rounds(f);
    data_set(&f->settings, "reward.weights", "valid=-1 watch=0.5");
    f->reward = data_reward(&f->settings);
    open_rounds(f);
    collect(f, 1, 2000, 300); /* after a hold a round waits for more */
    assert_true(drift_of_a_round(f) < -0.05);
    assert_true(gain > 0 && f->report.evaluation.first_order.gain.value > 0); /* both their own */
    assert_int_equal(mtf_store_positions(f->store, &count)[0].next, 2300);    /* nothing was lost */
}

/** A round that is in training when the weights change begins its training anew. */
static void a_round_under_way_is_trained_anew_with_changed_weights(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    data_set(&f->settings, "learner.steps", "100");
    reopen(f);
    collect(f, 1, 0, 2000);
    f->stop_at = 60;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_CLOSED);
    atomic_store(&f->stop, false);
    f->stop_at = f->first_step = 0;
    close_rounds(f);
    data_set(&f->settings, "reward.weights", "valid=-1 watch=0.5");
    f->reward = data_reward(&f->settings);
    open_rounds(f);
    tick(f);
    assert_int_equal(f->first_step, 1);
    assert_int_equal(f->reports, 1);
}

static void training_finds_the_better_action(void **state)
{
    fixture *f = *state;
    data_set(&f->settings, "learner.steps", "600");
    data_set(&f->settings, "learner.actor_lr", "0.003");
    data_set(&f->settings, "learner.critic_lr", "0.01");
    reopen(f);
    collect(f, 1, 0, 1500);
    tick(f);
    /* G moves by slope: action 0 wants up, action 1 down, by up to the box. */
    assert_true(f->report.evaluation.first_order.drift[0] > 0.05);
    assert_true(f->report.evaluation.first_order.drift[1] < -0.02);
    assert_true(f->report.evidence.value_z > 2);
    assert_true(f->report.evidence.skill_z > 2);
    assert_true(f->report.outside_box < 0.05);
}

static void the_next_round_continues_from_the_champions_checkpoint(void **state)
{
    fixture *f = *state;
    collect(f, 1, 0, 300);
    tick(f);
    assert_true(f->report.cold);
    assert_string_equal(f->head->info.parent_checkpoint, "");
    const float mean = f->head->mean[0];
    reopen(f);
    collect(f, 2, 300, 300);
    tick(f);
    assert_int_equal(f->report.round, 2);
    assert_false(f->report.cold);
    assert_int_equal(strlen(f->head->info.parent_checkpoint), 32);
    assert_int_equal(f->head->info.version, 3);
    assert_true(f->head->mean[0] == mean); /* the normaliser is frozen */
}

static int warnings_of(const fixture *f, const char *what, const char *words);

static void assert_same_network(const mtf_policy *a, const mtf_policy *b)
{
    assert_int_equal(a->layer_count, b->layer_count);
    assert_memory_equal(a->mean, b->mean, a->state_dim * sizeof *a->mean);
    assert_memory_equal(a->deviation, b->deviation, a->state_dim * sizeof *a->mean);
    for (uint32_t i = 0; i < a->layer_count; i++) {
        const mtf_policy_layer *layer = &a->layers[i];
        assert_memory_equal(layer->weight, b->layers[i].weight,
                            (size_t)layer->inputs * layer->outputs * sizeof(float));
        assert_memory_equal(layer->bias, b->layers[i].bias, layer->outputs * sizeof(float));
    }
}

/** A first round, then what `lose` does to its checkpoint, then one whose actor stands still: it
 *  ends with the network it began with. */
static void second_round(fixture *f, void (*lose)(const fixture *f, const char *path), bool cold)
{
    char path[2 * MTF_TEST_PATH];
    collect(f, 1, 0, 300);
    tick(f);
    mtf_policy *first = mtf_policy_clone(f->head);
    candidate_path(f, path, "v2");
    close_rounds(f);
    lose(f, path);
    data_set(&f->settings, "learner.actor_lr", "1e-30");
    open_rounds(f);
    collect(f, 2, 300, 300);
    tick(f);
    assert_int_equal(f->report.round, 2);
    assert_int_equal(f->report.cold, cold);
    assert_int_equal(f->head->info.version, 3);
    assert_int_equal(f->head->info.parent, 2);
    mtf_assert_close(mtf_policy_get_number(&f->head->info, "cold_start"), cold, 0, 0);
    assert_same_network(f->head, first);
    mtf_policy_free(first);
}

static void keep(const fixture *f, const char *path)
{
    (void)f;
    assert_int_equal(access(path, F_OK), 0);
}

static void remove_it(const fixture *f, const char *path)
{
    (void)f;
    assert_int_equal(remove(path), 0);
}

static void damage(const fixture *f, const char *path)
{
    FILE *file = fopen(path, "r+");
    (void)f;
    assert_non_null(file);
    assert_int_equal(fseek(file, 300, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, 300, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void remove_store(const fixture *f, const char *path)
{
    mtf_err err = {0};
    (void)path;
    mtf_assert_ok(mtf_folder_remove(f->settings.store_path, &err), &err);
}

static void a_lost_checkpoint_leaves_the_actor_and_says_so(void **state)
{
    static const struct {
        void (*lose)(const fixture *f, const char *path);
        bool cold;
        const char *words;
    } cases[] = {{keep, false, ""},
                 {remove_it, true, "actor=record critics=new"},
                 {damage, true, "its checksum is wrong"},
                 {remove_store, true, "there is no checkpoint"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tear_down(state);
        set_up(state);
        second_round(*state, cases[i].lose, cases[i].cold);
        warnings_of(*state, "round.cold", cases[i].words);
    }
}

static void a_champion_of_another_network_starts_anew_and_says_so(void **state)
{
    fixture *f = *state;
    collect(f, 1, 0, 300);
    tick(f);
    data_set(&f->settings, "learner.hidden", "12");
    reopen(f);
    collect(f, 2, 300, 300);
    tick(f);
    assert_true(f->report.cold);
    assert_int_equal(warnings_of(f, "round.cold", "learner.hidden"),
                     2); /* the first one was cold */
    assert_int_equal(f->head->layers[0].outputs, 12);
}

static void a_rollbacks_checkpoint_is_that_of_the_version_it_brings_back(void **state)
{
    fixture *f = *state;
    collect(f, 1, 0, 300);
    tick(f);
    mtf_policy *rollback = mtf_policy_clone(f->head);
    collect(f, 2, 300, 300);
    tick(f);
    rollback->info.version = 9;
    mtf_policy_set_number(&rollback->info, "payload_of", 2);
    serve(f, rollback);
    mtf_policy_free(rollback);
    collect(f, 9, 600, 300);
    tick(f);
    assert_false(f->report.cold);
    assert_int_equal(f->report.parent, 9);
    assert_int_equal(f->head->info.version, 10);
}

static void who_does_not_lead_publishes_and_trains_nothing(void **state)
{
    fixture *f = *state;
    f->follows = true;
    tick(f);
    assert_int_equal(f->publications, 0);
    f->follows = false;
    tick(f);
    assert_int_equal(f->publications, 1);
    f->follows = true;
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->reports, 0);
    f->follows = false;
    tick(f);
    assert_int_equal(f->reports, 1);
}

static void a_hold_keeps_champion_and_data_and_tries_again(void **state)
{
    fixture *f = *state;
    f->verdict = MTF_VERDICT_HOLD;
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
    assert_int_equal(f->head->info.version, 1);
    assert_int_equal(f->publications, 2); /* the first policy, and the held one to the history */
    assert_int_equal(f->served, 1);
    const int64_t transitions = f->report.transitions;
    collect(f, 1, 300, 299);
    tick(f);
    assert_int_equal(f->reports, 1);
    reopen(f); /* remembers what the last attempt had */
    tick(f);
    assert_int_equal(f->reports, 1);
    collect(f, 1, 599, 1);
    f->verdict = MTF_VERDICT_PROMOTE;
    tick(f);
    assert_int_equal(f->reports, 2);
    assert_int_equal(f->report.round, 2);
    assert_int_equal(f->report.sessions, 600);
    assert_true(f->report.transitions > 3 * transitions / 2);
    assert_int_equal(f->head->info.version, 3); /* the held candidate used version 2 up */
    assert_int_equal(f->head->info.parent, 1);
}

/** 300 sessions under version 1, a round that promotes version 2, and `count` under it of the next
 *  day, at the same hours. */
static void serve_two(fixture *f, const float bp[DATA_A], uint64_t count)
{
    data_world child = world;
    child.version = 2;
    child.bp = bp;
    data_set(&f->settings, "rollback.sessions", "200");
    reopen(f);
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->head->info.version, 2);
    data_fill(f->store, &f->settings, &child, 1440, count);
}

static const float worse[DATA_A] = {-0.4f, 0.4f}, as_before[DATA_A] = {0, 0};

static void a_champion_that_does_worse_than_its_parent_is_rolled_back(void **state)
{
    fixture *f = *state;
    serve_two(f, worse, 199);
    tick(f);
    assert_int_equal(f->orders, 0); /* too little to tell */
    data_world child = world;
    child.version = 2;
    child.bp = worse;
    data_fill(f->store, &f->settings, &child, 1639, 101);
    tick(f);
    assert_int_equal(f->orders, 1);
    assert_memory_equal(f->order.reason, "version 2 brings ", 17);
    assert_int_equal(mtf_rounds_champion(f->rounds), 3);
    assert_int_equal(f->reports, 1); /* nothing is trained on what it explored */
    collect(f, 3, 3000, 299);
    tick(f);
    assert_int_equal(f->orders, 1); /* what was brought back is left */
}

static void a_champion_that_does_as_well_stays(void **state)
{
    fixture *f = *state;
    serve_two(f, as_before, 299);
    tick(f);
    assert_int_equal(f->orders, 0);
    assert_int_equal(mtf_rounds_champion(f->rounds), 2);
}

static void a_rollback_that_must_wait_is_asked_for_again(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    serve_two(f, worse, 250);
    f->order_failure = MTF_AGAIN;
    mtf_assert_ok(mtf_rounds_tick(f->rounds, &err), &err);
    assert_int_equal(f->orders, 1);
    assert_int_equal(mtf_rounds_champion(f->rounds), 2);
    f->order_failure = MTF_OK;
    tick(f);
    assert_int_equal(f->orders, 2);
    assert_int_equal(mtf_rounds_champion(f->rounds), 3);
}

/* The head moved meanwhile, say: it is read again, and nothing is asked twice. */
static void a_rollback_that_must_not_be_is_not_asked_for_again(void **state)
{
    fixture *f = *state;
    serve_two(f, worse, 250);
    f->order_failure = MTF_INVALID;
    tick(f);
    tick(f);
    assert_int_equal(f->orders, 1);
    assert_int_equal(mtf_rounds_champion(f->rounds), 2);
}

static void what_an_operator_ordered_is_never_rolled_back(void **state)
{
    fixture *f = *state;
    serve_two(f, worse, 250);
    mtf_policy_set_number(&f->head->info, "payload_of", 2);
    reopen(f);
    tick(f);
    tick(f);
    assert_int_equal(f->orders, 0);
}

/* -- on trial ---------------------------------------------------- */

/** 300 sessions under version 1 and a round whose candidate, version 2, goes on trial. */
static void try_one(fixture *f, const char *stage)
{
    data_set(&f->settings, "canary.sessions", "200");
    data_set(&f->settings, "shadow.sessions", "200");
    data_set(&f->settings, "gate.min_transitions", "100");
    f->verdict = MTF_VERDICT_CANARY;
    f->stage = stage;
    reopen(f);
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_CANARY);
    assert_int_equal(f->head->info.version, 1);
    assert_int_equal(mtf_rounds_on_trial(f->rounds), 2);
    assert_string_equal(f->trial->info.stage, stage);
}

/** `count` sessions of version 1 and as many of 2, in turns, at the same hours. */
static void serve_both(fixture *f, const float bp[DATA_A], uint64_t first, uint64_t count)
{
    data_world child = world;
    child.version = 2;
    child.bp = bp;
    for (uint64_t i = 0; i < count; i += 30) { /* users have three sessions */
        collect(f, 1, first + 2 * i, 30);
        data_fill(f->store, &f->settings, &child, first + 2 * i + 30, 30);
    }
}

static const float better[DATA_A] = {0.3f, -0.3f};

static void no_round_begins_while_a_version_is_on_trial(void **state)
{
    static const char *const stages[] = {"canary", "shadow"};
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        if (i > 0) tear_down(state), set_up(state), f = *state;
        data_set(&f->settings, "round.min_sessions", "100");
        try_one(f, stages[i]);
        collect(f, 1, 300, 150);
        tick(f);
        reopen(f);
        tick(f);
        assert_int_equal(f->reports, 1);
        assert_int_equal(f->orders, 0);
        assert_int_equal(mtf_rounds_on_trial(f->rounds), 2);
        mtf_policy_free(f->trial); /* an operator withdraws it, and nobody says so */
        f->trial = NULL;
        collect(f, 1, 450, 100); /* it is noticed all the same */
        tick(f);
        assert_int_equal(f->reports, 2);
        assert_int_equal(f->report.sessions, 550);
        assert_int_equal(mtf_rounds_on_trial(f->rounds), 3); /* the round's own candidate */
    }
}

static void a_canary_that_does_as_well_is_promoted_and_trained_on_from(void **state)
{
    fixture *f = *state;
    try_one(f, "canary");
    serve_both(f, better, 1440, 180);
    tick(f);
    assert_int_equal(f->orders, 0); /* not yet */
    serve_both(f, better, 1800, 30);
    tick(f);
    assert_int_equal(f->orders, 1);
    assert_int_equal(f->order.kind, MTF_ORDER_PROMOTE);
    assert_memory_equal(f->order.reason, "210 sessions bring ", 19);
    assert_string_equal(f->order.numbers[0].name, "canary.sessions");
    mtf_assert_close(f->order.numbers[0].value, 210, 0, 0);
    assert_int_equal(mtf_rounds_champion(f->rounds), 3);
    assert_int_equal(mtf_rounds_on_trial(f->rounds), 0);
    f->verdict = MTF_VERDICT_PROMOTE;
    collect(f, 3, 3000, 300);
    tick(f);
    assert_int_equal(f->reports, 2);
    assert_int_equal(f->report.parent, 3);
    assert_false(f->report.cold);
}

static void a_canary_that_does_harm_is_withdrawn_early_and_a_round_follows(void **state)
{
    fixture *f = *state;
    try_one(f, "canary");
    serve_both(f, worse, 1440, 60);
    tick(f);
    assert_int_equal(f->orders, 1);
    assert_int_equal(f->order.kind, MTF_ORDER_WITHDRAW);
    assert_memory_equal(f->order.reason, "60 sessions bring ", 18);
    assert_int_equal(f->head->info.version, 1);
    f->verdict = MTF_VERDICT_PROMOTE;
    collect(f, 1, 3000, 300);
    tick(f);
    assert_int_equal(f->reports, 2);
    assert_int_equal(f->report.parent, 1);
    assert_int_equal(f->report.version, 4); /* 2 was the canary, 3 says that it was withdrawn */
}

static void a_canary_is_held_to_the_setting_at_its_last_session(void **state)
{
    static const char *const limits[] = {"-100", "100"};
    static const mtf_round_order_kind kinds[] = {MTF_ORDER_PROMOTE, MTF_ORDER_WITHDRAW};
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        if (i > 0) tear_down(state), set_up(state), f = *state;
        data_set(&f->settings, "canary.z", limits[i]);
        try_one(f, "canary");
        serve_both(f, as_before, 1440, 210);
        tick(f);
        assert_int_equal(f->order.kind, kinds[i]);
    }
}

static void a_canary_that_is_not_served_is_withdrawn(void **state)
{
    fixture *f = *state;
    try_one(f, "canary");
    data_set(&f->settings, "canary.sessions", "10");
    reopen(f);
    tick(f);
    tick(f); /* sees it for the first time: 4 x 10 sessions of a fifth are due in 160 of the head */
    collect(f, 1, 300, 159);
    tick(f);
    assert_int_equal(f->orders, 0);
    collect(f, 1, 459, 1);
    tick(f);
    assert_int_equal(f->order.kind, MTF_ORDER_WITHDRAW);
    assert_string_equal(f->order.reason, "not served: 0 sessions while the head had 160");
}

static void what_is_on_trial_against_an_old_head_is_withdrawn(void **state)
{
    static const char *const stages[] = {"canary", "shadow"};
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        if (i > 0) tear_down(state), set_up(state), f = *state;
        try_one(f, stages[i]);
        f->head->info.version = 9;
        reopen(f);
        tick(f);
        tick(f);
        assert_int_equal(f->orders, 1);
        assert_int_equal(f->order.kind, MTF_ORDER_WITHDRAW);
        assert_string_equal(f->order.reason,
                            "parent_changed: the head is version 9, its parent version 1");
    }
}

/** Killed between the order and its answer, and told to wait before: it is done once. */
static void an_order_is_done_once_whatever_happens(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    try_one(f, "canary");
    serve_both(f, better, 1440, 210);
    f->order_failure = MTF_AGAIN;
    tick(f);
    assert_int_equal(f->orders, 1);
    assert_int_equal(mtf_rounds_on_trial(f->rounds), 2);
    f->order_failure = MTF_BROKER;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_BROKER);
    f->order_hears = true;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_BROKER);
    assert_int_equal(f->orders, 3);
    f->order_failure = MTF_OK;
    reopen(f);
    tick(f);
    tick(f);
    assert_int_equal(f->orders, 3);
    assert_int_equal(mtf_rounds_champion(f->rounds), 3);
}

/** Whatever makes it impossible is not mended by asking at every tick. */
static void an_order_that_is_refused_is_not_given_again(void **state)
{
    fixture *f = *state;
    try_one(f, "canary");
    serve_both(f, better, 1440, 210);
    f->order_failure = MTF_INVALID;
    for (int i = 0; i < 5; i++) tick(f);
    assert_int_equal(f->orders, 1);
    assert_int_equal(mtf_rounds_on_trial(f->rounds), 2);
    f->order_failure = MTF_OK;
    reopen(f);
    tick(f);
    tick(f);
    assert_int_equal(f->orders, 2);
    assert_int_equal(mtf_rounds_champion(f->rounds), 3);
}

static double shadow_number(const fixture *f, const char *name)
{
    for (uint32_t i = 0; i < f->order.number_count; i++)
        if (strcmp(f->order.numbers[i].name, name) == 0) return f->order.numbers[i].value;
    return (double)NAN;
}

static void a_shadow_is_judged_on_rows_newer_than_its_training(void **state)
{
    static const struct {
        const char *stages;
        double sign; /* of what actions bring, compared with what it was trained on */
        mtf_round_order_kind kind;
    } cases[] = {
        {"shadow", 1, MTF_ORDER_PROMOTE},
        {"shadow-canary", 1, MTF_ORDER_CANARY},
        {"shadow", -1, MTF_ORDER_WITHDRAW},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i > 0) tear_down(state), set_up(state), f = *state;
        data_set(&f->settings, "gate.stages", cases[i].stages);
        data_set(&f->settings, "learner.actor_lr", "0.02");
        data_set(&f->settings, "learner.critic_lr", "0.02");
        try_one(f, "shadow");
        data_world newer = world;
        newer.slope[0] *= cases[i].sign, newer.slope[1] *= cases[i].sign;
        int64_t rows = data_fill(f->store, &f->settings, &newer, 300, 199);
        tick(f);
        assert_int_equal(f->orders, 0);
        rows += data_fill(f->store, &f->settings, &newer, 499, 301);
        tick(f);
        assert_int_equal(f->orders, 1);
        if (f->order.kind != cases[i].kind) fail_msg("%zu: %s", i, f->order.reason);
        mtf_assert_close(shadow_number(f, "shadow.rows"), (double)rows, 0, 0);
        assert_true(cases[i].sign * shadow_number(f, "shadow.value") > 0);
        assert_non_null(strstr(f->order.reason, " rows newer than its training: value_z is "));
        if (cases[i].kind == MTF_ORDER_CANARY) {
            tick(f);
            assert_int_equal(mtf_rounds_on_trial(f->rounds), 3);
            assert_string_equal(f->trial->info.stage, "canary");
        }
    }
}

static void withdrawn_candidates_cost_the_champion_no_checkpoint(void **state)
{
    fixture *f = *state;
    char path[2 * MTF_TEST_PATH];
    data_set(&f->settings, "canary.sessions", "30");
    reopen(f);
    collect(f, 1, 0, 300);
    tick(f); /* version 2 is the champion */
    f->verdict = MTF_VERDICT_CANARY;
    f->stage = "canary";
    collect(f, 2, 300, 300);
    for (int i = 0; i < 4; i++) {
        tick(f);
        assert_int_equal(f->reports, 2 + i);
        f->newest_version = f->trial->info.version;
        mtf_policy_free(f->trial);
        f->trial = NULL;
        reopen(f);
        collect(f, 2, 600 + 300 * (uint64_t)i, 300);
    }
    candidate_path(f, path, "v2");
    assert_int_equal(access(path, F_OK), 0);
    f->verdict = MTF_VERDICT_PROMOTE;
    tick(f);
    assert_int_equal(f->report.parent, 2);
    assert_false(f->report.cold);
}

static void the_newest_three_champions_keep_their_checkpoints(void **state)
{
    fixture *f = *state;
    char path[2 * MTF_TEST_PATH];
    for (uint64_t i = 0; i < 6; i++) { /* versions 2, 3, 4 held, 5, 6, 7 */
        f->verdict = i == 2 ? MTF_VERDICT_HOLD : MTF_VERDICT_PROMOTE;
        collect(f, f->head ? f->head->info.version : 1, 300 * i, 300);
        tick(f);
    }
    assert_int_equal(f->head->info.version, 7);
    for (int version = 1; version <= 7; version++) {
        char name[8];
        snprintf(name, sizeof name, "v%d", version);
        candidate_path(f, path, name);
        assert_int_equal(access(path, F_OK) == 0, version >= 5);
    }
}

static void without_exploration_a_round_holds_untrained(void **state)
{
    fixture *f = *state;
    data_world still = world, control = world;
    still.half_width = 0;
    control.bucket = MTF_BUCKET_CONTROL;
    data_fill(f->store, &f->settings, &control, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
    assert_int_equal(strncmp(f->report.verdict.reason, "no_exploration", 14), 0);
    data_fill(f->store, &f->settings, &still, 300, 600);
    tick(f);
    assert_int_equal(f->reports, 2);
    assert_int_equal(strncmp(f->report.verdict.reason, "no_exploration", 14), 0);
    assert_int_equal(f->gated, 0);
    assert_int_equal(f->publications, 1);
    assert_int_equal(f->head->info.version, 1);
}

static void a_training_alarm_rejects(void **state)
{
    fixture *f = *state;
    data_set(&f->settings, "learner.critic_lr", "1"); /* diverges */
    data_set(&f->settings, "learner.critic_clip", "1e9");
    data_set(&f->settings, "reward.clip", "valid=0.01 watch=0.01"); /* a low |Q| limit */
    f->reward = data_reward(&f->settings);
    reopen(f);
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_REJECT);
    assert_int_equal(strncmp(f->report.verdict.reason, "alarm: |Q| ", 11), 0);
    assert_non_null(strstr(f->report.verdict.reason, "reward.clip"));
    assert_int_not_equal(f->report.evidence.alarm[0], 0);
    assert_int_equal(f->gated, 0);
    assert_int_equal(f->publications, 1);
    assert_int_equal(f->head->info.version, 1);
}

/** Warnings of this kind so far; the last holds the words. */
static int warnings_of(const fixture *f, const char *what, const char *words)
{
    char path[2 * MTF_TEST_PATH];
    mtf_buf text = {0};
    mtf_err err = {0};
    int count = 0;
    snprintf(path, sizeof path, "%s/log", f->folder);
    mtf_assert_ok(mtf_file_read(path, 1 << 20, &text, &err), &err);
    mtf_buf_put_u8(&text, 0);
    const char *last = NULL;
    for (const char *at = (const char *)text.data; (at = strstr(at, what)); at++, count++)
        last = at;
    if (last && !strstr(last, words)) fail_msg("\"%s\" is not in %s", words, last);
    mtf_buf_fini(&text);
    return count;
}

/** Champions 1, 2, 4, 5 with 300 sessions each (3 was held), a round of 5 with this window. */
static int64_t windowed_round(void **state, const char *window, int warnings)
{
    tear_down(state);
    set_up(state);
    fixture *f = *state;
    for (uint64_t i = 0; i < 4; i++) {
        f->verdict = i == 1 ? MTF_VERDICT_HOLD : MTF_VERDICT_PROMOTE;
        collect(f, f->head ? f->head->info.version : 1, 300 * i, 300);
        tick(f);
    }
    assert_int_equal(f->head->info.version, 5);
    assert_int_equal(warnings_of(f, "round.window", ""), 0);
    data_set(&f->settings, "learner.train_window", window);
    reopen(f);
    collect(f, 5, 1200, 300);
    tick(f);
    assert_int_equal(f->report.parent, 5);
    assert_int_equal(warnings_of(f, "round.window", "learner.train_window=champion is advised"),
                     warnings);
    assert_true(f->report.evidence.heldout_rows > 0);
    return f->report.transitions;
}

static void a_wider_window_trains_on_the_newest_versions_warns_and_judges_alike(void **state)
{
    const int64_t champion = windowed_round(state, "champion", 0);
    const mtf_round_report alike = ((fixture *)*state)->report;
    assert_int_equal(windowed_round(state, "1", 0), champion);
    const int64_t two = windowed_round(state, "2", 1); /* 4 and 5: 3 has no rows */
    assert_int_equal(((fixture *)*state)->report.evidence.heldout_rows,
                     alike.evidence.heldout_rows);
    const int64_t three = windowed_round(state, "3", 1); /* 2, which two rounds collected for */
    const int64_t four = windowed_round(state, "4", 1);
    assert_true(champion < two && two < three);
    assert_true(four >= three);
    assert_int_equal(windowed_round(state, "99", 1), four);
    assert_int_equal(windowed_round(state, "all", 1), four);
}

static void another_head_in_the_meantime_holds(void **state)
{
    fixture *f = *state;
    f->head_moves = true;
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
    assert_int_equal(strncmp(f->report.verdict.reason, "parent_changed", 14), 0);
    assert_int_equal(f->served, 1);
    assert_int_equal(mtf_rounds_champion(f->rounds), 11);
}

static void a_candidate_has_a_number_that_nobody_has_used(void **state)
{
    fixture *f = *state;
    f->newest_version = 5; /* a history without a head: its topic was made anew */
    tick(f);
    assert_int_equal(f->head->info.version, 6);
    f->newest_version = 9; /* an operator's rollback, another learner's candidates */
    collect(f, 6, 0, 300);
    tick(f);
    assert_int_equal(f->head->info.version, 10);
    assert_int_equal(f->head->info.parent, 6);
    assert_int_equal(f->report.version, 10);
}

static void a_publication_that_must_wait_is_tried_at_the_next_tick(void **state)
{
    fixture *f = *state;
    tick(f);
    collect(f, 1, 0, 300);
    f->publish_failures = 1;
    f->failure = MTF_AGAIN;
    tick(f);
    assert_int_equal(f->reports, 0);
    assert_int_equal(f->head->info.version, 1);
    tick(f);
    assert_int_equal(f->reports, 1);
    assert_int_equal(f->gated, 1);
    assert_int_equal(f->head->info.version, 2);
}

static void a_crash_before_publishing_publishes_the_same_bytes(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    tick(f);
    collect(f, 1, 0, 300);
    f->publish_failures = 2;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_BROKER);
    reopen(f);
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_BROKER);
    tick(f);
    assert_int_equal(f->publications, 4);
    assert_true(f->record_hashes[1] == f->record_hashes[2]);
    assert_true(f->record_hashes[1] == f->record_hashes[3]);
    assert_int_equal(f->gated, 1);
    assert_int_equal(f->head->info.version, 2);
    assert_int_equal(f->reports, 1);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_PROMOTE);
}

static void a_crash_after_publishing_does_it_again_and_goes_on(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    tick(f);
    collect(f, 1, 0, 300);
    f->publish_failures = 1;
    f->publish_hears = true;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_BROKER);
    assert_int_equal(f->head->info.version, 2); /* our own candidate: no changed parent */
    reopen(f);
    tick(f);
    assert_true(f->record_hashes[1] == f->record_hashes[2]);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_PROMOTE);
    assert_int_equal(mtf_rounds_champion(f->rounds), 2);
}

/** The payload's sha256: the weights, whatever the record's created_ms. */
static void run_round(fixture *f, uint8_t sha256[32])
{
    tick(f);
    assert_int_equal(f->head->info.version, 2);
    memcpy(sha256, f->head->sha256, 32);
}

static void a_stopped_or_killed_round_ends_as_an_undisturbed_one(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    uint8_t undisturbed[32], disturbed[32];
    char from[2 * MTF_TEST_PATH], to[2 * MTF_TEST_PATH];
    collect(f, 1, 0, 300);
    run_round(f, undisturbed);
    for (int killed = 0; killed < 2; killed++) {
        tear_down(state);
        set_up(state);
        f = *state;
        collect(f, 1, 0, 300);
        f->stop_at = 75;
        f->copy_at = 61; /* that of step 60, the last before 75, is written then */
        assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_CLOSED);
        if (killed) { /* as if the stop had not been heard: the file of step 60 is what is left */
            candidate_path(f, from, "kept");
            candidate_path(f, to, "candidate");
            copy_file(from, to);
        }
        atomic_store(&f->stop, false);
        f->stop_at = f->copy_at = -1;
        f->first_step = 0;
        reopen(f);
        collect(f, 1, 300, 50); /* past the cut: must not matter */
        run_round(f, disturbed);
        assert_int_equal(f->first_step, killed ? 61 : 76); /* no step is trained again */
        assert_memory_equal(disturbed, undisturbed, 32);
        assert_int_equal(f->report.sessions, 300);
    }
}

static void a_round_whose_leadership_comes_back_ends_as_an_undisturbed_one(void **state)
{
    fixture *f = *state;
    uint8_t undisturbed[32], disturbed[32];
    collect(f, 1, 0, 300);
    run_round(f, undisturbed);
    tear_down(state);
    set_up(state);
    f = *state;
    collect(f, 1, 0, 300);
    f->follow_at = 75;
    tick(f);
    tick(f);
    assert_int_equal(f->gated, 0);
    assert_true(mtf_rounds_under_way(f->rounds));
    f->follow_at = -1;
    f->follows = false;
    run_round(f, disturbed);
    assert_memory_equal(disturbed, undisturbed, 32);
    assert_false(mtf_rounds_under_way(f->rounds));
}

/** Leadership lost or the learner restarted: either way the head is looked at before more steps. */
static void a_round_whose_parent_is_no_longer_the_head_is_given_up(void **state)
{
    for (int restarted = 0; restarted < 2; restarted++) {
        mtf_err err = {0};
        tear_down(state);
        set_up(state);
        fixture *f = *state;
        tick(f);
        collect(f, 1, 0, 300);
        f->follow_at = restarted ? -1 : 75;
        f->stop_at = restarted ? 75 : -1;
        assert_int_equal(mtf_rounds_tick(f->rounds, &err), restarted ? MTF_CLOSED : MTF_OK);
        f->head->info.version = 7;
        f->follows = false;
        atomic_store(&f->stop, false);
        if (restarted) reopen(f);
        f->copy_at = f->stop_at = f->follow_at = -1;
        tick(f);
        assert_int_equal(f->reports, 1);
        assert_int_equal(f->gated, 0);
        assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
        assert_int_equal(strncmp(f->report.verdict.reason, "parent_changed", 14), 0);
        assert_int_equal(mtf_rounds_champion(f->rounds), 7);
    }
}

static void a_round_is_given_up_only_while_it_is_trained(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    mtf_assert_ok(mtf_rounds_give_up(f->rounds, "data: changed", &err), &err);
    tick(f);
    assert_int_equal(f->reports, 0);
    collect(f, 1, 0, 300);
    f->stop_at = 75;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_CLOSED);
    atomic_store(&f->stop, false);
    mtf_assert_ok(mtf_rounds_give_up(f->rounds, "data: changed", &err), &err);
    tick(f);
    assert_int_equal(f->reports, 1);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
    assert_string_equal(f->report.verdict.reason, "data: changed");
    assert_int_equal(f->gated, 0);
}

static void other_settings_do_not_resume_a_round(void **state)
{
    fixture *f = *state;
    mtf_err err = {0};
    uint8_t first[32], second[32];
    collect(f, 1, 0, 300);
    f->stop_at = 75;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_CLOSED);
    atomic_store(&f->stop, false);
    f->stop_at = -1;
    data_set(&f->settings, "learner.lambda", "3");
    reopen(f);
    run_round(f, first);
    tear_down(state);
    set_up(state);
    f = *state;
    data_set(&f->settings, "learner.lambda", "3");
    reopen(f);
    collect(f, 1, 0, 300);
    run_round(f, second);
    assert_memory_equal(first, second, 32);
}

/** The first round starts cold, from the initial policy; the second from the learner's own
 *  checkpoint; and the default learner's, after it, from the actor of its record. */
static void every_learner_that_can_be_served_makes_rounds(void **state)
{
    static const char *const names[] = {"ddpg", "td3bc", "iql", "cql_sac"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tear_down(state);
        set_up(state);
        fixture *f = *state;
        data_set(&f->settings, "learner.algorithm", names[i]);
        for (int round = 1; round <= 3; round++) {
            if (round == 3) data_set(&f->settings, "learner.algorithm", "integrated");
            reopen(f);
            collect(f, round, (uint64_t)round * 300, 300);
            tick(f);
            assert_int_equal(f->reports, round);
            assert_true(f->report.evidence.finite && f->report.evidence.test_vectors_ok);
            assert_true(f->report.evidence.q_abs_max < f->report.evidence.q_limit);
            assert_true(isnan(f->report.evidence.spread) == (i == 0 && round < 3));
            assert_int_equal(f->report.cold, round != 2);
            assert_string_equal(f->head->info.algorithm, round < 3 ? names[i] : "integrated");
        }
        assert_int_equal(warnings_of(f, "round.cold", "actor=record"), 2);
    }
}

/** Every setting of a learner to compare with, to a number of its own, arrives where it belongs. */
static void settings_reach_the_learner_they_are_for(void **state)
{
    fixture *f = *state;
    mtf_algorithm_config c;
    mtf_err err = {0};
    const char *pairs[][2] = {
        {"td3bc.alpha", "11"},
        {"td3bc.noise", "0.12"},
        {"td3bc.noise_clip", "0.13"},
        {"td3bc.policy_every", "14"},
        {"iql.expectile", "0.15"},
        {"iql.beta", "16"},
        {"iql.weight_max", "17"},
        {"cql_sac.weight", "18"},
        {"cql_sac.actions", "19"},
        {"batchrl.perturbation", "0.2"},
        {"batchrl.latent_clip", "0.21"},
        {"batchrl.candidates", "22"},
        {"batchrl.act_candidates", "23"},
        {"batchrl.gamma", "0.24"},
        {"batchrl.soft_update", "0.25"},
        {"batchrl.target_every", "26"},
        {"batchrl.generator_lr", "0.27"},
        {"batchrl.perturbation_lr", "0.28"},
        {"batchrl.critic_lr", "0.29"},
        {"learner.algorithm", "iql"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        data_set(&f->settings, pairs[i][0], pairs[i][1]);
    mtf_assert_ok(mtf_train_algorithm_config(&f->settings, 2, &c, &err), &err);
    assert_true(c.td3bc.alpha == 11 && c.td3bc.noise == 0.12 && c.td3bc.noise_clip == 0.13);
    assert_true(c.td3bc.policy_every == 14 && c.iql.expectile == 0.15 && c.iql.beta == 16);
    assert_true(c.iql.weight_max == 17 && c.cql_sac.weight == 18 && c.cql_sac.actions == 19);
    assert_true(c.critics == 2 && c.gamma == 0.5 && c.target_every == 15); /* all the others' */
    data_set(&f->settings, "learner.algorithm", "batchrl");
    mtf_assert_ok(mtf_train_algorithm_config(&f->settings, 2, &c, &err), &err);
    assert_true(c.batchrl.perturbation == 0.2 && c.batchrl.latent_clip == 0.21);
    assert_true(c.batchrl.candidates == 22 && c.batchrl.act_candidates == 23);
    assert_true(c.gamma == 0.24 && c.soft_update == 0.25 && c.target_every == 26);
    assert_true(c.batchrl.generator_lr == 0.27 && c.actor_lr == 0.28 && c.critic_lr == 0.29);
}

static void a_round_depends_on_its_own_learners_settings(void **state)
{
    fixture *f = *state;
    const uint64_t integrated = mtf_train_settings_hash(&f->settings);
    data_set(&f->settings, "td3bc.alpha", "1");
    assert_true(mtf_train_settings_hash(&f->settings) == integrated);
    data_set(&f->settings, "learner.algorithm", "td3bc");
    const uint64_t one = mtf_train_settings_hash(&f->settings);
    data_set(&f->settings, "iql.beta", "1");
    assert_true(mtf_train_settings_hash(&f->settings) == one && one != integrated);
    data_set(&f->settings, "td3bc.alpha", "2");
    assert_true(mtf_train_settings_hash(&f->settings) != one);
}

static void a_learner_without_a_record_leaves_its_checkpoint(void **state)
{
    fixture *f = *state;
    char kept[2 * MTF_TEST_PATH];
    mtf_err err = {0};
    mtf_checkpoint checkpoint;
    snprintf(kept, sizeof kept, "%s/kept", f->folder);
    f->kept = kept;
    data_set(&f->settings, "learner.algorithm", "batchrl");
    reopen(f);
    tick(f);
    const int publications = f->publications;
    collect(f, 1, 0, 300);
    tick(f);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD); /* though the gate says promote */
    assert_int_equal(strncmp(f->report.verdict.reason, "unserved: ", 10), 0);
    assert_true(isfinite(f->report.evidence.value) && f->gated == 1);
    assert_int_equal(f->publications, publications);
    mtf_assert_ok(mtf_checkpoint_load(&checkpoint, kept, &err), &err);
    assert_int_equal(checkpoint.step, f->settings.learner_steps);
    mtf_checkpoint_fini(&checkpoint);

    /* a crash right after the gate forgets what it said; that is no promotion */
    mtf_round_state at = {0};
    mtf_assert_ok(mtf_round_state_load(&at, f->store, &err), &err);
    at.phase = MTF_ROUND_GATED;
    mtf_assert_ok(mtf_round_state_save(&at, f->store, &err), &err);
    mtf_round_state_fini(&at);
    reopen(f);
    tick(f);
    assert_int_equal(f->reports, 2);
    assert_int_equal(f->report.verdict.kind, MTF_VERDICT_HOLD);
    assert_int_equal(strncmp(f->report.verdict.reason, "restarted: ", 11), 0);
}

/** Rows of version 0 were logged by no policy of ours. A candidate's checkpoint of other settings
 *  that lies there is no champion's. */
static void rows_of_no_policy_start_cold(void **state)
{
    fixture *f = *state;
    const uint32_t widths[] = {DATA_S, DATA_A};
    mtf_err err = {0};
    f->head = mtf_policy_new(widths, 1, &f->table);
    assert_non_null(f->head);
    collect(f, 0, 0, 300);
    f->stop_at = 30;
    assert_int_equal(mtf_rounds_tick(f->rounds, &err), MTF_CLOSED);
    f->stop_at = f->first_step = 0;
    atomic_store(&f->stop, false);
    data_set(&f->settings, "learner.seed", "7");
    reopen(f);
    tick(f);
    assert_int_equal(f->first_step, 1);
    assert_true(f->report.cold && f->report.parent == 0 && f->report.version == 1);
    assert_int_equal(f->head->info.version, 1);
}

static void bad_settings_are_refused(void **state)
{
    fixture *f = *state;
    const char *pairs[][2] = {{"learner.warm_start", "some"},
                              {"learner.algorithm", "magic"},
                              {"learner.algorithm", "batchrl"}, /* its policy is no record */
                              {"learner.precision", "half"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        mtf_settings settings;
        mtf_rounds *rounds;
        mtf_err err = {0};
        data_settings(&settings, f->folder);
        if (mtf_settings_set(&settings, pairs[i][0], pairs[i][1], "test", &err) == MTF_OK) {
            const mtf_rounds_config config = {
                .settings = &settings, .reward = &f->reward, .table = &f->table, .store = f->store};
            assert_int_equal(mtf_rounds_open(&config, &rounds, &err), MTF_INVALID);
        }
        assert_non_null(strstr(err.msg, pairs[i][0]));
        mtf_settings_fini(&settings);
    }
}

/** Bytes taken from the heap and not given back, RocksDB's among them. */
static size_t heap_bytes(void)
{
    const struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

/** In bytes that the program itself holds: what the system counts as resident also has what the
 *  allocator keeps for later. A batch here is so large that one kept back in a round would show. */
static void ten_rounds_take_no_more_memory_than_three(void **state)
{
    fixture *f = *state;
    enum { ROUNDS = 10, WARM = 3, BATCH = 8192, SESSIONS = 60 };
    const size_t batch_bytes = BATCH * (2 * DATA_S + 7 * DATA_A + 3) * sizeof(float);
    size_t after[ROUNDS + 1] = {0};
    if (heap_bytes() == 0) skip(); /* under a sanitizer, which looks for leaks itself */
    data_set(&f->settings, "learner.batch", "8192");
    data_set(&f->settings, "learner.steps", "3");
    data_set(&f->settings, "round.min_sessions", "60");
    reopen(f);
    for (int round = 1; round <= ROUNDS; round++) {
        collect(f, round, (uint64_t)(round - 1) * SESSIONS, SESSIONS);
        tick(f);
        assert_int_equal(f->reports, round);
        assert_int_equal(f->report.verdict.kind, MTF_VERDICT_PROMOTE);
        after[round] = heap_bytes();
    }
    print_message("after round %d: %zu KiB, after round %d: %zu KiB; a batch has %zu KiB\n", WARM,
                  after[WARM] >> 10, ROUNDS, after[ROUNDS] >> 10, batch_bytes >> 10);
    assert_true(after[ROUNDS] < after[WARM] + batch_bytes / 2);
}

int main(void)
{
    // clang-format off
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_policy_acts_zero_everywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(enough_sessions_make_a_round_and_no_fewer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_verdict_reports_fitted_q_as_far_as_the_settings_pay_for_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            changed_weights_count_from_the_next_round_on_without_reading_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_round_under_way_is_trained_anew_with_changed_weights,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(training_finds_the_better_action, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_round_continues_from_the_champions_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_checkpoint_leaves_the_actor_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_champion_of_another_network_starts_anew_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollbacks_checkpoint_is_that_of_the_version_it_brings_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_lead_publishes_and_trains_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hold_keeps_champion_and_data_and_tries_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_champion_that_does_worse_than_its_parent_is_rolled_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_champion_that_does_as_well_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_that_must_wait_is_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_that_must_not_be_is_not_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_operator_ordered_is_never_rolled_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_round_begins_while_a_version_is_on_trial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_canary_that_does_as_well_is_promoted_and_trained_on_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_canary_that_does_harm_is_withdrawn_early_and_a_round_follows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_canary_is_held_to_the_setting_at_its_last_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_canary_that_is_not_served_is_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_on_trial_against_an_old_head_is_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_is_done_once_whatever_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_that_is_refused_is_not_given_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shadow_is_judged_on_rows_newer_than_its_training, set_up, tear_down),
        cmocka_unit_test_setup_teardown(withdrawn_candidates_cost_the_champion_no_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_newest_three_champions_keep_their_checkpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_exploration_a_round_holds_untrained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_training_alarm_rejects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wider_window_trains_on_the_newest_versions_warns_and_judges_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_head_in_the_meantime_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_candidate_has_a_number_that_nobody_has_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_publication_that_must_wait_is_tried_at_the_next_tick, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_before_publishing_publishes_the_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_after_publishing_does_it_again_and_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stopped_or_killed_round_ends_as_an_undisturbed_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_round_whose_leadership_comes_back_ends_as_an_undisturbed_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_round_whose_parent_is_no_longer_the_head_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_round_is_given_up_only_while_it_is_trained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_settings_do_not_resume_a_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_learner_that_can_be_served_makes_rounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_reach_the_learner_they_are_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_round_depends_on_its_own_learners_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_learner_without_a_record_leaves_its_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_no_policy_start_cold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_settings_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ten_rounds_take_no_more_memory_than_three, set_up, tear_down),
    };
    // clang-format on
    return cmocka_run_group_tests(tests, NULL, NULL);
}
