/** `mtf compare`: every learner and search side by side on the simulator. */
#include "cli/cli.h"
#include "compare/compare.h"
#include "compare/plots.h"
#include "core/file.h"
#include "core/progress.h"

#include <stdio.h>
#include <string.h>

typedef struct compare_options {
    const char *json, *csv, *markdown, *plots, *state;
    bool quick;
} compare_options;

/** --quick: the same code on a small world. Half a minute of it says that all of it works, nothing
 *  about who is better. */
static const char *const quick[] = {
    "compare.rows",
    "es: compare.each=100\n"
    "bo: compare.each=100 compare.points=40\n"
    "grid: compare.each=4 compare.points=1024\n"
    "constant\n"
    "ddpg\n"
    "td3bc\n"
    "cql_sac\n"
    "iql\n"
    "batchrl: batchrl.act_candidates=10\n"
    "integrated without PTM: algorithm=integrated data=box designs=paper\n"
    "integrated: data=progressive\n"
    "integrated in groups: algorithm=integrated data=progressive "
    "reward.groups=\"valid watch finish | positive negative\"\n"
    "enhanced: data=box\n",
    "compare.seeds",
    "1",
    "compare.users",
    "400",
    "compare.sessions",
    "1200",
    "compare.steps",
    "400",
    "compare.fit_steps",
    "200",
    "compare.test_users",
    "300",
    "compare.days",
    "2",
    "learner.hidden",
    "32",
    "learner.critics",
    "6",
    "enhanced.critics",
    "3",
    "learner.batch",
    "128",
    "learner.feed_mb",
    "64",
    NULL,
};

typedef struct shown {
    mtf_progress progress;
    char what[100];
} shown;

static void show_cell(void *arg, const mtf_compare_cell *cell, size_t number, size_t count,
                      bool known)
{
    shown *s = arg;
    if (s->what[0]) mtf_progress_end(&s->progress, 100);
    s->what[0] = '\0';
    if (known) return;
    snprintf(s->what, sizeof s->what, "%zu of %zu: %s, %s data, seed %llu", number, count,
             cell->row->name, mtf_compare_data_name(cell->data), (unsigned long long)cell->seed);
    mtf_progress_begin(&s->progress, s->what, "%", 100, false);
}

static void show_share(void *arg, double share)
{
    shown *s = arg;
    mtf_progress_at(&s->progress, (int64_t)(100 * share));
}

static mtf_status write_one(const char *path, const mtf_compare_table *table,
                            void (*print)(const mtf_compare_table *, mtf_buf *), mtf_err *err)
{
    mtf_buf text = {0};
    if (!path) return MTF_OK;
    print(table, &text);
    const mtf_status status = text.failed ? mtf_fail(err, MTF_NOMEM, "no memory for the table")
                                          : mtf_file_replace(path, mtf_buf_span(&text), err);
    mtf_buf_fini(&text);
    return status;
}

static mtf_status print_all(const compare_options *o, const mtf_compare_table *table, mtf_err *err)
{
    mtf_buf text = {0};
    mtf_compare_table_markdown(table, &text);
    mtf_status status = text.failed ? mtf_fail(err, MTF_NOMEM, "no memory for the table") : MTF_OK;
    if (status == MTF_OK && text.size) fwrite(text.data, 1, text.size, stdout);
    mtf_buf_fini(&text);
    if (status == MTF_OK && fflush(stdout) != 0)
        status = mtf_fail(err, MTF_IO, "compare: the output is closed");
    if (status == MTF_OK) status = write_one(o->json, table, mtf_compare_table_json, err);
    if (status == MTF_OK) status = write_one(o->csv, table, mtf_compare_table_csv, err);
    if (status == MTF_OK) status = write_one(o->markdown, table, mtf_compare_table_markdown, err);
    if (status == MTF_OK && o->plots) status = mtf_compare_plots(table, o->plots, err);
    return status;
}

static mtf_status compare(mtf_cli *cli, const compare_options *o, mtf_err *err)
{
    mtf_compare_plan plan;
    mtf_compare_table table = {0};
    shown s = {0};
    mtf_status status = mtf_compare_plan_init(&plan, &cli->settings, err);
    const mtf_compare_config config = {.settings = &cli->settings,
                                       .plan = &plan,
                                       .state = o->state,
                                       .stop = cli->stop,
                                       .begin = show_cell,
                                       .progress = show_share,
                                       .arg = &s};
    if (status == MTF_OK) status = mtf_compare_run(&config, &table, err);
    if (status == MTF_OK && s.what[0]) mtf_progress_end(&s.progress, 100);
    if (status == MTF_OK) status = print_all(o, &table, err);
    mtf_compare_table_fini(&table);
    mtf_compare_plan_fini(&plan);
    return status;
}

int mtf_command_compare(mtf_cli *cli, int argc, char **argv)
{
    compare_options o = {0};
    const mtf_option options[] = {
        {"--quick", MTF_OPTION_FLAG, &o.quick, 0, 0, NULL,
         "a small world with all algorithms; -c FILE and --set change it"},
        {"--state", MTF_OPTION_TEXT, &o.state, 0, 0, "DIR",
         "keep what is finished there, and go on from it"},
        {"--json", MTF_OPTION_TEXT, &o.json, 0, 0, "FILE", "the table as JSON"},
        {"--csv", MTF_OPTION_TEXT, &o.csv, 0, 0, "FILE", "the table as CSV"},
        {"--markdown", MTF_OPTION_TEXT, &o.markdown, 0, 0, "FILE", "the table as it is printed"},
        {"--plots", MTF_OPTION_TEXT, &o.plots, 0, 0, "DIR", "figures as SVG, drawn by gnuplot"},
    };
    mtf_err err = {0};
    bool small = false;
    for (int i = 0; i < argc; i++) small |= strcmp(argv[i], "--quick") == 0;
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "compare -c experiments/table1.yaml | --quick", options,
                     sizeof options / sizeof *options, small ? quick : NULL, &err);
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    return mtf_cli_exit_work(compare(cli, &o, &err), &err);
}
