#include "compare/compare.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/hash.h"

/** A place in the table for one seed; several may share a result. */
typedef struct entry {
    mtf_compare_cell cell;
    mtf_compare_design design;
    mtf_buf words;
    size_t result; /* of results: the first entry's of equal words */
} entry;

typedef struct comparison {
    const mtf_compare_config *config;
    mtf_compare_bench bench;
    entry *entries; /* by seed, design and row */
    mtf_compare_result *results;
    size_t count, seeds, done;
} comparison;

/* -- which cells ------------------------------------------------- */

static mtf_status add_entry(comparison *all, const mtf_compare_row *row, mtf_compare_design design,
                            uint64_t seed, mtf_err *err)
{
    entry *e = &all->entries[all->count];
    const bool items = row->settings.policy_list > 0 && design != MTF_COMPARE_FAIR;
    *e = (entry){{row, mtf_compare_data_in(row, design), seed, items}, design, {0}, all->count};
    all->count++;
    const mtf_status status = mtf_compare_cell_words(&all->bench, &e->cell, &e->words, err);
    for (size_t i = 0; status == MTF_OK && i + 1 < all->count; i++) {
        const mtf_buf *other = &all->entries[i].words;
        if (other->size == e->words.size && memcmp(other->data, e->words.data, other->size) == 0) {
            e->result = i;
            break;
        }
    }
    return status;
}

static mtf_status list_entries(comparison *all, mtf_err *err)
{
    const mtf_compare_plan *plan = all->config->plan;
    mtf_status status = MTF_OK;
    all->seeds = (size_t)all->config->settings->compare_seeds;
    const size_t most = all->seeds * MTF_COMPARE_DESIGNS * plan->count;
    all->entries = calloc(most, sizeof *all->entries);
    all->results = calloc(most, sizeof *all->results);
    if (!all->entries || !all->results) return mtf_fail(err, MTF_NOMEM, "out of memory");
    for (size_t seed = 1; seed <= all->seeds; seed++)
        for (int d = 0; d < MTF_COMPARE_DESIGNS; d++)
            for (size_t i = 0; i < plan->count && status == MTF_OK; i++)
                if (plan->rows[i].in[d])
                    status = add_entry(all, &plan->rows[i], (mtf_compare_design)d, seed, err);
    return status;
}

/* -- one of them ------------------------------------------------- */

static void state_path(const comparison *all, const entry *e, char *path, size_t size)
{
    uint8_t hash[16];
    char name[33];
    const mtf_str words = {(const char *)e->words.data, (uint32_t)e->words.size};
    mtf_hash128(hash, &words, 1);
    mtf_hex(name, hash, sizeof hash);
    snprintf(path, size, "%s/%s.json", all->config->state, name);
}

static mtf_status run_entry(comparison *all, const entry *e, size_t distinct, mtf_err *err)
{
    const mtf_compare_config *config = all->config;
    mtf_compare_result *result = &all->results[e->result];
    const char *words = (const char *)e->words.data;
    char path[1200];
    mtf_err why = {0};
    mtf_status status = MTF_SKIP;
    if (config->state) {
        state_path(all, e, path, sizeof path);
        status = mtf_compare_result_load(result, path, words, err);
    }
    if (config->begin)
        config->begin(config->arg, &e->cell, ++all->done, distinct, status == MTF_OK);
    if (status != MTF_SKIP) return status;
    status = mtf_compare_cell_run(&all->bench, &e->cell, result, &why);
    if (status == MTF_CLOSED)
        return mtf_fail(err, status, "compare: stopped at %s, %s data, seed %llu; %s",
                        e->cell.row->name, mtf_compare_data_name(e->cell.data),
                        (unsigned long long)e->cell.seed,
                        config->state ? "the same command goes on from there"
                                      : "with --state DIR what is finished would be kept");
    if (status != MTF_OK)
        return mtf_fail(err, status, "%s, %s data, seed %llu: %.300s", e->cell.row->name,
                        mtf_compare_data_name(e->cell.data), (unsigned long long)e->cell.seed,
                        why.msg);
    return config->state ? mtf_compare_result_save(result, path, words, err) : MTF_OK;
}

