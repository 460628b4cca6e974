#include "compare/plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "compare/test_users.h"
#include "learner/train.h"
#include "search/search.h"

static const char *const design_names[] = {"paper", "fair", "progressive"};
static const char *const data_names[] = {"live", "gaussian", "box", "progressive"};

const char *mtf_compare_design_name(mtf_compare_design design)
{
    return design_names[design];
}

const char *mtf_compare_data_name(mtf_compare_data data)
{
    return data_names[data];
}

mtf_compare_data mtf_compare_data_in(const mtf_compare_row *row, mtf_compare_design design)
{
    if (strcmp(row->algorithm, "constant") == 0) return row->data; /* learns nothing of any */
    if (design == MTF_COMPARE_FAIR) return MTF_COMPARE_BOX;
    if (design == MTF_COMPARE_ROUNDS && !row->search) return MTF_COMPARE_PROGRESSIVE;
    return row->data;
}

static bool has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += size)
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || !at[size])) return true;
    return false;
}

/** Sets in[] of each design named in "paper,fair" or "paper fair". */
static mtf_status read_designs(const char *text, const char *where, bool in[MTF_COMPARE_DESIGNS],
                               mtf_err *err)
{
    memset(in, 0, MTF_COMPARE_DESIGNS * sizeof *in);
    for (const char *at = text + strspn(text, " ,"); *at; at += strspn(at, " ,")) {
        const size_t size = strcspn(at, " ,");
        int d = 0;
        while (d < MTF_COMPARE_DESIGNS &&
               (strlen(design_names[d]) != size || memcmp(design_names[d], at, size) != 0))
            d++;
        if (d == MTF_COMPARE_DESIGNS)
            return mtf_fail(err, MTF_INVALID,
                            "%s: there is no design '%.*s'; there are paper, fair, progressive",
                            where, (int)size, at);
        in[d] = true;
        at += size;
    }
    return MTF_OK;
}

static mtf_status set_data(mtf_compare_row *row, const char *value, const char *where, mtf_err *err)
{
    for (mtf_compare_data d = MTF_COMPARE_GAUSSIAN; d <= MTF_COMPARE_PROGRESSIVE; d++) {
        if (strcmp(data_names[d], value) != 0) continue;
        row->data = d;
        return MTF_OK;
    }
    return mtf_fail(err, MTF_INVALID, "%s: data=%.40s: is not gaussian, box or progressive", where,
                    value);
}

/** What all rows share: were it the row's own, its users could not be paired with the others'. */
static bool is_shared(const char *key)
{
    static const char *const shared[] = {
        "compare.rows", "compare.designs",   "compare.seeds", "compare.test_users",
        "compare.days", "compare.reference", "compare.start", "policy.actions",
        "learner.seed", "learner.steps",     "compare.items"};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (strcmp(shared[i], key) == 0) return true;
    return false;
}

static mtf_status set_word(mtf_compare_row *row, const char *key, const char *value,
                           const char *where, bool chosen[MTF_COMPARE_DESIGNS], mtf_err *err)
{
    if (strcmp(key, "algorithm") == 0) {
        snprintf(row->algorithm, sizeof row->algorithm, "%s", value);
        return MTF_OK;
    }
    if (strcmp(key, "designs") == 0) return read_designs(value, where, chosen, err);
    if (strcmp(key, "data") == 0) return set_data(row, value, where, err);
    if (is_shared(key))
        return mtf_fail(
            err, MTF_INVALID, "%s: %s is the same for all rows: set it outside%s", where, key,
            strncmp(key, "learner.s", 9) == 0 ? " (compare.seeds, compare.steps are what counts)"
                                              : "");
    if (strcmp(key, "policy.list") == 0 || strcmp(key, "policy.item_features") == 0)
        return mtf_fail(err, MTF_INVALID,
                        "%s: %s is what the simulator's lists are (compare.items): take it out",
                        where, key);
    return mtf_settings_set(&row->settings, key, value, where, err);
}

