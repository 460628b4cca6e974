/** The whole gate judges whole rounds of a miniature world: what share of them it promotes, where
 *  the candidate is truly better, where it is worth the same, and where the round was poisoned. A
 *  round is real, from rows in a store to the verdict; only its network is tiny.
 *
 *  The world: a request's reward is what its two items bring (each is consumed or not, more likely
 *  the higher its first prediction) and a payment 0.5 s_0 + slope . (a - bp) + noise of user and
 *  request. Sessions do not hang on actions, so that a candidate's true gain is slope . drift. With
 *  slope 0 predictions say nothing either: all policies are equal in every respect. */
#include "data_fixture.h"

#include "learner/rounds.h"
#include "publish/gate.h"

enum { SEEDS = 100, EQUALS = 300, SESSIONS = 1000 };
#define SLOPE 1.4

typedef enum poison {
    NO_POISON,
    SHUFFLED,         /* every request has another's rewards */
    FLIPPED,          /* the settings' reward weights have the wrong sign */
    FLIPPED_TRAINING, /* training sees the rewards' negative, the gate does not */
    NOT_A_NUMBER,     /* a feature of one state in a hundred, past all validation */
    TORN, /* no poison: later requests of a session lose a fifth of what first ones gain */
    TINY,
    LEAVES_THE_BOX, /* trained without the penalty */
    STRAYS,         /* with too small a one */
} poison;

/** One round's world and what came of it. */
typedef struct mini_world {
    double slope; /* of the first action dimension; minus half of it is the second's */
    poison poison;
    uint64_t seed, sessions;
    double z; /* gate.z */
    mtf_round_report report;
} mini_world;

/** Rounds share a store: each has a champion of its own, whose rows are a day of their own. */
typedef struct fixture {
    char folder[MTF_TEST_PATH];
    mtf_settings settings;
    mtf_store *store;
    int64_t rounds, offset; /* so far */
    mtf_policy *head;
    mini_world *world;
} fixture;

static mtf_status head(void *arg, mtf_policy **champion, int64_t *newest_version, mtf_err *err)
{
    const fixture *f = arg;
    (void)err;
    *champion = mtf_policy_clone(f->head);
    *newest_version = f->head->info.version;
    return MTF_OK;
}

static mtf_status gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err)
{
    const fixture *f = arg;
    (void)candidate;
    (void)err;
    const mtf_gate_config config = mtf_gate_config_of(&f->settings);
    mtf_gate_decide(&config, evidence, verdict);
    return MTF_OK;
}

/** Nobody serves the candidates of this world: the next round has a champion of its own. */
static mtf_status publish(void *arg, mtf_policy *policy, mtf_err *err)
{
    (void)arg;
    (void)policy;
    (void)err;
    return MTF_OK;
}

static void report(void *arg, const mtf_round_report *report)
{
    const fixture *f = arg;
    f->world->report = *report;
}

/* -- the world --------------------------------------------------- */

/** Of request number `request` of a session. */
static double slope_of(const mini_world *world, uint32_t request)
{
    return world->poison == TORN && request > 0 ? -world->slope / 5 : world->slope;
}

static void pay(double slope, mtf_rng *rng, double of_user, const mtf_step *step,
                mtf_signal (*signals)[DATA_K])
{
    const float *a = step->request.action.data, *bp = step->request.baseline_action.data;
    double payment = 0.5 * (double)step->request.state.data[0] + of_user + mtf_rng_normal(rng);
    payment += slope * (double)(a[0] - bp[0]) - slope / 2 * (double)(a[1] - bp[1]);
    for (int k = 0; k < 2; k++) {
        const double likely = slope == 0 ? 0.5 : (double)step->request.items[k].predictions.data[0];
        signals[k][0] = (mtf_signal){mtf_str_of("valid"), mtf_rng_uniform(rng) < likely};
        signals[k][1] = (mtf_signal){mtf_str_of("watch"), k == 0 ? payment : 0};
    }
}

static void negate(mtf_signal (*signals)[DATA_K])
{
    for (int k = 0; k < 2; k++)
        for (int n = 0; n < DATA_K; n++) signals[k][n].value = -signals[k][n].value;
}

/** What a step's rewards come from: itself, or where they are shuffled, a step of nobody's. */
static const mtf_step *cause_of(const mini_world *world, const data_world *base, uint64_t index,
                                const data_session *of, uint32_t i, data_session *nobody)
{
    if (world->poison != SHUFFLED) return &of->steps[i];
    data_session_make(base, index + 1000000 * ((uint64_t)i + 1), nobody);
    return &nobody->steps[0];
}

