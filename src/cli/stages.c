/** What all stages share: a decoder, a look at the settings, a look at the brokers. */
#include "cli/stages.h"

#include "learner/reward.h"
#include "publish/policy_states.h"

#include <string.h>

mtf_status stage_decoder_open(const mtf_settings *settings, stage_records records,
                              mtf_decoder **decoder, mtf_err *err)
{
    mtf_action_table table;
    mtf_decoder_config config = {.directory = settings->schema_directory,
                                 .pinned = settings->schema_pinned};
    mtf_status status = mtf_framing_parse(settings->schema_framing, &config.framing, err);
    if (status == MTF_OK) status = mtf_action_table_parse(&table, settings->policy_actions, err);
    if (status != MTF_OK) return status;
    if (records == STAGE_FILE_EVENTS) config.framing = MTF_FRAMING_SINGLE_OBJECT;
    if (records != STAGE_SESSIONS) config.user_key_file = settings->privacy_user_key_file;
    config.dims =
        (mtf_dims){(uint32_t)settings->policy_state_dim, table.count, settings->policy_list > 0};
    return mtf_decoder_open(&config, decoder, err);
}

mtf_status stage_topics_distinct(const mtf_settings *s, mtf_err *err)
{
    const struct {
        const char *setting, *topic;
    } roles[] = {
        {"exploration", s->topics_exploration},
        {"sessions", s->topics_sessions},
        {"late", s->topics_late},
        {"dead_letter", s->topics_dead_letter},
        {"policy", s->topics_policy},
        {"policy_history", s->topics_policy_history},
        {"leader", s->topics_leader},
    };
    for (size_t i = 1; i < sizeof roles / sizeof *roles; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(roles[i].topic, roles[k].topic) == 0)
                return mtf_fail(err, MTF_INVALID,
                                "topics.%s and topics.%s are both \"%s\": give each a topic of its "
                                "own",
                                roles[k].setting, roles[i].setting, roles[i].topic);
    return MTF_OK;
}

mtf_status stage_settings_check(const mtf_settings *settings, stage_records records, mtf_err *err)
{
    mtf_reward reward;
    mtf_decoder *decoder = NULL;
    char states[17];
    mtf_status status = stage_topics_distinct(settings, err);
    if (status == MTF_OK)
        status = mtf_reward_parse(&reward, settings->reward_weights, settings->reward_clip, err);
    if (status == MTF_OK) status = mtf_reward_group(&reward, settings->reward_groups, err);
    if (status == MTF_OK) status = mtf_policy_states_id(settings, states, err);
    if (status == MTF_OK) status = stage_decoder_open(settings, records, &decoder, err);
    mtf_decoder_close(decoder);
    if (status == MTF_OK) status = mtf_kafka_settings_check(settings, err);
    return status;
}

mtf_status stage_keys_check(const mtf_settings *settings, bool writes, mtf_err *err)
{
    mtf_policy_keys *keys;
    const mtf_status status = mtf_policy_keys_open(
        settings->policy_signing_key_file, settings->policy_public_key_file, writes, &keys, err);
    mtf_policy_keys_free(keys);
    return status;
}

mtf_status stage_client_open(const stage_context *context, const char *const *topics, size_t count,
                             mtf_kafka_client **client, mtf_err *err)
{
    mtf_status status = mtf_kafka_client_open(context->settings, context->log, NULL,
                                              context->fail_fast, context->stop, client, err);
    for (size_t i = 0; status == MTF_OK && i < count; i++) {
        int32_t partitions;
        status = mtf_kafka_client_partitions(*client, topics[i], &partitions, err);
    }
    return status;
}