/** The next word from *at on, cut out there; NULL: there is none. Blanks between double quotes are
 *  the word's. *open: a quote had no end. */
static char *next_word(char **at, bool *open)
{
    char *word = *at + strspn(*at, " \t\r"), *from = word, *to = word;
    for (; *from && (*open || !strchr(" \t\r", *from)); from++) {
        if (*from == '"')
            *open = !*open;
        else
            *to++ = *from;
    }
    *at = from + (*from != '\0');
    const bool some = from > word;
    *to = '\0';
    return some ? word : NULL;
}

static mtf_status read_words(mtf_compare_row *row, char *words, const char *where,
                             bool chosen[MTF_COMPARE_DESIGNS], mtf_err *err)
{
    mtf_status status = MTF_OK;
    bool open = false;
    for (char *word; status == MTF_OK && (word = next_word(&words, &open));) {
        char *equals = strchr(word, '=');
        if (open) return mtf_fail(err, MTF_INVALID, "%s: a quote has no end", where);
        if (!equals) return mtf_fail(err, MTF_INVALID, "%s: '%.60s' is not key=value", where, word);
        *equals = '\0';
        status = set_word(row, word, equals + 1, where, chosen, err);
    }
    return status;
}

/** Who learns, by the name of it. */
static mtf_status find_algorithm(mtf_compare_row *row, const char *where, mtf_err *err)
{
    const mtf_algorithm_ops *ops = mtf_algorithm_find(row->algorithm);
    row->search = has_word(mtf_search_methods(), row->algorithm);
    mtf_compare_set_lists(&row->settings, ops && ops->per_item);
    if (row->search && row->data != MTF_COMPARE_LIVE)
        return mtf_fail(err, MTF_INVALID,
                        "%s: %s searches: in the paper's design it serves what it tries; take "
                        "data= out",
                        where, row->algorithm);
    if (row->search) return MTF_OK;
    if (!ops)
        return mtf_fail(err, MTF_INVALID,
                        "%s: there is no algorithm '%.40s'; say algorithm=NAME of a learner "
                        "(docs/learning.md) or of a search: %s",
                        where, row->algorithm, mtf_search_methods());
    row->serves = ops->actor != NULL;
    if (row->data == MTF_COMPARE_LIVE) row->data = MTF_COMPARE_GAUSSIAN;
    if (row->data == MTF_COMPARE_PROGRESSIVE && !row->serves)
        return mtf_fail(err, MTF_INVALID,
                        "%s: data=progressive: the policy of %s is a search, which cannot be "
                        "served, hence not explored round",
                        where, row->algorithm);
    mtf_algorithm_config config;
    mtf_err why = {0};
    mtf_status status =
        mtf_settings_set(&row->settings, "learner.algorithm", row->algorithm, where, err);
    if (status) return status;
    status = mtf_train_algorithm_config(&row->settings, MTF_SIM_ACTIONS, &config, &why);
    return status ? mtf_fail(err, status, "%s: %.300s", where, why.msg) : MTF_OK;
}

