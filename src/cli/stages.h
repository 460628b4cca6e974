/** The stages as the subcommands run them: every part a stage needs, made from the settings, in one
 *  place. Open on one thread, run on one thread (the same or another, handed over), then close. */
#ifndef MTF_CLI_STAGES_H
#define MTF_CLI_STAGES_H

#include "core/log.h"
#include "ingest/decoder.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_finite.h"
#include "ingest/kafka_follow.h"
#include "ingest/kafka_leader.h"
#include "ingest/kafka_source.h"
#include "learner/learn.h"
#include "ops/families.h"
#include "publish/gate.h"
#include "publish/policy_book.h"
#include "publish/policy_writer.h"
#include "sessionize/loop.h"

/** What all stages of a process share; borrowed for their lives. */
typedef struct stage_context {
    const mtf_settings *settings;
    const mtf_log *log;
    atomic_bool *stop; /* set by signals, and by a stage that fails */
    bool fail_fast;
} stage_context;

typedef struct sessionize_member sessionize_member;

/** The members of the group that this process is: one, or `sessionize.threads`, each on its own
 *  thread under the name <instance>-<i>, i from 0. */
typedef struct sessionize_stage {
    const stage_context *context;
    sessionize_member *members;
    int count;
} sessionize_stage;

/** What a decoder is for: events in the framing of the topic; events of files, in single-object
 *  frames; or sessions only, which need no user key. */
typedef enum stage_records { STAGE_TOPIC_EVENTS, STAGE_FILE_EVENTS, STAGE_SESSIONS } stage_records;

/** A decoder by the settings `schema.*`, `policy.*` and `privacy.*`. */
mtf_status stage_decoder_open(const mtf_settings *settings, stage_records records,
                              mtf_decoder **decoder, mtf_err *err) MTF_NODISCARD;
/** No topic has two roles: records of one would be read as another's, dead letters for ever.
 *  MTF_INVALID names both settings. */
mtf_status stage_topics_distinct(const mtf_settings *settings, mtf_err *err) MTF_NODISCARD;
/** What the table of settings cannot see: reward, action table, schemas and librdkafka's properties
 *  through the parsers that use them. Asks no broker. MTF_INVALID: names the setting. */
mtf_status stage_settings_check(const mtf_settings *settings, stage_records records,
                                mtf_err *err) MTF_NODISCARD;
/** The files of policy.signing_key_file and policy.public_key_file, as a reader or a writer of
 *  policies will open them; before any broker is asked. MTF_INVALID as mtf_policy_keys_open. */
mtf_status stage_keys_check(const mtf_settings *settings, bool writes, mtf_err *err) MTF_NODISCARD;
/** Waits for the brokers, then for nothing: every topic must be there. *client, also after a
 * failure, is the caller's to close; NULL: none was made. */
mtf_status stage_client_open(const stage_context *context, const char *const *topics, size_t count,
                             mtf_kafka_client **client, mtf_err *err) MTF_NODISCARD;
/** The sessionizer's configuration by the settings, for events of a decoder that outlives it. */
mtf_sessionize_config stage_sessionize_config(const stage_context *context,
                                              const mtf_decoder *decoder);

/** The option of every command that runs the learner. */
#define STAGE_ACCEPT_LOSS(target)                                                                  \
    {                                                                                              \
        "--accept-loss", MTF_OPTION_FLAG, &(target), 0, 0, NULL,                                   \
            "go on past session records that are gone or changed; they are counted as lost"        \
    }
/** The option of every command that runs the sessionizer. */
#define STAGE_ACCEPT_CONFIG_CHANGE(target)                                                         \
    {                                                                                              \
        "--accept-config-change", MTF_OPTION_FLAG, &(target), 0, 0, NULL,                          \
            "start clean where the last commit was made under other session settings: sessions "   \
            "that were open there are lost, and the log says how much"                             \
    }

/** The members, against the brokers of the settings, once they and the topics are there.
 *  accept_config_change: start clean where the commit was made under other settings. */
mtf_status sessionize_stage_open(sessionize_stage *stage, const stage_context *context,
                                 bool accept_config_change, mtf_err *err) MTF_NODISCARD;
/** Until stop; then logs the counts and that they add up. A member's failure stops the others, and
 *  the process. */
mtf_status sessionize_stage_run(sessionize_stage *stage, mtf_err *err) MTF_NODISCARD;
/** The members' counts, summed; any thread, until close. */
void sessionize_stage_count(const sessionize_stage *stage, mtf_sessionize_counters *sum);
/** A member as other threads may see it, `index` < stage->count; borrowed until close. */
typedef struct sessionize_look {
    const mtf_sessionize_counters *counters;
    const mtf_kafka_source *source;
    const mtf_sink *sink;
    mtf_board *board;
} sessionize_look;
sessionize_look sessionize_stage_look(const sessionize_stage *stage, int index);
/** The line "sessionize.end" of all that is not 0. MTF_CORRUPT: they do not add up. */
mtf_status sessionize_report(const mtf_log *log, const mtf_sessionize_counters *counts,
                             mtf_err *err) MTF_NODISCARD;
