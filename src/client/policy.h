/** A policy as serving code holds it: actor network, normaliser, action table and box, plus the
 *  record (schemas/policy.avsc) it travels in. No Kafka, RocksDB or BLAS here; libcrypto for
 * sha256. A policy is immutable once made: any number of threads may act on it. */
#ifndef MTF_CLIENT_POLICY_H
#define MTF_CLIENT_POLICY_H

#include "core/bytes.h"

#define MTF_POLICY_LAYERS_MAX       4
#define MTF_POLICY_ACTIONS_MAX      64
#define MTF_POLICY_WIDTH_MAX        4096
#define MTF_POLICY_TEST_VECTORS     16
#define MTF_POLICY_SIGNATURE_BYTES  64
#define MTF_POLICY_RECORD_BYTES_MAX 900000 /* a signature comes on top */

/** One action dimension: normalised a in [-1,1] -> low + (a+1)/2 (high-low), the pow or the bias of
 *  one prediction in formula 1 of arXiv:2404.17589. */
typedef struct mtf_action_dim {
    char prediction[48];       /* its name */
    bool bias;                 /* else pow */
    uint32_t prediction_index; /* into item.predictions */
    float low, high;
} mtf_action_dim;

typedef struct mtf_action_table {
    uint32_t count, prediction_count;
    mtf_action_dim dims[MTF_POLICY_ACTIONS_MAX];
} mtf_action_table;

/** Parses the setting policy.actions ("watch.pow=0..2 watch.bias=0.01..0.5 ..."). Prediction
 * indices follow first appearance. MTF_INVALID names the pair. */
mtf_status mtf_action_table_parse(mtf_action_table *table, const char *text,
                                  mtf_err *err) MTF_NODISCARD;

/** A dense layer: out = W in + b, W (outputs, inputs) row-major. ReLU between, tanh after the last.
 */
typedef struct mtf_policy_layer {
    uint32_t inputs, outputs;
    float *weight, *bias;
} mtf_policy_layer;

/** A named number of the record: a metric or a gate figure. */
typedef struct mtf_policy_number {
    char name[56];
    double value;
} mtf_policy_number;

typedef struct mtf_policy_offset {
    int32_t partition;
    int64_t offset;
} mtf_policy_offset;

#define MTF_POLICY_NUMBERS_MAX 128
#define MTF_POLICY_OFFSETS_MAX 256

/** What the record says beside the network. Text is NUL-terminated. */
typedef struct mtf_policy_info {
    char name[104];
    int64_t version, parent; /* parent 0: none */
    char stage[16];          /* live | canary | shadow */
    int64_t round;
    char algorithm[40];
    int64_t created_ms;
    float box;                     /* half-width of the next exploration; 0: do not explore */
    char verdict[16], reason[200]; /* promote | canary | hold | reject, why */
    char state_schema[17];         /* hex hash of what the state means; "": float[S] */
    char parent_checkpoint[65]; /* XXH3-128 hex of the checkpoint the round started from, or "" */
    mtf_policy_number numbers[MTF_POLICY_NUMBERS_MAX];
    uint32_t number_count;
    mtf_policy_offset offsets[MTF_POLICY_OFFSETS_MAX]; /* the round's cut of mtf.sessions */
    uint32_t offset_count;
} mtf_policy_info;

typedef struct mtf_policy {
    mtf_policy_info info;
    mtf_action_table table;
    uint32_t state_dim, action_dim, layer_count;
    /* An action for each item (learner enhanced): state_dim is of what the network sees of one
     * item, | user S | the item's features F | its predictions P |, and act takes that. */
    bool per_item;
    uint32_t item_features;  /* F; 0 unless per_item */
    float *mean, *deviation; /* (S,) normaliser: x = (state - mean) / deviation; deviation > 0 */
    mtf_policy_layer layers[MTF_POLICY_LAYERS_MAX];
    float *block; /* owns every float above */
    size_t block_count;
    struct mtf_actor *actor; /* packed for serving, owned; NULL unless mtf.h made the policy */
    uint8_t sha256[32];      /* of the payload it was decoded from; zeros if it was not */
    bool is_signed;          /* the record it was decoded from carried a signature: */
    uint8_t signature[MTF_POLICY_SIGNATURE_BYTES]; /* checked by mtf_policy_verify only */
} mtf_policy;