/** Seed by seed, and within it those that learn from the same logs one after another. */
static mtf_status run_entries(comparison *all, mtf_err *err)
{
    mtf_status status = MTF_OK;
    size_t distinct = 0;
    for (size_t i = 0; i < all->count; i++) distinct += all->entries[i].result == i;
    for (size_t seed = 1; seed <= all->seeds; seed++)
        for (int d = MTF_COMPARE_LIVE; d <= MTF_COMPARE_PROGRESSIVE; d++)
            for (size_t i = 0; i < all->count && status == MTF_OK; i++) {
                const entry *e = &all->entries[i];
                if (e->result == i && e->cell.seed == seed && e->cell.data == (mtf_compare_data)d)
                    status = run_entry(all, e, distinct, err);
            }
    return status;
}

/* -- the table --------------------------------------------------- */

/** The results of row `row` in the design, seed by seed. */
static void collect(const comparison *all, const mtf_compare_row *row, mtf_compare_design design,
                    const mtf_compare_result **results)
{
    for (size_t i = 0; i < all->count; i++) {
        const entry *e = &all->entries[i];
        if (e->cell.row == row && e->design == design)
            results[e->cell.seed - 1] = &all->results[e->result];
    }
}

static mtf_status make_table(const comparison *all, mtf_compare_table *table, mtf_err *err)
{
    const mtf_compare_plan *plan = all->config->plan;
    const mtf_compare_result **mine = calloc(2 * all->seeds, sizeof *mine);
    const mtf_compare_result **theirs = mine ? mine + all->seeds : NULL;
    mtf_status status = MTF_OK;
    table->lines = calloc(MTF_COMPARE_DESIGNS * plan->count, sizeof *table->lines);
    table->reference = plan->rows[plan->reference].name;
    if (!mine || !table->lines) status = mtf_fail(err, MTF_NOMEM, "no memory for the table");
    for (int d = 0; d < MTF_COMPARE_DESIGNS; d++)
        for (size_t i = 0; i < plan->count && status == MTF_OK; i++) {
            const mtf_compare_design design = (mtf_compare_design)d;
            if (!plan->rows[i].in[d]) continue;
            mtf_compare_line *line = &table->lines[table->count++];
            line->row = &plan->rows[i];
            line->design = design;
            collect(all, &plan->rows[i], design, mine);
            collect(all, &plan->rows[plan->reference], design, theirs);
            status = mtf_compare_line_make(mine, theirs, (uint32_t)all->seeds, line, err);
        }
    free(mine);
    return status;
}

mtf_status mtf_compare_run(const mtf_compare_config *config, mtf_compare_table *table, mtf_err *err)
{
    comparison all = {.config = config,
                      .bench = {.settings = config->settings,
                                .world = config->plan->world,
                                .reference = &config->plan->rows[config->plan->reference],
                                .stop = config->stop,
                                .progress = config->progress,
                                .arg = config->arg}};
    for (size_t i = 0; i < config->plan->count; i++)
        all.bench.lists |= config->plan->rows[i].settings.policy_list > 0;
    *table = (mtf_compare_table){0};
    mtf_status status = config->state ? mtf_folder_make(config->state, err) : MTF_OK;
    if (status == MTF_OK) status = list_entries(&all, err);
    if (status == MTF_OK) status = run_entries(&all, err);
    if (status == MTF_OK) status = make_table(&all, table, err);
    for (size_t i = 0; i < all.count; i++) {
        mtf_buf_fini(&all.entries[i].words);
        mtf_compare_result_fini(&all.results[i]);
    }
    free(all.entries);
    free(all.results);
    mtf_compare_bench_fini(&all.bench);
    return status;
}
