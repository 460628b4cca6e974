#include "core/avro.h"
#include "ingest/container.h"
#include "ingest/container_file.h"
#include "ingest/plan.h"
#include "ingest/schemas.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/** One file, with how to read its records and what frames its events. */
typedef struct input_file {
    mtf_container_file *file;
    mtf_schema *schema;
    mtf_plan *plan;
    const char *path;     /* borrowed, for words */
    uint64_t fingerprint; /* of its event's schema */
} input_file;

typedef struct partition {
    int32_t id;
    int64_t first, end;            /* offsets in the files; end = the last + 1 */
    int64_t next;                  /* the next to give */
    bool assigned, started, ended; /* what has been told and asked */
} partition;

typedef struct source {
    mtf_str topic;
    mtf_schema *replay_schema;
    input_file *files;
    size_t file_count;
    partition *partitions;
    size_t partition_count, partition_capacity;
    /* Where we are: */
    size_t file_index;
    uint64_t records_left; /* of the block */
    mtf_reader block;
    mtf_replay_row row; /* read, not yet given */
    bool row_ready, paused;
    mtf_arena arena; /* for plans; rows take none of it */
    mtf_buf value;   /* of the message given last */
} source;

static void close_source(void *self);

static partition *find_partition(source *s, int64_t id)
{
    for (size_t i = 0; i < s->partition_count; i++) {
        if (s->partitions[i].id == id) return &s->partitions[i];
    }
    return NULL;
}

static mtf_status rewind_files(source *s, mtf_err *err)
{
    mtf_status status = MTF_OK;
    for (size_t i = 0; status == MTF_OK && i < s->file_count; i++) {
        status = mtf_container_file_rewind(s->files[i].file, err);
    }
    s->file_index = 0;
    s->records_left = 0;
    s->block = (mtf_reader){0};
    s->row_ready = false;
    return status;
}

/** The next record of all files into s->row. MTF_CLOSED after the last. */
static mtf_status next_row(source *s, mtf_err *err)
{
    while (s->records_left == 0) {
        mtf_span records;
        if (s->file_index == s->file_count) return MTF_CLOSED;
        if (mtf_reader_left(&s->block)) {
            return mtf_fail(err, MTF_CORRUPT, "%.180s: bytes after the last record of a block",
                            s->files[s->file_index].path);
        }
        const mtf_status status =
            mtf_container_file_block(s->files[s->file_index].file, &s->records_left, &records, err);
        if (status == MTF_CLOSED) {
            s->file_index++;
            continue;
        }
        if (status != MTF_OK) return status;
        s->block = records.size ? mtf_reader_of(records) : (mtf_reader){0};
    }
    mtf_err cause = {0};
    mtf_arena_reset(&s->arena);
    const mtf_status status =
        mtf_plan_run(s->files[s->file_index].plan, &s->block, &s->arena, &s->row, &cause);
    if (status == MTF_NOMEM) return mtf_fail(err, MTF_NOMEM, "replay: out of memory");
    if (status != MTF_OK || s->row.partition < 0 || s->row.partition > INT32_MAX ||
        s->row.offset < 0 || s->row.offset == INT64_MAX) {
        return mtf_fail(err, MTF_CORRUPT, "%.180s: a record is malformed: %.180s",
                        s->files[s->file_index].path,
                        status == MTF_OK ? "its partition or offset is out of range" : cause.msg);
    }
    s->records_left--;
    return MTF_OK;
}

static mtf_status add_partition(source *s, const mtf_replay_row *row, mtf_err *err)
{
    if (s->partition_count == s->partition_capacity) {
        const size_t capacity = s->partition_capacity ? 2 * s->partition_capacity : 16;
        partition *partitions = realloc(s->partitions, capacity * sizeof *partitions);
        if (!partitions) return mtf_fail(err, MTF_NOMEM, "replay: out of memory");
        s->partitions = partitions;
        s->partition_capacity = capacity;
    }
    s->partitions[s->partition_count++] = (partition){.id = (int32_t)row->partition,
                                                      .first = row->offset,
                                                      .end = row->offset,
                                                      .next = row->offset};
    return MTF_OK;
}

