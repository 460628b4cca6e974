/** libmtf: what a recommender links to serve the fusion policies that mtf trains.
 *
 *    record bytes ─▶ mtf_policy_read ─▶ mtf_slot_put          once a policy, any thread
 *
 *    on a request:  policy = mtf_slot_acquire(slot)
 *                   state  ─▶ mtf_act ─▶ mtf_explore ─▶ mtf_fuse ─▶ mtf_top_k ─▶ the list
 *                   mtf_event_*: what was served, for the topic mtf.exploration
 *                   mtf_slot_release(slot, policy)
 *
 *  Formulas are those of arXiv:2404.17589. S, A, P, N are the lengths of a state, an action, an
 *  item's predictions (all the policy's) and the number of items; matrices are row-major. Actions
 *  are normalised to [-1,1]. Times are ms since the Unix epoch. Text is NUL-terminated UTF-8.
 *
 *  Threads: a policy, a state schema and a set of keys are immutable once made; any number of
 *  threads may use one. A slot is made for many threads. A mtf_state and a mtf_event_builder are
 *  for one thread at a time. Nothing here knows which thread calls it, so a goroutine or a virtual
 *  thread may move between threads from one call to the next.
 *
 *  Errors: a call that can fail returns a mtf_status and says why in *err, which may be NULL.
 *  On failure nothing is changed unless the call says so. Handles may be NULL only where freed. A
 *  breach of what a call asks for (a NULL handle, a foreign pointer) ends the process with a line
 *  on stderr; data never does. */
#ifndef MTF_CLIENT_MTF_H
#define MTF_CLIENT_MTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MTF_VERSION_MAJOR 0
#define MTF_VERSION_MINOR 1
#define MTF_VERSION_PATCH 0

#ifndef MTF_INSIDE /* the library's own sources have these from its inner headers */

#if defined(__GNUC__)
#define MTF_API       __attribute__((visibility("default")))
#define MTF_NODISCARD __attribute__((warn_unused_result))
#else
#define MTF_API
#define MTF_NODISCARD
#endif

/** What a call that can fail returns. Numbers are never given another meaning. */
typedef enum mtf_status {
    MTF_OK = 0,
    MTF_AGAIN = 1,   /* not now; the same call may succeed later */
    MTF_SKIP = 2,    /* this input was left out: count it and go on */
    MTF_CLOSED = 3,  /* no more will come */
    MTF_INVALID = 4, /* the caller's argument or setting is wrong */
    MTF_NOMEM = 5,   /* a limit or the heap is exhausted, or libcrypto failed */
    MTF_IO = 6,      /* the disk failed */
    MTF_BROKER = 7,  /* the broker failed or is unreachable */
    MTF_FENCED = 8,  /* another process has taken this role over */
    MTF_CORRUPT = 9  /* bytes do not check out */
} mtf_status;

/** Says for a person what went wrong: the thing, the place, the remedy. Owned by the caller. */
typedef struct mtf_err {
    mtf_status status;
    char msg[400];
} mtf_err;

/** What an event's request was: see the field `bucket` of schemas/exploration-event.avsc. */
typedef enum mtf_bucket {
    MTF_BUCKET_EXPLORE = 0,  /* the action was drawn round the policy's */
    MTF_BUCKET_BASELINE = 1, /* the policy's own action */
    MTF_BUCKET_CONTROL = 2   /* the system without the policy */
} mtf_bucket;

#endif

/** The library's version at run time, "0.1.0". */
MTF_API const char *mtf_version(void);
/** The constant text of a status. */
MTF_API const char *mtf_status_text(mtf_status status);

/* ---- Policies ---------------------------------------------------------------------------- */

/** The largest S, A and layer width a policy may have; a buffer of these always fits. */
#define MTF_STATE_MAX  4096
#define MTF_ACTION_MAX 64

typedef struct mtf_policy mtf_policy;
typedef struct mtf_policy_keys mtf_policy_keys;

/** Reads the Ed25519 public keys (PEM, one to sixteen) that records must be signed with. The file
 *  is read here and never again. *keys is the caller's. MTF_INVALID names file and remedy. */
MTF_API mtf_status mtf_policy_keys_read(const char *pem_file, mtf_policy_keys **keys,
                                        mtf_err *err) MTF_NODISCARD;
MTF_API void mtf_policy_keys_free(mtf_policy_keys *keys);

/** A policy from the bytes of its record, as they are on the topic mtf.policy
 *  (schemas/policy.avsc). keys, unless NULL: one of them must have signed it, which is asked before
 *  any other byte is looked at. Then checked: the frame, every length, the payload's sha256, that
 *  every weight is finite, and that this machine reproduces the record's test vectors within 1e-5.
 *  *policy is the caller's, and takes nothing from `record`. Not for the path of a request.
 *  MTF_CORRUPT: it must not be served, err says why and in which field; MTF_INVALID: it has an
 *  action for each item (the learner `enhanced`), mtf_act one for all; MTF_NOMEM. */
