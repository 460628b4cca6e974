#include "ingest/session_file.h"

#include <stdlib.h>

#include "ingest/container_file.h"
#include "ingest/plan.h"
#include "ingest/schemas.h"

struct mtf_session_file {
    const char *path; /* borrowed, for words */
    mtf_dims dims;
    mtf_container_file *file;
    mtf_schema *writer, *reader;
    mtf_plan *plan;
    uint64_t left; /* records of the block */
    mtf_reader block;
    mtf_arena arena;
};

static mtf_status read_schema(const char *path, mtf_container_file **file, mtf_schema **schema,
                              mtf_err *err)
{
    mtf_err why = {0};
    const mtf_status status = mtf_container_file_open(path, file, err);
    if (status != MTF_OK) return status;
    const mtf_span text = mtf_container_file_schema(*file);
    if (mtf_schema_parse((const char *)text.data, text.size, schema, &why) == MTF_OK) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "%.180s: %.200s", path, why.msg);
}

mtf_status mtf_session_file_is(const char *path, bool *sessions, mtf_err *err)
{
    mtf_container_file *file = NULL;
    mtf_schema *schema = NULL;
    *sessions = false;
    const mtf_status status = read_schema(path, &file, &schema, err);
    if (status == MTF_OK && schema->root->type == MTF_SCHEMA_RECORD) {
        *sessions = strcmp(mtf_schema_short_name(schema->root->name), "Session") == 0;
        for (uint32_t i = 0; i < schema->root->count; i++)
            *sessions |= strcmp(schema->root->fields[i].name, "steps") == 0;
    }
    mtf_schema_free(schema);
    mtf_container_file_close(file);
    return status;
}

mtf_status mtf_session_file_open(const char *path, mtf_dims dims, mtf_session_file **out,
                                 mtf_err *err)
{
    mtf_err why = {0};
    mtf_session_file *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return mtf_fail(err, MTF_NOMEM, "%.180s: out of memory", path);
    f->path = path;
    f->dims = dims;
    mtf_status status = read_schema(path, &f->file, &f->writer, err);
    if (status != MTF_OK) goto done;
    status = mtf_schema_parse(mtf_schema_session, strlen(mtf_schema_session), &f->reader, &why);
    if (status == MTF_OK)
        status = mtf_plan_compile(f->writer, f->reader, &mtf_shape_session, &f->plan, &why);
    if (status != MTF_OK) status = mtf_fail(err, status, "%.180s: %.200s", path, why.msg);
done:
    if (status != MTF_OK) {
        mtf_session_file_close(f);
        f = NULL;
    }
    *out = f;
    return status;
}

void mtf_session_file_close(mtf_session_file *f)
{
    if (!f) return;
    mtf_plan_free(f->plan);
    mtf_schema_free(f->reader);
    mtf_schema_free(f->writer);
    mtf_container_file_close(f->file);
    mtf_arena_fini(&f->arena);
    free(f);
}

/** A block with a record left. */
static mtf_status next_block(mtf_session_file *f, mtf_err *err)
{
    while (f->left == 0) {
        mtf_span records;
        if (mtf_reader_left(&f->block))
            return mtf_fail(err, MTF_CORRUPT, "%.180s: bytes after the last record of a block",
                            f->path);
        const mtf_status status = mtf_container_file_block(f->file, &f->left, &records, err);
        if (status != MTF_OK) return status;
        f->block = records.size ? mtf_reader_of(records) : (mtf_reader){0};
    }
    return MTF_OK;
}

mtf_status mtf_session_file_next(mtf_session_file *f, mtf_session *session, mtf_err *err)
{
    mtf_err why = {0};
    mtf_status status = next_block(f, err);
    if (status != MTF_OK) return status;
    mtf_arena_reset(&f->arena);
    status = mtf_plan_run(f->plan, &f->block, &f->arena, session, &why);
    if (status == MTF_NOMEM) return mtf_fail(err, MTF_NOMEM, "%.180s: out of memory", f->path);
    if (status != MTF_OK) /* where the next one begins is not known */
        return mtf_fail(err, MTF_CORRUPT, "%.180s: a session is malformed: %.180s", f->path,
                        why.msg);
    f->left--;
    return mtf_session_validate(session, f->dims, err);
}
