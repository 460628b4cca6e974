/** `mtf topics create`: makes the topics of the settings that are not there, and says how those
 * that are differ from what they should be, with the commands that mend it. Deletes and changes
 *  nothing. */
#include "cli/cli.h"
#include "cli/json_text.h"
#include "cli/topics.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARTITIONS = 12, REPLICATION = 3 }; /* of topics that are made, where enough brokers are */

typedef struct topics_options {
    int64_t partitions, replication;
    bool dry_run;
} topics_options;

/** One run: what is printed, and what was seen. */
typedef struct topics_run {
    const mtf_cli *cli;
    const topics_options *options;
    mtf_kafka_client *client;
    topic_sizes sizes; /* of existing ones: partitions 0 unless asked for */
    mtf_buf out;
    int made, differing, refused;
    int findings; /* of the topic at hand */
    mtf_status status;
    mtf_err err;
} topics_run;

/** A command for the replication of a topic, which depends on the brokers there are. */
static void put_reassignment(topics_run *run, const topic_finding *f, mtf_buf *out)
{
    mtf_buf json = {0};
    const mtf_status status = mtf_kafka_admin_reassignment(
        run->client, f->topic, run->sizes.replication, &json, &run->err);
    if (status == MTF_OK)
        mtf_buf_printf(out,
                       "echo '%.*s' > copies.json; kafka-reassign-partitions.sh --bootstrap-server "
                       "%.*s --reassignment-json-file copies.json --execute",
                       (int)json.size, (const char *)json.data,
                       (int)strcspn(run->cli->settings.kafka_bootstrap_servers, ","),
                       run->cli->settings.kafka_bootstrap_servers);
    else
        run->status = status;
    mtf_buf_fini(&json);
}

static void put_finding(void *arg, const topic_finding *f)
{
    static const char *const levels[] = {"refused", "warning", "note"};
    topics_run *run = arg;
    mtf_buf remedy = {0};
    mtf_buf_printf(&remedy, "%s", f->remedy);
    if (!f->remedy[0]) put_reassignment(run, f, &remedy);
    const mtf_str command = {(const char *)remedy.data, (uint32_t)remedy.size};
    run->refused += f->level == TOPIC_REFUSED;
    if (!run->cli->json) {
        mtf_buf_printf(&run->out, "  %-8s %s is %s, not %s: %s\n           %.*s\n",
                       levels[f->level], f->setting, f->is, f->wants, f->why, (int)command.size,
                       command.data);
    } else {
        mtf_buf_printf(&run->out,
                       "%s{\"level\":\"%s\",\"setting\":\"%s\",\"is\":\"%s\",\"wants\":\"%s\","
                       "\"reason\":",
                       run->findings ? "," : "", levels[f->level], f->setting, f->is, f->wants);
        json_text_put(&run->out, mtf_str_of(f->why));
        mtf_buf_printf(&run->out, ",\"remedy\":");
        json_text_put(&run->out, command);
        mtf_buf_put_u8(&run->out, '}');
    }
    run->findings++;
    mtf_buf_fini(&remedy);
}

/** The values it was made with, or would be. */
static void put_plan(topics_run *run, const mtf_kafka_topic *plan)
{
    mtf_buf_printf(&run->out, " partitions=%" PRId32 " replication=%" PRId32, plan->partitions,
                   plan->replication);
    for (int i = 0; i < MTF_KAFKA_TOPIC_SETTING_COUNT; i++)
        if (plan->values[i][0])
            mtf_buf_printf(&run->out, " %s=%s",
                           mtf_kafka_topic_setting_name((mtf_kafka_topic_setting)i),
                           plan->values[i]);
}

static mtf_status look_at(topics_run *run, topic_role role, const mtf_kafka_topic *is, mtf_err *err)
{
    run->findings = 0;
    if (run->cli->json)
        mtf_buf_printf(&run->out,
                       "{\"topic\":\"%s\",\"state\":\"there\",\"partitions\":%" PRId32
                       ",\"replication\":%" PRId32 ",\"told\":%s,\"findings\":[",
                       is->name, is->partitions, is->replication, is->told ? "true" : "false");
    else
        mtf_buf_printf(
            &run->out, "%s is there: partitions=%" PRId32 " replication=%" PRId32 "%s%s\n",
            is->name, is->partitions, is->replication,
            is->told ? "" : "; the brokers do not tell its settings: ", is->told ? "" : is->untold);
    mtf_status status =
        topic_judge(&run->cli->settings, role, &run->sizes, is, put_finding, run, err);
    if (run->cli->json) mtf_buf_printf(&run->out, "]}\n");
    run->differing += run->findings > 0;
    if (status == MTF_OK && run->status != MTF_OK)
        status = mtf_fail(err, run->status, "%s", run->err.msg);
    return status;
}