/** "NAME" or "NAME: key=value ...". */
static mtf_status read_row(mtf_compare_plan *plan, const mtf_settings *settings, char *line,
                           mtf_err *err)
{
    mtf_compare_row *row = &plan->rows[plan->count];
    bool chosen[MTF_COMPARE_DESIGNS], wanted[MTF_COMPARE_DESIGNS];
    char where[100];
    char *colon = strchr(line, ':');
    if (colon) *colon = '\0';
    for (char *end = line + strlen(line); end > line && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    snprintf(where, sizeof where, "compare.rows: %.60s", line);
    if (strlen(line) >= sizeof row->name)
        return mtf_fail(err, MTF_INVALID, "%s...: a name has %zu characters at most", where,
                        sizeof row->name - 1);
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->rows[i].name, line) == 0)
            return mtf_fail(err, MTF_INVALID, "%s: is there twice", where);
    *row = (mtf_compare_row){0};
    snprintf(row->name, sizeof row->name, "%s", line);
    snprintf(row->algorithm, sizeof row->algorithm, "%.39s", line);
    mtf_status status = mtf_settings_copy(settings, &row->settings, err);
    if (status) return status;
    plan->count++;
    status = read_designs(settings->compare_designs, "compare.designs", wanted, err);
    memcpy(chosen, wanted, sizeof chosen);
    if (status == MTF_OK && colon) status = read_words(row, colon + 1, where, chosen, err);
    if (status == MTF_OK) status = find_algorithm(row, where, err);
    for (int d = 0; d < MTF_COMPARE_DESIGNS; d++) row->in[d] = chosen[d] && wanted[d];
    if (!row->search && !row->serves) row->in[MTF_COMPARE_ROUNDS] = false;
    return status;
}

/** Everyone is compared with the reference, in each design. */
static mtf_status find_reference(mtf_compare_plan *plan, const mtf_settings *settings, mtf_err *err)
{
    const char *name = settings->compare_reference;
    for (plan->reference = 0; plan->reference < plan->count; plan->reference++)
        if (strcmp(plan->rows[plan->reference].name, name) == 0) break;
    if (plan->reference == plan->count)
        return mtf_fail(err, MTF_INVALID,
                        "compare.reference: there is no row '%s' to compare the others with", name);
    if (strcmp(settings->compare_start, "reference") == 0 && !plan->rows[plan->reference].search)
        return mtf_fail(err, MTF_INVALID,
                        "compare.start: reference: %s is no search: what a learner finds is no "
                        "action to start from",
                        name);
    for (int d = 0; d < MTF_COMPARE_DESIGNS; d++)
        for (size_t i = 0; i < plan->count; i++)
            if (plan->rows[i].in[d] && !plan->rows[plan->reference].in[d])
                return mtf_fail(err, MTF_INVALID,
                                "compare.rows: %s: is the reference, and not in design %s, where "
                                "%s is",
                                name, design_names[d], plan->rows[i].name);
    return MTF_OK;
}

mtf_status mtf_compare_plan_init(mtf_compare_plan *plan, const mtf_settings *settings, mtf_err *err)
{
    char *text = strdup(settings->compare_rows), *rest = NULL;
    *plan = (mtf_compare_plan){.rows = calloc(MTF_COMPARE_ROWS_MAX, sizeof *plan->rows)};
    mtf_status status = text && plan->rows ? MTF_OK : mtf_fail(err, MTF_NOMEM, "out of memory");
    char *line = status == MTF_OK ? strtok_r(text, "\n", &rest) : NULL;
    for (; line && status == MTF_OK; line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t\r");
        if (!*line || *line == '#') continue;
        status = plan->count < MTF_COMPARE_ROWS_MAX
                     ? read_row(plan, settings, line, err)
                     : mtf_fail(err, MTF_INVALID, "compare.rows: more than %d rows",
                                MTF_COMPARE_ROWS_MAX);
    }
    free(text);
    if (status == MTF_OK && plan->count == 0)
        status = mtf_fail(err, MTF_INVALID,
                          "compare.rows: nothing to compare; experiments/table1.yaml is an "
                          "example, and --quick has rows of its own");
    if (status == MTF_OK) status = find_reference(plan, settings, err);
    if (status == MTF_OK) status = mtf_compare_world(settings, &plan->world, err);
    for (size_t i = 0; i < plan->count && status == MTF_OK; i++)
        status = mtf_compare_world(&plan->rows[i].settings, &plan->rows[i].world, err);
    return status;
}

void mtf_compare_plan_fini(mtf_compare_plan *plan)
{
    for (size_t i = 0; plan->rows && i < plan->count; i++)
        mtf_settings_fini(&plan->rows[i].settings);
    free(plan->rows);
    *plan = (mtf_compare_plan){0};
}
