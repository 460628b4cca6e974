#include "ingest/shape.h"

const mtf_member *mtf_shape_find(const mtf_shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->member_count; i++) {
        if (strcmp(shape->members[i].name, name) == 0) return &shape->members[i];
    }
    return NULL;
}

static bool is_text(const mtf_schema_node *type)
{
    if (type->type == MTF_SCHEMA_UNION) {
        bool text = true;
        for (uint32_t i = 0; i < type->count; i++) {
            text = text && (type->nodes[i]->type == MTF_SCHEMA_NULL || is_text(type->nodes[i]));
        }
        return text;
    }
    return type->type == MTF_SCHEMA_STRING || type->type == MTF_SCHEMA_BYTES;
}

static bool is_choice(const mtf_member *member, const mtf_schema_node *type)
{
    bool choice = type->type == MTF_SCHEMA_UNION && type->count == member->shape_count;
    for (uint32_t i = 0; choice && i < type->count; i++)
        choice = type->nodes[i]->type == MTF_SCHEMA_RECORD;
    return choice;
}

/** Whether the member's storage holds the type, looking no deeper than its items. */
static bool member_fits(const mtf_member *member, const mtf_schema_node *type)
{
    const mtf_schema_type items =
        type->type == MTF_SCHEMA_ARRAY ? type->nodes[0]->type : MTF_SCHEMA_NULL;
    switch (member->kind) {
    case MTF_MEMBER_STR:
        return is_text(type);
    case MTF_MEMBER_LONG:
        return type->type == MTF_SCHEMA_INT || type->type == MTF_SCHEMA_LONG;
    case MTF_MEMBER_UINT:
        return type->type == MTF_SCHEMA_INT;
    case MTF_MEMBER_FLOAT:
        return type->type == MTF_SCHEMA_FLOAT;
    case MTF_MEMBER_DOUBLE:
        return type->type == MTF_SCHEMA_DOUBLE;
    case MTF_MEMBER_BOOL:
        return type->type == MTF_SCHEMA_BOOLEAN;
    case MTF_MEMBER_ENUM:
        return type->type == MTF_SCHEMA_ENUM;
    case MTF_MEMBER_FIXED:
        return type->type == MTF_SCHEMA_FIXED;
    case MTF_MEMBER_FLOATS:
        return items == MTF_SCHEMA_FLOAT;
    case MTF_MEMBER_RECORD:
        return type->type == MTF_SCHEMA_RECORD;
    case MTF_MEMBER_RECORDS:
        return items == MTF_SCHEMA_RECORD;
    case MTF_MEMBER_CHOICE:
        return is_choice(member, type);
    case MTF_MEMBER_RAW:
        return true;
    }
    return false;
}

static mtf_status check_inner(const mtf_member *member, const mtf_schema_node *type, mtf_err *err)
{
    switch (member->kind) {
    case MTF_MEMBER_RECORD:
        return mtf_shape_check(member->shapes, type, err);
    case MTF_MEMBER_RECORDS:
        return mtf_shape_check(member->shapes, type->nodes[0], err);
    case MTF_MEMBER_CHOICE:
        for (uint32_t i = 0; i < type->count; i++) {
            const mtf_status status = mtf_shape_check(&member->shapes[i], type->nodes[i], err);
            if (status != MTF_OK) return status;
        }
        return MTF_OK;
    default:
        return MTF_OK;
    }
}

mtf_status mtf_shape_check(const mtf_shape *shape, const mtf_schema_node *record, mtf_err *err)
{
    if (record->type != MTF_SCHEMA_RECORD || record->count != shape->member_count) {
        return mtf_fail(err, MTF_INVALID,
                        "schema: our structure has %u fields, our schema another number",
                        (unsigned)shape->member_count);
    }
    for (uint32_t i = 0; i < record->count; i++) {
        const mtf_schema_field *field = &record->fields[i];
        const mtf_member *member = mtf_shape_find(shape, field->name);
        if (!member || !member_fits(member, field->type)) {
            return mtf_fail(err, MTF_INVALID,
                            "schema: our structure has no place for %.100s of %.100s", field->name,
                            record->name);
        }
        const mtf_status status = check_inner(member, field->type, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}
