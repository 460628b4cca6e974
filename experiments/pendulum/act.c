/* What a learner does whose policy no record can hold: act SETTINGS.yaml CHECKPOINT reads states
 * from standard input and writes actions to standard output, float32 of this machine, until its
 * input ends. A batch is a uint32 count, then count states (count,S); its answer is the actions
 * (count,A). */
#include <stdio.h>
#include <stdlib.h>

#include "client/policy.h"
#include "learner/checkpoint.h"
#include "learner/train.h"

typedef struct actor {
    mtf_settings settings;
    mtf_algorithm_config config;
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithm;
    mtf_checkpoint checkpoint;
} actor;

static mtf_status open_actor(actor *it, const char *settings, const char *path, mtf_err *err)
{
    mtf_action_table table;
    mtf_status status = mtf_settings_init(&it->settings, err);
    if (status == MTF_OK) status = mtf_settings_load(&it->settings, settings, err);
    if (status == MTF_OK) status = mtf_action_table_parse(&table, it->settings.policy_actions, err);
    if (status == MTF_OK)
        status = mtf_train_algorithm_config(&it->settings, table.count, &it->config, err);
    if (status == MTF_OK) status = mtf_checkpoint_load(&it->checkpoint, path, err);
    if (status) return status;
    it->ops = mtf_algorithm_find(it->settings.learner_algorithm);
    status = it->ops->open(&it->config, &it->algorithm, err);
    if (status) return status;
    return it->ops->load(it->algorithm, mtf_buf_span(&it->checkpoint.algorithm), err);
}

static mtf_status serve(actor *it, mtf_err *err)
{
    const size_t S = it->config.state_dim, A = it->config.action_dim;
    uint32_t count;
    while (fread(&count, sizeof count, 1, stdin) == 1) {
        float *s = malloc((count + 1) * S * sizeof *s), *a = malloc((count + 1) * A * sizeof *a);
        bool whole = s && a && fread(s, S * sizeof *s, count, stdin) == count;
        for (uint32_t i = 0; whole && i < count; i++)
            mtf_normalise(&it->checkpoint.normaliser, s + i * S, s + i * S);
        if (whole) it->ops->act(it->algorithm, count, s, a);
        whole = whole && fwrite(a, A * sizeof *a, count, stdout) == count && fflush(stdout) == 0;
        free(s);
        free(a);
        if (!whole) return mtf_fail(err, MTF_IO, "a batch of %u states was cut short", count);
    }
    return MTF_OK;
}

int main(int argc, char **argv)
{
    actor one = {0};
    mtf_err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: act SETTINGS.yaml CHECKPOINT\n");
        return 64;
    }
    mtf_status status = open_actor(&one, argv[1], argv[2], &err);
    if (status == MTF_OK) status = serve(&one, &err);
    if (status) fprintf(stderr, "act: %s\n", err.msg);
    if (one.algorithm) one.ops->close(one.algorithm);
    mtf_checkpoint_fini(&one.checkpoint);
    mtf_settings_fini(&one.settings);
    return status != MTF_OK;
}
