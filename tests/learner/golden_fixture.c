#include "learner/golden_fixture.h"

#include <string.h>

#define ENTRIES_MAX 2048
#define COUNT_MAX   (1 << 20)

typedef struct golden_entry {
    char name[64];
    size_t count;
    double *values;
} golden_entry;

struct golden {
    golden_entry entries[ENTRIES_MAX];
    size_t count;
    const char *path;
};

void golden_free(golden *file)
{
    for (size_t i = 0; i < file->count; i++) free(file->entries[i].values);
    free(file);
}

golden *golden_read(const char *path)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    golden *file = calloc(1, sizeof *file);
    assert_non_null(file);
    file->path = path;
    golden_entry *entry = file->entries;
    while (fscanf(in, "%63s %zu", entry->name, &entry->count) == 2) {
        assert_in_range(entry->count, 1, COUNT_MAX);
        entry->values = calloc(entry->count, sizeof *entry->values);
        assert_non_null(entry->values);
        for (size_t i = 0; i < entry->count; i++) {
            assert_int_equal(fscanf(in, "%lf", &entry->values[i]), 1);
        }
        entry++, file->count++;
        assert_in_range(file->count, 1, ENTRIES_MAX - 1);
    }
    assert_int_equal(fclose(in), 0);
    return file;
}

static const golden_entry *entry_of(const golden *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    }
    return NULL;
}

bool golden_has(const golden *file, const char *fmt, ...)
{
    char name[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return entry_of(file, name) != NULL;
}

const double *golden_find(const golden *file, size_t count, const char *fmt, ...)
{
    char name[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    const golden_entry *entry = entry_of(file, name);
    if (entry == NULL) fail_msg("%s is not in %s", name, file->path);
    if (count != 0) assert_int_equal(entry->count, count);
    return entry->values;
}

void golden_block(const golden *file, const mtf_mlp *mlp, float *block, const char *name)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        const double *values = golden_find(file, count, "%s.%s", name, tensor->name);
        for (size_t i = 0; i < count; i++) block[tensor->offset + i] = (float)values[i];
    }
}

#define BLOCKS(X)                                                                                  \
    X(s, S)                                                                                        \
    X(a, A)                                                                                        \
    X(bp, A)                                                                                       \
    X(lower, A)                                                                                    \
    X(upper, A) X(r, 1) X(s2, S) X(bp2, A) X(lower2, A) X(upper2, A) X(done, 1) X(weight, 1)

static float *batch_block(const golden *file, const char *batch, const char *name, size_t count)
{
    const double *values = golden_find(file, count, "%s.%s", batch, name);
    float *block = calloc(count, sizeof *block);
    assert_non_null(block);
    for (size_t i = 0; i < count; i++) block[i] = (float)values[i];
    return block;
}

mtf_batch golden_batch(const golden *file, const char *batch_name, size_t rows, uint32_t state_dim,
                       uint32_t action_dim)
{
    const size_t S = state_dim, A = action_dim;
    mtf_batch batch = {.rows = rows, .state_dim = state_dim, .action_dim = action_dim};
#define X(name, width) batch.name = batch_block(file, batch_name, #name, rows * (width));
    BLOCKS(X)
#undef X
    const golden_entry *scales = entry_of(file, "scales");
    if (scales != NULL) {
        batch.groups = (uint32_t)scales->count;
        batch.parts = batch_block(file, batch_name, "parts", rows * scales->count);
    }
    return batch;
}

void golden_batch_free(mtf_batch *batch)
{
#define X(name, width) free(batch->name);
    BLOCKS(X)
#undef X
    free(batch->parts);
}

void golden_compare(const golden *file, const mtf_mlp *mlp, const float *block, double tolerance,
                    const char *name)
{
    for (size_t t = 0; t < MTF_MLP_COUNT; t++) {
        const mtf_tensor *tensor = &mlp->tensors[t];
        const size_t count = tensor->rows * tensor->cols;
        const double *expected = golden_find(file, count, "%s.%s", name, tensor->name);
        double largest = 0.0;
        for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
        for (size_t i = 0; i < count; i++) {
            const double actual = (double)block[tensor->offset + i];
            if (fabs(actual - expected[i]) <= tolerance * (largest + 1e-6)) continue;
            fail_msg("%s.%s[%zu] is %.9g, expected %.9g", name, tensor->name, i, actual,
                     expected[i]);
        }
    }
}