static mtf_status make(topics_run *run, topic_role role, mtf_err *err)
{
    const bool dry_run = run->options->dry_run;
    mtf_kafka_topic plan;
    topic_sizes sizes = run->sizes;
    if (sizes.partitions == 0) sizes.partitions = PARTITIONS;
    mtf_status status = topic_plan(&run->cli->settings, role, &sizes, &plan, err);
    if (status == MTF_OK) status = mtf_kafka_admin_create(run->client, &plan, dry_run, err);
    if (status == MTF_SKIP) { /* the broker that was asked was behind */
        mtf_kafka_topic is = {.name = plan.name};
        status = mtf_kafka_admin_topics(run->client, &is, 1, true, err);
        return status ? status : look_at(run, role, &is, err);
    }
    if (status != MTF_OK) return status;
    run->made++;
    if (run->cli->json) {
        mtf_buf_printf(&run->out,
                       "{\"topic\":\"%s\",\"state\":\"%s\",\"partitions\":%" PRId32
                       ",\"replication\":%" PRId32 "}\n",
                       plan.name, dry_run ? "missing" : "created", plan.partitions,
                       plan.replication);
        return MTF_OK;
    }
    mtf_buf_printf(&run->out, "%s %s", plan.name, dry_run ? "would be created:" : "created:");
    put_plan(run, &plan);
    mtf_buf_put_u8(&run->out, '\n');
    return MTF_OK;
}

/** As asked for, and no more copies than there are brokers. */
static mtf_status choose_sizes(topics_run *run, mtf_err *err)
{
    int32_t brokers;
    const mtf_status status = mtf_kafka_admin_brokers(run->client, &brokers, err);
    if (status != MTF_OK) return status;
    run->sizes.partitions = (int32_t)run->options->partitions;
    run->sizes.replication = (int32_t)run->options->replication;
    if (run->sizes.replication == 0)
        run->sizes.replication = brokers < REPLICATION ? brokers : REPLICATION;
    if (run->sizes.replication <= brokers) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "--replication %" PRId32 ": there are %" PRId32 " brokers",
                    run->sizes.replication, brokers);
}

static mtf_status create(topics_run *run, mtf_err *err)
{
    mtf_kafka_topic topics[TOPIC_ROLES];
    const size_t count = TOPIC_ROLES - (run->cli->settings.topics_leader[0] == '\0');
    mtf_status status = choose_sizes(run, err);
    for (size_t i = 0; i < count; i++)
        topics[i] = (mtf_kafka_topic){.name = topic_name(&run->cli->settings, (topic_role)i)};
    if (status == MTF_OK) status = mtf_kafka_admin_topics(run->client, topics, count, false, err);
    for (size_t i = 0; status == MTF_OK && i < count; i++)
        status = topics[i].partitions > 0 ? look_at(run, (topic_role)i, &topics[i], err)
                                          : make(run, (topic_role)i, err);
    /* Whoever starts a stage next finds them. */
    if (status == MTF_OK && run->made > 0 && !run->options->dry_run)
        status = mtf_kafka_admin_topics(run->client, topics, count, true, err);
    return status;
}

/** What was printed stands also when a later topic failed. */
static void put_out(topics_run *run, mtf_status status)
{
    if (!run->cli->json && status == MTF_OK) {
        mtf_buf_printf(&run->out, "%d %s, %d differ%s\n", run->made,
                       run->options->dry_run ? "missing" : "created", run->differing,
                       run->differing ? "; with TLS or SASL the commands want --command-config FILE"
                                      : "");
    }
    if (run->out.size) fwrite(run->out.data, 1, run->out.size, stdout);
}

int mtf_command_topics(mtf_cli *cli, int argc, char **argv)
{
    topics_options o = {0};
    const mtf_option options[] = {
        {"--partitions", MTF_OPTION_INT, &o.partitions, 1, 10000, "N",
         "of exploration and sessions; default 12, and those that are there stay"},
        {"--replication", MTF_OPTION_INT, &o.replication, 1, 100, "N",
         "copies of each; default 3, or as many as there are brokers"},
        {"--dry-run", MTF_OPTION_FLAG, &o.dry_run, 0, 0, NULL,
         "create nothing: ask the brokers whether they would"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "topics create [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    if (cli->word_count != 1 || strcmp(cli->words[0], "create") != 0) {
        status = mtf_fail(&err, MTF_INVALID, "topics: say create");
        return mtf_cli_exit(status, &err);
    }
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    topics_run run = {.cli = cli, .options = &o};
    status = stage_topics_distinct(&cli->settings, &err);
    if (status == MTF_OK) status = stage_client_open(&context, NULL, 0, &run.client, &err);
    if (status == MTF_OK) status = create(&run, &err);
    if (status == MTF_OK && run.out.failed)
        status = mtf_fail(&err, MTF_NOMEM, "out of memory telling of topics");
    put_out(&run, status);
    mtf_buf_fini(&run.out);
    mtf_kafka_client_close(run.client);
    if (status == MTF_OK && run.refused > 0) {
        fprintf(stderr, "mtf: the stages refuse %d of these settings: see \"refused\"\n",
                run.refused);
        return MTF_EXIT_FAILED;
    }
    return mtf_cli_exit_work(status, &err);
}
