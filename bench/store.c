/** What the learner's store costs: sessions decoded, exploded and written to RocksDB; then a scan,
 * and gradient steps fed from it (fed.h). One JSON object a million rows, so that growth shows; the
 * last one has the reading.
 *
 *    store FOLDER [rows, default 1000000] [users, default 50000]
 *    store rocksdb FOLDER ROWS    the limits: the same records as they come, undecoded, written by
 *    store file FOLDER ROWS       RocksDB as it is, or to one file; as often synced
 *
 *  Sessions of 10 requests with 64 features, 10 action dimensions and 4 items, 100,000 a day of
 * data, as encoded records through the learner's own loop with its default settings; FOLDER is a
 * scratch folder. */
#include <fcntl.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rng.h"
#include "fed.h"
#include "ingest/decoder.h"
#include "core/encode.h"
#include "learner/blas_core.h"
#include "learner/learn.h"

enum { STEPS = 10, ITEMS = 4, STATE = 64, ACTION = 10, PREDICTIONS = 5, PARTITIONS = 4, POOL = 64 };
enum { SESSIONS_A_DAY = 100000, FRAME_BYTES = 10 };
enum { HIDDEN = 64 };                   /* a short step, of which feeding is the larger share */
#define START_MS INT64_C(1767225600000) /* 2026-01-01 */

static const char *const signals[] = {"valid", "watch", "finish", "positive", "negative"};

/** The sessions topic, out of memory: a pool of encoded sessions of the day, each sent again and
 *  again under another session id. */
typedef struct supply {
    uint64_t total, given, users;
    int told; /* partitions */
    mtf_rng rng;
    mtf_buf records[POOL];
    int64_t day;
    char topic[8];
} supply;

static double uniform(mtf_rng *rng)
{
    return mtf_rng_uniform(rng);
}

static void fill_request(mtf_request *request, float *floats, mtf_rng *rng)
{
    mtf_floats *const blocks[] = {&request->state, &request->action, &request->baseline_action,
                                  &request->lower, &request->upper};
    static const uint32_t sizes[] = {STATE, ACTION, ACTION, ACTION, ACTION};
    for (int b = 0; b < 5; b++) {
        *blocks[b] = (mtf_floats){floats, sizes[b]};
        for (uint32_t i = 0; i < sizes[b]; i++)
            floats[i] = b == 0   ? (float)mtf_rng_normal(rng)
                        : b == 1 ? (float)(0.3 * uniform(rng) - 0.15)
                        : b == 2 ? 0
                        : b == 3 ? -0.15F
                                 : 0.15F;
        floats += sizes[b];
    }
    request->policy_version = 1;
    request->bucket = MTF_BUCKET_EXPLORE;
    request->sample_weight = 1;
    request->item_count = ITEMS;
    for (int n = 0; n < ITEMS; n++) {
        mtf_item *item = &request->items[n];
        item->predictions = (mtf_floats){floats, PREDICTIONS};
        for (int p = 0; p < PREDICTIONS; p++) *floats++ = (float)uniform(rng);
        for (uint32_t s = 0; s < item->signals.count; s++)
            item->signals.data[s].value = uniform(rng);
    }
}

