#include "sessionize/metadata.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/hash.h"

/* Offsets stay below 10^18; times, and so their distances, below 2^54: 17 digits. */
#define OFFSET_DIGITS 18
#define NUMBER_CHARS  (1 + 1 + OFFSET_DIGITS)
#define JUMP_CHARS    (2 + OFFSET_DIGITS + 2 + 17)
#define SCHEMA_CHARS  (2 + 16 + 1 + OFFSET_DIGITS)
_Static_assert(5 + 17 + 6 * NUMBER_CHARS + MTF_JUMPS_MAX * JUMP_CHARS + (2 + OFFSET_DIGITS) +
                       MTF_SCHEMAS_MAX * SCHEMA_CHARS + 17 <=
                   MTF_METADATA_BYTES_MAX,
               "the largest metadata must fit in an offset commit");

mtf_place mtf_place_clean(int64_t offset)
{
    return (mtf_place){
        .next_offset = offset,
        .watermark_ms = MTF_WATERMARK_NONE,
        .safe_offset = offset,
        .safe_watermark_ms = MTF_WATERMARK_NONE,
        .headless_ms = offset > 0 ? MTF_HEADLESS_OPEN : MTF_WATERMARK_NONE,
    };
}

void mtf_place_print(const mtf_place *place, uint64_t function,
                     char text[MTF_METADATA_BYTES_MAX + 1])
{
    const size_t size = MTF_METADATA_BYTES_MAX + 1;
    size_t used = (size_t)snprintf(
        text, size,
        "mtf1 %016" PRIx64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu32,
        function, place->next_offset, place->watermark_ms, place->safe_offset,
        place->safe_watermark_ms, place->headless_ms, place->jump_count);
    mtf_jump before = {place->safe_offset, place->safe_watermark_ms};
    for (uint32_t i = 0; i < place->jump_count; i++) {
        const mtf_jump jump = place->jumps[i];
        used +=
            (size_t)snprintf(text + used, size - used, " +%" PRId64 ":+%" PRId64,
                             jump.offset - before.offset, jump.watermark_ms - before.watermark_ms);
        before = jump;
    }
    if (place->bad_in_a_row)
        used += (size_t)snprintf(text + used, size - used, " !%" PRId64, place->bad_in_a_row);
    for (uint32_t i = 0; i < place->schema_count; i++)
        used += (size_t)snprintf(text + used, size - used, " @%016" PRIx64 "+%" PRId64,
                                 place->schemas[i].schema,
                                 place->schemas[i].offset - place->safe_offset);
    used += (size_t)snprintf(text + used, size - used, " %016" PRIx64, mtf_hash64(text, used));
    MTF_ASSERT(used < size);
}

/** A cursor over the text; `failed` sticks, as in mtf_reader. */
typedef struct cursor {
    const char *at;
    bool failed;
} cursor;

static void expect(cursor *in, const char *word)
{
    for (; *word && !in->failed; word++, in->at++)
        if (*in->at != *word) {
            in->failed = true;
            return;
        }
}

/** An optional '-' and 1 to 18 digits, which no int64 arithmetic here can overflow; each number has
 *  one spelling. */
static int64_t number(cursor *in)
{
    const bool negative = *in->at == '-';
    if (negative) in->at++;
    const bool zero = *in->at == '0';
    int64_t value = 0;
    int digits = 0;
    for (; !in->failed && *in->at >= '0' && *in->at <= '9' && digits < OFFSET_DIGITS; digits++)
        value = value * 10 + (*in->at++ - '0');
    const bool longer = *in->at >= '0' && *in->at <= '9';
    if (digits == 0 || longer || (zero && (digits > 1 || negative))) in->failed = true;
    return negative ? -value : value;
}

static uint64_t hex64(cursor *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 16 && !in->failed; i++, in->at++) {
        const char c = *in->at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else {
            in->failed = true;
            return 0;
        }
    }
    return value;
}

static int64_t spaced(cursor *in)
{
    expect(in, " ");
    return number(in);
}

