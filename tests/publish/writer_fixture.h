/** Two topics in memory and a writer's writer before them: what a sink commits, the next read sees.
 *  The writer can be told to be fenced, to fail half way, or to have another writer come between.
 */
#ifndef MTF_WRITER_FIXTURE_H
#define MTF_WRITER_FIXTURE_H

#include "support/mtf_test.h"

#include "client/sample_policy.h"
#include "publish/policy_book.h"
#include "publish/policy_writer.h"

typedef struct writer_fixture {
    mtf_policy_book live;
    mtf_policy_ledger ledger;
    char topics[2000]; /* every record put, in order: "history:3(promote) live:3 -canary" */
    /* The open unit. */
    mtf_buf values[4];
    char keys[4][MTF_POLICY_KEY_CHARS];
    bool live_put[4];
    int puts;
    /* What goes wrong. */
    mtf_status take_status;
    int commits_fail;                            /* so many commits fail with */
    mtf_status commit_status;                    /* this status */
    bool history_hears, live_hears;              /* although these puts of theirs come through */
    void (*meanwhile)(struct writer_fixture *f); /* before each commit that fails */
    int taken, closed, waits;
} writer_fixture;

static inline void fixture_init(writer_fixture *f, int64_t wanted)
{
    *f = (writer_fixture){.ledger = {.name = "sample", .wanted = wanted}};
}

static inline void fixture_fini(writer_fixture *f)
{
    mtf_policy_book_fini(&f->live);
    mtf_policy_ledger_fini(&f->ledger);
    for (int i = 0; i < 4; i++) mtf_buf_fini(&f->values[i]);
    assert_int_equal(f->taken, f->closed);
}

static inline mtf_span fixture_text(const char *text)
{
    return (mtf_span){(const uint8_t *)text, strlen(text)};
}

/** A record arrives on a topic; value.data NULL: a tombstone. */
static inline void fixture_arrive(writer_fixture *f, bool live, const char *key, mtf_span value)
{
    mtf_err err = {0};
    mtf_policy *policy = NULL;
    const size_t used = strlen(f->topics);
    if (value.data) mtf_assert_ok(mtf_policy_decode(value, &policy, &err), &err);
    if (live)
        mtf_assert_ok(mtf_policy_book_add(&f->live, fixture_text(key), value, &err), &err);
    else
        mtf_assert_ok(mtf_policy_ledger_add(&f->ledger, fixture_text(key), value, &err), &err);
    if (policy)
        snprintf(f->topics + used, sizeof f->topics - used, "%s:%d(%s) ", live ? key : "history",
                 (int)policy->info.version, policy->info.verdict);
    else
        snprintf(f->topics + used, sizeof f->topics - used, "-%s ", key);
    mtf_policy_free(policy);
}

/** A policy published long ago, or by another. */
static inline void fixture_publish(writer_fixture *f, const mtf_policy *policy)
{
    char key[MTF_POLICY_KEY_CHARS];
    mtf_buf record = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_policy_encode(policy, &record, &err), &err);
    mtf_policy_key(&policy->info, key);
    fixture_arrive(f, false, policy->info.name, mtf_buf_span(&record));
    if (mtf_policy_is_servable(&policy->info)) fixture_arrive(f, true, key, mtf_buf_span(&record));
    mtf_buf_fini(&record);
}

/** A sample of a version, its network by the seed; the caller's. */
static inline mtf_policy *fixture_policy(uint64_t seed, int64_t version, int64_t parent,
                                         const char *verdict)
{
    mtf_policy *policy = sample_policy(seed, 3, 4);
    assert_non_null(policy);
    policy->info.version = version;
    policy->info.parent = parent;
    policy->info.round = (int64_t)seed;
    snprintf(policy->info.verdict, sizeof policy->info.verdict, "%s", verdict);
    return policy;
}

static inline void fixture_has(writer_fixture *f, uint64_t seed, int64_t version, int64_t parent,
                               const char *verdict)
{
    mtf_policy *policy = fixture_policy(seed, version, parent, verdict);
    fixture_publish(f, policy);
    mtf_policy_free(policy);
}

