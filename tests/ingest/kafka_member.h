/** A member of a consumer group that behaves as the stages do: it reads numbered records, and
 * commits a partition's position when it is revoked. */
#ifndef MTF_KAFKA_MEMBER_H
#define MTF_KAFKA_MEMBER_H

#include "ingest/kafka_fixture.h"

/** A member as the stages are: reads, commits what it read when told to. */
typedef struct member {
    mtf_kafka_source *handle;
    mtf_source source;
    mtf_sink sink;
    int64_t next[4]; /* by partition, -1: not ours */
    int revokes, refused, lost, owned;
} member;

static inline void member_open(member *m, const mtf_settings *settings, const char *topic,
                               const char *instance)
{
    mtf_err err;
    *m = (member){.next = {-1, -1, -1, -1}};
    m->source = fixture_source(settings, topic, instance, true, &m->handle);
    mtf_assert_ok(mtf_kafka_sink_open(settings, NULL, &(mtf_kafka_sink_config){.source = m->handle},
                                      &m->sink, &err),
                  &err);
}

static inline void member_close(member *m)
{
    m->sink.close(m->sink.self);
    m->source.close(m->source.self);
}

/** One poll; counts in `seen` how often each number was read. */
static inline void member_step(member *m, int *seen)
{
    mtf_input input;
    mtf_err err;
    const mtf_status status = m->source.poll(m->source.self, 20, &input, &err);
    if (status == MTF_AGAIN) return;
    mtf_assert_ok(status, &err);
    switch (input.kind) {
    case MTF_INPUT_ASSIGN:
        m->owned++;
        m->next[input.partition] = input.committed_offset < 0 ? 0 : input.committed_offset;
        start_at(&m->source, input.partition, m->next[input.partition]);
        break;
    case MTF_INPUT_MESSAGE:
        assert_int_equal(input.message.offset, m->next[input.partition]);
        m->next[input.partition]++;
        seen[number_of(&input.message)]++;
        break;
    case MTF_INPUT_REVOKE: {
        const mtf_position position = {input.partition, m->next[input.partition], "x"};
        mtf_assert_ok(m->sink.begin(m->sink.self, &err), &err);
        const mtf_status committed = m->sink.commit(m->sink.self, &position, 1, &err);
        /* Apache Kafka takes a commit until all members have rejoined; the mock refuses it from the
         * moment a rebalance begins. Then the next owner reads again from the commit before. */
        if (committed == MTF_AGAIN)
            m->refused++;
        else
            mtf_assert_ok(committed, &err);
        m->next[input.partition] = -1;
        m->revokes++;
        m->owned--;
        break;
    }
    case MTF_INPUT_LOST: /* this machine was too slow for its heartbeats */
        m->next[input.partition] = -1;
        m->lost++;
        m->owned--;
        break;
    case MTF_INPUT_END:
        break;
    }
}

#endif
