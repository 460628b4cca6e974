/** `mtf policy list|show|diff|export|verify`: what the policy topics hold. */
#include "cli/cmd_policy.h"
#include "core/file.h"
#include "publish/policy_diff.h"
#include "publish/policy_view.h"

#include <stdio.h>
#include <string.h>

mtf_status policy_topic_read(mtf_cli *cli, bool history, policy_head *head, mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    mtf_kafka_client *client = NULL;
    const mtf_policy *newest;
    mtf_status status = stage_keys_check(&cli->settings, false, err);
    if (status == MTF_OK) status = stage_client_open(&context, NULL, 0, &client, err);
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

mtf_status policy_file_read(const mtf_cli *cli, const char *path, mtf_policy **policy, mtf_err *err)
{
    mtf_policy_keys *keys = NULL;
    mtf_buf bytes = {0};
    mtf_status status =
        mtf_policy_keys_open(NULL, cli->settings.policy_public_key_file, false, &keys, err);
    if (status == MTF_OK)
        status = mtf_file_read(path, 2 * MTF_POLICY_RECORD_BYTES_MAX, &bytes, err);
    if (status == MTF_OK) status = mtf_policy_verify(keys, mtf_buf_span(&bytes), err);
    if (status == MTF_OK) status = mtf_policy_decode(mtf_buf_span(&bytes), policy, err);
    mtf_buf_fini(&bytes);
    mtf_policy_keys_free(keys);
    return status;
}

static mtf_status show(const mtf_cli *cli, const mtf_policy *policy, mtf_buf *out, mtf_err *err)
{
    if (cli->json) return mtf_policy_to_json(policy, out, err);
    mtf_policy_to_text(policy, out);
    return MTF_OK;
}

/** A version, or the newest (version 0), of the book. */
static mtf_status find(const mtf_policy_book *book, const policy_options *options, int64_t version,
                       const mtf_policy **found, mtf_err *err)
{
    *found = mtf_policy_book_find(book, options->name, version);
    if (*found) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "no policy '%s' of version %lld; `mtf policy list --history` shows what there "
                    "is",
                    options->name, (long long)version);
}

/** What changed from --against, or its parent, to --version. */
static mtf_status diff(const mtf_cli *cli, const policy_options *options,
                       const mtf_policy_book *book, const mtf_policy *to, mtf_buf *out,
                       mtf_err *err)
{
    const int64_t against = options->against ? options->against : to->info.parent;
    const mtf_policy *from;
    mtf_policy_diff found;
    if (against == 0)
        return mtf_fail(err, MTF_INVALID,
                        "version %lld has no parent: say with --against N what to compare it with",
                        (long long)to->info.version);
    mtf_status status = find(book, options, against, &from, err);
    if (status == MTF_OK) status = mtf_policy_diff_make(from, to, &found, err);
    if (status) return status;
    if (cli->json) return mtf_policy_diff_json(&found, out, err);
    mtf_policy_diff_text(&found, out);
    return MTF_OK;
}

/** Before any broker is asked. */
static mtf_status check_words(const mtf_cli *cli, const policy_options *options, mtf_err *err)
{
    const char *what = cli->word_count > 0 ? cli->words[0] : "";
    const bool order = policy_is_order(what), export = strcmp(what, "export") == 0;
    const bool verify = strcmp(what, "verify") == 0, compares = strcmp(what, "diff") == 0;
    if (!order && !export && !verify && !compares && strcmp(what, "list") != 0 &&
        strcmp(what, "show") != 0)
        return mtf_fail(
            err, MTF_INVALID,
            "policy: say list, show, diff, export, verify, rollback, promote, canary, withdraw, "
            "freeze or thaw");
    if (cli->word_count > (verify ? 2 : 1))
        return mtf_fail(err, MTF_INVALID, "policy %s: '%s' is not expected here", what,
                        cli->words[cli->word_count - 1]);
    if (options->against && !compares)
        return mtf_fail(err, MTF_INVALID, "policy %s: --against is of diff", what);
    if (order) return policy_order_check(&cli->settings, options, what, err);
    if (options->reason || options->if_head)
        return mtf_fail(
            err, MTF_INVALID,
            "policy %s: --reason and --if-head are of rollback, promote, canary, withdraw, freeze "
            "and thaw",
            what);
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
    const mtf_policy *policy;
    const mtf_status status = find(book, options, options->version, &policy, err);
    if (status) return status;
    if (strcmp(what, "diff") == 0) return diff(cli, options, book, policy, out, err);
    if (strcmp(what, "export") == 0) return export_policy(policy, options, err);
    return show(cli, policy, out, err); /* verify: what did not hold, the book has refused */
}

