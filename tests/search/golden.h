/** Reads tests/golden/NAME: lines of `name count values...`, made by the script beside it. */
#ifndef MTF_SEARCH_GOLDEN_H
#define MTF_SEARCH_GOLDEN_H

#include "support/mtf_test.h"

#include <string.h>

#define GOLDEN_ENTRIES 512

typedef struct golden {
    struct golden_entry {
        char name[64];
        size_t count;
        double *values;
    } entries[GOLDEN_ENTRIES];
    size_t count;
} golden;

static inline golden *golden_read(const char *path)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    golden *file = calloc(1, sizeof *file);
    assert_non_null(file);
    struct golden_entry *entry = file->entries;
    while (fscanf(in, "%63s %zu", entry->name, &entry->count) == 2) {
        assert_in_range(entry->count, 1, 1 << 20);
        entry->values = calloc(entry->count, sizeof *entry->values);
        assert_non_null(entry->values);
        for (size_t i = 0; i < entry->count; i++)
            assert_int_equal(fscanf(in, "%lf", &entry->values[i]), 1);
        entry++, file->count++;
        assert_in_range(file->count, 1, GOLDEN_ENTRIES - 1);
    }
    assert_int_equal(fclose(in), 0);
    return file;
}

static inline void golden_free(golden *file)
{
    for (size_t i = 0; i < file->count; i++) free(file->entries[i].values);
    free(file);
}

/** The numbers of that name, `count` of them; NULL: there is none. */
static inline const double *golden_try(const golden *file, size_t count, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->entries[i].name, name) != 0) continue;
        assert_int_equal(file->entries[i].count, count);
        return file->entries[i].values;
    }
    return NULL;
}

static inline const double *golden_find(const golden *file, size_t count, const char *name)
{
    const double *values = golden_try(file, count, name);
    if (!values) fail_msg("%s is not in the golden file", name);
    return values;
}

#endif
