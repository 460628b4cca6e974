#include "core/progress.h"

#include "core/clock.h"

#include <stdio.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

void mtf_progress_begin(mtf_progress *progress, const char *what, const char *unit, int64_t total,
                        bool silent)
{
    const int64_t now = mtf_clock_mono_ns();
    *progress = (mtf_progress){.what = what,
                               .unit = unit,
                               .total = total,
                               .started_ns = now,
                               .shown_ns = now,
                               .terminal = isatty(STDERR_FILENO) == 1,
                               .silent = silent,
                               .width = 24};
}

static void show(const mtf_progress *progress, int64_t done, bool last)
{
    const double seconds = (double)(mtf_clock_mono_ns() - progress->started_ns) / 1e9;
    const double share = progress->total > 0 ? (double)done / (double)progress->total : 1;
    const int percent = (int)(100 * (share > 1 ? 1 : share));
    if (!progress->terminal) {
        fprintf(stderr, "%s: %lld of %lld %s (%d %%), %.1f s\n", progress->what, (long long)done,
                (long long)progress->total, progress->unit, percent, seconds);
        return;
    }
    const int filled = progress->width * percent / 100;
    fprintf(stderr, "\r%-22s [%.*s%*s] %3d %%  %lld %s  %.1f s  ", progress->what, filled,
            "########################", progress->width - filled, "", percent, (long long)done,
            progress->unit, seconds);
    if (last) fputc('\n', stderr);
    fflush(stderr);
}

void mtf_progress_at(mtf_progress *progress, int64_t done)
{
    if (progress->silent) return;
    const int64_t now = mtf_clock_mono_ns(),
                  pause = progress->terminal ? second_ns / 10 : 10 * second_ns;
    if (now - progress->shown_ns < pause) return;
    progress->shown_ns = now;
    show(progress, done, false);
}

void mtf_progress_end(mtf_progress *progress, int64_t done)
{
    if (!progress->silent) show(progress, done, true);
}