/** An owned policy of zero weights (mean 0, deviation 1): action 0 everywhere; stage live, verdict
 *  hold. widths: state, hidden..., action; layer_count + 1 of them. NULL when out of memory. */
mtf_policy *mtf_policy_new(const uint32_t *widths, uint32_t layer_count,
                           const mtf_action_table *table);
/** An owned policy of one layer that takes `action` (A) in [-1,1], within 1e-6, whatever the state:
 *  zero weights and artanh(action) as the bias; the rest as mtf_policy_new. */
mtf_policy *mtf_policy_constant(uint32_t state_dim, const mtf_action_table *table,
                                const float *action);
/** Makes it a policy with an action per item, each known by F features and the table's P
 * predictions: the first state_dim - F - P of its features are the user's. */
void mtf_policy_set_items(mtf_policy *policy, uint32_t features);
/** S: floats of a request's state. */
uint32_t mtf_policy_user_dim(const mtf_policy *policy);
mtf_policy *mtf_policy_clone(const mtf_policy *policy);
MTF_API void mtf_policy_free(mtf_policy *policy);

/** action (A) out in [-1,1] from raw state (S). No allocation, thread-safe. The plain forward pass:
 *  also the slow clear reference of the learner's kernels. Features that are not finite once
 *  normalised count as the mean (missing = NaN). */
void mtf_policy_act(const mtf_policy *policy, const float *state, float *action);
/** actions (N,A) out of a policy with an action per item, for the user's raw state (S) and N items'
 *  features (N,F) and predictions (N,P). mtf_actor_run_items is the fast one. */
void mtf_policy_act_items(const mtf_policy *policy, const float *state, uint32_t items,
                          const float *features, const float *predictions, float *actions);

#define MTF_CANARY_PERCENT "canary.percent" /* a canary's number: the share of users it serves */
#define MTF_POLICY_BY_GATE                                                                         \
    "by_gate" /* 1: promoted from a trial, by what it brought, by nobody's order */

/** Does this canary serve the user, as the events name her? The first 8 bytes, big-endian, of the
 *  XXH3-128 of (u32-le length, bytes) of its version in decimal and of the user id, over 2^64, are
 *  below its percent / 100 if so: the same for every process and request, drawn anew for each
 *  version. A record without the number serves nobody. */
bool mtf_policy_canary_serves(const mtf_policy *canary, mtf_str user_id);

/** Appends the single-object encoded policy record, unsigned, payload and test vectors included.
 * Byte-identical for equal policies. MTF_INVALID when it would exceed MTF_POLICY_RECORD_BYTES_MAX
 * or is not finite. */
mtf_status mtf_policy_encode(const mtf_policy *policy, mtf_buf *record, mtf_err *err) MTF_NODISCARD;
/** Decodes and checks: frame, lengths, sha256, finite weights, test vectors within 1e-5; who signed
 *  it is asked before, by mtf_policy_verify of policy_keys.h. MTF_CORRUPT says what is wrong.
 *  *policy is the caller's. */
mtf_status mtf_policy_decode(mtf_span record, mtf_policy **policy, mtf_err *err) MTF_NODISCARD;
/** The payload alone: a safetensors file. */
mtf_status mtf_policy_safetensors(const mtf_policy *policy, mtf_buf *payload,
                                  mtf_err *err) MTF_NODISCARD;

/** Sets (adds or replaces) a number of the record. */
void mtf_policy_set_number(mtf_policy_info *info, const char *name, double value);
/** NaN when absent. */
double mtf_policy_get_number(const mtf_policy_info *info, const char *name);

#endif
