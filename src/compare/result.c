#include "compare/result.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"

#define FILE_BYTES_MAX (256u << 20)

void mtf_compare_result_fini(mtf_compare_result *result)
{
    free(result->days);
    free(result->drift);
    *result = (mtf_compare_result){0};
}

/* -- numbers of a result, once ---------------------------------- */

#define NUMBERS(X) X(gauc) X(gauc_low) X(gauc_high) X(train_seconds) X(served.reward)
#define COUNTS(X)  X(served.sessions) X(served.requests) X(promoted)

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *days_json(const mtf_compare_result *result)
{
    json_t *days = json_array();
    for (uint32_t u = 0; u < result->users; u++) {
        const mtf_sim_days *d = &result->days[u];
        json_array_append_new(
            days, json_pack("[f,f,f]", (double)d->valid, (double)d->watch, (double)d->value));
    }
    return days;
}

static json_t *drift_json(const mtf_compare_result *result)
{
    json_t *rounds = json_array();
    for (uint32_t r = 0; r < result->rounds; r++) {
        json_t *one = json_array();
        for (int d = 0; d < MTF_SIM_ACTIONS; d++)
            json_array_append_new(one, number(result->drift[r][d]));
        json_array_append_new(rounds, one);
    }
    return rounds;
}

mtf_status mtf_compare_result_save(const mtf_compare_result *result, const char *path,
                                   const char *of, mtf_err *err)
{
    json_t *noise = json_array(), *root = json_object();
    for (int b = 0; b < MTF_NOISE_BINS; b++)
        json_array_append_new(noise, json_integer(result->served.noise[b]));
    json_object_set_new(root, "of", json_string(of));
#define X(field) json_object_set_new(root, #field, number(result->field));
    NUMBERS(X)
#undef X
#define X(field) json_object_set_new(root, #field, json_integer(result->field));
    COUNTS(X)
#undef X
    json_object_set_new(root, "diverged", json_boolean(result->diverged));
    json_object_set_new(root, "noise", noise);
    json_object_set_new(root, "drift", drift_json(result));
    json_object_set_new(root, "days", days_json(result));
    char *text = json_dumps(root, JSON_REAL_PRECISION(17) | JSON_COMPACT);
    json_decref(root);
    if (!text) return mtf_fail(err, MTF_NOMEM, "%.200s: out of memory", path);
    const mtf_status status =
        mtf_file_replace(path, (mtf_span){(const uint8_t *)text, strlen(text)}, err);
    free(text);
    return status;
}

/* -- and back ---------------------------------------------------- */

static bool read_days(mtf_compare_result *result, const json_t *days)
{
    result->users = (uint32_t)json_array_size(days);
    result->days = calloc(result->users + 1, sizeof *result->days);
    for (uint32_t u = 0; result->days && u < result->users; u++) {
        const json_t *one = json_array_get(days, u);
        if (json_array_size(one) != 3) return false;
        result->days[u] = (mtf_sim_days){(float)json_number_value(json_array_get(one, 0)),
                                         (float)json_number_value(json_array_get(one, 1)),
                                         (float)json_number_value(json_array_get(one, 2))};
    }
    return result->days && result->users > 0;
}

static bool read_drift(mtf_compare_result *result, const json_t *rounds)
{
    result->rounds = (uint32_t)json_array_size(rounds);
    result->drift = calloc(result->rounds + 1, sizeof *result->drift);
    for (uint32_t r = 0; result->drift && r < result->rounds; r++) {
        const json_t *one = json_array_get(rounds, r);
        if (json_array_size(one) != MTF_SIM_ACTIONS) return false;
        for (size_t d = 0; d < MTF_SIM_ACTIONS; d++)
            result->drift[r][d] = json_number_value(json_array_get(one, d));
    }
    return result->drift != NULL;
}

static bool read_number(const json_t *root, const char *name, double *value)
{
    const json_t *found = json_object_get(root, name);
    *value = json_is_number(found) ? json_number_value(found) : (double)NAN;
    return json_is_number(found) || json_is_null(found);
}

static bool read_root(mtf_compare_result *result, const json_t *root, const char *of)
{
    const json_t *noise = json_object_get(root, "noise");
    const char *what = json_string_value(json_object_get(root, "of"));
    if (!what || strcmp(what, of) != 0 || json_array_size(noise) != MTF_NOISE_BINS) return false;
    for (size_t b = 0; b < MTF_NOISE_BINS; b++)
        result->served.noise[b] = json_integer_value(json_array_get(noise, b));
#define X(field)                                                                                   \
    if (!read_number(root, #field, &result->field)) return false;
    NUMBERS(X)
#undef X
#define X(field)                                                                                   \
    if (!json_is_integer(json_object_get(root, #field))) return false;                             \
    result->field = json_integer_value(json_object_get(root, #field));
    COUNTS(X)
#undef X
    result->diverged = json_is_true(json_object_get(root, "diverged"));
    return read_days(result, json_object_get(root, "days")) &&
           read_drift(result, json_object_get(root, "drift"));
}

mtf_status mtf_compare_result_load(mtf_compare_result *result, const char *path, const char *of,
                                   mtf_err *err)
{
    mtf_buf text = {0};
    *result = (mtf_compare_result){0};
    if (access(path, F_OK) != 0) return mtf_fail(err, MTF_SKIP, "%.200s: is not there", path);
    mtf_status status = mtf_file_read(path, FILE_BYTES_MAX, &text, err);
    if (status) goto done;
    json_t *root = json_loadb((const char *)text.data, text.size, 0, NULL);
    if (!root || !read_root(result, root, of)) {
        mtf_compare_result_fini(result);
        status = mtf_fail(err, MTF_CORRUPT,
                          "%.200s: is no whole result of this cell; delete it to have it made anew",
                          path);
    }
    json_decref(root);
done:
    mtf_buf_fini(&text);
    return status;
}
