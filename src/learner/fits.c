#include "learner/fits.h"

#include <stdlib.h>

#include "learner/bootstrap.h"

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory to fit models");
}

mtf_status mtf_fold_times(const mtf_fold *fold, bool judged, uint64_t seed, uint32_t refit,
                          uint32_t **times, mtf_err *err)
{
    const mtf_cohort *cohort = judged ? fold->judged : fold->fit;
    const bool apart = fold->fit->user != fold->judged->user;
    *times = NULL;
    if (refit == 0) return MTF_OK;
    *times = malloc((cohort->users + 1) * sizeof **times);
    if (!*times) return no_memory(err);
    mtf_bootstrap_draw(cohort->users, seed + (apart && !judged), refit, *times);
    return MTF_OK;
}

/** As many numbers as there are threads. */
typedef struct wave {
    mtf_fit_fn fn;
    void *arg;
    uint32_t first;
    mtf_status *status; /* by worker's item */
    mtf_err *err;
} wave;

static void run_item(void *arg, uint32_t item, uint32_t worker)
{
    (void)worker;
    wave *w = arg;
    w->err[item].msg[0] = 0;
    w->status[item] = w->fn(w->arg, w->first + item, &w->err[item]);
}

mtf_status mtf_fits_run(const mtf_fits *fits, uint32_t count, mtf_fit_fn fn, void *arg,
                        mtf_err *err)
{
    const uint32_t threads = mtf_pool_threads(fits->pool);
    wave w = {fn, arg, 0, calloc(threads, sizeof *w.status), calloc(threads, sizeof *w.err)};
    mtf_status status = w.status && w.err ? MTF_OK : no_memory(err);
    for (uint32_t done = 0; done < count && status == MTF_OK;) {
        const uint32_t now = count - done < threads ? count - done : threads;
        w.first = done;
        mtf_pool_run(fits->pool, now, run_item, &w);
        for (uint32_t i = 0; i < now && status == MTF_OK; i++) {
            status = w.status[i];
            if (status && err) *err = w.err[i];
        }
        done += now;
        if (fits->progress) fits->progress(fits->progress_arg, done, count);
    }
    free(w.status);
    free(w.err);
    return status;
}
