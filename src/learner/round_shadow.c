/** What a shadow is worth out of time: on rows that came after its training. Their exploration is
 *  independent of it, also that of users it was trained on, so that all users may judge. */
#include "learner/rounds_inside.h"

#include <stdlib.h>

#define EARLIER_ROWS_MAX 50000 /* the baseline's regression needs no more */

static void act(const void *policy, const float *state, float *action)
{
    mtf_policy_act(policy, state, action);
}

/** Rows of the champion: before the shadow's training was cut, or since. MTF_SKIP: none are left,
 * or none are of its shape. */
static mtf_status load(const mtf_rounds *rounds, bool since, mtf_cohort *cohort, mtf_err *err)
{
    const mtf_policy *shadow = rounds->trial;
    const mtf_store *store = rounds->config.store;
    const mtf_row_shape shape = mtf_store_shape(store);
    const int64_t row_bytes = 4 * (shape.state_dim + 5 * (int64_t)shape.action_dim) + 512;
    const mtf_normaliser normaliser = {shadow->state_dim, shadow->mean, shadow->deviation};
    mtf_store_position cut[MTF_POLICY_OFFSETS_MAX];
    size_t now_count, count;
    const mtf_store_position *now = mtf_store_positions(store, &now_count);
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    const uint32_t cut_count = shadow->info.offset_count;
    for (uint32_t i = 0; i < cut_count; i++)
        cut[i] = (mtf_store_position){.partition = shadow->info.offsets[i].partition,
                                      .next = shadow->info.offsets[i].offset};
    mtf_selection selection = {.version = shadow->info.parent,
                               .cut = since ? now : cut,
                               .cut_count = since ? now_count : cut_count,
                               .since = since ? cut : NULL,
                               .since_count = since ? cut_count : 0};
    mtf_cohort_config config = {
        .selection = &selection,
        .reward = rounds->config.reward,
        .normaliser = &normaliser,
        .gamma = rounds->algorithm_config.gamma,
        .rows_max = since ? (rounds->config.settings->learner_feed_mb << 20) / 2 / row_bytes
                          : EARLIER_ROWS_MAX,
        .act = act,
        .policy = shadow,
    };
    for (size_t i = 0; i < count; i++)
        if (counts[i].version == selection.version) config.rows += counts[i].rows;
    const bool fits =
        shape.state_dim == shadow->state_dim && shape.action_dim == shadow->action_dim;
    if (!fits || !mtf_selection_days(&selection, store)) return MTF_SKIP;
    return mtf_cohort_load(store, &config, cohort, err);
}

mtf_status mtf_round_shadow(const mtf_rounds *rounds, mtf_first_order *out, mtf_err *err)
{
    const mtf_settings *settings = rounds->config.settings;
    mtf_cohort earlier = {0}, later = {0};
    mtf_baseline baseline = {0};
    float *no_critic = NULL;
    double *b = NULL;
    *out = (mtf_first_order){.gain = mtf_estimate_none(), .outside_share = (double)NAN};
    mtf_status status = load(rounds, false, &earlier, err);
    if (status == MTF_OK) status = load(rounds, true, &later, err);
    if (status) goto done;
    const size_t most = earlier.rows > later.rows ? earlier.rows : later.rows;
    no_critic = calloc(most + 1, sizeof *no_critic);
    b = calloc(later.rows + 1, sizeof *b);
    if (!no_critic || !b) {
        status = mtf_fail(err, MTF_NOMEM, "no memory to judge the shadow");
        goto done;
    }
    status = mtf_baseline_fit(&earlier, no_critic, &baseline, err);
    if (status) goto done;
    mtf_baseline_at(&baseline, &later, no_critic, b);
    status = mtf_first_order_make(&later, later.mu, b, settings->gate_bootstrap,
                                  (uint64_t)settings->learner_seed, out, err);
done:
    mtf_baseline_fini(&baseline);
    mtf_cohort_fini(&earlier);
    mtf_cohort_fini(&later);
    free(no_critic);
    free(b);
    if (status == MTF_SKIP) return MTF_OK;
    return status;
}
