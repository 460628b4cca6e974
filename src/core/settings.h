/** Every setting of the program, once: X(section, name, type, default, min, max, unit, help).
 *  The YAML file, MTF_SECTION_NAME environment variables, --set section.name=value, `mtf config
 *  check|print|docs` and the docs page all come from this table. Types: I int64, F double, B bool,
 *  S text. min/max bound I and F; for S, max is the longest text. */
#ifndef MTF_SETTINGS_H
#define MTF_SETTINGS_H

#include "core/bytes.h"

// clang-format off
#define MTF_SETTINGS_MAP(X) \
    X(kafka, bootstrap_servers, S, "", 0, 1000, "", "brokers, host:port[,host:port...]; also spelled kafka.bootstrap.servers") \
    X(topics, exploration, S, "mtf.exploration", 1, 249, "", "exploration events, keyed by user id") \
    X(topics, sessions, S, "mtf.sessions", 1, 249, "", "closed sessions, keyed by user id") \
    X(topics, late, S, "mtf.late", 1, 249, "", "events that came after their session closed") \
    X(topics, dead_letter, S, "mtf.dead-letter", 1, 249, "", "records that cannot be used, bytes unchanged, reason in headers") \
    X(topics, policy, S, "mtf.policy", 1, 249, "", "servable policy records, compacted") \
    X(topics, policy_history, S, "mtf.policy-history", 1, 249, "", "every policy record, kept for ever") \
    X(topics, leader, S, "mtf.leader", 0, 249, "", "one partition, never written to: of several learners its owner trains and publishes; empty = no leadership, run one learner only") \
    X(schema, directory, S, "", 0, 1000, "path", "folder of *.avsc writers' schemas besides the built-in ones") \
    X(schema, framing, S, "single-object", 1, 32, "", "framing of exploration events: single-object | confluent | raw") \
    X(schema, pinned, S, "", 0, 1000, "path", "the one writer's schema when framing is raw") \
    X(sessionize, group, S, "mtf-sessionize", 1, 249, "", "consumer group; transactional ids are mtf-sessionize-<instance>, or <group>:<instance> in another group") \
    X(sessionize, instance, S, "", 0, 200, "", "static member name, without a colon; empty = the host's name") \
    X(sessionize, threads, I, 1, 1, 64, "threads", "members of the group in one process, named <instance>-0, -1, ... where there are several") \
    X(sessionize, gap_ms, I, 1800000, 1000, 86400000, "ms", "inactivity that ends a session") \
    X(sessionize, grace_ms, I, 60000, 0, 86400000, "ms", "wait for late events after the gap") \
    X(sessionize, out_of_orderness_ms, I, 5000, 0, 3600000, "ms", "how far the watermark stays behind the newest event") \
    X(sessionize, max_future_ms, I, 300000, 0, 86400000, "ms", "an event further ahead of its append time is a dead letter") \
    X(sessionize, max_duration_ms, I, 21600000, 60000, 604800000, "ms", "aligned cap: no session spans two such buckets") \
    X(sessionize, max_events, I, 2000, 1, 1000000, "events", "content kept of one session; the rest is counted") \
    X(sessionize, idle_timeout_ms, I, 60000, 0, 86400000, "ms", "a caught-up, silent partition moves its watermark by wall time after this; 0 = never") \
    X(sessionize, commit_interval_ms, I, 1000, 10, 60000, "ms", "output and positions are committed this often") \
    X(sessionize, aggregators, S, "watch=max valid=max finish=max positive=sum negative=sum", 0, 4000, "", "signal=sum|max|last|first ...; a signal not named here: last") \
    X(sessionize, allow_create_time, B, 0, 0, 1, "", "accept topics stamped by producers (mock brokers) instead of LogAppendTime") \
    X(sessionize, delivery, S, "exactly-once", 1, 20, "", "exactly-once: sessions and positions, and policies, go out in Kafka transactions; at-least-once: for brokers older than 2.5, readers may see a session or a policy twice") \
    X(errors, max_consecutive, I, 1000, 0, 1000000000, "records", "stop after so many bad records in a row; 0 = never") \
    X(reward, weights, S, "valid=1 watch=0.02 finish=0.5 positive=2 negative=-2", 1, 4000, "", "formula 2: signal=weight ...; watch is seconds; the store keeps the signals named here, one of weight 0 without counting it") \
    X(reward, clip, S, "watch=300", 0, 4000, "", "winsorise a signal of one item: signal=max ...; a signal without a clip counts as at most 1 per item in the bound of |Q| whose crossing rejects a round: clip every signal that can be larger") \
    X(reward, groups, S, "", 0, 4000, "", "learn the reward in parts, each by critics of its own (UnifiedRL): signal ... | [weight=W] signal ...; every signal of reward.weights in one group; a group's values count W times, 1 if not said, to the policy; empty = one group. Learners integrated and enhanced") \
    X(policy, name, S, "default", 1, 100, "", "policy name: the key of its records") \
    X(policy, state_dim, I, 64, 1, 4096, "floats", "state length") \
    X(policy, state, S, "", 0, 8000, "", "what the state's floats mean, as the services' state builder reads it (mtf.h, \"States\"): name=kind(...) ...; goes into the policy record, and a service that builds others refuses it; empty = any floats") \
    X(policy, actions, S, "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 positive.bias=0.01..0.51 negative.bias=0.01..0.51", 1, 8000, "", "action table: prediction.pow|bias=low..high ...; prediction order is first appearance") \
    X(policy, list, I, 0, 0, 64, "items", "longest list that is shown, each of its items with an action of its own (learner enhanced); 0 = one action for all of a request's items") \
    X(policy, item_features, I, 0, 0, 1024, "floats", "features of an item beside its predictions, where each has its own action") \
    X(policy, item_noise, S, "item", 1, 20, "", "item | shared: whether the items of a request are explored each by a draw of its own, or all by one") \
    X(policy, box, F, 0.15, 0, 1, "", "half-width of the exploration box of the next round; 0 stops exploration") \
    X(policy, signing_key_file, S, "", 0, 1000, "path", "Ed25519 private key, PEM: sign every policy record; empty = do not sign") \
    X(policy, public_key_file, S, "", 0, 1000, "path", "Ed25519 public keys, PEM, one or more: refuse a policy record that none of them verifies; empty = do not ask") \
    X(privacy, user_key_file, S, "", 0, 1000, "path", "32 to 128 hex digits: user ids are replaced by a keyed hash as events are read; empty = kept as they are") \
    X(store, path, S, "mtf-store", 1, 1000, "path", "RocksDB folder of the learner") \
    X(store, retention_days, I, 30, 1, 3650, "days", "rows older than this are deleted") \
    X(store, commit_rows, I, 4096, 1, 1000000, "rows", "rows per synced write batch at most") \
    X(store, commit_interval_ms, I, 1000, 10, 60000, "ms", "and at least this often") \
    X(round, min_sessions, I, 80000, 1, 1000000000, "sessions", "a round trains when so many sessions came under the champion") \
    X(round, max_rounds, I, 0, 0, 1000000, "rounds", "leave after so many; 0 = never") \
    X(round, holdout_percent, I, 10, 1, 50, "%", "share of users, by hash, held out for the gate") \
    X(learner, group, S, "mtf-learn", 1, 249, "", "consumer group of the learner's name; its positions live in the store") \
    X(learner, algorithm, S, "integrated", 1, 40, "", "what trains: integrated (arXiv:2404.17589), or a learner to compare it with; docs/learning.md says what each is") \
    X(learner, threads, I, 2, 1, 64, "threads", "training threads; the result does not depend on it") \
    X(learner, seed, I, 1, 0, 9223372036854775807, "", "seed of initial weights and sampling") \
    X(learner, hidden, I, 128, 8, 1024, "units", "width of both hidden layers of actor and critics") \
    X(learner, precision, S, "float32", 1, 20, "", "float32 | bf16: the critics' matrix products in bfloat16, with weights, sums and Adam in float32; about 1.6 times faster at width 256, on CPUs with avx512_bf16 only") \
    X(learner, critics, I, 24, 1, 256, "", "m of arXiv:2404.17589") \
    X(learner, steps, I, 300000, 1, 100000000, "steps", "gradient steps a round") \
    X(learner, batch, I, 256, 1, 65536, "rows", "rows a gradient step") \
    X(learner, gamma, F, 0.9, 0, 0.9999, "", "discount") \
    X(learner, eta, F, 1.2, 0, 1000, "", "weight of the box penalty, formula 4") \
    X(learner, beta, F, 0.3, 0.001, 100, "", "scale of the box penalty, formula 5") \
    X(learner, lambda, F, 0.2, 0, 100, "", "weight of the critics' disagreement, formula 4") \
    X(learner, delta, F, 1, 0, 1000, "", "penalty weight of target forms literal and additive") \
    X(learner, penalty, S, "expm1", 1, 20, "", "expm1 | printed | none") \
    X(learner, target, S, "discount", 1, 20, "", "discount | literal | additive | clip") \
    X(learner, soft_update, F, 0.08, 0, 1, "", "w: share of the online weights that targets take") \
    X(learner, target_every, I, 15, 1, 1000000, "steps", "L: steps between target updates") \
    X(learner, actor_lr, F, 0.0003, 0, 1, "", "Adam rate of the actor") \
    X(learner, critic_lr, F, 0.001, 0, 1, "", "Adam rate of the critics") \
    X(learner, lr_final, F, 0.05, 0, 1, "", "cosine decay within a round to this share") \
    X(learner, actor_clip, F, 10, 0, 1e9, "", "gradient norm limit of the actor") \
    X(learner, critic_clip, F, 100, 0, 1e9, "", "gradient norm limit of each critic") \
    X(learner, warm_start, S, "all", 1, 20, "", "all | actor | none: what continues from the champion's checkpoint") \
    X(learner, reset_optimizer, B, 1, 0, 1, "", "Adam moments start anew each round") \
    X(learner, train_window, S, "champion", 1, 20, "", "whose exploration rows a round trains on: champion, the newest K versions that explored (the champion included; 1 = champion), or all. More than champion is not advised: rows pull towards the boxes they were logged in, so old ones pin the actor and take its bootstrap (phi) away; each such round warns") \
    X(learner, feed_mb, I, 1024, 16, 1048576, "MiB", "memory for the training feed") \
    X(td3bc, alpha, F, 2.5, 0, 1e6, "", "weight of the value against the distance from the logged action") \
    X(td3bc, noise, F, 0.2, 0, 10, "", "deviation of the noise on the target's action") \
    X(td3bc, noise_clip, F, 0.5, 0, 10, "", "that noise is clipped to +- this") \
    X(td3bc, policy_every, I, 2, 1, 1000000, "steps", "steps between moves of the actor") \
    X(iql, expectile, F, 0.7, 0, 1, "", "tau: the expectile of a state's logged actions that counts as its value") \
    X(iql, beta, F, 3, 0, 1e6, "", "how much more a better action is imitated: exp(beta advantage), in scaled rewards") \
    X(iql, weight_max, F, 100, 1e-6, 1e9, "", "no action is imitated more than this") \
    X(cql_sac, weight, F, 5, 0, 1e6, "", "how conservative: weight of the soft maximum of the value against the logged action's") \
    X(cql_sac, actions, I, 10, 1, 1000, "actions", "draws of each of the three proposals that the soft maximum is estimated by") \
    X(batchrl, perturbation, F, 0.15, 0, 2, "", "how far a candidate is moved from what the generator made, at most") \
    X(batchrl, latent_clip, F, 0.5, 0, 100, "", "a candidate's latent numbers are clipped to +- this") \
    X(batchrl, candidates, I, 10, 1, 1000, "actions", "candidates of a next state, of which the target takes the best") \
    X(batchrl, act_candidates, I, 100, 1, 10000, "actions", "candidates of which the policy takes the best") \
    X(batchrl, gamma, F, 0.95, 0, 0.9999, "", "discount, in place of learner.gamma") \
    X(batchrl, soft_update, F, 0.05, 0, 1, "", "in place of learner.soft_update") \
    X(batchrl, target_every, I, 10, 1, 1000000, "steps", "in place of learner.target_every") \
    X(batchrl, generator_lr, F, 0.001, 0, 1, "", "Adam rate of the generator") \
    X(batchrl, perturbation_lr, F, 0.0001, 0, 1, "", "Adam rate of the perturbation, in place of learner.actor_lr") \
    X(batchrl, critic_lr, F, 0.0002, 0, 1, "", "in place of learner.critic_lr") \
    X(enhanced, critics, I, 10, 1, 256, "", "m of each group, in place of learner.critics") \
    X(compare, rows, S, "", 0, 20000, "", "what `mtf compare` compares, a line each: NAME, or NAME: key=value ..., a key being a setting, algorithm, data or designs; docs/comparison.md") \
    X(compare, designs, S, "paper fair", 1, 100, "", "paper: each row on its own data; fair: all on the same; progressive: each in rounds of its own") \
    X(compare, reference, S, "es", 1, 60, "", "the row that the others' users are compared with") \
    X(compare, start, S, "zero", 1, 20, "", "zero | reference: what is explored round first, and learners start from: action 0, or what the reference finds by serving what it tries") \
    X(compare, seeds, I, 5, 1, 1000, "seeds", "of users, noise and networks: the whole comparison so many times") \
    X(compare, users, I, 6000, 1, 100000000, "users", "who visit while a row learns") \
    X(compare, sessions, I, 18000, 1, 100000000, "sessions", "of a round, which is a day") \
    X(compare, items, B, 0, 0, 1, "", "the simulated world where the best weights depend on the item, which its features tell (mtf simulate --items)") \
    X(compare, rounds, I, 5, 1, 100, "rounds", "of sessions; one training after them all, or, where a row learns in rounds, one after each") \
    X(compare, gate, B, 1, 0, 1, "", "where a row learns in rounds: a training that the check of value on held-out users (gate.z) does not pass is taken back and its data kept, as in production; false: as the paper has it") \
    X(compare, steps, I, 3000, 1, 100000000, "steps", "gradient steps in all, whatever the number of trainings") \
    X(compare, sigma, F, 0.2, 0, 2, "", "deviation of Gaussian exploration") \
    X(compare, shuffle_rewards, B, 0, 0, 1, "", "null control: learners are logged the outcomes of other requests, so that none can tell what an action does") \
    X(compare, each, I, 500, 2, 10000000, "sessions", "an action of a search is served to") \
    X(compare, fit_steps, I, 3000, 1, 10000000, "steps", "of the fitted Q that a search of logged data asks") \
    X(compare, points, I, 300, 1, 1000000, "actions", "that a search of logged data tries") \
    X(compare, test_users, I, 3000, 2, 100000000, "users", "of the A/B test and of the ranking metric, whom nobody learned from") \
    X(compare, days, I, 3, 1, 1000, "days", "of the A/B test") \
    X(gate, z, F, 1.0, -10, 10, "", "one-sided z that the value check must reach") \
    X(gate, min_transitions, I, 2000, 1, 1000000000, "rows", "held-out rows below which a round is held") \
    X(gate, outside_max, F, 0.05, 0, 1, "", "share of held-out action dimensions outside the box, margin 0.05") \
    X(gate, phi_min, F, 0.5, 0, 1, "", "mean phi below this holds") \
    X(gate, skill_z, F, 3.0, -10, 10, "", "z of the correlation of critics and held-out returns that must be reached") \
    X(gate, gauc_loss_max, F, 0.005, 0, 1, "", "weighted GAUC by user that a candidate may certainly lose on what was shown") \
    X(gate, part_z, F, 3.0, 0, 100, "", "a part of users or requests that loses so many standard errors of value holds") \
    X(gate, reward_sense, B, 1, 0, 1, "", "reject where items that users validly consumed bring less reward than the mean item, or where none is known to be consumed; false where the signals of consumption are not in reward.weights") \
    X(gate, fqe_steps, I, 5000, 0, 10000000, "steps", "gradient steps of the fitted Q evaluation that a verdict reports beside its own estimate, and does not decide by; 0 = none") \
    X(gate, fqe_refits, I, 4, 0, 1000, "", "fits anew, for its interval: each costs what the first one does; fewer than 2 give none") \
    X(gate, bootstrap, I, 200, 10, 100000, "", "user-level bootstrap draws") \
    X(gate, stages, S, "live", 1, 20, "", "where a candidate that passes goes: live, to all users at once; canary, to a share of them first; shadow, to nobody before it passes again on rows newer than its training; shadow-canary, both") \
    X(shadow, sessions, I, 10000, 1, 1000000000, "sessions", "sessions under the head, newer than the shadow's training, from which on it is judged again") \
    X(shadow, z, F, 1.0, -100, 10, "", "one-sided z that its value must reach on them, all users together") \
    X(canary, percent, F, 5, 0.01, 50, "%", "share of users, by hash, whom a canary serves") \
    X(canary, sessions, I, 10000, 1, 1000000000, "sessions", "sessions that a canary served, at which it is promoted or withdrawn") \
    X(canary, z, F, -1.0, -100, 100, "", "promoted where they bring so many standard errors more than its parent's of the same hours, by user; below 0: where they bring not that much less") \
    X(rollback, sessions, I, 10000, 0, 1000000000, "sessions", "sessions of a promoted version, and of its parent, from which on the two are compared, again whenever they have doubled; 0 = never") \
    X(rollback, z, F, 3.0, 0, 100, "", "a promoted version whose sessions bring so many standard errors less than its parent's, by user, and") \
    X(rollback, fall, F, 0.2, 0, 1, "", "by this share less, is rolled back. Days differ: a smaller share than the days themselves fall by undoes good versions") \
    X(rollback, days, I, 7, 0, 365, "days", "of the parent's sessions before the version's first day that it is compared with") \
    X(shutdown, timeout_ms, I, 25000, 0, 86400000, "ms", "after SIGTERM or SIGINT: whatever has not ended by then is ended with exit code 70, and what was not committed is done again at the next start; 0 = wait for ever") \
    X(http, bind, S, "127.0.0.1", 2, 45, "address", "where metrics and health are served, without TLS or passwords: keep it to loopback or a network you trust; 0.0.0.0 or :: = every network of this machine") \
    X(http, port, I, 0, 0, 65535, "", "port of /metrics, /healthz, /readyz and /version; 0 = none are served") \
    X(http, stalled_ms, I, 300000, 1000, 86400000, "ms", "/healthz fails when a stage's loop has not moved for so long; less than the longest wait for a broker restarts what would have mended itself") \
    X(log, level, S, "info", 1, 10, "", "error | warn | info | debug") \
    X(log, json, B, 0, 0, 1, "", "JSON lines instead of key=value")