static mtf_status make_record(supply *s, mtf_buf *record, mtf_err *err)
{
    mtf_step steps[STEPS] = {0};
    mtf_item items[STEPS][ITEMS] = {0};
    mtf_signal values[STEPS][ITEMS][5];
    float floats[STEPS][STATE + 4 * ACTION + ITEMS * PREDICTIONS];
    char user[32], names[STEPS][ITEMS][8], ids[STEPS][16];
    const int64_t start_ms =
        START_MS + s->day * 86400000 + (int64_t)mtf_rng_below(&s->rng, 86000000);
    snprintf(user, sizeof user, "user-%llu", (unsigned long long)mtf_rng_below(&s->rng, s->users));
    for (int i = 0; i < STEPS; i++) {
        for (int n = 0; n < ITEMS; n++) {
            snprintf(names[i][n], sizeof names[i][n], "i%d", n);
            items[i][n].item_id = mtf_str_of(names[i][n]);
            items[i][n].signals = (mtf_signals){values[i][n], 5};
            for (int k = 0; k < 5; k++) values[i][n][k].name = mtf_str_of(signals[k]);
        }
        snprintf(ids[i], sizeof ids[i], "e%d", i);
        steps[i] = (mtf_step){.event_id = mtf_str_of(ids[i]), .time_ms = start_ms + i * 30000};
        steps[i].request.items = items[i];
        fill_request(&steps[i].request, floats[i], &s->rng);
    }
    const mtf_session session = {.user_id = mtf_str_of(user),
                                 .started_ms = start_ms,
                                 .ended_ms = start_ms + STEPS * 30000,
                                 .end_reason = MTF_END_GAP,
                                 .parts = 1,
                                 .steps = steps,
                                 .step_count = STEPS};
    mtf_buf_clear(record);
    return mtf_session_encode(&session, record, err);
}

static mtf_status poll_supply(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    supply *s = self;
    (void)timeout_ms;
    if (s->told < PARTITIONS) {
        *input =
            (mtf_input){.kind = MTF_INPUT_ASSIGN, .partition = s->told++, .committed_offset = -1};
        return MTF_OK;
    }
    if (s->given == s->total) return MTF_CLOSED;
    const int64_t day = (int64_t)(s->given / SESSIONS_A_DAY);
    const bool dawn = day != s->day;
    mtf_status status = MTF_OK;
    s->day = day;
    for (int i = 0; i < POOL && dawn && !status; i++) status = make_record(s, &s->records[i], err);
    if (status) return status;
    mtf_buf *record = &s->records[s->given % POOL];
    const uint64_t id[2] = {s->given * UINT64_C(0x9E3779B97F4A7C15), s->given};
    memcpy(record->data + FRAME_BYTES, id, sizeof id);
    input->kind = MTF_INPUT_MESSAGE;
    input->partition = (int32_t)(s->given % PARTITIONS);
    input->message = (mtf_message){.topic = mtf_str_of(s->topic),
                                   .partition = input->partition,
                                   .offset = (int64_t)(s->given / PARTITIONS),
                                   .timestamp_ms = START_MS,
                                   .value = mtf_buf_span(record)};
    s->given++;
    return MTF_OK;
}

static mtf_status start_supply(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    (void)self, (void)partition, (void)offset, (void)err;
    return MTF_OK;
}

static mtf_status range_supply(void *self, int32_t partition, int64_t *first, int64_t *end,
                               mtf_err *err)
{
    (void)self, (void)partition, (void)err;
    *first = 0;
    *end = INT64_MAX;
    return MTF_OK;
}

static bool leads_never(void *arg)
{
    (void)arg;
    return false;
}

/* -- what was used ----------------------------------------------- */

typedef struct usage {
    double wall, cpu;
    uint64_t disk; /* bytes given to the disk, RocksDB's background threads included */
} usage;

static uint64_t disk_bytes(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *io = fopen("/proc/self/io", "r");
    while (io && fgets(line, sizeof line, io)) {
        if (sscanf(line, "write_bytes: %llu", &bytes) == 1) break;
    }
    if (io) fclose(io);
    return bytes;
}

static usage used_now(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (usage){.wall = 1e-9 * (double)mtf_clock_mono_ns(),
                   .cpu = (double)r.ru_utime.tv_sec + 1e-6 * (double)r.ru_utime.tv_usec +
                          (double)r.ru_stime.tv_sec + 1e-6 * (double)r.ru_stime.tv_usec,
                   .disk = disk_bytes()};
}

