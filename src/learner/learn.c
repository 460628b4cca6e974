#include "learner/learn.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/aside.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/hash.h"
#include "core/settings.h"
#include "learner/train.h"

#define POLL_MS     100
#define ASK_MS      200  /* a question that the brokers did not answer is put again so much later */
#define TELL_MS     5000 /* and the log tells of it so often */
#define LOSS_REMEDY "start with --accept-loss to go on without them, or restore the topic"

/** A partition as it flows. */
typedef struct lane {
    mtf_store_position position;
    bool verify; /* the next message must be the last one taken: is it still the same topic? */
    bool waits;  /* the brokers did not say what it holds: they are asked again at ask_ms */
    int64_t ask_ms, since_ms, told_ms;
} lane;

struct mtf_learn {
    mtf_learn_config config;
    mtf_reward reward;
    mtf_action_table table;
    mtf_row_shape shape;
    mtf_store *store;
    mtf_rounds *rounds;
    mtf_arena arena;
    mtf_row row;
    mtf_buf value;
    lane *lanes;
    size_t lane_count;
    int64_t uncommitted;            /* records since the last commit */
    int64_t uncommitted_ns;         /* since when */
    bool letters_begun;             /* the dead letters' sink has something to commit */
    uint32_t day_newest, day_swept; /* of rows seen; retention done for */
    mtf_learn_metrics metrics;
};

/** A row's time is its writer's word: one from a broken clock must not expire all others. */
static void see_day(mtf_learn *learn, uint32_t day)
{
    const int64_t tomorrow = mtf_clock_wall_ms() / MTF_DAY_MS + 1;
    if (day > learn->day_newest && day <= tomorrow) learn->day_newest = day;
}

/* -- open and close ---------------------------------------------- */

static mtf_status open_store(mtf_learn *learn, mtf_err *err)
{
    const mtf_settings *settings = learn->config.settings;
    mtf_status status =
        mtf_reward_parse(&learn->reward, settings->reward_weights, settings->reward_clip, err);
    if (status == MTF_OK) status = mtf_reward_group(&learn->reward, settings->reward_groups, err);
    if (status == MTF_OK)
        status = mtf_action_table_parse(&learn->table, settings->policy_actions, err);
    if (status) return status;
    learn->shape = mtf_train_row_shape(settings, learn->table.count, learn->table.prediction_count,
                                       learn->reward.count);
    mtf_buf names = {0};
    mtf_reward_names(&learn->reward, &names);
    const mtf_store_identity identity = {
        .shape = learn->shape,
        .signals = (const char *)names.data,
        .actions = settings->policy_actions,
        .policy = settings->policy_name,
        .cluster_id = learn->config.cluster_id,
    };
    status = names.failed
                 ? mtf_fail(err, MTF_NOMEM, "learn: out of memory")
                 : mtf_store_open(settings->store_path, &identity, false, &learn->store, err);
    mtf_buf_fini(&names);
    return status;
}

/** Retention goes on where it was. */
static void know_days(mtf_learn *learn)
{
    size_t count;
    const mtf_store_day *days = mtf_store_days(learn->store, &count);
    for (size_t i = 0; i < count; i++) see_day(learn, days[i].day);
}

mtf_status mtf_learn_open(const mtf_learn_config *config, mtf_learn **out, mtf_err *err)
{
    mtf_learn *learn = calloc(1, sizeof *learn);
    if (!learn) return mtf_fail(err, MTF_NOMEM, "learn: out of memory");
    learn->config = *config;
    mtf_status status = open_store(learn, err);
    if (status) goto done;
    const mtf_rounds_config rounds = {
        .settings = config->settings,
        .reward = &learn->reward,
        .table = &learn->table,
        .store = learn->store,
        .hooks = config->hooks,
        .log = config->log,
        .stop = config->stop,
        .checkpoint_every = config->checkpoint_every,
    };
    status = mtf_rounds_open(&rounds, &learn->rounds, err);
    know_days(learn);
done:
    if (status) {
        mtf_learn_close(learn);
        learn = NULL;
    }
    *out = learn;
    return status;
}

void mtf_learn_close(mtf_learn *learn)
{
    if (!learn) return;
    mtf_rounds_close(learn->rounds);
    mtf_store_close(learn->store);
    mtf_arena_fini(&learn->arena);
    mtf_row_fini(&learn->row);
    mtf_buf_fini(&learn->value);
    free(learn->lanes);
    free(learn);
}