/** list, show, diff, export, or verify of a topic's record. */
static mtf_status look(mtf_cli *cli, const policy_options *options, const char *what, mtf_buf *out,
                       mtf_err *err)
{
    policy_head head = {0};
    const bool history = options->history || options->version > 0 || strcmp(what, "diff") == 0;
    mtf_status status = policy_topic_read(cli, history, &head, err);
    if (status == MTF_OK) status = do_what(cli, options, what, &head.book, out, err);
    policy_head_close(&head);
    return status;
}

static mtf_status run(mtf_cli *cli, const policy_options *options, mtf_buf *out, mtf_err *err)
{
    const char *what = cli->words[0];
    mtf_policy *policy = NULL;
    if (policy_is_order(what)) return policy_order_give(cli, options, what, out, err);
    if (cli->word_count == 1) return look(cli, options, what, out, err);
    mtf_status status = policy_file_read(cli, cli->words[1], &policy, err);
    if (status == MTF_OK) status = show(cli, policy, out, err);
    mtf_policy_free(policy);
    return status;
}

int mtf_command_policy(mtf_cli *cli, int argc, char **argv)
{
    policy_options o = {.format = "safetensors"};
    const mtf_option options[] = {
        {"--history", MTF_OPTION_FLAG, &o.history, 0, 0, NULL,
         "read every version, not only those served"},
        {"--version", MTF_OPTION_INT, &o.version, 0, 1e15, "N",
         "which version; default the newest"},
        {"--against", MTF_OPTION_INT, &o.against, 1, 1e15, "N",
         "of diff: from which version; default the parent"},
        {"--name", MTF_OPTION_TEXT, &o.name, 0, 0, "NAME",
         "which policy; default the setting policy.name"},
        {"--out", MTF_OPTION_TEXT, &o.out, 0, 0, "FILE", "where export writes"},
        {"--format", MTF_OPTION_TEXT, &o.format, 0, 0, "F",
         "of export: safetensors (default) or record"},
        {"--reason", MTF_OPTION_TEXT, &o.reason, 0, 0, "TEXT",
         "of rollback, promote, canary, withdraw, freeze, thaw: why, for the record"},
        {"--if-head", MTF_OPTION_INT, &o.if_head, 1, 1e15, "N",
         "of the same: only while version N is served"},
    };
    mtf_err err = {0};
    mtf_status status = mtf_cli_read(
        cli, argc, argv,
        "policy list|show|diff|export|verify [FILE]|rollback|promote|canary|withdraw|freeze|thaw "
        "[options]",
        options, sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_OK && o.name)
        status = mtf_settings_set(&cli->settings, "policy.name", o.name, "--name", &err);
    if (status == MTF_OK) status = check_words(cli, &o, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    o.name = cli->settings.policy_name;
    mtf_buf out = {0};
    status = run(cli, &o, &out, &err);
    if (status == MTF_OK && out.failed)
        status = mtf_fail(&err, MTF_NOMEM, "out of memory printing policies");
    if (status == MTF_OK && out.size) {
        fwrite(out.data, 1, out.size, stdout);
        if (cli->json && out.data[out.size - 1] != '\n') putchar('\n');
    }
    mtf_buf_fini(&out);
    return mtf_cli_exit_work(status, &err);
}