// clang-format on

typedef struct mtf_settings mtf_settings;

/** A pass-through `kafka.*`, `kafka.consumer.*` or `kafka.producer.*` property for librdkafka. */
typedef enum mtf_kafka_scope {
    MTF_KAFKA_BOTH,
    MTF_KAFKA_CONSUMER,
    MTF_KAFKA_PRODUCER
} mtf_kafka_scope;

typedef struct mtf_kafka_property {
    mtf_kafka_scope scope;
    char *name, *value;
} mtf_kafka_property;

#define MTF_TYPE_I int64_t
#define MTF_TYPE_F double
#define MTF_TYPE_B bool
#define MTF_TYPE_S char *
/** Field names are section_name: settings->sessionize_gap_ms. Text is owned by the struct. */
struct mtf_settings {
#define X(section, name, type, value, min, max, unit, help) MTF_TYPE_##type section##_##name;
    MTF_SETTINGS_MAP(X)
#undef X
    mtf_kafka_property *kafka;
    size_t kafka_count;
};

/** All defaults. fini releases; both take zeroed memory. */
mtf_status mtf_settings_init(mtf_settings *settings, mtf_err *err) MTF_NODISCARD;
void mtf_settings_fini(mtf_settings *settings);
/** All of them but librdkafka's properties; the caller's to fini. MTF_NOMEM. */
mtf_status mtf_settings_copy(const mtf_settings *from, mtf_settings *to,
                             mtf_err *err) MTF_NODISCARD;