MTF_API mtf_status mtf_policy_read(const void *record, size_t size, const mtf_policy_keys *keys,
                                   mtf_policy **policy, mtf_err *err) MTF_NODISCARD;
/** The same from a file (`mtf policy export --format record`). MTF_INVALID also: no such file;
 *  MTF_IO. */
MTF_API mtf_status mtf_policy_read_file(const char *path, const mtf_policy_keys *keys,
                                        mtf_policy **policy, mtf_err *err) MTF_NODISCARD;
MTF_API void mtf_policy_free(mtf_policy *policy);

/** What the record says. Text lives as long as the policy. */
MTF_API const char *mtf_policy_name(const mtf_policy *policy);
/** Grows by one with every record of a name; goes into the event. */
MTF_API int64_t mtf_policy_version(const mtf_policy *policy);
/** The version whose exploration it was trained on; 0: none. */
MTF_API int64_t mtf_policy_parent(const mtf_policy *policy);
/** "live", "canary" or "shadow". */
MTF_API const char *mtf_policy_stage(const mtf_policy *policy);
MTF_API const char *mtf_policy_algorithm(const mtf_policy *policy);
MTF_API int64_t mtf_policy_created_ms(const mtf_policy *policy);
/** Half-width of the box to explore in, in action units; 0: an operator stopped exploration. */
MTF_API float mtf_policy_box(const mtf_policy *policy);
/** Whether its record carried a signature; whether it is a good one only mtf_policy_read with keys
 *  has asked. */
MTF_API bool mtf_policy_is_signed(const mtf_policy *policy);
/** A training or gate figure of the record by name; NaN when there is none. */
MTF_API double mtf_policy_figure(const mtf_policy *policy, const char *name);
/** S. */
MTF_API uint32_t mtf_policy_state_dim(const mtf_policy *policy);
/** A. */
MTF_API uint32_t mtf_policy_action_dim(const mtf_policy *policy);
/** P. */
MTF_API uint32_t mtf_policy_prediction_count(const mtf_policy *policy);
/** The name of prediction `index` < P: the order an item's predictions must stand in. */
MTF_API const char *mtf_policy_prediction(const mtf_policy *policy, uint32_t index);
/** The id of the schema of the states it was trained on, which mtf_state_schema_check compares; ""
 *  when mtf was told none (its setting policy.state). */
MTF_API const char *mtf_policy_state_schema(const mtf_policy *policy);

/* ---- Acting ------------------------------------------------------------------------------ */

/** action (A) out in [-1,1] from the raw state (S): normaliser, network, tanh. A feature that is
 *  not finite once normalised counts as the mean. Does not allocate, lock or fail; takes 50 kB of
 *  stack. Equal inputs give equal bits on one kind of CPU; kinds (AVX-512, AVX2, others) differ by
 *  about 1e-6. */
MTF_API void mtf_act(const mtf_policy *policy, const float *state, float *action);

/** Formula 3: action (A) out = baseline (A) + U(lower, upper). The box of the policy's half-width
 *  round the baseline is clipped to [-1,1] first and sampled then, so no probability piles up on an
 *  edge; lower, upper (A) out are its sides as offsets from the baseline, for the event.
 *  The draw is a pure function of (seed, request_id): the same request explores the same way on
 *  any host. Returns the exact log-density of the action, -sum log(upper - lower) over dimensions
 *  of non-zero width; 0 when the policy's box is 0, and the action is the baseline.
 *  baseline lies in [-1,1]; action may be the same array. Does not allocate, lock or fail. */
MTF_API double mtf_explore(const mtf_policy *policy, uint64_t seed, const char *request_id,
                           const float *baseline, float *action, float *lower, float *upper);
/** Gaussian exploration instead: baseline + N(0, sigma) given that it lies in [-1,1], dimension by
 *  dimension; lower, upper (A) out are the offsets of -1 and 1. Returns the exact log-density of
 *  that truncated normal. sigma in (0, 1], else it is taken as the nearer end; 0 or NaN, or a
 *  policy whose box is 0: the baseline and 0. Log its events without lower and upper: a logged box
 *  says that the draw was uniform. */
MTF_API double mtf_explore_normal(const mtf_policy *policy, uint64_t seed, const char *request_id,
                                  float sigma, const float *baseline, float *action, float *lower,
                                  float *upper);

/** What an action (A) means: power, bias (P) out, the exponent and the bias of each prediction in
 *  formula 1. A prediction without a dimension has power 1 and bias 0. */
MTF_API void mtf_fusion_weights(const mtf_policy *policy, const float *action, double *power,
                                double *bias);

