#include "compare/plots.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"

/* -- texts ------------------------------------------------------- */

/** "name" within a script's double quotes. */
static void put_name(mtf_buf *out, const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c != '"' && *c != '\\') mtf_buf_printf(out, *c == '_' ? "\\\\_" : "%c", *c);
}

static void put_head(mtf_buf *out, const char *file, const char *title, int height)
{
    mtf_buf_printf(out,
                   "set terminal svg size 900,%d font 'sans-serif,13' background '#ffffff'\n"
                   "set output '%s.svg'\nset title \"%s\"\nset border 3\nset tics nomirror\n",
                   height, file, title);
}

/** Bars from the top down, one a line of the table: "place value low high name". */
static void put_bars(mtf_buf *out, const mtf_compare_table *table, const char *block,
                     const mtf_estimate *(*of)(const mtf_compare_line *))
{
    mtf_buf_printf(out, "$%s << END\n", block);
    for (size_t i = 0; i < table->count; i++) {
        const mtf_compare_line *line = &table->lines[i];
        const mtf_estimate *e = of(line);
        if (!isfinite(e->value)) continue;
        mtf_buf_printf(out, "%zu %.9g %.9g %.9g \"", table->count - i, e->value,
                       isfinite(e->low) ? e->low : e->value,
                       isfinite(e->high) ? e->high : e->value);
        put_name(out, line->row->name);
        mtf_buf_printf(out, " (%s)\"\n", mtf_compare_design_name(line->design));
    }
    mtf_buf_printf(out, "END\n");
}

static const mtf_estimate *gauc_of(const mtf_compare_line *line)
{
    return &line->gauc;
}

static const mtf_estimate *valid_of(const mtf_compare_line *line)
{
    return &line->valid;
}

static const mtf_estimate *duration_of(const mtf_compare_line *line)
{
    return &line->duration;
}

#define POINTS "using 2:1:3:4:ytic(5) with xerrorbars pt 7 ps 0.8 lw 1.5"

static bool write_gauc(const mtf_compare_table *table, mtf_buf *out)
{
    put_head(out, "gauc", "Weighted GAUC by user, 95 % intervals", 120 + 24 * (int)table->count);
    put_bars(out, table, "gauc", gauc_of);
    mtf_buf_printf(out,
                   "set yrange [0.5:%zu.5]\nset grid x\nunset key\nplot $gauc " POINTS
                   " lc rgb '#1f5fa8'\n",
                   table->count);
    return true;
}

static bool write_users(const mtf_compare_table *table, mtf_buf *out)
{
    put_head(out, "users", "A user's day, percent over the reference, 95 % intervals",
             140 + 24 * (int)table->count);
    put_bars(out, table, "valid", valid_of);
    put_bars(out, table, "duration", duration_of);
    mtf_buf_printf(
        out,
        "set yrange [0.3:%zu.7]\nset grid x\nset key below\nset arrow from 0, graph 0 to "
        "0, graph 1 nohead dt 2\nset xlabel 'percent over ",
        table->count);
    put_name(out, table->reference);
    mtf_buf_printf(out, "'\nplot $valid " POINTS " lc rgb '#1f5fa8' title 'valid consumption', "
                        "$duration using 2:($1-0.25):3:4 with xerrorbars pt 5 ps 0.6 lw 1.5 lc rgb "
                        "'#c05a00' title 'duration'\n");
    return true;
}

/** The line whose drift has the most rounds; NULL: none has two. */
static const mtf_compare_line *longest(const mtf_compare_table *table)
{
    const mtf_compare_line *found = NULL;
    for (size_t i = 0; i < table->count; i++)
        if (table->lines[i].rounds > (found ? found->rounds : 1)) found = &table->lines[i];
    return found;
}

/** False: nobody learned in rounds. */
static bool write_drift(const mtf_compare_table *table, mtf_buf *out)
{
    const mtf_compare_line *line = longest(table);
    if (!line) return false;
    put_head(out, "drift", "Mean action by dimension after each round", 480);
    mtf_buf_printf(out, "$drift << END\n");
    for (uint32_t r = 0; r < line->rounds; r++) {
        mtf_buf_printf(out, "%u", r + 1);
        for (int d = 0; d < MTF_SIM_ACTIONS; d++) mtf_buf_printf(out, " %.6g", line->drift[r][d]);
        mtf_buf_printf(out, "\n");
    }
    mtf_buf_printf(out, "END\nset xlabel 'round of ");
    put_name(out, line->row->name);
    mtf_buf_printf(out,
                   "'\nset ylabel 'mean action on test states'\nset xtics 1\nset yrange "
                   "[-1.05:1.05]\nset key outside\nset grid y\nplot for [d=1:%d] $drift using "
                   "1:(column(d+1)) with linespoints lw 1.5 title sprintf('dimension %%d', d)\n",
                   MTF_SIM_ACTIONS);
    return true;
}

