#include "ingest/oracle.h"

#include <string.h>

static bool member_agrees(const mtf_schema_node *reader, const mtf_member *member,
                          const uint8_t *base, avro_value_t value, const char **field);

static int64_t whole_of(const avro_value_t *value)
{
    int32_t small = 0;
    int64_t large = 0;
    if (avro_value_get_type(value) == AVRO_INT32) {
        avro_value_get_int(value, &small);
        return small;
    }
    avro_value_get_long(value, &large);
    return large;
}

static double number_of(const avro_value_t *value)
{
    float single = 0;
    double number = 0;
    switch (avro_value_get_type(value)) {
    case AVRO_FLOAT:
        avro_value_get_float(value, &single);
        return (double)single;
    case AVRO_DOUBLE:
        avro_value_get_double(value, &number);
        return number;
    default:
        return (double)whole_of(value);
    }
}

/** As the plan should: long to float in one rounding. */
static float single_of(const avro_value_t *value)
{
    const avro_type_t type = avro_value_get_type(value);
    return type == AVRO_FLOAT ? (float)number_of(value) : (float)whole_of(value);
}

static bool text_agrees(mtf_str ours, const avro_value_t *value)
{
    const void *data = NULL;
    size_t size = 0;
    switch (avro_value_get_type(value)) {
    case AVRO_NULL:
        return ours.data == NULL;
    case AVRO_STRING:
        avro_value_get_string(value, (const char **)&data, &size);
        size--; /* it counts the NUL */
        break;
    default:
        avro_value_get_bytes(value, &data, &size);
        break;
    }
    return ours.data && ours.size == size && memcmp(ours.data, data, size) == 0;
}

static bool floats_agree(mtf_floats ours, const avro_value_t *value)
{
    size_t size = 0;
    avro_value_get_size(value, &size);
    bool agrees = ours.count == size;
    for (size_t i = 0; agrees && i < size; i++) {
        avro_value_t item, branch;
        avro_value_get_by_index(value, i, &item, NULL);
        while (avro_value_get_type(&item) == AVRO_UNION) {
            avro_value_get_current_branch(&item, &branch);
            item = branch;
        }
        agrees = ours.data[i] == single_of(&item);
    }
    return agrees;
}

static bool records_agree(const mtf_schema_node *reader, const mtf_member *member,
                          const uint8_t *base, const avro_value_t *value, const char **field)
{
    const uint8_t *items;
    uint32_t count;
    size_t size = 0;
    memcpy(&items, base + member->offset, sizeof items);
    memcpy(&count, base + member->beside, sizeof count);
    avro_value_get_size(value, &size);
    bool agrees = count == size;
    for (size_t i = 0; agrees && i < size; i++) {
        avro_value_t item;
        avro_value_get_by_index(value, i, &item, NULL);
        agrees = mtf_oracle_agrees(reader->nodes[0], member->shapes,
                                   items + i * member->shapes->size, &item, field);
    }
    return agrees;
}

static bool name_is(const char *theirs, const mtf_schema_node *ours)
{
    const char *name = mtf_schema_short_name(ours->name);
    return strcmp(theirs, name) == 0 ||
           (strncmp(theirs, "Old", 3) == 0 && strcmp(theirs + 3, name) == 0);
}

static bool choice_agrees(const mtf_schema_node *reader, const mtf_member *member,
                          const uint8_t *base, const avro_value_t *value, const char **field)
{
    uint32_t kind;
    memcpy(&kind, base + member->beside, sizeof kind);
    const char *name = avro_schema_name(avro_value_get_schema(value));
    return kind < reader->count && name_is(name, reader->nodes[kind]) &&
           mtf_oracle_agrees(reader->nodes[kind], &member->shapes[kind], base + member->offset,
                             value, field);
}

static bool enum_agrees(const mtf_schema_node *reader, const uint8_t *at, const avro_value_t *value)
{
    int symbol = 0;
    uint32_t ours;
    avro_value_get_enum(value, &symbol);
    memcpy(&ours, at, sizeof ours);
    const char *name = avro_schema_enum_get(avro_value_get_schema(value), symbol);
    for (uint32_t i = 0; i < reader->count; i++) {
        if (strcmp(name, reader->symbols[i]) == 0) return ours == i;
    }
    return ours == (uint32_t)reader->fallback_symbol;
}

static bool fixed_agrees(const uint8_t *at, const avro_value_t *value)
{
    const void *bytes = NULL;
    size_t size = 0;
    avro_value_get_fixed(value, &bytes, &size);
    return memcmp(at, bytes, size) == 0;
}