const mtf_learn_metrics *mtf_learn_metrics_of(const mtf_learn *learn)
{
    return &learn->metrics;
}

const mtf_store *mtf_learn_store(const mtf_learn *learn)
{
    return learn->store;
}

int64_t mtf_learn_rounds_ended(const mtf_learn *learn)
{
    return mtf_rounds_ended(learn->rounds);
}

/* -- where to read ----------------------------------------------- */

static lane *lane_of(mtf_learn *learn, int32_t partition)
{
    for (size_t i = 0; i < learn->lane_count; i++)
        if (learn->lanes[i].position.partition == partition) return &learn->lanes[i];
    lane *lanes = realloc(learn->lanes, (learn->lane_count + 1) * sizeof *lanes);
    if (!lanes) return NULL;
    learn->lanes = lanes;
    lane *fresh = &lanes[learn->lane_count++];
    *fresh = (lane){.position = {.partition = partition, .next = -1, .last = -1}};
    size_t count;
    const mtf_store_position *stored = mtf_store_positions(learn->store, &count);
    for (size_t i = 0; i < count; i++)
        if (stored[i].partition == partition) fresh->position = stored[i];
    return fresh;
}

/** Counts lost records and goes on, or stops. */
static mtf_status lose(mtf_learn *learn, const lane *at, int64_t count, const char *what,
                       mtf_err *err)
{
    const int32_t partition = at->position.partition;
    if (!learn->config.accept_loss)
        return mtf_fail(err, MTF_CORRUPT,
                        "sessions partition %" PRId32 ", store position %" PRId64
                        ": %s: " LOSS_REMEDY,
                        partition, at->position.next, what);
    mtf_store_totals_of(learn->store)->lost += count;
    mtf_counter_add(&learn->metrics.lost, count);
    mtf_log_line(learn->config.log, MTF_LOG_WARN, "learn.loss",
                 "partition=%" PRId32 " next=%" PRId64 " lost=%" PRId64 " why=\"%s\"", partition,
                 at->position.next, count, what);
    return MTF_OK;
}

static void wait_for_answer(const mtf_learn *learn, lane *at, const mtf_err *why)
{
    const int64_t now_ms = mtf_clock_mono_ns() / 1000000;
    at->ask_ms = now_ms + ASK_MS;
    if (!at->waits) at->since_ms = at->told_ms = now_ms;
    at->waits = true;
    if (now_ms - at->told_ms < TELL_MS) return;
    at->told_ms = now_ms;
    mtf_log_line(learn->config.log, MTF_LOG_WARN, "learn.wait",
                 "partition=%" PRId32 " waited_ms=%" PRId64 " reason=\"%s\"",
                 at->position.partition, now_ms - at->since_ms, why->msg);
}

/** The partition holds other records than those taken: from its first one on, whatever was taken is
 *  known by its session id. A round under way cannot tell old offsets from new ones. */
static mtf_status forget_place(mtf_learn *learn, lane *at, mtf_err *err)
{
    at->position.next = at->position.last = -1;
    at->position.bad_in_a_row = 0;
    return mtf_rounds_give_up(learn->rounds, "data: the sessions topic was made anew", err);
}

/** A partition is ours: go on after its last record, re-reading that one to recognise the topic.
 *  Without an answer of the brokers it waits, and the others go on. */
static mtf_status begin(mtf_learn *learn, lane *at, mtf_err *err)
{
    mtf_source *source = learn->config.source;
    mtf_store_position *position = &at->position;
    int64_t first, end;
    mtf_err why = {0};
    mtf_status status = source->range(source->self, position->partition, &first, &end, &why);
    if (status == MTF_AGAIN) {
        wait_for_answer(learn, at, &why);
        return MTF_OK;
    }
    if (status) return mtf_fail(err, status, "%s", why.msg);
    at->waits = false;
    if (position->next >= 0 && end < position->next) {
        status = lose(learn, at, 0, "the topic ends before it: it was made anew", err);
        if (!status) status = forget_place(learn, at, err);
    } else if (position->next >= 0 && first > position->next) {
        status =
            lose(learn, at, first - position->next, "records after it are gone (retention)", err);
        position->next = position->last = -1;
        position->bad_in_a_row = 0;
    }
    if (status) return status;
    if (position->next < 0) position->next = first;
    at->verify = position->last >= first;
    return source->start(source->self, position->partition,
                         at->verify ? position->last : position->next, err);
}

static mtf_status assign(mtf_learn *learn, int32_t partition, mtf_err *err)
{
    lane *at = lane_of(learn, partition);
    return at ? begin(learn, at, err) : mtf_fail(err, MTF_NOMEM, "learn: out of memory");
}

/** Of those that wait, the one that did so longest since it was asked for: a question takes time.
 */
static mtf_status ask_again(mtf_learn *learn, mtf_err *err)
{
    lane *next = NULL;
    for (size_t i = 0; i < learn->lane_count; i++) {
        lane *at = &learn->lanes[i];
        if (at->waits && (!next || at->ask_ms < next->ask_ms)) next = at;
    }
    const bool due = next && mtf_clock_mono_ns() / 1000000 >= next->ask_ms;
    return due ? begin(learn, next, err) : MTF_OK;
}

/** Is the re-read record the one taken? *again: it is not, and the partition starts over. */
static mtf_status verify(mtf_learn *learn, lane *at, const mtf_message *message, bool *again,
                         mtf_err *err)
{
    at->verify = false;
    const mtf_store_position *position = &at->position;
    *again = message->offset != position->last ||
             mtf_hash64(message->value.data, message->value.size) != position->last_hash;
    if (!*again) return MTF_OK;
    mtf_status status =
        lose(learn, at, 0,
             message->offset == position->last ? "another record stands at the last offset read"
                                               : "the last record read is gone",
             err);
    if (!status) status = forget_place(learn, at, err);
    return status ? status : begin(learn, at, err);
}

/* -- taking records ---------------------------------------------- */

static mtf_status put_rows(mtf_learn *learn, const mtf_session *session, const mtf_message *message,
                           mtf_err *err)
{
    mtf_status status = MTF_OK;
    uint32_t day = (uint32_t)(session->steps[0].time_ms / MTF_DAY_MS);
    bool stored = false;
    for (uint32_t i = 0; i < session->step_count && status == MTF_OK; i++) {
        uint8_t key[MTF_ROW_KEY_BYTES];
        status = mtf_row_make(&learn->shape, &learn->reward, learn->config.settings->policy_box,
                              session, i, message->partition, message->offset, &learn->row, err);
        if (status) break;
        mtf_buf_clear(&learn->value);
        mtf_row_encode(&learn->shape, &learn->row, &learn->value);
        if (learn->value.failed) return mtf_fail(err, MTF_NOMEM, "learn: out of memory");
        mtf_row_key(session, i, key);
        /* Retention takes whole days: a session over midnight may have left its second half. */
        if (mtf_load_u32_be(key) != day) status = mtf_store_has(learn->store, key, &stored, err);
        day = mtf_load_u32_be(key);
        if (status || stored) continue;
        status =
            mtf_store_put_row(learn->store, key, &learn->row.h, mtf_buf_span(&learn->value), err);
        see_day(learn, mtf_load_u32_be(key));
        mtf_counter_add(&learn->metrics.rows, 1);
    }
    return status;
}

/** MTF_SKIP: the record cannot be used. */
static mtf_status take_session(mtf_learn *learn, const mtf_message *message, mtf_err *err)
{
    mtf_session session;
    uint8_t first[MTF_ROW_KEY_BYTES];
    bool stored;
    const mtf_session_decoder *decoder = learn->config.decoder;
    mtf_arena_reset(&learn->arena);
    mtf_status status =
        decoder->decode(decoder->self, message->value, &learn->arena, &session, err);
    if (status == MTF_OK) status = mtf_session_fits(&learn->shape, &session, err);
    if (status) return status;
    mtf_row_key(&session, 0, first);
    status = mtf_store_has(learn->store, first, &stored, err);
    if (status) return status;
    if (stored) {
        mtf_store_totals_of(learn->store)->duplicates++;
        mtf_counter_add(&learn->metrics.duplicates, 1);
        return MTF_OK;
    }
    mtf_counter_add(&learn->metrics.sessions, session.part == 0);
    return put_rows(learn, &session, message, err);
}

/** err->msg is "<reason>: <detail>". */
static mtf_status set_aside(mtf_learn *learn, const mtf_message *message, mtf_err *err)
{
    const mtf_settings *settings = learn->config.settings;
    mtf_sink *sink = learn->config.dead_letters;
    mtf_store_totals_of(learn->store)->bad++;
    mtf_counter_add(&learn->metrics.bad, 1);
    if (!sink) return MTF_OK;
    char reason[32] = "invalid";
    const size_t size = strcspn(err->msg, ":");
    if (err->msg[size] == ':' && size < sizeof reason) {
        memcpy(reason, err->msg, size);
        reason[size] = 0;
    }
    mtf_err inner = {0};
    mtf_status status = learn->letters_begun ? MTF_OK : sink->begin(sink->self, &inner);
    learn->letters_begun |= status == MTF_OK;
    if (status == MTF_OK)
        status = mtf_set_aside(sink, settings->topics_dead_letter, message, "learn", reason,
                               err->msg, &inner);
    return status ? mtf_fail(err, status, "%s", inner.msg) : MTF_OK;
}

/** Dead letters first: a crash between the two doubles them, but loses none. */
static mtf_status commit(mtf_learn *learn, mtf_err *err)
{
    mtf_sink *sink = learn->config.dead_letters;
    mtf_status status = MTF_OK;
    if (learn->letters_begun) status = sink->commit(sink->self, NULL, 0, err);
    if (status) return status;
    learn->letters_begun = false;
    mtf_fault_point("learn.commit");
    status = mtf_store_commit(learn->store, err);
    mtf_fault_point("learn.committed");
    if (status) return status;
    learn->uncommitted = 0;
    mtf_counter_add(&learn->metrics.commits, 1);
    return MTF_OK;
}

/** Too many bad records in a row: what came before this one counts, so that the next start stops
 *  here again and nothing is done twice. */
static mtf_status stop_here(mtf_learn *learn, const lane *at, const mtf_message *message,
                            const mtf_err *why, mtf_err *err)
{
    mtf_status status = mtf_store_set_position(learn->store, &at->position, err); /* past a loss */
    if (status == MTF_OK) status = commit(learn, err);
    if (status) return status;
    return mtf_fail(err, MTF_CORRUPT,
                    "%" PRId64 " bad sessions in a row, the last at partition %" PRId32
                    " offset %" PRId64 ": %.150s; mend what writes them, or raise "
                    "errors.max_consecutive (0 = never stop) to have them set aside",
                    at->position.bad_in_a_row + 1, message->partition, message->offset, why->msg);
}

static bool is_one_too_many(const mtf_learn *learn, const lane *at)
{
    const int64_t limit = learn->config.settings->errors_max_consecutive;
    return limit > 0 && at->position.bad_in_a_row + 1 >= limit;
}

static mtf_status take(mtf_learn *learn, const mtf_message *message, mtf_err *err)
{
    lane *at = lane_of(learn, message->partition);
    MTF_ASSERT(at);
    if (at->waits) return MTF_OK;       /* read before it started over */
    MTF_ASSERT(at->position.next >= 0); /* assigned before it flows */
    bool again = false;
    mtf_status status = at->verify ? verify(learn, at, message, &again, err) : MTF_OK;
    mtf_store_position *position = &at->position;
    if (status || again || message->offset < position->next) return status;
    if (message->offset > position->next && learn->config.continuous) {
        status =
            lose(learn, at, message->offset - position->next, "the next records are missing", err);
        if (status) return status;
        position->next = message->offset;
        position->bad_in_a_row = 0;
    }
    mtf_err why = {0};
    status = take_session(learn, message, &why);
    const bool bad = status == MTF_SKIP;
    if (bad && is_one_too_many(learn, at)) return stop_here(learn, at, message, &why, err);
    if (bad) status = set_aside(learn, message, &why);
    if (status) return mtf_fail(err, status, "%s", why.msg);
    mtf_store_totals_of(learn->store)->records++;
    mtf_counter_add(&learn->metrics.records, 1);
    position->next = message->offset + 1;
    position->bad_in_a_row = bad ? position->bad_in_a_row + 1 : 0;
    position->last = message->offset;
    position->last_hash = mtf_hash64(message->value.data, message->value.size);
    if (learn->uncommitted++ == 0) learn->uncommitted_ns = mtf_clock_mono_ns();
    return mtf_store_set_position(learn->store, position, err);
}

/* -- when to commit, and rounds ---------------------------------- */

/** Old days go once a day of data time, between rounds: a round's rows stay until it has ended. */
static mtf_status sweep(mtf_learn *learn, mtf_err *err)
{
    const uint32_t keep = (uint32_t)learn->config.settings->store_retention_days;
    const uint32_t newest = learn->day_newest;
    if (newest <= learn->day_swept || newest < keep) return MTF_OK;
    if (mtf_rounds_under_way(learn->rounds)) return MTF_OK;
    learn->day_swept = newest;
    return mtf_store_forget_before(learn->store, newest - keep + 1, err);
}