/** Reads everything once for the partitions and their ranges. */
static mtf_status scan(source *s, mtf_err *err)
{
    mtf_status status;
    while ((status = next_row(s, err)) == MTF_OK) {
        partition *p = find_partition(s, s->row.partition);
        if (!p) {
            status = add_partition(s, &s->row, err);
            if (status != MTF_OK) return status;
            p = &s->partitions[s->partition_count - 1];
        }
        if (s->row.offset < p->end) {
            return mtf_fail(err, MTF_CORRUPT,
                            "%.180s: partition %d goes back from offset %lld to %lld; give the "
                            "files in order and each once",
                            s->files[s->file_index].path, (int)p->id, (long long)p->end - 1,
                            (long long)s->row.offset);
        }
        p->end = s->row.offset + 1;
    }
    return status == MTF_CLOSED ? rewind_files(s, err) : status;
}

/** Makes the file's event schema known to the decoder: its canonical form stands alone, also where
 *  the file's schema defined a type of it outside of it. */
static mtf_status register_event(input_file *input, mtf_decoder *decoder, mtf_err *err)
{
    mtf_buf text = {0};
    mtf_status status = MTF_OK;
    for (uint32_t i = 0; i < input->schema->root->count; i++) {
        const mtf_schema_field *field = &input->schema->root->fields[i];
        if (strcmp(field->name, "event") == 0)
            status = mtf_schema_canonical(input->schema, field->type, &text, err);
    }
    if (status == MTF_OK) {
        status =
            mtf_decoder_add(decoder, (const char *)text.data, text.size, &input->fingerprint, err);
    }
    mtf_buf_fini(&text);
    return status;
}

static mtf_status open_file(source *s, const char *path, mtf_decoder *decoder, mtf_err *err)
{
    mtf_err cause = {0};
    input_file *input = &s->files[s->file_count];
    mtf_status status = mtf_container_file_open(path, &input->file, err);
    if (status != MTF_OK) return status;
    s->file_count++;
    input->path = path;
    const mtf_span text = mtf_container_file_schema(input->file);
    status = mtf_schema_parse((const char *)text.data, text.size, &input->schema, &cause);
    if (status == MTF_OK) {
        status = mtf_plan_compile(input->schema, s->replay_schema, &mtf_shape_replay, &input->plan,
                                  &cause);
    }
    if (status == MTF_OK) status = register_event(input, decoder, &cause);
    return status == MTF_OK ? MTF_OK : mtf_fail(err, status, "%.180s: %.200s", path, cause.msg);
}

static mtf_status give_message(source *s, mtf_input *input, mtf_err *err)
{
    mtf_buf_clear(&s->value);
    mtf_avro_put_frame(&s->value, s->files[s->file_index].fingerprint);
    mtf_buf_put(&s->value, s->row.event.data, s->row.event.size);
    if (s->value.failed) return mtf_fail(err, MTF_NOMEM, "replay: out of memory");
    input->kind = MTF_INPUT_MESSAGE;
    input->message = (mtf_message){.topic = s->topic,
                                   .partition = input->partition,
                                   .offset = s->row.offset,
                                   .timestamp_ms = s->row.append_time_ms,
                                   .value = mtf_buf_span(&s->value)};
    return MTF_OK;
}

