#include "cli/audit_book.h"

#include <stdlib.h>

#include "core/hash.h"

/** A multiset of steps: as good as their list where only equality is asked. */
typedef struct step_sum {
    uint64_t hash; /* of the event ids' hashes, modulo 2^64 */
    int64_t count;
} step_sum;

/** All session records of one (session id, part). */
typedef struct session_row {
    uint8_t id[16];
    uint32_t part;
    uint32_t judged, before, open, found; /* how many of them */
    int32_t partition, found_partition;
    bool copied; /* one that was found has the steps of the first that was */
    int64_t found_offset, started_ms;
    uint64_t user;                        /* hash */
    uint64_t hash_expected, hash_found;   /* sums over the records' hashes */
    step_sum steps_expected, steps_found; /* expected: of judged and before */
    step_sum steps_first;                 /* of the first that was found */
} session_row;

/** All of one kind and one origin. */
typedef struct aside_row {
    int64_t offset;
    int32_t partition;
    uint8_t kind;
    bool of_window, of_decoder, request;
    uint32_t judged, known, found;
    uint64_t user, step; /* hashes; user 0: unknown */
} aside_row;

/** Rows in an array, found by their hash through a table of 1 + row. */
typedef struct row_index {
    uint32_t *slots;
    size_t slot_count, count, capacity;
} row_index;

struct audit_book {
    session_row *sessions;
    row_index session_index;
    aside_row *asides;
    row_index aside_index;
};

_Static_assert(sizeof(session_row) + 16 <= AUDIT_SESSION_BYTES, "as the header says");
_Static_assert(sizeof(aside_row) + 16 <= AUDIT_ASIDE_BYTES, "as the header says");

audit_book *audit_book_new(void)
{
    return calloc(1, sizeof(audit_book));
}

void audit_book_free(audit_book *book)
{
    if (!book) return;
    free(book->sessions);
    free(book->session_index.slots);
    free(book->asides);
    free(book->aside_index.slots);
    free(book);
}

