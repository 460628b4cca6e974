#include "ingest/decoder.h"

#include "core/avro.h"
#include "core/file.h"
#include "ingest/plan.h"
#include "ingest/schemas.h"
#include "ingest/user_key.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/** Raise it when the same bytes decode to something else: sessionizers then ask before they go on.
 */
#define DECODER_VERSION "avro-2"

/** What we read records into: our schema and its shape. */
typedef enum record_kind { TARGET_EVENT, TARGET_SESSION, TARGETS } record_kind;

/** A writer's schema and, once it has been needed, its plans or why there is none. */
typedef struct entry {
    mtf_schema *schema;
    int64_t id; /* Confluent's, -1 for none */
    mtf_plan *plans[TARGETS];
    mtf_err *refusals[TARGETS];
} entry;

struct mtf_decoder {
    mtf_framing framing;
    mtf_dims dims;
    mtf_schema *readers[TARGETS];
    entry *entries;
    size_t entry_count, entry_capacity;
    size_t last[TARGETS];   /* the entry of the last record: usually the next one's too */
    size_t pinned;          /* RAW: its entry */
    mtf_user_key *user_key; /* NULL: user ids stay as they are */
    char name[128];
};

static const mtf_shape *const shapes[TARGETS] = {&mtf_shape_event, &mtf_shape_session};

mtf_status mtf_framing_parse(const char *text, mtf_framing *framing, mtf_err *err)
{
    static const char *const names[] = {"single-object", "confluent", "raw"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *framing = (mtf_framing)i;
            return MTF_OK;
        }
    }
    return mtf_fail(err, MTF_INVALID,
                    "schema.framing: \"%.40s\" is none of single-object, confluent, raw", text);
}

/** Moves the schema in; the same schema under another id is another entry. */
static mtf_status add_entry(mtf_decoder *decoder, mtf_schema *schema, int64_t id, mtf_err *err)
{
    if (decoder->entry_count == decoder->entry_capacity) {
        const size_t capacity = decoder->entry_capacity ? 2 * decoder->entry_capacity : 8;
        entry *entries = realloc(decoder->entries, capacity * sizeof *entries);
        if (!entries) {
            mtf_schema_free(schema);
            return mtf_fail(err, MTF_NOMEM, "schema catalogue: out of memory");
        }
        decoder->entries = entries;
        decoder->entry_capacity = capacity;
    }
    decoder->entries[decoder->entry_count++] = (entry){.schema = schema, .id = id};
    return MTF_OK;
}

static mtf_status add_text(mtf_decoder *decoder, const char *text, size_t size, int64_t id,
                           mtf_err *err)
{
    mtf_schema *schema;
    const mtf_status status = mtf_schema_parse(text, size, &schema, err);
    return status == MTF_OK ? add_entry(decoder, schema, id, err) : status;
}

static mtf_status add_file(mtf_decoder *decoder, const char *path, int64_t id, mtf_err *err)
{
    mtf_buf text = {0};
    mtf_err cause = {0};
    mtf_status status = mtf_file_read(path, MTF_SCHEMA_BYTES_MAX, &text, err);
    if (status == MTF_OK) {
        status = add_text(decoder, (const char *)text.data, text.size, id, &cause);
        if (status != MTF_OK) status = mtf_fail(err, status, "%.200s: %.180s", path, cause.msg);
    }
    mtf_buf_fini(&text);
    return status;
}

/** The id in "<id>.avsc", -1 when the name is no number of 32 bits. */
static int64_t id_of(const char *name)
{
    char *end;
    if (*name < '0' || *name > '9') return -1;
    errno = 0;
    const unsigned long long id = strtoull(name, &end, 10);
    return errno == 0 && strcmp(end, ".avsc") == 0 && id <= UINT32_MAX ? (int64_t)id : -1;
}

static int avsc_only(const struct dirent *file)
{
    const size_t size = strlen(file->d_name);
    return size > 5 && file->d_name[0] != '.' && strcmp(file->d_name + size - 5, ".avsc") == 0;
}

