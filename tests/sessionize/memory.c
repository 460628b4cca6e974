#include "memory.h"

#include <stdlib.h>

static const char topic[] = "mtf.exploration";

static struct memory_partition *partition_of(struct memory *m, int32_t id)
{
    MTF_ASSERT(id >= 0 && id < MEMORY_PARTITIONS);
    return &m->partitions[id];
}

static mtf_status take_control(struct memory *m, mtf_input *input)
{
    *input = m->control[0];
    memmove(m->control, m->control + 1, sizeof *m->control * (size_t)--m->control_count);
    struct memory_partition *p = partition_of(m, input->partition);
    if (input->kind == MTF_INPUT_ASSIGN) {
        input->committed_offset = p->committed;
        memcpy(input->metadata, p->metadata, sizeof p->metadata);
    }
    p->assigned = input->kind == MTF_INPUT_ASSIGN;
    p->started = false;
    return MTF_OK;
}

static mtf_status poll(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    struct memory *m = self;
    (void)timeout_ms;
    (void)err;
    m->poll_count++;
    if (m->control_count) return take_control(m, input);
    if (m->paused) return MTF_AGAIN;
    bool drained = true;
    for (int i = 0; i < MEMORY_PARTITIONS; i++) {
        const int32_t id = (int32_t)((m->poll_count + i) % MEMORY_PARTITIONS);
        struct memory_partition *p = partition_of(m, id);
        if (!p->assigned) continue;
        drained = drained && p->started && p->next >= p->end;
        if (!p->started) continue;
        if (p->next < p->end) {
            const struct memory_record *record = &p->log[p->next];
            *input = (mtf_input){.kind = MTF_INPUT_MESSAGE, .partition = id};
            input->message = (mtf_message){.topic = mtf_str_of(topic),
                                           .partition = id,
                                           .offset = p->next++,
                                           .timestamp_ms = record->timestamp_ms,
                                           .value = {record->data, record->size}};
            if (m->key) input->message.key = (mtf_span){(const uint8_t *)m->key, strlen(m->key)};
            p->told_end = false;
            return MTF_OK;
        }
        if (!p->told_end) {
            *input = (mtf_input){.kind = MTF_INPUT_END, .partition = id};
            input->pending = m->end_pending;
            p->told_end = true;
            return MTF_OK;
        }
    }
    return m->finite && drained ? MTF_CLOSED : MTF_AGAIN;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    struct memory *m = self;
    struct memory_partition *p = partition_of(m, partition);
    if (!p->assigned) return mtf_fail(err, MTF_INVALID, "start: not assigned");
    p->started = true;
    p->told_end = false;
    p->next = m->jump_to_kept && offset < p->first ? p->first : offset;
    if (p->next < p->first) return mtf_fail(err, MTF_INVALID, "start: out of range");
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    struct memory *m = self;
    const struct memory_partition *p = partition_of(m, partition);
    if (p->silent || m->range_again > 0) {
        m->range_again -= !p->silent;
        return mtf_fail(err, MTF_AGAIN, "partition %d does not answer", (int)partition);
    }
    *first = m->jump_to_kept ? 0 : p->first;
    *end = p->end;
    return MTF_OK;
}

static mtf_status committed(void *self, int32_t partition, int64_t *offset, char *metadata,
                            mtf_err *err)
{
    struct memory *m = self;
    const struct memory_partition *p = partition_of(m, partition);
    if (m->committed_again > 0) {
        m->committed_again--;
        return mtf_fail(err, MTF_AGAIN, "committed: not now");
    }
    *offset = p->committed;
    memcpy(metadata, p->metadata, sizeof p->metadata);
    return MTF_OK;
}

static mtf_status begin(void *self, mtf_err *err)
{
    struct memory *m = self;
    (void)err;
    MTF_ASSERT(!m->begun);
    m->begun = true;
    return MTF_OK;
}

static uint64_t schema_of(void *self, mtf_span value)
{
    (void)self;
    return value.size > 2 && value.data[0] == '#' ? value.data[1] : 0;
}

