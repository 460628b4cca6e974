/** The two halves of `mtf policy`: what looks (cmd_policy.c) and what writes (cmd_policy_order.c).
 */
#ifndef MTF_CLI_CMD_POLICY_H
#define MTF_CLI_CMD_POLICY_H

#include "cli/cli.h"
#include "cli/stages.h"

typedef struct policy_options {
    bool history;
    int64_t version, against, if_head;
    const char *name, *out, *format, *reason;
} policy_options;

/** The policy topic, or its history, to its end, into head's book; the caller closes head. */
mtf_status policy_topic_read(mtf_cli *cli, bool history, policy_head *head,
                             mtf_err *err) MTF_NODISCARD;
/** The record in a file, if a reader of these settings would take it; *policy is the caller's. */
mtf_status policy_file_read(const mtf_cli *cli, const char *path, mtf_policy **policy,
                            mtf_err *err) MTF_NODISCARD;

/** rollback, promote, canary, withdraw, freeze or thaw. */
bool policy_is_order(const char *word);
/** Before any broker is asked. */
mtf_status policy_order_check(const mtf_settings *settings, const policy_options *options,
                              const char *word, mtf_err *err) MTF_NODISCARD;
/** Does it to the policy of the setting policy.name, and says what was done. */
mtf_status policy_order_give(mtf_cli *cli, const policy_options *options, const char *word,
                             mtf_buf *out, mtf_err *err) MTF_NODISCARD;

#endif