/* -- the sink -----------------------------------------------------------------------------------
 */

static inline mtf_status fixture_begin(void *self, mtf_err *err)
{
    writer_fixture *f = self;
    (void)err;
    f->puts = 0;
    return MTF_OK;
}

static inline mtf_status fixture_put(void *self, const char *topic, mtf_span key, mtf_span value,
                                     const mtf_header *headers, size_t count, int64_t timestamp_ms,
                                     mtf_err *err)
{
    writer_fixture *f = self;
    (void)err;
    assert_true(f->puts < 4 && !headers && count == 0 && timestamp_ms == 0);
    mtf_buf_clear(&f->values[f->puts]);
    if (value.data) mtf_buf_put(&f->values[f->puts], value.data, value.size);
    snprintf(f->keys[f->puts], MTF_POLICY_KEY_CHARS, "%.*s", (int)key.size, (const char *)key.data);
    f->live_put[f->puts++] = strcmp(topic, "live") == 0;
    return MTF_OK;
}

static inline void fixture_apply(writer_fixture *f, bool history, bool live)
{
    for (int i = 0; i < f->puts; i++) {
        if (f->live_put[i] ? !live : !history) continue;
        const mtf_buf *value = &f->values[i];
        fixture_arrive(f, f->live_put[i], f->keys[i],
                       value->size ? mtf_buf_span(value) : (mtf_span){NULL, 0});
    }
}

static inline mtf_status fixture_commit(void *self, const mtf_position *positions, size_t count,
                                        mtf_err *err)
{
    writer_fixture *f = self;
    assert_true(!positions && count == 0);
    if (f->commits_fail > 0) {
        f->commits_fail--;
        if (f->meanwhile) f->meanwhile(f);
        fixture_apply(f, f->history_hears, f->live_hears);
        return mtf_fail(err, f->commit_status, "told to fail");
    }
    fixture_apply(f, true, true);
    return MTF_OK;
}

static inline mtf_status fixture_abort(void *self, mtf_err *err)
{
    (void)self, (void)err;
    return MTF_OK;
}

static inline void fixture_close(void *self)
{
    ((writer_fixture *)self)->closed++;
}

/* -- the writer -----------------------------------------------------------------------------------
 */

static inline mtf_status fixture_take(void *arg, mtf_sink *sink, mtf_err *err)
{
    writer_fixture *f = arg;
    if (f->take_status) return mtf_fail(err, f->take_status, "may not write");
    f->taken++;
    *sink = (mtf_sink){.self = f,
                       .begin = fixture_begin,
                       .put = fixture_put,
                       .commit = fixture_commit,
                       .abort = fixture_abort,
                       .close = fixture_close};
    return MTF_OK;
}

static inline mtf_status fixture_read(void *arg, mtf_policy_standing *standing, mtf_err *err)
{
    writer_fixture *f = arg;
    (void)err;
    assert_int_equal(f->taken, f->closed + 1); /* with a sink open */
    *standing = (mtf_policy_standing){.head = mtf_policy_book_find(&f->live, "sample", 0),
                                      .canary = mtf_policy_book_find(&f->live, "sample#canary", 0),
                                      .shadow = mtf_policy_book_find(&f->live, "sample#shadow", 0),
                                      .ledger = &f->ledger};
    return MTF_OK;
}

static inline void fixture_wait(void *arg, int attempt)
{
    writer_fixture *f = arg;
    assert_int_equal(attempt, ++f->waits);
}

static inline mtf_policy_writer fixture_writer(writer_fixture *f)
{
    return (mtf_policy_writer){.arg = f,
                               .open = fixture_take,
                               .read = fixture_read,
                               .wait = fixture_wait,
                               .topics = {"live", "history"}};
}

static inline const mtf_policy *fixture_head(const writer_fixture *f)
{
    return mtf_policy_book_find(&f->live, "sample", 0);
}

#endif