/** Without the schema's letter. */
static mtf_span sample_of(mtf_span value)
{
    return schema_of(NULL, value) ? (mtf_span){value.data + 2, value.size - 2} : value;
}

static mtf_status put(void *self, const char *to, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    struct memory *m = self;
    (void)timestamp_ms;
    MTF_ASSERT(m->begun);
    MTF_ASSERT(value.size <= m->sink.value_bytes_max);
    m->puts++;
    if (m->fail_put > 0 && --m->fail_put == 0) return mtf_fail(err, m->fail_status, "put fails");
    mtf_buf_printf(&m->unit, "%s %.*s", to, (int)key.size, (const char *)key.data);
    for (size_t i = 0; i < header_count; i++)
        mtf_buf_printf(&m->unit, " %.*s=%.*s", (int)headers[i].name.size, headers[i].name.data,
                       (int)headers[i].value.size, (const char *)headers[i].value.data);
    mtf_buf_put_u8(&m->unit, ' ');
    const mtf_span sample = sample_of(value);
    if (header_count && sample.size == sizeof(struct sample)) { /* bytes unchanged */
        struct sample s;
        memcpy(&s, sample.data, sizeof s);
        mtf_buf_printf(&m->unit, "{%s}\n", s.id);
    } else {
        mtf_buf_put(&m->unit, value.data, value.size);
        if (value.size == 0 || value.data[value.size - 1] != '\n') mtf_buf_put_u8(&m->unit, '\n');
    }
    return MTF_OK;
}

static mtf_status commit(void *self, const mtf_position *positions, size_t count, mtf_err *err)
{
    struct memory *m = self;
    MTF_ASSERT(m->begun);
    const bool fails = m->fail_commit > 0 && --m->fail_commit == 0;
    if (fails && !m->fail_applied) return mtf_fail(err, m->fail_status, "commit fails");
    m->begun = fails; /* then an abort is to come */
    m->commits++;
    mtf_buf_put(&m->out, m->unit.data, m->unit.size);
    mtf_buf_clear(&m->unit);
    for (size_t i = 0; i < count; i++) {
        struct memory_partition *p = partition_of(m, positions[i].partition);
        p->committed = positions[i].offset;
        MTF_ASSERT(strlen(positions[i].metadata) < sizeof p->metadata);
        memcpy(p->metadata, positions[i].metadata, strlen(positions[i].metadata) + 1);
    }
    return fails ? mtf_fail(err, m->fail_status, "commit fails, they say") : MTF_OK;
}

static mtf_status abort_unit(void *self, mtf_err *err)
{
    struct memory *m = self;
    (void)err;
    MTF_ASSERT(m->begun);
    m->begun = false;
    m->aborts++;
    mtf_buf_clear(&m->unit);
    return MTF_OK;
}

static mtf_status pause_all(void *self, bool paused, mtf_err *err)
{
    (void)err;
    ((struct memory *)self)->paused = paused;
    return MTF_OK;
}

static double fill(void *self)
{
    return ((struct memory *)self)->fill;
}

void memory_init(struct memory *m)
{
    memset(m, 0, sizeof *m);
    for (int i = 0; i < MEMORY_PARTITIONS; i++) m->partitions[i].committed = -1;
    m->source = (mtf_source){.self = m,
                             .poll = poll,
                             .start = start,
                             .range = range,
                             .pause = pause_all,
                             .committed = committed};
    m->sink = (mtf_sink){.self = m,
                         .begin = begin,
                         .put = put,
                         .commit = commit,
                         .abort = abort_unit,
                         .value_bytes_max = 100000,
                         .fill = fill};
}

void memory_fini(struct memory *m)
{
    for (int i = 0; i < MEMORY_PARTITIONS; i++) {
        struct memory_partition *p = &m->partitions[i];
        for (int64_t o = p->first; o < p->end; o++) free(p->log[o].data);
        free(p->log);
    }
    mtf_buf_fini(&m->out);
    mtf_buf_fini(&m->unit);
}

