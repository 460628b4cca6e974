/** Policies for people and programs: what `mtf policy list|show` prints. */
#ifndef MTF_POLICY_VIEW_H
#define MTF_POLICY_VIEW_H

#include "client/policy.h"

/** Appends a JSON object (one line, no newline): everything the record says but the weights and
 * test vectors. Numbers that were not measured are null. MTF_NOMEM. */
mtf_status mtf_policy_to_json(const mtf_policy *policy, mtf_buf *out, mtf_err *err) MTF_NODISCARD;

/** Appends the head line of a listing, and a policy's line of it. */
void mtf_policy_list_head(mtf_buf *out);
void mtf_policy_list_line(const mtf_policy *policy, mtf_buf *out);
/** Appends the same as the JSON as lines of "name  value". */
void mtf_policy_to_text(const mtf_policy *policy, mtf_buf *out);

#endif