static bool commit_is_due(const mtf_learn *learn, bool idle)
{
    const mtf_settings *settings = learn->config.settings;
    if (learn->uncommitted == 0) return false;
    if (idle || (int64_t)mtf_store_pending(learn->store) >= settings->store_commit_rows)
        return true;
    const int64_t waited_ns = mtf_clock_mono_ns() - learn->uncommitted_ns;
    return waited_ns >= settings->store_commit_interval_ms * 1000000;
}

static bool told_to_stop(const mtf_learn *learn)
{
    return learn->config.stop && atomic_load(learn->config.stop);
}

/** Rounds that are due; a stop in the midst of one is no error. */
static mtf_status tick(mtf_learn *learn, mtf_err *err)
{
    mtf_err why = {0};
    const mtf_status status = mtf_rounds_tick(learn->rounds, &why);
    atomic_store_explicit(&learn->metrics.champion, mtf_rounds_champion(learn->rounds),
                          memory_order_relaxed);
    atomic_store_explicit(&learn->metrics.rounds, mtf_rounds_ended(learn->rounds),
                          memory_order_relaxed);
    if (status == MTF_OK || (status == MTF_CLOSED && told_to_stop(learn))) return MTF_OK;
    return mtf_fail(err, status, "%s", why.msg);
}

static bool rounds_are_done(const mtf_learn *learn)
{
    const int64_t max = learn->config.settings->round_max_rounds;
    return max && mtf_rounds_ended(learn->rounds) >= max;
}

static void show_partitions(const mtf_learn *learn, mtf_board *board)
{
    mtf_board_begin(board);
    for (size_t i = 0; i < learn->lane_count; i++) {
        const mtf_store_position *position = &learn->lanes[i].position;
        mtf_board_put(board, (mtf_board_row){.partition = position->partition,
                                             .next_offset = position->next,
                                             .watermark_ms = MTF_BOARD_NO_WATERMARK});
    }
    mtf_board_end(board);
}

mtf_status mtf_learn_step(mtf_learn *learn, int timeout_ms, bool *done, mtf_err *err)
{
    mtf_source *source = learn->config.source;
    mtf_input input;
    mtf_status status = source->poll(source->self, timeout_ms, &input, err);
    const bool idle = status == MTF_AGAIN || status == MTF_CLOSED;
    const bool drained = status == MTF_CLOSED;
    mtf_board *board = learn->config.board;
    bool end = false;
    *done = false;
    if (board) mtf_board_beat(board, mtf_clock_mono_ns() / 1000000);
    if (status && !idle) return status;
    if (status == MTF_OK) {
        end = input.kind == MTF_INPUT_END;
        if (input.kind == MTF_INPUT_ASSIGN) status = assign(learn, input.partition, err);
        if (input.kind == MTF_INPUT_MESSAGE) status = take(learn, &input.message, err);
        if (status) return status;
    }
    status = ask_again(learn, err);
    if (status) return status;
    const bool due = commit_is_due(learn, idle || end || told_to_stop(learn));
    status = due ? commit(learn, err) : MTF_OK;
    if (board && (due || idle || end)) show_partitions(learn, board);
    if (status == MTF_OK && learn->uncommitted == 0) status = sweep(learn, err);
    mtf_rounds_answer(learn->store, learn->config.log);
    const bool over = told_to_stop(learn) || rounds_are_done(learn);
    if (status == MTF_OK && !over && (due || idle || end)) status = tick(learn, err);
    *done = drained || told_to_stop(learn) || rounds_are_done(learn);
    return status;
}

mtf_status mtf_learn_run(mtf_learn *learn, mtf_err *err)
{
    bool done = false;
    mtf_status status = MTF_OK;
    mtf_err why = {0};
    while (status == MTF_OK && !done) status = mtf_learn_step(learn, POLL_MS, &done, &why);
    if (status == MTF_AGAIN && told_to_stop(learn)) {
        mtf_log_line(learn->config.log, MTF_LOG_WARN, "learn.given_up",
                     "records=%" PRId64 " reason=\"%s; the next start reads them again\"",
                     learn->uncommitted, why.msg);
        return MTF_OK;
    }
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}
