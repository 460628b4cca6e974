/** Goal: a learner killed anywhere ends as one that was never killed: the same policies published,
 *  each once, the same verdicts, the same rows. Method: this program runs itself as the learner, on
 *  a source in memory and a policy topic of files; it has it killed at every named point
 *  (core/fault.h) and at twenty random moments, starts it again, and compares with an undisturbed
 *  run. Three rounds: promoted, held, promoted. */
#include "learner/learn.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/hash.h"
#include "data_fixture.h"

enum { SESSIONS = 1000, RECORDS_MAX = 8, RUN_WAIT_S = 100 };

/* -- the learner, in a process of its own -------------------------- */

typedef struct learner {
    const char *folder;
    mtf_settings settings;
    uint64_t at;
    bool assigned;
    data_session decoded;
} learner;

/** Sessions come as they do in life, after the policy they were served by: so every round has the
 *  same cut, however often its learner is started. */
static uint64_t sessions_there(const learner *l)
{
    static const uint64_t by_records[] = {300, 300, 600, 900};
    for (int i = 0; i < 4; i++) {
        char path[2 * MTF_TEST_PATH];
        snprintf(path, sizeof path, "%s/topic-%d", l->folder, i);
        if (access(path, F_OK) != 0) return by_records[i];
    }
    return SESSIONS;
}

static mtf_status poll(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    learner *l = self;
    (void)timeout_ms, (void)err;
    input->partition = 0;
    input->kind = l->assigned ? MTF_INPUT_MESSAGE : MTF_INPUT_ASSIGN;
    if (l->assigned && l->at == SESSIONS) return MTF_CLOSED;
    if (l->assigned && l->at >= sessions_there(l)) return MTF_AGAIN;
    if (l->assigned) {
        input->message = (mtf_message){.topic = mtf_str_of("mtf.sessions"),
                                       .offset = (int64_t)l->at,
                                       .value = {(const uint8_t *)&l->at, sizeof l->at}};
        data_world world = {.seed = 5, .slope = {2, -1}, .noise = 0.1, .half_width = 0.15f};
        world.version = l->at < 300 ? 1 : l->at < 900 ? 2 : 4;
        data_session_make(&world, l->at++, &l->decoded);
    }
    l->assigned = true;
    return MTF_OK;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    learner *l = self;
    (void)partition, (void)err;
    l->at = (uint64_t)offset;
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    (void)self, (void)partition, (void)err;
    *first = 0;
    *end = SESSIONS;
    return MTF_OK;
}

static mtf_status decode(void *self, mtf_span value, mtf_arena *arena, mtf_session *session,
                         mtf_err *err)
{
    const learner *l = self;
    (void)value, (void)arena, (void)err;
    *session = l->decoded.session;
    return MTF_OK;
}

/** Record number `index` of the topic; NULL: there are no more. */
static mtf_policy *topic_read(const char *folder, int index, mtf_buf *record)
{
    char path[2 * MTF_TEST_PATH];
    mtf_policy *policy = NULL;
    snprintf(path, sizeof path, "%s/topic-%d", folder, index);
    mtf_buf_clear(record);
    if (mtf_file_read(path, 1 << 20, record, NULL) != MTF_OK) return NULL;
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_decode(mtf_buf_span(record), &policy, &err), &err);
    return policy;
}

static mtf_status head(void *arg, mtf_policy **champion, int64_t *newest, mtf_err *err)
{
    const learner *l = arg;
    mtf_buf record = {0};
    mtf_policy *policy;
    (void)err;
    *champion = NULL;
    *newest = 0;
    for (int i = 0; (policy = topic_read(l->folder, i, &record)); i++) {
        *newest = policy->info.version > *newest ? policy->info.version : *newest;
        if (strcmp(policy->info.verdict, "promote") == 0) {
            mtf_policy_free(*champion);
            *champion = policy;
        } else {
            mtf_policy_free(policy);
        }
    }
    mtf_buf_fini(&record);
    return MTF_OK;
}

static mtf_status gate(void *arg, const mtf_evidence *evidence, mtf_policy *candidate,
                       mtf_verdict *verdict, mtf_err *err)
{
    (void)arg, (void)evidence, (void)err;
    *verdict = (mtf_verdict){candidate->info.round == 2 ? MTF_VERDICT_HOLD : MTF_VERDICT_PROMOTE,
                             "by its number"};
    return MTF_OK;
}

/** A record of a version that is there must be that very record; it is not put again. */
static mtf_status publish(void *arg, mtf_policy *candidate, mtf_err *err)
{
    const learner *l = arg;
    char path[2 * MTF_TEST_PATH];
    mtf_buf record = {0}, other = {0};
    mtf_policy *policy;
    int i = 0;
    bool there = false;
    mtf_assert_ok(mtf_policy_encode(candidate, &record, err), err);
    for (; (policy = topic_read(l->folder, i, &other)); i++) {
        if (policy->info.version == candidate->info.version) {
            assert_int_equal(other.size, record.size);
            assert_memory_equal(other.data, record.data, record.size);
            there = true;
        }
        mtf_policy_free(policy);
    }
    snprintf(path, sizeof path, "%s/topic-%d", l->folder, i);
    if (!there) mtf_assert_ok(mtf_file_replace(path, mtf_buf_span(&record), err), err);
    mtf_buf_fini(&record);
    mtf_buf_fini(&other);
    return MTF_OK;
}

/** argv: program, "learner", folder, steps of a round. */
static int be_the_learner(const char *folder, const char *steps)
{
    learner l = {.folder = folder};
    mtf_err err = {0};
    data_settings(&l.settings, folder);
    data_set(&l.settings, "learner.steps", steps);
    data_set(&l.settings, "store.commit_interval_ms", "60000"); /* commits by rows alone */
    data_set(&l.settings, "round.max_rounds", "0");
    mtf_source source = {.self = &l, .poll = poll, .start = start, .range = range};
    const mtf_session_decoder decoder = {&l, decode};
    const mtf_log log = {.level = MTF_LOG_INFO, .fd = 2};
    const mtf_learn_config config = {
        .settings = &l.settings,
        .source = &source,
        .decoder = &decoder,
        .cluster_id = "",
        .hooks = {.arg = &l, .head = head, .gate = gate, .publish = publish},
        .log = &log,
        .continuous = true,
        .checkpoint_every = 50,
    };
    mtf_learn *learn = NULL;
    mtf_status status = mtf_learn_open(&config, &learn, &err);
    if (status == MTF_OK) status = mtf_learn_run(learn, &err);
    mtf_learn_close(learn);
    mtf_settings_fini(&l.settings);
    if (status) fprintf(stderr, "learner: %s\n", err.msg);
    return status ? 1 : 0;
}

/* -- the test ------------------------------------------------------ */

/** Starts the learner, to be killed at `point` unless NULL. */
static pid_t start_learner(const char *folder, const char *steps, const char *point)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    if (point)
        setenv("MTF_FAULT_POINT", point, 1);
    else
        unsetenv("MTF_FAULT_POINT");
    char *const arguments[] = {"test_recovery", "learner", (char *)(uintptr_t)folder,
                               (char *)(uintptr_t)steps, NULL};
    alarm(RUN_WAIT_S);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