static void make_session(const fixture *f, uint64_t index, data_session *out)
{
    const mini_world *world = f->world;
    const data_world base = {.seed = world->seed,
                             .half_width = 0.15f,
                             .version = f->head->info.version,
                             .start_ms = (100 + f->rounds) * (int64_t)MTF_DAY_MS};
    mtf_rng rng = mtf_rng_of(world->seed + 1, index);
    mtf_rng user = mtf_rng_of(world->seed + 2, index / 3);
    data_session nobody;
    data_session_make(&base, index, out);
    const mtf_selection selection = {.holdout_percent = f->settings.round_holdout_percent};
    const bool trains = !mtf_held_out(&selection, mtf_row_user(mtf_str_of(out->user)));
    const double of_user = 0.3 * mtf_rng_normal(&user);
    for (uint32_t i = 0; i < out->session.step_count; i++) {
        const mtf_step *cause = cause_of(world, &base, index, out, i, &nobody);
        pay(slope_of(world, i), &rng,
            world->poison == SHUFFLED ? 0.3 * mtf_rng_normal(&rng) : of_user, cause,
            out->signals[i]);
        if (world->poison == FLIPPED_TRAINING && trains) negate(out->signals[i]);
        if (world->poison == NOT_A_NUMBER && mtf_rng_below(&rng, 100) == 0)
            out->floats[i][1] = (float)NAN;
    }
}

static void fill(fixture *f)
{
    mtf_err err = {0};
    for (uint64_t i = 0; i < f->world->sessions; i++) {
        data_session made;
        make_session(f, i, &made);
        data_session_store(f->store, &f->settings, &made.session, f->offset++);
    }
    const mtf_store_position position = {.next = f->offset, .last = f->offset - 1};
    mtf_assert_ok(mtf_store_set_position(f->store, &position, &err), &err);
    mtf_assert_ok(mtf_store_commit(f->store, &err), &err);
}

/* -- a round ----------------------------------------------------- */

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    mtf_test_folder(f->folder);
    data_settings(&f->settings, f->folder);
    const char *pairs[][2] = {
        {"reward.clip", "watch=8"},      {"round.holdout_percent", "50"},
        {"gate.min_transitions", "500"}, {"gate.bootstrap", "100"},
        {"gate.fqe_steps", "0"},         {"learner.actor_lr", "0.01"},
        {"learner.critic_lr", "0.01"},   {"learner.steps", "200"},
        {"learner.target_every", "5"},   {"learner.feed_mb", "16"},
        {"store.commit_rows", "100000"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        data_set(&f->settings, pairs[i][0], pairs[i][1]);
    f->store = data_store(&f->settings);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    mtf_store_close(f->store);
    mtf_settings_fini(&f->settings);
    mtf_test_folder_remove(f->folder);
    free(f);
    return 0;
}

static void set_number(fixture *f, const char *key, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.17g", value);
    data_set(&f->settings, key, text);
}

static void set_world(fixture *f, mini_world *world)
{
    const poison by = world->poison;
    f->world = world;
    f->rounds++;
    set_number(f, "learner.seed", (double)world->seed);
    set_number(f, "round.min_sessions", (double)world->sessions);
    set_number(f, "gate.z", world->z);
    data_set(&f->settings, "reward.weights",
             by == FLIPPED ? "valid=-1 watch=-1" : "valid=1 watch=1");
    data_set(&f->settings, "learner.penalty", by == LEAVES_THE_BOX ? "none" : "expm1");
    data_set(&f->settings, "learner.eta", by == STRAYS ? "0.005" : "1.2");
}

/** A champion of the world's own, the policy of zeros. */
static void set_head(fixture *f, const mtf_action_table *table)
{
    const uint32_t widths[] = {DATA_S, DATA_A};
    f->head = mtf_policy_new(widths, 1, table);
    assert_non_null(f->head);
    mtf_policy_info *info = &f->head->info;
    info->version = 10 * f->rounds;
    info->box = 0.15f;
    snprintf(info->algorithm, sizeof info->algorithm, "initial");
    snprintf(info->name, sizeof info->name, "%s", f->settings.policy_name);
}

/** Plays the world's round; world->report says what came of it. */
static void play(fixture *f, mini_world *world)
{
    mtf_err err = {0};
    mtf_action_table table;
    mtf_rounds *rounds;
    set_world(f, world);
    const mtf_reward reward = data_reward(&f->settings);
    mtf_assert_ok(mtf_action_table_parse(&table, f->settings.policy_actions, &err), &err);
    set_head(f, &table);
    fill(f);
    const mtf_rounds_config config = {
        .settings = &f->settings,
        .reward = &reward,
        .table = &table,
        .store = f->store,
        .hooks = {.arg = f, .head = head, .gate = gate, .publish = publish, .report = report}};
    mtf_assert_ok(mtf_rounds_open(&config, &rounds, &err), &err);
    mtf_assert_ok(mtf_rounds_tick(rounds, &err), &err);
    mtf_rounds_close(rounds);
    mtf_policy_free(f->head);
    assert_true(world->report.round > 0);
}

/** The candidate's true gain in standard errors of the check. */
static double true_z(const mini_world *world)
{
    const mtf_first_order *found = &world->report.evaluation.first_order;
    return world->slope * (found->drift[0] - found->drift[1] / 2) / world->report.evidence.value_se;
}

static bool promoted(const mini_world *world)
{
    return world->report.verdict.kind == MTF_VERDICT_PROMOTE;
}

static uint64_t world_seed(uint64_t first, int number)
{
    return 1000 * first + 10 * (uint64_t)number;
}

static void a_poisoned_round_is_never_promoted(void **state)
{
    static const struct {
        poison poison;
        const char *name;
        const char *reasons; /* that may be given */
        uint64_t sessions;
    } rows[] = {
        {SHUFFLED, "shuffled", "skill value ranking", SESSIONS / 2},
        {FLIPPED, "flipped", "reward", SESSIONS / 2},
        {FLIPPED_TRAINING, "flipped in training", "skill", SESSIONS / 2},
        {NOT_A_NUMBER, "not a number", "integrity", SESSIONS / 2},
        {TINY, "tiny", "data", 60},
        {LEAVES_THE_BOX, "leaves the box", "health support", SESSIONS / 2},
        {STRAYS, "strays from the box", "health support", SESSIONS / 2},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int n = 0; n < SEEDS; n++) {
            mini_world world = {.slope = SLOPE,
                                .poison = rows[i].poison,
                                .seed = world_seed(2, n),
                                .sessions = rows[i].sessions,
                                .z = 1};
            play(f, &world);
            char word[20] = "";
            sscanf(world.report.verdict.reason, "%19[a-z_]", word);
            if (promoted(&world) || !strstr(rows[i].reasons, word))
                fail_msg("%s, seed %d: %s: %s", rows[i].name, n,
                         mtf_verdict_text(world.report.verdict.kind), world.report.verdict.reason);
        }
    }
}

