/** What `mtf dlq list` and `mtf late list` share, and the options that all of dlq and late take. */
#ifndef MTF_CLI_ASIDE_LIST_H
#define MTF_CLI_ASIDE_LIST_H

#include "cli/aside_topic.h"
#include "cli/cli.h"

typedef struct aside_options {
    const char *from, *to, *reason;
    int64_t limit;
    bool payload, execute, dry_run, any_topic;
} aside_options;

#define ASIDE_OPTION_COUNT 8

/** The table for mtf_cli_read; how many rows. */
size_t aside_options_table(aside_options *o, bool any_topic, mtf_option table[ASIDE_OPTION_COUNT]);

/** Checks words and options and fills the filter; *replay: the word was replay, not list. */
mtf_status aside_options_read(const mtf_cli *cli, const char *command, const aside_options *o,
                              aside_filter *filter, bool *replay, mtf_err *err) MTF_NODISCARD;

/** Prints the records as a table or as JSON lines, then the counts by reason. */
mtf_status aside_list(const mtf_cli *cli, const char *topic, const aside_options *o,
                      const aside_filter *filter, mtf_err *err) MTF_NODISCARD;

/** Counts by stage and reason, as listings and replays print them. */
#define ASIDE_REASONS_MAX 32
typedef struct aside_reasons {
    struct {
        char stage[24], reason[32];
        int64_t count;
    } rows[ASIDE_REASONS_MAX];
    size_t count; /* the last of a full table holds all others */
} aside_reasons;

void aside_reasons_add(aside_reasons *reasons, mtf_str stage, mtf_str reason);
/** {"decode":3,...}; reasons that came from several stages are one. */
void aside_reasons_json(const aside_reasons *reasons, mtf_buf *out);

#endif
