#include "cli/aside_marks.h"

#include <inttypes.h>
#include <stdlib.h>

/** One range of a mark may say so many places: more was never replayed in one unit. */
#define RANGE_MAX INT64_C(10000000)

void aside_marks_fini(aside_marks *marks)
{
    free(marks->data);
    *marks = (aside_marks){0};
}

mtf_status aside_marks_add(aside_marks *marks, int32_t partition, int64_t offset, mtf_err *err)
{
    if (marks->count == marks->capacity) {
        const size_t capacity = marks->capacity ? 2 * marks->capacity : 256;
        aside_mark *data = realloc(marks->data, capacity * sizeof *data);
        if (!data) return mtf_fail(err, MTF_NOMEM, "no memory for %zu replayed places", capacity);
        marks->data = data;
        marks->capacity = capacity;
    }
    marks->data[marks->count++] = (aside_mark){partition, offset};
    marks->sorted = false;
    return MTF_OK;
}

static int by_place(const void *a, const void *b)
{
    const aside_mark *x = a, *y = b;
    if (x->partition != y->partition) return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void aside_marks_sort(aside_marks *marks)
{
    if (marks->count) qsort(marks->data, marks->count, sizeof *marks->data, by_place);
    marks->sorted = true;
}

bool aside_marks_has(const aside_marks *marks, int32_t partition, int64_t offset)
{
    MTF_ASSERT(marks->sorted || marks->count == 0);
    const aside_mark place = {partition, offset};
    return marks->count &&
           bsearch(&place, marks->data, marks->count, sizeof *marks->data, by_place) != NULL;
}

void aside_marks_print(const aside_marks *marks, size_t *at, size_t bytes_max, mtf_buf *out)
{
    MTF_ASSERT(marks->sorted && *at < marks->count);
    const size_t start = out->size;
    const int32_t partition = marks->data[*at].partition;
    mtf_buf_printf(out, "%" PRId32, partition);
    do {
        const int64_t first = marks->data[(*at)++].offset;
        int64_t last = first;
        while (*at < marks->count && marks->data[*at].partition == partition &&
               marks->data[*at].offset <= last + 1 && last - first < RANGE_MAX - 1)
            last = marks->data[(*at)++].offset;
        mtf_buf_printf(out, " %" PRId64, first);
        if (last > first) mtf_buf_printf(out, "-%" PRId64, last);
    } while (*at < marks->count && marks->data[*at].partition == partition &&
             out->size - start < bytes_max && !out->failed);
}

/** Digits up to a byte that is none; false when there are none, or too many. */
static bool take_number(mtf_reader *reader, int64_t max, int64_t *number)
{
    const uint8_t *start = reader->at;
    *number = 0;
    for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        const int digit = *reader->at - '0';
        if (*number > (max - digit) / 10) return false;
        *number = 10 * *number + digit;
    }
    return reader->at > start;
}

static bool take_char(mtf_reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != (uint8_t)c) return false;
    reader->at++;
    return true;
}

mtf_status aside_marks_parse(aside_marks *marks, mtf_span text, mtf_err *err)
{
    mtf_reader reader = mtf_reader_of(text);
    int64_t partition, first, last;
    bool whole = take_number(&reader, INT32_MAX, &partition) && reader.at < reader.end;
    while (whole && reader.at < reader.end) {
        whole = take_char(&reader, ' ') && take_number(&reader, INT64_MAX - 1, &first);
        last = whole ? first : 0;
        if (whole && take_char(&reader, '-'))
            whole = take_number(&reader, INT64_MAX - 1, &last) && last > first &&
                    last - first < RANGE_MAX;
        for (int64_t i = whole ? first : 1; whole && i <= last; i++) {
            const mtf_status status = aside_marks_add(marks, (int32_t)partition, i, err);
            if (status != MTF_OK) return status;
        }
    }
    if (whole) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT,
                    "a record under the header " ASIDE_MARK_HEADER
                    " does not say which offsets were replayed");
}