static bool in_range(int64_t watermark_ms)
{
    return watermark_ms >= -MTF_TIME_LIMIT_MS && watermark_ms <= MTF_TIME_LIMIT_MS;
}

static bool jumps_parse(cursor *in, mtf_place *place, int64_t count)
{
    if (in->failed || count < 0 || count > MTF_JUMPS_MAX) return false;
    mtf_jump jump = {place->safe_offset, place->safe_watermark_ms};
    for (place->jump_count = 0; place->jump_count < count; place->jump_count++) {
        expect(in, " +");
        const int64_t offset_step = number(in);
        expect(in, ":+");
        const int64_t watermark_step = number(in);
        if (in->failed || offset_step <= 0 || offset_step > place->next_offset - jump.offset ||
            watermark_step <= 0 || watermark_step > place->watermark_ms - jump.watermark_ms)
            return false;
        jump.offset += offset_step;
        jump.watermark_ms += watermark_step;
        place->jumps[place->jump_count] = jump;
    }
    return true;
}

/** Absent where it is 0. */
static bool bad_parse(cursor *in, mtf_place *place)
{
    if (strncmp(in->at, " !", 2) != 0) return true;
    in->at += 2;
    place->bad_in_a_row = number(in);
    return !in->failed && place->bad_in_a_row > 0;
}

static bool schemas_parse(cursor *in, mtf_place *place)
{
    int64_t before = 0;
    while (strncmp(in->at, " @", 2) == 0) {
        in->at += 2;
        const uint64_t schema = hex64(in);
        expect(in, "+");
        const int64_t past = number(in);
        if (in->failed || place->schema_count == MTF_SCHEMAS_MAX || past < before ||
            past >= place->next_offset - place->safe_offset)
            return false;
        place->schemas[place->schema_count++] =
            (mtf_schema_since){schema, place->safe_offset + past};
        before = past;
    }
    return true;
}

mtf_status mtf_place_parse(const char *text, mtf_place *place, uint64_t *function, mtf_err *err)
{
    const size_t size = strnlen(text, MTF_METADATA_BYTES_MAX + 1);
    const char *wrong = NULL;
    cursor in = {text, false};
    *place = (mtf_place){0};
    if (size > MTF_METADATA_BYTES_MAX) {
        wrong = "it is longer than 4096 bytes";
        goto done;
    }
    expect(&in, "mtf1 ");
    if (in.failed) {
        wrong = "it does not begin with \"mtf1 \": written by another program or version";
        goto done;
    }
    *function = hex64(&in);
    place->next_offset = spaced(&in);
    place->watermark_ms = spaced(&in);
    place->safe_offset = spaced(&in);
    place->safe_watermark_ms = spaced(&in);
    place->headless_ms = spaced(&in);
    const int64_t jump_count = spaced(&in);
    if (in.failed) {
        wrong = "a number is missing or too long";
    } else if (place->safe_offset < 0 || place->safe_offset > place->next_offset) {
        wrong = "the safe offset is negative or past the next one";
    } else if (!in_range(place->watermark_ms) || !in_range(place->safe_watermark_ms) ||
               !in_range(place->headless_ms) || place->safe_watermark_ms > place->watermark_ms) {
        wrong = "a watermark is out of range";
    } else if (!jumps_parse(&in, place, jump_count)) {
        wrong = "its idle jumps do not parse";
    } else if (!bad_parse(&in, place)) {
        wrong = "its count of bad records does not parse";
    } else if (!schemas_parse(&in, place)) {
        wrong = "its schemas do not parse";
    } else {
        const uint64_t expected = mtf_hash64(text, (size_t)(in.at - text));
        expect(&in, " ");
        if (hex64(&in) != expected || in.failed || *in.at) wrong = "its checksum does not match";
    }
done:
    if (!wrong) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "offset metadata \"%.60s%s\" is unusable: %s", text,
                    size > 60 ? "..." : "", wrong);
}