static mtf_status wait_ms(int timeout_ms)
{
    struct timespec left = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    while (timeout_ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    return MTF_AGAIN;
}

/** The next message that its partition still wants; MTF_CLOSED at the end of the files. */
static mtf_status poll_message(source *s, int timeout_ms, mtf_input *input, mtf_err *err)
{
    for (;;) {
        if (!s->row_ready) {
            const mtf_status status = next_row(s, err);
            if (status != MTF_OK) return status;
            s->row_ready = true;
        }
        partition *p = find_partition(s, s->row.partition);
        MTF_ASSERT(p != NULL); /* scan() saw every record */
        if (!p->started) return wait_ms(timeout_ms);
        s->row_ready = false;
        if (s->row.offset < p->next) continue;
        p->next = s->row.offset + 1;
        input->partition = p->id;
        return give_message(s, input, err);
    }
}

static mtf_status poll(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    source *s = self;
    for (size_t i = 0; i < s->partition_count; i++) {
        partition *p = &s->partitions[i];
        if (p->assigned) continue;
        p->assigned = true;
        *input = (mtf_input){.kind = MTF_INPUT_ASSIGN, .partition = p->id, .committed_offset = -1};
        return MTF_OK;
    }
    if (s->paused) return wait_ms(timeout_ms);
    const mtf_status status = poll_message(s, timeout_ms, input, err);
    if (status != MTF_CLOSED) return status;
    for (size_t i = 0; i < s->partition_count; i++) {
        partition *p = &s->partitions[i];
        if (p->ended) continue;
        p->ended = true;
        *input = (mtf_input){.kind = MTF_INPUT_END, .partition = p->id};
        return MTF_OK;
    }
    return MTF_CLOSED;
}

static mtf_status start(void *self, int32_t id, int64_t offset, mtf_err *err)
{
    source *s = self;
    partition *p = find_partition(s, id);
    if (!p) return mtf_fail(err, MTF_INVALID, "replay: the files have no partition %d", (int)id);
    const bool back = offset < p->next;
    p->started = true;
    p->ended = false;
    p->next = offset;
    /* The others' own next keeps what they have had from coming again. */
    return back ? rewind_files(s, err) : MTF_OK;
}

static mtf_status range(void *self, int32_t id, int64_t *first, int64_t *end, mtf_err *err)
{
    const partition *p = find_partition(self, id);
    if (!p) return mtf_fail(err, MTF_INVALID, "replay: the files have no partition %d", (int)id);
    *first = p->first;
    *end = p->end;
    return MTF_OK;
}

static mtf_status pause_source(void *self, bool paused, mtf_err *err)
{
    (void)err;
    ((source *)self)->paused = paused;
    return MTF_OK;
}

static void close_source(void *self)
{
    source *s = self;
    if (!s) return;
    for (size_t i = 0; i < s->file_count; i++) {
        mtf_container_file_close(s->files[i].file);
        mtf_plan_free(s->files[i].plan);
        mtf_schema_free(s->files[i].schema);
    }
    mtf_schema_free(s->replay_schema);
    mtf_arena_fini(&s->arena);
    mtf_buf_fini(&s->value);
    free(s->files);
    free(s->partitions);
    free(s);
}

mtf_status mtf_container_source(const char *const *paths, size_t count, const char *topic,
                                mtf_decoder *decoder, mtf_source *out, mtf_err *err)
{
    source *s = calloc(1, sizeof *s);
    *out = (mtf_source){0};
    if (!s) return mtf_fail(err, MTF_NOMEM, "replay: out of memory");
    s->topic = mtf_str_of(topic);
    s->files = calloc(count ? count : 1, sizeof *s->files);
    mtf_status status = s->files ? mtf_schema_parse(mtf_schema_replay, strlen(mtf_schema_replay),
                                                    &s->replay_schema, err)
                                 : mtf_fail(err, MTF_NOMEM, "replay: out of memory");
    if (status == MTF_OK) status = mtf_shape_check(&mtf_shape_replay, s->replay_schema->root, err);
    for (size_t i = 0; status == MTF_OK && i < count; i++)
        status = open_file(s, paths[i], decoder, err);
    if (status == MTF_OK) status = scan(s, err);
    if (status == MTF_OK) {
        *out = (mtf_source){.self = s,
                            .poll = poll,
                            .start = start,
                            .range = range,
                            .pause = pause_source,
                            .close = close_source};
    } else {
        close_source(s);
    }
    return status;
}