/** key is "section.name" or "kafka.<librdkafka property>"; where ("mtf.yaml:12", "--set",
 *  "MTF_GATE_Z") opens the error text. MTF_INVALID: unknown key, wrong type, out of range. */
mtf_status mtf_settings_set(mtf_settings *settings, const char *key, const char *value,
                            const char *where, mtf_err *err) MTF_NODISCARD;
/** YAML of sections; errors name `name` and the line. */
mtf_status mtf_settings_parse(mtf_settings *settings, mtf_span text, const char *name,
                              mtf_err *err) MTF_NODISCARD;
/** The same of a file. */
mtf_status mtf_settings_load(mtf_settings *settings, const char *path, mtf_err *err) MTF_NODISCARD;
/** Every MTF_SECTION_NAME of the environment; an unknown MTF_ name is an error. */
mtf_status mtf_settings_environment(mtf_settings *settings, char *const *environ,
                                    mtf_err *err) MTF_NODISCARD;
/** Whether the value of a librdkafka property (its name, without "kafka.") must not be shown. */
bool mtf_settings_secret(const char *name);
/** Whether "kafka.<name>" gives a secret itself, not the path of the file that holds it. */
bool mtf_settings_gives_secret(const char *key);
/** The settings as YAML; secrets shown as "***". */
void mtf_settings_print(const mtf_settings *settings, mtf_buf *out);
/** The table as a Markdown page. */
void mtf_settings_docs(mtf_buf *out);

/** Parses "name=text name=text ..." (spaces or commas between) one pair at a time: advances *at;
 *  false at the end or on a malformed pair (then *at does not point at its NUL). */
bool mtf_settings_pair(const char **at, mtf_str *name, mtf_str *value);

#endif