static uint64_t session_hash(const uint8_t id[16], uint32_t part)
{
    return mtf_hash64(id, 16) + part * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t aside_hash(uint8_t kind, int32_t partition, int64_t offset)
{
    uint8_t key[13];
    mtf_store_u64_le(key, (uint64_t)offset);
    mtf_store_u32_le(key + 8, (uint32_t)partition);
    key[12] = kind;
    return mtf_hash64(key, sizeof key);
}

static uint64_t session_row_hash(const audit_book *book, size_t row)
{
    return session_hash(book->sessions[row].id, book->sessions[row].part);
}

static uint64_t aside_row_hash(const audit_book *book, size_t row)
{
    const aside_row *r = &book->asides[row];
    return aside_hash(r->kind, r->partition, r->offset);
}

typedef uint64_t (*row_hash_fn)(const audit_book *book, size_t row);

static void put_slot(row_index *index, uint64_t hash, uint32_t value)
{
    size_t at = hash & (index->slot_count - 1);
    while (index->slots[at]) at = (at + 1) & (index->slot_count - 1);
    index->slots[at] = value;
}

/** Room for one more row. *rows may move. */
static mtf_status make_room(audit_book *book, row_index *index, void **rows, size_t row_bytes,
                            row_hash_fn hash_of, mtf_err *err)
{
    if (index->count == index->capacity) {
        const size_t capacity = index->capacity ? index->capacity + index->capacity / 2 : 256;
        void *moved = capacity < UINT32_MAX ? realloc(*rows, capacity * row_bytes) : NULL;
        if (!moved)
            return mtf_fail(err, MTF_NOMEM, "no memory for %zu ids; narrow --from and --to",
                            capacity);
        *rows = moved;
        index->capacity = capacity;
    }
    if (10 * index->count < 7 * index->slot_count) return MTF_OK;
    const size_t slot_count = index->slot_count ? 2 * index->slot_count : 1024;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return mtf_fail(err, MTF_NOMEM, "no memory for %zu ids; narrow --from and --to",
                        slot_count);
    free(index->slots);
    index->slots = slots;
    index->slot_count = slot_count;
    for (size_t i = 0; i < index->count; i++) put_slot(index, hash_of(book, i), (uint32_t)(i + 1));
    return MTF_OK;
}

static mtf_status find_session_row(audit_book *book, const mtf_session *session, session_row **row,
                                   mtf_err *err)
{
    row_index *index = &book->session_index;
    const uint64_t hash = session_hash(session->session_id, session->part);
    for (size_t at = index->slot_count ? hash & (index->slot_count - 1) : 0;
         index->slot_count && index->slots[at]; at = (at + 1) & (index->slot_count - 1)) {
        *row = &book->sessions[index->slots[at] - 1];
        if ((*row)->part == session->part && memcmp((*row)->id, session->session_id, 16) == 0)
            return MTF_OK;
    }
    void *rows = book->sessions;
    const mtf_status status =
        make_room(book, index, &rows, sizeof(session_row), session_row_hash, err);
    book->sessions = rows;
    if (status != MTF_OK) return status;
    *row = &book->sessions[index->count++];
    **row = (session_row){.part = session->part,
                          .partition = -1,
                          .found_partition = -1,
                          .started_ms = session->started_ms,
                          .user = mtf_hash64(session->user_id.data, session->user_id.size)};
    memcpy((*row)->id, session->session_id, 16);
    put_slot(index, hash, (uint32_t)index->count);
    return MTF_OK;
}

static const aside_row *look_up_aside(const audit_book *book, uint8_t kind, int32_t partition,
                                      int64_t offset)
{
    const row_index *index = &book->aside_index;
    if (!index->slot_count) return NULL;
    for (size_t at = aside_hash(kind, partition, offset) & (index->slot_count - 1);
         index->slots[at]; at = (at + 1) & (index->slot_count - 1)) {
        const aside_row *row = &book->asides[index->slots[at] - 1];
        if (row->kind == kind && row->partition == partition && row->offset == offset) return row;
    }
    return NULL;
}

static mtf_status find_aside_row(audit_book *book, audit_kind kind, int32_t partition,
                                 int64_t offset, aside_row **row, mtf_err *err)
{
    row_index *index = &book->aside_index;
    *row = (aside_row *)look_up_aside(book, (uint8_t)kind, partition, offset);
    if (*row) return MTF_OK;
    void *rows = book->asides;
    const mtf_status status = make_room(book, index, &rows, sizeof(aside_row), aside_row_hash, err);
    book->asides = rows;
    if (status != MTF_OK) return status;
    *row = &book->asides[index->count++];
    **row = (aside_row){.offset = offset, .partition = partition, .kind = (uint8_t)kind};
    put_slot(index, aside_hash((uint8_t)kind, partition, offset), (uint32_t)index->count);
    return MTF_OK;
}

static void add_step(step_sum *sum, mtf_str event_id)
{
    sum->hash += mtf_hash64(event_id.data, event_id.size);
    sum->count++;
}

static step_sum steps_of(const mtf_session *session)
{
    step_sum sum = {0};
    for (uint32_t i = 0; i < session->step_count; i++) add_step(&sum, session->steps[i].event_id);
    return sum;
}

static void add_steps(step_sum *sum, const step_sum *steps)
{
    sum->hash += steps->hash;
    sum->count += steps->count;
}

static bool are_same(const step_sum *a, const step_sum *b)
{
    return a->count == b->count && a->hash == b->hash;
}

mtf_status audit_expect_session(audit_book *book, const mtf_session *session, mtf_span bytes,
                                audit_scope scope, int32_t partition, mtf_err *err)
{
    session_row *row;
    const mtf_status status = find_session_row(book, session, &row, err);
    if (status != MTF_OK) return status;
    row->partition = partition;
    ++*(scope == AUDIT_JUDGED ? &row->judged : scope == AUDIT_BEFORE ? &row->before : &row->open);
    if (scope == AUDIT_OPEN) return MTF_OK; /* it is not whole */
    const step_sum steps = steps_of(session);
    row->hash_expected += mtf_hash64(bytes.data, bytes.size);
    add_steps(&row->steps_expected, &steps);
    return MTF_OK;
}

mtf_status audit_find_session(audit_book *book, const mtf_session *session, mtf_span bytes,
                              int32_t partition, int64_t offset, mtf_err *err)
{
    session_row *row;
    const mtf_status status = find_session_row(book, session, &row, err);
    if (status != MTF_OK) return status;
    const step_sum steps = steps_of(session);
    if (row->found++ == 0)
        row->steps_first = steps;
    else if (are_same(&steps, &row->steps_first))
        row->copied = true;
    row->found_partition = partition;
    row->found_offset = offset;
    row->hash_found += mtf_hash64(bytes.data, bytes.size);
    add_steps(&row->steps_found, &steps);
    return MTF_OK;
}

mtf_status audit_expect_aside(audit_book *book, audit_kind kind, int32_t partition, int64_t offset,
                              audit_scope scope, mtf_err *err)
{
    aside_row *row;
    const mtf_status status = find_aside_row(book, kind, partition, offset, &row, err);
    if (status != MTF_OK) return status;
    ++*(scope == AUDIT_JUDGED ? &row->judged : &row->known);
    return MTF_OK;
}

mtf_status audit_find_aside(audit_book *book, audit_kind kind, int32_t partition, int64_t offset,
                            bool of_window, bool of_decoder, const mtf_event *event, mtf_err *err)
{
    aside_row *row;
    const mtf_status status = find_aside_row(book, kind, partition, offset, &row, err);
    if (status != MTF_OK) return status;
    row->found++;
    row->of_window = of_window;
    row->of_decoder = of_decoder;
    if (!event) return MTF_OK;
    row->user = mtf_hash64(event->user_id.data, event->user_id.size);
    row->step = mtf_hash64(event->event_id.data, event->event_id.size);
    row->request = event->kind == MTF_EVENT_REQUEST;
    return MTF_OK;
}

bool audit_was_undecodable(const audit_book *book, int32_t partition, int64_t offset)
{
    const aside_row *row = look_up_aside(book, AUDIT_DEAD, partition, offset);
    return row && row->found && row->of_decoder;
}

/** Something of a user that is not as the log asks. */
typedef struct trouble {
    uint64_t user;
    uint32_t row;
    uint8_t kind, problem;
    bool silent; /* from before the window: weighed, not reported */
} trouble;

typedef struct judging {
    const audit_book *book;
    const audit_rules *rules;
    audit_verdict *verdict;
    size_t limit;
    trouble *troubles;
    size_t count, capacity;
    uint64_t *open_users; /* sorted */
    size_t open_count;
} judging;

static mtf_status add_trouble(judging *j, trouble one, mtf_err *err)
{
    if (j->count == j->capacity) {
        const size_t capacity = j->capacity ? 2 * j->capacity : 256;
        trouble *troubles = realloc(j->troubles, capacity * sizeof *troubles);
        if (!troubles) return mtf_fail(err, MTF_NOMEM, "no memory for %zu differences", capacity);
        j->troubles = troubles;
        j->capacity = capacity;
    }
    j->troubles[j->count++] = one;
    return MTF_OK;
}

/** Of a session that is still open in the log: there or not, both may be right, but not twice. Of
 *  an open one and a later one under the same id the steps differ. */
static mtf_status look_at_open(judging *j, uint32_t i, mtf_err *err)
{
    const session_row *row = &j->book->sessions[i];
    if (row->found > row->open && row->copied)
        return add_trouble(j, (trouble){row->user, i, AUDIT_SESSION, AUDIT_DOUBLED, false}, err);
    j->verdict->of[AUDIT_SESSION].not_judged += row->found > 0;
    return MTF_OK;
}

static mtf_status look_at_session(judging *j, uint32_t i, mtf_err *err)
{
    const session_row *row = &j->book->sessions[i];
    audit_tally *tally = &j->verdict->of[AUDIT_SESSION];
    const uint32_t sure = row->judged + row->before, most = sure + row->open;
    trouble one = {row->user, i, AUDIT_SESSION, AUDIT_MISSING, row->judged == 0};
    if (row->open && !sure) return look_at_open(j, i, err);
    tally->expected += row->judged;
    if (row->found < sure) {
        tally->found += row->found < row->judged ? row->found : row->judged;
    } else {
        tally->found += row->judged;
        if (most == 0) {
            one.problem = AUDIT_UNEXPECTED;
            one.silent = false;
        } else if (row->found > most) {
            one.problem = AUDIT_DOUBLED;
        } else if (sure && row->found == sure && !row->open &&
                   row->hash_expected != row->hash_found) {
            one.problem = AUDIT_DIFFERENT;
            tally->found -= row->judged;
        } else {
            return MTF_OK;
        }
    }
    return add_trouble(j, one, err);
}

static mtf_status look_at_aside(judging *j, uint32_t i, mtf_err *err)
{
    const aside_row *row = &j->book->asides[i];
    audit_tally *tally = &j->verdict->of[row->kind];
    trouble one = {row->user, i, row->kind, AUDIT_MISSING, false};
    tally->expected += row->judged;
    tally->found += row->found < row->judged ? row->found : row->judged;
    if (row->found > row->judged + row->known && (row->judged || row->of_window)) {
        /* Twice late is late twice, also where the log asks for none. */
        one.problem = row->judged + row->known || row->found > 1 ? AUDIT_DOUBLED : AUDIT_UNEXPECTED;
    } else if (row->found >= row->judged) {
        return MTF_OK;
    }
    return add_trouble(j, one, err);
}

static int by_user(const void *a, const void *b)
{
    const trouble *x = a, *y = b;
    if (x->user != y->user) return x->user < y->user ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/** The users with a session that is still open. */
static mtf_status find_open_users(judging *j, mtf_err *err)
{
    const audit_book *book = j->book;
    size_t count = 0;
    for (size_t i = 0; i < book->session_index.count; i++) count += book->sessions[i].open > 0;
    j->open_users = calloc(count + 1, sizeof *j->open_users);
    if (!j->open_users) return mtf_fail(err, MTF_NOMEM, "no memory for %zu open sessions", count);
    for (size_t i = 0; i < book->session_index.count; i++)
        if (book->sessions[i].open) j->open_users[j->open_count++] = book->sessions[i].user;
    if (count) qsort(j->open_users, count, sizeof *j->open_users, by_number);
    return MTF_OK;
}

/** Whether the user's steps are all there, each once, only cut otherwise. */
static bool balances(const judging *j, const trouble *group, size_t count, bool *late)
{
    step_sum asked = {0}, there = {0};
    *late = false;
    for (size_t i = 0; i < count; i++) {
        if (group[i].kind == AUDIT_SESSION) {
            const session_row *row = &j->book->sessions[group[i].row];
            add_steps(&asked, &row->steps_expected);
            add_steps(&there, &row->steps_found);
            if (group[i].problem == AUDIT_DOUBLED) return false;
        } else {
            const aside_row *row = &j->book->asides[group[i].row];
            if (group[i].problem != AUDIT_UNEXPECTED || group[i].kind != AUDIT_LATE) return false;
            *late = true;
            if (!row->request) continue;
            there.hash += row->step;
            there.count++;
        }
    }
    return are_same(&asked, &there);
}

static bool is_explained(const judging *j, const trouble *one, bool balanced, bool late)
{
    if (!j->rules->idle_jumps || !balanced) return false;
    if (one->kind != AUDIT_SESSION || one->problem != AUDIT_DIFFERENT) return true;
    const session_row *row = &j->book->sessions[one->row];
    return late || !are_same(&row->steps_expected, &row->steps_found);
}

/** What is there and not asked for, but may be of records that were not read, or not yet. */
static bool is_beyond(const judging *j, const trouble *one, bool open)
{
    if (one->problem != AUDIT_UNEXPECTED || one->kind == AUDIT_DEAD) return false;
    if (open) return true;
    if (one->kind != AUDIT_SESSION) return false;
    const int64_t started_ms = j->book->sessions[one->row].started_ms;
    return started_ms <= j->rules->judged_from_ms || started_ms >= j->rules->judged_to_ms;
}

static audit_difference difference_of(const judging *j, const trouble *one)
{
    audit_difference d = {.kind = (audit_kind)one->kind,
                          .problem = (audit_problem)one->problem,
                          .found_partition = -1};
    if (one->kind == AUDIT_SESSION) {
        const session_row *row = &j->book->sessions[one->row];
        memcpy(d.session_id, row->id, 16);
        d.part = row->part;
        d.partition = row->partition;
        d.started_ms = row->started_ms;
        d.times_expected = row->judged + row->before;
        d.times_found = row->found;
        d.steps_expected = row->steps_expected.count;
        d.steps_found = row->steps_found.count;
        d.found_partition = row->found_partition;
        d.found_offset = row->found_offset;
        if (d.times_expected == 0 && row->open) { /* not more often than this */
            d.times_expected = row->open;
            d.steps_expected = row->open * row->steps_first.count;
        }
    } else {
        const aside_row *row = &j->book->asides[one->row];
        d.partition = row->partition;
        d.offset = row->offset;
        d.times_expected = row->judged + row->known;
        d.times_found = row->found;
    }
    return d;
}

static void report(judging *j, const trouble *one)
{
    audit_verdict *verdict = j->verdict;
    audit_tally *tally = &verdict->of[one->kind];
    ++*(one->problem == AUDIT_MISSING     ? &tally->missing
        : one->problem == AUDIT_DOUBLED   ? &tally->doubled
        : one->problem == AUDIT_DIFFERENT ? &tally->different
                                          : &tally->unexpected);
    verdict->difference_count++;
    if (verdict->listed_count < j->limit)
        verdict->listed[verdict->listed_count++] = difference_of(j, one);
}

static void judge_user(judging *j, const trouble *group, size_t count)
{
    bool late = false;
    const bool balanced = group->user != 0 && balances(j, group, count, &late);
    const bool open = j->open_count && bsearch(&group->user, j->open_users, j->open_count,
                                               sizeof *j->open_users, by_number) != NULL;
    for (size_t i = 0; i < count; i++) {
        audit_tally *tally = &j->verdict->of[group[i].kind];
        if (is_explained(j, &group[i], balanced, late))
            tally->explained += !group[i].silent;
        else if (group[i].silent || is_beyond(j, &group[i], open))
            tally->not_judged++;
        else
            report(j, &group[i]);
    }
}

mtf_status audit_judge(audit_book *book, const audit_rules *rules, size_t limit,
                       audit_verdict *verdict, mtf_err *err)
{
    judging j = {.book = book, .rules = rules, .verdict = verdict};
    *verdict = (audit_verdict){0};
    mtf_status status = find_open_users(&j, err);
    for (uint32_t i = 0; status == MTF_OK && i < book->session_index.count; i++)
        status = look_at_session(&j, i, err);
    for (uint32_t i = 0; status == MTF_OK && i < book->aside_index.count; i++)
        status = look_at_aside(&j, i, err);
    if (status == MTF_OK) {
        j.limit = limit < j.count ? limit : j.count;
        verdict->listed = calloc(j.limit + 1, sizeof *verdict->listed);
        if (!verdict->listed) status = mtf_fail(err, MTF_NOMEM, "no memory to list differences");
    }
    if (status == MTF_OK && j.count) qsort(j.troubles, j.count, sizeof *j.troubles, by_user);
    for (size_t begin = 0, end; status == MTF_OK && begin < j.count; begin = end) {
        end = begin + 1;
        while (end < j.count && j.troubles[end].user == j.troubles[begin].user) end++;
        judge_user(&j, &j.troubles[begin], end - begin);
    }
    free(j.troubles);
    free(j.open_users);
    return status;
}

void audit_verdict_fini(audit_verdict *verdict)
{
    free(verdict->listed);
    *verdict = (audit_verdict){0};
}