static long rss_mb(void)
{
    long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm && fscanf(statm, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (statm) fclose(statm);
    return resident * 4096 / 1048576;
}

static void print_written(const mtf_learn *learn, const usage *from, const usage *to, int64_t rows)
{
    uint64_t live_rows, on_disk;
    size_t count;
    const mtf_store *store = mtf_learn_store(learn);
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    const double bytes = count ? (double)counts[0].bytes / (double)counts[0].rows : 0;
    mtf_store_live(store, &live_rows, &on_disk);
    printf("{\"rows\": %lld, \"rows_per_s\": %.0f, \"cpu_s_per_million_rows\": %.2f, "
           "\"bytes_per_row\": %.0f, "
           "\"disk_bytes_per_row\": %.0f, \"write_amplification\": %.2f, \"rss_mb\": %ld",
           (long long)mtf_counter_get(&mtf_learn_metrics_of(learn)->rows),
           (double)rows / (to->wall - from->wall), 1e6 * (to->cpu - from->cpu) / (double)rows,
           bytes, (double)on_disk / (double)mtf_counter_get(&mtf_learn_metrics_of(learn)->rows),
           (double)(to->disk - from->disk) / (bytes * (double)rows), rss_mb());
}

/* -- the parts --------------------------------------------------- */

static mtf_status write_rows(mtf_learn *learn, int64_t rows, mtf_err *err)
{
    enum { REPORT = 1000000 };
    bool done = false;
    mtf_status status = MTF_OK;
    const usage first = used_now();
    usage from = first;
    int64_t reported = 0;
    while (status == MTF_OK && !done) {
        status = mtf_learn_step(learn, 0, &done, err);
        const int64_t now = mtf_counter_get(&mtf_learn_metrics_of(learn)->rows);
        if (now - reported < REPORT || now >= rows) continue;
        const usage to = used_now();
        print_written(learn, &from, &to, now - reported);
        printf("}\n");
        fflush(stdout);
        from = to;
        reported = now;
    }
    const usage last = used_now();
    if (status == MTF_OK) print_written(learn, &first, &last, rows);
    return status;
}

static mtf_status read_rows(const mtf_store *store, mtf_err *err)
{
    mtf_span value;
    int64_t rows = 0;
    const int64_t began_ns = mtf_clock_mono_ns();
    mtf_store_cursor *cursor = mtf_store_scan(store, 0, UINT32_MAX, 0, 1);
    if (!cursor) return mtf_fail(err, MTF_NOMEM, "bench: out of memory");
    mtf_status status;
    while ((status = mtf_store_next(cursor, &value, err)) == MTF_OK) rows++;
    mtf_store_cursor_close(cursor);
    const double seconds = 1e-9 * (double)(mtf_clock_mono_ns() - began_ns);
    printf(", \"scan_rows_per_s\": %.0f", (double)rows / seconds);
    return status == MTF_CLOSED ? MTF_OK : status;
}

/* -- the limits -------------------------------------------------- */

/** The same records, with as many rows to a synced write: to a database with RocksDB's defaults, or
 *  (db NULL) to a file. */
static mtf_status copy_records(supply *s, rocksdb_t *db, int file, uint64_t commit_rows,
                               mtf_err *err)
{
    rocksdb_writeoptions_t *synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(synced, 1);
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    mtf_input input = {0};
    mtf_status status;
    char *text = NULL;
    bool written = true;
    while ((status = poll_supply(s, 0, &input, err)) == MTF_OK && written && !text) {
        if (input.kind != MTF_INPUT_MESSAGE) continue;
        const mtf_span value = input.message.value;
        if (db)
            rocksdb_writebatch_put(batch, (const char *)value.data + FRAME_BYTES, 16,
                                   (const char *)value.data, value.size);
        else
            written = write(file, value.data, value.size) == (ssize_t)value.size;
        if (s->given % (commit_rows / STEPS) != 0 && s->given < s->total) continue;
        if (db) {
            rocksdb_write(db, synced, batch, &text);
            rocksdb_writebatch_clear(batch);
        } else {
            written = written && fdatasync(file) == 0;
        }
    }
    if (text || !written)
        status = mtf_fail(err, MTF_IO, "bench: write: %s", text ? text : "no space?");
    rocksdb_free(text);
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(synced);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static mtf_status run_limit(bool file, const char *folder, int64_t rows, mtf_err *err)
{
    supply s = {.total = (uint64_t)rows / STEPS,
                .users = 50000,
                .rng = mtf_rng_of(3, 3),
                .day = -1,
                .topic = "bench"};
    mtf_settings settings = {0};
    mtf_status status = mtf_settings_init(&settings, err);
    if (status) return status;
    const uint64_t commit_rows = (uint64_t)settings.store_commit_rows;
    mtf_settings_fini(&settings);
    char *text = NULL;
    rocksdb_t *db = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    const int fd = file ? open(folder, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    if (!file) db = rocksdb_open(options, folder, &text);
    if (text || (file && fd < 0)) {
        status = mtf_fail(err, MTF_IO, "bench: open %s: %s", folder, text ? text : "no");
    } else {
        const usage from = used_now();
        status = copy_records(&s, db, fd, commit_rows, err);
        const usage to = used_now();
        printf("{\"rows_per_s\": %.0f, \"cpu_s_per_million_rows\": %.2f}\n",
               (double)rows / (to.wall - from.wall), 1e6 * (to.cpu - from.cpu) / (double)rows);
    }
    rocksdb_free(text);
    if (db) rocksdb_close(db);
    if (fd >= 0) close(fd);
    rocksdb_options_destroy(options);
    for (int i = 0; i < POOL; i++) mtf_buf_fini(&s.records[i]);
    return status;
}

static mtf_status run(const char *folder, int64_t rows, uint64_t users, mtf_err *err)
{
    supply s = {.total = (uint64_t)rows / STEPS,
                .users = users,
                .rng = mtf_rng_of(3, 3),
                .day = -1,
                .topic = "bench"};
    mtf_source source = {
        .self = &s, .poll = poll_supply, .start = start_supply, .range = range_supply};
    mtf_settings settings = {0};
    mtf_decoder *decoder = NULL;
    mtf_learn *learn = NULL;
    mtf_status status = mtf_settings_init(&settings, err);
    if (!status) status = mtf_settings_set(&settings, "store.path", folder, "bench", err);
    if (!status) status = mtf_settings_set(&settings, "store.retention_days", "3650", "bench", err);
    const mtf_decoder_config codec = {.dims = {.state = STATE, .action = ACTION}};
    if (!status) status = mtf_decoder_open(&codec, &decoder, err);
    if (!status) {
        const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
        const mtf_learn_config config = {.settings = &settings,
                                         .source = &source,
                                         .decoder = &sessions,
                                         .cluster_id = "",
                                         .hooks = {.leads = leads_never},
                                         .continuous = true};
        status = mtf_learn_open(&config, &learn, err);
        if (!status) status = write_rows(learn, rows, err);
        if (!status) status = read_rows(mtf_learn_store(learn), err);
        settings.learner_hidden = HIDDEN;
        if (!status) status = bench_fed(mtf_learn_store(learn), &settings, err);
        if (!status) printf("}\n");
    }
    mtf_learn_close(learn);
    mtf_decoder_close(decoder);
    mtf_settings_fini(&settings);
    for (int i = 0; i < POOL; i++) mtf_buf_fini(&s.records[i]);
    return status;
}

int main(int argc, char **argv)
{
    mtf_err err = {0};
    mtf_blas_core_fix(argv);
    if (argc == 4 && (!strcmp(argv[1], "rocksdb") || !strcmp(argv[1], "file"))) {
        const mtf_status status =
            run_limit(argv[1][0] == 'f', argv[2], strtoll(argv[3], NULL, 10), &err);
        if (status) fprintf(stderr, "store: %s\n", err.msg);
        return status ? 1 : 0;
    }
    const int64_t rows = argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000;
    const int64_t users = argc > 3 ? strtoll(argv[3], NULL, 10) : 50000;
    if (argc < 2 || rows < STEPS || users < 1) {
        fprintf(stderr, "usage: store FOLDER [rows] [users]\n");
        return 64;
    }
    const mtf_status status = run(argv[1], rows, (uint64_t)users, &err);
    if (status) fprintf(stderr, "store: %s\n", err.msg);
    return status ? 1 : 0;
}
