/** The policy record's parts, for record_*.c, payload.c and test_vectors.c only. */
#ifndef MTF_CLIENT_RECORD_H
#define MTF_CLIENT_RECORD_H

#include "client/policy.h"

/** CRC-64-AVRO of the canonical form of schemas/policy.avsc; a test recomputes it. */
#define MTF_POLICY_FINGERPRINT UINT64_C(0x266e3090a511a226)

/** What independent loaders may differ by, per action dimension. */
#define MTF_POLICY_TOLERANCE 1e-5

#define MTF_POLICY_FORMAT "safetensors"

/** An Avro enum's symbols, in its order. */
typedef struct mtf_symbols {
    const char *names[4];
    uint32_t count;
} mtf_symbols;

extern const mtf_symbols mtf_policy_stages, mtf_policy_verdicts;

/** Well-formed UTF-8 without control characters: what a listing or JSON may show as it is. */
bool mtf_record_is_text(mtf_str text);
/** False when libcrypto fails. */
bool mtf_record_sha256(mtf_span bytes, uint8_t digest[32]);
/** What is wrong with an action table, or NULL: every prediction has one name and a dimension, no
 *  dimension is there twice, ranges are finite and ascending. */
const char *mtf_record_table_fault(const mtf_action_table *table);
/** The name of a prediction of a faultless table. */
const char *mtf_record_prediction(const mtf_action_table *table, uint32_t index);
/** What no record may say of a policy, or NULL; the table's faults included. */
const char *mtf_record_fault(const mtf_policy *policy);

/** A new policy from a safetensors payload; its info is that of mtf_policy_new. MTF_CORRUPT: not a
 *  policy's tensors, other dimensions than the table's, a weight that is not finite. */
mtf_status mtf_payload_read(mtf_span payload, const mtf_action_table *table, mtf_policy **policy,
                            mtf_err *err) MTF_NODISCARD;

/** Test vector `index` < MTF_POLICY_TEST_VECTORS: a raw state (S) and its action (A), the same for
 *  equal policies. */
void mtf_test_vector_make(const mtf_policy *policy, uint32_t index, float *state, float *action);

/** Hex XXH3-64 of what the state of a policy without a schema (mtf_state_schema_parse of mtf.h)
 *  means, 17 chars: of the text "float[S]" with S in decimal, of a policy with an action per item
 *  "float[S] item[F] predictions[P]". */
void mtf_state_schema_hash(const mtf_policy *policy, char text[17]);

#endif