/** Also of a stage whose open failed. */
void sessionize_stage_close(sessionize_stage *stage);

/** Follows mtf.policy, a book of heads, or mtf.policy-history, a book of every version. */
typedef struct policy_head {
    const mtf_log *log;
    const char *name;
    mtf_kafka_follower *follower;
    mtf_policy_keys *keys; /* of the settings, for reading */
    mtf_policy_book book;
    int64_t refused; /* records under our name */
} policy_head;

mtf_status policy_head_open(policy_head *head, const stage_context *context, bool history,
                            mtf_err *err) MTF_NODISCARD;
/** Reads the topic to its end of now; *policy is borrowed until the next call, NULL: none yet. */
mtf_status policy_head_read(policy_head *head, const mtf_policy **policy,
                            mtf_err *err) MTF_NODISCARD;
void policy_head_close(policy_head *head);

/** Where this program writes policies, and reads what it needs to know for that: both topics, and a
 *  producer for each publication. One thread; stays where it is until closed. */
typedef struct policy_writer {
    const stage_context *context;
    mtf_kafka_leader *leader; /* who must lead to write, borrowed; NULL: anyone may */
    mtf_board *board;         /* of the stage that writes, borrowed; NULL: none */
    mtf_policy_keys *keys;
    policy_head live;
    mtf_kafka_follower *history;
    mtf_policy_ledger ledger;
} policy_writer;

/** The writer of the policy of the setting policy.name. wanted: the version of the history to keep
 *  whole, 0: none. */
mtf_status policy_writer_open(policy_writer *writer, const stage_context *context, int64_t wanted,
                              mtf_err *err) MTF_NODISCARD;
/** Reads both topics to their ends of now; valid until the next read or write. MTF_AGAIN: they were
 *  not reached in half a minute. */
mtf_status policy_writer_read(policy_writer *writer, mtf_policy_standing *standing,
                              mtf_err *err) MTF_NODISCARD;
/** What was read last; valid until the next read or write. */
mtf_policy_standing policy_writer_standing(const policy_writer *writer);
/** mtf_policy_write at this writer, with a log line of what came of it. */
mtf_status policy_writer_write(policy_writer *writer, mtf_policy_decide_fn decide, void *arg,
                               mtf_policy_draft *draft, mtf_err *err) MTF_NODISCARD;
/** Also of a writer whose open failed. */
void policy_writer_close(policy_writer *writer);

/** What a caller may add to the learner's own hooks; any may be NULL. On the learner's thread. */
typedef struct learn_watch {
    void *arg;
    bool (*due)(void *arg, int64_t sessions);
    void (*progress)(void *arg, const char *what, int64_t done, int64_t total);
    void (*report)(void *arg, const mtf_round_report *report);
} learn_watch;

typedef struct learn_stage {
    const stage_context *context;
    mtf_decoder *decoder;
    mtf_session_decoder sessions;
    mtf_source source;
    mtf_sink dead_letters;
    policy_writer writer;
    _Atomic(mtf_kafka_leader *) leader; /* NULL: topics.leader is "", or not joined yet */
    mtf_gate_config gate;
    char states[17]; /* the id of setting policy.state */
    learn_watch watch;
    mtf_board board;
    mtf_policy_metrics policies;
    bool accept_loss;
    char cluster[200];
    _Atomic(mtf_learn *) loop; /* NULL: a cold standby, another process has the store */
} learn_stage;

/** The learner of all partitions of the sessions topic. stage stays where it is until closed.
 *  watch may be NULL. accept_loss: go on past session records that are gone. If another process has
 *  the store, the stage is a cold standby, and run waits for it (with fail_fast: MTF_FENCED). */
mtf_status learn_stage_open(learn_stage *stage, const stage_context *context,
                            const learn_watch *watch, bool accept_loss, mtf_err *err) MTF_NODISCARD;
mtf_status learn_stage_run(learn_stage *stage, mtf_err *err) MTF_NODISCARD;
void learn_stage_close(learn_stage *stage);
/** NULL: a cold standby. Any thread, until close. */
const mtf_learn *learn_stage_loop(const learn_stage *stage);
/** Another learner trains and publishes, as far as is known. Any thread, until close. */
bool learn_stage_stands_by(const learn_stage *stage);

#endif