static bool known(const struct memory *m, uint64_t schema)
{
    return m->schemas && schema && strchr(m->schemas, (int)schema);
}

static mtf_status need(void *self, uint64_t schema, mtf_err *err)
{
    if (known(self, schema)) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "schema %c is gone", (char)schema);
}

static mtf_status decode(void *self, mtf_span value, mtf_arena *arena, mtf_event *event,
                         mtf_err *err)
{
    const uint64_t schema = schema_of(self, value);
    if (schema && !known(self, schema))
        return mtf_fail(err, MTF_SKIP, "unknown_schema: not that one");
    value = sample_of(value);
    if (value.size && value.data[0] == '?')
        return mtf_fail(err, MTF_SKIP, "unknown_schema: no such schema");
    if (value.size != sizeof(struct sample)) return mtf_fail(err, MTF_SKIP, "decode: not a sample");
    struct sample *sample = mtf_arena_take(arena, sizeof *sample);
    struct input *input = mtf_arena_take(arena, sizeof *input);
    MTF_ASSERT(sample && input);
    memcpy(sample, value.data, sizeof *sample);
    stream_input(sample, 0, input);
    *event = input->event;
    return MTF_OK;
}

mtf_event_decoder memory_decoder(struct memory *m)
{
    return (mtf_event_decoder){.self = m, .decode = decode, .schema = schema_of, .need = need};
}

mtf_status memory_encode(const mtf_session *session, mtf_buf *out, mtf_err *err)
{
    (void)err;
    if (session->parts > 1) mtf_buf_printf(out, "part %u/%u ", session->part, session->parts);
    stream_print_session(session, session->step_count, out);
    return MTF_OK;
}

void memory_append(struct memory *m, int partition, const void *data, size_t size,
                   int64_t timestamp_ms)
{
    struct memory_partition *p = partition_of(m, partition);
    p->log = realloc(p->log, sizeof *p->log * (size_t)(p->end + 1));
    uint8_t *copy = malloc(size ? size : 1);
    MTF_ASSERT(p->log && copy);
    if (size) memcpy(copy, data, size);
    p->log[p->end++] = (struct memory_record){copy, size, timestamp_ms};
}

void memory_append_sample(struct memory *m, int partition, const struct sample *sample)
{
    if (sample->bad)
        memory_append(m, partition, sample->id, strlen(sample->id), sample->append_ms);
    else
        memory_append(m, partition, sample, sizeof *sample, sample->append_ms);
}

void memory_append_by(struct memory *m, int partition, char schema, const struct sample *sample)
{
    char bytes[2 + sizeof *sample] = {'#', schema};
    memcpy(bytes + 2, sample, sizeof *sample);
    memory_append(m, partition, bytes, sizeof bytes, sample->append_ms);
}

void memory_trim(struct memory *m, int partition, int64_t first)
{
    struct memory_partition *p = partition_of(m, partition);
    for (; p->first < first; p->first++) {
        MTF_ASSERT(p->first < p->end);
        free(p->log[p->first].data);
    }
}

void memory_control(struct memory *m, mtf_input_kind kind, int partition)
{
    MTF_ASSERT(m->control_count < (int)(sizeof m->control / sizeof *m->control));
    m->control[m->control_count++] = (mtf_input){.kind = kind, .partition = partition};
}

void memory_crash(struct memory *m)
{
    m->control_count = 0;
    m->begun = false;
    m->fail_put = m->fail_commit = 0;
    m->fail_applied = false;
    mtf_buf_clear(&m->unit);
    for (int i = 0; i < MEMORY_PARTITIONS; i++)
        m->partitions[i].assigned = m->partitions[i].started = false;
}

const char *memory_out(struct memory *m)
{
    mtf_buf_put_u8(&m->out, 0);
    m->out.size--;
    return m->out.failed ? NULL : (const char *)m->out.data;
}
