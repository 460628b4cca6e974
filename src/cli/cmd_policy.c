/** `mtf policy list|show|export`: what the policy topics hold. */
#include "cli/cli.h"
#include "cli/stages.h"
#include "core/file.h"
#include "publish/policy_view.h"

#include <stdio.h>
#include <string.h>

typedef struct policy_options {
    bool history;
    int64_t version;
    const char *name, *out, *format;
} policy_options;

/** The topic to its end, into head's book; the caller closes head. */
static mtf_status read_topic(mtf_cli *cli, bool history, policy_head *head, mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    mtf_kafka_client *client = NULL;
    const mtf_policy *newest;
    mtf_status status = stage_client_open(&context, NULL, 0, &client, err);
    if (status == MTF_OK) status = policy_head_open(head, &context, history, err);
    if (status == MTF_OK) status = policy_head_read(head, &newest, err);
    mtf_kafka_client_close(client);
    return status;
}

static mtf_status list(const mtf_policy_book *book, bool json, mtf_buf *out, mtf_err *err)
{
    if (!json) mtf_policy_list_head(out);
    for (size_t i = 0; i < book->count; i++) {
        if (!json) {
            mtf_policy_list_line(book->entries[i].policy, out);
            continue;
        }
        const mtf_status status = mtf_policy_to_json(book->entries[i].policy, out, err);
        if (status != MTF_OK) return status;
        mtf_buf_put_u8(out, '\n');
    }
    return MTF_OK;
}

static mtf_status export_policy(const mtf_policy *policy, const policy_options *options,
                                mtf_err *err)
{
    mtf_buf bytes = {0};
    mtf_status status = strcmp(options->format, "record") == 0
                            ? mtf_policy_encode_as_read(policy, &bytes, err)
                            : mtf_policy_safetensors(policy, &bytes, err);
    if (status == MTF_OK) status = mtf_file_replace(options->out, mtf_buf_span(&bytes), err);
    mtf_buf_fini(&bytes);
    return status;
}

/** Before any broker is asked. */
static mtf_status check_words(const mtf_cli *cli, const policy_options *options, mtf_err *err)
{
    const char *what = cli->word_count == 1 ? cli->words[0] : "";
    const bool export = strcmp(what, "export") == 0;
    if (!export && strcmp(what, "list") != 0 && strcmp(what, "show") != 0)
        return mtf_fail(err, MTF_INVALID, "policy: say list, show or export");
    if (export && !options->out)
        return mtf_fail(err, MTF_INVALID, "policy export: say where to with --out FILE");
    if (strcmp(options->format, "safetensors") != 0 && strcmp(options->format, "record") != 0)
        return mtf_fail(err, MTF_INVALID, "--format %s: say safetensors or record",
                        options->format);
    return MTF_OK;
}

static mtf_status do_what(mtf_cli *cli, const policy_options *options, const char *what,
                          const mtf_policy_book *book, mtf_buf *out, mtf_err *err)
{
    if (strcmp(what, "list") == 0) return list(book, cli->json, out, err);
    const mtf_policy *policy = mtf_policy_book_find(book, options->name, options->version);
    if (!policy) {
        return mtf_fail(
            err, MTF_INVALID,
            "no policy '%s' of version %lld; `mtf policy list --history` shows what there is",
            options->name, (long long)options->version);
    }
    if (strcmp(what, "export") == 0) return export_policy(policy, options, err);
    if (cli->json) return mtf_policy_to_json(policy, out, err);
    mtf_policy_to_text(policy, out);
    return MTF_OK;
}

int mtf_command_policy(mtf_cli *cli, int argc, char **argv)
{
    policy_options o = {.format = "safetensors"};
    const mtf_option options[] = {
        {"--history", MTF_OPTION_FLAG, &o.history, 0, 0, NULL,
         "read every version, not only those served"},
        {"--version", MTF_OPTION_INT, &o.version, 0, 1e15, "N",
         "which version; default the newest"},
        {"--name", MTF_OPTION_TEXT, &o.name, 0, 0, "NAME",
         "which policy; default the setting policy.name"},
        {"--out", MTF_OPTION_TEXT, &o.out, 0, 0, "FILE", "where export writes"},
        {"--format", MTF_OPTION_TEXT, &o.format, 0, 0, "F",
         "of export: safetensors (default) or record"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "policy list|show|export [options]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_OK) status = check_words(cli, &o, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    if (!o.name) o.name = cli->settings.policy_name;
    const bool history = o.history || o.version > 0;
    policy_head head = {0};
    mtf_buf out = {0};
    status = read_topic(cli, history, &head, &err);
    if (status == MTF_OK) status = do_what(cli, &o, cli->words[0], &head.book, &out, &err);
    if (status == MTF_OK && out.failed)
        status = mtf_fail(&err, MTF_NOMEM, "out of memory printing policies");
    if (status == MTF_OK && out.size) {
        fwrite(out.data, 1, out.size, stdout);
        if (cli->json && out.data[out.size - 1] != '\n') putchar('\n');
    }
    mtf_buf_fini(&out);
    policy_head_close(&head);
    return mtf_cli_exit(status, &err);
}
