/* The public face of policies: what serving code does with one (mtf.h), over policy.h, actor.h and
 * explore.h. Nothing here allocates but reading a policy. */
#include "client/face.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "client/actor.h"
#include "client/explore.h"
#include "client/policy_keys.h"
#include "client/record.h"
#include "core/file.h"

#define TEXT_OF(x)       #x
#define VERSION(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

#define RECORD_BYTES_MAX ((size_t)16 << 20) /* of a file; far above what a broker takes */

_Static_assert(MTF_STATE_MAX == MTF_POLICY_WIDTH_MAX, "the public limit is the inner one");
_Static_assert(MTF_ACTION_MAX == MTF_POLICY_ACTIONS_MAX, "the public limit is the inner one");

const char *mtf_version(void)
{
    return VERSION(MTF_VERSION_MAJOR, MTF_VERSION_MINOR, MTF_VERSION_PATCH);
}

/* ---- reading ----------------------------------------------------------------------------- */

mtf_status mtf_policy_keys_read(const char *pem_file, mtf_policy_keys **keys, mtf_err *err)
{
    *keys = NULL;
    if (!*pem_file) return mtf_fail(err, MTF_INVALID, "public keys: the file's name is empty");
    return mtf_policy_keys_open(NULL, pem_file, false, keys, err);
}

static mtf_status refuse_items(const mtf_policy *policy, mtf_err *err)
{
    return mtf_fail(err, MTF_INVALID,
                    "policy %s version %" PRId64 " has an action for each item, and mtf_act gives "
                    "one for all: serve a policy that mtf trained with policy.list 0",
                    policy->info.name, policy->info.version);
}

mtf_status mtf_policy_read(const void *record, size_t size, const mtf_policy_keys *keys,
                           mtf_policy **policy, mtf_err *err)
{
    const mtf_span bytes = {record, size};
    *policy = NULL;
    mtf_status status = mtf_policy_verify(keys, bytes, err);
    if (status == MTF_OK) status = mtf_policy_decode(bytes, policy, err);
    if (status != MTF_OK) return status;
    status = (*policy)->per_item ? refuse_items(*policy, err) : MTF_OK;
    if (status == MTF_OK && !((*policy)->actor = mtf_actor_new(*policy)))
        status = mtf_fail(err, MTF_NOMEM, "policy record: out of memory");
    if (status == MTF_OK) return MTF_OK;
    mtf_policy_free(*policy);
    *policy = NULL;
    return status;
}

mtf_status mtf_policy_read_file(const char *path, const mtf_policy_keys *keys, mtf_policy **policy,
                                mtf_err *err)
{
    mtf_buf record = {0};
    *policy = NULL;
    mtf_status status = mtf_file_read(path, RECORD_BYTES_MAX, &record, err);
    if (status == MTF_OK) status = mtf_policy_read(record.data, record.size, keys, policy, err);
    mtf_buf_fini(&record);
    return status;
}

/* ---- what the record says ---------------------------------------------------------------- */

const char *mtf_policy_name(const mtf_policy *policy)
{
    return policy->info.name;
}

int64_t mtf_policy_version(const mtf_policy *policy)
{
    return policy->info.version;
}

int64_t mtf_policy_parent(const mtf_policy *policy)
{
    return policy->info.parent;
}

const char *mtf_policy_stage(const mtf_policy *policy)
{
    return policy->info.stage;
}

const char *mtf_policy_algorithm(const mtf_policy *policy)
{
    return policy->info.algorithm;
}

int64_t mtf_policy_created_ms(const mtf_policy *policy)
{
    return policy->info.created_ms;
}

float mtf_policy_box(const mtf_policy *policy)
{
    return policy->info.box;
}

bool mtf_policy_is_signed(const mtf_policy *policy)
{
    return policy->is_signed;
}

double mtf_policy_figure(const mtf_policy *policy, const char *name)
{
    return mtf_policy_get_number(&policy->info, name);
}

uint32_t mtf_policy_state_dim(const mtf_policy *policy)
{
    return policy->state_dim;
}

uint32_t mtf_policy_action_dim(const mtf_policy *policy)
{
    return policy->action_dim;
}

uint32_t mtf_policy_prediction_count(const mtf_policy *policy)
{
    return policy->table.prediction_count;
}

const char *mtf_policy_prediction(const mtf_policy *policy, uint32_t index)
{
    MTF_ASSERT(index < policy->table.prediction_count);
    return mtf_record_prediction(&policy->table, index);
}

const char *mtf_policy_state_schema(const mtf_policy *policy)
{
    return policy->info.state_schema;
}

/* ---- acting ------------------------------------------------------------------------------ */

void mtf_act(const mtf_policy *policy, const float *state, float *action)
{
    mtf_actor_run(policy->actor, state, action);
}

double mtf_explore(const mtf_policy *policy, uint64_t seed, const char *request_id,
                   const float *baseline, float *action, float *lower, float *upper)
{
    const uint32_t A = policy->action_dim;
    mtf_box_clip(A, baseline, policy->info.box, lower, upper);
    return mtf_explore_box(seed, mtf_str_of(request_id), A, baseline, lower, upper, action);
}

double mtf_explore_normal(const mtf_policy *policy, uint64_t seed, const char *request_id,
                          float sigma, const float *baseline, float *action, float *lower,
                          float *upper)
{
    const uint32_t A = policy->action_dim;
    const bool still = !(sigma > 0) || !(policy->info.box > 0);
    mtf_box_clip(A, baseline, still ? 0 : 2, lower, upper);
    if (!still) {
        return mtf_explore_truncated(seed, mtf_str_of(request_id), A, baseline, fmin(sigma, 1),
                                     action);
    }
    memmove(action, baseline, A * sizeof *action);
    return 0;
}

void mtf_fusion_weights(const mtf_policy *policy, const float *action, double *power, double *bias)
{
    mtf_table_weights(&policy->table, action, power, bias);
}

/* The index of the first value that is not in [low, high], or `count`. First all of them without a
 * branch, which the compiler makes vectors of. */
static size_t find_outside(const float *values, size_t count, float low, float high)
{
    uint32_t outside = 0;
    for (size_t i = 0; i < count; i++)
        outside |= (uint32_t)(!(values[i] >= low) | !(values[i] <= high));
    size_t first = outside ? 0 : count;
    while (first < count && values[first] >= low && values[first] <= high) first++;
    return first;
}

mtf_status mtf_fuse(const mtf_policy *policy, const float *action, const float *predictions,
                    uint32_t items, float *scores, mtf_err *err)
{
    const float edge = 1 + 1e-6F; /* actions are in [-1,1] up to the rounding of their makers */
    const uint32_t P = policy->table.prediction_count, A = policy->action_dim;
    const size_t d = find_outside(action, A, -edge, edge);
    if (d < A) {
        return mtf_fail(err, MTF_INVALID, "fuse: action[%zu] is %g, outside [-1,1]", d,
                        (double)action[d]);
    }
    const size_t wrong = find_outside(predictions, (size_t)items * P, 0, FLT_MAX);
    if (wrong < (size_t)items * P) {
        return mtf_fail(err, MTF_INVALID,
                        "fuse: item %zu: prediction %s is %g; formula 1 takes finite ones, 0 or "
                        "above: do not pass logits",
                        wrong / P, mtf_record_prediction(&policy->table, (uint32_t)(wrong % P)),
                        (double)predictions[wrong]);
    }
    mtf_table_fuse(&policy->table, action, predictions, items, scores);
    return MTF_OK;
}