static void a_truly_better_candidate_mostly_is(void **state)
{
    fixture *f = *state;
    int better = 0, served = 0;
    for (int n = 0; n < SEEDS; n++) {
        mini_world world = {.slope = SLOPE, .seed = world_seed(3, n), .sessions = SESSIONS, .z = 1};
        play(f, &world);
        if (true_z(&world) < 2) continue;
        better++;
        served += promoted(&world);
    }
    print_message("truly better by two standard errors: %d of %d, promoted %d\n", better, SEEDS,
                  served);
    assert_true(better >= 0.8 * SEEDS);
    assert_true(served >= 0.8 * better);
}

/** Worth more on the whole, since first requests gain much; a session's later ones lose. */
static void a_gain_that_a_part_pays_for_is_held(void **state)
{
    fixture *f = *state;
    int worth_more = 0, held = 0;
    for (int n = 0; n < SEEDS / 4; n++) {
        mini_world world = {
            .slope = 12, .poison = TORN, .seed = world_seed(5, n), .sessions = SESSIONS, .z = 1};
        play(f, &world);
        if (world.report.evidence.value_z < 1) continue;
        worth_more++;
        held += strncmp(world.report.verdict.reason, "part: later_z", 13) == 0;
    }
    print_message("a part pays: %d of %d worth more, held %d\n", worth_more, SEEDS / 4, held);
    assert_true(worth_more >= 0.8 * SEEDS / 4);
    assert_true(held >= 0.8 * worth_more);
}

/** Where actions do nothing, all policies are worth the same. The share promoted is that of a
 *  normal above gate.z. */
static void equal_ones_are_at_the_rate_that_the_setting_promises(void **state)
{
    fixture *f = *state;
    const double limits[] = {1, 1.645};
    int count[2] = {0};
    double square = 0;
    for (int n = 0; n < EQUALS; n++) {
        mini_world world = {.seed = world_seed(4, n), .sessions = SESSIONS / 2, .z = limits[0]};
        play(f, &world);
        square += world.report.evidence.value_z * world.report.evidence.value_z;
        for (int k = 0; k < 2; k++) {
            mtf_verdict verdict;
            mtf_gate_config config = mtf_gate_config_of(&f->settings);
            config.z = limits[k];
            mtf_gate_decide(&config, &world.report.evidence, &verdict);
            count[k] += verdict.kind == MTF_VERDICT_PROMOTE;
        }
    }
    for (int k = 0; k < 2; k++) {
        const double share = 0.5 * erfc(limits[k] / sqrt(2));
        const double expected = share * EQUALS, deviation = sqrt(expected * (1 - share));
        print_message(
            "equal, gate.z %.3f: promoted %d of %d, %.1f +- %.1f promised; sd of z %.3f\n",
            limits[k], count[k], EQUALS, expected, deviation, sqrt(square / EQUALS));
        assert_true(fabs(count[k] - expected) < 3 * deviation);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poisoned_round_is_never_promoted),
        cmocka_unit_test(a_truly_better_candidate_mostly_is),
        cmocka_unit_test(a_gain_that_a_part_pays_for_is_held),
        cmocka_unit_test(equal_ones_are_at_the_rate_that_the_setting_promises),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
