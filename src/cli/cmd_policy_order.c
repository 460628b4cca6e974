/** `mtf policy rollback|promote|canary|withdraw|freeze|thaw`: what an operator does to what is
 *  served. */
#include "cli/cmd_policy.h"

#include "core/clock.h"
#include "publish/policy_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static bool find_kind(const char *word, mtf_policy_order_kind *kind)
{
    for (*kind = MTF_POLICY_ROLLBACK; *kind <= MTF_POLICY_WITHDRAW; (*kind)++)
        if (strcmp(mtf_policy_order_text(*kind), word) == 0) return true;
    return false;
}

bool policy_is_order(const char *word)
{
    mtf_policy_order_kind kind;
    return find_kind(word, &kind);
}

mtf_status policy_order_check(const mtf_settings *settings, const policy_options *options,
                              const char *word, mtf_err *err)
{
    mtf_policy_order_kind kind;
    const bool of_version = find_kind(word, &kind) && mtf_policy_order_names_version(kind);
    if (of_version && options->version == 0)
        return mtf_fail(err, MTF_INVALID, "policy %s: say which with --version N", word);
    if (!of_version && options->version != 0)
        return mtf_fail(err, MTF_INVALID, "policy %s: it is of %s; without --version%s", word,
                        kind == MTF_POLICY_WITHDRAW ? "what is on trial" : "the head",
                        kind == MTF_POLICY_WITHDRAW ? ""
                                                    : " (--if-head N makes sure which that is)");
    if (kind == MTF_POLICY_THAW && settings->policy_box <= 0)
        return mtf_fail(err, MTF_INVALID,
                        "policy thaw: the setting policy.box is 0, so there is no box to thaw to");
    return MTF_OK;
}

/** What happens next, for the person who did it. */
static const char *consequence(mtf_policy_order_kind kind)
{
    switch (kind) {
    case MTF_POLICY_FREEZE:
        return "Serving code stops exploring as it reads this version. Nothing more is learned "
               "until "
               "`mtf policy thaw`.";
    case MTF_POLICY_THAW:
        return "Serving code explores again as it reads this version.";
    case MTF_POLICY_CANARY:
        return "Serving code gives it to its share of users. The learner promotes or withdraws it "
               "once they have brought enough; until then no round begins.";
    case MTF_POLICY_WITHDRAW:
        return "Serving code gives its users the head again as it reads this.";
    case MTF_POLICY_ROLLBACK:
    case MTF_POLICY_PROMOTE:
        break;
    }
    return "Serving code takes it up as it reads this version. The next round trains on from it.";
}

static void say(const mtf_policy_order *order, const mtf_policy_draft *draft, mtf_buf *out)
{
    const mtf_policy_info *info = &draft->policy->info;
    if (!draft->history) {
        mtf_buf_printf(out,
                       "policy %s: version %" PRId64 ", the head, has box %g already; nothing was "
                       "published\n",
                       info->name, info->version, (double)info->box);
        return;
    }
    mtf_buf_printf(out, "policy %s: version %" PRId64 " %s\n", info->name, info->version,
                   order->kind == MTF_POLICY_CANARY     ? "is the canary now"
                   : order->kind == MTF_POLICY_WITHDRAW ? "records it"
                                                        : "is served now");
    mtf_buf_printf(out, "reason     %s\n", info->reason);
    mtf_buf_printf(out, "network    of version %" PRId64 "\n",
                   (int64_t)mtf_policy_get_number(info, "payload_of"));
    mtf_buf_printf(out, "parent     %" PRId64 "\nbox        %g\n", info->parent, (double)info->box);
    if (order->kind == MTF_POLICY_CANARY)
        mtf_buf_printf(out, "share      %g %% of users\n", order->percent);
    if (draft->drop_canary) mtf_buf_printf(out, "canary     no longer served\n");
    if (draft->drop_shadow) mtf_buf_printf(out, "shadow     no longer published\n");
    mtf_buf_printf(out, "%s", consequence(order->kind));
    if (draft->live && order->kind != MTF_POLICY_CANARY)
        mtf_buf_printf(out,
                       " A round that was under way from version %" PRId64
                       " ends as a hold (parent_changed).",
                       info->parent);
    mtf_buf_printf(out, "\n");
}

static mtf_status say_json(const mtf_policy_order *order, const mtf_policy_draft *draft,
                           mtf_buf *out, mtf_err *err)
{
    const mtf_policy_info *info = &draft->policy->info;
    const double of = mtf_policy_get_number(info, "payload_of");
    json_t *json = json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:f, s:b, s:b, s:s}", "did",
                             mtf_policy_order_text(order->kind), "published", (int)draft->history,
                             "name", info->name, "version", (json_int_t)info->version, "parent",
                             (json_int_t)info->parent, "payload_of",
                             of >= 1 ? (json_int_t)of : (json_int_t)info->version, "box",
                             (double)info->box, "canary_dropped", (int)draft->drop_canary,
                             "shadow_dropped", (int)draft->drop_shadow, "reason", info->reason);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) mtf_buf_printf(out, "%s\n", text);
    json_decref(json);
    if (!text) return mtf_fail(err, MTF_NOMEM, "out of memory printing what was done");
    free(text);
    return MTF_OK;
}

mtf_status policy_order_give(mtf_cli *cli, const policy_options *options, const char *word,
                             mtf_buf *out, mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    const char *const topics[] = {cli->settings.topics_policy, cli->settings.topics_policy_history};
    mtf_policy_order order = {.version = options->version,
                              .if_head = options->if_head,
                              .box = cli->settings.policy_box,
                              .percent = cli->settings.canary_percent,
                              .reason = options->reason ? options->reason : "",
                              .now_ms = mtf_clock_wall_ms()};
    const bool known = find_kind(word, &order.kind);
    MTF_ASSERT(known);
    mtf_kafka_client *client = NULL;
    policy_writer writer = {0};
    mtf_policy_draft draft;
    mtf_status status = stage_keys_check(&cli->settings, true, err);
    if (status == MTF_OK) status = stage_client_open(&context, topics, 2, &client, err);
    if (status == MTF_OK) status = policy_writer_open(&writer, &context, order.version, err);
    if (status == MTF_OK)
        status = policy_writer_write(&writer, mtf_policy_order_decide, &order, &draft, err);
    if (status == MTF_OK && cli->json) status = say_json(&order, &draft, out, err);
    if (status == MTF_OK && !cli->json) say(&order, &draft, out);
    policy_writer_close(&writer);
    mtf_policy_order_fini(&order);
    mtf_kafka_client_close(client);
    return status;
}