static mtf_status add_directory(mtf_decoder *decoder, const char *directory, mtf_err *err)
{
    struct dirent **files;
    mtf_buf path = {0};
    mtf_status status = MTF_OK;
    const int count = scandir(directory, &files, avsc_only, alphasort);
    if (count < 0) {
        return mtf_fail(err, MTF_INVALID, "schema.directory %.200s: %s", directory,
                        strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        mtf_buf_clear(&path);
        mtf_buf_printf(&path, "%s/%s", directory, files[i]->d_name);
        if (status == MTF_OK && path.failed)
            status = mtf_fail(err, MTF_NOMEM, "schema catalogue: out of memory");
        if (status == MTF_OK)
            status = add_file(decoder, (const char *)path.data, id_of(files[i]->d_name), err);
        free(files[i]);
    }
    free(files);
    mtf_buf_fini(&path);
    return status;
}

static mtf_status open_readers(mtf_decoder *decoder, mtf_err *err)
{
    const char *const texts[TARGETS] = {mtf_schema_event, mtf_schema_session};
    mtf_status status = MTF_OK;
    for (int i = 0; status == MTF_OK && i < TARGETS; i++) {
        status = mtf_schema_parse(texts[i], strlen(texts[i]), &decoder->readers[i], err);
        if (status == MTF_OK) status = mtf_shape_check(shapes[i], decoder->readers[i]->root, err);
        if (status == MTF_OK) status = add_text(decoder, texts[i], strlen(texts[i]), -1, err);
    }
    return status;
}

mtf_status mtf_decoder_open(const mtf_decoder_config *config, mtf_decoder **decoder, mtf_err *err)
{
    mtf_decoder *made = calloc(1, sizeof *made);
    *decoder = NULL;
    if (!made) return mtf_fail(err, MTF_NOMEM, "schema catalogue: out of memory");
    made->framing = config->framing;
    made->dims = config->dims;
    mtf_status status = open_readers(made, err);
    if (status == MTF_OK) status = mtf_user_key_open(config->user_key_file, &made->user_key, err);
    snprintf(made->name, sizeof made->name, DECODER_VERSION "%s%s framing %d dims %u %u",
             made->user_key ? " user key " : "",
             made->user_key ? mtf_user_key_name(made->user_key) : "", made->framing,
             (unsigned)made->dims.state, (unsigned)made->dims.action);
    if (status == MTF_OK && config->directory && *config->directory) {
        status = add_directory(made, config->directory, err);
    }
    if (status == MTF_OK && config->framing == MTF_FRAMING_RAW) {
        const bool named = config->pinned && *config->pinned;
        made->pinned = made->entry_count;
        status = named ? add_file(made, config->pinned, -1, err)
                       : mtf_fail(err, MTF_INVALID,
                                  "schema.framing raw: schema.pinned must name the schema file");
    }
    if (status == MTF_OK) {
        *decoder = made;
    } else {
        mtf_decoder_close(made);
    }
    return status;
}

void mtf_decoder_close(mtf_decoder *decoder)
{
    if (!decoder) return;
    for (size_t i = 0; i < decoder->entry_count; i++) {
        for (int target = 0; target < TARGETS; target++) {
            mtf_plan_free(decoder->entries[i].plans[target]);
            free(decoder->entries[i].refusals[target]);
        }
        mtf_schema_free(decoder->entries[i].schema);
    }
    free(decoder->entries);
    mtf_user_key_close(decoder->user_key);
    for (int target = 0; target < TARGETS; target++) mtf_schema_free(decoder->readers[target]);
    free(decoder);
}

static bool find_fingerprint(const mtf_decoder *decoder, uint64_t fingerprint, size_t *index)
{
    if (decoder->entries[*index].schema->fingerprint == fingerprint) return true;
    for (size_t i = 0; i < decoder->entry_count; i++) {
        if (decoder->entries[i].schema->fingerprint == fingerprint) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool find_id(const mtf_decoder *decoder, uint32_t id, size_t *index)
{
    if (decoder->entries[*index].id == id) return true;
    for (size_t i = 0; i < decoder->entry_count; i++) {
        if (decoder->entries[i].id == id) {
            *index = i;
            return true;
        }
    }
    return false;
}

mtf_status mtf_decoder_add(mtf_decoder *decoder, const char *text, size_t size,
                           uint64_t *fingerprint, mtf_err *err)
{
    mtf_schema *schema;
    size_t index = 0;
    const mtf_status status = mtf_schema_parse(text, size, &schema, err);
    if (status != MTF_OK) return status;
    *fingerprint = schema->fingerprint;
    if (!find_fingerprint(decoder, schema->fingerprint, &index))
        return add_entry(decoder, schema, -1, err);
    mtf_schema_free(schema);
    return MTF_OK;
}

/** Takes the frame off and finds the writer's entry. */
static mtf_status unframe(mtf_decoder *decoder, mtf_framing framing, record_kind target,
                          mtf_reader *reader, entry **writer, mtf_err *err)
{
    size_t *index = &decoder->last[target];
    uint64_t fingerprint;
    if (framing == MTF_FRAMING_RAW) {
        *index = decoder->pinned;
    } else if (framing == MTF_FRAMING_SINGLE_OBJECT) {
        if (!mtf_avro_frame(reader, &fingerprint)) {
            return mtf_fail(err, MTF_SKIP,
                            "decode: no single-object frame (C3 01 and a fingerprint)");
        }
        if (!find_fingerprint(decoder, fingerprint, index)) {
            return mtf_fail(
                err, MTF_SKIP,
                "unknown_schema: fingerprint %016llx; put its .avsc into schema.directory",
                (unsigned long long)fingerprint);
        }
    } else {
        const uint8_t *frame = mtf_reader_take(reader, 5);
        if (!frame || frame[0] != 0)
            return mtf_fail(err, MTF_SKIP, "decode: no Confluent frame (00 and an id)");
        if (!find_id(decoder, mtf_load_u32_be(frame + 1), index)) {
            return mtf_fail(
                err, MTF_SKIP, "unknown_schema: id %u; put %u.avsc into schema.directory",
                (unsigned)mtf_load_u32_be(frame + 1), (unsigned)mtf_load_u32_be(frame + 1));
        }
    }
    *writer = &decoder->entries[*index];
    return MTF_OK;
}

/** Makes the entry's plan at its first use; a refusal is kept and told again for each record. */
static mtf_status need_plan(mtf_decoder *decoder, entry *writer, record_kind target, mtf_err *err)
{
    if (writer->plans[target]) return MTF_OK;
    if (!writer->refusals[target]) {
        mtf_err cause = {0};
        const mtf_status status = mtf_plan_compile(writer->schema, decoder->readers[target],
                                                   shapes[target], &writer->plans[target], &cause);
        if (status == MTF_OK) return MTF_OK;
        if (status == MTF_NOMEM) return mtf_fail(err, MTF_NOMEM, "%s", cause.msg);
        writer->refusals[target] = malloc(sizeof cause);
        if (!writer->refusals[target]) return mtf_fail(err, MTF_NOMEM, "schema: out of memory");
        *writer->refusals[target] = cause;
    }
    return mtf_fail(err, MTF_SKIP, "%s", writer->refusals[target]->msg);
}

static mtf_status decode(mtf_decoder *decoder, mtf_framing framing, record_kind target,
                         mtf_span value, mtf_arena *arena, void *record, mtf_err *err)
{
    if (!value.data) return mtf_fail(err, MTF_SKIP, "decode: no value");
    mtf_reader reader = mtf_reader_of(value);
    entry *writer = NULL;
    mtf_status status = unframe(decoder, framing, target, &reader, &writer, err);
    if (status == MTF_OK) status = need_plan(decoder, writer, target, err);
    if (status == MTF_OK) status = mtf_plan_run(writer->plans[target], &reader, arena, record, err);
    if (status == MTF_OK && mtf_reader_left(&reader)) {
        status = mtf_fail(err, MTF_SKIP, "decode: %zu bytes after the record's end",
                          mtf_reader_left(&reader));
    }
    return status;
}

static mtf_status hide_user(mtf_user_key *key, mtf_arena *arena, mtf_event *event, mtf_err *err)
{
    char *hash = mtf_arena_take(arena, MTF_USER_HASH_CHARS);
    if (!hash) return mtf_fail(err, MTF_NOMEM, "decode: out of memory");
    const mtf_status status = mtf_user_key_hash(key, event->user_id, hash, err);
    event->user_id = (mtf_str){hash, MTF_USER_HASH_CHARS};
    return status;
}

static mtf_status decode_event(void *self, mtf_span value, mtf_arena *arena, mtf_event *event,
                               mtf_err *err)
{
    mtf_decoder *decoder = self;
    mtf_status status = decode(decoder, decoder->framing, TARGET_EVENT, value, arena, event, err);
    if (status == MTF_OK) status = mtf_event_validate(event, decoder->dims, err);
    if (status == MTF_OK && decoder->user_key)
        status = hide_user(decoder->user_key, arena, event, err);
    return status;
}

static mtf_status decode_session(void *self, mtf_span value, mtf_arena *arena, mtf_session *session,
                                 mtf_err *err)
{
    mtf_decoder *decoder = self;
    const mtf_status status =
        decode(decoder, MTF_FRAMING_SINGLE_OBJECT, TARGET_SESSION, value, arena, session, err);
    return status == MTF_OK ? mtf_session_validate(session, decoder->dims, err) : status;
}

/** What changes how a record is decoded, beside the decoder's name: the schema, and with
 * Confluent's frame the id that it stands for. The built-in ones are no names where no file can
 * take their place. */
static uint64_t name_of(const mtf_decoder *decoder, const entry *writer)
{
    const uint64_t fingerprint = writer->schema->fingerprint;
    if (decoder->framing == MTF_FRAMING_SINGLE_OBJECT && writer < decoder->entries + TARGETS)
        return 0;
    if (decoder->framing != MTF_FRAMING_CONFLUENT) return fingerprint;
    return (uint64_t)writer->id << 32 | (uint32_t)(fingerprint ^ fingerprint >> 32);
}

static uint64_t event_schema(void *self, mtf_span value)
{
    mtf_decoder *decoder = self;
    mtf_reader reader = mtf_reader_of(value);
    entry *writer = NULL;
    const mtf_status status =
        unframe(decoder, decoder->framing, TARGET_EVENT, &reader, &writer, NULL);
    return status == MTF_OK ? name_of(decoder, writer) : 0;
}

static mtf_status need_schema(void *self, uint64_t schema, mtf_err *err)
{
    const mtf_decoder *decoder = self;
    size_t index = 0;
    switch (decoder->framing) {
    case MTF_FRAMING_RAW:
        if (name_of(decoder, &decoder->entries[decoder->pinned]) == schema) return MTF_OK;
        return mtf_fail(err, MTF_INVALID,
                        "schema.pinned was of fingerprint %016llx and is another now",
                        (unsigned long long)schema);
    case MTF_FRAMING_CONFLUENT:
        if (find_id(decoder, (uint32_t)(schema >> 32), &index) &&
            name_of(decoder, &decoder->entries[index]) == schema)
            return MTF_OK;
        return mtf_fail(err, MTF_INVALID, "%u.avsc is gone from schema.directory or changed",
                        (unsigned)(schema >> 32));
    case MTF_FRAMING_SINGLE_OBJECT:
        break;
    }
    if (find_fingerprint(decoder, schema, &index)) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "the .avsc of fingerprint %016llx is gone from schema.directory or changed",
                    (unsigned long long)schema);
}

const char *mtf_decoder_name(const mtf_decoder *decoder)
{
    return decoder->name;
}

mtf_event_decoder mtf_decoder_events(mtf_decoder *decoder)
{
    return (mtf_event_decoder){decoder, decode_event, event_schema, need_schema};
}

mtf_session_decoder mtf_decoder_sessions(mtf_decoder *decoder)
{
    return (mtf_session_decoder){decoder, decode_session};
}