/** Formula 1 in logs: scores (N) out = sum_i power_i log(prediction_i + bias_i), which orders items
 *  as the product does and does not overflow. predictions (N,P), each finite and >= 0;
 *  prediction + bias = 0 counts as 1e-9. N may be 0. Does not allocate or lock.
 *  MTF_INVALID: a prediction is negative or not finite, or the action is not in [-1,1]; err names
 *  it, scores are not written. */
MTF_API mtf_status mtf_fuse(const mtf_policy *policy, const float *action, const float *predictions,
                            uint32_t items, float *scores, mtf_err *err) MTF_NODISCARD;
/** indices out: the min(k, count) best of `count` scores, best first, the lower index first on
 *  ties, NaN last. */
MTF_API void mtf_top_k(const float *scores, uint32_t count, uint32_t k, uint32_t *indices);

/* ---- Swapping policies ------------------------------------------------------------------- */

/** Where the policy in force is: put by a thread that follows the topic, acquired by every request.
 *
 *  A slot has MTF_SLOT_CELLS cells that live as long as it does, each with a count of those who
 *  hold its policy. A reader counts itself in first and then looks whether the cell is still the
 *  current one; so it never touches a policy that may be freed. Readers do not lock, wait or free;
 *  one retries only if a put happened between its two looks. What nobody holds any more is freed by
 *  the next put. */
typedef struct mtf_slot mtf_slot;

#define MTF_SLOT_CELLS 8

/** An empty slot, the caller's; NULL when out of memory. */
MTF_API mtf_slot *mtf_slot_new(void);
/** Frees the slot and its policies. Nobody may hold one or be about to. */
MTF_API void mtf_slot_free(mtf_slot *slot);
/** Makes the policy the current one, from any thread. MTF_OK: the slot owns it now. MTF_AGAIN: the
 *  policies of all cells are held by readers; it is still the caller's. */
MTF_API mtf_status mtf_slot_put(mtf_slot *slot, mtf_policy *policy, mtf_err *err) MTF_NODISCARD;
/** The current policy, which stays valid until it is released; NULL while none was put. Hold it
 *  over one request, so that action, fusion and event are of one version. The hold is the pointer
 *  itself: another thread may release it. */
MTF_API const mtf_policy *mtf_slot_acquire(mtf_slot *slot);
/** Gives back what mtf_slot_acquire gave, once for each time; NULL does nothing. */
MTF_API void mtf_slot_release(mtf_slot *slot, const mtf_policy *policy);

/* ---- States ------------------------------------------------------------------------------ */

/** Which features a state has, in which order. Fields `name=kind` stand between blanks; names are
 *  of letters, digits, `_`, `-` and `.`, at most 47.
 *
 *    age=number(30)                     1 float: the value; 30 if it is missing, 0 without (30)
 *    gender=onehot(f,m)                 a float each: 1 where it is the value, else 0
 *    hour=bucket(6,12,18)               4 floats: one is 1: below 6, 6 to below 12, ..., from 18 on
 *    flush=flush(20)                    1 float: min(n, 20) / 20, n requests into the session
 *    topics=top(3,sport,news,music)     a float each: its share among the 3 heaviest interests
 *    watch=history(count,mean,decayed=3600,recency=86400)
 *                                       a float each, over the newest 100 behaviours:
 *                                       count / 100; mean value; sum of values halved every 3600 s;
 *                                       2^-(age of the newest / 86400 s)
 *
 *  What is missing counts as 0 everywhere but in number(default). Every float made is finite. */
typedef struct mtf_state_schema mtf_state_schema;

#define MTF_STATE_FIELDS_MAX    256
#define MTF_STATE_BEHAVIOUR_MAX 100
#define MTF_STATE_NO_FIELD      UINT32_MAX

/** *schema is the caller's. MTF_INVALID names the field and what is wrong with it; MTF_NOMEM. */
MTF_API mtf_status mtf_state_schema_parse(const char *text, mtf_state_schema **schema,
                                          mtf_err *err) MTF_NODISCARD;
MTF_API void mtf_state_schema_free(mtf_state_schema *schema);
/** S. */
MTF_API uint32_t mtf_state_schema_dim(const mtf_state_schema *schema);
/** 16 hex digits of the schema's meaning: the same for texts that differ in blanks only. */
MTF_API const char *mtf_state_schema_id(const mtf_state_schema *schema);
/** A field's index by name, for the calls below; MTF_STATE_NO_FIELD when there is none. */
MTF_API uint32_t mtf_state_schema_field(const mtf_state_schema *schema, const char *name);
/** MTF_OK when the policy takes such states: its record names this schema, or names none and takes
 *  as many floats. MTF_INVALID says how they differ. */
MTF_API mtf_status mtf_state_schema_check(const mtf_state_schema *schema, const mtf_policy *policy,
                                          mtf_err *err) MTF_NODISCARD;

