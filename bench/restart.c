/** How soon a learner takes records again after kill -9, and how fast it took them before.
 *
 *    restart FOLDER [rows, default 1000000]
 *
 *  Default settings, sessions of 10 steps and 4 items from memory: no Kafka. The learner is killed
 *  in the middle of a batch, once the store has the rows; the time counts from the start of the new
 *  process to its first new record, and to the commit of that record. FOLDER is a scratch folder,
 *  removed at the end. One JSON object. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/rng.h"
#include "learner/learn.h"

enum { STEPS = 10, ITEMS = 4, STATE = 64, ACTION = 10, PREDICTIONS = 5, USER_STEPS = 3 };

typedef struct feeder {
    int64_t at, kill_at, end; /* sessions */
    bool assigned;
    int report; /* where the moments of interest are written to; -1: nowhere */
    mtf_session session;
    mtf_step steps[STEPS];
    mtf_item items[STEPS][ITEMS];
    mtf_signal signals[STEPS][ITEMS][2];
    float floats[STEPS][STATE + 2 * ACTION + ITEMS * PREDICTIONS];
    char user[32];
} feeder;

static void tell(const feeder *f)
{
    const int64_t now_ns = mtf_clock_mono_ns();
    if (f->report >= 0 && write(f->report, &now_ns, sizeof now_ns) != sizeof now_ns) exit(1);
}

static void make_session(feeder *f, int64_t number)
{
    mtf_rng rng = mtf_rng_of(1, (uint64_t)number);
    snprintf(f->user, sizeof f->user, "user-%lld", (long long)(number / USER_STEPS));
    f->session = (mtf_session){.user_id = mtf_str_of(f->user),
                               .started_ms = 1767225600000 + number * 864, /* 10^5 a day */
                               .end_reason = MTF_END_GAP,
                               .parts = 1,
                               .steps = f->steps,
                               .step_count = STEPS};
    memcpy(f->session.session_id, &number, sizeof number);
    for (int i = 0; i < STEPS; i++) {
        float *at = f->floats[i];
        for (size_t k = 0; k < sizeof f->floats[i] / sizeof *at; k++)
            at[k] = (float)mtf_rng_uniform(&rng);
        float *action = at + STATE, *bp = action + ACTION, *predictions = bp + ACTION;
        for (int k = 0; k < ITEMS; k++) {
            mtf_signal *signals = f->signals[i][k];
            signals[0] = (mtf_signal){mtf_str_of("watch"), mtf_rng_uniform(&rng)};
            signals[1] = (mtf_signal){mtf_str_of("valid"), 1};
            f->items[i][k] = (mtf_item){.item_id = mtf_str_of("item"),
                                        .predictions = {predictions + k * PREDICTIONS, PREDICTIONS},
                                        .signals = {signals, 2}};
        }
        f->steps[i] = (mtf_step){.event_id = mtf_str_of("event"),
                                 .time_ms = f->session.started_ms + 1000 * i,
                                 .request = {.policy_version = 1,
                                             .state = {at, STATE},
                                             .action = {action, ACTION},
                                             .baseline_action = {bp, ACTION},
                                             .sample_weight = 1,
                                             .items = f->items[i],
                                             .item_count = ITEMS}};
    }
}

static mtf_status poll_one(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    feeder *f = self;
    (void)timeout_ms, (void)err;
    input->partition = 0;
    input->kind = f->assigned ? MTF_INPUT_MESSAGE : MTF_INPUT_ASSIGN;
    if (f->assigned) {
        if (f->at == f->kill_at) raise(SIGKILL);
        if (f->at == f->end) return MTF_CLOSED;
        input->message = (mtf_message){.topic = mtf_str_of("mtf.sessions"),
                                       .offset = f->at,
                                       .value = {(const uint8_t *)&f->at, sizeof f->at}};
        make_session(f, f->at++);
    }
    f->assigned = true;
    return MTF_OK;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    feeder *f = self;
    (void)partition, (void)err;
    f->at = offset;
    tell(f);
    if (f->report >= 0) f->end = offset + 2; /* the last one again, and a new one */
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    (void)self, (void)partition, (void)err;
    *first = 0;
    *end = INT64_MAX;
    return MTF_OK;
}

static mtf_status decode(void *self, mtf_span value, mtf_arena *arena, mtf_session *session,
                         mtf_err *err)
{
    const feeder *f = self;
    (void)value, (void)arena, (void)err;
    *session = f->session;
    return MTF_OK;
}

static mtf_status no_head(void *arg, mtf_policy **champion, int64_t *newest, mtf_err *err)
{
    (void)arg, (void)err;
    *champion = NULL;
    *newest = 0;
    return MTF_OK;
}

static bool follows(void *arg)
{
    (void)arg;
    return false; /* no rounds: rows alone */
}

/** Takes sessions until killed or at their end; the process's exit code. */
static int be_the_learner(feeder *f, const char *path)
{
    mtf_settings settings = {0};
    mtf_err err = {0};
    mtf_learn *learn = NULL;
    mtf_source source = {.self = f, .poll = poll_one, .start = start, .range = range};
    const mtf_session_decoder decoder = {f, decode};
    mtf_status status = mtf_settings_init(&settings, &err);
    if (status == MTF_OK) status = mtf_settings_set(&settings, "store.path", path, "bench", &err);
    const mtf_learn_config config = {
        .settings = &settings,
        .source = &source,
        .decoder = &decoder,
        .cluster_id = "",
        .hooks = {.head = no_head, .leads = follows},
        .continuous = true,
    };
    if (status == MTF_OK) status = mtf_learn_open(&config, &learn, &err);
    if (status == MTF_OK) status = mtf_learn_run(learn, &err);
    tell(f);
    mtf_learn_close(learn);
    mtf_settings_fini(&settings);
    if (status) fprintf(stderr, "restart: %s\n", err.msg);
    return status ? 1 : 0;
}

/** Runs the learner in a process of its own; its wait status. */
static int run_learner(const char *path, int64_t kill_at, int report)
{
    const pid_t pid = fork();
    if (pid < 0) exit(1);
    if (pid == 0) {
        static feeder f;
        f.kill_at = kill_at;
        f.end = INT64_MAX;
        f.report = report;
        exit(be_the_learner(&f, path));
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) exit(1);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: restart FOLDER [rows]\n");
        return 64;
    }
    const int64_t rows = argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000;
    char path[4096];
    snprintf(path, sizeof path, "%s/restart-store", argv[1]);
    if (mtf_folder_remove(path, NULL) != MTF_OK) return 1;
    const int64_t began_ns = mtf_clock_mono_ns();
    /* A third of a batch is lost. */
    int status = run_learner(path, rows / STEPS + 4096 / STEPS / 3, -1);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 1;
    const int64_t killed_ns = mtf_clock_mono_ns();
    int ends[2];
    int64_t moments[2];
    if (pipe(ends) != 0) return 1;
    const int64_t start_ns = mtf_clock_mono_ns();
    status = run_learner(path, -1, ends[1]);
    if (status != 0 || read(ends[0], moments, sizeof moments) != sizeof moments) return 1;
    printf("{\"rows\":%lld,\"rows_per_second_before\":%.0f,\"restart_to_first_record_s\":%.3f,"
           "\"restart_to_first_commit_s\":%.3f}\n",
           (long long)rows, (double)rows * 1e9 / (double)(killed_ns - began_ns),
           1e-9 * (double)(moments[0] - start_ns), 1e-9 * (double)(moments[1] - start_ns));
    return mtf_folder_remove(path, NULL) == MTF_OK ? 0 : 1;
}