static bool member_agrees(const mtf_schema_node *reader, const mtf_member *member,
                          const uint8_t *base, avro_value_t value, const char **field)
{
    const uint8_t *at = base + member->offset;
    avro_value_t branch;
    int truth = 0;
    while (avro_value_get_type(&value) == AVRO_UNION) {
        avro_value_get_current_branch(&value, &branch);
        value = branch;
    }
    switch (member->kind) {
    case MTF_MEMBER_STR:
        return text_agrees(*(const mtf_str *)(const void *)at, &value);
    case MTF_MEMBER_LONG:
        return *(const int64_t *)(const void *)at == whole_of(&value);
    case MTF_MEMBER_UINT:
        return *(const uint32_t *)(const void *)at == (uint64_t)whole_of(&value);
    case MTF_MEMBER_FLOAT:
        return *(const float *)(const void *)at == single_of(&value);
    case MTF_MEMBER_DOUBLE:
        return *(const double *)(const void *)at == number_of(&value);
    case MTF_MEMBER_BOOL:
        avro_value_get_boolean(&value, &truth);
        return *(const bool *)(const void *)at == (truth != 0);
    case MTF_MEMBER_ENUM:
        return enum_agrees(reader, at, &value);
    case MTF_MEMBER_FIXED:
        return fixed_agrees(at, &value);
    case MTF_MEMBER_FLOATS:
        return floats_agree(*(const mtf_floats *)(const void *)at, &value);
    case MTF_MEMBER_RECORD:
        return mtf_oracle_agrees(reader, member->shapes, at, &value, field);
    case MTF_MEMBER_RECORDS:
        return records_agree(reader, member, base, &value, field);
    case MTF_MEMBER_CHOICE:
        return choice_agrees(reader, member, base, &value, field);
    case MTF_MEMBER_RAW:
        break;
    }
    return false;
}

/** What mtf_reader_variant() and our schemas have for defaults. */
static bool default_agrees(const mtf_schema_node *reader, const mtf_member *member,
                           const uint8_t *base, const json_t *value)
{
    const uint8_t *at = base + member->offset;
    const mtf_str *text = (const void *)at;
    const mtf_floats *floats = (const void *)at;
    uint32_t number;
    memcpy(&number, at, sizeof number);
    switch (member->kind) {
    case MTF_MEMBER_STR:
        return json_is_null(value) ? text->data == NULL
                                   : text->data && mtf_str_is(*text, json_string_value(value));
    case MTF_MEMBER_LONG:
        return *(const int64_t *)(const void *)at == json_integer_value(value);
    case MTF_MEMBER_UINT:
        return number == json_integer_value(value);
    case MTF_MEMBER_FLOAT:
        return (double)*(const float *)(const void *)at == json_number_value(value);
    case MTF_MEMBER_DOUBLE:
        return *(const double *)(const void *)at == json_number_value(value);
    case MTF_MEMBER_BOOL:
        return *(const bool *)(const void *)at == json_is_true(value);
    case MTF_MEMBER_ENUM:
        return strcmp(reader->symbols[number], json_string_value(value)) == 0;
    case MTF_MEMBER_FIXED:
        return memcmp(at, "0123456789abcde\xe4", 16) == 0;
    case MTF_MEMBER_FLOATS:
        for (size_t i = 0; floats->count == json_array_size(value) && i < floats->count; i++) {
            if ((double)floats->data[i] != json_number_value(json_array_get(value, i)))
                return false;
        }
        return floats->count == json_array_size(value);
    case MTF_MEMBER_RECORDS:
        memcpy(&number, base + member->beside, sizeof number);
        return number == 0;
    default:
        return false;
    }
}

bool mtf_oracle_agrees(const mtf_schema_node *reader, const mtf_shape *shape, const void *record,
                       const avro_value_t *value, const char **field)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        const mtf_schema_field *ours = &reader->fields[i];
        const mtf_member *member = mtf_shape_find(shape, ours->name);
        avro_value_t theirs;
        bool agrees;
        if (avro_value_get_by_name(value, ours->name, &theirs, NULL) == 0 ||
            avro_value_get_by_name(value, json_string_value(json_array_get(ours->aliases, 0)),
                                   &theirs, NULL) == 0) {
            agrees = member_agrees(ours->type, member, record, theirs, field);
        } else {
            agrees = default_agrees(ours->type, member, record, ours->fallback);
        }
        if (!agrees) {
            if (!*field) *field = ours->name;
            return false;
        }
    }
    return true;
}