/** A state being gathered; its memory is taken when it is made and never grows. One thread at a
 *  time; a pool of them serves many. */
typedef struct mtf_state mtf_state;

/** An empty state, the caller's; NULL when out of memory. The schema must outlive it. */
MTF_API mtf_state *mtf_state_new(const mtf_state_schema *schema);
MTF_API void mtf_state_free(mtf_state *state);
/** Forgets everything; ages of behaviours are counted to now_ms. */
MTF_API void mtf_state_begin(mtf_state *state, int64_t now_ms);

/** The inputs. Each names its field by index and returns MTF_OK, or, with words in err:
 *  MTF_INVALID: no such field, or one of another kind;
 *  MTF_SKIP: the value was left out, because it is not finite or not in the schema's list. */
/** Of a number, bucket or flush field; the last one counts. */
MTF_API mtf_status mtf_state_number(mtf_state *state, uint32_t field, double value,
                                    mtf_err *err) MTF_NODISCARD;
/** Of a onehot field; the last one counts. */
MTF_API mtf_status mtf_state_category(mtf_state *state, uint32_t field, const char *value,
                                      mtf_err *err) MTF_NODISCARD;
/** Of a top field: adds to the category's weight. MTF_SKIP also below 0. */
MTF_API mtf_status mtf_state_interest(mtf_state *state, uint32_t field, const char *category,
                                      double weight, mtf_err *err) MTF_NODISCARD;
/** Of a history field, in any order; a 101st takes the place of the oldest, or is itself the oldest
 *  and dropped (MTF_OK: the cap is the feature's meaning). A time after now counts as now. */
MTF_API mtf_status mtf_state_behaviour(mtf_state *state, uint32_t field, int64_t time_ms,
                                       double value, mtf_err *err) MTF_NODISCARD;
/** out (S): the state of what was put in since begin, every float finite. Does not allocate. */
MTF_API void mtf_state_make(const mtf_state *state, float *out);

/* ---- Events ------------------------------------------------------------------------------ */

/** Makes the records of the topic mtf.exploration (schemas/exploration-event.avsc), key: the user
 *  id. Each is begun, filled and finished; the first thing amiss is kept, and finish says it.
 *
 *    mtf_event_begin(builder, event_id, user_id, now_ms, session_id);
 *    mtf_event_request(builder, ...);
 *    for each item shown, best first: mtf_event_item(builder, ...);
 *    status = mtf_event_finish(builder, &bytes, &size, &err);
 *
 *  Everything passed is copied. The memory is kept from one event to the next. */
typedef struct mtf_event_builder mtf_event_builder;

/** The caller's; NULL when out of memory. */
MTF_API mtf_event_builder *mtf_event_builder_new(void);
MTF_API void mtf_event_builder_free(mtf_event_builder *builder);

/** Forgets what was there. event_id: unique among the user's events. session_id: the service's own,
 *  or NULL. */
MTF_API void mtf_event_begin(mtf_event_builder *builder, const char *event_id, const char *user_id,
                             int64_t event_time_ms, const char *session_id);
/** A list that was served. policy_version 0: none. state (S): what the policy saw, never
 *  recomputed; action, baseline (A): what ranked the list, and the policy's own. lower, upper (A):
 *  the box as mtf_explore gave it; NULL: the one configured in mtf. sample_weight: 1 over the share
 *  of requests that is logged. */
MTF_API void mtf_event_request(mtf_event_builder *builder, int64_t policy_version,
                               mtf_bucket bucket, const float *state, uint32_t state_dim,
                               const float *action, const float *baseline, const float *lower,
                               const float *upper, uint32_t action_dim, float sample_weight);
/** Another item of the request, best first. features may be NULL with a count of 0. */
MTF_API void mtf_event_item(mtf_event_builder *builder, const char *item_id,
                            const float *predictions, uint32_t prediction_count,
                            const float *features, uint32_t feature_count);
/** What a user did with one item of an earlier request: its event_id and time. */
MTF_API void mtf_event_feedback(mtf_event_builder *builder, const char *request_id,
                                int64_t request_time_ms, const char *item_id);
/** A behaviour, of the request's last item or of the feedback. */
MTF_API void mtf_event_signal(mtf_event_builder *builder, const char *name, double value);
/** The user left. reason, for people, may be "". */
MTF_API void mtf_event_session_end(mtf_event_builder *builder, const char *reason);
/** *bytes out: the record's value, borrowed until the next begin or free.
 *  MTF_INVALID: what mtf sessionize would set aside as invalid, or a call out of turn; err names
 *  the field. MTF_NOMEM. */
MTF_API mtf_status mtf_event_finish(mtf_event_builder *builder, const void **bytes, size_t *size,
                                    mtf_err *err) MTF_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif
