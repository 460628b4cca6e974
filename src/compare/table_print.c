#include "compare/table.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* -- for people -------------------------------------------------- */

/** " | value (low to high)", the three with `digits` behind the point, a sign where wanted. */
static void put_interval(mtf_buf *out, const mtf_estimate *e, bool sign, int digits)
{
    const double parts[] = {e->value, e->low, e->high};
    static const char *const before[] = {" | ", " (", " to "};
    const int count = isfinite(e->low) ? 3 : 1;
    if (!isfinite(e->value)) {
        mtf_buf_printf(out, " | -");
        return;
    }
    for (int i = 0; i < count; i++) {
        mtf_buf_printf(out, "%s", before[i]);
        mtf_buf_printf(out, sign ? "%+.*f" : "%.*f", digits, parts[i]);
    }
    if (count == 3) mtf_buf_printf(out, ")");
}

void mtf_compare_table_markdown(const mtf_compare_table *table, mtf_buf *out)
{
    mtf_buf_printf(
        out,
        "| design | algorithm | seeds | weighted GAUC | valid consumption a day, %% over "
        "%s | duration a day, %% over %s | value of a session | value while learning | "
        "training, s |\n|---|---|---|---|---|---|---|---|---|\n",
        table->reference, table->reference);
    for (size_t i = 0; i < table->count; i++) {
        const mtf_compare_line *line = &table->lines[i];
        mtf_buf_printf(out, "| %s | %s | %u", mtf_compare_design_name(line->design),
                       line->row->name, line->seeds);
        if (line->diverged) mtf_buf_printf(out, ", %u diverged", line->diverged);
        put_interval(out, &line->gauc, false, 4);
        put_interval(out, &line->valid, true, 2);
        put_interval(out, &line->duration, true, 2);
        put_interval(out, &line->value, false, 2);
        mtf_buf_printf(out, " | %.2f | %.1f |\n", line->learning_value, line->train_seconds);
    }
}

/* -- for programs ------------------------------------------------ */

/** A figure that was not measured is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval(const mtf_estimate *e)
{
    json_t *pair = json_array();
    json_array_append_new(pair, number(e->low));
    json_array_append_new(pair, number(e->high));
    return pair;
}

static json_t *drift(const mtf_compare_line *line)
{
    json_t *rounds = json_array();
    for (uint32_t r = 0; r < line->rounds; r++) {
        json_t *one = json_array();
        for (int d = 0; d < MTF_SIM_ACTIONS; d++)
            json_array_append_new(one, number(line->drift[r][d]));
        json_array_append_new(rounds, one);
    }
    return rounds;
}

/** Density of explored less baseline action, of a dimension; null where nothing was explored. */
static json_t *density(const mtf_compare_line *line)
{
    double sum = 0;
    for (int b = 0; b < MTF_NOISE_BINS; b++) sum += (double)line->noise[b];
    if (sum == 0) return json_null();
    json_t *bins = json_array();
    for (int b = 0; b < MTF_NOISE_BINS; b++)
        json_array_append_new(bins, number((double)line->noise[b] / sum / MTF_NOISE_STEP));
    return bins;
}

static json_t *line_json(const mtf_compare_line *line)
{
    json_t *o = json_object();
    const struct {
        const char *name;
        json_t *value;
    } fields[] = {
        {"algorithm", json_string(line->row->name)},
        {"design", json_string(mtf_compare_design_name(line->design))},
        {"data", json_string(mtf_compare_data_name(mtf_compare_data_in(line->row, line->design)))},
        {"seeds", json_integer(line->seeds)},
        {"gauc", number(line->gauc.value)},
        {"gauc_ci", interval(&line->gauc)},
        {"valid_consumption", number(line->valid.value)},
        {"valid_consumption_ci", interval(&line->valid)},
        {"duration", number(line->duration.value)},
        {"duration_ci", interval(&line->duration)},
        {"value", number(line->value.value)},
        {"value_ci", interval(&line->value)},
        {"valid_a_day", number(line->valid_day)},
        {"seconds_a_day", number(line->watch_day)},
        {"learning_value", number(line->learning_value)},
        {"sessions", number(line->sessions)},
        {"train_seconds", number(line->train_seconds)},
        {"promoted", number(line->promoted)},
        {"diverged", json_integer(line->diverged)},
        {"drift", drift(line)},
        {"noise_density", density(line)},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_object_set_new(o, fields[i].name, fields[i].value);
    return o;
}

void mtf_compare_table_json(const mtf_compare_table *table, mtf_buf *out)
{
    json_t *rows = json_array(), *root = json_object();
    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(rows, line_json(&table->lines[i]));
    json_object_set_new(root, "reference", json_string(table->reference));
    json_object_set_new(root, "rows", rows);
    char *text = json_dumps(root, JSON_REAL_PRECISION(9) | JSON_INDENT(1));
    json_decref(root);
    if (text) mtf_buf_printf(out, "%s\n", text);
    out->failed |= !text;
    free(text);
}

/* -- for spreadsheets -------------------------------------------- */

static void put_number(mtf_buf *out, double value)
{
    if (isfinite(value))
        mtf_buf_printf(out, ",%.9g", value);
    else
        mtf_buf_printf(out, ",");
}

void mtf_compare_table_csv(const mtf_compare_table *table, mtf_buf *out)
{
    mtf_buf_printf(out, "algorithm,design,seeds,gauc,gauc_low,gauc_high,valid_consumption,"
                        "valid_consumption_low,valid_consumption_high,duration,duration_low,"
                        "duration_high,value,value_low,value_high,learning_value,train_seconds\n");
    for (size_t i = 0; i < table->count; i++) {
        const mtf_compare_line *line = &table->lines[i];
        const mtf_estimate *const estimates[] = {&line->gauc, &line->valid, &line->duration,
                                                 &line->value};
        mtf_buf_printf(out, "\"");
        for (const char *c = line->row->name; *c; c++)
            mtf_buf_printf(out, *c == '"' ? "\"\"" : "%c", *c);
        mtf_buf_printf(out, "\",%s,%u", mtf_compare_design_name(line->design), line->seeds);
        for (int k = 0; k < 4; k++) {
            put_number(out, estimates[k]->value);
            put_number(out, estimates[k]->low);
            put_number(out, estimates[k]->high);
        }
        put_number(out, line->learning_value);
        put_number(out, line->train_seconds);
        mtf_buf_printf(out, "\n");
    }
}