static int wait_status(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void run_to_the_end(const char *folder, const char *steps)
{
    const int status = wait_status(start_learner(folder, steps, NULL));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/** What a run came to. */
typedef struct outcome {
    int records;
    struct {
        int64_t version, parent, round;
        char verdict[16];
        uint8_t sha256[32]; /* of the network: the record holds the time of day too */
    } record[RECORDS_MAX];
    uint64_t rows; /* hash of all, in the store's order */
    mtf_store_totals totals;
    int64_t next;
} outcome;

static void read_store(const char *folder, outcome *o)
{
    mtf_settings settings;
    mtf_err err = {0};
    mtf_buf all = {0};
    mtf_span value;
    size_t count;
    mtf_status status;
    data_settings(&settings, folder);
    mtf_store *store = data_store(&settings);
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    while ((status = mtf_store_next(cursor, &value, &err)) == MTF_OK)
        mtf_buf_put(&all, value.data, value.size);
    assert_int_equal(status, MTF_CLOSED);
    o->rows = mtf_hash64(all.data, all.size);
    o->totals = *mtf_store_totals_of(store);
    o->next = mtf_store_positions(store, &count)[0].next;
    mtf_store_cursor_close(cursor);
    mtf_store_close(store);
    mtf_buf_fini(&all);
    mtf_settings_fini(&settings);
}

static void read_outcome(const char *folder, outcome *o)
{
    mtf_buf record = {0};
    mtf_policy *policy;
    memset(o, 0, sizeof *o);
    for (; (policy = topic_read(folder, o->records, &record)); o->records++) {
        assert_true(o->records < RECORDS_MAX);
        o->record[o->records].version = policy->info.version;
        o->record[o->records].parent = policy->info.parent;
        o->record[o->records].round = policy->info.round;
        snprintf(o->record[o->records].verdict, 16, "%s", policy->info.verdict);
        memcpy(o->record[o->records].sha256, policy->sha256, 32);
        mtf_policy_free(policy);
    }
    mtf_buf_fini(&record);
    read_store(folder, o);
}

static void assert_same(const outcome *o, const outcome *undisturbed, const char *what)
{
    if (o->records != undisturbed->records)
        fail_msg("%s: %d records, not %d", what, o->records, undisturbed->records);
    if (memcmp(o->record, undisturbed->record, sizeof o->record) != 0)
        fail_msg("%s: other policies or verdicts", what);
    if (o->rows != undisturbed->rows || o->next != undisturbed->next ||
        memcmp(&o->totals, &undisturbed->totals, sizeof o->totals) != 0)
        fail_msg("%s: other rows, positions or counts", what);
}

static void undisturbed_run(const char *steps, outcome *o)
{
    char folder[MTF_TEST_PATH];
    mtf_test_folder(folder);
    run_to_the_end(folder, steps);
    read_outcome(folder, o);
    mtf_test_folder_remove(folder);
    assert_int_equal(o->records, 4); /* the first policy and three candidates */
    assert_string_equal(o->record[1].verdict, "promote");
    assert_string_equal(o->record[2].verdict, "hold");
    assert_string_equal(o->record[3].verdict, "promote");
    assert_int_equal(o->record[3].version, 4);
    assert_int_equal(o->totals.sessions, SESSIONS);
}

static void killed_at_any_named_point_it_ends_the_same(void **state)
{
    static const char *const points[] = {"learn.commit",  "learn.committed", "learn.checkpoint",
                                         "learn.trained", "learn.gated",     "learn.published",
                                         "learn.ended"};
    outcome undisturbed, o;
    (void)state;
    undisturbed_run("120", &undisturbed);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char folder[MTF_TEST_PATH];
        mtf_test_folder(folder);
        const int status = wait_status(start_learner(folder, "120", points[i]));
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("%s: not killed there", points[i]);
        run_to_the_end(folder, "120");
        read_outcome(folder, &o);
        assert_same(&o, &undisturbed, points[i]);
        mtf_test_folder_remove(folder);
    }
}

static void ends_the_same(const char *folder, const outcome *undisturbed)
{
    outcome o;
    run_to_the_end(folder, "12000");
    read_outcome(folder, &o);
    assert_same(&o, undisturbed, "random moments");
}

/** A learner that got to its end between two kills is checked, and another begins. */
static void killed_at_twenty_random_moments_it_ends_the_same(void **state)
{
    outcome undisturbed;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(1), 0);
    char folder[MTF_TEST_PATH];
    int killed = 0;
    (void)state;
    undisturbed_run("12000", &undisturbed);
    mtf_test_folder(folder);
    for (int tries = 0; killed < 20; tries++) {
        const struct timespec moment = {.tv_nsec = (long)(20 + mtf_rng_below(&rng, 200)) * 1000000};
        const pid_t pid = start_learner(folder, "12000", NULL);
        nanosleep(&moment, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        if (WIFSIGNALED(wait_status(pid))) {
            killed++;
            continue;
        }
        assert_true(tries < 200);
        ends_the_same(folder, &undisturbed);
        mtf_test_folder_remove(folder);
        mtf_test_folder(folder);
    }
    ends_the_same(folder, &undisturbed);
    mtf_test_folder_remove(folder);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "learner") == 0) return be_the_learner(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_named_point_it_ends_the_same),
        cmocka_unit_test(killed_at_twenty_random_moments_it_ends_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