/** One curve a kind of data, of all its lines. */
static bool write_exploration(const mtf_compare_table *table, mtf_buf *out)
{
    static const mtf_compare_data kinds[] = {MTF_COMPARE_BOX, MTF_COMPARE_GAUSSIAN};
    double sums[2] = {0};
    int64_t noise[2][MTF_NOISE_BINS] = {{0}};
    for (size_t i = 0; i < table->count; i++)
        for (int k = 0; k < 2; k++)
            for (int b = 0; b < MTF_NOISE_BINS; b++) {
                const mtf_compare_line *line = &table->lines[i];
                if (mtf_compare_data_in(line->row, line->design) != kinds[k]) continue;
                noise[k][b] += line->noise[b];
                sums[k] += (double)line->noise[b];
            }
    if (sums[0] + sums[1] == 0) return false;
    put_head(out, "exploration", "What was explored, in one dimension", 420);
    mtf_buf_printf(out, "$noise << END\n");
    for (int b = 0; b < MTF_NOISE_BINS; b++) {
        mtf_buf_printf(out, "%.3f", (b - (MTF_NOISE_BINS - 1) / 2.0) * MTF_NOISE_STEP);
        for (int k = 0; k < 2; k++)
            mtf_buf_printf(out, " %.6g",
                           sums[k] > 0 ? (double)noise[k][b] / sums[k] / MTF_NOISE_STEP : 0);
        mtf_buf_printf(out, "\n");
    }
    mtf_buf_printf(out,
                   "END\nset xlabel 'explored less baseline action'\nset ylabel 'density'\n"
                   "set key top right\nplot $noise using 1:2 with histeps lw 2 lc rgb '#1f5fa8' "
                   "title 'box', $noise using 1:3 with histeps lw 2 lc rgb '#c05a00' title "
                   "'Gaussian'\n");
    return true;
}

/* -- gnuplot ----------------------------------------------------- */

/** Runs gnuplot in the folder; its exit code, 127: there is none. */
static int run_gnuplot(const char *folder, const char *script)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) == 0) execlp("gnuplot", "gnuplot", script, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 1;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static mtf_status write_script(const char *folder, const char *name, mtf_buf *script, mtf_err *err)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s.gp", folder, name);
    const mtf_status status = script->failed ? mtf_fail(err, MTF_NOMEM, "no memory for a figure")
                                             : mtf_file_replace(path, mtf_buf_span(script), err);
    mtf_buf_clear(script);
    return status;
}

static mtf_status draw(const char *folder, const char *name, mtf_err *err)
{
    char file[40];
    snprintf(file, sizeof file, "%s.gp", name);
    const int code = run_gnuplot(folder, file);
    if (code == 127)
        return mtf_fail(
            err, MTF_INVALID,
            "--plots: gnuplot is not installed (package gnuplot-nox); its scripts are in "
            "%.200s",
            folder);
    if (code != 0)
        return mtf_fail(err, MTF_INVALID, "--plots: gnuplot refused %.200s/%s (code %d)", folder,
                        file, code);
    return MTF_OK;
}

mtf_status mtf_compare_plots(const mtf_compare_table *table, const char *folder, mtf_err *err)
{
    static const struct {
        const char *name;
        bool (*write)(const mtf_compare_table *, mtf_buf *);
    } figures[] = {{"gauc", write_gauc},
                   {"users", write_users},
                   {"drift", write_drift},
                   {"exploration", write_exploration}};
    enum { FIGURES = sizeof figures / sizeof *figures };
    bool there[FIGURES] = {false};
    mtf_buf script = {0};
    mtf_status status = mtf_folder_make(folder, err);
    for (int i = 0; i < FIGURES && status == MTF_OK; i++) {
        there[i] = figures[i].write(table, &script);
        if (there[i]) status = write_script(folder, figures[i].name, &script, err);
    }
    for (int i = 0; i < FIGURES && status == MTF_OK; i++)
        if (there[i]) status = draw(folder, figures[i].name, err);
    mtf_buf_fini(&script);
    return status;
}
